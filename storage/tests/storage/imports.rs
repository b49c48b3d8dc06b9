//! Imports: acknowledged is stored, repeated changes nothing, and analytics read columns.

use chrono::NaiveDate;
use domain::{
    id::{BatchId, CorrectionId},
    ingest::{BatchCounts, BatchState, Reject},
    metric::{Granularity, MetricRole, MetricValue},
    outcome::Correction,
    page::PageRequest,
};
use storage::{ChunkCounts, ChunkOutcome, NewBatch, ValueQuery, on_both, testkit::TestDatabase};

use crate::fixture::{Portfolio, code, day, metric};

async fn upsert(
    db: &TestDatabase,
    p: &Portfolio,
    source: &'static str,
    values: Vec<MetricValue>,
    restate_from: Option<NaiveDate>,
) -> ChunkCounts {
    let batch = p.batch;
    db.unit(&p.write, move |u| {
        let values = values.clone();
        Box::pin(async move {
            u.values()
                .upsert_chunk(batch, source, &values, restate_from)
                .await
        })
    })
    .await
    .expect("values can be written")
}

async fn take(
    db: &TestDatabase,
    p: &Portfolio,
    from: u64,
    values: Vec<MetricValue>,
    rejects: Vec<Reject>,
) -> Result<ChunkOutcome, storage::Error> {
    let batch = p.batch;
    db.unit(&p.write, move |u| {
        let (values, rejects) = (values.clone(), rejects.clone());
        Box::pin(async move {
            let to = from + values.len() as u64;
            let parsed = BatchCounts {
                accepted: values.len() as u64,
                ..BatchCounts::default()
            };
            u.ingest()
                .take_chunk(batch, from, to, &values, None, &parsed, &rejects)
                .await
        })
    })
    .await
}

fn reject(line: u64) -> Reject {
    Reject {
        line,
        column: "sales".to_owned(),
        code: "value.not_a_number".to_owned(),
        message: "\"x\" is not a number".to_owned(),
        raw: "x".to_owned(),
    }
}

