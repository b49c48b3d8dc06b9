//! A recommendation's content, life and legal moves. Everything not in [`MOVES`] is a conflict.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Error,
    access::{Actor, AgentKind},
    budget::{PlanLine, Rule},
    id::{BrandId, ForecastId, MetricId, PlanId, ProjectId, RecommendationId},
    provenance::Provenance,
    unit::{Effect, Money},
};

/// What kind of action is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
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

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 7] = [
        Self::BudgetPlan,
        Self::Guard,
        Self::Synergy,
        Self::ForecastRevision,
        Self::MetricTarget,
        Self::Initiative,
        Self::DataFix,
    ];

    /// Stable name, as in URLs and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::BudgetPlan => "budget_plan",
            Self::Guard => "guard",
            Self::Synergy => "synergy",
            Self::ForecastRevision => "forecast_revision",
            Self::MetricTarget => "metric_target",
            Self::Initiative => "initiative",
            Self::DataFix => "data_fix",
        }
    }
}

/// What approving does. This, and only this, is applied; its hash is what a person approves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Becomes the plan of record from its start week.
    BudgetPlan {
        /// The plan's id.
        plan: PlanId,
        /// Monday of the first week.
        start: NaiveDate,
        /// Number of weeks.
        weeks: u32,
        /// Total over all lines and weeks.
        total: Money,
        /// The lines.
        lines: Vec<PlanLine>,
    },
    /// Becomes a standing constraint.
    Guard {
        /// The rule.
        rule: Rule,
    },
    /// Becomes a preferred joint action, in the plan's terms.
    Synergy {
        /// The rule.
        rule: Rule,
    },
    /// Becomes the forecast of record.
    ForecastRevision {
        /// The new forecast.
        forecast: ForecastId,
        /// Its brand.
        brand: BrandId,
        /// Its metric.
        metric: MetricId,
    },
    /// Becomes a target.
    MetricTarget {
        /// Brand.
        brand: BrandId,
        /// Metric.
        metric: MetricId,
        /// Value now.
        from: f64,
        /// Value to reach.
        to: f64,
        /// By this date.
        due: NaiveDate,
    },
    /// Its steps become drafts of their own.
    Initiative {
        /// The steps, in order.
        steps: Vec<InitiativeStep>,
        /// What must hold for it to make sense.
        assumptions: Vec<String>,
        /// When to look again.
        reviews: Vec<NaiveDate>,
    },
    /// A correction of ingested data; the original stays and the correction can be undone.
    DataFix {
        /// Project.
        project: ProjectId,
        /// Brand.
        brand: BrandId,
        /// Metric.
        metric: MetricId,
        /// Period.
        period: NaiveDate,
        /// Value as ingested.
        from: f64,
        /// Value to use instead; `None` excludes the period.
        to: Option<f64>,
    },
}

/// One step of an initiative.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InitiativeStep {
    /// What is to be done, for people.
    pub title: String,
    /// The week it starts.
    pub start: NaiveDate,
    /// What is applied. Never another initiative.
    pub action: Box<Action>,
}

impl Action {
    /// The kind this action belongs to.
    pub fn kind(&self) -> Kind {
        match self {
            Self::BudgetPlan { .. } => Kind::BudgetPlan,
            Self::Guard { .. } => Kind::Guard,
            Self::Synergy { .. } => Kind::Synergy,
            Self::ForecastRevision { .. } => Kind::ForecastRevision,
            Self::MetricTarget { .. } => Kind::MetricTarget,
            Self::Initiative { .. } => Kind::Initiative,
            Self::DataFix { .. } => Kind::DataFix,
        }
    }

    /// SHA-256 in hex over the canonical JSON of the action: what a person approves.
    pub fn hash(&self) -> String {
        let value = serde_json::to_value(self).expect("an action is plain data");
        hex::encode(Sha256::digest(value.to_string().as_bytes()))
    }
}

/// A number that supports the proposal, with its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What the number is, for people.
    pub label: String,
    /// The number; `None` where data is missing, and then `note` says why.
    pub value: Option<f64>,
    /// Unit.
    pub unit: String,
    /// 95 % interval ends, where there is one.
    pub interval95: Option<crate::unit::Interval>,
    /// One sentence more.
    pub note: String,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// The states of a recommendation's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
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

impl State {
    /// All states.
    pub const ALL: [State; 17] = [
        Self::Draft,
        Self::Proposed,
        Self::InReview,
        Self::Approved,
        Self::Rejected,
        Self::Snoozed,
        Self::Expired,
        Self::Superseded,
        Self::Withdrawn,
        Self::Applying,
        Self::Applied,
        Self::Failed,
        Self::Measuring,
        Self::Verified,
        Self::Refuted,
        Self::Inconclusive,
        Self::RolledBack,
    ];

