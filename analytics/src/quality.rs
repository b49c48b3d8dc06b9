//! Can a series be trusted? Gaps, doubtful values, stuck values, level shifts, age and length, with a verdict that agents obey.
//!
//! Every check gives a reason with its figures; the verdict is the worst of them. What is checked against is in
//! [`Criteria`], so an organisation can tighten or loosen it. [`cleaning`] changes what is wrong by stated rules.

pub mod change_point;
pub mod cleaning;

pub use domain::quality::Verdict;
use domain::{metric::MetricRole, quality::QualityLimits};
use serde::{Deserialize, Serialize};

use self::change_point::{LevelShift, level_shifts};
use crate::inference::median;

/// Share of equal neighbours above which a series is one of few values, such as a rounded rating or a list price, in which
/// equal values in a row say nothing.
const OFTEN_EQUAL: f64 = 0.25;

/// What a series is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criteria {
    /// Fewest known values; below it the series fails.
    pub min_history: usize,
    /// Share of absent values inside the series above which it is reviewed; at three times that it fails.
    pub max_absent: f64,
    /// Periods since the last known value above which it is reviewed; at four times that it fails.
    pub max_age: usize,
    /// Robust standard deviations from the expected value at which a value is an outlier; `None` where values jump at will, as those
    /// of spend do.
    pub outlier: Option<f64>,
    /// Share of outliers above which the series is reviewed; at five times that it fails.
    pub max_outliers: f64,
    /// Equal non-zero values in a row that look stuck; `None` where values rest at will.
    pub stuck: Option<usize>,
    /// Share of repeated keys in the source above which it is reviewed.
    pub max_duplicates: f64,
    /// Standard deviations of the noise from which a change of level is told; `None` where levels are moved at will, as of
    /// spend.
    pub level_shift: Option<f64>,
}

impl Default for Criteria {
    fn default() -> Self {
        Self {
            min_history: 26,
            max_absent: 0.05,
            max_age: 2,
            outlier: Some(6.0),
            max_outliers: 0.02,
            stuck: Some(6),
            max_duplicates: 0.05,
            level_shift: Some(2.0),
        }
    }
}

impl Criteria {
    /// What a metric's series are checked against before agents use it, by its role.
    ///
    /// What people move at will (spend, prices, promotions, and the exposure that spend buys) jumps, rests and changes its level
    /// without being wrong. Sales and health answer to promotions and campaigns, so values far from the usual are many and
    /// mostly true; the wrong ones among them are a matter of single values, not of the series. A few values are enough for
    /// a score; forecasts and models have limits of their own.
    pub fn of(role: MetricRole) -> Self {
        let usual = Self {
            min_history: 4,
            max_outliers: 0.2,
            ..Self::default()
        };
        match role {
            MetricRole::Outcome | MetricRole::Health => usual,
            MetricRole::Spend
            | MetricRole::Exposure
            | MetricRole::Price
            | MetricRole::Promotion
            | MetricRole::Context => Self {
                outlier: None,
                stuck: None,
                level_shift: None,
                ..usual
            },
        }
    }

    /// The same with what an organisation set otherwise.
    #[must_use]
    pub fn with(self, set: &QualityLimits) -> Self {
        /// A limit of nothing switches its check off.
        fn switched<T: PartialEq + Default + Copy, U>(
            set: Option<T>,
            usual: Option<U>,
            as_limit: impl Fn(T) -> U,
        ) -> Option<U> {
            match set {
                Some(limit) => (limit != T::default()).then(|| as_limit(limit)),
                None => usual,
            }
        }
        let count = |set: Option<u32>, usual| set.map_or(usual, |limit| limit as usize);
        Self {
            min_history: count(set.min_history, self.min_history),
            max_absent: set.max_absent.unwrap_or(self.max_absent),
            max_age: count(set.max_age, self.max_age),
            outlier: switched(set.outlier, self.outlier, |limit| limit),
            max_outliers: set.max_outliers.unwrap_or(self.max_outliers),
            stuck: switched(set.stuck, self.stuck, |limit| limit as usize),
            max_duplicates: self.max_duplicates,
            level_shift: switched(set.level_shift, self.level_shift, |limit| limit),
        }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// Too few known values.
    ShortHistory {
        /// Known values.
        known: usize,
        /// Values wanted.
        wanted: usize,
    },
    /// Absent values between the first and the last known one.
    Absent {
        /// Their positions in the series.
        at: Vec<usize>,
        /// As a share of the span.
        share: f64,
    },
    /// The last known value is old.
    Stale {
        /// Periods since then.
        periods: usize,
    },
    /// Values far from what trend and season let one expect.
    Outliers {
        /// Positions and robust distances.
        at: Vec<Outlier>,
    },
    /// The same value again and again.
    Stuck {
        /// Position of the first.
        from: usize,
        /// How many in a row.
        length: usize,
        /// The value.
        value: f64,
    },
    /// From some period on the series stands higher or lower than before and stays there.
    LevelShifts {
        /// Every such period.
        at: Vec<LevelShift>,
    },
    /// The source gave keys more than once.
    Duplicates {
        /// How many rows were repetitions.
        rows: usize,
    },
    /// Nothing is known at all.
    Empty,
}

/// A doubtful value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlier {
    /// Its position in the series.
    pub at: usize,
    /// The value.
    pub value: f64,
    /// What was expected.
    pub expected: f64,
    /// Distance in robust standard deviations, with its sign.
    pub distance: f64,
}

