//! Backtests of every series of a long table.

use domain::metric::Granularity;
use polars::prelude::{DataFrame, PolarsError};
use serde::{Deserialize, Serialize};

use super::{
    Backtest, ForecastError, Model, ModelScore, Options, PrepareError, backtest_cancellable,
};
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
    /// What was measured; `None` when the series is too short, constant, or has no known value.
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
    /// A series cannot be tested.
    #[error("series {series:?}: {error}")]
    Series {
        /// Its project (where there is one), brand and metric.
        series: String,
        /// Why.
        error: ForecastError,
    },
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
        let backtest = match backtest_cancellable(&series.values, options, cancel) {
            Ok(backtest) => backtest,
            Err(ForecastError::Prepare(PrepareError::Empty)) => None,
            Err(ForecastError::Cancelled(stop)) => return Err(stop.into()),
            Err(error) => {
                let names = [&series.project, &series.brand, &series.metric];
                let names = names.into_iter().filter(|name| !name.is_empty());
                let series = names.map(String::as_str).collect::<Vec<_>>().join(" / ");
                return Err(TableError::Series { series, error });
            }
        };
        rows.push(BacktestRow {
            active,
            periods: series.values.len(),
            backtest,
            project: series.project,
            brand: series.brand,
            metric: series.metric,
        });
    }
    Ok(rows)
}
