//! Connections: cancelled callers, several processes, and roles that would see too much.

use std::{sync::Arc, time::Duration};

use domain::access::Permission;
use storage::{
    Config, KeySource, Storage, on_both,
    testkit::{TestDatabase, block_on},
};
use tokio::sync::{Notify, oneshot};

use crate::fixture::code;

on_both! {
    async fn a_cancelled_unit_leaves_no_open_transaction_behind(db: TestDatabase) {
        let org = db.org("acme").await;
        let grant = db.grant(org, Permission::SettingWrite);
        for round in 0..30_u32 {
            let started = Arc::new(Notify::new());
            let go_on = Arc::new(Notify::new());
            let (begun, resume) = (started.clone(), go_on.clone());
            let unit = db.unit(&grant, move |u| {
                let (begun, resume) = (begun.clone(), resume.clone());
                Box::pin(async move {
                    begun.notify_one();
                    resume.notified().await;
                    u.settings().set("round", &round, None).await
                })
            });
            // The caller goes away while the unit is open; the unit itself runs on to its end.
            tokio::select! {
                _ = unit => panic!("it cannot end before it may go on"),
                () = started.notified() => {}
            }
            go_on.notify_one();
        }
        // Whatever connection comes next sees every committed round, and commits itself.
        db.unit(&grant, |u| Box::pin(async move { u.settings().set("last", &true, None).await })).await.expect("the pool is sound");
        let scope = db.scope(&grant);
        let mut round = None;
        for _ in 0..200 {
            round = scope.settings().get::<u32>("round").await.expect("reads").map(|s| s.version);
            if round == Some(30) {
                break;
            }
            db.unit(&grant, |u| Box::pin(async move { u.settings().set("last", &true, None).await })).await.expect("commits");
        }
        assert_eq!(round, Some(30), "every abandoned unit was committed");
    }

    async fn a_caller_that_goes_away_at_any_moment_does_no_harm(db: TestDatabase) {
        let org = db.org("acme").await;
        let grant = db.grant(org, Permission::SettingWrite);
        let count = || {
            db.unit(&grant, |u| Box::pin(async move {
                u.audit().record("counter.raised", "n", serde_json::json!({})).await?;
                u.settings().set("n", &true, None).await
            }))
        };
        for step in 0..60_u64 {
            // A different moment every time; which one does not matter, that it is many does.
            let _ = tokio::time::timeout(Duration::from_micros(step * 37), count()).await;
            let scope = db.scope(&grant);
            let read = scope.settings();
            let _ = tokio::time::timeout(Duration::from_micros(step * 11), read.get::<bool>("n")).await;
        }
        count().await.expect("the pool is sound");
        // Units that were left alone may still be committing; each one does both of its writes or neither.
        let both = db.unit(&grant, |u| Box::pin(async move {
            let version = u.settings().set("n", &true, None).await?;
            let trail = u.audit().list(&domain::page::PageRequest { limit: 1, after: None }).await?;
            Ok((i64::from(version), trail.rows.first().map_or(0, |entry| entry.seq)))
        })).await.expect("the pool is sound");
        assert_eq!(both.0 - 1, both.1, "no write was lost and none was doubled");
    }

    async fn a_unit_that_panics_is_rolled_back_and_reported(db: TestDatabase) {
        let org = db.org("acme").await;
        let grant = db.grant(org, Permission::SettingWrite);
        let result = db.unit(&grant, |u| Box::pin(async move {
            u.settings().set("x", &1, None).await?;
            assert!(u.org() != u.org(), "on purpose");
            Ok(())
        })).await;
        assert_eq!(code(result), "storage.internal");
        assert_eq!(db.scope(&grant).settings().get::<u32>("x").await.expect("reads"), None);
    }

    async fn two_instances_write_to_one_database(db: TestDatabase) {
        let org = db.org("acme").await;
        let grant = db.grant(org, Permission::SettingWrite);
        let second = db.second_instance().await.expect("a second process can open it");
        let count = |storage: Storage| async move {
            for _ in 0..25 {
                storage.unit(&grant, |u| Box::pin(async move {
                    u.audit().record("counter.raised", "n", serde_json::json!({})).await
                })).await.expect("writes beside the other");
            }
        };
        futures::join!(count((*db).clone()), count(second.clone()));
        let page = domain::page::PageRequest { limit: 200, after: None };
        let seen = second.scope(&grant).audit().list(&page).await.expect("lists");
        assert_eq!(seen.rows.first().map(|entry| entry.seq), Some(50));
        assert_eq!(seen.rows.len(), 50);
    }

    async fn the_database_answers_and_tells_its_time(db: TestDatabase) {
        db.ping().await.expect("answers");
        let before = db.now().await.expect("tells");
        db.shift_time(chrono::TimeDelta::hours(2));
        let after = db.now().await.expect("tells");
        assert!(after - before >= chrono::TimeDelta::hours(2));
        assert_eq!(after.timestamp_subsec_nanos() % 1000, 0, "whole microseconds");
        let ids: Vec<_> = (0..100).map(|_| db.fresh_id()).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }
}

