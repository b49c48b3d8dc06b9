//! Generic actor machinery on ractor. It knows nothing of brands.
//!
//! # The tree
//!
//! The application builds this tree from the parts below; each line is a supervisor or an actor of ours.
//!
//! ```text
//! root (rest-for-one: while storage restarts, edge keeps answering 503 with a problem)
//! ├─ storage         sweeper: expired leases of jobs
//! ├─ bus             one consumer per group: reads the outbox after its cursor
//! ├─ compute         one pool per role: analysis, optimisation, reporting
//! ├─ agents          per organisation, started on demand
//! ├─ runs            one actor per durable run
//! ├─ schedules       the scheduler
//! ├─ monitor         health and progress watchdog
//! └─ edge            HTTP, SSE
//! ```
//!
//! # What is guaranteed
//!
//! | lane | guarantee | lost when |
//! |---|---|---|
//! | **events** ([`bus`]) | written with the change; every consumer group sees each one, in order per key; effect and cursor commit together, so an effect in the database happens once | never; a poison event goes to the dead letters after its attempts |
//! | **jobs** ([`jobs`]) | one worker at a time; the lease epoch is checked on completion, so a zombie's result is refused; retries with backoff, then dead and replayable | never |
//! | **signals** ([`signals`]) | none: hints for open pages | a reader is slow, or nobody listens |
//!
//! The [`doorbell`] only shortens the wait; a sweep finds what a lost bell missed, so losing Redis costs speed.
//! A message between actors is delivered at most once: one that its receiver held when it died is lost, and whoever
//! waits for an answer gets `runtime.not_running`. What must not be lost is an event or a job.
//!
//! Every [mailbox] is bounded and refuses with `runtime.overloaded`. Handlers only await; the processor works
//! in the [`compute`] pools. Every actor shows its state in the [`tree`]. The [`supervisor`] starts in order,
//! stops in reverse within budgets, and restarts with backoff up to an intensity.

pub mod actor;
pub mod bus;
pub mod cache;
pub mod compute;
pub mod doorbell;
pub mod error;
pub mod health;
pub mod host;
pub mod jobs;
pub mod leases;
pub mod mailbox;
mod redis;
pub mod restarts;
pub mod runs;
pub mod schedules;
pub mod shutdown;
pub mod signals;
pub mod supervisor;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
pub mod tree;

pub use error::Error;
