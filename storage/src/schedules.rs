//! Schedules. A tick fires once: the run is unique by (schedule, tick), and the schedule moves on in the same unit.

use chrono::{DateTime, Utc};
use domain::{
    event::{EventKind, NewEvent},
    id::{OrgId, ScheduleId},
    run::Run,
    schedule::Schedule,
};

use crate::{
    Error, Executor, System, Unit,
    row::{Row, name, params},
};

/// Schedules of a scope or unit.
pub struct Schedules<'a, E>(pub(crate) &'a E);

/// A schedule that is due, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSchedule {
    /// The organisation.
    pub org: OrgId,
    /// The schedule; `next_at` is the tick.
    pub schedule: Schedule,
}

/// What became of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// The schedule moved on and, if one was given, the run was made.
    Now,
    /// Somebody else had fired this tick.
    Before,
}

fn read(row: &Row) -> Result<Schedule, Error> {
    Ok(Schedule {
        id: ScheduleId(row.get("id")?),
        version: row.count("version")?,
        agent: row.named("agent")?,
        cron: row.get("cron")?,
        time_zone: row.get("time_zone")?,
        overlap: row.named("overlap")?,
        catch_up_seconds: row.count("catch_up_seconds")?,
        paused: row.get("paused")?,
        next_at: row.get("next_at")?,
        last_at: row.get("last_at")?,
    })
}

fn unknown(id: ScheduleId) -> Error {
    domain::Error::not_found("schedule.unknown", format!("there is no schedule {id}")).into()
}

impl<E: Executor> Schedules<'_, E> {
    /// Every schedule, by agent.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self) -> Result<Vec<Schedule>, Error> {
        let sql = "SELECT * FROM schedules WHERE org_id = $1 ORDER BY agent, id";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// One schedule.
    ///
    /// # Errors
    /// `schedule.unknown`.
    pub async fn get(&self, id: ScheduleId) -> Result<Schedule, Error> {
        let row = self
            .0
            .row(
                "SELECT * FROM schedules WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref()
            .map(read)
            .transpose()?
            .ok_or_else(|| unknown(id))
    }
}

impl Schedules<'_, Unit> {
    /// Adds a schedule at version 1; adding it again changes nothing. Says whether it is new.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn create(&self, new: &Schedule) -> Result<bool, Error> {
        let sql = "INSERT INTO schedules (org_id, id, version, agent, cron, time_zone, overlap, catch_up_seconds, paused, next_at, \
                   last_at) VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (org_id, id) DO NOTHING";
        let params = params![
            new.id.0,
            new.agent.name(),
            new.cron.clone(),
            new.time_zone.clone(),
            name(&new.overlap),
            i64::from(new.catch_up_seconds),
            new.paused,
            new.next_at,
            new.last_at
        ];
        let made = self.0.execute(sql, params).await? == 1;
        if made {
            self.tell(new.id).await?;
        }
        Ok(made)
    }

    /// Changes a schedule; the next version is returned.
    ///
    /// # Errors
    /// `schedule.changed` (stale) when it no longer has `expected_version`, `schedule.unknown`.
    pub async fn update(
        &self,
        schedule: &Schedule,
        expected_version: u32,
    ) -> Result<Schedule, Error> {
        let sql = "UPDATE schedules SET version = version + 1, agent = $4, cron = $5, time_zone = $6, overlap = $7, \
                   catch_up_seconds = $8, paused = $9, next_at = $10 WHERE org_id = $1 AND id = $2 AND version = $3";
        let params = params![
            schedule.id.0,
            i64::from(expected_version),
            schedule.agent.name(),
            schedule.cron.clone(),
            schedule.time_zone.clone(),
            name(&schedule.overlap),
            i64::from(schedule.catch_up_seconds),
            schedule.paused,
            schedule.next_at
        ];
        if self.0.execute(sql, params).await? == 0 {
            let version = self.get(schedule.id).await?.version;
            let message = format!("the schedule is at version {version} by now");
            return Err(
                domain::Error::new(domain::ErrorKind::Stale, "schedule.changed", message)
                    .advise("reload it and edit again")
                    .into(),
            );
        }
        self.tell(schedule.id).await?;
        self.get(schedule.id).await
    }

    /// Deletes a schedule. Its runs stay. Says whether there was one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn delete(&self, id: ScheduleId) -> Result<bool, Error> {
        let gone = self
            .0
            .execute(
                "DELETE FROM schedules WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?
            == 1;
        if gone {
            self.tell(id).await?;
        }
        Ok(gone)
    }

    /// Fires the tick at which a schedule stands: moves it on to `next_at` and makes `run`, if one is given (`None` skips
    /// the tick). Two that fire the same tick at once make one run.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn fire(
        &self,
        id: ScheduleId,
        tick: DateTime<Utc>,
        next_at: Option<DateTime<Utc>>,
        run: Option<&Run>,
    ) -> Result<Fired, Error> {
        let sql = "UPDATE schedules SET next_at = $4, last_at = CASE WHEN $5 THEN $3 ELSE last_at END \
                   WHERE org_id = $1 AND id = $2 AND next_at = $3";
        if self
            .0
            .execute(sql, params![id.0, tick, next_at, run.is_some()])
            .await?
            == 0
        {
            return Ok(Fired::Before);
        }
        if let Some(run) = run {
            let run = Run {
                schedule: Some(id),
                tick: Some(tick),
                ..run.clone()
            };
            if !self.0.runs().create(&run).await? {
                return Ok(Fired::Before);
            }
        }
        Ok(Fired::Now)
    }

    async fn tell(&self, id: ScheduleId) -> Result<(), Error> {
        let body = serde_json::json!({ "schedule": id });
        self.0
            .events()
            .publish(NewEvent {
                kind: EventKind::ScheduleChanged,
                key: id.to_string(),
                body,
            })
            .await?;
        Ok(())
    }
}

/// Schedules across organisations.
pub struct SystemSchedules<'a>(pub(crate) &'a System);

impl SystemSchedules<'_> {
    /// Schedules whose next tick has come by database time, the longest waiting first. Paused ones are left out. Fire
    /// each in a unit of its organisation.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn due(&self, limit: u32) -> Result<Vec<DueSchedule>, Error> {
        self.0
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT * FROM schedules WHERE next_at <= $1 AND paused = $2 ORDER BY next_at, id LIMIT $3";
                    let rows = tx.rows(sql, params![tx.now, false, i64::from(limit)]).await?;
                    rows.iter().map(|row| Ok(DueSchedule { org: OrgId(row.get("org_id")?), schedule: read(row)? })).collect()
                })
            })
            .await
    }

    /// When the next tick of any schedule that is not paused comes.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn next_tick(&self) -> Result<Option<DateTime<Utc>>, Error> {
        self.0
            .read(|tx| {
                Box::pin(async move {
                    let sql = "SELECT MIN(next_at) AS next_at FROM schedules WHERE paused = $1";
                    let row = tx.row(sql, params![false]).await?;
                    row.map_or(Ok(None), |row| row.get("next_at"))
                })
            })
            .await
    }
}
