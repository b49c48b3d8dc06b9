//! The Theta method (Assimakopoulos and Nikolopoulos 2000) and its dynamic optimised form (Fiorucci, Pellegrini, Louzada,
//! Petropoulos and Koehler 2016) in one state-space recursion.
//!
//! Both are a simple exponential smoothing of a steepened series plus a share `1 − 1/θ` of a straight line. The plain method
//! fixes θ = 2 and the line of the whole sample; the dynamic one re-estimates the line at every step and optimises θ. The
//! one-step errors are linear in the initial level, which is therefore solved exactly.

use serde::{Deserialize, Serialize};

use super::bracket::minimise;
use super::interval;
use crate::cancel::Cancel;

/// Where the search for α starts.
const GRID: [f64; 9] = [0.02, 0.08, 0.17, 0.3, 0.45, 0.6, 0.75, 0.89, 0.99];
/// Values of the function after the grid.
const STEPS: usize = 14;
/// `1 − 1/θ` for θ from 1 to 50.
const SHARE: (f64, f64) = (0.0, 0.98);

/// The straight line under the series: fixed, or re-estimated with every value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Line {
    Fixed { intercept: f64, slope: f64 },
    Running,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    level: f64,
    mean: f64,
    intercept: f64,
    slope: f64,
    /// (1 − α) to the number of values seen.
    decay: f64,
    seen: usize,
}

impl State {
    fn start(line: Line, level: f64) -> Self {
        let (intercept, slope) = match line {
            Line::Fixed { intercept, slope } => (intercept, slope),
            Line::Running => (0.0, 0.0),
        };
        Self {
            level,
            mean: 0.0,
            intercept,
            slope,
            decay: 1.0,
            seen: 0,
        }
    }

    fn expect(&self, alpha: f64, share: f64) -> f64 {
        let next = self.decay * (1.0 - alpha);
        self.level + share * (self.decay * self.intercept + (1.0 - next) / alpha * self.slope)
    }

    fn take(&mut self, value: f64, alpha: f64, line: Line) {
        self.level = alpha * value + (1.0 - alpha) * self.level;
        self.decay *= 1.0 - alpha;
        self.seen += 1;
        if matches!(line, Line::Running) {
            let t = self.seen as f64;
            if self.seen == 1 {
                (self.mean, self.slope) = (value, 0.0);
            } else {
                self.slope = ((t - 2.0) * self.slope + 6.0 * (value - self.mean) / t) / (t + 1.0);
                self.mean += (value - self.mean) / t;
            }
            self.intercept = self.mean - self.slope * (t + 1.0) / 2.0;
        }
    }
}

/// The first value has no forecast of its own in the running form, and the second has a line through one point.
fn warm_up(line: Line) -> usize {
    if matches!(line, Line::Running) { 2 } else { 0 }
}

/// The line as it stands before each value.
struct Lines {
    line: Line,
    /// Intercept and slope.
    parts: Vec<(f64, f64)>,
}

impl Lines {
    fn of(values: &[f64], line: Line) -> Self {
        let mut state = State::start(line, 0.0);
        let parts = values.iter().map(|y| {
            let part = (state.intercept, state.slope);
            state.take(*y, 0.5, line);
            part
        });
        Self {
            parts: parts.collect(),
            line,
        }
    }
}

/// The best fit for a given α.
#[derive(Clone, Copy)]
struct Solved {
    squares: f64,
    share: f64,
    level: f64,
}

