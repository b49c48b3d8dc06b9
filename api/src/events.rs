//! Live events over SSE. The stream says *look*: each event names what changed, and the reader fetches it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::{ErrorKind, clock::Clock, event::Event as DomainEvent};
use futures::{StreamExt, stream::BoxStream};
use poem::web::sse::Event;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Query},
    payload::EventStream,
    types::ToJSON,
};
use runtime::{
    doorbell::Listener,
    signals::{Received, SignalStream},
};
use serde_json::Value;
use storage::Scope;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::{
    App, Tag,
    auth::Caller,
    problem::{Answer, Problem},
};

/// A comment is sent this often, so that nobody on the way thinks the connection is dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The database is looked at this often even when no bell rings.
const SWEEP: Duration = Duration::from_secs(1);
/// A stream ends after this long; the browser resumes it, and whoever lost access in between is refused.
const LIFE: Duration = Duration::from_secs(300);
/// Events read at once.
const BATCH: u32 = 100;

/// Something that happened.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct LiveEvent {
    /// Position in delivery order; absent for `progress`, which is not stored.
    pub(crate) position: Option<i64>,
    /// What happened: the name of an event kind, or `progress`.
    pub(crate) kind: String,
    /// What it happened to, as its text id.
    pub(crate) key: String,
    /// Ids to look up.
    pub(crate) body: Value,
    /// When.
    pub(crate) at: DateTime<Utc>,
}

impl LiveEvent {
    fn of(event: DomainEvent) -> Self {
        let DomainEvent {
            id: _,
            org: _,
            position,
            kind,
            key,
            body,
            at,
        } = event;
        Self {
            position: Some(position),
            kind: kind.name(),
            key,
            body,
            at,
        }
    }
}

fn to_event(event: LiveEvent) -> Event {
    let kind = event.kind.clone();
    let message = Event::message(event.to_json_string()).event_type(kind);
    match event.position {
        Some(position) => message.id(position.to_string()),
        None => message,
    }
}

/// Reads one organisation's events from a position on.
struct Follower {
    scope: Scope,
    position: i64,
    bell: Listener,
    signals: SignalStream,
    org: String,
    stopping: CancellationToken,
    ends_at: tokio::time::Instant,
    waiting: VecDeque<LiveEvent>,
    clock: Arc<dyn Clock>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// The next event; `None` ends the stream, and the reader resumes where it was.
    async fn next(&mut self) -> Option<LiveEvent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            match self.scope.events().after(self.position, BATCH).await {
                Ok(events) => {
                    if let Some(last) = events.last() {
                        self.position = last.position;
                        self.waiting.extend(events.into_iter().map(LiveEvent::of));
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the events could not be read; the stream ends and is resumed");
                    return None;
                }
            }
            tokio::select! {
                _ = self.bell.wait(SWEEP) => {}
                received = self.signals.recv() => match received {
                    Some(Received::Signal(signal)) if signal.scope == self.org => {
                        return Some(LiveEvent {
                            position: None,
                            kind: "progress".into(),
                            key: signal.topic,
                            body: signal.body,
                            at: self.clock.now(),
                        });
                    }
                    // Signals are lossy by contract, and other organisations' are nobody's business here.
                    Some(_) => {}
                    None => return None,
                },
                () = self.stopping.cancelled() => return None,
                () = tokio::time::sleep_until(self.ends_at) => return None,
            }
        }
    }
}

/// Live events.
pub(crate) struct EventApi(pub(crate) App);

#[OpenApi(tag = "Tag::System")]
impl EventApi {
    /// Follow what happens.
    ///
    /// Server-sent events; `id` is the position, and `Last-Event-ID` resumes after it without a hole. Without it the
    /// stream starts now.
    #[oai(path = "/events", method = "get", operation_id = "event_stream")]
    async fn stream(
        &self,
        caller: Caller,
        /// Resume after this position.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<i64>>,
        /// The same, for readers that cannot send headers.
        after: Query<Option<i64>>,
    ) -> Answer<EventStream<BoxStream<'static, LiveEvent>>> {
        let permit = Arc::clone(&self.0.streams)
            .try_acquire_owned()
            .map_err(|_| {
                Problem::new(
                    ErrorKind::TooMany,
                    "event.too_many_streams",
                    "too many pages follow the events just now",
                )
                .advise("close some; this one tries again by itself")
            })?;
        let scope = self.0.state.storage.scope(caller.grant());
        let position = match last_event_id.0.or(after.0) {
            Some(position) => position,
            None => scope.events().latest_position().await?,
        };
        let follower = Follower {
            scope,
            position,
            bell: self.0.state.bell.listen(runtime::doorbell::EVENTS),
            signals: self.0.state.signals.subscribe(),
            org: caller.user.org.to_string(),
            stopping: self.0.stopping.clone(),
            ends_at: tokio::time::Instant::now() + LIFE,
            waiting: VecDeque::new(),
            clock: Arc::clone(&self.0.state.clock),
            _permit: permit,
        };
        let stream = futures::stream::unfold(follower, |mut follower| async move {
            let event = follower.next().await?;
            Some((event, follower))
        });
        Ok(EventStream::new(stream.boxed())
            .keep_alive(KEEP_ALIVE)
            .to_event(to_event))
    }
}
