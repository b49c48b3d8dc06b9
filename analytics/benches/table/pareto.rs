//! Pareto search: hypervolume of standard fronts, time, fronts of plans.

use std::time::{Duration, Instant};

use analytics::{
    allocation::{Judge, Problem, Total, bounds},
    cancel::never,
    pareto::{Search, Settings, hypervolume, plans, search},
};

use super::{
    budget::file_problem,
    report::{Bar, Source, Table},
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
    standard(table);
    plan_front(table);
    conduct(table);
}

fn standard(table: &mut Table) {
    // Exact hypervolumes for the reference point 1.1 in every objective; the references are pymoors 0.2.6 and, for DTLZ2,
    // pymoo 0.6.2's NSGA-III.
    let pi = std::f64::consts::PI;
    let cases: [(&str, Objectives, usize, usize, f64, f64, Settings); 4] = [
        (
            "ZDT1, NSGA-II",
            zdt1,
            30,
            2,
            1.21 - 1.0 / 3.0,
            0.9927,
            Settings::default(),
        ),
        (
            "ZDT2, NSGA-II",
            zdt2,
            30,
            2,
            1.21 - 2.0 / 3.0,
            0.9883,
            Settings::default(),
        ),
        (
            "ZDT3, NSGA-II",
            zdt3,
            30,
            2,
            1.331763,
            0.9969,
            Settings::default(),
        ),
        (
            "DTLZ2 of three objectives, NSGA-III with 91 directions",
            dtlz2,
            12,
            3,
            1.331 - pi / 6.0,
            0.9216,
            Settings::directions(12),
        ),
    ];
    for (name, objectives, n, m, exact, bar, settings) in cases {
        let (lower, upper, reference) = (vec![0.0; n], vec![1.0; n], vec![1.1; m]);
        let mut shares = Vec::new();
        let mut fastest = f64::INFINITY;
        for seed in 0..21 {
            let started = Instant::now();
            let front = search(
                &Search {
                    lower: &lower,
                    upper: &upper,
                    objectives: m,
                    evaluate: &objectives,
                    repair: None,
                },
                &Settings {
                    seed,
                    ..settings.clone()
                },
                &never,
            )
            .expect("it runs");
            fastest = fastest.min(started.elapsed().as_secs_f64());
            assert_eq!(front.evaluations, 25_000);
            let points: Vec<Vec<f64>> =
                front.population.into_iter().map(|p| p.objectives).collect();
            assert_eq!(points.len(), 100);
            shares.push(hypervolume(&points, &reference) / exact);
        }
        shares.sort_by(f64::total_cmp);
        table.row(
            &format!("{name}: hypervolume over the exact one, median of 21 seeds"),
            shares[10],
            Some((bar, Source::Stored)),
            Bar::AtLeast(bar),
            &format!(
                "least {:.4}, most {:.4}; population 100, 25,000 distinct evaluations",
                shares[0], shares[20]
            ),
        );
        let limit = if n == 30 && bar == 0.9927 {
            Bar::AtMost(0.03)
        } else {
            Bar::Shown
        };
        table.row(
            &format!("{name}: time, s"),
            fastest,
            None,
            limit,
            "fastest of 21, one thread",
        );
    }
}

fn plan_front(table: &mut Table) {
    let name = "front of response and spend from 20 exact plans: share of the exact hypervolume";
    let problem: Problem = serde_json::from_value(file_problem("concave")).expect("a problem");
    let (lower, upper) = bounds(&problem).expect("it has bounds");
    let most = upper.iter().sum::<f64>();
    let least = lower.iter().sum::<f64>();
    let judge = Judge::new(&Problem {
        total: Total::Between {
            min: 0.0,
            max: most,
        },
        ..problem.clone()
    })
    .expect("it can be judged");
    let (low, high) = (judge.value(&lower), judge.value(&upper));
    let scaled = |value: f64, total: f64| {
        vec![
            1.0 - (value - low) / (high - low),
            (total - least) / (most - least),
        ]
    };
    let exact: Vec<Vec<f64>> = plans::exact(&problem, 2000, &never)
        .expect("solved")
        .iter()
        .map(|plan| scaled(plan.value, plan.total))
        .collect();
    let whole = hypervolume(&exact, &[1.1, 1.1]);
    let mut shares = Vec::new();
    let mut gap = 0.0f64;
    let started = Instant::now();
    for seed in 0..5 {
        let front = plans::front(
            &problem,
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
            .map(|plan| scaled(plan.value, plan.total))
            .collect();
        shares.push(hypervolume(&points, &[1.1, 1.1]) / whole);
        for plan in &front.plans {
            gap = gap.max(plan.gap / plan.value);
        }
    }
    let time = started.elapsed().as_secs_f64() / 5.0;
    shares.sort_by(f64::total_cmp);
    table.row(name, shares[2], Some((0.982, Source::Stored)), Bar::AtLeast(0.985), "median of 5 seeds; the exact front has 2,000 plans; reference: pymoo from the same number of plans");
    table.row(
        "front of response and spend: largest gap of a plan to its bound",
        gap,
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
    let same = run(&zdt1, 1, &never) == run(&zdt1, 2, &never);
    table.row(
        "the same population bit for bit on one and on two threads",
        f64::from(u8::from(same)),
        None,
        Bar::Within(1.0, 1.0),
        "",
    );
    let started = Instant::now();
    let stopped = run(&slow, 1, &|| started.elapsed() > Duration::from_millis(100)).is_err();
    let late = started.elapsed().as_secs_f64() * 1e3 - 100.0;
    table.row(
        "stopping a search of slow objectives: time after the signal, ms",
        if stopped { late } else { f64::NAN },
        None,
        Bar::AtMost(50.0),
        "0.2 ms per evaluation",
    );
}
