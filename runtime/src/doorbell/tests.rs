//! The bell in one process, between nodes, and when Redis is away.

use std::time::Duration;

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::*;
use crate::testkit;

const LONG: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn a_ring_wakes_every_listener_of_its_topic_and_no_other() {
    let bell = Doorbell::local();
    let (mut one, mut two, mut other) = (
        bell.listen("events"),
        bell.listen("events"),
        bell.listen("jobs/apply"),
    );
    bell.ring("events");
    assert_eq!(one.wait(LONG).await, Woken::Rung);
    assert_eq!(two.wait(LONG).await, Woken::Rung);
    assert_eq!(other.wait(Duration::from_secs(5)).await, Woken::Swept);
}

#[tokio::test(start_paused = true)]
async fn rings_while_nobody_waits_collapse_into_one_and_none_is_forgotten() {
    let bell = Doorbell::local();
    let mut listener = bell.listen("events");
    for _ in 0..100 {
        bell.ring("events");
    }
    assert_eq!(listener.wait(LONG).await, Woken::Rung);
    assert_eq!(listener.wait(Duration::from_secs(1)).await, Woken::Swept);
}

#[test]
fn a_commit_rings_for_its_events_and_its_queues() {
    let bell = Doorbell::local();
    let (events, apply, other) = (
        bell.listen(EVENTS),
        bell.listen(&jobs_topic("apply")),
        bell.listen("jobs/ingest"),
    );
    bell.ring_for(&CommitNote {
        org: None,
        events: vec![domain::event::EventKind::PlanChanged],
        queues: vec!["apply".into()],
    });
    for (listener, rung) in [(&events, true), (&apply, true), (&other, false)] {
        assert_eq!(listener.receiver.has_changed().unwrap(), rung);
    }
}

#[test]
fn sweeps_differ_and_stay_within_their_bounds() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let draws: Vec<_> = (0..100).map(|_| Sweep::default().draw(&mut rng)).collect();
    assert!(
        draws
            .iter()
            .all(|draw| (Duration::from_secs(1)..=Duration::from_secs(5)).contains(draw))
    );
    assert!(draws.windows(2).any(|pair| pair[0] != pair[1]));
}

#[tokio::test]
async fn a_ring_on_one_node_wakes_another_through_redis() {
    let (url, namespace) = (testkit::redis_url(), testkit::namespace());
    let (one, two) = (
        Doorbell::redis(&url, &namespace).unwrap(),
        Doorbell::redis(&url, &namespace).unwrap(),
    );
    let stranger = Doorbell::redis(&url, &testkit::namespace()).unwrap();
    let (mut there, elsewhere) = (two.listen("events"), stranger.listen("events"));
    for bell in [&one, &two, &stranger] {
        assert!(bell.connected_within(testkit::PATIENCE).await);
        assert!(!bell.is_degraded());
    }
    // Becoming connected rings once for what may have been missed.
    there.receiver.mark_unchanged();
    one.ring("events");
    assert_eq!(there.wait(testkit::PATIENCE).await, Woken::Rung);
    assert!(
        !elsewhere.receiver.has_changed().unwrap() || elsewhere.receiver.borrow().eq(&1),
        "only its own connection rang"
    );
    for bell in [&one, &two, &stranger] {
        bell.close().await;
    }
}

#[tokio::test]
async fn without_redis_the_bell_rings_at_home_and_the_sweep_finds_the_rest() {
    let url = testkit::dead_redis_url();
    let (here, there) = (
        Doorbell::redis(&url, "away").unwrap(),
        Doorbell::redis(&url, "away").unwrap(),
    );
    assert!(here.is_degraded());
    let (mut at_home, mut far_away) = (here.listen("events"), there.listen("events"));
    for _ in 0..1_000 {
        here.ring("events");
    }
    assert_eq!(at_home.wait(LONG).await, Woken::Rung);
    assert_eq!(far_away.wait(Duration::from_millis(50)).await, Woken::Swept);
}

#[tokio::test]
async fn a_redis_that_returns_is_used_again_and_rings_for_what_was_missed() {
    let server = testkit::RedisServer::start();
    let (one, two) = (
        Doorbell::redis(server.url(), "back").unwrap(),
        Doorbell::redis(server.url(), "back").unwrap(),
    );
    for bell in [&one, &two] {
        assert!(bell.connected_within(testkit::PATIENCE).await);
    }
    let mut listener = two.listen("events");
    let server = server.restart(|| {
        one.ring("events");
    });
    assert_eq!(
        listener.wait(testkit::PATIENCE).await,
        Woken::Rung,
        "rung on its return"
    );
    for bell in [&one, &two] {
        assert!(bell.connected_within(testkit::PATIENCE).await);
    }
    listener.receiver.mark_unchanged();
    // The other node may still be subscribing again: a bell may be lost, a sweep later it is rung anew.
    let mut woken = Woken::Swept;
    for _ in 0..100 {
        one.ring("events");
        woken = listener.wait(Duration::from_millis(100)).await;
        if woken == Woken::Rung {
            break;
        }
    }
    assert_eq!(woken, Woken::Rung);
    drop(server);
}
