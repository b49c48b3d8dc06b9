//! Differences, and how many of them a series needs.

use crate::forecast::stl::seasonal_strength;

/// The lags and weights of `1 − δ_1 B − … = (1 − B)^d (1 − B^m)^D`.
pub(super) fn polynomial(d: usize, seasonal_d: usize, period: usize) -> Vec<f64> {
    let mut whole = vec![1.0];
    for lag in std::iter::repeat_n(1, d).chain(std::iter::repeat_n(period, seasonal_d)) {
        let mut next = vec![0.0; whole.len() + lag];
        for (j, c) in whole.iter().enumerate() {
            next[j] += c;
            next[j + lag] -= c;
        }
        whole = next;
    }
    whole[1..].iter().map(|c| -c).collect()
}

/// Differences of order `d` after seasonal ones of order `seasonal_d`.
pub(super) fn difference(values: &[f64], d: usize, seasonal_d: usize, period: usize) -> Vec<f64> {
    let mut left = values.to_vec();
    for lag in std::iter::repeat_n(period, seasonal_d).chain(std::iter::repeat_n(1, d)) {
        left = (lag..left.len()).map(|t| left[t] - left[t - lag]).collect();
    }
    left
}

/// The statistic of Kwiatkowski, Phillips, Schmidt and Shin (1992) for stationarity around a level, with Bartlett weights up to
/// lag ⌊3√n / 13⌋; `None` for values without variation.
pub(super) fn kpss(values: &[f64]) -> Option<f64> {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let from: Vec<f64> = values.iter().map(|v| v - mean).collect();
    let covariance =
        |lag: usize| -> f64 { (lag..n).map(|t| from[t] * from[t - lag]).sum::<f64>() / n as f64 };
    let lags = (3.0 * (n as f64).sqrt() / 13.0) as usize;
    let mut long_run = covariance(0);
    let scale = values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    if long_run.is_nan() || long_run <= (1e-10 * scale).powi(2) {
        return None;
    }
    for lag in 1..=lags.min(n.saturating_sub(1)) {
        long_run += 2.0 * (1.0 - lag as f64 / (lags + 1) as f64) * covariance(lag);
    }
    if long_run <= 0.0 {
        return None;
    }
    let (mut sum, mut squares) = (0.0, 0.0);
    for v in &from {
        sum += v;
        squares += sum * sum;
    }
    Some(squares / ((n * n) as f64 * long_run))
}

/// The 5 % point of that statistic.
const KPSS_LIMIT: f64 = 0.463;

/// Differences that leave a series the test calls stationary, at most `most`.
pub(super) fn differences(values: &[f64], most: usize) -> usize {
    let mut left = values.to_vec();
    for d in 0..most {
        match kpss(&left) {
            Some(statistic) if statistic > KPSS_LIMIT && left.len() > 4 => {
                left = difference(&left, 1, 0, 1);
            }
            _ => return d,
        }
    }
    most
}

/// Seasonal strength from which on a season is differenced (Hyndman and Athanasopoulos 2021, section 9.9).
const STRONG: f64 = 0.64;

/// Whether a seasonal difference is needed.
pub(super) fn seasonal_differences(values: &[f64], period: usize) -> usize {
    usize::from(seasonal_strength(values, period) > STRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomial_and_differences_agree() {
        let y: Vec<f64> = (0..30)
            .map(|t| ((t * t) as f64 * 0.37).sin() * 5.0)
            .collect();
        for (d, seasonal_d) in [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)] {
            let delta = polynomial(d, seasonal_d, 4);
            let w = difference(&y, d, seasonal_d, 4);
            assert_eq!(w.len() + delta.len(), 30);
            for (t, value) in w.iter().enumerate() {
                let t = t + delta.len();
                let direct = y[t]
                    - delta
                        .iter()
                        .enumerate()
                        .map(|(j, c)| c * y[t - j - 1])
                        .sum::<f64>();
                assert!((direct - value).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn the_statistic_is_that_of_its_definition() {
        // 1, −1, 1, −1: partial sums 1, 0, 1, 0; no lags; variance 1; 2 / (16 · 1).
        assert_eq!(kpss(&[1.0, -1.0, 1.0, -1.0]), Some(0.125));
        assert_eq!(kpss(&[3.0; 9]), None);
    }

    #[test]
    fn lines_need_one_difference_and_parabolas_two() {
        let wave = |t: usize| ((t * t) as f64 * 0.7).sin();
        let level: Vec<f64> = (0..100).map(wave).collect();
        let line: Vec<f64> = (0..100).map(|t| wave(t) + t as f64).collect();
        let parabola: Vec<f64> = (0..100).map(|t| wave(t) + (t * t) as f64).collect();
        assert_eq!(differences(&level, 2), 0);
        assert_eq!(differences(&line, 2), 1);
        assert_eq!(differences(&parabola, 2), 2);
        assert_eq!(differences(&parabola, 1), 1);
    }
}
