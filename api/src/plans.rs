//! Budget plans, and what a plan would do.

use chrono::{DateTime, NaiveDate, Utc};
use domain::id::{BrandId, ChannelId, PlanId, RecommendationId};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};

use crate::{
    App, Tag,
    actor::Actor,
    answer::Created,
    auth::Caller,
    etag::{self, Tagged},
    mirror::{Amount, Id, Mirror, mirror, mirror_enum},
    page::{self, Listed},
    permissions::BASE,
    problem::Answer,
    quantities::{Effect, Money, Provenance},
    recommendations::Recommendation,
};

mirror! {
    /// Weekly spend of one brand in one channel.
    PlanLine both_ways domain::budget::PlanLine {
        /// Brand.
        brand: Id<BrandId>,
        /// Channel.
        channel: Id<ChannelId>,
        /// Planned spend per week, in the plan's currency.
        weekly: Amount,
        /// What is spent per week now.
        current: Amount,
        /// Least the solver was allowed to put here.
        lower: Amount,
        /// Most the solver was allowed to put here.
        upper: Amount,
        /// Margin × extra sales (cross effects and tail included) per extra unit here, under the plan; absent for a line
        /// without a fitted curve.
        marginal_return: Option<f64>,
    }
}

mirror! {
    /// A rule that holds a plan back.
    BindingRule of domain::budget::BindingRule {
        /// The rule in words.
        rule: String,
        /// What relaxing it by one currency unit a week would earn.
        shadow_price: f64,
    }
}

mirror! {
    /// Proof of how good a plan is. Recomputing it from the plan's curves gives the same numbers.
    Certificate of domain::budget::Certificate {
        /// What one more currency unit of total budget would earn: the shadow price of the total.
        shadow_price: f64,
        /// Upper bound on what any plan under the same rules could still add, as a share of the plan's value.
        gap: f64,
        /// Largest violation of the optimality conditions over the free lines, in units of marginal return.
        stationarity: f64,
        /// Rules that bind, in words, with what relaxing each by one currency unit would earn.
        binding: Vec<BindingRule>,
    }
}

mirror_enum! {
    /// Where a plan stands.
    PlanStatus of domain::budget::PlanStatus {
        /// Somebody's draft, or an agent's proposal.
        Draft,
        /// The plan of record.
        OfRecord,
        /// It was of record before another one.
        Superseded,
        /// It was withdrawn.
        Withdrawn,
    }
}

mirror! {
    /// A plan: weekly spend by brand and channel over a horizon.
    Plan of domain::budget::Plan {
        /// The id.
        id: Id<PlanId>,
        /// Version; every edit makes the next, and `If-Match` names it.
        version: u32,
        /// The name.
        name: String,
        /// Where it stands.
        status: PlanStatus,
        /// Monday of the first week.
        start: NaiveDate,
        /// Number of weeks.
        weeks: u32,
        /// Total over all lines and weeks.
        total: Money,
        /// The lines.
        lines: Vec<PlanLine>,
        /// Expected change of profit against carrying on as now at the same total; absent until computed.
        effect: Option<Effect>,
        /// Probability that the effect is positive, 0 to 1.
        confidence: Option<f64>,
        /// Proof of optimality; absent for plans made by hand.
        certificate: Option<Certificate>,
        /// The recommendation it came from.
        recommendation: Option<Id<RecommendationId>>,
        /// Who made it.
        created_by: Actor,
        /// When it was made.
        created_at: DateTime<Utc>,
        /// Where its numbers come from.
        provenance: Provenance,
    }
}

/// Weekly spend of one brand in one channel.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct LineInput {
    /// Brand.
    pub(crate) brand: Id<BrandId>,
    /// Channel.
    pub(crate) channel: Id<ChannelId>,
    /// Spend per week.
    pub(crate) weekly: Amount,
}

/// A plan to be made or its new content.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct PlanInput {
    /// The name.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: String,
    /// Monday of the first week; the next one when it is left out.
    pub(crate) start: Option<NaiveDate>,
    /// Number of weeks.
    #[oai(validator(minimum(value = "1"), maximum(value = "104")))]
    pub(crate) weeks: u32,
    /// The lines.
    #[oai(validator(max_items = 2000))]
    pub(crate) lines: Vec<LineInput>,
}

/// A question: what would this do?
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct WhatIfInput {
    /// The lines that differ; the others stay as they are.
    #[oai(validator(max_items = 2000))]
    pub(crate) lines: Vec<LineInput>,
    /// Number of weeks.
    #[oai(validator(minimum(value = "1"), maximum(value = "104")))]
    pub(crate) weeks: u32,
}

/// A question: what is the best plan?
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct PlanQuestion {
    /// Number of weeks.
    #[oai(validator(minimum(value = "1"), maximum(value = "104")))]
    pub(crate) weeks: u32,
    /// Total per week over all lines; absent keeps what is spent now.
    pub(crate) weekly_total: Option<Amount>,
    /// Lines that spend exactly this; everything else is planned around them.
    #[oai(default, validator(max_items = 2000))]
    pub(crate) keep: Vec<LineInput>,
}

mirror! {
    /// The answer.
    WhatIf of ::agents::plans::WhatIf {
        /// Total over all lines and weeks.
        total: Money,
        /// Expected change of profit against carrying on as now; absent before the first fit.
        effect: Option<Effect>,
        /// Probability that the effect is positive.
        confidence: Option<f64>,
        /// Every line, with its marginal return.
        lines: Vec<PlanLine>,
        /// Standing rules that it breaks, in words.
        violations: Vec<String>,
        /// Milliseconds it took to compute.
        compute_ms: f64,
    }
}

