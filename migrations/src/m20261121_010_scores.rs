//! Scalers, benchmarks and scores. A nil slice is the whole portfolio.

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
            "scalers",
            "org_id {uuid} NOT NULL, \
             metric_id {uuid} NOT NULL, \
             version {int} NOT NULL, \
             method {text} NOT NULL, \
             low {real} NOT NULL, \
             high {real} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, metric_id, version), \
             FOREIGN KEY (org_id, metric_id) REFERENCES metrics (org_id, id)",
        )
        .await?;
        tenant_table(
            manager,
            "benchmarks",
            "org_id {uuid} NOT NULL, \
             metric_id {uuid} NOT NULL, \
             slice {uuid} NOT NULL, \
             version {int} NOT NULL, \
             period {date} NOT NULL, \
             value {real} NOT NULL, \
             method {text} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, metric_id, slice, version), \
             FOREIGN KEY (org_id, metric_id) REFERENCES metrics (org_id, id)",
        )
        .await?;
        tenant_table(
            manager,
            "scores",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             brand_id {uuid} NOT NULL, \
             slice {uuid} NOT NULL, \
             period {date} NOT NULL, \
             value {real}, \
             body {text} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, brand_id, slice, period), \
             FOREIGN KEY (org_id, brand_id) REFERENCES brands (org_id, id)",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["scores", "benchmarks", "scalers"]).await
    }
}
