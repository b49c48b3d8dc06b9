//! A primal-dual interior-point method for concave programs whose curvature is block-diagonal and whose rows are few or disjoint.
//!
//! maximise `Σ_b w_b F_b(x_b)` subject to `lower ≤ x ≤ upper` and, for every row r,
//! `lower_r ≤ Σ a_ri x_i + Σ c_rb F_b(x_b) ≤ upper_r`.
//!
//! Every block (one cell, or one cell over all weeks) has a banded Hessian, so the Newton system is reduced to one equation per
//! row: `J D⁻¹ Jᵀ + Σ⁻¹`. Rows that share no block form a diagonal part; only the others are dense (a Schur complement), so a
//! floor for each of a thousand brands costs no more than a thousand divisions. Steps are Mehrotra's predictor and corrector
//! (Mehrotra 1992; Nocedal and Wright 2006, chapters 14 and 19); the answer is then polished to rounding error by Newton
//! steps on the constraints found to be active.

// Several lists share one index, as in the formulas.
#![allow(clippy::needless_range_loop)]

use crate::cancel::{Cancel, Cancelled};

/// Concave functions of disjoint blocks of variables.
pub(crate) trait Response {
    /// First variable of each block, and the number of variables at the end.
    fn starts(&self) -> &[usize];
    /// Number of sub-diagonals of a block's Hessian.
    fn band(&self, block: usize) -> usize;
    /// Value of a block; its gradient goes to `slope`, and the lower band of its negated Hessian to `bend`: entry `(i, i − d)`
    /// at `i · (band + 1) + d`.
    fn evaluate(&self, block: usize, x: &[f64], slope: &mut [f64], bend: &mut [f64]) -> f64;
}

/// A linear row over variables and block values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) terms: Vec<(usize, f64)>,
    pub(crate) outcome: Vec<(usize, f64)>,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
}

impl Row {
    fn is_equality(&self) -> bool {
        self.upper <= self.lower
    }
}

/// A concave program.
pub(crate) struct Program<'a, R> {
    pub(crate) response: &'a R,
    /// Weight of each block's value in the objective.
    pub(crate) weights: &'a [f64],
    pub(crate) lower: &'a [f64],
    pub(crate) upper: &'a [f64],
    pub(crate) rows: &'a [Row],
}

/// Where the method ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: Vec<f64>,
    /// Price of each row: positive where its upper side binds, negative where its lower side does.
    pub(crate) prices: Vec<f64>,
    /// Whether residuals and complementarity are small.
    pub(crate) converged: bool,
    pub(crate) iterations: usize,
}

/// Which rows touch a block, and with what.
struct Touch {
    row: usize,
    entries: (usize, usize),
    outcome: f64,
}

struct Layout {
    touches: Vec<Touch>,
    touch_starts: Vec<usize>,
    entries: Vec<(usize, f64)>,
    bend_starts: Vec<usize>,
    widest: usize,
    longest: usize,
    /// Place of each row among the disjoint ones, or among the dense ones.
    place: Vec<Place>,
    disjoint: usize,
    dense: usize,
}

#[derive(Clone, Copy)]
enum Place {
    Disjoint(usize),
    Dense(usize),
}

impl Layout {
    fn new<R: Response>(response: &R, rows: &[Row]) -> Self {
        let starts = response.starts();
        let blocks = starts.len() - 1;
        let mut block_of = vec![0; starts[blocks]];
        for b in 0..blocks {
            block_of[starts[b]..starts[b + 1]].fill(b);
        }
        // Terms sorted by block, then row.
        let mut all: Vec<(usize, usize, usize, f64)> = Vec::new();
        let mut outcomes: Vec<(usize, usize, f64)> = Vec::new();
        for (r, row) in rows.iter().enumerate() {
            for &(i, a) in &row.terms {
                all.push((block_of[i], r, i - starts[block_of[i]], a));
            }
            for &(b, c) in &row.outcome {
                outcomes.push((b, r, c));
            }
        }
        all.sort_by_key(|&(b, r, i, _)| (b, r, i));
        outcomes.sort_by_key(|&(b, r, _)| (b, r));
        let mut layout = Self {
            touches: Vec::with_capacity(all.len()),
            touch_starts: Vec::with_capacity(blocks + 1),
            entries: Vec::with_capacity(all.len()),
            bend_starts: Vec::with_capacity(blocks + 1),
            widest: 0,
            longest: 0,
            place: Vec::new(),
            disjoint: 0,
            dense: 0,
        };
        let (mut next, mut outcome, mut bend) = (0, 0, 0);
        for b in 0..blocks {
            layout.touch_starts.push(layout.touches.len());
            layout.bend_starts.push(bend);
            let long = starts[b + 1] - starts[b];
            bend += long * (response.band(b) + 1);
            layout.longest = layout.longest.max(long);
            loop {
                let linear = all.get(next).filter(|t| t.0 == b).map(|t| t.1);
                let valued = outcomes.get(outcome).filter(|t| t.0 == b).map(|t| t.1);
                let Some(row) = linear.into_iter().chain(valued).min() else {
                    break;
                };
                let from = layout.entries.len();
                while let Some(&(_, _, i, a)) = all.get(next).filter(|t| t.0 == b && t.1 == row) {
                    layout.entries.push((i, a));
                    next += 1;
                }
                let mut weight = 0.0;
                while let Some(&(_, _, c)) =
                    outcomes.get(outcome).filter(|t| t.0 == b && t.1 == row)
                {
                    weight += c;
                    outcome += 1;
                }
                layout.touches.push(Touch {
                    row,
                    entries: (from, layout.entries.len()),
                    outcome: weight,
                });
            }
            layout.widest = layout
                .widest
                .max(layout.touches.len() - layout.touch_starts[b]);
        }
        layout.touch_starts.push(layout.touches.len());
        layout.bend_starts.push(bend);
        layout.choose_disjoint(rows.len(), blocks);
        layout
    }

