//! Seasonal ARIMA models with regressors, estimated by exact maximum likelihood, and an automatic choice of their order.
//!
//! `φ(B) Φ(B^m) (1 − B)^d (1 − B^m)^D (y_t − x_tᵀβ) = θ(B) Θ(B^m) ε_t` (Box and Jenkins 1970), with a constant among the regressors: a mean
//! where nothing is differenced, a slope where one difference is taken. The likelihood is that of the differenced values
//! (`arima/likelihood.rs`), maximised by Levenberg–Marquardt steps over partial autocorrelations, so that every
//! estimate is stationary and invertible. [`auto`] follows Hyndman and Khandakar (2008): differences by tests, then a stepwise
//! search for the smallest corrected Akaike criterion.

mod difference;
mod likelihood;
mod polynomial;
mod search;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::levenberg_marquardt::{Stop, minimise};
use super::steps::Steps;
use crate::cancel::{Cancel, never};
use likelihood::{Likelihood, Shape, Treatment, log_likelihood};

pub use search::{Search, auto};

/// The longest period with seasonal terms; longer seasons are for [`super::mstl`].
pub const LONGEST_PERIOD: usize = 120;

/// Most coefficients of one polynomial.
const LARGEST_ORDER: usize = 24;

/// Orders of an ARIMA(p,d,q)(P,D,Q)\[m\] model.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Order {
    /// Autoregressive coefficients.
    pub p: usize,
    /// Differences.
    pub d: usize,
    /// Moving-average coefficients.
    pub q: usize,
    /// Seasonal autoregressive coefficients.
    pub seasonal_p: usize,
    /// Seasonal differences.
    pub seasonal_d: usize,
    /// Seasonal moving-average coefficients.
    pub seasonal_q: usize,
    /// Values in one season; 1 = no season.
    pub period: usize,
}

impl Order {
    /// A model without a season.
    pub fn plain(p: usize, d: usize, q: usize) -> Self {
        Self {
            p,
            d,
            q,
            period: 1,
            ..Self::default()
        }
    }

    /// The same with seasonal terms.
    pub fn seasonal(self, p: usize, d: usize, q: usize, period: usize) -> Self {
        Self {
            seasonal_p: p,
            seasonal_d: d,
            seasonal_q: q,
            period,
            ..self
        }
    }

    /// The usual name, such as `ARIMA(0,1,1)(0,1,1)[12]`.
    pub fn name(&self) -> String {
        let plain = format!("ARIMA({},{},{})", self.p, self.d, self.q);
        if self.period > 1 {
            format!(
                "{plain}({},{},{})[{}]",
                self.seasonal_p, self.seasonal_d, self.seasonal_q, self.period
            )
        } else {
            plain
        }
    }

    /// Values the differences use up.
    fn lost(&self) -> usize {
        self.d + self.seasonal_d * self.period
    }

    fn shape(&self) -> Shape {
        Shape {
            p: self.p,
            q: self.q,
            seasonal_p: self.seasonal_p,
            seasonal_q: self.seasonal_q,
            period: self.period,
        }
    }

