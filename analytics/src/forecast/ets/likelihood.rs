//! The likelihood of an innovations state-space model and its gradient.
//!
//! One pass forward gives the one-step errors; one pass backward through the same steps (the adjoint of the recursion) gives the
//! derivative by every smoothing parameter and every initial state at the price of about one more pass, however many initial
//! seasonal states there are.

use super::{ErrorForm, Form, SeasonForm, TrendForm};
use crate::forecast::quasi_newton::Objective;

/// Open intervals of the smoothing parameters, as usual for these models: 0 < β < α, 0 < γ < 1 − α.
const ALPHA: (f64, f64) = (1e-4, 0.9999);
const SHARE: (f64, f64) = (1e-4, 0.9999);
const PHI: (f64, f64) = (0.80, 0.98);

// Learnt on backtests inside the training parts of the M3 monthly and quarterly series: plain maximum likelihood believes too
// readily in slopes that change fast.
/// Centres of the priors on the logits of α, β/α, γ/(1 − α) and the place of φ in its interval.
const CENTRE_ALPHA: f64 = -0.8;
const CENTRE_BETA: f64 = -4.0;
const CENTRE_GAMMA: f64 = -3.3;
const CENTRE_PHI: f64 = 1.6;
/// Pulls towards them, in units of −2 log likelihood per squared logit.
const PULL_ALPHA: f64 = 0.01;
const PULL_BETA: f64 = 1.0;
const PULL_GAMMA: f64 = 0.1;
const PULL_PHI: f64 = 0.05;

/// Smoothing parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Smoothing {
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) gamma: f64,
    pub(super) phi: f64,
}

/// Level, slope and one cycle of seasonal states, the first of which belongs to the next value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) level: f64,
    pub(super) slope: f64,
    pub(super) season: Vec<f64>,
}

/// What one step of the recursion saw.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Slope before the step.
    slope: f64,
    /// Level plus damped slope.
    base: f64,
    /// Seasonal state.
    season: f64,
    /// Observed minus expected.
    error: f64,
}

/// −2 log likelihood (up to a constant of the series) as a function of unconstrained variables: logits of the smoothing
/// parameters, and initial states as distances from a first guess in units of their rough uncertainty.
pub(super) struct Likelihood<'a> {
    values: &'a [f64],
    form: Form,
    guess: &'a State,
    unit: State,
    /// Centre and pull (per squared unit) of each of the first variables, the smoothing parameters.
    priors: Vec<(f64, f64)>,
    /// Pull of the initial states to their first guess, per squared unit.
    pull: f64,
    seen: Vec<Seen>,
    cycle: Vec<f64>,
    /// Sum of squared (relative) errors of the last pass.
    sum: f64,
}

const NONE: u8 = 0;
const ADDITIVE: u8 = 1;
const MULTIPLICATIVE: u8 = 2;

fn logistic(free: f64) -> f64 {
    1.0 / (1.0 + (-free).exp())
}

fn inside(free: f64, (low, high): (f64, f64)) -> f64 {
    low + (high - low) * logistic(free)
}

/// Derivative of [`inside`] given its result.
fn steepness(value: f64, (low, high): (f64, f64)) -> f64 {
    (value - low) * (high - value) / (high - low)
}

fn free(value: f64, (low, high): (f64, f64)) -> f64 {
    let share = ((value - low) / (high - low)).clamp(1e-3, 1.0 - 1e-3);
    (share / (1.0 - share)).ln()
}

