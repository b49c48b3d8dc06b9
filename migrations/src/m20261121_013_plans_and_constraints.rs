//! Budget plans with their lines, and standing constraints.

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
            "plans",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             version {int} NOT NULL, \
             status {text} NOT NULL, \
             body {text} NOT NULL, \
             created_at {time} NOT NULL, \
             updated_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        run(
            manager,
            "CREATE UNIQUE INDEX plans_of_record ON plans (org_id) WHERE status = 'of_record'",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX plans_newest ON plans (org_id, created_at, id)",
        )
        .await?;
        tenant_table(
            manager,
            "plan_lines",
            "org_id {uuid} NOT NULL, \
             plan_id {uuid} NOT NULL, \
             place {int} NOT NULL, \
             brand_id {uuid} NOT NULL, \
             channel_id {uuid} NOT NULL, \
             weekly {text} NOT NULL, \
             current_weekly {text} NOT NULL, \
             lower_weekly {text} NOT NULL, \
             upper_weekly {text} NOT NULL, \
             marginal_return {real}, \
             PRIMARY KEY (org_id, plan_id, place), \
             UNIQUE (org_id, plan_id, brand_id, channel_id), \
             FOREIGN KEY (org_id, plan_id) REFERENCES plans (org_id, id) ON DELETE CASCADE, \
             FOREIGN KEY (org_id, brand_id) REFERENCES brands (org_id, id), \
             FOREIGN KEY (org_id, channel_id) REFERENCES channels (org_id, id)",
        )
        .await?;
        tenant_table(
            manager,
            "constraints",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             active {bool} NOT NULL, \
             recommendation_id {uuid}, \
             body {text} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id, recommendation_id) REFERENCES recommendations (org_id, id), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["constraints", "plan_lines", "plans"]).await
    }
}
