//! Keeps the results of a cycle and turns its proposals into drafts for the arbitrator.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Days;
use domain::{
    access::{AgentKind, Permission, Principal},
    budget::Plan,
    event::{EventKind, NewEvent},
    id::RunId,
    metric::MetricDefinition,
    recommendation::{Action, Considered, Kind, Move, Recommendation, State},
    run::RunState,
};
use serde_json::{Value, json};
use storage::{Drafted, Filter, Transition, Unit};

use super::Results;
use crate::{
    Error,
    context::Ctx,
    observe::{Snapshot, evidence_query},
    proposal::Verdicts,
    view::View,
};

/// Days for which a person's rejection stands before the same subject is proposed again.
const REJECTION_STANDS_DAYS: u64 = 28;
/// What was considered in the last cycles, compared so that the same is not written down twice.
const LOOK_BACK: u32 = 400;

/// What proposing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) drafted: usize,
    pub(crate) unchanged: usize,
    pub(crate) considered: usize,
    pub(crate) withdrawn: usize,
}

/// Keeps results. They are stored under ids that follow from the data, so keeping them again changes nothing.
pub(crate) async fn keep(
    ctx: &Ctx,
    principal: &Principal,
    run: RunId,
    view: &View,
    results: Results,
) -> Result<Value, Error> {
    let grant = principal.grant(Permission::MetricWrite)?;
    let Some(origin) = view.data_until else {
        return Ok(json!({ "kept": "nothing: there is no data" }));
    };
    let counts = json!({
        "curves": results.fit.as_ref().map_or(0, |fit| fit.curves.len()),
        "cross_effects": results.effects.len(),
        "forecasts": results.forecasts.len(),
        "scores": results.scores.len(),
        "findings": results.findings.iter().map(|(kind, set)| json!({ "kind": kind, "count": set.len() })).collect::<Vec<_>>(),
    });
    ctx.storage
        .unit(&grant, move |u| {
            let results = results.clone();
            Box::pin(async move { keep_all(u, run, origin, &results).await })
        })
        .await?;
    Ok(counts)
}

async fn keep_all(
    u: &Unit,
    run: RunId,
    origin: chrono::NaiveDate,
    results: &Results,
) -> Result<(), storage::Error> {
    if let Some(fit) = &results.fit
        && u.fits()
            .latest()
            .await?
            .is_none_or(|latest| latest.id != fit.id)
    {
        u.fits().record(fit).await?;
        tell(u, run, EventKind::FitComputed).await?;
    }
    if !results.effects.is_empty() {
        let latest: BTreeSet<_> = u
            .synergies()
            .latest()
            .await?
            .into_iter()
            .map(|effect| effect.id)
            .collect();
        if results
            .effects
            .iter()
            .any(|effect| !latest.contains(&effect.id))
        {
            u.synergies().record(&results.effects).await?;
            tell(u, run, EventKind::CrossEffectsComputed).await?;
        }
    }
    if !results.forecasts.is_empty() {
        let latest: BTreeSet<_> = u
            .forecasts()
            .latest()
            .await?
            .into_iter()
            .map(|forecast| forecast.id)
            .collect();
        if results
            .forecasts
            .iter()
            .any(|forecast| !latest.contains(&forecast.id))
        {
            for forecast in &results.forecasts {
                u.forecasts().record(forecast).await?;
            }
            tell(u, run, EventKind::ForecastsComputed).await?;
        }
    }
    if !results.scores.is_empty() {
        let project = results.scores[0].project;
        let latest: BTreeSet<_> = u
            .scores()
            .latest(project)
            .await?
            .into_iter()
            .map(|score| score.id)
            .collect();
        if results
            .scores
            .iter()
            .filter(|s| s.project == project)
            .any(|score| !latest.contains(&score.id))
        {
            u.scores().record(&results.scores).await?;
            for benchmark in &results.benchmarks {
                u.scores().set_benchmark(benchmark).await?;
            }
            tell(u, run, EventKind::ScoresComputed).await?;
        }
    }
    for (kind, set) in &results.findings {
        let known = u.findings().latest::<Value>(kind).await?;
        let values: Vec<&Value> = set.iter().map(|(_, value)| value).collect();
        if known.is_none_or(|known| known.findings.iter().collect::<Vec<_>>() != values) {
            u.findings().record(kind, origin, Some(run), set).await?;
        }
    }
    Ok(())
}

async fn tell(u: &Unit, run: RunId, kind: EventKind) -> Result<(), storage::Error> {
    let event = NewEvent {
        kind,
        key: run.to_string(),
        body: json!({ "run": run }),
    };
    u.events().publish(event).await.map(|_| ())
}

