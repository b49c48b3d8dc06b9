//! A running edge for one test: database, actors, agents and an endpoint without a socket.

use std::{sync::Arc, time::Duration};

use agents::{
    Agents, Config, Deps,
    ingest::{Importer, Limits, Program, Settings},
};
use api::{AppState, HttpConfig, auth};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{
    access::{AgentKind, Permission as P, Principal, Role},
    budget::Rule,
    id::{BrandId, OrgId, RecommendationId, UserId},
    recommendation::{Action, Kind, Move, Recommendation, State},
    unit::{Effect, Interval},
};
use poem::{
    Response,
    endpoint::{BoxEndpoint, EndpointExt},
    test::{TestClient, TestRequestBuilder, TestResponse},
};
use runtime::{
    compute::{Compute, PoolSpec},
    doorbell::Doorbell,
    health::{Monitor, MonitorConfig},
    shutdown::Root,
    signals::Signals,
    supervisor::{ChildSpec, Strategy, SupervisorSpec},
};
use serde_json::Value;
use storage::{NewLink, NewToken, NewUser, Transition, testkit::TestDatabase};
use tokio_util::sync::CancellationToken;

pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const EMAIL: &str = "ada@example.com";

pub(crate) struct House {
    pub(crate) db: TestDatabase,
    pub(crate) org: OrgId,
    pub(crate) client: TestClient<BoxEndpoint<'static, Response>>,
    pub(crate) bell: Doorbell,
    root: Root,
}

impl House {
    /// An edge over `db` with one organisation and one portfolio manager, who signs in with [`EMAIL`] and [`PASSWORD`].
    pub(crate) async fn open(db: TestDatabase) -> Self {
        Self::bound(db, true).await
    }

    /// The same, bound to the loopback address only or beyond it.
    pub(crate) async fn bound(db: TestDatabase, is_loopback: bool) -> Self {
        let org = db.org("acme").await;
        let signals = Signals::new(64);
        let (compute, pools) = Compute::new(&[
            PoolSpec::new("analysis", 1, 4),
            PoolSpec::new("optimisation", 1, 4),
        ]);
        let mut computing = SupervisorSpec::new(Strategy::OneForOne);
        for pool in pools {
            computing = computing.child(pool);
        }
        let (computing, _) = ChildSpec::supervisor("compute", computing);
        let (monitor, health) = Monitor::child("monitor", MonitorConfig::default(), Vec::new());
        let host = runtime::testkit::host("edge-test");
        let clock = Arc::clone(&host.clock);
        let spec = SupervisorSpec::new(Strategy::OneForOne)
            .child(computing)
            .child(monitor);
        let root = Root::start(host, spec).await.expect("the actors start");
        let deps = Deps::new(
            db.clone(),
            &root,
            compute,
            signals.clone(),
            Config::default(),
        );
        let agents = Agents::start(deps).await.expect("the agents start");
        let program = Program {
            path: "/nonexistent".into(),
            arguments: Vec::new(),
        };
        let settings = Settings {
            program,
            limits: Limits::default(),
            unit_values: 1000,
        };
        let bell = Doorbell::local();
        let state = AppState {
            storage: db.clone(),
            system: db.system_door(),
            agents,
            importer: Importer::new(db.clone(), settings),
            tree: root.tree().clone(),
            signals,
            bell: bell.clone(),
            health,
            clock,
            demo: None,
            http: HttpConfig {
                body_limit: 64 * 1024,
                timeout: Duration::from_secs(20),
                ..HttpConfig::default()
            },
            version: "test".into(),
        };
        let client =
            TestClient::new(api::endpoint(state, is_loopback, CancellationToken::new()).boxed());
        let house = Self {
            db,
            org,
            client,
            bell,
            root,
        };
        house.person(EMAIL, Role::PortfolioManager).await;
        house
    }

    /// Ends the actors.
    pub(crate) async fn close(self) {
        self.root.shutdown(Duration::from_secs(5)).await;
    }

    /// Adds a person with [`PASSWORD`].
    pub(crate) async fn person(&self, email: &str, role: Role) -> UserId {
        let hash = auth::hash_password(PASSWORD).expect("a good password");
        let new = NewUser {
            email: email.into(),
            name: "Ada".into(),
            role,
            password_hash: Some(hash),
        };
        let grant = self.db.grant(self.org, P::UserWrite);
        let user = self
            .db
            .unit(&grant, move |u| {
                let new = new.clone();
                Box::pin(async move { u.users().create(&new).await })
            })
            .await;
        user.expect("a person can be added").id
    }

    /// A token of a fresh person with `role`.
    pub(crate) async fn token(&self, role: Role) -> String {
        let user = self
            .person(
                &format!("{}@example.com", uuid::Uuid::now_v7().simple()),
                role,
            )
            .await;
        let (token, token_hash) = auth::new_token();
        let new = NewToken {
            org: self.org,
            user,
            label: "test".into(),
            token_hash,
            expires_at: None,
        };
        self.db
            .system_door()
            .sign_in()
            .create_token(&new)
            .await
            .expect("a token can be made");
        token
    }

