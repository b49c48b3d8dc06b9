//! The root of a runtime and its ordered end.
//!
//! The root supervisor is the one actor without a supervisor. Its end in order is the end of everything: children stop
//! in reverse start order, each within its budget, the whole within a deadline. When the root gives up by itself
//! (escalation all the way up) [`Root::ended`] resolves, and the program must exit: nothing above it can restart it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ractor::{Actor, ActorCell, ActorStatus};
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use crate::{
    Error,
    host::Host,
    mailbox::BoundedRef,
    supervisor::{Chief, StopBudget, StopOutcome, SupervisorRef, SupervisorSpec, stop_actor},
    tree::{Exit, ExitClass, Status, Tree},
};

/// Path of the root supervisor in its tree.
pub const ROOT: &str = "root";

/// A whole shutdown takes no longer than this unless asked otherwise.
pub const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(30);

/// A running runtime.
pub struct Root {
    host: Host,
    actor: ActorCell,
    supervisor: SupervisorRef,
    was_asked: Arc<AtomicBool>,
    ended: watch::Receiver<bool>,
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root").field("host", &self.host).finish()
    }
}

/// How a shutdown went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShutdownReport {
    /// How long it took in milliseconds.
    pub elapsed_ms: u64,
    /// Whether every actor stopped within its budget.
    pub was_orderly: bool,
    /// Paths of actors that were killed or could not be stopped at all.
    pub forced: Vec<String>,
}

impl Root {
    /// Starts the root supervisor and its children in order.
    ///
    /// # Errors
    /// `runtime.start_failed` when a child does not start; those before it have been stopped again.
    pub async fn start(host: Host, spec: SupervisorSpec) -> Result<Self, Error> {
        let supervisor = SupervisorRef(BoundedRef::unbound(ROOT, 256));
        let cell = host.tree.register(ROOT, "supervisor");
        cell.starting();
        let arguments = (
            host.clone(),
            ROOT.to_owned(),
            cell.clone(),
            supervisor.clone(),
            spec,
        );
        let (actor, joined) = Chief::spawn(None, Chief, arguments)
            .await
            .map_err(|error| {
                let message = error.to_string();
                cell.ended(
                    Status::Failed,
                    Exit {
                        class: ExitClass::Failed,
                        reason: Some(message.clone()),
                        at: host.clock.now(),
                    },
                );
                Error::StartFailed {
                    path: ROOT.to_owned(),
                    message,
                }
            })?;
        cell.started(actor.get_cell(), false);
        let (tell_ended, ended) = watch::channel(false);
        let was_asked = Arc::new(AtomicBool::new(false));
        let (clock, asked) = (host.clock.clone(), Arc::clone(&was_asked));
        tokio::spawn(async move {
            let _ = joined.await;
            let (status, class, reason) = if asked.load(Ordering::Acquire) {
                (Status::Stopped, ExitClass::Normal, "shut down")
            } else {
                (
                    Status::Failed,
                    ExitClass::Failed,
                    "the root supervisor gave up",
                )
            };
            cell.ended(
                status,
                Exit {
                    class,
                    reason: Some(reason.to_owned()),
                    at: clock.now(),
                },
            );
            tell_ended.send_replace(true);
        });
        Ok(Self {
            host,
            actor: actor.get_cell(),
            supervisor,
            was_asked,
            ended,
        })
    }

    /// Orders to the root supervisor.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// The live tree.
    pub fn tree(&self) -> &Tree {
        &self.host.tree
    }

    /// What the runtime shares.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Resolves when the root has ended, by itself or by [`shutdown`](Self::shutdown).
    pub async fn ended(&self) {
        // The sender only goes away after it has said so.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Stops everything in reverse order, within `deadline` in all. Calling it again reports what is left.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let begun = Instant::now();
        self.was_asked.store(true, Ordering::Release);
        let outcome = if self.actor.get_status() == ActorStatus::Stopped {
            StopOutcome::AlreadyEnded
        } else {
            // A kill of the root takes every actor with it at once: the last resort when the budgets add up to more
            // than the deadline.
            stop_actor(
                &self.actor,
                StopBudget {
                    drain: Duration::ZERO,
                    stop: deadline,
                },
            )
            .await
        };
        if outcome != StopOutcome::Abandoned {
            self.ended().await;
        }
        let forced: Vec<String> = self
            .host
            .tree
            .snapshot()
            .into_iter()
            .filter(|node| {
                !matches!(node.status, Status::Stopped | Status::Restarting)
                    || node.last_exit.as_ref().is_some_and(|exit| {
                        matches!(exit.class, ExitClass::Killed | ExitClass::Stuck)
                            && node.status == Status::Stopped
                    })
            })
            .map(|node| node.path)
            .collect();
        let was_orderly = forced.is_empty()
            && matches!(outcome, StopOutcome::Stopped | StopOutcome::AlreadyEnded);
        ShutdownReport {
            elapsed_ms: begun.elapsed().as_millis() as u64,
            was_orderly,
            forced,
        }
    }
}
