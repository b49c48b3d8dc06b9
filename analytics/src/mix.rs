//! Marketing-mix models: what each channel sells, with uncertainty, from weekly data.
//!
//! A [`Request`] (readable as TOML) and a [`Table`] go into [`fit`]; a [`Fit`] (writable as JSON) comes out: parameters with
//! convergence, contributions, returns, response curves, a forecast of unseen periods, signs of confounding, and a health card.
//!
//! The outcome is a baseline (constant or knots, trend, season, controls) plus channels whose exposure is carried over
//! ([`Adstock`]), saturated ([`Saturation`]) and multiplied by a coefficient. Several groups (geos, brands, projects) share the curves
//! and have coefficients of their own around common ones. Two fits of the same posterior: variable projection and a normal around
//! the mode ([`Method::Fast`]), and the no-U-turn sampler ([`Method::Sample`]).
//!
//! The scales, priors and parameter names are those of PyMC-Marketing ([`Scaling::Maximum`]) or Meridian
//! ([`Scaling::Standard`] with priors on returns), so that posteriors can be compared number by number.

mod confounding;
mod contribution;
mod data;
mod density;
pub mod diagnostics;
mod health;
mod holdout;
mod kernel;
mod mode;
mod posterior;
mod prior;
mod projection;
mod reallocation;
pub mod regression;
mod request;
mod sampler;
#[cfg(test)]
mod tests;
pub mod transform;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    cancel::{Cancel, Cancelled},
    rng,
};

pub use confounding::Confounding;
pub use contribution::{ChannelResult, CurvePoint, Interval};
pub use data::Table;
pub use health::{Check, Health, Verdict};
pub use holdout::Holdout;
pub use posterior::{ConvergenceSummary, Parameter};
pub use prior::Prior;
pub use reallocation::{Share, reallocate};
pub use request::{Channel, Control, LiftTest, Method, Priors, Request, Scaling, Season, Trend};
pub use transform::{Adstock, Saturation};

use data::Prepared;
use density::Density;
use mode::Normal;
use posterior::Sample;

/// Most numbers that one table of a fit may have: a gigabyte. Draws × chains × parameters must stay below it, and groups × rows ×
/// columns that differ between groups, because each of these is held as a column of full length per group. So must the square of
/// the number of coefficients of the groups' own, which is the size of their covariance.
pub const LARGEST: usize = 1 << 27;

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// What was asked for.
    pub request: Request,
    /// Rows with a known outcome.
    pub rows: usize,
    /// Names of the groups; one empty name where there are none.
    pub groups: Vec<String>,
    /// First days of the periods, where there are dates.
    pub dates: Vec<NaiveDate>,
    /// Posterior of every parameter.
    pub parameters: Vec<Parameter>,
    /// What each channel sold.
    pub channels: Vec<ChannelResult>,
    /// Outcome without media over all rows.
    pub baseline: Interval,
    /// Mean of the fitted outcome in the order of the table's rows.
    pub fitted: Vec<f64>,
    /// Forecast of the periods set aside, by a fit that has not seen them.
    pub holdout: Option<Holdout>,
    /// Signs of confounding.
    pub confounding: Vec<Confounding>,
    /// Whether the model can be used.
    pub health: Health,
    /// Draws of the posterior that the figures come from.
    pub draws: usize,
}

impl Fit {
    /// A parameter by name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }
}

/// Draws of every parameter, chain by chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    /// Names, as in [`Parameter::name`].
    pub names: Vec<String>,
    /// For each name, for each chain, its draws.
    pub values: Vec<Vec<Vec<f64>>>,
}

/// Fits a model on at most `threads` threads; their number does not change the result.
///
/// With a hold-out, the model is fitted twice: without the last periods for the forecast, and with all for everything else.
///
/// # Errors
/// [`MixError`]: what in the table or the request cannot be used, or that the computation was cancelled.
pub fn fit(
    request: &Request,
    table: &Table,
    threads: usize,
    cancel: &(dyn Cancel + Sync),
) -> Result<Fit, MixError> {
    fit_with_draws(request, table, threads, cancel).map(|(fit, _)| fit)
}

