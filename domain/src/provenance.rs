//! Where a number comes from. Every number shown to a person carries this.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// The part of the data a result was computed from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSlice {
    /// Names of the brands used.
    pub brands: Vec<String>,
    /// Keys of the metrics used.
    pub metrics: Vec<String>,
    /// First period.
    pub from: Option<NaiveDate>,
    /// Last period.
    pub to: Option<NaiveDate>,
    /// Number of values used.
    pub rows: u64,
    /// SHA-256 over the values, in hex: the same slice gives the same digest.
    pub digest: String,
}

/// Data slice, method, parameters, seed and software version of a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The data.
    pub slice: DataSlice,
    /// The method, by its name in `docs/methods.md`.
    pub method: String,
    /// Parameters of the method.
    pub parameters: serde_json::Value,
    /// Seed of everything random in it.
    pub seed: u64,
    /// Version of this software.
    pub software: String,
}

/// Version written to every provenance.
pub const SOFTWARE: &str = concat!("digi-cadence ", env!("CARGO_PKG_VERSION"));
