//! The storage on both databases: every test runs on SQLite and on PostgreSQL.

#[path = "storage/connections.rs"]
mod connections;
#[path = "storage/fixture.rs"]
mod fixture;
#[path = "storage/imports.rs"]
mod imports;
#[path = "storage/isolation.rs"]
mod isolation;
#[path = "storage/lanes.rs"]
mod lanes;
#[path = "storage/recommendations.rs"]
mod recommendations;
#[path = "storage/repositories.rs"]
mod repositories;
#[path = "storage/schema.rs"]
mod schema;
#[path = "storage/sign_in.rs"]
mod sign_in;