/// For a given α the one-step errors are linear in the initial level and in the share of the line, so both are solved exactly;
/// a given `share` stays as it is.
fn solve(values: &[f64], alpha: f64, share: Option<f64>, lines: &Lines) -> Solved {
    // A faint pull of the initial level to the first value settles it when it no longer matters.
    let pull = 1e-3;
    let first = values[0];
    let (mut uu, mut ue, mut ee) = (pull, pull * first, pull * first * first);
    let (mut ux, mut xx, mut xe) = (0.0, 0.0, 0.0);
    let skip = warm_up(lines.line);
    let keep = 1.0 - alpha;
    let per_alpha = 1.0 / alpha;
    let (mut level, mut decay) = (0.0, 1.0);
    for (t, (y, (intercept, slope))) in values.iter().zip(&lines.parts).enumerate() {
        let next = decay * keep;
        if t >= skip {
            let e = y - level;
            let x = decay * intercept + (1.0 - next) * per_alpha * slope;
            uu += decay * decay;
            ue += decay * e;
            ee += e * e;
            ux += decay * x;
            xx += x * x;
            xe += x * e;
        }
        level += alpha * (y - level);
        decay = next;
    }
    let share = share.unwrap_or_else(|| {
        let determinant = uu * xx - ux * ux;
        if determinant > 1e-12 * uu * xx {
            ((xe * uu - ue * ux) / determinant).clamp(SHARE.0, SHARE.1)
        } else {
            0.5
        }
    });
    let level = (ue - share * ux) / uu;
    let squares =
        ee + level * level * uu + share * share * xx - 2.0 * level * ue - 2.0 * share * xe
            + 2.0 * level * share * ux;
    Solved {
        squares,
        share,
        level,
    }
}

/// A fitted model with its state after the last value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Fitted {
    alpha: f64,
    share: f64,
    line: Line,
    state: State,
    /// Root mean square of the one-step errors.
    sigma: f64,
    /// The first value, taken out of all.
    shift: f64,
}

impl Fitted {
    /// Takes in a new value; parameters stay as they are.
    pub(super) fn take(&mut self, value: f64) {
        self.state.take(value - self.shift, self.alpha, self.line);
    }

    /// Means and standard deviations of the next values.
    pub(super) fn forecast(&self, horizon: usize) -> (Vec<f64>, Vec<f64>) {
        let mut state = self.state;
        let mut mean = Vec::with_capacity(horizon);
        for _ in 0..horizon {
            let next = state.expect(self.alpha, self.share);
            mean.push(next + self.shift);
            state.take(next, self.alpha, self.line);
        }
        let growth = self.alpha * self.alpha;
        let deviation = (0..horizon).map(|h| self.sigma * (1.0 + h as f64 * growth).sqrt());
        (mean, deviation.collect())
    }

    pub(super) fn parameters(&self) -> Vec<(&'static str, f64)> {
        vec![("alpha", self.alpha), ("theta", 1.0 / (1.0 - self.share))]
    }
}

fn finish(values: &[f64], alpha: f64, solved: Solved, line: Line, shift: f64) -> Fitted {
    let Solved { share, level, .. } = solved;
    let mut state = State::start(line, level);
    let mut residuals = Vec::with_capacity(values.len());
    for (t, y) in values.iter().enumerate() {
        if t >= warm_up(line) {
            residuals.push(y - state.expect(alpha, share));
        }
        state.take(*y, alpha, line);
    }
    Fitted {
        alpha,
        share,
        line,
        state,
        sigma: interval::sigma(&residuals),
        shift,
    }
}

/// Least-squares line through the series at t = 1, 2, …, n.
fn straight_line(values: &[f64]) -> Line {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let centre = (n + 1.0) / 2.0;
    let (mut top, mut bottom) = (0.0, 0.0);
    for (t, y) in values.iter().enumerate() {
        let x = (t + 1) as f64 - centre;
        top += x * (y - mean);
        bottom += x * x;
    }
    let slope = if bottom > 0.0 { top / bottom } else { 0.0 };
    Line::Fixed {
        intercept: mean - slope * centre,
        slope,
    }
}

/// The standard Theta method (θ = 2) on a gapless, seasonally adjusted series of at least three values.
pub(super) fn standard(values: &[f64], cancel: &dyn Cancel) -> Fitted {
    let shift = values[0];
    let shifted: Vec<f64> = values.iter().map(|v| v - shift).collect();
    let line = straight_line(&shifted);
    fitted(&shifted, Some(0.5), line, shift, cancel)
}

/// The dynamic optimised Theta method on a gapless, seasonally adjusted series of at least five values.
pub(super) fn dynamic(values: &[f64], cancel: &dyn Cancel) -> Fitted {
    let shift = values[0];
    let shifted: Vec<f64> = values.iter().map(|v| v - shift).collect();
    fitted(&shifted, None, Line::Running, shift, cancel)
}

