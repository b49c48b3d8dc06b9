//! Seasonal-trend decomposition by loess: STL of Cleveland, Cleveland, McRae and Terpenning (1990).

use serde::{Deserialize, Serialize};

use super::loess::{Degree, Smoother};
use crate::inference::median;

/// How fast a season may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Not at all: every cycle is the same.
    Never,
    /// Values of the same phase within this many cycles are smoothed together (odd, at least 3).
    Window(usize),
}

/// Settings of one decomposition. [`Stl::new`] has those of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stl {
    /// Values in one cycle, at least 2.
    pub period: usize,
    /// Change of the season.
    pub change: Change,
    /// Degree of the seasonal smoothing.
    pub seasonal_degree: Degree,
    /// Window of the trend in values; `None` = the paper's 1.5 cycles, a little more where the season changes fast.
    pub trend_window: Option<usize>,
    /// Degree of the trend.
    pub trend_degree: Degree,
    /// Whether outliers are given less weight (fifteen rounds of reweighting instead of none).
    pub robust: bool,
}

impl Stl {
    /// The usual settings for a cycle.
    pub fn new(period: usize, change: Change) -> Self {
        Self {
            period,
            change,
            seasonal_degree: Degree::Constant,
            trend_window: None,
            trend_degree: Degree::Linear,
            robust: false,
        }
    }

    /// The smoother of the subseries of one phase with `cycles` values.
    pub(super) fn seasonal_smoother(&self, cycles: usize) -> Smoother {
        match self.change {
            Change::Never => Smoother {
                window: 10_000 * cycles.max(1) + 1,
                degree: Degree::Constant,
                jump: 1,
            },
            Change::Window(window) => Smoother {
                window: odd(window.max(3)),
                degree: self.seasonal_degree,
                jump: if self.robust { window.div_ceil(10) } else { 1 },
            },
        }
    }

    pub(super) fn trend_smoother(&self) -> Smoother {
        let window = self.trend_window.unwrap_or_else(|| {
            let period = self.period as f64;
            match self.change {
                Change::Never => (1.5 * period).ceil() as usize,
                Change::Window(w) => (1.5 * period / (1.0 - 1.5 / w.max(3) as f64)).ceil() as usize,
            }
        });
        let window = odd(window.max(3));
        Smoother {
            window,
            degree: self.trend_degree,
            jump: if self.robust { window.div_ceil(10) } else { 1 },
        }
    }

    /// Splits gapless values, at least two cycles of them, into (trend, season); the remainder is what is left.
    pub(super) fn split(&self, y: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (n, m) = (y.len(), self.period);
        let mut trend = line(y, m);
        let mut seasonal = vec![0.0; n];
        let mut cycle = vec![0.0; n + 2 * m];
        let mut low = vec![0.0; n + 2 * m];
        let mut work = vec![0.0; n + 2 * m];
        let mut phase = Vec::new();
        let mut phase_weights = Vec::new();
        let mut smoothed = Vec::new();
        let mut weights: Option<Vec<f64>> = None;
        let trend_smoother = self.trend_smoother();
        let window = odd(m);
        let low_smoother = Smoother {
            window,
            degree: Degree::Linear,
            jump: if self.robust { window.div_ceil(10) } else { 1 },
        };
        let (outer, inner) = if self.robust { (15, 1) } else { (0, 2) };
        for round in 0..=outer {
            for _ in 0..inner {
                for start in 0..m {
                    phase.clear();
                    phase.extend((start..n).step_by(m).map(|t| y[t] - trend[t]));
                    phase_weights.clear();
                    if let Some(weights) = &weights {
                        phase_weights.extend((start..n).step_by(m).map(|t| weights[t]));
                    }
                    smoothed.clear();
                    smoothed.resize(phase.len() + 2, 0.0);
                    self.seasonal_smoother(phase.len()).smooth(
                        &phase,
                        weights.as_ref().map(|_| phase_weights.as_slice()),
                        -1,
                        &mut smoothed,
                    );
                    for (k, value) in smoothed.iter().enumerate() {
                        cycle[start + k * m] = *value;
                    }
                }
                // The level that the seasonal smoothing picked up: three running means and a loess.
                let a = running_mean(&cycle, m, &mut low);
                let b = running_mean(&low[..a], m, &mut work);
                let c = running_mean(&work[..b], 3, &mut low);
                low_smoother.smooth(&low[..c], None, 0, &mut work[..n]);
                for t in 0..n {
                    seasonal[t] = cycle[m + t] - work[t];
                    work[t] = y[t] - seasonal[t];
                }
                trend_smoother.smooth(&work[..n], weights.as_deref(), 0, &mut trend);
            }
            if round < outer {
                weights = Some(robustness(y, &trend, &seasonal));
            }
        }
        (trend, seasonal)
    }
}

