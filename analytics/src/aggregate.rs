//! Large files of metric values, summed up per group and period without ever being held in memory.
//!
//! polars' streaming engine reads and decodes the file in batches (on as many threads as it was given); the batches are added up
//! in the order of the file on the caller's thread. That order, and not the threads' luck, decides how the sums round, so the
//! result is the same to the last bit on any number of threads, and the caller can stop between batches.

mod interner;

use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::Duration,
};

use chrono::NaiveDate;
use domain::metric::Granularity;
use polars::prelude::{
    Column, CsvWriter, DataFrame, DataType, Engine, IntoColumn, LazyCsvReader, LazyFileListReader,
    LazyFrame, NamedFrom, PlRefPath, PlanCallback, PolarsError, PolarsResult, ScanArgsParquet,
    SerWriter, Series, TimeUnit, col,
};
use thiserror::Error;

use self::interner::{Keys, Pairs};
use crate::cancel::{Cancel, Cancelled};

/// How often the caller is asked whether to stop while a batch is being read.
const PATIENCE: Duration = Duration::from_millis(10);

/// Batches that may wait to be added up.
const WAITING: usize = 2;

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
    /// Columns of text or whole numbers that make the groups, such as brand and metric.
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
    /// Rows whose value is absent or not a number.
    pub without_value: u64,
    /// Rows with a value whose date or one of whose keys is absent.
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
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] PolarsError),
    /// Its path is not text.
    #[error("the path {0:?} is not text")]
    Path(std::path::PathBuf),
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
    /// No keys.
    #[error("no columns are named that make the groups")]
    NoKeys,
    /// The caller wanted to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Sums a file up per group and period: sum, mean, count, least and greatest value.
///
/// Memory grows with the number of groups, not of rows. Threads: as many as polars was told to use in this process
/// (`POLARS_MAX_THREADS`), and the caller's.
///
/// # Errors
/// When the file cannot be read, a column is absent or holds something else, or the caller cancels.
pub fn aggregate(
    path: &Path,
    format: FileFormat,
    aggregation: &Aggregation,
    cancel: &dyn Cancel,
) -> Result<Aggregated, AggregateError> {
    if aggregation.keys.is_empty() {
        return Err(AggregateError::NoKeys);
    }
    cancel.check()?;
    let text = path
        .to_str()
        .ok_or_else(|| AggregateError::Path(path.to_owned()))?;
    let source = match format {
        FileFormat::Csv => LazyCsvReader::new(PlRefPath::new(text))
            .with_try_parse_dates(true)
            .with_glob(false)
            .with_raise_if_empty(true)
            .finish()?,
        FileFormat::Parquet => {
            let arguments = ScanArgsParquet {
                glob: false,
                ..ScanArgsParquet::default()
            };
            LazyFrame::scan_parquet(PlRefPath::new(text), arguments)?
        }
    };
    // A column may be wanted for two things; it is read once.
    let wanted: BTreeSet<&str> = [&aggregation.date, &aggregation.value]
        .into_iter()
        .chain(&aggregation.keys)
        .map(String::as_str)
        .collect();
    let wanted: Vec<_> = wanted.into_iter().map(col).collect();
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
                return Err(PolarsError::ComputeError("the reader stopped".into()).into());
            }
        }
    }
    sums.finish()
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
        let days = days.i32()?;
        let values = numbers(
            &self.aggregation.value,
            batch.column(&self.aggregation.value)?,
        )?;
        let values = values.f64()?;
        let mut known = (i32::MIN, 0);
        for ((day, value), group) in days.iter().zip(values.iter()).zip(groups) {
            let Some(value) = value.filter(|value| !value.is_nan()) else {
                self.without_value += 1;
                continue;
            };
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
            .ok_or_else(|| AggregateError::Column {
                column: self.aggregation.date.clone(),
                found: format!("the day {day}"),
                expected: "dates of the calendar",
            })?;
        let start = self.aggregation.granularity.start_of(date);
        let period = start.signed_duration_since(epoch).num_days() as i32;
        self.periods.insert(day, period);
        Ok(period)
    }

    fn finish(self) -> Result<Aggregated, AggregateError> {
        // Each group's number of every key, from the last joined to the first.
        let mut numbers: Vec<Vec<u32>> = vec![self.cells.iter().map(|c| c.group).collect()];
        for joined in self.joined.iter().rev() {
            let whole = numbers.last_mut().expect("one is always there");
            let (before, own) = whole.iter().map(|&group| joined.pair(group)).unzip();
            *whole = own;
            numbers.push(before);
        }
        numbers.reverse();
        let mut columns: Vec<Column> = Vec::new();
        // Without a batch the kinds of the keys are unknown; then there are no groups either.
        for (at, name) in self.aggregation.keys.iter().enumerate() {
            columns.push(match self.keys.get(at) {
                Some(keys) => keys.column(name, &numbers[at]),
                None => Series::new(name.as_str().into(), Vec::<i64>::new()).into_column(),
            });
        }
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

/// A column of dates or times as days since 1970.
fn days(name: &str, column: &Column) -> Result<Column, AggregateError> {
    let column = match column.dtype() {
        DataType::Date => column.to_physical_repr(),
        DataType::Datetime(_, _) => column
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))?
            .cast(&DataType::Date)?
            .to_physical_repr(),
        other => {
            return Err(AggregateError::Column {
                column: name.to_owned(),
                found: other.to_string(),
                expected: "dates",
            });
        }
    };
    Ok(column)
}

fn numbers(name: &str, column: &Column) -> Result<Column, AggregateError> {
    if column.dtype().is_primitive_numeric() || column.dtype().is_null() {
        return Ok(column.cast(&DataType::Float64)?);
    }
    Err(AggregateError::Column {
        column: name.to_owned(),
        found: column.dtype().to_string(),
        expected: "numbers",
    })
}

#[cfg(test)]
mod tests;
