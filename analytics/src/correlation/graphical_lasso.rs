//! The graphical lasso: which series are linked directly, as the sparse inverse of their covariance.
//!
//! Minimises −log det Θ + tr(SΘ) + α Σ_{i≠j} |Θ_ij| by proximal Newton steps with coordinate descent on the entries that may be
//! other than zero (Hsieh, Sustik, Dhillon and Ravikumar 2014). The answer comes with a bound: the dual problem
//! (Banerjee, El Ghaoui and d'Aspremont 2008) says by how much the objective could be smaller at most.

use faer::linalg::solvers::DenseSolveCore;
use faer::{MatRef, Side};

use super::{CorrelationError, SharedCancel};
use crate::linear::{add_scaled, dot};

/// Most series; beyond, one factorisation takes longer than a cancelled computation may go on.
pub const MOST_SERIES: usize = 1_000;

/// How to solve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraphicalLassoParams {
    /// α, the price of a link, above 0; in units of the covariance.
    pub penalty: f64,
    /// Largest duality gap as a share of the objective's size.
    pub tolerance: f64,
    /// Most Newton steps.
    pub most_steps: usize,
}

impl Default for GraphicalLassoParams {
    fn default() -> Self {
        Self {
            penalty: 0.1,
            tolerance: 1e-6,
            most_steps: 100,
        }
    }
}

/// A sparse precision matrix with its certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphicalLasso {
    /// Number of series.
    pub count: usize,
    /// Θ, row after row; entries without a link are exactly zero.
    pub precision: Vec<f64>,
    /// Its inverse, row after row.
    pub covariance: Vec<f64>,
    /// −log det Θ + tr(SΘ) + α Σ_{i≠j} |Θ_ij|.
    pub objective: f64,
    /// No other Θ has an objective smaller by more than this; infinite when no bound was found.
    pub gap: f64,
    /// Newton steps taken.
    pub steps: usize,
    /// Whether the gap is within the tolerance.
    pub converged: bool,
}

impl GraphicalLasso {
    /// The gap as a share of the objective's size (of 1 for a smaller objective).
    #[must_use]
    pub fn relative_gap(&self) -> f64 {
        self.gap / self.objective.abs().max(1.0)
    }

    /// Linked pairs `i < j` with their partial correlation.
    #[must_use]
    pub fn links(&self) -> Vec<(usize, usize, f64)> {
        let p = self.count;
        let theta = |i: usize, j: usize| self.precision[i * p + j];
        (0..p)
            .flat_map(|i| (i + 1..p).map(move |j| (i, j)))
            .filter(|&(i, j)| theta(i, j) != 0.0)
            .map(|(i, j)| (i, j, -theta(i, j) / (theta(i, i) * theta(j, j)).sqrt()))
            .collect()
    }
}

/// Solves for a covariance or correlation matrix of `count` series, row after row.
///
/// # Errors
/// [`CorrelationError::Parameter`] for a penalty or tolerance that is not positive, or for more than [`MOST_SERIES`] series;
/// [`CorrelationError::TooFewSeries`] for none; [`CorrelationError::Unequal`] when the matrix is not `count × count`;
/// [`CorrelationError::Unusable`] where a variance is not positive or an entry is absent; [`CorrelationError::Cancelled`].
pub fn graphical_lasso(
    covariance: &[f64],
    count: usize,
    params: &GraphicalLassoParams,
    cancel: SharedCancel,
) -> Result<GraphicalLasso, CorrelationError> {
    check(covariance, count, params)?;
    let p = count;
    let mut state = State::diagonal(covariance, p, params.penalty);
    let mut steps = 0;
    loop {
        cancel.check()?;
        let gap = state.gap();
        let size = state.objective.abs().max(1.0);
        let converged = gap <= params.tolerance * size;
        if converged || steps == params.most_steps || !state.step(steps, cancel)? {
            return Ok(GraphicalLasso {
                count,
                precision: state.theta,
                covariance: state.inverse,
                objective: state.objective,
                gap,
                steps,
                converged,
            });
        }
        steps += 1;
    }
}

