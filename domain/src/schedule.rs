//! When agents run by themselves.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{access::AgentKind, id::ScheduleId};

/// What happens when a tick falls due while the run before is still under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The tick is skipped, and that is recorded.
    Skip,
    /// One run waits.
    BufferOne,
    /// Both run.
    Allow,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The id.
    pub id: ScheduleId,
    /// Version, for `If-Match`.
    pub version: u32,
    /// The agent it wakes.
    pub agent: AgentKind,
    /// Five-field cron expression.
    pub cron: String,
    /// IANA time zone the expression is read in.
    pub time_zone: String,
    /// Overlap policy.
    pub overlap: Overlap,
    /// Ticks missed by at most this many seconds are caught up; older ones are skipped.
    pub catch_up_seconds: u32,
    /// Whether it is paused.
    pub paused: bool,
    /// The next tick.
    pub next_at: Option<DateTime<Utc>>,
    /// The last tick that fired.
    pub last_at: Option<DateTime<Utc>>,
}
