//! Everything that decides: the four agents as actor trees, the arbitrator, what becomes of a recommendation, and ingest.
//!
//! ```text
//! agents                              supervisor, one-for-one; its children are started on demand
//! ├─ dispatcher                       commits of this process and the sweep → wakes the organisation concerned
//! └─ <organisation>                   see `organisation.rs`
//!     ├─ arbitrator
//!     ├─ metrics · forecasting · strategy · optimisation
//!     │    ├─ mailbox
//!     │    └─ cycle
//!     ├─ applier · measurer · watcher
//! ```
//!
//! People and programs use [`Agents`]; no reference to an actor leaves this crate. Decisions, plans and reads go to the
//! database directly and work while an agent is down.

mod agent;
pub mod analysis;
mod analyst;
pub mod applier;
pub mod arbitrator;
mod context;
pub mod decisions;
mod dispatcher;
mod error;
#[cfg(test)]
mod fixture;
mod forecasting;
pub mod ingest;
mod life;
pub mod measurer;
mod metrics;
mod observe;
mod optimisation;
mod organisation;
pub mod parameters;
pub mod plans;
pub mod portfolio;
mod proposal;
mod strategy;
mod view;

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    access::{AgentKind, Permission, Principal},
    event::{EventKind, NewEvent},
    id::{OrgId, RunId, ScheduleId},
    page::PageRequest,
    recommendation::State,
    run::{Run, RunState, Trigger},
    schedule::{Overlap, Schedule},
};
use runtime::{
    compute::Compute,
    mailbox::BoundedRef,
    shutdown::Root,
    signals::Signals,
    supervisor::{ChildSpec, Strategy, SupervisorRef, SupervisorSpec},
    tree::{NodeState, Tree},
};
use serde::Serialize;
use serde_json::{Value, json};
use storage::{Filter, Scope, Storage};

pub use error::Error;

use crate::{
    agent::DESKS, analyst::Analyst, context::Ctx, organisation::Organisation,
    parameters::Parameters,
};

/// Settings of the agents.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Seed of everything random in the analyses.
    pub seed: u64,
    /// A run older than this no longer holds the arbitrator back.
    pub cycle_timeout: Duration,
    /// How often approvals are looked at for the end of their undo window.
    pub apply_sweep: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 7,
            cycle_timeout: Duration::from_secs(600),
            apply_sweep: Duration::from_secs(1),
        }
    }
}

/// What the agents are started with.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The database.
    pub storage: Storage,
    /// The supervisor under which the subtree `agents` is put.
    pub parent: SupervisorRef,
    /// The live tree, for reading and for restarting an actor.
    pub tree: Tree,
    /// The compute pools; the roles `analysis` and `optimisation` are used.
    pub compute: Compute,
    /// Where progress is told.
    pub signals: Signals,
    /// Settings.
    pub config: Config,
}

impl Deps {
    /// Dependencies under a running root.
    pub fn new(
        storage: Storage,
        root: &Root,
        compute: Compute,
        signals: Signals,
        config: Config,
    ) -> Self {
        Self {
            storage,
            parent: root.supervisor().clone(),
            tree: root.tree().clone(),
            compute,
            signals,
            config,
        }
    }
}

/// Where an agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// It waits for something to change.
    Idle,
    /// A cycle is under way.
    Running,
    /// A person paused it.
    Paused,
    /// Its last cycle failed.
    Failed,
    /// Its organisation's actors are not up; the next change or call starts them.
    Asleep,
}

/// What became of an agent's recommendations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Track {
    /// Applied, measured or not.
    pub applied: u32,
    /// Measured: as promised.
    pub verified: u32,
    /// Measured: not as promised.
    pub refuted: u32,
    /// Measured: cannot be told.
    pub inconclusive: u32,
}

/// An agent as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentView {
    /// Which one.
    pub kind: AgentKind,
    /// Its name for people.
    pub title: String,
    /// What it does, in a sentence or two.
    pub description: String,
    /// Where it stands.
    pub status: AgentStatus,
    /// Its newest run.
    pub last_run: Option<Run>,
    /// When its schedule fires next.
    pub next_at: Option<DateTime<Utc>>,
    /// Recommendations of its that wait for a decision.
    pub open_recommendations: u32,
    /// What became of those that were applied.
    pub track: Track,
    /// Its thresholds.
    pub parameters: Value,
}

