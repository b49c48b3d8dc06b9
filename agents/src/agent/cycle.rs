//! One cycle: observe → analyse → decide → propose, each a step in the run's journal.
//!
//! A cycle that was cut off is done again from the start, which the cache of the analyses makes cheap; its finished steps keep
//! what they recorded. Results are stored under ids made from the data's digest and proposals under their dedupe keys,
//! so doing a step again changes nothing. The step `propose` commits together with what it proposes.

use std::{sync::Arc, time::Instant};

use domain::{
    access::{AgentKind, Permission},
    id::RunId,
    run::{Run, RunState},
};
use serde::Serialize;
use serde_json::{Value, json};
use storage::StepStart;

use super::{Conclusion, Desk, propose};
use crate::{Error, context::Ctx, parameters};

/// What a cycle did, for the observable state of its runner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) run: RunId,
    pub(crate) proposed: usize,
    pub(crate) unchanged: usize,
    pub(crate) considered: usize,
    pub(crate) elapsed_ms: u128,
}

/// Carries out a run. One that has ended already is left alone.
pub(crate) async fn run(desk: &Desk, ctx: Arc<Ctx>, id: RunId) -> Result<Report, Error> {
    let began = Instant::now();
    let principal = ctx.agent(desk.kind);
    let grant = principal.grant(Permission::RunWrite)?;
    let run: Run = ctx
        .storage
        .unit(&grant, move |u| {
            Box::pin(async move {
                let run = u.runs().start(id).await?;
                u.runs().begin_step(id, "observe").await?;
                Ok(run)
            })
        })
        .await?;
    progress(&ctx, desk, id, 0.02, "looking at the data");
    let snapshot = ctx.analyst.snapshot(&principal).await?;
    let seen = json!({
        "digest": snapshot.view.digest,
        "as_of": snapshot.view.as_of,
        "data_until": snapshot.view.data_until,
        "values": snapshot.table.len(),
    });
    let digest = snapshot.view.digest.clone();
    ctx.storage
        .unit(&grant, move |u| {
            let digest = digest.clone();
            Box::pin(async move { u.runs().set_snapshot(id, &digest).await })
        })
        .await?;
    journal(&ctx, desk, id, "observe", seen).await?;

    begin(&ctx, desk, id, "analyse").await?;
    progress(&ctx, desk, id, 0.1, "analysing");
    let stored = run
        .parameters
        .as_object()
        .filter(|fields| !fields.is_empty())
        .map(|_| run.parameters.clone());
    let parameters = match stored {
        Some(own) => parameters::Parameters::stored(desk.kind, Some(&own)),
        None => parameters::of(&ctx.storage.scope(&grant), desk.kind).await?,
    };
    let quality = ctx.analyst.quality(&snapshot).await?;
    let Conclusion {
        results,
        mut verdicts,
        plans,
    } = (desk.conclude)(Arc::clone(&ctx), Arc::clone(&snapshot), parameters).await?;
    progress(&ctx, desk, id, 0.8, "storing results");
    quality.obey(&snapshot, desk.kind, &mut verdicts);
    let mut kept = propose::keep(&ctx, &principal, id, &snapshot.view, results).await?;
    kept["quality"] = quality.journal(&snapshot.view);
    journal(&ctx, desk, id, "analyse", kept).await?;

    begin(&ctx, desk, id, "decide").await?;
    let decided = json!({
        "proposals": verdicts.proposals.iter().map(|p| json!({"kind": p.kind(), "subject": p.subject})).collect::<Vec<_>>(),
        "considered": verdicts.considered.len(),
    });
    journal(&ctx, desk, id, "decide", decided).await?;

    progress(&ctx, desk, id, 0.9, "proposing");
    let outcome = propose::propose(&ctx, desk.kind, id, &snapshot, verdicts, plans).await?;
    progress(&ctx, desk, id, 1.0, "done");
    Ok(Report {
        run: id,
        proposed: outcome.drafted,
        unchanged: outcome.unchanged,
        considered: outcome.considered,
        elapsed_ms: began.elapsed().as_millis(),
    })
}

async fn begin(ctx: &Ctx, desk: &Desk, id: RunId, key: &'static str) -> Result<(), Error> {
    let grant = ctx.agent(desk.kind).grant(Permission::RunWrite)?;
    ctx.storage
        .unit(&grant, move |u| {
            Box::pin(async move { u.runs().begin_step(id, key).await.map(|_| ()) })
        })
        .await?;
    Ok(())
}

/// Ends a step; one that an earlier life ended keeps what it recorded then.
async fn journal(
    ctx: &Ctx,
    desk: &Desk,
    id: RunId,
    key: &'static str,
    output: Value,
) -> Result<(), Error> {
    let grant = ctx.agent(desk.kind).grant(Permission::RunWrite)?;
    ctx.storage
        .unit(&grant, move |u| {
            let output = output.clone();
            Box::pin(async move {
                match u.runs().begin_step(id, key).await? {
                    StepStart::Done(_) => Ok(()),
                    StepStart::Do(_) => u.runs().finish_step(id, key, &output).await,
                }
            })
        })
        .await?;
    Ok(())
}

fn progress(ctx: &Ctx, desk: &Desk, id: RunId, share: f64, note: &str) {
    ctx.signal(
        "progress",
        json!({ "agent": desk.kind.name(), "run": id, "progress": share, "note": note }),
    );
}

/// Ends a run as failed, unless it has ended otherwise.
pub(crate) async fn fail(ctx: &Ctx, kind: AgentKind, id: RunId, error: &str) -> Result<(), Error> {
    let grant = ctx.agent(kind).grant(Permission::RunWrite)?;
    let error = error.to_owned();
    let ended = ctx
        .storage
        .unit(&grant, move |u| {
            let error = error.clone();
            Box::pin(async move { u.runs().end(id, RunState::Failed, Some(&error)).await })
        })
        .await;
    match ended {
        Err(storage::Error::Domain(error)) if error.code == "run.ended" => Ok(()),
        other => Ok(other.map(|_| ())?),
    }
}
