//! The plain data of Digi-Cadence and the rules that always hold for it.
//!
//! No async, no I/O: every other crate speaks in these types. A type enters here when two crates need it.

pub mod access;
pub mod audit;
pub mod brand;
pub mod budget;
pub mod clock;
pub mod competition;
pub mod currency;
pub mod error;
pub mod event;
pub mod forecast;
pub mod id;
pub mod ingest;
pub mod job;
pub mod mapping;
pub mod metric;
pub mod organisation;
pub mod outcome;
pub mod page;
pub mod project;
pub mod provenance;
pub mod quality;
pub mod recommendation;
pub mod response;
pub mod run;
pub mod schedule;
pub mod score;
pub mod series;
pub mod synergy;
pub mod unit;

pub use error::{Classify, Error, ErrorKind};
