//! The pool actor: admits, starts and watches the tasks of one role.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{PoolLoad, PoolSpec, task::Watch};
use crate::{
    Error,
    actor::{Behaviour, Context, Failure},
    mailbox::Reply,
};

/// How long a caller waits to be admitted or refused. The pool only keeps books, so this is never reached but by a
/// starved executor.
pub(super) const ADMISSION_PATIENCE: Duration = Duration::from_secs(10);

/// A task that wants in. The job returns whether it ended without a panic.
pub(super) struct Submission {
    pub(super) watch: Arc<Watch>,
    pub(super) job: Box<dyn FnOnce() -> bool + Send>,
}

/// What a pool is told.
pub(super) enum Msg {
    /// Admit or refuse a task.
    Submit(Submission, Reply<Result<(), Error>>),
    /// A thread is free again.
    Ended,
}

/// What outlives one life of the pool actor.
#[derive(Debug)]
pub(super) struct PoolState {
    spec: PoolSpec,
    permits: Arc<Semaphore>,
    running: Mutex<Vec<(u64, Arc<Watch>)>>,
    waiting: Mutex<Vec<Arc<Watch>>>,
    next_id: AtomicU64,
    done: AtomicU64,
    panicked: AtomicU64,
    cancelled: AtomicU64,
    refused: AtomicU64,
}

const HELD: &str = "no thread panics while it holds the pool's books";

impl PoolState {
    pub(super) fn new(spec: PoolSpec) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(spec.permits)),
            spec,
            running: Mutex::default(),
            waiting: Mutex::default(),
            next_id: AtomicU64::new(1),
            done: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub(super) fn load(&self) -> PoolLoad {
        let running = self
            .running
            .lock()
            .expect(HELD)
            .iter()
            .map(|(id, watch)| watch.view(*id))
            .collect();
        let waiting = self
            .waiting
            .lock()
            .expect(HELD)
            .iter()
            .map(|watch| watch.label.clone())
            .collect();
        PoolLoad {
            permits: self.spec.permits,
            queue: self.spec.queue,
            running,
            waiting,
            done: self.done.load(Ordering::Relaxed),
            panicked: self.panicked.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Counts a refusal.
    pub(super) fn busy(&self) -> Error {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Error::Busy {
            role: self.spec.role.clone(),
            running: self.running.lock().expect(HELD).len(),
            queued: self.waiting.lock().expect(HELD).len(),
        }
    }
}

/// One life of the pool actor.
pub(super) struct Pool {
    state: Arc<PoolState>,
    queue: VecDeque<Submission>,
    /// Tasks this life began; told to stop when it ends.
    begun: Vec<Arc<Watch>>,
}

impl Pool {
    pub(super) fn new(state: Arc<PoolState>) -> Self {
        // The queue of an earlier life went with it.
        state.waiting.lock().expect(HELD).clear();
        Self {
            state,
            queue: VecDeque::new(),
            begun: Vec::new(),
        }
    }

    /// Starts waiting tasks while there are permits.
    fn pump(&mut self, ctx: &Context<Msg>) {
        self.drop_unwanted();
        while !self.queue.is_empty() {
            let Ok(permit) = Arc::clone(&self.state.permits).try_acquire_owned() else {
                break;
            };
            if let Some(submission) = self.queue.pop_front() {
                self.begin(submission, permit, ctx);
            }
        }
        *self.state.waiting.lock().expect(HELD) = self
            .queue
            .iter()
            .map(|submission| Arc::clone(&submission.watch))
            .collect();
    }

    /// Forgets waiting tasks whose callers went away.
    fn drop_unwanted(&mut self) {
        let before = self.queue.len();
        self.queue
            .retain(|submission| !submission.watch.is_cancelled());
        self.state
            .cancelled
            .fetch_add((before - self.queue.len()) as u64, Ordering::Relaxed);
    }

    fn begin(&mut self, submission: Submission, permit: OwnedSemaphorePermit, ctx: &Context<Msg>) {
        let Submission { watch, job } = submission;
        let id = self.state.next_id.fetch_add(1, Ordering::Relaxed);
        self.state
            .running
            .lock()
            .expect(HELD)
            .push((id, Arc::clone(&watch)));
        self.begun.retain(|begun| Arc::strong_count(begun) > 1);
        self.begun.push(Arc::clone(&watch));
        let state = Arc::clone(&self.state);
        let me = ctx.me().clone();
        // Not tied to this life: the thread cannot be taken back, only told.
        tokio::task::spawn_blocking(move || {
            let is_fine = job();
            let counter = match (is_fine, watch.is_cancelled()) {
                (false, _) => &state.panicked,
                (true, true) => &state.cancelled,
                (true, false) => &state.done,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            state
                .running
                .lock()
                .expect(HELD)
                .retain(|(other, _)| *other != id);
            drop(permit);
            // Whichever life of the pool is there now has a thread to give away.
            let _ = me.deliver_unmetered(Msg::Ended);
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for watch in &self.begun {
            watch.cancel();
        }
    }
}

impl Behaviour for Pool {
    type Msg = Msg;
    const KIND: &'static str = "compute_pool";

    async fn start(&mut self, ctx: &Context<Msg>) -> Result<(), Failure> {
        let state = Arc::clone(&self.state);
        ctx.cell()
            .publish_live(move || serde_json::to_value(state.load()).unwrap_or(Value::Null));
        Ok(())
    }

    async fn handle(&mut self, ctx: &Context<Msg>, message: Msg) -> Result<(), Failure> {
        match message {
            Msg::Submit(submission, reply) => {
                self.drop_unwanted();
                let has_room = self.state.permits.available_permits() > 0
                    || self.queue.len() < self.state.spec.queue;
                if has_room {
                    self.queue.push_back(submission);
                    reply.send(Ok(()));
                } else {
                    reply.send(Err(self.state.busy()));
                }
            }
            Msg::Ended => {}
        }
        self.pump(ctx);
        Ok(())
    }

    fn observe(&self) -> Value {
        serde_json::to_value(self.state.load()).unwrap_or(Value::Null)
    }
}
