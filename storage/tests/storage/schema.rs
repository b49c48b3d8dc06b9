//! Migrations run forward and back, on both databases.

use storage::testkit::{TestDatabase, block_on};

use crate::fixture::Portfolio;

async fn up_down_up(db: TestDatabase) {
    let status = db.migration_status().await.expect("lists");
    assert!(status.len() >= 19 && status.iter().all(|m| !m.applied));
    db.migrate().await.expect("forward");
    assert!(
        db.migration_status()
            .await
            .expect("lists")
            .iter()
            .all(|m| m.applied)
    );
    Portfolio::make(&db, "acme").await;
    let all = u32::try_from(status.len()).expect("few");
    for left in (0..all).rev() {
        db.migrate_down(1)
            .await
            .unwrap_or_else(|error| panic!("back from {}: {error}", status[left as usize].name));
        let applied = db
            .migration_status()
            .await
            .expect("lists")
            .iter()
            .filter(|m| m.applied)
            .count();
        assert_eq!(applied, left as usize);
    }
    db.migrate().await.expect("forward again");
    db.migrate().await.expect("once more changes nothing");
    Portfolio::make(&db, "acme").await;
}

mod the_schema_goes_forward_back_and_forward_again {
    use super::*;

    #[test]
    fn sqlite() {
        block_on(async { up_down_up(TestDatabase::empty_sqlite().await).await });
    }

    #[test]
    fn postgres() {
        block_on(async { up_down_up(TestDatabase::empty_postgres().await).await });
    }
}

mod two_processes_that_migrate_at_once_both_succeed {
    use super::*;

    async fn both(db: TestDatabase) {
        let second = db.second_instance().await.expect("opens");
        let (a, b) = futures::join!(db.migrate(), second.migrate());
        a.expect("the first");
        b.expect("the second");
        assert!(
            db.migration_status()
                .await
                .expect("lists")
                .iter()
                .all(|m| m.applied)
        );
    }

    #[test]
    fn sqlite() {
        block_on(async { both(TestDatabase::empty_sqlite().await).await });
    }

    #[test]
    fn postgres() {
        block_on(async { both(TestDatabase::empty_postgres().await).await });
    }
}
