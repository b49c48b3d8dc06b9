//! Bytes of imports that come in chunks. A chunk that was answered is stored; sending it again changes nothing.

use domain::{id::BatchId, ingest::BatchState};
use sha2::{Digest, Sha256};

use crate::{
    Error, Executor, Unit,
    executor::sealed::Run,
    row::{name, params},
};

/// Chunks of a scope or unit.
pub struct Uploads<'a, E>(pub(crate) &'a E);

/// Most bytes of one chunk: it is one parameter of one statement.
pub(crate) const CHUNK_BYTES: usize = 16 << 20;

/// What is stored of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Number of chunks.
    pub chunks: u64,
    /// Their bytes together.
    pub bytes: u64,
    /// The highest number, from 0; `None` without a chunk.
    pub last: Option<u64>,
}

impl Stored {
    /// Whether every chunk from 0 to the last is there.
    pub fn has_no_gap(&self) -> bool {
        self.last.map_or(0, |last| last + 1) == self.chunks
    }
}

impl<E: Executor> Uploads<'_, E> {
    /// What is stored of an upload.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn stored(&self, batch: BatchId) -> Result<Stored, Error> {
        let sql = "SELECT COUNT(*) AS chunks, CAST(COALESCE(SUM(size), 0) AS BIGINT) AS bytes, MAX(number) AS last_number \
                   FROM ingest_chunks WHERE org_id = $1 AND batch_id = $2";
        let row = self
            .0
            .row(sql, params![batch.0])
            .await?
            .ok_or_else(|| Error::internal("an aggregate gave no row"))?;
        let last: Option<i64> = row.get("last_number")?;
        Ok(Stored {
            chunks: row.count("chunks")?,
            bytes: row.count("bytes")?,
            last: last.and_then(|last| u64::try_from(last).ok()),
        })
    }

    /// The bytes of one chunk; `None` when it is not there.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn chunk(&self, batch: BatchId, number: u64) -> Result<Option<Vec<u8>>, Error> {
        let sql =
            "SELECT content FROM ingest_chunks WHERE org_id = $1 AND batch_id = $2 AND number = $3";
        let row = self.0.row(sql, params![batch.0, numbered(number)?]).await?;
        row.map(|row| row.get("content")).transpose()
    }
}

impl Uploads<'_, Unit> {
    /// Stores a chunk. The same bytes under the same number again change nothing.
    ///
    /// # Errors
    /// `ingest.chunk_too_large`; `ingest.closed` when the upload is finished; `ingest.chunk_differs` when other bytes stand
    /// under that number.
    pub async fn put(&self, batch: BatchId, number: u64, content: &[u8]) -> Result<(), Error> {
        if content.len() > CHUNK_BYTES {
            return Err(domain::Error::new(
                domain::ErrorKind::TooLarge,
                "ingest.chunk_too_large",
                format!("a chunk has at most {CHUNK_BYTES} bytes"),
            )
            .into());
        }
        self.0.serialise(&format!("batch|{batch}")).await?;
        let digest = Sha256::digest(content).to_vec();
        let sql =
            "SELECT digest FROM ingest_chunks WHERE org_id = $1 AND batch_id = $2 AND number = $3";
        if let Some(row) = self.0.row(sql, params![batch.0, numbered(number)?]).await? {
            if row.get::<Vec<u8>>("digest")? == digest {
                return Ok(());
            }
            return Err(domain::Error::conflict(
                "ingest.chunk_differs",
                format!("chunk {number} was sent before with other bytes"),
            )
            .advise("open a new import for another file")
            .into());
        }
        let ledger = self.0.ingest().get(batch).await?;
        if ledger.state != BatchState::Open || !ledger.digest.is_empty() {
            return Err(domain::Error::conflict(
                "ingest.closed",
                format!("the upload of {batch} is finished"),
            )
            .advise("open a new import")
            .into());
        }
        let sql = "INSERT INTO ingest_chunks (org_id, batch_id, number, digest, size, content) VALUES ($1, $2, $3, $4, $5, $6)";
        let size = i64::try_from(content.len())
            .map_err(|_| Error::internal("a chunk is larger than its limit"))?;
        self.0
            .execute(
                sql,
                params![batch.0, numbered(number)?, digest, size, content.to_vec()],
            )
            .await?;
        Ok(())
    }

    /// Closes an upload: no chunk comes after this. `digest` is the SHA-256 of all chunks in order, in hex. Closing it
    /// again changes nothing.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn seal(&self, batch: BatchId, digest: &str) -> Result<(), Error> {
        let sql = "UPDATE ingest_batches SET digest = $3, updated_at = $4 \
                   WHERE org_id = $1 AND id = $2 AND state = $5 AND digest = ''";
        self.0
            .execute(
                sql,
                params![batch.0, digest, self.0.now(), name(&BatchState::Open)],
            )
            .await?;
        Ok(())
    }

    /// Forgets the bytes of an import that has ended.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn clear(&self, batch: BatchId) -> Result<(), Error> {
        self.0
            .execute(
                "DELETE FROM ingest_chunks WHERE org_id = $1 AND batch_id = $2",
                params![batch.0],
            )
            .await?;
        Ok(())
    }
}

fn numbered(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| {
        domain::Error::invalid(
            "ingest.chunk_number",
            "the number of the chunk is too large",
        )
        .into()
    })
}
