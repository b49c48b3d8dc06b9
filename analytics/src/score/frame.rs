//! Scores of a long table: which brands it has, and their columns.

use polars::prelude::{DataFrame, DataType, PolarsError};

use super::{BrandScore, MetricColumn, Options, ScoreError, score};
use crate::cancel::Cancel;
use domain::metric::{Direction, Section};

/// A metric of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSpec {
    /// Its key, as in the table's `metric` column.
    pub key: String,
    /// Whether more is better.
    pub direction: Direction,
    /// Section of the score.
    pub section: Section,
    /// Weight, at least 0.
    pub weight: f64,
}

/// Why a table cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreFrameError {
    /// A column is missing or of the wrong type.
    #[error("the table must have the columns brand, metric (text) and value (number): {0}")]
    Table(#[from] PolarsError),
    /// Its brands cannot be scored.
    #[error(transparent)]
    Score(#[from] ScoreError),
}

/// Scores every brand of a long table with the columns `brand`, `metric` and `value`, one row per brand and metric.
///
/// Returns the brands in the order of their names. Metrics that are not in `metrics` are ignored; of repeated rows the last
/// one counts.
///
/// # Errors
/// [`ScoreFrameError`].
pub fn score_frame(
    table: &DataFrame,
    metrics: &[MetricSpec],
    options: &Options,
    cancel: &dyn Cancel,
) -> Result<Vec<(String, BrandScore)>, ScoreFrameError> {
    let brands = table.column("brand")?.str()?;
    let keys = table.column("metric")?.str()?;
    let values = table.column("value")?.cast(&DataType::Float64)?;
    let values = values.f64()?;
    let mut names: Vec<&str> = brands.iter().flatten().collect();
    names.sort_unstable();
    names.dedup();
    let mut columns: Vec<MetricColumn> = metrics
        .iter()
        .map(|m| MetricColumn {
            key: m.key.clone(),
            direction: m.direction,
            section: m.section,
            weight: m.weight,
            values: vec![f64::NAN; names.len()],
        })
        .collect();
    for ((brand, key), value) in brands.iter().zip(keys.iter()).zip(values.iter()) {
        let (Some(brand), Some(key), Some(value)) = (brand, key, value) else {
            continue;
        };
        if let (Ok(brand), Some(metric)) = (
            names.binary_search(&brand),
            metrics.iter().position(|m| m.key == key),
        ) {
            columns[metric].values[brand] = value;
        }
    }
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let scores = score(&columns, options, cancel)?;
    Ok(names.into_iter().zip(scores).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::never;
    use polars::prelude::df;

    #[test]
    fn a_long_table_is_scored_like_its_columns() {
        let table = df!(
            "brand" => ["b", "a", "b", "a", "c"],
            "metric" => ["sales", "sales", "rank", "rank", "ignored"],
            "value" => [5.0, 10.0, 1.0, 4.0, 9.0],
        )
        .expect("a table");
        let spec = |key: &str, direction| MetricSpec {
            key: key.into(),
            direction,
            section: Section::Marketplace,
            weight: 1.0,
        };
        let metrics = [
            spec("sales", Direction::Direct),
            spec("rank", Direction::Indirect),
        ];
        let scores = score_frame(&table, &metrics, &Options::default(), &never).expect("scores");
        let names: Vec<&str> = scores.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(scores[0].1.lines[0].normalised, Some(100.0));
        assert_eq!(scores[1].1.lines[1].normalised, Some(100.0));
        assert_eq!((scores[2].1.value, scores[2].1.coverage), (None, 0.0));
    }

    #[test]
    fn a_table_without_the_columns_is_refused() {
        let table = df!("brand" => ["a"], "value" => [1.0]).expect("a table");
        assert!(score_frame(&table, &[], &Options::default(), &never).is_err());
    }
}
