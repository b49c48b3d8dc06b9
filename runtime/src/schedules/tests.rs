//! The scheduler on both databases. Database time is moved by hand.

use std::time::Duration;

use chrono::TimeDelta;
use domain::{
    access::{Grant, Permission, Principal},
    id::{OrgId, ScheduleId},
    page::PageRequest,
    schedule::Overlap,
};
use storage::{Storage, SystemGrant, testkit::TestDatabase};

use super::*;
use crate::{
    doorbell::{Doorbell, Sweep},
    mailbox::BoundedRef,
    shutdown::Root,
    supervisor::{Strategy, SupervisorSpec},
    testkit::{host, wait_for_node},
};

fn grant(org: OrgId) -> Grant {
    Principal::system(org)
        .grant(Permission::ScheduleWrite)
        .unwrap()
}

/// Looks only when told to.
fn never() -> Sweep {
    Sweep {
        shortest: Duration::from_secs(3_600),
        longest: Duration::from_secs(3_600),
    }
}

struct Desk {
    storage: Storage,
    org: OrgId,
    root: Root,
    scheduler: BoundedRef<SchedulerMsg>,
    looks: std::cell::Cell<u64>,
}

impl Desk {
    async fn open(db: &TestDatabase, name: &str) -> Self {
        let storage: Storage = (**db).clone();
        let system = storage.system(SystemGrant::for_app());
        let org = db.org("acme").await;
        let (child, scheduler) = Scheduler::child(
            "scheduler",
            storage.clone(),
            system,
            Doorbell::local(),
            never(),
        );
        let root = Root::start(
            host(name),
            SupervisorSpec::new(Strategy::OneForOne).child(child),
        )
        .await
        .unwrap();
        let desk = Self {
            storage,
            org,
            root,
            scheduler,
            looks: std::cell::Cell::new(0),
        };
        desk.looked().await;
        desk
    }

    /// Waits for one more look.
    async fn looked(&self) -> serde_json::Value {
        self.looks.set(self.looks.get() + 1);
        let looks = self.looks.get();
        wait_for_node(self.root.tree(), "root/scheduler", |node| {
            node.handled >= looks && node.busy_since.is_none()
        })
        .await
        .observed["counts"]
            .clone()
    }

    async fn look(&self) -> serde_json::Value {
        self.scheduler.tell(SchedulerMsg::Look).unwrap();
        self.looked().await
    }

    async fn add(&self, cron: &str, overlap: Overlap, catch_up_seconds: u32) -> Schedule {
        let schedule = Schedule {
            id: ScheduleId(self.storage.fresh_id()),
            version: 1,
            agent: AgentKind::Forecasting,
            cron: cron.into(),
            time_zone: "UTC".into(),
            overlap,
            catch_up_seconds,
            paused: false,
            next_at: None,
            last_at: None,
        };
        let armed = armed(&schedule, self.storage.now().await.unwrap()).unwrap();
        let stored = armed.clone();
        self.storage
            .unit(&grant(self.org), move |unit| {
                let stored = stored.clone();
                Box::pin(async move { unit.schedules().create(&stored).await })
            })
            .await
            .unwrap();
        armed
    }

    async fn runs(&self) -> Vec<Run> {
        let page = PageRequest {
            limit: 200,
            after: None,
        };
        let mut runs = self
            .storage
            .scope(&grant(self.org))
            .runs()
            .list(None, &page)
            .await
            .unwrap()
            .rows;
        runs.sort_by_key(|run| run.tick);
        runs
    }

    async fn end(&self, run: RunId) {
        self.storage
            .unit(&grant(self.org), move |unit| {
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

    /// Moves database time to `past` after the schedule's next tick.
    async fn pass(&self, schedule: &Schedule, past: TimeDelta) {
        let tick = schedule.next_at.unwrap();
        self.storage
            .shift_time(tick + past - self.storage.now().await.unwrap());
    }
}

storage::on_both! {
    async fn a_due_tick_makes_one_queued_run_and_the_schedule_moves_on(db: TestDatabase) {
        let desk = Desk::open(&db, "due").await;
        let schedule = desk.add("0 * * * *", Overlap::Skip, 0).await;
        assert_eq!(desk.look().await["fired"], 0);
        desk.pass(&schedule, TimeDelta::seconds(2)).await;
        assert_eq!(desk.look().await["fired"], 1);
        assert_eq!(desk.look().await["fired"], 1);
        let runs = desk.runs().await;
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].state, runs[0].trigger, runs[0].agent), (RunState::Queued, Trigger::Schedule, AgentKind::Forecasting));
        assert_eq!((runs[0].schedule, runs[0].tick), (Some(schedule.id), schedule.next_at));
        let stored = db.scope(&grant(desk.org)).schedules().get(schedule.id).await.unwrap();
        assert_eq!(stored.last_at, schedule.next_at);
        assert_eq!(stored.next_at, schedule.next_at.map(|tick| tick + TimeDelta::hours(1)));
    }

