//! The supervisor's own loop.

use std::{collections::VecDeque, time::Duration};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, ActorStatus, SupervisionEvent};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::time::Instant;

use super::{
    Decision, RestartRecord, SupervisorRef, SupervisorSpec,
    policy::{Recent, Restart, StopBudget, StopOutcome, Strategy},
    spec::{ChildContext, ChildSpec},
};
use crate::{
    Error,
    host::Host,
    mailbox::{Letter, Reply},
    tree::{Exit, ExitClass, StateCell, Status},
};

/// How long a killed actor may take to vanish before it is left behind.
const KILL_PATIENCE: Duration = Duration::from_secs(1);

/// The reason that ractor gives for a killed actor.
const KILLED: &str = "killed";

/// Ends kept per supervisor, and how many of them are shown.
const HISTORY: usize = 100;
const HISTORY_SHOWN: usize = 10;

/// What a supervisor is asked.
pub(crate) enum Order {
    /// Start a dynamic child; answered when it runs.
    Start { spec: ChildSpec, reply: Reply<Result<(), Error>> },
    /// Stop a child.
    Stop { name: String, reply: Reply<Result<StopOutcome, Error>> },
    /// Stop a child and start it again.
    Restart { name: String, reply: Reply<Result<(), Error>> },
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
            SupervisionEvent::ActorFailed(who, error) => (who.get_id(), ExitClass::Failed, Some(error.to_string())),
            // Before its first message a killed actor leaves no state behind; later only the reason tells.
            SupervisionEvent::ActorTerminated(who, state, reason) => {
                let was_killed = state.is_none() || reason.as_deref() == Some(KILLED);
                (who.get_id(), if was_killed { ExitClass::Killed } else { ExitClass::Normal }, reason)
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => return Ok(()),
        };
        // Unknown: a child that was stopped on purpose, whose end was dealt with there.
        let Some(index) = desk.index_of(who) else { return Ok(()) };
        let (class, reason) = match desk.children[index].cell.take_condemned() {
            Some(verdict) if class == ExitClass::Killed => (ExitClass::Stuck, Some(verdict)),
            _ => (class, reason),
        };
        let exit = Exit { class, reason, at: desk.host.clock.now() };
        let outcome = desk.child_ended(index, exit).await;
        desk.show();
        outcome
    }

    async fn post_stop(&self, _myself: ActorRef<Self::Msg>, desk: &mut Desk) -> Result<(), ActorProcessingErr> {
        desk.stop_from(0).await;
        Ok(())
    }
}

impl Desk {
    fn index_of(&self, who: ActorId) -> Option<usize> {
        self.children.iter().position(|child| child.actor.as_ref().is_some_and(|actor| actor.get_id() == who))
    }

