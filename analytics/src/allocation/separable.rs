//! Cells that do not act on each other over time: prices of the rows by bisection and Newton steps, or by interior point.
//!
//! A relaxation replaces every cell by its concave envelope on its domain. With the total as only row its price is found
//! directly (equal marginals); with more rows the envelope is split into its straight and its curved piece, each a variable of
//! its own, and the interior-point method prices the rows. Any prices give a bound on every plan (Lagrangian duality).

// Several lists share one index, as in the formulas.
#![allow(clippy::needless_range_loop)]

use super::{
    curve::Curve,
    envelope::{Envelope, Piece, Shape},
    interior::{self, Program, Response, Row},
    problem::{Cell, Laid},
};
use crate::cancel::{Cancel, Cancelled};

/// What a cell may spend: `{anchor} ∪ [used_from, upper]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Domain {
    pub(crate) anchor: f64,
    pub(crate) used_from: f64,
    pub(crate) upper: f64,
}

impl Domain {
    pub(crate) fn point(x: f64) -> Self {
        Self {
            anchor: x,
            used_from: x,
            upper: x,
        }
    }

    /// What a cell of a problem may spend.
    pub(crate) fn of(cell: &Cell) -> Self {
        Self {
            anchor: cell.lower,
            used_from: cell.used_from,
            upper: cell.upper,
        }
    }
}

/// Cells and rows of a problem without weeks.
#[derive(Debug, Clone)]
pub(crate) struct Cells {
    /// Response of each cell, not weighted.
    pub(crate) curves: Vec<Curve>,
    /// Worth of a unit of it.
    pub(crate) weights: Vec<f64>,
    pub(crate) domains: Vec<Domain>,
    pub(crate) current: Vec<f64>,
    /// The first row is the total.
    pub(crate) rows: Vec<Row>,
    /// Whether rows on outcomes count a cell's response as it is, and whether some count it with its sign turned.
    valued: Vec<(bool, bool)>,
}

/// Spends by cell and prices by row.
pub(crate) type Solution = (Vec<f64>, Vec<f64>);

/// Answer of a relaxation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Relaxed {
    pub(crate) x: Vec<f64>,
    pub(crate) prices: Vec<f64>,
    /// Whether rows could be met.
    pub(crate) feasible: bool,
    /// No choice within the domains is worth more.
    pub(crate) bound: f64,
}

impl Cells {
    pub(crate) fn new(laid: &Laid, rows: Vec<Row>) -> Self {
        let mut valued = vec![(false, false); laid.cells.len()];
        for row in &rows {
            for (i, c) in &row.outcome {
                valued[*i].0 |= *c > 0.0;
                valued[*i].1 |= *c < 0.0;
            }
        }
        Self {
            curves: laid.cells.iter().map(|c| c.curve).collect(),
            weights: laid.cells.iter().map(|c| c.weight).collect(),
            domains: laid.cells.iter().map(Domain::of).collect(),
            current: laid.cells.iter().map(|c| c.current).collect(),
            rows,
            valued,
        }
    }

    /// The same without the rules on least use, where no other edit took their place.
    pub(crate) fn without_least_use(&self, laid: &Laid) -> Self {
        let mut open = self.clone();
        for (domain, cell) in open.domains.iter_mut().zip(&laid.cells) {
            if let Some(rule) = cell.least_use
                && *domain == Domain::of(cell)
            {
                *domain = Domain {
                    anchor: cell.lower,
                    used_from: cell.lower,
                    upper: rule.upper,
                };
            }
        }
        open
    }

    /// The sign with which a cell's response is bounded from above: that of its worth, or else of its part in rows.
    fn sign(&self, i: usize) -> f64 {
        if self.weights[i] < 0.0 || self.weights[i] == 0.0 && self.valued[i] == (false, true) {
            -1.0
        } else {
            1.0
        }
    }

