//! Gradient boosting with squared loss on a panel in time order.

use forust_ml::{
    Matrix, binning::bin_matrix, constraints::ConstraintMap, data::JaggedMatrix,
    gradientbooster::GrowPolicy, sampler::SampleMethod, splitter::MissingImputerSplitter,
    tree::Tree as ForustTree,
};
use polars::prelude::{DataFrame, DataType};
use rand::Rng;
use thiserror::Error;

use super::{
    features::{Features, FeaturesError},
    forust::from_forust,
    model::{Comparison, Model, ModelError},
};
use crate::{
    cancel::{Cancel, Cancelled},
    rng,
};

/// What to learn from which columns, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct BoostingOptions {
    /// Column of the outcome; rows without it are left out.
    pub target: String,
    /// Columns to learn from; null is missing.
    pub features: Vec<String>,
    /// Column of dates or numbers that orders the rows in time; without one they are in order already.
    pub order: Option<String>,
    /// Share of the rows, the last ones, by which the model is judged. Of the rows before them, the same share, the last ones
    /// again, decides when to stop. Rows of one time stay together. 0 grows all trees and judges nothing.
    pub holdout: f64,
    /// Trees without a better error on the rows that decide after which to stop.
    pub patience: usize,
    /// The most trees.
    pub trees: usize,
    /// The most questions between root and leaf.
    pub depth: usize,
    /// Part of each tree's answer that is used.
    pub learning_rate: f32,
    /// Penalty on the square of a leaf's answer, in rows.
    pub ridge: f32,
    /// The fewest rows in a leaf.
    pub leaf_rows: f32,
    /// The most different values of a feature that are told apart.
    pub bins: u16,
    /// Share of the rows that each tree sees, drawn anew.
    pub row_share: f64,
    /// Whether the model is fitted again to all rows, with the number of trees that was chosen. Otherwise it is the one that was
    /// judged, fitted to the rows before the holdout.
    pub refit: bool,
    /// Seed of the draws of rows.
    pub seed: u64,
}

impl BoostingOptions {
    /// Usual settings for an outcome and its features.
    #[must_use]
    pub fn new(target: impl Into<String>, features: Vec<String>) -> Self {
        Self {
            target: target.into(),
            features,
            order: None,
            holdout: 0.2,
            patience: 20,
            trees: 300,
            depth: 6,
            learning_rate: 0.1,
            ridge: 1.0,
            leaf_rows: 1.0,
            bins: 256,
            row_share: 1.0,
            refit: true,
            seed: 0,
        }
    }
}

/// A fitted model and how good it was on rows it had not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// Rows with an outcome.
    pub rows: usize,
    /// Rows of the holdout.
    pub holdout_rows: usize,
    /// Root mean squared error on the holdout, in the outcome's unit, of the model of the rows before it; the holdout had no part
    /// in the fit or in the number of trees. `None` without one.
    pub holdout_error: Option<f64>,
    /// The same of predicting the mean of the rows before the holdout.
    pub holdout_error_of_mean: Option<f64>,
    /// How sure it is that the model errs less than that mean: the squared error of the mean less the model's, averaged over the
    /// times of the holdout, in its standard errors (Diebold and Mariano 1995). Chance seldom brings it above 2. `None` where the
    /// two do not differ or the holdout is of one time.
    pub holdout_advantage: Option<f64>,
}

/// Why no model was fitted.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TrainError {
    /// A column is absent or not numeric.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// There is nothing to learn from.
    #[error("no features are named")]
    NoFeatures,
    /// An option is out of its range.
    #[error("{0}")]
    Option(String),
    /// Too few rows have an outcome.
    #[error("{0} rows with an outcome are too few to learn from; at least 10 are needed")]
    TooFew(usize),
    /// An infinite number.
    #[error("column {column:?} has an infinite value in row {row}")]
    Infinite {
        /// The column.
        column: String,
        /// The row, from 0.
        row: usize,
    },
    /// The order of a row is unknown.
    #[error("row {0} has no time")]
    NoTime(usize),
    /// The rows are of one time or two, which do not give a part to grow on, one to stop by and one to judge by.
    #[error(
        "the rows are of fewer than three times, so there is no later part to stop by and none after that to judge by"
    )]
    FewTimes,
    /// The fitted trees are not usable.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The boosting library refused the data.
    #[error("the trees could not be grown: {0}")]
    Library(String),
    /// The caller wanted to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// The fewest rows with an outcome.
