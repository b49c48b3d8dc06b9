//! The arithmetic of ticks: no clock, no database.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds},
};
use domain::schedule::Schedule;

use crate::Error;

/// Ticks that one look may find; a schedule that missed more is told so by [`Due::missed`].
const MOST_TICKS: usize = 10_000;

/// A tick that is found less late than this was never missed, whatever the catch-up window: the expressions know no
/// finer time than a minute, and a busy database or a sweep may take seconds.
const PUNCTUAL: TimeDelta = TimeDelta::seconds(60);

/// A schedule's expression, read.
#[derive(Clone, Debug)]
pub struct Timetable {
    cron: Cron,
    zone: Tz,
    catch_up: TimeDelta,
    jitter: TimeDelta,
}

/// What is due at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Ticks to fire, oldest first: the one that fell due just now and those missed within the catch-up window.
    pub fire: Vec<DateTime<Utc>>,
    /// Ticks that are older than the catch-up window. They are not made up for.
    pub missed: u32,
    /// The first tick after now.
    pub next: Option<DateTime<Utc>>,
}

impl Timetable {
    /// Reads a five-field cron expression in an IANA time zone.
    ///
    /// # Errors
    /// `schedule.invalid`, saying what is wrong.
    pub fn new(cron: &str, time_zone: &str, catch_up_seconds: u32) -> Result<Self, Error> {
        let zone = Tz::from_str(time_zone).map_err(|_| Error::InvalidSchedule {
            message: format!("{time_zone:?} is no IANA time zone, such as Europe/Berlin"),
        })?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let cron = parser.parse(cron).map_err(|error| Error::InvalidSchedule {
            message: format!("{cron:?} is no five-field cron expression: {error}"),
        })?;
        Ok(Self {
            cron,
            zone,
            catch_up: TimeDelta::seconds(i64::from(catch_up_seconds)).max(PUNCTUAL),
            jitter: TimeDelta::zero(),
        })
    }

    /// Reads the expression of a stored schedule.
    ///
    /// # Errors
    /// `schedule.invalid`.
    pub fn of(schedule: &Schedule) -> Result<Self, Error> {
        Self::new(
            &schedule.cron,
            &schedule.time_zone,
            schedule.catch_up_seconds,
        )
    }

    /// Delays each start by up to `jitter`, so that many schedules of one minute do not start at once. The tick itself,
    /// which identifies the run, stays where it is. Off unless set.
    #[must_use]
    pub fn jittered(mut self, jitter: TimeDelta) -> Self {
        self.jitter = jitter.max(TimeDelta::zero());
        self
    }

    /// When the tick's run starts for the schedule called `name`: the tick plus a share of the jitter that depends on
    /// name and tick alone, so every node computes the same.
    pub fn starts_at(&self, name: &str, tick: DateTime<Utc>) -> DateTime<Utc> {
        let span = self.jitter.num_milliseconds();
        if span == 0 {
            return tick;
        }
        let hash = name
            .bytes()
            .chain(tick.timestamp().to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        tick + TimeDelta::milliseconds((hash % span.unsigned_abs()).cast_signed())
    }

    /// The first tick after `instant`; `None` when the expression never matches again.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = instant.with_timezone(&self.zone);
        self.cron
            .find_next_occurrence(&local, false)
            .ok()
            .map(|tick| tick.with_timezone(&Utc))
    }