    fn check(&self) -> Result<(), ArimaError> {
        let orders = [
            self.p,
            self.q,
            self.seasonal_p,
            self.seasonal_q,
            self.d,
            self.seasonal_d,
        ];
        let seasonal = self.seasonal_p + self.seasonal_d + self.seasonal_q > 0;
        let sound = orders.iter().all(|o| *o <= LARGEST_ORDER)
            && self.d + self.seasonal_d <= 3
            && (!seasonal || (2..=LONGEST_PERIOD).contains(&self.period));
        if sound {
            Ok(())
        } else {
            Err(ArimaError::Order(*self))
        }
    }
}

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ArimaError {
    /// There are too few values for these orders and regressors.
    #[error("{have} values are too few: at least {need} are needed")]
    TooShort {
        /// Values given.
        have: usize,
        /// Values needed.
        need: usize,
    },
    /// A value or a regressor is NaN or infinite.
    #[error("a value is missing or infinite; fill gaps first")]
    NotFinite,
    /// A regressor has another length than the series, or the future another number of columns or steps.
    #[error("a regressor has {have} values instead of {need}")]
    RegressorLength {
        /// Values given.
        have: usize,
        /// Values needed.
        need: usize,
    },
    /// The regressors, with the constant and after differencing, are linearly dependent.
    #[error("the regressors are linearly dependent on each other or on the constant")]
    Collinear,
    /// The orders are outside what is supported.
    #[error("{} has orders or a period out of range", .0.name())]
    Order(Order),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] crate::cancel::Cancelled),
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// Its orders.
    pub order: Order,
    /// φ_1, …: `1 − φ_1 B − …`.
    pub ar: Vec<f64>,
    /// θ_1, …: `1 + θ_1 B + …`.
    pub ma: Vec<f64>,
    /// Φ_1, …: `1 − Φ_1 B^m − …`.
    pub seasonal_ar: Vec<f64>,
    /// Θ_1, …: `1 + Θ_1 B^m + …`.
    pub seasonal_ma: Vec<f64>,
    /// The mean where nothing is differenced, the slope per step where one difference is taken.
    pub constant: Option<f64>,
    /// Coefficients of the regressors.
    pub regression: Vec<f64>,
    /// Variance of the errors, with degrees of freedom taken off.
    pub variance: f64,
    /// Logarithm of the exact likelihood of the differenced values at its maximum.
    pub log_likelihood: f64,
    /// Corrected Akaike criterion; comparable between models with the same differences. `None` when there are too few values for it.
    pub aicc: Option<f64>,
    /// First values, on which the differenced model conditions: they have no one-step forecast.
    pub skipped: usize,
    /// One-step forecasts of the values after those.
    pub fitted: Vec<f64>,
    /// Values minus one-step forecasts.
    pub residuals: Vec<f64>,
    tail: Tail,
}

/// What forecasts start from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tail {
    /// φ(B) Φ(B^m) of the differenced values.
    phi: Vec<f64>,
    theta: Vec<f64>,
    /// Weights of the differences.
    delta: Vec<f64>,
    /// Values in all.
    values: usize,
    /// For the series and each regressor (the constant first): state of the filter and the last undifferenced values.
    columns: Vec<(Vec<f64>, Vec<f64>)>,
    /// The last value of each regressor given.
    last: Vec<f64>,
    /// Covariance of the regression coefficients in units of the error variance, row by row.
    covariance: Vec<f64>,
}

/// Fits a model of given order, with a constant if wanted (it is left out where two or more differences are taken), and regressors
/// as long as the series.
///
/// # Errors
/// [`ArimaError`] for values or regressors that cannot be used.
pub fn fit(
    values: &[f64],
    order: Order,
    constant: bool,
    regressors: &[Vec<f64>],
) -> Result<Fitted, ArimaError> {
    fit_cancellable(values, order, constant, regressors, &never)
}

pub(super) fn fit_cancellable(
    values: &[f64],
    order: Order,
    constant: bool,
    regressors: &[Vec<f64>],
    cancel: &dyn Cancel,
) -> Result<Fitted, ArimaError> {
    check(values, regressors)?;
    order.check()?;
    let data = Data::new(values, order, constant, regressors)?;
    let treatment = Treatment::Settling;
    let estimate = data
        .estimate(order.shape(), &[], THOROUGH, treatment, cancel)
        .ok_or(ArimaError::Collinear)?;
    cancel.check()?;
    Ok(data.finish(values, order, &estimate))
}

fn check(values: &[f64], regressors: &[Vec<f64>]) -> Result<(), ArimaError> {
    let finite = |column: &[f64]| column.iter().all(|v| v.is_finite() && v.abs() < 1e100);
    for regressor in regressors {
        if regressor.len() != values.len() {
            return Err(ArimaError::RegressorLength {
                have: regressor.len(),
                need: values.len(),
            });
        }
    }
    if finite(values) && regressors.iter().all(|r| finite(r)) {
        Ok(())
    } else {
        Err(ArimaError::NotFinite)
    }
}

/// Steps of the estimation inside the search.
const QUICK: Stop = Stop {
    iterations: 20,
    decrease: 1e-6,
    bound: 5.0,
};

/// Steps of the final estimation.
const THOROUGH: Stop = Stop {
    iterations: 200,
    decrease: 1e-11,
    bound: 5.0,
};

/// Differenced and scaled columns: the series, the constant, the regressors.
struct Data {
    columns: Vec<Vec<f64>>,
    /// The columns before differencing.
    levels: Vec<Vec<f64>>,
    scales: Vec<f64>,
    constant: bool,
}

/// A maximum of the likelihood.
#[derive(Clone, Debug)]
struct Estimate {
    shape: Shape,
    free: Vec<f64>,
    /// Scaled squared innovations, in units of the squared scale of the series.
    squares: f64,
}

