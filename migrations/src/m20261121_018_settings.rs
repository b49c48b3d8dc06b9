//! Settings, and remembered answers to requests with an idempotency key.

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
            "settings",
            "org_id {uuid} NOT NULL, \
             key {text} NOT NULL, \
             version {int} NOT NULL, \
             body {text} NOT NULL, \
             updated_at {time} NOT NULL, \
             PRIMARY KEY (org_id, key), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        tenant_table(
            manager,
            "idempotency_keys",
            "org_id {uuid} NOT NULL, \
             actor {text} NOT NULL, \
             key {text} NOT NULL, \
             fingerprint {text} NOT NULL, \
             status {int} NOT NULL, \
             body {text} NOT NULL, \
             created_at {time} NOT NULL, \
             expires_at {time} NOT NULL, \
             PRIMARY KEY (org_id, actor, key), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX idempotency_keys_expiry ON idempotency_keys (org_id, expires_at)",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["idempotency_keys", "settings"]).await
    }
}
