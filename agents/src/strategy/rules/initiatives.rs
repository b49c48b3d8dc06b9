//! Initiatives of several steps: money moved between lines, and answers to rivals.

use std::collections::BTreeSet;

use domain::{
    competition::{Gap, Reference, RivalChange},
    id::MetricId,
    recommendation::{Action, InitiativeStep, Kind},
    response::ResponseCurve,
};

use super::{AGENT, EXPIRES_AFTER, Sight, has_target};
use crate::{
    metrics::rules::unit_name,
    proposal::{Proposal, Verdicts},
    view::evidence,
};

/// A rival's change that began longer ago than this is history, not something to answer.
const ANSWER_WITHIN_WEEKS: i64 = 26;

/// Money moved from the line that earns least to the line that earns most, where both are told from break-even.
pub(super) fn reallocate(sight: &Sight<'_>, verdicts: &mut Verdicts) {
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
pub(super) fn answer_rivals(sight: &Sight<'_>, verdicts: &mut Verdicts) {
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
    use domain::unit::Interval;

    use super::*;
    use crate::{
        strategy::rules::tests_support::{case, curve, gap},
        view::tests_support::{brand, day, metric},
    };

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
