//! Allocation: known answers, portfolios of all sizes, weeks, what-if questions, risk.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use analytics::{
    allocation::{
        AllocationError, Answer, Edit, Plan, Problem, Session, Settings, evaluate, next_unit,
        solve, verify,
    },
    cancel::never,
    rng,
    score::{self, MetricColumn},
};
use rand::Rng;
use serde_json::{Value, json};

use super::{
    figures::{median, pairs, worst},
    reference::{python, repository},
    report::{Bar, Source, Table},
};

pub(crate) fn measure(table: &mut Table) {
    oracles(table);
    thirty_by_six(table);
    s_curves(table);
    large(table);
    weeks(table);
    what_if(table);
    risk(table);
    conduct(table);
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("it can be read")).expect("json")
}

fn problem(value: Value) -> Problem {
    serde_json::from_value(value).expect("a problem")
}

fn planned(problem: &Problem) -> Plan {
    match solve(problem, &Settings::default(), &never).expect("it is solved") {
        Answer::Planned(plan) => *plan,
        Answer::Infeasible(conflict) => panic!("{conflict}"),
    }
}

/// Median wall time in milliseconds of at least five runs, and the last result.
fn timed<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let started = Instant::now();
    let mut times = Vec::new();
    loop {
        let one = Instant::now();
        let result = run();
        times.push(one.elapsed().as_secs_f64() * 1e3);
        if times.len() >= 5 && started.elapsed() > Duration::from_secs(1) {
            return (median(times), result);
        }
    }
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().expect("a number")],
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn off(ours: f64, theirs: f64) -> f64 {
    (ours - theirs).abs() / theirs.abs()
}

/// Errors against the known answers.
#[derive(Default)]
struct Errors {
    multiplier: Vec<f64>,
    spend: Vec<f64>,
    residual: Vec<f64>,
    other_plans: Vec<f64>,
}

impl Errors {
    fn plan(
        &mut self,
        table: &mut Table,
        name: &str,
        plan: &Plan,
        value: f64,
        x: &Value,
        scale: f64,
    ) {
        table.row(
            &format!("{name}: value, relative error"),
            off(plan.value, value),
            None,
            Bar::AtMost(1e-8),
            "",
        );
        let ours: Vec<f64> = plan
            .cells
            .iter()
            .flat_map(|c| {
                if c.weekly.is_empty() {
                    vec![c.spend]
                } else {
                    c.weekly.clone()
                }
            })
            .collect();
        self.spend
            .extend(pairs(&ours, &flat(x)).map(|(x, y)| (x - y).abs() / scale));
        self.residual.push(plan.certificate.residual());
    }

    fn multiplier(&mut self, ours: f64, theirs: &Value) {
        self.multiplier.push(off(ours, number(theirs)));
    }

    fn other(&mut self, problem: &Problem, x: &[f64], value: &Value) {
        let ours = evaluate(problem, x).expect("it has a value");
        self.other_plans.push(off(ours, number(value)));
    }
}

