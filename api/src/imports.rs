//! Imports: a file comes in by chunks, a durable job reads it in a child process, and every refused row is kept.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{
    ErrorKind,
    id::{BatchId, MappingId},
};
use futures::StreamExt;
use poem::{Body, Request};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::{Binary, Json},
};

use crate::{
    App, Tag,
    answer::{Accepted, Created},
    auth::Caller,
    mirror::{Id, Mirror, mirror, mirror_enum},
    page::{self, Listed},
    permissions::BASE,
    problem::{Answer, Problem},
};

/// A streamed file is kept in pieces of this many bytes.
const PIECE: usize = 1024 * 1024;
/// The longest wait for the next bytes of a streamed file.
const PIECE_TIME: Duration = Duration::from_secs(30);

fn too_slow() -> Problem {
    let seconds = PIECE_TIME.as_secs();
    Problem::new(
        ErrorKind::Timeout,
        "request.timeout",
        format!("no byte came for {seconds} seconds"),
    )
    .advise("send the file in chunks, then a break costs nothing")
}

mirror_enum! {
    /// Where an import stands.
    BatchState of domain::ingest::BatchState {
        /// Chunks are coming in.
        Open,
        /// Everything was taken.
        Complete,
        /// It stopped on an error; what was acknowledged stays, and the same file can be sent again.
        Failed,
    }
}

mirror! {
    /// What an import did, in values (not in lines of the file).
    BatchCounts of domain::ingest::BatchCounts {
        /// Values read from the file that passed every check.
        accepted: u64,
        /// Values added up into another one of the same key.
        merged: u64,
        /// Values left out because the mapping says so.
        dropped: u64,
        /// Zeros written for periods without a row, because the mapping says `absent = "zero"`.
        filled: u64,
        /// Values refused, each kept with its reason.
        refused: u64,
        /// Values that are new in the database.
        inserted: u64,
        /// Values that changed one in the database.
        updated: u64,
        /// Values that were there already, the same.
        unchanged: u64,
        /// Values older than the restatement window that differ and were not taken.
        outside_window: u64,
    }
}

mirror! {
    /// One import.
    Batch of domain::ingest::Batch {
        /// The id.
        id: Id<BatchId>,
        /// The saved mapping.
        mapping: Id<MappingId>,
        /// Name of the file or stream, for people and as `source` of the values.
        source: String,
        /// SHA-256 of the file, in hex; empty while it is still coming in.
        digest: String,
        /// Where it stands.
        state: BatchState,
        /// Everything before this offset is durable: the number of output values of the parser that were committed.
        offset: u64,
        /// Counts so far.
        counts: BatchCounts,
        /// Error of a failed import.
        error: Option<String>,
        /// When it began.
        created_at: DateTime<Utc>,
        /// When it last moved.
        updated_at: DateTime<Utc>,
    }
}

mirror! {
    /// A refused row.
    Reject of domain::ingest::Reject {
        /// Line in the file, from 1.
        line: u64,
        /// Column, empty when the whole row was refused.
        column: String,
        /// Stable reason code, such as `value.not_a_number`.
        code: String,
        /// What is wrong and what would be right.
        message: String,
        /// The text as it stood in the file, cut to 200 characters.
        raw: String,
    }
}

/// An import to be opened.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ImportOpen {
    /// The saved mapping.
    pub(crate) mapping_id: Id<MappingId>,
    /// Name of the file or stream.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) source: String,
}

/// Imports.
pub(crate) struct ImportApi(pub(crate) App);

#[OpenApi(tag = "Tag::Imports")]
impl ImportApi {
    /// Import a file in one request.
    ///
    /// The body is streamed and kept before the answer; then a durable job reads it. The same file again changes
    /// nothing.
    #[oai(path = "/imports", method = "post", operation_id = "import_create")]
    async fn create(
        &self,
        caller: Caller,
        /// The saved mapping.
        mapping_id: Query<Id<MappingId>>,
        /// Name of the file or stream.
        #[oai(validator(min_length = 1, max_length = 200))]
        source: Query<String>,
        /// The file, as it is.
        body: Binary<Body>,
    ) -> Answer<Accepted<Batch>> {
        let importer = &self.0.state.importer;
        let batch = importer
            .open(&caller.principal, mapping_id.0.0, Some(source.0))
            .await?;
        let limit = self.0.state.http.import_limit;
        let mut pieces = Box::pin(body.0.into_bytes_stream());
        let (mut buffer, mut number, mut total) = (Vec::with_capacity(PIECE), 0_u64, 0_u64);
        while let Some(piece) = tokio::time::timeout(PIECE_TIME, pieces.next())
            .await
            .map_err(|_| too_slow())?
        {
            let piece = piece.map_err(|error| {
                Problem::malformed(format!("the body could not be read: {error}"))
            })?;
            total += piece.len() as u64;
            if total > limit {
                return Err(Problem::new(
                    ErrorKind::TooLarge,
                    "ingest.too_many_bytes",
                    format!("a file has at most {limit} bytes"),
                )
                .advise("split it; parts of a file can be imported one after the other"));
            }
            for slice in piece.chunks(PIECE) {
                buffer.extend_from_slice(slice);
                if buffer.len() >= PIECE {
                    importer
                        .put_chunk(
                            &caller.principal,
                            batch.id,
                            number,
                            std::mem::take(&mut buffer),
                        )
                        .await?;
                    number += 1;
                }
            }
        }
        if !buffer.is_empty() || number == 0 {
            importer
                .put_chunk(&caller.principal, batch.id, number, buffer)
                .await?;
        }
        let batch = importer.finish(&caller.principal, batch.id).await?;
        let location = format!("{BASE}/imports/{}", batch.id);
        Ok(Accepted::Accepted(Json(Mirror::of(batch)), location))
    }

