//! The bus on both databases: order, exactly one effect, retries, dead letters, and several nodes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use domain::{event::NewEvent, job::JobState};
use futures::FutureExt;
use serde_json::json;
use storage::{SystemGrant, testkit::TestDatabase};

use super::*;
use crate::{
    shutdown::Root,
    supervisor::{Backoff, Strategy, SupervisorSpec},
    testkit::{self, PATIENCE, host, wait_for_node, wait_until},
    tree::Status,
};

/// Counts each event in a setting of the organisation, so that a doubled effect shows.
struct Tally {
    group: String,
    seen: Mutex<Vec<String>>,
    /// Keys that fail as often as this says.
    failures: AtomicU32,
    poison: String,
    panics: AtomicBool,
    woken: AtomicU32,
}

impl Tally {
    fn new(group: &str) -> Arc<Self> {
        Arc::new(Self {
            group: group.to_owned(),
            seen: Mutex::default(),
            failures: AtomicU32::new(0),
            poison: "poison".to_owned(),
            panics: AtomicBool::new(false),
            woken: AtomicU32::new(0),
        })
    }

    fn failing(group: &str, times: u32) -> Arc<Self> {
        let tally = Self::new(group);
        tally.failures.store(times, Ordering::SeqCst);
        tally
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Consumer for Tally {
    fn group(&self) -> &str {
        &self.group
    }

    fn wants(&self, kind: EventKind) -> bool {
        kind == EventKind::PlanChanged
    }

    fn handle<'a>(
        &'a self,
        unit: &'a Unit,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<(), storage::Error>> {
        async move {
            if event.key == self.poison && self.failures.load(Ordering::SeqCst) > 0 {
                self.failures.fetch_sub(1, Ordering::SeqCst);
                assert!(!self.panics.load(Ordering::SeqCst), "told to panic");
                return Err(domain::Error::invalid("test.poison", "cannot be digested").into());
            }
            // The effect: one job per delivery, told apart by a fresh key, so that a second delivery is a second row.
            let key = format!("{}:{}", event.body["number"], unit.fresh_id());
            let effect = domain::job::NewJob {
                queue: "effects".into(),
                kind: self.group.clone(),
                unique_key: key,
                payload: event.body.clone(),
                run_at: None,
                max_attempts: 1,
            };
            unit.jobs().enqueue(&effect).await?;
            Ok(())
        }
        .boxed()
    }

    fn committed(&self, event: &Event) {
        self.seen
            .lock()
            .unwrap()
            .push(format!("{}{}", event.key, event.body["number"]));
        self.woken.fetch_add(1, Ordering::SeqCst);
    }
}

/// Never sweeps within a test: what is found was rung for.
fn bell_only() -> Sweep {
    Sweep {
        shortest: Duration::from_secs(3_600),
        longest: Duration::from_secs(3_600),
    }
}

/// Sweeps at once: what is found needs no bell.
fn sweep_only() -> Sweep {
    Sweep {
        shortest: Duration::from_millis(20),
        longest: Duration::from_millis(40),
    }
}

fn config(sweep: Sweep) -> ConsumerConfig {
    ConsumerConfig {
        attempts: 3,
        first_retry: Duration::from_millis(10),
        sweep,
        ..ConsumerConfig::default()
    }
}

fn grant(org: OrgId) -> Grant {
    Principal::system(org).grant(Permission::RunWrite).unwrap()
}

fn bus(db: &TestDatabase, bell: Doorbell) -> Bus {
    let storage: Storage = (**db).clone();
    let system = storage.system(SystemGrant::for_app());
    Bus::new(storage, system, bell)
}

async fn start(bus: &Bus, name: &str, consumer: Arc<dyn Consumer>, config: ConsumerConfig) -> Root {
    let (children, _) = bus.consumer(consumer, config);
    let spec = SupervisorSpec::new(Strategy::OneForOne)
        .backoff(Backoff::constant(Duration::from_millis(1)));
    Root::start(
        host(name),
        children.into_iter().fold(spec, SupervisorSpec::child),
    )
    .await
    .unwrap()
}

async fn publish(storage: &Storage, org: OrgId, kind: EventKind, key: &str, number: u32) {
    let key = key.to_owned();
    storage
        .unit(&grant(org), move |unit| {
            let key = key.clone();
            Box::pin(async move {
                unit.events()
                    .publish(NewEvent {
                        kind,
                        key,
                        body: json!({ "number": number }),
                    })
                    .await
                    .map(|_| ())
            })
        })
        .await
        .unwrap();
}

/// Numbers of the effects that were committed for one group.
async fn effects(storage: &Storage, org: OrgId, group: &str) -> Vec<u64> {
    let jobs = storage
        .scope(&grant(org))
        .jobs()
        .list(JobState::Queued, 10_000)
        .await
        .unwrap();
    let mut numbers: Vec<_> = jobs
        .into_iter()
        .filter(|job| job.queue == "effects" && job.kind == group)
        .map(|job| job.payload["number"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    numbers
}

async fn handled(root: &Root, group: &str, times: u64) {
    let path = format!("root/{group}");
    wait_for_node(root.tree(), &path, |node| {
        node.observed["counts"]["handled"].as_u64() >= Some(times)
    })
    .await;
}

async fn wait_until_seen(root: &Root, tally: &Tally, entry: &str) {
    wait_until(root.tree(), |_| {
        tally.seen().iter().any(|seen| seen == entry)
    })
    .await;
}

storage::on_both! {
    async fn every_group_sees_each_event_once_and_in_order(db: TestDatabase) {
        let (one, two) = (db.org("one").await, db.org("two").await);
        let bus = bus(&db, Doorbell::local());
        publish(&db, one, EventKind::PlanChanged, "a", 1).await;
        let (first, second) = (Tally::new("first"), Tally::new("second"));
        let roots = [
            start(&bus, "first", first.clone(), config(bell_only())).await,
            start(&bus, "second", second.clone(), config(bell_only())).await,
        ];
        for number in 2..=20 {
            publish(&db, one, EventKind::PlanChanged, "a", number).await;
            publish(&db, two, EventKind::PlanChanged, "b", number).await;
            publish(&db, two, EventKind::ClockAdvanced, "skipped", number).await;
        }
        for (root, tally) in roots.iter().zip([&first, &second]) {
            // Organisations each had other events before; only ours are counted by key.
            wait_until(root.tree(), |_| {
                let seen = tally.seen();
                ["a20", "b20"].iter().all(|last| seen.iter().any(|entry| entry == last))
            })
            .await;
            for (org, key, from) in [(one, "a", 1), (two, "b", 2)] {
                let expected: Vec<_> = (from..=20).map(|number| format!("{key}{number}")).collect();
                let seen: Vec<_> = tally.seen().into_iter().filter(|entry| entry.starts_with(key)).collect();
                assert_eq!(seen, expected);
                let ours: Vec<_> = effects(&db, org, &tally.group).await;
                assert_eq!(ours, (u64::from(from as u32)..=20).collect::<Vec<_>>());
            }
            assert!(!tally.seen().iter().any(|entry| entry.starts_with("skipped")));
            assert!(root.shutdown(Duration::from_secs(10)).await.was_orderly);
        }
    }

    async fn a_sweep_finds_events_whose_bell_was_lost(db: TestDatabase) {
        let org = db.org("acme").await;
        let silent = bus(&db, Doorbell::local());
        // The listener's doorbell is another one, so nothing that is committed rings it.
        let deaf = Bus { bell: Doorbell::local(), ..silent };
        let tally = Tally::new("deaf");
        let root = start(&deaf, "deaf", tally.clone(), config(sweep_only())).await;
        for number in 1..=3 {
            publish(&db, org, EventKind::PlanChanged, "a", number).await;
            wait_until_seen(&root, &tally, &format!("a{number}")).await;
        }
    }

    async fn a_failing_event_is_tried_again_and_the_next_waits_for_it(db: TestDatabase) {
        let (org, other) = (db.org("acme").await, db.org("other").await);
        let bus = bus(&db, Doorbell::local());
        let tally = Tally::failing("stubborn", 2);
        let root = start(&bus, "stubborn", tally.clone(), config(bell_only())).await;
        publish(&db, org, EventKind::PlanChanged, "poison", 1).await;
        publish(&db, org, EventKind::PlanChanged, "a", 2).await;
        publish(&db, other, EventKind::PlanChanged, "b", 3).await;
        wait_until_seen(&root, &tally, "a2").await;
        wait_until_seen(&root, &tally, "b3").await;
        let seen: Vec<_> = tally.seen().into_iter().filter(|entry| !entry.starts_with('b')).collect();
        assert!(seen.ends_with(&["poison1".to_owned(), "a2".to_owned()]), "{seen:?}");
        let node = wait_for_node(root.tree(), "root/stubborn", |node| node.observed["counts"]["retried"] == 2).await;
        assert_eq!(node.restarts, 0);
    }

    async fn an_event_that_keeps_failing_becomes_a_dead_letter_that_can_be_replayed(db: TestDatabase) {
        let org = db.org("acme").await;
        let bus = bus(&db, Doorbell::local());
        // Three attempts on the bus and one as a letter.
        let tally = Tally::failing("picky", 4);
        let root = start(&bus, "picky", tally.clone(), config(bell_only())).await;
        publish(&db, org, EventKind::PlanChanged, "poison", 1).await;
        publish(&db, org, EventKind::PlanChanged, "a", 2).await;
        wait_until_seen(&root, &tally, "a2").await;
        wait_for_node(root.tree(), "root/dead:picky", |node| node.observed["counts"]["dead"] == 1).await;
        assert!(!tally.seen().contains(&"poison1".to_owned()));
        let dead = bus.system.queue().dead(10).await.unwrap();
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].queue.as_str(), &dead[0].payload["event"]["key"]), ("dead:picky", &json!("poison")));
        // Now it can be digested: a person replays it.
        let id = dead[0].id;
        db.unit(&grant(org), move |unit| Box::pin(async move { unit.jobs().replay(id).await })).await.unwrap();
        wait_until_seen(&root, &tally, "poison1").await;
        assert_eq!(effects(&db, org, "picky").await, [1, 2]);
        assert_eq!(db.scope(&grant(org)).jobs().get(id).await.unwrap().state, JobState::Done);
    }

