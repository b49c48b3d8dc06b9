//! Adding people and making their links, for the command line and the demo.

use chrono::TimeDelta;
use domain::{
    access::{Permission, Principal},
    event::{EventKind, NewEvent},
    organisation::{Organisation, User},
};
use storage::{NewLink, NewUser};

use super::Database;
use crate::exit::Failure;

/// Adds a person.
///
/// # Errors
/// `user.email_taken`.
pub(crate) async fn add_user(
    database: &Database,
    organisation: &Organisation,
    new: NewUser,
) -> Result<User, Failure> {
    let grant = Principal::system(organisation.id).grant(Permission::UserWrite)?;
    let user = database
        .storage
        .unit(&grant, move |u| {
            let new = new.clone();
            Box::pin(async move {
                let user = u.users().create(&new).await?;
                let id = user.id.to_string();
                u.events()
                    .publish(NewEvent {
                        kind: EventKind::UserChanged,
                        key: id.clone(),
                        body: serde_json::json!({ "user": id }),
                    })
                    .await?;
                u.audit()
                    .record("user.added", &id, serde_json::json!({ "role": user.role }))
                    .await?;
                Ok(user)
            })
        })
        .await?;
    Ok(user)
}

/// A link that signs `user` in once, on the web app at `origin`. The secret stands behind `#`, so it is never sent to a
/// server by opening the page.
///
/// # Errors
/// When the database cannot be reached.
pub(crate) async fn sign_in_link(
    database: &Database,
    user: &User,
    lifetime: TimeDelta,
    origin: &str,
) -> Result<String, Failure> {
    let (secret, token_hash) = api::auth::new_link();
    let new = NewLink {
        org: user.org,
        user: user.id,
        purpose: api::auth::SIGN_IN_LINK.to_owned(),
        token_hash,
        lifetime,
        payload: serde_json::Value::Null,
    };
    database.system().sign_in().create_link(&new).await?;
    Ok(format!("{origin}/link#{secret}"))
}
