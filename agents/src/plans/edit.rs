//! Edits of a recommendation's action: what a person may change, and what the change is worth.

use domain::{
    access::{Permission, Principal},
    budget::{PlanLine, Rule},
    id::{BrandId, ChannelId},
    recommendation::{Action, Recommendation},
    unit::Effect,
};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{Ground, Plans, Priced, Spend, WhatIfLine, pricing};
use crate::{Error, view::grouped};

/// What stands between the words for an edited action and the agent's own, which speak of its proposal.
const BEFORE_THE_EDIT: &str = " Before the edit: ";

/// Title and summary of an edited recommendation: what the edited action does first, then what the agent had written. Numbers of
/// the proposal never stand as if they were those of the edit.
pub(crate) fn worded(
    before: &Recommendation,
    action: &Action,
    effect: Option<&Effect>,
) -> (String, String) {
    let title = match action {
        Action::BudgetPlan { total, lines, .. } => {
            let shifted: Decimal = lines
                .iter()
                .map(|line| (line.weekly - line.current).max(Decimal::ZERO))
                .sum();
            format!(
                "Shift {} a week, as edited",
                money(&total.currency, shifted)
            )
        }
        _ => before.title.clone(),
    };
    let does = match action {
        Action::BudgetPlan {
            start,
            weeks,
            total,
            lines,
            ..
        } => format!(
            "Edited: {} lines change, {} in total over {weeks} weeks from {start}.",
            lines.iter().filter(|l| l.weekly != l.current).count(),
            money(&total.currency, total.amount)
        ),
        Action::Guard { rule } | Action::Synergy { rule } => match rule {
            Rule::Cap { weekly, .. } | Rule::CannibalisationCap { weekly, .. } => {
                format!("Edited: at most {} a week.", amount(*weekly))
            }
            Rule::Minimum { weekly, .. } | Rule::JointAction { weekly, .. } => {
                format!("Edited: at least {} a week.", amount(*weekly))
            }
            Rule::Exclusion { .. } => "Edited.".to_owned(),
        },
        Action::MetricTarget { from, to, due, .. } => {
            format!("Edited: from {from:.2} to {to:.2} by {due}.")
        }
        Action::DataFix { to: Some(to), .. } => format!("Edited: the value becomes {to}."),
        Action::DataFix { to: None, .. } => "Edited: the value is left out.".to_owned(),
        Action::Initiative { steps, .. } => format!("Edited: {} steps.", steps.len()),
        Action::ForecastRevision { .. } => "Edited.".to_owned(),
    };
    let expected = effect.map_or_else(String::new, |effect| {
        format!(
            " That is expected to bring {} {} over {} weeks.",
            effect.unit,
            grouped(effect.value),
            effect.horizon_weeks
        )
    });
    let proposed = before
        .summary
        .split_once(BEFORE_THE_EDIT)
        .map_or(before.summary.as_str(), |(_, proposed)| proposed);
    (
        title,
        format!("{does}{expected}{BEFORE_THE_EDIT}{proposed}"),
    )
}

/// Edited lines with the bounds they were proposed under, widened where the person went beyond them.
fn within(proposed: &[PlanLine], edited: Vec<PlanLine>) -> Vec<PlanLine> {
    edited
        .into_iter()
        .map(|line| {
            let bounds = proposed
                .iter()
                .find(|p| (p.brand, p.channel) == (line.brand, line.channel))
                .map_or((line.lower, line.upper), |p| (p.lower, p.upper));
            PlanLine {
                lower: bounds.0.min(line.weekly),
                upper: bounds.1.max(line.weekly),
                ..line
            }
        })
        .collect()
}

fn money(currency: &str, weekly: Decimal) -> String {
    format!("{currency} {}", amount(weekly))
}

fn amount(weekly: Decimal) -> String {
    grouped(weekly.to_f64().unwrap_or(f64::NAN))
}

