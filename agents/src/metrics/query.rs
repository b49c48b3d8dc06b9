//! What people read of the multi-brand metrics agent's findings.

use storage::Scope;

use super::rules::Suspect;
use crate::{Error, analysis::Synergies};

/// Kind under which suspect values are stored.
pub(crate) const SUSPECTS: &str = "suspect_values";

/// The last scan over every pair.
pub(crate) async fn synergies(scope: &Scope) -> Result<Synergies, Error> {
    let effects = scope.synergies().latest().await?;
    Ok(Synergies {
        origin: effects.first().map(|effect| effect.origin),
        candidates: u32::try_from(effects.len()).unwrap_or(u32::MAX),
        effects,
    })
}

/// Values that contradict the rest of the data, the worst first.
pub(crate) async fn suspects(scope: &Scope) -> Result<Vec<Suspect>, Error> {
    Ok(scope
        .findings()
        .latest(SUSPECTS)
        .await?
        .map(|set| set.findings)
        .unwrap_or_default())
}
