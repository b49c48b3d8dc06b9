//! Forecasts with intervals, and the backtest that chose their model.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    id::{BrandId, ForecastId, MetricId, ProjectId},
    metric::Granularity,
    provenance::Provenance,
    unit::Interval,
};

/// One future period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastPoint {
    /// First day of the period.
    pub period: NaiveDate,
    /// Point forecast.
    pub mean: f64,
    /// 80 % interval.
    pub interval80: Interval,
    /// 95 % interval.
    pub interval95: Interval,
}

/// How one model did in the rolling-origin backtest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelScore {
    /// The model's name.
    pub model: String,
    /// Mean absolute error over that of the in-sample (seasonal) naive; below 1 beats it.
    pub mase: f64,
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: f64,
    /// Share of actuals inside the 80 % interval, 0 to 1.
    pub coverage80: f64,
    /// Share of actuals inside the 95 % interval, 0 to 1.
    pub coverage95: f64,
    /// Number of forecast errors it was measured on.
    pub errors: u32,
}

/// A forecast of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The id.
    pub id: ForecastId,
    /// Brand.
    pub brand: BrandId,
    /// Project; `None` for the sum of all.
    pub project: Option<ProjectId>,
    /// Metric.
    pub metric: MetricId,
    /// Last period that was known.
    pub origin: NaiveDate,
    /// Period length.
    pub granularity: Granularity,
    /// The model that made it.
    pub model: String,
    /// The future, in order.
    pub points: Vec<ForecastPoint>,
    /// All candidates' backtests, best first.
    pub backtest: Vec<ModelScore>,
    /// Whether alerts and targets follow this one.
    pub of_record: bool,
    /// Where it comes from.
    pub provenance: Provenance,
}