    /// Greedily takes small rows that share no block with one already taken.
    fn choose_disjoint(&mut self, rows: usize, blocks: usize) {
        let mut blocks_of: Vec<Vec<usize>> = vec![Vec::new(); rows];
        for b in 0..blocks {
            for touch in &self.touches[self.touch_starts[b]..self.touch_starts[b + 1]] {
                blocks_of[touch.row].push(b);
            }
        }
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|&r| (blocks_of[r].len(), r));
        let mut taken = vec![false; blocks];
        self.place = vec![Place::Dense(0); rows];
        for r in order {
            if blocks_of[r].iter().all(|&b| !taken[b]) {
                blocks_of[r].iter().for_each(|&b| taken[b] = true);
                self.place[r] = Place::Disjoint(self.disjoint);
                self.disjoint += 1;
            }
        }
        for place in &mut self.place {
            if let Place::Dense(index) = place {
                *index = self.dense;
                self.dense += 1;
            }
        }
    }

    fn touches(&self, block: usize) -> &[Touch] {
        &self.touches[self.touch_starts[block]..self.touch_starts[block + 1]]
    }
}

/// The reduced system, one equation per row.
struct Normal {
    diagonal: Vec<f64>,
    /// Disjoint rows × dense rows.
    coupling: Vec<f64>,
    /// Dense rows, lower triangle; holds the factor of the Schur complement after `factor`.
    dense: Vec<f64>,
    m: usize,
}

impl Normal {
    fn new(layout: &Layout) -> Self {
        Self {
            diagonal: vec![0.0; layout.disjoint],
            coupling: vec![0.0; layout.disjoint * layout.dense],
            dense: vec![0.0; layout.dense * layout.dense],
            m: layout.dense,
        }
    }

    fn clear(&mut self) {
        self.diagonal.fill(0.0);
        self.coupling.fill(0.0);
        self.dense.fill(0.0);
    }

    fn add(&mut self, a: Place, b: Place, value: f64) {
        match (a, b) {
            (Place::Disjoint(i), Place::Disjoint(_)) => self.diagonal[i] += value,
            (Place::Disjoint(i), Place::Dense(j)) | (Place::Dense(j), Place::Disjoint(i)) => {
                self.coupling[i * self.m + j] += value;
            }
            (Place::Dense(i), Place::Dense(j)) => {
                self.dense[i.max(j) * self.m + i.min(j)] += value;
            }
        }
    }

    fn factor(&mut self) {
        let m = self.m;
        let trace: Vec<f64> = (0..m).map(|j| self.dense[j * m + j]).collect();
        let mut used: Vec<(usize, f64)> = Vec::with_capacity(m);
        for i in 0..self.diagonal.len() {
            if self.diagonal[i] <= 0.0 {
                self.diagonal[i] = f64::INFINITY;
                continue;
            }
            let row = &self.coupling[i * m..(i + 1) * m];
            used.clear();
            used.extend(row.iter().copied().enumerate().filter(|(_, c)| *c != 0.0));
            for (n, &(j, c)) in used.iter().enumerate() {
                let ratio = c / self.diagonal[i];
                for &(l, d) in &used[..=n] {
                    self.dense[j * m + l] -= ratio * d;
                }
            }
        }
        cholesky(&mut self.dense, m, &trace);
    }

    /// Solves in place; the right-hand side is by row.
    fn solve(&self, layout: &Layout, rhs: &mut [f64]) {
        let m = self.m;
        let mut first = vec![0.0; self.diagonal.len()];
        let mut second = vec![0.0; m];
        for (place, value) in layout.place.iter().zip(rhs.iter()) {
            match place {
                Place::Disjoint(i) => first[*i] = *value,
                Place::Dense(j) => second[*j] = *value,
            }
        }
        for (i, b) in first.iter().enumerate() {
            let ratio = b / self.diagonal[i];
            if ratio != 0.0 {
                for j in 0..m {
                    second[j] -= self.coupling[i * m + j] * ratio;
                }
            }
        }
        solve_cholesky(&self.dense, m, &mut second);
        for (i, b) in first.iter_mut().enumerate() {
            let crossed: f64 = (0..m).map(|j| self.coupling[i * m + j] * second[j]).sum();
            *b = (*b - crossed) / self.diagonal[i];
        }
        for (place, value) in layout.place.iter().zip(rhs.iter_mut()) {
            *value = match place {
                Place::Disjoint(i) => first[*i],
                Place::Dense(j) => second[*j],
            };
        }
    }
}

