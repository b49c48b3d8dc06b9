//! Deterministic maths on polars frames: input struct in, result struct out, seed and cancellation passed in.
//!
//! Nothing here awaits, logs, reads a clock or draws a random number it was not given.
//!
//! From data to a plan of the agents: [`panel::Panel::from_frame`] → [`finder::scan`] (which fits [`response::fit_all`] and tests
//! every candidate in one false-discovery family) → [`budget::ValueModel::from_findings`] → [`budget::plan`], and
//! [`budget::evaluate`] for a what-if. [`market`] is the simulator with known truth; only the demo and tests read it.
//!
//! | question | module |
//! |---|---|
//! | what do ten million rows add up to? | [`aggregate`] |
//! | what comes next? | [`forecast`] |
//! | what did media sell, and how surely? | [`mix`]; what an experiment says: [`experiment`] |
//! | how should money be split, under which rules, and what proves it? | [`allocation`]; what cannot be written as one: [`pareto`] |
//! | which brands move together, and which take from each other? | [`correlation`], [`synergy`] |
//! | what drives an outcome? | [`attribution`] |
//! | how good is a brand, and why? | [`score`], [`competition`], [`gap`] |
//! | can a series be trusted? | [`quality`] |

pub mod aggregate;
pub mod allocation;
pub mod attribution;
pub mod budget;
pub mod calendar;
pub mod cancel;
pub mod competition;
pub mod correlation;
mod descent;
pub mod estimate;
pub mod experiment;
pub mod finder;
pub mod forecast;
pub mod gap;
pub mod indicator;
pub mod inference;
pub mod ingest;
pub mod linear;
pub mod market;
pub mod mix;
pub mod panel;
pub mod pareto;
pub mod promotion;
pub mod quality;
pub mod response;
pub mod rng;
pub mod score;
pub mod series;
pub mod synergy;
