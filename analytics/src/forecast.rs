//! Forecasts of one series: several models, compared by rolling-origin backtest, with calibrated intervals.
//!
//! The models are the last value, the value one cycle ago, ETS with damped trend, Theta, dynamic optimised Theta, and the mean
//! of the last three. A backtest from several origins measures each on values it has not seen; the champion is
//! the combination unless another model is better by a margin and by evidence, and a naive method takes over where it is
//! more than 2 % better and consistently so. Interval widths come from the backtest's own errors, step by step,
//! shrunk towards what a large public collection of series taught (see `forecast/interval.rs`).
//!
//! Everything is deterministic: no seed is needed.

mod accuracy;
mod backtest;
mod damped;
mod ensemble;
pub mod ets;
mod interval;
mod naive;
mod prepare;
mod quasi_newton;
mod season;
mod simplex;
mod table;
mod theta;

use serde::{Deserialize, Serialize};

pub use accuracy::{Accuracy, coverage, mase, msis, scale, smape};
pub use backtest::{Backtest, ModelScore};
pub use prepare::PrepareError;
pub use table::{BacktestRow, TableError, backtest_table};

use prepare::Prepared;
use season::Season;

/// A forecasting model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// The last value.
    Naive,
    /// The value one cycle ago.
    SeasonalNaive,
    /// ETS(A,Ad,N) on the seasonally adjusted series.
    DampedTrend,
    /// Theta with θ = 2.
    Theta,
    /// Theta with optimised θ and a running line.
    DynamicTheta,
    /// Mean of damped trend, Theta and dynamic Theta.
    Ensemble,
}

impl Model {
    /// Every model, the simplest first.
    pub const ALL: [Self; 6] = [
        Self::Naive,
        Self::SeasonalNaive,
        Self::DampedTrend,
        Self::Theta,
        Self::DynamicTheta,
        Self::Ensemble,
    ];

    /// The stable name, as stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::SeasonalNaive => "seasonal_naive",
            Self::DampedTrend => "damped_trend",
            Self::Theta => "theta",
            Self::DynamicTheta => "dynamic_theta",
            Self::Ensemble => "ensemble",
        }
    }

    /// Whether `values` training values of the given period are enough for it.
    pub fn fits(self, values: usize, period: usize) -> bool {
        match self {
            Self::Naive => values >= 1,
            // One cycle and a half: 53 weeks allow no seasonal-naive.
            Self::SeasonalNaive => period > 1 && values * 2 >= period * 3,
            Self::DampedTrend | Self::Ensemble => values >= 8,
            Self::Theta => values >= 5,
            Self::DynamicTheta => values >= 6,
        }
    }
}

/// What to forecast and how to test it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Steps ahead, at least 1.
    pub horizon: usize,
    /// Values in one season (52 for weeks, 12 for months); 1 = no season.
    pub period: usize,
    /// Origins of the backtest, at most; 0 switches it off.
    pub folds: usize,
    /// Values between two origins of the backtest; 0 = a third of the horizon.
    pub stride: usize,
    /// Fewest values in the training part of a fold.
    pub min_train: usize,
    /// Standard errors by which a model's mean error over the folds must be smaller than the combination's, or a naive method's
    /// smaller than the champion's, before it takes over. 0 believes every backtest: no champion is then more than 2 % worse
    /// than naive in its own backtest, at the price of worse forecasts (on the M3 monthly series OWA 0.86
    /// instead of 0.81).
    pub evidence: f64,
}

impl Options {
    /// The usual settings for a horizon and a season.
    pub fn new(horizon: usize, period: usize) -> Self {
        Self {
            horizon,
            period,
            folds: 6,
            stride: 0,
            min_train: 20,
            evidence: 2.5,
        }
    }
}

/// One step of a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Expected value.
    pub mean: f64,
    /// Lower end of the 80 % interval.
    pub low80: f64,
    /// Upper end of the 80 % interval.
    pub high80: f64,
    /// Lower end of the 95 % interval.
    pub low95: f64,
    /// Upper end of the 95 % interval.
    pub high95: f64,
}

