//! Complex exponential smoothing (Svetunkov, Kourentzes and Ord 2022), with the choice of its season by the corrected Akaike criterion.
//!
//! The smoothing parameter is a complex number α_0 + iα_1, and the state a level l and an "information potential" c, so that one model moves
//! between level and trend instead of switching. For errors ε_t the level follows
//! `l_t = l_{t−1} − (1 − α_1) c_{t−1} + (α_0 − α_1) ε_t` and `c_t = l_{t−1} + (1 − α_0) c_{t−1} + (α_0 + α_1) ε_t`; the seasonal forms do the
//! same at a lag of one season. Parameters minimise the squared one-step errors; states before the first value are found by
//! running the recursion backwards over the series (backcasting).

use serde::{Deserialize, Serialize};

use super::levenberg_marquardt::{Residuals, Stop, minimise};
use super::steps::Steps;
use crate::cancel::{Cancel, Cancelled, never};

/// What repeats with the season.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Nothing.
    None,
    /// Everything: level and potential of every phase stand alone.
    Simple,
    /// A level with its potential and an additive season with a real smoothing parameter.
    Partial,
    /// A level with its potential and a season with its own potential.
    Full,
}

impl Form {
    /// All forms, without a season first.
    pub const ALL: [Self; 4] = [Self::None, Self::Simple, Self::Partial, Self::Full];

    /// The usual name, such as `CES(full)`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "CES(none)",
            Self::Simple => "CES(simple)",
            Self::Partial => "CES(partial)",
            Self::Full => "CES(full)",
        }
    }

    fn parameters(self) -> usize {
        match self {
            Self::None | Self::Simple => 2,
            Self::Partial => 3,
            Self::Full => 4,
        }
    }

    fn states(self, period: usize) -> usize {
        match self {
            Self::None => 2,
            Self::Simple => 2 * period,
            Self::Partial => 2 + period,
            Self::Full => 2 + 2 * period,
        }
    }
}

/// Why there is no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CesError {
    /// There are too few values.
    #[error("{have} values are too few: at least {need} are needed")]
    TooShort {
        /// Values given.
        have: usize,
        /// Values needed.
        need: usize,
    },
    /// A value is NaN or infinite.
    #[error("a value is missing or infinite; fill gaps first")]
    NotFinite,
    /// A seasonal form needs a period of at least two.
    #[error("a season has at least two values")]
    Period,
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// What repeats with the season.
    pub form: Form,
    /// Values in one season.
    pub period: usize,
    /// (α_0, α_1) and, for the partial form β, for the full form (β_0, β_1).
    pub parameters: Vec<f64>,
    /// Variance of the one-step errors, with the degrees of freedom of parameters and states taken off.
    pub variance: f64,
    /// Logarithm of the Gaussian likelihood at its maximum.
    pub log_likelihood: f64,
    /// Corrected Akaike criterion; `None` when there are too few values for it.
    pub aicc: Option<f64>,
    /// One-step forecasts of all values.
    pub fitted: Vec<f64>,
    /// Values minus one-step forecasts.
    pub residuals: Vec<f64>,
    state: State,
}

/// Level, potential, and season with its potential by phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    level: f64,
    potential: f64,
    season: Vec<f64>,
    season_potential: Vec<f64>,
    /// Phase of the next value.
    phase: usize,
}

/// Chooses the form by the corrected Akaike criterion. Seasonal forms are tried from two seasons on.
///
/// # Errors
/// [`CesError`] for fewer than four values or missing ones.
pub fn auto(values: &[f64], period: usize) -> Result<Fitted, CesError> {
    auto_cancellable(values, period, &never)
}

pub(super) fn auto_cancellable(
    values: &[f64],
    period: usize,
    cancel: &dyn Cancel,
) -> Result<Fitted, CesError> {
    let seasonal = period > 1 && values.len() > 2 * period;
    let mut best = fit_cancellable(values, period, Form::None, cancel)?;
    for form in [Form::Simple, Form::Partial, Form::Full] {
        if !seasonal {
            break;
        }
        let other = match fit_cancellable(values, period, form, cancel) {
            Ok(other) => other,
            Err(CesError::Cancelled(stop)) => return Err(stop.into()),
            Err(_) => continue,
        };
        let better = match (other.aicc, best.aicc) {
            (Some(other), Some(best)) => other < best,
            _ => false,
        };
        if better {
            best = other;
        }
    }
    Ok(best)
}

