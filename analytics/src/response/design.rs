//! Builds a brand's regression from a panel: outcome, controls and media lines.

use chrono::Datelike;
use domain::metric::MetricRole;

use crate::cancel::{Cancel, Cancelled};
use crate::inference::mean;
use crate::linear::{Cholesky, dot, orthonormal, remove, whiten};
use crate::panel::{Panel, bridged};

/// Shape parameters per media line.
pub(crate) const SHAPE: usize = 3;
/// Statistic beyond which a level shift or a one-off week is given its own column. With some 300 places to look at,
/// a null series passes it in less than one case in a hundred.
const NOTABLE: f64 = 4.5;
/// Weeks that are needed for a column of every single rival.
const WEEKS_PER_RIVAL: usize = 10;
/// Most columns spent on shifts and one-off weeks.
const MOST_NOTABLE: usize = 10;

/// Spend of one channel of a brand.
#[derive(Debug, Clone)]
pub(crate) struct MediaLine {
    pub(crate) metric: usize,
    pub(crate) channel: String,
    pub(crate) spend: Vec<f64>,
    /// Mean over the path.
    pub(crate) mean: f64,
    /// Level before the path.
    pub(crate) before: f64,
    /// Level after the path: the mean of the last 52 weeks.
    pub(crate) after: f64,
}

/// A brand's regression before any curve is fitted.
#[derive(Debug, Clone)]
pub(crate) struct Design {
    pub(crate) brand: usize,
    /// Outcome in currency of margin, gaps bridged (and neutralised by a column of their own).
    pub(crate) y: Vec<f64>,
    pub(crate) controls: Vec<Vec<f64>>,
    pub(crate) media: Vec<MediaLine>,
    /// Weeks with a level shift.
    pub(crate) shifts: Vec<usize>,
    /// Weeks neutralised as one-off or absent.
    pub(crate) one_offs: Vec<usize>,
}

impl Design {
    /// Regressors of siblings' media that leave a quarter of the weeks for what is not explained, at least one.
    pub(crate) fn room(&self) -> usize {
        let taken = self.controls.len() + MOST_NOTABLE + (SHAPE + 1) * self.media.len();
        (self.y.len() * 3 / 4).saturating_sub(taken).max(1)
    }
}

/// Collects a brand's series. `None` when the brand has no outcome or too few weeks.
pub(crate) fn design(panel: &Panel, brand: usize) -> Option<Design> {
    let outcome = panel.outcome()?;
    let observed = panel.series(brand, outcome)?;
    let margin = panel.brands()[brand].margin;
    let filled = bridged(observed)?;
    let n = filled.len();
    let y: Vec<f64> = filled.iter().map(|v| v * margin).collect();
    let one_offs: Vec<usize> = (0..n).filter(|&t| !observed[t].is_finite()).collect();
    let media: Vec<MediaLine> = panel
        .with_role(MetricRole::Spend)
        .filter_map(|m| {
            let channel = panel.metrics()[m].channel.clone()?;
            let spend: Vec<f64> = bridged(panel.series(brand, m)?)?
                .into_iter()
                .map(|x| x.max(0.0))
                .collect();
            let mean = mean(&spend);
            let spread = spend.iter().map(|x| (x - mean).abs()).sum::<f64>() / n as f64;
            (mean > 0.0 && spread > 0.01 * mean).then(|| MediaLine {
                metric: m,
                channel,
                mean,
                before: edge_mean(&spend[..n.min(8)]),
                after: edge_mean(&spend[n.saturating_sub(52)..]),
                spend,
            })
        })
        .collect();
    let mut controls = calendar(panel);
    controls.extend(own_controls(panel, brand));
    controls.extend(rival_controls(panel));
    for &t in &one_offs {
        controls.push(impulse(n, t));
    }
    (n > 2 * (controls.len() + 3 * media.len())).then_some(Design {
        brand,
        y,
        controls,
        media,
        shifts: Vec::new(),
        one_offs,
    })
}

fn edge_mean(values: &[f64]) -> f64 {
    super::curve::edge_mean(values)
}

