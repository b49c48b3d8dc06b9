//! Exact allocation of one total over separable lines with bounds and group rules.
//!
//! Every line is a table of value and slope over its bounds. Lagrangian duality prices the total (λ) and each group
//! rule (μ): given the prices, every line answers by itself, and the prices are found by bisection. For concave lines
//! the answer is the optimum; for S-shaped lines the upper concave envelope is used, its value is an upper bound on
//! every plan, and the distance to it is reported as the gap.

/// A line as the solver sees it: value and slope on an even grid over `[lower, upper]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    lower: f64,
    step: f64,
    values: Vec<f64>,
    slopes: Vec<f64>,
    /// Slope of the concave envelope to the right of each node; equal to `slopes` where the line is concave.
    hull: Vec<f64>,
    /// First and last node of each stretch where the envelope lies above the line.
    bridges: Vec<(usize, usize)>,
}

/// A rule on a group of lines: their sum is at most (or at least) an amount.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) members: Vec<usize>,
    pub(crate) at_most: bool,
    pub(crate) amount: f64,
}

/// An optimal plan with its prices.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Solution {
    pub(crate) x: Vec<f64>,
    /// Price of the total.
    pub(crate) lambda: f64,
    /// Price of each group rule, zero when it does not bind.
    pub(crate) mu: Vec<f64>,
    pub(crate) value: f64,
    /// No plan under the rules is worth more.
    pub(crate) bound: f64,
}

impl Table {
    /// Tabulates a line at `nodes + 1` points. `at` returns value and slope.
    pub(crate) fn sample(
        lower: f64,
        upper: f64,
        nodes: usize,
        at: impl Fn(f64) -> (f64, f64),
    ) -> Self {
        let upper = upper.max(lower);
        let step = (upper - lower) / nodes as f64;
        let (values, slopes): (Vec<f64>, Vec<f64>) =
            (0..=nodes).map(|i| at(lower + step * i as f64)).unzip();
        Self::new(lower, step, values, slopes)
    }

    fn new(lower: f64, step: f64, values: Vec<f64>, slopes: Vec<f64>) -> Self {
        let n = values.len();
        let mut corners: Vec<usize> = Vec::with_capacity(n);
        for i in 0..n {
            while let [.., a, b] = corners[..] {
                let before = (values[b] - values[a]) / (b - a) as f64;
                let after = (values[i] - values[b]) / (i - b) as f64;
                if after > before + 1e-12 * before.abs() {
                    corners.pop();
                } else {
                    break;
                }
            }
            corners.push(i);
        }
        let mut hull = slopes.clone();
        let mut bridges = Vec::new();
        for pair in corners.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            if b > a + 1 && step > 0.0 {
                let slope = (values[b] - values[a]) / (step * (b - a) as f64);
                hull[a..b].fill(slope);
                bridges.push((a, b));
            }
        }
        // Rounding and tabulation must not make the slopes rise.
        for i in 1..n {
            hull[i] = hull[i].min(hull[i - 1]);
        }
        Self {
            lower,
            step,
            values,
            slopes,
            hull,
            bridges,
        }
    }

    pub(crate) fn upper(&self) -> f64 {
        self.lower + self.step * (self.values.len() - 1) as f64
    }

    pub(crate) fn lower(&self) -> f64 {
        self.lower
    }

    fn locate(&self, x: f64) -> (usize, f64) {
        if self.step <= 0.0 {
            return (0, 0.0);
        }
        let position = ((x - self.lower) / self.step).clamp(0.0, (self.values.len() - 1) as f64);
        let i = (position.floor() as usize).min(self.values.len().saturating_sub(2));
        (i, position - i as f64)
    }

    /// Value at `x` by cubic Hermite interpolation.
    pub(crate) fn value(&self, x: f64) -> f64 {
        let (i, u) = self.locate(x);
        if self.step <= 0.0 {
            return self.values[0];
        }
        let (p, q) = (self.values[i], self.values[i + 1]);
        let (s, t) = (self.slopes[i] * self.step, self.slopes[i + 1] * self.step);
        let (u2, u3) = (u * u, u * u * u);
        (2.0 * u3 - 3.0 * u2 + 1.0) * p
            + (u3 - 2.0 * u2 + u) * s
            + (3.0 * u2 - 2.0 * u3) * q
            + (u3 - u2) * t
    }

    /// Slope at `x`.
    pub(crate) fn slope(&self, x: f64) -> f64 {
        let (i, u) = self.locate(x);
        if self.step <= 0.0 {
            return self.slopes[0];
        }
        self.slopes[i] + u * (self.slopes[i + 1] - self.slopes[i])
    }

    /// The largest spend whose envelope slope is still at least `price`.
    fn respond(&self, price: f64) -> f64 {
        let n = self.hull.len();
        if self.step <= 0.0 || self.hull[0] < price {
            return self.lower;
        }
        let last = self.hull.partition_point(|s| *s >= price) - 1;
        if last + 1 >= n {
            return self.upper();
        }
        // Inside a bridge the envelope is straight up to its end; elsewhere slopes are interpolated.
        let on_bridge = self.bridges.iter().any(|(a, b)| (*a..*b).contains(&last));
        let u = if on_bridge {
            1.0
        } else {
            let (high, low) = (self.hull[last], self.slopes[last + 1].min(self.hull[last]));
            if high - low > 1e-300 {
                ((high - price) / (high - low)).clamp(0.0, 1.0)
            } else {
                1.0
            }
        };
        self.lower + self.step * (last as f64 + u)
    }
}