impl Plans {
    /// An edited action, checked against the one it replaces and completed with what follows from it.
    ///
    /// # Errors
    /// `recommendation.edit_invalid` for what cannot be edited, `plan.infeasible` when a standing rule is broken.
    pub(crate) async fn completed(
        &self,
        principal: &Principal,
        before: &Action,
        edited: Action,
    ) -> Result<Action, Error> {
        let grant = principal.grant(Permission::RecommendationRead)?;
        let ground = self.ground(&self.storage.scope(&grant)).await?;
        match (before, edited) {
            (
                Action::BudgetPlan {
                    plan,
                    total,
                    lines: proposed,
                    ..
                },
                Action::BudgetPlan {
                    start,
                    weeks,
                    lines,
                    ..
                },
            ) => {
                let asked: Vec<WhatIfLine> = lines
                    .iter()
                    .map(|l| WhatIfLine {
                        brand: l.brand,
                        channel: l.channel,
                        weekly: l.weekly,
                    })
                    .collect();
                let spend = ground.spend_with(&asked, weeks)?;
                if let Some(first) = ground.violations(&spend).into_iter().next() {
                    return Err(domain::Error::conflict("plan.infeasible", first)
                        .advise("keep to the rule, or take it out of force first")
                        .into());
                }
                let total = domain::unit::Money {
                    currency: total.currency.clone(),
                    ..ground.total(&spend, weeks)
                };
                Ok(Action::BudgetPlan {
                    plan: *plan,
                    start,
                    weeks,
                    total,
                    lines: within(proposed, ground.lines(&spend)),
                })
            }
            (Action::Guard { rule: old }, Action::Guard { rule }) => Ok(Action::Guard {
                rule: same_subject(old, rule)?,
            }),
            (Action::Synergy { rule: old }, Action::Synergy { rule }) => Ok(Action::Synergy {
                rule: same_subject(old, rule)?,
            }),
            (
                Action::MetricTarget {
                    brand,
                    metric,
                    from,
                    ..
                },
                Action::MetricTarget {
                    brand: new_brand,
                    metric: new_metric,
                    to,
                    due,
                    ..
                },
            ) => {
                if (*brand, *metric) != (new_brand, new_metric)
                    || !to.is_finite()
                    || due <= ground.as_of
                {
                    return Err(refused(
                        "a target keeps its brand and metric, and is due after today",
                    ));
                }
                Ok(Action::MetricTarget {
                    brand: *brand,
                    metric: *metric,
                    from: *from,
                    to,
                    due,
                })
            }
            (
                Action::DataFix {
                    project,
                    brand,
                    metric,
                    period,
                    from,
                    ..
                },
                Action::DataFix {
                    project: p,
                    brand: b,
                    metric: m,
                    period: d,
                    to,
                    ..
                },
            ) => {
                if (*project, *brand, *metric, *period) != (p, b, m, d)
                    || to.is_some_and(|to| !to.is_finite())
                {
                    return Err(refused("a data fix keeps the value it is about"));
                }
                Ok(Action::DataFix {
                    project: p,
                    brand: b,
                    metric: m,
                    period: d,
                    from: *from,
                    to,
                })
            }
            (
                Action::Initiative { steps: old, .. },
                Action::Initiative {
                    steps,
                    assumptions,
                    reviews,
                },
            ) => {
                let is_known = |step: &domain::recommendation::InitiativeStep| {
                    old.iter().any(|o| o.action == step.action)
                };
                if steps.is_empty() || !steps.iter().all(is_known) {
                    return Err(refused(
                        "steps can be left out, moved and renamed; their actions are edited one by one later",
                    ));
                }
                Ok(Action::Initiative {
                    steps,
                    assumptions,
                    reviews,
                })
            }
            _ => Err(refused(
                "this kind cannot be edited; approve it as it is, or reject it",
            )),
        }
    }

    /// What an action is worth in money; `None` for kinds whose effect is not known in money.
    pub(crate) async fn price(
        &self,
        principal: &Principal,
        action: &Action,
    ) -> Result<Option<Priced>, Error> {
        let grant = principal.grant(Permission::RecommendationRead)?;
        let ground = self.ground(&self.storage.scope(&grant)).await?;
        Ok(match action {
            Action::BudgetPlan { lines, weeks, .. } => {
                let asked: Vec<WhatIfLine> = lines
                    .iter()
                    .map(|l| WhatIfLine {
                        brand: l.brand,
                        channel: l.channel,
                        weekly: l.weekly,
                    })
                    .collect();
                ground.price(&asked, *weeks)
            }
            Action::Guard { rule } | Action::Synergy { rule } => ground.price_rule(rule),
            _ => None,
        })
    }
}

