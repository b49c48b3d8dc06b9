//! Allocation of money over brand × channel (× week) under rules, with a certificate.
//!
//! [`solve`] takes a [`Problem`] (readable from JSON) and returns a plan with its [`Certificate`], or, where no plan exists, the
//! [`Conflict`] and the smallest relaxation. Concave curves are solved to rounding error; S-shaped ones, and rules of the kind
//! "if used, at least", to a stated gap by branch and bound over concave envelopes. [`Session`] answers what-if questions,
//! [`next_unit`] says where one more unit of money goes.
//!
//! The planner of the agents, which works on parameter draws of fitted responses, is [`crate::budget`].

mod branch;
mod certificate;
mod conflict;
mod curve;
mod envelope;
mod grid;
mod interior;
mod problem;
mod risk;
mod rows;
mod rule;
mod separable;
mod session;
#[cfg(test)]
mod tests;
mod weekly;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use certificate::{Certificate, ShadowPrice};
pub use conflict::{Conflict, Member, Relaxation};
pub use curve::{Curve, Family, Jet};
pub use grid::Grid;
pub use problem::{Attitude, Families, Problem, Scenarios, Terminal, Total, Weeks};
pub use risk::Risk;
pub use rule::Rule;
pub use session::{Edit, NextUnit, Session, next_unit};

use crate::cancel::{Cancel, Cancelled};
use certificate::Place;
use problem::Laid;
use rows::Named;
use separable::{Cells, Pieces};

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Relative gap at which branch and bound is content.
    pub gap: f64,
    /// Most relaxations that branch and bound may solve.
    pub nodes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gap: 1e-7,
            nodes: 400,
        }
    }
}

/// Why a problem could not be worked on.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum AllocationError {
    /// No cell.
    #[error("the problem has no cells or no weeks")]
    Empty,
    /// A table of the wrong shape.
    #[error("{name} has to be one number or {brands} rows of {channels}")]
    Shape {
        /// Which table.
        name: &'static str,
        /// Brands.
        brands: usize,
        /// Channels.
        channels: usize,
    },
    /// The wrong number of names.
    #[error("{given} names for {wanted} {noun}s")]
    Names {
        /// Brand or channel.
        noun: &'static str,
        /// How many were given.
        given: usize,
        /// How many are needed.
        wanted: usize,
    },
    /// A number that makes no sense.
    #[error("{value} is not possible for {name}")]
    Number {
        /// Which table.
        name: &'static str,
        /// The number.
        value: f64,
    },
    /// A lower limit above an upper one.
    #[error("{what}: the least, {lower}, is more than the most, {upper}")]
    Crossed {
        /// Where.
        what: String,
        /// Lower limit.
        lower: f64,
        /// Upper limit.
        upper: f64,
    },
    /// A rule that makes no sense for the problem.
    #[error("rule {number}: {why}")]
    Rule {
        /// Its number in the list.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Two parts of a problem that do not go together.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The method did not get to an answer, which is not a proof that there is none.
    #[error("no answer within the limits of the method: {0}")]
    Unsolved(&'static str),
    /// Stopped by the caller.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// What holds a cell where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Nothing: its marginal return is its price.
    Free,
    /// Its lower bound.
    Lower,
    /// Its upper bound.
    Upper,
    /// Its least use.
    LeastUse,
    /// It cannot move.
    Fixed,
}

/// One cell of a plan. In a weekly plan, sums over the weeks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedCell {
    /// Brand.
    pub brand: String,
    /// Channel.
    pub channel: String,
    /// Planned spend.
    pub spend: f64,
    /// Spend now.
    pub current: f64,
    /// Contribution to the objective, effects on other brands included.
    pub response: f64,
    /// Contribution of one more unit of spend. In a weekly plan, in the week where that is most.
    pub marginal: f64,
    /// What one unit of spend here costs: the price of the total and of every rule it counts towards.
    pub price: f64,
    /// What holds the cell.
    pub held: Held,
    /// Spend per week of a weekly plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekly: Vec<f64>,
}

