//! Fitted response curves.

use domain::{id::FitId, response::ResponseFit};

use crate::{
    Error, Executor, Unit,
    row::{Row, json, params},
};

/// Fits of a scope or unit.
pub struct Fits<'a, E>(pub(crate) &'a E);

fn read(row: &Row) -> Result<ResponseFit, Error> {
    row.json("body")
}

impl<E: Executor> Fits<'_, E> {
    /// The newest fit, if there is one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn latest(&self) -> Result<Option<ResponseFit>, Error> {
        let row = self
            .0
            .row(
                "SELECT body FROM fits WHERE org_id = $1 ORDER BY number DESC LIMIT 1",
                params![],
            )
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Id of the newest fit, without reading it out: a fit is large, and whoever holds it decoded only asks whether it is
    /// still the newest.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn latest_id(&self) -> Result<Option<FitId>, Error> {
        let row = self
            .0
            .row(
                "SELECT id FROM fits WHERE org_id = $1 ORDER BY number DESC LIMIT 1",
                params![],
            )
            .await?;
        row.map(|row| Ok(FitId(row.get("id")?))).transpose()
    }

    /// One fit.
    ///
    /// # Errors
    /// `fit.unknown`.
    pub async fn get(&self, id: FitId) -> Result<ResponseFit, Error> {
        let row = self
            .0
            .row(
                "SELECT body FROM fits WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| {
            domain::Error::not_found("fit.unknown", format!("there is no fit {id}")).into()
        })
    }
}

impl Fits<'_, Unit> {
    /// Keeps a fit; keeping it again changes nothing.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn record(&self, fit: &ResponseFit) -> Result<(), Error> {
        self.0.serialise("fits").await?;
        let sql = "INSERT INTO fits (org_id, id, number, origin, body, created_at) \
                   SELECT $1, $2, COALESCE(MAX(number), 0) + 1, $3, $4, $5 FROM fits WHERE org_id = $1 \
                   ON CONFLICT (org_id, id) DO NOTHING";
        self.0
            .execute(sql, params![fit.id.0, fit.origin, json(fit)?, self.0.now()])
            .await?;
        Ok(())
    }
}
