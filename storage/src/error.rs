//! What can go wrong in the storage, classified for callers. SQL text goes to the log, never to a person.

use domain::{Classify, ErrorKind};
use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// An error of the storage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule of the domain was broken; it carries its own code and advice.
    #[error(transparent)]
    Domain(#[from] domain::Error),
    /// Another writer was in the way, and still was after several attempts.
    #[error("the database is busy (try again in a moment)")]
    Busy(#[source] DbErr),
    /// The database cannot be reached, or no connection became free in time.
    #[error("the database cannot be reached (check that it runs and that the URL is right)")]
    Unavailable(#[source] DbErr),
    /// No room is left for the database.
    #[error("the database has no room left (free disk space; nothing was half written)")]
    Full(#[source] DbErr),
    /// A row with the same key exists.
    #[error("it exists already")]
    Duplicate(#[source] DbErr),
    /// A row that this one refers to does not exist in the organisation.
    #[error("something it refers to does not exist in this organisation")]
    Reference(#[source] DbErr),
    /// A grant that only reads was used to change something.
    #[error("the permission that was checked only reads")]
    ReadOnlyGrant,
    /// The database role would see through row-level security.
    #[error("{0}")]
    UnsafeRole(String),
    /// The configuration of the storage is wrong.
    #[error("{0}")]
    Config(String),
    /// A migration failed.
    #[error("the database schema could not be changed: {0}")]
    Migration(String),
    /// A defect of ours. The source is for the log.
    #[error("internal storage error (details are in the log)")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A defect of ours, described for the log.
    pub(crate) fn internal(what: impl Into<String>) -> Self {
        let what: String = what.into();
        tracing::error!(error = %what, "internal storage error");
        Self::Internal(what.into())
    }

    /// Whether the same unit of work can succeed when it is simply done again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

impl Classify for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Domain(error) => error.kind,
            Self::Busy(_) | Self::Unavailable(_) | Self::Full(_) => ErrorKind::Unavailable,
            Self::Duplicate(_) => ErrorKind::Conflict,
            Self::Reference(_) | Self::Config(_) => ErrorKind::Invalid,
            Self::ReadOnlyGrant => ErrorKind::Forbidden,
            Self::UnsafeRole(_) | Self::Migration(_) | Self::Internal(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Domain(error) => error.code,
            Self::Busy(_) => "storage.busy",
            Self::Unavailable(_) => "storage.unavailable",
            Self::Full(_) => "storage.full",
            Self::Duplicate(_) => "storage.duplicate",
            Self::Reference(_) => "storage.unknown_reference",
            Self::ReadOnlyGrant => "storage.read_only_grant",
            Self::UnsafeRole(_) => "storage.unsafe_role",
            Self::Config(_) => "storage.config",
            Self::Migration(_) => "storage.migration",
            Self::Internal(_) => "storage.internal",
        }
    }
}

impl From<Error> for domain::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Domain(error) => error,
            other => domain::Error::new(other.kind(), other.code(), other.to_string()),
        }
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match fault_of(&error) {
            Fault::Busy => Self::Busy(error),
            Fault::Unavailable => Self::Unavailable(error),
            Fault::Full => Self::Full(error),
            Fault::Duplicate => Self::Duplicate(error),
            Fault::Reference => Self::Reference(error),
            Fault::Defect => {
                tracing::error!(error = %error, "internal storage error");
                Self::Internal(Box::new(error))
            }
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(format!(
            "a stored document does not have the expected shape: {error}"
        ))
    }
}

enum Fault {
    Busy,
    Unavailable,
    Full,
    Duplicate,
    Reference,
    Defect,
}

fn fault_of(error: &DbErr) -> Fault {
    let runtime = match error {
        DbErr::ConnectionAcquire(_) => return Fault::Unavailable,
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        _ => return Fault::Defect,
    };
    let RuntimeErr::SqlxError(error) = runtime else {
        return Fault::Defect;
    };
    match error.as_ref() {
        SqlxError::Database(database) => match database.code().as_deref() {
            // PostgreSQL: serialisation failure, deadlock, lock not available.
            Some("40001" | "40P01" | "55P03") => Fault::Busy,
            // SQLite: busy, locked, and their extended forms (recovery, snapshot, timeout, shared cache).
            Some("5" | "6" | "261" | "517" | "773" | "262") => Fault::Busy,
            Some("53100" | "13") => Fault::Full,
            Some("57P01" | "57P02" | "57P03" | "53300" | "08006" | "08003" | "14") => {
                Fault::Unavailable
            }
            _ if database.is_unique_violation() => Fault::Duplicate,
            _ if database.is_foreign_key_violation() => Fault::Reference,
            _ => Fault::Defect,
        },
        SqlxError::Io(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed
        | SqlxError::Tls(_) => Fault::Unavailable,
        _ => Fault::Defect,
    }
}
