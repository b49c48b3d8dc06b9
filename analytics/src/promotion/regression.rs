//! The regression that promotion effects come from: outcome and drivers on one calendar, controls, and errors that
//! forgive weeks for resembling their neighbours.

use std::collections::BTreeMap;

use domain::metric::Granularity;

use super::Form;
use crate::{inference::mean, linear::Cholesky, series::Series};

/// An outcome as it enters a regression.
pub(super) struct Response {
    /// How it entered.
    pub(super) form: Form,
    /// Positions of the periods with a known value.
    pub(super) periods: Vec<usize>,
    /// The logarithm, or the share of the mean, in those periods.
    pub(super) y: Vec<f64>,
}

impl Response {
    /// The logarithm where every known value is above zero, else the share of the mean; `None` where the mean is not above
    /// zero.
    pub(super) fn new(outcome: &[f64]) -> Option<Self> {
        let periods: Vec<usize> = (0..outcome.len())
            .filter(|t| outcome[*t].is_finite())
            .collect();
        let known: Vec<f64> = periods.iter().map(|t| outcome[*t]).collect();
        let level = mean(&known);
        if level.is_nan() || level <= 0.0 {
            return None;
        }
        let form = if known.iter().all(|v| *v > 0.0) {
            Form::Log
        } else {
            Form::Linear
        };
        let y = known
            .iter()
            .map(|v| match form {
                Form::Log => v.ln(),
                Form::Linear => v / level,
            })
            .collect();
        Some(Self { form, periods, y })
    }

    /// The values of a driver in the periods of the outcome.
    pub(super) fn cut(&self, driver: &[f64]) -> Vec<f64> {
        self.periods
            .iter()
            .filter_map(|t| driver.get(*t).copied())
            .collect()
    }
}

/// A driver on the outcome's calendar; a period without a row had no promotion.
pub(super) fn aligned(driver: &Series, outcome: &Series, granularity: Granularity) -> Vec<f64> {
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

/// Whether a driver was off its most common value in at least three periods, and on it in at least three.
pub(super) fn moves(values: &[f64]) -> bool {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(middle) = sorted.get(sorted.len() / 2).copied() else {
        return false;
    };
    let off = sorted.iter().filter(|v| **v != middle).count();
    off >= 3 && sorted.first() != sorted.last()
}

/// Constant, trend, and the year: one pair of waves with at least two years, else two bends over the whole span.
pub(super) fn controls(weeks: &[usize], length: usize, per_year: usize) -> Vec<Vec<f64>> {
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

/// A fitted regression.
pub(super) struct Regression {
    /// Coefficients in column order.
    pub(super) coefficients: Vec<f64>,
    /// Their standard errors.
    pub(super) errors: Vec<f64>,
    /// Residual degrees of freedom.
    pub(super) dof: f64,
}

/// Least squares with Newey–West standard errors (Bartlett weights, the usual lag 4 (n/100)^(2/9)) and the small-sample factor
/// n ÷ (n − k).
pub(super) fn newey_west(columns: &[Vec<f64>], y: &[f64]) -> Regression {
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
    Regression {
        coefficients,
        errors,
        dof,
    }
}