impl LineInput {
    fn line(self) -> agents::plans::WhatIfLine {
        let Self {
            brand,
            channel,
            weekly,
        } = self;
        agents::plans::WhatIfLine {
            brand: brand.0,
            channel: channel.0,
            weekly: weekly.0,
        }
    }
}

impl PlanInput {
    fn draft(self) -> agents::plans::PlanDraft {
        let Self {
            name,
            start,
            weeks,
            lines,
        } = self;
        agents::plans::PlanDraft {
            name,
            start,
            weeks,
            lines: lines.into_iter().map(LineInput::line).collect(),
        }
    }
}

/// Plans.
pub(crate) struct PlanApi(pub(crate) App);

#[OpenApi(tag = "Tag::Plans")]
impl PlanApi {
    /// List the plans.
    ///
    /// Newest first.
    #[oai(path = "/plans", method = "get", operation_id = "plan_list")]
    async fn list(
        &self,
        request: &Request,
        caller: Caller,
        /// Rows on a page, 1 to 200.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<Listed<Plan>> {
        let wanted = page::request(limit.0, cursor.0)?;
        let found = self
            .0
            .state
            .agents
            .plans()
            .list(&caller.principal, wanted)
            .await?;
        Ok(page::listed(request, found))
    }

    /// Get the current plan.
    ///
    /// The plan of record, or what is spent now carried on.
    #[oai(path = "/plans/current", method = "get", operation_id = "plan_current")]
    async fn current(&self, caller: Caller) -> Answer<Tagged<Plan>> {
        let plan = self
            .0
            .state
            .agents
            .plans()
            .current(&caller.principal)
            .await?;
        let version = plan.version;
        Ok(Tagged::new(Mirror::of(plan), version))
    }

    /// Get a plan.
    ///
    /// Its version is in `ETag`.
    #[oai(path = "/plans/:plan_id", method = "get", operation_id = "plan_get")]
    async fn get(&self, caller: Caller, plan_id: Path<Id<PlanId>>) -> Answer<Tagged<Plan>> {
        let plan = self
            .0
            .state
            .agents
            .plans()
            .get(&caller.principal, plan_id.0.0)
            .await?;
        let version = plan.version;
        Ok(Tagged::new(Mirror::of(plan), version))
    }

    /// Make a draft plan.
    ///
    /// Nothing is spent by it: submit it, and a person decides.
    #[oai(path = "/plans", method = "post", operation_id = "plan_create")]
    async fn create(&self, caller: Caller, body: Json<PlanInput>) -> Answer<Created<Plan>> {
        let plan = self
            .0
            .state
            .agents
            .plans()
            .create(&caller.principal, body.0.draft())
            .await?;
        let location = format!("{BASE}/plans/{}", plan.id);
        Ok(Created::Created(Json(Mirror::of(plan)), location))
    }

    /// Change a draft plan.
    ///
    /// Needs `If-Match`.
    #[oai(path = "/plans/:plan_id", method = "put", operation_id = "plan_update")]
    async fn update(
        &self,
        caller: Caller,
        plan_id: Path<Id<PlanId>>,
        /// The `ETag` of the version you looked at.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<PlanInput>,
    ) -> Answer<Tagged<Plan>> {
        let version = etag::version(if_match.0.as_deref())?;
        let plan = self
            .0
            .state
            .agents
            .plans()
            .update(&caller.principal, plan_id.0.0, version, body.0.draft())
            .await?;
        let version = plan.version;
        Ok(Tagged::new(Mirror::of(plan), version))
    }

    /// Submit a draft plan.
    ///
    /// It becomes a recommendation in the inbox.
    #[oai(
        path = "/plans/:plan_id/submit",
        method = "post",
        operation_id = "plan_submit"
    )]
    async fn submit(
        &self,
        caller: Caller,
        plan_id: Path<Id<PlanId>>,
    ) -> Answer<Created<Recommendation>> {
        let made = self
            .0
            .state
            .agents
            .decisions()
            .submit_plan(&caller.principal, plan_id.0.0)
            .await?;
        let location = format!("{BASE}/recommendations/{}", made.id);
        Ok(Created::Created(Json(Mirror::of(made)), location))
    }

    /// Ask what a plan would do.
    ///
    /// Computed from the stored curves; nothing is stored.
    #[oai(
        path = "/plans/what-if",
        method = "post",
        operation_id = "plan_what_if"
    )]
    async fn what_if(&self, caller: Caller, body: Json<WhatIfInput>) -> Answer<Json<WhatIf>> {
        let WhatIfInput { lines, weeks } = body.0;
        let lines = lines.into_iter().map(LineInput::line).collect();
        let answer = self
            .0
            .state
            .agents
            .plans()
            .what_if(&caller.principal, lines, weeks)
            .await?;
        Ok(Json(Mirror::of(answer)))
    }

    /// Ask for the best plan.
    ///
    /// The most profit from the stored curves under the rules in force, around the lines that are to be kept, with its certificate.
    /// Nothing is stored.
    #[oai(
        path = "/plans/optimise",
        method = "post",
        operation_id = "plan_optimise"
    )]
    async fn optimise(&self, caller: Caller, body: Json<PlanQuestion>) -> Answer<Json<Plan>> {
        let PlanQuestion {
            weeks,
            weekly_total,
            keep,
        } = body.0;
        let question = agents::plans::PlanQuestion {
            weeks,
            weekly_total: weekly_total.map(|total| total.0),
            keep: keep.into_iter().map(LineInput::line).collect(),
        };
        let plan = self
            .0
            .state
            .agents
            .plans()
            .optimise(&caller.principal, question)
            .await?;
        Ok(Json(Mirror::of(plan)))
    }
}
