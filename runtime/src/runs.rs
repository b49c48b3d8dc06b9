//! Durable runs: explicit steps with a journal, so that a run resumes after a crash where it stopped.
//!
//! A run is not replayed code. Each step has a key and is recorded with what it produced; a step that is finished gives
//! back its record instead of being done again. One worker holds the run's lease; every write of the journal names the
//! lease's epoch, so a worker that slept past it can neither finish a step nor end the run.
//!
//! [`run_child`] wraps a run as an actor: killed, it is restarted by its supervisor and the run goes on with the first step
//! that is not finished. A person's cancellation ends the run in the database; the journal notices before each step and,
//! through [`RunJournal::cancel_flag`], within it.

mod child;
mod journal;

pub use child::{RunMsg, RunSetup, Work, run_child};
pub use journal::{RunError, RunJournal};

#[cfg(test)]
mod tests;
