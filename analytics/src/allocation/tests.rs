//! Known answers, properties and limits.

use serde_json::{Value, json};

use super::*;
use crate::cancel::never;

fn oracles() -> Value {
    serde_json::from_str(include_str!("../../testdata/oracles.json")).unwrap()
}

fn problem(value: Value) -> Problem {
    serde_json::from_value(value).unwrap()
}

fn planned(value: Value) -> Plan {
    match solve(&problem(value), &Settings::default(), &never).unwrap() {
        Answer::Planned(plan) => plan,
        Answer::Infeasible(conflict) => panic!("{conflict}"),
    }
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn same(ours: f64, theirs: f64, tolerance: f64) {
    assert!(
        (ours - theirs).abs() <= tolerance * theirs.abs(),
        "{ours} is not {theirs}"
    );
}

/// Value to 1e-8 relative, spends to 1e-3 of their scale, own residual at most 1e-8.
fn meets(plan: &Plan, oracle: &Value, value: &str) {
    same(plan.value, oracle[value].as_f64().unwrap(), 1e-8);
    let scale = plan.total;
    for (x, y) in plan.spend.concat().iter().zip(flat(&oracle["x"])) {
        assert!((x - y).abs() <= 1e-3 * scale, "{x} is not {y}");
    }
    let own = &plan.certificate;
    assert!(own.residual() <= 1e-8, "{own:?}");
    assert!(own.relative_gap <= 1e-9, "{own:?}");
}

#[test]
fn square_roots_share_by_their_squares() {
    let o = &oracles()["A1_sqrt_analytic"];
    let plan = planned(json!({"family": "root", "beta": o["k"], "k": 1.0, "B": o["B"]}));
    meets(&plan, o, "value");
    same(
        plan.certificate.price_of_total(),
        o["lambda"].as_f64().unwrap(),
        1e-9,
    );
}

#[test]
fn michaelis_menten_curves_meet_at_one_price_within_their_bounds() {
    let all = oracles();
    let base = &all["A2_michaelis_menten_free"];
    for name in ["A2_michaelis_menten_free", "A3_michaelis_menten_bounds"] {
        let o = &all[name];
        let plan = planned(json!({
            "family": "michaelis_menten", "beta": base["beta"], "k": base["kappa"], "B": o["B"],
            "lower": o["lower"], "upper": o["upper"],
        }));
        meets(&plan, o, "value");
        same(
            plan.certificate.price_of_total(),
            o["lambda"].as_f64().unwrap(),
            1e-5,
        );
        for (cell, marginal) in plan.cells.iter().zip(flat(&o["marginals"])) {
            same(cell.marginal, marginal, 1e-5);
        }
    }
}

#[test]
fn five_lower_bounds_above_the_total_are_named_as_the_conflict() {
    let all = oracles();
    let (base, o) = (&all["A2_michaelis_menten_free"], &all["A3b_infeasible"]);
    let answer = solve(
        &problem(json!({
            "family": "michaelis_menten", "beta": base["beta"], "k": base["kappa"], "B": o["B"], "lower": o["lower"],
        })),
        &Settings::default(),
        &never,
    )
    .unwrap();
    let conflict = answer.conflict().expect("there is no plan");
    assert!(conflict.minimal, "{conflict:?}");
    assert_eq!(conflict.members.len(), 6, "{conflict:?}");
    assert_eq!(conflict.members[0].what, "total");
    let bounds: Vec<f64> = conflict.members[1..].iter().map(|m| m.limit).collect();
    for (bound, lower) in bounds.iter().zip(flat(&o["lower"])) {
        same(*bound, lower, 1e-9);
    }
    same(conflict.least_change, 10.0, 1e-6);
    same(conflict.relaxation[0].to, 160.0, 1e-6);
}

fn groups_of_a4() -> Value {
    let o = oracles()["A4_brand_x_channel_groups"].clone();
    let current: Vec<Vec<f64>> = serde_json::from_value(o["current"].clone()).unwrap();
    let scaled = |by: f64| -> Vec<Vec<f64>> {
        current
            .iter()
            .map(|row| row.iter().map(|v| v * by).collect())
            .collect()
    };
    let brand = |b: usize| current[b].iter().sum::<f64>();
    let channel0: f64 = current.iter().map(|row| row[0]).sum();
    json!({
        "family": "michaelis_menten", "beta": o["beta"], "k": o["kappa"], "B": o["total"], "current": current,
        "lower": scaled(0.7), "upper": scaled(1.3),
        "rules": [
            {"rule": "channel_cap", "channel": 0, "max": 0.95 * channel0},
            {"rule": "brand_floor", "brand": 1, "min": 1.10 * brand(1)},
            {"rule": "brand_cap", "brand": 0, "max": 1.05 * brand(0)},
        ],
    })
}

#[test]
fn group_rules_have_their_shadow_prices() {
    let all = oracles();
    let o = &all["A4_brand_x_channel_groups"];
    let plan = planned(groups_of_a4());
    meets(&plan, o, "value");
    same(
        plan.current_value.unwrap(),
        o["value_current"].as_f64().unwrap(),
        1e-6,
    );
    let expected = &o["shadow_prices"];
    let prices = &plan.certificate.prices;
    for (price, name, sign) in [
        (prices[0], "budget", 1.0),
        (prices[1], "channel0_cap", 1.0),
        (prices[2], "brand1_floor", -1.0),
        (prices[3], "brand0_cap", 1.0),
    ] {
        same(price, sign * expected[name].as_f64().unwrap(), 1e-5);
    }
    let again = verify(&problem(groups_of_a4()), &plan).unwrap();
    assert!(again.residual() <= 1e-8 && again.relative_gap <= 1e-9, "{again:?}");
}

#[test]
fn s_curves_are_solved_to_the_global_optimum() {
    let all = oracles();
    let o = &all["A5_scurve_global"];
    let plan = planned(json!({"beta": o["beta"], "a": o["a"], "k": o["kappa"], "B": o["B"]}));
    same(plan.value, o["value_polished"].as_f64().unwrap(), 1e-8);
    for (x, y) in plan.spend.concat().iter().zip(flat(&o["x_polished"])) {
        assert!((x - y).abs() <= 0.08, "{x} is not {y}");
    }
    same(
        plan.certificate.price_of_total(),
        o["lambda"].as_f64().unwrap(),
        1e-5,
    );
    assert!(plan.certificate.residual() <= 1e-8, "{:?}", plan.certificate);
    assert!(plan.certificate.relative_gap <= 1e-7, "{:?}", plan.certificate);
}

#[test]
fn effects_on_other_brands_count_in_the_objective() {
    let all = oracles();
    let o = &all["A7_halo"];
    let of = |cross: Value| {
        json!({"family": "michaelis_menten", "beta": [[100.0], [100.0], [100.0]], "k": 40.0, "cross": cross, "B": o["B"]})
    };
    let plan = planned(of(o["Gamma"].clone()));
    meets(&plan, o, "value");
    same(
        plan.certificate.price_of_total(),
        o["lambda"].as_f64().unwrap(),
        1e-5,
    );
    same(plan.outcomes.iter().sum(), plan.value, 1e-12);
}

fn weekly_of_a6(terminal: Value) -> Value {
    let all = oracles();
    let o = &all["A6_dynamic_carry"];
    let season: Vec<f64> = (0..17)
        .map(|t| 1.0 + 0.35 * (2.0 * std::f64::consts::PI * f64::from(t) / 12.0).sin())
        .collect();
    json!({
        "family": "michaelis_menten", "beta": o["beta"], "k": o["kappa"], "B": o["B"],
        "weeks": {
            "count": 12, "lags": o["L"], "alpha": o["alpha"], "season": season,
            "carry_in": [o["pre_period_oldest_first"]], "terminal": terminal,
        },
    })
}

#[test]
fn weekly_plans_know_carry_over_season_and_tail() {
    let all = oracles();
    for (name, terminal) in [
        ("A6_dynamic_carry", json!({"kind": "nothing"})),
        ("A6b_continuation", json!({"kind": "spend", "weekly": 10.0})),
    ] {
        let o = &all[name];
        let plan = planned(weekly_of_a6(terminal));
        same(plan.value, o["value"].as_f64().unwrap(), 1e-8);
        same(
            plan.certificate.price_of_total(),
            o["lambda"].as_f64().unwrap(),
            1e-5,
        );
        let x: Vec<f64> = plan.cells.iter().flat_map(|c| c.weekly.clone()).collect();
        for (x, y) in x.iter().zip(flat(&o["x"])) {
            assert!((x - y).abs() <= 1e-3 * 30.0, "{x} is not {y}");
        }
        let own = &plan.certificate;
        assert!(own.residual() <= 1e-8, "{own:?}");
        assert!(own.relative_gap <= 1e-9, "{own:?}");
        assert!(own.notes[0].contains("spend in them"), "{own:?}");
    }
}

fn scenarios_of_a8() -> Vec<Vec<f64>> {
    include_str!("../../testdata/A8_scenarios.csv")
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|v| v.parse().unwrap()).collect())
        .collect()
}

