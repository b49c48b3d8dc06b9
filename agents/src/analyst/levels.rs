//! Where every brand's metrics stand: means over the last weeks, summed over projects where that means something.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::id::{BrandId, MetricId, ProjectId};

use super::{quality::Quality, runs::SeriesRows};
use crate::observe::Snapshot;

/// Level of every brand's metric over the `weeks` weeks that end at `until`, in one project or over all. A series that must not
/// be acted on has none.
pub(crate) fn levels(
    snapshot: &Snapshot,
    quality: &Quality,
    series: &[SeriesRows],
    project: Option<ProjectId>,
    until: NaiveDate,
    weeks: u64,
) -> BTreeMap<(BrandId, MetricId), f64> {
    let metrics = &snapshot.view.metrics;
    let mut slices: BTreeMap<(BrandId, MetricId), Vec<(ProjectId, f64)>> = BTreeMap::new();
    for one in series
        .iter()
        .filter(|s| project.is_none_or(|p| p == s.project))
        .filter(|s| !quality.fails(s.brand, s.metric, project))
    {
        if let Some(level) = one.level(&snapshot.table, until, weeks) {
            slices
                .entry((one.brand, one.metric))
                .or_default()
                .push((one.project, level));
        }
    }
    let units = metrics.iter().find(|m| m.counts_units()).map(|m| m.id);
    let sold = |brand: BrandId, project: ProjectId| {
        let known = slices.get(&(brand, units?))?;
        known
            .iter()
            .find(|(other, _)| *other == project)
            .map(|(_, level)| *level)
    };
    let level = |(key, values): (&(BrandId, MetricId), &Vec<(ProjectId, f64)>)| {
        let values = values
            .iter()
            .map(|(project, level)| (*level, sold(key.0, *project)));
        Some((*key, snapshot.view.metric(key.1)?.across_projects(values)?))
    };
    slices.iter().filter_map(level).collect()
}
