//! Grades what was applied: promised against realised, once the domain clock has passed enough weeks.
//!
//! | kind | realised |
//! |---|---|
//! | `budget_plan`, `guard`, `synergy` | profit on the spending that really happened against the spending of before, by the response fit made anew on data that include the window; spending more than 10 % off a plan is inconclusive |
//! | `forecast_revision` | error in the window against repeating the last value |
//! | `metric_target` | the metric at the date |
//! | `initiative` | its steps |
//! | `data_fix` | whether the value still contradicts the rest of the data |
//!
//! The counterfactual is an estimate, so the outcome carries its interval, and "cannot be told" is an answer.

mod estimate;
mod verdict;

use std::sync::Arc;

use chrono::{Days, NaiveDate};
use domain::{
    access::{AgentKind, Permission},
    event::{EventKind, NewEvent},
    id::OutcomeId,
    metric::MetricDefinition,
    outcome::{Outcome, OutcomeVerdict},
    recommendation::{Action, Move, Recommendation, State},
};
use serde_json::json;
use storage::{Filter, Scope, Transition};

use crate::{
    Error, applier, context::Ctx, decisions::domain_date, observe::Snapshot, plans::next_monday,
};
use verdict::Measured;

/// Weeks after which a rule, a forecast or a joint action is measured.
const WINDOW_WEEKS: u32 = 12;
/// Weeks of a forecast that are compared with what happened.
const FORECAST_WEEKS: u32 = 8;

/// Starts measuring what was applied, and measures what has had enough weeks. Doing it again changes nothing. Returns how
/// many recommendations moved.
///
/// # Errors
/// When the database cannot be reached or an analysis fails.
pub(crate) async fn measure_due(ctx: &Ctx) -> Result<usize, Error> {
    let grant = ctx.system().grant(Permission::RunWrite)?;
    let scope = ctx.storage.scope(&grant);
    let live = Filter {
        states: vec![State::Applied, State::Measuring],
        ..Filter::default()
    };
    let waiting = scope.recommendations().all(&live).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let today = domain_date(scope.organisations(), ctx.storage.now().await?).await?;
    let until = scope.values().span().await?.map(|(_, last)| last);
    let mut moved = 0;
    let mut snapshot = None;
    for recommendation in waiting {
        let history = scope.recommendations().history(recommendation.id).await?;
        let applied_on = applier::applied_on(&history).unwrap_or(recommendation.proposed_on);
        let from = begins(&recommendation.action, applied_on);
        let recommendation = match recommendation.state {
            State::Applied if today >= from => {
                let start = Transition::by_runtime(recommendation.id, Move::StartMeasuring)
                    .expecting(recommendation.version)
                    .note(format!("from {from}"));
                if !make(ctx, start, None).await? {
                    continue;
                }
                moved += 1;
                scope.recommendations().get(recommendation.id).await?
            }
            State::Applied => continue,
            _ => recommendation,
        };
        let to = ends(&recommendation.action, from);
        if !is_over(&recommendation.action, to, today, until) {
            continue;
        }
        if snapshot.is_none() {
            snapshot = Some(ctx.analyst.snapshot(&ctx.agent(AgentKind::Metrics)).await?);
        }
        let Some(snapshot) = &snapshot else { continue };
        if let Some(measured) = measure(ctx, &scope, snapshot, &recommendation, from, to).await? {
            moved += usize::from(conclude(ctx, &recommendation, from, to, measured).await?);
        }
    }
    Ok(moved)
}

/// The first day that counts.
fn begins(action: &Action, applied_on: NaiveDate) -> NaiveDate {
    match action {
        Action::BudgetPlan { start, .. } => *start,
        Action::DataFix { .. } => applied_on,
        _ => next_monday(applied_on),
    }
}

/// The first day of the last week that counts.
fn ends(action: &Action, from: NaiveDate) -> NaiveDate {
    let after = |weeks: u32| from + Days::new(7 * u64::from(weeks.saturating_sub(1)));
    match action {
        Action::BudgetPlan { weeks, .. } => after(*weeks),
        Action::MetricTarget { due, .. } => *due,
        Action::ForecastRevision { .. } => after(FORECAST_WEEKS),
        Action::Guard { .. } | Action::Synergy { .. } => after(WINDOW_WEEKS),
        Action::Initiative { .. } | Action::DataFix { .. } => from,
    }
}

fn is_over(action: &Action, to: NaiveDate, today: NaiveDate, until: Option<NaiveDate>) -> bool {
    match action {
        // The metric at the date: the last week that ends by then.
        Action::MetricTarget { due, .. } => today >= *due,
        Action::Initiative { .. } | Action::DataFix { .. } => true,
        _ => until.is_some_and(|until| until >= to),
    }
}

