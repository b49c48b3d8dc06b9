//! The journal of one run.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::{
    Classify, ErrorKind,
    access::Grant,
    id::RunId,
    run::{Run, RunState},
};
use futures::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use storage::{StepStart, Storage, System, Unit};
use tokio::task::AbortHandle;

use crate::{
    doorbell::{Doorbell, EVENTS, Sweep},
    host::Host,
    leases::HeldLease,
};

/// How long a run's lease lasts without renewal: the longest that a crashed run waits before it can resume.
const LEASE: Duration = Duration::from_secs(10);

/// Why a run does not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It was cancelled, or had ended already.
    #[error("the run is {state:?}")]
    Ended {
        /// Where it stands.
        state: RunState,
    },
    /// Another worker holds it.
    #[error("another worker is at this run")]
    Held,
    /// A step failed for good.
    #[error("{step}: {message}")]
    Step {
        /// Key of the step.
        step: String,
        /// Why.
        message: String,
    },
    /// Our own code panicked; another life may get further, and a few are given.
    #[error("the run panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The database refused or is away; the run can be resumed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

impl Classify for RunError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Ended { .. } | Self::Held => ErrorKind::Conflict,
            Self::Step { .. } | Self::Panicked { .. } => ErrorKind::Internal,
            Self::Storage(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Ended { .. } => "run.ended",
            Self::Held => "run.held",
            Self::Step { .. } => "run.step_failed",
            Self::Panicked { .. } => "run.panicked",
            Self::Storage(error) => error.code(),
        }
    }
}

impl RunError {
    /// A failure of a step that no further attempt can mend.
    pub fn step(step: &str, message: impl fmt::Display) -> Self {
        Self::Step {
            step: step.to_owned(),
            message: message.to_string(),
        }
    }

    /// Whether the run itself is fine and somebody may go on with it later.
    pub fn can_resume(&self) -> bool {
        match self {
            Self::Held | Self::Panicked { .. } => true,
            Self::Ended { .. } | Self::Step { .. } => false,
            Self::Storage(error) => {
                matches!(error.kind(), ErrorKind::Unavailable) || error.code() == "lease.lost"
            }
        }
    }
}

/// The journal of a run that this worker holds.
pub struct RunJournal {
    storage: Storage,
    grant: Grant,
    run: Run,
    lease: HeldLease,
    cancel: Arc<AtomicBool>,
    step: Arc<Mutex<Option<String>>>,
    watcher: Option<Watcher>,
}

/// Ends with the journal.
struct Watcher(AbortHandle);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for RunJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunJournal")
            .field("run", &self.run.id)
            .field("lease", &self.lease)
            .finish()
    }
}

fn lease_name(run: RunId) -> String {
    format!("run/{run}")
}

impl RunJournal {
    /// Takes the run's lease for `owner` and starts the run, or goes on with it.
    ///
    /// # Errors
    /// [`RunError::Held`] while another worker holds it, [`RunError::Ended`] when it has ended.
    pub async fn open(
        storage: &Storage,
        system: &System,
        grant: Grant,
        run: RunId,
        owner: &str,
    ) -> Result<Self, RunError> {
        let lease = match HeldLease::acquire(system, &lease_name(run), owner, LEASE).await {
            Ok(Some(lease)) => lease,
            Ok(None) => {
                let state = storage.scope(&grant).runs().get(run).await?.state;
                // Its holder may have ended it and not let go yet.
                return Err(if has_ended(state) {
                    RunError::Ended { state }
                } else {
                    RunError::Held
                });
            }
            Err(crate::Error::Storage(error)) => return Err(error.into()),
            Err(other) => return Err(RunError::step("open", other)),
        };
        let epoch = lease.epoch();
        let started = storage
            .unit(&grant, move |unit| {
                Box::pin(async move {
                    unit.fence(&lease_name(run), epoch).await?;
                    unit.runs().start(run).await
                })
            })
            .await;
        match started {
            Ok(started) => Ok(Self {
                storage: storage.clone(),
                grant,
                run: started,
                lease,
                cancel: Arc::default(),
                step: Arc::default(),
                watcher: None,
            }),
            Err(error) => {
                lease.release().await;
                Err(match storage.scope(&grant).runs().get(run).await {
                    Ok(found) if has_ended(found.state) => RunError::Ended { state: found.state },
                    _ => error.into(),
                })
            }
        }
    }