    /// The other sign, where rows on outcomes count a cell's response with it: its envelope for the objective is then no upper
    /// bound of what it does for the rows.
    pub(crate) fn other_sign(&self, i: usize) -> Option<f64> {
        let sign = self.sign(i);
        let counted = if sign > 0.0 {
            self.valued[i].1
        } else {
            self.valued[i].0
        };
        (counted && !self.curves[i].is_straight()).then_some(-sign)
    }

    /// By how much a cell does less for the rows on outcomes than the relaxation of a domain has it do at this spend.
    pub(crate) fn row_gap(&self, i: usize, domain: &Domain, x: f64) -> f64 {
        let idle = self.weights[i] == 0.0;
        let counted = [(1.0, self.valued[i].0), (-1.0, self.valued[i].1)];
        counted
            .into_iter()
            .filter(|&(sign, counted)| counted && (idle || sign != self.sign(i)))
            .map(|(sign, _)| {
                let curve = self.curves[i].scaled(sign);
                let envelope = Envelope::new(curve, domain.anchor, domain.used_from, domain.upper);
                envelope.value(x) - curve.value(x)
            })
            .fold(0.0, f64::max)
    }

    /// Whether any cell counts with both signs.
    pub(crate) fn is_mixed(&self) -> bool {
        (0..self.curves.len()).any(|i| self.other_sign(i).is_some())
    }

    /// The same with every row but the total given some room, relative to its size.
    pub(crate) fn widened(&self, by: f64) -> Self {
        let mut wide = self.clone();
        for row in &mut wide.rows[1..] {
            let room = by * row_size(row);
            row.lower -= room;
            row.upper += room;
        }
        wide
    }

    /// Value of a plan.
    pub(crate) fn value(&self, x: &[f64]) -> f64 {
        (0..x.len())
            .map(|i| self.weights[i] * self.curves[i].value(x[i]))
            .sum()
    }

    /// Sum of a row at a plan.
    pub(crate) fn row_sum(&self, row: &Row, x: &[f64]) -> f64 {
        let linear: f64 = row.terms.iter().map(|&(i, a)| a * x[i]).sum();
        let valued: f64 = row
            .outcome
            .iter()
            .map(|&(i, c)| c * self.curves[i].value(x[i]))
            .sum();
        linear + valued
    }

    /// Largest violation of a row, relative to its size.
    pub(crate) fn violation(&self, x: &[f64]) -> f64 {
        self.rows
            .iter()
            .map(|row| {
                let sum = self.row_sum(row, x);
                (row.lower - sum).max(sum - row.upper).max(0.0) / row_size(row)
            })
            .fold(0.0, f64::max)
    }

    /// Largest distance of a spend from what its cell may spend, relative to the cell's upper bound.
    pub(crate) fn outside(&self, x: &[f64]) -> f64 {
        self.domains
            .iter()
            .zip(x)
            .map(|(d, x)| {
                let gap = (x - d.anchor).min(d.used_from - x);
                (d.anchor - x).max(x - d.upper).max(gap).max(0.0) / d.upper.abs().max(1e-9)
            })
            .fold(0.0, f64::max)
    }

    /// Whether the weighted curves are concave on these domains, in the objective and in the rows.
    pub(crate) fn is_concave(&self, domains: &[Domain]) -> bool {
        (0..domains.len()).all(|i| {
            let domain = &domains[i];
            let envelope = self.envelope(i, domain);
            domain.upper <= domain.anchor
                || self.other_sign(i).is_none()
                    && envelope.pieces().iter().all(|p| {
                        p.shape == Shape::Curve
                            || self.curves[i].is_straight()
                            || self.weights[i] == 0.0
                    })
        })
    }

    pub(crate) fn envelope(&self, i: usize, domain: &Domain) -> Envelope {
        Envelope::new(
            self.curves[i].scaled(self.weights[i]),
            domain.anchor,
            domain.used_from,
            domain.upper,
        )
    }

    pub(crate) fn envelopes(&self, domains: &[Domain]) -> Vec<Envelope> {
        domains
            .iter()
            .enumerate()
            .map(|(i, d)| self.envelope(i, d))
            .collect()
    }

