//! What a job's handler, its heartbeat and its worker share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::watch;

/// What a handler is given beside its job. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JobControl {
    progress: Arc<AtomicU64>,
    cancel: Arc<AtomicBool>,
    tell_cancelled: watch::Sender<bool>,
}

impl JobControl {
    pub(super) fn new() -> Self {
        Self {
            progress: Arc::new(AtomicU64::new(0.0_f64.to_bits())),
            cancel: Arc::new(AtomicBool::new(false)),
            tell_cancelled: watch::Sender::new(false),
        }
    }

    /// Reports progress, 0 to 1; stored with the next heartbeat.
    pub fn progress(&self, share: f64) {
        self.progress
            .store(share.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }

    /// Progress as last reported.
    pub fn reported(&self) -> f64 {
        f64::from_bits(self.progress.load(Ordering::Relaxed))
    }

    /// Whether the work is not wanted any more: cancelled by a person, or the lease was lost.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Acquire)
    }

    /// The flag itself, for code that knows nothing of jobs.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    /// Resolves when the work is not wanted any more.
    pub async fn cancelled(&self) {
        // The sender lives in self.
        let _ = self
            .tell_cancelled
            .subscribe()
            .wait_for(|cancelled| *cancelled)
            .await;
    }

    pub(super) fn cancel(&self) {
        self.cancel.store(true, Ordering::Release);
        self.tell_cancelled.send_replace(true);
    }
}
