//! The strategy agent's actor: who it is, what wakes it, and how it concludes. The mailbox and the runner that
//! all four share are in `agent/`.

use domain::{access::AgentKind, event::EventKind};

use crate::agent::Desk;

pub(crate) const DESK: Desk = Desk {
    kind: AgentKind::Strategy,
    title: "Strategy",
    description: "Compares the brands with their rivals, finds metrics that run ahead of sales, and proposes targets and initiatives.",
    wakes: &[
        EventKind::MetricsIngested,
        EventKind::DataCorrected,
        EventKind::ClockAdvanced,
    ],
    cron: "30 5 * * 1",
    conclude: |ctx, snapshot, parameters| {
        Box::pin(super::cycle::conclude(ctx, snapshot, parameters))
    },
};