/// Cholesky factor of the lower triangle in place. A pivot that is rounding error of its original size belongs to a row that
/// says nothing new: it is made infinite, so that the row takes no part.
pub(crate) fn cholesky(matrix: &mut [f64], m: usize, sizes: &[f64]) {
    for j in 0..m {
        let (row, below) = matrix[j * m..].split_at_mut(m);
        let pivot = row[j] - row[..j].iter().map(|v| v * v).sum::<f64>();
        let pivot = if pivot > 1e-14 * sizes[j].abs() && pivot > 0.0 {
            pivot.sqrt()
        } else {
            f64::INFINITY
        };
        row[j] = pivot;
        for i in 0..m - j - 1 {
            let other = &mut below[i * m..i * m + j + 1];
            let dot: f64 = dot(&other[..j], &row[..j]);
            other[j] = if pivot.is_finite() {
                (other[j] - dot) / pivot
            } else {
                0.0
            };
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0f64; 4];
    let whole = a.len() / 4 * 4;
    for (x, y) in a[..whole].chunks_exact(4).zip(b[..whole].chunks_exact(4)) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let tail: f64 = a[whole..].iter().zip(&b[whole..]).map(|(x, y)| x * y).sum();
    sums[0] + sums[1] + sums[2] + sums[3] + tail
}

/// Solves with the factor of [`cholesky`].
pub(crate) fn solve_cholesky(factor: &[f64], m: usize, rhs: &mut [f64]) {
    for i in 0..m {
        let sum = dot(&factor[i * m..i * m + i], &rhs[..i]);
        rhs[i] = (rhs[i] - sum) / factor[i * m + i];
    }
    for i in (0..m).rev() {
        rhs[i] /= factor[i * m + i];
        let value = rhs[i];
        for (j, entry) in factor[i * m..i * m + i].iter().enumerate() {
            rhs[j] -= entry * value;
        }
    }
}

/// Cholesky factor of a banded matrix in place (entry `(i, i − d)` at `i · (band + 1) + d`). False when it is not positive.
fn cholesky_band(matrix: &mut [f64], n: usize, band: usize) -> bool {
    let w = band + 1;
    for i in 0..n {
        for d in (0..=band.min(i)).rev() {
            let j = i - d;
            let mut sum = matrix[i * w + d];
            for l in i.saturating_sub(band)..j {
                if j - l <= band {
                    sum -= matrix[i * w + i - l] * matrix[j * w + j - l];
                }
            }
            if d == 0 {
                if sum <= 0.0 || !sum.is_finite() {
                    return false;
                }
                matrix[i * w] = sum.sqrt();
            } else {
                matrix[i * w + d] = sum / matrix[j * w];
            }
        }
    }
    true
}

fn forward_band(factor: &[f64], n: usize, band: usize, rhs: &mut [f64]) {
    let w = band + 1;
    for i in 0..n {
        let mut sum = rhs[i];
        for d in 1..=band.min(i) {
            sum -= factor[i * w + d] * rhs[i - d];
        }
        rhs[i] = sum / factor[i * w];
    }
}

fn backward_band(factor: &[f64], n: usize, band: usize, rhs: &mut [f64]) {
    let w = band + 1;
    for i in (0..n).rev() {
        rhs[i] /= factor[i * w];
        let value = rhs[i];
        for d in 1..=band.min(i) {
            rhs[i - d] -= factor[i * w + d] * value;
        }
    }
}

/// Everything that is evaluated at a point.
struct State {
    value: f64,
    /// Value of every block.
    values: Vec<f64>,
    /// Gradient of every block's own value.
    slope: Vec<f64>,
    /// Negated Hessian bands of every block's own value.
    bend: Vec<f64>,
    /// Row sums.
    sums: Vec<f64>,
    /// Gradient of the objective less the price of what is spent.
    reduced: Vec<f64>,
    /// Weight of each block in the Lagrangian.
    weight: Vec<f64>,
}

struct Work<'a, R> {
    program: &'a Program<'a, R>,
    layout: Layout,
    /// Variables that cannot move.
    still: Vec<bool>,
    factor: Vec<f64>,
    normal: Normal,
    /// Touch vectors of the block at hand, after the forward solve.
    vectors: Vec<f64>,
}

impl<'a, R: Response> Work<'a, R> {
    fn new(program: &'a Program<'a, R>) -> Self {
        let layout = Layout::new(program.response, program.rows);
        let normal = Normal::new(&layout);
        let blocks = program.response.starts().len() - 1;
        Self {
            program,
            still: program
                .lower
                .iter()
                .zip(program.upper)
                .map(|(l, u)| u <= l)
                .collect(),
            factor: vec![0.0; layout.bend_starts[blocks]],
            normal,
            vectors: vec![0.0; layout.widest * layout.longest],
            layout,
        }
    }

    fn state(&self, x: &[f64], prices: &[f64]) -> State {
        let starts = self.program.response.starts();
        let blocks = starts.len() - 1;
        let mut state = State {
            value: 0.0,
            values: vec![0.0; blocks],
            slope: vec![0.0; x.len()],
            bend: vec![0.0; self.layout.bend_starts[blocks]],
            sums: vec![0.0; self.program.rows.len()],
            reduced: vec![0.0; x.len()],
            weight: self.program.weights.to_vec(),
        };
        for b in 0..blocks {
            let (from, to) = (starts[b], starts[b + 1]);
            let bend = self.layout.bend_starts[b]..self.layout.bend_starts[b + 1];
            state.values[b] = self.program.response.evaluate(
                b,
                &x[from..to],
                &mut state.slope[from..to],
                &mut state.bend[bend],
            );
            state.value += self.program.weights[b] * state.values[b];
            for touch in self.layout.touches(b) {
                let entries = &self.layout.entries[touch.entries.0..touch.entries.1];
                for &(i, a) in entries {
                    state.sums[touch.row] += a * x[from + i];
                }
                state.sums[touch.row] += touch.outcome * state.values[b];
            }
        }
        self.price(&mut state, prices);
        state
    }

    /// Recomputes what depends on the prices.
    fn price(&self, state: &mut State, prices: &[f64]) {
        let starts = self.program.response.starts();
        for b in 0..starts.len() - 1 {
            let (from, to) = (starts[b], starts[b + 1]);
            let mut weight = self.program.weights[b];
            for touch in self.layout.touches(b) {
                weight -= prices[touch.row] * touch.outcome;
            }
            state.weight[b] = weight;
            for i in from..to {
                state.reduced[i] = weight * state.slope[i];
            }
            for touch in self.layout.touches(b) {
                let price = prices[touch.row];
                if price != 0.0 {
                    for &(i, a) in &self.layout.entries[touch.entries.0..touch.entries.1] {
                        state.reduced[from + i] -= price * a;
                    }
                }
            }
        }
    }

