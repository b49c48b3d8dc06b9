//! Brand scores, and the scalers and benchmarks they were computed with.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    id::{BrandId, MetricId, ProjectId, ScoreId},
    score::Score,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Error, Executor, Unit,
    row::{Row, json, params},
};

/// Scores of a scope or unit.
pub struct Scores<'a, E>(pub(crate) &'a E);

/// How raw values of a metric become a number between 0 and 100: one version of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// The metric.
    pub metric: MetricId,
    /// Version, from 1; ignored when it is saved.
    pub version: u32,
    /// Name of the method.
    pub method: String,
    /// Raw value that becomes 0.
    pub low: f64,
    /// Raw value that becomes 100.
    pub high: f64,
}

/// What a metric is measured against: one version of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    /// The metric.
    pub metric: MetricId,
    /// The project; `None` for the whole portfolio.
    pub project: Option<ProjectId>,
    /// Version, from 1; ignored when it is saved.
    pub version: u32,
    /// The period it was computed for.
    pub period: NaiveDate,
    /// The value, in the metric's unit.
    pub value: f64,
    /// Name of the method, such as `p75`.
    pub method: String,
    /// When it was saved; ignored when it is saved.
    pub created_at: DateTime<Utc>,
}

/// The project of a row, or the nil id for the whole portfolio: unique keys need a value.
pub(crate) fn slice_key(project: Option<ProjectId>) -> Uuid {
    project.map_or(Uuid::nil(), |id| id.0)
}

fn slice_of(key: Uuid) -> Option<ProjectId> {
    (!key.is_nil()).then_some(ProjectId(key))
}

fn read(row: &Row) -> Result<Score, Error> {
    row.json("body")
}

fn read_benchmark(row: &Row) -> Result<Benchmark, Error> {
    Ok(Benchmark {
        metric: MetricId(row.get("metric_id")?),
        project: slice_of(row.get("slice")?),
        version: row.count("version")?,
        period: row.get("period")?,
        value: row.get("value")?,
        method: row.get("method")?,
        created_at: row.get("created_at")?,
    })
}

impl<E: Executor> Scores<'_, E> {
    /// The newest score of every brand in a project (`None`: in the whole portfolio), best first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn latest(&self, project: Option<ProjectId>) -> Result<Vec<Score>, Error> {
        let sql = "SELECT s.body FROM scores s WHERE s.org_id = $1 AND s.slice = $2 AND s.period = \
                   (SELECT MAX(t.period) FROM scores t WHERE t.org_id = s.org_id AND t.slice = s.slice AND t.brand_id = s.brand_id) \
                   ORDER BY COALESCE(s.value, -1) DESC, s.brand_id";
        self.0
            .rows(sql, params![slice_key(project)])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The scores of a brand, newest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn history(
        &self,
        brand: BrandId,
        project: Option<ProjectId>,
        limit: u32,
    ) -> Result<Vec<Score>, Error> {
        let sql = "SELECT body FROM scores WHERE org_id = $1 AND brand_id = $2 AND slice = $3 ORDER BY period DESC LIMIT $4";
        self.0
            .rows(sql, params![brand.0, slice_key(project), i64::from(limit)])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// One score.
    ///
    /// # Errors
    /// `score.unknown`.
    pub async fn get(&self, id: ScoreId) -> Result<Score, Error> {
        let row = self
            .0
            .row(
                "SELECT body FROM scores WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| {
            domain::Error::not_found("score.unknown", format!("there is no score {id}")).into()
        })
    }

    /// The current scaler of every metric that has one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn scalers(&self) -> Result<Vec<Scaler>, Error> {
        let sql = "SELECT s.* FROM scalers s WHERE s.org_id = $1 AND s.version = (SELECT MAX(t.version) FROM scalers t \
                   WHERE t.org_id = s.org_id AND t.metric_id = s.metric_id) ORDER BY s.metric_id";
        let rows = self.0.rows(sql, params![]).await?;
        rows.iter()
            .map(|row| {
                Ok(Scaler {
                    metric: MetricId(row.get("metric_id")?),
                    version: row.count("version")?,
                    method: row.get("method")?,
                    low: row.get("low")?,
                    high: row.get("high")?,
                })
            })
            .collect()
    }

    /// The current benchmark of every metric that has one, in a project or in the whole portfolio.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn benchmarks(&self, project: Option<ProjectId>) -> Result<Vec<Benchmark>, Error> {
        let sql = "SELECT b.* FROM benchmarks b WHERE b.org_id = $1 AND b.slice = $2 AND b.version = (SELECT MAX(t.version) \
                   FROM benchmarks t WHERE t.org_id = b.org_id AND t.metric_id = b.metric_id AND t.slice = b.slice) \
                   ORDER BY b.metric_id";
        self.0
            .rows(sql, params![slice_key(project)])
            .await?
            .iter()
            .map(read_benchmark)
            .collect()
    }
}

