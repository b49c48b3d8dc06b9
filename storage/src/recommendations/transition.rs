//! One move of a recommendation: the table of the domain says whether it is legal, one conditional update makes it, and
//! of many that try at once exactly one wins.

use chrono::{NaiveDate, TimeDelta};
use domain::{
    ErrorKind,
    access::{Actor, Permission},
    event::EventKind,
    id::RecommendationId,
    recommendation::{Guard, Move, Mover, Recommendation, State, UNDO_SECONDS},
};

use super::Recommendations;
use crate::{
    Error, Unit,
    executor::sealed::Run,
    row::{name, params},
};

/// A move to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The recommendation.
    pub id: RecommendationId,
    /// The move.
    pub step: Move,
    /// Who makes it.
    pub mover: Mover,
    /// The version the caller saw; `None` does not check it.
    pub expected_version: Option<u32>,
    /// Hash of the action the caller saw; needed for approving.
    pub hash: Option<String>,
    /// Reason or comment; needed for rejecting and rolling back.
    pub note: Option<String>,
    /// Domain date until which it is put aside; for snoozing.
    pub until: Option<NaiveDate>,
    /// The one that takes its place; for superseding.
    pub superseded_by: Option<RecommendationId>,
}

impl Transition {
    fn new(id: RecommendationId, step: Move, mover: Mover) -> Self {
        Self {
            id,
            step,
            mover,
            expected_version: None,
            hash: None,
            note: None,
            until: None,
            superseded_by: None,
        }
    }

    /// A person's move. The unit needs a grant for `recommendation_decide`.
    pub fn by_person(id: RecommendationId, step: Move) -> Self {
        Self::new(id, step, Mover::Person)
    }

    /// A move of the arbitrator, the applier or the measurer.
    pub fn by_runtime(id: RecommendationId, step: Move) -> Self {
        Self::new(id, step, Mover::Runtime)
    }

    /// Only if it still has this version.
    #[must_use]
    pub fn expecting(mut self, version: u32) -> Self {
        self.expected_version = Some(version);
        self
    }

    /// With the hash of the action the person saw.
    #[must_use]
    pub fn hash(mut self, hash: impl Into<String>) -> Self {
        self.hash = Some(hash.into());
        self
    }

    /// With a reason or comment.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Until a domain date.
    #[must_use]
    pub fn until(mut self, until: NaiveDate) -> Self {
        self.until = Some(until);
        self
    }

    /// In favour of another one.
    #[must_use]
    pub fn superseded_by(mut self, id: RecommendationId) -> Self {
        self.superseded_by = Some(id);
        self
    }
}

pub(super) fn stale(version: u32) -> Error {
    domain::Error::new(
        ErrorKind::Stale,
        "recommendation.changed",
        format!("it is at version {version} by now"),
    )
    .advise("reload it and decide again")
    .into()
}

pub(super) fn may_decide(unit: &Unit) -> Result<(), Error> {
    if unit.grant().permission() == Permission::RecommendationDecide {
        return Ok(());
    }
    Err(domain::Error::new(
        ErrorKind::Forbidden,
        "access.forbidden",
        "deciding needs the permission RecommendationDecide",
    )
    .advise("ask an administrator of your organisation for a role that holds it")
    .into())
}

fn event_of(step: Move) -> EventKind {
    match step {
        Move::Propose => EventKind::RecommendationProposed,
        Move::Approve => EventKind::RecommendationApproved,
        Move::Reject => EventKind::RecommendationRejected,
        Move::Finish => EventKind::RecommendationApplied,
        _ => EventKind::RecommendationChanged,
    }
}

fn check_guard(
    guard: Guard,
    current: &Recommendation,
    wanted: &Transition,
    unit: &Unit,
) -> Result<(), Error> {
    let refused = |code, message: &str, advice: &str| {
        Err(Error::Domain(
            domain::Error::conflict(code, message).advise(advice),
        ))
    };
    match guard {
        Guard::None => Ok(()),
        Guard::FrozenHash => match &wanted.hash {
            Some(hash) if *hash == current.action_hash => Ok(()),
            Some(_) => refused(
                "recommendation.plan_changed",
                "what would be applied is no longer what was looked at",
                "reload it, look at the new plan and decide again",
            ),
            None => Err(Error::Domain(
                domain::Error::invalid(
                    "recommendation.hash_missing",
                    "approving must name the hash of the action that was looked at",
                )
                .advise("send the action_hash that came with the recommendation"),
            )),
        },
        Guard::Reason => match wanted.note.as_deref().map(str::trim) {
            Some(reason) if !reason.is_empty() => Ok(()),
            _ => Err(Error::Domain(
                domain::Error::invalid("recommendation.reason_missing", "a reason is needed")
                    .advise("say why in a few words"),
            )),
        },
        Guard::UndoWindow if current.applies_at.is_some_and(|at| at > unit.now()) => Ok(()),
        Guard::UndoWindow => refused(
            "recommendation.undo_closed",
            "the time in which it could be undone has passed",
            "once it is applied, roll it back instead",
        ),
        Guard::Due if current.applies_at.is_some_and(|at| at <= unit.now()) => Ok(()),
        Guard::Due => refused(
            "recommendation.not_due",
            "it can still be undone",
            "wait until its undo window has passed",
        ),
    }
}

