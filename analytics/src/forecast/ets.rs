//! Exponential smoothing in innovations state-space form with automatic choice of error, trend and season: ETS after Hyndman,
//! Koehler, Snyder and Grose (2002) and Hyndman, Koehler, Ord and Snyder (2008), selected by the corrected Akaike criterion as in
//! Hyndman and Khandakar (2008).
//!
//! Fifteen forms are tried: additive and multiplicative errors, no, additive or damped trend, no, additive or multiplicative
//! season, without the additive-error multiplicative-season ones, whose variance is unstable. Multiplicative trends are left out,
//! as is usual, because they explode. Smoothing parameters and initial states are estimated together by maximum
//! likelihood with an exact gradient, the initial states held near a first guess by a faint normal prior.

mod likelihood;

use serde::{Deserialize, Serialize};

use super::quasi_newton::minimise;
use super::season::{Kind, Season};
use crate::cancel::{Cancel, never};
use likelihood::{Likelihood, Smoothing, State};

/// How errors join the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorForm {
    /// y = μ + ε.
    Additive,
    /// y = μ (1 + ε); only for positive values.
    Multiplicative,
}

/// The trend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrendForm {
    /// A level only.
    None,
    /// A slope that goes on.
    Additive,
    /// A slope that fades by the factor φ at every step.
    Damped,
}

/// How the season joins the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeasonForm {
    /// No season.
    None,
    /// Level plus season.
    Additive,
    /// Level times season; only for positive values.
    Multiplicative,
}

/// A model form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Form {
    /// Error.
    pub error: ErrorForm,
    /// Trend.
    pub trend: TrendForm,
    /// Season.
    pub season: SeasonForm,
}

impl Form {
    /// The admissible forms: multiplicative ones only for positive values, seasonal ones only for seasonal data.
    pub fn all(positive: bool, seasonal: bool) -> Vec<Self> {
        let mut forms = Vec::with_capacity(15);
        let errors = [ErrorForm::Additive, ErrorForm::Multiplicative];
        for error in errors.into_iter().take(1 + usize::from(positive)) {
            for season in [
                SeasonForm::None,
                SeasonForm::Additive,
                SeasonForm::Multiplicative,
            ] {
                let unstable = error == ErrorForm::Additive && season == SeasonForm::Multiplicative;
                if unstable || (season != SeasonForm::None && !seasonal) {
                    continue;
                }
                for trend in [TrendForm::None, TrendForm::Additive, TrendForm::Damped] {
                    forms.push(Self {
                        error,
                        trend,
                        season,
                    });
                }
            }
        }
        forms
    }

    /// The usual name, such as `ETS(M,Ad,M)`.
    pub fn name(self) -> String {
        let error = match self.error {
            ErrorForm::Additive => "A",
            ErrorForm::Multiplicative => "M",
        };
        let trend = match self.trend {
            TrendForm::None => "N",
            TrendForm::Additive => "A",
            TrendForm::Damped => "Ad",
        };
        let season = match self.season {
            SeasonForm::None => "N",
            SeasonForm::Additive => "A",
            SeasonForm::Multiplicative => "M",
        };
        format!("ETS({error},{trend},{season})")
    }

    /// Estimated numbers: smoothing parameters, free initial states and the error variance.
    fn parameters(self, period: usize) -> usize {
        let trend = match self.trend {
            TrendForm::None => 0,
            TrendForm::Additive => 2,
            TrendForm::Damped => 3,
        };
        // Of a cycle of seasonal states one follows from the others.
        let season = match self.season {
            SeasonForm::None => 0,
            _ => period,
        };
        3 + trend + season
    }
}

/// Which forms compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// All admissible ones.
    All,
    /// Those with a damped trend.
    Damped,
}

/// The longest season with a state for every period of it.
pub const LONGEST_SEASON: usize = 24;

/// A fitted model with its state after the last value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// The form.
    pub form: Form,
    /// Smoothing of the level, in (0, 1).
    pub alpha: f64,
    /// Smoothing of the slope, in (0, α); 0 without a trend.
    pub beta: f64,
    /// Smoothing of the season, in (0, 1 − α); 0 without a season.
    pub gamma: f64,
    /// Damping of the slope; 1 = none, 0 without a trend.
    pub phi: f64,
    /// Variance of the one-step errors; of relative errors where they are multiplicative.
    pub variance: f64,
    /// Corrected Akaike criterion; comparable between forms on the same values.
    pub criterion: f64,
    /// Values seen.
    pub seen: usize,
    level: f64,
    slope: f64,
    /// Seasonal states, that of the next value first.
    season: Vec<f64>,
    initial: (f64, f64, Vec<f64>),
}

