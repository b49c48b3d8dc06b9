//! Decomposition into a trend and several seasons (MSTL; Bandara, Hyndman and Bergmeir 2021), and forecasts by its parts.
//!
//! Each season is taken out by STL (`forecast/stl.rs`) while the others are held, the shortest first, in two rounds. A forecast is that of
//! a model for the seasonally adjusted series plus each season's last cycle repeated. Its deviations hold, besides those of
//! the model, what is uncertain in the seasons: that they change from cycle to cycle, and that they were estimated from the same noisy values.

use serde::{Deserialize, Serialize};

pub use super::loess::Degree;
use super::loess::Smoother;
use super::steps::Steps;
pub use super::stl::{Change, Stl};
use super::{arima, ces};
use crate::cancel::{Cancel, Cancelled};

/// How to decompose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mstl {
    /// Values in one cycle of each season. Those below two or with fewer than two cycles in the series are left out.
    pub periods: Vec<usize>,
    /// Change of each season, the shortest first; seasons beyond the list get windows of 7 + 4 i cycles for the i-th season, as
    /// in the paper.
    pub changes: Vec<Change>,
    /// Degree of the seasonal smoothing.
    pub seasonal_degree: Degree,
    /// Whether outliers are given less weight.
    pub robust: bool,
    /// Rounds over the seasons where there is more than one.
    pub rounds: usize,
}

impl Mstl {
    /// The settings of the paper.
    pub fn new(periods: &[usize]) -> Self {
        Self {
            periods: periods.to_vec(),
            changes: Vec::new(),
            seasonal_degree: Degree::Constant,
            robust: false,
            rounds: 2,
        }
    }
}

/// Why there is no decomposition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MstlError {
    /// There are no values.
    #[error("the series is empty")]
    Empty,
    /// A value is NaN or infinite.
    #[error("a value is missing or infinite; fill gaps first")]
    NotFinite,
    /// The model of the seasonally adjusted series could not be fitted.
    #[error("the seasonally adjusted series has no model: {0}")]
    Trend(String),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// One season of a decomposition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Season {
    /// Values in one cycle.
    pub period: usize,
    /// The season at every value.
    pub values: Vec<f64>,
    /// Mean square of its change from one cycle to the next.
    pub change: f64,
    /// Variance of its continuation from being estimated, in units of the variance of the remainder.
    pub estimation: f64,
    /// Mean share of a value's own noise that went into the season.
    pub absorbed: f64,
}

/// Parts whose sum is the series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decomposition {
    /// The trend.
    pub trend: Vec<f64>,
    /// The seasons, the shortest first.
    pub seasons: Vec<Season>,
    /// What is left.
    pub remainder: Vec<f64>,
}

/// Decomposes a gapless series. Without a season that fits into it twice there is only a smooth trend.
///
/// # Errors
/// [`MstlError`] for no values, for missing ones, and when cancelled.
pub fn decompose(
    values: &[f64],
    settings: &Mstl,
    cancel: &impl Cancel,
) -> Result<Decomposition, MstlError> {
    if values.is_empty() {
        return Err(MstlError::Empty);
    }
    if values.iter().any(|v| !v.is_finite() || v.abs() > 1e100) {
        return Err(MstlError::NotFinite);
    }
    let n = values.len();
    let mut periods: Vec<usize> = settings
        .periods
        .iter()
        .copied()
        .filter(|period| *period >= 2 && *period <= n / 2)
        .collect();
    periods.sort_unstable();
    periods.dedup();
    let splits: Vec<Stl> = periods
        .iter()
        .enumerate()
        .map(|(i, period)| Stl {
            seasonal_degree: settings.seasonal_degree,
            robust: settings.robust,
            ..Stl::new(
                *period,
                settings
                    .changes
                    .get(i)
                    .copied()
                    .unwrap_or(Change::Window(7 + 4 * (i + 1))),
            )
        })
        .collect();
    let mut seasonal = vec![vec![0.0; n]; splits.len()];
    let mut rest = values.to_vec();
    let mut trend = Vec::new();
    let rounds = match splits.len() {
        0 => 0,
        1 => 1,
        _ => settings.rounds.max(1),
    };
    for _ in 0..rounds {
        for (split, season) in splits.iter().zip(&mut seasonal) {
            cancel.check()?;
            for (r, s) in rest.iter_mut().zip(season.iter()) {
                *r += s;
            }
            (trend, *season) = split.split(&rest);
            for (r, s) in rest.iter_mut().zip(season.iter()) {
                *r -= s;
            }
        }
    }
    if trend.is_empty() {
        trend = vec![0.0; n];
        let smoother = Smoother {
            window: (n / 3).max(7) | 1,
            degree: Degree::Linear,
            jump: 1,
        };
        smoother.smooth(values, None, 0, &mut trend);
    }
    let remainder = rest.iter().zip(&trend).map(|(r, t)| r - t).collect();
    let seasons = splits
        .iter()
        .zip(seasonal)
        .map(|(split, values)| Season::new(split, values))
        .collect();
    Ok(Decomposition {
        trend,
        seasons,
        remainder,
    })
}

