//! The best split of the same money over channels, the timing and the groups staying as they were.

use serde::{Deserialize, Serialize};

use super::contribution::ChannelResult;

/// One channel's part of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Channel.
    pub channel: String,
    /// Spend in the data.
    pub from: f64,
    /// Spend in the split.
    pub to: f64,
    /// Mean value sold at the spend of the data.
    pub value_from: f64,
    /// Mean value sold at the spend of the split.
    pub value_to: f64,
}

/// Moves money between channels until no move gains, each channel between `low` and `high` times its spend, the total as it was.
///
/// The mean response curves of the fit are read as straight lines between their points, and the concave envelope of those lines
/// is filled from the best slope down. The split is therefore the best one of the polylines, not of the curves: [`super::fit`]
/// gives points a tenth of the spend apart, so a channel ends at such a point, or between two of them where the money runs out,
/// and may be off by up to a tenth of its spend. Where a curve is S-shaped, a channel that ends inside a stretch of its envelope is
/// worth less than the envelope says; `value_to` is what the polyline says. Beyond the curve's last point, at twice the spend,
/// nothing is known, and more money is taken to sell nothing more. For rules, certificates and curves of a given family see
/// [`crate::allocation`].
///
/// Channels without spend are left out. `None` where none has any, or where `low` and `high` do not enclose one.
#[must_use]
pub fn reallocate(channels: &[ChannelResult], low: f64, high: f64) -> Option<Vec<Share>> {
    const STEPS: usize = 600;
    let with_spend: Vec<(&ChannelResult, f64)> = channels
        .iter()
        .filter_map(|c| c.spend.filter(|s| *s > 0.0).map(|s| (c, s)))
        .collect();
    if with_spend.is_empty() || low.is_nan() || high.is_nan() || low > 1.0 || high < 1.0 {
        return None;
    }
    let low = low.max(0.0);
    let total: f64 = with_spend.iter().map(|(_, s)| s).sum();
    let mut pieces: Vec<(f64, usize, f64)> = Vec::new();
    for (m, (channel, spend)) in with_spend.iter().enumerate() {
        let points: Vec<(f64, f64)> = (0..=STEPS)
            .map(|i| low + (high - low) * i as f64 / STEPS as f64)
            .map(|k| (k * spend, at(channel, k)))
            .collect();
        // Upper concave envelope, left to right.
        let mut hull: Vec<(f64, f64)> = Vec::new();
        for p in points {
            while hull.len() >= 2 {
                let (a, b) = (hull[hull.len() - 2], hull[hull.len() - 1]);
                if (b.1 - a.1) * (p.0 - a.0) <= (p.1 - a.1) * (b.0 - a.0) {
                    hull.pop();
                } else {
                    break;
                }
            }
            hull.push(p);
        }
        for w in hull.windows(2) {
            let width = w[1].0 - w[0].0;
            pieces.push(((w[1].1 - w[0].1) / width, m, width));
        }
    }
    // Of equal slopes the first channel's comes first, so that the answer does not depend on the sort.
    pieces.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut to: Vec<f64> = with_spend.iter().map(|(_, s)| low * s).collect();
    let mut left = total - to.iter().sum::<f64>();
    for (_, m, width) in pieces {
        let step = width.min(left);
        if step <= 0.0 {
            break;
        }
        to[m] += step;
        left -= step;
    }
    Some(
        with_spend
            .iter()
            .zip(to)
            .map(|((channel, spend), to)| Share {
                channel: channel.name.clone(),
                from: *spend,
                to,
                value_from: at(channel, 1.0),
                value_to: at(channel, to / spend),
            })
            .collect(),
    )
}

/// Mean value at a multiple of the data's exposure; beyond the curve's last point its last value.
fn at(channel: &ChannelResult, multiple: f64) -> f64 {
    let curve = &channel.curve;
    let Some(upper) = curve.iter().position(|p| p.multiple >= multiple) else {
        return curve.last().map_or(0.0, |p| p.value.mean);
    };
    if upper == 0 {
        return curve[0].value.mean;
    }
    let (a, b) = (curve[upper - 1], curve[upper]);
    let share = (multiple - a.multiple) / (b.multiple - a.multiple);
    a.value.mean + share * (b.value.mean - a.value.mean)
}

#[cfg(test)]
mod tests {
    use super::super::contribution::{CurvePoint, Interval};
    use super::*;

    fn channel(name: &str, spend: f64, curve: impl Fn(f64) -> f64) -> ChannelResult {
        ChannelResult {
            name: name.to_owned(),
            contribution: Interval::default(),
            share: Interval::default(),
            value: Interval::default(),
            spend: Some(spend),
            roas: None,
            marginal_roas: None,
            by_period: Vec::new(),
            by_group: Vec::new(),
            curve: (0..=200)
                .map(|i| f64::from(i) / 100.0)
                .map(|multiple| CurvePoint {
                    multiple,
                    value: Interval {
                        mean: curve(multiple * spend),
                        ..Interval::default()
                    },
                })
                .collect(),
        }
    }

    #[test]
    fn roots_split_by_their_squares() {
        // 10√x + 15√y with x + y = 100: x = 30.77, y = 69.23.
        let channels = [
            channel("a", 50.0, |x| 10.0 * x.sqrt()),
            channel("b", 50.0, |x| 15.0 * x.sqrt()),
        ];
        let split = reallocate(&channels, 0.0, 2.0).expect("there is spend");
        assert!((split[0].to - 30.77).abs() < 0.6, "{split:?}");
        assert!((split[0].to + split[1].to - 100.0).abs() < 1e-9);
        let near = reallocate(&channels, 0.7, 1.3).expect("there is spend");
        assert!((near[0].to - 35.0).abs() < 1e-9);
        assert!(near.iter().map(|s| s.value_to - s.value_from).sum::<f64>() > 0.0);
    }

    #[test]
    fn nothing_to_split() {
        assert!(reallocate(&[], 0.7, 1.3).is_none());
        let mut free = channel("a", 1.0, |x| x);
        free.spend = None;
        assert!(reallocate(&[free], 0.7, 1.3).is_none());
    }
}
