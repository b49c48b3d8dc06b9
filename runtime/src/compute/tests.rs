//! Each promise of the compute pools.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::Classify;

use super::*;
use crate::{
    shutdown::Root,
    supervisor::{Backoff, Strategy, SupervisorSpec},
    testkit::{host, wait_for_node},
    tree::Status,
};

async fn pools(specs: &[PoolSpec]) -> (Root, Compute) {
    let (compute, children) = Compute::new(specs);
    let spec = SupervisorSpec::new(Strategy::OneForOne)
        .backoff(Backoff::constant(Duration::from_millis(1)));
    let spec = children.into_iter().fold(spec, SupervisorSpec::child);
    (Root::start(host("compute"), spec).await.unwrap(), compute)
}

/// Holds threads until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

async fn until(root: &Root, wanted: impl Fn(&serde_json::Value) -> bool) {
    // Progress of threads is no change of the tree: look again as time goes by.
    let tree = root.tree().clone();
    let waiting = async {
        while !wanted(&tree.node("root/analysis").unwrap().observed) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::testkit::PATIENCE, waiting)
        .await
        .expect("the pool never became as wanted");
}

#[tokio::test]
async fn a_result_comes_back_and_is_counted() {
    let (root, compute) = pools(&[PoolSpec::new("analysis", 1, 4)]).await;
    assert_eq!(
        compute.run("analysis", "sum", |_| 20 + 22).await.unwrap(),
        42
    );
    until(&root, |pool| pool["done"] == 1).await;
    assert_eq!(
        compute
            .run("painting", "x", |_| ())
            .await
            .unwrap_err()
            .code(),
        "compute.unknown_role"
    );
}

#[tokio::test]
async fn no_more_tasks_run_at_once_than_there_are_permits() {
    let (_root, compute) = pools(&[PoolSpec::new("analysis", 2, 32)]).await;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks = (0..12).map(|_| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        compute.run("analysis", "count", move |_| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
        })
    });
    for outcome in futures::future::join_all(tasks).await {
        outcome.unwrap();
    }
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?}");
}

#[tokio::test]
async fn a_full_pool_refuses_and_shows_what_it_holds() {
    let (root, compute) = pools(&[PoolSpec::new("analysis", 1, 1)]).await;
    let gate = Gate::default();
    let begin = |label: &'static str| {
        let (compute, gate) = (compute.clone(), gate.clone());
        tokio::spawn(async move { compute.run("analysis", label, move |_| gate.pass()).await })
    };
    let first = begin("first");
    until(&root, |pool| {
        pool["running"]
            .as_array()
            .is_some_and(|running| running.len() == 1)
    })
    .await;
    let second = begin("second");
    until(&root, |pool| {
        pool["waiting"] == serde_json::json!(["second"])
    })
    .await;
    let refused = compute.run("analysis", "third", |_| ()).await.unwrap_err();
    assert_eq!(refused.code(), "compute.busy");
    assert_eq!(compute.load("analysis").unwrap().refused, 1);
    gate.open();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn dropping_the_future_cancels_the_task_and_frees_its_place() {
    let (root, compute) = pools(&[PoolSpec::new("analysis", 1, 4)]).await;
    let saw_cancel = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&saw_cancel);
    let spinning = compute.clone();
    let caller = tokio::spawn(async move {
        spinning
            .run("analysis", "spin", move |task| {
                task.progress(0.25, "spinning");
                while !task.is_cancelled() {
                    std::thread::yield_now();
                }
                told.store(true, Ordering::SeqCst);
            })
            .await
    });
    until(&root, |pool| {
        pool["running"][0]["progress"] == 0.25 && pool["running"][0]["note"] == "spinning"
    })
    .await;
    caller.abort();
    until(&root, |pool| pool["cancelled"] == 1).await;
    assert!(saw_cancel.load(Ordering::SeqCst));
    assert_eq!(compute.run("analysis", "next", |_| 1).await.unwrap(), 1);
}

#[tokio::test]
async fn a_waiting_task_whose_caller_left_never_runs() {
    let (root, compute) = pools(&[PoolSpec::new("analysis", 1, 4)]).await;
    let gate = Gate::default();
    let held = gate.clone();
    let holding = compute.clone();
    let first =
        tokio::spawn(async move { holding.run("analysis", "first", move |_| held.pass()).await });
    until(&root, |pool| {
        pool["running"]
            .as_array()
            .is_some_and(|running| running.len() == 1)
    })
    .await;
    let ran = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ran);
    let waiting = compute.clone();
    let second = tokio::spawn(async move {
        waiting
            .run("analysis", "second", move |_| {
                told.store(true, Ordering::SeqCst)
            })
            .await
    });
    until(&root, |pool| {
        pool["waiting"] == serde_json::json!(["second"])
    })
    .await;
    second.abort();
    let _ = second.await;
    gate.open();
    first.await.unwrap().unwrap();
    compute.run("analysis", "third", |_| ()).await.unwrap();
    assert!(!ran.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_panic_is_reported_to_its_caller_and_hurts_nobody_else() {
    let (root, compute) = pools(&[PoolSpec::new("analysis", 1, 4)]).await;
    let error = compute
        .run("analysis", "bad", |_| -> u32 { panic!("no such column") })
        .await
        .unwrap_err();
    assert_eq!(error.code(), "runtime.panicked");
    assert!(error.to_string().contains("no such column"));
    until(&root, |pool| pool["panicked"] == 1).await;
    assert_eq!(compute.run("analysis", "good", |_| 5).await.unwrap(), 5);
    assert_eq!(root.tree().node("root/analysis").unwrap().restarts, 0);
}

#[tokio::test]
async fn a_killed_pool_cancels_its_tasks_and_its_next_life_takes_over_without_exceeding_the_permits()
 {
    let (root, compute) = pools(&[PoolSpec::new("analysis", 1, 4)]).await;
    let gate = Gate::default();
    let held = gate.clone();
    let holding = compute.clone();
    let zombie = tokio::spawn(async move {
        holding
            .run("analysis", "zombie", move |task| {
                held.pass();
                task.is_cancelled()
            })
            .await
    });
    until(&root, |pool| {
        pool["running"]
            .as_array()
            .is_some_and(|running| running.len() == 1)
    })
    .await;
    root.tree().kill("root/analysis").unwrap();
    wait_for_node(root.tree(), "root/analysis", |node| {
        node.restarts == 1 && node.status == Status::Running
    })
    .await;
    let next = compute.clone();
    let after = tokio::spawn(async move { next.run("analysis", "after", |_| 7).await });
    until(&root, |pool| {
        pool["waiting"] == serde_json::json!(["after"])
    })
    .await;
    gate.open();
    assert!(
        zombie.await.unwrap().unwrap(),
        "the task of the dead pool was told to stop"
    );
    assert_eq!(after.await.unwrap().unwrap(), 7);
}