    /// The next `count` ticks after `instant`.
    pub fn next_fires(&self, instant: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next_after(instant), |tick| self.next_after(*tick))
            .take(count)
            .collect()
    }

    /// What is due at `now`, when the last tick that was dealt with is `last` (for a new schedule: when it was made).
    /// Ticks are due in `(last, now]`; those older than the catch-up window are missed.
    pub fn due(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Due {
        if last >= now {
            return Due {
                fire: Vec::new(),
                missed: 0,
                next: self.next_after(last.max(now)),
            };
        }
        let horizon = now - self.catch_up;
        let ticks: Vec<_> =
            std::iter::successors(self.next_after(last), |tick| self.next_after(*tick))
                .take_while(|tick| *tick <= now)
                .take(MOST_TICKS)
                .collect();
        let missed = ticks.iter().filter(|tick| **tick < horizon).count();
        Due {
            fire: ticks[missed..].to_vec(),
            missed: u32::try_from(missed).unwrap_or(u32::MAX),
            next: self.next_after(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text)
            .unwrap()
            .with_timezone(&Utc)
    }

    fn daily(catch_up: u32) -> Timetable {
        Timetable::new("30 6 * * *", "UTC", catch_up).unwrap()
    }

    #[test]
    fn a_tick_fires_once_at_its_time_and_not_before() {
        let last = at("2026-03-01T06:30:00Z");
        assert!(
            daily(60)
                .due(last, at("2026-03-02T06:29:59Z"))
                .fire
                .is_empty()
        );
        let due = daily(60).due(last, at("2026-03-02T06:30:00Z"));
        assert_eq!(due.fire, [at("2026-03-02T06:30:00Z")]);
        assert_eq!(due.next, Some(at("2026-03-03T06:30:00Z")));
        assert!(
            daily(60)
                .due(at("2026-03-02T06:30:00Z"), at("2026-03-02T06:30:00Z"))
                .fire
                .is_empty()
        );
    }

    #[test]
    fn ticks_within_the_window_are_caught_up_and_older_ones_are_counted_as_missed() {
        let due = daily(2 * 86_400).due(at("2026-03-01T06:30:00Z"), at("2026-03-06T12:00:00Z"));
        assert_eq!(
            due.fire,
            [at("2026-03-05T06:30:00Z"), at("2026-03-06T06:30:00Z")]
        );
        assert_eq!(due.missed, 3);
    }

    #[test]
    fn without_a_window_a_tick_more_than_a_minute_late_is_missed() {
        let last = at("2026-03-01T06:30:00Z");
        let due = daily(0).due(last, at("2026-03-02T06:31:00Z"));
        assert_eq!((due.fire.len(), due.missed), (1, 0));
        let due = daily(0).due(last, at("2026-03-02T06:31:01Z"));
        assert_eq!((due.fire, due.missed), (vec![], 1));
    }

    #[test]
    fn a_clock_that_went_back_fires_nothing_again() {
        let due = daily(86_400).due(at("2026-03-02T06:30:00Z"), at("2026-03-01T00:00:00Z"));
        assert!(due.fire.is_empty());
        assert_eq!(due.next, Some(at("2026-03-03T06:30:00Z")));
    }

    #[test]
    fn a_local_time_that_spring_skips_fires_right_after_the_gap() {
        // Berlin, 2026-03-29: 02:00 becomes 03:00, which is 01:00 UTC.
        let table = Timetable::new("30 2 * * *", "Europe/Berlin", 0).unwrap();
        let fires = table.next_fires(at("2026-03-27T12:00:00Z"), 4);
        let expected = [
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z",
            "2026-03-31T00:30:00Z",
        ]
        .map(at);
        assert_eq!(fires, expected);
    }

    #[test]
    fn a_local_time_that_autumn_doubles_fires_once() {
        // Berlin, 2026-10-25: 03:00 becomes 02:00; 02:30 comes at 00:30 and at 01:30 UTC.
        let table = Timetable::new("30 2 * * *", "Europe/Berlin", 0).unwrap();
        let fires = table.next_fires(at("2026-10-24T12:00:00Z"), 2);
        assert_eq!(
            fires,
            [at("2026-10-25T00:30:00Z"), at("2026-10-26T01:30:00Z")]
        );
    }

    #[test]
    fn a_wildcard_hour_goes_by_real_time_through_both_changes() {
        let table = Timetable::new("0 * * * *", "Europe/Berlin", 0).unwrap();
        for start in ["2026-03-28T23:00:00Z", "2026-10-24T22:00:00Z"].map(at) {
            let fires = table.next_fires(start, 6);
            let expected: Vec<_> = (1..=6)
                .map(|hours| start + TimeDelta::hours(hours))
                .collect();
            assert_eq!(fires, expected);
        }
    }

    #[test]
    fn jitter_moves_the_start_but_not_the_tick_and_is_off_unless_asked_for() {
        let tick = at("2026-03-02T06:30:00Z");
        assert_eq!(daily(0).starts_at("a", tick), tick);
        let table = daily(0).jittered(TimeDelta::seconds(300));
        let starts: Vec<_> = ["a", "b", "c", "d"]
            .iter()
            .map(|name| table.starts_at(name, tick))
            .collect();
        assert!(
            starts
                .iter()
                .all(|start| (tick..tick + TimeDelta::seconds(300)).contains(start)),
            "{starts:?}"
        );
        assert!(
            starts.windows(2).any(|pair| pair[0] != pair[1]),
            "{starts:?}"
        );
        assert_eq!(table.starts_at("a", tick), starts[0]);
    }

    #[test]
    fn an_expression_that_cannot_be_read_says_so() {
        for (cron, zone) in [
            ("30 6 * *", "UTC"),
            ("0 30 6 * * *", "UTC"),
            ("61 6 * * *", "UTC"),
            ("30 6 * * *", "Berlin"),
        ] {
            assert!(
                matches!(
                    Timetable::new(cron, zone, 0),
                    Err(Error::InvalidSchedule { .. })
                ),
                "{cron} {zone}"
            );
        }
    }

    #[test]
    fn an_expression_that_never_matches_ends() {
        let table = Timetable::new("0 0 30 2 *", "UTC", 0).unwrap();
        assert_eq!(table.next_after(at("2026-01-01T00:00:00Z")), None);
        assert!(
            table
                .due(at("2026-01-01T00:00:00Z"), at("2026-06-01T00:00:00Z"))
                .fire
                .is_empty()
        );
    }
}
