//! The job queue across organisations: claiming, heartbeats, failures and the sweep. Every write names the epoch of the
//! lease, so a worker that slept past its lease changes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    id::{JobId, OrgId},
    job::{Job, JobState},
};

use crate::{
    Backend, Error, System,
    jobs::{lease_lost, read},
    row::{json, params},
};

/// The queue.
pub struct Queue<'a>(pub(crate) &'a System);

/// When a failed job is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After 2, 4, 8 … seconds, at most ten minutes.
    Backoff,
    /// After this long.
    After(TimeDelta),
    /// Never: it is dead at once.
    Never,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Expired leases whose job waits again.
    pub requeued: u64,
    /// Expired leases whose job had no attempt left and is dead now.
    pub dead: u64,
}

/// How much waits in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue.
    pub queue: String,
    /// Jobs waiting.
    pub queued: u64,
    /// Jobs running.
    pub running: u64,
    /// Dead jobs.
    pub dead: u64,
    /// The longest waiting job's time, if any waits.
    pub oldest: Option<DateTime<Utc>>,
}

fn backoff(attempt: i64) -> TimeDelta {
    TimeDelta::seconds(
        2_i64
            .checked_shl(u32::try_from(attempt - 1).unwrap_or(0).min(20))
            .unwrap_or(600)
            .min(600),
    )
}

