//! The live tree: every actor's observable state, read by tests, REST and the web page alike.
//!
//! One [`Tree`] belongs to one runtime; paths are scoped by it, so several runtimes live in one process. ractor's global
//! registry of names is never used. Each supervised actor owns a [`StateCell`]; the supervisor writes its life cycle into
//! it, the actor its own state.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use chrono::{DateTime, Utc};
use domain::clock::Clock;
use ractor::ActorCell;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::Error;

/// Where an actor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its start is under way.
    Starting,
    /// It takes messages.
    Running,
    /// It takes messages but does no work of its own until somebody resumes it.
    Paused,
    /// It ended and waits for its next life.
    Restarting,
    /// It ended in order.
    Stopped,
    /// It ended and stays ended, or it could not be stopped.
    Failed,
}

/// How a life of an actor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitClass {
    /// It stopped by itself or because it was asked to.
    Normal,
    /// A hook returned an error or panicked.
    Failed,
    /// It was killed.
    Killed,
    /// The watchdog killed it because it showed no progress, or it did not stop within its budget.
    Stuck,
}

/// The end of one life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// How it ended.
    pub class: ExitClass,
    /// What was said about it.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// The observable state of one actor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// Path from the root, parts joined by `/`.
    pub path: String,
    /// Last part of the path.
    pub name: String,
    /// What sort of actor it is: `supervisor`, `compute_pool`, …
    pub kind: String,
    /// Where it stands.
    pub status: Status,
    /// Lives after the first.
    pub restarts: u32,
    /// End of the life before this one.
    pub last_exit: Option<Exit>,
    /// Start of this life.
    pub started_at: Option<DateTime<Utc>>,
    /// Messages that wait or are being handled.
    pub mailbox_len: usize,
    /// Messages handled in this life.
    pub handled: u64,
    /// Last sign of progress while a message is being handled; absent when idle.
    pub busy_since: Option<DateTime<Utc>>,
    /// The last error it met, fatal or not.
    pub last_error: Option<String>,
    /// What the actor itself wants seen.
    pub observed: Value,
}

/// A node with its children, in start order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TreeNode {
    /// The actor.
    #[serde(flatten)]
    pub state: NodeState,
    /// Its children.
    pub children: Vec<TreeNode>,
}

type Gauge = Arc<dyn Fn() -> usize + Send + Sync>;
type Live = Arc<dyn Fn() -> Value + Send + Sync>;

struct Node {
    state: NodeState,
    actor: Option<ActorCell>,
    gauge: Option<Gauge>,
    live: Option<Live>,
    /// Set by the watchdog before it kills, so that the exit is told apart from any other kill.
    condemned: Option<String>,
}

struct Shared {
    id: String,
    clock: Arc<dyn Clock>,
    /// In order of first registration, which is start order.
    nodes: Mutex<Vec<Arc<Mutex<Node>>>>,
    version: watch::Sender<u64>,
}

/// The tree of one runtime.
#[derive(Clone)]
pub struct Tree {
    shared: Arc<Shared>,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("id", &self.shared.id)
            .field("nodes", &self.lock().len())
            .finish()
    }
}

fn hold(node: &Mutex<Node>) -> MutexGuard<'_, Node> {
    node.lock().expect("no thread panics while it holds a node")
}

fn read(node: &Mutex<Node>) -> NodeState {
    let (mut state, gauge, live) = {
        let held = hold(node);
        (held.state.clone(), held.gauge.clone(), held.live.clone())
    };
    // Called without the lock: what they read may lock again.
    if let Some(gauge) = gauge {
        state.mailbox_len = gauge();
    }
    if let Some(live) = live {
        state.observed = live();
    }
    state
}

impl Tree {
    /// An empty tree of the runtime called `id`.
    pub fn new(id: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        let (version, _) = watch::channel(0);
        Self {
            shared: Arc::new(Shared {
                id: id.into(),
                clock,
                nodes: Mutex::new(Vec::new()),
                version,
            }),
        }
    }