fn oracles(table: &mut Table) {
    let all = read(&repository("analytics/testdata/oracles.json"));
    let mut errors = Errors::default();

    let o = &all["A1_sqrt_analytic"];
    let plan = planned(&problem(
        json!({"family": "root", "beta": o["k"], "k": 1.0, "B": o["B"]}),
    ));
    errors.plan(
        table,
        "A1 square roots",
        &plan,
        number(&o["value"]),
        &o["x"],
        100.0,
    );
    errors.multiplier(plan.certificate.price_of_total(), &o["lambda"]);

    let base = &all["A2_michaelis_menten_free"];
    for (key, name) in [
        ("A2_michaelis_menten_free", "A2 Michaelis–Menten"),
        ("A3_michaelis_menten_bounds", "A3 the same with bounds"),
    ] {
        let o = &all[key];
        let plan = planned(&problem(json!({
            "family": "michaelis_menten", "beta": base["beta"], "k": base["kappa"], "B": o["B"],
            "lower": o["lower"], "upper": o["upper"],
        })));
        errors.plan(table, name, &plan, number(&o["value"]), &o["x"], 150.0);
        errors.multiplier(plan.certificate.price_of_total(), &o["lambda"]);
        for (cell, marginal) in pairs(&plan.cells, o["marginals"].as_array().expect("a list")) {
            errors.multiplier(cell.marginal, marginal);
        }
    }
    let o = &all["A3b_infeasible"];
    let answer = solve(
        &problem(json!({
            "family": "michaelis_menten", "beta": base["beta"], "k": base["kappa"], "B": o["B"], "lower": o["lower"],
        })),
        &Settings::default(),
        &never,
    )
    .expect("it is explained");
    let members = answer
        .conflict()
        .map_or(0, |c| if c.minimal { c.members.len() } else { 0 });
    table.row(
        "A3b lower bounds above the total: members of the minimal conflict",
        members as f64,
        None,
        Bar::Within(6.0, 6.0),
        &answer
            .conflict()
            .map(ToString::to_string)
            .unwrap_or_default(),
    );

    let o = &all["A4_brand_x_channel_groups"];
    let current: Vec<Vec<f64>> = serde_json::from_value(o["current"].clone()).expect("a table");
    let times = |by: f64| -> Vec<Vec<f64>> {
        current
            .iter()
            .map(|r| r.iter().map(|v| v * by).collect())
            .collect()
    };
    let brand = |b: usize| current[b].iter().sum::<f64>();
    let p = problem(json!({
        "family": "michaelis_menten", "beta": o["beta"], "k": o["kappa"], "B": o["total"], "current": current,
        "lower": times(0.7), "upper": times(1.3),
        "rules": [
            {"rule": "channel_cap", "channel": 0, "max": 0.95 * current.iter().map(|r| r[0]).sum::<f64>()},
            {"rule": "brand_floor", "brand": 1, "min": 1.10 * brand(1)},
            {"rule": "brand_cap", "brand": 0, "max": 1.05 * brand(0)},
        ],
    }));
    let plan = planned(&p);
    errors.plan(
        table,
        "A4 group rules",
        &plan,
        number(&o["value"]),
        &o["x"],
        45.0,
    );
    for (price, name) in pairs(
        &plan.certificate.prices,
        &["budget", "channel0_cap", "brand1_floor", "brand0_cap"],
    ) {
        errors.multiplier(price.abs(), &o["shadow_prices"][name]);
    }
    errors.other(&p, &current.concat(), &o["value_current"]);

    let o = &all["A5_scurve_global"];
    let p = problem(json!({"beta": o["beta"], "a": o["a"], "k": o["kappa"], "B": o["B"]}));
    let plan = planned(&p);
    errors.plan(
        table,
        "A5 S-curves",
        &plan,
        number(&o["value_polished"]),
        &o["x_polished"],
        80.0,
    );
    errors.multiplier(plan.certificate.price_of_total(), &o["lambda"]);
    for local in o["local_runs_slsqp"].as_object().expect("runs").values() {
        errors.other(&p, &flat(&local["x"]), &local["value"]);
    }

    let season: Vec<f64> = (0..17)
        .map(|t| 1.0 + 0.35 * (2.0 * std::f64::consts::PI * f64::from(t) / 12.0).sin())
        .collect();
    let base = &all["A6_dynamic_carry"];
    for (key, name, terminal, flat_plan) in [
        (
            "A6_dynamic_carry",
            "A6 weeks with carry-in and tail",
            json!({"kind": "nothing"}),
            "best_flat_per_channel",
        ),
        (
            "A6b_continuation",
            "A6b the same with spend going on",
            json!({"kind": "spend", "weekly": 10.0}),
            "best_flat",
        ),
    ] {
        let o = &all[key];
        let p = problem(json!({
            "family": "michaelis_menten", "beta": base["beta"], "k": base["kappa"], "B": base["B"],
            "weeks": {
                "count": 12, "lags": base["L"], "alpha": base["alpha"], "season": season,
                "carry_in": [base["pre_period_oldest_first"]], "terminal": terminal,
            },
        }));
        let plan = planned(&p);
        errors.plan(table, name, &plan, number(&o["value"]), &o["x"], 30.0);
        errors.multiplier(plan.certificate.price_of_total(), &o["lambda"]);
        let spread: Vec<f64> = flat(&o[flat_plan]["x_per_week"])
            .into_iter()
            .flat_map(|x| [x; 12])
            .collect();
        errors.other(&p, &spread, &o[flat_plan]["value"]);
        if key == "A6_dynamic_carry" {
            errors.other(&p, &[10.0; 36], &o["value_uniform"]);
            for (change, field) in [("carry_in", "ignoring_carry_in"), ("tail", "ignoring_tail")] {
                let mut careless = p.clone();
                let weeks = careless.weeks.as_mut().expect("weekly");
                if change == "tail" {
                    weeks.tail = Some(0);
                    weeks.season.truncate(weeks.count);
                } else {
                    weeks.carry_in = Some(vec![vec![vec![0.0; weeks.lags - 1]; 3]]);
                }
                let x: Vec<f64> = planned(&careless)
                    .cells
                    .iter()
                    .flat_map(|c| c.weekly.clone())
                    .collect();
                errors.other(&p, &x, &o[field]["true_value_of_its_plan"]);
            }
        }
    }

    let o = &all["A7_halo"];
    let p = problem(json!({
        "family": "michaelis_menten", "beta": [[100.0], [100.0], [100.0]], "k": 40.0, "cross": o["Gamma"], "B": o["B"],
    }));
    let plan = planned(&p);
    errors.plan(
        table,
        "A7 effects on other brands",
        &plan,
        number(&o["value"]),
        &o["x"],
        120.0,
    );
    errors.multiplier(plan.certificate.price_of_total(), &o["lambda"]);
    errors.other(
        &p,
        &flat(&o["x_if_gamma_ignored"]),
        &o["true_value_if_ignored"],
    );

    let scenarios: Vec<Vec<f64>> =
        std::fs::read_to_string(repository("analytics/testdata/A8_scenarios.csv"))
            .expect("it can be read")
            .lines()
            .skip(1)
            .map(|line| {
                line.split(',')
                    .map(|v| v.parse().expect("a number"))
                    .collect()
            })
            .collect();
    for o in all["A8_mean_cvar"]["frontier"].as_array().expect("a list") {
        let plan = planned(&problem(json!({
            "family": "michaelis_menten", "beta": [60.0, 60.0, 60.0], "k": 60.0, "B": 100.0,
            "scenarios": {"scale": scenarios, "objective": {"kind": "mean_cvar", "weight": o["w"], "level": 0.9}},
        })));
        let name = format!("A8 mean and CVaR, weight {}", o["w"]);
        errors.plan(table, &name, &plan, number(&o["objective"]), &o["x"], 100.0);
    }

    let o = &all["A9_shapley_weighted_score"];
    // Five brands whose least and largest values are 0 and 100 and whose mean is the oracle's: points equal values.
    let columns: Vec<MetricColumn> = (0..5)
        .map(|i| {
            let at = |name: &str| number(&o[name][i]);
            let (own, mean) = (at("normalised"), at("background_mean"));
            let rest = 0.5 * (5.0 * mean - own - 100.0);
            MetricColumn {
                key: format!("metric {i}"),
                direction: domain::metric::Direction::Direct,
                section: domain::metric::Section::Marketplace,
                weight: at("weights"),
                values: vec![own, 0.0, 100.0, rest, rest],
            }
        })
        .collect();
    let options = score::Options {
        method: score::Method::MinMax,
        ..score::Options::default()
    };
    let scored = &score::score(&columns, &options, &never).expect("plain numbers")[0];
    let contributions = flat(&o["phi_closed_form"]);
    let differences = pairs(&scored.lines, &contributions)
        .map(|(line, phi)| off(line.contribution.unwrap_or(f64::NAN), *phi));
    let whole = off(scored.value.unwrap_or(f64::NAN), number(&o["score"]));
    table.row(
        "A9 Shapley contributions to a score, relative error",
        worst(differences.chain([whole])),
        None,
        Bar::AtMost(1e-8),
        "",
    );

    for (name, errors, most) in [
        (
            "A1–A8 multipliers and marginals, largest relative error",
            errors.multiplier,
            1e-5,
        ),
        (
            "A1–A8 spends, largest error relative to their scale",
            errors.spend,
            1e-3,
        ),
        (
            "A4–A7 comparison plans, largest relative error",
            errors.other_plans,
            1e-6,
        ),
        (
            "A1–A8 own optimality residual, largest",
            errors.residual,
            1e-8,
        ),
    ] {
        let note = format!("{} of them", errors.len());
        table.row(name, worst(errors), None, Bar::AtMost(most), &note);
    }
}

