//! Fronts of allocation plans: exact plans as seeds, a genetic search for objectives that a problem cannot express, and for
//! every plan found its gap to the bound.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Front, ParetoError, Search, Settings};
use crate::{
    allocation::{self, AllocationError, Problem, Total},
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
    /// Price of the total.
    pub price: f64,
}

impl ExactPlan {
    /// No plan that spends `total` is worth more: the Lagrangian at this plan's prices.
    #[must_use]
    pub fn bound_at(&self, total: f64) -> f64 {
        self.bound + self.price * (total - self.total)
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
    /// What any plan of the same total could be worth more, at most.
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
/// As [`allocation::solve`].
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
            ..problem.clone()
        };
        let answer = allocation::solve(&at, &allocation::Settings::default(), cancel)?;
        if let Some(plan) = answer.plan() {
            plans.push(ExactPlan {
                spend: plan.spend.concat(),
                total: plan.total,
                value: plan.value,
                bound: plan.certificate.bound,
                price: plan.certificate.price_of_total(),
            });
        }
    }
    Ok(plans)
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
        ..problem.clone()
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
            repair: None,
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
                .fold(f64::INFINITY, f64::min);
            FrontPlan {
                spend: member.x.clone(),
                total,
                value,
                gap: (bound - value).max(0.0),
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
