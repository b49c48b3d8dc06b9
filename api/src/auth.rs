//! Who is asking: a session cookie for browsers, a bearer token for programs, a one-time link to get the first session.
//!
//! Secrets are 256 random bits; the database keeps their SHA-256. A person's role is read with every request, so taking a
//! role or an account away works at once.

mod password;

use chrono::TimeDelta;
use domain::{
    ErrorKind,
    access::{Grant, Principal},
    id::SessionId,
    organisation::User,
};
use poem::{
    FromRequest, Request, RequestBody,
    http::{HeaderValue, Method, header},
};
use sha2::{Digest, Sha256};
use storage::NewSession;

pub(crate) use self::password::Passwords;
pub use self::password::hash_password;
use crate::{
    App,
    problem::{Answer, Problem},
};

/// Purpose of a one-time link that signs in, as kept in the database.
pub const SIGN_IN_LINK: &str = "sign_in";

/// A session ends after this long without a request.
const IDLE: TimeDelta = TimeDelta::hours(12);
/// A session ends after this long in any case.
const LIFETIME: TimeDelta = TimeDelta::days(7);
/// A session's use is written down at most this often.
const TOUCH_EVERY: TimeDelta = TimeDelta::minutes(1);

/// A secret with `prefix`, and the digest to store.
fn secret(prefix: &str) -> (String, [u8; 32]) {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
    let digest = digest(&text);
    (text, digest)
}

/// What is stored of a secret.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A fresh API token (`dck_…`) and the digest to store.
pub fn new_token() -> (String, [u8; 32]) {
    secret("dck_")
}

/// The secret of a fresh one-time link and the digest to store. The address to show is `<origin>/link#<secret>`.
pub fn new_link() -> (String, [u8; 32]) {
    secret("dcl_")
}

/// How the session cookie is named and protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookiePolicy {
    /// Behind HTTPS: `__Host-` prefix and `Secure`.
    Https,
    /// Plain HTTP on the loopback address, for a demo on one's own machine.
    Loopback,
}

impl CookiePolicy {
    /// Name of the cookie.
    fn name(self) -> &'static str {
        match self {
            Self::Https => "__Host-dc_session",
            Self::Loopback => "dc_session",
        }
    }

    fn set(self, value: &str, max_age: i64) -> String {
        let secure = if self == Self::Https { "; Secure" } else { "" };
        format!(
            "{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}",
            self.name()
        )
    }

    /// Takes the cookie away.
    pub(crate) fn clear(self) -> String {
        self.set("", 0)
    }
}

/// Somebody who has been recognised and holds what the operation needs.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The person.
    pub(crate) user: User,
    /// The person with the permissions of their role.
    pub(crate) principal: Principal,
    /// The session, when it was not a token.
    pub(crate) session: Option<SessionId>,
    grant: Option<Grant>,
}

impl Caller {
    pub(crate) fn new(user: User, session: Option<SessionId>, grant: Option<Grant>) -> Self {
        let principal = Principal::user(user.org, user.id, user.role);
        Self {
            user,
            principal,
            session,
            grant,
        }
    }

    /// Whether the operation may change something.
    pub(crate) fn may_write(&self) -> bool {
        self.grant.is_some_and(|grant| grant.may_write())
    }

    /// The grant that the door checked for this operation.
    pub(crate) fn grant(&self) -> &Grant {
        self.grant
            .as_ref()
            .expect("the operation's row in permissions.rs names a permission")
    }
}

impl<'a> FromRequest<'a> for Caller {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        request
            .data::<Caller>()
            .cloned()
            .ok_or_else(|| nobody().into())
    }
}

/// Who the request's credentials belong to.
pub(crate) struct Recognised {
    pub(crate) user: User,
    pub(crate) session: Option<SessionId>,
}

fn nobody() -> Problem {
    Problem::new(
        ErrorKind::Unauthenticated,
        "session.missing",
        "nobody is signed in",
    )
    .advise("sign in, or send an API token as Authorization: Bearer dck_…")
}

/// Recognises the request's token or session.
///
/// # Errors
/// `session.missing` without credentials, `session.ended` or `token.unknown` when they are not good any more.
pub(crate) async fn recognise(app: &App, request: &Request) -> Answer<Recognised> {
    if let Some(value) = request.header(header::AUTHORIZATION) {
        let token = value
            .strip_prefix("Bearer ")
            .map(str::trim)
            .filter(|token| token.starts_with("dck_"));
        let Some(token) = token else {
            return Err(Problem::new(
                ErrorKind::Unauthenticated,
                "token.unknown",
                "this is not an API token",
            )
            .advise("send Authorization: Bearer dck_…"));
        };
        let found = app.state.system.sign_in().by_token(digest(token)).await?;
        let Some((_, user)) = found else {
            return Err(Problem::new(
                ErrorKind::Unauthenticated,
                "token.unknown",
                "this API token is not valid",
            )
            .advise("it may have expired or been deleted; make another one"));
        };
        return Ok(Recognised {
            user,
            session: None,
        });
    }
    let secret = cookie(request, app.cookies.name()).ok_or_else(nobody)?;
    let Some(session) = app.state.system.sign_in().session(digest(&secret)).await? else {
        return Err(Problem::new(
            ErrorKind::Unauthenticated,
            "session.ended",
            "the session has ended",
        )
        .advise("sign in again"));
    };
    let user = session.user;
    if app.state.storage.now().await? - session.seen_at > TOUCH_EVERY {
        app.state
            .system
            .sign_in()
            .touch_session(user.org, session.id)
            .await?;
    }
    Ok(Recognised {
        user,
        session: Some(session.id),
    })
}

