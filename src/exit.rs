//! How the program ends: one number per kind of ending, the same for every command.

use std::{fmt, process::ExitCode};

use domain::{Classify, ErrorKind};

/// The table that `--help` prints and `docs/cli.md` repeats.
pub(crate) const TABLE: &str = "\
Exit codes:
  0    done
  1    a defect of the program; the log says more
  2    the command line is wrong
  3    a setting is missing or wrong
  4    the database cannot be opened, read or written
  5    input was refused; what was acknowledged before stays
  6    something needed is away (port taken, service down, time limit); trying again can help
  7    what was named does not exist, or its state does not allow this
  130  stopped by Ctrl-C or SIGTERM before the work was done";

/// An ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Defect = 1,
    Config = 3,
    Storage = 4,
    Input = 5,
    Unavailable = 6,
    Refused = 7,
    Stopped = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error on its way to the terminal: how to end, and what to say.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// What is printed, advice included.
    pub(crate) message: String,
}

impl Failure {
    /// An ending with its message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Anything with a kind and a code knows how to end.
impl<E: Classify + fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        let exit = match (
            error.kind(),
            error.code().split('.').next().unwrap_or_default(),
        ) {
            (_, "config") => Exit::Config,
            (_, "storage" | "database" | "migration") => Exit::Storage,
            (ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::PreconditionRequired, _) => {
                Exit::Input
            }
            (ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::TooMany, _) => {
                Exit::Unavailable
            }
            (
                ErrorKind::NotFound
                | ErrorKind::Conflict
                | ErrorKind::Stale
                | ErrorKind::Forbidden
                | ErrorKind::Unauthenticated,
                _,
            ) => Exit::Refused,
            (ErrorKind::Internal, _) => Exit::Defect,
        };
        Self {
            exit,
            message: format!("{error} [{}]", error.code()),
        }
    }
}

/// What every command returns.
pub(crate) type Outcome = Result<(), Failure>;
