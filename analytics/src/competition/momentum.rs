//! Momentum: how fast a brand grows of late, and how fast against the others.

use crate::estimate::Estimate;
use crate::linear::{gls, reml_autocorrelation};

/// Fewest periods from which a growth is told.
pub const LEAST_PERIODS: usize = 8;

/// Growth of one brand's metric over the last periods.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// Position of the brand.
    pub brand: usize,
    /// Growth per period, as a difference of logarithms: 0.01 = about 1 %.
    pub growth: Estimate,
    /// Growth per period of the brand over the mean growth of the others; season and market that all share are not in it. `None`
    /// without others.
    pub relative: Option<Estimate>,
}

/// Growth of every brand over its last `window` periods: the slope of the logarithm on time with first-order autocorrelated
/// errors, the autocorrelation estimated by restricted likelihood. Brands with an absent or not positive value in the window have
/// none, nor has anyone for a window below [`LEAST_PERIODS`] or longer than the series.
#[must_use]
pub fn momentum(series: &[Vec<f64>], window: usize) -> Vec<Option<Momentum>> {
    let logarithms: Vec<Option<Vec<f64>>> = series
        .iter()
        .map(|values| {
            let recent = &values[values.len().checked_sub(window)?..];
            let positive = recent.iter().all(|v| v.is_finite() && *v > 0.0);
            (window >= LEAST_PERIODS && positive).then(|| recent.iter().map(|v| v.ln()).collect())
        })
        .collect();
    let known = logarithms.iter().flatten().count();
    let mut total = vec![0.0; window];
    for values in logarithms.iter().flatten() {
        total.iter_mut().zip(values).for_each(|(t, v)| *t += v);
    }
    logarithms
        .iter()
        .enumerate()
        .map(|(brand, values)| {
            let values = values.as_ref()?;
            let relative = (known > 1).then(|| {
                let others = (known - 1) as f64;
                let apart: Vec<f64> = values
                    .iter()
                    .zip(&total)
                    .map(|(v, t)| v - (t - v) / others)
                    .collect();
                slope(&apart)
            });
            Some(Momentum {
                brand,
                growth: slope(values),
                relative,
            })
        })
        .collect()
}

fn slope(y: &[f64]) -> Estimate {
    let middle = 0.5 * (y.len() - 1) as f64;
    let columns = [
        vec![1.0; y.len()],
        (0..y.len()).map(|t| t as f64 - middle).collect(),
    ];
    let level = y.iter().sum::<f64>() / y.len() as f64;
    // A series that lies on a line up to rounding has no errors whose autocorrelation could be estimated.
    let plain = gls(&columns, y, 0.0);
    if plain.sigma <= 1e-12 * (1.0 + level.abs()) {
        return Estimate::new(plain.coefficients[1], plain.errors[1], plain.dof, 0.0);
    }
    let fit = gls(&columns, y, reml_autocorrelation(&columns, y));
    Estimate::new(fit.coefficients[1], fit.errors[1], fit.dof, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{autoregression, stream};

    fn grown(rate: f64, seed: u64, n: usize) -> Vec<f64> {
        let noise = autoregression(&mut stream(seed, &[3]), 0.4, n);
        noise
            .iter()
            .enumerate()
            .map(|(t, e)| (5.0 + rate * t as f64 + 0.02 * e).exp())
            .collect()
    }

    #[test]
    fn growth_and_growth_against_the_others_are_found() {
        let series = [grown(0.01, 1, 60), grown(0.0, 2, 60), grown(0.002, 3, 60)];
        let found = momentum(&series, 26);
        let first = found[0].expect("all known");
        assert!((first.growth.value - 0.01).abs() < 0.003 && first.growth.p_value < 0.01);
        let relative = first.relative.expect("others");
        assert!((relative.value - 0.009).abs() < 0.003, "{}", relative.value);
        assert!(found[1].expect("all known").relative.expect("others").value < 0.0);
    }

    #[test]
    fn a_season_that_all_share_is_not_in_the_relative_growth() {
        let season = |t: usize| (0.3 * (std::f64::consts::TAU * t as f64 / 52.0).sin()).exp();
        let with = |s: Vec<f64>| -> Vec<f64> {
            s.iter().enumerate().map(|(t, v)| v * season(t)).collect()
        };
        let plain = [grown(0.004, 1, 60), grown(0.0, 2, 60), grown(0.0, 3, 60)];
        let seasonal = plain.clone().map(with);
        for (a, b) in momentum(&plain, 20).iter().zip(momentum(&seasonal, 20)) {
            let (a, b) = (a.expect("known"), b.expect("known"));
            assert!(
                (a.relative.expect("others").value - b.relative.expect("others").value).abs()
                    < 1e-9
            );
            assert!((a.growth.value - b.growth.value).abs() > 0.005);
        }
    }

    #[test]
    fn too_little_absent_and_constant_series_are_told_apart() {
        let flat = vec![3.0; 20];
        let mut gap = grown(0.0, 1, 20);
        gap[15] = f64::NAN;
        let found = momentum(&[flat.clone(), gap, vec![1.0; 5]], 10);
        let first = found[0].expect("known");
        assert!(first.growth.value.abs() < 1e-12 && first.relative.is_none());
        assert!(found[1].is_none() && found[2].is_none());
        assert_eq!(momentum(&[flat], 4), vec![None]);
        assert!(momentum(&[], 10).is_empty());
    }
}
