//! One decision over everybody's proposals: a pure, deterministic function of the proposals and the board.
//!
//! First the hard rules, each by itself: fresh data, budget conserved, standing rules kept, no media raised that is known
//! to take more from a sibling brand than it may (the cannibalisation veto). Then the choice: among proposals
//! that claim the same thing (a budget line, a rule, a series, a target) only one can be in the inbox; the set with
//! the largest Σ value × confidence wins, found exactly by branch and bound in each group of rivals. The order in
//! which proposals come does not matter, and a dominated proposal changes nothing. Every loser is recorded with its reason.

pub(crate) mod actor;
mod choice;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    budget::{PlanLine, Rule},
    id::{BrandId, ChannelId, RecommendationId},
    recommendation::{Action, Recommendation},
};
use rust_decimal::{Decimal, prelude::ToPrimitive};

/// A pair in which one brand's media takes sales from another, with the most the driver may spend per week.
#[derive(Clone, Debug, PartialEq)]
pub struct HarmfulPair {
    /// Brand whose media does harm.
    pub driver: BrandId,
    /// Brand that loses.
    pub affected: BrandId,
    /// Most the driver may spend per week over all channels.
    pub weekly: Decimal,
}

/// What the arbitrator knows besides the proposals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    /// Proposals whose data changed after they were computed.
    pub stale: BTreeSet<RecommendationId>,
    /// Standing rules in force.
    pub rules: Vec<Rule>,
    /// Pairs known to cannibalise.
    pub harmful: Vec<HarmfulPair>,
    /// Weekly spend by line at present; what a plan does not name goes on.
    pub current: BTreeMap<(BrandId, ChannelId), Decimal>,
    /// What recommendations that a person is deciding on, or has approved, hold already.
    pub taken: BTreeMap<String, RecommendationId>,
}

/// Why a proposal lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Code, as in [`domain::recommendation::Considered::reason`].
    pub reason: &'static str,
    /// The numbers behind it, for people.
    pub detail: String,
    /// The one that won instead, where there is one.
    pub winner: Option<RecommendationId>,
}

/// The decision, by recommendation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// These go to (or stay in) the inbox, by id.
    pub chosen: BTreeSet<RecommendationId>,
    /// These do not, and why.
    pub refused: BTreeMap<RecommendationId, Refusal>,
}

/// Relative difference of two totals that counts as the same: plans are rounded to cents per line.
const SAME_TOTAL: f64 = 0.001;

/// Chooses among `candidates`.
pub fn arbitrate(candidates: &[Recommendation], board: &Board) -> Decision {
    let mut decision = Decision::default();
    let mut rivals = Vec::new();
    let mut sorted: Vec<&Recommendation> = candidates.iter().collect();
    sorted.sort_by_key(|candidate| candidate.id);
    sorted.dedup_by_key(|candidate| candidate.id);
    for candidate in sorted {
        match hard_rules(candidate, board) {
            Some(refusal) => {
                decision.refused.insert(candidate.id, refusal);
            }
            None => rivals.push(choice::Rival::new(candidate)),
        }
    }
    choice::choose(rivals, &mut decision);
    decision
}

fn hard_rules(candidate: &Recommendation, board: &Board) -> Option<Refusal> {
    if board.stale.contains(&candidate.id) {
        return Some(Refusal {
            reason: "stale_data",
            detail: "the data changed after this was computed".to_owned(),
            winner: None,
        });
    }
    if let Some((claim, holder)) = claims(&candidate.action)
        .iter()
        .find_map(|c| board.taken.get(c).map(|by| (c.clone(), *by)))
        && holder != candidate.id
    {
        return Some(Refusal {
            reason: "budget_line_taken",
            detail: format!("{claim} is held by a recommendation that is being decided or applied"),
            winner: Some(holder),
        });
    }
    plans_of(&candidate.action)
        .into_iter()
        .find_map(|lines| plan_rules(lines, board))
}

fn plan_rules(lines: &[PlanLine], board: &Board) -> Option<Refusal> {
    let refuse = |reason, detail| {
        Some(Refusal {
            reason,
            detail,
            winner: None,
        })
    };
    let (planned, current) = totals(lines);
    if current > 0.0 && (planned - current).abs() > SAME_TOTAL * current {
        return refuse(
            "infeasible",
            format!("it would spend {planned:.0} a week instead of {current:.0}"),
        );
    }
    let mut spend = board.current.clone();
    for line in lines {
        spend.insert((line.brand, line.channel), line.weekly);
    }
    for pair in &board.harmful {
        let now = brand_total(&board.current, pair.driver);
        let then = brand_total(&spend, pair.driver);
        if then > pair.weekly.max(now) + Decimal::ONE {
            return refuse(
                "cannibalisation_veto",
                format!(
                    "it raises media that takes sales from a sibling brand from {now:.0} to {then:.0} a week, above {:.0}",
                    pair.weekly
                ),
            );
        }
    }
    board
        .rules
        .iter()
        .find_map(|rule| violation(rule, &spend, &board.current))
        .map(|detail| Refusal {
            reason: "infeasible",
            detail,
            winner: None,
        })
}

