//! How far a brand is behind the leader, the benchmark and the category, on one metric.
//!
//! A positive gap means behind, whichever direction is better. Each gap is also computed without the leading brand, which
//! shows how much a single peer decides. [`closing`] ranks where money closes most of a gap.

pub mod closing;

use domain::{
    competition::Reference,
    metric::{Direction, MetricUnit},
};
use serde::{Deserialize, Serialize};

use crate::cancel::{Cancel, Cancelled};
use crate::inference::{mean, quantile};

/// How serious a gap is: by the share of the reference that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Level with the reference or ahead of it.
    None,
    /// Up to 10 % behind.
    Minor,
    /// Up to 25 % behind.
    Moderate,
    /// Up to 50 % behind.
    Major,
    /// More than 50 % behind.
    Critical,
}

impl Severity {
    fn of(relative: f64) -> Self {
        match relative {
            r if r <= 0.0 => Self::None,
            r if r <= 0.10 => Self::Minor,
            r if r <= 0.25 => Self::Moderate,
            r if r <= 0.50 => Self::Major,
            _ => Self::Critical,
        }
    }
}

/// The distance of one brand from one reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Position of the brand in the values given.
    pub brand: usize,
    /// What it is measured to.
    pub reference: Reference,
    /// The brand's value.
    pub value: f64,
    /// The reference's value.
    pub reference_value: f64,
    /// Positive = behind, in the metric's unit.
    pub gap: f64,
    /// Gap as a share of the reference's size; `None` where the reference is zero.
    pub relative: Option<f64>,
    /// ln(better ÷ worse), positive = behind: for money, counts and shares, where a factor says more than a difference. `None`
    /// for other units and where a value is not positive.
    pub log_ratio: Option<f64>,
    /// The gap with the leading brand left out of the reference.
    pub without_leader: f64,
    /// 1 = best; equal values share a rank.
    pub rank: u32,
    /// Number of brands compared.
    pub peers: u32,
    /// By the relative gap; `None` where there is none.
    pub severity: Option<Severity>,
    /// Whether leaving the leader out turns the sign or moves the severity by two steps or more: then the gap is
    /// one brand's doing.
    pub depends_on_leader: bool,
}

/// Gaps of every brand to all three references. `values` has one value per brand, NaN = absent; brands without a value get no
/// gap, and with fewer than two values there is nothing to compare.
///
/// # Errors
/// [`Cancelled`] when the caller asked to stop.
pub fn gaps(
    values: &[f64],
    direction: Direction,
    unit: MetricUnit,
    cancel: &dyn Cancel,
) -> Result<Vec<Gap>, Cancelled> {
    cancel.check()?;
    let known: Vec<(usize, f64)> = values
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, v)| v.is_finite())
        .collect();
    if known.len() < 2 {
        return Ok(Vec::new());
    }
    let direct = direction == Direction::Direct;
    let better = |a: f64, b: f64| if direct { a > b } else { a < b };
    let leader = known
        .iter()
        .copied()
        .reduce(|best, next| if better(next.1, best.1) { next } else { best });
    let Some((leader, _)) = leader else {
        return Ok(Vec::new());
    };
    let all = Levels::new(known.iter().map(|(_, v)| *v).collect(), direction);
    let rest = known.iter().filter(|(brand, _)| *brand != leader);
    let rest = Levels::new(rest.map(|(_, v)| *v).collect(), direction);
    let sign = if direct { 1.0 } else { -1.0 };
    let mut found = Vec::with_capacity(3 * known.len());
    for (brand, value) in &known {
        cancel.check()?;
        let ahead = if direct {
            known.len() - all.sorted.partition_point(|other| other <= value)
        } else {
            all.sorted.partition_point(|other| other < value)
        };
        for reference in [Reference::Leader, Reference::Benchmark, Reference::Category] {
            let reference_value = all.of(reference);
            let gap = sign * (reference_value - value);
            let relative = share(gap, reference_value);
            let severity = relative.map(Severity::of);
            let without = rest.of(reference);
            let without_leader = sign * (without - value);
            let other = share(without_leader, without).map(Severity::of);
            let moved = match (severity, other) {
                (Some(a), Some(b)) => (a as i32 - b as i32).abs() >= 2,
                _ => false,
            };
            found.push(Gap {
                brand: *brand,
                reference,
                value: *value,
                reference_value,
                gap,
                relative,
                log_ratio: log_ratio(*value, reference_value, unit).map(|ratio| sign * ratio),
                without_leader,
                rank: (1 + ahead) as u32,
                peers: known.len() as u32,
                severity,
                depends_on_leader: moved || gap * without_leader < 0.0,
            });
        }
    }
    Ok(found)
}

/// The three references of some brands.
struct Levels {
    /// The brands' values, smallest first.
    sorted: Vec<f64>,
    leader: f64,
    benchmark: f64,
    category: f64,
}

impl Levels {
    fn new(values: Vec<f64>, direction: Direction) -> Self {
        let category = mean(&values);
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        let direct = direction == Direction::Direct;
        Self {
            leader: quantile(&sorted, if direct { 1.0 } else { 0.0 }),
            benchmark: quantile(&sorted, if direct { 0.75 } else { 0.25 }),
            category,
            sorted,
        }
    }

    fn of(&self, reference: Reference) -> f64 {
        match reference {
            Reference::Leader => self.leader,
            Reference::Benchmark => self.benchmark,
            Reference::Category => self.category,
        }
    }
}

fn share(gap: f64, reference: f64) -> Option<f64> {
    (reference != 0.0).then(|| gap / reference.abs())
}

