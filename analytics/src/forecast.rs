//! Forecasts of one series: several models, compared by rolling-origin backtest, with calibrated intervals.
//!
//! A [`Recipe`] names the models that are fitted and combined. A backtest from several origins measures each of them, their
//! combination and the naive methods on values they have not seen; the champion is the combination unless another model is
//! better by a margin and by evidence, and a naive method takes over where it is more than 2 % better and
//! consistently so. Interval widths come from the backtest's own errors, shrunk towards what all series of a panel, or
//! else a large public collection, taught (see `forecast/interval.rs`).
//!
//! Everything is deterministic: no seed is needed. The functions that end in `_cancellable` ask before every value of every
//! likelihood whether to stop; the short forms beside them run to their end.

mod accuracy;
pub mod arima;
mod backtest;
mod bracket;
pub mod ces;
mod ensemble;
pub mod ets;
mod interval;
mod levenberg_marquardt;
mod loess;
mod member;
pub mod mstl;
mod naive;
pub mod panel;
mod prepare;
mod quasi_newton;
pub mod reconcile;
pub mod refresh;
pub mod regress;
mod season;
mod steps;
mod stl;
mod table;
mod theta;

use serde::{Deserialize, Serialize};

pub use accuracy::{Accuracy, coverage, mase, msis, scale, smape};
pub use backtest::{Backtest, ModelScore};
pub use ensemble::Recipe;
pub use prepare::PrepareError;
pub use steps::Steps;
pub use table::{BacktestRow, TableError, backtest_table};

use backtest::Tested;
use interval::{Prior, Width};
use member::{Member, Memory, Origin};
use prepare::Prepared;

use crate::cancel::{Cancel, Cancelled, never};

/// A forecasting model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// The last value.
    Naive,
    /// The value one cycle ago.
    SeasonalNaive,
    /// Theta with θ = 2.
    Theta,
    /// Theta with optimised θ and a running line.
    DynamicTheta,
    /// ETS with damped trend; error and season by criterion.
    DampedEts,
    /// ETS; error, trend and season by criterion.
    Ets,
    /// Seasonal ARIMA; orders by criterion.
    Arima,
    /// Complex exponential smoothing; season by criterion.
    Ces,
    /// STL decomposition for one or more seasons with complex exponential smoothing of what is left.
    Mstl,
    /// The recipe's members combined.
    Ensemble,
}

impl Model {
    /// Every model, the simplest first.
    pub const ALL: [Self; 10] = [
        Self::Naive,
        Self::SeasonalNaive,
        Self::Theta,
        Self::DynamicTheta,
        Self::DampedEts,
        Self::Ets,
        Self::Arima,
        Self::Ces,
        Self::Mstl,
        Self::Ensemble,
    ];

    /// The stable name, as stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::SeasonalNaive => "seasonal_naive",
            Self::DampedEts => "damped_ets",
            Self::Ets => "ets",
            Self::Arima => "arima",
            Self::Ces => "ces",
            Self::Mstl => "mstl",
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
            Self::DampedEts | Self::Ets | Self::Arima | Self::Ces | Self::Mstl | Self::Ensemble => {
                values >= 8
            }
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
    /// Values in one cycle of further seasons (a year of days beside a week of them); 0 = none. Only [`Model::Mstl`] sees them.
    pub further: [usize; 2],
    /// Origins of the backtest, at most; 0 switches it off.
    pub folds: usize,
    /// Values between two origins of the backtest; 0 = a third of the horizon.
    pub stride: usize,
    /// Fewest values in the training part of a fold.
    pub min_train: usize,
    /// Standard errors by which a model's mean error over the folds must be smaller than the combination's, or a naive method's
    /// smaller than the champion's, before it takes over. 0 believes every backtest: no champion is then more than 2 % worse
    /// than naive in its own backtest (where folds overlap, by the error that the choice goes by, not the reported one), at the price
    /// of worse forecasts (in the training parts of the M3 monthly series OWA 0.88 instead of 0.84).
    pub evidence: f64,
    /// The models that are fitted and combined.
    pub recipe: Recipe,
}

impl Options {
    /// The usual settings for a horizon and a season.
    pub fn new(horizon: usize, period: usize) -> Self {
        Self {
            horizon,
            period,
            further: [0; 2],
            folds: 6,
            stride: 0,
            min_train: 20,
            evidence: 5.0,
            recipe: Recipe::Cheap,
        }
    }

    /// Values between two origins of the backtest.
    fn spacing(&self) -> usize {
        match self.stride {
            0 => self.horizon.div_ceil(3).max(1),
            stride => stride,
        }
    }