    /// Factors `D = −∇²L + barrier` block by block, and the reduced system with `give` added per row. False when a block is not
    /// positive definite.
    fn factor(&mut self, state: &State, barrier: &[f64], give: &[f64], in_use: &[bool]) -> bool {
        let starts = self.program.response.starts();
        self.normal.clear();
        for b in 0..starts.len() - 1 {
            let (from, to) = (starts[b], starts[b + 1]);
            let n = to - from;
            let band = self.program.response.band(b);
            let w = band + 1;
            let range = self.layout.bend_starts[b]..self.layout.bend_starts[b + 1];
            let factor = &mut self.factor[range.clone()];
            let weight = state.weight[b];
            for (f, h) in factor.iter_mut().zip(&state.bend[range]) {
                *f = weight * h;
            }
            for i in 0..n {
                factor[i * w] += barrier[from + i];
            }
            for i in 0..n {
                if self.still[from + i] {
                    factor[i * w..(i + 1) * w].fill(0.0);
                    for j in i + 1..(i + w).min(n) {
                        factor[j * w + j - i] = 0.0;
                    }
                    factor[i * w] = 1.0;
                }
            }
            if n == 1 {
                if self.still[from] {
                    factor[0] = f64::INFINITY;
                } else if factor[0] <= 0.0 || !factor[0].is_finite() {
                    // Convex here: the barrier has to be enough.
                    factor[0] = barrier[from].max(1e-12 * (1.0 + state.slope[from].abs()));
                    if !factor[0].is_finite() {
                        return false;
                    }
                }
                let d = factor[0];
                let touches = &self.layout.touches
                    [self.layout.touch_starts[b]..self.layout.touch_starts[b + 1]];
                let entry = |t: &Touch| {
                    let linear: f64 = self.layout.entries[t.entries.0..t.entries.1]
                        .iter()
                        .map(|e| e.1)
                        .sum();
                    linear
                        + if t.outcome == 0.0 {
                            0.0
                        } else {
                            t.outcome * state.slope[from]
                        }
                };
                for (p, touch) in touches.iter().enumerate() {
                    if !in_use[touch.row] {
                        continue;
                    }
                    let mine = entry(touch) / d;
                    for other in &touches[..=p] {
                        if in_use[other.row] {
                            self.normal.add(
                                self.layout.place[touch.row],
                                self.layout.place[other.row],
                                mine * entry(other),
                            );
                        }
                    }
                }
                continue;
            }
            if !cholesky_band(factor, n, band) {
                return false;
            }
            let touches =
                &self.layout.touches[self.layout.touch_starts[b]..self.layout.touch_starts[b + 1]];
            for (p, touch) in touches.iter().enumerate() {
                if !in_use[touch.row] {
                    continue;
                }
                let vector = &mut self.vectors[p * n..(p + 1) * n];
                vector.fill(0.0);
                for &(i, a) in &self.layout.entries[touch.entries.0..touch.entries.1] {
                    vector[i] += a;
                }
                if touch.outcome != 0.0 {
                    for i in 0..n {
                        vector[i] += touch.outcome * state.slope[from + i];
                    }
                }
                for i in 0..n {
                    if self.still[from + i] {
                        vector[i] = 0.0;
                    }
                }
                forward_band(factor, n, band, vector);
                for (q, other) in touches[..=p].iter().enumerate() {
                    if in_use[other.row] {
                        let value = dot(
                            &self.vectors[p * n..(p + 1) * n],
                            &self.vectors[q * n..(q + 1) * n],
                        );
                        self.normal.add(
                            self.layout.place[touch.row],
                            self.layout.place[other.row],
                            value,
                        );
                    }
                }
            }
        }
        for (r, g) in give.iter().enumerate() {
            let place = self.layout.place[r];
            self.normal
                .add(place, place, if in_use[r] { *g } else { 1.0 });
        }
        self.normal.factor();
        true
    }

    /// `D⁻¹ v`, block by block, in place.
    fn divide(&self, v: &mut [f64]) {
        let starts = self.program.response.starts();
        for b in 0..starts.len() - 1 {
            let (from, to) = (starts[b], starts[b + 1]);
            let n = to - from;
            let factor = &self.factor[self.layout.bend_starts[b]..self.layout.bend_starts[b + 1]];
            if n == 1 {
                v[from] = if self.still[from] {
                    0.0
                } else {
                    v[from] / factor[0]
                };
            } else {
                for i in from..to {
                    if self.still[i] {
                        v[i] = 0.0;
                    }
                }
                let band = self.program.response.band(b);
                forward_band(factor, n, band, &mut v[from..to]);
                backward_band(factor, n, band, &mut v[from..to]);
            }
        }
    }

    /// `J v` by row.
    fn rows_of(&self, state: &State, v: &[f64], in_use: &[bool]) -> Vec<f64> {
        let starts = self.program.response.starts();
        let mut sums = vec![0.0; self.program.rows.len()];
        for b in 0..starts.len() - 1 {
            let from = starts[b];
            for touch in self.layout.touches(b) {
                if !in_use[touch.row] {
                    continue;
                }
                let mut sum = 0.0;
                for &(i, a) in &self.layout.entries[touch.entries.0..touch.entries.1] {
                    sum += a * v[from + i];
                }
                if touch.outcome != 0.0 {
                    for i in from..starts[b + 1] {
                        if v[i] != 0.0 {
                            sum += touch.outcome * state.slope[i] * v[i];
                        }
                    }
                }
                sums[touch.row] += sum;
            }
        }
        sums
    }

