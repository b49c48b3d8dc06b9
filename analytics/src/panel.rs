//! The table every estimator reads: cleaned weekly series per brand and metric, summed over projects.
//!
//! A panel is built from imported rows only ([`Panel::from_frame`] or [`Panel::from_slices`]). Projects hold disjoint
//! slices of a brand, so additive metrics are summed over them and the others averaged (prices by the units sold). Before that
//! slices of sales and health are compared with their siblings: a value far from what the other projects imply is treated as
//! wrong, and wrong or absent values are filled from the siblings. What could not be filled stays absent (NaN) and is left out
//! by the estimators. A project counts from its first known value to its last (but for the outermost weeks of the calendar, where a
//! gap is likelier than a launch or a delisting): no history is invented before the one or after the other.

mod frame;
mod repair;

use std::{collections::BTreeMap, ops::Range};

use chrono::NaiveDate;
use domain::metric::MetricRole;
use thiserror::Error;

use crate::quality::{Criteria, cleaning::fill_linear};

/// What is known about a brand.
#[derive(Debug, Clone, PartialEq)]
pub struct BrandInfo {
    /// Stable key, as it appears in the rows.
    pub key: String,
    /// Own brand (`true`) or competitor.
    pub own: bool,
    /// Margin per unit of the outcome metric, in currency; 1 when the outcome is margin already.
    pub margin: f64,
}

/// What is known about a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricInfo {
    /// Stable key, as it appears in the rows.
    pub key: String,
    /// What the metric is to the models.
    pub role: MetricRole,
    /// Channel of a spend metric.
    pub channel: Option<String>,
    /// Whether a larger value is better.
    pub higher_is_better: bool,
    /// Whether a portfolio value is the sum over projects (otherwise their mean).
    pub additive: bool,
}

/// Values of one brand and metric in one project, one per week, NaN where absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Project key.
    pub project: String,
    /// Position of the brand.
    pub brand: usize,
    /// Position of the metric.
    pub metric: usize,
    /// Values by week.
    pub values: Vec<f64>,
}

/// What was found and done while building a panel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PanelQuality {
    /// Rows read.
    pub rows: usize,
    /// Values that were absent in a project although the series had begun and not ended.
    pub absent: usize,
    /// Values replaced because they contradicted the other projects.
    pub outliers: usize,
    /// Absent or wrong values filled from other projects.
    pub filled: usize,
}

/// Why a panel could not be built.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PanelError {
    /// A needed column is missing or has the wrong type.
    #[error("the table cannot be read: {reason}")]
    Frame {
        /// What is wrong with it.
        reason: String,
    },
    /// There is no row of a known brand and metric.
    #[error("no rows of a known brand and metric")]
    Empty,
}

/// Cleaned weekly series per brand and metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    weeks: Vec<NaiveDate>,
    brands: Vec<BrandInfo>,
    metrics: Vec<MetricInfo>,
    series: Vec<Vec<f64>>,
    quality: PanelQuality,
}

impl Panel {
    /// Builds a panel from slices that share one calendar of weeks.
    #[must_use]
    pub fn from_slices(
        weeks: Vec<NaiveDate>,
        brands: Vec<BrandInfo>,
        metrics: Vec<MetricInfo>,
        slices: Vec<Slice>,
    ) -> Self {
        Self::from_weighted_slices(weeks, brands, metrics, slices, None)
    }

    /// Builds a panel from slices that share one calendar of weeks. `units` is the position of the metric that counts what
    /// is sold: a price is weighted by it in every week in which it is known in each project that has a price then.
    #[must_use]
    pub fn from_weighted_slices(
        weeks: Vec<NaiveDate>,
        brands: Vec<BrandInfo>,
        metrics: Vec<MetricInfo>,
        slices: Vec<Slice>,
        units: Option<usize>,
    ) -> Self {
        let n = weeks.len();
        let mut groups: BTreeMap<(usize, usize), Vec<Part>> = BTreeMap::new();
        let mut quality = PanelQuality::default();
        for slice in slices {
            quality.rows += slice.values.iter().filter(|v| v.is_finite()).count();
            let Some(span) = span(&slice.values) else {
                continue;
            };
            let parts = groups.entry((slice.brand, slice.metric)).or_default();
            parts.push(Part {
                project: slice.project,
                values: slice.values,
                span,
            });
        }
        for ((_, m), parts) in &mut groups {
            repair::repair(parts, &metrics[*m], &mut quality);
        }
        let mut series = vec![Vec::new(); brands.len() * metrics.len()];
        for ((b, m), parts) in &groups {
            let sold = units
                .filter(|_| metrics[*m].role == MetricRole::Price)
                .and_then(|units| groups.get(&(*b, units)));
            let total = (0..n).map(|t| {
                let there: Vec<&Part> = parts.iter().filter(|p| p.span.contains(&t)).collect();
                if there.is_empty() {
                    return f64::NAN;
                }
                let sum: f64 = there.iter().map(|p| p.values[t]).sum();
                if metrics[*m].additive {
                    return sum;
                }
                sold.and_then(|sold| weighted(&there, sold, t))
                    .unwrap_or(sum / there.len() as f64)
            });
            series[b * metrics.len() + m] = total.collect();
        }
        Self {
            weeks,
            brands,
            metrics,
            series,
            quality,
        }
    }

