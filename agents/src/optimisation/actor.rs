//! The optimisation agent's actor: who it is, what wakes it, and how it concludes. The mailbox and the runner that
//! all four share are in `agent/`.

use domain::{access::AgentKind, event::EventKind};

use crate::agent::Desk;

pub(crate) const DESK: Desk = Desk {
    kind: AgentKind::Optimisation,
    title: "Portfolio optimisation",
    description: "Fits how sales respond to spending and proposes how to spend the same total where it earns most.",
    wakes: &[
        EventKind::MetricsIngested,
        EventKind::DataCorrected,
        EventKind::ClockAdvanced,
        EventKind::ConstraintChanged,
        EventKind::PlanChanged,
    ],
    cron: "45 5 * * 1",
    conclude: |ctx, snapshot, parameters| {
        Box::pin(super::cycle::conclude(ctx, snapshot, parameters))
    },
};
