//! Errors as RFC 9457 problems. The only file that knows which status code an error has.
//!
//! A handler returns [`Problem`]; whatever else goes wrong on the way (no such route, a body that cannot be read, a
//! parameter out of range) passes [`layer`], which turns it into the same shape. Text of an internal error goes to the
//! log and never to the caller.

use std::panic::AssertUnwindSafe;

use domain::{Classify, ErrorKind};
use futures::FutureExt;
use poem::{
    Endpoint, IntoResponse, Request, Response,
    error::{MethodNotAllowedError, NotFoundError, ResponseError},
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    error::{ContentTypeError, ParseParamError, ParsePathError},
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};
use tracing::Instrument;

/// What an operation answers: its result, or a problem.
pub(crate) type Answer<T> = Result<T, Problem>;

/// What went wrong with one field of the request.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub(crate) struct FieldProblem {
    /// Where: a JSON pointer into the body, or `?name` for a parameter.
    #[oai(validator(max_length = 200))]
    pub(crate) pointer: String,
    /// What is wrong with it.
    pub(crate) detail: String,
}

/// A problem as sent (RFC 9457, `application/problem+json`).
#[derive(Clone, Debug, Object)]
#[oai(rename = "Problem", skip_serializing_if_is_none)]
pub(crate) struct ProblemDocument {
    /// Address of the explanation, `/problems/<code>`.
    #[oai(rename = "type")]
    pub(crate) kind: String,
    /// The class of problem, in a few words.
    pub(crate) title: String,
    /// The status code.
    pub(crate) status: u16,
    /// What happened this time.
    pub(crate) detail: String,
    /// The path that was asked for.
    pub(crate) instance: String,
    /// The stable code, for programs.
    pub(crate) code: String,
    /// What to do about it, when there is something.
    pub(crate) advice: Option<String>,
    /// Fields that are wrong; empty when it is not about fields.
    pub(crate) errors: Vec<FieldProblem>,
    /// Names this request in the log.
    pub(crate) trace_id: String,
}

/// An error on its way to the caller.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: ErrorKind,
    /// The status, where it says more than the kind does (405, 415, malformed 400).
    status: Option<StatusCode>,
    code: &'static str,
    detail: String,
    advice: Option<String>,
    errors: Vec<FieldProblem>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

/// The status code and the title of a kind.
fn status_of(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::Invalid => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "the request breaks a rule",
        ),
        ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "nobody is signed in"),
        ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "this is not allowed"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "there is no such thing"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "its state does not allow this"),
        ErrorKind::Stale => (
            StatusCode::PRECONDITION_FAILED,
            "it has changed since you read it",
        ),
        ErrorKind::PreconditionRequired => (
            StatusCode::PRECONDITION_REQUIRED,
            "say which version you read",
        ),
        ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the request is too large"),
        ErrorKind::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too many requests"),
        ErrorKind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "it took too long"),
        ErrorKind::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "something it needs is away",
        ),
        ErrorKind::Internal => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "something broke on our side",
        ),
    }
}

impl Problem {
    /// A problem of `kind` with a stable `code`.
    pub(crate) fn new(kind: ErrorKind, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            code,
            detail: detail.into(),
            advice: None,
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The request itself cannot be understood.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self {
            status: Some(StatusCode::BAD_REQUEST),
            ..Self::new(ErrorKind::Invalid, "request.malformed", detail)
        }
    }

