//! The embedded web app: hashed files for ever, every other address is the app's one page.

use std::{collections::HashMap, sync::LazyLock};

use poem::{
    Body, Endpoint, Request, Response,
    http::{HeaderMap, Method, StatusCode, header},
};
use sha2::{Digest, Sha256};

use crate::{
    headers,
    problem::{Answer, Problem},
};

/// A file of the built web app, and packed forms of it.
struct Asset {
    path: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// What `web/dist` held when this was built; empty when it was not there.
const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Where the page wants its nonce.
const NONCE_PLACE: &str = "__CSP_NONCE__";

const STUB: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Digi-Cadence</title></head>\n\
    <body><main><h1>Digi-Cadence is running</h1>\n<p>This binary was built without its web app. To build it:</p>\n\
    <pre>cd web &amp;&amp; npm ci &amp;&amp; npm run build\ncargo build</pre>\n\
    <p>The API works without it: <a href=\"/api/docs\">read about it</a>.</p></main></body></html>\n";

/// Strong ETags of the files, by path.
static TAGS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    ASSETS
        .iter()
        .map(|asset| (asset.path, hex::encode(&Sha256::digest(asset.plain)[..16])))
        .collect()
});

/// The web app.
pub(crate) struct WebApp;

impl Endpoint for WebApp {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        Ok(answer(
            ASSETS,
            request.method(),
            request.uri().path(),
            request.headers(),
        )?)
    }
}

fn answer(assets: &[Asset], method: &Method, path: &str, asked: &HeaderMap) -> Answer<Response> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(if path.starts_with("/api/") {
            Problem::no_route()
        } else {
            Problem::no_method("GET, HEAD")
        });
    }
    let path = path.trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Err(Problem::no_route());
    }
    let found = assets
        .iter()
        .find(|asset| asset.path == path && path != "index.html");
    let mut response = match found {
        Some(asset) => file(asset, asked),
        // A file that an older page asks for is gone; the page would not be what it expects.
        None if path.starts_with("assets/") => return Err(Problem::no_route()),
        None => page(assets.iter().find(|asset| asset.path == "index.html")),
    };
    if *method == Method::HEAD {
        response.set_body(Body::empty());
    }
    Ok(response)
}

fn file(asset: &Asset, asked: &HeaderMap) -> Response {
    let accepts = |encoding: &str| {
        asked
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| {
                value.split(',').any(|item| {
                    let mut parts = item.split(';').map(str::trim);
                    parts.next() == Some(encoding)
                        && parts.all(|weight| !matches!(weight, "q=0" | "q=0.0" | "q=0.00"))
                })
            })
    };
    let (bytes, encoding) = match (asset.brotli, asset.gzip) {
        (Some(packed), _) if accepts("br") => (packed, Some("br")),
        (_, Some(packed)) if accepts("gzip") => (packed, Some("gzip")),
        _ => (asset.plain, None),
    };
    // Each form is another sequence of bytes and so has another strong tag.
    let digest = TAGS
        .get(asset.path)
        .cloned()
        .unwrap_or_else(|| hex::encode(&Sha256::digest(asset.plain)[..16]));
    let tag = format!("\"{digest}-{}\"", encoding.unwrap_or("plain"));
    let cache = if asset.path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "public, max-age=0, must-revalidate"
    };
    let known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|tags| {
        tags.split(',')
            .any(|known| known.trim() == tag || known.trim() == "*")
    });
    let mut builder = Response::builder()
        .header(header::ETAG, tag)
        .header(header::CACHE_CONTROL, cache)
        .header(header::VARY, "Accept-Encoding");
    if is_known {
        return builder.status(StatusCode::NOT_MODIFIED).finish();
    }
    if let Some(encoding) = encoding {
        builder = builder.header(header::CONTENT_ENCODING, encoding);
    }
    builder
        .content_type(content_type(asset.path))
        .body(Body::from_bytes(bytes.into()))
}