    /// Whether a person can still decide on it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Proposed | Self::InReview | Self::Snoozed)
    }
}

/// Something that moves a recommendation from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
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

/// Who may make a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    /// A person with `recommendation_decide`.
    Person,
    /// The arbitrator, the applier and the measurer.
    Runtime,
}

/// What must hold besides the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    None,
    /// The hash named is the frozen action's.
    FrozenHash,
    /// A reason is given.
    Reason,
    /// `applies_at` lies in the future by database time.
    UndoWindow,
    /// `applies_at` has passed by database time, and the evidence still holds.
    Due,
}

/// Every legal move: from, by, to, who may, and under which guard.
pub const MOVES: &[(State, Move, State, Mover, Guard)] = {
    use Guard as G;
    use Move as M;
    use Mover::{Person, Runtime};
    use State as S;
    &[
        (S::Draft, M::Propose, S::Proposed, Runtime, G::None),
        (S::Draft, M::Withdraw, S::Withdrawn, Runtime, G::None),
        (S::Proposed, M::Open, S::InReview, Person, G::None),
        (S::Proposed, M::Approve, S::Approved, Person, G::FrozenHash),
        (S::InReview, M::Approve, S::Approved, Person, G::FrozenHash),
        (S::Proposed, M::Reject, S::Rejected, Person, G::Reason),
        (S::InReview, M::Reject, S::Rejected, Person, G::Reason),
        (S::Proposed, M::Snooze, S::Snoozed, Person, G::None),
        (S::InReview, M::Snooze, S::Snoozed, Person, G::None),
        (S::Snoozed, M::Wake, S::Proposed, Runtime, G::None),
        (S::Snoozed, M::Open, S::InReview, Person, G::None),
        (S::Proposed, M::Expire, S::Expired, Runtime, G::None),
        (S::InReview, M::Expire, S::Expired, Runtime, G::None),
        (S::Snoozed, M::Expire, S::Expired, Runtime, G::None),
        (S::Proposed, M::Supersede, S::Superseded, Runtime, G::None),
        (S::Snoozed, M::Supersede, S::Superseded, Runtime, G::None),
        (S::InReview, M::Supersede, S::Superseded, Runtime, G::None),
        (S::Proposed, M::Withdraw, S::Withdrawn, Runtime, G::None),
        (S::InReview, M::Withdraw, S::Withdrawn, Runtime, G::None),
        (S::Snoozed, M::Withdraw, S::Withdrawn, Runtime, G::None),
        (S::Approved, M::Withdraw, S::Withdrawn, Runtime, G::None),
        (S::Approved, M::Undo, S::InReview, Person, G::UndoWindow),
        (S::Rejected, M::Undo, S::InReview, Person, G::UndoWindow),
        (S::Snoozed, M::Undo, S::InReview, Person, G::None),
        (S::Approved, M::StartApplying, S::Applying, Runtime, G::Due),
        (S::Applying, M::Finish, S::Applied, Runtime, G::None),
        (S::Applying, M::Fail, S::Failed, Runtime, G::None),
        (
            S::Applied,
            M::StartMeasuring,
            S::Measuring,
            Runtime,
            G::None,
        ),
        (S::Applied, M::RollBack, S::RolledBack, Person, G::Reason),
        (S::Measuring, M::RollBack, S::RolledBack, Person, G::Reason),
        (S::Measuring, M::Verify, S::Verified, Runtime, G::None),
        (S::Measuring, M::Refute, S::Refuted, Runtime, G::None),
        (S::Measuring, M::GiveUp, S::Inconclusive, Runtime, G::None),
    ]
};

/// Seconds between an approval (or rejection) and the moment it takes effect, in which it can be undone.
pub const UNDO_SECONDS: i64 = 10;

impl State {
    /// The state after `step`, and the guard that must be checked.
    ///
    /// # Errors
    /// `recommendation.already_decided` for a decision on something decided, `recommendation.illegal_move` otherwise.
    pub fn after(self, step: Move, mover: Mover) -> Result<(State, Guard), Error> {
        MOVES
            .iter()
            .find(|(from, by, _, who, _)| *from == self && *by == step && *who == mover)
            .map(|(_, _, to, _, guard)| (*to, *guard))
            .ok_or_else(|| {
                let decision = matches!(step, Move::Approve | Move::Reject | Move::Snooze);
                if decision && !self.is_open() {
                    Error::conflict(
                        "recommendation.already_decided",
                        format!("it is already {self:?}"),
                    )
                    .advise("reload it to see who decided what")
                } else {
                    Error::conflict(
                        "recommendation.illegal_move",
                        format!("{step:?} is not possible while it is {self:?}"),
                    )
                    .advise("reload it to see what is possible now")
                }
            })
    }
}

