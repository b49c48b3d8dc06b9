//! What a supervisor is told about its children.

use std::{fmt, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use ractor::{Actor, ActorCell};

use super::{
    Chief, SupervisorRef,
    policy::{Backoff, Intensity, Restart, StopBudget, Strategy},
};
use crate::{
    Error,
    actor::{self, Behaviour},
    host::Host,
    mailbox::BoundedRef,
    tree::StateCell,
};

/// What the start of a child is given.
#[derive(Clone, Debug)]
pub struct ChildContext {
    /// What the runtime shares.
    pub host: Host,
    /// Path of the child.
    pub path: String,
    /// Its place in the tree.
    pub cell: StateCell,
    /// The supervisor that the child must link itself to.
    pub supervisor: ActorCell,
}

pub(crate) type Start =
    Arc<dyn Fn(ChildContext) -> BoxFuture<'static, Result<ActorCell, Error>> + Send + Sync>;

/// A child: how to begin a life of it, and what follows an end.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) restart: Restart,
    pub(crate) stop_budget: StopBudget,
    pub(crate) start_timeout: Duration,
    pub(crate) is_critical: bool,
    pub(crate) start: Start,
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("name", &self.name)
            .field("restart", &self.restart)
            .finish()
    }
}

/// Time a child may take to start, unless its specification says otherwise.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Time a nested supervisor may take to stop all its children, unless its specification says otherwise.
const NESTED_STOP: Duration = Duration::from_secs(20);

/// Orders that may wait for one supervisor.
const ORDERS: usize = 256;

impl ChildSpec {
    /// A child that runs a behaviour; `make` is called for each life. Permanent unless changed.
    ///
    /// `name` is unique among its siblings and holds no `/`.
    pub fn actor<B: Behaviour>(
        name: impl Into<String>,
        capacity: usize,
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> (Self, BoundedRef<B::Msg>) {
        let name = name.into();
        let reference = BoundedRef::unbound(&name, capacity);
        let me = reference.clone();
        let start: Start = Arc::new(move |child| actor::spawn(make(), me.clone(), child).boxed());
        (Self::new(name, B::KIND, start), reference)
    }

    /// A nested supervisor.
    pub fn supervisor(name: impl Into<String>, spec: SupervisorSpec) -> (Self, SupervisorRef) {
        let name = name.into();
        let reference = SupervisorRef(BoundedRef::unbound(&name, ORDERS));
        let orders = reference.clone();
        let start: Start = Arc::new(move |child: ChildContext| {
            let (orders, spec) = (orders.clone(), spec.clone());
            async move {
                let (path, supervisor) = (child.path.clone(), child.supervisor.clone());
                match Chief::spawn_linked(
                    None,
                    Chief,
                    (child.host, child.path, child.cell, orders, spec),
                    supervisor,
                )
                .await
                {
                    Ok((actor, _)) => Ok(actor.get_cell()),
                    Err(error) => Err(Error::StartFailed {
                        path,
                        message: error.to_string(),
                    }),
                }
            }
            .boxed()
        });
        let spec = Self::new(name, "supervisor", start)
            .stop_budget(StopBudget {
                drain: Duration::ZERO,
                stop: NESTED_STOP,
            })
            // Its children start within it.
            .start_timeout(START_TIMEOUT * 3);
        (spec, reference)
    }

    fn new(name: String, kind: &'static str, start: Start) -> Self {
        Self {
            name,
            kind,
            restart: Restart::Permanent,
            stop_budget: StopBudget::default(),
            start_timeout: START_TIMEOUT,
            is_critical: false,
            start,
        }
    }

    /// Sets whether it gets another life.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets how long its ordered end may take.
    #[must_use]
    pub fn stop_budget(mut self, budget: StopBudget) -> Self {
        self.stop_budget = budget;
        self
    }

    /// Sets how long its start may take.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// When it ends for good, its supervisor gives up too.
    #[must_use]
    pub fn critical(mut self) -> Self {
        self.is_critical = true;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A supervisor: its strategy, its limits and the children it starts with.
#[derive(Clone, Debug)]
pub struct SupervisorSpec {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) backoff: Backoff,
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) max_children: usize,
}

impl SupervisorSpec {
    /// A supervisor without children yet.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            intensity: Intensity::default(),
            backoff: Backoff::default(),
            children: Vec::new(),
            max_children: 10_000,
        }
    }

    /// Adds a child that starts after those before it.
    #[must_use]
    pub fn child(mut self, spec: ChildSpec) -> Self {
        self.children.push(spec);
        self
    }

    /// Sets how many restarts are too many.
    #[must_use]
    pub fn intensity(mut self, max_restarts: u32, window: Duration) -> Self {
        self.intensity = Intensity {
            max_restarts,
            window,
        };
        self
    }

    /// Sets the delays between lives.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many children it holds at most.
    #[must_use]
    pub fn max_children(mut self, limit: usize) -> Self {
        self.max_children = limit;
        self
    }
}
