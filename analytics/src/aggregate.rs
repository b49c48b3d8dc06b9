//! Large files of metric values, summed up per group and period without ever being held in memory.
//!
//! polars' streaming engine reads and splits the file in batches (on as many threads as it was given); the batches are added up
//! in the order of the file on the caller's thread. That order, and not the threads' luck, decides how the sums round, so the
//! result is the same to the last bit on any number of threads, and the caller can stop between batches.

mod days;
mod file;
mod interner;
mod numbers;

use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Duration,
};

use chrono::{Datelike, NaiveDate};
use domain::metric::Granularity;
use polars::prelude::{
    Column, CsvWriter, DataFrame, DataType, Engine, IntoColumn, LazyCsvReader, LazyFileListReader,
    LazyFrame, NamedFrom, PlRefPath, PlanCallback, PolarsError, PolarsResult, ScanArgsParquet,
    Schema, SerWriter, Series, col,
};
use thiserror::Error;

use self::{
    days::days,
    interner::{Keys, Pairs},
    numbers::numbers,
};
use crate::cancel::{Cancel, Cancelled};

/// How often the caller is asked whether to stop while a batch is being read.
const PATIENCE: Duration = Duration::from_millis(10);

/// Batches that may wait to be added up.
const WAITING: usize = 2;

/// Cells of a CSV file that mean "not known", in columns of numbers and dates.
pub const UNKNOWN: [&str; 5] = ["", "NA", "na", "NaN", "nan"];

/// Begins a comment, and no line that anybody writes. Where a file may have comments polars finds the ends of its lines in less than
/// half the time: what it does without them needs a nightly compiler to be fast.
const NO_COMMENT: &str = "\0no line begins like this\0";

/// Columns of the result beside the keys.
const FIGURES: [&str; 6] = ["period", "sum", "mean", "count", "min", "max"];

/// How the values of a file are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Text with a head line, commas, and dates as `2026-03-31`.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// What to sum up: the columns of the file, and the length of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregation {
    /// Column of dates or times.
    pub date: String,
    /// Columns of text or whole numbers that make the groups, such as brand and metric. The cells of a CSV file are text, so
    /// that `0042` and `42` are two keys.
    pub keys: Vec<String>,
    /// Column of numbers.
    pub value: String,
    /// Length of a period.
    pub granularity: Granularity,
}

/// Sums per group and period, and what could not be used.
#[derive(Debug, Clone)]
pub struct Aggregated {
    /// The key columns, `period` (its first day), `sum`, `mean`, `count`, `min`, `max`; a row per group and period, in the order
    /// in which the file first mentions them.
    pub frame: DataFrame,
    /// Rows of the file.
    pub rows: u64,
    /// Rows whose value is not known.
    pub without_value: u64,
    /// Rows with a value whose date is not known or one of whose keys is empty.
    pub without_group: u64,
}

impl Aggregated {
    /// Writes the sums as CSV with a head line; every number with all its digits.
    ///
    /// # Errors
    /// When `to` cannot be written.
    pub fn write_csv(&mut self, to: impl Write) -> Result<(), AggregateError> {
        CsvWriter::new(to).finish(&mut self.frame)?;
        Ok(())
    }
}

/// Why a file could not be summed up.
#[derive(Debug, Error)]
pub enum AggregateError {
    /// The file cannot be opened or read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Its path is not text.
    #[error("the path {0:?} is not text")]
    Path(std::path::PathBuf),
    /// It is not a file of its format.
    #[error("{0}")]
    Malformed(String),
    /// It holds no rows.
    #[error("there are no rows")]
    Empty,
    /// It lacks a column.
    #[error("there is no column {column:?}")]
    NoColumn {
        /// The column.
        column: String,
        /// The columns that are there.
        there: Vec<String>,
    },
    /// Two of its columns have the name of one that is needed.
    #[error("there are two columns {0:?}")]
    ColumnTwice(String),
    /// A column does not hold what it should.
    #[error("column {column:?} holds {found}, not {expected}")]
    Column {
        /// The column.
        column: String,
        /// What it holds.
        found: String,
        /// What is needed.
        expected: &'static str,
    },
    /// A value is not a finite number.
    #[error("{}column {column:?}: {found:?} is not a number", before(*.line))]
    NotANumber {
        /// Its line in a CSV file, from 1.
        line: Option<u64>,
        /// The column.
        column: String,
        /// What was read.
        found: String,
    },
    /// A cell in the column of dates is none.
    #[error("{}column {column:?}: {found:?} is not a date like 2026-03-31", before(*.line))]
    NotADate {
        /// Its line in a CSV file, from 1.
        line: Option<u64>,
        /// The column.
        column: String,
        /// What was read.
        found: String,
    },
    /// No keys.
    #[error("no columns are named that make the groups")]
    NoKeys,
    /// A column cannot be a key.
    #[error("column {column:?} cannot make groups: {why}")]
    Key {
        /// The column.
        column: String,
        /// Why not.
        why: &'static str,
    },
    /// The caller wanted to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn before(line: Option<u64>) -> String {
    line.map_or(String::new(), |line| format!("line {line}, "))
}

