//! What the strategy agent concludes: targets on metrics that lead sales or lag behind rivals, and initiatives of several steps.

use std::collections::BTreeSet;

use domain::{
    access::AgentKind,
    competition::{Gap, LeadingIndicator, Reference, RivalChange},
    id::{BrandId, MetricId},
    metric::{Direction, MetricRole},
    provenance::Provenance,
    recommendation::{Action, InitiativeStep, Kind},
    response::ResponseCurve,
    unit::{Effect, Interval},
};

use crate::{
    metrics::rules::unit_name,
    parameters::Parameters,
    proposal::{Proposal, Verdicts},
    view::{View, WhatIf, eighty_of, evidence},
};

const AGENT: AgentKind = AgentKind::Strategy;
/// Weeks after which a target or initiative needs another look.
const EXPIRES_AFTER: u32 = 8;
/// Rise of a leading indicator that a target asks for when no rival is ahead, as a share.
const STRETCH: f64 = 0.05;
/// Largest move of a metric that a target asks for, as a share of today's value: further away nothing was observed.
const REACH: f64 = 0.10;
/// A rival's change that began longer ago than this is history, not something to answer.
const ANSWER_WITHIN_WEEKS: i64 = 26;

/// Everything the rules look at.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    /// The portfolio.
    pub view: &'a View,
    /// Gaps to rivals.
    pub gaps: &'a [Gap],
    /// Rivals whose behaviour changed.
    pub rivals: &'a [RivalChange],
    /// Metrics that run ahead of sales.
    pub indicators: &'a [LeadingIndicator],
    /// Fitted response curves.
    pub curves: &'a [ResponseCurve],
    /// Margin of one unit of the outcome metric by brand, in currency; brands without a stated margin are absent.
    pub margin: &'a dyn Fn(BrandId) -> Option<f64>,
    /// Mean of the last weeks of a brand's metric.
    pub level: &'a dyn Fn(BrandId, MetricId) -> Option<f64>,
    /// What a change of spending does.
    pub what_if: &'a WhatIf<'a>,
    /// Thresholds.
    pub parameters: &'a Parameters,
    /// Where gaps, rivals' changes and indicators come from.
    pub provenance: &'a Provenance,
}

/// Decides.
pub(crate) fn decide(sight: &Sight<'_>) -> Verdicts {
    let mut verdicts = Verdicts::default();
    let led = indicator_targets(sight, &mut verdicts);
    gap_targets(sight, &led, &mut verdicts);
    reallocation(sight, &mut verdicts);
    answers(sight, &mut verdicts);
    verdicts
}

fn has_target(view: &View, brand: BrandId, metric: MetricId) -> bool {
    view.targets
        .iter()
        .any(|t| t.active && t.brand == brand && t.metric == metric)
}

fn metric_subject(view: &View, brand: BrandId, metric: MetricId) -> String {
    let key = view
        .metric(metric)
        .map_or_else(|| metric.to_string(), |m| m.key.clone());
    format!("metric:{}/{key}", view.brand_name(brand))
}

/// Targets on metrics that were found to run ahead of sales; returns what they are about.
fn indicator_targets(sight: &Sight<'_>, verdicts: &mut Verdicts) -> BTreeSet<(BrandId, MetricId)> {
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
        let change = indicator_change(sight, found, now);
        let effect = (sight.margin)(found.brand)
            .map(|margin| indicator_effect(view, found, change, margin, weeks));
        verdicts
            .proposals
            .push(indicator_target(sight, found, now, change, effect, weeks));
    }
    led
}

