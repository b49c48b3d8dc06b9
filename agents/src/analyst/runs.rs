//! The values of a table, series by series. The storage returns rows ordered by brand, metric, project and period, so a series
//! is a stretch of neighbouring rows and nothing has to be looked up.

use std::{collections::BTreeMap, ops::Range};

use chrono::{Days, NaiveDate};
use domain::{
    id::{BrandId, MetricId, ProjectId},
    metric::Granularity,
    series::MetricTable,
};

/// One brand's metric in one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeriesRows {
    pub(crate) brand: BrandId,
    pub(crate) metric: MetricId,
    pub(crate) project: ProjectId,
    pub(crate) rows: Range<usize>,
}

/// Every series of a table.
pub(crate) fn series(table: &MetricTable) -> Vec<SeriesRows> {
    let mut out: Vec<SeriesRows> = Vec::new();
    for row in 0..table.len() {
        let key = (table.brand[row], table.metric[row], table.project[row]);
        match out.last_mut() {
            Some(last) if (last.brand, last.metric, last.project) == key => last.rows.end = row + 1,
            _ => out.push(SeriesRows {
                brand: key.0,
                metric: key.1,
                project: key.2,
                rows: row..row + 1,
            }),
        }
    }
    out
}

impl SeriesRows {
    /// The values on the calendar of weeks that begins at `first`, absent ones as NaN.
    pub(crate) fn weekly(&self, table: &MetricTable, first: NaiveDate, weeks: usize) -> Vec<f64> {
        let mut values = vec![f64::NAN; weeks];
        for row in self.rows.clone() {
            let week = (table.period[row] - first).num_days() / 7;
            if let Some(slot) = usize::try_from(week)
                .ok()
                .and_then(|week| values.get_mut(week))
            {
                *slot = table.value[row];
            }
        }
        values
    }

    /// Every period from the first value to `until` (to the last value where nothing is given), with its value, absent ones as NaN.
    pub(crate) fn dense(
        &self,
        table: &MetricTable,
        granularity: Granularity,
        until: Option<NaiveDate>,
    ) -> (Vec<NaiveDate>, Vec<f64>) {
        let rows = self.rows.clone();
        let known: BTreeMap<NaiveDate, f64> = rows
            .map(|row| (granularity.start_of(table.period[row]), table.value[row]))
            .collect();
        let last = until.or_else(|| known.keys().next_back().copied());
        let first = known.keys().next().copied().or(last);
        let (Some(first), Some(last)) = (first, last) else {
            return (Vec::new(), Vec::new());
        };
        let periods: Vec<NaiveDate> = (0..)
            .map(|n| granularity.add(first, n))
            .take_while(|period| *period <= last)
            .collect();
        let value = |period| known.get(period).copied().unwrap_or(f64::NAN);
        let values = periods.iter().map(value).collect();
        (periods, values)
    }

    /// Mean of the values in the `weeks` weeks that end with the one that starts at `until`; `None` without one.
    pub(crate) fn level(&self, table: &MetricTable, until: NaiveDate, weeks: u64) -> Option<f64> {
        let from = until - Days::new(7 * weeks.saturating_sub(1));
        let (mut sum, mut n) = (0.0, 0.0);
        for row in self.rows.clone().rev() {
            let period = table.period[row];
            if period < from {
                break;
            }
            if period <= until {
                sum += table.value[row];
                n += 1.0;
            }
        }
        (n > 0.0).then(|| sum / n)
    }
}
