//! The multi-brand metrics agent's actor: who it is, what wakes it, and how it concludes. The mailbox and the runner that
//! all four share are in `agent/`.

use domain::{access::AgentKind, event::EventKind};

use crate::agent::Desk;

pub(crate) const DESK: Desk = Desk {
    kind: AgentKind::Metrics,
    title: "Multi-brand metrics",
    description: "Finds which brands' media lift or take sales from each other, watches the quality of the data, and keeps the scores.",
    wakes: &[
        EventKind::MetricsIngested,
        EventKind::DataCorrected,
        EventKind::ClockAdvanced,
    ],
    cron: "0 5 * * 1",
    conclude: |ctx, snapshot, parameters| {
        Box::pin(super::cycle::conclude(ctx, snapshot, parameters))
    },
};
