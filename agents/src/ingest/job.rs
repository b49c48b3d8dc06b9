//! The durable job that parses an import sent by REST. It is done again after any interruption, and goes on from the
//! ledger's offset.

use domain::{
    Classify, ErrorKind,
    access::{Permission, Principal},
    id::BatchId,
    ingest::{Batch, BatchState},
    job::Job,
};
use futures::{FutureExt, future::BoxFuture};
use runtime::jobs::{Finished, JobControl, JobError, JobHandler};

use super::{Importer, import::Input};

/// The queue of imports.
pub const INGEST_QUEUE: &str = "ingest";

/// The kind of the job that runs one import.
pub const IMPORT_JOB: &str = "import";

/// Runs imports whose upload is finished.
#[derive(Clone, Debug)]
pub struct ImportJob(Importer);

impl ImportJob {
    /// A handler that imports with `importer`.
    pub fn new(importer: Importer) -> Self {
        Self(importer)
    }

    async fn import(&self, job: &Job, control: &JobControl) -> Result<Finished, JobError> {
        let batch: BatchId = serde_json::from_value(job.payload["batch"].clone())
            .map_err(|error| JobError::give_up(format!("the job names no import: {error}")))?;
        let principal = Principal::system(job.org);
        let ledger = self.ledger(&principal, batch).await?;
        if ledger.state != BatchState::Open {
            return Ok(Finished::With(
                serde_json::json!({ "batch": batch, "state": ledger.state }),
            ));
        }
        let heard = |ledger: &Batch| {
            // The number of items is only known at the end; what people see meanwhile is the offset.
            tracing::debug!(%batch, offset = ledger.offset, "import");
        };
        let run = self.0.run(
            &principal,
            batch,
            Input::Staged(batch),
            &ledger.digest,
            &heard,
        );
        let result = tokio::select! {
            result = run => result,
            () = control.cancelled() => return Err(JobError::give_up("the import was cancelled; what was taken stays")),
        };
        match result {
            Ok(report) => {
                control.progress(1.0);
                Ok(Finished::With(
                    serde_json::json!({ "batch": batch, "counts": report.batch.counts }),
                ))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::TooMany
                ) =>
            {
                Err(JobError::retry(error))
            }
            Err(error) => Err(JobError::give_up(error)),
        }
    }

    async fn ledger(&self, principal: &Principal, batch: BatchId) -> Result<Batch, JobError> {
        let grant = principal
            .grant(Permission::IngestWrite)
            .map_err(JobError::give_up)?;
        self.0
            .storage
            .scope(&grant)
            .ingest()
            .get(batch)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => JobError::give_up(error),
                _ => JobError::retry(error),
            })
    }
}

impl JobHandler for ImportJob {
    fn run<'a>(
        &'a self,
        job: &'a Job,
        control: &'a JobControl,
    ) -> BoxFuture<'a, Result<Finished, JobError>> {
        self.import(job, control).boxed()
    }
}
