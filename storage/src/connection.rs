//! Opening a database, its pools and its schema, and beginning transactions.

use std::{
    path::PathBuf,
    sync::{
        Arc, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use domain::{clock::Clock, id::OrgId};
use migrations::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection,
    DatabaseTransaction, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    Value,
    sqlx::{
        self,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};
use uuid::Uuid;

use crate::{
    Error,
    cipher::{self, Cipher},
    row::{Row, params},
    unit::Doorbell,
};

/// Where the key of encrypted fields comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeySource {
    /// A file beside the SQLite database (`<database>.key`, mode 0600), made at the first start.
    #[default]
    BesideDatabase,
    /// This file, made at the first start. All nodes of an installation need the same one.
    File(PathBuf),
    /// The key itself.
    Given([u8; 32]),
}

/// How to reach the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `sqlite:///path/to/file.db`, or `postgres://user:password@host/database`.
    pub url: String,
    /// Connections to keep at most: to PostgreSQL, or for reading from SQLite (which has one writer more).
    pub max_connections: u32,
    /// Where the key of encrypted fields comes from.
    pub key: KeySource,
}

impl Config {
    /// The defaults for a database: eight connections, the key beside a SQLite file.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 8,
            key: KeySource::default(),
        }
    }
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// An embedded SQLite file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

impl Backend {
    /// `sqlite` or `postgres`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    fn of_url(url: &str) -> Result<Self, Error> {
        if url.starts_with("sqlite:") {
            Ok(Self::Sqlite)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Ok(Self::Postgres)
        } else {
            Err(Error::Config(
                "the database URL must start with sqlite: or postgres:".to_owned(),
            ))
        }
    }

    fn dialect(self) -> DatabaseBackend {
        match self {
            Self::Sqlite => DatabaseBackend::Sqlite,
            Self::Postgres => DatabaseBackend::Postgres,
        }
    }

    /// A statement in this database's dialect.
    pub(crate) fn statement(self, sql: &str, params: Vec<Value>) -> Statement {
        Statement::from_sql_and_values(self.dialect(), sql, params)
    }
}

/// One migration and whether it has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its name.
    pub name: String,
    /// Whether it has been applied.
    pub applied: bool,
}

/// The database. Cheap to clone; all clones share the pools.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    clock: Arc<dyn Clock>,
    shift_micros: AtomicI64,
    cipher: Cipher,
    doorbells: RwLock<Vec<Doorbell>>,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage")
            .field("backend", &self.inner.backend)
            .finish_non_exhaustive()
    }
}

/// Whose rows a transaction may touch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    Organisation(OrgId),
    System,
}

/// An open transaction and the database time at which it began.
pub(crate) struct Tx {
    inner: DatabaseTransaction,
    backend: Backend,
    pub(crate) now: DateTime<Utc>,
}

impl Tx {
    pub(crate) async fn rows(&self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        let rows = self
            .inner
            .query_all_raw(self.backend.statement(sql, params))
            .await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    pub(crate) async fn row(&self, sql: &str, params: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self
            .inner
            .query_one_raw(self.backend.statement(sql, params))
            .await?
            .map(Row))
    }

    /// Runs a statement and says how many rows it touched.
    pub(crate) async fn execute(&self, sql: &str, params: Vec<Value>) -> Result<u64, Error> {
        Ok(self
            .inner
            .execute_raw(self.backend.statement(sql, params))
            .await?
            .rows_affected())
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        Ok(self.inner.commit().await?)
    }
}

impl Storage {
    /// Opens the database. The schema is not touched; see [`Storage::migrate`].
    ///
    /// # Errors
    /// `storage.config` for a URL or key that cannot be used, `storage.unavailable` when nothing answers,
    /// `storage.unsafe_role` when the PostgreSQL role would see through row-level security.
    pub async fn connect(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let backend = Backend::of_url(&config.url)?;
        let cipher = Cipher::new(&root_key(config, backend)?);
        let (writer, reader) = match backend {
            Backend::Sqlite => open_sqlite(config).await?,
            Backend::Postgres => {
                let pool = open_postgres(config).await?;
                refuse_unsafe_role(&pool).await?;
                (pool.clone(), pool)
            }
        };
        Ok(Self {
            inner: Arc::new(Inner {
                backend,
                writer,
                reader,
                clock,
                shift_micros: AtomicI64::new(0),
                cipher,
                doorbells: RwLock::new(Vec::new()),
            }),
        })
    }

