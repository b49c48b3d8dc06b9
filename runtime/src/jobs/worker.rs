//! The worker actor of one queue on one node.

use std::{collections::BTreeMap, fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::TimeDelta;
use domain::{
    Classify,
    id::JobId,
    job::{Job, JobState},
};
use futures::FutureExt;
use serde::Serialize;
use serde_json::{Value, json};
use storage::System;
use tokio::{sync::watch, task::AbortHandle};
use tokio_util::task::TaskTracker;

use super::{Finished, JobControl, JobError, JobHandler, WorkerConfig};
use crate::{
    actor::{Behaviour, Context, Failure, panic_message},
    doorbell::{Doorbell, jobs_topic},
    mailbox::BoundedRef,
    supervisor::{ChildSpec, StopBudget},
};

/// What a worker is told.
#[derive(Debug)]
pub enum WorkerMsg {
    /// Look for work.
    Look,
    /// A job's task has ended.
    Ended(JobId, Ending),
}

/// How a job's task ended, as counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Done.
    Done,
    /// It waits for its next attempt.
    Retried,
    /// Dead.
    Dead,
    /// Its lease was lost or it was cancelled: whatever it did is not counted.
    Lost,
    /// Given back because the worker stops.
    Released,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    done: u64,
    retried: u64,
    dead: u64,
    lost: u64,
}

struct Running {
    kind: String,
    attempt: u32,
    control: JobControl,
    task: AbortHandle,
}

/// The worker of one queue on one node.
pub struct Worker {
    config: WorkerConfig,
    system: System,
    bell: Doorbell,
    handler: Arc<dyn JobHandler>,
    running: BTreeMap<JobId, Running>,
    tasks: TaskTracker,
    stopping: watch::Sender<bool>,
    counts: Counts,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("config", &self.config)
            .field("running", &self.running.len())
            .finish()
    }
}

impl Worker {
    /// The worker as a child, called after its queue, and its reference.
    pub fn child(
        config: WorkerConfig,
        system: System,
        bell: Doorbell,
        handler: Arc<dyn JobHandler>,
    ) -> (ChildSpec, BoundedRef<WorkerMsg>) {
        let stop = config.grace + Duration::from_secs(3);
        // The ends of its own tasks do not count against the capacity.
        let (spec, worker) = ChildSpec::actor(config.queue.clone(), 4, move || Self {
            config: config.clone(),
            system: system.clone(),
            bell: bell.clone(),
            handler: Arc::clone(&handler),
            running: BTreeMap::new(),
            tasks: TaskTracker::new(),
            stopping: watch::Sender::new(false),
            counts: Counts::default(),
        });
        (
            spec.stop_budget(StopBudget {
                drain: Duration::ZERO,
                stop,
            }),
            worker,
        )
    }

    fn lease(&self) -> TimeDelta {
        TimeDelta::from_std(self.config.lease).unwrap_or(TimeDelta::seconds(30))
    }

    async fn claim(&mut self, ctx: &Context<WorkerMsg>) {
        let free = self.config.parallel.saturating_sub(self.running.len());
        if free == 0 {
            return;
        }
        let limit = u32::try_from(free).unwrap_or(u32::MAX);
        match self
            .system
            .queue()
            .claim(&self.config.queue, &self.config.worker, limit, self.lease())
            .await
        {
            Ok(jobs) => {
                for job in jobs {
                    self.begin(ctx, job);
                }
            }
            // The database is away: the next sweep looks again.
            Err(error) => ctx.cell().note_error(error),
        }
    }

    fn begin(&mut self, ctx: &Context<WorkerMsg>, job: Job) {
        let control = JobControl::new();
        let (id, kind, attempt) = (job.id, job.kind.clone(), job.attempt);
        let me = ctx.me().clone();
        let attended = Attended {
            system: self.system.clone(),
            handler: Arc::clone(&self.handler),
            control: control.clone(),
            job,
            lease: self.lease(),
            grace: self.config.grace,
        };
        let stopping = self.stopping.subscribe();
        let task = self.tasks.spawn(async move {
            let ending = attended.run(stopping).await;
            // Fails when the worker is gone; then nobody counts.
            let _ = me.deliver_unmetered(WorkerMsg::Ended(id, ending));
        });
        self.running.insert(
            id,
            Running {
                kind,
                attempt,
                control,
                task: task.abort_handle(),
            },
        );
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A killed worker takes its tasks with it; their leases run out.
        for running in self.running.values() {
            running.control.cancel();
            running.task.abort();
        }
    }
}

impl Behaviour for Worker {
    type Msg = WorkerMsg;
    const KIND: &'static str = "job_worker";

    async fn start(&mut self, ctx: &Context<WorkerMsg>) -> Result<(), Failure> {
        let bell = self.bell.listen(&jobs_topic(&self.config.queue));
        ctx.look_when(bell, self.config.sweep, || WorkerMsg::Look);
        // What was queued before it listened.
        ctx.after(Duration::ZERO, WorkerMsg::Look);
        Ok(())
    }