impl Season {
    fn new(split: &Stl, values: Vec<f64>) -> Self {
        let (n, period) = (values.len(), split.period);
        let cycles = n / period;
        let change = values
            .windows(period + 1)
            .map(|w| (w[period] - w[0]).powi(2))
            .sum::<f64>()
            / (n - period).max(1) as f64;
        let (absorbed, estimation) = split.seasonal_smoother(cycles).influence(cycles);
        // The mean over the phases is the trend's, not the season's.
        let free = 1.0 - 1.0 / period as f64;
        Self {
            period,
            values,
            change,
            estimation: estimation * free,
            absorbed: (absorbed * free).min(0.9),
        }
    }

    /// The season `step` (from 0) steps after the last value.
    fn ahead(&self, step: usize) -> f64 {
        self.values[self.values.len() - self.period + step % self.period]
    }
}

impl Decomposition {
    /// Trend plus remainder.
    pub fn adjusted(&self) -> Vec<f64> {
        self.trend
            .iter()
            .zip(&self.remainder)
            .map(|(t, r)| t + r)
            .collect()
    }

    /// All seasons together at every value.
    pub fn seasonal(&self) -> Vec<f64> {
        let mut sum = vec![0.0; self.trend.len()];
        for season in &self.seasons {
            for (s, v) in sum.iter_mut().zip(&season.values) {
                *s += v;
            }
        }
        sum
    }

    /// Puts the seasons on forecasts of the seasonally adjusted series.
    ///
    /// The model saw that series without the noise that went into the seasons, so its variances are divided by the
    /// share that stayed; a season adds its variance from being estimated and, for every cycle ahead, that of its change.
    pub fn restore(&self, adjusted: Steps) -> Steps {
        let stayed: f64 = self.seasons.iter().map(|s| 1.0 - s.absorbed).product();
        let noise = self.remainder.iter().map(|r| r * r).sum::<f64>()
            / (self.remainder.len() as f64 * stayed);
        let mut steps = adjusted;
        for (h, (mean, sigma)) in steps.mean.iter_mut().zip(&mut steps.sigma).enumerate() {
            let mut variance = *sigma * *sigma / stayed;
            for season in &self.seasons {
                *mean += season.ahead(h);
                let cycles = (h / season.period + 1) as f64;
                variance += season.estimation * noise + cycles * season.change;
            }
            *sigma = variance.sqrt();
        }
        steps
    }
}

/// A model of the seasonally adjusted series.
pub trait Trend {
    /// Forecasts of the steps after the last value.
    fn forecast(&self, horizon: usize) -> Steps;
    /// One-step errors, one for each of the last values.
    fn residuals(&self) -> &[f64];
}

