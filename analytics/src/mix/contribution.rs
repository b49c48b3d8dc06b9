//! What channels sold: contributions, returns, response curves.

use serde::{Deserialize, Serialize};

use super::{data::Prepared, density::Density, posterior::Sample};
use crate::{
    cancel::{Cancel, Cancelled},
    inference::quantile,
};

/// Draws from which contributions are computed, at most.
const DRAWS: usize = 1000;
/// Multiples of the spend at which response curves are given: 0 to 2.
const CURVE: usize = 21;

/// A quantity with its 90 % interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Mean.
    pub mean: f64,
    /// 5 % quantile.
    pub low: f64,
    /// Median.
    pub median: f64,
    /// 95 % quantile.
    pub high: f64,
}

impl Interval {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.sort_by(f64::total_cmp);
        Self {
            mean,
            low: quantile(&values, 0.05),
            median: quantile(&values, 0.5),
            high: quantile(&values, 0.95),
        }
    }
}

/// What a channel sold over the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelResult {
    /// Its name.
    pub name: String,
    /// Outcome that would be missing had there been no exposure, in units of the outcome.
    pub contribution: Interval,
    /// The part of it in rows with a known outcome, as a share of the known outcome's total.
    pub share: Interval,
    /// The same in money.
    pub value: Interval,
    /// Money spent, where it is known.
    pub spend: Option<f64>,
    /// Value per money spent (return on advertising spend).
    pub roas: Option<Interval>,
    /// Value of one more unit of money, spread like the spend of the data: from one percent more exposure.
    pub marginal_roas: Option<Interval>,
    /// Contribution by period, all groups together, in units of the outcome.
    pub by_period: Vec<Interval>,
    /// Contribution by group over all periods; empty with one group.
    pub by_group: Vec<Interval>,
    /// Mean value at multiples of the data's exposure.
    pub curve: Vec<CurvePoint>,
}

/// A point of a response curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Multiple of every exposure.
    pub multiple: f64,
    /// Value sold, in money.
    pub value: Interval,
}

/// Everything that is read off the draws about the outcome.
pub(super) struct Readings {
    pub(super) channels: Vec<ChannelResult>,
    /// Outcome without media, all rows together, in units of the outcome.
    pub(super) baseline: Interval,
    /// Share of draws in which the outcome without media is negative over all.
    pub(super) negative_baseline: f64,
    /// Mean of the fitted outcome by row, in units of the outcome.
    pub(super) fitted: Vec<f64>,
}

