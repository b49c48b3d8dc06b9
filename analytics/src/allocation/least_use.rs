//! Conflicts that rules on least use take part in: `{unused} ∪ [least, upper]` has a hole, so that the rules can contradict each
//! other although their linear relaxation can hold.
//!
//! A search in depth over used and unused decides whether a set of rules can hold; a deletion filter (Chinneck and Dravnieks
//! 1991) over rows, rules on least use and bounds leaves a smallest set that cannot.

// Several lists share one index, as in the formulas.
#![allow(clippy::needless_range_loop)]

use super::{
    AllocationError, Settings, branch,
    conflict::{self, Conflict, MOST_BOUNDS, Member, Relaxation},
    curve::{Curve, Family},
    interior::Row,
    problem::Laid,
    rows::Named,
    separable::{Cells, Domain},
};
use crate::cancel::Cancel;

/// Limits that take part in a trial.
#[derive(Clone)]
struct Kept {
    rows: Vec<bool>,
    /// Rules on least use, by cell.
    least: Vec<bool>,
    lower: Vec<bool>,
    upper: Vec<bool>,
}

struct Trial<'a> {
    laid: &'a Laid,
    cells: &'a Cells,
    nodes: usize,
    cancel: &'a dyn Cancel,
}

impl Trial<'_> {
    /// Bounds of a cell, its rule on least use aside.
    fn bounds(&self, i: usize, kept: &Kept) -> (f64, f64) {
        let own = self.cells.domains[i];
        let upper = match self.laid.cells[i].least_use {
            Some(rule) if kept_rule(self.laid, self.cells, i) => rule.upper,
            _ => own.upper,
        };
        (
            if kept.lower[i] { own.anchor } else { 0.0 },
            if kept.upper[i] {
                upper
            } else {
                upper.max(self.laid.total.1)
            },
        )
    }

    /// The cells with what is kept, and nothing to earn.
    fn cells(&self, kept: &Kept) -> Cells {
        let mut cells = self.cells.clone();
        cells.weights.fill(0.0);
        for i in 0..cells.domains.len() {
            let (lower, upper) = self.bounds(i, kept);
            cells.domains[i] = match self.laid.cells[i].least_use {
                Some(rule) if kept.least[i] && rule.min > upper => Domain::point(lower),
                Some(rule) if kept.least[i] => Domain {
                    anchor: lower,
                    used_from: rule.min,
                    upper,
                },
                _ => Domain {
                    anchor: lower,
                    used_from: lower,
                    upper,
                },
            };
        }
        for (r, kept) in kept.rows.iter().enumerate() {
            if !kept {
                let (least, most) = reach(&cells, r);
                (cells.rows[r].lower, cells.rows[r].upper) = (least, most);
            }
        }
        cells
    }

    /// Whether the kept limits are shown to contradict each other; `None` when that could not be decided.
    fn contradicts(&self, kept: &Kept) -> Result<Option<bool>, AllocationError> {
        let found = branch::feasible(&self.cells(kept), self.nodes, self.cancel)?;
        Ok(found.map(|possible| !possible))
    }

    /// The largest value of `Σ a x` over the cells' domains and rows.
    fn largest(
        &self,
        mut cells: Cells,
        terms: &[(usize, f64)],
    ) -> Result<Option<f64>, AllocationError> {
        // Rows on outcomes need the curves that the sum would take the place of.
        if cells.rows.iter().any(|row| !row.outcome.is_empty()) {
            return Ok(None);
        }
        cells.curves.fill(Curve {
            family: Family::Power,
            beta: 1.0,
            a: 1.0,
            k: 1.0,
        });
        cells.weights.fill(0.0);
        for &(i, a) in terms {
            cells.weights[i] += a;
        }
        let settings = Settings {
            nodes: self.nodes,
            ..Settings::default()
        };
        let found = branch::solve(&cells, &settings, self.cancel)?;
        Ok(found
            .filter(|f| f.bound - f.value <= 1e-6 * f.value.abs().max(1e-9))
            .map(|f| f.value))
    }
}

