//! The forecasting agent: what the brands will sell, with intervals that keep their promise.
//!
//! It proposes a new forecast of record when a backtest says that it is better than the present one.

mod actor;
mod cycle;
pub(crate) mod query;
pub(crate) mod rules;

pub(crate) use actor::DESK;
