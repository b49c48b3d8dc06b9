//! How far each consumer group has come, per organisation. A cursor advances in the unit of the effect, so an event has
//! its effect once however often it is delivered.

use domain::id::OrgId;

use crate::{Error, Executor, System, Unit, row::params};

/// Cursors of a scope or unit.
pub struct Cursors<'a, E>(pub(crate) &'a E);

/// An organisation in which a consumer group has events to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The organisation.
    pub org: OrgId,
    /// Where the group stands; 0 is before the first event.
    pub position: i64,
    /// Position of the organisation's newest event.
    pub latest: i64,
}

impl<E: Executor> Cursors<'_, E> {
    /// Where a consumer group stands; 0 is before the first event.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn get(&self, group: &str) -> Result<i64, Error> {
        let sql = "SELECT position FROM consumer_cursors WHERE org_id = $1 AND consumer = $2";
        self.0
            .row(sql, params![group])
            .await?
            .map_or(Ok(0), |row| row.get("position"))
    }
}

impl Cursors<'_, Unit> {
    /// Moves a consumer group from `from` to `to`. When it does not stand at `from`, somebody else handled these events:
    /// the unit must not commit its effect.
    ///
    /// # Errors
    /// `cursor.moved`.
    pub async fn advance(&self, group: &str, from: i64, to: i64) -> Result<(), Error> {
        let moved = if from == 0 {
            let sql = "INSERT INTO consumer_cursors (org_id, consumer, position, updated_at) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (org_id, consumer) DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at \
                       WHERE consumer_cursors.position = 0";
            self.0
                .execute(sql, params![group, to, self.0.now()])
                .await?
        } else {
            let sql = "UPDATE consumer_cursors SET position = $4, updated_at = $5 WHERE org_id = $1 AND consumer = $2 AND position = $3";
            self.0
                .execute(sql, params![group, from, to, self.0.now()])
                .await?
        };
        if moved == 0 {
            let message = format!("the consumer {group} no longer stands at {from}");
            return Err(domain::Error::conflict("cursor.moved", message)
                .advise("read the cursor again")
                .into());
        }
        Ok(())
    }
}

pub(crate) async fn lagging(system: &System, group: &str, limit: u32) -> Result<Vec<Lag>, Error> {
    let group = group.to_owned();
    system
        .read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT e.org_id, CAST(COALESCE(MAX(c.position), 0) AS BIGINT) AS position, MAX(e.position) AS latest \
                           FROM events e LEFT JOIN consumer_cursors c ON c.org_id = e.org_id AND c.consumer = $1 \
                           WHERE e.position > COALESCE(c.position, 0) GROUP BY e.org_id ORDER BY MIN(e.position) LIMIT $2";
                let rows = tx.rows(sql, params![group, i64::from(limit)]).await?;
                rows.iter()
                    .map(|row| {
                        Ok(Lag {
                            org: OrgId(row.get("org_id")?),
                            position: row.get("position")?,
                            latest: row.get("latest")?,
                        })
                    })
                    .collect()
            })
        })
        .await
}