/// The value of a cookie.
fn cookie(request: &Request, name: &str) -> Option<String> {
    request
        .headers()
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
        .filter(|value| !value.is_empty())
}

/// Opens a session for `user` and returns the cookie that holds it.
///
/// # Errors
/// When the database cannot be reached.
pub(crate) async fn open_session(app: &App, user: &User, request: &Request) -> Answer<String> {
    let (secret, token_hash) = secret("");
    let cut = |text: &str| text.chars().take(200).collect::<String>();
    let session = NewSession {
        org: user.org,
        user: user.id,
        token_hash,
        idle: IDLE,
        lifetime: LIFETIME,
        user_agent: cut(request.header(header::USER_AGENT).unwrap_or_default()),
        address: cut(&request.remote_addr().to_string()),
    };
    app.state.system.sign_in().open_session(&session).await?;
    Ok(app.cookies.set(&secret, LIFETIME.num_seconds()))
}

/// How strictly the origin of a request is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OriginRule {
    /// Something must say that the request comes from our own page.
    MustBeOurs,
    /// Nothing may say that it comes from somebody else's; a program says nothing.
    MustNotBeForeign,
}

/// Refuses a state-changing request that another site's page may have made the browser send.
///
/// # Errors
/// `csrf.refused`.
pub(crate) fn check_origin(
    request: &Request,
    public_url: Option<&str>,
    rule: OriginRule,
) -> Answer<()> {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return Ok(());
    }
    let is_ours = match (
        request.header("Sec-Fetch-Site"),
        request.header(header::ORIGIN),
    ) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => is_our_origin(request, origin, public_url),
        (None, None) => rule == OriginRule::MustNotBeForeign,
    };
    if is_ours {
        return Ok(());
    }
    Err(Problem::new(
        ErrorKind::Forbidden,
        "csrf.refused",
        "the request did not come from this site's own page",
    )
    .advise("programs send an API token instead of the session cookie"))
}

fn is_our_origin(request: &Request, origin: &str, public_url: Option<&str>) -> bool {
    if let Some(url) = public_url {
        return origin == url.trim_end_matches('/');
    }
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value: &HeaderValue| value.to_str().ok());
    host.is_some_and(|host| origin.strip_prefix("http://") == Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(headers: &[(&str, &str)]) -> Request {
        let mut builder = Request::builder()
            .method(Method::POST)
            .uri_str("/api/v1/x")
            .header("Host", "127.0.0.1:8080");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.finish()
    }

    #[test]
    fn only_our_own_page_may_change_something_with_the_cookie() {
        let check = |headers: &[(&str, &str)]| {
            check_origin(&post(headers), None, OriginRule::MustBeOurs).is_ok()
        };
        assert!(check(&[("Sec-Fetch-Site", "same-origin")]));
        assert!(check(&[("Origin", "http://127.0.0.1:8080")]));
        assert!(!check(&[("Sec-Fetch-Site", "cross-site")]));
        assert!(
            !check(&[("Sec-Fetch-Site", "same-site")]),
            "a sibling subdomain is somebody else"
        );
        assert!(!check(&[
            ("Sec-Fetch-Site", "cross-site"),
            ("Origin", "http://127.0.0.1:8080")
        ]));
        assert!(!check(&[("Origin", "http://127.0.0.1:9090")]));
        assert!(!check(&[("Origin", "null")]));
        assert!(!check(&[]));
    }

    #[test]
    fn a_public_address_is_compared_with_its_scheme() {
        let request = post(&[("Origin", "http://dc.example.com")]);
        assert!(
            check_origin(
                &request,
                Some("https://dc.example.com/"),
                OriginRule::MustBeOurs
            )
            .is_err()
        );
        let request = post(&[("Origin", "https://dc.example.com")]);
        assert!(
            check_origin(
                &request,
                Some("https://dc.example.com/"),
                OriginRule::MustBeOurs
            )
            .is_ok()
        );
    }

    #[test]
    fn the_cookie_is_named_and_protected_for_where_it_is_used() {
        let https = CookiePolicy::Https.set("s", 60);
        assert_eq!(
            https,
            "__Host-dc_session=s; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
        );
        assert_eq!(
            CookiePolicy::Loopback.clear(),
            "dc_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }

    #[test]
    fn a_cookie_is_found_among_others_and_by_its_whole_name() {
        let request = post(&[("Cookie", "a=1; xdc_session=2; dc_session=3")]);
        assert_eq!(cookie(&request, "dc_session").as_deref(), Some("3"));
        assert_eq!(cookie(&request, "session"), None);
    }

    #[test]
    fn a_secret_is_never_given_twice_and_is_found_by_its_digest() {
        let (one, digest_of_one) = new_token();
        let (two, _) = new_token();
        assert_ne!(one, two);
        assert!(one.starts_with("dck_") && one.len() == 47, "{one}");
        assert_eq!(digest(&one), digest_of_one);
    }
}
