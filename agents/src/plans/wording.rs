//! What people read of an action they made or changed. The agents word their own proposals in their `rules`.

use domain::{
    budget::{Plan, PlanLine, Rule},
    id::{BrandId, ChannelId},
    recommendation::{Action, Evidence, InitiativeStep, Recommendation},
    unit::Effect,
};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    optimisation::rules::plan_evidence,
    view::{View, evidence, grouped},
};

/// Stands between the words for an edited action and the agent's own, which speak of its proposal: numbers of the proposal
/// never stand as if they were those of the edit.
const BEFORE_THE_EDIT: &str = " Before the edit: ";

/// Title and summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wording {
    pub(super) title: String,
    pub(super) summary: String,
}

/// Words for the edited action of a recommendation.
pub(super) fn of(
    view: &View,
    before: &Recommendation,
    action: &Action,
    effect: Option<&Effect>,
) -> Wording {
    let (title, does) = match action {
        Action::BudgetPlan {
            start,
            weeks,
            lines,
            ..
        } => (
            plan_title(view, lines),
            format!(
                "{}. Approved, it is the plan of record for {weeks} weeks from {start}.",
                changes(view, lines)
            ),
        ),
        Action::Guard { rule } | Action::Synergy { rule } => (
            rule_title(view, rule),
            format!(
                "{}. Once approved, every later plan obeys the rule.",
                rule_limit(view, rule)
            ),
        ),
        Action::MetricTarget {
            brand,
            metric,
            from,
            to,
            due,
        } => {
            let name = format!(
                "{} of {}",
                view.metric_name(*metric),
                view.brand_name(*brand)
            );
            (
                format!("Bring {name} to {} by {due}", number(*to)),
                format!(
                    "{name} stood at {}; the target is {} by {due}.",
                    number(*from),
                    number(*to)
                ),
            )
        }
        Action::DataFix {
            project,
            brand,
            metric,
            period,
            from,
            to,
        } => {
            let name = format!(
                "{} of {}",
                view.metric_name(*metric),
                view.brand_name(*brand)
            );
            let title = match to {
                Some(to) => format!("Read {name} as {} in the week of {period}", number(*to)),
                None => format!("Leave {name} out in the week of {period}"),
            };
            let summary = format!(
                "in {} it was imported as {}. The imported value stays and the correction can be undone.",
                view.project_name(*project),
                number(*from)
            );
            (title, summary)
        }
        Action::Initiative { steps, .. } => (initiative_title(steps), initiative_summary(steps)),
        // It names a stored forecast and nothing in it can be edited.
        Action::ForecastRevision { .. } => (before.title.clone(), "a forecast.".to_owned()),
    };
    let expected = effect.map_or_else(String::new, |effect| {
        format!(
            " Over {} weeks it is expected to bring {} against carrying on.",
            effect.horizon_weeks,
            view.money(effect.value)
        )
    });
    let proposed = before
        .summary
        .split_once(BEFORE_THE_EDIT)
        .map_or(before.summary.as_str(), |(_, proposed)| proposed);
    let summary = format!("Edited: {does}{expected}{BEFORE_THE_EDIT}{proposed}");
    Wording { title, summary }
}

/// Money that lines gain a week, taken together.
pub(super) fn moved(lines: &[PlanLine]) -> f64 {
    let gains = lines
        .iter()
        .map(|l| (l.weekly - l.current).max(Decimal::ZERO));
    gains.sum::<Decimal>().to_f64().unwrap_or(f64::NAN)
}

/// The brands whose lines change.
pub(super) fn brands(lines: &[PlanLine]) -> Vec<BrandId> {
    let mut brands: Vec<BrandId> = lines
        .iter()
        .filter(|l| l.weekly != l.current)
        .map(|l| l.brand)
        .collect();
    brands.sort();
    brands.dedup();
    brands
}

/// The numbers behind a plan that a person made, and who made it.
pub(super) fn numbers(view: &View, plan: &Plan, author: &str) -> Vec<Evidence> {
    let mut numbers = plan_evidence(view, plan, moved(&plan.lines));
    numbers.push(evidence(
        "made by hand",
        f64::NAN,
        "",
        None,
        format!("submitted by {author}; there is no proof that no plan is better"),
        &plan.provenance,
    ));
    numbers
}

fn line_name(view: &View, brand: BrandId, channel: ChannelId) -> String {
    format!(
        "{} of {}",
        view.channel_name(channel),
        view.brand_name(brand)
    )
}

fn amount(view: &View, amount: Decimal) -> String {
    view.money(amount.to_f64().unwrap_or(f64::NAN))
}

