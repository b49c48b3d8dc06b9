//! Topic `synergy`: planted cross-effects in simulated worlds at a false-discovery rate of 10 %, seeds 2,001 to 2,200, and drivers
//! that hardly vary. Seeds 1,001 to 1,100 are for tuning: `SYNERGY_SEEDS=1001-1100`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use analytics::cancel::never;
use analytics::market::{CrossTruth, World};
use analytics::panel::Panel;
use analytics::response::{ResponseParams, fit_all};
use analytics::series;
use analytics::synergy::verdict::{JudgedPair, VerdictParams, verdicts};
use analytics::synergy::{
    cannibalisation::{PortfolioEffect, portfolio_effects},
    effects,
};
use domain::metric::MetricRole;
use domain::synergy::Verdict;

use super::report::{Bar, Table};

/// First and last seed that are scored.
const SEEDS: (u64, u64) = (2_001, 2_200);
/// Every so many seeds one brand's media are made nearly flat.
const FLAT_EVERY: u64 = 10;

#[derive(Default)]
struct Outcome {
    seed: u64,
    /// Planted pairs: true effect, what was said, and of which sign.
    planted: Vec<(f64, JudgedPair)>,
    claimed: usize,
    wrong: usize,
    pairs: usize,
    untold: usize,
    null_claimed: usize,
    /// Pairs of a driver made nearly flat, and how many of them were said to be untellable.
    flat: (usize, usize),
    least_variation: f64,
    seconds: f64,
}

pub(crate) fn measure(table: &mut Table) {
    let seeds = std::env::var("SYNERGY_SEEDS").ok().and_then(|text| {
        let (first, last) = text.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    });
    let seeds = seeds.unwrap_or(SEEDS);
    let next = AtomicU64::new(seeds.0);
    let outcomes: Mutex<Vec<Outcome>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > seeds.1 {
                        break;
                    }
                    let outcome = world(seed);
                    outcomes.lock().expect("no panic").push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("no panic");
    outcomes.sort_by_key(|o| o.seed);
    let worlds = format!(
        "{} worlds, seeds {}–{}, q = .10",
        outcomes.len(),
        seeds.0,
        seeds.1
    );
    rows(table, &outcomes, &worlds);
}

fn rows(table: &mut Table, outcomes: &[Outcome], worlds: &str) {
    let n = outcomes.len() as f64;
    let proportion = |o: &Outcome| o.wrong as f64 / o.claimed.max(1) as f64;
    table.row(
        "cross-effects: mean false-discovery proportion",
        outcomes.iter().map(proportion).sum::<f64>() / n,
        None,
        Bar::AtMost(0.12),
        worlds,
    );
    let planted: Vec<&(f64, JudgedPair)> = outcomes.iter().flat_map(|o| &o.planted).collect();
    let share = |of: &[&(f64, JudgedPair)], is: &dyn Fn(&(f64, JudgedPair)) -> bool| {
        of.iter().filter(|p| is(p)).count() as f64 / of.len() as f64
    };
    let found = |p: &(f64, JudgedPair)| {
        p.1.verdict
            == if p.0 < 0.0 {
                Verdict::Cannibalisation
            } else {
                Verdict::Halo
            }
    };
    table.row(
        "cross-effects: planted effects found with their sign, share",
        share(&planted, &found),
        None,
        Bar::AtLeast(0.8),
        worlds,
    );
    for (name, sign) in [("cannibalising", -1.0), ("halo", 1.0)] {
        let of: Vec<&(f64, JudgedPair)> = planted
            .iter()
            .copied()
            .filter(|p| p.0 * sign > 0.0)
            .collect();
        table.row(
            &format!("cross-effects: planted {name} pairs found, share"),
            share(&of, &found),
            None,
            Bar::Shown,
            worlds,
        );
    }
    table.row(
        "cross-effects: signs right among all planted effects, share",
        share(&planted, &|p| p.1.effect.effect.value * p.0 > 0.0),
        None,
        Bar::AtLeast(0.95),
        "found or not",
    );
    table.row(
        "cross-effects: 95 % intervals that hold the planted effect, share",
        share(&planted, &|p| {
            let (low, high) = p.1.effect.effect.interval95;
            (low..=high).contains(&p.0)
        }),
        None,
        Bar::Shown,
        "all planted effects, found or not",
    );
    table.row(
        "cross-effects: null worlds with a false effect, share",
        outcomes.iter().filter(|o| o.null_claimed > 0).count() as f64 / n,
        None,
        Bar::AtMost(0.12),
        "the false-discovery rate of a world without effects is this share",
    );
    let pairs: usize = outcomes.iter().map(|o| o.pairs).sum();
    let untold: usize = outcomes.iter().map(|o| o.untold).sum();
    let least = outcomes
        .iter()
        .map(|o| o.least_variation)
        .fold(f64::INFINITY, f64::min);
    table.row(
        "cross-effects: pairs of ordinary drivers judged \"cannot tell\", share",
        untold as f64 / pairs as f64,
        None,
        Bar::Shown,
        &format!(
            "{pairs} pairs; the driver that moves least moves by {least:.3} of its size on its own"
        ),
    );
    let (flat, told): (usize, usize) = outcomes
        .iter()
        .fold((0, 0), |sum, o| (sum.0 + o.flat.0, sum.1 + o.flat.1));
    if flat > 0 {
        table.row(
            "cross-effects: pairs of drivers that hardly vary judged \"cannot tell\", share",
            told as f64 / flat as f64,
            None,
            Bar::AtLeast(1.0),
            &format!("{flat} pairs; spend within 2 % of its mean"),
        );
    }
    table.row(
        "cross-effects: seconds per world",
        outcomes.iter().map(|o| o.seconds).sum::<f64>() / n,
        None,
        Bar::Shown,
        "wall; response fits and verdicts of 8 brands, one thread",
    );
}

