//! What a fitted model says of the values to come.

use serde::{Deserialize, Serialize};

/// Forecasts of the steps after the last value, on the scale the model was fitted on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// Expected values, the first for one step ahead.
    pub mean: Vec<f64>,
    /// Standard deviations of the errors of those forecasts.
    pub sigma: Vec<f64>,
}
