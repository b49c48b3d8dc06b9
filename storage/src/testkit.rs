//! Databases for tests: a SQLite file of its own, or a PostgreSQL database cloned from a template, so that every test has
//! the whole schema to itself.
//!
//! PostgreSQL needs a cluster at `DIGI_TEST_POSTGRES` (a superuser's URL; `tests/services.sh` starts one). A missing
//! cluster fails the test; nothing is skipped.

use std::{ops::Deref, sync::Arc};

use chrono::{DateTime, Utc};
use domain::{
    access::{Permission, Principal},
    clock::ManualClock,
    id::OrgId,
    organisation::Organisation,
};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use tempfile::TempDir;

use crate::{Backend, Config, Error, KeySource, Storage, System, SystemGrant};

/// Password of the role that owns the test databases. The cluster listens on the loopback only and lives for one run.
const ROLE_PASSWORD: &str = "dc_app";

/// A database that is deleted with this value. It derefs to its [`Storage`].
pub struct TestDatabase {
    storage: Storage,
    config: Config,
    folder: Option<TempDir>,
    /// The injected clock. It is database time on SQLite; to move database time on both, use [`Storage::shift_time`].
    pub clock: ManualClock,
}

impl std::fmt::Debug for TestDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestDatabase")
            .field("backend", &self.storage.backend())
            .finish_non_exhaustive()
    }
}

impl Deref for TestDatabase {
    type Target = Storage;

    fn deref(&self) -> &Storage {
        &self.storage
    }
}

/// Where the injected clock of tests starts.
pub fn start_of_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("in range")
}

fn key() -> KeySource {
    KeySource::Given([42; 32])
}

impl TestDatabase {
    /// A SQLite file in a folder of its own, with the whole schema.
    ///
    /// # Panics
    /// When it cannot be made: the test fails.
    pub async fn sqlite() -> Self {
        let database = Self::empty_sqlite().await;
        database.migrate().await.expect("the schema can be made");
        database
    }

    /// A SQLite file in a folder of its own, without a schema.
    ///
    /// # Panics
    /// When it cannot be made: the test fails.
    pub async fn empty_sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let url = format!("sqlite://{}/test.db", folder.path().display());
        Self::open(
            Config {
                key: key(),
                max_connections: 4,
                ..Config::new(url)
            },
            Some(folder),
        )
        .await
    }

    /// A PostgreSQL database cloned from the template, which is made by the first test that needs it.
    ///
    /// # Panics
    /// When `DIGI_TEST_POSTGRES` is missing or the cluster does not answer: the test fails.
    pub async fn postgres() -> Self {
        let admin = Admin::connect().await;
        admin.make_template().await;
        let name = admin.create("dc_template").await;
        Self::open(
            Config {
                key: key(),
                max_connections: 12,
                ..Config::new(admin.url_of(&name))
            },
            None,
        )
        .await
    }

    /// A PostgreSQL database without a schema.
    ///
    /// # Panics
    /// As [`TestDatabase::postgres`].
    pub async fn empty_postgres() -> Self {
        let admin = Admin::connect().await;
        admin.make_role().await;
        let name = admin.create("template0").await;
        Self::open(
            Config {
                key: key(),
                max_connections: 4,
                ..Config::new(admin.url_of(&name))
            },
            None,
        )
        .await
    }

    async fn open(config: Config, folder: Option<TempDir>) -> Self {
        let clock = ManualClock::at(start_of_time());
        let storage = Storage::connect(&config, Arc::new(clock.clone()))
            .await
            .expect("the test database opens");
        Self {
            storage,
            config,
            folder,
            clock,
        }
    }

    /// A second, independent instance on the same database, as another process would open it.
    ///
    /// # Errors
    /// As [`Storage::connect`].
    pub async fn second_instance(&self) -> Result<Storage, Error> {
        Storage::connect(&self.config, Arc::new(self.clock.clone())).await
    }

    /// How it was opened; tests hand the URL to child processes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The SQLite file's folder; `None` on PostgreSQL.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_ref().map(TempDir::path)
    }

    /// What has to be deleted after this value is gone.
    pub fn leftover(&self) -> Leftover {
        let postgres = self.storage.backend() == Backend::Postgres;
        Leftover(postgres.then(|| {
            self.config
                .url
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned()
        }))
    }

    /// The system door.
    pub fn system_door(&self) -> System {
        self.storage.system(SystemGrant::for_app())
    }

    /// Makes an organisation of this name and returns its id.
    ///
    /// # Panics
    /// When the database cannot be reached: the test fails.
    pub async fn org(&self, name: &str) -> OrgId {
        let id = OrgId::derive(&[name]);
        let organisation = Organisation {
            id,
            name: name.to_owned(),
            currency: "EUR".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            as_of: None,
        };
        self.system_door()
            .organisations()
            .create(&organisation)
            .await
            .expect("an organisation can be made");
        id
    }

    /// A grant of the installation itself in an organisation.
    pub fn grant(&self, org: OrgId, permission: Permission) -> domain::access::Grant {
        Principal::system(org)
            .grant(permission)
            .expect("the installation holds every permission")
    }
}