impl<'a> Likelihood<'a> {
    /// The likelihood of `values` under `form`, with the initial states counted from `guess` in steps of `unit`.
    pub(super) fn new(
        values: &'a [f64],
        form: Form,
        guess: &'a State,
        unit: State,
        pull: f64,
    ) -> Self {
        let trend = form.trend != TrendForm::None;
        let mut priors = vec![(CENTRE_ALPHA, PULL_ALPHA)];
        if trend {
            priors.push((CENTRE_BETA, PULL_BETA));
        }
        if form.season != SeasonForm::None {
            priors.push((CENTRE_GAMMA, PULL_GAMMA));
        }
        if form.trend == TrendForm::Damped {
            priors.push((CENTRE_PHI, PULL_PHI));
        }
        Self {
            values,
            form,
            guess,
            priors,
            cycle: vec![0.0; unit.season.len().max(1)],
            unit,
            pull,
            seen: vec![Seen::default(); values.len()],
            sum: f64::NAN,
        }
    }

    /// Free variables of a form with a cycle of `period` seasonal states.
    pub(super) fn variables(form: Form, period: usize) -> usize {
        let trend = match form.trend {
            TrendForm::None => 0,
            TrendForm::Additive => 2,
            TrendForm::Damped => 3,
        };
        2 + trend
            + match form.season {
                SeasonForm::None => 0,
                _ => 1 + period,
            }
    }

