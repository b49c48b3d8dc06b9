//! What people read of the multi-brand metrics agent's findings.

use chrono::NaiveDate;
use domain::{quality::SeriesQuality, synergy::CrossEffect};
use serde::Serialize;
use storage::Scope;

use super::rules::Suspect;
use crate::Error;

/// Kind under which suspect values are stored.
pub(crate) const SUSPECTS: &str = "suspect_values";

/// Kind under which the quality of every series is stored.
pub(crate) const QUALITY: &str = "series_quality";

/// The last scan over every pair of own brands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Synergies {
    /// Last period used; `None` before the first scan.
    pub origin: Option<NaiveDate>,
    /// Pairs that were looked at.
    pub candidates: u32,
    /// Every pair, found or not.
    pub effects: Vec<CrossEffect>,
}

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

/// The quality of every series when it was last checked.
pub(crate) async fn quality(scope: &Scope) -> Result<Vec<SeriesQuality>, Error> {
    Ok(scope
        .findings()
        .latest(QUALITY)
        .await?
        .map(|set| set.findings)
        .unwrap_or_default())
}
