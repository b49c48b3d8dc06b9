//! The four agents and the tree of actors they live in.

use chrono::{DateTime, Utc};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use serde_json::Value;

use crate::{
    App, Tag,
    actor::AgentKind,
    answer::Accepted,
    auth::Caller,
    mirror::{Mirror, Reflect, mirror, mirror_enum},
    permissions::BASE,
    problem::Answer,
    runs::Run,
};

mirror_enum! {
    /// What an agent does now.
    AgentStatus of ::agents::AgentStatus {
        /// It waits for something to look at.
        Idle,
        /// A cycle is under way.
        Running,
        /// A person paused it.
        Paused,
        /// Its supervisor gave up on it.
        Failed,
        /// It was put to sleep, and wakes when it is needed.
        Asleep,
    }
}

mirror! {
    /// What became of what an agent proposed.
    Track of ::agents::Track {
        /// Applied.
        applied: u32,
        /// Measured, and as promised.
        verified: u32,
        /// Measured, and not as promised.
        refuted: u32,
        /// Measured, and it cannot be told.
        inconclusive: u32,
    }
}

mirror! {
    /// An agent.
    Agent of ::agents::AgentView {
        /// The agent.
        kind: AgentKind,
        /// The name people read.
        title: String,
        /// What it does, in a sentence.
        description: String,
        /// What it does now.
        status: AgentStatus,
        /// Its last run.
        last_run: Option<Run>,
        /// When its schedule wakes it next.
        next_at: Option<DateTime<Utc>>,
        /// Its recommendations that wait for a decision.
        open_recommendations: u32,
        /// What became of the others.
        track: Track,
        /// Its thresholds, by name.
        parameters: Value,
    }
}

mirror_enum! {
    /// What an actor does now.
    NodeStatus of runtime::tree::Status {
        /// It is being started.
        Starting,
        /// It works, or waits for work.
        Running,
        /// It is paused.
        Paused,
        /// It ended and is started again after a pause.
        Restarting,
        /// It was stopped in order.
        Stopped,
        /// Its supervisor gave up on it.
        Failed,
    }
}

mirror_enum! {
    /// How an actor's last life ended.
    ExitClass of runtime::tree::ExitClass {
        /// In order.
        Normal,
        /// By an error or a panic of its own.
        Failed,
        /// It was killed.
        Killed,
        /// It no longer answered.
        Stuck,
    }
}

mirror! {
    /// The end of an actor's last life.
    NodeExit of runtime::tree::Exit {
        /// How.
        class: ExitClass,
        /// Why.
        reason: Option<String>,
        /// When.
        at: DateTime<Utc>,
    }
}

/// One actor.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Node {
    /// Its place in the tree, such as `root/agents/…/forecasting`.
    pub(crate) path: String,
    /// Last part of the path.
    pub(crate) name: String,
    /// What kind of actor it is; `supervisor` for one that has children.
    pub(crate) kind: String,
    /// How a supervisor restarts its children.
    pub(crate) strategy: Option<String>,
    /// What it does now.
    pub(crate) status: NodeStatus,
    /// How often it was started again.
    pub(crate) restarts: u32,
    /// The end of its last life.
    pub(crate) last_exit: Option<NodeExit>,
    /// When its present life began.
    pub(crate) started_at: Option<DateTime<Utc>>,
    /// Messages that wait.
    pub(crate) mailbox: u32,
    /// Messages handled in this life.
    pub(crate) handled: u64,
    /// Last sign of progress while it handles a message; absent when it is idle.
    pub(crate) busy_since: Option<DateTime<Utc>>,
    /// The last error it noted.
    pub(crate) last_error: Option<String>,
    /// What it lets see of its state.
    pub(crate) observed: Value,
}

/// The tree, as a list ordered by path.
#[derive(Clone, Debug, Object)]
pub(crate) struct NodeTree {
    /// The actors.
    pub(crate) nodes: Vec<Node>,
}

/// An actor to be restarted.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct NodeRestart {
    /// Its place in the tree.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub(crate) path: String,
}

/// The tree as the caller may see it.
fn tree(app: &App, caller: &Caller) -> Answer<NodeTree> {
    let nodes = app.state.agents.tree(&caller.principal)?;
    Ok(NodeTree {
        nodes: nodes.into_iter().map(Node::of).collect(),
    })
}

