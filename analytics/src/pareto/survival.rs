//! Who survives: non-dominated ranks, then crowding (NSGA-II) or directions (NSGA-III).

use rand::Rng;

use super::{Method, Population};
use crate::{
    cancel::{Cancel, Cancelled},
    rng::Stream,
};

/// Members that are looked at between two questions whether to stop.
const QUESTION: usize = 256;

/// The survivors and how they stand against each other in the next tournament: rank, then room (more is better).
pub(super) struct Selected {
    pub(super) members: Vec<usize>,
    pub(super) standing: Vec<(usize, f64)>,
}

pub(super) struct Survival {
    method: Method,
    directions: Vec<Vec<f64>>,
    /// Best value of each objective ever seen.
    ideal: Vec<f64>,
    /// Members that were extreme in each objective.
    extremes: Vec<Vec<f64>>,
}

impl Survival {
    pub(super) fn new(method: Method, objectives: usize) -> Self {
        let directions = match method {
            Method::Nsga2 => Vec::new(),
            Method::Nsga3 { divisions } => simplex(objectives, divisions.max(1)),
        };
        Self {
            method,
            directions,
            ideal: vec![f64::INFINITY; objectives],
            extremes: Vec::new(),
        }
    }

    pub(super) fn select(
        &mut self,
        population: &Population,
        size: usize,
        random: &mut Stream,
        cancel: &dyn Cancel,
    ) -> Result<Selected, Cancelled> {
        let ranks = ranks(population, cancel)?;
        let most = ranks.iter().copied().max().unwrap_or(0);
        let mut fronts: Vec<Vec<usize>> = vec![Vec::new(); most + 1];
        for (i, rank) in ranks.iter().enumerate() {
            fronts[*rank].push(i);
        }
        let mut members: Vec<usize> = Vec::with_capacity(size);
        let mut last = Vec::new();
        for front in fronts {
            if members.len() + front.len() <= size {
                members.extend(front);
            } else {
                last = front;
                break;
            }
        }
        let feasible = |i: &usize| population.violation[*i] == 0.0;
        match self.method {
            Method::Nsga3 { .. } if members.iter().chain(&last).all(feasible) => {
                Ok(self.by_direction(population, &mut members, &last, size, random, &ranks))
            }
            _ => {
                let room = size - members.len();
                if room > 0 && !last.is_empty() {
                    members.extend(thin(population, &last, room, cancel)?);
                }
                let mut standing = vec![(0, 0.0); members.len()];
                // Crowding within each rank of the survivors.
                let mut order: Vec<usize> = (0..members.len()).collect();
                order.sort_by_key(|&i| ranks[members[i]]);
                for group in order.chunk_by(|&a, &b| ranks[members[a]] == ranks[members[b]]) {
                    let front: Vec<usize> = group.iter().map(|&i| members[i]).collect();
                    for (&i, room) in group.iter().zip(Crowd::new(population, &front).distances()) {
                        standing[i] = (ranks[members[i]], room);
                    }
                }
                Ok(Selected { members, standing })
            }
        }
    }