/// A plan with its proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Spend per brand and channel.
    pub spend: Vec<Vec<f64>>,
    /// Sum of the spend.
    pub total: f64,
    /// Value of the objective.
    pub value: f64,
    /// Value of current spend, where it is known. It need not obey the rules.
    pub current_value: Option<f64>,
    /// Outcome per brand, effects of other brands' media included.
    pub outcomes: Vec<f64>,
    /// Every cell, brand by brand.
    pub cells: Vec<PlannedCell>,
    /// The scenarios' outcomes, where curves are uncertain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// Proof.
    pub certificate: Certificate,
}

/// A plan, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Answer {
    /// There is a plan.
    Planned(Box<Plan>),
    /// Rules and bounds contradict each other.
    Infeasible(Conflict),
}

impl Answer {
    /// The plan, if there is one.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Planned(plan) => Some(plan),
            Self::Infeasible(_) => None,
        }
    }

    /// The conflict, if there is one.
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Planned(_) => None,
            Self::Infeasible(conflict) => Some(conflict),
        }
    }
}

/// Solves an allocation problem.
///
/// # Errors
/// [`AllocationError`] when the problem makes no sense or the caller wants to stop; that no plan exists is an answer, not
/// an error.
pub fn solve(
    problem: &Problem,
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<Answer, AllocationError> {
    let laid = problem.lay()?;
    let named = rows::rows(&laid, &problem.rules)?;
    match (&problem.weeks, &problem.scenarios) {
        (None, None) => solve_static(&laid, &named, settings, cancel),
        (Some(weeks), None) => weekly::solve(&laid, weeks, &named, cancel),
        (None, Some(scenarios)) => risk::solve(&laid, scenarios, &named, settings, cancel),
        (Some(_), Some(_)) => Err(AllocationError::Unsupported(
            "weekly decisions and scenarios do not go together",
        )),
    }
}

pub(crate) fn solve_static(
    laid: &Laid,
    named: &[Named],
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<Answer, AllocationError> {
    let rows = named.iter().map(|n| n.row.clone()).collect();
    let cells = Cells::new(laid, rows);
    let Some(found) = branch::solve(&cells, settings, cancel)? else {
        return explain_static(laid, named, &cells, cancel);
    };
    Ok(Answer::Planned(Box::new(static_plan(
        laid, named, &cells, &found,
    ))))
}

/// The conflict of a problem without a plan.
fn explain_static(
    laid: &Laid,
    named: &[Named],
    cells: &Cells,
    cancel: &dyn Cancel,
) -> Result<Answer, AllocationError> {
    let envelopes = cells.envelopes(&cells.domains);
    let pieces = Pieces::new(cells, &cells.domains, &envelopes);
    let (lower, upper, rows) = pieces.parts();
    // Pieces of one cell share its bounds: the first carries the lower one, the last the upper one.
    let offset: Vec<f64> = pieces
        .owner
        .iter()
        .map(|&i| cells.domains[i].anchor)
        .collect();
    let test = conflict::Test {
        response: &pieces,
        lower,
        upper,
        rows,
        widest: (0.0, laid.total.1),
        offset: &offset,
        start: &pieces.start,
    };
    let owner = |piece: usize| laid.name(pieces.owner[piece]);
    match test.conflict(laid, named, &owner, cancel)? {
        Some(conflict) => Ok(Answer::Infeasible(conflict)),
        None => Err(AllocationError::Unsolved(
            "rules can hold, but no plan that obeys them was found",
        )),
    }
}

fn static_plan(laid: &Laid, named: &[Named], cells: &Cells, found: &branch::Found) -> Plan {
    let (price, weight) = cells.cell_prices(&found.prices);
    let places: Vec<Place> = (0..found.x.len())
        .map(|i| {
            let slope = cells.curves[i].slope(found.x[i]);
            // A spend too small for a number: nothing is lost by leaving it out.
            let vanishes = found.x[i] < 1e-200 && cells.is_steep(i, found.x[i], &cells.domains[i]);
            let slope = if vanishes && weight[i] > 0.0 {
                price[i] / weight[i]
            } else {
                slope
            };
            let at = |weight: f64| if weight == 0.0 { 0.0 } else { weight * slope };
            Place {
                x: found.x[i],
                lower: cells.domains[i].anchor,
                upper: cells.domains[i].upper,
                rest: cells.domains[i].used_from,
                net: at(weight[i]) - price[i],
                marginal: at(cells.weights[i]),
            }
        })
        .collect();
    let sums: Vec<f64> = named
        .iter()
        .map(|n| cells.row_sum(&n.row, &found.x))
        .collect();
    let concave = found.nodes == 1 && cells.is_concave(&cells.domains);
    let method = match (concave, named.len()) {
        (true, 1) => "equal marginals: the price of the total by Newton steps and bisection",
        (true, _) => "primal-dual interior point on the rows, polished on the active constraints",
        (false, _) => "branch and bound over concave envelopes",
    };
    let bound = found.bound.min(found.root_bound);
    let mut certificate = certificate::certify(
        method,
        &places,
        named,
        &sums,
        &found.prices,
        found.value,
        bound,
    );
    if !concave {
        certificate.notes.push(format!(
            "{} relaxations; before branching the bound was {}",
            found.nodes, found.root_bound
        ));
    }
    let planned = places
        .iter()
        .enumerate()
        .map(|(i, place)| PlannedCell {
            brand: laid.brands[laid.cells[i].brand].clone(),
            channel: laid.channels[laid.cells[i].channel].clone(),
            spend: place.x,
            current: laid.cells[i].current,
            response: cells.weights[i] * cells.curves[i].value(place.x),
            marginal: place.marginal,
            price: place.marginal - place.net,
            held: held(place),
            weekly: Vec::new(),
        })
        .collect();
    let own: Vec<f64> = (0..found.x.len())
        .map(|i| cells.curves[i].value(found.x[i]))
        .collect();
    assemble(
        laid,
        planned,
        &own,
        laid.has_current.then(|| cells.value(&cells.current)),
        certificate,
    )
}

/// What holds a variable.
fn held(place: &Place) -> Held {
    let near = 1e-9 * place.upper.abs().max(1e-12);
    if place.upper - place.lower <= near {
        Held::Fixed
    } else if place.x <= place.lower + near {
        Held::Lower
    } else if place.x >= place.upper - near {
        Held::Upper
    } else if place.rest > place.lower && (place.x - place.rest).abs() <= near {
        Held::LeastUse
    } else {
        Held::Free
    }
}

/// Puts a plan together from its cells and their own responses.
fn assemble(
    laid: &Laid,
    cells: Vec<PlannedCell>,
    own: &[f64],
    current_value: Option<f64>,
    certificate: Certificate,
) -> Plan {
    let channels = laid.channels.len();
    let brand_own: Vec<f64> = own.chunks(channels).map(|row| row.iter().sum()).collect();
    Plan {
        spend: cells
            .chunks(channels)
            .map(|row| row.iter().map(|c| c.spend).collect())
            .collect(),
        total: cells.iter().map(|c| c.spend).sum(),
        value: certificate.value,
        current_value,
        outcomes: (0..brand_own.len())
            .map(|i| {
                brand_own[i]
                    + (0..brand_own.len())
                        .map(|j| laid.cross[i][j] * brand_own[j])
                        .sum::<f64>()
            })
            .collect(),
        cells,
        risk: None,
        certificate,
    }
}

/// Value of any spends, brand by brand, channel by channel (and week by week), whether or not they obey the rules.
///
/// # Errors
/// [`AllocationError`] when the problem makes no sense or the list has the wrong length.
pub fn evaluate(problem: &Problem, spend: &[f64]) -> Result<f64, AllocationError> {
    let laid = problem.lay()?;
    if spend.len() != laid.cells.len() * laid.span {
        return Err(AllocationError::Unsupported(
            "one spend per cell and week is needed",
        ));
    }
    if let Some(value) = spend.iter().find(|v| !v.is_finite() || **v < 0.0) {
        return Err(AllocationError::Number {
            name: "spend",
            value: *value,
        });
    }
    match (&problem.weeks, &problem.scenarios) {
        (None, None) => Ok(Cells::new(&laid, Vec::new()).value(spend)),
        (Some(weeks), None) => weekly::evaluate(&laid, weeks, spend),
        (None, Some(scenarios)) => {
            let named = rows::rows(&laid, &problem.rules)?;
            risk::evaluate(&laid, scenarios, &named, spend, &crate::cancel::never)
        }
        (Some(_), Some(_)) => Err(AllocationError::Unsupported(
            "weekly decisions and scenarios do not go together",
        )),
    }
}

/// Lower and upper bound of every cell, brand by brand, limits of change on single cells included.
///
/// # Errors
/// [`AllocationError`] when the problem makes no sense.
pub fn bounds(problem: &Problem) -> Result<(Vec<f64>, Vec<f64>), AllocationError> {
    let laid = problem.lay()?;
    Ok(laid.cells.iter().map(|c| (c.lower, c.upper)).unzip())
}

/// A problem laid out for judging many plans.
#[derive(Debug, Clone)]
pub struct Judge {
    cells: Cells,
}

impl Judge {
    /// Lays a problem without weeks and scenarios out.
    ///
    /// # Errors
    /// [`AllocationError`] when the problem makes no sense.
    pub fn new(problem: &Problem) -> Result<Self, AllocationError> {
        if problem.weeks.is_some() || problem.scenarios.is_some() {
            return Err(AllocationError::Unsupported(
                "plans are judged one by one for problems without weeks and scenarios",
            ));
        }
        let laid = problem.lay()?;
        let named = rows::rows(&laid, &problem.rules)?;
        Ok(Self {
            cells: Cells::new(&laid, named.into_iter().map(|n| n.row).collect()),
        })
    }

    /// Value of a plan, brand by brand.
    #[must_use]
    pub fn value(&self, spend: &[f64]) -> f64 {
        self.cells.value(spend)
    }

    /// Largest violation of a rule or of the total, relative to its size; zero within rounding.
    #[must_use]
    pub fn violation(&self, spend: &[f64]) -> f64 {
        let most = self.cells.violation(spend);
        if most < 1e-9 { 0.0 } else { most }
    }
}

/// Checks a plan again: value, rules, optimality conditions and bound are recomputed from the spends and the prices that the
/// plan states.
///
/// # Errors
/// [`AllocationError`] when the problem makes no sense or the plan does not belong to it.
pub fn verify(problem: &Problem, plan: &Plan) -> Result<Certificate, AllocationError> {
    let laid = problem.lay()?;
    let named = rows::rows(&laid, &problem.rules)?;
    match (&problem.weeks, &problem.scenarios) {
        (None, None) => {}
        (Some(weeks), None) => return weekly::verify(&laid, weeks, &named, plan),
        (_, Some(_)) => {
            return Err(AllocationError::Unsupported(
                "plans under scenarios are checked by solving again",
            ));
        }
    }
    let x = plan.spend.concat();
    if x.len() != laid.cells.len() || plan.certificate.prices.len() != named.len() {
        return Err(AllocationError::Unsupported(
            "the plan belongs to another problem",
        ));
    }
    let cells = Cells::new(&laid, named.iter().map(|n| n.row.clone()).collect());
    let envelopes = cells.envelopes(&cells.domains);
    let prices = plan.certificate.prices.clone();
    let bound = cells.bound(&cells.domains, &envelopes, &prices);
    let found = branch::Found {
        value: cells.value(&x),
        x,
        root_prices: prices.clone(),
        prices,
        bound,
        root_bound: bound,
        nodes: 1,
    };
    Ok(static_plan(&laid, &named, &cells, &found).certificate)
}
