//! The multi-brand metrics agent's analysis: cross-brand effects, suspect values and scores.

use std::sync::Arc;

use domain::access::AgentKind;
use serde_json::json;

use super::{query, rules};
use crate::{
    Error,
    agent::{Conclusion, Results},
    analyst::{provenance, quality, scan, scores},
    context::Ctx,
    observe::Snapshot,
    parameters::Parameters,
    pricing::{Pricing, shares},
};

pub(crate) async fn conclude(
    ctx: Arc<Ctx>,
    snapshot: Arc<Snapshot>,
    parameters: Parameters,
) -> Result<Conclusion, Error> {
    let scanned = ctx.analyst.scan(&snapshot).await?;
    let checked = ctx.analyst.quality(&snapshot).await?;
    let (shared, trusted) = (Arc::clone(&snapshot), Arc::clone(&checked));
    let (suspects, scored) = ctx
        .analyst
        .run(
            crate::analyst::ANALYSIS,
            "quality and scores",
            move |task| {
                (
                    quality::suspects(&shared),
                    scores::score_all(&shared, &trusted, &|| task.is_cancelled()),
                )
            },
        )
        .await?;
    let scored = scored.map_err(|error| Error::Analysis(error.to_string()))?;
    let view = &snapshot.view;
    let effects = match (&scanned, view.data_until) {
        (Some(scanned), Some(origin)) => {
            let method = provenance(
                &snapshot,
                "synergy.joint_regression",
                json!({ "false_discovery_rate": parameters.get("false_discovery"), "most_inflation": scanned.params.pairs.most_inflation, "least_variation": scanned.params.pairs.least_variation }),
                scanned.seed,
            );
            scan::cross_effects(
                &scanned.weekly.panel,
                &scanned.findings,
                &shares(view),
                parameters.get("false_discovery"),
                origin,
                &method,
            )?
        }
        _ => Vec::new(),
    };
    let weeks = parameters.count("horizon_weeks");
    let pricing = scanned
        .as_ref()
        .map(|scanned| Pricing::of(scanned, &snapshot));
    let what_if = |changes: &[_]| {
        pricing
            .as_ref()
            .and_then(|pricing| pricing.estimate(view, changes, weeks))
    };
    let sight = rules::Sight {
        view,
        effects: &effects,
        suspects: &suspects,
        what_if: &what_if,
        parameters: &parameters,
    };
    let mut verdicts = rules::decide(&sight);
    if scanned.is_none() {
        let detail =
            "too few weeks of spend and sales for a regression of one brand on the others' media"
                .to_owned();
        verdicts.decline(
            AgentKind::Metrics,
            domain::recommendation::Kind::Guard,
            "pairs",
            "weak_evidence",
            detail,
        );
    }
    let set = suspects
        .iter()
        .map(|s| {
            Ok((
                format!("{}|{}|{}|{}", s.project, s.brand, s.metric, s.period),
                serde_json::to_value(s)?,
            ))
        })
        .collect::<Result<Vec<_>, serde_json::Error>>()
        .map_err(|error| Error::Analysis(error.to_string()))?;
    let series = checked
        .series()
        .iter()
        .map(|s| {
            Ok((
                format!("{}|{}|{}", s.project, s.brand, s.metric),
                serde_json::to_value(s)?,
            ))
        })
        .collect::<Result<Vec<_>, serde_json::Error>>()
        .map_err(|error| Error::Analysis(error.to_string()))?;
    Ok(Conclusion {
        results: Results {
            effects,
            scores: scored.scores,
            benchmarks: scored.benchmarks,
            findings: vec![(query::SUSPECTS, set), (query::QUALITY, series)],
            ..Results::default()
        },
        verdicts,
        plans: Vec::new(),
    })
}
