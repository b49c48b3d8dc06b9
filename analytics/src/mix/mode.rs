//! The highest point of a posterior density and its curvature there.

use super::{density::Density, kernel};
use crate::cancel::{Cancel, Cancelled};
use crate::descent::{Limits, descend};

/// Climbs from `start` by L-BFGS and returns the best point seen; `frozen` coordinates stay.
///
/// # Errors
/// [`Cancelled`], asked at every point.
pub(super) fn climb(
    density: &mut Density<'_>,
    start: Vec<f64>,
    frozen: &[usize],
    iterations: u64,
    cancel: &dyn Cancel,
) -> Result<Vec<f64>, Cancelled> {
    let mut best = start;
    // A search that ends in a corner of its line search starts afresh from where it is.
    for _ in 0..4 {
        let mut gradient = vec![0.0; best.len()];
        let before = density.evaluate(&best, &mut gradient);
        for i in frozen {
            gradient[*i] = 0.0;
        }
        let norm = kernel::dot(&gradient, &gradient).sqrt();
        if norm.is_nan() || norm <= 1e-6 {
            break;
        }
        // The first step of L-BFGS has the length of the gradient; a tenth is a careful one on these scales.
        let scale = 0.1 / norm;
        let limits = Limits {
            memory: 12,
            steps: iterations,
            evaluations: 10_000,
        };
        (_, best) = descend(best, limits, cancel, |q| {
            let value = -scale * density.evaluate(q, &mut gradient);
            for i in frozen {
                gradient[*i] = 0.0;
            }
            (value, gradient.iter().map(|g| -scale * g).collect())
        })?;
        if density.evaluate(&best, &mut gradient) - before < 1e-9 * before.abs() {
            break;
        }
    }
    Ok(best)
}

/// A normal around the mode: `mode + factor · z` with standard normal z. The factor is symmetric, row after row.
#[derive(Debug, Clone)]
pub(super) struct Normal {
    pub(super) mode: Vec<f64>,
    factor: Vec<f64>,
}

/// Minus the second derivatives of a log density, by central differences of its gradient; symmetric.
fn curvature(
    density: &mut Density<'_>,
    mode: &[f64],
    cancel: &dyn Cancel,
) -> Result<Vec<f64>, Cancelled> {
    let d = mode.len();
    let mut curvature = vec![0.0; d * d];
    let (mut q, mut up, mut down) = (mode.to_vec(), vec![0.0; d], vec![0.0; d]);
    for i in 0..d {
        cancel.check()?;
        let step = 1e-4 * mode[i].abs().max(1.0);
        q[i] = mode[i] + step;
        density.evaluate(&q, &mut up);
        q[i] = mode[i] - step;
        density.evaluate(&q, &mut down);
        q[i] = mode[i];
        for j in 0..d {
            let slope = (down[j] - up[j]) / (2.0 * step);
            let slope = if slope.is_finite() { slope } else { 0.0 };
            curvature[i * d + j] += 0.5 * slope;
            curvature[j * d + i] += 0.5 * slope;
        }
    }
    Ok(curvature)
}

/// Variances of the coordinates from the curvature, `frozen` ones known; what has no curvature has variance one.
pub(super) fn variances(
    density: &mut Density<'_>,
    mode: &[f64],
    frozen: &[usize],
    cancel: &dyn Cancel,
) -> Result<Vec<f64>, Cancelled> {
    let d = mode.len();
    let mut curvature = curvature(density, mode, cancel)?;
    set_apart(&mut curvature, d, frozen, |_| 1.0);
    let factor = crate::linear::Cholesky::new(&curvature, d);
    let mut unit = vec![0.0; d];
    (0..d)
        .map(|i| {
            cancel.check()?;
            unit[i] = 1.0;
            let variance = factor.quadratic(&unit);
            unit[i] = 0.0;
            Ok(if variance > 0.0 { variance } else { 1.0 })
        })
        .collect()
}

/// Cuts coordinates off from all others and gives them a curvature of their own.
fn set_apart(curvature: &mut [f64], d: usize, which: &[usize], value: impl Fn(usize) -> f64) {
    for (k, i) in which.iter().enumerate() {
        for j in 0..d {
            curvature[i * d + j] = 0.0;
            curvature[j * d + i] = 0.0;
        }
        curvature[i * d + i] = value(k);
    }
}

