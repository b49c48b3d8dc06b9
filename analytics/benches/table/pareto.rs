//! Pareto search: hypervolume of standard fronts, time, fronts of plans.

use std::time::{Duration, Instant};

use analytics::{
    allocation::{Judge, Problem, Total, bounds},
    cancel::never,
    pareto::{ParetoError, Search, Settings, hypervolume, plans, search},
};
use serde_json::{Value, json};

use super::{
    budget::file_problem,
    clock::Clock,
    figures::{least, median, worst},
    reference::{python, repository},
    report::{Bar, Reference, Source, Table},
};

type Objectives = fn(&[f64], &mut [f64]) -> f64;

fn sum(x: &[f64]) -> f64 {
    1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64
}

fn zdt1(x: &[f64], f: &mut [f64]) -> f64 {
    let g = sum(x);
    f[0] = x[0];
    f[1] = g * (1.0 - (x[0] / g).sqrt());
    0.0
}

fn zdt2(x: &[f64], f: &mut [f64]) -> f64 {
    let g = sum(x);
    f[0] = x[0];
    f[1] = g * (1.0 - (x[0] / g).powi(2));
    0.0
}

fn zdt3(x: &[f64], f: &mut [f64]) -> f64 {
    let g = sum(x);
    let r = x[0] / g;
    f[0] = x[0];
    f[1] = g * (1.0 - r.sqrt() - r * (10.0 * std::f64::consts::PI * x[0]).sin());
    0.0
}

fn dtlz2(x: &[f64], f: &mut [f64]) -> f64 {
    let (a, b) = (
        x[0] * std::f64::consts::FRAC_PI_2,
        x[1] * std::f64::consts::FRAC_PI_2,
    );
    let g: f64 = 1.0 + x[2..].iter().map(|v| (v - 0.5).powi(2)).sum::<f64>();
    f[0] = g * a.cos() * b.cos();
    f[1] = g * a.cos() * b.sin();
    f[2] = g * a.sin();
    0.0
}

pub(crate) fn measure(table: &mut Table) {
    let budget = Budget::new();
    let live = budget.pymoo();
    standard(table, live.as_ref());
    plan_front(table, &budget, live.as_ref());
    conduct(table);
}

/// Seeds of every one of pymoo's searches: a search takes it a second or two.
const PYMOO_SEEDS: usize = 5;

/// One search of a standard problem.
struct Case {
    name: &'static str,
    /// Its name in what pymoo's program prints.
    key: &'static str,
    objectives: Objectives,
    variables: usize,
    count: usize,
    /// Exact hypervolume for the reference point 1.1 in every objective.
    exact: f64,
    /// Least share of it: what pymoors 0.2.6 and, for DTLZ2, pymoo 0.6.2's NSGA-III have been measured to reach.
    bar: f64,
    seconds: Bar,
    settings: Settings,
}

fn standard(table: &mut Table, live: Option<&Value>) {
    let pi = std::f64::consts::PI;
    let cases = [
        Case {
            name: "ZDT1, NSGA-II",
            key: "zdt1",
            objectives: zdt1,
            variables: 30,
            count: 2,
            exact: 1.21 - 1.0 / 3.0,
            bar: 0.9927,
            seconds: Bar::AtMost(0.03),
            settings: Settings::default(),
        },
        Case {
            name: "ZDT2, NSGA-II",
            key: "zdt2",
            objectives: zdt2,
            variables: 30,
            count: 2,
            exact: 1.21 - 2.0 / 3.0,
            bar: 0.9883,
            seconds: Bar::Shown,
            settings: Settings::default(),
        },
        Case {
            name: "ZDT3, NSGA-II",
            key: "zdt3",
            objectives: zdt3,
            variables: 30,
            count: 2,
            exact: 1.331763,
            bar: 0.9969,
            seconds: Bar::Shown,
            settings: Settings::default(),
        },
        Case {
            name: "DTLZ2 of three objectives, NSGA-III with 91 directions",
            key: "dtlz2",
            objectives: dtlz2,
            variables: 12,
            count: 3,
            exact: 1.331 - pi / 6.0,
            bar: 0.9216,
            seconds: Bar::Shown,
            settings: Settings::directions(12),
        },
    ];
    for case in cases {
        let (name, m) = (case.name, case.count);
        let (lower, upper) = (vec![0.0; case.variables], vec![1.0; case.variables]);
        let (mut shares, mut times) = (Vec::new(), Vec::new());
        for seed in 0..21 {
            let started = Clock::now();
            let front = search(
                &Search {
                    lower: &lower,
                    upper: &upper,
                    objectives: m,
                    evaluate: &case.objectives,
                    repair: None,
                },
                &Settings {
                    seed,
                    ..case.settings.clone()
                },
                &never,
            )
            .expect("it runs");
            times.push(started.milliseconds() / 1e3);
            assert_eq!(front.evaluations, 25_000);
            let points: Vec<Vec<f64>> =
                front.population.into_iter().map(|p| p.objectives).collect();
            assert_eq!(points.len(), 100);
            shares.push(hypervolume(&points, &vec![1.1; m]) / case.exact);
        }
        let theirs = |figure: &str| live?[case.key][figure].as_f64();
        table.row(
            &format!("{name}: hypervolume over the exact one, median of 21 seeds"),
            median(shares.iter().copied()),
            theirs("hypervolume").map_or(Some((case.bar, Source::Stored)), |volume| {
                Some((volume / case.exact, Source::Measured))
            }),
            Bar::AtLeast(case.bar),
            &format!(
                "least {:.4}, most {:.4}; population 100, 25,000 distinct evaluations; reference pymoo, median of {PYMOO_SEEDS} seeds",
                least(shares.iter().copied()),
                worst(shares)
            ),
        );
        table.row(
            &format!("{name}: CPU time, s"),
            median(times),
            theirs("seconds").map(|seconds| (seconds, Source::Measured)),
            case.seconds,
            "median of 21, one thread; reference pymoo",
        );
    }
}

