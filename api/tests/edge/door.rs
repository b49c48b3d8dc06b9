use domain::access::{Permission, Role};
use poem::http::Method;
use serde_json::{Value, json};
use storage::testkit::on_both;

use crate::house::{self, House, bearer, problem};

struct Described {
    method: Method,
    path: String,
    permission: Option<Permission>,
    is_public: bool,
}

/// Every operation of the specification, with an id put in for each parameter.
fn operations() -> Vec<Described> {
    let document: Value = serde_json::from_str(&api::spec()).expect("JSON");
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let path: Vec<&str> = path
                .split('/')
                .map(|part| {
                    if part.starts_with('{') {
                        "nothing"
                    } else {
                        part
                    }
                })
                .collect();
            found.push(Described {
                method: method.to_uppercase().parse().expect("a method"),
                path: format!("/api/v1{}", path.join("/")),
                permission: serde_json::from_value(operation["x-permission"].clone()).ok(),
                is_public: operation["security"] == json!([]),
            });
        }
    }
    assert!(found.len() > 70, "{} operations", found.len());
    found
}

on_both! {
    async fn nobody_gets_in_without_signing_in(db: TestDatabase) {
        let house = House::open(db).await;
        for operation in operations().into_iter().filter(|operation| !operation.is_public) {
            let response = house.client.request(operation.method, &operation.path).send().await;
            problem(response, 401, "session.missing").await;
        }
        let public: Vec<String> = operations().into_iter().filter(|o| o.is_public).map(|o| o.path).collect();
        assert_eq!(public, ["/api/v1/session", "/api/v1/session/link"]);
        house.close().await;
    }

    async fn each_role_gets_in_exactly_where_its_permissions_say(db: TestDatabase) {
        let house = House::open(db).await;
        let roles =
            [Role::SystemAdmin, Role::OrgAdmin, Role::PortfolioManager, Role::BrandManager, Role::Analyst, Role::Viewer];
        for role in roles {
            let token = house.token(role).await;
            for operation in operations() {
                let Some(permission) = operation.permission else { continue };
                // A body that cannot be read: whoever passes the door is stopped by it, and nothing is changed.
                let request = house.client.request(operation.method.clone(), &operation.path).content_type("application/json");
                let response = bearer(request, &token).body("{").send().await;
                let is_refused = response.0.status() == 403;
                let may = role.permissions().contains(&permission);
                assert_eq!(is_refused, !may, "{role:?} {} {} needs {permission:?}", operation.method, operation.path);
            }
        }
        house.close().await;
    }

    async fn what_cannot_be_read_is_a_problem(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::PortfolioManager).await;
        let post = |body: String| bearer(house.client.post("/api/v1/brands"), &token).content_type("application/json").body(body);
        problem(post("{\"name\":".into()).send().await, 400, "request.malformed").await;
        problem(post("{\"name\":\"A\"}".into()).send().await, 400, "request.malformed").await;
        let typo = problem(post("{\"name\":\"A\",\"role\":\"primary\",\"margn\":1}".into()).send().await, 400, "request.malformed").await;
        assert!(typo["detail"].as_str().expect("text").contains("margn"), "{typo}");
        let wrong = problem(post("{\"name\":\"A\",\"role\":\"primary\",\"margin\":7}".into()).send().await, 400, "request.malformed").await;
        assert!(wrong["detail"].as_str().expect("text").contains("margin"), "{wrong}");
        let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(70_000));
        problem(post(huge).send().await, 413, "request.too_large").await;
        let text = bearer(house.client.post("/api/v1/brands"), &token).content_type("text/plain").body("x");
        problem(text.send().await, 415, "request.media_type").await;
        let id = bearer(house.client.get("/api/v1/brands/prj_1"), &token).send().await;
        let id = problem(id, 400, "request.malformed").await;
        assert_eq!(id["errors"][0]["pointer"], "?brand_id", "{id}");
        house.close().await;
    }

    async fn what_is_not_there_is_a_problem(db: TestDatabase) {
        let house = House::open(db).await;
        problem(house.client.get("/api/v1/nothing").send().await, 404, "route.not_found").await;
        problem(house.client.get("/api/v2/brands").send().await, 404, "route.not_found").await;
        let wrong = house.client.put("/api/v1/brands").send().await;
        assert_eq!(house::header(&wrong, "Allow"), "GET, POST");
        problem(wrong, 405, "route.method_not_allowed").await;
        let token = house.token(Role::Viewer).await;
        let brand = "/api/v1/brands/brd_00000000000000000000000000000001";
        let unknown = problem(bearer(house.client.get(brand), &token).send().await, 404, "brand.unknown").await;
        assert_eq!(unknown["instance"], brand);
        let manager = house.token(Role::BrandManager).await;
        let advance = bearer(house.client.post("/api/v1/demo/advance"), &manager).body_json(&json!({ "weeks": 4 }));
        problem(advance.send().await, 404, "demo.not_a_demo").await;
        let far = bearer(house.client.post("/api/v1/demo/advance"), &manager).body_json(&json!({ "weeks": 27 }));
        problem(far.send().await, 400, "request.malformed").await;
        house.close().await;
    }

    async fn another_sites_page_cannot_use_the_cookie(db: TestDatabase) {
        let house = House::open(db).await;
        let cookie = house.cookie().await;
        let post = || house.client.post("/api/v1/channels").header("Cookie", &cookie).body_json(&json!({ "key": "tv", "name": "TV" }));
        problem(post().send().await, 403, "csrf.refused").await;
        problem(post().header("Sec-Fetch-Site", "cross-site").send().await, 403, "csrf.refused").await;
        problem(post().header("Origin", "https://evil.example").send().await, 403, "csrf.refused").await;
        assert_eq!(post().header("Sec-Fetch-Site", "same-origin").send().await.0.status(), 201);
        let login = house.client.post("/api/v1/session").header("Sec-Fetch-Site", "cross-site");
        let login = login.body_json(&json!({ "email": "a@example.com", "password": "x" })).send().await;
        problem(login, 403, "csrf.refused").await;
        house.close().await;
    }

    async fn every_answer_carries_the_security_headers(db: TestDatabase) {
        let house = House::open(db).await;
        let paths = [
            "/", "/brands/x", "/api/docs", "/api/openapi.json", "/api/v1/session", "/api/v1/nothing", "/api/x",
            "/assets/none.js", "/health/live", "/health/ready", "/problems/route.not_found", "/problems/none",
        ];
        for path in paths {
            let response = house.client.get(path).send().await;
            for (name, value) in [
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
                ("X-Frame-Options", "DENY"),
                ("Cross-Origin-Opener-Policy", "same-origin"),
                ("Cross-Origin-Resource-Policy", "same-origin"),
            ] {
                assert_eq!(house::header(&response, name), value, "{path} {name}");
            }
            let policy = house::header(&response, "Content-Security-Policy");
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        }
        house.close().await;
    }
}

