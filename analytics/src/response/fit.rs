//! The joint fit of one brand: all its media curves, cross-brand drivers and controls at once.
//!
//! Linear coefficients are profiled out (variable projection, Golub and Pereyra 1973), so argmin's L-BFGS searches only
//! over carry-over and saturation of each line, with the exact gradient. Weak priors keep those two inside what media
//! do (they are barely identified for small lines); coefficients themselves carry no prior. Errors are first-order
//! autoregressive with the autocorrelation estimated by restricted likelihood, which also removes the bias of budgets
//! that react to last week's sales. It is not taken to be negative: where it is zero, estimates below zero would make errors of
//! coefficients too small in one brand of two.

use super::curve::{Curve, shape};
use super::design::{Design, SHAPE};
use crate::cancel::{Cancel, Cancelled};
use crate::descent::{Limits, descend};
use crate::linear::{
    Cholesky, add_scaled, dot, orthonormal, reml_autocorrelation, remove, restricted_likelihood,
    whiten,
};

/// The search over the shapes; its forty steps take a tenth of these evaluations.
const LIMITS: Limits = Limits {
    memory: 7,
    steps: 40,
    evaluations: 1_000,
};

/// Weak prior on one shape parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShapePrior {
    /// Centre of the transformed parameter.
    pub centre: f64,
    /// Standard deviation of the transformed parameter.
    pub spread: f64,
}

/// Priors on the shape of every line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShapePriors {
    /// On the logit of the weekly retention.
    pub retention: ShapePrior,
    /// On the logit of the share that starts a week late.
    pub delay: ShapePrior,
    /// On the logarithm of half-saturation over mean spend.
    pub half: ShapePrior,
}

impl Default for ShapePriors {
    fn default() -> Self {
        Self {
            retention: ShapePrior {
                centre: -0.5,
                spread: 0.55,
            },
            delay: ShapePrior {
                centre: -1.3,
                spread: 1.2,
            },
            half: ShapePrior {
                centre: 0.5,
                spread: 0.9,
            },
        }
    }
}

impl ShapePriors {
    pub(crate) fn all(&self) -> [ShapePrior; SHAPE] {
        [self.retention, self.delay, self.half]
    }
}

/// A fitted brand.
#[derive(Debug, Clone)]
pub(crate) struct Fitted {
    /// Shape parameters: logit of retention, logit of delay and logarithm of half over mean spend, line by line.
    pub(crate) theta: Vec<f64>,
    /// Linear coefficients: media, cross-brand drivers, controls.
    pub(crate) linear: Vec<f64>,
    pub(crate) rho: f64,
    pub(crate) sigma: f64,
    pub(crate) dof: f64,
    /// Whitened derivative of the model by every parameter: shape, media, drivers, controls.
    pub(crate) jacobian: Vec<Vec<f64>>,
    /// Factor of `JᵀJ / σ² + prior precision`.
    pub(crate) information: Cholesky,
    pub(crate) residuals: Vec<f64>,
    pub(crate) precisions: Vec<f64>,
    /// Standard error of each driver's coefficient as a multiple of what `information` says, for the autocorrelation is estimated.
    driver_widening: Vec<f64>,
}

/// The search problem over shape parameters with everything linear profiled out.
struct Profile<'a> {
    design: &'a Design,
    basis: &'a [Vec<f64>],
    target: &'a [f64],
    rho: f64,
    variance: f64,
    priors: &'a ShapePriors,
}

