//! The times of a series in a file: whole numbers or dates, one step apart, with holes where rows are missing.

use chrono::{Datelike, NaiveDate};
use domain::Error;

use super::file::CsvFile;

/// Periods that a series may span per row that it has, before the step between its times counts as unknown.
const MOST_HOLES: i64 = 4;
/// Whole numbers up to this are taken as times; differences of larger ones would leave the range of numbers.
const LARGEST: i64 = 1 << 53;

/// The times of a file's rows.
pub(super) struct Times {
    /// Number of the period of each row; periods are `stride` apart.
    index: Vec<i64>,
    stride: i64,
}

impl Times {
    /// Reads the column of the times. Rows with the same key belong to one series.
    ///
    /// # Errors
    /// `file.cell_missing`, `file.not_a_time`.
    pub(super) fn read(
        file: &CsvFile,
        column: usize,
        series: &[Vec<usize>],
    ) -> Result<Self, Error> {
        let first = file.filled(0, column)?;
        let index = if first.parse::<i64>().is_ok() {
            (0..file.rows())
                .map(|row| {
                    let text = file.filled(row, column)?;
                    let number = text.parse::<i64>().ok();
                    number.filter(|t| t.abs() <= LARGEST).ok_or_else(|| {
                        not_a_time(file, row, column, "a whole number, as in the first row")
                    })
                })
                .collect::<Result<Vec<_>, _>>()?
        } else {
            let days = (0..file.rows())
                .map(|row| {
                    date(file.filled(row, column)?).ok_or_else(|| {
                        not_a_time(
                            file,
                            row,
                            column,
                            "a whole number, or a date like 2026-03-02",
                        )
                    })
                })
                .collect::<Result<Vec<_>, _>>()?;
            periods(&days)
        };
        let mut stride = 0;
        for rows in series {
            let first = rows.first().map_or(0, |row| index[*row]);
            for row in rows {
                stride = divisor(stride, (index[*row] - first).abs());
            }
        }
        Ok(Self {
            index,
            stride: stride.max(1),
        })
    }

    /// The rows of a series from its first to its last time, nothing where there is no row. `name` is how errors call it.
    ///
    /// # Errors
    /// `file.key_repeated`, `file.uneven_times`.
    pub(super) fn line_up(
        &self,
        file: &CsvFile,
        column: usize,
        rows: &[usize],
        name: &str,
    ) -> Result<Vec<Option<usize>>, Error> {
        let mut sorted = rows.to_vec();
        sorted.sort_by_key(|row| (self.index[*row], *row));
        if let Some(pair) = sorted
            .windows(2)
            .find(|pair| self.index[pair[0]] == self.index[pair[1]])
        {
            let what = format!(
                "{name}, {} {:?}",
                file.header()[column],
                file.text(pair[1], column)
            );
            return Err(file.repeated(pair[0], pair[1], &what));
        }
        let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
            return Ok(Vec::new());
        };
        let length = (self.index[*last] - self.index[*first]) / self.stride + 1;
        if length > MOST_HOLES * sorted.len() as i64 {
            return Err(uneven(format!(
                "{}: {name} has {} rows from {:?} to {:?}, where {length} steps are",
                file.name(),
                sorted.len(),
                file.text(*first, column),
                file.text(*last, column)
            )));
        }
        let mut lined = vec![None; length as usize];
        for row in &sorted {
            lined[((self.index[*row] - self.index[*first]) / self.stride) as usize] = Some(*row);
        }
        Ok(lined)
    }

    /// Number of each row's period, from the earliest of the file.
    ///
    /// # Errors
    /// `file.uneven_times`.
    pub(super) fn positions(&self, file: &CsvFile) -> Result<Vec<usize>, Error> {
        let first = self.index.iter().min().copied().unwrap_or(0);
        let last = self.index.iter().max().copied().unwrap_or(0);
        let length = (last - first) / self.stride + 1;
        if length > MOST_HOLES * self.index.len() as i64 {
            return Err(uneven(format!(
                "{}: the {} rows span {length} steps",
                file.name(),
                self.index.len()
            )));
        }
        let position = |index: &i64| ((index - first) / self.stride) as usize;
        Ok(self.index.iter().map(position).collect())
    }
}

fn uneven(message: String) -> Error {
    Error::invalid("file.uneven_times", message)
        .advise("times are one step apart, the same for all series; look for one that lies between the others, or far away")
}

fn not_a_time(file: &CsvFile, row: usize, column: usize, expected: &str) -> Error {
    let text = file.text(row, column);
    Error::invalid(
        "file.not_a_time",
        format!("{}: {text:?} is not {expected}", file.place(row, column)),
    )
    .advise("number the periods 1, 2, 3, …, or write the first day of each")
}

/// A day, a month as its first day, or a day with a time behind it.
fn date(text: &str) -> Option<NaiveDate> {
    let day = text.split(['T', ' ']).next()?;
    day.parse().or_else(|_| format!("{day}-01").parse()).ok()
}

/// Numbers of periods: months where every day is a month's first or every day its last, else days.
fn periods(days: &[NaiveDate]) -> Vec<i64> {
    let monthly = days.iter().all(|d| d.day() == 1)
        || days
            .iter()
            .all(|d| d.succ_opt().is_some_and(|next| next.day() == 1));
    days.iter()
        .map(|d| {
            if monthly {
                i64::from(d.year()) * 12 + i64::from(d.month0())
            } else {
                i64::from(d.num_days_from_ce())
            }
        })
        .collect()
}

/// Greatest common divisor.
fn divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_one_apart_and_weeks_seven_days() {
        let days = |texts: &[&str]| -> Vec<i64> {
            periods(
                &texts
                    .iter()
                    .map(|t| date(t).expect("a date"))
                    .collect::<Vec<_>>(),
            )
        };
        let months = days(&["1949-01-01", "1949-02-01", "1950-01-01"]);
        assert_eq!((months[1] - months[0], months[2] - months[0]), (1, 12));
        let ends = days(&["2026-01-31 00:00:00", "2026-02-28"]);
        assert_eq!(ends[1] - ends[0], 1);
        let weeks = days(&["2025-12-29", "2026-01-05T00:00:00"]);
        assert_eq!(weeks[1] - weeks[0], 7);
        assert_eq!(days(&["1949-01"]), days(&["1949-01-01"]));
        assert!(date("yesterday").is_none() && date("2026-02-30").is_none());
    }
}