/// Weeks over which a rule is priced.
const RULE_WEEKS: u32 = 12;

impl Ground {
    /// A rule is worth what bringing its lines to its limit brings, all of them by the same factor.
    fn price_rule(&self, rule: &Rule) -> Option<Priced> {
        let (brand, channel, weekly) = match rule {
            Rule::Cap {
                brand,
                channel,
                weekly,
            }
            | Rule::Minimum {
                brand,
                channel,
                weekly,
            } => (*brand, *channel, *weekly),
            Rule::CannibalisationCap { driver, weekly, .. }
            | Rule::JointAction { driver, weekly, .. } => (Some(*driver), None, *weekly),
            Rule::Exclusion { .. } => return None,
        };
        let matching = matching(&self.current, brand, channel);
        let now: Decimal = matching.iter().map(|(_, weekly)| *weekly).sum();
        let factor = (weekly / if now.is_zero() { return None } else { now }).to_f64()?;
        let changes: Vec<_> = matching
            .iter()
            .map(|((b, c), weekly)| (*b, *c, weekly.to_f64().unwrap_or_default() * factor))
            .collect();
        let fit = self.fit.as_ref()?;
        let current = self
            .current
            .iter()
            .map(|(line, weekly)| (*line, weekly.to_f64().unwrap_or_default()))
            .collect();
        pricing::priced(
            &fit.model,
            &current,
            &changes,
            RULE_WEEKS,
            &self.organisation.currency,
        )
    }
}

fn matching(
    spend: &Spend,
    brand: Option<BrandId>,
    channel: Option<ChannelId>,
) -> Vec<((BrandId, ChannelId), Decimal)> {
    spend
        .iter()
        .filter(|((b, c), _)| brand.is_none_or(|x| x == *b) && channel.is_none_or(|x| x == *c))
        .map(|(line, weekly)| (*line, *weekly))
        .collect()
}

fn refused(why: &str) -> Error {
    domain::Error::invalid("recommendation.edit_invalid", why).into()
}

/// The edited rule when it is about the same thing as before and its amount is possible.
fn same_subject(old: &Rule, new: Rule) -> Result<Rule, Error> {
    let amount = |rule: &Rule| match rule {
        Rule::Cap { weekly, .. }
        | Rule::Minimum { weekly, .. }
        | Rule::CannibalisationCap { weekly, .. }
        | Rule::JointAction { weekly, .. } => Some(*weekly),
        Rule::Exclusion { .. } => None,
    };
    let with = |rule: &Rule, amount: Decimal| {
        let mut rule = rule.clone();
        match &mut rule {
            Rule::Cap { weekly, .. }
            | Rule::Minimum { weekly, .. }
            | Rule::CannibalisationCap { weekly, .. }
            | Rule::JointAction { weekly, .. } => *weekly = amount,
            Rule::Exclusion { .. } => {}
        }
        rule
    };
    let is_same = with(old, Decimal::ZERO) == with(&new, Decimal::ZERO);
    if !is_same || amount(&new).is_some_and(|weekly| weekly < Decimal::ZERO) {
        return Err(refused(
            "only the amount of a rule can be edited, and it cannot be negative",
        ));
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests_support::brand;

    fn cap(weekly: i64) -> Rule {
        Rule::CannibalisationCap {
            driver: brand("Alder"),
            affected: brand("Birch"),
            weekly: weekly.into(),
        }
    }

    #[test]
    fn only_the_amount_of_a_rule_can_be_edited() {
        assert_eq!(
            same_subject(&cap(100), cap(80)).expect("the amount"),
            cap(80)
        );
        assert!(same_subject(&cap(100), cap(-1)).is_err());
        let other = Rule::CannibalisationCap {
            driver: brand("Cedar"),
            affected: brand("Birch"),
            weekly: 100.into(),
        };
        assert!(same_subject(&cap(100), other).is_err());
    }
}
