//! Imports: a batch, what it accepted, and every row it refused.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::{BatchId, MappingId};

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Chunks are coming in.
    Open,
    /// Everything was taken.
    Complete,
    /// It stopped on an error; what was acknowledged stays, and the same file can be sent again.
    Failed,
}

/// What an import did, in values (not in lines of the file).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchCounts {
    /// Values read from the file that passed every check.
    pub accepted: u64,
    /// Values added up into another one of the same key.
    pub merged: u64,
    /// Values left out because the mapping says so.
    pub dropped: u64,
    /// Zeros added for absent periods because the mapping says `absent = "zero"`.
    #[serde(default)]
    pub filled: u64,
    /// Values refused, each kept with its reason.
    pub refused: u64,
    /// Values that are new in the database.
    pub inserted: u64,
    /// Values that changed one in the database.
    pub updated: u64,
    /// Values that were there already, the same.
    pub unchanged: u64,
    /// Values older than the restatement window that differ and were not taken.
    pub outside_window: u64,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The id.
    pub id: BatchId,
    /// The saved mapping.
    pub mapping: MappingId,
    /// Name of the file or stream, for people and as `source` of the values.
    pub source: String,
    /// SHA-256 of the file, in hex; empty while it is still coming in.
    pub digest: String,
    /// Where it stands.
    pub state: BatchState,
    /// Everything before this offset is durable: the number of output values of the parser that were committed.
    pub offset: u64,
    /// Counts so far.
    pub counts: BatchCounts,
    /// Error of a failed import.
    pub error: Option<String>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

/// A refused row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Line in the file, from 1.
    pub line: u64,
    /// Column, empty when the whole row was refused.
    pub column: String,
    /// Stable reason code, such as `value.not_a_number`.
    pub code: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The text as it stood in the file, cut to 200 characters.
    pub raw: String,
}
