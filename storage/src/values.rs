//! Metric values: a narrow table, written in sets, read as columns with corrections applied.

use std::collections::HashMap;

use chrono::NaiveDate;
use domain::{
    id::{BatchId, BrandId, MetricId, ProjectId},
    metric::{Granularity, MetricValue},
    series::MetricTable,
};
use sea_orm::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    Backend, Error, Executor, Unit,
    executor::sealed::Run,
    row::{name, params, placeholders},
};

/// Metric values of a scope or unit.
pub struct Values<'a, E>(pub(crate) &'a E);

/// Which values are asked for. A field that is `None` means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueQuery {
    /// Brands.
    pub brands: Option<Vec<BrandId>>,
    /// Metrics.
    pub metrics: Option<Vec<MetricId>>,
    /// Projects.
    pub projects: Option<Vec<ProjectId>>,
    /// First period.
    pub from: Option<NaiveDate>,
    /// Last period.
    pub to: Option<NaiveDate>,
    /// Period length; `None` takes each metric at the length its definition states, so that days and weeks of one metric
    /// are never added up.
    pub granularity: Option<Granularity>,
}

/// What a chunk of values changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkCounts {
    /// New.
    pub inserted: u64,
    /// There with another value, which was replaced.
    pub updated: u64,
    /// There already, the same.
    pub unchanged: u64,
    /// There with another value, but older than the restatement window and so kept.
    pub outside_window: u64,
}

/// A cheap fingerprint of a slice: it changes whenever a value or correction in it is added or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceDigest {
    /// SHA-256 in hex over the number of values and their revisions.
    pub digest: String,
    /// Number of stored values.
    pub rows: u64,
    /// First period.
    pub from: Option<NaiveDate>,
    /// Last period.
    pub to: Option<NaiveDate>,
}

/// Rows of one statement. SQLite looks a parameter up by walking the list of all names, so statements stay short there;
/// PostgreSQL gets one array per column.
fn rows_per_statement(backend: Backend) -> usize {
    match backend {
        Backend::Sqlite => 32,
        Backend::Postgres => 2000,
    }
}

type Key = (Uuid, Uuid, Uuid, NaiveDate, Granularity);

fn key(value: &MetricValue) -> Key {
    (
        value.brand.0,
        value.metric.0,
        value.project.0,
        value.period,
        value.granularity,
    )
}

fn push_in(sql: &mut String, params: &mut Vec<Value>, column: &str, ids: Option<Vec<Uuid>>) {
    let Some(ids) = ids else { return };
    if ids.is_empty() {
        sql.push_str(" AND 1 = 0");
        return;
    }
    sql.push_str(&format!(
        " AND {column} IN ({})",
        placeholders(params.len() + 2, ids.len())
    ));
    params.extend(ids.into_iter().map(Value::from));
}

/// The conditions of a query on the table called `alias`, and their parameters from `$2` on.
fn conditions(query: &ValueQuery, alias: &str) -> (String, Vec<Value>) {
    let (mut sql, mut params) = (String::new(), Vec::new());
    let column = |name: &str| format!("{alias}.{name}");
    push_in(
        &mut sql,
        &mut params,
        &column("brand_id"),
        query
            .brands
            .as_ref()
            .map(|v| v.iter().map(|id| id.0).collect()),
    );
    push_in(
        &mut sql,
        &mut params,
        &column("metric_id"),
        query
            .metrics
            .as_ref()
            .map(|v| v.iter().map(|id| id.0).collect()),
    );
    push_in(
        &mut sql,
        &mut params,
        &column("project_id"),
        query
            .projects
            .as_ref()
            .map(|v| v.iter().map(|id| id.0).collect()),
    );
    if let Some(from) = query.from {
        sql.push_str(&format!(
            " AND {} >= ${}",
            column("period"),
            params.len() + 2
        ));
        params.push(from.into());
    }
    if let Some(to) = query.to {
        sql.push_str(&format!(
            " AND {} <= ${}",
            column("period"),
            params.len() + 2
        ));
        params.push(to.into());
    }
    (sql, params)
}

