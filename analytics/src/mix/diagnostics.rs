//! Whether chains agree and how much they know: rank-normalised split R-hat, bulk and tail effective sample size.
//!
//! Definitions of Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021 (Bayesian Analysis 16(2)): chains are cut in half, draws are
//! replaced by the normal scores of their ranks, autocorrelations are summed by Geyer's initial monotone sequence.

use std::cmp::Ordering;

use crate::cancel::{Cancel, Cancelled};

/// R-hat and effective sample sizes of one quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Convergence {
    /// The larger of rank-normalised split R-hat and that of the folded draws; 1 where chains agree. NaN for a constant.
    pub rhat: f64,
    /// Effective sample size for the middle of the distribution.
    pub ess_bulk: f64,
    /// Effective sample size for the 5 % and 95 % quantiles, the smaller one.
    pub ess_tail: f64,
    /// Standard error of the mean from the effective sample size of the draws themselves.
    pub mcse_mean: f64,
}

/// Convergence of a quantity from its draws, chain by chain; chains of different length are cut to the shortest.
///
/// Fewer than four draws in a chain, or draws that never change, give NaN.
///
/// # Errors
/// [`Cancelled`], asked at every lag.
pub fn convergence(chains: &[&[f64]], cancel: &dyn Cancel) -> Result<Convergence, Cancelled> {
    let undefined = Convergence {
        rhat: f64::NAN,
        ess_bulk: f64::NAN,
        ess_tail: f64::NAN,
        mcse_mean: f64::NAN,
    };
    let halves = Halves::split(chains);
    if halves.length < 2 || halves.values.iter().any(|v| !v.is_finite()) {
        return Ok(undefined);
    }
    let mut order: Vec<u32> = (0..halves.values.len() as u32).collect();
    order.sort_unstable_by(|a, b| {
        halves.values[*a as usize]
            .partial_cmp(&halves.values[*b as usize])
            .unwrap_or(Ordering::Equal)
    });
    let sorted = |i: usize| halves.values[order[i] as usize];
    let count = order.len();
    if sorted(0) == sorted(count - 1) {
        return Ok(undefined);
    }
    let ranked = halves.normal_scores(&order);
    let at = |level: f64| {
        let place = level * (count - 1) as f64;
        let low = place.floor() as usize;
        let high = (low + 1).min(count - 1);
        sorted(low) + (place - low as f64) * (sorted(high) - sorted(low))
    };
    let (low, middle, high) = (at(0.05), at(0.5), at(0.95));
    let mut folded = halves.clone();
    folded
        .values
        .iter_mut()
        .for_each(|v| *v = (*v - middle).abs());
    order.sort_unstable_by(|a, b| {
        folded.values[*a as usize]
            .partial_cmp(&folded.values[*b as usize])
            .unwrap_or(Ordering::Equal)
    });
    let folded = folded.normal_scores(&order);
    let mut tail = f64::INFINITY;
    for cut in [low, high] {
        let mut below = halves.clone();
        below
            .values
            .iter_mut()
            .for_each(|v| *v = f64::from(u8::from(*v <= cut)));
        tail = tail.min(below.effective_size(cancel)?);
    }
    let mean = halves.values.iter().sum::<f64>() / count as f64;
    let variance = halves
        .values
        .iter()
        .map(|v| (v - mean) * (v - mean))
        .sum::<f64>()
        / (count as f64 - 1.0);
    Ok(Convergence {
        rhat: ranked.rhat().max(folded.rhat()),
        ess_bulk: ranked.effective_size(cancel)?,
        ess_tail: tail,
        mcse_mean: (variance / halves.effective_size(cancel)?).sqrt(),
    })
}

/// Halves of chains, one after the other.
#[derive(Debug, Clone)]
struct Halves {
    length: usize,
    values: Vec<f64>,
}

impl Halves {
    fn split(chains: &[&[f64]]) -> Self {
        let shortest = chains.iter().map(|c| c.len()).min().unwrap_or(0);
        let length = shortest / 2;
        let mut values = Vec::with_capacity(2 * length * chains.len());
        for chain in chains {
            // An odd draw in the middle belongs to neither half.
            values.extend_from_slice(&chain[..length]);
            values.extend_from_slice(&chain[shortest - length..shortest]);
        }
        Self { length, values }
    }