    /// Folds from one to the next whose outcomes do not overlap with its own.
    fn apart(&self) -> usize {
        self.horizon.div_ceil(self.spacing()).max(1)
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
    /// The last value stands in for a model that the series is too short for or that could not be fitted to it: for the model that
    /// was asked for, or in the combination for one of its members.
    Replaced {
        /// The model it stands in for.
        wanted: Model,
    },
}

/// A forecast with the evidence for its model and its widths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The model that made it: the champion, or the one asked for where it could be fitted.
    pub model: Model,
    /// The form chosen within the model, such as `ETS(M,Ad,M)`, where it has several.
    pub form: Option<String>,
    /// Its parameters by name.
    pub parameters: Vec<(String, f64)>,
    /// The steps, the first right after the last value (known or not) of the series.
    pub steps: Vec<Step>,
    /// What the backtest measured, if the series was long enough.
    pub backtest: Option<Backtest>,
    /// Factor by which the model's own 95 % width at the first step was stretched.
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
    /// A mean or an end of an interval is not a finite number, or they are out of order.
    #[error(
        "the forecast has no finite intervals at step {step}; use larger units or a shorter horizon"
    )]
    NotFinite {
        /// The first such step, from 1.
        step: usize,
    },
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// The steps, if all of them are numbers in their order.
fn sound(steps: Vec<Step>) -> Result<Vec<Step>, ForecastError> {
    let unsound = |s: &Step| {
        let ends = [s.low95, s.low80, s.mean, s.high80, s.high95];
        !(ends.iter().all(|v| v.is_finite()) && ends.is_sorted())
    };
    match steps.iter().position(unsound) {
        Some(at) => Err(ForecastError::NotFinite { step: at + 1 }),
        None => Ok(steps),
    }
}

/// Point forecasts and analytic standard deviations on the scale of the series.
#[derive(Clone, Debug)]
struct Projection {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    parameters: Vec<(&'static str, f64)>,
    /// The form chosen within the model, such as `ETS(M,Ad,M)`.
    form: Option<String>,
}

/// Forecasts `values` (NaN and infinities = missing) with the champion of a backtest.
///
/// # Errors
/// [`ForecastError::NoHorizon`] for a zero horizon, [`ForecastError::Prepare`] when no value is known or one is too large,
/// [`ForecastError::NotFinite`].
pub fn forecast(values: &[f64], options: &Options) -> Result<Forecast, ForecastError> {
    forecast_cancellable(values, options, None, &never)
}

/// Forecasts with a given model instead of the champion; the backtest still runs and its interval calibration is used.
///
/// # Errors
/// As [`forecast`]. A model the series is too short for, or that cannot be fitted to it, is replaced by the naive one, which
/// [`Forecast::model`] and [`Note::Replaced`] say.
pub fn forecast_with(
    values: &[f64],
    options: &Options,
    model: Model,
) -> Result<Forecast, ForecastError> {
    forecast_cancellable(values, options, Some(model), &never)
}

/// As [`forecast`] or, with a `model`, as [`forecast_with`], until `cancel` says to stop. It must go on saying so.
///
/// # Errors
/// As [`forecast`]; [`ForecastError::Cancelled`].
pub fn forecast_cancellable(
    values: &[f64],
    options: &Options,
    model: Option<Model>,
    cancel: &dyn Cancel,
) -> Result<Forecast, ForecastError> {
    Draft::new(values, options, model, cancel)?.finish(&Prior::default())
}

/// Measures every model by rolling origin without forecasting. `None` when the series is too short or constant.
///
/// # Errors
/// [`ForecastError::NoHorizon`] for a zero horizon, [`ForecastError::Prepare`] when no value is known or one is too large.
pub fn backtest(values: &[f64], options: &Options) -> Result<Option<Backtest>, ForecastError> {
    backtest_cancellable(values, options, &never)
}

/// As [`backtest()`], until `cancel` says to stop.
///
/// # Errors
/// As [`backtest()`]; [`ForecastError::Cancelled`].
pub fn backtest_cancellable(
    values: &[f64],
    options: &Options,
    cancel: &dyn Cancel,
) -> Result<Option<Backtest>, ForecastError> {
    if options.horizon == 0 {
        return Err(ForecastError::NoHorizon);
    }
    let prepared = prepare::prepare(values)?;
    if is_constant(&prepared.values) {
        return Ok(None);
    }
    let tested = backtest::run(&prepared.values, options, prepared.floor, None, cancel)?;
    Ok(tested.map(|tested| tested.report))
}

fn is_constant(values: &[f64]) -> bool {
    values.iter().all(|v| *v == values[0])
}

/// Says which of some models the last value stands in for.
fn replaced<'a>(models: &'a [Model], members: &'a [Member]) -> impl Iterator<Item = Note> + 'a {
    let pairs = models.iter().zip(members);
    pairs
        .filter(|(model, member)| member.stands_in_for(**model))
        .map(|(model, _)| Note::Replaced { wanted: *model })
}

/// The models that the backtest chose for a series, fitted to all of it.
struct Chosen {
    model: Model,
    /// One, or the recipe's.
    members: Vec<Member>,
    weights: Vec<f64>,
    /// Missing values after the last known one.
    stale: usize,
    floor: Option<f64>,
    report: Option<Backtest>,
    /// Standardised errors of the chosen model, by fold and step.
    ratios: Vec<Vec<f64>>,
    notes: Vec<Note>,
}

impl Chosen {
    fn new(
        values: &[f64],
        options: &Options,
        wanted: Option<Model>,
        cancel: &dyn Cancel,
    ) -> Result<Self, ForecastError> {
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
        let constant = is_constant(&values);
        if constant {
            notes.push(Note::Constant);
        }
        let tested = if constant {
            None
        } else {
            backtest::run(&values, options, floor, wanted, cancel)?
        };
        if tested.is_none() && !constant {
            notes.push(Note::NoBacktest);
        }
        let usable = |model: Model| model.fits(values.len(), options.period) && !constant;
        let mut model = match (wanted, &tested) {
            (Some(model), _) if usable(model) => model,
            (None, Some(tested)) => tested.report.champion,
            (None, None) if usable(Model::Ensemble) => Model::Ensemble,
            _ => Model::Naive,
        };
        let (report, mut ratios, errors, mut memory) = match tested {
            Some(Tested {
                report,
                ratios,
                errors,
                memory,
            }) => (Some(report), ratios, errors, memory),
            None => (None, Default::default(), Vec::new(), Memory::new(cancel)),
        };
        if let Some(report) = &report
            && matches!(report.champion, Model::Naive | Model::SeasonalNaive)
        {
            notes.push(Note::NaiveIsBest);
        }
        memory.choose_again();
        let origin = Origin::new(&values, options, floor);
        let (members, weights) = if model == Model::Ensemble {
            let members = origin.fit(options.recipe.members(), &mut memory);
            let errors = (!errors.is_empty()).then_some(errors.as_slice());
            let weights = ensemble::weights(members.len(), errors);
            notes.extend(replaced(options.recipe.members(), &members));
            (members, weights)
        } else {
            let members = origin.fit(&[model], &mut memory);
            if members[0].stands_in_for(model) {
                notes.push(Note::Replaced { wanted: model });
                model = Model::Naive;
            }
            (members, vec![1.0])
        };
        cancel.check()?;
        if let Some(wanted) = wanted
            && wanted != model
            && !notes.contains(&Note::Replaced { wanted })
        {
            notes.push(Note::Replaced { wanted });
        }
        Ok(Self {
            model,
            members,
            weights,
            stale,
            floor,
            report,
            ratios: ratios.remove(&model).unwrap_or_default(),
            notes,
        })
    }