    /// The secret of a fresh one-time link for `user`.
    pub(crate) async fn link(&self, user: UserId) -> String {
        let (secret, token_hash) = auth::new_link();
        let new = NewLink {
            org: self.org,
            user,
            purpose: auth::SIGN_IN_LINK.into(),
            token_hash,
            lifetime: TimeDelta::minutes(15),
            payload: Value::Null,
        };
        self.db
            .system_door()
            .sign_in()
            .create_link(&new)
            .await
            .expect("a link can be made");
        secret
    }

    /// Signs in with the password and returns the cookie to send.
    pub(crate) async fn cookie(&self) -> String {
        let body = serde_json::json!({ "email": EMAIL, "password": PASSWORD });
        let response = self
            .client
            .post("/api/v1/session")
            .body_json(&body)
            .send()
            .await;
        response.assert_status_is_ok();
        cookie_of(&response)
    }

    /// A recommendation in the inbox whose effect is `effect`.
    pub(crate) async fn proposed(&self, name: &str, effect: f64) -> Recommendation {
        let new = draft(name, effect, self.db.now().await.expect("database time"));
        let id = new.id;
        let grant = Principal::system(self.org)
            .grant(P::RecommendationPropose)
            .expect("the system may");
        let made = self
            .db
            .unit(&grant, move |u| {
                let new = new.clone();
                Box::pin(async move {
                    u.recommendations().draft(&new).await?;
                    u.recommendations()
                        .transition(&Transition::by_runtime(id, Move::Propose))
                        .await
                })
            })
            .await;
        made.expect("a proposal can be made")
    }
}

fn draft(name: &str, effect: f64, now: DateTime<Utc>) -> Recommendation {
    let brand = BrandId::derive(&["acme", name]);
    let action = Action::Guard {
        rule: Rule::Cap {
            brand: Some(brand),
            channel: None,
            weekly: 1000.into(),
        },
    };
    let day = NaiveDate::from_ymd_opt(2026, 9, 21).expect("a date");
    Recommendation {
        id: RecommendationId::derive(&["acme", name]),
        version: 1,
        kind: Kind::Guard,
        agent: AgentKind::Metrics,
        subject: format!("brand:{name}"),
        title: format!("Cap the media of {name}"),
        summary: "It takes sales from another brand.".into(),
        brands: vec![],
        objective: "profit".into(),
        state: State::Draft,
        action_hash: action.hash(),
        action,
        effect: Some(Effect {
            value: effect,
            interval80: Interval {
                low: effect - 10.0,
                high: effect + 10.0,
            },
            base: None,
            unit: "EUR".into(),
            horizon_weeks: 12,
        }),
        confidence: Some(0.9),
        evidence: vec![],
        dedupe_key: format!("guard/{name}"),
        evidence_digest: "0".repeat(64),
        proposed_on: day,
        expires_on: day + chrono::Days::new(400),
        snoozed_until: None,
        applies_at: None,
        superseded_by: None,
        parent: None,
        created_at: now,
        updated_at: now,
    }
}

/// The cookie that a response sets, as it is sent back.
pub(crate) fn cookie_of(response: &TestResponse) -> String {
    let set = response
        .0
        .headers()
        .get("Set-Cookie")
        .expect("a cookie is set")
        .to_str()
        .expect("text");
    set.split(';').next().expect("a pair").to_owned()
}

/// With the session cookie, as our own page sends it.
pub(crate) fn signed<'a, E>(
    request: TestRequestBuilder<'a, E>,
    cookie: &str,
) -> TestRequestBuilder<'a, E>
where
    E: poem::Endpoint,
{
    request
        .header("Cookie", cookie)
        .header("Sec-Fetch-Site", "same-origin")
}

/// With a bearer token.
pub(crate) fn bearer<'a, E>(
    request: TestRequestBuilder<'a, E>,
    token: &str,
) -> TestRequestBuilder<'a, E>
where
    E: poem::Endpoint,
{
    request.header("Authorization", format!("Bearer {token}"))
}

/// The response must be a problem with this status and code; returns it.
pub(crate) async fn problem(response: TestResponse, status: u16, code: &str) -> Value {
    let content_type = response
        .0
        .headers()
        .get("Content-Type")
        .map(|value| value.to_str().expect("text").to_owned());
    let found = response.0.status().as_u16();
    let body = response.0.into_body().into_string().await.expect("text");
    assert_eq!(
        content_type.as_deref(),
        Some("application/problem+json"),
        "{found} {body}"
    );
    let problem: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        (found, problem["code"].as_str()),
        (status, Some(code)),
        "{body}"
    );
    assert_eq!(problem["status"], status, "{body}");
    assert_eq!(problem["type"], format!("/problems/{code}"), "{body}");
    problem
}

/// The JSON body of a response that went well.
pub(crate) async fn json(response: TestResponse) -> Value {
    let status = response.0.status();
    let body = response.0.into_body().into_string().await.expect("text");
    assert!(status.is_success(), "{status} {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// A header as text.
pub(crate) fn header(response: &TestResponse, name: &str) -> String {
    response
        .0
        .headers()
        .get(name)
        .map_or_else(String::new, |value| {
            value.to_str().expect("text").to_owned()
        })
}
