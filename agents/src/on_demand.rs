//! Organisations are started when something concerns them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{
    access::{Permission, Principal},
    id::{OrgId, ScheduleId},
    schedule::{Overlap, Schedule},
};

use crate::{
    Error, Inner,
    agent::DESKS,
    context::Ctx,
    organisation::{self, Organisation},
};

impl Inner {
    /// The organisation's actors, started if they are not up.
    pub(crate) async fn up(&self, org: OrgId) -> Result<Organisation, Error> {
        let path = format!("{}/{org}", self.supervisor.path());
        let known = || {
            let up = self
                .organisations
                .read()
                .expect("no thread panics while it holds the list")
                .get(&org)
                .cloned();
            // The supervisor loses its children when it is restarted itself; then they are started again.
            up.filter(|_| self.deps.tree.node(&path).is_some())
        };
        if let Some(up) = known() {
            return Ok(up);
        }
        let _starting = self.starting.lock().await;
        if let Some(up) = known() {
            return Ok(up);
        }
        self.ensure_schedules(org).await?;
        let ctx = Ctx {
            org,
            storage: self.deps.storage.clone(),
            analyst: self.analyst.clone(),
            signals: self.deps.signals.clone(),
            config: self.deps.config.clone(),
        };
        let (spec, up) = organisation::subtree(Arc::new(ctx));
        match self.supervisor.start_child(spec).await {
            Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        self.organisations
            .write()
            .expect("no thread panics while it holds the list")
            .insert(org, up.clone());
        Ok(up)
    }

    /// Every agent has a schedule of its own; one that a person changed or paused is left alone.
    async fn ensure_schedules(&self, org: OrgId) -> Result<(), Error> {
        let grant = Principal::system(org).grant(Permission::ScheduleWrite)?;
        let time_zone = self
            .deps
            .storage
            .scope(&grant)
            .organisations()
            .get()
            .await?
            .time_zone;
        let now = self.deps.storage.now().await?;
        let mut wanted = Vec::new();
        for desk in DESKS {
            let mut schedule = Schedule {
                id: ScheduleId::derive(&[&org.to_string(), desk.kind.name()]),
                version: 1,
                agent: desk.kind,
                cron: desk.cron.to_owned(),
                time_zone: time_zone.clone(),
                overlap: Overlap::Skip,
                catch_up_seconds: 6 * 3600,
                paused: false,
                next_at: None,
                last_at: None,
            };
            schedule.next_at = next_tick(&schedule, now)?;
            wanted.push(schedule);
        }
        self.deps
            .storage
            .unit(&grant, move |u| {
                let wanted = wanted.clone();
                Box::pin(async move {
                    let known = u.schedules().list().await?;
                    for schedule in wanted
                        .iter()
                        .filter(|s| !known.iter().any(|k| k.agent == s.agent))
                    {
                        u.schedules().create(schedule).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}

fn next_tick(schedule: &Schedule, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Error> {
    let timetable = runtime::schedules::Timetable::of(schedule)?;
    Ok(timetable.next_fires(now, 1).into_iter().next())
}
