//! The one place that starts things and knows everything: settings in, a running system out, and its ordered end.
//!
//! ```text
//! root (rest-for-one)
//! ├─ storage      sweeper of lost leases
//! ├─ bus          puts events in order and announces them
//! ├─ compute      analyst pools per role
//! ├─ agents       one subtree per organisation
//! ├─ runs         workers of the durable queues: imports
//! ├─ schedules    the scheduler
//! ├─ monitor      health
//! └─ edge         HTTP
//! ```

mod database;
mod edge;
mod engine;
mod node;
mod people;

pub(crate) use database::{Database, importer, make_organisation, organisation};
pub(crate) use engine::Engine;
pub(crate) use node::{Node, asked_to_stop};
pub(crate) use people::{add_user, sign_in_link};
