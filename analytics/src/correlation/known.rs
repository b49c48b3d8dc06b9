//! A panel with known links, for tests and measurements: 200 brands, 20 metrics, 730 days.
//!
//! All series share a market factor, the series of a brand share a brand factor, and every fourth metric has a weekly
//! season. Two kinds of links are planted: metric 3 of every fifth brand follows metric 0 of the brand seven places on by three
//! days (coefficient 0.8, and −0.8 for every tenth brand), and metric 5 of every brand follows its metric 2 by two days.
//!
//! The numbers come from a counter (SplitMix64, then Box and Muller), so that the same panel can be made in any language and
//! libraries can be compared on it.

use std::f64::consts::PI;

/// Number of brands.
pub const BRANDS: usize = 200;
/// Number of metrics.
pub const METRICS: usize = 20;
/// Number of days.
pub const DAYS: usize = 730;
/// Metric of a leading brand that drives a following one.
pub const CAUSE: usize = 0;
/// Metric of a following brand that is driven.
pub const EFFECT: usize = 3;
/// Days from cause to effect.
pub const LAG: usize = 3;

/// Values by brand, metric and day: `values[(brand * METRICS + metric) * DAYS + day]`.
#[must_use]
pub fn panel() -> Vec<f64> {
    let noise = normals(1, BRANDS * METRICS * DAYS);
    let (market_noise, brand_noise) = (normals(2, DAYS), normals(3, BRANDS * DAYS));
    let at = |brand: usize, metric: usize, day: usize| (brand * METRICS + metric) * DAYS + day;
    let mut x = vec![0.0; BRANDS * METRICS * DAYS];
    let mut market = 0.0;
    let mut factor = [0.0; BRANDS];
    for day in 0..DAYS {
        market = 0.9 * market + market_noise[day];
        for brand in 0..BRANDS {
            factor[brand] = 0.7 * factor[brand] + brand_noise[brand * DAYS + day];
            for metric in 0..METRICS {
                let before = if day > 0 {
                    x[at(brand, metric, day - 1)]
                } else {
                    0.0
                };
                x[at(brand, metric, day)] = 0.6 * before
                    + noise[at(brand, metric, day)]
                    + 0.4 * market
                    + 0.5 * factor[brand];
            }
        }
        for follower in (0..BRANDS).filter(|_| day >= LAG) {
            if let Some((leader, strength)) = link(follower) {
                x[at(follower, EFFECT, day)] += strength * x[at(leader, CAUSE, day - LAG)];
            }
        }
        for brand in (0..BRANDS).filter(|_| day >= 2) {
            x[at(brand, 5, day)] += 0.6 * x[at(brand, 2, day - 2)];
        }
    }
    for (series, values) in x.chunks_exact_mut(DAYS).enumerate() {
        if (series % METRICS).is_multiple_of(4) {
            for (day, value) in values.iter_mut().enumerate() {
                *value += 2.0 * (2.0 * PI * day as f64 / 7.0).sin();
            }
        }
    }
    x
}

/// The brand whose [`CAUSE`] drives this brand's [`EFFECT`], and how strongly.
#[must_use]
pub fn link(follower: usize) -> Option<(usize, f64)> {
    let strength = if follower.is_multiple_of(10) {
        -0.8
    } else {
        0.8
    };
    follower
        .is_multiple_of(5)
        .then_some(((follower + 7) % BRANDS, strength))
}

/// The series of one metric, brand after brand.
#[must_use]
pub fn metric(panel: &[f64], metric: usize) -> Vec<f64> {
    panel
        .chunks_exact(DAYS)
        .skip(metric)
        .step_by(METRICS)
        .flatten()
        .copied()
        .collect()
}

/// The first `n` normal numbers of a stream.
fn normals(stream: u64, n: usize) -> Vec<f64> {
    (0..n as u64)
        .map(|i| {
            let radius = (-2.0 * (1.0 - uniform(stream, 2 * i)).ln()).sqrt();
            radius * (2.0 * PI * uniform(stream, 2 * i + 1)).cos()
        })
        .collect()
}

fn uniform(stream: u64, i: u64) -> f64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = stream
        .wrapping_mul(GAMMA)
        .wrapping_add(i)
        .wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-53)
}
