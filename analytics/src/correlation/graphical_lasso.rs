//! The graphical lasso: which series are linked directly, as the sparse inverse of their covariance.
//!
//! Minimises −log det Θ + tr(SΘ) + α Σ_{i≠j} |Θ_ij| by alternating directions (Boyd and others 2011, §6.5) with over-relaxation and
//! a step that adapts. The likelihood is answered by eigenvalues and the links by soft thresholds, so a dominant common factor, on
//! which coordinate descent stalls or fails, does no harm. The answer comes with a bound: the dual problem (Banerjee, El Ghaoui
//! and d'Aspremont 2008) says by how much the objective could be smaller at most.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::solvers::DenseSolveCore;
use faer::{Accum, MatMut, MatRef, Par, Side};

use super::{CorrelationError, SharedCancel};
use crate::linear::dot;

/// Most series; beyond, one factorisation takes longer than a cancelled computation may go on.
pub const MOST_SERIES: usize = 400;

/// How far each step goes beyond the new point.
const RELAXATION: f64 = 1.6;
/// Steps between two looks at whether the step suits the problem.
const ADAPT_EVERY: usize = 5;

/// How to solve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraphicalLassoParams {
    /// α, the price of a link, above 0; in units of the covariance.
    pub penalty: f64,
    /// Largest duality gap as a share of the objective's size.
    pub tolerance: f64,
    /// Most steps.
    pub most_steps: usize,
}

