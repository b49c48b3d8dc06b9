//! `openapi`: the contract of the HTTP API.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, Outcome, say};

/// `digi-cadence openapi`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let document = api::spec();
    match &arguments.write {
        None => say(document.trim_end()),
        Some(path) => std::fs::write(path, document).map_err(|error| {
            Failure::new(
                Exit::Unavailable,
                format!("cannot write {}: {error}", path.display()),
            )
        }),
    }
}