/// Constant, linear and quadratic trend, and two harmonics of the year when there is more than a year.
pub(crate) fn calendar(panel: &Panel) -> Vec<Vec<f64>> {
    let weeks = panel.weeks();
    let n = weeks.len();
    let position = |t: usize| 2.0 * t as f64 / n.max(2) as f64 - 1.0;
    let mut out = vec![
        vec![1.0; n],
        (0..n).map(position).collect(),
        (0..n).map(|t| position(t).powi(2)).collect(),
    ];
    if n > 60 {
        let origin = weeks[0].num_days_from_ce();
        for harmonic in [1.0, 2.0] {
            let angle = |t: usize| {
                let days = f64::from(weeks[t].num_days_from_ce() - origin);
                harmonic * std::f64::consts::TAU * days / 365.25
            };
            out.push((0..n).map(|t| angle(t).sin()).collect());
            out.push((0..n).map(|t| angle(t).cos()).collect());
        }
    }
    out
}

/// Own price (in logarithms), promotion intensity, and context.
fn own_controls(panel: &Panel, brand: usize) -> Vec<Vec<f64>> {
    let mut out = Vec::new();
    for (m, metric) in panel.metrics().iter().enumerate() {
        let values = match metric.role {
            MetricRole::Price | MetricRole::Context => panel.series(brand, m).and_then(bridged),
            MetricRole::Promotion if !metric.additive => panel.series(brand, m).and_then(bridged),
            _ => None,
        };
        if let Some(values) = values {
            let column = if metric.role == MetricRole::Price {
                logarithms(&values)
            } else {
                values
            };
            out.extend(centred(column));
        }
    }
    out
}

/// Mean log price of the rivals and each rival's log media pressure; their mean where there are too many for the weeks.
fn rival_controls(panel: &Panel) -> Vec<Vec<f64>> {
    let mut out = Vec::new();
    for m in panel.with_role(MetricRole::Price) {
        let prices: Vec<Vec<f64>> = panel
            .rivals()
            .filter_map(|r| panel.series(r, m).and_then(bridged))
            .map(|p| logarithms(&p))
            .collect();
        if let Some(n) = prices.first().map(Vec::len) {
            out.extend(centred(
                (0..n)
                    .map(|t| prices.iter().map(|p| p[t]).sum::<f64>() / prices.len() as f64)
                    .collect(),
            ));
        }
    }
    let pressures: Vec<Vec<Vec<f64>>> = panel
        .with_role(MetricRole::Exposure)
        .map(|m| {
            let known = panel
                .rivals()
                .filter_map(|r| panel.series(r, m).and_then(bridged));
            known.filter_map(|p| centred(logarithms(&p))).collect()
        })
        .collect();
    let weeks = panel.weeks().len();
    let count: usize = pressures.iter().map(Vec::len).sum();
    if count * WEEKS_PER_RIVAL <= weeks {
        out.extend(pressures.into_iter().flatten());
    } else {
        out.extend(pressures.into_iter().filter_map(|rivals| {
            let mean = |t: usize| rivals.iter().map(|p| p[t]).sum::<f64>() / rivals.len() as f64;
            (!rivals.is_empty())
                .then(|| centred((0..weeks).map(mean).collect()))
                .flatten()
        }));
    }
    out
}

/// Logarithms of positive values; others are set to the smallest positive one.
pub(crate) fn logarithms(values: &[f64]) -> Vec<f64> {
    let least = values
        .iter()
        .copied()
        .filter(|v| *v > 0.0)
        .fold(f64::INFINITY, f64::min);
    let least = if least.is_finite() { least } else { 1.0 };
    values.iter().map(|v| v.max(least).ln()).collect()
}

/// Centred and scaled; `None` when the column does not move.
pub(crate) fn centred(column: Vec<f64>) -> Option<Vec<f64>> {
    let centre = mean(&column);
    let spread = (column.iter().map(|v| (v - centre).powi(2)).sum::<f64>()
        / column.len().max(1) as f64)
        .sqrt();
    (spread > 1e-9 * (1.0 + centre.abs()))
        .then(|| column.iter().map(|v| (v - centre) / spread).collect())
}

pub(crate) fn impulse(n: usize, week: usize) -> Vec<f64> {
    (0..n).map(|t| f64::from(u8::from(t == week))).collect()
}