impl Profile<'_> {
    /// Negative log posterior of the shapes and its gradient.
    fn evaluate(&self, theta: &[f64]) -> (f64, Vec<f64>) {
        let lines = self.design.media.len();
        let mut raw = Vec::with_capacity(lines);
        let mut columns = Vec::with_capacity(lines);
        for (i, line) in self.design.media.iter().enumerate() {
            let s = shape(&line.spend, line.before, &unpack(theta, i, line.mean));
            let mut column = whiten(&s.value, self.rho);
            remove(&mut column, self.basis);
            columns.push(column);
            raw.push(s);
        }
        let gram = Cholesky::of_gram(&columns, &[]);
        let moments: Vec<f64> = columns.iter().map(|c| dot(c, self.target)).collect();
        let coefficients = gram.solve(&moments);
        let mut residual = self.target.to_vec();
        for (column, k) in columns.iter().zip(&coefficients) {
            add_scaled(&mut residual, -k, column);
        }
        let mut cost = 0.5 * dot(&residual, &residual) / self.variance;
        let mut gradient = Vec::with_capacity(SHAPE * lines);
        for (i, s) in raw.iter().enumerate() {
            let pull = -coefficients[i] / self.variance;
            gradient.extend(
                s.derivatives
                    .iter()
                    .map(|d| pull * dot(&residual, &whiten(d, self.rho))),
            );
        }
        let priors = self.priors.all();
        for (k, value) in theta.iter().enumerate() {
            let prior = priors[k % SHAPE];
            let z = (value - prior.centre) / prior.spread;
            cost += 0.5 * z * z;
            gradient[k] += z / prior.spread;
        }
        (cost, gradient)
    }
}

/// The shape of line `i` with coefficient one, kept inside numbers that can be computed with.
pub(crate) fn unpack(theta: &[f64], i: usize, mean: f64) -> Curve {
    let logistic = |v: f64| 1.0 / (1.0 + (-v.clamp(-6.0, 4.0)).exp());
    Curve {
        retention: logistic(theta[SHAPE * i]),
        delay: logistic(theta[SHAPE * i + 1]),
        half: mean * theta[SHAPE * i + 2].clamp(-5.0, 5.0).exp(),
        coefficient: 1.0,
    }
}

/// The default shape of every line of a design.
pub(crate) fn start(design: &Design, priors: &ShapePriors) -> Vec<f64> {
    design
        .media
        .iter()
        .flat_map(|_| priors.all().map(|p| p.centre))
        .collect()
}

/// Saturated media columns for shape parameters.
pub(crate) fn media_columns(design: &Design, theta: &[f64]) -> Vec<Vec<f64>> {
    let columns = design
        .media
        .iter()
        .enumerate()
        .map(|(i, line)| shape(&line.spend, line.before, &unpack(theta, i, line.mean)).value);
    columns.collect()
}

/// Fits a brand. `drivers` are the columns of other brands' media (may be empty).
///
/// # Errors
/// [`Cancelled`], asked at every step of the search.
pub(crate) fn fit(
    design: &Design,
    drivers: &[Vec<f64>],
    priors: &ShapePriors,
    cancel: &dyn Cancel,
) -> Result<Fitted, Cancelled> {
    let fixed: Vec<&Vec<f64>> = drivers.iter().chain(&design.controls).collect();
    let mut theta = start(design, priors);
    let mut rho = 0.0;
    let dof = (design.y.len() as f64 - (fixed.len() + design.media.len()) as f64).max(1.0);
    for round in 0..3 {
        let all: Vec<Vec<f64>> = media_columns(design, &theta)
            .into_iter()
            .chain(fixed.iter().map(|c| (*c).clone()))
            .collect();
        rho = reml_autocorrelation(&all, &design.y).max(0.0);
        let fit = crate::linear::gls(&all, &design.y, rho);
        let variance = dot(&fit.residuals, &fit.residuals) / dof;
        if round == 2 || design.media.is_empty() {
            break;
        }
        let whitened: Vec<Vec<f64>> = fixed.iter().map(|c| whiten(c, rho)).collect();
        let basis = orthonormal(&whitened);
        let mut target = whiten(&design.y, rho);
        remove(&mut target, &basis);
        let profile = Profile {
            design,
            basis: &basis,
            target: &target,
            rho,
            variance,
            priors,
        };
        theta = best_start(&profile, theta);
        (_, theta) = descend(theta, LIMITS, cancel, |theta| profile.evaluate(theta))?;
    }
    Ok(finish(design, drivers, priors, theta, rho))
}