fn uncertain(objective: Value) -> Value {
    json!({
        "family": "michaelis_menten", "beta": [60.0, 60.0, 60.0], "k": 60.0, "B": 100.0,
        "scenarios": {"scale": scenarios_of_a8(), "objective": objective},
    })
}

#[test]
fn the_mean_cvar_frontier_is_met() {
    let all = oracles();
    for o in all["A8_mean_cvar"]["frontier"].as_array().unwrap() {
        let text = uncertain(json!({"kind": "mean_cvar", "weight": o["w"], "level": 0.9}));
        let plan = planned(text.clone());
        same(plan.value, o["objective"].as_f64().unwrap(), 1e-8);
        let risk = plan.risk.as_ref().unwrap();
        // The plan is flat around the optimum: parts of the objective differ more than the whole.
        same(risk.mean, o["mean"].as_f64().unwrap(), 1e-4);
        same(risk.cvar, o["cvar10"].as_f64().unwrap(), 1e-4);
        for (x, y) in plan.spend.concat().iter().zip(flat(&o["x"])) {
            assert!((x - y).abs() <= 0.1, "{x} is not {y}");
        }
        let own = &plan.certificate;
        assert!(own.residual() <= 1e-8 && own.relative_gap <= 1e-8, "{own:?}");
        same(
            evaluate(&problem(text), &flat(&o["x"])).unwrap(),
            o["objective"].as_f64().unwrap(),
            1e-6,
        );
    }
}

