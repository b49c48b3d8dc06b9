//! What can go wrong in the agents, classified for callers.

use domain::{Classify, ErrorKind};

/// An error of the agents.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule of the domain was broken; it carries its own code and advice.
    #[error(transparent)]
    Domain(#[from] domain::Error),
    /// The storage could not do it.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The actor machinery could not do it.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// An analysis failed. Details go to the log.
    #[error("the analysis failed: {0}")]
    Analysis(String),
}

impl Error {
    /// What the reader can do about it, when there is something.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Domain(error) | Self::Storage(storage::Error::Domain(error)) => {
                error.advice.as_deref()
            }
            _ => None,
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Domain(error) => error.kind,
            Self::Storage(error) => error.kind(),
            Self::Runtime(error) => error.kind(),
            Self::Analysis(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Domain(error) => error.code,
            Self::Storage(error) => error.code(),
            Self::Runtime(error) => error.code(),
            Self::Analysis(_) => "analysis.failed",
        }
    }
}

impl From<Error> for storage::Error {
    /// For the inside of a unit of work, whose errors are the storage's.
    fn from(error: Error) -> Self {
        match error {
            Error::Storage(error) => error,
            Error::Domain(error) => Self::Domain(error),
            other => Self::Domain(domain::Error::new(
                other.kind(),
                other.code(),
                other.to_string(),
            )),
        }
    }
}
