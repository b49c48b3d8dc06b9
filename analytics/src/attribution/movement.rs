//! What moved a brand's outcome lately: boosted trees over the brands of a portfolio, and the exact split of what they say.
//!
//! One brand alone has too few periods to learn from. So all brands are put in percent of their own average and learnt from
//! together. The trees are then asked what is different in the brand's last periods against the year before them: each driver's
//! part is its exact Shapley value with those earlier periods as the background, averaged over fits to different draws of the
//! rows. How wrong the trees are on the last periods, which neither grew them nor chose how many there are, stands beside it,
//! with the error of guessing the average: only models that beat that guess explain anything.

use polars::prelude::{Column, DataFrame};
use thiserror::Error;

use super::{
    boosting::{BoostingOptions, TrainError, train},
    explain::{ExplainError, ExplainOptions, Reference, explain},
    features::{Features, FeaturesError},
    sentence::{Driver, DriverOptions, driver_sentences, drivers},
};
use crate::cancel::Cancel;

/// Models that are fitted to different draws of the rows, for the intervals.
const FITS: u64 = 5;
/// Standard errors by which models must beat the guess of the average.
const ADVANTAGE: f64 = 2.0;
/// Name of the outcome's column, which no driver can have.
const OUTCOME: &str = "\u{0}outcome";
/// Name of the column of periods.
const PERIOD: &str = "\u{0}period";

/// One brand: all of its series cover the same periods.
#[derive(Debug, Clone, PartialEq)]
pub struct BrandRows {
    /// The outcome; NaN where it is not known.
    pub outcome: Vec<f64>,
    /// One series per driver, in the order of their names; NaN where it is not known.
    pub drivers: Vec<Vec<f64>>,
}

/// What to explain.
#[derive(Debug, Clone, PartialEq)]
pub struct Movement {
    /// Names of the drivers as they stand in a sentence.
    pub names: Vec<String>,
    /// Whether a driver is measured against the brand's own average, as spend and prices are; time is not.
    pub relative: Vec<bool>,
    /// The brands to learn from.
    pub brands: Vec<BrandRows>,
    /// The brand to explain.
    pub brand: usize,
    /// Last periods that are explained, at least 1.
    pub recent: usize,
    /// Periods before them that they are compared with, at least 1.
    pub before: usize,
    /// Name of the outcome as it stands in a sentence.
    pub outcome: String,
    /// Name of one period.
    pub period: String,
    /// Most sentences.
    pub most: usize,
    /// Seed of the draws of rows.
    pub seed: u64,
}

/// What moved the outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The brand's average over all periods, in the outcome's unit: 100 percent.
    pub average: f64,
    /// Mean of the outcome over the periods before, in percent of the average.
    pub before: f64,
    /// Mean over the last periods, in percent of the average.
    pub recent: f64,
    /// The part of the change that the drivers' parts add up to, mean over the fits, in percent of the average.
    pub explained: f64,
    /// The drivers, the largest first; effects in percent of the average.
    pub drivers: Vec<Driver>,
    /// A sentence per driver that moved anything.
    pub sentences: Vec<String>,
    /// Root mean squared error on the last fifth of all periods, which had no part in the fit or in the number of trees, mean
    /// over the fits, in percent of the average.
    pub holdout_error: f64,
    /// The same of guessing the average of the earlier periods.
    pub holdout_error_of_mean: f64,
    /// Whether the models beat that guess: with a smaller error, and by more than two standard errors of the difference from
    /// period to period ([`Fitted::holdout_advantage`], mean over the fits). Where nothing drives the outcome, a smaller error
    /// alone comes by chance in 18 of 60 simulated portfolios, and this in none of them. Where this is false, the effects say
    /// nothing.
    ///
    /// [`Fitted::holdout_advantage`]: super::Fitted::holdout_advantage
    pub is_better_than_mean: bool,
    /// Rows that were learnt from.
    pub rows: usize,
    /// Rows that were held out.
    pub holdout_rows: usize,
}