    /// NSGA-III: objectives are normalised by ideal point and intercepts, members are attached to their nearest direction,
    /// and the last front fills the directions with the fewest members.
    fn by_direction(
        &mut self,
        population: &Population,
        members: &mut Vec<usize>,
        last: &[usize],
        size: usize,
        random: &mut Stream,
        ranks: &[usize],
    ) -> Selected {
        let m = population.m;
        let considered: Vec<usize> = members.iter().chain(last).copied().collect();
        let best: Vec<usize> = considered
            .iter()
            .copied()
            .filter(|&i| ranks[i] == 0)
            .collect();
        for &i in &considered {
            for (ideal, f) in self.ideal.iter_mut().zip(population.f(i)) {
                *ideal = ideal.min(*f);
            }
        }
        let nadir = self.nadir(population, &best, &considered);
        let scale: Vec<f64> = (0..m)
            .map(|j| (nadir[j] - self.ideal[j]).max(1e-12))
            .collect();
        // Nearest direction and squared distance to it.
        let near: Vec<(usize, f64)> = considered
            .iter()
            .map(|&i| {
                let point: Vec<f64> = (0..m)
                    .map(|j| (population.f(i)[j] - self.ideal[j]) / scale[j])
                    .collect();
                let length: f64 = point.iter().map(|v| v * v).sum();
                let mut found = (0, f64::INFINITY);
                for (d, direction) in self.directions.iter().enumerate() {
                    let along: f64 = point.iter().zip(direction).map(|(a, b)| a * b).sum();
                    let off = length - along * along;
                    if off < found.1 {
                        found = (d, off);
                    }
                }
                found
            })
            .collect();
        let kept = members.len();
        let mut counts = vec![0usize; self.directions.len()];
        for (d, _) in &near[..kept] {
            counts[*d] += 1;
        }
        let mut chosen: Vec<usize> = (0..kept).collect();
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); self.directions.len()];
        if !last.is_empty() && kept < size {
            for k in kept..considered.len() {
                waiting[near[k].0].push(k);
            }
            while chosen.len() < size {
                let least = (0..counts.len())
                    .filter(|&d| !waiting[d].is_empty())
                    .map(|d| counts[d])
                    .min();
                let Some(least) = least else { break };
                let open: Vec<usize> = (0..counts.len())
                    .filter(|&d| !waiting[d].is_empty() && counts[d] == least)
                    .collect();
                let d = open[random.random_range(0..open.len())];
                let pick = if least == 0 {
                    (0..waiting[d].len())
                        .min_by(|&a, &b| near[waiting[d][a]].1.total_cmp(&near[waiting[d][b]].1))
                        .unwrap_or(0)
                } else {
                    random.random_range(0..waiting[d].len())
                };
                chosen.push(waiting[d].swap_remove(pick));
                counts[d] += 1;
            }
        }
        *members = chosen.iter().map(|&k| considered[k]).collect();
        Selected {
            members: members.clone(),
            // Deb and Jain pick parents at random; closeness to the direction decides between members of one direction only.
            standing: chosen
                .iter()
                .map(|&k| (ranks[considered[k]], 0.0))
                .collect(),
        }
    }

    /// Where the plane through the extreme members meets the axes; the worst of the best front where there is no such plane.
    fn nadir(&mut self, population: &Population, best: &[usize], considered: &[usize]) -> Vec<f64> {
        let m = population.m;
        let mut candidates: Vec<Vec<f64>> = self.extremes.clone();
        candidates.extend(best.iter().map(|&i| population.f(i).to_vec()));
        let ideal = self.ideal.clone();
        self.extremes = (0..m)
            .map(|axis| {
                let along = |f: &[f64]| {
                    (0..m)
                        .map(|j| {
                            let off = (f[j] - ideal[j]).max(0.0);
                            let off = if off < 1e-3 { 0.0 } else { off };
                            if j == axis { off } else { off * 1e6 }
                        })
                        .fold(0.0, f64::max)
                };
                candidates
                    .iter()
                    .min_by(|a, b| along(a).total_cmp(&along(b)))
                    .cloned()
                    .unwrap_or_else(|| vec![1.0; m])
            })
            .collect();
        let worst = |members: &[usize]| -> Vec<f64> {
            (0..m)
                .map(|j| {
                    members
                        .iter()
                        .map(|&i| population.f(i)[j])
                        .fold(f64::NEG_INFINITY, f64::max)
                })
                .collect()
        };
        let of_best = worst(best);
        let of_all = worst(considered);
        let matrix: Vec<Vec<f64>> = self
            .extremes
            .iter()
            .map(|e| (0..m).map(|j| e[j] - ideal[j]).collect())
            .collect();
        let mut nadir = match plane(matrix) {
            Some(intercepts)
                if intercepts
                    .iter()
                    .enumerate()
                    .all(|(j, v)| *v > 1e-6 && *v <= of_all[j] - ideal[j] + 1e-9) =>
            {
                (0..m).map(|j| ideal[j] + intercepts[j]).collect()
            }
            _ => of_best,
        };
        for j in 0..m {
            if nadir[j] - ideal[j] < 1e-6 {
                nadir[j] = of_all[j];
            }
        }
        nadir
    }
}