/// What a test leaves behind on the cluster once its [`TestDatabase`] is gone. A failed test leaves its database for
/// looking at, until the cluster ends.
#[derive(Debug)]
pub struct Leftover(Option<String>);

impl Leftover {
    /// Deletes it.
    pub async fn remove(self) {
        if let Some(name) = self.0 {
            Admin::connect()
                .await
                .run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                .await;
        }
    }
}

/// The cluster's superuser, who makes databases and nothing else.
struct Admin {
    url: String,
    connection: DatabaseConnection,
}

/// Key of the lock under which the role and the template are made once per cluster.
const TEMPLATE_LOCK: i64 = 7_301_994;

impl Admin {
    async fn connect() -> Self {
        let url = std::env::var("DIGI_TEST_POSTGRES").expect(
            "DIGI_TEST_POSTGRES is not set: run the tests through tests/services.sh (or make test), which starts PostgreSQL",
        );
        let mut options = sea_orm::ConnectOptions::new(&url);
        options.max_connections(1).sqlx_logging(false);
        let connection = Database::connect(options)
            .await
            .expect("the PostgreSQL cluster at DIGI_TEST_POSTGRES answers");
        Self { url, connection }
    }

    async fn run(&self, sql: &str) {
        self.connection
            .execute_unprepared(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn exists(&self, sql: &str) -> bool {
        let statement = Backend::Postgres.statement(sql, Vec::new());
        self.connection
            .query_one_raw(statement)
            .await
            .expect("the catalogue can be read")
            .is_some()
    }

    /// URL of a database for the role that owns it.
    fn url_of(&self, database: &str) -> String {
        let (_, rest) = self
            .url
            .split_once("://")
            .expect("DIGI_TEST_POSTGRES is a URL");
        let rest = rest.split_once('@').map_or(rest, |(_, host)| host);
        let host = rest.split_once('/').map_or(rest, |(host, _)| host);
        format!("postgres://dc_app:{ROLE_PASSWORD}@{host}/{database}")
    }

    async fn make_role(&self) {
        self.run(&format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})"))
            .await;
        self.make_role_locked().await;
        self.run(&format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})"))
            .await;
    }

    async fn make_role_locked(&self) {
        if !self
            .exists("SELECT 1 FROM pg_roles WHERE rolname = 'dc_app'")
            .await
        {
            self.run(&format!("CREATE ROLE dc_app LOGIN PASSWORD '{ROLE_PASSWORD}' NOSUPERUSER NOBYPASSRLS NOCREATEDB")).await;
        }
    }

    async fn make_template(&self) {
        self.run(&format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})"))
            .await;
        self.make_role_locked().await;
        if !self
            .exists("SELECT 1 FROM pg_database WHERE datname = 'dc_template' AND datistemplate")
            .await
        {
            self.run("DROP DATABASE IF EXISTS dc_template").await;
            self.run("CREATE DATABASE dc_template OWNER dc_app TEMPLATE template0")
                .await;
            let config = Config {
                key: key(),
                max_connections: 2,
                ..Config::new(self.url_of("dc_template"))
            };
            let clock = Arc::new(ManualClock::at(start_of_time()));
            let storage = Storage::connect(&config, clock)
                .await
                .expect("the template opens");
            storage.migrate().await.expect("the schema can be made");
            storage
                .close()
                .await
                .expect("the template's connections close");
            self.run("ALTER DATABASE dc_template IS_TEMPLATE true ALLOW_CONNECTIONS false")
                .await;
        }
        self.run(&format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})"))
            .await;
    }

    async fn create(&self, template: &str) -> String {
        let mut tag = [0_u8; 8];
        getrandom::fill(&mut tag).expect("the operating system gives random numbers");
        let name = format!("dc_test_{}", hex::encode(tag));
        self.run(&format!(
            "CREATE DATABASE {name} OWNER dc_app TEMPLATE {template}"
        ))
        .await;
        name
    }
}

/// Makes two tests of one: `name::sqlite` and `name::postgres`.
///
/// ```text
/// on_both! {
///     async fn a_brand_comes_back_as_it_was_stored(db: TestDatabase) { … }
/// }
/// ```
#[macro_export]
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident: TestDatabase) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "what a test needs is imported beside it")]
            use super::*;

            async fn check($db: $crate::testkit::TestDatabase) $body

            #[test]
            fn sqlite() {
                $crate::testkit::block_on(async { check($crate::testkit::TestDatabase::sqlite().await).await });
            }

            #[test]
            fn postgres() {
                $crate::testkit::block_on(async {
                    let db = $crate::testkit::TestDatabase::postgres().await;
                    let leftover = db.leftover();
                    check(db).await;
                    leftover.remove().await;
                });
            }
        }
    )+};
}
pub use on_both;

/// Runs a test on a runtime with two threads, as races need them.
///
/// # Panics
/// When no runtime can be made, and whenever the test panics.
pub fn block_on<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the test")
        .block_on(test)
}