    /// Subtracts `Jᵀ y` from `v`.
    fn less_prices(&self, state: &State, y: &[f64], in_use: &[bool], v: &mut [f64]) {
        let starts = self.program.response.starts();
        for b in 0..starts.len() - 1 {
            let from = starts[b];
            for touch in self.layout.touches(b) {
                let price = y[touch.row];
                if !in_use[touch.row] || price == 0.0 {
                    continue;
                }
                for &(i, a) in &self.layout.entries[touch.entries.0..touch.entries.1] {
                    v[from + i] -= price * a;
                }
                if touch.outcome != 0.0 {
                    for i in from..starts[b + 1] {
                        v[i] -= price * touch.outcome * state.slope[i];
                    }
                }
            }
        }
    }

    /// Solves `D dx + Jᵀ dy = rx`, `J dx − give · dy = rr` (rows not in use left out).
    fn solve(
        &self,
        state: &State,
        rx: &[f64],
        rr: &[f64],
        in_use: &[bool],
    ) -> (Vec<f64>, Vec<f64>) {
        let mut first = rx.to_vec();
        self.divide(&mut first);
        let mut dy = self.rows_of(state, &first, in_use);
        for (r, d) in dy.iter_mut().enumerate() {
            *d = if in_use[r] { *d - rr[r] } else { 0.0 };
        }
        self.normal.solve(&self.layout, &mut dy);
        let mut dx = rx.to_vec();
        self.less_prices(state, &dy, in_use, &mut dx);
        self.divide(&mut dx);
        (dx, dy)
    }
}

/// Share of the way to the boundary a step may go.
const NEAR: f64 = 0.995;

/// Multipliers of one two-sided quantity.
#[derive(Clone, Copy, Default)]
struct Sides {
    low: f64,
    high: f64,
}

/// Maximises from a starting point (moved inside the bounds).
///
/// # Errors
/// [`Cancelled`] when asked to stop.
pub(crate) fn maximise<R: Response>(
    program: &Program<'_, R>,
    start: &[f64],
    cancel: &dyn Cancel,
) -> Result<Point, Cancelled> {
    let mut point = follow(program, start, 0.0, cancel)?;
    if !point.converged {
        // Again, staying near the central path.
        point = follow(program, start, 0.3, cancel)?;
    }
    drop_idle(program.rows, &mut point.prices);
    Ok(point)
}

/// Sets prices to zero whose side of the row has no limit: rounding leaves a price of the wrong sign, and times an infinite
/// limit that would be an infinite bound.
pub(crate) fn drop_idle(rows: &[Row], prices: &mut [f64]) {
    for (row, y) in rows.iter().zip(prices) {
        let side = if *y > 0.0 { row.upper } else { row.lower };
        if !side.is_finite() {
            *y = 0.0;
        }
    }
}

