//! The acceptance figures of the estimators on simulated worlds: `cargo run -p analytics --example planted`.
//!
//! Planted worlds 1–20 (finder), 1–40 (plans) and null worlds 1–40, each scanned from the rows an importer would see.
//! Arguments after `--`: first and last seed (default 1 and 40); seeds from 1,001 on are for tuning.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use analytics::budget::{PlanRequest, ProfitEffect, ValueModel, plan};
use analytics::cancel::never;
use analytics::finder::{Findings, ScanParams, scan};
use analytics::market::World;
use analytics::market::judge::{Judged, PlanJudged, judge, judge_plan};
use analytics::rng::stream;
use rand::Rng;

struct Outcome {
    seed: u64,
    judged: Vec<Judged>,
    plan: PlanJudged,
    null_findings: Vec<String>,
    null_plan: PlanJudged,
    null_excluding: usize,
    seconds: f64,
}

fn scanned(world: &World) -> Findings {
    let panel = world.panel().expect("rows of the simulator form a panel");
    scan(&panel, &ScanParams::default(), 1, &never, &mut |_| {})
        .expect("the simulator gives enough data")
}

fn run(seed: u64) -> Outcome {
    let world = World::planted(seed);
    let begin = Instant::now();
    let findings = scanned(&world);
    let model = ValueModel::from_findings(&findings, 1);
    let allocation = plan(&model, &PlanRequest::default(), &never)
        .expect("bounds around the current plan are feasible");
    let seconds = begin.elapsed().as_secs_f64();
    let judged = judge(&findings, &world.truth());
    let mut planned = judge_plan(&world, &allocation);
    if planned.proposed {
        let mut later = world.clone();
        later.advance(allocation.weeks, &allocation.spend());
        let after = ValueModel::from_findings(&scanned(&later), 1);
        let baseline: Vec<f64> = allocation.lines.iter().map(|l| l.current).collect();
        planned.realised = Some(ProfitEffect::of(
            &after.attributed_gains(&baseline, allocation.weeks),
        ));
    }
    let null = World::null(seed);
    let nothing = scanned(&null);
    let null_model = ValueModel::from_findings(&nothing, 1);
    let null_allocation = plan(&null_model, &PlanRequest::default(), &never)
        .expect("bounds around the current plan are feasible");
    let null_plan = judge_plan(&null, &null_allocation);
    let null_excluding = nothing.found.len()
        + usize::from(null_plan.proposed && null_allocation.effect.interval80.0 > 0.0);
    Outcome {
        seed,
        judged,
        plan: planned,
        null_findings: nothing
            .found
            .iter()
            .map(|f| format!("{:?} {:?} q {:.3}", f.kind, f.subject, f.q_value))
            .collect(),
        null_plan,
        null_excluding,
        seconds,
    }
}

fn main() {
    let seeds: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let (first, last) = match seeds[..] {
        [a, b, ..] => (a, b),
        [a] => (a, a),
        [] => (1, 40),
    };
    let next = AtomicU64::new(first);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > last {
                        return;
                    }
                    let outcome = run(seed);
                    outcomes
                        .lock()
                        .expect("no thread panics while holding it")
                        .push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("all threads have ended");
    outcomes.sort_by_key(|o| o.seed);
    facts(&outcomes[..outcomes.len().min(20)]);
    plans(&outcomes);
    nulls(&outcomes);
}

fn facts(outcomes: &[Outcome]) {
    println!(
        "planted facts, seeds {}–{}",
        outcomes[0].seed,
        outcomes[outcomes.len() - 1].seed
    );
    println!(
        "{:<24}{:>8}{:>12}{:>16}",
        "fact", "found", "covered", "oracle |t|"
    );
    let (mut found_all, mut covered_all) = (0, 0);
    for i in 0..outcomes[0].judged.len() {
        let rows: Vec<&Judged> = outcomes.iter().map(|o| &o.judged[i]).collect();
        let found = rows.iter().filter(|j| j.found).count();
        let covered = rows.iter().filter(|j| j.covered() == Some(true)).count();
        let t = rows.iter().map(|j| j.oracle_t.abs());
        let (low, high) = t.fold((f64::INFINITY, 0.0f64), |(l, h), t| (l.min(t), h.max(t)));
        println!(
            "{:<24}{found:>5}/{}{covered:>9}/{found}{low:>10.1}–{high:.1}",
            rows[0].fact,
            rows.len()
        );
        found_all += found;
        covered_all += covered;
    }
    println!(
        "95 % intervals of found effects that hold the truth: {covered_all}/{found_all} = {:.3}",
        covered_all as f64 / found_all.max(1) as f64
    );
    for o in outcomes {
        for j in o
            .judged
            .iter()
            .filter(|j| !j.found || j.covered() == Some(false))
        {
            println!(
                "  seed {} {} ({}): estimate {:?} truth {:.3}",
                o.seed, j.fact, j.subject, j.estimate, j.truth
            );
        }
    }
}

