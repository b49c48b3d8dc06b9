//! Forecasts; one per series is of record.

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
            "forecasts",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             brand_id {uuid} NOT NULL, \
             metric_id {uuid} NOT NULL, \
             slice {uuid} NOT NULL, \
             number {int} NOT NULL, \
             origin {date} NOT NULL, \
             granularity {text} NOT NULL, \
             of_record {bool} NOT NULL, \
             body {text} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, brand_id, metric_id, slice, number), \
             FOREIGN KEY (org_id, brand_id) REFERENCES brands (org_id, id), \
             FOREIGN KEY (org_id, metric_id) REFERENCES metrics (org_id, id)",
        )
        .await?;
        run(manager, "CREATE UNIQUE INDEX forecasts_of_record ON forecasts (org_id, brand_id, metric_id, slice) WHERE of_record").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["forecasts"]).await
    }
}
