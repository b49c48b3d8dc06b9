//! Patterns: which conditions a row fulfils, one bit each.

use super::{
    block::{BlockLeaf, Condition, MOST_BITS},
    code::{Codes, MISSING},
};

/// Number of different patterns of a block.
pub(super) const PATTERNS: usize = 1 << MOST_BITS;

/// Rows whose patterns are made at a time; they stay in the first cache.
pub(super) const TILE: usize = 1024;

/// The patterns of the rows that start at `from`, one per element of `out`.
pub(super) fn patterns(codes: &Codes, conditions: &[Condition], from: usize, out: &mut [u8]) {
    out.fill(0);
    let to = from + out.len();
    for (bit, condition) in conditions.iter().enumerate() {
        let column = &codes.columns[condition.feature][from..to];
        let Condition { low, width, .. } = *condition;
        let mask = 1_u8 << bit;
        if condition.missing && codes.has_missing[condition.feature] {
            for (pattern, &code) in out.iter_mut().zip(column) {
                let holds = (code.wrapping_sub(low) < width) | (code == MISSING);
                *pattern |= if holds { mask } else { 0 };
            }
        } else {
            for (pattern, &code) in out.iter_mut().zip(column) {
                *pattern |= if code.wrapping_sub(low) < width {
                    mask
                } else {
                    0
                };
            }
        }
    }
}

/// Like [`patterns`], for as many conditions as a number has bits.
pub(super) fn wide_patterns(codes: &Codes, conditions: &[Condition], from: usize, out: &mut [u64]) {
    out.fill(0);
    let to = from + out.len();
    for (bit, condition) in conditions.iter().enumerate() {
        let column = &codes.columns[condition.feature][from..to];
        for (pattern, &code) in out.iter_mut().zip(column) {
            let holds = code.wrapping_sub(condition.low) < condition.width
                || (code == MISSING && condition.missing);
            *pattern |= u64::from(holds) << bit;
        }
    }
}

/// How many rows have each pattern.
pub(super) fn histogram(codes: &Codes, conditions: &[Condition]) -> [u32; PATTERNS] {
    let mut tile = [0_u8; TILE];
    // Four counters take turns, because one that was just written cannot be read at once.
    let mut counts = [[0_u32; PATTERNS]; 4];
    let mut from = 0;
    while from < codes.rows {
        let length = TILE.min(codes.rows - from);
        patterns(codes, conditions, from, &mut tile[..length]);
        let (fours, rest) = tile[..length].as_chunks::<4>();
        for four in fours {
            counts[0][usize::from(four[0])] += 1;
            counts[1][usize::from(four[1])] += 1;
            counts[2][usize::from(four[2])] += 1;
            counts[3][usize::from(four[3])] += 1;
        }
        for &pattern in rest {
            counts[0][usize::from(pattern)] += 1;
        }
        from += length;
    }
    let [mut sum, second, third, fourth] = counts;
    for (pattern, sum) in sum.iter_mut().enumerate() {
        *sum += second[pattern] + third[pattern] + fourth[pattern];
    }
    sum
}

/// For every pattern of a block, the pattern of a leaf of it: bit `k` says whether player `k` agrees with the path.
pub(super) fn leaf_patterns(leaf: &BlockLeaf, bits: usize, out: &mut [u8; PATTERNS]) {
    let own = ((1_usize << leaf.shared) - 1) as u8;
    let new = (((1_usize << leaf.players.len()) - 1) as u8) & !own;
    let out = &mut out[..1 << bits];
    for (pattern, out) in out.iter_mut().enumerate() {
        *out = (pattern as u8 & own) | new;
    }
    for step in &leaf.steps {
        let flip = u8::from(!step.right);
        for (pattern, out) in out.iter_mut().enumerate() {
            let disagrees = ((pattern as u8 >> step.bit) & 1) ^ flip;
            *out &= !(disagrees << step.player);
        }
    }
}
