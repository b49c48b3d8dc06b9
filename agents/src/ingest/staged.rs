//! Imports by REST: chunks are stored as they come, and read back in order when they are parsed.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use domain::{
    access::{Permission, Principal},
    id::BatchId,
    ingest::{Batch, BatchState},
    job::NewJob,
};
use futures::{FutureExt, future::BoxFuture};
use sha2::{Digest, Sha256};
use storage::Scope;
use tokio::io::{AsyncRead, ReadBuf};

use super::{
    Importer,
    job::{IMPORT_JOB, INGEST_QUEUE},
};
use crate::Error;

/// Attempts of an import's job before it is dead.
const ATTEMPTS: u32 = 5;

impl Importer {
    /// Stores a chunk. Once this returns the bytes are durable. Numbers count from 0; the same bytes under the same number
    /// again change nothing.
    ///
    /// # Errors
    /// `ingest.unknown_batch`, `ingest.chunk_too_large`, `ingest.chunk_differs`, `ingest.closed`, `ingest.too_many_bytes`.
    pub async fn put_chunk(
        &self,
        principal: &Principal,
        batch: BatchId,
        number: u64,
        content: Vec<u8>,
    ) -> Result<Batch, Error> {
        let grant = principal.grant(Permission::IngestWrite)?;
        let content = Arc::new(content);
        let most = self.limits().max_bytes;
        let ledger = self
            .storage
            .unit(&grant, move |u| {
                let content = content.clone();
                Box::pin(async move {
                    let ledger = u.ingest().get(batch).await?;
                    u.uploads().put(batch, number, &content).await?;
                    if u.uploads().stored(batch).await?.bytes > most {
                        return Err(domain::Error::new(
                            domain::ErrorKind::TooLarge,
                            "ingest.too_many_bytes",
                            format!("an import has at most {most} bytes"),
                        )
                        .advise("split the file, or raise ingest.max_mb")
                        .into());
                    }
                    Ok(ledger)
                })
            })
            .await?;
        Ok(ledger)
    }

    /// Closes the upload and queues the job that parses it. Calling it again changes nothing.
    ///
    /// # Errors
    /// `ingest.unknown_batch`; `ingest.chunk_missing` when a chunk before the last one is not there.
    pub async fn finish(&self, principal: &Principal, batch: BatchId) -> Result<Batch, Error> {
        let grant = principal.grant(Permission::IngestWrite)?;
        let scope = self.storage.scope(&grant);
        let ledger = scope.ingest().get(batch).await?;
        if ledger.state != BatchState::Open {
            return Ok(ledger);
        }
        let digest = if ledger.digest.is_empty() {
            self.digest_of_chunks(&scope, batch).await?
        } else {
            ledger.digest
        };
        let ledger = self
            .storage
            .unit(&grant, move |u| {
                let digest = digest.clone();
                Box::pin(async move {
                    u.uploads().seal(batch, &digest).await?;
                    u.jobs()
                        .enqueue(&NewJob {
                            queue: INGEST_QUEUE.to_owned(),
                            kind: IMPORT_JOB.to_owned(),
                            unique_key: batch.to_string(),
                            payload: serde_json::json!({ "batch": batch }),
                            run_at: None,
                            max_attempts: ATTEMPTS,
                        })
                        .await?;
                    u.ingest().get(batch).await
                })
            })
            .await?;
        Ok(ledger)
    }

    async fn digest_of_chunks(&self, scope: &Scope, batch: BatchId) -> Result<String, Error> {
        let stored = scope.uploads().stored(batch).await?;
        if !stored.has_no_gap() || stored.chunks == 0 {
            let mut missing = 0;
            while scope.uploads().chunk(batch, missing).await?.is_some() {
                missing += 1;
            }
            return Err(domain::Error::conflict(
                "ingest.chunk_missing",
                format!("chunk {missing} is not there"),
            )
            .advise("send it, then finish again")
            .into());
        }
        let mut hash = Sha256::new();
        for number in 0..stored.chunks {
            hash.update(
                scope
                    .uploads()
                    .chunk(batch, number)
                    .await?
                    .unwrap_or_default(),
            );
        }
        Ok(hex::encode(hash.finalize()))
    }

    /// The bytes of an upload as one stream.
    pub(super) fn staged(&self, principal: &Principal, batch: BatchId) -> Result<Staged, Error> {
        let scope = self
            .storage
            .scope(&principal.grant(Permission::IngestWrite)?);
        Ok(Staged {
            scope,
            batch,
            next: 0,
            chunk: Vec::new(),
            at: 0,
            pending: None,
        })
    }
}

/// Reads chunks in order, one in memory at a time.
pub(super) struct Staged {
    scope: Scope,
    batch: BatchId,
    next: u64,
    chunk: Vec<u8>,
    at: usize,
    pending: Option<BoxFuture<'static, Result<Option<Vec<u8>>, storage::Error>>>,
}

impl AsyncRead for Staged {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.at == this.chunk.len() {
            let pending = this.pending.get_or_insert_with(|| {
                let (scope, batch, number) = (this.scope.clone(), this.batch, this.next);
                async move { scope.uploads().chunk(batch, number).await }.boxed()
            });
            let Poll::Ready(result) = pending.poll_unpin(context) else {
                return Poll::Pending;
            };
            this.pending = None;
            match result {
                Ok(Some(chunk)) => {
                    this.chunk = chunk;
                    this.at = 0;
                    this.next += 1;
                }
                Ok(None) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(io::Error::other(error.to_string()))),
            }
        }
        let count = buffer.remaining().min(this.chunk.len() - this.at);
        buffer.put_slice(&this.chunk[this.at..this.at + count]);
        this.at += count;
        Poll::Ready(Ok(()))
    }
}
