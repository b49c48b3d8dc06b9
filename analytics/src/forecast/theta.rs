//! The Theta method (Assimakopoulos and Nikolopoulos 2000) and its dynamic optimised form (Fiorucci, Pellegrini, Louzada,
//! Petropoulos and Koehler 2016) in one state-space recursion.
//!
//! Both are a simple exponential smoothing of a steepened series plus a share `1 − 1/θ` of a straight line. The plain method
//! fixes θ = 2 and the line of the whole sample; the dynamic one re-estimates the line at every step and optimises θ. The
//! one-step errors are linear in the initial level, which is therefore solved exactly.

use super::Fit;
use super::simplex::{Interval, minimise};

const ALPHA: Interval = Interval {
    low: 0.02,
    high: 0.99,
};
/// `1 − 1/θ` for θ from 1 to 50.
const SHARE: Interval = Interval {
    low: 0.0,
    high: 0.98,
};

/// The straight line under the series: fixed, or re-estimated with every value.
#[derive(Clone, Copy)]
enum Line {
    Fixed { intercept: f64, slope: f64 },
    Running,
}

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

/// Sum of squared errors and the initial level that minimises it.
fn run(values: &[f64], alpha: f64, share: f64, line: Line) -> (f64, f64) {
    let mut state = State::start(line, 0.0);
    let mut influence = 1.0;
    // A faint pull of the initial level to the first value settles it when it no longer matters.
    let pull = 1e-3;
    let (mut uu, mut ue, mut ee) = (pull, pull * values[0], pull * values[0] * values[0]);
    let skip = warm_up(line);
    for (t, y) in values.iter().enumerate() {
        if t >= skip {
            let e = y - state.expect(alpha, share);
            uu += influence * influence;
            ue += influence * e;
            ee += e * e;
        }
        state.take(*y, alpha, line);
        influence *= 1.0 - alpha;
    }
    let level = ue / uu;
    (ee - level * ue, level)
}

fn finish(values: &[f64], horizon: usize, alpha: f64, share: f64, line: Line, shift: f64) -> Fit {
    let (_, level) = run(values, alpha, share, line);
    let mut state = State::start(line, level);
    let mut residuals = Vec::with_capacity(values.len());
    for (t, y) in values.iter().enumerate() {
        if t >= warm_up(line) {
            residuals.push(y - state.expect(alpha, share));
        }
        state.take(*y, alpha, line);
    }
    let mut mean = Vec::with_capacity(horizon);
    for _ in 0..horizon {
        let next = state.expect(alpha, share);
        mean.push(next + shift);
        state.take(next, alpha, line);
    }
    let spread = (0..horizon)
        .map(|h| (1.0 + h as f64 * alpha * alpha).sqrt())
        .collect();
    Fit {
        mean,
        residuals,
        spread,
        parameters: vec![("alpha", alpha), ("theta", 1.0 / (1.0 - share))],
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
pub(super) fn standard(values: &[f64], horizon: usize) -> Fit {
    let shift = values[0];
    let shifted: Vec<f64> = values.iter().map(|v| v - shift).collect();
    let line = straight_line(&shifted);
    let at = minimise(
        |p| run(&shifted, p[0], 0.5, line).0,
        &[ALPHA],
        &[&[0.1], &[0.3], &[0.6], &[0.9]],
        40,
    );
    finish(&shifted, horizon, at[0], 0.5, line, shift)
}

/// The dynamic optimised Theta method on a gapless, seasonally adjusted series of at least five values.
pub(super) fn dynamic(values: &[f64], horizon: usize) -> Fit {
    let shift = values[0];
    let shifted: Vec<f64> = values.iter().map(|v| v - shift).collect();
    let at = minimise(
        |p| run(&shifted, p[0], p[1], Line::Running).0,
        &[ALPHA, SHARE],
        &[
            &[0.2, 0.5],
            &[0.5, 0.5],
            &[0.85, 0.5],
            &[0.4, 0.1],
            &[0.4, 0.9],
        ],
        80,
    );
    finish(&shifted, horizon, at[0], at[1], Line::Running, shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_series_is_forecast_by_its_constant() {
        for fit in [standard(&[4.0; 12], 3), dynamic(&[4.0; 12], 3)] {
            assert!(
                fit.mean.iter().all(|m| (m - 4.0).abs() < 1e-9),
                "{:?}",
                fit.mean
            );
        }
    }

    #[test]
    fn theta_follows_half_the_slope_of_a_straight_line() {
        let line: Vec<f64> = (0..50).map(|t| 10.0 + 2.0 * t as f64).collect();
        let fit = standard(&line, 10);
        let slope = (fit.mean[9] - fit.mean[0]) / 9.0;
        assert!((slope - 1.0).abs() < 0.05, "{slope}");
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
