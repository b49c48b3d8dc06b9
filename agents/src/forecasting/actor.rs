//! The forecasting agent's actor: who it is, what wakes it, and how it concludes. The mailbox and the runner that
//! all four share are in `agent/`.

use domain::{access::AgentKind, event::EventKind};

use crate::agent::Desk;

pub(crate) const DESK: Desk = Desk {
    kind: AgentKind::Forecasting,
    title: "Forecasting",
    description: "Forecasts every brand's sales with several models, tests them on the past, and proposes the better forecast of record.",
    wakes: &[
        EventKind::MetricsIngested,
        EventKind::DataCorrected,
        EventKind::ClockAdvanced,
    ],
    cron: "15 5 * * 1",
    conclude: |ctx, snapshot, parameters| {
        Box::pin(super::cycle::conclude(ctx, snapshot, parameters))
    },
};
