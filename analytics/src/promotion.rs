//! What promotions did to sales: a regression per brand of one category.
//!
//! The logarithm of a brand's units (the units themselves where some weeks sold nothing) is explained by the number of its
//! products on display and in the mailer, a trend, and one swing per year where there are at least two years of data, else two
//! smooth bends. Standard errors are Newey and West's (1987), since weeks resemble their neighbours, and q-values
//! control the false discoveries over all brands and drivers of the category (Benjamini and Hochberg 1995).
//!
//! An effect is only claimed where the driver moved and the history is long enough; otherwise the verdict says why not.

use std::collections::BTreeMap;

use domain::metric::Granularity;
use polars::prelude::{DataFrame, PolarsError};
use serde::{Deserialize, Serialize};

use crate::{
    inference::{benjamini_hochberg, mean, t_width, two_sided_p},
    linear::Cholesky,
    series::{Series, cut},
};

/// What to estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The outcome metric, such as `units`.
    pub outcome: String,
    /// The promotion metrics, such as `display` and `mailer`.
    pub drivers: Vec<String>,
    /// Fewest periods with sales for a brand to be looked at.
    pub min_active: usize,
    /// Length of the periods.
    pub granularity: Granularity,
    /// Largest q-value of an effect that is claimed.
    pub max_q: f64,
}

impl Options {
    /// Weekly data, at least 40 weeks with sales, q ≤ 0.05.
    pub fn weekly(outcome: &str, drivers: &[&str]) -> Self {
        Self {
            outcome: outcome.to_owned(),
            drivers: drivers.iter().map(|d| (*d).to_owned()).collect(),
            min_active: 40,
            granularity: Granularity::Week,
            max_q: 0.05,
        }
    }
}

/// Whether an effect is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is there: q is small enough.
    Found,
    /// The data cannot tell it from nothing.
    Unclear,
    /// The promotion hardly moved: in fewer than three periods it was above, or below, its usual level.
    DriverTooStill,
}

/// How the outcome entered the regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Its logarithm.
    Log,
    /// Itself, with effects given as a share of its mean.
    Linear,
}

/// What one more promoted product does to a brand's outcome in the same period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromotionEffect {
    /// Brand.
    pub brand: String,
    /// The promotion metric.
    pub driver: String,
    /// How the outcome entered.
    pub form: Form,
    /// Change of the outcome per unit of the driver, as a share: 0.05 = 5 % more.
    pub effect: f64,
    /// Its 95 % interval.
    pub low95: f64,
    /// Its 95 % interval.
    pub high95: f64,
    /// The coefficient divided by its Newey–West standard error.
    pub t: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// Benjamini–Hochberg q-value over all effects of the category that could be estimated.
    pub q: f64,
    /// Periods used.
    pub periods: usize,
    /// Mean of the driver.
    pub driver_mean: f64,
    /// Standard deviation of the driver.
    pub driver_deviation: f64,
    /// Whether it is known.
    pub verdict: Verdict,
}

/// Estimates the promotion effects of one category from a long table with the columns `project`, `brand`, `metric`, `period`
/// and `value`; the category is the project. Brands come in the order of their names.
///
/// # Errors
/// When a column is missing or of the wrong type.
pub fn promotion_effects(
    table: &DataFrame,
    category: &str,
    options: &Options,
) -> Result<Vec<PromotionEffect>, PolarsError> {
    let mut brands: BTreeMap<String, BTreeMap<String, Series>> = BTreeMap::new();
    for series in cut(table, options.granularity)?
        .into_iter()
        .filter(|s| s.project == category)
    {
        brands
            .entry(series.brand.clone())
            .or_default()
            .insert(series.metric.clone(), series);
    }
    let mut found = Vec::new();
    for (brand, metrics) in &brands {
        let Some(outcome) = metrics
            .get(&options.outcome)
            .filter(|s| s.active() >= options.min_active)
        else {
            continue;
        };
        let drivers: Vec<(&str, Vec<f64>)> = options
            .drivers
            .iter()
            .map(|key| {
                (
                    key.as_str(),
                    metrics
                        .get(key)
                        .map_or_else(Vec::new, |s| aligned(s, outcome, options.granularity)),
                )
            })
            .collect();
        found.extend(brand_effects(
            brand,
            &outcome.values,
            &drivers,
            options.granularity.per_year(),
        ));
    }
    let testable: Vec<usize> = (0..found.len())
        .filter(|i| found[*i].verdict != Verdict::DriverTooStill)
        .collect();
    let q = benjamini_hochberg(&testable.iter().map(|i| found[*i].p).collect::<Vec<_>>());
    for (i, q) in testable.into_iter().zip(q) {
        found[i].q = q;
        found[i].verdict = if q <= options.max_q {
            Verdict::Found
        } else {
            Verdict::Unclear
        };
    }
    Ok(found)
}

