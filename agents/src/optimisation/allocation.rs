//! The best plan under the standing rules: from the terms of the domain to the planner's and back.

use std::collections::BTreeMap;

use analytics::{
    budget::{self, Allocation, PlanError, PlanRequest, PlanRule},
    cancel::Cancel,
};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    access::{Actor, AgentKind},
    budget::{BindingRule, Certificate, Plan, PlanLine, PlanStatus, Rule},
    id::{BrandId, ChannelId, OrgId, PlanId},
    provenance::Provenance,
    unit::{Effect, Interval, Money},
};
use rust_decimal::Decimal;
use serde_json::json;

use crate::{
    Error,
    analyst::model::{Line, Model},
    money::cents,
};

/// What a plan is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) org: OrgId,
    pub(crate) currency: String,
    pub(crate) start: NaiveDate,
    pub(crate) weeks: u32,
    /// Weekly total; `None` is what is spent now.
    pub(crate) total: Option<f64>,
    /// Weekly spend by line as it is now.
    pub(crate) current: BTreeMap<Line, f64>,
    pub(crate) rules: Vec<Rule>,
    /// Weekly spend of the lines that are not to be planned.
    pub(crate) kept: BTreeMap<Line, f64>,
    pub(crate) max_change: f64,
    /// Names for the rules that bind.
    pub(crate) names: BTreeMap<String, String>,
    pub(crate) provenance: Provenance,
    pub(crate) at: DateTime<Utc>,
}

/// The best plan; `None` when no line has a fitted curve.
///
/// # Errors
/// `plan.infeasible` when the rules exclude each other, with the smallest relaxation, or when no plan that obeys them was found;
/// an analysis error when a number makes no sense or the computation was stopped.
pub(crate) fn best(
    model: &Model,
    request: &Request,
    cancel: &dyn Cancel,
) -> Result<Option<Plan>, Error> {
    let value = model.spending_now(&request.current);
    if value.lines.is_empty() {
        return Ok(None);
    }
    let asked = PlanRequest {
        weeks: request.weeks as usize,
        total: request.total,
        most_cut: request.max_change,
        most_rise: request.max_change,
        rules: rules(request),
        ..PlanRequest::default()
    };
    let found = budget::plan(&value, &asked, cancel).map_err(|error| match error {
        PlanError::Infeasible(_) | PlanError::Unsolved(_) => {
            domain::Error::conflict("plan.infeasible", named(&error.to_string(), &request.names))
                .advise("relax one of the rules it names, or allow larger changes of a line")
                .into()
        }
        other => Error::Analysis(named(&other.to_string(), &request.names)),
    })?;
    Ok(Some(plan(&found, request)))
}

fn rules(request: &Request) -> Vec<PlanRule> {
    let kept = request.kept.iter();
    let kept = kept.map(|((brand, channel), weekly)| PlanRule::Exactly {
        brand: brand.to_string(),
        channel: channel.to_string(),
        weekly: *weekly,
    });
    request.rules.iter().map(planner_rule).chain(kept).collect()
}

fn planner_rule(rule: &Rule) -> PlanRule {
    use rust_decimal::prelude::ToPrimitive;
    let amount = |weekly: &Decimal| weekly.to_f64().unwrap_or(f64::INFINITY);
    let brand_key = |id: &Option<BrandId>| id.map(|id| id.to_string());
    let channel_key = |id: &Option<ChannelId>| id.map(|id| id.to_string());
    match rule {
        Rule::Cap {
            brand,
            channel,
            weekly,
        } => PlanRule::AtMost {
            brand: brand_key(brand),
            channel: channel_key(channel),
            weekly: amount(weekly),
        },
        Rule::Minimum {
            brand,
            channel,
            weekly,
        } => PlanRule::AtLeast {
            brand: brand_key(brand),
            channel: channel_key(channel),
            weekly: amount(weekly),
        },
        Rule::Exclusion { brand, channel } => PlanRule::Unchanged {
            brand: Some(brand.to_string()),
            channel: Some(channel.to_string()),
        },
        Rule::CannibalisationCap { driver, weekly, .. } => PlanRule::AtMost {
            brand: Some(driver.to_string()),
            channel: None,
            weekly: amount(weekly),
        },
        Rule::JointAction { driver, weekly, .. } => PlanRule::AtLeast {
            brand: Some(driver.to_string()),
            channel: None,
            weekly: amount(weekly),
        },
    }
}