/// Pull of the initial states to their first guess, in units of −2 log likelihood per squared unit.
const PULL: f64 = 1.0;
/// Rough uncertainty of the initial slope and seasonal states in units of the mean absolute one-step change.
const UNIT_SLOPE: f64 = 0.01;
const UNIT_SEASON: f64 = 1.0;
/// What a parameter costs in the criterion, before the correction for few values.
const PRICE: f64 = 2.0;
/// Steps of the optimiser.
const ITERATIONS: usize = 60;
/// A gain in −2 log likelihood that is not worth another step.
const TOLERANCE: f64 = 2e-3;
/// Where the search may start: α, β/α, γ/(1 − α).
const STARTS: [(f64, f64, f64); 4] = [
    (0.1, 0.05, 0.05),
    (0.3, 0.05, 0.1),
    (0.6, 0.05, 0.1),
    (0.9, 0.05, 0.3),
];

/// Fits the forms of a pool to a gapless series and returns the one with the smallest criterion.
///
/// `None` when no form can be fitted: fewer than four values, values that are not finite, or all of them equal. Seasonal forms
/// need two whole cycles and at most [`LONGEST_SEASON`] values in one.
pub fn fit(values: &[f64], period: usize, pool: Pool) -> Option<Fitted> {
    fit_all(values, period, pool, &[], &never)
        .into_iter()
        .min_by(|a, b| a.criterion.total_cmp(&b.criterion))
}

/// Fits every form of a pool. `earlier` are fits to a part of the same series that began at the same value: they are where the
/// search starts. `cancel` is asked before every value of a likelihood; once it says so the forms that are left are not fitted.
pub fn fit_all(
    values: &[f64],
    period: usize,
    pool: Pool,
    earlier: &[Fitted],
    cancel: &dyn Cancel,
) -> Vec<Fitted> {
    let Some(series) = Scaled::new(values, period) else {
        return Vec::new();
    };
    let forms = Form::all(series.positive, series.additive.is_some());
    forms
        .into_iter()
        .filter(|form| pool == Pool::All || form.trend == TrendForm::Damped)
        .take_while(|_| !cancel.is_cancelled())
        .filter_map(|form| {
            let start = earlier.iter().find(|fitted| fitted.form == form);
            series.fit(form, start, cancel)
        })
        .collect()
}

/// Fits one form; `None` where [`fit`] would not try it.
pub fn fit_form(values: &[f64], period: usize, form: Form) -> Option<Fitted> {
    let series = Scaled::new(values, period)?;
    Form::all(series.positive, series.additive.is_some())
        .contains(&form)
        .then(|| series.fit(form, None, &never))
        .flatten()
}

/// A series brought to mean absolute value one, with first guesses of its seasons.
struct Scaled<'a> {
    original: &'a [f64],
    values: Vec<f64>,
    scale: f64,
    positive: bool,
    period: usize,
    additive: Option<Vec<f64>>,
    multiplicative: Option<Vec<f64>>,
}

impl<'a> Scaled<'a> {
    fn new(values: &'a [f64], period: usize) -> Option<Self> {
        let n = values.len();
        if n < 4 || values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let scale = values.iter().map(|v| v.abs()).sum::<f64>() / n as f64;
        let spread = values
            .iter()
            .map(|v| (v - values[0]).abs())
            .fold(0.0, f64::max);
        if scale <= 0.0 || !scale.is_finite() || spread <= 1e-9 * scale {
            return None;
        }
        let scaled: Vec<f64> = values.iter().map(|v| v / scale).collect();
        // A value a millionth of the mean is zero in all but name, and its relative error is no error.
        let positive = scaled.iter().all(|v| *v > 1e-6);
        let seasonal = (2..=LONGEST_SEASON).contains(&period) && n >= 2 * period + 2;
        let guess = |kind| {
            let season = Season::classical(&scaled, period, kind);
            (0..period).map(|t| season.factor(t)).collect::<Vec<f64>>()
        };
        let additive = seasonal.then(|| guess(Kind::Additive));
        let multiplicative = (seasonal && positive).then(|| {
            let mut factors = guess(Kind::Multiplicative);
            for factor in &mut factors {
                *factor = factor.max(1e-2);
            }
            factors
        });
        Some(Self {
            original: values,
            values: scaled,
            scale,
            positive,
            period,
            additive,
            multiplicative,
        })
    }

