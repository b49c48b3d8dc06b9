//! Bytes of imports by REST, kept until their import has ended.

use sea_orm_migration::prelude::*;

use crate::ddl::{drop_tables, tenant_table};

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
            "ingest_chunks",
            "org_id {uuid} NOT NULL, \
             batch_id {uuid} NOT NULL, \
             number {int} NOT NULL, \
             digest {bytes} NOT NULL, \
             size {int} NOT NULL, \
             content {bytes} NOT NULL, \
             PRIMARY KEY (org_id, batch_id, number), \
             FOREIGN KEY (org_id, batch_id) REFERENCES ingest_batches (org_id, id) ON DELETE CASCADE",
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["ingest_chunks"]).await
    }
}
