//! Why a score changed: the exact Shapley value of every metric's part.
//!
//! The players are the metrics; a metric that joins brings its new points, weight and presence in place of its old ones. The score is
//! a ratio of sums, and only the metrics whose weight or presence changed move its denominator: every coalition of these is looked
//! at. The others move the numerator alone, in which the score is linear, so for them, however many, an expectation is enough.

use super::{BrandScore, MetricColumn, unit_of_weights};
use crate::cancel::{Cancel, Cancelled};

/// Most metrics whose weight or presence may change: every coalition of them is looked at.
pub const MOST_CHANGED: usize = 20;

/// Coalitions between two questions whether to stop: well below a millisecond.
const BETWEEN_CHECKS: usize = 1 << 12;

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
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
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
    /// The weight or presence of too many metrics changed.
    #[error(
        "{changed} metrics changed their weight, appeared or vanished; a change with up to {MOST_CHANGED} such metrics can be taken apart"
    )]
    TooMany {
        /// Metrics whose weight or presence changed.
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
    cancel: &dyn Cancel,
) -> Result<Change, ChangeError> {
    let unit = unit_of_weights(before.0.iter().chain(after.0).map(|m| m.weight));
    let parts = |(metrics, score): (&[MetricColumn], &BrandScore)| -> Vec<Part> {
        metrics
            .iter()
            .zip(&score.lines)
            .map(|(metric, line)| match line.normalised {
                Some(points) if metric.weight > 0.0 => {
                    let weight = metric.weight * unit;
                    (weight, weight * points)
                }
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
    Ok(Change {
        before: from,
        after: to,
        contributions: shapley(&old, &new, from, cancel)?,
    })
}

/// Shapley values of the metrics' parts.
///
/// Of the k metrics whose weight changed, let the coalition T have joined; then the denominator D(T) is known. Seen from a metric
/// whose weight did not change, by Δ in its weighted points, T is who has joined with probability |T|! (k − |T|)! ÷ (k + 1)!, whatever
/// the others of its kind did, so its value is Δ · Σ_T |T|! (k − |T|)! ÷ ((k + 1)! D(T)). A metric of the k joins after T, and before
/// the rest, with probability |T|! (k − |T| − 1)! ÷ k!; every Δ is then in the numerator with probability (|T| + 1) ÷ (k + 1), the
/// places before the joining one among all k + 1.
fn shapley(
    old: &[Part],
    new: &[Part],
    base: f64,
    cancel: &dyn Cancel,
) -> Result<Vec<f64>, ChangeError> {
    let (changed, same): (Vec<usize>, Vec<usize>) =
        (0..old.len()).partition(|&m| old[m].0 != new[m].0);
    let k = changed.len();
    if k > MOST_CHANGED {
        return Err(ChangeError::TooMany { changed: k });
    }
    let weight_of_same: f64 = same.iter().map(|&m| old[m].0).sum();
    let points_of_same: f64 = same.iter().map(|&m| old[m].1).sum();
    let difference: f64 = same.iter().map(|&m| new[m].1 - old[m].1).sum();
    let mut sums: Vec<Part> = Vec::with_capacity(1 << k);
    for members in 0..1usize << k {
        if members % BETWEEN_CHECKS == 0 {
            cancel.check()?;
        }
        // Summed anew for every coalition: a running sum would leave rounding where nothing is scored.
        let mut sum = (weight_of_same, points_of_same);
        for (place, &m) in changed.iter().enumerate() {
            let (weight, points) = if members >> place & 1 == 1 {
                new[m]
            } else {
                old[m]
            };
            sum = (sum.0 + weight, sum.1 + points);
        }
        sums.push(sum);
    }
    // The chance that a coalition of s others has joined before one of n players: s! (n − s − 1)! ÷ n!.
    let chances = |n: usize| -> Vec<f64> {
        let mut chances = vec![1.0 / n as f64; n];
        for s in 1..n {
            chances[s] = chances[s - 1] * s as f64 / (n - s) as f64;
        }
        chances
    };
    let mut contributions = vec![0.0; old.len()];
    let among_all = chances(k + 1);
    let per_point: f64 = sums
        .iter()
        .enumerate()
        .filter(|(_, sum)| sum.0 > 0.0)
        .map(|(members, sum)| among_all[members.count_ones() as usize] / sum.0)
        .sum();
    for &m in &same {
        contributions[m] = (new[m].1 - old[m].1) * per_point;
    }
    let among_changed = chances(k);
    for (place, &m) in changed.iter().enumerate() {
        let mut value = 0.0;
        for members in 0..1usize << k {
            if members % BETWEEN_CHECKS == 0 {
                cancel.check()?;
            }
            if members >> place & 1 == 1 {
                continue;
            }
            let joined = members.count_ones() as usize;
            let of_same = difference * (joined + 1) as f64 / (k + 1) as f64;
            let worth = |(weight, points): Part| {
                if weight > 0.0 {
                    (points + of_same) / weight
                } else {
                    base
                }
            };
            let gain = worth(sums[members | 1 << place]) - worth(sums[members]);
            value += among_changed[joined] * gain;
        }
        contributions[m] = value;
    }
    Ok(contributions)
}

#[cfg(test)]
mod tests {
    use super::super::{Options, score};
    use super::*;
    use crate::cancel::never;
    use domain::metric::{Direction, Section};
    use rand::Rng;

    fn columns(rows: &[(f64, [f64; 3])]) -> Vec<MetricColumn> {
        rows.iter()
            .map(|(weight, values)| MetricColumn {
                key: "m".into(),
                direction: Direction::Direct,
                section: Section::Marketplace,
                weight: *weight,
                values: values.to_vec(),
            })
            .collect()
    }

    fn of(metrics: &[MetricColumn], brand: usize) -> BrandScore {
        let scores = score(metrics, &Options::default(), &never);
        scores.expect("plain numbers").swap_remove(brand)
    }

    fn explained(
        old: &[MetricColumn],
        new: &[MetricColumn],
        brand: usize,
    ) -> Result<Change, ChangeError> {
        change((old, &of(old, brand)), (new, &of(new, brand)), &never)
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
            let points = of(m, 0).lines[k].normalised;
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

    /// The definition: the mean gain over every coalition of all metrics.
    fn by_every_coalition(old: &[MetricColumn], new: &[MetricColumn]) -> Vec<f64> {
        let parts = |metrics: &[MetricColumn]| -> Vec<Part> {
            let lines = of(metrics, 0).lines;
            let parts = metrics.iter().zip(lines).map(|(metric, line)| {
                line.normalised
                    .map_or((0.0, 0.0), |points| (metric.weight, metric.weight * points))
            });
            parts.collect()
        };
        let (before, after) = (parts(old), parts(new));
        let base = of(old, 0).value.expect("scored");
        let n = old.len();
        let worth = |members: usize| {
            let joined = |m: usize| members >> m & 1 == 1;
            let (weight, points) = (0..n)
                .map(|m| if joined(m) { after[m] } else { before[m] })
                .fold((0.0, 0.0), |sum: Part, part| {
                    (sum.0 + part.0, sum.1 + part.1)
                });
            if weight > 0.0 { points / weight } else { base }
        };
        let factorial = |n: usize| (1..=n).map(|i| i as f64).product::<f64>();
        (0..n)
            .map(|m| {
                (0..1usize << n)
                    .filter(|members| members >> m & 1 == 0)
                    .map(|members| {
                        let s = members.count_ones() as usize;
                        let chance = factorial(s) * factorial(n - s - 1) / factorial(n);
                        chance * (worth(members | 1 << m) - worth(members))
                    })
                    .sum()
            })
            .collect()
    }

    #[test]
    fn the_parts_are_those_of_every_coalition_of_all_metrics() {
        let rng = &mut crate::rng::stream(11, &[2]);
        let mut compared = 0;
        while compared < 400 {
            let n = rng.random_range(1..=8);
            let draw = |rng: &mut crate::rng::Stream, other: Option<&MetricColumn>| {
                let keeps_weight = rng.random::<f64>() < 0.6;
                MetricColumn {
                    key: "m".into(),
                    direction: other.map_or_else(
                        || {
                            if rng.random::<bool>() {
                                Direction::Direct
                            } else {
                                Direction::Indirect
                            }
                        },
                        |m| m.direction,
                    ),
                    section: Section::Marketplace,
                    weight: match other {
                        Some(m) if keeps_weight => m.weight,
                        _ => f64::from(rng.random_range(0..5u8)) * 10.0,
                    },
                    values: (0..3)
                        .map(|brand| {
                            if brand == 0 && rng.random::<f64>() < 0.3 {
                                f64::NAN
                            } else {
                                1.0 + 9.0 * rng.random::<f64>()
                            }
                        })
                        .collect(),
                }
            };
            let old: Vec<MetricColumn> = (0..n).map(|_| draw(rng, None)).collect();
            let new: Vec<MetricColumn> = old.iter().map(|m| draw(rng, Some(m))).collect();
            let Ok(ours) = explained(&old, &new, 0) else {
                continue;
            };
            for (ours, exact) in ours
                .contributions
                .iter()
                .zip(by_every_coalition(&old, &new))
            {
                assert!(
                    (ours - exact).abs() < 1e-12,
                    "{ours} and {exact}: {old:?} {new:?}"
                );
            }
            let sum: f64 = ours.contributions.iter().sum();
            assert!((sum - (ours.after - ours.before)).abs() < 1e-10);
            compared += 1;
        }
    }

    #[test]
    fn metrics_whose_points_alone_moved_are_as_many_as_they_like() {
        let rows = |level: f64| -> Vec<(f64, [f64; 3])> {
            (0..40)
                .map(|m| {
                    (
                        2.0 + f64::from(m % 3),
                        [level + 0.05 * f64::from(m), 10.0, 8.0],
                    )
                })
                .collect()
        };
        let (old, mut new) = (columns(&rows(4.0)), columns(&rows(5.0)));
        new[7].values[0] = f64::NAN;
        let change = explained(&old, &new, 0).expect("one metric vanished");
        let sum: f64 = change.contributions.iter().sum();
        assert!((sum - (change.after - change.before)).abs() < 1e-10);
        assert!(change.contributions.iter().all(|c| *c != 0.0));
    }

    #[test]
    fn the_unit_of_the_weights_changes_no_part() {
        let rows = [(50.0, [4.0, 10.0, 8.0]), (30.0, [5.0, 10.0, 8.0])];
        let (old, mut new) = (columns(&rows), columns(&rows));
        new[0].weight = 40.0;
        new[1].values[0] = 7.0;
        let plain = explained(&old, &new, 0).expect("explained");
        let larger = |metrics: &[MetricColumn]| -> Vec<MetricColumn> {
            let factor = 2f64.powi(1018);
            let scaled = metrics.iter().map(|m| MetricColumn {
                weight: m.weight * factor,
                ..m.clone()
            });
            scaled.collect()
        };
        assert_eq!(explained(&larger(&old), &larger(&new), 0), Ok(plain));
    }

    #[test]
    fn a_stop_is_heard_among_the_coalitions() {
        let rows = |weight: f64| -> Vec<(f64, [f64; 3])> {
            (0..MOST_CHANGED)
                .map(|_| (weight, [4.0, 10.0, 8.0]))
                .collect()
        };
        let (old, new) = (columns(&rows(1.0)), columns(&rows(2.0)));
        let asked = std::cell::Cell::new(0);
        let cancel = || {
            asked.set(asked.get() + 1);
            asked.get() > 300
        };
        let stopped = change((&old, &of(&old, 0)), (&new, &of(&new, 0)), &cancel);
        assert_eq!(stopped, Err(ChangeError::Cancelled(Cancelled)));
    }
}
