//! The matrix of signed elasticities: by how many percent one brand's outcome moves when another brand's driver moves by one.
//!
//! Every outcome is regressed, in logarithms, on all drivers at once, with a trend, the year's season and further controls beside
//! them, freed from first-order autocorrelation, and with errors that allow for what autocorrelation is left and for changing
//! variance (Lazarus, Lewis, Stock and Watson 2018). Without trend and season a
//! driver that barely moves takes the sign of whatever else changed meanwhile; so how much each driver moves on its own is
//! looked at before its elasticity is named.

use std::f64::consts::PI;

use domain::synergy::Verdict;
use thiserror::Error;

use super::verdict::Unidentified;
use crate::cancel::{Cancel, Cancelled};
use crate::estimate::Estimate;
use crate::inference::benjamini_hochberg;
use crate::linear::{Cholesky, add_scaled, dot, orthonormal, reml_autocorrelation, remove, whiten};

/// How to estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ElasticityParams {
    /// Degree of the trend.
    pub trend: usize,
    /// Harmonics of the season.
    pub harmonics: usize,
    /// Periods of a year.
    pub year: f64,
    /// Waves from which the errors' long-run variance is taken, which are also the degrees of freedom of the tests; `None` takes
    /// ⌊0.4 n^(2/3)⌋ (Lazarus, Lewis, Stock and Watson 2018).
    pub cosines: Option<usize>,
    /// Largest q-value of an effect of one brand on another.
    pub false_discovery_rate: f64,
    /// Smallest standard deviation of a driver's logarithm after everything else is taken out.
    pub least_variation: f64,
    /// Variance inflation above which a driver moves with others.
    pub most_inflation: f64,
}

impl Default for ElasticityParams {
    fn default() -> Self {
        Self {
            trend: 3,
            harmonics: 2,
            year: 365.25 / 7.0,
            cosines: None,
            false_discovery_rate: 0.10,
            least_variation: 0.03,
            most_inflation: 10.0,
        }
    }
}

impl ElasticityParams {
    /// Refuses what is no number or lies outside its range. Comparisons with NaN are false, and all of these decide by comparing.
    fn check(&self) -> Result<(), ElasticityError> {
        let refuse = |name, wanted| Err(ElasticityError::Parameter { name, wanted });
        if !(self.year.is_finite() && self.year >= 1.0) {
            return refuse("year", "a number of periods, at least 1");
        }
        if !(0.0..=1.0).contains(&self.false_discovery_rate) {
            return refuse("false_discovery_rate", "a share from 0 to 1");
        }
        if self.least_variation.is_nan() || self.least_variation < 0.0 {
            return refuse("least_variation", "a number of at least 0");
        }
        if self.most_inflation.is_nan() || self.most_inflation < 1.0 {
            return refuse("most_inflation", "a number of at least 1");
        }
        Ok(())
    }

    /// Waves a year that are taken out. Less than a year has no season that could be told from a trend.
    fn waves(&self, length: usize) -> usize {
        if length as f64 > 1.15 * self.year {
            self.harmonics
        } else {
            0
        }
    }

    /// Columns of constant, trend and season over so many periods.
    fn columns(&self, length: usize) -> usize {
        let season = self.waves(length).saturating_mul(2);
        season.saturating_add(self.trend).saturating_add(1)
    }
}

/// One entry of the matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Elasticity {
    /// Position of the outcome.
    pub affected: usize,
    /// Position of the driver.
    pub driver: usize,
    /// Percent of the outcome per percent of the driver.
    pub elasticity: Estimate,
    /// Benjamini–Hochberg q-value among all identified effects of one brand on another; 1 for others and for a brand's own.
    pub q_value: f64,
    /// Standard deviation of the driver's logarithm after everything else is taken out.
    pub own_variation: f64,
    /// 1 / (1 − R²) of the driver on everything else.
    pub variance_inflation: f64,
    /// The conclusion on an effect of one brand on another: which way the outcome goes when the driver goes up. A brand's own
    /// effect is [`Verdict::NoEvidence`] or [`Verdict::NotIdentifiable`].
    pub verdict: Verdict,
    /// Why the data cannot tell, where they cannot.
    pub reason: Option<Unidentified>,
}

