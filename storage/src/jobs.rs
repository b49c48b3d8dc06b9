//! Durable jobs of one organisation: queued in the unit of the change that needs them, and finished in the unit of their
//! effect. Workers claim them through [`Queue`](crate::Queue).

use domain::{
    id::JobId,
    job::{Job, JobState, NewJob},
};

use crate::{
    Error, Executor, Unit,
    executor::sealed::Run,
    row::{Row, json, name, params},
};

/// Jobs of a scope or unit.
pub struct Jobs<'a, E>(pub(crate) &'a E);

/// What became of a job to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It was queued.
    New(JobId),
    /// One with the same key waits or runs already.
    Existing(JobId),
}

impl Enqueued {
    /// The job's id.
    pub fn id(self) -> JobId {
        match self {
            Self::New(id) | Self::Existing(id) => id,
        }
    }
}

pub(crate) fn read(row: &Row) -> Result<Job, Error> {
    Ok(Job {
        id: JobId(row.get("id")?),
        org: domain::id::OrgId(row.get("org_id")?),
        queue: row.get("queue")?,
        kind: row.get("kind")?,
        unique_key: row.get("unique_key")?,
        payload: row.json("payload")?,
        state: row.named("state")?,
        attempt: row.count("attempt")?,
        max_attempts: row.count("max_attempts")?,
        epoch: row.get("epoch")?,
        progress: row.get("progress")?,
        result: row.json_opt("result")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

pub(crate) fn lease_lost(id: JobId) -> Error {
    domain::Error::conflict(
        "job.lease_lost",
        format!("the lease of {id} has passed to somebody else; the result is refused"),
    )
    .advise("drop the result; the new holder does the work")
    .into()
}

impl<E: Executor> Jobs<'_, E> {
    /// One job.
    ///
    /// # Errors
    /// `job.unknown`.
    pub async fn get(&self, id: JobId) -> Result<Job, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM jobs WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| {
            domain::Error::not_found("job.unknown", format!("there is no job {id}")).into()
        })
    }

    /// Jobs in a state, newest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self, state: JobState, limit: u32) -> Result<Vec<Job>, Error> {
        let sql = "SELECT * FROM jobs WHERE org_id = $1 AND state = $2 ORDER BY created_at DESC, id DESC LIMIT $3";
        self.0
            .rows(sql, params![name(&state), i64::from(limit)])
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

impl Jobs<'_, Unit> {
    /// Queues a job, unless one with the same queue and key waits or runs.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn enqueue(&self, new: &NewJob) -> Result<Enqueued, Error> {
        let id = JobId(self.0.fresh_id());
        let sql = "INSERT INTO jobs (org_id, id, queue, kind, unique_key, payload, state, attempt, max_attempts, epoch, progress, \
                   run_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, 'queued', 0, $7, 0, 0.0, $8, $9, $9) \
                   ON CONFLICT (org_id, queue, unique_key) WHERE state IN ('queued', 'running') DO NOTHING";
        let params = params![
            id.0,
            new.queue.clone(),
            new.kind.clone(),
            new.unique_key.clone(),
            json(&new.payload)?,
            i64::from(new.max_attempts.max(1)),
            new.run_at.unwrap_or(self.0.now()),
            self.0.now()
        ];
        if self.0.execute(sql, params).await? == 1 {
            self.0
                .noted(|noted| noted.note.queues.push(new.queue.clone()));
            return Ok(Enqueued::New(id));
        }
        let sql = "SELECT id FROM jobs WHERE org_id = $1 AND queue = $2 AND unique_key = $3 AND state IN ('queued', 'running')";
        match self
            .0
            .row(sql, params![new.queue.clone(), new.unique_key.clone()])
            .await?
        {
            Some(row) => Ok(Enqueued::Existing(JobId(row.get("id")?))),
            // It ended between the two statements; the caller wanted the work done after its change, so queue it.
            None => Box::pin(self.enqueue(new)).await,
        }
    }

    /// Finishes a job in the unit of its effect. A worker whose lease passed to somebody else is refused, and with it
    /// everything else in the unit.
    ///
    /// # Errors
    /// `job.lease_lost`.
    pub async fn complete(
        &self,
        id: JobId,
        epoch: i64,
        result: &serde_json::Value,
    ) -> Result<(), Error> {
        let sql = "UPDATE jobs SET state = 'done', progress = 1.0, result = $4, lease_until = NULL, updated_at = $5 \
                   WHERE org_id = $1 AND id = $2 AND epoch = $3 AND state = 'running'";
        let done = self
            .0
            .execute(sql, params![id.0, epoch, json(result)?, self.0.now()])
            .await?;
        if done == 0 {
            Err(lease_lost(id))
        } else {
            Ok(())
        }
    }

    /// Refuses the unit when the job's lease has passed to somebody else; for effects that commit before the job ends.
    ///
    /// # Errors
    /// `job.lease_lost`.
    pub async fn fence(&self, id: JobId, epoch: i64) -> Result<(), Error> {
        // An update, not a read: it holds the row until the unit commits, so that no claim can slip in between.
        let sql = "UPDATE jobs SET updated_at = $4 WHERE org_id = $1 AND id = $2 AND epoch = $3 AND state = 'running'";
        if self
            .0
            .execute(sql, params![id.0, epoch, self.0.now()])
            .await?
            == 0
        {
            Err(lease_lost(id))
        } else {
            Ok(())
        }
    }

    /// Cancels a job that waits or runs. A running worker notices when its next heartbeat is refused.
    ///
    /// # Errors
    /// `job.ended` when it has ended.
    pub async fn cancel(&self, id: JobId) -> Result<(), Error> {
        let sql = "UPDATE jobs SET state = 'cancelled', epoch = epoch + 1, lease_until = NULL, updated_at = $3 \
                   WHERE org_id = $1 AND id = $2 AND state IN ('queued', 'running')";
        if self.0.execute(sql, params![id.0, self.0.now()]).await? == 0 {
            let state = self.get(id).await?.state;
            return Err(domain::Error::conflict(
                "job.ended",
                format!("the job is {state:?} already"),
            )
            .into());
        }
        Ok(())
    }

    /// Queues a dead or cancelled job again with all its attempts.
    ///
    /// # Errors
    /// `job.not_dead` when it is neither; `storage.duplicate` when one with the same key waits or runs.
    pub async fn replay(&self, id: JobId) -> Result<(), Error> {
        let sql = "UPDATE jobs SET state = 'queued', attempt = 0, progress = 0.0, run_at = $3, result = NULL, updated_at = $3 \
                   WHERE org_id = $1 AND id = $2 AND state IN ('dead', 'cancelled')";
        if self.0.execute(sql, params![id.0, self.0.now()]).await? == 0 {
            let state = self.get(id).await?.state;
            return Err(domain::Error::conflict(
                "job.not_dead",
                format!("the job is {state:?}; only a dead or cancelled one can be replayed"),
            )
            .into());
        }
        let queue = self.get(id).await?.queue;
        self.0.noted(|noted| noted.note.queues.push(queue));
        Ok(())
    }
}
