//! What an importer gets to see of a world: rows per project, brand, metric and week, with gaps and typing errors.

use chrono::{Days, NaiveDate};
use rand::Rng;

use domain::metric::MetricRole as Role;

use super::catalogue::{BRANDS, CHANNEL_COUNT, METRICS, Metric, OWN, PROJECTS};
use super::path::{Path, pressure};
use super::spec::{Spec, YEAR, health_shape};
use crate::rng::{normal, stream};

/// One observed value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Project key.
    pub project: &'static str,
    /// Brand key.
    pub brand: &'static str,
    /// Metric key.
    pub metric: &'static str,
    /// Monday of the week.
    pub period: NaiveDate,
    /// Value in the metric's unit.
    pub value: f64,
}

/// Share of project-weeks of a brand for which nothing was delivered.
const MISSING: f64 = 0.008;
/// Share of single values that were typed or exported wrongly.
const OUTLIERS: f64 = 0.0025;

/// First Monday of every world.
#[must_use]
pub fn first_week() -> NaiveDate {
    NaiveDate::from_ymd_opt(2023, 11, 6).expect("a date of the calendar")
}

/// Rows of weeks `from..to`.
pub(super) fn rows(seed: u64, spec: &Spec, path: &Path, from: usize, to: usize) -> Vec<Row> {
    let mut out = Vec::new();
    let absent: Vec<Vec<Vec<bool>>> = (0..BRANDS.len())
        .map(|b| {
            (0..PROJECTS.len())
                .map(|p| {
                    let rng = &mut stream(seed, &[600, b as u64, p as u64]);
                    (0..to).map(|_| rng.random::<f64>() < MISSING).collect()
                })
                .collect()
        })
        .collect();
    for (b, brand) in BRANDS.iter().enumerate() {
        let shares = if b < OWN {
            spec.brands[b].shares
        } else {
            [0.4, 0.35, 0.25]
        };
        for (m, metric) in METRICS.iter().enumerate() {
            if b >= OWN && !metric.rivals {
                continue;
            }
            let rng = &mut stream(seed, &[500, b as u64, m as u64]);
            let total = values(seed, spec, path, b, metric, m, to);
            for (t, value) in total.iter().enumerate() {
                let unrest: [f64; 3] = std::array::from_fn(|_| normal(rng));
                let slips: [f64; 3] = std::array::from_fn(|_| rng.random());
                let factor: f64 = rng.random_range(2.0..5.0);
                if t < from {
                    continue;
                }
                let slices = split(metric, *value, &shares, &unrest);
                let period = first_week() + Days::new(7 * t as u64);
                for (p, (project, _)) in PROJECTS.iter().enumerate() {
                    if absent[b][p][t] {
                        continue;
                    }
                    let wrong = slips[p] < OUTLIERS
                        && matches!(metric.role, Role::Outcome | Role::Spend | Role::Health);
                    let value = match (wrong, slips[p] < OUTLIERS / 2.0) {
                        (true, true) => slices[p] / factor,
                        (true, false) => slices[p] * factor,
                        (false, _) => slices[p],
                    };
                    out.push(Row {
                        project,
                        brand: brand.key,
                        metric: metric.key,
                        period,
                        value: round(metric, value),
                    });
                }
            }
        }
    }
    out
}

/// Splits a brand's value over the projects; additive metrics add up, the others average to it.
fn split(metric: &Metric, value: f64, shares: &[f64; 3], unrest: &[f64; 3]) -> [f64; 3] {
    if metric.additive {
        let weights: [f64; 3] = std::array::from_fn(|p| shares[p] * (0.04 * unrest[p]).exp());
        let sum: f64 = weights.iter().sum();
        std::array::from_fn(|p| value * weights[p] / sum)
    } else if metric.role == Role::Health {
        let mean = unrest.iter().sum::<f64>() / 3.0;
        std::array::from_fn(|p| value * (1.0 + 0.02 * (unrest[p] - mean)))
    } else {
        [value; 3]
    }
}

fn round(metric: &Metric, value: f64) -> f64 {
    let digits = match metric.unit {
        "units" | "impressions" | "mentions" | "visits" => 1.0,
        "EUR" => 100.0,
        _ => 10_000.0,
    };
    (value * digits).round() / digits
}

/// A brand's values of a metric for weeks `0..to`.
fn values(
    seed: u64,
    spec: &Spec,
    path: &Path,
    b: usize,
    metric: &Metric,
    m: usize,
    to: usize,
) -> Vec<f64> {
    let x = &spec.exogenous;
    let own = b < OWN;
    let weeks = 0..to;
    let list = if own {
        spec.brands[b].price
    } else {
        14.0 + b as f64
    };
    match metric.key {
        "units_sold" if own => path.sales[b][..to]
            .iter()
            .map(|y| y / spec.brands[b].margin)
            .collect(),
        "units_sold" => weeks
            .map(|t| {
                let wave = (std::f64::consts::TAU * t as f64 / YEAR + b as f64).sin();
                let relative = 1.0 + 0.06 * wave + 0.6 * (x.demand[t] - 1.0)
                    - 1.6 * x.log_price[b][t]
                    + 0.05 * pressure(spec, b - OWN, t)
                    + 0.03 * x.noise[b][t];
                60_000.0 * relative
            })
            .collect(),
        "average_price" => weeks.map(|t| list * x.log_price[b][t].exp()).collect(),
        "promotion_depth" => weeks.map(|t| 100.0 * x.depth[b][t]).collect(),
        "promotion_cost" => weeks
            .map(|t| {
                let brand = &spec.brands[b];
                0.3 * x.depth[b][t] * brand.price * brand.base / brand.margin
            })
            .collect(),
        "category_demand" => weeks.map(|t| 100.0 * x.demand[t]).collect(),
        "media_pressure" if own => weeks.map(|t| total_spend(path, b, t) / 400.0).collect(),
        "media_pressure" => weeks
            .map(|t| 150.0 * pressure(spec, b - OWN, t).exp())
            .collect(),
        "ad_impressions" => weeks.map(|t| 120.0 * total_spend(path, b, t)).collect(),
        "bestseller_rank" => {
            // Follows sales of the week before: a trap for whoever looks for leading indicators.
            let rng = &mut stream(seed, &[700, b as u64]);
            weeks
                .map(|t| {
                    let unrest = 0.1 * normal(rng);
                    let sold = if own && t > 0 {
                        path.sales[b][t - 1] / (1.3 * spec.brands[b].base) - 1.0
                    } else {
                        0.0
                    };
                    24.0 * (unrest - 2.0 * sold).exp()
                })
                .collect()
        }
        key => match (health_shape(key), metric.channel) {
            (Some((level, _, _)), _) => {
                let ceiling = if key == "availability" {
                    100.0
                } else {
                    f64::INFINITY
                };
                weeks
                    .map(|t| (level * (1.0 + x.health[b][m][t])).min(ceiling).max(0.0))
                    .collect()
            }
            (None, Some(channel)) => {
                let c = super::catalogue::CHANNELS
                    .iter()
                    .position(|(key, _)| *key == channel)
                    .expect("spend metrics name a channel of the catalogue");
                path.spend[b * CHANNEL_COUNT + c][..to].to_vec()
            }
            (None, None) => Vec::new(),
        },
    }
}

fn total_spend(path: &Path, b: usize, t: usize) -> f64 {
    (0..CHANNEL_COUNT)
        .map(|c| path.spend[b * CHANNEL_COUNT + c][t])
        .sum()
}
