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
        Answer::Planned(plan) => *plan,
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
    assert!(
        again.residual() <= 1e-8 && again.relative_gap <= 1e-9,
        "{again:?}"
    );
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
    assert!(
        plan.certificate.residual() <= 1e-8,
        "{:?}",
        plan.certificate
    );
    assert!(
        plan.certificate.relative_gap <= 1e-7,
        "{:?}",
        plan.certificate
    );
}

#[test]
fn effects_on_other_brands_count_in_the_objective() {
    let all = oracles();
    let o = &all["A7_halo"];
    let of = |cross: Value| json!({"family": "michaelis_menten", "beta": [[100.0], [100.0], [100.0]], "k": 40.0, "cross": cross, "B": o["B"]});
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
        assert!(
            own.residual() <= 1e-8 && own.relative_gap <= 1e-8,
            "{own:?}"
        );
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
        assert!(
            own.residual() <= 1e-8 && own.relative_gap <= 1e-8,
            "{own:?}"
        );
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
    let plan = planned(uncertain(
        json!({"kind": "mean_variance", "aversion": 0.004}),
    ));
    let risk = plan.risk.as_ref().unwrap();
    let plain = risk.mean - 0.002 * risk.standard_deviation.powi(2);
    same(plan.value, plain, 1e-12);
    assert!(
        plan.certificate.notes[0].starts_with("0 of 400"),
        "{:?}",
        plan.certificate.notes
    );
}

#[test]
fn plans_that_others_would_make_are_worth_what_they_should() {
    let all = oracles();
    let o = &all["A5_scurve_global"];
    let curves = problem(json!({"beta": o["beta"], "a": o["a"], "k": o["kappa"], "B": o["B"]}));
    for name in [
        "greedy_one_step_0.1",
        "greedy_hull_0.1 (Meridian style: best average ROI over any jump)",
    ] {
        let other = &o[name];
        let value = evaluate(&curves, &flat(&other["x"])).unwrap();
        same(value, other["value"].as_f64().unwrap(), 1e-6);
    }
    for local in o["local_runs_slsqp"].as_object().unwrap().values() {
        let value = evaluate(&curves, &flat(&local["x"])).unwrap();
        same(value, local["value"].as_f64().unwrap(), 1e-6);
    }
    let o = &all["A7_halo"];
    let halo = problem(json!({
        "family": "michaelis_menten", "beta": [[100.0], [100.0], [100.0]], "k": 40.0, "cross": o["Gamma"], "B": o["B"],
    }));
    let value = evaluate(&halo, &flat(&o["x_if_gamma_ignored"])).unwrap();
    same(value, o["true_value_if_ignored"].as_f64().unwrap(), 1e-6);
}

#[test]
fn flat_and_careless_weekly_plans_are_worth_what_they_should() {
    let all = oracles();
    let o = &all["A6_dynamic_carry"];
    let nothing = weekly_of_a6(json!({"kind": "nothing"}));
    let truth = problem(nothing.clone());
    same(
        evaluate(&truth, &[10.0; 36]).unwrap(),
        o["value_uniform"].as_f64().unwrap(),
        1e-6,
    );
    let spread = |per_week: &Value| -> Vec<f64> {
        flat(per_week).into_iter().flat_map(|x| [x; 12]).collect()
    };
    let best_flat = &o["best_flat_per_channel"];
    same(
        evaluate(&truth, &spread(&best_flat["x_per_week"])).unwrap(),
        best_flat["value"].as_f64().unwrap(),
        1e-6,
    );
    let b = &all["A6b_continuation"];
    let on = problem(weekly_of_a6(json!({"kind": "spend", "weekly": 10.0})));
    same(
        evaluate(&on, &spread(&b["best_flat"]["x_per_week"])).unwrap(),
        b["best_flat"]["value"].as_f64().unwrap(),
        1e-6,
    );
    let weekly =
        |plan: &Plan| -> Vec<f64> { plan.cells.iter().flat_map(|c| c.weekly.clone()).collect() };
    let mut forgetful = nothing.clone();
    let weeks_before = o["L"].as_u64().unwrap() as usize - 1;
    forgetful["weeks"]["carry_in"] = json!([vec![vec![0.0; weeks_before]; 3]]);
    same(
        evaluate(&truth, &weekly(&planned(forgetful))).unwrap(),
        o["ignoring_carry_in"]["true_value_of_its_plan"]
            .as_f64()
            .unwrap(),
        1e-6,
    );
    let mut short = nothing;
    short["weeks"]["tail"] = json!(0);
    short["weeks"]["season"]
        .as_array_mut()
        .unwrap()
        .truncate(12);
    same(
        evaluate(&truth, &weekly(&planned(short))).unwrap(),
        o["ignoring_tail"]["true_value_of_its_plan"]
            .as_f64()
            .unwrap(),
        1e-6,
    );
}

/// A portfolio of cells drawn from a seed.
fn portfolio(seed: u64, brands: usize, channels: usize, exponents: (f64, f64)) -> Value {
    use rand::Rng;
    let mut random = crate::rng::stream(seed, &[7]);
    let mut table = |low: f64, high: f64| -> Vec<Vec<f64>> {
        (0..brands)
            .map(|_| {
                (0..channels)
                    .map(|_| random.random_range(low..high))
                    .collect()
            })
            .collect()
    };
    let (beta, a, current) = (
        table(50.0, 500.0),
        table(exponents.0, exponents.1),
        table(10.0, 120.0),
    );
    let k = table(20.0, 150.0);
    let times = |by: f64| -> Vec<Vec<f64>> {
        current
            .iter()
            .map(|row| row.iter().map(|v| v * by).collect())
            .collect()
    };
    let total: f64 = current.iter().flatten().sum();
    json!({
        "beta": beta, "a": a, "k": k, "current": current, "lower": times(0.3), "upper": times(2.5), "B": total, "rules": [],
    })
}

