//! Saved mappings, import batches and the rows they refused.

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
            "mappings",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             name {text} NOT NULL, \
             version {int} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, name), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        tenant_table(
            manager,
            "mapping_versions",
            "org_id {uuid} NOT NULL, \
             mapping_id {uuid} NOT NULL, \
             version {int} NOT NULL, \
             body {text} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, mapping_id, version), \
             FOREIGN KEY (org_id, mapping_id) REFERENCES mappings (org_id, id)",
        )
        .await?;
        tenant_table(
            manager,
            "ingest_batches",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             mapping_id {uuid} NOT NULL, \
             source {text} NOT NULL, \
             digest {text} NOT NULL, \
             state {text} NOT NULL, \
             taken {int} NOT NULL, \
             counts {text} NOT NULL, \
             error {text}, \
             created_at {time} NOT NULL, \
             updated_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id, mapping_id) REFERENCES mappings (org_id, id)",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX ingest_batches_newest ON ingest_batches (org_id, created_at, id)",
        )
        .await?;
        tenant_table(
            manager,
            "ingest_rejects",
            "org_id {uuid} NOT NULL, \
             batch_id {uuid} NOT NULL, \
             number {int} NOT NULL, \
             line {int} NOT NULL, \
             column_name {text} NOT NULL, \
             code {text} NOT NULL, \
             message {text} NOT NULL, \
             raw {text} NOT NULL, \
             PRIMARY KEY (org_id, batch_id, line, column_name), \
             FOREIGN KEY (org_id, batch_id) REFERENCES ingest_batches (org_id, id) ON DELETE CASCADE",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX ingest_rejects_number ON ingest_rejects (org_id, batch_id, number)",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &[
                "ingest_rejects",
                "ingest_batches",
                "mapping_versions",
                "mappings",
            ],
        )
        .await
    }
}
