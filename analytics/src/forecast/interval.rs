//! Widths of prediction intervals.
//!
//! A model's own standard deviation assumes that the model is right; on real series its 95 % intervals hold 80 to 92 % of
//! what happens. So the widths are stretched by what the backtest saw: at each step, error divided by the model's own
//! deviation. A few folds of one series are few numbers, so the empirical quantile is shrunk towards a prior: the
//! quantiles of the same ratios over all series of a panel (see [`super::panel`]), or without one over backtests inside the
//! training parts of the monthly series of the M3 competition.

use serde::{Deserialize, Serialize};

use super::Step;
use crate::inference::quantile;

/// Nominal two-sided normal quantiles.
const Z80: f64 = 1.281_551_565_545;
const Z95: f64 = 1.959_963_984_540;

/// What stretches the nominal 80 and 95 % widths when nothing is known of the series itself.
const PRIOR80: f64 = 1.2;
const PRIOR95: f64 = 1.4;
/// How many observed errors the prior is worth.
const PRIOR_WEIGHT: f64 = 40.0;

/// Root mean square of residuals.
pub(super) fn sigma(residuals: &[f64]) -> f64 {
    if residuals.is_empty() {
        return 0.0;
    }
    (residuals.iter().map(|r| r * r).sum::<f64>() / residuals.len() as f64).sqrt()
}

/// Factors on the nominal widths at one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Factors {
    pub(super) factor80: f64,
    pub(super) factor95: f64,
}

impl Factors {
    /// The wider interval always holds the narrower.
    fn ordered(self) -> Self {
        Self {
            factor80: self.factor80,
            factor95: self.factor95.max(self.factor80 * Z80 / Z95),
        }
    }
}

/// What is believed about the factors before a series' own backtest is looked at, step by step; the last step holds for all
/// later ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Prior {
    steps: Vec<Factors>,
}

impl Default for Prior {
    fn default() -> Self {
        let steps = vec![Factors {
            factor80: PRIOR80,
            factor95: PRIOR95,
        }];
        Self { steps }
    }
}

/// Observed errors that an earlier belief is worth when a panel teaches a better one.
const PANEL_WEIGHT: f64 = 100.0;
/// What the 95 % widths still lack after calibration when the next years are not like those of the backtest, the mean over
/// several origins inside the training parts of the M3 series.
const FORESIGHT95: f64 = 1.06;
/// How far a panel can move the built-in prior at most. However many its series, they all saw the same few years.
const PANEL_TRUST: f64 = 0.5;

/// Folds between two whose outcomes do not overlap.
const APART: usize = 3;

/// An error's size in units of the half widths believed so far.
#[derive(Clone, Copy, Debug)]
struct Size {
    of80: f64,
    of95: f64,
}

/// The sizes of one fold's errors under given factors.
fn sizes(ratios: &[f64], factors: impl Fn(usize) -> Factors) -> Vec<Size> {
    let steps = ratios.iter().enumerate();
    steps
        .map(|(h, r)| {
            let factors = factors(h);
            Size {
                of80: r.abs() / (Z80 * factors.factor80),
                of95: r.abs() / (Z95 * factors.factor95),
            }
        })
        .collect()
}

impl Prior {
    fn at(&self, h: usize) -> Factors {
        self.steps[h.min(self.steps.len() - 1)]
    }

    /// Stretches the factors of each step until they hold as many of the observed errors as they say.
    fn refined(&self, folds: &[Vec<Size>], trust: f64) -> Self {
        let longest = folds.iter().map(Vec::len).max().unwrap_or(0);
        let factor = |from: usize, to: usize, level: f64, before: f64, of: fn(&Size) -> f64| {
            let steps = folds
                .iter()
                .flat_map(|f| &f[from.min(f.len())..to.min(f.len())]);
            let mut seen: Vec<f64> = steps.map(of).filter(|r| r.is_finite()).collect();
            if seen.is_empty() {
                return before;
            }
            let weight = trust * seen.len() as f64 / (seen.len() as f64 + PANEL_WEIGHT);
            seen.sort_by(f64::total_cmp);
            let learnt = quantile(&seen, level).clamp(0.2, 8.0);
            (weight * learnt.ln() + (1.0 - weight) * before.ln()).exp()
        };
        let all80 = factor(0, longest, 0.80, 1.0, |s| s.of80);
        let all95 = factor(0, longest, 0.95, 1.0, |s| s.of95);
        let steps = (0..longest.max(self.steps.len())).map(|h| {
            let before = self.at(h);
            Factors {
                factor80: before.factor80 * factor(h, h + 1, 0.80, all80, |s| s.of80),
                factor95: before.factor95 * factor(h, h + 1, 0.95, all95, |s| s.of95),
            }
            .ordered()
        });
        Self {
            steps: steps.collect(),
        }
    }