async fn measure(
    ctx: &Ctx,
    scope: &Scope,
    snapshot: &Arc<Snapshot>,
    of: &Recommendation,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Option<Measured>, Error> {
    match &of.action {
        Action::BudgetPlan { lines, .. } => estimate::plan(ctx, snapshot, of, lines, from, to)
            .await
            .map(Some),
        Action::Guard { rule } | Action::Synergy { rule } => {
            estimate::rule(ctx, snapshot, of, rule, from, to)
                .await
                .map(Some)
        }
        Action::ForecastRevision { forecast, .. } => {
            let forecast = scope.forecasts().get(*forecast).await?;
            Ok(Some(verdict::forecast(
                &forecast,
                &snapshot.table,
                from,
                to,
                promised_gain(of),
            )))
        }
        Action::MetricTarget {
            brand,
            metric,
            from: start,
            to: goal,
            due,
        } => {
            let is_additive = snapshot
                .view
                .metric(*metric)
                .is_some_and(MetricDefinition::adds_up);
            Ok(Some(verdict::target(
                &snapshot.table,
                *brand,
                *metric,
                is_additive,
                (*start, *goal),
                *due,
            )))
        }
        Action::Initiative { .. } => {
            let steps = scope
                .recommendations()
                .all(&Filter {
                    parent: Some(of.id),
                    ..Filter::default()
                })
                .await?;
            Ok(verdict::steps(&steps))
        }
        Action::DataFix {
            project,
            brand,
            metric,
            period,
            ..
        } => {
            let shared = Arc::clone(snapshot);
            let suspects = ctx
                .analyst
                .run(crate::analyst::ANALYSIS, "quality after a fix", move |_| {
                    crate::analyst::quality::suspects(&shared)
                })
                .await?;
            let is_suspect = suspects.iter().any(|s| {
                (s.project, s.brand, s.metric, s.period) == (*project, *brand, *metric, *period)
            });
            Ok(Some(verdict::fix(is_suspect)))
        }
    }
}

/// Share of backtest error that a revision promised to save: its first two numbers of evidence.
fn promised_gain(of: &Recommendation) -> f64 {
    let value = |index: usize| of.evidence.get(index).and_then(|e| e.value);
    match (value(0), value(1)) {
        (Some(champion), Some(reference)) if reference > 0.0 => 1.0 - champion / reference,
        _ => 0.0,
    }
}

async fn conclude(
    ctx: &Ctx,
    of: &Recommendation,
    from: NaiveDate,
    to: NaiveDate,
    measured: Measured,
) -> Result<bool, Error> {
    let step = match measured.verdict {
        OutcomeVerdict::Verified => Move::Verify,
        OutcomeVerdict::Refuted => Move::Refute,
        OutcomeVerdict::Inconclusive => Move::GiveUp,
    };
    let outcome = Outcome {
        id: OutcomeId::derive(&[&of.id.to_string()]),
        recommendation: of.id,
        from,
        to,
        promised: measured.promised,
        realised: measured.realised,
        interval80: measured.interval80,
        verdict: measured.verdict,
        reason: measured.reason.clone(),
        provenance: measured.provenance,
        at: ctx.storage.now().await?,
    };
    let step = Transition::by_runtime(of.id, step)
        .expecting(of.version)
        .note(measured.reason);
    make(ctx, step, Some(outcome)).await
}

/// Makes a move, with the outcome in the same unit. `false` when somebody else was quicker.
async fn make(ctx: &Ctx, step: Transition, outcome: Option<Outcome>) -> Result<bool, Error> {
    let grant = ctx.system().grant(Permission::RunWrite)?;
    let moved = ctx
        .storage
        .unit(&grant, move |u| {
            let (step, outcome) = (step.clone(), outcome.clone());
            Box::pin(async move {
                u.recommendations().transition(&step).await?;
                if let Some(outcome) = outcome {
                    u.outcomes().record(&outcome).await?;
                    let body = json!({ "recommendation": step.id, "outcome": outcome.id });
                    u.events()
                        .publish(NewEvent {
                            kind: EventKind::OutcomeMeasured,
                            key: step.id.to_string(),
                            body,
                        })
                        .await?;
                }
                Ok(())
            })
        })
        .await;
    match moved {
        Ok(()) => Ok(true),
        Err(storage::Error::Domain(error)) if error.code.starts_with("recommendation.") => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
