//! Widths of prediction intervals.
//!
//! A model's own standard deviation assumes that the model is right; on real series its 95 % intervals hold 80 to 92 % of
//! what happens. So the widths are stretched by what the backtest saw: at each step, error divided by the model's own
//! deviation. A few folds of one series are few numbers, so the empirical quantile is shrunk towards a
//! prior, the quantiles of the same ratios over the monthly series of the M3 competition.

use super::Step;
use crate::inference::quantile;

/// Nominal two-sided normal quantiles.
const Z80: f64 = 1.281_551_565_545;
const Z95: f64 = 1.959_963_984_540;

/// What stretches the nominal 80 and 95 % widths when nothing is known of the series itself.
const PRIOR80: f64 = 1.15;
const PRIOR95: f64 = 1.30;
/// How many observed errors the prior is worth.
const PRIOR_WEIGHT: f64 = 40.0;

/// Root mean square of residuals.
pub(super) fn sigma(residuals: &[f64]) -> f64 {
    if residuals.is_empty() {
        return 0.0;
    }
    (residuals.iter().map(|r| r * r).sum::<f64>() / residuals.len() as f64).sqrt()
}

/// Factors on the nominal widths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Width {
    pub(super) factor80: f64,
    pub(super) factor95: f64,
}

impl Width {
    /// Learns the factors from standardised backtest errors; without any, the prior holds.
    pub(super) fn learn(ratios: Option<&Vec<f64>>) -> Self {
        let empty = Vec::new();
        let mut sizes: Vec<f64> = ratios
            .unwrap_or(&empty)
            .iter()
            .filter(|r| r.is_finite())
            .map(|r| r.abs())
            .collect();
        sizes.sort_by(f64::total_cmp);
        let count = sizes.len() as f64;
        // Errors of one origin move together, so a fold counts for less than its steps.
        let weight = count / 2.0 / (count / 2.0 + PRIOR_WEIGHT);
        let blend = |level: f64, nominal: f64, prior: f64| {
            if sizes.is_empty() {
                return prior;
            }
            let own = (quantile(&sizes, level) / nominal).clamp(0.5, 4.0);
            (weight * own.ln() + (1.0 - weight) * prior.ln()).exp()
        };
        let factor80 = blend(0.80, Z80, PRIOR80);
        let factor95 = blend(0.95, Z95, PRIOR95).max(factor80 * Z80 / Z95);
        Self { factor80, factor95 }
    }
}

/// One step from its mean and deviation.
pub(super) fn step(mean: f64, deviation: f64, width: &Width, floor: Option<f64>) -> Step {
    let low = |half: f64| floor.map_or(mean - half, |floor| (mean - half).max(floor));
    let (half80, half95) = (
        Z80 * width.factor80 * deviation,
        Z95 * width.factor95 * deviation,
    );
    Step {
        mean,
        low80: low(half80),
        high80: mean + half80,
        low95: low(half95),
        high95: mean + half95,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_large_errors_widen_and_many_small_ones_narrow() {
        let wide = Width::learn(Some(&vec![3.0; 500]));
        let narrow = Width::learn(Some(&vec![0.5; 500]));
        let prior = Width::learn(None);
        assert!(wide.factor95 > prior.factor95 && prior.factor95 > narrow.factor95);
        assert!(wide.factor80 > prior.factor80 && prior.factor80 > narrow.factor80);
    }

    #[test]
    fn the_wider_interval_always_holds_the_narrower() {
        let ratios: Vec<f64> = (0..200).map(|i| if i < 100 { 0.01 } else { 2.0 }).collect();
        for width in [
            Width::learn(Some(&ratios)),
            Width::learn(Some(&vec![0.0; 9])),
            Width::learn(None),
        ] {
            let step = step(10.0, 2.0, &width, None);
            assert!(step.low95 <= step.low80 && step.high80 <= step.high95);
        }
    }

    #[test]
    fn a_floor_cuts_the_lower_ends_only() {
        let step = step(1.0, 5.0, &Width::learn(None), Some(0.0));
        assert_eq!((step.low80, step.low95), (0.0, 0.0));
        assert!(step.high80 > 1.0);
    }
}
