//! Where one unit of currency closes most of a gap.

use std::cmp::Ordering;

use crate::inference::quantile;

/// A way to spend on a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct Lever {
    /// The brand that is behind.
    pub brand: usize,
    /// The metric it is behind on.
    pub metric: usize,
    /// What money is spent on, such as a channel.
    pub channel: String,
    /// The gap in the metric's unit, positive = behind.
    pub gap: f64,
    /// Weight of the metric, at least 0: what a closed gap counts for.
    pub weight: f64,
    /// Change of the metric towards the reference per extra unit of currency, at today's spend.
    pub marginal: f64,
    /// Draws of `marginal`, from the estimate it comes from; may be empty.
    pub draws: Vec<f64>,
}

/// What a lever is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    /// Position of the lever as given.
    pub lever: usize,
    /// Weighted share of the gap that one unit of currency closes: weight · marginal ÷ gap.
    pub closed_per_unit: f64,
    /// Its 80 % interval over the draws; the estimate twice when there are none.
    pub interval80: (f64, f64),
    /// Share of draws in which money closes the gap at all; `None` without draws.
    pub confidence: Option<f64>,
    /// Currency that would close the gap if the marginal stayed what it is today; with saturation it takes more. `None` where
    /// money does not close it.
    pub at_least: Option<f64>,
}

/// Ranks levers by the weighted share of their gap that one unit of currency closes, best first. Levers without a gap (level, ahead,
/// absent) or with an absent marginal are left out; those that make a gap larger come last.
#[must_use]
pub fn closings(levers: &[Lever]) -> Vec<Closing> {
    let mut found: Vec<Closing> = levers
        .iter()
        .enumerate()
        .filter(|(_, l)| {
            l.gap > 0.0
                && l.gap.is_finite()
                && l.marginal.is_finite()
                && l.weight.is_finite()
                && l.weight >= 0.0
        })
        .map(|(lever, l)| {
            let share = |marginal: f64| l.weight * marginal / l.gap;
            let mut draws: Vec<f64> = l.draws.iter().copied().filter(|d| d.is_finite()).collect();
            draws.sort_by(f64::total_cmp);
            let closing = draws.iter().filter(|d| **d > 0.0).count();
            let value = share(l.marginal);
            Closing {
                lever,
                closed_per_unit: value,
                interval80: if draws.is_empty() {
                    (value, value)
                } else {
                    (share(quantile(&draws, 0.1)), share(quantile(&draws, 0.9)))
                },
                confidence: (!draws.is_empty()).then(|| closing as f64 / draws.len() as f64),
                at_least: (l.marginal > 0.0).then(|| l.gap / l.marginal),
            }
        })
        .collect();
    found.sort_by(|a, b| {
        b.closed_per_unit
            .partial_cmp(&a.closed_per_unit)
            .unwrap_or(Ordering::Equal)
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lever(gap: f64, marginal: f64, weight: f64) -> Lever {
        Lever {
            brand: 0,
            metric: 0,
            channel: "search".into(),
            gap,
            weight,
            marginal,
            draws: (0..11)
                .map(|i| marginal + 0.1 * (f64::from(i) - 5.0))
                .collect(),
        }
    }

    #[test]
    fn the_lever_that_closes_most_comes_first() {
        let found = closings(&[
            lever(100.0, 0.5, 1.0),
            lever(10.0, 0.2, 1.0),
            lever(10.0, 0.2, 0.1),
            lever(10.0, -0.4, 1.0),
        ]);
        let order: Vec<usize> = found.iter().map(|c| c.lever).collect();
        assert_eq!(order, [1, 0, 2, 3]);
        assert!((found[0].closed_per_unit - 0.02).abs() < 1e-12);
        assert_eq!(found[0].at_least, Some(50.0));
        assert_eq!(found[3].at_least, None);
        assert!(
            found[0].interval80.0 < found[0].closed_per_unit
                && found[0].interval80.1 > found[0].closed_per_unit
        );
        assert_eq!(found[0].confidence, Some(7.0 / 11.0));
    }

    #[test]
    fn without_a_gap_or_a_marginal_there_is_nothing_to_close() {
        assert!(
            closings(&[
                lever(0.0, 1.0, 1.0),
                lever(-1.0, 1.0, 1.0),
                lever(f64::NAN, 1.0, 1.0),
                lever(1.0, f64::NAN, 1.0)
            ])
            .is_empty()
        );
        let sure = Lever {
            draws: Vec::new(),
            ..lever(1.0, 0.5, 1.0)
        };
        let found = closings(&[sure]);
        assert_eq!(
            (found[0].interval80, found[0].confidence),
            ((0.5, 0.5), None)
        );
    }
}
