//! Why a score changed: the exact Shapley value of every metric's part.
//!
//! The players are the metrics; a metric that joins brings its new points, weight and presence in place of its old ones. While the
//! same weights are scored before and after, the score is a sum and the value has a closed form. When metrics appear, vanish or
//! change weight, the score is a ratio of sums, and the value is computed from all coalitions of the metrics that changed.

use super::{BrandScore, MetricColumn};

/// Most metrics that may change when weights or coverage do: every coalition of them is looked at.
pub const MOST_CHANGED: usize = 20;

/// A score before and after, and the part of every metric in the difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Score before.
    pub before: f64,
    /// Score after.
    pub after: f64,
    /// By metric, in points of the score; they add up to `after − before`.
    pub contributions: Vec<f64>,
}

/// Why a change cannot be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The two scores have different metrics.
    #[error("the scores have {before} and {after} metrics")]
    OtherMetrics {
        /// Metrics before.
        before: usize,
        /// Metrics after.
        after: usize,
    },
    /// One of the two scores could not be computed.
    #[error("there is no score before or after")]
    NotScored,
    /// Weights or coverage changed and too many metrics changed with them.
    #[error(
        "weights or coverage changed together with {changed} metrics; up to {MOST_CHANGED} can be taken apart"
    )]
    TooMany {
        /// Metrics that changed.
        changed: usize,
    },
}

/// One metric's weight and weighted points, zeros where it is not scored.
type Part = (f64, f64);

/// Explains the difference between one brand's scores at two moments; metrics in the same order.
///
/// A coalition that has nothing to score is worth the score before.
///
/// # Errors
/// [`ChangeError`].
pub fn change(
    before: (&[MetricColumn], &BrandScore),
    after: (&[MetricColumn], &BrandScore),
) -> Result<Change, ChangeError> {
    let parts = |(metrics, score): (&[MetricColumn], &BrandScore)| -> Vec<Part> {
        metrics
            .iter()
            .zip(&score.lines)
            .map(|(metric, line)| match line.normalised {
                Some(points) if metric.weight > 0.0 => (metric.weight, metric.weight * points),
                _ => (0.0, 0.0),
            })
            .collect()
    };
    let (old, new) = (parts(before), parts(after));
    if old.len() != new.len() {
        return Err(ChangeError::OtherMetrics {
            before: old.len(),
            after: new.len(),
        });
    }
    let (Some(from), Some(to)) = (before.1.value, after.1.value) else {
        return Err(ChangeError::NotScored);
    };
    let total: f64 = old.iter().map(|p| p.0).sum();
    let contributions = if old.iter().zip(&new).all(|(a, b)| a.0 == b.0) {
        old.iter()
            .zip(&new)
            .map(|(a, b)| (b.1 - a.1) / total)
            .collect()
    } else {
        coalitions(&old, &new, from)?
    };
    Ok(Change {
        before: from,
        after: to,
        contributions,
    })
}

/// Shapley values from every coalition of the metrics that changed; the others have none.
fn coalitions(old: &[Part], new: &[Part], base: f64) -> Result<Vec<f64>, ChangeError> {
    let changed: Vec<usize> = (0..old.len()).filter(|&m| old[m] != new[m]).collect();
    let n = changed.len();
    if n > MOST_CHANGED {
        return Err(ChangeError::TooMany { changed: n });
    }
    let worth: Vec<f64> = (0..1usize << n)
        .map(|members| {
            // Summed anew for every coalition: a running sum would leave rounding where nothing is scored.
            let mut sums = (0.0, 0.0);
            for (m, part) in old.iter().enumerate() {
                let joined = changed
                    .binary_search(&m)
                    .is_ok_and(|k| members >> k & 1 == 1);
                let (weight, points) = if joined { new[m] } else { *part };
                sums = (sums.0 + weight, sums.1 + points);
            }
            if sums.0 > 0.0 { sums.1 / sums.0 } else { base }
        })
        .collect();
    // Weight of a coalition of s others: s! (n − s − 1)! / n!.
    let mut weight = vec![1.0 / n as f64; n];
    for s in 1..n {
        weight[s] = weight[s - 1] * s as f64 / (n - s) as f64;
    }
    let mut contributions = vec![0.0; old.len()];
    for (k, &m) in changed.iter().enumerate() {
        contributions[m] = (0..1usize << n)
            .filter(|members| members >> k & 1 == 0)
            .map(|members| {
                let with = worth[members | 1 << k];
                weight[members.count_ones() as usize] * (with - worth[members])
            })
            .sum();
    }
    Ok(contributions)
}

