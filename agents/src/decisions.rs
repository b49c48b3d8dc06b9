//! What people decide on recommendations: look, approve (as it is or edited), reject, put aside, take back.
//!
//! Every decision is one unit of work: the state's conditional update, its history, its event and its audit row commit
//! together or not at all. Of many at once one wins; the others are told `recommendation.already_decided`. Approving only
//! writes down the decision and when it takes effect; the `applier` does what was approved.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    ErrorKind,
    access::{AgentKind, Grant, Permission, Principal},
    id::{PlanId, RecommendationId},
    outcome::Outcome,
    recommendation::{Action, Guard, HistoryEntry, Kind, Move, Mover, Recommendation, State},
};
use serde::{Deserialize, Serialize};
use storage::{Drafted, Edit, Executor, Filter, Storage, Transition, Unit};

use crate::{
    Error, applier,
    observe::evidence_digest,
    plans::{Plans, edit},
    view::evidence,
};

/// Why a person rejects a recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// Right, but not at this time.
    NotNow,
    /// The numbers behind it are wrong.
    WrongData,
    /// It cannot be done.
    NotFeasible,
    /// It can be done, and should not.
    Disagree,
    /// Something else; the comment says what.
    Other,
}

impl RejectReason {
    /// The code, as stored in the history.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotNow => "not_now",
            Self::WrongData => "wrong_data",
            Self::NotFeasible => "not_feasible",
            Self::Disagree => "disagree",
            Self::Other => "other",
        }
    }
}

/// A recommendation with everything a person needs to decide on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detail {
    /// The recommendation.
    pub recommendation: Recommendation,
    /// Its history, oldest first.
    pub history: Vec<HistoryEntry>,
    /// The recommendations an initiative led to.
    pub children: Vec<Recommendation>,
    /// What it really did, once measured.
    pub outcome: Option<Outcome>,
    /// What the asking person may do with it now: `open`, `approve`, `reject`, `snooze`, `undo`, `rollback`.
    pub allowed: Vec<&'static str>,
    /// Database time until which the decision can be taken back.
    pub undo_until: Option<DateTime<Utc>>,
}

/// The moves that people make, by their name in the API.
const PEOPLES_MOVES: [(&str, Move); 6] = [
    ("open", Move::Open),
    ("approve", Move::Approve),
    ("reject", Move::Reject),
    ("snooze", Move::Snooze),
    ("undo", Move::Undo),
    ("rollback", Move::RollBack),
];

/// People's decisions.
#[derive(Clone, Debug)]
pub struct Decisions {
    pub(crate) storage: Storage,
    pub(crate) plans: Plans,
}

impl Decisions {
    /// A recommendation with its history and what may be done with it. Looking changes nothing.
    ///
    /// # Errors
    /// `recommendation.unknown`.
    pub async fn detail(
        &self,
        principal: &Principal,
        id: RecommendationId,
    ) -> Result<Detail, Error> {
        let grant = principal.grant(Permission::RecommendationRead)?;
        let scope = self.storage.scope(&grant);
        let recommendations = scope.recommendations();
        let recommendation = recommendations.get(id).await?;
        let children = match recommendation.kind {
            Kind::Initiative => {
                recommendations
                    .all(&Filter {
                        parent: Some(id),
                        ..Filter::default()
                    })
                    .await?
            }
            _ => Vec::new(),
        };
        let now = self.storage.now().await?;
        let undo_until = recommendation.applies_at.filter(|at| {
            matches!(recommendation.state, State::Approved | State::Rejected) && *at > now
        });
        Ok(Detail {
            allowed: allowed(principal, &recommendation, now),
            history: recommendations.history(id).await?,
            children,
            outcome: scope
                .outcomes()
                .of_recommendation(id)
                .await?
                .into_iter()
                .next(),
            undo_until,
            recommendation,
        })
    }