/// The 30 × 6 problem by its two objectives, response and spend.
struct Budget {
    file: Value,
    problem: Problem,
    /// Least and most spend.
    total: (f64, f64),
    /// Their values.
    value: (f64, f64),
}

impl Budget {
    fn new() -> Self {
        let file = file_problem("concave");
        let problem: Problem = serde_json::from_value(file.clone()).expect("a problem");
        let (lower, upper) = bounds(&problem).expect("it has bounds");
        let most = upper.iter().sum::<f64>();
        let judge = Judge::new(&Problem {
            total: Total::Between {
                min: 0.0,
                max: most,
            },
            ..problem.clone()
        })
        .expect("it can be judged");
        Self {
            file,
            problem,
            total: (lower.iter().sum(), most),
            value: (judge.value(&lower), judge.value(&upper)),
        }
    }

    /// Response lost and spend, both 0 at their best and 1 at their worst.
    fn scaled(&self, value: f64, total: f64) -> Vec<f64> {
        let share = |at: f64, (from, to): (f64, f64)| (at - from) / (to - from);
        vec![1.0 - share(value, self.value), share(total, self.total)]
    }

    /// What pymoo finds, here and on the standard problems.
    fn pymoo(&self) -> Option<Value> {
        let seeds = plans::exact(&self.problem, 20, &never).expect("solved");
        let mut file = self.file.clone();
        file["low"] = json!(self.value.0);
        file["high"] = json!(self.value.1);
        file["seeds"] = seeds.iter().map(|plan| json!(plan.spend)).collect();
        let path = repository("target/bench/pareto-plans.json");
        std::fs::create_dir_all(repository("target/bench")).ok()?;
        std::fs::write(&path, file.to_string()).ok()?;
        let count = PYMOO_SEEDS.to_string();
        python("pareto", "pareto.py", &[&count, path.to_str()?])
    }
}

fn plan_front(table: &mut Table, budget: &Budget, live: Option<&Value>) {
    let name = "front of response and spend from 20 exact plans: share of the exact hypervolume";
    let exact: Vec<Vec<f64>> = plans::exact(&budget.problem, 2000, &never)
        .expect("solved")
        .iter()
        .map(|plan| budget.scaled(plan.value, plan.total))
        .collect();
    let whole = hypervolume(&exact, &[1.1, 1.1]);
    let theirs: Reference = live
        .and_then(|live| live["plans"]["hypervolume"].as_f64())
        .map_or(Some((0.982, Source::Stored)), |volume| {
            Some((volume / whole, Source::Measured))
        });
    let (mut shares, mut gaps) = (Vec::new(), Vec::new());
    let started = Instant::now();
    for seed in 0..5 {
        let front = plans::front(
            &budget.problem,
            20,
            &[],
            &Settings {
                seed,
                ..Settings::default()
            },
            &never,
        )
        .expect("it runs");
        let points: Vec<Vec<f64>> = front
            .plans
            .iter()
            .map(|plan| budget.scaled(plan.value, plan.total))
            .collect();
        shares.push(hypervolume(&points, &[1.1, 1.1]) / whole);
        gaps.extend(front.plans.iter().map(|plan| plan.gap / plan.value));
    }
    let time = started.elapsed().as_secs_f64() / 5.0;
    table.row(
        name,
        median(shares),
        theirs,
        Bar::AtLeast(0.985),
        "median of 5 seeds; the exact front has 2,000 plans; reference: pymoo from the same 20 plans",
    );
    table.row(
        "front of response and spend: largest gap of a plan to its bound",
        worst(gaps),
        None,
        Bar::Shown,
        "stated with every plan",
    );
    table.row(
        "front of response and spend: time, s",
        time,
        None,
        Bar::Shown,
        "",
    );
}

fn conduct(table: &mut Table) {
    let (lower, upper) = (vec![0.0; 30], vec![1.0; 30]);
    let slow = |x: &[f64], f: &mut [f64]| {
        let started = Instant::now();
        while started.elapsed() < Duration::from_micros(200) {
            std::hint::spin_loop();
        }
        zdt1(x, f)
    };
    let run = |evaluate: &(dyn Fn(&[f64], &mut [f64]) -> f64 + Sync),
               threads: usize,
               stop: &dyn Fn() -> bool| {
        search(
            &Search {
                lower: &lower,
                upper: &upper,
                objectives: 2,
                evaluate,
                repair: None,
            },
            &Settings {
                threads,
                evaluations: 5000,
                ..Settings::default()
            },
            &|| stop(),
        )
    };
    let alone = run(&zdt1, 1, &never);
    let same = alone.is_ok() && alone == run(&zdt1, 2, &never);
    table.row(
        "the same population bit for bit on one and on two threads",
        f64::from(u8::from(same)),
        None,
        Bar::Within(1.0, 1.0),
        "",
    );
    let started = Instant::now();
    let stopped = matches!(
        run(&slow, 1, &|| started.elapsed() > Duration::from_millis(100)),
        Err(ParetoError::Cancelled(_))
    );
    let late = started.elapsed().as_secs_f64() * 1e3 - 100.0;
    table.row(
        "stopping a search of slow objectives: time after the signal, ms",
        if stopped { late } else { f64::NAN },
        None,
        Bar::AtMost(50.0),
        "0.2 ms per evaluation",
    );
}
