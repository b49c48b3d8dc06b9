//! The life of a recommendation under concurrent hands.

use chrono::TimeDelta;
use domain::{
    access::{Permission, Principal},
    event::EventKind,
    id::RecommendationId,
    page::PageRequest,
    recommendation::{Move, Recommendation, State},
};
use futures::future::join_all;
use storage::{Drafted, Filter, Transition, on_both, testkit::TestDatabase};

use crate::fixture::{Portfolio, code, day};

async fn proposed(
    db: &TestDatabase,
    p: &Portfolio,
    subject: &'static str,
    key: &'static str,
    weekly: i64,
) -> Recommendation {
    let draft = p.draft(RecommendationId(db.fresh_id()), subject, key, weekly);
    let grant = db.grant(p.org, Permission::RecommendationPropose);
    db.unit(&grant, move |u| {
        let draft = draft.clone();
        Box::pin(async move {
            let drafted = u.recommendations().draft(&draft).await?;
            assert!(matches!(drafted, Drafted::Inserted(_)), "{drafted:?}");
            u.recommendations()
                .transition(&Transition::by_runtime(draft.id, Move::Propose))
                .await
        })
    })
    .await
    .expect("a draft can be proposed")
}

async fn make(
    db: &TestDatabase,
    p: &Portfolio,
    transition: Transition,
) -> Result<Recommendation, storage::Error> {
    db.unit(&p.decide, move |u| {
        let transition = transition.clone();
        Box::pin(async move { u.recommendations().transition(&transition).await })
    })
    .await
}

