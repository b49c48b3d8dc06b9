//! The estimators find what is planted in simulated worlds, do not find what is not, and their plans earn money.
//!
//! A small part of the acceptance figures; all of them are printed by the example `planted`.

use analytics::budget::{PlanRequest, ValueModel, evaluate, plan};
use analytics::cancel::never;
use analytics::finder::{Findings, ScanError, ScanParams, scan};
use analytics::market::judge::{judge, judge_plan};
use analytics::market::{HISTORY, World, first_week};
use analytics::quality::{Criteria, Verdict, check};
use domain::metric::MetricRole;
use std::collections::BTreeMap;

fn scanned(world: &World) -> Findings {
    scan(
        &world.panel().unwrap(),
        &ScanParams::default(),
        1,
        &never,
        &mut |_| {},
    )
    .unwrap()
}

#[test]
fn planted_facts_are_found_in_three_worlds_with_honest_intervals() {
    let judged: Vec<_> = (1..=3)
        .flat_map(|seed| {
            let world = World::planted(seed);
            judge(&scanned(&world), &world.truth())
        })
        .collect();
    assert_eq!(judged.len(), 18);
    let found = judged.iter().filter(|j| j.found).count();
    let covered = judged.iter().filter(|j| j.covered() == Some(true)).count();
    assert!(found >= 15, "found {found} of 18: {judged:#?}");
    assert!(
        covered * 100 >= found * 80,
        "{covered} of {found} intervals hold the truth: {judged:#?}"
    );
}

#[test]
fn null_worlds_show_next_to_nothing() {
    let wrong = (1..=3)
        .filter(|seed| !scanned(&World::null(*seed)).found.is_empty())
        .count();
    assert!(wrong <= 1, "{wrong} of 3 null worlds show a false fact");
}

#[test]
fn plans_of_four_worlds_earn_a_good_part_of_what_the_perfect_plan_earns() {
    let judged: Vec<_> = (1..=4)
        .map(|seed| {
            let world = World::planted(seed);
            let allocation = plan(
                &ValueModel::from_findings(&scanned(&world), 1),
                &PlanRequest::default(),
                &never,
            )
            .unwrap();
            judge_plan(&world, &allocation)
        })
        .collect();
    let gained = judged.iter().filter(|j| j.truth > 0.0).count();
    let share =
        judged.iter().map(|j| j.truth).sum::<f64>() / judged.iter().map(|j| j.perfect).sum::<f64>();
    assert!(gained >= 3, "{judged:#?}");
    assert!(share >= 0.4, "share {share:.2}: {judged:#?}");
}

#[test]
fn every_planted_fact_is_sized_for_the_oracle() {
    for seed in 1..=8 {
        let t = World::planted(seed).oracle().unwrap().all();
        assert!(
            t.iter().all(|t| (6.0..=9.0).contains(&t.abs())),
            "seed {seed}: {t:?}"
        );
        assert!(
            t[0] < 0.0 && t[1] > 0.0 && t[2] < 0.0 && t[3] > 0.0,
            "seed {seed}: {t:?}"
        );
    }
}

#[test]
fn marginal_returns_of_a_null_world_are_one() {
    for seed in 1..=4 {
        for (brand, channel, value) in World::null(seed).truth().marginal_returns {
            assert!(
                (value - 1.0).abs() < 0.01,
                "seed {seed} {brand} {channel}: {value}"
            );
        }
    }
}

#[test]
fn the_past_does_not_change_when_a_world_is_advanced() {
    let world = World::planted(5);
    let mut other = world.clone();
    let doubled: Vec<f64> = world.baseline().iter().map(|x| 2.0 * x).collect();
    other.advance(12, &doubled);
    assert_eq!(other.weeks(), HISTORY + 12);
    assert_eq!(world.rows(0, HISTORY), other.rows(0, HISTORY));
    let mut same = world.clone();
    same.advance(12, &world.baseline());
    let sold = |w: &World| {
        let rows = w.rows(HISTORY, HISTORY + 12);
        rows.iter()
            .filter(|r| r.metric == "units_sold" && r.project == "north")
            .map(|r| r.value)
            .sum::<f64>()
    };
    assert!(
        sold(&other) > sold(&same),
        "twice the media must sell more under the same random path"
    );
}

#[test]
fn a_world_and_a_scan_are_functions_of_their_seed() {
    let (a, b) = (World::planted(6), World::planted(6));
    assert_eq!(a.rows(100, 110), b.rows(100, 110));
    assert_ne!(a.rows(100, 110), World::planted(8).rows(100, 110));
    let (x, y) = (scanned(&a), scanned(&b));
    assert_eq!(x.found, y.found);
    let (p, q) = (
        ValueModel::from_findings(&x, 3),
        ValueModel::from_findings(&y, 3),
    );
    assert_eq!(p, q);
}

#[test]
fn a_what_if_is_answered_in_time_and_a_scan_can_be_cancelled() {
    let world = World::planted(7);
    let findings = scanned(&world);
    let model = ValueModel::from_findings(&findings, 1);
    let spend: Vec<f64> = model.lines.iter().map(|l| 1.2 * l.current).collect();
    let effect = evaluate(&model, &spend, 12);
    assert!(effect.interval80.0 <= effect.expected && effect.expected <= effect.interval80.1);
    let stopped = scan(
        &world.panel().unwrap(),
        &ScanParams::default(),
        1,
        &|| true,
        &mut |_| {},
    );
    assert!(matches!(stopped, Err(ScanError::Cancelled(_))));
}

#[test]
fn no_series_of_a_world_fails_the_quality_check_and_most_pass_it() {
    for seed in [1, 3, 7] {
        let world = World::planted(seed);
        let roles: BTreeMap<String, MetricRole> = world
            .description()
            .1
            .into_iter()
            .map(|m| (m.key, m.role))
            .collect();
        let mut series: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for row in world.rows(0, HISTORY) {
            let week = (row.period - first_week()).num_days() / 7;
            series
                .entry((row.project, row.brand, row.metric))
                .or_insert_with(|| vec![f64::NAN; HISTORY])[week as usize] = row.value;
        }
        let mut counts = BTreeMap::new();
        for ((_, _, metric), values) in &series {
            let report = check(values, 52, 0, &Criteria::of(roles[*metric]));
            assert_ne!(report.verdict, Verdict::Fail, "{metric}: {report:?}");
            *counts.entry(report.verdict).or_insert(0) += 1;
        }
        let (passed, all) = (counts[&Verdict::Pass], counts.values().sum::<i32>());
        assert!(passed * 100 >= 90 * all, "seed {seed}: {counts:?}");
    }
}