impl Recommendations<'_, Unit> {
    /// Makes a move and returns the recommendation after it. Approving and rejecting set `applies_at` to database time
    /// plus the undo window. Proposing supersedes an open one of the same kind and subject.
    ///
    /// # Errors
    /// `recommendation.already_decided` and `recommendation.illegal_move` by the domain's table, `recommendation.changed`
    /// (stale) for another version, `recommendation.plan_changed` for another hash, `recommendation.reason_missing`,
    /// `recommendation.undo_closed`, `recommendation.not_due`, `access.forbidden`.
    pub async fn transition(&self, wanted: &Transition) -> Result<Recommendation, Error> {
        match wanted.mover {
            Mover::Person => may_decide(self.0)?,
            Mover::Runtime if matches!(self.0.actor(), Actor::User(_)) => {
                return Err(domain::Error::new(
                    ErrorKind::Forbidden,
                    "access.forbidden",
                    "this move is not a person's to make",
                )
                .into());
            }
            Mover::Runtime => {}
        }
        // Each round ends in a move, or in a reason why somebody else's move came first.
        loop {
            let current = self.get(wanted.id).await?;
            let (next, guard) = current.state.after(wanted.step, wanted.mover)?;
            if let Some(expected) = wanted.expected_version
                && expected != current.version
            {
                return Err(stale(current.version));
            }
            check_guard(guard, &current, wanted, self.0)?;
            if wanted.step == Move::Propose {
                self.supersede_open(&current).await?;
            }
            if self.move_to(&current, next, wanted).await? {
                return self.moved(&current, next, wanted).await;
            }
        }
    }

    async fn move_to(
        &self,
        current: &Recommendation,
        next: State,
        wanted: &Transition,
    ) -> Result<bool, Error> {
        let applies_at = match wanted.step {
            Move::Approve | Move::Reject => Some(self.0.now() + TimeDelta::seconds(UNDO_SECONDS)),
            Move::Undo => None,
            _ => current.applies_at,
        };
        let snoozed_until = match wanted.step {
            Move::Snooze => wanted.until,
            Move::Wake | Move::Open | Move::Undo | Move::Approve => None,
            _ => current.snoozed_until,
        };
        if wanted.step == Move::Snooze && snoozed_until.is_none() {
            return Err(domain::Error::invalid(
                "recommendation.until_missing",
                "snoozing needs a date",
            )
            .into());
        }
        let superseded_by = wanted
            .superseded_by
            .or(current.superseded_by)
            .map(|id| id.0);
        let sql = "UPDATE recommendations SET version = version + 1, state = $3, applies_at = $4, snoozed_until = $5, \
                   superseded_by = $6, updated_at = $7 WHERE org_id = $1 AND id = $2 AND version = $8 AND state = $9 \
                   AND action_hash = $10";
        let params = params![
            current.id.0,
            name(&next),
            applies_at,
            snoozed_until,
            superseded_by,
            self.0.now(),
            i64::from(current.version),
            name(&current.state),
            current.action_hash.clone()
        ];
        Ok(self.0.execute(sql, params).await? == 1)
    }

    async fn moved(
        &self,
        before: &Recommendation,
        next: State,
        wanted: &Transition,
    ) -> Result<Recommendation, Error> {
        self.write_history(
            before.id,
            Some(wanted.step),
            next,
            wanted.note.as_deref(),
            &before.action_hash,
        )
        .await?;
        self.tell(before.id, event_of(wanted.step)).await?;
        let detail = serde_json::json!({
            "from": before.state, "to": next, "hash": before.action_hash, "note": wanted.note
        });
        self.0
            .audit()
            .record(
                &format!("recommendation.{}", name(&wanted.step)),
                &before.id.to_string(),
                detail,
            )
            .await?;
        self.get(before.id).await
    }

    async fn supersede_open(&self, new: &Recommendation) -> Result<(), Error> {
        let sql = "SELECT id FROM recommendations WHERE org_id = $1 AND kind = $2 AND subject = $3 AND id <> $4 \
                   AND state IN ('proposed', 'in_review', 'snoozed')";
        for row in self
            .0
            .rows(sql, params![new.kind.name(), new.subject.clone(), new.id.0])
            .await?
        {
            let older = RecommendationId(row.get("id")?);
            let supersede = Transition::by_runtime(older, Move::Supersede).superseded_by(new.id);
            Box::pin(self.transition(&supersede)).await?;
        }
        Ok(())
    }

    /// Moves every due approval to `applying` and returns them: each is handed out once, however many appliers ask.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn claim_due(&self, limit: u32) -> Result<Vec<Recommendation>, Error> {
        let mut claimed = Vec::new();
        for due in self.due(limit).await? {
            match self
                .transition(
                    &Transition::by_runtime(due.id, Move::StartApplying).expecting(due.version),
                )
                .await
            {
                Ok(recommendation) => claimed.push(recommendation),
                // Somebody else claimed, undid or withdrew it since it was listed.
                Err(Error::Domain(error))
                    if matches!(error.kind, ErrorKind::Conflict | ErrorKind::Stale) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(claimed)
    }
}
