//! Security headers on every response, errors included.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::{
    Response,
    http::{HeaderName, HeaderValue, header},
};

/// What a page of ours may do; `{nonce}` is fresh for every response.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; \
    img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self' blob:; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// Swagger UI sets style attributes and so needs inline styles; it has a page of its own with nothing else on it.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// Data is never a page.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// A fresh nonce.
pub(crate) fn nonce() -> String {
    let mut bytes = [0_u8; 18];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The policy of the web app's pages.
pub(crate) fn page_policy(nonce: &str) -> String {
    PAGE_POLICY.replace("{nonce}", nonce)
}

/// The policy of the page that shows the API.
pub(crate) fn docs_policy(nonce: &str) -> String {
    DOCS_POLICY.replace("{nonce}", nonce)
}

/// Adds what every response carries. A policy that the handler set stays.
pub(crate) fn secure(response: &mut Response, is_https: bool) {
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 7] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("x-permitted-cross-domain-policies"),
            "none",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_https {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(DATA_POLICY));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_policy_allows_a_script_without_the_nonce() {
        for policy in [page_policy("N"), docs_policy("N")] {
            let scripts = policy
                .split(';')
                .find(|part| part.trim().starts_with("script-src"))
                .expect("scripts");
            assert!(
                scripts.contains("'nonce-N'") && !scripts.contains("unsafe"),
                "{scripts}"
            );
            assert!(!policy.contains("{nonce}"));
        }
    }

    #[test]
    fn a_nonce_is_fresh_and_long_enough() {
        assert_ne!(nonce(), nonce());
        assert!(nonce().len() >= 22);
    }
}
