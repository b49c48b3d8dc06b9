//! What an experiment in some regions sold: synthetic control.
//!
//! The treated regions' mean is set against a weighted mean of regions that were left alone, with weights that are not negative and
//! sum to one and a constant of its own (Abadie, Diamond and Hainmueller 2010; the constant after Doudchenko and Imbens 2016 and
//! Ferman and Pinto 2021). The p-value comes from shifting the residuals through time (Chernozhukov, Wüthrich and Zhu 2021), the
//! standard error from placebo treatments: every stretch of the same length before the treatment, forecast from all other periods
//! before it. Both hold with few regions and with autocorrelation.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    cancel::{Cancel, Cancelled},
    inference::t_width,
    linear::{add_scaled, dot},
};

/// An experiment: outcomes by region and period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// Treated regions.
    pub treated: Vec<Region>,
    /// Regions left alone, any number of which may get weight.
    pub donors: Vec<Region>,
    /// First treated period, counted from zero; treatment lasts to the end.
    pub start: usize,
}

/// A region's outcome by period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Name.
    pub name: String,
    /// Outcome by period.
    pub outcome: Vec<f64>,
}

/// What the experiment sold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lift {
    /// Mean effect per treated region and period, in units of the outcome.
    pub per_region_period: f64,
    /// Its standard error: root mean square of the effects that placebo treatments find before the treatment.
    pub error: f64,
    /// Effect over all treated regions and periods.
    pub incremental: f64,
    /// Effect as a share of the outcome without treatment, 0.05 is five percent.
    pub lift: f64,
    /// 90 % interval of the effect per region and period, by the t distribution with as many degrees of freedom as stretches that do
    /// not overlap.
    pub interval: (f64, f64),
    /// Probability of an effect this large without treatment.
    pub p_value: f64,
    /// Weights of donors above one in a million, largest first.
    pub weights: Vec<(String, f64)>,
    /// Constant by which treated regions stand above their weighted donors.
    pub intercept: f64,
    /// Root mean squared error before treatment as a share of the treated mean.
    pub fit_error: f64,
    /// Treated mean without treatment, by period.
    pub counterfactual: Vec<f64>,
    /// Observed minus counterfactual, by period.
    pub effect: Vec<f64>,
}

/// Why an experiment cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// No treated region, or none to compare with.
    #[error("an experiment needs treated regions and others to compare with")]
    NoRegions,
    /// Regions with different numbers of periods.
    #[error("region {0:?} does not have the same periods as the others")]
    Periods(String),
    /// A value that is not a number.
    #[error("region {0:?} has periods whose outcome is not known")]
    Missing(String),
    /// Too short before, or nothing after.
    #[error("there must be at least ten periods before the treatment, and one in it")]
    TooShort,
    /// The treated regions never change before treatment.
    #[error("the treated regions' outcome never changes before the treatment")]
    Constant,
    /// The search for the donors' weights came to no end.
    #[error(
        "the weights of the regions left alone did not converge; leave out regions whose outcome is of quite another size"
    )]
    NotConverged,
    /// Asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Reads an experiment.
