//! What people do to the agents: run, cancel, pause, set, restart.

use domain::{
    access::{AgentKind, Permission, Principal},
    event::{EventKind, NewEvent},
    id::RunId,
    run::{Run, RunState, Trigger},
};
use serde_json::{Value, json};

use crate::{
    Agents, Error,
    agent::{
        DESKS,
        pause::{self, is_paused},
    },
    organisation, parameters,
    status::AgentView,
};

impl Agents {
    /// Queues a run of an agent and wakes it.
    ///
    /// # Errors
    /// `agent.paused`; those of the supervisor and the database.
    pub async fn run_now(&self, principal: &Principal, kind: AgentKind) -> Result<Run, Error> {
        let grant = principal.grant(Permission::AgentControl)?;
        if is_paused(&self.inner.deps.storage.scope(&grant), kind).await? {
            let error = domain::Error::conflict(
                "agent.paused",
                format!("the {} agent is paused", kind.name()),
            );
            return Err(error.advise("resume it first").into());
        }
        let (run, _) = self
            .inner
            .deps
            .storage
            .unit(&grant, move |u| {
                Box::pin(organisation::queue_run(u, kind, Trigger::Person))
            })
            .await?;
        self.wake(principal.org()).await?;
        Ok(run)
    }

    /// One run of each of the four, carried out to the end. For the command line and the demo.
    ///
    /// # Errors
    /// As [`run_now`](Self::run_now).
    pub async fn run_all(&self, principal: &Principal) -> Result<Vec<Run>, Error> {
        let grant = principal.grant(Permission::AgentControl)?;
        let queued: Vec<RunId> = self
            .inner
            .deps
            .storage
            .unit(&grant, |u| {
                Box::pin(async move {
                    let mut runs = Vec::new();
                    for desk in DESKS {
                        runs.push(
                            organisation::queue_run(u, desk.kind, Trigger::Person)
                                .await?
                                .0
                                .id,
                        );
                    }
                    Ok(runs)
                })
            })
            .await?;
        self.wake(principal.org()).await?;
        self.wait_idle(principal.org()).await?;
        let scope = self.inner.deps.storage.scope(&grant);
        let mut ended = Vec::new();
        for id in queued {
            ended.push(scope.runs().get(id).await?);
        }
        Ok(ended)
    }

    /// Stops a run that has not ended. Its proposals, if it had come to them, stay.
    ///
    /// # Errors
    /// `run.unknown`, `run.ended`.
    pub async fn cancel_run(&self, principal: &Principal, run: RunId) -> Result<Run, Error> {
        let grant = principal.grant(Permission::RunWrite)?;
        let cancelled = self
            .inner
            .deps
            .storage
            .unit(&grant, move |u| {
                Box::pin(async move {
                    u.audit()
                        .record("run.cancelled", &run.to_string(), json!({}))
                        .await?;
                    u.runs().end(run, RunState::Cancelled, None).await
                })
            })
            .await?;
        // The runner's next life finds the run ended and leaves it alone; what it computed is dropped with it.
        let path = format!(
            "{}/{}/{}/cycle",
            self.inner.supervisor.path(),
            principal.org(),
            cancelled.agent.name()
        );
        if self
            .inner
            .deps
            .tree
            .node(&path)
            .is_some_and(|node| node.observed["current_run"] == json!(run))
        {
            self.inner.deps.tree.kill(&path)?;
        }
        Ok(cancelled)
    }

    /// Pauses an agent: it finishes the cycle under way and starts no other.
    ///
    /// # Errors
    /// `access.forbidden`; when the database cannot be reached.
    pub async fn pause(&self, principal: &Principal, kind: AgentKind) -> Result<AgentView, Error> {
        self.set_paused(principal, kind, true).await
    }

    /// Lets a paused agent go on.
    ///
    /// # Errors
    /// `access.forbidden`; when the database cannot be reached.
    pub async fn resume(&self, principal: &Principal, kind: AgentKind) -> Result<AgentView, Error> {
        self.set_paused(principal, kind, false).await
    }

    async fn set_paused(
        &self,
        principal: &Principal,
        kind: AgentKind,
        paused: bool,
    ) -> Result<AgentView, Error> {
        let verb = if paused {
            "agent.paused"
        } else {
            "agent.resumed"
        };
        self.set(principal, kind, pause::key(kind), json!(paused), verb)
            .await
    }

    /// Changes an agent's thresholds. They hold from the next cycle on.
    ///
    /// # Errors
    /// `agent.parameter_invalid` for a name the agent does not have or a value outside its range.
    pub async fn set_parameters(
        &self,
        principal: &Principal,
        kind: AgentKind,
        patch: Value,
    ) -> Result<AgentView, Error> {
        let grant = principal.grant(Permission::AgentControl)?;
        let now = parameters::of(&self.inner.deps.storage.scope(&grant), kind).await?;
        let next = now.patched(kind, &patch)?;
        self.set(
            principal,
            kind,
            parameters::setting_key(kind),
            next.to_json(),
            "agent.parameters_changed",
        )
        .await
    }

    async fn set(
        &self,
        principal: &Principal,
        kind: AgentKind,
        key: String,
        value: Value,
        verb: &'static str,
    ) -> Result<AgentView, Error> {
        let grant = principal.grant(Permission::AgentControl)?;
        self.inner
            .deps
            .storage
            .unit(&grant, move |u| {
                let (key, value) = (key.clone(), value.clone());
                Box::pin(async move {
                    u.settings().set(&key, &value, None).await?;
                    u.audit()
                        .record(verb, kind.name(), json!({ "value": value }))
                        .await?;
                    let body = json!({ "agent": kind.name() });
                    u.events()
                        .publish(NewEvent {
                            kind: EventKind::AgentChanged,
                            key: kind.name().to_owned(),
                            body,
                        })
                        .await?;
                    Ok(())
                })
            })
            .await?;
        self.wake(principal.org()).await?;
        self.get(principal, kind).await
    }

    /// Ends an actor's life; its supervisor gives it another one.
    ///
    /// # Errors
    /// `agent.path_unknown` for a path the principal may not see or that does not exist.
    pub async fn restart(&self, principal: &Principal, path: &str) -> Result<(), Error> {
        let grant = principal.grant(Permission::AgentControl)?;
        let base = format!("{}/{}/", self.inner.supervisor.path(), principal.org());
        if !path.starts_with(&base) || self.inner.deps.tree.node(path).is_none() {
            let error = domain::Error::not_found(
                "agent.path_unknown",
                format!("there is no actor of yours at {path}"),
            );
            return Err(error.advise("take the path from the agents' tree").into());
        }
        self.inner.deps.tree.kill(path)?;
        let subject = path.to_owned();
        self.inner
            .deps
            .storage
            .unit(&grant, move |u| {
                let subject = subject.clone();
                Box::pin(async move {
                    u.audit()
                        .record("agent.restarted", &subject, json!({}))
                        .await
                })
            })
            .await?;
        Ok(())
    }
}
