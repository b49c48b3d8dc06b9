//! Minimisation of a smooth function with a known gradient: BFGS (Nocedal and Wright 2006, chapter 6) with a backtracking line search.
//!
//! The likelihoods of this module have five to seventy variables and a gradient that costs twice a value, so the inverse
//! Hessian is kept dense and a step costs little beside the function itself.
//!
//! Beside argmin because the objective keeps the buffers of its last value and gives the gradient there (`&mut self`, one pass for
//! both), nothing is allocated after the start though a panel solves hundreds of thousands of these, and the search stops by the
//! gain in likelihood of two steps in a row.

use crate::cancel::Cancel;

/// A function to minimise. A value that is not finite is merely a very bad one.
pub(super) trait Objective {
    /// The value at `x`.
    fn value(&mut self, x: &[f64]) -> f64;
    /// The gradient at the `x` of the last call of [`Self::value`].
    fn gradient(&mut self, x: &[f64], gradient: &mut [f64]);
}

/// Longest first step, in units of the (well scaled) variables.
const FIRST_STEP: f64 = 0.5;
/// Longest later step in any one variable.
const LONGEST_STEP: f64 = 4.0;
/// Share of the promised decrease that a step has to keep (Armijo's condition).
const KEPT: f64 = 1e-4;

/// Moves `x` to a minimum nearby and returns the value there, which is never above the value at the start.
///
/// Stops after `iterations` steps, when two steps in a row gained less than `tolerance` each, or when `cancel` says so, which is asked
/// before every step and every value.
pub(super) fn minimise(
    objective: &mut impl Objective,
    x: &mut [f64],
    iterations: usize,
    tolerance: f64,
    cancel: &dyn Cancel,
) -> f64 {
    let d = x.len();
    let mut value = objective.value(x);
    if !value.is_finite() || d == 0 {
        return value;
    }
    let mut gradient = vec![0.0; d];
    objective.gradient(x, &mut gradient);
    let mut inverse = vec![0.0; d * d];
    let mut scaled = false;
    let reset = |inverse: &mut [f64], gradient: &[f64]| {
        let length = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let step = FIRST_STEP / length.max(1e-300);
        inverse.fill(0.0);
        for i in 0..d {
            inverse[i * d + i] = step.min(1.0);
        }
    };
    reset(&mut inverse, &gradient);
    let (mut direction, mut trial) = (vec![0.0; d], vec![0.0; d]);
    let (mut next, mut moved) = (vec![0.0; d], vec![0.0; d]);
    let mut idle = 0;
    for _ in 0..iterations {
        if cancel.is_cancelled() {
            break;
        }
        let mut slope = 0.0;
        let mut longest = 0.0f64;
        for i in 0..d {
            let row = &inverse[i * d..(i + 1) * d];
            let step = -row.iter().zip(&gradient).map(|(h, g)| h * g).sum::<f64>();
            direction[i] = step;
            slope += step * gradient[i];
            longest = longest.max(step.abs());
        }
        if !slope.is_finite() || slope >= 0.0 {
            if !scaled {
                break;
            }
            reset(&mut inverse, &gradient);
            scaled = false;
            continue;
        }
        let mut rate = (LONGEST_STEP / longest).min(1.0);
        let mut found = f64::INFINITY;
        for _ in 0..16 {
            if cancel.is_cancelled() {
                return value;
            }
            for ((t, x), p) in trial.iter_mut().zip(x.iter()).zip(&direction) {
                *t = x + rate * p;
            }
            found = objective.value(&trial);
            if found <= value + KEPT * rate * slope {
                break;
            }
            // The parabola through the value, the slope and the trial says where to try next.
            let parabola = -0.5 * slope * rate * rate / (found - value - slope * rate);
            rate = if parabola.is_finite() {
                parabola.clamp(0.1 * rate, 0.5 * rate)
            } else {
                0.2 * rate
            };
            found = f64::INFINITY;
        }
        if !found.is_finite() {
            if !scaled {
                break;
            }
            // The curvature learnt so far may mislead: once more along the plain gradient.
            objective.value(x);
            reset(&mut inverse, &gradient);
            scaled = false;
            continue;
        }
        objective.gradient(&trial, &mut next);
        let gain = value - found;
        value = found;
        let mut curvature = 0.0;
        let mut change = 0.0;
        for i in 0..d {
            moved[i] = trial[i] - x[i];
            x[i] = trial[i];
            // The gradient's old value is not needed any more: it becomes its change.
            gradient[i] = next[i] - gradient[i];
            curvature += moved[i] * gradient[i];
            change += gradient[i] * gradient[i];
        }
        if curvature > 1e-12 * change.sqrt() && change > 0.0 {
            if !scaled {
                inverse.fill(0.0);
                for i in 0..d {
                    inverse[i * d + i] = curvature / change;
                }
                scaled = true;
            }
            update(&mut inverse, &moved, &gradient, curvature, &mut direction);
        }
        gradient.copy_from_slice(&next);
        idle = if gain < tolerance { idle + 1 } else { 0 };
        if idle == 2 {
            break;
        }
    }
    value
}

