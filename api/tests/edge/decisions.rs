use domain::access::Role;
use serde_json::{Value, json};
use storage::testkit::on_both;

use crate::house::{self, House, bearer, problem};

on_both! {
    async fn an_approval_names_version_and_hash(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::BrandManager).await;
        let made = house.proposed("Aurora", 100.0).await;
        let path = format!("/api/v1/recommendations/{}", made.id);
        let read = bearer(house.client.get(&path), &token).send().await;
        let tag = house::header(&read, "ETag");
        let detail = house::json(read).await;
        assert_eq!(tag, format!("\"{}\"", detail["recommendation"]["version"]));
        assert!(detail["allowed"].as_array().expect("a list").contains(&json!("approve")), "{detail}");
        assert_eq!(detail["recommendation"]["action"]["kind"], "guard");
        assert_eq!(detail["recommendation"]["action"]["rule"]["rule"], "cap");
        assert_eq!(detail["recommendation"]["action"]["rule"]["weekly"], "1000");

        let hash = detail["recommendation"]["action_hash"].clone();
        let approve = |hash: &Value| {
            bearer(house.client.post(format!("{path}/approve")), &token).body_json(&json!({ "action_hash": hash, "note": "ok" }))
        };
        problem(approve(&hash).send().await, 428, "precondition.required").await;
        problem(approve(&hash).header("If-Match", "\"999\"").send().await, 412, "precondition.stale").await;
        let other = json!("0".repeat(64));
        problem(approve(&other).header("If-Match", &tag).send().await, 409, "recommendation.plan_changed").await;
        let viewer = house.token(Role::Viewer).await;
        let refused = bearer(house.client.post(format!("{path}/approve")), &viewer).body_json(&json!({ "action_hash": hash }));
        problem(refused.header("If-Match", &tag).send().await, 403, "access.forbidden").await;

        let approved = approve(&hash).header("If-Match", &tag).send().await;
        let next = house::header(&approved, "ETag");
        let approved = house::json(approved).await;
        assert_eq!(approved["recommendation"]["state"], "approved", "{approved}");
        assert_ne!(next, tag);
        assert!(approved["undo_until"].is_string(), "{approved}");
        let step = approved["history"].as_array().expect("a history").iter().find(|entry| entry["step"] == "approve");
        assert_eq!(step.expect("the approval")["actor"]["kind"], "user");
        problem(approve(&hash).header("If-Match", &next).send().await, 409, "recommendation.already_decided").await;

        let undone = bearer(house.client.post(format!("{path}/undo")), &token).send().await;
        assert_eq!(house::json(undone).await["recommendation"]["state"], "in_review");
        house.close().await;
    }

    async fn of_many_approvals_at_once_one_wins(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::BrandManager).await;
        let made = house.proposed("Aurora", 100.0).await;
        let path = format!("/api/v1/recommendations/{}/approve", made.id);
        let tag = format!("\"{}\"", made.version);
        let approvals = (0..8).map(|_| {
            bearer(house.client.post(&path), &token)
                .header("If-Match", &tag)
                .body_json(&json!({ "action_hash": made.action_hash }))
                .send()
        });
        let mut won = 0;
        for response in futures::future::join_all(approvals).await {
            if response.0.status() == 200 {
                won += 1;
            } else {
                problem(response, 409, "recommendation.already_decided").await;
            }
        }
        assert_eq!(won, 1);
        house.close().await;
    }

    async fn a_rejection_gives_its_reason(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::BrandManager).await;
        let made = house.proposed("Aurora", 100.0).await;
        let path = format!("/api/v1/recommendations/{}/reject", made.id);
        let reject = |body: Value| {
            bearer(house.client.post(&path), &token).header("If-Match", format!("\"{}\"", made.version)).body_json(&body)
        };
        problem(reject(json!({})).send().await, 400, "request.malformed").await;
        problem(reject(json!({ "reason": "no" })).send().await, 400, "request.malformed").await;
        let rejected = house::json(reject(json!({ "reason": "wrong_data", "comment": "week 7 is an error" })).send().await).await;
        assert_eq!(rejected["recommendation"]["state"], "rejected");
        let last = rejected["history"].as_array().and_then(|history| history.last()).expect("an entry");
        assert!(last["note"].as_str().expect("a note").contains("wrong_data"), "{last}");
        house.close().await;
    }
}