impl Finding {
    /// The finding in words. `period` names the period at a position, such as `2025-03-31`.
    pub fn sentence(&self, period: impl Fn(usize) -> String) -> String {
        /// Places that are named one by one.
        const NAMED: usize = 3;
        let named = |places: &mut dyn Iterator<Item = String>, count: usize| {
            let first: Vec<String> = places.take(NAMED).collect();
            let more = count.saturating_sub(NAMED);
            match more {
                0 => first.join(", "),
                _ => format!("{} and {more} more", first.join(", ")),
            }
        };
        match self {
            Self::Empty => "has no value at all".to_owned(),
            Self::ShortHistory { known, wanted } => {
                format!("has {known} values; {wanted} are wanted")
            }
            Self::Absent { at, share } => format!(
                "lacks {:.0} % of its periods: {}",
                100.0 * share,
                named(&mut at.iter().map(|t| period(*t)), at.len())
            ),
            Self::Stale { periods } => format!("ended {periods} periods ago"),
            Self::Outliers { at } => format!(
                "has values far from what trend and season let one expect: {}",
                named(
                    &mut at.iter().map(|o| format!(
                        "{} ({:+.1} robust deviations)",
                        period(o.at),
                        o.distance
                    )),
                    at.len()
                )
            ),
            Self::Stuck {
                from,
                length,
                value,
            } => format!(
                "shows the same value {value} for {length} periods from {}",
                period(*from)
            ),
            Self::LevelShifts { at } => format!(
                "stands on another level from {}",
                named(
                    &mut at.iter().map(|s| format!(
                        "{} ({:+.1} deviations of its noise)",
                        period(s.at),
                        s.distance
                    )),
                    at.len()
                )
            ),
            Self::Duplicates { rows } => format!("was given {rows} rows more than once"),
        }
    }
}

/// The result of checking one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What to do.
    pub verdict: Verdict,
    /// Why, each with the verdict it alone leads to; empty for a clean series.
    pub findings: Vec<(Verdict, Finding)>,
}

/// Checks a series of equally spaced periods, NaN = absent, that should reach to the present. `period` is the length of
/// a season (1 = none); `duplicates` the number of rows that repeated a key.
pub fn check(values: &[f64], period: usize, duplicates: usize, criteria: &Criteria) -> Report {
    let mut findings = Vec::new();
    let known: Vec<usize> = (0..values.len())
        .filter(|t| values[*t].is_finite())
        .collect();
    let (Some(first), Some(last)) = (known.first().copied(), known.last().copied()) else {
        return Report {
            verdict: Verdict::Fail,
            findings: vec![(Verdict::Fail, Finding::Empty)],
        };
    };
    if known.len() < criteria.min_history {
        let finding = Finding::ShortHistory {
            known: known.len(),
            wanted: criteria.min_history,
        };
        findings.push((Verdict::Fail, finding));
    }
    let absent: Vec<usize> = (first..=last).filter(|t| !values[*t].is_finite()).collect();
    let share = absent.len() as f64 / (last - first + 1) as f64;
    if let Some(verdict) = graded(share, criteria.max_absent, 3.0) {
        findings.push((verdict, Finding::Absent { at: absent, share }));
    }
    let age = values.len() - 1 - last;
    if let Some(verdict) = graded(age as f64, criteria.max_age as f64, 4.0) {
        findings.push((verdict, Finding::Stale { periods: age }));
    }
    let outliers = criteria
        .outlier
        .map_or_else(Vec::new, |threshold| outliers(values, period, threshold));
    let doubtful: Vec<usize> = outliers.iter().map(|o| o.at).collect();
    if !outliers.is_empty() {
        let verdict = graded(
            outliers.len() as f64 / known.len() as f64,
            criteria.max_outliers,
            5.0,
        )
        .unwrap_or(Verdict::Pass);
        findings.push((verdict, Finding::Outliers { at: outliers }));
    }
    let stuck = criteria
        .stuck
        .map_or_else(Vec::new, |least| stuck(values, least));
    for (from, length) in stuck {
        // What never varied may be true, a rating or a list price; what stopped varying has stuck.
        let verdict = if from + length == last + 1 && from > first {
            Verdict::Fail
        } else {
            Verdict::Review
        };
        findings.push((
            verdict,
            Finding::Stuck {
                from,
                length,
                value: values[from],
            },
        ));
    }
    if let Some(least) = criteria.level_shift {
        let mut without_outliers = values.to_vec();
        doubtful
            .iter()
            .for_each(|t| without_outliers[*t] = f64::NAN);
        let at = level_shifts(&without_outliers, period, least);
        if !at.is_empty() {
            findings.push((Verdict::Review, Finding::LevelShifts { at }));
        }
    }
    if duplicates > 0 {
        let verdict = if duplicates as f64 > criteria.max_duplicates * known.len() as f64 {
            Verdict::Review
        } else {
            Verdict::Pass
        };
        findings.push((verdict, Finding::Duplicates { rows: duplicates }));
    }
    Report {
        verdict: findings
            .iter()
            .map(|(v, _)| *v)
            .max()
            .unwrap_or(Verdict::Pass),
        findings,
    }
}