    /// Learns from the backtests of a panel, one list of folds per series.
    ///
    /// First come the factors that make the models' own widths hold as often as they say; then, since each series' factors
    /// will be moved by its own backtest, what those moved widths still lack, each fold judged by earlier ones of its series.
    pub(super) fn of_panel(series: &[&[Vec<f64>]]) -> Self {
        let start = Self::default();
        let folds = series.iter().flat_map(|folds| folds.iter());
        let plain: Vec<Vec<Size>> = folds.map(|fold| sizes(fold, |h| start.at(h))).collect();
        let first = start.refined(&plain, PANEL_TRUST);
        let mut moved = Vec::with_capacity(plain.len());
        for folds in series {
            // What a fold learnt from must have ended before the judged fold begins: three strides are one horizon.
            for judged in APART..folds.len() {
                let width = Width::learn(&folds[..=judged - APART], None, &first);
                moved.push(sizes(&folds[judged], |h| width.calibrated(h)));
            }
        }
        first.refined(&moved, PANEL_TRUST)
    }
}

/// Factors on the nominal widths of one series' forecast, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Width {
    prior: Prior,
    own: Factors,
}

impl Width {
    /// Moves a prior by the standardised errors of one series' folds, all but `without`; without any the prior holds.
    pub(super) fn learn(folds: &[Vec<f64>], without: Option<usize>, prior: &Prior) -> Self {
        let own = |level: f64, nominal: f64, of: fn(Factors) -> f64| {
            let mut sizes: Vec<f64> = folds
                .iter()
                .enumerate()
                .filter(|(fold, _)| Some(*fold) != without)
                .flat_map(|(_, ratios)| ratios.iter().enumerate())
                .map(|(h, r)| r.abs() / of(prior.at(h)))
                .filter(|r| r.is_finite())
                .collect();
            if sizes.is_empty() {
                return 1.0;
            }
            sizes.sort_by(f64::total_cmp);
            let count = sizes.len() as f64;
            // Errors of one origin move together, so a fold counts for less than its steps.
            let weight = count / 2.0 / (count / 2.0 + PRIOR_WEIGHT);
            let stretch = quantile(&sizes, level) / nominal;
            stretch.clamp(0.4, 3.0).powf(weight)
        };
        Self {
            own: Factors {
                factor80: own(0.80, Z80, |f| f.factor80),
                factor95: own(0.95, Z95, |f| f.factor95),
            },
            prior: prior.clone(),
        }
    }

    /// What the backtest asks for at step `h`, counted from zero.
    fn calibrated(&self, h: usize) -> Factors {
        let prior = self.prior.at(h);
        Factors {
            factor80: prior.factor80 * self.own.factor80,
            factor95: prior.factor95 * self.own.factor95,
        }
    }

    /// The factors at step `h`, counted from zero.
    pub(super) fn at(&self, h: usize) -> Factors {
        let Factors { factor80, factor95 } = self.calibrated(h);
        Factors {
            factor80,
            factor95: FORESIGHT95 * factor95,
        }
        .ordered()
    }
}

/// One step from its mean and deviation.
pub(super) fn step(mean: f64, deviation: f64, width: Factors, floor: Option<f64>) -> Step {
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

    fn at(ratios: Vec<f64>) -> Factors {
        Width::learn(&[ratios], None, &Prior::default()).at(0)
    }

    #[test]
    fn many_large_errors_widen_and_many_small_ones_narrow() {
        let (wide, prior, narrow) = (at(vec![3.0; 500]), at(Vec::new()), at(vec![0.5; 500]));
        assert!(wide.factor95 > prior.factor95 && prior.factor95 > narrow.factor95);
        assert!(wide.factor80 > prior.factor80 && prior.factor80 > narrow.factor80);
    }

    #[test]
    fn the_wider_interval_always_holds_the_narrower() {
        let ratios: Vec<f64> = (0..200).map(|i| if i < 100 { 0.01 } else { 2.0 }).collect();
        for width in [at(ratios), at(vec![0.0; 9]), at(Vec::new())] {
            let step = step(10.0, 2.0, width, None);
            assert!(step.low95 <= step.low80 && step.high80 <= step.high95);
        }
    }

    #[test]
    fn a_floor_cuts_the_lower_ends_only() {
        let step = step(1.0, 5.0, at(Vec::new()), Some(0.0));
        assert_eq!((step.low80, step.low95), (0.0, 0.0));
        assert!(step.high80 > 1.0);
    }

    #[test]
    fn a_panel_whose_second_step_errs_more_gets_more_width_there() {
        // Errors on an even grid of probabilities: at the first step as the model says, at the second twice that.
        let series: Vec<Vec<Vec<f64>>> = (0..4000)
            .map(|i| {
                let size = 2.4 * (f64::from(i) + 0.5) / 4000.0;
                vec![vec![size, -2.0 * size]]
            })
            .collect();
        let parts: Vec<&[Vec<f64>]> = series.iter().map(Vec::as_slice).collect();
        let prior = Prior::of_panel(&parts);
        let ratio = prior.at(1).factor95 / prior.at(0).factor95;
        // The panel is trusted half: of a factor of two its root is taken over.
        assert!((ratio - 2f64.sqrt()).abs() < 0.05, "{ratio}");
        assert_eq!(prior.at(7), prior.at(1));
    }
}