/// Why there is no matrix.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ElasticityError {
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// There is no outcome or no driver.
    #[error("there is no outcome or no driver")]
    Empty,
    /// A parameter with which every verdict would be wrong.
    #[error("{name} must be {wanted}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// Series are not equally long.
    #[error("series of {expected} and of {got} periods cannot be put together")]
    Unequal {
        /// Length of the first.
        expected: usize,
        /// Length of the other.
        got: usize,
    },
    /// Too few periods in which everything is known and positive.
    #[error(
        "{usable} periods in which everything is known and positive cannot tell {regressors} things apart"
    )]
    TooShort {
        /// Periods left.
        usable: usize,
        /// Columns of the regression.
        regressors: usize,
    },
}

/// Estimates every entry. `outcomes` and `drivers` are series of positive values, brand `i` of the one being brand `i` of the
/// other; `controls` enter as they are. Periods in which a value is absent or not positive (in a control: absent) are left out.
/// Ordered by outcome, then driver.
///
/// # Errors
/// [`ElasticityError::Parameter`], [`ElasticityError::Empty`], [`ElasticityError::Unequal`]; [`ElasticityError::TooShort`] when
/// fewer than ten periods would be left after one for each column; [`ElasticityError::Cancelled`].
pub fn elasticities(
    outcomes: &[Vec<f64>],
    drivers: &[Vec<f64>],
    controls: &[Vec<f64>],
    params: &ElasticityParams,
    cancel: &dyn Cancel,
) -> Result<Vec<Elasticity>, ElasticityError> {
    params.check()?;
    let (Some(first), false) = (outcomes.first(), drivers.is_empty()) else {
        return Err(ElasticityError::Empty);
    };
    let expected = first.len();
    for series in outcomes.iter().chain(drivers).chain(controls) {
        if series.len() != expected {
            return Err(ElasticityError::Unequal {
                expected,
                got: series.len(),
            });
        }
    }
    let usable: Vec<usize> = (0..expected)
        .filter(|&t| {
            let positive = |s: &Vec<f64>| s[t].is_finite() && s[t] > 0.0;
            outcomes.iter().chain(drivers).all(positive)
                && controls.iter().all(|c| c[t].is_finite())
        })
        .collect();
    let n = usable.len();
    // Before the columns are made: there may be more of them than fit into memory.
    let asked = params.columns(expected);
    if asked >= n {
        return Err(ElasticityError::TooShort {
            usable: n,
            regressors: asked.saturating_add(drivers.len()),
        });
    }
    let mut rest: Vec<Vec<f64>> = calendar(expected, &usable, params);
    rest.extend(
        controls
            .iter()
            .map(|c| usable.iter().map(|&t| c[t]).collect()),
    );
    let basis = orthonormal(&rest);
    let regressors = basis.len() + drivers.len();
    if n < regressors + 10 {
        return Err(ElasticityError::TooShort {
            usable: n,
            regressors,
        });
    }
    let logarithms =
        |series: &Vec<f64>| -> Vec<f64> { usable.iter().map(|&t| series[t].ln()).collect() };
    let columns: Vec<Vec<f64>> = drivers.iter().map(logarithms).collect();
    let freed: Vec<Vec<f64>> = columns
        .iter()
        .map(|column| {
            let mut column = column.clone();
            let size = dot(&column, &column);
            remove(&mut column, &basis);
            remove(&mut column, &basis);
            // What rounding leaves of a driver that does not move is not a driver.
            if dot(&column, &column) <= 1e-20 * size {
                column.fill(0.0);
            }
            column
        })
        .collect();
    let known: Vec<Known> = (0..drivers.len())
        .map(|k| Known::of(&columns[k], &freed, k, params))
        .collect();
    let cosines = params
        .cosines
        .unwrap_or((0.4 * (n as f64).powf(2.0 / 3.0)) as usize)
        .clamp(1, n - 1);
    // Drivers that cannot be told are left in as controls: leaving them out would push their effect onto others.
    let everything: Vec<Vec<f64>> = basis.iter().chain(&freed).cloned().collect();
    let mut found = Vec::with_capacity(outcomes.len() * drivers.len());
    for (affected, outcome) in outcomes.iter().enumerate() {
        cancel.check()?;
        let regression = Regression::new(&everything, basis.len(), &logarithms(outcome));
        for (driver, known) in known.iter().enumerate() {
            let error = if known.own_variation > 0.0 {
                regression.robust_error(driver, cosines)
            } else {
                f64::INFINITY
            };
            found.push(Elasticity {
                affected,
                driver,
                elasticity: Estimate::new(
                    regression.coefficients[driver],
                    error,
                    cosines as f64,
                    0.0,
                ),
                q_value: 1.0,
                own_variation: known.own_variation,
                variance_inflation: known.variance_inflation,
                verdict: if known.reason.is_some() {
                    Verdict::NotIdentifiable
                } else {
                    Verdict::NoEvidence
                },
                reason: known.reason,
            });
        }
    }
    let is_candidate = |e: &Elasticity| e.reason.is_none() && e.affected != e.driver;
    let p: Vec<f64> = found
        .iter()
        .filter(|e| is_candidate(e))
        .map(|e| e.elasticity.p_value)
        .collect();
    let candidates = found.iter_mut().filter(|e| is_candidate(e));
    for (entry, q) in candidates.zip(benjamini_hochberg(&p)) {
        entry.q_value = q;
        if q <= params.false_discovery_rate {
            entry.verdict = if entry.elasticity.value < 0.0 {
                Verdict::Cannibalisation
            } else {
                Verdict::Halo
            };
        }
    }
    Ok(found)
}