    /// The runtime's id.
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Mutex<Node>>>> {
        self.shared
            .nodes
            .lock()
            .expect("no thread panics while it holds the tree")
    }

    fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    fn changed(&self) {
        self.shared.version.send_modify(|version| *version += 1);
    }

    fn find(&self, path: &str) -> Option<Arc<Mutex<Node>>> {
        self.lock()
            .iter()
            .find(|node| hold(node).state.path == path)
            .cloned()
    }

    /// The cell of the actor at `path`; made when it is not there yet.
    pub(crate) fn register(&self, path: &str, kind: &str) -> StateCell {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let node = self.find(path).unwrap_or_else(|| {
            let node = Arc::new(Mutex::new(Node {
                state: NodeState {
                    path: path.to_owned(),
                    name,
                    kind: kind.to_owned(),
                    status: Status::Starting,
                    restarts: 0,
                    last_exit: None,
                    started_at: None,
                    mailbox_len: 0,
                    handled: 0,
                    busy_since: None,
                    last_error: None,
                    observed: Value::Null,
                },
                actor: None,
                gauge: None,
                live: None,
                condemned: None,
            }));
            self.lock().push(Arc::clone(&node));
            node
        });
        self.changed();
        StateCell {
            tree: self.clone(),
            node,
            path: path.into(),
        }
    }

    /// Forgets the actor at `path` and everything below it.
    pub(crate) fn forget(&self, path: &str) {
        let below = format!("{path}/");
        self.lock().retain(|node| {
            let held = hold(node);
            held.state.path != path && !held.state.path.starts_with(&below)
        });
        self.changed();
    }

    /// Forgets everything below `path`.
    pub(crate) fn forget_below(&self, path: &str) {
        let below = format!("{path}/");
        self.lock()
            .retain(|node| !hold(node).state.path.starts_with(&below));
        self.changed();
    }

    /// Every actor, parents before children, siblings in start order.
    pub fn snapshot(&self) -> Vec<NodeState> {
        fn flatten(node: TreeNode, into: &mut Vec<NodeState>) {
            into.push(node.state);
            for child in node.children {
                flatten(child, into);
            }
        }
        let mut flat = Vec::new();
        for root in self.nested() {
            flatten(root, &mut flat);
        }
        flat
    }

    /// The same, nested. Usually one root.
    pub fn nested(&self) -> Vec<TreeNode> {
        let nodes: Vec<_> = self.lock().clone();
        let mut by_parent: BTreeMap<String, Vec<NodeState>> = BTreeMap::new();
        for state in nodes.iter().map(|node| read(node)) {
            let parent = state
                .path
                .rsplit_once('/')
                .map_or("", |(parent, _)| parent)
                .to_owned();
            by_parent.entry(parent).or_default().push(state);
        }
        fn grow(parent: &str, by_parent: &mut BTreeMap<String, Vec<NodeState>>) -> Vec<TreeNode> {
            let states = by_parent.remove(parent).unwrap_or_default();
            states
                .into_iter()
                .map(|state| {
                    let children = grow(&state.path, by_parent);
                    TreeNode { state, children }
                })
                .collect()
        }
        grow("", &mut by_parent)
    }

    /// The actor at `path`.
    pub fn node(&self, path: &str) -> Option<NodeState> {
        self.find(path).map(|node| read(&node))
    }

    /// Counts every change; a receiver waits for the next one instead of polling.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    /// Kills the actor at `path`: its handler is dropped at its next await. Its supervisor decides what follows.
    ///
    /// # Errors
    /// `runtime.unknown_actor`, or `runtime.not_running` between two lives.
    pub fn kill(&self, path: &str) -> Result<(), Error> {
        let node = self.find(path).ok_or_else(|| Error::UnknownActor {
            path: path.to_owned(),
        })?;
        let actor = hold(&node).actor.clone().ok_or_else(|| Error::NotRunning {
            path: path.to_owned(),
        })?;
        actor.kill();
        Ok(())
    }