/// A driver on the outcome's calendar; a period without a row had no promotion.
fn aligned(driver: &Series, outcome: &Series, granularity: Granularity) -> Vec<f64> {
    let known: BTreeMap<_, _> = driver
        .values
        .iter()
        .enumerate()
        .map(|(t, v)| (driver.period(t, granularity), *v))
        .collect();
    (0..outcome.values.len())
        .map(|t| {
            known
                .get(&outcome.period(t, granularity))
                .copied()
                .filter(|v| v.is_finite())
                .unwrap_or(0.0)
        })
        .collect()
}

fn brand_effects(
    brand: &str,
    outcome: &[f64],
    drivers: &[(&str, Vec<f64>)],
    per_year: usize,
) -> Vec<PromotionEffect> {
    let weeks: Vec<usize> = (0..outcome.len())
        .filter(|t| outcome[*t].is_finite())
        .collect();
    let n = weeks.len();
    let form = if weeks.iter().all(|t| outcome[*t] > 0.0) {
        Form::Log
    } else {
        Form::Linear
    };
    let level = mean(&weeks.iter().map(|t| outcome[*t]).collect::<Vec<_>>());
    let y: Vec<f64> = weeks
        .iter()
        .map(|t| {
            if form == Form::Log {
                outcome[*t].ln()
            } else {
                outcome[*t] / level
            }
        })
        .collect();
    let moving: Vec<(usize, Vec<f64>)> = drivers
        .iter()
        .enumerate()
        .filter(|(_, (_, values))| values.len() == outcome.len())
        .map(|(i, (_, values))| (i, weeks.iter().map(|t| values[*t]).collect::<Vec<f64>>()))
        .filter(|(_, values)| moves(values))
        .collect();
    let mut columns = controls(&weeks, outcome.len(), per_year);
    let first = columns.len();
    columns.extend(moving.iter().map(|(_, values)| values.clone()));
    let fit = (n > columns.len() + 8 && level > 0.0).then(|| newey_west(&columns, &y));
    drivers
        .iter()
        .enumerate()
        .map(|(i, (driver, values))| {
            let used: Vec<f64> = weeks
                .iter()
                .filter_map(|t| values.get(*t).copied())
                .collect();
            let average = if used.is_empty() { 0.0 } else { mean(&used) };
            let variance = used.iter().map(|v| (v - average).powi(2)).sum::<f64>()
                / (used.len() as f64 - 1.0).max(1.0);
            let mut effect = PromotionEffect {
                brand: brand.to_owned(),
                driver: (*driver).to_owned(),
                form,
                effect: 0.0,
                low95: f64::NEG_INFINITY,
                high95: f64::INFINITY,
                t: 0.0,
                p: 1.0,
                q: 1.0,
                periods: n,
                driver_mean: average,
                driver_deviation: variance.sqrt(),
                verdict: Verdict::DriverTooStill,
            };
            let position = moving.iter().position(|(of, _)| *of == i);
            if let (Some((coefficients, errors, dof)), Some(position)) = (&fit, position) {
                let (k, se) = (coefficients[first + position], errors[first + position]);
                let half = t_width(0.95, *dof) * se;
                let share = |k: f64| if form == Form::Log { k.exp_m1() } else { k };
                effect.effect = share(k);
                effect.low95 = share(k - half);
                effect.high95 = share(k + half);
                effect.t = if se > 0.0 { k / se } else { 0.0 };
                effect.p = two_sided_p(effect.t, *dof);
                effect.verdict = Verdict::Unclear;
            }
            effect
        })
        .collect()
}

/// Whether a driver was off its most common value in at least three periods, and on it in at least three.
fn moves(values: &[f64]) -> bool {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted[sorted.len() / 2];
    let off = sorted.iter().filter(|v| **v != middle).count();
    off >= 3 && sorted.first() != sorted.last()
}

/// Constant, trend, and the year: one pair of waves with at least two years, else two bends over the whole span.
fn controls(weeks: &[usize], length: usize, per_year: usize) -> Vec<Vec<f64>> {
    let column =
        |of: &dyn Fn(f64) -> f64| weeks.iter().map(|t| of(*t as f64)).collect::<Vec<f64>>();
    let span = (length.max(2) - 1) as f64;
    let mut columns = vec![column(&|_| 1.0), column(&|t| t / span - 0.5)];
    if length >= 2 * per_year {
        let angle = std::f64::consts::TAU / per_year as f64;
        columns.push(column(&|t| (angle * t).sin()));
        columns.push(column(&|t| (angle * t).cos()));
    } else {
        columns.push(column(&|t| (std::f64::consts::TAU * t / span).cos()));
        columns.push(column(&|t| (2.0 * std::f64::consts::TAU * t / span).cos()));
    }
    columns
}

