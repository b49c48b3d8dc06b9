//! The compute pool: the only place where the processor works for long.
//!
//! Each role (analysis, optimisation, reporting) has one supervised pool actor that admits tasks: as many at once as the
//! role has permits, a bounded number in the queue, the rest refused with `compute.busy`. A task runs on a blocking
//! thread with a cancellation flag that it must look at and a progress heartbeat that others may read. Dropping the
//! future of [`Compute::run`] cancels its task. A panic is caught and reported to the caller; the pool lives on.
//!
//! When the pool actor itself dies, its running tasks are told to stop and its waiting ones are lost with
//! `runtime.cancelled`. Permits belong to the role, not to one life of the actor, so a restarted pool never runs
//! more than its share beside the ones that are still ending.

mod pool;
mod task;

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    Error,
    mailbox::BoundedRef,
    supervisor::{ChildSpec, StopBudget},
};

pub use task::{TaskHandle, TaskView};

use pool::{Msg, Pool, PoolState, Submission};
use task::Watch;

/// Size of one role's pool on this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoolSpec {
    /// The role, such as `analysis`.
    pub role: String,
    /// Tasks at once.
    pub permits: usize,
    /// Tasks that may wait.
    pub queue: usize,
}

impl PoolSpec {
    /// A pool for `role`.
    pub fn new(role: impl Into<String>, permits: usize, queue: usize) -> Self {
        Self {
            role: role.into(),
            permits: permits.max(1),
            queue,
        }
    }
}

/// What a pool is doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolLoad {
    /// Tasks at once.
    pub permits: usize,
    /// Tasks that may wait.
    pub queue: usize,
    /// Tasks under way.
    pub running: Vec<TaskView>,
    /// Labels of the tasks that wait, first in line first.
    pub waiting: Vec<String>,
    /// Tasks that ended with a result.
    pub done: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// Tasks whose caller went away or that the pool abandoned.
    pub cancelled: u64,
    /// Tasks refused because everything was taken.
    pub refused: u64,
}

#[derive(Clone, Debug)]
struct Role {
    pool: BoundedRef<Msg>,
    state: Arc<PoolState>,
}

/// The way into the pools. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Compute {
    roles: Arc<BTreeMap<String, Role>>,
}

impl Compute {
    /// Pools for the roles of this node, and the children that a supervisor must start for them to work.
    pub fn new(specs: &[PoolSpec]) -> (Self, Vec<ChildSpec>) {
        let mut roles = BTreeMap::new();
        let mut children = Vec::new();
        for spec in specs {
            let state = Arc::new(PoolState::new(spec.clone()));
            let shared = Arc::clone(&state);
            // Room for every task that could be admitted, once as a submission and once as an end, and for some that
            // must be refused with the pool's own answer.
            let capacity = 2 * (spec.permits + spec.queue) + 64;
            let (child, pool) = ChildSpec::actor(spec.role.clone(), capacity, move || {
                Pool::new(Arc::clone(&shared))
            });
            children.push(child.stop_budget(StopBudget::default()));
            roles.insert(spec.role.clone(), Role { pool, state });
        }
        (
            Self {
                roles: Arc::new(roles),
            },
            children,
        )
    }

    /// Runs `work` in the pool of `role` and waits for what it returns. `label` is shown while it runs.
    ///
    /// # Errors
    /// `compute.unknown_role`, `compute.busy`, `runtime.panicked`, `runtime.not_running` when the pool is between two
    /// lives, `runtime.cancelled` when the pool died before the task began.
    pub async fn run<T: Send + 'static>(
        &self,
        role: &str,
        label: &str,
        work: impl FnOnce(TaskHandle) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let found = self.roles.get(role).ok_or_else(|| Error::UnknownRole {
            role: role.to_owned(),
        })?;
        let watch = Arc::new(Watch::new(label));
        // Dropped with this future, whatever the reason: then nobody wants the result.
        let _cancel_on_drop = watch.cancel_on_drop();
        let (give, take) = oneshot::channel();
        let handle = TaskHandle::new(Arc::clone(&watch));
        let what = format!("{role}: {label}");
        let thread_what = what.clone();
        let job = Box::new(move || {
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| work(handle)));
            let is_fine = outcome.is_ok();
            let outcome = outcome.map_err(|panic| Error::Panicked {
                what: thread_what,
                message: crate::actor::panic_message(panic.as_ref()),
            });
            // Fails when the caller is gone.
            let _ = give.send(outcome);
            is_fine
        });
        let submission = Submission {
            watch: Arc::clone(&watch),
            job,
        };
        let admitted = found
            .pool
            .ask(
                |reply| Msg::Submit(submission, reply),
                pool::ADMISSION_PATIENCE,
            )
            .await
            .map_err(|error| match error {
                Error::Overloaded { .. } => found.state.busy(),
                other => other,
            })?;
        admitted?;
        let outcome = take
            .await
            .unwrap_or_else(|_| Err(Error::Cancelled { what }))?;
        watch.finish();
        Ok(outcome)
    }

    /// What the pool of `role` is doing.
    ///
    /// # Errors
    /// `compute.unknown_role`.
    pub fn load(&self, role: &str) -> Result<PoolLoad, Error> {
        self.roles
            .get(role)
            .map(|found| found.state.load())
            .ok_or_else(|| Error::UnknownRole {
                role: role.to_owned(),
            })
    }

    /// The roles of this node.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests;
