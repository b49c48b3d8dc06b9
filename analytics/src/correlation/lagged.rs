//! Who runs ahead of whom: correlation of every ordered pair at every lag.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::{CorrelationError, SeriesBlock, SharedCancel, blocks, series::centred};
use crate::linear::dot;

/// Multiplications of one product, so that a cancelled computation stops within a few milliseconds.
const PIECE: usize = 200_000_000;

/// Most correlations at once, two gigabytes of them.
const MOST_VALUES: usize = 1 << 28;

/// Correlations of a leader at period `t` with a follower at `t + lag`, for every ordered pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Lagged {
    count: usize,
    length: usize,
    values: Vec<f64>,
}

impl Lagged {
    /// Number of series.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Largest lag.
    #[must_use]
    pub fn lags(&self) -> usize {
        self.values.len() / (self.count * self.count) - 1
    }

    /// The correlation of `leader` at `t` with `follower` at `t + lag` over the periods both have; `None` where one of the two
    /// has absent values or does not vary there.
    #[must_use]
    pub fn get(&self, lag: usize, leader: usize, follower: usize) -> Option<f64> {
        let value = self.values[(lag * self.count + leader) * self.count + follower];
        value.is_finite().then_some(value)
    }

    /// Number of periods behind the correlations at a lag.
    #[must_use]
    pub fn periods(&self, lag: usize) -> usize {
        self.length - lag
    }

    /// The lag, from 1 on, at which `leader` and `follower` are correlated most, either way, and the correlation there.
    #[must_use]
    pub fn strongest(&self, leader: usize, follower: usize) -> Option<(usize, f64)> {
        (1..=self.lags())
            .filter_map(|lag| Some((lag, self.get(lag, leader, follower)?)))
            .reduce(|best, next| {
                if next.1.abs() > best.1.abs() {
                    next
                } else {
                    best
                }
            })
    }
}

/// Pearson's correlation of every ordered pair of series at the lags 0 to `lags`, each over the periods that both have.
///
/// Autocorrelated series are correlated by chance; [`prewhitened`] series are not.
///
/// # Errors
/// [`CorrelationError::TooFewSeries`] without a series, [`CorrelationError::TooShort`] when fewer than two periods are left
/// at the largest lag, [`CorrelationError::Parameter`] for more than two gigabytes of correlations, [`CorrelationError::Cancelled`].
pub fn lagged(
    block: &SeriesBlock,
    lags: usize,
    threads: usize,
    cancel: SharedCancel,
) -> Result<Lagged, CorrelationError> {
    let (count, length) = (block.count(), block.length());
    if count == 0 {
        return Err(CorrelationError::TooFewSeries {
            what: "a lagged correlation",
            least: 1,
            got: 0,
        });
    }
    if length < lags + 2 {
        return Err(CorrelationError::TooShort {
            what: "a lagged correlation",
            least: lags + 2,
            got: length,
        });
    }
    if (lags + 1).saturating_mul(count * count) > MOST_VALUES {
        return Err(CorrelationError::Parameter {
            parameter: "the number of lags times the square of the number of series",
            range: "at most 268 million: take fewer series or fewer lags",
        });
    }
    cancel.check()?;
    // Centred once: what a lag's own mean and norm differ by is small, so nothing is lost by correcting the product.
    let (standard, unusable) = block.standardised();
    let all = MatRef::from_column_major_slice(standard.values(), length, count);
    let moments: Vec<[Vec<(f64, f64)>; 2]> = (0..=lags)
        .map(|lag| {
            let of = |range: std::ops::Range<usize>| {
                standard
                    .iter()
                    .map(|series| moments(&series[range.clone()]))
                    .collect()
            };
            [of(0..length - lag), of(lag..length)]
        })
        .collect();
    let mut values = vec![0.0; (lags + 1) * count * count];
    let leaders = (PIECE / (count * length)).clamp(1, count);
    let pieces: Vec<(usize, usize, &mut [f64])> = values
        .chunks_exact_mut(count * count)
        .enumerate()
        .flat_map(|(lag, matrix)| {
            matrix
                .chunks_mut(leaders * count)
                .enumerate()
                .map(move |(piece, rows)| (lag, piece * leaders, rows))
        })
        .collect();
    blocks::each(pieces, threads, cancel, |(lag, first, rows)| {
        let periods = length - lag;
        let wide = rows.len() / count;
        let product = MatMut::from_column_major_slice_mut(rows, count, wide);
        let lead = all.subrows(0, periods).subcols(first, wide);
        let follow = all.subrows(lag, periods).transpose();
        matmul(product, Accum::Replace, follow, lead, 1.0, Par::Seq);
        let [leading, following] = &moments[lag];
        for (row, (sum, scale)) in rows.chunks_exact_mut(count).zip(&leading[first..]) {
            let mean = sum / periods as f64;
            for (value, (other_sum, other_scale)) in row.iter_mut().zip(following) {
                // `max` and `min` would turn an absent scale into a number; `clamp` keeps it.
                *value = ((*value - mean * other_sum) * scale * other_scale).clamp(-1.0, 1.0);
            }
        }
        Ok(())
    })?;
    for matrix in values.chunks_exact_mut(count * count) {
        for &gone in &unusable {
            matrix[gone * count..(gone + 1) * count].fill(f64::NAN);
            matrix
                .iter_mut()
                .skip(gone)
                .step_by(count)
                .for_each(|v| *v = f64::NAN);
        }
    }
    Ok(Lagged {
        count,
        length,
        values,
    })
}