/// The app's one page, with a nonce of its own for this response.
fn page(index: Option<&Asset>) -> Response {
    let nonce = headers::nonce();
    let html = match index {
        Some(asset) => String::from_utf8_lossy(asset.plain).replace(NONCE_PLACE, &nonce),
        None => STUB.to_owned(),
    };
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header(
            header::CONTENT_SECURITY_POLICY,
            headers::page_policy(&nonce),
        )
        .body(html)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT: &[Asset] = &[
        Asset {
            path: "assets/app-1a2b.js",
            plain: b"plain",
            brotli: Some(b"brotli"),
            gzip: Some(b"gzip"),
        },
        Asset {
            path: "index.html",
            plain: b"<script nonce=\"__CSP_NONCE__\"></script>",
            brotli: None,
            gzip: None,
        },
        Asset {
            path: "robots.txt",
            plain: b"none",
            brotli: None,
            gzip: None,
        },
    ];

    fn get(path: &str, headers: &[(header::HeaderName, &str)]) -> Response {
        let asked = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().expect("a header")))
            .collect();
        answer(BUILT, &Method::GET, path, &asked).expect("an answer")
    }

    fn sent<'a>(response: &'a Response, name: &header::HeaderName) -> &'a str {
        response
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    #[tokio::test]
    async fn a_hashed_file_is_kept_for_ever_in_the_form_the_browser_takes() {
        for (accepts, encoding, body) in [
            ("gzip, br", "br", "brotli"),
            ("gzip", "gzip", "gzip"),
            ("br;q=0, identity", "", "plain"),
            ("", "", "plain"),
        ] {
            let response = get("/assets/app-1a2b.js", &[(header::ACCEPT_ENCODING, accepts)]);
            assert_eq!(
                sent(&response, &header::CONTENT_ENCODING),
                encoding,
                "{accepts}"
            );
            assert!(sent(&response, &header::CACHE_CONTROL).contains("immutable"));
            assert_eq!(
                response.into_body().into_string().await.expect("text"),
                body
            );
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let first = get("/robots.txt", &[]);
        let tag = sent(&first, &header::ETAG).to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        assert_eq!(
            get("/robots.txt", &[(header::IF_NONE_MATCH, &tag)]).status(),
            StatusCode::NOT_MODIFIED
        );
        assert_eq!(
            get("/robots.txt", &[(header::IF_NONE_MATCH, "\"else\"")]).status(),
            StatusCode::OK
        );
    }

    #[tokio::test]
    async fn any_other_address_is_the_page_with_a_nonce_that_its_policy_names() {
        for path in ["/", "/index.html", "/brands/brd_1?tab=x"] {
            let response = get(path, &[]);
            let policy = sent(&response, &header::CONTENT_SECURITY_POLICY).to_owned();
            let html = response.into_body().into_string().await.expect("text");
            let nonce = html.split('"').nth(1).expect("a nonce").to_owned();
            assert!(
                nonce.len() >= 22 && policy.contains(&format!("'nonce-{nonce}'")),
                "{path} {html} {policy}"
            );
        }
    }

    #[test]
    fn what_is_not_there_is_not_answered_with_the_page() {
        for path in ["/assets/old-0000.js", "/api/v2/x", "/api"] {
            let refused = answer(BUILT, &Method::GET, path, &HeaderMap::new()).expect_err(path);
            assert_eq!(refused.status(), StatusCode::NOT_FOUND);
        }
        let refused = answer(BUILT, &Method::POST, "/x", &HeaderMap::new()).expect_err("post");
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn without_a_built_app_the_page_says_how_to_build_it() {
        let response = answer(&[], &Method::GET, "/", &HeaderMap::new()).expect("the stub");
        assert!(
            response
                .into_body()
                .into_string()
                .await
                .expect("text")
                .contains("npm run build")
        );
        let head = answer(BUILT, &Method::HEAD, "/", &HeaderMap::new()).expect("the page");
        assert!(
            head.into_body()
                .into_bytes()
                .await
                .expect("bytes")
                .is_empty()
        );
    }
}