    async fn a_panicking_handler_is_a_failure_like_any_other(db: TestDatabase) {
        let org = db.org("acme").await;
        let bus = bus(&db, Doorbell::local());
        let tally = Tally::failing("jumpy", 1);
        tally.panics.store(true, Ordering::SeqCst);
        let root = start(&bus, "jumpy", tally.clone(), config(bell_only())).await;
        publish(&db, org, EventKind::PlanChanged, "poison", 1).await;
        wait_until_seen(&root, &tally, "poison1").await;
        assert_eq!(effects(&db, org, "jumpy").await, [1]);
        assert_eq!(root.tree().node("root/jumpy").unwrap().restarts, 0);
    }

    async fn several_nodes_with_one_group_have_each_effect_once(db: TestDatabase) {
        let org = db.org("acme").await;
        let bell = Doorbell::local();
        let bus = bus(&db, bell);
        // No lease: they race for every event, and only the cursor decides.
        let tallies: Vec<_> = (0..3).map(|_| Tally::new("shared")).collect();
        let mut roots = Vec::new();
        for (node, tally) in tallies.iter().enumerate() {
            roots.push(start(&bus, &format!("node-{node}"), tally.clone(), config(sweep_only())).await);
        }
        for number in 1..=40 {
            publish(&db, org, EventKind::PlanChanged, "a", number).await;
        }
        let last_is_in = async {
            while effects(&db, org, "shared").await.len() < 40 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, last_is_in).await.expect("every event has its effect");
        assert_eq!(effects(&db, org, "shared").await, (1..=40).collect::<Vec<_>>());
        let handled: BTreeSet<_> = tallies.iter().flat_map(|tally| tally.seen()).filter(|entry| entry.starts_with('a')).collect();
        assert_eq!(handled.len(), 40);
        for root in roots {
            root.shutdown(Duration::from_secs(10)).await;
        }
    }