fn granularity_condition(query: &ValueQuery, params: &mut Vec<Value>) -> String {
    match query.granularity {
        None => " AND v.granularity = m.granularity".to_owned(),
        Some(granularity) => {
            params.push(name(&granularity).into());
            format!(" AND v.granularity = ${}", params.len() + 1)
        }
    }
}

impl<E: Executor> Values<'_, E> {
    /// The values asked for, ordered by brand, metric, project and period. Corrections in force are applied: corrected
    /// values stand in for the originals, excluded periods are left out. Where several sources hold the same value, the
    /// one written last counts, so nothing is added up twice.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn table(&self, query: &ValueQuery) -> Result<MetricTable, Error> {
        let corrections = self.corrections(query).await?;
        let (mut conditions, mut params) = conditions(query, "v");
        conditions.push_str(&granularity_condition(query, &mut params));
        let sql = format!(
            "SELECT v.project_id, v.brand_id, v.metric_id, v.period, v.value FROM metric_values v \
             JOIN metrics m ON m.org_id = v.org_id AND m.id = v.metric_id WHERE v.org_id = $1{conditions} \
             ORDER BY v.brand_id, v.metric_id, v.project_id, v.period, v.revision"
        );
        let rows = self.0.rows(&sql, params).await?;
        let mut table = MetricTable::default();
        let mut last = None;
        for row in &rows {
            let (project, brand, metric): (Uuid, Uuid, Uuid) = (row.at(0)?, row.at(1)?, row.at(2)?);
            let (period, ingested): (NaiveDate, f64) = (row.at(3)?, row.at(4)?);
            let key = (brand, metric, project, period);
            let value = match corrections.get(&key) {
                Some(Some(corrected)) => *corrected,
                Some(None) => continue,
                None => ingested,
            };
            if last == Some(key) {
                if let Some(slot) = table.value.last_mut() {
                    *slot = value;
                }
            } else {
                table.push(
                    ProjectId(project),
                    BrandId(brand),
                    MetricId(metric),
                    period,
                    value,
                );
                last = Some(key);
            }
        }
        Ok(table)
    }

    async fn corrections(
        &self,
        query: &ValueQuery,
    ) -> Result<HashMap<(Uuid, Uuid, Uuid, NaiveDate), Option<f64>>, Error> {
        let (conditions, params) = conditions(query, "c");
        let sql = format!(
            "SELECT c.brand_id, c.metric_id, c.project_id, c.period, c.value FROM corrections c \
             WHERE c.org_id = $1 AND c.active{conditions} ORDER BY c.revision"
        );
        let rows = self.0.rows(&sql, params).await?;
        rows.iter()
            .map(|row| Ok(((row.at(0)?, row.at(1)?, row.at(2)?, row.at(3)?), row.at(4)?)))
            .collect()
    }

    /// A fingerprint of the values asked for, without reading them out.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn digest(&self, query: &ValueQuery) -> Result<SliceDigest, Error> {
        let (mut of_values, mut params) = conditions(query, "v");
        of_values.push_str(&granularity_condition(query, &mut params));
        let sql = format!(
            "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(v.revision), 0) AS BIGINT) AS total, \
             CAST(COALESCE(MAX(v.revision), 0) AS BIGINT) AS latest, MIN(v.period) AS first_period, MAX(v.period) AS last_period \
             FROM metric_values v JOIN metrics m ON m.org_id = v.org_id AND m.id = v.metric_id WHERE v.org_id = $1{of_values}"
        );
        let values = self
            .0
            .row(&sql, params)
            .await?
            .ok_or_else(|| Error::internal("an aggregate gave no row"))?;
        let (of_corrections, params) = conditions(query, "c");
        let sql = format!(
            "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(c.revision), 0) AS BIGINT) AS total FROM corrections c \
             WHERE c.org_id = $1 AND c.active{of_corrections}"
        );
        let corrections = self
            .0
            .row(&sql, params)
            .await?
            .ok_or_else(|| Error::internal("an aggregate gave no row"))?;
        let rows: u64 = values.count("n")?;
        let text = format!(
            "{rows}|{}|{}|{}|{}",
            values.get::<i64>("total")?,
            values.get::<i64>("latest")?,
            corrections.get::<i64>("n")?,
            corrections.get::<i64>("total")?
        );
        Ok(SliceDigest {
            digest: hex::encode(Sha256::digest(text.as_bytes())),
            rows,
            from: values.get("first_period")?,
            to: values.get("last_period")?,
        })
    }

    /// First and last period of any value, if there is one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn span(&self) -> Result<Option<(NaiveDate, NaiveDate)>, Error> {
        let sql = "SELECT MIN(period) AS first_period, MAX(period) AS last_period FROM metric_values WHERE org_id = $1";
        let Some(row) = self.0.row(sql, params![]).await? else {
            return Ok(None);
        };
        let ends: (Option<NaiveDate>, Option<NaiveDate>) =
            (row.get("first_period")?, row.get("last_period")?);
        Ok(ends.0.zip(ends.1))
    }
}

