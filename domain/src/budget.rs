//! Budget plans with their certificate, and the standing constraints every plan obeys.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    access::Actor,
    id::{BrandId, ChannelId, ConstraintId, PlanId, RecommendationId},
    provenance::Provenance,
    unit::{Effect, Money},
};

/// Weekly spend of one brand in one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanLine {
    /// Brand.
    pub brand: BrandId,
    /// Channel.
    pub channel: ChannelId,
    /// Planned spend per week, in the plan's currency.
    pub weekly: Decimal,
    /// What is spent per week now.
    pub current: Decimal,
    /// Least the solver was allowed to put here.
    pub lower: Decimal,
    /// Most the solver was allowed to put here.
    pub upper: Decimal,
    /// Margin × extra sales (cross effects and tail included) per extra unit here, under the plan; `None` for a line
    /// without a fitted curve.
    pub marginal_return: Option<f64>,
}

/// Proof of how good a plan is. Recomputing it from the plan's curves gives the same numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// What one more currency unit of total budget would earn: the shadow price of the total.
    pub shadow_price: f64,
    /// Upper bound on what any plan under the same rules could still add, as a share of the plan's value.
    pub gap: f64,
    /// Largest violation of the optimality conditions over the free lines, in units of marginal return.
    pub stationarity: f64,
    /// Rules that bind, in words, with what relaxing each by one currency unit would earn.
    pub binding: Vec<BindingRule>,
}

/// A rule that holds a plan back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BindingRule {
    /// The rule in words.
    pub rule: String,
    /// What relaxing it by one currency unit a week would earn.
    pub shadow_price: f64,
}

/// Where a plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Somebody's draft, or an agent's proposal.
    Draft,
    /// The plan of record.
    OfRecord,
    /// It was of record before another one.
    Superseded,
    /// It was withdrawn.
    Withdrawn,
}

/// A plan: weekly spend by brand and channel over a horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The id.
    pub id: PlanId,
    /// Version; every edit makes the next, and `If-Match` names it.
    pub version: u32,
    /// The name.
    pub name: String,
    /// Where it stands.
    pub status: PlanStatus,
    /// Monday of the first week.
    pub start: NaiveDate,
    /// Number of weeks.
    pub weeks: u32,
    /// Total over all lines and weeks.
    pub total: Money,
    /// The lines.
    pub lines: Vec<PlanLine>,
    /// Expected change of profit against carrying on as now at the same total; `None` until computed.
    pub effect: Option<Effect>,
    /// Probability that the effect is positive, 0 to 1.
    pub confidence: Option<f64>,
    /// Proof of optimality; `None` for plans made by hand.
    pub certificate: Option<Certificate>,
    /// The recommendation it came from.
    pub recommendation: Option<RecommendationId>,
    /// Who made it.
    pub created_by: Actor,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Where its numbers come from.
    pub provenance: Provenance,
}

/// A standing rule. A field that is `None` means "any".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Rule {
    /// Weekly spend of the matching lines together is at most this.
    Cap {
        /// Brand, or any.
        brand: Option<BrandId>,
        /// Channel, or any.
        channel: Option<ChannelId>,
        /// Amount per week.
        weekly: Decimal,
    },
    /// Weekly spend of the matching lines together is at least this.
    Minimum {
        /// Brand, or any.
        brand: Option<BrandId>,
        /// Channel, or any.
        channel: Option<ChannelId>,
        /// Amount per week.
        weekly: Decimal,
    },
    /// The matching line stays as it is.
    Exclusion {
        /// Brand.
        brand: BrandId,
        /// Channel.
        channel: ChannelId,
    },
    /// The driver's media is not raised above this, because it takes sales from the affected brand.
    CannibalisationCap {
        /// Brand whose media is capped.
        driver: BrandId,
        /// Brand that is protected.
        affected: BrandId,
        /// Amount per week over all of the driver's channels.
        weekly: Decimal,
    },
    /// The two brands' media is moved together: when the driver's rises, at least this share of the rise is kept for it.
    JointAction {
        /// Brand whose media lifts the other.
        driver: BrandId,
        /// Brand that is lifted.
        affected: BrandId,
        /// Least weekly spend of the driver over all channels.
        weekly: Decimal,
    },
}

/// A standing constraint: a rule in force since a date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// The id.
    pub id: ConstraintId,
    /// The rule.
    pub rule: Rule,
    /// Why it is there.
    pub reason: String,
    /// The recommendation it came from.
    pub recommendation: Option<RecommendationId>,
    /// Whether plans obey it now.
    pub active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}
