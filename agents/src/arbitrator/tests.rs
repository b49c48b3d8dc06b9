//! Properties of the choice: order does not matter, a dominated proposal changes nothing, budget is conserved, the veto holds.

use chrono::NaiveDate;
use domain::{
    access::AgentKind,
    budget::PlanLine,
    id::{ChannelId, MetricId, PlanId},
    recommendation::{Evidence, Kind},
    unit::{Effect, Interval, Money},
};

use super::*;
use crate::proposal::Proposal;

const DIGEST: &str = "d1";

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 1, 6).expect("a date")
}

fn brand(name: &str) -> BrandId {
    BrandId::derive(&["o", name])
}

fn channel(name: &str) -> ChannelId {
    ChannelId::derive(&["o", name])
}

fn line(b: &str, c: &str, current: i64, weekly: i64) -> PlanLine {
    PlanLine {
        brand: brand(b),
        channel: channel(c),
        weekly: weekly.into(),
        current: current.into(),
        lower: 0.into(),
        upper: 1_000_000.into(),
        marginal_return: None,
    }
}

fn proposal(subject: &str, action: Action, value: f64, confidence: f64) -> Recommendation {
    let effect = Effect {
        value,
        interval80: Interval {
            low: value * 0.5,
            high: value * 1.5,
        },
        base: None,
        unit: "EUR".to_owned(),
        horizon_weeks: 12,
    };
    Proposal {
        agent: AgentKind::Optimisation,
        subject: subject.to_owned(),
        title: subject.to_owned(),
        summary: String::new(),
        brands: Vec::new(),
        objective: String::new(),
        action,
        effect: Some(effect),
        confidence: Some(confidence),
        evidence: Vec::<Evidence>::new(),
        expires_on: day(),
    }
    .into_draft(
        domain::id::OrgId::derive(&["o"]),
        DIGEST,
        day(),
        chrono::DateTime::UNIX_EPOCH,
    )
}

fn plan(subject: &str, lines: Vec<PlanLine>, value: f64, confidence: f64) -> Recommendation {
    let action = Action::BudgetPlan {
        plan: PlanId::derive(&[subject]),
        start: day(),
        weeks: 12,
        total: Money {
            amount: 0.into(),
            currency: "EUR".to_owned(),
        },
        lines,
    };
    proposal(subject, action, value, confidence)
}

fn target(subject: &str) -> Recommendation {
    let action = Action::MetricTarget {
        brand: brand("a"),
        metric: MetricId::derive(&[subject]),
        from: 1.0,
        to: 2.0,
        due: day(),
    };
    proposal(subject, action, 5.0, 0.9)
}

fn board() -> Board {
    Board::default()
}

/// A deterministic permutation: the `n`-th by the factorial number system.
fn permuted(items: &[Recommendation], mut n: usize) -> Vec<Recommendation> {
    let mut rest = items.to_vec();
    let mut out = Vec::new();
    while !rest.is_empty() {
        out.push(rest.remove(n % rest.len()));
        n = n / (rest.len() + 1) + 7 * n;
    }
    out
}

fn field() -> Vec<Recommendation> {
    vec![
        plan(
            "portfolio",
            vec![line("a", "x", 100, 150), line("b", "x", 100, 50)],
            900.0,
            0.9,
        ),
        plan(
            "brand a",
            vec![line("a", "x", 100, 120), line("a", "y", 100, 80)],
            500.0,
            0.9,
        ),
        plan(
            "brand b",
            vec![line("b", "x", 100, 70), line("b", "y", 100, 130)],
            450.0,
            0.9,
        ),
        plan(
            "other",
            vec![line("c", "x", 100, 70), line("c", "y", 100, 130)],
            40.0,
            0.7,
        ),
        target("t1"),
        target("t2"),
    ]
}

#[test]
fn the_order_of_proposals_does_not_matter() {
    let field = field();
    let decision = arbitrate(&field, &board());
    for n in 0..60 {
        assert_eq!(
            arbitrate(&permuted(&field, n), &board()),
            decision,
            "permutation {n}"
        );
    }
}

#[test]
fn the_best_set_wins_even_where_the_best_single_proposal_is_not_in_it() {
    let field = field();
    let decision = arbitrate(&field, &board());
    // 500·0.9 + 450·0.9 = 855 beats 900·0.9 = 810.
    assert!(decision.chosen.contains(&field[1].id) && decision.chosen.contains(&field[2].id));
    let loser = &decision.refused[&field[0].id];
    assert_eq!(loser.reason, "budget_line_taken");
    assert!(
        loser
            .winner
            .is_some_and(|winner| decision.chosen.contains(&winner))
    );
}

