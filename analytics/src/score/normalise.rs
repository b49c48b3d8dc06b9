//! From one metric's values to points.

use domain::metric::Direction;
use serde::{Deserialize, Serialize};

use crate::inference::{quantile, two_sided_p};

use super::{Absent, Method, MetricColumn, Options};

/// What one metric's values are measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// 75th percentile of the brands (25th where lower is better); `None` when no brand had a value.
    pub benchmark: Option<f64>,
    /// The best brand's value.
    pub best: Option<f64>,
    /// The smallest value.
    pub low: Option<f64>,
    /// The largest value.
    pub high: Option<f64>,
    /// The median.
    pub median: Option<f64>,
    /// 1.4826 · median absolute deviation, or the standard deviation where that is 0; `None` where values do not differ.
    pub scale: Option<f64>,
}

/// A brand's value, what it was measured by, and its points.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Points {
    pub(super) value: Option<f64>,
    pub(super) benchmark: Option<f64>,
    pub(super) normalised: Option<f64>,
}

/// The benchmark's percentile with linear interpolation (the rule of spreadsheets and NumPy); nothing for no values.
fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| quantile(&sorted, share))
}

/// Points of every brand in one metric.
pub(super) fn column(metric: &MetricColumn, options: &Options) -> Vec<Points> {
    let known: Vec<(usize, f64)> = metric
        .values
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, v)| v.is_finite())
        .collect();
    let all: Vec<f64> = known.iter().map(|(_, v)| *v).collect();
    let direct = metric.direction == Direction::Direct;
    let best = all
        .iter()
        .copied()
        .reduce(if direct { f64::max } else { f64::min });
    let share = if direct { 0.75 } else { 0.25 };
    let mut points = vec![Points::default(); metric.values.len()];
    for (brand, value) in &known {
        let peers: Vec<f64> = if options.leave_one_out {
            known
                .iter()
                .filter(|(other, _)| other != brand)
                .map(|(_, v)| *v)
                .collect()
        } else {
            all.clone()
        };
        let benchmark = percentile(&peers, share);
        let normalised = match options.method {
            Method::Product => benchmark.and_then(|b| product(*value, b, best, direct)),
            Method::ProductFloored => benchmark
                .and_then(|b| product(*value, b, best, direct))
                .map(floored),
            Method::MinMax => min_max(*value, &all, direct),
            Method::RobustZ => robust(*value, &peers, direct),
        };
        points[*brand] = Points {
            value: Some(*value),
            benchmark,
            normalised,
        };
    }
    zero_for_absent(&mut points, options.absent);
    points
}

/// Everything that points of any method need to know of a metric's values.
pub(super) fn scaler(values: &[f64], direction: Direction) -> Scaler {
    let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let direct = direction == Direction::Direct;
    let median = percentile(&known, 0.5);
    let (low, high) = (
        known.iter().copied().reduce(f64::min),
        known.iter().copied().reduce(f64::max),
    );
    Scaler {
        benchmark: percentile(&known, if direct { 0.75 } else { 0.25 }),
        best: if direct { high } else { low },
        low,
        high,
        median,
        scale: median.and_then(|m| spread(&known, m)),
    }
}

/// Points of every brand by a frozen scaler.
pub(super) fn frozen(
    metric: &MetricColumn,
    scaler: &Scaler,
    method: Method,
    absent: Absent,
) -> Vec<Points> {
    let direct = metric.direction == Direction::Direct;
    let mut points: Vec<Points> = metric
        .values
        .iter()
        .map(|&value| {
            if !value.is_finite() {
                return Points::default();
            }
            // Whoever is better than the best that was frozen counts as that one.
            let best = scaler.best.map(|best| {
                if direct {
                    value.max(best)
                } else {
                    value.min(best)
                }
            });
            let by_rule = || {
                scaler
                    .benchmark
                    .and_then(|b| product(value, b, best, direct))
            };
            let normalised = match method {
                Method::Product => by_rule(),
                Method::ProductFloored => by_rule().map(floored),
                Method::MinMax => scaler
                    .low
                    .zip(scaler.high)
                    .and_then(|(low, high)| stretched(value, low, high, direct))
                    .map(|n| n.clamp(0.0, 100.0)),
                Method::RobustZ => scaler
                    .median
                    .zip(scaler.scale)
                    .map(|(median, scale)| placed(value, median, scale, direct)),
            };
            Points {
                value: Some(value),
                benchmark: scaler.benchmark,
                normalised,
            }
        })
        .collect();
    zero_for_absent(&mut points, absent);
    points
}

/// Where absent values count as zero, they do so in a metric that can be scored.
fn zero_for_absent(points: &mut [Points], absent: Absent) {
    if absent == Absent::Zero && points.iter().any(|p| p.normalised.is_some()) {
        for point in points.iter_mut().filter(|p| p.value.is_none()) {
            point.normalised = Some(0.0);
        }
    }
}

/// As the original shows points.
fn floored(points: f64) -> f64 {
    (points / 10.0).floor() * 10.0
}

/// The product's rule; nothing when the benchmark is not positive.
fn product(value: f64, benchmark: f64, best: Option<f64>, direct: bool) -> Option<f64> {
    if benchmark <= 0.0 {
        return None;
    }
    let points = if best == Some(value) {
        100.0
    } else if direct {
        if value < benchmark {
            90.0 * value / benchmark
        } else {
            90.0
        }
    } else if value >= benchmark {
        90.0 * benchmark / value
    } else {
        90.0
    };
    Some(points.clamp(0.0, 100.0))
}

fn min_max(value: f64, all: &[f64], direct: bool) -> Option<f64> {
    let low = all.iter().copied().reduce(f64::min)?;
    let high = all.iter().copied().reduce(f64::max)?;
    stretched(value, low, high, direct)
}

fn stretched(value: f64, low: f64, high: f64, direct: bool) -> Option<f64> {
    if high <= low {
        return None;
    }
    let share = (value - low) / (high - low);
    Some(100.0 * if direct { share } else { 1.0 - share })
}

fn robust(value: f64, peers: &[f64], direct: bool) -> Option<f64> {
    let median = percentile(peers, 0.5)?;
    Some(placed(value, median, spread(peers, median)?, direct))
}

fn placed(value: f64, median: f64, scale: f64, direct: bool) -> f64 {
    let z = (value - median) / scale;
    100.0 * normal_share(if direct { z } else { -z })
}

/// 1.4826 · median absolute deviation; nothing where values do not differ.
fn spread(peers: &[f64], median: f64) -> Option<f64> {
    let deviations: Vec<f64> = peers.iter().map(|p| (p - median).abs()).collect();
    let mut scale = 1.4826 * percentile(&deviations, 0.5)?;
    if scale <= 0.0 {
        // More than half of the brands are equal: the plain standard deviation is what is left.
        let mean = peers.iter().sum::<f64>() / peers.len() as f64;
        scale = (peers.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / peers.len() as f64).sqrt();
    }
    (scale > 0.0).then_some(scale)
}

/// Share of the normal distribution below `z`: a t distribution with this many degrees of freedom is normal to six digits.
fn normal_share(z: f64) -> f64 {
    let tail = two_sided_p(z, 1e6) / 2.0;
    if z > 0.0 { 1.0 - tail } else { tail }
}