fn ruled(seed: u64) -> Value {
    let mut p = portfolio(seed, 6, 4, (0.55, 1.0));
    let current: Vec<Vec<f64>> = serde_json::from_value(p["current"].clone()).unwrap();
    let channel: f64 = current.iter().map(|row| row[1]).sum();
    let agency: f64 = current[..3].iter().flatten().sum();
    p["rules"] = json!([
        {"rule": "channel_cap", "channel": 1, "max": 0.8 * channel},
        {"rule": "brand_floor", "brand": 5, "min": 1.2 * current[5].iter().sum::<f64>()},
        {"rule": "group_cap", "brands": [0, 1, 2], "max": 0.9 * agency},
        {"rule": "brand_change", "brand": 3, "max_relative": 0.05},
        {"rule": "cell_change", "brand": 4, "channel": 0, "max_relative": 0.1},
        {"rule": "fixed", "brand": 4, "channel": 2},
        {"rule": "resource_cap", "name": "CO₂", "rate": 0.5, "max": 0.55 * p["B"].as_f64().unwrap()},
    ]);
    p
}

#[test]
fn ruled_plans_prove_themselves_again() {
    for seed in 0..20 {
        let plan = planned(ruled(seed));
        let again = verify(&problem(ruled(seed)), &plan).unwrap();
        assert!(again.residual() <= 1e-9, "{seed}: {again:?}");
        assert!(again.relative_gap <= 1e-10, "{seed}: {again:?}");
        let fixed = &plan.cells[4 * 4 + 2];
        assert_eq!(fixed.spend, fixed.current);
        assert_eq!(fixed.held, Held::Fixed);
    }
}

#[test]
fn a_wrong_plan_does_not_prove_itself() {
    let p = problem(ruled(1));
    let mut plan = planned(ruled(1));
    plan.spend[0][0] += 1.0;
    assert!(verify(&p, &plan).unwrap().feasibility > 1e-5);
    plan.spend[0][1] -= 1.0;
    let moved = verify(&p, &plan).unwrap();
    assert!(
        moved.stationarity > 1e-4 && moved.relative_gap > 1e-7,
        "{moved:?}"
    );
}

#[test]
fn prices_predict_and_rules_only_cost() {
    let base = ruled(3);
    let plan = planned(base.clone());
    let value = |change: &dyn Fn(&mut Value)| {
        let mut p = base.clone();
        change(&mut p);
        planned(p).value
    };
    let b = base["B"].as_f64().unwrap();
    let up = value(&|p| p["B"] = json!(b + 0.01));
    same(
        (up - plan.value) / 0.01,
        plan.certificate.price_of_total(),
        1e-3,
    );
    for shadow in &plan.certificate.shadow_prices {
        let Some(number) = shadow.number else {
            continue;
        };
        let field = if base["rules"][number].get("max").is_some() {
            "max"
        } else {
            "min"
        };
        let Some(limit) = base["rules"][number][field].as_f64() else {
            continue;
        };
        let moved = value(&|p| p["rules"][number][field] = json!(limit + 0.01));
        assert!(
            ((moved - plan.value) / 0.01 - shadow.price).abs() < 1e-3,
            "{shadow:?}"
        );
    }
    assert!(value(&|p| p["rules"] = json!([])) >= plan.value);
    assert!(
        value(&|p| p["rules"][0]["max"] = json!(1.02 * p["rules"][0]["max"].as_f64().unwrap()))
            >= plan.value
    );
}

#[test]
fn units_and_labels_do_not_matter() {
    let base = ruled(4);
    let plan = planned(base.clone());
    let scale = |v: &Value| -> Value {
        json!(
            serde_json::from_value::<Vec<Vec<f64>>>(v.clone())
                .unwrap()
                .iter()
                .map(|r| r.iter().map(|v| v * 1000.0).collect())
                .collect::<Vec<Vec<f64>>>()
        )
    };
    let mut cents = base.clone();
    for name in ["k", "current", "lower", "upper"] {
        cents[name] = scale(&base[name]);
    }
    cents["B"] = json!(1000.0 * base["B"].as_f64().unwrap());
    for rule in cents["rules"].as_array_mut().unwrap() {
        for field in ["max", "min"] {
            if let Some(v) = rule.get(field).and_then(Value::as_f64) {
                rule[field] = json!(1000.0 * v);
            }
        }
    }
    let other = planned(cents);
    same(other.value, plan.value, 1e-10);
    for (x, y) in other.spend.concat().iter().zip(plan.spend.concat()) {
        same(*x, 1000.0 * y, 1e-7);
    }
    let mut mirrored = portfolio(4, 6, 4, (0.55, 1.0));
    let straight = planned(mirrored.clone());
    for name in ["beta", "a", "k", "current", "lower", "upper"] {
        mirrored[name].as_array_mut().unwrap().reverse();
    }
    let mut turned = planned(mirrored).spend;
    turned.reverse();
    for (x, y) in turned.concat().iter().zip(straight.spend.concat()) {
        same(*x, y, 1e-9);
    }
}

#[test]
fn s_curves_agree_with_complete_enumeration() {
    for seed in 0..12 {
        let mut p = portfolio(seed, 1, 3, (1.2, 3.5));
        p["lower"] = json!(0.0);
        let plan = planned(p.clone());
        let problem = problem(p);
        let (_, upper) = bounds(&problem).unwrap();
        let total = plan.total;
        let steps = 400;
        let mut best = f64::NEG_INFINITY;
        for i in 0..=steps {
            for j in 0..=steps {
                let x = upper[0] * f64::from(i) / f64::from(steps);
                let y = upper[1] * f64::from(j) / f64::from(steps);
                let z = total - x - y;
                if (0.0..=upper[2]).contains(&z) {
                    best = best.max(evaluate(&problem, &[x, y, z]).unwrap());
                }
            }
        }
        assert!(
            plan.value >= best * (1.0 - 1e-9),
            "{seed}: {} < {best}",
            plan.value
        );
        // The grid is coarse; the plan's own bound is tight.
        assert!(
            plan.value <= best * (1.0 + 5e-3),
            "{seed}: {} > {best}",
            plan.value
        );
        assert!(
            plan.certificate.relative_gap <= 1e-6,
            "{seed}: {:?}",
            plan.certificate
        );
        assert!(
            plan.certificate.residual() <= 1e-8,
            "{seed}: {:?}",
            plan.certificate
        );
    }
}

