//! Tenants.

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
            "organisations",
            "org_id {uuid} NOT NULL PRIMARY KEY, \
             name {text} NOT NULL, \
             currency {text} NOT NULL, \
             time_zone {text} NOT NULL, \
             as_of {date}, \
             created_at {time} NOT NULL",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["organisations"]).await
    }
}