/// Review above the limit, fail above `factor` times it.
fn graded(value: f64, limit: f64, factor: f64) -> Option<Verdict> {
    if value > limit * factor {
        Some(Verdict::Fail)
    } else if value > limit {
        Some(Verdict::Review)
    } else {
        None
    }
}

/// Values further than `threshold` robust standard deviations (1.4826 · median absolute deviation) from a running median plus
/// the median seasonal departure.
pub fn outliers(values: &[f64], period: usize, threshold: f64) -> Vec<Outlier> {
    let n = values.len();
    let (expected, _) = expected(values, period);
    let residuals: Vec<f64> = values.iter().zip(&expected).map(|(v, e)| v - e).collect();
    let scale = 1.4826 * median(&residuals.iter().map(|r| r.abs()).collect::<Vec<_>>());
    // A series that mostly equals its running median has no scale of its own; a twentieth of its size is the least.
    let size = median(&values.iter().map(|v| v.abs()).collect::<Vec<_>>());
    let scale = scale.max(0.05 * size / threshold.max(1.0));
    if scale.is_nan() || scale <= 0.0 {
        return Vec::new();
    }
    (0..n)
        .filter(|t| values[*t].is_finite() && (residuals[*t] / scale).abs() > threshold)
        .map(|t| Outlier {
            at: t,
            value: values[t],
            expected: expected[t],
            distance: residuals[t] / scale,
        })
        .collect()
}

/// What trend and season let one expect at every place, and the trend alone: a running median, and the median seasonal
/// departure from it.
fn expected(values: &[f64], period: usize) -> (Vec<f64>, Vec<f64>) {
    const HALF: usize = 4;
    let n = values.len();
    let trend: Vec<f64> = (0..n)
        .map(|t| median(&values[t.saturating_sub(HALF)..(t + HALF + 1).min(n)]))
        .collect();
    let mut season = vec![0.0; period.max(1)];
    // Two cycles give a median no chance to ignore a wild value: a season is only taken out when there are three.
    if period > 1 && n >= 3 * period {
        for (phase, factor) in season.iter_mut().enumerate() {
            let departures: Vec<f64> = (phase..n)
                .step_by(period)
                .map(|t| values[t] - trend[t])
                .collect();
            let middle = median(&departures);
            *factor = if middle.is_finite() { middle } else { 0.0 };
        }
    }
    let expected: Vec<f64> = (0..n)
        .map(|t| trend[t] + season[t % season.len()])
        .collect();
    (expected, trend)
}

/// Runs of equal values that look like a stuck feed: outside the run, values differ from their neighbours.
fn stuck(values: &[f64], least: usize) -> Vec<(usize, usize)> {
    let known = values
        .windows(2)
        .filter(|w| w[0].is_finite() && w[1].is_finite());
    let (pairs, equal) = known.fold((0, 0), |(pairs, equal), w| {
        (pairs + 1, equal + usize::from(w[0] == w[1] && w[0] != 0.0))
    });
    let mut found = runs(values, least);
    found.retain(|(_, length)| {
        let inside = length - 1;
        (equal - inside) as f64 <= OFTEN_EQUAL * (pairs - inside) as f64
    });
    found
}

