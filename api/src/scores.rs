//! Brand scores and their history.

use std::sync::Arc;

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

mirror! {
    /// One metric's part in the change of a score.
    MetricChange of ::agents::analysis::MetricChange {
        /// The metric.
        metric: Id<MetricId>,
        /// Points of the score; exact Shapley value.
        points: f64,
    }
}

mirror_enum! {
    /// Why a change is not taken apart.
    UnexplainedChange of ::agents::analysis::UnexplainedChange {
        /// There is no score now or before.
        NotScored,
        /// More than twenty metrics changed their weight, appeared or vanished.
        TooMany,
    }
}

mirror! {
    /// A move of weight from one metric to another.
    WeightShift of ::agents::analysis::WeightShift {
        /// Metric that loses weight.
        from: Id<MetricId>,
        /// Metric that gains it.
        to: Id<MetricId>,
        /// How much, in the weights' unit.
        weight: f64,
    }
}

mirror_enum! {
    /// Why no move of weight swaps two brands.
    SwapImpossible of ::agents::analysis::SwapImpossible {
        /// One of them has no score.
        NotScored,
        /// They are scored on different metrics.
        OtherMetrics,
        /// The one ahead is ahead, or level, on every metric with weight.
        Dominated,
        /// They are level already.
        Level,
    }
}

mirror! {
    /// What it takes for two brands to change places.
    ScoreSwap of ::agents::analysis::ScoreSwap {
        /// The other brand.
        against: Id<BrandId>,
        /// The smallest moves of weight after which the one behind is level, in the order in which they count.
        shifts: Vec<WeightShift>,
        /// Weight moved in all, as a share of all weight; absent where no move does it.
        share: Option<f64>,
        /// Why no move of weight does it.
        impossible: Option<SwapImpossible>,
    }
}

mirror! {
    /// Why a score is what it is.
    ScoreExplanation of ::agents::analysis::ScoreExplanation {
        /// The brand.
        brand: Id<BrandId>,
        /// Project; absent for the whole portfolio.
        project: Option<Id<ProjectId>>,
        /// Period of the score.
        period: NaiveDate,
        /// Period of the score before.
        since: NaiveDate,
        /// The score; absent when nothing was scorable.
        score: Option<f64>,
        /// The score before.
        before: Option<f64>,
        /// Every metric's exact part in the change, in points, the largest first; they add up to it.
        changes: Vec<MetricChange>,
        /// Why the change is not taken apart, where it is not.
        unexplained: Option<UnexplainedChange>,
        /// 1 is the best brand by the given weights; equal scores share a rank.
        rank: Option<u32>,
        /// Share of drawn weightings by rank: the first is how often the brand was best.
        rank_shares: Vec<f64>,
        /// Best rank that at least one drawn weighting in forty reaches.
        best_rank: Option<u32>,
        /// Worst rank that at least one drawn weighting in forty reaches.
        worst_rank: Option<u32>,
        /// What it takes to draw level with another brand.
        swap: Option<ScoreSwap>,
        /// Where it comes from.
        provenance: Provenance,
    }
}

fn one() -> u32 {
    1
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

    /// Explain a brand's newest score.
    ///
    /// Which metrics changed it, how much of its rank is the weights' doing, and the smallest move of weight that swaps it with
    /// another brand. Computed once for each state of the data.
    #[oai(
        path = "/scores/explanation",
        method = "get",
        operation_id = "score_explanation"
    )]
    async fn explanation(
        &self,
        caller: Caller,
        /// The brand.
        brand_id: Query<Id<BrandId>>,
        /// Only this project; the whole portfolio when absent.
        project_id: Query<Option<Id<ProjectId>>>,
        /// The change since the score so many times four weeks earlier.
        #[oai(
            default = "one",
            validator(minimum(value = "1"), maximum(value = "12"))
        )]
        back: Query<u32>,
        /// The brand to swap with; the next one ahead when absent.
        against_id: Query<Option<Id<BrandId>>>,
    ) -> Answer<Json<ScoreExplanation>> {
        let found = self
            .0
            .state
            .agents
            .analysis()
            .score_explanation(
                &caller.principal,
                brand_id.0.0,
                project_id.0.back(),
                back.0,
                against_id.0.back(),
            )
            .await?;
        Ok(Json(Mirror::of(Arc::unwrap_or_clone(found))))
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