impl From<PolarsError> for AggregateError {
    fn from(error: PolarsError) -> Self {
        // What follows in further lines is polars' plan and advice on its own options.
        let whole = error.to_string();
        let first = whole.lines().next().unwrap_or_default();
        match error {
            PolarsError::IO { .. } => Self::Unreadable(first.to_owned()),
            PolarsError::NoData(_) => Self::Empty,
            _ => Self::Malformed(format!("its content cannot be read: {first}")),
        }
    }
}

/// Sums a file up per group and period: sum, mean, count, least and greatest value.
///
/// In a CSV file keys are read as text, and a cell of [`UNKNOWN`] in the columns of values and dates is not known. Memory
/// grows with the number of groups, not of rows. Threads: as many as polars was told to use in this process
/// (`POLARS_MAX_THREADS`), and the caller's.
///
/// # Errors
/// When the file cannot be read or is not of its format, holds no rows, lacks a column or has it twice; when a value is not a
/// finite number, a date is none, or a key is a column that cannot make groups: one named twice, that of the dates or values,
/// or one with the name of a figure of the result; when the caller cancels.
pub fn aggregate(
    path: &Path,
    format: FileFormat,
    aggregation: &Aggregation,
    cancel: &dyn Cancel,
) -> Result<Aggregated, AggregateError> {
    check_keys(aggregation)?;
    cancel.check()?;
    file::check(path, format)?;
    // A column may be wanted for two things; it is read once.
    let wanted: BTreeSet<&str> = [&aggregation.date, &aggregation.value]
        .into_iter()
        .chain(&aggregation.keys)
        .map(String::as_str)
        .collect();
    match format {
        FileFormat::Csv => {
            let header = file::header(path)?;
            check_columns(&wanted, &header)?;
            // What a column holds is never guessed: whatever its first rows say, a later one may contradict them.
            let read = |values: DataType| {
                let values = Schema::from_iter([(aggregation.value.as_str().into(), values)]);
                let source = LazyCsvReader::new(unmapped(path)?)
                    .with_glob(false)
                    .with_comment_prefix(Some(NO_COMMENT.into()))
                    .with_infer_schema_length(Some(0))
                    .with_dtype_overwrite(Some(std::sync::Arc::new(values)))
                    .finish()?;
                add_up(source, &wanted, aggregation, cancel)
            };
            // polars reads numbers faster than [`numbers`], and stops at a cell that is none without a word on which: only
            // then they are read here.
            read(DataType::Float64)
                .or_else(|error| match error {
                    AggregateError::Malformed(_) | AggregateError::NotANumber { .. } => {
                        read(DataType::String)
                    }
                    other => Err(other),
                })
                .map_err(|error| file::located(error, path, &header, cancel))
        }
        FileFormat::Parquet => {
            let arguments = ScanArgsParquet {
                glob: false,
                ..ScanArgsParquet::default()
            };
            let mut source = LazyFrame::scan_parquet(PlRefPath::new(text(path)?), arguments)?;
            let schema = source.collect_schema()?;
            let there: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
            check_columns(&wanted, &there)?;
            add_up(source, &wanted, aggregation, cancel)
        }
    }
}

/// Checks that the result can have a column for every key.
fn check_keys(aggregation: &Aggregation) -> Result<(), AggregateError> {
    let Aggregation {
        date, keys, value, ..
    } = aggregation;
    if keys.is_empty() {
        return Err(AggregateError::NoKeys);
    }
    for (at, key) in keys.iter().enumerate() {
        let why = if keys[..at].contains(key) {
            "it is named twice"
        } else if FIGURES.contains(&key.as_str()) {
            "the result has a column of that name"
        } else if key == date {
            "it is the column of dates"
        } else if key == value {
            "it is the column of values"
        } else {
            continue;
        };
        return Err(AggregateError::Key {
            column: key.clone(),
            why,
        });
    }
    Ok(())
}

