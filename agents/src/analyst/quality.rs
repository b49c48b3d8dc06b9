//! Values that contradict the rest of the data.

use std::collections::{BTreeMap, BTreeSet};

use analytics::quality::{Criteria, Outlier, outliers};
use chrono::Days;
use domain::{
    id::{BrandId, MetricId},
    metric::{Granularity, MetricRole},
};
use serde_json::json;

use super::{
    provenance,
    runs::{self, SeriesRows},
};
use crate::{metrics::rules::Suspect, observe::Snapshot};

/// Robust standard deviations from which a value is a suspect: far more than a lively week.
const SUSPECT_FROM: f64 = 8.0;
/// Robust standard deviations from which a sibling counts as lively in the same week.
const SIBLING_FROM: f64 = 4.0;
/// Suspects that are kept, the worst first.
const MOST: usize = 50;

/// A series with the values that stand out in it.
type Checked = (SeriesRows, Vec<Outlier>);

/// Suspect values, the worst first. A week that stands out in a sibling project too is something that happened, not a
/// mistake, and is left alone; so is spending, which people move at will.
pub(crate) fn suspects(snapshot: &Snapshot) -> Vec<Suspect> {
    let (view, table) = (&snapshot.view, &snapshot.table);
    let (Some(first), Some(last)) = (table.period.iter().min().copied(), view.data_until) else {
        return Vec::new();
    };
    let weeks = usize::try_from((last - first).num_days() / 7 + 1).unwrap_or(0);
    let is_watched = |s: &SeriesRows| {
        view.metric(s.metric).is_some_and(|m| {
            m.granularity == Granularity::Week
                && !matches!(
                    m.role,
                    MetricRole::Spend | MetricRole::Promotion | MetricRole::Context
                )
        })
    };
    let period = Criteria::default();
    let source = provenance(
        snapshot,
        "quality.outliers",
        json!({ "from": SUSPECT_FROM, "season": 52, "default_from": period.outlier }),
        0,
    );
    let mut groups: BTreeMap<(BrandId, MetricId), Vec<Checked>> = BTreeMap::new();
    for series in runs::series(table).into_iter().filter(is_watched) {
        let values = series.weekly(table, first, weeks);
        let found = outliers(&values, Granularity::Week.per_year(), SIBLING_FROM);
        groups
            .entry((series.brand, series.metric))
            .or_default()
            .push((series, found));
    }
    let mut suspects = Vec::new();
    for group in groups.values() {
        for (index, (series, found)) in group.iter().enumerate() {
            let lively: BTreeSet<usize> = group
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .flat_map(|(_, (_, f))| f.iter().map(|o| o.at))
                .collect();
            for outlier in found
                .iter()
                .filter(|o| o.distance.abs() >= SUSPECT_FROM && !lively.contains(&o.at))
            {
                suspects.push(Suspect {
                    project: series.project,
                    brand: series.brand,
                    metric: series.metric,
                    period: first + Days::new(7 * outlier.at as u64),
                    value: outlier.value,
                    expected: outlier.expected.is_finite().then_some(outlier.expected),
                    deviation: outlier.distance.abs(),
                    provenance: source.clone(),
                });
            }
        }
    }
    suspects.sort_by(|a, b| {
        b.deviation.total_cmp(&a.deviation).then(
            (a.brand, a.metric, a.project, a.period).cmp(&(b.brand, b.metric, b.project, b.period)),
        )
    });
    suspects.truncate(MOST);
    suspects
}