#[test]
fn s_curves_under_rules_come_with_a_bound() {
    for seed in 0..4 {
        let mut p = portfolio(seed, 5, 3, (0.8, 3.0));
        let current: Vec<Vec<f64>> = serde_json::from_value(p["current"].clone()).unwrap();
        let channel: f64 = current.iter().map(|row| row[0]).sum();
        p["rules"] = json!([
            {"rule": "channel_cap", "channel": 0, "max": 0.8 * channel},
            {"rule": "brand_floor", "brand": 2, "min": 1.1 * current[2].iter().sum::<f64>()},
        ]);
        let plan = planned(p);
        let own = &plan.certificate;
        assert!(own.feasibility <= 1e-9, "{own:?}");
        assert!(own.relative_gap <= 1e-4, "{own:?}");
    }
}

#[test]
fn least_use_is_nothing_or_enough() {
    // Concave cells of which only some can be used at all.
    let mut p = portfolio(5, 1, 6, (0.6, 1.0));
    p["lower"] = json!(0.0);
    let rules: Vec<Value> = (0..6)
        .map(|c| json!({"rule": "minimum_if_used", "brand": 0, "channel": c, "min": 90.0}))
        .collect();
    p["upper"] = json!(150.0);
    p["B"] = json!(300.0);
    p["rules"] = json!(rules);
    let plan = planned(p.clone());
    assert!(
        plan.certificate.relative_gap <= 1e-6,
        "{:?}",
        plan.certificate
    );
    for cell in &plan.cells {
        assert!(cell.spend < 1e-9 || cell.spend >= 90.0 - 1e-9, "{cell:?}");
    }
    // Every choice of used cells, each solved as a plain problem.
    let mut best = f64::NEG_INFINITY;
    for used in 1u32..64 {
        let bound = |value: f64| -> Vec<f64> {
            (0..6)
                .map(|c| if used >> c & 1 == 1 { value } else { 0.0 })
                .collect()
        };
        let mut plain = p.clone();
        plain["rules"] = json!([]);
        plain["lower"] = json!(bound(90.0));
        plain["upper"] = json!(bound(150.0));
        plain["current"] = Value::Null;
        if let Answer::Planned(plan) = solve(&problem(plain), &Settings::default(), &never).unwrap()
        {
            best = best.max(plan.value);
        }
    }
    same(plan.value, best, 1e-7);
}

#[test]
fn outcome_floors_and_cannibalisation_are_obeyed() {
    let mut p = portfolio(8, 3, 3, (0.6, 1.0));
    p["cross"] = json!([[0.0, 0.3, -0.2], [0.1, 0.0, 0.0], [0.0, 0.0, 0.0]]);
    let plain = planned(p.clone());
    let floor = 1.01 * plain.outcomes[1];
    p["rules"] = json!([{"rule": "outcome_floor", "brands": [1], "min": floor}]);
    let plan = planned(p.clone());
    assert!(plan.value < plain.value);
    same(plan.outcomes[1], floor, 1e-8);
    assert!(
        plan.certificate.residual() <= 1e-8,
        "{:?}",
        plan.certificate
    );
    assert!(
        plan.certificate.relative_gap <= 1e-9,
        "{:?}",
        plan.certificate
    );
    p["rules"][0]["min"] = json!(100.0 * floor);
    let answer = solve(&problem(p), &Settings::default(), &never).unwrap();
    let conflict = answer.conflict().expect("no plan reaches that");
    assert!(
        conflict
            .members
            .iter()
            .any(|m| m.what.starts_with("outcome of")),
        "{conflict:?}"
    );
}

#[test]
fn caps_below_the_total_are_named_with_the_smallest_relaxation() {
    let mut p = ruled(2);
    let current: Vec<Vec<f64>> = serde_json::from_value(p["current"].clone()).unwrap();
    let total = p["B"].as_f64().unwrap();
    let mut rules: Vec<Value> = (0..4)
        .map(|c| {
            let now: f64 = current.iter().map(|row| row[c]).sum();
            json!({"rule": "channel_cap", "channel": c, "max": 0.97 * now})
        })
        .collect();
    rules.push(json!({"rule": "brand_floor", "brand": 2, "min": current[2].iter().sum::<f64>()}));
    p["rules"] = json!(rules);
    let answer = solve(&problem(p), &Settings::default(), &never).unwrap();
    let conflict = answer
        .conflict()
        .expect("the caps sum to less than the total");
    let members: Vec<Option<usize>> = conflict.members.iter().map(|m| m.number).collect();
    assert_eq!(members, [None, Some(0), Some(1), Some(2), Some(3)]);
    assert!(conflict.minimal);
    same(conflict.least_change, 0.03 * total, 1e-6);
    same(conflict.relaxation[0].to, 0.97 * total, 1e-6);
    assert_eq!(conflict.alternatives.len(), 5);
    assert!(conflict.to_string().contains("cap of channel 3"));
}

#[test]
fn weekly_conflicts_and_rules_are_explained() {
    let mut p = weekly_of_a6(json!({"kind": "baseline"}));
    p["current"] = json!([10.0, 10.0, 10.0]);
    p["rules"] = json!([
        {"rule": "week_cap", "week": 11, "max": 35.0},
        {"rule": "channel_floor", "channel": 2, "min": 100.0},
    ]);
    let plan = planned(p.clone());
    let last: f64 = plan.cells.iter().map(|c| c.weekly[11]).sum();
    assert!(last <= 35.0 + 1e-9 && plan.cells[2].spend >= 100.0 - 1e-9);
    let again = verify(&problem(p.clone()), &plan).unwrap();
    assert!(
        again.residual() <= 1e-8 && again.relative_gap <= 1e-9,
        "{again:?}"
    );
    p["upper"] = json!(9.0);
    let answer = solve(&problem(p), &Settings::default(), &never).unwrap();
    let conflict = answer.conflict().expect("36 times 9 is less than 360");
    same(conflict.least_change, 36.0, 1e-6);
    assert_eq!(conflict.members[0].what, "total");
}

