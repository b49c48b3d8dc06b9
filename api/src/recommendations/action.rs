//! What approving a recommendation does, as people see it and may edit it.

use chrono::NaiveDate;
use domain::{
    id::{BrandId, ForecastId, MetricId, PlanId, ProjectId},
    recommendation::{Action as DomainAction, InitiativeStep as DomainStep},
};
use poem_openapi::{Object, Union};

use crate::{
    constraints::Rule,
    mirror::{Id, Mirror, Reflect},
    plans::PlanLine,
    quantities::Money,
};

/// A plan becomes the plan of record.
#[derive(Clone, Debug, Object)]
pub(crate) struct BudgetPlanAction {
    /// The plan's id.
    pub(crate) plan: Id<PlanId>,
    /// Monday of the first week.
    pub(crate) start: NaiveDate,
    /// Number of weeks.
    pub(crate) weeks: u32,
    /// Total over all lines and weeks.
    pub(crate) total: Money,
    /// The lines.
    pub(crate) lines: Vec<PlanLine>,
}

/// A rule comes into force.
#[derive(Clone, Debug, Object)]
pub(crate) struct GuardAction {
    /// The rule.
    pub(crate) rule: Rule,
}

/// A joint action of two brands is preferred. It has a type of its own, because the specification tells the kinds
/// apart by their types.
#[derive(Clone, Debug, Object)]
pub(crate) struct SynergyAction {
    /// The rule.
    pub(crate) rule: Rule,
}

/// A forecast becomes the one of record.
#[derive(Clone, Debug, Object)]
pub(crate) struct ForecastRevisionAction {
    /// The new forecast.
    pub(crate) forecast: Id<ForecastId>,
    /// Its brand.
    pub(crate) brand: Id<BrandId>,
    /// Its metric.
    pub(crate) metric: Id<MetricId>,
}

/// A metric gets a target.
#[derive(Clone, Debug, Object)]
pub(crate) struct MetricTargetAction {
    /// Brand.
    pub(crate) brand: Id<BrandId>,
    /// Metric.
    pub(crate) metric: Id<MetricId>,
    /// Value now.
    pub(crate) from: f64,
    /// Value to reach.
    pub(crate) to: f64,
    /// By this date.
    pub(crate) due: NaiveDate,
}

/// Several steps become drafts of their own.
#[derive(Clone, Debug, Object)]
pub(crate) struct InitiativeAction {
    /// The steps, in order.
    pub(crate) steps: Vec<InitiativeStep>,
    /// What must hold for it to make sense.
    pub(crate) assumptions: Vec<String>,
    /// When to look again.
    pub(crate) reviews: Vec<NaiveDate>,
}

/// A step of an initiative.
#[derive(Clone, Debug, Object)]
pub(crate) struct InitiativeStep {
    /// What is to be done.
    pub(crate) title: String,
    /// The week it starts.
    pub(crate) start: NaiveDate,
    /// What is applied.
    pub(crate) action: Box<Action>,
}

/// A value is corrected or left out.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct DataFixAction {
    /// Project.
    pub(crate) project: Id<ProjectId>,
    /// Brand.
    pub(crate) brand: Id<BrandId>,
    /// Metric.
    pub(crate) metric: Id<MetricId>,
    /// Period.
    pub(crate) period: NaiveDate,
    /// Value as ingested.
    pub(crate) from: f64,
    /// Value to use instead; the period is left out when there is none.
    pub(crate) to: Option<f64>,
}

/// What approving does. This, and only this, is applied.
#[derive(Clone, Debug, Union)]
#[oai(discriminator_name = "kind", one_of, rename_all = "snake_case")]
pub(crate) enum Action {
    /// Becomes the plan of record.
    BudgetPlan(BudgetPlanAction),
    /// Becomes a standing constraint.
    Guard(GuardAction),
    /// Becomes a preferred joint action.
    Synergy(SynergyAction),
    /// Becomes the forecast of record.
    ForecastRevision(ForecastRevisionAction),
    /// Becomes a target.
    MetricTarget(MetricTargetAction),
    /// Its steps become drafts of their own.
    Initiative(InitiativeAction),
    /// Becomes a correction of ingested data.
    DataFix(DataFixAction),
}

impl Mirror for InitiativeStep {
    type Of = DomainStep;

    fn of(step: DomainStep) -> Self {
        let DomainStep {
            title,
            start,
            action,
        } = step;
        Self {
            title,
            start,
            action: Mirror::of(action),
        }
    }
}

impl Reflect for InitiativeStep {
    fn back(self) -> DomainStep {
        let Self {
            title,
            start,
            action,
        } = self;
        DomainStep {
            title,
            start,
            action: action.back(),
        }
    }
}

impl Mirror for Action {
    type Of = DomainAction;