on_both! {
    async fn writing_values_again_changes_nothing(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let values: Vec<_> = (0..1200).map(|week| p.value(p.aurora, p.sales, week, f64::from(week) / 3.0)).collect();
        let first = upsert(&db, &p, "a.csv", values.clone(), None).await;
        assert_eq!(first, ChunkCounts { inserted: 1200, ..ChunkCounts::default() });
        let digest = db.scope(&p.write).values().digest(&ValueQuery::default()).await.expect("digests");
        let second = upsert(&db, &p, "a.csv", values.clone(), None).await;
        assert_eq!(second, ChunkCounts { unchanged: 1200, ..ChunkCounts::default() });
        assert_eq!(db.scope(&p.write).values().digest(&ValueQuery::default()).await.expect("digests"), digest);
        let table = db.scope(&p.write).values().table(&ValueQuery::default()).await.expect("reads");
        assert_eq!(table.len(), 1200);
        for (index, value) in values.iter().enumerate() {
            assert_eq!((table.period[index], table.value[index]), (value.period, value.value));
        }
    }

    async fn a_restatement_is_taken_inside_its_window_only(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let weeks = |scale: f64| -> Vec<_> { (0..10).map(|week| p.value(p.aurora, p.sales, week, scale * f64::from(week + 1))).collect() };
        upsert(&db, &p, "a.csv", weeks(1.0), None).await;
        let window = Granularity::Week.add(day("2024-01-01"), 8);
        let mut restated = weeks(2.0);
        restated.push(p.value(p.borealis, p.sales, 0, 7.0));
        let counts = upsert(&db, &p, "a.csv", restated, Some(window)).await;
        assert_eq!(counts, ChunkCounts { inserted: 1, updated: 2, unchanged: 0, outside_window: 8 });
        let table = db.scope(&p.write).values().table(&ValueQuery { brands: Some(vec![p.aurora]), ..ValueQuery::default() }).await.expect("reads");
        assert_eq!(table.value[7..], [8.0, 18.0, 20.0]);
    }

    async fn two_sources_of_one_value_are_not_added_up(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        upsert(&db, &p, "old.csv", vec![p.value(p.aurora, p.sales, 0, 10.0), p.value(p.aurora, p.sales, 1, 11.0)], None).await;
        upsert(&db, &p, "new.csv", vec![p.value(p.aurora, p.sales, 1, 99.0)], None).await;
        let table = db.scope(&p.write).values().table(&ValueQuery::default()).await.expect("reads");
        assert_eq!(table.value, [10.0, 99.0]);
    }

    async fn days_and_weeks_of_one_metric_are_kept_apart(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let daily = MetricValue { granularity: Granularity::Day, ..p.value(p.aurora, p.sales, 0, 1.0) };
        upsert(&db, &p, "a.csv", vec![p.value(p.aurora, p.sales, 0, 7.0), daily], None).await;
        let scope = db.scope(&p.write);
        assert_eq!(scope.values().table(&ValueQuery::default()).await.expect("reads").value, [7.0]);
        let days = ValueQuery { granularity: Some(Granularity::Day), ..ValueQuery::default() };
        assert_eq!(scope.values().table(&days).await.expect("reads").value, [1.0]);
    }

    async fn a_query_narrows_by_brand_metric_project_and_period(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let mut values = Vec::new();
        for (brand, base) in [(p.aurora, 0.0), (p.borealis, 100.0)] {
            for week in 0..4 {
                values.push(p.value(brand, p.sales, week, base + f64::from(week)));
                values.push(p.value(brand, p.spend, week, base + 50.0 + f64::from(week)));
            }
        }
        upsert(&db, &p, "a.csv", values, None).await;
        let scope = db.scope(&p.write);
        let query = ValueQuery {
            brands: Some(vec![p.borealis]), metrics: Some(vec![p.sales]), projects: Some(vec![p.project]),
            from: Some(day("2024-01-08")), to: Some(day("2024-01-15")), granularity: None,
        };
        assert_eq!(scope.values().table(&query).await.expect("reads").value, [101.0, 102.0]);
        let none = ValueQuery { brands: Some(Vec::new()), ..ValueQuery::default() };
        assert!(scope.values().table(&none).await.expect("reads").is_empty());
        let digest = scope.values().digest(&query).await.expect("digests");
        assert_eq!((digest.rows, digest.from, digest.to), (2, Some(day("2024-01-08")), Some(day("2024-01-15"))));
        assert_eq!(scope.values().span().await.expect("spans"), Some((day("2024-01-01"), day("2024-01-22"))));
    }

    async fn a_correction_stands_in_for_the_value_while_it_is_in_force(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        upsert(&db, &p, "a.csv", (0..3).map(|w| p.value(p.aurora, p.sales, w, 10.0)).collect(), None).await;
        let scope = db.scope(&p.write);
        let before = scope.values().digest(&ValueQuery::default()).await.expect("digests");
        let correction = |name: &str, week: u32, value: Option<f64>| Correction {
            id: CorrectionId::derive(&[name]), project: p.project, brand: p.aurora, metric: p.sales,
            period: Granularity::Week.add(day("2024-01-01"), week), value, recommendation: None, active: true,
        };
        let (replaced, excluded) = (correction("replace", 0, Some(4.5)), correction("exclude", 1, None));
        let id = replaced.id;
        db.unit(&p.write, move |u| {
            let (replaced, excluded) = (replaced.clone(), excluded.clone());
            Box::pin(async move {
                u.corrections().create(&replaced).await?;
                u.corrections().create(&excluded).await
            })
        }).await.expect("corrects");
        assert_eq!(scope.values().table(&ValueQuery::default()).await.expect("reads").value, [4.5, 10.0]);
        assert_ne!(scope.values().digest(&ValueQuery::default()).await.expect("digests").digest, before.digest);
        db.unit(&p.write, move |u| Box::pin(async move { u.corrections().set_active(id, false).await })).await.expect("undoes");
        assert_eq!(scope.values().table(&ValueQuery::default()).await.expect("reads").value, [10.0, 10.0]);
    }

    async fn a_repeated_chunk_returns_the_ledger_and_changes_nothing(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let chunk: Vec<_> = (0..5).map(|week| p.value(p.aurora, p.sales, week, 1.0)).collect();
        let taken = take(&db, &p, 0, chunk.clone(), vec![reject(7), reject(9)]).await.expect("takes");
        let ChunkOutcome::Taken(ledger) = taken else { panic!("{taken:?}") };
        assert_eq!((ledger.offset, ledger.counts.inserted, ledger.counts.refused), (5, 5, 2));
        // Newer values come from elsewhere; the repeated chunk must not bring the old ones back.
        upsert(&db, &p, "weekly.csv", vec![p.value(p.aurora, p.sales, 0, 42.0)], None).await;
        let repeated = take(&db, &p, 0, chunk.clone(), vec![reject(7), reject(9)]).await.expect("recognises");
        assert_eq!(repeated, ChunkOutcome::Repeated(ledger));
        let table = db.scope(&p.write).values().table(&ValueQuery::default()).await.expect("reads");
        assert_eq!(table.value[0], 42.0);
        assert_eq!(code(take(&db, &p, 9, chunk.clone(), Vec::new()).await), "ingest.gap");
        // Rows refused once are not refused twice, even by a chunk that moves no offset.
        take(&db, &p, 5, Vec::new(), vec![reject(9), reject(11)]).await.expect("takes");
        let rejects = db.scope(&p.write).ingest().rejects(p.batch, &PageRequest { limit: 2, after: None }).await.expect("lists");
        assert_eq!(rejects.rows.iter().map(|r| r.line).collect::<Vec<_>>(), [7, 9]);
        let rest = db.scope(&p.write).ingest().rejects(p.batch, &PageRequest { limit: 2, after: rejects.next }).await.expect("lists");
        assert_eq!((rest.rows.len(), rest.next), (1, None));
        let batch = p.batch;
        let done = db.unit(&p.write, move |u| Box::pin(async move { u.ingest().complete(batch, "abc").await })).await.expect("ends");
        assert_eq!((done.state, done.counts.refused), (BatchState::Complete, 3));
        assert_eq!(code(take(&db, &p, 5, chunk, Vec::new()).await), "ingest.closed");
    }

    async fn two_importers_of_one_chunk_store_it_once(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let chunk: Vec<_> = (0..50).map(|week| p.value(p.aurora, p.sales, week, 1.0)).collect();
        let results = futures::future::join_all((0..6).map(|_| take(&db, &p, 0, chunk.clone(), vec![reject(3)]))).await;
        let taken = results.into_iter().filter(|r| matches!(r, Ok(ChunkOutcome::Taken(_)))).count();
        assert_eq!(taken, 1);
        let ledger = db.scope(&p.write).ingest().get(p.batch).await.expect("reads");
        assert_eq!((ledger.counts.accepted, ledger.counts.inserted, ledger.counts.refused), (50, 50, 1));
    }

    async fn values_of_unknown_things_and_of_no_number_are_refused(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let (batch, stranger) = (p.batch, metric("acme", "unknown", MetricRole::Health).id);
        let unknown = vec![p.value(p.aurora, stranger, 0, 1.0)];
        let result = db.unit(&p.write, move |u| { let v = unknown.clone(); Box::pin(async move { u.values().upsert_chunk(batch, "a", &v, None).await }) }).await;
        assert_eq!(code(result), "storage.unknown_reference");
        let nan = vec![p.value(p.aurora, p.sales, 0, f64::NAN)];
        let result = db.unit(&p.write, move |u| { let v = nan.clone(); Box::pin(async move { u.values().upsert_chunk(batch, "a", &v, None).await }) }).await;
        assert_eq!(code(result), "value.not_finite");
    }

    async fn a_mapping_keeps_its_versions(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let save = |text: &'static str| db.unit(&p.write, move |u| Box::pin(async move { u.mappings().save("weekly", text).await }));
        let same = save("[columns]").await.expect("saves");
        assert_eq!(same.version, 1);
        let changed = save("[columns]\nsales = 2").await.expect("saves");
        assert_eq!((changed.id, changed.version), (same.id, 2));
        let batch = NewBatch { id: BatchId::derive(&["b2"]), mapping: changed.id, source: "x".to_owned() };
        let opened = db.unit(&p.write, move |u| { let b = batch.clone(); Box::pin(async move { u.ingest().open(&b).await }) }).await.expect("opens");
        assert_eq!((opened.offset, opened.state), (0, BatchState::Open));
        assert_eq!(db.scope(&p.write).ingest().list(&PageRequest::default()).await.expect("lists").rows.len(), 2);
    }
}