#[test]
fn weekly_s_curves_have_an_honest_gap() {
    let mut p = weekly_of_a6(json!({"kind": "nothing"}));
    p["family"] = json!("hill");
    p["a"] = json!(2.0);
    let plan = planned(p.clone());
    let own = &plan.certificate;
    // 6.05 %: the envelopes' bound before any branching, which weekly plans do not have.
    assert!(
        own.feasibility <= 1e-9 && own.relative_gap <= 0.061,
        "{own:?}"
    );
    let problem = problem(p);
    assert!(plan.value > evaluate(&problem, &[10.0; 36]).unwrap());
    assert!(own.bound > evaluate(&problem, &[10.0; 36]).unwrap());
}

#[test]
fn edits_equal_a_fresh_solution() {
    let base = ruled(6);
    let (mut session, first) =
        Session::open(&problem(base.clone()), &Settings::default(), &never).unwrap();
    let locked = first.plan().unwrap().spend[0][0];
    let ask = |session: &mut Session, edit: Value| {
        let edit: Edit = serde_json::from_value(edit).unwrap();
        session.edit(&edit, &never).unwrap()
    };
    ask(
        &mut session,
        json!({"edit": "lock", "brand": 0, "channel": 0}),
    );
    ask(
        &mut session,
        json!({"edit": "set", "brand": 1, "channel": 1, "spend": 33.0}),
    );
    let b = base["B"].as_f64().unwrap();
    ask(&mut session, json!({"edit": "total", "amount": b + 5.0}));
    let rule = json!({"rule": "channel_floor", "channel": 3, "min": 200.0});
    let last = ask(&mut session, json!({"edit": "add", "rule": rule.clone()}));
    let mut same_by_hand = base.clone();
    same_by_hand["B"] = json!(b + 5.0);
    let rules = same_by_hand["rules"].as_array_mut().unwrap();
    rules.push(rule);
    rules.push(json!({"rule": "fixed", "brand": 0, "channel": 0, "amount": locked}));
    rules.push(json!({"rule": "fixed", "brand": 1, "channel": 1, "amount": 33.0}));
    let fresh = planned(same_by_hand);
    let last = last.plan().unwrap();
    same(last.value, fresh.value, 1e-11);
    assert!(
        last.certificate.residual() <= 1e-9,
        "{:?}",
        last.certificate
    );
    // An impossible edit is explained and leaves the session as it was.
    let refused = ask(&mut session, json!({"edit": "total", "amount": 1.0}));
    assert!(refused.conflict().is_some());
    let after = ask(
        &mut session,
        json!({"edit": "unlock", "brand": 0, "channel": 0}),
    );
    assert!(after.plan().unwrap().value >= last.value);
}

#[test]
fn the_next_unit_earns_the_price_of_the_total() {
    let p = problem(ruled(7));
    let plan = planned(ruled(7));
    let next = next_unit(&p, &plan, 1.0, &Settings::default(), &never).unwrap();
    same(next.per_unit, plan.certificate.price_of_total(), 1e-2);
    same(next.change.iter().flatten().sum(), 1.0, 1e-6);
    assert!(next.ranking.windows(2).all(|w| w[0].2 >= w[1].2));
}

#[test]
fn answers_survive_json() {
    for value in [ruled(9), weekly_of_a6(json!({"kind": "nothing"}))] {
        let p = problem(value);
        assert_eq!(
            serde_json::from_str::<Problem>(&serde_json::to_string(&p).unwrap()).unwrap(),
            p
        );
        let answer = solve(&p, &Settings::default(), &never).unwrap();
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
    }
    let typo = json!({"beta": [1.0], "k": 1.0, "B": 1.0, "uper": [2.0]});
    assert!(serde_json::from_value::<Problem>(typo).is_err());
}

#[test]
fn problems_that_make_no_sense_are_refused_in_words() {
    let cases = [
        (json!({"beta": [], "k": 1.0, "B": 1.0}), "no cells"),
        (json!({"beta": [1.0, 2.0], "k": [1.0], "B": 1.0}), "rows"),
        (
            json!({"beta": [[1.0], [1.0, 2.0]], "k": 1.0, "B": 1.0}),
            "rows",
        ),
        (
            json!({"beta": [1.0], "k": 0.0, "B": 1.0}),
            "0 is not possible for k",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": -1.0}),
            "-1 is not possible for B",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "lower": 3.0, "upper": 2.0}),
            "more than the most",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": {"min": 2.0, "max": 1.0}}),
            "the total",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "rules": [{"rule": "brand_cap", "brand": 1, "max": 1.0}]}),
            "no brand 1",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "rules": [{"rule": "brand_change", "brand": 0, "max_relative": 0.1}]}),
            "current",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "weeks": {"count": 0, "lags": 1, "alpha": 0.0}}),
            "no weeks",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "weeks": {"count": 2, "lags": 2, "alpha": 1.0}}),
            "alpha",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "scenarios": {"scale": [], "objective": {"kind": "regret"}}}),
            "no scenarios",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "scenarios": {"scale": [[1.0, 1.0]], "objective": {"kind": "regret"}}}),
            "scale has to have 1 rows of 1",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "cross": [[1.0, 2.0]]}),
            "cross has to have 1 rows of 1",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "value": [1.0, 2.0]}),
            "value has 2 entries where 1 are needed",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "weeks": {"count": 2, "lags": 3, "alpha": 0.5, "carry_in": [[[1.0]]]}}),
            "carry_in has 1 entries where 2",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "weeks": {"count": 2, "lags": 1, "alpha": 0.5, "season": [1.0, 1.0, 1.0]}}),
            "season has 3 entries where 2",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "weeks": {"count": 1, "lags": 1, "alpha": 0.5},
                "rules": [{"rule": "minimum_if_used", "brand": 0, "channel": 0, "min": 1.0}]}),
            "least use is not defined for weekly",
        ),
        (
            json!({"beta": [1.0], "k": 1.0, "B": 1.0, "brands": ["a", "b"]}),
            "2 names",
        ),
    ];
    for (value, words) in cases {
        let error = solve(&problem(value.clone()), &Settings::default(), &never).unwrap_err();
        assert!(error.to_string().contains(words), "{value}: {error}");
    }
    let mut p = problem(json!({"beta": [1.0], "k": 1.0, "B": 1.0}));
    p.beta = Grid::Channels(vec![f64::NAN]);
    let error = solve(&p, &Settings::default(), &never).unwrap_err();
    assert!(error.to_string().contains("NaN is not possible for beta"));
}

