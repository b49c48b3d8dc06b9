//! How a metric of the brands moves together.

use std::sync::Arc;

use chrono::NaiveDate;
use domain::id::{BrandId, MetricId};
use poem_openapi::{OpenApi, param::Query, payload::Json};

use crate::{
    App, Tag,
    auth::Caller,
    metrics::Granularity,
    mirror::{Id, Mirror, Reflect, mirror, mirror_enum},
    problem::Answer,
    quantities::Provenance,
};

mirror_enum! {
    /// What is said of a pair of brands.
    CorrelationVerdict of ::agents::analysis::CorrelationVerdict {
        /// They move in the same direction.
        Together,
        /// They move in opposite directions.
        Apart,
        /// No link could be told from chance.
        NoEvidence,
        /// The data cannot tell: one of the two hardly moves on its own.
        NotIdentifiable,
    }
}

mirror! {
    /// The test of Granger of one direction: whether one brand's past helps to tell the other.
    RunsAhead of ::agents::analysis::RunsAhead {
        /// Sum of the coefficients of the past; of logarithms: percent per percent.
        total: f64,
        /// Lag with the largest coefficient.
        lag: u32,
        /// p-value.
        p_value: f64,
        /// Benjamini–Hochberg q-value over every ordered pair.
        q_value: f64,
    }
}

mirror! {
    /// Two brands compared, freed from trend, season and their own inertia.
    CorrelationPair of ::agents::analysis::CorrelationPair {
        /// The brand that moves first, or at the same time.
        leader: Id<BrandId>,
        /// The other.
        follower: Id<BrandId>,
        /// Periods between them, where they are correlated most.
        lag: u32,
        /// The correlation there; absent where it cannot be told.
        correlation: Option<f64>,
        /// Correlation in the same period, shrunk towards none as far as it is uncertain.
        shrunk: Option<f64>,
        /// Correlation in the same period given all other brands.
        partial: Option<f64>,
        /// Two-sided p-value, corrected for the lags that were looked at.
        p_value: f64,
        /// Benjamini–Hochberg q-value over every pair that can be told; 1 for the others.
        q_value: f64,
        /// Share of histories drawn in blocks in which the correlation was there again.
        stability: Option<f64>,
        /// Whether the leader's past helps to tell the follower; absent where it could not be tested.
        ahead: Option<RunsAhead>,
        /// Whether the follower's past helps to tell the leader; absent where it could not be tested.
        behind: Option<RunsAhead>,
        /// The conclusion.
        verdict: CorrelationVerdict,
    }
}

mirror_enum! {
    /// Why a brand was not compared.
    NotComparedReason of ::agents::analysis::NotComparedReason {
        /// Too few periods, or less than half of what the others have.
        Short,
        /// Its newest values are missing.
        Late,
        /// Too many periods without a value.
        Gaps,
        /// Others are larger, and only so many can be compared.
        TooMany,
    }
}

mirror! {
    /// A brand that was not compared.
    NotCompared of ::agents::analysis::NotCompared {
        /// The brand.
        brand: Id<BrandId>,
        /// Why.
        reason: NotComparedReason,
    }
}

mirror! {
    /// How a metric of the brands moves together.
    Correlations of ::agents::analysis::Correlations {
        /// The metric.
        metric: Id<MetricId>,
        /// First period that was compared; absent when nothing could be.
        from: Option<NaiveDate>,
        /// Last period.
        to: Option<NaiveDate>,
        /// Period length.
        granularity: Granularity,
        /// Whether logarithms were compared.
        logarithms: bool,
        /// Whether the averages of the other brands stood beside each test of what runs ahead, so that a market that all share
        /// does not look like a link. It takes five brands.
        market_controlled: bool,
        /// Every pair, the surest first.
        pairs: Vec<CorrelationPair>,
        /// Brands that belong together; empty where no groups are clear.
        groups: Vec<Vec<Id<BrandId>>>,
        /// How clear the groups are, −1 to 1; below 0.25 there are none to speak of.
        silhouette: Option<f64>,
        /// Brands that were not compared.
        left_out: Vec<NotCompared>,
        /// Where it comes from.
        provenance: Provenance,
    }
}

/// Correlations.
pub(crate) struct CorrelationApi(pub(crate) App);

#[OpenApi(tag = "Tag::Analytics")]
impl CorrelationApi {
    /// Get the correlations between brands.
    ///
    /// Of one metric, pair by pair: with lag, q-value, stability, what is direct and what runs ahead; and the groups of brands.
    /// Computed once for each state of the data.
    #[oai(
        path = "/correlations",
        method = "get",
        operation_id = "correlation_list"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// The metric; the outcome when absent.
        metric_id: Query<Option<Id<MetricId>>>,
    ) -> Answer<Json<Correlations>> {
        let found = self
            .0
            .state
            .agents
            .analysis()
            .correlations(&caller.principal, metric_id.0.back())
            .await?;
        Ok(Json(Mirror::of(Arc::unwrap_or_clone(found))))
    }
}
