//! What people read of the strategy agent's findings.

use domain::competition::{Gap, LeadingIndicator, RivalChange};
use storage::Scope;

use crate::Error;

/// Kinds under which findings are stored.
pub(crate) const GAPS: &str = "gaps";
pub(crate) const RIVALS: &str = "rival_changes";
pub(crate) const INDICATORS: &str = "leading_indicators";

/// The newest gaps.
pub(crate) async fn gaps(scope: &Scope) -> Result<Vec<Gap>, Error> {
    Ok(scope
        .findings()
        .latest(GAPS)
        .await?
        .map(|set| set.findings)
        .unwrap_or_default())
}

/// The newest changes of rivals.
pub(crate) async fn rivals(scope: &Scope) -> Result<Vec<RivalChange>, Error> {
    Ok(scope
        .findings()
        .latest(RIVALS)
        .await?
        .map(|set| set.findings)
        .unwrap_or_default())
}

/// The newest leading indicators.
pub(crate) async fn indicators(scope: &Scope) -> Result<Vec<LeadingIndicator>, Error> {
    Ok(scope
        .findings()
        .latest(INDICATORS)
        .await?
        .map(|set| set.findings)
        .unwrap_or_default())
}
