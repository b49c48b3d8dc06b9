//! Runs on both databases: the journal, resumption, fencing, cancellation.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use domain::{
    Classify,
    access::{AgentKind, Grant, Permission, Principal},
    id::RunId,
    run::{RunState, Trigger},
};
use futures::FutureExt;
use serde_json::json;
use storage::{Storage, System, SystemGrant, testkit::TestDatabase};
use tokio::sync::Semaphore;

use super::*;
use crate::{
    bus::Bus,
    doorbell::{Doorbell, Sweep},
    schedules::queued_run,
    shutdown::Root,
    supervisor::{Backoff, Strategy, SupervisorSpec},
    testkit::{PATIENCE, host, wait_for_node, wait_until},
    tree::Status,
};

struct Yard {
    storage: Storage,
    system: System,
    bell: Doorbell,
    grant: Grant,
    run: RunId,
}

impl Yard {
    async fn open(db: &TestDatabase) -> Self {
        let storage: Storage = (**db).clone();
        let system = storage.system(SystemGrant::for_app());
        let bell = Doorbell::local();
        let _bus = Bus::new(storage.clone(), system.clone(), bell.clone());
        let grant = Principal::system(db.org("acme").await)
            .grant(Permission::RunWrite)
            .unwrap();
        let run = queued_run(
            RunId(storage.fresh_id()),
            AgentKind::Metrics,
            Trigger::Person,
            storage.now().await.unwrap(),
        );
        let id = run.id;
        storage
            .unit(&grant, move |unit| {
                let run = run.clone();
                Box::pin(async move { unit.runs().create(&run).await.map(|_| ()) })
            })
            .await
            .unwrap();
        Self {
            storage,
            system,
            bell,
            grant,
            run: id,
        }
    }

    async fn journal(&self, owner: &str) -> Result<RunJournal, RunError> {
        RunJournal::open(&self.storage, &self.system, self.grant, self.run, owner).await
    }

    fn setup(&self) -> RunSetup {
        RunSetup {
            storage: self.storage.clone(),
            system: self.system.clone(),
            bell: self.bell.clone(),
            grant: self.grant,
            run: self.run,
            node: "node".into(),
            sweep: Sweep {
                shortest: Duration::from_millis(20),
                longest: Duration::from_millis(40),
            },
        }
    }

