//! Share of voice, share of market, and the excess of the one over the other.

use serde::{Deserialize, Serialize};

/// Points of market share a year that go with one point of excess share of voice: half a point for ten.
///
/// A rule of thumb from packaged goods (Nielsen and IPA 2009); an orientation for people, not an estimate from their data.
pub const SHARE_A_YEAR_PER_EXCESS: f64 = 0.05;

/// How loud one brand is, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Voice {
    /// Position of the brand.
    pub brand: usize,
    /// Its share of all brands' media pressure, 0 to 1.
    pub share_of_voice: Option<f64>,
    /// Its share of all brands' sales, 0 to 1.
    pub share_of_market: Option<f64>,
    /// Share of voice less share of market; above zero a brand tends to grow. `None` unless both shares are over the same brands.
    pub excess: Option<f64>,
    /// Excess × [`SHARE_A_YEAR_PER_EXCESS`], in shares of the market a year.
    pub expected_change: Option<f64>,
}

/// Shares of every brand from media pressure and sales over the same periods, one value per brand, NaN or below zero = absent.
///
/// Shares are those among the brands that are known. Where pressure is known of other brands than sales are, the two shares are
/// of different wholes, so an excess is only given for the brands known in both, from shares among those.
#[must_use]
pub fn voices(pressure: &[f64], sales: &[f64]) -> Vec<Voice> {
    let brands = pressure.len().max(sales.len());
    let known = |values: &[f64], b: usize| {
        values
            .get(b)
            .copied()
            .filter(|v| v.is_finite() && *v >= 0.0)
    };
    let is_shared = |b: usize| known(pressure, b).is_some() && known(sales, b).is_some();
    let total = |values: &[f64], among: &dyn Fn(usize) -> bool| -> f64 {
        (0..brands)
            .filter(|&b| among(b))
            .filter_map(|b| known(values, b))
            .sum()
    };
    let all = |_: usize| true;
    let (all_pressure, all_sales) = (total(pressure, &all), total(sales, &all));
    let (shared_pressure, shared_sales) = (total(pressure, &is_shared), total(sales, &is_shared));
    let share = |values: &[f64], b: usize, total: f64| {
        known(values, b).filter(|_| total > 0.0).map(|v| v / total)
    };
    (0..brands)
        .map(|brand| {
            let excess = share(pressure, brand, shared_pressure)
                .zip(share(sales, brand, shared_sales))
                .map(|(voice, market)| voice - market);
            Voice {
                brand,
                share_of_voice: share(pressure, brand, all_pressure),
                share_of_market: share(sales, brand, all_sales),
                excess,
                expected_change: excess.map(|e| e * SHARE_A_YEAR_PER_EXCESS),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_points_of_excess_go_with_half_a_point_a_year() {
        let found = voices(&[30.0, 70.0], &[20.0, 80.0]);
        assert!((found[0].excess.expect("both known") - 0.1).abs() < 1e-12);
        assert!((found[0].expected_change.expect("both known") - 0.005).abs() < 1e-12);
        assert!((found[1].excess.expect("both known") + 0.1).abs() < 1e-12);
    }

    #[test]
    fn excesses_sum_to_zero_over_the_brands_known_in_both() {
        let found = voices(&[30.0, 50.0, f64::NAN, 20.0], &[5.0, 10.0, 40.0]);
        assert_eq!(found.len(), 4);
        assert_eq!((found[2].share_of_voice, found[2].excess), (None, None));
        assert_eq!((found[3].share_of_market, found[3].excess), (None, None));
        assert_eq!(found[0].share_of_voice, Some(0.3));
        let sum: f64 = found.iter().filter_map(|v| v.excess).sum();
        assert!(sum.abs() < 1e-12);
        assert!((found[0].excess.expect("both known") - (30.0 / 80.0 - 5.0 / 15.0)).abs() < 1e-12);
    }

    /// What the totals say brand by brand, to the bit, of as many brands as would take minutes if each summed them anew.
    #[test]
    fn shares_of_a_hundred_thousand_brands_are_those_of_the_totals() {
        let brands = 100_000;
        let value = |b: usize, step: usize| match b % 7 {
            0 => f64::NAN,
            _ => (b * step % 1009) as f64 / 7.0,
        };
        let pressure: Vec<f64> = (0..brands).map(|b| value(b, 31)).collect();
        let sales: Vec<f64> = (0..brands - 5).map(|b| value(b + 1, 17)).collect();
        let found = voices(&pressure, &sales);
        let is_known = |values: &[f64], b: usize| values.get(b).is_some_and(|v| v.is_finite());
        let total = |values: &[f64]| values.iter().filter(|v| v.is_finite()).sum::<f64>();
        let shared = |values: &[f64]| -> f64 {
            (0..brands)
                .filter(|&b| is_known(&pressure, b) && is_known(&sales, b))
                .map(|b| values[b])
                .sum()
        };
        let of_all = (total(&pressure), total(&sales));
        let of_shared = (shared(&pressure), shared(&sales));
        for (b, voice) in found.iter().enumerate() {
            let (loud, large) = (is_known(&pressure, b), is_known(&sales, b));
            assert_eq!(voice.share_of_voice, loud.then(|| pressure[b] / of_all.0));
            assert_eq!(voice.share_of_market, large.then(|| sales[b] / of_all.1));
            let excess =
                (loud && large).then(|| pressure[b] / of_shared.0 - sales[b] / of_shared.1);
            assert_eq!(voice.excess, excess);
        }
    }

    #[test]
    fn silence_and_nothing_have_no_share() {
        assert!(voices(&[], &[]).is_empty());
        let found = voices(&[0.0, 0.0], &[1.0, -1.0]);
        assert_eq!((found[0].share_of_voice, found[0].excess), (None, None));
        assert_eq!(found[0].share_of_market, Some(1.0));
        assert_eq!(found[1].share_of_market, None);
    }
}