    /// The Mondays.
    #[must_use]
    pub fn weeks(&self) -> &[NaiveDate] {
        &self.weeks
    }

    /// The brands, in the order given.
    #[must_use]
    pub fn brands(&self) -> &[BrandInfo] {
        &self.brands
    }

    /// The metrics, in the order given.
    #[must_use]
    pub fn metrics(&self) -> &[MetricInfo] {
        &self.metrics
    }

    /// What was found and done while cleaning.
    #[must_use]
    pub fn quality(&self) -> PanelQuality {
        self.quality
    }

    /// A brand's portfolio series of a metric; `None` when nothing was observed.
    #[must_use]
    pub fn series(&self, brand: usize, metric: usize) -> Option<&[f64]> {
        let values = self.series.get(brand * self.metrics.len() + metric)?;
        (!values.is_empty() && values.iter().any(|v| v.is_finite())).then_some(values.as_slice())
    }

    /// Positions of own brands.
    pub fn own(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.brands.len()).filter(|&b| self.brands[b].own)
    }

    /// Positions of competitors.
    pub fn rivals(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.brands.len()).filter(|&b| !self.brands[b].own)
    }

    /// Positions of metrics with a role.
    pub fn with_role(&self, role: MetricRole) -> impl Iterator<Item = usize> + '_ {
        (0..self.metrics.len()).filter(move |&m| self.metrics[m].role == role)
    }

    /// The outcome metric: the first with that role.
    #[must_use]
    pub fn outcome(&self) -> Option<usize> {
        self.with_role(MetricRole::Outcome).next()
    }
}

/// One brand's metric in one of its projects.
#[derive(Debug)]
struct Part {
    project: String,
    /// Values by week.
    values: Vec<f64>,
    /// The weeks in which the project had the metric: [`span`].
    span: Range<usize>,
}

impl Part {
    /// Whether the value of a week of the span is absent.
    fn lacks(&self, t: usize) -> bool {
        self.span.contains(&t) && !self.values[t].is_finite()
    }

    /// How many weeks of the span are absent.
    fn absent(&self) -> usize {
        self.span.clone().filter(|&t| self.lacks(t)).count()
    }
}

/// The weeks from the first known value to the last; `None` when none is known. Where these are no further from the ends of the
/// calendar than the quality check lets a series be old, a value is late or lost: that is a gap and no launch or delisting.
fn span(values: &[f64]) -> Option<Range<usize>> {
    let near = Criteria::default().max_age;
    let first = values.iter().position(|v| v.is_finite())?;
    let last = values.iter().rposition(|v| v.is_finite())?;
    let start = if first <= near { 0 } else { first };
    let is_late = values.len() - 1 - last <= near;
    Some(start..if is_late { values.len() } else { last + 1 })
}

/// The mean of projects in week `t`, weighted by what was sold in them; `None` when that is not known in all of them.
fn weighted(there: &[&Part], sold: &[Part], t: usize) -> Option<f64> {
    let (mut units, mut worth) = (0.0, 0.0);
    for part in there {
        let here = sold.iter().find(|other| other.project == part.project)?;
        let weight = here.values[t];
        if !weight.is_finite() {
            return None;
        }
        units += weight;
        worth += weight * part.values[t];
    }
    (units > 0.0).then(|| worth / units)
}

/// Fills inner gaps by straight lines and outer gaps by the nearest value; `None` when nothing is finite.
#[must_use]
pub fn bridged(values: &[f64]) -> Option<Vec<f64>> {
    let known: Vec<usize> = (0..values.len())
        .filter(|&t| values[t].is_finite())
        .collect();
    let (first, last) = (*known.first()?, *known.last()?);
    let mut out = values.to_vec();
    out[..first].fill(values[first]);
    out[last + 1..].fill(values[last]);
    fill_linear(&mut out);
    Some(out)
}

#[cfg(test)]
mod tests;