    /// Adds what the reader can do.
    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Names a field that is wrong.
    #[must_use]
    pub(crate) fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldProblem {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    /// An error from below; the text of an internal one is logged here and replaced.
    pub(crate) fn from_error(
        error: &(impl Classify + std::error::Error),
        advice: Option<String>,
    ) -> Self {
        match error.kind() {
            ErrorKind::Internal => {
                tracing::error!(code = error.code(), error = %chain(error), "a request failed");
                Self::internal()
            }
            kind => Self {
                advice,
                ..Self::new(kind, error.code(), error.to_string())
            },
        }
    }

    /// There is nothing at this address.
    pub(crate) fn no_route() -> Self {
        Self::new(
            ErrorKind::NotFound,
            "route.not_found",
            "there is nothing at this address",
        )
        .advise("the addresses are listed at /api/docs")
    }

    /// The address takes other methods; `allowed` lists them.
    pub(crate) fn no_method(allowed: &str) -> Self {
        let mut problem = Self {
            status: Some(StatusCode::METHOD_NOT_ALLOWED),
            ..Self::new(
                ErrorKind::Invalid,
                "route.method_not_allowed",
                "this address does not take this method",
            )
        }
        .advise("the methods are listed at /api/docs");
        if let Ok(value) = HeaderValue::from_str(allowed) {
            problem.headers.push((header::ALLOW, value));
        }
        problem
    }

    fn internal() -> Self {
        Self::new(
            ErrorKind::Internal,
            "internal",
            "an unexpected error was logged",
        )
        .advise("try again; if it stays, tell your operator the trace id")
    }

    /// The status code.
    pub(crate) fn status(&self) -> StatusCode {
        self.status.unwrap_or(status_of(self.kind).0)
    }

    /// Any error of poem as a problem.
    pub(crate) fn from_poem(error: &poem::Error) -> Self {
        if let Some(problem) = error.downcast_ref::<Problem>() {
            return problem.clone();
        }
        if error.is::<NotFoundError>() {
            return Self::no_route();
        }
        if error.is::<MethodNotAllowedError>() {
            return Self::no_method("");
        }
        if let Some(wrong) = error.downcast_ref::<ParseParamError>() {
            return Self::malformed(wrong.to_string())
                .field(format!("?{}", wrong.name), &wrong.reason);
        }
        if let Some(wrong) = error.downcast_ref::<ParsePathError>() {
            return Self::malformed(wrong.to_string())
                .field(format!("?{}", wrong.name), &wrong.reason);
        }
        if error.is::<ContentTypeError>() || error.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            return Self {
                status: Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
                ..Self::new(ErrorKind::Invalid, "request.media_type", error.to_string())
            }
            .advise("send application/json, or text/csv to /imports");
        }
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(ErrorKind::TooLarge, "request.too_large", error.to_string())
            }
            status if status.is_client_error() => {
                let text = error.to_string();
                let problem = Self::malformed(text.trim().replace('\n', " "));
                Self {
                    status: Some(status),
                    ..problem
                }
            }
            _ => {
                tracing::error!(error = %error, "a request failed");
                Self::internal()
            }
        }
    }

    /// The response to `path`.
    pub(crate) fn into_response_for(self, path: &str, trace_id: &str) -> Response {
        let status = self.status();
        let (_, title) = status_of(self.kind);
        let document = ProblemDocument {
            kind: format!("/problems/{}", self.code),
            title: title.into(),
            status: status.as_u16(),
            detail: self.detail,
            instance: path.into(),
            code: self.code.into(),
            advice: self.advice,
            errors: self.errors,
            trace_id: trace_id.into(),
        };
        let mut response = Response::builder()
            .status(status)
            .content_type("application/problem+json")
            .header(header::CACHE_CONTROL, "no-store")
            .body(document.to_json_string());
        let headers = response.headers_mut();
        match self.kind {
            ErrorKind::TooMany => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"))
            }
            ErrorKind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"))
            }
            ErrorKind::Unauthenticated => headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"digi-cadence\""),
            ),
            _ => None,
        };
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

/// The error and everything that caused it, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<domain::Error> for Problem {
    fn from(error: domain::Error) -> Self {
        let advice = error.advice.clone();
        match error.kind {
            ErrorKind::Internal => Self::from_error(&error, None),
            kind => Self {
                advice,
                ..Self::new(kind, error.code, error.message)
            },
        }
    }
}

impl From<storage::Error> for Problem {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::Domain(error) => error.into(),
            error => Self::from_error(&error, None),
        }
    }
}

impl From<agents::Error> for Problem {
    fn from(error: agents::Error) -> Self {
        let advice = error.advice().map(str::to_owned);
        Self::from_error(&error, advice)
    }
}

impl From<runtime::Error> for Problem {
    fn from(error: runtime::Error) -> Self {
        Self::from_error(&error, None)
    }
}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        Problem::status(self)
    }

    fn as_response(&self) -> Response {
        self.clone().into_response_for("", "")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_response_for("", "")
    }
}

/// Every operation documents that it may answer with a problem.
impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "A problem; `code` says which, and docs/errors.md explains each.",
                status: None,
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "application/problem+json",
                    schema: <Json<ProblemDocument> as Payload>::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }
}

/// Gives every request a trace id and turns whatever error comes out into a problem. A response of poem's own that
/// carries an error status in plain text becomes one too.
pub(crate) async fn layer<E: Endpoint>(endpoint: &E, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let trace_id = hex::encode(bytes);
    let span = tracing::info_span!("request", method = %request.method(), path, trace_id);
    match AssertUnwindSafe(endpoint.call(request))
        .catch_unwind()
        .instrument(span)
        .await
    {
        Ok(Ok(response)) => response.into_response(),
        Ok(Err(error)) => Problem::from_poem(&error).into_response_for(&path, &trace_id),
        Err(_) => {
            tracing::error!(path, trace_id, "a handler panicked");
            Problem::internal().into_response_for(&path, &trace_id)
        }
    }
}

const ERRORS: &str = include_str!("../../docs/errors.md");

/// The entry of `code` in `docs/errors.md`, without its heading.
pub(crate) fn explanation(code: &str) -> Option<&'static str> {
    let heading = format!("\n### `{code}`\n");
    let start = ERRORS.find(&heading)? + heading.len();
    let rest = &ERRORS[start..];
    Some(rest[..rest.find("\n#").unwrap_or(rest.len())].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_internal_error_never_reaches_the_caller() {
        let error = domain::Error::new(
            ErrorKind::Internal,
            "storage.broken",
            "secret path /var/lib",
        );
        let problem = Problem::from(error);
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(problem.code, "internal");
        assert!(!problem.detail.contains("secret"));
    }

    #[test]
    fn a_code_is_explained_by_its_own_entry_only() {
        let text = explanation("route.not_found").expect("it has an entry");
        assert!(!text.contains("###"), "{text}");
        assert_eq!(explanation("route.not"), None);
    }
}
