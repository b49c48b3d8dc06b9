//! Brings commits to the organisation they concern.
//!
//! The database calls the doorbell after every commit of this process that published an event. Commits of other processes
//! are found by the watcher's sweep of each organisation that is up; the first call, event or scheduled run of an
//! organisation that sleeps starts it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

use domain::{event::EventKind, id::OrgId};
use runtime::{
    actor::{Behaviour, Context, Failure},
    mailbox::BoundedRef,
};
use serde_json::{Value, json};

use crate::{Inner, agent::DESKS};

/// Commits that may wait; one that finds no room is found by the sweep.
pub(crate) const CAPACITY: usize = 1024;

/// Letters to the dispatcher.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Msg {
    /// Something changed in an organisation.
    Changed(OrgId),
}

pub(crate) struct Dispatcher {
    inner: Weak<Inner>,
    changes: u64,
    organisations: BTreeSet<OrgId>,
}

impl Dispatcher {
    pub(crate) fn new(inner: Weak<Inner>) -> Self {
        Self {
            inner,
            changes: 0,
            organisations: BTreeSet::new(),
        }
    }
}

impl Behaviour for Dispatcher {
    type Msg = Msg;
    const KIND: &'static str = "dispatcher";

    async fn handle(&mut self, ctx: &Context<Msg>, Msg::Changed(org): Msg) -> Result<(), Failure> {
        self.changes += 1;
        self.organisations.insert(org);
        let Some(inner) = self.inner.upgrade() else {
            return Ok(());
        };
        match inner.up(org).await {
            Ok(organisation) => organisation.wake(),
            Err(error) => ctx.cell().note_error(error.to_string()),
        }
        Ok(())
    }

    fn observe(&self) -> Value {
        json!({ "changes": self.changes, "organisations": self.organisations.len() })
    }
}

/// What the storage calls after a commit.
pub(crate) fn doorbell(dispatcher: BoundedRef<Msg>) -> storage::Doorbell {
    Arc::new(move |note: &storage::CommitNote| {
        if let Some(org) = note.org
            && note.events.iter().any(|kind| concerns_agents(*kind))
        {
            // Full or between two lives: the sweep finds it.
            let _ = dispatcher.tell(Msg::Changed(org));
        }
    })
}

fn concerns_agents(kind: EventKind) -> bool {
    let of_decisions = matches!(
        kind,
        EventKind::RunChanged
            | EventKind::RecommendationApproved
            | EventKind::RecommendationApplied
            | EventKind::RecommendationChanged
    );
    of_decisions || DESKS.iter().any(|desk| desk.wakes.contains(&kind))
}
