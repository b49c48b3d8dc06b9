//! Small dense linear algebra on `f64` columns: what the regressions of this crate need and no more.
//!
//! Matrices are lists of columns. Sizes stay below a few hundred rows and a hundred columns, where plain loops that
//! the compiler vectorises are as fast as a library.

/// Scalar product.
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = left
        .remainder()
        .iter()
        .zip(right.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in left.zip(right) {
        for (sum, (p, q)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += p * q;
        }
    }
    sums.iter().sum::<f64>() + tail
}

/// `y += k · x`.
pub fn add_scaled(y: &mut [f64], k: f64, x: &[f64]) {
    for (v, u) in y.iter_mut().zip(x) {
        *v += k * u;
    }
}

/// A symmetric positive definite matrix in its Cholesky factor.
#[derive(Debug, Clone)]
pub struct Cholesky {
    n: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors a symmetric matrix (row-major, `n × n`).
    ///
    /// A pivot below `1e-10` of its diagonal is treated as a direction without information and gets an infinite
    /// precision of zero movement, so collinear columns do not break a fit: their coefficient is zero.
    #[must_use]
    pub fn new(matrix: &[f64], n: usize) -> Self {
        let mut lower = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let (row_i, row_j) = (&lower[i * n..i * n + j], &lower[j * n..j * n + j]);
                let value = matrix[i * n + j] - dot(row_i, row_j);
                if i == j {
                    let floor = 1e-10 * matrix[i * n + i].abs();
                    lower[i * n + i] = if value > floor && value > 0.0 {
                        value.sqrt()
                    } else {
                        f64::INFINITY
                    };
                } else {
                    let pivot = lower[j * n + j];
                    lower[i * n + j] = if pivot.is_finite() {
                        value / pivot
                    } else {
                        0.0
                    };
                }
            }
        }
        Self { n, lower }
    }

    /// Factors the Gram matrix of `columns` plus `diagonal`.
    #[must_use]
    pub fn of_gram(columns: &[Vec<f64>], diagonal: &[f64]) -> Self {
        let n = columns.len();
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let value = dot(&columns[i], &columns[j]);
                matrix[i * n + j] = value;
                matrix[j * n + i] = value;
            }
            matrix[i * n + i] += diagonal.get(i).copied().unwrap_or(0.0);
        }
        Self::new(&matrix, n)
    }

    /// Solves `A x = b`.
    #[must_use]
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let n = self.n;
        let mut x = self.forward(b);
        for i in (0..n).rev() {
            let pivot = self.lower[i * n + i];
            x[i] = if pivot.is_finite() { x[i] / pivot } else { 0.0 };
            let value = x[i];
            add_scaled(&mut x[..i], -value, &self.lower[i * n..i * n + i]);
        }
        x
    }

    /// Solves `L z = b`, the first half of [`Cholesky::solve`].
    #[must_use]
    pub fn forward(&self, b: &[f64]) -> Vec<f64> {
        let n = self.n;
        let mut x = b.to_vec();
        for i in 0..n {
            let pivot = self.lower[i * n + i];
            let value = x[i] - dot(&self.lower[i * n..i * n + i], &x[..i]);
            x[i] = if pivot.is_finite() {
                value / pivot
            } else {
                0.0
            };
        }
        x
    }

    /// `gᵀ A⁻¹ g`, the variance of a linear combination.
    #[must_use]
    pub fn quadratic(&self, g: &[f64]) -> f64 {
        let z = self.forward(g);
        dot(&z, &z)
    }

    /// Logarithm of the determinant over the directions with information.
    #[must_use]
    pub fn log_determinant(&self) -> f64 {
        (0..self.n)
            .map(|i| self.lower[i * self.n + i])
            .filter(|p| p.is_finite())
            .map(|p| 2.0 * p.ln())
            .sum()
    }

    /// Number of directions with information.
    #[must_use]
    pub fn rank(&self) -> usize {
        (0..self.n)
            .filter(|i| self.lower[i * self.n + i].is_finite())
            .count()
    }
}

/// An orthonormal basis of the span of `columns` (modified Gram–Schmidt, twice); dependent columns are dropped.
#[must_use]
pub fn orthonormal(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut v = column.clone();
        let before = dot(&v, &v).sqrt();
        for _ in 0..2 {
            remove(&mut v, &basis);
        }
        let after = dot(&v, &v).sqrt();
        if after > 1e-9 * before && after > 0.0 {
            v.iter_mut().for_each(|x| *x /= after);
            basis.push(v);
        }
    }
    basis
}

