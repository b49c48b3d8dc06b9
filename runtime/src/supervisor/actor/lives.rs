//! The lives of the children: how one begins, what follows its end, and how it is ended in order.

use std::time::Duration;

use ractor::{ActorCell, ActorProcessingErr, ActorStatus};
use tokio::time::Instant;

use super::{
    super::{
        Decision, RestartRecord,
        policy::{Restart, StopBudget, StopOutcome, Strategy},
        spec::ChildContext,
    },
    Desk, Order, Phase,
};
use crate::{
    Error,
    tree::{Exit, ExitClass, Status},
};

/// How long a killed actor may take to vanish before it is left behind.
const KILL_PATIENCE: Duration = Duration::from_secs(1);

/// Ends kept per supervisor.
const HISTORY: usize = 100;

impl Desk {
    /// Begins one life of the child.
    pub(super) async fn begin(&mut self, index: usize) -> Result<(), Error> {
        let child = &mut self.children[index];
        child.cell.starting();
        let context = ChildContext {
            host: self.host.clone(),
            path: child.cell.path().to_owned(),
            cell: child.cell.clone(),
            supervisor: self.myself.clone(),
        };
        let started =
            tokio::time::timeout(child.spec.start_timeout, (child.spec.start)(context)).await;
        let actor = started.unwrap_or_else(|_| {
            Err(Error::StartFailed {
                path: child.cell.path().to_owned(),
                message: format!(
                    "its start took longer than {} ms",
                    child.spec.start_timeout.as_millis()
                ),
            })
        })?;
        child.cell.started(actor.clone(), child.has_lived);
        child.actor = Some(actor);
        child.phase = Phase::Running(Instant::now());
        child.has_lived = true;
        Ok(())
    }

    /// Starts, in order, the children that wait under `ticket`.
    pub(super) async fn revive(&mut self, ticket: u64) -> Result<(), ActorProcessingErr> {
        for index in 0..self.children.len() {
            if self.children[index].phase != Phase::Waiting(ticket) {
                continue;
            }
            if let Err(error) = self.begin(index).await {
                let exit = self.failed_start(&error);
                // The strategy gives the rest of the group a new ticket.
                return self.child_ended(index, exit).await;
            }
        }
        Ok(())
    }