/// Checks that every column that is wanted is there once.
fn check_columns(wanted: &BTreeSet<&str>, there: &[String]) -> Result<(), AggregateError> {
    for name in wanted {
        match there.iter().filter(|own| own == name).count() {
            1 => {}
            0 => {
                return Err(AggregateError::NoColumn {
                    column: (*name).to_owned(),
                    there: there.to_vec(),
                });
            }
            _ => return Err(AggregateError::ColumnTwice((*name).to_owned())),
        }
    }
    Ok(())
}

fn add_up(
    source: LazyFrame,
    wanted: &BTreeSet<&str>,
    aggregation: &Aggregation,
    cancel: &dyn Cancel,
) -> Result<Aggregated, AggregateError> {
    let wanted: Vec<_> = wanted.iter().map(|name| col(*name)).collect();
    let batches = batches(source.select(wanted))?;
    let mut sums = Sums::new(aggregation);
    loop {
        match batches.recv_timeout(PATIENCE) {
            Ok(Message::Batch(batch)) => {
                cancel.check()?;
                sums.add(&batch)?;
            }
            Ok(Message::Done(result)) => {
                result?;
                break;
            }
            // The reader stops when nobody takes its next batch.
            Err(RecvTimeoutError::Timeout) => cancel.check()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(AggregateError::Unreadable("the reader stopped".to_owned()));
            }
        }
    }
    sums.finish()
}

fn text(path: &Path) -> Result<&str, AggregateError> {
    path.to_str()
        .ok_or_else(|| AggregateError::Path(path.to_owned()))
}

/// The address under which polars reads a file part by part. A plain path is mapped into memory whole, so that a large file stays
/// in memory as it is read. (So is one whose name holds a per cent sign, which polars takes for an escape and makes a path of.)
/// polars takes no address with `..` in it.
fn unmapped(path: &Path) -> Result<PlRefPath, AggregateError> {
    let whole = path
        .canonicalize()
        .map_err(|error| AggregateError::Unreadable(error.to_string()))?;
    let escaped = text(&whole)?.replace('%', "%25");
    Ok(PlRefPath::new(format!("file://{escaped}")))
}

enum Message {
    Batch(DataFrame),
    Done(PolarsResult<()>),
}

/// The rows of a query in their order, read by a thread of its own.
fn batches(query: LazyFrame) -> PolarsResult<Receiver<Message>> {
    let (sender, receiver) = sync_channel(WAITING);
    let of_batches = sender.clone();
    let query = query.sink_batches(
        PlanCallback::new(move |batch| Ok(of_batches.send(Message::Batch(batch)).is_err())),
        true,
        None,
    )?;
    std::thread::spawn(move || {
        let result = query.collect_with_engine(Engine::Streaming).map(|_| ());
        // Nobody listens any more when the caller has stopped.
        let _ = sender.send(Message::Done(result));
    });
    Ok(receiver)
}

/// What is known of a group in a period.
#[derive(Debug, Clone, Copy)]
struct Cell {
    group: u32,
    period: i32,
    count: u64,
    sum: f64,
    least: f64,
    greatest: f64,
}

/// The cell that a group was in last: most rows of a group come period by period.
#[derive(Debug, Clone, Copy)]
struct Last {
    period: i32,
    cell: u32,
}

struct Sums<'a> {
    aggregation: &'a Aggregation,
    keys: Vec<Keys>,
    /// One less than there are keys: each joins the group of the keys before it with one more key.
    joined: Vec<Pairs>,
    last: Vec<Last>,
    places: Pairs,
    cells: Vec<Cell>,
    /// First days of periods by day, both in days since 1970.
    periods: std::collections::HashMap<i32, i32, interner::Mixed>,
    rows: u64,
    without_value: u64,
    without_group: u64,
}

impl<'a> Sums<'a> {
    fn new(aggregation: &'a Aggregation) -> Self {
        Self {
            aggregation,
            keys: Vec::new(),
            joined: vec![Pairs::default(); aggregation.keys.len() - 1],
            last: Vec::new(),
            places: Pairs::default(),
            cells: Vec::new(),
            periods: std::collections::HashMap::default(),
            rows: 0,
            without_value: 0,
            without_group: 0,
        }
    }

