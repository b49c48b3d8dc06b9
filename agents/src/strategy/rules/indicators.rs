//! Targets on metrics that run ahead of sales.

use std::collections::BTreeSet;

use domain::{
    competition::{LeadingIndicator, Reference},
    id::{BrandId, MetricId},
    recommendation::{Action, Kind},
    unit::{Effect, Interval},
};

use super::{AGENT, EXPIRES_AFTER, REACH, Sight, has_target, metric_subject};
use crate::{
    metrics::rules::unit_name,
    proposal::{Proposal, Verdicts},
    view::{View, eighty_of, evidence},
};

/// Rise of a leading indicator that a target asks for when no rival is ahead, as a share.
const STRETCH: f64 = 0.05;

/// Targets on metrics that were found to run ahead of sales; returns what they are about.
pub(super) fn targets(sight: &Sight<'_>, verdicts: &mut Verdicts) -> BTreeSet<(BrandId, MetricId)> {
    let view = sight.view;
    let limit = sight.parameters.get("false_discovery");
    let weeks = sight.parameters.count("target_weeks");
    let mut led = BTreeSet::new();
    for found in sight.indicators {
        let subject = metric_subject(view, found.brand, found.indicator);
        if !view.is_own(found.brand) || led.contains(&(found.brand, found.indicator)) {
            continue;
        }
        if found.q_value > limit {
            let detail = format!(
                "as a leading indicator its q-value is {:.2}, above {limit:.2}",
                found.q_value
            );
            verdicts.decline(AGENT, Kind::MetricTarget, subject, "weak_evidence", detail);
            continue;
        }
        if has_target(view, found.brand, found.indicator) {
            verdicts.decline(
                AGENT,
                Kind::MetricTarget,
                subject,
                "duplicate",
                "a target is in force".to_owned(),
            );
            continue;
        }
        let Some(now) =
            (sight.level)(found.brand, found.indicator).filter(|v| v.is_finite() && *v != 0.0)
        else {
            verdicts.decline(
                AGENT,
                Kind::MetricTarget,
                subject,
                "stale_data",
                "it has no recent value".to_owned(),
            );
            continue;
        };
        led.insert((found.brand, found.indicator));
        let change = change_of(sight, found, now);
        let effect =
            (sight.margin)(found.brand).map(|margin| effect_of(view, found, change, margin, weeks));
        verdicts
            .proposals
            .push(target(sight, found, now, change, effect, weeks));
    }
    led
}

/// How far the target moves the indicator: towards the leader, at most as far as [`REACH`], in the direction that lifts sales.
fn change_of(sight: &Sight<'_>, found: &LeadingIndicator, now: f64) -> f64 {
    let behind = sight
        .gaps
        .iter()
        .filter(|g| {
            g.brand == found.brand
                && g.metric == found.indicator
                && g.reference == Reference::Leader
        })
        .map(|g| g.gap.max(0.0))
        .next()
        .unwrap_or(0.0);
    let size = behind.clamp(STRETCH * now.abs(), REACH * now.abs());
    if found.estimate >= 0.0 { size } else { -size }
}

/// Sales follow the indicator after its lag, so the weeks before that earn nothing; the way there is counted as half.
fn effect_of(
    view: &View,
    found: &LeadingIndicator,
    change: f64,
    margin: f64,
    weeks: u32,
) -> Effect {
    let earning = f64::from(weeks.saturating_sub(found.lag)) / 2.0;
    let scale = change * margin * earning;
    let ends = eighty_of(found.interval95);
    let (a, b) = (ends.low * scale, ends.high * scale);
    Effect {
        value: found.estimate * scale,
        interval80: Interval {
            low: a.min(b),
            high: a.max(b),
        },
        base: None,
        unit: view.organisation.currency.clone(),
        horizon_weeks: weeks,
    }
}

