//! Saved mappings from a file's columns to metrics, every version kept.

use chrono::{DateTime, Utc};
use domain::id::MappingId;

use crate::{
    Error, Executor, Unit,
    row::{Row, params},
};

/// Mappings of a scope or unit.
pub struct Mappings<'a, E>(pub(crate) &'a E);

/// One version of a saved mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedMapping {
    /// The id, the same for all versions.
    pub id: MappingId,
    /// The name, unique within the organisation.
    pub name: String,
    /// Version, from 1.
    pub version: u32,
    /// The mapping as its author wrote it.
    pub text: String,
    /// When this version was saved.
    pub created_at: DateTime<Utc>,
}

const SELECT: &str = "SELECT m.id, m.name, v.version, v.body, v.created_at FROM mappings m JOIN mapping_versions v \
                      ON v.org_id = m.org_id AND v.mapping_id = m.id AND v.version = m.version WHERE m.org_id = $1";

fn read(row: &Row) -> Result<SavedMapping, Error> {
    Ok(SavedMapping {
        id: MappingId(row.get("id")?),
        name: row.get("name")?,
        version: row.count("version")?,
        text: row.get("body")?,
        created_at: row.get("created_at")?,
    })
}

impl<E: Executor> Mappings<'_, E> {
    /// The current version of every mapping, by name.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<SavedMapping>, Error> {
        let rows = self
            .0
            .rows(&format!("{SELECT} ORDER BY m.name"), params![])
            .await?;
        rows.iter().map(read).collect()
    }

    /// The current version of one mapping.
    ///
    /// # Errors
    /// `mapping.unknown`.
    pub async fn get(&self, id: MappingId) -> Result<SavedMapping, Error> {
        let row = self
            .0
            .row(&format!("{SELECT} AND m.id = $2"), params![id.0])
            .await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| {
            domain::Error::not_found("mapping.unknown", format!("there is no mapping {id}")).into()
        })
    }

    /// The current version of the mapping with this name, if there is one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn by_name(&self, name: &str) -> Result<Option<SavedMapping>, Error> {
        let row = self
            .0
            .row(&format!("{SELECT} AND m.name = $2"), params![name])
            .await?;
        row.as_ref().map(read).transpose()
    }
}

impl Mappings<'_, Unit> {
    /// Saves a mapping under a name. The same text again changes nothing; another text makes the next version.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn save(&self, name: &str, text: &str) -> Result<SavedMapping, Error> {
        self.0.serialise(&format!("mapping|{name}")).await?;
        let current = self.by_name(name).await?;
        let (id, version) = match &current {
            Some(current) if current.text == text => return Ok(current.clone()),
            Some(current) => (current.id, current.version + 1),
            None => (MappingId(self.0.fresh_id()), 1),
        };
        let sql = "INSERT INTO mappings (org_id, id, name, version) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (org_id, id) DO UPDATE SET version = excluded.version";
        self.0
            .execute(sql, params![id.0, name, i64::from(version)])
            .await?;
        let sql = "INSERT INTO mapping_versions (org_id, mapping_id, version, body, created_at) VALUES ($1, $2, $3, $4, $5)";
        self.0
            .execute(sql, params![id.0, i64::from(version), text, self.0.now()])
            .await?;
        self.get(id).await
    }
}
