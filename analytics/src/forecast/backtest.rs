//! Rolling-origin backtest: every model is fitted on the past of several origins and measured on what came after.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::accuracy::{self, Accuracy};
use super::ensemble;
use super::interval::{self, Prior, Width};
use super::member::{Memory, Origin};
use super::{Model, Options, Projection};
use crate::cancel::{Cancel, Cancelled};

/// What one model achieved. Nothing here rests on the values it was measured on: the weights of the combination and the widths
/// of all intervals are learnt, for each fold, from folds whose outcomes do not overlap with its own. Where there is no such fold
/// the weights are equal and the widths those that are believed before any backtest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelScore {
    /// The model.
    pub model: Model,
    /// Its measures, averaged over the folds.
    pub accuracy: Accuracy,
    /// Its mean absolute error divided by that of the naive forecast from the same origins; `None` when the naive one made no
    /// error.
    pub against_naive: Option<f64>,
}

/// The result of a backtest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// Number of origins.
    pub folds: usize,
    /// Steps forecast from each origin.
    pub horizon: usize,
    /// Values between two origins.
    pub stride: usize,
    /// Every model that the first origin is late enough for. At an origin where one cannot be fitted the last value stands in for it.
    pub scores: Vec<ModelScore>,
    /// The model to use.
    pub champion: Model,
}

impl Backtest {
    /// The score of a model, when it took part.
    pub fn score(&self, model: Model) -> Option<&ModelScore> {
        self.scores.iter().find(|s| s.model == model)
    }
}

/// What a backtest leaves to the forecast from the last value.
pub(super) struct Tested<'a> {
    pub(super) report: Backtest,
    /// Errors in units of the model's own deviation, by model, fold and step; NaN where the model claims no deviation.
    pub(super) ratios: BTreeMap<Model, Vec<Vec<f64>>>,
    /// Absolute errors of the recipe's members, in their order; empty when they were not combined.
    pub(super) errors: Vec<f64>,
    /// Where the members' last fits ended.
    pub(super) memory: Memory<'a>,
}

/// A model replaces the combination only with at most this share of its error.
const MARGIN: f64 = 0.95;
/// A naive method takes over when the champion's error is more than this many times its own.
const TOLERANCE: f64 = 1.02;

/// What one model did at every origin.
#[derive(Default)]
struct Tally {
    /// Sum of absolute errors of each fold.
    errors: Vec<f64>,
    mase: f64,
    smape: f64,
    projections: Vec<Projection>,
    ratios: Vec<Vec<f64>>,
}

impl Tally {
    fn add(&mut self, projection: Projection, actual: &[f64], scale: Option<f64>) {
        let Projection {
            mean, deviation, ..
        } = &projection;
        let off = actual.iter().zip(mean).map(|(a, p)| a - p);
        self.errors.push(off.clone().map(f64::abs).sum());
        self.smape += accuracy::smape(actual, mean);
        if let Some(scale) = scale {
            self.mase += accuracy::mase(actual, mean, scale);
        }
        let ratios = off.zip(deviation);
        self.ratios.push(
            ratios
                .map(|(e, d)| if *d > 0.0 { e / d } else { f64::NAN })
                .collect(),
        );
        self.projections.push(projection);
    }

    fn error(&self) -> f64 {
        self.errors.iter().sum()
    }

    /// Whether this error is below `share` of the other's, and consistently so over the folds.
    fn beats(&self, other: &Self, share: f64, evidence: f64) -> bool {
        if self.error() >= share * other.error() {
            return false;
        }
        let count = self.errors.len() as f64;
        let differences: Vec<f64> = other
            .errors
            .iter()
            .zip(&self.errors)
            .map(|(theirs, ours)| theirs - ours)
            .collect();
        let mean = differences.iter().sum::<f64>() / count;
        let variance =
            differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        (count > 1.0 || evidence <= 0.0) && mean > evidence * (variance / count).sqrt()
    }
}

