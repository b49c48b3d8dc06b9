//! The optimisation agent's analysis: response curves, and the best plan over the portfolio under the rules in force.

use std::{collections::BTreeMap, sync::Arc};

use domain::{budget::Rule, id::FitId, response::ResponseFit, synergy::Verdict};
use serde_json::json;

use super::{allocation, rules};
use crate::{
    Error,
    agent::{Conclusion, Results},
    analyst::{OPTIMISATION, Scanned, model::Model, provenance, scan},
    context::Ctx,
    money::cents,
    observe::Snapshot,
    parameters::Parameters,
    pricing::{Pricing, shares},
    view::View,
};

pub(crate) async fn conclude(
    ctx: Arc<Ctx>,
    snapshot: Arc<Snapshot>,
    parameters: Parameters,
) -> Result<Conclusion, Error> {
    let view = &snapshot.view;
    let weeks = parameters.count("horizon_weeks");
    let Some(scanned) = ctx.analyst.scan(&snapshot).await? else {
        let what_if = |_: &[_]| None;
        let sight = rules::Sight {
            view,
            plan: None,
            curves: &[],
            what_if: &what_if,
            parameters: &parameters,
            weeks_of_data: snapshot.weeks,
        };
        return Ok(Conclusion {
            verdicts: rules::decide(&sight),
            ..Conclusion::default()
        });
    };
    let model = Arc::new(Model::of(&scanned));
    let fit = fit(&scanned, &snapshot, &model)?;
    let request = allocation::Request {
        org: ctx.org,
        currency: view.organisation.currency.clone(),
        start: view.next_monday(),
        weeks,
        total: None,
        current: view.current.clone(),
        rules: obeyed(view, &scanned, &snapshot)?,
        kept: BTreeMap::new(),
        max_change: parameters.get("max_change"),
        names: names(view),
        provenance: fit.provenance.clone(),
        at: ctx.storage.now().await?,
    };
    let for_plan = Arc::clone(&model);
    let best = ctx
        .analyst
        .run(OPTIMISATION, "plan over the portfolio", move |task| {
            allocation::best(&for_plan, &request, &|| task.is_cancelled())
        })
        .await?;
    let mut conclusion = Conclusion::default();
    let best = match best {
        Ok(best) => best,
        Err(error) => {
            let kind = domain::recommendation::Kind::BudgetPlan;
            conclusion.verdicts.decline(
                domain::access::AgentKind::Optimisation,
                kind,
                "portfolio",
                "infeasible",
                error.to_string(),
            );
            None
        }
    };
    let pricing = Pricing::of(&scanned, &snapshot);
    let what_if = |changes: &[_]| pricing.estimate(view, changes, weeks);
    let sight = rules::Sight {
        view,
        plan: best.as_ref(),
        curves: &fit.curves,
        what_if: &what_if,
        parameters: &parameters,
        weeks_of_data: snapshot.weeks,
    };
    conclusion.verdicts.extend(rules::decide(&sight));
    conclusion.plans.extend(best);
    conclusion.results = Results {
        fit: Some(fit),
        ..Results::default()
    };
    Ok(conclusion)
}

fn fit(scanned: &Scanned, snapshot: &Snapshot, model: &Model) -> Result<ResponseFit, Error> {
    let view = &snapshot.view;
    let source = provenance(
        snapshot,
        "response.joint_regression",
        json!({ "draws": scanned.params.response.draws, "form_inflation": scanned.params.response.form_inflation }),
        scanned.seed,
    );
    Ok(ResponseFit {
        id: FitId::derive(&[
            &view.organisation.id.to_string(),
            &view.digest,
            &scanned.seed.to_string(),
        ]),
        origin: scanned.findings.period.1,
        curves: scan::curves(&scanned.findings, &shares(view), &view.current)?,
        model: serde_json::to_value(model).map_err(|error| Error::Analysis(error.to_string()))?,
        provenance: source,
    })
}

/// The rules in force, and for every pair that the scan found to cannibalise: no more media for the driver than now.
fn obeyed(view: &View, scanned: &Scanned, snapshot: &Snapshot) -> Result<Vec<Rule>, Error> {
    let mut rules: Vec<Rule> = view.constraints.iter().map(|c| c.rule.clone()).collect();
    let source = provenance(
        snapshot,
        "synergy.joint_regression",
        json!({}),
        scanned.seed,
    );
    let effects = scan::cross_effects(
        &scanned.weekly.panel,
        &scanned.findings,
        &shares(view),
        scanned.params.false_discovery_rate,
        scanned.findings.period.1,
        &source,
    )?;
    for effect in effects
        .into_iter()
        .filter(|effect| effect.verdict == Verdict::Cannibalisation)
    {
        rules.push(Rule::CannibalisationCap {
            driver: effect.driver,
            affected: effect.affected,
            weekly: cents(view.brand_media(effect.driver)),
        });
    }
    Ok(rules)
}

fn names(view: &View) -> BTreeMap<String, String> {
    let brands = view
        .brands
        .iter()
        .map(|b| (b.id.to_string(), b.name.clone()));
    brands
        .chain(
            view.channels
                .iter()
                .map(|c| (c.id.to_string(), c.name.clone())),
        )
        .collect()
}
