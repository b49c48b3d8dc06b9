//! Children: simulated binary crossover (Deb and Agrawal 1995) and polynomial mutation (Deb and Goyal 1996), both aware of bounds.

use rand::Rng;

use crate::rng::Stream;

/// `v^(1/(index + 1))`; for an index of 15 by square roots, which is several times faster.
fn root(v: f64, index: f64) -> f64 {
    if index == 15.0 {
        v.sqrt().sqrt().sqrt().sqrt()
    } else {
        v.powf(1.0 / (index + 1.0))
    }
}

fn power(v: f64, index: f64) -> f64 {
    if index == 15.0 {
        v.powi(16)
    } else {
        v.powf(index + 1.0)
    }
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
    let mut coins = 0u64;
    for i in 0..a.len() {
        if i % 32 == 0 {
            coins = random.random();
        }
        let (crossed, swapped) = (coins & 1 == 1, coins & 2 == 2);
        coins >>= 2;
        if !crossed || (a[i] - b[i]).abs() <= 1e-14 || upper[i] <= lower[i] {
            continue;
        }
        let (low, high) = if a[i] < b[i] { (a[i], b[i]) } else { (b[i], a[i]) };
        let u: f64 = random.random();
        let inside = |room: f64| {
            let beta = 1.0 + 2.0 * room / (high - low);
            let v = u * (2.0 - 1.0 / power(beta, index));
            if v <= 1.0 { v } else { 1.0 / (2.0 - v) }
        };
        // Both roots side by side.
        let (left, right) = (inside(low - lower[i]), inside(upper[i] - high));
        let (left, right) = (root(left, index), root(right, index));
        let middle = 0.5 * (low + high);
        let half = 0.5 * (high - low);
        let first = (middle - left * half).clamp(lower[i], upper[i]);
        let second = (middle + right * half).clamp(lower[i], upper[i]);
        (a[i], b[i]) = if swapped { (second, first) } else { (first, second) };
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