    async fn until(&self, state: RunState) -> domain::run::Run {
        let waiting = async {
            loop {
                let run = self
                    .storage
                    .scope(&self.grant)
                    .runs()
                    .get(self.run)
                    .await
                    .unwrap();
                if run.state == state {
                    return run;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("the run never became as wanted")
    }

    async fn steps(&self) -> Vec<(String, u32, bool)> {
        let steps = self
            .storage
            .scope(&self.grant)
            .runs()
            .steps(self.run)
            .await
            .unwrap();
        steps
            .into_iter()
            .map(|step| (step.key, step.attempt, step.ended_at.is_some()))
            .collect()
    }

    async fn cancel(&self) {
        let run = self.run;
        self.storage
            .unit(&self.grant, move |unit| {
                Box::pin(async move {
                    unit.runs()
                        .end(run, RunState::Cancelled, None)
                        .await
                        .map(|_| ())
                })
            })
            .await
            .unwrap();
    }
}

async fn root_of_runs() -> Root {
    let spec = SupervisorSpec::new(Strategy::OneForOne)
        .backoff(Backoff::constant(Duration::from_millis(1)));
    Root::start(host("runs"), spec).await.unwrap()
}

fn fine<T>(value: T) -> Result<T, String> {
    Ok(value)
}

/// A small effect to look for: a job in a queue that nobody works.
trait Probe {
    async fn settings_probe(&self) -> Result<u32, storage::Error>;
}

impl Probe for storage::Unit {
    async fn settings_probe(&self) -> Result<u32, storage::Error> {
        let job = domain::job::NewJob {
            queue: "probe".into(),
            kind: "probe".into(),
            unique_key: self.fresh_id().to_string(),
            payload: json!({}),
            run_at: None,
            max_attempts: 1,
        };
        self.jobs().enqueue(&job).await.map(|_| 1)
    }
}

async fn probes(yard: &Yard) -> usize {
    let jobs = yard
        .storage
        .scope(&yard.grant)
        .jobs()
        .list(domain::job::JobState::Queued, 100)
        .await
        .unwrap();
    jobs.iter().filter(|job| job.queue == "probe").count()
}

async fn wait_until_logged(log: &Mutex<Vec<&'static str>>, entries: usize) {
    let waiting = async {
        while log.lock().unwrap().len() < entries {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the work goes on");
}

storage::on_both! {
    async fn a_finished_step_is_read_back_and_not_done_again(db: TestDatabase) {
        let yard = Yard::open(&db).await;
        let journal = yard.journal("first").await.unwrap();
        let produced: (u32, String) = journal.step("observe", || async { fine((7, "seven".to_owned())) }).await.unwrap();
        let failed: Result<u32, _> = journal.step("analyse", || async { Err("not enough data") }).await;
        assert_eq!(failed.unwrap_err().to_string(), "analyse: not enough data");
        journal.close().await;
        let journal = yard.journal("second").await.unwrap();
        let again: (u32, String) = journal.step("observe", || async { Err("done before") }).await.unwrap();
        assert_eq!(again, produced);
        assert_eq!(journal.step("analyse", || async { fine(1) }).await.unwrap(), 1);
        assert_eq!(journal.succeed().await.unwrap().state, RunState::Succeeded);
        assert_eq!(yard.steps().await, [("observe".into(), 1, true), ("analyse".into(), 2, true)]);
        assert_eq!(yard.journal("third").await.unwrap_err().code(), "run.ended");
    }

    async fn an_effect_in_a_step_and_its_record_commit_together(db: TestDatabase) {
        let yard = Yard::open(&db).await;
        let journal = yard.journal("node").await.unwrap();
        let refused = journal
            .step_in_unit("propose", |unit| {
                Box::pin(async move {
                    unit.settings_probe().await?;
                    Err::<u32, _>(domain::Error::invalid("test.no", "not like this").into())
                })
            })
            .await;
        assert_eq!(refused.unwrap_err().to_string(), "propose: not like this");
        assert_eq!(probes(&yard).await, 0);
        for _ in 0..2 {
            let made = journal.step_in_unit("propose", |unit| Box::pin(async move { unit.settings_probe().await })).await;
            assert_eq!(made.unwrap(), 1);
        }
        assert_eq!(probes(&yard).await, 1);
    }

    async fn a_worker_that_lost_the_lease_can_write_nothing_more(db: TestDatabase) {
        let yard = Yard::open(&db).await;
        let zombie = yard.journal("zombie").await.unwrap();
        assert!(matches!(yard.journal("eager").await, Err(RunError::Held)));
        db.shift_time(TimeDelta::seconds(60));
        let heir = yard.journal("heir").await.unwrap();
        let refused = zombie.step("observe", || async { fine("zombie".to_owned()) }).await.unwrap_err();
        assert_eq!(refused.code(), "lease.lost");
        assert!(refused.can_resume());
        assert_eq!(zombie.succeed().await.unwrap_err().code(), "lease.lost");
        assert_eq!(heir.step("observe", || async { fine("heir".to_owned()) }).await.unwrap(), "heir");
        assert_eq!(heir.succeed().await.unwrap().state, RunState::Succeeded);
    }

    async fn a_cancelled_run_stops_before_its_next_step_and_tells_the_one_under_way(db: TestDatabase) {
        let yard = Yard::open(&db).await;
        let mut journal = yard.journal("node").await.unwrap();
        journal.watch(&host("watch"), &yard.bell, Sweep::default());
        yard.cancel().await;
        let flag = journal.cancel_flag();
        let told = async {
            while !flag.load(Ordering::Acquire) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, told).await.expect("the flag is set");
        let refused: Result<u32, _> = journal.step("observe", || async { fine(1) }).await;
        assert!(matches!(refused, Err(RunError::Ended { state: RunState::Cancelled })));
        assert!(yard.steps().await.is_empty());
    }

    async fn a_run_whose_actor_is_killed_resumes_at_the_unfinished_step(db: TestDatabase) {
        let yard = Yard::open(&db).await;
        let root = root_of_runs().await;
        let gate = Arc::new(Semaphore::new(0));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (held, written) = (Arc::clone(&gate), Arc::clone(&log));
        let work: Work = Arc::new(move |journal| {
            let (held, written) = (Arc::clone(&held), Arc::clone(&written));
            async move {
                let first = journal
                    .step("observe", || async {
                        written.lock().unwrap().push("observe");
                        fine(20)
                    })
                    .await?;
                let second = journal
                    .step("analyse", || async {
                        written.lock().unwrap().push("analyse");
                        let _open = held.acquire().await;
                        fine(first + 22)
                    })
                    .await?;
                assert_eq!(second, 42);
                Ok(())
            }
            .boxed()
        });
        let path = format!("root/{}", yard.run);
        root.supervisor().start_child(run_child(yard.setup(), work)).await.unwrap();
        wait_until_logged(&log, 2).await;
        assert_eq!(root.tree().node(&path).unwrap().observed["step"], "analyse");
        root.tree().kill(&path).unwrap();
        wait_for_node(root.tree(), &path, |node| node.restarts == 1 && node.status == Status::Running).await;
        gate.add_permits(10);
        yard.until(RunState::Succeeded).await;
        wait_until(root.tree(), |nodes| nodes.iter().all(|node| node.path != path)).await;
        assert_eq!(*log.lock().unwrap(), ["observe", "analyse", "analyse"]);
        assert_eq!(yard.steps().await, [("observe".into(), 1, true), ("analyse".into(), 2, true)]);
    }

    async fn a_step_that_fails_ends_the_run_as_failed_and_a_panic_is_tried_again(db: TestDatabase) {
        let yard = Yard::open(&db).await;
        let root = root_of_runs().await;
        let lives = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&lives);
        let work: Work = Arc::new(move |journal| {
            let life = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(life > 0, "the first life panics");
                let _: u32 = journal.step("observe", || async { Err("the file is gone") }).await?;
                Ok(())
            }
            .boxed()
        });
        root.supervisor().start_child(run_child(yard.setup(), work)).await.unwrap();
        let run = yard.until(RunState::Failed).await;
        assert_eq!(run.error.as_deref(), Some("observe: the file is gone"));
        assert_eq!(lives.load(Ordering::SeqCst), 2);
        wait_until(root.tree(), |nodes| nodes.len() == 1).await;
    }
}
