//! Metric values: one narrow table, partitioned by year on PostgreSQL, clustered by its key on SQLite.

use sea_orm_migration::prelude::*;

use crate::ddl::{drop_tables, is_postgres, protect, run, tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COLUMNS: &str = "org_id {uuid} NOT NULL, \
     brand_id {uuid} NOT NULL, \
     metric_id {uuid} NOT NULL, \
     project_id {uuid} NOT NULL, \
     granularity {text} NOT NULL, \
     period {date} NOT NULL, \
     source {text} NOT NULL, \
     value {real} NOT NULL, \
     batch_id {uuid} NOT NULL, \
     revision {int} NOT NULL, \
     PRIMARY KEY (org_id, brand_id, metric_id, project_id, granularity, period, source), \
     FOREIGN KEY (org_id, project_id) REFERENCES projects (org_id, id), \
     FOREIGN KEY (org_id, brand_id) REFERENCES brands (org_id, id), \
     FOREIGN KEY (org_id, metric_id) REFERENCES metrics (org_id, id), \
     FOREIGN KEY (org_id, batch_id) REFERENCES ingest_batches (org_id, id)";

/// Years with a partition of their own; everything else goes into the default partition.
const YEARS: std::ops::RangeInclusive<i32> = 2015..=2032;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if is_postgres(manager) {
            run(
                manager,
                &format!("CREATE TABLE metric_values ({COLUMNS}) PARTITION BY RANGE (period)"),
            )
            .await?;
            for year in YEARS {
                let name = format!("metric_values_{year}");
                let range = format!("FROM ('{year}-01-01') TO ('{}-01-01')", year + 1);
                run(
                    manager,
                    &format!("CREATE TABLE {name} PARTITION OF metric_values FOR VALUES {range}"),
                )
                .await?;
                protect(manager, &name).await?;
            }
            run(
                manager,
                "CREATE TABLE metric_values_other PARTITION OF metric_values DEFAULT",
            )
            .await?;
            protect(manager, "metric_values_other").await?;
            protect(manager, "metric_values").await?;
        } else {
            run(
                manager,
                &format!("CREATE TABLE metric_values ({COLUMNS}) WITHOUT ROWID"),
            )
            .await?;
        }
        tenant_table(
            manager,
            "data_revisions",
            "org_id {uuid} NOT NULL PRIMARY KEY, \
             revision {int} NOT NULL, \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["data_revisions", "metric_values"]).await
    }
}
