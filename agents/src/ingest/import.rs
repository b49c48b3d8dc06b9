//! One import from its first to its last unit of work.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use analytics::ingest::Summary;
use chrono::{Days, NaiveDate};
use domain::{
    ErrorKind,
    access::{Permission, Principal},
    event::{EventKind, NewEvent},
    id::{BatchId, MappingId},
    ingest::{Batch, BatchCounts, BatchState, Reject},
    mapping::Mapping,
};
use sha2::{Digest, Sha256};
use storage::{NewBatch, SavedMapping, Storage};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{
    Limits, Program,
    child::Parse,
    definitions::{self, Known},
    frame::{Frame, NamedValue, Request},
};
use crate::Error;

/// Lives a worker process may lose to somebody's `kill -9` within one import.
const WORKER_LIVES: u32 = 4;

/// How imports run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the worker process is started.
    pub program: Program,
    /// What one parse may use.
    pub limits: Limits,
    /// Values in one unit of work at most.
    pub unit_values: usize,
}

/// What an import did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The ledger at the end.
    pub batch: Batch,
    /// What the parser saw of the whole file.
    pub summary: Summary,
}

/// Imports files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Importer {
    pub(super) storage: Storage,
    settings: Arc<Settings>,
}

impl Importer {
    /// An importer on `storage`.
    pub fn new(storage: Storage, settings: Settings) -> Self {
        Self {
            storage,
            settings: Arc::new(settings),
        }
    }

    /// What one parse may use.
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Checks a mapping and saves it under its name; another text under the same name is its next version.
    ///
    /// # Errors
    /// `mapping.malformed`, `mapping.invalid`, `access.forbidden`.
    pub async fn save_mapping(
        &self,
        principal: &Principal,
        text: &str,
    ) -> Result<SavedMapping, Error> {
        let mapping = analytics::ingest::read_mapping(text)?;
        let grant = principal.grant(Permission::MappingWrite)?;
        let text = text.to_owned();
        let saved = self
            .storage
            .unit(&grant, move |u| {
                let (name, text) = (mapping.name.clone(), text.clone());
                Box::pin(async move {
                    let saved = u.mappings().save(&name, &text).await?;
                    u.audit()
                        .record(
                            "mapping.saved",
                            &saved.id.to_string(),
                            serde_json::json!({ "version": saved.version }),
                        )
                        .await?;
                    Ok(saved)
                })
            })
            .await?;
        Ok(saved)
    }

    /// Opens an import whose content will come in chunks. Without a `source` the values are those of the mapping's name.
    ///
    /// # Errors
    /// `mapping.unknown`, `access.forbidden`.
    pub async fn open(
        &self,
        principal: &Principal,
        mapping: MappingId,
        source: Option<String>,
    ) -> Result<Batch, Error> {
        let saved = self.mapping(principal, mapping).await?;
        self.open_as(principal, BatchId(self.storage.fresh_id()), &saved, source)
            .await
    }

    /// Imports a file that this process can read. `heard` is told of the ledger after every unit that is durable.
    ///
    /// # Errors
    /// `ingest.file` when it cannot be read; whatever the mapping, the parser and the storage refuse. What was
    /// acknowledged stays, and the same call again goes on from there.
    pub async fn import_file(
        &self,
        principal: &Principal,
        mapping: MappingId,
        source: Option<String>,
        path: &Path,
        heard: &(dyn Fn(&Batch) + Send + Sync),
    ) -> Result<Report, Error> {
        let saved = self.mapping(principal, mapping).await?;
        let digest = digest_of(path).await?;
        let batch = self
            .open_or_resume(principal, &saved, source, &digest)
            .await?;
        heard(&batch);
        self.run(
            principal,
            batch.id,
            Input::File(path.to_owned()),
            &digest,
            heard,
        )
        .await
    }

    /// Runs an open import to its end.
    pub(super) async fn run(
        &self,
        principal: &Principal,
        batch: BatchId,
        input: Input,
        digest: &str,
        heard: &(dyn Fn(&Batch) + Send + Sync),
    ) -> Result<Report, Error> {
        let mut lives = WORKER_LIVES;
        loop {
            match self.attempt(principal, batch, &input, digest, heard).await {
                Err(Error::Domain(error)) if error.code == "ingest.worker_killed" && lives > 1 => {
                    lives -= 1;
                    tracing::warn!(%batch, lives, "the parsing process was killed; the import goes on from its offset");
                }
                Err(error) if is_taken_over(&error) && lives > 1 => {
                    lives -= 1;
                    tracing::info!(%batch, lives, "another process imports the same content; this one goes on from its offset");
                }
                Err(error) => {
                    self.settle(principal, batch, &error).await?;
                    return Err(error);
                }
                Ok(report) => return Ok(report),
            }
        }
    }

