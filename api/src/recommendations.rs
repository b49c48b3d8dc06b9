//! The inbox: what the agents propose, and what people decide.

mod action;

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    id::{BrandId, RecommendationId},
    recommendation::State as S,
};
use poem::Request;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};

pub(crate) use self::action::Action;
use crate::{
    App, Tag,
    actor::{Actor, AgentKind},
    auth::Caller,
    etag::{self, Tagged},
    mirror::{Id, Mirror, Reflect, mirror, mirror_enum},
    outcomes::Outcome,
    page::{self, Listed},
    problem::Answer,
    quantities::{Effect, Interval, Provenance},
};

/// How far back one can read what was considered.
const CONSIDERED: u32 = 2000;

mirror_enum! {
    /// What kind of action is proposed.
    RecommendationKind of domain::recommendation::Kind {
        /// A new plan of record.
        BudgetPlan,
        /// A standing constraint.
        Guard,
        /// A joint action of two brands.
        Synergy,
        /// A new forecast of record.
        ForecastRevision,
        /// A target with owner and date on a metric.
        MetricTarget,
        /// An ordered set of linked drafts.
        Initiative,
        /// A correction or exclusion of ingested data.
        DataFix,
    }
}

mirror_enum! {
    /// The states of a recommendation's life.
    RecommendationState of domain::recommendation::State {
        /// Made by an agent, not yet through the arbitrator.
        Draft,
        /// In the inbox.
        Proposed,
        /// Somebody looks at it; its action is frozen.
        InReview,
        /// A person approved it; it is applied after the undo window.
        Approved,
        /// A person rejected it.
        Rejected,
        /// Put aside until a date.
        Snoozed,
        /// Nobody decided in time.
        Expired,
        /// A newer one took its place.
        Superseded,
        /// Its evidence no longer holds.
        Withdrawn,
        /// It is being applied.
        Applying,
        /// It was applied.
        Applied,
        /// Applying failed; nothing was changed.
        Failed,
        /// Its effect is being measured.
        Measuring,
        /// The effect was as promised.
        Verified,
        /// The effect was not as promised.
        Refuted,
        /// It cannot be told.
        Inconclusive,
        /// It was applied and then taken back.
        RolledBack,
    }
}

mirror_enum! {
    /// Something that moves a recommendation from one state to the next.
    RecommendationMove of domain::recommendation::Move {
        /// The arbitrator puts it in the inbox.
        Propose,
        /// A person opens it; the action is frozen.
        Open,
        /// A person approves the frozen action, as it is or as edited.
        Approve,
        /// A person rejects it, with a reason.
        Reject,
        /// A person puts it aside until a date.
        Snooze,
        /// The snooze is over.
        Wake,
        /// A person takes the decision back within the undo window.
        Undo,
        /// Its time ran out.
        Expire,
        /// A newer one takes its place.
        Supersede,
        /// Its evidence changed.
        Withdraw,
        /// Applying starts.
        StartApplying,
        /// It was applied.
        Finish,
        /// Applying failed.
        Fail,
        /// Measuring starts.
        StartMeasuring,
        /// Measured: as promised.
        Verify,
        /// Measured: not as promised.
        Refute,
        /// Measured: cannot be told.
        GiveUp,
        /// A person takes an applied action back by its inverse.
        RollBack,
    }
}

mirror! {
    /// A number that supports the proposal, with its source.
    Evidence of domain::recommendation::Evidence {
        /// What the number is, for people.
        label: String,
        /// The number; absent where data is missing, and then `note` says why.
        value: Option<f64>,
        /// Unit.
        unit: String,
        /// 95 % interval ends, where there is one.
        interval95: Option<Interval>,
        /// One sentence more.
        note: String,
        /// Where it comes from.
        provenance: Provenance,
    }
}

