//! How the agents stand, as people see it.

use chrono::{DateTime, Utc};
use domain::{
    access::{AgentKind, Permission, Principal},
    page::PageRequest,
    recommendation::State,
    run::{Run, RunState},
};
use runtime::tree::NodeState;
use serde::Serialize;
use serde_json::Value;
use storage::{Filter, Scope};

use crate::{
    Agents, Error,
    agent::{self, DESKS, pause::is_paused},
    parameters,
};

/// Where an agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// It waits for something to change.
    Idle,
    /// A cycle is under way.
    Running,
    /// A person paused it.
    Paused,
    /// Its last cycle failed.
    Failed,
    /// Its organisation's actors are not up; the next change or call starts them.
    Asleep,
}

/// What became of an agent's recommendations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Track {
    /// Applied, measured or not.
    pub applied: u32,
    /// Measured: as promised.
    pub verified: u32,
    /// Measured: not as promised.
    pub refuted: u32,
    /// Measured: cannot be told.
    pub inconclusive: u32,
}

/// An agent as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentView {
    /// Which one.
    pub kind: AgentKind,
    /// Its name for people.
    pub title: String,
    /// What it does, in a sentence or two.
    pub description: String,
    /// Where it stands.
    pub status: AgentStatus,
    /// Its newest run.
    pub last_run: Option<Run>,
    /// When its schedule fires next.
    pub next_at: Option<DateTime<Utc>>,
    /// Recommendations of its that wait for a decision.
    pub open_recommendations: u32,
    /// What became of those that were applied.
    pub track: Track,
    /// Its thresholds.
    pub parameters: Value,
}

impl Agents {
    /// The four agents.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn list(&self, principal: &Principal) -> Result<Vec<AgentView>, Error> {
        let grant = principal.grant(Permission::AgentRead)?;
        let scope = self.inner.deps.storage.scope(&grant);
        let mut views = Vec::with_capacity(DESKS.len());
        for kind in AgentKind::ALL {
            views.push(self.view(&scope, kind).await?);
        }
        Ok(views)
    }

    /// One agent.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn get(&self, principal: &Principal, kind: AgentKind) -> Result<AgentView, Error> {
        let grant = principal.grant(Permission::AgentRead)?;
        self.view(&self.inner.deps.storage.scope(&grant), kind)
            .await
    }

    async fn view(&self, scope: &Scope, kind: AgentKind) -> Result<AgentView, Error> {
        let desk = agent::desk(kind);
        let newest = scope
            .runs()
            .list(
                Some(kind),
                &PageRequest {
                    limit: 1,
                    after: None,
                },
            )
            .await?
            .rows
            .into_iter()
            .next();
        let under_way = scope
            .runs()
            .unfinished()
            .await?
            .iter()
            .any(|run| run.agent == kind && run.state == RunState::Running);
        let is_up = self
            .inner
            .organisations
            .read()
            .expect("no thread panics while it holds the list")
            .contains_key(&scope.org());
        let status = if is_paused(scope, kind).await? {
            AgentStatus::Paused
        } else if under_way {
            AgentStatus::Running
        } else if newest
            .as_ref()
            .is_some_and(|run| run.state == RunState::Failed)
        {
            AgentStatus::Failed
        } else if is_up {
            AgentStatus::Idle
        } else {
            AgentStatus::Asleep
        };
        let mine = scope
            .recommendations()
            .all(&Filter {
                agent: Some(kind),
                ..Filter::default()
            })
            .await?;
        let count = |is: &dyn Fn(State) -> bool| {
            u32::try_from(mine.iter().filter(|r| is(r.state)).count()).unwrap_or(u32::MAX)
        };
        let schedules = scope.schedules().list().await?;
        Ok(AgentView {
            kind,
            title: desk.title.to_owned(),
            description: desk.description.to_owned(),
            status,
            last_run: newest,
            next_at: schedules
                .iter()
                .filter(|s| s.agent == kind && !s.paused)
                .filter_map(|s| s.next_at)
                .min(),
            open_recommendations: count(&|s| s.is_open()),
            track: Track {
                applied: count(&|s| {
                    matches!(
                        s,
                        State::Applied
                            | State::Measuring
                            | State::Verified
                            | State::Refuted
                            | State::Inconclusive
                    )
                }),
                verified: count(&|s| s == State::Verified),
                refuted: count(&|s| s == State::Refuted),
                inconclusive: count(&|s| s == State::Inconclusive),
            },
            parameters: parameters::of(scope, kind).await?.to_json(),
        })
    }

    /// The live tree as the principal may see it: other organisations' actors are left out.
    ///
    /// # Errors
    /// `access.forbidden`.
    pub fn tree(&self, principal: &Principal) -> Result<Vec<NodeState>, Error> {
        principal.grant(Permission::AgentRead)?;
        let nodes = self.inner.deps.tree.snapshot();
        Ok(nodes
            .into_iter()
            .filter(|node| self.is_visible(principal, &node.path))
            .collect())
    }

    fn is_visible(&self, principal: &Principal, path: &str) -> bool {
        let base = self.inner.supervisor.path();
        let Some(below) = path
            .strip_prefix(base)
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return true;
        };
        let first = below.split('/').next().unwrap_or_default();
        first == "dispatcher" || first == principal.org().to_string()
    }
}
