//! What others see: mailboxes, sinks, the tree.

use super::*;

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
    assert!(matches!(
        probe
            .tell_within(ProbeMsg::Poke, Duration::from_secs(1))
            .await,
        Err(Error::Overloaded { .. })
    ));
    assert_eq!((probe.len(), probe.refused()), (4, 2));
    // Its death gives every place back.
    three.root.tree().kill("root/a").unwrap();
    three.restarted("a", 1).await;
    assert!(probe.is_empty());
    assert_eq!(
        probe
            .ask(ProbeMsg::Count, Duration::from_secs(1))
            .await
            .unwrap(),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_question_times_out_and_a_dying_actor_answers_with_an_error() {
    let three = Three::start(unchanged, Strategy::OneForOne).await;
    let probe = &three.probes[0];
    probe.tell(ProbeMsg::Hang).unwrap();
    let timeout = probe
        .ask(ProbeMsg::Count, Duration::from_secs(2))
        .await
        .unwrap_err();
    assert!(matches!(timeout, Error::Timeout { .. }));
    let (killer, asker) = (three.root.tree().clone(), probe.clone());
    let asked =
        tokio::spawn(async move { asker.ask(ProbeMsg::Count, Duration::from_secs(60)).await });
    while probe.len() < 3 {
        tokio::task::yield_now().await;
    }
    killer.kill("root/a").unwrap();
    assert!(matches!(
        asked.await.unwrap(),
        Err(Error::NotRunning { .. })
    ));
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
    let spec = SupervisorSpec::new(Strategy::OneForOne)
        .child(child)
        .intensity(1, Duration::from_secs(60));
    let root = Root::start(host("sink").with_sink(kept.clone()), spec)
        .await
        .unwrap();
    probe.tell(ProbeMsg::Fail("first".into())).unwrap();
    wait_for_node(root.tree(), "root/a", |node| {
        node.restarts == 1 && node.status == Status::Running
    })
    .await;
    root.tree().kill("root/a").unwrap();
    root.ended().await;
    let records = kept.0.lock().unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(
        (records[0].exit.class, records[1].exit.class),
        (ExitClass::Failed, ExitClass::Killed)
    );
    assert!(matches!(records[0].decision, Decision::Restart { .. }));
    assert_eq!(records[1].decision, Decision::Escalate);
    assert_eq!(
        (records[0].runtime.as_str(), records[0].path.as_str()),
        ("sink", "root/a")
    );
}

#[tokio::test(start_paused = true)]
async fn several_runtimes_with_the_same_names_live_side_by_side() {
    let one = Three::start(unchanged, Strategy::OneForOne).await;
    let two = Three::start(unchanged, Strategy::OneForOne).await;
    one.root.tree().kill("root/a").unwrap();
    one.restarted("a", 1).await;
    assert_eq!(two.restarts(), [0, 0, 0]);
    assert!(one.root.shutdown(Duration::from_secs(5)).await.was_orderly);
    assert_eq!(
        two.root.tree().node("root/a").unwrap().status,
        Status::Running
    );
}

#[tokio::test(start_paused = true)]
async fn the_tree_reads_as_json_with_children_under_their_supervisor() {
    let three = Three::start(unchanged, Strategy::OneForOne).await;
    three.probes[0].tell(ProbeMsg::Poke).unwrap();
    wait_for_node(three.root.tree(), "root/a", |node| {
        node.handled == 1 && node.busy_since.is_none()
    })
    .await;
    let shown = serde_json::to_value(three.root.tree().nested()).unwrap();
    assert_eq!(shown[0]["path"], "root");
    assert_eq!(shown[0]["kind"], "supervisor");
    assert_eq!(shown[0]["children"][0]["name"], "a");
    assert_eq!(shown[0]["children"][0]["observed"]["count"], 1);
    assert_eq!(shown[0]["children"][0]["status"], "running");
    assert_eq!(shown[0]["children"].as_array().unwrap().len(), 3);
}
