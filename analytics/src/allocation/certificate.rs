//! What comes with every plan: how far it is from breaking a rule, how far from the optimality conditions, what each rule costs,
//! and a bound on every other plan. It is recomputed from the plan and the prices alone, not taken over from the solver.

use serde::{Deserialize, Serialize};

use super::{
    rows::{Named, Origin},
    separable::row_size,
};

/// What one more unit of a rule's limit would earn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowPrice {
    /// The rule in words.
    pub rule: String,
    /// Its number in the problem's list; `None` for the total.
    pub number: Option<usize>,
    /// Objective per unit by which the limit is raised: positive for a cap that binds, negative for a floor that binds.
    pub price: f64,
    /// The limit that binds.
    pub limit: f64,
    /// What is used under the plan.
    pub used: f64,
}

/// Proof of how good a plan is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// How the plan was found.
    pub method: String,
    /// Largest violation of a bound, a least use or a rule, relative to its size.
    pub feasibility: f64,
    /// Largest distance of a cell's marginal return from its price (for a cell at a bound: on the wrong side of it), relative to
    /// the size of the prices.
    pub stationarity: f64,
    /// Largest product of a rule's price and its slack, relative to the value.
    pub complementarity: f64,
    /// Value of the plan.
    pub value: f64,
    /// No plan within bounds and rules is worth more.
    pub bound: f64,
    /// `bound − value`.
    pub gap: f64,
    /// The same, relative to the value (or a billionth of the bound, where the value is smaller than that).
    pub relative_gap: f64,
    /// Rules that bind, dearest first; the total always.
    pub shadow_prices: Vec<ShadowPrice>,
    /// Price of every row (the total, then the rules that are rows, in order), for whoever checks again.
    pub prices: Vec<f64>,
    /// Conventions and limits a reader has to know.
    pub notes: Vec<String>,
}

impl Certificate {
    /// The largest of the three optimality residuals.
    #[must_use]
    pub fn residual(&self) -> f64 {
        self.feasibility
            .max(self.stationarity)
            .max(self.complementarity)
    }

    /// Price of one more unit of the total.
    #[must_use]
    pub fn price_of_total(&self) -> f64 {
        self.prices.first().copied().unwrap_or(0.0)
    }
}

/// One variable at a plan.
pub(crate) struct Place {
    pub(crate) x: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// Least use, between the bounds, at which a cell may also rest.
    pub(crate) rest: f64,
    /// Marginal return less what its spend costs in prices.
    pub(crate) net: f64,
    /// Marginal return.
    pub(crate) marginal: f64,
}

/// Sums up a plan.
pub(crate) fn certify(
    method: &str,
    places: &[Place],
    rows: &[Named],
    sums: &[f64],
    prices: &[f64],
    value: f64,
    bound: f64,
) -> Certificate {
    let mut feasibility = 0.0f64;
    for place in places {
        let size = place.upper.abs().max(1e-9);
        // Between unused and least use lies what is not allowed.
        let gap = (place.x - place.lower).min(place.rest - place.x);
        let off = (place.lower - place.x).max(place.x - place.upper).max(gap);
        feasibility = feasibility.max(off / size);
    }
    let bound = bound.max(value);
    // A plan that is worth nothing is measured by what could be worth something.
    let worth = value.abs().max(1e-9 * bound.abs()).max(1e-300);
    let mut complementarity = 0.0f64;
    for ((named, sum), price) in rows.iter().zip(sums).zip(prices) {
        let row = &named.row;
        feasibility = feasibility.max((row.lower - sum).max(sum - row.upper) / row_size(row));
        let slack = match *price {
            p if p > 0.0 => row.upper - sum,
            p if p < 0.0 => sum - row.lower,
            _ => 0.0,
        };
        complementarity = complementarity.max((price * slack).abs() / worth);
    }
    let mut marginals: Vec<f64> = places
        .iter()
        .map(|p| p.marginal.abs())
        .filter(|m| m.is_finite())
        .collect();
    marginals.sort_by(f64::total_cmp);
    let size = marginals
        .get(marginals.len() / 2)
        .copied()
        .unwrap_or(0.0)
        .max(1e-9 * marginals.last().copied().unwrap_or(0.0))
        .max(prices.first().map_or(0.0, |p| p.abs()))
        .max(1e-300);
    let stationarity = places
        .iter()
        .map(|p| {
            let near = 1e-12 * p.upper.abs().max(p.x.abs());
            if p.upper - p.lower <= near || p.x <= p.lower + near && p.rest > p.lower + near {
                // It cannot move, or not by a little.
                0.0
            } else if p.x <= p.lower + near || (p.x - p.rest).abs() <= near && p.rest > p.lower {
                p.net.max(0.0)
            } else if p.x >= p.upper - near {
                (-p.net).max(0.0)
            } else {
                p.net.abs()
            }
        })
        .fold(0.0, f64::max)
        / size;
    let mut shadow_prices: Vec<ShadowPrice> = rows
        .iter()
        .zip(sums)
        .zip(prices)
        .filter(|((named, _), price)| named.origin == Origin::Total || price.abs() > 1e-9 * size)
        .map(|((named, sum), price)| ShadowPrice {
            rule: named.name.clone(),
            number: match named.origin {
                Origin::Total => None,
                Origin::Rule(number) => Some(number),
            },
            price: *price,
            limit: if *price < 0.0 && named.row.lower.is_finite() {
                named.row.lower
            } else {
                named.row.upper
            },
            used: *sum,
        })
        .collect();
    shadow_prices.sort_by(|a, b| {
        (a.number.is_some(), -a.price.abs())
            .partial_cmp(&(b.number.is_some(), -b.price.abs()))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    Certificate {
        method: method.to_owned(),
        feasibility: feasibility.max(0.0),
        stationarity,
        complementarity,
        value,
        bound,
        gap: bound - value,
        relative_gap: (bound - value) / worth,
        shadow_prices,
        prices: prices.to_vec(),
        notes: Vec::new(),
    }
}
