//! `digi-cadence`: one binary for the server, the command line, the demo and the process that parses files.

mod app;
mod cli;
mod config;
mod demo;
mod exit;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
