//! Level shifts: periods from which a series stands higher or lower than before and stays there.
//!
//! The model is a level that steps, a straight trend, a smooth season and first-order autocorrelated noise. Weekly marketing
//! series wander, so a method that takes the noise for independent finds shifts everywhere. Here the steps are proposed by exact
//! penalised segmentation (PELT, Killick, Fearnhead and Eckley 2012) of the series freed from autocorrelation, and judged by the
//! likelihood of the whole model, in which trend, season, steps and autocorrelation are estimated together: a step stays only
//! if the likelihood gains more than the penalty without it. What is more than a few periods from any end is found; a shorter
//! rise is a campaign or an outlier, not a new level.

use serde::{Deserialize, Serialize};

use crate::{
    inference::median,
    linear::{dot, gls, reml_autocorrelation},
};

/// Fewest known values of a level.
pub const SHORTEST: usize = 8;
/// Penalty of a step in the final choice beyond that of Schwarz's criterion, twice the logarithm of the number of values (a
/// place and a height): more is needed because the autocorrelation is estimated too. With it fewer than one autocorrelated
/// series in twenty without a shift shows one (see the tests).
const PENALTY: f64 = 6.0;
/// Penalty of a step in the proposals, times the logarithm of the number of values: they may be too many but should not
/// miss any.
const PROPOSAL_PENALTY: f64 = 2.0;
/// Most steps that are judged; a series with more of them has no levels.
const MOST: usize = 12;
/// Steps up to which every place is improved before the judgement; of more, most are about to go.
const FEW: usize = 4;
/// Periods around a proposed place that are tried for it.
const REACH: usize = 5;
/// Noise, as a share of the spread of the values, below which there is nothing to measure a step by.
const LEAST_NOISE: f64 = 1e-6;
/// Pairs of harmonics that describe a smooth season.
const HARMONICS: usize = 2;

/// A new level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelShift {
    /// Position of the first value on the new level.
    pub at: usize,
    /// How much higher than before it is, trend and season apart; negative when lower.
    pub change: f64,
    /// The change in standard deviations of the noise, with its sign.
    pub distance: f64,
}

/// Level shifts of at least `least` standard deviations of the noise, in order of time. NaN = absent; absent values are
/// passed over. `period` is the length of a season (1 = none).
///
/// A series that is shorter than three seasons, or hardly varies from value to value, has none that could be told from
/// its season or its noise.
#[must_use]
pub fn level_shifts(values: &[f64], period: usize, least: f64) -> Vec<LevelShift> {
    let places: Vec<usize> = (0..values.len())
        .filter(|t| values[*t].is_finite())
        .collect();
    let n = places.len();
    if n < 3 * SHORTEST || (period > 1 && values.len() < 3 * period) {
        return Vec::new();
    }
    // On a common scale, so that nothing overflows and the limits below mean the same for every unit.
    let middle = median(values);
    let size = median(
        &values
            .iter()
            .map(|v| (v - middle).abs())
            .collect::<Vec<_>>(),
    );
    if size.is_nan() || size <= 0.0 || !size.is_finite() {
        return Vec::new();
    }
    let y: Vec<f64> = places
        .iter()
        .map(|&t| (values[t] - middle) / size)
        .collect();
    let smooth = smooth_columns(&places, period);
    let best = proposals(&y, &smooth)
        .into_iter()
        .flat_map(|steps| eliminated(&y, &smooth, steps))
        .chain([Judged::new(&y, &smooth, Vec::new())])
        .min_by(|a, b| a.criterion.total_cmp(&b.criterion));
    let Some(best) = best.filter(|best| !best.steps.is_empty()) else {
        return Vec::new();
    };
    let steps = moved(&y, &smooth, best.steps, best.rho);
    let fit = gls(&with_steps(&smooth, &steps, n), &y, best.rho);
    let noise = fit.sigma / (1.0 - best.rho * best.rho).sqrt();
    if noise < LEAST_NOISE {
        return Vec::new();
    }
    let heights = &fit.coefficients[smooth.len()..];
    steps
        .iter()
        .zip(heights)
        .map(|(step, height)| LevelShift {
            at: places[*step],
            change: height * size,
            distance: height / noise,
        })
        .filter(|shift| shift.distance.is_finite() && shift.distance.abs() >= least)
        .collect()
}