impl Trend for arima::Fitted {
    fn forecast(&self, horizon: usize) -> Steps {
        Self::forecast(self, horizon)
    }

    fn residuals(&self) -> &[f64] {
        &self.residuals
    }
}

impl Trend for ces::Fitted {
    fn forecast(&self, horizon: usize) -> Steps {
        Self::forecast(self, horizon)
    }

    fn residuals(&self) -> &[f64] {
        &self.residuals
    }
}

/// A decomposition with a model of its seasonally adjusted series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted<T> {
    /// The parts.
    pub decomposition: Decomposition,
    /// The model of trend plus remainder.
    pub trend: T,
}

/// Decomposes a series and fits `model` to its seasonally adjusted values.
///
/// # Errors
/// [`MstlError`] as [`decompose`], and when the model cannot be fitted.
pub fn fit<T: Trend, E: std::fmt::Display>(
    values: &[f64],
    settings: &Mstl,
    model: impl FnOnce(&[f64]) -> Result<T, E>,
    cancel: &impl Cancel,
) -> Result<Fitted<T>, MstlError> {
    let decomposition = decompose(values, settings, cancel)?;
    let trend =
        model(&decomposition.adjusted()).map_err(|error| MstlError::Trend(error.to_string()))?;
    Ok(Fitted {
        decomposition,
        trend,
    })
}

impl<T: Trend> Fitted<T> {
    /// Forecasts `horizon` steps.
    pub fn forecast(&self, horizon: usize) -> Steps {
        self.decomposition.restore(self.trend.forecast(horizon))
    }

    /// Errors of the model's one-step forecasts with the seasons known, one for each of the last values.
    pub fn residuals(&self) -> &[f64] {
        self.trend.residuals()
    }

