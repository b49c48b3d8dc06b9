//! What can go wrong in the machinery, with the stable code that the edge shows.

use std::time::Duration;

use domain::{Classify, ErrorKind};

/// An error of the runtime.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mailbox of an actor is full: the message was refused, not queued.
    #[error("{path} has {capacity} messages waiting and refuses more")]
    Overloaded {
        /// Path of the actor.
        path: String,
        /// Messages it holds at most.
        capacity: usize,
    },
    /// The actor is not running: stopped, or between two lives.
    #[error("{path} is not running")]
    NotRunning {
        /// Path of the actor.
        path: String,
    },
    /// The actor did not answer in time. It may still do the work.
    #[error("{path} did not answer within {} ms", waited.as_millis())]
    Timeout {
        /// Path of the actor.
        path: String,
        /// How long the caller waited.
        waited: Duration,
    },
    /// Every compute permit and every place in the queue of a role is taken.
    #[error("the {role} pool is working on {running} tasks with {queued} waiting and refuses more")]
    Busy {
        /// Role of the pool.
        role: String,
        /// Tasks under way.
        running: usize,
        /// Tasks waiting.
        queued: usize,
    },
    /// This node has no pool for the role.
    #[error("this node does not take {role} work")]
    UnknownRole {
        /// The role asked for.
        role: String,
    },
    /// Code of ours panicked.
    #[error("{what} panicked: {message}")]
    Panicked {
        /// What was running.
        what: String,
        /// The panic's message.
        message: String,
    },
    /// The work was cancelled before it ended.
    #[error("{what} was cancelled")]
    Cancelled {
        /// What was running.
        what: String,
    },
    /// A child could not be started.
    #[error("{path} could not be started: {message}")]
    StartFailed {
        /// Path of the child.
        path: String,
        /// Why.
        message: String,
    },
    /// There is no actor at this path.
    #[error("there is no actor at {path}")]
    UnknownActor {
        /// The path asked for.
        path: String,
    },
    /// A child of this name exists already.
    #[error("{path} exists already")]
    DuplicateActor {
        /// Path of the child.
        path: String,
    },
    /// The supervisor holds as many dynamic children as it may.
    #[error("{path} holds {limit} children and takes no more")]
    TooManyChildren {
        /// Path of the supervisor.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// The schedule cannot be read.
    #[error("{message}")]
    InvalidSchedule {
        /// What is wrong with it.
        message: String,
    },
    /// Redis is away. Only speed is lost.
    #[error("redis is not reachable: {message}")]
    RedisUnavailable {
        /// What the client said.
        message: String,
    },
    /// The database refused.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

impl Classify for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Overloaded { .. } | Self::Busy { .. } | Self::TooManyChildren { .. } => {
                ErrorKind::TooMany
            }
            Self::NotRunning { .. } | Self::StartFailed { .. } | Self::RedisUnavailable { .. } => {
                ErrorKind::Unavailable
            }
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::UnknownRole { .. } | Self::InvalidSchedule { .. } => ErrorKind::Invalid,
            Self::Panicked { .. } => ErrorKind::Internal,
            Self::Cancelled { .. } | Self::DuplicateActor { .. } => ErrorKind::Conflict,
            Self::UnknownActor { .. } => ErrorKind::NotFound,
            Self::Storage(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Overloaded { .. } => "runtime.overloaded",
            Self::NotRunning { .. } => "runtime.not_running",
            Self::Timeout { .. } => "runtime.timeout",
            Self::Busy { .. } => "compute.busy",
            Self::UnknownRole { .. } => "compute.unknown_role",
            Self::Panicked { .. } => "runtime.panicked",
            Self::Cancelled { .. } => "runtime.cancelled",
            Self::StartFailed { .. } => "runtime.start_failed",
            Self::UnknownActor { .. } => "runtime.unknown_actor",
            Self::DuplicateActor { .. } => "runtime.duplicate_actor",
            Self::TooManyChildren { .. } => "runtime.too_many_children",
            Self::InvalidSchedule { .. } => "schedule.invalid",
            Self::RedisUnavailable { .. } => "runtime.redis_unavailable",
            Self::Storage(error) => error.code(),
        }
    }
}