/// Something the reader of a forecast should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// Missing values inside the series were filled by straight lines between their neighbours.
    GapsFilled {
        /// How many.
        values: usize,
    },
    /// The series ends with missing values; the forecast starts from the last known one.
    StaleEnd {
        /// How many.
        values: usize,
    },
    /// All values are equal; the intervals have no width.
    Constant,
    /// Too short for a backtest; champion and widths rest on the fit alone.
    NoBacktest,
    /// Too short for a season of this period.
    NoSeason,
    /// No model beat the naive ones in the backtest.
    NaiveIsBest,
}

/// A forecast with the evidence for its model and its widths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The champion.
    pub model: Model,
    /// Its parameters by name.
    pub parameters: Vec<(String, f64)>,
    /// The steps, the first right after the last value (known or not) of the series.
    pub steps: Vec<Step>,
    /// What the backtest measured, if the series was long enough.
    pub backtest: Option<Backtest>,
    /// Factor by which the model's own interval widths were stretched.
    pub width_factor: f64,
    /// What the reader should know.
    pub notes: Vec<Note>,
}

/// Why there is no forecast.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ForecastError {
    /// The values cannot be used.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The horizon is zero.
    #[error("the horizon must be at least one step")]
    NoHorizon,
}

/// A fitted model: its point forecasts and what its one-step errors were, on the scale it was fitted on.
#[derive(Clone, Debug)]
struct Fit {
    mean: Vec<f64>,
    residuals: Vec<f64>,
    /// Standard deviation of each step's error in units of the one-step error.
    spread: Vec<f64>,
    parameters: Vec<(&'static str, f64)>,
}

/// Point forecasts and analytic standard deviations on the scale of the series.
#[derive(Clone, Debug)]
struct Projection {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    parameters: Vec<(&'static str, f64)>,
}

/// Forecasts `values` (NaN and infinities = missing) with the champion of a backtest.
///
/// # Errors
/// [`ForecastError::NoHorizon`] for a zero horizon, [`ForecastError::Prepare`] when no value is known.
pub fn forecast(values: &[f64], options: &Options) -> Result<Forecast, ForecastError> {
    run(values, options, None)
}

/// Forecasts with a given model instead of the champion; the backtest still runs and its interval calibration is used.
///
/// # Errors
/// As [`forecast`]. A model the series is too short for is replaced by the naive one.
pub fn forecast_with(
    values: &[f64],
    options: &Options,
    model: Model,
) -> Result<Forecast, ForecastError> {
    run(values, options, Some(model))
}

/// Measures every model by rolling origin without forecasting. `None` when the series is too short.
///
/// # Errors
/// As [`forecast`].
pub fn backtest(values: &[f64], options: &Options) -> Result<Option<Backtest>, ForecastError> {
    if options.horizon == 0 {
        return Err(ForecastError::NoHorizon);
    }
    let prepared = prepare::prepare(values)?;
    Ok(backtest::run(&prepared.values, options, prepared.floor).map(|(report, _)| report))
}

fn run(
    values: &[f64],
    options: &Options,
    wanted: Option<Model>,
) -> Result<Forecast, ForecastError> {
    if options.horizon == 0 {
        return Err(ForecastError::NoHorizon);
    }
    let Prepared {
        values,
        stale,
        filled,
        floor,
    } = prepare::prepare(values)?;
    let mut notes = Vec::new();
    if filled > 0 {
        notes.push(Note::GapsFilled { values: filled });
    }
    if stale > 0 {
        notes.push(Note::StaleEnd { values: stale });
    }
    if options.period > 1 && values.len() * 2 < options.period * 3 {
        notes.push(Note::NoSeason);
    }
    let horizon = options.horizon + stale;
    let constant = values.iter().all(|v| *v == values[0]);
    if constant {
        notes.push(Note::Constant);
    }
    let tested = if constant {
        None
    } else {
        backtest::run(&values, options, floor)
    };
    if tested.is_none() && !constant {
        notes.push(Note::NoBacktest);
    }
    let usable = |model: Model| model.fits(values.len(), options.period) && !constant;
    let model = match (wanted, &tested) {
        (Some(model), _) if usable(model) => model,
        (None, Some((report, _))) => report.champion,
        (None, None) if usable(Model::Ensemble) => Model::Ensemble,
        _ => Model::Naive,
    };
    if let Some((report, _)) = &tested
        && matches!(report.champion, Model::Naive | Model::SeasonalNaive)
    {
        notes.push(Note::NaiveIsBest);
    }
    let season = Season::detect(&values, options.period);
    let mut projection = project(model, &values, &season, options.period, horizon);
    prepare::keep_above(&mut projection.mean, floor);
    let width = interval::Width::learn(tested.as_ref().and_then(|(_, errors)| errors.get(&model)));
    let steps = (stale..horizon)
        .map(|h| interval::step(projection.mean[h], projection.deviation[h], &width, floor))
        .collect();
    Ok(Forecast {
        model,
        parameters: projection
            .parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect(),
        steps,
        backtest: tested.map(|(report, _)| report),
        width_factor: width.factor95,
        notes,
    })
}

/// Fits one model and brings its forecast to the scale of the series.
fn project(
    model: Model,
    values: &[f64],
    season: &Season,
    period: usize,
    horizon: usize,
) -> Projection {
    match model {
        Model::Naive => plain(naive::naive(values, horizon)),
        Model::SeasonalNaive => plain(naive::seasonal_naive(values, period, horizon)),
        Model::DampedTrend | Model::Theta | Model::DynamicTheta => {
            adjusted(model, &season.remove(values), season, horizon)
        }
        Model::Ensemble => ensemble::mean(
            &ensemble::MEMBERS
                .map(|member| adjusted(member, &season.remove(values), season, horizon)),
        ),
    }
}

fn plain(fit: Fit) -> Projection {
    let sigma = interval::sigma(&fit.residuals);
    Projection {
        deviation: fit.spread.iter().map(|s| s * sigma).collect(),
        mean: fit.mean,
        parameters: fit.parameters,
    }
}

/// Fits one of the smoothing models on the seasonally adjusted values and puts the season back.
///
/// Damped trend and Theta work on logarithms where the values allow it, dynamic Theta always on the values themselves: on
/// the M3 collections each combination of the two scales was better than either alone.
fn adjusted(model: Model, values: &[f64], season: &Season, horizon: usize) -> Projection {
    let logs = (model != Model::DynamicTheta)
        .then(|| logarithms(values))
        .flatten();
    let scaled = logs.as_deref().unwrap_or(values);
    let mut fit = match model {
        Model::Theta => theta::standard(scaled, horizon),
        Model::DynamicTheta => theta::dynamic(scaled, horizon),
        _ => damped::fit(scaled, horizon),
    };
    let sigma = interval::sigma(&fit.residuals);
    let mut deviation: Vec<f64> = fit.spread.iter().map(|s| s * sigma).collect();
    if logs.is_some() {
        let (low, high) = scaled
            .iter()
            .fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        for (mean, deviation) in fit.mean.iter_mut().zip(&mut deviation) {
            // A trend in logarithms explodes: it may at most repeat the whole range ever seen.
            *mean = mean.clamp(2.0 * low - high, 2.0 * high - low).exp();
            *deviation *= *mean;
        }
    }
    let n = values.len();
    Projection {
        mean: fit
            .mean
            .iter()
            .enumerate()
            .map(|(h, m)| season.restore(*m, n + h))
            .collect(),
        deviation: deviation
            .iter()
            .enumerate()
            .map(|(h, d)| d * season.stretch(n + h).abs())
            .collect(),
        parameters: fit.parameters,
    }
}

/// Logarithms of values that are all positive, the smallest not tiny beside the mean; near zero a logarithm makes an outlier of
/// every quiet week.
fn logarithms(values: &[f64]) -> Option<Vec<f64>> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values
        .iter()
        .all(|v| *v > 0.05 * mean)
        .then(|| values.iter().map(|v| v.ln()).collect())
}
