//! The arbitrator's actor: puts drafts into the inbox, and keeps the inbox true to the calendar.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    access::{AgentKind, Permission},
    id::RecommendationId,
    recommendation::{Action, Considered, Move, Recommendation, State},
    run::RunState,
    synergy::Verdict,
};
use runtime::actor::{Behaviour, Context, Failure};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde_json::{Value, json};
use storage::{Filter, Transition, Unit};

use super::{Board, Decision, HarmfulPair, arbitrate, claims};
use crate::{
    Error,
    agent::propose::{digests, query_key},
    context::Ctx,
    observe::{CURRENT_WEEKS, spend_now},
};

/// How often it looks even when nobody woke it.
const SWEEP: Duration = Duration::from_secs(20);

/// Letters to the arbitrator.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Msg {
    /// Look whether there are drafts. Nothing is decided while an agent is in the middle of a cycle, so that one
    /// decision is made over everybody's proposals.
    Wake,
}

pub(crate) struct Arbitrator {
    ctx: Arc<Ctx>,
    rounds: u64,
    proposed: usize,
    refused: usize,
}

impl Arbitrator {
    pub(crate) fn new(ctx: Arc<Ctx>) -> Self {
        Self {
            ctx,
            rounds: 0,
            proposed: 0,
            refused: 0,
        }
    }
}

impl Behaviour for Arbitrator {
    type Msg = Msg;
    const KIND: &'static str = "arbitrator";

    async fn start(&mut self, ctx: &Context<Msg>) -> Result<(), Failure> {
        ctx.every(SWEEP, || Msg::Wake);
        ctx.after(Duration::ZERO, Msg::Wake);
        Ok(())
    }

    async fn handle(&mut self, ctx: &Context<Msg>, Msg::Wake: Msg) -> Result<(), Failure> {
        match round(&self.ctx).await {
            Ok(Some((proposed, refused))) => {
                self.rounds += 1;
                self.proposed += proposed;
                self.refused += refused;
            }
            Ok(None) => {}
            Err(error) => ctx.cell().note_error(error.to_string()),
        }
        Ok(())
    }

    fn observe(&self) -> Value {
        json!({ "rounds": self.rounds, "proposed": self.proposed, "refused": self.refused })
    }
}

/// One round. `None` when there is nothing to decide, or somebody is still at work.
pub(crate) async fn round(ctx: &Ctx) -> Result<Option<(usize, usize)>, Error> {
    let grant = ctx.system().grant(Permission::RecommendationPropose)?;
    let scope = ctx.storage.scope(&grant);
    let mut live = vec![
        State::Draft,
        State::Proposed,
        State::Snoozed,
        State::InReview,
    ];
    let drafts = scope
        .recommendations()
        .all(&Filter {
            states: vec![State::Draft],
            ..Filter::default()
        })
        .await?;
    if drafts.is_empty() || somebody_is_at_work(ctx, &scope).await? {
        return Ok(None);
    }
    live.extend([
        State::Approved,
        State::Applying,
        State::Applied,
        State::Measuring,
    ]);
    let all = scope
        .recommendations()
        .all(&Filter {
            states: live,
            ..Filter::default()
        })
        .await?;
    let board = board(&scope, ctx.storage.now().await?, &all).await?;
    let candidates = candidates(&all);
    let decision = arbitrate(&candidates, &board);
    let counts = (
        candidates
            .iter()
            .filter(|c| c.state == State::Draft && decision.chosen.contains(&c.id))
            .count(),
        decision.refused.len(),
    );
    ctx.storage
        .unit(&grant, move |u| {
            let (candidates, decision) = (candidates.clone(), decision.clone());
            Box::pin(async move { write(u, &candidates, &decision).await })
        })
        .await?;
    Ok(Some(counts))
}

