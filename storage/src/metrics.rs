//! Metric definitions. Every change makes a new version; old versions stay readable, because scores name them.

use domain::{id::MetricId, metric::MetricDefinition};

use crate::{
    Error, Executor, Unit,
    row::{json, params},
};

/// Metric definitions of a scope or unit.
pub struct Metrics<'a, E>(pub(crate) &'a E);

impl<E: Executor> Metrics<'_, E> {
    /// The current version of every definition, by key.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<MetricDefinition>, Error> {
        let sql = "SELECT v.body FROM metrics m JOIN metric_versions v ON v.org_id = m.org_id AND v.metric_id = m.id \
                   AND v.version = m.version WHERE m.org_id = $1 ORDER BY m.key";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(|row| row.json("body"))
            .collect()
    }

    /// The current version of one definition.
    ///
    /// # Errors
    /// `metric.unknown`.
    pub async fn get(&self, id: MetricId) -> Result<MetricDefinition, Error> {
        self.versions(id).await?.pop().ok_or_else(|| {
            domain::Error::not_found("metric.unknown", format!("there is no metric {id}")).into()
        })
    }

    /// The current definition with this key, if there is one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn by_key(&self, key: &str) -> Result<Option<MetricDefinition>, Error> {
        let sql = "SELECT v.body FROM metrics m JOIN metric_versions v ON v.org_id = m.org_id AND v.metric_id = m.id \
                   AND v.version = m.version WHERE m.org_id = $1 AND m.key = $2";
        self.0
            .row(sql, params![key])
            .await?
            .map(|row| row.json("body"))
            .transpose()
    }

    /// Every version of one definition, oldest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn versions(&self, id: MetricId) -> Result<Vec<MetricDefinition>, Error> {
        let sql = "SELECT body FROM metric_versions WHERE org_id = $1 AND metric_id = $2 ORDER BY version";
        self.0
            .rows(sql, params![id.0])
            .await?
            .iter()
            .map(|row| row.json("body"))
            .collect()
    }
}

impl Metrics<'_, Unit> {
    /// Makes `definition` the current one and returns its version. The version it carries is ignored; a definition equal
    /// to the current one changes nothing.
    ///
    /// # Errors
    /// `storage.duplicate` when another metric has the key.
    pub async fn define(&self, definition: &MetricDefinition) -> Result<u32, Error> {
        let id = definition.id;
        self.0.serialise(&format!("metric|{id}")).await?;
        let current = self.versions(id).await?.pop();
        let version = match &current {
            Some(current)
                if *current
                    == (MetricDefinition {
                        version: current.version,
                        ..definition.clone()
                    }) =>
            {
                return Ok(current.version);
            }
            Some(current) => current.version + 1,
            None => 1,
        };
        let new = MetricDefinition {
            version,
            ..definition.clone()
        };
        let sql = "INSERT INTO metrics (org_id, id, key, granularity, version) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (org_id, id) DO UPDATE SET key = excluded.key, granularity = excluded.granularity, \
                   version = excluded.version";
        let granularity = crate::row::name(&new.granularity);
        self.0
            .execute(
                sql,
                params![id.0, new.key.clone(), granularity, i64::from(version)],
            )
            .await?;
        let sql = "INSERT INTO metric_versions (org_id, metric_id, version, body, created_at) VALUES ($1, $2, $3, $4, $5)";
        self.0
            .execute(
                sql,
                params![id.0, i64::from(version), json(&new)?, self.0.now()],
            )
            .await?;
        Ok(version)
    }
}
