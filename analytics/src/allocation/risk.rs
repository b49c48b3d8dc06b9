//! Plans under uncertain curves: mean and CVaR, mean and variance, regret.
//!
//! All three are optimised certainty equivalents (Ben-Tal and Teboulle 2007): `max_η η + Σ_s u(y_s − r_s − η)`, concave and
//! rising in every scenario's outcome `y_s`, so with concave curves the plan is the solution of a concave program. CVaR and the
//! largest regret are put in epigraph form (Rockafellar and Uryasev 2000) and the scenarios' own variables eliminated, which
//! leaves one dense system in the cells per interior-point step. The monotone mean–variance of Maccheroni, Marinacci,
//! Rustichini and Taboga (2009) equals the usual one unless some scenario is better than the mean by more than `1/aversion`.

// Several lists share one index, as in the formulas.
#![allow(clippy::needless_range_loop)]

use serde::{Deserialize, Serialize};

use super::{
    AllocationError, Answer, Plan, PlannedCell, Settings, assemble, branch,
    certificate::{self, Place},
    curve::Curve,
    envelope::{Envelope, Shape},
    explain_static, held,
    interior::{Row, cholesky, drop_idle, solve_cholesky},
    problem::{Attitude, Laid, Scenarios},
    rows::Named,
    separable::Cells,
};
use crate::cancel::Cancel;

/// The scenarios' outcomes under a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    /// Mean outcome.
    pub mean: f64,
    /// Standard deviation over the scenarios.
    pub standard_deviation: f64,
    /// Mean of the worst share of scenarios: one minus the level asked for, or a tenth.
    pub cvar: f64,
    /// Worst outcome.
    pub worst: f64,
    /// Largest shortfall against the best plan of each scenario, where regret was asked for.
    pub regret: Option<f64>,
}

/// Scenario outcomes of a set of cells.
struct Outcomes {
    scenarios: usize,
    cells: usize,
    /// Scenario-major weighted curves.
    curves: Vec<Curve>,
    /// Their envelopes, where any is not concave.
    envelopes: Option<Vec<Envelope>>,
    /// Cells that cannot move.
    still: Vec<bool>,
}

impl Outcomes {
    fn new(laid: &Laid, scenarios: &Scenarios) -> Result<Self, AllocationError> {
        let (n, count) = (laid.cells.len(), scenarios.scale.len());
        if count == 0 {
            return Err(AllocationError::Empty("scenarios"));
        }
        let shapes = [
            ("scale", Some(&scenarios.scale)),
            ("scenario k", scenarios.k.as_ref()),
            ("scenario a", scenarios.a.as_ref()),
        ];
        for (name, table) in shapes {
            let Some(table) = table else { continue };
            if table.len() != count || table.iter().any(|row| row.len() != n) {
                return Err(AllocationError::Table {
                    name,
                    rows: count,
                    columns: n,
                });
            }
            let bad = table
                .iter()
                .flatten()
                .find(|v| !v.is_finite() || (name != "scale" && **v <= 0.0));
            if let Some(value) = bad {
                return Err(AllocationError::Number {
                    name,
                    value: *value,
                });
            }
        }
        let mut curves = Vec::with_capacity(count * n);
        for s in 0..count {
            for (i, cell) in laid.cells.iter().enumerate() {
                let own = Curve {
                    k: scenarios.k.as_ref().map_or(cell.curve.k, |k| k[s][i]),
                    a: scenarios.a.as_ref().map_or(cell.curve.a, |a| a[s][i]),
                    ..cell.curve
                };
                curves.push(own.scaled(cell.weight * scenarios.scale[s][i]));
            }
        }
        let envelopes: Vec<Envelope> = curves
            .iter()
            .enumerate()
            .map(|(j, curve)| {
                let cell = &laid.cells[j % n];
                Envelope::new(*curve, cell.lower, cell.lower, cell.upper)
            })
            .collect();
        let bridged = envelopes.iter().any(|e| {
            e.pieces()
                .iter()
                .any(|p| p.shape != Shape::Curve && !e.curve.is_straight())
        });
        Ok(Self {
            scenarios: count,
            cells: n,
            curves,
            envelopes: bridged.then_some(envelopes),
            still: laid.cells.iter().map(|c| c.upper <= c.lower).collect(),
        })
    }