async fn somebody_is_at_work(ctx: &Ctx, scope: &storage::Scope) -> Result<bool, Error> {
    let unfinished = scope.runs().unfinished().await?;
    let now = ctx.storage.now().await?;
    for run in unfinished {
        let is_fresh = now - run.created_at
            < chrono::TimeDelta::from_std(ctx.config.cycle_timeout)
                .unwrap_or(chrono::TimeDelta::MAX);
        if is_fresh
            && (run.state == RunState::Running
                || !crate::agent::pause::is_paused(scope, run.agent).await?)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Drafts and what is open in the inbox. An open one whose subject has a new draft gives way to it, and steps of
/// initiatives and people's own plans are not the arbitrator's to weigh.
fn candidates(all: &[Recommendation]) -> Vec<Recommendation> {
    let about = |r: &Recommendation| (r.kind, r.subject.clone());
    let drafted: BTreeSet<_> = all
        .iter()
        .filter(|r| r.state == State::Draft)
        .map(about)
        .collect();
    let is_weighed = |r: &&Recommendation| match r.state {
        State::Draft => true,
        State::Proposed | State::Snoozed => {
            r.parent.is_none()
                && !r.dedupe_key.starts_with(crate::plans::SUBMITTED)
                && !drafted.contains(&about(r))
        }
        _ => false,
    };
    all.iter().filter(is_weighed).cloned().collect()
}

async fn board(
    scope: &storage::Scope,
    now_at: DateTime<Utc>,
    all: &[Recommendation],
) -> Result<Board, Error> {
    let metrics = scope.metrics().list().await?;
    let now = digests(scope, &metrics, all.iter().map(|r| &r.action)).await?;
    let stale = all
        .iter()
        .filter(|r| now[&query_key(&r.action, &metrics)] != r.evidence_digest)
        .map(|r| r.id)
        .collect();
    let as_of = crate::calendar::domain_date(scope.organisations(), now_at).await?;
    let holds = |r: &&Recommendation| match (&r.action, r.state) {
        (_, State::InReview | State::Approved | State::Applying) => true,
        // While its effect is being measured a plan's lines stay as they are.
        (Action::BudgetPlan { start, weeks, .. }, State::Applied | State::Measuring) => {
            *start + chrono::Days::new(7 * u64::from(*weeks)) > as_of
        }
        _ => false,
    };
    // An open one under review gives way to a new draft about the same thing, so it holds nothing against that.
    let drafted: BTreeSet<_> = all
        .iter()
        .filter(|r| r.state == State::Draft)
        .map(|r| (r.kind, &r.subject))
        .collect();
    let taken = all
        .iter()
        .filter(holds)
        .filter(|r| r.state != State::InReview || !drafted.contains(&(r.kind, &r.subject)))
        .flat_map(|r| claims(&r.action).into_iter().map(|claim| (claim, r.id)))
        .collect();
    let current = current_spend(scope, &metrics).await?;
    let constraints = scope.constraints().active().await?;
    Ok(Board {
        stale,
        rules: constraints.into_iter().map(|c| c.rule).collect(),
        harmful: harmful(scope, &current).await?,
        current,
        taken,
    })
}

async fn current_spend(
    scope: &storage::Scope,
    metrics: &[domain::metric::MetricDefinition],
) -> Result<BTreeMap<(domain::id::BrandId, domain::id::ChannelId), Decimal>, Error> {
    let money =
        |amount: f64| Decimal::from_f64((amount * 100.0).round() / 100.0).unwrap_or_default();
    let own: Vec<_> = scope
        .brands()
        .list()
        .await?
        .into_iter()
        .filter(|b| b.role == domain::brand::BrandRole::Primary)
        .map(|b| b.id)
        .collect();
    let spend = metrics
        .iter()
        .filter(|m| m.role == domain::metric::MetricRole::Spend)
        .map(|m| m.id)
        .collect();
    let from = scope
        .values()
        .span()
        .await?
        .map(|(_, last)| last - chrono::Days::new(7 * CURRENT_WEEKS));
    let query = storage::ValueQuery {
        brands: Some(own.clone()),
        metrics: Some(spend),
        from,
        ..storage::ValueQuery::default()
    };
    let table = scope.values().table(&query).await?;
    let mut current: BTreeMap<_, _> = spend_now(&table, metrics, &own)
        .into_iter()
        .map(|(line, weekly)| (line, money(weekly)))
        .collect();
    for line in scope
        .plans()
        .of_record()
        .await?
        .into_iter()
        .flat_map(|plan| plan.lines)
    {
        current.insert((line.brand, line.channel), line.weekly);
    }
    Ok(current)
}

/// Pairs that the last scan found to cannibalise: their driver's media is not raised above what it spends now.
async fn harmful(
    scope: &storage::Scope,
    current: &BTreeMap<(domain::id::BrandId, domain::id::ChannelId), Decimal>,
) -> Result<Vec<HarmfulPair>, Error> {
    let effects = scope.synergies().latest().await?;
    let found = effects
        .into_iter()
        .filter(|effect| effect.verdict == Verdict::Cannibalisation);
    Ok(found
        .map(|effect| HarmfulPair {
            driver: effect.driver,
            affected: effect.affected,
            weekly: super::brand_total(current, effect.driver),
        })
        .collect())
}

/// Carries a decision out as one unit. When somebody moved one of the candidates since they were looked at, nothing is done,
/// and the next look decides anew: what a person took into review meanwhile is not taken away again.
async fn write(
    u: &Unit,
    candidates: &[Recommendation],
    decision: &Decision,
) -> Result<(), storage::Error> {
    let by_id: BTreeMap<RecommendationId, &Recommendation> =
        candidates.iter().map(|c| (c.id, c)).collect();
    for id in &decision.chosen {
        if by_id[id].state == State::Draft {
            u.recommendations()
                .transition(
                    &Transition::by_runtime(*id, Move::Propose).expecting(by_id[id].version),
                )
                .await?;
        }
    }
    let mut considered: Vec<(AgentKind, Considered)> = Vec::new();
    for (id, refusal) in &decision.refused {
        let loser = by_id[id];
        let step = match (loser.state, refusal.winner) {
            (State::Draft, _) | (_, None) => Transition::by_runtime(*id, Move::Withdraw),
            (_, Some(winner)) => Transition::by_runtime(*id, Move::Supersede).superseded_by(winner),
        };
        let against = match refusal.winner {
            Some(winner) => {
                let title = by_id
                    .get(&winner)
                    .map_or_else(|| winner.to_string(), |w| format!("\"{}\"", w.title));
                format!("{} (in favour of {title})", refusal.detail)
            }
            None => refusal.detail.clone(),
        };
        u.recommendations()
            .transition(
                &step
                    .expecting(loser.version)
                    .note(format!("{}: {against}", refusal.reason)),
            )
            .await?;
        considered.push((
            loser.agent,
            Considered {
                agent: loser.agent,
                kind: loser.kind,
                subject: loser.subject.clone(),
                reason: refusal.reason.to_owned(),
                detail: against,
            },
        ));
    }
    let considered: Vec<Considered> = considered.into_iter().map(|(_, one)| one).collect();
    u.recommendations()
        .record_considered(None, &considered)
        .await
}

#[cfg(test)]
mod tests {
    use domain::{budget::Rule, recommendation::Action};
    use storage::on_both;

    use super::*;
    use crate::{
        arbitrator::Refusal,
        fixture::{House, decisions},
    };

    on_both! {
        async fn what_a_person_takes_into_review_meanwhile_is_not_taken_away(db: TestDatabase) {
            let house = House::build(&db).await;
            let seen = house.guard(&db).await;
            let rule = Rule::Cap { brand: Some(house.birch), channel: Some(house.search), weekly: 70.into() };
            let other = house.propose(&db, "line:Birch/search", Action::Guard { rule }).await;
            let refusal = Refusal { reason: "budget_line_taken", detail: "worth less".to_owned(), winner: Some(other.id) };
            let decision = Decision { chosen: BTreeSet::from([other.id]), refused: BTreeMap::from([(seen.id, refusal)]) };
            let candidates = vec![seen.clone(), other];
            decisions(&db).open(&house.manager(), seen.id).await.expect("opened");
            let grant = house.system().grant(Permission::RecommendationPropose).expect("held");
            let written = db
                .unit(&grant, move |u| {
                    let (candidates, decision) = (candidates.clone(), decision.clone());
                    Box::pin(async move { write(u, &candidates, &decision).await })
                })
                .await;
            assert!(matches!(&written, Err(storage::Error::Domain(error)) if error.code == "recommendation.changed"), "{written:?}");
            assert_eq!(house.stored(&db, seen.id).await.state, State::InReview);
        }
    }
}
