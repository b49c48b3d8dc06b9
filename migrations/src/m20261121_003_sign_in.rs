//! Sessions, tokens of programs, one-time links, and the count of sign-in attempts.

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
            "sessions",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             user_id {uuid} NOT NULL, \
             token_hash {bytes} NOT NULL, \
             idle_seconds {int} NOT NULL, \
             created_at {time} NOT NULL, \
             seen_at {time} NOT NULL, \
             idle_until {time} NOT NULL, \
             expires_at {time} NOT NULL, \
             user_agent {text} NOT NULL, \
             address {text} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, token_hash), \
             FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX sessions_token ON sessions (token_hash)",
        )
        .await?;
        tenant_table(
            manager,
            "api_tokens",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             user_id {uuid} NOT NULL, \
             token_hash {bytes} NOT NULL, \
             label {text} NOT NULL, \
             created_at {time} NOT NULL, \
             seen_at {time}, \
             expires_at {time}, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, token_hash), \
             FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX api_tokens_token ON api_tokens (token_hash)",
        )
        .await?;
        tenant_table(
            manager,
            "one_time_links",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             user_id {uuid} NOT NULL, \
             purpose {text} NOT NULL, \
             token_hash {bytes} NOT NULL, \
             payload {text} NOT NULL, \
             created_at {time} NOT NULL, \
             expires_at {time} NOT NULL, \
             used_at {time}, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, token_hash), \
             FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX one_time_links_token ON one_time_links (token_hash)",
        )
        .await?;
        run(manager, "CREATE TABLE sign_in_attempts (email_index {bytes} NOT NULL PRIMARY KEY, failures {int} NOT NULL, next_at {time} NOT NULL, counted_at {time} NOT NULL)").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &[
                "sign_in_attempts",
                "one_time_links",
                "api_tokens",
                "sessions",
            ],
        )
        .await
    }
}