    /// Price of each cell's spend and weight of its response, given the prices of the rows.
    pub(crate) fn cell_prices(&self, prices: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut price = vec![0.0; self.curves.len()];
        let mut weight = self.weights.clone();
        for (row, y) in self.rows.iter().zip(prices) {
            if *y != 0.0 {
                for &(i, a) in &row.terms {
                    price[i] += y * a;
                }
                for &(i, c) in &row.outcome {
                    weight[i] -= y * c;
                }
            }
        }
        (price, weight)
    }

    /// Value of the Lagrangian: no choice within the domains that meets the rows is worth more.
    pub(crate) fn bound(&self, domains: &[Domain], envelopes: &[Envelope], prices: &[f64]) -> f64 {
        let (price, weight) = self.cell_prices(prices);
        let mut bound = 0.0;
        for (row, y) in self.rows.iter().zip(prices) {
            if *y != 0.0 {
                bound += y * if *y > 0.0 { row.upper } else { row.lower };
            }
        }
        for i in 0..self.curves.len() {
            let best = |envelope: &Envelope| {
                let (x, _) = envelope.respond(price[i]);
                envelope.value(x) - price[i] * x
            };
            bound += if self.valued[i] != (false, false) {
                best(&Envelope::new(
                    self.curves[i].scaled(weight[i]),
                    domains[i].anchor,
                    domains[i].used_from,
                    domains[i].upper,
                ))
            } else {
                best(&envelopes[i])
            };
        }
        bound
    }

    /// Solves the relaxation on the domains.
    pub(crate) fn relax(
        &self,
        domains: &[Domain],
        hint: Option<f64>,
        cancel: &dyn Cancel,
    ) -> Result<Relaxed, Cancelled> {
        let envelopes = self.envelopes(domains);
        let (x, prices, feasible) = if self.rows.len() == 1 {
            match price_total(
                &envelopes,
                self.rows[0].lower,
                self.rows[0].upper,
                hint,
                cancel,
            )? {
                Some((x, price)) => (x, vec![price], true),
                None => (domains.iter().map(|d| d.anchor).collect(), vec![0.0], false),
            }
        } else {
            self.interior(domains, &envelopes, cancel)?
        };
        let bound = if feasible {
            self.bound(domains, &envelopes, &prices)
        } else {
            f64::NEG_INFINITY
        };
        Ok(Relaxed {
            x,
            prices,
            feasible,
            bound,
        })
    }

    fn interior(
        &self,
        domains: &[Domain],
        envelopes: &[Envelope],
        cancel: &dyn Cancel,
    ) -> Result<(Vec<f64>, Vec<f64>, bool), Cancelled> {
        let pieces = Pieces::new(self, domains, envelopes, true);
        let (mut x, mut prices, converged) = pieces.solve(domains, cancel)?;
        if converged {
            self.steep(domains, &mut x, &mut prices);
        }
        Ok((x, prices, converged))
    }

    /// Spends near an optimum of the rows as the objective's envelopes see them, for cells that count with both signs: neither a
    /// bound nor sure to obey the rows, but often a plan. `None` when there is no such point.
    pub(crate) fn local(
        &self,
        domains: &[Domain],
        cancel: &dyn Cancel,
    ) -> Result<Option<Solution>, Cancelled> {
        let envelopes = self.envelopes(domains);
        let pieces = Pieces::new(self, domains, &envelopes, false);
        let (x, prices, converged) = pieces.solve(domains, cancel)?;
        Ok(converged.then_some((x, prices)))
    }

    /// Whether a cell hardly spends on a curve that starts infinitely steep: its best spend is positive, but may be smaller than
    /// any step that an iterative method takes.
    pub(crate) fn is_steep(&self, i: usize, x: f64, domain: &Domain) -> bool {
        domain.anchor == 0.0
            && domain.used_from == 0.0
            && x <= 1e-4 * domain.upper
            && self.weights[i] > 0.0
            && self.curves[i].beta > 0.0
            && self.curves[i].slope(0.0).is_infinite()
    }

