//! Tenants do not see one another: through the repositories, and on PostgreSQL through row-level security alone.

use domain::{
    access::Permission,
    event::{EventKind, NewEvent},
    id::RecommendationId,
    job::NewJob,
    page::PageRequest,
};
use migrations::TENANT_TABLES;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, Statement, TransactionTrait};
use storage::{
    Filter, ValueQuery, on_both,
    testkit::{TestDatabase, block_on},
};

use crate::fixture::{Portfolio, code};

async fn fill(db: &TestDatabase, name: &'static str) -> Portfolio {
    let p = Portfolio::make(db, name).await;
    let (batch, values) = (p.batch, vec![p.value(p.aurora, p.sales, 0, 5.0)]);
    let draft = p.draft(RecommendationId(db.fresh_id()), "s", "k", 1);
    db.unit(&p.write, move |u| {
        let (values, draft) = (values.clone(), draft.clone());
        Box::pin(async move {
            u.values().upsert_chunk(batch, "a", &values, None).await?;
            u.recommendations().draft(&draft).await?;
            u.events()
                .publish(NewEvent {
                    kind: EventKind::PortfolioChanged,
                    key: "k".to_owned(),
                    body: serde_json::json!({}),
                })
                .await?;
            u.audit()
                .record("brand.changed", "b", serde_json::json!({}))
                .await?;
            u.settings().set("theme", &"dark", None).await?;
            let job = NewJob {
                queue: "q".to_owned(),
                kind: "k".to_owned(),
                unique_key: "u".to_owned(),
                payload: serde_json::json!({}),
                run_at: None,
                max_attempts: 1,
            };
            u.jobs().enqueue(&job).await?;
            Ok(())
        })
    })
    .await
    .expect("fills");
    db.system_door()
        .outbox()
        .sequence(100)
        .await
        .expect("sequences");
    p
}

on_both! {
    async fn another_organisation_sees_nothing(db: TestDatabase) {
        let acme = fill(&db, "acme").await;
        let other = db.org("other").await;
        let scope = db.scope(&db.grant(other, Permission::PortfolioRead));
        assert!(scope.brands().list().await.expect("lists").is_empty());
        assert!(scope.projects().list().await.expect("lists").is_empty());
        assert!(scope.projects().memberships().await.expect("lists").is_empty());
        assert!(scope.channels().list().await.expect("lists").is_empty());
        assert!(scope.metrics().list().await.expect("lists").is_empty());
        assert!(scope.mappings().list().await.expect("lists").is_empty());
        assert!(scope.values().table(&ValueQuery::default()).await.expect("reads").is_empty());
        assert!(scope.recommendations().all(&Filter::default()).await.expect("lists").is_empty());
        assert!(scope.events().after(0, 10).await.expect("lists").is_empty());
        assert!(scope.audit().list(&PageRequest::default()).await.expect("lists").rows.is_empty());
        assert!(scope.settings().list().await.expect("lists").is_empty());
        assert!(scope.ingest().list(&PageRequest::default()).await.expect("lists").rows.is_empty());
        assert!(scope.jobs().list(domain::job::JobState::Queued, 10).await.expect("lists").is_empty());
        assert_eq!(code(scope.brands().get(acme.aurora).await), "brand.unknown");
        assert_eq!(code(scope.ingest().get(acme.batch).await), "ingest.unknown_batch");
        assert_eq!(scope.organisations().get().await.expect("reads").name, "other");
    }

    async fn the_same_names_and_keys_may_be_used_by_two_organisations(db: TestDatabase) {
        let acme = fill(&db, "acme").await;
        // The very same ids, too: uniqueness holds within an organisation, so it tells nothing about another one.
        let other = db.org("other").await;
        let grant = db.grant(other, Permission::BrandWrite);
        let (theirs, id) = (db.scope(&acme.write).brands().list().await.expect("lists"), acme.project);
        let copy = theirs.clone();
        db.unit(&grant, move |u| { let copy = copy.clone(); Box::pin(async move {
            for brand in &copy { u.brands().upsert(brand).await?; }
            Ok(())
        }) }).await.expect("the same ids are free here");
        assert_eq!(db.scope(&grant).brands().list().await.expect("lists"), theirs);
        // But a row cannot refer to another organisation's row.
        let brand = acme.aurora;
        let refused = db.unit(&grant, move |u| Box::pin(async move {
            u.projects().set_member(&domain::project::Membership { project: id, brand, weight: 1.0 }).await
        })).await;
        assert_eq!(code(refused), "storage.unknown_reference");
        assert_eq!(db.scope(&acme.write).projects().memberships().await.expect("lists").len(), 2);
    }

    async fn a_grant_that_only_reads_changes_nothing(db: TestDatabase) {
        let org = db.org("acme").await;
        let grant = db.grant(org, Permission::PortfolioRead);
        let refused = db.unit(&grant, |u| Box::pin(async move { u.settings().set("x", &1, None).await })).await;
        assert_eq!(code(refused), "storage.read_only_grant");
    }

    async fn the_audit_trail_is_dense_per_organisation(db: TestDatabase) {
        let (a, b) = (db.org("a").await, db.org("b").await);
        let write = |org| {
            let grant = db.grant(org, Permission::SettingWrite);
            let storage: storage::Storage = (*db).clone();
            async move {
                storage.unit(&grant, |u| Box::pin(async move {
                    u.audit().record("x.first", "s", serde_json::json!({})).await?;
                    u.audit().record("x.second", "s", serde_json::json!({})).await
                })).await.expect("records");
            }
        };
        futures::future::join_all((0..20).map(|n| write(if n % 2 == 0 { a } else { b }))).await;
        let grant = db.grant(a, Permission::SettingWrite);
        let failed = db.unit(&grant, |u| Box::pin(async move {
            u.audit().record("x.never", "s", serde_json::json!({})).await?;
            Err::<(), _>(domain::Error::conflict("test.refused", "no").into())
        })).await;
        assert_eq!(code(failed), "test.refused");
        for org in [a, b] {
            let scope = db.scope(&db.grant(org, Permission::AuditRead));
            let page = scope.audit().list(&PageRequest { limit: 200, after: None }).await.expect("lists");
            let seqs: Vec<i64> = page.rows.iter().map(|entry| entry.seq).collect();
            assert_eq!(seqs, (1..=20).rev().collect::<Vec<_>>());
        }
    }
}

