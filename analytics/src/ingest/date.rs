//! From the text of a date to the first day of its period.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use domain::{
    mapping::{DateFormat, DateRule},
    metric::Granularity,
};

use super::Refusal;

/// Reads the dates of one file.
pub(super) struct Dates<'m> {
    rule: &'m DateRule,
    granularity: Granularity,
    zone: chrono_tz::Tz,
}

impl<'m> Dates<'m> {
    pub(super) fn new(rule: &'m DateRule, granularity: Granularity) -> Self {
        // The mapping was checked before; UTC can only stand in for a name that the check refused.
        Self {
            rule,
            granularity,
            zone: rule.time_zone.parse().unwrap_or(chrono_tz::UTC),
        }
    }

    /// The period; nothing when the mapping drops it.
    pub(super) fn read(&self, text: &str) -> Result<Option<NaiveDate>, Refusal> {
        if text.is_empty() {
            return Err(Refusal::new("date.missing", "has no date"));
        }
        let malformed = |expected: &str| {
            Refusal::new(
                "date.malformed",
                format!("is not a date of the form {expected}"),
            )
        };
        let date = match &self.rule.format {
            DateFormat::Iso => {
                NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| malformed("2017-01-31"))?
            }
            DateFormat::Compact if text.len() == 8 => {
                NaiveDate::parse_from_str(text, "%Y%m%d").map_err(|_| malformed("20170131"))?
            }
            DateFormat::Compact => return Err(malformed("20170131")),
            DateFormat::Pattern { pattern } => {
                NaiveDate::parse_from_str(text, pattern).map_err(|_| malformed(pattern))?
            }
            DateFormat::Timestamp => {
                let moment = DateTime::parse_from_rfc3339(text)
                    .map_err(|_| malformed("2017-01-31T23:30:00Z"))?;
                self.day_at_source(moment.to_utc())?
            }
            DateFormat::EpochMicros => {
                let micros: i64 = text.parse().map_err(|_| malformed("1485905400000000"))?;
                let moment = DateTime::from_timestamp_micros(micros).ok_or_else(outside)?;
                self.day_at_source(moment)?
            }
            DateFormat::WeekNumber {
                origin,
                first_week,
                drop_below,
            } => {
                let week: i64 = text
                    .parse()
                    .map_err(|_| malformed("a whole number of weeks"))?;
                if drop_below.is_some_and(|least| week < least) {
                    return Ok(None);
                }
                let days = week
                    .checked_sub(*first_week)
                    .and_then(|weeks| weeks.checked_mul(7));
                days.and_then(|days| shift(*origin, days)).ok_or_else(|| {
                    Refusal::new("date.out_of_range", "is a week outside 1900 to 2199")
                })?
            }
        };
        let years = NaiveDate::from_ymd_opt(1900, 1, 1).expect("a date")
            ..NaiveDate::from_ymd_opt(2200, 1, 1).expect("a date");
        if !years.contains(&date) {
            return Err(outside());
        }
        let period = self.granularity.start_of(date);
        if period != date && !self.rule.align {
            return Err(Refusal::new(
                "date.not_period_start",
                format!(
                    "is not the first day of its period, which is {period}: set date.align = true if it stands for it"
                ),
            ));
        }
        Ok(Some(period))
    }

    /// The day that a moment belongs to in the source's time zone.
    fn day_at_source(&self, moment: DateTime<Utc>) -> Result<NaiveDate, Refusal> {
        // At the ends of chrono's calendar the zone's offset would lead out of it. A year further than what is accepted,
        // because the day itself is checked later.
        if !(1899..=2200).contains(&moment.year()) {
            return Err(outside());
        }
        Ok(moment.with_timezone(&self.zone).date_naive())
    }
}

fn outside() -> Refusal {
    Refusal::new("date.out_of_range", "is outside 1900 to 2199")
}

