//! The strategy agent: where the brands stand against their rivals, and what to do about it over the coming quarter.
//!
//! It proposes targets (closing a gap, moving a metric that runs ahead of sales) and initiatives of several linked steps.

mod actor;
mod cycle;
pub(crate) mod query;
pub(crate) mod rules;

pub(crate) use actor::DESK;
