//! The one way in to `/api/v1`. Every request passes the same steps in the same order, before anything of it is parsed:
//! find the operation, recognise the caller, check the origin, check the permission, bound the body, bound the time,
//! answer a repeated request from memory.

use std::{sync::Arc, time::Duration};

use domain::ErrorKind;
use poem::{
    Body, Endpoint, IntoResponse, Request, Response,
    error::ReadBodyError,
    http::{HeaderValue, header},
};
use poem_openapi::error::ParsePathError;

use crate::{
    App,
    auth::{self, Caller, OriginRule},
    idempotency,
    permissions::{self, Access, Operation, Shape},
    problem::{Answer, Problem},
};

/// Largest chunk of an import.
const CHUNK_LIMIT: usize = 16 * 1024 * 1024;
/// How long a chunk may take to come in and be stored, and slow work to be done.
const LONG_TIME: Duration = Duration::from_secs(120);

/// The door in front of `inner`.
pub(crate) struct Door<E> {
    pub(crate) app: App,
    pub(crate) inner: Arc<E>,
}

impl<E: Endpoint + 'static> Endpoint for Door<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let operation = find(&request)?;
        let caller = self.admit(&request, operation).await?;
        let limit = match operation.shape {
            Shape::Plain | Shape::Slow => Some(self.app.state.http.body_limit),
            Shape::Chunk => Some(CHUNK_LIMIT),
            Shape::Stream => None,
        };
        let work = async {
            if let Some(limit) = limit {
                bound_body(&mut request, limit).await?;
            }
            if let Some(caller) = caller {
                request.set_data(caller.clone());
                if let Some(repeat) = idempotency::Repeat::of(&request, operation, &caller)? {
                    return repeat.answer(&self.app, self.inner.as_ref(), request).await;
                }
            }
            match self.inner.call(request).await {
                Ok(response) => Ok(response.into_response()),
                Err(error) => Err(named(error, operation)),
            }
        };
        let mut response = match operation.shape {
            Shape::Plain => within(self.app.state.http.timeout, work).await?,
            Shape::Slow | Shape::Chunk => within(LONG_TIME, work).await?,
            Shape::Stream => work.await?,
        };
        // Answers are somebody's own data.
        response
            .headers_mut()
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

impl<E> Door<E> {
    /// The caller, when the operation wants one and it may come in.
    async fn admit(&self, request: &Request, operation: &Operation) -> Answer<Option<Caller>> {
        let public_url = self.app.state.http.public_url.as_deref();
        if operation.access == Access::Anyone {
            auth::check_origin(request, public_url, OriginRule::MustNotBeForeign)?;
            return Ok(None);
        }
        let recognised = auth::recognise(&self.app, request).await?;
        if recognised.session.is_some() {
            auth::check_origin(request, public_url, OriginRule::MustBeOurs)?;
        }
        let known = Caller::new(recognised.user, recognised.session, None);
        let grant = match operation.access {
            Access::Anyone | Access::SignedIn => None,
            Access::Needs(permission) => Some(known.principal.grant(permission)?),
        };
        Ok(Some(Caller::new(known.user, known.session, grant)))
    }
}

/// The operation a request names.
///
/// # Errors
/// `route.not_found`, `route.method_not_allowed`.
fn find(request: &Request) -> Answer<&'static Operation> {
    let path = request.uri().path();
    if let Some(operation) = permissions::find(request.method().as_str(), path) {
        return Ok(operation);
    }
    let others = permissions::methods_of(path);
    if others.is_empty() {
        return Err(Problem::no_route());
    }
    Err(Problem::no_method(&others.join(", ")))
}

/// An error with the name of the path parameter it is about; poem-openapi only counts them (`param0`).
fn named(error: poem::Error, operation: &Operation) -> poem::Error {
    let Some(ParsePathError { name, reason }) = error.downcast_ref() else {
        return error;
    };
    let number = name
        .strip_prefix("param")
        .and_then(|number| number.parse::<usize>().ok());
    let mut names = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    match number.and_then(|number| names.nth(number)) {
        Some(name) => Problem::malformed(format!("{name} in the address is wrong: {reason}"))
            .field(format!("?{name}"), reason)
            .into(),
        None => error,
    }
}

/// Reads the whole body, up to `limit` bytes. `Json` of poem-openapi would read without any.
async fn bound_body(request: &mut Request, limit: usize) -> Answer<()> {
    let too_large = || {
        Problem::new(
            ErrorKind::TooLarge,
            "request.too_large",
            format!("the body has more than {limit} bytes"),
        )
        .advise("send less at once; a file goes to /imports in chunks")
    };
    let announced = request
        .header(header::CONTENT_LENGTH)
        .and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match request.take_body().into_bytes_limit(limit).await {
        Ok(bytes) => {
            request.set_body(Body::from_bytes(bytes));
            Ok(())
        }
        Err(ReadBodyError::PayloadTooLarge) => Err(too_large()),
        Err(error) => Err(Problem::malformed(format!(
            "the body could not be read: {error}"
        ))),
    }
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = poem::Result<T>>,
) -> poem::Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Problem::new(
            ErrorKind::Timeout,
            "request.timeout",
            format!("there was no answer within {} seconds", limit.as_secs()),
        )
        .advise("what was begun may still be finished; look before you send it again")
        .into()),
    }
}