    fn add(&mut self, batch: &DataFrame) -> Result<(), AggregateError> {
        let rows = batch.height();
        self.rows += rows as u64;
        if self.keys.is_empty() {
            self.keys = self
                .aggregation
                .keys
                .iter()
                .map(|name| Keys::of(name, batch.column(name)?.dtype()))
                .collect::<Result<_, _>>()?;
        }
        let mut groups = Vec::with_capacity(rows);
        for (at, name) in self.aggregation.keys.iter().enumerate() {
            if at == 0 {
                self.keys[0].number(batch.column(name)?, |number| groups.push(number))?;
            } else {
                let joined = &mut self.joined[at - 1];
                let mut own = groups.iter_mut();
                self.keys[at].number(batch.column(name)?, |number| {
                    let group = own.next().expect("columns of a frame are of one length");
                    *group = match (*group, number) {
                        (Some(group), Some(number)) => Some(joined.number(group, number).0),
                        _ => None,
                    };
                })?;
            }
        }
        let days = days(
            &self.aggregation.date,
            batch.column(&self.aggregation.date)?,
        )?;
        let values = numbers(
            &self.aggregation.value,
            batch.column(&self.aggregation.value)?,
        )?;
        let mut known = (i32::MIN, 0);
        for ((day, value), group) in days.iter().zip(values).zip(groups) {
            if value.is_nan() {
                self.without_value += 1;
                continue;
            }
            let (Some(day), Some(group)) = (day, group) else {
                self.without_group += 1;
                continue;
            };
            if day != known.0 {
                known = (day, self.period(day)?);
            }
            let cell = self.cell(group, known.1);
            cell.count += 1;
            cell.sum += value;
            cell.least = cell.least.min(value);
            cell.greatest = cell.greatest.max(value);
        }
        Ok(())
    }

    fn cell(&mut self, group: u32, period: i32) -> &mut Cell {
        let at = group as usize;
        if at >= self.last.len() {
            let none = Last {
                period: i32::MIN,
                cell: 0,
            };
            self.last.resize(at + 1, none);
        }
        let last = &mut self.last[at];
        if last.period != period {
            let (place, new) = self.places.number(group, period.cast_unsigned());
            if new {
                self.cells.push(Cell {
                    group,
                    period,
                    count: 0,
                    sum: 0.0,
                    least: f64::INFINITY,
                    greatest: f64::NEG_INFINITY,
                });
            }
            *last = Last {
                period,
                cell: place,
            };
        }
        let cell = last.cell as usize;
        &mut self.cells[cell]
    }

    /// The first day of the period of a day.
    fn period(&mut self, day: i32) -> Result<i32, AggregateError> {
        if let Some(&period) = self.periods.get(&day) {
            return Ok(period);
        }
        let epoch = NaiveDate::default();
        let date = epoch
            .checked_add_signed(chrono::TimeDelta::days(day.into()))
            // At the ends of the calendar a period would begin before its first day.
            .filter(|date| (1..=9999).contains(&date.year()))
            .ok_or_else(|| AggregateError::Column {
                column: self.aggregation.date.clone(),
                found: format!("the day {day}"),
                expected: "dates of the years 1 to 9999",
            })?;
        let start = self.aggregation.granularity.start_of(date);
        let period = start.signed_duration_since(epoch).num_days() as i32;
        self.periods.insert(day, period);
        Ok(period)
    }

    fn finish(self) -> Result<Aggregated, AggregateError> {
        if self.rows == 0 {
            return Err(AggregateError::Empty);
        }
        // Each group's number of every key, from the last joined to the first.
        let mut numbers: Vec<Vec<u32>> = vec![self.cells.iter().map(|c| c.group).collect()];
        for joined in self.joined.iter().rev() {
            let whole = numbers.last_mut().expect("one is always there");
            let (before, own) = whole.iter().map(|&group| joined.pair(group)).unzip();
            *whole = own;
            numbers.push(before);
        }
        numbers.reverse();
        let names = self.aggregation.keys.iter();
        let mut columns: Vec<Column> = names
            .zip(self.keys.iter().zip(&numbers))
            .map(|(name, (keys, numbers))| keys.column(name, numbers))
            .collect();
        let cells = &self.cells;
        let periods: Vec<i32> = cells.iter().map(|cell| cell.period).collect();
        columns.push(
            Series::new("period".into(), periods)
                .cast(&DataType::Date)?
                .into_column(),
        );
        let of = |name: &str, value: fn(&Cell) -> f64| {
            Series::new(name.into(), cells.iter().map(value).collect::<Vec<f64>>()).into_column()
        };
        columns.push(of("sum", |cell| cell.sum));
        columns.push(of("mean", |cell| cell.sum / cell.count as f64));
        let counts: Vec<u64> = cells.iter().map(|cell| cell.count).collect();
        columns.push(Series::new("count".into(), counts).into_column());
        columns.push(of("min", |cell| cell.least));
        columns.push(of("max", |cell| cell.greatest));
        Ok(Aggregated {
            frame: DataFrame::new(cells.len(), columns)?,
            rows: self.rows,
            without_value: self.without_value,
            without_group: self.without_group,
        })
    }
}

#[cfg(test)]
mod tests;
