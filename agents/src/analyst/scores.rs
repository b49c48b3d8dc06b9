//! Brand scores over the whole portfolio, now and before, and in each project.

pub(crate) mod explanation;

use analytics::score::{MetricColumn, Options, score};
use chrono::{Days, NaiveDate};
use domain::{
    brand::Brand,
    id::{ProjectId, ScoreId},
    metric::MetricDefinition,
    score::{Score, ScoreLine},
};
use serde_json::json;
use storage::Benchmark;

use super::{
    levels::levels,
    provenance,
    quality::Quality,
    runs::{self, SeriesRows},
};
use crate::observe::Snapshot;

/// Weeks whose mean is scored.
const LEVEL_WEEKS: u64 = 4;
/// Scores of the past that are kept, this many weeks apart.
const HISTORY: u64 = 13;

/// The scores of a snapshot, those of the last period over the whole portfolio first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scored {
    pub(crate) scores: Vec<Score>,
    pub(crate) benchmarks: Vec<Benchmark>,
}

/// Scores every brand by the product's rule. A series that must not be acted on counts as missing.
pub(crate) fn score_all(snapshot: &Snapshot, quality: &Quality) -> Scored {
    let view = &snapshot.view;
    let Some(until) = view.data_until else {
        return Scored::default();
    };
    let series = runs::series(&snapshot.table);
    let metrics: Vec<&MetricDefinition> = view.metrics.iter().filter(|m| m.weight > 0.0).collect();
    let mut scored = Scored {
        benchmarks: Vec::new(),
        scores: scores_at(snapshot, quality, &series, &metrics, None, until),
    };
    if let Some(best) = scored.scores.first() {
        let lines = best
            .lines
            .iter()
            .filter_map(|line| Some((line.metric, line.benchmark?)));
        scored.benchmarks = lines
            .map(|(metric, value)| Benchmark {
                metric,
                project: None,
                version: 0,
                period: until,
                value,
                method: "score.product".to_owned(),
                created_at: chrono::DateTime::UNIX_EPOCH,
            })
            .collect();
    }
    for back in 1..HISTORY {
        let period = until - Days::new(7 * LEVEL_WEEKS * back);
        scored.scores.extend(scores_at(
            snapshot, quality, &series, &metrics, None, period,
        ));
    }
    for project in &view.projects {
        scored.scores.extend(scores_at(
            snapshot,
            quality,
            &series,
            &metrics,
            Some(project.id),
            until,
        ));
    }
    scored
}

/// Every brand that has a value, and the values by metric; a series that must not be acted on counts as absent.
fn columns_at<'a>(
    snapshot: &'a Snapshot,
    quality: &Quality,
    series: &[SeriesRows],
    metrics: &[&MetricDefinition],
    project: Option<ProjectId>,
    period: NaiveDate,
) -> (Vec<&'a Brand>, Vec<MetricColumn>) {
    let levels = levels(snapshot, quality, series, project, period, LEVEL_WEEKS);
    let scored: Vec<_> = snapshot
        .view
        .brands
        .iter()
        .filter(|b| metrics.iter().any(|m| levels.contains_key(&(b.id, m.id))))
        .collect();
    let columns = metrics
        .iter()
        .map(|m| MetricColumn {
            direction: m.direction,
            section: m.section,
            weight: m.weight,
            values: scored
                .iter()
                .map(|b| levels.get(&(b.id, m.id)).copied().unwrap_or(f64::NAN))
                .collect(),
        })
        .collect();
    (scored, columns)
}

fn scores_at(
    snapshot: &Snapshot,
    quality: &Quality,
    series: &[SeriesRows],
    metrics: &[&MetricDefinition],
    project: Option<ProjectId>,
    period: NaiveDate,
) -> Vec<Score> {
    let (scored, columns) = columns_at(snapshot, quality, series, metrics, project, period);
    if scored.is_empty() {
        return Vec::new();
    }
    let options = Options::default();
    let source = provenance(
        snapshot,
        options.method.name(),
        json!({ "weeks": LEVEL_WEEKS, "period": period, "project": project, "options": options }),
        0,
    );
    let digest = source.slice.digest.clone();
    score(&columns, &options)
        .into_iter()
        .zip(scored)
        .map(|(made, brand)| Score {
            id: ScoreId::derive(&[
                &brand.id.to_string(),
                &project.map_or(String::new(), |p| p.to_string()),
                &period.to_string(),
                &digest,
            ]),
            brand: brand.id,
            project,
            period,
            value: made.value,
            band: made.band,
            coverage: made.coverage,
            sections: made.sections,
            lines: made
                .lines
                .iter()
                .zip(metrics)
                .map(|(line, metric)| ScoreLine {
                    metric: metric.id,
                    metric_version: metric.version,
                    section: metric.section,
                    value: line.value,
                    benchmark: line.benchmark,
                    normalised: line.normalised,
                    weight: metric.weight,
                    contribution: line.contribution,
                })
                .collect(),
            provenance: source.clone(),
        })
        .collect()
}