    /// The variables of given smoothing parameters and initial states.
    pub(super) fn pack(&self, smoothing: &Smoothing, state: &State) -> Vec<f64> {
        let mut x = Vec::with_capacity(Self::variables(self.form, state.season.len()));
        let Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        } = *smoothing;
        x.push(free(alpha, ALPHA));
        if self.form.trend != TrendForm::None {
            x.push(free(beta / alpha, SHARE));
        }
        if self.form.season != SeasonForm::None {
            x.push(free(gamma / (1.0 - alpha), SHARE));
        }
        if self.form.trend == TrendForm::Damped {
            x.push(free(phi, PHI));
        }
        x.push((state.level - self.guess.level) / self.unit.level);
        if self.form.trend != TrendForm::None {
            x.push((state.slope - self.guess.slope) / self.unit.slope);
        }
        if self.form.season != SeasonForm::None {
            let parts = state.season.iter().zip(&self.guess.season);
            x.extend(
                parts
                    .zip(&self.unit.season)
                    .map(|((s, guess), unit)| (s - guess) / unit),
            );
        }
        x
    }

    /// The smoothing parameters and initial states of given variables.
    pub(super) fn unpack(&self, x: &[f64]) -> (Smoothing, State) {
        let (smoothing, at) = self.smoothing(x);
        let trend = self.form.trend != TrendForm::None;
        let level = self.guess.level + self.unit.level * x[at];
        let slope = if trend {
            self.guess.slope + self.unit.slope * x[at + 1]
        } else {
            0.0
        };
        let from = at + 1 + usize::from(trend);
        let season = if self.form.season == SeasonForm::None {
            Vec::new()
        } else {
            let parts = self.guess.season.iter().zip(&self.unit.season);
            parts
                .zip(&x[from..])
                .map(|((guess, unit), x)| guess + unit * x)
                .collect()
        };
        (
            smoothing,
            State {
                level,
                slope,
                season,
            },
        )
    }

    fn smoothing(&self, x: &[f64]) -> (Smoothing, usize) {
        let alpha = inside(x[0], ALPHA);
        let mut at = 1;
        let mut next = |interval| {
            at += 1;
            inside(x[at - 1], interval)
        };
        let beta = if self.form.trend == TrendForm::None {
            0.0
        } else {
            alpha * next(SHARE)
        };
        let gamma = if self.form.season == SeasonForm::None {
            0.0
        } else {
            (1.0 - alpha) * next(SHARE)
        };
        let phi = match self.form.trend {
            TrendForm::None => 0.0,
            TrendForm::Additive => 1.0,
            TrendForm::Damped => next(PHI),
        };
        (
            Smoothing {
                alpha,
                beta,
                gamma,
                phi,
            },
            at,
        )
    }

    /// Sum of squared (relative) one-step errors at the `x` of the last call of `value`.
    pub(super) fn squares(&self) -> f64 {
        self.sum
    }

    /// The part of the value at `x` that is due to the priors, not to the data.
    pub(super) fn penalty(&self, x: &[f64]) -> f64 {
        let (smoothing, states) = x.split_at(self.priors.len());
        let held: f64 = smoothing
            .iter()
            .zip(&self.priors)
            .map(|(x, (centre, pull))| pull * (x - centre).powi(2))
            .sum();
        held + self.pull * states.iter().map(|u| u * u).sum::<f64>()
    }

    fn forward<const SEASON: u8, const RELATIVE: bool>(
        &mut self,
        smoothing: Smoothing,
        mut level: f64,
        mut slope: f64,
    ) -> f64 {
        let Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        } = smoothing;
        let period = self.cycle.len();
        let (mut at, mut sum, mut logs, mut product) = (0, 0.0, 0.0, 1.0f64);
        for (t, (y, seen)) in self.values.iter().zip(&mut self.seen).enumerate() {
            let base = level + phi * slope;
            let season = self.cycle[at];
            let mean = match SEASON {
                NONE => base,
                ADDITIVE => base + season,
                _ => base * season,
            };
            let error = y - mean;
            *seen = Seen {
                slope,
                base,
                season,
                error,
            };
            if RELATIVE {
                if mean < 1e-8 {
                    return f64::INFINITY;
                }
                let relative = error / mean;
                sum += relative * relative;
                product *= mean;
                // One logarithm for eight steps: the values are scaled to about one, so the product cannot overflow.
                if t % 8 == 7 {
                    logs += product.ln();
                    product = 1.0;
                }
            } else {
                sum += error * error;
            }
            if SEASON == MULTIPLICATIVE {
                if base < 1e-8 || season < 1e-8 {
                    return f64::INFINITY;
                }
                let pure = error / season;
                level = base + alpha * pure;
                slope = phi * slope + beta * pure;
                self.cycle[at] = season + gamma * error / base;
            } else {
                level = base + alpha * error;
                slope = phi * slope + beta * error;
                if SEASON == ADDITIVE {
                    self.cycle[at] = season + gamma * error;
                }
            }
            at += 1;
            if at == period {
                at = 0;
            }
        }
        self.sum = sum;
        let n = self.values.len() as f64;
        // Values are of size one; errors below a millionth of that are no evidence.
        n * (sum + 1e-12 * n).ln() + 2.0 * (logs + product.ln())
    }

    /// Returns the derivatives by α, β, γ, φ, initial level and initial slope; those by the initial seasonal states are left in
    /// `cycle`.
    fn backward<const SEASON: u8, const RELATIVE: bool>(
        &mut self,
        smoothing: Smoothing,
    ) -> [f64; 6] {
        let Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        } = smoothing;
        let n = self.values.len();
        let period = self.cycle.len();
        self.cycle.fill(0.0);
        let factor = 2.0 * n as f64 / (self.sum + 1e-12 * n as f64);
        let (mut by_alpha, mut by_beta, mut by_gamma, mut by_phi) = (0.0, 0.0, 0.0, 0.0);
        // Derivatives by the level and the slope after the step.
        let (mut level, mut slope) = (0.0, 0.0);
        let mut at = (n - 1) % period;
        for (y, seen) in self.values.iter().zip(&self.seen).rev() {
            let Seen {
                slope: before,
                base,
                season,
                error,
            } = *seen;
            let direct = if RELATIVE {
                let mean = y - error;
                let inverse = 1.0 / mean;
                inverse * (2.0 - factor * error * inverse * y * inverse)
            } else {
                -factor * error
            };
            let seasonal = self.cycle[at];
            if SEASON == MULTIPLICATIVE {
                let (per_season, per_base) = (1.0 / season, 1.0 / base);
                let pure = error * per_season;
                let state = alpha * level + beta * slope;
                by_alpha += level * pure;
                by_beta += slope * pure;
                by_gamma += seasonal * error * per_base;
                let mean = direct - state * per_season - gamma * seasonal * per_base;
                self.cycle[at] = seasonal + base * mean - state * pure * per_season;
                level += season * mean - gamma * seasonal * error * per_base * per_base;
            } else {
                by_alpha += level * error;
                by_beta += slope * error;
                let mut mean = direct - alpha * level - beta * slope;
                if SEASON == ADDITIVE {
                    by_gamma += seasonal * error;
                    mean -= gamma * seasonal;
                    self.cycle[at] = seasonal + mean;
                }
                level += mean;
            }
            by_phi += before * (slope + level);
            slope = phi * (slope + level);
            at = if at == 0 { period - 1 } else { at - 1 };
        }
        [by_alpha, by_beta, by_gamma, by_phi, level, slope]
    }
}

