//! One run as an actor.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use domain::{access::Grant, id::RunId};
use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use storage::{Storage, System};

use super::{RunError, RunJournal};
use crate::{
    actor::{Behaviour, Context, Failure, panic_message},
    doorbell::{Doorbell, Sweep},
    host::Host,
    supervisor::{ChildSpec, Restart},
};

/// How long to wait for a run that another worker holds.
const HELD_WAIT: Duration = Duration::from_secs(1);

/// What a run is done with.
#[derive(Clone)]
pub struct RunSetup {
    /// Where its journal is.
    pub storage: Storage,
    /// For its lease.
    pub system: System,
    /// Wakes the watch for a cancellation.
    pub bell: Doorbell,
    /// Under which its units open.
    pub grant: Grant,
    /// The run.
    pub run: RunId,
    /// Who this node is.
    pub node: String,
    /// How long a lost bell may delay a cancellation.
    pub sweep: Sweep,
}

impl fmt::Debug for RunSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunSetup").field("run", &self.run).finish()
    }
}

/// What a run's actor is told.
#[derive(Debug)]
pub enum RunMsg {
    /// Begin, or go on.
    Go,
    /// The work has ended.
    Ended(Result<(), RunError>),
}

/// The steps of a run. Called again, with the same journal entries, when the run is resumed.
pub type Work =
    Arc<dyn Fn(Arc<RunJournal>) -> BoxFuture<'static, Result<(), RunError>> + Send + Sync>;

/// Panics of one run before it counts as failed.
const MOST_PANICS: u32 = 3;

/// The step that is under way, as the journal notes it; absent until the journal is open.
type ShownStep = Arc<Mutex<Option<Arc<Mutex<Option<String>>>>>>;

struct RunActor {
    setup: RunSetup,
    work: Work,
    step: ShownStep,
    /// Panics in all lives.
    panics: Arc<AtomicU32>,
    waits: u64,
}

/// The run as a dynamic child, named by its id: restarted after a failure of the machinery or a kill, gone when the run
/// has ended. A step that fails ends the run as failed; that is a result, not a failure of the actor.
pub fn run_child(setup: RunSetup, work: Work) -> ChildSpec {
    let name = setup.run.to_string();
    let panics = Arc::new(AtomicU32::new(0));
    let make = move || RunActor {
        setup: setup.clone(),
        work: Arc::clone(&work),
        step: Arc::default(),
        panics: Arc::clone(&panics),
        waits: 0,
    };
    ChildSpec::actor(name, 4, make)
        .0
        .restart(Restart::Transient)
}

/// Opens the journal, does the work and ends the run.
async fn drive(
    setup: RunSetup,
    work: Work,
    shown: ShownStep,
    panics: Arc<AtomicU32>,
    host: Host,
) -> Result<(), RunError> {
    let mut journal = RunJournal::open(
        &setup.storage,
        &setup.system,
        setup.grant,
        setup.run,
        &setup.node,
    )
    .await?;
    journal.watch(&host, &setup.bell, setup.sweep);
    *shown
        .lock()
        .expect("no thread panics while it holds the step") = Some(journal.step_reader());
    let journal = Arc::new(journal);
    let worked = AssertUnwindSafe(work(Arc::clone(&journal)))
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let message = panic_message(panic.as_ref());
            tracing::error!(run.id = %setup.run, message, "a run panicked");
            if panics.fetch_add(1, Ordering::SeqCst) + 1 < MOST_PANICS {
                Err(RunError::Panicked { message })
            } else {
                Err(RunError::step(
                    "run",
                    format!("it panicked {MOST_PANICS} times, at last with: {message}"),
                ))
            }
        });
    let outcome = match worked {
        Ok(()) => journal.succeed().await.map(|_| ()),
        Err(error) if error.can_resume() => Err(error),
        Err(RunError::Ended { state }) => Err(RunError::Ended { state }),
        Err(error) => journal.fail(&error.to_string()).await.map(|_| ()),
    };
    if let Some(journal) = Arc::into_inner(journal) {
        journal.close().await;
    }
    outcome
}

impl Behaviour for RunActor {
    type Msg = RunMsg;
    const KIND: &'static str = "run";

    async fn start(&mut self, ctx: &Context<RunMsg>) -> Result<(), Failure> {
        let (run, shown) = (self.setup.run, Arc::clone(&self.step));
        ctx.cell().publish_live(move || {
            let reader = shown
                .lock()
                .expect("no thread panics while it holds the step")
                .clone();
            let step = reader.and_then(|reader| {
                reader
                    .lock()
                    .expect("no thread panics while it holds the step")
                    .clone()
            });
            json!({ "run": run, "step": step })
        });
        ctx.after(Duration::ZERO, RunMsg::Go);
        Ok(())
    }

    async fn handle(&mut self, ctx: &Context<RunMsg>, message: RunMsg) -> Result<(), Failure> {
        match message {
            RunMsg::Go => {
                let driven = drive(
                    self.setup.clone(),
                    Arc::clone(&self.work),
                    Arc::clone(&self.step),
                    Arc::clone(&self.panics),
                    ctx.host().clone(),
                );
                ctx.pipe(driven, |outcome| {
                    RunMsg::Ended(outcome.unwrap_or_else(|error| {
                        Err(RunError::Panicked {
                            message: error.to_string(),
                        })
                    }))
                });
            }
            RunMsg::Ended(Ok(())) => ctx.finish("the run has ended"),
            RunMsg::Ended(Err(RunError::Ended { state })) => {
                ctx.finish(format!("the run is {state:?}"))
            }
            // Its holder ends it, or its lease runs out.
            RunMsg::Ended(Err(RunError::Held)) => {
                self.waits += 1;
                ctx.after(HELD_WAIT, RunMsg::Go);
            }
            // The machinery failed or our own code panicked: another life goes on with the first unfinished step.
            RunMsg::Ended(Err(error)) => return Err(error.into()),
        }
        Ok(())
    }

    fn observe(&self) -> Value {
        json!({ "run": self.setup.run, "waits": self.waits })
    }
}