const FEWEST_ROWS: usize = 10;

/// Fits boosted regression trees (Friedman 2001; second-order histogram trees of Chen and Guestrin 2016, grown by forust).
///
/// A late part of the rows in time decides the number of trees, so that the choice is made as the model will be used: on what
/// comes after. The part after that had no say in it and measures the error, which therefore can be worse than that of the mean:
/// an error on the rows that chose the number could not. The outcome's unit does not matter: trees are grown on its distance
/// from its mean in standard deviations. One thread; the same data and seed give the same model. Asks `cancel` before every
/// column and tree.
///
/// # Errors
/// See [`TrainError`].
pub fn train(
    frame: &DataFrame,
    options: &BoostingOptions,
    cancel: &dyn Cancel,
) -> Result<Fitted, TrainError> {
    check(options)?;
    let features = Features::from_frame(frame, &options.features)?;
    let target = Features::from_frame(frame, std::slice::from_ref(&options.target))?;
    let target = &target.columns()[0];
    for (name, column) in features
        .names()
        .iter()
        .zip(features.columns())
        .chain([(&options.target, target)])
    {
        if let Some(row) = column.iter().position(|value| value.is_infinite()) {
            return Err(TrainError::Infinite {
                column: name.clone(),
                row,
            });
        }
    }
    let mut rows: Vec<usize> = (0..frame.height())
        .filter(|&row| !target[row].is_nan())
        .collect();
    if rows.len() < FEWEST_ROWS {
        return Err(TrainError::TooFew(rows.len()));
    }
    let times = options
        .order
        .as_ref()
        .map(|name| times(frame, name))
        .transpose()?;
    if let Some(times) = &times {
        if let Some(&row) = rows.iter().find(|&&row| times[row].is_nan()) {
            return Err(TrainError::NoTime(row));
        }
        rows.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
    }
    let (grown, early) = parts(&rows, times.as_deref(), options.holdout)?;

    let data = Data::new(&features, target, &rows);
    let mut growth = Growth::grow(&data, grown, early, options, options.trees, cancel)?;
    let (mut error, mut error_of_mean, mut advantage) = (None, None, None);
    if early < rows.len() {
        let count = growth.trees.len();
        growth = Growth::grow(&data, early, early, options, count, cancel)?;
        let of_model = growth.squares(&data, early, &growth.trees);
        let of_mean = growth.squares(&data, early, &[]);
        error = root_mean(&of_model).map(|error| growth.scale * error);
        error_of_mean = root_mean(&of_mean).map(|error| growth.scale * error);
        let is_new_time = |at: usize| {
            let times = times.as_ref();
            times.is_none_or(|times| times[rows[early + at - 1]] < times[rows[early + at]])
        };
        advantage = certainty(&by_time(&of_model, &of_mean, is_new_time));
        if options.refit {
            growth = Growth::grow(&data, rows.len(), rows.len(), options, count, cancel)?;
        }
    }
    let trees = growth
        .trees
        .iter()
        .enumerate()
        .map(|(at, tree)| from_forust(at, tree, features.names().len(), growth.scale))
        .collect::<Result<_, _>>()?;
    Ok(Fitted {
        model: Model::new(
            options.features.clone(),
            false,
            trees,
            growth.base,
            Comparison::Below,
            Vec::new(),
        )?,
        rows: rows.len(),
        holdout_rows: rows.len() - early,
        holdout_error: error,
        holdout_error_of_mean: error_of_mean,
        holdout_advantage: advantage,
    })
}