#[test]
fn every_problem_code_of_the_edge_is_explained() {
    let errors = include_str!("../../../docs/errors.md");
    let sources = [
        include_str!("../../src/auth.rs"),
        include_str!("../../src/auth/password.rs"),
        include_str!("../../src/door.rs"),
        include_str!("../../src/etag.rs"),
        include_str!("../../src/events.rs"),
        include_str!("../../src/idempotency.rs"),
        include_str!("../../src/imports.rs"),
        include_str!("../../src/page.rs"),
        include_str!("../../src/problem.rs"),
        include_str!("../../src/session.rs"),
        include_str!("../../src/tokens.rs"),
    ];
    let mut codes = 0;
    for source in sources
        .iter()
        .flat_map(|source| source.split("ErrorKind::").skip(1))
    {
        // `ErrorKind::Kind, "noun.fault", …`: the code is the first text after the kind.
        let Some((_, rest)) = source.split_once(',') else {
            continue;
        };
        let Some(code) = rest
            .trim_start()
            .strip_prefix('"')
            .and_then(|rest| rest.split('"').next())
        else {
            continue;
        };
        if code.contains('.') && !code.contains(' ') {
            let internal = ["storage.broken", "idempotency.broken"];
            assert!(
                internal.contains(&code) || errors.contains(&format!("### `{code}`\n")),
                "{code} has no entry in docs/errors.md"
            );
            codes += 1;
        }
    }
    assert!(
        codes > 20,
        "only {codes} codes were found: the search no longer fits the code"
    );
}
