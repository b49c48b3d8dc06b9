//! Does what was approved, once, and takes it back.
//!
//! An approval takes effect when its undo window has passed by database time. Then the evidence is checked again: if the
//! values it rests on changed, or a plan would break a rule that came into force meanwhile, the recommendation is withdrawn
//! and nothing happens. Otherwise the change itself and the two
//! moves `applying` and `applied` are one unit of work: a crash at any moment leaves either nothing or everything, and of
//! several appliers the first wins. An action that cannot be carried out ends as `failed` with nothing changed.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use domain::{
    access::{Permission, Principal},
    budget::{Constraint, Plan, PlanStatus},
    event::{EventKind, NewEvent},
    id::{ConstraintId, CorrectionId, ForecastId, PlanId, RecommendationId, TargetId},
    outcome::{Correction, Target},
    page::MAX_LIMIT,
    recommendation::{Action, HistoryEntry, Move, Recommendation, State},
};
use storage::{Drafted, Storage, Transition, Unit};

use crate::{Error, arbitrator::violation, calendar::domain_date, observe::evidence_digest};

/// What one round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Carried out.
    pub applied: Vec<RecommendationId>,
    /// Withdrawn because the evidence changed.
    pub withdrawn: Vec<RecommendationId>,
    /// Could not be carried out.
    pub failed: Vec<RecommendationId>,
}

/// Begins the note of the history entry of an application; the domain date follows.
const APPLIED_ON: &str = "applied on ";
/// Stands before the id of what was replaced, in the same note.
const REPLACED: &str = ", replaced ";

/// Days after its start for which a step of an initiative can be decided on at least.
const STEP_STAYS_OPEN: u64 = 28;

/// Carries out every approval of the organisation that is due. Running it again, or several at once, changes nothing more.
///
/// # Errors
/// When the database cannot be reached; what was carried out before that stays so.
pub async fn apply_due(storage: &Storage, principal: &Principal) -> Result<Applied, Error> {
    let grant = principal.grant(Permission::PlanWrite)?;
    let scope = storage.scope(&grant);
    let mut done = Applied::default();
    for due in scope.recommendations().due(MAX_LIMIT).await? {
        let id = due.id;
        match storage
            .unit(&grant, move |u| Box::pin(apply_one(u, id)))
            .await
        {
            Ok(Some(State::Applied)) => done.applied.push(id),
            Ok(Some(State::Withdrawn)) => done.withdrawn.push(id),
            Ok(_) => {}
            // Somebody else applied, undid or withdrew it since it was listed.
            Err(storage::Error::Domain(error)) if error.code.starts_with("recommendation.") => {
                tracing::debug!(recommendation.id = %id, %error, "a due recommendation was taken by somebody else");
            }
            Err(error) if is_transient(&error) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(recommendation.id = %id, %error, "an approved recommendation could not be applied");
                fail(storage, principal, id, &error.to_string()).await?;
                done.failed.push(id);
            }
        }
    }
    Ok(done)
}

fn is_transient(error: &storage::Error) -> bool {
    matches!(
        error,
        storage::Error::Busy(_) | storage::Error::Unavailable(_) | storage::Error::Full(_)
    )
}

/// The state it ended in; `None` when it is no longer waiting, because somebody else was quicker.
async fn apply_one(u: &Unit, id: RecommendationId) -> Result<Option<State>, storage::Error> {
    let recommendations = u.recommendations();
    let seen = recommendations.get(id).await?;
    if seen.state != State::Approved {
        return Ok(None);
    }
    let metrics = u.metrics().list().await?;
    let digest = evidence_digest(u.values(), &seen.action, &metrics).await?;
    let is_untouched = seen.action.hash() == seen.action_hash;
    if digest != seen.evidence_digest || !is_untouched {
        let why = if is_untouched {
            "the values behind it changed after it was proposed"
        } else {
            "the stored action does not match its hash"
        };
        recommendations
            .transition(
                &Transition::by_runtime(id, Move::Withdraw)
                    .expecting(seen.version)
                    .note(why),
            )
            .await?;
        return Ok(Some(State::Withdrawn));
    }
    if let Some(why) = broken_rule(u, &seen.action).await? {
        recommendations
            .transition(
                &Transition::by_runtime(id, Move::Withdraw)
                    .expecting(seen.version)
                    .note(why),
            )
            .await?;
        return Ok(Some(State::Withdrawn));
    }
    let applying = recommendations
        .transition(&Transition::by_runtime(id, Move::StartApplying).expecting(seen.version))
        .await?;
    let replaced = carry_out(u, &applying)
        .await?
        .map(|id| format!("{REPLACED}{id}"))
        .unwrap_or_default();
    let today = domain_date(u.organisations(), u.now()).await?;
    let note = format!("{APPLIED_ON}{today}{replaced}");
    let finish = Transition::by_runtime(id, Move::Finish)
        .expecting(applying.version)
        .note(note);
    Ok(Some(recommendations.transition(&finish).await?.state))
}