/// Text ids replaced by names.
fn named(text: &str, names: &BTreeMap<String, String>) -> String {
    names
        .iter()
        .fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
}

fn plan(found: &Allocation, request: &Request) -> Plan {
    let mut lines: Vec<PlanLine> = found
        .lines
        .iter()
        .filter_map(|line| {
            Some(PlanLine {
                brand: line.brand.parse().ok()?,
                channel: line.channel.parse().ok()?,
                weekly: cents(line.weekly),
                current: cents(line.current),
                lower: cents(line.lower),
                upper: cents(line.upper),
                marginal_return: Some(line.marginal_return),
            })
        })
        .collect();
    let total = request
        .total
        .map_or_else(|| lines.iter().map(|line| line.current).sum(), cents);
    conserve(&mut lines, total);
    let weekly: Decimal = lines.iter().map(|line| line.weekly).sum();
    let certificate = &found.certificate;
    let fingerprint = serde_json::to_string(&lines).unwrap_or_default();
    let digest = &request.provenance.slice.digest;
    Plan {
        id: PlanId::derive(&[
            &request.org.to_string(),
            digest,
            &request.start.to_string(),
            &request.weeks.to_string(),
            &fingerprint,
        ]),
        version: 1,
        name: format!("Same budget, better spent, from {}", request.start),
        status: PlanStatus::Draft,
        start: request.start,
        weeks: request.weeks,
        total: Money {
            amount: weekly * Decimal::from(request.weeks),
            currency: request.currency.clone(),
        },
        lines,
        effect: Some(Effect {
            value: found.effect.expected,
            interval80: Interval {
                low: found.effect.interval80.0,
                high: found.effect.interval80.1,
            },
            base: None,
            unit: request.currency.clone(),
            horizon_weeks: request.weeks,
        }),
        confidence: Some(found.effect.confidence),
        certificate: Some(Certificate {
            shadow_price: certificate.shadow_price,
            gap: certificate.relative_gap,
            stationarity: certificate.stationarity,
            binding: certificate
                .binding
                .iter()
                .map(|b| BindingRule {
                    rule: named(&b.rule, &request.names),
                    shadow_price: b.shadow_price,
                })
                .collect(),
        }),
        recommendation: None,
        created_by: Actor::Agent(AgentKind::Optimisation),
        created_at: request.at,
        provenance: Provenance {
            method: "budget.exact_allocation".to_owned(),
            parameters: json!({
                "weeks": request.weeks,
                "max_change": request.max_change,
                "rules": request.rules,
                "total": request.total,
                "kept": request.kept.len(),
            }),
            ..request.provenance.clone()
        },
    }
}

/// Rounding to cents must not change the total: the largest line that moves takes the difference.
fn conserve(lines: &mut [PlanLine], total: Decimal) {
    let off = total - lines.iter().map(|line| line.weekly).sum::<Decimal>();
    let has_room = |line: &&mut PlanLine| {
        line.weekly != line.current && (line.lower..=line.upper).contains(&(line.weekly + off))
    };
    if let Some(line) = lines
        .iter_mut()
        .filter(has_room)
        .max_by_key(|line| line.weekly)
    {
        line.weekly += off;
    }
}

#[cfg(test)]
mod tests {
    use analytics::cancel::never;

    use super::*;
    use crate::{
        analyst::model::tests::model,
        view::tests_support::{brand, channel, day},
    };

