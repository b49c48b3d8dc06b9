//! The event outbox, its sequencer's head, and consumers' cursors.

use sea_orm_migration::prelude::*;

use crate::ddl::{drop_tables, is_postgres, run, tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `seq` keeps the order of writing until the sequencer gives the position; SQLite gives it at once.
        let seq = if is_postgres(manager) {
            "seq bigint GENERATED ALWAYS AS IDENTITY, "
        } else {
            ""
        };
        tenant_table(
            manager,
            "events",
            &format!(
                "org_id {{uuid}} NOT NULL, \
                 id {{uuid}} NOT NULL, \
                 {seq}position {{int}}, \
                 kind {{text}} NOT NULL, \
                 key {{text}} NOT NULL, \
                 body {{text}} NOT NULL, \
                 at {{time}} NOT NULL, \
                 PRIMARY KEY (org_id, id), \
                 FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE"
            ),
        )
        .await?;
        run(
            manager,
            "CREATE UNIQUE INDEX events_position ON events (position)",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX events_of_organisation ON events (org_id, position)",
        )
        .await?;
        run(
            manager,
            "CREATE TABLE outbox_heads (id {int} NOT NULL PRIMARY KEY, position {int} NOT NULL)",
        )
        .await?;
        run(
            manager,
            "INSERT INTO outbox_heads (id, position) VALUES (1, 0)",
        )
        .await?;
        if is_postgres(manager) {
            run(
                manager,
                "CREATE INDEX events_waiting ON events (seq) WHERE position IS NULL",
            )
            .await?;
        }
        tenant_table(
            manager,
            "consumer_cursors",
            "org_id {uuid} NOT NULL, \
             consumer {text} NOT NULL, \
             position {int} NOT NULL, \
             updated_at {time} NOT NULL, \
             PRIMARY KEY (org_id, consumer), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["consumer_cursors", "outbox_heads", "events"]).await
    }
}
