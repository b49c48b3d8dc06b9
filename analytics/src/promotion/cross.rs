//! What one brand's promotions did to another brand's sales, in one category.
//!
//! Each brand's outcome is explained by its own promotions, by those of every other brand of the category that sells in
//! enough periods, and by the controls, all in one regression, so that brands that promote in the same weeks are not taken
//! for one another. Nothing forces the sign: below zero one brand takes from the other, above zero it brings buyers along.
//! Errors follow from first-order autocorrelated noise whose autocorrelation is estimated by restricted maximum likelihood
//! (Harville 1977): with many drivers and one year of weeks those of Newey and West are too small. The q-values are those
//! of one Benjamini–Hochberg family over all ordered pairs and promotions of the category.

use polars::prelude::{DataFrame, PolarsError};
use serde::{Deserialize, Serialize};

use super::{
    Form, Options, Verdict, category_series, judge,
    regression::{Regression, Response, aligned, controls, moves},
    spread,
};
use crate::{
    linear::{gls, orthonormal, reml_autocorrelation, remove},
    series::Series,
};

/// Fewest periods beyond the number of coefficients.
const MIN_DOF: usize = 16;

/// Variance inflation above which two things that happened together cannot be told apart.
const MAX_INFLATION: f64 = 10.0;

/// What one more promoted product of one brand does to another brand's outcome in the same period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossPromotionEffect {
    /// The brand that promotes.
    pub driver_brand: String,
    /// Its promotion metric.
    pub driver: String,
    /// The brand whose outcome may move.
    pub affected: String,
    /// How the outcome entered.
    pub form: Form,
    /// Change of the affected brand's outcome per unit of the driver, as a share: −0.02 = 2 % less.
    pub effect: f64,
    /// Its 95 % interval.
    pub low95: f64,
    /// Its 95 % interval.
    pub high95: f64,
    /// The coefficient divided by its standard error.
    pub t: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// Benjamini–Hochberg q-value over all pairs and promotions of the category that could be estimated.
    pub q: f64,
    /// Periods used.
    pub periods: usize,
    /// Standard deviation of the driver.
    pub driver_deviation: f64,
    /// How much the uncertainty grows because the other columns resemble the driver: 1 ÷ (1 − R²).
    pub variance_inflation: f64,
    /// Whether it is known.
    pub verdict: Verdict,
}

