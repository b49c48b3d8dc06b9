//! Forecasts of periods that a fit has not seen, and how good they were.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{data::Prepared, density::Density, posterior::Sample};
use crate::{
    cancel::{Cancel, Cancelled},
    inference::quantile,
    rng,
};

/// How the outcome of unseen periods was forecast, in units of the outcome, over all groups' rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holdout {
    /// Periods set aside.
    pub periods: usize,
    /// Root of the mean squared error of the posterior mean.
    pub rmse: f64,
    /// Sum of absolute errors over sum of absolute outcomes.
    pub wmape: f64,
    /// Continuous ranked probability score, mean over rows (Gneiting and Raftery 2007).
    pub crps: f64,
    /// Share of rows inside the 50 % interval.
    pub coverage_50: f64,
    /// Share of rows inside the 80 % interval.
    pub coverage_80: f64,
    /// Share of rows inside the 95 % interval.
    pub coverage_95: f64,
    /// RMSE of the value one year (or, with less history, one hold-out length) before, over the rows where that is known; `None`
    /// where it is known for none. A year has as many periods as the spacing of the dates says, 52 where there are no dates.
    pub rmse_naive: Option<f64>,
}

/// Scores the last `hidden` periods; `None` where none of their outcomes is known.
pub(super) fn score(
    prepared: &Prepared,
    density: &mut Density<'_>,
    sample: &Sample,
    hidden: usize,
    seed: u64,
    cancel: &dyn Cancel,
) -> Result<Option<Holdout>, Cancelled> {
    let design = &prepared.design;
    let (groups, n) = (design.groups, design.periods);
    let rows: Vec<usize> = (0..groups)
        .flat_map(|g| (n - hidden..n).map(move |t| g * n + t))
        .filter(|i| prepared.outcome[*i].is_finite())
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let positions = sample.thinned(1000);
    let mut draws = vec![Vec::with_capacity(positions.len()); rows.len()];
    let mut means = vec![0.0; rows.len()];
    let mut mean = vec![0.0; design.rows()];
    let mut stream = rng::stream(seed, &[0x686f_6c64]);
    for q in &positions {
        cancel.check()?;
        density.place(q);
        density.mean_into(&mut mean);
        for (k, i) in rows.iter().enumerate() {
            let (unit, zero) = (prepared.unit[i / n], prepared.zero[i / n]);
            means[k] += (mean[*i] * unit + zero) / positions.len() as f64;
            let noise = density.sigma * rng::normal(&mut stream);
            draws[k].push((mean[*i] + noise) * unit + zero);
        }
    }
    let count = rows.len() as f64;
    let whole = year(&prepared.dates);
    let year = if n > whole + hidden { whole } else { hidden };
    let (mut squares, mut naive, mut absolute, mut size, mut crps) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let mut preceded = 0.0;
    let mut inside = [0.0; 3];
    for ((i, mean), draws) in rows.iter().zip(&means).zip(&mut draws) {
        let actual = prepared.outcome[*i];
        draws.sort_by(f64::total_cmp);
        squares += (actual - mean) * (actual - mean);
        absolute += (actual - mean).abs();
        size += actual.abs();
        crps += ranked_probability(draws, actual);
        for (inside, level) in inside.iter_mut().zip([0.5, 0.8, 0.95]) {
            let tail = 0.5 * (1.0 - level);
            let (low, high) = (quantile(draws, tail), quantile(draws, 1.0 - tail));
            *inside += f64::from(u8::from((low..=high).contains(&actual)));
        }
        let t = i % n;
        // The same week a year before; a hold-out of more than a year would look at itself, so go back by whole years.
        let back = year * (1 + (t - (n - hidden)) / year);
        if back <= t && prepared.outcome[i - back].is_finite() {
            let before = prepared.outcome[i - back];
            naive += (actual - before) * (actual - before);
            preceded += 1.0;
        }
    }
    Ok(Some(Holdout {
        periods: hidden,
        rmse: (squares / count).sqrt(),
        wmape: absolute / size,
        crps: crps / count,
        coverage_50: inside[0] / count,
        coverage_80: inside[1] / count,
        coverage_95: inside[2] / count,
        rmse_naive: (preceded > 0.0).then(|| (naive / preceded).sqrt()),
    }))
}

/// Periods of a year by the middle spacing of the dates: 52 for weeks, 12 for months; 52 where there are no two dates.
fn year(dates: &[NaiveDate]) -> usize {
    let mut days: Vec<i64> = dates
        .windows(2)
        .map(|w| (w[1] - w[0]).num_days().max(1))
        .collect();
    days.sort_unstable();
    days.get(days.len() / 2)
        .map_or(52, |days| (365.25 / *days as f64).round().max(1.0) as usize)
}

/// Mean |X − y| − ½ mean |X − X′| over sorted draws.
fn ranked_probability(sorted: &[f64], y: f64) -> f64 {
    let n = sorted.len() as f64;
    let near = sorted.iter().map(|x| (x - y).abs()).sum::<f64>() / n;
    let spread = sorted
        .iter()
        .enumerate()
        .map(|(i, x)| x * (2.0 * (i as f64 + 1.0) - n - 1.0))
        .sum::<f64>()
        / (n * n);
    near - spread
}

#[cfg(test)]
mod tests {
    use chrono::{Days, Months, NaiveDate};

    use super::{ranked_probability, year};

    #[test]
    fn a_year_has_as_many_periods_as_its_dates_say() {
        let first = NaiveDate::from_ymd_opt(2023, 1, 1).expect("a date");
        let weeks: Vec<_> = (0..60).map(|i| first + Days::new(7 * i)).collect();
        let months: Vec<_> = (0..24).map(|i| first + Months::new(i)).collect();
        let days: Vec<_> = (0..90).map(|i| first + Days::new(i)).collect();
        let quarters: Vec<_> = (0..9).map(|i| first + Months::new(3 * i)).collect();
        assert_eq!(year(&weeks), 52);
        assert_eq!(year(&months), 12);
        assert_eq!(year(&days), 365);
        assert_eq!(year(&quarters), 4);
        assert_eq!(year(&[]), 52);
    }

    #[test]
    fn ranked_probability_of_a_normal() {
        // Closed form for N(0, 1) at y = 0: 2φ(0) − 1/√π.
        let n = 20_000;
        let sorted: Vec<f64> = (0..n)
            .map(|i| {
                super::super::diagnostics::normal_quantile((f64::from(i) + 0.5) / f64::from(n))
            })
            .collect();
        let expected = 2.0 * 0.398_942_280_401_432_7 - 0.564_189_583_547_756_3;
        assert!((ranked_probability(&sorted, 0.0) - expected).abs() < 1e-4);
        assert_eq!(ranked_probability(&[3.0], 5.0), 2.0);
    }
}
