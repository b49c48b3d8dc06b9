//! Cancellation and progress, handed in by whoever runs a computation.

use thiserror::Error;

/// The computation was asked to stop before it finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the computation was cancelled")]
pub struct Cancelled;

/// A question that long computations ask between steps: should I stop?
///
/// Any `Fn() -> bool` closure is a `Cancel`; [`never()`] is one that lets everything finish.
pub trait Cancel {
    /// Whether the caller wants the computation to stop.
    fn is_cancelled(&self) -> bool;

    /// Fails when the caller wants the computation to stop.
    ///
    /// # Errors
    /// [`Cancelled`] when it does.
    fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }
}

impl<F: Fn() -> bool> Cancel for F {
    fn is_cancelled(&self) -> bool {
        self()
    }
}

/// Never cancels.
#[must_use]
pub fn never() -> bool {
    false
}