#[test]
fn a_role_that_sees_through_row_level_security_is_refused() {
    block_on(async {
        let url = std::env::var("DIGI_TEST_POSTGRES")
            .expect("DIGI_TEST_POSTGRES is set by tests/services.sh");
        let config = Config {
            key: KeySource::Given([1; 32]),
            ..Config::new(url)
        };
        let refused = Storage::connect(&config, Arc::new(domain::clock::SystemClock)).await;
        let error = refused.expect_err("a superuser must be refused");
        assert_eq!(domain::Classify::code(&error), "storage.unsafe_role");
        assert!(
            error.to_string().contains("NOBYPASSRLS"),
            "it says what to do: {error}"
        );
    });
}

#[test]
fn the_before_acquire_hook_rolls_an_open_transaction_back() {
    block_on(async {
        let db = TestDatabase::postgres().await;
        let org = db.org("acme").await;
        let grant = db.grant(org, Permission::SettingWrite);
        // Reads and writes that are cut off between BEGIN and the first answer, directly on the caller's task.
        let (done, wait) = oneshot::channel::<()>();
        let storage: Storage = (*db).clone();
        let noise = tokio::spawn(async move {
            for step in 0..200_u64 {
                let _ = tokio::time::timeout(Duration::from_micros(step * 5), storage.now()).await;
            }
            done.send(()).expect("the test waits");
        });
        wait.await.expect("the noise ends");
        noise.await.expect("the noise ends");
        db.unit(&grant, |u| {
            Box::pin(async move { u.settings().set("x", &1, None).await })
        })
        .await
        .expect("commits");
        assert_eq!(
            db.scope(&grant)
                .settings()
                .get::<u32>("x")
                .await
                .expect("reads")
                .expect("set")
                .value,
            1
        );
    });
}

#[test]
fn what_cannot_be_opened_says_why() {
    block_on(async {
        let clock = || Arc::new(domain::clock::SystemClock);
        let open = |url: &str| Config {
            key: KeySource::Given([1; 32]),
            ..Config::new(url)
        };
        assert_eq!(
            code(Storage::connect(&open("mysql://x"), clock()).await),
            "storage.config"
        );
        assert_eq!(
            code(Storage::connect(&open("sqlite::memory:"), clock()).await),
            "storage.config"
        );
        assert_eq!(
            code(Storage::connect(&Config::new("postgres://127.0.0.1:1/x"), clock()).await),
            "storage.config"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/a.db", folder.path().display());
        let storage = Storage::connect(&Config::new(&url), clock())
            .await
            .expect("opens");
        let key = folder.path().join("a.db.key");
        assert!(key.exists(), "the key is made at the first start");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                std::fs::metadata(&key).expect("there").permissions().mode() & 0o777,
                0o600
            );
        }
        let first = std::fs::read(&key).expect("reads");
        storage.close().await.expect("closes");
        Storage::connect(&Config::new(&url), clock())
            .await
            .expect("opens again");
        assert_eq!(
            std::fs::read(&key).expect("reads"),
            first,
            "and kept at the second"
        );
        std::fs::write(&key, "short").expect("writes");
        assert_eq!(
            code(Storage::connect(&Config::new(&url), clock()).await),
            "storage.config"
        );
    });
}
