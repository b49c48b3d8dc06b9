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
pub(crate) mod interior;
mod least_use;
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
    /// Nothing to decide on.
    #[error("the problem has no {0}")]
    Empty(&'static str),
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
    /// A table that has to be written out in full.
    #[error("{name} has to have {rows} rows of {columns}")]
    Table {
        /// Which table.
        name: &'static str,
        /// Rows.
        rows: usize,
        /// Entries of each row.
        columns: usize,
    },
    /// A list of the wrong length.
    #[error("{name} has {given} entries where {wanted} are needed")]
    Length {
        /// Which list.
        name: &'static str,
        /// How many were given.
        given: usize,
        /// How many are needed.
        wanted: usize,
    },
    /// A cell that the problem does not have.
    #[error("there is no channel {channel} of a brand {brand}")]
    NoCell {
        /// Number of the brand.
        brand: usize,
        /// Number of the channel.
        channel: usize,
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
    /// Contribution of one more unit of spend. In a weekly plan, in the week where that is most. Always finite: where a curve
    /// starts infinitely steep and nothing is spent, see [`Curve::marginal`].
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
        return explain_static(laid, named, &cells, settings, cancel);
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
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<Answer, AllocationError> {
    // First without the rules on least use, which no linear program knows.
    let open = cells.without_least_use(laid);
    let pieces = Pieces::feasible(&open, &open.domains);
    let (lower, upper, rows) = pieces.parts();
    // Pieces of one cell share its bounds: the first carries the lower one, the last the upper one.
    let offset: Vec<f64> = pieces
        .owner
        .iter()
        .map(|&i| open.domains[i].anchor)
        .collect();
    let test = conflict::Test {
        response: &pieces,
        lower,
        upper,
        rows,
        rules: named.len(),
        widest: (0.0, laid.total.1),
        offset: &offset,
        start: &pieces.start,
    };
    let owner = |piece: usize| laid.name(pieces.owner[piece]);
    if let Some(conflict) = test.conflict(named, &owner, cancel)? {
        return Ok(Answer::Infeasible(conflict));
    }
    if let Some(conflict) = least_use::conflict(laid, named, cells, settings, cancel)? {
        return Ok(Answer::Infeasible(conflict));
    }
    Err(AllocationError::Unsolved(
        "neither a plan that obeys the rules nor a proof that there is none was found within the relaxations allowed",
    ))
}

fn static_plan(laid: &Laid, named: &[Named], cells: &Cells, found: &branch::Found) -> Plan {
    let (price, weight) = cells.cell_prices(&found.prices);
    let places: Vec<Place> = (0..found.x.len())
        .map(|i| {
            let slope = cells.curves[i].marginal(found.x[i]);
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
            // Only rows on outcomes price the response as well.
            price: if weight[i] == cells.weights[i] {
                price[i]
            } else {
                place.marginal - place.net
            },
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

/// An exact plan with what the Lagrangian over the whole problem, before branching, proves about every other total.
pub(crate) struct Priced {
    pub(crate) plan: Plan,
    /// No plan at the problem's total is worth more.
    pub(crate) bound: f64,
    /// By how much that bound rises per unit of the total.
    pub(crate) price: f64,
}

/// Solves a problem without weeks and scenarios at an exact total. `None` where no plan exists.
pub(crate) fn solve_priced(
    problem: &Problem,
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<Option<Priced>, AllocationError> {
    if problem.weeks.is_some() || problem.scenarios.is_some() {
        return Err(AllocationError::Unsupported(
            "fronts of plans are for problems without weeks and scenarios",
        ));
    }
    let laid = problem.lay()?;
    let named = rows::rows(&laid, &problem.rules)?;
    let cells = Cells::new(&laid, named.iter().map(|n| n.row.clone()).collect());
    let found = branch::solve(&cells, settings, cancel)?;
    Ok(found.map(|found| Priced {
        bound: found.root_bound,
        price: found.root_prices[0],
        plan: static_plan(&laid, &named, &cells, &found),
    }))
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
                let effects = laid.effects_on(i).iter().zip(&brand_own);
                brand_own[i] + effects.map(|(effect, own)| effect * own).sum::<f64>()
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
        return Err(AllocationError::Length {
            name: "spend",
            given: spend.len(),
            wanted: laid.cells.len() * laid.span,
        });
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

    /// Largest violation of a rule, of the total, or of what a cell may spend (its bounds and its least use), relative to its
    /// size; zero within rounding.
    #[must_use]
    pub fn violation(&self, spend: &[f64]) -> f64 {
        let most = self.cells.violation(spend).max(self.cells.outside(spend));
        if most < 1e-9 { 0.0 } else { most }
    }

    /// No spends within the bounds are worth more, whatever their total.
    #[must_use]
    pub fn most(&self) -> f64 {
        let domains = &self.cells.domains;
        let free = vec![0.0; self.cells.rows.len()];
        self.cells
            .bound(domains, &self.cells.envelopes(domains), &free)
    }

    /// Moves every spend below its cell's least use to the nearer end: unused, or just used.
    pub fn repair(&self, spend: &mut [f64]) {
        for (x, domain) in spend.iter_mut().zip(&self.cells.domains) {
            if *x > domain.anchor && *x < domain.used_from {
                let used = domain.used_from - *x < *x - domain.anchor;
                *x = if used {
                    domain.used_from
                } else {
                    domain.anchor
                };
            }
        }
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
    fits(&x, laid.cells.len(), plan, &named)?;
    let cells = Cells::new(&laid, named.iter().map(|n| n.row.clone()).collect());
    let envelopes = cells.envelopes(&cells.domains);
    let mut prices = plan.certificate.prices.clone();
    interior::drop_idle(&cells.rows, &mut prices);
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

/// Whether a plan has a spend per variable and a price per row.
fn fits(spend: &[f64], wanted: usize, plan: &Plan, named: &[Named]) -> Result<(), AllocationError> {
    let prices = &plan.certificate.prices;
    for (name, given, wanted) in [
        ("the plan's list of spends", spend.len(), wanted),
        ("the plan's list of prices", prices.len(), named.len()),
    ] {
        if given != wanted {
            return Err(AllocationError::Length {
                name,
                given,
                wanted,
            });
        }
    }
    if let Some(value) = spend.iter().chain(prices).find(|v| !v.is_finite()) {
        return Err(AllocationError::Number {
            name: "the plan",
            value: *value,
        });
    }
    Ok(())
}