    /// Those one-step forecasts, seasons included.
    pub fn fitted(&self) -> Vec<f64> {
        let parts = &self.decomposition;
        let residuals = self.residuals();
        let skipped = parts.trend.len().saturating_sub(residuals.len());
        parts
            .adjusted()
            .iter()
            .zip(parts.seasonal())
            .skip(skipped)
            .zip(residuals)
            .map(|((a, s), e)| a + s - e)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::cancel::never;

    fn day(t: usize) -> f64 {
        [3.0, -1.0, 4.0, -2.0, -5.0, -1.0, 2.0][t % 7]
    }

    fn month(t: usize) -> f64 {
        10.0 * (std::f64::consts::TAU * t as f64 / 28.0).sin()
    }

    #[test]
    fn two_seasons_on_a_line_are_told_apart() {
        let values: Vec<f64> = (0..280)
            .map(|t| 50.0 + 0.2 * t as f64 + day(t) + month(t))
            .collect();
        let mut settings = Mstl::new(&[28, 7]);
        settings.changes = vec![Change::Never; 2];
        let parts = decompose(&values, &settings, &never).expect("parts");
        assert_eq!(parts.seasons.len(), 2);
        let seasonal = parts.seasonal();
        for t in 0..280 {
            // A cycle of 28 holds four of 7, so only the sum is unique; the shorter comes first and takes what it can.
            assert!((seasonal[t] - day(t) - month(t)).abs() < 1e-6, "{t}");
            assert!((parts.seasons[0].values[t] - day(t)).abs() < 0.05, "{t}");
            let sum = parts.trend[t] + seasonal[t] + parts.remainder[t];
            assert!((sum - values[t]).abs() < 1e-9);
        }
        let fitted = fit(
            &values,
            &settings,
            |adjusted| arima::auto(adjusted, &[], &arima::Search::new(1), &never),
            &never,
        )
        .expect("a model");
        let steps = fitted.forecast(56);
        for (h, mean) in steps.mean.iter().enumerate() {
            let t = 280 + h;
            let expected = 50.0 + 0.2 * t as f64 + day(t) + month(t);
            assert!((mean - expected).abs() < 0.01, "{h} {mean} {expected}");
        }
    }

    #[test]
    fn air_passengers_are_forecast_as_another_implementation_does() {
        let fixture: Value =
            serde_json::from_str(include_str!("../../testdata/airpassengers_models.json"))
                .expect("json");
        let numbers = |list: &Value| -> Vec<f64> {
            let list = list.as_array().expect("a list");
            list.iter().map(|v| v.as_f64().expect("a number")).collect()
        };
        let series = numbers(&fixture["series"]);
        let fitted = fit(
            &series,
            &Mstl::new(&[12]),
            |adjusted| ces::fit(adjusted, 1, ces::Form::None),
            &never,
        )
        .expect("a model");
        assert_eq!(fitted.fitted().len(), 120);
        let theirs = numbers(&fixture["MSTL"]["mean"]);
        // The trend models differ, so their level is taken out: what is left is the season.
        let season = |mean: &[f64]| -> Vec<f64> {
            let level = mean[..12].iter().sum::<f64>() / 12.0;
            mean[..12].iter().map(|m| m - level).collect()
        };
        let ours = season(&fitted.forecast(24).mean);
        for (a, b) in ours.iter().zip(season(&theirs)) {
            assert!((a - b).abs() < 8.0, "{a} {b}");
        }
    }

    #[test]
    fn the_seasons_make_intervals_wider() {
        let values: Vec<f64> = (0..70)
            .map(|t| 50.0 + day(t) + ((t * t) as f64 * 0.7).sin())
            .collect();
        let fitted = fit(
            &values,
            &Mstl::new(&[7]),
            |adjusted| ces::fit(adjusted, 1, ces::Form::None),
            &never,
        )
        .expect("a model");
        let (bare, whole) = (fitted.trend.forecast(21), fitted.forecast(21));
        assert!(bare.sigma.iter().zip(&whole.sigma).all(|(a, b)| a < b));
    }

    #[test]
    fn degenerate_series_have_a_trend_or_an_error() {
        let settings = Mstl::new(&[12, 0, 1]);
        assert_eq!(
            decompose(&[], &settings, &never).unwrap_err(),
            MstlError::Empty
        );
        assert_eq!(
            decompose(&[1.0, f64::NAN], &settings, &never).unwrap_err(),
            MstlError::NotFinite
        );
        assert_eq!(
            decompose(&[1.0; 40], &settings, &|| true).unwrap_err(),
            MstlError::Cancelled(Cancelled)
        );
        let short = decompose(&[4.0; 20], &settings, &never).expect("parts");
        assert!(short.seasons.is_empty() && short.remainder.iter().all(|r| r.abs() < 1e-9));
        let constant = decompose(&[4.0; 40], &settings, &never).expect("parts");
        assert!(constant.seasons[0].values.iter().all(|s| s.abs() < 1e-9));
        let refused = fit(
            &[1.0, 2.0],
            &settings,
            |adjusted| ces::fit(adjusted, 1, ces::Form::None),
            &never,
        );
        assert!(matches!(refused, Err(MstlError::Trend(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_parts_of_any_series_add_up(
            values in proptest::collection::vec(-1e6..1e6f64, 1..80),
            periods in proptest::collection::vec(0usize..30, 0..3),
            robust in any::<bool>(),
            linear in any::<bool>(),
        ) {
            let mut settings = Mstl::new(&periods);
            settings.robust = robust;
            if linear {
                settings.seasonal_degree = Degree::Linear;
            }
            let parts = decompose(&values, &settings, &never).expect("parts");
            let seasonal = parts.seasonal();
            for t in 0..values.len() {
                let sum = parts.trend[t] + seasonal[t] + parts.remainder[t];
                prop_assert!((sum - values[t]).abs() < 1e-6, "{} {}", sum, values[t]);
            }
            let steps = parts.restore(Steps { mean: vec![1.0; 40], sigma: vec![1.0; 40] });
            prop_assert!(steps.mean.iter().chain(&steps.sigma).all(|v| v.is_finite()));
        }
    }
}
