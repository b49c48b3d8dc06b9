//! What the optimisation agent concludes: whether a plan is worth proposing, and which single lines deserve a rule of their own.

use domain::{
    access::AgentKind,
    budget::{Plan, PlanLine, Rule},
    id::{BrandId, ChannelId},
    recommendation::{Action, Evidence, Kind},
    response::ResponseCurve,
};
use rust_decimal::{Decimal, prelude::FromPrimitive, prelude::ToPrimitive};

use crate::{
    parameters::Parameters,
    proposal::{Proposal, Verdicts},
    view::{View, WhatIf, evidence},
};

const AGENT: AgentKind = AgentKind::Optimisation;
/// A plan starts next Monday, so it is worth little once that has passed by more than this.
const EXPIRES_AFTER: u32 = 4;
/// Weeks after which a rule on a line needs another look.
const RULE_EXPIRES_AFTER: u32 = 8;
/// Share by which a rule of its own moves a line.
const STEP: f64 = 0.3;
/// Fewest data a plan is computed from: a season and a half.
const LEAST_WEEKS: u64 = 78;

/// Everything the rules look at.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    /// The portfolio.
    pub view: &'a View,
    /// The best plan over the portfolio at the same total; `None` when no curve could be fitted.
    pub plan: Option<&'a Plan>,
    /// Fitted response curves.
    pub curves: &'a [ResponseCurve],
    /// What a change of spending does.
    pub what_if: &'a WhatIf<'a>,
    /// Thresholds.
    pub parameters: &'a Parameters,
    /// Weeks of history.
    pub weeks_of_data: u64,
}

/// Decides.
pub(crate) fn decide(sight: &Sight<'_>) -> Verdicts {
    let mut verdicts = Verdicts::default();
    if sight.weeks_of_data < LEAST_WEEKS {
        let detail = format!(
            "{} weeks of data; response curves take {LEAST_WEEKS}",
            sight.weeks_of_data
        );
        verdicts.decline(
            AGENT,
            Kind::BudgetPlan,
            "portfolio",
            "weak_evidence",
            detail,
        );
        return verdicts;
    }
    match sight.plan {
        Some(plan) => plan_over_the_portfolio(sight, plan, &mut verdicts),
        None => verdicts.decline(
            AGENT,
            Kind::BudgetPlan,
            "portfolio",
            "weak_evidence",
            "no response curve could be fitted: it takes spend and sales of at least one own brand with a stated margin".to_owned(),
        ),
    }
    single_lines(sight, &mut verdicts);
    verdicts
}

fn plan_over_the_portfolio(sight: &Sight<'_>, plan: &Plan, verdicts: &mut Verdicts) {
    let view = sight.view;
    let (Some(effect), Some(confidence)) = (&plan.effect, plan.confidence) else {
        verdicts.decline(
            AGENT,
            Kind::BudgetPlan,
            "portfolio",
            "weak_evidence",
            "the plan's effect could not be computed".to_owned(),
        );
        return;
    };
    let least = sight.parameters.get("min_confidence");
    let spent = plan.total.amount.to_f64().unwrap_or(0.0);
    let enough = sight.parameters.get("min_gain") * spent;
    if effect.value <= 0.0 || effect.value < enough || confidence < least {
        let detail = format!(
            "the best plan found would bring {} with a probability of a gain of {confidence:.2}; it takes {} and {least:.2}",
            view.money(effect.value),
            view.money(enough)
        );
        verdicts.decline(
            AGENT,
            Kind::BudgetPlan,
            "portfolio",
            "below_threshold",
            detail,
        );
        return;
    }
    let moves = largest_moves(plan);
    let Some((down, up)) = moves else {
        let detail = "the best plan is what is spent already".to_owned();
        verdicts.decline(
            AGENT,
            Kind::BudgetPlan,
            "portfolio",
            "below_threshold",
            detail,
        );
        return;
    };
    let name = |line: &PlanLine| {
        format!(
            "{} of {}",
            view.channel_name(line.channel),
            view.brand_name(line.brand)
        )
    };
    let delta = |line: &PlanLine| (line.weekly - line.current).to_f64().unwrap_or(0.0);
    let shifted: f64 = plan.lines.iter().map(|line| delta(line).max(0.0)).sum();
    let mut brands: Vec<BrandId> = plan
        .lines
        .iter()
        .filter(|l| l.weekly != l.current)
        .map(|l| l.brand)
        .collect();
    brands.sort();
    brands.dedup();
    verdicts.proposals.push(Proposal {
        agent: AGENT,
        subject: "portfolio".to_owned(),
        title: format!("Shift {} a week within the same budget", view.money(shifted)),
        summary: format!(
            "The same total, spent where the next unit earns most: {} a week leaves {}, {} goes to {}, and {} other lines move too. Over {} weeks \
             that is expected to bring {} more profit than carrying on. Approved, it is the plan of record from {}.",
            view.money(-delta(down)),
            name(down),
            view.money(delta(up)),
            name(up),
            plan.lines.iter().filter(|l| l.weekly != l.current).count().saturating_sub(2),
            plan.weeks,
            view.money(effect.value),
            plan.start
        ),
        brands,
        objective: "profit at the same total budget".to_owned(),
        action: Action::BudgetPlan {
            plan: plan.id,
            start: plan.start,
            weeks: plan.weeks,
            total: plan.total.clone(),
            lines: plan.lines.clone(),
        },
        evidence: plan_evidence(view, plan, shifted),
        effect: Some(effect.clone()),
        confidence: Some(confidence),
        expires_on: view.in_weeks(EXPIRES_AFTER),
    });
}

