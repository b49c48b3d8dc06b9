use domain::access::Role;
use serde_json::{Value, json};
use storage::testkit::on_both;

use crate::house::{self, EMAIL, House, PASSWORD, bearer, cookie_of, problem, signed};

async fn try_password(house: &House, email: &str, password: &str) -> poem::test::TestResponse {
    house
        .client
        .post("/api/v1/session")
        .body_json(&json!({ "email": email, "password": password }))
        .send()
        .await
}

on_both! {
    async fn a_person_signs_in_reads_who_they_are_and_signs_out(db: TestDatabase) {
        let house = House::open(db).await;
        let signed_in = try_password(&house, EMAIL, PASSWORD).await;
        signed_in.assert_status_is_ok();
        let set = house::header(&signed_in, "Set-Cookie");
        assert!(set.starts_with("dc_session=") && set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
        let cookie = cookie_of(&signed_in);
        let me = house::json(signed_in).await;
        assert_eq!(me["user"]["email"], EMAIL);
        assert_eq!(me["organisation"]["currency"], "EUR");
        let permissions = me["permissions"].as_array().expect("permissions");
        assert!(permissions.contains(&json!("recommendation_decide")) && !permissions.contains(&json!("user_write")));

        let again = house.client.get("/api/v1/session").header("Cookie", &cookie).send().await;
        assert_eq!(house::json(again).await["user"], me["user"]);
        let out = house.client.delete("/api/v1/session").header("Cookie", &cookie).header("Sec-Fetch-Site", "same-origin");
        let out = out.send().await;
        assert_eq!(out.0.status(), 204);
        assert!(house::header(&out, "Set-Cookie").contains("Max-Age=0"));
        let after = house.client.get("/api/v1/session").header("Cookie", &cookie).send().await;
        problem(after, 401, "session.ended").await;
        house.close().await;
    }

    async fn beyond_the_loopback_address_the_session_demands_https(db: TestDatabase) {
        let house = House::bound(db, false).await;
        let signed_in = try_password(&house, EMAIL, PASSWORD).await;
        let set = house::header(&signed_in, "Set-Cookie");
        assert!(set.starts_with("__Host-dc_session=") && set.contains("; Secure"), "{set}");
        let plain = house::cookie_of(&signed_in).replace("__Host-", "");
        problem(house.client.get("/api/v1/session").header("Cookie", plain).send().await, 401, "session.missing").await;
        house.close().await;
    }

    async fn a_wrong_password_and_an_unknown_address_get_the_same_answer(db: TestDatabase) {
        let house = House::open(db).await;
        let wrong = problem(try_password(&house, EMAIL, "correct horse battery stapler").await, 401, "sign_in.wrong").await;
        let unknown = problem(try_password(&house, "nobody@example.com", PASSWORD).await, 401, "sign_in.wrong").await;
        let without_trace = |mut problem: Value| {
            problem["trace_id"].take();
            problem
        };
        assert_eq!(without_trace(wrong), without_trace(unknown));
        house.close().await;
    }

    async fn guessing_is_slowed_down_even_with_the_right_password_at_last(db: TestDatabase) {
        let house = House::open(db).await;
        let mut throttled = false;
        for _ in 0..20 {
            throttled = try_password(&house, EMAIL, "a guess that is not right").await.0.status() == 429;
            if throttled {
                break;
            }
        }
        assert!(throttled, "twenty guesses in a row must not all be tried");
        problem(try_password(&house, EMAIL, PASSWORD).await, 429, "sign_in.throttled").await;
        house.close().await;
    }

    async fn a_one_time_link_signs_in_once(db: TestDatabase) {
        let house = House::open(db).await;
        let user = house.person("link@example.com", Role::Viewer).await;
        let body = json!({ "token": house.link(user).await });
        let first = house.client.post("/api/v1/session/link").body_json(&body).send().await;
        assert_eq!(house::json(first).await["user"]["email"], "link@example.com");
        let second = house.client.post("/api/v1/session/link").body_json(&body).send().await;
        problem(second, 401, "link.used_up").await;
        house.close().await;
    }

    async fn a_token_is_shown_once_and_works_until_it_is_deleted(db: TestDatabase) {
        let house = House::open(db).await;
        let cookie = house.cookie().await;
        let body = json!({ "label": "nightly export", "expires_on": "2099-12-31" });
        let made = house::json(signed(house.client.post("/api/v1/tokens"), &cookie).body_json(&body).send().await).await;
        let (id, token) = (made["id"].as_str().expect("an id"), made["token"].as_str().expect("a token"));
        assert_eq!(house::json(bearer(house.client.get("/api/v1/session"), token).send().await).await["user"]["email"], EMAIL);
        let listed = house::json(signed(house.client.get("/api/v1/tokens"), &cookie).send().await).await;
        assert_eq!((&listed[0]["id"], &listed[0]["expires_on"]), (&json!(id), &json!("2099-12-31")));
        assert_eq!(listed[0].get("token"), None, "the secret is never shown again");

        let strangers = house.token(Role::OrgAdmin).await;
        let path = format!("/api/v1/tokens/{id}");
        problem(bearer(house.client.delete(&path), &strangers).send().await, 404, "token.not_found").await;
        assert_eq!(signed(house.client.delete(&path), &cookie).send().await.0.status(), 204);
        problem(bearer(house.client.get("/api/v1/session"), token).send().await, 401, "token.unknown").await;
        house.close().await;
    }
}