    /// Gives steep cells the spend at which they answer to their price, and settles the others around them.
    fn steep(&self, domains: &[Domain], x: &mut Vec<f64>, prices: &mut Vec<f64>) {
        let steep: Vec<usize> = (0..x.len())
            .filter(|&i| self.is_steep(i, x[i], &domains[i]))
            .collect();
        if steep.is_empty() {
            return;
        }
        let (mut at, mut y) = (x.clone(), prices.clone());
        for _ in 0..4 {
            let (price, weight) = self.cell_prices(&y);
            for &i in &steep {
                let answer = self.curves[i].scaled(weight[i]).at_slope(price[i]);
                if answer.is_nan() || answer > 1e-3 * domains[i].upper {
                    return;
                }
                at[i] = answer;
            }
            let Some(next) = self.settle_within(domains, &at, &y) else {
                return;
            };
            (at, y) = next;
        }
        if self.violation(&at) <= 1e-12 {
            (*x, *prices) = (at, y);
        }
    }
}

impl Cells {
    /// Moves a plan to the nearest point where all optimality conditions hold, by Newton steps on the cells that are free and
    /// the rows that bind. The curves need not be concave there: a cell may rest on the convex part of its curve as long as the
    /// others hold it. `None` when that leads elsewhere.
    pub(crate) fn settle(&self, x: &[f64], prices: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
        self.settle_within(&self.domains, x, prices)
    }

    fn settle_within(
        &self,
        domains: &[Domain],
        x: &[f64],
        prices: &[f64],
    ) -> Option<(Vec<f64>, Vec<f64>)> {
        let n = x.len();
        let (mut x, mut y) = (x.to_vec(), prices.to_vec());
        // What is held where: by being there, or by a pull that is large against the distance, each in its own unit.
        let size = y.iter().fold(1e-300f64, |most, y| most.max(y.abs()));
        let (price, weight) = self.cell_prices(&y);
        let mut free = Vec::new();
        for i in 0..n {
            let d = &domains[i];
            if self.is_steep(i, x[i], d) {
                continue;
            }
            let width = (d.upper - d.anchor).max(1e-300);
            let net = weight[i] * self.curves[i].slope(x[i]) - price[i];
            let near = |distance: f64, pull: f64| {
                let share = distance.abs() / width;
                share <= 1e-9 || share <= (1e-3 * pull / size).min(1e-5)
            };
            if near(x[i] - d.upper, net) {
                x[i] = d.upper;
            } else if near(x[i] - d.anchor, -net) {
                x[i] = d.anchor;
            } else if near(x[i] - d.used_from, -net) {
                x[i] = d.used_from;
            } else {
                free.push(i);
            }
        }
        let mut active = Vec::new();
        for (r, row) in self.rows.iter().enumerate() {
            let sum = self.row_sum(row, &x);
            let near = |distance: f64, pull: f64| {
                let share = distance.abs() / row_size(row);
                share <= 1e-8 || share <= (1e-3 * pull / size).min(1e-5)
            };
            if near(sum - row.upper, y[r]) {
                active.push((r, row.upper));
            } else if near(sum - row.lower, -y[r]) {
                active.push((r, row.lower));
            } else {
                y[r] = 0.0;
            }
        }
        let m = active.len();
        if m == 0 || m > 200 || free.is_empty() {
            return None;
        }
        let mut slot = vec![usize::MAX; n];
        for (f, &i) in free.iter().enumerate() {
            slot[i] = f;
        }
        for _ in 0..8 {
            let (price, weight) = self.cell_prices(&y);
            let jets: Vec<_> = free.iter().map(|&i| self.curves[i].jet(x[i])).collect();
            let net: Vec<f64> = free
                .iter()
                .zip(&jets)
                .map(|(&i, j)| weight[i] * j.slope - price[i])
                .collect();
            let bend: Vec<f64> = free
                .iter()
                .zip(&jets)
                .map(|(&i, j)| weight[i] * j.bend)
                .collect();
            if bend.iter().any(|b| *b == 0.0 || !b.is_finite()) {
                return None;
            }
            let mut jacobian = vec![vec![0.0; free.len()]; m];
            let mut short = vec![0.0; m];
            for (a, &(r, target)) in active.iter().enumerate() {
                let row = &self.rows[r];
                for &(i, c) in &row.terms {
                    if slot[i] < usize::MAX {
                        jacobian[a][slot[i]] += c;
                    }
                }
                for &(i, c) in &row.outcome {
                    if slot[i] < usize::MAX {
                        jacobian[a][slot[i]] += c * jets[slot[i]].slope;
                    }
                }
                short[a] = target - self.row_sum(row, &x);
            }
            // bend · dx − Jᵀ dy = −net, J dx = short.
            let mut matrix = vec![0.0; m * m];
            let mut right = vec![0.0; m];
            for a in 0..m {
                right[a] = short[a];
                for f in 0..free.len() {
                    right[a] += jacobian[a][f] * net[f] / bend[f];
                    if jacobian[a][f] != 0.0 {
                        for b in 0..m {
                            matrix[a * m + b] += jacobian[a][f] * jacobian[b][f] / bend[f];
                        }
                    }
                }
            }
            let dy = eliminate(matrix, right, m)?;
            for (f, &i) in free.iter().enumerate() {
                let pull: f64 = (0..m).map(|a| jacobian[a][f] * dy[a]).sum();
                x[i] += (pull - net[f]) / bend[f];
                let d = &domains[i];
                if !(x[i] > d.used_from && x[i] < d.upper) {
                    return None;
                }
            }
            for (a, &(r, _)) in active.iter().enumerate() {
                y[r] += dy[a];
            }
        }
        // A rule holds on its own side only.
        let wrong = active.iter().any(|&(r, target)| {
            let row = &self.rows[r];
            let pull = if target == row.upper { y[r] } else { -y[r] };
            row.lower < row.upper && pull < -1e-10 * size
        });
        if wrong {
            return None;
        }
        interior::drop_idle(&self.rows, &mut y);
        Some((x, y))
    }
}

