//! A running node: everything started in order, and stopped in reverse.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use agents::{
    Agents, Deps,
    ingest::{INGEST_QUEUE, ImportJob, Importer},
};
use domain::{
    Error, ErrorKind,
    clock::{Clock, SystemClock},
};
use runtime::{
    bus::Bus,
    compute::{Compute, PoolSpec},
    doorbell::{Doorbell, Sweep},
    health::{Check, HealthHandle, Monitor, MonitorConfig},
    host::{Host, RestartSink},
    jobs::{LeaseSweeper, Worker, WorkerConfig},
    schedules::Scheduler,
    shutdown::Root,
    signals::Signals,
    supervisor::{ChildSpec, RestartRecord, Strategy, SupervisorSpec},
};
use storage::System;
use tokio::net::TcpListener;

use super::{Database, edge, importer};
use crate::{
    cli::{Exit, Failure, Outcome},
    config::Config,
    demo::DemoMarket,
};

/// How long the lease of an import's job lasts without a heartbeat. A server that was killed holds its imports up for no
/// longer than this.
const IMPORT_LEASE: Duration = Duration::from_secs(3);

/// Tasks that may wait for a compute pool.
const COMPUTE_QUEUE: usize = 64;

/// Signals kept for a slow listener.
const SIGNALS: usize = 1024;

/// A node that is up.
pub(crate) struct Node {
    /// The agents.
    pub(crate) agents: Agents,
    /// Where HTTP is served.
    pub(crate) address: SocketAddr,
    root: Root,
    health: HealthHandle,
    stop: Duration,
}

impl Node {
    /// Starts everything on an open database.
    ///
    /// # Errors
    /// `app.port_taken`; `runtime.start_failed`.
    pub(crate) async fn start(config: &Config, database: &Database) -> Result<Self, Failure> {
        // The port first: a program that cannot be reached should not begin to work.
        let listener = TcpListener::bind(config.http.listen).await.map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "app.port_taken",
                format!("cannot listen on {}: {error}", config.http.listen),
            )
            .advise("choose another one with --listen; port 0 takes a free one")
        })?;
        let address = listener
            .local_addr()
            .map_err(|error| Error::new(ErrorKind::Unavailable, "app.port_taken", format!("no address: {error}")))?;
        let system = database.system();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let bell = match &config.redis {
            Some(url) => Doorbell::redis(url, "digi-cadence")?,
            None => Doorbell::local(),
        };
        let bus = Bus::new(database.storage.clone(), system.clone(), bell.clone());
        let signals = Signals::new(SIGNALS);
        let importer = importer(&database.storage, config)?;
        let (compute, pools) = Compute::new(&pools(config));
        let seed = clock.now().timestamp_micros().unsigned_abs();
        let host = Host::new(&config.node.name, Arc::clone(&clock), seed)
            .with_sink(Arc::new(StoredRestarts { system: system.clone() }));
        let sweeper = LeaseSweeper::child("sweeper", system.clone(), bell.clone(), Sweep::default());
        let fixed = SupervisorSpec::new(Strategy::RestForOne)
            .child(group("storage", vec![sweeper]))
            .child(group("bus", edge::consumers(&bus, &signals)))
            .child(group("compute", pools));
        let root = Root::start(host, fixed).await?;
        let deps = Deps::new(database.storage.clone(), &root, compute, signals.clone(), agents::Config::default());
        let agents = Agents::start(deps).await?;
        let up = root.supervisor();
        up.start_child(group("runs", vec![imports(config, &system, &bell, importer.clone())])).await?;
        let (scheduler, _) =
            Scheduler::child("scheduler", database.storage.clone(), system.clone(), bell.clone(), Sweep::default());
        up.start_child(group("schedules", vec![scheduler])).await?;
        let (monitor, health) = Monitor::child("health", MonitorConfig::default(), checks(database, bell.clone()));
        up.start_child(group("monitor", vec![monitor])).await?;
        let demo = DemoMarket::beside(database, &importer, &config.data_dir).await?;
        let parts = edge::Parts {
            database: database.clone(),
            agents: agents.clone(),
            importer,
            signals,
            bell,
            health: health.clone(),
            tree: root.tree().clone(),
            demo,
            address,
        };
        up.start_child(group("edge", vec![edge::child(config, parts, listener)?])).await?;
        health.look_now();
        wake_everybody(&system, &agents).await;
        tracing::info!(%address, database = database.storage.backend().name(), "ready");
        Ok(Self { agents, address, root, health, stop: config.node.stop })
    }

    /// Runs until Ctrl-C, SIGTERM, or until the root supervisor gives up.
    ///
    /// # Errors
    /// When it ended without being asked, or something had to be cut off.
    pub(crate) async fn until_stopped(self) -> Outcome {
        let asked = tokio::select! {
            name = asked_to_stop() => Some(name),
            () = self.root.ended() => None,
        };
        match asked {
            Some(signal) => {
                tracing::info!(signal, "stopping");
                self.stop().await
            }
            None => Err(Failure::new(Exit::Defect, "the root supervisor gave up; the log says why")),
        }
    }

    /// Stops everything in reverse order of its start.
    ///
    /// # Errors
    /// When something had to be cut off.
    pub(crate) async fn stop(self) -> Outcome {
        let report = self.root.shutdown(self.stop).await;
        tracing::info!(elapsed_ms = report.elapsed_ms, orderly = report.was_orderly, "stopped");
        if report.was_orderly {
            Ok(())
        } else {
            Err(Failure::new(Exit::Stopped, format!("cut off after {} ms: {}", report.elapsed_ms, report.forced.join(", "))))
        }
    }

    /// Whether every required check passes.
    pub(crate) fn is_ready(&self) -> bool {
        self.health.readiness().is_ready
    }
}

