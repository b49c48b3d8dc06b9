//! A limit on how often one search may evaluate its objective.

use std::cell::Cell;

use thiserror::Error;

/// Argmin's Moré–Thuente line search has no limit of its own, and where rounding hides the last bit of a descent it goes on for
/// ever. A search that is refused a further evaluation ends.
#[derive(Debug)]
pub(crate) struct Evaluations(Cell<u32>);

/// The search has evaluated its objective as often as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the search has used up its evaluations")]
pub(crate) struct Spent;

impl Evaluations {
    pub(crate) fn at_most(count: u32) -> Self {
        Self(Cell::new(count))
    }

    /// One more, if there is one left.
    pub(crate) fn take(&self) -> Result<(), Spent> {
        let left = self.0.get().checked_sub(1).ok_or(Spent)?;
        self.0.set(left);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Evaluations, Spent};

    #[test]
    fn there_are_as_many_as_were_allowed() {
        let evaluations = Evaluations::at_most(2);
        assert_eq!(evaluations.take(), Ok(()));
        assert_eq!(evaluations.take(), Ok(()));
        assert_eq!(evaluations.take(), Err(Spent));
        assert_eq!(evaluations.take(), Err(Spent));
    }
}
