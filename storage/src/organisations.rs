//! Tenants.

use chrono::NaiveDate;
use domain::{id::OrgId, organisation::Organisation};

use crate::{
    Error, Executor, System, Unit,
    row::{Row, params},
};

/// The organisation of a scope or unit.
pub struct Organisations<'a, E>(pub(crate) &'a E);

fn read(row: &Row) -> Result<Organisation, Error> {
    Ok(Organisation {
        id: OrgId(row.get("org_id")?),
        name: row.get("name")?,
        currency: row.get("currency")?,
        time_zone: row.get("time_zone")?,
        as_of: row.get("as_of")?,
    })
}

impl<E: Executor> Organisations<'_, E> {
    /// The organisation itself.
    ///
    /// # Errors
    /// `organisation.unknown` when it has been deleted.
    pub async fn get(&self) -> Result<Organisation, Error> {
        let row = self
            .0
            .row("SELECT * FROM organisations WHERE org_id = $1", params![])
            .await?;
        row.as_ref()
            .map(read)
            .transpose()?
            .ok_or_else(|| unknown(self.0.org()))
    }
}

impl Organisations<'_, Unit> {
    /// Changes name, currency and time zone.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn update(&self, name: &str, currency: &str, time_zone: &str) -> Result<(), Error> {
        let sql =
            "UPDATE organisations SET name = $2, currency = $3, time_zone = $4 WHERE org_id = $1";
        self.0
            .execute(sql, params![name, currency, time_zone])
            .await?;
        Ok(())
    }

    /// Moves the domain clock of a demo organisation; `None` follows the real date.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn set_as_of(&self, as_of: Option<NaiveDate>) -> Result<(), Error> {
        self.0
            .execute(
                "UPDATE organisations SET as_of = $2 WHERE org_id = $1",
                params![as_of],
            )
            .await?;
        Ok(())
    }
}

/// Organisations, across the installation.
pub struct SystemOrganisations<'a>(pub(crate) &'a System);

impl SystemOrganisations<'_> {
    /// Every organisation, by name.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<Organisation>, Error> {
        self.0
            .read(|tx| {
                Box::pin(async move {
                    tx.rows(
                        "SELECT * FROM organisations ORDER BY name, org_id",
                        params![],
                    )
                    .await?
                    .iter()
                    .map(read)
                    .collect()
                })
            })
            .await
    }

    /// One organisation, if it exists.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn get(&self, org: OrgId) -> Result<Option<Organisation>, Error> {
        self.0
            .read(move |tx| {
                Box::pin(async move {
                    let row = tx
                        .row(
                            "SELECT * FROM organisations WHERE org_id = $1",
                            params![org.0],
                        )
                        .await?;
                    row.as_ref().map(read).transpose()
                })
            })
            .await
    }

    /// Makes an organisation; does nothing when one with this id exists. Says whether it was made.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn create(&self, organisation: &Organisation) -> Result<bool, Error> {
        let new = organisation.clone();
        self.0
            .transaction(move |tx| {
                let new = new.clone();
                Box::pin(async move {
                    let sql = "INSERT INTO organisations (org_id, name, currency, time_zone, as_of, created_at) \
                               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (org_id) DO NOTHING";
                    let made = tx
                        .execute(sql, params![new.id.0, new.name, new.currency, new.time_zone, new.as_of, tx.now])
                        .await?;
                    Ok(made == 1)
                })
            })
            .await
    }
}

fn unknown(org: OrgId) -> Error {
    domain::Error::not_found(
        "organisation.unknown",
        format!("there is no organisation {org}"),
    )
    .into()
}