    fn season(&self, form: SeasonForm) -> Option<&[f64]> {
        match form {
            SeasonForm::None => Some(&[]),
            SeasonForm::Additive => self.additive.as_deref(),
            SeasonForm::Multiplicative => self.multiplicative.as_deref(),
        }
    }

    /// First guess of the initial states, and their rough uncertainty.
    fn guess(&self, form: Form) -> Option<(State, State)> {
        let season = self.season(form.season)?;
        let adjust = |t: usize| match form.season {
            SeasonForm::None => self.values[t],
            SeasonForm::Additive => self.values[t] - season[t % self.period],
            SeasonForm::Multiplicative => self.values[t] / season[t % self.period],
        };
        let n = self.values.len();
        let head = n.min((2 * season.len()).max(10));
        let mean = (0..head).map(adjust).sum::<f64>() / head as f64;
        let (level, slope) = if form.trend == TrendForm::None {
            (mean, 0.0)
        } else {
            let centre = (head as f64 + 1.0) / 2.0;
            let (mut top, mut bottom) = (0.0, 0.0);
            for t in 0..head {
                let x = (t + 1) as f64 - centre;
                top += x * (adjust(t) - mean);
                bottom += x * x;
            }
            let slope = top / bottom;
            (mean - slope * centre, slope)
        };
        // A level that starts at or below zero cannot carry multiplicative errors.
        let level = if form.error == ErrorForm::Multiplicative && level < 0.1 * mean {
            0.1 * mean
        } else {
            level
        };
        let steps = (1..n)
            .map(|t| (adjust(t) - adjust(t - 1)).abs())
            .sum::<f64>();
        let noise = (steps / (n - 1) as f64).max(1e-4);
        let state = State {
            level,
            slope,
            season: season.to_vec(),
        };
        let unit = State {
            level: noise,
            slope: UNIT_SLOPE * noise,
            season: vec![UNIT_SEASON * noise; season.len()],
        };
        Some((state, unit))
    }

    fn fit(&self, form: Form, earlier: Option<&Fitted>, cancel: &dyn Cancel) -> Option<Fitted> {
        let n = self.values.len();
        let parameters = form.parameters(self.period);
        if parameters + 1 >= n {
            return None;
        }
        let (guess, unit) = self.guess(form)?;
        let mut likelihood = Likelihood::new(&self.values, form, &guess, unit, PULL);
        let mut best: Option<(f64, Vec<f64>)> = None;
        let mut offer = |x: Vec<f64>, likelihood: &mut Likelihood<'_>| {
            let value = super::quasi_newton::Objective::value(likelihood, &x);
            if value.is_finite() && best.as_ref().is_none_or(|(least, _)| value < *least) {
                best = Some((value, x));
            }
        };
        for (alpha, beta, gamma) in STARTS {
            let smoothing = Smoothing {
                alpha,
                beta: alpha * beta,
                gamma: (1.0 - alpha) * gamma,
                phi: 0.93,
            };
            offer(likelihood.pack(&smoothing, &guess), &mut likelihood);
        }
        if let Some(earlier) = earlier {
            let (level, slope, season) = &earlier.initial;
            let seasonal = form.season == SeasonForm::Additive;
            let state = State {
                level: level / self.scale,
                slope: slope / self.scale,
                season: season
                    .iter()
                    .map(|s| if seasonal { s / self.scale } else { *s })
                    .collect(),
            };
            let smoothing = Smoothing {
                alpha: earlier.alpha,
                beta: earlier.beta,
                gamma: earlier.gamma,
                phi: earlier.phi,
            };
            if state.season.len() == guess.season.len() {
                offer(likelihood.pack(&smoothing, &state), &mut likelihood);
            }
        }
        let (_, mut x) = best?;
        minimise(&mut likelihood, &mut x, ITERATIONS, TOLERANCE, cancel);
        cancel.check().ok()?;
        let pulled = super::quasi_newton::Objective::value(&mut likelihood, &x);
        let deviance = pulled - likelihood.penalty(&x);
        if !deviance.is_finite() {
            return None;
        }
        let (n, p) = (n as f64, parameters as f64);
        let criterion = deviance + PRICE * p * n / (n - p - 1.0);
        let squares = likelihood.squares();
        let (smoothing, state) = likelihood.unpack(&x);
        let relative = form.error == ErrorForm::Multiplicative;
        // Degrees of freedom: the initial seasonal states hardly use any, since they are held near their guess.
        let smoothed = parameters - 1 - state.season.len().saturating_sub(1);
        let variance = squares / (n - smoothed as f64).max(1.0);
        let seasonal_scale = if form.season == SeasonForm::Additive {
            self.scale
        } else {
            1.0
        };
        let (level, slope) = (state.level * self.scale, state.slope * self.scale);
        let season: Vec<f64> = state.season.iter().map(|s| s * seasonal_scale).collect();
        let mut fitted = Fitted {
            form,
            alpha: smoothing.alpha,
            beta: smoothing.beta,
            gamma: smoothing.gamma,
            phi: smoothing.phi,
            variance: if relative {
                variance
            } else {
                variance * self.scale * self.scale
            },
            criterion,
            seen: 0,
            level,
            slope,
            season: season.clone(),
            initial: (level, slope, season),
        };
        fitted.update(self.original);
        Some(fitted)
    }
}

