//! Dead letters: events that used up their attempts, tried again as jobs.

use std::sync::Arc;

use domain::{event::Event, job::Job};
use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;
use storage::Storage;

use super::Consumer;
use crate::jobs::{Finished, JobControl, JobError, JobHandler};

/// Hands a dead letter to its consumer once more, with the job's completion in the same unit.
pub(super) struct Letters {
    storage: Storage,
    consumer: Arc<dyn Consumer>,
}

impl Letters {
    pub(super) fn new(storage: Storage, consumer: Arc<dyn Consumer>) -> Self {
        Self { storage, consumer }
    }

    async fn deliver(&self, job: &Job) -> Result<Finished, JobError> {
        let event: Event = job
            .payload
            .get("event")
            .cloned()
            .and_then(|event| serde_json::from_value(event).ok())
            .ok_or_else(|| JobError::give_up("the dead letter holds no event"))?;
        let grant = self.consumer.grant(event.org).map_err(JobError::give_up)?;
        let (consumer, delivered) = (Arc::clone(&self.consumer), event.clone());
        let (id, epoch) = (job.id, job.epoch);
        self.storage
            .unit(&grant, move |unit| {
                let (consumer, event) = (Arc::clone(&consumer), delivered.clone());
                Box::pin(async move {
                    consumer.handle(unit, &event).await?;
                    unit.jobs().complete(id, epoch, &Value::Null).await
                })
            })
            .await
            .map_err(JobError::give_up)?;
        self.consumer.committed(&event);
        Ok(Finished::InItsUnit)
    }
}

impl JobHandler for Letters {
    fn run<'a>(
        &'a self,
        job: &'a Job,
        _control: &'a JobControl,
    ) -> BoxFuture<'a, Result<Finished, JobError>> {
        self.deliver(job).boxed()
    }
}
