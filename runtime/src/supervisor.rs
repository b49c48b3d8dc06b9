//! Our own supervisor on ractor, which has none.
//!
//! Guarantees
//! - Children start in the order of their specifications and stop in reverse, each within its [`StopBudget`].
//! - The end of a child is classified ([`ExitClass`](crate::tree::ExitClass)); its [`Restart`] policy says whether it gets another life, the
//!   [`Strategy`] who shares it, the [`Backoff`] when, and the [`Intensity`] how often before the supervisor itself
//!   gives up in order (escalation).
//! - One child's end never touches another but by the strategy.
//! - Every end and decision is kept in a bounded history and handed to the [`RestartSink`](crate::host::RestartSink).
//!
//! Limits that come from ractor: a handler that never awaits can be neither stopped nor killed (such work belongs to the
//! compute pool; here it is abandoned and reported as stuck), and a supervisor that is *killed* takes its children with
//! it at once and unordered.

mod actor;
mod policy;
mod spec;

pub use policy::{Backoff, Intensity, Restart, StopBudget, StopOutcome, Strategy};
pub use spec::{ChildContext, ChildSpec, SupervisorSpec};

pub(crate) use actor::{Chief, Order, stop_actor};

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, mailbox::BoundedRef, tree::Exit};

/// What a supervisor decided after the end of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Another life, after a delay.
    Restart {
        /// The delay in milliseconds.
        delay_ms: u64,
    },
    /// It stays ended.
    Leave,
    /// The supervisor gives up: its own supervisor decides.
    Escalate,
}

/// One end of a child and what followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRecord {
    /// Id of the runtime.
    pub runtime: String,
    /// Path of the child.
    pub path: String,
    /// The end.
    pub exit: Exit,
    /// What the supervisor decided.
    pub decision: Decision,
}

/// How long orders to a supervisor may take: a start waits for the child's own start.
const ORDER_PATIENCE: Duration = Duration::from_secs(60);

/// Orders to a supervisor; survives its restarts.
#[derive(Clone, Debug)]
pub struct SupervisorRef(pub(crate) BoundedRef<Order>);

impl SupervisorRef {
    /// Path in the tree.
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// Starts a dynamic child and waits until it runs. It is lost when the supervisor itself is restarted: whoever
    /// needs it asks again, as reconcilers do.
    ///
    /// # Errors
    /// `runtime.duplicate_actor`, `runtime.too_many_children`, `runtime.start_failed`, and those of an
    /// [`ask`](BoundedRef::ask).
    pub async fn start_child(&self, spec: ChildSpec) -> Result<(), Error> {
        self.0
            .ask(|reply| Order::Start { spec, reply }, ORDER_PATIENCE)
            .await?
    }

    /// Stops a child within its budget and forgets it when it is dynamic.
    ///
    /// # Errors
    /// `runtime.unknown_actor`, and those of an [`ask`](BoundedRef::ask).
    pub async fn stop_child(&self, name: &str) -> Result<StopOutcome, Error> {
        let name = name.to_owned();
        self.0
            .ask(|reply| Order::Stop { name, reply }, ORDER_PATIENCE)
            .await?
    }

    /// Stops a child in order and starts it again at once; does not count towards the intensity.
    ///
    /// # Errors
    /// `runtime.unknown_actor`, `runtime.start_failed`, and those of an [`ask`](BoundedRef::ask).
    pub async fn restart_child(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.0
            .ask(|reply| Order::Restart { name, reply }, ORDER_PATIENCE)
            .await?
    }

    /// Names of the children, in start order.
    ///
    /// # Errors
    /// Those of an [`ask`](BoundedRef::ask).
    pub async fn children(&self) -> Result<Vec<String>, Error> {
        self.0.ask(Order::Children, ORDER_PATIENCE).await
    }

    /// The last ends of children, oldest first.
    ///
    /// # Errors
    /// Those of an [`ask`](BoundedRef::ask).
    pub async fn history(&self) -> Result<Vec<RestartRecord>, Error> {
        self.0.ask(Order::History, ORDER_PATIENCE).await
    }
}

#[cfg(test)]
mod tests;