/// Turns proposals into drafts, withdraws what the agent no longer stands by, and ends the run: one unit.
pub(crate) async fn propose(
    ctx: &Ctx,
    kind: AgentKind,
    run: RunId,
    snapshot: &Snapshot,
    verdicts: Verdicts,
    plans: Vec<Plan>,
) -> Result<Outcome, Error> {
    let grant = ctx.agent(kind).grant(Permission::RecommendationPropose)?;
    let scope = ctx.storage.scope(&grant);
    let digests = digests(
        &scope,
        &snapshot.view.metrics,
        verdicts.proposals.iter().map(|p| &p.action),
    )
    .await?;
    let now = ctx.storage.now().await?;
    let (org, as_of) = (ctx.org, snapshot.view.as_of);
    let drafts: Vec<Recommendation> = verdicts
        .proposals
        .into_iter()
        .map(|proposal| {
            let digest = digests[&query_key(&proposal.action, &snapshot.view.metrics)].clone();
            proposal.into_draft(org, &digest, as_of, now)
        })
        .collect();
    let considered = verdicts.considered;
    let outcome = ctx
        .storage
        .unit(&grant, move |u| {
            let (drafts, considered, plans) = (drafts.clone(), considered.clone(), plans.clone());
            Box::pin(async move {
                if let storage::StepStart::Done(_) = u.runs().begin_step(run, "propose").await? {
                    return Ok(Outcome::default());
                }
                let outcome = write(u, kind, run, &drafts, considered, &plans).await?;
                let told = json!({
                    "drafted": outcome.drafted,
                    "unchanged": outcome.unchanged,
                    "considered": outcome.considered,
                    "withdrawn": outcome.withdrawn,
                });
                u.runs().finish_step(run, "propose", &told).await?;
                u.runs().end(run, RunState::Succeeded, None).await?;
                Ok(outcome)
            })
        })
        .await?;
    Ok(outcome)
}

async fn write(
    u: &Unit,
    kind: AgentKind,
    run: RunId,
    drafts: &[Recommendation],
    mut considered: Vec<Considered>,
    plans: &[Plan],
) -> Result<Outcome, storage::Error> {
    let recommendations = u.recommendations();
    let mine = recommendations
        .all(&Filter {
            agent: Some(kind),
            ..Filter::default()
        })
        .await?;
    let known: BTreeSet<&str> = mine.iter().map(|r| r.dedupe_key.as_str()).collect();
    let mut outcome = Outcome::default();
    let mut standing: BTreeSet<(Kind, &str)> = BTreeSet::new();
    for draft in drafts {
        standing.insert((draft.kind, draft.subject.as_str()));
        if known.contains(draft.dedupe_key.as_str()) {
            outcome.unchanged += 1;
            continue;
        }
        if let Some(rejected) = mine.iter().find(|r| stands_rejected(r, draft)) {
            considered.push(Considered {
                agent: kind,
                kind: draft.kind,
                subject: draft.subject.clone(),
                reason: "duplicate".to_owned(),
                detail: format!("a person rejected it on the data of {}; it may come again after {REJECTION_STANDS_DAYS} days", rejected.proposed_on),
            });
            continue;
        }
        for plan in plans {
            if matches!(&draft.action, Action::BudgetPlan { plan: id, .. } if *id == plan.id) {
                u.plans()
                    .create(&Plan {
                        recommendation: Some(draft.id),
                        ..plan.clone()
                    })
                    .await?;
            }
        }
        match recommendations.draft(draft).await? {
            Drafted::Inserted(_) => outcome.drafted += 1,
            Drafted::Unchanged(..) => outcome.unchanged += 1,
        }
    }
    for old in mine
        .iter()
        .filter(|r| is_open_and_mine(r) && !standing.contains(&(r.kind, r.subject.as_str())))
    {
        let withdraw = Transition::by_runtime(old.id, Move::Withdraw)
            .note("the agent looked again and no longer proposes it");
        recommendations.transition(&withdraw).await?;
        outcome.withdrawn += 1;
    }
    let before: BTreeSet<String> = recommendations
        .considered(Some(kind), LOOK_BACK)
        .await?
        .iter()
        .map(|e| told(&e.considered))
        .collect();
    considered.retain(|one| !before.contains(&told(one)));
    outcome.considered = considered.len();
    recommendations
        .record_considered(Some(run), &considered)
        .await?;
    Ok(outcome)
}

fn told(considered: &Considered) -> String {
    format!(
        "{}|{}|{}|{}",
        considered.kind.name(),
        considered.subject,
        considered.reason,
        considered.detail
    )
}

/// Steps of initiatives and plans that people submitted are nobody's to withdraw but theirs.
fn is_open_and_mine(r: &Recommendation) -> bool {
    (r.state.is_open() || r.state == State::Draft)
        && r.parent.is_none()
        && !r.dedupe_key.starts_with(crate::plans::SUBMITTED)
}

fn stands_rejected(old: &Recommendation, draft: &Recommendation) -> bool {
    old.state == State::Rejected
        && (old.kind, &old.subject) == (draft.kind, &draft.subject)
        && old.proposed_on + Days::new(REJECTION_STANDS_DAYS) > draft.proposed_on
}

/// The key of the values an action's evidence rests on.
pub(crate) fn query_key(action: &Action, metrics: &[MetricDefinition]) -> String {
    format!("{:?}", evidence_query(action, metrics))
}

/// Digest of the values that each action's evidence rests on, by [`query_key`]; each different slice is asked for once.
pub(crate) async fn digests<'a>(
    scope: &storage::Scope,
    metrics: &[MetricDefinition],
    actions: impl Iterator<Item = &'a Action>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut out = BTreeMap::new();
    for action in actions {
        let key = query_key(action, metrics);
        if let std::collections::btree_map::Entry::Vacant(slot) = out.entry(key) {
            slot.insert(
                scope
                    .values()
                    .digest(&evidence_query(action, metrics))
                    .await?
                    .digest,
            );
        }
    }
    Ok(out)
}
