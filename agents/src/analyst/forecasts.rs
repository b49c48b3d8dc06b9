//! Forecasts of the portfolio's outcome series, several at once.

use std::{collections::BTreeMap, sync::Arc};

use analytics::forecast::{self, Options};
use chrono::NaiveDate;
use domain::{
    brand::BrandRole,
    forecast::{Forecast, ForecastPoint, ModelScore},
    id::{BrandId, ForecastId},
    metric::{Granularity, MetricDefinition},
    provenance::{DataSlice, Provenance, SOFTWARE},
    unit::Interval,
};
use futures::future::try_join_all;
use runtime::compute::Compute;
use serde_json::json;

use super::{ANALYSIS, quality::Quality};
use crate::{Error, observe::Snapshot};

/// Fewest known values of a series that is worth forecasting.
const LEAST_VALUES: usize = 12;
/// Tasks that the series are split into: enough for every processor, few enough for the pool's queue.
const TASKS: usize = 8;

/// Values in a season of each granularity.
pub(crate) fn season(granularity: Granularity) -> usize {
    match granularity {
        // A week is the season that days show first; a year of days is more than most series have.
        Granularity::Day => 7,
        other => other.per_year(),
    }
}

/// One series, from its first to its last known period, absent values as NaN.
#[derive(Clone, Debug)]
struct Series {
    brand: BrandId,
    name: String,
    metric: MetricDefinition,
    first: NaiveDate,
    values: Vec<f64>,
}

/// Forecasts every own brand's outcome over all projects, except for those whose data must not be acted on.
pub(crate) async fn forecast_all(
    compute: &Compute,
    snapshot: Arc<Snapshot>,
    quality: &Quality,
    horizon: u32,
) -> Result<Arc<Vec<Forecast>>, Error> {
    let all = series(&snapshot, quality);
    let share = all.len().div_ceil(TASKS).max(1);
    let tasks = all.chunks(share).map(|part| {
        let (part, digest, compute) =
            (part.to_vec(), snapshot.view.digest.clone(), compute.clone());
        async move {
            let label = format!("forecasts of {} series", part.len());
            let work = move |task: runtime::compute::TaskHandle| -> Vec<Forecast> {
                part.iter()
                    .take_while(|_| !task.is_cancelled())
                    .filter_map(|series| forecast_one(series, horizon, &digest))
                    .collect()
            };
            compute.run(ANALYSIS, &label, work).await
        }
    });
    let made = try_join_all(tasks).await?;
    Ok(Arc::new(made.into_iter().flatten().collect()))
}

fn series(snapshot: &Snapshot, quality: &Quality) -> Vec<Series> {
    let view = &snapshot.view;
    let Some(outcome) = view.outcome() else {
        return Vec::new();
    };
    let by_brand = snapshot.series(outcome.id);
    let own = view.brands.iter().filter(|b| b.role == BrandRole::Primary);
    let trusted = own.filter(|brand| !quality.fails(brand.id, outcome.id, None));
    trusted
        .filter_map(|brand| {
            let known = by_brand.get(&brand.id)?;
            let (first, last) = (*known.keys().next()?, *known.keys().next_back()?);
            let mut values = Vec::new();
            let mut period = first;
            while period <= last {
                values.push(known.get(&period).copied().unwrap_or(f64::NAN));
                period = outcome.granularity.add(period, 1);
            }
            (known.len() >= LEAST_VALUES).then(|| Series {
                brand: brand.id,
                name: brand.name.clone(),
                metric: outcome.clone(),
                first,
                values,
            })
        })
        .collect()
}

fn forecast_one(series: &Series, horizon: u32, digest: &str) -> Option<Forecast> {
    let granularity = series.metric.granularity;
    let options = Options::new(horizon as usize, season(granularity));
    let made = forecast::forecast(&series.values, &options).ok()?;
    let steps = u32::try_from(series.values.len()).ok()?;
    let origin = granularity.add(series.first, steps - 1);
    let points = (1..).zip(&made.steps).map(|(ahead, step)| ForecastPoint {
        period: granularity.add(origin, ahead),
        mean: step.mean,
        interval80: Interval {
            low: step.low80,
            high: step.high80,
        },
        interval95: Interval {
            low: step.low95,
            high: step.high95,
        },
    });
    let tested = made.backtest.as_ref();
    let errors = tested.map_or(0, |b| {
        u32::try_from(b.folds * b.horizon).unwrap_or(u32::MAX)
    });
    let mut backtest: Vec<ModelScore> = tested
        .iter()
        .flat_map(|b| &b.scores)
        .map(|s| score(s, errors))
        .collect();
    backtest.sort_by(|a, b| a.mase.total_cmp(&b.mase));
    Some(Forecast {
        id: ForecastId::derive(&[
            &series.brand.to_string(),
            &series.metric.id.to_string(),
            digest,
            &horizon.to_string(),
        ]),
        brand: series.brand,
        project: None,
        metric: series.metric.id,
        origin,
        granularity,
        model: made.model.name().to_owned(),
        points: points.collect(),
        backtest,
        of_record: false,
        provenance: Provenance {
            slice: DataSlice {
                brands: vec![series.name.clone()],
                metrics: vec![series.metric.key.clone()],
                from: Some(series.first),
                to: Some(origin),
                rows: series.values.iter().filter(|v| v.is_finite()).count() as u64,
                digest: digest.to_owned(),
            },
            method: format!("forecast.{}", made.model.name()),
            parameters: json!({
                "horizon": horizon,
                "season": options.period,
                "backtest_origins": options.folds,
                "fitted": made.parameters.iter().cloned().collect::<BTreeMap<_, _>>(),
                "interval_stretch": made.width_factor,
                "notes": made.notes,
            }),
            seed: 0,
            software: SOFTWARE.to_owned(),
        },
    })
}

fn score(of: &forecast::ModelScore, errors: u32) -> ModelScore {
    ModelScore {
        model: of.model.name().to_owned(),
        mase: of.accuracy.mase,
        smape: of.accuracy.smape,
        coverage80: of.accuracy.coverage80,
        coverage95: of.accuracy.coverage95,
        errors,
    }
}