mirror! {
    /// A recommendation.
    Recommendation of domain::recommendation::Recommendation {
        /// The id.
        id: Id<RecommendationId>,
        /// Version; every change makes the next, and `If-Match` names it.
        version: u32,
        /// Kind; always that of `action`.
        kind: RecommendationKind,
        /// The agent that proposed it.
        agent: AgentKind,
        /// What it is about, as a stable key such as `brand:Aurora/channel:search`; unique among the open ones of its kind.
        subject: String,
        /// One line for the list.
        title: String,
        /// Two or three sentences: what, why, what happens when approved.
        summary: String,
        /// Brands it touches, for filters.
        brands: Vec<Id<BrandId>>,
        /// The objective it serves, as the organisation or project states it.
        objective: String,
        /// Where it stands.
        state: RecommendationState,
        /// What is applied.
        action: Action,
        /// SHA-256 of `action`.
        action_hash: String,
        /// Expected effect; absent where the kind has none (a data fix).
        effect: Option<Effect>,
        /// P(effect on profit > 0) from parameter draws, 0 to 1; absent where there is no effect.
        confidence: Option<f64>,
        /// The numbers behind it.
        evidence: Vec<Evidence>,
        /// The same proposal made again has the same key and changes nothing.
        dedupe_key: String,
        /// Digest of the data the evidence was computed from; checked again before applying.
        evidence_digest: String,
        /// Domain date it was proposed.
        proposed_on: NaiveDate,
        /// Domain date after which it expires.
        expires_on: NaiveDate,
        /// Domain date until which it is put aside.
        snoozed_until: Option<NaiveDate>,
        /// Database time at which an approval or rejection takes effect.
        applies_at: Option<DateTime<Utc>>,
        /// The one that took its place.
        superseded_by: Option<Id<RecommendationId>>,
        /// The initiative it belongs to.
        parent: Option<Id<RecommendationId>>,
        /// When it was made.
        created_at: DateTime<Utc>,
        /// When it last changed.
        updated_at: DateTime<Utc>,
    }
}

mirror! {
    /// One line of a recommendation's history.
    HistoryEntry of domain::recommendation::HistoryEntry {
        /// When.
        at: DateTime<Utc>,
        /// Who.
        actor: Actor,
        /// Which move; absent for the creation.
        step: Option<RecommendationMove>,
        /// The state after.
        state: RecommendationState,
        /// The reason or comment given.
        note: Option<String>,
        /// The action's hash at that moment.
        action_hash: String,
    }
}

mirror! {
    /// Something an agent looked at and did not propose, or the arbitrator did not choose.
    Considered of domain::recommendation::Considered {
        /// The agent.
        agent: AgentKind,
        /// Kind it would have been.
        kind: RecommendationKind,
        /// What it is about.
        subject: String,
        /// Why not, as a code: `weak_evidence`, `below_threshold`, `budget_line_taken`, `cannibalisation_veto`,
        /// `stale_data`, `duplicate`, `infeasible`.
        reason: String,
        /// The numbers behind the reason, for people.
        detail: String,
    }
}

/// States to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum StateFilter {
    /// Whatever waits for a decision: proposed, in review and snoozed.
    Open,
    /// In the inbox.
    Proposed,
    /// Somebody looks at it.
    InReview,
    /// Approved, and not yet applied.
    Approved,
    /// Rejected.
    Rejected,
    /// Put aside until a date.
    Snoozed,
    /// Nobody decided in time.
    Expired,
    /// A newer one took its place.
    Superseded,
    /// Its evidence no longer holds.
    Withdrawn,
    /// It is being applied.
    Applying,
    /// It was applied.
    Applied,
    /// Applying failed.
    Failed,
    /// Its effect is being measured.
    Measuring,
    /// The effect was as promised.
    Verified,
    /// The effect was not as promised.
    Refuted,
    /// It cannot be told.
    Inconclusive,
    /// It was applied and then taken back.
    RolledBack,
}