/// Tries a few carry-overs for one line after the other.
///
/// A line whose effect comes later than assumed looks like a line without effect, and a line without effect gives no
/// gradient towards the right carry-over: the cost has several valleys, and this picks the right one to descend in.
fn best_start(profile: &Profile<'_>, mut theta: Vec<f64>) -> Vec<f64> {
    let mut cost = profile.evaluate(&theta).0;
    for i in 0..profile.design.media.len() {
        let mut best = theta.clone();
        for retention in [-1.7, -0.4, 0.7] {
            for delay in [-2.0, -0.3, 1.2] {
                let mut trial = theta.clone();
                trial[SHAPE * i] = retention;
                trial[SHAPE * i + 1] = delay;
                let found = profile.evaluate(&trial).0;
                if found < cost {
                    cost = found;
                    best = trial;
                }
            }
        }
        theta = best;
    }
    theta
}

fn finish(
    design: &Design,
    drivers: &[Vec<f64>],
    priors: &ShapePriors,
    theta: Vec<f64>,
    rho: f64,
) -> Fitted {
    let lines = design.media.len();
    let columns: Vec<Vec<f64>> = media_columns(design, &theta)
        .into_iter()
        .chain(drivers.iter().cloned())
        .chain(design.controls.iter().cloned())
        .collect();
    let fit = crate::linear::gls(&columns, &design.y, rho);
    let mut slopes = Vec::with_capacity(SHAPE * lines + columns.len());
    let mut precisions = Vec::with_capacity(SHAPE * lines + columns.len());
    for (i, line) in design.media.iter().enumerate() {
        let s = shape(&line.spend, line.before, &unpack(&theta, i, line.mean));
        for (mut derivative, prior) in s.derivatives.into_iter().zip(priors.all()) {
            derivative
                .iter_mut()
                .for_each(|v| *v *= fit.coefficients[i]);
            slopes.push(derivative);
            precisions.push(1.0 / (prior.spread * prior.spread));
        }
    }
    slopes.extend(columns.iter().cloned());
    precisions.resize(slopes.len(), 0.0);
    let jacobian: Vec<Vec<f64>> = slopes.iter().map(|c| whiten(c, rho)).collect();
    let rss = dot(&fit.residuals, &fit.residuals);
    // Shape parameters count by how far the data, not the prior, determine them.
    let mut dof = fit.dof;
    for _ in 0..3 {
        let variance = rss / dof;
        let information = information(&jacobian, &precisions, variance);
        let spent: f64 = (0..SHAPE * lines)
            .map(|k| {
                let mut unit = vec![0.0; jacobian.len()];
                unit[k] = 1.0;
                1.0 - precisions[k] * information.quadratic(&unit)
            })
            .sum();
        dof = (fit.dof - spent).max(10.0);
    }
    let sigma = (rss / dof).sqrt();
    let information = information(&jacobian, &precisions, sigma * sigma);
    let errors = integrated_errors(
        &Linearised {
            y: &design.y,
            columns: &columns,
            coefficients: &fit.coefficients,
            slopes: &slopes,
            precisions: &precisions,
            dof,
        },
        SHAPE * lines + lines,
        drivers.len(),
    );
    let driver_widening = errors
        .into_iter()
        .enumerate()
        .map(|(k, error)| {
            error / plain_error(&information, slopes.len(), SHAPE * lines + lines + k)
        })
        .map(|ratio| if ratio.is_finite() { ratio } else { 1.0 })
        .collect();
    Fitted {
        driver_widening,
        theta,
        linear: fit.coefficients,
        rho,
        sigma,
        dof,
        jacobian,
        information,
        residuals: fit.residuals,
        precisions,
    }
}

