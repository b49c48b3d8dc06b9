//! Cleaning rules: what is done to a series before it is used, said beforehand and written down value by value.
//!
//! Rules are data, so that an organisation can keep them beside its mapping and a reader can see what was done. Nothing is
//! changed without a record of the place, the value before and after, and the rule that did it. What the other projects of a
//! brand say about a value is a matter of the [panel](crate::panel); here a series is judged by itself.

pub use domain::quality::{Cleaning, GapRule, OutlierRule};
use serde::{Deserialize, Serialize};

use super::{expected, outliers, runs};

/// The rule that touched a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A stuck tail was dropped.
    StuckTail,
    /// An outlier was capped.
    OutlierCap,
    /// An outlier was replaced.
    OutlierExpected,
    /// A gap was filled by a straight line.
    GapLinear,
    /// A gap was filled by line and season.
    GapSeasonal,
    /// A gap was filled by zero.
    GapZero,
}

/// One value that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Touched {
    /// Its position.
    pub at: usize,
    /// The value before; `None` = absent.
    pub before: Option<f64>,
    /// The value after; `None` = absent.
    pub after: Option<f64>,
    /// Why.
    pub rule: Rule,
}

/// A cleaned series with everything that was done to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleaned {
    /// The values, as many as before, NaN = absent.
    pub values: Vec<f64>,
    /// Every change, in the order in which it was made. A value can be touched twice.
    pub touched: Vec<Touched>,
}

/// Applies the rules to a series of equally spaced periods, NaN = absent. `period` is the length of a season (1 = none).
///
/// Values before the first and after the last known one are outside the series and stay absent.
#[must_use]
pub fn clean(values: &[f64], period: usize, rules: &Cleaning) -> Cleaned {
    let mut done = Cleaned {
        values: values.to_vec(),
        touched: Vec::new(),
    };
    drop_stuck_tail(&mut done, rules);
    tame_outliers(&mut done, period, rules);
    fill_gaps(&mut done, period, rules);
    done
}

impl Cleaned {
    fn set(&mut self, at: usize, value: f64, rule: Rule) {
        let known = |v: f64| v.is_finite().then_some(v);
        let (before, after) = (known(self.values[at]), known(value));
        if before != after {
            self.values[at] = value;
            self.touched.push(Touched {
                at,
                before,
                after,
                rule,
            });
        }
    }
}

fn drop_stuck_tail(done: &mut Cleaned, rules: &Cleaning) {
    let Some(last) = done.values.iter().rposition(|v| v.is_finite()) else {
        return;
    };
    if rules.stuck_tail == 0 {
        return;
    }
    if let Some((from, length)) = runs(&done.values[..=last], rules.stuck_tail as usize)
        .pop()
        .filter(|(from, length)| from + length == last + 1)
    {
        for at in from + 1..from + length {
            done.set(at, f64::NAN, Rule::StuckTail);
        }
    }
}

fn tame_outliers(done: &mut Cleaned, period: usize, rules: &Cleaning) {
    if rules.outliers == OutlierRule::None {
        return;
    }
    for outlier in outliers(&done.values, period, rules.outlier_limit) {
        match rules.outliers {
            OutlierRule::Cap => {
                let unit = (outlier.value - outlier.expected) / outlier.distance;
                let limit = rules.outlier_limit * outlier.distance.signum();
                done.set(
                    outlier.at,
                    outlier.expected + limit * unit,
                    Rule::OutlierCap,
                );
            }
            OutlierRule::Expected => {
                done.set(outlier.at, outlier.expected, Rule::OutlierExpected);
            }
            OutlierRule::None => {}
        }
    }
}

fn fill_gaps(done: &mut Cleaned, period: usize, rules: &Cleaning) {
    let season = match rules.gaps {
        GapRule::Seasonal => {
            let (expected, trend) = expected(&done.values, period);
            expected.iter().zip(&trend).map(|(e, t)| e - t).collect()
        }
        _ => vec![0.0; done.values.len()],
    };
    let rule = match rules.gaps {
        GapRule::None => return,
        GapRule::Linear => Rule::GapLinear,
        GapRule::Seasonal => Rule::GapSeasonal,
        GapRule::Zero => Rule::GapZero,
    };
    for (before, after) in gaps(&done.values) {
        if rules.gaps == GapRule::Zero {
            (before + 1..after).for_each(|at| done.set(at, 0.0, rule));
        } else if after - before - 1 <= rules.longest_gap as usize {
            let plain = |t: usize| done.values[t] - season[t];
            let (from, to) = (plain(before), plain(after));
            let inside = before + 1..after;
            for (at, usual) in inside.clone().zip(&season[inside]) {
                let value = between((before, from), (after, to), at) + usual;
                done.set(at, value, rule);
            }
        }
    }
}

/// The known values on either side of every gap.
fn gaps(values: &[f64]) -> Vec<(usize, usize)> {
    let known: Vec<usize> = (0..values.len())
        .filter(|t| values[*t].is_finite())
        .collect();
    known
        .windows(2)
        .filter(|w| w[1] - w[0] > 1)
        .map(|w| (w[0], w[1]))
        .collect()
}

/// The straight line between two points, at a place between them.
fn between(from: (usize, f64), to: (usize, f64), at: usize) -> f64 {
    let share = (at - from.0) as f64 / (to.0 - from.0) as f64;
    from.1 * (1.0 - share) + to.1 * share
}

