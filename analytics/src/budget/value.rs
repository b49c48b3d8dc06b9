//! What spend is worth: portfolio-net value of every budget line under parameter draws.

use serde::{Deserialize, Serialize};

use crate::finder::{FindingKind, Findings, Subject};
use crate::response::curve::{Stock, TAIL};
use crate::response::{Curve, ResponseFit, Shrinkage};
use crate::rng::{normal, stream};

/// Smallest standard deviation of marginal returns that planning assumes between lines.
///
/// When the lines cannot be told apart the estimate of their spread is zero; it never really is.
const LEAST_SPREAD: f64 = 0.05;

/// One draw of a line's value curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValueDraw {
    /// Curve whose coefficient is margin for the whole portfolio, cross-effects included.
    pub curve: Curve,
    /// Stock at the end of the observed path: what carries into a plan.
    pub level: f64,
}

/// A budget line with the draws of its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValueLine {
    /// Brand key.
    pub brand: String,
    /// Channel key.
    pub channel: String,
    /// Weekly spend without a change, also what is spent in the tail.
    pub current: f64,
    /// Spend of the last weeks, oldest first.
    pub recent: Vec<f64>,
    /// Draws; the same position in every line is the same state of the world.
    pub draws: Vec<ValueDraw>,
}

/// Everything a plan or a what-if needs, ready to be stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValueModel {
    /// The budget lines.
    pub lines: Vec<ValueLine>,
    /// What the lines' marginal returns have in common; estimates are shrunk towards it.
    pub shrinkage: Shrinkage,
    /// Cross-effects that are part of the value: driver, affected, margin per unit of driver's media margin.
    pub cross_effects: Vec<(String, String, f64)>,
}

impl ValueModel {
    /// Builds the value of every line from a scan.
    ///
    /// Marginal returns are shrunk towards what all lines have in common (empirical Bayes), because the plan looks for
    /// the highest of many noisy estimates and would otherwise chase noise. Only cross-effects that passed the scan's
    /// false-discovery control count.
    #[must_use]
    pub fn from_findings(findings: &Findings, seed: u64) -> Self {
        let fits: Vec<&ResponseFit> = findings.models.iter().flat_map(|m| &m.lines).collect();
        let estimates: Vec<(f64, f64)> = fits
            .iter()
            .map(|f| (f.marginal_return, f.std_error))
            .collect();
        let mut shrinkage = Shrinkage::estimate(&estimates);
        shrinkage.variance = shrinkage.variance.max(LEAST_SPREAD * LEAST_SPREAD);
        let accepted: Vec<_> = findings
            .pairs
            .iter()
            .map(|judged| &judged.effect)
            .filter(|pair| {
                findings.found.iter().any(|f| {
                    let known = |b: usize| {
                        findings
                            .models
                            .iter()
                            .find(|m| m.brand() == b)
                            .and_then(|m| m.lines.first())
                    };
                    matches!(f.kind, FindingKind::Halo | FindingKind::Cannibalisation)
                        && matches!(&f.subject, Subject::Pair { driver, affected }
                            if known(pair.driver).is_some_and(|l| l.brand == *driver)
                            && known(pair.affected).is_some_and(|l| l.brand == *affected))
                })
            })
            .collect();
        let mut lines = Vec::with_capacity(fits.len());
        for model in &findings.models {
            for (position, fit) in model.lines.iter().enumerate() {
                let weight = shrinkage.weight(fit.std_error);
                let rng = &mut stream(seed, &[9, model.brand() as u64, position as u64]);
                let draws = fit
                    .draws
                    .iter()
                    .enumerate()
                    .map(|(s, draw)| {
                        // Matheron's rule: a prior draw corrected by the noisy observation is a posterior draw.
                        let prior = shrinkage.centre + shrinkage.variance.sqrt() * normal(rng);
                        let marginal = prior + weight * (draw.marginal_return - prior);
                        let net: f64 = accepted
                            .iter()
                            .filter(|pair| pair.driver == model.brand())
                            .map(|pair| pair.draws.get(s).copied().unwrap_or(pair.strength))
                            .sum();
                        let unit = draw.at_break_even;
                        let curve = Curve {
                            coefficient: unit.coefficient * marginal * (1.0 + net),
                            ..unit
                        };
                        ValueDraw {
                            curve,
                            level: level(&curve, &fit.recent),
                        }
                    })
                    .collect();
                lines.push(ValueLine {
                    brand: fit.brand.clone(),
                    channel: fit.channel.clone(),
                    current: fit.current,
                    recent: fit.recent.clone(),
                    draws,
                });
            }
        }
        let key = |b: usize| {
            findings
                .models
                .iter()
                .find(|m| m.brand() == b)
                .and_then(|m| m.lines.first())
                .map(|l| l.brand.clone())
        };
        let cross_effects = accepted
            .iter()
            .filter_map(|pair| Some((key(pair.driver)?, key(pair.affected)?, pair.strength)))
            .collect();
        Self {
            lines,
            shrinkage,
            cross_effects,
        }
    }