/// Like [`fit`], with the draws of the parameters.
///
/// # Errors
/// As [`fit`].
pub fn fit_with_draws(
    request: &Request,
    table: &Table,
    threads: usize,
    cancel: &(dyn Cancel + Sync),
) -> Result<(Fit, Draws), MixError> {
    let holdout = match request.holdout {
        0 => None,
        hidden => forecast(request, table, hidden, threads, cancel)?,
    };
    let prepared = Prepared::new(table, request, 0)?;
    let mut density = Density::new(&prepared.design, cancel)?;
    let sample = draw(&mut density, request, threads, cancel)?;
    let readings = contribution::read(&prepared, &mut density, &sample, cancel)?;
    let (names, values) = posterior::draws(&mut density, &prepared.groups, &sample, cancel)?;
    let parameters = posterior::summaries(&names, &values, sample.markov, cancel)?;
    // The curves at the middle of the posterior: the mean of the coordinates.
    let all = sample.thinned(usize::MAX);
    let middle: Vec<f64> = (0..sample.dimension)
        .map(|i| all.iter().map(|q| q[i]).sum::<f64>() / all.len() as f64)
        .collect();
    density.place(&middle);
    let confounding = confounding::inspect(&prepared, &density, cancel)?;
    let health = health::card(&health::Facts {
        outcome: &prepared.outcome,
        fitted: &readings.fitted,
        known: &prepared.design.known,
        periods: prepared.design.periods,
        parameters: &parameters,
        divergences: sample.divergences,
        draws: sample.len(),
        markov: sample.markov,
        efficiency: sample.efficiency,
        negative_baseline: readings.negative_baseline,
        channels: &readings.channels,
        holdout: holdout.as_ref(),
        confounding: &confounding,
    });
    let mut fitted = vec![0.0; table.rows()];
    for (i, value) in prepared.order.iter().zip(&readings.fitted) {
        fitted[*i] = *value;
    }
    let fit = Fit {
        request: request.clone(),
        rows: prepared.design.known.iter().sum::<f64>() as usize,
        groups: prepared.groups.clone(),
        dates: prepared.dates.clone(),
        parameters,
        channels: readings.channels,
        baseline: readings.baseline,
        fitted,
        holdout,
        confounding,
        health,
        draws: sample.len(),
    };
    Ok((fit, Draws { names, values }))
}

/// Fits without the outcome of the last `hidden` periods of every group and scores its forecast of them. Exposures and controls of
/// those periods are used: the question is what the model makes of known plans. `None` where no outcome there is known.
///
/// # Errors
/// As [`fit`].
pub fn forecast(
    request: &Request,
    table: &Table,
    hidden: usize,
    threads: usize,
    cancel: &(dyn Cancel + Sync),
) -> Result<Option<Holdout>, MixError> {
    let prepared = Prepared::new(table, request, hidden)?;
    let mut density = Density::new(&prepared.design, cancel)?;
    let sample = draw(&mut density, request, threads, cancel)?;
    Ok(holdout::score(
        &prepared,
        &mut density,
        &sample,
        hidden,
        request.seed,
        cancel,
    )?)
}

/// Draws from the posterior as the request asks.
fn draw(
    density: &mut Density<'_>,
    request: &Request,
    threads: usize,
    cancel: &(dyn Cancel + Sync),
) -> Result<Sample, MixError> {
    let dimension = density.dimension();
    if dimension == 0 {
        return Err(MixError::NothingToFit);
    }
    check_room(request.method, dimension)?;
    let normal = locate(density, request, cancel)?;
    match request.method {
        Method::Fast { draws } => Ok(approximate(density, &normal, draws, request.seed, cancel)?),
        Method::Sample {
            chains,
            warmup,
            draws,
            target_accept,
        } => {
            let plan = sampler::Plan {
                chains: chains.max(1),
                warmup,
                draws: draws.max(1),
                target_accept: target_accept.clamp(0.5, 0.999),
                seed: request.seed,
                threads,
            };
            let chains = sampler::sample(density, &normal, plan, cancel).map_err(|e| match e {
                sampler::SamplerError::Cancelled => MixError::Cancelled(crate::cancel::Cancelled),
                sampler::SamplerError::Failed(why) => MixError::Sampler(why),
            })?;
            Ok(Sample {
                dimension,
                divergences: chains.iter().map(|c| c.divergences).sum(),
                chains: chains.into_iter().map(|c| c.positions).collect(),
                markov: true,
                efficiency: None,
            })
        }
    }
}

/// Draws from the normal around the mode per draw that is asked for: what importance weights choose from.
const OVERSAMPLE: usize = 4;

