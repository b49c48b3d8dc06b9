//! One way to write a table for both databases: the types that differ are named in braces, and tenant tables get their
//! row-level security with their creation.

use sea_orm_migration::{
    prelude::{DbErr, SchemaManager},
    sea_orm::{ConnectionTrait, DatabaseBackend},
};

/// Every table that belongs to a tenant. The isolation tests go through this list.
pub const TENANT_TABLES: &[&str] = &[
    "organisations",
    "users",
    "sessions",
    "api_tokens",
    "one_time_links",
    "projects",
    "brands",
    "relationships",
    "memberships",
    "channels",
    "metrics",
    "metric_versions",
    "mappings",
    "mapping_versions",
    "ingest_batches",
    "ingest_rejects",
    "ingest_chunks",
    "metric_values",
    "data_revisions",
    "recommendations",
    "recommendation_brands",
    "recommendation_history",
    "considered",
    "outcomes",
    "corrections",
    "targets",
    "scalers",
    "benchmarks",
    "scores",
    "forecasts",
    "fits",
    "cross_effects",
    "finding_sets",
    "findings",
    "plans",
    "plan_lines",
    "constraints",
    "jobs",
    "schedules",
    "runs",
    "run_steps",
    "events",
    "consumer_cursors",
    "settings",
    "idempotency_keys",
    "audit_heads",
    "audit_entries",
];

/// Whether the migration runs on PostgreSQL.
pub(crate) fn is_postgres(manager: &SchemaManager<'_>) -> bool {
    manager.get_database_backend() == DatabaseBackend::Postgres
}

/// Runs one statement with the types of the database at hand. JSON is text on both: its numbers must come back bit for
/// bit. Decimals are text for the same reason.
pub(crate) async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let types: [(&str, &str, &str); 8] = [
        ("{uuid}", "uuid", "blob"),
        ("{bytes}", "bytea", "blob"),
        ("{text}", "text", "text"),
        ("{int}", "bigint", "integer"),
        ("{real}", "double precision", "double"),
        ("{time}", "timestamptz", "text"),
        ("{date}", "date", "text"),
        ("{bool}", "boolean", "boolean"),
    ];
    let mut sql = sql.to_owned();
    for (name, postgres, sqlite) in types {
        sql = sql.replace(
            name,
            if is_postgres(manager) {
                postgres
            } else {
                sqlite
            },
        );
    }
    manager.get_connection().execute_unprepared(&sql).await?;
    Ok(())
}

/// Makes a tenant table. On PostgreSQL a row is visible only to a transaction that named its organisation, or that came
/// through the system door; without either, nothing is visible and nothing can be written.
pub(crate) async fn tenant_table(
    manager: &SchemaManager<'_>,
    name: &str,
    columns: &str,
) -> Result<(), DbErr> {
    debug_assert!(
        TENANT_TABLES.contains(&name),
        "{name} is missing from the list of tenant tables"
    );
    run(manager, &format!("CREATE TABLE {name} ({columns})")).await?;
    protect(manager, name).await
}

/// Switches row-level security on for a table or partition of PostgreSQL, its owner included.
pub(crate) async fn protect(manager: &SchemaManager<'_>, name: &str) -> Result<(), DbErr> {
    if !is_postgres(manager) {
        return Ok(());
    }
    let rule = "org_id = NULLIF(current_setting('app.org_id', true), '')::uuid OR current_setting('app.system', true) = 'on'";
    run(
        manager,
        &format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"),
    )
    .await?;
    run(
        manager,
        &format!("ALTER TABLE {name} FORCE ROW LEVEL SECURITY"),
    )
    .await?;
    run(
        manager,
        &format!("CREATE POLICY tenant ON {name} USING ({rule}) WITH CHECK ({rule})"),
    )
    .await
}

/// Drops tables, the last made first.
pub(crate) async fn drop_tables(manager: &SchemaManager<'_>, names: &[&str]) -> Result<(), DbErr> {
    for name in names {
        run(manager, &format!("DROP TABLE {name}")).await?;
    }
    Ok(())
}
