//! The audit trail.

use chrono::{DateTime, Utc};
use poem::Request;
use poem_openapi::{OpenApi, param::Query};
use serde_json::Value;

use crate::{
    App, Tag,
    actor::Actor,
    auth::Caller,
    mirror::mirror,
    page::{self, Listed},
    problem::Answer,
};

mirror! {
    /// One line of the trail.
    AuditEntry of domain::audit::AuditEntry {
        /// Number within the organisation, dense from 1.
        seq: i64,
        /// When.
        at: DateTime<Utc>,
        /// Who.
        actor: Actor,
        /// What, as `noun.verb`.
        action: String,
        /// The thing, as its text id.
        subject: String,
        /// Details without secrets.
        detail: Value,
    }
}

/// The audit trail.
pub(crate) struct AuditApi(pub(crate) App);

#[OpenApi(tag = "Tag::System")]
impl AuditApi {
    /// Read the audit trail.
    ///
    /// Newest first. Each entry was committed together with the change it tells of.
    #[oai(path = "/audit", method = "get", operation_id = "audit_list")]
    async fn list(
        &self,
        request: &Request,
        caller: Caller,
        /// Rows on a page, 1 to 200.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<Listed<AuditEntry>> {
        let wanted = page::request(limit.0, cursor.0)?;
        let found = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .audit()
            .list(&wanted)
            .await?;
        Ok(page::listed(request, found))
    }
}
