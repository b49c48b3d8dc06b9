//! Whether the program lives, and whether it is ready; for load balancers and for people, without signing in.

use poem::{Response, http::StatusCode};
use serde_json::json;

use crate::App;

/// It answers, so it lives.
pub(crate) fn live() -> Response {
    Response::builder()
        .content_type("application/json")
        .body(json!({ "live": true }).to_string())
}

/// `200` when everything it needs is there, `503` when not or while it stops. Says which part, never why: details are
/// in the log and for those who are signed in.
pub(crate) fn ready(app: &App) -> Response {
    let readiness = app.state.health.readiness();
    let is_ready = readiness.is_ready && !app.stopping.is_cancelled();
    let checks: Vec<_> = readiness
        .checks
        .iter()
        .map(|check| json!({ "name": check.name, "required": check.is_required, "passing": check.is_passing }))
        .collect();
    Response::builder()
        .status(if is_ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        })
        .content_type("application/json")
        .header("Cache-Control", "no-store")
        .body(
            json!({ "ready": is_ready, "degraded": readiness.is_degraded, "checks": checks })
                .to_string(),
        )
}
