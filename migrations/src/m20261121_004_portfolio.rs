//! Projects, brands with their relationships, memberships and channels.

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
            "projects",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             name {text} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, name), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        tenant_table(
            manager,
            "brands",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             name {text} NOT NULL, \
             role {text} NOT NULL, \
             category {text} NOT NULL, \
             margin {real}, \
             parent_id {uuid}, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, name), \
             FOREIGN KEY (org_id, parent_id) REFERENCES brands (org_id, id), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        tenant_table(
            manager,
            "relationships",
            "org_id {uuid} NOT NULL, \
             from_id {uuid} NOT NULL, \
             to_id {uuid} NOT NULL, \
             kind {text} NOT NULL, \
             PRIMARY KEY (org_id, from_id, to_id, kind), \
             FOREIGN KEY (org_id, from_id) REFERENCES brands (org_id, id) ON DELETE CASCADE, \
             FOREIGN KEY (org_id, to_id) REFERENCES brands (org_id, id) ON DELETE CASCADE",
        )
        .await?;
        tenant_table(
            manager,
            "memberships",
            "org_id {uuid} NOT NULL, \
             project_id {uuid} NOT NULL, \
             brand_id {uuid} NOT NULL, \
             weight {real} NOT NULL CHECK (weight >= 0), \
             PRIMARY KEY (org_id, project_id, brand_id), \
             FOREIGN KEY (org_id, project_id) REFERENCES projects (org_id, id), \
             FOREIGN KEY (org_id, brand_id) REFERENCES brands (org_id, id)",
        )
        .await?;
        tenant_table(
            manager,
            "channels",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             key {text} NOT NULL, \
             name {text} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, key), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &[
                "channels",
                "memberships",
                "relationships",
                "brands",
                "projects",
            ],
        )
        .await
    }
}
