//! The ledger of imports. A chunk's values, its offset and its rejects commit together, so what was acknowledged is
//! what is stored; a chunk that was taken already is recognised by its offset and changes nothing.

use chrono::NaiveDate;
use domain::{
    id::{BatchId, MappingId},
    ingest::{Batch, BatchCounts, BatchState, Reject},
    metric::MetricValue,
    page::{Page, PageRequest},
};

use crate::{
    ChunkCounts, Error, Executor, Unit,
    executor::sealed::Run,
    keyset::{self, TimeKey, decode_number},
    row::{Row, json, name, params, placeholders},
};

/// Imports of a scope or unit.
pub struct Ingest<'a, E>(pub(crate) &'a E);

/// An import to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBatch {
    /// The id; opening the same one again gives the ledger as it stands.
    pub id: BatchId,
    /// The saved mapping.
    pub mapping: MappingId,
    /// Name of the file or stream; also the source of its values.
    pub source: String,
}

/// What became of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkOutcome {
    /// It was taken; the ledger after it.
    Taken(Batch),
    /// It had been taken before; the ledger as it stands.
    Repeated(Batch),
}

fn read(row: &Row) -> Result<Batch, Error> {
    Ok(Batch {
        id: BatchId(row.get("id")?),
        mapping: MappingId(row.get("mapping_id")?),
        source: row.get("source")?,
        digest: row.get("digest")?,
        state: row.named("state")?,
        offset: row.count("taken")?,
        counts: row.json("counts")?,
        error: row.get("error")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

impl<E: Executor> Ingest<'_, E> {
    /// One import.
    ///
    /// # Errors
    /// `ingest.unknown_batch`.
    pub async fn get(&self, id: BatchId) -> Result<Batch, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM ingest_batches WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| {
            domain::Error::not_found("ingest.unknown_batch", format!("there is no import {id}"))
                .into()
        })
    }

    /// Imports, newest first.
    ///
    /// # Errors
    /// `page.cursor` for a cursor that is none.
    pub async fn list(&self, page: &PageRequest) -> Result<Page<Batch>, Error> {
        let limit = keyset::limit(page);
        let mut sql = "SELECT * FROM ingest_batches WHERE org_id = $1".to_owned();
        let mut params = params![limit + 1];
        if let Some(after) = &page.after {
            let key = TimeKey::decode(after)?;
            sql.push_str(" AND (created_at, id) < ($3, $4)");
            params.extend(params![key.at, key.id]);
        }
        sql.push_str(" ORDER BY created_at DESC, id DESC LIMIT $2");
        let rows = self
            .0
            .rows(&sql, params)
            .await?
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(keyset::page(rows, limit, |b| {
            TimeKey {
                at: b.created_at,
                id: b.id.0,
            }
            .encode()
        }))
    }

    /// Rows an import refused, in the order of the file.
    ///
    /// # Errors
    /// `page.cursor` for a cursor that is none.
    pub async fn rejects(&self, batch: BatchId, page: &PageRequest) -> Result<Page<Reject>, Error> {
        let limit = keyset::limit(page);
        let after = page
            .after
            .as_deref()
            .map(decode_number)
            .transpose()?
            .unwrap_or(0);
        let sql = "SELECT * FROM ingest_rejects WHERE org_id = $1 AND batch_id = $2 AND number > $3 ORDER BY number LIMIT $4";
        let rows = self.0.rows(sql, params![batch.0, after, limit + 1]).await?;
        let rows = rows
            .iter()
            .map(|row| {
                let reject = Reject {
                    line: row.count("line")?,
                    column: row.get("column_name")?,
                    code: row.get("code")?,
                    message: row.get("message")?,
                    raw: row.get("raw")?,
                };
                Ok((row.get::<i64>("number")?, reject))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(keyset::page(rows, limit, |(number, _)| number.to_string()).map(|(_, reject)| reject))
    }
}

impl Ingest<'_, Unit> {
    /// Opens an import. Opening the same id again returns the ledger, so that it can go on from its offset.
    ///
    /// # Errors
    /// `storage.unknown_reference` when the mapping does not exist.
    pub async fn open(&self, new: &NewBatch) -> Result<Batch, Error> {
        let sql = "INSERT INTO ingest_batches (org_id, id, mapping_id, source, digest, state, taken, counts, created_at, updated_at) \
                   VALUES ($1, $2, $3, $4, '', $5, 0, $6, $7, $7) ON CONFLICT (org_id, id) DO NOTHING";
        let counts = json(&BatchCounts::default())?;
        let params = params![
            new.id.0,
            new.mapping.0,
            new.source.clone(),
            name(&BatchState::Open),
            counts,
            self.0.now()
        ];
        self.0.execute(sql, params).await?;
        self.get(new.id).await
    }

    /// Takes a chunk: the values between `expected_offset` and `new_offset` of the parser's output. `parsed` counts what
    /// the parser did with the chunk (accepted, merged, dropped); refused are the `rejects` that are new. Everything commits with the unit.
    ///
    /// # Errors
    /// `ingest.gap` when an earlier chunk is missing, `ingest.closed` when the import has ended, and those of
    /// [`Values::upsert_chunk`](crate::Values::upsert_chunk).
    #[allow(
        clippy::too_many_arguments,
        reason = "a chunk is these seven things, and they are written in one place"
    )]
    pub async fn take_chunk(
        &self,
        batch: BatchId,
        expected_offset: u64,
        new_offset: u64,
        values: &[MetricValue],
        restate_from: Option<NaiveDate>,
        parsed: &BatchCounts,
        rejects: &[Reject],
    ) -> Result<ChunkOutcome, Error> {
        self.0.serialise(&format!("batch|{batch}")).await?;
        let ledger = self.get(batch).await?;
        if ledger.offset >= new_offset && new_offset > expected_offset {
            return Ok(ChunkOutcome::Repeated(ledger));
        }
        let written = self
            .0
            .values()
            .upsert_chunk(batch, &ledger.source, values, restate_from)
            .await?;
        self.commit_chunk(
            batch,
            expected_offset,
            new_offset,
            &with_written(parsed, written),
            rejects,
        )
        .await
    }

    /// Advances an import's offset and adds up its counts and rejects; [`Ingest::take_chunk`] does this together with the
    /// values.
    ///
    /// # Errors
    /// `ingest.gap` when an earlier chunk is missing, `ingest.closed` when the import has ended.
    pub async fn commit_chunk(
        &self,
        batch: BatchId,
        expected_offset: u64,
        new_offset: u64,
        counts: &BatchCounts,
        rejects: &[Reject],
    ) -> Result<ChunkOutcome, Error> {
        self.0.serialise(&format!("batch|{batch}")).await?;
        let ledger = self.get(batch).await?;
        if ledger.offset >= new_offset && new_offset > expected_offset {
            return Ok(ChunkOutcome::Repeated(ledger));
        }
        if ledger.state != BatchState::Open {
            return Err(domain::Error::conflict(
                "ingest.closed",
                format!("the import {batch} has ended"),
            )
            .advise("start a new import; values that are there already change nothing")
            .into());
        }
        if ledger.offset != expected_offset {
            let message = format!(
                "the import stands at offset {}, not at {expected_offset}",
                ledger.offset
            );
            return Err(domain::Error::conflict("ingest.gap", message)
                .advise("send the chunk that follows that offset")
                .into());
        }
        // A chunk that only refuses rows does not move the offset; rows refused before are recognised by line and column.
        let refused = self.refuse(batch, rejects).await?;
        let total = add(&ledger.counts, &BatchCounts { refused, ..*counts });
        let sql = "UPDATE ingest_batches SET taken = $3, counts = $4, updated_at = $5 WHERE org_id = $1 AND id = $2 AND taken = $6";
        let params = params![
            batch.0,
            to_i64(new_offset)?,
            json(&total)?,
            self.0.now(),
            to_i64(expected_offset)?
        ];
        if self.0.execute(sql, params).await? == 0 {
            return Err(
                domain::Error::conflict("ingest.gap", "another process moved this import")
                    .advise("read its offset again")
                    .into(),
            );
        }
        Ok(ChunkOutcome::Taken(self.get(batch).await?))
    }

    /// Keeps refused rows and says how many of them are new.
    async fn refuse(&self, batch: BatchId, rejects: &[Reject]) -> Result<u64, Error> {
        if rejects.is_empty() {
            return Ok(0);
        }
        let sql = "SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) AS number FROM ingest_rejects WHERE org_id = $1 AND batch_id = $2";
        let mut number: i64 = match self.0.row(sql, params![batch.0]).await? {
            Some(row) => row.get("number")?,
            None => 0,
        };
        let mut new = 0;
        for rejects in rejects.chunks(500) {
            let mut sql =
                "INSERT INTO ingest_rejects (org_id, batch_id, number, line, column_name, code, message, raw) VALUES ".to_owned();
            let mut params = params![batch.0];
            for (index, reject) in rejects.iter().enumerate() {
                number += 1;
                if index > 0 {
                    sql.push(',');
                }
                sql.push_str(&format!("($1,$2,{})", placeholders(params.len() + 2, 6)));
                params.extend(params![
                    number,
                    to_i64(reject.line)?,
                    reject.column.clone(),
                    reject.code.clone(),
                    reject.message.clone(),
                    reject.raw.clone()
                ]);
            }
            sql.push_str(" ON CONFLICT (org_id, batch_id, line, column_name) DO NOTHING");
            new += self.0.execute(&sql, params).await?;
        }
        Ok(new)
    }

    /// Ends an import: everything was taken. `digest` is the SHA-256 of the file in hex.
    ///
    /// # Errors
    /// `ingest.unknown_batch`.
    pub async fn complete(&self, batch: BatchId, digest: &str) -> Result<Batch, Error> {
        self.end(batch, BatchState::Complete, digest, None).await
    }

    /// Ends an import on an error. What was acknowledged stays.
    ///
    /// # Errors
    /// `ingest.unknown_batch`.
    pub async fn fail(&self, batch: BatchId, error: &str) -> Result<Batch, Error> {
        self.end(batch, BatchState::Failed, "", Some(error)).await
    }

    async fn end(
        &self,
        batch: BatchId,
        state: BatchState,
        digest: &str,
        error: Option<&str>,
    ) -> Result<Batch, Error> {
        let sql = "UPDATE ingest_batches SET state = $3, digest = $4, error = $5, updated_at = $6 \
                   WHERE org_id = $1 AND id = $2 AND state = 'open'";
        self.0
            .execute(
                sql,
                params![
                    batch.0,
                    name(&state),
                    digest,
                    error.map(str::to_owned),
                    self.0.now()
                ],
            )
            .await?;
        self.get(batch).await
    }
}

fn to_i64(number: u64) -> Result<i64, Error> {
    i64::try_from(number)
        .map_err(|_| domain::Error::invalid("ingest.offset", "the offset is too large").into())
}

fn with_written(parsed: &BatchCounts, written: ChunkCounts) -> BatchCounts {
    BatchCounts {
        inserted: written.inserted,
        updated: written.updated,
        unchanged: written.unchanged,
        outside_window: written.outside_window,
        ..*parsed
    }
}

fn add(a: &BatchCounts, b: &BatchCounts) -> BatchCounts {
    BatchCounts {
        accepted: a.accepted + b.accepted,
        merged: a.merged + b.merged,
        dropped: a.dropped + b.dropped,
        filled: a.filled + b.filled,
        refused: a.refused + b.refused,
        inserted: a.inserted + b.inserted,
        updated: a.updated + b.updated,
        unchanged: a.unchanged + b.unchanged,
        outside_window: a.outside_window + b.outside_window,
    }
}
