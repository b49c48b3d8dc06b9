//! How much of a ranking is the weights' doing: ranks under drawn weights, and the smallest move of weight that swaps two brands.

use rand_distr::{Distribution, Gamma};

use super::{BrandScore, MetricColumn};
use crate::cancel::{Cancel, Cancelled};
use crate::rng::stream;

/// How to draw weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrawParams {
    /// Number of draws.
    pub draws: usize,
    /// How closely drawn weights keep to the given ones: weights are Dirichlet with this total, so a weight's share w has the
    /// variance w (1 − w) ÷ (concentration + 1). `None` draws every weighting alike, whatever was given.
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
    /// Share of draws by rank: `shares[0]` is how often the brand was best.
    pub shares: Vec<f64>,
    /// Best rank that at least one draw in forty reaches or beats.
    pub best: Option<usize>,
    /// Worst rank that at least one draw in forty reaches or exceeds.
    pub worst: Option<usize>,
}

/// Ranks of all brands under drawn weights (rank acceptability: Lahdelma and Salminen 2001). A metric of weight 0 stays out; a
/// brand's absent metrics leave its other weights in proportion, as in the score.
///
/// # Errors
/// [`Cancelled`] when the caller asked to stop.
pub fn ranks(
    metrics: &[MetricColumn],
    scores: &[BrandScore],
    params: &DrawParams,
    cancel: &dyn Cancel,
) -> Result<Vec<RankRange>, Cancelled> {
    let brands = scores.len();
    let used: Vec<usize> = (0..metrics.len())
        .filter(|&m| metrics[m].weight > 0.0)
        .collect();
    let total: f64 = used.iter().map(|&m| metrics[m].weight).sum();
    let given: Vec<Option<f64>> = scores.iter().map(|s| s.value).collect();
    let mut counts = vec![vec![0usize; brands]; brands];
    let shapes: Vec<f64> = used
        .iter()
        .map(|&m| {
            params
                .concentration
                .map_or(1.0, |c| (c * metrics[m].weight / total).max(1e-6))
        })
        .collect();
    let mut rng = stream(params.seed, &[19]);
    let mut weights = vec![0.0; used.len()];
    let draws = if used.is_empty() { 0 } else { params.draws };
    for _ in 0..draws {
        cancel.check()?;
        for (weight, shape) in weights.iter_mut().zip(&shapes) {
            *weight = Gamma::new(*shape, 1.0).map_or(0.0, |gamma| gamma.sample(&mut rng));
        }
        let drawn: Vec<Option<f64>> = scores
            .iter()
            .map(|score| {
                let (mut sum, mut known) = (0.0, 0.0);
                for (&m, weight) in used.iter().zip(&weights) {
                    if let Some(points) = score.lines[m].normalised {
                        sum += weight * points;
                        known += weight;
                    }
                }
                (known > 0.0).then(|| sum / known)
            })
            .collect();
        for (brand, rank) in ranked(&drawn).into_iter().enumerate() {
            if let Some(rank) = rank {
                counts[brand][rank - 1] += 1;
            }
        }
    }
    Ok(ranked(&given)
        .into_iter()
        .zip(counts)
        .map(|(rank, counts)| {
            let of: usize = counts.iter().sum();
            let tail = of.div_ceil(40);
            let reached = |mut ranks: Box<dyn Iterator<Item = usize>>| {
                let mut seen = 0;
                ranks.find(|&r| {
                    seen += counts[r];
                    of > 0 && seen >= tail
                })
            };
            let best = reached(Box::new(0..brands)).map(|r| r + 1);
            let worst = reached(Box::new((0..brands).rev())).map(|r| r + 1);
            RankRange {
                rank,
                shares: counts
                    .iter()
                    .map(|&c| if of > 0 { c as f64 / of as f64 } else { 0.0 })
                    .collect(),
                best,
                worst,
            }
        })
        .collect())
}

fn ranked(scores: &[Option<f64>]) -> Vec<Option<usize>> {
    scores
        .iter()
        .map(|own| {
            own.map(|own| {
                1 + scores
                    .iter()
                    .flatten()
                    .filter(|other| **other > own)
                    .count()
            })
        })
        .collect()
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
    /// Weight moved in all.
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
    let total: f64 = differences.iter().map(|(m, _)| metrics[*m].weight).sum();
    let mut missing: f64 = -differences
        .iter()
        .map(|(m, d)| metrics[*m].weight * d)
        .sum::<f64>();
    if missing <= 1e-12 * total {
        return Err(NoSwap::Level);
    }
    differences.sort_by(|x, y| x.1.total_cmp(&y.1).then(x.0.cmp(&y.0)));
    let (to, best) = *differences.last().ok_or(NoSwap::NotScored)?;
    if best <= 0.0 {
        return Err(NoSwap::Dominated);
    }
    let mut shifts = Vec::new();
    for (from, difference) in differences {
        let gain = best - difference;
        if missing <= 0.0 || gain <= 0.0 {
            break;
        }
        let weight = metrics[from].weight.min(missing / gain);
        missing -= weight * gain;
        shifts.push(Shift { from, to, weight });
    }
    let moved = shifts.iter().map(|s| s.weight).sum();
    Ok(Swap {
        shifts,
        moved,
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
            direction: Direction::Direct,
            section: Section::Marketplace,
            weight,
            values: values.to_vec(),
        }
    }

    fn scores(metrics: &[MetricColumn]) -> Vec<BrandScore> {
        score(metrics, &Options::default())
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
        assert_eq!(found[1].shares, [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(
            (found[3].rank, found[3].best, found[3].worst),
            (None, None, None)
        );
        for brand in &found[..3] {
            assert!((brand.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        assert!(found[0].shares[0] > 0.05 && found[2].shares[0] > 0.05);
        assert_eq!(
            ranks(&metrics, &all, &DrawParams::default(), &never).expect("ranks"),
            found
        );
        let any = DrawParams {
            concentration: None,
            ..DrawParams::default()
        };
        let spread = ranks(&metrics, &all, &any, &never).expect("ranks");
        assert!((spread[0].shares[0] - 0.5).abs() < 0.5 && spread[0].shares != found[0].shares);
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
                (brand.best, brand.worst, brand.shares[rank - 1]),
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
            Err(Cancelled)
        );
    }
}
