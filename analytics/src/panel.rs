//! The table every estimator reads: cleaned weekly series per brand and metric, summed over projects.
//!
//! A panel is built from imported rows only ([`Panel::from_frame`] or [`Panel::from_slices`]). Projects hold disjoint
//! slices of a brand, so additive metrics are summed over them and the others averaged (prices by the units sold). Before that every slice is
//! compared with its siblings: a value far from what the other projects imply is treated as wrong, and wrong or absent
//! values are filled from the siblings. What could not be filled stays absent (NaN) and is left out by the estimators.

mod frame;
mod repair;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::metric::MetricRole;
use thiserror::Error;

use crate::quality::cleaning::fill_linear;

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
    /// Values that were absent in a project although the series had begun.
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
    /// is sold: a price is weighted by it in every week in which it is known in each of the price's projects.
    #[must_use]
    pub fn from_weighted_slices(
        weeks: Vec<NaiveDate>,
        brands: Vec<BrandInfo>,
        metrics: Vec<MetricInfo>,
        slices: Vec<Slice>,
        units: Option<usize>,
    ) -> Self {
        let n = weeks.len();
        let mut groups: BTreeMap<(usize, usize), Parts> = BTreeMap::new();
        let mut quality = PanelQuality::default();
        for slice in slices {
            quality.rows += slice.values.iter().filter(|v| v.is_finite()).count();
            let parts = groups.entry((slice.brand, slice.metric)).or_default();
            parts.projects.push(slice.project);
            parts.values.push(slice.values);
        }
        for ((_, m), parts) in &mut groups {
            repair::repair(&mut parts.values, metrics[*m].additive, &mut quality);
        }
        let mut series = vec![Vec::new(); brands.len() * metrics.len()];
        for ((b, m), parts) in &groups {
            let sold = units
                .filter(|_| metrics[*m].role == MetricRole::Price)
                .and_then(|units| groups.get(&(*b, units)));
            let total = (0..n).map(|t| {
                if metrics[*m].additive {
                    return parts.sum(t);
                }
                sold.and_then(|sold| parts.weighted_by(sold, t))
                    .unwrap_or_else(|| parts.sum(t) / parts.values.len() as f64)
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

/// One brand's metric in each of its projects.
#[derive(Debug, Default)]
struct Parts {
    projects: Vec<String>,
    /// Values by week, in the order of the projects.
    values: Vec<Vec<f64>>,
}

impl Parts {
    fn sum(&self, t: usize) -> f64 {
        self.values.iter().map(|p| p[t]).sum()
    }

    /// The mean in week `t`, weighted by what was sold in the same projects; `None` when that is not known in all of them.
    fn weighted_by(&self, sold: &Self, t: usize) -> Option<f64> {
        let (mut units, mut worth) = (0.0, 0.0);
        for (project, values) in self.projects.iter().zip(&self.values) {
            let here = sold.projects.iter().position(|other| other == project)?;
            let weight = sold.values[here][t];
            if !weight.is_finite() {
                return None;
            }
            units += weight;
            worth += weight * values[t];
        }
        (units > 0.0).then(|| worth / units)
    }
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
