//! A unit of work: one transaction for one organisation, in a task of its own.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    access::{Actor, Grant},
    event::EventKind,
    id::OrgId,
};
use futures::future::BoxFuture;
use sea_orm::Value;
use uuid::Uuid;

use crate::{
    Backend, Error, Storage,
    audit::Pending,
    cipher::Cipher,
    connection::{Door, Tx, detached},
    executor::sealed::Run,
    row::Row,
    scope::names_the_tenant,
};

/// What a commit changed, for whoever rings the doorbell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitNote {
    /// The organisation; `None` when the system door was used.
    pub org: Option<OrgId>,
    /// Kinds of the events that were published.
    pub events: Vec<EventKind>,
    /// Queues that got jobs.
    pub queues: Vec<String>,
}

/// Called after every commit that published an event or queued a job.
pub type Doorbell = Arc<dyn Fn(&CommitNote) + Send + Sync>;

/// Attempts of a unit that meets another writer, before the caller is told that the database is busy.
const ATTEMPTS: u32 = 6;

/// An open unit of work. Repositories hang off it; everything done through it commits together or not at all.
pub struct Unit {
    storage: Storage,
    grant: Grant,
    tx: Tx,
    pending: Mutex<Noted>,
}

#[derive(Default)]
pub(crate) struct Noted {
    pub(crate) audit: Vec<Pending>,
    pub(crate) note: CommitNote,
}

impl Storage {
    /// Runs `work` as one transaction in a task of its own. When another writer is in the way, `work` is run again from
    /// the start, which is why it may be called several times: clone what it moves.
    ///
    /// ```ignore
    /// storage.unit(&grant, move |u| {
    ///     let brand = brand.clone();
    ///     Box::pin(async move {
    ///         u.brands().upsert(&brand).await?;
    ///         u.audit().record("brand.changed", &brand.id.to_string(), serde_json::json!({})).await
    ///     })
    /// }).await?;
    /// ```
    ///
    /// # Errors
    /// `storage.read_only_grant` for a grant that only reads; whatever `work` returns, and then nothing is changed;
    /// `storage.busy` when others kept it from committing.
    pub async fn unit<T, F>(&self, grant: &Grant, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a Unit) -> BoxFuture<'a, Result<T, Error>> + Send + Sync + 'static,
    {
        if !grant.may_write() {
            return Err(Error::ReadOnlyGrant);
        }
        let (storage, grant) = (self.clone(), *grant);
        detached(async move {
            let mut attempt = 1;
            loop {
                match storage.attempt(grant, &work).await {
                    Err(error) if error.is_retryable() && attempt < ATTEMPTS => {
                        tracing::debug!(attempt, %error, "a unit of work met another writer and is run again");
                        tokio::time::sleep(Duration::from_millis(5 << attempt)).await;
                        attempt += 1;
                    }
                    result => return result,
                }
            }
        })
        .await
    }

    async fn attempt<T, F>(&self, grant: Grant, work: &F) -> Result<T, Error>
    where
        F: for<'a> Fn(&'a Unit) -> BoxFuture<'a, Result<T, Error>> + Send + Sync,
    {
        let tx = self.begin(Door::Organisation(grant.org())).await?;
        let note = CommitNote {
            org: Some(grant.org()),
            ..CommitNote::default()
        };
        let unit = Unit {
            storage: self.clone(),
            grant,
            tx,
            pending: Mutex::new(Noted {
                audit: Vec::new(),
                note,
            }),
        };
        let result = work(&unit).await?;
        unit.write_audit().await?;
        let Unit { tx, pending, .. } = unit;
        tx.commit().await?;
        self.ring(
            &pending
                .into_inner()
                .expect("nothing panics while it holds the notes")
                .note,
        );
        Ok(result)
    }

    pub(crate) fn ring(&self, note: &CommitNote) {
        if note.events.is_empty() && note.queues.is_empty() {
            return;
        }
        for doorbell in self.doorbells() {
            doorbell(note);
        }
    }
}

impl Unit {
    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.grant.org()
    }

    /// Who acts.
    pub fn actor(&self) -> Actor {
        self.grant.actor()
    }

    /// The grant it was opened with.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Database time at which the transaction began.
    pub fn now(&self) -> DateTime<Utc> {
        self.tx.now
    }

    /// A fresh id, ordered by time.
    pub fn fresh_id(&self) -> Uuid {
        self.storage.fresh_id()
    }

    /// Which database it is.
    pub fn backend(&self) -> Backend {
        self.storage.backend()
    }

    pub(crate) fn noted<T>(&self, f: impl FnOnce(&mut Noted) -> T) -> T {
        f(&mut self
            .pending
            .lock()
            .expect("nothing panics while it holds the notes"))
    }

    /// Runs a statement whose `$1` is the organisation and says how many rows it touched.
    pub(crate) async fn execute(&self, sql: &str, params: Vec<Value>) -> Result<u64, Error> {
        names_the_tenant(sql)?;
        self.tx.execute(sql, with_org(self.org(), params)).await
    }

    /// Runs a statement on a table that belongs to no organisation (leases, locks).
    pub(crate) async fn shared_row(
        &self,
        sql: &str,
        params: Vec<Value>,
    ) -> Result<Option<Row>, Error> {
        self.tx.row(sql, params).await
    }

    /// Holds other units of the organisation that name the same thing back until this one ends. SQLite has one writer
    /// anyhow.
    pub(crate) async fn serialise(&self, what: &str) -> Result<(), Error> {
        if self.backend() == Backend::Postgres {
            let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text AS locked";
            self.tx
                .row(sql, vec![format!("{}|{what}", self.org()).into()])
                .await?;
        }
        Ok(())
    }
}

pub(crate) fn with_org(org: OrgId, params: Vec<Value>) -> Vec<Value> {
    let mut all = Vec::with_capacity(params.len() + 1);
    all.push(org.0.into());
    all.extend(params);
    all
}

impl Run for Unit {
    fn org(&self) -> OrgId {
        self.grant.org()
    }

    fn backend(&self) -> Backend {
        self.storage.backend()
    }

    fn cipher(&self) -> &Cipher {
        self.storage.cipher()
    }

    fn fresh_id(&self) -> Uuid {
        self.storage.fresh_id()
    }

    async fn time(&self) -> Result<DateTime<Utc>, Error> {
        Ok(self.tx.now)
    }

    async fn rows(&self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        names_the_tenant(sql)?;
        self.tx.rows(sql, with_org(self.org(), params)).await
    }
}
