//! Response curves: what spend in a channel does to a brand's sales.

use chrono::NaiveDate;
use domain::{
    ErrorKind,
    id::{BrandId, ChannelId, FitId},
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

use crate::{
    App, Tag,
    auth::Caller,
    mirror::{Id, Mirror, mirror},
    problem::{Answer, Problem},
    quantities::{Interval, Provenance},
};

mirror! {
    /// The fitted curve of one brand and channel. Carry-over is geometric and normalised, saturation is a Hill curve:
    /// `sales(x) = scale · a^shape / (a^shape + half^shape)` with `a` the carried-over weekly spend.
    ResponseCurve of domain::response::ResponseCurve {
        /// Brand whose spend it is.
        brand: Id<BrandId>,
        /// Channel.
        channel: Id<ChannelId>,
        /// Share of the effect carried to the next week, 0 to 1.
        carry_over: f64,
        /// Weekly spend at half the maximum.
        half: f64,
        /// Shape; 1 is concave everywhere.
        shape: f64,
        /// Maximum weekly sales the channel can add, in currency.
        scale: f64,
        /// Mean weekly spend in the last weeks, the current plan.
        current_spend: f64,
        /// Margin × extra sales (tail included) per extra unit of spend at the current plan; break-even is 1.
        marginal_return: f64,
        /// 80 % interval of the marginal return.
        marginal_return80: Interval,
        /// 95 % interval of the marginal return.
        marginal_return95: Interval,
        /// Benjamini–Hochberg q-value against break-even.
        q_value: f64,
        /// Why the number should be read with care: little variation, strong correlation with another channel.
        warnings: Vec<String>,
    }
}

/// All curves fitted together.
#[derive(Clone, Debug, Object)]
pub(crate) struct ResponseFit {
    /// The id.
    pub(crate) id: Id<FitId>,
    /// Last period used.
    pub(crate) origin: NaiveDate,
    /// The curves.
    pub(crate) curves: Vec<ResponseCurve>,
    /// Where it comes from.
    pub(crate) provenance: Provenance,
}

impl Mirror for ResponseFit {
    type Of = domain::response::ResponseFit;

    /// Leaves out `model`: the parameter draws are megabytes that only the what-if needs.
    fn of(value: domain::response::ResponseFit) -> Self {
        let domain::response::ResponseFit {
            id,
            origin,
            curves,
            model: _,
            provenance,
        } = value;
        Self {
            id: Id(id),
            origin,
            curves: Mirror::of(curves),
            provenance: Mirror::of(provenance),
        }
    }
}

mirror! {
    /// One point of a curve.
    CurvePoint of ::agents::analysis::CurvePoint {
        /// Weekly spend.
        weekly: f64,
        /// Weekly sales it adds.
        sales: f64,
        /// Lower end of the 80 % interval.
        low80: f64,
        /// Upper end of the 80 % interval.
        high80: f64,
    }
}

mirror! {
    /// A curve to be drawn.
    Curve of ::agents::analysis::Curve {
        /// Points from no spend to well above today's.
        points: Vec<CurvePoint>,
        /// Weekly spend now.
        current: f64,
    }
}

/// Response curves.
pub(crate) struct ResponseApi(pub(crate) App);

#[OpenApi(tag = "Tag::Analytics")]
impl ResponseApi {
    /// Get the fitted response curves.
    ///
    /// The latest fit; 404 before the first one.
    #[oai(path = "/responses", method = "get", operation_id = "response_get")]
    async fn get(&self, caller: Caller) -> Answer<Json<ResponseFit>> {
        let fit = self
            .0
            .state
            .agents
            .analysis()
            .responses(&caller.principal)
            .await?;
        fit.map(|fit| Json(Mirror::of(fit))).ok_or_else(|| {
            Problem::new(
                ErrorKind::NotFound,
                "response.none_yet",
                "no response curves have been fitted yet",
            )
            .advise("import data and run the optimisation agent")
        })
    }

    /// Get one curve as points.
    ///
    /// With its 80 % band, for a chart.
    #[oai(
        path = "/responses/:brand_id/:channel_id/curve",
        method = "get",
        operation_id = "response_curve"
    )]
    async fn curve(
        &self,
        caller: Caller,
        brand_id: Path<Id<BrandId>>,
        channel_id: Path<Id<ChannelId>>,
    ) -> Answer<Json<Curve>> {
        let curve = self
            .0
            .state
            .agents
            .analysis()
            .curve(&caller.principal, brand_id.0.0, channel_id.0.0)
            .await?;
        Ok(Json(Mirror::of(curve)))
    }
}
