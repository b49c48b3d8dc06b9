//! The command line: what can be typed, and the way from there to the file of each command.

mod analyze;
mod config;
mod demo;
mod doctor;
mod import;
mod ingest_worker;
mod migrate;
mod openapi;
mod output;
mod serve;
mod user;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{Config, Overrides, Sources},
    exit::{Exit, Failure, Outcome, TABLE},
    telemetry,
};

pub(crate) use output::{Format, Progress, Table, figure, note, say, show};

/// Digi-Cadence watches the marketing metrics of a portfolio of brands and tells its owners what to do next.
///
/// Four supervised agents look at the data, run the analytics and put recommendations with evidence, expected effect
/// and confidence into an inbox. A person approves, edits, rejects or snoozes them; what was approved is applied, and
/// its effect is measured.
///
/// Start with `digi-cadence demo`. For your own data: `digi-cadence serve --database sqlite:my.db`, then `user add` and
/// `import` in a second terminal.
#[derive(Debug, Parser)]
#[command(name = "digi-cadence", version, after_help = TABLE, after_long_help = TABLE, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command. Each setting can also stand in the file or the environment; see `config show`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Settings file [default: digi-cadence.toml in the working folder, where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database URL: sqlite:FILE or postgres://user:password@host/name
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// How results are written to standard output
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Format,
    /// What is logged to standard error, such as `debug` or `info,agents=debug`
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// Log one JSON object per line
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the demo portfolio, run every agent once, print a link to sign in and keep running
    Demo(demo::Arguments),
    /// Serve the web app, the API and the agents on the database
    Serve(serve::Arguments),
    /// Bring the database schema up, down, or tell where it stands
    Migrate(migrate::Arguments),
    /// Import a CSV file by a mapping file; safe to repeat, safe to kill, works beside a running `serve`
    Import(import::Arguments),
    /// Run one analysis, on a plain file or on the stored data, and print it
    Analyze(analyze::Arguments),
    /// Add and list people, make tokens and one-time links
    User(user::Arguments),
    /// Print the OpenAPI document of the HTTP API
    Openapi(openapi::Arguments),
    /// Check the settings, or show each with its origin
    Config(config::Arguments),
    /// Try everything the program needs, one line each
    Doctor,
    /// The process that parses a file (started by the program itself)
    #[command(hide = true)]
    IngestWorker,
}

/// Parses the command line, runs the command and says how it ended.
pub(crate) fn run() -> ExitCode {
    // clap itself ends the program with 2 when the command line is wrong, and with 0 after --help.
    let Cli { common, command } = Cli::parse();
    if let Command::IngestWorker = command {
        return ingest_worker::run();
    }
    match dispatch(&common, command) {
        Ok(()) => Exit::Done.into(),
        Err(Failure { exit, message }) => {
            note(&format!("digi-cadence: {message}"));
            exit.into()
        }
    }
}

fn dispatch(common: &Common, command: Command) -> Outcome {
    match command {
        Command::Openapi(arguments) => openapi::run(&arguments),
        Command::Config(arguments) => config::run(common, &arguments),
        Command::Demo(arguments) => demo::run(common, arguments),
        Command::Serve(arguments) => {
            let config = common.settings(arguments.overrides())?;
            in_runtime(serve::run(config))
        }
        Command::Migrate(arguments) => {
            let config = common.settings(Vec::new())?;
            in_runtime(migrate::run(config, common.output, arguments))
        }
        Command::Import(arguments) => {
            let config = common.settings(Vec::new())?;
            in_runtime(import::run(config, common.output, arguments))
        }
        Command::Analyze(arguments) => analyze::run(common, arguments),
        Command::User(arguments) => {
            let config = common.settings(Vec::new())?;
            in_runtime(user::run(config, common.output, arguments))
        }
        Command::Doctor => {
            let config = common.settings(Vec::new())?;
            in_runtime(doctor::run(config, common.output))
        }
        Command::IngestWorker => unreachable!("handled before settings are read"),
    }
}

impl Common {
    /// The sources of all settings, with the common flags and `more` on top.
    ///
    /// # Errors
    /// When the file or the environment is wrong.
    pub(crate) fn sources(&self, more: Overrides) -> Result<Sources, Failure> {
        let mut flags: Overrides = Vec::new();
        if let Some(url) = &self.database {
            flags.push(("storage.database", "--database", url.clone()));
        }
        if let Some(filter) = &self.log {
            flags.push(("log.filter", "--log", filter.clone()));
        }
        if self.log_json {
            flags.push(("log.format", "--log-json", "json".to_owned()));
        }
        flags.extend(more);
        Ok(Sources::read(self.config.as_deref(), flags)?)
    }

    /// The checked settings; starts logging.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub(crate) fn settings(&self, more: Overrides) -> Result<Config, Failure> {
        let config = Config::check(&self.sources(more)?)?;
        telemetry::start(&config.log);
        Ok(config)
    }
}

/// Runs a command that awaits.
pub(crate) fn in_runtime(command: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Unavailable, format!("cannot start threads: {error}")))?
        .block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_flag_says_what_it_does() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
            for inner in command.get_subcommands() {
                assert!(inner.get_about().is_some(), "{}", inner.get_name());
                check(inner);
            }
        }
        check(&Cli::command());
    }
}
