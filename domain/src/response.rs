//! Response curves: what spend in a channel does to a brand's sales.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    id::{BrandId, ChannelId, FitId},
    provenance::Provenance,
    unit::Interval,
};

/// The fitted curve of one brand and channel. Carry-over is geometric and normalised, saturation is a Hill curve:
/// `sales(x) = scale · a^shape / (a^shape + half^shape)` with `a` the carried-over weekly spend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseCurve {
    /// Brand whose spend it is.
    pub brand: BrandId,
    /// Channel.
    pub channel: ChannelId,
    /// Share of the effect carried to the next week, 0 to 1.
    pub carry_over: f64,
    /// Weekly spend at half the maximum.
    pub half: f64,
    /// Shape; 1 is concave everywhere.
    pub shape: f64,
    /// Maximum weekly sales the channel can add, in currency.
    pub scale: f64,
    /// Mean weekly spend in the last weeks, the current plan.
    pub current_spend: f64,
    /// Margin × extra sales (tail included) per extra unit of spend at the current plan; break-even is 1.
    pub marginal_return: f64,
    /// 80 % interval of the marginal return.
    pub marginal_return80: Interval,
    /// 95 % interval of the marginal return.
    pub marginal_return95: Interval,
    /// Benjamini–Hochberg q-value against break-even.
    pub q_value: f64,
    /// Why the number should be read with care: little variation, strong correlation with another channel.
    pub warnings: Vec<String>,
}

/// All curves fitted together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseFit {
    /// The id.
    pub id: FitId,
    /// Last period used.
    pub origin: NaiveDate,
    /// The curves.
    pub curves: Vec<ResponseCurve>,
    /// The parameter draws and everything else a what-if needs, as the analytics wrote it.
    pub model: serde_json::Value,
    /// Where it comes from.
    pub provenance: Provenance,
}