fn check(
    covariance: &[f64],
    count: usize,
    params: &GraphicalLassoParams,
) -> Result<(), CorrelationError> {
    let positive = |value: f64, parameter| {
        if value > 0.0 && value.is_finite() {
            Ok(())
        } else {
            Err(CorrelationError::Parameter {
                parameter,
                range: "above 0",
            })
        }
    };
    positive(params.penalty, "the penalty")?;
    positive(params.tolerance, "the tolerance")?;
    if count == 0 {
        return Err(CorrelationError::TooFewSeries {
            what: "a graph",
            least: 1,
            got: 0,
        });
    }
    if count > MOST_SERIES {
        return Err(CorrelationError::Parameter {
            parameter: "the number of series of a graph",
            range: "at most 1,000",
        });
    }
    if covariance.len() != count * count {
        return Err(CorrelationError::Unequal {
            expected: count * count,
            got: covariance.len(),
        });
    }
    let bad = |row: &[f64], i: usize| row[i] <= 0.0 || row.iter().any(|v| !v.is_finite());
    match (0..count).find(|&i| bad(&covariance[i * count..(i + 1) * count], i)) {
        Some(series) => Err(CorrelationError::Unusable { series }),
        None => Ok(()),
    }
}

struct State<'a> {
    p: usize,
    penalty: f64,
    sample: &'a [f64],
    theta: Vec<f64>,
    inverse: Vec<f64>,
    objective: f64,
}

impl<'a> State<'a> {
    /// The start: no links.
    fn diagonal(sample: &'a [f64], p: usize, penalty: f64) -> Self {
        let (mut theta, mut inverse) = (vec![0.0; p * p], vec![0.0; p * p]);
        let mut objective = p as f64;
        for i in 0..p {
            let variance = sample[i * p + i];
            theta[i * p + i] = 1.0 / variance;
            inverse[i * p + i] = variance;
            objective += variance.ln();
        }
        Self {
            p,
            penalty,
            sample,
            theta,
            inverse,
            objective,
        }
    }

    /// Primal minus dual: the inverse, moved to where the dual allows it, is a dual point.
    fn gap(&self) -> f64 {
        let p = self.p;
        let mut dual: Vec<f64> = self
            .inverse
            .iter()
            .zip(self.sample)
            .map(|(w, s)| s + (w - s).clamp(-self.penalty, self.penalty))
            .collect();
        for i in 0..p {
            dual[i * p + i] = self.sample[i * p + i];
        }
        log_determinant(&dual, p).map_or(f64::INFINITY, |l| self.objective - l - p as f64)
    }

    /// One Newton step with a line search; false when the objective cannot be made smaller any more.
    fn step(&mut self, number: usize, cancel: SharedCancel) -> Result<bool, CorrelationError> {
        let p = self.p;
        let direction = self.direction(number, cancel)?;
        let mut slope = 0.0;
        for (at, d) in direction.iter().enumerate() {
            slope += (self.sample[at] - self.inverse[at]) * d;
            if at / p != at % p {
                slope += self.penalty * ((self.theta[at] + d).abs() - self.theta[at].abs());
            }
        }
        let mut length = 1.0;
        for _ in 0..40 {
            cancel.check()?;
            let mut theta = self.theta.clone();
            add_scaled(&mut theta, length, &direction);
            if let Some((determinant, inverse)) = factor(&theta, p) {
                let objective =
                    dot(self.sample, &theta) - determinant + self.penalty * links(&theta, p);
                if objective <= self.objective + 1e-3 * length * slope {
                    let moved = self.objective - objective;
                    self.theta = theta;
                    self.inverse = inverse;
                    self.objective = objective;
                    return Ok(moved > 0.0 && moved > 1e-15 * objective.abs());
                }
            }
            length *= 0.5;
        }
        Ok(false)
    }

