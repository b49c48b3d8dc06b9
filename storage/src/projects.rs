//! Projects and the brands in them.

use domain::{
    id::{BrandId, ProjectId},
    project::{Membership, Project},
};

use crate::{
    Error, Executor, Unit,
    row::{Row, params},
};

/// Projects of a scope or unit.
pub struct Projects<'a, E>(pub(crate) &'a E);

fn read(row: &Row) -> Result<Project, Error> {
    Ok(Project {
        id: ProjectId(row.get("id")?),
        name: row.get("name")?,
    })
}

fn read_membership(row: &Row) -> Result<Membership, Error> {
    Ok(Membership {
        project: ProjectId(row.get("project_id")?),
        brand: BrandId(row.get("brand_id")?),
        weight: row.get("weight")?,
    })
}

impl<E: Executor> Projects<'_, E> {
    /// Every project, by name.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<Project>, Error> {
        let rows = self
            .0
            .rows(
                "SELECT * FROM projects WHERE org_id = $1 ORDER BY name, id",
                params![],
            )
            .await?;
        rows.iter().map(read).collect()
    }

    /// One project.
    ///
    /// # Errors
    /// `project.unknown`.
    pub async fn get(&self, id: ProjectId) -> Result<Project, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM projects WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| {
            domain::Error::not_found("project.unknown", format!("there is no project {id}")).into()
        })
    }

    /// Every membership, by project and brand.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn memberships(&self) -> Result<Vec<Membership>, Error> {
        let sql = "SELECT * FROM memberships WHERE org_id = $1 ORDER BY project_id, brand_id";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read_membership)
            .collect()
    }
}

impl Projects<'_, Unit> {
    /// Adds a project, or renames it.
    ///
    /// # Errors
    /// `storage.duplicate` when another project has the name.
    pub async fn upsert(&self, project: &Project) -> Result<(), Error> {
        let sql = "INSERT INTO projects (org_id, id, name) VALUES ($1, $2, $3) \
                   ON CONFLICT (org_id, id) DO UPDATE SET name = excluded.name";
        self.0
            .execute(sql, params![project.id.0, project.name.clone()])
            .await?;
        Ok(())
    }

    /// Deletes a project that holds no values.
    ///
    /// # Errors
    /// `storage.unknown_reference` while values or members refer to it.
    pub async fn delete(&self, id: ProjectId) -> Result<bool, Error> {
        Ok(self
            .0
            .execute(
                "DELETE FROM projects WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?
            == 1)
    }

    /// Puts a brand into a project, or changes its weight there.
    ///
    /// # Errors
    /// `storage.unknown_reference` when either does not exist.
    pub async fn set_member(&self, membership: &Membership) -> Result<(), Error> {
        let sql = "INSERT INTO memberships (org_id, project_id, brand_id, weight) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (org_id, project_id, brand_id) DO UPDATE SET weight = excluded.weight";
        self.0
            .execute(
                sql,
                params![membership.project.0, membership.brand.0, membership.weight],
            )
            .await?;
        Ok(())
    }

    /// Takes a brand out of a project. Its values stay.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn remove_member(&self, project: ProjectId, brand: BrandId) -> Result<bool, Error> {
        let sql = "DELETE FROM memberships WHERE org_id = $1 AND project_id = $2 AND brand_id = $3";
        Ok(self.0.execute(sql, params![project.0, brand.0]).await? == 1)
    }
}