fn check(options: &BoostingOptions) -> Result<(), TrainError> {
    if options.features.is_empty() {
        return Err(TrainError::NoFeatures);
    }
    if options.features.contains(&options.target) {
        return Err(TrainError::Option(format!(
            "{:?} cannot explain itself: it is the outcome and one of the features",
            options.target
        )));
    }
    let rules = [
        (
            (0.0..1.0).contains(&options.holdout),
            "the holdout is a share below 1",
        ),
        (
            options.row_share > 0.0 && options.row_share <= 1.0,
            "the share of rows per tree is above 0 and up to 1",
        ),
        (
            options.learning_rate > 0.0 && options.learning_rate <= 1.0,
            "the learning rate is above 0 and up to 1",
        ),
        (
            options.ridge >= 0.0 && options.ridge.is_finite(),
            "the ridge penalty is not negative",
        ),
        (
            options.leaf_rows >= 0.0 && options.leaf_rows.is_finite(),
            "the rows per leaf are not negative",
        ),
        (options.bins >= 2, "there are at least two bins"),
        (
            (1..=20).contains(&options.depth),
            "the depth is between 1 and 20",
        ),
        (options.patience >= 1, "the patience is at least one tree"),
    ];
    match rules.iter().find(|(holds, _)| !holds) {
        Some((_, rule)) => Err(TrainError::Option((*rule).to_owned())),
        None => Ok(()),
    }
}

