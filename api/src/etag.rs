//! Strong ETags made of a row's version, and the `If-Match` that names the version a person looked at.

use domain::{Error, ErrorKind};
use poem_openapi::{ApiResponse, payload::Json, types::ToJSON};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::problem::{Answer, Problem};

/// `200` with the version in `ETag`.
#[derive(ApiResponse)]
pub(crate) enum Tagged<T: ToJSON + Send + Sync + 'static> {
    /// What was asked for.
    #[oai(status = 200)]
    Tagged(
        Json<T>,
        /// Its version; send it back as `If-Match` when you change it.
        #[oai(header = "ETag")]
        String,
    ),
}

impl<T: ToJSON + Send + Sync + 'static> Tagged<T> {
    /// `value`, which is at `version`.
    pub(crate) fn new(value: T, version: u32) -> Self {
        Self::Tagged(Json(value), format!("\"{version}\""))
    }

    /// `value`, whose [`digest`] is `version`: for what has no row version of its own.
    pub(crate) fn of_content(value: T, version: &str) -> Self {
        Self::Tagged(Json(value), format!("\"{version}\""))
    }
}

/// The digest of a thing's content, as its strong tag.
pub(crate) fn digest(content: &impl Serialize) -> String {
    let json = serde_json::to_vec(content).expect("domain types are plain data");
    hex::encode(&Sha256::digest(json)[..16])
}

/// What `If-Match` names.
fn named(if_match: Option<&str>) -> Answer<&str> {
    let Some(tag) = if_match else {
        return Err(Problem::new(
            ErrorKind::PreconditionRequired,
            "precondition.required",
            "this needs the header If-Match with the version you looked at",
        )
        .advise("read it first and send its ETag back as If-Match")
        .field("?If-Match", "missing"));
    };
    let inner = tag
        .trim()
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner
        .ok_or_else(|| Problem::from(stale()).field("?If-Match", "not a strong tag, such as \"3\""))
}

/// The row version that `If-Match` names.
///
/// # Errors
/// `precondition.required` without the header, `precondition.stale` when it is not a version of ours: something else
/// than a strong tag with a number can match nothing.
pub(crate) fn version(if_match: Option<&str>) -> Answer<u32> {
    named(if_match)?
        .parse()
        .map_err(|_| Problem::from(stale()).field("?If-Match", "not a version of this"))
}

/// The content digest that `If-Match` names.
///
/// # Errors
/// As [`version`].
pub(crate) fn content(if_match: Option<&str>) -> Answer<String> {
    named(if_match).map(str::to_owned)
}

/// Refuses when `seen` is not `current`.
///
/// # Errors
/// `precondition.stale`.
pub(crate) fn must_be_seen(seen: &str, current: &str) -> Result<(), Error> {
    if seen == current {
        Ok(())
    } else {
        Err(stale())
    }
}

fn stale() -> Error {
    Error::new(
        ErrorKind::Stale,
        "precondition.stale",
        "it has changed since the version that If-Match names",
    )
    .advise("reload it, look at what changed, and decide again")
}

#[cfg(test)]
mod tests {
    use poem::http::StatusCode;

    use super::*;

    #[test]
    fn only_a_strong_tag_with_a_number_names_a_version() {
        assert_eq!(version(Some("\"7\"")).ok(), Some(7));
        for wrong in ["7", "W/\"7\"", "*", "\"x\"", "\"\""] {
            assert_eq!(
                version(Some(wrong)).expect_err(wrong).status(),
                StatusCode::PRECONDITION_FAILED
            );
        }
        assert_eq!(
            version(None).expect_err("none").status(),
            StatusCode::PRECONDITION_REQUIRED
        );
    }
}
