//! `Idempotency-Key`: a request sent again gets the answer of the first.
//!
//! The key is claimed before the work and the answer remembered after it, for 24 hours, per person. An answer that
//! changed nothing (an error) is not remembered. When the program dies between work and answer the claim runs out after
//! three minutes; until then the same key is told to wait. What must never happen twice is guarded below as well, by
//! versions and unique keys.

use chrono::TimeDelta;
use domain::ErrorKind;
use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderMap, Method, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::Begun;

use crate::{
    App,
    auth::Caller,
    permissions::{Operation, Shape},
    problem::{Answer, Problem},
};

const KEEP: TimeDelta = TimeDelta::hours(24);
const CLAIM: TimeDelta = TimeDelta::minutes(3);
const LONGEST_KEY: usize = 255;

/// The part of an answer that is given again.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    content_type: Option<String>,
    etag: Option<String>,
    location: Option<String>,
    body: String,
}

/// A request that may be repeated.
pub(crate) struct Repeat {
    key: String,
    caller: Caller,
}

impl Repeat {
    /// The repeatable part of a request, when it carries a key and changes something.
    ///
    /// # Errors
    /// `idempotency.key_invalid` for a key that is empty or too long.
    pub(crate) fn of(
        request: &Request,
        operation: &Operation,
        caller: &Caller,
    ) -> Answer<Option<Self>> {
        let is_json = matches!(operation.shape, Shape::Plain | Shape::Slow);
        let writes = caller.may_write() && request.method() == Method::POST && is_json;
        let Some(key) = request.headers().get("Idempotency-Key").filter(|_| writes) else {
            return Ok(None);
        };
        let key = key.to_str().unwrap_or_default().trim();
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Err(Problem::new(
                ErrorKind::Invalid,
                "idempotency.key_invalid",
                format!("an idempotency key has 1 to {LONGEST_KEY} visible characters"),
            )
            .field("?Idempotency-Key", "1 to 255 characters"));
        }
        Ok(Some(Self {
            key: key.to_owned(),
            caller: caller.clone(),
        }))
    }

    /// Answers from memory, or does the work once and remembers the answer.
    pub(crate) async fn answer<E: Endpoint>(
        self,
        app: &App,
        inner: &E,
        mut request: Request,
    ) -> poem::Result<Response> {
        let body = request
            .take_body()
            .into_bytes()
            .await
            .map_err(|error| Problem::malformed(error.to_string()))?;
        let target = request.uri().to_string();
        let mut hasher = Sha256::new();
        hasher.update(target.as_bytes());
        hasher.update([0]);
        hasher.update(&body);
        let fingerprint = hex::encode(hasher.finalize());
        request.set_body(body);

        if let Begun::Replay(remembered) = self.begin(app, &fingerprint).await? {
            return Ok(replay(remembered.status, &remembered.body)?);
        }
        let result = inner.call(request).await.map(IntoResponse::into_response);
        match result {
            Ok(response) if response.status().is_success() => {
                Ok(self.remember(app, fingerprint, response).await?)
            }
            other => {
                self.forget(app).await?;
                other
            }
        }
    }

    async fn begin(&self, app: &App, fingerprint: &str) -> Answer<Begun> {
        let (key, fingerprint) = (self.key.clone(), fingerprint.to_owned());
        let begun = app
            .state
            .storage
            .unit(self.caller.grant(), move |u| {
                let (key, fingerprint) = (key.clone(), fingerprint.clone());
                Box::pin(async move { u.idempotency().begin(&key, &fingerprint, CLAIM).await })
            })
            .await;
        match begun {
            Ok(Begun::Replay(remembered)) if remembered.status == 0 => Err(Problem::new(
                ErrorKind::Conflict,
                "idempotency.in_flight",
                "the first request with this key is still being worked on",
            )
            .advise("wait a moment and send it again")),
            Ok(begun) => Ok(begun),
            Err(storage::Error::Domain(error)) if error.code == "idempotency.key_reused" => {
                Err(Problem::new(
                    ErrorKind::Invalid,
                    "idempotency.mismatch",
                    "this key was sent before with another request",
                )
                .advise("use a new key for a new request"))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn remember(
        &self,
        app: &App,
        fingerprint: String,
        mut response: Response,
    ) -> Answer<Response> {
        let text = |headers: &HeaderMap, name: header::HeaderName| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let status = response.status().as_u16();
        let body = response
            .take_body()
            .into_string()
            .await
            .map_err(|error| Problem::malformed(format!("the answer is not text: {error}")))?;
        let kept = Kept {
            content_type: text(response.headers(), header::CONTENT_TYPE),
            etag: text(response.headers(), header::ETAG),
            location: text(response.headers(), header::LOCATION),
            body: body.clone(),
        };
        let kept = serde_json::to_string(&kept).expect("four texts are JSON");
        let key = self.key.clone();
        app.state
            .storage
            .unit(self.caller.grant(), move |u| {
                let (key, fingerprint, kept) = (key.clone(), fingerprint.clone(), kept.clone());
                Box::pin(async move {
                    u.idempotency().forget(&key).await?;
                    u.idempotency().begin(&key, &fingerprint, KEEP).await?;
                    u.idempotency().finish(&key, status, &kept).await
                })
            })
            .await?;
        response.set_body(body);
        Ok(response)
    }

    async fn forget(&self, app: &App) -> Answer<()> {
        let key = self.key.clone();
        app.state
            .storage
            .unit(self.caller.grant(), move |u| {
                let key = key.clone();
                Box::pin(async move { u.idempotency().forget(&key).await })
            })
            .await?;
        Ok(())
    }
}

fn replay(status: u16, kept: &str) -> Answer<Response> {
    let broken = |_| {
        Problem::from(domain::Error::new(
            ErrorKind::Internal,
            "idempotency.broken",
            "a kept answer is broken",
        ))
    };
    let Kept {
        content_type,
        etag,
        location,
        body,
    } = serde_json::from_str(kept).map_err(broken)?;
    let mut builder = Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::OK))
        .header("Idempotent-Replay", "true");
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::ETAG, etag),
        (header::LOCATION, location),
    ] {
        if let Some(value) = value {
            builder = builder.header(name, value);
        }
    }
    Ok(builder.body(body))
}
