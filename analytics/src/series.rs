//! Cutting a long table into series: equally spaced values per project, brand and metric.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use domain::metric::Granularity;
use polars::prelude::{Column, DataFrame, DataType, PolarsError};

use crate::calendar::{Calendar, Combine, align};

/// One series of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Project; empty when the table has no such column.
    pub project: String,
    /// Brand.
    pub brand: String,
    /// Metric.
    pub metric: String,
    /// First day of the first period.
    pub first: NaiveDate,
    /// One value per period from the first to the last known one, NaN = absent.
    pub values: Vec<f64>,
}

impl Series {
    /// Periods in which something happened: known and not zero. Where a mapping says `absent = zero`, these are the periods that
    /// the file had a row for.
    pub fn active(&self) -> usize {
        self.values
            .iter()
            .filter(|v| v.is_finite() && **v != 0.0)
            .count()
    }

    /// First day of period `t`.
    pub fn period(&self, t: usize, granularity: Granularity) -> NaiveDate {
        granularity.add(
            self.first,
            u32::try_from(t).expect("a series has fewer periods than u32 holds"),
        )
    }
}

impl Series {
    /// The same series on another calendar; see [`align`].
    #[must_use]
    pub fn on(&self, granularity: Granularity, to: &Calendar, combine: Combine) -> Self {
        let from = Calendar::iso(granularity);
        let aligned = align(self.first, &self.values, &from, to, combine);
        Self {
            first: aligned.first,
            values: aligned.values,
            ..self.clone()
        }
    }
}

/// A table of columns.
pub type Frame = DataFrame;

/// The long table that [`cut`] reads, from columns of equal length.
///
/// # Errors
/// When the columns are not equally long.
pub fn frame(
    project: Vec<String>,
    brand: Vec<String>,
    metric: Vec<String>,
    period: &[NaiveDate],
    value: Vec<f64>,
) -> Result<DataFrame, PolarsError> {
    let epoch = NaiveDate::default();
    let days: Vec<i32> = period
        .iter()
        .map(|date| {
            i32::try_from((*date - epoch).num_days())
                .expect("a calendar date is within i32 days of 1970")
        })
        .collect();
    let columns = vec![
        Column::new("project".into(), project),
        Column::new("brand".into(), brand),
        Column::new("metric".into(), metric),
        Column::new("period".into(), days).cast(&DataType::Date)?,
        Column::new("value".into(), value),
    ];
    DataFrame::new_infer_height(columns)
}

/// Cuts a long table with the columns `brand`, `metric` (text), `period` (date), `value` (number) and perhaps `project` (text)
/// into its series, ordered by project, brand and metric. Of repeated keys the last row counts; rows with a null are skipped.
///
/// # Errors
/// When a column is missing or of another type.
pub fn cut(table: &DataFrame, granularity: Granularity) -> Result<Vec<Series>, PolarsError> {
    let brands = table.column("brand")?.str()?;
    let metrics = table.column("metric")?.str()?;
    let periods = table
        .column("period")?
        .cast(&DataType::Date)?
        .cast(&DataType::Int32)?;
    let periods = periods.i32()?;
    let values = table.column("value")?.cast(&DataType::Float64)?;
    let values = values.f64()?;
    let projects = match table.column("project") {
        Ok(column) => Some(column.str()?),
        Err(_) => None,
    };
    let epoch = NaiveDate::default();
    let mut known: BTreeMap<(&str, &str, &str), BTreeMap<NaiveDate, f64>> = BTreeMap::new();
    for row in 0..table.height() {
        let project = projects.map_or(Some(""), |p| p.get(row));
        let (Some(project), Some(brand), Some(metric)) =
            (project, brands.get(row), metrics.get(row))
        else {
            continue;
        };
        let (Some(day), Some(value)) = (periods.get(row), values.get(row)) else {
            continue;
        };
        let distance = Days::new(u64::from(day.unsigned_abs()));
        let date = if day >= 0 {
            epoch + distance
        } else {
            epoch - distance
        };
        known
            .entry((project, brand, metric))
            .or_default()
            .insert(granularity.start_of(date), value);
    }
    Ok(known
        .into_iter()
        .filter_map(|((project, brand, metric), known)| {
            let (first, last) = (*known.keys().next()?, *known.keys().next_back()?);
            let values = (0..)
                .map(|t| granularity.add(first, t))
                .take_while(|period| *period <= last)
                .map(|period| known.get(&period).copied().unwrap_or(f64::NAN))
                .collect();
            Some(Series {
                project: project.into(),
                brand: brand.into(),
                metric: metric.into(),
                first,
                values,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{Column, NamedFrom, Series as Values, df};

    fn table() -> DataFrame {
        let monday = 17_168; // 2017-01-02
        let mut table = df!(
            "project" => ["p", "p", "p", "q"],
            "brand" => ["b", "b", "b", "b"],
            "metric" => ["units", "units", "units", "units"],
            "value" => [1.0, 0.0, 3.0, 9.0],
        )
        .expect("a table");
        let days = Values::new("period".into(), [monday, monday + 21, monday + 7, monday]);
        let dates = days.cast(&DataType::Date).expect("days are dates");
        table
            .with_column(Column::from(dates))
            .expect("equal lengths");
        table
    }

    #[test]
    fn a_table_is_cut_by_project_brand_and_metric_with_gaps_kept() {
        let series = cut(&table(), Granularity::Week).expect("series");
        assert_eq!(series.len(), 2);
        assert_eq!(
            series[0].first,
            NaiveDate::from_ymd_opt(2017, 1, 2).expect("a date")
        );
        assert_eq!(series[0].values[..2], [1.0, 3.0]);
        assert!(series[0].values[2].is_nan());
        assert_eq!(series[0].values[3], 0.0);
        assert_eq!(series[0].active(), 2);
        assert_eq!(series[1].project, "q");
        assert_eq!(
            series[0].period(3, Granularity::Week),
            NaiveDate::from_ymd_opt(2017, 1, 23).expect("a date")
        );
    }

    #[test]
    fn a_series_is_put_on_another_calendar_under_the_same_names() {
        let weeks = &cut(&table(), Granularity::Week).expect("series")[0];
        let months = weeks.on(
            Granularity::Week,
            &Calendar::iso(Granularity::Month),
            Combine::Sum,
        );
        assert_eq!(
            (months.project.as_str(), months.metric.as_str()),
            ("p", "units")
        );
        assert_eq!(
            (months.first, months.values),
            (
                NaiveDate::from_ymd_opt(2017, 1, 1).expect("a date"),
                vec![4.0]
            )
        );
    }

    #[test]
    fn a_table_without_periods_is_refused() {
        assert!(
            cut(
                &table().drop("period").expect("it is there"),
                Granularity::Week
            )
            .is_err()
        );
    }
}
