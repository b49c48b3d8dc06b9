//! Money, intervals, effects, points of a series, and where a number comes from.

use chrono::NaiveDate;
use serde_json::Value;

use crate::mirror::{Amount, Digits, mirror};

mirror! {
    /// An amount with its ISO 4217 currency.
    Money both_ways domain::unit::Money {
        /// The amount in whole currency units (not cents).
        amount: Amount,
        /// ISO 4217 code, three capital letters.
        currency: String,
    }
}

mirror! {
    /// A two-sided interval.
    Interval of domain::unit::Interval {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    }
}

mirror! {
    /// What an action is expected to change, against not acting.
    Effect of domain::unit::Effect {
        /// Expected change over the horizon, carry-over tail included.
        value: f64,
        /// 80 % interval of that change.
        interval80: Interval,
        /// Level without the action over the same horizon, for comparison; absent where there is no such level.
        base: Option<f64>,
        /// Unit of all three: an ISO currency, or a metric's unit (`points`, `percent`).
        unit: String,
        /// Weeks the effect is summed over.
        horizon_weeks: u32,
    }
}
mirror! {
    /// One value of a series.
    Point of domain::series::Point {
        /// First day of the period.
        period: NaiveDate,
        /// The value.
        value: f64,
    }
}
mirror! {
    /// The part of the data a result was computed from.
    DataSlice of domain::provenance::DataSlice {
        /// Names of the brands used.
        brands: Vec<String>,
        /// Keys of the metrics used.
        metrics: Vec<String>,
        /// First period.
        from: Option<NaiveDate>,
        /// Last period.
        to: Option<NaiveDate>,
        /// Number of values used.
        rows: u64,
        /// SHA-256 over the values, in hex: the same slice gives the same digest.
        digest: String,
    }
}

mirror! {
    /// Data slice, method, parameters, seed and software version of a result.
    Provenance of domain::provenance::Provenance {
        /// The data.
        slice: DataSlice,
        /// The method, by its name in `docs/methods.md`.
        method: String,
        /// Parameters of the method.
        parameters: Value,
        /// Seed of everything random in it.
        seed: Digits,
        /// Version of this software.
        software: String,
    }
}
