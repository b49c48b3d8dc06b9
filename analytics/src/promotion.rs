//! What promotions did to sales: a regression per brand of one category, of its own promotions or of its rivals' too
//! ([`cross_promotion_effects`]).
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
    series::{Series, cut_only},
};
use regression::{Regression, Response, aligned, controls, moves, newey_west};

mod cross;
mod regression;

pub use cross::{CrossPromotionEffect, cross_promotion_effects};

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
    /// The history is too short for all that would have to be told apart.
    TooShort,
    /// What else happened explains the promotion so well that the two cannot be told apart.
    Entangled,
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

impl Form {
    /// What coefficient `position` says: the change of the outcome as a share.
    fn share(self, fit: &Regression, position: usize) -> Share {
        let (k, error) = (fit.coefficients[position], fit.errors[position]);
        let half = t_width(0.95, fit.dof) * error;
        let share = |k: f64| match self {
            Self::Log => k.exp_m1(),
            Self::Linear => k,
        };
        let t = if error > 0.0 { k / error } else { 0.0 };
        Share {
            effect: share(k),
            interval95: (share(k - half), share(k + half)),
            t,
            p: two_sided_p(t, fit.dof),
        }
    }
}

/// One coefficient in the terms of the outcome.
struct Share {
    effect: f64,
    interval95: (f64, f64),
    t: f64,
    p: f64,
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
/// When a column is missing or of the wrong type, or a series that is read is refused by [`crate::series::cut`].
pub fn promotion_effects(
    table: &DataFrame,
    category: &str,
    options: &Options,
) -> Result<Vec<PromotionEffect>, PolarsError> {
    let brands = category_series(table, category, options)?;
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
    judge(
        found
            .iter_mut()
            .map(|e| (e.p, &mut e.q, &mut e.verdict))
            .collect(),
        options.max_q,
    );
    Ok(found)
}

/// The series of one category, by brand and metric.
fn category_series(
    table: &DataFrame,
    category: &str,
    options: &Options,
) -> Result<BTreeMap<String, BTreeMap<String, Series>>, PolarsError> {
    let is_read = |metric: &str| {
        metric == options.outcome || options.drivers.iter().any(|driver| driver == metric)
    };
    let mut brands: BTreeMap<String, BTreeMap<String, Series>> = BTreeMap::new();
    for series in cut_only(table, options.granularity, |project, _, metric| {
        project == category && is_read(metric)
    })? {
        brands
            .entry(series.brand.clone())
            .or_default()
            .insert(series.metric.clone(), series);
    }
    Ok(brands)
}

/// Turns the p-values of one family into q-values, and says of each effect that was tested whether it was found.
fn judge(family: Vec<(f64, &mut f64, &mut Verdict)>, max_q: f64) {
    let mut tested: Vec<_> = family
        .into_iter()
        .filter(|(_, _, verdict)| **verdict == Verdict::Unclear)
        .collect();
    let q = benjamini_hochberg(&tested.iter().map(|(p, _, _)| *p).collect::<Vec<_>>());
    for ((_, slot, verdict), q) in tested.iter_mut().zip(q) {
        **slot = q;
        if q <= max_q {
            **verdict = Verdict::Found;
        }
    }
}

/// Mean and standard deviation of a driver.
fn spread(values: &[f64]) -> (f64, f64) {
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let average = mean(values);
    let squares: f64 = values.iter().map(|v| (v - average).powi(2)).sum();
    (
        average,
        (squares / (values.len() as f64 - 1.0).max(1.0)).sqrt(),
    )
}

fn brand_effects(
    brand: &str,
    outcome: &[f64],
    drivers: &[(&str, Vec<f64>)],
    per_year: usize,
) -> Vec<PromotionEffect> {
    let Some(response) = Response::new(outcome) else {
        return Vec::new();
    };
    let moving: Vec<(usize, Vec<f64>)> = drivers
        .iter()
        .enumerate()
        .map(|(i, (_, values))| (i, response.cut(values)))
        .filter(|(_, values)| moves(values))
        .collect();
    let mut columns = controls(&response.periods, outcome.len(), per_year);
    let first = columns.len();
    columns.extend(moving.iter().map(|(_, values)| values.clone()));
    let fit = (response.y.len() > columns.len() + 8).then(|| newey_west(&columns, &response.y));
    drivers
        .iter()
        .enumerate()
        .map(|(i, (driver, values))| {
            let (average, deviation) = spread(&response.cut(values));
            let mut effect = PromotionEffect {
                brand: brand.to_owned(),
                driver: (*driver).to_owned(),
                form: response.form,
                effect: 0.0,
                low95: f64::NEG_INFINITY,
                high95: f64::INFINITY,
                t: 0.0,
                p: 1.0,
                q: 1.0,
                periods: response.y.len(),
                driver_mean: average,
                driver_deviation: deviation,
                verdict: Verdict::DriverTooStill,
            };
            match (&fit, moving.iter().position(|(of, _)| *of == i)) {
                (Some(fit), Some(position)) => {
                    let share = response.form.share(fit, first + position);
                    effect.effect = share.effect;
                    (effect.low95, effect.high95) = share.interval95;
                    (effect.t, effect.p) = (share.t, share.p);
                    effect.verdict = Verdict::Unclear;
                }
                (None, Some(_)) => effect.verdict = Verdict::TooShort,
                (_, None) => {}
            }
            effect
        })
        .collect()
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
