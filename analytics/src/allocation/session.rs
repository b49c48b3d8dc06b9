//! What-if questions: one edit, and everything that is not locked answers.

use serde::{Deserialize, Serialize};

use super::{
    AllocationError, Answer, Plan, Settings, branch, explain_static,
    interior::Row,
    problem::{Laid, Problem, Total},
    rows::{self, Named},
    rule::Rule,
    separable::{Cells, Domain},
    static_plan,
};
use crate::cancel::Cancel;

/// A change to a problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum Edit {
    /// A cell spends exactly this.
    Set {
        /// Brand.
        brand: usize,
        /// Channel.
        channel: usize,
        /// Spend.
        spend: f64,
    },
    /// A cell stays where the last plan put it.
    Lock {
        /// Brand.
        brand: usize,
        /// Channel.
        channel: usize,
    },
    /// A brand stays where the last plan put it.
    LockBrand {
        /// Brand.
        brand: usize,
    },
    /// A cell may move within its bounds again.
    Unlock {
        /// Brand.
        brand: usize,
        /// Channel.
        channel: usize,
    },
    /// Another total.
    Total {
        /// Amount.
        amount: f64,
    },
    /// One more rule.
    Add {
        /// The rule. Rules on single cells are edits of their own.
        rule: Rule,
    },
}

/// A problem with its curves laid out and its last plan, ready for edits.
#[derive(Debug, Clone)]
pub struct Session {
    problem: Problem,
    laid: Laid,
    named: Vec<Named>,
    cells: Cells,
    /// Spends that edits fixed, by cell.
    locks: Vec<Option<f64>>,
    settings: Settings,
    last: Option<Plan>,
}

impl Session {
    /// Opens a session and solves the problem as it stands.
    ///
    /// # Errors
    /// As [`super::solve`]; weekly and uncertain problems are not answered here.
    pub fn open(
        problem: &Problem,
        settings: &Settings,
        cancel: &dyn Cancel,
    ) -> Result<(Self, Answer), AllocationError> {
        if problem.weeks.is_some() || problem.scenarios.is_some() {
            return Err(AllocationError::Unsupported(
                "what-if sessions are for problems without weeks and scenarios",
            ));
        }
        let laid = problem.lay()?;
        let named = rows::rows(&laid, &problem.rules)?;
        let cells = Cells::new(&laid, named.iter().map(|n| n.row.clone()).collect());
        let mut session = Self {
            problem: problem.clone(),
            laid,
            named,
            locks: vec![None; cells.domains.len()],
            cells,
            settings: *settings,
            last: None,
        };
        let answer = session.answer(cancel)?;
        Ok((session, answer))
    }

    /// Applies an edit and plans everything else again within the locks. When no plan obeys the edit, the answer says why and
    /// the session stays as it was.
    ///
    /// # Errors
    /// [`AllocationError`] for an edit that makes no sense, or when the caller wants to stop.
    pub fn edit(&mut self, edit: &Edit, cancel: &dyn Cancel) -> Result<Answer, AllocationError> {
        let before = self.clone();
        let answer = self.apply(edit).and_then(|()| self.answer(cancel));
        if !matches!(answer, Ok(Answer::Planned(_))) {
            *self = before;
        }
        answer
    }

