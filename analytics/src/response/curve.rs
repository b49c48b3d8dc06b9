//! The default response curve: geometric carry-over, part of it a week late, then Michaelis–Menten saturation.

use serde::{Deserialize, Serialize};

/// Weeks after the last observed or planned week in which carry-over still earns.
pub const TAIL: usize = 26;

/// `coefficient · a / (half + a)` where `a` is spend carried over with `retention`.
///
/// Stock is `g(t) = retention · g(t−1) + (1 − retention) · x(t)` and carried spend `a(t) = (1 − delay) · g(t) + delay ·
/// g(t−1)`, so constant spend carries to itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Share kept from week to week, 0..1.
    pub retention: f64,
    /// Share of the effect that starts one week after the spend, 0..1.
    pub delay: f64,
    /// Carried spend at half of the maximum, in currency per week.
    pub half: f64,
    /// Margin per week at full saturation, in currency.
    pub coefficient: f64,
}

impl Curve {
    /// Margin per week at carried spend `a`.
    #[must_use]
    pub fn value(&self, a: f64) -> f64 {
        self.coefficient * a / (self.half + a)
    }

    /// Margin by week for a path of spend that was `before` until it starts.
    #[must_use]
    pub fn margin(&self, spend: &[f64], before: f64) -> Vec<f64> {
        let mut stock = Stock::new(self, before);
        spend.iter().map(|x| self.value(stock.carry(*x))).collect()
    }

    /// Extra margin over a path and its tail when all its spend is `1 + step` times what it was.
    ///
    /// In the tail, spend continues at `after` in both cases.
    #[must_use]
    pub fn uplift(&self, spend: &[f64], before: f64, after: f64, step: f64) -> f64 {
        let (mut raised, mut actual) = (Stock::new(self, before), Stock::new(self, before));
        let mut sum = 0.0;
        for x in spend {
            sum += saturated(raised.carry(x * (1.0 + step)), self.half)
                - saturated(actual.carry(*x), self.half);
        }
        for _ in 0..TAIL {
            sum += saturated(raised.carry(after), self.half)
                - saturated(actual.carry(after), self.half);
        }
        self.coefficient * sum
    }

    /// Margin × extra sales, tail included, per extra unit of spend, for +10 % over a path.
    #[must_use]
    pub fn marginal_return(&self, spend: &[f64], before: f64, after: f64) -> f64 {
        let total: f64 = spend.iter().sum();
        if total > 0.0 {
            self.uplift(spend, before, after, 0.1) / (0.1 * total)
        } else {
            0.0
        }
    }
}

/// Spend carried from week to week.
#[derive(Debug, Clone, Copy)]
pub struct Stock {
    retention: f64,
    delay: f64,
    level: f64,
}

impl Stock {
    /// Starts after spend has long been `before`.
    #[must_use]
    pub fn new(curve: &Curve, before: f64) -> Self {
        Self {
            retention: curve.retention,
            delay: curve.delay,
            level: before,
        }
    }

    /// Takes a week's spend and returns the carried spend of that week.
    pub fn carry(&mut self, spend: f64) -> f64 {
        let last = self.level;
        self.level = self.retention * last + (1.0 - self.retention) * spend;
        self.level + self.delay * (last - self.level)
    }
}

fn saturated(a: f64, half: f64) -> f64 {
    a / (half + a)
}

/// The saturated series and its derivatives by `logit(retention)`, `logit(delay)` and `ln(half)`.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) value: Vec<f64>,
    pub(crate) derivatives: [Vec<f64>; 3],
}

/// Evaluates the shape of a line (coefficient one) with its derivatives.
pub(crate) fn shape(spend: &[f64], before: f64, curve: &Curve) -> Shape {
    let n = spend.len();
    let (keep, delay, half) = (curve.retention, curve.delay, curve.half);
    let mut value = Vec::with_capacity(n);
    let mut derivatives = [
        Vec::with_capacity(n),
        Vec::with_capacity(n),
        Vec::with_capacity(n),
    ];
    let (mut level, mut slope) = (before, 0.0);
    for x in spend {
        let (last, last_slope) = (level, slope);
        slope = last - x + keep * last_slope;
        level = keep * last + (1.0 - keep) * x;
        let a = level + delay * (last - level);
        let by_keep = slope + delay * (last_slope - slope);
        let room = half + a;
        let steepness = half / (room * room);
        value.push(a / room);
        derivatives[0].push(steepness * by_keep * keep * (1.0 - keep));
        derivatives[1].push(steepness * (last - level) * delay * (1.0 - delay));
        derivatives[2].push(-a * steepness);
    }
    Shape { value, derivatives }
}

/// Mean of the first or last values of a spend path, the level assumed before or after it.
pub(crate) fn edge_mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