    /// Takes a recommendation into review: its action is frozen. One that is in review stays there.
    ///
    /// # Errors
    /// `recommendation.unknown`, `recommendation.illegal_move`.
    pub async fn open(&self, principal: &Principal, id: RecommendationId) -> Result<Detail, Error> {
        let grant = principal.grant(Permission::RecommendationDecide)?;
        self.decide(&grant, move |u| {
            Box::pin(async move {
                if u.recommendations().get(id).await?.state != State::InReview {
                    u.recommendations()
                        .transition(&Transition::by_person(id, Move::Open))
                        .await?;
                }
                Ok(())
            })
        })
        .await?;
        self.detail(principal, id).await
    }

    /// Approves the action whose hash is named, as it is or as `edited`. An edit is priced again, gets a hash of its own and
    /// is approved under that.
    ///
    /// # Errors
    /// `recommendation.plan_changed` when the action is no longer the one that was looked at,
    /// `recommendation.already_decided`, `precondition.stale` for another version, `recommendation.edit_invalid`.
    pub async fn approve(
        &self,
        principal: &Principal,
        id: RecommendationId,
        version: u32,
        action_hash: &str,
        edited: Option<Action>,
        note: Option<String>,
    ) -> Result<Detail, Error> {
        let grant = principal.grant(Permission::RecommendationDecide)?;
        let hash = action_hash.to_owned();
        let edit = match edited {
            Some(action) => Some(self.priced_edit(principal, id, action).await?),
            None => None,
        };
        self.decide(&grant, move |u| {
            let (hash, edit, note) = (hash.clone(), edit.clone(), note.clone());
            Box::pin(async move {
                let recommendations = u.recommendations();
                let seen = recommendations.get(id).await?;
                seen.state.after(Move::Approve, Mover::Person)?;
                if seen.action_hash != hash {
                    return Err(domain::Error::conflict(
                        "recommendation.plan_changed",
                        "what would be applied is no longer what was looked at",
                    )
                    .advise("reload it, look at the new plan and decide again")
                    .into());
                }
                let (version, hash) = match edit.filter(|edit| edit.action.hash() != hash) {
                    Some(edit) => {
                        let edited = recommendations.edit(id, version, &edit).await?;
                        (edited.version, edited.action_hash)
                    }
                    None => (version, hash),
                };
                let mut approve = Transition::by_person(id, Move::Approve)
                    .expecting(version)
                    .hash(hash);
                if let Some(note) = note.filter(|note| !note.trim().is_empty()) {
                    approve = approve.note(note);
                }
                recommendations.transition(&approve).await?;
                Ok(())
            })
        })
        .await?;
        self.detail(principal, id).await
    }

    /// Rejects a recommendation.
    ///
    /// # Errors
    /// `recommendation.already_decided`, `precondition.stale` for another version, `recommendation.reason_missing` for
    /// [`RejectReason::Other`] without a comment.
    pub async fn reject(
        &self,
        principal: &Principal,
        id: RecommendationId,
        version: u32,
        reason: RejectReason,
        comment: Option<String>,
    ) -> Result<Detail, Error> {
        let grant = principal.grant(Permission::RecommendationDecide)?;
        let comment = comment
            .map(|c| c.trim().to_owned())
            .filter(|c| !c.is_empty());
        let note = match (reason, comment) {
            (RejectReason::Other, None) => {
                let error = domain::Error::invalid(
                    "recommendation.reason_missing",
                    "the reason \"other\" needs a comment",
                );
                return Err(error.advise("say why in a few words").into());
            }
            (reason, None) => reason.code().to_owned(),
            (reason, Some(comment)) => format!("{}: {comment}", reason.code()),
        };
        let reject = Transition::by_person(id, Move::Reject)
            .expecting(version)
            .note(note);
        self.transition(principal, &grant, reject).await
    }