/// A recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The id.
    pub id: RecommendationId,
    /// Version; every change makes the next, and `If-Match` names it.
    pub version: u32,
    /// Kind; always that of `action`.
    pub kind: Kind,
    /// The agent that proposed it.
    pub agent: AgentKind,
    /// What it is about, as a stable key such as `brand:Aurora/channel:search`; unique among the open ones of its kind.
    pub subject: String,
    /// One line for the list.
    pub title: String,
    /// Two or three sentences: what, why, what happens when approved.
    pub summary: String,
    /// Brands it touches, for filters.
    pub brands: Vec<BrandId>,
    /// The objective it serves, as the organisation or project states it.
    pub objective: String,
    /// Where it stands.
    pub state: State,
    /// What is applied.
    pub action: Action,
    /// [`Action::hash`] of `action`.
    pub action_hash: String,
    /// Expected effect; `None` where the kind has none (a data fix).
    pub effect: Option<Effect>,
    /// P(effect on profit > 0) from parameter draws, 0 to 1; `None` where there is no effect.
    pub confidence: Option<f64>,
    /// The numbers behind it.
    pub evidence: Vec<Evidence>,
    /// The same proposal made again has the same key and changes nothing.
    pub dedupe_key: String,
    /// Digest of the data the evidence was computed from; checked again before applying.
    pub evidence_digest: String,
    /// Domain date it was proposed.
    pub proposed_on: NaiveDate,
    /// Domain date after which it expires.
    pub expires_on: NaiveDate,
    /// Domain date until which it is put aside.
    pub snoozed_until: Option<NaiveDate>,
    /// Database time at which an approval or rejection takes effect.
    pub applies_at: Option<DateTime<Utc>>,
    /// The one that took its place.
    pub superseded_by: Option<RecommendationId>,
    /// The initiative it belongs to.
    pub parent: Option<RecommendationId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// One line of a recommendation's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// Which move; `None` for the creation.
    pub step: Option<Move>,
    /// The state after.
    pub state: State,
    /// The reason or comment given.
    pub note: Option<String>,
    /// The action's hash at that moment.
    pub action_hash: String,
}

/// Something an agent looked at and did not propose, or the arbitrator did not choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Considered {
    /// The agent.
    pub agent: AgentKind,
    /// Kind it would have been.
    pub kind: Kind,
    /// What it is about.
    pub subject: String,
    /// Why not, as a code: `weak_evidence`, `below_threshold`, `budget_line_taken`, `cannibalisation_veto`,
    /// `stale_data`, `duplicate`, `infeasible`.
    pub reason: String,
    /// The numbers behind the reason, for people.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_approval_is_the_documented_conflict() {
        let (approved, _) = State::InReview
            .after(Move::Approve, Mover::Person)
            .expect("legal");
        let error = approved
            .after(Move::Approve, Mover::Person)
            .expect_err("decided");
        assert_eq!(error.code, "recommendation.already_decided");
    }

    #[test]
    fn no_agent_or_runtime_move_decides() {
        for (_, step, _, who, _) in MOVES {
            if matches!(
                step,
                Move::Approve | Move::Reject | Move::Snooze | Move::Undo | Move::RollBack
            ) {
                assert_eq!(*who, Mover::Person);
            }
        }
    }

    #[test]
    fn every_move_from_a_state_is_listed_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (from, step, ..) in MOVES {
            assert!(seen.insert((from, step)), "{from:?} {step:?} twice");
        }
    }

    #[test]
    fn every_state_but_draft_can_be_reached() {
        for state in State::ALL.into_iter().filter(|s| *s != State::Draft) {
            assert!(MOVES.iter().any(|(_, _, to, ..)| *to == state), "{state:?}");
        }
    }

    #[test]
    fn the_hash_changes_with_the_action() {
        let guard = |weekly: i64| Action::Guard {
            rule: Rule::CannibalisationCap {
                driver: BrandId::derive(&["a"]),
                affected: BrandId::derive(&["b"]),
                weekly: weekly.into(),
            },
        };
        assert_eq!(guard(1).hash(), guard(1).hash());
        assert_ne!(guard(1).hash(), guard(2).hash());
    }
}