/// Constant, trend and the harmonics of the season at the known places.
fn smooth_columns(places: &[usize], period: usize) -> Vec<Vec<f64>> {
    let n = places.len();
    let centre = (places[0] + places[n - 1]) as f64 / 2.0;
    let span = (places[n - 1] - places[0]) as f64 / 2.0;
    let mut columns = vec![
        vec![1.0; n],
        places.iter().map(|&t| (t as f64 - centre) / span).collect(),
    ];
    for harmonic in 1..=HARMONICS.min(period.saturating_sub(1) / 2) {
        let angle =
            |t: usize| std::f64::consts::TAU * (harmonic * (t % period)) as f64 / period as f64;
        columns.push(places.iter().map(|&t| angle(t).sin()).collect());
        columns.push(places.iter().map(|&t| angle(t).cos()).collect());
    }
    columns
}

/// Sets of steps that are worth judging: segmentations with and without the trend taken out beforehand, freed from as much
/// autocorrelation as the differences suggest and from half of it. Too little leaves too many steps rather than too few.
fn proposals(y: &[f64], smooth: &[Vec<f64>]) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    let without_trend: Vec<Vec<f64>> = smooth
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != 1)
        .map(|(_, column)| column.clone())
        .collect();
    for columns in [smooth, &without_trend] {
        let residuals = gls(columns, y, 0.0).residuals;
        let rho = robust_autocorrelation(&residuals);
        for rho in [rho, 0.5 * rho] {
            let z: Vec<f64> = residuals.windows(2).map(|w| w[1] - rho * w[0]).collect();
            let steps: Vec<f64> = z.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
            let variance = (1.4826 * median(&steps)).powi(2) / 2.0;
            if variance.is_nan() || variance <= 0.0 {
                continue;
            }
            let mut penalty = PROPOSAL_PENALTY * variance * (y.len() as f64).ln();
            let mut steps = segment(&z, penalty, SHORTEST);
            while steps.len() > MOST {
                penalty *= 1.5;
                steps = segment(&z, penalty, SHORTEST);
            }
            if !steps.is_empty() && !found.contains(&steps) {
                found.push(steps);
            }
        }
    }
    found
}

/// First-order autocorrelation from the spread of differences over two periods against one, which a few steps do not
/// disturb (Chakar and others 2017), kept within the range in which a level means something.
fn robust_autocorrelation(values: &[f64]) -> f64 {
    let spread = |lag: usize| {
        let moves: Vec<f64> = values
            .windows(lag + 1)
            .map(|w| (w[lag] - w[0]).abs())
            .collect();
        median(&moves).powi(2)
    };
    let rho = spread(2) / spread(1) - 1.0;
    if rho.is_finite() {
        rho.clamp(0.0, 0.9)
    } else {
        0.0
    }
}

/// The segmentation of least penalised squared error: first positions of every segment but the first, among the values behind
/// `z`, where `z[t]` belongs to value `t + 1` and its predecessor. A segment's error leaves out the `z` that reaches over its
/// beginning, and every segment has at least `shortest` values.
///
/// Exact: a beginning is only dropped when another one is better for every end that can still come.
fn segment(z: &[f64], penalty: f64, shortest: usize) -> Vec<usize> {
    let n = z.len() + 1;
    let (mut sums, mut squares) = (vec![0.0; n], vec![0.0; n]);
    for (t, value) in z.iter().enumerate() {
        sums[t + 1] = sums[t] + value;
        squares[t + 1] = squares[t] + value * value;
    }
    // Values `from..to` hold the differences `from..to − 1`.
    let error = |from: usize, to: usize| {
        let count = (to - 1 - from) as f64;
        if count < 1.0 {
            return 0.0;
        }
        let sum = sums[to - 1] - sums[from];
        (squares[to - 1] - squares[from] - sum * sum / count).max(0.0)
    };
    let mut best = vec![f64::INFINITY; n + 1];
    let mut last = vec![0; n + 1];
    best[0] = -penalty;
    let mut open: Vec<(usize, usize)> = vec![(0, usize::MAX)];
    for to in shortest..=n {
        if to >= 2 * shortest {
            open.push((to - shortest, usize::MAX));
        }
        for &(from, _) in &open {
            let total = best[from] + error(from, to) + penalty;
            if total < best[to] {
                (best[to], last[to]) = (total, from);
            }
        }
        for (from, until) in &mut open {
            if *until == usize::MAX && best[*from] + error(*from, to) > best[to] {
                // Until then `to` itself cannot begin a segment that is long enough.
                *until = to + shortest;
            }
        }
        open.retain(|(_, until)| *until > to + 1);
    }
    let mut steps = Vec::new();
    let mut at = n;
    while last[at] > 0 {
        at = last[at];
        steps.push(at);
    }
    steps.reverse();
    steps
}

