//! Values of any column that holds them.

use polars::prelude::{Column, DataType};

use super::{AggregateError, UNKNOWN};

/// The numbers of a column, NaN where none is known. An infinite one is none: it cannot be summed up.
///
/// Text is read here because polars does not say which cell is not a number.
pub(super) fn numbers(name: &str, column: &Column) -> Result<Vec<f64>, AggregateError> {
    let refused = |found: String| AggregateError::NotANumber {
        line: None,
        column: name.to_owned(),
        found,
    };
    match column.dtype() {
        DataType::String => {
            let read = |text: Option<&str>| {
                let text = text.unwrap_or_default().trim_ascii();
                number(text).ok_or_else(|| refused(text.to_owned()))
            };
            column.str()?.iter().map(read).collect()
        }
        DataType::Null => Ok(vec![f64::NAN; column.len()]),
        kind if kind.is_primitive_numeric() => {
            let column = column.cast(&DataType::Float64)?;
            let values = column.f64()?.iter().map(|v| v.unwrap_or(f64::NAN));
            let values: Vec<f64> = values.collect();
            match values.iter().find(|value| value.is_infinite()) {
                Some(value) => Err(refused(value.to_string())),
                None => Ok(values),
            }
        }
        other => Err(AggregateError::Column {
            column: name.to_owned(),
            found: other.to_string(),
            expected: "numbers",
        }),
    }
}

fn number(text: &str) -> Option<f64> {
    match text.parse::<f64>() {
        Ok(number) if !number.is_infinite() => Some(number),
        _ => UNKNOWN.contains(&text).then_some(f64::NAN),
    }
}
