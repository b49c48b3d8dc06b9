//! Gaps of every brand on every metric that says something about how it stands.

use analytics::cancel::{Cancel, Cancelled};
use domain::{
    competition::Gap,
    metric::{MetricDefinition, MetricRole},
};

use super::{levels::levels, quality::Quality, runs};
use crate::observe::Snapshot;

/// Weeks whose mean is compared.
pub(crate) const LEVEL_WEEKS: u64 = 8;

/// Gaps to leader, benchmark and category. Spend and context are not compared: spending less than a rival is no fault.
///
/// # Errors
/// When the caller asked to stop.
pub(crate) fn gaps(
    snapshot: &Snapshot,
    quality: &Quality,
    cancel: &dyn Cancel,
) -> Result<Vec<Gap>, Cancelled> {
    let Some(until) = snapshot.view.data_until else {
        return Ok(Vec::new());
    };
    let levels = levels(
        snapshot,
        quality,
        &runs::series(&snapshot.table),
        None,
        until,
        LEVEL_WEEKS,
    );
    let brands = &snapshot.view.brands;
    let is_compared = |m: &&MetricDefinition| {
        matches!(
            m.role,
            MetricRole::Outcome | MetricRole::Health | MetricRole::Exposure
        )
    };
    let mut out = Vec::new();
    for metric in snapshot.view.metrics.iter().filter(is_compared) {
        let values: Vec<f64> = brands
            .iter()
            .map(|b| levels.get(&(b.id, metric.id)).copied().unwrap_or(f64::NAN))
            .collect();
        for gap in analytics::gap::gaps(&values, metric.direction, metric.unit, cancel)? {
            out.push(Gap {
                brand: brands[gap.brand].id,
                metric: metric.id,
                reference: gap.reference,
                value: gap.value,
                reference_value: gap.reference_value,
                gap: gap.gap,
                relative: gap.relative,
                without_leader: Some(gap.without_leader),
                rank: gap.rank,
                peers: gap.peers,
                period: until,
            });
        }
    }
    Ok(out)
}
