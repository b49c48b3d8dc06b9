//! Dynamic children, and starts that fail.

use super::*;

#[tokio::test(start_paused = true)]
async fn dynamic_children_come_and_go_by_name() {
    let (sender, _journal) = mpsc::unbounded_channel();
    let root = Root::start(
        host("dynamic"),
        SupervisorSpec::new(Strategy::OneForOne).max_children(2),
    )
    .await
    .unwrap();
    let make = |name: &'static str| {
        let sender = sender.clone();
        ChildSpec::actor(name, 4, move || Probe::new(name, sender.clone()))
    };
    let supervisor = root.supervisor();
    supervisor.start_child(make("x").0).await.unwrap();
    assert!(matches!(
        supervisor.start_child(make("x").0).await,
        Err(Error::DuplicateActor { .. })
    ));
    let (temporary, probe) = make("y");
    supervisor
        .start_child(temporary.restart(Restart::Temporary))
        .await
        .unwrap();
    assert!(matches!(
        supervisor.start_child(make("z").0).await,
        Err(Error::TooManyChildren { .. })
    ));
    probe.tell(ProbeMsg::Panic("gone".into())).unwrap();
    wait_until(root.tree(), |nodes| {
        nodes.iter().all(|node| node.path != "root/y")
    })
    .await;
    assert_eq!(supervisor.children().await.unwrap(), ["x"]);
    assert_eq!(
        supervisor.history().await.unwrap().last().unwrap().decision,
        Decision::Leave
    );
    assert_eq!(
        supervisor.stop_child("x").await.unwrap(),
        StopOutcome::Stopped
    );
    assert!(matches!(
        supervisor.stop_child("x").await,
        Err(Error::UnknownActor { .. })
    ));
    supervisor.start_child(make("x").0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_child_can_be_restarted_by_hand_without_counting_as_a_failure() {
    let three = Three::start(
        |spec| spec.intensity(0, Duration::from_secs(60)),
        Strategy::OneForOne,
    )
    .await;
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
        if self.refuses.load(Ordering::SeqCst) {
            Err("not today".into())
        } else {
            Ok(())
        }
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
    let (child, picky) = ChildSpec::actor("picky", 4, move || Picky {
        refuses: Arc::clone(&told),
    });
    let spec = SupervisorSpec::new(Strategy::OneForOne)
        .child(child)
        .intensity(100, Duration::from_secs(60));
    let root = Root::start(host("picky"), spec).await.unwrap();
    refuses.store(true, Ordering::SeqCst);
    picky.tell(()).unwrap();
    wait_for_node(root.tree(), "root", |node| {
        node.observed["restarts_in_window"].as_u64() >= Some(4)
    })
    .await;
    refuses.store(false, Ordering::SeqCst);
    wait_for_node(root.tree(), "root/picky", |node| {
        node.status == Status::Running && node.restarts == 1
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_fails_stops_what_had_started_and_says_why() {
    let (sender, mut journal) = mpsc::unbounded_channel();
    let (first, _) = ChildSpec::actor("first", 4, move || Probe::new("first", sender.clone()));
    let (picky, _) = ChildSpec::actor("picky", 4, || Picky {
        refuses: Arc::new(AtomicBool::new(true)),
    });
    let error = Root::start(
        host("refused"),
        SupervisorSpec::new(Strategy::OneForOne)
            .child(first)
            .child(picky),
    )
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
    let root = Root::start(host("endless"), SupervisorSpec::new(Strategy::OneForOne))
        .await
        .unwrap();
    let (child, _) = ChildSpec::actor("endless", 4, || Endless);
    let begun = Instant::now();
    let error = root
        .supervisor()
        .start_child(child.start_timeout(Duration::from_secs(5)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::StartFailed { .. }));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert!(root.supervisor().children().await.unwrap().is_empty());
}