#[test]
fn small_and_flat_problems_have_sound_answers() {
    let one = planned(json!({"beta": [5.0], "k": 1.0, "B": 3.0}));
    same(one.spend[0][0], 3.0, 1e-12);
    let nothing = planned(json!({"beta": [5.0, 6.0], "k": 1.0, "B": 0.0}));
    assert_eq!(nothing.total, 0.0);
    let fixed = planned(
        json!({"beta": [5.0, 6.0], "k": 1.0, "B": 3.0, "lower": [1.0, 2.0], "upper": [1.0, 2.0]}),
    );
    assert_eq!(fixed.spend[0], [1.0, 2.0]);
    // No response at all: any split is optimal.
    let flat = planned(json!({"beta": [0.0, 0.0], "k": 1.0, "B": 3.0}));
    same(flat.total, 3.0, 1e-12);
    assert_eq!((flat.value, flat.certificate.gap), (0.0, 0.0));
    // Straight lines: all in the steepest.
    let lines = planned(
        json!({"family": "power", "a": 1.0, "beta": [1.0, 3.0, 3.0], "k": 1.0, "B": 5.0, "upper": [5.0, 2.0, 2.0]}),
    );
    same(lines.value, 13.0, 1e-12);
    // Identical cells share.
    let alike = planned(json!({"beta": [4.0, 4.0, 4.0, 4.0], "k": 10.0, "B": 20.0}));
    alike.spend[0].iter().for_each(|x| same(*x, 5.0, 1e-9));
    // A total that need not be spent is not spent where more does harm.
    let harm = planned(json!({
        "beta": [[4.0], [4.0]], "k": 10.0, "cross": [[0.0, -2.0], [0.0, 0.0]], "B": {"min": 0.0, "max": 20.0}, "upper": 12.0,
    }));
    same(harm.spend[0][0], 12.0, 1e-9);
    assert!(harm.spend[1][0].abs() < 1e-9);
    // Forced to spend, harm goes last.
    let forced = planned(json!({
        "beta": [[4.0], [4.0]], "k": 10.0, "cross": [[0.0, -2.0], [0.0, 0.0]], "B": 20.0, "upper": 12.0,
    }));
    same(forced.spend[1][0], 8.0, 1e-9);
    assert!(forced.certificate.price_of_total() < 0.0);
}

#[test]
fn a_caller_can_stop() {
    for value in [
        ruled(1),
        portfolio(1, 6, 4, (0.55, 1.0)),
        weekly_of_a6(json!({"kind": "nothing"})),
        uncertain(json!({"kind": "regret"})),
    ] {
        let p = problem(value);
        let asked = std::cell::Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() > 2
        };
        assert_eq!(
            solve(&p, &Settings::default(), &stop).unwrap_err(),
            AllocationError::Cancelled(Cancelled)
        );
        assert_eq!(asked.get(), 3);
    }
}

#[test]
fn solving_the_same_problem_again_gives_the_same_bits() {
    for value in [
        ruled(1),
        portfolio(1, 5, 3, (0.8, 3.0)),
        weekly_of_a6(json!({"kind": "nothing"})),
        uncertain(json!({"kind": "mean_cvar", "weight": 0.5, "level": 0.9})),
    ] {
        let p = problem(value);
        let once = solve(&p, &Settings::default(), &never).unwrap();
        let again = solve(&p, &Settings::default(), &never).unwrap();
        assert_eq!(once, again);
    }
}

#[test]
fn uncertain_plans_obey_rules_and_explain_conflicts() {
    let mut value = ruled(11);
    let mut random = crate::rng::stream(11, &[1]);
    let scale: Vec<Vec<f64>> = (0..50)
        .map(|_| {
            (0..24)
                .map(|_| (0.3 * crate::rng::normal(&mut random)).exp())
                .collect()
        })
        .collect();
    for objective in [
        json!({"kind": "mean_cvar", "weight": 0.6, "level": 0.8}),
        json!({"kind": "mean_variance", "aversion": 0.001}),
        json!({"kind": "regret"}),
    ] {
        value["scenarios"] = json!({"scale": scale, "objective": objective});
        let plan = planned(value.clone());
        let own = &plan.certificate;
        assert!(
            own.residual() <= 1e-8 && own.relative_gap <= 1e-8,
            "{own:?}"
        );
        assert!(own.shadow_prices.len() > 1, "{own:?}");
        let risk = plan.risk.as_ref().unwrap();
        assert!(risk.worst <= risk.cvar && risk.cvar <= risk.mean);
    }
    value["rules"][1]["min"] = json!(1e6);
    let answer = solve(&problem(value), &Settings::default(), &never).unwrap();
    assert!(answer.conflict().is_some());
    // S-shaped draws: the plan is that of the envelopes and says so.
    let mut bent = portfolio(12, 2, 3, (1.5, 3.0));
    bent["scenarios"] = json!({"scale": vec![vec![1.0; 6], vec![1.2; 6]], "objective": {"kind": "mean_cvar", "weight": 0.5, "level": 0.5}});
    let plan = planned(bent);
    assert!(plan.certificate.notes[0].contains("envelopes"));
    assert!(plan.certificate.bound >= plan.value);
}

#[test]
fn spends_too_small_to_see_are_still_priced() {
    // Curves that start infinitely steep, but so small that their best spend is a rounding error of the total.
    let plan = planned(json!({
        "family": [["power", "hill", "michaelis_menten", "michaelis_menten"]],
        "beta": [[0.03, 0.02, 300.0, 200.0]], "a": [[0.9, 0.95, 1.0, 1.0]], "k": [[1.0, 1.0, 40.0, 60.0]],
        "B": 120.0, "rules": [{"rule": "channel_cap", "channel": 2, "max": 50.0}],
    }));
    let own = &plan.certificate;
    assert!(
        plan.spend[0][0] > 0.0 && plan.spend[0][0] < 1e-5,
        "{:?}",
        plan.spend
    );
    assert!(
        own.residual() <= 1e-8 && own.relative_gap <= 1e-10,
        "{own:?}"
    );
}

