//! How much of a ranking is the weights' doing: ranks under drawn weights, and the smallest move of weight that swaps two brands.

use rand_distr::{Distribution, Gamma};

use super::{BrandScore, MetricColumn, unit_of_weights};
use crate::cancel::{Cancel, Cancelled};
use crate::rng::stream;

/// Concentration from which drawn weights equal the given ones in every digit; a higher one is taken for this, so that no sum of
/// drawn weights overflows.
const EXACT: f64 = 1e36;

/// Draws whose ranks are kept before they are counted brand by brand.
const BLOCK: usize = 256;

/// How to draw weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrawParams {
    /// Number of draws.
    pub draws: usize,
    /// How closely drawn weights keep to the given ones: weights are Dirichlet with this total, so a weight's share w has the
    /// variance w (1 − w) ÷ (concentration + 1). Finite and above 0; `None` draws every weighting alike, whatever was given.
    pub concentration: Option<f64>,
    /// Seed.
    pub seed: u64,
}

impl Default for DrawParams {
    fn default() -> Self {
        Self {
            draws: 2_000,
            concentration: Some(50.0),
            seed: 1,
        }
    }
}

/// Where one brand stands under drawn weights.
#[derive(Clone, Debug, PartialEq)]
pub struct RankRange {
    /// Rank by the given weights, 1 = best; equal scores share a rank. `None` where the brand has no score.
    pub rank: Option<usize>,
    /// The ranks that draws led to, the best first, each with its share of the draws, above 0 to 1. Of many brands one takes few ranks.
    pub shares: Vec<(usize, f64)>,
    /// Best rank that at least one draw in forty reaches or beats.
    pub best: Option<usize>,
    /// Worst rank that at least one draw in forty reaches or exceeds.
    pub worst: Option<usize>,
}

impl RankRange {
    /// Share of draws, 0 to 1, in which the brand had this rank.
    #[must_use]
    pub fn share(&self, rank: usize) -> f64 {
        self.shares
            .binary_search_by_key(&rank, |(rank, _)| *rank)
            .map_or(0.0, |at| self.shares[at].1)
    }
}

/// Why there are no ranks.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RankError {
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The concentration is not a number above 0.
    #[error(
        "the concentration {0} is not a finite number above 0; leave it out to draw every weighting alike"
    )]
    Concentration(f64),
}

/// Ranks of all brands under drawn weights (rank acceptability: Lahdelma and Salminen 2001). A metric of weight 0 stays out; a
/// brand's absent metrics leave its other weights in proportion, as in the score.
///
/// # Errors
/// [`RankError`].
pub fn ranks(
    metrics: &[MetricColumn],
    scores: &[BrandScore],
    params: &DrawParams,
    cancel: &dyn Cancel,
) -> Result<Vec<RankRange>, RankError> {
    if let Some(given) = params.concentration
        && !(given.is_finite() && given > 0.0)
    {
        return Err(RankError::Concentration(given));
    }
    cancel.check()?;
    let used: Vec<usize> = (0..metrics.len())
        .filter(|&m| metrics[m].weight > 0.0)
        .collect();
    let unit = unit_of_weights(metrics.iter().map(|m| m.weight));
    let total: f64 = used.iter().map(|&m| metrics[m].weight * unit).sum();
    let given: Vec<Option<f64>> = scores.iter().map(|s| s.value).collect();
    // Points by brand and used metric, NaN where absent.
    let points: Vec<f64> = scores
        .iter()
        .flat_map(|score| {
            used.iter()
                .map(|&m| score.lines[m].normalised.unwrap_or(f64::NAN))
        })
        .collect();
    // How often a brand had a rank, by rank. A table of brands by ranks would be mostly zeros.
    let mut counts: Vec<Vec<(u32, u32)>> = vec![Vec::new(); scores.len()];
    let shapes: Vec<f64> = used
        .iter()
        .map(|&m| {
            params.concentration.map_or(1.0, |c| {
                (c.min(EXACT) * (metrics[m].weight * unit) / total).max(1e-6)
            })
        })
        .collect();
    let mut rng = stream(params.seed, &[19]);
    let mut weights = vec![0.0; used.len()];
    let draws = if used.is_empty() { 0 } else { params.draws };
    let mut block: Vec<Option<u32>> = Vec::new();
    for draw in 1..=draws {
        cancel.check()?;
        for (weight, shape) in weights.iter_mut().zip(&shapes) {
            *weight = Gamma::new(*shape, 1.0).map_or(0.0, |gamma| gamma.sample(&mut rng));
        }
        let drawn: Vec<Option<f64>> = points
            .chunks_exact(used.len())
            .map(|points| {
                let (mut sum, mut known) = (0.0, 0.0);
                for (points, weight) in points.iter().zip(&weights) {
                    if !points.is_nan() {
                        sum += weight * points;
                        known += weight;
                    }
                }
                (known > 0.0).then(|| sum / known)
            })
            .collect();
        block.extend(ranked(&drawn));
        if block.len() == BLOCK * scores.len() || draw == draws {
            for (brand, counts) in counts.iter_mut().enumerate() {
                cancel.check()?;
                count(counts, block[brand..].iter().step_by(scores.len()));
            }
            block.clear();
        }
    }
    ranked(&given)
        .into_iter()
        .zip(counts)
        .map(|(rank, counts)| {
            cancel.check()?;
            let of: u32 = counts.iter().map(|(_, count)| count).sum();
            let tail = of.div_ceil(40);
            Ok(RankRange {
                rank: rank.map(|rank| rank as usize),
                best: reached(counts.iter(), tail),
                worst: reached(counts.iter().rev(), tail),
                shares: counts
                    .iter()
                    .map(|(rank, count)| (*rank as usize, f64::from(*count) / f64::from(of)))
                    .collect(),
            })
        })
        .collect()
}

