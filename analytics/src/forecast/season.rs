//! Whether a series has a season, and taking it out and putting it back.
//!
//! Short periods (months, quarters, weekdays) use the classical decomposition around a centred moving average, after the
//! autocorrelation test of the M4 competition's benchmarks (Makridakis, Spiliotis and Assimakopoulos 2020). A year of weeks
//! has 52 factors that two or three years cannot estimate one by one: there a few harmonics are fitted together with
//! a trend and chosen by the Bayesian information criterion.

use serde::{Deserialize, Serialize};

use crate::linear::gls;

/// How the season joins the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    None,
    Additive,
    Multiplicative,
}

/// One cycle of seasonal factors, aligned with the first value of the series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Season {
    pub(super) kind: Kind,
    factors: Vec<f64>,
}

/// The longest period for which every factor gets a value of its own.
const LONGEST_CLASSICAL: usize = 24;

impl Season {
    /// The absence of a season.
    pub(super) fn none() -> Self {
        Self {
            kind: Kind::None,
            factors: vec![0.0],
        }
    }

    /// Detects and measures the season of a gapless series.
    pub(super) fn detect(values: &[f64], period: usize) -> Self {
        if period < 2 {
            return Self::none();
        }
        let positive = values.iter().all(|v| *v > 0.0);
        if period > LONGEST_CLASSICAL {
            return harmonic(values, period, positive);
        }
        if !is_seasonal(values, period) {
            return Self::none();
        }
        if positive {
            let season = Self::classical(values, period, Kind::Multiplicative);
            if season.factors.iter().all(|f| f.is_finite() && *f > 0.01) {
                return season;
            }
        }
        let season = Self::classical(values, period, Kind::Additive);
        if season.factors.iter().all(|f| f.is_finite()) {
            season
        } else {
            Self::none()
        }
    }

    /// The classical decomposition around a centred moving average of one cycle; the series must hold two whole cycles.
    pub(super) fn classical(values: &[f64], period: usize, kind: Kind) -> Season {
        let n = values.len();
        let half = period / 2;
        let mut sums = vec![0.0; period];
        let mut counts = vec![0usize; period];
        for t in half..n.saturating_sub(half) {
            let trend = if period.is_multiple_of(2) {
                (0.5 * values[t - half]
                    + values[t - half + 1..t + half].iter().sum::<f64>()
                    + 0.5 * values[t + half])
                    / period as f64
            } else {
                values[t - half..=t + half].iter().sum::<f64>() / period as f64
            };
            let ratio = if kind == Kind::Multiplicative {
                values[t] / trend
            } else {
                values[t] - trend
            };
            sums[t % period] += ratio;
            counts[t % period] += 1;
        }
        let mut factors: Vec<f64> = sums
            .iter()
            .zip(&counts)
            .map(|(s, c)| s / *c as f64)
            .collect();
        let mean = factors.iter().sum::<f64>() / period as f64;
        for factor in &mut factors {
            if kind == Kind::Multiplicative {
                *factor /= mean;
            } else {
                *factor -= mean;
            }
        }
        Season { kind, factors }
    }

    /// The factor at position `t`, counted from the first value of the series and continuing past its end.
    pub(super) fn factor(&self, t: usize) -> f64 {
        self.factors[t % self.factors.len()]
    }

    /// The series without its season.
    pub(super) fn remove(&self, values: &[f64]) -> Vec<f64> {
        let values = values.iter().enumerate();
        values.map(|(t, value)| self.adjust(*value, t)).collect()
    }

    /// A value at position `t` without its season.
    pub(super) fn adjust(&self, value: f64, t: usize) -> f64 {
        match self.kind {
            Kind::None => value,
            Kind::Additive => value - self.factor(t),
            Kind::Multiplicative => value / self.factor(t),
        }
    }

    /// Puts the season back on a value at position `t`.
    pub(super) fn restore(&self, value: f64, t: usize) -> f64 {
        match self.kind {
            Kind::None => value,
            Kind::Additive => value + self.factor(t),
            Kind::Multiplicative => value * self.factor(t),
        }
    }

    /// By how much an error on the adjusted scale grows at position `t` when the season is put back.
    pub(super) fn stretch(&self, t: usize) -> f64 {
        if self.kind == Kind::Multiplicative {
            self.factor(t)
        } else {
            1.0
        }
    }
}

