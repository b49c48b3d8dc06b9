//! Health: is this node ready to serve, and does every actor still make progress?
//!
//! The [`Monitor`] runs the checks on a timer and keeps the answer; asking never waits for a check. A required check that
//! fails makes the node not ready (the database); an optional one only degraded (Redis: only speed is lost). The watchdog
//! looks over the tree: an actor that has handled one message for longer than its limit without a sign of progress is
//! killed, and its supervisor takes it from there with the exit class *stuck*.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    actor::{Behaviour, Context, Failure},
    mailbox::BoundedRef,
    supervisor::ChildSpec,
};

type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// One thing to look at.
#[derive(Clone)]
pub struct Check {
    name: String,
    is_required: bool,
    probe: Probe,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("is_required", &self.is_required)
            .finish()
    }
}

impl Check {
    /// A check without which the node cannot serve.
    pub fn required<F: Future<Output = Result<(), String>> + Send + 'static>(
        name: &str,
        probe: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            is_required: true,
            probe: Arc::new(move || probe().boxed()),
        }
    }

    /// A check whose failure costs comfort.
    pub fn optional<F: Future<Output = Result<(), String>> + Send + 'static>(
        name: &str,
        probe: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self {
            is_required: false,
            ..Self::required(name, probe)
        }
    }
}

/// What a check said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckState {
    /// What was looked at.
    pub name: String,
    /// Whether the node can serve without it.
    pub is_required: bool,
    /// Whether all is well.
    pub is_passing: bool,
    /// What is wrong.
    pub detail: Option<String>,
    /// When it was looked at.
    pub checked_at: DateTime<Utc>,
}

/// Whether the node can serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Every required check passed.
    pub is_ready: bool,
    /// An optional check failed.
    pub is_degraded: bool,
    /// Each check.
    pub checks: Vec<CheckState>,
}

/// Limits of the monitor.
#[derive(Clone, Copy, Debug)]
pub struct MonitorConfig {
    /// Time between two looks.
    pub period: Duration,
    /// A check that takes longer has failed.
    pub check_timeout: Duration,
    /// A handler without a sign of progress for longer is stuck.
    pub stuck_after: Duration,
}

impl Default for MonitorConfig {
    /// A look every five seconds, three seconds for a check, two minutes without progress.
    fn default() -> Self {
        Self {
            period: Duration::from_secs(5),
            check_timeout: Duration::from_secs(3),
            stuck_after: Duration::from_secs(120),
        }
    }
}

/// What the monitor is told.
#[derive(Debug)]
pub enum Msg {
    /// Look now.
    Look,
}

/// The actor that looks.
#[derive(Debug)]
pub struct Monitor {
    config: MonitorConfig,
    checks: Vec<Check>,
    tell: watch::Sender<Readiness>,
    condemned: u64,
}

/// Reads what the monitor found last. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HealthHandle {
    readiness: watch::Receiver<Readiness>,
    monitor: BoundedRef<Msg>,
}

impl HealthHandle {
    /// What the last look found; not ready before the first.
    pub fn readiness(&self) -> Readiness {
        self.readiness.borrow().clone()
    }

    /// Waits for a state that satisfies `wanted`, for at most `patience`.
    pub async fn wait_for(
        &self,
        patience: Duration,
        wanted: impl FnMut(&Readiness) -> bool,
    ) -> Option<Readiness> {
        let mut readiness = self.readiness.clone();
        let found = tokio::time::timeout(patience, readiness.wait_for(wanted)).await;
        found.ok().and_then(Result::ok).map(|state| state.clone())
    }

    /// Asks for a look now. One that is already waiting is enough.
    pub fn look_now(&self) {
        let _ = self.monitor.tell(Msg::Look);
    }
}

impl Monitor {
    /// The monitor as a child, and the handle to read from.
    pub fn child(
        name: &str,
        config: MonitorConfig,
        checks: Vec<Check>,
    ) -> (ChildSpec, HealthHandle) {
        let (tell, readiness) = watch::channel(Readiness::default());
        let (spec, monitor) = ChildSpec::actor(name, 2, move || Self {
            config,
            checks: checks.clone(),
            tell: tell.clone(),
            condemned: 0,
        });
        (spec, HealthHandle { readiness, monitor })
    }

    async fn look(&mut self, ctx: &Context<Msg>) {
        let now = ctx.host().clock.now();
        let limit = self.config.check_timeout;
        let states = join_all(self.checks.iter().map(|check| async move {
            let outcome = tokio::time::timeout(limit, (check.probe)()).await;
            let detail = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(detail)) => Some(detail),
                Err(_) => Some(format!("no answer within {} ms", limit.as_millis())),
            };
            CheckState {
                name: check.name.clone(),
                is_required: check.is_required,
                is_passing: detail.is_none(),
                detail,
                checked_at: now,
            }
        }))
        .await;
        let readiness = Readiness {
            is_ready: states
                .iter()
                .all(|state| state.is_passing || !state.is_required),
            is_degraded: states
                .iter()
                .any(|state| !state.is_passing && !state.is_required),
            checks: states,
        };
        let before = self.tell.borrow().clone();
        if before.is_ready != readiness.is_ready || before.is_degraded != readiness.is_degraded {
            tracing::info!(
                is_ready = readiness.is_ready,
                is_degraded = readiness.is_degraded,
                "health changed"
            );
        }
        self.tell.send_replace(readiness);
    }

    /// Kills whoever shows no progress.
    fn watch_progress(&mut self, ctx: &Context<Msg>) {
        let now = ctx.host().clock.now();
        let limit = TimeDelta::from_std(self.config.stuck_after).unwrap_or(TimeDelta::MAX);
        for node in ctx.host().tree.snapshot() {
            let Some(since) = node.busy_since else {
                continue;
            };
            if now - since <= limit || node.path == ctx.path() {
                continue;
            }
            let reason = format!("no progress for {} s", (now - since).num_seconds());
            tracing::error!(actor.path = %node.path, reason, "an actor is stuck");
            // Fails when it has just ended by itself.
            if ctx.host().tree.condemn(&node.path, reason).is_ok() {
                self.condemned += 1;
            }
        }
    }
}

impl Behaviour for Monitor {
    type Msg = Msg;
    const KIND: &'static str = "monitor";

    async fn start(&mut self, ctx: &Context<Msg>) -> Result<(), Failure> {
        // The first look is part of the start: once the tree stands, the answer is known.
        self.look(ctx).await;
        ctx.every(self.config.period, || Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, ctx: &Context<Msg>, message: Msg) -> Result<(), Failure> {
        match message {
            Msg::Look => {
                self.look(ctx).await;
                self.watch_progress(ctx);
            }
        }
        Ok(())
    }

    fn observe(&self) -> Value {
        let mut shown = serde_json::to_value(&*self.tell.borrow()).unwrap_or(Value::Null);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("killed_for_no_progress".to_owned(), self.condemned.into());
        }
        shown
    }
}

#[cfg(test)]
mod tests;
