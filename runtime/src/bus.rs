//! Events: every consumer group sees each one, in order, and has its effect once.
//!
//! The database is the log: an event is written in the transaction of the change it tells of. A consumer reads the events
//! after its cursor, organisation by organisation in order of position (which keeps the order per key), and each effect
//! commits together with the cursor's advance as a compare-and-set. So delivery may repeat, an effect in the database
//! cannot: of two nodes that handle the same event one is refused with `cursor.moved` and its effect with it.
//!
//! A handler that fails is tried again with a growing delay; meanwhile only its own organisation waits. After its
//! attempts the event becomes a *dead letter*: a durable job in the queue `dead:<group>`, written together with the
//! cursor's advance, so the events behind it go on. That job gets one more try; then it is dead, listed with the other
//! dead jobs, and can be replayed by a person.

mod consumer;
mod letters;

use std::{sync::Arc, time::Duration};

use domain::{
    access::{Grant, Permission, Principal},
    event::{Event, EventKind},
    id::OrgId,
};
use futures::future::BoxFuture;
use storage::{Storage, System, Unit};

use crate::{
    doorbell::{Doorbell, Sweep},
    jobs::{Worker, WorkerConfig},
    mailbox::BoundedRef,
    supervisor::ChildSpec,
};

pub use consumer::{ConsumerActor, ConsumerMsg};

use letters::Letters;

/// A consumer group.
pub trait Consumer: Send + Sync + 'static {
    /// Name of the group, stable for ever: its cursor is stored under it.
    fn group(&self) -> &str;

    /// Whether events of this kind concern it; the others only move its cursor.
    fn wants(&self, kind: EventKind) -> bool;

    /// Under which grant the unit of an effect opens. The installation's own unless overridden.
    ///
    /// # Errors
    /// When the principal does not hold the permission.
    fn grant(&self, org: OrgId) -> Result<Grant, domain::Error> {
        Principal::system(org).grant(Permission::RunWrite)
    }

    /// The effect. It must happen through `unit`, or be harmless when repeated: the unit may be run again.
    ///
    /// # Errors
    /// The event is tried again, and becomes a dead letter after its attempts.
    fn handle<'a>(
        &'a self,
        unit: &'a Unit,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<(), storage::Error>>;

    /// Called after the effect is committed, for wake-ups. It may be lost in a crash; a sweep of the woken must find the
    /// work too.
    fn committed(&self, event: &Event) {
        let _ = event;
    }
}

/// How a consumer works.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// Attempts before an event becomes a dead letter, at least 1.
    pub attempts: u32,
    /// Wait after the first failure; doubles with each further one.
    pub first_retry: Duration,
    /// Longest wait.
    pub longest_retry: Duration,
    /// How long a lost bell may delay an event.
    pub sweep: Sweep,
    /// Who this node is. With a name the group's work is leased, so that several nodes do not do it in vain; without one
    /// (a single node) the cursor alone decides.
    pub node: Option<String>,
}

impl Default for ConsumerConfig {
    /// Five attempts, from 200 ms to 30 s apart, for a single node.
    fn default() -> Self {
        Self {
            attempts: 5,
            first_retry: Duration::from_millis(200),
            longest_retry: Duration::from_secs(30),
            sweep: Sweep::default(),
            node: None,
        }
    }
}

/// What consumers stand on. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus {
    storage: Storage,
    system: System,
    bell: Doorbell,
}

/// The queue of a group's dead letters.
pub fn dead_letters(group: &str) -> String {
    format!("dead:{group}")
}

impl Bus {
    /// A bus over the storage's outbox. From now on every commit rings the doorbell.
    pub fn new(storage: Storage, system: System, bell: Doorbell) -> Self {
        let ringing = bell.clone();
        storage.on_commit(Arc::new(move |note| ringing.ring_for(note)));
        Self {
            storage,
            system,
            bell,
        }
    }

    /// The doorbell.
    pub fn bell(&self) -> &Doorbell {
        &self.bell
    }

    /// A group's consumer with the worker of its dead letters, as children for a supervisor, and the reference by which
    /// it can be told to look.
    pub fn consumer(
        &self,
        consumer: Arc<dyn Consumer>,
        config: ConsumerConfig,
    ) -> (Vec<ChildSpec>, BoundedRef<ConsumerMsg>) {
        let group = consumer.group().to_owned();
        let (bus, shared, sweep) = (self.clone(), Arc::clone(&consumer), config.sweep);
        let node = config
            .node
            .clone()
            .unwrap_or_else(|| "single node".to_owned());
        let (reader, reference) = ChildSpec::actor(group.clone(), 4, move || {
            ConsumerActor::new(bus.clone(), Arc::clone(&shared), config.clone())
        });
        let mut letters = WorkerConfig::new(&dead_letters(&group), &node);
        letters.sweep = sweep;
        let handler = Arc::new(Letters::new(self.storage.clone(), consumer));
        let (worker, _) = Worker::child(letters, self.system.clone(), self.bell.clone(), handler);
        (vec![reader, worker], reference)
    }
}

#[cfg(test)]
mod tests;
