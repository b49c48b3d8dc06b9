//! One run of an agent's cycle, with the journal of its steps.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    access::AgentKind,
    id::{RunId, ScheduleId},
};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waiting to start.
    Queued,
    /// Under way.
    Running,
    /// Every step is done.
    Succeeded,
    /// A step failed for good.
    Failed,
    /// A person stopped it.
    Cancelled,
}

/// Why a run was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A schedule's tick.
    Schedule,
    /// An event.
    Event,
    /// A person.
    Person,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The id.
    pub id: RunId,
    /// The agent.
    pub agent: AgentKind,
    /// Where it stands.
    pub state: RunState,
    /// Why it was started.
    pub trigger: Trigger,
    /// The schedule, for a tick.
    pub schedule: Option<ScheduleId>,
    /// The tick's planned time; unique together with the schedule.
    pub tick: Option<DateTime<Utc>>,
    /// Digest of the data it looked at.
    pub snapshot: Option<String>,
    /// Parameters and seed.
    pub parameters: serde_json::Value,
    /// Progress 0 to 1.
    pub progress: f64,
    /// Error of a failed run.
    pub error: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its first step started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// One step of a run. A finished step is not done again when the run resumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStep {
    /// The run.
    pub run: RunId,
    /// Key, unique within the run: `observe`, `analyse`, `decide`, `propose`.
    pub key: String,
    /// Attempts begun.
    pub attempt: u32,
    /// What it produced, in brief.
    pub output: Option<serde_json::Value>,
    /// Error of the last attempt.
    pub error: Option<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}
