//! The mailbox of an agent: looks for the run to do and hands it to the runner.

use std::{sync::Arc, time::Duration};

use domain::{access::Permission, id::RunId};
use runtime::{
    actor::{Behaviour, Context, Failure},
    mailbox::BoundedRef,
};
use serde_json::{Value, json};

use super::{Desk, runner};
use crate::{Error, context::Ctx};

/// How often it looks even when nobody woke it: what a lost wake-up delays at most.
const SWEEP: Duration = Duration::from_secs(20);

/// Letters to an agent.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    /// Look whether there is something to do. Sent after every change that could matter, and by the sweep.
    Wake,
    /// The runner came to life; what it had in hand before is to be done again.
    RunnerStarted,
    /// The runner ended a run.
    Ended,
}

pub(crate) struct Mailbox {
    desk: Desk,
    ctx: Arc<Ctx>,
    runner: BoundedRef<runner::Msg>,
    /// The run in the runner's hand.
    current: Option<RunId>,
    is_paused: bool,
    wakes: u64,
    finished: u64,
}

impl Mailbox {
    pub(crate) fn new(desk: Desk, ctx: Arc<Ctx>, runner: BoundedRef<runner::Msg>) -> Self {
        Self {
            desk,
            ctx,
            runner,
            current: None,
            is_paused: false,
            wakes: 0,
            finished: 0,
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        let grant = self.ctx.agent(self.desk.kind).grant(Permission::RunRead)?;
        let scope = self.ctx.storage.scope(&grant);
        self.is_paused = crate::is_paused(&scope, self.desk.kind).await?;
        if self.is_paused || self.current.is_some() {
            return Ok(());
        }
        let next = scope
            .runs()
            .unfinished()
            .await?
            .into_iter()
            .find(|run| run.agent == self.desk.kind);
        if let Some(run) = next {
            self.runner.tell(runner::Msg::Run(run.id))?;
            self.current = Some(run.id);
        }
        Ok(())
    }
}

impl Behaviour for Mailbox {
    type Msg = Msg;
    const KIND: &'static str = "agent";

    async fn start(&mut self, ctx: &Context<Msg>) -> Result<(), Failure> {
        ctx.every(SWEEP, || Msg::Wake);
        ctx.after(Duration::ZERO, Msg::Wake);
        Ok(())
    }

    async fn handle(&mut self, ctx: &Context<Msg>, message: Msg) -> Result<(), Failure> {
        match message {
            Msg::Wake => self.wakes += 1,
            Msg::RunnerStarted => self.current = None,
            Msg::Ended => {
                self.finished += 1;
                self.current = None;
            }
        }
        // A database that is away for a moment is no reason to lose the mailbox: the sweep looks again.
        if let Err(error) = self.look().await {
            ctx.cell().note_error(error.to_string());
        }
        if self.is_paused {
            ctx.cell().pause();
        } else {
            ctx.cell().resume();
        }
        Ok(())
    }

    fn observe(&self) -> Value {
        json!({
            "agent": self.desk.kind.name(),
            "current_run": self.current,
            "is_paused": self.is_paused,
            "wakes": self.wakes,
            "finished_runs": self.finished,
        })
    }
}
