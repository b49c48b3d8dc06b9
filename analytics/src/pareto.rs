//! Pareto search: NSGA-II and NSGA-III, seeded, exact hypervolume, and fronts of allocation plans with their gap to the bound.
//!
//! All objectives are minimised. The search is for what cannot be written as an [`crate::allocation::Problem`]; where it can,
//! the exact method is better by far and its plans make good seeds ([`plans`]).

mod hypervolume;
pub mod plans;
mod survival;
#[cfg(test)]
mod tests;
mod variation;

use std::collections::HashSet;

use rand::Rng;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use hypervolume::hypervolume;

use crate::{
    cancel::{Cancel, Cancelled},
    rng,
};
use survival::Survival;

/// Writes the objectives (to be minimised) of a point and returns by how much it breaks constraints (0 for not at all).
pub type Evaluate<'a> = &'a (dyn Fn(&[f64], &mut [f64]) -> f64 + Sync);

/// Makes a point that variation produced one that is worth evaluating, in place.
pub type Repair<'a> = &'a (dyn Fn(&mut [f64]) + Sync);

/// A box and what is measured in it.
pub struct Search<'a> {
    /// Least value of each variable.
    pub lower: &'a [f64],
    /// Largest value of each variable.
    pub upper: &'a [f64],
    /// Number of objectives.
    pub objectives: usize,
    /// Measures a point.
    pub evaluate: Evaluate<'a>,
    /// Repairs a point.
    pub repair: Option<Repair<'a>>,
}

/// Which members survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Method {
    /// Rank and crowding (Deb, Pratap, Agarwal and Meyarivan 2002); the last front is thinned one member at a time, crowding
    /// recomputed each time (Kukkonen and Deb 2006).
    Nsga2,
    /// Rank and closeness to evenly spread directions (Deb and Jain 2014).
    Nsga3 {
        /// Divisions of each axis (Das and Dennis 1998); 12 make 91 directions for three objectives.
        divisions: usize,
    },
}

/// How to search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Members.
    pub population: usize,
    /// Distinct points to evaluate, the first population included.
    pub evaluations: usize,
    /// Survival.
    pub method: Method,
    /// Distribution index of simulated binary crossover: high keeps children near their parents.
    pub crossover: f64,
    /// Distribution index of polynomial mutation.
    pub mutation: f64,
    /// Seed of every random number.
    pub seed: u64,
    /// Threads that evaluate. The result does not depend on it.
    pub threads: usize,
    /// Points to start from; the rest of the first population is random.
    pub seeds: Vec<Vec<f64>>,
}

impl Settings {
    /// Settings for many objectives: NSGA-III with these divisions, and indices that keep children closer to their parents.
    #[must_use]
    pub fn directions(divisions: usize) -> Self {
        Self {
            method: Method::Nsga3 { divisions },
            crossover: 30.0,
            mutation: 30.0,
            ..Self::default()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            population: 100,
            evaluations: 25_000,
            method: Method::Nsga2,
            crossover: 15.0,
            mutation: 20.0,
            seed: 0,
            threads: 1,
            seeds: Vec::new(),
        }
    }
}

/// A member of the final population.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Variables.
    pub x: Vec<f64>,
    /// Objectives.
    pub objectives: Vec<f64>,
    /// By how much it breaks constraints.
    pub violation: f64,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Front {
    /// The final population, in order of its first objective.
    pub population: Vec<Member>,
    /// Indices of the members that no other member dominates.
    pub front: Vec<usize>,
    /// Points evaluated, all distinct.
    pub evaluations: usize,
}

/// Why a search could not be run.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ParetoError {
    /// No variable, no objective, no member or a seed of the wrong length.
    #[error("{0}")]
    Shape(&'static str),
    /// A bound that is not finite or above its counterpart.
    #[error("variable {variable} has bounds {lower} and {upper}")]
    Bounds {
        /// Which variable.
        variable: usize,
        /// Its lower bound.
        lower: f64,
        /// Its upper bound.
        upper: f64,
    },
    /// An objective or violation that is not a number.
    #[error("objectives are not numbers at {x:?}")]
    NotANumber {
        /// Where.
        x: Vec<f64>,
    },
    /// Stopped by the caller.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Members side by side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Population {
    pub(crate) x: Vec<f64>,
    pub(crate) f: Vec<f64>,
    pub(crate) violation: Vec<f64>,
    pub(crate) n: usize,
    pub(crate) m: usize,
}

