//! The Shapley values of one leaf for every pattern of its players.
//!
//! With `n` players, agreement `o` of the row (0 or 1), and `z` the same for the reference (a share for tree paths, 0 or 1 for a
//! row of the background), a leaf of value `v` is the game `v ∏_{j∈S} o_j ∏_{j∉S} z_j`, and because
//! |S|!(n−1−|S|)!/n! = ∫₀¹ t^|S| (1−t)^(n−1−|S|) dt, its Shapley values are `v (o_i − z_i) ∫₀¹ ∏_{j≠i} (t o_j + (1−t) z_j) dt`.
//! Interactions (Grabisch and Roubens 1999; Lundberg and others 2020) are, for each of the two directions of a pair,
//! `v/2 (o_i − z_i)(o_j − z_j) ∫₀¹ ∏_{k≠i,j} (t o_k + (1−t) z_k) dt`. Against a background the product is summed over the rows'
//! patterns, one axis at a time, because it is a product of 2×2 matrices.

use super::{block::Player, pattern::PATTERNS, quadrature::gauss_legendre};

/// Values of an integrand at four abscissas: exact for up to eight players.
type Lane = [f64; 4];

/// A table: an entry per pattern.
pub(super) type TableOf = [f64; PATTERNS];

/// The rule and room to work in.
pub(super) struct Kernel {
    point: Lane,
    weight: Lane,
    work: Box<[[Lane; PATTERNS]; 5]>,
}

fn sum(lane: Lane) -> f64 {
    (lane[0] + lane[1]) + (lane[2] + lane[3])
}

/// A pattern with a bit put in at `at`.
fn insert(pattern: usize, at: usize) -> usize {
    let low = pattern & ((1 << at) - 1);
    ((pattern - low) << 1) | low
}

/// Applies the matrix of one player to all patterns: `out(0) = (1−t) in(1)`, `out(1) = t in(0) + in(1)`.
fn apply(values: &mut [Lane], axis: usize, point: Lane) {
    let step = 1 << axis;
    for pair in values.chunks_exact_mut(2 * step) {
        let (zero, one) = pair.split_at_mut(step);
        for (a, b) in zero.iter_mut().zip(one) {
            for lane in 0..4 {
                let (absent, present) = (a[lane], b[lane]);
                a[lane] = (1.0 - point[lane]) * present;
                b[lane] = point[lane] * absent + present;
            }
        }
    }
}

impl Kernel {
    pub(super) fn new() -> Self {
        let rule = gauss_legendre(4);
        Self {
            point: std::array::from_fn(|k| rule[k].0),
            weight: std::array::from_fn(|k| rule[k].1),
            work: Box::new([[[0.0; 4]; PATTERNS]; 5]),
        }
    }

    /// `∏ (t o_j + (1−t) z_j)` over the players that are not left out, times `value` and the rule's weights, for every pattern
    /// of those players; how many patterns there are.
    fn products(&mut self, value: f64, players: &[Player], left_out: [usize; 2]) -> usize {
        let out = &mut self.work[0];
        out[0] = self.weight.map(|weight| value * weight);
        let mut length = 1;
        for (own, player) in players.iter().enumerate() {
            if left_out.contains(&own) {
                continue;
            }
            let mut absent = [0.0; 4];
            let mut present = [0.0; 4];
            for lane in 0..4 {
                absent[lane] = (1.0 - self.point[lane]) * player.share;
                present[lane] = self.point[lane] + absent[lane];
            }
            let (low, high) = out[..2 * length].split_at_mut(length);
            for (low, high) in low.iter_mut().zip(high) {
                for lane in 0..4 {
                    high[lane] = low[lane] * present[lane];
                    low[lane] *= absent[lane];
                }
            }
            length *= 2;
        }
        length
    }

