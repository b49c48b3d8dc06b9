//! Reading typed values out of rows, and writing them as parameters. JSON is kept as text on both databases: a number
//! must come back bit for bit, because hashes and certificates are recomputed from it.

use sea_orm::{QueryResult, TryGetable};
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// A row of a result.
pub struct Row(pub(crate) QueryResult);

impl Row {
    /// The value of a column.
    pub(crate) fn get<T: TryGetable>(&self, column: &str) -> Result<T, Error> {
        self.0.try_get("", column).map_err(Error::from)
    }

    /// The value of the column at a place; faster than by name for long results.
    pub(crate) fn at<T: TryGetable>(&self, index: usize) -> Result<T, Error> {
        self.0.try_get_by_index(index).map_err(Error::from)
    }

    /// A document kept as JSON text.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        Ok(serde_json::from_str(&self.get::<String>(column)?)?)
    }

    /// A document that may be missing.
    pub(crate) fn json_opt<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, Error> {
        self.get::<Option<String>>(column)?
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(Error::from)
    }

    /// An enum kept by its stable name.
    pub(crate) fn named<T: DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        from_name(&self.get::<String>(column)?)
    }

    /// A count or version, which is never negative.
    pub(crate) fn count<T: TryFrom<i64>>(&self, column: &str) -> Result<T, Error> {
        T::try_from(self.get::<i64>(column)?)
            .map_err(|_| Error::internal(format!("{column} holds a number out of range")))
    }
}

/// The stable name of an enum's variant, as serde writes it.
pub(crate) fn name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => unreachable!("only enums without data are stored by name"),
    }
}

/// The variant of a stable name.
pub(crate) fn from_name<T: DeserializeOwned>(name: &str) -> Result<T, Error> {
    Ok(serde_json::from_value(serde_json::Value::String(
        name.to_owned(),
    ))?)
}

/// A document as JSON text.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Error> {
    Ok(serde_json::to_string(value)?)
}

/// An optional document as JSON text.
pub(crate) fn json_opt<T: Serialize>(value: &Option<T>) -> Result<Option<String>, Error> {
    value.as_ref().map(json).transpose()
}

/// Builds the parameters of a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$(sea_orm::Value::from($value)),*] };
}
pub(crate) use params;

/// A list of placeholders `$first, $first+1, …` for an `IN (…)`.
pub(crate) fn placeholders(first: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * 5);
    for index in 0..count {
        if index > 0 {
            text.push(',');
        }
        text.push('$');
        text.push_str(&(first + index).to_string());
    }
    text
}
