//! Standing constraints that every plan obeys.

use domain::{budget::Constraint, id::ConstraintId};

use crate::{
    Error, Executor, Unit,
    row::{Row, json, params},
};

/// Constraints of a scope or unit.
pub struct Constraints<'a, E>(pub(crate) &'a E);

fn read(row: &Row) -> Result<Constraint, Error> {
    Ok(Constraint {
        active: row.get("active")?,
        ..row.json("body")?
    })
}

impl<E: Executor> Constraints<'_, E> {
    /// The constraints in force, oldest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn active(&self) -> Result<Vec<Constraint>, Error> {
        let sql = "SELECT body, active FROM constraints WHERE org_id = $1 AND active ORDER BY created_at, id";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// Every constraint, in force or not, oldest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<Constraint>, Error> {
        let sql = "SELECT body, active FROM constraints WHERE org_id = $1 ORDER BY created_at, id";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

impl Constraints<'_, Unit> {
    /// States a constraint; stating it again changes nothing.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn create(&self, new: &Constraint) -> Result<(), Error> {
        let sql = "INSERT INTO constraints (org_id, id, active, recommendation_id, body, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (org_id, id) DO NOTHING";
        let recommendation = new.recommendation.map(|id| id.0);
        let params = params![
            new.id.0,
            new.active,
            recommendation,
            json(new)?,
            new.created_at
        ];
        self.0.execute(sql, params).await?;
        Ok(())
    }

    /// Takes a constraint out of force, or puts it back.
    ///
    /// # Errors
    /// `constraint.unknown`.
    pub async fn set_active(&self, id: ConstraintId, active: bool) -> Result<(), Error> {
        let sql = "UPDATE constraints SET active = $3 WHERE org_id = $1 AND id = $2";
        if self.0.execute(sql, params![id.0, active]).await? == 0 {
            return Err(domain::Error::not_found(
                "constraint.unknown",
                format!("there is no constraint {id}"),
            )
            .into());
        }
        Ok(())
    }
}
