//! What a brand's media are worth to the whole portfolio.

use super::CrossEffect;
use crate::inference::quantile;
use crate::response::BrandModel;

/// A number with the intervals of its parameter draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// From the estimates.
    pub value: f64,
    /// 80 % interval.
    pub interval80: (f64, f64),
    /// 95 % interval.
    pub interval95: (f64, f64),
}

impl Drawn {
    /// Without draws the value stands alone.
    fn new(value: f64, mut draws: Vec<f64>) -> Self {
        draws.retain(|d| d.is_finite());
        draws.sort_by(f64::total_cmp);
        let interval = |share: f64| {
            if draws.is_empty() {
                return (value, value);
            }
            let tail = 0.5 * (1.0 - share);
            (quantile(&draws, tail), quantile(&draws, 1.0 - tail))
        };
        Self {
            value,
            interval80: interval(0.8),
            interval95: interval(0.95),
        }
    }
}

/// What the media of one brand do to its siblings.
#[derive(Debug, Clone, PartialEq)]
pub struct PortfolioEffect {
    /// Position of the brand whose media are meant.
    pub driver: usize,
    /// Cannibalisation index: the share of what the media earn on their own brand that is taken from siblings. Below zero the
    /// siblings gain too; above one the portfolio loses.
    pub index: Drawn,
    /// Portfolio margin per unit of margin that the media earn on their own brand: 1 − index. What a plan has to count with.
    pub factor: Drawn,
}

/// Sums the effects of every driver in `effects` over the affected brands: −Σ_j ∂y_j/∂x_i ÷ ∂y_i/∂x_i.
///
/// Give it the pairs that shall count: all of them for an estimate without bias, the established ones for a plan. Drivers of
/// whom no pair is given are `drivers` without a sibling that is moved: index 0, factor 1. In the order of `drivers`.
///
/// Brands are fitted apart, so draw `s` of one affected brand is put with draw `s` of the others.
#[must_use]
pub fn portfolio_effects(drivers: &[usize], effects: &[&CrossEffect]) -> Vec<PortfolioEffect> {
    drivers
        .iter()
        .map(|&driver| {
            let own: Vec<&&CrossEffect> = effects.iter().filter(|e| e.driver == driver).collect();
            let total: f64 = own.iter().map(|e| e.strength).sum();
            let count = own.iter().map(|e| e.draws.len()).min().unwrap_or(0);
            let sums = |s: usize| own.iter().map(|e| e.draws[s]).sum::<f64>();
            PortfolioEffect {
                driver,
                // Subtracted from zero, so that nothing taken is 0 and not −0.
                index: Drawn::new(0.0 - total, (0..count).map(|s| 0.0 - sums(s)).collect()),
                factor: Drawn::new(1.0 + total, (0..count).map(|s| 1.0 + sums(s)).collect()),
            }
        })
        .collect()
}

/// The marginal return of one budget line for its brand and for the portfolio.
#[derive(Debug, Clone, PartialEq)]
pub struct NetMarginal {
    /// Position of the brand.
    pub brand: usize,
    /// Channel.
    pub channel: String,
    /// Margin the brand gains per extra unit of spend.
    pub own: f64,
    /// Margin the portfolio gains per extra unit of spend: Σ_j ∂y_j/∂x_i.
    pub net: Drawn,
}

/// Portfolio-net marginal returns of every line of the fitted brands, counting the given pairs.
#[must_use]
pub fn net_marginals(models: &[BrandModel], effects: &[&CrossEffect]) -> Vec<NetMarginal> {
    models
        .iter()
        .flat_map(|model| {
            let own: Vec<&&CrossEffect> = effects
                .iter()
                .filter(|e| e.driver == model.brand())
                .collect();
            let total: f64 = own.iter().map(|e| e.strength).sum();
            model
                .lines
                .iter()
                .map(|line| {
                    let draws = line
                        .draws
                        .iter()
                        .enumerate()
                        .map(|(s, draw)| {
                            let siblings: f64 = own
                                .iter()
                                .map(|e| e.draws.get(s).copied().unwrap_or(e.strength))
                                .sum();
                            draw.marginal_return * (1.0 + siblings)
                        })
                        .collect();
                    NetMarginal {
                        brand: model.brand(),
                        channel: line.channel.clone(),
                        own: line.marginal_return,
                        net: Drawn::new(line.marginal_return * (1.0 + total), draws),
                    }
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::Estimate;

    fn effect(driver: usize, affected: usize, strength: f64) -> CrossEffect {
        CrossEffect {
            driver,
            affected,
            effect: Estimate::new(strength, 0.1, 100.0, 0.0),
            strength,
            variance_inflation: 1.0,
            own_variation: 1.0,
            variation: 1.0,
            draws: (0..101)
                .map(|s| strength + 0.002 * (f64::from(s) - 50.0))
                .collect(),
        }
    }

    #[test]
    fn factors_are_the_column_sums_of_the_published_example() {
        // y_i = C_i + Σ_j Γ_ij C_j with Γ = [[0, .25, −.3], [.1, 0, 0], [0, 0, 0]]: a plan counts with 1.1, 1.25 and 0.7.
        let effects = [effect(1, 0, 0.25), effect(2, 0, -0.3), effect(0, 1, 0.1)];
        let pairs: Vec<&CrossEffect> = effects.iter().collect();
        let found = portfolio_effects(&[0, 1, 2], &pairs);
        let factors: Vec<f64> = found.iter().map(|f| f.factor.value).collect();
        for (ours, expected) in factors.iter().zip([1.1, 1.25, 0.7]) {
            assert!((ours - expected).abs() < 1e-12);
        }
        let index = found[2].index;
        assert!((index.value - 0.3).abs() < 1e-12);
        assert!(
            (index.interval80.0 - 0.22).abs() < 1e-9 && (index.interval80.1 - 0.38).abs() < 1e-9
        );
        assert!(index.interval95.0 < index.interval80.0 && index.interval95.1 > index.interval80.1);
    }

    #[test]
    fn the_optimum_of_the_published_example_needs_the_factors() {
        // C = 100 x / (40 + x), 120 to spend. At the published optimum every weighted marginal is the same price; with the
        // factors left out the even split would be best, and it is worth 1.4 % less.
        let effects = [effect(1, 0, 0.25), effect(2, 0, -0.3), effect(0, 1, 0.1)];
        let pairs: Vec<&CrossEffect> = effects.iter().collect();
        let factors: Vec<f64> = portfolio_effects(&[0, 1, 2], &pairs)
            .iter()
            .map(|f| f.factor.value)
            .collect();
        let best = [43.806_853_199, 49.338_405_688, 26.854_741_113];
        let value = |x: &[f64; 3]| {
            x.iter()
                .zip(&factors)
                .map(|(x, w)| w * 100.0 * x / (40.0 + x))
                .sum::<f64>()
        };
        for (x, w) in best.iter().zip(&factors) {
            let (x, w): (f64, f64) = (*x, *w);
            let marginal = w * 4_000.0 / (40.0 + x).powi(2);
            assert!((marginal - 0.626_460_378_526).abs() < 1e-8);
        }
        assert!((value(&best) - 154.649_509_154).abs() < 1e-8);
        assert!((value(&[40.0; 3]) - 152.5).abs() < 1e-9);
    }

    #[test]
    fn a_brand_without_effects_counts_as_it_is() {
        let found = portfolio_effects(&[7], &[]);
        assert_eq!((found[0].index.value, found[0].factor.value), (0.0, 1.0));
        assert_eq!(found[0].factor.interval95, (1.0, 1.0));
        assert!(net_marginals(&[], &[]).is_empty());
    }
}
