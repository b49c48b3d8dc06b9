//! What people read of the forecasting agent's results.

use std::collections::BTreeMap;

use domain::{
    forecast::Forecast,
    id::{BrandId, MetricId},
};
use storage::Scope;

use crate::Error;

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