/// A model around its optimum.
struct Linearised<'a> {
    y: &'a [f64],
    /// Everything that is linear at the fitted shapes, and its coefficients.
    columns: &'a [Vec<f64>],
    coefficients: &'a [f64],
    /// Derivative of the model by every parameter, not whitened, and their prior precisions.
    slopes: &'a [Vec<f64>],
    precisions: &'a [f64],
    dof: f64,
}

/// Standard errors of the parameters `first .. first + count` with the autocorrelation integrated out over its restricted
/// likelihood, instead of taken for known.
///
/// Taking it for known makes the errors of a regression of three years of weeks some four percent too small (Kackar and Harville
/// 1984); for every autocorrelation that the data allow, this adds how far the parameter would move.
fn integrated_errors(model: &Linearised<'_>, first: usize, count: usize) -> Vec<f64> {
    let mut residual = model.y.to_vec();
    for (column, k) in model.columns.iter().zip(model.coefficients) {
        add_scaled(&mut residual, -k, column);
    }
    let grid: Vec<(f64, f64)> = (0..19)
        .map(|i| 0.05 * f64::from(i))
        .map(|rho| (rho, restricted_likelihood(model.columns, model.y, rho)))
        .collect();
    let highest = grid.iter().map(|g| g.1).fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    let mut squares = vec![0.0; count];
    for (rho, likelihood) in grid {
        let weight = (likelihood - highest).exp();
        if weight < 1e-3 {
            continue;
        }
        let best = crate::linear::gls(model.columns, model.y, rho);
        let variance = dot(&best.residuals, &best.residuals) / model.dof;
        let whitened: Vec<Vec<f64>> = model.slopes.iter().map(|c| whiten(c, rho)).collect();
        let information = information(&whitened, model.precisions, variance);
        let target = whiten(&residual, rho);
        let score: Vec<f64> = whitened
            .iter()
            .map(|c| dot(c, &target) / variance)
            .collect();
        let step = information.solve(&score);
        for (k, square) in squares.iter_mut().enumerate() {
            let error = plain_error(&information, model.slopes.len(), first + k);
            *square += weight * (error * error + step[first + k] * step[first + k]);
        }
        total += weight;
    }
    squares.into_iter().map(|s| (s / total).sqrt()).collect()
}

/// Standard error of parameter `at` of `count`.
fn plain_error(information: &Cholesky, count: usize, at: usize) -> f64 {
    let mut unit = vec![0.0; count];
    unit[at] = 1.0;
    information.quadratic(&unit).sqrt()
}

fn information(jacobian: &[Vec<f64>], precisions: &[f64], variance: f64) -> Cholesky {
    let n = jacobian.len();
    let mut matrix = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let value = dot(&jacobian[i], &jacobian[j]) / variance;
            matrix[i * n + j] = value;
            matrix[j * n + i] = value;
        }
        matrix[i * n + i] += precisions[i];
    }
    Cholesky::new(&matrix, n)
}