    async fn attempt(
        &self,
        principal: &Principal,
        id: BatchId,
        input: &Input,
        digest: &str,
        heard: &(dyn Fn(&Batch) + Send + Sync),
    ) -> Result<Report, Error> {
        let read = self
            .storage
            .scope(&principal.grant(Permission::IngestWrite)?);
        let batch = read.ingest().get(id).await?;
        let saved = read.mappings().get(batch.mapping).await?;
        let mapping = analytics::ingest::read_mapping(&saved.text)?;
        let organisation = read.organisations().get().await?;
        let day = organisation
            .as_of
            .unwrap_or_else(|| batch.created_at.date_naive());
        let mut writer = Writer {
            importer: self,
            principal,
            batch: id,
            offset: batch.offset,
            restate_from: restate_from(&mapping, day),
            known: Known::default(),
            values: Vec::new(),
            rejects: Vec::new(),
            end: batch.offset,
        };
        writer.define(&mapping).await?;
        let request = Request {
            mapping,
            limits: self.settings.limits,
            skip: batch.offset,
        };
        let mut parse = Parse::start(
            &self.settings.program,
            &request,
            input.open(self, principal).await?,
        )?;
        let mut summary = None;
        loop {
            let frame = match parse.next().await {
                Ok(frame) => frame,
                Err(error) => {
                    // Everything before the error is good and is kept.
                    writer.commit(heard).await?;
                    return Err(error.into());
                }
            };
            match frame {
                Some(Frame::Items {
                    values,
                    rejects,
                    end,
                }) => writer.take(values, rejects, end, heard).await?,
                Some(Frame::End { summary: all }) => summary = Some(all),
                Some(Frame::Failed { .. }) | None => break,
            }
        }
        let summary = summary.ok_or_else(|| {
            domain::Error::new(
                ErrorKind::Unavailable,
                "ingest.worker_killed",
                "the parsing process said nothing more",
            )
        })?;
        writer.commit(heard).await?;
        let batch = writer.complete(&summary, digest).await?;
        heard(&batch);
        Ok(Report { batch, summary })
    }

    /// An import that can never succeed is marked so. One that was only interrupted stays open, and goes on when the
    /// same file comes again.
    async fn settle(
        &self,
        principal: &Principal,
        batch: BatchId,
        error: &Error,
    ) -> Result<(), Error> {
        use domain::Classify;
        if is_taken_over(error)
            || !matches!(
                error.kind(),
                ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Conflict
            )
        {
            return Ok(());
        }
        let grant = principal.grant(Permission::IngestWrite)?;
        let message = error.to_string();
        self.storage
            .unit(&grant, move |u| {
                let message = message.clone();
                Box::pin(async move {
                    // Another process may have ended it; then it was announced already.
                    if u.ingest().get(batch).await?.state != BatchState::Open {
                        return Ok(());
                    }
                    let ended = u.ingest().fail(batch, &message).await?;
                    announce(u, &ended).await
                })
            })
            .await?;
        Ok(())
    }

    pub(super) async fn mapping(
        &self,
        principal: &Principal,
        id: MappingId,
    ) -> Result<SavedMapping, Error> {
        let scope = self
            .storage
            .scope(&principal.grant(Permission::IngestWrite)?);
        Ok(scope.mappings().get(id).await?)
    }

    async fn open_as(
        &self,
        principal: &Principal,
        id: BatchId,
        saved: &SavedMapping,
        source: Option<String>,
    ) -> Result<Batch, Error> {
        let grant = principal.grant(Permission::IngestWrite)?;
        let new = NewBatch {
            id,
            mapping: saved.id,
            source: source.unwrap_or_else(|| saved.name.clone()),
        };
        let batch = self
            .storage
            .unit(&grant, move |u| {
                let new = new.clone();
                Box::pin(async move {
                    let batch = u.ingest().open(&new).await?;
                    if batch.offset == 0 {
                        u.audit()
                            .record(
                                "import.opened",
                                &batch.id.to_string(),
                                serde_json::json!({ "source": batch.source }),
                            )
                            .await?;
                    }
                    Ok(batch)
                })
            })
            .await?;
        Ok(batch)
    }

