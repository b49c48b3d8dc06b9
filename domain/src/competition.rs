//! Gaps to rivals, and changes in what rivals do.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    id::{BrandId, MetricId},
    unit::Interval,
};

/// What a gap is measured to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The best brand.
    Leader,
    /// The benchmark: the 75th percentile (25th where lower is better).
    Benchmark,
    /// The mean of the category.
    Category,
}

/// The distance of a brand from a reference on one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Brand.
    pub brand: BrandId,
    /// Metric.
    pub metric: MetricId,
    /// Measured to.
    pub reference: Reference,
    /// The brand's value: mean of the last weeks.
    pub value: f64,
    /// The reference's value over the same weeks.
    pub reference_value: f64,
    /// Positive means behind, in the metric's unit, whichever direction is better.
    pub gap: f64,
    /// The gap as a share of the reference; `None` where the reference is 0.
    pub relative: Option<f64>,
    /// The gap with the leading brand left out of the peers; shows how much one brand decides.
    pub without_leader: Option<f64>,
    /// 1 is the best brand.
    pub rank: u32,
    /// Number of brands compared.
    pub peers: u32,
    /// First day of the last period used.
    pub period: NaiveDate,
}

/// A rival's behaviour changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RivalChange {
    /// The rival.
    pub rival: BrandId,
    /// Metric in which it shows.
    pub metric: MetricId,
    /// First week of the change.
    pub start: NaiveDate,
    /// Mean change per week in the metric's unit.
    pub estimate: f64,
    /// 95 % interval.
    pub interval95: Interval,
    /// q-value over every candidate of the scan.
    pub q_value: f64,
}

/// A metric that moves before another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadingIndicator {
    /// Brand of both.
    pub brand: BrandId,
    /// The metric that moves first.
    pub indicator: MetricId,
    /// The metric that follows.
    pub outcome: MetricId,
    /// Periods between them.
    pub lag: u32,
    /// Change of the outcome per unit of the indicator.
    pub estimate: f64,
    /// 95 % interval.
    pub interval95: Interval,
    /// q-value over every candidate of the scan.
    pub q_value: f64,
}
