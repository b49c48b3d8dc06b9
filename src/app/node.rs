//! A running node: the engine, the workers, the schedules and the edge, started in order and stopped in reverse.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use agents::{
    Agents,
    ingest::{INGEST_QUEUE, ImportJob, Importer},
};
use domain::{Error, ErrorKind};
use runtime::{
    doorbell::{Doorbell, Sweep},
    health::{Check, Monitor, MonitorConfig},
    jobs::{Worker, WorkerConfig},
    schedules::Scheduler,
    supervisor::ChildSpec,
};
use storage::System;
use tokio::net::TcpListener;

use super::{
    Database, edge,
    engine::{Engine, group},
    importer,
};
use crate::{
    config::Config,
    demo::DemoMarket,
    exit::{Exit, Failure, Outcome},
};

/// How long the lease of an import's job lasts without a heartbeat. A server that was killed holds its imports up for no
/// longer than this.
const IMPORT_LEASE: Duration = Duration::from_secs(3);

/// A node that is up.
pub(crate) struct Node {
    /// Where HTTP is served.
    pub(crate) address: SocketAddr,
    engine: Engine,
    config: Config,
}

impl Node {
    /// Starts everything on an open database.
    ///
    /// # Errors
    /// `app.port_taken`; `runtime.start_failed`.
    pub(crate) async fn start(config: &Config, database: &Database) -> Result<Self, Failure> {
        // The port first: a program that cannot be reached should not begin to work.
        let listener = TcpListener::bind(config.http.listen)
            .await
            .map_err(|error| {
                Error::new(
                    ErrorKind::Unavailable,
                    "app.port_taken",
                    format!("cannot listen on {}: {error}", config.http.listen),
                )
                .advise("choose another one with --listen; port 0 takes a free one")
            })?;
        let address = listener.local_addr().map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "app.port_taken",
                format!("no address: {error}"),
            )
        })?;
        let engine = Engine::start(config, database).await?;
        let Engine {
            agents,
            root,
            system,
            bell,
            signals,
            ..
        } = &engine;
        let importer = importer(&database.storage, config)?;
        let up = root.supervisor();
        up.start_child(group(
            "runs",
            vec![imports(config, system, bell, importer.clone())],
        ))
        .await?;
        let (scheduler, _) = Scheduler::child(
            "scheduler",
            database.storage.clone(),
            system.clone(),
            bell.clone(),
            Sweep::default(),
        );
        up.start_child(group("schedules", vec![scheduler])).await?;
        let (monitor, health) = Monitor::child(
            "health",
            MonitorConfig::default(),
            checks(database, bell.clone()),
        );
        up.start_child(group("monitor", vec![monitor])).await?;
        let demo = DemoMarket::beside(database, &importer, &config.data_dir).await?;
        let parts = edge::Parts {
            database: database.clone(),
            agents: agents.clone(),
            importer,
            signals: signals.clone(),
            bell: bell.clone(),
            health: health.clone(),
            tree: root.tree().clone(),
            demo,
            address,
        };
        up.start_child(group("edge", vec![edge::child(config, parts, listener)?]))
            .await?;
        health.look_now();
        wake_everybody(system, agents).await;
        tracing::info!(%address, database = database.storage.backend().name(), "ready");
        Ok(Self {
            address,
            engine,
            config: config.clone(),
        })
    }

    /// The agents.
    pub(crate) fn agents(&self) -> &Agents {
        &self.engine.agents
    }

    /// Runs until Ctrl-C, SIGTERM, or until the root supervisor gives up.
    ///
    /// # Errors
    /// When it ended without being asked, or something had to be cut off.
    pub(crate) async fn until_stopped(self) -> Outcome {
        let asked = tokio::select! {
            name = asked_to_stop() => Some(name),
            () = self.engine.root.ended() => None,
        };
        match asked {
            Some(signal) => {
                tracing::info!(signal, "stopping");
                self.stop().await
            }
            None => Err(Failure::new(
                Exit::Defect,
                "the root supervisor gave up; the log says why",
            )),
        }
    }

    /// Stops everything in reverse order of its start.
    ///
    /// # Errors
    /// When something had to be cut off.
    pub(crate) async fn stop(self) -> Outcome {
        self.engine.stop(&self.config).await
    }
}

fn imports(config: &Config, system: &System, bell: &Doorbell, importer: Importer) -> ChildSpec {
    let mut worker = WorkerConfig::new(INGEST_QUEUE, &config.node.name).parallel(2);
    worker.lease = IMPORT_LEASE;
    Worker::child(
        worker,
        system.clone(),
        bell.clone(),
        Arc::new(ImportJob::new(importer)),
    )
    .0
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
                if degraded {
                    Err("redis is away; work is found by sweeping".to_owned())
                } else {
                    Ok(())
                }
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

/// Waits for Ctrl-C or SIGTERM and says which it was.
pub(crate) async fn asked_to_stop() -> &'static str {
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
