//! Every pair at once: Pearson's and Spearman's correlation as one symmetric product.

use faer::linalg::matmul::{
    matmul,
    triangular::{self, BlockStructure},
};
use faer::{Accum, MatMut, MatRef, Par};

use super::{CorrelationError, SeriesBlock, SharedCancel, blocks};

/// Rows of the matrix that one piece of work fills.
const BAND: usize = 256;
/// Columns of one product, so that a cancelled computation stops within a few milliseconds.
const TILE: usize = 1024;

/// A symmetric matrix of correlations; the lower triangle is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlations {
    count: usize,
    length: usize,
    lower: Vec<f64>,
    unusable: Vec<usize>,
}

impl Correlations {
    /// Number of series.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Number of periods behind each correlation.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The correlation of series `i` and `j`, −1 to 1; `None` where one of them has absent values or does not vary.
    #[must_use]
    pub fn get(&self, i: usize, j: usize) -> Option<f64> {
        let value = self.lower[position(i.max(j), i.min(j))];
        value.is_finite().then_some(value)
    }

    /// Series that have absent values or do not vary, in order.
    #[must_use]
    pub fn unusable(&self) -> &[usize] {
        &self.unusable
    }

    /// The lower triangle with its diagonal, row after row; NaN in rows and columns of unusable series.
    #[must_use]
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    /// Multiplies every correlation of two different series.
    pub(super) fn scale_off_diagonal(&mut self, by: f64) {
        for i in 1..self.count {
            let row = position(i, 0);
            self.lower[row..row + i].iter_mut().for_each(|r| *r *= by);
        }
    }

    /// Puts other values in place, by row and column.
    pub(super) fn replace(&mut self, value: impl Fn(usize, usize) -> f64) {
        for i in 0..self.count {
            for j in 0..=i {
                self.lower[position(i, j)] = value(i, j);
            }
        }
    }

    /// The whole matrix, row after row.
    ///
    /// # Errors
    /// [`CorrelationError::Unusable`] when a series has no correlation with anything.
    pub fn square(&self) -> Result<Vec<f64>, CorrelationError> {
        if let Some(&series) = self.unusable.first() {
            return Err(CorrelationError::Unusable { series });
        }
        let n = self.count;
        let mut full = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let value = self.lower[position(i, j)];
                full[i * n + j] = value;
                full[j * n + i] = value;
            }
        }
        Ok(full)
    }
}

/// Where row `i`, column `j ≤ i` of a lower triangle is kept.
pub(super) fn position(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// Pearson's correlation of every pair of series.
///
/// A series that has absent values or does not vary has no correlation; it does not harm the others.
///
/// # Errors
/// [`CorrelationError::TooShort`] below two periods, [`CorrelationError::Cancelled`].
pub fn pearson(
    block: &SeriesBlock,
    threads: usize,
    cancel: SharedCancel,
) -> Result<Correlations, CorrelationError> {
    if block.length() < 2 {
        return Err(CorrelationError::TooShort {
            what: "a correlation",
            least: 2,
            got: block.length(),
        });
    }
    cancel.check()?;
    let (standard, unusable) = block.standardised();
    let (count, length) = (block.count(), block.length());
    let mut lower = vec![0.0; count * (count + 1) / 2];
    let all = MatRef::from_column_major_slice(standard.values(), length, count);
    let mut bands: Vec<(usize, usize, &mut [f64])> = Vec::new();
    let mut rest = lower.as_mut_slice();
    for start in (0..count).step_by(BAND) {
        let end = (start + BAND).min(count);
        let (band, after) = rest.split_at_mut(position(end, 0) - position(start, 0));
        bands.push((start, end, band));
        rest = after;
    }
    // The longest bands first, so that threads finish together.
    bands.reverse();
    blocks::each(bands, threads, cancel, |(start, end, band)| {
        let rows = end - start;
        let own = all.subcols(start, rows);
        let mut tile = vec![0.0; TILE.min(end).max(rows) * rows];
        for from in (0..start).step_by(TILE) {
            cancel.check()?;
            let to = (from + TILE).min(start);
            let width = to - from;
            let product =
                MatMut::from_column_major_slice_mut(&mut tile[..width * rows], width, rows);
            let left = all.subcols(from, width).transpose();
            matmul(product, Accum::Replace, left, own, 1.0, Par::Seq);
            for (r, column) in tile[..width * rows].chunks_exact(width).enumerate() {
                let at = position(start + r, from) - position(start, 0);
                copy_clamped(&mut band[at..at + width], column);
            }
        }
        let product = MatMut::from_column_major_slice_mut(&mut tile[..rows * rows], rows, rows);
        let whole = BlockStructure::Rectangular;
        triangular::matmul(
            product,
            BlockStructure::TriangularUpper,
            Accum::Replace,
            own.transpose(),
            whole,
            own,
            whole,
            1.0,
            Par::Seq,
        );
        for (r, column) in tile[..rows * rows].chunks_exact(rows).enumerate() {
            let at = position(start + r, start) - position(start, 0);
            copy_clamped(&mut band[at..=at + r], &column[..=r]);
            band[at + r] = 1.0;
        }
        Ok(())
    })?;
    for &gone in &unusable {
        for other in 0..count {
            lower[position(gone.max(other), gone.min(other))] = f64::NAN;
        }
    }
    Ok(Correlations {
        count,
        length,
        lower,
        unusable,
    })
}

fn copy_clamped(to: &mut [f64], from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.clamp(-1.0, 1.0);
    }
}

/// Spearman's rank correlation of every pair of series; equal values share the mean of their ranks.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(
    block: &SeriesBlock,
    threads: usize,
    cancel: SharedCancel,
) -> Result<Correlations, CorrelationError> {
    let length = block.length();
    let mut ranked = vec![0.0; block.values().len()];
    let pieces: Vec<(&[f64], &mut [f64])> =
        block.iter().zip(ranked.chunks_exact_mut(length)).collect();
    blocks::each(pieces, threads, cancel, |(series, ranks)| {
        rank(series, ranks);
        Ok(())
    })?;
    pearson(&SeriesBlock::new(length, ranked)?, threads, cancel)
}

/// Mid-ranks; all absent when one value is.
fn rank(series: &[f64], ranks: &mut [f64]) {
    if series.iter().any(|v| !v.is_finite()) {
        ranks.fill(f64::NAN);
        return;
    }
    let mut order: Vec<(f64, u32)> = series.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut start = 0;
    while start < order.len() {
        // Minus zero and zero are equal although `total_cmp` tells them apart; they are neighbours all the same.
        let ties = order[start..]
            .iter()
            .take_while(|(value, _)| *value == order[start].0)
            .count();
        for (_, at) in &order[start..start + ties] {
            ranks[*at as usize] = (2 * start + ties + 1) as f64 / 2.0;
        }
        start += ties;
    }
}