impl Default for GraphicalLassoParams {
    fn default() -> Self {
        Self {
            penalty: 0.1,
            tolerance: 1e-6,
            most_steps: 500,
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
    /// Steps taken.
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
    let problem = Problem::new(covariance, p, params.penalty);
    let mut state = State {
        rho: 1.0,
        sparse: (0..p * p)
            .map(|at| f64::from(u8::from(at / p == at % p)))
            .collect(),
        dual: vec![0.0; p * p],
    };
    // The objective on the given scale differs by this.
    let shift: f64 = problem.scale.iter().map(|s| 2.0 * s.ln()).sum();
    let mut bound = f64::NEG_INFINITY;
    let mut best = (problem.primal(&state.sparse), state.sparse.clone());
    let mut steps = 0;
    let converged = loop {
        cancel.check()?;
        let dual: Vec<f64> = problem
            .correlations
            .iter()
            .zip(&state.dual)
            .map(|(s, u)| s + state.rho * u)
            .collect();
        bound = bound.max(problem.dual(&dual));
        let objective = problem.primal(&state.sparse);
        if objective < best.0 {
            best = (objective, state.sparse.clone());
        }
        if best.0 - bound <= params.tolerance * (best.0 + shift).abs().max(1.0) {
            break true;
        }
        if steps == params.most_steps {
            break false;
        }
        steps += 1;
        state.step(&problem, steps % ADAPT_EVERY == 0)?;
    };
    let (objective, theta) = best;
    let covariance =
        inverse(&theta, p).expect("an objective that is finite has a positive definite matrix");
    let at = |at: usize| problem.scale[at / p] * problem.scale[at % p];
    Ok(GraphicalLasso {
        count,
        precision: theta.iter().enumerate().map(|(i, v)| v / at(i)).collect(),
        covariance: covariance
            .iter()
            .enumerate()
            .map(|(i, v)| v * at(i))
            .collect(),
        objective: objective + shift,
        gap: (objective - bound).max(0.0),
        steps,
        converged,
    })
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
            range: "at most 400",
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

/// The problem on the scale of correlations, where all variances are 1 and one starting step suits every problem; the price of a
/// link is then its own for every pair.
struct Problem {
    p: usize,
    correlations: Vec<f64>,
    penalties: Vec<f64>,
    /// Standard deviations.
    scale: Vec<f64>,
}

impl Problem {
    fn new(covariance: &[f64], p: usize, penalty: f64) -> Self {
        let scale: Vec<f64> = (0..p).map(|i| covariance[i * p + i].sqrt()).collect();
        let (mut correlations, mut penalties) = (vec![0.0; p * p], vec![0.0; p * p]);
        for i in 0..p {
            for j in 0..i {
                // A matrix that rounding made asymmetric is read as the mean of both halves.
                let both = 0.5 * (covariance[i * p + j] + covariance[j * p + i]);
                let (r, price) = (
                    both / (scale[i] * scale[j]),
                    penalty / (scale[i] * scale[j]),
                );
                for at in [i * p + j, j * p + i] {
                    correlations[at] = r;
                    penalties[at] = price;
                }
            }
            correlations[i * p + i] = 1.0;
        }
        Self {
            p,
            correlations,
            penalties,
            scale,
        }
    }

    /// The objective on this scale; infinite where the matrix is not positive definite.
    fn primal(&self, theta: &[f64]) -> f64 {
        let price: f64 = theta
            .iter()
            .zip(&self.penalties)
            .map(|(t, l)| l * t.abs())
            .sum();
        log_determinant(theta, self.p).map_or(f64::INFINITY, |l| {
            dot(&self.correlations, theta) - l + price
        })
    }

    /// The dual objective: log det W + p, for a W that differs from the correlations by no more than the penalties.
    fn dual(&self, w: &[f64]) -> f64 {
        log_determinant(w, self.p).map_or(f64::NEG_INFINITY, |l| l + self.p as f64)
    }
}

/// Alternating directions between Θ, which answers for the likelihood, and `sparse`, which answers for the links; `dual` is the
/// scaled multiplier of their difference, and the correlations plus `rho · dual` are a point of the dual problem.
struct State {
    rho: f64,
    sparse: Vec<f64>,
    dual: Vec<f64>,
}

impl State {
    fn step(&mut self, problem: &Problem, adapt: bool) -> Result<(), CorrelationError> {
        let p = problem.p;
        let pulled: Vec<f64> = self
            .sparse
            .iter()
            .zip(&self.dual)
            .zip(&problem.correlations)
            .map(|((z, u), s)| self.rho * (z - u) - s)
            .collect();
        let theta = likely(&pulled, p, self.rho).ok_or(CorrelationError::Parameter {
            parameter: "the covariance",
            range: "of finite size",
        })?;
        let before = self.sparse.clone();
        let (mut apart, mut moved) = (0.0, 0.0);
        for at in 0..p * p {
            let relaxed = RELAXATION * theta[at] + (1.0 - RELAXATION) * before[at];
            let goal = relaxed + self.dual[at];
            let kept = shrink(goal, problem.penalties[at] / self.rho);
            self.sparse[at] = kept;
            self.dual[at] = goal - kept;
            apart += (theta[at] - kept).powi(2);
            moved += (kept - before[at]).powi(2);
        }
        let (apart, moved) = (apart.sqrt(), self.rho * moved.sqrt());
        if adapt && (apart > 3.0 * moved || moved > 3.0 * apart) {
            let factor = if apart > moved { 2.0 } else { 0.5 };
            self.rho *= factor;
            self.dual.iter_mut().for_each(|u| *u /= factor);
        }
        Ok(())
    }
}

/// The Θ that minimises −log det Θ + ρ/2 ‖Θ‖² − tr(AΘ): the eigenvectors of A with the positive roots of ρθ² − aθ − 1 = 0.
fn likely(pulled: &[f64], p: usize, rho: f64) -> Option<Vec<f64>> {
    let eigen = MatRef::from_column_major_slice(pulled, p, p)
        .self_adjoint_eigen(Side::Lower)
        .ok()?;
    let vectors = eigen.U();
    let mut stretched = vectors.to_owned();
    for (column, &value) in stretched
        .col_iter_mut()
        .zip(eigen.S().column_vector().iter())
    {
        let root = (value * value + 4.0 * rho).sqrt();
        // For a large negative eigenvalue the sum cancels; its conjugate does not.
        let theta = if value >= 0.0 {
            (value + root) / (2.0 * rho)
        } else {
            2.0 / (root - value)
        };
        column.iter_mut().for_each(|v| *v *= theta.sqrt());
    }
    let mut theta = vec![0.0; p * p];
    let whole = BlockStructure::Rectangular;
    triangular::matmul(
        MatMut::from_column_major_slice_mut(&mut theta, p, p),
        BlockStructure::TriangularLower,
        Accum::Replace,
        stretched.as_ref(),
        whole,
        stretched.transpose(),
        whole,
        1.0,
        Par::Seq,
    );
    for i in 0..p {
        for j in 0..i {
            theta[i * p + j] = theta[j * p + i];
        }
    }
    theta.iter().all(|v| v.is_finite()).then_some(theta)
}

fn shrink(value: f64, by: f64) -> f64 {
    if value.abs() <= by {
        0.0
    } else {
        value - by.copysign(value)
    }
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

/// Inverse of a positive definite matrix.
fn inverse(matrix: &[f64], p: usize) -> Option<Vec<f64>> {
    let inverse = MatRef::from_column_major_slice(matrix, p, p)
        .llt(Side::Lower)
        .ok()?
        .inverse();
    let lower = (0..p).flat_map(|i| (0..p).map(move |j| (i.max(j), i.min(j))));
    Some(lower.map(|at| inverse[at]).collect())
}