struct Inner {
    deps: Deps,
    supervisor: SupervisorRef,
    analyst: Analyst,
    organisations: RwLock<BTreeMap<OrgId, Organisation>>,
    /// One organisation is started at a time, so that two callers never start the same one.
    starting: tokio::sync::Mutex<()>,
}

/// The handle to the agents. Cheap to clone.
#[derive(Clone)]
pub struct Agents {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agents")
            .field("supervisor", &self.inner.supervisor.path())
            .finish_non_exhaustive()
    }
}

/// How often somebody who waits for idle agents looks.
const IDLE_POLL: Duration = Duration::from_millis(40);

impl Agents {
    /// Puts the subtree `agents` up. Organisations are started when something concerns them.
    ///
    /// # Errors
    /// `runtime.start_failed`, `runtime.duplicate_actor`.
    pub async fn start(deps: Deps) -> Result<Self, Error> {
        let (spec, supervisor) =
            ChildSpec::supervisor("agents", SupervisorSpec::new(Strategy::OneForOne));
        let analyst = Analyst::new(deps.storage.clone(), deps.compute.clone(), deps.config.seed);
        let inner = Inner {
            supervisor,
            analyst,
            organisations: RwLock::default(),
            starting: tokio::sync::Mutex::new(()),
            deps,
        };
        let agents = Self {
            inner: Arc::new(inner),
        };
        agents.inner.deps.parent.start_child(spec).await?;
        let weak = Arc::downgrade(&agents.inner);
        let (dispatcher, bell): (ChildSpec, BoundedRef<dispatcher::Msg>) =
            ChildSpec::actor("dispatcher", dispatcher::CAPACITY, move || {
                dispatcher::Dispatcher::new(weak.clone())
            });
        agents.inner.supervisor.start_child(dispatcher).await?;
        agents
            .inner
            .deps
            .storage
            .on_commit(dispatcher::doorbell(bell));
        Ok(agents)
    }

    /// Starts an organisation's actors unless they are up, and makes them look.
    ///
    /// # Errors
    /// When the supervisor cannot start them, or the database cannot be reached.
    pub async fn wake(&self, org: OrgId) -> Result<(), Error> {
        self.inner.up(org).await?.wake();
        Ok(())
    }

