//! Work that may take long: with a sign of life after two seconds, and ended at once by Ctrl-C.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Exit, Failure, Progress};
use crate::app;

/// What the work and the terminal tell each other.
#[derive(Debug, Default)]
pub(super) struct Watch {
    stopped: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
}

impl Watch {
    /// Says of how many units the work consists, once that is known.
    pub(super) fn expect(&self, total: usize) {
        self.total.store(total as u64, Ordering::Relaxed);
    }

    /// Says that one more unit is done.
    pub(super) fn one_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether somebody wants it to stop.
    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Does `task` on a thread of its own and returns its result.
///
/// # Errors
/// Those of the task; that Ctrl-C or SIGTERM came, which does not wait for the task to notice.
pub(super) fn run<T: Send + 'static>(
    what: &str,
    task: impl FnOnce(&Watch) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    const TICK: Duration = Duration::from_millis(200);
    let no_threads = |error: std::io::Error| {
        Failure::new(Exit::Unavailable, format!("cannot start threads: {error}"))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(no_threads)?;
    let watch = Arc::new(Watch::default());
    let progress = Progress::waiting(what);
    runtime.block_on(async {
        let mut stop = std::pin::pin!(app::asked_to_stop());
        let (send, mut receive) = tokio::sync::oneshot::channel();
        let theirs = Arc::clone(&watch);
        std::thread::Builder::new()
            .spawn(move || {
                // Whoever waited for it may be gone.
                let _unheard = send.send(task(&theirs));
            })
            .map_err(no_threads)?;
        let result = loop {
            tokio::select! {
                result = &mut receive => break result.unwrap_or_else(|_| {
                    Err(Failure::new(
                        Exit::Defect,
                        "the analysis broke off; the lines above say where, please report them [analysis.failed]",
                    ))
                }),
                signal = &mut stop => {
                    watch.stopped.store(true, Ordering::Relaxed);
                    break Err(Failure::new(
                        Exit::Stopped,
                        format!("{what} was stopped ({signal}); nothing was written"),
                    ));
                }
                () = tokio::time::sleep(TICK) => {
                    match watch.total.load(Ordering::Relaxed) {
                        0 => {}
                        total => progress.expect(total, what),
                    }
                    progress.to(watch.done.load(Ordering::Relaxed), "");
                }
            }
        };
        progress.done();
        result
    })
}