impl Values<'_, Unit> {
    /// Writes a chunk of values of one import. Of several values with the same key in the chunk the last counts. A value
    /// that is there with another number is replaced only from `restate_from` on (`None` is always); new values are
    /// taken whatever their period.
    ///
    /// # Errors
    /// `storage.unknown_reference` when a project, brand, metric or the batch does not exist;
    /// `value.not_finite` for a value that is not a number.
    pub async fn upsert_chunk(
        &self,
        batch: BatchId,
        source: &str,
        values: &[MetricValue],
        restate_from: Option<NaiveDate>,
    ) -> Result<ChunkCounts, Error> {
        if let Some(bad) = values.iter().find(|v| !v.value.is_finite()) {
            return Err(domain::Error::invalid(
                "value.not_finite",
                format!("the value of {} is not a number", bad.period),
            )
            .into());
        }
        self.0.serialise("values").await?;
        let mut counts = ChunkCounts::default();
        let mut wanted: HashMap<Key, f64> = HashMap::with_capacity(values.len());
        for value in values {
            wanted.insert(key(value), value.value);
        }
        // In key order, so that the index is walked and not jumped about in.
        let mut keys: Vec<Key> = wanted.keys().copied().collect();
        keys.sort_unstable();
        let rows = rows_per_statement(self.0.backend());
        let mut changed = Vec::new();
        for keys in keys.chunks(rows) {
            let stored = self.stored(source, keys).await?;
            for key in keys {
                let value = wanted[key];
                match stored.get(key) {
                    None => {
                        counts.inserted += 1;
                        changed.push((*key, value));
                    }
                    Some(old) if old.to_bits() == value.to_bits() || *old == value => {
                        counts.unchanged += 1
                    }
                    Some(_) if restate_from.is_some_and(|from| key.3 < from) => {
                        counts.outside_window += 1
                    }
                    Some(_) => {
                        counts.updated += 1;
                        changed.push((*key, value));
                    }
                }
            }
        }
        if !changed.is_empty() {
            let revision = next_revision(self.0).await?;
            for rows in changed.chunks(rows) {
                self.write(batch, source, revision, rows).await?;
            }
        }
        Ok(counts)
    }

    async fn stored(&self, source: &str, keys: &[Key]) -> Result<HashMap<Key, f64>, Error> {
        let mut params = params![source];
        let wanted = rows_of(
            self.0.backend(),
            &mut params,
            keys.iter().map(|key| (*key, 0.0)),
        );
        // A subquery per key makes both databases look the keys up, whatever they know or do not know of the table's size:
        // as a join, a young table without statistics is read whole for every chunk.
        let sql = format!(
            "WITH {wanted} SELECT (SELECT v.value FROM metric_values v WHERE v.org_id = $1 AND v.brand_id = k.brand_id \
             AND v.metric_id = k.metric_id AND v.project_id = k.project_id AND v.granularity = k.granularity \
             AND v.period = k.period AND v.source = $2), k.brand_id, k.metric_id, k.project_id, k.period, k.granularity FROM k"
        );
        let mut stored = HashMap::new();
        for row in self.0.rows(&sql, params).await? {
            if let Some(value) = row.at::<Option<f64>>(0)? {
                let granularity = crate::row::from_name(&row.at::<String>(5)?)?;
                stored.insert(
                    (row.at(1)?, row.at(2)?, row.at(3)?, row.at(4)?, granularity),
                    value,
                );
            }
        }
        Ok(stored)
    }

    async fn write(
        &self,
        batch: BatchId,
        source: &str,
        revision: i64,
        rows: &[(Key, f64)],
    ) -> Result<(), Error> {
        let mut params = params![source, batch.0, revision];
        let new = rows_of(self.0.backend(), &mut params, rows.iter().copied());
        // The condition that always holds keeps SQLite from reading ON CONFLICT as part of a join.
        let sql = format!(
            "INSERT INTO metric_values (org_id, source, batch_id, revision, brand_id, metric_id, project_id, period, granularity, \
             value) WITH {new} SELECT $1, $2, $3, $4, k.brand_id, k.metric_id, k.project_id, k.period, k.granularity, k.value \
             FROM k WHERE 1 = 1 ON CONFLICT (org_id, brand_id, metric_id, project_id, granularity, period, source) DO UPDATE SET \
             value = excluded.value, batch_id = excluded.batch_id, revision = excluded.revision"
        );
        self.0.execute(&sql, params).await?;
        Ok(())
    }
}

