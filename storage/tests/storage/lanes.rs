//! Jobs, leases, events, cursors, runs and schedules: what survives a crash, a pause and a race.

use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use domain::{
    access::{AgentKind, Permission},
    event::{EventKind, NewEvent},
    id::{JobId, RunId, ScheduleId},
    job::{JobState, NewJob},
    run::{Run, RunState, Trigger},
    schedule::{Overlap, Schedule},
};
use futures::future::join_all;
use storage::{
    CommitNote, Enqueued, Fired, Retry, StepStart, Swept, on_both, testkit::TestDatabase,
};

use crate::fixture::{Portfolio, code};

fn job(key: &str) -> NewJob {
    NewJob {
        queue: "analysis".to_owned(),
        kind: "score".to_owned(),
        unique_key: key.to_owned(),
        payload: serde_json::json!({ "key": key }),
        run_at: None,
        max_attempts: 2,
    }
}

async fn enqueue(db: &TestDatabase, p: &Portfolio, key: &str) -> Enqueued {
    let new = job(key);
    db.unit(&p.write, move |u| {
        let new = new.clone();
        Box::pin(async move { u.jobs().enqueue(&new).await })
    })
    .await
    .expect("a job can be queued")
}

fn run(db: &TestDatabase) -> Run {
    Run {
        id: RunId(db.fresh_id()),
        agent: AgentKind::Forecasting,
        state: RunState::Queued,
        trigger: Trigger::Schedule,
        schedule: None,
        tick: None,
        snapshot: None,
        parameters: serde_json::json!({ "seed": u64::MAX }),
        progress: 0.0,
        error: None,
        created_at: storage::testkit::start_of_time(),
        started_at: None,
        ended_at: None,
    }
}

const LEASE: TimeDelta = TimeDelta::seconds(30);

