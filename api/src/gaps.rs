//! Gaps to rivals, changes in what rivals do, and metrics that move first.

use chrono::NaiveDate;
use domain::id::{BrandId, MetricId};
use poem_openapi::{OpenApi, param::Query, payload::Json};

use crate::{
    App, Tag,
    auth::Caller,
    mirror::{Id, Mirror, Reflect, mirror, mirror_enum},
    problem::Answer,
    quantities::Interval,
};

mirror_enum! {
    /// What a gap is measured to.
    GapReference of domain::competition::Reference {
        /// The best brand.
        Leader,
        /// The benchmark: the 75th percentile (25th where lower is better).
        Benchmark,
        /// The mean of the category.
        Category,
    }
}

mirror! {
    /// The distance of a brand from a reference on one metric.
    Gap of domain::competition::Gap {
        /// Brand.
        brand: Id<BrandId>,
        /// Metric.
        metric: Id<MetricId>,
        /// Measured to.
        reference: GapReference,
        /// The brand's value: mean of the last weeks.
        value: f64,
        /// The reference's value over the same weeks.
        reference_value: f64,
        /// Positive means behind, in the metric's unit, whichever direction is better.
        gap: f64,
        /// The gap as a share of the reference; absent where the reference is 0.
        relative: Option<f64>,
        /// The gap with the leading brand left out of the peers; shows how much one brand decides.
        without_leader: Option<f64>,
        /// 1 is the best brand.
        rank: u32,
        /// Number of brands compared.
        peers: u32,
        /// First day of the last period used.
        period: NaiveDate,
    }
}

mirror! {
    /// A rival's behaviour changed.
    RivalChange of domain::competition::RivalChange {
        /// The rival.
        rival: Id<BrandId>,
        /// Metric in which it shows.
        metric: Id<MetricId>,
        /// First week of the change.
        start: NaiveDate,
        /// Mean change per week in the metric's unit.
        estimate: f64,
        /// 95 % interval.
        interval95: Interval,
        /// q-value over every candidate of the scan.
        q_value: f64,
    }
}

mirror! {
    /// A metric that moves before another.
    LeadingIndicator of domain::competition::LeadingIndicator {
        /// Brand of both.
        brand: Id<BrandId>,
        /// The metric that moves first.
        indicator: Id<MetricId>,
        /// The metric that follows.
        outcome: Id<MetricId>,
        /// Periods between them.
        lag: u32,
        /// Change of the outcome per unit of the indicator.
        estimate: f64,
        /// 95 % interval.
        interval95: Interval,
        /// q-value over every candidate of the scan.
        q_value: f64,
    }
}

/// Competition.
pub(crate) struct GapApi(pub(crate) App);

#[OpenApi(tag = "Tag::Analytics")]
impl GapApi {
    /// List the gaps.
    ///
    /// To the leader, the benchmark and the mean of the category.
    #[oai(path = "/gaps", method = "get", operation_id = "gap_list")]
    async fn gaps(
        &self,
        caller: Caller,
        /// Only this brand.
        brand_id: Query<Option<Id<BrandId>>>,
    ) -> Answer<Json<Vec<Gap>>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .agents
                .analysis()
                .gaps(&caller.principal, brand_id.0.back())
                .await?,
        )))
    }

    /// List changes in what rivals do.
    ///
    /// With the week they began and how sure it is.
    #[oai(path = "/rivals", method = "get", operation_id = "rival_list")]
    async fn rivals(&self, caller: Caller) -> Answer<Json<Vec<RivalChange>>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .agents
                .analysis()
                .rivals(&caller.principal)
                .await?,
        )))
    }

    /// List the leading indicators.
    ///
    /// Metrics that move some periods before another.
    #[oai(path = "/indicators", method = "get", operation_id = "indicator_list")]
    async fn indicators(&self, caller: Caller) -> Answer<Json<Vec<LeadingIndicator>>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .agents
                .analysis()
                .indicators(&caller.principal)
                .await?,
        )))
    }
}