/// Adds ranks of one brand to their counts, which stay in the order of the ranks.
fn count<'a>(counts: &mut Vec<(u32, u32)>, ranks: impl Iterator<Item = &'a Option<u32>>) {
    let known = counts.len();
    counts.extend(ranks.flatten().map(|rank| (*rank, 1)));
    counts[known..].sort_unstable();
    // Two runs in order, which this sort merges.
    counts.sort_by_key(|(rank, _)| *rank);
    counts.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            kept.1 += next.1;
        }
        is_same
    });
}

/// The rank at which `tail` draws have been seen.
fn reached<'a>(mut counts: impl Iterator<Item = &'a (u32, u32)>, tail: u32) -> Option<usize> {
    let mut seen = 0;
    let found = counts.find(|(_, count)| {
        seen += count;
        seen >= tail
    });
    found.map(|(rank, _)| *rank as usize)
}

/// Ranks by score, 1 = best; equal scores share a rank.
fn ranked(scores: &[Option<f64>]) -> Vec<Option<u32>> {
    let mut order: Vec<(f64, usize)> = scores
        .iter()
        .enumerate()
        .filter_map(|(brand, score)| Some(((*score)?, brand)))
        .collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let mut ranks = vec![None; scores.len()];
    let mut rank = 1;
    for (place, (score, brand)) in order.iter().enumerate() {
        if place > 0 && *score < order[place - 1].0 {
            rank = place as u32 + 1;
        }
        ranks[*brand] = Some(rank);
    }
    ranks
}

/// A move of weight from one metric to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Metric that loses weight.
    pub from: usize,
    /// Metric that gains it.
    pub to: usize,
    /// How much, in the weights' unit.
    pub weight: f64,
}

/// What it takes to swap two brands.
#[derive(Clone, Debug, PartialEq)]
pub struct Swap {
    /// The smallest moves of weight after which the one behind is level, in the order they count most.
    pub shifts: Vec<Shift>,
    /// Weight moved in all, in the weights' unit; infinite where that many cannot be written.
    pub moved: f64,
    /// As a share of all weight.
    pub share: f64,
}

/// Why there is no swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSwap {
    /// There is no such brand, or it has no score.
    #[error("a brand has no score")]
    NotScored,
    /// The brands are scored on different metrics, so weights do not act on both alike.
    #[error("the brands are scored on different metrics")]
    OtherMetrics,
    /// The one ahead is ahead, or level, on every metric with weight: no weighting turns them round.
    #[error("the brand ahead is not behind on any metric")]
    Dominated,
    /// They are level already.
    #[error("the brands are level")]
    Level,
}

