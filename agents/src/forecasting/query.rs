//! What people read of the forecasting agent's results.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::{
    forecast::{Forecast, ForecastPoint},
    id::{BrandId, MetricId, ProjectId},
    metric::Granularity,
    provenance::Provenance,
};
use serde::{Deserialize, Serialize};
use storage::Scope;

use crate::Error;

/// Kind under which forecasts of sums are stored.
pub(crate) const TOTALS: &str = "forecast_totals";

/// Forecasts of a metric that add up: brand in project → brand → project → portfolio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastTotals {
    /// The metric.
    pub metric: MetricId,
    /// Last period that was known of everything in it.
    pub origin: NaiveDate,
    /// Period length.
    pub granularity: Granularity,
    /// The portfolio first, then projects, brands, and brands in projects. Parts make their totals to the last digit.
    pub totals: Vec<ForecastTotal>,
    /// Brands that are in none of the totals.
    pub left_out: Vec<LeftOut>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// The forecast of a sum, or of a brand in a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastTotal {
    /// Brand; `None` for all of them.
    pub brand: Option<BrandId>,
    /// Project; `None` for all of them.
    pub project: Option<ProjectId>,
    /// Brands in projects that it is the sum of.
    pub parts: u32,
    /// The future, in order.
    pub points: Vec<ForecastPoint>,
}

/// A brand that is in none of the totals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The brand.
    pub brand: BrandId,
    /// The project in which its values do not suffice.
    pub project: ProjectId,
    /// Last period with a value there.
    pub until: NaiveDate,
    /// Why.
    pub reason: LeftOutReason,
}

/// Why a brand is in none of the totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutReason {
    /// Its newest values are missing there.
    Late,
    /// There are too few values for a forecast with an error.
    Short,
}

/// Forecasts that add up, of every metric that has them.
pub(crate) async fn totals(scope: &Scope) -> Result<Vec<ForecastTotals>, Error> {
    Ok(scope
        .findings()
        .latest(TOTALS)
        .await?
        .map(|set| set.findings)
        .unwrap_or_default())
}

/// The forecast of record of each brand's metric over all projects, or else the newest one.
pub(crate) async fn current(
    scope: &Scope,
    metric: Option<MetricId>,
) -> Result<BTreeMap<BrandId, Forecast>, Error> {
    let is_total = |f: &Forecast| Some(f.metric) == metric && f.project.is_none();
    let mut out: BTreeMap<BrandId, Forecast> = scope
        .forecasts()
        .latest()
        .await?
        .into_iter()
        .filter(is_total)
        .map(|f| (f.brand, f))
        .collect();
    for record in scope
        .forecasts()
        .all_of_record()
        .await?
        .into_iter()
        .filter(is_total)
    {
        out.insert(record.brand, record);
    }
    Ok(out)
}