/// Fits one form.
///
/// # Errors
/// [`CesError`] for values that cannot be used: missing ones, fewer than four, or fewer than two seasons and one value.
pub fn fit(values: &[f64], period: usize, form: Form) -> Result<Fitted, CesError> {
    fit_cancellable(values, period, form, &never)
}

pub(super) fn fit_cancellable(
    values: &[f64],
    period: usize,
    form: Form,
    cancel: &dyn Cancel,
) -> Result<Fitted, CesError> {
    if values.iter().any(|v| !v.is_finite() || v.abs() > 1e100) {
        return Err(CesError::NotFinite);
    }
    let need = match form {
        Form::None => 4,
        _ if period < 2 => return Err(CesError::Period),
        _ => 2 * period + 1,
    };
    let n = values.len();
    if n < need {
        return Err(CesError::TooShort { have: n, need });
    }
    // The recursion is linear in values and states, so the unit of the values does not matter.
    let scale = values.iter().map(|v| v.abs()).sum::<f64>() / n as f64;
    let scale = if scale > 0.0 { scale } else { 1.0 };
    let scaled: Vec<f64> = values.iter().map(|v| v / scale).collect();
    let mut problem = Problem {
        form,
        values: &scaled,
        first: State::first(&scaled, period, form),
        state: State::first(&scaled, period, form),
    };
    let stop = Stop {
        iterations: 40,
        decrease: 1e-6,
        bound: 3.0,
    };
    let mut parameters = Vec::new();
    let mut least = f64::INFINITY;
    for mut start in starts(&scaled, period, form, cancel)? {
        let squares = minimise(&mut problem, &mut start, n, stop, cancel);
        cancel.check()?;
        if squares < least || parameters.is_empty() {
            least = squares;
            parameters = start;
        }
    }
    let mut residuals = vec![0.0; n];
    problem.residuals(&parameters, &mut residuals);
    let squares: f64 = residuals.iter().map(|e| e * e).sum();
    for e in &mut residuals {
        *e *= scale;
    }
    let count = n as f64;
    let spent = form.parameters() + form.states(period);
    let mean_square = (squares / count).max(1e-24) * scale * scale;
    let log_likelihood = -0.5 * count * ((std::f64::consts::TAU * mean_square).ln() + 1.0);
    let free = if n > spent { n - spent } else { n };
    let k = (spent + 1) as f64;
    let mut state = problem.state;
    state.scale(scale);
    Ok(Fitted {
        form,
        period,
        parameters,
        variance: squares * scale * scale / free as f64,
        log_likelihood,
        aicc: (count > k + 1.0)
            .then(|| -2.0 * log_likelihood + 2.0 * k + 2.0 * k * (k + 1.0) / (count - k - 1.0)),
        fitted: values.iter().zip(&residuals).map(|(y, e)| y - e).collect(),
        residuals,
        state,
    })
}

/// Where the minimisation begins: a level that follows three tenths of each error; for the full form also the best partial one,
/// which is the full one with β_1 = 1 and β_0 = 1 + β.
fn starts(
    scaled: &[f64],
    period: usize,
    form: Form,
    cancel: &dyn Cancel,
) -> Result<Vec<Vec<f64>>, Cancelled> {
    Ok(match form {
        Form::None | Form::Simple => vec![vec![1.3, 1.0]],
        Form::Partial => vec![vec![1.3, 1.0, 0.1], vec![1.3, 1.0, 0.7]],
        Form::Full => {
            let mut starts = vec![vec![1.3, 1.0, 1.3, 1.0]];
            match fit_cancellable(scaled, period, Form::Partial, cancel) {
                Ok(partial) => {
                    let p = partial.parameters;
                    starts.push(vec![p[0], p[1], 1.0 + p[2].clamp(0.01, 0.97), 1.0]);
                }
                Err(CesError::Cancelled(stop)) => return Err(stop),
                Err(_) => {}
            }
            starts
        }
    })
}

/// Largest growth of a forecast in one step (one season for a seasonal part). A complex parameter can mean exponential growth;
/// beyond this it explodes, and forecasts of the last cycle of the M3 training values were worse.
const LARGEST_GROWTH: f64 = 1.02;

