//! From one metric's values to points.

use domain::metric::Direction;
use serde::{Deserialize, Serialize};

use crate::cancel::{Cancel, Cancelled};
use crate::inference::{quantile, two_sided_p};

use super::{Absent, Method, MetricColumn, Options};

/// Values from here on are measured in units of [`UNIT`]. Points are ratios of a metric's values, so the unit changes none of them,
/// and neither ninety times a value nor a difference of two of them overflows.
const LARGE: f64 = f64::MAX / 4096.0;
/// A power of two, so that nothing is rounded.
const UNIT: f64 = 4096.0;

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

impl Scaler {
    fn times(self, factor: f64) -> Self {
        let times = |value: Option<f64>| value.map(|v| v * factor);
        Self {
            benchmark: times(self.benchmark),
            best: times(self.best),
            low: times(self.low),
            high: times(self.high),
            median: times(self.median),
            scale: times(self.scale),
        }
    }
}

/// A brand's value, what it was measured by, and its points.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Points {
    pub(super) value: Option<f64>,
    pub(super) benchmark: Option<f64>,
    pub(super) normalised: Option<f64>,
}

/// The unit in which values up to this size are measured.
fn unit(values: impl IntoIterator<Item = f64>) -> f64 {
    let is_large = |value: f64| value.is_finite() && value.abs() > LARGE;
    if values.into_iter().any(is_large) {
        UNIT
    } else {
        1.0
    }
}

/// The finite values, smallest first.
fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Sorted values, with one of them left out or none.
#[derive(Clone, Copy)]
struct Peers<'a> {
    sorted: &'a [f64],
    without: Option<usize>,
}

impl Peers<'_> {
    fn len(self) -> usize {
        self.sorted.len() - usize::from(self.without.is_some())
    }

    fn at(self, place: usize) -> f64 {
        let is_behind = self.without.is_some_and(|own| own <= place);
        self.sorted[place + usize::from(is_behind)]
    }

    /// The quantile with linear interpolation (the rule of spreadsheets and NumPy); nothing for no values.
    fn quantile(self, level: f64) -> Option<f64> {
        let last = self.len().checked_sub(1)?;
        let position = level * last as f64;
        let below = position.floor() as usize;
        let neighbours = [self.at(below), self.at((below + 1).min(last))];
        Some(quantile(&neighbours, position - below as f64))
    }
}

/// A sum of deviations and a sum of their squares.
type Sums = (f64, f64);

/// How far a metric's values are from one centre.
struct Deviations {
    centre: f64,
    /// Absolute deviations, smallest first.
    absolute: Vec<f64>,
    /// Sums over the values before every place and from it on, in units of the largest deviation, so that no square overflows or
    /// vanishes. A sum without one value is put together from two: taking a large one off a total would leave its rounding.
    before: Vec<Sums>,
    from: Vec<Sums>,
}

impl Deviations {
    fn new(values: &[f64], centre: f64) -> Self {
        let absolute = sorted(values.iter().map(|v| (v - centre).abs()));
        let largest = absolute.last().copied().unwrap_or(0.0);
        let add = |sums: &mut Sums, value: &f64| {
            if largest > 0.0 {
                let deviation = (value - centre) / largest;
                *sums = (sums.0 + deviation, sums.1 + deviation * deviation);
            }
            Some(*sums)
        };
        let none = std::iter::once((0.0, 0.0));
        let before = none.clone().chain(values.iter().scan((0.0, 0.0), add));
        let from = none.chain(values.iter().rev().scan((0.0, 0.0), add));
        let mut from: Vec<Sums> = from.collect();
        from.reverse();
        Self {
            centre,
            absolute,
            before: before.collect(),
            from,
        }
    }

    /// 1.4826 · median of the absolute deviations, or the standard deviation where that is 0; nothing where values do not differ.
    fn scale(&self, peers: Peers<'_>) -> Option<f64> {
        let own = peers.without.map(|own| {
            let own = (peers.sorted[own] - self.centre).abs();
            self.absolute.partition_point(|other| *other < own)
        });
        let others = Peers {
            sorted: &self.absolute,
            without: own,
        };
        let middle = others.quantile(0.5)?;
        if middle > 0.0 {
            return Some(1.4826 * middle);
        }
        // At least half of the brands are at the centre: the plain standard deviation is what is left.
        let (before, from) = peers
            .without
            .map_or((peers.len(), peers.len()), |own| (own, own + 1));
        let (before, from) = (self.before[before], self.from[from]);
        let n = peers.len() as f64;
        let mean = (before.0 + from.0) / n;
        let variance = (before.1 + from.1) / n - mean * mean;
        let largest = self.absolute.last()?;
        let scale = largest * variance.max(0.0).sqrt();
        (scale > 0.0).then_some(scale)
    }
}