    fn chains(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.length)
    }

    /// Normal scores of ranks (Blom 1958), equal values sharing the mean of their ranks; `order` sorts the values.
    fn normal_scores(&self, order: &[u32]) -> Self {
        let count = order.len();
        let mut values = vec![0.0; count];
        let mut first = 0;
        while first < count {
            let value = self.values[order[first] as usize];
            let mut last = first;
            while last + 1 < count && self.values[order[last + 1] as usize] == value {
                last += 1;
            }
            let rank = 0.5 * (first + last) as f64 + 1.0;
            let score = normal_quantile((rank - 0.375) / (count as f64 + 0.25));
            for i in &order[first..=last] {
                values[*i as usize] = score;
            }
            first = last + 1;
        }
        Self {
            length: self.length,
            values,
        }
    }

    /// Means and variances (by n − 1) of the halves.
    fn moments(&self) -> Vec<(f64, f64)> {
        self.chains()
            .map(|chain| {
                let n = chain.len() as f64;
                let mean = chain.iter().sum::<f64>() / n;
                let squares: f64 = chain.iter().map(|v| (v - mean) * (v - mean)).sum();
                (mean, squares / (n - 1.0))
            })
            .collect()
    }

    fn rhat(&self) -> f64 {
        let n = self.length as f64;
        let moments = self.moments();
        let within = moments.iter().map(|m| m.1).sum::<f64>() / moments.len() as f64;
        let between = n * variance(moments.iter().map(|m| m.0));
        ((between / within + n - 1.0) / n).sqrt()
    }

    fn effective_size(&self, cancel: &dyn Cancel) -> Result<f64, Cancelled> {
        let (n, m) = (self.length, self.values.len() / self.length);
        let moments = self.moments();
        let centred: Vec<Vec<f64>> = self
            .chains()
            .zip(&moments)
            .map(|(chain, (mean, _))| chain.iter().map(|v| v - mean).collect())
            .collect();
        let within = moments.iter().map(|x| x.1).sum::<f64>() / m as f64;
        let mut total = within * (n as f64 - 1.0) / n as f64;
        if m > 1 {
            total += variance(moments.iter().map(|x| x.0));
        }
        if total <= 0.0 {
            return Ok(f64::NAN);
        }
        let correlation = |lag: usize| {
            let covariance = centred
                .iter()
                .map(|c| crate::linear::dot(&c[lag..], &c[..n - lag]) / n as f64)
                .sum::<f64>()
                / m as f64;
            1.0 - (within - covariance) / total
        };
        // Geyer's initial positive sequence of pairs, then made monotone.
        let mut pairs: Vec<f64> = Vec::new();
        let mut left_over = 0.0;
        let mut lag = 0;
        loop {
            cancel.check()?;
            let even = if lag == 0 { 1.0 } else { correlation(lag) };
            let odd = if lag + 1 < n {
                correlation(lag + 1)
            } else {
                0.0
            };
            if even + odd < 0.0 || lag + 3 >= n {
                // The even one alone improves the estimate for antithetic chains.
                left_over = if lag > 0 { even.max(0.0) } else { left_over };
                if pairs.is_empty() {
                    pairs.push(even + odd);
                }
                break;
            }
            pairs.push(even + odd);
            lag += 2;
        }
        for i in 1..pairs.len() {
            pairs[i] = pairs[i].min(pairs[i - 1]);
        }
        let draws = (n * m) as f64;
        let time = -1.0 + 2.0 * pairs.iter().sum::<f64>() + left_over;
        Ok(draws / time.max(1.0 / draws.log10()))
    }
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0)
}

