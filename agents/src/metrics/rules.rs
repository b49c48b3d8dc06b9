//! What the multi-brand metrics agent concludes: pure decisions over cross-brand effects and data quality.

use chrono::NaiveDate;
use domain::{
    access::AgentKind,
    budget::Rule,
    id::{BrandId, MetricId, ProjectId},
    provenance::Provenance,
    recommendation::{Action, Kind},
    synergy::{CrossEffect, Verdict},
};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde::{Deserialize, Serialize};

use crate::{
    parameters::Parameters,
    proposal::{Proposal, Verdicts},
    view::{View, WhatIf, evidence},
};

const AGENT: AgentKind = AgentKind::Metrics;
/// Weeks after which a rule on a pair is no longer worth deciding on without another look.
const EXPIRES_AFTER: u32 = 8;
/// Weeks after which a data fix that nobody decided on is dropped.
const FIX_EXPIRES_AFTER: u32 = 26;
/// Pairs less convincing than this are counted, not listed one by one.
const WORTH_LISTING: f64 = 0.5;

/// An ingested value that contradicts its neighbours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Suspect {
    /// Project.
    pub project: ProjectId,
    /// Brand.
    pub brand: BrandId,
    /// Metric.
    pub metric: MetricId,
    /// Period.
    pub period: NaiveDate,
    /// Value as ingested.
    pub value: f64,
    /// Value that the rest of the data implies; `None` when it can only be left out.
    pub expected: Option<f64>,
    /// How far off it is, in robust standard deviations.
    pub deviation: f64,
    /// Where that comes from.
    pub provenance: Provenance,
}

/// Everything the rules look at.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    /// The portfolio.
    pub view: &'a View,
    /// Signed effects of one brand on another, over every candidate pair.
    pub effects: &'a [CrossEffect],
    /// Values that contradict their neighbours, the worst first.
    pub suspects: &'a [Suspect],
    /// What a change of spending does.
    pub what_if: &'a WhatIf<'a>,
    /// Thresholds.
    pub parameters: &'a Parameters,
}

/// Decides.
pub(crate) fn decide(sight: &Sight<'_>) -> Verdicts {
    let mut verdicts = Verdicts::default();
    let age = sight.view.data_age_weeks();
    if age.is_none_or(|weeks| weeks > i64::from(sight.parameters.count("max_data_age_weeks"))) {
        let detail = age.map_or("there is no data".to_owned(), |weeks| {
            format!("the data ended {weeks} weeks ago")
        });
        verdicts.decline(AGENT, Kind::Guard, "portfolio", "stale_data", detail);
        return verdicts;
    }
    pairs(sight, &mut verdicts);
    fixes(sight, &mut verdicts);
    verdicts
}

fn pairs(sight: &Sight<'_>, verdicts: &mut Verdicts) {
    let limit = sight.parameters.get("false_discovery");
    let mut quiet = 0usize;
    for effect in sight.effects {
        let kind = if effect.estimate < 0.0 {
            Kind::Guard
        } else {
            Kind::Synergy
        };
        let subject = pair_subject(sight.view, effect);
        if effect.verdict == Verdict::NotIdentifiable {
            let detail =
                "the driver's media hardly varies by itself, so the data cannot tell".to_owned();
            verdicts.decline(AGENT, kind, subject, "weak_evidence", detail);
        } else if effect.q_value > limit {
            if effect.q_value <= WORTH_LISTING {
                let detail = format!(
                    "q {:.2} is above {limit:.2} over {} candidate pairs",
                    effect.q_value,
                    sight.effects.len()
                );
                verdicts.decline(AGENT, kind, subject, "weak_evidence", detail);
            } else {
                quiet += 1;
            }
        } else {
            pair(sight, effect, kind, subject, verdicts);
        }
    }
    if quiet > 0 {
        let detail = format!(
            "{quiet} of {} pairs show nothing that could be told from zero",
            sight.effects.len()
        );
        verdicts.decline(AGENT, Kind::Guard, "pairs", "weak_evidence", detail);
    }
}

