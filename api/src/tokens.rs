//! API tokens: how programs sign in.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use domain::ErrorKind;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use uuid::Uuid;

use crate::{
    App, Tag,
    answer::{Created, Done},
    auth::{self, Caller},
    permissions::BASE,
    problem::{Answer, Problem},
};

/// A token, without its secret.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Token {
    /// The id.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) label: String,
    /// When it was made.
    pub(crate) created_at: DateTime<Utc>,
    /// The day after which it no longer works.
    pub(crate) expires_on: Option<NaiveDate>,
    /// When it was last used.
    pub(crate) last_used_at: Option<DateTime<Utc>>,
}

/// A token that was just made.
#[derive(Clone, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct NewToken {
    /// The id.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) label: String,
    /// The secret, shown this once: send it as `Authorization: Bearer <token>`.
    #[oai(read_only)]
    pub(crate) token: String,
    /// When it was made.
    pub(crate) created_at: DateTime<Utc>,
    /// The day after which it no longer works.
    pub(crate) expires_on: Option<NaiveDate>,
}

/// A token to be made.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct TokenCreate {
    /// What it is for, so that it can be recognised later.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(crate) label: String,
    /// The day after which it no longer works; without it, it works until it is deleted.
    pub(crate) expires_on: Option<NaiveDate>,
}

impl Token {
    fn of(token: storage::ApiToken) -> Self {
        let storage::ApiToken {
            id,
            user: _,
            label,
            created_at,
            seen_at,
            expires_at,
        } = token;
        // It ends with a day, so the instant it ends at is the first of the next.
        let expires_on = expires_at.and_then(|at| at.date_naive().pred_opt());
        Self {
            id: token_id(id),
            label,
            created_at,
            expires_on,
            last_used_at: seen_at,
        }
    }
}

fn token_id(id: Uuid) -> String {
    format!("tok_{}", id.simple())
}

/// The instant at which `day` is over.
fn end_of_day(day: NaiveDate) -> DateTime<Utc> {
    (day + Days::new(1)).and_time(NaiveTime::MIN).and_utc()
}

/// API tokens.
pub(crate) struct TokenApi(pub(crate) App);

#[OpenApi(tag = "Tag::Session")]
impl TokenApi {
    /// List your API tokens.
    ///
    /// Secrets are not kept and cannot be shown again.
    #[oai(path = "/tokens", method = "get", operation_id = "token_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<Vec<Token>>> {
        let tokens = self
            .0
            .state
            .system
            .sign_in()
            .tokens(caller.user.org)
            .await?;
        Ok(Json(
            tokens
                .into_iter()
                .filter(|token| token.user == caller.user.id)
                .map(Token::of)
                .collect(),
        ))
    }

    /// Make an API token.
    ///
    /// It may do what you may do, as long as you may do it.
    #[oai(path = "/tokens", method = "post", operation_id = "token_create")]
    async fn create(&self, caller: Caller, body: Json<TokenCreate>) -> Answer<Created<NewToken>> {
        let TokenCreate { label, expires_on } = body.0;
        let (token, token_hash) = auth::new_token();
        let expires_at = expires_on.map(end_of_day);
        let new = storage::NewToken {
            org: caller.user.org,
            user: caller.user.id,
            label: label.clone(),
            token_hash,
            expires_at,
        };
        let id = token_id(self.0.state.system.sign_in().create_token(&new).await?);
        let location = format!("{BASE}/tokens/{id}");
        let created_at = self.0.state.storage.now().await?;
        Ok(Created::Created(
            Json(NewToken {
                id,
                label,
                token,
                created_at,
                expires_on,
            }),
            location,
        ))
    }

    /// Delete an API token.
    ///
    /// It stops working at once.
    #[oai(
        path = "/tokens/:token_id",
        method = "delete",
        operation_id = "token_delete"
    )]
    async fn delete(&self, caller: Caller, token_id: Path<String>) -> Answer<Done> {
        let unknown = || {
            Problem::new(
                ErrorKind::NotFound,
                "token.not_found",
                "you have no such token",
            )
        };
        let id = token_id
            .0
            .strip_prefix("tok_")
            .and_then(|id| Uuid::parse_str(id).ok())
            .ok_or_else(unknown)?;
        let door = self.0.state.system.sign_in();
        let is_own = door
            .tokens(caller.user.org)
            .await?
            .iter()
            .any(|token| token.id == id && token.user == caller.user.id);
        if !is_own || !door.end_token(caller.user.org, id).await? {
            return Err(unknown());
        }
        Ok(Done::Done)
    }
}