    /// Which database it is.
    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// `storage.unavailable` when it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.inner
            .reader
            .query_one_raw(self.backend().statement("SELECT 1", Vec::new()))
            .await?;
        Ok(())
    }

    /// Database time, in whole microseconds: the server's clock on PostgreSQL, the injected clock on SQLite (where this
    /// process and its siblings on the same machine are the server).
    ///
    /// # Errors
    /// `storage.unavailable` when the database does not answer.
    pub async fn now(&self) -> Result<DateTime<Utc>, Error> {
        match self.backend() {
            Backend::Sqlite => Ok(self.shifted(self.inner.clock.now())),
            Backend::Postgres => {
                let row = self.inner.reader.query_one_raw(
                    self.backend()
                        .statement("SELECT clock_timestamp() AS now", Vec::new()),
                );
                let row = row
                    .await?
                    .ok_or_else(|| Error::internal("the database did not tell the time"))?;
                Ok(self.shifted(row.try_get("", "now")?))
            }
        }
    }

    fn shifted(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        (at + TimeDelta::microseconds(self.inner.shift_micros.load(Ordering::SeqCst)))
            .trunc_subsecs(6)
    }

    /// Moves database time as this instance sees it; for tests of leases and expiry.
    #[cfg(feature = "testkit")]
    pub fn shift_time(&self, by: TimeDelta) {
        let micros = by
            .num_microseconds()
            .expect("tests move the clock by less than a life time");
        self.inner.shift_micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// Applies every migration that is missing.
    ///
    /// # Errors
    /// `storage.migration` when one fails.
    pub async fn migrate(&self) -> Result<(), Error> {
        // Each migration is one transaction, so another process that migrates at the same moment can make one of ours
        // fail, but leaves nothing half done: look again.
        let mut attempt = 1;
        loop {
            let failure = match self.migration_status().await {
                Ok(status) if status.iter().all(|m| m.applied) => return Ok(()),
                Ok(_) => match Migrator::up(&self.inner.writer, None).await {
                    Ok(()) => return Ok(()),
                    Err(error) => Error::Migration(error.to_string()),
                },
                Err(error) => error,
            };
            if attempt == MIGRATION_ATTEMPTS {
                return Err(failure);
            }
            tracing::info!(attempt, error = %failure, "a migration did not go through and is tried again");
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
            attempt += 1;
        }
    }

    /// Takes the last `steps` migrations back. Data in what they made is lost.
    ///
    /// # Errors
    /// `storage.migration` when one fails.
    pub async fn migrate_down(&self, steps: u32) -> Result<(), Error> {
        Migrator::down(&self.inner.writer, Some(steps))
            .await
            .map_err(|error| Error::Migration(error.to_string()))
    }

    /// Every migration, in order, and whether it has been applied.
    ///
    /// # Errors
    /// `storage.migration` when the list of applied migrations does not fit this program.
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>, Error> {
        let failed = |error: sea_orm::DbErr| Error::Migration(error.to_string());
        Migrator::install(&self.inner.writer)
            .await
            .map_err(failed)?;
        let pending: Vec<String> = Migrator::get_pending_migrations(&self.inner.writer)
            .await
            .map_err(failed)?
            .iter()
            .map(|m| m.name().to_owned())
            .collect();
        Ok(Migrator::migrations()
            .iter()
            .map(|m| MigrationStatus {
                name: m.name().to_owned(),
                applied: !pending.contains(&m.name().to_owned()),
            })
            .collect())
    }

    /// Closes the pools. Whatever is under way ends first; later calls fail as unavailable.
    ///
    /// # Errors
    /// When a connection cannot be closed in order.
    pub async fn close(&self) -> Result<(), Error> {
        self.inner.writer.close_by_ref().await?;
        self.inner.reader.close_by_ref().await?;
        Ok(())
    }

    /// Registers something to be called after every commit of a unit, so that waiting consumers can be woken. It must
    /// return at once.
    pub fn on_commit(&self, doorbell: Doorbell) {
        self.inner
            .doorbells
            .write()
            .expect("no doorbell panics")
            .push(doorbell);
    }

    pub(crate) fn doorbells(&self) -> Vec<Doorbell> {
        self.inner
            .doorbells
            .read()
            .expect("no doorbell panics")
            .clone()
    }

    pub(crate) fn cipher(&self) -> &Cipher {
        &self.inner.cipher
    }

    /// A fresh id, ordered by time (UUID version 7). Storage is the home of this randomness.
    pub fn fresh_id(&self) -> Uuid {
        let mut random = [0_u8; 10];
        getrandom::fill(&mut random).expect("the operating system gives random numbers");
        let millis = u64::try_from(self.inner.clock.now().timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// Begins a transaction that may write. Call it only inside [`detached`].
    pub(crate) async fn begin(&self, door: Door) -> Result<Tx, Error> {
        let options = TransactionOptions {
            sqlite_transaction_mode: (self.backend() == Backend::Sqlite)
                .then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.open(&self.inner.writer, options, door).await
    }

    /// Begins a transaction that only reads. Call it only inside [`detached`].
    pub(crate) async fn begin_read(&self, door: Door) -> Result<Tx, Error> {
        self.open(&self.inner.reader, TransactionOptions::default(), door)
            .await
    }

    async fn open(
        &self,
        pool: &DatabaseConnection,
        options: TransactionOptions,
        door: Door,
    ) -> Result<Tx, Error> {
        let inner = pool.begin_with_options(options).await?;
        let backend = self.backend();
        let now = match backend {
            Backend::Sqlite => self.shifted(self.inner.clock.now()),
            Backend::Postgres => {
                let (org, system) = match door {
                    Door::Organisation(org) => (org.0.to_string(), "off"),
                    Door::System => (String::new(), "on"),
                };
                let row = inner
                    .query_one_raw(backend.statement(
                        "SELECT set_config('app.org_id', $1, true), set_config('app.system', $2, true), clock_timestamp() AS now",
                        params![org, system],
                    ))
                    .await?
                    .ok_or_else(|| Error::internal("the database did not tell the time"))?;
                self.shifted(row.try_get("", "now")?)
            }
        };
        Ok(Tx {
            inner,
            backend,
            now,
        })
    }
}

/// Attempts at migrating while another process may be migrating too.
const MIGRATION_ATTEMPTS: u32 = 5;

/// Runs work in a task of its own and waits for it. The caller may be cancelled at any moment: the task goes on to its
/// end, so a transaction is always committed or rolled back before its connection returns to the pool.
pub(crate) async fn detached<T, F>(work: F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>> + Send + 'static,
    T: Send + 'static,
{
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal(format!(
            "a unit of work did not end: {error}"
        ))),
    }
}

fn root_key(config: &Config, backend: Backend) -> Result<[u8; 32], Error> {
    match (&config.key, backend) {
        (KeySource::Given(key), _) => Ok(*key),
        (KeySource::File(path), _) => cipher::key_from_file(path),
        (KeySource::BesideDatabase, Backend::Sqlite) => {
            let mut path = sqlite_path(&config.url)?.into_os_string();
            path.push(".key");
            cipher::key_from_file(&PathBuf::from(path))
        }
        (KeySource::BesideDatabase, Backend::Postgres) => Err(Error::Config(
            "with PostgreSQL the key of encrypted fields needs a file of its own; configure its path, the same key on every node"
                .to_owned(),
        )),
    }
}

fn sqlite_path(url: &str) -> Result<PathBuf, Error> {
    let options: sqlx::sqlite::SqliteConnectOptions = url
        .parse()
        .map_err(|error| Error::Config(format!("the database URL cannot be read: {error}")))?;
    let path = options.get_filename().to_path_buf();
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(Error::Config(
            "a database in memory cannot be shared by several connections; name a file".to_owned(),
        ));
    }
    Ok(path)
}

async fn open_sqlite(config: &Config) -> Result<(DatabaseConnection, DatabaseConnection), Error> {
    sqlite_path(&config.url)?;
    let options = |connections: u32, writes: bool| {
        let mut options = ConnectOptions::new(&config.url);
        options
            .max_connections(connections)
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(30))
            .sqlx_logging(false)
            .record_stmt_in_spans(false)
            .map_sqlx_sqlite_opts(move |o| {
                let o = o
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(Duration::from_secs(10))
                    .foreign_keys(true)
                    .pragma("temp_store", "memory")
                    .pragma("cache_size", "-32768")
                    .create_if_missing(writes);
                if writes {
                    o
                } else {
                    o.pragma("query_only", "on")
                }
            });
        options
    };
    let writer = Database::connect(options(1, true)).await?;
    let reader = Database::connect(options(config.max_connections.max(1), false)).await?;
    Ok((writer, reader))
}