impl StateFilter {
    /// The states it stands for.
    fn states(self) -> Vec<S> {
        match self {
            Self::Open => S::ALL.into_iter().filter(|state| state.is_open()).collect(),
            Self::Proposed => vec![S::Proposed],
            Self::InReview => vec![S::InReview],
            Self::Approved => vec![S::Approved],
            Self::Rejected => vec![S::Rejected],
            Self::Snoozed => vec![S::Snoozed],
            Self::Expired => vec![S::Expired],
            Self::Superseded => vec![S::Superseded],
            Self::Withdrawn => vec![S::Withdrawn],
            Self::Applying => vec![S::Applying],
            Self::Applied => vec![S::Applied],
            Self::Failed => vec![S::Failed],
            Self::Measuring => vec![S::Measuring],
            Self::Verified => vec![S::Verified],
            Self::Refuted => vec![S::Refuted],
            Self::Inconclusive => vec![S::Inconclusive],
            Self::RolledBack => vec![S::RolledBack],
        }
    }
}

/// A recommendation with all that a person needs to decide.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct RecommendationDetail {
    /// The recommendation; its version is also in `ETag`.
    pub(crate) recommendation: Recommendation,
    /// What happened to it, oldest first.
    pub(crate) history: Vec<HistoryEntry>,
    /// The drafts of an initiative.
    pub(crate) children: Vec<Recommendation>,
    /// What it really did, once measured.
    pub(crate) outcome: Option<Outcome>,
    /// What you may do with it now.
    pub(crate) allowed: Vec<Decision>,
    /// Until when the last decision can be taken back.
    pub(crate) undo_until: Option<DateTime<Utc>>,
}

/// What a person can do with a recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum Decision {
    /// Look at it; its action is frozen.
    Open,
    /// Approve it.
    Approve,
    /// Reject it.
    Reject,
    /// Put it aside.
    Snooze,
    /// Take the decision back.
    Undo,
    /// Take the applied action back.
    Rollback,
}

impl Decision {
    fn named(name: &str) -> Option<Self> {
        [
            ("open", Self::Open),
            ("approve", Self::Approve),
            ("reject", Self::Reject),
            ("snooze", Self::Snooze),
            ("undo", Self::Undo),
            ("rollback", Self::Rollback),
        ]
        .into_iter()
        .find_map(|(known, decision)| (known == name).then_some(decision))
    }
}

/// An approval.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct Approval {
    /// `action_hash` of the action you looked at.
    #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
    pub(crate) action_hash: String,
    /// The action as you want it instead; of the same kind.
    pub(crate) action: Option<Action>,
    /// A note for the history.
    #[oai(validator(max_length = 2000))]
    pub(crate) note: Option<String>,
}

mirror_enum! {
    /// Why something is rejected; the agents learn from it.
    RejectReason of ::agents::decisions::RejectReason {
        /// A good idea at a bad time.
        NotNow,
        /// The numbers behind it are wrong.
        WrongData,
        /// It cannot be done.
        NotFeasible,
        /// The conclusion is wrong.
        Disagree,
        /// Something else; say it in the comment.
        Other,
    }
}

/// A rejection.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct Rejection {
    /// Why.
    pub(crate) reason: RejectReason,
    /// More about it.
    #[oai(validator(max_length = 2000))]
    pub(crate) comment: Option<String>,
}

/// Putting something aside.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct Snooze {
    /// The day it comes back, by the organisation's clock.
    pub(crate) until: NaiveDate,
}

/// Taking an applied action back.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct Rollback {
    /// Why.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub(crate) reason: String,
}

/// How large the effect is, whatever its sign.
fn size(recommendation: &domain::recommendation::Recommendation) -> f64 {
    recommendation
        .effect
        .as_ref()
        .map_or(0.0, |effect| effect.value.abs())
}

fn tagged(detail: agents::decisions::Detail) -> Tagged<RecommendationDetail> {
    let agents::decisions::Detail {
        recommendation,
        history,
        children,
        outcome,
        allowed,
        undo_until,
    } = detail;
    let version = recommendation.version;
    let view = RecommendationDetail {
        recommendation: Mirror::of(recommendation),
        history: Mirror::of(history),
        children: Mirror::of(children),
        outcome: Mirror::of(outcome),
        allowed: allowed.into_iter().filter_map(Decision::named).collect(),
        undo_until,
    };
    Tagged::new(view, version)
}

