//! Answers to requests that carried an idempotency key, kept in the unit of their effect: a request sent again gets the
//! answer of the first, and the effect happens once.

use chrono::TimeDelta;

use crate::{
    Error, Executor, Unit,
    executor::sealed::Run,
    row::{Row, json, params},
};

/// Remembered answers of a scope or unit.
pub struct Idempotency<'a, E>(pub(crate) &'a E);

/// An answer that was given before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Fingerprint of the request it was given to.
    pub fingerprint: String,
    /// Status code of the answer.
    pub status: u16,
    /// Body of the answer.
    pub body: String,
}

/// What a request with a key finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The key is new: do the work and [`finish`](Idempotency::finish) with the answer, in this unit.
    Fresh,
    /// The same request was answered before: give this answer, change nothing.
    Replay(Remembered),
}

fn read(row: &Row) -> Result<Remembered, Error> {
    Ok(Remembered {
        fingerprint: row.get("fingerprint")?,
        status: row.count("status")?,
        body: row.get("body")?,
    })
}

impl<E: Executor> Idempotency<'_, E> {
    /// The answer an actor got for a key, if it is remembered.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn find(
        &self,
        actor: domain::access::Actor,
        key: &str,
    ) -> Result<Option<Remembered>, Error> {
        let now = self.0.time().await?;
        let sql = "SELECT * FROM idempotency_keys WHERE org_id = $1 AND actor = $2 AND key = $3 AND expires_at > $4 AND status > 0";
        self.0
            .row(sql, params![json(&actor)?, key, now])
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }
}

impl Idempotency<'_, Unit> {
    /// Claims a key for the unit's actor. A second request with the key waits for the first one's unit.
    ///
    /// # Errors
    /// `idempotency.key_reused` when the key came with another request before.
    pub async fn begin(
        &self,
        key: &str,
        fingerprint: &str,
        keep: TimeDelta,
    ) -> Result<Begun, Error> {
        let actor = json(&self.0.actor())?;
        let now = self.0.now();
        self.0
            .execute(
                "DELETE FROM idempotency_keys WHERE org_id = $1 AND actor = $2 AND key = $3 AND expires_at <= $4",
                params![actor.clone(), key, now],
            )
            .await?;
        let sql = "INSERT INTO idempotency_keys (org_id, actor, key, fingerprint, status, body, created_at, expires_at) \
                   VALUES ($1, $2, $3, $4, 0, '', $5, $6) ON CONFLICT (org_id, actor, key) DO NOTHING";
        if self
            .0
            .execute(
                sql,
                params![actor.clone(), key, fingerprint, now, now + keep],
            )
            .await?
            == 1
        {
            return Ok(Begun::Fresh);
        }
        let sql = "SELECT * FROM idempotency_keys WHERE org_id = $1 AND actor = $2 AND key = $3";
        let row = self
            .0
            .row(sql, params![actor, key])
            .await?
            .ok_or_else(|| Error::internal("a claimed key vanished"))?;
        let remembered = read(&row)?;
        if remembered.fingerprint != fingerprint {
            return Err(domain::Error::conflict(
                "idempotency.key_reused",
                "this idempotency key came with another request before",
            )
            .advise("use a fresh key for every new request")
            .into());
        }
        Ok(Begun::Replay(remembered))
    }

    /// Remembers the answer, in the unit of its effect.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn finish(&self, key: &str, status: u16, body: &str) -> Result<(), Error> {
        let sql = "UPDATE idempotency_keys SET status = $4, body = $5 WHERE org_id = $1 AND actor = $2 AND key = $3";
        self.0
            .execute(
                sql,
                params![json(&self.0.actor())?, key, i64::from(status), body],
            )
            .await?;
        Ok(())
    }

    /// Gives a key back whose request had no effect.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn forget(&self, key: &str) -> Result<(), Error> {
        let sql = "DELETE FROM idempotency_keys WHERE org_id = $1 AND actor = $2 AND key = $3";
        self.0
            .execute(sql, params![json(&self.0.actor())?, key])
            .await?;
        Ok(())
    }

    /// Forgets answers whose time is over.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn sweep(&self) -> Result<u64, Error> {
        self.0
            .execute(
                "DELETE FROM idempotency_keys WHERE org_id = $1 AND expires_at <= $2",
                params![self.0.now()],
            )
            .await
    }
}
