//! Durable jobs: work that exactly one worker does.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::{JobId, OrgId};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for a worker, or for its next attempt.
    Queued,
    /// Leased by a worker.
    Running,
    /// Finished.
    Done,
    /// Failed for good: attempts used up, or the error cannot be retried. It can be replayed.
    Dead,
    /// Cancelled by a person.
    Cancelled,
}

/// A job to be queued.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Queue, which is also the role that takes it: `ingest`, `analysis`, `optimisation`, `apply`.
    pub queue: String,
    /// Kind of work within the queue.
    pub kind: String,
    /// A second job with the same key is not queued while one exists.
    pub unique_key: String,
    /// Input.
    pub payload: serde_json::Value,
    /// Not before this instant; `None` is now, by database time.
    pub run_at: Option<DateTime<Utc>>,
    /// Attempts before it is dead, at least 1.
    pub max_attempts: u32,
}

/// A stored job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The id.
    pub id: JobId,
    /// The organisation.
    pub org: OrgId,
    /// Queue.
    pub queue: String,
    /// Kind of work.
    pub kind: String,
    /// Uniqueness key.
    pub unique_key: String,
    /// Input.
    pub payload: serde_json::Value,
    /// Where it stands.
    pub state: JobState,
    /// Attempts begun.
    pub attempt: u32,
    /// Attempts allowed.
    pub max_attempts: u32,
    /// Fencing epoch of the current lease.
    pub epoch: i64,
    /// Progress 0 to 1, as last reported.
    pub progress: f64,
    /// What the last attempt said: result when done, error when not.
    pub result: Option<serde_json::Value>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}