/// A column of dates or numbers as numbers.
fn times(frame: &DataFrame, name: &str) -> Result<Vec<f64>, TrainError> {
    let column = frame
        .column(name)
        .map_err(|_| FeaturesError::Absent(name.to_owned()))?;
    let unusable = || FeaturesError::NotNumeric {
        name: name.to_owned(),
        dtype: column.dtype().to_string(),
    };
    if !column.dtype().is_primitive_numeric() && !column.dtype().is_temporal() {
        return Err(unusable().into());
    }
    let numbers = column
        .to_physical_repr()
        .cast(&DataType::Float64)
        .map_err(|_| unusable())?;
    let numbers = numbers.f64().map_err(|_| unusable())?;
    Ok(numbers.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

/// How many of the rows in time order come before the part that decides when to stop, and how many before the holdout.
fn parts(
    rows: &[usize],
    times: Option<&[f64]>,
    holdout: f64,
) -> Result<(usize, usize), TrainError> {
    if holdout == 0.0 {
        return Ok((rows.len(), rows.len()));
    }
    let borders: Vec<usize> = (1..rows.len())
        .filter(|&at| times.is_none_or(|times| times[rows[at - 1]] < times[rows[at]]))
        .collect();
    let nearest = |borders: &[usize], all: usize| {
        let wanted = (all as f64 * (1.0 - holdout)).round() as usize;
        let distance = |at: &usize| at.abs_diff(wanted);
        borders.iter().copied().min_by_key(distance)
    };
    // The first border is left to the part that decides.
    let early = borders
        .get(1..)
        .and_then(|later| nearest(later, rows.len()));
    let early = early.ok_or(TrainError::FewTimes)?;
    let before = &borders[..borders.partition_point(|&at| at < early)];
    let grown = nearest(before, early).ok_or(TrainError::FewTimes)?;
    Ok((grown, early))
}

/// Columns in time order, one after the other.
struct Data {
    values: Vec<f64>,
    target: Vec<f64>,
    rows: usize,
    columns: usize,
}

impl Data {
    fn new(features: &Features, target: &[f64], rows: &[usize]) -> Self {
        let columns = features.columns();
        Self {
            values: columns
                .iter()
                .flat_map(|column| rows.iter().map(|&row| column[row]))
                .collect(),
            target: rows.iter().map(|&row| target[row]).collect(),
            rows: rows.len(),
            columns: columns.len(),
        }
    }

    /// The rows `from .. to` of all columns.
    fn part(&self, from: usize, to: usize) -> Vec<f64> {
        (0..self.columns)
            .flat_map(|c| &self.values[c * self.rows + from..c * self.rows + to])
            .copied()
            .collect()
    }
}

/// Trees that add up to the distance of the outcome from `base` in units of `scale`.
struct Growth {
    trees: Vec<ForustTree>,
    /// Mean of the outcome over the rows that the trees were grown on.
    base: f64,
    /// Its standard deviation there; 1 where it does not vary.
    scale: f64,
}

impl Growth {
    /// Grows up to `most` trees on the first `early` rows, and drops those after the best on the rows from there `until`, if
    /// there are any.
    fn grow(
        data: &Data,
        early: usize,
        until: usize,
        options: &BoostingOptions,
        most: usize,
        cancel: &dyn Cancel,
    ) -> Result<Self, TrainError> {
        let values = data.part(0, early);
        let later_values = data.part(early, until);
        let (base, scale) = level(&data.target[..early]);
        // The trees' sums and gains are 32-bit, which squares of an outcome in its own unit need not fit in.
        let standard: Vec<f64> = data.target[..until]
            .iter()
            .map(|target| (target - base) / scale)
            .collect();
        let (target, later) = standard.split_at(early);
        let seen = Matrix::new(&values, early, data.columns);
        let unseen = Matrix::new(&later_values, later.len(), data.columns);
        let (bins, cuts, columns) = bin(&values, early, data.columns, options.bins, cancel)?;
        let binned = Matrix::new(&bins, early, data.columns);
        let splitter = MissingImputerSplitter {
            l1: 0.0,
            l2: options.ridge,
            max_delta_step: 0.0,
            gamma: 0.0,
            min_leaf_weight: options.leaf_rows,
            learning_rate: options.learning_rate,
            allow_missing_splits: true,
            constraints_map: ConstraintMap::new(),
        };
        let mut fitted = vec![0.0; early];
        let mut predicted = vec![0.0; later.len()];
        let mut best = error(later, &predicted);
        let mut kept = 0;
        let mut trees: Vec<ForustTree> = Vec::new();
        let weights = vec![1.0_f32; early];
        let mut gradient = vec![0.0_f32; early];
        let missing = f64::NAN;
        // With no feature that varies there is nothing to ask.
        let most = if columns.is_empty() { 0 } else { most };
        for number in 0..most {
            cancel.check()?;
            for ((gradient, &fitted), &target) in gradient.iter_mut().zip(&fitted).zip(target) {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "forust grows on 32-bit gradients"
                )]
                {
                    *gradient = (fitted - target) as f32;
                }
            }
            let all = options.row_share >= 1.0;
            let index: Vec<usize> = if all {
                (0..early).collect()
            } else {
                let mut draws = rng::stream(options.seed, &[number as u64]);
                let drawn: Vec<usize> = (0..early)
                    .filter(|_| draws.random::<f64>() < options.row_share)
                    .collect();
                if drawn.is_empty() {
                    (0..early).collect()
                } else {
                    drawn
                }
            };
            let method = if all {
                SampleMethod::None
            } else {
                SampleMethod::Random
            };
            let mut tree = ForustTree::new();
            let leaves = tree.fit(
                &binned,
                index,
                &columns,
                &cuts,
                &gradient,
                &weights,
                &splitter,
                usize::MAX,
                options.depth,
                false,
                &method,
                &GrowPolicy::DepthWise,
            );
            match leaves.filter(|_| all) {
                Some(leaves) => {
                    for (rows, value) in leaves.leaves(&tree) {
                        for &row in rows {
                            fitted[row] += value;
                        }
                    }
                }
                None => add(&mut fitted, &tree.predict(&seen, false, &missing)),
            }
            add(&mut predicted, &tree.predict(&unseen, false, &missing));
            trees.push(tree);
            match (error(later, &predicted), best) {
                (Some(now), Some(before)) if now >= before => {
                    if trees.len() - kept >= options.patience {
                        break;
                    }
                }
                (now, _) => {
                    best = now;
                    kept = trees.len();
                }
            }
        }
        trees.truncate(kept);
        Ok(Self { trees, base, scale })
    }

    /// Squared errors of some of the trees on the rows from `early` on, in units of the square of `scale`.
    fn squares(&self, data: &Data, early: usize, trees: &[ForustTree]) -> Vec<f64> {
        let values = data.part(early, data.rows);
        let rows = Matrix::new(&values, data.rows - early, data.columns);
        let standard: Vec<f64> = data.target[early..]
            .iter()
            .map(|target| (target - self.base) / self.scale)
            .collect();
        let mut predicted = vec![0.0; standard.len()];
        for tree in trees {
            add(&mut predicted, &tree.predict(&rows, false, &f64::NAN));
        }
        squares(&standard, &predicted)
    }
}

