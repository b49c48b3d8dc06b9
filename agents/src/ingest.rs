//! Ingest: from a delimited file and a saved mapping to stored metric values, the same way for the command line and REST.
//!
//! ```text
//! file or staged chunks ─► worker process (limited, knows no secret) ─► frames ─► units of work
//!                                                                         values + refused rows + offset, together
//! ```
//!
//! * The file is untrusted, so a child process parses it: this same program, started with a hidden subcommand, under
//!   limits it sets on itself ([`Limits`]) and a wall clock that the parent holds.
//! * What the parser hands out is numbered. The ledger of an import stores the number up to which everything is durable;
//!   it moves in the transaction of the values. An interrupted import parses again and skips that many items, so nothing
//!   acknowledged is lost and nothing is counted twice.
//! * A file is recognised by its digest: importing it again while its import is unfinished goes on where that stopped;
//!   importing it after that makes a new import in which every value is `unchanged`.
//! * Projects, brands, channels and metrics that a file names are created with ids derived from their names. What is
//!   there already is left as people made it.
//! * One event tells that an import ended. Until then its values are visible, as those of any other unfinished work.

mod child;
mod definitions;
mod frame;
mod import;
mod job;
mod limits;
mod staged;
mod worker;

pub use child::Program;
pub use definitions::{brand_id, channel_id, metric_id, project_id};
pub use import::{Importer, Report, Settings};
pub use job::{IMPORT_JOB, INGEST_QUEUE, ImportJob};
pub use limits::Limits;
pub use worker::work;
