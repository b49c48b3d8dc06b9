//! The multi-brand metrics agent: which brands' media help or hurt each other, and which data cannot be trusted.
//!
//! It proposes guards (a cap on media that takes sales from a sibling), synergies (a joint action of two brands that lift each
//! other) and data fixes. It also keeps the brand scores up to date.

mod actor;
mod cycle;
pub(crate) mod query;
pub(crate) mod rules;

pub(crate) use actor::DESK;