#[test]
fn variance_and_regret_beat_every_neighbour() {
    for objective in [
        json!({"kind": "mean_variance", "aversion": 0.03}),
        json!({"kind": "mean_variance", "aversion": 0.5}),
        json!({"kind": "regret"}),
    ] {
        let problem = problem(uncertain(objective));
        let answer = solve(&problem, &Settings::default(), &never).unwrap();
        let plan = answer.plan().unwrap();
        let own = &plan.certificate;
        assert!(own.residual() <= 1e-8 && own.relative_gap <= 1e-8, "{own:?}");
        let best = plan.spend.concat();
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
            let mut other = best.clone();
            other[from] -= 0.5;
            other[to] += 0.5;
            assert!(evaluate(&problem, &other).unwrap() < plan.value);
        }
    }
}

#[test]
fn mean_variance_is_the_plain_one_when_no_scenario_is_too_good() {
    let plan = planned(uncertain(json!({"kind": "mean_variance", "aversion": 0.004})));
    let risk = plan.risk.as_ref().unwrap();
    let plain = risk.mean - 0.002 * risk.standard_deviation.powi(2);
    same(plan.value, plain, 1e-12);
    assert!(plan.certificate.notes[0].starts_with("0 of 400"), "{:?}", plan.certificate.notes);
}
