//! The schema of Digi-Cadence, one change per file, forward and back, for SQLite and PostgreSQL.
//!
//! Every table that belongs to a tenant starts its keys with `org_id`, refers to other rows with composite keys that
//! include it, and on PostgreSQL carries row-level security that also binds the table's owner.

mod ddl;
mod m20261121_001_organisations;
mod m20261121_002_users;
mod m20261121_003_sign_in;
mod m20261121_004_portfolio;
mod m20261121_005_metric_definitions;
mod m20261121_006_ingest;
mod m20261121_007_metric_values;
mod m20261121_008_recommendations;
mod m20261121_009_corrections_and_targets;
mod m20261121_010_scores;
mod m20261121_011_forecasts;
mod m20261121_012_fits_and_findings;
mod m20261121_013_plans_and_constraints;
mod m20261121_014_jobs;
mod m20261121_015_schedules_and_runs;
mod m20261121_016_events;
mod m20261121_017_leases;
mod m20261121_018_settings;
mod m20261121_019_audit;
mod m20261121_020_ingest_chunks;

pub use ddl::TENANT_TABLES;
pub use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait};

/// All migrations, in order.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_001_organisations::Migration),
            Box::new(m20261121_002_users::Migration),
            Box::new(m20261121_003_sign_in::Migration),
            Box::new(m20261121_004_portfolio::Migration),
            Box::new(m20261121_005_metric_definitions::Migration),
            Box::new(m20261121_006_ingest::Migration),
            Box::new(m20261121_007_metric_values::Migration),
            Box::new(m20261121_008_recommendations::Migration),
            Box::new(m20261121_009_corrections_and_targets::Migration),
            Box::new(m20261121_010_scores::Migration),
            Box::new(m20261121_011_forecasts::Migration),
            Box::new(m20261121_012_fits_and_findings::Migration),
            Box::new(m20261121_013_plans_and_constraints::Migration),
            Box::new(m20261121_014_jobs::Migration),
            Box::new(m20261121_015_schedules_and_runs::Migration),
            Box::new(m20261121_016_events::Migration),
            Box::new(m20261121_017_leases::Migration),
            Box::new(m20261121_018_settings::Migration),
            Box::new(m20261121_019_audit::Migration),
            Box::new(m20261121_020_ingest_chunks::Migration),
        ]
    }
}
