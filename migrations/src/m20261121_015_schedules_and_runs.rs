//! Schedules, runs (one per tick) and their steps.

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
            "schedules",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             version {int} NOT NULL, \
             agent {text} NOT NULL, \
             cron {text} NOT NULL, \
             time_zone {text} NOT NULL, \
             overlap {text} NOT NULL, \
             catch_up_seconds {int} NOT NULL, \
             paused {bool} NOT NULL, \
             next_at {time}, \
             last_at {time}, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        run(manager, "CREATE INDEX schedules_due ON schedules (next_at)").await?;
        tenant_table(
            manager,
            "runs",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             agent {text} NOT NULL, \
             state {text} NOT NULL, \
             cause {text} NOT NULL, \
             schedule_id {uuid}, \
             tick {time}, \
             snapshot {text}, \
             parameters {text} NOT NULL, \
             progress {real} NOT NULL, \
             error {text}, \
             created_at {time} NOT NULL, \
             started_at {time}, \
             ended_at {time}, \
             PRIMARY KEY (org_id, id), \
             UNIQUE (org_id, schedule_id, tick), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX runs_newest ON runs (org_id, created_at, id)",
        )
        .await?;
        tenant_table(
            manager,
            "run_steps",
            "org_id {uuid} NOT NULL, \
             run_id {uuid} NOT NULL, \
             step_key {text} NOT NULL, \
             place {int} NOT NULL, \
             attempt {int} NOT NULL, \
             output {text}, \
             error {text}, \
             started_at {time} NOT NULL, \
             ended_at {time}, \
             PRIMARY KEY (org_id, run_id, step_key), \
             FOREIGN KEY (org_id, run_id) REFERENCES runs (org_id, id) ON DELETE CASCADE",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["run_steps", "runs", "schedules"]).await
    }
}