/// Gaussian elimination with row pivoting. `None` for a singular matrix.
fn eliminate(mut matrix: Vec<f64>, mut right: Vec<f64>, m: usize) -> Option<Vec<f64>> {
    for k in 0..m {
        let pivot =
            (k..m).max_by(|&a, &b| matrix[a * m + k].abs().total_cmp(&matrix[b * m + k].abs()))?;
        if matrix[pivot * m + k].abs() < 1e-300 {
            return None;
        }
        if pivot != k {
            for c in 0..m {
                matrix.swap(k * m + c, pivot * m + c);
            }
            right.swap(k, pivot);
        }
        for r in k + 1..m {
            let factor = matrix[r * m + k] / matrix[k * m + k];
            if factor != 0.0 {
                for c in k..m {
                    matrix[r * m + c] -= factor * matrix[k * m + c];
                }
                right[r] -= factor * right[k];
            }
        }
    }
    for k in (0..m).rev() {
        let sum: f64 = (k + 1..m).map(|c| matrix[k * m + c] * right[c]).sum();
        right[k] = (right[k] - sum) / matrix[k * m + k];
    }
    Some(right)
}

/// Size that a violation of a row is compared with.
pub(crate) fn row_size(row: &Row) -> f64 {
    let side = |v: f64| if v.is_finite() { v.abs() } else { 0.0 };
    side(row.lower).max(side(row.upper)).max(1e-9)
}

impl Curve {
    /// Whether the curve is a straight line.
    pub(crate) fn is_straight(&self) -> bool {
        self.beta == 0.0 || (self.family == super::curve::Family::Power && self.a == 1.0)
    }
}

/// Envelopes cut into pieces, each a variable that starts at zero.
///
/// A cell that rows on outcomes count with the other sign than the objective appears a second time, with the envelope of that
/// sign for those rows; a row of its own keeps both spends equal. So rows never see less than a response can give them.
pub(crate) struct Pieces {
    starts: Vec<usize>,
    pieces: Vec<(Curve, Piece, f64)>,
    /// The cell of each piece.
    pub(crate) owner: Vec<usize>,
    /// Pieces before the second appearances.
    firsts: usize,
    /// Rows before those that keep spends equal.
    own_rows: usize,
    weights: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    rows: Vec<Row>,
    pub(crate) start: Vec<f64>,
}

