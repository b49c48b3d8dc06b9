//! Variable projection: least squares in which only the shapes of the curves are searched.
//!
//! For given shapes everything else is linear and is solved at once, channels with coefficients that are not negative (Golub and
//! Pereyra 1973; Lawson and Hanson 1974 for the signs). The profile's gradient needs no derivative of that solution, because it is
//! an optimum. The search is L-BFGS from several starts.

use super::{
    density::{Density, Design, Effect, Guess, factor_of_gram},
    prior::{Prior, Support},
};
use crate::{
    cancel::{Cancel, Cancelled},
    descent::{Limits, descend},
    linear::{Cholesky, add_scaled, dot},
    rng,
};

/// The linear part for given shapes.
struct Linear {
    /// Columns of controls, season, trend and deviations of groups, zero where the outcome is not known.
    columns: Vec<Vec<f64>>,
    /// Column of the design and group of each.
    origin: Vec<(usize, Option<usize>)>,
    gram: Cholesky,
    outcome: Vec<f64>,
    /// Coefficients of the outcome on the columns.
    outcome_solution: Vec<f64>,
    /// Ridge on the coefficients of channels.
    ridge: Vec<f64>,
    /// Channels whose coefficient may be negative.
    signed: Vec<bool>,
    observations: f64,
}

impl Linear {
    fn new(design: &Design, cancel: &dyn Cancel) -> Result<Self, Cancelled> {
        let n = design.periods;
        let known = |values: &[f64]| -> Vec<f64> {
            values
                .iter()
                .zip(&design.known)
                .map(|(v, k)| v * k)
                .collect()
        };
        // The ridge of a prior is noise variance over prior variance. Noise takes a tenth of the outcome's variance here; the
        // prior's width hardly matters unless data are few.
        let scale = dot(&design.outcome, &design.outcome) / design.rows() as f64;
        let noise = 0.1 * scale;
        let (mut columns, mut origin, mut penalty) = (Vec::new(), Vec::new(), Vec::new());
        for (j, column) in design.columns.iter().enumerate() {
            if column.prior.support() == Support::Real {
                columns.push(known(&column.values));
                origin.push((j, None));
                penalty.push(noise * column.prior.precision());
            }
            if let Some(spread) = column.spread {
                let sd = spread.centre().max(1e-3);
                for g in 0..design.groups {
                    let mut values = vec![0.0; design.rows()];
                    values[g * n..(g + 1) * n].copy_from_slice(&column.values[g * n..(g + 1) * n]);
                    columns.push(known(&values));
                    origin.push((j, Some(g)));
                    penalty.push(noise / (sd * sd));
                }
            }
        }
        let gram = factor_of_gram(&columns, &penalty, cancel)?;
        let outcome = design.outcome.clone();
        let moments: Vec<f64> = columns.iter().map(|c| dot(c, &outcome)).collect();
        let prior = |effect: Effect| match effect {
            Effect::Coefficient(prior) => prior,
            Effect::Return(..) => Prior::HalfNormal { sd: 2.0 },
        };
        Ok(Self {
            outcome_solution: gram.solve(&moments),
            gram,
            outcome,
            columns,
            origin,
            ridge: design
                .channels
                .iter()
                .map(|c| noise * prior(c.effect).precision())
                .collect(),
            signed: design
                .channels
                .iter()
                .map(|c| prior(c.effect).support() == Support::Real)
                .collect(),
            observations: design.known.iter().sum(),
        })
    }

    /// Coefficients of channels and columns, residual, and penalised sum of squares.
    fn solve(&self, media: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>, Vec<f64>, f64) {
        let c = media.len();
        let solutions: Vec<Vec<f64>> = media
            .iter()
            .map(|s| {
                let moments: Vec<f64> = self.columns.iter().map(|z| dot(z, s)).collect();
                self.gram.solve(&moments)
            })
            .collect();
        let left = |v: &[f64], solution: &[f64]| {
            let mut out = v.to_vec();
            for (column, k) in self.columns.iter().zip(solution) {
                add_scaled(&mut out, -k, column);
            }
            out
        };
        let free: Vec<Vec<f64>> = media
            .iter()
            .zip(&solutions)
            .map(|(s, solution)| left(s, solution))
            .collect();
        let target = left(&self.outcome, &self.outcome_solution);
        let mut matrix = vec![0.0; c * c];
        for i in 0..c {
            for j in 0..=i {
                let value = dot(&media[i], &free[j]);
                matrix[i * c + j] = value;
                matrix[j * c + i] = value;
            }
            matrix[i * c + i] += self.ridge[i] + 1e-10 * matrix[i * c + i];
        }
        let moments: Vec<f64> = media.iter().map(|s| dot(s, &target)).collect();
        let betas = not_negative(&matrix, &moments, &self.signed);
        let mut coefficients = self.outcome_solution.clone();
        let mut residual = target;
        for ((beta, solution), free) in betas.iter().zip(&solutions).zip(&free) {
            add_scaled(&mut coefficients, -beta, solution);
            add_scaled(&mut residual, -beta, free);
        }
        // y'My − 2β'b + β'Gβ, where y'My is y times the target.
        let mut squares = dot(&self.outcome, &residual);
        for i in 0..c {
            let explained = dot(&matrix[i * c..(i + 1) * c], &betas);
            squares += betas[i] * (explained - moments[i]);
        }
        // y'r carries −β'b once already; what is left of the form is zero at an unbounded optimum.
        (betas, coefficients, residual, squares.max(1e-12))
    }
}

