//! The audit trail, numbered densely per organisation.

use sea_orm_migration::prelude::*;

use crate::ddl::{drop_tables, run, tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        tenant_table(
            manager,
            "audit_heads",
            "org_id {uuid} NOT NULL PRIMARY KEY, \
             seq {int} NOT NULL, \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        tenant_table(
            manager,
            "audit_entries",
            "org_id {uuid} NOT NULL, \
             seq {int} NOT NULL, \
             at {time} NOT NULL, \
             actor {text} NOT NULL, \
             action {text} NOT NULL, \
             subject {text} NOT NULL, \
             detail {text} NOT NULL, \
             PRIMARY KEY (org_id, seq), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX audit_entries_subject ON audit_entries (org_id, subject, seq)",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["audit_entries", "audit_heads"]).await
    }
}
