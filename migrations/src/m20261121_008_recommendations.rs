//! Recommendations, their history, what was considered, and outcomes.

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
            "recommendations",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             version {int} NOT NULL, \
             kind {text} NOT NULL, \
             agent {text} NOT NULL, \
             subject {text} NOT NULL, \
             title {text} NOT NULL, \
             summary {text} NOT NULL, \
             brands {text} NOT NULL, \
             objective {text} NOT NULL, \
             state {text} NOT NULL, \
             action {text} NOT NULL, \
             action_hash {text} NOT NULL, \
             effect {text}, \
             confidence {real}, \
             evidence {text} NOT NULL, \
             dedupe_key {text} NOT NULL, \
             evidence_digest {text} NOT NULL, \
             proposed_on {date} NOT NULL, \
             expires_on {date} NOT NULL, \
             snoozed_until {date}, \
             applies_at {time}, \
             superseded_by {uuid}, \
             parent_id {uuid}, \
             created_at {time} NOT NULL, \
             updated_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id, superseded_by) REFERENCES recommendations (org_id, id), \
             FOREIGN KEY (org_id, parent_id) REFERENCES recommendations (org_id, id), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        run(manager, "CREATE UNIQUE INDEX recommendations_open ON recommendations (org_id, kind, subject) WHERE state IN ('proposed', 'in_review', 'snoozed')").await?;
        run(manager, "CREATE UNIQUE INDEX recommendations_dedupe ON recommendations (org_id, dedupe_key) WHERE state NOT IN ('expired', 'superseded', 'withdrawn', 'failed', 'rolled_back')").await?;
        run(
            manager,
            "CREATE INDEX recommendations_newest ON recommendations (org_id, created_at, id)",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX recommendations_state ON recommendations (org_id, state, applies_at)",
        )
        .await?;
        tenant_table(
            manager,
            "recommendation_brands",
            "org_id {uuid} NOT NULL, \
             recommendation_id {uuid} NOT NULL, \
             brand_id {uuid} NOT NULL, \
             PRIMARY KEY (org_id, recommendation_id, brand_id), \
             FOREIGN KEY (org_id, recommendation_id) REFERENCES recommendations (org_id, id) ON DELETE CASCADE, \
             FOREIGN KEY (org_id, brand_id) REFERENCES brands (org_id, id)",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX recommendation_brands_brand ON recommendation_brands (org_id, brand_id)",
        )
        .await?;
        tenant_table(
            manager,
            "recommendation_history",
            "org_id {uuid} NOT NULL, \
             recommendation_id {uuid} NOT NULL, \
             number {int} NOT NULL, \
             at {time} NOT NULL, \
             actor {text} NOT NULL, \
             step {text}, \
             state {text} NOT NULL, \
             note {text}, \
             action_hash {text} NOT NULL, \
             PRIMARY KEY (org_id, recommendation_id, number), \
             FOREIGN KEY (org_id, recommendation_id) REFERENCES recommendations (org_id, id) ON DELETE CASCADE",
        )
        .await?;
        tenant_table(
            manager,
            "considered",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             agent {text} NOT NULL, \
             kind {text} NOT NULL, \
             subject {text} NOT NULL, \
             reason {text} NOT NULL, \
             detail {text} NOT NULL, \
             run_id {uuid}, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id) REFERENCES organisations (org_id) ON DELETE CASCADE",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX considered_newest ON considered (org_id, created_at, id)",
        )
        .await?;
        tenant_table(
            manager,
            "outcomes",
            "org_id {uuid} NOT NULL, \
             id {uuid} NOT NULL, \
             recommendation_id {uuid} NOT NULL, \
             verdict {text} NOT NULL, \
             body {text} NOT NULL, \
             created_at {time} NOT NULL, \
             PRIMARY KEY (org_id, id), \
             FOREIGN KEY (org_id, recommendation_id) REFERENCES recommendations (org_id, id)",
        )
        .await?;
        run(
            manager,
            "CREATE INDEX outcomes_recommendation ON outcomes (org_id, recommendation_id)",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &[
                "outcomes",
                "considered",
                "recommendation_history",
                "recommendation_brands",
                "recommendations",
            ],
        )
        .await
    }
}
