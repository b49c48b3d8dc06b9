//! Brand scores over the whole portfolio, now and before, and in each project.

pub(crate) mod explanation;

use analytics::{
    cancel::{Cancel, never},
    score::{MetricColumn, Options, ScoreError, score},
};
use chrono::{Days, NaiveDate};
use domain::{
    access::Principal,
    brand::Brand,
    id::{ProjectId, ScoreId},
    metric::MetricDefinition,
    score::{Score, ScoreLine},
};
use serde_json::json;
use storage::{Benchmark, Storage};

use super::{
    cleaning,
    levels::levels,
    provenance,
    quality::{self, Quality},
    runs::{self, SeriesRows},
};
use crate::{
    Error,
    observe::{Snapshot, observe},
};

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

/// The scores of the stored data by the product's rule, of the whole portfolio or in one project, best first: what the agents
/// would store, computed here and now and stored nowhere. Means of the last four weeks are scored, and series that must not be
/// acted on count as missing. Empty without values.
///
/// # Errors
/// When the principal may not read values or the database cannot be reached.
pub async fn scores_now(
    storage: &Storage,
    principal: &Principal,
    project: Option<ProjectId>,
) -> Result<Vec<Score>, Error> {
    let snapshot = observe(storage, principal, |_| None).await?;
    let work = move || {
        let Some(until) = snapshot.view.data_until else {
            return Ok(Vec::new());
        };
        let cleaned = cleaning::apply(&snapshot.table, &snapshot.view.metrics, &never)?;
        let snapshot = snapshot.with(cleaned);
        let work = quality::work(&snapshot);
        let quality = Quality::new(quality::check_all(&snapshot, &work.series, &work, &never)?);
        let metrics = weighted(&snapshot);
        let mut scores = scores_at(
            &snapshot,
            &quality,
            &work.series,
            &metrics,
            (project, until),
            &never,
        )?;
        let value = |score: &Score| score.value.unwrap_or(-1.0);
        scores.sort_by(|a, b| {
            let by_value = value(b).total_cmp(&value(a));
            by_value.then_with(|| a.brand.cmp(&b.brand))
        });
        Ok::<_, ScoreError>(scores)
    };
    let made = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Analysis(error.to_string()))?;
    made.map_err(|error| Error::Analysis(error.to_string()))
}

/// The metrics that enter a score.
fn weighted(snapshot: &Snapshot) -> Vec<&MetricDefinition> {
    let metrics = snapshot.view.metrics.iter();
    metrics.filter(|m| m.weight > 0.0).collect()
}

/// Scores every brand by the product's rule. A series that must not be acted on counts as missing.
///
/// # Errors
/// When a weight is no number, or the caller asked to stop.
pub(crate) fn score_all(
    snapshot: &Snapshot,
    quality: &Quality,
    cancel: &dyn Cancel,
) -> Result<Scored, ScoreError> {
    let view = &snapshot.view;
    let Some(until) = view.data_until else {
        return Ok(Scored::default());
    };
    let series = runs::series(&snapshot.table);
    let metrics = weighted(snapshot);
    let at = |project, period| {
        scores_at(
            snapshot,
            quality,
            &series,
            &metrics,
            (project, period),
            cancel,
        )
    };
    let mut scored = Scored {
        benchmarks: Vec::new(),
        scores: at(None, until)?,
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
        scored.scores.extend(at(None, period)?);
    }
    for project in &view.projects {
        scored.scores.extend(at(Some(project.id), until)?);
    }
    Ok(scored)
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
            key: m.key.to_string(),
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
    (project, period): (Option<ProjectId>, NaiveDate),
    cancel: &dyn Cancel,
) -> Result<Vec<Score>, ScoreError> {
    let (scored, columns) = columns_at(snapshot, quality, series, metrics, project, period);
    if scored.is_empty() {
        return Ok(Vec::new());
    }
    let options = Options::default();
    let source = provenance(
        snapshot,
        options.method.name(),
        json!({ "weeks": LEVEL_WEEKS, "period": period, "project": project, "options": options }),
        0,
    );
    let digest = source.slice.digest.clone();
    let made = score(&columns, &options, cancel)?
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
        });
    Ok(made.collect())
}
