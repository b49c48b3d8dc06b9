//! Durable jobs, as their owner sees them.

use chrono::{DateTime, Utc};
use domain::id::JobId;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use serde_json::Value;

use crate::{
    App, Tag,
    auth::Caller,
    mirror::{Id, Mirror, mirror_enum},
    problem::Answer,
};

mirror_enum! {
    /// Where a job stands.
    JobState of domain::job::JobState {
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
}

/// A durable job. Its input and its lease are nobody's business.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Job {
    /// The id.
    pub(crate) id: Id<JobId>,
    /// Queue, which is also the role that takes it.
    pub(crate) queue: String,
    /// Kind of work.
    pub(crate) kind: String,
    /// Where it stands.
    pub(crate) state: JobState,
    /// Attempts begun.
    pub(crate) attempt: u32,
    /// Attempts allowed.
    pub(crate) max_attempts: u32,
    /// Progress 0 to 1.
    pub(crate) progress: f64,
    /// Result when done, error when not.
    pub(crate) result: Option<Value>,
    /// When it was queued.
    pub(crate) created_at: DateTime<Utc>,
    /// When it last changed.
    pub(crate) updated_at: DateTime<Utc>,
}

impl Mirror for Job {
    type Of = domain::job::Job;

    fn of(job: domain::job::Job) -> Self {
        let domain::job::Job {
            id,
            org: _,
            queue,
            kind,
            unique_key: _,
            payload: _,
            state,
            attempt,
            max_attempts,
            epoch: _,
            progress,
            result,
            created_at,
            updated_at,
        } = job;
        Self {
            id: Id(id),
            queue,
            kind,
            state: Mirror::of(state),
            attempt,
            max_attempts,
            progress,
            result,
            created_at,
            updated_at,
        }
    }
}

/// Jobs.
pub(crate) struct JobApi(pub(crate) App);

#[OpenApi(tag = "Tag::System")]
impl JobApi {
    /// Get a job.
    ///
    /// How far it is, and what came of it.
    #[oai(path = "/jobs/:job_id", method = "get", operation_id = "job_get")]
    async fn get(&self, caller: Caller, job_id: Path<Id<JobId>>) -> Answer<Json<Job>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .storage
                .scope(caller.grant())
                .jobs()
                .get(job_id.0.0)
                .await?,
        )))
    }
}
