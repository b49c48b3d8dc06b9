//! The exact Gaussian likelihood of a stationary autoregressive moving average with regressors.
//!
//! In the companion state-space form (Harvey 1989) the covariance of the state of a stationary process changes from step to step
//! by a matrix of rank one, so the Kalman gains follow from the recursion of Chandrasekhar type of Morf, Sidhu and Kailath (1974;
//! for these models Pearlman 1980, Mélard 1984) at a cost per value that is linear in the longest lag. Once the
//! innovation variance has come down to its limit the filter is the plain difference equation, which skips the zeros of
//! a seasonal product.
//!
//! Regression coefficients are profiled out: the same filter runs over each regressor, and the innovations of the series are
//! regressed on those of the regressors (generalised least squares).

use super::polynomial::{product, roots_beyond, stationary};
use crate::forecast::levenberg_marquardt::Residuals;

/// Numbers of coefficients of the four polynomials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) p: usize,
    pub(super) q: usize,
    pub(super) seasonal_p: usize,
    pub(super) seasonal_q: usize,
    pub(super) period: usize,
}

impl Shape {
    /// Free numbers in all.
    pub(super) fn count(self) -> usize {
        self.p + self.q + self.seasonal_p + self.seasonal_q
    }

    fn longest_ar(self) -> usize {
        self.p + self.seasonal_p * self.period
    }

    fn longest_ma(self) -> usize {
        self.q + self.seasonal_q * self.period
    }
}

/// The four polynomials, all in the signs of `1 − c_1 B − …`, free numbers in the order p, q, P, Q.
#[derive(Clone, Debug)]
pub(super) struct Polynomials {
    pub(super) ar: Vec<f64>,
    pub(super) ma: Vec<f64>,
    pub(super) seasonal_ar: Vec<f64>,
    pub(super) seasonal_ma: Vec<f64>,
}

impl Polynomials {
    fn new(shape: Shape) -> Self {
        Self {
            ar: vec![0.0; shape.p],
            ma: vec![0.0; shape.q],
            seasonal_ar: vec![0.0; shape.seasonal_p],
            seasonal_ma: vec![0.0; shape.seasonal_q],
        }
    }

    fn set(&mut self, free: &[f64]) {
        let mut rest = free;
        for part in [
            &mut self.ar,
            &mut self.ma,
            &mut self.seasonal_ar,
            &mut self.seasonal_ma,
        ] {
            let (own, others) = rest.split_at(part.len());
            stationary(own, part);
            rest = others;
        }
    }

    /// Whether all roots of the whole lag polynomials are beyond `radius`.
    pub(super) fn roots_beyond(&self, radius: f64, period: usize) -> bool {
        let seasonal = radius.powi(i32::try_from(period).unwrap_or(i32::MAX));
        roots_beyond(&self.ar, radius)
            && roots_beyond(&self.ma, radius)
            && roots_beyond(&self.seasonal_ar, seasonal)
            && roots_beyond(&self.seasonal_ma, seasonal)
    }
}

/// The series and its regressors, all of one length, with room for the recursions.
pub(super) struct Likelihood<'a> {
    shape: Shape,
    /// The series first, then the regressors.
    columns: &'a [Vec<f64>],
    polynomials: Polynomials,
    /// Whole autoregressive polynomial, signs of `1 − φ_1 B − …`.
    phi: Vec<f64>,
    /// Whole moving average, signs of `1 + θ_1 B + …`.
    theta: Vec<f64>,
    ar_lags: Vec<(usize, f64)>,
    ma_lags: Vec<(usize, f64)>,
    autocovariance: Vec<f64>,
    predictors: Vec<f64>,
    weights: Vec<f64>,
    gain: Vec<f64>,
    change: Vec<f64>,
    states: Vec<f64>,
    /// Standardised innovations of every column.
    innovations: Vec<Vec<f64>>,
    /// Innovation variances in units of the error variance.
    variances: Vec<f64>,
    treatment: Treatment,
    /// Mean over the series of the logarithm of the innovation variances, in units of the error variance.
    pub(super) log_variance: f64,
    /// Coefficients of the regressors.
    pub(super) coefficients: Vec<f64>,
    /// The triangle R of the regressors' innovations: XᵀX = RᵀR.
    triangle: Vec<f64>,
}

