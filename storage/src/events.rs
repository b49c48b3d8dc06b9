//! Events of one organisation: published in the unit of the change they tell of, read in order of position.

use domain::{
    event::{Event, NewEvent},
    id::{EventId, OrgId},
};

use crate::{
    Backend, Error, Executor, Unit,
    row::{Row, json, name, params},
};

/// Events of a scope or unit.
pub struct Events<'a, E>(pub(crate) &'a E);

pub(crate) fn read(row: &Row) -> Result<Event, Error> {
    Ok(Event {
        id: EventId(row.get("id")?),
        org: OrgId(row.get("org_id")?),
        position: row.get("position")?,
        kind: row.named("kind")?,
        key: row.get("key")?,
        body: row.json("body")?,
        at: row.get("at")?,
    })
}

impl<E: Executor> Events<'_, E> {
    /// Events after a position, in order. On PostgreSQL an event has its position once the sequencer came by.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn after(&self, position: i64, limit: u32) -> Result<Vec<Event>, Error> {
        let sql =
            "SELECT * FROM events WHERE org_id = $1 AND position > $2 ORDER BY position LIMIT $3";
        self.0
            .rows(sql, params![position, i64::from(limit)])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The newest events, newest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn newest(&self, limit: u32) -> Result<Vec<Event>, Error> {
        let sql = "SELECT * FROM events WHERE org_id = $1 AND position IS NOT NULL ORDER BY position DESC LIMIT $2";
        self.0
            .rows(sql, params![i64::from(limit)])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The position of the newest event; 0 when there is none.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn latest_position(&self) -> Result<i64, Error> {
        let sql = "SELECT CAST(COALESCE(MAX(position), 0) AS BIGINT) AS position FROM events WHERE org_id = $1";
        self.0
            .row(sql, params![])
            .await?
            .map_or(Ok(0), |row| row.get("position"))
    }
}

impl Events<'_, Unit> {
    /// Publishes an event with the unit. Change the row it tells of first: events of one key are ordered by when they
    /// were published, and the row's lock keeps a later writer from publishing earlier.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn publish(&self, new: NewEvent) -> Result<EventId, Error> {
        let id = EventId(self.0.fresh_id());
        // SQLite has one writer, so the next position can be given at once. On PostgreSQL a position given before the
        // commit could become visible out of order; the sequencer gives it afterwards.
        let position = match self.0.backend() {
            Backend::Sqlite => "(SELECT COALESCE(MAX(position), 0) + 1 FROM events)",
            Backend::Postgres => "NULL",
        };
        let sql = format!(
            "INSERT INTO events (org_id, id, position, kind, key, body, at) VALUES ($1, $2, {position}, $3, $4, $5, $6)"
        );
        let params = params![
            id.0,
            name(&new.kind),
            new.key,
            json(&new.body)?,
            self.0.now()
        ];
        self.0.execute(&sql, params).await?;
        self.0.noted(|noted| noted.note.events.push(new.kind));
        Ok(id)
    }
}