    fn position(&self, name: &str) -> Result<usize, Error> {
        self.children
            .iter()
            .position(|child| child.spec.name == name)
            .ok_or_else(|| Error::UnknownActor { path: self.child_path(name) })
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
                reply.send(self.children.iter().map(|child| child.spec.name.clone()).collect());
            }
            Order::History(reply) => reply.send(self.history.iter().cloned().collect()),
            Order::Due { ticket } => return self.revive(ticket).await,
        }
        Ok(())
    }

    /// Adds a child and begins its first life.
    async fn add(&mut self, spec: ChildSpec, is_dynamic: bool) -> Result<(), Error> {
        let path = self.child_path(&spec.name);
        if let Some(index) = self.children.iter().position(|child| child.spec.name == spec.name) {
            let is_over = is_dynamic && self.children[index].phase == Phase::Ended && self.children[index].is_dynamic;
            if !is_over {
                return Err(Error::DuplicateActor { path });
            }
            self.forget(index);
        }
        if self.children.len() >= self.spec.max_children {
            return Err(Error::TooManyChildren { path: self.path.clone(), limit: self.spec.max_children });
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
        Exit { class: ExitClass::Failed, reason: Some(error.to_string()), at: self.host.clock.now() }
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

    /// Begins one life of the child.
    async fn begin(&mut self, index: usize) -> Result<(), Error> {
        let child = &mut self.children[index];
        child.cell.starting();
        let context = ChildContext {
            host: self.host.clone(),
            path: child.cell.path().to_owned(),
            cell: child.cell.clone(),
            supervisor: self.myself.clone(),
        };
        let started = tokio::time::timeout(child.spec.start_timeout, (child.spec.start)(context)).await;
        let actor = started.unwrap_or_else(|_| {
            Err(Error::StartFailed {
                path: child.cell.path().to_owned(),
                message: format!("its start took longer than {} ms", child.spec.start_timeout.as_millis()),
            })
        })?;
        child.cell.started(actor.clone(), child.has_lived);
        child.actor = Some(actor);
        child.phase = Phase::Running(Instant::now());
        child.has_lived = true;
        Ok(())
    }

    /// Starts, in order, the children that wait under `ticket`.
    async fn revive(&mut self, ticket: u64) -> Result<(), ActorProcessingErr> {
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
    async fn child_ended(&mut self, index: usize, exit: Exit) -> Result<(), ActorProcessingErr> {
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
            self.children[index].cell.ended(Status::Failed, exit.clone());
            self.record(&path, exit, Decision::Escalate);
            return self.escalate(format!("{path} needed more than {} restarts within its window", self.spec.intensity.max_restarts)).await;
        }
        let child = &mut self.children[index];
        child.failures += 1;
        let delay = self.spec.backoff.delay(child.failures, &mut self.rng);
        child.cell.ended(Status::Restarting, exit.clone());
        let path = child.cell.path().to_owned();
        tracing::warn!(actor.path = %path, exit = ?exit.class, reason = exit.reason.as_deref().unwrap_or(""),
            delay_ms = delay.as_millis() as u64, "an actor ended and will be restarted");
        self.record(&path, exit, Decision::Restart { delay_ms: delay.as_millis() as u64 });
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
        let status = if was_normal { Status::Stopped } else { Status::Failed };
        child.cell.ended(status, exit.clone());
        if !was_normal {
            tracing::warn!(actor.path = %path, exit = ?exit.class, reason = exit.reason.as_deref().unwrap_or(""),
                "an actor ended and stays ended");
        }
        self.record(&path, exit, if is_critical { Decision::Escalate } else { Decision::Leave });
        if is_dynamic {
            // Nobody will restart it, and dynamic children come and go without number.
            self.forget(index);
        }
        if is_critical { self.escalate(format!("{path} is critical and ended")).await } else { Ok(()) }
    }

    /// Stops everything in order and gives up.
    async fn escalate(&mut self, reason: String) -> Result<(), ActorProcessingErr> {
        tracing::error!(actor.path = %self.path, reason, "a supervisor gives up");
        self.stop_from(0).await;
        self.show();
        Err(reason.into())
    }

    fn record(&mut self, path: &str, exit: Exit, decision: Decision) {
        let record =
            RestartRecord { runtime: self.host.tree.id().to_owned(), path: path.to_owned(), exit, decision };
        self.host.sink.record(&record);
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(record);
    }

    /// Stops the children from `first` on, in reverse order.
    async fn stop_from(&mut self, first: usize) {
        for index in (first..self.children.len()).rev() {
            self.end_child(index, Status::Stopped).await;
        }
    }

    /// Ends one child in order and shows it as `status`.
    async fn end_child(&mut self, index: usize, status: Status) -> StopOutcome {
        let child = &mut self.children[index];
        child.phase = Phase::Ended;
        let Some(actor) = child.actor.take() else {
            child.cell.set_status(status);
            return StopOutcome::AlreadyEnded;
        };
        let outcome = stop_actor(&actor, child.spec.stop_budget).await;
        let (class, reason) = match outcome {
            StopOutcome::AlreadyEnded | StopOutcome::Drained | StopOutcome::Stopped => (ExitClass::Normal, "stopped"),
            StopOutcome::Killed => (ExitClass::Killed, "it did not stop within its budget and was killed"),
            StopOutcome::Abandoned => (ExitClass::Stuck, "not even a kill reached it; it was left behind"),
        };
        if class != ExitClass::Normal {
            tracing::warn!(actor.path = child.cell.path(), reason, "an actor could not be stopped in order");
        }
        let status = if outcome == StopOutcome::Abandoned { Status::Failed } else { status };
        child.cell.ended(status, Exit { class, reason: Some(reason.to_owned()), at: self.host.clock.now() });
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
    if has_ended(actor) { StopOutcome::Killed } else { StopOutcome::Abandoned }
}