/// Sum, and one over the norm of the deviations from the mean (NaN when it does not vary).
fn moments(part: &[f64]) -> (f64, f64) {
    let sum: f64 = part.iter().sum();
    let square = dot(part, part);
    let spread = square - sum * sum / part.len() as f64;
    // What the two sums may differ by through rounding is not variation.
    let rounding = 8.0 * f64::EPSILON * part.len() as f64 * square;
    (
        sum,
        if spread > rounding {
            1.0 / spread.sqrt()
        } else {
            f64::NAN
        },
    )
}

/// Every series freed from its own autocorrelation: the residuals of an autoregression of the given order (Yule–Walker,
/// solved by Levinson and Durbin), `order` periods shorter. A series that has absent values or does
/// not vary becomes absent.
///
/// # Errors
/// [`CorrelationError::TooShort`] when the order leaves fewer than two periods.
pub fn prewhitened(block: &SeriesBlock, order: usize) -> Result<SeriesBlock, CorrelationError> {
    let length = block.length();
    if length < order + 2 {
        return Err(CorrelationError::TooShort {
            what: "prewhitening",
            least: order + 2,
            got: length,
        });
    }
    let mut values = Vec::with_capacity(block.count() * (length - order));
    for series in block.iter() {
        let Some((deviations, _)) = centred(series) else {
            values.resize(values.len() + length - order, f64::NAN);
            continue;
        };
        let covariances: Vec<f64> = (0..=order)
            .map(|lag| dot(&deviations[lag..], &deviations[..length - lag]))
            .collect();
        let coefficients = levinson(&covariances);
        values.extend((order..length).map(|t| {
            let known: f64 = coefficients
                .iter()
                .enumerate()
                .map(|(k, c)| c * deviations[t - 1 - k])
                .sum();
            deviations[t] - known
        }));
    }
    SeriesBlock::new(length - order, values)
}

/// Coefficients of the autoregression with these autocovariances (Levinson 1946, Durbin 1960).
fn levinson(covariances: &[f64]) -> Vec<f64> {
    let mut coefficients: Vec<f64> = Vec::with_capacity(covariances.len());
    let mut error = covariances[0];
    for k in 1..covariances.len() {
        if error <= 0.0 {
            break;
        }
        let known: f64 = coefficients
            .iter()
            .enumerate()
            .map(|(i, c)| c * covariances[k - 1 - i])
            .sum();
        let reflection = (covariances[k] - known) / error;
        let before = coefficients.clone();
        for (c, b) in coefficients.iter_mut().zip(before.iter().rev()) {
            *c -= reflection * b;
        }
        coefficients.push(reflection);
        error *= 1.0 - reflection * reflection;
    }
    coefficients
}