fn pair(
    sight: &Sight<'_>,
    effect: &CrossEffect,
    kind: Kind,
    subject: String,
    verdicts: &mut Verdicts,
) {
    let view = sight.view;
    let is_harmful = kind == Kind::Guard;
    if view
        .constraints
        .iter()
        .any(|c| c.active && is_about(&c.rule, effect, is_harmful))
    {
        verdicts.decline(
            AGENT,
            kind,
            subject,
            "duplicate",
            "a rule for this pair is in force".to_owned(),
        );
        return;
    }
    let step = sight.parameters.get("media_step");
    let factor = if is_harmful { 1.0 - step } else { 1.0 + step };
    let now = view.brand_media(effect.driver);
    let Some(weekly) = Decimal::from_f64((now * factor / 10.0).round() * 10.0)
        .filter(|weekly| *weekly > Decimal::ZERO)
    else {
        verdicts.decline(
            AGENT,
            kind,
            subject,
            "infeasible",
            "the driver spends nothing at present".to_owned(),
        );
        return;
    };
    let lines: Vec<_> = view
        .lines_of(effect.driver)
        .map(|(channel, spend)| (effect.driver, channel, spend * factor))
        .collect();
    let Some(estimate) = (sight.what_if)(&lines) else {
        verdicts.decline(
            AGENT,
            kind,
            subject,
            "weak_evidence",
            "no response fit covers the driver's media".to_owned(),
        );
        return;
    };
    if estimate.effect.value <= 0.0 {
        let detail = format!(
            "the effect on the sibling is there, but with the driver's own sales the step would bring {} over {} weeks",
            view.money(estimate.effect.value),
            estimate.effect.horizon_weeks
        );
        verdicts.decline(AGENT, kind, subject, "below_threshold", detail);
        return;
    }
    let (driver, affected) = (
        view.brand_name(effect.driver),
        view.brand_name(effect.affected),
    );
    let (percent, horizon) = ((step * 100.0).round(), estimate.effect.horizon_weeks);
    let (title, summary, action) = if is_harmful {
        let rule = Rule::CannibalisationCap {
            driver: effect.driver,
            affected: effect.affected,
            weekly,
        };
        (
            format!("Cap {driver}'s media: it takes sales from {affected}"),
            format!(
                "When {driver} spends more on media, {affected} sells less. Capping {driver}'s media {percent:.0} % below today, at {}\
                 a week, is expected to bring {} over {horizon} weeks for the two brands together. Once approved, every later plan obeys the cap.",
                view.money(now * factor) + " ",
                view.money(estimate.effect.value)
            ),
            Action::Guard { rule },
        )
    } else {
        let rule = Rule::JointAction {
            driver: effect.driver,
            affected: effect.affected,
            weekly,
        };
        (
            format!("Use {driver}'s media to lift {affected} too"),
            format!(
                "When {driver} spends more on media, {affected} sells more as well. Keeping {driver}'s media {percent:.0} % above today, at {}\
                 a week, is expected to bring {} over {horizon} weeks for the two brands together. Once approved, every later plan keeps that floor.",
                view.money(now * factor) + " ",
                view.money(estimate.effect.value)
            ),
            Action::Synergy { rule },
        )
    };
    let currency = view.organisation.currency.as_str();
    verdicts.proposals.push(Proposal {
        agent: AGENT,
        subject,
        title,
        summary,
        brands: vec![effect.driver, effect.affected],
        objective: "profit of the portfolio, not of one brand".to_owned(),
        action,
        evidence: vec![
            evidence(
                format!("{affected}'s sales for 10 % more media of {driver}"),
                effect.estimate,
                currency,
                Some(effect.interval95),
                format!("over the observed path, standard error {:.0}", effect.std_error),
                &effect.provenance,
            ),
            evidence(
                "false-discovery rate of the finding",
                effect.q_value,
                "q",
                None,
                format!("Benjamini–Hochberg over every candidate of the scan; p {:.1e}", effect.p_value),
                &effect.provenance,
            ),
            evidence(format!("{driver}'s media now"), now, currency, None, "per week over all channels", &estimate.provenance),
            evidence(
                "effect of the step, both brands together",
                estimate.effect.value,
                currency,
                None,
                format!("over {horizon} weeks with the carry-over tail, own and cross effects, media cost taken off"),
                &estimate.provenance,
            ),
        ],
        effect: Some(estimate.effect),
        confidence: Some(estimate.confidence),
        expires_on: view.in_weeks(EXPIRES_AFTER),
    });
}

fn is_about(rule: &Rule, effect: &CrossEffect, is_harmful: bool) -> bool {
    match rule {
        Rule::CannibalisationCap {
            driver, affected, ..
        } => is_harmful && (*driver, *affected) == (effect.driver, effect.affected),
        Rule::JointAction {
            driver, affected, ..
        } => !is_harmful && (*driver, *affected) == (effect.driver, effect.affected),
        _ => false,
    }
}

fn pair_subject(view: &View, effect: &CrossEffect) -> String {
    format!(
        "pair:{}>{}",
        view.brand_name(effect.driver),
        view.brand_name(effect.affected)
    )
}