impl Scores<'_, Unit> {
    /// Keeps scores. A score of the same brand, project and period takes the place of the one before.
    ///
    /// # Errors
    /// `storage.unknown_reference` when a brand does not exist.
    pub async fn record(&self, scores: &[Score]) -> Result<(), Error> {
        let sql = "INSERT INTO scores (org_id, id, brand_id, slice, period, value, body, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (org_id, brand_id, slice, period) DO UPDATE SET \
                   id = excluded.id, value = excluded.value, body = excluded.body, created_at = excluded.created_at";
        for score in scores {
            let params = params![
                score.id.0,
                score.brand.0,
                slice_key(score.project),
                score.period,
                score.value,
                json(score)?,
                self.0.now()
            ];
            self.0.execute(sql, params).await?;
        }
        Ok(())
    }

    /// Saves a scaler and returns its version; the same one again changes nothing.
    ///
    /// # Errors
    /// `storage.unknown_reference` when the metric does not exist.
    pub async fn set_scaler(&self, new: &Scaler) -> Result<u32, Error> {
        self.0.serialise(&format!("scaler|{}", new.metric)).await?;
        let current = self
            .scalers()
            .await?
            .into_iter()
            .find(|s| s.metric == new.metric);
        if let Some(current) = &current
            && *current
                == (Scaler {
                    version: current.version,
                    ..new.clone()
                })
        {
            return Ok(current.version);
        }
        let version = current.map_or(1, |c| c.version + 1);
        let sql = "INSERT INTO scalers (org_id, metric_id, version, method, low, high, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let params = params![
            new.metric.0,
            i64::from(version),
            new.method.clone(),
            new.low,
            new.high,
            self.0.now()
        ];
        self.0.execute(sql, params).await?;
        Ok(version)
    }

    /// Saves a benchmark and returns its version; the same one again changes nothing.
    ///
    /// # Errors
    /// `storage.unknown_reference` when the metric does not exist.
    pub async fn set_benchmark(&self, new: &Benchmark) -> Result<u32, Error> {
        self.0
            .serialise(&format!("benchmark|{}", new.metric))
            .await?;
        let current = self
            .benchmarks(new.project)
            .await?
            .into_iter()
            .find(|b| b.metric == new.metric);
        if let Some(current) = &current
            && *current
                == (Benchmark {
                    version: current.version,
                    created_at: current.created_at,
                    ..new.clone()
                })
        {
            return Ok(current.version);
        }
        let version = current.map_or(1, |c| c.version + 1);
        let sql = "INSERT INTO benchmarks (org_id, metric_id, slice, version, period, value, method, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let params = params![
            new.metric.0,
            slice_key(new.project),
            i64::from(version),
            new.period,
            new.value,
            new.method.clone(),
            self.0.now()
        ];
        self.0.execute(sql, params).await?;
        Ok(version)
    }
}
