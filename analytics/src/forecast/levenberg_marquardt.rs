//! Nonlinear least squares by the method of Levenberg (1944) and Marquardt (1963) with forward differences.
//!
//! The problems here have at most some ten unknowns and cheap residuals; the normal equations are solved by Cholesky's method.
//!
//! Own code because argmin has Gauss–Newton but not this method; residuals are written into one buffer that is reused, and a point may
//! have none (it is inadmissible), from which a difference turns to the other side.

use crate::cancel::Cancel;

/// A sum of squares to minimise.
pub(super) trait Residuals {
    /// Writes the residuals at `x`; `false` where there are none (an inadmissible point).
    fn residuals(&mut self, x: &[f64], out: &mut [f64]) -> bool;
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// Most steps.
    pub(super) iterations: usize,
    /// Relative decrease of the sum of squares below which a step is the last one.
    pub(super) decrease: f64,
    /// No variable may leave ± this.
    pub(super) bound: f64,
}

/// Width of the differences. The residuals are smooth and exact to some fourteen digits.
const DIFFERENCE: f64 = 1e-6;

/// Moves `x` to a minimum nearby and returns the sum of squares of `count` residuals there, which is never above that at
/// the start; infinity when the start is inadmissible. `cancel` is asked before every step and every set of residuals; once it says so `x`
/// stays at the best point found.
pub(super) fn minimise(
    problem: &mut impl Residuals,
    x: &mut [f64],
    count: usize,
    stop: Stop,
    cancel: &dyn Cancel,
) -> f64 {
    let d = x.len();
    let mut here = vec![0.0; count];
    if !problem.residuals(x, &mut here) {
        return f64::INFINITY;
    }
    let squares = |r: &[f64]| r.iter().map(|v| v * v).sum::<f64>();
    let mut cost = squares(&here);
    if d == 0 || !cost.is_finite() {
        return if cost.is_finite() {
            cost
        } else {
            f64::INFINITY
        };
    }
    let mut jacobian = vec![0.0; d * count];
    let mut there = vec![0.0; count];
    let (mut normal, mut factor) = (vec![0.0; d * d], vec![0.0; d * d]);
    let (mut gradient, mut step, mut trial) = (vec![0.0; d], vec![0.0; d], vec![0.0; d]);
    let mut damping = 1e-3;
    for _ in 0..stop.iterations {
        for k in 0..d {
            if cancel.is_cancelled() {
                return cost;
            }
            let kept = x[k];
            let column = &mut jacobian[k * count..(k + 1) * count];
            let mut width = if kept > 0.0 { -DIFFERENCE } else { DIFFERENCE };
            x[k] = kept + width;
            if !problem.residuals(x, &mut there) {
                width = -width;
                x[k] = kept + width;
                if !problem.residuals(x, &mut there) {
                    there.copy_from_slice(&here);
                }
            }
            x[k] = kept;
            for ((slope, new), old) in column.iter_mut().zip(&there).zip(&here) {
                *slope = (new - old) / width;
            }
        }
        for i in 0..d {
            let a = &jacobian[i * count..(i + 1) * count];
            gradient[i] = a.iter().zip(&here).map(|(j, r)| j * r).sum();
            for j in 0..=i {
                let b = &jacobian[j * count..(j + 1) * count];
                let product: f64 = a.iter().zip(b).map(|(u, v)| u * v).sum();
                normal[i * d + j] = product;
                normal[j * d + i] = product;
            }
        }
        let mut gain = 0.0;
        let mut tries = 0;
        while tries < 8 {
            if cancel.is_cancelled() {
                return cost;
            }
            tries += 1;
            factor.copy_from_slice(&normal);
            for i in 0..d {
                let own = normal[i * d + i];
                factor[i * d + i] = own + damping * own.max(1e-9 * cost) + f64::MIN_POSITIVE;
            }
            step.copy_from_slice(&gradient);
            if !solve(&mut factor, &mut step) {
                damping = (damping * 10.0).max(1e-3);
                continue;
            }
            for k in 0..d {
                trial[k] = (x[k] - step[k].clamp(-2.0, 2.0)).clamp(-stop.bound, stop.bound);
            }
            let admissible = problem.residuals(&trial, &mut there);
            let found = squares(&there);
            if admissible && found < cost {
                gain = cost - found;
                x.copy_from_slice(&trial);
                std::mem::swap(&mut here, &mut there);
                cost = found;
                damping = (damping * if tries == 1 { 0.1 } else { 0.5 }).max(1e-9);
                break;
            }
            damping *= 8.0;
        }
        if gain <= stop.decrease * cost {
            break;
        }
    }
    cost
}

