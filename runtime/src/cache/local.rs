//! The cache of one process: bounded by bytes, the least recently used goes first.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::clock::Clock;

struct Entry {
    value: Vec<u8>,
    until: DateTime<Utc>,
    used: u64,
}

#[derive(Default)]
struct Shelf {
    entries: HashMap<String, Entry>,
    /// Keys by the time they were last used, oldest first.
    order: BTreeMap<u64, String>,
    bytes: usize,
    uses: u64,
}

impl Shelf {
    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.used);
            self.bytes -= key.len() + entry.value.len();
        }
    }
}

/// A cache in memory.
pub(super) struct LocalCache {
    max_bytes: usize,
    clock: Arc<dyn Clock>,
    shelf: Mutex<Shelf>,
}

impl fmt::Debug for LocalCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCache")
            .field("max_bytes", &self.max_bytes)
            .finish()
    }
}

const HELD: &str = "no thread panics while it holds the cache";

impl LocalCache {
    pub(super) fn new(max_bytes: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            max_bytes,
            clock,
            shelf: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let mut guard = self.shelf.lock().expect(HELD);
        let shelf = &mut *guard;
        let is_over = shelf.entries.get(key)?.until <= self.clock.now();
        if is_over {
            shelf.remove(key);
            return None;
        }
        shelf.uses += 1;
        let entry = shelf.entries.get_mut(key)?;
        shelf.order.remove(&entry.used);
        entry.used = shelf.uses;
        shelf.order.insert(entry.used, key.to_owned());
        Some(entry.value.clone())
    }

    pub(super) fn put(&self, key: &str, value: Vec<u8>, ttl: Duration) {
        let size = key.len() + value.len();
        let mut guard = self.shelf.lock().expect(HELD);
        let shelf = &mut *guard;
        shelf.remove(key);
        if size > self.max_bytes {
            return;
        }
        while shelf.bytes + size > self.max_bytes {
            let Some((_, oldest)) = shelf.order.first_key_value() else {
                break;
            };
            let oldest = oldest.clone();
            shelf.remove(&oldest);
        }
        shelf.uses += 1;
        let until = self.clock.now() + TimeDelta::from_std(ttl).unwrap_or(TimeDelta::days(365));
        shelf.order.insert(shelf.uses, key.to_owned());
        shelf.entries.insert(
            key.to_owned(),
            Entry {
                value,
                until,
                used: shelf.uses,
            },
        );
        shelf.bytes += size;
    }

    pub(super) fn forget(&self, key: &str) {
        self.shelf.lock().expect(HELD).remove(key);
    }
}
