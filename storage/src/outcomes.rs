//! Measured outcomes of applied recommendations.

use domain::{
    id::{OutcomeId, RecommendationId},
    outcome::Outcome,
};

use crate::{
    Error, Executor, Unit,
    row::{Row, json, name, params},
};

/// Outcomes of a scope or unit.
pub struct Outcomes<'a, E>(pub(crate) &'a E);

fn read(row: &Row) -> Result<Outcome, Error> {
    row.json("body")
}

impl<E: Executor> Outcomes<'_, E> {
    /// Every outcome, newest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<Outcome>, Error> {
        let sql = "SELECT body FROM outcomes WHERE org_id = $1 ORDER BY created_at DESC, id DESC";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The outcomes of one recommendation, newest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn of_recommendation(&self, id: RecommendationId) -> Result<Vec<Outcome>, Error> {
        let sql = "SELECT body FROM outcomes WHERE org_id = $1 AND recommendation_id = $2 ORDER BY created_at DESC, id DESC";
        self.0
            .rows(sql, params![id.0])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// One outcome, if it exists.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn find(&self, id: OutcomeId) -> Result<Option<Outcome>, Error> {
        let row = self
            .0
            .row(
                "SELECT body FROM outcomes WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref().map(read).transpose()
    }
}

impl Outcomes<'_, Unit> {
    /// Keeps an outcome; keeping it again changes nothing.
    ///
    /// # Errors
    /// `storage.unknown_reference` when the recommendation does not exist.
    pub async fn record(&self, outcome: &Outcome) -> Result<(), Error> {
        let sql = "INSERT INTO outcomes (org_id, id, recommendation_id, verdict, body, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT (org_id, id) DO NOTHING";
        let params = params![
            outcome.id.0,
            outcome.recommendation.0,
            name(&outcome.verdict),
            json(outcome)?,
            self.0.now()
        ];
        self.0.execute(sql, params).await?;
        Ok(())
    }
}