#[test]
fn rules_that_leave_one_plan_find_it() {
    let plan = planned(json!({
        "beta": [[10.0, 20.0], [30.0, 40.0]], "k": 20.0, "B": 40.0, "upper": 30.0,
        "rules": [
            {"rule": "channel_cap", "channel": 0, "max": 15.0}, {"rule": "channel_cap", "channel": 1, "max": 25.0},
            {"rule": "brand_cap", "brand": 0, "max": 18.0}, {"rule": "brand_floor", "brand": 1, "min": 22.0},
        ],
    }));
    same(plan.total, 40.0, 1e-8);
    assert!(
        plan.certificate.feasibility <= 1e-8,
        "{:?}",
        plan.certificate
    );
    assert!(
        plan.certificate.relative_gap <= 1e-6,
        "{:?}",
        plan.certificate
    );
}

/// A plan whose JSON can be read back: numbers that are not finite become null there, which is no number.
fn planned_and_read_back(value: Value) -> Plan {
    let plan = planned(value);
    let text = serde_json::to_string(&plan).unwrap();
    let back: Plan = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(back, plan);
    for cell in &plan.cells {
        assert!(
            cell.marginal.is_finite() && cell.price.is_finite(),
            "{cell:?}"
        );
    }
    assert!(plan.certificate.residual().is_finite());
    assert!(plan.certificate.bound.is_finite());
    plan
}

#[test]
fn plans_are_finite_where_curves_start_infinitely_steep() {
    let flat = planned_and_read_back(json!({"beta": [0.0, 5.0], "a": 0.8, "k": 1.0, "B": 3.0}));
    assert_eq!(flat.cells[0].marginal, 0.0);
    assert!(
        flat.certificate.residual() <= 1e-8,
        "{:?}",
        flat.certificate
    );
    let least = json!({
        "beta": [[5, 100]], "a": 0.8, "k": 10, "B": 20,
        "rules": [{"rule": "minimum_if_used", "brand": 0, "channel": 0, "min": 15}],
    });
    let unused = planned_and_read_back(least.clone());
    assert_eq!(unused.spend[0][0], 0.0);
    // What a unit costs is the price of the total, used or not.
    same(
        unused.cells[0].price,
        unused.certificate.price_of_total(),
        1e-12,
    );
    let next = next_unit(&problem(least), &unused, 1.0, &Settings::default(), &never).unwrap();
    assert!(next.ranking.iter().all(|(_, _, worth)| worth.is_finite()));
    let harm = planned_and_read_back(json!({
        "beta": [[4.0], [4.0]], "a": 0.8, "k": 10.0, "cross": [[0.0, -2.0], [0.0, 0.0]], "B": {"min": 0.0, "max": 20.0},
        "upper": 12.0,
    }));
    assert_eq!(harm.spend[1][0], 0.0);
    assert!(harm.cells[1].marginal < 0.0);
    let off = json!([{"rule": "fixed", "brand": 0, "channel": 0, "amount": 0.0}]);
    planned_and_read_back(json!({
        "beta": [5.0, 6.0], "a": 0.8, "k": 1.0, "B": 6.0, "rules": off,
        "weeks": {"count": 3, "lags": 2, "alpha": 0.5, "terminal": {"kind": "nothing"}},
    }));
    planned_and_read_back(json!({
        "beta": [5.0, 6.0], "a": 0.8, "k": 1.0, "B": 6.0, "rules": off,
        "scenarios": {"scale": [[1.0, 1.0], [-1.0, 2.0]], "objective": {"kind": "mean_cvar", "weight": 0.5, "level": 0.5}},
    }));
    // A plan that leaves steep weeks unused is far from the optimum, but its bound is finite and holds.
    let weekly = json!({
        "beta": [5.0, 6.0], "a": 0.8, "k": 1.0, "B": 6.0,
        "weeks": {"count": 3, "lags": 2, "alpha": 0.5, "terminal": {"kind": "nothing"}},
    });
    let best = planned(weekly.clone());
    let mut other = best.clone();
    other.cells[0].weekly = vec![0.0; 3];
    other.cells[1].weekly = vec![2.0; 3];
    let checked = verify(&problem(weekly), &other).unwrap();
    assert!(checked.bound.is_finite() && checked.bound >= best.value);
    assert!(checked.stationarity > 1e-3 && checked.stationarity.is_finite());
}

#[test]
fn a_price_on_a_side_without_a_limit_proves_nothing_and_breaks_nothing() {
    let value = json!({
        "beta": [10.0, 20.0], "k": 20.0, "B": 40.0, "rules": [{"rule": "channel_floor", "channel": 0, "min": 1.0}],
    });
    let mut plan = planned(value.clone());
    plan.certificate.prices[1] = 1e-17;
    let again = verify(&problem(value), &plan).unwrap();
    assert!(again.relative_gap <= 1e-9, "{again:?}");
    assert_eq!(again.prices[1], 0.0);
}

#[test]
fn a_spend_below_the_least_use_is_a_violation() {
    let value = json!({
        "beta": [[50, 100]], "k": 10, "B": 40, "upper": 30,
        "rules": [{"rule": "minimum_if_used", "brand": 0, "channel": 0, "min": 15}],
    });
    let mut plan = planned(value.clone());
    assert_eq!(
        verify(&problem(value.clone()), &plan).unwrap().feasibility,
        0.0
    );
    plan.spend = vec![vec![12.0, 28.0]];
    let checked = verify(&problem(value.clone()), &plan).unwrap();
    same(checked.feasibility, 3.0 / 30.0, 1e-12);
    let judge = Judge::new(&problem(value)).unwrap();
    same(judge.violation(&[12.0, 28.0]), 3.0 / 30.0, 1e-12);
    assert_eq!(judge.violation(&[15.0, 25.0]), 0.0);
    let mut spend = [5.0, 28.0];
    judge.repair(&mut spend);
    assert_eq!(spend, [0.0, 28.0]);
}

