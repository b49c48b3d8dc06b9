//! What is stored comes back as it was, versions count up, and one thing at a time is of record.

use chrono::TimeDelta;
use domain::{
    access::{Actor, AgentKind},
    brand::{Brand, Relationship, RelationshipKind},
    budget::{Constraint, Plan, PlanLine, PlanStatus, Rule},
    forecast::{Forecast, ForecastPoint},
    id::{
        ConstraintId, CrossEffectId, FitId, ForecastId, OutcomeId, PlanId, RecommendationId,
        ScoreId, TargetId,
    },
    metric::{Granularity, MetricRole},
    outcome::{Outcome, OutcomeVerdict, Target},
    page::PageRequest,
    provenance::Provenance,
    recommendation::{Considered, Kind},
    response::ResponseFit,
    score::Score,
    synergy::{CrossEffect, Verdict},
    unit::{Interval, Money},
};
use rust_decimal::Decimal;
use storage::{Begun, Benchmark, Scaler, on_both};

use crate::fixture::{Portfolio, brand, code, day, metric};

fn interval() -> Interval {
    Interval {
        low: -0.1 - 0.2,
        high: 2.0 / 3.0,
    }
}

fn forecast(p: &Portfolio, name: &str, of_record: bool) -> Forecast {
    Forecast {
        id: ForecastId::derive(&[name]),
        brand: p.aurora,
        project: None,
        metric: p.sales,
        origin: day("2024-06-03"),
        granularity: Granularity::Week,
        model: "theta".to_owned(),
        points: vec![ForecastPoint {
            period: day("2024-06-10"),
            mean: 0.1 + 0.2,
            interval80: interval(),
            interval95: interval(),
        }],
        backtest: Vec::new(),
        of_record,
        provenance: Provenance {
            seed: u64::MAX,
            ..Provenance::default()
        },
    }
}

fn plan(p: &Portfolio, name: &str, status: PlanStatus) -> Plan {
    Plan {
        id: PlanId::derive(&[name]),
        version: 1,
        name: name.to_owned(),
        status,
        start: day("2024-06-10"),
        weeks: 12,
        total: Money {
            amount: Decimal::new(123_456_789, 4),
            currency: "EUR".to_owned(),
        },
        lines: vec![PlanLine {
            brand: p.aurora,
            channel: p.channel,
            weekly: Decimal::new(10_000_001, 4),
            current: Decimal::new(9, 1),
            lower: Decimal::ZERO,
            upper: Decimal::MAX,
            marginal_return: Some(1.0 / 3.0),
        }],
        effect: None,
        confidence: Some(0.7),
        certificate: None,
        recommendation: None,
        created_by: Actor::Agent(AgentKind::Optimisation),
        created_at: storage::testkit::start_of_time(),
        provenance: Provenance::default(),
    }
}