/// A rule that came into force after a plan was proposed and that the plan would break, in words.
async fn broken_rule(u: &Unit, action: &Action) -> Result<Option<String>, storage::Error> {
    let Action::BudgetPlan { lines, .. } = action else {
        return Ok(None);
    };
    let mut current: BTreeMap<_, _> = lines
        .iter()
        .map(|l| ((l.brand, l.channel), l.current))
        .collect();
    for line in u
        .plans()
        .of_record()
        .await?
        .into_iter()
        .flat_map(|p| p.lines)
    {
        current.insert((line.brand, line.channel), line.weekly);
    }
    let mut spend = current.clone();
    spend.extend(lines.iter().map(|l| ((l.brand, l.channel), l.weekly)));
    let rules = u.constraints().active().await?;
    Ok(rules.iter().find_map(|constraint| {
        violation(&constraint.rule, &spend, &current).map(|why| {
            format!(
                "a rule is in force that it would break: {why} ({})",
                constraint.reason
            )
        })
    }))
}

async fn fail(
    storage: &Storage,
    principal: &Principal,
    id: RecommendationId,
    why: &str,
) -> Result<(), Error> {
    let grant = principal.grant(Permission::PlanWrite)?;
    let why = why.to_owned();
    let moved = storage
        .unit(&grant, move |u| {
            let why = why.clone();
            Box::pin(async move {
                let applying = u
                    .recommendations()
                    .transition(&Transition::by_runtime(id, Move::StartApplying))
                    .await?;
                u.recommendations()
                    .transition(
                        &Transition::by_runtime(id, Move::Fail)
                            .expecting(applying.version)
                            .note(why),
                    )
                    .await?;
                Ok(())
            })
        })
        .await;
    match moved {
        Err(storage::Error::Domain(error)) if error.code.starts_with("recommendation.") => Ok(()),
        other => Ok(other?),
    }
}

/// Does what the kind of action means. Returns the id of what was replaced, where there is such a thing.
async fn carry_out(u: &Unit, of: &Recommendation) -> Result<Option<String>, storage::Error> {
    let own_id = of.id.to_string();
    match &of.action {
        Action::BudgetPlan {
            plan,
            start,
            weeks,
            total,
            lines,
        } => {
            let wanted = Plan {
                id: *plan,
                version: 1,
                name: of.title.clone(),
                status: PlanStatus::Draft,
                start: *start,
                weeks: *weeks,
                total: total.clone(),
                lines: lines.clone(),
                effect: of.effect.clone(),
                confidence: of.confidence,
                certificate: None,
                recommendation: Some(of.id),
                created_by: u.actor(),
                created_at: u.now(),
                provenance: of
                    .evidence
                    .first()
                    .map(|e| e.provenance.clone())
                    .unwrap_or_default(),
            };
            let stored = u.plans().create(&wanted).await?;
            if stored.lines != wanted.lines || stored.recommendation != wanted.recommendation {
                // The draft from the proposal keeps its certificate unless a person edited the lines.
                let certificate = stored
                    .certificate
                    .clone()
                    .filter(|_| stored.lines == wanted.lines);
                u.plans()
                    .update(
                        &Plan {
                            certificate,
                            ..wanted
                        },
                        stored.version,
                    )
                    .await?;
            }
            let before = u.plans().make_of_record(*plan).await?;
            tell(u, EventKind::PlanChanged, plan.to_string()).await?;
            Ok(before.map(|before| before.to_string()))
        }
        Action::Guard { rule } | Action::Synergy { rule } => {
            let constraint = Constraint {
                id: ConstraintId::derive(&[&own_id]),
                rule: rule.clone(),
                reason: of.title.clone(),
                recommendation: Some(of.id),
                active: true,
                created_at: u.now(),
            };
            u.constraints().create(&constraint).await?;
            tell(u, EventKind::ConstraintChanged, constraint.id.to_string()).await?;
            Ok(None)
        }
        Action::ForecastRevision { forecast, .. } => {
            let before = u.forecasts().set_of_record(*forecast).await?;
            tell(u, EventKind::ForecastsComputed, forecast.to_string()).await?;
            Ok(before.map(|before| before.to_string()))
        }
        Action::MetricTarget {
            brand,
            metric,
            from,
            to,
            due,
        } => {
            let target = Target {
                id: TargetId::derive(&[&own_id]),
                brand: *brand,
                metric: *metric,
                from: *from,
                to: *to,
                due: *due,
                recommendation: Some(of.id),
                active: true,
            };
            u.targets().create(&target).await?;
            tell(u, EventKind::TargetChanged, target.id.to_string()).await?;
            Ok(None)
        }
        Action::Initiative { steps, .. } => {
            let metrics = u.metrics().list().await?;
            let today = domain_date(u.organisations(), u.now()).await?;
            for (index, step) in steps.iter().enumerate() {
                let child = child(
                    of,
                    index,
                    step,
                    today,
                    evidence_digest(u.values(), &step.action, &metrics).await?,
                );
                if let Drafted::Inserted(child) = u.recommendations().draft(&child).await? {
                    u.recommendations()
                        .transition(&Transition::by_runtime(child.id, Move::Propose))
                        .await?;
                }
            }
            Ok(None)
        }
        Action::DataFix {
            project,
            brand,
            metric,
            period,
            to,
            ..
        } => {
            let correction = Correction {
                id: CorrectionId::derive(&[&own_id]),
                project: *project,
                brand: *brand,
                metric: *metric,
                period: *period,
                value: *to,
                recommendation: Some(of.id),
                active: true,
            };
            u.corrections().create(&correction).await?;
            tell(u, EventKind::DataCorrected, correction.id.to_string()).await?;
            Ok(None)
        }
    }
}