/// Follows the central path; `least` is the least share of complementarity that a step aims to keep.
fn follow<R: Response>(
    program: &Program<'_, R>,
    start: &[f64],
    least: f64,
    cancel: &dyn Cancel,
) -> Result<Point, Cancelled> {
    let mut work = Work::new(program);
    let (n, m) = (program.lower.len(), program.rows.len());
    let width: Vec<f64> = (0..n)
        .map(|i| program.upper[i] - program.lower[i])
        .collect();
    let mut x: Vec<f64> = (0..n)
        .map(|i| {
            if work.still[i] {
                program.lower[i]
            } else {
                let inside = 0.1 * width[i];
                start[i].clamp(program.lower[i] + inside, program.upper[i] - inside)
            }
        })
        .collect();
    let mut y = vec![0.0; m];
    let mut state = work.state(&x, &y);
    let all = vec![true; m];

    // Sizes that tolerances are relative to.
    let mut slopes: Vec<f64> = (0..n)
        .filter(|&i| !work.still[i])
        .map(|i| state.reduced[i].abs())
        .filter(|g| g.is_finite() && *g > 0.0)
        .collect();
    slopes.sort_by(f64::total_cmp);
    let price_size = slopes
        .get(slopes.len() / 2)
        .copied()
        .unwrap_or(1.0)
        .max(slopes.last().copied().unwrap_or(1.0) * 1e-6)
        .max(1e-300);
    let moving = (0..n).filter(|&i| !work.still[i]).count().max(1);
    let mean_width = width.iter().sum::<f64>() / moving as f64;
    if work.still.iter().all(|still| *still) {
        let met = program.rows.iter().zip(&state.sums).all(|(row, sum)| {
            let near = 1e-9 * row.lower.abs().min(row.upper.abs()).max(1e-9);
            *sum >= row.lower - near && *sum <= row.upper + near
        });
        return Ok(Point {
            x,
            prices: y,
            converged: met,
            iterations: 0,
        });
    }
    let value_size = |value: f64| value.abs().max(price_size * mean_width * 1e-3);
    // How far a row can travel.
    let row_size: Vec<f64> = program
        .rows
        .iter()
        .map(|row| {
            let linear: f64 = row.terms.iter().map(|&(i, a)| a.abs() * width[i]).sum();
            let valued: f64 = row
                .outcome
                .iter()
                .map(|&(b, c)| (c * state.values[b]).abs())
                .sum();
            let side = |v: f64| if v.is_finite() { v.abs() } else { 0.0 };
            (linear + valued)
                .max(1e-3 * side(row.lower).max(side(row.upper)))
                .max(1e-300)
        })
        .collect();

    let start_gap = 0.1 * price_size * mean_width;
    let mut z = vec![Sides::default(); n];
    for i in 0..n {
        if !work.still[i] {
            z[i].low = start_gap / (x[i] - program.lower[i]);
            z[i].high = start_gap / (program.upper[i] - x[i]);
        }
    }
    let mut s = vec![0.0; m];
    let mut v = vec![Sides::default(); m];
    let free: Vec<bool> = program.rows.iter().map(|row| !row.is_equality()).collect();
    for (r, row) in program.rows.iter().enumerate() {
        if !free[r] {
            s[r] = row.lower;
            continue;
        }
        let room = (row.upper - row.lower).min(row_size[r]);
        let inside = 0.1 * room;
        s[r] = state.sums[r].clamp(
            row.lower + inside,
            (row.upper - inside).max(row.lower + inside),
        );
        if row.lower.is_finite() {
            v[r].low = start_gap / (s[r] - row.lower);
        }
        if row.upper.is_finite() {
            v[r].high = start_gap / (row.upper - s[r]);
        }
        y[r] = v[r].high - v[r].low;
    }
    work.price(&mut state, &y);

    let sides: usize = 2 * moving
        + program
            .rows
            .iter()
            .filter(|row| !row.is_equality())
            .map(|row| usize::from(row.lower.is_finite()) + usize::from(row.upper.is_finite()))
            .sum::<usize>();
    let gap_of = |x: &[f64], z: &[Sides], s: &[f64], v: &[Sides]| -> f64 {
        let mut sum = 0.0;
        for i in 0..n {
            if width[i] > 0.0 {
                sum += (x[i] - program.lower[i]) * z[i].low + (program.upper[i] - x[i]) * z[i].high;
            }
        }
        for (r, row) in program.rows.iter().enumerate() {
            if v[r].low > 0.0 {
                sum += (s[r] - row.lower) * v[r].low;
            }
            if v[r].high > 0.0 {
                sum += (row.upper - s[r]) * v[r].high;
            }
        }
        sum
    };
    // Largest relative residuals of stationarity and of the rows.
    let residuals = |state: &State,
                     z: &[Sides],
                     s: &[f64],
                     v: &[Sides],
                     y: &[f64],
                     still: &[bool]|
     -> (f64, f64) {
        let mut dual = 0.0f64;
        for i in 0..n {
            if !still[i] {
                dual = dual.max(
                    (state.reduced[i] + z[i].low - z[i].high).abs()
                        / price_size.max(z[i].low).max(z[i].high),
                );
            }
        }
        let mut primal = 0.0f64;
        for r in 0..m {
            primal = primal.max((state.sums[r] - s[r]).abs() / row_size[r]);
            if free[r] {
                dual = dual.max((y[r] + v[r].low - v[r].high).abs() / price_size.max(y[r].abs()));
            }
        }
        (dual, primal)
    };

    let mut converged = false;
    let mut iterations = 0;
    let mut merit = f64::INFINITY;
    let mut stalled = 0;
    // The best iterate, should rounding make later ones worse.
    let mut kept = None;
    for iteration in 0..150 {
        cancel.check()?;
        iterations = iteration;
        let gap = gap_of(&x, &z, &s, &v);
        let (dual, primal) = residuals(&state, &z, &s, &v, &y, &work.still);
        let relative = gap / value_size(state.value);
        if dual < 1e-10 && primal < 1e-12 && relative < 1e-12 {
            converged = true;
            break;
        }
        let now = dual.max(primal).max(relative);
        if now < 0.9 * merit {
            merit = now;
            stalled = 0;
            kept = Some((x.clone(), z.clone(), s.clone(), v.clone(), y.clone()));
        } else {
            stalled += 1;
            if stalled > 25 {
                break;
            }
        }
        let mu = gap / sides.max(1) as f64;

        let barrier: Vec<f64> = (0..n)
            .map(|i| {
                if work.still[i] {
                    0.0
                } else {
                    z[i].low / (x[i] - program.lower[i]) + z[i].high / (program.upper[i] - x[i])
                }
            })
            .collect();
        let stiffness: Vec<f64> = (0..m)
            .map(|r| {
                let row = &program.rows[r];
                let mut sum = 0.0;
                if v[r].low > 0.0 {
                    sum += v[r].low / (s[r] - row.lower);
                }
                if v[r].high > 0.0 {
                    sum += v[r].high / (row.upper - s[r]);
                }
                sum
            })
            .collect();
        let give: Vec<f64> = (0..m)
            .map(|r| {
                if free[r] {
                    1.0 / stiffness[r].max(1e-300)
                } else {
                    0.0
                }
            })
            .collect();
        if !work.factor(&state, &barrier, &give, &all) {
            // Convexity beyond what the barrier covers: add curvature until every block is positive.
            let mut extra = price_size / mean_width.max(1e-300);
            let mut done = false;
            for _ in 0..20 {
                let more: Vec<f64> = barrier.iter().map(|b| b + extra).collect();
                if work.factor(&state, &more, &give, &all) {
                    done = true;
                    break;
                }
                extra *= 10.0;
            }
            if !done {
                break;
            }
        }

        // One direction for a centring target and second-order terms.
        let direction = |target: f64, second: Option<&Direction>| -> Direction {
            let cross = |i: usize| -> (f64, f64) {
                second.map_or((0.0, 0.0), |d| {
                    (d.dx[i] * d.dz[i].low, -d.dx[i] * d.dz[i].high)
                })
            };
            let mut rx = vec![0.0; n];
            for i in 0..n {
                if !work.still[i] {
                    let (low, high) = cross(i);
                    rx[i] = state.reduced[i] + (target - low) / (x[i] - program.lower[i])
                        - (target - high) / (program.upper[i] - x[i]);
                }
            }
            let mut rr = vec![0.0; m];
            let mut q = vec![0.0; m];
            for (r, row) in program.rows.iter().enumerate() {
                let mut right = s[r] - state.sums[r];
                if free[r] {
                    let (low, high) = second.map_or((0.0, 0.0), |d| {
                        (d.ds[r] * d.dv[r].low, -d.ds[r] * d.dv[r].high)
                    });
                    q[r] = y[r];
                    if v[r].low > 0.0 {
                        q[r] += (target - low) / (s[r] - row.lower);
                    }
                    if v[r].high > 0.0 {
                        q[r] -= (target - high) / (row.upper - s[r]);
                    }
                    right += q[r] * give[r];
                }
                rr[r] = right;
            }
            let (dx, dy) = work.solve(&state, &rx, &rr, &all);
            let mut dz = vec![Sides::default(); n];
            for i in 0..n {
                if !work.still[i] {
                    let (low, high) = cross(i);
                    let (below, above) = (x[i] - program.lower[i], program.upper[i] - x[i]);
                    dz[i].low = (target - low - z[i].low * dx[i]) / below - z[i].low;
                    dz[i].high = (target - high + z[i].high * dx[i]) / above - z[i].high;
                }
            }
            let mut ds = vec![0.0; m];
            let mut dv = vec![Sides::default(); m];
            for (r, row) in program.rows.iter().enumerate() {
                if !free[r] {
                    continue;
                }
                ds[r] = (dy[r] + q[r]) * give[r];
                let (low, high) = second.map_or((0.0, 0.0), |d| {
                    (d.ds[r] * d.dv[r].low, -d.ds[r] * d.dv[r].high)
                });
                if v[r].low > 0.0 {
                    dv[r].low = (target - low - v[r].low * ds[r]) / (s[r] - row.lower) - v[r].low;
                }
                if v[r].high > 0.0 {
                    dv[r].high =
                        (target - high + v[r].high * ds[r]) / (row.upper - s[r]) - v[r].high;
                }
            }
            Direction { dx, dy, dz, ds, dv }
        };
        // Longest steps that keep every gap and every multiplier positive.
        let longest = |d: &Direction| -> (f64, f64) {
            let (mut primal, mut dual) = (1.0f64, 1.0f64);
            let mut limit = |value: f64, step: f64, which: bool| {
                if step < 0.0 {
                    let share = -value / step;
                    if which {
                        primal = primal.min(share);
                    } else {
                        dual = dual.min(share);
                    }
                }
            };
            for i in 0..n {
                if !work.still[i] {
                    limit(x[i] - program.lower[i], d.dx[i], true);
                    limit(program.upper[i] - x[i], -d.dx[i], true);
                    limit(z[i].low, d.dz[i].low, false);
                    limit(z[i].high, d.dz[i].high, false);
                }
            }
            for (r, row) in program.rows.iter().enumerate() {
                if v[r].low > 0.0 {
                    limit(s[r] - row.lower, d.ds[r], true);
                    limit(v[r].low, d.dv[r].low, false);
                }
                if v[r].high > 0.0 {
                    limit(row.upper - s[r], -d.ds[r], true);
                    limit(v[r].high, d.dv[r].high, false);
                }
            }
            (primal, dual)
        };

        let predictor = direction(0.0, None);
        let (primal_step, dual_step) = longest(&predictor);
        let moved = |d: &Direction, p: f64, q: f64| {
            let x2: Vec<f64> = x.iter().zip(&d.dx).map(|(a, b)| a + p * b).collect();
            let s2: Vec<f64> = s.iter().zip(&d.ds).map(|(a, b)| a + p * b).collect();
            let shift = |a: &Sides, b: &Sides| Sides {
                low: a.low + q * b.low,
                high: a.high + q * b.high,
            };
            let z2: Vec<Sides> = z.iter().zip(&d.dz).map(|(a, b)| shift(a, b)).collect();
            let v2: Vec<Sides> = v.iter().zip(&d.dv).map(|(a, b)| shift(a, b)).collect();
            (x2, z2, s2, v2)
        };
        let (x2, z2, s2, v2) = moved(&predictor, primal_step, dual_step);
        let left = (gap_of(&x2, &z2, &s2, &v2) / gap).clamp(0.0, 1.0);
        // Complementarity must not run ahead of stationarity: where curves are steep, Newton steps need the barrier.
        let behind = dual.max(primal) > 100.0 * relative;
        let sigma = if behind {
            1.0
        } else {
            left.powi(3).max(1e-8).max(least)
        };
        let step = direction(sigma * mu, Some(&predictor));
        let (primal_step, dual_step) = longest(&step);
        let (mut p, mut q) = ((NEAR * primal_step).min(1.0), (NEAR * dual_step).min(1.0));
        if !step.dx.iter().all(|d| d.is_finite()) {
            break;
        }
        // A curved program can make a full step worse: shorten while residuals explode.
        let before = dual.max(primal).max(0.1);
        for attempt in 0..6 {
            let (x2, z2, s2, v2) = moved(&step, p, q);
            let y2: Vec<f64> = y.iter().zip(&step.dy).map(|(a, b)| a + q * b).collect();
            let next = work.state(&x2, &y2);
            let (d2, p2) = residuals(&next, &z2, &s2, &v2, &y2, &work.still);
            let good = d2.is_finite() && p2.is_finite() && d2.max(p2) <= 4.0 * before;
            if good || attempt == 5 {
                if !d2.is_finite() || !p2.is_finite() {
                    stalled = 100;
                    break;
                }
                (x, z, s, v, y, state) = (x2, z2, s2, v2, y2, next);
                break;
            }
            p *= 0.5;
            q *= 0.5;
        }
        if stalled >= 100 {
            break;
        }
    }
    if !converged {
        if let Some(best) = kept {
            (x, z, s, v, y) = best;
            state = work.state(&x, &y);
        }
        let gap = gap_of(&x, &z, &s, &v);
        let (dual, primal) = residuals(&state, &z, &s, &v, &y, &work.still);
        converged = dual < 1e-6 && primal < 1e-9 && gap / value_size(state.value) < 1e-6;
    }
    let rough = Point {
        x,
        prices: y,
        converged,
        iterations,
    };
    if !rough.converged {
        return Ok(rough);
    }
    let polished = polish(
        &mut work, &rough, &z, &s, &v, price_size, &row_size, &width, cancel,
    )?;
    Ok(polished.unwrap_or(rough))
}