/// What the recursion does about the values before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// They have the process' own distribution, and the filter is run to the end, so that its last states are there.
    Exact,
    /// The same, with the difference equation taking over once the filter has settled.
    Settling,
    /// They are zero: the conditional sum of squares of Box and Jenkins. Fast where lags are long, and close to exact for long series.
    Conditional,
}

/// Smallest share of a regressor's variation that may be left beside the other regressors.
const COLLINEAR: f64 = 1e-8;

impl<'a> Likelihood<'a> {
    pub(super) fn new(shape: Shape, columns: &'a [Vec<f64>], treatment: Treatment) -> Self {
        let (long_ar, long_ma) = (shape.longest_ar(), shape.longest_ma());
        let r = long_ar.max(long_ma + 1);
        let n = columns[0].len();
        let k = columns.len() - 1;
        Self {
            shape,
            columns,
            polynomials: Polynomials::new(shape),
            phi: vec![0.0; r],
            theta: vec![0.0; r],
            ar_lags: Vec::new(),
            ma_lags: Vec::new(),
            autocovariance: vec![0.0; r + 1 + long_ma + 1],
            predictors: vec![0.0; long_ar + 1],
            weights: vec![0.0; r + 1],
            gain: vec![0.0; r],
            change: vec![0.0; r + 1],
            states: vec![0.0; (r + 1) * columns.len()],
            innovations: vec![vec![0.0; n]; columns.len()],
            variances: vec![1.0; n],
            treatment,
            log_variance: 0.0,
            coefficients: vec![0.0; k],
            triangle: vec![0.0; k * k],
        }
    }

    pub(super) fn polynomials(&self) -> &Polynomials {
        &self.polynomials
    }

    /// Whole lag polynomials: φ in the signs of `1 − φ_1 B − …` and θ in those of `1 + θ_1 B + …`.
    pub(super) fn expanded(&self) -> (&[f64], &[f64]) {
        (
            &self.phi[..self.shape.longest_ar()],
            &self.theta[..self.shape.longest_ma()],
        )
    }

    fn expand(&mut self, free: &[f64]) {
        self.polynomials.set(free);
        let (long_ar, long_ma) = (self.shape.longest_ar(), self.shape.longest_ma());
        let set = &self.polynomials;
        let period = self.shape.period;
        product(&set.ar, &set.seasonal_ar, period, &mut self.phi[..long_ar]);
        product(
            &set.ma,
            &set.seasonal_ma,
            period,
            &mut self.theta[..long_ma],
        );
        for theta in &mut self.theta[..long_ma] {
            *theta = -*theta;
        }
        let lags = |coefficients: &[f64], into: &mut Vec<(usize, f64)>| {
            into.clear();
            into.extend(
                coefficients
                    .iter()
                    .enumerate()
                    .filter(|(_, c)| **c != 0.0)
                    .map(|(j, c)| (j + 1, *c)),
            );
        };
        lags(&self.phi[..long_ar], &mut self.ar_lags);
        lags(&self.theta[..long_ma], &mut self.ma_lags);
    }