on_both! {
    async fn brands_and_their_relationships_come_back(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let child = Brand { parent: Some(p.aurora), margin: None, ..brand("acme", "Aurora Light") };
        let (new, relation) = (child.clone(), Relationship { from: p.aurora, to: p.borealis, kind: RelationshipKind::Sibling });
        db.unit(&p.write, move |u| { let new = new.clone(); Box::pin(async move {
            u.brands().upsert(&new).await?;
            u.brands().relate(relation).await?;
            u.brands().relate(relation).await
        }) }).await.expect("writes");
        let scope = db.scope(&p.write);
        assert_eq!(scope.brands().get(child.id).await.expect("reads"), child);
        assert_eq!(scope.brands().by_name("Aurora Light").await.expect("reads"), Some(child.clone()));
        assert_eq!(scope.brands().relationships().await.expect("reads"), [relation]);
        let twin = Brand { id: brand("acme", "Twin").id, ..child.clone() };
        let taken = db.unit(&p.write, move |u| { let twin = twin.clone(); Box::pin(async move { u.brands().upsert(&twin).await }) }).await;
        assert_eq!(code(taken), "storage.duplicate");
        let aurora = p.aurora;
        let kept = db.unit(&p.write, move |u| Box::pin(async move { u.brands().delete(aurora).await })).await;
        assert_eq!(code(kept), "storage.unknown_reference");
        let gone = db.unit(&p.write, move |u| Box::pin(async move { Ok((u.brands().delete(child.id).await?, u.brands().unrelate(relation).await?)) })).await;
        assert_eq!(gone.expect("deletes"), (true, true));
        assert_eq!(code(scope.brands().get(child.id).await), "brand.unknown");
        assert_eq!(scope.channels().list().await.expect("lists")[0].key, "search");
        assert_eq!(scope.projects().get(p.project).await.expect("reads").name, "north");
    }

    async fn a_changed_definition_makes_the_next_version(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let changed = domain::metric::MetricDefinition { weight: 2.5, ..metric("acme", "sales", MetricRole::Outcome) };
        let versions = db.unit(&p.write, move |u| { let changed = changed.clone(); Box::pin(async move {
            let same = u.metrics().define(&metric("acme", "sales", MetricRole::Outcome)).await?;
            Ok((same, u.metrics().define(&changed).await?, u.metrics().define(&changed).await?))
        }) }).await.expect("defines");
        assert_eq!(versions, (1, 2, 2));
        let scope = db.scope(&p.write);
        let weights: Vec<f64> = scope.metrics().versions(p.sales).await.expect("lists").iter().map(|m| m.weight).collect();
        assert_eq!(weights, [1.0, 2.5]);
        assert_eq!(scope.metrics().by_key("sales").await.expect("reads").map(|m| m.version), Some(2));
        assert_eq!(scope.metrics().list().await.expect("lists").len(), 2);
    }

    async fn one_forecast_of_a_series_is_of_record(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let (first, second) = (forecast(&p, "one", true), forecast(&p, "two", false));
        let (a, b) = (first.clone(), second.clone());
        db.unit(&p.write, move |u| { let (a, b) = (a.clone(), b.clone()); Box::pin(async move {
            u.forecasts().record(&a).await?;
            u.forecasts().record(&b).await?;
            u.forecasts().record(&b).await
        }) }).await.expect("records");
        let scope = db.scope(&p.write);
        assert_eq!(scope.forecasts().get(first.id).await.expect("reads"), first);
        assert_eq!(scope.forecasts().latest().await.expect("lists"), std::slice::from_ref(&second));
        let id = second.id;
        let before = db.unit(&p.write, move |u| Box::pin(async move { u.forecasts().set_of_record(id).await })).await.expect("sets");
        assert_eq!(before, Some(first.id), "the inverse");
        assert_eq!(scope.forecasts().of_record(p.aurora, p.sales, None).await.expect("reads").map(|f| f.id), Some(second.id));
        assert_eq!(scope.forecasts().all_of_record().await.expect("lists").len(), 1);
        assert_eq!(scope.forecasts().of_series(p.aurora, p.sales, None, 10).await.expect("lists").len(), 2);
        db.unit(&p.write, move |u| Box::pin(async move { u.forecasts().clear_of_record(id).await })).await.expect("clears");
        assert!(scope.forecasts().all_of_record().await.expect("lists").is_empty());
    }

    async fn a_plan_keeps_its_decimals_and_refuses_a_stale_edit(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let (of_record, draft) = (plan(&p, "old", PlanStatus::OfRecord), plan(&p, "new", PlanStatus::Draft));
        let (a, b) = (of_record.clone(), draft.clone());
        let made = db.unit(&p.write, move |u| { let (a, b) = (a.clone(), b.clone()); Box::pin(async move {
            u.plans().create(&a).await?;
            u.plans().create(&b).await
        }) }).await.expect("creates");
        assert_eq!((&made.lines, &made.total, made.version), (&draft.lines, &draft.total, 1));
        let scope = db.scope(&p.write);
        assert_eq!(scope.plans().of_record().await.expect("reads").map(|plan| plan.id), Some(of_record.id));
        let edit = Plan { name: "edited".to_owned(), lines: Vec::new(), ..made.clone() };
        let change = |expected: u32| { let edit = edit.clone(); db.unit(&p.write, move |u| { let edit = edit.clone(); Box::pin(async move { u.plans().update(&edit, expected).await }) }) };
        let edited = change(1).await.expect("edits");
        assert_eq!((edited.version, edited.name.as_str(), edited.lines.len()), (2, "edited", 0));
        assert_eq!(code(change(1).await), "plan.changed");
        let id = draft.id;
        let before = db.unit(&p.write, move |u| Box::pin(async move { u.plans().make_of_record(id).await })).await.expect("sets");
        assert_eq!(before, Some(of_record.id));
        assert_eq!(scope.plans().get(of_record.id).await.expect("reads").status, PlanStatus::Superseded);
        let now = scope.plans().get(id).await.expect("reads");
        assert_eq!(code(change(now.version).await), "plan.not_editable");
        db.unit(&p.write, move |u| Box::pin(async move { u.plans().withdraw(id).await })).await.expect("withdraws");
        assert_eq!(scope.plans().of_record().await.expect("reads"), None);
        assert_eq!(scope.plans().list(&PageRequest { limit: 1, after: None }).await.expect("lists").rows.len(), 1);
    }

    async fn scores_scalers_and_benchmarks_come_back(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let score = |name: &str, period: &str, value: f64| Score {
            id: ScoreId::derive(&[name]), brand: p.aurora, project: Some(p.project), period: day(period), value: Some(value),
            band: None, coverage: 1.0, sections: Vec::new(), lines: Vec::new(), provenance: Provenance::default(),
        };
        let scores = vec![score("a", "2024-01-01", 40.0), score("b", "2024-01-08", 1.0 / 3.0), score("c", "2024-01-08", 55.0)];
        let scaler = Scaler { metric: p.sales, version: 0, method: "min_max".to_owned(), low: 0.0, high: 9.5 };
        let benchmark = Benchmark { metric: p.sales, project: None, version: 0, period: day("2024-01-01"), value: 7.25, method: "p75".to_owned(), created_at: storage::testkit::start_of_time() };
        let versions = db.unit(&p.write, move |u| {
            let (scores, scaler, benchmark) = (scores.clone(), scaler.clone(), benchmark.clone());
            Box::pin(async move {
                u.scores().record(&scores).await?;
                let first = u.scores().set_scaler(&scaler).await?;
                let same = u.scores().set_scaler(&scaler).await?;
                let second = u.scores().set_scaler(&Scaler { high: 10.0, ..scaler.clone() }).await?;
                u.scores().set_benchmark(&benchmark).await?;
                Ok((first, same, second, u.scores().set_benchmark(&Benchmark { value: 8.0, ..benchmark.clone() }).await?))
            })
        }).await.expect("records");
        assert_eq!(versions, (1, 1, 2, 2));
        let scope = db.scope(&p.write);
        let latest = scope.scores().latest(Some(p.project)).await.expect("lists");
        assert_eq!(latest.iter().map(|s| s.value).collect::<Vec<_>>(), [Some(55.0)], "the later one of a period counts");
        assert_eq!(scope.scores().history(p.aurora, Some(p.project), 10).await.expect("lists").len(), 2);
        assert!(scope.scores().latest(None).await.expect("lists").is_empty());
        assert_eq!(scope.scores().scalers().await.expect("lists")[0].high, 10.0);
        assert_eq!(scope.scores().benchmarks(None).await.expect("lists")[0].value, 8.0);
    }

    async fn fits_effects_and_findings_come_back_as_sets(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let fit = ResponseFit { id: FitId::derive(&["f"]), origin: day("2024-06-03"), curves: Vec::new(), model: serde_json::json!({ "draws": [0.1 + 0.2, 1e-300] }), provenance: Provenance::default() };
        let effect = |name: &str| CrossEffect {
            id: CrossEffectId::derive(&[name]), driver: p.aurora, affected: p.borealis, estimate: -1.0 / 7.0, std_error: 0.1,
            interval80: interval(), interval95: interval(), p_value: 1e-12, q_value: 0.04, verdict: Verdict::Cannibalisation,
            origin: day("2024-06-03"), provenance: Provenance::default(),
        };
        let (new, old_effect, new_effect) = (fit.clone(), effect("old"), effect("new"));
        let expected = new_effect.clone();
        db.unit(&p.write, move |u| { let (fit, old, new) = (new.clone(), old_effect.clone(), new_effect.clone()); Box::pin(async move {
            u.fits().record(&fit).await?;
            u.fits().record(&fit).await?;
            u.synergies().record(&[old]).await?;
            u.synergies().record(&[new]).await?;
            u.findings().record("gaps", day("2024-06-03"), None, &[("brand:Aurora".to_owned(), 1.5), ("brand:Borealis".to_owned(), 2.5)]).await?;
            u.findings().record::<f64>("gaps", day("2024-06-10"), None, &[]).await?;
            u.findings().record("rival_changes", day("2024-06-10"), None, &[("r".to_owned(), 9.0)]).await
        }) }).await.expect("records");
        let scope = db.scope(&p.write);
        assert_eq!(scope.fits().latest().await.expect("reads"), Some(fit));
        assert_eq!(scope.synergies().latest().await.expect("reads"), [expected]);
        let gaps = scope.findings().latest::<f64>("gaps").await.expect("reads").expect("a set");
        assert_eq!((gaps.origin, gaps.findings.len()), (day("2024-06-10"), 0), "nothing found is a finding too");
        assert_eq!(scope.findings().latest::<f64>("rival_changes").await.expect("reads").expect("a set").findings, [9.0]);
        assert!(scope.findings().latest::<f64>("none").await.expect("reads").is_none());
    }

    async fn constraints_targets_outcomes_and_what_was_considered_come_back(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let now = db.now().await.expect("the time");
        let rec = p.draft(RecommendationId(db.fresh_id()), "s", "k", 1);
        let constraint = Constraint { id: ConstraintId::derive(&["c"]), rule: Rule::Exclusion { brand: p.aurora, channel: p.channel }, reason: "launch".to_owned(), recommendation: Some(rec.id), active: true, created_at: now };
        let target = Target { id: TargetId::derive(&["t"]), brand: p.aurora, metric: p.sales, from: 1.0, to: 2.0, due: day("2024-12-02"), recommendation: None, active: true };
        let outcome = Outcome {
            id: OutcomeId::derive(&["o"]), recommendation: rec.id, from: day("2024-06-10"), to: day("2024-09-02"), promised: 10.0,
            realised: Some(9.5), interval80: Some(interval()), verdict: OutcomeVerdict::Verified, reason: "as promised".to_owned(),
            provenance: Provenance::default(), at: now,
        };
        let considered = Considered { agent: AgentKind::Metrics, kind: Kind::Guard, subject: "s".to_owned(), reason: "weak_evidence".to_owned(), detail: "q = .4".to_owned() };
        let (a, b, c, d) = (constraint.clone(), target.clone(), outcome.clone(), considered.clone());
        db.unit(&p.write, move |u| { let (rec, a, b, c, d) = (rec.clone(), a.clone(), b.clone(), c.clone(), d.clone()); Box::pin(async move {
            u.recommendations().draft(&rec).await?;
            u.recommendations().record_considered(None, &[d]).await?;
            u.constraints().create(&a).await?;
            u.targets().create(&b).await?;
            u.outcomes().record(&c).await
        }) }).await.expect("writes");
        let scope = db.scope(&p.write);
        assert_eq!(scope.constraints().active().await.expect("lists"), std::slice::from_ref(&constraint));
        assert_eq!(scope.targets().list().await.expect("lists"), std::slice::from_ref(&target));
        assert_eq!(scope.outcomes().of_recommendation(outcome.recommendation).await.expect("lists"), std::slice::from_ref(&outcome));
        assert_eq!(scope.outcomes().find(outcome.id).await.expect("reads"), Some(outcome));
        assert_eq!(scope.recommendations().considered(Some(AgentKind::Metrics), 10).await.expect("lists")[0].considered, considered);
        db.unit(&p.write, move |u| Box::pin(async move {
            u.constraints().set_active(constraint.id, false).await?;
            u.targets().set_active(target.id, false).await
        })).await.expect("withdraws");
        assert!(scope.constraints().active().await.expect("lists").is_empty());
        assert!(!scope.constraints().list().await.expect("lists")[0].active);
        assert!(!scope.targets().list().await.expect("lists")[0].active);
    }

    async fn a_request_sent_again_gets_the_first_answer(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let send = |fingerprint: &'static str| db.unit(&p.write, move |u| Box::pin(async move {
            match u.idempotency().begin("key", fingerprint, TimeDelta::hours(24)).await? {
                Begun::Replay(answer) => Ok((false, answer.body)),
                Begun::Fresh => {
                    let n = u.settings().get::<u32>("effects").await?.map_or(0, |s| s.value);
                    u.settings().set("effects", &(n + 1), None).await?;
                    u.idempotency().finish("key", 201, "made").await?;
                    Ok((true, "made".to_owned()))
                }
            }
        }));
        let answers = futures::future::join_all((0..8).map(|_| send("f"))).await;
        let fresh = answers.into_iter().filter(|a| a.as_ref().is_ok_and(|(fresh, body)| { assert_eq!(body, "made"); *fresh })).count();
        assert_eq!(fresh, 1);
        assert_eq!(db.scope(&p.write).settings().get::<u32>("effects").await.expect("reads").expect("set").value, 1);
        assert_eq!(code(send("another request").await), "idempotency.key_reused");
        let found = db.scope(&p.write).idempotency().find(Actor::System, "key").await.expect("reads").expect("remembered");
        assert_eq!(found.status, 201);
        db.shift_time(TimeDelta::hours(25));
        assert!(send("another request").await.expect("the key is free again").0);
    }

    async fn a_setting_counts_its_versions_and_refuses_a_stale_one(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let set = |value: u32, expected: Option<u32>| db.unit(&p.write, move |u| Box::pin(async move { u.settings().set("s", &value, expected).await }));
        assert_eq!(code(set(1, Some(3)).await), "setting.changed");
        assert_eq!(set(1, Some(0)).await.expect("sets"), 1);
        assert_eq!(code(set(2, Some(0)).await), "setting.changed");
        assert_eq!(set(2, Some(1)).await.expect("sets"), 2);
        assert_eq!(set(3, None).await.expect("sets"), 3);
        assert_eq!(db.scope(&p.write).settings().list().await.expect("lists")[0].1.value, 3);
    }

    async fn an_organisation_keeps_its_clock_and_currency(db: TestDatabase) {
        let org = db.org("acme").await;
        let grant = db.grant(org, domain::access::Permission::DemoAdvance);
        db.unit(&grant, |u| Box::pin(async move {
            u.organisations().set_as_of(Some(day("2024-06-03"))).await?;
            u.organisations().update("Acme", "USD", "America/New_York").await
        })).await.expect("changes");
        let got = db.scope(&grant).organisations().get().await.expect("reads");
        assert_eq!((got.as_of, got.currency.as_str(), got.name.as_str()), (Some(day("2024-06-03")), "USD", "Acme"));
        assert_eq!(db.system_door().organisations().list().await.expect("lists"), std::slice::from_ref(&got));
        assert_eq!(db.system_door().organisations().get(org).await.expect("reads"), Some(got));
    }
}
