//! Rows to explain or to learn from: named columns of numbers.

use polars::prelude::{Column, DataFrame, DataType};
use thiserror::Error;

/// A table of features: columns of equal length, each with its own name. `NaN` is a missing value.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
    rows: usize,
}

/// Why columns do not make a table of features.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FeaturesError {
    /// Names and columns differ in number.
    #[error("{names} names for {columns} columns")]
    Names {
        /// Number of names.
        names: usize,
        /// Number of columns.
        columns: usize,
    },
    /// Columns differ in length.
    #[error("column {name:?} has {found} rows, the first column has {expected}")]
    Length {
        /// Name of the column.
        name: String,
        /// Its length.
        found: usize,
        /// Length of the first column.
        expected: usize,
    },
    /// Two columns have one name.
    #[error("there are two columns {0:?}")]
    Twice(String),
    /// The model's features have no names, and the columns are not as many as they.
    #[error("the model's {expected} features have no names, and there are {found} columns")]
    Count {
        /// Number of columns.
        found: usize,
        /// Number of features.
        expected: usize,
    },
    /// A column is not there.
    #[error("there is no column {0:?}")]
    Absent(String),
    /// A column does not hold numbers.
    #[error("column {name:?} holds {dtype}, not numbers")]
    NotNumeric {
        /// Name of the column.
        name: String,
        /// What it holds.
        dtype: String,
    },
}

impl Features {
    /// A table from names and columns.
    ///
    /// # Errors
    /// When names and columns differ in number, columns in length, or a name occurs twice.
    pub fn new(names: Vec<String>, columns: Vec<Vec<f64>>) -> Result<Self, FeaturesError> {
        if names.len() != columns.len() {
            return Err(FeaturesError::Names {
                names: names.len(),
                columns: columns.len(),
            });
        }
        let rows = columns.first().map_or(0, Vec::len);
        let mut seen = std::collections::HashSet::new();
        for (name, column) in names.iter().zip(&columns) {
            if column.len() != rows {
                return Err(FeaturesError::Length {
                    name: name.clone(),
                    found: column.len(),
                    expected: rows,
                });
            }
            if !seen.insert(name.as_str()) {
                return Err(FeaturesError::Twice(name.clone()));
            }
        }
        Ok(Self {
            names,
            columns,
            rows,
        })
    }

    /// The columns `names` of a frame, in this order; null is missing and true is 1.
    ///
    /// # Errors
    /// When a column is absent or does not hold numbers or truth values.
    pub fn from_frame(frame: &DataFrame, names: &[String]) -> Result<Self, FeaturesError> {
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let column = frame
                .column(name)
                .map_err(|_| FeaturesError::Absent(name.clone()))?;
            let not_numeric = || FeaturesError::NotNumeric {
                name: name.clone(),
                dtype: column.dtype().to_string(),
            };
            if !column.dtype().is_primitive_numeric() && !column.dtype().is_bool() {
                return Err(not_numeric());
            }
            let numbers = column.cast(&DataType::Float64).map_err(|_| not_numeric())?;
            let numbers = numbers.f64().map_err(|_| not_numeric())?;
            columns.push(numbers.iter().map(|v| v.unwrap_or(f64::NAN)).collect());
        }
        Self::new(names.to_vec(), columns)
    }

    /// The same as a frame, as [`train`](super::train) takes it; missing values stay `NaN`.
    #[must_use]
    pub fn to_frame(&self) -> DataFrame {
        let columns = self.names.iter().zip(&self.columns);
        let columns: Vec<Column> = columns
            .map(|(name, values)| Column::new(name.as_str().into(), values.as_slice()))
            .collect();
        DataFrame::new(self.rows, columns).expect("names differ and columns are equally long")
    }

    /// Names of the columns.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows `from .. to`.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> Self {
        let to = to.min(self.rows);
        let from = from.min(to);
        Self {
            names: self.names.clone(),
            columns: self.columns.iter().map(|c| c[from..to].to_vec()).collect(),
            rows: to - from,
        }
    }

    /// The columns that `wanted` names, in its order.
    ///
    /// # Errors
    /// When one is absent.
    pub fn pick(&self, wanted: &[String]) -> Result<Vec<&[f64]>, FeaturesError> {
        wanted
            .iter()
            .map(|name| {
                self.names
                    .iter()
                    .position(|own| own == name)
                    .map(|at| self.columns[at].as_slice())
                    .ok_or_else(|| FeaturesError::Absent(name.clone()))
            })
            .collect()
    }
}