/// How a spending by line breaks a rule, in words; `None` when it keeps it.
///
/// `current` is what is spent now: an exclusion freezes a line at that, and a rule that the current spending breaks already is kept
/// when the new spending is no worse.
pub fn violation(
    rule: &Rule,
    spend: &BTreeMap<(BrandId, ChannelId), Decimal>,
    current: &BTreeMap<(BrandId, ChannelId), Decimal>,
) -> Option<String> {
    let tolerance = Decimal::new(5, 1);
    let of = |map: &BTreeMap<(BrandId, ChannelId), Decimal>,
              brand: Option<BrandId>,
              channel: Option<ChannelId>|
     -> Decimal {
        map.iter()
            .filter(|((b, c), _)| brand.is_none_or(|x| x == *b) && channel.is_none_or(|x| x == *c))
            .map(|(_, weekly)| *weekly)
            .sum()
    };
    match rule {
        Rule::Cap {
            brand,
            channel,
            weekly,
        } => {
            let (then, now) = (of(spend, *brand, *channel), of(current, *brand, *channel));
            (then > (*weekly).max(now) + tolerance)
                .then(|| format!("{then:.0} a week is above the cap of {weekly:.0}"))
        }
        Rule::Minimum {
            brand,
            channel,
            weekly,
        } => {
            let (then, now) = (of(spend, *brand, *channel), of(current, *brand, *channel));
            (then < (*weekly).min(now) - tolerance)
                .then(|| format!("{then:.0} a week is below the minimum of {weekly:.0}"))
        }
        Rule::Exclusion { brand, channel } => {
            let (then, now) = (
                of(spend, Some(*brand), Some(*channel)),
                of(current, Some(*brand), Some(*channel)),
            );
            ((then - now).abs() > tolerance).then(|| {
                format!("the line is frozen at {now:.0} a week and would move to {then:.0}")
            })
        }
        Rule::CannibalisationCap { driver, weekly, .. } => {
            let (then, now) = (
                of(spend, Some(*driver), None),
                of(current, Some(*driver), None),
            );
            (then > (*weekly).max(now) + tolerance)
                .then(|| format!("the driver's media of {then:.0} a week is above the cannibalisation cap of {weekly:.0}"))
        }
        Rule::JointAction { driver, weekly, .. } => {
            let (then, now) = (
                of(spend, Some(*driver), None),
                of(current, Some(*driver), None),
            );
            (then < (*weekly).min(now) - tolerance).then(|| {
                format!(
                    "the driver's media of {then:.0} a week is below the joint action's {weekly:.0}"
                )
            })
        }
    }
}

fn brand_total(spend: &BTreeMap<(BrandId, ChannelId), Decimal>, brand: BrandId) -> Decimal {
    spend
        .iter()
        .filter(|((b, _), _)| *b == brand)
        .map(|(_, weekly)| *weekly)
        .sum()
}

/// Planned and current weekly total of a plan's lines.
fn totals(lines: &[PlanLine]) -> (f64, f64) {
    let sum = |of: fn(&PlanLine) -> Decimal| {
        lines
            .iter()
            .map(of)
            .sum::<Decimal>()
            .to_f64()
            .unwrap_or(f64::NAN)
    };
    (sum(|line| line.weekly), sum(|line| line.current))
}

fn plans_of(action: &Action) -> Vec<&[PlanLine]> {
    match action {
        Action::BudgetPlan { lines, .. } => vec![lines],
        Action::Initiative { steps, .. } => steps
            .iter()
            .flat_map(|step| plans_of(&step.action))
            .collect(),
        _ => Vec::new(),
    }
}

/// What an action lays hold of; two actions with a claim in common cannot both be in the inbox.
pub fn claims(action: &Action) -> BTreeSet<String> {
    match action {
        Action::BudgetPlan { lines, .. } => {
            let moved = |line: &&PlanLine| {
                (line.weekly - line.current).abs()
                    > Decimal::new(5, 3) * line.current.max(Decimal::ONE)
            };
            lines
                .iter()
                .filter(moved)
                .map(|line| format!("line:{}/{}", line.brand, line.channel))
                .collect()
        }
        Action::Guard { rule } | Action::Synergy { rule } => BTreeSet::from([rule_claim(rule)]),
        Action::ForecastRevision { brand, metric, .. } => {
            BTreeSet::from([format!("forecast:{brand}/{metric}")])
        }
        Action::MetricTarget { brand, metric, .. } => {
            BTreeSet::from([format!("target:{brand}/{metric}")])
        }
        Action::Initiative { steps, .. } => {
            steps.iter().flat_map(|step| claims(&step.action)).collect()
        }
        Action::DataFix {
            project,
            brand,
            metric,
            period,
            ..
        } => BTreeSet::from([format!("value:{project}/{brand}/{metric}/{period}")]),
    }
}

fn rule_claim(rule: &Rule) -> String {
    let any = |text: Option<String>| text.unwrap_or_else(|| "*".to_owned());
    match rule {
        Rule::Cap { brand, channel, .. } | Rule::Minimum { brand, channel, .. } => {
            format!(
                "rule:{}/{}",
                any(brand.map(|b| b.to_string())),
                any(channel.map(|c| c.to_string()))
            )
        }
        Rule::Exclusion { brand, channel } => format!("rule:{brand}/{channel}"),
        Rule::CannibalisationCap { driver, .. } | Rule::JointAction { driver, .. } => {
            format!("rule:{driver}/media")
        }
    }
}