/// The 30 × 6 problem of one of the two files.
pub(crate) fn file_problem(kind: &str) -> Value {
    let path = repository(&format!("analytics/testdata/opt/budget_{kind}.csv"));
    let text = std::fs::read_to_string(path).expect("it is part of the repository");
    let rows: Vec<Vec<f64>> = text
        .lines()
        .skip(1)
        .map(|line| {
            line.split(',')
                .map(|v| v.parse().expect("a number"))
                .collect()
        })
        .collect();
    let grid = |of: &dyn Fn(&[f64]) -> f64| -> Vec<Vec<f64>> {
        rows.chunks(6)
            .map(|brand| brand.iter().map(|row| of(row)).collect())
            .collect()
    };
    let total: f64 = rows.iter().map(|row| row[6]).sum();
    json!({
        "beta": grid(&|r| r[2] * r[3]), "k": grid(&|r| r[4]), "a": grid(&|r| r[5]), "current": grid(&|r| r[6]),
        "lower": grid(&|r| r[7]), "upper": grid(&|r| r[8]), "B": total,
    })
}

/// The 30 × 6 problem with its group rules.
fn grouped() -> Value {
    read(&repository("analytics/testdata/opt/groups_30x6.json"))
}

/// An instance made by the generator, which needs Python.
fn generated(arguments: &[&str]) -> Option<Value> {
    python("budget", "portfolios.py", arguments)
}

