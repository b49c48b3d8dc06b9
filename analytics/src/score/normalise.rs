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
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    (!sorted.is_empty()).then(|| quantile(sorted, share))
}

/// The finite values, smallest first.
fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Points of every brand in one metric.
pub(super) fn column(metric: &MetricColumn, options: &Options) -> Vec<Points> {
    let all = measured_by(sorted(&metric.values), metric.direction);
    let mut points: Vec<Points> = metric
        .values
        .iter()
        .map(|&value| {
            if !value.is_finite() {
                return Points::default();
            }
            let peers = if options.leave_one_out {
                let mut others = sorted(&metric.values);
                let own = others.partition_point(|other| other.total_cmp(&value).is_lt());
                others.remove(own);
                let of_peers = measured_by(others, metric.direction);
                // The best brand and the range are those of all brands, the value's own among them.
                Scaler {
                    best: all.best,
                    low: all.low,
                    high: all.high,
                    ..of_peers
                }
            } else {
                all
            };
            pointed(value, &peers, metric.direction, options.method)
        })
        .collect();
    zero_for_absent(&mut points, options.absent);
    points
}

/// Everything that points of any method need to know of a metric's values.
pub(super) fn scaler(values: &[f64], direction: Direction) -> Scaler {
    measured_by(sorted(values), direction)
}

fn measured_by(sorted: Vec<f64>, direction: Direction) -> Scaler {
    let direct = direction == Direction::Direct;
    let median = percentile(&sorted, 0.5);
    let (low, high) = (sorted.first().copied(), sorted.last().copied());
    Scaler {
        benchmark: percentile(&sorted, if direct { 0.75 } else { 0.25 }),
        best: if direct { high } else { low },
        low,
        high,
        median,
        scale: median.and_then(|m| spread(&sorted, m)),
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
            let mut point = pointed(value, &Scaler { best, ..*scaler }, metric.direction, method);
            if method == Method::MinMax {
                point.normalised = point.normalised.map(|n| n.clamp(0.0, 100.0));
            }
            point
        })
        .collect();
    zero_for_absent(&mut points, absent);
    points
}

/// Points of one value.
fn pointed(value: f64, scaler: &Scaler, direction: Direction, method: Method) -> Points {
    let direct = direction == Direction::Direct;
    let by_rule = || {
        scaler
            .benchmark
            .and_then(|b| product(value, b, scaler.best, direct))
    };
    let normalised = match method {
        Method::Product => by_rule(),
        Method::ProductFloored => by_rule().map(floored),
        Method::MinMax => scaler
            .low
            .zip(scaler.high)
            .and_then(|(low, high)| stretched(value, low, high, direct)),
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

fn stretched(value: f64, low: f64, high: f64, direct: bool) -> Option<f64> {
    if high <= low {
        return None;
    }
    let share = (value - low) / (high - low);
    Some(100.0 * if direct { share } else { 1.0 - share })
}

fn placed(value: f64, median: f64, scale: f64, direct: bool) -> f64 {
    let z = (value - median) / scale;
    100.0 * normal_share(if direct { z } else { -z })
}

/// 1.4826 · median absolute deviation; nothing where values do not differ.
fn spread(peers: &[f64], median: f64) -> Option<f64> {
    let deviations: Vec<f64> = peers.iter().map(|p| (p - median).abs()).collect();
    let deviations = sorted(&deviations);
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