    fn of(action: DomainAction) -> Self {
        match action {
            DomainAction::BudgetPlan {
                plan,
                start,
                weeks,
                total,
                lines,
            } => Self::BudgetPlan(BudgetPlanAction {
                plan: Id(plan),
                start,
                weeks,
                total: Mirror::of(total),
                lines: Mirror::of(lines),
            }),
            DomainAction::Guard { rule } => Self::Guard(GuardAction {
                rule: Mirror::of(rule),
            }),
            DomainAction::Synergy { rule } => Self::Synergy(SynergyAction {
                rule: Mirror::of(rule),
            }),
            DomainAction::ForecastRevision {
                forecast,
                brand,
                metric,
            } => Self::ForecastRevision(ForecastRevisionAction {
                forecast: Id(forecast),
                brand: Id(brand),
                metric: Id(metric),
            }),
            DomainAction::MetricTarget {
                brand,
                metric,
                from,
                to,
                due,
            } => Self::MetricTarget(MetricTargetAction {
                brand: Id(brand),
                metric: Id(metric),
                from,
                to,
                due,
            }),
            DomainAction::Initiative {
                steps,
                assumptions,
                reviews,
            } => Self::Initiative(InitiativeAction {
                steps: Mirror::of(steps),
                assumptions,
                reviews,
            }),
            DomainAction::DataFix {
                project,
                brand,
                metric,
                period,
                from,
                to,
            } => Self::DataFix(DataFixAction {
                project: Id(project),
                brand: Id(brand),
                metric: Id(metric),
                period,
                from,
                to,
            }),
        }
    }
}

impl Reflect for Action {
    fn back(self) -> DomainAction {
        match self {
            Self::BudgetPlan(BudgetPlanAction {
                plan,
                start,
                weeks,
                total,
                lines,
            }) => DomainAction::BudgetPlan {
                plan: plan.0,
                start,
                weeks,
                total: total.back(),
                lines: lines.back(),
            },
            Self::Guard(GuardAction { rule }) => DomainAction::Guard { rule: rule.back() },
            Self::Synergy(SynergyAction { rule }) => DomainAction::Synergy { rule: rule.back() },
            Self::ForecastRevision(ForecastRevisionAction {
                forecast,
                brand,
                metric,
            }) => DomainAction::ForecastRevision {
                forecast: forecast.0,
                brand: brand.0,
                metric: metric.0,
            },
            Self::MetricTarget(MetricTargetAction {
                brand,
                metric,
                from,
                to,
                due,
            }) => DomainAction::MetricTarget {
                brand: brand.0,
                metric: metric.0,
                from,
                to,
                due,
            },
            Self::Initiative(InitiativeAction {
                steps,
                assumptions,
                reviews,
            }) => DomainAction::Initiative {
                steps: steps.back(),
                assumptions,
                reviews,
            },
            Self::DataFix(DataFixAction {
                project,
                brand,
                metric,
                period,
                from,
                to,
            }) => DomainAction::DataFix {
                project: project.0,
                brand: brand.0,
                metric: metric.0,
                period,
                from,
                to,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::budget::Rule as DomainRule;
    use poem_openapi::types::{ParseFromJSON, ToJSON};

    use super::*;

    fn nested() -> DomainAction {
        let brand = BrandId::derive(&["o", "b"]);
        DomainAction::Initiative {
            steps: vec![
                DomainStep {
                    title: "cap it".into(),
                    start: NaiveDate::from_ymd_opt(2026, 1, 5).expect("a date"),
                    action: Box::new(DomainAction::Guard {
                        rule: DomainRule::Cap {
                            brand: Some(brand),
                            channel: None,
                            weekly: 1250.into(),
                        },
                    }),
                },
                DomainStep {
                    title: "correct it".into(),
                    start: NaiveDate::from_ymd_opt(2026, 1, 12).expect("a date"),
                    action: Box::new(DomainAction::DataFix {
                        project: ProjectId::derive(&["o", "p"]),
                        brand,
                        metric: MetricId::derive(&["o", "m"]),
                        period: NaiveDate::from_ymd_opt(2025, 12, 29).expect("a date"),
                        from: 1.5,
                        to: None,
                    }),
                },
            ],
            assumptions: vec!["the season repeats".into()],
            reviews: vec![NaiveDate::from_ymd_opt(2026, 3, 2).expect("a date")],
        }
    }

    #[test]
    fn an_action_survives_the_wire_with_its_hash() {
        let action = nested();
        let json = Action::of(action.clone()).to_json();
        let back = Action::parse_from_json(json)
            .expect("it is our own JSON")
            .back();
        assert_eq!(back.hash(), action.hash());
    }

    #[test]
    fn a_view_has_the_json_of_its_domain_type() {
        let action = nested();
        let view = Action::of(action.clone()).to_json().expect("an object");
        assert_eq!(
            without_nulls(serde_json::to_value(&action).expect("plain data")),
            view
        );
    }

    fn without_nulls(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(fields) => fields
                .into_iter()
                .filter(|(_, field)| !field.is_null())
                .map(|(name, field)| (name, without_nulls(field)))
                .collect(),
            serde_json::Value::Array(items) => items.into_iter().map(without_nulls).collect(),
            other => other,
        }
    }
}
