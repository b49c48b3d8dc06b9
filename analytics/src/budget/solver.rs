//! Exact allocation of one total over separable lines with bounds and group rules.
//!
//! Every line is a table of value and slope over its bounds. Lagrangian duality prices the total (λ) and each group
//! rule (μ): given the prices, every line answers by itself, and the prices are found by bisection. For concave lines
//! the answer is the optimum; for S-shaped lines the upper concave envelope is used, its value is an upper bound on
//! every plan, and the distance to it is reported as the gap. Where prices found one by one do not meet overlapping rules, the
//! interior-point method of [`crate::allocation`] solves the same envelopes ([`solve_jointly`]).

use crate::{
    allocation::interior::{self, Program, Response, Row},
    cancel::{Cancel, Cancelled},
};

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
    /// Value of `x` on the tables.
    pub(crate) value: f64,
    /// Value of the Lagrangian at the prices, every line at the exact maximum of its table less its price: no plan that spends
    /// the total and obeys the rules is worth more on the tables. Between nodes a table is the cubic through exact values and
    /// slopes; how far that is from the line itself is not part of the bound.
    pub(crate) bound: f64,
}

impl Group {
    /// Money per week by which `x` breaks the rule; zero or less where it is obeyed.
    pub(crate) fn excess(&self, x: &[f64]) -> f64 {
        let sum: f64 = self.members.iter().map(|&i| x[i]).sum();
        if self.at_most {
            sum - self.amount
        } else {
            self.amount - sum
        }
    }
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

    /// Value of the concave envelope above that of the lower bound, its slope, and minus its second derivative at `x`: the
    /// slopes are those that [`Table::respond`] inverts.
    fn envelope(&self, x: f64) -> (f64, f64, f64) {
        let (at, u) = self.locate(x);
        if self.step <= 0.0 {
            return (0.0, self.slopes[0], 0.0);
        }
        let mut value = 0.0;
        for i in 0..=at {
            let (high, low) = self.piece(i);
            let share = if i == at { u } else { 1.0 };
            value += self.step * share * (high + 0.5 * share * (low - high));
        }
        let (high, low) = self.piece(at);
        (value, high + u * (low - high), (high - low) / self.step)
    }

    /// Slopes of the envelope at the ends of the stretch that begins at node `i`: equal inside a bridge.
    fn piece(&self, i: usize) -> (f64, f64) {
        let high = self.hull[i];
        if self.bridges.iter().any(|(a, b)| (*a..*b).contains(&i)) {
            (high, high)
        } else {
            (high, self.slopes[i + 1].min(high))
        }
    }