/// Whether a complex parameter forgets the errors of the past (the eigenvalues of F − g wᵀ lie inside the unit circle) and
/// lets forecasts grow no faster than allowed (those of F, near it).
fn is_admissible(real: f64, imaginary: f64) -> bool {
    let trace = 2.0 - 2.0 * real + imaginary;
    let determinant =
        (1.0 - real + imaginary) * (1.0 - real) - (imaginary - 1.0) * (1.0 - real - imaginary);
    let forgets = determinant.abs() < 0.9999 && trace.abs() < 0.9999 + determinant;
    let half = 1.0 - 0.5 * real;
    let product = 2.0 - real - imaginary;
    let inner = half * half - product;
    let growth = if inner < 0.0 {
        product.max(0.0).sqrt()
    } else {
        half.abs() + inner.sqrt()
    };
    forgets && growth <= LARGEST_GROWTH
}

/// One step of the complex recursion.
fn advance(level: &mut f64, potential: &mut f64, real: f64, imaginary: f64, error: f64) {
    let (l, c) = (*level, *potential);
    *level = l - (1.0 - imaginary) * c + (real - imaginary) * error;
    *potential = l + (1.0 - real) * c + (real + imaginary) * error;
}

impl State {
    /// A first guess: the means of the first values and, for the season, distances from them over two seasons.
    fn first(values: &[f64], period: usize, form: Form) -> Self {
        let n = values.len();
        let span = if form == Form::None {
            n.min(10)
        } else {
            2 * period
        };
        let level = values[..span].iter().sum::<f64>() / span as f64;
        let phases = if form == Form::None { 1 } else { period };
        let mut season = vec![0.0; phases];
        if form != Form::None {
            for (phase, season) in season.iter_mut().enumerate() {
                let mean = 0.5 * (values[phase] + values[phase + period]);
                *season = if form == Form::Simple {
                    mean
                } else {
                    mean - level
                };
            }
        }
        let season_potential = season.iter().map(|s| s / 1.1).collect();
        Self {
            level,
            potential: level / 1.1,
            season,
            season_potential,
            phase: 0,
        }
    }

    fn scale(&mut self, by: f64) {
        self.level *= by;
        self.potential *= by;
        for s in self.season.iter_mut().chain(&mut self.season_potential) {
            *s *= by;
        }
    }

    /// What the state expects of the next value.
    fn expects(&self, form: Form) -> f64 {
        match form {
            Form::None => self.level,
            Form::Simple => self.season[self.phase],
            Form::Partial | Form::Full => self.level + self.season[self.phase],
        }
    }

    /// Takes one error in.
    fn take(&mut self, form: Form, p: &[f64], error: f64) {
        let phase = self.phase;
        if form != Form::Simple {
            advance(&mut self.level, &mut self.potential, p[0], p[1], error);
        }
        match form {
            Form::None => {}
            Form::Simple => advance(
                &mut self.season[phase],
                &mut self.season_potential[phase],
                p[0],
                p[1],
                error,
            ),
            Form::Partial => self.season[phase] += p[2] * error,
            Form::Full => advance(
                &mut self.season[phase],
                &mut self.season_potential[phase],
                p[2],
                p[3],
                error,
            ),
        }
    }

    fn forwards(&mut self) {
        self.phase += 1;
        if self.phase == self.season.len() {
            self.phase = 0;
        }
    }

    fn backwards(&mut self) {
        self.phase = if self.phase == 0 {
            self.season.len() - 1
        } else {
            self.phase - 1
        };
    }
}

struct Problem<'a> {
    form: Form,
    values: &'a [f64],
    first: State,
    /// The state after the last value, of the latest run.
    state: State,
}

impl Residuals for Problem<'_> {
    fn residuals(&mut self, x: &[f64], out: &mut [f64]) -> bool {
        let form = self.form;
        let sound = is_admissible(x[0], x[1])
            && match form {
                Form::None | Form::Simple => true,
                Form::Partial => (0.0..1.0).contains(&x[2]),
                Form::Full => is_admissible(x[2], x[3]),
            };
        if !sound {
            return false;
        }
        self.state.clone_from(&self.first);
        let state = &mut self.state;
        for round in 0..2 {
            for (value, out) in self.values.iter().zip(out.iter_mut()) {
                let error = value - state.expects(form);
                *out = error;
                state.take(form, x, error);
                state.forwards();
            }
            if round == 0 {
                for value in self.values.iter().rev() {
                    state.backwards();
                    let error = value - state.expects(form);
                    state.take(form, x, error);
                }
            }
        }
        out.iter().all(|e| e.is_finite())
    }
}