impl Data {
    fn new(
        values: &[f64],
        order: Order,
        constant: bool,
        regressors: &[Vec<f64>],
    ) -> Result<Self, ArimaError> {
        let (n, lost) = (values.len(), order.lost());
        let mut levels = vec![values.to_vec()];
        let taken = order.d + order.seasonal_d;
        let constant = constant && taken <= 1;
        if constant {
            levels.push(if taken == 0 {
                vec![1.0; n]
            } else {
                (1..=n).map(|t| t as f64).collect()
            });
        }
        levels.extend(regressors.iter().cloned());
        let need = lost + levels.len() + 1;
        if n < need {
            return Err(ArimaError::TooShort { have: n, need });
        }
        let mut scales = Vec::with_capacity(levels.len());
        let mut columns = Vec::with_capacity(levels.len());
        for level in &levels {
            let mut column = difference::difference(level, order.d, order.seasonal_d, order.period);
            let size = (column.iter().map(|v| v * v).sum::<f64>() / column.len() as f64).sqrt();
            let scale = if size > 0.0 { size } else { 1.0 };
            for value in &mut column {
                *value /= scale;
            }
            scales.push(scale);
            columns.push(column);
        }
        Ok(Self {
            columns,
            levels,
            scales,
            constant,
        })
    }

    fn count(&self) -> usize {
        self.columns[0].len()
    }

    /// Coefficients and the error variance.
    fn parameters(&self, shape: Shape) -> usize {
        shape.count() + self.columns.len()
    }

    /// Maximises the likelihood from the best of `starts` and the origin. `None` when the regressors are collinear.
    fn estimate(
        &self,
        shape: Shape,
        starts: &[Vec<f64>],
        stop: Stop,
        treatment: Treatment,
        cancel: &dyn Cancel,
    ) -> Option<Estimate> {
        let mut likelihood = Likelihood::new(shape, &self.columns, treatment);
        let n = self.count();
        let mut free = vec![0.0; shape.count()];
        let mut best = score(&mut likelihood, &free)?;
        for start in starts {
            if let Some(squares) = score(&mut likelihood, start)
                && squares < best
            {
                best = squares;
                free.copy_from_slice(start);
            }
        }
        let squares = minimise(&mut likelihood, &mut free, n, stop, cancel);
        Some(Estimate {
            shape,
            free,
            squares: squares.max(SMALLEST * n as f64),
        })
    }

    /// −2 log L + penalty; `None` when there are too few values.
    fn aicc(&self, estimate: &Estimate) -> Option<f64> {
        let n = self.count();
        let k = self.parameters(estimate.shape);
        (n > k + 1).then(|| {
            let (n, k) = (n as f64, k as f64);
            -2.0 * self.log_likelihood(estimate) + 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0)
        })
    }

    fn log_likelihood(&self, estimate: &Estimate) -> f64 {
        let n = self.count();
        log_likelihood(estimate.squares, n) - n as f64 * self.scales[0].ln()
    }

    fn finish(&self, values: &[f64], order: Order, estimate: &Estimate) -> Fitted {
        let mut likelihood = Likelihood::new(estimate.shape, &self.columns, Treatment::Exact);
        let n = self.count();
        let skipped = values.len() - n;
        let scale = self.scales[0];
        let innovations = likelihood
            .evaluate(&estimate.free)
            .map_or_else(|| vec![0.0; n], <[f64]>::to_vec);
        let residuals: Vec<f64> = innovations
            .iter()
            .zip(likelihood.variances())
            .map(|(e, f)| e * f.sqrt() * scale)
            .collect();
        let squares = innovations.iter().map(|e| e * e).sum::<f64>();
        let spent = self.parameters(estimate.shape) - 1;
        let free = if n > spent { n - spent } else { n };
        let variance = squares / free as f64 * scale * scale;
        let coefficients: Vec<f64> = likelihood
            .coefficients
            .iter()
            .zip(&self.scales[1..])
            .map(|(b, s)| b * scale / s)
            .collect();
        let (constant, regression) = if self.constant {
            (Some(coefficients[0]), coefficients[1..].to_vec())
        } else {
            (None, coefficients)
        };
        let (phi, theta) = likelihood.expanded();
        let delta = difference::polynomial(order.d, order.seasonal_d, order.period);
        let columns = likelihood
            .states()
            .zip(&self.levels)
            .zip(&self.scales)
            .map(|((state, level), scale)| {
                (
                    state.iter().map(|s| s * scale).collect(),
                    level[level.len() - delta.len()..].to_vec(),
                )
            })
            .collect();
        let polynomials = likelihood.polynomials();
        let negative = |c: &[f64]| c.iter().map(|c| -c).collect::<Vec<f64>>();
        let own = 1 + usize::from(self.constant);
        Fitted {
            order,
            ar: polynomials.ar.clone(),
            ma: negative(&polynomials.ma),
            seasonal_ar: polynomials.seasonal_ar.clone(),
            seasonal_ma: negative(&polynomials.seasonal_ma),
            constant,
            regression,
            variance,
            log_likelihood: self.log_likelihood(estimate),
            aicc: self.aicc(estimate),
            skipped,
            fitted: values[skipped..]
                .iter()
                .zip(&residuals)
                .map(|(y, e)| y - e)
                .collect(),
            residuals,
            tail: Tail {
                phi: phi.to_vec(),
                theta: theta.to_vec(),
                delta,
                values: values.len(),
                columns,
                last: self.levels[own..]
                    .iter()
                    .map(|level| level[level.len() - 1])
                    .collect(),
                covariance: covariance(likelihood.triangle(), &self.scales[1..]),
            },
        }
    }
}