fn fitted(
    values: &[f64],
    share: Option<f64>,
    line: Line,
    shift: f64,
    cancel: &dyn Cancel,
) -> Fitted {
    let lines = Lines::of(values, line);
    let alpha = minimise(
        |alpha| solve(values, alpha, share, &lines).squares,
        &GRID,
        STEPS,
        cancel,
    );
    let solved = solve(values, alpha, share, &lines);
    finish(values, alpha, solved, line, shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::never;

    #[test]
    fn a_constant_series_is_forecast_by_its_constant() {
        for fit in [standard(&[4.0; 12], &never), dynamic(&[4.0; 12], &never)] {
            let (mean, _) = fit.forecast(3);
            assert!(mean.iter().all(|m| (m - 4.0).abs() < 1e-9), "{mean:?}");
        }
    }

    #[test]
    fn theta_follows_half_the_slope_of_a_straight_line() {
        let line: Vec<f64> = (0..50).map(|t| 10.0 + 2.0 * t as f64).collect();
        let (mean, _) = standard(&line, &never).forecast(10);
        let slope = (mean[9] - mean[0]) / 9.0;
        assert!((slope - 1.0).abs() < 0.05, "{slope}");
    }

    #[test]
    fn the_exact_solution_is_at_the_bottom_of_its_bowl() {
        let values: Vec<f64> = (0..40)
            .map(|t| f64::from(t) * 0.3 + 2.0 * (f64::from(t) * 1.3).sin())
            .collect();
        let lines = Lines::of(&values, Line::Running);
        let best = solve(&values, 0.3, None, &lines);
        for share in [best.share - 0.05, best.share + 0.05] {
            assert!(solve(&values, 0.3, Some(share), &lines).squares > best.squares);
        }
        let fitted = finish(&values, 0.3, best, Line::Running, 0.0);
        let squares = fitted.sigma.powi(2) * 38.0;
        // The squares that are solved for hold the faint pull of the level as well.
        assert!(
            (squares - best.squares).abs() < 1e-2 * best.squares,
            "{squares}"
        );
    }

    #[test]
    fn a_value_taken_in_later_leads_where_taking_in_all_leads() {
        let values: Vec<f64> = (0..30)
            .map(|t| 20.0 + f64::from(t) + 3.0 * (f64::from(t) * 0.9).sin())
            .collect();
        for mut fit in [
            standard(&values[..20], &never),
            dynamic(&values[..20], &never),
        ] {
            let solved = Solved {
                squares: 0.0,
                share: fit.share,
                level: solve(
                    &values[..20]
                        .iter()
                        .map(|v| v - fit.shift)
                        .collect::<Vec<_>>(),
                    fit.alpha,
                    Some(fit.share),
                    &Lines::of(
                        &values[..20]
                            .iter()
                            .map(|v| v - fit.shift)
                            .collect::<Vec<_>>(),
                        fit.line,
                    ),
                )
                .level,
            };
            let shifted: Vec<f64> = values.iter().map(|v| v - fit.shift).collect();
            let whole = finish(&shifted, fit.alpha, solved, fit.line, fit.shift);
            for value in &values[20..] {
                fit.take(*value);
            }
            for (a, b) in fit.forecast(6).0.iter().zip(whole.forecast(6).0) {
                assert!((a - b).abs() < 1e-9, "{a} {b}");
            }
        }
    }

    #[test]
    fn the_running_line_equals_the_least_squares_line() {
        let values: Vec<f64> = (0..17)
            .map(|t| (t as f64 * 1.7).sin() * 5.0 + t as f64)
            .collect();
        let mut state = State::start(Line::Running, 0.0);
        for v in &values {
            state.take(*v, 0.3, Line::Running);
        }
        let Line::Fixed { intercept, slope } = straight_line(&values) else {
            unreachable!()
        };
        assert!((state.slope - slope).abs() < 1e-9 && (state.intercept - intercept).abs() < 1e-9);
    }
}