fn fixes(sight: &Sight<'_>, verdicts: &mut Verdicts) {
    let view = sight.view;
    let most = sight.parameters.count("max_data_fixes") as usize;
    for (index, suspect) in sight.suspects.iter().enumerate() {
        let (brand, metric) = (
            view.brand_name(suspect.brand),
            view.metric_name(suspect.metric),
        );
        let project = view.project_name(suspect.project);
        let subject = format!("value:{project}/{brand}/{metric}/{}", suspect.period);
        if index >= most {
            let detail = format!(
                "{:.1} robust standard deviations off; {most} worse ones come first",
                suspect.deviation
            );
            verdicts.decline(AGENT, Kind::DataFix, subject, "below_threshold", detail);
            continue;
        }
        let unit = view
            .metric(suspect.metric)
            .map_or("", |m| unit_name(m.unit));
        let instead = suspect.expected.map_or("left out".to_owned(), |v| {
            format!("read as {}", crate::view::grouped(v))
        });
        verdicts.proposals.push(Proposal {
            agent: AGENT,
            subject,
            title: format!("Check {metric} of {brand} in the week of {}", suspect.period),
            summary: format!(
                "{metric} of {brand} in {project} was imported as {} for the week of {}, {:.1} robust standard deviations from what the \
                 rest of the data implies. Approved, the week is {instead} by every analysis; the imported value stays and the correction can be undone.",
                crate::view::grouped(suspect.value),
                suspect.period,
                suspect.deviation
            ),
            brands: vec![suspect.brand],
            objective: "data that can be trusted".to_owned(),
            action: Action::DataFix {
                project: suspect.project,
                brand: suspect.brand,
                metric: suspect.metric,
                period: suspect.period,
                from: suspect.value,
                to: suspect.expected,
            },
            effect: None,
            confidence: None,
            evidence: vec![
                evidence("value as imported", suspect.value, unit, None, format!("{project}, week of {}", suspect.period), &suspect.provenance),
                evidence(
                    "value the rest of the data implies",
                    suspect.expected.unwrap_or(f64::NAN),
                    unit,
                    None,
                    if suspect.expected.is_some() { "same week in the other projects, or its neighbours" } else { "nothing to compare with" },
                    &suspect.provenance,
                ),
                evidence("deviation", suspect.deviation, "robust standard deviations", None, "", &suspect.provenance),
            ],
            expires_on: view.in_weeks(FIX_EXPIRES_AFTER),
        });
    }
}

/// The unit as people read it.
pub(crate) fn unit_name(unit: domain::metric::MetricUnit) -> &'static str {
    use domain::metric::MetricUnit as U;
    match unit {
        U::Currency => "currency",
        U::Count => "count",
        U::Ratio => "ratio",
        U::Percent => "percent",
        U::Index => "index",
        U::Seconds => "seconds",
        U::Rank => "rank",
    }
}

#[cfg(test)]
mod tests {
    use domain::{id::CrossEffectId, unit::Interval};

    use super::*;
    use crate::view::tests_support::{a_view, brand, channel, constraint, day, estimate, metric};

    fn effect(driver: &str, affected: &str, value: f64, q_value: f64) -> CrossEffect {
        CrossEffect {
            id: CrossEffectId::derive(&[driver, affected]),
            driver: brand(driver),
            affected: brand(affected),
            estimate: value,
            std_error: value.abs() / 7.0,
            interval80: Interval {
                low: value * 0.8,
                high: value * 1.2,
            },
            interval95: Interval {
                low: value * 0.7,
                high: value * 1.3,
            },
            p_value: q_value / 56.0,
            q_value,
            verdict: if value < 0.0 {
                Verdict::Cannibalisation
            } else {
                Verdict::Halo
            },
            origin: day(),
            provenance: Provenance::default(),
        }
    }

    fn suspect(deviation: f64) -> Suspect {
        Suspect {
            project: ProjectId::derive(&["o", "north"]),
            brand: brand("Alder"),
            metric: metric("units_sold"),
            period: day() - chrono::Days::new(deviation as u64 * 7),
            value: 900.0,
            expected: Some(100.0),
            deviation,
            provenance: Provenance::default(),
        }
    }

    fn decided(view: &View, effects: &[CrossEffect], suspects: &[Suspect], value: f64) -> Verdicts {
        let what_if = move |_: &[(BrandId, domain::id::ChannelId, f64)]| Some(estimate(value));
        decide(&Sight {
            view,
            effects,
            suspects,
            what_if: &what_if,
            parameters: &Parameters::defaults(AGENT),
        })
    }

