//! Who gets another life, with whom, when, and how often.

use super::*;

#[tokio::test(start_paused = true)]
async fn one_for_one_restarts_a_killed_child_and_leaves_its_siblings_alone() {
    let mut three = Three::start(unchanged, Strategy::OneForOne).await;
    three.root.tree().kill("root/b").unwrap();
    three.restarted("b", 1).await;
    assert_eq!(three.entries(), ["b start"]);
    assert_eq!(three.restarts(), [0, 1, 0]);
    let exit = three.root.tree().node("root/b").unwrap().last_exit.unwrap();
    assert_eq!(exit.class, ExitClass::Killed);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_later_ones_in_order_and_not_the_earlier() {
    let mut three = Three::start(unchanged, Strategy::RestForOne).await;
    three.probes[1]
        .tell(ProbeMsg::Fail("broken".into()))
        .unwrap();
    three.restarted("c", 1).await;
    assert_eq!(three.entries(), ["c stop", "b start", "c start"]);
    assert_eq!(three.restarts(), [0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_for_all_stops_in_reverse_and_starts_all_in_order() {
    let mut three = Three::start(unchanged, Strategy::OneForAll).await;
    three.probes[1]
        .tell(ProbeMsg::Panic("boom".into()))
        .unwrap();
    three.restarted("c", 1).await;
    assert_eq!(
        three.entries(),
        ["c stop", "a stop", "a start", "b start", "c start"]
    );
    let exit = three.root.tree().node("root/b").unwrap().last_exit.unwrap();
    assert_eq!(exit.class, ExitClass::Failed);
    assert!(exit.reason.unwrap().contains("boom"));
}

#[tokio::test(start_paused = true)]
async fn a_second_failure_while_the_group_waits_still_starts_each_child_once() {
    let mut three = Three::start(unchanged, Strategy::RestForOne).await;
    three.root.tree().kill("root/c").unwrap();
    wait_for_node(three.root.tree(), "root/c", |node| {
        node.status == Status::Restarting
    })
    .await;
    three.root.tree().kill("root/a").unwrap();
    three.restarted("c", 1).await;
    assert_eq!(three.entries(), ["b stop", "a start", "b start", "c start"]);
}

#[tokio::test(start_paused = true)]
async fn a_reference_reaches_the_next_life_and_state_begins_anew() {
    let three = Three::start(unchanged, Strategy::OneForOne).await;
    let probe = &three.probes[0];
    probe.tell(ProbeMsg::Poke).unwrap();
    assert_eq!(
        probe
            .ask(ProbeMsg::Count, Duration::from_secs(1))
            .await
            .unwrap(),
        1
    );
    three.root.tree().kill("root/a").unwrap();
    three.restarted("a", 1).await;
    assert_eq!(
        probe
            .ask(ProbeMsg::Count, Duration::from_secs(1))
            .await
            .unwrap(),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_returns_after_a_kill_and_stays_away_after_a_normal_end() {
    let transient = |mut spec: SupervisorSpec| {
        spec.children[0].restart = Restart::Transient;
        spec
    };
    let three = Three::start(transient, Strategy::OneForOne).await;
    three.root.tree().kill("root/a").unwrap();
    three.restarted("a", 1).await;
    three.probes[0].tell(ProbeMsg::Finish).unwrap();
    let node = wait_for_node(three.root.tree(), "root/a", |node| {
        node.status == Status::Stopped
    })
    .await;
    assert_eq!(node.last_exit.unwrap().class, ExitClass::Normal);
    assert_eq!(three.restarts(), [1, 0, 0]);
    assert!(matches!(
        three.probes[0].tell(ProbeMsg::Poke),
        Err(Error::NotRunning { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_permanent_child_returns_even_after_a_normal_end() {
    let three = Three::start(unchanged, Strategy::OneForOne).await;
    three.probes[2].tell(ProbeMsg::Finish).unwrap();
    three.restarted("c", 1).await;
}

#[tokio::test(start_paused = true)]
async fn each_failure_in_a_row_waits_longer_up_to_the_longest() {
    let backoff = Backoff {
        first: Duration::from_millis(100),
        longest: Duration::from_millis(350),
        factor: 2.0,
        jitter: 0.0,
        forget_after: Duration::from_secs(60),
    };
    let three = Three::start(|spec| spec.backoff(backoff), Strategy::OneForOne).await;
    let mut waited = Vec::new();
    for life in 1..=4 {
        let failed_at = Instant::now();
        three.probes[0]
            .tell(ProbeMsg::Fail("again".into()))
            .unwrap();
        three.restarted("a", life).await;
        waited.push(failed_at.elapsed().as_millis());
    }
    assert_eq!(waited, [100, 200, 350, 350]);
    // A long life forgets.
    tokio::time::advance(Duration::from_secs(61)).await;
    let failed_at = Instant::now();
    three.probes[0]
        .tell(ProbeMsg::Fail("much later".into()))
        .unwrap();
    three.restarted("a", 5).await;
    assert_eq!(failed_at.elapsed().as_millis(), 100);
}

#[test]
fn jitter_only_shortens_a_delay_and_is_the_same_for_the_same_seed() {
    let backoff = Backoff::default();
    let delays = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (1..20)
            .map(|failures| backoff.delay(failures, &mut rng))
            .collect::<Vec<_>>()
    };
    assert_eq!(delays(1), delays(1));
    assert_ne!(delays(1), delays(2));
    for (failures, delay) in (1..).zip(delays(3)) {
        let full = backoff
            .first
            .mul_f64(2_f64.powi(failures - 1))
            .min(backoff.longest);
        assert!(
            delay <= full && delay >= full.mul_f64(0.75),
            "{failures}: {delay:?}"
        );
    }
    assert_eq!(
        Backoff {
            jitter: 0.0,
            ..backoff
        }
        .delay(u32::MAX, &mut ChaCha8Rng::seed_from_u64(1)),
        backoff.longest
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_restarts_within_the_window_escalate_after_an_ordered_stop() {
    let mut three = Three::start(
        |spec| spec.intensity(2, Duration::from_secs(60)),
        Strategy::OneForOne,
    )
    .await;
    for life in 1..=2 {
        three.root.tree().kill("root/a").unwrap();
        three.restarted("a", life).await;
    }
    three.entries();
    three.root.tree().kill("root/a").unwrap();
    three.root.ended().await;
    assert_eq!(three.entries(), ["c stop", "b stop"]);
    assert_eq!(
        three.root.tree().node("root").unwrap().status,
        Status::Failed
    );
}

#[tokio::test(start_paused = true)]
async fn restarts_spread_wider_than_the_window_never_escalate() {
    let three = Three::start(
        |spec| spec.intensity(1, Duration::from_secs(10)),
        Strategy::OneForOne,
    )
    .await;
    for life in 1..=5 {
        three.root.tree().kill("root/a").unwrap();
        three.restarted("a", life).await;
        tokio::time::advance(Duration::from_secs(11)).await;
    }
    assert_eq!(
        three.root.tree().node("root").unwrap().status,
        Status::Running
    );
}

#[tokio::test(start_paused = true)]
async fn an_escalating_supervisor_is_restarted_by_its_own_with_fresh_children() {
    let (sender, mut journal) = mpsc::unbounded_channel();
    let (inner, probe) = ChildSpec::actor("inner", 4, move || Probe::new("inner", sender.clone()));
    let quick = Backoff::constant(Duration::from_millis(10));
    let nested = SupervisorSpec::new(Strategy::OneForOne)
        .child(inner)
        .backoff(quick)
        .intensity(0, Duration::from_secs(60));
    let (middle, _) = ChildSpec::supervisor("middle", nested);
    let root = Root::start(
        host("nested"),
        SupervisorSpec::new(Strategy::OneForOne)
            .child(middle)
            .backoff(quick),
    )
    .await
    .unwrap();
    probe.tell(ProbeMsg::Fail("once".into())).unwrap();
    wait_for_node(root.tree(), "root/middle", |node| {
        node.restarts == 1 && node.status == Status::Running
    })
    .await;
    wait_for_node(root.tree(), "root/middle/inner", |node| {
        node.status == Status::Running
    })
    .await;
    assert_eq!(entries(&mut journal), ["inner start", "inner start"]);
    probe.tell(ProbeMsg::Poke).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_critical_child_that_ends_for_good_takes_its_supervisor_with_it() {
    let critical = |mut spec: SupervisorSpec| {
        let first = spec.children.remove(0);
        spec.children
            .insert(0, first.restart(Restart::Temporary).critical());
        spec
    };
    let three = Three::start(critical, Strategy::OneForOne).await;
    three.probes[0].tell(ProbeMsg::Finish).unwrap();
    three.root.ended().await;
    assert_eq!(
        three.root.tree().node("root/b").unwrap().status,
        Status::Stopped
    );
}