/// Refuses more draws than memory holds, or than a computer's lifetime.
fn check_room(method: Method, dimension: usize) -> Result<(), MixError> {
    let (warmup, draws, per_draw) = match method {
        Method::Fast { draws } => (0, draws.max(1), OVERSAMPLE),
        Method::Sample {
            chains,
            warmup,
            draws,
            ..
        } => (warmup, draws.max(1), chains.max(1)),
    };
    let numbers = draws.saturating_mul(per_draw).saturating_mul(dimension);
    if numbers > LARGEST || warmup > LARGEST {
        return Err(MixError::TooManyDraws {
            draws,
            warmup,
            parameters: dimension,
        });
    }
    Ok(())
}

/// The posterior's mode, from the best guesses of variable projection, and the normal around it.
///
/// Standard deviations between groups have no useful joint mode; they are estimated by a few steps of EM with the normal as the
/// posterior of the deviations. The fast fit keeps them there (empirical Bayes); the sampler draws them like everything else.
fn locate(
    density: &mut Density<'_>,
    request: &Request,
    cancel: &dyn Cancel,
) -> Result<Normal, MixError> {
    const STARTS: usize = 6;
    const EM_STEPS: usize = 4;
    let guesses = projection::search(density, STARTS, request.seed, cancel)?;
    let (between, _) = density.between();
    let mut gradient = vec![0.0; density.dimension()];
    let mut best: Option<(f64, Vec<f64>)> = None;
    for guess in guesses.iter().take(if between.is_empty() { 3 } else { 1 }) {
        cancel.check()?;
        let start = density.coordinates(guess);
        let q = mode::climb(density, start, &between, 400, cancel)?;
        let value = density.evaluate(&q, &mut gradient);
        if value.is_finite() && best.as_ref().is_none_or(|(v, _)| value > *v) {
            best = Some((value, q));
        }
    }
    let (_, mut mode) =
        best.ok_or_else(|| MixError::Sampler("no start has a finite density".to_owned()))?;
    if !between.is_empty() {
        for _ in 0..EM_STEPS {
            cancel.check()?;
            let variances = mode::variances(density, &mode, &between, cancel)?;
            density.update_between(&mut mode, &variances, cancel)?;
            mode = mode::climb(density, mode, &between, 100, cancel)?;
        }
    }
    let (_, mut widths) = density.between();
    if matches!(request.method, Method::Fast { .. }) {
        widths.fill(1e-6);
    }
    // On coordinates that are logarithms and logits, three is as wide as a prior gets.
    Ok(Normal::new(density, mode, 3.0, &between, &widths, cancel)?)
}

/// Draws from the normal, resampled by truncated importance weights (Ionides 2008) where they leave a tenth of them or more.
fn approximate(
    density: &mut Density<'_>,
    normal: &Normal,
    draws: usize,
    seed: u64,
    cancel: &dyn Cancel,
) -> Result<Sample, Cancelled> {
    let dimension = density.dimension();
    let arch = pulp::Arch::new();
    let mut stream = rng::stream(seed, &[0x6c61_706c]);
    let candidates = draws.max(1) * OVERSAMPLE;
    let mut positions = vec![0.0; candidates * dimension];
    let mut logs = Vec::with_capacity(candidates);
    let mut gradient = vec![0.0; dimension];
    for q in positions.chunks_exact_mut(dimension) {
        cancel.check()?;
        let z = rng::normals(&mut stream, dimension);
        normal.place(arch, &z, q);
        let log = density.evaluate(q, &mut gradient) + 0.5 * crate::linear::dot(&z, &z);
        logs.push(if log.is_finite() {
            log
        } else {
            f64::NEG_INFINITY
        });
    }
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut weights: Vec<f64> = logs.iter().map(|l| (l - top).exp()).collect();
    let cut = weights.iter().sum::<f64>() / candidates as f64 * (candidates as f64).sqrt();
    weights.iter_mut().for_each(|w| *w = w.min(cut));
    let total: f64 = weights.iter().sum();
    let efficiency = total * total / crate::linear::dot(&weights, &weights) / candidates as f64;
    let even = efficiency.is_nan() || efficiency < 0.1;
    let mut chain = Vec::with_capacity(draws * dimension);
    // Systematic resampling: one pass, evenly spaced pointers.
    let (mut at, mut sum) = (0, if even { 1.0 } else { weights[0] });
    let step = if even { candidates as f64 } else { total } / draws.max(1) as f64;
    for i in 0..draws.max(1) {
        let pointer = (i as f64 + 0.5) * step;
        while sum < pointer && at + 1 < candidates {
            at += 1;
            sum += if even { 1.0 } else { weights[at] };
        }
        chain.extend_from_slice(&positions[at * dimension..(at + 1) * dimension]);
    }
    Ok(Sample {
        dimension,
        chains: vec![chain],
        divergences: 0,
        markov: false,
        efficiency: Some(if efficiency.is_nan() { 0.0 } else { efficiency }),
    })
}