#[test]
fn least_uses_that_contradict_the_total_are_named_and_relaxed() {
    let rules = json!([
        {"rule": "minimum_if_used", "brand": 0, "channel": 0, "min": 10.0},
        {"rule": "minimum_if_used", "brand": 0, "channel": 1, "min": 10.0},
    ]);
    // With an upper bound that leaves room, and with the total as the only one, which leaves none.
    for upper in [json!(30.0), Value::Null] {
        let mut value =
            json!({"beta": [10.0, 20.0], "a": 2.0, "k": 20.0, "B": 5.0, "rules": rules});
        if !upper.is_null() {
            value["upper"] = upper;
        }
        let answer = solve(&problem(value.clone()), &Settings::default(), &never).unwrap();
        let conflict = answer.conflict().expect("5 is neither 0 nor 10 nor more");
        let members: Vec<(&str, Option<usize>)> = conflict
            .members
            .iter()
            .map(|m| (m.what.as_str(), m.number))
            .collect();
        assert_eq!(
            members,
            [
                ("total", None),
                ("least use of brand 0 × channel 0", Some(0)),
                ("least use of brand 0 × channel 1", Some(1)),
            ],
            "{conflict:?}"
        );
        assert!(conflict.minimal);
        same(conflict.least_change, 5.0, 1e-6);
        // What the relaxation says does indeed do.
        let relaxed = &conflict.relaxation[0];
        let number = relaxed.number.expect("a rule changes least of itself");
        value["rules"][number]["min"] = json!(relaxed.to);
        planned(value);
    }
}

#[test]
fn least_uses_can_contradict_bounds_and_other_rules() {
    // Each of two is nothing or 20 to 30, so together never 35; a third may not help.
    let value = json!({
        "beta": [10.0, 20.0, 30.0], "k": 20.0, "B": 40.0, "upper": 30.0,
        "rules": [
            {"rule": "minimum_if_used", "brand": 0, "channel": 0, "min": 20.0},
            {"rule": "minimum_if_used", "brand": 0, "channel": 1, "min": 20.0},
            {"rule": "channel_cap", "channel": 2, "max": 5.0},
            {"rule": "group_cap", "channels": [0, 1], "max": 38.0},
            {"rule": "group_cap", "channels": [0, 2], "max": 1000.0},
        ],
    });
    let answer = solve(&problem(value.clone()), &Settings::default(), &never).unwrap();
    let conflict = answer.conflict().expect("30 and 5 are less than 40");
    let numbers: Vec<Option<usize>> = conflict.members.iter().map(|m| m.number).collect();
    assert!(
        numbers.contains(&Some(2)) && numbers.contains(&Some(3)) && !numbers.contains(&Some(4)),
        "{conflict:?}"
    );
    assert!(conflict.minimal, "{conflict:?}");
    let mut eased = value.clone();
    let first = &conflict.relaxation[0];
    match first.number {
        None => eased["B"] = json!(first.to),
        Some(n @ 0..2) => eased["rules"][n]["min"] = json!(first.to),
        Some(n) => eased["rules"][n]["max"] = json!(first.to),
    }
    planned(eased);
}

#[test]
fn outcome_floors_count_what_harms_other_brands_in_full() {
    let value = json!({
        "family": "michaelis_menten", "beta": [[100], [100]], "k": 10, "cross": [[0, -2], [0, 0]],
        "B": {"min": 0, "max": 12}, "upper": 1000, "rules": [{"rule": "outcome_floor", "brands": [1], "min": 50}],
    });
    let plan = planned(value.clone());
    same(plan.spend[1][0], 10.0, 1e-6);
    same(plan.value, 100.0 * 2.0 / 12.0 - 50.0, 1e-6);
    assert!(
        plan.certificate.relative_gap <= 1e-6,
        "{:?}",
        plan.certificate
    );
    let mut more = value;
    more["rules"][0]["min"] = json!(60.0);
    let answer = solve(&problem(more), &Settings::default(), &never).unwrap();
    let conflict = answer.conflict().expect("12 of money make 54.5 at most");
    assert_eq!(conflict.members.len(), 2, "{conflict:?}");
}

#[test]
fn outcome_floors_on_a_harmed_brand_agree_with_enumeration() {
    for exponent in [1.0, 2.0] {
        let value = json!({
            "beta": [[100], [100]], "a": exponent, "k": 10, "cross": [[0, 0], [-0.5, 0]], "B": 30,
            "rules": [{"rule": "outcome_floor", "brands": [1], "min": 40}],
        });
        let plan = planned(value.clone());
        assert!(plan.outcomes[1] >= 40.0 * (1.0 - 1e-8), "{plan:?}");
        let f = |x: f64| 100.0 / (1.0 + (10.0 / x.max(1e-300)).powf(exponent));
        let best = (0..=30_000)
            .map(|i| f64::from(i) / 1000.0)
            .filter(|x| f(30.0 - x) - 0.5 * f(*x) >= 40.0)
            .map(|x| 0.5 * f(x) + f(30.0 - x))
            .fold(f64::NEG_INFINITY, f64::max);
        assert!(
            plan.value >= best - 1e-9 && plan.value <= best + 1e-2,
            "{} {best}",
            plan.value
        );
        assert!(plan.certificate.bound >= best);
        assert!(
            plan.certificate.relative_gap <= 1e-5,
            "{:?}",
            plan.certificate
        );
    }
}

#[test]
fn weekly_outcome_floors_count_what_harms_other_brands_in_full() {
    let mut value = json!({
        "family": "michaelis_menten", "beta": [[100], [100]], "k": 10, "cross": [[0, -2], [0, 0]],
        "B": {"min": 0, "max": 36}, "upper": 1000, "rules": [{"rule": "outcome_floor", "brands": [1], "min": 150}],
        "weeks": {"count": 3, "lags": 1, "alpha": 0.0},
    });
    let plan = planned(value.clone());
    let own = &plan.certificate;
    assert!(own.feasibility <= 1e-8, "{own:?}");
    // Three weeks of the plan without carry-over.
    same(plan.value, 3.0 * (100.0 * 2.0 / 12.0 - 50.0), 1e-5);
    assert!(own.bound >= plan.value);
    value["rules"][0]["min"] = json!(180.0);
    let answer = solve(&problem(value), &Settings::default(), &never).unwrap();
    assert!(answer.conflict().is_some());
}

