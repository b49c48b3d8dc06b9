//! The subtree of one organisation, started on demand.
//!
//! ```text
//! <organisation>          supervisor, one-for-one
//! ├─ arbitrator           drafts → inbox
//! ├─ metrics · forecasting · strategy · optimisation      each a supervisor of its mailbox and its cycle
//! ├─ applier              approvals that are due → applied
//! ├─ measurer             applied → measured
//! └─ watcher              events → runs; rings the others
//! ```

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    access::{AgentKind, Permission},
    event::{Event, EventKind},
    id::RunId,
    ingest::BatchState,
    page::PageRequest,
    run::{Run, RunState, Trigger},
};
use runtime::{
    actor::{Behaviour, Context, Failure},
    mailbox::BoundedRef,
    supervisor::{ChildSpec, Strategy, SupervisorSpec},
};
use serde_json::{Value, json};
use storage::Unit;

use crate::{
    Error,
    agent::{self, DESKS, letters::ToMailbox},
    applier, arbitrator,
    context::Ctx,
    life, measurer,
};

/// Letters that may wait for the small actors; their wake-ups are coalesced.
const MAILBOX: usize = 64;
/// Events read in one go.
const BATCH: u32 = 200;
/// Name under which the agents' place in the events is kept.
pub(crate) const GROUP: &str = "agents";
/// An import that moved within this time is under way; runs wait for its end instead of looking at half of it.
const IMPORT_MOVES: chrono::TimeDelta = chrono::TimeDelta::seconds(30);

/// The ways into an organisation's actors.
#[derive(Clone, Debug)]
pub(crate) struct Organisation {
    pub(crate) agents: BTreeMap<AgentKind, BoundedRef<ToMailbox>>,
    pub(crate) arbitrator: BoundedRef<arbitrator::actor::Msg>,
    pub(crate) keepers: Vec<BoundedRef<Look>>,
}

impl Organisation {
    /// Makes everybody look. A full mailbox has a wake-up waiting already.
    pub(crate) fn wake(&self) {
        for keeper in &self.keepers {
            let _ = keeper.tell(Look);
        }
        for agent in self.agents.values() {
            let _ = agent.tell(ToMailbox::Wake);
        }
        let _ = self.arbitrator.tell(arbitrator::actor::Msg::Wake);
    }
}

/// The subtree, and the ways into it.
pub(crate) fn subtree(ctx: Arc<Ctx>) -> (ChildSpec, Organisation) {
    let for_arbitrator = Arc::clone(&ctx);
    let (arbitrator_spec, arbitrator) = ChildSpec::actor("arbitrator", MAILBOX, move || {
        arbitrator::actor::Arbitrator::new(Arc::clone(&for_arbitrator))
    });
    let mut spec = SupervisorSpec::new(Strategy::OneForOne).child(arbitrator_spec);
    let mut agents = BTreeMap::new();
    for desk in DESKS {
        let (child, mailbox) = agent::subtree(desk, &ctx, arbitrator.clone());
        spec = spec.child(child);
        agents.insert(desk.kind, mailbox);
    }
    let mut keepers = Vec::new();
    for (name, duty) in [
        ("applier", Duty::Apply),
        ("measurer", Duty::Measure),
        ("watcher", Duty::Watch),
    ] {
        let (ctx, agents, arbitrator) = (Arc::clone(&ctx), agents.clone(), arbitrator.clone());
        let (child, keeper) = ChildSpec::actor(name, MAILBOX, move || Keeper {
            duty,
            ctx: Arc::clone(&ctx),
            agents: agents.clone(),
            arbitrator: arbitrator.clone(),
            done: 0,
            looked: 0,
        });
        spec = spec.child(child);
        keepers.push(keeper);
    }
    let name = ctx.org.to_string();
    (
        ChildSpec::supervisor(name, spec).0,
        Organisation {
            agents,
            arbitrator,
            keepers,
        },
    )
}

/// Look whether there is something to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look;

/// What a keeper keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    Apply,
    Measure,
    Watch,
}

/// A reconciler that looks when it is woken and every so often.
struct Keeper {
    duty: Duty,
    ctx: Arc<Ctx>,
    agents: BTreeMap<AgentKind, BoundedRef<ToMailbox>>,
    arbitrator: BoundedRef<arbitrator::actor::Msg>,
    done: usize,
    looked: u64,
}

impl Keeper {
    fn period(&self) -> Duration {
        match self.duty {
            // The undo window ends by database time, and nothing rings then.
            Duty::Apply => self.ctx.config.apply_sweep,
            Duty::Watch => Duration::from_secs(2),
            Duty::Measure => Duration::from_secs(30),
        }
    }