pub(crate) fn step(n: usize, week: usize) -> Vec<f64> {
    (0..n).map(|t| f64::from(u8::from(t >= week))).collect()
}

/// Finds level shifts and one-off weeks in what `columns` leave unexplained and adds a column for each.
///
/// An unmodelled shift looks like strong autocorrelation, and strong autocorrelation hides the shift. So candidates are
/// looked for under several autocorrelations, and the best of each is judged by its likelihood ratio with the
/// autocorrelation estimated anew with and without it.
///
/// # Errors
/// [`Cancelled`], asked at every candidate.
pub(crate) fn note_breaks(
    design: &mut Design,
    columns: &[Vec<f64>],
    cancel: &dyn Cancel,
) -> Result<(), Cancelled> {
    let n = design.y.len();
    for _ in 0..MOST_NOTABLE {
        let mut all: Vec<Vec<f64>> = design.controls.iter().chain(columns).cloned().collect();
        let (rho, before) = most_likely(&all, &design.y);
        let mut best: Option<(f64, usize, bool)> = None;
        for trial in [0.0, 0.5 * rho.max(0.0), rho] {
            let candidates = scan_breaks(design, &all, trial, n);
            for (week, shift) in candidates {
                cancel.check()?;
                all.push(if shift {
                    step(n, week)
                } else {
                    impulse(n, week)
                });
                let ratio = 2.0 * (most_likely(&all, &design.y).1 - before);
                all.pop();
                if best.is_none_or(|b| ratio > b.0) {
                    best = Some((ratio, week, shift));
                }
            }
        }
        let Some((ratio, week, shift)) = best else {
            break;
        };
        if ratio < NOTABLE * NOTABLE {
            break;
        }
        if shift {
            design.shifts.push(week);
            design.controls.push(step(n, week));
        } else {
            design.one_offs.push(week);
            design.controls.push(impulse(n, week));
        }
    }
    Ok(())
}

/// The best one-off week and the best level shift under a given autocorrelation.
fn scan_breaks(design: &Design, columns: &[Vec<f64>], rho: f64, n: usize) -> Vec<(usize, bool)> {
    let whitened: Vec<Vec<f64>> = columns.iter().map(|c| whiten(c, rho)).collect();
    let basis = orthonormal(&whitened);
    let mut residual = whiten(&design.y, rho);
    remove(&mut residual, &basis);
    let statistic = |column: Vec<f64>| {
        let mut z = whiten(&column, rho);
        let before = dot(&z, &z);
        remove(&mut z, &basis);
        let left = dot(&z, &z);
        if left < 1e-6 * before {
            0.0
        } else {
            dot(&z, &residual).abs() / left.sqrt()
        }
    };
    let impulses = (0..n)
        .filter(|t| !design.one_offs.contains(t))
        .map(|t| (statistic(impulse(n, t)), t, false));
    let steps = (6..n.saturating_sub(6))
        .filter(|t| !design.shifts.contains(t))
        .map(|t| (statistic(step(n, t)), t, true));
    let first = impulses.max_by(|a, b| a.0.total_cmp(&b.0));
    let second = steps.max_by(|a, b| a.0.total_cmp(&b.0));
    first
        .into_iter()
        .chain(second)
        .map(|(_, week, shift)| (week, shift))
        .collect()
}

/// Autocorrelation and logarithm of the likelihood of a regression with first-order autocorrelated errors.
fn most_likely(columns: &[Vec<f64>], y: &[f64]) -> (f64, f64) {
    let n = y.len() as f64;
    (-2..=9)
        .map(|i| {
            let rho = 0.1 * f64::from(i);
            let whitened: Vec<Vec<f64>> = columns.iter().map(|c| whiten(c, rho)).collect();
            let target = whiten(y, rho);
            let gram = Cholesky::of_gram(&whitened, &[]);
            let moments: Vec<f64> = whitened.iter().map(|c| dot(c, &target)).collect();
            let rss = (dot(&target, &target) - gram.quadratic(&moments)).max(1e-300);
            (rho, -0.5 * (n * (rss / n).ln() - (1.0 - rho * rho).ln()))
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0.0, 0.0))
}
