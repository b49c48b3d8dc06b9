//! The cache in memory and in a real Redis.

use std::{convert::Infallible, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta};
use domain::clock::{ManualClock, SystemClock};

use super::*;
use crate::testkit;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_was_put_is_found_until_it_runs_out() {
    let clock = ManualClock::at(DateTime::UNIX_EPOCH);
    let cache = Cache::local(1_000, Arc::new(clock.clone()));
    cache.put("k", b"v".to_vec(), MINUTE).await;
    clock.advance(TimeDelta::seconds(59));
    assert_eq!(cache.get("k").await, Some(b"v".to_vec()));
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(cache.get("k").await, None);
    assert_eq!(
        cache.stats(),
        CacheStats {
            hits: 1,
            misses: 1,
            failures: 0
        }
    );
}

#[tokio::test]
async fn a_full_cache_drops_what_was_used_longest_ago() {
    let cache = Cache::local(33, Arc::new(SystemClock));
    for key in ["a", "b", "c"] {
        cache.put(key, vec![0; 10], MINUTE).await;
    }
    cache.get("a").await.unwrap();
    cache.put("d", vec![0; 10], MINUTE).await;
    assert!(cache.get("b").await.is_none());
    assert!(
        cache.get("a").await.is_some()
            && cache.get("c").await.is_some()
            && cache.get("d").await.is_some()
    );
    cache.put("huge", vec![0; 100], MINUTE).await;
    assert!(
        cache.get("huge").await.is_none(),
        "larger than the whole cache"
    );
    assert!(cache.get("a").await.is_some());
}

#[tokio::test]
async fn reading_through_makes_a_value_once_and_an_error_is_not_stored() {
    let cache = Cache::local(1_000, Arc::new(SystemClock));
    let failed: Result<_, &str> = cache.get_or("k", MINUTE, || async { Err("no") }).await;
    assert_eq!(failed, Err("no"));
    let made: Result<_, Infallible> = cache.get_or("k", MINUTE, || async { Ok(vec![1]) }).await;
    assert_eq!(made, Ok(vec![1]));
    let found: Result<_, &str> = cache
        .get_or("k", MINUTE, || async { Err("not called") })
        .await;
    assert_eq!(found, Ok(vec![1]));
    cache.forget("k").await;
    assert_eq!(cache.get("k").await, None);
}

#[tokio::test]
async fn nodes_share_a_cache_in_redis_within_one_namespace() {
    let (url, namespace) = (testkit::redis_url(), testkit::namespace());
    let (one, two) = (
        Cache::redis(&url, &namespace).unwrap(),
        Cache::redis(&url, &namespace).unwrap(),
    );
    let stranger = Cache::redis(&url, &testkit::namespace()).unwrap();
    for cache in [&one, &two, &stranger] {
        assert!(cache.connected_within(testkit::PATIENCE).await);
    }
    one.put("k", b"bytes\0\xff".to_vec(), MINUTE).await;
    assert_eq!(two.get("k").await, Some(b"bytes\0\xff".to_vec()));
    assert_eq!(stranger.get("k").await, None);
    two.forget("k").await;
    assert_eq!(one.get("k").await, None);
    assert_eq!(one.stats().failures, 0);
}

#[tokio::test]
async fn a_redis_that_is_away_is_a_cache_that_misses_at_once() {
    let cache = Cache::redis(&testkit::dead_redis_url(), "away").unwrap();
    let begun = std::time::Instant::now();
    cache.put("k", vec![1], MINUTE).await;
    let made: Result<_, Infallible> = cache.get_or("k", MINUTE, || async { Ok(vec![2]) }).await;
    assert_eq!(made, Ok(vec![2]));
    assert!(cache.is_degraded());
    assert!(cache.stats().failures >= 3);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}
