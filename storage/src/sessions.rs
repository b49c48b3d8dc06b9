//! Sign-in across organisations: accounts by address, sessions, tokens of programs, and one-time links. Secrets never
//! reach the database: callers hand over SHA-256 digests of at least 128 random bits.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    id::{OrgId, SessionId, UserId},
    organisation::User,
};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    Error, System,
    cipher::{Cipher, Place},
    connection::Tx,
    row::{Row, json, params},
    users,
};

/// Sign-in, sessions, tokens and links.
pub struct SignIn<'a>(pub(crate) &'a System);

/// An account found by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInUser {
    /// The person.
    pub user: User,
    /// Hash of the password, if there is one.
    pub password_hash: Option<String>,
}

/// Whether another password may be tried for an address. Counted before the password is checked, so that parallel
/// guesses cannot outrun the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whether this attempt may go on.
    pub allowed: bool,
    /// Failures in a row so far, this attempt included.
    pub failures: u32,
    /// When the next attempt is allowed, if this one is not.
    pub retry_at: Option<DateTime<Utc>>,
}

/// A session to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The organisation.
    pub org: OrgId,
    /// The person.
    pub user: UserId,
    /// SHA-256 of the cookie's secret.
    pub token_hash: [u8; 32],
    /// It ends when unused for this long.
    pub idle: TimeDelta,
    /// It ends after this long in any case.
    pub lifetime: TimeDelta,
    /// Browser, as it names itself; encrypted.
    pub user_agent: String,
    /// Network address; encrypted.
    pub address: String,
}

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The id.
    pub id: SessionId,
    /// The person.
    pub user: User,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it was last used.
    pub seen_at: DateTime<Utc>,
    /// When it ends in any case.
    pub expires_at: DateTime<Utc>,
    /// Browser, as it named itself.
    pub user_agent: String,
    /// Network address it was opened from.
    pub address: String,
}

/// A program's token to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// The organisation.
    pub org: OrgId,
    /// The person it acts for.
    pub user: UserId,
    /// What it is for; encrypted.
    pub label: String,
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
    /// When it ends; `None` is never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A program's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// The id.
    pub id: Uuid,
    /// The person it acts for.
    pub user: UserId,
    /// What it is for.
    pub label: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used.
    pub seen_at: Option<DateTime<Utc>>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A one-time link to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLink {
    /// The organisation.
    pub org: OrgId,
    /// The person it is for.
    pub user: UserId,
    /// What it may be used for, such as `sign_in`; a link made for one purpose does not open another.
    pub purpose: String,
    /// SHA-256 of the link's secret.
    pub token_hash: [u8; 32],
    /// It ends after this long.
    pub lifetime: TimeDelta,
    /// Anything the purpose needs; encrypted.
    pub payload: Json,
}

/// A one-time link that was just used up.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The id.
    pub id: Uuid,
    /// The person it is for.
    pub user: User,
    /// What the purpose needs.
    pub payload: Json,
}

/// Failures in a row that cost nothing; each one more doubles the wait, from one second to fifteen minutes.
const FREE_FAILURES: u32 = 5;
const LONGEST_WAIT: i64 = 900;

fn place(table: &'static str, column: &'static str, org: OrgId, row: Uuid) -> Place<'static> {
    Place {
        table,
        column,
        row,
        org,
    }
}

async fn user_of(
    tx: &Tx,
    cipher: &Cipher,
    org: OrgId,
    user: UserId,
) -> Result<Option<User>, Error> {
    let sql = "SELECT * FROM users WHERE org_id = $1 AND id = $2 AND suspended = $3";
    let row = tx.row(sql, params![org.0, user.0, false]).await?;
    row.map(|row| users::read(cipher, &row)).transpose()
}

fn read_session(cipher: &Cipher, row: &Row, user: User) -> Result<Session, Error> {
    let (org, id): (OrgId, Uuid) = (user.org, row.get("id")?);
    Ok(Session {
        id: SessionId(id),
        user,
        created_at: row.get("created_at")?,
        seen_at: row.get("seen_at")?,
        expires_at: row.get("expires_at")?,
        user_agent: cipher.open(
            place("sessions", "user_agent", org, id),
            &row.get::<String>("user_agent")?,
        )?,
        address: cipher.open(
            place("sessions", "address", org, id),
            &row.get::<String>("address")?,
        )?,
    })
}

