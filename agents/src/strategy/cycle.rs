//! The strategy agent's analysis: gaps, rivals, leading indicators.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::json;

use super::{query, rules};
use crate::{
    Error,
    agent::{Conclusion, Results},
    analyst::{
        ANALYSIS,
        gaps::{self, LEVEL_WEEKS},
        levels::levels,
        provenance, runs, scan,
    },
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
    let quality = ctx.analyst.quality(&snapshot).await?;
    let (shared, trusted) = (Arc::clone(&snapshot), Arc::clone(&quality));
    let gaps = ctx
        .analyst
        .run(ANALYSIS, "gaps to rivals", move |task| {
            gaps::gaps(&shared, &trusted, &|| task.is_cancelled())
        })
        .await?
        .map_err(|stopped| Error::Analysis(stopped.to_string()))?;
    let view = &snapshot.view;
    let source = provenance(
        &snapshot,
        "finder.scan",
        json!({ "level_weeks": LEVEL_WEEKS }),
        ctx.analyst.seed(),
    );
    let (mut rivals, mut indicators, mut curves) = (Vec::new(), Vec::new(), Vec::new());
    let mut margins = BTreeMap::new();
    if let Some(scanned) = &scanned {
        let (panel, findings) = (&scanned.weekly.panel, &scanned.findings);
        rivals = scan::rival_changes(panel, findings)?;
        if let Some(outcome) = view.outcome() {
            indicators = scan::indicators(panel, findings, outcome.id, &scanned.weekly.margins)?;
        }
        curves = scan::curves(findings, &shares(view), &view.current)?;
        margins.clone_from(&scanned.weekly.margins);
    }
    let levels = match view.data_until {
        Some(until) => levels(
            &snapshot,
            &quality,
            &runs::series(&snapshot.table),
            None,
            until,
            LEVEL_WEEKS,
        ),
        None => BTreeMap::new(),
    };
    let weeks = parameters.count("target_weeks");
    let pricing = scanned
        .as_ref()
        .map(|scanned| Pricing::of(scanned, &snapshot));
    let what_if = |changes: &[_]| {
        pricing
            .as_ref()
            .and_then(|pricing| pricing.estimate(view, changes, weeks))
    };
    let verdicts = rules::decide(&rules::Sight {
        view,
        gaps: &gaps,
        rivals: &rivals,
        indicators: &indicators,
        curves: &curves,
        margin: &|brand| margins.get(&brand).copied(),
        level: &|brand, metric| levels.get(&(brand, metric)).copied(),
        what_if: &what_if,
        parameters: &parameters,
        provenance: &source,
    });
    let findings = vec![
        (
            query::GAPS,
            keyed(&gaps, |g| {
                format!("{}|{}|{:?}", g.brand, g.metric, g.reference)
            })?,
        ),
        (
            query::RIVALS,
            keyed(&rivals, |r| format!("{}|{}|{}", r.rival, r.metric, r.start))?,
        ),
        (
            query::INDICATORS,
            keyed(&indicators, |i| {
                format!("{}|{}|{}", i.brand, i.indicator, i.lag)
            })?,
        ),
    ];
    Ok(Conclusion {
        results: Results {
            findings,
            ..Results::default()
        },
        verdicts,
        plans: Vec::new(),
    })
}

fn keyed<T: Serialize>(
    found: &[T],
    key: impl Fn(&T) -> String,
) -> Result<Vec<(String, serde_json::Value)>, Error> {
    found
        .iter()
        .map(|one| {
            Ok((
                key(one),
                serde_json::to_value(one).map_err(|error| Error::Analysis(error.to_string()))?,
            ))
        })
        .collect()
}