    /// Outcome of every scenario on the curves themselves.
    fn values(&self, x: &[f64]) -> Vec<f64> {
        self.curves
            .chunks(self.cells)
            .map(|row| row.iter().zip(x).map(|(c, x)| c.value(*x)).sum())
            .collect()
    }

    /// Outcomes, gradients and bends of every scenario on the envelopes. All are finite: where a curve starts infinitely steep
    /// and nothing is spent, its tangent a little further on stands in for it, which is nowhere below it either.
    fn jets(&self, x: &[f64], slope: &mut [f64], bend: &mut [f64]) -> Vec<f64> {
        let mut values = vec![0.0; self.scenarios];
        for (s, value) in values.iter_mut().enumerate() {
            for i in 0..self.cells {
                let j = s * self.cells + i;
                let jet = self.curves[j].jet(x[i]);
                (slope[j], bend[j]) = (jet.slope, jet.bend);
                let mut own = jet.value;
                if !(jet.slope.is_finite() && jet.bend.is_finite()) {
                    (slope[j], bend[j]) = (self.curves[j].marginal(x[i]), 0.0);
                    if !self.still[i] && slope[j] > 0.0 {
                        let start = self.curves[j].start();
                        own = self.curves[j].value(start) - slope[j] * start;
                    }
                }
                if let Some(envelopes) = &self.envelopes {
                    for piece in envelopes[j].pieces() {
                        if let Shape::Line(line) = piece.shape
                            && x[i] >= piece.from
                            && x[i] <= piece.to
                        {
                            own = self.curves[j].value(piece.from) + line * (x[i] - piece.from);
                            (slope[j], bend[j]) = (line, 0.0);
                        }
                    }
                }
                *value += own;
            }
        }
        values
    }
}

/// What is maximised: `mean_weight · mean(y) + tail terms`, with references subtracted from the outcomes in the tail.
struct Utility {
    mean: f64,
    tail: Tail,
    reference: Vec<f64>,
}

#[derive(Clone, Copy)]
enum Tail {
    /// No risk term.
    None,
    /// `weight · (η − κ Σ (η − y_s + r_s)₊)`.
    Worst { weight: f64, kappa: f64 },
    /// `η + mean u(y − η)` with `u(t) = t − aversion/2 t²` up to its top.
    Variance { aversion: f64 },
}

impl Utility {
    fn of(&self, y: &[f64]) -> f64 {
        let count = y.len() as f64;
        let mean = y.iter().sum::<f64>() / count;
        let tail = match self.tail {
            Tail::None => 0.0,
            Tail::Worst { weight, kappa } => {
                let shifted: Vec<f64> = y.iter().zip(&self.reference).map(|(y, r)| y - r).collect();
                weight * cvar(&shifted, 1.0 / kappa)
            }
            Tail::Variance { aversion } => {
                let eta = certainty(y, aversion);
                eta + y
                    .iter()
                    .map(|y| {
                        let t = (y - eta).min(1.0 / aversion);
                        t - 0.5 * aversion * t * t
                    })
                    .sum::<f64>()
                    / count
            }
        };
        self.mean * mean + tail
    }
}

/// Mean of the worst `many` outcomes (a fraction of one counts in part).
fn cvar(y: &[f64], many: f64) -> f64 {
    let many = many.clamp(1.0, y.len() as f64);
    let mut sorted = y.to_vec();
    sorted.sort_by(f64::total_cmp);
    let whole = many.floor() as usize;
    let mut sum: f64 = sorted[..whole].iter().sum();
    if whole < sorted.len() {
        sum += (many - whole as f64) * sorted[whole];
    }
    sum / many
}

/// The `η` at which marginal utilities average one.
fn certainty(y: &[f64], aversion: f64) -> f64 {
    // Σ max(0, 1 − aversion (y − η)) = S rises in η.
    let mut sorted = y.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = y.len() as f64;
    let mut sum = 0.0;
    for (k, value) in sorted.iter().enumerate() {
        sum += value;
        let used = (k + 1) as f64;
        let eta = (count / used - 1.0) / aversion + sum / used;
        let next = sorted.get(k + 1).copied().unwrap_or(f64::INFINITY);
        if eta + 1.0 / aversion <= next {
            return eta;
        }
    }
    sum / count
}

/// Where the method ended.
struct Point {
    x: Vec<f64>,
    prices: Vec<f64>,
    /// Weight of each scenario in the marginal returns.
    shares: Vec<f64>,
    converged: bool,
}