/// Likelihood ratio of line `i` being at break-even (marginal return 1) under whatever carry-over and saturation makes
/// that most likely, other lines held as fitted.
///
/// The delta method takes the fitted shape for granted. When the fitted effect is near zero, a different carry-over may
/// explain the data almost as well with an effect of one; this is what the ratio sees.
///
/// # Errors
/// [`Cancelled`], asked between shapes.
pub(crate) fn break_even_ratio(
    design: &Design,
    drivers: &[Vec<f64>],
    fitted: &Fitted,
    priors: &ShapePriors,
    i: usize,
    cancel: &dyn Cancel,
) -> Result<f64, Cancelled> {
    let rho = fitted.rho;
    let mut fixed = media_columns(design, &fitted.theta);
    fixed.remove(i);
    let whitened: Vec<Vec<f64>> = fixed
        .iter()
        .chain(drivers)
        .chain(&design.controls)
        .map(|c| whiten(c, rho))
        .collect();
    let basis = orthonormal(&whitened);
    let target = whiten(&design.y, rho);
    let variance = fitted.sigma * fitted.sigma;
    let priors = priors.all();
    let penalty = |theta: &[f64]| -> f64 {
        theta
            .iter()
            .zip(&priors)
            .map(|(v, p)| ((v - p.centre) / p.spread).powi(2))
            .sum()
    };
    let free = dot(&fitted.residuals, &fitted.residuals) / variance
        + penalty(&fitted.theta[SHAPE * i..SHAPE * (i + 1)]);
    let line = &design.media[i];
    let mut held = f64::INFINITY;
    for a in [-2.2, -1.5, -0.9, -0.4, 0.1, 0.6, 1.2, 1.8] {
        for b in [-3.0, -1.8, -0.9, 0.0, 0.8, 1.6, 2.6] {
            cancel.check()?;
            for c in [-1.2, -0.4, 0.3, 0.9, 1.6, 2.4] {
                let theta = [a, b, c];
                let unit = unpack(&theta, 0, line.mean);
                let coefficient = 1.0 / unit.marginal_return(&line.spend, line.before, line.after);
                let column = whiten(&shape(&line.spend, line.before, &unit).value, rho);
                let mut residual = target.clone();
                add_scaled(&mut residual, -coefficient, &column);
                remove(&mut residual, &basis);
                held = held.min(dot(&residual, &residual) / variance + penalty(&theta));
            }
        }
    }
    Ok((held - free).max(0.0))
}

impl Fitted {
    /// The fitted curve of line `i`.
    pub(crate) fn curve(&self, design: &Design, i: usize) -> Curve {
        Curve {
            coefficient: self.linear[i],
            ..unpack(&self.theta, i, design.media[i].mean)
        }
    }

    /// Marginal return of line `i` with its standard error (delta method) and its derivative by every parameter.
    pub(crate) fn marginal_return(&self, design: &Design, i: usize) -> (f64, f64, Vec<f64>) {
        let line = &design.media[i];
        let at = |theta: &[f64], coefficient: f64| {
            let curve = Curve {
                coefficient,
                ..unpack(theta, i, line.mean)
            };
            curve.marginal_return(&line.spend, line.before, line.after)
        };
        let per_unit = at(&self.theta, 1.0);
        let estimate = per_unit * self.linear[i];
        let mut gradient = vec![0.0; self.jacobian.len()];
        gradient[SHAPE * design.media.len() + i] = per_unit;
        for k in SHAPE * i..SHAPE * (i + 1) {
            let h = 1e-4;
            let (mut up, mut down) = (self.theta.clone(), self.theta.clone());
            up[k] += h;
            down[k] -= h;
            gradient[k] = (at(&up, self.linear[i]) - at(&down, self.linear[i])) / (2.0 * h);
        }
        let error = self.information.quadratic(&gradient).sqrt();
        (estimate, error, gradient)
    }

    /// Position of the first driver among all parameters.
    pub(crate) fn driver_position(&self, design: &Design) -> usize {
        (SHAPE + 1) * design.media.len()
    }

    /// Factor on the deviations of driver `k`, which are drawn for a known autocorrelation.
    pub(crate) fn driver_widening(&self, k: usize) -> f64 {
        self.driver_widening[k]
    }

    /// The whitened columns of everything linear: media, drivers, controls.
    pub(crate) fn linear_columns(&self, design: &Design) -> &[Vec<f64>] {
        &self.jacobian[SHAPE * design.media.len()..]
    }

    /// Coefficient and standard error of driver `k`.
    pub(crate) fn driver(&self, design: &Design, k: usize) -> (f64, f64) {
        let at = self.driver_position(design) + k;
        (
            self.linear[design.media.len() + k],
            self.driver_widening[k] * plain_error(&self.information, self.jacobian.len(), at),
        )
    }
}
