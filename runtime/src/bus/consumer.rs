//! The actor that reads one group's events and hands them on.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use domain::{Classify, event::Event, id::OrgId, job::NewJob};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Bus, Consumer, ConsumerConfig, dead_letters};
use crate::{
    Error,
    actor::{Behaviour, Context, Failure},
    doorbell::EVENTS,
    leases::HeldLease,
};

/// Organisations and events looked at in one turn.
const ORGANISATIONS: u32 = 64;
const BATCH: u32 = 100;

/// Events stamped in one turn.
const STAMPED: u32 = 1_000;

/// How long a group's lease lasts without renewal.
const LEASE: Duration = Duration::from_secs(15);

/// What a consumer is told.
#[derive(Debug)]
pub enum ConsumerMsg {
    /// Look for events.
    Look,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    handled: u64,
    skipped: u64,
    retried: u64,
    dead: u64,
    raced: u64,
}

/// An event that failed and waits for its next attempt.
#[derive(Clone, Debug)]
struct Trouble {
    position: i64,
    attempts: u32,
    not_before: Instant,
    error: String,
}

/// How far one turn over an organisation came.
enum Turn {
    /// All its events are dealt with.
    Through,
    /// More wait.
    More,
    /// The next event failed, or another node is at it.
    Blocked,
}

/// The reader of one group.
pub struct ConsumerActor {
    bus: Bus,
    consumer: Arc<dyn Consumer>,
    config: ConsumerConfig,
    troubles: BTreeMap<OrgId, Trouble>,
    lease: Option<HeldLease>,
    counts: Counts,
}

impl fmt::Debug for ConsumerActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerActor")
            .field("group", &self.consumer.group())
            .field("counts", &self.counts)
            .finish()
    }
}

impl ConsumerActor {
    pub(super) fn new(bus: Bus, consumer: Arc<dyn Consumer>, config: ConsumerConfig) -> Self {
        Self {
            bus,
            consumer,
            config,
            troubles: BTreeMap::new(),
            lease: None,
            counts: Counts::default(),
        }
    }

    /// One look over all organisations. Says whether more waits.
    async fn look(&mut self, ctx: &Context<ConsumerMsg>) -> Result<bool, Error> {
        self.bus.system.outbox().sequence(STAMPED).await?;
        let lagging = self
            .bus
            .system
            .lagging(self.consumer.group(), ORGANISATIONS)
            .await?;
        if lagging.is_empty() {
            if let Some(lease) = self.lease.take() {
                lease.release().await;
            }
            return Ok(false);
        }
        if !self.may_work().await? {
            return Ok(false);
        }
        let mut more = lagging.len() == ORGANISATIONS as usize;
        for lag in lagging {
            if self
                .troubles
                .get(&lag.org)
                .is_some_and(|trouble| trouble.not_before > Instant::now())
            {
                continue;
            }
            match self.turn(ctx, lag.org, lag.position).await? {
                Turn::Through | Turn::Blocked => {}
                Turn::More => more = true,
            }
        }
        Ok(more)
    }

    /// Whether this node is the one to work: always without a node name, else while it holds the lease.
    async fn may_work(&mut self) -> Result<bool, Error> {
        let Some(node) = &self.config.node else {
            return Ok(true);
        };
        if self.lease.as_ref().is_some_and(HeldLease::is_lost) {
            self.lease = None;
        }
        if self.lease.is_none() {
            let name = format!("consumer/{}", self.consumer.group());
            self.lease = HeldLease::acquire(&self.bus.system, &name, node, LEASE).await?;
        }
        Ok(self.lease.is_some())
    }

    async fn turn(
        &mut self,
        ctx: &Context<ConsumerMsg>,
        org: OrgId,
        from: i64,
    ) -> Result<Turn, Error> {
        let events = self
            .bus
            .system
            .outbox()
            .of_organisation(org, from, BATCH)
            .await?;
        let is_full = events.len() == BATCH as usize;
        let mut cursor = from;
        let mut passed = from;
        for event in events {
            if !self.consumer.wants(event.kind) {
                passed = event.position;
                self.counts.skipped += 1;
                continue;
            }
            match self.deliver(&event, cursor).await {
                Ok(()) => {
                    self.troubles.remove(&org);
                    self.counts.handled += 1;
                    (cursor, passed) = (event.position, event.position);
                    self.consumer.committed(&event);
                    ctx.cell().progress();
                }
                Err(error) if has_moved(&error) => {
                    self.counts.raced += 1;
                    return Ok(Turn::Blocked);
                }
                Err(error) => {
                    if self.note_trouble(ctx, &event, &error) {
                        self.bury(&event, cursor, &error).await?;
                        (cursor, passed) = (event.position, event.position);
                    } else {
                        // What was passed over is not looked at again.
                        self.pass(org, cursor, passed).await?;
                        return Ok(Turn::Blocked);
                    }
                }
            }
        }
        self.pass(org, cursor, passed).await?;
        Ok(if is_full { Turn::More } else { Turn::Through })
    }