impl Queue<'_> {
    /// Claims at most `limit` jobs of a queue for `worker`, the longest waiting first. A claim counts as an attempt and
    /// raises the epoch. No job is handed to two workers.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn claim(
        &self,
        queue: &str,
        worker: &str,
        limit: u32,
        lease: TimeDelta,
    ) -> Result<Vec<Job>, Error> {
        let (queue, worker) = (queue.to_owned(), worker.to_owned());
        let lock = if self.0.storage.backend() == Backend::Postgres {
            " FOR UPDATE SKIP LOCKED"
        } else {
            ""
        };
        let sql = format!(
            "WITH picked AS MATERIALIZED (SELECT org_id, id FROM jobs WHERE queue = $1 AND state = 'queued' AND run_at <= $4 \
             ORDER BY run_at, id LIMIT $5{lock}) UPDATE jobs SET state = 'running', attempt = attempt + 1, epoch = epoch + 1, \
             progress = 0.0, lease_owner = $2, lease_until = $3, updated_at = $4 \
             WHERE (org_id, id) IN (SELECT org_id, id FROM picked) RETURNING *"
        );
        self.0
            .transaction(move |tx| {
                let (queue, worker, sql) = (queue.clone(), worker.clone(), sql.clone());
                Box::pin(async move {
                    let params = params![queue, worker, tx.now + lease, tx.now, i64::from(limit)];
                    let mut jobs = tx
                        .rows(&sql, params)
                        .await?
                        .iter()
                        .map(read)
                        .collect::<Result<Vec<_>, _>>()?;
                    jobs.sort_by_key(|job| (job.created_at, job.id));
                    Ok(jobs)
                })
            })
            .await
    }

    /// Reports progress (0 to 1) and extends the lease.
    ///
    /// # Errors
    /// `job.lease_lost` when the job was cancelled or passed to somebody else: stop working.
    pub async fn heartbeat(
        &self,
        org: OrgId,
        id: JobId,
        epoch: i64,
        progress: f64,
        lease: TimeDelta,
    ) -> Result<(), Error> {
        let touched = self
            .0
            .transaction(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE jobs SET progress = $4, lease_until = $5, updated_at = $6 \
                               WHERE org_id = $1 AND id = $2 AND epoch = $3 AND state = 'running'";
                    tx.execute(
                        sql,
                        params![
                            org.0,
                            id.0,
                            epoch,
                            progress.clamp(0.0, 1.0),
                            tx.now + lease,
                            tx.now
                        ],
                    )
                    .await
                })
            })
            .await?;
        if touched == 0 {
            Err(lease_lost(id))
        } else {
            Ok(())
        }
    }

    /// Finishes a job that has no effect in the database besides its result; otherwise finish it in the unit of its
    /// effect with [`Jobs::complete`](crate::Jobs::complete).
    ///
    /// # Errors
    /// `job.lease_lost`.
    pub async fn complete(
        &self,
        org: OrgId,
        id: JobId,
        epoch: i64,
        result: &serde_json::Value,
    ) -> Result<(), Error> {
        let result = json(result)?;
        let done = self
            .0
            .transaction(move |tx| {
                let result = result.clone();
                Box::pin(async move {
                    let sql = "UPDATE jobs SET state = 'done', progress = 1.0, result = $4, lease_until = NULL, updated_at = $5 \
                               WHERE org_id = $1 AND id = $2 AND epoch = $3 AND state = 'running'";
                    tx.execute(sql, params![org.0, id.0, epoch, result, tx.now]).await
                })
            })
            .await?;
        if done == 0 {
            Err(lease_lost(id))
        } else {
            Ok(())
        }
    }

    /// Notes that an attempt failed. The job waits for its next attempt, or is dead when none is left. Returns which.
    ///
    /// # Errors
    /// `job.lease_lost`.
    pub async fn fail(
        &self,
        org: OrgId,
        id: JobId,
        epoch: i64,
        error: &str,
        retry: Retry,
    ) -> Result<JobState, Error> {
        let error = json(&serde_json::json!({ "error": error }))?;
        self.0
            .transaction(move |tx| {
                let error = error.clone();
                Box::pin(async move {
                    let sql = "SELECT attempt, max_attempts FROM jobs WHERE org_id = $1 AND id = $2 AND epoch = $3 AND state = 'running'";
                    let Some(row) = tx.row(sql, params![org.0, id.0, epoch]).await? else { return Err(lease_lost(id)) };
                    let (attempt, most): (i64, i64) = (row.get("attempt")?, row.get("max_attempts")?);
                    let wait = match retry {
                        Retry::Never => None,
                        _ if attempt >= most => None,
                        Retry::Backoff => Some(backoff(attempt)),
                        Retry::After(wait) => Some(wait),
                    };
                    let (state, name) = if wait.is_some() { (JobState::Queued, "queued") } else { (JobState::Dead, "dead") };
                    let sql = "UPDATE jobs SET state = $4, result = $5, run_at = $6, lease_until = NULL, updated_at = $7 \
                               WHERE org_id = $1 AND id = $2 AND epoch = $3 AND state = 'running'";
                    let run_at = tx.now + wait.unwrap_or_default();
                    let changed = tx.execute(sql, params![org.0, id.0, epoch, name, error, run_at, tx.now]).await?;
                    if changed == 0 { Err(lease_lost(id)) } else { Ok(state) }
                })
            })
            .await
    }

    /// Gives a job back untouched, without counting the attempt; for an ordered shutdown.
    ///
    /// # Errors
    /// `job.lease_lost`.
    pub async fn release(&self, org: OrgId, id: JobId, epoch: i64) -> Result<(), Error> {
        let released = self
            .0
            .transaction(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE jobs SET state = 'queued', attempt = attempt - 1, lease_until = NULL, run_at = $4, updated_at = $4 \
                               WHERE org_id = $1 AND id = $2 AND epoch = $3 AND state = 'running'";
                    tx.execute(sql, params![org.0, id.0, epoch, tx.now]).await
                })
            })
            .await?;
        if released == 0 {
            Err(lease_lost(id))
        } else {
            Ok(())
        }
    }

    /// Finds jobs whose lease ran out: they wait again, or are dead when no attempt is left.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        self.0
            .transaction(|tx| {
                Box::pin(async move {
                    let lost = json(&serde_json::json!({ "error": "the worker was lost" }))?;
                    let sql = "UPDATE jobs SET state = 'dead', epoch = epoch + 1, result = $2, lease_until = NULL, updated_at = $1 \
                               WHERE state = 'running' AND lease_until < $1 AND attempt >= max_attempts";
                    let dead = tx.execute(sql, params![tx.now, lost.clone()]).await?;
                    let sql = "UPDATE jobs SET state = 'queued', epoch = epoch + 1, result = $2, lease_until = NULL, run_at = $1, \
                               updated_at = $1 WHERE state = 'running' AND lease_until < $1 AND attempt < max_attempts";
                    let requeued = tx.execute(sql, params![tx.now, lost]).await?;
                    Ok(Swept { requeued, dead })
                })
            })
            .await
    }

    /// How much waits, runs and is dead in each queue.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn depths(&self) -> Result<Vec<QueueDepth>, Error> {
        self.0
            .read(|tx| {
                Box::pin(async move {
                    let sql = "SELECT queue, COUNT(CASE WHEN state = 'queued' THEN 1 END) AS queued, \
                               COUNT(CASE WHEN state = 'running' THEN 1 END) AS running, \
                               COUNT(CASE WHEN state = 'dead' THEN 1 END) AS dead, \
                               MIN(CASE WHEN state = 'queued' THEN run_at END) AS oldest \
                               FROM jobs WHERE state IN ('queued', 'running', 'dead') GROUP BY queue ORDER BY queue";
                    let rows = tx.rows(sql, params![]).await?;
                    rows.iter()
                        .map(|row| {
                            Ok(QueueDepth {
                                queue: row.get("queue")?,
                                queued: row.count("queued")?,
                                running: row.count("running")?,
                                dead: row.count("dead")?,
                                oldest: row.get("oldest")?,
                            })
                        })
                        .collect()
                })
            })
            .await
    }

    /// Dead jobs, the last one first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn dead(&self, limit: u32) -> Result<Vec<Job>, Error> {
        self.0
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT * FROM jobs WHERE state = 'dead' ORDER BY updated_at DESC, id DESC LIMIT $1";
                    tx.rows(sql, params![i64::from(limit)]).await?.iter().map(read).collect()
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_stops_at_ten_minutes() {
        let seconds: Vec<i64> = (1..=12)
            .map(|attempt| backoff(attempt).num_seconds())
            .collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
        assert_eq!(backoff(1_000_000).num_seconds(), 600);
    }
}
