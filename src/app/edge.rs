//! The edge: HTTP as an actor, so that it is started last, stopped first, restarted like any other, and seen in the tree.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use agents::{Agents, ingest::Importer};
use api::{AppState, DemoClock, DemoState, HttpConfig};
use chrono::NaiveDate;
use domain::{
    Error, ErrorKind,
    clock::SystemClock,
    event::{Event, EventKind},
    id::OrgId,
};
use futures::{FutureExt, future::BoxFuture};
use runtime::{
    actor::{Behaviour, Context, Failure},
    bus::{Bus, Consumer, ConsumerConfig},
    doorbell::Doorbell,
    health::HealthHandle,
    signals::{Signal, Signals},
    supervisor::{ChildSpec, StopBudget},
    tree::Tree,
};
use serde_json::{Value, json};
use storage::Unit;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::Database;
use crate::{config::Config, demo::DemoMarket};

/// Requests under way get this long to end after the edge was asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// What the edge hands on to the API.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) database: Database,
    pub(super) agents: Agents,
    pub(super) importer: Importer,
    pub(super) signals: Signals,
    pub(super) bell: Doorbell,
    pub(super) health: HealthHandle,
    pub(super) tree: Tree,
    pub(super) demo: Option<DemoMarket>,
    pub(super) address: SocketAddr,
}

impl Parts {
    fn state(&self, http: HttpConfig) -> AppState {
        AppState {
            storage: self.database.storage.clone(),
            system: self.database.system(),
            agents: self.agents.clone(),
            importer: self.importer.clone(),
            tree: self.tree.clone(),
            signals: self.signals.clone(),
            bell: self.bell.clone(),
            health: self.health.clone(),
            clock: Arc::new(SystemClock),
            demo: self
                .demo
                .clone()
                .map(|market| Arc::new(market) as Arc<dyn DemoClock>),
            http,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl DemoClock for DemoMarket {
    fn state(&self, org: OrgId) -> BoxFuture<'_, Result<Option<DemoState>, Error>> {
        async move {
            if org != self.org() {
                return Ok(None);
            }
            let (as_of, weeks_simulated) = DemoMarket::state(self).await?;
            Ok(Some(DemoState {
                as_of,
                weeks_simulated,
            }))
        }
        .boxed()
    }

    fn advance(&self, org: OrgId, weeks: u32) -> BoxFuture<'_, Result<NaiveDate, Error>> {
        async move {
            if org != self.org() {
                return Err(Error::not_found(
                    "demo.none",
                    "this organisation has no simulated market",
                ));
            }
            DemoMarket::advance(self, weeks).await
        }
        .boxed()
    }
}

/// HTTP as a child. Every life accepts on a copy of the one socket, so a restart loses no port.
///
/// # Errors
/// When the socket cannot be shared.
pub(super) fn child(
    config: &Config,
    parts: Parts,
    listener: TcpListener,
) -> Result<ChildSpec, Error> {
    let socket = Arc::new(listener.into_std().map_err(|error| no_socket(&error))?);
    let http = HttpConfig {
        public_url: config.http.public_url.clone(),
        body_limit: usize::try_from(config.http.body_limit).unwrap_or(usize::MAX),
        import_limit: config.http.import_limit,
        timeout: config.http.timeout,
        ..HttpConfig::default()
    };
    let make = move || Edge {
        socket: Arc::clone(&socket),
        parts: parts.clone(),
        http: http.clone(),
        stop: CancellationToken::new(),
        ended: watch::channel(false).0,
    };
    let (spec, _) = ChildSpec::actor("http", 4, make);
    Ok(spec.stop_budget(StopBudget {
        drain: Duration::from_secs(1),
        stop: DRAIN + Duration::from_secs(2),
    }))
}

fn no_socket(error: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "app.port_taken",
        format!("the socket cannot be used: {error}"),
    )
}

/// The actor that serves HTTP.
struct Edge {
    socket: Arc<std::net::TcpListener>,
    parts: Parts,
    http: HttpConfig,
    stop: CancellationToken,
    ended: watch::Sender<bool>,
}

/// What the edge is told.
#[derive(Debug)]
enum EdgeMsg {
    /// The server has ended without being asked.
    Ended(String),
}

impl Behaviour for Edge {
    type Msg = EdgeMsg;
    const KIND: &'static str = "edge";

    async fn start(&mut self, ctx: &Context<EdgeMsg>) -> Result<(), Failure> {
        let listener = TcpListener::from_std(self.socket.try_clone()?)?;
        let state = self.parts.state(self.http.clone());
        let (stop, ended) = (self.stop.clone(), self.ended.clone());
        let serve = async move {
            let result = api::serve(listener, state, stop, DRAIN).await;
            ended.send_replace(true);
            result
        };
        ctx.pipe(serve, |result| {
            EdgeMsg::Ended(match result {
                Ok(Ok(())) => "it was not asked to".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            })
        });
        Ok(())
    }

    async fn handle(&mut self, _ctx: &Context<EdgeMsg>, message: EdgeMsg) -> Result<(), Failure> {
        let EdgeMsg::Ended(why) = message;
        Err(format!("the server ended: {why}").into())
    }

    async fn stop(&mut self, _ctx: &Context<EdgeMsg>) {
        self.stop.cancel();
        // Waits for requests under way; the stop budget bounds it.
        let mut ended = self.ended.subscribe();
        let _ended = ended.wait_for(|ended| *ended).await;
    }

    fn observe(&self) -> Value {
        json!({ "address": self.parts.address.to_string(), "stopping": self.stop.is_cancelled() })
    }
}

/// The consumers of events that belong to the node itself. `agents` is filled once the agents are up.
pub(super) fn consumers(
    bus: &Bus,
    signals: &Signals,
    agents: &Arc<OnceLock<Agents>>,
) -> Vec<ChildSpec> {
    let announcer = Announcer {
        signals: signals.clone(),
        agents: Arc::clone(agents),
    };
    bus.consumer(Arc::new(announcer), ConsumerConfig::default())
        .0
}

/// Tells open pages that something was written, and wakes the agents of an organisation into which another process (an
/// `import` beside this server) brought data. Reading the events is also what puts them in their order.
struct Announcer {
    signals: Signals,
    agents: Arc<OnceLock<Agents>>,
}

impl Consumer for Announcer {
    fn group(&self) -> &str {
        "announcer"
    }

    fn wants(&self, _kind: EventKind) -> bool {
        true
    }

    fn handle<'a>(
        &'a self,
        _unit: &'a Unit,
        _event: &'a Event,
    ) -> BoxFuture<'a, Result<(), storage::Error>> {
        std::future::ready(Ok(())).boxed()
    }

    fn committed(&self, event: &Event) {
        let body = json!({ "position": event.position, "kind": event.kind, "key": event.key });
        self.signals.send(Signal {
            scope: event.org.to_string(),
            topic: "event".to_owned(),
            body,
        });
        if event.kind != EventKind::MetricsIngested {
            return;
        }
        if let Some(agents) = self.agents.get().cloned() {
            let org = event.org;
            tokio::spawn(async move {
                if let Err(error) = agents.wake(org).await {
                    tracing::warn!(%error, %org, "its agents did not wake; the next change tries again");
                }
            });
        }
    }
}
