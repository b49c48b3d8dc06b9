//! Ordered ends within budgets.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_shutdown_stops_in_reverse_order_and_leaves_nothing() {
    let mut three = Three::start(unchanged, Strategy::OneForOne).await;
    let report = three.root.shutdown(Duration::from_secs(30)).await;
    assert!(report.was_orderly, "{report:?}");
    assert_eq!(three.entries(), ["c stop", "b stop", "a stop"]);
    assert_nothing_left(three.root.tree());
    assert!(
        three
            .root
            .shutdown(Duration::from_secs(30))
            .await
            .was_orderly
    );
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_stop_in_its_budget_is_killed_and_the_others_still_stop_in_order() {
    let (sender, mut journal) = mpsc::unbounded_channel();
    let mut spec = SupervisorSpec::new(Strategy::OneForOne);
    for name in ["a", "stubborn", "c"] {
        let sender = sender.clone();
        let (child, _) = ChildSpec::actor(name, 4, move || {
            let probe = Probe::new(name, sender.clone());
            if name == "stubborn" {
                probe.hanging_at_stop()
            } else {
                probe
            }
        });
        spec = spec.child(child.stop_budget(StopBudget {
            drain: Duration::ZERO,
            stop: Duration::from_secs(2),
        }));
    }
    let root = Root::start(host("stubborn"), spec).await.unwrap();
    entries(&mut journal);
    let report = root.shutdown(Duration::from_secs(30)).await;
    assert_eq!(entries(&mut journal), ["c stop", "a stop"]);
    assert_eq!(report.forced, ["root/stubborn"]);
    assert!(!report.was_orderly);
    assert!((2_000..2_500).contains(&report.elapsed_ms), "{report:?}");
    let exit = root
        .tree()
        .node("root/stubborn")
        .unwrap()
        .last_exit
        .unwrap();
    assert_eq!(exit.class, ExitClass::Killed);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_keeps_its_deadline_even_when_the_budgets_add_up_to_more() {
    let (sender, _journal) = mpsc::unbounded_channel();
    let mut spec = SupervisorSpec::new(Strategy::OneForOne);
    for name in ["a", "b", "c", "d"] {
        let sender = sender.clone();
        let (child, _) = ChildSpec::actor(name, 4, move || {
            Probe::new(name, sender.clone()).hanging_at_stop()
        });
        spec = spec.child(child.stop_budget(StopBudget {
            drain: Duration::ZERO,
            stop: Duration::from_secs(20),
        }));
    }
    let root = Root::start(host("late"), spec).await.unwrap();
    let report = root.shutdown(Duration::from_secs(30)).await;
    assert!(report.elapsed_ms <= 31_000, "{report:?}");
    assert!(!report.was_orderly);
    root.ended().await;
}

#[tokio::test(start_paused = true)]
async fn draining_works_off_the_mailbox_and_stopping_alone_does_not() {
    for (drain, expected) in [
        (Duration::from_secs(5), StopOutcome::Drained),
        (Duration::ZERO, StopOutcome::Stopped),
    ] {
        let (sender, _journal) = mpsc::unbounded_channel();
        let root = Root::start(host("drain"), SupervisorSpec::new(Strategy::OneForOne))
            .await
            .unwrap();
        let (child, probe) =
            ChildSpec::actor("worker", 16, move || Probe::new("worker", sender.clone()));
        let child = child.stop_budget(StopBudget {
            drain,
            stop: Duration::from_secs(1),
        });
        root.supervisor().start_child(child).await.unwrap();
        let (open, gate) = tokio::sync::oneshot::channel();
        probe.tell(ProbeMsg::WaitFor(gate)).unwrap();
        wait_for_node(root.tree(), "root/worker", |node| node.busy_since.is_some()).await;
        let asked: Vec<_> = (0..3)
            .map(|_| {
                let probe = probe.clone();
                tokio::spawn(
                    async move { probe.ask(ProbeMsg::Count, Duration::from_secs(60)).await },
                )
            })
            .collect();
        while probe.len() < 4 {
            tokio::task::yield_now().await;
        }
        let supervisor = root.supervisor().clone();
        let stopping = tokio::spawn(async move { supervisor.stop_child("worker").await });
        // One thread, no timers: after these turns the supervisor has taken the order and waits for the worker.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        open.send(()).unwrap();
        assert_eq!(stopping.await.unwrap().unwrap(), expected);
        let mut answered = 0;
        for ask in asked {
            answered += usize::from(ask.await.unwrap().is_ok());
        }
        assert_eq!(answered, if drain.is_zero() { 0 } else { 3 });
        assert!(
            root.tree().node("root/worker").is_none(),
            "a dynamic child is forgotten"
        );
    }
}
