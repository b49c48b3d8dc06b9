//! The only things an agent may touch.

use domain::{
    access::{AgentKind, Principal},
    id::OrgId,
};
use runtime::signals::{Signal, Signals};
use storage::Storage;

use crate::{Config, analyst::Analyst};

/// What the actors of one organisation share.
#[derive(Clone, Debug)]
pub(crate) struct Ctx {
    pub(crate) org: OrgId,
    pub(crate) storage: Storage,
    pub(crate) analyst: Analyst,
    pub(crate) signals: Signals,
    pub(crate) config: Config,
}

impl Ctx {
    /// An agent's principal: reads everything, proposes, decides nothing.
    pub(crate) fn agent(&self, kind: AgentKind) -> Principal {
        Principal::agent(self.org, kind)
    }

    /// The installation acting within the organisation: arbitrator, applier, measurer.
    pub(crate) fn system(&self) -> Principal {
        Principal::system(self.org)
    }

    /// Tells whoever watches how far something is. Lossy: nothing may depend on it.
    pub(crate) fn signal(&self, topic: &str, body: serde_json::Value) {
        self.signals.send(Signal {
            scope: self.org.to_string(),
            topic: topic.to_owned(),
            body,
        });
    }
}
