//! Edits of a recommendation's action: what a person may change, and what the change is worth.

use domain::{
    access::{Permission, Principal},
    budget::{Plan, PlanLine, PlanStatus, Rule},
    id::{BrandId, ChannelId},
    recommendation::{Action, Recommendation},
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use storage::Edit;

use super::{Ground, Plans, Spend, WhatIfLine, named, wording};
use crate::{
    Error,
    pricing::{self, Priced},
};

impl Plans {
    /// An edited action, checked against the one it replaces and completed with what follows from it: its effect, its words
    /// and, for a plan, the numbers behind it.
    ///
    /// # Errors
    /// `recommendation.edit_invalid` for what cannot be edited, `plan.infeasible` when a standing rule is broken.
    pub(crate) async fn edited(
        &self,
        principal: &Principal,
        before: &Recommendation,
        edited: Action,
    ) -> Result<Edit, Error> {
        let grant = principal.grant(Permission::RecommendationRead)?;
        let scope = self.storage.scope(&grant);
        let ground = self.ground(&scope).await?;
        let action = ground.completed(&before.action, edited)?;
        let (effect, confidence) = match ground.worth(&action) {
            Some(priced) => (Some(priced.effect), Some(priced.confidence)),
            None => (None, None),
        };
        let view = named(&scope, &ground).await?;
        let wording = wording::of(&view, before, &action, effect.as_ref());
        let mut edit = Edit {
            title: wording.title,
            summary: wording.summary,
            brands: before.brands.clone(),
            evidence: before.evidence.clone(),
            effect,
            confidence,
            action,
        };
        if let Action::BudgetPlan {
            plan,
            start,
            weeks,
            total,
            lines,
        } = &edit.action
        {
            let plan = Plan {
                id: *plan,
                version: 1,
                name: edit.title.clone(),
                status: PlanStatus::Draft,
                start: *start,
                weeks: *weeks,
                total: total.clone(),
                lines: lines.clone(),
                effect: edit.effect.clone(),
                confidence: edit.confidence,
                certificate: None,
                recommendation: Some(before.id),
                created_by: principal.actor(),
                created_at: before.created_at,
                provenance: ground.provenance("plan.by_hand"),
            };
            edit.brands = wording::brands(lines);
            edit.evidence = wording::numbers(&view, &plan, &principal.actor().to_string());
        }
        Ok(edit)
    }
}

/// Weeks over which a rule is priced.
const RULE_WEEKS: u32 = 12;

impl Ground {
    /// The edited action when it may replace `before`, with what follows from it.
    fn completed(&self, before: &Action, edited: Action) -> Result<Action, Error> {
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
                let spend = self.spend_with(&asked, weeks)?;
                if let Some(first) = self.violations(&spend).into_iter().next() {
                    return Err(domain::Error::conflict("plan.infeasible", first)
                        .advise("keep to the rule, or take it out of force first")
                        .into());
                }
                let total = domain::unit::Money {
                    currency: total.currency.clone(),
                    ..self.total(&spend, weeks)
                };
                Ok(Action::BudgetPlan {
                    plan: *plan,
                    start,
                    weeks,
                    total,
                    lines: within(proposed, self.lines(&spend)),
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
                    || due <= self.as_of
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
    fn worth(&self, action: &Action) -> Option<Priced> {
        match action {
            Action::BudgetPlan { lines, weeks, .. } => {
                let asked: Vec<WhatIfLine> = lines
                    .iter()
                    .map(|l| WhatIfLine {
                        brand: l.brand,
                        channel: l.channel,
                        weekly: l.weekly,
                    })
                    .collect();
                self.price(&asked, *weeks)
            }
            Action::Guard { rule } | Action::Synergy { rule } => self.price_rule(rule),
            _ => None,
        }
    }

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
