//! The supervisor's own loop.

mod lives;

use std::collections::VecDeque;

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::time::Instant;

use super::{
    RestartRecord, SupervisorRef, SupervisorSpec,
    policy::{Recent, StopOutcome},
    spec::ChildSpec,
};
use crate::{
    Error,
    host::Host,
    mailbox::{Letter, Reply},
    tree::{Exit, ExitClass, StateCell, Status},
};

pub(crate) use lives::stop_actor;

/// The reason that ractor gives for a killed actor.
const KILLED: &str = "killed";

/// How many of the last ends are shown.
const HISTORY_SHOWN: usize = 10;

/// What a supervisor is asked.
pub(crate) enum Order {
    /// Start a dynamic child; answered when it runs.
    Start {
        spec: ChildSpec,
        reply: Reply<Result<(), Error>>,
    },
    /// Stop a child.
    Stop {
        name: String,
        reply: Reply<Result<StopOutcome, Error>>,
    },
    /// Stop a child and start it again.
    Restart {
        name: String,
        reply: Reply<Result<(), Error>>,
    },
    /// Names of the children.
    Children(Reply<Vec<String>>),
    /// The last ends.
    History(Reply<Vec<RestartRecord>>),
    /// The delay of the children that wait under this ticket is over.
    Due { ticket: u64 },
}

/// The supervisor as a ractor actor.
pub(crate) struct Chief;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It runs since.
    Running(Instant),
    /// It waits for its next life under a ticket.
    Waiting(u64),
    /// It ended for good.
    Ended,
}

struct Child {
    spec: ChildSpec,
    cell: StateCell,
    actor: Option<ActorCell>,
    phase: Phase,
    /// Failures in a row, for the backoff.
    failures: u32,
    /// Whether it has lived before, so that the next start counts as a restart.
    has_lived: bool,
    is_dynamic: bool,
}

/// State of a supervisor.
pub(crate) struct Desk {
    me: SupervisorRef,
    host: Host,
    path: String,
    cell: StateCell,
    myself: ActorCell,
    spec: SupervisorSpec,
    children: Vec<Child>,
    recent: Recent,
    rng: ChaCha8Rng,
    history: VecDeque<RestartRecord>,
    next_ticket: u64,
}

impl Actor for Chief {
    type Msg = Letter<Order>;
    type State = Desk;
    type Arguments = (Host, String, StateCell, SupervisorRef, SupervisorSpec);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (host, path, cell, me, spec): Self::Arguments,
    ) -> Result<Desk, ActorProcessingErr> {
        me.0.bind(&path, myself.clone());
        let waiting = me.0.clone();
        cell.gauge(move || waiting.len());
        // Whatever an earlier life of this supervisor supervised went with it.
        host.tree.forget_below(&path);
        let rng = host.rng(&path);
        let specs = spec.children.clone();
        let mut desk = Desk {
            me,
            host,
            path,
            cell,
            myself: myself.get_cell(),
            spec,
            children: Vec::new(),
            recent: Recent::default(),
            rng,
            history: VecDeque::new(),
            next_ticket: 0,
        };
        for child in specs {
            if let Err(error) = desk.add(child, false).await {
                desk.stop_from(0).await;
                return Err(error.into());
            }
        }
        desk.show();
        Ok(desk)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        letter: Self::Msg,
        desk: &mut Desk,
    ) -> Result<(), ActorProcessingErr> {
        let Letter { message, permit } = letter;
        let outcome = desk.obey(message).await;
        drop(permit);
        desk.show();
        outcome
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        desk: &mut Desk,
    ) -> Result<(), ActorProcessingErr> {
        let (who, class, reason) = match event {
            SupervisionEvent::ActorFailed(who, error) => {
                (who.get_id(), ExitClass::Failed, Some(error.to_string()))
            }
            // Before its first message a killed actor leaves no state behind; later only the reason tells.
            SupervisionEvent::ActorTerminated(who, state, reason) => {
                let was_killed = state.is_none() || reason.as_deref() == Some(KILLED);
                (
                    who.get_id(),
                    if was_killed {
                        ExitClass::Killed
                    } else {
                        ExitClass::Normal
                    },
                    reason,
                )
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {
                return Ok(());
            }
        };
        // Unknown: a child that was stopped on purpose, whose end was dealt with there.
        let Some(index) = desk.index_of(who) else {
            return Ok(());
        };
        let (class, reason) = match desk.children[index].cell.take_condemned() {
            Some(verdict) if class == ExitClass::Killed => (ExitClass::Stuck, Some(verdict)),
            _ => (class, reason),
        };
        let exit = Exit {
            class,
            reason,
            at: desk.host.clock.now(),
        };
        let outcome = desk.child_ended(index, exit).await;
        desk.show();
        outcome
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Self::Msg>,
        desk: &mut Desk,
    ) -> Result<(), ActorProcessingErr> {
        desk.stop_from(0).await;
        Ok(())
    }
}

