//! Settings of an organisation: documents by key, with a version.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, Executor, Unit,
    row::{Row, json, params},
};

/// Settings of a scope or unit.
pub struct Settings<'a, E>(pub(crate) &'a E);

/// A setting as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// Version, from 1.
    pub version: u32,
    /// The value.
    pub value: T,
}

fn read<T: DeserializeOwned>(row: &Row) -> Result<Setting<T>, Error> {
    Ok(Setting {
        version: row.count("version")?,
        value: row.json("body")?,
    })
}

impl<E: Executor> Settings<'_, E> {
    /// The setting of a key, if it was set.
    ///
    /// # Errors
    /// When the database cannot be reached, or the setting has another shape.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Setting<T>>, Error> {
        let sql = "SELECT version, body FROM settings WHERE org_id = $1 AND key = $2";
        self.0
            .row(sql, params![key])
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    /// Every setting, by key.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<(String, Setting<serde_json::Value>)>, Error> {
        let rows = self
            .0
            .rows(
                "SELECT key, version, body FROM settings WHERE org_id = $1 ORDER BY key",
                params![],
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.get("key")?, read(row)?)))
            .collect()
    }
}

impl Settings<'_, Unit> {
    /// Sets a key and returns its version. With `expected_version` only if it still has that one (0: not yet set).
    ///
    /// # Errors
    /// `setting.changed` (stale) when it has another version.
    pub async fn set<T: Serialize + Sync>(
        &self,
        key: &str,
        value: &T,
        expected_version: Option<u32>,
    ) -> Result<u32, Error> {
        let expected = expected_version.map_or(-1, i64::from);
        let sql = "INSERT INTO settings (org_id, key, version, body, updated_at) SELECT $1, $2, 1, $3, $4 WHERE $5 <= 0 OR EXISTS \
                   (SELECT 1 FROM settings WHERE org_id = $1 AND key = $2) ON CONFLICT (org_id, key) DO UPDATE SET \
                   version = settings.version + 1, body = excluded.body, updated_at = excluded.updated_at \
                   WHERE $5 = -1 OR settings.version = $5 RETURNING version";
        let row = crate::executor::sealed::Run::row(
            self.0,
            sql,
            params![key, json(value)?, self.0.now(), expected],
        )
        .await?;
        match row {
            Some(row) => row.count("version"),
            None => Err(domain::Error::new(
                domain::ErrorKind::Stale,
                "setting.changed",
                format!("the setting {key} was changed by somebody else"),
            )
            .advise("reload it and set it again")
            .into()),
        }
    }
}
