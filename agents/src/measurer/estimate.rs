//! Realised profit by our estimator: the fit made anew on data that include the window, applied to the spending that
//! really happened and to the spending of before.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{Days, NaiveDate};
use domain::{
    budget::{PlanLine, Rule},
    id::ChannelId,
    metric::MetricRole,
    outcome::OutcomeVerdict,
    recommendation::Recommendation,
    unit::Interval,
};
use rust_decimal::prelude::ToPrimitive;
use serde_json::json;

use super::verdict::{Measured, by_method};
use crate::{
    Error,
    analyst::{
        model::{Line, Model},
        provenance,
    },
    context::Ctx,
    observe::Snapshot,
};

/// Spending may be this far off the plan before the plan's effect cannot be told.
const OFF_PLAN: f64 = 0.10;
/// Change of spending below which a rule changed nothing.
const UNCHANGED: f64 = 0.02;
/// Weeks before the window that say what was spent before, where no plan says it.
const BEFORE_WEEKS: u64 = 26;

/// A plan against the spending that its lines name as current.
pub(super) async fn plan(
    ctx: &Ctx,
    snapshot: &Arc<Snapshot>,
    of: &Recommendation,
    lines: &[PlanLine],
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Measured, Error> {
    let paths = paths(snapshot);
    let float = |amount: rust_decimal::Decimal| amount.to_f64().unwrap_or(0.0);
    let (mut off, mut planned) = (0.0, 0.0);
    for line in lines {
        let spent = mean(&window(&paths, (line.brand, line.channel), from, to));
        off += (spent - float(line.weekly)).abs();
        planned += float(line.weekly);
    }
    let before: BTreeMap<Line, f64> = lines
        .iter()
        .map(|l| ((l.brand, l.channel), float(l.current)))
        .collect();
    let mut measured = realised(ctx, snapshot, of, &before, from, to).await?;
    if planned > 0.0 && off / planned > OFF_PLAN {
        measured.verdict = OutcomeVerdict::Inconclusive;
        measured.reason = format!(
            "what was spent is {:.0} % off the plan, line by line",
            100.0 * off / planned
        );
    }
    Ok(measured)
}

/// A rule against what its lines spent before.
pub(super) async fn rule(
    ctx: &Ctx,
    snapshot: &Arc<Snapshot>,
    of: &Recommendation,
    rule: &Rule,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Measured, Error> {
    let paths = paths(snapshot);
    let is_meant = |(brand, channel): &Line| match rule {
        Rule::Cap {
            brand: b,
            channel: c,
            ..
        }
        | Rule::Minimum {
            brand: b,
            channel: c,
            ..
        } => b.is_none_or(|b| b == *brand) && c.is_none_or(|c| c == *channel),
        Rule::Exclusion {
            brand: b,
            channel: c,
        } => (b, c) == (brand, channel),
        Rule::CannibalisationCap { driver, .. } | Rule::JointAction { driver, .. } => {
            driver == brand
        }
    };
    let earlier = from - Days::new(7 * BEFORE_WEEKS);
    let before: BTreeMap<Line, f64> = paths
        .keys()
        .filter(|line| is_meant(line))
        .map(|line| {
            (
                *line,
                mean(&window(&paths, *line, earlier, from - Days::new(7))),
            )
        })
        .collect();
    let (mut moved, mut total) = (0.0, 0.0);
    for (line, was) in &before {
        moved += mean(&window(&paths, *line, from, to)) - was;
        total += was;
    }
    let mut measured = realised(ctx, snapshot, of, &before, from, to).await?;
    if total <= 0.0 || moved.abs() < UNCHANGED * total {
        measured.verdict = OutcomeVerdict::Inconclusive;
        measured.reason =
            "the rule changed no spending in the window, so there is nothing to measure".to_owned();
    }
    Ok(measured)
}

async fn realised(
    ctx: &Ctx,
    snapshot: &Arc<Snapshot>,
    of: &Recommendation,
    before: &BTreeMap<Line, f64>,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Measured, Error> {
    let promised = of.effect.as_ref().map_or(0.0, |effect| effect.value);
    let cannot = |reason: &str| Measured {
        promised,
        realised: None,
        interval80: None,
        verdict: OutcomeVerdict::Inconclusive,
        reason: reason.to_owned(),
        provenance: by_method("outcome.response_fit"),
    };
    let Some(scanned) = ctx.analyst.scan(snapshot).await? else {
        return Ok(cannot("the data do not allow a response fit"));
    };
    let model = Model::of(&scanned);
    let weeks_until = |first: NaiveDate, last: NaiveDate| {
        usize::try_from((last - first).num_days().div_euclid(7)).unwrap_or(0)
    };
    let later = snapshot
        .view
        .data_until
        .map_or(0, |until| weeks_until(to, until));
    let Some(made) = model.realised_change(before, weeks_until(from, to) + 1, later) else {
        return Ok(cannot(
            "no line has a fitted curve that reaches back to the window",
        ));
    };
    let (value, interval) = (
        made.expected,
        Interval {
            low: made.interval80.0,
            high: made.interval80.1,
        },
    );
    let verdict = if interval.low > 0.0 {
        OutcomeVerdict::Verified
    } else if interval.high < 0.0 {
        OutcomeVerdict::Refuted
    } else {
        OutcomeVerdict::Inconclusive
    };
    let view = &snapshot.view;
    Ok(Measured {
        promised,
        realised: Some(value),
        interval80: Some(interval),
        verdict,
        reason: format!(
            "promised {}, realised {} (80 % interval {} to {}) against spending as before",
            view.money(promised),
            view.money(value),
            view.money(interval.low),
            view.money(interval.high)
        ),
        provenance: provenance(
            snapshot,
            "outcome.response_fit",
            json!({ "from": from, "to": to }),
            scanned.seed,
        ),
    })
}

/// Weekly spend of every own line over all projects.
fn paths(snapshot: &Snapshot) -> BTreeMap<Line, BTreeMap<NaiveDate, f64>> {
    let (view, table) = (&snapshot.view, &snapshot.table);
    let channels: BTreeMap<_, ChannelId> = view
        .metrics
        .iter()
        .filter(|m| m.role == MetricRole::Spend)
        .filter_map(|m| Some((m.id, m.channel?)))
        .collect();
    let mut out: BTreeMap<Line, BTreeMap<NaiveDate, f64>> = BTreeMap::new();
    for row in 0..table.len() {
        if let Some(channel) = channels.get(&table.metric[row])
            && view.is_own(table.brand[row])
        {
            *out.entry((table.brand[row], *channel))
                .or_default()
                .entry(table.period[row])
                .or_default() += table.value[row];
        }
    }
    out
}

/// Spend of a line in the weeks of a window; a week without a value counts as nothing spent.
fn window(
    paths: &BTreeMap<Line, BTreeMap<NaiveDate, f64>>,
    line: Line,
    from: NaiveDate,
    to: NaiveDate,
) -> Vec<f64> {
    let weeks = ((to - from).num_days() / 7 + 1).max(0).unsigned_abs();
    let of_line = paths.get(&line);
    (0..weeks)
        .map(|week| {
            of_line
                .and_then(|p| p.get(&(from + Days::new(7 * week))))
                .copied()
                .unwrap_or(0.0)
        })
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}
