//! What drives an outcome, in words.
//!
//! The sentences are put together mechanically from the numbers; nothing is said that a number does not say.

use super::{
    explain::Contributions,
    features::{Features, FeaturesError},
};

/// Whose contributions are summed up, and how it is said.
#[derive(Debug, Clone, PartialEq)]
pub struct DriverOptions {
    /// What is explained, as it stands in a sentence: `weekly sales`.
    pub outcome: String,
    /// Unit of the outcome as it follows a number, or nothing: `units`.
    pub unit: String,
    /// What a row is, as it stands in a sentence in the singular: `week`.
    pub row: String,
    /// The rows that the sentences are about; all when empty.
    pub rows: Vec<usize>,
    /// The most sentences.
    pub most: usize,
}

/// What one feature did.
#[derive(Debug, Clone, PartialEq)]
pub struct Driver {
    /// Name of the feature.
    pub feature: String,
    /// Mean contribution over the rows and fits, in the outcome's unit: how far it moved the outcome from the reference. Over all
    /// features these add up to the mean prediction of the fits less their mean bias.
    pub effect: f64,
    /// Mean over the rows of the size, without sign, of the contributions that the fits make on average, in the outcome's unit.
    pub size: f64,
    /// This size as a share of all features' sizes; 0 when none moves anything.
    pub share: f64,
    /// Correlation over the rows between the feature's value and its mean contribution; `None` when either does not vary.
    pub slope: Option<f64>,
    /// Lowest and highest of the mean contribution over the middle 80 % of the fits; `None` with fewer than five fits. Of up to
    /// ten fits it always holds `effect`; of more, the mean can lie outside where one fit is far from all others.
    pub interval: Option<(f64, f64)>,
}

/// The fewest fits of which an interval says something.
const FEWEST_FITS: usize = 5;

/// Sums up contributions per feature, the largest first (by size, then by the model's order).
///
/// `fits` holds the contributions of one or more fits of the same features to the same rows (say, of seeds or resamples). Their
/// mean is reported, which is what the mean of the models contributes, and all make the interval.
///
/// # Errors
/// When a feature of the model is absent from `rows`.
///
/// # Panics
/// When fits differ in features or rows, or a row of the options does not exist.
pub fn drivers(
    rows: &Features,
    fits: &[Contributions],
    options: &DriverOptions,
) -> Result<Vec<Driver>, FeaturesError> {
    let Some(first) = fits.first() else {
        return Ok(Vec::new());
    };
    for fit in fits {
        assert_eq!(fit.features, first.features, "fits of the same features");
        assert_eq!(fit.rows(), first.rows(), "fits of the same rows");
    }
    let wanted: Vec<usize> = if options.rows.is_empty() {
        (0..first.rows()).collect()
    } else {
        options.rows.clone()
    };
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let columns = rows.pick(&first.features)?;
    let count = wanted.len() as f64;
    let average = |row: usize, at: usize| {
        fits.iter().map(|fit| fit.row(row)[at]).sum::<f64>() / fits.len() as f64
    };
    let mut drivers: Vec<Driver> = first
        .features
        .iter()
        .enumerate()
        .map(|(at, feature)| {
            let effect = |fit: &Contributions| {
                wanted.iter().map(|&row| fit.row(row)[at]).sum::<f64>() / count
            };
            let contributions: Vec<f64> = wanted.iter().map(|&row| average(row, at)).collect();
            let pairs: Vec<(f64, f64)> = wanted
                .iter()
                .map(|&row| columns[at][row])
                .zip(contributions.iter().copied())
                .filter(|(value, _)| value.is_finite())
                .collect();
            let mean = contributions.iter().sum::<f64>() / count;
            let interval =
                (fits.len() >= FEWEST_FITS).then(|| middle(fits.iter().map(effect).collect()));
            Driver {
                feature: feature.clone(),
                effect: mean,
                size: contributions.iter().map(|c| c.abs()).sum::<f64>() / count,
                share: 0.0,
                slope: correlation(&pairs),
                interval,
            }
        })
        .collect();
    let all: f64 = drivers.iter().map(|driver| driver.size).sum();
    if all > 0.0 {
        for driver in &mut drivers {
            driver.share = driver.size / all;
        }
    }
    drivers.sort_by(|a, b| b.size.total_cmp(&a.size));
    Ok(drivers)
}

