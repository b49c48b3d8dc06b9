//! Fitted response curves, cross-effects, and sets of findings.

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
            "fits",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             number {int} NOT NULL, \
             origin {date} NOT NULL, \
             body {text} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, number), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        tenant_table(
            manager,
            "cross_effects",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             number {int} NOT NULL, \
             driver_id {uuid} NOT NULL, \
             affected_id {uuid} NOT NULL, \
             verdict {text} NOT NULL, \
             origin {date} NOT NULL, \
             body {text} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id, driver_id) REFERENCES brands (org_id, id), \
             FOREIGN KEY (org_id, affected_id) REFERENCES brands (org_id, id)",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX cross_effects_set ON cross_effects (org_id, number)",
        )
        .await?;
        tenant_table(
            manager,
            "finding_sets",
            "org_id {uuid} NOT NULL, \
             kind {text} NOT NULL, \
             number {int} NOT NULL, \
             origin {date} NOT NULL, \
             run_id {uuid}, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, kind, number), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        tenant_table(
            manager,
            "findings",
            "org_id {uuid} NOT NULL, \
             kind {text} NOT NULL, \
             number {int} NOT NULL, \
             place {int} NOT NULL, \
             subject {text} NOT NULL, \
             body {text} NOT NULL, \
             PRIMARY KEY (org_id, kind, number, place), \
             FOREIGN KEY (org_id, kind, number) REFERENCES finding_sets (org_id, kind, number) ON DELETE CASCADE",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &["findings", "finding_sets", "cross_effects", "fits"],
        )
        .await
    }
}