/// The BFGS update of the inverse Hessian; `buffer` is overwritten.
fn update(inverse: &mut [f64], moved: &[f64], change: &[f64], curvature: f64, buffer: &mut [f64]) {
    let d = moved.len();
    let mut form = 0.0;
    for i in 0..d {
        let row = &inverse[i * d..(i + 1) * d];
        buffer[i] = row.iter().zip(change).map(|(h, y)| h * y).sum();
        form += buffer[i] * change[i];
    }
    let weight = (1.0 + form / curvature) / curvature;
    for i in 0..d {
        let (mi, bi) = (moved[i], buffer[i]);
        let row = &mut inverse[i * d..(i + 1) * d];
        for ((h, m), b) in row.iter_mut().zip(moved).zip(buffer.iter()) {
            *h += weight * mi * m - (bi * m + mi * b) / curvature;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::cancel::never;

    struct Valley;

    impl Objective for Valley {
        fn value(&mut self, x: &[f64]) -> f64 {
            100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2)
        }

        fn gradient(&mut self, x: &[f64], gradient: &mut [f64]) {
            let bend = x[1] - x[0] * x[0];
            gradient[0] = -400.0 * x[0] * bend - 2.0 * (1.0 - x[0]);
            gradient[1] = 200.0 * bend;
        }
    }

    #[test]
    fn the_curved_valley_of_rosenbrock_is_followed_to_its_end() {
        let mut x = [-1.2, 1.0];
        let value = minimise(&mut Valley, &mut x, 200, 1e-14, &never);
        assert!(value < 1e-10, "{value} at {x:?}");
        assert!((x[0] - 1.0).abs() < 1e-4 && (x[1] - 1.0).abs() < 1e-4);
    }

    struct Counted(usize);

    impl Objective for Counted {
        fn value(&mut self, x: &[f64]) -> f64 {
            self.0 += 1;
            Valley.value(x)
        }

        fn gradient(&mut self, x: &[f64], gradient: &mut [f64]) {
            Valley.gradient(x, gradient);
        }
    }

    #[test]
    fn after_a_wish_to_stop_there_is_no_further_value() {
        for patience in 0..12 {
            let asked = Cell::new(0);
            let stop = || asked.replace(asked.get() + 1) >= patience;
            let (mut x, mut valley) = ([-1.2, 1.0], Counted(0));
            let value = minimise(&mut valley, &mut x, 200, 1e-14, &stop);
            // One value at the start, then at most one for each question.
            assert!(valley.0 <= 1 + patience, "{} after {patience}", valley.0);
            assert!((value - Valley.value(&x)).abs() < 1e-12);
        }
    }

    struct Wall;

    impl Objective for Wall {
        fn value(&mut self, x: &[f64]) -> f64 {
            if x[0] > 1.0 { f64::NAN } else { -x[0] }
        }

        fn gradient(&mut self, _: &[f64], gradient: &mut [f64]) {
            gradient[0] = -1.0;
        }
    }

    #[test]
    fn a_value_that_is_not_a_number_is_never_accepted() {
        let mut x = [0.0];
        let value = minimise(&mut Wall, &mut x, 50, 1e-12, &never);
        assert!(x[0] <= 1.0 && value <= 0.0 && value.is_finite());
    }
}
