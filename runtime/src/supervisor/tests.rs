//! Each promise of the supervisor, on tokio's paused clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use tokio::{sync::mpsc, time::Instant};

use super::*;
use crate::{
    actor::{Behaviour, Context, Failure},
    shutdown::Root,
    testkit::{Probe, ProbeMsg, assert_nothing_left, entries, host, wait_for_node, wait_until},
    tree::{ExitClass, Status},
};

type Journal = mpsc::UnboundedReceiver<String>;

struct Three {
    root: Root,
    probes: Vec<BoundedRef<ProbeMsg>>,
    journal: Journal,
}

impl Three {
    /// Supervisor `root` over the probes a, b and c.
    async fn start(adjust: impl FnOnce(SupervisorSpec) -> SupervisorSpec, strategy: Strategy) -> Self {
        let (sender, journal) = mpsc::unbounded_channel();
        let mut spec = SupervisorSpec::new(strategy).backoff(Backoff::constant(Duration::from_millis(100)));
        let mut probes = Vec::new();
        for name in ["a", "b", "c"] {
            let sender = sender.clone();
            let (child, probe) = ChildSpec::actor(name, 4, move || Probe::new(name, sender.clone()));
            spec = spec.child(child);
            probes.push(probe);
        }
        let root = Root::start(host("three"), adjust(spec)).await.unwrap();
        let mut three = Self { root, probes, journal };
        assert_eq!(three.entries(), ["a start", "b start", "c start"]);
        three
    }

    fn entries(&mut self) -> Vec<String> {
        entries(&mut self.journal)
    }

    async fn restarted(&self, name: &str, times: u32) {
        let path = format!("root/{name}");
        wait_for_node(self.root.tree(), &path, |node| node.restarts == times && node.status == Status::Running).await;
    }

    fn restarts(&self) -> Vec<u32> {
        ["a", "b", "c"].iter().map(|name| self.root.tree().node(&format!("root/{name}")).unwrap().restarts).collect()
    }
}

fn unchanged(spec: SupervisorSpec) -> SupervisorSpec {
    spec
}

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
    three.probes[1].tell(ProbeMsg::Fail("broken".into())).unwrap();
    three.restarted("c", 1).await;
    assert_eq!(three.entries(), ["c stop", "b start", "c start"]);
    assert_eq!(three.restarts(), [0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_for_all_stops_in_reverse_and_starts_all_in_order() {
    let mut three = Three::start(unchanged, Strategy::OneForAll).await;
    three.probes[1].tell(ProbeMsg::Panic("boom".into())).unwrap();
    three.restarted("c", 1).await;
    assert_eq!(three.entries(), ["c stop", "a stop", "a start", "b start", "c start"]);
    let exit = three.root.tree().node("root/b").unwrap().last_exit.unwrap();
    assert_eq!(exit.class, ExitClass::Failed);
    assert!(exit.reason.unwrap().contains("boom"));
}

#[tokio::test(start_paused = true)]
async fn a_second_failure_while_the_group_waits_still_starts_each_child_once() {
    let mut three = Three::start(unchanged, Strategy::RestForOne).await;
    three.root.tree().kill("root/c").unwrap();
    wait_for_node(three.root.tree(), "root/c", |node| node.status == Status::Restarting).await;
    three.root.tree().kill("root/a").unwrap();
    three.restarted("c", 1).await;
    assert_eq!(three.entries(), ["b stop", "a start", "b start", "c start"]);
}

#[tokio::test(start_paused = true)]
async fn a_reference_reaches_the_next_life_and_state_begins_anew() {
    let three = Three::start(unchanged, Strategy::OneForOne).await;
    let probe = &three.probes[0];
    probe.tell(ProbeMsg::Poke).unwrap();
    assert_eq!(probe.ask(ProbeMsg::Count, Duration::from_secs(1)).await.unwrap(), 1);
    three.root.tree().kill("root/a").unwrap();
    three.restarted("a", 1).await;
    assert_eq!(probe.ask(ProbeMsg::Count, Duration::from_secs(1)).await.unwrap(), 0);
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
    let node = wait_for_node(three.root.tree(), "root/a", |node| node.status == Status::Stopped).await;
    assert_eq!(node.last_exit.unwrap().class, ExitClass::Normal);
    assert_eq!(three.restarts(), [1, 0, 0]);
    assert!(matches!(three.probes[0].tell(ProbeMsg::Poke), Err(Error::NotRunning { .. })));
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
        three.probes[0].tell(ProbeMsg::Fail("again".into())).unwrap();
        three.restarted("a", life).await;
        waited.push(failed_at.elapsed().as_millis());
    }
    assert_eq!(waited, [100, 200, 350, 350]);
    // A long life forgets.
    tokio::time::advance(Duration::from_secs(61)).await;
    let failed_at = Instant::now();
    three.probes[0].tell(ProbeMsg::Fail("much later".into())).unwrap();
    three.restarted("a", 5).await;
    assert_eq!(failed_at.elapsed().as_millis(), 100);
}

#[test]
fn jitter_only_shortens_a_delay_and_is_the_same_for_the_same_seed() {
    let backoff = Backoff::default();
    let delays = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (1..20).map(|failures| backoff.delay(failures, &mut rng)).collect::<Vec<_>>()
    };
    assert_eq!(delays(1), delays(1));
    assert_ne!(delays(1), delays(2));
    for (failures, delay) in (1..).zip(delays(3)) {
        let full = backoff.first.mul_f64(2_f64.powi(failures - 1)).min(backoff.longest);
        assert!(delay <= full && delay >= full.mul_f64(0.75), "{failures}: {delay:?}");
    }
    assert_eq!(Backoff { jitter: 0.0, ..backoff }.delay(u32::MAX, &mut ChaCha8Rng::seed_from_u64(1)), backoff.longest);
}