///
/// # Errors
/// [`ExperimentError`].
pub fn synthetic_control(
    experiment: &Experiment,
    cancel: &dyn Cancel,
) -> Result<Lift, ExperimentError> {
    let (treated, donors) = (&experiment.treated, &experiment.donors);
    let Some(first) = treated.first().filter(|_| !donors.is_empty()) else {
        return Err(ExperimentError::NoRegions);
    };
    let n = first.outcome.len();
    for region in treated.iter().chain(donors) {
        if region.outcome.len() != n {
            return Err(ExperimentError::Periods(region.name.clone()));
        }
        if region.outcome.iter().any(|v| !v.is_finite()) {
            return Err(ExperimentError::Missing(region.name.clone()));
        }
    }
    let before = experiment.start;
    if before < 10 || before >= n {
        return Err(ExperimentError::TooShort);
    }
    let regions = treated.len() as f64;
    let y: Vec<f64> = (0..n)
        .map(|t| treated.iter().map(|r| r.outcome[t]).sum::<f64>() / regions)
        .collect();
    let columns: Vec<&[f64]> = donors.iter().map(|d| d.outcome.as_slice()).collect();
    let spread = centred(&y[..before]).1;
    if dot(&spread, &spread) <= 0.0 {
        return Err(ExperimentError::Constant);
    }
    cancel.check()?;
    let past: Vec<usize> = (0..before).collect();
    let (weights, intercept) = weigh(&y, &columns, &past, None, cancel)?;
    let counterfactual = combine(&columns, &weights, intercept, n);
    let effect: Vec<f64> = y.iter().zip(&counterfactual).map(|(a, b)| a - b).collect();
    let treated_periods = (n - before) as f64;
    let mean = effect[before..].iter().sum::<f64>() / treated_periods;
    let base: f64 = counterfactual[before..].iter().sum();
    let squares = dot(&effect[..before], &effect[..before]) / before as f64;
    let level = y[..before].iter().sum::<f64>() / before as f64;
    // A stretch may take a third of the past at most; a longer treatment's mean strays less, by the root of the lengths.
    let window = (n - before).min(before / 3).max(1);
    let mut strays = Vec::new();
    for first in 0..=before - window {
        cancel.check()?;
        let left_out = first..first + window;
        let rest: Vec<usize> = (0..before).filter(|t| !left_out.contains(t)).collect();
        let (weights, intercept) = weigh(&y, &columns, &rest, Some(&weights), cancel)?;
        let forecast = combine(&columns, &weights, intercept, before);
        strays.push(left_out.map(|t| y[t] - forecast[t]).sum::<f64>() / window as f64);
    }
    let error = (dot(&strays, &strays) / strays.len() as f64).sqrt()
        * (window as f64 / treated_periods).sqrt();
    let width = t_width(0.9, (before / window) as f64) * error;
    let p_value = shifted_p(&y, &columns, before, &weights, cancel)?;
    let mut named: Vec<(String, f64)> = donors
        .iter()
        .zip(&weights)
        .filter(|(_, w)| **w > 1e-6)
        .map(|(d, w)| (d.name.clone(), *w))
        .collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(Lift {
        per_region_period: mean,
        error,
        incremental: mean * treated_periods * regions,
        lift: mean * treated_periods / base,
        interval: (mean - width, mean + width),
        p_value,
        weights: named,
        intercept,
        fit_error: squares.sqrt() / level.abs(),
        counterfactual,
        effect,
    })
}

/// Share of the circular shifts of the residuals whose treated part is at least as large, weights fitted to all periods as if nothing
/// had been done.
fn shifted_p(
    y: &[f64],
    columns: &[&[f64]],
    before: usize,
    start: &[f64],
    cancel: &dyn Cancel,
) -> Result<f64, ExperimentError> {
    let n = y.len();
    let all: Vec<usize> = (0..n).collect();
    let (weights, intercept) = weigh(y, columns, &all, Some(start), cancel)?;
    let fitted = combine(columns, &weights, intercept, n);
    let residual: Vec<f64> = y.iter().zip(&fitted).map(|(a, b)| (a - b).abs()).collect();
    let statistic = |shift: usize| -> f64 { (before..n).map(|t| residual[(t + shift) % n]).sum() };
    let observed = statistic(0);
    let rarer = (0..n)
        .filter(|s| statistic(*s) >= observed * (1.0 - 1e-12))
        .count();
    Ok(rarer as f64 / n as f64)
}