/// The slope of a straight line beside a fixed season, by least squares, as a line through zero in the middle.
///
/// The paper starts from a trend of zero and lets the rounds find it; from here a straight line with a fixed season needs none.
fn line(y: &[f64], period: usize) -> Vec<f64> {
    let n = y.len();
    let (mut product, mut square) = (0.0, 0.0);
    for start in 0..period {
        let times = (start..n).step_by(period);
        let count = times.clone().count() as f64;
        let centre = times.clone().sum::<usize>() as f64 / count;
        let mean = times.clone().map(|t| y[t]).sum::<f64>() / count;
        for t in times {
            product += (t as f64 - centre) * (y[t] - mean);
            square += (t as f64 - centre).powi(2);
        }
    }
    let slope = product / square;
    let middle = (n - 1) as f64 / 2.0;
    (0..n).map(|t| slope * (t as f64 - middle)).collect()
}

fn odd(window: usize) -> usize {
    window + 1 - window % 2
}

/// Means of `length` values in a row; returns how many there are.
fn running_mean(values: &[f64], length: usize, out: &mut [f64]) -> usize {
    let count = values.len() + 1 - length;
    let mut sum: f64 = values[..length].iter().sum();
    out[0] = sum / length as f64;
    for k in 1..count {
        sum += values[k + length - 1] - values[k - 1];
        out[k] = sum / length as f64;
    }
    count
}

/// Bisquare weights by the distance from the fit in units of six median distances.
fn robustness(y: &[f64], trend: &[f64], seasonal: &[f64]) -> Vec<f64> {
    let distances: Vec<f64> = (0..y.len())
        .map(|t| (y[t] - trend[t] - seasonal[t]).abs())
        .collect();
    let reach = 6.0 * median(&distances);
    distances
        .iter()
        .map(|d| {
            if *d <= 0.001 * reach {
                1.0
            } else if *d >= 0.999 * reach {
                0.0
            } else {
                (1.0 - (d / reach).powi(2)).powi(2)
            }
        })
        .collect()
}

/// Share of the variation besides the trend that the season explains: max(0, 1 − var(R)/var(S + R)) of Wang, Smith and Hyndman (2006).
///
/// Zero for fewer than two cycles, without a season, and for values without variation.
pub(in crate::forecast) fn seasonal_strength(y: &[f64], period: usize) -> f64 {
    if period < 2 || y.len() < 2 * period {
        return 0.0;
    }
    let (trend, seasonal) = Stl::new(period, Change::Window(11)).split(y);
    let rest: Vec<f64> = (0..y.len()).map(|t| y[t] - trend[t]).collect();
    let remainder: Vec<f64> = rest.iter().zip(&seasonal).map(|(r, s)| r - s).collect();
    let all = variance(&rest);
    let scale = y.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    if all.is_nan() || all <= (1e-10 * scale).powi(2) {
        return 0.0;
    }
    (1.0 - variance(&remainder) / all).clamp(0.0, 1.0)
}

fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use super::*;

    fn season(t: usize) -> f64 {
        [3.0, -1.0, 4.0, -2.0, -5.0, 1.0][t % 6]
    }

    #[test]
    fn a_line_with_a_fixed_season_is_split_exactly() {
        let y: Vec<f64> = (0..48).map(|t| 10.0 + 0.7 * t as f64 + season(t)).collect();
        for change in [Change::Never, Change::Window(7), Change::Window(11)] {
            for degree in [Degree::Constant, Degree::Linear] {
                for robust in [false, true] {
                    let stl = Stl {
                        seasonal_degree: degree,
                        robust,
                        ..Stl::new(6, change)
                    };
                    let (trend, seasonal) = stl.split(&y);
                    for t in 0..48 {
                        assert!(
                            (seasonal[t] - season(t)).abs() < 1e-9,
                            "{change:?} {degree:?} {t} {}",
                            seasonal[t]
                        );
                        assert!((trend[t] - 10.0 - 0.7 * t as f64).abs() < 1e-9);
                    }
                }
            }
        }
    }

    #[test]
    fn one_outlier_does_not_bend_the_robust_fit() {
        let mut y: Vec<f64> = (0..72)
            .map(|t| 10.0 + season(t) + 0.1 * (t as f64 * 1.7).sin())
            .collect();
        y[30] += 50.0;
        let worst = |robust: bool| {
            let stl = Stl {
                robust,
                ..Stl::new(6, Change::Window(7))
            };
            let (trend, seasonal) = stl.split(&y);
            (0..72)
                .map(|t| (trend[t] + seasonal[t] - 10.0 - season(t)).abs())
                .fold(0.0, f64::max)
        };
        assert!(worst(true) < 0.6, "{}", worst(true));
        assert!(worst(false) > 3.0, "{}", worst(false));
    }

    #[test]
    fn strength_is_one_for_a_pure_season_and_small_for_noise() {
        let pure: Vec<f64> = (0..60).map(season).collect();
        assert!(seasonal_strength(&pure, 6) > 0.999);
        let noise: Vec<f64> = (0..120)
            .map(|t| ((t * t * 7 + 3) as f64 * 0.61).sin())
            .collect();
        assert!(seasonal_strength(&noise, 6) < 0.6);
        assert_eq!(seasonal_strength(&[5.0; 60], 6), 0.0);
        assert_eq!(seasonal_strength(&pure[..11], 6), 0.0);
    }
}