/// The 90 % autocorrelation test of the M4 benchmarks: at least three cycles, and a lag-`period` autocorrelation beyond its
/// limit under Bartlett's formula.
pub(super) fn is_seasonal(values: &[f64], period: usize) -> bool {
    let n = values.len();
    if period < 2 || n < 3 * period {
        return false;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let total: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    if total <= f64::EPSILON * mean * mean * n as f64 {
        return false;
    }
    let correlation = |lag: usize| {
        values[lag..]
            .iter()
            .zip(values)
            .map(|(a, b)| (a - mean) * (b - mean))
            .sum::<f64>()
            / total
    };
    let mut spread = 1.0;
    for lag in 1..period {
        spread += 2.0 * correlation(lag).powi(2);
    }
    correlation(period).abs() > 1.645 * (spread / n as f64).sqrt()
}

/// Fits `trend + harmonics` by least squares for 0 to 4 harmonics and keeps the best by BIC.
fn harmonic(values: &[f64], period: usize, positive: bool) -> Season {
    let n = values.len();
    // Under a cycle and a half one cannot tell a season from a slow swing of the level.
    if n * 2 < period * 3 {
        return Season::none();
    }
    let scale: Vec<f64> = if positive {
        values.iter().map(|v| v.ln()).collect()
    } else {
        values.to_vec()
    };
    let mut best: Option<(f64, Vec<f64>)> = None;
    for harmonics in 0..=4usize {
        let columns = 3 + 2 * harmonics;
        if n <= columns {
            continue;
        }
        let share = |t: usize| t as f64 / n as f64;
        let mut design: Vec<Vec<f64>> = vec![
            vec![1.0; n],
            (0..n).map(share).collect(),
            (0..n).map(|t| share(t).powi(2)).collect(),
        ];
        for k in 1..=harmonics {
            let angle = |t: usize| std::f64::consts::TAU * k as f64 * t as f64 / period as f64;
            design.push((0..n).map(|t| angle(t).sin()).collect());
            design.push((0..n).map(|t| angle(t).cos()).collect());
        }
        let fit = gls(&design, &scale, 0.0);
        let squares: f64 = fit.residuals.iter().map(|r| r * r).sum();
        let coefficients = fit.coefficients;
        let n = n as f64;
        // Marketing weeks are autocorrelated, which makes chance swings look seasonal: the penalty counts twice.
        let criterion = n * (squares / n).max(1e-300).ln() + 2.0 * columns as f64 * n.ln();
        if best.as_ref().is_none_or(|(least, _)| criterion < *least) {
            best = Some((criterion, coefficients));
        }
    }
    let Some((_, coefficients)) = best else {
        return Season::none();
    };
    let harmonics = (coefficients.len() - 3) / 2;
    if harmonics == 0 {
        return Season::none();
    }
    let mut factors: Vec<f64> = (0..period)
        .map(|t| {
            (0..harmonics)
                .map(|k| {
                    let angle = std::f64::consts::TAU * (k + 1) as f64 * t as f64 / period as f64;
                    coefficients[3 + 2 * k] * angle.sin() + coefficients[4 + 2 * k] * angle.cos()
                })
                .sum()
        })
        .collect();
    if !positive {
        return Season {
            kind: Kind::Additive,
            factors,
        };
    }
    for factor in &mut factors {
        *factor = factor.exp();
    }
    let mean = factors.iter().sum::<f64>() / period as f64;
    for factor in &mut factors {
        *factor /= mean;
    }
    Season {
        kind: Kind::Multiplicative,
        factors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monthly() -> Vec<f64> {
        (0..60)
            .map(|t| {
                (100.0 + t as f64) * (1.0 + 0.3 * (std::f64::consts::TAU * t as f64 / 12.0).sin())
            })
            .collect()
    }

    #[test]
    fn a_planted_monthly_season_is_found_and_taken_out() {
        let values = monthly();
        let season = Season::detect(&values, 12);
        assert_eq!(season.kind, Kind::Multiplicative);
        for (t, v) in season.remove(&values).iter().enumerate() {
            assert!((v - (100.0 + t as f64)).abs() < 1.5, "{t}: {v}");
        }
    }

    #[test]
    fn removing_and_restoring_is_the_identity() {
        let values = monthly();
        let season = Season::detect(&values, 12);
        for (t, adjusted) in season.remove(&values).iter().enumerate() {
            assert!((season.restore(*adjusted, t) - values[t]).abs() < 1e-9);
        }
    }

    #[test]
    fn a_straight_line_and_a_constant_have_no_season() {
        let line: Vec<f64> = (0..156).map(|t| 10.0 + t as f64).collect();
        assert_eq!(Season::detect(&line, 52).kind, Kind::None);
        assert_eq!(Season::detect(&[5.0; 60], 12).kind, Kind::None);
    }

    #[test]
    fn a_year_of_weeks_is_found_from_three_years_and_refused_from_one() {
        let weekly: Vec<f64> = (0..156)
            .map(|t| 100.0 * (0.25 * (std::f64::consts::TAU * t as f64 / 52.0).cos()).exp())
            .collect();
        let season = Season::detect(&weekly, 52);
        assert_eq!(season.kind, Kind::Multiplicative);
        assert!(season.factor(0) / season.factor(26) > 1.5);
        assert_eq!(Season::detect(&weekly[..53], 52).kind, Kind::None);
    }

    #[test]
    fn values_that_touch_zero_get_an_additive_season() {
        let values: Vec<f64> = (0..60)
            .map(|t| 10.0 + 10.0 * (std::f64::consts::TAU * t as f64 / 12.0).sin())
            .map(|v| v.max(0.0))
            .collect();
        assert_eq!(Season::detect(&values, 12).kind, Kind::Additive);
    }
}
