//! Which brand's metric runs ahead of which brand's other metric, once the market they share is taken out.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::{CorrelationError, SeriesBlock, SharedCancel, blocks, series::centred};
use crate::inference::{benjamini_hochberg, upper_tail_f};
use crate::linear::{Cholesky, dot, orthonormal, remove};

/// Fewest brands whose averages stand for a market.
pub const LEAST_BRANDS: usize = 5;

/// How to test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrangerParams {
    /// Lags of the target and of the cause.
    pub lags: usize,
    /// Whether the averages over the other brands, now and at every lag, stand beside them. Without them a shared market makes
    /// most pairs look linked.
    pub averages: bool,
}

impl Default for GrangerParams {
    fn default() -> Self {
        Self {
            lags: 7,
            averages: true,
        }
    }
}

/// The test of one ordered pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GrangerTest {
    /// Brand whose past may help.
    pub cause: usize,
    /// Brand that may be helped.
    pub target: usize,
    /// F statistic of all lags of the cause.
    pub f: f64,
    /// Its degrees of freedom.
    pub dof: (f64, f64),
    /// Its p-value.
    pub p_value: f64,
    /// Sum of the cause's coefficients, in units of the target per unit of the cause.
    pub total: f64,
    /// The lag whose coefficient is largest, either way.
    pub lag: usize,
    /// That coefficient.
    pub coefficient: f64,
}

/// Tests every ordered pair of brands: does the past of the cause's series help to tell the target's series, beyond the
/// target's own past, the averages of the other brands and `controls` (columns of the blocks' length, such as trend and season)?
///
/// `causes` and `targets` have one series per brand, in the same order; they may be the same block. Ordered by target, then by
/// cause. Pairs that cannot be tested are left out: where a series has absent values or does not vary, and where the cause's past
/// is already a combination of the rest, as a brand's own series is.
///
/// The statistic is the F test of Granger 1969; the averages are the common correlated effects of Pesaran 2006, with the lags of
/// Chudik and Pesaran 2015. Series are stretched to one scale and the target's brand is left out of both averages. All pairs of
/// one target share one projection.
///
/// # Errors
/// [`CorrelationError::Unequal`] when blocks or controls differ in length or brands, [`CorrelationError::TooFewSeries`] below two
/// brands, or below [`LEAST_BRANDS`] with averages; [`CorrelationError::TooShort`] when no degrees of freedom are left;
/// [`CorrelationError::Parameter`] for no lags; [`CorrelationError::Cancelled`].
pub fn granger(
    causes: &SeriesBlock,
    targets: &SeriesBlock,
    controls: &[Vec<f64>],
    params: &GrangerParams,
    threads: usize,
    cancel: SharedCancel,
) -> Result<Vec<GrangerTest>, CorrelationError> {
    let (brands, length, lags) = (causes.count(), causes.length(), params.lags);
    check(causes, targets, controls, params)?;
    cancel.check()?;
    let scaled = |block: &SeriesBlock| -> Vec<Option<(Vec<f64>, f64)>> {
        block
            .iter()
            .map(|series| {
                centred(series).map(|(mut deviations, norm)| {
                    deviations.iter_mut().for_each(|v| *v /= norm);
                    (deviations, norm)
                })
            })
            .collect()
    };
    let (cause, target) = (scaled(causes), scaled(targets));
    let periods = length - lags;
    // The past of every cause: lags 1, 2, … beside each other.
    let mut past = Vec::with_capacity(brands * lags * periods);
    for series in &cause {
        for lag in 1..=lags {
            match series {
                Some((values, _)) => past.extend_from_slice(&values[lags - lag..length - lag]),
                None => past.resize(past.len() + periods, 0.0),
            }
        }
    }
    let past_of = |brand: usize| &past[brand * lags * periods..(brand + 1) * lags * periods];
    let grams: Vec<Vec<f64>> = (0..brands)
        .map(|brand| gram(past_of(brand), periods))
        .collect();
    let sums = [&cause, &target].map(|block| total(block, length));
    let mut results: Vec<Vec<GrangerTest>> = vec![Vec::new(); brands];
    let pieces: Vec<(usize, &mut Vec<GrangerTest>)> = results.iter_mut().enumerate().collect();
    blocks::each(pieces, threads, cancel, |(brand, tests)| {
        let Some((own, norm)) = &target[brand] else {
            return Ok(());
        };
        let mut columns = vec![vec![1.0; periods]];
        columns.extend((1..=lags).map(|lag| own[lags - lag..length - lag].to_vec()));
        if params.averages {
            for (sum, block) in sums.iter().zip([&cause, &target]) {
                let mut others = sum.clone();
                if let Some((values, _)) = &block[brand] {
                    others.iter_mut().zip(values).for_each(|(o, v)| *o -= v);
                }
                columns.extend((0..=lags).map(|lag| others[lags - lag..length - lag].to_vec()));
            }
        }
        columns.extend(controls.iter().map(|c| c[lags..].to_vec()));
        let basis = orthonormal(&columns);
        let mut residual = own[lags..].to_vec();
        remove(&mut residual, &basis);
        remove(&mut residual, &basis);
        let width = basis.len() + 1;
        let mut known = basis.concat();
        known.extend_from_slice(&residual);
        let mut products = vec![0.0; brands * lags * width];
        matmul(
            MatMut::from_column_major_slice_mut(&mut products, width, brands * lags),
            Accum::Replace,
            MatRef::from_column_major_slice(&known, periods, width).transpose(),
            MatRef::from_column_major_slice(&past, periods, brands * lags),
            1.0,
            Par::Seq,
        );
        // A target of norm one whose own past tells it but for rounding has nothing left that another could tell.
        let unexplained = dot(&residual, &residual);
        if unexplained <= 1e-18 {
            return Ok(());
        }
        for (other, scale) in cause.iter().enumerate() {
            let Some((_, cause_norm)) = scale else {
                continue;
            };
            let products = &products[other * lags * width..(other + 1) * lags * width];
            let rest = rest(&grams[other], products, width);
            let moments: Vec<f64> = products.chunks_exact(width).map(|c| c[width - 1]).collect();
            let informative =
                (0..lags).all(|k| rest[k * lags + k] > 1e-9 * grams[other][k * lags + k]);
            let factor = Cholesky::new(&rest, lags);
            let dof = periods as f64 - (basis.len() + lags) as f64;
            let explained = factor.quadratic(&moments);
            if !informative || factor.rank() < lags {
                continue;
            }
            // A cause that leaves nothing but rounding is the strongest there is.
            let left = unexplained - explained;
            let f = if left > 1e-12 * unexplained {
                explained / lags as f64 / (left / dof)
            } else {
                f64::INFINITY
            };
            let unit = norm / cause_norm;
            let coefficients = factor.solve(&moments);
            let strongest = (0..lags).fold(0, |best, k| {
                if coefficients[k].abs() > coefficients[best].abs() {
                    k
                } else {
                    best
                }
            });
            tests.push(GrangerTest {
                cause: other,
                target: brand,
                f,
                dof: (lags as f64, dof),
                p_value: upper_tail_f(f, lags as f64, dof),
                total: unit * coefficients.iter().sum::<f64>(),
                lag: strongest + 1,
                coefficient: unit * coefficients[strongest],
            });
        }
        Ok(())
    })?;
    Ok(results.concat())
}