impl Normal {
    /// The curvature at `mode`. Directions in which the density does not fall off at least as fast as a normal with standard
    /// deviation `widest` get that width; coordinates `apart` are independent of all others, with the widths given.
    pub(super) fn new(
        density: &mut Density<'_>,
        mode: Vec<f64>,
        widest: f64,
        apart: &[usize],
        widths: &[f64],
        cancel: &dyn Cancel,
    ) -> Result<Self, Cancelled> {
        let d = mode.len();
        let mut curvature = curvature(density, &mode, cancel)?;
        set_apart(&mut curvature, d, apart, |k| 1.0 / (widths[k] * widths[k]));
        let (values, vectors) = eigen(curvature, d, cancel)?;
        // Factor V · Λ^(−½) · Vᵀ: the symmetric root, so that coordinates stay near the ones they were.
        let mut factor = vec![0.0; d * d];
        for k in 0..d {
            cancel.check()?;
            let scale = 1.0 / values[k].max(1.0 / (widest * widest)).sqrt();
            let v = &vectors[k * d..(k + 1) * d];
            for i in 0..d {
                let row = &mut factor[i * d..(i + 1) * d];
                kernel::add_scaled(row, scale * v[i], v);
            }
        }
        Ok(Self { mode, factor })
    }

    /// `mode + factor · z`.
    pub(super) fn place(&self, arch: pulp::Arch, z: &[f64], q: &mut [f64]) {
        q.copy_from_slice(&self.mode);
        kernel::wide(arch, AddProduct(&self.factor, z, q));
    }

    /// `factor · g`, which for the symmetric factor makes a gradient by z of one by q.
    pub(super) fn pull_back(&self, arch: pulp::Arch, g: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        kernel::wide(arch, AddProduct(&self.factor, g, out));
    }
}

/// Adds the product of a symmetric matrix and a vector.
struct AddProduct<'a>(&'a [f64], &'a [f64], &'a mut [f64]);

impl kernel::Wide for AddProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (row, x) in self.0.chunks_exact(self.1.len()).zip(self.1) {
            kernel::add_scaled(self.2, *x, row);
        }
    }
}

/// Eigenvalues and eigenvectors (one after the other) of a symmetric matrix by cyclic Jacobi rotations.
///
/// Kept beside the decomposition of `faer`: the symmetric root of the curvature is where draws of a seed start from, and another
/// order of rounding would give every seed other draws.
fn eigen(
    mut a: Vec<f64>,
    n: usize,
    cancel: &dyn Cancel,
) -> Result<(Vec<f64>, Vec<f64>), Cancelled> {
    let mut v = vec![0.0; n * n];
    for i in 0..n {
        v[i * n + i] = 1.0;
    }
    for _ in 0..60 {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i * n + j] * a[i * n + j])
            .sum();
        let all = kernel::dot(&a, &a);
        if off <= 1e-24 * all {
            break;
        }
        for p in 0..n {
            cancel.check()?;
            for q in p + 1..n {
                let (app, aqq, apq) = (a[p * n + p], a[q * n + q], a[p * n + q]);
                if apq.abs() <= 1e-300 || apq * apq <= 1e-30 * (app * aqq).abs() {
                    continue;
                }
                let theta = (aqq - app) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                rotate_rows(&mut a, n, p, q, c, s);
                for k in 0..n {
                    let (x, y) = (a[k * n + p], a[k * n + q]);
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                }
                rotate_rows(&mut v, n, p, q, c, s);
            }
        }
    }
    Ok(((0..n).map(|i| a[i * n + i]).collect(), v))
}

fn rotate_rows(a: &mut [f64], n: usize, p: usize, q: usize, c: f64, s: f64) {
    let (head, tail) = a.split_at_mut(q * n);
    let (x, y) = (&mut head[p * n..(p + 1) * n], &mut tail[..n]);
    for (x, y) in x.iter_mut().zip(y) {
        let (u, w) = (*x, *y);
        *x = c * u - s * w;
        *y = s * u + c * w;
    }
}

#[cfg(test)]
mod tests {
    use super::eigen;
    use crate::cancel::{Cancelled, never};

    #[test]
    fn eigenvalues_of_a_known_matrix() {
        // Second differences: 2 − 2 cos(kπ/(n+1)).
        let n = 12;
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            a[i * n + i] = 2.0;
            if i > 0 {
                a[i * n + i - 1] = -1.0;
                a[(i - 1) * n + i] = -1.0;
            }
        }
        let (mut values, vectors) = eigen(a.clone(), n, &never).expect("never cancelled");
        for k in 0..n {
            let v = &vectors[k * n..(k + 1) * n];
            for i in 0..n {
                let product: f64 = (0..n).map(|j| a[i * n + j] * v[j]).sum();
                assert!((product - values[k] * v[i]).abs() < 1e-12);
            }
        }
        values.sort_by(f64::total_cmp);
        for (k, value) in values.iter().enumerate() {
            let angle = (k + 1) as f64 * std::f64::consts::PI / (n + 1) as f64;
            assert!((value - (2.0 - 2.0 * angle.cos())).abs() < 1e-12);
        }
        assert_eq!(eigen(a, n, &|| true), Err(Cancelled));
    }
}
