//! People. Addresses are encrypted and looked up by a blind index.

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
            "users",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             email {text} NOT NULL, \
             email_index {bytes} NOT NULL, \
             name {text} NOT NULL, \
             role {text} NOT NULL, \
             suspended {bool} NOT NULL, \
             password_hash {text}, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, email_index), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        run(manager, "CREATE INDEX users_email ON users (email_index)").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["users"]).await
    }
}
