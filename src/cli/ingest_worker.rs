//! The hidden command that parses one file. It reads no settings, starts no logging and opens nothing: whatever the
//! file does to it, there is nothing of ours in this process.

use std::process::ExitCode;

/// Runs the command.
pub(super) fn run() -> ExitCode {
    match agents::ingest::work(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
