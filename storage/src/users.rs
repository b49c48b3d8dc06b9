//! People of an organisation. Addresses are encrypted; they are looked up through a blind index.

use domain::{
    access::Role,
    id::{OrgId, UserId},
    organisation::User,
};

use crate::{
    Error, Executor, Unit,
    cipher::{Cipher, Place},
    row::{Row, name, params},
};

/// People of a scope or unit.
pub struct Users<'a, E>(pub(crate) &'a E);

/// A person to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// Address to sign in with; kept in lowercase.
    pub email: String,
    /// Name shown beside decisions.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Hash of the password in PHC form; `None` for somebody who signs in by link only.
    pub password_hash: Option<String>,
}

pub(crate) fn email_place(org: OrgId, user: UserId) -> Place<'static> {
    Place {
        table: "users",
        column: "email",
        row: user.0,
        org,
    }
}

pub(crate) fn read(cipher: &Cipher, row: &Row) -> Result<User, Error> {
    let (org, id) = (OrgId(row.get("org_id")?), UserId(row.get("id")?));
    Ok(User {
        id,
        org,
        email: cipher.open(email_place(org, id), &row.get::<String>("email")?)?,
        name: row.get("name")?,
        role: row.named("role")?,
        suspended: row.get("suspended")?,
        created_at: row.get("created_at")?,
    })
}

fn unknown(id: UserId) -> Error {
    domain::Error::not_found("user.unknown", format!("there is no user {id}")).into()
}

impl<E: Executor> Users<'_, E> {
    /// Everybody, by name.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<User>, Error> {
        let rows = self
            .0
            .rows(
                "SELECT * FROM users WHERE org_id = $1 ORDER BY name, id",
                params![],
            )
            .await?;
        rows.iter().map(|row| read(self.0.cipher(), row)).collect()
    }

    /// One person.
    ///
    /// # Errors
    /// `user.unknown`.
    pub async fn get(&self, id: UserId) -> Result<User, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM users WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.map(|row| read(self.0.cipher(), &row))
            .transpose()?
            .ok_or_else(|| unknown(id))
    }

    /// The person with this address, if there is one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn by_email(&self, email: &str) -> Result<Option<User>, Error> {
        let index = self.0.cipher().index("email", email);
        let row = self
            .0
            .row(
                "SELECT * FROM users WHERE org_id = $1 AND email_index = $2",
                params![index],
            )
            .await?;
        row.map(|row| read(self.0.cipher(), &row)).transpose()
    }
}

impl Users<'_, Unit> {
    /// Adds a person.
    ///
    /// # Errors
    /// `user.email_taken` when the address is in use in this organisation.
    pub async fn create(&self, new: &NewUser) -> Result<User, Error> {
        let id = UserId(self.0.fresh_id());
        let email = new.email.trim().to_lowercase();
        let cipher = crate::executor::sealed::Run::cipher(self.0);
        let sealed = cipher.seal(email_place(self.0.org(), id), &email)?;
        let sql = "INSERT INTO users (org_id, id, email, email_index, name, role, suspended, password_hash, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (org_id, email_index) DO NOTHING";
        let index = cipher.index("email", &email);
        let made = self
            .0
            .execute(
                sql,
                params![
                    id.0,
                    sealed,
                    index,
                    new.name.clone(),
                    name(&new.role),
                    false,
                    new.password_hash.clone(),
                    self.0.now()
                ],
            )
            .await?;
        if made == 0 {
            return Err(domain::Error::conflict(
                "user.email_taken",
                "somebody with this address is in the organisation already",
            )
            .advise("invite them under another address, or change their role")
            .into());
        }
        self.get(id).await
    }

    /// Gives a person another role.
    ///
    /// # Errors
    /// `user.unknown`.
    pub async fn set_role(&self, id: UserId, role: Role) -> Result<(), Error> {
        self.change(
            id,
            "UPDATE users SET role = $3 WHERE org_id = $1 AND id = $2",
            params![id.0, name(&role)],
        )
        .await
    }

    /// Suspends a person (their sessions and tokens end with it) or lets them in again.
    ///
    /// # Errors
    /// `user.unknown`.
    pub async fn set_suspended(&self, id: UserId, suspended: bool) -> Result<(), Error> {
        self.change(
            id,
            "UPDATE users SET suspended = $3 WHERE org_id = $1 AND id = $2",
            params![id.0, suspended],
        )
        .await?;
        if suspended {
            self.0
                .execute(
                    "DELETE FROM sessions WHERE org_id = $1 AND user_id = $2",
                    params![id.0],
                )
                .await?;
            self.0
                .execute(
                    "DELETE FROM api_tokens WHERE org_id = $1 AND user_id = $2",
                    params![id.0],
                )
                .await?;
        }
        Ok(())
    }

    /// Sets the hash of a person's password and ends their sessions.
    ///
    /// # Errors
    /// `user.unknown`.
    pub async fn set_password_hash(&self, id: UserId, hash: &str) -> Result<(), Error> {
        self.change(
            id,
            "UPDATE users SET password_hash = $3 WHERE org_id = $1 AND id = $2",
            params![id.0, hash],
        )
        .await?;
        self.0
            .execute(
                "DELETE FROM sessions WHERE org_id = $1 AND user_id = $2",
                params![id.0],
            )
            .await?;
        Ok(())
    }

    async fn change(
        &self,
        id: UserId,
        sql: &str,
        params: Vec<sea_orm::Value>,
    ) -> Result<(), Error> {
        if self.0.execute(sql, params).await? == 0 {
            Err(unknown(id))
        } else {
            Ok(())
        }
    }
}