/// Squared innovations, relative to the variation of the differenced series, below which a fit is called perfect.
const SMALLEST: f64 = 1e-24;

/// Scaled squared innovations at a point.
fn score(likelihood: &mut Likelihood<'_>, free: &[f64]) -> Option<f64> {
    let squares = likelihood
        .evaluate(free)?
        .iter()
        .map(|e| e * e)
        .sum::<f64>();
    Some(squares * likelihood.log_variance.exp())
}

/// (RᵀR)⁻¹ in the units of the columns before scaling (the series' own scale is in the error variance).
fn covariance(triangle: &[f64], scales: &[f64]) -> Vec<f64> {
    let k = scales.len();
    // R⁻¹, upper triangular.
    let mut inverse = vec![0.0; k * k];
    for j in 0..k {
        inverse[j * k + j] = 1.0 / triangle[j * k + j];
        for i in (0..j).rev() {
            let sum: f64 = (i + 1..=j)
                .map(|l| triangle[i * k + l] * inverse[l * k + j])
                .sum();
            inverse[i * k + j] = -sum / triangle[i * k + i];
        }
    }
    let mut out = vec![0.0; k * k];
    for i in 0..k {
        for j in 0..k {
            let sum: f64 = (i.max(j)..k)
                .map(|l| inverse[i * k + l] * inverse[j * k + l])
                .sum();
            out[i * k + j] = sum / (scales[i] * scales[j]);
        }
    }
    out
}

impl Fitted {
    /// Takes in the next value of a model without regressors (with some, they stay at their last values); the parameters stay as they
    /// were estimated. [`Self::fitted`] and [`Self::residuals`] are those of the estimation and do not grow.
    ///
    /// The gain of the filter is that of its steady state, which it has reached after a few seasons.
    pub fn update(&mut self, value: f64) {
        let own = usize::from(self.constant.is_some());
        let slope = self.order.d + self.order.seasonal_d > 0;
        let tail = &mut self.tail;
        tail.values += 1;
        let constant = if slope { tail.values as f64 } else { 1.0 };
        for c in 0..tail.columns.len() {
            let value = match c {
                0 => value,
                c if c <= own => constant,
                c => tail.last[c - 1 - own],
            };
            tail.take(c, value);
        }
    }

    /// Forecasts `horizon` steps; regressors, if there are any, stay at their last values.
    pub fn forecast(&self, horizon: usize) -> Steps {
        let held: Vec<Vec<f64>> = self.tail.last.iter().map(|v| vec![*v; horizon]).collect();
        self.steps(horizon, &held)
    }

    /// Forecasts with given values of the regressors, one column for each and one value for each step.
    ///
    /// # Errors
    /// [`ArimaError::RegressorLength`] when there are too few columns or values, [`ArimaError::NotFinite`].
    pub fn forecast_with(&self, horizon: usize, future: &[Vec<f64>]) -> Result<Steps, ArimaError> {
        if future.len() != self.regression.len() {
            return Err(ArimaError::RegressorLength {
                have: future.len(),
                need: self.regression.len(),
            });
        }
        if let Some(column) = future.iter().find(|column| column.len() != horizon) {
            return Err(ArimaError::RegressorLength {
                have: column.len(),
                need: horizon,
            });
        }
        if future.iter().flatten().any(|v| !v.is_finite()) {
            return Err(ArimaError::NotFinite);
        }
        Ok(self.steps(horizon, future))
    }