/// Minimises `½β'Gβ − β'b` with `β ≥ 0` but for signed entries: active set of Lawson and Hanson.
fn not_negative(matrix: &[f64], moments: &[f64], signed: &[bool]) -> Vec<f64> {
    let n = moments.len();
    let mut inside: Vec<bool> = signed.to_vec();
    let mut x = vec![0.0; n];
    let solve = |inside: &[bool]| {
        let index: Vec<usize> = (0..n).filter(|i| inside[*i]).collect();
        let k = index.len();
        let mut sub = vec![0.0; k * k];
        for (a, i) in index.iter().enumerate() {
            for (b, j) in index.iter().enumerate() {
                sub[a * k + b] = matrix[i * n + j];
            }
        }
        let right: Vec<f64> = index.iter().map(|i| moments[*i]).collect();
        let solution = Cholesky::new(&sub, k).solve(&right);
        let mut full = vec![0.0; n];
        for (i, v) in index.iter().zip(solution) {
            full[*i] = v;
        }
        full
    };
    if inside.iter().any(|i| *i) {
        x = solve(&inside);
    }
    for _ in 0..3 * n + 1 {
        let gain = |i: usize, x: &[f64]| moments[i] - dot(&matrix[i * n..(i + 1) * n], x);
        let best = (0..n)
            .filter(|i| !inside[*i])
            .map(|i| (i, gain(i, &x)))
            .filter(|(i, g)| *g > 1e-10 * matrix[i * n + i].sqrt().max(1e-300))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((enter, _)) = best else { break };
        inside[enter] = true;
        loop {
            let candidate = solve(&inside);
            let blocked = (0..n)
                .filter(|i| inside[*i] && !signed[*i] && candidate[*i] <= 0.0)
                .map(|i| x[i] / (x[i] - candidate[i]).max(1e-300))
                .fold(f64::INFINITY, f64::min);
            if blocked.is_infinite() {
                x = candidate;
                break;
            }
            for i in 0..n {
                x[i] += blocked.min(1.0) * (candidate[i] - x[i]);
                if inside[i] && !signed[i] && x[i] <= 1e-14 {
                    inside[i] = false;
                    x[i] = 0.0;
                }
            }
            if !inside.iter().any(|i| *i) {
                break;
            }
        }
    }
    x
}

struct Profile<'p, 'd> {
    density: Density<'d>,
    linear: &'p Linear,
    design: &'d Design,
    lengths: Vec<usize>,
}

impl Profile<'_, '_> {
    /// Negative log posterior of the shapes, everything else at its optimum, and its gradient.
    fn evaluate(&mut self, u: &[f64]) -> (f64, Vec<f64>) {
        let density = &mut self.density;
        let media = media(density, self.design, &self.lengths, u);
        let (betas, _, residual, squares) = self.linear.solve(&media);
        let n = self.linear.observations;
        let mut value = 0.5 * n * squares.ln();
        let mut gradient = Vec::with_capacity(u.len());
        for (m, beta) in betas.iter().enumerate() {
            let mut adjoint: Vec<f64> = residual.iter().map(|r| -n / squares * beta * r).collect();
            density.shape_slopes(m, &mut adjoint, -1.0, &mut gradient);
        }
        let mut at = 0;
        for m in 0..betas.len() {
            for prior in density.shape_priors(m) {
                value -= prior.at(u[at]).density;
                at += 1;
            }
        }
        (value, gradient)
    }
}

fn media(
    density: &mut Density<'_>,
    design: &Design,
    lengths: &[usize],
    u: &[f64],
) -> Vec<Vec<f64>> {
    let mut at = 0;
    lengths
        .iter()
        .enumerate()
        .map(|(m, length)| {
            density.shape(m, &u[at..at + length]);
            at += length;
            density.states[m]
                .saturated
                .iter()
                .zip(&design.known)
                .map(|(s, k)| s * k)
                .collect()
        })
        .collect()
}

