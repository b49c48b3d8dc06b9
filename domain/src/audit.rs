//! The audit trail: one row per change, committed with it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::Actor;

/// One line of the trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Number within the organisation, dense from 1.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// What, as `noun.verb`.
    pub action: String,
    /// The thing, as its text id.
    pub subject: String,
    /// Details without secrets.
    pub detail: serde_json::Value,
}
