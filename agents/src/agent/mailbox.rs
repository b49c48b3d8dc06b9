//! The mailbox of an agent: looks for the run to do and hands it to the runner.

use std::{sync::Arc, time::Duration};

use domain::{access::Permission, id::RunId};
use runtime::{
    actor::{Behaviour, Context, Failure},
    mailbox::BoundedRef,
};
use serde_json::{Value, json};

use super::{
    Desk,
    letters::{ToMailbox, ToRunner},
    pause,
};
use crate::{Error, context::Ctx};

/// How often it looks even when nobody woke it: what a lost wake-up delays at most.
const SWEEP: Duration = Duration::from_secs(20);

pub(crate) struct Mailbox {
    desk: Desk,
    ctx: Arc<Ctx>,
    runner: BoundedRef<ToRunner>,
    /// The run in the runner's hand.
    current: Option<RunId>,
    is_paused: bool,
    wakes: u64,
    finished: u64,
}

impl Mailbox {
    pub(crate) fn new(desk: Desk, ctx: Arc<Ctx>, runner: BoundedRef<ToRunner>) -> Self {
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
        self.is_paused = pause::is_paused(&scope, self.desk.kind).await?;
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
            self.runner.tell(ToRunner::Run(run.id))?;
            self.current = Some(run.id);
        }
        Ok(())
    }
}

impl Behaviour for Mailbox {
    type Msg = ToMailbox;
    const KIND: &'static str = "agent";

    async fn start(&mut self, ctx: &Context<ToMailbox>) -> Result<(), Failure> {
        ctx.every(SWEEP, || ToMailbox::Wake);
        ctx.after(Duration::ZERO, ToMailbox::Wake);
        Ok(())
    }

    async fn handle(
        &mut self,
        ctx: &Context<ToMailbox>,
        message: ToMailbox,
    ) -> Result<(), Failure> {
        match message {
            ToMailbox::Wake => self.wakes += 1,
            ToMailbox::RunnerStarted => self.current = None,
            ToMailbox::Ended => {
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