    /// The Newton direction, by coordinate descent on the quadratic model: with W = Θ⁻¹ the model's gradient at direction D is
    /// S − W + W D W. `product` keeps W D, row j being column j of D W.
    ///
    /// The pairs of one row are done together: what they change in the other rows of D W reaches the later pairs of the
    /// row through one number (`through`) and one vector (`own`), and is written once at the end of the row.
    fn direction(&self, number: usize, cancel: SharedCancel) -> Result<Vec<f64>, CorrelationError> {
        let p = self.p;
        let (w, s, theta) = (&self.inverse, self.sample, &self.theta);
        let row = |i: usize| i * p..(i + 1) * p;
        let active: Vec<Vec<usize>> = (0..p)
            .map(|i| {
                (i + 1..p)
                    .filter(|j| {
                        let at = i * p + j;
                        theta[at] != 0.0 || (s[at] - w[at]).abs() > self.penalty
                    })
                    .collect()
            })
            .collect();
        let mut direction = vec![0.0; p * p];
        let mut product = vec![0.0; p * p];
        let sweeps = 2 + number;
        for _ in 0..sweeps {
            let (mut moved, mut size) = (0.0, 0.0);
            for i in 0..p {
                cancel.check()?;
                let wi = &w[row(i)];
                let mut own: Vec<f64> = (0..p).map(|j| product[j * p + i]).collect();
                let before = own.clone();
                let mut steps = vec![0.0; p];
                let mut through = 0.0;
                let curvature = |j: usize| {
                    if j == i {
                        wi[i] * wi[i]
                    } else {
                        wi[j] * wi[j] + wi[i] * w[j * p + j]
                    }
                };
                for j in std::iter::once(i).chain(active[i].iter().copied()) {
                    let at = i * p + j;
                    let crossed =
                        dot(wi, &product[row(j)]) + wi[i] * (own[j] - before[j]) + wi[j] * through;
                    let gradient = s[at] - w[at] + crossed;
                    let a = curvature(j);
                    let now = theta[at] + direction[at];
                    let next = if j == i {
                        now - gradient / a
                    } else {
                        shrink(now - gradient / a, self.penalty / a)
                    };
                    let step = next - now;
                    if step != 0.0 {
                        direction[at] += step;
                        add_scaled(&mut own, step, &w[row(j)]);
                        if j != i {
                            direction[j * p + i] += step;
                            steps[j] = step;
                            through += step * wi[j];
                        }
                    }
                    moved += step.abs();
                    size += direction[at].abs();
                }
                let any = steps.iter().any(|v| *v != 0.0);
                for (k, line) in product.chunks_exact_mut(p).enumerate() {
                    line[i] = own[k];
                    if any {
                        // Row j of D W gains its step · row i of W.
                        add_scaled(line, wi[k], &steps);
                    }
                }
            }
            if moved <= 1e-3 * size {
                break;
            }
        }
        Ok(direction)
    }
}

fn shrink(value: f64, by: f64) -> f64 {
    value.signum() * (value.abs() - by).max(0.0)
}

/// Σ_{i≠j} |Θ_ij|.
fn links(theta: &[f64], p: usize) -> f64 {
    theta.iter().map(|v| v.abs()).sum::<f64>() - (0..p).map(|i| theta[i * p + i].abs()).sum::<f64>()
}

/// Logarithm of the determinant; nothing when the symmetric matrix is not positive definite.
fn log_determinant(matrix: &[f64], p: usize) -> Option<f64> {
    let factor = MatRef::from_column_major_slice(matrix, p, p)
        .llt(Side::Lower)
        .ok()?;
    let lower = factor.L();
    let sum: f64 = (0..p).map(|i| 2.0 * lower[(i, i)].ln()).sum();
    sum.is_finite().then_some(sum)
}

/// Logarithm of the determinant and the inverse.
fn factor(matrix: &[f64], p: usize) -> Option<(f64, Vec<f64>)> {
    let factor = MatRef::from_column_major_slice(matrix, p, p)
        .llt(Side::Lower)
        .ok()?;
    let lower = factor.L();
    let sum: f64 = (0..p).map(|i| 2.0 * lower[(i, i)].ln()).sum();
    let inverse = factor.inverse();
    let inverse: Vec<f64> = (0..p)
        .flat_map(|i| (0..p).map(move |j| (i.max(j), i.min(j))))
        .map(|(i, j)| inverse[(i, j)])
        .collect();
    sum.is_finite().then_some((sum, inverse))
}