#[test]
fn a_larger_total_widens_the_bounds_that_follow_it() {
    let (mut session, _) = Session::open(
        &problem(json!({"beta": [5], "k": 1, "B": 3})),
        &Settings::default(),
        &never,
    )
    .unwrap();
    let answer = session.edit(&Edit::Total { amount: 5.0 }, &never).unwrap();
    same(
        answer.plan().expect("all goes there").spend[0][0],
        5.0,
        1e-12,
    );
    // Locks stay, and what contradicts them is explained with the total of now.
    let (mut session, _) = Session::open(
        &problem(json!({"beta": [5, 6], "k": 1, "B": 3})),
        &Settings::default(),
        &never,
    )
    .unwrap();
    let lock = Edit::Set {
        brand: 0,
        channel: 0,
        spend: 2.0,
    };
    session.edit(&lock, &never).unwrap();
    let answer = session.edit(&Edit::Total { amount: 9.0 }, &never).unwrap();
    assert_eq!(answer.plan().expect("7 are left").spend[0][0], 2.0);
    let answer = session.edit(&Edit::Total { amount: 1.0 }, &never).unwrap();
    let conflict = answer.conflict().expect("2 are locked");
    assert_eq!(conflict.members[0].limit, 1.0);
    same(conflict.relaxation[0].to, 2.0, 1e-6);
    // Refused, it leaves the total of before.
    same(session.plan().unwrap().total, 9.0, 1e-12);
}

#[test]
fn a_fixed_amount_outside_the_limits_is_refused_in_either_order() {
    let change = json!({"rule": "cell_change", "brand": 0, "channel": 0, "max_relative": 0.1});
    let fixed = json!({"rule": "fixed", "brand": 0, "channel": 0, "amount": 150.0});
    for (rules, number) in [(json!([change, fixed]), 1), (json!([fixed, change]), 0)] {
        let value =
            json!({"beta": [5.0, 5.0], "k": 50.0, "current": 100.0, "B": 300.0, "rules": rules});
        let error = solve(&problem(value), &Settings::default(), &never).unwrap_err();
        assert!(
            matches!(&error, AllocationError::Rule { number: n, why } if *n == number && why.contains("150")),
            "{error}"
        );
    }
    let above =
        json!({"beta": [5.0, 5.0], "k": 50.0, "upper": 100.0, "B": 200.0, "rules": [fixed]});
    let error = solve(&problem(above), &Settings::default(), &never).unwrap_err();
    assert!(error.to_string().contains("rule 0: 150"), "{error}");
    let mut hole = json!({"beta": [5.0, 5.0], "k": 50.0, "B": 200.0, "rules": [fixed]});
    hole["rules"]
        .as_array_mut()
        .unwrap()
        .push(json!({"rule": "minimum_if_used", "brand": 0, "channel": 0, "min": 160.0}));
    let error = solve(&problem(hole), &Settings::default(), &never).unwrap_err();
    assert!(error.to_string().contains("0 or 160"), "{error}");
}

#[test]
fn nothing_to_place_and_lists_of_the_wrong_length_are_refused() {
    let p = problem(ruled(7));
    let plan = planned(ruled(7));
    for amount in [0.0, -1.0, f64::NAN] {
        let error = next_unit(&p, &plan, amount, &Settings::default(), &never).unwrap_err();
        assert!(error.to_string().contains("the amount to place"), "{error}");
    }
    let error = evaluate(&p, &[1.0]).unwrap_err();
    assert_eq!(error.to_string(), "spend has 1 entries where 24 are needed");
    let mut short = plan.clone();
    short.certificate.prices.pop();
    let error = verify(&p, &short).unwrap_err();
    assert!(error.to_string().contains("prices has"), "{error}");
    let (mut session, _) = Session::open(&p, &Settings::default(), &never).unwrap();
    let nowhere = Edit::Unlock {
        brand: 9,
        channel: 0,
    };
    assert_eq!(
        session.edit(&nowhere, &never).unwrap_err(),
        AllocationError::NoCell {
            brand: 9,
            channel: 0
        }
    );
}

#[test]
fn many_brands_without_effects_on_each_other_need_no_table_of_effects() {
    let brands = 10_000;
    let rules: Vec<Value> = (0..brands)
        .map(|b| json!({"rule": "brand_cap", "brand": b, "max": 2.0}))
        .collect();
    let p =
        problem(json!({"beta": vec![[1.0, 2.0]; brands], "k": 1.0, "B": 100.0, "rules": rules}));
    let laid = p.lay().unwrap();
    assert!(laid.cross.is_none());
    let rows = rows::rows(&laid, &p.rules).unwrap();
    assert_eq!(
        rows[brands].row.terms,
        [(2 * brands - 2, 1.0), (2 * brands - 1, 1.0)]
    );
}

#[test]
fn a_group_counts_every_member_once_whatever_the_order() {
    let of = |brands: Value| {
        let p = problem(json!({
            "beta": [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], "k": 1.0, "B": 3.0, "cross": [[0.0, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
            "rules": [
                {"rule": "group_cap", "brands": brands, "channels": [1], "max": 2.0},
                {"rule": "outcome_floor", "brands": brands, "min": 0.1},
            ],
        }));
        let rows = rows::rows(&p.lay().unwrap(), &p.rules).unwrap();
        (rows[1].row.terms.clone(), rows[2].row.outcome.clone())
    };
    let (terms, outcome) = of(json!([2, 0, 2]));
    assert_eq!(terms, [(1, 1.0), (5, 1.0)]);
    assert_eq!(
        outcome,
        [(0, 1.0), (1, 1.0), (2, 0.5), (3, 0.5), (4, 1.0), (5, 1.0)]
    );
    assert_eq!(of(json!([0, 2])), (terms, outcome));
}