#[cfg(test)]
mod tests {
    use super::super::{Options, score};
    use super::*;
    use domain::metric::{Direction, Section};

    fn columns(rows: &[(f64, [f64; 3])]) -> Vec<MetricColumn> {
        rows.iter()
            .map(|(weight, values)| MetricColumn {
                direction: Direction::Direct,
                section: Section::Marketplace,
                weight: *weight,
                values: values.to_vec(),
            })
            .collect()
    }

    fn explained(
        old: &[MetricColumn],
        new: &[MetricColumn],
        brand: usize,
    ) -> Result<Change, ChangeError> {
        let of = |m: &[MetricColumn]| score(m, &Options::default())[brand].clone();
        change((old, &of(old)), (new, &of(new)))
    }

    #[test]
    fn with_the_same_weights_each_metric_gives_its_weighted_difference() {
        let old = columns(&[(60.0, [4.0, 10.0, 8.0]), (40.0, [9.0, 10.0, 8.0])]);
        let new = columns(&[(60.0, [6.0, 10.0, 8.0]), (40.0, [9.0, 10.0, 8.0])]);
        let change = explained(&old, &new, 0).expect("explained");
        assert_eq!(change.contributions[1], 0.0);
        assert!((change.contributions[0] - (change.after - change.before)).abs() < 1e-12);
        assert!(change.contributions[0] > 0.0);
    }

    #[test]
    fn when_coverage_and_weights_change_the_parts_still_add_up_and_follow_shapley() {
        let old = columns(&[
            (50.0, [4.0, 10.0, 8.0]),
            (30.0, [f64::NAN, 10.0, 8.0]),
            (20.0, [9.0, 10.0, 9.5]),
            (5.0, [1.0, 2.0, 3.0]),
        ]);
        let new = columns(&[
            (40.0, [5.0, 10.0, 8.0]),
            (30.0, [7.0, 10.0, 8.0]),
            (20.0, [9.0, 10.0, 9.5]),
            (5.0, [1.0, 2.0, 3.0]),
        ]);
        let change = explained(&old, &new, 0).expect("explained");
        let sum: f64 = change.contributions.iter().sum();
        assert!((sum - (change.after - change.before)).abs() < 1e-12);
        assert_eq!(change.contributions[2..], [0.0, 0.0]);
        // Two metrics changed: each one's value is the mean of joining first and joining second.
        let part = |m: &[MetricColumn], k: usize| {
            let points = score(m, &Options::default())[0].lines[k].normalised;
            points.map_or((0.0, 0.0), |n| (m[k].weight, m[k].weight * n))
        };
        let worth = |first: bool, second: bool| {
            let picked = [
                part(if first { &new } else { &old }, 0),
                part(if second { &new } else { &old }, 1),
                part(&old, 2),
                part(&old, 3),
            ];
            picked.iter().map(|p| p.1).sum::<f64>() / picked.iter().map(|p| p.0).sum::<f64>()
        };
        let by_hand = 0.5
            * (worth(true, false) - worth(false, false) + worth(true, true) - worth(false, true));
        assert!((change.contributions[0] - by_hand).abs() < 1e-12);
    }

    #[test]
    fn a_change_that_cannot_be_explained_is_refused() {
        let old = columns(&[(50.0, [4.0, 10.0, 8.0])]);
        let two = columns(&[(50.0, [4.0, 10.0, 8.0]), (50.0, [4.0, 10.0, 8.0])]);
        assert_eq!(
            explained(&old, &two, 0).map(|_| ()).unwrap_err(),
            ChangeError::OtherMetrics {
                before: 1,
                after: 2
            }
        );
        let gone = columns(&[(50.0, [f64::NAN, 10.0, 8.0])]);
        assert_eq!(
            explained(&old, &gone, 0).map(|_| ()).unwrap_err(),
            ChangeError::NotScored
        );
        let many: Vec<(f64, [f64; 3])> = (0..21).map(|_| (1.0, [4.0, 10.0, 8.0])).collect();
        let more: Vec<(f64, [f64; 3])> = (0..21).map(|_| (2.0, [4.0, 10.0, 8.0])).collect();
        assert_eq!(
            explained(&columns(&many), &columns(&more), 0)
                .map(|_| ())
                .unwrap_err(),
            ChangeError::TooMany { changed: 21 }
        );
    }
}
