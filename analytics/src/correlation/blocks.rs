//! Pieces of a computation on several threads, cut the same way whatever their number.

use std::sync::Mutex;

use super::SharedCancel;
use crate::cancel::Cancelled;

/// Does every piece once, on up to `threads` threads, and asks between pieces whether to stop. Each piece owns the part of
/// the result that it writes, so the order does not matter.
pub(super) fn each<T: Send>(
    pieces: Vec<T>,
    threads: usize,
    cancel: SharedCancel,
    work: impl Fn(T) -> Result<(), Cancelled> + Sync,
) -> Result<(), Cancelled> {
    let workers = threads.clamp(1, pieces.len().max(1));
    if workers == 1 {
        for piece in pieces {
            cancel.check()?;
            work(piece)?;
        }
        return Ok(());
    }
    let queue = Mutex::new(pieces.into_iter());
    let next = || {
        queue
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .next()
    };
    let run = || -> Result<(), Cancelled> {
        while let Some(piece) = next() {
            cancel.check()?;
            work(piece)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(run)).collect();
        let mut result = run();
        for other in others {
            match other.join() {
                Ok(theirs) => result = result.and(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        result
    })
}
