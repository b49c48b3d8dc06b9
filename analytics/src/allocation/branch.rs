//! Branch and bound over the concave envelopes: S-shaped curves and "if used, at least" rules, solved to a stated gap.
//!
//! Every node restricts cells to parts of their domains and is bounded by the Lagrangian of its relaxation; the envelope gets
//! tighter as parts get smaller (Falk and Soland 1969). A node's answer is made a plan by keeping every cell on the part of
//! its curve where it stands and solving that concave problem exactly.

// Several lists share one index, as in the formulas.
#![allow(clippy::needless_range_loop)]

use std::{cmp::Ordering, collections::BinaryHeap};

use super::{
    Settings, conflict,
    separable::{Cells, Domain, Relaxed},
};
use crate::cancel::{Cancel, Cancelled};

/// Relative width that rules without an inside are given.
const HAIR: f64 = 1e-9;

/// The best plan found and what is known about all others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) x: Vec<f64>,
    pub(crate) prices: Vec<f64>,
    pub(crate) value: f64,
    /// No plan is worth more.
    pub(crate) bound: f64,
    /// Prices at which the Lagrangian over the whole domains was bounded, before branching.
    pub(crate) root_prices: Vec<f64>,
    pub(crate) root_bound: f64,
    pub(crate) nodes: usize,
}

