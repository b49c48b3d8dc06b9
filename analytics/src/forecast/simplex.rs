//! Derivative-free minimisation inside a box: argmin's Nelder–Mead behind a logistic change of variables.
//!
//! Smoothing parameters live in intervals such as (0, 1); the simplex works on the whole line, so each coordinate is
//! mapped through a logistic function and can never leave its interval.

use argmin::core::{CostFunction, Error, Executor, State};
use argmin::solver::neldermead::NelderMead;

/// A closed interval that a parameter may not leave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    fn inside(self, free: f64) -> f64 {
        self.low + (self.high - self.low) / (1.0 + (-free).exp())
    }

    fn free(self, inside: f64) -> f64 {
        let share = ((inside - self.low) / (self.high - self.low)).clamp(1e-4, 1.0 - 1e-4);
        (share / (1.0 - share)).ln()
    }
}

struct Boxed<'a, F> {
    cost: F,
    intervals: &'a [Interval],
}

impl<F: Fn(&[f64]) -> f64> CostFunction for Boxed<'_, F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, free: &Self::Param) -> Result<Self::Output, Error> {
        let mut inside = [0.0; 4];
        for (slot, (value, interval)) in inside.iter_mut().zip(free.iter().zip(self.intervals)) {
            *slot = interval.inside(*value);
        }
        let cost = (self.cost)(&inside[..free.len()]);
        // A simplex cannot order NaN: an impossible point is merely a very bad one.
        Ok(if cost.is_finite() { cost } else { f64::MAX })
    }
}

/// Minimises `cost` over a box of at most four dimensions, starting at the best of `starts`.
///
/// Returns the best point found; that is never worse than the best start, also when the simplex stops early.
pub(super) fn minimise<F: Fn(&[f64]) -> f64>(
    cost: F,
    intervals: &[Interval],
    starts: &[&[f64]],
    iterations: u64,
) -> Vec<f64> {
    assert!(
        intervals.len() <= 4 && !starts.is_empty(),
        "a box of one to four dimensions with a start"
    );
    let mut best = starts[0].to_vec();
    let mut best_cost = f64::INFINITY;
    for start in starts {
        let here = cost(start);
        if here < best_cost {
            best_cost = here;
            best = start.to_vec();
        }
    }
    let centre: Vec<f64> = best
        .iter()
        .zip(intervals)
        .map(|(v, i)| i.free(*v))
        .collect();
    let mut simplex = vec![centre.clone()];
    for axis in 0..centre.len() {
        let mut corner = centre.clone();
        corner[axis] += 1.0;
        simplex.push(corner);
    }
    // The spread of the simplex' costs is what argmin compares with, so the tolerance follows the size of the cost.
    let Ok(solver) =
        NelderMead::new(simplex).with_sd_tolerance((best_cost.abs() * 1e-8).max(f64::MIN_POSITIVE))
    else {
        return best;
    };
    let problem = Boxed { cost, intervals };
    let run = Executor::new(problem, solver)
        .configure(|state| state.max_iters(iterations))
        .timer(false)
        .run();
    if let Ok(result) = run
        && result.state.get_best_cost() < best_cost
        && let Some(free) = result.state.get_best_param()
    {
        best = free
            .iter()
            .zip(intervals)
            .map(|(v, i)| i.inside(*v))
            .collect();
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Interval = Interval {
        low: 0.0,
        high: 1.0,
    };

    #[test]
    fn finds_the_bottom_of_a_bowl_inside_the_box() {
        let at = minimise(
            |p| (p[0] - 0.3).powi(2) + (p[1] - 0.8).powi(2),
            &[UNIT, UNIT],
            &[&[0.5, 0.5]],
            200,
        );
        assert!(
            (at[0] - 0.3).abs() < 1e-3 && (at[1] - 0.8).abs() < 1e-3,
            "{at:?}"
        );
    }

    #[test]
    fn stays_inside_when_the_bottom_is_outside() {
        let at = minimise(|p| (p[0] - 3.0).powi(2), &[UNIT], &[&[0.5]], 100);
        assert!(at[0] > 0.99 && at[0] <= 1.0, "{at:?}");
    }

    #[test]
    fn a_cost_that_is_never_finite_returns_the_start() {
        assert_eq!(minimise(|_| f64::NAN, &[UNIT], &[&[0.25]], 50), vec![0.25]);
    }
}
