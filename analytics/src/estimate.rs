//! An estimate with its uncertainty, the common shape of every finding.

use serde::{Deserialize, Serialize};

use crate::inference::{t_width, two_sided_p};

/// An estimate with standard error, intervals and a test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Point estimate.
    pub value: f64,
    /// Standard error.
    pub std_error: f64,
    /// Degrees of freedom of the t distribution.
    pub dof: f64,
    /// 80 % interval.
    pub interval80: (f64, f64),
    /// 95 % interval.
    pub interval95: (f64, f64),
    /// Two-sided p-value against the null value of the test.
    pub p_value: f64,
}

impl Estimate {
    /// Builds an estimate that is tested against `null`.
    #[must_use]
    pub fn new(value: f64, std_error: f64, dof: f64, null: f64) -> Self {
        let interval = |level: f64| {
            let width = t_width(level, dof) * std_error;
            (value - width, value + width)
        };
        let usable = std_error > 0.0 && std_error.is_finite() && value.is_finite();
        Self {
            value,
            std_error,
            dof,
            interval80: interval(0.8),
            interval95: interval(0.95),
            p_value: if usable {
                two_sided_p((value - null) / std_error, dof)
            } else {
                1.0
            },
        }
    }
}