/// Removes from `v` its projection on an orthonormal basis.
pub fn remove(v: &mut [f64], basis: &[Vec<f64>]) {
    for q in basis {
        let k = dot(v, q);
        add_scaled(v, -k, q);
    }
}

/// Prais–Winsten transform of a column for first-order autocorrelation `rho`.
#[must_use]
pub fn whiten(column: &[f64], rho: f64) -> Vec<f64> {
    let mut out = Vec::with_capacity(column.len());
    if let Some(first) = column.first() {
        out.push(first * (1.0 - rho * rho).sqrt());
    }
    out.extend(column.windows(2).map(|w| w[1] - rho * w[0]));
    out
}

/// Restricted maximum-likelihood estimate of the first-order autocorrelation of a regression's errors.
///
/// REML (Harville 1977) because the plain estimate is biased towards zero when a regression spends many degrees of
/// freedom. A grid from −0.3 to 0.9 with parabolic refinement is exact enough: the likelihood is flat within ±0.02.
#[must_use]
pub fn reml_autocorrelation(columns: &[Vec<f64>], y: &[f64]) -> f64 {
    let likelihood = |rho: f64| restricted_likelihood(columns, y, rho);
    let grid: Vec<f64> = (0..=12).map(|i| -0.3 + 0.1 * f64::from(i)).collect();
    let values: Vec<f64> = grid.iter().map(|&r| likelihood(r)).collect();
    let best = (0..grid.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best });
    if best == 0 || best + 1 == grid.len() {
        return grid[best];
    }
    let (a, b, c) = (values[best - 1], values[best], values[best + 1]);
    let curvature = a - 2.0 * b + c;
    let shift = if curvature < 0.0 {
        0.5 * (a - c) / curvature
    } else {
        0.0
    };
    grid[best] + 0.1 * shift.clamp(-1.0, 1.0)
}

/// Logarithm of the restricted likelihood of a regression whose errors have the first-order autocorrelation `rho`, up to a constant.
#[must_use]
pub fn restricted_likelihood(columns: &[Vec<f64>], y: &[f64], rho: f64) -> f64 {
    let whitened: Vec<Vec<f64>> = columns.iter().map(|c| whiten(c, rho)).collect();
    let target = whiten(y, rho);
    let gram = Cholesky::of_gram(&whitened, &[]);
    let moments: Vec<f64> = whitened.iter().map(|c| dot(c, &target)).collect();
    let rss = dot(&target, &target) - gram.quadratic(&moments);
    let dof = y.len() as f64 - gram.rank() as f64;
    -0.5 * (dof * rss.max(1e-300).ln() + gram.log_determinant() - (1.0 - rho * rho).ln())
}

/// A generalised least squares fit.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Coefficients in column order.
    pub coefficients: Vec<f64>,
    /// Standard errors in column order; zero, like the coefficient, for a column that the ones before it make up.
    pub errors: Vec<f64>,
    /// Whitened residuals.
    pub residuals: Vec<f64>,
    /// Residual standard deviation of the whitened errors.
    pub sigma: f64,
    /// Residual degrees of freedom.
    pub dof: f64,
    /// First-order autocorrelation used.
    pub rho: f64,
}

/// Least squares with first-order autocorrelated errors of known `rho` (zero gives ordinary least squares).
#[must_use]
pub fn gls(columns: &[Vec<f64>], y: &[f64], rho: f64) -> Fit {
    let whitened: Vec<Vec<f64>> = columns.iter().map(|c| whiten(c, rho)).collect();
    let target = whiten(y, rho);
    let gram = Cholesky::of_gram(&whitened, &[]);
    let moments: Vec<f64> = whitened.iter().map(|c| dot(c, &target)).collect();
    let coefficients = gram.solve(&moments);
    let mut residuals = target;
    for (column, k) in whitened.iter().zip(&coefficients) {
        add_scaled(&mut residuals, -k, column);
    }
    let dof = (y.len() as f64 - gram.rank() as f64).max(1.0);
    let sigma = (dot(&residuals, &residuals) / dof).sqrt();
    let errors = (0..columns.len())
        .map(|i| {
            let mut unit = vec![0.0; columns.len()];
            unit[i] = 1.0;
            sigma * gram.quadratic(&unit).sqrt()
        })
        .collect();
    Fit {
        coefficients,
        errors,
        residuals,
        sigma,
        dof,
        rho,
    }
}
