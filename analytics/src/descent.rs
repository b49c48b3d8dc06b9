//! Descent of a smooth function by L-BFGS (Liu and Nocedal 1989) with argmin, which always ends and keeps the best point it saw.

use std::cell::RefCell;

use argmin::{
    core::{CostFunction, Error, Executor, Gradient},
    solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS},
};
use thiserror::Error as ThisError;

use crate::cancel::{Cancel, Cancelled};

/// How long a descent may go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Steps that the curvature is estimated from.
    pub(crate) memory: usize,
    /// Most steps.
    pub(crate) steps: u64,
    /// Most evaluations of the function. Argmin's Moré–Thuente line search has no limit of its own, and where rounding hides the
    /// last bit of a descent it goes on for ever.
    pub(crate) evaluations: u32,
}

/// The search has evaluated its function as often as it may.
#[derive(Debug, Clone, Copy, ThisError)]
#[error("the search has used up its evaluations")]
struct Spent;

/// A function with its gradient, as argmin asks for it: value and gradient one after the other, at the same point.
struct Function<'a, F> {
    inner: RefCell<Inner<F>>,
    cancel: &'a dyn Cancel,
}

struct Inner<F> {
    function: F,
    left: u32,
    last: Option<(Vec<f64>, f64, Vec<f64>)>,
    best: (f64, Vec<f64>),
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> Function<'_, F> {
    fn at(&self, point: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        self.cancel.check()?;
        let inner = &mut *self.inner.borrow_mut();
        if let Some((at, value, gradient)) = &inner.last
            && at == point
        {
            return Ok((*value, gradient.clone()));
        }
        inner.left = inner.left.checked_sub(1).ok_or(Spent)?;
        let (value, mut gradient) = (inner.function)(point);
        if value < inner.best.0 {
            inner.best = (value, point.to_vec());
        }
        // Where nothing is finite a large number sends the line search back.
        let value = if value.is_finite() { value } else { 1e10 };
        for slope in &mut gradient {
            if !slope.is_finite() {
                *slope = 0.0;
            }
        }
        inner.last = Some((point.to_vec(), value, gradient.clone()));
        Ok((value, gradient))
    }
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> CostFunction for &Function<'_, F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, point: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.at(point)?.0)
    }
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> Gradient for &Function<'_, F> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, point: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.at(point)?.1)
    }
}

/// The lowest value of `function` seen on the way down from `start`, and where; `start` itself where nothing finite was lower.
///
/// `function` returns its value and its gradient.
///
/// # Errors
/// [`Cancelled`], asked at every point.
pub(crate) fn descend(
    start: Vec<f64>,
    limits: Limits,
    cancel: &dyn Cancel,
    function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Result<(f64, Vec<f64>), Cancelled> {
    cancel.check()?;
    let function = Function {
        inner: RefCell::new(Inner {
            function,
            left: limits.evaluations,
            last: None,
            best: (f64::INFINITY, start.clone()),
        }),
        cancel,
    };
    // A search that fails (no descent, no evaluation left) has still seen what it has seen.
    let _ = Executor::new(
        &function,
        LBFGS::new(MoreThuenteLineSearch::new(), limits.memory),
    )
    .configure(|state| state.param(start).max_iters(limits.steps))
    .run();
    cancel.check()?;
    Ok(function.inner.into_inner().best)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::cancel::never;

    const LIMITS: Limits = Limits {
        memory: 5,
        steps: 200,
        evaluations: 1_000,
    };

    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        (
            a * a + 100.0 * b * b,
            vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b],
        )
    }

    #[test]
    fn the_bottom_of_a_curved_valley_is_found() {
        let (value, x) = descend(vec![-1.2, 1.0], LIMITS, &never, rosenbrock).unwrap();
        assert!(value < 1e-12, "{value}");
        assert!(
            (x[0] - 1.0).abs() < 1e-5 && (x[1] - 1.0).abs() < 1e-5,
            "{x:?}"
        );
    }

    #[test]
    fn a_search_that_runs_out_of_evaluations_keeps_the_best_it_saw() {
        let limits = Limits {
            evaluations: 20,
            ..LIMITS
        };
        let mut lowest = f64::INFINITY;
        let (value, x) = descend(vec![-1.2, 1.0], limits, &never, |x| {
            let (value, gradient) = rosenbrock(x);
            lowest = lowest.min(value);
            (value, gradient)
        })
        .unwrap();
        assert_eq!(value, lowest);
        assert_eq!(rosenbrock(&x).0, value);
        assert!(value < rosenbrock(&[-1.2, 1.0]).0);
    }

    #[test]
    fn a_function_that_is_nowhere_finite_leaves_the_start() {
        let (value, x) =
            descend(vec![3.0], LIMITS, &never, |_| (f64::NAN, vec![f64::NAN])).unwrap();
        assert_eq!((value, x), (f64::INFINITY, vec![3.0]));
    }

    #[test]
    fn a_search_stops_at_the_next_point_when_asked() {
        let asked = Cell::new(0);
        let cancel = || {
            asked.set(asked.get() + 1);
            asked.get() > 5
        };
        let mut evaluated = 0;
        let found = descend(vec![-1.2, 1.0], LIMITS, &cancel, |x| {
            evaluated += 1;
            rosenbrock(x)
        });
        assert_eq!(found, Err(Cancelled));
        assert!(evaluated <= 5, "{evaluated}");
    }
}
