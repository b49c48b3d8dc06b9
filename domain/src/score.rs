//! The brand score and its parts.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    id::{BrandId, MetricId, ProjectId, ScoreId},
    metric::Section,
    provenance::Provenance,
};

/// The product's five bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Below 20.
    AtRisk,
    /// 20 to 50.
    DigitalChallenger,
    /// Above 50, up to 60.
    SteadyPerformer,
    /// Above 60, up to 80.
    GrowthAccelerator,
    /// Above 80.
    DigitalTrailblazer,
}

impl Band {
    /// The band of a score between 0 and 100.
    pub fn of(score: f64) -> Self {
        match score {
            s if s < 20.0 => Self::AtRisk,
            s if s <= 50.0 => Self::DigitalChallenger,
            s if s <= 60.0 => Self::SteadyPerformer,
            s if s <= 80.0 => Self::GrowthAccelerator,
            _ => Self::DigitalTrailblazer,
        }
    }
}

/// One metric's part in a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreLine {
    /// The metric.
    pub metric: MetricId,
    /// Version of its definition that was used.
    pub metric_version: u32,
    /// Section.
    pub section: Section,
    /// The brand's value; `None` where it has none.
    pub value: Option<f64>,
    /// Benchmark of the metric; `None` where it could not be computed.
    pub benchmark: Option<f64>,
    /// Normalised value 0 to 100; `None` means not scorable (no value, or benchmark ≤ 0).
    pub normalised: Option<f64>,
    /// Weight.
    pub weight: f64,
    /// Exact Shapley contribution to the brand's score against the peers' mean, in points.
    pub contribution: Option<f64>,
}

/// A section's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SectionScore {
    /// The section.
    pub section: Section,
    /// 0 to 100; `None` when nothing in it is scorable.
    pub value: Option<f64>,
}

/// The score of one brand in one project on one date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The id.
    pub id: ScoreId,
    /// Brand.
    pub brand: BrandId,
    /// Project; `None` for the whole portfolio.
    pub project: Option<ProjectId>,
    /// Period the score is for.
    pub period: NaiveDate,
    /// 0 to 100; `None` when no metric is scorable.
    pub value: Option<f64>,
    /// Its band.
    pub band: Option<Band>,
    /// Share of weight that had a value, 0 to 1: how much of the score is known.
    pub coverage: f64,
    /// By section.
    pub sections: Vec<SectionScore>,
    /// By metric.
    pub lines: Vec<ScoreLine>,
    /// Where it comes from.
    pub provenance: Provenance,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_have_no_holes() {
        for (score, band) in [
            (19.99, Band::AtRisk),
            (20.0, Band::DigitalChallenger),
            (50.0, Band::DigitalChallenger),
            (50.5, Band::SteadyPerformer),
            (60.0, Band::SteadyPerformer),
            (60.5, Band::GrowthAccelerator),
            (80.0, Band::GrowthAccelerator),
            (80.01, Band::DigitalTrailblazer),
        ] {
            assert_eq!(Band::of(score), band, "{score}");
        }
    }
}