    /// Watches for a cancellation while steps are under way, and for the loss of the lease. Sets the flag of
    /// [`cancel_flag`](Self::cancel_flag).
    pub fn watch(&mut self, host: &Host, bell: &Doorbell, sweep: Sweep) {
        let (storage, grant, run, cancel) = (
            self.storage.clone(),
            self.grant,
            self.run.id,
            Arc::clone(&self.cancel),
        );
        let mut listener = bell.listen(EVENTS);
        let mut rng = host.rng(&lease_name(run));
        let task = tokio::spawn(async move {
            loop {
                listener.wait(sweep.draw(&mut rng)).await;
                // A database that is away says nothing about the run.
                if let Ok(found) = storage.scope(&grant).runs().get(run).await
                    && has_ended(found.state)
                {
                    cancel.store(true, Ordering::Release);
                    return;
                }
            }
        });
        self.watcher = Some(Watcher(task.abort_handle()));
    }

    /// The run as it was opened.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The grant of its units.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Whether the run was cancelled or lost to another worker.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Acquire) || self.lease.is_lost()
    }

    /// A flag that is set when the run is cancelled, for code that knows nothing of runs.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }

    /// One unit under the run's lease: refused when the lease has passed to somebody else or the run has ended.
    ///
    /// # Errors
    /// `lease.lost`, [`RunError::Ended`], and what `work` returns.
    pub async fn unit<T, F>(&self, work: F) -> Result<T, RunError>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a Unit) -> BoxFuture<'a, Result<T, storage::Error>> + Send + Sync + 'static,
    {
        let (run, epoch) = (self.run.id, self.lease.epoch());
        let work = Arc::new(work);
        let outcome = self
            .storage
            .unit(&self.grant, move |unit| {
                let work = Arc::clone(&work);
                Box::pin(async move {
                    unit.fence(&lease_name(run), epoch).await?;
                    let state = unit.runs().get(run).await?.state;
                    if has_ended(state) {
                        return Ok(Err(state));
                    }
                    work(unit).await.map(Ok)
                })
            })
            .await?;
        outcome.map_err(|state| {
            self.cancel.store(true, Ordering::Release);
            RunError::Ended { state }
        })
    }

    /// Does the step `key`, unless an earlier life of the run has finished it: then gives what it produced.
    ///
    /// # Errors
    /// [`RunError::Step`] when `work` fails (noted in the journal; the step stays to be done), [`RunError::Ended`],
    /// and those of [`unit`](Self::unit).
    pub async fn step<T, E, F>(&self, key: &str, work: impl FnOnce() -> F) -> Result<T, RunError>
    where
        T: Serialize + DeserializeOwned,
        E: fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        if let Some(done) = self.begin(key).await? {
            return Ok(done);
        }
        match work().await {
            Ok(output) => {
                let stored =
                    serde_json::to_value(&output).map_err(|error| RunError::step(key, error))?;
                let (run, owned) = (self.run.id, key.to_owned());
                self.unit(move |unit| {
                    let (owned, stored) = (owned.clone(), stored.clone());
                    Box::pin(async move { unit.runs().finish_step(run, &owned, &stored).await })
                })
                .await?;
                Ok(output)
            }
            Err(error) => Err(self.note_failure(key, error.to_string()).await),
        }
    }

    /// Does the step `key` as one unit: its effect, and its record in the journal, commit together.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn step_in_unit<T, F>(&self, key: &str, work: F) -> Result<T, RunError>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: for<'a> Fn(&'a Unit) -> BoxFuture<'a, Result<T, storage::Error>> + Send + Sync + 'static,
    {
        if let Some(done) = self.begin(key).await? {
            return Ok(done);
        }
        let (run, owned) = (self.run.id, key.to_owned());
        let work = Arc::new(work);
        let outcome = self
            .unit(move |unit| {
                let (owned, work) = (owned.clone(), Arc::clone(&work));
                Box::pin(async move {
                    let output = work(unit).await?;
                    let stored = serde_json::to_value(&output)?;
                    unit.runs().finish_step(run, &owned, &stored).await?;
                    Ok(output)
                })
            })
            .await;
        match outcome {
            Err(error @ RunError::Storage(_)) if !error.can_resume() => {
                Err(self.note_failure(key, error.to_string()).await)
            }
            other => other,
        }
    }

    /// A reader of the step that is under way.
    pub(super) fn step_reader(&self) -> Arc<Mutex<Option<String>>> {
        Arc::clone(&self.step)
    }

    async fn begin<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, RunError> {
        *self
            .step
            .lock()
            .expect("no thread panics while it holds the step") = Some(key.to_owned());
        let (run, owned) = (self.run.id, key.to_owned());
        let begun = self
            .unit(move |unit| {
                let owned = owned.clone();
                Box::pin(async move { unit.runs().begin_step(run, &owned).await })
            })
            .await?;
        match begun {
            StepStart::Do(_) => Ok(None),
            StepStart::Done(output) => serde_json::from_value(output).map(Some).map_err(|error| {
                RunError::step(key, format!("its record has another shape by now: {error}"))
            }),
        }
    }

    async fn note_failure(&self, key: &str, message: String) -> RunError {
        let (run, step, text) = (self.run.id, key.to_owned(), message.clone());
        let noted = self
            .unit(move |unit| {
                let (step, text) = (step.clone(), text.clone());
                Box::pin(async move { unit.runs().fail_step(run, &step, &text).await })
            })
            .await;
        match noted {
            // The failure of a cancelled step is the cancellation.
            Err(ended @ RunError::Ended { .. }) => ended,
            _ => RunError::step(key, message),
        }
    }

    /// Notes which data the run looks at.
    ///
    /// # Errors
    /// Those of [`unit`](Self::unit).
    pub async fn set_snapshot(&self, snapshot: &str) -> Result<(), RunError> {
        let (run, snapshot) = (self.run.id, snapshot.to_owned());
        self.unit(move |unit| {
            let snapshot = snapshot.clone();
            Box::pin(async move { unit.runs().set_snapshot(run, &snapshot).await })
        })
        .await
    }

    /// Notes how far the run is, 0 to 1.
    ///
    /// # Errors
    /// Those of [`unit`](Self::unit).
    pub async fn progress(&self, share: f64) -> Result<(), RunError> {
        let run = self.run.id;
        self.unit(move |unit| Box::pin(async move { unit.runs().set_progress(run, share).await }))
            .await
    }

    /// Ends the run well.
    ///
    /// # Errors
    /// Those of [`unit`](Self::unit).
    pub async fn succeed(&self) -> Result<Run, RunError> {
        self.end(RunState::Succeeded, None).await
    }

    /// Ends the run as failed.
    ///
    /// # Errors
    /// Those of [`unit`](Self::unit).
    pub async fn fail(&self, error: &str) -> Result<Run, RunError> {
        self.end(RunState::Failed, Some(error.to_owned())).await
    }

    async fn end(&self, state: RunState, error: Option<String>) -> Result<Run, RunError> {
        let run = self.run.id;
        self.unit(move |unit| {
            let error = error.clone();
            Box::pin(async move { unit.runs().end(run, state, error.as_deref()).await })
        })
        .await
    }

    /// Lets go of the run without ending it, so that it can be resumed at once.
    pub async fn close(self) {
        self.lease.release().await;
    }
}

fn has_ended(state: RunState) -> bool {
    !matches!(state, RunState::Queued | RunState::Running)
}
