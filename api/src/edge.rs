//! Everything put together: the API, its documentation, health, explanations of problems, and the web app.

use std::{ops::Deref, sync::Arc, time::Duration};

use chrono::NaiveDate;
use domain::{clock::Clock, id::OrgId};
use futures::future::BoxFuture;
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request, Response, Route, endpoint::make_sync,
    http::header,
};
use runtime::{doorbell::Doorbell, health::HealthHandle, signals::Signals, tree::Tree};
use storage::{Storage, System};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{CookiePolicy, Passwords},
    door::Door,
    headers, health, permissions,
    problem::{self, Problem},
    spa::WebApp,
    spec,
};

/// Live streams that may be open at once.
const STREAMS: usize = 256;

/// Limits and address of the HTTP side.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Address that people use, such as `https://dc.example.com`; `None` is the address of the listener, over plain HTTP.
    pub public_url: Option<String>,
    /// Largest JSON body, in bytes.
    pub body_limit: usize,
    /// Largest file of one import, in bytes.
    pub import_limit: u64,
    /// Longest time for an answer.
    pub timeout: Duration,
    /// Most connections at once.
    pub connections: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            body_limit: 1024 * 1024,
            import_limit: 2 * 1024 * 1024 * 1024,
            timeout: Duration::from_secs(30),
            connections: 512,
        }
    }
}

/// Where a demo organisation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoState {
    /// The day its clock stands at.
    pub as_of: NaiveDate,
    /// Weeks of market simulated so far.
    pub weeks_simulated: u32,
}

/// Moves a demo organisation's market on. The simulator stands behind it, out of this crate's reach.
pub trait DemoClock: Send + Sync {
    /// Where the organisation stands; `None` when it is not a demo.
    fn state(&self, org: OrgId) -> BoxFuture<'_, Result<Option<DemoState>, domain::Error>>;
    /// Goes `weeks` on and returns the new date.
    fn advance(&self, org: OrgId, weeks: u32) -> BoxFuture<'_, Result<NaiveDate, domain::Error>>;
}

/// What the handlers work with, made by the application.
#[derive(Clone)]
pub struct AppState {
    /// The database.
    pub storage: Storage,
    /// Its door for sign-in and sessions.
    pub system: System,
    /// The agents.
    pub agents: agents::Agents,
    /// Imports.
    pub importer: agents::ingest::Importer,
    /// The live tree of actors.
    pub tree: Tree,
    /// Progress and other lossy signals.
    pub signals: Signals,
    /// Rings when something was committed.
    pub bell: Doorbell,
    /// Whether the program is ready.
    pub health: HealthHandle,
    /// The clock of dates shown to people.
    pub clock: Arc<dyn Clock>,
    /// The market of demo organisations, when there are any.
    pub demo: Option<Arc<dyn DemoClock>>,
    /// Limits and address.
    pub http: HttpConfig,
    /// Version of the software.
    pub version: String,
}

/// The state, and what the edge adds to it.
pub(crate) struct Edge {
    pub(crate) state: AppState,
    pub(crate) cookies: CookiePolicy,
    pub(crate) passwords: Passwords,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) stopping: CancellationToken,
}

/// Shared by all handlers. Only the description of the API is made without a state.
#[derive(Clone)]
pub(crate) struct App(Option<Arc<Edge>>);

impl App {
    /// For describing the API; no handler of it is ever called.
    pub(crate) fn undriven() -> Self {
        Self(None)
    }
}

impl Deref for App {
    type Target = Edge;

    fn deref(&self) -> &Edge {
        self.0
            .as_deref()
            .expect("handlers are only called with a state")
    }
}

/// The whole edge as one endpoint. `is_loopback` says whether it is bound to the loopback address only; elsewhere the
/// session cookie demands HTTPS whatever the configuration says.
pub fn endpoint(
    state: AppState,
    is_loopback: bool,
    stopping: CancellationToken,
) -> impl Endpoint<Output = Response> {
    let is_https = state
        .http
        .public_url
        .as_deref()
        .is_some_and(|url| url.starts_with("https://"));
    let cookies = if is_loopback && !is_https {
        CookiePolicy::Loopback
    } else {
        CookiePolicy::Https
    };
    if !is_loopback && !is_https {
        tracing::warn!(
            "bound beyond the loopback address without HTTPS: browsers will refuse to keep the session"
        );
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let app = App(Some(Arc::new(Edge {
        state,
        cookies,
        passwords: Passwords::new(cores),
        streams: Arc::new(Semaphore::new(STREAMS)),
        stopping,
    })));
    let service = spec::service(&app);
    let door = Door {
        app: app.clone(),
        inner: Arc::new(service.into_endpoint()),
    };
    let documentation = spec::Documentation::new();
    let document = spec::spec();
    let ready = app.clone();
    Route::new()
        .nest(permissions::BASE, door)
        .at(
            "/api/openapi.json",
            make_sync(move |_| {
                Response::builder()
                    .content_type("application/json")
                    .body(document.clone())
            }),
        )
        .at("/api/docs", make_sync(move |_| documentation.page()))
        .at("/health/live", make_sync(|_| health::live()))
        .at("/health/ready", make_sync(move |_| health::ready(&ready)))
        .at("/problems/:code", poem::get(make_sync(explain)))
        .nest_no_strip("/", WebApp)
        .around(move |inner, request| async move {
            let mut response = problem::layer(&inner, request).await;
            headers::secure(&mut response, is_https);
            Ok(response)
        })
}

/// What a problem's code means.
fn explain(request: Request) -> poem::Result<Response> {
    let code = request.raw_path_param("code").unwrap_or_default();
    let text = problem::explanation(code).ok_or_else(Problem::no_route)?;
    Ok(Response::builder()
        .content_type("text/plain; charset=utf-8")
        .header(header::CACHE_CONTROL, "public, max-age=3600")
        .body(format!("{code}\n\n{text}\n")))
}