/// Start and length of every run of at least `least` equal known non-zero values. Zeros may be true: nothing sold, nothing spent.
fn runs(values: &[f64], least: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    for t in 1..=values.len() {
        if t < values.len() && values[t] == values[from] {
            continue;
        }
        if t - from >= least.max(2) && values[from].is_finite() && values[from] != 0.0 {
            found.push((from, t - from));
        }
        from = t;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean() -> Vec<f64> {
        (0..80)
            .map(|t| 100.0 + 10.0 * ((t * 7 % 13) as f64) / 13.0 + t as f64 * 0.1)
            .collect()
    }

    fn verdict(values: &[f64]) -> Verdict {
        check(values, 1, 0, &Criteria::default()).verdict
    }

    #[test]
    fn a_clean_series_passes_without_a_finding() {
        assert_eq!(
            check(&clean(), 52, 0, &Criteria::default()),
            Report {
                verdict: Verdict::Pass,
                findings: vec![]
            }
        );
    }

    #[test]
    fn what_an_organisation_sets_goes_before_what_is_usual_for_the_role() {
        let usual = Criteria::of(MetricRole::Outcome);
        assert_eq!(usual.with(&QualityLimits::default()), usual);
        let set = QualityLimits {
            min_history: Some(2),
            max_absent: Some(0.5),
            max_age: Some(9),
            outlier: Some(0.0),
            max_outliers: Some(0.1),
            stuck: Some(0),
            level_shift: Some(4.0),
        };
        assert_eq!(
            usual.with(&set),
            Criteria {
                min_history: 2,
                max_absent: 0.5,
                max_age: 9,
                outlier: None,
                max_outliers: 0.1,
                stuck: None,
                level_shift: Some(4.0),
                ..usual
            }
        );
        let watched = Criteria::of(MetricRole::Spend).with(&QualityLimits {
            stuck: Some(8),
            ..QualityLimits::default()
        });
        assert_eq!((watched.stuck, watched.outlier), (Some(8), None));
    }

    #[test]
    fn a_planted_outlier_is_found_at_its_place() {
        let mut values = clean();
        values[33] *= 3.0;
        let found = outliers(&values, 1, 6.0);
        assert_eq!(found.iter().map(|o| o.at).collect::<Vec<_>>(), [33]);
        assert!(found[0].distance > 6.0 && (found[0].expected - 108.0).abs() < 8.0);
        assert_eq!(verdict(&values), Verdict::Pass);
    }

    #[test]
    fn a_season_is_not_mistaken_for_outliers() {
        let values: Vec<f64> = (0..48)
            .map(|t| {
                if t % 12 == 11 {
                    300.0
                } else {
                    100.0 + (t % 5) as f64
                }
            })
            .collect();
        assert_eq!(outliers(&values, 12, 6.0), vec![]);
        assert_eq!(outliers(&values, 1, 6.0).len(), 4);
    }

    #[test]
    fn many_gaps_fail_and_some_are_reviewed() {
        let mut values = clean();
        for t in [10, 20, 30, 40, 50, 60] {
            values[t] = f64::NAN;
        }
        assert_eq!(verdict(&values), Verdict::Review);
        values[41..50].fill(f64::NAN);
        assert_eq!(verdict(&values), Verdict::Fail);
    }

    #[test]
    fn old_data_is_reviewed_and_then_refused() {
        let mut values = clean();
        values.extend([f64::NAN; 4]);
        assert_eq!(verdict(&values), Verdict::Review);
        values.extend([f64::NAN; 6]);
        assert_eq!(verdict(&values), Verdict::Fail);
    }

    #[test]
    fn a_feed_that_is_stuck_at_the_end_fails_and_one_that_recovered_is_reviewed() {
        let mut values = clean();
        values[40..50].fill(107.0);
        assert_eq!(verdict(&values), Verdict::Review);
        let n = values.len();
        values[n - 8..].fill(110.0);
        assert_eq!(verdict(&values), Verdict::Fail);
    }

    #[test]
    fn a_value_that_never_varied_is_reviewed_and_a_series_of_few_values_is_not_stuck() {
        assert_eq!(verdict(&[4.0; 60]), Verdict::Review);
        let rating: Vec<f64> = (0..60)
            .map(|t| if t % 20 < 12 { 4.3 } else { 4.4 })
            .collect();
        assert!(
            !check(&rating, 1, 0, &Criteria::default())
                .findings
                .iter()
                .any(|(_, f)| matches!(f, Finding::Stuck { .. }))
        );
    }

    #[test]
    fn a_new_level_is_reviewed_at_its_place_and_never_refused() {
        let mut values = clean();
        values[40..].iter_mut().for_each(|v| *v += 60.0);
        values[20] *= 4.0;
        let report = check(&values, 1, 0, &Criteria::default());
        assert_eq!(report.verdict, Verdict::Review);
        let shifts: Vec<_> = report
            .findings
            .iter()
            .filter_map(|(verdict, finding)| match finding {
                Finding::LevelShifts { at } => Some((verdict, at)),
                _ => None,
            })
            .collect();
        assert_eq!(shifts.len(), 1);
        assert_eq!((shifts[0].0, shifts[0].1[0].at), (&Verdict::Review, 40));
        let unwatched = Criteria {
            level_shift: None,
            ..Criteria::default()
        };
        assert_eq!(check(&values, 1, 0, &unwatched).verdict, Verdict::Pass);
    }

    #[test]
    fn spend_may_jump_and_rest_where_it_was_put_and_sales_may_not() {
        let mut values = clean();
        values[60..].fill(500.0);
        let of = |role| check(&values, 1, 0, &Criteria::of(role)).verdict;
        assert_eq!(of(MetricRole::Spend), Verdict::Pass);
        assert_eq!(of(MetricRole::Outcome), Verdict::Fail);
    }

    #[test]
    fn a_finding_is_told_with_its_periods() {
        let finding = Finding::Absent {
            at: vec![1, 2, 3, 9, 11],
            share: 0.05,
        };
        assert_eq!(
            finding.sentence(|t| format!("week {t}")),
            "lacks 5 % of its periods: week 1, week 2, week 3 and 2 more"
        );
    }

    #[test]
    fn ten_thousand_series_are_checked_with_the_same_result_each_time() {
        let reports = || -> Vec<Verdict> {
            (0..10_000u64)
                .map(|seed| {
                    let rng = &mut crate::rng::stream(seed, &[77]);
                    let values = crate::rng::autoregression(rng, 0.3, 60);
                    let values: Vec<f64> = values.iter().map(|v| 100.0 + 5.0 * v).collect();
                    check(&values, 12, 0, &Criteria::default()).verdict
                })
                .collect()
        };
        let verdicts = reports();
        let clean = verdicts.iter().filter(|v| **v == Verdict::Pass).count();
        assert!(clean >= 9_500, "{clean} of 10,000 pass");
        assert_eq!(verdicts, reports());
    }

    #[test]
    fn infinities_in_a_row_are_absent_and_not_stuck() {
        let (mut infinite, mut absent) = (clean(), clean());
        infinite[40..46].fill(f64::INFINITY);
        infinite[60..66].fill(f64::NEG_INFINITY);
        absent[40..46].fill(f64::NAN);
        absent[60..66].fill(f64::NAN);
        let of = |values: &[f64]| check(values, 1, 0, &Criteria::default());
        assert_eq!(of(&infinite), of(&absent));
        assert!(matches!(
            of(&infinite).findings[..],
            [(_, Finding::Absent { .. })]
        ));
    }

    #[test]
    fn the_criteria_of_every_role_come_back_as_they_were_stored() {
        for role in [
            MetricRole::Outcome,
            MetricRole::Health,
            MetricRole::Spend,
            MetricRole::Exposure,
            MetricRole::Price,
            MetricRole::Promotion,
            MetricRole::Context,
        ] {
            let stored = serde_json::to_string(&Criteria::of(role)).expect("plain data");
            let back: Criteria = serde_json::from_str(&stored).expect("what was stored");
            assert_eq!(back, Criteria::of(role));
        }
    }

    #[test]
    fn zeros_in_a_row_are_not_stuck() {
        let mut values = clean();
        values[40..50].fill(0.0);
        let report = check(&values, 1, 0, &Criteria::default());
        assert!(
            !report
                .findings
                .iter()
                .any(|(_, f)| matches!(f, Finding::Stuck { .. }))
        );
    }

    #[test]
    fn short_and_empty_series_fail() {
        assert_eq!(verdict(&clean()[..20]), Verdict::Fail);
        assert_eq!(verdict(&[]), Verdict::Fail);
        assert_eq!(verdict(&[f64::NAN; 40]), Verdict::Fail);
    }

    #[test]
    fn repeated_rows_are_told_and_many_are_reviewed() {
        let few = check(&clean(), 1, 2, &Criteria::default());
        assert_eq!((few.verdict, few.findings.len()), (Verdict::Pass, 1));
        assert_eq!(
            check(&clean(), 1, 20, &Criteria::default()).verdict,
            Verdict::Review
        );
    }
}