pub(super) fn read(
    prepared: &Prepared,
    density: &mut Density<'_>,
    sample: &Sample,
    cancel: &dyn Cancel,
) -> Result<Readings, Cancelled> {
    let design = &prepared.design;
    let (groups, n, rows) = (design.groups, design.periods, design.rows());
    let channels = design.channels.len();
    let positions = sample.thinned(DRAWS);
    let count = positions.len().max(1);
    let outcome: f64 = prepared.outcome.iter().filter(|v| v.is_finite()).sum();
    let mut totals = vec![Vec::with_capacity(count); channels];
    let mut known = vec![Vec::with_capacity(count); channels];
    let mut values = vec![Vec::with_capacity(count); channels];
    let mut more = vec![Vec::with_capacity(count); channels];
    let mut by_period = vec![vec![Vec::with_capacity(count); n]; channels];
    let mut by_group = vec![vec![Vec::with_capacity(count); groups]; channels];
    let mut curves = vec![vec![Vec::new(); CURVE]; channels];
    let mut baselines = Vec::with_capacity(count);
    let mut fitted = vec![0.0; rows];
    let mut mean = vec![0.0; rows];
    let mut scaled = vec![0.0; rows];
    let mut moved = vec![0.0; rows];
    let mut period = vec![0.0; n];
    // Curves cost one pass per multiple: a fifth of the draws is plenty for their intervals.
    let sparse = count.div_ceil(200);
    for (d, q) in positions.iter().enumerate() {
        cancel.check()?;
        density.place(q);
        mean.fill(0.0);
        density.baseline_into(&mut mean);
        let mut base = 0.0;
        for g in 0..groups {
            for t in 0..n {
                let i = g * n + t;
                base += mean[i] * prepared.unit[g] + prepared.zero[g];
            }
        }
        baselines.push(base);
        density.mean_into(&mut mean);
        for g in 0..groups {
            for t in 0..n {
                let i = g * n + t;
                fitted[i] += (mean[i] * prepared.unit[g] + prepared.zero[g]) / count as f64;
            }
        }
        for m in 0..channels {
            let state = &density.states[m];
            period.fill(0.0);
            let (mut total, mut seen, mut value) = (0.0, 0.0, 0.0);
            for (g, by_group) in by_group[m].iter_mut().enumerate() {
                let k = state.beta * state.factors[g] * prepared.unit[g];
                let rows = g * n..(g + 1) * n;
                let (mut of_group, mut seen_of_group) = (0.0, 0.0);
                for (((all, saturated), worth), outcome) in period
                    .iter_mut()
                    .zip(&state.saturated[rows.clone()])
                    .zip(&prepared.value[rows.clone()])
                    .zip(&prepared.outcome[rows])
                {
                    let sold = k * saturated;
                    *all += sold;
                    of_group += sold;
                    if outcome.is_finite() {
                        seen_of_group += sold;
                    }
                    value += sold * worth;
                }
                total += of_group;
                seen += seen_of_group;
                by_group.push(of_group);
            }
            totals[m].push(total);
            known[m].push(seen);
            values[m].push(value);
            for (all, v) in by_period[m].iter_mut().zip(&period) {
                all.push(*v);
            }
            let mut at = |multiple: f64| {
                for (x, a) in scaled.iter_mut().zip(&state.carried) {
                    *x = multiple * a;
                }
                design.channels[m]
                    .saturation
                    .apply_into(state.saturation, &scaled, &mut moved);
                (0..groups)
                    .map(|g| {
                        let span = g * n..(g + 1) * n;
                        let k = state.beta * state.factors[g] * prepared.unit[g];
                        k * crate::linear::dot(&moved[span.clone()], &prepared.value[span])
                    })
                    .sum::<f64>()
            };
            more[m].push((at(1.01) - value) / 0.01);
            if d % sparse == 0 {
                for (i, point) in curves[m].iter_mut().enumerate() {
                    point.push(at(multiple(i)));
                }
            }
        }
    }
    let negative_baseline =
        baselines.iter().filter(|b| **b < 0.0).count() as f64 / baselines.len().max(1) as f64;
    let of = |values: &[f64], k: f64| Interval::of(values.iter().map(|v| v * k).collect());
    let results = (0..channels)
        .map(|m| {
            let spend: Option<f64> =
                (!prepared.spend[m].is_empty()).then(|| prepared.spend[m].iter().sum());
            let per_money = spend.filter(|s| *s > 0.0).map(|s| 1.0 / s);
            ChannelResult {
                name: design.channels[m].name.clone(),
                contribution: of(&totals[m], 1.0),
                share: of(&known[m], 1.0 / outcome),
                value: of(&values[m], 1.0),
                spend,
                roas: per_money.map(|k| of(&values[m], k)),
                marginal_roas: per_money.map(|k| of(&more[m], k)),
                by_period: by_period[m].iter().map(|v| of(v, 1.0)).collect(),
                by_group: if groups > 1 {
                    by_group[m].iter().map(|v| of(v, 1.0)).collect()
                } else {
                    Vec::new()
                },
                curve: curves[m]
                    .iter()
                    .enumerate()
                    .map(|(i, v)| CurvePoint {
                        multiple: multiple(i),
                        value: of(v, 1.0),
                    })
                    .collect(),
            }
        })
        .collect();
    Ok(Readings {
        channels: results,
        baseline: Interval::of(baselines),
        negative_baseline,
        fitted,
    })
}

fn multiple(i: usize) -> f64 {
    2.0 * i as f64 / (CURVE - 1) as f64
}
