//! `analyze`: one analysis, printed. Every method works on a plain file without settings, server or database, so that anyone can
//! check a result against another tool; some also on the stored data.

mod aggregate;
mod allocate;
mod explain;
mod file;
mod fit;
mod forecast;
mod number;
mod score;
mod stored;
mod synergy;
mod time;
mod work;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::Error;
use serde::Serialize;

use super::{Common, Exit, Failure, Format, Outcome, Progress, in_runtime, note, say};
use stored::What;

/// `digi-cadence analyze …`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    analysis: Analysis,
}

#[derive(Debug, Subcommand)]
enum Analysis {
    /// Sum a large CSV or Parquet file up per group and period
    Aggregate(aggregate::Arguments),
    /// Forecast the series of a CSV file, with calibrated intervals
    Forecast(forecast::Arguments),
    /// Solve the allocation problem of a JSON file and prove how good the plan is
    Allocate(allocate::Arguments),
    /// Split the predictions of boosted trees into one contribution per feature
    Explain(explain::Arguments),
    /// What each brand's drivers do to each brand's outcome, from a CSV file
    Synergy(synergy::Arguments),
    /// Fit a marketing-mix model to a weekly CSV file
    Fit(fit::Arguments),
    /// Score the brands of a CSV file and say how much of the ranking is the weights' doing
    Score(score::Arguments),
    /// Stored data: the brand scores of the last four weeks as the agents compute them, with band and coverage
    Scores(stored::Scores),
    /// Stored data: a backtest of every model for every series, against naive
    Forecasts(stored::Forecasts),
    /// Stored data: what promotions do to the outcome, by brand, with false-discovery control
    Promotions(stored::Promotions),
    /// Stored data: what one brand's media do to another's sales (runs the agents once); where no media spend is known, what
    /// one brand's promotions do to another's sales in the same project
    Synergies(stored::Synergies),
    /// Stored data: the best budget at the same total (runs the agents once)
    Plan(stored::Plan),
}

/// Runs the command.
pub(super) fn run(common: &Common, arguments: Arguments) -> Outcome {
    let format = common.output;
    let on_stored = |what| {
        let config = common.settings(Vec::new())?;
        in_runtime(stored::run(config, format, what))
    };
    match arguments.analysis {
        Analysis::Aggregate(arguments) => aggregate::run(arguments),
        Analysis::Forecast(arguments) => forecast::run(format, arguments),
        Analysis::Allocate(arguments) => allocate::run(arguments),
        Analysis::Explain(arguments) => explain::run(format, arguments),
        Analysis::Synergy(arguments) => synergy::run(format, arguments),
        Analysis::Fit(arguments) => fit::run(arguments),
        Analysis::Score(arguments) => score::run(format, arguments),
        Analysis::Scores(arguments) => on_stored(What::Scores(arguments)),
        Analysis::Forecasts(arguments) => on_stored(What::Forecasts(arguments)),
        Analysis::Promotions(arguments) => on_stored(What::Promotions(arguments)),
        Analysis::Synergies(arguments) => on_stored(What::Synergies(arguments)),
        Analysis::Plan(arguments) => on_stored(What::Plan(arguments)),
    }
}

/// Where the result of a file's analysis goes.
#[derive(Debug, Args)]
struct Destination {
    /// Write the result to this file instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Destination {
    /// Writes a result.
    fn write(&self, text: &str) -> Outcome {
        let Some(path) = &self.out else {
            return say(text.trim_end());
        };
        std::fs::write(path, format!("{}\n", text.trim_end())).map_err(|error| {
            Error::invalid(
                "file.not_written",
                format!("{}: cannot be written: {error}", path.display()),
            )
            .advise("choose another file with --out")
            .into()
        })
    }

    /// Writes a result as a JSON document. Numbers that are not finite become null.
    fn write_json(&self, document: &impl Serialize) -> Outcome {
        self.write(&serde_json::to_string_pretty(document).expect("results are plain data"))
    }
}

/// The number of threads of a command that can use several.
#[derive(Clone, Copy, Debug, Args)]
struct Threads {
    /// Threads to work with; the result does not depend on it [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl Threads {
    fn count(self) -> usize {
        self.threads.map_or_else(
            || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            usize::from,
        )
    }
}

/// Lines of a CSV file, cells quoted where they have to be.
struct Csv(csv::Writer<Vec<u8>>);

impl Csv {
    fn new<S: AsRef<[u8]>>(header: impl IntoIterator<Item = S>) -> Self {
        let mut csv = Self(csv::Writer::from_writer(Vec::new()));
        csv.row(header);
        csv
    }

    fn row<S: AsRef<[u8]>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.0
            .write_record(cells)
            .expect("memory takes rows of one length");
    }

    fn text(self) -> String {
        let bytes = self.0.into_inner().expect("memory can be written");
        String::from_utf8(bytes).expect("cells are text")
    }
}

/// A number as a cell: every digit it has, nothing where there is none.
fn cell(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        String::new()
    } else if size != 0.0 && !(1e-5..1e16).contains(&size) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

/// A number that there may not be, as a cell.
fn maybe(value: Option<f64>) -> String {
    value.map_or_else(String::new, cell)
}
