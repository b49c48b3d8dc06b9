//! Sign-in: accounts, sessions, tokens and links, none of which keeps a secret in the clear.

use chrono::TimeDelta;
use domain::{
    access::{Permission, Role},
    id::OrgId,
    organisation::User,
};
use futures::future::join_all;
use storage::{NewLink, NewSession, NewToken, NewUser, on_both, testkit::TestDatabase};

use crate::fixture::code;

async fn ada(db: &TestDatabase, org: OrgId) -> User {
    let new = NewUser {
        email: " Ada@Example.org ".to_owned(),
        name: "Ada".to_owned(),
        role: Role::BrandManager,
        password_hash: Some("$argon2id$x".to_owned()),
    };
    db.unit(&db.grant(org, Permission::UserWrite), move |u| {
        let new = new.clone();
        Box::pin(async move { u.users().create(&new).await })
    })
    .await
    .expect("a person can be added")
}

fn session(user: &User, secret: u8) -> NewSession {
    NewSession {
        org: user.org,
        user: user.id,
        token_hash: [secret; 32],
        idle: TimeDelta::minutes(30),
        lifetime: TimeDelta::hours(12),
        user_agent: "Firefox".to_owned(),
        address: "192.0.2.7".to_owned(),
    }
}

on_both! {
    async fn a_person_is_found_by_address_in_every_organisation_but_not_in_the_clear(db: TestDatabase) {
        let (a, b) = (db.org("a").await, db.org("b").await);
        let first = ada(&db, a).await;
        ada(&db, b).await;
        assert_eq!(first.email, "ada@example.org");
        let door = db.system_door();
        let found = door.sign_in().by_email("ADA@example.org").await.expect("asks");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].password_hash.as_deref(), Some("$argon2id$x"));
        let taken = db.unit(&db.grant(a, Permission::UserWrite), |u| Box::pin(async move {
            u.users().create(&NewUser { email: "ada@example.org".to_owned(), name: "Eve".to_owned(), role: Role::Viewer, password_hash: None }).await
        })).await;
        assert_eq!(code(taken), "user.email_taken");
        let id = first.id;
        db.unit(&db.grant(a, Permission::UserWrite), move |u| Box::pin(async move { u.users().set_role(id, Role::Viewer).await })).await.expect("changes");
        let scope = db.scope(&db.grant(a, Permission::UserRead));
        assert_eq!(scope.users().by_email("ada@example.org").await.expect("asks").map(|u| u.role), Some(Role::Viewer));
        assert_eq!(scope.users().list().await.expect("lists").len(), 1);
        if let Some(folder) = db.folder() {
            for file in std::fs::read_dir(folder).expect("lists") {
                let bytes = std::fs::read(file.expect("a file").path()).expect("reads");
                assert!(!bytes.windows(11).any(|w| w.eq_ignore_ascii_case(b"ada@example")), "the address is in the file");
            }
        }
    }

    async fn a_session_ends_when_idle_when_old_and_with_its_person(db: TestDatabase) {
        let org = db.org("acme").await;
        let user = ada(&db, org).await;
        let door = db.system_door();
        let id = door.sign_in().open_session(&session(&user, 1)).await.expect("opens");
        let live = door.sign_in().session([1; 32]).await.expect("asks").expect("live");
        assert_eq!((live.id, live.user.email.as_str(), live.address.as_str()), (id, "ada@example.org", "192.0.2.7"));
        assert!(door.sign_in().session([2; 32]).await.expect("asks").is_none());
        db.shift_time(TimeDelta::minutes(29));
        assert!(door.sign_in().touch_session(org, id).await.expect("touches"));
        db.shift_time(TimeDelta::minutes(29));
        assert!(door.sign_in().session([1; 32]).await.expect("asks").is_some(), "use put its end off");
        db.shift_time(TimeDelta::minutes(2));
        assert!(door.sign_in().session([1; 32]).await.expect("asks").is_none(), "idle for too long");
        assert!(!door.sign_in().touch_session(org, id).await.expect("asks"), "an ended session does not come back");
        assert_eq!(door.sign_in().sweep().await.expect("sweeps"), 1);
        let kept = door.sign_in().open_session(&session(&user, 3)).await.expect("opens");
        door.sign_in().open_session(&session(&user, 4)).await.expect("opens");
        assert_eq!(door.sign_in().sessions_of(org, user.id).await.expect("lists").len(), 2);
        assert_eq!(door.sign_in().end_sessions_of(org, user.id, Some(kept)).await.expect("ends"), 1);
        assert!(door.sign_in().session([4; 32]).await.expect("asks").is_none());
        let who = user.id;
        db.unit(&db.grant(org, Permission::UserWrite), move |u| Box::pin(async move { u.users().set_suspended(who, true).await })).await.expect("suspends");
        assert!(door.sign_in().session([3; 32]).await.expect("asks").is_none());
        assert!(door.sign_in().by_email("ada@example.org").await.expect("asks").is_empty());
    }

    async fn of_many_that_use_a_link_at_once_one_gets_in(db: TestDatabase) {
        let org = db.org("acme").await;
        let user = ada(&db, org).await;
        let door = db.system_door();
        let link = NewLink { org, user: user.id, purpose: "sign_in".to_owned(), token_hash: [9; 32], lifetime: TimeDelta::hours(1), payload: serde_json::json!({ "to": "/inbox" }) };
        door.sign_in().create_link(&link).await.expect("makes");
        assert!(door.sign_in().redeem_link("password_reset", [9; 32]).await.expect("asks").is_none(), "a link is good for its purpose only");
        let got = join_all((0..20).map(|_| {
            let door = door.clone();
            async move { door.sign_in().redeem_link("sign_in", [9; 32]).await.expect("asks") }
        })).await;
        let used: Vec<_> = got.into_iter().flatten().collect();
        assert_eq!(used.len(), 1);
        assert_eq!((used[0].user.id, used[0].payload["to"].as_str()), (user.id, Some("/inbox")));
        door.sign_in().create_link(&NewLink { token_hash: [8; 32], ..link }).await.expect("makes");
        db.shift_time(TimeDelta::hours(2));
        assert!(door.sign_in().redeem_link("sign_in", [8; 32]).await.expect("asks").is_none(), "it ended");
    }

    async fn a_token_acts_for_its_person_until_it_ends(db: TestDatabase) {
        let org = db.org("acme").await;
        let user = ada(&db, org).await;
        let door = db.system_door();
        let now = door.now().await.expect("the time");
        let token = NewToken { org, user: user.id, label: "nightly export".to_owned(), token_hash: [5; 32], expires_at: Some(now + TimeDelta::days(1)) };
        let id = door.sign_in().create_token(&token).await.expect("makes");
        let (found, who) = door.sign_in().by_token([5; 32]).await.expect("asks").expect("live");
        assert_eq!((found, who.id), (id, user.id));
        let listed = door.sign_in().tokens(org).await.expect("lists");
        assert_eq!(listed[0].label, "nightly export");
        assert!(listed[0].seen_at.is_some());
        db.shift_time(TimeDelta::days(2));
        assert!(door.sign_in().by_token([5; 32]).await.expect("asks").is_none());
        assert!(door.sign_in().end_token(org, id).await.expect("ends"));
    }

    async fn parallel_guesses_cannot_outrun_the_limit(db: TestDatabase) {
        let door = db.system_door();
        let tries = join_all((0..20).map(|_| {
            let door = door.clone();
            async move { door.sign_in().begin_attempt("ada@example.org").await.expect("counts") }
        })).await;
        assert_eq!(tries.iter().filter(|attempt| attempt.allowed).count(), 5);
        let blocked = door.sign_in().begin_attempt("Ada@example.org").await.expect("counts");
        assert!(!blocked.allowed && blocked.retry_at.is_some());
        db.shift_time(TimeDelta::seconds(2));
        assert!(door.sign_in().begin_attempt("ada@example.org").await.expect("counts").allowed, "the wait is over");
        assert!(!door.sign_in().begin_attempt("ada@example.org").await.expect("counts").allowed, "and doubled");
        door.sign_in().succeeded("ada@example.org").await.expect("resets");
        assert_eq!(door.sign_in().begin_attempt("ada@example.org").await.expect("counts").failures, 1);
    }
}
