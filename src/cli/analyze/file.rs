//! CSV files of people who check results: every refusal names the file, the line, the column, what was read and what is expected.

use std::{
    collections::HashSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use analytics::aggregate::UNKNOWN;
use domain::Error;
use serde_json::error::Category;

/// A file's text, without the byte order mark that some editors put in front.
///
/// # Errors
/// `file.unreadable`.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    let bytes =
        std::fs::read(path).map_err(|e| unreadable(path, &format!("cannot be read: {e}")))?;
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + count_lines(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        unreadable(path, &format!("line {line} is not UTF-8"))
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

fn unreadable(path: &Path, why: &str) -> Error {
    Error::invalid("file.unreadable", format!("{}: {why}", path.display()))
        .advise("check the path, and that the file is UTF-8 text")
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| **b == b'\n').count()
}

/// Reads a JSON document.
///
/// # Errors
/// `file.unreadable`, `file.malformed` with line and column.
pub(super) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    serde_json::from_str(&text(path)?).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        // serde_json ends its message with the place, which stands in front here as in every refusal of a file.
        let whole = error.to_string();
        let what = whole.strip_suffix(&place).unwrap_or(&whole);
        let what = what.trim_end().trim_end_matches(" at");
        let advice = match error.classify() {
            Category::Data => "correct what stands there; --help describes the fields",
            Category::Eof => "the file ends too early: close every quote, bracket and brace, or save it again",
            Category::Syntax | Category::Io => {
                "correct the JSON there: keys in double quotes, a comma between entries and none after the last, no comments"
            }
        };
        Error::invalid(
            "file.malformed",
            format!("{}, {place}: {what}", path.display()),
        )
        .advise(advice)
    })
}

/// Reads a TOML document.
///
/// # Errors
/// `file.unreadable`, `file.malformed` with line and column.
pub(super) fn toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = text(path)?;
    toml::from_str(&text).map_err(|error| {
        let mut place = String::new();
        if let Some(span) = error.span() {
            let before = &text.as_bytes()[..span.start.min(text.len())];
            let column = 1 + before.iter().rev().take_while(|b| **b != b'\n').count();
            // Writing to a string does not fail.
            let _ = write!(place, ", line {}, column {column}", 1 + count_lines(before));
        }
        let message = error.message().trim().replace('\n', ", ");
        Error::invalid(
            "file.malformed",
            format!("{}{place}: {message}", path.display()),
        )
    })
}

/// A CSV file with a header.
#[derive(Debug)]
pub(super) struct CsvFile {
    path: PathBuf,
    header: Vec<String>,
    /// All cells one after another, row by row: a file of millions of rows takes little more room than on disk.
    cells: String,
    /// Where each cell ends.
    ends: Vec<usize>,
    /// Line of each row.
    lines: Vec<u64>,
}