/// Smallest and largest total the bounds and group rules allow, ignoring overlaps between groups.
pub(crate) fn reachable(tables: &[Table], groups: &[Group]) -> (f64, f64) {
    let (mut low, mut high) = (
        tables.iter().map(Table::lower).sum::<f64>(),
        tables.iter().map(Table::upper).sum::<f64>(),
    );
    for group in groups {
        let least: f64 = group.members.iter().map(|&i| tables[i].lower).sum();
        let most: f64 = group.members.iter().map(|&i| tables[i].upper()).sum();
        if group.at_most {
            high -= (most - group.amount).max(0.0);
        } else {
            low += (group.amount - least).max(0.0);
        }
    }
    (low, high)
}

/// Solves for the total. The caller has checked that it can be reached.
pub(crate) fn solve(tables: &[Table], groups: &[Group], total: f64) -> Solution {
    let mut mu = vec![0.0; groups.len()];
    let steepest = tables
        .iter()
        .flat_map(|t| t.hull.iter())
        .fold(1e-12f64, |m, s| m.max(s.abs()));
    let mut lambda = price_total(tables, groups, &mu, total, steepest);
    for _ in 0..60 {
        let mut moved = 0.0f64;
        for g in 0..groups.len() {
            let before = mu[g];
            mu[g] = 0.0;
            lambda = price_total(tables, groups, &mu, total, steepest);
            if excess(tables, groups, &mu, lambda, g) > 1e-9 * (1.0 + groups[g].amount.abs()) {
                let (mut low, mut high) = (0.0, 4.0 * steepest);
                for _ in 0..60 {
                    mu[g] = 0.5 * (low + high);
                    lambda = price_total(tables, groups, &mu, total, steepest);
                    if excess(tables, groups, &mu, lambda, g) > 0.0 {
                        low = mu[g]
                    } else {
                        high = mu[g]
                    }
                }
                mu[g] = high;
                lambda = price_total(tables, groups, &mu, total, steepest);
            }
            moved = moved.max((mu[g] - before).abs());
        }
        if moved <= 1e-10 * steepest {
            break;
        }
    }
    let mut x = answer(tables, groups, &mu, lambda);
    let bound = dual(tables, groups, &mu, lambda, total, &x);
    place_rest(tables, groups, &mu, lambda, total, &mut x);
    let value = tables.iter().zip(&x).map(|(t, v)| t.value(*v)).sum::<f64>();
    Solution {
        x,
        lambda,
        mu,
        value,
        bound: bound.max(value),
    }
}