fn target(
    sight: &Sight<'_>,
    found: &LeadingIndicator,
    now: f64,
    change: f64,
    effect: Option<Effect>,
    weeks: u32,
) -> Proposal {
    let view = sight.view;
    let (brand, metric) = (
        view.brand_name(found.brand),
        view.metric_name(found.indicator),
    );
    let outcome = view.metric_name(found.outcome);
    let to = now + change;
    let due = view.in_weeks(weeks);
    let direction = if change >= 0.0 { "Raise" } else { "Lower" };
    let promised = effect.as_ref().map_or(String::new(), |e| {
        format!(" Reaching it evenly is expected to bring {} of margin within {weeks} weeks, if the link holds when we move the metric ourselves.", view.money(e.value))
    });
    let unit = view
        .metric(found.indicator)
        .map_or("", |m| unit_name(m.unit));
    Proposal {
        agent: AGENT,
        subject: metric_subject(view, found.brand, found.indicator),
        title: format!(
            "{direction} {metric} of {brand}: it runs {} weeks ahead of sales",
            found.lag
        ),
        summary: format!(
            "{metric} of {brand} moves {} weeks before {outcome} does. A target of {to:.2} by {due} (now {now:.2}) puts it under watch.{promised}",
            found.lag
        ),
        brands: vec![found.brand],
        objective: "sales of the coming quarter".to_owned(),
        action: Action::MetricTarget {
            brand: found.brand,
            metric: found.indicator,
            from: now,
            to,
            due,
        },
        confidence: effect.as_ref().map(|_| probability_positive(found, change)),
        effect,
        evidence: vec![
            evidence(
                format!("{outcome} per unit of {metric}, {} weeks later", found.lag),
                found.estimate,
                "per unit",
                Some(found.interval95),
                "after season, trend, price and media",
                sight.provenance,
            ),
            evidence(
                "false-discovery rate of the finding",
                found.q_value,
                "q",
                None,
                "over every brand, metric and lag of the scan",
                sight.provenance,
            ),
            evidence(
                format!("{metric} now"),
                now,
                unit,
                None,
                "mean of the last weeks",
                sight.provenance,
            ),
        ],
        expires_on: view.in_weeks(EXPIRES_AFTER),
    }
}

/// P(estimate has the sign it shows), from its 95 % interval taken as normal.
fn probability_positive(found: &LeadingIndicator, change: f64) -> f64 {
    let deviation = (found.interval95.high - found.interval95.low) / (2.0 * 1.96);
    if deviation <= 0.0 {
        return 0.5;
    }
    let z = found.estimate * change.signum() / deviation;
    let tail = analytics::inference::two_sided_p(z, f64::from(u16::MAX)) / 2.0;
    if z > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::rules::tests_support::{case, indicator};

    #[test]
    fn a_leading_indicator_becomes_a_target_whose_effect_counts_only_the_weeks_after_its_lag() {
        let mut case = case();
        case.indicators.push(indicator(0.01));
        let verdicts = case.decide();
        let effect = verdicts.proposals[0]
            .effect
            .as_ref()
            .expect("the margin is known");
        // 10 units per point × 5 points (5 % of 100) × margin 2 × (12 − 4) weeks / 2.
        assert!(
            (effect.value - 10.0 * 5.0 * 2.0 * 4.0).abs() < 1e-9,
            "{effect:?}"
        );
        assert!(effect.interval80.excludes_zero() && effect.interval80.contains(effect.value));
        assert!(verdicts.proposals[0].confidence.is_some_and(|c| c > 0.99));
    }

    #[test]
    fn a_weak_indicator_is_recorded_only() {
        let mut case = case();
        case.indicators.push(indicator(0.3));
        let verdicts = case.decide();
        assert!(verdicts.proposals.is_empty());
        assert!(
            verdicts
                .considered
                .iter()
                .any(|c| c.reason == "weak_evidence" && c.kind == Kind::MetricTarget)
        );
    }
}
