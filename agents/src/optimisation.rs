//! The optimisation agent: the same money where it earns most.
//!
//! It proposes a plan for the whole portfolio with a certificate of how good it is, and rules for single lines whose return is
//! told from break-even.

mod actor;
pub(crate) mod allocation;
mod cycle;
pub(crate) mod query;
pub(crate) mod rules;

pub(crate) use actor::DESK;
