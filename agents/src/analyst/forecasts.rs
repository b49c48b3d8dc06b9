//! Forecasts of the portfolio's outcome series, several at once, and made to add up.

mod totals;

use std::{collections::BTreeMap, sync::Arc};

use analytics::{
    cancel::Cancel,
    forecast::{self, Options},
};
use chrono::NaiveDate;
use domain::{
    brand::BrandRole,
    forecast::{Forecast, ForecastPoint, ModelScore},
    id::{BrandId, ForecastId},
    metric::MetricDefinition,
    provenance::{DataSlice, Provenance, SOFTWARE},
    unit::Interval,
};
use futures::future::try_join_all;
use runtime::compute::{Compute, TaskHandle};
use serde_json::json;

use super::{ANALYSIS, provenance, quality::Quality};
use crate::{Error, forecasting::query::ForecastTotals, observe::Snapshot};

/// Fewest known values of a series that is worth forecasting.
const LEAST_VALUES: usize = 12;
/// Tasks that the series are split into: enough for every processor, few enough for the pool's queue.
const TASKS: usize = 8;

/// One series, from its first to its last known period, absent values as NaN.
#[derive(Clone, Debug)]
struct Series {
    brand: BrandId,
    name: String,
    metric: MetricDefinition,
    first: NaiveDate,
    values: Vec<f64>,
}

/// What one snapshot says of the future.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Forecasts {
    /// Of every own brand's outcome over all projects.
    pub(crate) brands: Vec<Forecast>,
    /// Of the parts and sums, where the outcome adds up.
    pub(crate) totals: Option<ForecastTotals>,
}

/// Forecasts every own brand's outcome over all projects, except for those whose data must not be acted on, and makes brand in
/// project, brand, project and portfolio agree.
pub(crate) async fn forecast_all(
    compute: &Compute,
    snapshot: Arc<Snapshot>,
    quality: Arc<Quality>,
    horizon: u32,
) -> Result<Arc<Forecasts>, Error> {
    // Both look at every row.
    let whole = Arc::clone(&snapshot);
    let look = move |_: TaskHandle| {
        let all = series(&whole, &quality);
        let layout = totals::layout(&whole, &all);
        (all, layout)
    };
    let (all, layout) = compute.run(ANALYSIS, "series to forecast", look).await?;
    let digest = snapshot.view.digest.clone();
    let one =
        move |series: &Series, stop: &dyn Cancel| forecast_one(series, horizon, &digest, stop);
    let made = in_parts(compute, "forecasts", all.clone(), one).await?;
    let mut forecasts = Forecasts {
        brands: made.into_iter().flatten().collect(),
        totals: None,
    };
    let Some(layout) = layout.map(Arc::new) else {
        return Ok(Arc::new(forecasts));
    };
    let options = options(&all[0].metric, horizon);
    let known: BTreeMap<_, _> = all
        .into_iter()
        .filter_map(|series| {
            let of_brand = |f: &&Forecast| f.brand == series.brand;
            let points = forecasts.brands.iter().find(of_brand)?.points.clone();
            Some((series.brand, (series, points)))
        })
        .collect();
    let (shared, known) = (Arc::clone(&layout), Arc::new(known));
    let base =
        move |node: &totals::Node, stop: &dyn Cancel| shared.base(node, &options, &known, stop);
    let bases = in_parts(compute, "parts and sums", layout.nodes.clone(), base).await?;
    // A node without any known value: nothing can be added up.
    let Some(bases) = bases.into_iter().collect::<Option<Vec<_>>>() else {
        return Ok(Arc::new(forecasts));
    };
    let shared = Arc::clone(&layout);
    let work = move |task: TaskHandle| shared.agree(&bases, &|| task.is_cancelled());
    let agreed = compute
        .run(ANALYSIS, "forecasts that add up", work)
        .await?
        .map_err(|error| Error::Analysis(error.to_string()))?;
    totals::apply(&agreed, &mut forecasts.brands);
    let view = &snapshot.view;
    forecasts.totals = view.outcome().map(|metric| ForecastTotals {
        metric: metric.id,
        origin: layout.origin,
        granularity: metric.granularity,
        provenance: provenance(
            &snapshot,
            "forecast.reconcile",
            json!({ "method": agreed.method, "errors": agreed.errors, "horizon": horizon }),
            0,
        ),
        totals: agreed.totals,
        left_out: layout.left_out.clone(),
    });
    Ok(Arc::new(forecasts))
}

/// Applies `work` to every item, in a few tasks side by side; the results are in the order of the items.
async fn in_parts<T, R>(
    compute: &Compute,
    what: &str,
    items: Vec<T>,
    work: impl Fn(&T, &dyn Cancel) -> R + Clone + Send + 'static,
) -> Result<Vec<R>, Error>
where
    T: Clone + Send + 'static,
    R: Send + 'static,
{
    let share = items.len().div_ceil(TASKS).max(1);
    let tasks = items.chunks(share).map(|part| {
        let (part, work) = (part.to_vec(), work.clone());
        let label = format!("{what} of {} series", part.len());
        let task = move |task: TaskHandle| -> Result<Vec<R>, Error> {
            let each = part.iter().map(|item| {
                let made = work(item, &|| task.is_cancelled());
                if task.is_cancelled() {
                    return Err(Error::Analysis("it was cancelled".to_owned()));
                }
                Ok(made)
            });
            each.collect()
        };
        async move { compute.run(ANALYSIS, &label, task).await? }
    });
    let made = try_join_all(tasks).await?;
    Ok(made.into_iter().flatten().collect())
}

fn options(metric: &MetricDefinition, horizon: u32) -> Options {
    Options::new(horizon as usize, metric.granularity.season())
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

fn forecast_one(
    series: &Series,
    horizon: u32,
    digest: &str,
    stop: &dyn Cancel,
) -> Option<Forecast> {
    let granularity = series.metric.granularity;
    let options = options(&series.metric, horizon);
    let made = forecast::forecast_cancellable(&series.values, &options, None, stop).ok()?;
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
        .filter_map(|s| score(s, errors))
        .collect();
    backtest.sort_by(|a, b| a.mase.total_cmp(&b.mase));
    Some(Forecast {
        id: ForecastId::derive(&[
            &series.brand.to_string(),
            &series.metric.id.to_string(),
            digest,
            &horizon.to_string(),
            "reconciled",
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

/// `None` where no training part moved: there is no scale to judge by.
fn score(of: &forecast::ModelScore, errors: u32) -> Option<ModelScore> {
    Some(ModelScore {
        model: of.model.name().to_owned(),
        mase: of.accuracy.mase?,
        smape: of.accuracy.smape,
        coverage80: of.accuracy.coverage80,
        coverage95: of.accuracy.coverage95,
        errors,
    })
}
