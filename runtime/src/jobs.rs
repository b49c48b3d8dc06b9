//! Durable jobs: work that exactly one worker does at a time, on any node that takes its queue.
//!
//! A worker actor claims what it has room for, so the least loaded node takes the most. Each job runs in a task of its own
//! with a heartbeat beside it that is independent of the work: it extends the lease, carries the progress, and notices
//! when the lease has passed to somebody else or the job was cancelled. Completion names the lease epoch, so the result
//! of a worker that slept past its lease is refused. A killed worker's jobs wait until their lease runs out (the sweeper
//! finds them); a worker that stops in order gives them back at once, without counting the attempt.
//!
//! A handler fails with a decision: [`JobError::retry`] or [`JobError::give_up`].

mod control;
mod sweeper;
mod worker;

use std::time::Duration;

use chrono::TimeDelta;
use domain::job::Job;
use futures::future::BoxFuture;
use serde_json::Value;

pub use control::JobControl;
pub use sweeper::{LeaseSweeper, SweeperMsg};
pub use worker::{Worker, WorkerMsg};

use crate::doorbell::Sweep;

/// How a job ended well.
#[derive(Clone, Debug, PartialEq)]
pub enum Finished {
    /// Its only effect is this result, which the worker stores.
    With(Value),
    /// The handler completed it in the unit of its effect (`unit.jobs().complete(…)`), so both happened or neither.
    InItsUnit,
}

/// Why a job did not end well, and what follows.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct JobError {
    message: String,
    decision: Decision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Retry,
    RetryAfter(TimeDelta),
    GiveUp,
}

impl JobError {
    /// Another attempt can succeed: wait as the queue's backoff says, until the attempts are used up.
    pub fn retry(error: impl std::fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            decision: Decision::Retry,
        }
    }

    /// Another attempt can succeed after `wait`.
    pub fn retry_after(error: impl std::fmt::Display, wait: Duration) -> Self {
        let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::days(1));
        Self {
            message: error.to_string(),
            decision: Decision::RetryAfter(wait),
        }
    }

    /// No attempt can succeed: the job is dead at once and can be replayed by a person.
    pub fn give_up(error: impl std::fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            decision: Decision::GiveUp,
        }
    }

    fn for_queue(&self) -> storage::Retry {
        match self.decision {
            Decision::Retry => storage::Retry::Backoff,
            Decision::RetryAfter(wait) => storage::Retry::After(wait),
            Decision::GiveUp => storage::Retry::Never,
        }
    }
}

/// Does the jobs of a queue.
pub trait JobHandler: Send + Sync + 'static {
    /// Does one job. Dropped when the lease is lost and [`JobControl::cancelled`] was not heeded in time, and when the
    /// worker stops.
    ///
    /// # Errors
    /// With the decision what follows.
    fn run<'a>(
        &'a self,
        job: &'a Job,
        control: &'a JobControl,
    ) -> BoxFuture<'a, Result<Finished, JobError>>;
}

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The queue it takes jobs from.
    pub queue: String,
    /// Who it is, as written to the lease: unique per node.
    pub worker: String,
    /// Jobs at once.
    pub parallel: usize,
    /// Length of a lease; extended three times within its length.
    pub lease: Duration,
    /// How long a handler may take to heed a cancellation before it is dropped.
    pub grace: Duration,
    /// How long a lost bell may delay a job.
    pub sweep: Sweep,
}

impl WorkerConfig {
    /// One job at a time, a lease of 30 s, two seconds of grace.
    pub fn new(queue: &str, worker: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            worker: worker.to_owned(),
            parallel: 1,
            lease: Duration::from_secs(30),
            grace: Duration::from_secs(2),
            sweep: Sweep::default(),
        }
    }

    /// Sets the jobs at once.
    #[must_use]
    pub fn parallel(mut self, jobs: usize) -> Self {
        self.parallel = jobs.max(1);
        self
    }
}

#[cfg(test)]
mod tests;