    /// Autocovariances of the process with unit error variance at lags 0 to r; `false` when it is not stationary in numbers.
    ///
    /// Those of the autoregression alone follow from its partial autocorrelations by Durbin's recursion run backwards and forwards;
    /// the moving average is then a filter on them.
    fn autocovariances(&mut self) -> bool {
        let (p, q) = (self.shape.longest_ar(), self.shape.longest_ma());
        let r = self.phi.len();
        let lags = r + q;
        let bare = &mut self.autocovariance[..=lags];
        bare.fill(0.0);
        if p == 0 {
            bare[0] = 1.0;
        } else {
            // Step down: the predictors of every order, the one of order k in row k.
            let rows = &mut self.predictors;
            rows.resize((p + 1) * p, 0.0);
            rows[p * p..].copy_from_slice(&self.phi[..p]);
            let mut variance = 1.0;
            for k in (1..=p).rev() {
                let partial = rows[k * p + k - 1];
                let left = 1.0 - partial * partial;
                if left.is_nan() || left <= 1e-14 {
                    return false;
                }
                variance /= left;
                let scale = 1.0 / left;
                let (lower, upper) = rows.split_at_mut(k * p);
                let (lower, upper) = (&mut lower[(k - 1) * p..], &upper[..p]);
                for j in 0..k - 1 {
                    lower[j] = (upper[j] + partial * upper[k - 2 - j]) * scale;
                }
            }
            bare[0] = variance;
            let mut error = variance;
            for k in 1..=p {
                let partial = rows[k * p + k - 1];
                let before = &rows[(k - 1) * p..];
                let mut sum = partial * error;
                for j in 1..k {
                    sum += before[j - 1] * bare[k - j];
                }
                bare[k] = sum;
                error *= 1.0 - partial * partial;
            }
            for k in p + 1..=lags {
                bare[k] = self.ar_lags.iter().map(|(j, c)| c * bare[k - j]).sum();
            }
        }
        if q > 0 {
            // γ(k) = Σ_l g_l γ_u(|k − l|) with g the autocovariance of the moving-average weights.
            let weight = |j: usize| if j == 0 { 1.0 } else { self.theta[j - 1] };
            let mut products = Vec::with_capacity(q + 1);
            for l in 0..=q {
                let mut sum = if l == 0 { 1.0 } else { weight(l) };
                for (j, c) in &self.ma_lags {
                    if j + l <= q {
                        sum += c * weight(j + l);
                    }
                }
                if sum != 0.0 {
                    products.push((l, sum));
                }
            }
            let bare = bare.to_vec();
            for k in 0..=r {
                let mut sum = 0.0;
                for (l, g) in &products {
                    sum += if *l == 0 {
                        g * bare[k]
                    } else {
                        g * (bare[k + l] + bare[k.abs_diff(*l)])
                    };
                }
                self.autocovariance[k] = sum;
            }
        }
        true
    }

    /// Runs the filter over every column. `false` when the process is not stationary in numbers.
    fn filter(&mut self, free: &[f64]) -> bool {
        self.expand(free);
        if self.treatment == Treatment::Conditional {
            self.states.fill(0.0);
            self.settle(0);
            self.log_variance = 0.0;
            return true;
        }
        if !self.autocovariances() {
            return false;
        }
        let r = self.phi.len();
        let (p, q) = (self.shape.longest_ar(), self.shape.longest_ma());
        // Weights of the errors in the process, up to the longest lag needed.
        self.weights[0] = 1.0;
        for j in 1..r {
            let mut sum = self.theta[j - 1];
            for (lag, c) in &self.ar_lags {
                if *lag <= j {
                    sum += c * self.weights[j - lag];
                }
            }
            self.weights[j] = sum;
        }
        // Covariance of each element of the state with the value: element i (from 1) is
        // Σ_{k ≥ i} φ_k y_{t−1−(k−i)} + θ_{k−1} ε_{t−(k−i)}.
        let gamma = &self.autocovariance;
        let change = &mut self.change;
        change.fill(0.0);
        for (lag, c) in &self.ar_lags {
            for i in 1..=*lag {
                change[i - 1] += c * gamma[1 + lag - i];
            }
        }
        change[0] += 1.0;
        for (lag, c) in &self.ma_lags {
            for i in 1..=lag + 1 {
                change[i - 1] += c * self.weights[lag + 1 - i];
            }
        }
        let mut variance = gamma[0];
        if !(variance.is_finite() && variance < 1e12) {
            return false;
        }
        for i in 0..r {
            let next = if i + 1 < r { change[i + 1] } else { 0.0 };
            self.gain[i] = self.phi[i] * variance + next;
        }
        change[..r].copy_from_slice(&self.gain);
        change[r] = 0.0;
        let mut strength = -1.0 / variance;
        self.states.fill(0.0);
        let n = self.columns[0].len();
        let mut logs = 0.0;
        let mut settled = n;
        // Products of variances are cheaper than sums of logarithms.
        let mut running = 1.0;
        for t in 0..n {
            if self.treatment == Treatment::Settling && variance - 1.0 < 1e-12 && t >= p && t >= q {
                settled = t;
                break;
            }
            running *= variance;
            self.variances[t] = variance;
            if !(1e-100..1e100).contains(&running) {
                logs += running.ln();
                running = 1.0;
            }
            let inverse = 1.0 / variance;
            let root = inverse.sqrt();
            for ((column, out), state) in self
                .columns
                .iter()
                .zip(&mut self.innovations)
                .zip(self.states.chunks_exact_mut(r + 1))
            {
                let head = state[0];
                let error = column[t] - head;
                out[t] = error * root;
                let share = error * inverse;
                for i in 0..r {
                    state[i] = state[i + 1] + self.phi[i] * head + self.gain[i] * share;
                }
            }
            let head = change[0];
            let product = strength * head;
            let next = variance + product * head;
            if next > 1.0 {
                let ratio = head / next;
                for i in 0..r {
                    let moved = change[i + 1] + self.phi[i] * head;
                    self.gain[i] += moved * product;
                    change[i] = moved - self.gain[i] * ratio;
                }
                strength += product * product / variance;
                variance = next;
            } else {
                // The limit, passed by a rounding error.
                for i in 0..r {
                    self.gain[i] += (change[i + 1] + self.phi[i] * head) * product;
                }
                change.fill(0.0);
                variance = 1.0;
            }
        }
        logs += running.ln();
        self.settle(settled);
        self.log_variance = logs / n as f64;
        self.log_variance.is_finite()
    }

