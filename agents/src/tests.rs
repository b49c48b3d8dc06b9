//! The four agents as they run: a cycle of all of them, twice; killed in the middle; paused; with other thresholds.

use std::sync::Arc;

use domain::{
    Classify,
    access::{AgentKind, Permission},
    clock::SystemClock,
    event::{EventKind, NewEvent},
    quality::Verdict,
    quality::{Cleaning, QualityLimits},
    recommendation::{Kind, State},
    run::{RunState, Trigger},
};
use runtime::{
    compute::{Compute, PoolSpec},
    host::Host,
    shutdown::{Root, SHUTDOWN_DEADLINE},
    signals::Signals,
    supervisor::{Strategy, SupervisorSpec},
    testkit::wait_for_node,
};
use rust_decimal::Decimal;
use serde_json::json;
use storage::{Filter, on_both, testkit::TestDatabase};

use super::*;
use crate::{
    fixture::House,
    plans::{PlanQuestion, WhatIfLine},
};

/// A runtime with the agents on it.
struct Stage {
    root: Root,
    agents: Agents,
    house: House,
}

impl Stage {
    async fn set(db: &TestDatabase) -> Self {
        let house = House::build(db).await;
        let (compute, pools) = Compute::new(&[
            PoolSpec::new("analysis", 2, 64),
            PoolSpec::new("optimisation", 1, 8),
        ]);
        let spec = pools.into_iter().fold(
            SupervisorSpec::new(Strategy::OneForOne),
            SupervisorSpec::child,
        );
        let host = Host::new("agents", Arc::new(SystemClock), 7);
        let root = Root::start(host, spec).await.expect("the root starts");
        let storage: Storage = Storage::clone(db);
        let deps = Deps::new(storage, &root, compute, Signals::new(64), Config::default());
        let agents = Agents::start(deps).await.expect("the agents start");
        Self {
            root,
            agents,
            house,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("root/agents/{}/{rest}", self.house.org)
    }

    async fn strike(self) {
        self.root.shutdown(SHUTDOWN_DEADLINE).await;
    }
}

on_both! {
    async fn a_cycle_of_all_four_fills_the_inbox_and_the_same_cycle_again_changes_nothing(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let system = stage.house.system();
        let runs = stage.agents.run_all(&system).await.expect("they run");
        assert!(runs.iter().all(|run| run.state == RunState::Succeeded), "{runs:?}");
        let first = stage.house.states(&db).await;
        assert!(first.iter().any(|(subject, state)| subject.starts_with("series:") && *state == State::Proposed), "{first:?}");
        let grant = system.grant(Permission::RecommendationRead).expect("held");
        let considered = db.scope(&grant).recommendations().considered(None, 1_000).await.expect("read").len();
        assert!(considered > 0, "what was not proposed is recorded");
        stage.agents.run_all(&system).await.expect("they run again");
        assert_eq!(stage.house.states(&db).await, first);
        assert_eq!(db.scope(&grant).recommendations().considered(None, 1_000).await.expect("read").len(), considered);
        for run in runs {
            let steps: Vec<String> = db.scope(&grant).runs().steps(run.id).await.expect("read").into_iter().map(|s| s.key).collect();
            assert_eq!(steps, ["observe", "analyse", "decide", "propose"]);
        }
        stage.strike().await;
    }

    async fn what_fails_the_quality_check_is_neither_forecast_nor_scored_nor_used_and_the_reason_is_told(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let (house, system) = (stage.house, stage.house.system());
        house.stick(&db, house.units).await;
        let runs = stage.agents.run_all(&system).await.expect("they run");
        assert!(runs.iter().all(|run| run.state == RunState::Succeeded), "{runs:?}");
        let grant = system.grant(Permission::RecommendationRead).expect("held");
        let scope = db.scope(&grant);
        let forecast: Vec<_> = scope.forecasts().latest().await.expect("read").into_iter().map(|f| f.brand).collect();
        assert_eq!(forecast, [house.birch]);
        let considered = scope.recommendations().considered(None, 1_000).await.expect("read");
        let refused = considered.iter().map(|c| &c.considered).find(|c| c.reason == "poor_data").expect("the reason is recorded");
        assert!(refused.subject.starts_with("series:Alder/") && refused.detail.contains("same value 1234"), "{refused:?}");
        let lines = |brand| {
            let scope = &scope;
            async move {
                let scores = scope.scores().latest(None).await.expect("read");
                let score = scores.into_iter().find(|s| s.brand == brand).expect("scored");
                score.lines.into_iter().map(|l| (l.metric, l.value.is_some())).collect::<BTreeMap<_, _>>()
            }
        };
        let (alder, birch) = (lines(house.alder).await, lines(house.birch).await);
        assert_eq!((alder[&house.units], alder[&house.reviews], birch[&house.units]), (false, true, true));
        let listed = stage.agents.analysis().quality(&system, Some(house.alder), Some(house.units)).await.expect("read");
        assert_eq!(listed.iter().map(|s| s.verdict).collect::<Vec<_>>(), [Verdict::Fail]);
        for run in &runs {
            let steps = scope.runs().steps(run.id).await.expect("read");
            let told = &steps.iter().find(|s| s.key == "analyse").and_then(|s| s.output.clone()).expect("a journal")["quality"];
            assert_eq!(told["fail"], json!(1), "{told}");
            assert!(told["refused"][0].as_str().is_some_and(|text| text.contains("Alder")), "{told}");
        }
        stage.strike().await;
    }

    async fn an_actor_that_is_killed_is_restarted_and_nothing_else_stops(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let system = stage.house.system();
        stage.agents.run_all(&system).await.expect("they run");
        let path = stage.path("forecasting/cycle");
        stage.agents.restart(&system, &path).await.expect("killed");
        wait_for_node(stage.root.tree(), &path, |node| node.restarts == 1).await;
        let others = stage.agents.tree(&system).expect("seen");
        assert!(others.iter().filter(|node| node.path != path).all(|node| node.restarts == 0), "{others:#?}");
        let run = stage.agents.run_now(&system, AgentKind::Forecasting).await.expect("queued");
        stage.agents.wait_idle(stage.house.org).await.expect("idle");
        let grant = system.grant(Permission::RunRead).expect("held");
        assert_eq!(db.scope(&grant).runs().get(run.id).await.expect("read").state, RunState::Succeeded);
        stage.strike().await;
    }

    async fn a_run_cut_off_in_the_middle_is_taken_up_again(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let system = stage.house.system();
        stage.agents.wait_idle(stage.house.org).await.expect("idle");
        let grant = system.grant(Permission::RunWrite).expect("held");
        let run = db
            .unit(&grant, |u| {
                Box::pin(async move {
                    let (run, _) = organisation::queue_run(u, AgentKind::Forecasting, Trigger::Person).await?;
                    u.runs().start(run.id).await?;
                    u.runs().begin_step(run.id, "observe").await?;
                    u.runs().finish_step(run.id, "observe", &json!({ "by": "an earlier life" })).await?;
                    u.runs().begin_step(run.id, "analyse").await?;
                    Ok(run.id)
                })
            })
            .await
            .expect("a run that was cut off");
        stage.agents.wait_idle(stage.house.org).await.expect("idle");
        let scope = db.scope(&grant);
        assert_eq!(scope.runs().get(run).await.expect("read").state, RunState::Succeeded);
        let observed = scope.runs().steps(run).await.expect("read").remove(0);
        assert_eq!(observed.output, Some(json!({ "by": "an earlier life" })), "a finished step is not recorded again");
        stage.strike().await;
    }

    async fn a_paused_agent_starts_no_cycle_until_it_is_resumed(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let system = stage.house.system();
        let paused = stage.agents.pause(&system, AgentKind::Strategy).await.expect("paused");
        assert_eq!(paused.status, AgentStatus::Paused);
        let refused = stage.agents.run_now(&system, AgentKind::Strategy).await.expect_err("paused");
        assert_eq!(refused.code(), "agent.paused");
        stage.agents.resume(&system, AgentKind::Strategy).await.expect("resumed");
        stage.agents.run_now(&system, AgentKind::Strategy).await.expect("queued");
        stage.agents.wait_idle(stage.house.org).await.expect("idle");
        stage.strike().await;
    }

    async fn thresholds_are_validated_kept_and_audited(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let system = stage.house.system();
        let refused = stage.agents.set_parameters(&system, AgentKind::Forecasting, json!({ "max_revisions": 0 })).await.expect_err("out of range");
        assert_eq!(refused.code(), "agent.parameter_invalid");
        let set = stage.agents.set_parameters(&system, AgentKind::Forecasting, json!({ "max_revisions": 1 })).await.expect("legal");
        assert_eq!(set.parameters["max_revisions"], json!(1.0));
        stage.agents.run_all(&system).await.expect("they run");
        let grant = system.grant(Permission::AuditRead).expect("held");
        let scope = db.scope(&grant);
        let revisions = scope.recommendations().all(&Filter { kind: Some(Kind::ForecastRevision), ..Filter::default() }).await.expect("read");
        assert_eq!(revisions.len(), 1);
        let trail = scope.audit().of_subject("forecasting", 10).await.expect("read");
        assert!(trail.iter().any(|line| line.action == "agent.parameters_changed"));
        stage.strike().await;
    }

    async fn published_forecasts_of_brands_and_projects_make_the_published_totals(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let (system, house) = (stage.house.system(), stage.house);
        let south = house.south(&db).await;
        stage.agents.run_all(&system).await.expect("they run");
        let published = stage.agents.analysis().forecast_totals(&system).await.expect("read");
        let [totals] = published.as_slice() else { panic!("one outcome: {published:?}") };
        assert_eq!((totals.metric, totals.left_out.len()), (house.units, 0));
        let means = |brand, project| -> Vec<f64> {
            let total = totals.totals.iter().find(|t| (t.brand, t.project) == (brand, project)).expect("published");
            total.points.iter().map(|p| p.mean).collect()
        };
        let sum = |a: Vec<f64>, b: Vec<f64>| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
        let grant = system.grant(Permission::ForecastRead).expect("held");
        let mut brands = Vec::new();
        for forecast in db.scope(&grant).forecasts().latest().await.expect("read") {
            let published: Vec<f64> = forecast.points.iter().map(|p| p.mean).collect();
            assert_eq!(published, means(Some(forecast.brand), None), "the brand's own forecast is the brand's total");
            brands.push(published);
        }
        let birch = brands.pop().expect("two brands");
        assert_eq!(sum(brands.pop().expect("two brands"), birch), means(None, None));
        assert_eq!(sum(means(None, Some(south)), means(None, Some(house.north))), means(None, None));
        assert_eq!(sum(means(Some(house.alder), Some(south)), means(Some(house.alder), Some(house.north))), means(Some(house.alder), None));
        stage.strike().await;
    }

    async fn correlations_are_computed_once_for_each_state_of_the_data(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let (system, house) = (stage.house.system(), stage.house);
        let analysis = stage.agents.analysis();
        let found = analysis.correlations(&system, None).await.expect("computed");
        let [pair] = found.pairs.as_slice() else { panic!("two brands, one pair: {found:?}") };
        // Both sell the same in the house.
        assert_eq!((pair.lag, pair.verdict), (0, analysis::CorrelationVerdict::Together));
        assert!(pair.correlation.expect("both move") > 0.999, "{pair:?}");
        let again = analysis.correlations(&system, Some(house.units)).await.expect("known");
        assert!(Arc::ptr_eq(&found, &again), "the same question about the same data");
        let still = analysis.correlations(&system, Some(house.reviews)).await.expect("computed");
        assert_eq!(still.pairs[0].verdict, analysis::CorrelationVerdict::NotIdentifiable);
        house.change(&db, house.units, 5_000.0).await;
        let later = analysis.correlations(&system, None).await.expect("computed");
        assert_ne!(later.provenance.slice.digest, found.provenance.slice.digest);
        let unknown = domain::id::MetricId::derive(&["nowhere"]);
        let refused = analysis.correlations(&system, Some(unknown)).await.expect_err("unknown");
        assert_eq!(refused.code(), "metric.unknown");
        stage.strike().await;
    }

    async fn another_role_of_a_brand_or_a_metric_is_another_answer_without_any_value_changing(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let (house, system) = (stage.house, stage.house.system());
        house.stick(&db, house.spend).await;
        let analyst = &stage.agents.inner.analyst;
        let grant = system.grant(Permission::MetricWrite).expect("held");
        let birch = |role| {
            db.unit(&grant, move |u| {
                Box::pin(async move {
                    let known = u.brands().get(house.birch).await?;
                    u.brands().upsert(&domain::brand::Brand { role, ..known }).await
                })
            })
        };
        birch(domain::brand::BrandRole::Competitor).await.expect("changed");
        let before = analyst.snapshot(&system).await.expect("read");
        let forecast = |made: Arc<analyst::forecasts::Forecasts>| -> Vec<_> { made.brands.iter().map(|f| f.brand).collect() };
        assert_eq!(forecast(analyst.forecasts(&before, 4).await.expect("made")), [house.alder]);
        assert!(!analyst.quality(&before).await.expect("made").fails(house.alder, house.spend, None), "spend may stand still");
        birch(domain::brand::BrandRole::Primary).await.expect("changed");
        let after = analyst.snapshot(&system).await.expect("read");
        assert_eq!(after.view.digest, before.view.digest, "no value changed");
        assert!(Arc::ptr_eq(&after.table, &before.table), "the values are not read again");
        let mut both = vec![house.alder, house.birch];
        both.sort();
        let mut made = forecast(analyst.forecasts(&after, 4).await.expect("made"));
        made.sort();
        assert_eq!(made, both);
        let role = domain::metric::MetricRole::Health;
        let watched = domain::metric::MetricDefinition { version: 2, ..crate::fixture::definition(house.spend, "spend", role, None) };
        db.unit(&grant, move |u| {
            let watched = watched.clone();
            Box::pin(async move { u.metrics().define(&watched).await.map(|_| ()) })
        })
        .await
        .expect("defined");
        let last = analyst.snapshot(&system).await.expect("read");
        assert_eq!(last.view.digest, before.view.digest, "no value changed");
        assert!(analyst.quality(&last).await.expect("made").fails(house.alder, house.spend, None), "a health metric may not");
        stage.strike().await;
    }

    async fn a_metric_s_rules_count_as_soon_as_they_are_set_and_leave_what_is_stored(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let (house, system) = (stage.house, stage.house.system());
        house.stick(&db, house.units).await;
        let analyst = &stage.agents.inner.analyst;
        let grant = system.grant(Permission::MetricWrite).expect("held");
        let define = |cleaning: Cleaning, quality: QualityLimits| {
            let role = domain::metric::MetricRole::Outcome;
            let ruled = domain::metric::MetricDefinition {
                cleaning,
                quality,
                ..crate::fixture::definition(house.units, "units", role, None)
            };
            db.unit(&grant, move |u| {
                let ruled = ruled.clone();
                Box::pin(async move { u.metrics().define(&ruled).await })
            })
        };
        let stored = || async { db.scope(&grant).values().table(&storage::ValueQuery::default()).await.expect("read") };
        let (before, kept) = (analyst.snapshot(&system).await.expect("read"), stored().await);
        assert!(analyst.quality(&before).await.expect("made").fails(house.alder, house.units, None), "units stand still");

        let rules = Cleaning { stuck_tail: 6, ..Cleaning::default() };
        assert_eq!(define(rules, QualityLimits::default()).await.expect("defined"), 2);
        let ruled = analyst.snapshot(&system).await.expect("read");
        assert_eq!(ruled.view.digest, before.view.digest, "no value changed");
        assert_eq!(ruled.table.len() + 7, before.table.len(), "seven of the eight stuck weeks are left out");
        let quality = analyst.quality(&ruled).await.expect("made");
        assert!(!quality.fails(house.alder, house.units, None));
        let told = quality.series().iter().find(|s| (s.brand, s.metric) == (house.alder, house.units)).expect("checked");
        assert!(told.findings.iter().any(|f| f.text.starts_with("has 7 values changed by the metric's cleaning rules")), "{told:?}");
        assert!(Arc::ptr_eq(&ruled.table, &analyst.snapshot(&system).await.expect("known").table), "cleaned once");

        let off = QualityLimits { stuck: Some(0), ..QualityLimits::default() };
        assert_eq!(define(Cleaning::default(), off).await.expect("defined"), 3);
        let loose = analyst.snapshot(&system).await.expect("read");
        assert_eq!(loose.table, before.table);
        assert!(!analyst.quality(&loose).await.expect("made").fails(house.alder, house.units, None), "the check is off");
        assert_eq!(stored().await, kept);
        stage.strike().await;
    }

    async fn the_rest_of_a_plan_is_planned_around_what_a_person_keeps(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let (house, system) = (stage.house, stage.house.system());
        let plans = stage.agents.plans();
        let unfitted = plans.optimise(&system, PlanQuestion { weeks: 12, ..PlanQuestion::default() }).await;
        assert_eq!(unfitted.expect_err("nothing is fitted yet").code(), "plan.no_fit");
        house.fit(&db, &[(house.alder, 400.0), (house.birch, 1_200.0)]).await;
        let now = plans.current(&system).await.expect("spend is known");
        let weekly = |plan: &domain::budget::Plan| -> Decimal { plan.lines.iter().map(|line| line.weekly).sum() };
        let ask = |weekly_total, keep| plans.optimise(&system, PlanQuestion { weeks: 12, weekly_total, keep });
        let keep = |brand, channel, amount| vec![WhatIfLine { brand, channel, weekly: Decimal::new(amount, 2) }];
        let free = ask(None, Vec::new()).await.expect("fitted");
        assert_eq!((weekly(&free), free.lines.len()), (weekly(&now), now.lines.len()));
        let around = ask(None, keep(house.alder, house.search, 6_125)).await.expect("fitted");
        let kept = around.lines.iter().find(|l| (l.brand, l.channel) == (house.alder, house.search)).expect("a line");
        assert_eq!((kept.weekly, weekly(&around)), (Decimal::new(6_125, 2), weekly(&now)));
        let gain = |plan: &domain::budget::Plan| plan.effect.as_ref().expect("priced").value;
        assert!(gain(&around) <= gain(&free) && around.certificate.is_some_and(|c| c.gap < 1e-3));
        let more = weekly(&now) + Decimal::from(20);
        assert_eq!(weekly(&ask(Some(more), Vec::new()).await.expect("fitted")), more);
        let far = ask(Some(Decimal::from(1_000_000)), Vec::new()).await.expect_err("no line may rise so far");
        assert_eq!(far.code(), "plan.infeasible");
        let nowhere = ask(None, keep(house.alder, domain::id::ChannelId::derive(&["nowhere"]), 100)).await.expect_err("no such line");
        assert_eq!(nowhere.code(), "plan.invalid");
        // Nothing is known of Birch any more: it goes on as now, or as a person says, and Alder takes the rest.
        house.fit(&db, &[(house.alder, 400.0)]).await;
        let half = ask(None, keep(house.birch, house.search, 10_000)).await.expect("fitted");
        let birch = half.lines.iter().find(|l| l.brand == house.birch).expect("a line");
        assert_eq!((birch.weekly, birch.marginal_return, weekly(&half)), (Decimal::from(100), None, weekly(&now)));
        let little = ask(Some(Decimal::from(50)), Vec::new()).await.expect_err("Birch alone spends more");
        assert_eq!(little.code(), "plan.infeasible");
        stage.strike().await;
    }

    async fn scores_computed_on_demand_are_those_that_the_agents_store(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let (house, system) = (stage.house, stage.house.system());
        house.stick(&db, house.units).await;
        house.south(&db).await;
        stage.agents.run_all(&system).await.expect("they run");
        let grant = system.grant(Permission::ScoreRead).expect("held");
        for project in [None, Some(house.north)] {
            let stored = db.scope(&grant).scores().latest(project).await.expect("read");
            let made = analysis::scores_now(&db, &system, project).await.expect("computed");
            assert!(!made.is_empty());
            let told = |scores: &[domain::score::Score]| -> Vec<_> {
                scores.iter().map(|s| (s.id, s.brand, s.value, s.band, s.coverage)).collect()
            };
            assert_eq!(told(&made), told(&stored));
        }
        stage.strike().await;
    }

    async fn what_moved_a_brand_and_why_its_score_is_what_it_is_are_answered_once(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let (system, house) = (stage.house.system(), stage.house);
        let analysis = stage.agents.analysis();
        let moved = analysis.drivers(&system, house.alder).await.expect("sixty weeks");
        assert_eq!((moved.metric, moved.to), (house.units, crate::fixture::last_week()));
        let added: f64 = moved.drivers.iter().map(|d| d.effect).sum();
        assert!((added - moved.explained).abs() < 1e-9 * moved.before, "{moved:#?}");
        assert!(!moved.is_better_than_mean || moved.holdout_error < moved.holdout_error_of_mean, "{moved:#?}");
        assert!(Arc::ptr_eq(&moved, &analysis.drivers(&system, house.alder).await.expect("known")));
        let unknown = domain::id::BrandId::derive(&["nowhere"]);
        assert_eq!(analysis.drivers(&system, unknown).await.expect_err("unknown").code(), "brand.unknown");
        let mix = analysis.mix(&system, house.alder, analysis::MixMethod::Fast).await.expect("sixty weeks");
        assert_eq!((mix.channels.len(), mix.channels[0].channel, mix.is_money), (1, house.search, false));
        let roas = mix.channels[0].roas.expect("spend is known");
        assert!(roas.low <= roas.mean && roas.mean <= roas.high && !mix.health.checks.is_empty(), "{mix:#?}");
        assert!(Arc::ptr_eq(&mix, &analysis.mix(&system, house.alder, analysis::MixMethod::Fast).await.expect("known")));
        let stands = analysis.standing(&system, house.alder).await.expect("sixty weeks");
        // Both own brands spend and sell the same.
        assert_eq!((stands.voice.share_of_voice, stands.voice.share_of_market, stands.voice.excess), (Some(0.5), Some(0.5), Some(0.0)));
        assert!(stands.momentum.iter().any(|m| m.metric == house.units && m.growth > 0.0), "{stands:#?}");
        assert_eq!(analysis.standing(&system, unknown).await.expect_err("unknown").code(), "brand.unknown");
        house.change(&db, house.units, 300.0).await;
        let why = analysis.score_explanation(&system, house.alder, None, 1, None).await.expect("scored");
        let parts: f64 = why.changes.iter().map(|c| c.points).sum();
        let change = why.score.expect("now") - why.before.expect("before");
        assert!(change < -0.5 && (parts - change).abs() < 1e-9, "{why:#?}");
        let swap = why.swap.as_ref().expect("another brand");
        assert_eq!((swap.against, swap.impossible), (house.birch, Some(analysis::SwapImpossible::Dominated)));
        let grant = system.grant(Permission::MetricWrite).expect("held");
        let heavier = domain::metric::MetricDefinition {
            version: 2,
            weight: 3.0,
            ..crate::fixture::definition(house.units, "units", domain::metric::MetricRole::Outcome, None)
        };
        db.unit(&grant, move |u| {
            let heavier = heavier.clone();
            Box::pin(async move { u.metrics().define(&heavier).await.map(|_| ()) })
        })
        .await
        .expect("defined");
        let reweighted = analysis.score_explanation(&system, house.alder, None, 1, None).await.expect("scored");
        assert_ne!(reweighted.score, why.score, "other weights, the same values");
        let refused = analysis.score_explanation(&system, unknown, None, 1, None).await.expect_err("unknown");
        assert_eq!(refused.code(), "score.unknown");
        stage.strike().await;
    }

    async fn an_event_makes_the_agents_look_by_themselves(db: TestDatabase) {
        let stage = Stage::set(&db).await;
        let system = stage.house.system();
        let grant = system.grant(Permission::DemoAdvance).expect("held");
        let before = db.scope(&grant).runs().last_success(AgentKind::Forecasting).await.expect("read");
        assert_eq!(before, None);
        db.unit(&grant, |u| {
            Box::pin(async move {
                let event = NewEvent { kind: EventKind::ClockAdvanced, key: "clock".to_owned(), body: json!({}) };
                u.events().publish(event).await.map(|_| ())
            })
        })
        .await
        .expect("told");
        // PostgreSQL gives an event its position when the sequencer comes by; here it is called by hand.
        db.system_door().outbox().sequence(1_000).await.expect("sequenced");
        stage.agents.wait_idle(stage.house.org).await.expect("idle");
        let run = db.scope(&grant).runs().last_success(AgentKind::Forecasting).await.expect("read").expect("it ran");
        assert_eq!(run.trigger, Trigger::Event);
        stage.strike().await;
    }
}