/// Interior point in cells and `η`, the scenarios' own variables eliminated.
fn maximise(
    outcomes: &Outcomes,
    utility: &Utility,
    lower: &[f64],
    upper: &[f64],
    start: &[f64],
    rows: &[Row],
    cancel: &dyn Cancel,
) -> Result<Point, AllocationError> {
    let (n, count, m) = (outcomes.cells, outcomes.scenarios, rows.len());
    let size = n + 1;
    let even = 1.0 / count as f64;
    let still: Vec<bool> = (0..n).map(|i| upper[i] <= lower[i]).collect();
    let mut x: Vec<f64> = (0..n)
        .map(|i| {
            if still[i] {
                lower[i]
            } else {
                let inside = 0.1 * (upper[i] - lower[i]);
                start[i].clamp(lower[i] + inside, upper[i] - inside)
            }
        })
        .collect();
    let (mut slope, mut bend) = (vec![0.0; count * n], vec![0.0; count * n]);
    let mut y = outcomes.jets(&x, &mut slope, &mut bend);
    let spread = |y: &[f64]| {
        let mean = y.iter().sum::<f64>() * even;
        (y.iter().map(|v| (v - mean).powi(2)).sum::<f64>() * even).sqrt()
    };
    let value_size = y.iter().map(|v| v.abs()).sum::<f64>() * even + 1e-12;
    let (weight, cap) = match utility.tail {
        Tail::Worst { weight, kappa } => (weight, weight * kappa),
        _ => (0.0, 0.0),
    };
    let worst = matches!(utility.tail, Tail::Worst { .. });
    let mut eta = y
        .iter()
        .zip(&utility.reference)
        .map(|(y, r)| y - r)
        .sum::<f64>()
        * even;
    let room = 0.1 * spread(&y) + 1e-3 * value_size;
    let mut u: Vec<f64> = (0..count)
        .map(|s| (eta - y[s] + utility.reference[s]).max(0.0) + room)
        .collect();
    let mut tau: Vec<f64> = (0..count)
        .map(|s| y[s] - utility.reference[s] + u[s] - eta)
        .collect();
    let mut q = vec![0.5 * cap; count];
    let mut pi = vec![0.5 * cap; count];
    let mean_width = (0..n).map(|i| upper[i] - lower[i]).sum::<f64>() / n as f64;
    let mut slopes: Vec<f64> = (0..n)
        .map(|i| (0..count).map(|s| slope[s * n + i]).sum::<f64>().abs() * even)
        .filter(|v| v.is_finite() && *v > 0.0)
        .collect();
    slopes.sort_by(f64::total_cmp);
    let price_size = slopes.get(slopes.len() / 2).copied().unwrap_or(1.0);
    let start_gap = 0.1 * price_size * mean_width.max(1e-12);
    let mut zl: Vec<f64> = (0..n)
        .map(|i| {
            if still[i] {
                0.0
            } else {
                start_gap / (x[i] - lower[i])
            }
        })
        .collect();
    let mut zu: Vec<f64> = (0..n)
        .map(|i| {
            if still[i] {
                0.0
            } else {
                start_gap / (upper[i] - x[i])
            }
        })
        .collect();
    let mut dense = vec![0.0; m * size];
    for (r, row) in rows.iter().enumerate() {
        for &(i, a) in &row.terms {
            if !still[i] {
                dense[r * size + i] += a;
            }
        }
    }
    let sum_of = |row: &Row, x: &[f64]| row.terms.iter().map(|&(i, a)| a * x[i]).sum::<f64>();
    let equal: Vec<bool> = rows.iter().map(|row| row.upper <= row.lower).collect();
    let row_size: Vec<f64> = rows.iter().map(super::separable::row_size).collect();
    let mut s_row = vec![0.0; m];
    let (mut vl, mut vu) = (vec![0.0; m], vec![0.0; m]);
    for (r, row) in rows.iter().enumerate() {
        if equal[r] {
            s_row[r] = row.lower;
            continue;
        }
        let inside = 0.1 * (row.upper - row.lower).min(row_size[r]);
        s_row[r] = sum_of(row, &x).clamp(
            row.lower + inside,
            (row.upper - inside).max(row.lower + inside),
        );
        if row.lower.is_finite() {
            vl[r] = start_gap / (s_row[r] - row.lower);
        }
        if row.upper.is_finite() {
            vu[r] = start_gap / (row.upper - s_row[r]);
        }
    }
    let mut price: Vec<f64> = (0..m).map(|r| vu[r] - vl[r]).collect();
    let shares = |q: &[f64], y: &[f64], eta: f64| -> Vec<f64> {
        (0..count)
            .map(|s| {
                utility.mean * even
                    + match utility.tail {
                        Tail::None => 0.0,
                        Tail::Worst { .. } => q[s],
                        Tail::Variance { aversion } => {
                            even * (1.0 - aversion * (y[s] - eta)).max(0.0)
                        }
                    }
            })
            .collect()
    };
    let mut best = (f64::INFINITY, x.clone(), price.clone(), vec![0.0; count]);
    let mut stalled = 0;
    let mut sigma = 0.3f64;
    for _ in 0..200 {
        cancel.check()?;
        let p = shares(&q, &y, eta);
        let mut gradient = vec![0.0; n];
        for s in 0..count {
            if p[s] != 0.0 {
                for i in 0..n {
                    gradient[i] += p[s] * slope[s * n + i];
                }
            }
        }
        let mut reduced = gradient.clone();
        for (r, row) in rows.iter().enumerate() {
            for &(i, a) in &row.terms {
                reduced[i] -= price[r] * a;
            }
        }
        // Residuals.
        let mut dual = 0.0f64;
        let (mut gap, mut sides) = (0.0, 0usize);
        for i in 0..n {
            if !still[i] {
                dual =
                    dual.max((reduced[i] + zl[i] - zu[i]).abs() / price_size.max(zl[i]).max(zu[i]));
                gap += (x[i] - lower[i]) * zl[i] + (upper[i] - x[i]) * zu[i];
                sides += 2;
            }
        }
        let sums: Vec<f64> = rows.iter().map(|row| sum_of(row, &x)).collect();
        let mut primal = 0.0f64;
        for (r, row) in rows.iter().enumerate() {
            primal = primal.max((sums[r] - s_row[r]).abs() / row_size[r]);
            if !equal[r] {
                dual = dual.max((price[r] - vu[r] + vl[r]).abs() / price_size);
                for (multiplier, room) in
                    [(vl[r], s_row[r] - row.lower), (vu[r], row.upper - s_row[r])]
                {
                    if multiplier > 0.0 {
                        gap += multiplier * room;
                        sides += 1;
                    }
                }
            }
        }
        let total_share: f64 = q.iter().sum();
        let eta_residual = match utility.tail {
            Tail::None => 0.0,
            Tail::Worst { .. } => weight - total_share,
            Tail::Variance { .. } => 1.0 - (p.iter().sum::<f64>() - utility.mean),
        };
        dual = dual.max(eta_residual.abs());
        let mut rho = vec![0.0; count];
        if worst {
            for s in 0..count {
                rho[s] = y[s] - utility.reference[s] + u[s] - eta - tau[s];
                primal = primal.max(rho[s].abs() / value_size);
                gap += q[s] * tau[s] + pi[s] * u[s];
                sides += 2;
                dual = dual.max((cap - q[s] - pi[s]).abs() / cap);
            }
        }
        // Rounding makes residuals grow again in the end: the best point counts.
        let merit = dual.max(primal).max(gap / value_size);
        if merit < best.0 {
            best = (merit, x.clone(), price.clone(), p.clone());
            stalled = 0;
        } else {
            stalled += 1;
        }
        if merit < 1e-13 || stalled > 8 && best.0 < 1e-9 || stalled > 40 {
            break;
        }
        let mu = sigma * gap / sides.max(1) as f64;

        // The matrix in (x, η).
        let mut matrix = vec![0.0; size * size];
        let mut right = vec![0.0; size];
        for i in 0..n {
            if still[i] {
                matrix[i * size + i] = 1.0;
                continue;
            }
            let (below, above) = (x[i] - lower[i], upper[i] - x[i]);
            let curvature: f64 = (0..count).map(|s| -p[s] * bend[s * n + i]).sum();
            matrix[i * size + i] = curvature.max(0.0) + zl[i] / below + zu[i] / above;
            right[i] = reduced[i] + mu / below - mu / above;
        }
        let mut theta = vec![0.0; count];
        let mut fixed = vec![0.0; count];
        match utility.tail {
            Tail::None => {}
            Tail::Worst { .. } => {
                for s in 0..count {
                    let (a, b) = (q[s] / tau[s], pi[s] / u[s]);
                    theta[s] = a * b / (a + b);
                    let c = mu / tau[s] + mu / u[s] - cap;
                    // dq = fixed − θ (g·dx − dη)
                    fixed[s] = mu / tau[s] - q[s] - a * c / (a + b) - theta[s] * rho[s];
                }
            }
            Tail::Variance { aversion } => {
                for s in 0..count {
                    theta[s] = if y[s] - eta < 1.0 / aversion {
                        aversion * even
                    } else {
                        0.0
                    };
                }
            }
        }
        for s in 0..count {
            let g = &slope[s * n..(s + 1) * n];
            if fixed[s] != 0.0 {
                for i in 0..n {
                    if !still[i] {
                        right[i] += fixed[s] * g[i];
                    }
                }
            }
            if theta[s] == 0.0 {
                continue;
            }
            for i in 0..n {
                if still[i] {
                    continue;
                }
                let scaled = theta[s] * g[i];
                let row = &mut matrix[i * size..i * size + i + 1];
                for (entry, other) in row.iter_mut().zip(g) {
                    *entry += scaled * other;
                }
                matrix[n * size + i] -= scaled;
            }
            matrix[n * size + n] += theta[s];
        }
        for i in 0..n {
            if still[i] {
                for j in 0..i {
                    matrix[i * size + j] = 0.0;
                }
                for j in i + 1..size {
                    matrix[j * size + i] = 0.0;
                }
            }
        }
        right[n] = eta_residual - fixed.iter().sum::<f64>();
        if matches!(utility.tail, Tail::None) {
            matrix[n * size + n] = 1.0;
            right[n] = 0.0;
        }
        let sizes: Vec<f64> = (0..size).map(|i| matrix[i * size + i]).collect();
        cholesky(&mut matrix, size, &sizes);

        // Rows.
        let mut normal = vec![0.0; m * m];
        let mut spread_rows = dense.clone();
        for r in 0..m {
            solve_cholesky(&matrix, size, &mut spread_rows[r * size..(r + 1) * size]);
        }
        let mut first = right.clone();
        solve_cholesky(&matrix, size, &mut first);
        let mut give = vec![0.0; m];
        let mut pull = vec![0.0; m];
        let mut dy = vec![0.0; m];
        for (r, row) in rows.iter().enumerate() {
            let mine = &dense[r * size..(r + 1) * size];
            for t in 0..=r {
                let other = &spread_rows[t * size..(t + 1) * size];
                normal[r * m + t] = mine.iter().zip(other).map(|(a, b)| a * b).sum();
            }
            let mut target = s_row[r] - sums[r];
            if !equal[r] {
                let mut stiff = 0.0;
                pull[r] = price[r];
                if vl[r] > 0.0 {
                    stiff += vl[r] / (s_row[r] - row.lower);
                    pull[r] += mu / (s_row[r] - row.lower);
                }
                if vu[r] > 0.0 {
                    stiff += vu[r] / (row.upper - s_row[r]);
                    pull[r] -= mu / (row.upper - s_row[r]);
                }
                give[r] = 1.0 / stiff.max(1e-300);
                target += pull[r] * give[r];
                normal[r * m + r] += give[r];
            }
            dy[r] = mine.iter().zip(&first).map(|(a, b)| a * b).sum::<f64>() - target;
        }
        let sizes: Vec<f64> = (0..m).map(|r| normal[r * m + r]).collect();
        cholesky(&mut normal, m, &sizes);
        solve_cholesky(&normal, m, &mut dy);
        let mut dx = first;
        for r in 0..m {
            for (d, other) in dx.iter_mut().zip(&spread_rows[r * size..(r + 1) * size]) {
                *d -= dy[r] * other;
            }
        }
        for i in 0..n {
            if still[i] {
                dx[i] = 0.0;
            }
        }
        let deta = if matches!(utility.tail, Tail::None) {
            0.0
        } else {
            dx[n]
        };
        if !dx.iter().chain(&dy).all(|d| d.is_finite()) {
            break;
        }
        // The eliminated directions, and the longest step that keeps everything positive.
        let mut step = 1.0f64;
        let limit = |step: &mut f64, value: f64, change: f64| {
            if change < 0.0 {
                *step = step.min(-0.995 * value / change);
            }
        };
        let (mut dzl, mut dzu) = (vec![0.0; n], vec![0.0; n]);
        for i in 0..n {
            if still[i] {
                continue;
            }
            let (below, above) = (x[i] - lower[i], upper[i] - x[i]);
            dzl[i] = (mu - zl[i] * dx[i]) / below - zl[i];
            dzu[i] = (mu + zu[i] * dx[i]) / above - zu[i];
            limit(&mut step, below, dx[i]);
            limit(&mut step, above, -dx[i]);
            limit(&mut step, zl[i], dzl[i]);
            limit(&mut step, zu[i], dzu[i]);
        }
        let (mut ds, mut dvl, mut dvu) = (vec![0.0; m], vec![0.0; m], vec![0.0; m]);
        for (r, row) in rows.iter().enumerate() {
            if equal[r] {
                continue;
            }
            ds[r] = (dy[r] + pull[r]) * give[r];
            if vl[r] > 0.0 {
                dvl[r] = (mu - vl[r] * ds[r]) / (s_row[r] - row.lower) - vl[r];
                limit(&mut step, s_row[r] - row.lower, ds[r]);
                limit(&mut step, vl[r], dvl[r]);
            }
            if vu[r] > 0.0 {
                dvu[r] = (mu + vu[r] * ds[r]) / (row.upper - s_row[r]) - vu[r];
                limit(&mut step, row.upper - s_row[r], -ds[r]);
                limit(&mut step, vu[r], dvu[r]);
            }
        }
        let (mut du, mut dtau, mut dq, mut dpi) = (
            vec![0.0; count],
            vec![0.0; count],
            vec![0.0; count],
            vec![0.0; count],
        );
        if worst {
            for s in 0..count {
                let moved: f64 = slope[s * n..(s + 1) * n]
                    .iter()
                    .zip(&dx)
                    .zip(&still)
                    .filter(|(_, still)| !**still)
                    .map(|((g, d), _)| g * d)
                    .sum::<f64>()
                    - deta
                    + rho[s];
                let (a, b) = (q[s] / tau[s], pi[s] / u[s]);
                du[s] = (mu / tau[s] + mu / u[s] - cap - a * moved) / (a + b);
                dtau[s] = moved + du[s];
                dq[s] = mu / tau[s] - q[s] - a * dtau[s];
                dpi[s] = mu / u[s] - pi[s] - b * du[s];
                limit(&mut step, u[s], du[s]);
                limit(&mut step, tau[s], dtau[s]);
                limit(&mut step, q[s], dq[s]);
                limit(&mut step, pi[s], dpi[s]);
            }
        }
        let advance = |values: &mut [f64], change: &[f64]| {
            values
                .iter_mut()
                .zip(change)
                .for_each(|(v, d)| *v += step * d);
        };
        advance(&mut x, &dx[..n]);
        advance(&mut zl, &dzl);
        advance(&mut zu, &dzu);
        advance(&mut s_row, &ds);
        advance(&mut vl, &dvl);
        advance(&mut vu, &dvu);
        advance(&mut price, &dy);
        advance(&mut u, &du);
        advance(&mut tau, &dtau);
        advance(&mut q, &dq);
        advance(&mut pi, &dpi);
        eta += step * deta;
        y = outcomes.jets(&x, &mut slope, &mut bend);
        sigma = if step > 0.9 {
            0.03
        } else if step > 0.5 {
            0.2
        } else {
            0.6
        };
    }
    let (_, x, mut prices, shares) = best;
    drop_idle(rows, &mut prices);
    // The certificate says how good a point is that stopped early; rows have to hold all the same.
    let converged = rows.iter().zip(&row_size).all(|(row, size)| {
        let sum = sum_of(row, &x);
        (row.lower - sum).max(sum - row.upper) < 1e-9 * size
    });
    Ok(Point {
        x,
        prices,
        shares,
        converged,
    })
}