on_both! {
    async fn of_thirty_two_approvals_at_once_exactly_one_wins(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let r = proposed(&db, &p, "pair:a-b", "k1", 100).await;
        let results = join_all((0..32).map(|_| {
            make(&db, &p, Transition::by_person(r.id, Move::Approve).hash(r.action_hash.clone()))
        })).await;
        let won = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(won, 1);
        for refused in results.into_iter().filter(Result::is_err) {
            assert_eq!(code(refused), "recommendation.already_decided");
        }
        let scope = db.scope(&p.write);
        let history = scope.recommendations().history(r.id).await.expect("history");
        let steps: Vec<_> = history.iter().map(|entry| entry.step).collect();
        assert_eq!(steps, [None, Some(Move::Propose), Some(Move::Approve)]);
        let approvals = scope.audit().of_subject(&r.id.to_string(), 100).await.expect("audit");
        assert_eq!(approvals.iter().filter(|entry| entry.action == "recommendation.approve").count(), 1);
        db.system_door().outbox().sequence(100).await.expect("events get their place");
        let events = scope.events().after(0, 100).await.expect("events");
        assert_eq!(events.iter().filter(|event| event.kind == EventKind::RecommendationApproved).count(), 1);
    }

    async fn a_recommendation_comes_back_bit_for_bit(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let r = proposed(&db, &p, "pair:a-b", "k1", 100).await;
        let sent = p.draft(r.id, "pair:a-b", "k1", 100);
        let got = db.scope(&p.write).recommendations().get(r.id).await.expect("it is there");
        assert_eq!(got.effect, sent.effect);
        assert_eq!(got.action, sent.action);
        assert_eq!(got.action.hash(), got.action_hash);
        assert_eq!((got.state, got.version), (State::Proposed, 2));
    }

    async fn a_plan_that_changed_after_it_was_looked_at_cannot_be_approved(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let r = proposed(&db, &p, "pair:a-b", "k1", 100).await;
        let other = p.draft(r.id, "pair:a-b", "k1", 250);
        let (id, version) = (r.id, r.version);
        let edited = db.unit(&p.decide, move |u| {
            let action = other.action.clone();
            Box::pin(async move {
                let edit = storage::Edit {
                    action: action.clone(),
                    title: "Edited".to_owned(),
                    summary: "Somebody edited it.".to_owned(),
                    effect: None,
                    confidence: None,
                    note: "a higher cap".to_owned(),
                };
                u.recommendations().edit(id, version, &edit).await
            })
        }).await.expect("an open one can be edited");
        assert_ne!(edited.action_hash, r.action_hash);
        assert_eq!((edited.state, edited.title.as_str()), (State::InReview, "Edited"));
        let old = make(&db, &p, Transition::by_person(r.id, Move::Approve).hash(r.action_hash.clone())).await;
        assert_eq!(code(old), "recommendation.plan_changed");
        let unseen = make(&db, &p, Transition::by_person(r.id, Move::Approve)).await;
        assert_eq!(code(unseen), "recommendation.hash_missing");
        let stale = make(&db, &p, Transition::by_person(r.id, Move::Approve).hash(edited.action_hash.clone()).expecting(version)).await;
        assert_eq!(code(stale), "recommendation.changed");
        let approved = make(&db, &p, Transition::by_person(r.id, Move::Approve).hash(edited.action_hash.clone())).await.expect("approves");
        assert_eq!(approved.state, State::Approved);
    }

    async fn an_approval_can_be_undone_for_ten_seconds_and_is_then_handed_out_once(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let r = proposed(&db, &p, "pair:a-b", "k1", 100).await;
        let approve = Transition::by_person(r.id, Move::Approve).hash(r.action_hash.clone());
        let approved = make(&db, &p, approve.clone()).await.expect("approves");
        let window = approved.applies_at.expect("set") - approved.updated_at;
        assert_eq!(window, TimeDelta::seconds(10));
        let undone = make(&db, &p, Transition::by_person(r.id, Move::Undo)).await.expect("undoes");
        assert_eq!((undone.state, undone.applies_at), (State::InReview, None));
        make(&db, &p, approve).await.expect("approves again");
        let system = db.grant(p.org, Permission::PlanWrite);
        let claim = || db.unit(&system, |u| Box::pin(async move { u.recommendations().claim_due(10).await }));
        assert!(claim().await.expect("claims").is_empty(), "nothing is due yet");
        db.shift_time(TimeDelta::seconds(11));
        assert_eq!(code(make(&db, &p, Transition::by_person(r.id, Move::Undo)).await), "recommendation.undo_closed");
        let claimed: usize = join_all((0..8).map(|_| claim())).await.into_iter().map(|c| c.expect("claims").len()).sum();
        assert_eq!(claimed, 1);
        let now = db.scope(&p.write).recommendations().get(r.id).await.expect("it is there");
        assert_eq!(now.state, State::Applying);
    }

    async fn the_same_proposal_changes_nothing_and_a_newer_one_takes_its_place(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let first = proposed(&db, &p, "pair:a-b", "k1", 100).await;
        let grant = db.grant(p.org, Permission::RecommendationPropose);
        let again = p.draft(RecommendationId(db.fresh_id()), "pair:a-b", "k1", 100);
        let drafted = db.unit(&grant, move |u| {
            let again = again.clone();
            Box::pin(async move { u.recommendations().draft(&again).await })
        }).await.expect("drafts");
        assert_eq!(drafted, Drafted::Unchanged(first.id, State::Proposed));
        let second = proposed(&db, &p, "pair:a-b", "k2", 120).await;
        let scope = db.scope(&p.write);
        let before = scope.recommendations().get(first.id).await.expect("it is there");
        assert_eq!((before.state, before.superseded_by), (State::Superseded, Some(second.id)));
        // What was superseded can be proposed again: the data may have come back.
        proposed(&db, &p, "pair:a-b", "k1", 100).await;
        let open = scope.recommendations().all(&Filter::open()).await.expect("lists");
        assert_eq!(open.len(), 1);
    }

    async fn a_decision_needs_the_permission_and_a_reason_where_one_is_due(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let r = proposed(&db, &p, "pair:a-b", "k1", 100).await;
        let (id, hash) = (r.id, r.action_hash.clone());
        let refused = db.unit(&p.write, move |u| {
            let transition = Transition::by_person(id, Move::Approve).hash(hash.clone());
            Box::pin(async move { u.recommendations().transition(&transition).await })
        }).await;
        assert_eq!(code(refused), "access.forbidden");
        let user = Principal::user(p.org, domain::id::UserId::derive(&["u"]), domain::access::Role::Analyst);
        let grant = user.grant(Permission::RecommendationPropose).expect("an analyst may propose");
        let expired = db.unit(&grant, move |u| {
            Box::pin(async move { u.recommendations().transition(&Transition::by_runtime(id, Move::Expire)).await })
        }).await;
        assert_eq!(code(expired), "access.forbidden");
        assert_eq!(code(make(&db, &p, Transition::by_person(id, Move::Reject).note("  ")).await), "recommendation.reason_missing");
        let rejected = make(&db, &p, Transition::by_person(id, Move::Reject).note("not this season")).await.expect("rejects");
        assert_eq!(rejected.state, State::Rejected);
        let undone = make(&db, &p, Transition::by_person(id, Move::Undo)).await.expect("undoes");
        assert_eq!(undone.state, State::InReview);
        let snoozed = make(&db, &p, Transition::by_person(id, Move::Snooze).until(day("2024-06-20"))).await.expect("snoozes");
        assert_eq!((snoozed.state, snoozed.snoozed_until), (State::Snoozed, Some(day("2024-06-20"))));
    }

    async fn pages_hold_every_recommendation_once(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        for (subject, key) in [("s1", "k1"), ("s2", "k2"), ("s3", "k3"), ("s4", "k4"), ("s5", "k5")] {
            proposed(&db, &p, subject, key, 100).await;
        }
        let scope = db.scope(&p.write);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = scope.recommendations().list(&Filter::open(), &PageRequest { limit: 2, after }).await.expect("lists");
            assert!(page.rows.len() <= 2);
            seen.extend(page.rows.into_iter().map(|r| r.subject));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, ["s1", "s2", "s3", "s4", "s5"]);
        let by_brand = Filter { brand: Some(p.borealis), ..Filter::default() };
        assert_eq!(scope.recommendations().all(&by_brand).await.expect("lists").len(), 5);
        let other = Filter { agent: Some(domain::access::AgentKind::Strategy), ..Filter::default() };
        assert!(scope.recommendations().all(&other).await.expect("lists").is_empty());
    }
}
