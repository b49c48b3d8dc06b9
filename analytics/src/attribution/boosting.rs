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
    /// Share of the rows, the last ones, that decide when to stop; rows of one time stay together. 0 grows all trees.
    pub holdout: f64,
    /// Trees without a better holdout error after which to stop.
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
    /// Whether the model is fitted again to all rows, with the number of trees that the holdout chose.
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
    /// Root mean squared error on the holdout, before any fit to it; `None` without one.
    pub holdout_error: Option<f64>,
    /// The same of predicting the mean of the earlier rows.
    pub holdout_error_of_mean: Option<f64>,
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
    /// All rows are of one time, so none come after others.
    #[error("all rows are of one time, so there is no later part to hold out")]
    OneTime,
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
/// The last part of the rows in time decides the number of trees, so that the choice is made as the model will be used: on what
/// comes after. One thread; the same data and seed give the same model. Asks `cancel` before every column and tree.
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
    let early = early_rows(&rows, times.as_deref(), options.holdout)?;

    let data = Data::new(&features, target, &rows);
    let mut growth = Growth::grow(&data, early, options, options.trees, cancel)?;
    if options.refit && early < rows.len() {
        let count = growth.trees.len();
        let (error, of_mean) = (growth.error, growth.error_of_mean);
        growth = Growth::grow(&data, rows.len(), options, count, cancel)?;
        growth.error = error;
        growth.error_of_mean = of_mean;
    }
    let trees = growth
        .trees
        .iter()
        .enumerate()
        .map(|(at, tree)| from_forust(at, tree, features.names().len()))
        .collect::<Result<_, _>>()?;
    Ok(Fitted {
        model: Model::new(
            options.features.clone(),
            false,
            trees,
            growth.base,
            Comparison::Below,
            Vec::new(),
        ),
        rows: rows.len(),
        holdout_rows: rows.len() - early,
        holdout_error: growth.error,
        holdout_error_of_mean: growth.error_of_mean,
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

/// How many of the rows in time order come before the holdout.
fn early_rows(rows: &[usize], times: Option<&[f64]>, holdout: f64) -> Result<usize, TrainError> {
    if holdout == 0.0 {
        return Ok(rows.len());
    }
    let wanted = ((rows.len() as f64 * (1.0 - holdout)).round() as usize).clamp(1, rows.len() - 1);
    let Some(times) = times else {
        return Ok(wanted);
    };
    let parts = |at: usize| times[rows[at - 1]] < times[rows[at]];
    (1..rows.len())
        .filter(|&at| parts(at))
        .min_by_key(|&at| at.abs_diff(wanted))
        .ok_or(TrainError::OneTime)
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

/// Trees and their error on the rows after those they were grown on.
struct Growth {
    trees: Vec<ForustTree>,
    base: f64,
    error: Option<f64>,
    error_of_mean: Option<f64>,
}

impl Growth {
    /// Grows up to `most` trees on the first `early` rows, and drops those after the best on the others.
    fn grow(
        data: &Data,
        early: usize,
        options: &BoostingOptions,
        most: usize,
        cancel: &dyn Cancel,
    ) -> Result<Self, TrainError> {
        let values = data.part(0, early);
        let later_values = data.part(early, data.rows);
        let (target, later) = data.target.split_at(early);
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
        let base = target.iter().sum::<f64>() / early as f64;
        let mut fitted = vec![base; early];
        let mut predicted = vec![base; later.len()];
        let error_of_mean = error(later, &predicted);
        let mut best = error_of_mean;
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
        Ok(Self {
            trees,
            base,
            error: best,
            error_of_mean,
        })
    }
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
    let squares: f64 = target
        .iter()
        .zip(predicted)
        .map(|(t, p)| (t - p) * (t - p))
        .sum();
    (!target.is_empty()).then(|| (squares / target.len() as f64).sqrt())
}
