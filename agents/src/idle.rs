//! When there is nothing left to do.

use std::time::Duration;

use domain::{
    access::{Permission, Principal},
    id::OrgId,
    recommendation::State,
    run::RunState,
};
use storage::{Filter, Scope};

use crate::{Agents, Error, Inner, agent::pause::is_paused, organisation};

/// How often somebody who waits for idle agents looks.
const IDLE_POLL: Duration = Duration::from_millis(40);

impl Agents {
    /// Waits until an organisation's agents have nothing left to do: no run, no draft, no approval that is due.
    ///
    /// # Errors
    /// `agent.busy` when that took longer than a cycle may; when the database cannot be reached.
    pub async fn wait_idle(&self, org: OrgId) -> Result<(), Error> {
        let up = self.inner.up(org).await?;
        let grant = Principal::system(org).grant(Permission::RunWrite)?;
        let scope = self.inner.deps.storage.scope(&grant);
        let working = async {
            while !self.inner.is_idle(&scope).await? {
                up.wake();
                tokio::time::sleep(IDLE_POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(self.inner.deps.config.cycle_timeout, working)
            .await
            .unwrap_or_else(|_| {
                let message = "the agents are still at work after the time a cycle may take";
                Err(
                    domain::Error::new(domain::ErrorKind::Timeout, "agent.busy", message)
                        .advise("look at the agents' tree for what they do")
                        .into(),
                )
            })
    }
}

impl Inner {
    /// Looked at in the order in which work flows, so that nothing slips past between two looks: an event becomes a run in
    /// one unit, a run its drafts in one unit.
    async fn is_idle(&self, scope: &Scope) -> Result<bool, Error> {
        let seen = scope.cursors().get(organisation::GROUP).await?;
        if !scope.events().after(seen, 1).await?.is_empty() {
            return Ok(false);
        }
        for run in scope.runs().unfinished().await? {
            if run.state == RunState::Running || !is_paused(scope, run.agent).await? {
                return Ok(false);
            }
        }
        let drafts = Filter {
            states: vec![State::Draft, State::Applying],
            ..Filter::default()
        };
        Ok(scope.recommendations().all(&drafts).await?.is_empty()
            && scope.recommendations().due(1).await?.is_empty())
    }
}
