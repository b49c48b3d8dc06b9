//! Cutting a long table into series: equally spaced values per project, brand and metric.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate};
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

/// A table of columns, for callers that hold one without reading it.
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

/// The years that dates may lie in. Exports write infinity as a date far outside of them.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;
/// The most years between the first and the last date of a series. A series has a value for every period in between, so one
/// wrong date would make millions of them.
pub const LONGEST_YEARS: i32 = 200;

/// Cuts a long table with the columns `brand`, `metric` (text), `period` (date), `value` (number) and perhaps `project` (text)
/// into its series, ordered by project, brand and metric. Of rows with the same keys and date the last counts; rows with a null
/// are skipped. Dates may be any day of their period, but the same one within a period.
///
/// # Errors
/// When a column is missing or of another type; when a date is not of the years 1 to 9999; when a series spans more than
/// [`LONGEST_YEARS`]; when two dates of a series lie in one period: values of days are no series of weeks until they are combined
/// ([`Series::on`]).
pub fn cut(table: &DataFrame, granularity: Granularity) -> Result<Vec<Series>, PolarsError> {
    cut_only(table, granularity, |_, _, _| true)
}

/// As [`cut`], of the series that are `wanted` by project, brand and metric; others are not looked at.
///
/// # Errors
/// As [`cut`], for the wanted series.
pub fn cut_only(
    table: &DataFrame,
    granularity: Granularity,
    wanted: impl Fn(&str, &str, &str) -> bool,
) -> Result<Vec<Series>, PolarsError> {
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
    // By the first day of the period: the row's own date and its value.
    type Known = BTreeMap<NaiveDate, (NaiveDate, f64)>;
    let mut known: BTreeMap<(&str, &str, &str), Known> = BTreeMap::new();
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
        if !wanted(project, brand, metric) {
            continue;
        }
        let refused = |problem: String| {
            let series = named(project, brand, metric);
            refused(format!("row {} ({series}): {problem}", row + 1))
        };
        let date = date(day).ok_or_else(|| {
            refused(format!(
                "its date, {day} days from 1970-01-01, is not of the years {} to {}",
                YEARS.start(),
                YEARS.end()
            ))
        })?;
        let period = granularity.start_of(date);
        let before = known
            .entry((project, brand, metric))
            .or_default()
            .insert(period, (date, value));
        if let Some((other, _)) = before.filter(|(other, _)| *other != date) {
            return Err(refused(format!(
                "{other} and {date} are of one {}, {period}; combine finer values first",
                name(granularity)
            )));
        }
    }
    known
        .into_iter()
        .filter_map(|(keys, known)| {
            let (first, last) = (*known.keys().next()?, *known.keys().next_back()?);
            Some((keys, known, first, last))
        })
        .map(|((project, brand, metric), known, first, last)| {
            if last.year() - first.year() > LONGEST_YEARS {
                return Err(refused(format!(
                    "{}: its dates from {first} to {last} span more than {LONGEST_YEARS} years",
                    named(project, brand, metric)
                )));
            }
            let values = (0..)
                .map(|t| granularity.add(first, t))
                .take_while(|period| *period <= last)
                .map(|period| known.get(&period).map_or(f64::NAN, |(_, value)| *value))
                .collect();
            Ok(Series {
                project: project.into(),
                brand: brand.into(),
                metric: metric.into(),
                first,
                values,
            })
        })
        .collect()
}

/// A date from its days since 1970, where it is of the years that dates may lie in.
fn date(day: i32) -> Option<NaiveDate> {
    let distance = Days::new(u64::from(day.unsigned_abs()));
    let epoch = NaiveDate::default();
    let date = if day >= 0 {
        epoch.checked_add_days(distance)
    } else {
        epoch.checked_sub_days(distance)
    };
    date.filter(|date| YEARS.contains(&date.year()))
}

fn refused(problem: String) -> PolarsError {
    PolarsError::ComputeError(problem.into())
}

/// The names of a series that it has.
fn named(project: &str, brand: &str, metric: &str) -> String {
    let names = [project, brand, metric].into_iter();
    let given: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    given.join(" / ")
}

fn name(granularity: Granularity) -> &'static str {
    match granularity {
        Granularity::Day => "day",
        Granularity::Week => "week",
        Granularity::Month => "month",
        Granularity::Quarter => "quarter",
    }
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

    /// Two values of one brand on these days since 1970.
    fn two(days: [i32; 2]) -> DataFrame {
        let days = Values::new("period".into(), days);
        let mut table = df!(
            "brand" => ["b", "b"],
            "metric" => ["units", "units"],
            "value" => [1.0, 2.0],
        )
        .expect("a table");
        let dates = days.cast(&DataType::Date).expect("days are dates");
        table
            .with_column(Column::from(dates))
            .expect("equal lengths");
        table
    }

    #[test]
    fn a_date_that_stands_for_infinity_is_refused_by_its_row() {
        for granularity in [Granularity::Day, Granularity::Week, Granularity::Quarter] {
            for day in [i32::MAX, i32::MIN, 2_932_897, -719_163] {
                let error = cut(&two([17_168, day]), granularity).expect_err("no such date");
                let text = error.to_string();
                assert!(
                    text.contains("row 2 (b / units)") && text.contains("years 1 to 9999"),
                    "{text}"
                );
            }
            // The last day of 9999 and the first of year 1 are dates, but no series reaches that far from today.
            for day in [2_932_896, -719_162] {
                let error = cut(&two([17_168, day]), granularity).expect_err("too long");
                let text = error.to_string();
                assert!(text.contains("span more than 200 years"), "{text}");
                assert_eq!(
                    cut(&two([day, day]), granularity).expect("one date")[0].values,
                    [2.0]
                );
            }
        }
    }

    #[test]
    fn values_of_days_are_no_series_of_weeks() {
        let monday = 17_168;
        let error = cut(&two([monday, monday + 6]), Granularity::Week).expect_err("two days");
        let text = error.to_string();
        assert!(
            text.contains("row 2 (b / units): 2017-01-02 and 2017-01-08 are of one week"),
            "{text}"
        );
        let days = cut(&two([monday, monday + 6]), Granularity::Day).expect("days");
        assert_eq!(days[0].values.len(), 7);
        // Weeks may be dated by any of their days, and the same date again replaces its value.
        let weeks = cut(&two([monday + 6, monday + 9]), Granularity::Week).expect("weeks");
        assert_eq!(weeks[0].values, [1.0, 2.0]);
        let again = cut(&two([monday, monday]), Granularity::Week).expect("one week");
        assert_eq!(again[0].values, [2.0]);
    }

    #[test]
    fn series_that_nobody_asked_for_are_not_looked_at() {
        let table = two([17_168, i32::MAX]);
        let none = cut_only(&table, Granularity::Week, |_, _, metric| metric == "price");
        assert_eq!(none.expect("nothing wanted"), []);
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