/// Solves a symmetric positive definite system in place by Cholesky's method; `false` when it is not positive definite.
pub(super) fn solve(matrix: &mut [f64], right: &mut [f64]) -> bool {
    let d = right.len();
    for j in 0..d {
        let mut pivot = matrix[j * d + j];
        for k in 0..j {
            pivot -= matrix[j * d + k] * matrix[j * d + k];
        }
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        let pivot = pivot.sqrt();
        matrix[j * d + j] = pivot;
        for i in j + 1..d {
            let mut sum = matrix[i * d + j];
            for k in 0..j {
                sum -= matrix[i * d + k] * matrix[j * d + k];
            }
            matrix[i * d + j] = sum / pivot;
        }
    }
    for i in 0..d {
        for k in 0..i {
            right[i] -= matrix[i * d + k] * right[k];
        }
        right[i] /= matrix[i * d + i];
    }
    for i in (0..d).rev() {
        for k in i + 1..d {
            right[i] -= matrix[k * d + i] * right[k];
        }
        right[i] /= matrix[i * d + i];
    }
    right.iter().all(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::cancel::never;

    struct Rosenbrock;

    impl Residuals for Rosenbrock {
        fn residuals(&mut self, x: &[f64], out: &mut [f64]) -> bool {
            out[0] = 10.0 * (x[1] - x[0] * x[0]);
            out[1] = 1.0 - x[0];
            true
        }
    }

    const STOP: Stop = Stop {
        iterations: 100,
        decrease: 1e-14,
        bound: 10.0,
    };

    #[test]
    fn finds_the_end_of_a_curved_valley() {
        let mut x = [-1.2, 1.0];
        let cost = minimise(&mut Rosenbrock, &mut x, 2, STOP, &never);
        assert!(cost < 1e-16, "{cost}");
        assert!(
            (x[0] - 1.0).abs() < 1e-6 && (x[1] - 1.0).abs() < 1e-6,
            "{x:?}"
        );
    }

    struct Counted(usize);

    impl Residuals for Counted {
        fn residuals(&mut self, x: &[f64], out: &mut [f64]) -> bool {
            self.0 += 1;
            Rosenbrock.residuals(x, out)
        }
    }

    #[test]
    fn after_a_wish_to_stop_there_are_no_further_residuals() {
        for patience in 0..20 {
            let asked = Cell::new(0);
            let stop = || asked.replace(asked.get() + 1) >= patience;
            let (mut x, mut problem) = ([-1.2, 1.0], Counted(0));
            minimise(&mut problem, &mut x, 2, STOP, &stop);
            assert!(problem.0 <= 1 + patience, "{} after {patience}", problem.0);
        }
    }

    struct Half;

    impl Residuals for Half {
        fn residuals(&mut self, x: &[f64], out: &mut [f64]) -> bool {
            out[0] = x[0] - 3.0;
            x[0] <= 1.0
        }
    }

    #[test]
    fn stays_where_the_residuals_exist() {
        let mut x = [0.0];
        minimise(&mut Half, &mut x, 1, STOP, &never);
        assert!(x[0] <= 1.0 && x[0] > 0.5, "{x:?}");
        let mut x = [2.0];
        assert_eq!(minimise(&mut Half, &mut x, 1, STOP, &never), f64::INFINITY);
    }

    #[test]
    fn a_linear_system_is_solved_and_a_singular_one_refused() {
        let mut matrix = [4.0, 2.0, 2.0, 3.0];
        let mut right = [8.0, 7.0];
        assert!(solve(&mut matrix, &mut right));
        assert!((right[0] - 1.25).abs() < 1e-12 && (right[1] - 1.5).abs() < 1e-12);
        assert!(!solve(&mut [1.0, 1.0, 1.0, 1.0], &mut [1.0, 1.0]));
    }
}