impl Node {
    fn of(state: runtime::tree::NodeState) -> Self {
        let runtime::tree::NodeState {
            path,
            name,
            kind,
            status,
            restarts,
            last_exit,
            started_at,
            mailbox_len,
            handled,
            busy_since,
            last_error,
            observed,
        } = state;
        let strategy = observed
            .get("strategy")
            .and_then(Value::as_str)
            .map(str::to_owned);
        Self {
            path,
            name,
            kind,
            strategy,
            status: Mirror::of(status),
            restarts,
            last_exit: Mirror::of(last_exit),
            started_at,
            mailbox: u32::try_from(mailbox_len).unwrap_or(u32::MAX),
            handled,
            busy_since,
            last_error,
            observed,
        }
    }
}

/// Agents.
pub(crate) struct AgentApi(pub(crate) App);

#[OpenApi(tag = "Tag::Agents")]
impl AgentApi {
    /// List the agents.
    ///
    /// What they do now, what they did last, and their track record.
    #[oai(path = "/agents", method = "get", operation_id = "agent_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<Vec<Agent>>> {
        Ok(Json(Mirror::of(
            self.0.state.agents.list(&caller.principal).await?,
        )))
    }

    /// Get the tree of actors.
    ///
    /// The same state that tests read.
    #[oai(path = "/agents/tree", method = "get", operation_id = "agent_tree")]
    async fn tree(&self, caller: Caller) -> Answer<Json<NodeTree>> {
        Ok(Json(tree(&self.0, &caller)?))
    }

    /// Kill an actor.
    ///
    /// Its supervisor starts it again; the restart count of its node rises.
    #[oai(
        path = "/agents/tree/restart",
        method = "post",
        operation_id = "agent_tree_restart"
    )]
    async fn restart(&self, caller: Caller, body: Json<NodeRestart>) -> Answer<Accepted<NodeTree>> {
        self.0
            .state
            .agents
            .restart(&caller.principal, &body.0.path)
            .await?;
        Ok(Accepted::Accepted(
            Json(tree(&self.0, &caller)?),
            format!("{BASE}/agents/tree"),
        ))
    }

    /// Run an agent now.
    ///
    /// A run is queued; look at it at `Location`.
    #[oai(
        path = "/agents/:agent/run",
        method = "post",
        operation_id = "agent_run"
    )]
    async fn run(&self, caller: Caller, agent: Path<AgentKind>) -> Answer<Accepted<Run>> {
        let run = self
            .0
            .state
            .agents
            .run_now(&caller.principal, agent.0.back())
            .await?;
        let location = format!("{BASE}/runs/{}", run.id);
        Ok(Accepted::Accepted(Json(Mirror::of(run)), location))
    }

    /// Pause an agent.
    ///
    /// It finishes what it does and starts nothing new.
    #[oai(
        path = "/agents/:agent/pause",
        method = "post",
        operation_id = "agent_pause"
    )]
    async fn pause(&self, caller: Caller, agent: Path<AgentKind>) -> Answer<Json<Agent>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .agents
                .pause(&caller.principal, agent.0.back())
                .await?,
        )))
    }

    /// Let an agent go on.
    ///
    /// It looks at once whether there is something to do.
    #[oai(
        path = "/agents/:agent/resume",
        method = "post",
        operation_id = "agent_resume"
    )]
    async fn resume(&self, caller: Caller, agent: Path<AgentKind>) -> Answer<Json<Agent>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .agents
                .resume(&caller.principal, agent.0.back())
                .await?,
        )))
    }

    /// Change an agent's thresholds.
    ///
    /// What is left out stays. An unknown name or a number out of range is refused, and the answer says the range.
    #[oai(
        path = "/agents/:agent/parameters",
        method = "patch",
        operation_id = "agent_parameters_update"
    )]
    async fn parameters(
        &self,
        caller: Caller,
        agent: Path<AgentKind>,
        body: Json<Value>,
    ) -> Answer<Json<Agent>> {
        let changed = self
            .0
            .state
            .agents
            .set_parameters(&caller.principal, agent.0.back(), body.0)
            .await?;
        Ok(Json(Mirror::of(changed)))
    }
}