    /// Kills the actor at `path` for want of progress; its exit is [`ExitClass::Stuck`].
    pub(crate) fn condemn(&self, path: &str, reason: String) -> Result<(), Error> {
        let node = self.find(path).ok_or_else(|| Error::UnknownActor {
            path: path.to_owned(),
        })?;
        hold(&node).condemned = Some(reason);
        self.kill(path)
    }
}

/// An actor's place in the tree.
#[derive(Clone)]
pub struct StateCell {
    tree: Tree,
    node: Arc<Mutex<Node>>,
    path: Arc<str>,
}

impl fmt::Debug for StateCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateCell")
            .field("path", &self.path)
            .finish()
    }
}

impl StateCell {
    fn update(&self, change: impl FnOnce(&mut Node)) {
        change(&mut hold(&self.node));
        self.tree.changed();
    }

    /// Path of the actor.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The state as others see it.
    pub fn state(&self) -> NodeState {
        read(&self.node)
    }

    /// Shows the actor's own state.
    pub fn publish(&self, observed: Value) {
        self.update(|node| node.state.observed = observed);
    }

    /// Shows what `live` returns at the moment of looking, for state that changes between messages.
    pub fn publish_live(&self, live: impl Fn() -> Value + Send + Sync + 'static) {
        self.update(|node| node.live = Some(Arc::new(live)));
    }

    /// Shows an error that the actor survived.
    pub fn note_error(&self, error: impl fmt::Display) {
        self.update(|node| node.state.last_error = Some(error.to_string()));
    }

    /// Shows the actor as paused.
    pub fn pause(&self) {
        self.update(|node| node.state.status = Status::Paused);
    }

    /// Shows the actor as running again.
    pub fn resume(&self) {
        self.update(|node| node.state.status = Status::Running);
    }

    /// Tells the watchdog that a long handler is alive.
    pub fn progress(&self) {
        let now = self.tree.now();
        self.update(|node| {
            if node.state.busy_since.is_some() {
                node.state.busy_since = Some(now);
            }
        });
    }

    pub(crate) fn gauge(&self, gauge: impl Fn() -> usize + Send + Sync + 'static) {
        self.update(|node| node.gauge = Some(Arc::new(gauge)));
    }

    pub(crate) fn begin_message(&self) {
        let now = self.tree.now();
        self.update(|node| node.state.busy_since = Some(now));
    }

    pub(crate) fn end_message(&self, observed: Value) {
        self.update(|node| {
            node.state.busy_since = None;
            node.state.handled += 1;
            node.state.observed = observed;
        });
    }

    pub(crate) fn starting(&self) {
        self.update(|node| {
            node.state.status = Status::Starting;
            node.state.busy_since = None;
            node.state.handled = 0;
            node.live = None;
            node.condemned = None;
        });
    }

    pub(crate) fn started(&self, actor: ActorCell, again: bool) {
        let now = self.tree.now();
        self.update(|node| {
            // A behaviour may have paused itself while it started.
            if node.state.status == Status::Starting {
                node.state.status = Status::Running;
            }
            node.state.started_at = Some(now);
            node.actor = Some(actor);
            if again {
                node.state.restarts += 1;
            }
        });
    }

    pub(crate) fn ended(&self, status: Status, exit: Exit) {
        self.update(|node| {
            node.actor = None;
            node.state.status = status;
            node.state.busy_since = None;
            if exit.class != ExitClass::Normal {
                node.state.last_error = exit.reason.clone().or_else(|| Some("killed".to_owned()));
            }
            node.state.last_exit = Some(exit);
        });
    }

    pub(crate) fn set_status(&self, status: Status) {
        self.update(|node| node.state.status = status);
    }

    pub(crate) fn take_condemned(&self) -> Option<String> {
        hold(&self.node).condemned.take()
    }
}