    /// Open an import that is sent in chunks.
    ///
    /// For long files and bad networks: a chunk that was answered with 2xx is never lost and need not be sent again.
    #[oai(path = "/imports/open", method = "post", operation_id = "import_open")]
    async fn open(&self, caller: Caller, body: Json<ImportOpen>) -> Answer<Created<Batch>> {
        let ImportOpen { mapping_id, source } = body.0;
        let batch = self
            .0
            .state
            .importer
            .open(&caller.principal, mapping_id.0, Some(source))
            .await?;
        let location = format!("{BASE}/imports/{}", batch.id);
        Ok(Created::Created(Json(Mirror::of(batch)), location))
    }

    /// Send one chunk.
    ///
    /// 2xx means that it is durable. The same number again with the same bytes changes nothing.
    #[oai(
        path = "/imports/:batch_id/chunks/:number",
        method = "put",
        operation_id = "import_chunk_put"
    )]
    async fn chunk(
        &self,
        caller: Caller,
        batch_id: Path<Id<BatchId>>,
        /// Number of the chunk, from 0 without holes.
        number: Path<u32>,
        /// The bytes.
        body: Binary<Vec<u8>>,
    ) -> Answer<Json<Batch>> {
        let number = u64::from(number.0);
        let batch = self
            .0
            .state
            .importer
            .put_chunk(&caller.principal, batch_id.0.0, number, body.0)
            .await?;
        Ok(Json(Mirror::of(batch)))
    }

    /// Finish an import that was sent in chunks.
    ///
    /// A durable job reads it now. Finishing again changes nothing.
    #[oai(
        path = "/imports/:batch_id/finish",
        method = "post",
        operation_id = "import_finish"
    )]
    async fn finish(&self, caller: Caller, batch_id: Path<Id<BatchId>>) -> Answer<Accepted<Batch>> {
        let batch = self
            .0
            .state
            .importer
            .finish(&caller.principal, batch_id.0.0)
            .await?;
        let location = format!("{BASE}/imports/{}", batch.id);
        Ok(Accepted::Accepted(Json(Mirror::of(batch)), location))
    }

    /// List the imports.
    ///
    /// Newest first.
    #[oai(path = "/imports", method = "get", operation_id = "import_list")]
    async fn list(
        &self,
        request: &Request,
        caller: Caller,
        /// Rows on a page, 1 to 200.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<Listed<Batch>> {
        let wanted = page::request(limit.0, cursor.0)?;
        let found = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .ingest()
            .list(&wanted)
            .await?;
        Ok(page::listed(request, found))
    }

    /// Get an import.
    ///
    /// How far it is, and what it did.
    #[oai(
        path = "/imports/:batch_id",
        method = "get",
        operation_id = "import_get"
    )]
    async fn get(&self, caller: Caller, batch_id: Path<Id<BatchId>>) -> Answer<Json<Batch>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .storage
                .scope(caller.grant())
                .ingest()
                .get(batch_id.0.0)
                .await?,
        )))
    }

    /// List the rows an import refused.
    ///
    /// With line, reason and the text as it stood in the file.
    #[oai(
        path = "/imports/:batch_id/rejects",
        method = "get",
        operation_id = "import_rejects"
    )]
    async fn rejects(
        &self,
        request: &Request,
        caller: Caller,
        batch_id: Path<Id<BatchId>>,
        /// Rows on a page, 1 to 200.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<Listed<Reject>> {
        let wanted = page::request(limit.0, cursor.0)?;
        let found = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .ingest()
            .rejects(batch_id.0.0, &wanted)
            .await?;
        Ok(page::listed(request, found))
    }
}
