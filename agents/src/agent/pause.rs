//! Whether a person paused an agent.

use domain::access::AgentKind;
use storage::Scope;

use crate::Error;

/// The setting under which that is kept.
pub(crate) fn key(kind: AgentKind) -> String {
    format!("agents.{}.paused", kind.name())
}

/// Whether a person paused an agent.
pub(crate) async fn is_paused(scope: &Scope, kind: AgentKind) -> Result<bool, Error> {
    Ok(scope
        .settings()
        .get::<bool>(&key(kind))
        .await?
        .is_some_and(|setting| setting.value))
}