fn judged(panel: &Panel) -> Vec<JudgedPair> {
    let params = ResponseParams::default();
    let models = fit_all(panel, &params, 1, &never, &mut |_| {}).expect("not cancelled");
    verdicts(effects(&models, &params), &VerdictParams::default())
}

fn world(seed: u64) -> Outcome {
    let world = World::planted(seed);
    let panel = world.panel().expect("rows of the simulator form a panel");
    let truth = world.truth();
    let planted: Vec<&CrossTruth> = truth.cannibal.iter().chain(&truth.halo).collect();
    let key = |b: usize| panel.brands()[b].key.as_str();
    let about = |pair: &JudgedPair, t: &CrossTruth| {
        key(pair.effect.driver) == t.driver && key(pair.effect.affected) == t.affected
    };
    let begin = Instant::now();
    let pairs = judged(&panel);
    let seconds = begin.elapsed().as_secs_f64();
    let mut outcome = Outcome {
        seed,
        pairs: pairs.len(),
        least_variation: f64::INFINITY,
        seconds,
        ..Outcome::default()
    };
    for pair in &pairs {
        let t = planted.iter().find(|t| about(pair, t));
        outcome.least_variation = outcome.least_variation.min(pair.effect.own_variation);
        match pair.verdict {
            Verdict::NotIdentifiable => outcome.untold += 1,
            Verdict::NoEvidence => {}
            Verdict::Halo | Verdict::Cannibalisation => {
                outcome.claimed += 1;
                // An effect of the wrong sign is as wrong as one that is not there.
                outcome.wrong +=
                    usize::from(t.is_none_or(|t| t.effect * pair.effect.effect.value <= 0.0));
            }
        }
    }
    for t in &planted {
        if let Some(pair) = pairs.iter().find(|pair| about(pair, t)) {
            outcome.planted.push((t.effect, pair.clone()));
        }
    }
    let null = World::null(seed)
        .panel()
        .expect("rows of the simulator form a panel");
    outcome.null_claimed = judged(&null)
        .iter()
        .filter(|p| matches!(p.verdict, Verdict::Halo | Verdict::Cannibalisation))
        .count();
    if seed.is_multiple_of(FLAT_EVERY) {
        let driver = truth.cannibal.as_ref().map_or("", |t| t.driver.as_str());
        let flat = judged(&flattened(&world, driver));
        let of_driver: Vec<&JudgedPair> = flat
            .iter()
            .filter(|p| key(p.effect.driver) == driver)
            .collect();
        let told = of_driver
            .iter()
            .filter(|p| p.verdict == Verdict::NotIdentifiable)
            .count();
        outcome.flat = (of_driver.len(), told);
        // A driver that cannot be told must not be counted with: its factor stays 1.
        let known: Vec<_> = flat
            .iter()
            .filter(|p| matches!(p.verdict, Verdict::Halo | Verdict::Cannibalisation))
            .map(|p| &p.effect)
            .collect();
        let position = of_driver.first().map_or(0, |p| p.effect.driver);
        let [PortfolioEffect { factor, .. }] = &portfolio_effects(&[position], &known)[..] else {
            unreachable!("one driver was asked for");
        };
        if factor.value != 1.0 {
            outcome.flat.1 = 0;
        }
    }
    outcome
}

/// The panel of a world in which one brand's spend was its mean, give or take two percent.
fn flattened(world: &World, brand: &str) -> Panel {
    let (brands, metrics) = world.description();
    let spend: Vec<&str> = metrics
        .iter()
        .filter(|m| m.role == MetricRole::Spend)
        .map(|m| m.key.as_str())
        .collect();
    let rows = world.rows(0, world.weeks());
    let is_flat = |r: &analytics::market::Row| r.brand == brand && spend.contains(&r.metric);
    let values: Vec<f64> = rows
        .iter()
        .enumerate()
        .map(|(i, row)| {
            if !is_flat(row) {
                return row.value;
            }
            let same = || {
                rows.iter()
                    .filter(|r| is_flat(r) && r.metric == row.metric && r.project == row.project)
            };
            let mean = same().map(|r| r.value).sum::<f64>() / same().count() as f64;
            mean * (1.0 + if i % 3 == 0 { 0.02 } else { -0.01 })
        })
        .collect();
    let text = |f: &dyn Fn(&analytics::market::Row) -> &'static str| {
        rows.iter()
            .map(|r| f(r).to_owned())
            .collect::<Vec<String>>()
    };
    let periods: Vec<_> = rows.iter().map(|r| r.period).collect();
    let frame = series::frame(
        text(&|r| r.project),
        text(&|r| r.brand),
        text(&|r| r.metric),
        &periods,
        values,
    )
    .expect("equal lengths");
    Panel::from_frame(&frame, brands, metrics).expect("rows of the simulator form a panel")
}
