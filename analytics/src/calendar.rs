//! Periods of one calendar as periods of another: days to weeks to months, with days apportioned.
//!
//! A week that lies over two months belongs to both by its days. What adds up (sales, spend) is split in proportion to the days,
//! and nothing is lost: the parts sum to the whole. What does not add up is averaged with the days as weights, and what is a
//! standing at a moment (a stock, a rank) is the last known one. How much of a period was covered by known values is told,
//! so that half a month is not taken for a weak one.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use domain::metric::Granularity;
use serde::{Deserialize, Serialize};

/// A way to cut time into periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Length of a period.
    pub granularity: Granularity,
    /// First day of a week; nothing to other periods.
    pub week_start: Weekday,
}

impl Calendar {
    /// The product's calendar: weeks start on Monday, as in ISO 8601.
    #[must_use]
    pub fn iso(granularity: Granularity) -> Self {
        Self {
            granularity,
            week_start: Weekday::Mon,
        }
    }

    /// Weeks that start on another day, such as a retailer's.
    #[must_use]
    pub fn weeks_from(week_start: Weekday) -> Self {
        Self {
            granularity: Granularity::Week,
            week_start,
        }
    }

    /// First day of the period that holds `date`.
    #[must_use]
    pub fn start_of(&self, date: NaiveDate) -> NaiveDate {
        match self.granularity {
            Granularity::Week => {
                date - Days::new(u64::from(date.weekday().days_since(self.week_start)))
            }
            other => other.start_of(date),
        }
    }

    /// First day of the period after the one that starts at `start`.
    #[must_use]
    pub fn next(&self, start: NaiveDate) -> NaiveDate {
        self.granularity.add(start, 1)
    }
}

/// How several values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Amounts add up; one that lies over a border is split by days.
    Sum,
    /// Averaged with the days as weights: prices, shares, indices.
    Mean,
    /// The last known standing: stocks, ranks. A value stands at the end of its period.
    Last,
}

/// A series on another calendar.
#[derive(Clone, Debug, PartialEq)]
pub struct Aligned {
    /// First day of the first period.
    pub first: NaiveDate,
    /// One value per period, NaN = absent: no known value reaches into it (for [`Combine::Last`], ends in it).
    pub values: Vec<f64>,
    /// Share of each period's days that lie in a period with a known value, 0 to 1.
    pub coverage: Vec<f64>,
}

/// Puts `values`, one per period of `from` beginning with the one that holds `first`, NaN = absent, on the calendar `to`.
///
/// For [`Combine::Sum`] the results sum to the known values: exactly where the days divide them, otherwise to the rounding of
/// one addition per part. Turning months into weeks works too and spreads each month evenly over its days.
#[must_use]
pub fn align(
    first: NaiveDate,
    values: &[f64],
    from: &Calendar,
    to: &Calendar,
    combine: Combine,
) -> Aligned {
    let begin = from.start_of(first);
    let mut aligned = Aligned {
        first: to.start_of(begin),
        values: Vec::new(),
        coverage: Vec::new(),
    };
    // The periods of `to`, opened as the values reach them.
    let mut starts = Vec::new();
    let (mut known, mut totals) = (Vec::new(), Vec::new());
    let mut next = aligned.first;
    let mut at = 0;
    let mut start = begin;
    for &value in values {
        let end = from.next(start);
        while next < end {
            starts.push(next);
            known.push(0.0);
            totals.push(f64::NAN);
            next = to.next(next);
        }
        while starts.get(at + 1).is_some_and(|s| *s <= start) {
            at += 1;
        }
        if value.is_finite() {
            spread(
                value,
                (start, end),
                (&starts[at..], next),
                combine,
                |place, days, part| {
                    known[at + place] += days;
                    if let Some(part) = part {
                        let total = &mut totals[at + place];
                        *total = match combine {
                            Combine::Last => part,
                            _ if total.is_nan() => part,
                            _ => *total + part,
                        };
                    }
                },
            );
        }
        start = end;
    }
    for (place, start) in starts.iter().enumerate() {
        let days = days_between(*start, to.next(*start));
        aligned.coverage.push(known[place] / days);
        aligned.values.push(match combine {
            Combine::Mean => totals[place] / known[place],
            _ => totals[place],
        });
    }
    aligned
}

/// Hands out the parts of one value over the periods that it lies in: their place, the days in common and the part. `starts`
/// are the first days of the periods from the one that holds the value's first day on; the last of them ends before `end`.
fn spread(
    value: f64,
    period: (NaiveDate, NaiveDate),
    (starts, end): (&[NaiveDate], NaiveDate),
    combine: Combine,
    mut hand_out: impl FnMut(usize, f64, Option<f64>),
) {
    let all = days_between(period.0, period.1);
    let mut left = value;
    for place in 0..starts.len() {
        let until = starts.get(place + 1).copied().unwrap_or(end);
        let days = days_between(starts[place].max(period.0), until.min(period.1));
        let is_last = until >= period.1;
        let part = match combine {
            // The last part is what is left, so that nothing is lost to rounding.
            Combine::Sum if is_last => Some(left),
            Combine::Sum => Some(value * days / all),
            Combine::Mean => Some(value * days),
            Combine::Last => is_last.then_some(value),
        };
        left -= part.unwrap_or(0.0);
        hand_out(place, days, part);
        if is_last {
            return;
        }
    }
}