/// A table expression `k` of keys and values, and its parameters after those that are there. PostgreSQL reads arrays from
/// text: Rust writes a number so that reading it gives the same bits.
fn rows_of(
    backend: Backend,
    params: &mut Vec<Value>,
    rows: impl Iterator<Item = (Key, f64)>,
) -> String {
    let mut sql = "k (brand_id, metric_id, project_id, period, granularity, value) AS (".to_owned();
    let first = params.len() + 2;
    match backend {
        Backend::Sqlite => {
            sql.push_str("VALUES ");
            for (index, ((brand, metric, project, period, granularity), value)) in rows.enumerate()
            {
                if index > 0 {
                    sql.push(',');
                }
                sql.push('(');
                sql.push_str(&placeholders(params.len() + 2, 6));
                sql.push(')');
                params.extend(params![
                    brand,
                    metric,
                    project,
                    period,
                    name(&granularity),
                    value
                ]);
            }
        }
        Backend::Postgres => {
            let mut columns: [String; 6] = std::array::from_fn(|_| String::from("{"));
            for (index, ((brand, metric, project, period, granularity), value)) in rows.enumerate()
            {
                let cells = [
                    brand.to_string(),
                    metric.to_string(),
                    project.to_string(),
                    period.to_string(),
                    name(&granularity),
                    value.to_string(),
                ];
                for (column, cell) in columns.iter_mut().zip(cells) {
                    if index > 0 {
                        column.push(',');
                    }
                    column.push_str(&cell);
                }
            }
            let types = ["uuid", "uuid", "uuid", "date", "text", "float8"];
            let arrays: Vec<String> = types
                .iter()
                .enumerate()
                .map(|(index, of)| format!("CAST(${} AS text)::{of}[]", first + index))
                .collect();
            sql.push_str(&format!("SELECT * FROM unnest({})", arrays.join(", ")));
            params.extend(columns.into_iter().map(|column| Value::from(column + "}")));
        }
    }
    sql.push(')');
    sql
}

/// The next revision of the organisation's data.
pub(crate) async fn next_revision(unit: &Unit) -> Result<i64, Error> {
    let sql = "INSERT INTO data_revisions (org_id, revision) VALUES ($1, 1) \
               ON CONFLICT (org_id) DO UPDATE SET revision = data_revisions.revision + 1 RETURNING revision";
    let row = unit.row(sql, Vec::new()).await?;
    row.ok_or_else(|| Error::internal("the data revision was not counted"))?
        .get("revision")
}
