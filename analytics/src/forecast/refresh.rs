//! A forecast that goes on with new values without being estimated again.
//!
//! Smoothing models are recursions: what they know of the past is a small state. A tracker keeps the fitted models of one series
//! with their states and takes in new values one by one; the result is what filtering the whole series with the same
//! parameters gives. Parameters, seasonal factors, weights and interval widths stay those of the fit, so a tracker is
//! refitted from time to time, where its errors grow or a season has passed.

use serde::{Deserialize, Serialize};

use super::ensemble;
use super::interval::{self, Prior, Width};
use super::member::Member;
use super::{Chosen, ForecastError, Model, Options, Projection, Step};
use crate::cancel::{Cancel, never};

/// The fitted models of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    /// The champion of the backtest at the fit.
    pub model: Model,
    members: Vec<Member>,
    weights: Vec<f64>,
    floor: Option<f64>,
    width: Width,
    seen: usize,
    /// Sum of absolute one-step errors since the fit, and their number.
    since: (f64, usize),
}

impl Tracker {
    /// Fits a series as [`super::forecast`] does, to the end.
    ///
    /// # Errors
    /// As [`super::forecast`].
    pub fn fit(values: &[f64], options: &Options) -> Result<Self, ForecastError> {
        Self::fit_cancellable(values, options, &never)
    }

    /// As [`Self::fit`], until `cancel` says to stop.
    ///
    /// # Errors
    /// As [`super::forecast_cancellable`].
    pub fn fit_cancellable(
        values: &[f64],
        options: &Options,
        cancel: &dyn Cancel,
    ) -> Result<Self, ForecastError> {
        let chosen = Chosen::new(values, options, None, cancel)?;
        let mut tracker = Self {
            model: chosen.model,
            width: Width::learn(chosen.ratios.iter(), &Prior::default()),
            members: chosen.members,
            weights: chosen.weights,
            floor: chosen.floor,
            seen: values.len() - chosen.stale,
            since: (0.0, 0),
        };
        // Values known to be missing at the end are steps without an observation.
        tracker.update(&vec![f64::NAN; chosen.stale]);
        Ok(tracker)
    }

    /// Takes in new values, the oldest first. In place of one that is not finite each model takes its own expectation.
    pub fn update(&mut self, values: &[f64]) {
        for value in values {
            let known = value.is_finite();
            if known {
                let expected = self.project(1).mean[0];
                self.since = (self.since.0 + (value - expected).abs(), self.since.1 + 1);
                if self.floor.is_some_and(|floor| *value < floor) {
                    self.floor = None;
                }
            }
            for member in &mut self.members {
                let value = if known {
                    *value
                } else {
                    member.project(1).mean[0]
                };
                member.take(value);
            }
            self.seen += 1;
        }
    }

    /// Periods seen in all, missing ones included.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// Mean absolute one-step error since the fit; `None` before the first new value.
    pub fn recent_error(&self) -> Option<f64> {
        let (sum, count) = self.since;
        (count > 0).then(|| sum / count as f64)
    }

    /// The next `horizon` steps.
    pub fn forecast(&self, horizon: usize) -> Vec<Step> {
        let Projection {
            mean, deviation, ..
        } = self.project(horizon);
        let steps = mean.iter().zip(&deviation).enumerate();
        steps
            .map(|(h, (mean, deviation))| {
                interval::step(*mean, *deviation, self.width.at(h), self.floor)
            })
            .collect()
    }

    fn project(&self, horizon: usize) -> Projection {
        let parts: Vec<Projection> = self.members.iter().map(|m| m.project(horizon)).collect();
        ensemble::mean(&parts, &self.weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::Recipe;

    fn series(n: usize) -> Vec<f64> {
        (0..n)
            .map(|t| {
                let t = t as f64;
                let season = (std::f64::consts::TAU * t / 12.0).sin();
                100.0 + 0.5 * t + 12.0 * season + 3.0 * (t * 1.7).sin() + 2.0 * (t * t).cos()
            })
            .collect()
    }

    #[test]
    fn one_by_one_all_at_once_and_through_storage_are_the_same() {
        let values = series(110);
        for recipe in [Recipe::Cheap, Recipe::Auto] {
            let options = Options {
                recipe,
                ..Options::new(12, 12)
            };
            let start = Tracker::fit(&values[..90], &options).expect("a fit");
            let mut at_once = start.clone();
            at_once.update(&values[90..]);
            let text = serde_json::to_string(&start).expect("plain data");
            let mut stored: Tracker = serde_json::from_str(&text).expect("its own text");
            for value in &values[90..] {
                stored.update(&[*value]);
            }
            assert_eq!(at_once, stored);
            assert_eq!(at_once.seen(), 110);
            assert!(at_once.recent_error().expect("new values") > 0.0);
        }
    }

    #[test]
    fn what_a_tracker_says_of_the_next_year_is_near_what_a_refit_says() {
        let values = series(110);
        let options = Options::new(12, 12);
        let mut tracker = Tracker::fit(&values[..104], &options).expect("a fit");
        tracker.update(&values[104..]);
        let fresh = Tracker::fit(&values, &options).expect("a fit");
        for (kept, anew) in tracker.forecast(12).iter().zip(fresh.forecast(12)) {
            assert!(
                (kept.mean - anew.mean).abs() < 0.05 * anew.mean,
                "{kept:?} {anew:?}"
            );
        }
    }

    #[test]
    fn a_missing_value_moves_the_clock_but_not_the_course() {
        let values = series(96);
        let start = Tracker::fit(&values, &Options::new(12, 12)).expect("a fit");
        let mut later = start.clone();
        later.update(&[f64::NAN]);
        let (before, after) = (start.forecast(3), later.forecast(2));
        assert!((before[1].mean - after[0].mean).abs() < 0.02 * before[1].mean);
        assert_eq!(later.recent_error(), None);
    }
}