const NO_PYTHON: &str = "the generator needs Python with NumPy and SciPy";

fn thirty_by_six(table: &mut Table) {
    let value = file_problem("concave");
    let p = problem(value.clone());
    let (time, plan) = timed(|| planned(&p));
    let again = verify(&p, &plan).expect("it belongs to it");
    let stored = read(&repository("analytics/testdata/opt/budget_reference.json"));
    let best = number(&stored["concave"]["oracle"]);
    table.row(
        "30 × 6 concave: gap, checked again",
        again.relative_gap,
        None,
        Bar::AtMost(1e-6),
        "",
    );
    table.row(
        "30 × 6 concave: value",
        plan.value,
        Some((best, Source::Stored)),
        Bar::AtLeast(best * (1.0 - 1e-9)),
        "the file's numbers have 12 digits",
    );
    let file = repository("target/bench/budget-concave.json");
    let slsqp = std::fs::create_dir_all(repository("target/bench"))
        .and_then(|()| std::fs::write(&file, value.to_string()))
        .ok()
        .and_then(|()| python("budget", "budget.py", &[file.to_str()?]));
    let reference = slsqp.map_or(
        Some((number(&stored["concave"]["slsqp_cpu_ms"]), Source::Stored)),
        |r| Some((number(&r["seconds"]) * 1e3, Source::Measured)),
    );
    table.row(
        "30 × 6 concave: time, ms",
        time,
        reference,
        Bar::AtMost(2.0),
        "median of repeated runs, certificate included; reference: SciPy SLSQP",
    );
    let p = problem(grouped());
    let (time, plan) = timed(|| planned(&p));
    let again = verify(&p, &plan).expect("it belongs to it");
    table.row(
        "30 × 6 with group rules: gap, checked again",
        again.relative_gap,
        None,
        Bar::AtMost(1e-6),
        "",
    );
    table.row(
        "30 × 6 with group rules: optimality residual, checked again",
        again.residual(),
        None,
        Bar::AtMost(1e-8),
        "",
    );
    table.row(
        "30 × 6 with group rules: time, ms",
        time,
        None,
        Bar::AtMost(50.0),
        "median of repeated runs, certificate included",
    );
    let what = "30 × 6, caps below the total (seed 7): members of the conflict";
    if let Some(value) = generated(&["groups", "7"]) {
        let caps: f64 = value["rules"]
            .as_array()
            .expect("rules")
            .iter()
            .filter(|r| r["rule"] == "channel_cap")
            .map(|r| number(&r["max"]))
            .sum();
        let missing = number(&value["B"]) - caps;
        let p = problem(value);
        let (time, answer) = timed(|| solve(&p, &Settings::default(), &never).expect("explained"));
        let conflict = answer.conflict().expect("there is no plan");
        let right = conflict.minimal
            && conflict
                .members
                .iter()
                .filter(|m| m.what.starts_with("cap of channel"))
                .count()
                == 6;
        table.row(
            what,
            if right {
                conflict.members.len() as f64
            } else {
                0.0
            },
            None,
            Bar::Within(7.0, 7.0),
            &conflict.to_string(),
        );
        table.row(
            "30 × 6 (seed 7): smallest relaxation, relative error",
            off(conflict.least_change, missing),
            Some((missing, Source::Measured)),
            Bar::AtMost(1e-6),
            "reference: the total less the six caps",
        );
        table.row(
            "30 × 6 (seed 7): time to explain, ms",
            time,
            None,
            Bar::Shown,
            "median of repeated runs",
        );
    } else {
        table.not_measured(what, Bar::Within(7.0, 7.0), NO_PYTHON);
    }
}