impl Fitted {
    fn expect(&self) -> (f64, f64) {
        let base = self.level + self.phi * self.slope;
        let mean = match self.form.season {
            SeasonForm::None => base,
            SeasonForm::Additive => base + self.season[0],
            SeasonForm::Multiplicative => base * self.season[0],
        };
        (base, mean)
    }

    fn step(&mut self, value: f64) {
        let (base, mean) = self.expect();
        let error = value - mean;
        let pure = match self.form.season {
            SeasonForm::Multiplicative => error / self.season[0],
            _ => error,
        };
        self.level = base + self.alpha * pure;
        self.slope = self.phi * self.slope + self.beta * pure;
        match self.form.season {
            SeasonForm::None => {}
            SeasonForm::Additive => self.season[0] += self.gamma * error,
            SeasonForm::Multiplicative => self.season[0] += self.gamma * error / base,
        }
        if !self.season.is_empty() {
            self.season.rotate_left(1);
        }
        self.seen += 1;
    }

    /// Takes new values in without estimating anything again: the state afterwards is the one that filtering the whole series
    /// with these parameters gives. A value that is not finite leaves the model's own expectation in its place.
    pub fn update(&mut self, values: &[f64]) {
        for value in values {
            let value = if value.is_finite() {
                *value
            } else {
                self.expect().1
            };
            self.step(value);
        }
    }

    /// The same parameters and initial states on other values, from the beginning.
    #[must_use]
    pub fn filtered(&self, values: &[f64]) -> Self {
        let mut again = self.clone();
        (again.level, again.slope, again.season) = self.initial.clone();
        again.seen = 0;
        again.update(values);
        again
    }

    /// Means and standard deviations of the next `horizon` values.
    ///
    /// The variances are exact for additive errors and for multiplicative errors without a multiplicative season, and the usual
    /// close approximation for the rest (Hyndman, Koehler, Ord and Snyder 2008, chapter 6).
    pub fn forecast(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let period = self.season.len().max(1);
        let relative = self.form.error == ErrorForm::Multiplicative;
        let mut means = Vec::with_capacity(horizon);
        let mut deviations = Vec::with_capacity(horizon);
        // Weights of an error on the value j steps later.
        let mut weights = Vec::with_capacity(horizon);
        let mut second: Vec<f64> = Vec::with_capacity(horizon);
        let (mut damped, mut power) = (0.0, 1.0);
        let mut sum = 0.0;
        for h in 0..horizon {
            power *= self.phi;
            damped += power;
            let base = self.level + damped * self.slope;
            let season = self.season.get(h % period).copied().unwrap_or(0.0);
            let cycles = (h / period) as i32;
            let (mean, deviation) = if self.form.season == SeasonForm::Multiplicative {
                let convolved: f64 = (0..h)
                    .map(|j| weights[j] * weights[j] * second[h - 1 - j])
                    .sum();
                let squared = base * base + self.variance * convolved;
                second.push(squared);
                let stretched = (1.0 + self.variance)
                    * (1.0 + self.gamma * self.gamma * self.variance).powi(cycles);
                let variance = (squared * stretched - base * base).max(0.0);
                (base * season, season.abs() * variance.sqrt())
            } else {
                let mean = if self.form.season == SeasonForm::Additive {
                    base + season
                } else {
                    base
                };
                if relative {
                    let convolved: f64 = (0..h)
                        .map(|j| weights[j] * weights[j] * second[h - 1 - j])
                        .sum();
                    let squared = mean * mean + self.variance * convolved;
                    second.push(squared);
                    let variance = ((1.0 + self.variance) * squared - mean * mean).max(0.0);
                    (mean, variance.sqrt())
                } else {
                    (mean, (self.variance * (1.0 + sum)).sqrt())
                }
            };
            means.push(mean);
            deviations.push(deviation);
            let seasonal = self.form.season == SeasonForm::Additive && (h + 1) % period == 0;
            let weight = self.alpha + self.beta * damped + if seasonal { self.gamma } else { 0.0 };
            weights.push(weight);
            sum += weight * weight;
        }
        (means, deviations)
    }

