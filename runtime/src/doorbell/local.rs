//! Bells within the process.

use std::{collections::HashMap, sync::Mutex};

use tokio::sync::watch;

/// One bell per topic that somebody has listened to.
#[derive(Debug, Default)]
pub(super) struct Bells {
    topics: Mutex<HashMap<String, watch::Sender<u64>>>,
}

const HELD: &str = "no thread panics while it holds the bells";

impl Bells {
    pub(super) fn ring(&self, topic: &str) {
        if let Some(bell) = self.topics.lock().expect(HELD).get(topic) {
            bell.send_modify(|rings| *rings += 1);
        }
    }

    /// Rings every topic: after bells may have been missed.
    pub(super) fn ring_all(&self) {
        self.ring_all_below("");
    }

    /// Rings every topic that starts with `prefix`.
    pub(super) fn ring_all_below(&self, prefix: &str) {
        for (_, bell) in self
            .topics
            .lock()
            .expect(HELD)
            .iter()
            .filter(|(topic, _)| topic.starts_with(prefix))
        {
            bell.send_modify(|rings| *rings += 1);
        }
    }

    pub(super) fn listen(&self, topic: &str) -> watch::Receiver<u64> {
        let mut topics = self.topics.lock().expect(HELD);
        // Topics nobody listens to any more would pile up otherwise.
        topics.retain(|name, bell| name == topic || bell.receiver_count() > 0);
        topics
            .entry(topic.to_owned())
            .or_insert_with(|| watch::channel(0).0)
            .subscribe()
    }
}