impl SignIn<'_> {
    /// The accounts with this address that are not suspended, in every organisation.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn by_email(&self, email: &str) -> Result<Vec<SignInUser>, Error> {
        let storage = self.0.storage.clone();
        let index = storage.cipher().index("email", email);
        self.0
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT * FROM users WHERE email_index = $1 AND suspended = $2 ORDER BY org_id";
                    let rows = tx.rows(sql, params![index, false]).await?;
                    rows.iter()
                        .map(|row| {
                            Ok(SignInUser {
                                user: users::read(storage.cipher(), row)?,
                                password_hash: row.get("password_hash")?,
                            })
                        })
                        .collect()
                })
            })
            .await
    }

    /// One person, unless suspended.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn user(&self, org: OrgId, user: UserId) -> Result<Option<User>, Error> {
        let storage = self.0.storage.clone();
        self.0
            .read(move |tx| Box::pin(async move { user_of(tx, storage.cipher(), org, user).await }))
            .await
    }

    /// Counts an attempt for an address and says whether it may go on. Call it before checking the password, for unknown
    /// addresses too.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn begin_attempt(&self, email: &str) -> Result<Attempt, Error> {
        let index = self.0.storage.cipher().index("email", email);
        self.0
            .transaction(move |tx| {
                let index = index.clone();
                Box::pin(async move {
                    let sql = "INSERT INTO sign_in_attempts (email_index, failures, next_at, counted_at) VALUES ($1, 0, $2, $3) \
                               ON CONFLICT (email_index) DO NOTHING";
                    // Open since ever: "now" would shut out an attempt whose transaction began a moment earlier.
                    tx.execute(sql, params![index.clone(), DateTime::<Utc>::UNIX_EPOCH, tx.now]).await?;
                    let sql = "UPDATE sign_in_attempts SET failures = failures + 1, counted_at = $2 WHERE email_index = $1 AND next_at <= $2 \
                               RETURNING failures";
                    let Some(row) = tx.row(sql, params![index.clone(), tx.now]).await? else {
                        let sql = "SELECT failures, next_at FROM sign_in_attempts WHERE email_index = $1";
                        let row = tx.row(sql, params![index]).await?.ok_or_else(|| Error::internal("an attempt vanished"))?;
                        let retry_at = Some(row.get("next_at")?);
                        return Ok(Attempt { allowed: false, failures: row.count("failures")?, retry_at });
                    };
                    let failures: u32 = row.count("failures")?;
                    if failures >= FREE_FAILURES {
                        let wait = (1_i64 << (failures - FREE_FAILURES).min(20)).min(LONGEST_WAIT);
                        let sql = "UPDATE sign_in_attempts SET next_at = $2 WHERE email_index = $1";
                        tx.execute(sql, params![index, tx.now + TimeDelta::seconds(wait)]).await?;
                    }
                    Ok(Attempt { allowed: true, failures, retry_at: None })
                })
            })
            .await
    }

    /// The password was right: the count starts again.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn succeeded(&self, email: &str) -> Result<(), Error> {
        let index = self.0.storage.cipher().index("email", email);
        self.0
            .transaction(move |tx| {
                let index = index.clone();
                Box::pin(async move {
                    tx.execute(
                        "DELETE FROM sign_in_attempts WHERE email_index = $1",
                        params![index],
                    )
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Opens a session.
    ///
    /// # Errors
    /// `storage.unknown_reference` when the person does not exist.
    pub async fn open_session(&self, new: &NewSession) -> Result<SessionId, Error> {
        let (storage, new) = (self.0.storage.clone(), new.clone());
        let id = storage.fresh_id();
        self.0
            .transaction(move |tx| {
                let (storage, new) = (storage.clone(), new.clone());
                Box::pin(async move {
                    let cipher = storage.cipher();
                    let agent = cipher.seal(place("sessions", "user_agent", new.org, id), &new.user_agent)?;
                    let address = cipher.seal(place("sessions", "address", new.org, id), &new.address)?;
                    let sql = "INSERT INTO sessions (org_id, id, user_id, token_hash, idle_seconds, created_at, seen_at, \
                               idle_until, expires_at, user_agent, address) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10)";
                    tx.execute(
                        sql,
                        params![
                            new.org.0,
                            id,
                            new.user.0,
                            new.token_hash.to_vec(),
                            new.idle.num_seconds(),
                            tx.now,
                            tx.now + new.idle,
                            tx.now + new.lifetime,
                            agent,
                            address
                        ],
                    )
                    .await?;
                    Ok(SessionId(id))
                })
            })
            .await
    }

    /// The live session of a secret, with its person as they are now. `None` when it ended or the person is suspended.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn session(&self, token_hash: [u8; 32]) -> Result<Option<Session>, Error> {
        let storage = self.0.storage.clone();
        self.0
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT * FROM sessions WHERE token_hash = $1 AND idle_until > $2 AND expires_at > $2";
                    let Some(row) = tx.row(sql, params![token_hash.to_vec(), tx.now]).await? else { return Ok(None) };
                    let (org, user) = (OrgId(row.get("org_id")?), UserId(row.get("user_id")?));
                    let Some(user) = user_of(tx, storage.cipher(), org, user).await? else { return Ok(None) };
                    read_session(storage.cipher(), &row, user).map(Some)
                })
            })
            .await
    }

    /// Notes that a session was used, which puts its idle end off. Says whether it is still live.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn touch_session(&self, org: OrgId, id: SessionId) -> Result<bool, Error> {
        self.0
            .transaction(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT idle_seconds FROM sessions WHERE org_id = $1 AND id = $2 AND idle_until > $3 AND expires_at > $3";
                    let Some(row) = tx.row(sql, params![org.0, id.0, tx.now]).await? else { return Ok(false) };
                    let until = tx.now + TimeDelta::seconds(row.get("idle_seconds")?);
                    let sql = "UPDATE sessions SET seen_at = $3, idle_until = $4 WHERE org_id = $1 AND id = $2";
                    Ok(tx.execute(sql, params![org.0, id.0, tx.now, until]).await? == 1)
                })
            })
            .await
    }

    /// The live sessions of a person, newest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn sessions_of(&self, org: OrgId, user: UserId) -> Result<Vec<Session>, Error> {
        let storage = self.0.storage.clone();
        self.0
            .read(move |tx| {
                Box::pin(async move {
                    let Some(person) = user_of(tx, storage.cipher(), org, user).await? else { return Ok(Vec::new()) };
                    let sql = "SELECT * FROM sessions WHERE org_id = $1 AND user_id = $2 AND idle_until > $3 AND expires_at > $3 \
                               ORDER BY created_at DESC";
                    let rows = tx.rows(sql, params![org.0, user.0, tx.now]).await?;
                    rows.iter().map(|row| read_session(storage.cipher(), row, person.clone())).collect()
                })
            })
            .await
    }

    /// Ends a session. Says whether there was one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn end_session(&self, org: OrgId, id: SessionId) -> Result<bool, Error> {
        self.0
            .transaction(move |tx| {
                Box::pin(async move {
                    let sql = "DELETE FROM sessions WHERE org_id = $1 AND id = $2";
                    Ok(tx.execute(sql, params![org.0, id.0]).await? == 1)
                })
            })
            .await
    }

    /// Ends every session of a person, all but `keep`.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn end_sessions_of(
        &self,
        org: OrgId,
        user: UserId,
        keep: Option<SessionId>,
    ) -> Result<u64, Error> {
        let keep = keep.map_or(Uuid::nil(), |id| id.0);
        self.0
            .transaction(move |tx| {
                Box::pin(async move {
                    let sql =
                        "DELETE FROM sessions WHERE org_id = $1 AND user_id = $2 AND id <> $3";
                    tx.execute(sql, params![org.0, user.0, keep]).await
                })
            })
            .await
    }

    /// Makes a token for a program.
    ///
    /// # Errors
    /// `storage.unknown_reference` when the person does not exist.
    pub async fn create_token(&self, new: &NewToken) -> Result<Uuid, Error> {
        let (storage, new) = (self.0.storage.clone(), new.clone());
        let id = storage.fresh_id();
        self.0
            .transaction(move |tx| {
                let (storage, new) = (storage.clone(), new.clone());
                Box::pin(async move {
                    let label = storage.cipher().seal(place("api_tokens", "label", new.org, id), &new.label)?;
                    let sql = "INSERT INTO api_tokens (org_id, id, user_id, token_hash, label, created_at, expires_at) \
                               VALUES ($1, $2, $3, $4, $5, $6, $7)";
                    let params =
                        params![new.org.0, id, new.user.0, new.token_hash.to_vec(), label, tx.now, new.expires_at];
                    tx.execute(sql, params).await?;
                    Ok(id)
                })
            })
            .await
    }

    /// The person a live token acts for, as they are now; notes that it was used.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn by_token(&self, token_hash: [u8; 32]) -> Result<Option<(Uuid, User)>, Error> {
        let storage = self.0.storage.clone();
        self.0
            .transaction(move |tx| {
                let storage = storage.clone();
                Box::pin(async move {
                    let sql = "UPDATE api_tokens SET seen_at = $2 WHERE token_hash = $1 AND (expires_at IS NULL OR expires_at > $2) \
                               RETURNING org_id, id, user_id";
                    let Some(row) = tx.row(sql, params![token_hash.to_vec(), tx.now]).await? else { return Ok(None) };
                    let user = user_of(tx, storage.cipher(), OrgId(row.get("org_id")?), UserId(row.get("user_id")?)).await?;
                    user.map(|user| row.get("id").map(|id| (id, user))).transpose()
                })
            })
            .await
    }

    /// The tokens of an organisation, newest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn tokens(&self, org: OrgId) -> Result<Vec<ApiToken>, Error> {
        let storage = self.0.storage.clone();
        self.0
            .read(move |tx| {
                Box::pin(async move {
                    let sql =
                        "SELECT * FROM api_tokens WHERE org_id = $1 ORDER BY created_at DESC, id";
                    let rows = tx.rows(sql, params![org.0]).await?;
                    rows.iter()
                        .map(|row| {
                            let id: Uuid = row.get("id")?;
                            Ok(ApiToken {
                                id,
                                user: UserId(row.get("user_id")?),
                                label: storage.cipher().open(
                                    place("api_tokens", "label", org, id),
                                    &row.get::<String>("label")?,
                                )?,
                                created_at: row.get("created_at")?,
                                seen_at: row.get("seen_at")?,
                                expires_at: row.get("expires_at")?,
                            })
                        })
                        .collect()
                })
            })
            .await
    }

    /// Ends a token. Says whether there was one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn end_token(&self, org: OrgId, id: Uuid) -> Result<bool, Error> {
        self.0
            .transaction(move |tx| {
                Box::pin(async move {
                    let sql = "DELETE FROM api_tokens WHERE org_id = $1 AND id = $2";
                    Ok(tx.execute(sql, params![org.0, id]).await? == 1)
                })
            })
            .await
    }

    /// Makes a one-time link.
    ///
    /// # Errors
    /// `storage.unknown_reference` when the person does not exist.
    pub async fn create_link(&self, new: &NewLink) -> Result<Uuid, Error> {
        let (storage, new) = (self.0.storage.clone(), new.clone());
        let id = storage.fresh_id();
        self.0
            .transaction(move |tx| {
                let (storage, new) = (storage.clone(), new.clone());
                Box::pin(async move {
                    let payload =
                        storage.cipher().seal(place("one_time_links", "payload", new.org, id), &json(&new.payload)?)?;
                    let sql = "INSERT INTO one_time_links (org_id, id, user_id, purpose, token_hash, payload, created_at, expires_at) \
                               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
                    tx.execute(
                        sql,
                        params![
                            new.org.0,
                            id,
                            new.user.0,
                            new.purpose,
                            new.token_hash.to_vec(),
                            payload,
                            tx.now,
                            tx.now + new.lifetime
                        ],
                    )
                    .await?;
                    Ok(id)
                })
            })
            .await
    }

    /// Uses a link up. Of many that try at once exactly one gets it; everybody else, and everybody later, gets `None`.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn redeem_link(
        &self,
        purpose: &str,
        token_hash: [u8; 32],
    ) -> Result<Option<Link>, Error> {
        let (storage, purpose) = (self.0.storage.clone(), purpose.to_owned());
        self.0
            .transaction(move |tx| {
                let (storage, purpose) = (storage.clone(), purpose.clone());
                Box::pin(async move {
                    let sql = "UPDATE one_time_links SET used_at = $3 WHERE token_hash = $1 AND purpose = $2 AND used_at IS NULL \
                               AND expires_at > $3 RETURNING org_id, id, user_id, payload";
                    let Some(row) = tx.row(sql, params![token_hash.to_vec(), purpose, tx.now]).await? else { return Ok(None) };
                    let (org, id) = (OrgId(row.get("org_id")?), row.get("id")?);
                    let Some(user) = user_of(tx, storage.cipher(), org, UserId(row.get("user_id")?)).await? else {
                        return Ok(None);
                    };
                    let payload =
                        storage.cipher().open(place("one_time_links", "payload", org, id), &row.get::<String>("payload")?)?;
                    Ok(Some(Link { id, user, payload: serde_json::from_str(&payload)? }))
                })
            })
            .await
    }

    /// Deletes sessions, links and counts that ended long ago.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn sweep(&self) -> Result<u64, Error> {
        self.0
            .transaction(|tx| {
                Box::pin(async move {
                    let sessions = tx
                        .execute(
                            "DELETE FROM sessions WHERE idle_until <= $1 OR expires_at <= $1",
                            params![tx.now],
                        )
                        .await?;
                    let before = tx.now - TimeDelta::days(7);
                    let links = tx
                        .execute(
                            "DELETE FROM one_time_links WHERE expires_at <= $1",
                            params![before],
                        )
                        .await?;
                    let counts = tx
                        .execute(
                            "DELETE FROM sign_in_attempts WHERE counted_at <= $1",
                            params![before],
                        )
                        .await?;
                    Ok(sessions + links + counts)
                })
            })
            .await
    }
}