impl Pieces {
    /// The pieces for a test of whether the rows can hold, whatever the objective.
    pub(crate) fn feasible(cells: &Cells, domains: &[Domain]) -> Self {
        let mut bare = cells.clone();
        bare.weights.fill(0.0);
        Self::new(&bare, domains, &bare.envelopes(domains), true)
    }

    /// Pieces of the objective's envelopes; `both` for a relaxation of the rows as well.
    fn new(cells: &Cells, domains: &[Domain], envelopes: &[Envelope], both: bool) -> Self {
        let mut this = Self {
            starts: vec![0],
            pieces: Vec::new(),
            owner: Vec::new(),
            firsts: 0,
            own_rows: cells.rows.len(),
            weights: Vec::new(),
            lower: Vec::new(),
            upper: Vec::new(),
            rows: Vec::new(),
            start: Vec::new(),
        };
        let bounded = |i: usize, sign: f64| {
            Envelope::new(
                cells.curves[i].scaled(sign),
                domains[i].anchor,
                domains[i].used_from,
                domains[i].upper,
            )
        };
        // A worthless response still counts for rows on outcomes.
        let first: Vec<(usize, usize)> = (0..domains.len())
            .map(|i| {
                if cells.weights[i] == 0.0 {
                    this.add(cells, domains, i, &bounded(i, cells.sign(i)), 0.0)
                } else {
                    this.add(cells, domains, i, &envelopes[i], 1.0)
                }
            })
            .collect();
        this.firsts = this.pieces.len();
        let second: Vec<Option<(usize, usize)>> = (0..domains.len())
            .map(|i| {
                let sign = cells.other_sign(i).filter(|_| both)?;
                Some(this.add(cells, domains, i, &bounded(i, sign), 0.0))
            })
            .collect();
        for row in &cells.rows {
            let mut shift = 0.0;
            let mut terms = Vec::with_capacity(row.terms.len());
            for &(i, a) in &row.terms {
                shift += a * domains[i].anchor;
                terms.extend((first[i].0..first[i].1).map(|p| (p, a)));
            }
            let mut outcome = Vec::with_capacity(row.outcome.len());
            for &(i, c) in &row.outcome {
                let sign = cells.sign(i);
                let (range, scale) = match second[i] {
                    Some(range) if c * sign < 0.0 => (range, -sign),
                    _ if cells.weights[i] == 0.0 => (first[i], sign),
                    _ => (first[i], cells.weights[i]),
                };
                shift += c * cells.curves[i].value(domains[i].anchor);
                outcome.extend((range.0..range.1).map(|p| (p, c / scale)));
            }
            this.rows.push(Row {
                terms,
                outcome,
                lower: row.lower - shift,
                upper: row.upper - shift,
            });
        }
        for (first, second) in first.iter().zip(&second) {
            if let Some(second) = second {
                let plus = (first.0..first.1).map(|p| (p, 1.0));
                let minus = (second.0..second.1).map(|p| (p, -1.0));
                this.rows.push(Row {
                    terms: plus.chain(minus).collect(),
                    outcome: Vec::new(),
                    lower: 0.0,
                    upper: 0.0,
                });
            }
        }
        this
    }

    /// Adds a cell's envelope; returns where its pieces are.
    fn add(
        &mut self,
        cells: &Cells,
        domains: &[Domain],
        i: usize,
        envelope: &Envelope,
        weight: f64,
    ) -> (usize, usize) {
        let from = self.pieces.len();
        let mut left = cells.current[i] - domains[i].anchor;
        for piece in envelope.pieces() {
            let width = piece.to - piece.from;
            self.pieces
                .push((envelope.curve, *piece, envelope.curve.value(piece.from)));
            self.owner.push(i);
            self.weights.push(weight);
            self.lower.push(0.0);
            self.upper.push(width);
            self.start.push(left.clamp(0.0, width));
            left -= width;
            self.starts.push(self.pieces.len());
        }
        (from, self.pieces.len())
    }