    async fn handle(
        &mut self,
        ctx: &Context<WorkerMsg>,
        message: WorkerMsg,
    ) -> Result<(), Failure> {
        if let WorkerMsg::Ended(id, ending) = message {
            self.running.remove(&id);
            match ending {
                Ending::Done => self.counts.done += 1,
                Ending::Retried => self.counts.retried += 1,
                Ending::Dead => self.counts.dead += 1,
                Ending::Lost => self.counts.lost += 1,
                Ending::Released => {}
            }
        }
        self.claim(ctx).await;
        Ok(())
    }

    async fn stop(&mut self, _ctx: &Context<WorkerMsg>) {
        self.stopping.send_replace(true);
        self.tasks.close();
        self.tasks.wait().await;
        self.running.clear();
    }

    fn observe(&self) -> Value {
        let running: Vec<_> = self
            .running
            .iter()
            .map(|(id, running)| {
                json!({
                    "job": id,
                    "kind": running.kind,
                    "attempt": running.attempt,
                    "progress": running.control.reported(),
                })
            })
            .collect();
        json!({ "queue": self.config.queue, "parallel": self.config.parallel, "running": running, "counts": self.counts })
    }
}

/// One job with everything its task needs.
struct Attended {
    system: System,
    handler: Arc<dyn JobHandler>,
    control: JobControl,
    job: Job,
    lease: TimeDelta,
    grace: Duration,
}

impl Attended {
    async fn run(self, mut stopping: watch::Receiver<bool>) -> Ending {
        let outcome = tokio::select! {
            // A finished job is settled even when the lease ran out in the same instant: the epoch decides.
            biased;
            outcome = AssertUnwindSafe(self.handler.run(&self.job, &self.control)).catch_unwind() => outcome,
            () = self.beat() => return Ending::Lost,
            () = told_to_stop(&mut stopping) => return self.give_back().await,
        };
        let outcome = outcome.unwrap_or_else(|panic| {
            Err(JobError::retry(format!(
                "the handler panicked: {}",
                panic_message(panic.as_ref())
            )))
        });
        self.settle(outcome).await
    }

    /// Extends the lease until it is lost; then tells the handler and gives it its grace.
    async fn beat(&self) {
        let lease = self.lease.to_std().unwrap_or(Duration::from_secs(30));
        let mut last_good = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(lease / 3).await;
            let (queue, job) = (self.system.queue(), &self.job);
            match queue
                .heartbeat(
                    job.org,
                    job.id,
                    job.epoch,
                    self.control.reported(),
                    self.lease,
                )
                .await
            {
                Ok(()) => last_good = tokio::time::Instant::now(),
                Err(error) if is_lost(&error) => break,
                // The database is away. Until the lease has run out nobody else can hold it.
                Err(error) => {
                    tracing::warn!(job.id = %job.id, %error, "a heartbeat failed");
                    if last_good.elapsed() >= lease {
                        break;
                    }
                }
            }
        }
        tracing::warn!(job.id = %self.job.id, queue = %self.job.queue, "a job was cancelled or its lease was lost");
        self.control.cancel();
        tokio::time::sleep(self.grace).await;
    }

    async fn give_back(&self) -> Ending {
        self.control.cancel();
        let (queue, job) = (self.system.queue(), &self.job);
        match queue.release(job.org, job.id, job.epoch).await {
            Ok(()) => Ending::Released,
            // Its lease runs out instead.
            Err(error) => {
                tracing::warn!(job.id = %job.id, %error, "a job could not be given back");
                Ending::Lost
            }
        }
    }

    async fn settle(&self, outcome: Result<Finished, JobError>) -> Ending {
        let (queue, job) = (self.system.queue(), &self.job);
        let settled = match outcome {
            Ok(Finished::InItsUnit) => Ok(Ending::Done),
            Ok(Finished::With(result)) => queue
                .complete(job.org, job.id, job.epoch, &result)
                .await
                .map(|()| Ending::Done),
            Err(error) => {
                let failed = queue
                    .fail(
                        job.org,
                        job.id,
                        job.epoch,
                        &error.to_string(),
                        error.for_queue(),
                    )
                    .await;
                failed.map(|state| {
                    let is_dead = state == JobState::Dead;
                    if is_dead {
                        tracing::error!(job.id = %job.id, queue = %job.queue, kind = %job.kind, %error, "a job is dead");
                    } else {
                        tracing::warn!(job.id = %job.id, queue = %job.queue, kind = %job.kind, %error, "a job failed and waits for its next attempt");
                    }
                    if is_dead { Ending::Dead } else { Ending::Retried }
                })
            }
        };
        settled.unwrap_or_else(|error| {
            // Refused by the epoch, or the database is away and the lease will run out: either way it is not ours.
            tracing::warn!(job.id = %job.id, %error, "the end of a job was not accepted");
            Ending::Lost
        })
    }
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stop| *stop).await.is_err() {
        // The worker was killed, and this task with it.
        std::future::pending::<()>().await;
    }
}

fn is_lost(error: &storage::Error) -> bool {
    error.code() == "job.lease_lost"
}
