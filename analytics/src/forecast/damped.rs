//! Damped-trend exponential smoothing, ETS(A,Ad,N): the additive damped trend of Gardner and McKenzie (1985) in the
//! innovations form of Hyndman, Koehler, Ord and Snyder (2008, chapters 2 and 6).
//!
//! For given smoothing parameters the one-step errors are linear in the initial level and slope, so both are solved exactly by
//! least squares and the simplex only searches over (α, β/α, φ).

use super::Fit;
use super::simplex::{Interval, minimise};

const INTERVALS: [Interval; 3] = [
    Interval {
        low: 1e-3,
        high: 0.999,
    },
    Interval {
        low: 1e-3,
        high: 0.999,
    },
    Interval {
        low: 0.80,
        high: 0.98,
    },
];

/// The state after the last value.
struct Run {
    squares: f64,
    initial: (f64, f64),
}

/// Runs the smoothing three times at once: on the values from a zero state, and on zeros from a unit level and a unit
/// slope. Any initial state is a combination of the three.
fn run(values: &[f64], alpha: f64, share: f64, phi: f64) -> Run {
    let beta = alpha * share;
    let (mut l, mut b) = (0.0, 0.0);
    let (mut ul, mut ub) = (1.0, 0.0);
    let (mut vl, mut vb) = (0.0, 1.0);
    let (mut uu, mut uv, mut vv, mut ue, mut ve, mut ee) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for y in values {
        let e = y - l - phi * b;
        let u = ul + phi * ub;
        let v = vl + phi * vb;
        uu += u * u;
        uv += u * v;
        vv += v * v;
        ue += u * e;
        ve += v * e;
        ee += e * e;
        (l, b) = (l + phi * b + alpha * e, phi * b + beta * e);
        (ul, ub) = (u - alpha * u, phi * ub - beta * u);
        (vl, vb) = (v - alpha * v, phi * vb - beta * v);
    }
    // A faint pull of the initial slope to zero keeps short series from inventing a steep start.
    let pull = 0.05;
    let vv = vv + pull;
    let determinant = uu * vv - uv * uv;
    let initial = if determinant.abs() > 1e-12 {
        (
            (ue * vv - ve * uv) / determinant,
            (ve * uu - ue * uv) / determinant,
        )
    } else {
        (values[0], 0.0)
    };
    let (level, slope) = initial;
    let squares = ee - 2.0 * level * ue - 2.0 * slope * ve
        + level * level * uu
        + 2.0 * level * slope * uv
        + slope * slope * vv;
    Run { squares, initial }
}

/// Fits the model to a gapless, seasonally adjusted series of at least six values.
pub(super) fn fit(values: &[f64], horizon: usize) -> Fit {
    // The level is taken out first: squares of values in the millions would swamp the least squares above.
    let centre = values[0];
    let shifted: Vec<f64> = values.iter().map(|v| v - centre).collect();
    let at = minimise(
        |p| run(&shifted, p[0], p[1], p[2]).squares,
        &INTERVALS,
        &[
            &[0.2, 0.1, 0.95],
            &[0.5, 0.1, 0.95],
            &[0.85, 0.1, 0.9],
            &[0.5, 0.6, 0.9],
            &[0.1, 0.02, 0.97],
        ],
        120,
    );
    let (alpha, share, phi) = (at[0], at[1], at[2]);
    let beta = alpha * share;
    let (mut level, mut slope) = run(&shifted, alpha, share, phi).initial;
    let mut residuals = Vec::with_capacity(values.len());
    for y in &shifted {
        let e = y - level - phi * slope;
        residuals.push(e);
        (level, slope) = (level + phi * slope + alpha * e, phi * slope + beta * e);
    }
    let mut mean = Vec::with_capacity(horizon);
    let mut spread = Vec::with_capacity(horizon);
    let (mut weight, mut power, mut variance) = (0.0, 1.0, 1.0);
    for _ in 0..horizon {
        power *= phi;
        weight += power;
        mean.push(centre + level + weight * slope);
        spread.push(f64::sqrt(variance));
        variance += (alpha + beta * weight).powi(2);
    }
    Fit {
        mean,
        residuals,
        spread,
        parameters: vec![("alpha", alpha), ("beta", beta), ("phi", phi)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_series_is_forecast_by_its_constant() {
        let fit = fit(&[7.0; 20], 5);
        assert!(
            fit.mean.iter().all(|m| (m - 7.0).abs() < 1e-9),
            "{:?}",
            fit.mean
        );
    }

    #[test]
    fn a_straight_line_goes_on_and_bends_but_never_turns() {
        let line: Vec<f64> = (0..40).map(|t| 100.0 + 3.0 * t as f64).collect();
        let fit = fit(&line, 10);
        assert!((fit.mean[0] - 220.0).abs() < 1.5, "{:?}", fit.mean);
        assert!(fit.mean.windows(2).all(|w| w[1] > w[0]));
        assert!(fit.mean[9] < 220.0 + 27.5, "{:?}", fit.mean);
    }

    #[test]
    fn uncertainty_grows_with_the_horizon() {
        let walk: Vec<f64> = (0..60)
            .map(|t| 50.0 + 10.0 * ((t * t) as f64 * 0.37).sin())
            .collect();
        let fit = fit(&walk, 6);
        assert!(fit.spread.windows(2).all(|w| w[1] >= w[0]) && fit.spread[0] == 1.0);
    }
}