    /// Spends by cell, prices by row, and whether they are a solution.
    fn solve(
        &self,
        domains: &[Domain],
        cancel: &dyn Cancel,
    ) -> Result<(Vec<f64>, Vec<f64>, bool), Cancelled> {
        let point = interior::maximise(&self.program(), &self.start, cancel)?;
        let mut x: Vec<f64> = domains.iter().map(|d| d.anchor).collect();
        for (v, owner) in point.x[..self.firsts].iter().zip(&self.owner) {
            x[*owner] += v;
        }
        for (x, domain) in x.iter_mut().zip(domains) {
            *x = x.min(domain.upper);
        }
        let mut prices = point.prices;
        prices.truncate(self.own_rows);
        Ok((x, prices, point.converged))
    }

    fn program(&self) -> Program<'_, Self> {
        Program {
            response: self,
            weights: &self.weights,
            lower: &self.lower,
            upper: &self.upper,
            rows: &self.rows,
        }
    }

    pub(crate) fn parts(&self) -> (&[f64], &[f64], &[Row]) {
        (&self.lower, &self.upper, &self.rows)
    }
}

impl Response for Pieces {
    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn band(&self, _: usize) -> usize {
        0
    }

    fn evaluate(&self, block: usize, x: &[f64], slope: &mut [f64], bend: &mut [f64]) -> f64 {
        let (curve, piece, base) = &self.pieces[block];
        match piece.shape {
            Shape::Line(s) => {
                (slope[0], bend[0]) = (s, 0.0);
                s * x[0]
            }
            Shape::Curve => {
                let jet = curve.jet(piece.from + x[0]);
                (slope[0], bend[0]) = (jet.slope, -jet.bend);
                jet.value - base
            }
        }
    }
}

