//! The doorbell shortens the wait of whoever looks for work; it carries no information and may be lost.
//!
//! Ringing a topic wakes every listener of that topic, in this process at once and, with Redis, in the other nodes too.
//! A listener never waits longer than its sweep interval, so a lost bell costs time and nothing else. Rings that come
//! while a listener is busy collapse into one.

mod local;
mod redis;

use std::{fmt, sync::Arc, time::Duration};

use rand::Rng;
use storage::CommitNote;

use crate::Error;

use local::Bells;
use redis::RedisBell;

/// Topic rung when an event was committed.
pub const EVENTS: &str = "events";

/// Topic rung when a job was queued in `queue`.
pub fn jobs_topic(queue: &str) -> String {
    format!("jobs/{queue}")
}

/// Why a listener woke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The bell rang.
    Rung,
    /// The sweep interval was over.
    Swept,
}

/// The longest a listener waits for a bell, drawn anew each time so that nodes do not sweep in step.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// Shortest interval.
    pub shortest: Duration,
    /// Longest interval.
    pub longest: Duration,
}

impl Default for Sweep {
    /// One to five seconds.
    fn default() -> Self {
        Self {
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(5),
        }
    }
}

impl Sweep {
    /// One interval.
    pub fn draw(&self, rng: &mut impl Rng) -> Duration {
        let spread = self.longest.saturating_sub(self.shortest);
        self.shortest + spread.mul_f64(rng.random::<f64>())
    }
}

/// The doorbell of one node. Cheap to clone.
#[derive(Clone)]
pub struct Doorbell {
    bells: Arc<Bells>,
    redis: Option<Arc<RedisBell>>,
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell")
            .field("is_shared", &self.redis.is_some())
            .finish()
    }
}

impl Doorbell {
    /// A doorbell for one process.
    pub fn local() -> Self {
        Self {
            bells: Arc::default(),
            redis: None,
        }
    }

    /// A doorbell shared with the other nodes that use the same Redis and `namespace`. Returns at once: a Redis that is
    /// away is waited for in the background, and until then bells ring in this process only.
    ///
    /// # Errors
    /// `runtime.redis_unavailable` when the URL cannot be read.
    pub fn redis(url: &str, namespace: &str) -> Result<Self, Error> {
        let bells: Arc<Bells> = Arc::default();
        let redis = RedisBell::connect(url, namespace, Arc::clone(&bells))?;
        Ok(Self {
            bells,
            redis: Some(Arc::new(redis)),
        })
    }

    /// Rings `topic`. Never waits and never fails.
    pub fn ring(&self, topic: &str) {
        self.bells.ring(topic);
        if let Some(redis) = &self.redis {
            redis.ring(topic);
        }
    }

    /// Rings what a commit of the storage changed.
    pub fn ring_for(&self, note: &CommitNote) {
        if !note.events.is_empty() {
            self.ring(EVENTS);
        }
        for queue in &note.queues {
            self.ring(&jobs_topic(queue));
        }
    }

    /// Rings every queue that somebody in this process listens to.
    pub fn ring_all_jobs(&self) {
        self.bells.ring_all_below(&jobs_topic(""));
    }

    /// Listens to `topic` from now on.
    pub fn listen(&self, topic: &str) -> Listener {
        Listener {
            receiver: self.bells.listen(topic),
        }
    }

    /// Whether bells are shared between nodes but Redis is away: work is found by sweeping.
    pub fn is_degraded(&self) -> bool {
        self.redis
            .as_ref()
            .is_some_and(|redis| !redis.is_connected())
    }

    /// Waits until Redis is connected and listening, for at most `patience`; at once for a local doorbell.
    pub async fn connected_within(&self, patience: Duration) -> bool {
        match &self.redis {
            None => true,
            Some(redis) => redis.connected_within(patience).await,
        }
    }

    /// Closes the connections to Redis, if any.
    pub async fn close(&self) {
        if let Some(redis) = &self.redis {
            redis.close().await;
        }
    }
}

/// One listener of one topic.
#[derive(Debug)]
pub struct Listener {
    receiver: tokio::sync::watch::Receiver<u64>,
}

impl Listener {
    /// Waits for the bell, or for `sweep` to be over. A ring since the last wait counts.
    pub async fn wait(&mut self, sweep: Duration) -> Woken {
        match tokio::time::timeout(sweep, self.receiver.changed()).await {
            Ok(Ok(())) => Woken::Rung,
            Ok(Err(_)) => {
                // The doorbell itself is gone: only sweeping is left.
                tokio::time::sleep(sweep).await;
                Woken::Swept
            }
            Err(_) => Woken::Swept,
        }
    }
}

#[cfg(test)]
mod tests;
