//! A small read-through cache of bytes with a time to live, in this process or in Redis.
//!
//! Only for what can be made again. A cache that is away is a cache that misses: no error of it ever reaches the caller,
//! it is counted and shown by [`Cache::stats`].

mod local;
mod redis;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::clock::Clock;
use serde::Serialize;

use crate::Error;

use local::LocalCache;
use redis::RedisCache;

/// What a cache has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Lookups that found something.
    pub hits: u64,
    /// Lookups that found nothing.
    pub misses: u64,
    /// Commands that Redis did not answer.
    pub failures: u64,
}

#[derive(Debug)]
enum Store {
    Local(LocalCache),
    Redis(RedisCache),
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    failures: AtomicU64,
}

/// The cache. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cache {
    store: Arc<Store>,
    counters: Arc<Counters>,
}

impl Cache {
    /// A cache in this process that holds at most `max_bytes` of keys and values and drops what was used longest ago.
    pub fn local(max_bytes: usize, clock: Arc<dyn Clock>) -> Self {
        Self::over(Store::Local(LocalCache::new(max_bytes, clock)))
    }

    /// A cache shared through Redis; every key is prefixed with `namespace`.
    ///
    /// # Errors
    /// `runtime.redis_unavailable` when the URL cannot be read.
    pub fn redis(url: &str, namespace: &str) -> Result<Self, Error> {
        Ok(Self::over(Store::Redis(RedisCache::connect(
            url, namespace,
        )?)))
    }

    fn over(store: Store) -> Self {
        Self {
            store: Arc::new(store),
            counters: Arc::default(),
        }
    }

    /// What is stored under `key` and has not run out.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let found = match &*self.store {
            Store::Local(cache) => cache.get(key),
            Store::Redis(cache) => self.or_failure(cache.get(key).await).flatten(),
        };
        let counter = if found.is_some() {
            &self.counters.hits
        } else {
            &self.counters.misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Stores `value` under `key` for `ttl`.
    pub async fn put(&self, key: &str, value: Vec<u8>, ttl: Duration) {
        match &*self.store {
            Store::Local(cache) => cache.put(key, value, ttl),
            Store::Redis(cache) => {
                self.or_failure(cache.put(key, value, ttl).await);
            }
        }
    }

    /// Forgets `key`.
    pub async fn forget(&self, key: &str) {
        match &*self.store {
            Store::Local(cache) => cache.forget(key),
            Store::Redis(cache) => {
                self.or_failure(cache.forget(key).await);
            }
        }
    }

    /// What is stored under `key`, or else what `make` makes, which is then stored for `ttl`.
    ///
    /// # Errors
    /// Those of `make`; nothing is stored then.
    pub async fn get_or<E, F: Future<Output = Result<Vec<u8>, E>>>(
        &self,
        key: &str,
        ttl: Duration,
        make: impl FnOnce() -> F,
    ) -> Result<Vec<u8>, E> {
        if let Some(found) = self.get(key).await {
            return Ok(found);
        }
        let made = make().await?;
        self.put(key, made.clone(), ttl).await;
        Ok(made)
    }

    /// What the cache has done so far.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.counters.hits.load(Ordering::Relaxed),
            misses: self.counters.misses.load(Ordering::Relaxed),
            failures: self.counters.failures.load(Ordering::Relaxed),
        }
    }

    /// Whether the cache is shared but Redis is away.
    pub fn is_degraded(&self) -> bool {
        match &*self.store {
            Store::Local(_) => false,
            Store::Redis(cache) => !cache.is_connected(),
        }
    }

    /// Waits until the cache can answer, for at most `patience`; at once for a local one.
    pub async fn connected_within(&self, patience: Duration) -> bool {
        match &*self.store {
            Store::Local(_) => true,
            Store::Redis(cache) => cache.connected_within(patience).await,
        }
    }

    fn or_failure<T>(&self, outcome: Result<T, Error>) -> Option<T> {
        outcome
            .inspect_err(|error| {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "the cache did not answer");
            })
            .ok()
    }
}

#[cfg(test)]
mod tests;