    /// The parameters by name.
    pub fn parameters(&self) -> Vec<(&'static str, f64)> {
        let mut list = vec![("alpha", self.alpha)];
        if self.form.trend != TrendForm::None {
            list.push(("beta", self.beta));
            list.push(("phi", self.phi));
        }
        if self.form.season != SeasonForm::None {
            list.push(("gamma", self.gamma));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> (serde_json::Value, Vec<f64>) {
        let text = include_str!("../../testdata/airpassengers_golden.json");
        let golden: serde_json::Value = serde_json::from_str(text).expect("json");
        let series = serde_json::from_value(golden["series"].clone()).expect("numbers");
        (golden, series)
    }

    #[test]
    fn air_passengers_get_a_multiplicative_season_that_peaks_in_july() {
        let (golden, series) = golden();
        for pool in [Pool::All, Pool::Damped] {
            let fitted = fit(&series[..120], 12, pool).expect("a fit");
            assert_eq!(fitted.form.season, SeasonForm::Multiplicative);
            let theirs: Vec<f64> =
                serde_json::from_value(golden["AutoETS_damped"]["mean"].clone()).expect("numbers");
            let (ours, _) = fitted.forecast(24);
            let peak = |of: &[f64]| {
                let best = of[..12].iter().enumerate();
                best.max_by(|a, b| a.1.total_cmp(b.1))
                    .map(|(month, _)| month)
            };
            assert_eq!((peak(&ours), peak(&theirs)), (Some(6), Some(6)));
        }
    }

    #[test]
    fn new_values_lead_where_filtering_everything_leads() {
        let (_, series) = golden();
        for pool in [Pool::All, Pool::Damped] {
            for start in fit_all(&series[..100], 12, pool, &[], &never) {
                let mut updated = start.clone();
                updated.update(&series[100..]);
                assert_eq!(updated, start.filtered(&series), "{}", start.form.name());
            }
        }
    }

    #[test]
    fn a_search_from_an_earlier_fit_ends_hardly_above_one_that_starts_anew() {
        let (_, series) = golden();
        let earlier = fit_all(&series[..100], 12, Pool::All, &[], &never);
        let warm = fit_all(&series, 12, Pool::All, &earlier, &never);
        let cold = fit_all(&series, 12, Pool::All, &[], &never);
        assert_eq!(warm.len(), 15);
        for (warm, cold) in warm.iter().zip(&cold) {
            // The start is never worse, but another way down may stop a little earlier: by 0.18 at most here, where a parameter
            // costs 2.
            assert!(warm.criterion < cold.criterion + 0.2, "{warm:?} {cold:?}");
        }
    }

    #[test]
    fn simulated_variances_are_those_of_the_formula() {
        // With additive errors the deviation of step h is known from the weights of past errors.
        let values: Vec<f64> = (0..60)
            .map(|t| 50.0 + 5.0 * (f64::from(t) * 1.1).sin() + f64::from(t % 4))
            .collect();
        let form = Form {
            error: ErrorForm::Additive,
            trend: TrendForm::Additive,
            season: SeasonForm::Additive,
        };
        let fitted = fit_form(&values, 4, form).expect("a fit");
        let (mean, deviation) = fitted.forecast(9);
        // A unit error at the first step moves each later mean by its weight.
        let mut shocked = fitted.clone();
        shocked.update(&[mean[0] + 1.0]);
        let (moved, _) = shocked.forecast(8);
        let mut sum = 1.0;
        for h in 1..9 {
            let weight = moved[h - 1] - mean[h];
            assert!((deviation[h - 1].powi(2) - fitted.variance * sum).abs() < 1e-9 * sum);
            sum += weight * weight;
        }
    }

    #[test]
    fn series_that_no_form_fits_are_refused_and_zeros_get_additive_forms() {
        assert!(fit(&[1.0, 2.0, 3.0], 1, Pool::All).is_none());
        assert!(fit(&[4.0; 30], 12, Pool::All).is_none());
        assert!(fit(&[1.0, f64::NAN, 3.0, 4.0, 5.0, 6.0], 1, Pool::All).is_none());
        let zeros: Vec<f64> = (0..40).map(|t| f64::from(t % 5)).collect();
        let forms = fit_all(&zeros, 5, Pool::All, &[], &never);
        assert!(forms.len() == 6 && forms.iter().all(|f| f.form.error == ErrorForm::Additive));
    }
}
