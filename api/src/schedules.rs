//! When agents run by themselves.

use chrono::{DateTime, Utc};
use domain::id::ScheduleId;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path},
    payload::Json,
};
use serde_json::json;

use crate::{
    App, Tag,
    actor::AgentKind,
    answer::Accepted,
    auth::Caller,
    etag::{self, Tagged},
    mirror::{Id, Mirror, Reflect, mirror_enum},
    permissions::BASE,
    problem::{Answer, Problem},
    runs::Run,
};

mirror_enum! {
    /// What happens when a tick falls due while the run before is still under way.
    Overlap of domain::schedule::Overlap {
        /// The tick is skipped, and that is recorded.
        Skip,
        /// One run waits.
        BufferOne,
        /// Both run.
        Allow,
    }
}

/// A schedule with its next ticks.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Schedule {
    /// The id.
    pub(crate) id: Id<ScheduleId>,
    /// Version, for `If-Match`.
    pub(crate) version: u32,
    /// The agent it wakes.
    pub(crate) agent: AgentKind,
    /// Five-field cron expression.
    pub(crate) cron: String,
    /// IANA time zone the expression is read in.
    pub(crate) time_zone: String,
    /// Overlap policy.
    pub(crate) overlap: Overlap,
    /// Ticks missed by at most this many seconds are caught up.
    pub(crate) catch_up_seconds: u32,
    /// Whether it is paused.
    pub(crate) paused: bool,
    /// The next tick.
    pub(crate) next_at: Option<DateTime<Utc>>,
    /// The last tick that fired.
    pub(crate) last_at: Option<DateTime<Utc>>,
    /// The next five ticks; none while it is paused.
    pub(crate) next: Vec<DateTime<Utc>>,
}

/// What changes about a schedule; what is left out stays.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ScheduleUpdate {
    /// Five-field cron expression.
    #[oai(validator(min_length = 9, max_length = 200))]
    pub(crate) cron: Option<String>,
    /// IANA time zone.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub(crate) time_zone: Option<String>,
    /// Whether it is paused.
    pub(crate) paused: Option<bool>,
    /// Overlap policy.
    pub(crate) overlap: Option<Overlap>,
}

/// A schedule with its next five ticks.
fn view(schedule: domain::schedule::Schedule, now: DateTime<Utc>) -> Result<Schedule, Problem> {
    let next = runtime::schedules::next_fires(&schedule, now, 5)?;
    let domain::schedule::Schedule {
        id,
        version,
        agent,
        cron,
        time_zone,
        overlap,
        catch_up_seconds,
        paused,
        next_at,
        last_at,
    } = schedule;
    Ok(Schedule {
        id: Id(id),
        version,
        agent: Mirror::of(agent),
        cron,
        time_zone,
        overlap: Mirror::of(overlap),
        catch_up_seconds,
        paused,
        next_at,
        last_at,
        next,
    })
}

/// Schedules.
pub(crate) struct ScheduleApi(pub(crate) App);

#[OpenApi(tag = "Tag::Agents")]
impl ScheduleApi {
    /// List the schedules.
    ///
    /// With the next five ticks of each.
    #[oai(path = "/schedules", method = "get", operation_id = "schedule_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<Vec<Schedule>>> {
        let now = self.0.state.storage.now().await?;
        let schedules = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .schedules()
            .list()
            .await?;
        let views: Result<_, Problem> = schedules
            .into_iter()
            .map(|schedule| view(schedule, now))
            .collect();
        Ok(Json(views?))
    }

    /// Change a schedule.
    ///
    /// Needs `If-Match`. A mistake in the cron expression is answered with what is wrong with it.
    #[oai(
        path = "/schedules/:schedule_id",
        method = "patch",
        operation_id = "schedule_update"
    )]
    async fn update(
        &self,
        caller: Caller,
        schedule_id: Path<Id<ScheduleId>>,
        /// The `ETag` of the version you looked at.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<ScheduleUpdate>,
    ) -> Answer<Tagged<Schedule>> {
        let version = etag::version(if_match.0.as_deref())?;
        let (id, change) = (schedule_id.0.0, body.0);
        let known = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .schedules()
            .get(id)
            .await?;
        let now = self.0.state.storage.now().await?;
        let wanted = domain::schedule::Schedule {
            cron: change.cron.unwrap_or(known.cron),
            time_zone: change.time_zone.unwrap_or(known.time_zone),
            paused: change.paused.unwrap_or(known.paused),
            overlap: change.overlap.back().unwrap_or(known.overlap),
            ..known
        };
        let armed = runtime::schedules::armed(&wanted, now)?;
        let saved = self
            .0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                let armed = armed.clone();
                Box::pin(async move {
                    let saved = u.schedules().update(&armed, version).await?;
                    let detail = json!({ "cron": saved.cron, "time_zone": saved.time_zone, "paused": saved.paused });
                    u.audit().record("schedule.changed", &id.to_string(), detail).await?;
                    Ok(saved)
                })
            })
            .await?;
        let version = saved.version;
        Ok(Tagged::new(view(saved, now)?, version))
    }

    /// Run a schedule's agent now.
    ///
    /// The next tick stays where it is.
    #[oai(
        path = "/schedules/:schedule_id/trigger",
        method = "post",
        operation_id = "schedule_trigger"
    )]
    async fn trigger(
        &self,
        caller: Caller,
        schedule_id: Path<Id<ScheduleId>>,
    ) -> Answer<Accepted<Run>> {
        let schedule = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .schedules()
            .get(schedule_id.0.0)
            .await?;
        let run = self
            .0
            .state
            .agents
            .run_now(&caller.principal, schedule.agent)
            .await?;
        let location = format!("{BASE}/runs/{}", run.id);
        Ok(Accepted::Accepted(Json(Mirror::of(run)), location))
    }
}
