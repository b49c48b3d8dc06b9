//! Workers on both databases: one worker per job, retries, fencing, cancellation, ordered stop.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use domain::{
    access::{Grant, Permission, Principal},
    id::{JobId, OrgId},
    job::{JobState, NewJob},
};
use futures::FutureExt;
use serde_json::json;
use storage::{Storage, System, SystemGrant, testkit::TestDatabase};
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::{
    bus::Bus,
    doorbell::Doorbell,
    shutdown::Root,
    supervisor::{Backoff, Strategy, SupervisorSpec},
    testkit::{PATIENCE, host, wait_for_node},
    tree::Status,
};

type Doing =
    Box<dyn Fn(Job, JobControl) -> BoxFuture<'static, Result<Finished, JobError>> + Send + Sync>;

/// A handler that is a closure.
struct Does(Doing);

impl Does {
    fn new<F>(does: impl Fn(Job, JobControl) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Result<Finished, JobError>> + Send + 'static,
    {
        Arc::new(Self(Box::new(move |job, control| {
            does(job, control).boxed()
        })))
    }
}

impl JobHandler for Does {
    fn run<'a>(
        &'a self,
        job: &'a Job,
        control: &'a JobControl,
    ) -> BoxFuture<'a, Result<Finished, JobError>> {
        (self.0)(job.clone(), control.clone())
    }
}

struct Shop {
    storage: Storage,
    system: System,
    bell: Doorbell,
    org: OrgId,
}

fn grant(org: OrgId) -> Grant {
    Principal::system(org).grant(Permission::RunWrite).unwrap()
}

fn quick() -> Sweep {
    Sweep {
        shortest: Duration::from_millis(20),
        longest: Duration::from_millis(40),
    }
}

impl Shop {
    async fn open(db: &TestDatabase) -> Self {
        let storage: Storage = (**db).clone();
        let system = storage.system(SystemGrant::for_app());
        let bell = Doorbell::local();
        // For the bell: commits ring it.
        let _bus = Bus::new(storage.clone(), system.clone(), bell.clone());
        let org = db.org("acme").await;
        Self {
            storage,
            system,
            bell,
            org,
        }
    }

    async fn queue(&self, key: &str, max_attempts: u32) -> JobId {
        let new = NewJob {
            queue: "analysis".into(),
            kind: "test".into(),
            unique_key: key.into(),
            payload: json!({ "key": key }),
            run_at: None,
            max_attempts,
        };
        self.storage
            .unit(&grant(self.org), move |unit| {
                let new = new.clone();
                Box::pin(async move { unit.jobs().enqueue(&new).await.map(storage::Enqueued::id) })
            })
            .await
            .unwrap()
    }

    async fn worker(&self, node: &str, parallel: usize, handler: Arc<dyn JobHandler>) -> Root {
        let mut config = WorkerConfig::new("analysis", node).parallel(parallel);
        config.sweep = quick();
        config.lease = Duration::from_millis(900);
        config.grace = Duration::from_millis(50);
        let (child, _) = Worker::child(config, self.system.clone(), self.bell.clone(), handler);
        let spec = SupervisorSpec::new(Strategy::OneForOne)
            .backoff(Backoff::constant(Duration::from_millis(1)));
        Root::start(host(node), spec.child(child)).await.unwrap()
    }

    async fn job(&self, id: JobId) -> Job {
        self.storage
            .scope(&grant(self.org))
            .jobs()
            .get(id)
            .await
            .unwrap()
    }

