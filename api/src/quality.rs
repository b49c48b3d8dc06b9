//! Whether each series of values can be trusted.

use domain::id::{BrandId, MetricId, ProjectId};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json, types::Example};

use crate::{
    App, Tag,
    auth::Caller,
    mirror::{Id, Mirror, Reflect, mirror, mirror_enum},
    problem::Answer,
};

mirror_enum! {
    /// What agents do with a series.
    QualityVerdict of domain::quality::Verdict {
        /// They use it.
        Pass,
        /// They use it, and what rests on it names what was found.
        Review,
        /// They do not act on it: no forecast, no finding, no part in a score.
        Fail,
    }
}

mirror! {
    /// One thing found in a series.
    QualityFinding of domain::quality::QualityFinding {
        /// The verdict that it alone leads to.
        verdict: QualityVerdict,
        /// What was found, with figures and periods, such as `ended 9 periods ago`.
        text: String,
    }
}

/// The quality of one brand's metric in one project.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub(crate) struct SeriesQuality {
    /// Project.
    project: Id<ProjectId>,
    /// Brand.
    brand: Id<BrandId>,
    /// Metric.
    metric: Id<MetricId>,
    /// The worst of the findings' verdicts.
    verdict: QualityVerdict,
    /// Why; empty for a clean series.
    findings: Vec<QualityFinding>,
}

impl Mirror for SeriesQuality {
    type Of = domain::quality::SeriesQuality;

    fn of(value: Self::Of) -> Self {
        let domain::quality::SeriesQuality {
            project,
            brand,
            metric,
            verdict,
            findings,
        } = value;
        Self {
            project: Id(project),
            brand: Id(brand),
            metric: Id(metric),
            verdict: Mirror::of(verdict),
            findings: Mirror::of(findings),
        }
    }
}

impl Example for SeriesQuality {
    fn example() -> Self {
        Self {
            project: Id(ProjectId::derive(&["example"])),
            brand: Id(BrandId::derive(&["example"])),
            metric: Id(MetricId::derive(&["example"])),
            verdict: QualityVerdict::Fail,
            findings: vec![QualityFinding {
                verdict: QualityVerdict::Fail,
                text: "ended 9 periods ago".to_owned(),
            }],
        }
    }
}

/// Quality of the data.
pub(crate) struct QualityApi(pub(crate) App);

#[OpenApi(tag = "Tag::Metrics")]
impl QualityApi {
    /// List the quality of every series.
    ///
    /// As it was when the data were last looked at, with a verdict that agents obey and what was found, in words.
    #[oai(path = "/quality", method = "get", operation_id = "quality_list")]
    async fn list(
        &self,
        caller: Caller,
        /// Only this brand.
        brand_id: Query<Option<Id<BrandId>>>,
        /// Only this metric.
        metric_id: Query<Option<Id<MetricId>>>,
        /// Only series with this verdict.
        verdict: Query<Option<QualityVerdict>>,
    ) -> Answer<Json<Vec<SeriesQuality>>> {
        let mut series = self
            .0
            .state
            .agents
            .analysis()
            .quality(&caller.principal, brand_id.0.back(), metric_id.0.back())
            .await?;
        let wanted = verdict.0.back();
        series.retain(|one| wanted.is_none_or(|verdict| verdict == one.verdict));
        Ok(Json(Mirror::of(series)))
    }
}