on_both! {
    async fn eight_workers_that_claim_at_once_get_every_job_once(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        for number in 0..40 {
            enqueue(&db, &p, &format!("job {number}")).await;
        }
        let system = db.system_door();
        let claimed = join_all((0..8).map(|worker| {
            let system = system.clone();
            async move {
                let mut mine = Vec::new();
                loop {
                    let jobs = system.queue().claim("analysis", &format!("w{worker}"), 3, LEASE).await.expect("claims");
                    if jobs.is_empty() {
                        return mine;
                    }
                    mine.extend(jobs.into_iter().map(|job| job.id));
                }
            }
        })).await;
        let mut ids: Vec<JobId> = claimed.into_iter().flatten().collect();
        assert_eq!(ids.len(), 40);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 40, "no job was handed out twice");
    }

    async fn a_job_with_the_same_key_is_not_queued_while_one_waits_or_runs(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let first = enqueue(&db, &p, "once").await;
        assert!(matches!(first, Enqueued::New(_)));
        assert_eq!(enqueue(&db, &p, "once").await, Enqueued::Existing(first.id()));
        let queue = db.system_door();
        let claimed = queue.queue().claim("analysis", "w", 10, LEASE).await.expect("claims").remove(0);
        assert_eq!(enqueue(&db, &p, "once").await, Enqueued::Existing(first.id()));
        queue.queue().complete(p.org, claimed.id, claimed.epoch, &serde_json::json!({ "done": true })).await.expect("completes");
        assert!(matches!(enqueue(&db, &p, "once").await, Enqueued::New(_)), "once it is done, the work may come again");
        let done = db.scope(&p.write).jobs().get(first.id()).await.expect("it is there");
        assert_eq!((done.state, done.progress, done.result), (JobState::Done, 1.0, Some(serde_json::json!({ "done": true }))));
    }

    async fn a_worker_that_slept_past_its_lease_is_refused(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        enqueue(&db, &p, "slow").await;
        let system = db.system_door();
        let zombie = system.queue().claim("analysis", "zombie", 1, LEASE).await.expect("claims").remove(0);
        system.queue().heartbeat(p.org, zombie.id, zombie.epoch, 0.4, LEASE).await.expect("the lease is live");
        db.shift_time(TimeDelta::seconds(31));
        assert_eq!(system.queue().sweep().await.expect("sweeps"), Swept { requeued: 1, dead: 0 });
        let second = system.queue().claim("analysis", "fresh", 1, LEASE).await.expect("claims").remove(0);
        assert_eq!((second.id, second.attempt), (zombie.id, 2));
        assert!(second.epoch > zombie.epoch);
        let (id, epoch) = (zombie.id, zombie.epoch);
        assert_eq!(code(system.queue().heartbeat(p.org, id, epoch, 0.5, LEASE).await), "job.lease_lost");
        assert_eq!(code(system.queue().complete(p.org, id, epoch, &serde_json::Value::Null).await), "job.lease_lost");
        // In a unit, the zombie's effect goes with its completion.
        let effect = db.unit(&p.write, move |u| Box::pin(async move {
            u.settings().set("effect", &"of a zombie", None).await?;
            u.jobs().complete(id, epoch, &serde_json::Value::Null).await
        })).await;
        assert_eq!(code(effect), "job.lease_lost");
        assert_eq!(db.scope(&p.write).settings().get::<String>("effect").await.expect("reads"), None);
        let (id, epoch) = (second.id, second.epoch);
        db.unit(&p.write, move |u| Box::pin(async move {
            u.jobs().fence(id, epoch).await?;
            u.settings().set("effect", &"of the holder", None).await?;
            u.jobs().complete(id, epoch, &serde_json::Value::Null).await
        })).await.expect("the holder completes");
    }

    async fn a_job_that_keeps_failing_dies_and_can_be_replayed(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        enqueue(&db, &p, "bad").await;
        let system = db.system_door();
        let first = system.queue().claim("analysis", "w", 1, LEASE).await.expect("claims").remove(0);
        let state = system.queue().fail(p.org, first.id, first.epoch, "no data", Retry::Backoff).await.expect("fails");
        assert_eq!(state, JobState::Queued);
        assert!(system.queue().claim("analysis", "w", 1, LEASE).await.expect("claims").is_empty(), "it waits for its next attempt");
        db.shift_time(TimeDelta::seconds(3));
        let second = system.queue().claim("analysis", "w", 1, LEASE).await.expect("claims").remove(0);
        let state = system.queue().fail(p.org, second.id, second.epoch, "still none", Retry::Backoff).await.expect("fails");
        assert_eq!(state, JobState::Dead);
        let dead = system.queue().dead(10).await.expect("lists");
        assert_eq!(dead[0].result, Some(serde_json::json!({ "error": "still none" })));
        assert_eq!(system.queue().depths().await.expect("counts")[0].dead, 1);
        let id = dead[0].id;
        db.unit(&p.write, move |u| Box::pin(async move { u.jobs().replay(id).await })).await.expect("replays");
        let again = system.queue().claim("analysis", "w", 1, LEASE).await.expect("claims").remove(0);
        assert_eq!((again.id, again.attempt), (id, 1));
        db.unit(&p.write, move |u| Box::pin(async move { u.jobs().cancel(id).await })).await.expect("cancels");
        assert_eq!(code(system.queue().heartbeat(p.org, id, again.epoch, 0.5, LEASE).await), "job.lease_lost");
    }

    async fn one_of_eight_gets_a_lease_and_an_old_epoch_is_fenced_off(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let system = db.system_door();
        let got = join_all((0..8).map(|n| {
            let system = system.clone();
            async move { system.leases().acquire("sequencer", &format!("node {n}"), LEASE).await.expect("asks") }
        })).await;
        let held: Vec<_> = got.into_iter().flatten().collect();
        assert_eq!(held.len(), 1);
        let first = held[0].clone();
        assert!(system.leases().renew("sequencer", first.epoch, LEASE).await.expect("renews"));
        db.shift_time(TimeDelta::seconds(31));
        assert!(!system.leases().renew("sequencer", first.epoch, LEASE).await.expect("asks"), "an expired lease is not renewed");
        let second = system.leases().acquire("sequencer", "another", LEASE).await.expect("asks").expect("it is free");
        assert_eq!(second.epoch, first.epoch + 1);
        let epoch = first.epoch;
        let fenced = db.unit(&p.write, move |u| Box::pin(async move { u.fence("sequencer", epoch).await })).await;
        assert_eq!(code(fenced), "lease.lost");
        let epoch = second.epoch;
        db.unit(&p.write, move |u| Box::pin(async move { u.fence("sequencer", epoch).await })).await.expect("the holder passes");
        assert!(system.leases().release("sequencer", second.epoch).await.expect("releases"));
        assert!(system.leases().held().await.expect("lists").is_empty());
    }

    async fn events_get_dense_positions_in_the_order_of_their_key(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let write = p.write;
        let storage: storage::Storage = (*db).clone();
        join_all((0..8).map(|writer| {
            let storage = storage.clone();
            async move {
                for n in 0..5 {
                    storage.unit(&write, move |u| Box::pin(async move {
                        let body = serde_json::json!({ "writer": writer, "n": n });
                        u.events().publish(NewEvent { kind: EventKind::PortfolioChanged, key: format!("writer {writer}"), body }).await?;
                        Ok(())
                    })).await.expect("publishes");
                }
            }
        })).await;
        let system = db.system_door();
        let (a, b) = futures::join!(system.clone().outbox_sequence(), system.clone().outbox_sequence());
        assert_eq!(a + b, if db.backend() == storage::Backend::Postgres { 40 } else { 0 });
        let events = system.outbox().after(0, 1000).await.expect("reads");
        assert_eq!(events.len(), 40);
        let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
        assert_eq!(positions, (1..=40).collect::<Vec<_>>());
        for writer in 0..8 {
            let order: Vec<i64> = events.iter().filter(|event| event.body["writer"] == writer)
                .map(|event| event.body["n"].as_i64().expect("a number")).collect();
            assert_eq!(order, [0, 1, 2, 3, 4]);
        }
    }

    async fn a_cursor_lets_an_effect_happen_once(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        db.unit(&p.write, |u| Box::pin(async move {
            for n in 0..3 {
                let body = serde_json::json!({ "n": n });
                u.events().publish(NewEvent { kind: EventKind::MetricsIngested, key: "k".to_owned(), body }).await?;
            }
            Ok(())
        })).await.expect("publishes");
        let system = db.system_door();
        system.outbox().sequence(100).await.expect("sequences");
        let lag = system.lagging("projector", 10).await.expect("asks");
        assert_eq!(lag.len(), 1);
        let (from, to) = (lag[0].position, lag[0].latest);
        let handle = || db.unit(&p.write, move |u| Box::pin(async move {
            u.cursors().advance("projector", from, to).await?;
            let seen = u.settings().get::<u32>("seen").await?.map_or(0, |s| s.value);
            u.settings().set("seen", &(seen + 1), None).await?;
            Ok(())
        }));
        let results = join_all((0..6).map(|_| handle())).await;
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
        for refused in results.into_iter().filter(Result::is_err) {
            assert_eq!(code(refused), "cursor.moved");
        }
        let scope = db.scope(&p.write);
        assert_eq!(scope.settings().get::<u32>("seen").await.expect("reads").expect("set").value, 1);
        assert_eq!(scope.cursors().get("projector").await.expect("reads"), to);
        assert!(system.lagging("projector", 10).await.expect("asks").is_empty());
    }

    async fn a_commit_rings_the_doorbell_and_a_failed_unit_does_not(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let rung: Arc<Mutex<Vec<CommitNote>>> = Arc::default();
        let bell = rung.clone();
        db.on_commit(Arc::new(move |note| bell.lock().expect("not poisoned").push(note.clone())));
        enqueue(&db, &p, "ring").await;
        let new = job("never");
        let failed = db.unit(&p.write, move |u| {
            let new = new.clone();
            Box::pin(async move {
                u.jobs().enqueue(&new).await?;
                Err::<(), _>(domain::Error::conflict("test.refused", "no").into())
            })
        }).await;
        assert_eq!(code(failed), "test.refused");
        let notes = rung.lock().expect("not poisoned").clone();
        assert_eq!(notes, [CommitNote { org: Some(p.org), events: vec![], queues: vec!["analysis".to_owned()] }]);
    }

    async fn a_tick_makes_one_run_however_many_fire_it(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let now = db.now().await.expect("the time");
        let schedule = Schedule {
            id: ScheduleId(db.fresh_id()), version: 1, agent: AgentKind::Forecasting, cron: "0 6 * * 1".to_owned(),
            time_zone: "Europe/Berlin".to_owned(), overlap: Overlap::Skip, catch_up_seconds: 60, paused: false,
            next_at: Some(now), last_at: None,
        };
        let new = schedule.clone();
        let made = db.unit(&p.write, move |u| { let new = new.clone(); Box::pin(async move { u.schedules().create(&new).await }) }).await;
        assert!(made.expect("a schedule can be made"));
        let system = db.system_door();
        db.shift_time(TimeDelta::seconds(1));
        let due = system.schedules().due(10).await.expect("asks");
        assert_eq!((due.len(), due[0].org), (1, p.org));
        let (id, tick) = (schedule.id, due[0].schedule.next_at.expect("it has a tick"));
        let next = tick + TimeDelta::days(7);
        let fired = join_all((0..8).map(|_| {
            let run = run(&db);
            db.unit(&p.write, move |u| { let run = run.clone(); Box::pin(async move { u.schedules().fire(id, tick, Some(next), Some(&run)).await }) })
        })).await;
        assert_eq!(fired.into_iter().filter(|f| matches!(f, Ok(Fired::Now))).count(), 1);
        let runs = db.scope(&p.write).runs().unfinished().await.expect("lists");
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].schedule, runs[0].tick), (Some(id), Some(tick)));
        let moved = db.scope(&p.write).schedules().get(id).await.expect("it is there");
        assert_eq!((moved.next_at, moved.last_at), (Some(next), Some(tick)));
        assert!(system.schedules().due(10).await.expect("asks").is_empty());
        let stale = Schedule { paused: true, version: 9, ..moved.clone() };
        let refused = db.unit(&p.write, move |u| { let s = stale.clone(); Box::pin(async move { u.schedules().update(&s, 9).await }) }).await;
        assert_eq!(code(refused), "schedule.changed");
    }

    async fn a_finished_step_is_not_done_again(db: TestDatabase) {
        let p = Portfolio::make(&db, "acme").await;
        let new = run(&db);
        let id = new.id;
        let grant = db.grant(p.org, Permission::RunWrite);
        db.unit(&grant, move |u| { let new = new.clone(); Box::pin(async move {
            u.runs().create(&new).await?;
            u.runs().start(id).await?;
            assert_eq!(u.runs().begin_step(id, "observe").await?, StepStart::Do(1));
            u.runs().finish_step(id, "observe", &serde_json::json!({ "rows": 12 })).await?;
            assert_eq!(u.runs().begin_step(id, "analyse").await?, StepStart::Do(1));
            u.runs().fail_step(id, "analyse", "out of time").await
        }) }).await.expect("the first half");
        let resumed = db.unit(&grant, move |u| Box::pin(async move {
            Ok((u.runs().begin_step(id, "observe").await?, u.runs().begin_step(id, "analyse").await?))
        })).await.expect("resumes");
        assert_eq!(resumed, (StepStart::Done(serde_json::json!({ "rows": 12 })), StepStart::Do(2)));
        let ended = db.unit(&grant, move |u| Box::pin(async move {
            u.runs().finish_step(id, "analyse", &serde_json::Value::Null).await?;
            u.runs().end(id, RunState::Succeeded, None).await
        })).await.expect("ends");
        assert_eq!((ended.state, ended.progress), (RunState::Succeeded, 1.0));
        assert_eq!(ended.parameters["seed"], u64::MAX, "a seed is not rounded");
        let again = db.unit(&grant, move |u| Box::pin(async move { u.runs().end(id, RunState::Failed, Some("late")).await })).await;
        assert_eq!(code(again), "run.ended");
        let keys: Vec<String> = db.scope(&grant).runs().steps(id).await.expect("lists").into_iter().map(|s| s.key).collect();
        assert_eq!(keys, ["observe", "analyse"]);
    }

    async fn restarts_of_actors_are_kept(db: TestDatabase) {
        let system = db.system_door();
        system.actor_restarts().record("root/agents", "failed", "it panicked").await.expect("keeps");
        system.actor_restarts().record("root/bus", "stuck", "no progress").await.expect("keeps");
        let of_bus = system.actor_restarts().recent(Some("root/bus"), 10).await.expect("lists");
        assert_eq!((of_bus.len(), of_bus[0].exit.as_str()), (1, "stuck"));
        assert_eq!(system.actor_restarts().recent(None, 10).await.expect("lists").len(), 2);
    }
}

/// Two sequencers at once, so that they must wait for one another.
trait SequenceAll {
    async fn outbox_sequence(self) -> u64;
}

impl SequenceAll for storage::System {
    async fn outbox_sequence(self) -> u64 {
        let mut stamped = 0;
        loop {
            match self.outbox().sequence(7).await.expect("sequences") {
                0 => return stamped,
                n => stamped += n,
            }
        }
    }
}