async fn open_postgres(config: &Config) -> Result<DatabaseConnection, Error> {
    let mut options = ConnectOptions::new(&config.url);
    options
        .max_connections(config.max_connections.max(2))
        .acquire_timeout(Duration::from_secs(30))
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_postgres_opts(|o| {
            o.options([
                ("idle_in_transaction_session_timeout", "60000"),
                ("lock_timeout", "10000"),
                ("statement_timeout", "60000"),
                ("timezone", "UTC"),
            ])
        })
        .map_sqlx_postgres_before_acquire(|connection, _| {
            Box::pin(async move {
                // A cancelled BEGIN leaves the connection inside a transaction that sqlx does not know of. In the simple
                // protocol both clocks agree unless a transaction is open; in a failed one the question itself fails.
                let open = sqlx::raw_sql("SELECT 1 WHERE now() <> statement_timestamp()")
                    .fetch_optional(&mut *connection)
                    .await;
                if !matches!(open, Ok(None)) {
                    tracing::warn!(
                        "a connection came back inside an open transaction; it was rolled back"
                    );
                    sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
                }
                Ok(true)
            })
        });
    Ok(Database::connect(options).await?)
}

async fn refuse_unsafe_role(pool: &DatabaseConnection) -> Result<(), Error> {
    let sql = "SELECT rolname::text AS name, (rolsuper OR rolbypassrls) AS sees_all FROM pg_roles WHERE rolname = current_user";
    let row = pool
        .query_one_raw(Backend::Postgres.statement(sql, Vec::new()))
        .await?
        .ok_or_else(|| Error::UnsafeRole("the database role could not be looked up".to_owned()))?;
    if row.try_get::<bool>("", "sees_all")? {
        let name: String = row.try_get("", "name")?;
        return Err(Error::UnsafeRole(format!(
            "the database role {name:?} is a superuser or bypasses row-level security, so tenants would not be kept apart \
             (connect as a role made with: CREATE ROLE dc_app LOGIN NOSUPERUSER NOBYPASSRLS, owning the database)"
        )));
    }
    Ok(())
}