    /// The values of all players along tree paths; `out[i]` is the table of player `i`.
    pub(super) fn tree_paths(&mut self, value: f64, players: &[Player], out: &mut [TableOf]) {
        for (own, player) in players.iter().enumerate() {
            let length = self.products(value, players, [own, own]);
            for (others, &lane) in self.work[0][..length].iter().enumerate() {
                let integral = sum(lane);
                let pattern = insert(others, own);
                out[own][pattern] = -player.share * integral;
                out[own][pattern | (1 << own)] = (1.0 - player.share) * integral;
            }
        }
    }

    /// The interactions of all pairs along tree paths, in the order (0, 1), (0, 2), …, (1, 2), ….
    pub(super) fn tree_path_pairs(&mut self, value: f64, players: &[Player], out: &mut [TableOf]) {
        let mut tables = out.iter_mut();
        for first in 0..players.len() {
            for second in first + 1..players.len() {
                let table = tables.next().expect("a table per pair");
                let length = self.products(0.5 * value, players, [first, second]);
                for (others, &lane) in self.work[0][..length].iter().enumerate() {
                    let integral = sum(lane);
                    let pattern = insert(insert(others, first), second);
                    let factor = |own: usize, agrees: usize| agrees as f64 - players[own].share;
                    for a in 0..2 {
                        for b in 0..2 {
                            table[pattern | (a << first) | (b << second)] =
                                factor(first, a) * factor(second, b) * integral;
                        }
                    }
                }
            }
        }
    }

    /// The values of all players against a background; `weights` holds, per pattern, the leaf's value times the share of the
    /// background's rows that have it.
    pub(super) fn background(&mut self, weights: &[f64], players: usize, out: &mut [TableOf]) {
        self.spread(weights);
        self.all_but(0, 0, players, weights.len(), out);
    }

    fn spread(&mut self, weights: &[f64]) {
        for (lanes, &weight) in self.work[0].iter_mut().zip(weights) {
            *lanes = self.weight.map(|own| weight * own);
        }
    }

    /// With the players outside `from .. to` applied at `level`, the tables of those inside: half of them are applied, then
    /// the other half, so that `n` tables cost `n log n` applications.
    fn all_but(
        &mut self,
        level: usize,
        from: usize,
        to: usize,
        length: usize,
        out: &mut [TableOf],
    ) {
        match to - from {
            0 => {}
            1 => {
                for others in 0..length / 2 {
                    let absent = insert(others, from);
                    let present = absent | (1 << from);
                    out[from][absent] = -sum(self.work[level][present]);
                    out[from][present] = sum(self.work[level][absent]);
                }
            }
            count => {
                let middle = from + count / 2;
                for (apply_from, apply_to, keep_from, keep_to) in
                    [(middle, to, from, middle), (from, middle, middle, to)]
                {
                    let (upper, lower) = self.work.split_at_mut(level + 1);
                    lower[0][..length].copy_from_slice(&upper[level][..length]);
                    for axis in apply_from..apply_to {
                        apply(&mut lower[0][..length], axis, self.point);
                    }
                    self.all_but(level + 1, keep_from, keep_to, length, out);
                }
            }
        }
    }

    /// The interactions of all pairs against a background, in the order of [`Self::tree_path_pairs`].
    pub(super) fn background_pairs(
        &mut self,
        weights: &[f64],
        players: usize,
        out: &mut [TableOf],
    ) {
        let length = weights.len();
        self.spread(weights);
        let mut tables = out.iter_mut();
        for first in 0..players {
            for second in first + 1..players {
                let table = tables.next().expect("a table per pair");
                let (upper, lower) = self.work.split_at_mut(1);
                let work = &mut lower[0][..length];
                work.copy_from_slice(&upper[0][..length]);
                for axis in (0..players).filter(|axis| *axis != first && *axis != second) {
                    apply(work, axis, self.point);
                }
                let both = (1 << first) | (1 << second);
                for pattern in 0..length {
                    let agree = (pattern >> first & 1) == (pattern >> second & 1);
                    let size = 0.5 * sum(work[pattern ^ both]);
                    table[pattern] = if agree { size } else { -size };
                }
            }
        }
    }
}