    /// The unfinished import of the same content, or a new one.
    async fn open_or_resume(
        &self,
        principal: &Principal,
        saved: &SavedMapping,
        source: Option<String>,
        digest: &str,
    ) -> Result<Batch, Error> {
        let scope = self
            .storage
            .scope(&principal.grant(Permission::IngestWrite)?);
        let label = source.clone().unwrap_or_else(|| saved.name.clone());
        // An id made from what is imported: whoever imports it again finds the ledger, finished or not.
        for time in 0_u32.. {
            let id = BatchId::derive(&[
                &principal.org().to_string(),
                &saved.id.to_string(),
                &saved.version.to_string(),
                &label,
                digest,
                &time.to_string(),
            ]);
            match scope.ingest().get(id).await {
                Ok(batch) if batch.state == BatchState::Open => return Ok(batch),
                Ok(_) => {}
                Err(error) if domain::Classify::kind(&error) == ErrorKind::NotFound => {
                    return self.open_as(principal, id, saved, source).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(domain::Error::conflict("ingest.too_often", "this file was imported too often").into())
    }
}

/// Whether another process moved or ended the import meanwhile: nothing is wrong with the content.
fn is_taken_over(error: &Error) -> bool {
    use domain::Classify;
    matches!(error.code(), "ingest.gap" | "ingest.closed")
}

/// First period that may still be restated; `None` is any.
fn restate_from(mapping: &Mapping, day: NaiveDate) -> Option<NaiveDate> {
    let weeks = mapping.restatement_weeks?;
    day.checked_sub_days(Days::new(7 * u64::from(weeks)))
}

/// SHA-256 of a file in hex.
async fn digest_of(path: &Path) -> Result<String, Error> {
    let mut file = tokio::fs::File::open(path)
        .await
        .map_err(|error| unreadable(path, &error))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file
            .read(&mut buffer)
            .await
            .map_err(|error| unreadable(path, &error))?;
        if count == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..count]);
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    domain::Error::invalid(
        "ingest.file",
        format!("cannot read {}: {error}", path.display()),
    )
    .into()
}

/// Where the bytes come from. It can be opened again, because a killed worker starts from the first byte.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// A file.
    File(PathBuf),
    /// Chunks that were sent and stored.
    Staged(BatchId),
}

impl Input {
    async fn open(
        &self,
        importer: &Importer,
        principal: &Principal,
    ) -> Result<Box<dyn AsyncRead + Send + Unpin>, Error> {
        match self {
            Self::File(path) => {
                let file = tokio::fs::File::open(path)
                    .await
                    .map_err(|error| unreadable(path, &error))?;
                Ok(Box::new(file))
            }
            Self::Staged(batch) => Ok(Box::new(importer.staged(principal, *batch)?)),
        }
    }
}

/// Collects items into units of work.
struct Writer<'a> {
    importer: &'a Importer,
    principal: &'a Principal,
    batch: BatchId,
    /// Everything before it is durable.
    offset: u64,
    restate_from: Option<NaiveDate>,
    known: Known,
    values: Vec<NamedValue>,
    rejects: Vec<Reject>,
    /// Number of the item after the collected ones.
    end: u64,
}

impl Writer<'_> {
    async fn define(&self, mapping: &Mapping) -> Result<(), Error> {
        let grant = self.principal.grant(Permission::IngestWrite)?;
        let mapping = mapping.clone();
        self.importer
            .storage
            .unit(&grant, move |u| {
                let mapping = mapping.clone();
                Box::pin(async move { definitions::define(u, &mapping).await })
            })
            .await?;
        Ok(())
    }

    async fn take(
        &mut self,
        values: Vec<NamedValue>,
        rejects: Vec<Reject>,
        end: u64,
        heard: &(dyn Fn(&Batch) + Send + Sync),
    ) -> Result<(), Error> {
        self.values.extend(values);
        self.rejects.extend(rejects);
        self.end = end;
        if self.values.len() + self.rejects.len() >= self.importer.settings.unit_values {
            self.commit(heard).await?;
        }
        Ok(())
    }

    /// Values, refused rows and the offset, together. Returning means durable.
    async fn commit(&mut self, heard: &(dyn Fn(&Batch) + Send + Sync)) -> Result<(), Error> {
        if self.end == self.offset {
            return Ok(());
        }
        let grant = self.principal.grant(Permission::IngestWrite)?;
        let (batch, from, to, restate_from) =
            (self.batch, self.offset, self.end, self.restate_from);
        let values = Arc::new(std::mem::take(&mut self.values));
        let rejects = Arc::new(std::mem::take(&mut self.rejects));
        let known = self.known.clone();
        let (outcome, known) = self
            .importer
            .storage
            .unit(&grant, move |u| {
                let (values, rejects, mut known) = (values.clone(), rejects.clone(), known.clone());
                Box::pin(async move {
                    let resolved = known.resolve(u, &values).await?;
                    let outcome = u
                        .ingest()
                        .take_chunk(
                            batch,
                            from,
                            to,
                            &resolved,
                            restate_from,
                            &BatchCounts::default(),
                            &rejects,
                        )
                        .await?;
                    Ok((outcome, known))
                })
            })
            .await?;
        self.known = known;
        self.offset = to;
        match outcome {
            storage::ChunkOutcome::Taken(ledger) | storage::ChunkOutcome::Repeated(ledger) => {
                heard(&ledger)
            }
        }
        Ok(())
    }

    /// Ends the import: the parser's counts, the digest, the event and the audit row, together.
    async fn complete(&self, summary: &Summary, digest: &str) -> Result<Batch, Error> {
        let grant = self.principal.grant(Permission::IngestWrite)?;
        let (batch, offset, digest) = (self.batch, self.offset, digest.to_owned());
        let counts = BatchCounts {
            accepted: summary.accepted,
            merged: summary.merged,
            dropped: summary.dropped,
            filled: summary.filled,
            ..BatchCounts::default()
        };
        let ended = self
            .importer
            .storage
            .unit(&grant, move |u| {
                let digest = digest.clone();
                Box::pin(async move {
                    // Another process may have ended the same import a moment ago; then there is nothing to add.
                    let there = u.ingest().get(batch).await?;
                    if there.state != BatchState::Open {
                        return Ok(there);
                    }
                    u.ingest()
                        .commit_chunk(batch, offset, offset, &counts, &[])
                        .await?;
                    let ended = u.ingest().complete(batch, &digest).await?;
                    announce(u, &ended).await?;
                    Ok(ended)
                })
            })
            .await?;
        Ok(ended)
    }
}