mod rows_per_second {
    //! A measurement, not a test of right or wrong; it prints what this machine does.
    use super::*;
    use storage::testkit::block_on;

    async fn measure(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let mut values = Vec::new();
        for (brand, metric) in [
            (p.aurora, p.sales),
            (p.aurora, p.spend),
            (p.borealis, p.sales),
            (p.borealis, p.spend),
        ] {
            for week in 0..15_000 {
                values.push(p.value(brand, metric, week, f64::from(week) / 7.0));
            }
        }
        for round in ["new", "unchanged"] {
            let begun = std::time::Instant::now();
            for chunk in values.chunks(10_000) {
                upsert(&db, &p, "a.csv", chunk.to_vec(), None).await;
            }
            let rate = 60_000.0 / begun.elapsed().as_secs_f64();
            println!(
                "{}: {rate:.0} {round} values per second",
                db.backend().name()
            );
        }
        let begun = std::time::Instant::now();
        let table = db
            .scope(&p.write)
            .values()
            .table(&ValueQuery::default())
            .await
            .expect("reads");
        println!(
            "{}: {:.0} values read per second",
            db.backend().name(),
            60_000.0 / begun.elapsed().as_secs_f64()
        );
        assert_eq!(table.len(), 60_000);
    }

    #[test]
    #[ignore = "measures; run with --run-ignored and --no-capture"]
    fn sqlite() {
        block_on(async { measure(TestDatabase::sqlite().await).await });
    }

    #[test]
    #[ignore = "measures; run with --run-ignored and --no-capture"]
    fn postgres() {
        block_on(async { measure(TestDatabase::postgres().await).await });
    }
}