/// Intercepts of the plane through `m` points.
fn plane(mut matrix: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let m = matrix.len();
    let mut right = vec![1.0; m];
    for k in 0..m {
        let pivot = (k..m).max_by(|&a, &b| matrix[a][k].abs().total_cmp(&matrix[b][k].abs()))?;
        if matrix[pivot][k].abs() < 1e-12 {
            return None;
        }
        matrix.swap(k, pivot);
        right.swap(k, pivot);
        for r in k + 1..m {
            let factor = matrix[r][k] / matrix[k][k];
            let (above, below) = matrix.split_at_mut(r);
            for (entry, pivot) in below[0][k..].iter_mut().zip(&above[k][k..]) {
                *entry -= factor * pivot;
            }
            right[r] -= factor * right[k];
        }
    }
    for k in (0..m).rev() {
        let sum: f64 = (k + 1..m).map(|c| matrix[k][c] * right[c]).sum();
        right[k] = (right[k] - sum) / matrix[k][k];
    }
    let intercepts: Vec<f64> = right.iter().map(|v| 1.0 / v).collect();
    intercepts
        .iter()
        .all(|v| v.is_finite())
        .then_some(intercepts)
}

/// Evenly spread unit directions (Das and Dennis 1998).
fn simplex(m: usize, divisions: usize) -> Vec<Vec<f64>> {
    fn fill(left: usize, slots: usize, head: &mut Vec<usize>, out: &mut Vec<Vec<usize>>) {
        if slots == 1 {
            head.push(left);
            out.push(head.clone());
            head.pop();
            return;
        }
        for k in 0..=left {
            head.push(k);
            fill(left - k, slots - 1, head, out);
            head.pop();
        }
    }
    let mut out = Vec::new();
    fill(divisions, m, &mut Vec::new(), &mut out);
    out.into_iter()
        .map(|counts| {
            let length = counts.iter().map(|c| (c * c) as f64).sum::<f64>().sqrt();
            counts.into_iter().map(|c| c as f64 / length).collect()
        })
        .collect()
}

