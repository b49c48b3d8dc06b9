//! Readiness and the watchdog.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta};
use domain::clock::ManualClock;
use tokio::sync::mpsc;

use super::*;
use crate::{
    shutdown::Root,
    supervisor::{Backoff, Strategy, SupervisorSpec},
    testkit::{Probe, ProbeMsg, host, host_at, wait_for_node},
    tree::{ExitClass, Status},
};

fn switch(
    value: bool,
) -> (
    Arc<AtomicBool>,
    impl Fn() -> std::future::Ready<Result<(), String>> + Send + Sync,
) {
    let flag = Arc::new(AtomicBool::new(value));
    let read = Arc::clone(&flag);
    let probe = move || {
        std::future::ready(if read.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err("away".to_owned())
        })
    };
    (flag, probe)
}

#[tokio::test(start_paused = true)]
async fn a_required_check_decides_readiness_and_an_optional_one_only_degrades() {
    let (database, probe_database) = switch(true);
    let (redis, probe_redis) = switch(true);
    let checks = vec![
        Check::required("storage", probe_database),
        Check::optional("redis", probe_redis),
    ];
    let (child, health) = Monitor::child("monitor", MonitorConfig::default(), checks);
    let _root = Root::start(
        host("health"),
        SupervisorSpec::new(Strategy::OneForOne).child(child),
    )
    .await
    .unwrap();
    assert!(health.readiness().is_ready && !health.readiness().is_degraded);
    redis.store(false, Ordering::SeqCst);
    let degraded = health
        .wait_for(Duration::from_secs(10), |state| state.is_degraded)
        .await
        .unwrap();
    assert!(degraded.is_ready);
    assert_eq!(degraded.checks[1].detail.as_deref(), Some("away"));
    database.store(false, Ordering::SeqCst);
    assert!(
        !health
            .wait_for(Duration::from_secs(10), |state| !state.is_ready)
            .await
            .unwrap()
            .is_ready
    );
    database.store(true, Ordering::SeqCst);
    redis.store(true, Ordering::SeqCst);
    health
        .wait_for(Duration::from_secs(10), |state| {
            state.is_ready && !state.is_degraded
        })
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_has_failed() {
    let checks = vec![Check::required("storage", std::future::pending)];
    let (child, health) = Monitor::child("monitor", MonitorConfig::default(), checks);
    let _root = Root::start(
        host("hung"),
        SupervisorSpec::new(Strategy::OneForOne).child(child),
    )
    .await
    .unwrap();
    let state = health.readiness();
    assert!(!state.is_ready);
    assert_eq!(
        state.checks[0].detail.as_deref(),
        Some("no answer within 3000 ms")
    );
}

#[tokio::test(start_paused = true)]
async fn an_actor_without_progress_is_killed_as_stuck_and_one_with_progress_is_not() {
    let clock = ManualClock::at(DateTime::UNIX_EPOCH);
    let (sender, _journal) = mpsc::unbounded_channel();
    let (stuck, stuck_ref) = {
        let sender = sender.clone();
        ChildSpec::actor("stuck", 4, move || Probe::new("stuck", sender.clone()))
    };
    let (idle, _) = ChildSpec::actor("idle", 4, move || Probe::new("idle", sender.clone()));
    let (monitor, health) = Monitor::child("monitor", MonitorConfig::default(), Vec::new());
    let spec = SupervisorSpec::new(Strategy::OneForOne)
        .backoff(Backoff::constant(Duration::from_millis(1)))
        .child(stuck)
        .child(idle)
        .child(monitor);
    let root = Root::start(host_at("watchdog", Arc::new(clock.clone())), spec)
        .await
        .unwrap();
    stuck_ref.tell(ProbeMsg::Hang).unwrap();
    wait_for_node(root.tree(), "root/stuck", |node| node.busy_since.is_some()).await;
    clock.advance(TimeDelta::seconds(100));
    health.look_now();
    wait_for_node(root.tree(), "root/monitor", |node| node.handled >= 1).await;
    assert_eq!(
        root.tree().node("root/stuck").unwrap().status,
        Status::Running
    );
    clock.advance(TimeDelta::seconds(100));
    health.look_now();
    let node = wait_for_node(root.tree(), "root/stuck", |node| node.restarts == 1).await;
    assert_eq!(node.last_exit.unwrap().class, ExitClass::Stuck);
    assert_eq!(root.tree().node("root/idle").unwrap().restarts, 0);
}
