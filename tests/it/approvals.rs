//! Thirty-two people approve the same recommendation in the same moment.

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::Demo;

/// How many approve at once.
const AT_ONCE: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_approvals_at_once_one_counts_and_a_changed_plan_is_refused() {
    let demo = Demo::start(&[]).await;
    let (status, list, _) = demo
        .call(
            Method::GET,
            "/recommendations?state=open&limit=50",
            None,
            None,
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{list}");
    let rows = list["data"].as_array().expect("rows");
    let of = |kinds: &[&str]| {
        rows.iter()
            .find(|row| kinds.iter().any(|kind| row["kind"] == *kind))
            .unwrap_or_else(|| panic!("none of {kinds:?}: {list}"))
    };
    let subject = of(&["metric_target", "guard", "synergy"]);
    let id = subject["id"].as_str().expect("an id").to_owned();
    let (status, opened, tag) = demo
        .call(
            Method::POST,
            &format!("/recommendations/{id}/open"),
            None,
            Some(json!({})),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{opened}");
    let hash = opened["recommendation"]["action_hash"].clone();
    let tag = tag.expect("a version");

    // Somebody who looked at another plan is refused, and nothing is decided by it.
    let other = json!({ "action_hash": "0".repeat(64) });
    let (status, problem, _) = demo
        .call(
            Method::POST,
            &format!("/recommendations/{id}/approve"),
            Some(&tag),
            Some(other),
        )
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("recommendation.plan_changed")),
        "{problem}"
    );

    let path = format!("/recommendations/{id}/approve");
    let body = json!({ "action_hash": hash });
    let answers = join_all(
        (0..AT_ONCE).map(|_| demo.call(Method::POST, &path, Some(&tag), Some(body.clone()))),
    )
    .await;
    let won = answers
        .iter()
        .filter(|(status, ..)| status.is_success())
        .count();
    let lost = answers
        .iter()
        .filter(|(status, problem, _)| {
            *status == StatusCode::CONFLICT && problem["code"] == "recommendation.already_decided"
        })
        .count();
    assert_eq!((won, lost), (1, AT_ONCE - 1), "{answers:?}");

    // After the undo window it is applied, once.
    let began = std::time::Instant::now();
    let detail = loop {
        let (_, detail, _) = demo
            .call(Method::GET, &format!("/recommendations/{id}"), None, None)
            .await;
        let state = detail["recommendation"]["state"]
            .as_str()
            .unwrap_or_default();
        if !matches!(state, "approved" | "applying") {
            break detail;
        }
        assert!(began.elapsed().as_secs() < 60, "{detail}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    let steps: Vec<&str> = detail["history"]
        .as_array()
        .expect("history")
        .iter()
        .filter_map(|h| h["step"].as_str())
        .collect();
    assert_eq!(
        steps.iter().filter(|s| **s == "approve").count(),
        1,
        "{steps:?}"
    );
    assert_eq!(
        steps.iter().filter(|s| **s == "finish").count(),
        1,
        "{steps:?}"
    );
}
