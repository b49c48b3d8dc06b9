//! A number for every cell of a problem, as briefly as it can be written down.

use serde::{Deserialize, Serialize};

use super::AllocationError;

/// A number per cell: one for all, a list over channels (of a single brand), or a table brand × channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a number, a list with a number per channel, or a table with a row per brand"
)]
pub enum Grid {
    /// The same for every cell.
    Same(f64),
    /// One brand, a number per channel.
    Channels(Vec<f64>),
    /// A row per brand, a number per channel.
    Cells(Vec<Vec<f64>>),
}

impl Grid {
    /// Brands and channels it has; nothing where it is the same for all.
    pub(crate) fn shape(&self) -> Option<(usize, usize)> {
        match self {
            Self::Same(_) => None,
            Self::Channels(row) => Some((1, row.len())),
            Self::Cells(rows) => Some((rows.len(), rows.first().map_or(0, Vec::len))),
        }
    }

    /// Brand-major list, checked against the shape of the problem.
    pub(crate) fn cells(
        &self,
        name: &'static str,
        brands: usize,
        channels: usize,
    ) -> Result<Vec<f64>, AllocationError> {
        let cells: Vec<f64> = match self {
            Self::Same(value) => vec![*value; brands * channels],
            Self::Channels(row) => row.clone(),
            Self::Cells(rows) => rows.concat(),
        };
        let ragged = matches!(self, Self::Cells(rows) if rows.iter().any(|r| r.len() != channels));
        if ragged || self.shape().is_some_and(|s| s != (brands, channels)) {
            return Err(AllocationError::Shape {
                name,
                brands,
                channels,
            });
        }
        if let Some(value) = cells.iter().find(|v| !v.is_finite()) {
            return Err(AllocationError::Number {
                name,
                value: *value,
            });
        }
        Ok(cells)
    }
}
