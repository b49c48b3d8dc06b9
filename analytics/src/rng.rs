//! Named, seeded random streams.
//!
//! Every random number of this crate comes from a seed that the caller gave. A stream is addressed by the seed and a
//! path of labels, so that adding a new consumer never shifts the numbers of an old one, and a series that is drawn for
//! more weeks begins with the same numbers.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// The generator used throughout the crate: portable, so the same seed gives the same numbers on every platform.
pub type Stream = ChaCha8Rng;

/// Opens the stream that `labels` name under `seed`.
///
/// The labels are mixed with the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
#[must_use]
pub fn stream(seed: u64, labels: &[u64]) -> Stream {
    let mut state = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
    for &label in labels {
        state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(label.wrapping_add(1)));
    }
    ChaCha8Rng::seed_from_u64(state)
}

/// One standard normal draw.
pub fn normal(rng: &mut Stream) -> f64 {
    StandardNormal.sample(rng)
}

/// `n` standard normal draws.
#[must_use]
pub fn normals(rng: &mut Stream, n: usize) -> Vec<f64> {
    (0..n).map(|_| normal(rng)).collect()
}

/// A stationary first-order autoregression with unit variance, `n` long.
#[must_use]
pub fn autoregression(rng: &mut Stream, persistence: f64, n: usize) -> Vec<f64> {
    let innovation = (1.0 - persistence * persistence).sqrt();
    let mut out = Vec::with_capacity(n);
    let mut last = normal(rng);
    for _ in 0..n {
        out.push(last);
        last = persistence * last + innovation * normal(rng);
    }
    out
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
