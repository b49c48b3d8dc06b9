//! `migrate`: the schema of the database.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Format, Outcome, Table, show};
use crate::{app::Database, config::Config};

/// `digi-cadence migrate …`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Apply every change that is missing
    Up,
    /// Take changes back, the newest first; what they held is lost
    Down {
        /// How many
        #[arg(long, default_value_t = 1, value_name = "N")]
        steps: u32,
        /// Needed, because data is lost
        #[arg(long, required = true)]
        yes: bool,
    },
    /// List every change and whether it is applied
    Status,
}

/// Runs the command.
pub(super) async fn run(config: Config, format: Format, arguments: Arguments) -> Outcome {
    let storage = Database::connect(&config).await?.storage;
    match arguments.action {
        Action::Up => storage.migrate().await?,
        Action::Down { steps, yes: _ } => storage.migrate_down(steps).await?,
        Action::Status => {}
    }
    let mut table = Table::new(["migration", "applied"]);
    let mut document = Vec::new();
    for status in storage.migration_status().await? {
        document.push(json!({ "migration": status.name, "applied": status.applied }));
        table.row([
            status.name,
            if status.applied { "yes" } else { "no" }.to_owned(),
        ]);
    }
    show(format, &table, &document)
}