/// A set of steps with what the likelihood says of it.
struct Judged {
    steps: Vec<usize>,
    rho: f64,
    criterion: f64,
    /// Position of the step that the series needs least.
    weakest: Option<usize>,
}

impl Judged {
    fn new(y: &[f64], smooth: &[Vec<f64>], steps: Vec<usize>) -> Self {
        let n = y.len() as f64;
        let columns = with_steps(smooth, &steps, y.len());
        let rho = reml_autocorrelation(&columns, y);
        let fit = gls(&columns, y, rho);
        let error = dot(&fit.residuals, &fit.residuals).max(1e-12 * n);
        let criterion = (n - smooth.len() as f64) * (error / n).ln() - (1.0 - rho * rho).ln()
            + (2.0 * n.ln() + PENALTY) * steps.len() as f64;
        let strength = |i: usize| {
            let place = smooth.len() + i;
            (fit.coefficients[place] / fit.errors[place]).abs()
        };
        let weakest = (0..steps.len()).min_by(|a, b| strength(*a).total_cmp(&strength(*b)));
        Self {
            steps,
            rho,
            criterion,
            weakest,
        }
    }
}

/// The proposal and what is left of it as the weakest step goes, one after the other.
fn eliminated(y: &[f64], smooth: &[Vec<f64>], steps: Vec<usize>) -> Vec<Judged> {
    let mut judged = Vec::new();
    let mut steps = steps;
    while !steps.is_empty() {
        let mut now = Judged::new(y, smooth, steps);
        if now.steps.len() <= FEW {
            let places = moved(y, smooth, now.steps.clone(), now.rho);
            if places != now.steps {
                now = Judged::new(y, smooth, places);
            }
        }
        steps = now.steps.clone();
        match now.weakest {
            Some(weakest) => steps.remove(weakest),
            None => break,
        };
        judged.push(now);
    }
    judged
}

/// Each step moved to where the whole model fits best, the others held.
fn moved(y: &[f64], smooth: &[Vec<f64>], mut steps: Vec<usize>, rho: f64) -> Vec<usize> {
    let n = y.len();
    for i in 0..steps.len() {
        let least = if i == 0 { 0 } else { steps[i - 1] } + SHORTEST;
        let most = steps.get(i + 1).copied().unwrap_or(n) - SHORTEST;
        let tried = steps[i].saturating_sub(REACH).max(least)..=(steps[i] + REACH).min(most);
        let error = |place: usize| {
            let mut trial = steps.clone();
            trial[i] = place;
            let fit = gls(&with_steps(smooth, &trial, n), y, rho);
            dot(&fit.residuals, &fit.residuals)
        };
        let best = tried
            .map(|place| (error(place), place))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, place)) = best {
            steps[i] = place;
        }
    }
    steps
}

