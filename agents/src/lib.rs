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
mod calendar;
mod context;
mod control;
pub mod decisions;
mod dispatcher;
mod error;
#[cfg(test)]
mod fixture;
mod forecasting;
mod idle;
pub mod ingest;
mod life;
pub mod measurer;
mod metrics;
mod money;
mod observe;
mod on_demand;
mod optimisation;
mod organisation;
pub mod parameters;
pub mod plans;
pub mod portfolio;
mod pricing;
mod proposal;
mod status;
mod strategy;
mod view;

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use domain::id::OrgId;
use runtime::{
    compute::Compute,
    mailbox::BoundedRef,
    shutdown::Root,
    signals::Signals,
    supervisor::{ChildSpec, Strategy, SupervisorRef, SupervisorSpec},
    tree::Tree,
};
use storage::Storage;

pub use error::Error;
pub use status::{AgentStatus, AgentView, Track};

use crate::{analyst::Analyst, organisation::Organisation};

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

#[cfg(test)]
mod tests;
