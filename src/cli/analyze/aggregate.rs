//! `analyze aggregate`: a large file of values summed up per group and period.

use std::path::{Path, PathBuf};

use analytics::aggregate::{self, AggregateError, Aggregation, FileFormat};
use clap::{Args, ValueEnum};
use domain::{Error, metric::Granularity};

use super::{Destination, Outcome, note, work};

const EXAMPLE: &str = "\
The file is read in batches: ten million rows take some seconds and little memory. A row whose value is not known (an empty
cell, NA or NaN) is counted and left out; any other value that is not a finite number is refused.

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
    /// Columns of text or whole numbers that make the groups; in CSV 0042 and 42 are two groups
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
        note(&format!(
            "{rows} rows; {without_value} without a value and {without_group} without a date or a group are left out"
        ));
    }
    Ok(())
}

fn refused(path: &Path, error: &AggregateError) -> Error {
    let (code, advice) = match error {
        AggregateError::Unreadable(_) | AggregateError::Path(_) => (
            "file.unreadable",
            "check the path, and that it is a file".to_owned(),
        ),
        AggregateError::Malformed(_) => (
            "file.malformed",
            "give a Parquet file, or CSV in UTF-8 with a header, commas, and double quotes around a cell that holds a comma"
                .to_owned(),
        ),
        AggregateError::Empty => (
            "file.empty",
            "give a file with rows, in CSV below a header".to_owned(),
        ),
        AggregateError::NoColumn { there, .. } => ("file.column_missing", columns(there)),
        AggregateError::ColumnTwice(_) => (
            "file.column_repeated",
            "rename one of them in the file".to_owned(),
        ),
        AggregateError::NotANumber { .. } => (
            "file.not_a_number",
            "write it like 1234.5; leave the cell empty where the value is not known".to_owned(),
        ),
        AggregateError::NotADate { .. } => (
            "file.not_a_time",
            "write it like 2026-03-31, with or without a time of the day after it".to_owned(),
        ),
        AggregateError::Column { .. } => (
            "file.malformed",
            "name other columns with --date, --by and --value".to_owned(),
        ),
        AggregateError::Key { .. } | AggregateError::NoKeys => (
            "file.malformed",
            "name other columns with --by, or rename them in the file".to_owned(),
        ),
        AggregateError::Cancelled(_) => ("runtime.cancelled", "start it again".to_owned()),
    };
    Error::invalid(code, format!("{}: {error}", path.display())).advise(advice)
}

/// What to do when a column is not among those that are there.
fn columns(there: &[String]) -> String {
    match there {
        [one] if one.contains([';', '\t']) => {
            "columns are separated by commas here, and the file uses another sign".to_owned()
        }
        _ => format!("there are {}", there.join(", ")),
    }
}
