//! Leaves whose paths have too many features for a table: the patterns that occur are worked out one by one.

use std::collections::HashMap;

use super::{block::DeepLeaf, quadrature::gauss_legendre};

/// The most features on one path.
pub(super) const MOST_PLAYERS: usize = 64;

/// Patterns of up to this many bits are looked up in an array.
const ARRAY_BITS: usize = 12;

/// The distinct patterns of some rows, numbered in the order in which they first occur.
pub(super) struct Distinct {
    array: Vec<u32>,
    map: HashMap<u64, u32>,
    pub(super) patterns: Vec<u64>,
    pub(super) counts: Vec<u64>,
}

impl Distinct {
    pub(super) fn new(bits: usize) -> Self {
        let length = if bits <= ARRAY_BITS { 1 << bits } else { 0 };
        Self {
            array: vec![u32::MAX; length],
            map: HashMap::new(),
            patterns: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// The number of a pattern, which is counted.
    pub(super) fn add(&mut self, pattern: u64) -> u32 {
        let next = self.patterns.len() as u32;
        let number = if self.array.is_empty() {
            *self.map.entry(pattern).or_insert(next)
        } else {
            let place = &mut self.array[pattern as usize];
            if *place == u32::MAX {
                *place = next;
            }
            *place
        };
        if number == next {
            self.patterns.push(pattern);
            self.counts.push(0);
        }
        self.counts[number as usize] += 1;
        number
    }
}

/// Rules for every number of players, and the integrals ∫₀¹ tᵃ (1−t)ᵇ dt = a! b! / (a+b+1)!.
pub(super) struct DeepKernel {
    rules: Vec<Vec<(f64, f64)>>,
    beta: Vec<f64>,
}

impl DeepKernel {
    pub(super) fn new() -> Self {
        let width = MOST_PLAYERS + 1;
        let mut beta = vec![0.0; width * width];
        for b in 0..width {
            beta[b] = 1.0 / (b as f64 + 1.0);
            for a in 1..width {
                let (a_, b_) = (a as f64, b as f64);
                beta[a * width + b] = beta[(a - 1) * width + b] * a_ / (a_ + b_ + 1.0);
            }
        }
        Self {
            rules: (0..=MOST_PLAYERS.div_ceil(2)).map(gauss_legendre).collect(),
            beta,
        }
    }

    fn beta(&self, a: usize, b: usize) -> f64 {
        self.beta[a * (MOST_PLAYERS + 1) + b]
    }

    /// Values of all players for one pattern along tree paths.
    pub(super) fn tree_paths(&self, leaf: &DeepLeaf, pattern: u64, out: &mut [f64]) {
        out.fill(0.0);
        let players = &leaf.players;
        let n = players.len();
        let agrees = |own: usize| (pattern >> own & 1) as f64;
        for &(t, weight) in &self.rules[n.div_ceil(2)] {
            let factor = |own: usize| t * agrees(own) + (1.0 - t) * players[own].share;
            let mut prefix = [0.0; MOST_PLAYERS];
            let mut product = leaf.value * weight;
            for (own, before) in prefix[..n].iter_mut().enumerate() {
                *before = product;
                product *= factor(own);
            }
            let mut suffix = 1.0;
            for own in (0..n).rev() {
                out[own] += prefix[own] * suffix;
                suffix *= factor(own);
            }
        }
        for own in 0..n {
            out[own] *= agrees(own) - players[own].share;
        }
    }

    /// Interactions of all pairs for one pattern along tree paths, in the order (0, 1), (0, 2), …, (1, 2), ….
    pub(super) fn tree_path_pairs(&self, leaf: &DeepLeaf, pattern: u64, out: &mut [f64]) {
        out.fill(0.0);
        let players = &leaf.players;
        let n = players.len();
        let agrees = |own: usize| (pattern >> own & 1) as f64;
        let pair =
            |first: usize, second: usize| first * (2 * n - first - 1) / 2 + (second - first - 1);
        for &(t, weight) in &self.rules[n.div_ceil(2)] {
            let factor = |own: usize| t * agrees(own) + (1.0 - t) * players[own].share;
            for first in 0..n {
                // Products of all others before and after the second of the pair, the first left out.
                let mut prefix = [0.0; MOST_PLAYERS];
                let mut product = 0.5 * leaf.value * weight;
                for (own, before) in prefix[..n].iter_mut().enumerate() {
                    *before = product;
                    if own != first {
                        product *= factor(own);
                    }
                }
                let mut suffix = 1.0;
                for second in (first + 1..n).rev() {
                    out[pair(first, second)] += prefix[second] * suffix;
                    suffix *= factor(second);
                }
            }
        }
        for first in 0..n {
            for second in first + 1..n {
                out[pair(first, second)] *= (agrees(first) - players[first].share)
                    * (agrees(second) - players[second].share);
            }
        }
    }

    /// Values of all players for one pattern against background patterns, each with the share of the rows that have it.
    pub(super) fn background(
        &self,
        leaf: &DeepLeaf,
        pattern: u64,
        background: &[(u64, f64)],
        out: &mut [f64],
    ) {
        out.fill(0.0);
        self.disjoint(leaf, pattern, background, |ours, theirs, value| {
            let (a, b) = (ours.count_ones() as usize, theirs.count_ones() as usize);
            if a > 0 {
                let each = value * self.beta(a - 1, b);
                for_bits(ours, |own| out[own] += each);
            }
            if b > 0 {
                let each = value * self.beta(a, b - 1);
                for_bits(theirs, |own| out[own] -= each);
            }
        });
    }

    /// Interactions of all pairs for one pattern against background patterns.
    pub(super) fn background_pairs(
        &self,
        leaf: &DeepLeaf,
        pattern: u64,
        background: &[(u64, f64)],
        out: &mut [f64],
    ) {
        out.fill(0.0);
        let n = leaf.players.len();
        self.disjoint(leaf, pattern, background, |ours, theirs, value| {
            let (a, b) = (ours.count_ones() as usize, theirs.count_ones() as usize);
            for_bits(ours | theirs, |first| {
                for_bits(
                    (ours | theirs) & !((2_u64 << first).wrapping_sub(1)),
                    |second| {
                        let size = match (ours >> first & 1, ours >> second & 1) {
                            (1, 1) => self.beta(a - 2, b),
                            (0, 0) => self.beta(a, b - 2),
                            _ => -self.beta(a - 1, b - 1),
                        };
                        out[first * (2 * n - first - 1) / 2 + (second - first - 1)] +=
                            0.5 * value * size;
                    },
                );
            });
        });
    }

    /// Calls for every background pattern with which the leaf can be reached: who only agrees in the row, who only in the
    /// background, and the leaf's value times the share.
    fn disjoint(
        &self,
        leaf: &DeepLeaf,
        pattern: u64,
        background: &[(u64, f64)],
        mut with: impl FnMut(u64, u64, f64),
    ) {
        let all = u64::MAX >> (64 - leaf.players.len().max(1));
        for &(other, share) in background {
            if pattern | other == all {
                with(pattern & !other, other & !pattern, leaf.value * share);
            }
        }
    }
}

fn for_bits(mut bits: u64, mut with: impl FnMut(usize)) {
    while bits != 0 {
        with(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}
