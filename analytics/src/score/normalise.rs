//! From one metric's values to points.

use domain::metric::Direction;

use crate::inference::{quantile, two_sided_p};

use super::{Absent, Method, MetricColumn, Options};

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
                .map(|n| (n / 10.0).floor() * 10.0),
            Method::MinMax => min_max(*value, &all, direct),
            Method::RobustZ => robust(*value, &peers, direct),
        };
        points[*brand] = Points {
            value: Some(*value),
            benchmark,
            normalised,
        };
    }
    let scorable = points.iter().any(|p| p.normalised.is_some());
    if options.absent == Absent::Zero && scorable {
        for point in points.iter_mut().filter(|p| p.value.is_none()) {
            point.normalised = Some(0.0);
        }
    }
    points
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
    if high <= low {
        return None;
    }
    let share = (value - low) / (high - low);
    Some(100.0 * if direct { share } else { 1.0 - share })
}

fn robust(value: f64, peers: &[f64], direct: bool) -> Option<f64> {
    let median = percentile(peers, 0.5)?;
    let deviations: Vec<f64> = peers.iter().map(|p| (p - median).abs()).collect();
    let mut scale = 1.4826 * percentile(&deviations, 0.5)?;
    if scale <= 0.0 {
        // More than half of the brands are equal: the plain standard deviation is what is left.
        let mean = peers.iter().sum::<f64>() / peers.len() as f64;
        scale = (peers.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / peers.len() as f64).sqrt();
    }
    if scale <= 0.0 {
        return None;
    }
    let z = (value - median) / scale;
    Some(100.0 * normal_share(if direct { z } else { -z }))
}

/// Share of the normal distribution below `z`: a t distribution with this many degrees of freedom is normal to six digits.
fn normal_share(z: f64) -> f64 {
    let tail = two_sided_p(z, 1e6) / 2.0;
    if z > 0.0 { 1.0 - tail } else { tail }
}
