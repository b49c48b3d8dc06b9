//! Widths of prediction intervals.
//!
//! A model's own standard deviation assumes that the model is right; on real series its 95 % intervals hold 80 to 92 % of
//! what happens. So the widths are stretched by what the backtest saw: at each step, error divided by the model's own
//! deviation. A few folds of one series are few numbers, so the empirical quantile is shrunk towards a prior: the
//! quantiles of the same ratios over all series of a panel (see [`super::panel`]), or without one over backtests inside the
//! training parts of the monthly series of the M3 competition.

use serde::{Deserialize, Serialize};

use super::Step;
use crate::cancel::{Cancel, Cancelled};
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

/// As [`quantile`], of values in any order, without sorting all of them: a large panel has millions of errors.
fn quantile_of(values: &mut [f64], level: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let position = level.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let below = position.floor() as usize;
    let (_, low, rest) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let above = rest.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    low + (position - below as f64) * (above - low)
}

impl Prior {
    fn at(&self, h: usize) -> Factors {
        self.steps[h.min(self.steps.len() - 1)]
    }

    /// Stretches the factors of each step until they hold as many of the observed errors as they say.
    fn refined(
        &self,
        folds: &[Vec<Size>],
        trust: f64,
        cancel: &dyn Cancel,
    ) -> Result<Self, Cancelled> {
        let longest = folds.iter().map(Vec::len).max().unwrap_or(0);
        type Of = fn(&Size) -> f64;
        let factor = |from: usize, to: usize, level: f64, before: f64, of: Of| {
            cancel.check()?;
            let steps = folds
                .iter()
                .flat_map(|f| &f[from.min(f.len())..to.min(f.len())]);
            let mut seen: Vec<f64> = steps.map(of).filter(|r| r.is_finite()).collect();
            if seen.is_empty() {
                return Ok(before);
            }
            let weight = trust * seen.len() as f64 / (seen.len() as f64 + PANEL_WEIGHT);
            let learnt = quantile_of(&mut seen, level).clamp(0.2, 8.0);
            Ok((weight * learnt.ln() + (1.0 - weight) * before.ln()).exp())
        };
        let all80 = factor(0, longest, 0.80, 1.0, |s| s.of80)?;
        let all95 = factor(0, longest, 0.95, 1.0, |s| s.of95)?;
        let steps = (0..longest.max(self.steps.len())).map(|h| {
            let before = self.at(h);
            let factors = Factors {
                factor80: before.factor80 * factor(h, h + 1, 0.80, all80, |s| s.of80)?,
                factor95: before.factor95 * factor(h, h + 1, 0.95, all95, |s| s.of95)?,
            };
            Ok(factors.ordered())
        });
        Ok(Self {
            steps: steps.collect::<Result<_, Cancelled>>()?,
        })
    }

    /// Learns from the backtests of a panel, one list of folds per series.
    ///
    /// First come the factors that make the models' own widths hold as often as they say; then, since each series' factors
    /// will be moved by its own backtest, what those moved widths still lack, each fold judged by earlier ones of its series.
    /// Outcomes of two folds overlap unless they are `apart` folds or more from each other.
    pub(super) fn of_panel(
        series: &[&[Vec<f64>]],
        apart: usize,
        cancel: &dyn Cancel,
    ) -> Result<Self, Cancelled> {
        let start = Self::default();
        let mut plain: Vec<Vec<Size>> = Vec::new();
        for folds in series {
            cancel.check()?;
            plain.extend(folds.iter().map(|fold| sizes(fold, |h| start.at(h))));
        }
        let first = start.refined(&plain, PANEL_TRUST, cancel)?;
        let mut moved = Vec::with_capacity(plain.len());
        for folds in series {
            cancel.check()?;
            // What a fold learnt from must have ended before the judged fold begins.
            for judged in apart..folds.len() {
                let width = Width::learn(folds[..=judged - apart].iter(), &first);
                moved.push(sizes(&folds[judged], |h| width.calibrated(h)));
            }
        }
        first.refined(&moved, PANEL_TRUST, cancel)
    }
}

/// Factors on the nominal widths of one series' forecast, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Width {
    prior: Prior,
    own: Factors,
}

impl Width {
    /// Moves a prior by the standardised errors of some folds of one series; without any the prior holds.
    pub(super) fn learn<'a>(
        folds: impl Iterator<Item = &'a Vec<f64>> + Clone,
        prior: &Prior,
    ) -> Self {
        let own = |level: f64, nominal: f64, of: fn(Factors) -> f64| {
            let mut sizes: Vec<f64> = folds
                .clone()
                .flat_map(|ratios| ratios.iter().enumerate())
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
    use std::cell::Cell;

    use super::*;
    use crate::cancel::never;

    #[test]
    fn a_quantile_without_sorting_is_the_same_number() {
        for count in [1, 2, 7, 100] {
            let mut values: Vec<f64> = (0..count).map(|i| f64::from(i * 37 % 101)).collect();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            for level in [0.0, 0.8, 0.95, 1.0] {
                let (ours, theirs) = (quantile_of(&mut values, level), quantile(&sorted, level));
                assert_eq!(ours.to_bits(), theirs.to_bits(), "{count} {level}");
            }
        }
        assert!(quantile_of(&mut [], 0.5).is_nan());
    }

    #[test]
    fn a_wish_to_stop_ends_the_learning_from_a_panel_at_the_next_question() {
        let folds: Vec<Vec<f64>> = (0..6).map(|k| vec![f64::from(k); 4]).collect();
        let series = vec![folds.as_slice(); 30];
        let asked = Cell::new(0);
        Prior::of_panel(&series, 3, &|| asked.replace(asked.get() + 1) > 1_000)
            .expect("it asks less often");
        let questions = asked.get();
        assert!(questions > 60, "{questions}");
        for patience in 0..questions {
            asked.set(0);
            let stop = || asked.replace(asked.get() + 1) >= patience;
            assert_eq!(Prior::of_panel(&series, 3, &stop), Err(Cancelled));
            assert_eq!(asked.get(), patience + 1);
        }
    }

    #[test]
    fn a_panel_is_judged_by_folds_that_do_not_overlap_however_its_origins_are_spaced() {
        // The fold before errs a little, those two and more before it greatly: what is learnt depends on which may be used.
        let size = |fold: i32| if fold % 2 == 0 { 0.2 } else { 3.0 };
        let folds: Vec<Vec<f64>> = (0..6).map(|fold| vec![size(fold); 3]).collect();
        let series = vec![folds.as_slice(); 50];
        let learn = |apart| Prior::of_panel(&series, apart, &never).expect("nobody cancels");
        assert_ne!(learn(1), learn(2));
        // Nothing to judge by: only the first, plain factors.
        assert_eq!(learn(6), learn(9));
    }

    fn at(ratios: Vec<f64>) -> Factors {
        Width::learn([ratios].iter(), &Prior::default()).at(0)
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
        let prior = Prior::of_panel(&parts, 1, &never).expect("nobody cancels");
        let ratio = prior.at(1).factor95 / prior.at(0).factor95;
        // The panel is trusted half: of a factor of two its root is taken over.
        assert!((ratio - 2f64.sqrt()).abs() < 0.05, "{ratio}");
        assert_eq!(prior.at(7), prior.at(1));
    }
}