/// The smallest amount of weight that has to move for `behind` to draw level with `ahead` (swap them to ask the other way round:
/// whoever is behind by the given weights is taken as behind). Weights stay at least 0 and keep their sum; a metric of weight 0
/// stays out.
///
/// A unit of weight moved from metric i to k changes the difference of the scores by d_k − d_i, so the least is moved when all of
/// it goes to the metric on which the one behind is furthest ahead, taken from where it is furthest behind first: the exact
/// solution of a linear programme with one constraint.
///
/// # Errors
/// [`NoSwap`].
pub fn smallest_swap(
    metrics: &[MetricColumn],
    scores: &[BrandScore],
    ahead: usize,
    behind: usize,
) -> Result<Swap, NoSwap> {
    let (Some(a), Some(b)) = (scores.get(ahead), scores.get(behind)) else {
        return Err(NoSwap::NotScored);
    };
    let (Some(first), Some(second)) = (a.value, b.value) else {
        return Err(NoSwap::NotScored);
    };
    let (a, b) = if first >= second { (a, b) } else { (b, a) };
    let mut differences: Vec<(usize, f64)> = Vec::new();
    for m in (0..metrics.len()).filter(|&m| metrics[m].weight > 0.0) {
        match (a.lines[m].normalised, b.lines[m].normalised) {
            (Some(x), Some(y)) => differences.push((m, y - x)),
            (None, None) => {}
            _ => return Err(NoSwap::OtherMetrics),
        }
    }
    let unit = unit_of_weights(metrics.iter().map(|m| m.weight));
    let weight = |m: usize| metrics[m].weight * unit;
    let total: f64 = differences.iter().map(|(m, _)| weight(*m)).sum();
    let mut missing: f64 = -differences.iter().map(|(m, d)| weight(*m) * d).sum::<f64>();
    if missing <= 1e-12 * total {
        return Err(NoSwap::Level);
    }
    differences.sort_by(|x, y| x.1.total_cmp(&y.1).then(x.0.cmp(&y.0)));
    let (to, best) = *differences.last().ok_or(NoSwap::NotScored)?;
    if best <= 0.0 {
        return Err(NoSwap::Dominated);
    }
    let (mut shifts, mut moved) = (Vec::new(), 0.0);
    for (from, difference) in differences {
        let gain = best - difference;
        if missing <= 0.0 || gain <= 0.0 {
            break;
        }
        let shifted = weight(from).min(missing / gain);
        missing -= shifted * gain;
        moved += shifted;
        shifts.push(Shift {
            from,
            to,
            weight: shifted / unit,
        });
    }
    Ok(Swap {
        shifts,
        moved: moved / unit,
        share: moved / total,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Options, score};
    use super::*;
    use crate::cancel::never;
    use domain::metric::{Direction, Section};

    fn column(weight: f64, values: &[f64]) -> MetricColumn {
        MetricColumn {
            key: "m".into(),
            direction: Direction::Direct,
            section: Section::Marketplace,
            weight,
            values: values.to_vec(),
        }
    }

    fn scores(metrics: &[MetricColumn]) -> Vec<BrandScore> {
        score(metrics, &Options::default(), &never).expect("plain numbers")
    }

    #[test]
    fn after_the_smallest_swap_the_brands_are_level_and_a_little_less_does_not_do() {
        let metrics = [
            column(50.0, &[10.0, 4.0, 8.0]),
            column(30.0, &[5.0, 9.0, 9.5]),
            column(20.0, &[7.0, 6.0, 8.0]),
        ];
        let before = scores(&metrics);
        let swap = smallest_swap(&metrics, &before, 0, 1).expect("it can be turned round");
        let gap = |share: f64| {
            let mut moved = metrics.clone();
            for shift in &swap.shifts {
                moved[shift.from].weight -= share * shift.weight;
                moved[shift.to].weight += share * shift.weight;
            }
            let s = scores(&moved);
            (s[1].value.expect("scored") - s[0].value.expect("scored"))
                * (before[1].value.expect("scored") - before[0].value.expect("scored")).signum()
        };
        assert!(gap(1.0).abs() < 1e-9, "{}", gap(1.0));
        assert!(gap(0.99) > 0.0);
        assert!(swap.moved > 0.0 && (swap.share - swap.moved / 100.0).abs() < 1e-12);
        assert_eq!(
            smallest_swap(&metrics, &before, 1, 0).expect("either order"),
            swap
        );
    }

    #[test]
    fn no_other_move_of_the_same_size_does_better() {
        let metrics = [
            column(40.0, &[10.0, 4.0]),
            column(35.0, &[5.0, 9.0]),
            column(25.0, &[7.0, 7.5]),
        ];
        let before = scores(&metrics);
        let swap = smallest_swap(&metrics, &before, 0, 1).expect("it can be turned round");
        for from in 0..3 {
            for to in 0..3 {
                let weight = (0.999 * swap.moved).min(metrics[from].weight);
                let mut moved = metrics.clone();
                moved[from].weight -= weight;
                moved[to].weight += weight;
                let s = scores(&moved);
                let order = |s: &[BrandScore]| s[0].value > s[1].value;
                assert_eq!(order(&s), order(&before), "{from} {to}");
            }
        }
    }

    #[test]
    fn what_cannot_be_swapped_says_why() {
        let metrics = [
            column(50.0, &[10.0, 4.0, 10.0, f64::NAN]),
            column(50.0, &[9.0, 3.0, 9.0, 5.0]),
        ];
        let all = scores(&metrics);
        assert_eq!(smallest_swap(&metrics, &all, 0, 1), Err(NoSwap::Dominated));
        assert_eq!(smallest_swap(&metrics, &all, 0, 2), Err(NoSwap::Level));
        assert_eq!(
            smallest_swap(&metrics, &all, 0, 3),
            Err(NoSwap::OtherMetrics)
        );
        assert_eq!(smallest_swap(&metrics, &all, 0, 9), Err(NoSwap::NotScored));
        assert_eq!(
            smallest_swap(&[], &scores(&[]), 0, 1),
            Err(NoSwap::NotScored)
        );
    }

    #[test]
    fn ranks_under_drawn_weights_are_shares_and_keep_dominance() {
        let metrics = [
            column(50.0, &[10.0, 4.0, 9.0, f64::NAN]),
            column(50.0, &[9.0, 3.0, 9.5, f64::NAN]),
        ];
        let all = scores(&metrics);
        let found = ranks(&metrics, &all, &DrawParams::default(), &never).expect("ranks");
        assert_eq!(
            (found[1].rank, found[1].best, found[1].worst),
            (Some(3), Some(3), Some(3))
        );
        assert_eq!(found[1].shares, [(3, 1.0)]);
        assert_eq!(
            (found[3].rank, found[3].best, found[3].worst),
            (None, None, None)
        );
        for brand in &found[..3] {
            let sum: f64 = brand.shares.iter().map(|(_, share)| share).sum();
            assert!((sum - 1.0).abs() < 1e-12);
        }
        assert!(found[3].shares.is_empty());
        assert_eq!(
            ranks(&metrics, &all, &DrawParams::default(), &never).expect("ranks"),
            found
        );
    }

    #[test]
    fn how_often_a_brand_is_first_is_the_share_of_weightings_that_put_it_there() {
        let metrics = [
            column(50.0, &[10.0, 4.0, 9.0]),
            column(50.0, &[9.0, 3.0, 9.5]),
        ];
        let all = scores(&metrics);
        // Brand 0 is ahead by `lead` on the first metric and behind brand 2 by `lag` on the second, so it is first where the first
        // weight w has w · lead > (1 − w) · lag.
        let points = |brand: usize, m: usize| all[brand].lines[m].normalised.expect("scored");
        let (lead, lag) = (points(0, 0) - points(2, 0), points(2, 1) - points(0, 1));
        let from = lag / (lead + lag);
        assert!(from > 0.4 && from < 0.5);
        // With two metrics w is Beta distributed: with parameters 1 and 1 where every weighting is alike, else with half the
        // concentration twice. Share above `from`, by the midpoint rule.
        let above = |shape: f64| {
            let density = |w: f64| (w * (1.0 - w)).powf(shape - 1.0);
            let cells = 100_000;
            let (mut above, mut all) = (0.0, 0.0);
            for cell in 0..cells {
                let w = (f64::from(cell) + 0.5) / f64::from(cells);
                all += density(w);
                above += if w > from { density(w) } else { 0.0 };
            }
            above / all
        };
        assert!((above(1.0) - (1.0 - from)).abs() < 1e-5);
        for (concentration, share) in [
            (None, 1.0 - from),
            (Some(50.0), above(25.0)),
            (Some(4.0), above(2.0)),
        ] {
            let params = DrawParams {
                draws: 20_000,
                concentration,
                ..DrawParams::default()
            };
            let found = ranks(&metrics, &all, &params, &never).expect("ranks");
            let deviation = (share * (1.0 - share) / params.draws as f64).sqrt();
            for (brand, expected) in [(0, share), (2, 1.0 - share)] {
                let off = (found[brand].share(1) - expected) / deviation;
                assert!(
                    off.abs() < 3.0,
                    "{concentration:?}, brand {brand}: {off} deviations"
                );
            }
            assert_eq!(found[1].share(1), 0.0);
        }
    }

    #[test]
    fn a_concentration_that_is_no_number_above_zero_is_refused() {
        let metrics = [column(1.0, &[1.0, 2.0])];
        for concentration in [f64::INFINITY, f64::NAN, -5.0, 0.0] {
            let params = DrawParams {
                concentration: Some(concentration),
                ..DrawParams::default()
            };
            let refused = ranks(&metrics, &scores(&metrics), &params, &never);
            assert!(matches!(refused, Err(RankError::Concentration(_))));
        }
    }

    #[test]
    fn the_highest_concentration_and_the_largest_weights_give_the_ranks_of_the_score() {
        let largest = f64::MAX;
        let metrics = [
            column(largest, &[10.0, 4.0, 8.0]),
            column(0.5 * largest, &[5.0, 9.0, 5.5]),
        ];
        let all = scores(&metrics);
        let params = DrawParams {
            concentration: Some(f64::MAX),
            draws: 100,
            ..DrawParams::default()
        };
        let found = ranks(&metrics, &all, &params, &never).expect("ranks");
        for brand in &found {
            assert_eq!(brand.shares, [(brand.rank.expect("scored"), 1.0)]);
        }
        let swap = smallest_swap(&metrics, &all, 0, 1).expect("it can be turned round");
        let small = [
            column(2.0, &[10.0, 4.0, 8.0]),
            column(1.0, &[5.0, 9.0, 5.5]),
        ];
        let expected =
            smallest_swap(&small, &scores(&small), 0, 1).expect("it can be turned round");
        assert!((swap.share - expected.share).abs() < 1e-12);
        assert!((swap.moved / largest - expected.moved / 2.0).abs() < 1e-12);
    }

    #[test]
    fn ten_thousand_brands_are_ranked_with_a_few_counts_each_and_a_stop_is_heard_among_the_draws() {
        let values = |step: u32| -> Vec<f64> {
            (0..10_000u32)
                .map(|b| 1.0 + f64::from(b * step % 10_007))
                .collect()
        };
        let metrics = [column(60.0, &values(7_919)), column(40.0, &values(104_729))];
        let all = scores(&metrics);
        let params = DrawParams {
            draws: 20,
            ..DrawParams::default()
        };
        let found = ranks(&metrics, &all, &params, &never).expect("ranks");
        assert!(found.iter().all(|brand| brand.shares.len() <= 20));
        for brand in [0, 5_000, 9_999] {
            let value = |b: usize| all[b].value.expect("scored");
            let better = (0..10_000).filter(|&b| value(b) > value(brand)).count();
            assert_eq!(found[brand].rank, Some(1 + better));
        }
        let asked = std::cell::Cell::new(0);
        let cancel = || {
            asked.set(asked.get() + 1);
            asked.get() > 10
        };
        assert_eq!(
            ranks(&metrics, &all, &params, &cancel),
            Err(RankError::Cancelled(Cancelled))
        );
    }

    #[test]
    fn narrow_draws_keep_the_given_ranks() {
        let metrics = [
            column(70.0, &[10.0, 4.0, 8.0]),
            column(30.0, &[5.0, 9.0, 5.5]),
        ];
        let all = scores(&metrics);
        let narrow = DrawParams {
            concentration: Some(1e7),
            ..DrawParams::default()
        };
        for brand in ranks(&metrics, &all, &narrow, &never).expect("ranks") {
            let rank = brand.rank.expect("scored");
            assert_eq!(
                (brand.best, brand.worst, brand.share(rank)),
                (Some(rank), Some(rank), 1.0)
            );
        }
    }

    #[test]
    fn nothing_to_rank_and_a_cancelled_draw() {
        assert_eq!(
            ranks(&[], &[], &DrawParams::default(), &never),
            Ok(Vec::new())
        );
        let metrics = [column(1.0, &[1.0, 2.0])];
        assert_eq!(
            ranks(&metrics, &scores(&metrics), &DrawParams::default(), &|| {
                true
            }),
            Err(RankError::Cancelled(Cancelled))
        );
    }
}