/// Constant, trend and season at the usable periods.
fn calendar(length: usize, usable: &[usize], params: &ElasticityParams) -> Vec<Vec<f64>> {
    let place = |t: usize| 2.0 * t as f64 / length.max(2) as f64 - 1.0;
    let mut columns: Vec<Vec<f64>> = (0..=params.trend)
        .map(|degree| {
            usable
                .iter()
                .map(|&t| place(t).powi(degree as i32))
                .collect()
        })
        .collect();
    for harmonic in 1..=params.waves(length) {
        let angle = |t: usize| std::f64::consts::TAU * harmonic as f64 * t as f64 / params.year;
        columns.push(usable.iter().map(|&t| angle(t).sin()).collect());
        columns.push(usable.iter().map(|&t| angle(t).cos()).collect());
    }
    columns
}

/// What of a driver can be told.
struct Known {
    own_variation: f64,
    variance_inflation: f64,
    reason: Option<Unidentified>,
}

impl Known {
    fn of(column: &[f64], freed: &[Vec<f64>], k: usize, params: &ElasticityParams) -> Self {
        let mut others = freed.to_vec();
        others.remove(k);
        let mut rest = freed[k].clone();
        remove(&mut rest, &orthonormal(&others));
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        let spread: f64 = column.iter().map(|v| (v - mean).powi(2)).sum();
        let left = dot(&rest, &rest);
        let own_variation = (left / n).sqrt();
        let variance_inflation = if left > 0.0 {
            spread / left
        } else {
            f64::INFINITY
        };
        let reason = if own_variation < params.least_variation {
            Some(Unidentified::HardlyVaries)
        } else if variance_inflation > params.most_inflation {
            Some(Unidentified::MovesWithOthers)
        } else {
            None
        };
        Self {
            own_variation,
            variance_inflation,
            reason,
        }
    }
}

/// One outcome on all drivers, freed from first-order autocorrelation.
struct Regression {
    /// Slope of each driver.
    coefficients: Vec<f64>,
    /// Drivers, whitened and freed from everything that is not a driver.
    drivers: Vec<Vec<f64>>,
    gram: Cholesky,
    /// What each period's residual would be if the period had not been fitted: divided by 1 − leverage.
    left_out: Vec<f64>,
}