    async fn a_killed_consumer_goes_on_where_it_stood(db: TestDatabase) {
        let org = db.org("acme").await;
        let bus = bus(&db, Doorbell::local());
        let tally = Tally::new("mortal");
        let root = start(&bus, "mortal", tally.clone(), config(sweep_only())).await;
        for number in 1..=30 {
            publish(&db, org, EventKind::PlanChanged, "a", number).await;
            if number % 10 == 5 {
                let before = root.tree().node("root/mortal").unwrap().restarts;
                // Between two lives there is nothing to kill, which is as good.
                let _ = root.tree().kill("root/mortal");
                wait_for_node(root.tree(), "root/mortal", |node| node.restarts > before && node.status == Status::Running).await;
            }
        }
        let all = async {
            while effects(&db, org, "mortal").await.len() < 30 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("every event has its effect");
        assert_eq!(effects(&db, org, "mortal").await, (1..=30).collect::<Vec<_>>());
        assert_eq!(root.tree().node("root/mortal").unwrap().restarts, 3);
    }

    async fn with_node_names_one_node_works_and_another_takes_over_at_once(db: TestDatabase) {
        let org = db.org("acme").await;
        let bus = bus(&db, Doorbell::local());
        let leased = |node: &str| ConsumerConfig { node: Some(node.to_owned()), ..config(sweep_only()) };
        let (first, second) = (Tally::new("leased"), Tally::new("leased"));
        let one = start(&bus, "one", first.clone(), leased("one")).await;
        publish(&db, org, EventKind::PlanChanged, "a", 1).await;
        wait_until_seen(&one, &first, "a1").await;
        let two = start(&bus, "two", second.clone(), leased("two")).await;
        one.shutdown(Duration::from_secs(10)).await;
        publish(&db, org, EventKind::PlanChanged, "a", 2).await;
        wait_until_seen(&two, &second, "a2").await;
        assert_eq!(effects(&db, org, "leased").await, [1, 2]);
    }

    async fn a_ring_through_redis_reaches_a_consumer_on_another_node(db: TestDatabase) {
        let org = db.org("acme").await;
        let (url, namespace) = (testkit::redis_url(), testkit::namespace());
        let writer = Doorbell::redis(&url, &namespace).unwrap();
        let reader = Doorbell::redis(&url, &namespace).unwrap();
        assert!(writer.connected_within(PATIENCE).await && reader.connected_within(PATIENCE).await);
        let writing = bus(&db, writer);
        let reading = Bus { bell: reader, ..writing.clone() };
        let tally = Tally::new("remote");
        let root = start(&reading, "remote", tally.clone(), config(bell_only())).await;
        wait_for_node(root.tree(), "root/remote", |node| node.handled >= 1).await;
        publish(&db, org, EventKind::PlanChanged, "a", 1).await;
        wait_until_seen(&root, &tally, "a1").await;
    }

    async fn without_redis_the_sweep_delivers(db: TestDatabase) {
        let org = db.org("acme").await;
        let url = testkit::dead_redis_url();
        let writing = bus(&db, Doorbell::redis(&url, "away").unwrap());
        let reading = Bus { bell: Doorbell::redis(&url, "away").unwrap(), ..writing.clone() };
        let tally = Tally::new("swept");
        let root = start(&reading, "swept", tally.clone(), config(sweep_only())).await;
        for number in 1..=3 {
            publish(&db, org, EventKind::PlanChanged, "a", number).await;
            wait_until_seen(&root, &tally, &format!("a{number}")).await;
        }
        assert!(reading.bell().is_degraded());
        handled(&root, "swept", 3).await;
        assert_eq!(effects(&db, org, "swept").await, [1, 2, 3]);
    }
}
