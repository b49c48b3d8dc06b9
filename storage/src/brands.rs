//! Brands and how they relate.

use domain::{
    brand::{Brand, Relationship},
    id::BrandId,
};

use crate::{
    Error, Executor, Unit,
    row::{Row, name, params},
};

/// Brands of a scope or unit.
pub struct Brands<'a, E>(pub(crate) &'a E);

fn read(row: &Row) -> Result<Brand, Error> {
    Ok(Brand {
        id: BrandId(row.get("id")?),
        name: row.get("name")?,
        role: row.named("role")?,
        category: row.get("category")?,
        margin: row.get("margin")?,
        parent: row.get::<Option<_>>("parent_id")?.map(BrandId),
    })
}

impl<E: Executor> Brands<'_, E> {
    /// Every brand, by name.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<Brand>, Error> {
        let rows = self
            .0
            .rows(
                "SELECT * FROM brands WHERE org_id = $1 ORDER BY name, id",
                params![],
            )
            .await?;
        rows.iter().map(read).collect()
    }

    /// One brand.
    ///
    /// # Errors
    /// `brand.unknown`.
    pub async fn get(&self, id: BrandId) -> Result<Brand, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM brands WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| {
            domain::Error::not_found("brand.unknown", format!("there is no brand {id}")).into()
        })
    }

    /// The brand with this name, if there is one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn by_name(&self, name: &str) -> Result<Option<Brand>, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM brands WHERE org_id = $1 AND name = $2",
                params![name],
            )
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Every relationship.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn relationships(&self) -> Result<Vec<Relationship>, Error> {
        let sql = "SELECT * FROM relationships WHERE org_id = $1 ORDER BY from_id, to_id, kind";
        let rows = self.0.rows(sql, params![]).await?;
        rows.iter()
            .map(|row| {
                Ok(Relationship {
                    from: BrandId(row.get("from_id")?),
                    to: BrandId(row.get("to_id")?),
                    kind: row.named("kind")?,
                })
            })
            .collect()
    }
}

impl Brands<'_, Unit> {
    /// Adds a brand, or changes it.
    ///
    /// # Errors
    /// `storage.duplicate` when another brand has the name.
    pub async fn upsert(&self, brand: &Brand) -> Result<(), Error> {
        let sql = "INSERT INTO brands (org_id, id, name, role, category, margin, parent_id) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                   ON CONFLICT (org_id, id) DO UPDATE SET name = excluded.name, role = excluded.role, \
                   category = excluded.category, margin = excluded.margin, parent_id = excluded.parent_id";
        let parent = brand.parent.map(|id| id.0);
        let params = params![
            brand.id.0,
            brand.name.clone(),
            name(&brand.role),
            brand.category.clone(),
            brand.margin,
            parent
        ];
        self.0.execute(sql, params).await?;
        Ok(())
    }

    /// Deletes a brand that nothing refers to.
    ///
    /// # Errors
    /// `storage.unknown_reference` while values or members refer to it.
    pub async fn delete(&self, id: BrandId) -> Result<bool, Error> {
        Ok(self
            .0
            .execute(
                "DELETE FROM brands WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?
            == 1)
    }

    /// States a relationship; stating it again changes nothing.
    ///
    /// # Errors
    /// `storage.unknown_reference` when either brand does not exist.
    pub async fn relate(&self, relationship: Relationship) -> Result<(), Error> {
        let sql = "INSERT INTO relationships (org_id, from_id, to_id, kind) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        self.0
            .execute(
                sql,
                params![
                    relationship.from.0,
                    relationship.to.0,
                    name(&relationship.kind)
                ],
            )
            .await?;
        Ok(())
    }

    /// Takes a relationship back.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn unrelate(&self, relationship: Relationship) -> Result<bool, Error> {
        let sql = "DELETE FROM relationships WHERE org_id = $1 AND from_id = $2 AND to_id = $3 AND kind = $4";
        let params = params![
            relationship.from.0,
            relationship.to.0,
            name(&relationship.kind)
        ];
        Ok(self.0.execute(sql, params).await? == 1)
    }
}