impl Population {
    fn new(n: usize, m: usize) -> Self {
        Self {
            n,
            m,
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.violation.len()
    }

    pub(crate) fn x(&self, i: usize) -> &[f64] {
        &self.x[i * self.n..(i + 1) * self.n]
    }

    pub(crate) fn f(&self, i: usize) -> &[f64] {
        &self.f[i * self.m..(i + 1) * self.m]
    }

    fn append(&mut self, other: &Self) {
        self.x.extend_from_slice(&other.x);
        self.f.extend_from_slice(&other.f);
        self.violation.extend_from_slice(&other.violation);
    }

    fn take(&self, chosen: &[usize]) -> Self {
        let mut taken = Self::new(self.n, self.m);
        for &i in chosen {
            taken.x.extend_from_slice(self.x(i));
            taken.f.extend_from_slice(self.f(i));
            taken.violation.push(self.violation[i]);
        }
        taken
    }
}

/// Evaluations between two questions whether to stop.
const BATCH: usize = 16;

/// Evaluates every point of `xs` (each `n` long).
fn evaluate(
    search: &Search<'_>,
    xs: &[f64],
    threads: usize,
    cancel: &dyn Cancel,
) -> Result<Population, ParetoError> {
    let (n, m) = (search.lower.len(), search.objectives);
    let count = xs.len() / n;
    let mut f = vec![0.0; count * m];
    let mut violation = vec![0.0; count];
    let some = |xs: &[f64], f: &mut [f64], violation: &mut [f64]| {
        for ((x, f), v) in xs.chunks(n).zip(f.chunks_mut(m)).zip(violation.iter_mut()) {
            *v = (search.evaluate)(x, f);
        }
    };
    let threads = threads.max(1);
    let batch = BATCH * threads;
    for start in (0..count).step_by(batch) {
        cancel.check()?;
        let end = (start + batch).min(count);
        let (xs, f, v) = (
            &xs[start * n..end * n],
            &mut f[start * m..end * m],
            &mut violation[start..end],
        );
        if threads == 1 {
            some(xs, f, v);
        } else {
            let share = (end - start).div_ceil(threads);
            std::thread::scope(|scope| {
                for ((xs, f), v) in xs
                    .chunks(share * n)
                    .zip(f.chunks_mut(share * m))
                    .zip(v.chunks_mut(share))
                {
                    scope.spawn(move || some(xs, f, v));
                }
            });
        }
    }
    for i in 0..count {
        if violation[i].is_nan() || f[i * m..(i + 1) * m].iter().any(|v| v.is_nan()) {
            return Err(ParetoError::NotANumber {
                x: xs[i * n..(i + 1) * n].to_vec(),
            });
        }
    }
    Ok(Population {
        x: xs.to_vec(),
        f,
        violation: violation.iter().map(|v| v.max(0.0)).collect(),
        n,
        m,
    })
}

/// Searches for the Pareto front.
///
/// # Errors
/// [`ParetoError`] for a search that makes no sense, an objective that is not a number, or when the caller wants to stop.
pub fn search(
    search: &Search<'_>,
    settings: &Settings,
    cancel: &dyn Cancel,
) -> Result<Front, ParetoError> {
    let (n, m) = (search.lower.len(), search.objectives);
    if n == 0 || m == 0 || search.upper.len() != n {
        return Err(ParetoError::Shape(
            "there have to be variables with two bounds each, and objectives",
        ));
    }
    if settings.population < 4 {
        return Err(ParetoError::Shape("a population has at least four members"));
    }
    if settings.seeds.iter().any(|seed| seed.len() != n) {
        return Err(ParetoError::Shape("a seed has the wrong length"));
    }
    if !(settings.crossover >= 0.0 && settings.mutation >= 0.0) {
        return Err(ParetoError::Shape("distribution indices are not negative"));
    }
    for (variable, (lower, upper)) in search.lower.iter().zip(search.upper).enumerate() {
        if !lower.is_finite() || !upper.is_finite() || lower > upper {
            return Err(ParetoError::Bounds {
                variable,
                lower: *lower,
                upper: *upper,
            });
        }
    }
    let size = settings.population;
    let budget = settings.evaluations.max(1);
    let mut random = rng::stream(settings.seed, &[0x5041_5245_544f]);
    let mut survival = Survival::new(settings.method, m);
    // Everything that was ever evaluated, by its bits.
    let mut seen: HashSet<u64> = HashSet::with_capacity(budget.min(1 << 20));

    let mut first: Vec<f64> = Vec::with_capacity(size * n);
    for seed in settings.seeds.iter().take(size.min(budget)) {
        let mut x: Vec<f64> = seed
            .iter()
            .zip(search.lower.iter().zip(search.upper))
            .map(|(v, (l, u))| v.clamp(*l, *u))
            .collect();
        if x.iter().any(|v| v.is_nan()) {
            return Err(ParetoError::Shape("a seed is not a number"));
        }
        if let Some(repair) = search.repair {
            repair(&mut x);
        }
        if seen.insert(bits(&x)) {
            first.extend_from_slice(&x);
        }
    }
    let mut misses = 0;
    while first.len() < size.min(budget) * n && misses < 100 {
        let mut x: Vec<f64> = (0..n)
            .map(|i| search.lower[i] + (search.upper[i] - search.lower[i]) * random.random::<f64>())
            .collect();
        if let Some(repair) = search.repair {
            repair(&mut x);
        }
        if seen.insert(bits(&x)) {
            first.extend_from_slice(&x);
        } else {
            misses += 1;
        }
    }
    let mut population = evaluate(search, &first, settings.threads, cancel)?;
    let mut evaluations = population.len();
    let everyone: Vec<usize> = (0..population.len()).collect();
    let mut standing = survival
        .select(&population, everyone.len(), &mut random, cancel)?
        .standing;

    let mut children: Vec<f64> = Vec::with_capacity(size * n);
    let (mut a, mut b) = (vec![0.0; n], vec![0.0; n]);
    let mut exhausted = false;
    while evaluations < budget && !exhausted {
        cancel.check()?;
        let wanted = size.min(budget - evaluations);
        children.clear();
        let mut misses = 0;
        while children.len() < wanted * n {
            let parents = tournament(&population, &standing, &mut random);
            a.copy_from_slice(population.x(parents.0));
            b.copy_from_slice(population.x(parents.1));
            if random.random::<f64>() < 0.9 {
                variation::cross(
                    &mut a,
                    &mut b,
                    search.lower,
                    search.upper,
                    settings.crossover,
                    &mut random,
                );
            }
            for child in [&mut a, &mut b] {
                variation::mutate(
                    child,
                    search.lower,
                    search.upper,
                    settings.mutation,
                    &mut random,
                );
                if let Some(repair) = search.repair {
                    repair(child);
                }
                if children.len() >= wanted * n {
                    continue;
                }
                if seen.insert(bits(child)) {
                    children.extend_from_slice(child);
                } else {
                    misses += 1;
                }
            }
            // A space with few points, or none left.
            if misses > 1000 + 10 * wanted {
                exhausted = true;
                break;
            }
        }
        let offspring = evaluate(search, &children, settings.threads, cancel)?;
        evaluations += offspring.len();
        population.append(&offspring);
        let chosen = survival.select(&population, size, &mut random, cancel)?;
        population = population.take(&chosen.members);
        standing = chosen.standing;
    }
    let mut order: Vec<usize> = (0..population.len()).collect();
    order.sort_by(|&a, &b| {
        population
            .f(a)
            .iter()
            .zip(population.f(b))
            .map(|(a, b)| a.total_cmp(b))
            .find(|o| o.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
            .then(a.cmp(&b))
    });
    let population = population.take(&order);
    let rank = survival::ranks(&population, cancel)?;
    Ok(Front {
        front: (0..population.len()).filter(|&i| rank[i] == 0).collect(),
        population: (0..population.len())
            .map(|i| Member {
                x: population.x(i).to_vec(),
                objectives: population.f(i).to_vec(),
                violation: population.violation[i],
            })
            .collect(),
        evaluations,
    })
}

/// A fingerprint of the exact bits of a point (FNV-1a over 64-bit words, mixed).
fn bits(x: &[f64]) -> u64 {
    x.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, v| {
        let word = (hash ^ (v + 0.0).to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word ^ (word >> 29)
    })
}

/// Two parents, each the better of two drawn.
fn tournament(
    population: &Population,
    standing: &[(usize, f64)],
    random: &mut rng::Stream,
) -> (usize, usize) {
    let mut four = [0usize; 4];
    for slot in &mut four {
        *slot = random.random_range(0..population.len());
    }
    // Lower rank first, then more room.
    let better = |a: usize, b: usize| {
        let (x, y) = (standing[a], standing[b]);
        if x.0 < y.0 || (x.0 == y.0 && x.1 >= y.1) {
            a
        } else {
            b
        }
    };
    (better(four[0], four[1]), better(four[2], four[3]))
}
