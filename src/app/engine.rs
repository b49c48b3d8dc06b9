//! The part of a node that thinks: supervision, compute and the agents, without HTTP and without schedules.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use agents::{Agents, Deps};
use domain::clock::{Clock, SystemClock};
use runtime::{
    bus::Bus,
    compute::{Compute, PoolSpec},
    doorbell::{Doorbell, Sweep},
    host::Host,
    jobs::LeaseSweeper,
    restarts::RestartKeeper,
    shutdown::Root,
    signals::Signals,
    supervisor::{ChildSpec, Strategy, SupervisorSpec},
};
use storage::{Storage, System};

use super::{Database, edge};
use crate::{
    config::Config,
    exit::{Exit, Failure, Outcome},
};

/// Tasks that may wait for a compute pool.
const COMPUTE_QUEUE: usize = 64;

/// Signals kept for a slow listener.
const SIGNALS: usize = 1024;

/// How long transactions that are under way may take to end, once nobody starts new ones.
const LAST_TRANSACTIONS: Duration = Duration::from_secs(5);

/// The thinking part of a node.
pub(crate) struct Engine {
    /// The agents.
    pub(crate) agents: Agents,
    pub(super) root: Root,
    storage: Storage,
    pub(super) system: System,
    pub(super) bell: Doorbell,
    pub(super) signals: Signals,
}

impl Engine {
    /// Starts it on an open database.
    ///
    /// # Errors
    /// `runtime.start_failed`.
    pub(crate) async fn start(config: &Config, database: &Database) -> Result<Self, Failure> {
        let system = database.system();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let bell = match &config.redis {
            Some(url) => Doorbell::redis(url, "digi-cadence")?,
            None => Doorbell::local(),
        };
        let bus = Bus::new(database.storage.clone(), system.clone(), bell.clone());
        let signals = Signals::new(SIGNALS);
        let woken = Arc::new(OnceLock::new());
        let (compute, pools) = Compute::new(&pools(config));
        let seed = clock.now().timestamp_micros().unsigned_abs();
        let (keeper, sink) = RestartKeeper::child("restarts", system.clone());
        let host = Host::new(&config.node.name, clock, seed).with_sink(sink);
        let sweeper =
            LeaseSweeper::child("sweeper", system.clone(), bell.clone(), Sweep::default());
        let fixed = SupervisorSpec::new(Strategy::RestForOne)
            .child(group("storage", vec![keeper, sweeper]))
            .child(group("bus", edge::consumers(&bus, &signals, &woken)))
            .child(group("compute", pools));
        let root = Root::start(host, fixed).await?;
        let deps = Deps::new(
            database.storage.clone(),
            &root,
            compute,
            signals.clone(),
            agents::Config::default(),
        );
        let agents = Agents::start(deps).await?;
        woken.get_or_init(|| agents.clone());
        Ok(Self {
            agents,
            root,
            storage: database.storage.clone(),
            system,
            bell,
            signals,
        })
    }

    /// Stops everything in reverse order of its start, within the settings' time, and closes the database once the
    /// transactions under way have ended: a unit of work outlives the actor that asked for it.
    ///
    /// # Errors
    /// When something had to be cut off.
    pub(crate) async fn stop(&self, config: &Config) -> Outcome {
        let report = self.root.shutdown(config.node.stop).await;
        match tokio::time::timeout(LAST_TRANSACTIONS, self.storage.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the database was not closed in order"),
            Err(_) => tracing::warn!("a transaction did not end in time and is rolled back"),
        }
        tracing::info!(
            elapsed_ms = report.elapsed_ms,
            orderly = report.was_orderly,
            "stopped"
        );
        if report.was_orderly {
            Ok(())
        } else {
            let message = format!(
                "cut off after {} ms: {}",
                report.elapsed_ms,
                report.forced.join(", ")
            );
            Err(Failure::new(Exit::Stopped, message))
        }
    }
}

/// A supervisor of its own for each part, so that one part's restarts do not count against another's.
pub(super) fn group(name: &str, children: Vec<ChildSpec>) -> ChildSpec {
    let spec = children.into_iter().fold(
        SupervisorSpec::new(Strategy::OneForOne),
        SupervisorSpec::child,
    );
    ChildSpec::supervisor(name, spec).0
}

/// Analysis and optimisation share the processor; each role this node takes has a pool.
fn pools(config: &Config) -> Vec<PoolSpec> {
    config
        .node
        .roles
        .iter()
        .map(|role| PoolSpec::new(role.as_str(), config.node.compute_threads, COMPUTE_QUEUE))
        .collect()
}