    /// Deals with the end of a child that nobody asked for.
    pub(super) async fn child_ended(
        &mut self,
        index: usize,
        exit: Exit,
    ) -> Result<(), ActorProcessingErr> {
        let now = Instant::now();
        let child = &mut self.children[index];
        child.actor = None;
        if let Phase::Running(since) = child.phase
            && now.duration_since(since) >= self.spec.backoff.forget_after
        {
            child.failures = 0;
        }
        let deserves_another = match child.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => exit.class != ExitClass::Normal,
            Restart::Temporary => false,
        };
        if !deserves_another {
            return self.leave_ended(index, exit).await;
        }
        if !self.recent.admit(now, self.spec.intensity) {
            let path = self.children[index].cell.path().to_owned();
            self.children[index].phase = Phase::Ended;
            self.children[index]
                .cell
                .ended(Status::Failed, exit.clone());
            self.record(&path, exit, Decision::Escalate);
            return self
                .escalate(format!(
                    "{path} needed more than {} restarts within its window",
                    self.spec.intensity.max_restarts
                ))
                .await;
        }
        let child = &mut self.children[index];
        child.failures += 1;
        let delay = self.spec.backoff.delay(child.failures, &mut self.rng);
        child.cell.ended(Status::Restarting, exit.clone());
        let path = child.cell.path().to_owned();
        tracing::warn!(actor.path = %path, exit = ?exit.class, reason = exit.reason.as_deref().unwrap_or(""),
            delay_ms = delay.as_millis() as u64, "an actor ended and will be restarted");
        self.record(
            &path,
            exit,
            Decision::Restart {
                delay_ms: delay.as_millis() as u64,
            },
        );
        self.wait_for_next_life(index, delay).await;
        Ok(())
    }

    /// Stops whom the strategy names, and gives the whole group one ticket for its next life.
    async fn wait_for_next_life(&mut self, index: usize, delay: Duration) {
        let group = match self.spec.strategy {
            Strategy::OneForOne => index..index + 1,
            Strategy::OneForAll => 0..self.children.len(),
            Strategy::RestForOne => index..self.children.len(),
        };
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        for other in group.rev() {
            if other != index {
                match self.children[other].phase {
                    Phase::Ended => continue,
                    Phase::Running(_) => {
                        self.end_child(other, Status::Restarting).await;
                    }
                    Phase::Waiting(_) => {}
                }
                if self.children[other].spec.restart == Restart::Temporary {
                    self.children[other].phase = Phase::Ended;
                    self.children[other].cell.set_status(Status::Stopped);
                    continue;
                }
            }
            self.children[other].phase = Phase::Waiting(ticket);
        }
        let me = self.me.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            // Fails only when the supervisor is gone, and its children with it.
            let _ = me.0.deliver_unmetered(Order::Due { ticket });
        });
    }

    /// The child stays ended.
    async fn leave_ended(&mut self, index: usize, exit: Exit) -> Result<(), ActorProcessingErr> {
        let child = &mut self.children[index];
        child.phase = Phase::Ended;
        let path = child.cell.path().to_owned();
        let is_critical = child.spec.is_critical;
        let is_dynamic = child.is_dynamic;
        let was_normal = exit.class == ExitClass::Normal;
        let status = if was_normal {
            Status::Stopped
        } else {
            Status::Failed
        };
        child.cell.ended(status, exit.clone());
        if !was_normal {
            tracing::warn!(actor.path = %path, exit = ?exit.class, reason = exit.reason.as_deref().unwrap_or(""),
                "an actor ended and stays ended");
        }
        self.record(
            &path,
            exit,
            if is_critical {
                Decision::Escalate
            } else {
                Decision::Leave
            },
        );
        if is_dynamic {
            // Nobody will restart it, and dynamic children come and go without number.
            self.forget(index);
        }
        if is_critical {
            self.escalate(format!("{path} is critical and ended")).await
        } else {
            Ok(())
        }
    }

    /// Stops everything in order and gives up.
    async fn escalate(&mut self, reason: String) -> Result<(), ActorProcessingErr> {
        tracing::error!(actor.path = %self.path, reason, "a supervisor gives up");
        self.stop_from(0).await;
        self.show();
        Err(reason.into())
    }

    fn record(&mut self, path: &str, exit: Exit, decision: Decision) {
        let record = RestartRecord {
            runtime: self.host.tree.id().to_owned(),
            path: path.to_owned(),
            exit,
            decision,
        };
        self.host.sink.record(&record);
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(record);
    }

    /// Stops the children from `first` on, in reverse order.
    pub(super) async fn stop_from(&mut self, first: usize) {
        for index in (first..self.children.len()).rev() {
            self.end_child(index, Status::Stopped).await;
        }
    }

    /// Ends one child in order and shows it as `status`.
    pub(super) async fn end_child(&mut self, index: usize, status: Status) -> StopOutcome {
        let child = &mut self.children[index];
        child.phase = Phase::Ended;
        let Some(actor) = child.actor.take() else {
            child.cell.set_status(status);
            return StopOutcome::AlreadyEnded;
        };
        let outcome = stop_actor(&actor, child.spec.stop_budget).await;
        let (class, reason) = match outcome {
            StopOutcome::AlreadyEnded | StopOutcome::Drained | StopOutcome::Stopped => {
                (ExitClass::Normal, "stopped")
            }
            StopOutcome::Killed => (
                ExitClass::Killed,
                "it did not stop within its budget and was killed",
            ),
            StopOutcome::Abandoned => (
                ExitClass::Stuck,
                "not even a kill reached it; it was left behind",
            ),
        };
        if class != ExitClass::Normal {
            tracing::warn!(
                actor.path = child.cell.path(),
                reason,
                "an actor could not be stopped in order"
            );
        }
        let status = if outcome == StopOutcome::Abandoned {
            Status::Failed
        } else {
            status
        };
        child.cell.ended(
            status,
            Exit {
                class,
                reason: Some(reason.to_owned()),
                at: self.host.clock.now(),
            },
        );
        outcome
    }
}

fn has_ended(actor: &ActorCell) -> bool {
    actor.get_status() == ActorStatus::Stopped
}

/// Stops an actor: drain, then stop, then kill, each within the budget.
pub(crate) async fn stop_actor(actor: &ActorCell, budget: StopBudget) -> StopOutcome {
    if has_ended(actor) {
        return StopOutcome::AlreadyEnded;
    }
    if !budget.drain.is_zero() {
        let _ = actor.drain_and_wait(Some(budget.drain)).await;
        if has_ended(actor) {
            return StopOutcome::Drained;
        }
    }
    let _ = actor.stop_and_wait(None, Some(budget.stop)).await;
    if has_ended(actor) {
        return StopOutcome::Stopped;
    }
    let _ = actor.kill_and_wait(Some(KILL_PATIENCE)).await;
    if has_ended(actor) {
        StopOutcome::Killed
    } else {
        StopOutcome::Abandoned
    }
}