/// Quantile of the standard normal distribution, relative error near 1e-16 (Wichura 1988, algorithm AS 241).
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    fn ratio(x: f64, top: &[f64; 8], bottom: &[f64; 7]) -> f64 {
        let numerator = top.iter().rev().fold(0.0, |sum, c| sum * x + c);
        let denominator = bottom.iter().rev().fold(0.0, |sum, c| sum * x + c) * x + 1.0;
        numerator / denominator
    }
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        const TOP: [f64; 8] = [
            3.387_132_872_796_366_5,
            1.331_416_678_917_843_8e2,
            1.971_590_950_306_551_3e3,
            1.373_169_376_550_946e4,
            4.592_195_393_154_987e4,
            6.726_577_092_700_87e4,
            3.343_057_558_358_813e4,
            2.509_080_928_730_122_7e3,
        ];
        const BOTTOM: [f64; 7] = [
            4.231_333_070_160_091e1,
            6.871_870_074_920_579e2,
            5.394_196_021_424_751e3,
            2.121_379_430_158_659_7e4,
            3.930_789_580_009_271e4,
            2.872_908_573_572_194_3e4,
            5.226_495_278_852_854e3,
        ];
        return q * ratio(0.180_625 - q * q, &TOP, &BOTTOM);
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let value = if r <= 5.0 {
        const TOP: [f64; 8] = [
            1.423_437_110_749_683_5,
            4.630_337_846_156_546,
            5.769_497_221_460_691,
            3.647_848_324_763_204_5,
            1.270_458_252_452_368_4,
            2.417_807_251_774_506e-1,
            2.272_384_498_926_918_4e-2,
            7.745_450_142_783_414e-4,
        ];
        const BOTTOM: [f64; 7] = [
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            6.897_673_349_851e-1,
            1.481_039_764_274_800_8e-1,
            1.519_866_656_361_645_7e-2,
            5.475_938_084_995_345e-4,
            1.050_750_071_644_416_9e-9,
        ];
        ratio(r - 1.6, &TOP, &BOTTOM)
    } else {
        const TOP: [f64; 8] = [
            6.657_904_643_501_103,
            5.463_784_911_164_114,
            1.784_826_539_917_291_3,
            2.965_605_718_285_048_7e-1,
            2.653_218_952_657_612_4e-2,
            1.242_660_947_388_078_4e-3,
            2.711_555_568_743_487_6e-5,
            2.010_334_399_292_288_1e-7,
        ];
        const BOTTOM: [f64; 7] = [
            5.998_322_065_558_88e-1,
            1.369_298_809_227_358e-1,
            1.487_536_129_085_061_5e-2,
            7.868_691_311_456_133e-4,
            1.846_318_317_510_054_7e-5,
            1.421_511_758_316_446e-7,
            2.044_263_103_389_939_8e-15,
        ];
        ratio(r - 5.0, &TOP, &BOTTOM)
    };
    if q < 0.0 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cancel::never, rng};

    fn chains(persistence: f64, count: usize, length: usize, shift: f64) -> Vec<Vec<f64>> {
        (0..count)
            .map(|c| {
                let mut stream = rng::stream(11, &[c as u64]);
                rng::autoregression(&mut stream, persistence, length)
                    .into_iter()
                    .map(|v| v + shift * c as f64)
                    .collect()
            })
            .collect()
    }

    fn of(chains: &[Vec<f64>]) -> Convergence {
        let views: Vec<&[f64]> = chains.iter().map(Vec::as_slice).collect();
        convergence(&views, &never).expect("never cancelled")
    }

    #[test]
    fn quantiles_of_the_normal() {
        for (p, z) in [
            (0.5, 0.0),
            (0.6, 0.253_347_103_135_799_7),
            (0.9, 1.281_551_565_544_600_4),
            (0.975, 1.959_963_984_540_054),
            (0.001, -3.090_232_306_167_813),
            (1e-10, -6.361_340_902_404_056),
            (1e-20, -9.262_340_089_798_408),
        ] {
            let ours = normal_quantile(p);
            assert!((ours - z).abs() < 4e-15 * (1.0 + z.abs()), "{p} {ours} {z}");
        }
        assert!(normal_quantile(-0.1).is_nan());
    }

    #[test]
    fn effective_size_of_autoregressions() {
        // An AR(1) chain of n draws is worth n (1 − φ)/(1 + φ) independent ones for its mean.
        for (phi, tolerance) in [(0.0, 0.04), (0.5, 0.06), (0.9, 0.12), (-0.5, 0.08)] {
            let found = of(&chains(phi, 4, 25_000, 0.0));
            let expected = 100_000.0 * (1.0 - phi) / (1.0 + phi);
            assert!(
                (found.ess_bulk / expected - 1.0).abs() < tolerance,
                "{phi}: {} {expected}",
                found.ess_bulk
            );
            assert!(found.rhat < 1.005, "{phi}: {}", found.rhat);
            let error = found.mcse_mean * expected.sqrt();
            assert!((error - 1.0).abs() < 0.1, "{phi}: {error}");
            assert!(found.ess_tail > 0.5 * expected.min(100_000.0));
        }
    }

    #[test]
    fn chains_that_disagree_are_found() {
        assert!(of(&chains(0.3, 4, 1000, 1.0)).rhat > 1.2);
        // Same place, different widths: only the folded draws show it.
        let mut wide = chains(0.0, 4, 1000, 0.0);
        wide[0].iter_mut().for_each(|v| *v *= 4.0);
        assert!(of(&wide).rhat > 1.1);
        // Halves of one chain.
        let drift = vec![(0..1000).map(f64::from).collect::<Vec<_>>()];
        assert!(of(&drift).rhat > 1.5);
    }

    #[test]
    fn effective_sizes_stop_when_asked() {
        let slow = chains(0.99, 2, 1000, 0.0);
        let views: Vec<&[f64]> = slow.iter().map(Vec::as_slice).collect();
        assert_eq!(convergence(&views, &|| true), Err(Cancelled));
    }

    #[test]
    fn chains_without_information() {
        assert!(of(&[vec![1.0; 100], vec![1.0; 100]]).rhat.is_nan());
        assert!(of(&[vec![1.0, 2.0]]).ess_bulk.is_nan());
        assert!(
            convergence(&[], &never)
                .expect("never cancelled")
                .rhat
                .is_nan()
        );
        assert!(of(&[vec![1.0, f64::NAN, 2.0, 3.0, 4.0]]).rhat.is_nan());
    }
}