    fn apply(&mut self, edit: &Edit) -> Result<(), AllocationError> {
        let channels = self.laid.channels.len();
        let brands = self.laid.brands.len();
        let cell = |brand: usize, channel: usize| {
            if brand < brands && channel < channels {
                Ok(brand * channels + channel)
            } else {
                Err(AllocationError::NoCell { brand, channel })
            }
        };
        let amount = |value: f64| {
            if value.is_finite() && value >= 0.0 {
                Ok(value)
            } else {
                Err(AllocationError::Number {
                    name: "an edit",
                    value,
                })
            }
        };
        let planned = |i: usize| {
            self.last
                .as_ref()
                .map(|plan| plan.cells[i].spend)
                .ok_or(AllocationError::Unsupported("there is no plan to lock"))
        };
        match edit {
            Edit::Set {
                brand,
                channel,
                spend,
            } => {
                let i = cell(*brand, *channel)?;
                self.locks[i] = Some(amount(*spend)?);
            }
            Edit::Lock { brand, channel } => {
                let i = cell(*brand, *channel)?;
                self.locks[i] = Some(planned(i)?);
            }
            Edit::LockBrand { brand } => {
                for channel in 0..channels {
                    let i = cell(*brand, channel)?;
                    self.locks[i] = Some(planned(i)?);
                }
            }
            Edit::Unlock { brand, channel } => {
                let i = cell(*brand, *channel)?;
                self.locks[i] = None;
            }
            Edit::Total { amount: total } => {
                // Bounds that nobody stated follow the total.
                self.problem.total = Total::Exactly(amount(*total)?);
                self.laid = self.problem.lay()?;
                self.named = rows::rows(&self.laid, &self.problem.rules)?;
                self.cells = Cells::new(&self.laid, self.rows());
            }
            Edit::Add { rule } => {
                rule.check(self.problem.rules.len(), self.laid.extent())?;
                let number = self.problem.rules.len();
                let rows = rows::rows(&self.laid, std::slice::from_ref(rule))?;
                let Some(mut named) = rows.into_iter().nth(1) else {
                    return Err(AllocationError::Unsupported(
                        "rules on single cells are edits of their own",
                    ));
                };
                named.origin = rows::Origin::Rule(number);
                self.problem.rules.push(rule.clone());
                self.named.push(named);
                self.cells = Cells::new(&self.laid, self.rows());
            }
        }
        let domains = self.cells.domains.iter_mut();
        for ((domain, cell), lock) in domains.zip(&self.laid.cells).zip(&self.locks) {
            *domain = lock.map_or_else(|| Domain::of(cell), Domain::point);
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row> {
        self.named.iter().map(|n| n.row.clone()).collect()
    }

    fn answer(&mut self, cancel: &dyn Cancel) -> Result<Answer, AllocationError> {
        let Some(found) = branch::solve(&self.cells, &self.settings, cancel)? else {
            return explain_static(&self.laid, &self.named, &self.cells, &self.settings, cancel);
        };
        let plan = static_plan(&self.laid, &self.named, &self.cells, &found);
        self.last = Some(plan.clone());
        Ok(Answer::Planned(Box::new(plan)))
    }

    /// The last plan.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.last.as_ref()
    }
}

/// Where one more amount of money goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NextUnit {
    /// The amount.
    pub amount: f64,
    /// What it earns.
    pub gain: f64,
    /// The same per unit, which for a small amount is the price of the total.
    pub per_unit: f64,
    /// Change of each cell, brand-major; a cell may give way to another.
    pub change: Vec<Vec<f64>>,
    /// Cells by what one more unit there is worth after the price of every rule but the total, best first.
    pub ranking: Vec<(String, String, f64)>,
}

/// Places `amount` more than the plan's total, everything else as the problem says.
///
/// # Errors
/// As [`super::solve`]; [`AllocationError::Number`] for an amount that is not above zero,
/// [`AllocationError::Unsolved`] when the larger total cannot be spent.
pub fn next_unit(
    problem: &Problem,
    plan: &Plan,
    amount: f64,
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<NextUnit, AllocationError> {
    if !(amount.is_finite() && amount > 0.0) {
        return Err(AllocationError::Number {
            name: "the amount to place",
            value: amount,
        });
    }
    let more = Problem {
        total: Total::Exactly(plan.total + amount),
        ..problem.clone()
    };
    let answer = super::solve(&more, settings, cancel)?;
    let Some(next) = answer.plan() else {
        return Err(AllocationError::Unsolved(
            "bounds and rules leave no room for more",
        ));
    };
    let gain = next.value - plan.value;
    let lambda = plan.certificate.price_of_total();
    let mut ranking: Vec<(String, String, f64)> = plan
        .cells
        .iter()
        .filter(|c| !matches!(c.held, super::Held::Upper | super::Held::Fixed))
        .map(|c| {
            (
                c.brand.clone(),
                c.channel.clone(),
                c.marginal - (c.price - lambda),
            )
        })
        .collect();
    ranking.sort_by(|a, b| b.2.total_cmp(&a.2));
    Ok(NextUnit {
        amount,
        gain,
        per_unit: gain / amount,
        change: plan
            .spend
            .iter()
            .zip(&next.spend)
            .map(|(a, b)| a.iter().zip(b).map(|(a, b)| b - a).collect())
            .collect(),
        ranking,
    })
}
