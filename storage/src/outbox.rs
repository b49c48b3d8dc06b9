//! The outbox across organisations: giving committed events their position, and reading them in order.

use domain::{event::Event, id::OrgId};

use crate::{Backend, Error, System, events::read, row::params};

/// The outbox.
pub struct Outbox<'a>(pub(crate) &'a System);

impl Outbox<'_> {
    /// Gives a dense position to every committed event that has none, in the order they were written, and says how many
    /// there were. Several sequencers may run: they wait for one another. SQLite's events have theirs already.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn sequence(&self, limit: u32) -> Result<u64, Error> {
        if self.0.storage.backend() == Backend::Sqlite {
            return Ok(0);
        }
        self.0
            .transaction(move |tx| {
                Box::pin(async move {
                    let head = tx.row("SELECT position FROM outbox_heads WHERE id = 1 FOR UPDATE", params![]).await?;
                    let head: i64 = head.ok_or_else(|| Error::internal("the outbox has no head"))?.get("position")?;
                    let sql = "UPDATE events e SET position = $1 + n.place FROM (SELECT org_id, id, ROW_NUMBER() OVER (ORDER BY seq) \
                               AS place FROM (SELECT org_id, id, seq FROM events WHERE position IS NULL ORDER BY seq LIMIT $2) w) n \
                               WHERE e.org_id = n.org_id AND e.id = n.id";
                    let stamped = tx.execute(sql, params![head, i64::from(limit)]).await?;
                    if stamped > 0 {
                        let sql = "UPDATE outbox_heads SET position = position + $1 WHERE id = 1";
                        tx.execute(sql, params![i64::try_from(stamped).unwrap_or(i64::MAX)]).await?;
                    }
                    Ok(stamped)
                })
            })
            .await
    }

    /// Events of all organisations after a position, in order.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn after(&self, position: i64, limit: u32) -> Result<Vec<Event>, Error> {
        self.0
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT * FROM events WHERE position > $1 ORDER BY position LIMIT $2";
                    tx.rows(sql, params![position, i64::from(limit)])
                        .await?
                        .iter()
                        .map(read)
                        .collect()
                })
            })
            .await
    }

    /// Events of one organisation after a position, in order.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn of_organisation(
        &self,
        org: OrgId,
        position: i64,
        limit: u32,
    ) -> Result<Vec<Event>, Error> {
        self.0
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT * FROM events WHERE org_id = $1 AND position > $2 ORDER BY position LIMIT $3";
                    tx.rows(sql, params![org.0, position, i64::from(limit)]).await?.iter().map(read).collect()
                })
            })
            .await
    }

    /// The newest position; 0 when there is none.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn latest_position(&self) -> Result<i64, Error> {
        self.0
            .read(|tx| {
                Box::pin(async move {
                    let sql =
                        "SELECT CAST(COALESCE(MAX(position), 0) AS BIGINT) AS position FROM events";
                    tx.row(sql, params![])
                        .await?
                        .map_or(Ok(0), |row| row.get("position"))
                })
            })
            .await
    }
}