/// Why a model cannot be fitted.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum MixError {
    /// The file is not a table.
    #[error("the data are not a table: {0}")]
    Table(String),
    /// A column that the model names is not there, or not of numbers.
    #[error("there is no column {0:?} of the kind that is needed")]
    Column(String),
    /// A date cannot be read.
    #[error("{0:?} is not a date like 2026-03-02")]
    Date(String),
    /// Values are missing where they must be known.
    #[error("column {0:?} has missing values; fill them, or say what they are")]
    Missing(String),
    /// A spend or an exposure is negative.
    #[error("column {0:?} has negative values")]
    Negative(String),
    /// No channel was named.
    #[error("the model has no channel")]
    NoChannel,
    /// A channel without any column.
    #[error("channel {0:?} names neither exposure nor spend")]
    NoExposure(String),
    /// A channel that was never used.
    #[error("channel {0:?} was never used in these data")]
    Unused(String),
    /// Too few rows for the parameters.
    #[error("{rows} rows with a known outcome are too few; at least {needed} are needed")]
    TooShort {
        /// Rows with a known outcome.
        rows: usize,
        /// Rows needed.
        needed: usize,
    },
    /// Every prior is a fixed value.
    #[error("every prior is a fixed value: there is nothing to fit")]
    NothingToFit,
    /// More draws than memory holds.
    #[error(
        "{draws} draws of {parameters} parameters, after {warmup}, are more than can be kept: all chains together may have \
         {limit} numbers",
        limit = LARGEST
    )]
    TooManyDraws {
        /// Draws asked for, of each chain.
        draws: usize,
        /// Draws before those that count.
        warmup: usize,
        /// Parameters, those of groups included.
        parameters: usize,
    },
    /// More groups than the columns of their own fit into memory.
    #[error(
        "{groups} groups × {rows} rows × {columns} columns and channels that differ between groups are more than can be held: \
         {limit} numbers is the most; let fewer differ (a spread fixed at zero), or fit parts of the groups",
        limit = LARGEST
    )]
    TooManyGroups {
        /// Groups.
        groups: usize,
        /// Rows of all groups together.
        rows: usize,
        /// Columns and channels with a coefficient of every group's own.
        columns: usize,
    },
    /// The outcome never changes.
    #[error("the outcome never changes")]
    ConstantOutcome,
    /// Groups have different periods.
    #[error("every group must have the same periods, once each")]
    Unbalanced,
    /// A period appears twice.
    #[error("period {0} appears more than once; name the column of the group if there are several")]
    RepeatedPeriod(String),
    /// Periods are missing, or not evenly spaced: carry-over would reach across the gap.
    #[error(
        "after {from} comes {to}, and the other periods are closer together or farther apart: put a row for every period in, with an \
         empty outcome where it is not known"
    )]
    UnevenPeriods {
        /// The period before the gap.
        from: NaiveDate,
        /// The period after it.
        to: NaiveDate,
    },
    /// A group's size is not a positive number.
    #[error("the size of group {0:?} is not a positive number")]
    Size(String),
    /// More knots than periods, or none.
    #[error("{0} knots do not fit the periods")]
    Knots(usize),
    /// Season without dates.
    #[error("a season needs the column of the date")]
    SeasonNeedsDates,
    /// A prior's numbers make no sense.
    #[error("the prior of {parameter} is not usable: {defect}")]
    Prior {
        /// Parameter.
        parameter: String,
        /// What is wrong.
        defect: &'static str,
    },
    /// Wrong number of priors for a family.
    #[error("channel {channel:?} needs {needed} priors for this family")]
    PriorCount {
        /// Channel.
        channel: String,
        /// Number needed.
        needed: usize,
    },
    /// A prior on the return without spend.
    #[error("channel {0:?} has a prior on its return, but no spend")]
    RoiWithoutSpend(String),
    /// A lift test's numbers make no sense.
    #[error("a lift test of channel {0:?} needs 0 ≤ from < to and a positive error")]
    LiftTest(String),
    /// Lift tests read the curve at steady exposure.
    #[error("lift tests of channel {0:?} need carry-over weights that sum to one")]
    LiftNeedsNormalised(String),
    /// The sampler could not start or go on.
    #[error("the sampler stopped: {0}")]
    Sampler(String),
    /// Asked to stop.
    #[error(transparent)]
    Cancelled(#[from] crate::cancel::Cancelled),
}