/// One sentence per driver that moves anything, the largest first.
///
/// # Errors
/// As [`drivers`].
///
/// # Panics
/// As [`drivers`].
pub fn driver_sentences(
    rows: &Features,
    fits: &[Contributions],
    options: &DriverOptions,
) -> Result<Vec<String>, FeaturesError> {
    let count = if options.rows.is_empty() {
        fits.first().map_or(0, Contributions::rows)
    } else {
        options.rows.len()
    };
    Ok(drivers(rows, fits, options)?
        .iter()
        .filter(|driver| driver.size > 0.0)
        .take(options.most)
        .map(|driver| sentence(driver, count, fits.len(), options))
        .collect())
}

fn sentence(driver: &Driver, rows: usize, fits: usize, options: &DriverOptions) -> String {
    let Driver {
        feature,
        effect,
        size,
        ..
    } = driver;
    let outcome = &options.outcome;
    let amount = |value: f64| {
        let unit = &options.unit;
        let gap = if unit.is_empty() { "" } else { " " };
        format!("{}{gap}{unit}", rounded(value))
    };
    let over = if rows == 1 {
        format!("in this {}", options.row)
    } else {
        format!("on average over {rows} {}s", options.row)
    };
    // A mean that is small beside the sizes it is made of has no direction worth a verb.
    let is_directed = effect.abs() >= 0.1 * size;
    let mut text = if is_directed {
        let verb = if *effect > 0.0 { "raised" } else { "lowered" };
        format!(
            "{feature} {verb} {outcome} by {} {over}",
            amount(effect.abs())
        )
    } else {
        format!(
            "{feature} moved {outcome} up and down by {} {over}",
            amount(*size)
        )
    };
    text.push_str(&format!(", {:.0} % of all movement", 100.0 * driver.share));
    match driver.slope {
        Some(slope) if slope >= 0.5 => {
            text.push_str(&format!("; more {feature} goes with more {outcome}"));
        }
        Some(slope) if slope <= -0.5 => {
            text.push_str(&format!("; more {feature} goes with less {outcome}"));
        }
        Some(_) => text.push_str("; the direction changes with its level or with other drivers"),
        None => {}
    }
    match driver.interval {
        Some((low, high)) => {
            // The interval is of the effect: told in the verb's direction, or, beside a size, as what is left on balance.
            let (low, high) = if is_directed && *effect < 0.0 {
                (-high, -low)
            } else {
                (low, high)
            };
            let balance = if is_directed { "" } else { "on balance " };
            text.push_str(&format!(
                "; {balance}80 % of {fits} fits say {} to {}",
                rounded(low),
                amount(high)
            ));
        }
        None => text.push_str("; how sure this is was not measured"),
    }
    text.push('.');
    text
}

/// Three significant digits.
fn rounded(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return format!("{value}");
    }
    let digits = 2 - value.abs().log10().floor() as i32;
    if digits >= 0 {
        format!("{value:.*}", digits.min(12) as usize)
    } else {
        let unit = 10_f64.powi(-digits);
        format!("{:.0}", (value / unit).round() * unit)
    }
}

/// Pearson's correlation; `None` when either side does not vary.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let count = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        xx += (a - x) * (a - x);
        yy += (b - y) * (b - y);
        xy += (a - x) * (b - y);
    }
    let scale = (xx * yy).sqrt();
    (pairs.len() > 1 && scale > 0.0).then(|| xy / scale)
}

/// The tenth and the ninetieth percentile, linearly between order statistics.
fn middle(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (values.len() - 1) as f64;
        let below = place.floor() as usize;
        let above = place.ceil() as usize;
        values[below] + (values[above] - values[below]) * (place - below as f64)
    };
    (at(0.1), at(0.9))
}