    /// Means from the difference equation; variances from the weights of past errors, plus what the estimated regression
    /// coefficients (the constant among them) add. The other coefficients are taken as known.
    fn steps(&self, horizon: usize, future: &[Vec<f64>]) -> Steps {
        let tail = &self.tail;
        let mut columns = tail
            .columns
            .iter()
            .map(|(state, last)| tail.project(state, last, horizon));
        let mut mean = columns.next().unwrap_or_default();
        // A regressor moves the forecast by its coefficient times what its own past does not foresee.
        let mut surprises: Vec<Vec<f64>> = columns.collect();
        let own = usize::from(self.constant.is_some());
        for (c, surprise) in surprises.iter_mut().enumerate() {
            for (h, foreseen) in surprise.iter_mut().enumerate() {
                let value = if c < own {
                    if self.order.d + self.order.seasonal_d == 0 {
                        1.0
                    } else {
                        (tail.values + h + 1) as f64
                    }
                } else {
                    future[c - own][h]
                };
                *foreseen = value - *foreseen;
            }
        }
        let coefficients = self.constant.iter().chain(&self.regression);
        for (coefficient, surprise) in coefficients.zip(&surprises) {
            for (m, s) in mean.iter_mut().zip(surprise) {
                *m += coefficient * s;
            }
        }
        let k = surprises.len();
        let mut sigma = Vec::with_capacity(horizon);
        let mut total = 0.0;
        for (h, weight) in tail.weights(horizon).into_iter().enumerate() {
            total += weight * weight;
            let mut estimated = 0.0;
            for i in 0..k {
                for j in 0..k {
                    estimated += surprises[i][h] * surprises[j][h] * tail.covariance[i * k + j];
                }
            }
            sigma.push((self.variance * (total + estimated.max(0.0))).sqrt());
        }
        Steps { mean, sigma }
    }
}

impl Tail {
    /// Filters one more value of a column.
    fn take(&mut self, column: usize, value: f64) {
        let (state, last) = &mut self.columns[column];
        let count = last.len();
        let past: f64 = self
            .delta
            .iter()
            .enumerate()
            .filter(|(_, c)| **c != 0.0)
            .map(|(j, c)| c * last[count - 1 - j])
            .sum();
        let error = value - past - state[0];
        state[0] += error;
        for (s, theta) in state[1..].iter_mut().zip(&self.theta) {
            *s += theta * error;
        }
        let head = state[0];
        for i in 0..state.len() {
            let next = state.get(i + 1).copied().unwrap_or(0.0);
            state[i] = next + self.phi.get(i).copied().unwrap_or(0.0) * head;
        }
        if count > 0 {
            last.rotate_left(1);
            last[count - 1] = value;
        }
    }

    /// The coming values of a column as its own past foresees them.
    fn project(&self, state: &[f64], last: &[f64], horizon: usize) -> Vec<f64> {
        let mut state = state.to_vec();
        let mut whole = last.to_vec();
        for _ in 0..horizon {
            let head = state[0];
            for i in 0..state.len() {
                let next = state.get(i + 1).copied().unwrap_or(0.0);
                state[i] = next + self.phi.get(i).copied().unwrap_or(0.0) * head;
            }
            let past: f64 = self
                .delta
                .iter()
                .enumerate()
                .filter(|(_, c)| **c != 0.0)
                .map(|(j, c)| c * whole[whole.len() - 1 - j])
                .sum();
            whole.push(head + past);
        }
        whole.split_off(last.len())
    }

    /// Weights of the errors in the undifferenced process, from the present one.
    fn weights(&self, count: usize) -> Vec<f64> {
        let mut stationary = vec![0.0; count];
        let mut whole = vec![0.0; count];
        for j in 0..count {
            let own = match j {
                0 => 1.0,
                _ => self.theta.get(j - 1).copied().unwrap_or(0.0),
            };
            let lagged = |weights: &[f64], c: &[f64]| -> f64 {
                c.iter()
                    .take(j)
                    .enumerate()
                    .map(|(k, c)| c * weights[j - k - 1])
                    .sum()
            };
            stationary[j] = own + lagged(&stationary, &self.phi);
            whole[j] = stationary[j] + lagged(&whole, &self.delta);
        }
        whole
    }
}
