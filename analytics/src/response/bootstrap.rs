//! Draws of all parameters of a fitted brand by a one-step moving-block bootstrap.

use rand::Rng;

use super::fit::Fitted;
use crate::linear::dot;
use crate::rng::{Stream, normal};

/// Weeks per block: longer than what autocorrelation the fit may have left.
const BLOCK: usize = 6;

/// Draws deviations from the fitted parameters (shape, media, drivers, controls).
///
/// Whitened residuals are resampled in moving blocks (Künsch 1989), each with a random sign, inflated for the degrees of
/// freedom the fit spent.
/// Each replicate takes one Gauss–Newton step from the optimum instead of a full refit (Davidson and MacKinnon 1999
/// show the step to be enough for the bootstrap's order of accuracy); the weak priors are perturbed by their own
/// spread, so that directions the data do not determine get their prior width instead of none.
pub(crate) fn draws(fit: &Fitted, count: usize, rng: &mut Stream) -> Vec<Vec<f64>> {
    let n = fit.residuals.len();
    let inflate = (n as f64 / fit.dof).sqrt();
    let variance = fit.sigma * fit.sigma;
    (0..count)
        .map(|_| {
            let mut resampled = Vec::with_capacity(n + BLOCK);
            while resampled.len() < n {
                let start = rng.random_range(0..=n - BLOCK.min(n));
                let sign = if rng.random::<bool>() {
                    inflate
                } else {
                    -inflate
                };
                resampled.extend(
                    fit.residuals[start..(start + BLOCK).min(n)]
                        .iter()
                        .map(|r| sign * r),
                );
            }
            resampled.truncate(n);
            let score: Vec<f64> = fit
                .jacobian
                .iter()
                .zip(&fit.precisions)
                .map(|(column, precision)| {
                    let prior = if *precision > 0.0 {
                        precision.sqrt() * normal(rng)
                    } else {
                        0.0
                    };
                    dot(column, &resampled) / variance + prior
                })
                .collect();
            fit.information.solve(&score)
        })
        .collect()
}
