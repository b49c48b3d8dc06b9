//! The only SQL of Digi-Cadence: one repository per noun over SQLite (WAL) or PostgreSQL, chosen by URL.
//!
//! Three doors, and no other way to the data:
//!
//! * [`Storage::scope`] reads one organisation's data. It takes a [`Grant`](domain::access::Grant).
//! * [`Storage::unit`] changes one organisation's data: one transaction in a task of its own, so that a cancelled caller
//!   can never leave a half-open transaction in the pool. State, events, audit and cursors commit together or not at all.
//! * [`Storage::system`] crosses organisations for sign-in, sessions, queue, leases, outbox and schedules. Only the
//!   application can make the [`SystemGrant`] it takes.
//!
//! Every statement of the first two doors is handed the organisation as `$1` and is refused in debug builds when it does
//! not name it; PostgreSQL adds row-level security as the second wall.

mod actor_restarts;
mod audit;
mod brands;
mod channels;
mod cipher;
mod connection;
mod constraints;
mod corrections;
mod cursors;
mod error;
mod events;
mod executor;
mod findings;
mod fits;
mod forecasts;
mod idempotency;
mod ingest;
mod jobs;
mod keyset;
mod leases;
mod mappings;
mod metrics;
mod organisations;
mod outbox;
mod outcomes;
mod plans;
mod projects;
mod queue;
mod recommendations;
mod row;
mod runs;
mod schedules;
mod scope;
mod scores;
mod sessions;
mod settings;
mod synergies;
mod system;
mod targets;
#[cfg(feature = "testkit")]
pub mod testkit;
mod unit;
mod uploads;
mod users;
mod values;

pub use actor_restarts::{ActorRestart, ActorRestarts};
pub use audit::Audit;
pub use brands::Brands;
pub use channels::Channels;
pub use connection::{Backend, Config, KeySource, MigrationStatus, Storage};
pub use constraints::Constraints;
pub use corrections::Corrections;
pub use cursors::{Cursors, Lag};
pub use error::Error;
pub use events::Events;
pub use executor::Executor;
pub use findings::{FindingSet, Findings};
pub use fits::Fits;
pub use forecasts::Forecasts;
pub use idempotency::{Begun, Idempotency, Remembered};
pub use ingest::{ChunkOutcome, Ingest, NewBatch};
pub use jobs::{Enqueued, Jobs};
pub use leases::{Lease, Leases};
pub use mappings::{Mappings, SavedMapping};
pub use metrics::Metrics;
pub use organisations::{Organisations, SystemOrganisations};
pub use outbox::Outbox;
pub use outcomes::Outcomes;
pub use plans::Plans;
pub use projects::Projects;
pub use queue::{Queue, QueueDepth, Retry, Swept};
pub use recommendations::{ConsideredEntry, Drafted, Edit, Filter, Recommendations, Transition};
pub use runs::{Runs, StepStart};
pub use schedules::{DueSchedule, Fired, Schedules, SystemSchedules};
pub use scope::Scope;
pub use scores::{Benchmark, Scaler, Scores};
pub use sessions::{
    ApiToken, Attempt, Link, NewLink, NewSession, NewToken, Session, SignIn, SignInUser,
};
pub use settings::{Setting, Settings};
pub use synergies::Synergies;
pub use system::{System, SystemGrant};
pub use targets::Targets;
pub use unit::{CommitNote, Doorbell, Unit};
pub use uploads::{Stored, Uploads};
pub use users::{NewUser, Users};
pub use values::{ChunkCounts, SliceDigest, ValueQuery, Values};