impl Fitted {
    /// Takes in the next value; the parameters stay as they were estimated. [`Self::fitted`] and [`Self::residuals`] are those of the
    /// estimation and do not grow.
    pub fn update(&mut self, value: f64) {
        let error = value - self.state.expects(self.form);
        self.state.take(self.form, &self.parameters, error);
        self.state.forwards();
    }

    /// Forecasts `horizon` steps.
    pub fn forecast(&self, horizon: usize) -> Steps {
        let run = |state: &State| -> Vec<f64> {
            let mut state = state.clone();
            (0..horizon)
                .map(|_| {
                    let expected = state.expects(self.form);
                    state.take(self.form, &self.parameters, 0.0);
                    state.forwards();
                    expected
                })
                .collect()
        };
        // What one unit of error does to the steps after it.
        let mut shock = self.state.clone();
        shock.scale(0.0);
        shock.take(self.form, &self.parameters, 1.0);
        shock.forwards();
        let mut total = 1.0;
        let mut sigma = Vec::with_capacity(horizon);
        for response in run(&shock) {
            sigma.push((self.variance * total).sqrt());
            total += response * response;
        }
        Steps {
            mean: run(&self.state),
            sigma,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn numbers(list: &Value) -> Vec<f64> {
        list.as_array()
            .expect("a list")
            .iter()
            .map(|v| v.as_f64().expect("a number"))
            .collect()
    }

    #[test]
    fn a_value_taken_in_moves_the_forecast_by_its_error() {
        let values: Vec<f64> = (0..48)
            .map(|t| {
                30.0 + 5.0 * (std::f64::consts::TAU * f64::from(t) / 4.0).sin()
                    + (f64::from(t) * 1.9).cos()
            })
            .collect();
        for form in Form::ALL {
            let fitted = fit(&values, 4, form).expect("long enough");
            let ahead = fitted.forecast(6);
            // The expected value is no news.
            let mut calm = fitted.clone();
            calm.update(ahead.mean[0]);
            for (a, b) in calm.forecast(5).mean.iter().zip(&ahead.mean[1..]) {
                assert!((a - b).abs() < 1e-9, "{form:?}: {a} {b}");
            }
            // An error moves what follows as the variances say.
            let mut moved = fitted.clone();
            moved.update(ahead.mean[0] + 1.0);
            let response = moved.forecast(1).mean[0] - ahead.mean[1];
            let grown = (ahead.sigma[1] / ahead.sigma[0]).powi(2);
            assert!((grown - 1.0 - response * response).abs() < 1e-9, "{form:?}");
        }
    }

    #[test]
    fn air_passengers_are_forecast_as_well_as_by_another_implementation() {
        let fixture = |text: &str| -> Value { serde_json::from_str(text).expect("json") };
        let models = fixture(include_str!("../../testdata/airpassengers_models.json"));
        let whole = fixture(include_str!("../../testdata/airpassengers_golden.json"));
        let series = numbers(&whole["series"]);
        let fitted = auto(&series[..120], 12).expect("a model");
        // Theirs begins from other states and takes the full form, so that parameters cannot be compared one by one.
        let apart = |mean: &[f64]| -> f64 {
            mean.iter()
                .zip(&series[120..])
                .map(|(a, b)| (a - b).abs() / b)
                .sum::<f64>()
                / 24.0
        };
        let ours = apart(&fitted.forecast(24).mean);
        let theirs = apart(&numbers(&models["AutoCES"]["mean"]));
        assert!(ours < 1.05 * theirs, "{ours} {theirs}");
    }

    #[test]
    fn a_form_within_another_fits_no_better() {
        let values: Vec<f64> = (0..60)
            .map(|t| 20.0 + t as f64 + [3.0, -2.0, 5.0, -6.0][t % 4] + ((t * t) as f64).sin())
            .collect();
        let squares = |form: Form| -> f64 {
            let fitted = fit(&values, 4, form).expect("a model");
            fitted.residuals.iter().map(|e| e * e).sum()
        };
        assert!(squares(Form::Full) <= 1.001 * squares(Form::Partial));
    }

    #[test]
    fn the_first_step_is_the_recursion_of_the_paper() {
        let (mut level, mut potential) = (10.0, 4.0);
        advance(&mut level, &mut potential, 1.3, 0.9, 2.0);
        assert!((level - (10.0 - 0.1 * 4.0 + 0.4 * 2.0)).abs() < 1e-12);
        assert!((potential - (10.0 - 0.3 * 4.0 + 2.2 * 2.0)).abs() < 1e-12);
    }

    #[test]
    fn the_stable_region_is_that_of_the_paper() {
        // Svetunkov and others give the region as three circles.
        for i in 0..60 {
            for j in 0..60 {
                let (a, b) = (i as f64 * 0.05 + 0.013, j as f64 * 0.05 + 0.017);
                let circles = (a - 2.5).powi(2) + b * b > 1.25
                    && (a - 0.5).powi(2) + (b - 1.0).powi(2) > 0.25
                    && (a - 1.5).powi(2) + (b - 0.5).powi(2) < 1.5;
                // The growth is limited besides.
                assert!(circles || !is_admissible(a, b), "{a} {b}");
            }
        }
        assert!(is_admissible(1.3, 1.0) && is_admissible(1.9, 1.01));
        assert!(!is_admissible(0.5, 1.0) && !is_admissible(2.6, 0.2));
    }

    #[test]
    fn an_imaginary_part_of_one_is_exponential_smoothing() {
        // With α_1 = 1 the level moves by (α_0 − 1) times the error, and the forecast is flat.
        let state = State {
            level: 10.0,
            potential: 3.0,
            season: vec![0.0],
            season_potential: vec![0.0],
            phase: 0,
        };
        let mut after = state.clone();
        after.take(Form::None, &[1.4, 1.0], 5.0);
        assert!((after.level - 12.0).abs() < 1e-12);
        let fitted = Fitted {
            form: Form::None,
            period: 1,
            parameters: vec![1.4, 1.0],
            variance: 4.0,
            log_likelihood: 0.0,
            aicc: None,
            fitted: Vec::new(),
            residuals: Vec::new(),
            state,
        };
        let steps = fitted.forecast(4);
        for (h, (mean, sigma)) in steps.mean.iter().zip(&steps.sigma).enumerate() {
            assert!((mean - 10.0).abs() < 1e-12);
            assert!(
                (sigma - 2.0 * (1.0 + 0.16 * h as f64).sqrt()).abs() < 1e-12,
                "{h}"
            );
        }
    }

    #[test]
    fn a_pure_season_is_recognised_and_repeated() {
        let season = [12.0, 7.0, 9.0, 15.0];
        let values: Vec<f64> = (0..48)
            .map(|t| season[t % 4] + 0.05 * ((t * t) as f64 * 0.7).sin())
            .collect();
        let fitted = auto(&values, 4).expect("a model");
        assert_ne!(fitted.form, Form::None);
        for (h, mean) in fitted.forecast(8).mean.iter().enumerate() {
            assert!((mean - season[h % 4]).abs() < 0.3, "{h} {mean}");
        }
        for ((f, e), y) in fitted.fitted.iter().zip(&fitted.residuals).zip(&values) {
            assert!((f + e - y).abs() < 1e-9);
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let short = CesError::TooShort { have: 3, need: 4 };
        assert_eq!(auto(&[1.0; 3], 1).unwrap_err(), short);
        let gap = [1.0, 2.0, f64::NAN, 3.0, 4.0];
        assert_eq!(auto(&gap, 1).unwrap_err(), CesError::NotFinite);
        assert_eq!(fit(&[1.0; 9], 1, Form::Full).unwrap_err(), CesError::Period);
        assert!(fit(&[1.0; 24], 12, Form::Full).is_err());
        let constant = auto(&[5.0; 30], 12).expect("a model").forecast(15);
        assert!(
            constant.mean.iter().all(|m| (m - 5.0).abs() < 0.1),
            "{constant:?}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_series_gives_finite_steps_or_an_error(
            values in proptest::collection::vec(prop_oneof![9 => -1e3..1e3f64, 1 => -1e15..1e15f64], 0..60),
            period in 0usize..13,
        ) {
            match auto(&values, period) {
                Ok(fitted) => {
                    let steps = fitted.forecast(20);
                    prop_assert!(steps.mean.iter().chain(&steps.sigma).all(|v| v.is_finite()), "{:?}", steps);
                    prop_assert!(steps.sigma.windows(2).all(|w| w[1] >= w[0] && w[0] >= 0.0));
                }
                Err(error) => prop_assert_eq!(error, CesError::TooShort { have: values.len(), need: 4 }),
            }
        }
    }
}