fn price(groups: &[Group], mu: &[f64], lambda: f64, line: usize) -> f64 {
    let extra: f64 = groups
        .iter()
        .zip(mu)
        .filter(|(g, m)| **m != 0.0 && g.members.contains(&line))
        .map(|(g, m)| if g.at_most { *m } else { -*m })
        .sum();
    lambda + extra
}

fn answer(tables: &[Table], groups: &[Group], mu: &[f64], lambda: f64) -> Vec<f64> {
    tables
        .iter()
        .enumerate()
        .map(|(i, t)| t.respond(price(groups, mu, lambda, i)))
        .collect()
}

/// Price of money at which the lines together want no more than the total.
fn price_total(tables: &[Table], groups: &[Group], mu: &[f64], total: f64, steepest: f64) -> f64 {
    let (mut low, mut high) = (-6.0 * steepest, 6.0 * steepest);
    for _ in 0..90 {
        let mid = 0.5 * (low + high);
        if answer(tables, groups, mu, mid).iter().sum::<f64>() > total {
            low = mid
        } else {
            high = mid
        }
    }
    high
}

fn excess(tables: &[Table], groups: &[Group], mu: &[f64], lambda: f64, g: usize) -> f64 {
    let x = answer(tables, groups, mu, lambda);
    let sum: f64 = groups[g].members.iter().map(|&i| x[i]).sum();
    if groups[g].at_most {
        sum - groups[g].amount
    } else {
        groups[g].amount - sum
    }
}

/// Value of the Lagrangian at the prices: an upper bound on every feasible plan.
fn dual(tables: &[Table], groups: &[Group], mu: &[f64], lambda: f64, total: f64, x: &[f64]) -> f64 {
    let lines: f64 = tables
        .iter()
        .enumerate()
        .map(|(i, t)| {
            let p = price(groups, mu, lambda, i);
            let nodes = t
                .values
                .iter()
                .enumerate()
                .map(|(k, v)| v - p * (t.lower + t.step * k as f64));
            nodes.fold(t.value(x[i]) - p * x[i], f64::max)
        })
        .sum();
    let rules: f64 = groups
        .iter()
        .zip(mu)
        .map(|(g, m)| {
            if g.at_most {
                m * g.amount
            } else {
                -m * g.amount
            }
        })
        .sum();
    lines + lambda * total + rules
}

/// Puts what is left of the total where it earns most; lines that jump across a bridge take it only as a whole step.
fn place_rest(
    tables: &[Table],
    groups: &[Group],
    mu: &[f64],
    lambda: f64,
    total: f64,
    x: &mut [f64],
) {
    let mut left = total - x.iter().sum::<f64>();
    for _ in 0..3 * tables.len() {
        if left.abs() <= 1e-12 * (1.0 + total.abs()) {
            return;
        }
        let step = left / 64.0;
        let room = |i: usize, x: &[f64], amount: f64| {
            let to = (x[i] + amount).clamp(tables[i].lower, tables[i].upper());
            let allowed = groups
                .iter()
                .zip(mu)
                .all(|(g, m)| *m == 0.0 || !g.members.contains(&i));
            if allowed { to - x[i] } else { 0.0 }
        };
        // A first small step shows who gains most per unit; it then takes as much as its slope stays the best.
        let best = (0..tables.len())
            .filter(|&i| room(i, x, step).abs() > 0.5 * step.abs())
            .max_by(|&a, &b| {
                let gain = |i: usize| {
                    let amount = room(i, x, left);
                    (tables[i].value(x[i] + amount) - tables[i].value(x[i]) - lambda * amount)
                        / amount.abs()
                };
                gain(a).total_cmp(&gain(b))
            });
        let Some(best) = best else { return };
        let amount = room(best, x, left);
        x[best] += amount;
        left -= amount;
    }
}
