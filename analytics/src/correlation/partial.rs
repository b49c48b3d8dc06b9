//! Correlation of two series once all others are taken out, from a covariance shrunk just enough to be inverted.

use faer::linalg::solvers::DenseSolveCore;
use faer::{MatRef, Side};

use super::{
    CorrelationError, Correlations, SeriesBlock, SharedCancel, graphical_lasso::MOST_SERIES,
    matrix, pearson,
};
use crate::inference::two_sided_p;
use crate::linear::dot;

/// Correlations shrunk towards none.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// (1 − shrinkage) · sample correlation off the diagonal, 1 on it.
    pub correlations: Correlations,
    /// Weight of the target, 0 to 1: near 0 with many periods, near 1 where the sample says nothing.
    pub shrinkage: f64,
}

/// Shrinks correlations towards none by the weight that minimises the expected squared error (Ledoit and Wolf 2004, on series of
/// variance one). The result is positive definite even with more series than periods.
///
/// # Errors
/// [`CorrelationError::Unusable`] for a series that has absent values or does not vary, [`CorrelationError::TooFewSeries`] without a
/// series, and those of [`pearson`].
pub fn shrunk(
    block: &SeriesBlock,
    threads: usize,
    cancel: SharedCancel,
) -> Result<Shrunk, CorrelationError> {
    let (p, n) = (block.count(), block.length() as f64);
    if p == 0 {
        return Err(CorrelationError::TooFewSeries {
            what: "a shrunk correlation",
            least: 1,
            got: 0,
        });
    }
    let mut correlations = pearson(block, threads, cancel)?;
    if let Some(&series) = correlations.unusable().first() {
        return Err(CorrelationError::Unusable { series });
    }
    let (standard, _) = block.standardised();
    let size = p as f64;
    // On series of variance one the target is the identity and the squared distances, per series, are these.
    let squares: f64 = off_diagonal(&correlations).map(|r| 2.0 * r * r).sum();
    let distance = squares / size;
    // Σ_t (Σ_i z_it²)², the fourth moments of all pairs at once.
    let mut by_period = vec![0.0; block.length()];
    for series in standard.iter() {
        by_period
            .iter_mut()
            .zip(series)
            .for_each(|(sum, z)| *sum += z * z);
    }
    let fourth = n * n * dot(&by_period, &by_period);
    let noise = (fourth / n - (squares + size)) / (size * n);
    let shrinkage = if distance > 0.0 {
        (noise / distance).clamp(0.0, 1.0)
    } else {
        1.0
    };
    correlations.scale_off_diagonal(1.0 - shrinkage);
    Ok(Shrunk {
        correlations,
        shrinkage,
    })
}

fn off_diagonal(correlations: &Correlations) -> impl Iterator<Item = f64> {
    (1..correlations.count()).flat_map(|i| {
        let row = matrix::position(i, 0);
        correlations.lower()[row..row + i].iter().copied()
    })
}

/// Partial correlations of every pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// Correlation of each pair given all other series.
    pub correlations: Correlations,
    /// Shrinkage of the correlations they come from.
    pub shrinkage: f64,
}

impl Partial {
    /// Two-sided p-value of one pair against no direct link, for series without autocorrelation
    /// ([`prewhitened`](super::prewhitened) ones); shrinkage makes it cautious. `None` with no more periods than series.
    #[must_use]
    pub fn p_value(&self, i: usize, j: usize) -> Option<f64> {
        let r = self.correlations.get(i, j)?;
        let dof = self
            .correlations
            .length()
            .checked_sub(self.correlations.count())?;
        let dof = dof as f64;
        (dof > 0.0 && i != j).then(|| two_sided_p(r * (dof / (1.0 - r * r)).sqrt(), dof))
    }
}

/// The correlation of every pair given all other series, from [`shrunk`] correlations.
///
/// # Errors
/// Those of [`shrunk`]; [`CorrelationError::Parameter`] for more than [`MOST_SERIES`] series.
pub fn partial(
    block: &SeriesBlock,
    threads: usize,
    cancel: SharedCancel,
) -> Result<Partial, CorrelationError> {
    let p = block.count();
    if p > MOST_SERIES {
        return Err(CorrelationError::Parameter {
            parameter: "the number of series of partial correlations",
            range: "at most 400",
        });
    }
    let Shrunk {
        mut correlations,
        shrinkage,
    } = shrunk(block, threads, cancel)?;
    let full = correlations.square()?;
    cancel.check()?;
    let factor = MatRef::from_column_major_slice(&full, p, p)
        .llt(Side::Lower)
        .map_err(|_| CorrelationError::Parameter {
            parameter: "the correlation of two series that are combinations of the others",
            range: "below 1",
        })?;
    let precision = factor.inverse();
    correlations.replace(|i, j| {
        if i == j {
            1.0
        } else {
            (-precision[(i, j)] / (precision[(i, i)] * precision[(j, j)]).sqrt()).clamp(-1.0, 1.0)
        }
    });
    Ok(Partial {
        correlations,
        shrinkage,
    })
}