/// Rank of every member: 0 is not dominated. Members that break constraints come after all that do not, by how much.
pub(super) fn ranks(population: &Population, cancel: &dyn Cancel) -> Result<Vec<usize>, Cancelled> {
    let mut order: Vec<usize> = (0..population.len())
        .filter(|&i| population.violation[i] == 0.0)
        .collect();
    order.sort_by(|&a, &b| {
        population
            .f(a)
            .iter()
            .zip(population.f(b))
            .map(|(a, b)| a.total_cmp(b))
            .find(|o| o.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut ranks = vec![0; population.len()];
    let count = if population.m == 2 {
        sweep(population, &order, &mut ranks)
    } else {
        insert(population, &order, &mut ranks, cancel)?
    };
    let mut broken: Vec<usize> = (0..population.len())
        .filter(|&i| population.violation[i] > 0.0)
        .collect();
    broken.sort_by(|&a, &b| population.violation[a].total_cmp(&population.violation[b]));
    for (k, i) in broken.into_iter().enumerate() {
        ranks[i] = count + k;
    }
    Ok(ranks)
}

/// Two objectives: in order of the first, a member belongs to the first front whose last second objective is above its own
/// (Jensen 2003).
fn sweep(population: &Population, order: &[usize], ranks: &mut [usize]) -> usize {
    // Last member of each front, by second objective: rising from front to front.
    let mut lasts: Vec<(f64, f64)> = Vec::new();
    for &i in order {
        let f = population.f(i);
        let front =
            lasts.partition_point(|last| last.1 < f[1] || (last.1 == f[1] && last.0 < f[0]));
        if front == lasts.len() {
            lasts.push((f[0], f[1]));
        } else {
            lasts[front] = (f[0], f[1]);
        }
        ranks[i] = front;
    }
    lasts.len()
}

/// More objectives: each member, in lexicographic order, is compared with the fronts found so far (Zhang and others 2015).
fn insert(
    population: &Population,
    order: &[usize],
    ranks: &mut [usize],
    cancel: &dyn Cancel,
) -> Result<usize, Cancelled> {
    let mut fronts: Vec<Vec<usize>> = Vec::new();
    for (done, &i) in order.iter().enumerate() {
        if done.is_multiple_of(QUESTION) {
            cancel.check()?;
        }
        let f = population.f(i);
        let dominated = |front: &Vec<usize>| {
            front.iter().rev().any(|&j| {
                let g = population.f(j);
                g.iter().zip(f).all(|(a, b)| a <= b) && g != f
            })
        };
        let place = fronts.iter().position(|front| !dominated(front));
        let place = place.unwrap_or_else(|| {
            fronts.push(Vec::new());
            fronts.len() - 1
        });
        fronts[place].push(i);
        ranks[i] = place;
    }
    Ok(fronts.len())
}

/// Members of a front in order of each objective, as linked lists, so that a removal changes its neighbours only.
struct Crowd<'a> {
    population: &'a Population,
    front: &'a [usize],
    before: Vec<usize>,
    after: Vec<usize>,
    scale: Vec<f64>,
}

const END: usize = usize::MAX;

impl<'a> Crowd<'a> {
    fn new(population: &'a Population, front: &'a [usize]) -> Self {
        let (k, m) = (front.len(), population.m);
        let mut this = Self {
            population,
            front,
            before: vec![END; k * m],
            after: vec![END; k * m],
            scale: vec![1.0; m],
        };
        let mut order: Vec<usize> = (0..k).collect();
        for j in 0..m {
            let at = |i: usize| population.f(front[i])[j];
            order.sort_by(|&a, &b| at(a).total_cmp(&at(b)).then(a.cmp(&b)));
            for pair in order.windows(2) {
                this.after[pair[0] * m + j] = pair[1];
                this.before[pair[1] * m + j] = pair[0];
            }
            let range = at(order[k - 1]) - at(order[0]);
            this.scale[j] = if range > 0.0 { 1.0 / range } else { 0.0 };
        }
        this
    }

    /// Sum over the objectives of the distance between both neighbours; infinite at either end.
    fn distance(&self, i: usize) -> f64 {
        let m = self.population.m;
        let mut sum = 0.0;
        for j in 0..m {
            let (a, b) = (self.before[i * m + j], self.after[i * m + j]);
            if a == END || b == END {
                return f64::INFINITY;
            }
            sum += self.scale[j]
                * (self.population.f(self.front[b])[j] - self.population.f(self.front[a])[j]);
        }
        sum
    }

    fn distances(&self) -> Vec<f64> {
        (0..self.front.len()).map(|i| self.distance(i)).collect()
    }
}

/// Keeps `room` members of a front, dropping the most crowded one by one.
fn thin(
    population: &Population,
    front: &[usize],
    room: usize,
    cancel: &dyn Cancel,
) -> Result<Vec<usize>, Cancelled> {
    let m = population.m;
    let mut crowd = Crowd::new(population, front);
    // Distances of those still in, side by side, and where each of them is.
    let mut distance = crowd.distances();
    let mut alive: Vec<usize> = (0..front.len()).collect();
    let mut place = alive.clone();
    while alive.len() > room {
        if alive.len().is_multiple_of(QUESTION) {
            cancel.check()?;
        }
        let mut least = 0;
        for (i, d) in distance.iter().enumerate() {
            if *d < distance[least] {
                least = i;
            }
        }
        let drop = alive.swap_remove(least);
        distance.swap_remove(least);
        if let Some(&moved) = alive.get(least) {
            place[moved] = least;
        }
        for j in 0..m {
            let (a, b) = (crowd.before[drop * m + j], crowd.after[drop * m + j]);
            if a != END {
                crowd.after[a * m + j] = b;
            }
            if b != END {
                crowd.before[b * m + j] = a;
            }
        }
        for j in 0..m {
            for neighbour in [crowd.before[drop * m + j], crowd.after[drop * m + j]] {
                if neighbour != END {
                    distance[place[neighbour]] = crowd.distance(neighbour);
                }
            }
        }
    }
    Ok(alive.into_iter().map(|i| front[i]).collect())
}
