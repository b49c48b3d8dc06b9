//! How much of a correlation would be there again: the same measure on histories drawn from the one that happened.

use rand::Rng;

use super::{CorrelationError, SeriesBlock, SharedCancel, blocks, matrix::position, pearson};
use crate::inference::quantile;
use crate::rng::stream;

/// Replications that are drawn before their results are counted.
const BATCH: usize = 16;

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StabilityParams {
    /// Number of histories, at least 2.
    pub replications: usize,
    /// Periods that stay together, so that autocorrelation survives; `None` takes the whole number above 1.75 · ∛n.
    pub block_length: Option<usize>,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for StabilityParams {
    fn default() -> Self {
        Self {
            replications: 200,
            block_length: None,
            seed: 1,
        }
    }
}

/// What the histories drawn say of every pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Stability {
    count: usize,
    replications: usize,
    /// Sorted correlations, pair after pair.
    draws: Vec<f64>,
    estimate: Vec<f64>,
    /// Periods that stayed together.
    pub block_length: usize,
}

impl Stability {
    /// Number of series.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Correlation of the pair in the history that happened.
    #[must_use]
    pub fn estimate(&self, i: usize, j: usize) -> Option<f64> {
        let value = self.estimate[position(i.max(j), i.min(j))];
        value.is_finite().then_some(value)
    }

    /// The interval that holds this share (such as 0.8) of the histories' correlations.
    #[must_use]
    pub fn interval(&self, i: usize, j: usize, share: f64) -> Option<(f64, f64)> {
        let draws = self.of(i, j)?;
        let tail = 0.5 * (1.0 - share.clamp(0.0, 1.0));
        Some((quantile(draws, tail), quantile(draws, 1.0 - tail)))
    }

    /// Share of the histories in which the correlation is at least `least` in size and has the sign of the estimate.
    #[must_use]
    pub fn share(&self, i: usize, j: usize, least: f64) -> Option<f64> {
        let sign = self.estimate(i, j)?.signum();
        let draws = self.of(i, j)?;
        let held = draws.iter().filter(|r| sign * **r >= least).count();
        Some(held as f64 / draws.len() as f64)
    }

    fn of(&self, i: usize, j: usize) -> Option<&[f64]> {
        self.estimate(i, j)?;
        let at = position(i.max(j), i.min(j)) * self.replications;
        let draws = &self.draws[at..at + self.replications];
        // A drawn history in which a series does not vary sorts to the end as no number.
        let known = draws.iter().take_while(|r| r.is_finite()).count();
        (known > 0).then_some(&draws[..known])
    }
}

/// Most correlations that are kept at once, half a gigabyte of them.
pub const MOST_DRAWS: usize = 1 << 26;

/// Correlations of all pairs in histories put together from blocks of consecutive periods, taken on a circle
/// (Politis and Romano 1992); all series of a history take the same periods.
///
/// # Errors
/// [`CorrelationError::Parameter`] for fewer than two replications, a block of no or too many periods or more than [`MOST_DRAWS`]
/// correlations, and those of [`pearson`].
pub fn stability(
    block: &SeriesBlock,
    params: &StabilityParams,
    threads: usize,
    cancel: SharedCancel,
) -> Result<Stability, CorrelationError> {
    let (count, length) = (block.count(), block.length());
    let together = params
        .block_length
        .unwrap_or_else(|| ((1.75 * (length as f64).cbrt()).ceil() as usize).min(length));
    if together == 0 || together > length {
        return Err(CorrelationError::Parameter {
            parameter: "the block length",
            range: "1 to the number of periods",
        });
    }
    if params.replications < 2 {
        return Err(CorrelationError::Parameter {
            parameter: "the number of replications",
            range: "at least 2",
        });
    }
    if (count * count / 2).saturating_mul(params.replications) > MOST_DRAWS {
        return Err(CorrelationError::Parameter {
            parameter: "the number of pairs of series times replications",
            range: "at most 67 million: take fewer series or fewer replications",
        });
    }
    let estimate = pearson(block, threads, cancel)?;
    let pairs = estimate.lower().len();
    let mut draws = vec![0.0; pairs * params.replications];
    for first in (0..params.replications).step_by(BATCH) {
        let batch = BATCH.min(params.replications - first);
        let mut results: Vec<Vec<f64>> = vec![Vec::new(); batch];
        let pieces: Vec<(usize, &mut Vec<f64>)> = results.iter_mut().enumerate().collect();
        blocks::each(pieces, threads, cancel, |(k, result)| {
            let drawn = redraw(block, together, params.seed, first + k);
            // The matrix itself has its own pieces; here the replications are the pieces.
            let correlations = pearson(&drawn, 1, cancel).map_err(|_| crate::cancel::Cancelled)?;
            *result = correlations.lower().to_vec();
            Ok(())
        })?;
        for (k, result) in results.iter().enumerate() {
            for (pair, r) in result.iter().enumerate() {
                draws[pair * params.replications + first + k] = *r;
            }
        }
    }
    for own in draws.chunks_exact_mut(params.replications) {
        cancel.check()?;
        own.sort_by(|a, b| a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(b)));
    }
    Ok(Stability {
        count,
        replications: params.replications,
        draws,
        estimate: estimate.lower().to_vec(),
        block_length: together,
    })
}

/// One history.
fn redraw(block: &SeriesBlock, together: usize, seed: u64, replication: usize) -> SeriesBlock {
    let length = block.length();
    let mut rng = stream(seed, &[replication as u64]);
    let mut periods = Vec::with_capacity(length + together);
    while periods.len() < length {
        let start = rng.random_range(0..length);
        periods.extend((0..together).map(|k| (start + k) % length));
    }
    periods.truncate(length);
    let values = block
        .iter()
        .flat_map(|series| periods.iter().map(|&t| series[t]))
        .collect();
    SeriesBlock::new(length, values).expect("as many whole series as before")
}