fn s_curves(table: &mut Table) {
    let p = problem(file_problem("sshaped"));
    let (time, plan) = timed(|| planned(&p));
    let stored = read(&repository("analytics/testdata/opt/budget_reference.json"));
    let best = number(&stored["sshaped"]["best_known"]);
    table.row(
        "30 × 6 S-shaped: share of the best known",
        plan.value / best,
        Some((1.0, Source::Stored)),
        Bar::AtLeast(0.99999),
        "",
    );
    table.row(
        "30 × 6 S-shaped: gap to the own bound",
        plan.certificate.relative_gap,
        Some((
            number(&stored["sshaped"]["gap_to_bound_pct"]) / 100.0,
            Source::Stored,
        )),
        Bar::AtMost(1e-5),
        "",
    );
    table.row(
        "30 × 6 S-shaped: time, ms",
        time,
        None,
        Bar::AtMost(50.0),
        "median of repeated runs",
    );
    let mut below = 0.0;
    let (mut short, mut own, mut slowest, mut residual) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let all = read(&repository("analytics/testdata/opt/scurve_300.json"));
    let all = all.as_array().expect("a list");
    for instance in all {
        let mut instance = instance.clone();
        let fields = instance.as_object_mut().expect("an object");
        let best = number(&fields.remove("best_known").expect("known"));
        let dual = number(&fields.remove("dual_upper_bound").expect("known"));
        let p = problem(instance);
        let started = Instant::now();
        let plan = planned(&p);
        slowest.push(started.elapsed().as_secs_f64() * 1e3);
        short.push(1.0 - plan.value / best);
        below += (1.0 - plan.value / dual) / all.len() as f64;
        own.push(plan.certificate.relative_gap);
        residual.push(plan.certificate.residual());
    }
    table.row(
        "300 S-shaped portfolios: furthest below the best known",
        worst(short).clamp(0.0, f64::INFINITY),
        None,
        Bar::AtMost(1e-3),
        "",
    );
    table.row(
        "300 S-shaped portfolios: mean distance to the dual bound",
        below,
        None,
        Bar::AtMost(0.02),
        "the dual bound is not tight for few cells",
    );
    table.row(
        "300 S-shaped portfolios: largest gap to the own bound",
        worst(own),
        None,
        Bar::AtMost(1e-6),
        "branch and bound",
    );
    table.row(
        "300 S-shaped portfolios: largest optimality residual",
        worst(residual),
        None,
        Bar::AtMost(1e-8),
        "",
    );
    table.row(
        "300 S-shaped portfolios: slowest, ms",
        worst(slowest),
        None,
        Bar::AtMost(50.0),
        "one run of each",
    );
}