/// A supervisor of its own for each part, so that one part's restarts do not count against another's.
fn group(name: &str, children: Vec<ChildSpec>) -> ChildSpec {
    let spec = children.into_iter().fold(SupervisorSpec::new(Strategy::OneForOne), SupervisorSpec::child);
    ChildSpec::supervisor(name, spec).0
}

/// Analysis and optimisation share the processor; each role this node takes has a pool.
fn pools(config: &Config) -> Vec<PoolSpec> {
    config.node.roles.iter().map(|role| PoolSpec::new(role.as_str(), config.node.compute_threads, COMPUTE_QUEUE)).collect()
}

fn imports(config: &Config, system: &System, bell: &Doorbell, importer: Importer) -> ChildSpec {
    let mut worker = WorkerConfig::new(INGEST_QUEUE, &config.node.name).parallel(2);
    worker.lease = IMPORT_LEASE;
    Worker::child(worker, system.clone(), bell.clone(), Arc::new(ImportJob::new(importer))).0
}

fn checks(database: &Database, bell: Doorbell) -> Vec<Check> {
    let storage = database.storage.clone();
    vec![
        Check::required("database", move || {
            let storage = storage.clone();
            async move { storage.ping().await.map_err(|error| error.to_string()) }
        }),
        Check::optional("doorbell", move || {
            let degraded = bell.is_degraded();
            async move {
                if degraded { Err("redis is away; work is found by sweeping".to_owned()) } else { Ok(()) }
            }
        }),
    ]
}

/// Work may have been left by a node that died: every organisation's agents look once.
async fn wake_everybody(system: &System, agents: &Agents) {
    let organisations = match system.organisations().list().await {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(%error, "the organisations could not be listed; the agents' sweep finds what is left");
            return;
        }
    };
    for organisation in organisations {
        if let Err(error) = agents.wake(organisation.id).await {
            tracing::warn!(%error, organisation = %organisation.id, "its agents did not wake; their sweep tries again");
        }
    }
}

async fn asked_to_stop() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => "interrupt",
                _ = terminate.recv() => "terminate",
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be heard");
            // Without a handler the default action of both signals ends the program, which loses nothing durable.
            std::future::pending().await
        }
    }
}

/// Keeps the supervisors' decisions in the database.
struct StoredRestarts {
    system: System,
}

impl RestartSink for StoredRestarts {
    fn record(&self, record: &RestartRecord) {
        let system = self.system.clone();
        let (path, exit) = (record.path.clone(), record.exit.clone());
        tokio::spawn(async move {
            let class = serde_json::json!(exit.class).as_str().unwrap_or_default().to_owned();
            let reason = exit.reason.unwrap_or_default();
            if let Err(error) = system.actor_restarts().record(&path, &class, &reason).await {
                tracing::warn!(%error, path, "a restart was not recorded");
            }
        });
    }
}
