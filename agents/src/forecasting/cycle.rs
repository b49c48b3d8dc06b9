//! The forecasting agent's analysis: forecasts of every series beside the ones of record.

use std::sync::Arc;

use domain::access::{AgentKind, Permission};

use super::{
    query,
    rules::{self, Challenge},
};
use crate::{
    Error,
    agent::{Conclusion, Results},
    context::Ctx,
    observe::Snapshot,
    parameters::Parameters,
};

pub(crate) async fn conclude(
    ctx: Arc<Ctx>,
    snapshot: Arc<Snapshot>,
    parameters: Parameters,
) -> Result<Conclusion, Error> {
    let made = ctx
        .analyst
        .forecasts(&snapshot, parameters.count("horizon_weeks"))
        .await?;
    let grant = ctx
        .agent(AgentKind::Forecasting)
        .grant(Permission::ForecastRead)?;
    let records = ctx
        .storage
        .scope(&grant)
        .forecasts()
        .all_of_record()
        .await?;
    let challenges: Vec<Challenge<'_>> = made
        .brands
        .iter()
        .map(|challenger| {
            let is_same = |r: &&domain::forecast::Forecast| {
                (r.brand, r.metric, r.project)
                    == (challenger.brand, challenger.metric, challenger.project)
            };
            Challenge {
                challenger,
                record: records.iter().find(is_same),
            }
        })
        .collect();
    let view = &snapshot.view;
    let mut verdicts = rules::decide(view, &challenges, &parameters);
    let quality = ctx.analyst.quality(&snapshot).await?;
    for (brand, metric) in view.own_outcomes() {
        if let Some(reason) = quality.refusal(view, brand, metric) {
            rules::refuse(view, brand, metric, reason, &mut verdicts);
        }
    }
    let totals = made
        .totals
        .iter()
        .map(|totals| Ok((totals.metric.to_string(), serde_json::to_value(totals)?)))
        .collect::<Result<Vec<_>, serde_json::Error>>()
        .map_err(|error| Error::Analysis(error.to_string()))?;
    Ok(Conclusion {
        results: Results {
            forecasts: made.brands.clone(),
            findings: vec![(query::TOTALS, totals)],
            ..Results::default()
        },
        verdicts,
        plans: Vec::new(),
    })
}
