//! The actor that fires ticks.

use std::{fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    access::{Permission, Principal},
    id::{OrgId, RunId},
    run::{RunState, Trigger},
    schedule::{Overlap, Schedule},
};
use serde::Serialize;
use serde_json::{Value, json};
use storage::{DueSchedule, Fired, Storage, System};

use super::{Timetable, queued_run};
use crate::{
    Error,
    actor::{Behaviour, Context, Failure},
    doorbell::{Doorbell, Sweep},
    mailbox::BoundedRef,
    supervisor::ChildSpec,
};

/// Schedules dealt with in one look.
const SCHEDULES: u32 = 100;

/// Wait before a tick that could not be fired is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Topic on which a scheduler may be told that a schedule was made or changed.
pub const SCHEDULES_CHANGED: &str = "schedules";

/// What a scheduler is told.
#[derive(Debug)]
pub enum SchedulerMsg {
    /// Look for ticks that are due.
    Look,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    fired: u64,
    raced: u64,
    overlapped: u64,
    missed: u64,
    invalid: u64,
}

/// The scheduler. Any number may run, on any node.
pub struct Scheduler {
    storage: Storage,
    system: System,
    bell: Doorbell,
    sweep: Sweep,
    /// The tick a timer is set for.
    timer: Option<DateTime<Utc>>,
    counts: Counts,
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("timer", &self.timer)
            .field("counts", &self.counts)
            .finish()
    }
}

impl Scheduler {
    /// The scheduler as a child, and its reference.
    pub fn child(
        name: &str,
        storage: Storage,
        system: System,
        bell: Doorbell,
        sweep: Sweep,
    ) -> (ChildSpec, BoundedRef<SchedulerMsg>) {
        ChildSpec::actor(name, 4, move || Self {
            storage: storage.clone(),
            system: system.clone(),
            bell: bell.clone(),
            sweep,
            timer: None,
            counts: Counts::default(),
        })
    }

    /// Fires everything that is due. Says when the next tick comes.
    async fn look(&mut self, ctx: &Context<SchedulerMsg>) -> Result<(), Error> {
        loop {
            let due = self.system.schedules().due(SCHEDULES).await?;
            let is_full = due.len() == SCHEDULES as usize;
            let mut moved = false;
            for DueSchedule { org, schedule } in due {
                match self.fire(ctx, org, &schedule).await {
                    Ok(did) => moved |= did,
                    // One schedule's trouble is not the others'. It is still due, so it is found again.
                    Err(error) => {
                        tracing::warn!(schedule.id = %schedule.id, org.id = %org, %error, "a tick could not be fired yet");
                        ctx.cell().note_error(error);
                        ctx.after(RETRY, SchedulerMsg::Look);
                    }
                }
                ctx.cell().progress();
            }
            if !(is_full && moved) {
                break;
            }
        }
        self.set_timer(ctx).await
    }

    /// A timer for the next tick, so that it does not wait for the sweep.
    async fn set_timer(&mut self, ctx: &Context<SchedulerMsg>) -> Result<(), Error> {
        let Some(next) = self.system.schedules().next_tick().await? else {
            return Ok(());
        };
        if self.timer == Some(next) {
            return Ok(());
        }
        let wait = next - self.system.now().await?;
        // What is further away the sweep will see again.
        if wait > TimeDelta::from_std(self.sweep.longest).unwrap_or(TimeDelta::zero()) {
            return Ok(());
        }
        self.timer = Some(next);
        ctx.after(wait.to_std().unwrap_or(Duration::ZERO), SchedulerMsg::Look);
        Ok(())
    }

    /// Deals with every tick of one schedule that is due. Says whether the schedule moved on.
    async fn fire(
        &mut self,
        ctx: &Context<SchedulerMsg>,
        org: OrgId,
        schedule: &Schedule,
    ) -> Result<bool, Error> {
        let Some(first) = schedule.next_at else {
            return Ok(false);
        };
        let table = match Timetable::of(schedule) {
            Ok(table) => table,
            Err(error) => {
                // It was checked when it was written; stop it rather than look at it for ever.
                tracing::error!(schedule.id = %schedule.id, org.id = %org, %error, "a schedule cannot be read and stands still");
                ctx.cell().note_error(error);
                self.counts.invalid += 1;
                self.move_on(org, schedule, first, None, Tick::Missed(0))
                    .await?;
                return Ok(true);
            }
        };
        let now = self.system.now().await?;
        let due = table.due(first - TimeDelta::seconds(1), now);
        let mut at = first;
        if due.missed > 0 {
            let next = due.fire.first().copied().or(due.next);
            if self
                .move_on(org, schedule, at, next, Tick::Missed(due.missed))
                .await?
                == Fired::Before
            {
                self.counts.raced += 1;
                return Ok(true);
            }
            self.counts.missed += u64::from(due.missed);
            tracing::warn!(schedule.id = %schedule.id, org.id = %org, ticks = due.missed, "ticks were missed and are not made up for");
        }
        for tick in due.fire {
            at = tick;
            match self
                .move_on(org, schedule, at, table.next_after(at), Tick::Due(now))
                .await?
            {
                Fired::Now => {}
                // Another scheduler was quicker; it deals with the rest too.
                Fired::Before => {
                    self.counts.raced += 1;
                    return Ok(true);
                }
            }
        }
        Ok(true)
    }

