//! Backtests of every series of a long table.

use domain::metric::Granularity;
use polars::prelude::{DataFrame, PolarsError};
use serde::{Deserialize, Serialize};

use super::{Backtest, Model, ModelScore, Options, backtest};
use crate::{
    cancel::{Cancel, Cancelled},
    series::cut,
};

/// The backtest of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BacktestRow {
    /// Project; empty when the table has none.
    pub project: String,
    /// Brand.
    pub brand: String,
    /// Metric.
    pub metric: String,
    /// Periods in which something happened.
    pub active: usize,
    /// Periods from the first to the last.
    pub periods: usize,
    /// What was measured; none when the series is too short or constant.
    pub backtest: Option<Backtest>,
}

impl BacktestRow {
    /// Score of the model that would be used.
    pub fn champion(&self) -> Option<&ModelScore> {
        self.backtest.as_ref().and_then(|b| b.score(b.champion))
    }

    /// Score of the naive forecast from the same origins.
    pub fn naive(&self) -> Option<&ModelScore> {
        self.backtest.as_ref().and_then(|b| b.score(Model::Naive))
    }
}

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A column is missing or of the wrong type.
    #[error(
        "the table must have the columns brand, metric (text), period (date) and value (number): {0}"
    )]
    Table(#[from] PolarsError),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Backtests every series that was active in at least `min_active` periods, ordered by project, brand and metric.
///
/// The columns of the table are those of [`crate::series::cut`].
///
/// # Errors
/// [`TableError`].
pub fn backtest_table(
    table: &DataFrame,
    granularity: Granularity,
    min_active: usize,
    options: &Options,
    cancel: &dyn Cancel,
) -> Result<Vec<BacktestRow>, TableError> {
    let mut rows = Vec::new();
    for series in cut(table, granularity)? {
        cancel.check()?;
        let active = series.active();
        if active < min_active {
            continue;
        }
        rows.push(BacktestRow {
            active,
            periods: series.values.len(),
            // A horizon of zero is the only way to fail here, and it means that nothing was measured.
            backtest: backtest(&series.values, options).unwrap_or_default(),
            project: series.project,
            brand: series.brand,
            metric: series.metric,
        });
    }
    Ok(rows)
}