    async fn until(&self, id: JobId, wanted: impl Fn(&Job) -> bool) -> Job {
        let waiting = async {
            loop {
                let job = self.job(id).await;
                if wanted(&job) {
                    return job;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("the job never became as wanted")
    }
}

storage::on_both! {
    async fn each_job_is_done_once_by_one_of_several_workers(db: TestDatabase) {
        let shop = Shop::open(&db).await;
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut roots = Vec::new();
        for node in ["one", "two", "three"] {
            let done = Arc::clone(&done);
            let handler = Does::new(move |job, _| {
                done.lock().unwrap().push(job.unique_key.clone());
                async move { Ok(Finished::With(json!({ "by": node }))) }
            });
            roots.push(shop.worker(node, 2, handler).await);
        }
        let mut ids = Vec::new();
        for number in 0..30 {
            ids.push(shop.queue(&format!("job-{number:02}"), 3).await);
        }
        for id in ids {
            let job = shop.until(id, |job| job.state == JobState::Done).await;
            assert_eq!((job.attempt, job.progress), (1, 1.0));
        }
        let mut keys = done.lock().unwrap().clone();
        keys.sort_unstable();
        assert_eq!(keys, (0..30).map(|number| format!("job-{number:02}")).collect::<Vec<_>>());
        for root in roots {
            assert!(root.shutdown(Duration::from_secs(10)).await.was_orderly);
        }
    }

    async fn a_retry_waits_and_succeeds_and_giving_up_is_final(db: TestDatabase) {
        let shop = Shop::open(&db).await;
        let attempts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&attempts);
        let handler = Does::new(move |job, _| {
            let attempt = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                match (job.unique_key.as_str(), attempt) {
                    ("hopeless", _) => Err(JobError::give_up("no such thing")),
                    ("panics", _) => panic!("boom"),
                    (_, 0) => Err(JobError::retry_after("not yet", Duration::from_secs(60))),
                    _ => Ok(Finished::With(json!("fine"))),
                }
            }
        });
        let _root = shop.worker("node", 1, handler).await;
        let twice = shop.queue("twice", 3).await;
        let waiting = shop.until(twice, |job| job.attempt == 1 && job.state == JobState::Queued).await;
        assert_eq!(waiting.result, Some(json!({ "error": "not yet" })));
        db.shift_time(TimeDelta::seconds(61));
        let job = shop.until(twice, |job| job.state == JobState::Done).await;
        assert_eq!((job.attempt, job.result), (2, Some(json!("fine"))));
        let hopeless = shop.queue("hopeless", 3).await;
        let job = shop.until(hopeless, |job| job.state == JobState::Dead).await;
        assert_eq!((job.attempt, job.result), (1, Some(json!({ "error": "no such thing" }))));
        let panics = shop.queue("panics", 1).await;
        let job = shop.until(panics, |job| job.state == JobState::Dead).await;
        assert_eq!(job.result, Some(json!({ "error": "the handler panicked: boom" })));
    }

    async fn a_heartbeat_keeps_a_long_job_and_carries_its_progress(db: TestDatabase) {
        let shop = Shop::open(&db).await;
        let gate = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&gate);
        let handler = Does::new(move |_, control| {
            let held = Arc::clone(&held);
            control.progress(0.4);
            async move {
                let _open = held.acquire().await;
                Ok(Finished::With(json!(1)))
            }
        });
        let _root = shop.worker("node", 1, handler).await;
        let id = shop.queue("long", 3).await;
        let first = shop.until(id, |job| job.progress == 0.4).await;
        // Several beats later it is still the same lease.
        for beat in 1..=5 {
            db.shift_time(TimeDelta::milliseconds(300));
            let past = first.updated_at + TimeDelta::milliseconds(300 * beat);
            shop.until(id, |job| job.updated_at >= past).await;
        }
        let later = shop.job(id).await;
        assert_eq!((later.state, later.epoch), (JobState::Running, first.epoch));
        assert_eq!(shop.system.queue().sweep().await.unwrap().requeued, 0);
        gate.add_permits(1);
        shop.until(id, |job| job.state == JobState::Done && job.attempt == 1).await;
    }

    async fn a_zombie_whose_lease_ran_out_is_refused_and_the_job_is_done_again(db: TestDatabase) {
        let shop = Shop::open(&db).await;
        let id = shop.queue("fenced", 3).await;
        // A worker that claimed and then slept: it never beats.
        let zombie = shop.system.queue().claim("analysis", "zombie", 1, TimeDelta::seconds(30)).await.unwrap().remove(0);
        db.shift_time(TimeDelta::seconds(31));
        let spec = SupervisorSpec::new(Strategy::OneForOne).child(LeaseSweeper::child(
            "sweeper",
            shop.system.clone(),
            shop.bell.clone(),
            quick(),
        ));
        let sweeper = Root::start(host("sweeper"), spec).await.unwrap();
        wait_for_node(sweeper.tree(), "root/sweeper", |node| node.observed["requeued"] == 1).await;
        let _root = shop.worker("honest", 1, Does::new(|_, _| async { Ok(Finished::With(json!("honest"))) })).await;
        let job = shop.until(id, |job| job.state == JobState::Done).await;
        assert!(job.epoch > zombie.epoch);
        let refused = shop.system.queue().complete(shop.org, id, zombie.epoch, &json!("zombie")).await.unwrap_err();
        assert_eq!(domain::Classify::code(&refused), "job.lease_lost");
        assert_eq!(shop.job(id).await.result, Some(json!("honest")));
    }

