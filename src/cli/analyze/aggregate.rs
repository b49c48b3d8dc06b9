//! `analyze aggregate`: a large file of values summed up per group and period.

use std::path::{Path, PathBuf};

use analytics::aggregate::{self, AggregateError, Aggregation, FileFormat};
use clap::{Args, ValueEnum};
use domain::{Error, metric::Granularity};

use super::{Destination, Outcome, work};

const EXAMPLE: &str = "\
The file is read in batches: ten million rows take some seconds and little memory. A row whose value is empty is counted and
left out.

Example:
  digi-cadence analyze aggregate examples/analyze/aggregate/daily.csv --date date --by brand,metric --value value --per month

Result: CSV by group and period (its first day) with sum, mean, count, min and max, in the order in which the file first mentions
them.";

/// `digi-cadence analyze aggregate`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The file: Parquet if its name ends so, else CSV with a header, commas, and dates such as 2026-03-31
    file: PathBuf,
    /// Column of dates or times
    #[arg(long, value_name = "COLUMN", default_value = "date")]
    date: String,
    /// Columns of text or whole numbers that make the groups
    #[arg(
        long,
        value_name = "COLUMN,COLUMN",
        value_delimiter = ',',
        required = true
    )]
    by: Vec<String>,
    /// Column of numbers
    #[arg(long, value_name = "COLUMN", default_value = "value")]
    value: String,
    /// Length of a period; weeks begin on Monday
    #[arg(long, value_enum, default_value_t = Per::Month)]
    per: Per,
    #[command(flatten)]
    destination: Destination,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Per {
    /// Days
    Day,
    /// Weeks from Monday
    Week,
    /// Calendar months
    Month,
    /// Calendar quarters
    Quarter,
}

impl From<Per> for Granularity {
    fn from(per: Per) -> Self {
        match per {
            Per::Day => Self::Day,
            Per::Week => Self::Week,
            Per::Month => Self::Month,
            Per::Quarter => Self::Quarter,
        }
    }
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Outcome {
    let Arguments {
        file,
        date,
        by,
        value,
        per,
        destination,
    } = arguments;
    let aggregation = Aggregation {
        date,
        keys: by,
        value,
        granularity: per.into(),
    };
    let format = if file
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
    {
        FileFormat::Parquet
    } else {
        FileFormat::Csv
    };
    let (text, left_out) = work::run("adding up", move |watch| {
        let refused = |error: AggregateError| refused(&file, &error);
        let mut found = aggregate::aggregate(&file, format, &aggregation, &|| watch.stopped())
            .map_err(refused)?;
        let mut text = Vec::new();
        found.write_csv(&mut text).map_err(refused)?;
        let text = String::from_utf8(text).expect("names of columns and keys are text");
        Ok((text, (found.rows, found.without_value, found.without_group)))
    })?;
    destination.write(&text)?;
    let (rows, without_value, without_group) = left_out;
    if without_value + without_group > 0 {
        eprintln!(
            "{rows} rows; {without_value} without a value and {without_group} without a date or a group are left out"
        );
    }
    Ok(())
}

fn refused(path: &Path, error: &AggregateError) -> Error {
    let code = match error {
        AggregateError::File(_) | AggregateError::Path(_) => "file.unreadable",
        AggregateError::Column { .. } | AggregateError::NoKeys => "file.malformed",
        AggregateError::Cancelled(_) => "runtime.cancelled",
    };
    Error::invalid(code, format!("{}: {error}", path.display()))
        .advise("check the path, the names of the columns and what they hold")
}