fn plans(outcomes: &[Outcome]) {
    println!(
        "\nplans over 12 weeks, thousands, seeds {}–{}",
        outcomes[0].seed,
        outcomes[outcomes.len() - 1].seed
    );
    println!(
        "{:>5}{:>11}{:>22}{:>11}{:>22}{:>9}{:>9}{:>8}",
        "seed",
        "promised",
        "80 % interval",
        "realised",
        "80 % interval",
        "truth",
        "perfect",
        "share"
    );
    let k = |v: f64| v / 1_000.0;
    for o in outcomes {
        let p = &o.plan;
        let (r, low, high) = p.realised.map_or((f64::NAN, f64::NAN, f64::NAN), |r| {
            (r.expected, r.interval80.0, r.interval80.1)
        });
        println!(
            "{:>5}{:>11.0}{:>11.0}{:>11.0}{:>11.0}{:>11.0}{:>11.0}{:>9.0}{:>9.0}{:>8.2}{}",
            o.seed,
            k(p.promised.expected),
            k(p.promised.interval80.0),
            k(p.promised.interval80.1),
            k(r),
            k(low),
            k(high),
            k(p.truth),
            k(p.perfect),
            p.truth / p.perfect,
            if p.proposed { "" } else { "  no plan" }
        );
    }
    let gained = outcomes.iter().filter(|o| o.plan.truth > 0.0).count();
    let share = |rows: &[&Outcome]| {
        rows.iter().map(|o| o.plan.truth).sum::<f64>()
            / rows.iter().map(|o| o.plan.perfect).sum::<f64>()
    };
    let all: Vec<&Outcome> = outcomes.iter().collect();
    let rng = &mut stream(1, &[40]);
    let mut resampled: Vec<f64> = (0..2_000)
        .map(|_| {
            let rows: Vec<&Outcome> = (0..all.len())
                .map(|_| all[rng.random_range(0..all.len())])
                .collect();
            share(&rows)
        })
        .collect();
    resampled.sort_by(f64::total_cmp);
    let sum = |f: &dyn Fn(&Outcome) -> f64| all.iter().map(|o| f(o)).sum::<f64>();
    println!("gain above zero: {gained}/{}", outcomes.len());
    println!(
        "sum of gains / sum of gaps: {:.3}, bootstrap 95 % bound {:.3}",
        share(&all),
        resampled[100]
    );
    println!(
        "promised / realised / truth (thousands): {:.0} / {:.0} / {:.0}",
        k(sum(&|o| if o.plan.proposed {
            o.plan.promised.expected
        } else {
            0.0
        })),
        k(sum(&|o| o.plan.realised.map_or(0.0, |r| r.expected))),
        k(sum(&|o| o.plan.truth))
    );
    let inside = all.iter().filter(|o| {
        o.plan.promised.interval80.0 <= o.plan.truth && o.plan.truth <= o.plan.promised.interval80.1
    });
    println!(
        "80 % intervals of promises that hold the truth: {}/{}",
        inside.count(),
        all.len()
    );
    let slowest = outcomes.iter().map(|o| o.seconds).fold(0.0, f64::max);
    println!(
        "scan + bootstrap + plan: mean {:.2} s, slowest {slowest:.2} s",
        sum(&|o| o.seconds) / all.len() as f64
    );
}

fn nulls(outcomes: &[Outcome]) {
    println!(
        "\nnull worlds, seeds {}–{}",
        outcomes[0].seed,
        outcomes[outcomes.len() - 1].seed
    );
    for o in outcomes
        .iter()
        .filter(|o| !o.null_findings.is_empty() || o.null_plan.proposed)
    {
        println!(
            "  seed {}: {:?}{}",
            o.seed,
            o.null_findings,
            if o.null_plan.proposed { ", a plan" } else { "" }
        );
    }
    let wrong = outcomes
        .iter()
        .filter(|o| !o.null_findings.is_empty())
        .count();
    let proposed = outcomes.iter().filter(|o| o.null_plan.proposed).count();
    let excluding: usize = outcomes.iter().map(|o| o.null_excluding).sum();
    println!(
        "worlds with a false fact: {wrong}/{}; plans proposed: {proposed}",
        outcomes.len()
    );
    println!(
        "findings and plans whose 80 % interval excludes no effect, per world: {:.2}",
        excluding as f64 / outcomes.len() as f64
    );
}