    async fn a_cancelled_job_tells_its_handler_and_is_not_settled(db: TestDatabase) {
        let shop = Shop::open(&db).await;
        let (tell, mut told) = mpsc::unbounded_channel();
        let handler = Does::new(move |_, control| {
            let tell = tell.clone();
            async move {
                tell.send("begun").unwrap();
                control.cancelled().await;
                tell.send("cancelled").unwrap();
                Ok(Finished::With(json!("too late")))
            }
        });
        let root = shop.worker("node", 1, handler).await;
        let id = shop.queue("unwanted", 3).await;
        assert_eq!(told.recv().await, Some("begun"));
        shop.storage
            .unit(&grant(shop.org), move |unit| Box::pin(async move { unit.jobs().cancel(id).await }))
            .await
            .unwrap();
        assert_eq!(told.recv().await, Some("cancelled"));
        wait_for_node(root.tree(), "root/analysis", |node| node.observed["counts"]["lost"] == 1).await;
        let job = shop.job(id).await;
        assert_eq!((job.state, job.result), (JobState::Cancelled, None));
    }

    async fn a_worker_that_stops_in_order_gives_its_jobs_back_uncounted(db: TestDatabase) {
        let shop = Shop::open(&db).await;
        let (tell, mut told) = mpsc::unbounded_channel();
        let handler = Does::new(move |_, _| {
            let _ = tell.send(());
            std::future::pending()
        });
        let root = shop.worker("leaving", 1, handler).await;
        let id = shop.queue("handed over", 1).await;
        told.recv().await.unwrap();
        let report = root.shutdown(Duration::from_secs(10)).await;
        assert!(report.was_orderly, "{report:?}");
        assert_eq!((shop.job(id).await.state, shop.job(id).await.attempt), (JobState::Queued, 0));
        let _next = shop.worker("staying", 1, Does::new(|_, _| async { Ok(Finished::With(json!(1))) })).await;
        shop.until(id, |job| job.state == JobState::Done && job.attempt == 1).await;
    }

    async fn a_killed_worker_is_restarted_and_its_job_is_done_after_the_lease(db: TestDatabase) {
        let shop = Shop::open(&db).await;
        let (tell, mut told) = mpsc::unbounded_channel();
        let handler = Does::new(move |job, _| {
            let _ = tell.send(job.attempt);
            async move {
                if job.attempt == 1 {
                    std::future::pending::<()>().await;
                }
                Ok(Finished::With(json!("second try")))
            }
        });
        let root = shop.worker("node", 1, handler).await;
        let id = shop.queue("survivor", 3).await;
        assert_eq!(told.recv().await, Some(1));
        root.tree().kill("root/analysis").unwrap();
        wait_for_node(root.tree(), "root/analysis", |node| node.restarts == 1 && node.status == Status::Running).await;
        assert_eq!(shop.job(id).await.state, JobState::Running, "its lease has not run out");
        db.shift_time(TimeDelta::seconds(1));
        assert_eq!(shop.system.queue().sweep().await.unwrap().requeued, 1);
        let job = shop.until(id, |job| job.state == JobState::Done).await;
        assert_eq!((job.attempt, job.result), (2, Some(json!("second try"))));
    }

    async fn an_effect_and_its_completion_commit_together(db: TestDatabase) {
        let shop = Shop::open(&db).await;
        let storage = shop.storage.clone();
        let handler = Does::new(move |job, _| {
            let storage = storage.clone();
            async move {
                let (id, epoch) = (job.id, job.epoch);
                storage
                    .unit(&grant(job.org), move |unit| {
                        Box::pin(async move {
                            unit.audit().record("test.effect", "subject", json!({})).await?;
                            unit.jobs().complete(id, epoch, &json!("in its unit")).await
                        })
                    })
                    .await
                    .map_err(JobError::retry)?;
                Ok(Finished::InItsUnit)
            }
        });
        let root = shop.worker("node", 1, handler).await;
        let id = shop.queue("atomic", 3).await;
        let job = shop.until(id, |job| job.state == JobState::Done).await;
        assert_eq!(job.result, Some(json!("in its unit")));
        wait_for_node(root.tree(), "root/analysis", |node| node.observed["counts"]["done"] == 1).await;
    }
}
