//! Deciding on both databases: of many at once one wins, what was looked at is what is approved, what was approved is applied
//! once, and everything can be taken back.

use chrono::{Days, TimeDelta};
use domain::{
    Classify,
    access::{Permission, Principal, Role},
    budget::Rule,
    id::UserId,
    recommendation::{Action, State, UNDO_SECONDS},
};
use futures::future::join_all;
use storage::{Storage, on_both, testkit::TestDatabase};

use super::*;
use crate::{
    applier::apply_due,
    fixture::{House, decisions, today},
};

async fn constraints(storage: &Storage, house: &House) -> usize {
    let grant = house.system().grant(Permission::PlanRead).expect("held");
    storage
        .scope(&grant)
        .constraints()
        .active()
        .await
        .expect("read")
        .len()
}

fn pass_the_undo_window(db: &TestDatabase) {
    db.shift_time(TimeDelta::seconds(UNDO_SECONDS + 1));
}

on_both! {
    async fn of_32_approvals_at_once_one_is_applied_and_31_get_the_documented_conflict(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let decisions = decisions(&db);
        let attempts = (0..32).map(|_| {
            let (decisions, manager, seen) = (decisions.clone(), house.manager(), seen.clone());
            async move { decisions.approve(&manager, seen.id, seen.version, &seen.action_hash, None, None).await }
        });
        let outcomes = join_all(attempts).await;
        let codes: Vec<&str> = outcomes.iter().filter_map(|o| o.as_ref().err().map(|e| e.code())).collect();
        assert_eq!(codes.len(), 31);
        assert!(codes.iter().all(|code| *code == "recommendation.already_decided"), "{codes:?}");
        pass_the_undo_window(&db);
        let system = house.system();
        let rounds = join_all((0..4).map(|_| apply_due(&db, &system))).await;
        let applied: usize = rounds.into_iter().map(|r| r.expect("the database answers").applied.len()).sum();
        assert_eq!((applied, constraints(&db, &house).await), (1, 1));
        assert_eq!(house.stored(&db, seen.id).await.state, State::Applied);
    }

    async fn a_plan_that_changed_after_it_was_looked_at_is_refused(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let (id, version) = (seen.id, seen.version);
        let other = Rule::Cap { brand: Some(house.alder), channel: Some(house.search), weekly: 50.into() };
        let grant = house.manager().grant(Permission::RecommendationDecide).expect("held");
        let edit = storage::Edit {
            action: Action::Guard { rule: other },
            title: seen.title.clone(),
            summary: seen.summary.clone(),
            brands: seen.brands.clone(),
            evidence: seen.evidence.clone(),
            effect: None,
            confidence: None,
        };
        db.unit(&grant, move |u| {
            let edit = edit.clone();
            Box::pin(async move { u.recommendations().edit(id, version, &edit, "somebody edits").await })
        })
        .await
        .expect("an edit");
        let error =
            decisions(&db).approve(&house.manager(), id, version, &seen.action_hash, None, None).await.expect_err("changed");
        assert_eq!(error.code(), "recommendation.plan_changed");
        assert!(error.advice().is_some());
    }

    async fn an_approval_can_be_undone_until_its_window_has_passed_and_then_nothing_was_applied(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let decisions = decisions(&db);
        let approved = decisions.approve(&house.manager(), seen.id, seen.version, &seen.action_hash, None, None).await.expect("approved");
        assert_eq!(approved.allowed, ["undo"]);
        assert!(approved.undo_until.is_some());
        assert!(apply_due(&db, &house.system()).await.expect("looked").applied.is_empty(), "the window is open");
        let undone = decisions.undo(&house.manager(), seen.id).await.expect("in time");
        assert_eq!(undone.recommendation.state, State::InReview);
        pass_the_undo_window(&db);
        assert!(apply_due(&db, &house.system()).await.expect("looked").applied.is_empty());
        assert_eq!(constraints(&db, &house).await, 0);
        let version = undone.recommendation.version;
        decisions.approve(&house.manager(), seen.id, version, &seen.action_hash, None, None).await.expect("approved again");
        pass_the_undo_window(&db);
        let late = decisions.undo(&house.manager(), seen.id).await.expect_err("too late");
        assert_eq!(late.code(), "recommendation.undo_over");
    }

    async fn changed_evidence_withdraws_an_approval_and_other_values_do_not(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let decisions = decisions(&db);
        decisions.approve(&house.manager(), seen.id, seen.version, &seen.action_hash, None, None).await.expect("approved");
        house.change(&db, house.reviews, 1.0).await;
        pass_the_undo_window(&db);
        assert_eq!(apply_due(&db, &house.system()).await.expect("looked").applied, [seen.id], "reviews are no evidence for a cap");
        let rule = Rule::Cap { brand: Some(house.birch), channel: Some(house.search), weekly: 70.into() };
        let second = house.propose(&db, "line:Birch/search", Action::Guard { rule }).await;
        decisions.approve(&house.manager(), second.id, second.version, &second.action_hash, None, None).await.expect("approved");
        house.change(&db, house.spend, 900.0).await;
        pass_the_undo_window(&db);
        assert_eq!(apply_due(&db, &house.system()).await.expect("looked").withdrawn, [second.id]);
        assert_eq!(constraints(&db, &house).await, 1);
    }

    async fn an_edit_is_approved_under_its_own_hash_and_that_is_what_is_applied(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let rule = Rule::Cap { brand: Some(house.alder), channel: Some(house.search), weekly: 85.into() };
        let edited = Action::Guard { rule: rule.clone() };
        let detail = decisions(&db)
            .approve(&house.manager(), seen.id, seen.version, &seen.action_hash, Some(edited.clone()), Some("gently".to_owned()))
            .await
            .expect("approved");
        assert_eq!(detail.recommendation.action_hash, edited.hash());
        // Undone, it is still the edited one, and its words say so.
        assert!(detail.recommendation.summary.starts_with("Edited: at most "), "{}", detail.recommendation.summary);
        assert!(detail.recommendation.summary.ends_with(&format!("Before the edit: {}", seen.summary)));
        pass_the_undo_window(&db);
        apply_due(&db, &house.system()).await.expect("applied");
        let grant = house.system().grant(Permission::PlanRead).expect("held");
        assert_eq!(db.scope(&grant).constraints().active().await.expect("read")[0].rule, rule);
    }

    async fn the_text_says_what_the_action_does_after_an_edit_and_after_its_undo(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let decisions = decisions(&db);
        let cap = |weekly: i64| Action::Guard {
            rule: Rule::Cap { brand: Some(house.alder), channel: Some(house.search), weekly: weekly.into() },
        };
        let approve = async |of: &Recommendation, action: Action| {
            decisions.approve(&house.manager(), of.id, of.version, &of.action_hash, Some(action), None).await.expect("approved").recommendation
        };
        let edited = approve(&seen, cap(85)).await;
        assert_eq!(edited.title, "Cap Paid search of Alder at EUR 85 a week");
        let undone = decisions.undo(&house.manager(), seen.id).await.expect("in time").recommendation;
        assert_eq!((undone.state, &undone.action, &undone.title), (State::InReview, &cap(85), &edited.title));
        let again = approve(&undone, cap(70)).await;
        assert_eq!(again.title, "Cap Paid search of Alder at EUR 70 a week");
        assert_eq!(again.action, cap(70));
    }

    async fn the_text_of_an_edited_plan_follows_its_lines(db: TestDatabase) {
        let house = House::build(&db).await;
        let decisions = decisions(&db);
        let plan = decisions.plans.current(&house.manager()).await.expect("carried on");
        let with = |alder: i64, birch: i64| {
            let mut lines = plan.lines.clone();
            for line in &mut lines {
                let by = if line.brand == house.alder { alder } else { birch };
                line.weekly = line.current + rust_decimal::Decimal::from(by);
            }
            Action::BudgetPlan { plan: plan.id, start: plan.start, weeks: plan.weeks, total: plan.total.clone(), lines }
        };
        let seen = house.propose(&db, "portfolio", with(-50, 50)).await;
        let approve = async |of: &Recommendation, action: Action| {
            decisions.approve(&house.manager(), of.id, of.version, &of.action_hash, Some(action), None).await.expect("approved").recommendation
        };
        let edited = approve(&seen, with(-20, 20)).await;
        assert_eq!(edited.title, "Shift EUR 20 a week within the same budget");
        assert!(edited.summary.contains("EUR 20 a week less for Paid search of Alder"), "{}", edited.summary);
        let undone = decisions.undo(&house.manager(), seen.id).await.expect("in time").recommendation;
        assert_eq!((&undone.title, &undone.summary, &undone.action), (&edited.title, &edited.summary, &edited.action));
        let again = approve(&undone, with(0, 30)).await;
        assert_eq!((again.title.as_str(), again.brands), ("Spend EUR 30 a week more", vec![house.birch]));
        assert_eq!(again.evidence[0].value, Some(30.0), "the numbers follow too");
    }

    async fn a_plan_that_breaks_a_rule_applied_after_it_was_proposed_is_withdrawn(db: TestDatabase) {
        let house = House::build(&db).await;
        let decisions = decisions(&db);
        let plan = decisions.plans.current(&house.manager()).await.expect("carried on");
        let mut lines = plan.lines.clone();
        for line in &mut lines {
            line.weekly += rust_decimal::Decimal::from(if line.brand == house.alder { 50 } else { -50 });
        }
        let action = Action::BudgetPlan { plan: plan.id, start: plan.start, weeks: plan.weeks, total: plan.total.clone(), lines };
        let raised = house.propose(&db, "portfolio", action).await;
        let cap = house.guard(&db).await;
        for seen in [&cap, &raised] {
            decisions.approve(&house.manager(), seen.id, seen.version, &seen.action_hash, None, None).await.expect("approved");
        }
        pass_the_undo_window(&db);
        let done = apply_due(&db, &house.system()).await.expect("looked");
        assert_eq!((done.applied, done.withdrawn), (vec![cap.id], vec![raised.id]));
        let grant = house.system().grant(Permission::PlanRead).expect("held");
        assert_eq!(db.scope(&grant).plans().of_record().await.expect("read"), None);
        let history = decisions.detail(&house.manager(), raised.id).await.expect("read").history;
        let note = history.last().and_then(|entry| entry.note.clone()).expect("it says why");
        assert!(note.contains("above the cap"), "{note}");
    }

    async fn taking_back_a_revision_leaves_a_later_one_of_record(db: TestDatabase) {
        let house = House::build(&db).await;
        let decisions = decisions(&db);
        let ids = [1, 2, 3].map(|n| domain::id::ForecastId::derive(&[&n.to_string()]));
        let grant = db.grant(house.org, Permission::MetricWrite);
        db.unit(&grant, move |u| {
            Box::pin(async move {
                for id in ids {
                    u.forecasts().record(&forecast(&house, id)).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("recorded");
        let mut applied = Vec::new();
        for id in ids {
            let action = Action::ForecastRevision { forecast: id, brand: house.alder, metric: house.units };
            let seen = house.propose(&db, &format!("series:{id}"), action).await;
            decisions.approve(&house.manager(), seen.id, seen.version, &seen.action_hash, None, None).await.expect("approved");
            pass_the_undo_window(&db);
            apply_due(&db, &house.system()).await.expect("applied");
            applied.push(seen.id);
        }
        let of_record = async || {
            let grant = house.system().grant(Permission::MetricRead).expect("held");
            db.scope(&grant).forecasts().of_record(house.alder, house.units, None).await.expect("read").map(|f| f.id)
        };
        assert_eq!(of_record().await, Some(ids[2]));
        decisions.rollback(&house.manager(), applied[1], "no".to_owned()).await.expect("rolled back");
        assert_eq!(of_record().await, Some(ids[2]), "the later one stays");
        decisions.rollback(&house.manager(), applied[2], "no".to_owned()).await.expect("rolled back");
        assert_ne!(of_record().await, Some(ids[2]), "and goes when it is taken back itself");
    }

    async fn a_step_of_an_initiative_that_is_approved_late_can_still_be_decided_on(db: TestDatabase) {
        let house = House::build(&db).await;
        let action = Action::Initiative {
            steps: vec![domain::recommendation::InitiativeStep {
                title: "lower".to_owned(),
                start: today(),
                action: Box::new(Action::MetricTarget { brand: house.alder, metric: house.spend, from: 100.0, to: 70.0, due: today() + Days::new(90) }),
            }],
            assumptions: Vec::new(),
            reviews: Vec::new(),
        };
        let seen = house.propose(&db, "reallocation", action).await;
        let late = today() + Days::new(27);
        set_today(&db, &house, late).await;
        let decisions = decisions(&db);
        decisions.approve(&house.manager(), seen.id, seen.version, &seen.action_hash, None, None).await.expect("approved");
        pass_the_undo_window(&db);
        apply_due(&db, &house.system()).await.expect("applied");
        set_today(&db, &house, late + Days::new(7)).await;
        crate::life::keep_calendar(&db, &house.system()).await.expect("kept");
        let child = decisions.detail(&house.manager(), seen.id).await.expect("read").children.remove(0);
        assert_eq!((child.state, child.proposed_on), (State::Proposed, late));
    }

    async fn an_edit_cannot_turn_a_rule_into_one_about_something_else(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let rule = Rule::Cap { brand: Some(house.birch), channel: Some(house.search), weekly: 85.into() };
        let error = decisions(&db)
            .approve(&house.manager(), seen.id, seen.version, &seen.action_hash, Some(Action::Guard { rule }), None)
            .await
            .expect_err("another line");
        assert_eq!(error.code(), "recommendation.edit_invalid");
        assert_eq!(house.stored(&db, seen.id).await.state, State::Proposed);
    }

    async fn a_rejection_keeps_its_reason_and_a_stale_version_is_told_so(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let decisions = decisions(&db);
        let manager = house.manager();
        let stale = decisions.reject(&manager, seen.id, seen.version + 1, RejectReason::NotNow, None).await.expect_err("stale");
        assert_eq!(stale.code(), "precondition.stale");
        let silent = decisions.reject(&manager, seen.id, seen.version, RejectReason::Other, Some("  ".to_owned())).await.expect_err("no reason");
        assert_eq!(silent.code(), "recommendation.reason_missing");
        let rejected =
            decisions.reject(&manager, seen.id, seen.version, RejectReason::WrongData, Some("week 3".to_owned())).await.expect("rejected");
        let last = rejected.history.last().expect("history");
        assert_eq!((last.state, last.note.as_deref()), (State::Rejected, Some("wrong_data: week 3")));
    }

    async fn a_snooze_needs_a_date_before_the_expiry_and_wakes_on_it(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let decisions = decisions(&db);
        let manager = house.manager();
        let past = decisions.snooze(&manager, seen.id, seen.version, today()).await.expect_err("today");
        assert_eq!(past.code(), "recommendation.until_past");
        let late = decisions.snooze(&manager, seen.id, seen.version, today() + Days::new(40)).await.expect_err("after expiry");
        assert_eq!(late.code(), "recommendation.until_late");
        let until = today() + Days::new(7);
        decisions.snooze(&manager, seen.id, seen.version, until).await.expect("snoozed");
        assert_eq!(crate::life::keep_calendar(&db, &house.system()).await.expect("kept"), 0);
        set_today(&db, &house, until).await;
        assert_eq!(crate::life::keep_calendar(&db, &house.system()).await.expect("kept"), 1);
        assert_eq!(house.stored(&db, seen.id).await.state, State::Proposed);
        set_today(&db, &house, today() + Days::new(29)).await;
        assert_eq!(crate::life::keep_calendar(&db, &house.system()).await.expect("kept"), 1);
        assert_eq!(house.stored(&db, seen.id).await.state, State::Expired);
        assert_eq!(crate::life::keep_calendar(&db, &house.system()).await.expect("kept"), 0, "nothing moves twice");
    }

    async fn what_was_applied_is_taken_back_by_its_inverse(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let decisions = decisions(&db);
        decisions.approve(&house.manager(), seen.id, seen.version, &seen.action_hash, None, None).await.expect("approved");
        pass_the_undo_window(&db);
        apply_due(&db, &house.system()).await.expect("applied");
        let silent = decisions.rollback(&house.manager(), seen.id, String::new()).await.expect_err("no reason");
        assert_eq!((silent.code(), constraints(&db, &house).await), ("recommendation.reason_missing", 1));
        let back = decisions.rollback(&house.manager(), seen.id, "the client objects".to_owned()).await.expect("rolled back");
        assert_eq!((back.recommendation.state, constraints(&db, &house).await), (State::RolledBack, 0));
    }

    async fn an_action_that_cannot_be_carried_out_fails_and_changes_nothing(db: TestDatabase) {
        let house = House::build(&db).await;
        let missing = Action::ForecastRevision {
            forecast: domain::id::ForecastId::derive(&["nowhere"]),
            brand: house.alder,
            metric: house.units,
        };
        let seen = house.propose(&db, "series:Alder/units", missing).await;
        decisions(&db).approve(&house.manager(), seen.id, seen.version, &seen.action_hash, None, None).await.expect("approved");
        pass_the_undo_window(&db);
        assert_eq!(apply_due(&db, &house.system()).await.expect("looked").failed, [seen.id]);
        assert_eq!(house.stored(&db, seen.id).await.state, State::Failed);
        assert!(apply_due(&db, &house.system()).await.expect("looked").failed.is_empty(), "it is not tried again");
    }

    async fn an_initiative_puts_its_steps_into_the_inbox_and_takes_them_back_with_it(db: TestDatabase) {
        let house = House::build(&db).await;
        let step = |to: f64| domain::recommendation::InitiativeStep {
            title: format!("to {to}"),
            start: today(),
            action: Box::new(Action::MetricTarget { brand: house.alder, metric: house.spend, from: 100.0, to, due: today() + Days::new(60) }),
        };
        let action = Action::Initiative { steps: vec![step(70.0), step(50.0)], assumptions: Vec::new(), reviews: Vec::new() };
        let seen = house.propose(&db, "reallocation", action).await;
        let decisions = decisions(&db);
        decisions.approve(&house.manager(), seen.id, seen.version, &seen.action_hash, None, None).await.expect("approved");
        pass_the_undo_window(&db);
        apply_due(&db, &house.system()).await.expect("applied");
        let detail = decisions.detail(&house.manager(), seen.id).await.expect("read");
        assert_eq!(detail.children.iter().map(|c| c.state).collect::<Vec<_>>(), [State::Proposed, State::Proposed]);
        decisions.rollback(&house.manager(), seen.id, "no".to_owned()).await.expect("rolled back");
        crate::life::keep_calendar(&db, &house.system()).await.expect("kept");
        let detail = decisions.detail(&house.manager(), seen.id).await.expect("read");
        assert!(detail.children.iter().all(|c| c.state == State::Withdrawn), "{:?}", house.states(&db).await);
    }

    async fn who_may_not_decide_is_refused_and_offered_nothing(db: TestDatabase) {
        let house = House::build(&db).await;
        let seen = house.guard(&db).await;
        let analyst = Principal::user(house.org, UserId::derive(&["analyst"]), Role::Analyst);
        let decisions = decisions(&db);
        let error = decisions.approve(&analyst, seen.id, seen.version, &seen.action_hash, None, None).await.expect_err("not hers");
        assert_eq!(error.code(), "access.forbidden");
        assert!(decisions.detail(&analyst, seen.id).await.expect("she may look").allowed.is_empty());
    }
}

async fn set_today(db: &TestDatabase, house: &House, date: chrono::NaiveDate) {
    let grant = db.grant(house.org, Permission::PortfolioWrite);
    db.unit(&grant, move |u| {
        Box::pin(async move { u.organisations().set_as_of(Some(date)).await })
    })
    .await
    .expect("the clock moves");
}

fn forecast(house: &House, id: domain::id::ForecastId) -> domain::forecast::Forecast {
    domain::forecast::Forecast {
        id,
        brand: house.alder,
        project: None,
        metric: house.units,
        origin: crate::fixture::last_week(),
        granularity: domain::metric::Granularity::Week,
        model: "naive".to_owned(),
        points: Vec::new(),
        backtest: Vec::new(),
        of_record: false,
        provenance: domain::provenance::Provenance::default(),
    }
}
