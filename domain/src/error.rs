//! One small set of error kinds, shared by every layer, and the error that carries them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong from the caller's point of view. Only `api/problem.rs` turns a kind into a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The input breaks a documented rule; sending it again unchanged cannot succeed.
    Invalid,
    /// Nobody is signed in, or the credentials are wrong.
    Unauthenticated,
    /// The caller is known but may not do this.
    Forbidden,
    /// The thing does not exist, or the caller may not know that it does.
    NotFound,
    /// The state of the thing does not allow this (any more).
    Conflict,
    /// The caller's copy is out of date (`If-Match` did not match).
    Stale,
    /// The caller must say which version it saw (`If-Match` is missing).
    PreconditionRequired,
    /// The body or file exceeds a stated limit.
    TooLarge,
    /// Too many requests, or a bounded queue is full.
    TooMany,
    /// It took longer than the stated limit.
    Timeout,
    /// A dependency is away; trying again later can succeed.
    Unavailable,
    /// A defect of ours. Details go to the log, never to the caller.
    Internal,
}

/// Something that knows its [`ErrorKind`] and stable code.
pub trait Classify {
    /// The kind.
    fn kind(&self) -> ErrorKind;
    /// A stable, dotted code such as `recommendation.already_decided`, listed in `docs/errors.md`.
    fn code(&self) -> &'static str;
}

/// An error a person can act on: what happened, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong from the caller's point of view.
    pub kind: ErrorKind,
    /// Stable dotted code, listed in `docs/errors.md`.
    pub code: &'static str,
    /// What happened, as a lowercase sentence without a full stop.
    pub message: String,
    /// What the reader can do about it, when there is something.
    pub advice: Option<String>,
}

impl Error {
    /// An error of `kind` with a stable `code`.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            advice: None,
        }
    }

    /// The input breaks a rule.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, message)
    }

    /// The thing does not exist.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    /// The state does not allow it.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, message)
    }

    /// Adds what the reader can do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(advice) = &self.advice {
            write!(f, " ({advice})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl Classify for Error {
    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn code(&self) -> &'static str {
        self.code
    }
}