/// Whether a cell's rule on least use applies: an edit that fixes the cell takes its place.
fn kept_rule(laid: &Laid, cells: &Cells, i: usize) -> bool {
    laid.cells[i].least_use.is_some() && cells.domains[i] == Domain::of(&laid.cells[i])
}

/// Limits of a row's sum that the cells keep by themselves.
fn reach(cells: &Cells, r: usize) -> (f64, f64) {
    let (mut least, mut most) = (-1.0, 1.0);
    let Row { terms, outcome, .. } = &cells.rows[r];
    let ends = |i: usize, of: &dyn Fn(f64) -> f64| {
        let (a, b) = (of(cells.domains[i].anchor), of(cells.domains[i].upper));
        (a.min(b), a.max(b))
    };
    for &(i, a) in terms {
        let (low, high) = ends(i, &|x| a * x);
        (least, most) = (least + low, most + high);
    }
    for &(i, c) in outcome {
        let (low, high) = ends(i, &|x| c * cells.curves[i].value(x));
        (least, most) = (least + low, most + high);
    }
    (least, most)
}

/// The conflict of a problem whose rows and bounds could hold without its rules on least use. `None` where there is no such rule,
/// or no proof that a plan does not exist.
pub(crate) fn conflict(
    laid: &Laid,
    named: &[Named],
    cells: &Cells,
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<Option<Conflict>, AllocationError> {
    let n = cells.domains.len();
    let trial = Trial {
        laid,
        cells,
        nodes: settings.nodes,
        cancel,
    };
    let least: Vec<bool> = (0..n).map(|i| kept_rule(laid, cells, i)).collect();
    let mut kept = Kept {
        rows: vec![true; named.len()],
        least: least.clone(),
        lower: vec![true; n],
        upper: vec![true; n],
    };
    let whole = kept.clone();
    if !least.contains(&true) || trial.contradicts(&kept)? != Some(true) {
        return Ok(None);
    }
    let mut minimal = true;
    let mut shorter = |kept: &mut Kept, without: Kept| -> Result<(), AllocationError> {
        match trial.contradicts(&without)? {
            Some(true) => *kept = without,
            Some(false) => {}
            None => minimal = false,
        }
        Ok(())
    };
    for r in 0..named.len() {
        let mut without = kept.clone();
        without.rows[r] = false;
        shorter(&mut kept, without)?;
    }
    for i in (0..n).filter(|&i| least[i]) {
        let mut without = kept.clone();
        without.least[i] = false;
        shorter(&mut kept, without)?;
    }
    // All bounds at once first: mostly none of them matters.
    let mut without = kept.clone();
    without.lower.fill(false);
    without.upper.fill(false);
    let bounded = |i: usize| {
        let (low, high) = trial.bounds(i, &whole);
        (low > 0.0, high < laid.total.1)
    };
    let limits: usize = (0..n)
        .map(|i| usize::from(bounded(i).0) + usize::from(bounded(i).1))
        .sum();
    if trial.contradicts(&without)? == Some(true) {
        kept = without;
    } else if limits <= MOST_BOUNDS {
        for i in 0..n {
            let (low, high) = bounded(i);
            if low {
                let mut without = kept.clone();
                without.lower[i] = false;
                shorter(&mut kept, without)?;
            }
            if high {
                let mut without = kept.clone();
                without.upper[i] = false;
                shorter(&mut kept, without)?;
            }
        }
    } else {
        minimal = false;
    }

    let mut members: Vec<Member> = (0..named.len())
        .filter(|&r| kept.rows[r])
        .map(|r| Member {
            what: named[r].name.clone(),
            number: conflict::number(&named[r]),
            limit: if named[r].row.upper.is_finite() {
                named[r].row.upper
            } else {
                named[r].row.lower
            },
        })
        .collect();
    for i in 0..n {
        if let Some(rule) = laid.cells[i].least_use.filter(|_| kept.least[i]) {
            members.push(Member {
                what: format!("least use of {}", laid.name(i)),
                number: Some(rule.number),
                limit: rule.min,
            });
        }
        let (low, high) = trial.bounds(i, &whole);
        let sides = [
            ("lower", kept.lower[i] && bounded(i).0, low),
            ("upper", kept.upper[i] && bounded(i).1, high),
        ];
        for (side, is_member, limit) in sides {
            if is_member {
                members.push(Member {
                    what: format!("{side} bound of {}", laid.name(i)),
                    number: None,
                    limit,
                });
            }
        }
    }

    let mut alternatives: Vec<(f64, Relaxation)> = Vec::new();
    for (r, named) in named.iter().enumerate().filter(|(r, _)| kept.rows[*r]) {
        let row = &cells.rows[r];
        let mut moves = Vec::new();
        for (limit, sign) in [(row.lower, 1.0), (row.upper, -1.0)] {
            if !limit.is_finite() {
                continue;
            }
            // The sum of the row that comes nearest to its limit from the wrong side.
            let mut open = trial.cells(&whole);
            let (least, most) = reach(&open, r);
            let row = &mut open.rows[r];
            (row.lower, row.upper) = if sign > 0.0 {
                (least.min(limit), limit)
            } else {
                (limit, most.max(limit))
            };
            let terms: Vec<(usize, f64)> = row.terms.iter().map(|&(i, a)| (i, sign * a)).collect();
            if let Some(value) = trial.largest(open, &terms)? {
                moves.push((limit, sign * value));
            }
        }
        moves.sort_by(|a, b| (a.1 - a.0).abs().total_cmp(&(b.1 - b.0).abs()));
        if let Some(&(from, to)) = moves.first() {
            let relaxation = Relaxation {
                rule: named.name.clone(),
                number: conflict::number(named),
                from,
                to,
            };
            alternatives.push(((to - from).abs(), relaxation));
        }
    }
    let mut give_up = Vec::new();
    for i in 0..n {
        let Some(rule) = laid.cells[i].least_use.filter(|_| least[i]) else {
            continue;
        };
        let (lower, upper) = trial.bounds(i, &whole);
        let relaxation = |to: f64| Relaxation {
            rule: format!("least use of {}", laid.name(i)),
            number: Some(rule.number),
            from: rule.min,
            to,
        };
        give_up.push((rule.min - lower, relaxation(lower)));
        if kept.least[i] {
            let mut open = trial.cells(&whole);
            open.domains[i] = Domain {
                anchor: lower,
                used_from: lower,
                upper: upper.min(rule.min),
            };
            if let Some(to) = trial.largest(open, &[(i, 1.0)])? {
                alternatives.push((rule.min - to, relaxation(to)));
            }
        }
    }
    // Of equal changes the one that changes its own limit least comes first.
    let share = |r: &Relaxation| (r.to - r.from).abs() / r.from.abs().max(1e-300);
    alternatives.sort_by(|a, b| {
        let (x, y) = (share(&a.1), share(&b.1));
        if (a.0 - b.0).abs() <= 1e-9 * a.0.max(b.0) {
            x.total_cmp(&y)
        } else {
            a.0.total_cmp(&b.0)
        }
    });
    // Where no single limit is known to do, it does to give up the least use everywhere.
    let (least_change, relaxation) = match alternatives.first() {
        Some((change, single)) => (*change, vec![single.clone()]),
        None => (
            give_up.iter().map(|(change, _)| change).sum(),
            give_up
                .into_iter()
                .map(|(_, relaxation)| relaxation)
                .collect(),
        ),
    };
    Ok(Some(Conflict {
        members,
        minimal,
        least_change,
        relaxation,
        alternatives: alternatives.into_iter().map(|(_, a)| a).collect(),
    }))
}
