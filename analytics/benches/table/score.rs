//! Topic `score`: the product's scoring rule beside its fixture.

use std::time::{Duration, Instant};

use analytics::{
    cancel::never,
    gap::gaps,
    rng,
    score::{
        Method, MetricColumn, Options,
        robustness::{DrawParams, RankError, RankRange, ranks},
        score,
    },
};
use domain::{
    competition::Reference,
    metric::{Direction, MetricUnit, Section},
};
use serde_json::Value;

use super::{
    figures::{median, pairs, worst},
    reference::repository,
    report::{Bar, Table},
};

const BRANDS: [&str; 4] = ["A", "B", "C", "D"];
/// One unit of the last digit that the fixture prints.
const UNIT: f64 = 1e-6;

pub(crate) fn measure(table: &mut Table) {
    let columns = fixture(table);
    many_brands(table, &columns);
}

/// Compares with the fixture; its metrics.
fn fixture(table: &mut Table) -> Vec<MetricColumn> {
    let text = std::fs::read_to_string(repository("analytics/testdata/score_rule.json"))
        .expect("it is part of the repository");
    let fixture = serde_json::from_str::<Value>(&text).expect("it is JSON")["score_rule"].take();
    let weights = fixture["weights"].as_object().expect("a map");
    let direct = fixture["direct"].as_array().expect("a list");
    let columns: Vec<MetricColumn> = weights
        .iter()
        .map(|(key, weight)| MetricColumn {
            key: key.clone(),
            direction: if direct.iter().any(|d| d == key) {
                Direction::Direct
            } else {
                Direction::Indirect
            },
            section: Section::Marketplace,
            weight: number(weight),
            values: BRANDS
                .iter()
                .map(|brand| number(&fixture["values"][brand][key]))
                .collect(),
        })
        .collect();
    let of = |method| {
        let options = Options {
            method,
            ..Options::default()
        };
        score(&columns, &options, &never).expect("plain numbers")
    };
    let off = |ours: Option<f64>, printed: &Value| {
        (ours.unwrap_or(f64::NAN) - number(printed)).abs() / UNIT
    };
    let mut differences = Vec::new();
    let keys: Vec<&String> = weights.keys().collect();
    for (brand, scored) in pairs(&BRANDS, &of(Method::Product)) {
        differences.push(off(scored.value, &fixture["score_unfloored"][brand]));
        for (line, key) in pairs(&scored.lines, &keys) {
            differences.push(off(line.normalised, &fixture["normalised"][brand][key]));
            differences.push(off(line.benchmark, &fixture["benchmarks"][key]));
        }
    }
    for (brand, scored) in pairs(&BRANDS, &of(Method::ProductFloored)) {
        differences.push(off(scored.value, &fixture["score_floored_to_tens"][brand]));
    }
    let count = differences.len();
    table.row(
        "scoring fixture: worst difference, units of the last digit",
        worst(differences),
        None,
        Bar::AtMost(0.5),
        &format!("{count} printed benchmarks, points and scores"),
    );
    columns
}

/// Brands of a very large category.
const MANY: usize = 10_000;

/// Scores, ranks under drawn weights and gaps of very many brands.
fn many_brands(table: &mut Table, columns: &[MetricColumn]) {
    let wide: Vec<MetricColumn> = columns
        .iter()
        .enumerate()
        .map(|(metric, column)| MetricColumn {
            values: rng::normals(&mut rng::stream(4, &[metric as u64]), MANY)
                .into_iter()
                .map(f64::exp)
                .collect(),
            ..column.clone()
        })
        .collect();
    let name = |what: &str| format!("10,000 brands × {} metrics: {what}", wide.len());
    let (time, scored) =
        timed(|| score(&wide, &Options::default(), &never).expect("the numbers are sound"));
    table.row(
        &name("scores, ms"),
        time,
        None,
        Bar::Shown,
        "with contributions, median of 5",
    );
    let draws = DrawParams::default();
    let (time, ranges) = timed(|| ranks(&wide, &scored, &draws, &never).expect("sound draws"));
    table.row(
        &name("ranks under 2,000 drawn weightings, s"),
        time / 1e3,
        None,
        Bar::Shown,
        "median of 5",
    );
    // The rank by the given weights from a sort of the scores.
    let of = |brand: usize| scored[brand].value.expect("all are scored");
    let mut sorted: Vec<f64> = (0..MANY).map(of).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let is_sound = |range: &RankRange, rank: usize| {
        let whole: f64 = range.shares.iter().map(|(_, share)| share).sum();
        range.rank == Some(rank)
            && (whole - 1.0).abs() < 1e-9
            && matches!((range.best, range.worst), (Some(best), Some(worst)) if best <= worst)
    };
    assert_eq!(ranges.len(), MANY);
    let unsound = ranges
        .iter()
        .enumerate()
        .filter(|(brand, range)| {
            let better = sorted.partition_point(|value| *value > of(*brand));
            !is_sound(range, better + 1)
        })
        .count();
    table.row(
        &name("brands with unsound ranks"),
        unsound as f64,
        None,
        Bar::AtMost(0.0),
        "rank by the given weights as from a sort, shares that add up to 1, the best rank no worse than the worst",
    );
    let started = Instant::now();
    let until = Duration::from_millis(50);
    let result = ranks(&wide, &scored, &draws, &|| started.elapsed() > until);
    let late = started.elapsed().saturating_sub(until).as_secs_f64() * 1e3;
    table.row(
        &name("ms from asking to stop until drawing weights has stopped"),
        if matches!(result, Err(RankError::Cancelled(_))) {
            late
        } else {
            f64::NAN
        },
        None,
        Bar::AtMost(50.0),
        "wall",
    );
    let unit = MetricUnit::Count;
    let (time, all) = timed(|| {
        let of = |column: &MetricColumn| gaps(&column.values, column.direction, unit, &never);
        wide.iter()
            .map(|column| of(column).expect("nobody cancels"))
            .collect::<Vec<_>>()
    });
    table.row(
        &name("gaps to leader, benchmark and category, ms"),
        time,
        None,
        Bar::Shown,
        "median of 5",
    );
    let unsound = pairs(&wide, &all)
        .filter(|(column, found)| {
            let sign = if column.direction == Direction::Direct {
                1.0
            } else {
                -1.0
            };
            let best = worst(column.values.iter().map(|value| sign * value));
            let are_sound = found.len() == 3 * MANY
                && found.iter().all(|gap| {
                    let value = column.values[gap.brand];
                    gap.value == value
                        && (gap.reference != Reference::Leader
                            || gap.gap == best - sign * value
                                && (gap.rank == 1) == (sign * value == best))
                });
            !are_sound
        })
        .count();
    table.row(
        &name("metrics with unsound gaps"),
        unsound as f64,
        None,
        Bar::AtMost(0.0),
        "three gaps of every brand, the leader's as from the best value",
    );
}

/// Median wall milliseconds of five runs, and the last result.
fn timed<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let mut last = None;
    let times: Vec<f64> = (0..5)
        .map(|_| {
            let started = Instant::now();
            last = Some(run());
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    (median(times), last.expect("it ran"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}