/// Runs the backtest of the recipe's members, their combination, the naive methods and `extra`; nothing when not even one fold
/// fits.
///
/// # Errors
/// [`Cancelled`].
pub(super) fn run<'a>(
    values: &[f64],
    options: &Options,
    floor: Option<f64>,
    extra: Option<Model>,
    cancel: &'a dyn Cancel,
) -> Result<Option<Tested<'a>>, Cancelled> {
    let n = values.len();
    let spare = n.saturating_sub(options.min_train.max(4));
    // A short series is tested on fewer steps rather than not at all.
    let horizon = options.horizon.min(spare);
    if horizon == 0 || options.folds == 0 {
        return Ok(None);
    }
    let (stride, apart) = (options.spacing(), options.apart());
    let folds = options.folds.min(1 + (spare - horizon) / stride);
    let origins: Vec<usize> = (0..folds).rev().map(|k| n - horizon - k * stride).collect();
    let fits = |model: &Model| model.fits(origins[0], options.period);
    let members = options.recipe.members();
    let combined = members.iter().all(fits);
    let mut models: Vec<Model> = members.iter().copied().filter(fits).collect();
    let naive = [Model::Naive, Model::SeasonalNaive];
    for model in naive.into_iter().chain(extra).filter(fits) {
        if model != Model::Ensemble && !models.contains(&model) {
            models.push(model);
        }
    }
    let mut tallies: BTreeMap<Model, Tally> =
        models.iter().map(|m| (*m, Tally::default())).collect();
    let mut memory = Memory::new(cancel);
    let scales: Vec<Option<f64>> = origins
        .iter()
        .map(|origin| accuracy::scale(&values[..*origin], 1))
        .collect();
    for (origin, scale) in origins.iter().zip(&scales) {
        cancel.check()?;
        let (train, rest) = values.split_at(*origin);
        let past = Origin::new(train, options, floor);
        let made = past.project(&models, horizon, &mut memory);
        for (model, projection) in models.iter().zip(made) {
            let tally = tallies.get_mut(model).expect("every model has a tally");
            tally.add(projection, &rest[..horizon], *scale);
        }
    }
    let mut errors = Vec::new();
    let mut reported = None;
    if combined {
        let sums = |keep: &dyn Fn(usize) -> bool| -> Vec<f64> {
            let sum = |model: &Model| {
                let folds = tallies[model].errors.iter().enumerate();
                folds
                    .filter(|(fold, _)| keep(*fold))
                    .map(|(_, e)| e)
                    .sum::<f64>()
            };
            members.iter().map(sum).collect()
        };
        // The combination of every fold by the errors of those that `keep` chooses for it.
        let combine = |keep: &dyn Fn(usize, usize) -> bool| -> Tally {
            let mut tally = Tally::default();
            for (fold, (origin, scale)) in origins.iter().zip(&scales).enumerate() {
                let others = (0..folds).any(|other| keep(fold, other));
                let others = others.then(|| sums(&|other| keep(fold, other)));
                let parts: Vec<Projection> = members
                    .iter()
                    .map(|model| tallies[model].projections[fold].clone())
                    .collect();
                let weights = ensemble::weights(parts.len(), others.as_deref());
                let made = ensemble::mean(&parts, &weights);
                tally.add(made, &values[*origin..*origin + horizon], *scale);
            }
            tally
        };
        // The champion is chosen, and the widths ahead are learnt, by a combination that leaves out only the fold it is judged on. Its
        // neighbours share values with it, so this flatters the combination a little; what is reported does without them.
        let chosen_by = combine(&|fold, other| fold != other);
        reported = Some(combine(&|fold, other| fold.abs_diff(other) >= apart));
        errors = sums(&|_| true);
        tallies.insert(Model::Ensemble, chosen_by);
    }
    let naive_error = tallies.get(&Model::Naive).map_or(0.0, Tally::error);
    let scores = tallies.iter().map(|(model, tally)| {
        let tally = match &reported {
            Some(reported) if *model == Model::Ensemble => reported,
            _ => tally,
        };
        Ok(ModelScore {
            model: *model,
            accuracy: measure(tally, values, &origins, &scales, floor, apart, cancel)?,
            against_naive: (naive_error > 0.0).then(|| tally.error() / naive_error),
        })
    });
    let scores = scores.collect::<Result<Vec<ModelScore>, Cancelled>>()?;
    let champion = choose(&tallies, members, options.evidence);
    let ratios = tallies
        .into_iter()
        .map(|(model, tally)| (model, tally.ratios))
        .collect();
    Ok(Some(Tested {
        report: Backtest {
            folds,
            horizon,
            stride,
            scores,
            champion,
        },
        ratios,
        errors,
        memory,
    }))
}

/// Interval measures use widths learnt from folds at least `apart` from the judged one only, whose outcomes do not overlap with its
/// own, so that no value judges an interval that it helped to make.
fn measure(
    tally: &Tally,
    values: &[f64],
    origins: &[usize],
    scales: &[Option<f64>],
    floor: Option<f64>,
    apart: usize,
    cancel: &dyn Cancel,
) -> Result<Accuracy, Cancelled> {
    let scaled = scales.iter().flatten().count() as f64;
    let folds = tally.errors.len() as f64;
    let prior = Prior::default();
    let (mut coverage80, mut coverage95, mut msis) = (0.0, 0.0, 0.0);
    for (fold, (origin, projection)) in origins.iter().zip(&tally.projections).enumerate() {
        cancel.check()?;
        let horizon = projection.mean.len();
        let others = tally.ratios.iter().enumerate();
        let others = others.filter(|(other, _)| other.abs_diff(fold) >= apart);
        let width = Width::learn(others.map(|(_, ratios)| ratios), &prior);
        let steps: Vec<_> = (0..horizon)
            .map(|h| {
                let (mean, deviation) = (projection.mean[h], projection.deviation[h]);
                interval::step(mean, deviation, width.at(h), floor)
            })
            .collect();
        let actual = &values[*origin..origin + horizon];
        let (inside80, inside95) = accuracy::coverage(actual, &steps);
        coverage80 += inside80 / folds;
        coverage95 += inside95 / folds;
        if let Some(scale) = scales[fold] {
            msis += accuracy::msis(actual, &steps, scale) / scaled;
        }
    }
    Ok(Accuracy {
        mase: (scaled > 0.0).then(|| tally.mase / scaled),
        smape: tally.smape / folds,
        coverage80,
        coverage95,
        msis: (scaled > 0.0).then_some(msis),
    })
}

/// The combination unless a challenger beats it; then a naive method where that beats the chosen one.
fn choose(tallies: &BTreeMap<Model, Tally>, members: &[Model], evidence: f64) -> Model {
    let mut chosen = Model::Naive;
    if tallies.contains_key(&Model::Ensemble) {
        chosen = Model::Ensemble;
        for model in members.iter().copied() {
            let share = if chosen == Model::Ensemble {
                MARGIN
            } else {
                1.0
            };
            if tallies[&model].beats(&tallies[&chosen], share, evidence) {
                chosen = model;
            }
        }
    }
    for model in [Model::SeasonalNaive, Model::Naive] {
        if let Some(simple) = tallies.get(&model)
            && simple.beats(&tallies[&chosen], 1.0 / TOLERANCE, evidence)
        {
            chosen = model;
        }
    }
    chosen
}
