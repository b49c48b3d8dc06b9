//! A task's own view of itself, and what others see of it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use serde::Serialize;

/// What the caller, the pool and the task share about one task.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) label: String,
    cancel: Arc<AtomicBool>,
    finished: AtomicBool,
    /// Progress 0 to 1, as the bits of an `f64`.
    progress: AtomicU64,
    beats: AtomicU64,
    note: Mutex<String>,
}

impl Watch {
    pub(super) fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            cancel: Arc::new(AtomicBool::new(false)),
            finished: AtomicBool::new(false),
            progress: AtomicU64::new(0.0_f64.to_bits()),
            beats: AtomicU64::new(0),
            note: Mutex::new(String::new()),
        }
    }

    pub(super) fn cancel(&self) {
        self.cancel.store(true, Ordering::Release);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Acquire)
    }

    /// The caller has the result: letting go of the future is no cancellation any more.
    pub(super) fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    pub(super) fn cancel_on_drop(self: &Arc<Self>) -> CancelOnDrop {
        CancelOnDrop(Arc::clone(self))
    }

    pub(super) fn view(&self, id: u64) -> TaskView {
        TaskView {
            id,
            label: self.label.clone(),
            progress: f64::from_bits(self.progress.load(Ordering::Relaxed)),
            note: self
                .note
                .lock()
                .expect("no thread panics while it notes progress")
                .clone(),
            heartbeats: self.beats.load(Ordering::Relaxed),
            is_cancelled: self.is_cancelled(),
        }
    }
}

/// Cancels its task when the caller's future goes away.
pub(super) struct CancelOnDrop(Arc<Watch>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if !self.0.finished.load(Ordering::Acquire) {
            self.0.cancel();
        }
    }
}

/// A task as others see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskView {
    /// Number within the pool.
    pub id: u64,
    /// What it is.
    pub label: String,
    /// Progress 0 to 1, as the task says.
    pub progress: f64,
    /// What it says it is doing.
    pub note: String,
    /// Times it reported progress; one that stands still shows a task that hangs.
    pub heartbeats: u64,
    /// Whether it has been told to stop.
    pub is_cancelled: bool,
}

/// What a task is given: it looks at the flag and reports how far it is.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    watch: Arc<Watch>,
}

impl TaskHandle {
    pub(super) fn new(watch: Arc<Watch>) -> Self {
        Self { watch }
    }

    /// Whether nobody wants the result any more. A long task looks at least every 50 ms.
    pub fn is_cancelled(&self) -> bool {
        self.watch.is_cancelled()
    }

    /// The flag itself, for code that knows nothing of pools.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.watch.cancel)
    }

    /// Reports progress, 0 to 1, and what is being done.
    pub fn progress(&self, share: f64, note: &str) {
        self.watch
            .progress
            .store(share.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
        self.watch.beats.fetch_add(1, Ordering::Relaxed);
        let mut held = self
            .watch
            .note
            .lock()
            .expect("no thread panics while it notes progress");
        if *held != note {
            note.clone_into(&mut held);
        }
    }
}