    async fn racing_schedulers_give_one_run_per_tick(db: TestDatabase) {
        let (one, two) = (Desk::open(&db, "one").await, Desk::open(&db, "two").await);
        let mut schedules = Vec::new();
        for _ in 0..10 {
            schedules.push(one.add("0 * * * *", Overlap::Allow, 4 * 3_600).await);
        }
        one.pass(&schedules[0], TimeDelta::seconds(2 * 3_600 + 2)).await;
        futures::join!(one.look(), two.look());
        // A database that is busy with the race may have sent one of them into another try.
        let all = async {
            while one.runs().await.len() < 30 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::testkit::PATIENCE, all).await.expect("every tick is fired");
        futures::join!(one.look(), two.look());
        let fired = |desk: &Desk| {
            desk.root.tree().node("root/scheduler").unwrap().observed["counts"]["fired"].as_u64().unwrap()
        };
        assert_eq!(fired(&one) + fired(&two), 30);
        let runs = one.runs().await;
        assert_eq!(runs.len(), 30);
        for schedule in schedules {
            let ticks: Vec<_> = runs.iter().filter(|run| run.schedule == Some(schedule.id)).map(|run| run.tick).collect();
            let expected: Vec<_> = (0..3).map(|hours| schedule.next_at.map(|tick| tick + TimeDelta::hours(hours))).collect();
            assert_eq!(ticks, expected);
        }
    }

    async fn missed_ticks_are_caught_up_within_the_window_only(db: TestDatabase) {
        let desk = Desk::open(&db, "late").await;
        let schedule = desk.add("0 * * * *", Overlap::Allow, 2 * 3_600).await;
        desk.pass(&schedule, TimeDelta::hours(5) + TimeDelta::seconds(1)).await;
        let counts = desk.look().await;
        assert_eq!((counts["fired"].as_u64(), counts["missed"].as_u64()), (Some(2), Some(4)));
        let ticks: Vec<_> = desk.runs().await.into_iter().map(|run| run.tick).collect();
        let first = schedule.next_at.unwrap();
        assert_eq!(ticks, [Some(first + TimeDelta::hours(4)), Some(first + TimeDelta::hours(5))]);
    }

    async fn an_overlapping_tick_is_skipped_or_buffered_as_the_schedule_says(db: TestDatabase) {
        let desk = Desk::open(&db, "overlap").await;
        let skipping = desk.add("0 * * * *", Overlap::Skip, 0).await;
        let buffering = desk.add("0 * * * *", Overlap::BufferOne, 0).await;
        let runs_of = |runs: &[Run], schedule: &Schedule| runs.iter().filter(|run| run.schedule == Some(schedule.id)).count();
        desk.pass(&skipping, TimeDelta::seconds(1)).await;
        desk.look().await;
        // Both have a queued run; the buffering one's is under way by the next tick.
        let runs = desk.runs().await;
        let under_way = runs.iter().find(|run| run.schedule == Some(buffering.id)).unwrap().id;
        db.unit(&grant(desk.org), move |unit| Box::pin(async move { unit.runs().start(under_way).await.map(|_| ()) }))
            .await
            .unwrap();
        for _ in 0..2 {
            desk.storage.shift_time(TimeDelta::hours(1));
            desk.look().await;
        }
        let runs = desk.runs().await;
        assert_eq!((runs_of(&runs, &skipping), runs_of(&runs, &buffering)), (1, 2));
        assert_eq!(desk.look().await["overlapped"], 3);
        // Once the run before has ended, the next tick starts one again.
        let first = runs.iter().find(|run| run.schedule == Some(skipping.id)).unwrap().id;
        desk.end(first).await;
        desk.storage.shift_time(TimeDelta::hours(1));
        desk.look().await;
        assert_eq!(runs_of(&desk.runs().await, &skipping), 2);
    }

    async fn a_paused_schedule_fires_nothing_and_is_not_made_up_for_when_resumed(db: TestDatabase) {
        let desk = Desk::open(&db, "paused").await;
        let schedule = desk.add("0 * * * *", Overlap::Allow, 24 * 3_600).await;
        let set = async |change: Schedule, version: u32| {
            db.unit(&grant(desk.org), move |unit| {
                let change = change.clone();
                Box::pin(async move { unit.schedules().update(&change, version).await })
            })
            .await
            .unwrap()
        };
        let paused = set(Schedule { paused: true, ..schedule.clone() }, 1).await;
        desk.pass(&schedule, TimeDelta::hours(5)).await;
        assert_eq!(desk.look().await["fired"], 0);
        let now = db.now().await.unwrap();
        let resumed = armed(&Schedule { paused: false, ..paused }, now).unwrap();
        assert_eq!(next_fires(&resumed, now, 2).unwrap()[0], resumed.next_at.unwrap());
        let resumed = set(resumed, 2).await;
        assert_eq!(desk.look().await["fired"], 0);
        desk.pass(&resumed, TimeDelta::seconds(1)).await;
        assert_eq!(desk.look().await["fired"], 1);
    }

    async fn a_schedule_that_cannot_be_read_stands_still_and_hurts_no_other(db: TestDatabase) {
        let desk = Desk::open(&db, "broken").await;
        let fine = desk.add("0 * * * *", Overlap::Skip, 0).await;
        let broken = desk.add("0 * * * *", Overlap::Skip, 0).await;
        let change = Schedule { cron: "whenever".into(), ..broken.clone() };
        db.unit(&grant(desk.org), move |unit| {
            let change = change.clone();
            Box::pin(async move { unit.schedules().update(&change, 1).await.map(|_| ()) })
        })
        .await
        .unwrap();
        desk.pass(&fine, TimeDelta::seconds(1)).await;
        let counts = desk.look().await;
        assert_eq!((counts["fired"].as_u64(), counts["invalid"].as_u64()), (Some(1), Some(1)));
        assert_eq!(db.scope(&grant(desk.org)).schedules().get(broken.id).await.unwrap().next_at, None);
        assert!(desk.root.tree().node("root/scheduler").unwrap().last_error.unwrap().contains("whenever"));
    }
}