    /// Continues from `start` by the difference equation. The states hold what the past contributes to the values to come, so
    /// that it begins afresh there.
    fn settle(&mut self, start: usize) {
        let n = self.columns[0].len();
        let r = self.phi.len();
        self.variances[start..].fill(1.0);
        for ((column, out), state) in self
            .columns
            .iter()
            .zip(&mut self.innovations)
            .zip(self.states.chunks_exact(r + 1))
        {
            for t in start..n {
                let since = t - start;
                let mut error = column[t] - if since < r { state[since] } else { 0.0 };
                for (lag, c) in &self.ar_lags {
                    if *lag <= since {
                        error -= c * column[t - lag];
                    }
                }
                for (lag, c) in &self.ma_lags {
                    if *lag <= since {
                        error -= c * out[t - lag];
                    }
                }
                out[t] = error;
            }
        }
    }

    /// Regresses the innovations of the series on those of the regressors; what is left stays in the first column.
    fn regress(&mut self) -> bool {
        let k = self.coefficients.len();
        let (first, others) = self.innovations.split_at_mut(1);
        let series = &mut first[0];
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(u, v)| u * v).sum::<f64>();
        // Modified Gram–Schmidt; the triangle is kept.
        for i in 0..k {
            let before = dot(&others[i], &others[i]);
            for j in 0..i {
                let (done, rest) = others.split_at_mut(i);
                let share = dot(&done[j], &rest[0]);
                self.triangle[j * k + i] = share;
                for (x, d) in rest[0].iter_mut().zip(&done[j]) {
                    *x -= share * d;
                }
            }
            let left = dot(&others[i], &others[i]);
            if left.is_nan() || left <= COLLINEAR * before || left < f64::MIN_POSITIVE {
                return false;
            }
            let length = left.sqrt();
            self.triangle[i * k + i] = length;
            for x in &mut others[i] {
                *x /= length;
            }
            let share = dot(&others[i], series);
            self.coefficients[i] = share;
            for (y, x) in series.iter_mut().zip(&others[i]) {
                *y -= share * x;
            }
        }
        for i in (0..k).rev() {
            let mut value = self.coefficients[i];
            for j in i + 1..k {
                value -= self.triangle[i * k + j] * self.coefficients[j];
            }
            self.coefficients[i] = value / self.triangle[i * k + i];
        }
        true
    }

    /// Standardised innovations at `free`, coefficients profiled out; `None` where the process is not stationary in numbers or the
    /// regressors are collinear.
    pub(super) fn evaluate(&mut self, free: &[f64]) -> Option<&[f64]> {
        (self.filter(free) && self.regress()).then(|| self.innovations[0].as_slice())
    }

    /// State of each column after the last value; only there when treated exactly.
    pub(super) fn states(&self) -> impl Iterator<Item = &[f64]> {
        debug_assert_eq!(self.treatment, Treatment::Exact);
        let r = self.phi.len();
        self.states.chunks_exact(r + 1).map(move |s| &s[..r])
    }

    /// Innovation variances in units of the error variance.
    pub(super) fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// The upper triangle R of the regressors' innovations, row by row.
    pub(super) fn triangle(&self) -> &[f64] {
        &self.triangle
    }
}