/// Recommendations.
pub(crate) struct RecommendationApi(pub(crate) App);

#[OpenApi(tag = "Tag::Recommendations")]
impl RecommendationApi {
    /// List recommendations.
    ///
    /// The largest effect first, whatever its sign. `state` may be given several times; `open` stands for proposed,
    /// in review and snoozed.
    #[oai(
        path = "/recommendations",
        method = "get",
        operation_id = "recommendation_list"
    )]
    #[allow(
        clippy::too_many_arguments,
        reason = "one argument per documented query parameter"
    )]
    async fn list(
        &self,
        request: &Request,
        caller: Caller,
        /// Only in these states.
        #[oai(default)]
        state: Query<Vec<StateFilter>>,
        /// Only of this kind.
        kind: Query<Option<RecommendationKind>>,
        /// Only of this agent.
        agent: Query<Option<AgentKind>>,
        /// Only touching this brand.
        brand_id: Query<Option<Id<BrandId>>>,
        /// Rows on a page, 1 to 200.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<Listed<Recommendation>> {
        let filter = storage::Filter {
            states: state.0.iter().flat_map(|state| state.states()).collect(),
            kind: kind.0.back(),
            agent: agent.0.back(),
            brand: brand_id.0.back(),
            parent: None,
        };
        let wanted = page::request(limit.0, cursor.0)?;
        let mut found = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .recommendations()
            .all(&filter)
            .await?;
        found.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.id.cmp(&b.id)));
        Ok(page::listed(
            request,
            page::cut(found, &wanted, |row| row.id.to_string())?,
        ))
    }

    /// List what was considered and not proposed.
    ///
    /// Each with the reason and the numbers behind it.
    #[oai(
        path = "/recommendations/considered",
        method = "get",
        operation_id = "considered_list"
    )]
    async fn considered(
        &self,
        request: &Request,
        caller: Caller,
        /// Rows on a page, 1 to 200.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<Listed<Considered>> {
        let wanted = page::request(limit.0, cursor.0)?;
        let found = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .recommendations()
            .considered(None, CONSIDERED)
            .await?;
        // Nothing changes between two pages but what is new in front, so the number of rows behind is a stable place.
        let total = found.len();
        let rows: Vec<_> = found
            .into_iter()
            .enumerate()
            .map(|(at, entry)| (total - at, entry.considered))
            .collect();
        let page = page::cut(rows, &wanted, |(behind, _)| behind.to_string())?;
        Ok(page::listed(
            request,
            page.map(|(_, considered)| considered),
        ))
    }

    /// Get a recommendation.
    ///
    /// With its evidence, its history and what you may do with it now.
    #[oai(
        path = "/recommendations/:recommendation_id",
        method = "get",
        operation_id = "recommendation_get"
    )]
    async fn get(
        &self,
        caller: Caller,
        recommendation_id: Path<Id<RecommendationId>>,
    ) -> Answer<Tagged<RecommendationDetail>> {
        Ok(tagged(
            self.0
                .state
                .agents
                .decisions()
                .detail(&caller.principal, recommendation_id.0.0)
                .await?,
        ))
    }

    /// Open a recommendation.
    ///
    /// Freezes its action: what you look at is what you approve.
    #[oai(
        path = "/recommendations/:recommendation_id/open",
        method = "post",
        operation_id = "recommendation_open"
    )]
    async fn open(
        &self,
        caller: Caller,
        recommendation_id: Path<Id<RecommendationId>>,
    ) -> Answer<Tagged<RecommendationDetail>> {
        Ok(tagged(
            self.0
                .state
                .agents
                .decisions()
                .open(&caller.principal, recommendation_id.0.0)
                .await?,
        ))
    }

    /// Approve a recommendation.
    ///
    /// Needs `If-Match` and the hash of the action you looked at. It is applied after a short time in which it can be
    /// undone. Of many approvals at once one wins; the others get `409 recommendation.already_decided`.
    #[oai(
        path = "/recommendations/:recommendation_id/approve",
        method = "post",
        operation_id = "recommendation_approve"
    )]
    async fn approve(
        &self,
        caller: Caller,
        recommendation_id: Path<Id<RecommendationId>>,
        /// The `ETag` of the version you looked at.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<Approval>,
    ) -> Answer<Tagged<RecommendationDetail>> {
        let version = etag::version(if_match.0.as_deref())?;
        let Approval {
            action_hash,
            action,
            note,
        } = body.0;
        let decisions = self.0.state.agents.decisions();
        let id = recommendation_id.0.0;
        Ok(tagged(
            decisions
                .approve(
                    &caller.principal,
                    id,
                    version,
                    &action_hash,
                    action.back(),
                    note,
                )
                .await?,
        ))
    }

    /// Reject a recommendation.
    ///
    /// Needs `If-Match`. The reason is kept and counts for the agent.
    #[oai(
        path = "/recommendations/:recommendation_id/reject",
        method = "post",
        operation_id = "recommendation_reject"
    )]
    async fn reject(
        &self,
        caller: Caller,
        recommendation_id: Path<Id<RecommendationId>>,
        /// The `ETag` of the version you looked at.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<Rejection>,
    ) -> Answer<Tagged<RecommendationDetail>> {
        let version = etag::version(if_match.0.as_deref())?;
        let Rejection { reason, comment } = body.0;
        let decisions = self.0.state.agents.decisions();
        let id = recommendation_id.0.0;
        Ok(tagged(
            decisions
                .reject(&caller.principal, id, version, reason.back(), comment)
                .await?,
        ))
    }

    /// Put a recommendation aside.
    ///
    /// Needs `If-Match`. It comes back on the day named.
    #[oai(
        path = "/recommendations/:recommendation_id/snooze",
        method = "post",
        operation_id = "recommendation_snooze"
    )]
    async fn snooze(
        &self,
        caller: Caller,
        recommendation_id: Path<Id<RecommendationId>>,
        /// The `ETag` of the version you looked at.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<Snooze>,
    ) -> Answer<Tagged<RecommendationDetail>> {
        let version = etag::version(if_match.0.as_deref())?;
        let decisions = self.0.state.agents.decisions();
        Ok(tagged(
            decisions
                .snooze(
                    &caller.principal,
                    recommendation_id.0.0,
                    version,
                    body.0.until,
                )
                .await?,
        ))
    }

    /// Take the last decision back.
    ///
    /// Possible until it is applied; later it is `409 recommendation.undo_over`.
    #[oai(
        path = "/recommendations/:recommendation_id/undo",
        method = "post",
        operation_id = "recommendation_undo"
    )]
    async fn undo(
        &self,
        caller: Caller,
        recommendation_id: Path<Id<RecommendationId>>,
    ) -> Answer<Tagged<RecommendationDetail>> {
        Ok(tagged(
            self.0
                .state
                .agents
                .decisions()
                .undo(&caller.principal, recommendation_id.0.0)
                .await?,
        ))
    }

    /// Take an applied recommendation back.
    ///
    /// Its inverse is applied: the plan before becomes the plan of record again, a constraint is lifted.
    #[oai(
        path = "/recommendations/:recommendation_id/rollback",
        method = "post",
        operation_id = "recommendation_rollback"
    )]
    async fn rollback(
        &self,
        caller: Caller,
        recommendation_id: Path<Id<RecommendationId>>,
        body: Json<Rollback>,
    ) -> Answer<Tagged<RecommendationDetail>> {
        let decisions = self.0.state.agents.decisions();
        Ok(tagged(
            decisions
                .rollback(&caller.principal, recommendation_id.0.0, body.0.reason)
                .await?,
        ))
    }
}