/// Tells of an import that ended, and forgets its staged bytes.
async fn announce(unit: &storage::Unit, batch: &Batch) -> Result<(), storage::Error> {
    let id = batch.id.to_string();
    unit.uploads().clear(batch.id).await?;
    if batch.counts.inserted + batch.counts.updated > 0 {
        let body = serde_json::json!({ "batch": id });
        unit.events()
            .publish(NewEvent {
                kind: EventKind::MetricsIngested,
                key: id.clone(),
                body,
            })
            .await?;
    }
    let detail = serde_json::json!({ "state": batch.state, "counts": batch.counts });
    unit.audit().record("import.ended", &id, detail).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(weeks: Option<u32>) -> Mapping {
        let mut value = serde_json::json!({
            "name": "shop", "granularity": "week", "date": { "column": "week" },
            "brand": { "column": "brand" }, "project": { "constant": "Shop" },
            "metric": [{ "column": "sales", "key": "sales", "section": "marketplace", "role": "outcome", "unit": "currency" }]
        });
        if let Some(weeks) = weeks {
            value["restatement_weeks"] = weeks.into();
        }
        serde_json::from_value(value).expect("a mapping")
    }

    storage::on_both! {
        async fn an_import_that_another_process_moved_or_ended_is_not_failed_or_announced_again(db: TestDatabase) {
            let house = crate::fixture::House::build(&db).await;
            let settings = Settings {
                program: Program {
                    path: "nowhere".into(),
                    arguments: Vec::new(),
                },
                limits: Limits::default(),
                unit_values: 10,
            };
            let importer = Importer::new(Storage::clone(&db), settings);
            let system = house.system();
            let grant = system.grant(Permission::IngestWrite).expect("held");
            let ledger = db.scope(&grant).ingest().get(house.batch).await.expect("read");
            let open = importer.open(&system, ledger.mapping, None).await.expect("opened");
            let moved = db
                .unit(&grant, move |u| {
                    Box::pin(async move { u.ingest().commit_chunk(open.id, 5, 7, &BatchCounts::default(), &[]).await })
                })
                .await
                .expect_err("it stands at 0");
            importer.settle(&system, open.id, &moved.into()).await.expect("settled");
            let state = async || db.scope(&grant).ingest().get(open.id).await.expect("read").state;
            assert_eq!(state().await, BatchState::Open, "the other process goes on");
            let wrong: Error = domain::Error::invalid("ingest.no_header", "no header").into();
            importer.settle(&system, open.id, &wrong).await.expect("settled");
            importer.settle(&system, open.id, &wrong).await.expect("settled again");
            assert_eq!(state().await, BatchState::Failed);
            let ended = db.scope(&grant).audit().of_subject(&open.id.to_string(), 100).await.expect("read");
            assert_eq!(ended.iter().filter(|row| row.action == "import.ended").count(), 1);
        }
    }

    #[test]
    fn the_restatement_window_counts_back_from_the_day_of_the_import() {
        let day = NaiveDate::from_ymd_opt(2024, 3, 15).expect("a date");
        assert_eq!(
            restate_from(&mapping(Some(2)), day),
            NaiveDate::from_ymd_opt(2024, 3, 1)
        );
        assert_eq!(restate_from(&mapping(None), day), None);
    }
}
