//! What is really true in a world: noise-free effects, profit of a plan, and the perfect plan.

use super::catalogue::{CHANNEL_COUNT, LINES, OWN};
use super::curves::REACH;
use super::path::{Path, carried};
use super::spec::{Cross, Spec};

/// Weeks after a horizon in which carry-over still earns; nothing reaches further.
pub const TAIL: usize = REACH - 1;

/// Extra margin of line `l` over the path and its tail when its spend is `1 + step` times what it was.
///
/// After the path, spend continues at the mean of the last 52 weeks in both cases.
pub(super) fn uplift(spec: &Spec, path: &Path, l: usize, step: f64) -> f64 {
    let line = &spec.lines[l];
    let weights = line.carry.weights();
    let spend = &path.spend[l];
    let n = spend.len();
    let after = recent_mean(spend, 52);
    let mut raised: Vec<f64> = spend.iter().map(|x| x * (1.0 + step)).collect();
    let mut actual = spend.clone();
    raised.extend(std::iter::repeat_n(after, TAIL));
    actual.extend(std::iter::repeat_n(after, TAIL));
    (0..n + TAIL)
        .map(|t| {
            let with = line
                .saturation
                .value(carried(&weights, &raised, t, line.mean));
            let without = line
                .saturation
                .value(carried(&weights, &actual, t, line.mean));
            line.coefficient * (with - without)
        })
        .sum()
}

/// Margin × extra sales, tail included, per extra unit of spend, for +10 % of the line's spend over the path.
pub(super) fn marginal_return(spec: &Spec, path: &Path, l: usize) -> f64 {
    uplift(spec, path, l, 0.1) / (0.1 * path.spend[l].iter().sum::<f64>())
}

/// Extra margin of the affected brand for +10 % of all the driver's media over the path, tail included.
pub(super) fn cross_effect(spec: &Spec, path: &Path, cross: Cross) -> f64 {
    let own: f64 = (0..CHANNEL_COUNT)
        .map(|c| uplift(spec, path, cross.driver * CHANNEL_COUNT + c, 0.1))
        .sum();
    cross.strength * own
}

/// Mean of the last `weeks` values.
pub(super) fn recent_mean(values: &[f64], weeks: usize) -> f64 {
    let recent = &values[values.len().saturating_sub(weeks)..];
    recent.iter().sum::<f64>() / recent.len().max(1) as f64
}

/// Margin on all own brands per unit of margin that the media of brand `b` earn on itself.
pub(super) fn portfolio_factor(spec: &Spec, b: usize) -> f64 {
    let cross = spec.facts.iter().flat_map(|f| [f.cannibal, f.halo]);
    1.0 + cross
        .filter(|c| c.driver == b)
        .map(|c| c.strength)
        .sum::<f64>()
}

/// Noise-free margin that line `l` earns for the whole portfolio when it spends `x` a week for `weeks` weeks from the
/// end of the path and `baseline` a week after that, tail included.
pub(super) fn line_value(
    spec: &Spec,
    path: &Path,
    l: usize,
    x: f64,
    baseline: f64,
    weeks: usize,
) -> f64 {
    let line = &spec.lines[l];
    let weights = line.carry.weights();
    let past = &path.spend[l];
    let n = past.len();
    let mut spend = past.clone();
    spend.extend(std::iter::repeat_n(x, weeks));
    spend.extend(std::iter::repeat_n(baseline, TAIL));
    let earned: f64 = (n..n + weeks + TAIL)
        .map(|t| {
            line.coefficient
                * line
                    .saturation
                    .value(carried(&weights, &spend, t, line.mean))
        })
        .sum();
    portfolio_factor(spec, l / CHANNEL_COUNT) * earned
}

/// Rules under which plans are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRules {
    /// Length of the plan in weeks.
    pub weeks: usize,
    /// Weekly spend of every line without a change; also what is spent in the tail.
    pub baseline: Vec<f64>,
    /// Smallest weekly spend of every line.
    pub lower: Vec<f64>,
    /// Largest weekly spend of every line.
    pub upper: Vec<f64>,
}