fn with_steps(smooth: &[Vec<f64>], steps: &[usize], n: usize) -> Vec<Vec<f64>> {
    let mut columns = smooth.to_vec();
    for &step in steps {
        let mut column = vec![0.0; n];
        column[step..].fill(1.0);
        columns.push(column);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{autoregression, stream};

    /// Weekly noise with this autocorrelation, of one standard deviation.
    fn noise(seed: u64, rho: f64, n: usize) -> Vec<f64> {
        autoregression(&mut stream(seed, &[n as u64]), rho, n)
    }

    /// Four years of weeks around 100 with noise of 10, a trend and a season.
    fn four_years(seed: u64, rho: f64) -> Vec<f64> {
        noise(seed, rho, 208)
            .iter()
            .enumerate()
            .map(|(t, v)| {
                let season = (std::f64::consts::TAU * t as f64 / 52.0).sin();
                100.0 + 10.0 * v + 0.2 * t as f64 + 15.0 * season
            })
            .collect()
    }

    #[test]
    fn fewer_than_one_in_twenty_autocorrelated_series_without_a_shift_shows_one() {
        for (n, period) in [(104, 1), (156, 52)] {
            for rho in [0.0, 0.3, 0.5, 0.7] {
                let alarms = (0..200)
                    .filter(|seed| !level_shifts(&noise(*seed, rho, n), period, 2.0).is_empty())
                    .count();
                assert!(alarms <= 10, "{alarms} of 200 at {rho}, {n} values");
            }
        }
    }

    #[test]
    fn a_shift_of_three_deviations_is_found_within_two_periods_in_95_of_100_series() {
        for rho in [0.0, 0.3] {
            let found = (0..200)
                .filter(|seed| {
                    let mut values = four_years(*seed, rho);
                    let at = 52 + (*seed as usize * 7) % 104;
                    values[at..].iter_mut().for_each(|v| *v += 30.0);
                    level_shifts(&values, 52, 2.0)
                        .iter()
                        .any(|s| s.at.abs_diff(at) <= 2 && s.change > 0.0)
                })
                .count();
            assert!(found >= 190, "{found} of 200 at {rho}");
        }
    }

    #[test]
    fn the_size_of_a_shift_is_told_in_the_unit_of_the_series_and_in_its_noise() {
        let mut values = four_years(3, 0.3);
        values[100..].iter_mut().for_each(|v| *v -= 60.0);
        let found = level_shifts(&values, 52, 2.0);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((found[0].change + 60.0).abs() < 15.0, "{found:?}");
        assert!((found[0].distance + 6.0).abs() < 2.0, "{found:?}");
    }

    #[test]
    fn two_shifts_are_told_apart_and_gaps_are_passed_over() {
        let mut values = noise(5, 0.3, 160);
        values[50..].iter_mut().for_each(|v| *v += 6.0);
        values[110..].iter_mut().for_each(|v| *v -= 9.0);
        for t in [12, 49, 51, 80, 81] {
            values[t] = f64::NAN;
        }
        let found = level_shifts(&values, 1, 2.0);
        let places: Vec<usize> = found.iter().map(|s| s.at).collect();
        assert_eq!(places, [50, 110], "{found:?}");
    }

    #[test]
    fn a_trend_a_season_and_a_short_campaign_are_no_shifts() {
        let mut values = four_years(8, 0.3);
        values[90..94].iter_mut().for_each(|v| *v += 25.0);
        assert_eq!(level_shifts(&values, 52, 2.0), vec![]);
    }

    #[test]
    fn neither_unit_nor_origin_of_the_values_matters() {
        let mut values = noise(21, 0.4, 120);
        values[70..].iter_mut().for_each(|v| *v += 5.0);
        let plain = level_shifts(&values, 1, 2.0);
        let scaled: Vec<f64> = values.iter().map(|v| 1e9 * v - 4e9).collect();
        let other = level_shifts(&scaled, 1, 2.0);
        assert_eq!((plain.len(), other.len()), (1, 1));
        assert_eq!(plain[0].at, other[0].at);
        assert!((plain[0].distance - other[0].distance).abs() < 1e-6);
    }

    #[test]
    fn degenerate_series_have_no_shift() {
        let step: Vec<f64> = (0..40).map(|t| f64::from(u8::from(t >= 20))).collect();
        let wild: Vec<f64> = (0..40)
            .map(|t| if t % 2 == 0 { 1e308 } else { -1e308 })
            .collect();
        for values in [
            vec![],
            vec![f64::NAN; 60],
            vec![5.0],
            vec![5.0; 60],
            vec![f64::INFINITY; 60],
            wild,
        ] {
            assert_eq!(level_shifts(&values, 1, 2.0), vec![]);
        }
        assert_eq!(
            level_shifts(&step, 12, 2.0),
            vec![],
            "no noise to measure it by"
        );
    }

    #[test]
    fn the_segmentation_is_the_best_of_all() {
        for seed in 0..30 {
            let mut z = noise(seed, 0.0, 23);
            z[11..].iter_mut().for_each(|v| *v += 2.0);
            let (penalty, shortest) = (3.0, 3);
            let found = segment(&z, penalty, shortest);
            let error = |steps: &[usize]| -> f64 {
                let mut ends = vec![0];
                ends.extend(steps);
                ends.push(z.len() + 1);
                let within: f64 = ends
                    .windows(2)
                    .map(|w| {
                        let part = &z[w[0]..w[1] - 1];
                        let mean = part.iter().sum::<f64>() / part.len() as f64;
                        part.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
                    })
                    .sum();
                within + penalty * steps.len() as f64
            };
            // Every set of steps at least `shortest` apart.
            let mut all = vec![vec![]];
            for place in shortest..=z.len() + 1 - shortest {
                let longer: Vec<Vec<usize>> = all
                    .iter()
                    .filter(|s: &&Vec<usize>| s.last().is_none_or(|l| place - l >= shortest))
                    .map(|s| [s.as_slice(), &[place]].concat())
                    .collect();
                all.extend(longer);
            }
            let best = all.iter().map(|s| error(s)).fold(f64::INFINITY, f64::min);
            assert!(error(&found) <= best + 1e-9, "seed {seed}");
        }
    }
}
