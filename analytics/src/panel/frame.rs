//! From a polars frame of imported rows to a [`Panel`].

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use domain::metric::Granularity;
use polars::prelude::DataFrame;

use super::{BrandInfo, MetricInfo, Panel, PanelError, Slice};
use crate::series::cut_only;

impl Panel {
    /// Builds a panel from a long frame with the columns `project`, `brand`, `metric` (strings), `period` (dates, the
    /// Monday of each week) and `value`.
    ///
    /// Rows of brands and metrics that are not described are left out.
    ///
    /// # Errors
    /// [`PanelError`] when a column is missing, no row remains, or a remaining one is refused by [`crate::series::cut`]: values of
    /// days, for one, are not those of weeks.
    pub fn from_frame(
        table: &DataFrame,
        brands: Vec<BrandInfo>,
        metrics: Vec<MetricInfo>,
    ) -> Result<Self, PanelError> {
        let brand_of: BTreeMap<&str, usize> = brands
            .iter()
            .enumerate()
            .map(|(i, b)| (b.key.as_str(), i))
            .collect();
        let metric_of: BTreeMap<&str, usize> = metrics
            .iter()
            .enumerate()
            .map(|(i, m)| (m.key.as_str(), i))
            .collect();
        let series = cut_only(table, Granularity::Week, |_, brand, metric| {
            brand_of.contains_key(brand) && metric_of.contains_key(metric)
        })
        .map_err(|error| PanelError::Frame {
            reason: error.to_string(),
        })?;
        let known: Vec<_> = series
            .iter()
            .filter_map(|s| {
                Some((
                    *brand_of.get(s.brand.as_str())?,
                    *metric_of.get(s.metric.as_str())?,
                    s,
                ))
            })
            .filter(|(_, _, s)| !s.values.is_empty())
            .collect();
        let weeks_in =
            |a: NaiveDate, b: NaiveDate| usize::try_from((b - a).num_days() / 7).unwrap_or(0);
        let first = known
            .iter()
            .map(|(_, _, s)| s.first)
            .min()
            .ok_or(PanelError::Empty)?;
        let n = known
            .iter()
            .map(|(_, _, s)| weeks_in(first, s.first) + s.values.len())
            .max()
            .unwrap_or(0);
        let weeks: Vec<NaiveDate> = (0..n).map(|t| first + Days::new(7 * t as u64)).collect();
        let slices = known
            .into_iter()
            .map(|(brand, metric, s)| {
                let mut values = vec![f64::NAN; n];
                let start = weeks_in(first, s.first);
                values[start..start + s.values.len()].copy_from_slice(&s.values);
                Slice {
                    project: s.project.clone(),
                    brand,
                    metric,
                    values,
                }
            })
            .collect();
        Ok(Self::from_slices(weeks, brands, metrics, slices))
    }
}
