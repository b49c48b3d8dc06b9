//! Targets on metrics in which a brand is behind.

use std::collections::BTreeSet;

use domain::{
    competition::{Gap, Reference},
    id::{BrandId, MetricId},
    metric::{Direction, MetricRole},
    recommendation::{Action, Kind},
};

use super::{AGENT, EXPIRES_AFTER, REACH, Sight, has_target, metric_subject};
use crate::{
    metrics::rules::unit_name,
    proposal::{Proposal, Verdicts},
    view::evidence,
};

/// Targets that close a gap to the benchmark. Their worth in sales is not known, so none is claimed.
pub(super) fn close_gaps(
    sight: &Sight<'_>,
    led: &BTreeSet<(BrandId, MetricId)>,
    verdicts: &mut Verdicts,
) {
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
            verdicts.proposals.push(target(sight, gap, subject, weeks));
        }
    }
}

fn target(sight: &Sight<'_>, gap: &Gap, subject: String, weeks: u32) -> Proposal {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::rules::tests_support::{case, gap};

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
}
