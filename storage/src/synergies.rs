//! Signed effects of one brand on another, kept as the sets in which they were computed.

use domain::{id::CrossEffectId, synergy::CrossEffect};

use crate::{
    Error, Executor, Unit,
    executor::sealed::Run,
    row::{Row, json, name, params},
};

/// Cross-effects of a scope or unit.
pub struct Synergies<'a, E>(pub(crate) &'a E);

fn read(row: &Row) -> Result<CrossEffect, Error> {
    row.json("body")
}

impl<E: Executor> Synergies<'_, E> {
    /// The newest set, by driver and affected brand.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn latest(&self) -> Result<Vec<CrossEffect>, Error> {
        let sql = "SELECT body FROM cross_effects WHERE org_id = $1 AND number = (SELECT MAX(number) FROM cross_effects \
                   WHERE org_id = $1) ORDER BY driver_id, affected_id";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// One effect.
    ///
    /// # Errors
    /// `synergy.unknown`.
    pub async fn get(&self, id: CrossEffectId) -> Result<CrossEffect, Error> {
        let row = self
            .0
            .row(
                "SELECT body FROM cross_effects WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| {
            domain::Error::not_found("synergy.unknown", format!("there is no cross-effect {id}"))
                .into()
        })
    }
}

impl Synergies<'_, Unit> {
    /// Keeps a set of effects that were computed together; keeping it again changes nothing.
    ///
    /// # Errors
    /// `storage.unknown_reference` when a brand does not exist.
    pub async fn record(&self, effects: &[CrossEffect]) -> Result<(), Error> {
        self.0.serialise("synergies").await?;
        let sql = "SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) + 1 AS number FROM cross_effects WHERE org_id = $1";
        let row = self
            .0
            .row(sql, params![])
            .await?
            .ok_or_else(|| Error::internal("an aggregate gave no row"))?;
        let number: i64 = row.get("number")?;
        let sql = "INSERT INTO cross_effects (org_id, id, number, driver_id, affected_id, verdict, origin, body, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (org_id, id) DO NOTHING";
        for effect in effects {
            let params = params![
                effect.id.0,
                number,
                effect.driver.0,
                effect.affected.0,
                name(&effect.verdict),
                effect.origin,
                json(effect)?,
                self.0.now()
            ];
            self.0.execute(sql, params).await?;
        }
        Ok(())
    }
}
