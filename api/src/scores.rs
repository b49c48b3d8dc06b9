//! Brand scores and their history.

use chrono::NaiveDate;
use domain::id::{BrandId, MetricId, ProjectId, ScoreId};
use poem_openapi::{OpenApi, param::Query, payload::Json};

use crate::{
    App, Tag,
    auth::Caller,
    metrics::Section,
    mirror::{Id, Mirror, Reflect, mirror, mirror_enum},
    problem::Answer,
    quantities::Provenance,
};

mirror_enum! {
    /// The product's five bands.
    Band of domain::score::Band {
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
}

mirror! {
    /// One metric's part in a score.
    ScoreLine of domain::score::ScoreLine {
        /// The metric.
        metric: Id<MetricId>,
        /// Version of its definition that was used.
        metric_version: u32,
        /// Section.
        section: Section,
        /// The brand's value; absent where it has none.
        value: Option<f64>,
        /// Benchmark of the metric; absent where it could not be computed.
        benchmark: Option<f64>,
        /// Normalised value 0 to 100; absent means not scorable (no value, or benchmark ≤ 0).
        normalised: Option<f64>,
        /// Weight.
        weight: f64,
        /// Exact Shapley contribution to the brand's score against the peers' mean, in points.
        contribution: Option<f64>,
    }
}

mirror! {
    /// A section's score.
    SectionScore of domain::score::SectionScore {
        /// The section.
        section: Section,
        /// 0 to 100; absent when nothing in it is scorable.
        value: Option<f64>,
    }
}

mirror! {
    /// The score of one brand in one project on one date.
    Score of domain::score::Score {
        /// The id.
        id: Id<ScoreId>,
        /// Brand.
        brand: Id<BrandId>,
        /// Project; absent for the whole portfolio.
        project: Option<Id<ProjectId>>,
        /// Period the score is for.
        period: NaiveDate,
        /// 0 to 100; absent when no metric is scorable.
        value: Option<f64>,
        /// Its band.
        band: Option<Band>,
        /// Share of weight that had a value, 0 to 1: how much of the score is known.
        coverage: f64,
        /// By section.
        sections: Vec<SectionScore>,
        /// By metric.
        lines: Vec<ScoreLine>,
        /// Where it comes from.
        provenance: Provenance,
    }
}

mirror! {
    /// A past score.
    ScorePoint of ::agents::analysis::ScorePoint {
        /// Period the score is for.
        period: NaiveDate,
        /// 0 to 100; absent when nothing was scorable.
        value: Option<f64>,
        /// Its band.
        band: Option<Band>,
    }
}

/// Scores.
pub(crate) struct ScoreApi(pub(crate) App);

#[OpenApi(tag = "Tag::Analytics")]
impl ScoreApi {
    /// List the latest scores.
    ///
    /// One for each brand, project and method, with every metric's part.
    #[oai(path = "/scores", method = "get", operation_id = "score_list")]
    async fn list(
        &self,
        caller: Caller,
        /// Only this project.
        project_id: Query<Option<Id<ProjectId>>>,
        /// Only this brand.
        brand_id: Query<Option<Id<BrandId>>>,
        /// Only this method, as in `provenance.method`.
        method: Query<Option<String>>,
    ) -> Answer<Json<Vec<Score>>> {
        let mut scores = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .scores()
            .latest(project_id.0.back())
            .await?;
        scores.retain(|score| {
            brand_id
                .0
                .as_ref()
                .is_none_or(|brand| score.brand == brand.0)
                && method
                    .0
                    .as_ref()
                    .is_none_or(|method| &score.provenance.method == method)
        });
        Ok(Json(Mirror::of(scores)))
    }

    /// Get the history of a brand's score.
    ///
    /// For the whole portfolio, oldest first.
    #[oai(
        path = "/scores/history",
        method = "get",
        operation_id = "score_history"
    )]
    async fn history(
        &self,
        caller: Caller,
        /// The brand.
        brand_id: Query<Id<BrandId>>,
    ) -> Answer<Json<Vec<ScorePoint>>> {
        let history = self
            .0
            .state
            .agents
            .analysis()
            .score_history(&caller.principal, brand_id.0.0)
            .await?;
        Ok(Json(Mirror::of(history)))
    }
}
