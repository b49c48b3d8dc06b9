//! Where every brand's metrics stand: means over the last weeks, summed over projects where that means something.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::{
    id::{BrandId, MetricId, ProjectId},
    metric::MetricDefinition,
};

use super::runs::SeriesRows;
use crate::observe::Snapshot;

/// Level of every brand's metric over the `weeks` weeks that end at `until`, in one project or over all.
pub(crate) fn levels(
    snapshot: &Snapshot,
    series: &[SeriesRows],
    project: Option<ProjectId>,
    until: NaiveDate,
    weeks: u64,
) -> BTreeMap<(BrandId, MetricId), f64> {
    let mut sums: BTreeMap<(BrandId, MetricId), (f64, f64)> = BTreeMap::new();
    for one in series
        .iter()
        .filter(|s| project.is_none_or(|p| p == s.project))
    {
        if let Some(level) = one.level(&snapshot.table, until, weeks) {
            let slot = sums.entry((one.brand, one.metric)).or_default();
            *slot = (slot.0 + level, slot.1 + 1.0);
        }
    }
    let is_additive = |metric: MetricId| {
        snapshot
            .view
            .metric(metric)
            .is_some_and(MetricDefinition::adds_up)
    };
    sums.into_iter()
        .map(|(key, (sum, n))| (key, if is_additive(key.1) { sum } else { sum / n }))
        .collect()
}