/// The numbers behind a plan: shared by the agent's plans and those that a person submits.
pub(crate) fn plan_evidence(view: &View, plan: &Plan, shifted: f64) -> Vec<Evidence> {
    let currency = view.organisation.currency.as_str();
    let mut numbers = vec![evidence(
        "money moved",
        shifted,
        currency,
        None,
        format!(
            "per week, {} lines in all; the total stays {}",
            plan.lines.len(),
            view.money(plan.total.amount.to_f64().unwrap_or(f64::NAN))
        ),
        &plan.provenance,
    )];
    if let Some(effect) = &plan.effect {
        numbers.push(evidence(
            "expected gain in profit",
            effect.value,
            currency,
            None,
            format!(
                "80 % interval {} to {}, carry-over tail included",
                view.money(effect.interval80.low),
                view.money(effect.interval80.high)
            ),
            &plan.provenance,
        ));
    }
    if let Some(certificate) = &plan.certificate {
        numbers.push(evidence(
            "what one more unit of budget would earn",
            certificate.shadow_price,
            "margin per unit of spend",
            None,
            "the shadow price of the total",
            &plan.provenance,
        ));
        numbers.push(evidence(
            "room for a better plan under the same rules",
            certificate.gap * 100.0,
            "percent",
            None,
            format!("proved bound on the fitted curves; largest violation of the optimality conditions {:.1e}", certificate.stationarity),
            &plan.provenance,
        ));
        for binding in certificate.binding.iter().take(3) {
            numbers.push(evidence(
                format!("rule that holds the plan back: {}", binding.rule),
                binding.shadow_price,
                "per unit a week",
                None,
                "what relaxing it by one unit would earn",
                &plan.provenance,
            ));
        }
    }
    numbers
}

/// The line that loses most and the one that gains most; `None` when nothing moves.
fn largest_moves(plan: &Plan) -> Option<(&PlanLine, &PlanLine)> {
    let down = plan.lines.iter().min_by_key(|l| l.weekly - l.current)?;
    let up = plan.lines.iter().max_by_key(|l| l.weekly - l.current)?;
    (down.weekly < down.current && up.weekly > up.current).then_some((down, up))
}

/// Lines whose marginal return is told from break-even over the whole scan: a cap for what is wasted, a minimum for what starves.
fn single_lines(sight: &Sight<'_>, verdicts: &mut Verdicts) {
    let view = sight.view;
    let limit = sight.parameters.get("false_discovery");
    let mut quiet = 0usize;
    for curve in sight.curves {
        if curve.q_value > limit {
            quiet += 1;
            continue;
        }
        let key = (curve.brand, curve.channel);
        let subject = format!(
            "line:{}/{}",
            view.brand_name(curve.brand),
            view.channel_key(curve.channel)
        );
        let Some(now) = view
            .current
            .get(&key)
            .copied()
            .filter(|weekly| *weekly > 0.0)
        else {
            continue;
        };
        if view
            .constraints
            .iter()
            .any(|c| c.active && is_on_line(&c.rule, key))
        {
            verdicts.decline(
                AGENT,
                Kind::Guard,
                subject,
                "duplicate",
                "a rule for this line is in force".to_owned(),
            );
            continue;
        }
        let is_wasted = curve.marginal_return < 1.0;
        let then = ((now * if is_wasted { 1.0 - STEP } else { 1.0 + STEP }) / 10.0).round() * 10.0;
        let Some(estimate) =
            (sight.what_if)(&[(curve.brand, curve.channel, then)]).filter(|e| e.effect.value > 0.0)
        else {
            let detail = format!("a step of {:.0} % brings nothing by itself", STEP * 100.0);
            verdicts.decline(AGENT, Kind::Guard, subject, "below_threshold", detail);
            continue;
        };
        verdicts
            .proposals
            .push(line_rule(sight, curve, subject, now, then, estimate));
    }
    if quiet > 0 {
        let detail = format!(
            "the marginal return of {quiet} of {} lines cannot be told from break-even",
            sight.curves.len()
        );
        verdicts.decline(AGENT, Kind::Guard, "lines", "weak_evidence", detail);
    }
}