    /// The effect of one event and the cursor's advance, as one unit.
    async fn deliver(&self, event: &Event, cursor: i64) -> Result<(), storage::Error> {
        let grant = self.consumer.grant(event.org)?;
        let (consumer, event) = (Arc::clone(&self.consumer), event.clone());
        self.bus
            .storage
            .unit(&grant, move |unit| {
                let (consumer, event) = (Arc::clone(&consumer), event.clone());
                Box::pin(async move {
                    // First the cursor: when somebody else was quicker, the effect is not even tried.
                    unit.cursors()
                        .advance(consumer.group(), cursor, event.position)
                        .await?;
                    consumer.handle(unit, &event).await
                })
            })
            .await
    }

    /// Moves the cursor over events that nobody wanted.
    async fn pass(&mut self, org: OrgId, from: i64, to: i64) -> Result<(), Error> {
        if from == to {
            return Ok(());
        }
        let grant = self.consumer.grant(org).map_err(storage::Error::from)?;
        let consumer = Arc::clone(&self.consumer);
        let moved = self
            .bus
            .storage
            .unit(&grant, move |unit| {
                let consumer = Arc::clone(&consumer);
                Box::pin(async move { unit.cursors().advance(consumer.group(), from, to).await })
            })
            .await;
        match moved {
            Err(error) if has_moved(&error) => {
                self.counts.raced += 1;
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Notes a failure. Says whether the event has used up its attempts.
    fn note_trouble(
        &mut self,
        ctx: &Context<ConsumerMsg>,
        event: &Event,
        error: &storage::Error,
    ) -> bool {
        let before = self
            .troubles
            .get(&event.org)
            .filter(|trouble| trouble.position == event.position);
        let attempts = before.map_or(0, |trouble| trouble.attempts) + 1;
        tracing::warn!(group = self.consumer.group(), event.id = %event.id, org.id = %event.org, attempts, %error,
            "an event could not be handled");
        ctx.cell().note_error(error);
        // A database that is away is no fault of the event.
        let counts = !matches!(error.kind(), domain::ErrorKind::Unavailable);
        if counts && attempts >= self.config.attempts.max(1) {
            self.troubles.remove(&event.org);
            self.counts.dead += 1;
            return true;
        }
        let doublings = attempts.saturating_sub(1).min(20);
        let wait = self
            .config
            .first_retry
            .saturating_mul(1 << doublings)
            .min(self.config.longest_retry);
        self.counts.retried += 1;
        let attempts = if counts { attempts } else { attempts - 1 };
        self.troubles.insert(
            event.org,
            Trouble {
                position: event.position,
                attempts,
                not_before: Instant::now() + wait,
                error: error.to_string(),
            },
        );
        ctx.after(wait, ConsumerMsg::Look);
        false
    }

    /// Turns an event into a dead letter and goes on behind it, as one unit.
    async fn bury(&self, event: &Event, cursor: i64, error: &storage::Error) -> Result<(), Error> {
        tracing::error!(group = self.consumer.group(), event.id = %event.id, org.id = %event.org, %error,
            "an event used up its attempts and is a dead letter now");
        let letter = NewJob {
            queue: dead_letters(self.consumer.group()),
            kind: event.kind.name(),
            unique_key: event.id.to_string(),
            payload: json!({ "event": event, "error": error.to_string() }),
            run_at: None,
            max_attempts: 1,
        };
        let grant = self
            .consumer
            .grant(event.org)
            .map_err(storage::Error::from)?;
        let (consumer, position) = (Arc::clone(&self.consumer), event.position);
        self.bus
            .storage
            .unit(&grant, move |unit| {
                let (consumer, letter) = (Arc::clone(&consumer), letter.clone());
                Box::pin(async move {
                    unit.cursors()
                        .advance(consumer.group(), cursor, position)
                        .await?;
                    unit.jobs().enqueue(&letter).await.map(|_| ())
                })
            })
            .await?;
        Ok(())
    }
}

fn has_moved(error: &storage::Error) -> bool {
    error.code() == "cursor.moved"
}

impl Behaviour for ConsumerActor {
    type Msg = ConsumerMsg;
    const KIND: &'static str = "consumer";

    async fn start(&mut self, ctx: &Context<ConsumerMsg>) -> Result<(), Failure> {
        ctx.look_when(self.bus.bell.listen(EVENTS), self.config.sweep, || {
            ConsumerMsg::Look
        });
        // What was written before it listened.
        ctx.after(Duration::ZERO, ConsumerMsg::Look);
        Ok(())
    }

    async fn handle(
        &mut self,
        ctx: &Context<ConsumerMsg>,
        _look: ConsumerMsg,
    ) -> Result<(), Failure> {
        match self.look(ctx).await {
            Ok(true) => ctx.after(Duration::ZERO, ConsumerMsg::Look),
            Ok(false) => {}
            // The database is away: the next sweep looks again, and the monitor says so.
            Err(error) => ctx.cell().note_error(error),
        }
        Ok(())
    }

    async fn stop(&mut self, _ctx: &Context<ConsumerMsg>) {
        if let Some(lease) = self.lease.take() {
            lease.release().await;
        }
    }

    fn observe(&self) -> Value {
        let troubles: Vec<_> = self
            .troubles
            .iter()
            .map(|(org, trouble)| {
                json!({ "org": org, "position": trouble.position, "attempts": trouble.attempts, "error": trouble.error })
            })
            .collect();
        json!({
            "group": self.consumer.group(),
            "counts": self.counts,
            "troubles": troubles,
            "holds_lease": self.lease.is_some(),
        })
    }
}
