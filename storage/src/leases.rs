//! Named leases by the database's clock. The epoch is a fencing token: it rises with every acquisition, and a write that
//! names an old one is refused.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Backend, Error, System, Unit, row::params};

/// Leases.
pub struct Leases<'a>(pub(crate) &'a System);

/// A lease that was acquired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub name: String,
    /// Who holds it.
    pub owner: String,
    /// The fencing token.
    pub epoch: i64,
    /// When it ends unless renewed, by database time.
    pub expires_at: DateTime<Utc>,
}

impl Leases<'_> {
    /// Acquires a lease that nobody holds; `None` while somebody does, the same owner included.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn acquire(
        &self,
        name: &str,
        owner: &str,
        ttl: TimeDelta,
    ) -> Result<Option<Lease>, Error> {
        let (name, owner) = (name.to_owned(), owner.to_owned());
        self.0
            .transaction(move |tx| {
                let (name, owner) = (name.clone(), owner.clone());
                Box::pin(async move {
                    let expires_at = tx.now + ttl;
                    let sql = "INSERT INTO leases (name, owner, epoch, expires_at) VALUES ($1, $2, 1, $3) \
                               ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = leases.epoch + 1, \
                               expires_at = excluded.expires_at WHERE leases.expires_at <= $4 RETURNING epoch";
                    let row = tx.row(sql, params![name.clone(), owner.clone(), expires_at, tx.now]).await?;
                    row.map(|row| Ok(Lease { name, owner, epoch: row.get("epoch")?, expires_at })).transpose()
                })
            })
            .await
    }

    /// Extends a lease that is still held with this epoch. Says whether it was.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn renew(&self, name: &str, epoch: i64, ttl: TimeDelta) -> Result<bool, Error> {
        let name = name.to_owned();
        self.0
            .transaction(move |tx| {
                let name = name.clone();
                Box::pin(async move {
                    let sql = "UPDATE leases SET expires_at = $3 WHERE name = $1 AND epoch = $2 AND expires_at > $4";
                    Ok(tx.execute(sql, params![name, epoch, tx.now + ttl, tx.now]).await? == 1)
                })
            })
            .await
    }

    /// Gives a lease back. Says whether it was held with this epoch.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn release(&self, name: &str, epoch: i64) -> Result<bool, Error> {
        let name = name.to_owned();
        self.0
            .transaction(move |tx| {
                let name = name.clone();
                Box::pin(async move {
                    let sql = "UPDATE leases SET expires_at = $3 WHERE name = $1 AND epoch = $2 AND expires_at > $3";
                    Ok(tx.execute(sql, params![name, epoch, tx.now]).await? == 1)
                })
            })
            .await
    }

    /// Every lease that is held now, by name.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn held(&self) -> Result<Vec<Lease>, Error> {
        self.0
            .read(|tx| {
                Box::pin(async move {
                    let rows = tx
                        .rows(
                            "SELECT * FROM leases WHERE expires_at > $1 ORDER BY name",
                            params![tx.now],
                        )
                        .await?;
                    rows.iter()
                        .map(|row| {
                            Ok(Lease {
                                name: row.get("name")?,
                                owner: row.get("owner")?,
                                epoch: row.get("epoch")?,
                                expires_at: row.get("expires_at")?,
                            })
                        })
                        .collect()
                })
            })
            .await
    }
}

impl Unit {
    /// Refuses the unit when the lease is no longer held with this epoch, and keeps anybody from taking it over before
    /// the unit commits.
    ///
    /// # Errors
    /// `lease.lost`.
    pub async fn fence(&self, name: &str, epoch: i64) -> Result<(), Error> {
        let lock = if self.backend() == Backend::Postgres {
            " FOR SHARE"
        } else {
            ""
        };
        let sql = format!(
            "SELECT epoch FROM leases WHERE name = $1 AND epoch = $2 AND expires_at > $3{lock}"
        );
        if self
            .shared_row(&sql, params![name, epoch, self.now()])
            .await?
            .is_none()
        {
            let message =
                format!("the lease {name} has passed to somebody else; this write is refused");
            return Err(domain::Error::conflict("lease.lost", message).into());
        }
        Ok(())
    }
}