#[test]
fn every_proposal_is_chosen_or_refused_with_a_reason() {
    let field = field();
    let decision = arbitrate(&field, &board());
    assert_eq!(decision.chosen.len() + decision.refused.len(), field.len());
    assert!(
        decision
            .refused
            .values()
            .all(|refusal| !refusal.detail.is_empty())
    );
}

#[test]
fn a_dominated_proposal_changes_nothing() {
    let mut field = field();
    let before = arbitrate(&field, &board());
    field.push(plan(
        "worse",
        vec![line("c", "x", 100, 80), line("c", "y", 100, 120)],
        10.0,
        0.6,
    ));
    let after = arbitrate(&field, &board());
    assert_eq!(after.chosen, before.chosen);
    assert_eq!(
        after.refused[&field.last().expect("pushed").id].reason,
        "budget_line_taken"
    );
}

#[test]
fn a_plan_that_does_not_conserve_the_budget_is_infeasible() {
    let field = [plan(
        "more",
        vec![line("a", "x", 100, 150), line("b", "x", 100, 60)],
        900.0,
        0.9,
    )];
    let decision = arbitrate(&field, &board());
    assert_eq!(decision.refused[&field[0].id].reason, "infeasible");
}

#[test]
fn what_is_chosen_together_conserves_the_budget_and_changes_each_line_once() {
    let field = field();
    let decision = arbitrate(&field, &board());
    let mut seen = BTreeSet::new();
    let mut change = Decimal::ZERO;
    for chosen in field.iter().filter(|c| decision.chosen.contains(&c.id)) {
        for line in plans_of(&chosen.action).into_iter().flatten() {
            assert!(
                seen.insert((line.brand, line.channel)),
                "a line changed twice"
            );
            change += line.weekly - line.current;
        }
    }
    assert_eq!(change, Decimal::ZERO);
}

#[test]
fn media_that_cannibalises_is_not_raised() {
    let lines = vec![line("a", "x", 100, 150), line("b", "x", 100, 50)];
    let field = [plan("portfolio", lines.clone(), 900.0, 0.99)];
    let mut board = board();
    board.current = lines
        .iter()
        .map(|l| ((l.brand, l.channel), l.current))
        .collect();
    board.harmful = vec![HarmfulPair {
        driver: brand("a"),
        affected: brand("b"),
        weekly: 100.into(),
    }];
    let decision = arbitrate(&field, &board);
    assert_eq!(
        decision.refused[&field[0].id].reason,
        "cannibalisation_veto"
    );
    board.harmful[0].weekly = 150.into();
    assert!(arbitrate(&field, &board).chosen.contains(&field[0].id));
}

#[test]
fn a_standing_cap_holds_a_plan_back() {
    let lines = vec![line("a", "x", 100, 150), line("b", "x", 100, 50)];
    let field = [plan("portfolio", lines.clone(), 900.0, 0.99)];
    let mut board = board();
    board.current = lines
        .iter()
        .map(|l| ((l.brand, l.channel), l.current))
        .collect();
    board.rules = vec![Rule::Cap {
        brand: Some(brand("a")),
        channel: None,
        weekly: 120.into(),
    }];
    assert_eq!(
        arbitrate(&field, &board).refused[&field[0].id].reason,
        "infeasible"
    );
}

#[test]
fn a_proposal_whose_data_changed_is_stale() {
    let field = [target("t1")];
    let board = Board {
        stale: BTreeSet::from([field[0].id]),
        ..Board::default()
    };
    assert_eq!(
        arbitrate(&field, &board).refused[&field[0].id].reason,
        "stale_data"
    );
}

#[test]
fn what_a_person_decides_on_keeps_its_claims() {
    let field = field();
    let mut board = board();
    let holder = RecommendationId::derive(&["held"]);
    board
        .taken
        .insert(format!("line:{}/{}", brand("a"), channel("x")), holder);
    let decision = arbitrate(&field, &board);
    assert_eq!(decision.refused[&field[0].id].winner, Some(holder));
    assert_eq!(decision.refused[&field[1].id].winner, Some(holder));
    assert!(decision.chosen.contains(&field[2].id));
}

#[test]
fn two_proposals_about_the_same_thing_never_stand_side_by_side() {
    let mut second = target("t1");
    second.id = RecommendationId::derive(&["second"]);
    second.kind = Kind::MetricTarget;
    let field = [target("t1"), second];
    let decision = arbitrate(&field, &board());
    assert_eq!(decision.chosen.len(), 1);
    assert_eq!(
        decision.refused.values().next().expect("one lost").reason,
        "duplicate"
    );
}