fn large(table: &mut Table) {
    for (brands, bar) in [
        ("10", Bar::Shown),
        ("100", Bar::Shown),
        ("1000", Bar::AtMost(2000.0)),
    ] {
        let name =
            format!("{brands} brands × 10 channels, cap per channel, floor per brand: time, ms");
        let Some(value) = generated(&["large", brands, "10", "2028"]) else {
            table.not_measured(&name, bar, NO_PYTHON);
            continue;
        };
        let p = problem(value);
        let (time, plan) = timed(|| planned(&p));
        table.row(&name, time, None, bar, "median of repeated runs");
        let again = verify(&p, &plan).expect("it belongs to it");
        table.row(
            &format!("{brands} brands × 10 channels: gap, checked again"),
            again.relative_gap,
            None,
            Bar::AtMost(1e-4),
            "",
        );
    }
}

/// The group problem over 52 weeks.
fn weekly(rules: bool) -> Problem {
    let mut value = grouped();
    let total = number(&value["B"]);
    let mut random = rng::stream(52, &[]);
    let alpha: Vec<Vec<f64>> = (0..30)
        .map(|_| (0..6).map(|_| random.random_range(0.2..0.8)).collect())
        .collect();
    let season: Vec<f64> = (0..59)
        .map(|t| 1.0 + 0.35 * (2.0 * std::f64::consts::PI * f64::from(t) / 52.0).sin())
        .collect();
    value["B"] = json!(52.0 * total);
    value["weeks"] = json!({"count": 52, "lags": 8, "alpha": alpha, "season": season});
    let list = value["rules"].as_array_mut().expect("rules");
    if rules {
        for rule in list.iter_mut() {
            for field in ["max", "min"] {
                if let Some(limit) = rule.get(field).and_then(Value::as_f64) {
                    rule[field] = json!(52.0 * limit);
                }
            }
        }
        list.extend(
            (0..52).map(|week| json!({"rule": "week_cap", "week": week, "max": 1.1 * total})),
        );
    } else {
        list.clear();
    }
    problem(value)
}

fn weeks(table: &mut Table) {
    for (rules, name) in [
        (false, "30 × 6 × 52 weeks"),
        (true, "30 × 6 × 52 weeks, group rules and a cap per week"),
    ] {
        let p = weekly(rules);
        let (time, plan) = timed(|| planned(&p));
        let again = verify(&p, &plan).expect("it belongs to it");
        table.row(
            &format!("{name}: time, s"),
            time / 1e3,
            None,
            Bar::AtMost(5.0),
            "carry-in, eight weeks of adstock, seven of tail, spend going on; median of repeated runs",
        );
        table.row(
            &format!("{name}: gap, checked again"),
            again.relative_gap,
            None,
            Bar::AtMost(1e-4),
            "",
        );
        table.row(
            &format!("{name}: optimality residual, checked again"),
            again.residual(),
            None,
            Bar::AtMost(1e-8),
            "",
        );
    }
}

