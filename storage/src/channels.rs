//! Media channels.

use domain::{brand::Channel, id::ChannelId};

use crate::{Error, Executor, Unit, row::params};

/// Channels of a scope or unit.
pub struct Channels<'a, E>(pub(crate) &'a E);

impl<E: Executor> Channels<'_, E> {
    /// Every channel, by key.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<Channel>, Error> {
        let rows = self
            .0
            .rows(
                "SELECT * FROM channels WHERE org_id = $1 ORDER BY key",
                params![],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Channel {
                    id: ChannelId(row.get("id")?),
                    key: row.get("key")?,
                    name: row.get("name")?,
                })
            })
            .collect()
    }
}

impl Channels<'_, Unit> {
    /// Adds a channel, or changes it.
    ///
    /// # Errors
    /// `storage.duplicate` when another channel has the key.
    pub async fn upsert(&self, channel: &Channel) -> Result<(), Error> {
        let sql = "INSERT INTO channels (org_id, id, key, name) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (org_id, id) DO UPDATE SET key = excluded.key, name = excluded.name";
        self.0
            .execute(
                sql,
                params![channel.id.0, channel.key.clone(), channel.name.clone()],
            )
            .await?;
        Ok(())
    }
}
