//! Carries out one run at a time.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use domain::{Classify, id::RunId};
use runtime::{
    actor::{Behaviour, Context, Failure},
    mailbox::BoundedRef,
};
use serde_json::{Value, json};

use super::{
    Desk, cycle,
    letters::{ToMailbox, ToRunner},
};
use crate::{arbitrator, context::Ctx};

pub(crate) struct Runner {
    desk: Desk,
    ctx: Arc<Ctx>,
    arbitrator: BoundedRef<arbitrator::actor::Msg>,
    mailbox: Arc<OnceLock<BoundedRef<ToMailbox>>>,
    current: Option<RunId>,
    last: Option<cycle::Report>,
}

/// How long the end of a run may wait for room in the mailbox.
const PATIENCE: Duration = Duration::from_secs(5);

impl Runner {
    pub(crate) fn new(
        desk: Desk,
        ctx: Arc<Ctx>,
        arbitrator: BoundedRef<arbitrator::actor::Msg>,
        mailbox: Arc<OnceLock<BoundedRef<ToMailbox>>>,
    ) -> Self {
        Self {
            desk,
            ctx,
            arbitrator,
            mailbox,
            current: None,
            last: None,
        }
    }
}

impl Behaviour for Runner {
    type Msg = ToRunner;
    const KIND: &'static str = "cycle";

    async fn start(&mut self, _: &Context<ToRunner>) -> Result<(), Failure> {
        if let Some(mailbox) = self.mailbox.get() {
            // Not running yet at the very first start, and then it has nothing to be told.
            let _ = mailbox.tell(ToMailbox::RunnerStarted);
        }
        Ok(())
    }

    async fn handle(&mut self, ctx: &Context<ToRunner>, message: ToRunner) -> Result<(), Failure> {
        match message {
            ToRunner::Run(run) => {
                if self.current.is_none() {
                    self.current = Some(run);
                    let (desk, shared) = (self.desk, Arc::clone(&self.ctx));
                    ctx.pipe(
                        async move { cycle::run(&desk, shared, run).await },
                        move |outcome| ToRunner::Ended(run, outcome),
                    );
                }
            }
            ToRunner::Ended(run, outcome) => {
                self.current = None;
                match outcome {
                    Ok(Ok(report)) => self.last = Some(report),
                    // Another node took the same run and was quicker; its result stands.
                    Ok(Err(error)) if matches!(error.code(), "run.ended" | "run.step_ended") => {
                        tracing::debug!(run.id = %run, agent = self.desk.kind.name(), "a run was ended elsewhere");
                    }
                    Ok(Err(error)) => {
                        tracing::warn!(run.id = %run, agent = self.desk.kind.name(), %error, "a cycle failed");
                        ctx.cell().note_error(error.to_string());
                        cycle::fail(&self.ctx, self.desk.kind, run, &error.to_string()).await?;
                    }
                    Err(panic) => {
                        tracing::error!(run.id = %run, agent = self.desk.kind.name(), error = %panic, "a cycle panicked");
                        cycle::fail(&self.ctx, self.desk.kind, run, &panic.to_string()).await?;
                        return Err(panic.into());
                    }
                }
                if let Some(mailbox) = self.mailbox.get() {
                    mailbox.tell_within(ToMailbox::Ended, PATIENCE).await?;
                }
                // Refused only when it has more wake-ups than it needs.
                let _ = self.arbitrator.tell(arbitrator::actor::Msg::Wake);
            }
        }
        Ok(())
    }

    fn observe(&self) -> Value {
        json!({ "current_run": self.current, "last": self.last })
    }
}
