//! What an agent's mailbox and its runner tell each other.

use domain::id::RunId;

use super::cycle;
use crate::Error;

/// Letters to an agent's mailbox.
#[derive(Clone, Debug)]
pub(crate) enum ToMailbox {
    /// Look whether there is something to do. Sent after every change that could matter, and by the sweep.
    Wake,
    /// The runner came to life; what it had in hand before is to be done again.
    RunnerStarted,
    /// The runner ended a run.
    Ended,
}

/// Letters to an agent's runner.
pub(crate) enum ToRunner {
    /// Do this run and tell the mailbox when it has ended. Ignored while another one is under way.
    Run(RunId),
    /// The cycle's task ended.
    Ended(RunId, Result<Result<cycle::Report, Error>, runtime::Error>),
}