struct Direction {
    dx: Vec<f64>,
    dy: Vec<f64>,
    dz: Vec<Sides>,
    ds: Vec<f64>,
    dv: Vec<Sides>,
}

/// Newton steps on the active constraints, to rounding error. `None` when the active set was not what it seemed.
#[allow(clippy::too_many_arguments)]
fn polish<R: Response>(
    work: &mut Work<'_, R>,
    rough: &Point,
    z: &[Sides],
    s: &[f64],
    v: &[Sides],
    price_size: f64,
    row_size: &[f64],
    width: &[f64],
    cancel: &dyn Cancel,
) -> Result<Option<Point>, Cancelled> {
    let program = work.program;
    let (n, m) = (rough.x.len(), rough.prices.len());
    let mut x = rough.x.clone();
    let mut y = rough.prices.clone();
    let before_still = work.still.clone();
    let mut side = vec![0i8; n];
    for i in 0..n {
        if work.still[i] {
            continue;
        }
        let (low, high) = (program.lower[i], program.upper[i]);
        if (x[i] - low) / width[i] < z[i].low / price_size {
            (x[i], side[i]) = (low, -1);
        } else if (high - x[i]) / width[i] < z[i].high / price_size {
            (x[i], side[i]) = (high, 1);
        }
        work.still[i] = side[i] != 0;
    }
    let mut in_use = vec![true; m];
    let mut target = vec![0.0; m];
    for (r, row) in program.rows.iter().enumerate() {
        let held_below = v[r].low > 0.0 && (s[r] - row.lower) / row_size[r] < v[r].low / price_size;
        if row.is_equality() || held_below {
            target[r] = row.lower;
        } else if v[r].high > 0.0 && (row.upper - s[r]) / row_size[r] < v[r].high / price_size {
            target[r] = row.upper;
        } else {
            in_use[r] = false;
            y[r] = 0.0;
        }
    }
    let none = vec![0.0; n];
    let give = vec![0.0; m];
    let mut best = f64::INFINITY;
    let mut answer: Option<Point> = None;
    for _ in 0..12 {
        cancel.check()?;
        let state = work.state(&x, &y);
        let mut worst = 0.0f64;
        let mut rx = vec![0.0; n];
        for i in 0..n {
            if !work.still[i] {
                rx[i] = state.reduced[i];
                worst = worst.max(rx[i].abs() / price_size);
            }
        }
        let mut rr = vec![0.0; m];
        for r in 0..m {
            if in_use[r] {
                rr[r] = target[r] - state.sums[r];
                worst = worst.max(rr[r].abs() / row_size[r]);
            }
        }
        if !worst.is_finite() || worst >= best {
            break;
        }
        best = worst;
        answer = Some(Point {
            x: x.clone(),
            prices: y.clone(),
            converged: true,
            iterations: rough.iterations,
        });
        if worst < 1e-15 {
            break;
        }
        if !work.factor(&state, &none, &give, &in_use) {
            break;
        }
        let (dx, dy) = work.solve(&state, &rx, &rr, &in_use);
        for i in 0..n {
            if !work.still[i] {
                x[i] += dx[i];
            }
        }
        for r in 0..m {
            if in_use[r] {
                y[r] += dy[r];
            }
        }
        let outside = (0..n).any(|i| {
            let near = 1e-9 * width[i];
            let within = (program.lower[i] - near..=program.upper[i] + near).contains(&x[i]);
            !(work.still[i] || within)
        });
        if outside {
            break;
        }
    }
    let still = std::mem::replace(&mut work.still, before_still);
    let Some(mut answer) = answer.filter(|_| best < 1e-11) else {
        return Ok(None);
    };
    for i in 0..n {
        answer.x[i] = answer.x[i].clamp(program.lower[i], program.upper[i]);
    }
    // The signs have to agree with the sides that were held.
    let state = work.state(&answer.x, &answer.prices);
    let slack = 1e-10 * price_size;
    for i in 0..n {
        if still[i] && side[i] != 0 {
            let wrong = f64::from(-side[i]) * state.reduced[i];
            if wrong > slack {
                return Ok(None);
            }
        }
    }
    for (r, row) in program.rows.iter().enumerate() {
        let price = answer.prices[r];
        if in_use[r] {
            if !row.is_equality()
                && ((target[r] == row.lower && price > slack)
                    || (target[r] == row.upper && price < -slack))
            {
                return Ok(None);
            }
        } else {
            let room = 1e-10 * row_size[r];
            if state.sums[r] < row.lower - room || state.sums[r] > row.upper + room {
                return Ok(None);
            }
        }
    }
    Ok(Some(answer))
}
