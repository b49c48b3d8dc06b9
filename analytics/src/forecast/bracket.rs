//! The minimum of a function of one variable on an interval: the best of a grid, then golden sections with parabolas (Brent 1973).
//!
//! Beside argmin's Brent because the valleys here are several: the grid chooses one, and its heights are the first points of the search,
//! which has a budget of values and allocates nothing but the grid's heights.

use crate::cancel::Cancel;

/// Looks between the neighbours of the best grid point, at most `steps` times. `grid` ascends and has at least three points.
///
/// Returns the best argument tried. `cancel` is asked before every value; once it says so there are no further ones.
pub(super) fn minimise(
    f: impl Fn(f64) -> f64,
    grid: &[f64],
    steps: usize,
    cancel: &dyn Cancel,
) -> f64 {
    let height = |x: &f64| {
        if cancel.is_cancelled() {
            f64::INFINITY
        } else {
            f(*x)
        }
    };
    let heights: Vec<f64> = grid.iter().map(height).collect();
    let mut best = 0;
    for (i, height) in heights.iter().enumerate() {
        if *height < heights[best] {
            best = i;
        }
    }
    let (mut low, mut high) = (
        grid[best.saturating_sub(1)],
        grid[(best + 1).min(grid.len() - 1)],
    );
    // x is the best, w the second best and v the third best point so far.
    let (mut x, mut fx) = (grid[best], heights[best]);
    let (mut w, mut fw, mut v, mut fv) = (x, fx, x, fx);
    let golden = 0.381_966_011_250_105;
    let (mut last, mut before_last) = (0.0f64, 0.0f64);
    for _ in 0..steps {
        let middle = 0.5 * (low + high);
        let tolerance = 1e-4 * (high - low).abs() + 1e-6;
        if (high - low) < 1e-4 || cancel.is_cancelled() {
            break;
        }
        let mut step = f64::NAN;
        if before_last.abs() > tolerance {
            let r = (x - w) * (fx - fv);
            let q = (x - v) * (fx - fw);
            let p = (x - v) * q - (x - w) * r;
            let q = 2.0 * (q - r);
            let (p, q) = if q > 0.0 { (-p, q) } else { (p, -q) };
            let inside = p > q * (low - x) && p < q * (high - x);
            if inside && p.abs() < (0.5 * q * before_last).abs() {
                step = p / q;
            }
        }
        if step.is_nan() {
            before_last = if x < middle { high - x } else { low - x };
            step = golden * before_last;
        } else {
            before_last = last;
        }
        if step.abs() < tolerance {
            step = tolerance.copysign(step);
        }
        last = step;
        let u = (x + step).clamp(low, high);
        let fu = f(u);
        if fu <= fx {
            if u >= x {
                low = x;
            } else {
                high = x;
            }
            (v, fv, w, fw, x, fx) = (w, fw, x, fx, u, fu);
        } else {
            if u < x {
                low = u;
            } else {
                high = u;
            }
            if fu <= fw || w == x {
                (v, fv, w, fw) = (w, fw, u, fu);
            } else if fu <= fv || v == x || v == w {
                (v, fv) = (u, fu);
            }
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::cancel::never;

    #[test]
    fn after_a_wish_to_stop_there_is_no_further_value() {
        for patience in 0..20 {
            let (asked, values) = (Cell::new(0), Cell::new(0));
            let stop = || asked.replace(asked.get() + 1) >= patience;
            let f = |x: f64| {
                values.set(values.get() + 1);
                (x - 0.37).powi(2)
            };
            minimise(f, &[0.0, 0.25, 0.5, 0.75, 1.0], 30, &stop);
            assert!(
                values.get() <= patience,
                "{} after {patience}",
                values.get()
            );
        }
    }

    #[test]
    fn the_bottom_between_grid_points_is_found() {
        let at = minimise(
            |x| (x - 0.37).powi(2),
            &[0.0, 0.25, 0.5, 0.75, 1.0],
            30,
            &never,
        );
        assert!((at - 0.37).abs() < 1e-3, "{at}");
    }

    #[test]
    fn of_two_valleys_the_deeper_one_on_the_grid_is_searched() {
        let two = |x: f64| ((x - 0.2).powi(2)).min((x - 0.81).powi(2) - 0.01);
        let at = minimise(two, &[0.1, 0.3, 0.5, 0.7, 0.9], 40, &never);
        assert!((at - 0.81).abs() < 1e-3, "{at}");
    }

    #[test]
    fn an_end_of_the_interval_can_be_the_minimum() {
        assert!(minimise(|x| x, &[0.1, 0.5, 0.9], 40, &never) < 0.11);
    }
}