impl Regression {
    /// The first `others` columns are not drivers.
    fn new(columns: &[Vec<f64>], others: usize, outcome: &[f64]) -> Self {
        let rho = reml_autocorrelation(columns, outcome);
        let white: Vec<Vec<f64>> = columns.iter().map(|c| whiten(c, rho)).collect();
        let mut basis = orthonormal(&white[..others]);
        let mut residual = whiten(outcome, rho);
        let mut drivers = white[others..].to_vec();
        for column in drivers.iter_mut().chain([&mut residual]) {
            remove(column, &basis);
            remove(column, &basis);
        }
        let gram = Cholesky::of_gram(&drivers, &[]);
        let moments: Vec<f64> = drivers.iter().map(|c| dot(c, &residual)).collect();
        let coefficients = gram.solve(&moments);
        for (column, k) in drivers.iter().zip(&coefficients) {
            add_scaled(&mut residual, -k, column);
        }
        basis.extend(orthonormal(&drivers));
        for (t, r) in residual.iter_mut().enumerate() {
            let leverage: f64 = basis.iter().map(|q| q[t] * q[t]).sum();
            *r /= (1.0 - leverage).max(1e-6);
        }
        Self {
            coefficients,
            drivers,
            gram,
            left_out: residual,
        }
    }

    /// Standard error of one coefficient that the autocorrelation still left and changing variance do not spoil: what the
    /// coefficient's part of the inverse Gram matrix makes of each period's residual, projected on `cosines` slow waves, whose
    /// mean square is the long-run variance.
    fn robust_error(&self, driver: usize, cosines: usize) -> f64 {
        let n = self.left_out.len();
        let mut unit = vec![0.0; self.drivers.len()];
        unit[driver] = 1.0;
        let row = self.gram.solve(&unit);
        let mut influence = vec![0.0; n];
        for (column, k) in self.drivers.iter().zip(&row) {
            add_scaled(&mut influence, *k, column);
        }
        let projection = |j: usize| -> f64 {
            let wave = |t: usize| (PI * j as f64 * (t as f64 + 0.5) / n as f64).cos();
            let scores = influence.iter().zip(&self.left_out).map(|(i, r)| i * r);
            scores.enumerate().map(|(t, s)| s * wave(t)).sum()
        };
        let squares: f64 = (1..=cosines).map(|j| projection(j).powi(2)).sum();
        (2.0 * squares / cosines as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::never;
    use crate::rng::{autoregression, stream};

    const WEEKS: usize = 208;

    /// Three brands: brand 0's driver takes from brand 1, brand 2's driver barely moves and goes with the trend.
    fn market(seed: u64) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let mut rng = stream(seed, &[8]);
        let season = |t: usize| (std::f64::consts::TAU * t as f64 / (365.25 / 7.0)).sin();
        let trend = |t: usize| (t as f64 / WEEKS as f64).powi(2);
        let mut moves: Vec<Vec<f64>> = (0..3)
            .map(|_| autoregression(&mut rng, 0.5, WEEKS))
            .collect();
        for (t, flat) in moves[2].iter_mut().enumerate() {
            *flat = 0.05 * *flat + trend(t);
        }
        let sizes = [0.2, 0.2, 0.02];
        let logarithms: Vec<Vec<f64>> = moves
            .iter()
            .zip(sizes)
            .map(|(m, size)| m.iter().map(|v| size * v).collect())
            .collect();
        let own = [0.5, 0.4, 0.3];
        let outcomes = (0..3)
            .map(|i| {
                let noise = autoregression(&mut rng, 0.6, WEEKS);
                (0..WEEKS)
                    .map(|t| {
                        let cross = if i == 1 { -0.3 * logarithms[0][t] } else { 0.0 };
                        let effect = own[i] * logarithms[i][t] + cross;
                        (4.0 + 0.8 * trend(t) + 0.2 * season(t) + effect + 0.05 * noise[t]).exp()
                    })
                    .collect()
            })
            .collect();
        let drivers = logarithms
            .iter()
            .map(|l| l.iter().map(|v| (3.0 + v).exp()).collect())
            .collect();
        (outcomes, drivers)
    }

    #[test]
    fn parameters_that_would_make_every_verdict_wrong_are_refused() {
        let (outcomes, drivers) = market(1);
        let usual = ElasticityParams::default();
        let refusal = |params: ElasticityParams| {
            elasticities(&outcomes, &drivers, &[], &params, &never).expect_err("out of range")
        };
        for rate in [7.0, -0.1, f64::NAN] {
            let params = ElasticityParams {
                false_discovery_rate: rate,
                ..usual
            };
            assert!(matches!(
                refusal(params),
                ElasticityError::Parameter {
                    name: "false_discovery_rate",
                    ..
                }
            ));
        }
        for year in [0.0, -52.0, f64::NAN, f64::INFINITY] {
            let params = ElasticityParams { year, ..usual };
            assert!(matches!(
                refusal(params),
                ElasticityError::Parameter { name: "year", .. }
            ));
        }
        for params in [
            ElasticityParams {
                trend: usize::MAX,
                ..usual
            },
            ElasticityParams {
                harmonics: usize::MAX,
                ..usual
            },
        ] {
            assert!(matches!(refusal(params), ElasticityError::TooShort { .. }));
        }
    }

    #[test]
    fn signs_are_found_and_a_driver_that_barely_moves_is_not_judged() {
        let params = ElasticityParams::default();
        let (mut found, mut proportion) = (0, 0.0);
        for seed in 0..100 {
            let (outcomes, drivers) = market(seed);
            let matrix = elasticities(&outcomes, &drivers, &[], &params, &never).expect("a matrix");
            assert_eq!(matrix.len(), 9);
            let (mut claimed, mut wrong) = (0, 0);
            for entry in &matrix {
                if entry.driver == 2 {
                    assert_eq!(
                        (entry.verdict, entry.reason),
                        (Verdict::NotIdentifiable, Some(Unidentified::HardlyVaries))
                    );
                    continue;
                }
                assert_eq!(entry.reason, None, "{entry:?}");
                if entry.verdict != Verdict::NoEvidence {
                    claimed += 1;
                    let planted = (entry.affected, entry.driver) == (1, 0);
                    let right = planted && entry.verdict == Verdict::Cannibalisation;
                    found += usize::from(right);
                    wrong += usize::from(!right);
                }
                if entry.affected == entry.driver {
                    assert!(entry.elasticity.value > 0.0 && entry.q_value == 1.0);
                }
            }
            proportion += wrong as f64 / claimed.max(1) as f64 / 100.0;
        }
        assert!(found >= 98, "{found}");
        assert!(proportion <= 0.12, "{proportion}");
    }

    #[test]
    fn without_trend_and_season_the_driver_that_barely_moves_takes_the_trend_for_its_own() {
        let (outcomes, drivers) = market(1);
        let bare = ElasticityParams {
            trend: 0,
            harmonics: 0,
            least_variation: 0.0,
            ..ElasticityParams::default()
        };
        let of = |params: &ElasticityParams| {
            let matrix = elasticities(&outcomes, &drivers, &[], params, &never).expect("a matrix");
            matrix[2].elasticity
        };
        // Nothing links driver 2 with outcome 0: the bare regression gives an elasticity above ten; with controls it is
        // known to be unknown.
        let wrong = of(&bare);
        assert!(wrong.value > 10.0 && wrong.p_value < 0.05, "{wrong:?}");
        assert!(of(&ElasticityParams::default()).p_value > 0.01);
    }

    #[test]
    fn a_test_at_five_percent_finds_what_is_not_there_in_about_five_percent() {
        // Driver and errors that both last: plain least squares would find something in a third of the cases.
        let passed = (0..400)
            .filter(|&seed| {
                let mut rng = stream(seed, &[1]);
                let driver = autoregression(&mut rng, 0.7, WEEKS)
                    .iter()
                    .map(|v| (0.3 * v).exp())
                    .collect();
                let outcome = autoregression(&mut rng, 0.7, WEEKS)
                    .iter()
                    .map(|v| (0.1 * v).exp())
                    .collect();
                let params = ElasticityParams::default();
                let found =
                    elasticities(&[outcome], &[driver], &[], &params, &never).expect("a matrix");
                found[0].elasticity.p_value < 0.05
            })
            .count();
        assert!((10..=40).contains(&passed), "{passed} of 400");
    }

    #[test]
    fn slope_and_error_are_those_of_the_formulas() {
        // One driver and a constant: everything is a short sum.
        let e = [
            0.1f64, -0.2, 0.0, 0.3, -0.1, 0.2, -0.3, 0.1, 0.0, -0.1, 0.2, -0.2,
        ];
        let x: Vec<f64> = (0..12).map(|t| f64::from(t * 5 % 12)).collect();
        let ly: Vec<f64> = x.iter().zip(e).map(|(x, e)| 1.0 + 0.5 * x + e).collect();
        let params = ElasticityParams {
            trend: 0,
            harmonics: 0,
            cosines: Some(3),
            ..ElasticityParams::default()
        };
        let exp = |v: &[f64]| -> Vec<f64> { v.iter().map(|v| v.exp()).collect() };
        let found = elasticities(&[exp(&ly)], &[exp(&x)], &[], &params, &never).expect("a matrix");
        let rho = reml_autocorrelation(&[vec![1.0; 12], x.clone()], &ly);
        let (one, x, y) = (whiten(&[1.0; 12], rho), whiten(&x, rho), whiten(&ly, rho));
        // Least squares on a constant and a slope, by the two normal equations.
        let (a, b, d) = (dot(&one, &one), dot(&one, &x), dot(&x, &x));
        let (u, v) = (dot(&one, &y), dot(&x, &y));
        let determinant = a * d - b * b;
        let (level, slope) = ((d * u - b * v) / determinant, (a * v - b * u) / determinant);
        let scores: Vec<f64> = (0..12)
            .map(|t| {
                let (c, x) = (one[t], x[t]);
                let leverage = (d * c * c - 2.0 * b * c * x + a * x * x) / determinant;
                let residual = y[t] - level * c - slope * x;
                (a * x - b * c) / determinant * residual / (1.0 - leverage)
            })
            .collect();
        let wave = |j: f64| -> f64 {
            let at = |t: usize| 6f64.sqrt().recip() * (PI * j * (t as f64 + 0.5) / 12.0).cos();
            scores.iter().enumerate().map(|(t, s)| s * at(t)).sum()
        };
        let variance = 12.0 * [1.0, 2.0, 3.0].map(wave).map(|w| w * w).iter().sum::<f64>() / 3.0;
        assert!((found[0].elasticity.value - slope).abs() < 1e-10);
        assert!((found[0].elasticity.std_error - variance.sqrt()).abs() < 1e-10);
        assert_eq!(found[0].elasticity.dof, 3.0);
    }

    #[test]
    fn a_constant_driver_absent_values_and_too_little_are_told() {
        let (outcomes, mut drivers) = market(5);
        drivers[1] = vec![7.0; WEEKS];
        let params = ElasticityParams::default();
        let found = elasticities(&outcomes, &drivers, &[], &params, &never).expect("a matrix");
        let constant = &found[1];
        assert_eq!(
            (constant.reason, constant.variance_inflation),
            (Some(Unidentified::HardlyVaries), f64::INFINITY)
        );
        assert_eq!(constant.verdict, Verdict::NotIdentifiable);
        drivers[0][3] = f64::NAN;
        drivers[0][4] = 0.0;
        assert!(elasticities(&outcomes, &drivers, &[], &params, &never).is_ok());
        assert_eq!(
            elasticities(&[], &drivers, &[], &params, &never),
            Err(ElasticityError::Empty)
        );
        assert_eq!(
            elasticities(&outcomes, &[], &[], &params, &never),
            Err(ElasticityError::Empty)
        );
        let short: Vec<Vec<f64>> = outcomes.iter().map(|o| o[..15].to_vec()).collect();
        assert!(matches!(
            elasticities(&short, &drivers, &[], &params, &never),
            Err(ElasticityError::Unequal { .. })
        ));
        let few: Vec<Vec<f64>> = drivers.iter().map(|o| o[..15].to_vec()).collect();
        assert!(matches!(
            elasticities(&short, &few, &[], &params, &never),
            Err(ElasticityError::TooShort { .. })
        ));
        assert_eq!(
            elasticities(&outcomes, &drivers, &[], &params, &|| true),
            Err(ElasticityError::Cancelled(Cancelled))
        );
    }
}
