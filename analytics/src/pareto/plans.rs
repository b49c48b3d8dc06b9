//! Fronts of allocation plans: exact plans as seeds, a genetic search for objectives that a problem cannot express, and for
//! every plan found its gap to the bound.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Front, ParetoError, Search, Settings};
use crate::{
    allocation::{self, AllocationError, Grid, Problem, Total},
    cancel::Cancel,
};

/// Exact plans solved for the bound per exact plan that seeds the search: tangents between them cut closer.
const BOUNDS_PER_SEED: usize = 8;

/// An exact plan at one total, with what it proves about other totals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExactPlan {
    /// Spends, brand by brand.
    pub spend: Vec<f64>,
    /// Their sum.
    pub total: f64,
    /// Value.
    pub value: f64,
    /// No plan of this total is worth more.
    pub bound: f64,
    /// Price of the total at this plan: what one more unit earns here.
    pub price: f64,
    /// What no plan of this total is worth more than by Lagrangian duality alone, before curves that are not concave were split.
    pub dual_bound: f64,
    /// Rise of that bound per unit of the total. It holds at every total, which `price` does not.
    pub dual_price: f64,
}

impl ExactPlan {
    /// No plan that spends `total` is worth more: the Lagrangian over all spends within the bounds, at the prices of this total.
    /// At this plan's own total the bound of the plan itself.
    #[must_use]
    pub fn bound_at(&self, total: f64) -> f64 {
        if total == self.total {
            return self.bound;
        }
        self.dual_bound + self.dual_price * (total - self.total)
    }
}

/// A plan of a front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontPlan {
    /// Spends, brand by brand.
    pub spend: Vec<f64>,
    /// Their sum.
    pub total: f64,
    /// Value.
    pub value: f64,
    /// What any plan of the same total could be worth more, at most; zero within rounding.
    pub gap: f64,
    /// The further objectives.
    pub others: Vec<f64>,
}

/// A front of plans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanFront {
    /// Plans that no other plan found dominates, by rising total.
    pub plans: Vec<FrontPlan>,
    /// The exact plans the search started from.
    pub exact: Vec<ExactPlan>,
    /// Points evaluated.
    pub evaluations: usize,
}

/// Why a front could not be found.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlanFrontError {
    /// The problem.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// The search.
    #[error(transparent)]
    Pareto(#[from] ParetoError),
}

/// Exact plans at `count` totals evenly spread between the least and the most that bounds allow. Totals that rules do not
/// allow are left out.
///
/// # Errors
/// As [`allocation::solve`]; weekly problems and scenarios have no fronts.
pub fn exact(
    problem: &Problem,
    count: usize,
    cancel: &dyn Cancel,
) -> Result<Vec<ExactPlan>, AllocationError> {
    let (lower, upper) = allocation::bounds(problem)?;
    let (least, most) = (lower.iter().sum::<f64>(), upper.iter().sum::<f64>());
    let mut plans = Vec::with_capacity(count);
    for k in 0..count {
        let share = if count > 1 {
            k as f64 / (count - 1) as f64
        } else {
            0.5
        };
        let total = least + share * (most - least);
        let at = Problem {
            total: Total::Exactly(total),
            ..bounded(problem)
        };
        let found = allocation::solve_priced(&at, &allocation::Settings::default(), cancel)?;
        if let Some(found) = found {
            let plan = found.plan;
            // The sum differs from the total asked for by rounding.
            let off = plan.total - total;
            plans.push(ExactPlan {
                spend: plan.spend.concat(),
                total: plan.total,
                value: plan.value,
                bound: plan.certificate.bound,
                price: plan.certificate.price_of_total(),
                dual_bound: found.bound + found.price * off,
                dual_price: found.price,
            });
        }
    }
    Ok(plans)
}

/// The problem with its own upper bounds: unstated ones follow the total, and a bound from one total would not hold at another.
fn bounded(problem: &Problem) -> Problem {
    let most = match problem.total {
        Total::Exactly(total) => total,
        Total::Between { max, .. } => max,
    };
    let upper = problem.upper.clone().unwrap_or(Grid::Same(most));
    Problem {
        upper: Some(upper),
        ..problem.clone()
    }
}

/// A further objective of a plan, to be made small.
pub type Objective<'a> = &'a (dyn Fn(&[f64]) -> f64 + Sync);

/// Searches for plans that are good in value (large), total (small) and `others` (small), within the problem's bounds, starting
/// from exact plans. Rules of the problem count as constraints. `settings.seeds` come on top of the exact plans.
///
/// # Errors
/// [`PlanFrontError`] for a problem or search that makes no sense, or when the caller wants to stop.
pub fn front(
    problem: &Problem,
    seeds: usize,
    others: &[Objective<'_>],
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<PlanFront, PlanFrontError> {
    let (lower, upper) = allocation::bounds(problem)?;
    let fine = exact(problem, (seeds.max(1) - 1) * BOUNDS_PER_SEED + 1, cancel)?;
    let free = Problem {
        total: Total::Between {
            min: 0.0,
            max: upper.iter().sum(),
        },
        ..bounded(problem)
    };
    let judge = allocation::Judge::new(&free)?;
    let measure = |x: &[f64], f: &mut [f64]| -> f64 {
        f[0] = -judge.value(x);
        f[1] = x.iter().sum();
        for (f, objective) in f[2..].iter_mut().zip(others) {
            *f = objective(x);
        }
        judge.violation(x)
    };
    let repair = |x: &mut [f64]| judge.repair(x);
    let most = judge.most();
    let exact: Vec<ExactPlan> = match seeds {
        0 => Vec::new(),
        _ => fine.iter().step_by(BOUNDS_PER_SEED).cloned().collect(),
    };
    let mut settings = settings.clone();
    settings
        .seeds
        .splice(0..0, exact.iter().map(|plan| plan.spend.clone()));
    let found: Front = super::search(
        &Search {
            lower: &lower,
            upper: &upper,
            objectives: 2 + others.len(),
            evaluate: &measure,
            repair: Some(&repair),
        },
        &settings,
        cancel,
    )?;
    let mut plans: Vec<FrontPlan> = found
        .front
        .iter()
        .map(|&i| &found.population[i])
        .filter(|member| member.violation == 0.0)
        .map(|member| {
            let (value, total) = (-member.objectives[0], member.objectives[1]);
            let bound = fine
                .iter()
                .map(|plan| plan.bound_at(total))
                .fold(most, f64::min);
            // A gap below zero by more than rounding would be a false bound, and is left to be seen.
            let gap = bound - value;
            let rounding = 1e-8 * value.abs();
            FrontPlan {
                spend: member.x.clone(),
                total,
                value,
                gap: if (-rounding..0.0).contains(&gap) {
                    0.0
                } else {
                    gap
                },
                others: member.objectives[2..].to_vec(),
            }
        })
        .collect();
    plans.sort_by(|a, b| a.total.total_cmp(&b.total));
    Ok(PlanFront {
        plans,
        exact,
        evaluations: found.evaluations,
    })
}
