//! Topic `score`: the product's scoring rule beside its fixture.

use std::time::Instant;

use analytics::score::{Method, MetricColumn, Options, score};
use domain::metric::{Direction, Section};
use serde_json::Value;

use super::{
    reference::repository,
    report::{Bar, Table},
};

const BRANDS: [&str; 4] = ["A", "B", "C", "D"];
/// One unit of the last digit that the fixture prints.
const UNIT: f64 = 1e-6;

pub(crate) fn measure(table: &mut Table) {
    let text = std::fs::read_to_string(repository("analytics/testdata/score_rule.json"))
        .expect("it is part of the repository");
    let fixture = serde_json::from_str::<Value>(&text).expect("it is JSON")["score_rule"].take();
    let weights = fixture["weights"].as_object().expect("a map");
    let direct = fixture["direct"].as_array().expect("a list");
    let columns: Vec<MetricColumn> = weights
        .iter()
        .map(|(key, weight)| MetricColumn {
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
        score(&columns, &options)
    };
    let off = |ours: Option<f64>, printed: &Value| {
        (ours.unwrap_or(f64::NAN) - number(printed)).abs() / UNIT
    };
    let (mut worst, mut count) = (0.0f64, 0);
    for (brand, scored) in BRANDS.iter().zip(of(Method::Product)) {
        let mut differences = vec![off(scored.value, &fixture["score_unfloored"][brand])];
        for (line, key) in scored.lines.iter().zip(weights.keys()) {
            differences.push(off(line.normalised, &fixture["normalised"][brand][key]));
            differences.push(off(line.benchmark, &fixture["benchmarks"][key]));
        }
        count += differences.len();
        worst = differences.into_iter().fold(worst, f64::max);
    }
    for (brand, scored) in BRANDS.iter().zip(of(Method::ProductFloored)) {
        count += 1;
        worst = worst.max(off(scored.value, &fixture["score_floored_to_tens"][brand]));
    }
    table.row(
        "scoring fixture: worst difference, units of the last digit",
        worst,
        None,
        Bar::AtMost(0.5),
        &format!("{count} printed benchmarks, points and scores"),
    );
    let wide: Vec<MetricColumn> = columns
        .iter()
        .map(|column| MetricColumn {
            values: column.values.iter().copied().cycle().take(10_000).collect(),
            ..column.clone()
        })
        .collect();
    let started = Instant::now();
    let scored = score(&wide, &Options::default());
    table.row(
        "10,000 brands × 5 metrics: ms",
        started.elapsed().as_secs_f64() * 1e3,
        None,
        Bar::Shown,
        &format!("{} scores with their contributions", scored.len()),
    );
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}
