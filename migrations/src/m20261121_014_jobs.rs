//! Durable jobs.

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
            "jobs",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             queue {text} NOT NULL, \
             kind {text} NOT NULL, \
             unique_key {text} NOT NULL, \
             payload {text} NOT NULL, \
             state {text} NOT NULL, \
             attempt {int} NOT NULL, \
             max_attempts {int} NOT NULL, \
             epoch {int} NOT NULL, \
             progress {real} NOT NULL, \
             result {text}, \
             run_at {time} NOT NULL, \
             lease_owner {text}, \
             lease_until {time}, \
             created_at {time} NOT NULL, \
             updated_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        run(manager, "CREATE UNIQUE INDEX jobs_unique ON jobs (org_id, queue, unique_key) WHERE state IN ('queued', 'running')").await?;
        run(
            manager,
            "CREATE INDEX jobs_waiting ON jobs (queue, run_at, id) WHERE state = 'queued'",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 'running'",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["jobs"]).await
    }
}