    /// The four agents.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self, principal: &Principal) -> Result<Vec<AgentView>, Error> {
        let grant = principal.grant(Permission::AgentRead)?;
        let scope = self.inner.deps.storage.scope(&grant);
        let mut views = Vec::with_capacity(DESKS.len());
        for kind in AgentKind::ALL {
            views.push(self.view(&scope, kind).await?);
        }
        Ok(views)
    }

    /// One agent.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn get(&self, principal: &Principal, kind: AgentKind) -> Result<AgentView, Error> {
        let grant = principal.grant(Permission::AgentRead)?;
        self.view(&self.inner.deps.storage.scope(&grant), kind)
            .await
    }

    async fn view(&self, scope: &Scope, kind: AgentKind) -> Result<AgentView, Error> {
        let desk = agent::desk(kind);
        let newest = scope
            .runs()
            .list(
                Some(kind),
                &PageRequest {
                    limit: 1,
                    after: None,
                },
            )
            .await?
            .rows
            .into_iter()
            .next();
        let under_way = scope
            .runs()
            .unfinished()
            .await?
            .iter()
            .any(|run| run.agent == kind && run.state == RunState::Running);
        let is_up = self
            .inner
            .organisations
            .read()
            .expect("no thread panics while it holds the list")
            .contains_key(&scope.org());
        let status = if is_paused(scope, kind).await? {
            AgentStatus::Paused
        } else if under_way {
            AgentStatus::Running
        } else if newest
            .as_ref()
            .is_some_and(|run| run.state == RunState::Failed)
        {
            AgentStatus::Failed
        } else if is_up {
            AgentStatus::Idle
        } else {
            AgentStatus::Asleep
        };
        let mine = scope
            .recommendations()
            .all(&Filter {
                agent: Some(kind),
                ..Filter::default()
            })
            .await?;
        let count = |is: &dyn Fn(State) -> bool| {
            u32::try_from(mine.iter().filter(|r| is(r.state)).count()).unwrap_or(u32::MAX)
        };
        let schedules = scope.schedules().list().await?;
        Ok(AgentView {
            kind,
            title: desk.title.to_owned(),
            description: desk.description.to_owned(),
            status,
            last_run: newest,
            next_at: schedules
                .iter()
                .filter(|s| s.agent == kind && !s.paused)
                .filter_map(|s| s.next_at)
                .min(),
            open_recommendations: count(&|s| s.is_open()),
            track: Track {
                applied: count(&|s| {
                    matches!(
                        s,
                        State::Applied
                            | State::Measuring
                            | State::Verified
                            | State::Refuted
                            | State::Inconclusive
                    )
                }),
                verified: count(&|s| s == State::Verified),
                refuted: count(&|s| s == State::Refuted),
                inconclusive: count(&|s| s == State::Inconclusive),
            },
            parameters: parameters_of(scope, kind).await?.to_json(),
        })
    }

    /// The live tree as the principal may see it: other organisations' actors are left out.
    ///
    /// # Errors
    /// `access.forbidden`.
    pub fn tree(&self, principal: &Principal) -> Result<Vec<NodeState>, Error> {
        principal.grant(Permission::AgentRead)?;
        let nodes = self.inner.deps.tree.snapshot();
        Ok(nodes
            .into_iter()
            .filter(|node| self.is_visible(principal, &node.path))
            .collect())
    }

    fn is_visible(&self, principal: &Principal, path: &str) -> bool {
        let base = self.inner.supervisor.path();
        let Some(below) = path
            .strip_prefix(base)
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return true;
        };
        let first = below.split('/').next().unwrap_or_default();
        first == "dispatcher" || first == principal.org().to_string()
    }

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
        self.set(principal, kind, paused_key(kind), json!(paused), verb)
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
        let now = parameters_of(&self.inner.deps.storage.scope(&grant), kind).await?;
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

    /// Waits until an organisation's agents have nothing left to do: no run, no draft, no approval that is due.
    ///
    /// # Errors
    /// `agent.busy` when that took longer than a cycle may; when the database cannot be reached.
    pub async fn wait_idle(&self, org: OrgId) -> Result<(), Error> {
        let up = self.inner.up(org).await?;
        let grant = Principal::system(org).grant(Permission::RunWrite)?;
        let scope = self.inner.deps.storage.scope(&grant);
        let working = async {
            while !self.inner.is_idle(&scope).await? {
                up.wake();
                tokio::time::sleep(IDLE_POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(self.inner.deps.config.cycle_timeout, working)
            .await
            .unwrap_or_else(|_| {
                let message = "the agents are still at work after the time a cycle may take";
                Err(
                    domain::Error::new(domain::ErrorKind::Timeout, "agent.busy", message)
                        .advise("look at the agents' tree for what they do")
                        .into(),
                )
            })
    }

    /// People's decisions.
    pub fn decisions(&self) -> decisions::Decisions {
        decisions::Decisions {
            storage: self.inner.deps.storage.clone(),
            plans: self.plans(),
        }
    }

    /// Plans and what-ifs.
    pub fn plans(&self) -> plans::Plans {
        plans::Plans::new(self.inner.deps.storage.clone(), self.inner.analyst.clone())
    }

    /// The portfolio at a glance.
    pub fn portfolio(&self) -> portfolio::Portfolios {
        portfolio::Portfolios::new(self.inner.deps.storage.clone(), self.clone())
    }

    /// Stored results of the analyses.
    pub fn analysis(&self) -> analysis::Analysis {
        analysis::Analysis::new(self.inner.deps.storage.clone(), self.inner.analyst.clone())
    }
}

impl Inner {
    /// The organisation's actors, started if they are not up.
    async fn up(&self, org: OrgId) -> Result<Organisation, Error> {
        let path = format!("{}/{org}", self.supervisor.path());
        let known = || {
            let up = self
                .organisations
                .read()
                .expect("no thread panics while it holds the list")
                .get(&org)
                .cloned();
            // The supervisor loses its children when it is restarted itself; then they are started again.
            up.filter(|_| self.deps.tree.node(&path).is_some())
        };
        if let Some(up) = known() {
            return Ok(up);
        }
        let _starting = self.starting.lock().await;
        if let Some(up) = known() {
            return Ok(up);
        }
        self.ensure_schedules(org).await?;
        let ctx = Ctx {
            org,
            storage: self.deps.storage.clone(),
            analyst: self.analyst.clone(),
            signals: self.deps.signals.clone(),
            config: self.deps.config.clone(),
        };
        let (spec, up) = organisation::subtree(Arc::new(ctx));
        match self.supervisor.start_child(spec).await {
            Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        self.organisations
            .write()
            .expect("no thread panics while it holds the list")
            .insert(org, up.clone());
        Ok(up)
    }

    /// Every agent has a schedule of its own; one that a person changed or paused is left alone.
    async fn ensure_schedules(&self, org: OrgId) -> Result<(), Error> {
        let grant = Principal::system(org).grant(Permission::ScheduleWrite)?;
        let time_zone = self
            .deps
            .storage
            .scope(&grant)
            .organisations()
            .get()
            .await?
            .time_zone;
        let now = self.deps.storage.now().await?;
        let mut wanted = Vec::new();
        for desk in DESKS {
            let mut schedule = Schedule {
                id: ScheduleId::derive(&[&org.to_string(), desk.kind.name()]),
                version: 1,
                agent: desk.kind,
                cron: desk.cron.to_owned(),
                time_zone: time_zone.clone(),
                overlap: Overlap::Skip,
                catch_up_seconds: 6 * 3600,
                paused: false,
                next_at: None,
                last_at: None,
            };
            schedule.next_at = next_tick(&schedule, now)?;
            wanted.push(schedule);
        }
        self.deps
            .storage
            .unit(&grant, move |u| {
                let wanted = wanted.clone();
                Box::pin(async move {
                    let known = u.schedules().list().await?;
                    for schedule in wanted
                        .iter()
                        .filter(|s| !known.iter().any(|k| k.agent == s.agent))
                    {
                        u.schedules().create(schedule).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    /// Looked at in the order in which work flows, so that nothing slips past between two looks: an event becomes a run in
    /// one unit, a run its drafts in one unit.
    async fn is_idle(&self, scope: &Scope) -> Result<bool, Error> {
        let seen = scope.cursors().get(organisation::GROUP).await?;
        if !scope.events().after(seen, 1).await?.is_empty() {
            return Ok(false);
        }
        for run in scope.runs().unfinished().await? {
            if run.state == RunState::Running || !is_paused(scope, run.agent).await? {
                return Ok(false);
            }
        }
        let drafts = Filter {
            states: vec![State::Draft, State::Applying],
            ..Filter::default()
        };
        Ok(scope.recommendations().all(&drafts).await?.is_empty()
            && scope.recommendations().due(1).await?.is_empty())
    }
}

fn next_tick(schedule: &Schedule, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Error> {
    let timetable = runtime::schedules::Timetable::of(schedule)?;
    Ok(timetable.next_fires(now, 1).into_iter().next())
}

fn paused_key(kind: AgentKind) -> String {
    format!("agents.{}.paused", kind.name())
}

/// Whether a person paused an agent.
pub(crate) async fn is_paused(scope: &Scope, kind: AgentKind) -> Result<bool, Error> {
    Ok(scope
        .settings()
        .get::<bool>(&paused_key(kind))
        .await?
        .is_some_and(|setting| setting.value))
}

/// An agent's thresholds as they are set.
pub(crate) async fn parameters_of(scope: &Scope, kind: AgentKind) -> Result<Parameters, Error> {
    let stored = scope
        .settings()
        .get::<Value>(&parameters::setting_key(kind))
        .await?;
    Ok(Parameters::stored(
        kind,
        stored.as_ref().map(|setting| &setting.value),
    ))
}

#[cfg(test)]
mod tests;