    fn request(rules: Vec<Rule>) -> Request {
        Request {
            org: OrgId::derive(&["o"]),
            currency: "EUR".to_owned(),
            start: day(),
            weeks: 12,
            total: None,
            current: BTreeMap::new(),
            rules,
            kept: BTreeMap::new(),
            max_change: 0.5,
            names: BTreeMap::from([(brand("Cedar").to_string(), "Cedar".to_owned())]),
            provenance: Provenance::default(),
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn weekly(plan: &Plan, name: &str) -> Decimal {
        plan.lines
            .iter()
            .find(|line| line.brand == brand(name))
            .expect("a line")
            .weekly
    }

    #[test]
    fn the_plan_moves_money_to_what_earns_most_and_keeps_the_total_to_the_cent() {
        let best = best(&model(), &request(Vec::new()), &never)
            .expect("feasible")
            .expect("fitted");
        assert_eq!(weekly(&best, "Cedar"), 150.into());
        assert_eq!(
            best.lines.iter().map(|l| l.weekly).sum::<Decimal>(),
            300.into()
        );
        assert!(best.effect.as_ref().is_some_and(|e| e.value > 0.0));
        assert!(best.certificate.as_ref().is_some_and(|c| c.gap < 0.01));
    }

    #[test]
    fn a_standing_cap_is_obeyed_and_named_in_the_certificate() {
        let rule = Rule::Cap {
            brand: Some(brand("Cedar")),
            channel: Some(channel("search")),
            weekly: 120.into(),
        };
        let best = best(&model(), &request(vec![rule]), &never)
            .expect("feasible")
            .expect("fitted");
        assert_eq!(weekly(&best, "Cedar"), 120.into());
        let binding = &best.certificate.as_ref().expect("proved").binding;
        assert!(
            binding
                .iter()
                .any(|b| b.rule.contains("Cedar") && b.shadow_price > 0.0),
            "{binding:?}"
        );
    }

    #[test]
    fn rules_that_exclude_each_other_are_named_with_the_smallest_relaxation() {
        let rule = Rule::Minimum {
            brand: Some(brand("Cedar")),
            channel: None,
            weekly: 500.into(),
        };
        let error = best(&model(), &request(vec![rule]), &never).expect_err("nothing obeys it");
        assert!(error.to_string().contains("relaxation is 350"), "{error}");
    }

    #[test]
    fn what_is_kept_stays_and_the_rest_is_the_best_that_is_left() {
        let asked = Request {
            // Further from what is spent now than a line may be moved.
            kept: BTreeMap::from([((brand("Cedar"), channel("search")), 30.25)]),
            total: Some(310.0),
            ..request(Vec::new())
        };
        let best = best(&model(), &asked, &never)
            .expect("feasible")
            .expect("fitted");
        assert_eq!(weekly(&best, "Cedar").to_string(), "30.25");
        assert_eq!(
            best.lines.iter().map(|l| l.weekly).sum::<Decimal>(),
            310.into()
        );
        let free: Vec<f64> = best
            .lines
            .iter()
            .filter(|line| line.brand != brand("Cedar") && line.weekly < line.upper)
            .filter_map(|line| line.marginal_return)
            .collect();
        let proof = best.certificate.as_ref().expect("proved");
        assert!(
            free.iter().all(|m| (m - proof.shadow_price).abs() < 1e-3),
            "{free:?} {proof:?}"
        );
        assert!(proof.gap < 1e-3, "{proof:?}");
    }

    #[test]
    fn a_kept_amount_that_breaks_a_rule_is_refused_with_the_rule() {
        let rule = Rule::Cap {
            brand: Some(brand("Cedar")),
            channel: Some(channel("search")),
            weekly: 120.into(),
        };
        let asked = Request {
            kept: BTreeMap::from([((brand("Cedar"), channel("search")), 150.0)]),
            ..request(vec![rule])
        };
        let error = super::best(&model(), &asked, &never).expect_err("nothing obeys it");
        assert!(error.to_string().contains("Cedar"), "{error}");
        assert!(error.to_string().contains("relaxation is 30.00"), "{error}");
    }

    #[test]
    fn the_same_request_gives_the_same_plan() {
        assert_eq!(
            best(&model(), &request(Vec::new()), &never).expect("feasible"),
            best(&model(), &request(Vec::new()), &never).expect("feasible")
        );
    }
}
