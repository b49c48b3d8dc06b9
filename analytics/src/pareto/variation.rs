//! Children: simulated binary crossover (Deb and Agrawal 1995) and polynomial mutation (Deb and Goyal 1996), both aware of bounds.

use rand::Rng;

use crate::rng::Stream;

/// Variables that are crossed at a time: their roots are taken side by side.
const LANES: usize = 32;

/// `v^(1/16)` by square roots, for the usual index of 15: several times faster than a power.
fn sixteenth_root(v: f64) -> f64 {
    v.sqrt().sqrt().sqrt().sqrt()
}

/// What spreads two children, from `beta` (one plus twice the room over the distance of the parents) and a uniform number.
fn spread(beta: f64, u: f64, power: impl Fn(f64) -> f64, root: impl Fn(f64) -> f64) -> f64 {
    let v = u * (2.0 - 1.0 / power(beta));
    let beyond = 1.0 / (2.0 - v);
    root(if v <= 1.0 { v } else { beyond })
}

/// Crosses every variable with probability one half.
pub(super) fn cross(
    a: &mut [f64],
    b: &mut [f64],
    lower: &[f64],
    upper: &[f64],
    index: f64,
    random: &mut Stream,
) {
    for start in (0..a.len()).step_by(LANES) {
        let end = (start + LANES).min(a.len());
        let mut coins: u64 = random.random();
        let mut at = [(0usize, false); LANES];
        let (mut uniform, mut left, mut right) = ([0.5; LANES], [1.0; LANES], [1.0; LANES]);
        let mut count = 0;
        for i in start..end {
            let (crossed, swapped) = (coins & 1 == 1, coins & 2 == 2);
            coins >>= 2;
            let (low, high) = (a[i].min(b[i]), a[i].max(b[i]));
            if !crossed || high - low <= 1e-14 {
                continue;
            }
            let scale = 2.0 / (high - low);
            at[count] = (i, swapped);
            uniform[count] = random.random();
            left[count] = 1.0 + scale * (low - lower[i]);
            right[count] = 1.0 + scale * (upper[i] - high);
            count += 1;
        }
        let lanes = left[..count].iter_mut().zip(&mut right[..count]);
        if index == 15.0 {
            for ((left, right), u) in lanes.zip(&uniform) {
                *left = spread(*left, *u, |v| v.powi(16), sixteenth_root);
                *right = spread(*right, *u, |v| v.powi(16), sixteenth_root);
            }
        } else {
            for ((left, right), u) in lanes.zip(&uniform) {
                let power = |v: f64| v.powf(index + 1.0);
                let root = |v: f64| v.powf(1.0 / (index + 1.0));
                *left = spread(*left, *u, power, root);
                *right = spread(*right, *u, power, root);
            }
        }
        for (lane, &(i, swapped)) in at[..count].iter().enumerate() {
            let middle = 0.5 * (a[i] + b[i]);
            let half = 0.5 * (a[i] - b[i]).abs();
            let first = (middle - left[lane] * half).clamp(lower[i], upper[i]);
            let second = (middle + right[lane] * half).clamp(lower[i], upper[i]);
            (a[i], b[i]) = if swapped {
                (second, first)
            } else {
                (first, second)
            };
        }
    }
}

/// Mutates every variable with probability one in their number.
pub(super) fn mutate(x: &mut [f64], lower: &[f64], upper: &[f64], index: f64, random: &mut Stream) {
    let n = x.len();
    // Distance to the next variable that is mutated.
    let skip = |random: &mut Stream| -> usize {
        if n == 1 {
            return 0;
        }
        let u: f64 = random.random();
        let q = (1.0 - 1.0 / n as f64).ln();
        ((1.0 - u).ln() / q) as usize
    };
    let mut i = skip(random);
    while i < n {
        let width = upper[i] - lower[i];
        if width > 0.0 {
            let u: f64 = random.random();
            let change = if u < 0.5 {
                let near = 1.0 - (x[i] - lower[i]) / width;
                (2.0 * u + (1.0 - 2.0 * u) * near.powf(index + 1.0)).powf(1.0 / (index + 1.0)) - 1.0
            } else {
                let near = 1.0 - (upper[i] - x[i]) / width;
                1.0 - (2.0 * (1.0 - u) + (2.0 * u - 1.0) * near.powf(index + 1.0))
                    .powf(1.0 / (index + 1.0))
            };
            x[i] = (x[i] + change * width).clamp(lower[i], upper[i]);
        }
        i += 1 + skip(random);
    }
}