fn days_between(from: NaiveDate, to: NaiveDate) -> f64 {
    (to - from).num_days() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn iso(granularity: Granularity) -> Calendar {
        Calendar::iso(granularity)
    }

    const ALL: [Granularity; 4] = [
        Granularity::Day,
        Granularity::Week,
        Granularity::Month,
        Granularity::Quarter,
    ];

    proptest! {
        #[test]
        fn sums_are_conserved_exactly_where_the_days_divide_them(
            offset in 0u64..4000, counts in prop::collection::vec(-50i32..50, 1..60),
            from in 0usize..4, to in 0usize..4, week_start in 0u8..7, gap in 0usize..60,
        ) {
            let week_start = Weekday::try_from(week_start).expect("a day of the week");
            let (from, to) = (iso(ALL[from]), Calendar { granularity: ALL[to], week_start });
            let first = day("2020-01-01") + Days::new(offset);
            let mut start = from.start_of(first);
            let mut values: Vec<f64> = counts.iter().map(|count| {
                let end = from.next(start);
                let value = f64::from(*count) * days_between(start, end);
                start = end;
                value
            }).collect();
            if let Some(value) = values.get_mut(gap) { *value = f64::NAN; }
            let aligned = align(first, &values, &from, &to, Combine::Sum);
            let sum = |v: &[f64]| v.iter().filter(|v| v.is_finite()).sum::<f64>();
            prop_assert_eq!(sum(&aligned.values), sum(&values));
            prop_assert!(aligned.coverage.iter().all(|c| (0.0..=1.0).contains(c)));
        }

        #[test]
        fn any_sum_is_conserved_to_rounding_and_a_constant_stays_in_the_mean(
            offset in 0u64..4000, values in prop::collection::vec(0.0f64..1e9, 1..60), from in 0usize..4, to in 0usize..4,
        ) {
            let (from, to) = (iso(ALL[from]), iso(ALL[to]));
            let first = day("2020-01-01") + Days::new(offset);
            let aligned = align(first, &values, &from, &to, Combine::Sum);
            let (before, after): (f64, f64) = (values.iter().sum(), aligned.values.iter().sum());
            prop_assert!((before - after).abs() <= 1e-12 * before.max(1.0));
            let level = vec![values[0]; values.len()];
            let mean = align(first, &level, &from, &to, Combine::Mean);
            prop_assert!(mean.values.iter().all(|v| (v - values[0]).abs() <= 1e-12 * values[0].max(1.0)));
        }
    }

    #[test]
    fn a_week_over_two_months_is_split_by_its_days() {
        // 2025-09-29 is a Monday: two days in September, five in October.
        let values = [70.0, 7.0];
        let at = |combine| {
            align(
                day("2025-09-29"),
                &values,
                &iso(Granularity::Week),
                &iso(Granularity::Month),
                combine,
            )
        };
        let sum = at(Combine::Sum);
        assert_eq!(sum.first, day("2025-09-01"));
        assert_eq!(sum.values, [20.0, 57.0]);
        assert_eq!(sum.coverage, [2.0 / 30.0, 12.0 / 31.0]);
        let mean = at(Combine::Mean);
        assert_eq!(mean.values, [70.0, (5.0 * 70.0 + 7.0 * 7.0) / 12.0]);
        let last = at(Combine::Last);
        assert!(last.values[0].is_nan(), "the week ends in October");
        assert_eq!(last.values[1], 7.0);
    }

    #[test]
    fn days_become_weeks_that_start_when_they_are_told_to() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let weeks = |to: Calendar| {
            let first = day("2025-03-01"); // a Saturday
            align(first, &values, &iso(Granularity::Day), &to, Combine::Sum)
        };
        let monday = weeks(iso(Granularity::Week));
        assert_eq!(
            (monday.first, monday.values.as_slice()),
            (day("2025-02-24"), [3.0, 42.0, 10.0].as_slice())
        );
        let saturday = weeks(Calendar::weeks_from(Weekday::Sat));
        assert_eq!(
            (saturday.first, saturday.values.as_slice()),
            (day("2025-03-01"), [28.0, 27.0].as_slice())
        );
        assert_eq!(saturday.coverage, [1.0, 3.0 / 7.0]);
    }

    #[test]
    fn an_absent_day_lowers_the_coverage_and_not_the_mean() {
        let mut values = vec![4.0; 7];
        values[2] = f64::NAN;
        let week = align(
            day("2025-03-03"),
            &values,
            &iso(Granularity::Day),
            &iso(Granularity::Week),
            Combine::Mean,
        );
        assert_eq!((week.values[0], week.coverage[0]), (4.0, 6.0 / 7.0));
    }

    #[test]
    fn a_period_without_a_known_value_is_absent_and_an_empty_series_stays_empty() {
        let months = |values: &[f64], combine| {
            align(
                day("2025-01-06"),
                values,
                &iso(Granularity::Week),
                &iso(Granularity::Month),
                combine,
            )
            .values
        };
        for combine in [Combine::Sum, Combine::Mean, Combine::Last] {
            assert!(months(&[f64::NAN; 6], combine).iter().all(|v| v.is_nan()));
            assert_eq!(months(&[], combine), Vec::<f64>::new());
        }
    }
}