    #[test]
    fn a_found_cannibal_is_capped_below_what_it_spends_and_a_found_halo_kept_above() {
        let effects = [
            effect("Alder", "Birch", -700.0, 0.001),
            effect("Birch", "Cedar", 600.0, 0.01),
        ];
        let verdicts = decided(&a_view(), &effects, &[], 500.0);
        let rules: Vec<_> = verdicts
            .proposals
            .iter()
            .map(|p| p.action.clone())
            .collect();
        let expected = [
            Action::Guard {
                rule: Rule::CannibalisationCap {
                    driver: brand("Alder"),
                    affected: brand("Birch"),
                    weekly: 180.into(),
                },
            },
            Action::Synergy {
                rule: Rule::JointAction {
                    driver: brand("Birch"),
                    affected: brand("Cedar"),
                    weekly: 220.into(),
                },
            },
        ];
        assert_eq!(rules, expected);
        assert!(verdicts.proposals.iter().all(|p| !p.evidence.is_empty()));
    }

    #[test]
    fn the_step_is_priced_on_all_of_the_drivers_lines() {
        let view = a_view();
        let seen = std::cell::RefCell::new(Vec::new());
        let what_if = |lines: &[(BrandId, domain::id::ChannelId, f64)]| {
            seen.borrow_mut().extend_from_slice(lines);
            Some(estimate(1.0))
        };
        let effects = [effect("Alder", "Birch", -700.0, 0.001)];
        let _ = decide(&Sight {
            view: &view,
            effects: &effects,
            suspects: &[],
            what_if: &what_if,
            parameters: &Parameters::defaults(AGENT),
        });
        let mut expected = vec![
            (brand("Alder"), channel("search"), 90.0),
            (brand("Alder"), channel("video"), 90.0),
        ];
        expected.sort_by_key(|line| line.1);
        assert_eq!(seen.into_inner(), expected);
    }

    #[test]
    fn pairs_above_the_false_discovery_limit_are_recorded_and_not_proposed() {
        let effects = [
            effect("Alder", "Birch", -700.0, 0.2),
            effect("Birch", "Cedar", 10.0, 0.9),
            effect("Cedar", "Alder", 10.0, 0.8),
        ];
        let verdicts = decided(&a_view(), &effects, &[], 500.0);
        assert!(verdicts.proposals.is_empty());
        let subjects: Vec<_> = verdicts
            .considered
            .iter()
            .map(|c| c.subject.as_str())
            .collect();
        assert_eq!(subjects, ["pair:Alder>Birch", "pairs"]);
        assert!(verdicts.considered[1].detail.starts_with("2 of 3"));
    }

    #[test]
    fn a_cap_whose_own_sales_cost_more_than_it_protects_is_not_proposed() {
        let verdicts = decided(
            &a_view(),
            &[effect("Alder", "Birch", -700.0, 0.001)],
            &[],
            -5.0,
        );
        assert!(verdicts.proposals.is_empty());
        assert_eq!(verdicts.considered[0].reason, "below_threshold");
    }

    #[test]
    fn a_pair_with_a_rule_in_force_is_left_alone() {
        let mut view = a_view();
        let rule = Rule::CannibalisationCap {
            driver: brand("Alder"),
            affected: brand("Birch"),
            weekly: 150.into(),
        };
        view.constraints.push(constraint(rule));
        let verdicts = decided(&view, &[effect("Alder", "Birch", -700.0, 0.001)], &[], 5.0);
        assert_eq!(
            (
                verdicts.proposals.len(),
                verdicts.considered[0].reason.as_str()
            ),
            (0, "duplicate")
        );
    }

    #[test]
    fn only_the_worst_suspects_become_fixes_and_a_fix_claims_no_effect() {
        let suspects: Vec<Suspect> = (0..6).map(|i| suspect(20.0 - f64::from(i))).collect();
        let verdicts = decided(&a_view(), &[], &suspects, 5.0);
        assert_eq!(
            (verdicts.proposals.len(), verdicts.considered.len()),
            (4, 2)
        );
        assert!(
            verdicts
                .proposals
                .iter()
                .all(|p| p.effect.is_none() && p.kind() == Kind::DataFix)
        );
    }

    #[test]
    fn nothing_is_concluded_from_old_data() {
        let mut view = a_view();
        view.data_until = view
            .data_until
            .map(|until| until - chrono::Days::new(7 * 30));
        let verdicts = decided(&view, &[effect("Alder", "Birch", -700.0, 0.001)], &[], 5.0);
        assert_eq!(
            (
                verdicts.proposals.len(),
                verdicts.considered[0].reason.as_str()
            ),
            (0, "stale_data")
        );
    }
}