/// Fills every gap between known values by a straight line, however long; answers how many values it filled.
pub(crate) fn fill_linear(values: &mut [f64]) -> usize {
    let mut filled = 0;
    for (before, after) in gaps(values) {
        let ends = ((before, values[before]), (after, values[after]));
        let inside = before + 1..after;
        for (at, value) in inside.clone().zip(&mut values[inside]) {
            *value = between(ends.0, ends.1, at);
            filled += 1;
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: f64 = f64::NAN;

    fn lively(n: usize) -> Vec<f64> {
        (0..n)
            .map(|t| 100.0 + ((t * 7) % 13) as f64 + 0.1 * t as f64)
            .collect()
    }

    fn by(gaps: GapRule) -> Cleaning {
        Cleaning {
            gaps,
            ..Cleaning::default()
        }
    }

    #[test]
    fn without_rules_nothing_is_touched() {
        let values = lively(60);
        let done = clean(&values, 52, &Cleaning::default());
        assert_eq!((done.values, done.touched), (values, vec![]));
    }

    #[test]
    fn every_filled_gap_is_written_down_with_its_rule() {
        let done = clean(&[GAP, 2.0, GAP, GAP, 8.0, GAP], 1, &by(GapRule::Linear));
        assert_eq!(done.values[1..5], [2.0, 4.0, 6.0, 8.0]);
        assert!(done.values[0].is_nan() && done.values[5].is_nan());
        let told = |at, after| Touched {
            at,
            before: None,
            after: Some(after),
            rule: Rule::GapLinear,
        };
        assert_eq!(done.touched, [told(2, 4.0), told(3, 6.0)]);
    }

    #[test]
    fn a_long_gap_stays_unless_absent_means_zero() {
        let values = [1.0, GAP, GAP, GAP, GAP, GAP, 7.0];
        assert_eq!(clean(&values, 1, &by(GapRule::Linear)).touched, []);
        let zero = clean(&values, 1, &by(GapRule::Zero));
        assert_eq!(zero.values, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0]);
        assert!(zero.touched.iter().all(|t| t.rule == Rule::GapZero));
    }

    #[test]
    fn a_gap_in_december_is_filled_with_a_december() {
        let mut values: Vec<f64> = (0..60)
            .map(|t| {
                if t % 12 == 11 {
                    300.0
                } else {
                    100.0 + (t % 5) as f64
                }
            })
            .collect();
        values[35] = GAP;
        let seasonal = clean(&values, 12, &by(GapRule::Seasonal)).values[35];
        let linear = clean(&values, 12, &by(GapRule::Linear)).values[35];
        assert!((seasonal - 300.0).abs() < 6.0, "{seasonal}");
        assert!(linear < 110.0, "{linear}");
    }

    #[test]
    fn an_outlier_is_capped_at_the_limit_or_replaced_by_what_was_expected() {
        let mut values = lively(80);
        values[33] = 900.0;
        let with = |outliers| {
            let rules = Cleaning {
                outliers,
                ..Cleaning::default()
            };
            clean(&values, 1, &rules)
        };
        let (capped, replaced) = (with(OutlierRule::Cap), with(OutlierRule::Expected));
        let found = outliers(&values, 1, 6.0)[0];
        let unit = (found.value - found.expected) / found.distance;
        assert!((capped.values[33] - (found.expected + 6.0 * unit)).abs() < 1e-9);
        assert_eq!(replaced.values[33], found.expected);
        assert_eq!(
            replaced.touched,
            [Touched {
                at: 33,
                before: Some(900.0),
                after: Some(found.expected),
                rule: Rule::OutlierExpected
            }]
        );
    }

    #[test]
    fn a_stuck_tail_goes_but_for_its_first_value_and_is_not_filled_again() {
        let mut values = lively(40);
        values[30..].fill(77.0);
        let rules = Cleaning {
            stuck_tail: 6,
            gaps: GapRule::Linear,
            ..Cleaning::default()
        };
        let done = clean(&values, 1, &rules);
        assert_eq!(done.values[30], 77.0);
        assert!(done.values[31..].iter().all(|v| v.is_nan()));
        assert_eq!(done.touched.len(), 9);
        assert_eq!(done.touched[0].after, None);
    }

    #[test]
    fn degenerate_series_come_back_as_they_are() {
        let rules = Cleaning {
            stuck_tail: 6,
            outliers: OutlierRule::Cap,
            gaps: GapRule::Seasonal,
            ..Cleaning::default()
        };
        for values in [vec![], vec![GAP; 9], vec![3.0], vec![0.0; 30]] {
            let done = clean(&values, 12, &rules);
            assert_eq!(done.touched, []);
            assert_eq!(done.values.len(), values.len());
        }
    }

    #[test]
    fn rules_are_read_as_people_write_them() {
        let rules: Cleaning =
            toml::from_str("gaps = 'seasonal'\noutliers = 'cap'\nlongest_gap = 2").expect("rules");
        assert_eq!(
            (
                rules.gaps,
                rules.outliers,
                rules.longest_gap,
                rules.stuck_tail
            ),
            (GapRule::Seasonal, OutlierRule::Cap, 2, 0)
        );
        assert!(toml::from_str::<Cleaning>("gap = 'linear'").is_err());
    }
}
