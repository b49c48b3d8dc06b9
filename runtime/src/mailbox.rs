//! Bounded references to actors.
//!
//! ractor's mailboxes are unbounded, so the bound lives in the reference: a message takes a permit when it is sent and
//! gives it back when its handler ends (or when the mailbox is thrown away with the actor). A full mailbox refuses with
//! `runtime.overloaded`; nothing is ever queued without end.
//!
//! A reference survives restarts: the supervisor binds each new life of the actor to it. Messages that an actor held
//! when it died are lost, and whoever waits for an answer is told so.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ractor::ActorRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::Error;

/// A message with the permit it occupies.
pub(crate) struct Letter<M> {
    pub(crate) message: M,
    /// Held until the handler ends.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

struct Shared<M> {
    name: String,
    path: OnceLock<String>,
    capacity: usize,
    permits: Arc<Semaphore>,
    refused: AtomicU64,
    actor: RwLock<Option<ActorRef<Letter<M>>>>,
}

/// A reference to an actor that accepts `M`, through a mailbox of fixed capacity.
pub struct BoundedRef<M: Send + 'static> {
    shared: Arc<Shared<M>>,
}

impl<M: Send + 'static> Clone for BoundedRef<M> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<M: Send + 'static> fmt::Debug for BoundedRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedRef")
            .field("path", &self.path())
            .field("waiting", &self.len())
            .finish()
    }
}

/// Where an actor puts the answer to an [`ask`](BoundedRef::ask).
pub struct Reply<R>(oneshot::Sender<R>);

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").finish()
    }
}

impl<R> Reply<R> {
    /// Answers. Nobody may be waiting any more; that is no error.
    pub fn send(self, answer: R) {
        let _ = self.0.send(answer);
    }

    /// Whether the caller has given up, so that the work can be skipped.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

impl<M: Send + 'static> BoundedRef<M> {
    pub(crate) fn unbound(name: &str, capacity: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                name: name.to_owned(),
                path: OnceLock::new(),
                capacity,
                permits: Arc::new(Semaphore::new(capacity)),
                refused: AtomicU64::new(0),
                actor: RwLock::new(None),
            }),
        }
    }

    /// Points the reference at a new life of the actor.
    pub(crate) fn bind(&self, path: &str, actor: ActorRef<Letter<M>>) {
        // The first binding names the reference; a supervisor never moves a child, so later ones agree.
        let _ = self.shared.path.set(path.to_owned());
        *self
            .shared
            .actor
            .write()
            .expect("no thread panics while it binds a reference") = Some(actor);
    }

    fn actor(&self) -> Result<ActorRef<Letter<M>>, Error> {
        let guard = self
            .shared
            .actor
            .read()
            .expect("no thread panics while it binds a reference");
        guard.clone().ok_or_else(|| self.not_running())
    }

    fn not_running(&self) -> Error {
        Error::NotRunning {
            path: self.path().to_owned(),
        }
    }

    fn deliver(&self, message: M, permit: Option<OwnedSemaphorePermit>) -> Result<(), Error> {
        self.actor()?
            .send_message(Letter { message, permit })
            .map_err(|_| self.not_running())
    }

    /// Sends outside the bound: only for what the actor or its supervisor caused itself (ends of own tasks, timers),
    /// whose number they bound.
    pub(crate) fn deliver_unmetered(&self, message: M) -> Result<(), Error> {
        self.deliver(message, None)
    }

    /// Sends a message and returns at once.
    ///
    /// # Errors
    /// `runtime.overloaded` when the mailbox is full, `runtime.not_running` when the actor is not there.
    pub fn tell(&self, message: M) -> Result<(), Error> {
        match Arc::clone(&self.shared.permits).try_acquire_owned() {
            Ok(permit) => self.deliver(message, Some(permit)),
            Err(_) => Err(self.overloaded()),
        }
    }

    /// Sends a message, waiting for room for at most `patience`.
    ///
    /// # Errors
    /// As [`tell`](Self::tell); overload only after `patience`.
    pub async fn tell_within(&self, message: M, patience: Duration) -> Result<(), Error> {
        match tokio::time::timeout(patience, Arc::clone(&self.shared.permits).acquire_owned()).await
        {
            Ok(Ok(permit)) => self.deliver(message, Some(permit)),
            _ => Err(self.overloaded()),
        }
    }

    /// Sends a question and waits for the answer for at most `patience`. Giving up does not stop the handler.
    ///
    /// # Errors
    /// As [`tell`](Self::tell), and `runtime.timeout`.
    pub async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(Reply<R>) -> M,
        patience: Duration,
    ) -> Result<R, Error> {
        let (sender, receiver) = oneshot::channel();
        self.tell(question(Reply(sender)))?;
        match tokio::time::timeout(patience, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.not_running()),
            Err(_) => Err(Error::Timeout {
                path: self.path().to_owned(),
                waited: patience,
            }),
        }
    }

    fn overloaded(&self) -> Error {
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        Error::Overloaded {
            path: self.path().to_owned(),
            capacity: self.shared.capacity,
        }
    }

    /// Path in the tree; only the name before the first start.
    pub fn path(&self) -> &str {
        self.shared.path.get().unwrap_or(&self.shared.name)
    }

    /// Messages sent and not yet handled, the one under way included.
    pub fn len(&self) -> usize {
        self.shared
            .capacity
            .saturating_sub(self.shared.permits.available_permits())
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages held at most.
    pub fn capacity(&self) -> usize {
        self.shared.capacity
    }

    /// Messages refused since the program started.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }
}