impl Desk {
    fn index_of(&self, who: ActorId) -> Option<usize> {
        self.children.iter().position(|child| {
            child
                .actor
                .as_ref()
                .is_some_and(|actor| actor.get_id() == who)
        })
    }

    fn position(&self, name: &str) -> Result<usize, Error> {
        self.children
            .iter()
            .position(|child| child.spec.name == name)
            .ok_or_else(|| Error::UnknownActor {
                path: self.child_path(name),
            })
    }

    fn child_path(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    fn show(&self) {
        let shown: Vec<_> = self.history.iter().rev().take(HISTORY_SHOWN).collect();
        self.cell.publish(json!({
            "strategy": self.spec.strategy,
            "children": self.children.len(),
            "restarts_in_window": self.recent.len(),
            "max_restarts": self.spec.intensity.max_restarts,
            "window_ms": self.spec.intensity.window.as_millis() as u64,
            "history": shown,
        }));
    }

    async fn obey(&mut self, order: Order) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Start { spec, reply } => {
                let outcome = self.add(spec, true).await;
                reply.send(outcome);
            }
            Order::Stop { name, reply } => {
                let outcome = self.remove(&name).await;
                reply.send(outcome);
            }
            Order::Restart { name, reply } => match self.position(&name) {
                Err(error) => reply.send(Err(error)),
                Ok(index) => {
                    self.end_child(index, Status::Restarting).await;
                    let outcome = self.begin(index).await;
                    if let Err(error) = &outcome {
                        let exit = self.failed_start(error);
                        reply.send(outcome);
                        return self.child_ended(index, exit).await;
                    }
                    reply.send(outcome);
                }
            },
            Order::Children(reply) => {
                reply.send(
                    self.children
                        .iter()
                        .map(|child| child.spec.name.clone())
                        .collect(),
                );
            }
            Order::History(reply) => reply.send(self.history.iter().cloned().collect()),
            Order::Due { ticket } => return self.revive(ticket).await,
        }
        Ok(())
    }

    /// Adds a child and begins its first life.
    async fn add(&mut self, spec: ChildSpec, is_dynamic: bool) -> Result<(), Error> {
        let path = self.child_path(&spec.name);
        if let Some(index) = self
            .children
            .iter()
            .position(|child| child.spec.name == spec.name)
        {
            let is_over = is_dynamic
                && self.children[index].phase == Phase::Ended
                && self.children[index].is_dynamic;
            if !is_over {
                return Err(Error::DuplicateActor { path });
            }
            self.forget(index);
        }
        if self.children.len() >= self.spec.max_children {
            return Err(Error::TooManyChildren {
                path: self.path.clone(),
                limit: self.spec.max_children,
            });
        }
        let cell = self.host.tree.register(&path, spec.kind);
        self.children.push(Child {
            spec,
            cell,
            actor: None,
            phase: Phase::Ended,
            failures: 0,
            has_lived: false,
            is_dynamic,
        });
        let index = self.children.len() - 1;
        let outcome = self.begin(index).await;
        if let Err(error) = &outcome {
            if is_dynamic {
                self.forget(index);
            } else {
                let exit = self.failed_start(error);
                self.children[index].cell.ended(Status::Failed, exit);
            }
        }
        outcome
    }

    fn failed_start(&self, error: &Error) -> Exit {
        Exit {
            class: ExitClass::Failed,
            reason: Some(error.to_string()),
            at: self.host.clock.now(),
        }
    }

    async fn remove(&mut self, name: &str) -> Result<StopOutcome, Error> {
        let index = self.position(name)?;
        let outcome = self.end_child(index, Status::Stopped).await;
        if self.children[index].is_dynamic {
            self.forget(index);
        }
        Ok(outcome)
    }

    fn forget(&mut self, index: usize) {
        let child = self.children.remove(index);
        self.host.tree.forget(child.cell.path());
    }
}