fn shift(origin: NaiveDate, days: i64) -> Option<NaiveDate> {
    let distance = Days::new(days.unsigned_abs());
    if days >= 0 {
        origin.checked_add_days(distance)
    } else {
        origin.checked_sub_days(distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(y: i32, m: u32, d: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(y, m, d).expect("a date")
    }

    fn read(
        format: DateFormat,
        align: bool,
        zone: &str,
        granularity: Granularity,
        text: &str,
    ) -> Result<Option<NaiveDate>, &'static str> {
        let rule = DateRule {
            column: "d".into(),
            format,
            align,
            time_zone: zone.into(),
        };
        Dates::new(&rule, granularity)
            .read(text)
            .map_err(|r| r.code)
    }

    #[test]
    fn every_way_of_writing_a_date_is_read() {
        let pattern = DateFormat::Pattern {
            pattern: "%d/%m/%Y".into(),
        };
        let january = Ok(Some(day(2017, 1, 31)));
        for (format, text) in [
            (DateFormat::Iso, "2017-01-31"),
            (DateFormat::Compact, "20170131"),
            (pattern, "31/01/2017"),
        ] {
            assert_eq!(
                read(format, false, "UTC", Granularity::Day, text),
                january,
                "{text}"
            );
        }
    }

    #[test]
    fn a_moment_belongs_to_the_day_it_was_at_the_source() {
        let moment = "2017-01-31T23:30:00Z";
        assert_eq!(
            read(
                DateFormat::Timestamp,
                false,
                "UTC",
                Granularity::Day,
                moment
            ),
            Ok(Some(day(2017, 1, 31)))
        );
        assert_eq!(
            read(
                DateFormat::Timestamp,
                false,
                "Europe/Berlin",
                Granularity::Day,
                moment
            ),
            Ok(Some(day(2017, 2, 1)))
        );
        assert_eq!(
            read(
                DateFormat::EpochMicros,
                false,
                "Asia/Tokyo",
                Granularity::Day,
                "1485905400000000"
            ),
            Ok(Some(day(2017, 2, 1)))
        );
    }

    #[test]
    fn week_two_starts_on_the_second_of_january_2017_and_week_one_is_dropped() {
        let weeks = || DateFormat::WeekNumber {
            origin: day(2017, 1, 2),
            first_week: 2,
            drop_below: Some(2),
        };
        assert_eq!(
            read(weeks(), false, "UTC", Granularity::Week, "1"),
            Ok(None)
        );
        assert_eq!(
            read(weeks(), false, "UTC", Granularity::Week, "2"),
            Ok(Some(day(2017, 1, 2)))
        );
        assert_eq!(
            read(weeks(), false, "UTC", Granularity::Week, "53"),
            Ok(Some(day(2017, 12, 25)))
        );
        assert_eq!(
            read(weeks(), false, "UTC", Granularity::Week, "two"),
            Err("date.malformed")
        );
        assert_eq!(
            read(
                weeks(),
                false,
                "UTC",
                Granularity::Week,
                "999999999999999999"
            ),
            Err("date.out_of_range")
        );
    }

    #[test]
    fn a_day_inside_a_week_is_refused_unless_it_may_stand_for_it() {
        assert_eq!(
            read(
                DateFormat::Iso,
                false,
                "UTC",
                Granularity::Week,
                "2017-01-04"
            ),
            Err("date.not_period_start")
        );
        assert_eq!(
            read(
                DateFormat::Iso,
                true,
                "UTC",
                Granularity::Week,
                "2017-01-04"
            ),
            Ok(Some(day(2017, 1, 2)))
        );
    }

    #[test]
    fn impossible_dates_are_refused() {
        for text in ["", "2017-02-30", "31.01.2017", "20170131"] {
            assert!(
                read(DateFormat::Iso, true, "UTC", Granularity::Day, text).is_err(),
                "{text}"
            );
        }
        assert_eq!(
            read(DateFormat::Iso, true, "UTC", Granularity::Day, "9999-01-01"),
            Err("date.out_of_range")
        );
    }

    #[test]
    fn a_moment_outside_the_calendar_is_refused_in_every_time_zone() {
        for micros in [
            "8210266876799000000",
            "-8334601228800000000",
            "9223372036854775807",
            "-9223372036854775808",
        ] {
            for zone in ["Asia/Tokyo", "America/Los_Angeles", "UTC"] {
                assert_eq!(
                    read(
                        DateFormat::EpochMicros,
                        true,
                        zone,
                        Granularity::Day,
                        micros
                    ),
                    Err("date.out_of_range"),
                    "{micros} in {zone}"
                );
            }
        }
        // The last evening of 1899 in London is a day of 1900 in Tokyo.
        let evening = "1899-12-31T20:00:00Z";
        assert_eq!(
            read(
                DateFormat::Timestamp,
                false,
                "Asia/Tokyo",
                Granularity::Day,
                evening
            ),
            Ok(Some(day(1900, 1, 1)))
        );
    }
}