/// The tests between different brands, with q-values of their one family (Benjamini and Hochberg 1995), smallest first.
#[must_use]
pub fn across_brands(tests: &[GrangerTest]) -> Vec<(GrangerTest, f64)> {
    let across: Vec<GrangerTest> = tests
        .iter()
        .copied()
        .filter(|t| t.cause != t.target)
        .collect();
    let p: Vec<f64> = across.iter().map(|t| t.p_value).collect();
    let mut ranked: Vec<(GrangerTest, f64)> =
        across.into_iter().zip(benjamini_hochberg(&p)).collect();
    ranked.sort_by(|a, b| a.0.p_value.total_cmp(&b.0.p_value));
    ranked
}

fn check(
    causes: &SeriesBlock,
    targets: &SeriesBlock,
    controls: &[Vec<f64>],
    params: &GrangerParams,
) -> Result<(), CorrelationError> {
    let (expected, lags) = (causes.length(), params.lags);
    let mut lengths = controls.iter().map(Vec::len).chain([targets.length()]);
    if let Some(got) = lengths.find(|&got| got != expected) {
        return Err(CorrelationError::Unequal { expected, got });
    }
    if causes.count() != targets.count() {
        return Err(CorrelationError::Unequal {
            expected: causes.count(),
            got: targets.count(),
        });
    }
    if lags == 0 {
        return Err(CorrelationError::Parameter {
            parameter: "the number of lags",
            range: "at least 1",
        });
    }
    if let Some(series) = controls
        .iter()
        .position(|c| c.iter().any(|v| !v.is_finite()))
    {
        return Err(CorrelationError::Unusable { series });
    }
    let least = if params.averages { LEAST_BRANDS } else { 2 };
    if causes.count() < least {
        return Err(CorrelationError::TooFewSeries {
            what: "a test across brands",
            least,
            got: causes.count(),
        });
    }
    let regressors =
        1 + 2 * lags + controls.len() + if params.averages { 2 * (lags + 1) } else { 0 };
    let least = lags + regressors + 2;
    if expected < least {
        return Err(CorrelationError::TooShort {
            what: "a test of what runs ahead",
            least,
            got: expected,
        });
    }
    Ok(())
}

/// Sum over the brands, period by period.
fn total(block: &[Option<(Vec<f64>, f64)>], length: usize) -> Vec<f64> {
    let mut sum = vec![0.0; length];
    for (values, _) in block.iter().flatten() {
        sum.iter_mut().zip(values).for_each(|(s, v)| *s += v);
    }
    sum
}

/// Products of the columns of one cause with each other.
fn gram(past: &[f64], periods: usize) -> Vec<f64> {
    let columns: Vec<&[f64]> = past.chunks_exact(periods).collect();
    columns
        .iter()
        .flat_map(|a| columns.iter().map(|b| dot(a, b)))
        .collect()
}

/// The same products after the projection on the basis is taken out; `products` has, column by column, the products with the
/// basis and last the one with the target's residual.
fn rest(gram: &[f64], products: &[f64], width: usize) -> Vec<f64> {
    let on_basis: Vec<&[f64]> = products
        .chunks_exact(width)
        .map(|c| &c[..width - 1])
        .collect();
    let mut rest = gram.to_vec();
    let lags = on_basis.len();
    for i in 0..lags {
        for j in 0..=i {
            let value = gram[i * lags + j] - dot(on_basis[i], on_basis[j]);
            rest[i * lags + j] = value;
            rest[j * lags + i] = value;
        }
    }
    rest
}
