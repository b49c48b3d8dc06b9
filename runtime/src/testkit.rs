//! For tests, ours and those of the crates above: waiting for a state instead of sleeping, a probe actor, and the check
//! that nothing was left behind.

use std::{sync::Arc, time::Duration};

use domain::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    actor::{Behaviour, Context, Failure},
    host::Host,
    mailbox::Reply,
    tree::{NodeState, Status, Tree},
};

/// How long a wait may take before the test fails. Generous: it is only reached by a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A host with the machine's clock and a fixed seed.
pub fn host(runtime_id: &str) -> Host {
    Host::new(runtime_id, Arc::new(SystemClock), 7)
}

/// A host with `clock` and a fixed seed.
pub fn host_at(runtime_id: &str, clock: Arc<dyn Clock>) -> Host {
    Host::new(runtime_id, clock, 7)
}

/// Waits until the whole tree satisfies `wanted`; woken by changes of the tree.
///
/// # Panics
/// After [`PATIENCE`], with the tree as it is.
pub async fn wait_until(tree: &Tree, wanted: impl Fn(&[NodeState]) -> bool) -> Vec<NodeState> {
    let mut changes = tree.changes();
    let waiting = async {
        loop {
            changes.borrow_and_update();
            let snapshot = tree.snapshot();
            if wanted(&snapshot) {
                return snapshot;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(snapshot) => snapshot,
        Err(_) => panic!("the tree never became as wanted: {:#?}", tree.snapshot()),
    }
}

/// Waits until the actor at `path` satisfies `wanted`.
///
/// # Panics
/// As [`wait_until`].
pub async fn wait_for_node(
    tree: &Tree,
    path: &str,
    wanted: impl Fn(&NodeState) -> bool,
) -> NodeState {
    let found = wait_until(tree, |nodes| {
        nodes.iter().any(|node| node.path == path && wanted(node))
    })
    .await;
    found
        .into_iter()
        .find(|node| node.path == path)
        .expect("it was there a moment ago")
}

/// Fails when an actor of the tree has not ended or still holds messages.
///
/// # Panics
/// When something was left behind.
pub fn assert_nothing_left(tree: &Tree) {
    let left: Vec<_> = tree
        .snapshot()
        .into_iter()
        .filter(|node| {
            !matches!(node.status, Status::Stopped | Status::Failed) || node.mailbox_len > 0
        })
        .collect();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// What a [`Probe`] is told.
#[derive(Debug)]
pub enum ProbeMsg {
    /// Count one.
    Poke,
    /// Say how many were counted in this life.
    Count(Reply<u64>),
    /// Fail with this text.
    Fail(String),
    /// Panic with this text.
    Panic(String),
    /// Never end, but await.
    Hang,
    /// Wait for this to resolve.
    WaitFor(tokio::sync::oneshot::Receiver<()>),
    /// End normally.
    Finish,
}

/// An actor that does as it is told and reports `name start`, `name stop` to a journal.
#[derive(Debug)]
pub struct Probe {
    name: String,
    journal: mpsc::UnboundedSender<String>,
    count: u64,
    hangs_at_stop: bool,
}

impl Probe {
    /// A probe that reports to `journal`.
    pub fn new(name: &str, journal: mpsc::UnboundedSender<String>) -> Self {
        Self {
            name: name.to_owned(),
            journal,
            count: 0,
            hangs_at_stop: false,
        }
    }

    /// A probe whose stop never ends.
    #[must_use]
    pub fn hanging_at_stop(mut self) -> Self {
        self.hangs_at_stop = true;
        self
    }

    fn report(&self, what: &str) {
        // The test may have ended.
        let _ = self.journal.send(format!("{} {what}", self.name));
    }
}

impl Behaviour for Probe {
    type Msg = ProbeMsg;
    const KIND: &'static str = "probe";

    async fn start(&mut self, _ctx: &Context<ProbeMsg>) -> Result<(), Failure> {
        self.report("start");
        Ok(())
    }

    async fn handle(&mut self, ctx: &Context<ProbeMsg>, message: ProbeMsg) -> Result<(), Failure> {
        match message {
            ProbeMsg::Poke => self.count += 1,
            ProbeMsg::Count(reply) => reply.send(self.count),
            ProbeMsg::Fail(text) => return Err(text.into()),
            ProbeMsg::Panic(text) => panic!("{text}"),
            ProbeMsg::Hang => std::future::pending().await,
            ProbeMsg::WaitFor(gate) => {
                let _ = gate.await;
            }
            ProbeMsg::Finish => ctx.finish("asked to"),
        }
        Ok(())
    }

    async fn stop(&mut self, _ctx: &Context<ProbeMsg>) {
        if self.hangs_at_stop {
            std::future::pending::<()>().await;
        }
        self.report("stop");
    }

    fn observe(&self) -> Value {
        json!({ "count": self.count })
    }
}

/// Everything a journal holds by now.
pub fn entries(journal: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| journal.try_recv().ok()).collect()
}

/// The Redis that tests use.
///
/// # Panics
/// When `DIGI_TEST_REDIS` is not set: a missing service is a failure, never a skip.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where tests learn of their Redis"
)]
pub fn redis_url() -> String {
    std::env::var("DIGI_TEST_REDIS")
        .expect("DIGI_TEST_REDIS must name a Redis for tests, such as redis://127.0.0.1:6379")
}

/// A namespace that no other test uses.
pub fn namespace() -> String {
    format!("test-{}", uuid::Uuid::now_v7().simple())
}

/// A Redis URL at which nobody answers.
///
/// # Panics
/// When no port is free.
pub fn dead_redis_url() -> String {
    format!("redis://127.0.0.1:{}", free_port())
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    socket
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

/// A Redis of one test's own, for tests that take it away.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    url: String,
    child: std::process::Child,
}

impl RedisServer {
    /// Starts `redis-server` on a free port, without files.
    ///
    /// # Panics
    /// When `redis-server` is not installed.
    pub fn start() -> Self {
        Self::on(free_port())
    }

    fn on(port: u16) -> Self {
        let child = std::process::Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("redis-server must be installed for this test");
        Self {
            port,
            url: format!("redis://127.0.0.1:{port}"),
            child,
        }
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills it, does `meanwhile`, and starts it again on the same port.
    ///
    /// # Panics
    /// When it cannot be killed.
    #[must_use]
    pub fn restart(mut self, meanwhile: impl FnOnce()) -> Self {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child can be waited for");
        meanwhile();
        Self::on(self.port)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