fn log_ratio(value: f64, reference: f64, unit: MetricUnit) -> Option<f64> {
    let ratio_scale = matches!(
        unit,
        MetricUnit::Currency
            | MetricUnit::Count
            | MetricUnit::Ratio
            | MetricUnit::Percent
            | MetricUnit::Seconds
    );
    (ratio_scale && value > 0.0 && reference > 0.0).then(|| (reference / value).ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::never;

    fn gaps(values: &[f64], direction: Direction, unit: MetricUnit) -> Vec<Gap> {
        super::gaps(values, direction, unit, &never).expect("not cancelled")
    }

    fn of(values: &[f64], direction: Direction, brand: usize, reference: Reference) -> Gap {
        gaps(values, direction, MetricUnit::Currency)
            .into_iter()
            .find(|g| g.brand == brand && g.reference == reference)
            .expect("a gap")
    }

    #[test]
    fn gaps_are_positive_behind_and_negative_ahead() {
        let values = [50.0, 100.0, 80.0, 70.0];
        assert_eq!(
            of(&values, Direction::Direct, 0, Reference::Leader).gap,
            50.0
        );
        assert_eq!(
            of(&values, Direction::Direct, 0, Reference::Benchmark).gap,
            35.0
        );
        assert_eq!(
            of(&values, Direction::Direct, 0, Reference::Category).gap,
            25.0
        );
        assert_eq!(
            of(&values, Direction::Direct, 1, Reference::Category).gap,
            -25.0
        );
        let leader = of(&values, Direction::Direct, 1, Reference::Leader);
        assert_eq!(
            (leader.gap, leader.rank, leader.severity),
            (0.0, 1, Some(Severity::None))
        );
    }

    #[test]
    fn lower_is_better_turns_everything_round() {
        let seconds = [4.0, 1.0, 2.0, 3.0];
        let gap = of(&seconds, Direction::Indirect, 0, Reference::Leader);
        assert_eq!((gap.gap, gap.rank, gap.reference_value), (3.0, 4, 1.0));
        assert!((gap.log_ratio.expect("positive") - 4f64.ln()).abs() < 1e-12);
        assert_eq!(gap.severity, Some(Severity::Critical));
    }

    #[test]
    fn a_gap_that_one_giant_makes_says_so() {
        let values = [10.0, 11.0, 10.5, 1000.0];
        let category = of(&values, Direction::Direct, 0, Reference::Category);
        assert_eq!(category.severity, Some(Severity::Critical));
        assert!(category.depends_on_leader);
        assert!(category.without_leader < 1.0);
        let even = of(
            &[10.0, 20.0, 21.0, 22.0],
            Direction::Direct,
            0,
            Reference::Category,
        );
        assert!(!even.depends_on_leader);
    }

    #[test]
    fn a_factor_is_only_given_where_units_have_a_zero() {
        let rank = gaps(&[4.0, 1.0], Direction::Indirect, MetricUnit::Rank);
        assert!(rank.iter().all(|g| g.log_ratio.is_none()));
        let loss = gaps(&[-4.0, 1.0], Direction::Direct, MetricUnit::Currency);
        assert!(
            loss.iter()
                .filter(|g| g.brand == 0)
                .all(|g| g.log_ratio.is_none())
        );
    }

    #[test]
    fn absent_brands_get_no_gap_and_one_brand_is_no_comparison() {
        assert!(gaps(&[1.0, f64::NAN], Direction::Direct, MetricUnit::Count).is_empty());
        assert_eq!(
            gaps(&[1.0, f64::NAN, 2.0], Direction::Direct, MetricUnit::Count).len(),
            6
        );
    }

    #[test]
    fn a_zero_reference_has_no_share() {
        let gap = of(&[0.0, 0.0, -1.0], Direction::Direct, 2, Reference::Leader);
        assert_eq!((gap.gap, gap.relative, gap.severity), (1.0, None, None));
    }

    #[test]
    fn equal_values_share_a_rank_whichever_direction_is_better() {
        let values = [3.0, 1.0, 3.0, -0.0, 0.0, f64::NAN];
        let ranks = |direction| -> Vec<u32> {
            gaps(&values, direction, MetricUnit::Count)
                .iter()
                .filter(|g| g.reference == Reference::Leader)
                .map(|g| g.rank)
                .collect()
        };
        assert_eq!(ranks(Direction::Direct), [1, 3, 1, 4, 4]);
        assert_eq!(ranks(Direction::Indirect), [4, 3, 4, 1, 1]);
    }

    #[test]
    fn ten_thousand_brands_are_compared_as_the_definition_says_and_a_stop_is_heard_among_them() {
        let values: Vec<f64> = (0..10_000u32)
            .map(|b| f64::from(b * 7_919 % 10_007))
            .collect();
        let found = gaps(&values, Direction::Direct, MetricUnit::Count);
        assert_eq!(found.len(), 30_000);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let leader = sorted.pop().expect("many");
        for gap in &found {
            let (of_all, of_rest) = match gap.reference {
                Reference::Leader => (leader, sorted[9_998]),
                Reference::Benchmark => (
                    sorted[7_499] + 0.25 * (sorted[7_500] - sorted[7_499]),
                    sorted[7_498] + 0.5 * (sorted[7_499] - sorted[7_498]),
                ),
                Reference::Category => (
                    values.iter().sum::<f64>() / 1e4,
                    sorted.iter().sum::<f64>() / 9_999.0,
                ),
            };
            assert!((gap.reference_value - of_all).abs() < 1e-9);
            assert!((gap.without_leader - (of_rest - gap.value)).abs() < 1e-9);
        }
        let asked = std::cell::Cell::new(0);
        let cancel = || {
            asked.set(asked.get() + 1);
            asked.get() > 5_000
        };
        let stopped = super::gaps(&values, Direction::Direct, MetricUnit::Count, &cancel);
        assert_eq!(stopped, Err(Cancelled));
    }
}