/// Outcomes and utility of a problem; for regret each scenario's own best is found first.
fn set_up(
    laid: &Laid,
    scenarios: &Scenarios,
    named: &[Named],
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<(Outcomes, Utility), AllocationError> {
    let outcomes = Outcomes::new(laid, scenarios)?;
    let count = outcomes.scenarios;
    let mut reference = vec![0.0; count];
    let unit = |name: &'static str, value: f64, most: f64| {
        if (0.0..=most).contains(&value) {
            Ok(())
        } else {
            Err(AllocationError::Number { name, value })
        }
    };
    let (mean, tail) = match scenarios.objective {
        Attitude::MeanCvar { weight, level } => {
            unit("weight", weight, 1.0)?;
            unit("level", level, 1.0 - 1e-9)?;
            if weight == 0.0 {
                (1.0, Tail::None)
            } else {
                let many = ((1.0 - level) * count as f64).max(1.0);
                let kappa = 1.0 / many;
                (1.0 - weight, Tail::Worst { weight, kappa })
            }
        }
        Attitude::MeanVariance { aversion } => {
            unit("aversion", aversion, f64::MAX)?;
            if aversion == 0.0 {
                (1.0, Tail::None)
            } else {
                (0.0, Tail::Variance { aversion })
            }
        }
        Attitude::Regret => {
            let rows: Vec<Row> = named.iter().map(|n| n.row.clone()).collect();
            for (s, best) in reference.iter_mut().enumerate() {
                let mut cells = Cells::new(laid, rows.clone());
                for i in 0..outcomes.cells {
                    cells.curves[i] = outcomes.curves[s * outcomes.cells + i];
                    cells.weights[i] = 1.0;
                }
                match branch::solve(&cells, settings, cancel)? {
                    Some(found) => *best = found.value,
                    None => break,
                }
            }
            let (weight, kappa) = (1.0, 1.0);
            (0.0, Tail::Worst { weight, kappa })
        }
    };
    Ok((
        outcomes,
        Utility {
            mean,
            tail,
            reference,
        },
    ))
}

