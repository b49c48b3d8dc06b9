//! The cache that nodes share.

use std::{fmt, time::Duration};

use fred::prelude::*;

use crate::{
    Error,
    redis::{builder, unavailable},
};

/// A cache in Redis.
pub(super) struct RedisCache {
    client: Client,
    namespace: String,
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache")
            .field("namespace", &self.namespace)
            .finish()
    }
}

impl RedisCache {
    pub(super) fn connect(url: &str, namespace: &str) -> Result<Self, Error> {
        let client = builder(url)?.build().map_err(unavailable)?;
        // In the background and for ever again; until then everything misses.
        drop(client.connect());
        Ok(Self {
            client,
            namespace: namespace.to_owned(),
        })
    }

    fn key(&self, key: &str) -> String {
        format!("{}:cache:{key}", self.namespace)
    }

    /// Not even asked while the connection is away: a miss must be quick.
    fn ready(&self) -> Result<(), Error> {
        if self.client.is_connected() {
            Ok(())
        } else {
            Err(unavailable("not connected"))
        }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.ready()?;
        self.client.get(self.key(key)).await.map_err(unavailable)
    }

    pub(super) async fn put(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<(), Error> {
        self.ready()?;
        let millis = i64::try_from(ttl.as_millis().max(1)).unwrap_or(i64::MAX);
        self.client
            .set(
                self.key(key),
                value.as_slice(),
                Some(Expiration::PX(millis)),
                None,
                false,
            )
            .await
            .map_err(unavailable)
    }

    pub(super) async fn forget(&self, key: &str) -> Result<(), Error> {
        self.ready()?;
        self.client.del(self.key(key)).await.map_err(unavailable)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    pub(super) async fn connected_within(&self, patience: Duration) -> bool {
        matches!(
            tokio::time::timeout(patience, self.client.wait_for_connect()).await,
            Ok(Ok(()))
        )
    }
}
