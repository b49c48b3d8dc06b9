//! Schedules: which ticks are due is a pure function of (specification, last tick, now); firing one is a unit of the
//! storage with UNIQUE (schedule, tick), so any number of schedulers may race and each tick still starts one run.
//!
//! Daylight saving, for an expression with a fixed hour: a local time that is skipped fires at the first instant after
//! the gap, one that comes twice fires the first time. Expressions with a wildcard hour go by real time: nothing fires
//! in a gap, and the doubled hour fires twice (the rules of Vixie cron, as croner implements them).

mod scheduler;
mod timetable;

use chrono::{DateTime, Utc};
use domain::{
    access::AgentKind,
    id::RunId,
    run::{Run, RunState, Trigger},
    schedule::Schedule,
};
use serde_json::json;

use crate::Error;

pub use scheduler::{SCHEDULES_CHANGED, Scheduler, SchedulerMsg};
pub use timetable::{Due, Timetable};

/// A run that waits to be started. Who creates it with `unit.runs().create(…)` publishes `RunChanged`, which wakes whoever
/// starts runs.
pub fn queued_run(id: RunId, agent: AgentKind, trigger: Trigger, now: DateTime<Utc>) -> Run {
    Run {
        id,
        agent,
        state: RunState::Queued,
        trigger,
        schedule: None,
        tick: None,
        snapshot: None,
        parameters: json!({}),
        progress: 0.0,
        error: None,
        created_at: now,
        started_at: None,
        ended_at: None,
    }
}

/// A schedule with its next tick after `now`: for a new one, after an edit, and when a paused one is resumed (what fell
/// due while it was paused is not made up for).
///
/// # Errors
/// `schedule.invalid`.
pub fn armed(schedule: &Schedule, now: DateTime<Utc>) -> Result<Schedule, Error> {
    let next_at = Timetable::of(schedule)?.next_after(now);
    Ok(Schedule {
        next_at,
        ..schedule.clone()
    })
}

/// The next `count` ticks of a schedule, as it will fire them: none while it is paused.
///
/// # Errors
/// `schedule.invalid`.
pub fn next_fires(
    schedule: &Schedule,
    now: DateTime<Utc>,
    count: usize,
) -> Result<Vec<DateTime<Utc>>, Error> {
    if schedule.paused {
        return Ok(Vec::new());
    }
    Ok(Timetable::of(schedule)?.next_fires(now, count))
}

#[cfg(test)]
mod tests;