/// Mean and standard deviation; 1 for the latter where nothing varies.
fn level(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    // In units of the largest distance, so that no square is too large or too small for a number.
    let largest = values.iter().map(|v| (v - mean).abs()).fold(0.0, f64::max);
    if largest == 0.0 {
        return (mean, 1.0);
    }
    let squares: f64 = values.iter().map(|v| ((v - mean) / largest).powi(2)).sum();
    (mean, largest * (squares / count).sqrt())
}

/// Columns as bins, their cuts, and which columns vary.
type Binned = (Vec<u16>, JaggedMatrix<f64>, Vec<usize>);

fn bin(
    values: &[f64],
    rows: usize,
    columns: usize,
    bins: u16,
    cancel: &dyn Cancel,
) -> Result<Binned, TrainError> {
    let weights = vec![1.0; rows];
    let mut binned = Vec::with_capacity(values.len());
    let mut cuts = Vec::with_capacity(columns);
    let mut varying = Vec::new();
    for column in 0..columns {
        cancel.check()?;
        let values = &values[column * rows..(column + 1) * rows];
        let mut present = values.iter().filter(|value| !value.is_nan());
        let Some(first) = present.next() else {
            // Never present: nothing can be asked of it.
            binned.extend(std::iter::repeat_n(0, rows));
            cuts.push(vec![0.0, f64::MAX]);
            continue;
        };
        let missing = values.iter().any(|value| value.is_nan());
        if missing || present.any(|value| value != first) {
            varying.push(column);
        }
        let one = bin_matrix(
            &Matrix::new(values, rows, 1),
            &weights,
            bins,
            f64::NAN,
            false,
        )
        .map_err(|error| TrainError::Library(error.to_string()))?;
        binned.extend(one.binned_data);
        cuts.push(one.cuts.data);
    }
    Ok((binned, JaggedMatrix::from_vecs(&cuts), varying))
}

fn add(sums: &mut [f64], values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

/// Root mean squared error; `None` of no rows.
fn error(target: &[f64], predicted: &[f64]) -> Option<f64> {
    root_mean(&squares(target, predicted))
}

fn squares(target: &[f64], predicted: &[f64]) -> Vec<f64> {
    let pairs = target.iter().zip(predicted);
    pairs.map(|(t, p)| (t - p) * (t - p)).collect()
}

fn root_mean(squares: &[f64]) -> Option<f64> {
    let count = squares.len() as f64;
    (!squares.is_empty()).then(|| (squares.iter().sum::<f64>() / count).sqrt())
}

/// How much less the model's squared errors are than the mean's, one average per time: rows of one time share what happened then,
/// so they are no evidence of their own.
fn by_time(of_model: &[f64], of_mean: &[f64], is_new_time: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut times: Vec<(f64, f64)> = Vec::new();
    for (at, (model, mean)) in of_model.iter().zip(of_mean).enumerate() {
        match times.last_mut() {
            Some((sum, rows)) if at > 0 && !is_new_time(at) => {
                *sum += mean - model;
                *rows += 1.0;
            }
            _ => times.push((mean - model, 1.0)),
        }
    }
    times.into_iter().map(|(sum, rows)| sum / rows).collect()
}

/// The mean of a series in its standard errors, which allow for autocorrelation (Newey and West 1987: Bartlett weights, lag
/// 4 (n/100)^(2/9)); `None` where it does not vary.
fn certainty(series: &[f64]) -> Option<f64> {
    let n = series.len();
    let count = n as f64;
    let mean = series.iter().sum::<f64>() / count;
    let rest: Vec<f64> = series.iter().map(|v| v - mean).collect();
    let product = |lag: usize| -> f64 {
        let earlier = rest.iter();
        rest.iter().skip(lag).zip(earlier).map(|(a, b)| a * b).sum()
    };
    let lags = (4.0 * (count / 100.0).powf(2.0 / 9.0)).floor() as usize;
    let weighted = (1..=lags.min(n.saturating_sub(1)))
        .map(|lag| 2.0 * (1.0 - lag as f64 / (lags + 1) as f64) * product(lag))
        .sum::<f64>();
    let variance = (product(0) + weighted) / (count * (count - 1.0));
    (n > 1 && variance > 0.0).then(|| mean / variance.sqrt())
}
