//! What a file is before polars reads it, and where in a CSV file the thing stands that was refused.
//!
//! polars answers a wrong file with words about its own options, so whatever can be told beforehand is told here.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use super::{AggregateError, FileFormat};
use crate::cancel::Cancel;

/// First bytes of packed files, and what packs them.
const PACKED: [(&[u8], &str); 3] = [
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
];

/// Bytes that the names of the columns may take: a file without a line break is not read whole to find them.
const HEADER: u64 = 1 << 20;

/// Checks that a file can be read and begins like its format.
pub(super) fn check(path: &Path, format: FileFormat) -> Result<(), AggregateError> {
    let mut start = Vec::new();
    open(path)?
        .take(4)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    if start.is_empty() {
        return Err(AggregateError::Empty);
    }
    if let Some((_, by)) = PACKED.iter().find(|(bytes, _)| start.starts_with(bytes)) {
        return Err(AggregateError::Malformed(format!(
            "it is packed by {by}; unpack it first"
        )));
    }
    match (format, start == *b"PAR1") {
        (FileFormat::Csv, true) => Err(AggregateError::Malformed(
            "it is a Parquet file; let its name end in .parquet".to_owned(),
        )),
        (FileFormat::Parquet, false) => Err(AggregateError::Malformed(
            "it is not a Parquet file".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// The names of the columns of a CSV file.
pub(super) fn header(path: &Path) -> Result<Vec<String>, AggregateError> {
    let mut record = csv::ByteRecord::new();
    let found = records(open(path)?.take(HEADER)).read_byte_record(&mut record);
    if !found.map_err(refused)? {
        return Err(AggregateError::Empty);
    }
    record
        .iter()
        .map(|name| String::from_utf8(name.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| AggregateError::Malformed("line 1 is not UTF-8".to_owned()))
}

/// The error with the line where it stands, or with what is wrong with the first bad row of the file.
pub(super) fn located(
    mut error: AggregateError,
    path: &Path,
    header: &[String],
    cancel: &dyn Cancel,
) -> AggregateError {
    let searched = match &mut error {
        AggregateError::NotANumber {
            line,
            column,
            found,
        }
        | AggregateError::NotADate {
            line,
            column,
            found,
        } => {
            let at = header.iter().position(|name| name == column);
            let is_there = |record: &csv::ByteRecord| {
                let cell = at.and_then(|at| record.get(at));
                cell.is_some_and(|cell| cell.trim_ascii() == found.as_bytes())
            };
            search(path, cancel, is_there).map(|place| *line = place.map(|(line, _)| line))
        }
        AggregateError::Malformed(what) => {
            let is_wrong = |record: &csv::ByteRecord| {
                let is_text = |cell| std::str::from_utf8(cell).is_ok();
                record.len() != header.len() || !record.iter().all(is_text)
            };
            search(path, cancel, is_wrong).map(|place| match place {
                Some((line, record)) if record.len() == header.len() => {
                    *what = format!("line {line} is not UTF-8");
                }
                Some((line, record)) => {
                    let (cells, names) = (record.len(), header.len());
                    *what = format!("line {line}: {cells} cells where the header has {names}");
                }
                None => {}
            })
        }
        _ => Ok(()),
    };
    searched.err().unwrap_or(error)
}

/// The first row of a CSV file of which something is true, with its line.
fn search(
    path: &Path,
    cancel: &dyn Cancel,
    is_it: impl Fn(&csv::ByteRecord) -> bool,
) -> Result<Option<(u64, csv::ByteRecord)>, AggregateError> {
    let mut records = records(open(path)?);
    let mut record = csv::ByteRecord::new();
    for row in 0_u64.. {
        if row.is_multiple_of(1024) {
            cancel.check()?;
        }
        if !records.read_byte_record(&mut record).map_err(refused)? {
            break;
        }
        // The first one names the columns.
        if row > 0 && is_it(&record) {
            let line = record.position().map_or(1, csv::Position::line);
            return Ok(Some((line, record)));
        }
    }
    Ok(None)
}

fn records<R: Read>(file: R) -> csv::Reader<BufReader<R>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(BufReader::new(file))
}

fn open(path: &Path) -> Result<File, AggregateError> {
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(AggregateError::Unreadable("it is a folder".to_owned()));
    }
    Ok(file)
}

fn unreadable(error: std::io::Error) -> AggregateError {
    AggregateError::Unreadable(error.to_string())
}

fn refused(error: csv::Error) -> AggregateError {
    match error.kind() {
        csv::ErrorKind::Io(inner) => AggregateError::Unreadable(inner.to_string()),
        _ => AggregateError::Malformed(error.to_string()),
    }
}