/// The best guesses from `starts` searches, best first.
///
/// # Errors
/// [`Cancelled`], asked at every point.
pub(super) fn search(
    density: &Density<'_>,
    starts: usize,
    seed: u64,
    cancel: &dyn Cancel,
) -> Result<Vec<Guess>, Cancelled> {
    let design = density.design;
    let linear = Linear::new(design, cancel)?;
    let lengths: Vec<usize> = (0..design.channels.len())
        .map(|m| density.shape_priors(m).count())
        .collect();
    let priors: Vec<Prior> = (0..design.channels.len())
        .flat_map(|m| density.shape_priors(m))
        .collect();
    let mut found: Vec<(f64, Vec<f64>)> = Vec::new();
    let mut stream = rng::stream(seed, &[0x7661_7270]);
    for start in 0..starts.max(1) {
        cancel.check()?;
        let spread = if start == 0 { 0.0 } else { 1.0 };
        let u: Vec<f64> = priors
            .iter()
            .map(|p| p.coordinate(p.centre()) + spread * rng::normal(&mut stream))
            .collect();
        let mut profile = Profile {
            density: density.clone(),
            linear: &linear,
            design,
            lengths: lengths.clone(),
        };
        let (value, gradient) = profile.evaluate(&u);
        let norm = dot(&gradient, &gradient).sqrt();
        if u.is_empty() || !norm.is_finite() || norm < 1e-9 {
            found.push((value, u));
            continue;
        }
        // The first step of L-BFGS has the length of the gradient; three tenths are a careful one on these scales.
        let scale = 0.3 / norm;
        let limits = Limits {
            memory: 8,
            steps: 60,
            evaluations: 2_000,
        };
        let (lowest, u) = descend(u, limits, cancel, |u| {
            let (value, gradient) = profile.evaluate(u);
            (
                scale * value,
                gradient.into_iter().map(|g| scale * g).collect(),
            )
        })?;
        let value = lowest / scale;
        found.push((value, u));
    }
    found.retain(|(value, _)| value.is_finite());
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut density = density.clone();
    Ok(found
        .into_iter()
        .map(|(_, u)| guess(&mut density, &linear, &lengths, &u))
        .collect())
}

fn guess(density: &mut Density<'_>, linear: &Linear, lengths: &[usize], u: &[f64]) -> Guess {
    let design = density.design;
    let media = media(density, design, lengths, u);
    let (betas, solution, residual, _) = linear.solve(&media);
    let mut coefficients: Vec<f64> = design.columns.iter().map(|c| c.prior.centre()).collect();
    let mut deviations: Vec<Vec<f64>> = design
        .columns
        .iter()
        .map(|c| vec![0.0; if c.spread.is_some() { design.groups } else { 0 }])
        .collect();
    for ((j, g), k) in linear.origin.iter().zip(solution) {
        match g {
            None => coefficients[*j] = k,
            Some(g) => deviations[*j][*g] = k,
        }
    }
    let mut at = 0;
    let shapes = lengths
        .iter()
        .map(|length| {
            at += length;
            u[at - length..at].to_vec()
        })
        .collect();
    // A coefficient at zero has no logarithm: one hundredth of what would explain the outcome is small enough.
    let size = (dot(&design.outcome, &design.outcome) / design.rows() as f64).sqrt();
    let betas = betas
        .iter()
        .zip(&media)
        .zip(&linear.signed)
        .map(|((beta, s), signed)| {
            let typical = (dot(s, s) / s.len() as f64).sqrt().max(1e-9);
            if *signed {
                *beta
            } else {
                beta.max(0.01 * size / typical)
            }
        })
        .collect();
    Guess {
        sigma: (dot(&residual, &residual) / linear.observations)
            .sqrt()
            .max(1e-6),
        coefficients,
        deviations,
        shapes,
        betas,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_squares_without_negative_coefficients() {
        // The unbounded answer of the second has a negative entry; the bounded one is on the edge.
        let matrix = [2.0, 0.0, 0.0, 1.0];
        let x = not_negative(&matrix, &[4.0, 3.0], &[false; 2]);
        assert!((x[0] - 2.0).abs() < 1e-12 && (x[1] - 3.0).abs() < 1e-12);
        let matrix = [1.0, 0.9, 0.9, 1.0];
        let x = not_negative(&matrix, &[1.0, 0.5], &[false; 2]);
        assert_eq!(x, [1.0, 0.0]);
        let signed = not_negative(&matrix, &[1.0, 0.5], &[false, true]);
        assert!(signed[1] < 0.0);
        let gap = signed[0] + 0.9 * signed[1] - 1.0;
        assert!(gap.abs() < 1e-12);
    }
}