    /// The most that value less `price` times spend comes to anywhere between the bounds: every cubic piece at its ends and where
    /// its slope is the price.
    fn most(&self, price: f64) -> f64 {
        let nodes = self.values.iter().enumerate();
        let mut most = nodes
            .map(|(i, v)| v - price * (self.lower + self.step * i as f64))
            .fold(f64::NEG_INFINITY, f64::max);
        if self.step <= 0.0 {
            return most;
        }
        for i in 0..self.values.len() - 1 {
            // Slope of the piece by its share u, less the price: a u² + b u + c.
            let rise = self.values[i + 1] - self.values[i];
            let (s, t) = (self.slopes[i] * self.step, self.slopes[i + 1] * self.step);
            let (a, b) = (3.0 * (s + t) - 6.0 * rise, 6.0 * rise - 4.0 * s - 2.0 * t);
            let c = s - price * self.step;
            let root = b * b - 4.0 * a * c;
            if root < 0.0 {
                continue;
            }
            // The form without cancellation; where a or q is zero one of the two is no number and is passed over.
            let q = -0.5 * (b + root.sqrt().copysign(b));
            for u in [q / a, c / q] {
                if u > 0.0 && u < 1.0 {
                    let x = self.lower + self.step * (i as f64 + u);
                    most = most.max(self.value(x) - price * x);
                }
            }
        }
        most
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

/// Solves for the total by prices, one after the other. Where overlapping rules keep that from an answer, `x` breaks a rule: the
/// caller checks.
///
/// # Errors
/// [`Cancelled`], asked at every price of a rule.
pub(crate) fn solve(
    tables: &[Table],
    groups: &[Group],
    total: f64,
    cancel: &dyn Cancel,
) -> Result<Solution, Cancelled> {
    let mut mu = vec![0.0; groups.len()];
    let steepest = tables
        .iter()
        .flat_map(|t| t.hull.iter())
        .fold(1e-12f64, |m, s| m.max(s.abs()));
    let mut lambda = price_total(tables, groups, &mu, total, steepest);
    for _ in 0..60 {
        let mut moved = 0.0f64;
        for g in 0..groups.len() {
            cancel.check()?;
            let before = mu[g];
            mu[g] = 0.0;
            lambda = price_total(tables, groups, &mu, total, steepest);
            if excess(tables, groups, &mu, lambda, g) > 1e-9 * (1.0 + groups[g].amount.abs()) {
                let (mut low, mut high) = (0.0, 4.0 * steepest);
                for _ in 0..60 {
                    cancel.check()?;
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
    place_rest(tables, groups, &mu, lambda, total, &mut x);
    Ok(priced(tables, groups, total, x, lambda, mu))
}

/// Solves for the total and all rules at once: slower than [`solve`], and indifferent to how rules overlap.
///
/// `None` where the method does not converge.
///
/// # Errors
/// [`Cancelled`], asked at every step.
pub(crate) fn solve_jointly(
    tables: &[Table],
    groups: &[Group],
    total: f64,
    cancel: &dyn Cancel,
) -> Result<Option<Solution>, Cancelled> {
    let lower: Vec<f64> = tables.iter().map(Table::lower).collect();
    let upper: Vec<f64> = tables.iter().map(Table::upper).collect();
    let row = |members: &[usize], lower: f64, upper: f64| Row {
        terms: members.iter().map(|&i| (i, 1.0)).collect(),
        outcome: Vec::new(),
        lower,
        upper,
    };
    let everything: Vec<usize> = (0..tables.len()).collect();
    let mut rows = vec![row(&everything, total, total)];
    rows.extend(groups.iter().map(|g| {
        if g.at_most {
            row(&g.members, f64::NEG_INFINITY, g.amount)
        } else {
            row(&g.members, g.amount, f64::INFINITY)
        }
    }));
    let envelopes = Envelopes {
        tables,
        starts: (0..=tables.len()).collect(),
    };
    let program = Program {
        response: &envelopes,
        weights: &vec![1.0; tables.len()],
        lower: &lower,
        upper: &upper,
        rows: &rows,
    };
    let middle: Vec<f64> = lower
        .iter()
        .zip(&upper)
        .map(|(l, u)| 0.5 * (l + u))
        .collect();
    let found = interior::maximise(&program, &middle, cancel)?;
    if !found.converged {
        return Ok(None);
    }
    let mu = groups
        .iter()
        .zip(&found.prices[1..])
        .map(|(g, price)| {
            let sign = if g.at_most { 1.0 } else { -1.0 };
            (sign * price).max(0.0)
        })
        .collect();
    Ok(Some(priced(
        tables,
        groups,
        total,
        found.x,
        found.prices[0],
        mu,
    )))
}

/// The concave envelopes of the tables, as the interior-point method sees them.
struct Envelopes<'a> {
    tables: &'a [Table],
    starts: Vec<usize>,
}

impl Response for Envelopes<'_> {
    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn band(&self, _: usize) -> usize {
        0
    }

    fn evaluate(&self, block: usize, x: &[f64], slope: &mut [f64], bend: &mut [f64]) -> f64 {
        let value;
        (value, slope[0], bend[0]) = self.tables[block].envelope(x[0]);
        value
    }
}

/// A plan with its value and the bound that its prices prove.
fn priced(
    tables: &[Table],
    groups: &[Group],
    total: f64,
    x: Vec<f64>,
    lambda: f64,
    mu: Vec<f64>,
) -> Solution {
    Solution {
        bound: dual(tables, groups, &mu, lambda, total),
        value: tables.iter().zip(&x).map(|(t, v)| t.value(*v)).sum(),
        x,
        lambda,
        mu,
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
    groups[g].excess(&answer(tables, groups, mu, lambda))
}

/// Value of the Lagrangian at the prices: an upper bound on every feasible plan (weak duality, for any prices).
fn dual(tables: &[Table], groups: &[Group], mu: &[f64], lambda: f64, total: f64) -> f64 {
    let lines: f64 = tables
        .iter()
        .enumerate()
        .map(|(i, t)| t.most(price(groups, mu, lambda, i)))
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
    for _ in 0..3 * (tables.len() + groups.len()) {
        if left.abs() <= 1e-12 * (1.0 + total.abs()) {
            return;
        }
        let step = left / 64.0;
        let room = |i: usize, x: &[f64], amount: f64| {
            let to = (x[i] + amount).clamp(tables[i].lower, tables[i].upper());
            groups
                .iter()
                .zip(mu)
                .filter(|(g, _)| g.members.contains(&i))
                .fold(to - x[i], |room, (g, m)| {
                    // A rule that has a price is met exactly; the others leave what they have to spare.
                    let spare = if *m == 0.0 {
                        (-g.excess(x)).max(0.0)
                    } else {
                        0.0
                    };
                    match (*m == 0.0, g.at_most) {
                        (false, _) => 0.0,
                        (true, true) => room.min(spare),
                        (true, false) => room.max(-spare),
                    }
                })
        };
        // A first small step shows who gains most per unit; it then takes as much as its slope stays the best. Lines with less
        // room than half a step come last.
        let best_of = |least: f64| {
            (0..tables.len())
                .filter(|&i| room(i, x, step).abs() > least)
                .max_by(|&a, &b| {
                    let gain = |i: usize| {
                        let amount = room(i, x, left);
                        (tables[i].value(x[i] + amount) - tables[i].value(x[i]) - lambda * amount)
                            / amount.abs()
                    };
                    gain(a).total_cmp(&gain(b))
                })
        };
        let best = best_of(0.5 * step.abs()).or_else(|| best_of(0.0));
        let Some(best) = best else { return };
        let amount = room(best, x, left);
        x[best] += amount;
        left -= amount;
    }
}