/// Why a movement cannot be explained.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MovementError {
    /// Series, names or numbers do not fit together.
    #[error("{0}")]
    Shape(&'static str),
    /// The brand's outcome is not known in the periods, or is zero on average.
    #[error("the brand's outcome is not known in the last periods and before them")]
    Unknown,
    /// No model.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// No explanation.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// No table.
    #[error(transparent)]
    Features(#[from] FeaturesError),
}

/// Explains the brand's last periods.
///
/// # Errors
/// [`MovementError`].
pub fn movement(of: &Movement, cancel: &(dyn Cancel + Sync)) -> Result<Moved, MovementError> {
    let length = check(of)?;
    let own = &of.brands[of.brand];
    let average = mean(&own.outcome)
        .filter(|level| *level > 0.0)
        .ok_or(MovementError::Unknown)?;
    let recent = length - of.recent..length;
    let before = (length - of.recent).saturating_sub(of.before)..length - of.recent;
    let percent = |range: &std::ops::Range<usize>| {
        mean(&own.outcome[range.clone()]).map(|level| 100.0 * level / average)
    };
    let (Some(was), Some(is)) = (percent(&before), percent(&recent)) else {
        return Err(MovementError::Unknown);
    };
    let scaled: Vec<Scaled> = of
        .brands
        .iter()
        .filter_map(|brand| Scaled::new(brand, &of.relative))
        .collect();
    // A brand whose outcome has no average is not learnt from, so the place of the explained one is found again.
    let place = of.brands[..of.brand]
        .iter()
        .filter(|brand| Scaled::new(brand, &of.relative).is_some())
        .count();
    let frame = frame(of, &scaled, length)?;
    let fit = |seed: u64| {
        let options = BoostingOptions {
            order: Some(PERIOD.to_owned()),
            trees: 200,
            depth: 3,
            learning_rate: 0.1,
            leaf_rows: 5.0,
            row_share: 0.8,
            bins: 64,
            seed,
            ..BoostingOptions::new(OUTCOME, of.names.clone())
        };
        train(&frame, &options, cancel)
    };
    let rows = scaled[place].rows(&of.names, recent)?;
    let background = scaled[place].rows(&of.names, before)?;
    let mut contributions = Vec::new();
    let (mut errors, mut advantages) = (Vec::new(), Vec::new());
    let mut judged = None;
    for draw in 0..FITS {
        let fitted = fit(of.seed.wrapping_add(draw))?;
        contributions.push(explain(
            &fitted.model,
            &rows,
            Reference::Background(&background),
            ExplainOptions::default(),
            cancel,
        )?);
        errors.extend(fitted.holdout_error);
        advantages.push(fitted.holdout_advantage.unwrap_or(0.0));
        judged.get_or_insert(fitted);
    }
    let judged = judged.ok_or(MovementError::Unknown)?;
    let (Some(error), Some(of_mean)) = (mean(&errors), judged.holdout_error_of_mean) else {
        return Err(MovementError::Shape("there is nothing to hold out"));
    };
    let says = DriverOptions {
        outcome: of.outcome.clone(),
        unit: "% of its average".to_owned(),
        row: of.period.clone(),
        rows: Vec::new(),
        most: of.most,
    };
    let found = drivers(&rows, &contributions, &says)?;
    Ok(Moved {
        average,
        before: was,
        recent: is,
        explained: found.iter().map(|driver| driver.effect).sum(),
        sentences: driver_sentences(&rows, &contributions, &says)?,
        drivers: found,
        holdout_error: error,
        holdout_error_of_mean: of_mean,
        is_better_than_mean: error < of_mean
            && mean(&advantages).is_some_and(|advantage| advantage > ADVANTAGE),
        rows: judged.rows,
        holdout_rows: judged.holdout_rows,
    })
}

/// Length of all series.
fn check(of: &Movement) -> Result<usize, MovementError> {
    let own = of
        .brands
        .get(of.brand)
        .ok_or(MovementError::Shape("there is no such brand"))?;
    let length = own.outcome.len();
    if of.names.is_empty() || of.names.len() != of.relative.len() {
        return Err(MovementError::Shape("every driver needs a name"));
    }
    let fits = |brand: &BrandRows| {
        brand.outcome.len() == length
            && brand.drivers.len() == of.names.len()
            && brand.drivers.iter().all(|series| series.len() == length)
    };
    if !of.brands.iter().all(fits) {
        return Err(MovementError::Shape(
            "all series must cover the same periods",
        ));
    }
    if of.recent == 0 || of.before == 0 || of.recent >= length {
        return Err(MovementError::Shape(
            "there must be periods to explain and periods before them",
        ));
    }
    Ok(length)
}

/// A brand in percent of its own averages.
struct Scaled {
    outcome: Vec<f64>,
    drivers: Vec<Vec<f64>>,
}

impl Scaled {
    fn new(brand: &BrandRows, relative: &[bool]) -> Option<Self> {
        let level = mean(&brand.outcome).filter(|level| *level > 0.0)?;
        let scale = |series: &[f64], by: f64| series.iter().map(|v| 100.0 * v / by).collect();
        Some(Self {
            outcome: scale(&brand.outcome, level),
            drivers: brand
                .drivers
                .iter()
                .zip(relative)
                .map(|(series, relative)| match mean(series) {
                    Some(own) if *relative && own > 0.0 => scale(series, own),
                    _ => series.clone(),
                })
                .collect(),
        })
    }

    fn rows(
        &self,
        names: &[String],
        range: std::ops::Range<usize>,
    ) -> Result<Features, FeaturesError> {
        let cut = |series: &Vec<f64>| series[range.clone()].to_vec();
        Features::new(names.to_vec(), self.drivers.iter().map(cut).collect())
    }
}

fn frame(of: &Movement, brands: &[Scaled], length: usize) -> Result<DataFrame, MovementError> {
    let known = |values: Vec<f64>| -> Vec<Option<f64>> {
        values
            .into_iter()
            .map(|v| v.is_finite().then_some(v))
            .collect()
    };
    let stacked = |series: &dyn Fn(&Scaled) -> &Vec<f64>| {
        known(
            brands
                .iter()
                .flat_map(|brand| series(brand).clone())
                .collect(),
        )
    };
    let mut columns = vec![
        Column::new(OUTCOME.into(), stacked(&|brand| &brand.outcome)),
        Column::new(
            PERIOD.into(),
            (0..brands.len())
                .flat_map(|_| (0..length).map(|t| t as f64))
                .collect::<Vec<f64>>(),
        ),
    ];
    for (at, name) in of.names.iter().enumerate() {
        columns.push(Column::new(
            name.as_str().into(),
            stacked(&|brand| &brand.drivers[at]),
        ));
    }
    DataFrame::new_infer_height(columns)
        .map_err(|_| MovementError::Shape("two drivers have one name"))
}

/// Mean of the known values.
fn mean(values: &[f64]) -> Option<f64> {
    let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cancel::never, rng};

    /// Eight brands over 120 weeks whose sales follow their price (an elasticity of −2) and nothing else; in the last four weeks
    /// the first brand is a fifth cheaper.
    fn world(effect: f64) -> Movement {
        world_of(effect, 5)
    }

    /// The same of another draw.
    fn world_of(effect: f64, seed: u64) -> Movement {
        let mut random = rng::stream(seed, &[]);
        let brands = (0..8)
            .map(|brand| {
                let price: Vec<f64> = (0..120)
                    .map(|t| {
                        let cut = if brand == 0 && t >= 116 { 0.8 } else { 1.0 };
                        3.0 * cut * (0.1 * rng::normal(&mut random)).exp()
                    })
                    .collect();
                let weather: Vec<f64> = (0..120).map(|_| 10.0 + rng::normal(&mut random)).collect();
                let outcome = price
                    .iter()
                    .map(|p| {
                        100.0
                            * (brand + 1) as f64
                            * (p / 3.0).powf(effect)
                            * (0.03 * rng::normal(&mut random)).exp()
                    })
                    .collect();
                BrandRows {
                    outcome,
                    drivers: vec![price, weather],
                }
            })
            .collect();
        Movement {
            names: vec!["price".to_owned(), "weather".to_owned()],
            relative: vec![true, true],
            brands,
            brand: 0,
            recent: 4,
            before: 52,
            outcome: "units".to_owned(),
            period: "week".to_owned(),
            most: 5,
            seed: 7,
        }
    }

    #[test]
    fn a_price_cut_is_named_with_its_size_and_a_model_that_can_be_trusted() {
        let made = movement(&world(-2.0), &never).expect("sound");
        assert_eq!(made.drivers[0].feature, "price");
        let effect = made.drivers[0].effect;
        // A fifth cheaper at an elasticity of −2 sells 1.56 times as much.
        assert!((30.0..70.0).contains(&effect), "{made:?}");
        assert!(
            (made.recent - made.before - made.explained).abs() < 15.0,
            "{made:?}"
        );
        assert!(
            made.holdout_error < 0.5 * made.holdout_error_of_mean,
            "{made:?}"
        );
        let sentence = &made.sentences[0];
        assert!(
            sentence.starts_with("price raised units by ")
                && sentence.contains("on average over 4 weeks"),
            "{sentence}"
        );
        for driver in &made.drivers {
            let (low, high) = driver.interval.expect("five fits");
            assert!(low <= driver.effect && driver.effect <= high, "{made:?}");
        }
        let added: f64 = made.drivers.iter().map(|driver| driver.effect).sum();
        assert!((added - made.explained).abs() < 1e-9, "{made:?}");
    }

    /// How many of 60 worlds with this price elasticity have models that beat the guess.
    fn beat_the_guess(elasticity: f64) -> usize {
        (0..60)
            .filter(|&seed| {
                let made = movement(&world_of(elasticity, seed), &never).expect("sound");
                assert!(
                    !made.is_better_than_mean || made.holdout_error < made.holdout_error_of_mean
                );
                made.is_better_than_mean
            })
            .count()
    }

    #[test]
    fn models_of_noise_hardly_ever_beat_the_guess_and_models_of_a_driver_always_do() {
        let (noise, driven) = (beat_the_guess(0.0), beat_the_guess(-2.0));
        assert_eq!(driven, 60);
        assert!(noise <= 3, "{noise} of 60 worlds of noise");
    }

    #[test]
    fn where_nothing_drives_the_outcome_the_error_says_so() {
        let made = movement(&world(0.0), &never).expect("sound");
        assert!(
            made.holdout_error > 0.9 * made.holdout_error_of_mean,
            "{made:?}"
        );
    }

    #[test]
    fn the_same_seed_says_the_same_and_unsound_input_is_refused() {
        let world = world(-2.0);
        assert_eq!(movement(&world, &never), movement(&world, &never));
        let stop = || true;
        assert!(movement(&world, &stop).is_err());
        let mut short = world.clone();
        short.brands[1].outcome.pop();
        assert!(matches!(
            movement(&short, &never),
            Err(MovementError::Shape(_))
        ));
        let mut silent = world;
        silent.brands[0].outcome.fill(f64::NAN);
        assert_eq!(movement(&silent, &never), Err(MovementError::Unknown));
    }
}