#[tokio::test(start_paused = true)]
async fn too_many_restarts_within_the_window_escalate_after_an_ordered_stop() {
    let mut three = Three::start(|spec| spec.intensity(2, Duration::from_secs(60)), Strategy::OneForOne).await;
    for life in 1..=2 {
        three.root.tree().kill("root/a").unwrap();
        three.restarted("a", life).await;
    }
    three.entries();
    three.root.tree().kill("root/a").unwrap();
    three.root.ended().await;
    assert_eq!(three.entries(), ["c stop", "b stop"]);
    assert_eq!(three.root.tree().node("root").unwrap().status, Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn restarts_spread_wider_than_the_window_never_escalate() {
    let three = Three::start(|spec| spec.intensity(1, Duration::from_secs(10)), Strategy::OneForOne).await;
    for life in 1..=5 {
        three.root.tree().kill("root/a").unwrap();
        three.restarted("a", life).await;
        tokio::time::advance(Duration::from_secs(11)).await;
    }
    assert_eq!(three.root.tree().node("root").unwrap().status, Status::Running);
}

#[tokio::test(start_paused = true)]
async fn an_escalating_supervisor_is_restarted_by_its_own_with_fresh_children() {
    let (sender, mut journal) = mpsc::unbounded_channel();
    let (inner, probe) = ChildSpec::actor("inner", 4, move || Probe::new("inner", sender.clone()));
    let quick = Backoff::constant(Duration::from_millis(10));
    let nested = SupervisorSpec::new(Strategy::OneForOne).child(inner).backoff(quick).intensity(0, Duration::from_secs(60));
    let (middle, _) = ChildSpec::supervisor("middle", nested);
    let root = Root::start(host("nested"), SupervisorSpec::new(Strategy::OneForOne).child(middle).backoff(quick)).await.unwrap();
    probe.tell(ProbeMsg::Fail("once".into())).unwrap();
    wait_for_node(root.tree(), "root/middle", |node| node.restarts == 1 && node.status == Status::Running).await;
    wait_for_node(root.tree(), "root/middle/inner", |node| node.status == Status::Running).await;
    assert_eq!(entries(&mut journal), ["inner start", "inner start"]);
    probe.tell(ProbeMsg::Poke).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_critical_child_that_ends_for_good_takes_its_supervisor_with_it() {
    let critical = |mut spec: SupervisorSpec| {
        let first = spec.children.remove(0);
        spec.children.insert(0, first.restart(Restart::Temporary).critical());
        spec
    };
    let three = Three::start(critical, Strategy::OneForOne).await;
    three.probes[0].tell(ProbeMsg::Finish).unwrap();
    three.root.ended().await;
    assert_eq!(three.root.tree().node("root/b").unwrap().status, Status::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_stops_in_reverse_order_and_leaves_nothing() {
    let mut three = Three::start(unchanged, Strategy::OneForOne).await;
    let report = three.root.shutdown(Duration::from_secs(30)).await;
    assert!(report.was_orderly, "{report:?}");
    assert_eq!(three.entries(), ["c stop", "b stop", "a stop"]);
    assert_nothing_left(three.root.tree());
    assert!(three.root.shutdown(Duration::from_secs(30)).await.was_orderly);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_stop_in_its_budget_is_killed_and_the_others_still_stop_in_order() {
    let (sender, mut journal) = mpsc::unbounded_channel();
    let mut spec = SupervisorSpec::new(Strategy::OneForOne);
    for name in ["a", "stubborn", "c"] {
        let sender = sender.clone();
        let (child, _) = ChildSpec::actor(name, 4, move || {
            let probe = Probe::new(name, sender.clone());
            if name == "stubborn" { probe.hanging_at_stop() } else { probe }
        });
        spec = spec.child(child.stop_budget(StopBudget { drain: Duration::ZERO, stop: Duration::from_secs(2) }));
    }
    let root = Root::start(host("stubborn"), spec).await.unwrap();
    entries(&mut journal);
    let report = root.shutdown(Duration::from_secs(30)).await;
    assert_eq!(entries(&mut journal), ["c stop", "a stop"]);
    assert_eq!(report.forced, ["root/stubborn"]);
    assert!(!report.was_orderly);
    assert!((2_000..2_500).contains(&report.elapsed_ms), "{report:?}");
    let exit = root.tree().node("root/stubborn").unwrap().last_exit.unwrap();
    assert_eq!(exit.class, ExitClass::Killed);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_keeps_its_deadline_even_when_the_budgets_add_up_to_more() {
    let (sender, _journal) = mpsc::unbounded_channel();
    let mut spec = SupervisorSpec::new(Strategy::OneForOne);
    for name in ["a", "b", "c", "d"] {
        let sender = sender.clone();
        let (child, _) = ChildSpec::actor(name, 4, move || Probe::new(name, sender.clone()).hanging_at_stop());
        spec = spec.child(child.stop_budget(StopBudget { drain: Duration::ZERO, stop: Duration::from_secs(20) }));
    }
    let root = Root::start(host("late"), spec).await.unwrap();
    let report = root.shutdown(Duration::from_secs(30)).await;
    assert!(report.elapsed_ms <= 31_000, "{report:?}");
    assert!(!report.was_orderly);
    root.ended().await;
}

#[tokio::test(start_paused = true)]
async fn draining_works_off_the_mailbox_and_stopping_alone_does_not() {
    for (drain, expected) in [(Duration::from_secs(5), StopOutcome::Drained), (Duration::ZERO, StopOutcome::Stopped)] {
        let (sender, _journal) = mpsc::unbounded_channel();
        let root = Root::start(host("drain"), SupervisorSpec::new(Strategy::OneForOne)).await.unwrap();
        let (child, probe) = ChildSpec::actor("worker", 16, move || Probe::new("worker", sender.clone()));
        let child = child.stop_budget(StopBudget { drain, stop: Duration::from_secs(1) });
        root.supervisor().start_child(child).await.unwrap();
        let (open, gate) = tokio::sync::oneshot::channel();
        probe.tell(ProbeMsg::WaitFor(gate)).unwrap();
        wait_for_node(root.tree(), "root/worker", |node| node.busy_since.is_some()).await;
        let asked: Vec<_> = (0..3)
            .map(|_| {
                let probe = probe.clone();
                tokio::spawn(async move { probe.ask(ProbeMsg::Count, Duration::from_secs(60)).await })
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
        assert!(root.tree().node("root/worker").is_none(), "a dynamic child is forgotten");
    }
}

#[tokio::test(start_paused = true)]
async fn dynamic_children_come_and_go_by_name() {
    let (sender, _journal) = mpsc::unbounded_channel();
    let root = Root::start(host("dynamic"), SupervisorSpec::new(Strategy::OneForOne).max_children(2)).await.unwrap();
    let make = |name: &'static str| {
        let sender = sender.clone();
        ChildSpec::actor(name, 4, move || Probe::new(name, sender.clone()))
    };
    let supervisor = root.supervisor();
    supervisor.start_child(make("x").0).await.unwrap();
    assert!(matches!(supervisor.start_child(make("x").0).await, Err(Error::DuplicateActor { .. })));
    let (temporary, probe) = make("y");
    supervisor.start_child(temporary.restart(Restart::Temporary)).await.unwrap();
    assert!(matches!(supervisor.start_child(make("z").0).await, Err(Error::TooManyChildren { .. })));
    probe.tell(ProbeMsg::Panic("gone".into())).unwrap();
    wait_until(root.tree(), |nodes| nodes.iter().all(|node| node.path != "root/y")).await;
    assert_eq!(supervisor.children().await.unwrap(), ["x"]);
    assert_eq!(supervisor.history().await.unwrap().last().unwrap().decision, Decision::Leave);
    assert_eq!(supervisor.stop_child("x").await.unwrap(), StopOutcome::Stopped);
    assert!(matches!(supervisor.stop_child("x").await, Err(Error::UnknownActor { .. })));
    supervisor.start_child(make("x").0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_child_can_be_restarted_by_hand_without_counting_as_a_failure() {
    let three = Three::start(|spec| spec.intensity(0, Duration::from_secs(60)), Strategy::OneForOne).await;
    three.root.supervisor().restart_child("b").await.unwrap();
    three.restarted("b", 1).await;
    assert_eq!(three.restarts(), [0, 1, 0]);
}

/// Fails to start while told to.
struct Picky {
    refuses: Arc<AtomicBool>,
}

impl Behaviour for Picky {
    type Msg = ();
    const KIND: &'static str = "picky";

    async fn start(&mut self, _ctx: &Context<()>) -> Result<(), Failure> {
        if self.refuses.load(Ordering::SeqCst) { Err("not today".into()) } else { Ok(()) }
    }

    async fn handle(&mut self, _ctx: &Context<()>, (): ()) -> Result<(), Failure> {
        Err("done for".into())
    }

    fn observe(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_to_start_backs_off_and_tries_again() {
    let refuses = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&refuses);
    let (child, picky) = ChildSpec::actor("picky", 4, move || Picky { refuses: Arc::clone(&told) });
    let spec = SupervisorSpec::new(Strategy::OneForOne).child(child).intensity(100, Duration::from_secs(60));
    let root = Root::start(host("picky"), spec).await.unwrap();
    refuses.store(true, Ordering::SeqCst);
    picky.tell(()).unwrap();
    wait_for_node(root.tree(), "root", |node| node.observed["restarts_in_window"].as_u64() >= Some(4)).await;
    refuses.store(false, Ordering::SeqCst);
    wait_for_node(root.tree(), "root/picky", |node| node.status == Status::Running && node.restarts == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_fails_stops_what_had_started_and_says_why() {
    let (sender, mut journal) = mpsc::unbounded_channel();
    let (first, _) = ChildSpec::actor("first", 4, move || Probe::new("first", sender.clone()));
    let (picky, _) = ChildSpec::actor("picky", 4, || Picky { refuses: Arc::new(AtomicBool::new(true)) });
    let error = Root::start(host("refused"), SupervisorSpec::new(Strategy::OneForOne).child(first).child(picky))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not today"), "{error}");
    assert_eq!(entries(&mut journal), ["first start", "first stop"]);
}

/// Never gets through its start.
struct Endless;

impl Behaviour for Endless {
    type Msg = ();
    const KIND: &'static str = "endless";

    async fn start(&mut self, _ctx: &Context<()>) -> Result<(), Failure> {
        std::future::pending().await
    }

    async fn handle(&mut self, _ctx: &Context<()>, (): ()) -> Result<(), Failure> {
        Ok(())
    }

    fn observe(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_is_given_up_after_its_timeout() {
    let root = Root::start(host("endless"), SupervisorSpec::new(Strategy::OneForOne)).await.unwrap();
    let (child, _) = ChildSpec::actor("endless", 4, || Endless);
    let begun = Instant::now();
    let error = root.supervisor().start_child(child.start_timeout(Duration::from_secs(5))).await.unwrap_err();
    assert!(matches!(error, Error::StartFailed { .. }));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert!(root.supervisor().children().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_and_counts_instead_of_queueing() {
    let three = Three::start(unchanged, Strategy::OneForOne).await;
    let probe = &three.probes[0];
    probe.tell(ProbeMsg::Hang).unwrap();
    for _ in 0..3 {
        probe.tell(ProbeMsg::Poke).unwrap();
    }
    let error = probe.tell(ProbeMsg::Poke).unwrap_err();
    assert_eq!(domain::Classify::code(&error), "runtime.overloaded");
    assert!(matches!(probe.tell_within(ProbeMsg::Poke, Duration::from_secs(1)).await, Err(Error::Overloaded { .. })));
    assert_eq!((probe.len(), probe.refused()), (4, 2));
    // Its death gives every place back.
    three.root.tree().kill("root/a").unwrap();
    three.restarted("a", 1).await;
    assert!(probe.is_empty());
    assert_eq!(probe.ask(ProbeMsg::Count, Duration::from_secs(1)).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_question_times_out_and_a_dying_actor_answers_with_an_error() {
    let three = Three::start(unchanged, Strategy::OneForOne).await;
    let probe = &three.probes[0];
    probe.tell(ProbeMsg::Hang).unwrap();
    let timeout = probe.ask(ProbeMsg::Count, Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(timeout, Error::Timeout { .. }));
    let (killer, asker) = (three.root.tree().clone(), probe.clone());
    let asked = tokio::spawn(async move { asker.ask(ProbeMsg::Count, Duration::from_secs(60)).await });
    while probe.len() < 3 {
        tokio::task::yield_now().await;
    }
    killer.kill("root/a").unwrap();
    assert!(matches!(asked.await.unwrap(), Err(Error::NotRunning { .. })));
}

#[tokio::test(start_paused = true)]
async fn every_end_reaches_the_sink_with_what_was_decided() {
    #[derive(Default)]
    struct Kept(std::sync::Mutex<Vec<RestartRecord>>);
    impl crate::host::RestartSink for Kept {
        fn record(&self, record: &RestartRecord) {
            self.0.lock().unwrap().push(record.clone());
        }
    }
    let kept = Arc::new(Kept::default());
    let (sender, _journal) = mpsc::unbounded_channel();
    let (child, probe) = ChildSpec::actor("a", 4, move || Probe::new("a", sender.clone()));
    let spec = SupervisorSpec::new(Strategy::OneForOne).child(child).intensity(1, Duration::from_secs(60));
    let root = Root::start(host("sink").with_sink(kept.clone()), spec).await.unwrap();
    probe.tell(ProbeMsg::Fail("first".into())).unwrap();
    wait_for_node(root.tree(), "root/a", |node| node.restarts == 1 && node.status == Status::Running).await;
    root.tree().kill("root/a").unwrap();
    root.ended().await;
    let records = kept.0.lock().unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].exit.class, records[1].exit.class), (ExitClass::Failed, ExitClass::Killed));
    assert!(matches!(records[0].decision, Decision::Restart { .. }));
    assert_eq!(records[1].decision, Decision::Escalate);
    assert_eq!((records[0].runtime.as_str(), records[0].path.as_str()), ("sink", "root/a"));
}

#[tokio::test(start_paused = true)]
async fn several_runtimes_with_the_same_names_live_side_by_side() {
    let one = Three::start(unchanged, Strategy::OneForOne).await;
    let two = Three::start(unchanged, Strategy::OneForOne).await;
    one.root.tree().kill("root/a").unwrap();
    one.restarted("a", 1).await;
    assert_eq!(two.restarts(), [0, 0, 0]);
    assert!(one.root.shutdown(Duration::from_secs(5)).await.was_orderly);
    assert_eq!(two.root.tree().node("root/a").unwrap().status, Status::Running);
}

#[tokio::test(start_paused = true)]
async fn the_tree_reads_as_json_with_children_under_their_supervisor() {
    let three = Three::start(unchanged, Strategy::OneForOne).await;
    three.probes[0].tell(ProbeMsg::Poke).unwrap();
    wait_for_node(three.root.tree(), "root/a", |node| node.handled == 1 && node.busy_since.is_none()).await;
    let shown = serde_json::to_value(three.root.tree().nested()).unwrap();
    assert_eq!(shown[0]["path"], "root");
    assert_eq!(shown[0]["kind"], "supervisor");
    assert_eq!(shown[0]["children"][0]["name"], "a");
    assert_eq!(shown[0]["children"][0]["observed"]["count"], 1);
    assert_eq!(shown[0]["children"][0]["status"], "running");
    assert_eq!(shown[0]["children"].as_array().unwrap().len(), 3);
}
