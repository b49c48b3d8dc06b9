//! Targets on metrics.

use domain::{
    id::{BrandId, MetricId, RecommendationId, TargetId},
    outcome::Target,
};

use crate::{
    Error, Executor, Unit,
    row::{Row, params},
};

/// Targets of a scope or unit.
pub struct Targets<'a, E>(pub(crate) &'a E);

fn read(row: &Row) -> Result<Target, Error> {
    Ok(Target {
        id: TargetId(row.get("id")?),
        brand: BrandId(row.get("brand_id")?),
        metric: MetricId(row.get("metric_id")?),
        from: row.get("from_value")?,
        to: row.get("to_value")?,
        due: row.get("due")?,
        recommendation: row
            .get::<Option<_>>("recommendation_id")?
            .map(RecommendationId),
        active: row.get("active")?,
    })
}

impl<E: Executor> Targets<'_, E> {
    /// Every target, the next due first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<Target>, Error> {
        let sql = "SELECT * FROM targets WHERE org_id = $1 ORDER BY due, id";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

impl Targets<'_, Unit> {
    /// Sets a target; setting it again changes nothing.
    ///
    /// # Errors
    /// `storage.unknown_reference` when its brand or metric does not exist.
    pub async fn create(&self, new: &Target) -> Result<(), Error> {
        let sql = "INSERT INTO targets (org_id, id, brand_id, metric_id, from_value, to_value, due, recommendation_id, active, \
                   created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (org_id, id) DO NOTHING";
        let recommendation = new.recommendation.map(|id| id.0);
        let params = params![
            new.id.0,
            new.brand.0,
            new.metric.0,
            new.from,
            new.to,
            new.due,
            recommendation,
            new.active,
            self.0.now()
        ];
        self.0.execute(sql, params).await?;
        Ok(())
    }

    /// Withdraws a target, or puts it back in force.
    ///
    /// # Errors
    /// `target.unknown`.
    pub async fn set_active(&self, id: TargetId, active: bool) -> Result<(), Error> {
        let sql = "UPDATE targets SET active = $3 WHERE org_id = $1 AND id = $2";
        if self.0.execute(sql, params![id.0, active]).await? == 0 {
            return Err(domain::Error::not_found(
                "target.unknown",
                format!("there is no target {id}"),
            )
            .into());
        }
        Ok(())
    }
}