/// A metric's finite values, sorted once for all brands.
struct Sorted {
    direction: Direction,
    values: Vec<f64>,
    /// By centre. The medians of all values but one are three at most.
    deviations: Vec<Deviations>,
}

impl Sorted {
    fn new(values: impl IntoIterator<Item = f64>, direction: Direction) -> Self {
        Self {
            direction,
            values: sorted(values),
            deviations: Vec::new(),
        }
    }

    /// What values are measured by, with the value at one place left out of benchmark, median and scale. The best brand and the range
    /// are those of all brands.
    fn scaler(&mut self, without: Option<usize>, with_scale: bool) -> Scaler {
        let direct = self.direction == Direction::Direct;
        let peers = Peers {
            sorted: &self.values,
            without,
        };
        let median = peers.quantile(0.5);
        let (low, high) = (self.values.first().copied(), self.values.last().copied());
        let mut scaler = Scaler {
            benchmark: peers.quantile(if direct { 0.75 } else { 0.25 }),
            best: if direct { high } else { low },
            low,
            high,
            median,
            scale: None,
        };
        if let Some(centre) = median.filter(|_| with_scale) {
            let known = self.deviations.iter().position(|d| d.centre == centre);
            let known = known.unwrap_or_else(|| {
                self.deviations.push(Deviations::new(&self.values, centre));
                self.deviations.len() - 1
            });
            scaler.scale = self.deviations[known].scale(peers);
        }
        scaler
    }
}

/// Points of every brand in one metric.
pub(super) fn column(
    metric: &MetricColumn,
    options: &Options,
    cancel: &dyn Cancel,
) -> Result<Vec<Points>, Cancelled> {
    cancel.check()?;
    let unit = unit(metric.values.iter().copied());
    let with_scale = options.method == Method::RobustZ;
    let mut sorted = Sorted::new(metric.values.iter().map(|v| v / unit), metric.direction);
    let all = sorted.scaler(None, with_scale);
    let mut points = Vec::with_capacity(metric.values.len());
    for &given in &metric.values {
        if !given.is_finite() {
            points.push(Points::default());
            continue;
        }
        let value = given / unit;
        let peers = if options.leave_one_out {
            cancel.check()?;
            let own = sorted
                .values
                .partition_point(|other| other.total_cmp(&value).is_lt());
            sorted.scaler(Some(own), with_scale)
        } else {
            all
        };
        let point = pointed(value, &peers, metric.direction, options.method);
        points.push(Points {
            value: Some(given),
            benchmark: point.benchmark.map(|b| b * unit),
            ..point
        });
    }
    zero_for_absent(&mut points, options.absent);
    Ok(points)
}