/// Weights on the simplex and constant that fit the given periods best.
///
/// Accelerated projected gradient (Beck and Teboulle 2009) with restarts, until the Frank–Wolfe gap, which bounds how far the error
/// is from its least, is below 1e-10 of the outcome's variation, or below what rounding leaves of it where donors vary far more
/// than the outcome. A gap that is still above a millionth after 100,000 steps is an error.
fn weigh(
    y: &[f64],
    columns: &[&[f64]],
    periods: &[usize],
    start: Option<&[f64]>,
    cancel: &dyn Cancel,
) -> Result<(Vec<f64>, f64), ExperimentError> {
    let k = columns.len();
    let cut = |values: &[f64]| -> Vec<f64> { periods.iter().map(|t| values[*t]).collect() };
    let (level, target) = centred(&cut(y));
    let (levels, donors): (Vec<f64>, Vec<Vec<f64>>) =
        columns.iter().map(|c| centred(&cut(c))).unzip();
    let mut gram = vec![0.0; k * k];
    for i in 0..k {
        for j in 0..=i {
            let value = dot(&donors[i], &donors[j]);
            gram[i * k + j] = value;
            gram[j * k + i] = value;
        }
    }
    let moments: Vec<f64> = donors.iter().map(|d| dot(d, &target)).collect();
    // No eigenvalue is larger than the largest sum of a row's absolute entries (Gershgorin 1931).
    let largest = gram
        .chunks_exact(k)
        .map(|row| row.iter().map(|v| v.abs()).sum::<f64>())
        .fold(0.0f64, f64::max);
    let step = 1.0 / largest.max(f64::MIN_POSITIVE);
    let mut w = start.map_or_else(|| vec![1.0 / k as f64; k], <[f64]>::to_vec);
    let mut ahead = w.clone();
    let mut momentum = 1.0f64;
    let variation = dot(&target, &target).max(f64::MIN_POSITIVE);
    let rounding = gram
        .iter()
        .chain(&moments)
        .fold(0.0f64, |m, v| m.max(v.abs()))
        * 1e-15;
    let mut gap = f64::INFINITY;
    for iteration in 0..=100_000 {
        let slope = |w: &[f64]| -> Vec<f64> {
            (0..k)
                .map(|i| dot(&gram[i * k..(i + 1) * k], w) - moments[i])
                .collect()
        };
        if iteration % 20 == 0 {
            cancel.check()?;
            let g = slope(&w);
            gap = dot(&g, &w) - g.iter().copied().fold(f64::INFINITY, f64::min);
            if gap.is_nan() || gap <= (1e-10 * variation).max(rounding) {
                break;
            }
        }
        let g = slope(&ahead);
        let mut next = ahead.clone();
        add_scaled(&mut next, -step, &g);
        project(&mut next);
        let change: Vec<f64> = next.iter().zip(&w).map(|(a, b)| a - b).collect();
        // Momentum that points uphill starts afresh.
        let uphill: f64 = ahead
            .iter()
            .zip(&next)
            .zip(&change)
            .map(|((a, n), c)| (a - n) * c)
            .sum();
        let following = if uphill > 0.0 {
            1.0
        } else {
            0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt())
        };
        let carry = if uphill > 0.0 {
            0.0
        } else {
            (momentum - 1.0) / following
        };
        ahead.clone_from(&next);
        add_scaled(&mut ahead, carry, &change);
        momentum = following;
        w = next;
    }
    // Written so that a gap that is no number is an error.
    if gap <= 1e-6 * variation + rounding {
        let intercept = level - dot(&levels, &w);
        Ok((w, intercept))
    } else {
        Err(ExperimentError::NotConverged)
    }
}

/// The nearest point of the simplex (Held, Wolfe and Crowder 1974).
fn project(w: &mut [f64]) {
    let mut sorted = w.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut cut) = (0.0, 0.0);
    for (i, v) in sorted.iter().enumerate() {
        sum += v;
        let candidate = (sum - 1.0) / (i + 1) as f64;
        if *v > candidate {
            cut = candidate;
        }
    }
    w.iter_mut().for_each(|v| *v = (*v - cut).max(0.0));
}

fn centred(values: &[f64]) -> (f64, Vec<f64>) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, values.iter().map(|v| v - mean).collect())
}

