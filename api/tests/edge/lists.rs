use domain::access::Role;
use serde_json::json;
use storage::testkit::on_both;

use crate::house::{self, House, bearer, problem};

on_both! {
    async fn a_repeated_request_gets_the_first_answer_and_has_one_effect(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::PortfolioManager).await;
        let post = |name: &str, key: &'static str| {
            bearer(house.client.post("/api/v1/brands"), &token)
                .header("Idempotency-Key", key)
                .body_json(&json!({ "name": name, "role": "primary" }))
        };
        let first = post("Aurora", "k1").send().await;
        assert_eq!(first.0.status(), 201);
        assert_eq!(house::header(&first, "Idempotent-Replay"), "");
        let location = house::header(&first, "Location");
        let first = house::json(first).await;
        let second = post("Aurora", "k1").send().await;
        assert_eq!(second.0.status(), 201);
        assert_eq!((house::header(&second, "Idempotent-Replay"), house::header(&second, "Location")), ("true".into(), location));
        assert_eq!(house::json(second).await, first);
        problem(post("Borealis", "k1").send().await, 422, "idempotency.mismatch").await;
        problem(post("Aurora", "").send().await, 422, "idempotency.key_invalid").await;
        // What failed had no effect, so its key is free again.
        problem(post("Aurora", "k2").send().await, 409, "brand.name_taken").await;
        assert_eq!(post("Borealis", "k2").send().await.0.status(), 201);
        let other = house.token(Role::PortfolioManager).await;
        let theirs = bearer(house.client.post("/api/v1/brands"), &other).header("Idempotency-Key", "k1");
        let theirs = theirs.body_json(&json!({ "name": "Cirrus", "role": "primary" })).send().await;
        assert_eq!(theirs.0.status(), 201, "a key is one person's");
        let brands = house::json(bearer(house.client.get("/api/v1/brands"), &token).send().await).await;
        assert_eq!(brands.as_array().map(Vec::len), Some(3), "{brands}");
        house.close().await;
    }

    async fn a_change_names_the_version_that_was_looked_at(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::PortfolioManager).await;
        let made = bearer(house.client.post("/api/v1/brands"), &token).body_json(&json!({ "name": "Aurora", "role": "primary" }));
        let made = house::json(made.send().await).await;
        let path = format!("/api/v1/brands/{}", made["id"].as_str().expect("an id"));
        let read = bearer(house.client.get(&path), &token).send().await;
        let tag = house::header(&read, "ETag");
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        let patch = || bearer(house.client.patch(&path), &token).body_json(&json!({ "margin": 0.4 }));
        problem(patch().send().await, 428, "precondition.required").await;
        problem(patch().header("If-Match", "\"something else\"").send().await, 412, "precondition.stale").await;
        problem(patch().header("If-Match", "*").send().await, 412, "precondition.stale").await;
        let changed = patch().header("If-Match", &tag).send().await;
        let next = house::header(&changed, "ETag");
        assert_ne!(next, tag);
        assert_eq!(house::json(changed).await["margin"], 0.4);
        problem(patch().header("If-Match", &tag).send().await, 412, "precondition.stale").await;
        house.close().await;
    }

    async fn a_metric_takes_rules_and_limits_and_says_what_is_wrong_with_them(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::Analyst).await;
        let define = |role: &str, extra: serde_json::Value| {
            let mut body = json!({
                "key": "rating", "name": "Rating", "section": "marketplace", "role": role, "unit": "index",
                "direction": "direct", "weight": 1.0, "granularity": "week"
            });
            body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
            bearer(house.client.post("/api/v1/metrics"), &token).body_json(&body)
        };
        let plain = house::json(define("health", json!({})).send().await).await;
        assert_eq!((&plain["version"], &plain["cleaning"]["gaps"], &plain["quality"]), (&json!(1), &json!("none"), &json!({})));
        let rules = json!({ "cleaning": { "gaps": "linear", "outliers": "cap" }, "quality": { "max_age": 8 } });
        let ruled = house::json(define("health", rules).send().await).await;
        assert_eq!(
            (&ruled["version"], &ruled["cleaning"], &ruled["quality"]),
            (
                &json!(2),
                &json!({ "stuck_tail": 0, "outliers": "cap", "outlier_limit": 6.0, "gaps": "linear", "longest_gap": 4 }),
                &json!({ "max_age": 8 })
            )
        );
        let refused = define("health", json!({ "quality": { "max_absent": 20 } }));
        let told = problem(refused.send().await, 422, "metric.rules").await;
        assert!(told["detail"].as_str().is_some_and(|text| text.contains("quality.max_absent is not a share")), "{told}");
        let refused = define("spend", json!({ "cleaning": { "gaps": "zero" } }));
        problem(refused.send().await, 422, "metric.rules").await;
        house.close().await;
    }

    async fn the_inbox_is_read_page_by_page_with_the_largest_effect_first(db: TestDatabase) {
        let house = House::open(db).await;
        for (name, effect) in [("a", 10.0), ("b", -50.0), ("c", 30.0), ("d", 20.0), ("e", 40.0)] {
            house.proposed(name, effect).await;
        }
        let token = house.token(Role::Viewer).await;
        let mut path = "/api/v1/recommendations?state=open&limit=2".to_owned();
        let mut sizes = Vec::new();
        let mut pages = 0;
        loop {
            let response = bearer(house.client.get(&path), &token).send().await;
            let link = house::header(&response, "Link");
            let page = house::json(response).await;
            sizes.extend(page["data"].as_array().expect("rows").iter().map(|row| row["effect"]["value"].as_f64().expect("a number")));
            pages += 1;
            assert_eq!(page["has_more"], json!(!link.is_empty()));
            let Some((next, _)) = link.strip_prefix('<').and_then(|rest| rest.split_once('>')) else { break };
            assert!(next.contains(page["next_cursor"].as_str().expect("a cursor")), "{link}");
            path = next.to_owned();
        }
        assert_eq!((pages, sizes), (3, vec![-50.0, 40.0, 30.0, 20.0, 10.0]));
        let page = "/api/v1/recommendations?limit=201";
        problem(bearer(house.client.get(page), &token).send().await, 422, "page.limit").await;
        let page = "/api/v1/recommendations?cursor=nowhere";
        problem(bearer(house.client.get(page), &token).send().await, 422, "page.cursor").await;
        house.close().await;
    }

    async fn a_chunk_that_was_answered_is_kept_and_may_be_sent_again(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::Analyst).await;
        let text = include_str!("../../../examples/data/robyn_weekly.mapping.toml");
        let saved = bearer(house.client.post("/api/v1/mappings"), &token).body_json(&json!({ "text": text })).send().await;
        let mapping = house::json(saved).await["id"].clone();
        let open = bearer(house.client.post("/api/v1/imports/open"), &token);
        let open = open.body_json(&json!({ "mapping_id": mapping, "source": "weekly.csv" })).send().await;
        assert_eq!(open.0.status(), 201);
        let batch = house::json(open).await["id"].as_str().expect("an id").to_owned();
        let put = |number: u32, bytes: &'static str| {
            bearer(house.client.put(format!("/api/v1/imports/{batch}/chunks/{number}")), &token)
                .content_type("application/octet-stream")
                .body(bytes)
        };
        put(0, "week,brand\n").send().await.assert_status_is_ok();
        put(0, "week,brand\n").send().await.assert_status_is_ok();
        problem(put(0, "other bytes").send().await, 409, "ingest.chunk_differs").await;
        put(2, "2024-01-08,B\n").send().await.assert_status_is_ok();
        let finish = || bearer(house.client.post(format!("/api/v1/imports/{batch}/finish")), &token).send();
        problem(finish().await, 409, "ingest.chunk_missing").await;
        put(1, "2024-01-01,A\n").send().await.assert_status_is_ok();
        assert_eq!(finish().await.0.status(), 202);
        assert_eq!(finish().await.0.status(), 202, "finishing again changes nothing");
        house.close().await;
    }

    async fn a_file_in_one_request_is_kept_and_queued(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::Analyst).await;
        let text = include_str!("../../../examples/data/robyn_weekly.mapping.toml");
        let saved = bearer(house.client.post("/api/v1/mappings"), &token).body_json(&json!({ "text": text })).send().await;
        let mapping = house::json(saved).await["id"].as_str().expect("an id").to_owned();
        // More than one piece, so that the body is kept as it comes in.
        let body = "DATE,revenue\n".repeat(150_000);
        let path = format!("/api/v1/imports?mapping_id={mapping}&source=weekly.csv");
        let sent = bearer(house.client.post(&path), &token).content_type("text/csv").body(body.clone()).send().await;
        assert_eq!(sent.0.status(), 202);
        let location = house::header(&sent, "Location");
        let batch = house::json(sent).await;
        assert_eq!(location, format!("/api/v1/imports/{}", batch["id"].as_str().expect("an id")));
        let id = batch["id"].as_str().expect("an id").parse().expect("a batch's id");
        let grant = house.db.grant(house.org, domain::access::Permission::IngestWrite);
        let stored = house.db.scope(&grant).uploads().stored(id).await.expect("the database answers");
        assert_eq!((stored.bytes, stored.has_no_gap()), (body.len() as u64, true));
        let seen = bearer(house.client.get(&location), &token).send().await;
        assert_eq!(house::json(seen).await["source"], "weekly.csv");
        house.close().await;
    }
}
