//! Dates of any column that holds them, as days since 1970.

use chrono::NaiveDate;
use polars::prelude::{ChunkFullNull, Column, DataType, Int32Chunked, StringChunked, TimeUnit};

use super::{AggregateError, UNKNOWN};

/// A column of dates, times or text as days since 1970.
///
/// Text is read here and not by polars, which takes several times as long for it: most rows of a file have the date of the row
/// before. A text that is no date is refused.
pub(super) fn days(name: &str, column: &Column) -> Result<Int32Chunked, AggregateError> {
    let days = match column.dtype() {
        DataType::String => {
            let texts = column.str()?;
            let days = days_of_text(texts);
            return match strange(texts, &days) {
                None => Ok(days),
                Some(found) => Err(AggregateError::NotADate {
                    line: None,
                    column: name.to_owned(),
                    found: found.to_owned(),
                }),
            };
        }
        DataType::Null => return Ok(Int32Chunked::full_null(name.into(), column.len())),
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
    Ok(days.i32()?.clone())
}

/// The first text that is not a date and does not say that none is known.
fn strange<'t>(texts: &'t StringChunked, days: &Int32Chunked) -> Option<&'t str> {
    if days.null_count() == texts.null_count() {
        return None;
    }
    texts
        .iter()
        .zip(days.iter())
        .filter_map(|(text, day)| Some(text?.trim_ascii()).filter(|_| day.is_none()))
        .find(|text| !UNKNOWN.contains(text))
}

/// `2026-03-31`, with or without a time of the day after it.
fn days_of_text(texts: &StringChunked) -> Int32Chunked {
    let mut last = ([0; 10], None);
    texts
        .iter()
        .map(|text| {
            let (date, rest) = text?.trim_ascii().as_bytes().split_first_chunk::<10>()?;
            if !matches!(rest.first(), None | Some(b'T' | b' ')) {
                return None;
            }
            if *date != last.0 {
                last = (*date, day(date));
            }
            last.1
        })
        .collect()
}

fn day(date: &[u8; 10]) -> Option<i32> {
    let text = std::str::from_utf8(date).ok()?;
    let date: NaiveDate = text.parse().ok()?;
    let since = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(since).ok()
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoColumn, NamedFrom, Series};

    use super::*;

    #[test]
    fn dates_are_read_from_text_with_or_without_a_time() {
        let texts = [
            Some("1970-01-02"),
            Some("1970-01-02"),
            Some("2024-02-29T10:00:00"),
            Some(" 2024-02-29 10:00"),
            Some("NA"),
            Some(""),
            None,
        ];
        let column = Series::new("date".into(), texts).into_column();
        let found = days("date", &column).unwrap();
        let expected = [Some(1), Some(1), Some(19_782), Some(19_782)];
        assert_eq!(found.iter().take(4).collect::<Vec<_>>(), expected);
        assert!(found.iter().skip(4).all(|day| day.is_none()));
    }

    #[test]
    fn a_text_that_is_no_date_is_refused() {
        for text in [
            "2023-02-29",
            "2024-02-291",
            "29.02.2024",
            "überüber",
            "Total",
        ] {
            let column = Series::new("date".into(), [None, Some("2024-02-29"), Some(text)]);
            let error = days("date", &column.into_column()).unwrap_err();
            assert!(
                matches!(&error, AggregateError::NotADate { found, .. } if found == text),
                "{error}"
            );
        }
    }
}