/// The recommendation that a step of an initiative becomes.
fn child(
    parent: &Recommendation,
    index: usize,
    step: &domain::recommendation::InitiativeStep,
    today: NaiveDate,
    digest: String,
) -> Recommendation {
    let key = format!("{}|step {}", parent.dedupe_key, index + 1);
    Recommendation {
        id: RecommendationId::derive(&[&parent.id.to_string(), &index.to_string()]),
        kind: step.action.kind(),
        subject: format!("{}/step {}", parent.subject, index + 1),
        title: step.title.clone(),
        summary: format!(
            "Step {} of \"{}\", from the week of {}.",
            index + 1,
            parent.title,
            step.start
        ),
        state: State::Draft,
        action_hash: step.action.hash(),
        action: step.action.as_ref().clone(),
        effect: None,
        confidence: None,
        dedupe_key: key,
        evidence_digest: digest,
        proposed_on: today,
        // Approved late or to be begun late, a step still has time to be decided on.
        expires_on: parent
            .expires_on
            .max(step.start.max(today) + Days::new(STEP_STAYS_OPEN)),
        snoozed_until: None,
        applies_at: None,
        superseded_by: None,
        parent: Some(parent.id),
        ..parent.clone()
    }
}

/// The inverse of [`carry_out`], within the unit of the rollback.
pub(crate) async fn take_back(u: &Unit, of: &Recommendation) -> Result<(), storage::Error> {
    let own_id = of.id.to_string();
    match &of.action {
        Action::BudgetPlan { plan, .. } => {
            let before: Option<PlanId> = replaced(u, of.id).await?;
            // Only when it still is of record: a later plan is not thrown out by taking an earlier one back.
            if u.plans()
                .of_record()
                .await?
                .is_some_and(|now| now.id == *plan)
            {
                match before {
                    Some(before) => {
                        u.plans().make_of_record(before).await?;
                    }
                    None => u.plans().withdraw(*plan).await?,
                }
            }
            tell(u, EventKind::PlanChanged, plan.to_string()).await
        }
        Action::Guard { .. } | Action::Synergy { .. } => {
            let id = ConstraintId::derive(&[&own_id]);
            u.constraints().set_active(id, false).await?;
            tell(u, EventKind::ConstraintChanged, id.to_string()).await
        }
        Action::ForecastRevision { forecast, .. } => {
            let before = replaced::<ForecastId>(u, of.id).await?;
            // As with plans: a later revision is not thrown out by taking an earlier one back.
            if u.forecasts().get(*forecast).await?.of_record {
                match before {
                    Some(before) => {
                        u.forecasts().set_of_record(before).await?;
                    }
                    None => u.forecasts().clear_of_record(*forecast).await?,
                }
            }
            tell(u, EventKind::ForecastsComputed, forecast.to_string()).await
        }
        Action::MetricTarget { .. } => {
            let id = TargetId::derive(&[&own_id]);
            u.targets().set_active(id, false).await?;
            tell(u, EventKind::TargetChanged, id.to_string()).await
        }
        // Withdrawing is the runtime's move and the unit is a person's: the steps that are still open go with the next look at
        // the calendar.
        Action::Initiative { .. } => Ok(()),
        Action::DataFix { .. } => {
            let id = CorrectionId::derive(&[&own_id]);
            u.corrections().set_active(id, false).await?;
            tell(u, EventKind::DataCorrected, id.to_string()).await
        }
    }
}

/// What the application of a recommendation replaced, from the note of its history.
async fn replaced<T: std::str::FromStr>(
    u: &Unit,
    id: RecommendationId,
) -> Result<Option<T>, storage::Error> {
    let history = u.recommendations().history(id).await?;
    let note = finish_note(&history);
    Ok(note
        .and_then(|note| note.split_once(REPLACED))
        .and_then(|(_, id)| id.parse().ok()))
}

/// The domain date on which a recommendation was applied, from its history.
pub(crate) fn applied_on(history: &[HistoryEntry]) -> Option<NaiveDate> {
    finish_note(history)?
        .strip_prefix(APPLIED_ON)?
        .get(..10)?
        .parse()
        .ok()
}

fn finish_note(history: &[HistoryEntry]) -> Option<&str> {
    history
        .iter()
        .rev()
        .find(|entry| entry.step == Some(Move::Finish))?
        .note
        .as_deref()
}

async fn tell(u: &Unit, kind: EventKind, key: String) -> Result<(), storage::Error> {
    let body = serde_json::json!({ "id": key });
    u.events().publish(NewEvent { kind, key, body }).await?;
    Ok(())
}