struct Node {
    domains: Vec<Domain>,
    relaxed: Relaxed,
    serial: usize,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Node {}
impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Node {
    fn cmp(&self, other: &Self) -> Ordering {
        self.relaxed
            .bound
            .total_cmp(&other.relaxed.bound)
            .then(other.serial.cmp(&self.serial))
    }
}

/// Solves a problem whose rows can be met by its relaxation. `None` when no plan was found, which is no proof that
/// there is none.
pub(crate) fn solve(
    cells: &Cells,
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<Option<Found>, Cancelled> {
    let root = cells.relax(&cells.domains, None, cancel)?;
    if root.feasible {
        return search(cells, root, settings, cancel);
    }
    // Rules that leave a single point have no inside: give them a hair's breadth, well below what counts as a violation.
    let wide = cells.widened(HAIR);
    let root = wide.relax(&wide.domains, None, cancel)?;
    if !root.feasible {
        return Ok(None);
    }
    search(&wide, root, settings, cancel)
}

fn search(
    cells: &Cells,
    root: Relaxed,
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<Option<Found>, Cancelled> {
    let (root_prices, root_bound) = (root.prices.clone(), root.bound);
    let mut best: Option<(Vec<f64>, Vec<f64>, f64)> = None;
    let consider = |best: &mut Option<(Vec<f64>, Vec<f64>, f64)>, x: &[f64], prices: &[f64]| {
        if cells.violation(x) > 1e-9 || !allowed(cells, x) {
            return;
        }
        let value = cells.value(x);
        if best.as_ref().is_none_or(|b| value > b.2) {
            *best = Some((x.to_vec(), prices.to_vec(), value));
        }
    };
    consider(&mut best, &root.x, &root.prices);
    if !cells.is_concave(&cells.domains) {
        improve(cells, &root, &mut |x, p| consider(&mut best, x, p), cancel)?;
    }
    let mixed = cells.is_mixed();
    if mixed && let Some((x, prices)) = cells.local(&cells.domains, cancel)? {
        consider(&mut best, &x, &prices);
    }
    // What was cut away is bounded by this.
    let mut closed = f64::NEG_INFINITY;
    let mut heap = BinaryHeap::new();
    heap.push(Node {
        domains: cells.domains.clone(),
        relaxed: root,
        serial: 0,
    });
    let mut nodes = 1;
    while let Some(node) = heap.pop() {
        cancel.check()?;
        let enough = |bound: f64, best: &Option<(Vec<f64>, Vec<f64>, f64)>| {
            best.as_ref()
                .is_some_and(|b| bound - b.2 <= settings.gap * b.2.abs())
        };
        let choice = branch_cell(cells, &node);
        if enough(node.relaxed.bound, &best) || nodes >= settings.nodes || choice.is_none() {
            closed = closed.max(node.relaxed.bound);
            // The heap is ordered: nothing left is worth more than this node.
            break;
        }
        let (cell, children) = choice.expect("checked above");
        for child in children {
            let mut domains = node.domains.clone();
            domains[cell] = child;
            let hint = Some(node.relaxed.prices[0]).filter(|_| cells.rows.len() == 1);
            let mut relaxed = cells.relax(&domains, hint, cancel)?;
            nodes += 1;
            if !relaxed.feasible {
                continue;
            }
            relaxed.bound = relaxed.bound.min(node.relaxed.bound);
            consider(&mut best, &relaxed.x, &relaxed.prices);
            if enough(relaxed.bound, &best) {
                closed = closed.max(relaxed.bound);
                continue;
            }
            improve(
                cells,
                &relaxed,
                &mut |x, p| consider(&mut best, x, p),
                cancel,
            )?;
            if mixed && let Some((x, prices)) = cells.local(&domains, cancel)? {
                consider(&mut best, &x, &prices);
            }
            heap.push(Node {
                domains,
                relaxed,
                serial: nodes,
            });
        }
    }
    if nodes > 1
        && let Some((x, prices, value)) = &best
        && let Some((x, prices)) = cells.settle(x, prices)
        && cells.violation(&x) <= 1e-12
        && cells.value(&x) >= value - 1e-12 * value.abs()
    {
        let value = cells.value(&x);
        best = Some((x, prices, value));
    }
    Ok(best.map(|(x, prices, value)| Found {
        bound: closed.max(value),
        x,
        prices,
        value,
        root_prices,
        root_bound,
        nodes,
    }))
}

/// Whether any spends within the domains obey the rows: a search in depth that ends at the first. `None` when the relaxations
/// allowed end before the search does, or where a part could neither be solved nor shown to be empty.
pub(crate) fn feasible(
    cells: &Cells,
    nodes: usize,
    cancel: &dyn Cancel,
) -> Result<Option<bool>, Cancelled> {
    let wide = cells.widened(HAIR);
    let mut open = vec![cells.domains.clone()];
    let mut certain = true;
    let mut solved = 0;
    while let Some(domains) = open.pop() {
        cancel.check()?;
        let points: Vec<f64> = domains.iter().map(|d| d.anchor).collect();
        if domains.iter().all(|d| d.upper <= d.anchor) {
            if cells.violation(&points) <= 1e-9 {
                return Ok(Some(true));
            }
            continue;
        }
        if solved >= nodes {
            return Ok(None);
        }
        solved += 1;
        let mut relaxed = cells.relax(&domains, None, cancel)?;
        if !relaxed.feasible {
            if cells.rows.len() == 1 || conflict::contradicts(cells, &domains, cancel)? {
                continue;
            }
            relaxed = wide.relax(&domains, None, cancel)?;
        }
        if !relaxed.feasible {
            certain = false;
            continue;
        }
        if cells.violation(&relaxed.x) <= 1e-9 && allowed(cells, &relaxed.x) {
            return Ok(Some(true));
        }
        let node = Node {
            domains,
            relaxed,
            serial: 0,
        };
        match branch_cell(cells, &node) {
            Some((cell, children)) => open.extend(children.map(|child| {
                let mut domains = node.domains.clone();
                domains[cell] = child;
                domains
            })),
            None => certain = false,
        }
    }
    Ok(certain.then_some(false))
}

/// Whether every cell spends what it may.
fn allowed(cells: &Cells, x: &[f64]) -> bool {
    cells.domains.iter().zip(x).all(|(d, x)| {
        let near = 1e-9 * (1.0 + d.upper.abs());
        (x - d.anchor).abs() <= near || (*x >= d.used_from - near && *x <= d.upper + near)
    })
}

/// The cell whose envelope is furthest above its curve, and the two parts its domain is cut into.
fn branch_cell(cells: &Cells, node: &Node) -> Option<(usize, [Domain; 2])> {
    let x = &node.relaxed.x;
    let mut widest: Option<(usize, f64)> = None;
    for i in 0..x.len() {
        let domain = &node.domains[i];
        if domain.upper <= domain.anchor {
            continue;
        }
        let envelope = cells.envelope(i, domain);
        let off =
            (envelope.value(x[i]) - envelope.curve.value(x[i])).max(cells.row_gap(i, domain, x[i]));
        let gapped = x[i] > domain.anchor && x[i] < domain.used_from;
        let large = 1.0 + envelope.curve.value(domain.upper).abs();
        // An amount that is not allowed has to be decided, whatever it is worth.
        let size = if gapped { off.max(1e-6 * large) } else { off };
        if size > 1e-13 * large && widest.is_none_or(|w| size > w.1) {
            widest = Some((i, size));
        }
    }
    let (i, _) = widest?;
    let domain = node.domains[i];
    if domain.used_from > domain.anchor {
        let used = Domain {
            anchor: domain.used_from,
            ..domain
        };
        return Some((i, [Domain::point(domain.anchor), used]));
    }
    // Cut where the relaxation stands, but never a sliver.
    let width = domain.upper - domain.anchor;
    let cut = x[i].clamp(domain.anchor + 0.05 * width, domain.upper - 0.05 * width);
    let low = Domain {
        upper: cut,
        ..domain
    };
    let high = Domain {
        anchor: cut,
        used_from: cut,
        upper: domain.upper,
    };
    Some((i, [low, high]))
}

/// Plans near a relaxation's answer: every cell is kept on the part of its curve where it stands, cells on a bridge are put
/// on either end, and the concave problem that is left is solved.
fn improve(
    cells: &Cells,
    relaxed: &Relaxed,
    consider: &mut dyn FnMut(&[f64], &[f64]),
    cancel: &dyn Cancel,
) -> Result<(), Cancelled> {
    let mut domains = Vec::with_capacity(relaxed.x.len());
    let mut open: Vec<(usize, f64)> = Vec::new();
    let concave_part = |i: usize| {
        let d = cells.domains[i];
        let turn = cells.curves[i].inflection();
        let start = d.used_from.max(if cells.weights[i] > 0.0 {
            turn
        } else {
            d.anchor
        });
        Domain {
            anchor: start.min(d.upper),
            used_from: start.min(d.upper),
            upper: d.upper,
        }
    };
    for (i, &x) in relaxed.x.iter().enumerate() {
        let d = cells.domains[i];
        let envelope = cells.envelope(i, &d);
        let straight = |p: &&super::envelope::Piece| {
            matches!(p.shape, super::envelope::Shape::Line(_)) && !cells.curves[i].is_straight()
        };
        let Some(bridge) = envelope.pieces().iter().find(straight) else {
            domains.push(d);
            continue;
        };
        let near = 1e-9 * (bridge.to - bridge.from);
        if cells.weights[i] < 0.0 {
            domains.push(Domain::point(if x >= bridge.to - near {
                bridge.to
            } else {
                x
            }));
        } else if x >= bridge.to - near {
            domains.push(concave_part(i));
        } else if x <= bridge.from + near {
            domains.push(Domain::point(bridge.from));
        } else {
            let share = (x - bridge.from) / (bridge.to - bridge.from);
            open.push((i, share));
            domains.push(Domain::point(bridge.from));
        }
    }
    // Every choice of ends for a few cells; nearest ends for the others.
    open.sort_by(|a, b| {
        (a.1 - 0.5)
            .abs()
            .total_cmp(&(b.1 - 0.5).abs())
            .then(a.0.cmp(&b.0))
    });
    let tried = open.len().min(if cells.rows.len() == 1 { 3 } else { 2 });
    for &(i, share) in &open[tried..] {
        if share >= 0.5 {
            domains[i] = concave_part(i);
        }
    }
    let base: Vec<Domain> = open[..tried].iter().map(|&(i, _)| domains[i]).collect();
    for choice in 0..1usize << tried {
        for (bit, &(i, _)) in open[..tried].iter().enumerate() {
            domains[i] = if choice >> bit & 1 == 1 {
                concave_part(i)
            } else {
                base[bit]
            };
        }
        let hint = Some(relaxed.prices[0]).filter(|_| cells.rows.len() == 1);
        let plan = cells.relax(&domains, hint, cancel)?;
        if plan.feasible {
            consider(&plan.x, &plan.prices);
        }
    }
    // The bridge cells left where they are, the others around them.
    if tried > 0 {
        for &(i, _) in &open[..tried] {
            domains[i] = Domain::point(relaxed.x[i]);
        }
        let hint = Some(relaxed.prices[0]).filter(|_| cells.rows.len() == 1);
        let plan = cells.relax(&domains, hint, cancel)?;
        if plan.feasible {
            consider(&plan.x, &plan.prices);
        }
    }
    Ok(())
}