/// Spends and price at which the envelopes together want a total between `least` and `most`. `None` when no spends do.
pub(crate) fn price_total(
    envelopes: &[Envelope],
    least: f64,
    most: f64,
    hint: Option<f64>,
    cancel: &dyn Cancel,
) -> Result<Option<(Vec<f64>, f64)>, Cancelled> {
    let low: f64 = envelopes.iter().map(|e| e.anchor).sum();
    let high: f64 = envelopes.iter().map(|e| e.upper).sum();
    let slack = 1e-12 * (1.0 + most.abs());
    if low > most + slack || high < least - slack {
        return Ok(None);
    }
    let mut x = vec![0.0; envelopes.len()];
    // Without a price everything that earns is wanted.
    let (wants, may) = respond(envelopes, 0.0, &mut x);
    let target = if wants > most {
        most
    } else if may < least {
        least
    } else {
        let missing = (least - wants).max(0.0);
        fill(envelopes, 0.0, 0.0, missing, &mut x);
        return Ok(Some((x, 0.0)));
    };
    let sign = if wants > most { 1.0 } else { -1.0 };
    // From here on |λ| is sought in a bracket: at `near` too much (for a positive price) is wanted, at `far` too little.
    let mut price = hint.map_or(0.0, |h| sign * h);
    if !(price.is_finite() && price > 0.0) {
        let mut slopes: Vec<f64> = envelopes
            .iter()
            .map(|e| e.slopes(0.5 * (e.anchor + e.upper)).1.abs())
            .filter(|s| s.is_finite() && *s > 0.0)
            .collect();
        slopes.sort_by(f64::total_cmp);
        price = slopes.get(slopes.len() / 2).copied().unwrap_or(1.0);
    }
    let (mut near, mut far) = (0.0f64, f64::INFINITY);
    let mut at = f64::NAN;
    for _ in 0..300 {
        cancel.check()?;
        let (wants, may) = respond(envelopes, sign * price, &mut x);
        at = price;
        if wants <= target && target <= may {
            fill(
                envelopes,
                sign * price,
                sign * price,
                target - wants,
                &mut x,
            );
            return Ok(Some((x, sign * price)));
        }
        let over = sign * (if wants > target { wants } else { may } - target);
        if over > 0.0 {
            near = price;
        } else {
            far = price;
        }
        if far.is_finite() && far - near <= 2.0 * f64::EPSILON * far {
            break;
        }
        let change = give(envelopes, &x);
        // Newton in the logarithm of the price.
        let miss = wants - target;
        let step = price * (-(miss / (sign * price * change))).clamp(-3.0, 3.0).exp();
        price = if change < 0.0 && step > near && step < far {
            if (step - price).abs() <= 2.0 * f64::EPSILON * price {
                break;
            }
            step
        } else if far.is_infinite() {
            price * 4.0
        } else if near == 0.0 {
            if far < 1e-290 {
                break;
            }
            far * 0.25
        } else {
            (near * far).sqrt().clamp(near.next_up(), far.next_down())
        };
    }
    let (wants, _) = respond(envelopes, sign * at, &mut x);
    // What rounding left is spread over the cells that answer to the price; what a jump left is put where the jump is.
    let miss = target - wants;
    let change = give(envelopes, &x);
    if change < 0.0 && miss.abs() <= 1e-9 * (1.0 + target.abs()) {
        let mut left = miss;
        for (e, x) in envelopes.iter().zip(x.iter_mut()) {
            if let Some(bend) = interior_bend(e, *x) {
                let next = (*x + miss / bend / change).clamp(e.anchor, e.upper);
                left -= next - *x;
                *x = next;
            }
        }
        // The last digits.
        if let Some((e, x)) = envelopes
            .iter()
            .zip(x.iter_mut())
            .filter(|(e, x)| interior_bend(e, **x).is_some())
            .max_by(|a, b| (a.0.upper - a.0.anchor).total_cmp(&(b.0.upper - b.0.anchor)))
        {
            *x = (*x + left).clamp(e.anchor, e.upper);
        }
        return Ok(Some((x, sign * at)));
    }
    let (first, second) = if sign > 0.0 { (far, near) } else { (near, far) };
    let second = if second.is_finite() { second } else { at };
    let first = if first.is_finite() { first } else { at };
    let (base, _) = respond(envelopes, sign * first, &mut x);
    fill(
        envelopes,
        sign * first,
        sign * second,
        target - base,
        &mut x,
    );
    Ok(Some((x, sign * at)))
}

/// Smallest answers to a price, their sum, and the sum of the largest answers.
fn respond(envelopes: &[Envelope], price: f64, x: &mut [f64]) -> (f64, f64) {
    let (mut least, mut most) = (0.0, 0.0);
    for (e, x) in envelopes.iter().zip(x.iter_mut()) {
        let (low, high) = e.respond(price);
        *x = low;
        least += low;
        most += high;
    }
    (least, most)
}

/// Curvature where a cell answers smoothly to the price.
fn interior_bend(e: &Envelope, x: f64) -> Option<f64> {
    e.pieces()
        .iter()
        .find(|p| p.shape == Shape::Curve && x > p.from && x < p.to)
        .map(|_| e.curve.jet(x).bend)
        .filter(|b| *b < 0.0)
}

/// Change of the total per unit of price.
fn give(envelopes: &[Envelope], x: &[f64]) -> f64 {
    envelopes
        .iter()
        .zip(x)
        .filter_map(|(e, x)| interior_bend(e, *x))
        .map(|b| 1.0 / b)
        .sum()
}

/// Adds an amount where cells are indifferent between their answers to two neighbouring prices.
fn fill(envelopes: &[Envelope], first: f64, second: f64, amount: f64, x: &mut [f64]) {
    let mut left = amount;
    for (e, x) in envelopes.iter().zip(x.iter_mut()) {
        if left <= 0.0 {
            break;
        }
        let most = e.respond(first).1.max(e.respond(second).1);
        let take = (most - *x).clamp(0.0, left);
        *x += take;
        left -= take;
    }
}
