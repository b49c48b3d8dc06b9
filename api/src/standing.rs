//! Where a brand stands among its rivals.

use std::sync::Arc;

use chrono::NaiveDate;
use domain::id::{BrandId, ChannelId, MetricId};
use poem_openapi::{OpenApi, param::Query, payload::Json};

use crate::{
    App, Tag,
    auth::Caller,
    mirror::{Id, Mirror, mirror, mirror_enum},
    problem::Answer,
    quantities::{Interval, Provenance},
};

mirror! {
    /// Where a brand stands.
    Standing of ::agents::analysis::Standing {
        /// The brand.
        brand: Id<BrandId>,
        /// Last period used.
        period: NaiveDate,
        /// Its voice and its market.
        voice: ShareOfVoice,
        /// Growth by metric, where it can be told.
        momentum: Vec<MetricMomentum>,
        /// Strengths, weaknesses, opportunities and threats, each with its numbers.
        swot: Vec<SwotEntry>,
        /// Channels by how much of the brand's gap to the benchmark in the outcome one more unit of money a week closes, best first. Empty
        /// where the brand is not behind, no response was fitted, or its margin is not known.
        closing: Vec<GapClosing>,
        /// Where it comes from.
        provenance: Provenance,
    }
}

mirror! {
    /// Share of voice and of market over the last year.
    ShareOfVoice of ::agents::analysis::ShareOfVoice {
        /// Share of all known spend, 0 to 1; absent where the brand's is not known.
        share_of_voice: Option<f64>,
        /// Share of all known sales, 0 to 1.
        share_of_market: Option<f64>,
        /// Share of voice less share of market among the brands of which both are known; above zero a brand tends to grow.
        excess: Option<f64>,
        /// What a rule of thumb expects of it, in shares of the market a year; no estimate from these data.
        expected_change: Option<f64>,
        /// Brands whose spend is known.
        voices: u32,
        /// Brands whose sales are known.
        markets: u32,
    }
}

mirror! {
    /// How fast a metric of the brand grows.
    MetricMomentum of ::agents::analysis::MetricMomentum {
        /// The metric.
        metric: Id<MetricId>,
        /// Growth per period, as a difference of logarithms: 0.01 is about 1 %.
        growth: f64,
        /// Its 95 % interval.
        growth95: Interval,
        /// Growth over the mean growth of the other brands; season and market that all share are not in it.
        relative: Option<f64>,
        /// Its 95 % interval.
        relative95: Option<Interval>,
    }
}

mirror! {
    /// One of the four, with the numbers it rests on. Growths are turned so that up is better.
    SwotEntry of ::agents::analysis::SwotEntry {
        /// Which of the four.
        kind: SwotKind,
        /// The metric.
        metric: Id<MetricId>,
        /// Why.
        because: SwotReason,
        /// The brand's value, where that is the reason.
        value: Option<f64>,
        /// Quartile of the other brands that it is beyond.
        quartile: Option<f64>,
        /// The brand's growth per period.
        growth: Option<f64>,
        /// The brand that grows faster.
        peer: Option<Id<BrandId>>,
        /// By how much per period.
        difference: Option<f64>,
        /// p-value of the growth or of the difference.
        p_value: Option<f64>,
        /// Share of the gap that one more unit of money a week closes.
        closed_per_unit: Option<f64>,
    }
}

mirror_enum! {
    /// The four.
    SwotKind of ::agents::analysis::SwotKind {
        /// Above the upper quartile and not falling.
        Strength,
        /// Below the lower quartile, or falling.
        Weakness,
        /// Far behind, where money closes the gap.
        Opportunity,
        /// Another brand grows faster.
        Threat,
    }
}

mirror_enum! {
    /// Why an entry is there.
    SwotReason of ::agents::analysis::SwotReason {
        /// Better than three quarters of the other brands.
        AboveUpperQuartile,
        /// Worse than three quarters of the other brands.
        BelowLowerQuartile,
        /// It gets worse.
        Falling,
        /// Money closes the gap.
        GapThatMoneyCloses,
        /// Another brand gets better faster.
        PeerGrowsFaster,
    }
}

mirror! {
    /// What one more unit of money a week in a channel does to the gap in the outcome.
    GapClosing of ::agents::analysis::GapClosing {
        /// The channel.
        channel: Id<ChannelId>,
        /// The gap to the benchmark, per week in the outcome's unit.
        gap: f64,
        /// Share of it that one more unit of money a week closes.
        closed_per_unit: f64,
        /// Its 80 % interval.
        closed80: Interval,
        /// Money a week that would close it if returns did not fall; they do, so it takes more. absent where money does not close it.
        at_least: Option<f64>,
    }
}

/// Standing.
pub(crate) struct StandingApi(pub(crate) App);

#[OpenApi(tag = "Tag::Analytics")]
impl StandingApi {
    /// Get where a brand stands.
    ///
    /// Share of voice and of market, momentum, strengths, weaknesses, opportunities and threats with their numbers, and where money
    /// closes most of its gap. Computed once for each state of the data.
    #[oai(path = "/standing", method = "get", operation_id = "standing_get")]
    async fn get(
        &self,
        caller: Caller,
        /// The brand.
        brand_id: Query<Id<BrandId>>,
    ) -> Answer<Json<Standing>> {
        let found = self
            .0
            .state
            .agents
            .analysis()
            .standing(&caller.principal, brand_id.0.0)
            .await?;
        Ok(Json(Mirror::of(Arc::unwrap_or_clone(found))))
    }
}
