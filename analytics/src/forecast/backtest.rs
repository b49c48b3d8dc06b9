//! Rolling-origin backtest: every model is fitted on the past of several origins and measured on what came after.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::accuracy::{self, Accuracy};
use super::season::Season;
use super::{Model, Options, adjusted, ensemble, interval, prepare, project};

/// What one model achieved.
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
    /// Every model that could be fitted at all origins.
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

/// Errors in units of the model's own deviation, per model.
pub(super) type Ratios = BTreeMap<Model, Vec<f64>>;

/// A model replaces the combination only with at most this share of its error.
const MARGIN: f64 = 0.95;
/// A naive method takes over when the champion's error is more than this many times its own.
const TOLERANCE: f64 = 1.02;

/// Sums over folds, one per model.
#[derive(Default)]
struct Tally {
    /// Sum of absolute errors of each fold.
    errors: Vec<f64>,
    mase: f64,
    smape: f64,
    outcomes: Vec<(usize, Vec<f64>, Vec<f64>)>,
    ratios: Vec<f64>,
}

impl Tally {
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

/// Runs the backtest; nothing when not even one fold fits.
pub(super) fn run(
    values: &[f64],
    options: &Options,
    floor: Option<f64>,
) -> Option<(Backtest, Ratios)> {
    let n = values.len();
    let spare = n.checked_sub(options.min_train.max(4))?;
    // A short series is tested on fewer steps rather than not at all.
    let horizon = options.horizon.min(spare);
    if horizon == 0 || options.folds == 0 {
        return None;
    }
    let stride = if options.stride > 0 {
        options.stride
    } else {
        options.horizon.div_ceil(3)
    };
    let folds = options.folds.min(1 + (spare - horizon) / stride);
    let origins: Vec<usize> = (0..folds).rev().map(|k| n - horizon - k * stride).collect();
    let shortest = origins[0];
    let models: Vec<Model> = Model::ALL
        .into_iter()
        .filter(|m| m.fits(shortest, options.period))
        .collect();
    let mut tallies: BTreeMap<Model, Tally> =
        models.iter().map(|m| (*m, Tally::default())).collect();
    let mut scales = Vec::with_capacity(folds);
    for (fold, origin) in origins.iter().enumerate() {
        let (train, rest) = values.split_at(*origin);
        let actual = &rest[..horizon];
        scales.push(accuracy::scale(train, 1));
        let season = Season::detect(train, options.period);
        let flat = season.remove(train);
        let mut members = Vec::new();
        for model in &models {
            let mut projection = match model {
                Model::Naive | Model::SeasonalNaive => {
                    project(*model, train, &season, options.period, horizon)
                }
                Model::Ensemble => ensemble::mean(&members),
                _ => {
                    let fitted = adjusted(*model, &flat, &season, horizon);
                    members.push(fitted.clone());
                    fitted
                }
            };
            prepare::keep_above(&mut projection.mean, floor);
            let tally = tallies.get_mut(model).expect("every model has a tally");
            tally.errors.push(
                actual
                    .iter()
                    .zip(&projection.mean)
                    .map(|(a, p)| (a - p).abs())
                    .sum(),
            );
            tally.smape += accuracy::smape(actual, &projection.mean);
            if let Some(scale) = scales[fold] {
                tally.mase += accuracy::mase(actual, &projection.mean, scale);
            }
            for ((a, p), d) in actual
                .iter()
                .zip(&projection.mean)
                .zip(&projection.deviation)
            {
                if *d > 0.0 {
                    tally.ratios.push((a - p) / d);
                }
            }
            tally
                .outcomes
                .push((*origin, projection.mean, projection.deviation));
        }
    }
    let scaled = scales.iter().flatten().count() as f64;
    let naive_error = tallies.get(&Model::Naive).map_or(0.0, Tally::error);
    let scores: Vec<ModelScore> = tallies
        .iter()
        .map(|(model, tally)| ModelScore {
            model: *model,
            accuracy: measure(tally, values, horizon, &scales, scaled, floor),
            against_naive: (naive_error > 0.0).then(|| tally.error() / naive_error),
        })
        .collect();
    let champion = choose(&tallies, options.evidence);
    let ratios = tallies
        .into_iter()
        .map(|(model, tally)| (model, tally.ratios))
        .collect();
    Some((
        Backtest {
            folds,
            horizon,
            stride,
            scores,
            champion,
        },
        ratios,
    ))
}

/// Interval measures use widths learned from the other folds only, so that no fold judges itself.
fn measure(
    tally: &Tally,
    values: &[f64],
    horizon: usize,
    scales: &[Option<f64>],
    scaled: f64,
    floor: Option<f64>,
) -> Accuracy {
    let folds = tally.errors.len() as f64;
    let (mut coverage80, mut coverage95, mut msis) = (0.0, 0.0, 0.0);
    for (fold, (origin, mean, deviation)) in tally.outcomes.iter().enumerate() {
        let others: Vec<f64> = tally
            .outcomes
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != fold)
            .flat_map(|(_, (origin, mean, deviation))| {
                (0..horizon)
                    .filter(|h| deviation[*h] > 0.0)
                    .map(move |h| (values[origin + h] - mean[h]) / deviation[h])
            })
            .collect();
        let width = interval::Width::learn(Some(&others));
        let steps: Vec<_> = mean
            .iter()
            .zip(deviation)
            .map(|(m, d)| interval::step(*m, *d, &width, floor))
            .collect();
        let actual = &values[*origin..origin + horizon];
        let (inside80, inside95) = accuracy::coverage(actual, &steps);
        coverage80 += inside80 / folds;
        coverage95 += inside95 / folds;
        if let Some(scale) = scales[fold] {
            msis += accuracy::msis(actual, &steps, scale) / scaled;
        }
    }
    Accuracy {
        mase: if scaled > 0.0 {
            tally.mase / scaled
        } else {
            0.0
        },
        smape: tally.smape / folds,
        coverage80,
        coverage95,
        msis,
    }
}

/// The combination unless a challenger beats it; then a naive method where that beats the chosen one.
fn choose(tallies: &BTreeMap<Model, Tally>, evidence: f64) -> Model {
    let mut chosen = Model::Naive;
    if tallies.contains_key(&Model::Ensemble) {
        chosen = Model::Ensemble;
        for model in ensemble::MEMBERS {
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