fn plan_title(view: &View, lines: &[PlanLine]) -> String {
    let net: Decimal = lines.iter().map(|l| l.weekly - l.current).sum();
    if brands(lines).is_empty() {
        "Go on spending as now".to_owned()
    } else if net.is_zero() {
        format!(
            "Shift {} a week within the same budget",
            view.money(moved(lines))
        )
    } else if net > Decimal::ZERO {
        format!("Spend {} a week more", amount(view, net))
    } else {
        format!("Spend {} a week less", amount(view, -net))
    }
}

/// The largest step down, the largest step up, and how many lines move besides.
fn changes(view: &View, lines: &[PlanLine]) -> String {
    let by = |line: &PlanLine| line.weekly - line.current;
    let down = lines
        .iter()
        .min_by_key(|l| by(l))
        .filter(|l| by(l) < Decimal::ZERO);
    let up = lines
        .iter()
        .max_by_key(|l| by(l))
        .filter(|l| by(l) > Decimal::ZERO);
    let told: Vec<String> = down
        .map(|l| (l, -by(l), "less"))
        .into_iter()
        .chain(up.map(|l| (l, by(l), "more")))
        .map(|(l, by, how)| {
            format!(
                "{} a week {how} for {}",
                amount(view, by),
                line_name(view, l.brand, l.channel)
            )
        })
        .collect();
    let others = lines.iter().filter(|l| !by(l).is_zero()).count() - told.len();
    match (told.is_empty(), others) {
        (true, _) => "every line stays as it is".to_owned(),
        (false, 0) => told.join(", "),
        (false, others) => format!("{}; {others} other lines change too", told.join(", ")),
    }
}

fn rule_title(view: &View, rule: &Rule) -> String {
    let lines = |brand: &Option<BrandId>, channel: &Option<ChannelId>| match (brand, channel) {
        (Some(brand), Some(channel)) => line_name(view, *brand, *channel),
        (Some(brand), None) => format!("all media of {}", view.brand_name(*brand)),
        (None, Some(channel)) => format!("{} of all brands", view.channel_name(*channel)),
        (None, None) => "all media of all brands".to_owned(),
    };
    match rule {
        Rule::Cap {
            brand,
            channel,
            weekly,
        } => format!(
            "Cap {} at {} a week",
            lines(brand, channel),
            amount(view, *weekly)
        ),
        Rule::Minimum {
            brand,
            channel,
            weekly,
        } => format!(
            "Keep at least {} a week for {}",
            amount(view, *weekly),
            lines(brand, channel)
        ),
        Rule::Exclusion { brand, channel } => {
            format!("Leave {} as it is", line_name(view, *brand, *channel))
        }
        Rule::CannibalisationCap {
            driver,
            affected,
            weekly,
        } => format!(
            "Cap {}'s media at {} a week: it takes sales from {}",
            view.brand_name(*driver),
            amount(view, *weekly),
            view.brand_name(*affected)
        ),
        Rule::JointAction {
            driver,
            affected,
            weekly,
        } => format!(
            "Keep {}'s media at {} a week or more to lift {} too",
            view.brand_name(*driver),
            amount(view, *weekly),
            view.brand_name(*affected)
        ),
    }
}

fn rule_limit(view: &View, rule: &Rule) -> String {
    match rule {
        Rule::Cap { weekly, .. } | Rule::CannibalisationCap { weekly, .. } => {
            format!("at most {} a week", amount(view, *weekly))
        }
        Rule::Minimum { weekly, .. } | Rule::JointAction { weekly, .. } => {
            format!("at least {} a week", amount(view, *weekly))
        }
        Rule::Exclusion { .. } => "the line stays as it is".to_owned(),
    }
}

fn initiative_title(steps: &[InitiativeStep]) -> String {
    match steps {
        [] => "No step is left".to_owned(),
        [only] => only.title.clone(),
        [first, rest @ ..] => format!("{}, and {} more", first.title, counted(rest.len())),
    }
}

fn initiative_summary(steps: &[InitiativeStep]) -> String {
    let told: Vec<String> = steps
        .iter()
        .map(|step| format!("{} (from {})", step.title, step.start))
        .collect();
    format!(
        "{}: {}. Approved, each step becomes a recommendation of its own.",
        counted(steps.len()),
        told.join("; ")
    )
}

fn counted(steps: usize) -> String {
    if steps == 1 {
        "1 step".to_owned()
    } else {
        format!("{steps} steps")
    }
}

/// A metric's value: whole with thousands separated when it is large, otherwise to two decimals.
fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        grouped(value)
    } else {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_keep_their_decimals() {
        let told = [1_234.4, 0.35, 4.0, 0.0].map(number);
        assert_eq!(told, ["1,234", "0.35", "4", "0"]);
    }
}
