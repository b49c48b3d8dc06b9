//! Whether a series of values can be trusted.

use serde::{Deserialize, Serialize};

use crate::id::{BrandId, MetricId, ProjectId};

/// What to do with a series. Agents obey it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Use it.
    Pass,
    /// Use it, and tell the reader.
    Review,
    /// Do not act on it.
    Fail,
}

/// One thing found in a series, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QualityFinding {
    /// The verdict that it alone leads to.
    pub verdict: Verdict,
    /// The rest of a sentence that begins with the series, with figures and periods.
    pub text: String,
}

/// The quality of one brand's metric in one project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesQuality {
    /// Project.
    pub project: ProjectId,
    /// Brand.
    pub brand: BrandId,
    /// Metric.
    pub metric: MetricId,
    /// The worst of the findings' verdicts.
    pub verdict: Verdict,
    /// Why; empty for a clean series.
    pub findings: Vec<QualityFinding>,
}
