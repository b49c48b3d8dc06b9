//! Named leases, and the restart history of supervised actors. They belong to the installation, not to a tenant.

use sea_orm_migration::prelude::*;

use crate::ddl::{drop_tables, run};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, "CREATE TABLE leases (name {text} NOT NULL PRIMARY KEY, owner {text} NOT NULL, epoch {int} NOT NULL, expires_at {time} NOT NULL)").await?;
        run(manager, "CREATE TABLE actor_restarts (id {uuid} NOT NULL PRIMARY KEY, path {text} NOT NULL, exit_class {text} NOT NULL, reason {text} NOT NULL, at {time} NOT NULL)").await?;
        run(
            manager,
            "CREATE INDEX actor_restarts_newest ON actor_restarts (at, id)",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["actor_restarts", "leases"]).await
    }
}
