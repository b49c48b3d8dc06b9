//! Corrections of ingested values. Originals stay; readers see the corrected value while the correction is in force.

use domain::{
    id::{BrandId, CorrectionId, MetricId, ProjectId, RecommendationId},
    outcome::Correction,
};

use crate::{
    Error, Executor, Unit,
    row::{Row, params},
    values::next_revision,
};

/// Corrections of a scope or unit.
pub struct Corrections<'a, E>(pub(crate) &'a E);

fn read(row: &Row) -> Result<Correction, Error> {
    Ok(Correction {
        id: CorrectionId(row.get("id")?),
        project: ProjectId(row.get("project_id")?),
        brand: BrandId(row.get("brand_id")?),
        metric: MetricId(row.get("metric_id")?),
        period: row.get("period")?,
        value: row.get("value")?,
        recommendation: row
            .get::<Option<_>>("recommendation_id")?
            .map(RecommendationId),
        active: row.get("active")?,
    })
}

impl<E: Executor> Corrections<'_, E> {
    /// Every correction, oldest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<Correction>, Error> {
        let sql = "SELECT * FROM corrections WHERE org_id = $1 ORDER BY created_at, id";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

impl Corrections<'_, Unit> {
    /// Records a correction; recording it again changes nothing.
    ///
    /// # Errors
    /// `storage.unknown_reference` when its project, brand or metric does not exist.
    pub async fn create(&self, new: &Correction) -> Result<(), Error> {
        let revision = next_revision(self.0).await?;
        let sql = "INSERT INTO corrections (org_id, id, project_id, brand_id, metric_id, period, value, recommendation_id, active, \
                   revision, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (org_id, id) DO NOTHING";
        let recommendation = new.recommendation.map(|id| id.0);
        let params = params![
            new.id.0,
            new.project.0,
            new.brand.0,
            new.metric.0,
            new.period,
            new.value,
            recommendation,
            new.active,
            revision,
            self.0.now()
        ];
        self.0.execute(sql, params).await?;
        Ok(())
    }

    /// Takes a correction out of force, or puts it back.
    ///
    /// # Errors
    /// `correction.unknown`.
    pub async fn set_active(&self, id: CorrectionId, active: bool) -> Result<(), Error> {
        let revision = next_revision(self.0).await?;
        let sql = "UPDATE corrections SET active = $3, revision = $4 WHERE org_id = $1 AND id = $2";
        if self.0.execute(sql, params![id.0, active, revision]).await? == 0 {
            return Err(domain::Error::not_found(
                "correction.unknown",
                format!("there is no correction {id}"),
            )
            .into());
        }
        Ok(())
    }
}