fn what_if(table: &mut Table) {
    let p = problem(grouped());
    let (mut session, _) = Session::open(&p, &Settings::default(), &never).expect("it opens");
    for brand in [3, 17] {
        session
            .edit(&Edit::LockBrand { brand }, &never)
            .expect("it is locked");
    }
    let (mut times, mut gap, mut residual) = (Vec::new(), Vec::new(), Vec::new());
    for k in 0..60 {
        let (brand, channel) = ((7 * k + 1) % 30, (5 * k) % 6);
        let now = session.plan().expect("there is one").spend[brand][channel];
        let edit = Edit::Set {
            brand,
            channel,
            spend: now * if k % 2 == 0 { 1.05 } else { 0.95 },
        };
        let started = Instant::now();
        let answer = session.edit(&edit, &never).expect("it is answered");
        times.push(started.elapsed().as_secs_f64() * 1e3);
        // Every edit has a plan: an answer without one is a failure.
        let certificate = answer.plan().map(|plan| &plan.certificate);
        gap.push(certificate.map_or(f64::NAN, |c| c.relative_gap));
        residual.push(certificate.map_or(f64::NAN, |c| c.residual()));
        let unlock = Edit::Unlock { brand, channel };
        session.edit(&unlock, &never).expect("it is answered");
    }
    table.row(
        "what-if, one edit of 30 × 6 with rules and locks: median, ms",
        median(times.iter().copied()),
        None,
        Bar::AtMost(20.0),
        "certificate included",
    );
    table.row(
        "what-if, one edit: slowest of 60, ms",
        worst(times),
        None,
        Bar::AtMost(20.0),
        "",
    );
    table.row(
        "what-if, one edit: largest gap",
        worst(gap),
        None,
        Bar::AtMost(1e-6),
        "",
    );
    table.row(
        "what-if, one edit: largest optimality residual",
        worst(residual),
        None,
        Bar::AtMost(1e-8),
        "",
    );
    let plan = planned(&p);
    let next = next_unit(&p, &plan, 1.0, &Settings::default(), &never).expect("there is room");
    let price = plan.certificate.price_of_total();
    table.row(
        "the next unit of money: gain",
        next.per_unit,
        Some((price, Source::Measured)),
        Bar::Within(0.99 * price, price),
        "reference: the price of the total",
    );
}

fn risk(table: &mut Table) {
    let value = file_problem("concave");
    let mut random = rng::stream(8, &[]);
    let scale: Vec<Vec<f64>> = (0..200)
        .map(|_| {
            let brand: Vec<f64> = (0..30)
                .map(|_| (0.3 * rng::normal(&mut random)).exp())
                .collect();
            (0..180)
                .map(|i| brand[i / 6] * (0.2 * rng::normal(&mut random)).exp())
                .collect()
        })
        .collect();
    for (name, objective) in [
        (
            "mean and CVaR",
            json!({"kind": "mean_cvar", "weight": 0.5, "level": 0.9}),
        ),
        (
            "mean and variance",
            json!({"kind": "mean_variance", "aversion": 0.001}),
        ),
        ("regret", json!({"kind": "regret"})),
    ] {
        let mut value = value.clone();
        value["scenarios"] = json!({"scale": scale, "objective": objective});
        let p = problem(value);
        let started = Instant::now();
        let plan = planned(&p);
        let time = started.elapsed().as_secs_f64();
        table.row(
            &format!("30 × 6, 200 draws, {name}: gap"),
            plan.certificate.relative_gap,
            None,
            Bar::AtMost(1e-6),
            "",
        );
        table.row(
            &format!("30 × 6, 200 draws, {name}: time, s"),
            time,
            None,
            Bar::Shown,
            "",
        );
    }
}

fn conduct(table: &mut Table) {
    let p = weekly(true);
    let started = Instant::now();
    let stop = || started.elapsed() > Duration::from_millis(100);
    let stopped = matches!(
        solve(&p, &Settings::default(), &stop),
        Err(AllocationError::Cancelled(_))
    );
    let late = started.elapsed().as_secs_f64() * 1e3 - 100.0;
    table.row(
        "stopping 30 × 6 × 52 weeks with rules: time after the signal, ms",
        if stopped { late } else { f64::NAN },
        None,
        Bar::AtMost(50.0),
        "",
    );
    let problems = [p, problem(file_problem("sshaped"))];
    let alone: Vec<Plan> = problems.iter().map(planned).collect();
    let same = std::thread::scope(|scope| {
        let problems = &problems;
        // All of them are started before the first is waited for.
        let running = [0, 1, 0, 1]
            .map(|which: usize| (which, scope.spawn(move || planned(&problems[which]))));
        running
            .into_iter()
            .all(|(which, thread)| thread.join().is_ok_and(|plan| plan == alone[which]))
    });
    table.row(
        "the same plans bit for bit alone and with two of each solved at once",
        f64::from(u8::from(same)),
        None,
        Bar::Within(1.0, 1.0),
        "30 × 6 × 52 weeks with rules, 30 × 6 S-shaped; a problem is solved on one thread, so there is no number of threads to vary",
    );
}