impl CsvFile {
    /// Reads a file.
    ///
    /// # Errors
    /// `file.unreadable`, `file.malformed`, `file.empty`, `file.column_repeated`.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let opened = std::fs::File::open(path)
            .map_err(|error| unreadable(path, &format!("cannot be read: {error}")))?;
        // The reader takes a byte order mark away.
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(std::io::BufReader::new(opened));
        let refused = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            let why = match error.kind() {
                csv::ErrorKind::UnequalLengths {
                    expected_len, len, ..
                } => format!("{len} cells where the header has {expected_len}"),
                csv::ErrorKind::Utf8 { .. } => {
                    return unreadable(path, &format!("line {line} is not UTF-8"));
                }
                _ => return unreadable(path, &error.to_string()),
            };
            Error::invalid(
                "file.malformed",
                format!("{}, line {line}: {why}", path.display()),
            )
            .advise("a row has one cell per column, separated by commas; put a cell that holds a comma into double quotes")
        };
        let header: Vec<String> = reader
            .headers()
            .map_err(refused)?
            .iter()
            .map(str::to_owned)
            .collect();
        let (mut cells, mut ends, mut lines) = (String::new(), Vec::new(), Vec::new());
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(refused)? {
            lines.push(record.position().map_or(0, csv::Position::line));
            for cell in &record {
                cells.push_str(cell);
                ends.push(cells.len());
            }
        }
        if lines.is_empty() {
            return Err(Error::invalid(
                "file.empty",
                format!("{}: there are no rows below the header", path.display()),
            ));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = header.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Error::invalid(
                "file.column_repeated",
                format!(
                    "{}, line 1: there are two columns {twice:?}",
                    path.display()
                ),
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            header,
            cells,
            ends,
            lines,
        })
    }

    /// Names of the columns.
    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// Number of rows below the header.
    pub(super) fn rows(&self) -> usize {
        self.lines.len()
    }

    /// Position of a column.
    ///
    /// # Errors
    /// `file.column_missing`.
    pub(super) fn column(&self, name: &str) -> Result<usize, Error> {
        self.header
            .iter()
            .position(|own| own == name)
            .ok_or_else(|| {
                let error = Error::invalid(
                    "file.column_missing",
                    format!(
                        "{}, line 1: there is no column {name:?}",
                        self.path.display()
                    ),
                );
                if self.header.len() == 1 && self.header[0].contains([';', '\t']) {
                    error.advise(
                        "columns are separated by commas here, and the file uses another sign",
                    )
                } else {
                    error.advise(format!("there are {}", self.header.join(", ")))
                }
            })
    }

    /// Line of a row in the file, from 1.
    pub(super) fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    /// A cell.
    pub(super) fn text(&self, row: usize, column: usize) -> &str {
        let at = row * self.header.len() + column;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.cells[start..self.ends[at]]
    }

    /// A cell that has to hold something.
    ///
    /// # Errors
    /// `file.cell_missing`.
    pub(super) fn filled(&self, row: usize, column: usize) -> Result<&str, Error> {
        let text = self.text(row, column);
        if text.is_empty() {
            return Err(self.missing(row, column));
        }
        Ok(text)
    }

    /// That a cell has to hold something.
    pub(super) fn missing(&self, row: usize, column: usize) -> Error {
        Error::invalid(
            "file.cell_missing",
            format!("{}: there is no value", self.place(row, column)),
        )
        .advise("this column has to be filled in every row")
    }

    /// A number; nothing for a cell that means "not known".
    ///
    /// # Errors
    /// `file.not_a_number`.
    pub(super) fn number(&self, row: usize, column: usize) -> Result<Option<f64>, Error> {
        let text = self.text(row, column);
        if UNKNOWN.contains(&text) {
            return Ok(None);
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(Error::invalid(
                "file.not_a_number",
                format!("{}: {text:?} is not a number", self.place(row, column)),
            )
            .advise("write it like 1234.5; leave the cell empty where the value is not known")),
        }
    }

    /// The numbers of a column, NaN where they are not known.
    ///
    /// # Errors
    /// `file.not_a_number`.
    pub(super) fn numbers(&self, column: usize) -> Result<Vec<f64>, Error> {
        (0..self.rows())
            .map(|row| Ok(self.number(row, column)?.unwrap_or(f64::NAN)))
            .collect()
    }

    /// That two rows have one key.
    pub(super) fn repeated(&self, first: usize, second: usize, what: &str) -> Error {
        Error::invalid(
            "file.key_repeated",
            format!(
                "{}, line {}: {what} stands in line {} already",
                self.path.display(),
                self.line(second),
                self.line(first)
            ),
        )
        .advise("one row per key; add the values up, or take one row out")
    }

    /// Where a cell stands, in words.
    pub(super) fn place(&self, row: usize, column: usize) -> String {
        format!(
            "{}, line {}, column {:?}",
            self.path.display(),
            self.line(row),
            self.header[column]
        )
    }

    /// The file's name.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }
}