impl Objective for Likelihood<'_> {
    fn value(&mut self, x: &[f64]) -> f64 {
        let (smoothing, at) = self.smoothing(x);
        let trend = self.form.trend != TrendForm::None;
        let level = self.guess.level + self.unit.level * x[at];
        let slope = if trend {
            self.guess.slope + self.unit.slope * x[at + 1]
        } else {
            0.0
        };
        let from = at + 1 + usize::from(trend);
        if self.form.season == SeasonForm::None {
            self.cycle[0] = 0.0;
        } else {
            let parts = self.guess.season.iter().zip(&self.unit.season);
            for ((state, (guess, unit)), x) in self.cycle.iter_mut().zip(parts).zip(&x[from..]) {
                *state = guess + unit * x;
            }
        }
        let relative = self.form.error == ErrorForm::Multiplicative;
        let likelihood = match (self.form.season, relative) {
            (SeasonForm::None, false) => self.forward::<NONE, false>(smoothing, level, slope),
            (SeasonForm::None, true) => self.forward::<NONE, true>(smoothing, level, slope),
            (SeasonForm::Additive, false) => {
                self.forward::<ADDITIVE, false>(smoothing, level, slope)
            }
            (SeasonForm::Additive, true) => self.forward::<ADDITIVE, true>(smoothing, level, slope),
            (SeasonForm::Multiplicative, false) => {
                self.forward::<MULTIPLICATIVE, false>(smoothing, level, slope)
            }
            (SeasonForm::Multiplicative, true) => {
                self.forward::<MULTIPLICATIVE, true>(smoothing, level, slope)
            }
        };
        likelihood + self.penalty(x)
    }

    fn gradient(&mut self, x: &[f64], gradient: &mut [f64]) {
        let (smoothing, at) = self.smoothing(x);
        let relative = self.form.error == ErrorForm::Multiplicative;
        let [by_alpha, by_beta, by_gamma, by_phi, by_level, by_slope] =
            match (self.form.season, relative) {
                (SeasonForm::None, false) => self.backward::<NONE, false>(smoothing),
                (SeasonForm::None, true) => self.backward::<NONE, true>(smoothing),
                (SeasonForm::Additive, false) => self.backward::<ADDITIVE, false>(smoothing),
                (SeasonForm::Additive, true) => self.backward::<ADDITIVE, true>(smoothing),
                (SeasonForm::Multiplicative, false) => {
                    self.backward::<MULTIPLICATIVE, false>(smoothing)
                }
                (SeasonForm::Multiplicative, true) => {
                    self.backward::<MULTIPLICATIVE, true>(smoothing)
                }
            };
        let Smoothing {
            alpha,
            beta,
            gamma,
            phi,
        } = smoothing;
        let (share_b, share_g) = (beta / alpha, gamma / (1.0 - alpha));
        gradient[0] = steepness(alpha, ALPHA) * (by_alpha + share_b * by_beta - share_g * by_gamma);
        let mut i = 1;
        if self.form.trend != TrendForm::None {
            gradient[i] = steepness(share_b, SHARE) * alpha * by_beta;
            i += 1;
        }
        if self.form.season != SeasonForm::None {
            gradient[i] = steepness(share_g, SHARE) * (1.0 - alpha) * by_gamma;
            i += 1;
        }
        if self.form.trend == TrendForm::Damped {
            gradient[i] = steepness(phi, PHI) * by_phi;
            i += 1;
        }
        gradient[i] = self.unit.level * by_level;
        i += 1;
        if self.form.trend != TrendForm::None {
            gradient[i] = self.unit.slope * by_slope;
            i += 1;
        }
        if self.form.season != SeasonForm::None {
            for ((g, by), unit) in gradient[i..]
                .iter_mut()
                .zip(&self.cycle)
                .zip(&self.unit.season)
            {
                *g = unit * by;
            }
        }
        for ((g, x), (centre, pull)) in gradient.iter_mut().zip(x).zip(&self.priors) {
            *g += 2.0 * pull * (x - centre);
        }
        for (g, u) in gradient[at..].iter_mut().zip(&x[at..]) {
            *g += 2.0 * self.pull * u;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_difference_quotient_for_every_form() {
        let values: Vec<f64> = (0..30)
            .map(|t| {
                let t = f64::from(t);
                1.0 + 0.01 * t
                    + 0.2 * (std::f64::consts::TAU * t / 4.0).sin()
                    + 0.05 * (t * t).sin()
            })
            .collect();
        for form in Form::all(true, true) {
            let multiplicative = form.season == SeasonForm::Multiplicative;
            let season = match form.season {
                SeasonForm::None => Vec::new(),
                SeasonForm::Additive => vec![0.0, 0.2, 0.0, -0.2],
                SeasonForm::Multiplicative => vec![1.0, 1.2, 1.0, 0.8],
            };
            let guess = State {
                level: 1.0,
                slope: 0.01,
                season,
            };
            let unit = State {
                level: 0.1,
                slope: 0.02,
                season: vec![0.05; guess.season.len()],
            };
            let mut likelihood = Likelihood::new(&values, form, &guess, unit, 0.1);
            let start = Smoothing {
                alpha: 0.4,
                beta: 0.1,
                gamma: 0.2,
                phi: 0.9,
            };
            let mut x = likelihood.pack(&start, &guess);
            for (i, x) in x.iter_mut().enumerate() {
                *x += 0.1 * (i as f64).cos();
            }
            let mut gradient = vec![0.0; x.len()];
            likelihood.value(&x);
            likelihood.gradient(&x, &mut gradient);
            for i in 0..x.len() {
                let mut shifted = |by: f64| {
                    let mut x = x.clone();
                    x[i] += by;
                    likelihood.value(&x)
                };
                let quotient = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
                assert!(
                    (quotient - gradient[i]).abs() < 1e-5 * (1.0 + quotient.abs()),
                    "{form:?} {i}: {quotient} {} {multiplicative}",
                    gradient[i]
                );
            }
        }
    }

    #[test]
    fn packing_and_unpacking_is_the_identity() {
        let form = Form {
            error: ErrorForm::Multiplicative,
            trend: TrendForm::Damped,
            season: SeasonForm::Additive,
        };
        let guess = State {
            level: 1.0,
            slope: 0.1,
            season: vec![0.1, -0.1],
        };
        let likelihood = Likelihood::new(&[1.0; 8], form, &guess, guess.clone(), 0.0);
        let smoothing = Smoothing {
            alpha: 0.3,
            beta: 0.05,
            gamma: 0.2,
            phi: 0.9,
        };
        let state = State {
            level: 1.5,
            slope: -0.2,
            season: vec![0.3, 0.4],
        };
        let (back, states) = likelihood.unpack(&likelihood.pack(&smoothing, &state));
        assert!((back.gamma - 0.2).abs() < 1e-9 && (back.phi - 0.9).abs() < 1e-9);
        assert!((back.alpha - 0.3).abs() < 1e-9 && (back.beta - 0.05).abs() < 1e-9);
        assert!((states.season[1] - 0.4).abs() < 1e-12 && (states.slope + 0.2).abs() < 1e-12);
    }
}