    async fn look(&mut self) -> Result<usize, Error> {
        let (storage, system) = (&self.ctx.storage, self.ctx.system());
        match self.duty {
            Duty::Apply => {
                let applied = applier::apply_due(storage, &system).await?;
                Ok(applied.applied.len() + applied.withdrawn.len() + applied.failed.len())
            }
            Duty::Measure => measurer::measure_due(&self.ctx).await,
            Duty::Watch => {
                let moved = life::keep_calendar(storage, &system).await?;
                let runs = watch(&self.ctx).await?;
                if runs > 0 {
                    self.agents.values().for_each(|agent| {
                        let _ = agent.tell(ToMailbox::Wake);
                    });
                }
                if moved > 0 {
                    let _ = self.arbitrator.tell(arbitrator::actor::Msg::Wake);
                }
                Ok(moved + runs)
            }
        }
    }
}

impl Behaviour for Keeper {
    type Msg = Look;
    const KIND: &'static str = "keeper";

    async fn start(&mut self, ctx: &Context<Look>) -> Result<(), Failure> {
        ctx.every(self.period(), || Look);
        ctx.after(Duration::ZERO, Look);
        Ok(())
    }

    async fn handle(&mut self, ctx: &Context<Look>, Look: Look) -> Result<(), Failure> {
        self.looked += 1;
        match self.look().await {
            Ok(done) => self.done += done,
            // A database that is away for a moment is no reason to end: the next sweep looks again.
            Err(error) => ctx.cell().note_error(error.to_string()),
        }
        Ok(())
    }

    fn observe(&self) -> Value {
        json!({ "looked": self.looked, "done": self.done })
    }
}

/// Reads the events after the agents' place and makes a run for every agent that one of them concerns: one unit per batch.
/// Returns how many runs were made.
pub(crate) async fn watch(ctx: &Ctx) -> Result<usize, Error> {
    let grant = ctx.system().grant(Permission::RunWrite)?;
    let scope = ctx.storage.scope(&grant);
    let mut made = 0;
    loop {
        let from = scope.cursors().get(GROUP).await?;
        let events = scope.events().after(from, BATCH).await?;
        let Some(last) = events.last().map(|event| event.position) else {
            return Ok(made);
        };
        let woken: Vec<AgentKind> = DESKS
            .iter()
            .filter(|desk| events.iter().any(|e| desk.wakes.contains(&e.kind)))
            .map(|d| d.kind)
            .collect();
        if !woken.is_empty() && concerns_data(&events) && import_under_way(ctx, &scope).await? {
            return Ok(made);
        }
        let moved = ctx
            .storage
            .unit(&grant, move |u| {
                let woken = woken.clone();
                Box::pin(async move {
                    u.cursors().advance(GROUP, from, last).await?;
                    let mut made = 0;
                    for kind in woken {
                        made += usize::from(queue_run(u, kind, Trigger::Event).await?.1);
                    }
                    Ok(made)
                })
            })
            .await;
        match moved {
            Ok(runs) => made += runs,
            // Another node was quicker; it made the runs.
            Err(storage::Error::Domain(error)) if error.code == "cursor.moved" => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn concerns_data(events: &[Event]) -> bool {
    events
        .iter()
        .any(|event| event.kind == EventKind::MetricsIngested)
}

async fn import_under_way(ctx: &Ctx, scope: &storage::Scope) -> Result<bool, Error> {
    let now = ctx.storage.now().await?;
    let newest = scope
        .ingest()
        .list(&PageRequest {
            limit: 10,
            after: None,
        })
        .await?;
    Ok(newest
        .rows
        .iter()
        .any(|batch| batch.state == BatchState::Open && now - batch.updated_at < IMPORT_MOVES))
}

/// Queues a run of an agent, unless one waits already: that one will look at whatever is true when it starts.
/// Says which run it is, and whether it is new.
pub(crate) async fn queue_run(
    u: &Unit,
    kind: AgentKind,
    trigger: Trigger,
) -> Result<(Run, bool), storage::Error> {
    let waiting = u
        .runs()
        .unfinished()
        .await?
        .into_iter()
        .find(|run| run.agent == kind && run.state == RunState::Queued);
    if let Some(waiting) = waiting {
        return Ok((waiting, false));
    }
    let run = Run {
        id: RunId(u.fresh_id()),
        agent: kind,
        state: RunState::Queued,
        trigger,
        schedule: None,
        tick: None,
        snapshot: None,
        parameters: json!({}),
        progress: 0.0,
        error: None,
        created_at: u.now(),
        started_at: None,
        ended_at: None,
    };
    u.runs().create(&run).await?;
    Ok((run, true))
}