/// Least squares with Newey–West standard errors (Bartlett weights, the usual lag 4 (n/100)^(2/9)) and the small-sample factor
/// n ÷ (n − k). Returns coefficients, errors and degrees of freedom.
fn newey_west(columns: &[Vec<f64>], y: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
    let (n, k) = (y.len(), columns.len());
    let gram = Cholesky::of_gram(columns, &[]);
    let moments: Vec<f64> = columns
        .iter()
        .map(|c| c.iter().zip(y).map(|(x, y)| x * y).sum())
        .collect();
    let coefficients = gram.solve(&moments);
    let residuals: Vec<f64> = (0..n)
        .map(|t| {
            y[t] - columns
                .iter()
                .zip(&coefficients)
                .map(|(c, b)| c[t] * b)
                .sum::<f64>()
        })
        .collect();
    let lags = ((4.0 * (n as f64 / 100.0).powf(2.0 / 9.0)).floor() as usize).min(n - 1);
    let scores: Vec<Vec<f64>> = columns
        .iter()
        .map(|c| c.iter().zip(&residuals).map(|(x, e)| x * e).collect())
        .collect();
    let dof = (n - gram.rank()).max(1) as f64;
    let errors = (0..k)
        .map(|i| {
            let mut unit = vec![0.0; k];
            unit[i] = 1.0;
            // Row i of the inverse Gram matrix turns the scores into the influence of each period on coefficient i.
            let row = gram.solve(&unit);
            let influence: Vec<f64> = (0..n)
                .map(|t| scores.iter().zip(&row).map(|(s, r)| s[t] * r).sum::<f64>())
                .collect();
            let mut variance: f64 = influence.iter().map(|v| v * v).sum();
            for lag in 1..=lags {
                let weight = 1.0 - lag as f64 / (lags + 1) as f64;
                variance += 2.0
                    * weight
                    * influence[lag..]
                        .iter()
                        .zip(&influence)
                        .map(|(a, b)| a * b)
                        .sum::<f64>();
            }
            (variance.max(0.0) * n as f64 / dof).sqrt()
        })
        .collect();
    (coefficients, errors, dof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    /// Weekly units with a display effect of `effect` on the logarithm, autocorrelated noise, and a mailer without effect.
    fn world(seed: u64, effect: f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let mut random = rng::stream(seed, &[1]);
        let (mut noise, mut units, mut display, mut mailer) =
            (0.0, Vec::new(), Vec::new(), Vec::new());
        for t in 0..104 {
            noise = 0.4 * noise + 0.1 * rng::normal(&mut random);
            let on_display = f64::from(u8::from(rng::normal(&mut random) > 0.52)) * 2.0;
            display.push(on_display);
            mailer.push(f64::from(u8::from(rng::normal(&mut random) > 0.52)));
            units.push((4.0 + 0.002 * f64::from(t) + effect * on_display + noise).exp());
        }
        (units, display, mailer)
    }

    fn estimate(seed: u64, effect: f64) -> Vec<PromotionEffect> {
        let (units, display, mailer) = world(seed, effect);
        brand_effects("b", &units, &[("display", display), ("mailer", mailer)], 52)
    }

    #[test]
    fn a_planted_display_effect_is_estimated_and_its_interval_holds_it() {
        let found = &estimate(7, 0.15)[0];
        let truth = 0.15f64.exp_m1();
        assert_eq!(found.form, Form::Log);
        assert!((found.effect - truth).abs() < 0.05, "{found:?}");
        assert!(
            found.low95 < truth && truth < found.high95 && found.t > 5.0,
            "{found:?}"
        );
    }

    #[test]
    fn ninety_five_percent_intervals_hold_nothing_most_of_the_time_when_there_is_nothing() {
        let covered = (0..200)
            .filter(|seed| {
                estimate(*seed, 0.0)
                    .iter()
                    .all(|e| e.low95 <= 0.0 && e.high95 >= 0.0)
            })
            .count();
        // Two effects per world: 0.95² · 200 = 180 expected.
        assert!((164..=194).contains(&covered), "{covered}");
    }

    #[test]
    fn a_driver_that_never_moves_gets_no_effect() {
        let (units, display, _) = world(3, 0.1);
        let found = brand_effects(
            "b",
            &units,
            &[("display", display), ("still", vec![1.0; 104])],
            52,
        );
        assert_eq!(found[1].verdict, Verdict::DriverTooStill);
        assert_eq!((found[1].p, found[1].effect), (1.0, 0.0));
    }

    #[test]
    fn weeks_without_sales_turn_the_regression_linear() {
        let (mut units, display, _) = world(3, 0.3);
        units[10] = 0.0;
        let found = &brand_effects("b", &units, &[("display", display)], 52)[0];
        assert_eq!(found.form, Form::Linear);
        assert!(found.effect > 0.1, "{found:?}");
    }
}
