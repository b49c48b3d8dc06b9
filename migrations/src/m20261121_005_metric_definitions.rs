//! Metric definitions and their versions.

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
            "metrics",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             key {text} NOT NULL, \
             granularity {text} NOT NULL, \
             version {int} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, key), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        tenant_table(
            manager,
            "metric_versions",
            "org_id {uuid} NOT NULL, \
             metric_id {uuid} NOT NULL, \
             version {int} NOT NULL, \
             body {text} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, metric_id, version), \
             FOREIGN KEY (org_id, metric_id) REFERENCES metrics (org_id, id)",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["metric_versions", "metrics"]).await
    }
}