/// The true optimum under the same total, bounds and rules.
#[derive(Debug, Clone, PartialEq)]
pub struct PerfectPlan {
    /// Weekly spend of every line.
    pub spend: Vec<f64>,
    /// True profit above the unchanged plan, in currency.
    pub gain: f64,
    /// No plan under the rules gains more than this (Lagrangian dual), in currency.
    pub bound: f64,
}

/// Finds the perfect plan on a grid of 120 steps per line by bisection on the price of money.
///
/// Curves may be S-shaped, so the dual value is reported as a bound; the gap between the plan and the bound is the
/// value of at most one grid step of one line when curves are concave.
pub(super) fn perfect(spec: &Spec, path: &Path, rules: &PlanRules) -> PerfectPlan {
    const STEPS: usize = 120;
    let grids: Vec<Vec<(f64, f64)>> = (0..LINES)
        .map(|l| {
            let base = line_value(
                spec,
                path,
                l,
                rules.baseline[l],
                rules.baseline[l],
                rules.weeks,
            );
            (0..=STEPS)
                .map(|i| {
                    let x = rules.lower[l]
                        + (rules.upper[l] - rules.lower[l]) * i as f64 / STEPS as f64;
                    (
                        x,
                        line_value(spec, path, l, x, rules.baseline[l], rules.weeks) - base,
                    )
                })
                .collect()
        })
        .collect();
    let total: f64 = rules.baseline.iter().sum();
    let weeks = rules.weeks as f64;
    let respond = |price: f64| -> Vec<(f64, f64)> {
        grids
            .iter()
            .map(|grid| {
                *grid
                    .iter()
                    .max_by(|a, b| {
                        (a.1 - price * weeks * a.0).total_cmp(&(b.1 - price * weeks * b.0))
                    })
                    .expect("grids have at least one point")
            })
            .collect()
    };
    let (mut low, mut high) = (-1.0, 50.0);
    for _ in 0..60 {
        let mid = 0.5 * (low + high);
        if respond(mid).iter().map(|p| p.0).sum::<f64>() > total {
            low = mid
        } else {
            high = mid
        }
    }
    let chosen = respond(high);
    let mut spend: Vec<f64> = chosen.iter().map(|p| p.0).collect();
    let bound = chosen.iter().map(|p| p.1 - high * weeks * p.0).sum::<f64>() + high * weeks * total;
    // What one grid step leaves over goes where it fits.
    let mut left = total - spend.iter().sum::<f64>();
    for (x, upper) in spend.iter_mut().zip(&rules.upper) {
        let room = (upper - *x).min(left).max(0.0);
        *x += room;
        left -= room;
    }
    let gain = plan_gain(spec, path, rules, &spend);
    PerfectPlan {
        spend,
        gain,
        bound: bound.max(gain),
    }
}

/// True profit of `spend` above the unchanged plan over the horizon and its tail, in currency.
pub(super) fn plan_gain(spec: &Spec, path: &Path, rules: &PlanRules, spend: &[f64]) -> f64 {
    (0..LINES)
        .map(|l| {
            let base = rules.baseline[l];
            line_value(spec, path, l, spend[l], base, rules.weeks)
                - line_value(spec, path, l, base, base, rules.weeks)
                - (spend[l] - base) * rules.weeks as f64
        })
        .sum()
}

/// The driver's media margin on itself by week.
pub(super) fn earned(path: &Path, b: usize) -> Vec<f64> {
    let n = path.sales[b].len();
    (0..n)
        .map(|t| {
            (0..CHANNEL_COUNT)
                .map(|c| path.media[b * CHANNEL_COUNT + c][t])
                .sum()
        })
        .collect()
}

const _: () = assert!(OWN * CHANNEL_COUNT == LINES);