    /// Puts a recommendation aside until a domain date.
    ///
    /// # Errors
    /// `recommendation.until_past` for a date that is not in the future, `recommendation.until_late` for one on or after its
    /// expiry, `recommendation.already_decided`, `precondition.stale`.
    pub async fn snooze(
        &self,
        principal: &Principal,
        id: RecommendationId,
        version: u32,
        until: NaiveDate,
    ) -> Result<Detail, Error> {
        let grant = principal.grant(Permission::RecommendationDecide)?;
        let scope = self.storage.scope(&grant);
        let today = scope
            .organisations()
            .get()
            .await?
            .as_of
            .unwrap_or(self.storage.now().await?.date_naive());
        let expires = scope.recommendations().get(id).await?.expires_on;
        if until <= today {
            let error = domain::Error::invalid(
                "recommendation.until_past",
                format!("{until} is not after {today}"),
            );
            return Err(error.advise("choose a later date").into());
        }
        if until >= expires {
            let error = domain::Error::invalid(
                "recommendation.until_late",
                format!("it expires on {expires}"),
            );
            return Err(error.advise("choose an earlier date, or reject it").into());
        }
        self.transition(
            principal,
            &grant,
            Transition::by_person(id, Move::Snooze)
                .expecting(version)
                .until(until),
        )
        .await
    }

    /// Takes an approval, rejection or snooze back while that is possible.
    ///
    /// # Errors
    /// `recommendation.undo_over` once the time for it has passed, `recommendation.illegal_move`.
    pub async fn undo(&self, principal: &Principal, id: RecommendationId) -> Result<Detail, Error> {
        let grant = principal.grant(Permission::RecommendationDecide)?;
        self.transition(principal, &grant, Transition::by_person(id, Move::Undo))
            .await
    }

    /// Takes an applied recommendation back by its inverse, in the same unit as the change of state.
    ///
    /// # Errors
    /// `recommendation.reason_missing`, `recommendation.illegal_move`.
    pub async fn rollback(
        &self,
        principal: &Principal,
        id: RecommendationId,
        reason: String,
    ) -> Result<Detail, Error> {
        let grant = principal.grant(Permission::RecommendationDecide)?;
        self.decide(&grant, move |u| {
            let reason = reason.clone();
            Box::pin(async move {
                let roll_back = Transition::by_person(id, Move::RollBack).note(reason);
                let taken_back = u.recommendations().transition(&roll_back).await?;
                applier::take_back(u, &taken_back).await
            })
        })
        .await?;
        self.detail(principal, id).await
    }

    /// Puts a person's plan into the inbox, where it is decided on like any other.
    ///
    /// # Errors
    /// `plan.unknown`, `plan.not_editable` when it is no draft, `plan.infeasible` when it breaks a standing rule.
    pub async fn submit_plan(
        &self,
        principal: &Principal,
        plan: PlanId,
    ) -> Result<Recommendation, Error> {
        let grant = principal.grant(Permission::PlanWrite)?;
        let draft = self.plans.submission(principal, plan).await?;
        let runtime =
            Principal::system(principal.org()).grant(Permission::RecommendationPropose)?;
        let author = principal.actor();
        let read = self.storage.scope(&grant);
        let metrics = read.metrics().list().await?;
        let id = self
            .storage
            .unit(&runtime, move |u| {
                let (mut draft, metrics) = (draft.clone(), metrics.clone());
                Box::pin(async move {
                    draft.evidence_digest =
                        evidence_digest(u.values(), &draft.action, &metrics).await?;
                    draft.dedupe_key = format!("{}|{}", draft.dedupe_key, draft.action_hash);
                    match u.recommendations().draft(&draft).await? {
                        Drafted::Unchanged(id, _) => Ok(id),
                        Drafted::Inserted(new) => {
                            let note = format!("submitted by {author}");
                            u.recommendations()
                                .transition(
                                    &Transition::by_runtime(new.id, Move::Propose).note(note),
                                )
                                .await?;
                            Ok(new.id)
                        }
                    }
                })
            })
            .await?;
        Ok(read.recommendations().get(id).await?)
    }