/// Everything that points of any method need to know of a metric's values.
pub(super) fn scaler(values: &[f64], direction: Direction) -> Scaler {
    let unit = unit(values.iter().copied());
    let mut sorted = Sorted::new(values.iter().map(|v| v / unit), direction);
    sorted.scaler(None, true).times(unit)
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
            let sizes = [Some(value), scaler.low, scaler.high];
            let unit = unit(sizes.into_iter().flatten());
            let (given, value, scaler) = (value, value / unit, scaler.times(1.0 / unit));
            // Whoever is better than the best that was frozen counts as that one.
            let best = scaler.best.map(|best| {
                if direct {
                    value.max(best)
                } else {
                    value.min(best)
                }
            });
            let mut point = pointed(value, &Scaler { best, ..scaler }, metric.direction, method);
            point.value = Some(given);
            point.benchmark = point.benchmark.map(|b| b * unit);
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

/// Share of the normal distribution below `z`: a t distribution with this many degrees of freedom is normal to six digits.
fn normal_share(z: f64) -> f64 {
    let tail = two_sided_p(z, 1e6) / 2.0;
    if z > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use domain::metric::Section;
    use rand::Rng;

    use super::*;
    use crate::cancel::never;

    fn metric(direction: Direction, values: Vec<f64>) -> MetricColumn {
        MetricColumn {
            key: "m".into(),
            direction,
            section: Section::Marketplace,
            weight: 1.0,
            values,
        }
    }

    /// The plain way: the other brands' values sorted anew for every brand.
    fn of_others(values: &[f64], brand: usize, direction: Direction) -> Scaler {
        let mut others: Vec<f64> = values.to_vec();
        others.remove(brand);
        let others = sorted(others);
        let percentile = |share: f64| (!others.is_empty()).then(|| quantile(&others, share));
        let all = sorted(values.iter().copied());
        let (low, high) = (all.first().copied(), all.last().copied());
        let direct = direction == Direction::Direct;
        let median = percentile(0.5);
        Scaler {
            benchmark: percentile(if direct { 0.75 } else { 0.25 }),
            best: if direct { high } else { low },
            low,
            high,
            median,
            scale: median.and_then(|median| {
                let deviations = sorted(others.iter().map(|v| (v - median).abs()));
                let middle = 1.4826 * quantile(&deviations, 0.5);
                let n = others.len() as f64;
                // Around the median, whose own deviations are exact zeros.
                let mean = others.iter().map(|v| v - median).sum::<f64>() / n;
                let squares = others.iter().map(|v| (v - median - mean).powi(2));
                let plain = (squares.sum::<f64>() / n).sqrt();
                let scale = if middle > 0.0 { middle } else { plain };
                (scale > 0.0).then_some(scale)
            }),
        }
    }

    #[test]
    fn leaving_one_out_of_the_sorted_list_is_sorting_the_others() {
        let rng = &mut crate::rng::stream(3, &[1]);
        let mut cases: Vec<Vec<f64>> = vec![
            vec![],
            vec![4.0],
            vec![4.0, 4.0],
            vec![1.0, 2.0],
            vec![7.0, 7.0, 7.0, 7.0, 1e9],
            vec![1.0, 1.0, 1.0, 2.0, 1.0, 3.0, 1.0],
            vec![-0.0, 0.0, 0.0, -1.0, f64::NAN, f64::INFINITY],
        ];
        for _ in 0..200 {
            let n = rng.random_range(2..30);
            let levels = rng.random_range(1..40);
            cases.push(
                (0..n)
                    .map(|_| match rng.random_range(0..12) {
                        0 => f64::NAN,
                        1 => 1e6 * rng.random::<f64>(),
                        _ => f64::from(rng.random_range(0..levels)) / 7.0,
                    })
                    .collect(),
            );
        }
        for values in cases {
            for direction in [Direction::Direct, Direction::Indirect] {
                let mut fast = Sorted::new(values.iter().copied(), direction);
                for brand in (0..values.len()).filter(|b| values[*b].is_finite()) {
                    let own = fast
                        .values
                        .partition_point(|other| other.total_cmp(&values[brand]).is_lt());
                    let (mut ours, mut plain) = (
                        fast.scaler(Some(own), true),
                        of_others(&values, brand, direction),
                    );
                    let (ours_scale, plain_scale) = (ours.scale.take(), plain.scale.take());
                    assert_eq!(ours, plain, "{values:?} without {brand}");
                    match (ours_scale, plain_scale) {
                        (Some(ours), Some(plain)) => assert!(
                            (ours - plain).abs() <= 1e-12 * plain,
                            "{ours} and {plain}: {values:?} without {brand}"
                        ),
                        (ours, plain) => assert_eq!(ours, plain, "{values:?} without {brand}"),
                    }
                }
            }
        }
    }

    #[test]
    fn the_scale_of_equal_values_is_none_whatever_their_sum_rounds_to() {
        assert_eq!(scaler(&[0.1; 10], Direction::Direct).scale, None);
    }

    #[test]
    fn points_do_not_depend_on_the_unit_of_the_values() {
        let values = [3.0, -1.0, 0.5, 2.5, f64::NAN, 2.0, 2.0];
        for method in [
            Method::Product,
            Method::ProductFloored,
            Method::MinMax,
            Method::RobustZ,
        ] {
            for direction in [Direction::Direct, Direction::Indirect] {
                for leave_one_out in [false, true] {
                    let options = Options {
                        method,
                        leave_one_out,
                        ..Options::default()
                    };
                    let of = |factor: f64| -> Vec<Option<f64>> {
                        let metric = metric(direction, values.map(|v| factor * v).to_vec());
                        column(&metric, &options, &never)
                            .expect("not cancelled")
                            .iter()
                            .map(|p| p.normalised)
                            .collect()
                    };
                    // The largest power of two by which the values can still be written, and a small one.
                    for factor in [2f64.powi(1022), 2f64.powi(-700)] {
                        assert_eq!(of(factor), of(1.0), "{method:?} {direction:?} {factor}");
                    }
                    let metric = metric(direction, values.map(|v| 2f64.powi(1022) * v).to_vec());
                    let frozen = frozen(
                        &metric,
                        &scaler(&metric.values, direction),
                        method,
                        Absent::Excluded,
                    );
                    assert!(
                        frozen
                            .iter()
                            .all(|p| p.normalised.is_none_or(f64::is_finite)),
                        "{frozen:?}"
                    );
                }
            }
        }
    }
}