fn combine(columns: &[&[f64]], weights: &[f64], intercept: f64, n: usize) -> Vec<f64> {
    let mut out = vec![intercept; n];
    for (column, w) in columns.iter().zip(weights) {
        if *w > 0.0 {
            add_scaled(&mut out, *w, column);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cancel::never, rng};

    fn world(effect: f64) -> Experiment {
        let n = 80;
        let donors: Vec<Region> = (0..12)
            .map(|d| {
                let mut stream = rng::stream(4, &[d]);
                Region {
                    name: format!("d{d}"),
                    outcome: rng::autoregression(&mut stream, 0.8, n)
                        .into_iter()
                        .map(|v| 100.0 + 8.0 * v)
                        .collect(),
                }
            })
            .collect();
        let mut stream = rng::stream(4, &[99]);
        let outcome = (0..n)
            .map(|t| {
                let base = 20.0 + 0.7 * donors[2].outcome[t] + 0.3 * donors[5].outcome[t];
                base + 0.5 * rng::normal(&mut stream) + if t >= 65 { effect } else { 0.0 }
            })
            .collect();
        Experiment {
            treated: vec![Region {
                name: "t".to_owned(),
                outcome,
            }],
            donors,
            start: 65,
        }
    }

    #[test]
    fn a_planted_effect_is_found_and_none_is_not() {
        let found = synthetic_control(&world(5.0), &never).expect("sound");
        assert!((found.per_region_period - 5.0).abs() < 0.5, "{found:?}");
        assert!((found.incremental - 15.0 * found.per_region_period).abs() < 1e-9);
        assert!(found.p_value < 0.05);
        let (low, high) = found.interval;
        assert!(low < 5.0 && 5.0 < high && high - low < 3.0, "{low} {high}");
        let weight = |name: &str| {
            let hit = found.weights.iter().find(|(n, _)| n == name);
            hit.map_or(0.0, |(_, w)| *w)
        };
        assert!((weight("d2") - 0.7).abs() < 0.1 && (weight("d5") - 0.3).abs() < 0.1);
        assert!((found.weights.iter().map(|w| w.1).sum::<f64>() - 1.0).abs() < 1e-5);
        let none = synthetic_control(&world(0.0), &never).expect("sound");
        assert!(none.p_value > 0.1 && none.per_region_period.abs() < 0.6);
        let (low, high) = none.interval;
        assert!(low < 0.0 && 0.0 < high);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let world = world(1.0);
        let with = |change: fn(&mut Experiment)| {
            let mut e = world.clone();
            change(&mut e);
            synthetic_control(&e, &never).expect_err("not sound")
        };
        assert_eq!(with(|e| e.donors.clear()), ExperimentError::NoRegions);
        assert_eq!(with(|e| e.treated.clear()), ExperimentError::NoRegions);
        assert_eq!(with(|e| e.start = 80), ExperimentError::TooShort);
        assert_eq!(with(|e| e.start = 3), ExperimentError::TooShort);
        assert_eq!(
            with(|e| e.donors[1].outcome[3] = f64::NAN),
            ExperimentError::Missing("d1".to_owned())
        );
        assert_eq!(
            with(|e| e.donors[0].outcome.truncate(9)),
            ExperimentError::Periods("d0".to_owned())
        );
        assert_eq!(
            with(|e| e.treated[0]
                .outcome
                .iter_mut()
                .take(65)
                .for_each(|v| *v = 4.0)),
            ExperimentError::Constant
        );
        let stopped = synthetic_control(&world, &|| true);
        assert_eq!(stopped, Err(ExperimentError::Cancelled(Cancelled)));
    }

    #[test]
    fn donors_that_mirror_each_other_are_weighed_like_any_others() {
        // Two donors whose movements cancel: the treated region is three parts of one and one of the other.
        let up = |t: usize| [5.0, -5.0, 3.0, -2.0, 4.0, -1.0][t % 6];
        let region = |name: &str, of: &dyn Fn(usize) -> f64| Region {
            name: name.to_owned(),
            outcome: (0..40).map(of).collect(),
        };
        let experiment = Experiment {
            treated: vec![region("t", &|t| {
                50.0 + 0.5 * up(t) + if t >= 34 { 2.0 } else { 0.0 }
            })],
            donors: vec![
                region("a", &|t| 100.0 + up(t)),
                region("b", &|t| 100.0 - up(t)),
            ],
            start: 34,
        };
        let found = synthetic_control(&experiment, &never).expect("sound");
        assert!((found.per_region_period - 2.0).abs() < 1e-3, "{found:?}");
        assert_eq!(found.weights[0].0, "a");
        assert!((found.weights[0].1 - 0.75).abs() < 1e-4, "{found:?}");
        assert!((found.weights[1].1 - 0.25).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn a_search_for_weights_that_is_under_way_stops_when_asked() {
        let asked = std::cell::Cell::new(0);
        let cancel = || {
            asked.set(asked.get() + 1);
            asked.get() > 2
        };
        let stopped = synthetic_control(&world(5.0), &cancel);
        assert_eq!(stopped, Err(ExperimentError::Cancelled(Cancelled)));
        assert_eq!(asked.get(), 3);
    }

    #[test]
    fn outcomes_too_large_to_square_are_an_error() {
        let mut huge = world(0.0);
        for region in huge.donors.iter_mut().chain(&mut huge.treated) {
            region.outcome.iter_mut().for_each(|v| *v *= 1e200);
        }
        assert_eq!(
            synthetic_control(&huge, &never),
            Err(ExperimentError::NotConverged)
        );
    }

    #[test]
    fn points_beside_the_simplex() {
        let mut w = [0.5, 0.5, 0.5];
        project(&mut w);
        assert!(w.iter().all(|v| (v - 1.0 / 3.0).abs() < 1e-15));
        let mut w = [2.0, 0.0, -3.0];
        project(&mut w);
        assert_eq!(w, [1.0, 0.0, 0.0]);
    }
}