/// How far the target moves the indicator: towards the leader, at most as far as [`REACH`], in the direction that lifts sales.
fn indicator_change(sight: &Sight<'_>, found: &LeadingIndicator, now: f64) -> f64 {
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
fn indicator_effect(
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

fn indicator_target(
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

/// Targets that close a gap to the benchmark. Their worth in sales is not known, so none is claimed.
fn gap_targets(sight: &Sight<'_>, led: &BTreeSet<(BrandId, MetricId)>, verdicts: &mut Verdicts) {
    let view = sight.view;
    let (least, most) = (
        sight.parameters.get("min_gap"),
        sight.parameters.count("max_targets") as usize,
    );
    let weeks = sight.parameters.count("target_weeks");
    let mut wide: Vec<(&Gap, f64)> = Vec::new();
    for gap in sight.gaps {
        let Some(metric) = view.metric(gap.metric) else {
            continue;
        };
        let is_ours = view.is_own(gap.brand)
            && metric.role == MetricRole::Health
            && gap.reference == Reference::Benchmark;
        let Some(relative) = gap.relative.filter(|_| is_ours && gap.gap > 0.0) else {
            continue;
        };
        if relative < least || led.contains(&(gap.brand, gap.metric)) {
            continue;
        }
        wide.push((gap, relative * metric.weight.max(0.0)));
    }
    wide.sort_by(|a, b| {
        b.1.total_cmp(&a.1)
            .then_with(|| (a.0.brand, a.0.metric).cmp(&(b.0.brand, b.0.metric)))
    });
    let (mut proposed, mut brands) = (0, BTreeSet::new());
    for (gap, worth) in wide {
        let subject = metric_subject(view, gap.brand, gap.metric);
        if has_target(view, gap.brand, gap.metric) {
            verdicts.decline(
                AGENT,
                Kind::MetricTarget,
                subject,
                "duplicate",
                "a target is in force".to_owned(),
            );
        } else if proposed >= most || brands.contains(&gap.brand) {
            let detail = format!("a gap with more weight in the score ({worth:.2}) comes first");
            verdicts.decline(
                AGENT,
                Kind::MetricTarget,
                subject,
                "below_threshold",
                detail,
            );
        } else {
            proposed += 1;
            brands.insert(gap.brand);
            verdicts
                .proposals
                .push(gap_target(sight, gap, subject, weeks));
        }
    }
}

fn gap_target(sight: &Sight<'_>, gap: &Gap, subject: String, weeks: u32) -> Proposal {
    let view = sight.view;
    let definition = view.metric(gap.metric);
    let sign = if definition.is_some_and(|m| m.direction == Direction::Indirect) {
        -1.0
    } else {
        1.0
    };
    // Half of the gap, and no further than what was observed to be reachable.
    let step = (gap.gap / 2.0).min(2.0 * REACH * gap.value.abs());
    let to = gap.value + sign * step;
    let (brand, metric) = (view.brand_name(gap.brand), view.metric_name(gap.metric));
    let unit = definition.map_or("", |m| unit_name(m.unit));
    let weight = definition.map_or(0.0, |m| m.weight);
    let mut numbers = vec![
        evidence(
            format!("{metric} of {brand}"),
            gap.value,
            unit,
            None,
            "mean of the last weeks",
            sight.provenance,
        ),
        evidence(
            "benchmark",
            gap.reference_value,
            unit,
            None,
            "75th percentile of the brands (25th where lower is better)",
            sight.provenance,
        ),
        evidence(
            "rank",
            f64::from(gap.rank),
            "rank",
            None,
            format!("of {} brands", gap.peers),
            sight.provenance,
        ),
        evidence(
            "weight in the score",
            weight,
            "points",
            None,
            "of 100",
            sight.provenance,
        ),
    ];
    if let Some(without) = gap.without_leader {
        numbers.push(evidence(
            "gap without the leading brand",
            without,
            unit,
            None,
            "how much one brand decides",
            sight.provenance,
        ));
    }
    Proposal {
        agent: AGENT,
        subject,
        title: format!("Close half the gap of {brand} in {metric}"),
        summary: format!(
            "{brand} ranks {} of {} in {metric}: {:.2} against a benchmark of {:.2}. The target is {to:.2} by {}. It carries {weight:.0} of 100 points \
             in the score; what it is worth in sales is not known.",
            gap.rank,
            gap.peers,
            gap.value,
            gap.reference_value,
            view.in_weeks(weeks)
        ),
        brands: vec![gap.brand],
        objective: "competitive position".to_owned(),
        action: Action::MetricTarget {
            brand: gap.brand,
            metric: gap.metric,
            from: gap.value,
            to,
            due: view.in_weeks(weeks),
        },
        effect: None,
        confidence: None,
        evidence: numbers,
        expires_on: view.in_weeks(EXPIRES_AFTER),
    }
}

/// Money moved from the line that earns least to the line that earns most, where both are told from break-even.
fn reallocation(sight: &Sight<'_>, verdicts: &mut Verdicts) {
    let view = sight.view;
    let limit = sight.parameters.get("false_discovery");
    let spends = |c: &&ResponseCurve| {
        view.current
            .get(&(c.brand, c.channel))
            .is_some_and(|weekly| *weekly > 0.0)
    };
    let told: Vec<&ResponseCurve> = sight
        .curves
        .iter()
        .filter(|c| c.q_value <= limit)
        .filter(spends)
        .collect();
    let by_return =
        |a: &&&ResponseCurve, b: &&&ResponseCurve| a.marginal_return.total_cmp(&b.marginal_return);
    let saturated = told
        .iter()
        .filter(|c| c.marginal_return < 1.0)
        .min_by(by_return);
    let starved = told
        .iter()
        .filter(|c| c.marginal_return > 1.0)
        .max_by(by_return);
    let (Some(saturated), Some(starved)) = (saturated, starved) else {
        let detail = format!(
            "{} of {} lines are told from break-even at q {limit:.2}; it takes one below and one above",
            told.len(),
            sight.curves.len()
        );
        verdicts.decline(
            AGENT,
            Kind::Initiative,
            "reallocation",
            "weak_evidence",
            detail,
        );
        return;
    };
    let line = |c: &ResponseCurve| {
        format!(
            "{}/{}",
            view.brand_name(c.brand),
            view.channel_key(c.channel)
        )
    };
    let subject = format!("reallocation:{}>{}", line(saturated), line(starved));
    let (from_now, to_now) = (
        view.current[&(saturated.brand, saturated.channel)],
        view.current[&(starved.brand, starved.channel)],
    );
    // The receiving line may at most double: beyond that the curve was never observed.
    let moved = (sight.parameters.get("reallocation_step") * from_now).min(to_now);
    let changes = [
        (saturated.brand, saturated.channel, from_now - moved),
        (starved.brand, starved.channel, to_now + moved),
    ];
    let Some(estimate) = (sight.what_if)(&changes).filter(|e| e.effect.value > 0.0) else {
        verdicts.decline(
            AGENT,
            Kind::Initiative,
            subject,
            "below_threshold",
            "moving the money brings nothing".to_owned(),
        );
        return;
    };
    let (Some(from_metric), Some(to_metric)) = (
        view.spend_metric(saturated.channel),
        view.spend_metric(starved.channel),
    ) else {
        verdicts.decline(
            AGENT,
            Kind::Initiative,
            subject,
            "infeasible",
            "the channels have no spend metric".to_owned(),
        );
        return;
    };
    let name = |c: &ResponseCurve| {
        format!(
            "{} of {}",
            view.channel_name(c.channel),
            view.brand_name(c.brand)
        )
    };
    let weeks = sight.parameters.count("target_weeks");
    let half = view.in_weeks(weeks / 2);
    let step =
        |title: String, start, curve: &ResponseCurve, metric: MetricId, from: f64, to: f64, due| {
            InitiativeStep {
                title,
                start,
                action: Box::new(Action::MetricTarget {
                    brand: curve.brand,
                    metric,
                    from,
                    to,
                    due,
                }),
            }
        };
    let money = |amount: f64| view.money(amount);
    let steps = vec![
        step(
            format!(
                "Bring {} down to {} a week",
                name(saturated),
                money(from_now - moved)
            ),
            view.next_monday(),
            saturated,
            from_metric.id,
            from_now,
            from_now - moved,
            half,
        ),
        step(
            format!(
                "Bring {} up to {} a week",
                name(starved),
                money(to_now + moved)
            ),
            view.next_monday(),
            starved,
            to_metric.id,
            to_now,
            to_now + moved,
            half,
        ),
    ];
    let currency = view.organisation.currency.as_str();
    let marginal = |c: &ResponseCurve| {
        evidence(
            format!("marginal return of {}", name(c)),
            c.marginal_return,
            "margin per unit of spend",
            Some(c.marginal_return95),
            format!("break-even is 1; q {:.3} over every line", c.q_value),
            &estimate.provenance,
        )
    };
    verdicts.proposals.push(Proposal {
        agent: AGENT,
        subject,
        title: format!("Shift {} a week from {} to {}", money(moved), name(saturated), name(starved)),
        summary: format!(
            "The last unit of money in {} earns {:.2}, in {} it earns {:.2}. Two linked targets move {} a week between them over {} weeks; \
             over {} weeks that is expected to bring {}. Approved, each step becomes a recommendation of its own.",
            name(saturated),
            saturated.marginal_return,
            name(starved),
            starved.marginal_return,
            money(moved),
            weeks / 2,
            estimate.effect.horizon_weeks,
            money(estimate.effect.value)
        ),
        brands: if saturated.brand == starved.brand { vec![saturated.brand] } else { vec![saturated.brand, starved.brand] },
        objective: "the same money where it earns more".to_owned(),
        action: Action::Initiative {
            steps,
            assumptions: vec![
                "prices, promotions and rivals behave as in the observed weeks".to_owned(),
                format!("{} can take the money without a change of its creative", name(starved)),
            ],
            reviews: vec![view.in_weeks(weeks / 2), view.in_weeks(weeks)],
        },
        evidence: vec![
            marginal(saturated),
            marginal(starved),
            evidence("money moved", moved, currency, None, "per week, from what is spent now", &estimate.provenance),
        ],
        confidence: Some(estimate.confidence),
        effect: Some(estimate.effect),
        expires_on: view.in_weeks(EXPIRES_AFTER),
    });
}

/// Answers to a rival that changed its behaviour.
fn answers(sight: &Sight<'_>, verdicts: &mut Verdicts) {
    let view = sight.view;
    let limit = sight.parameters.get("false_discovery");
    let mut answered = BTreeSet::new();
    let mut sorted: Vec<&RivalChange> = sight.rivals.iter().collect();
    sorted.sort_by(|a, b| {
        a.q_value
            .total_cmp(&b.q_value)
            .then((a.rival, a.metric).cmp(&(b.rival, b.metric)))
    });
    for change in sorted {
        let metric = view.metric_name(change.metric);
        let rival = view.brand_name(change.rival);
        let subject = format!("rival:{rival}");
        if change.q_value > limit {
            let detail = format!(
                "a change of {metric} from {} on has q {:.2}",
                change.start, change.q_value
            );
            verdicts.decline(AGENT, Kind::Initiative, subject, "weak_evidence", detail);
            continue;
        }
        let age = (view.as_of - change.start).num_days() / 7;
        if age > ANSWER_WITHIN_WEEKS {
            let detail = format!(
                "{metric} changed by {:.1} a week from {} on, {age} weeks ago: recorded, too late to answer",
                change.estimate, change.start
            );
            verdicts.decline(AGENT, Kind::Initiative, subject, "stale_data", detail);
            continue;
        }
        if !answered.insert(change.rival) {
            continue;
        }
        match answer(sight, change, &subject) {
            Some(proposal) => verdicts.proposals.push(proposal),
            None => {
                let detail = format!("no own brand is behind in {metric}");
                verdicts.decline(AGENT, Kind::Initiative, subject, "infeasible", detail);
            }
        }
    }
}

fn answer(sight: &Sight<'_>, change: &RivalChange, subject: &str) -> Option<Proposal> {
    let view = sight.view;
    let weeks = sight.parameters.count("target_weeks");
    let (rival, metric) = (
        view.brand_name(change.rival),
        view.metric_name(change.metric),
    );
    let mut behind: Vec<&Gap> = sight
        .gaps
        .iter()
        .filter(|g| {
            g.metric == change.metric
                && g.reference == Reference::Category
                && g.gap > 0.0
                && view.is_own(g.brand)
        })
        .filter(|g| !has_target(view, g.brand, g.metric))
        .collect();
    behind.sort_by(|a, b| b.gap.total_cmp(&a.gap).then(a.brand.cmp(&b.brand)));
    behind.truncate(2);
    if behind.is_empty() {
        return None;
    }
    let unit = view.metric(change.metric).map_or("", |m| unit_name(m.unit));
    let steps = behind
        .iter()
        .enumerate()
        .map(|(index, gap)| InitiativeStep {
            title: format!(
                "Bring {metric} of {} back to the category's mean",
                view.brand_name(gap.brand)
            ),
            start: view.next_monday() + chrono::Days::new(14 * index as u64),
            action: Box::new(Action::MetricTarget {
                brand: gap.brand,
                metric: gap.metric,
                from: gap.value,
                to: gap.reference_value,
                due: view.in_weeks(weeks),
            }),
        })
        .collect();
    let names: Vec<String> = behind.iter().map(|g| view.brand_name(g.brand)).collect();
    Some(Proposal {
        agent: AGENT,
        subject: subject.to_owned(),
        title: format!("Answer {rival}'s campaign"),
        summary: format!(
            "{metric} of {rival} is {:.1} a week higher since {}. {} are below the category's mean there; {} targets, one after the other, bring \
             them back by {}. What that is worth in sales is not known.",
            change.estimate,
            change.start,
            names.join(" and "),
            names.len(),
            view.in_weeks(weeks)
        ),
        brands: behind.iter().map(|g| g.brand).collect(),
        objective: "competitive position".to_owned(),
        action: Action::Initiative {
            steps,
            assumptions: vec![format!("{rival}'s campaign goes on for some weeks")],
            reviews: vec![view.in_weeks(4), view.in_weeks(weeks)],
        },
        effect: None,
        confidence: None,
        evidence: vec![
            evidence(
                format!("change of {rival}'s {metric} per week"),
                change.estimate,
                unit,
                Some(change.interval95),
                format!("since {}", change.start),
                sight.provenance,
            ),
            evidence(
                "false-discovery rate of the finding",
                change.q_value,
                "q",
                None,
                "over every rival, metric and start of the scan",
                sight.provenance,
            ),
        ],
        expires_on: view.in_weeks(EXPIRES_AFTER),
    })
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use domain::id::ChannelId;

    use super::*;
    use crate::view::tests_support::{a_view, brand, channel, day, estimate, metric};

    struct Case {
        view: View,
        gaps: Vec<Gap>,
        rivals: Vec<RivalChange>,
        indicators: Vec<LeadingIndicator>,
        curves: Vec<ResponseCurve>,
    }

    fn case() -> Case {
        Case {
            view: a_view(),
            gaps: Vec::new(),
            rivals: Vec::new(),
            indicators: Vec::new(),
            curves: Vec::new(),
        }
    }

    impl Case {
        fn decide(&self) -> Verdicts {
            let what_if = |_: &[(BrandId, ChannelId, f64)]| Some(estimate(40.0));
            decide(&Sight {
                view: &self.view,
                gaps: &self.gaps,
                rivals: &self.rivals,
                indicators: &self.indicators,
                curves: &self.curves,
                margin: &|_| Some(2.0),
                level: &|_, _| Some(100.0),
                what_if: &what_if,
                parameters: &Parameters::defaults(AGENT),
                provenance: &Provenance::default(),
            })
        }
    }

    fn gap(name: &str, key: &str, reference: Reference, size: f64) -> Gap {
        Gap {
            brand: brand(name),
            metric: metric(key),
            reference,
            value: 100.0,
            reference_value: 100.0 + size,
            gap: size,
            relative: Some(size / (100.0 + size)),
            without_leader: Some(size / 2.0),
            rank: 3,
            peers: 4,
            period: day(),
        }
    }

    fn indicator(q_value: f64) -> LeadingIndicator {
        LeadingIndicator {
            brand: brand("Alder"),
            indicator: metric("branded_search"),
            outcome: metric("units_sold"),
            lag: 4,
            estimate: 10.0,
            interval95: Interval {
                low: 7.0,
                high: 13.0,
            },
            q_value,
        }
    }

    fn curve(name: &str, key: &str, marginal_return: f64, q_value: f64) -> ResponseCurve {
        ResponseCurve {
            brand: brand(name),
            channel: channel(key),
            carry_over: 0.3,
            half: 100.0,
            shape: 1.0,
            scale: 100.0,
            current_spend: 100.0,
            marginal_return,
            marginal_return80: Interval {
                low: 0.0,
                high: 1.0,
            },
            marginal_return95: Interval {
                low: 0.0,
                high: 1.0,
            },
            q_value,
            warnings: Vec::new(),
        }
    }

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

    #[test]
    fn a_gap_to_the_benchmark_becomes_a_target_that_claims_no_money() {
        let mut case = case();
        case.gaps = vec![
            gap("Alder", "reviews", Reference::Benchmark, 20.0),
            gap("Alder", "reviews", Reference::Leader, 40.0),
        ];
        let verdicts = case.decide();
        assert_eq!(verdicts.proposals.len(), 1);
        assert_eq!(verdicts.proposals[0].effect, None);
        let Action::MetricTarget { from, to, .. } = &verdicts.proposals[0].action else {
            panic!("a target")
        };
        assert_eq!((*from, *to), (100.0, 110.0));
    }

    #[test]
    fn a_rivals_gap_is_not_ours_to_close() {
        let mut case = case();
        case.gaps = vec![gap("Rival", "reviews", Reference::Benchmark, 20.0)];
        assert!(case.decide().proposals.is_empty());
    }

    #[test]
    fn money_is_moved_only_between_lines_that_are_told_from_break_even() {
        let mut case = case();
        case.curves = vec![
            curve("Alder", "search", 0.2, 0.01),
            curve("Birch", "video", 2.5, 0.2),
        ];
        assert!(case.decide().proposals.is_empty());
        case.curves[1].q_value = 0.01;
        let verdicts = case.decide();
        let Action::Initiative {
            steps,
            reviews,
            assumptions,
        } = &verdicts.proposals[0].action
        else {
            panic!("an initiative")
        };
        let ends: Vec<_> = steps
            .iter()
            .map(|s| match s.action.as_ref() {
                Action::MetricTarget {
                    metric, from, to, ..
                } => (*metric, *from, *to),
                _ => panic!("a target"),
            })
            .collect();
        assert_eq!(
            ends,
            [
                (metric("spend_search"), 100.0, 70.0),
                (metric("spend_video"), 100.0, 130.0)
            ]
        );
        assert!(!reviews.is_empty() && !assumptions.is_empty());
    }

    #[test]
    fn a_fresh_campaign_of_a_rival_is_answered_and_an_old_one_recorded() {
        let change = |weeks: u64| RivalChange {
            rival: brand("Rival"),
            metric: metric("reviews"),
            start: day() - Days::new(7 * weeks),
            estimate: 30.0,
            interval95: Interval {
                low: 20.0,
                high: 40.0,
            },
            q_value: 0.001,
        };
        let mut case = case();
        case.gaps = vec![gap("Alder", "reviews", Reference::Category, 20.0)];
        case.rivals = vec![change(60)];
        let old = case.decide();
        assert!(
            old.proposals.is_empty() && old.considered.iter().any(|c| c.reason == "stale_data")
        );
        case.rivals = vec![change(6)];
        let fresh = case.decide();
        assert_eq!(
            (
                fresh.proposals[0].subject.as_str(),
                fresh.proposals[0].effect.is_none()
            ),
            ("rival:Rival", true)
        );
    }
}