fn sql(text: &str) -> Statement {
    Statement::from_string(sea_orm::DatabaseBackend::Postgres, text)
}

#[test]
fn row_level_security_alone_keeps_tenants_apart_on_postgres() {
    block_on(async {
        let db = TestDatabase::postgres().await;
        let acme = fill(&db, "acme").await;
        let other = fill(&db, "other").await;
        let mut options = ConnectOptions::new(&db.config().url);
        options.max_connections(1);
        let raw = Database::connect(options)
            .await
            .expect("connects as the application's role");
        let count = async |from: &str| -> i64 {
            let row = raw
                .query_one_raw(sql(&format!("SELECT COUNT(*) AS n FROM {from}")))
                .await
                .expect("asks")
                .expect("a row");
            row.try_get("", "n").expect("a number")
        };
        for table in TENANT_TABLES {
            assert_eq!(
                count(table).await,
                0,
                "{table} shows rows to a transaction that named no organisation"
            );
        }
        let transaction = raw.begin().await.expect("begins");
        transaction
            .execute_raw(sql(&format!(
                "SELECT set_config('app.org_id', '{}', true)",
                acme.org.0
            )))
            .await
            .expect("names acme");
        for table in TENANT_TABLES {
            let strangers = format!(
                "SELECT COUNT(*) AS n FROM {table} WHERE org_id <> '{}'",
                acme.org.0
            );
            let row = transaction
                .query_one_raw(sql(&strangers))
                .await
                .expect("asks")
                .expect("a row");
            assert_eq!(
                row.try_get::<i64>("", "n").expect("a number"),
                0,
                "{table} shows another organisation's rows"
            );
        }
        let own = transaction
            .query_one_raw(sql("SELECT COUNT(*) AS n FROM brands"))
            .await
            .expect("asks")
            .expect("a row");
        assert_eq!(own.try_get::<i64>("", "n").expect("a number"), 2);
        let moved = transaction
            .execute_raw(sql(&format!(
                "UPDATE brands SET org_id = '{}'",
                other.org.0
            )))
            .await;
        assert!(
            moved.is_err(),
            "a row cannot be moved to another organisation"
        );
        drop(transaction);
        for table in TENANT_TABLES {
            assert_eq!(
                count(table).await,
                0,
                "{table}: the organisation must not outlive its transaction"
            );
        }
    });
}

#[test]
fn every_tenant_table_of_postgres_is_protected_and_its_keys_start_with_the_organisation() {
    block_on(async {
        let db = TestDatabase::postgres().await;
        let raw = Database::connect(&db.config().url).await.expect("connects");
        let rows = raw
            .query_all_raw(sql(
                "SELECT c.relname::text AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced, \
                 EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id') AS tenant \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')",
            ))
            .await
            .expect("reads the catalogue");
        let mut tenants = Vec::new();
        for row in rows {
            let (name, forced, tenant): (String, bool, bool) = (
                row.try_get("", "name").expect("a name"),
                row.try_get("", "forced").expect("a flag"),
                row.try_get("", "tenant").expect("a flag"),
            );
            assert_eq!(forced, tenant, "{name}");
            if tenant && !name.starts_with("metric_values_") {
                tenants.push(name);
            }
        }
        let mut listed: Vec<String> = TENANT_TABLES.iter().map(|t| (*t).to_owned()).collect();
        listed.sort();
        tenants.sort();
        assert_eq!(tenants, listed);
        let keys = raw
            .query_all_raw(sql(
                "SELECT c.conname::text AS name, (SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.conrelid \
                 AND a.attnum = c.conkey[1]) AS first FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid \
                 WHERE c.contype IN ('p', 'u', 'f') AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = t.oid \
                 AND a.attname = 'org_id') AND c.connamespace = 'public'::regnamespace",
            ))
            .await
            .expect("reads the catalogue");
        assert!(keys.len() > 80, "{}", keys.len());
        for key in keys {
            let (name, first): (String, String) = (
                key.try_get("", "name").expect("a name"),
                key.try_get("", "first").expect("a column"),
            );
            assert_eq!(first, "org_id", "{name}");
        }
    });
}