    /// One tick as one unit: the overlap decides whether it starts a run, and the schedule moves on.
    async fn move_on(
        &mut self,
        org: OrgId,
        schedule: &Schedule,
        at: DateTime<Utc>,
        next: Option<DateTime<Utc>>,
        tick: Tick,
    ) -> Result<Fired, Error> {
        let grant = Principal::system(org)
            .grant(Permission::RunWrite)
            .map_err(storage::Error::from)?;
        let schedule = schedule.clone();
        let (fired, overlapped) = self
            .storage
            .unit(&grant, move |unit| {
                let schedule = schedule.clone();
                Box::pin(async move {
                    let run = match tick {
                        Tick::Missed(0) => None,
                        Tick::Missed(ticks) => {
                            let what = json!({ "tick": at, "ticks": ticks, "why": "missed" });
                            unit.audit()
                                .record("schedule.tick_skipped", &schedule.id.to_string(), what)
                                .await?;
                            None
                        }
                        Tick::Due(now) => {
                            let unfinished = unit.runs().unfinished().await?;
                            let mut own = unfinished
                                .iter()
                                .filter(|run| run.schedule == Some(schedule.id));
                            let is_free = match schedule.overlap {
                                Overlap::Allow => true,
                                Overlap::Skip => own.next().is_none(),
                                Overlap::BufferOne => own.all(|run| run.state != RunState::Queued),
                            };
                            is_free.then(|| {
                                queued_run(
                                    RunId(unit.fresh_id()),
                                    schedule.agent,
                                    Trigger::Schedule,
                                    now,
                                )
                            })
                        }
                    };
                    let overlapped = run.is_none() && matches!(tick, Tick::Due(_));
                    if overlapped {
                        let what =
                            json!({ "tick": at, "why": "the run before is still under way" });
                        unit.audit()
                            .record("schedule.tick_skipped", &schedule.id.to_string(), what)
                            .await?;
                    }
                    let fired = unit
                        .schedules()
                        .fire(schedule.id, at, next, run.as_ref())
                        .await?;
                    if fired == Fired::Before {
                        // Nothing of this unit may stay, the note in the audit trail least of all.
                        return Err(already_fired());
                    }
                    Ok((fired, overlapped))
                })
            })
            .await
            .or_else(|error| {
                if is_already_fired(&error) {
                    Ok((Fired::Before, false))
                } else {
                    Err(error)
                }
            })?;
        match (fired, overlapped, tick) {
            (Fired::Now, true, _) => self.counts.overlapped += 1,
            (Fired::Now, false, Tick::Due(_)) => self.counts.fired += 1,
            _ => {}
        }
        Ok(fired)
    }
}

/// What is done with a tick.
#[derive(Clone, Copy)]
enum Tick {
    /// This many, this one the first, are too old; none at all for a schedule that only has to stand still.
    Missed(u32),
    /// It is due, at this time.
    Due(DateTime<Utc>),
}

const ALREADY_FIRED: &str = "schedule.already_fired";

fn already_fired() -> storage::Error {
    domain::Error::conflict(ALREADY_FIRED, "another scheduler fired this tick").into()
}

fn is_already_fired(error: &storage::Error) -> bool {
    domain::Classify::code(error) == ALREADY_FIRED
}

impl Behaviour for Scheduler {
    type Msg = SchedulerMsg;
    const KIND: &'static str = "scheduler";

    async fn start(&mut self, ctx: &Context<SchedulerMsg>) -> Result<(), Failure> {
        ctx.look_when(self.bell.listen(SCHEDULES_CHANGED), self.sweep, || {
            SchedulerMsg::Look
        });
        // Ticks that fell due while nobody was there.
        ctx.after(Duration::ZERO, SchedulerMsg::Look);
        Ok(())
    }

    async fn handle(
        &mut self,
        ctx: &Context<SchedulerMsg>,
        _look: SchedulerMsg,
    ) -> Result<(), Failure> {
        if let Err(error) = self.look(ctx).await {
            // The database is away: the next sweep looks again.
            ctx.cell().note_error(error);
        }
        Ok(())
    }

    fn observe(&self) -> Value {
        json!({ "next_timer": self.timer, "counts": self.counts })
    }
}