/// Estimates the effects of every brand's promotions on every other brand of one category, from a long table with the columns
/// `project`, `brand`, `metric`, `period` and `value`; the category is the project. Only brands with enough periods of sales
/// take part. Ordered by affected brand, then driver brand, then promotion.
///
/// # Errors
/// When a column is missing or of the wrong type, or a series that is read is refused by [`crate::series::cut`].
pub fn cross_promotion_effects(
    table: &DataFrame,
    category: &str,
    options: &Options,
) -> Result<Vec<CrossPromotionEffect>, PolarsError> {
    let series = category_series(table, category, options)?;
    let brands: Vec<(&str, &Series)> = series
        .iter()
        .filter_map(|(name, metrics)| Some((name.as_str(), metrics.get(&options.outcome)?)))
        .filter(|(_, outcome)| outcome.active() >= options.min_active)
        .collect();
    let mut found = Vec::new();
    for (affected, outcome) in &brands {
        let drivers: Vec<Driver<'_>> = brands
            .iter()
            .flat_map(|(brand, _)| options.drivers.iter().map(move |metric| (*brand, metric)))
            .map(|(brand, metric)| Driver {
                brand,
                metric,
                values: series[brand]
                    .get(metric)
                    .map_or_else(Vec::new, |s| aligned(s, outcome, options.granularity)),
            })
            .collect();
        found.extend(on_brand(
            affected,
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

/// One promotion of one brand on the calendar of the affected brand.
struct Driver<'a> {
    brand: &'a str,
    metric: &'a str,
    values: Vec<f64>,
}

fn on_brand(
    affected: &str,
    outcome: &[f64],
    drivers: &[Driver<'_>],
    per_year: usize,
) -> Vec<CrossPromotionEffect> {
    let Some(response) = Response::new(outcome) else {
        return Vec::new();
    };
    let moving: Vec<(usize, Vec<f64>)> = drivers
        .iter()
        .enumerate()
        .map(|(i, driver)| (i, response.cut(&driver.values)))
        .filter(|(_, values)| moves(values))
        .collect();
    let mut columns = controls(&response.periods, outcome.len(), per_year);
    let first = columns.len();
    columns.extend(moving.iter().map(|(_, values)| values.clone()));
    let fit = (response.y.len() >= columns.len() + MIN_DOF)
        .then(|| autoregressive(&columns, &response.y));
    drivers
        .iter()
        .enumerate()
        .filter(|(_, driver)| driver.brand != affected)
        .map(|(i, driver)| {
            let mut effect = CrossPromotionEffect {
                driver_brand: driver.brand.to_owned(),
                driver: driver.metric.to_owned(),
                affected: affected.to_owned(),
                form: response.form,
                effect: 0.0,
                low95: f64::NEG_INFINITY,
                high95: f64::INFINITY,
                t: 0.0,
                p: 1.0,
                q: 1.0,
                periods: response.y.len(),
                driver_deviation: spread(&response.cut(&driver.values)).1,
                variance_inflation: f64::INFINITY,
                verdict: Verdict::DriverTooStill,
            };
            match (&fit, moving.iter().position(|(of, _)| *of == i)) {
                (Some(fit), Some(position)) => {
                    let share = response.form.share(fit, first + position);
                    effect.variance_inflation = variance_inflation(&columns, first + position);
                    effect.effect = share.effect;
                    (effect.low95, effect.high95) = share.interval95;
                    (effect.t, effect.p) = (share.t, share.p);
                    effect.verdict = if effect.variance_inflation > MAX_INFLATION {
                        Verdict::Entangled
                    } else {
                        Verdict::Unclear
                    };
                }
                (None, Some(_)) => effect.verdict = Verdict::TooShort,
                (_, None) => {}
            }
            effect
        })
        .collect()
}

/// Generalised least squares with first-order autocorrelated errors.
fn autoregressive(columns: &[Vec<f64>], y: &[f64]) -> Regression {
    let fit = gls(columns, y, reml_autocorrelation(columns, y));
    Regression {
        coefficients: fit.coefficients,
        errors: fit.errors,
        dof: fit.dof,
    }
}

/// How much of a column, beyond its mean, the other columns explain, as `1 / (1 − R²)`. The first column is the constant.
fn variance_inflation(columns: &[Vec<f64>], position: usize) -> f64 {
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
    let mut centred = columns[position].clone();
    remove(&mut centred, &orthonormal(&columns[..1]));
    let others: Vec<Vec<f64>> = columns
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != position)
        .map(|(_, c)| c.clone())
        .collect();
    let mut rest = columns[position].clone();
    remove(&mut rest, &orthonormal(&others));
    let (all, left) = (norm(&centred), norm(&rest));
    if left > 1e-12 * all {
        all / left
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    const BRANDS: [&str; 4] = ["a", "b", "c", "d"];
    const METRICS: [&str; 2] = ["display", "mailer"];

    /// A year of four brands with two promotions each; the display of `b` moves the logarithm of `a` by `effect`.
    fn world(seed: u64, effect: f64) -> (Vec<f64>, Vec<Driver<'static>>) {
        let mut random = rng::stream(seed, &[1]);
        let drivers: Vec<Driver<'static>> = BRANDS
            .into_iter()
            .flat_map(|brand| METRICS.map(|metric| (brand, metric)))
            .map(|(brand, metric)| Driver {
                brand,
                metric,
                values: (0..52)
                    .map(|_| f64::from(u8::from(rng::normal(&mut random) > 0.5)))
                    .collect(),
            })
            .collect();
        let noise = rng::autoregression(&mut random, 0.4, 52);
        let units = (0..52)
            .map(|t| {
                let (own, rival) = (drivers[0].values[t], drivers[2].values[t]);
                (4.0 + 0.2 * own + effect * rival + 0.1 * noise[t]).exp()
            })
            .collect();
        (units, drivers)
    }

    fn estimate(seed: u64, effect: f64) -> Vec<CrossPromotionEffect> {
        let (units, drivers) = world(seed, effect);
        on_brand("a", &units, &drivers, 52)
    }

    #[test]
    fn a_rival_that_takes_sales_is_found_with_its_sign_and_its_interval_holds_the_truth() {
        let truth = (-0.2f64).exp_m1();
        let covered = (0..200)
            .filter(|seed| {
                let found = estimate(*seed, -0.2);
                let effect = found
                    .iter()
                    .find(|e| e.driver_brand == "b" && e.driver == "display")
                    .expect("the pair was looked at");
                assert!(effect.t < -2.0, "{effect:?}");
                effect.low95 <= truth && truth <= effect.high95
            })
            .count();
        // 190 expected, four standard deviations of a binomial either way.
        assert!((178..=200).contains(&covered), "{covered}");
    }

    #[test]
    fn p_values_of_nothing_are_uniform_enough_for_error_control() {
        let small = (0..400)
            .flat_map(|seed| estimate(seed, 0.0))
            .filter(|e| e.p <= 0.05)
            .count();
        // Six effects per world: 120 of 2,400 expected; up to 7 % passes.
        assert!((72..=168).contains(&small), "{small}");
    }

    #[test]
    fn a_brand_is_not_its_own_rival_and_its_own_promotion_is_accounted_for() {
        let found = estimate(5, 0.0);
        assert_eq!(found.len(), 6);
        assert!(found.iter().all(|e| e.driver_brand != "a"));
    }

    #[test]
    fn rivals_that_always_promote_together_are_not_told_apart() {
        let (units, mut drivers) = world(9, 0.3);
        drivers[4].values = drivers[2].values.clone();
        let found = on_brand("a", &units, &drivers, 52);
        let of = |brand: &str| {
            found
                .iter()
                .find(|e| e.driver_brand == brand && e.driver == "display")
                .expect("it was looked at")
                .verdict
        };
        assert_eq!((of("b"), of("c")), (Verdict::Entangled, Verdict::Entangled));
    }

    #[test]
    fn a_rival_that_never_promoted_gets_no_effect() {
        let (units, mut drivers) = world(9, 0.3);
        drivers[4].values = Vec::new();
        drivers[5].values = vec![0.0; 52];
        let found = on_brand("a", &units, &drivers, 52);
        let still = found.iter().filter(|e| e.driver_brand == "c");
        assert!(still.clone().all(|e| e.verdict == Verdict::DriverTooStill));
        assert_eq!(still.count(), 2);
    }

    #[test]
    fn a_history_too_short_for_so_many_rivals_is_said_to_be_so() {
        let (units, mut drivers) = world(9, 0.3);
        drivers.iter_mut().for_each(|d| d.values.truncate(26));
        let found = on_brand("a", &units[..26], &drivers, 52);
        assert!(
            found.iter().all(|e| e.verdict == Verdict::TooShort),
            "{found:?}"
        );
    }
}
