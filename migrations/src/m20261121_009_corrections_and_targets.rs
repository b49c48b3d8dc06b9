//! Corrections of ingested values, and targets on metrics.

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
            "corrections",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             project_id {uuid} NOT NULL, \
             brand_id {uuid} NOT NULL, \
             metric_id {uuid} NOT NULL, \
             period {date} NOT NULL, \
             value {real}, \
             recommendation_id {uuid}, \
             active {bool} NOT NULL, \
             revision {int} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id, project_id) REFERENCES projects (org_id, id), \
             FOREIGN KEY (org_id, brand_id) REFERENCES brands (org_id, id), \
             FOREIGN KEY (org_id, metric_id) REFERENCES metrics (org_id, id), \
             FOREIGN KEY (org_id, recommendation_id) REFERENCES recommendations (org_id, id)",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX corrections_series ON corrections (org_id, brand_id, metric_id, period)",
        )
        .await?;
        tenant_table(
            manager,
            "targets",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             brand_id {uuid} NOT NULL, \
             metric_id {uuid} NOT NULL, \
             from_value {real} NOT NULL, \
             to_value {real} NOT NULL, \
             due {date} NOT NULL, \
             recommendation_id {uuid}, \
             active {bool} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id, brand_id) REFERENCES brands (org_id, id), \
             FOREIGN KEY (org_id, metric_id) REFERENCES metrics (org_id, id), \
             FOREIGN KEY (org_id, recommendation_id) REFERENCES recommendations (org_id, id)",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["targets", "corrections"]).await
    }
}