/// Value of a plan under the scenarios.
pub(crate) fn evaluate(
    laid: &Laid,
    scenarios: &Scenarios,
    named: &[Named],
    x: &[f64],
    cancel: &dyn Cancel,
) -> Result<f64, AllocationError> {
    let (outcomes, utility) = set_up(laid, scenarios, named, &Settings::default(), cancel)?;
    Ok(utility.of(&outcomes.values(x)))
}

/// Solves a problem with scenarios.
pub(crate) fn solve(
    laid: &Laid,
    scenarios: &Scenarios,
    named: &[Named],
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<Answer, AllocationError> {
    if named.iter().any(|n| !n.row.outcome.is_empty()) {
        return Err(AllocationError::Unsupported(
            "floors on outcomes and scenarios do not go together",
        ));
    }
    if laid.cells.iter().any(|c| c.least_use.is_some()) {
        return Err(AllocationError::Unsupported(
            "least use and scenarios do not go together",
        ));
    }
    let (outcomes, utility) = set_up(laid, scenarios, named, settings, cancel)?;
    let n = outcomes.cells;
    let lower: Vec<f64> = laid.cells.iter().map(|c| c.lower).collect();
    let upper: Vec<f64> = laid.cells.iter().map(|c| c.upper).collect();
    let rows: Vec<Row> = named.iter().map(|n| n.row.clone()).collect();
    let start: Vec<f64> = laid
        .cells
        .iter()
        .map(|c| {
            if laid.has_current {
                c.current
            } else {
                0.5 * (c.lower + c.upper)
            }
        })
        .collect();
    let mut point = maximise(&outcomes, &utility, &lower, &upper, &start, &rows, cancel)?;
    if !point.converged {
        let cells = Cells::new(laid, rows);
        return explain_static(laid, named, &cells, settings, cancel);
    }
    let (mut slope, mut bend) = (
        vec![0.0; outcomes.scenarios * n],
        vec![0.0; outcomes.scenarios * n],
    );
    outcomes.jets(&point.x, &mut slope, &mut bend);
    point.x = snapped(&point, &slope, &lower, &upper, &rows);
    let seen = outcomes.jets(&point.x, &mut slope, &mut bend);
    let y = outcomes.values(&point.x);
    let value = utility.of(&y);
    let mut price = vec![0.0; n];
    let mut sums = vec![0.0; rows.len()];
    // The objective is bounded by its tangent; with fixed scenario weights it is linear in the outcomes.
    let mut bound = match utility.tail {
        Tail::Variance { .. } => utility.of(&seen),
        _ => (0..y.len())
            .map(|s| {
                let tail = point.shares[s] - utility.mean / y.len() as f64;
                point.shares[s] * seen[s] - tail * utility.reference[s]
            })
            .sum(),
    };
    for (r, row) in rows.iter().enumerate() {
        sums[r] = row.terms.iter().map(|&(i, a)| a * point.x[i]).sum();
        let p = point.prices[r];
        for &(i, a) in &row.terms {
            price[i] += p * a;
        }
        if p != 0.0 {
            bound += p * (if p > 0.0 { row.upper } else { row.lower } - sums[r]);
        }
    }
    let places: Vec<Place> = (0..n)
        .map(|i| {
            let marginal: f64 = (0..y.len())
                .filter(|s| point.shares[*s] != 0.0)
                .map(|s| point.shares[s] * slope[s * n + i])
                .sum();
            Place {
                x: point.x[i],
                lower: lower[i],
                upper: upper[i],
                rest: lower[i],
                net: marginal - price[i],
                marginal,
            }
        })
        .collect();
    for place in &places {
        if place.upper > place.lower {
            bound += (place.net * (place.upper - place.x)).max(place.net * (place.lower - place.x));
        }
    }
    let mut certificate = certificate::certify(
        "optimised certainty equivalent: primal-dual interior point, scenarios eliminated",
        &places,
        named,
        &sums,
        &point.prices,
        value,
        bound,
    );
    if outcomes.envelopes.is_some() {
        certificate.notes.push(
            "some curves are not concave: the plan is that of their concave envelopes".to_owned(),
        );
    }
    let count = y.len() as f64;
    let mean = y.iter().sum::<f64>() / count;
    if let Tail::Variance { aversion } = utility.tail {
        let eta = certainty(&y, aversion);
        let beyond = y.iter().filter(|v| **v - eta > 1.0 / aversion).count();
        certificate.notes.push(format!(
            "{beyond} of {} scenarios are so good that plain mean–variance would count them against the plan",
            y.len()
        ));
    }
    let level = match scenarios.objective {
        Attitude::MeanCvar { level, .. } => level,
        _ => 0.9,
    };
    let risk = Risk {
        mean,
        standard_deviation: (y.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt(),
        cvar: cvar(&y, (1.0 - level) * count),
        worst: y.iter().copied().fold(f64::INFINITY, f64::min),
        regret: (scenarios.objective == Attitude::Regret).then_some(-value),
    };
    // Mean own response per cell, not weighted by what it is worth.
    let own: Vec<f64> = (0..n)
        .map(|i| {
            let of = |s: usize| outcomes.curves[s * n + i].value(point.x[i]);
            let worth: f64 = (0..y.len()).map(of).sum::<f64>() / count;
            if laid.cells[i].weight == 0.0 {
                0.0
            } else {
                worth / laid.cells[i].weight
            }
        })
        .collect();
    let cells = places
        .iter()
        .enumerate()
        .map(|(i, place)| PlannedCell {
            brand: laid.brands[laid.cells[i].brand].clone(),
            channel: laid.channels[laid.cells[i].channel].clone(),
            spend: place.x,
            current: laid.cells[i].current,
            response: laid.cells[i].weight * own[i],
            marginal: place.marginal,
            price: price[i],
            held: held(place),
            weekly: Vec::new(),
        })
        .collect();
    let current_value = laid.has_current.then(|| {
        let now: Vec<f64> = laid.cells.iter().map(|c| c.current).collect();
        utility.of(&outcomes.values(&now))
    });
    let mut plan: Plan = assemble(laid, cells, &own, current_value, certificate);
    plan.risk = Some(risk);
    Ok(Answer::Planned(Box::new(plan)))
}

/// Puts spends on the bounds that hold them: an interior method stops a little before.
fn snapped(point: &Point, slope: &[f64], lower: &[f64], upper: &[f64], rows: &[Row]) -> Vec<f64> {
    let n = point.x.len();
    let mut net = vec![0.0; n];
    for (share, slopes) in point.shares.iter().zip(slope.chunks(n)) {
        if *share != 0.0 {
            for (net, s) in net.iter_mut().zip(slopes) {
                *net += share * s;
            }
        }
    }
    let size = net
        .iter()
        .map(|v| v.abs())
        .filter(|v| v.is_finite())
        .sum::<f64>()
        / n as f64;
    for (row, price) in rows.iter().zip(&point.prices) {
        for &(i, a) in &row.terms {
            net[i] -= price * a;
        }
    }
    (0..n)
        .map(|i| {
            let (x, width) = (point.x[i], (upper[i] - lower[i]).max(1e-300));
            // A bound holds a spend when its pull is large and its distance small, each in its own unit.
            if (x - lower[i]) / width < -net[i] / size * 1e-3 && x - lower[i] < 1e-6 * width {
                lower[i]
            } else if (upper[i] - x) / width < net[i] / size * 1e-3 && upper[i] - x < 1e-6 * width {
                upper[i]
            } else {
                x
            }
        })
        .collect()
}
