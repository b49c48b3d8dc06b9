//! Measures of a forecast against what happened, as defined for the M4 competition (Makridakis, Spiliotis and
//! Assimakopoulos 2020).

use serde::{Deserialize, Serialize};

use super::Step;

/// The measures of one model over all folds of a backtest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Mean absolute error in units of the naive one-step error in sample; below 1 is better than that. `None` when no training part
    /// moved, so that there is no such unit.
    pub mase: Option<f64>,
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: f64,
    /// Share of values inside the 80 % interval.
    pub coverage80: f64,
    /// Share of values inside the 95 % interval.
    pub coverage95: f64,
    /// Mean scaled interval score of the 95 % interval, in the units of `mase`; smaller is better. `None` as there.
    pub msis: Option<f64>,
}

/// Mean absolute one-step error of the naive (`lag` 1) or seasonal-naive (`lag` = period) method in sample: the scale of
/// [`mase`] and [`msis`]. `None` when it is zero or the series is too short.
pub fn scale(train: &[f64], lag: usize) -> Option<f64> {
    if lag == 0 || train.len() <= lag {
        return None;
    }
    let sum: f64 = train[lag..]
        .iter()
        .zip(train)
        .map(|(now, before)| (now - before).abs())
        .sum();
    let mean = sum / (train.len() - lag) as f64;
    (mean > 0.0).then_some(mean)
}

/// Mean absolute scaled error of point forecasts; NaN for no points.
pub fn mase(actual: &[f64], points: &[f64], scale: f64) -> f64 {
    actual
        .iter()
        .zip(points)
        .map(|(a, p)| (a - p).abs())
        .sum::<f64>()
        / actual.len() as f64
        / scale
}

/// Symmetric mean absolute percentage error, 0 to 200; a step where both are zero counts as no error.
pub fn smape(actual: &[f64], points: &[f64]) -> f64 {
    let sum: f64 = actual
        .iter()
        .zip(points)
        .map(|(a, p)| {
            let size = a.abs() + p.abs();
            if size == 0.0 {
                0.0
            } else {
                200.0 * (a - p).abs() / size
            }
        })
        .sum();
    sum / actual.len() as f64
}

/// Shares of values inside the 80 % and the 95 % intervals.
pub fn coverage(actual: &[f64], steps: &[Step]) -> (f64, f64) {
    let inside = |test: fn(&Step, f64) -> bool| {
        actual
            .iter()
            .zip(steps)
            .filter(|(a, s)| test(s, **a))
            .count() as f64
            / actual.len() as f64
    };
    (
        inside(|s, a| (s.low80..=s.high80).contains(&a)),
        inside(|s, a| (s.low95..=s.high95).contains(&a)),
    )
}

/// Mean scaled interval score of the 95 % intervals (Gneiting and Raftery 2007): width plus 40 times every miss.
pub fn msis(actual: &[f64], steps: &[Step], scale: f64) -> f64 {
    let sum: f64 = actual
        .iter()
        .zip(steps)
        .map(|(a, s)| {
            (s.high95 - s.low95) + 40.0 * (s.low95 - a).max(0.0) + 40.0 * (a - s.high95).max(0.0)
        })
        .sum();
    sum / actual.len() as f64 / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(low95: f64, high95: f64) -> Step {
        Step {
            mean: (low95 + high95) / 2.0,
            low80: low95 + 1.0,
            high80: high95 - 1.0,
            low95,
            high95,
        }
    }

    #[test]
    fn the_naive_forecast_of_a_straight_line_has_mase_of_the_step_count() {
        let train: Vec<f64> = (0..10).map(f64::from).collect();
        let scale = scale(&train, 1).expect("a line moves");
        assert_eq!(mase(&[10.0, 11.0, 12.0], &[9.0; 3], scale), 2.0);
    }

    #[test]
    fn a_constant_series_has_no_scale() {
        assert_eq!(scale(&[3.0; 5], 1), None);
        assert_eq!(scale(&[3.0], 1), None);
    }

    #[test]
    fn smape_is_bounded_and_calm_at_zero() {
        assert_eq!(smape(&[0.0, 1.0], &[0.0, 0.0]), 100.0);
        assert_eq!(smape(&[10.0], &[10.0]), 0.0);
    }

    #[test]
    fn a_miss_costs_forty_times_its_distance() {
        assert_eq!(msis(&[5.0], &[wide(0.0, 10.0)], 1.0), 10.0);
        assert_eq!(msis(&[11.0], &[wide(0.0, 10.0)], 1.0), 50.0);
        assert_eq!(
            coverage(&[5.0, 9.5, 11.0, 0.0], &[wide(0.0, 10.0); 4]),
            (0.25, 0.75)
        );
    }
}
