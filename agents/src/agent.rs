//! What the four agents have in common: a mailbox actor that never waits, a runner that carries out one cycle at a time, and
//! the journal that makes a cycle resumable.
//!
//! ```text
//! optimisation            supervisor, one-for-one
//! ├─ mailbox              wake-ups in, one run at a time out; answers at once, also in the middle of a cycle
//! └─ cycle                observe → analyse → decide → propose, each a journalled step
//! ```
//!
//! Agents are reconcilers: a wake-up says *look*, never *what changed*. Runs are rows; the mailbox looks for the oldest
//! one that is not finished. When the runner dies the row is still unfinished, and its next life resumes it: finished
//! steps are not recorded again, and proposing twice changes nothing.

pub(crate) mod cycle;
pub(crate) mod letters;
pub(crate) mod mailbox;
pub(crate) mod pause;
pub(crate) mod propose;
pub(crate) mod runner;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use domain::{
    access::AgentKind, budget::Plan, event::EventKind, forecast::Forecast, response::ResponseFit,
    score::Score, synergy::CrossEffect,
};
use futures::future::BoxFuture;
use runtime::{
    mailbox::BoundedRef,
    supervisor::{Backoff, ChildSpec, Strategy, SupervisorSpec},
};

use crate::{Error, context::Ctx, observe::Snapshot, parameters::Parameters, proposal::Verdicts};

/// Letters that may wait for an agent: wake-ups are coalesced, so few are ever needed.
const MAILBOX: usize = 64;

/// One agent: who it is, what wakes it, and how it concludes.
#[derive(Clone, Copy)]
pub(crate) struct Desk {
    pub(crate) kind: AgentKind,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    /// Facts after which it looks again.
    pub(crate) wakes: &'static [EventKind],
    /// Five-field expression of its own schedule, in the organisation's time zone.
    pub(crate) cron: &'static str,
    /// Analyse and decide.
    pub(crate) conclude: Conclude,
}

/// How an agent concludes from a snapshot. `progress` takes a share of the cycle between 0 and 1.
pub(crate) type Conclude =
    fn(Arc<Ctx>, Arc<Snapshot>, Parameters) -> BoxFuture<'static, Result<Conclusion, Error>>;

/// What a cycle concluded: the results to keep, and the verdicts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conclusion {
    pub(crate) results: Results,
    pub(crate) verdicts: Verdicts,
    /// Drafts of the plans that are proposed.
    pub(crate) plans: Vec<Plan>,
}

/// Results of the analyses, kept with their provenance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    pub(crate) fit: Option<ResponseFit>,
    pub(crate) effects: Vec<CrossEffect>,
    pub(crate) forecasts: Vec<Forecast>,
    pub(crate) scores: Vec<Score>,
    pub(crate) benchmarks: Vec<storage::Benchmark>,
    /// Sets of findings by kind, each with the key of what it is about.
    pub(crate) findings: Vec<(&'static str, Vec<(String, serde_json::Value)>)>,
}

/// The four agents, in the order in which they start.
pub(crate) const DESKS: [Desk; 4] = [
    crate::metrics::DESK,
    crate::forecasting::DESK,
    crate::strategy::DESK,
    crate::optimisation::DESK,
];

/// The desk of an agent.
pub(crate) fn desk(kind: AgentKind) -> &'static Desk {
    DESKS
        .iter()
        .find(|desk| desk.kind == kind)
        .expect("every agent has a desk")
}

/// The subtree of one agent, and the way into its mailbox.
pub(crate) fn subtree(
    desk: Desk,
    ctx: &Arc<Ctx>,
    arbitrator: BoundedRef<crate::arbitrator::actor::Msg>,
) -> (ChildSpec, BoundedRef<letters::ToMailbox>) {
    let (mailbox_ctx, runner_ctx) = (Arc::clone(ctx), Arc::clone(ctx));
    let way_back = Arc::new(OnceLock::new());
    let to_mailbox = Arc::clone(&way_back);
    let (runner_spec, runner) = ChildSpec::actor("cycle", MAILBOX, move || {
        runner::Runner::new(
            desk,
            Arc::clone(&runner_ctx),
            arbitrator.clone(),
            Arc::clone(&to_mailbox),
        )
    });
    let (mailbox_spec, mailbox) = ChildSpec::actor("mailbox", MAILBOX, move || {
        mailbox::Mailbox::new(desk, Arc::clone(&mailbox_ctx), runner.clone())
    });
    // Set once, before anything starts.
    let _ = way_back.set(mailbox.clone());
    let backoff = Backoff {
        longest: Duration::from_secs(10),
        ..Backoff::default()
    };
    let spec = SupervisorSpec::new(Strategy::OneForOne)
        .backoff(backoff)
        .child(runner_spec)
        .child(mailbox_spec);
    (ChildSpec::supervisor(desk.kind.name(), spec).0, mailbox)
}
