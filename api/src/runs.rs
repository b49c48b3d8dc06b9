//! Runs of the agents, with the journal of their steps.

use chrono::{DateTime, Utc};
use domain::id::{RunId, ScheduleId};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::Value;

use crate::{
    App, Tag,
    actor::AgentKind,
    auth::Caller,
    mirror::{Id, Mirror, Reflect, mirror, mirror_enum},
    page::{self, Listed},
    problem::Answer,
};

mirror_enum! {
    /// Where a run stands.
    RunState of domain::run::RunState {
        /// Waiting to start.
        Queued,
        /// Under way.
        Running,
        /// Every step is done.
        Succeeded,
        /// A step failed for good.
        Failed,
        /// A person stopped it.
        Cancelled,
    }
}

mirror_enum! {
    /// Why a run was started.
    Trigger of domain::run::Trigger {
        /// A schedule's tick.
        Schedule,
        /// An event.
        Event,
        /// A person.
        Person,
    }
}

mirror! {
    /// A run.
    Run of domain::run::Run {
        /// The id.
        id: Id<RunId>,
        /// The agent.
        agent: AgentKind,
        /// Where it stands.
        state: RunState,
        /// Why it was started.
        trigger: Trigger,
        /// The schedule, for a tick.
        schedule: Option<Id<ScheduleId>>,
        /// The tick's planned time; unique together with the schedule.
        tick: Option<DateTime<Utc>>,
        /// Digest of the data it looked at.
        snapshot: Option<String>,
        /// Parameters and seed.
        parameters: Value,
        /// Progress 0 to 1.
        progress: f64,
        /// Error of a failed run.
        error: Option<String>,
        /// When it was made.
        created_at: DateTime<Utc>,
        /// When its first step started.
        started_at: Option<DateTime<Utc>>,
        /// When it ended.
        ended_at: Option<DateTime<Utc>>,
    }
}

mirror! {
    /// One step of a run. A finished step is not done again when the run resumes.
    RunStep of domain::run::RunStep {
        /// The run.
        run: Id<RunId>,
        /// Key, unique within the run: `observe`, `analyse`, `decide`, `propose`.
        key: String,
        /// Attempts begun.
        attempt: u32,
        /// What it produced, in brief.
        output: Option<Value>,
        /// Error of the last attempt.
        error: Option<String>,
        /// When it started.
        started_at: DateTime<Utc>,
        /// When it ended.
        ended_at: Option<DateTime<Utc>>,
    }
}

/// A run with its steps.
#[derive(Clone, Debug, Object)]
pub(crate) struct RunDetail {
    /// The run.
    pub(crate) run: Run,
    /// Its steps, in order.
    pub(crate) steps: Vec<RunStep>,
}

/// Runs.
pub(crate) struct RunApi(pub(crate) App);

#[OpenApi(tag = "Tag::Agents")]
impl RunApi {
    /// List runs.
    ///
    /// Newest first.
    #[oai(path = "/runs", method = "get", operation_id = "run_list")]
    async fn list(
        &self,
        request: &Request,
        caller: Caller,
        /// Only of this agent.
        agent: Query<Option<AgentKind>>,
        /// Rows on a page, 1 to 200.
        limit: Query<Option<u32>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<Listed<Run>> {
        let wanted = page::request(limit.0, cursor.0)?;
        let found = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .runs()
            .list(agent.0.back(), &wanted)
            .await?;
        Ok(page::listed(request, found))
    }

    /// Get a run.
    ///
    /// With the journal of its steps.
    #[oai(path = "/runs/:run_id", method = "get", operation_id = "run_get")]
    async fn get(&self, caller: Caller, run_id: Path<Id<RunId>>) -> Answer<Json<RunDetail>> {
        let scope = self.0.state.storage.scope(caller.grant());
        let run = scope.runs().get(run_id.0.0).await?;
        let steps = scope.runs().steps(run.id).await?;
        Ok(Json(RunDetail {
            run: Mirror::of(run),
            steps: Mirror::of(steps),
        }))
    }

    /// Cancel a run.
    ///
    /// What it has stored stays; a run that has ended is a conflict.
    #[oai(
        path = "/runs/:run_id/cancel",
        method = "post",
        operation_id = "run_cancel"
    )]
    async fn cancel(&self, caller: Caller, run_id: Path<Id<RunId>>) -> Answer<Json<Run>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .agents
                .cancel_run(&caller.principal, run_id.0.0)
                .await?,
        )))
    }
}