    async fn transition(
        &self,
        principal: &Principal,
        grant: &Grant,
        wanted: Transition,
    ) -> Result<Detail, Error> {
        let id = wanted.id;
        self.decide(grant, move |u| {
            let wanted = wanted.clone();
            Box::pin(async move {
                u.recommendations().transition(&wanted).await?;
                Ok(())
            })
        })
        .await?;
        self.detail(principal, id).await
    }

    async fn decide<F>(&self, grant: &Grant, work: F) -> Result<(), Error>
    where
        F: for<'a> Fn(&'a Unit) -> futures::future::BoxFuture<'a, Result<(), storage::Error>>
            + Send
            + Sync
            + 'static,
    {
        self.storage.unit(grant, work).await.map_err(edge_code)
    }

    /// An edited action with its effect computed anew and the words that fit it; kinds without an effect in money keep none.
    async fn priced_edit(
        &self,
        principal: &Principal,
        id: RecommendationId,
        action: Action,
    ) -> Result<Edit, Error> {
        let grant = principal.grant(Permission::RecommendationRead)?;
        let before = self.storage.scope(&grant).recommendations().get(id).await?;
        if before.kind != action.kind() {
            return Err(domain::Error::invalid(
                "recommendation.edit_invalid",
                "an edit cannot change the kind of action",
            )
            .into());
        }
        let action = self
            .plans
            .completed(principal, &before.action, action)
            .await?;
        let priced = self.plans.price(principal, &action).await?;
        let (effect, confidence) =
            priced.map_or((None, None), |p| (Some(p.effect), Some(p.confidence)));
        let (title, summary) = edit::worded(&before, &action, effect.as_ref());
        Ok(Edit {
            action,
            title,
            summary,
            effect,
            confidence,
            note: "edited before approval".to_owned(),
        })
    }
}

/// The storage's codes as the contract of the API names them.
fn edge_code(error: storage::Error) -> Error {
    match error {
        storage::Error::Domain(mut error) => {
            error.code = match error.code {
                "recommendation.undo_closed" => "recommendation.undo_over",
                "recommendation.changed" if error.kind == ErrorKind::Stale => "precondition.stale",
                code => code,
            };
            Error::Domain(error)
        }
        error => Error::Storage(error),
    }
}

/// What a principal may do with a recommendation at this database time.
fn allowed(
    principal: &Principal,
    recommendation: &Recommendation,
    now: DateTime<Utc>,
) -> Vec<&'static str> {
    if principal.grant(Permission::RecommendationDecide).is_err() {
        return Vec::new();
    }
    let is_legal = |step: Move| match recommendation.state.after(step, Mover::Person) {
        Ok((_, Guard::UndoWindow)) => recommendation.applies_at.is_some_and(|at| at > now),
        Ok(_) => true,
        Err(_) => false,
    };
    PEOPLES_MOVES
        .iter()
        .filter(|(_, step)| is_legal(*step))
        .map(|(name, _)| *name)
        .collect()
}

/// The agent under whose name a person's plan stands in the inbox.
pub(crate) const SUBMITTED_TO: AgentKind = AgentKind::Optimisation;

/// Domain date of an organisation within a unit or scope.
pub(crate) async fn domain_date<E: Executor>(
    organisations: storage::Organisations<'_, E>,
    now: DateTime<Utc>,
) -> Result<NaiveDate, storage::Error> {
    Ok(organisations
        .get()
        .await?
        .as_of
        .unwrap_or_else(|| now.date_naive()))
}

/// Evidence of a plan that a person made: who says so.
pub(crate) fn made_by(
    author: &str,
    provenance: &domain::provenance::Provenance,
) -> domain::recommendation::Evidence {
    evidence(
        "made by hand",
        f64::NAN,
        "",
        None,
        format!("submitted by {author}; there is no proof that no plan is better"),
        provenance,
    )
}

#[cfg(test)]
mod tests;