    /// Number of draws.
    #[must_use]
    pub fn draws(&self) -> usize {
        self.lines.iter().map(|l| l.draws.len()).min().unwrap_or(0)
    }

    /// Profit of `spend` (weekly, per line, for `weeks` weeks, then the current spend) above carrying on as now, one
    /// number per draw: margin of the whole portfolio, tail included, minus the extra media cost.
    #[must_use]
    pub fn gains(&self, spend: &[f64], weeks: usize) -> Vec<f64> {
        let mut total = vec![0.0; self.draws()];
        for (line, &x) in self.lines.iter().zip(spend) {
            if (x - line.current).abs() <= 1e-12 * (1.0 + line.current) {
                continue;
            }
            let cost = (x - line.current) * weeks as f64;
            for (sum, draw) in total.iter_mut().zip(&line.draws) {
                *sum += value_and_slope(draw, x, line.current, weeks).0
                    - value_and_slope(draw, line.current, line.current, weeks).0
                    - cost;
            }
        }
        total
    }

    /// Profit that the last `weeks` observed weeks earned above spending `baseline` per line, as this model (fitted on
    /// data that include those weeks) attributes it; one number per draw, tail included.
    #[must_use]
    pub fn attributed_gains(&self, baseline: &[f64], weeks: usize) -> Vec<f64> {
        let mut total = vec![0.0; self.draws()];
        for (line, &base) in self.lines.iter().zip(baseline) {
            let split = line.recent.len().saturating_sub(weeks);
            let (before, during) = line.recent.split_at(split);
            let cost: f64 = during.iter().map(|x| x - base).sum();
            for (sum, draw) in total.iter_mut().zip(&line.draws) {
                let level = level(&draw.curve, before);
                let (mut actual, mut other) = (
                    Stock::new(&draw.curve, level),
                    Stock::new(&draw.curve, level),
                );
                let mut gain = -cost;
                for x in during {
                    gain +=
                        draw.curve.value(actual.carry(*x)) - draw.curve.value(other.carry(base));
                }
                for _ in 0..TAIL {
                    gain +=
                        draw.curve.value(actual.carry(base)) - draw.curve.value(other.carry(base));
                }
                *sum += gain;
            }
        }
        total
    }
}

fn level(curve: &Curve, recent: &[f64]) -> f64 {
    let start = crate::response::curve::edge_mean(recent);
    recent.iter().fold(start, |level, x| {
        curve.retention * level + (1.0 - curve.retention) * x
    })
}

/// Margin over a horizon at constant spend `x` and its tail at `after`, with the derivative by `x`.
pub(super) fn value_and_slope(draw: &ValueDraw, x: f64, after: f64, weeks: usize) -> (f64, f64) {
    let curve = &draw.curve;
    let mut stock = Stock::new(curve, draw.level);
    let mut response = Stock::new(curve, 0.0);
    let (mut value, mut slope) = (0.0, 0.0);
    for t in 0..weeks + TAIL {
        let inside = t < weeks;
        let a = stock.carry(if inside { x } else { after });
        let by_x = response.carry(if inside { 1.0 } else { 0.0 });
        let room = curve.half + a;
        value += a / room;
        slope += curve.half / (room * room) * by_x;
    }
    (curve.coefficient * value, curve.coefficient * slope)
}