impl Residuals for Likelihood<'_> {
    /// Innovations scaled so that the likelihood is a decreasing function of their sum of squares alone:
    /// −2 log L = n log(Σ e²/n) + n (1 + log 2π) with e_t = v_t/√F_t · (Π F)^{1/2n}.
    fn residuals(&mut self, x: &[f64], out: &mut [f64]) -> bool {
        if !(self.filter(x) && self.regress()) {
            return false;
        }
        let scale = (0.5 * self.log_variance).exp();
        for (o, e) in out.iter_mut().zip(&self.innovations[0]) {
            *o = e * scale;
        }
        true
    }
}

/// log L of `n` values whose scaled squared innovations sum to `squares`, the error variance at its estimate.
pub(super) fn log_likelihood(squares: f64, n: usize) -> f64 {
    let n = n as f64;
    -0.5 * n * ((std::f64::consts::TAU * squares / n).ln() + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::levenberg_marquardt::solve;
    use crate::rng;

    fn shape(p: usize, q: usize, seasonal_p: usize, seasonal_q: usize, period: usize) -> Shape {
        Shape {
            p,
            q,
            seasonal_p,
            seasonal_q,
            period,
        }
    }

    fn values(n: usize) -> Vec<f64> {
        let noise = rng::normals(&mut rng::stream(1, &[]), n);
        let parts = noise.iter().enumerate();
        parts
            .map(|(t, e)| 0.3 * e + 0.3 * (t as f64 * 0.7).sin())
            .collect()
    }

    /// Covariance matrix from many ψ weights: γ(k) = Σ ψ_j ψ_{j+k}.
    fn covariance(phi: &[f64], theta: &[f64], n: usize) -> Vec<f64> {
        let count = 20_000;
        let mut psi = vec![0.0; count];
        for j in 0..count {
            let mut value = match j {
                0 => 1.0,
                j if j <= theta.len() => theta[j - 1],
                _ => 0.0,
            };
            for (k, c) in phi.iter().enumerate() {
                if j > k {
                    value += c * psi[j - k - 1];
                }
            }
            psi[j] = value;
        }
        (0..n)
            .map(|k| (0..count - k).map(|j| psi[j] * psi[j + k]).sum())
            .collect()
    }

    /// log det Σ and the solution of Σ x = y.
    fn brute(gamma: &[f64], y: &[f64]) -> (f64, Vec<f64>) {
        let n = y.len();
        let mut matrix: Vec<f64> = (0..n * n).map(|i| gamma[(i / n).abs_diff(i % n)]).collect();
        let mut x = y.to_vec();
        assert!(solve(&mut matrix, &mut x));
        // The factor is left in the lower triangle.
        let log_det = (0..n).map(|i| 2.0 * matrix[i * n + i].ln()).sum();
        (log_det, x)
    }

    #[test]
    fn equals_the_multivariate_normal_density() {
        let cases = [
            (shape(1, 0, 0, 0, 1), vec![0.8]),
            (shape(0, 1, 0, 0, 1), vec![1.5]),
            (shape(2, 1, 0, 0, 1), vec![0.9, -0.4, 0.6]),
            (shape(3, 3, 0, 0, 1), vec![0.5, 0.2, -0.7, 0.3, -0.9, 0.2]),
            (shape(0, 1, 0, 1, 4), vec![-0.4, 0.7]),
            (shape(1, 1, 1, 1, 4), vec![0.5, 0.2, 0.6, -0.3]),
            (shape(2, 0, 2, 1, 4), vec![0.3, -0.5, 0.4, 0.3, 1.2]),
            (shape(0, 0, 0, 0, 1), vec![]),
        ];
        for (shape, free) in cases {
            for treatment in [Treatment::Exact, Treatment::Settling] {
                let y = values(40);
                let columns = [y.clone()];
                let mut likelihood = Likelihood::new(shape, &columns, treatment);
                let innovations = likelihood.evaluate(&free).expect("stationary").to_vec();
                let (phi, theta) = likelihood.expanded();
                let (log_det, solved) = brute(&covariance(phi, theta, 40), &y);
                let quadratic: f64 = y.iter().zip(&solved).map(|(a, b)| a * b).sum();
                let ours: f64 = innovations.iter().map(|e| e * e).sum();
                assert!(
                    (ours - quadratic).abs() < 1e-8 * quadratic.max(1.0),
                    "{shape:?} {treatment:?}: {ours} {quadratic}"
                );
                let ours = likelihood.log_variance * 40.0;
                assert!(
                    (ours - log_det).abs() < 1e-8,
                    "{shape:?} {treatment:?}: {ours} {log_det}"
                );
            }
        }
    }

    #[test]
    fn regression_coefficients_are_those_of_generalised_least_squares() {
        let n = 30;
        let shape = shape(1, 1, 0, 1, 4);
        let free = [0.7, 0.3, 0.5];
        let x: Vec<f64> = (0..n).map(|t| ((t * t) as f64 * 0.3).cos()).collect();
        let y: Vec<f64> = values(n)
            .iter()
            .zip(&x)
            .map(|(v, x)| v + 2.0 * x + 5.0)
            .collect();
        let columns = [y.clone(), vec![1.0; n], x.clone()];
        let mut likelihood = Likelihood::new(shape, &columns, Treatment::Settling);
        let squares: f64 = likelihood
            .evaluate(&free)
            .expect("stationary")
            .iter()
            .map(|e| e * e)
            .sum();
        let (phi, theta) = likelihood.expanded();
        let gamma = covariance(phi, theta, n);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(u, v)| u * v).sum::<f64>();
        let (_, one) = brute(&gamma, &columns[1]);
        let (_, other) = brute(&gamma, &x);
        let mut normal = [
            dot(&one, &columns[1]),
            dot(&one, &x),
            dot(&one, &x),
            dot(&other, &x),
        ];
        let mut beta = [dot(&one, &y), dot(&other, &y)];
        assert!(solve(&mut normal, &mut beta));
        for (a, b) in likelihood.coefficients.iter().zip(&beta) {
            assert!(
                (a - b).abs() < 1e-8,
                "{:?} {beta:?}",
                likelihood.coefficients
            );
        }
        let rest: Vec<f64> = (0..n).map(|t| y[t] - beta[0] - beta[1] * x[t]).collect();
        let (_, solved) = brute(&gamma, &rest);
        assert!((squares - dot(&rest, &solved)).abs() < 1e-8);
    }

    #[test]
    fn conditional_innovations_are_those_of_the_difference_equation() {
        let y = values(30);
        let columns = [y.clone()];
        let shape = shape(1, 1, 1, 0, 4);
        let mut likelihood = Likelihood::new(shape, &columns, Treatment::Conditional);
        let ours = likelihood
            .evaluate(&[0.5, 0.3, 0.4])
            .expect("stationary")
            .to_vec();
        let set = likelihood.polynomials().clone();
        let (a, b, c) = (set.ar[0], set.ma[0], set.seasonal_ar[0]);
        let at = |t: usize, lag: usize| if t >= lag { y[t - lag] } else { 0.0 };
        let mut before = 0.0;
        for (t, e) in ours.iter().enumerate() {
            let expected = at(t, 0) - a * at(t, 1) - c * at(t, 4) + a * c * at(t, 5) + b * before;
            assert!((e - expected).abs() < 1e-12, "{t}");
            before = expected;
        }
    }

    #[test]
    fn equal_regressors_are_refused() {
        let columns = [values(20), vec![1.0; 20], vec![2.0; 20]];
        let mut likelihood = Likelihood::new(shape(1, 0, 0, 0, 1), &columns, Treatment::Settling);
        assert!(likelihood.evaluate(&[0.3]).is_none());
    }
}
