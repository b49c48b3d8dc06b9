//! `config check` and `config show`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Common, Format, Outcome, Table, say, show};
use crate::config::Config;

/// `digi-cadence config …`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check every setting and say whether the program could start with them
    Check,
    /// Show every setting with its value, where it came from and what it means; secrets are masked
    Show,
}

/// Runs the command.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let sources = common.sources(Vec::new())?;
    match arguments.action {
        Action::Check => {
            Config::check(&sources)?;
            match common.output {
                Format::Table => say("the settings are valid"),
                Format::Json => say(&json!({ "valid": true }).to_string()),
            }
        }
        Action::Show => {
            let mut table = Table::new(["setting", "value", "from", "meaning"]);
            let mut document = Vec::new();
            for (key, value, origin, doc) in sources.shown() {
                document.push(
                    json!({ "setting": key, "value": value, "from": origin, "meaning": doc }),
                );
                table.row([key.to_owned(), value, origin, doc.to_owned()]);
            }
            show(common.output, &table, &document)
        }
    }
}
