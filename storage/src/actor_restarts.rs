//! The restart history of supervised actors, shown beside their state.

use chrono::{DateTime, Utc};

use crate::{Error, System, row::params};

/// The restart history.
pub struct ActorRestarts<'a>(pub(crate) &'a System);

/// One restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorRestart {
    /// Path of the actor in the tree, such as `root/agents/forecasting`.
    pub path: String,
    /// How it ended: `failed`, `killed` or `stuck`.
    pub exit: String,
    /// What it said.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl ActorRestarts<'_> {
    /// Adds a restart, at database time.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn record(&self, path: &str, exit: &str, reason: &str) -> Result<(), Error> {
        let id = self.0.storage.fresh_id();
        let (path, exit, reason) = (path.to_owned(), exit.to_owned(), reason.to_owned());
        self.0
            .transaction(move |tx| {
                let (path, exit, reason) = (path.clone(), exit.clone(), reason.clone());
                Box::pin(async move {
                    let sql = "INSERT INTO actor_restarts (id, path, exit_class, reason, at) VALUES ($1, $2, $3, $4, $5)";
                    tx.execute(sql, params![id, path, exit, reason, tx.now]).await?;
                    Ok(())
                })
            })
            .await
    }

    /// The last restarts, newest first; of one actor, or of all.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn recent(&self, path: Option<&str>, limit: u32) -> Result<Vec<ActorRestart>, Error> {
        let path = path.map(str::to_owned);
        self.0
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT * FROM actor_restarts WHERE $1 IS NULL OR path = $1 ORDER BY at DESC, id DESC LIMIT $2";
                    let rows = tx.rows(sql, params![path, i64::from(limit)]).await?;
                    rows.iter()
                        .map(|row| {
                            Ok(ActorRestart {
                                path: row.get("path")?,
                                exit: row.get("exit_class")?,
                                reason: row.get("reason")?,
                                at: row.get("at")?,
                            })
                        })
                        .collect()
                })
            })
            .await
    }
}