fn is_on_line(rule: &Rule, line: (BrandId, ChannelId)) -> bool {
    match rule {
        Rule::Cap { brand, channel, .. } | Rule::Minimum { brand, channel, .. } => {
            (*brand, *channel) == (Some(line.0), Some(line.1))
        }
        Rule::Exclusion { brand, channel } => (*brand, *channel) == line,
        _ => false,
    }
}

fn line_rule(
    sight: &Sight<'_>,
    curve: &ResponseCurve,
    subject: String,
    now: f64,
    then: f64,
    estimate: crate::view::Estimate,
) -> Proposal {
    let view = sight.view;
    let is_wasted = curve.marginal_return < 1.0;
    let weekly = Decimal::from_f64(then).unwrap_or_default();
    let (brand, channel) = (Some(curve.brand), Some(curve.channel));
    let name = format!(
        "{} of {}",
        view.channel_name(curve.channel),
        view.brand_name(curve.brand)
    );
    let (title, rule, what) = if is_wasted {
        (
            format!("Cap {name}: it is saturated"),
            Rule::Cap {
                brand,
                channel,
                weekly,
            },
            "at most",
        )
    } else {
        (
            format!("Keep a minimum for {name}: it is starved"),
            Rule::Minimum {
                brand,
                channel,
                weekly,
            },
            "at least",
        )
    };
    let mut numbers = vec![
        evidence(
            format!("marginal return of {name}"),
            curve.marginal_return,
            "margin per unit of spend",
            Some(curve.marginal_return95),
            "break-even is 1; carry-over tail included",
            &estimate.provenance,
        ),
        evidence(
            "false-discovery rate of the finding",
            curve.q_value,
            "q",
            None,
            "against break-even, over every line",
            &estimate.provenance,
        ),
        evidence(
            "spent now",
            now,
            &view.organisation.currency,
            None,
            "per week",
            &estimate.provenance,
        ),
    ];
    for warning in &curve.warnings {
        numbers.push(evidence(
            "read with care",
            f64::NAN,
            "",
            None,
            warning.clone(),
            &estimate.provenance,
        ));
    }
    Proposal {
        agent: AGENT,
        subject,
        title,
        summary: format!(
            "The last unit of money in {name} earns {:.2}. Spending {what} {} a week instead of {} is by itself expected to bring {} over {} weeks. \
             Once approved, every later plan obeys the rule.",
            curve.marginal_return,
            view.money(then),
            view.money(now),
            view.money(estimate.effect.value),
            estimate.effect.horizon_weeks
        ),
        brands: vec![curve.brand],
        objective: "no money where it does not earn itself back".to_owned(),
        action: Action::Guard { rule },
        evidence: numbers,
        confidence: Some(estimate.confidence),
        effect: Some(estimate.effect),
        expires_on: view.in_weeks(RULE_EXPIRES_AFTER),
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        access::Actor,
        budget::PlanStatus,
        provenance::Provenance,
        unit::{Effect, Interval, Money},
    };

    use super::*;
    use crate::view::tests_support::{a_view, brand, channel, constraint, day, estimate, plan_id};

    fn line(name: &str, key: &str, weekly: i64) -> PlanLine {
        PlanLine {
            brand: brand(name),
            channel: channel(key),
            weekly: weekly.into(),
            current: 100.into(),
            lower: 50.into(),
            upper: 150.into(),
            marginal_return: Some(1.0),
        }
    }

    fn plan(value: f64, confidence: f64, lines: Vec<PlanLine>) -> Plan {
        Plan {
            id: plan_id(),
            version: 1,
            name: "best".to_owned(),
            status: PlanStatus::Draft,
            start: day(),
            weeks: 12,
            total: Money {
                amount: 7200.into(),
                currency: "EUR".to_owned(),
            },
            lines,
            effect: Some(Effect {
                value,
                interval80: Interval {
                    low: -1.0,
                    high: 2.0 * value,
                },
                base: None,
                unit: "EUR".to_owned(),
                horizon_weeks: 12,
            }),
            confidence: Some(confidence),
            certificate: None,
            recommendation: None,
            created_by: Actor::Agent(AGENT),
            created_at: chrono::DateTime::UNIX_EPOCH,
            provenance: Provenance::default(),
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
                low: marginal_return - 0.1,
                high: marginal_return + 0.1,
            },
            marginal_return95: Interval {
                low: marginal_return - 0.2,
                high: marginal_return + 0.2,
            },
            q_value,
            warnings: Vec::new(),
        }
    }

    fn decided(view: &View, plan: Option<&Plan>, curves: &[ResponseCurve]) -> Verdicts {
        let what_if = |_: &[(BrandId, ChannelId, f64)]| Some(estimate(40.0));
        let parameters = Parameters::defaults(AGENT);
        decide(&Sight {
            view,
            plan,
            curves,
            what_if: &what_if,
            parameters: &parameters,
            weeks_of_data: 156,
        })
    }

    fn moving() -> Vec<PlanLine> {
        vec![
            line("Alder", "search", 150),
            line("Birch", "search", 60),
            line("Cedar", "video", 90),
        ]
    }

    #[test]
    fn a_plan_that_probably_gains_is_proposed_with_its_own_interval() {
        let best = plan(500.0, 0.9, moving());
        let verdicts = decided(&a_view(), Some(&best), &[]);
        let proposal = &verdicts.proposals[0];
        assert_eq!(
            (proposal.subject.as_str(), proposal.effect.as_ref()),
            ("portfolio", best.effect.as_ref())
        );
        assert_eq!(proposal.title, "Shift EUR 50 a week within the same budget");
        assert!(
            proposal
                .summary
                .contains("EUR 40 a week leaves search of Birch, EUR 50 goes to search of Alder"),
            "{}",
            proposal.summary
        );
    }

    #[test]
    fn a_plan_below_the_least_confidence_or_gain_or_without_a_move_is_recorded_only() {
        let still = vec![line("Alder", "search", 100), line("Birch", "search", 100)];
        for weak in [
            plan(500.0, 0.85, moving()),
            plan(-5.0, 0.95, moving()),
            // 0.9 % of the 7,200 that are spent.
            plan(65.0, 0.95, moving()),
            plan(500.0, 0.95, still),
        ] {
            let verdicts = decided(&a_view(), Some(&weak), &[]);
            assert_eq!(
                (
                    verdicts.proposals.len(),
                    verdicts.considered[0].reason.as_str()
                ),
                (0, "below_threshold")
            );
        }
    }

    #[test]
    fn only_lines_told_from_break_even_get_a_rule() {
        let curves = [
            curve("Alder", "search", 0.2, 0.001),
            curve("Birch", "video", 2.2, 0.02),
            curve("Cedar", "video", 1.9, 0.3),
        ];
        let verdicts = decided(&a_view(), None, &curves);
        let actions: Vec<_> = verdicts
            .proposals
            .iter()
            .map(|p| p.action.clone())
            .collect();
        let rule = |name, key, weekly: i64, is_cap: bool| {
            let (brand, channel, weekly) = (Some(brand(name)), Some(channel(key)), weekly.into());
            Action::Guard {
                rule: if is_cap {
                    Rule::Cap {
                        brand,
                        channel,
                        weekly,
                    }
                } else {
                    Rule::Minimum {
                        brand,
                        channel,
                        weekly,
                    }
                },
            }
        };
        assert_eq!(
            actions,
            [
                rule("Alder", "search", 70, true),
                rule("Birch", "video", 130, false)
            ]
        );
        assert!(
            verdicts
                .considered
                .iter()
                .any(|c| c.subject == "lines" && c.detail.contains("1 of 3"))
        );
    }

    #[test]
    fn a_line_with_a_rule_in_force_gets_no_other() {
        let mut view = a_view();
        let rule = Rule::Cap {
            brand: Some(brand("Alder")),
            channel: Some(channel("search")),
            weekly: 80.into(),
        };
        view.constraints.push(constraint(rule));
        let verdicts = decided(&view, None, &[curve("Alder", "search", 0.2, 0.001)]);
        assert!(verdicts.proposals.is_empty());
        assert!(verdicts.considered.iter().any(|c| c.reason == "duplicate"));
    }

    #[test]
    fn too_short_a_history_yields_no_plan() {
        let (view, parameters, best) = (
            a_view(),
            Parameters::defaults(AGENT),
            plan(500.0, 0.9, moving()),
        );
        let what_if = |_: &[(BrandId, ChannelId, f64)]| Some(estimate(40.0));
        let sight = Sight {
            view: &view,
            plan: Some(&best),
            curves: &[],
            what_if: &what_if,
            parameters: &parameters,
            weeks_of_data: 53,
        };
        assert_eq!(decide(&sight).considered[0].reason, "weak_evidence");
    }
}
