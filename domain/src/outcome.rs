//! What an applied recommendation really did.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{BrandId, MetricId, OutcomeId, ProjectId, RecommendationId, TargetId},
    provenance::Provenance,
    unit::Interval,
};

/// The verdict of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeVerdict {
    /// The effect was as promised.
    Verified,
    /// It was not.
    Refuted,
    /// It cannot be told.
    Inconclusive,
}

/// A measured outcome: promised against realised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The id.
    pub id: OutcomeId,
    /// The recommendation.
    pub recommendation: RecommendationId,
    /// First and last week measured.
    pub from: NaiveDate,
    /// Last week measured.
    pub to: NaiveDate,
    /// Promised effect over that window.
    pub promised: f64,
    /// Realised effect by our estimator.
    pub realised: Option<f64>,
    /// 80 % interval of the realised effect.
    pub interval80: Option<Interval>,
    /// The verdict.
    pub verdict: OutcomeVerdict,
    /// Why, in a sentence.
    pub reason: String,
    /// Where it comes from.
    pub provenance: Provenance,
    /// When it was measured.
    pub at: DateTime<Utc>,
}

/// A target on a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The id.
    pub id: TargetId,
    /// Brand.
    pub brand: BrandId,
    /// Metric.
    pub metric: MetricId,
    /// Value when it was set.
    pub from: f64,
    /// Value to reach.
    pub to: f64,
    /// By this date.
    pub due: NaiveDate,
    /// Where it came from.
    pub recommendation: Option<RecommendationId>,
    /// Whether it is in force.
    pub active: bool,
}

/// A correction of one ingested value. The original stays; analytics see the corrected value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// The id.
    pub id: crate::id::CorrectionId,
    /// Project.
    pub project: ProjectId,
    /// Brand.
    pub brand: BrandId,
    /// Metric.
    pub metric: MetricId,
    /// Period.
    pub period: NaiveDate,
    /// Value to use instead; `None` excludes the period.
    pub value: Option<f64>,
    /// Where it came from.
    pub recommendation: Option<RecommendationId>,
    /// Whether it is in force.
    pub active: bool,
}