    fn project(&self, horizon: usize) -> Projection {
        let parts: Vec<Projection> = self.members.iter().map(|m| m.project(horizon)).collect();
        ensemble::mean(&parts, &self.weights)
    }

    fn draft(self, horizon: usize) -> Draft {
        Draft {
            projection: self.project(horizon + self.stale),
            model: self.model,
            stale: self.stale,
            floor: self.floor,
            report: self.report,
            ratios: self.ratios,
            notes: self.notes,
        }
    }
}

fn named(parameters: Vec<(&'static str, f64)>) -> Vec<(String, f64)> {
    let owned = |(name, value): (&str, f64)| (name.to_owned(), value);
    parameters.into_iter().map(owned).collect()
}

/// A forecast whose interval widths are still open.
struct Draft {
    model: Model,
    projection: Projection,
    stale: usize,
    floor: Option<f64>,
    report: Option<Backtest>,
    ratios: Vec<Vec<f64>>,
    notes: Vec<Note>,
}

impl Draft {
    fn new(
        values: &[f64],
        options: &Options,
        wanted: Option<Model>,
        cancel: &dyn Cancel,
    ) -> Result<Self, ForecastError> {
        Ok(Chosen::new(values, options, wanted, cancel)?.draft(options.horizon))
    }

    fn finish(self, prior: &Prior) -> Result<Forecast, ForecastError> {
        let width = Width::learn(self.ratios.iter(), prior);
        let Projection {
            mean,
            deviation,
            parameters,
            form,
        } = self.projection;
        let steps = (self.stale..mean.len())
            .map(|h| interval::step(mean[h], deviation[h], width.at(h), self.floor))
            .collect();
        Ok(Forecast {
            model: self.model,
            form,
            parameters: named(parameters),
            steps: sound(steps)?,
            backtest: self.report,
            width_factor: width.at(0).factor95,
            notes: self.notes,
        })
    }
}
