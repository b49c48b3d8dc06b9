//! Which brands move together: average linkage on the distances of their correlations, cut where groups are clearest.

use super::{CorrelationError, Correlations};

/// One merger of two groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Merger {
    /// Smallest member of the one group.
    pub first: usize,
    /// Smallest member of the other, larger than `first`.
    pub second: usize,
    /// Mean distance of their members.
    pub distance: f64,
    /// Members of the new group.
    pub size: usize,
}

/// Groups and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    /// Group of every member, numbered from 0 in the order of their smallest members.
    pub groups: Vec<usize>,
    /// Number of groups.
    pub count: usize,
    /// Mean silhouette of the grouping, −1 to 1 (Rousseeuw 1987): above 0.5 groups are clear, below 0.25 there are none to speak
    /// of.
    pub silhouette: f64,
    /// Silhouette of every member.
    pub silhouettes: Vec<f64>,
    /// All mergers, closest first.
    pub mergers: Vec<Merger>,
}

/// Distance √(2(1 − r)) of every pair, as between standardised series; row after row.
///
/// # Errors
/// [`CorrelationError::Unusable`] where a series has no correlation.
pub fn distances(correlations: &Correlations) -> Result<Vec<f64>, CorrelationError> {
    let n = correlations.count();
    let full = correlations.square()?;
    Ok(full
        .iter()
        .enumerate()
        .map(|(at, r)| {
            if at / n == at % n {
                0.0
            } else {
                (2.0 * (1.0 - r)).max(0.0).sqrt()
            }
        })
        .collect())
}

/// Groups members with these pairwise distances (`n × n`, row after row, symmetric) by average linkage (Sokal and Michener 1958)
/// into two to `most` groups, the number with the largest mean silhouette; ties go to fewer groups.
///
/// # Errors
/// [`CorrelationError::TooFewSeries`] below three members, [`CorrelationError::Unequal`] when the matrix is not `n × n`,
/// [`CorrelationError::Unusable`] when a distance is negative or absent, [`CorrelationError::Parameter`] for `most` below two.
pub fn clusters(distances: &[f64], n: usize, most: usize) -> Result<Clusters, CorrelationError> {
    if n < 3 {
        return Err(CorrelationError::TooFewSeries {
            what: "a grouping",
            least: 3,
            got: n,
        });
    }
    if distances.len() != n * n {
        return Err(CorrelationError::Unequal {
            expected: n * n,
            got: distances.len(),
        });
    }
    if most < 2 {
        return Err(CorrelationError::Parameter {
            parameter: "the largest number of groups",
            range: "at least 2",
        });
    }
    if let Some(at) = distances.iter().position(|d| !(d.is_finite() && *d >= 0.0)) {
        return Err(CorrelationError::Unusable { series: at / n });
    }
    let mergers = linkage(distances, n);
    let mut best: Option<(Vec<usize>, usize, f64, Vec<f64>)> = None;
    for count in 2..=most.min(n - 1) {
        let groups = cut(&mergers, n, count);
        let silhouettes = silhouettes(distances, n, &groups, count);
        let mean = silhouettes.iter().sum::<f64>() / n as f64;
        if best.as_ref().is_none_or(|b| mean > b.2 + 1e-12) {
            best = Some((groups, count, mean, silhouettes));
        }
    }
    let (groups, count, silhouette, silhouettes) = best.expect("two groups are always tried");
    Ok(Clusters {
        groups,
        count,
        silhouette,
        silhouettes,
        mergers,
    })
}

/// All mergers, closest first; of equally close ones that of the smallest members.
fn linkage(distances: &[f64], n: usize) -> Vec<Merger> {
    let mut d = distances.to_vec();
    let mut size = vec![1usize; n];
    let mut alive: Vec<usize> = (0..n).collect();
    // The nearest group with a larger number, of every group.
    let nearest = |d: &[f64], alive: &[usize], i: usize| {
        alive
            .iter()
            .filter(|&&j| j > i)
            .map(|&j| (d[i * n + j], j))
            .reduce(|best, next| if next.0 < best.0 { next } else { best })
    };
    let mut near: Vec<Option<(f64, usize)>> = (0..n).map(|i| nearest(&d, &alive, i)).collect();
    let mut mergers = Vec::with_capacity(n - 1);
    while alive.len() > 1 {
        let (distance, second, first) = alive
            .iter()
            .filter_map(|&i| near[i].map(|(distance, j)| (distance, j, i)))
            .reduce(|best, next| if next.0 < best.0 { next } else { best })
            .expect("two groups have a distance");
        let (a, b) = (size[first] as f64, size[second] as f64);
        for &k in alive.iter().filter(|&&k| k != first && k != second) {
            let mean = (a * d[first * n + k] + b * d[second * n + k]) / (a + b);
            d[first * n + k] = mean;
            d[k * n + first] = mean;
        }
        size[first] += size[second];
        alive.retain(|&k| k != second);
        mergers.push(Merger {
            first,
            second,
            distance,
            size: size[first],
        });
        for &k in &alive {
            let stale = k == first || near[k].is_some_and(|(_, j)| j == first || j == second);
            if stale {
                near[k] = nearest(&d, &alive, k);
            } else if k < first && near[k].is_none_or(|(best, _)| d[k * n + first] < best) {
                near[k] = Some((d[k * n + first], first));
            }
        }
    }
    mergers
}

/// The groups that are left when all but `count − 1` mergers are done.
fn cut(mergers: &[Merger], n: usize, count: usize) -> Vec<usize> {
    let mut root: Vec<usize> = (0..n).collect();
    for merger in &mergers[..n - count] {
        for r in &mut root {
            if *r == merger.second {
                *r = merger.first;
            }
        }
    }
    let mut numbers = vec![usize::MAX; n];
    let mut next = 0;
    root.iter()
        .map(|&r| {
            if numbers[r] == usize::MAX {
                numbers[r] = next;
                next += 1;
            }
            numbers[r]
        })
        .collect()
}

/// (b − a) ÷ max(a, b) of every member: a the mean distance within its group, b that to the nearest other group; 0 for a group of
/// one.
fn silhouettes(distances: &[f64], n: usize, groups: &[usize], count: usize) -> Vec<f64> {
    let mut sizes = vec![0usize; count];
    groups.iter().for_each(|&g| sizes[g] += 1);
    (0..n)
        .map(|i| {
            let mut sums = vec![0.0; count];
            for (j, &group) in groups.iter().enumerate() {
                sums[group] += distances[i * n + j];
            }
            let own = groups[i];
            if sizes[own] == 1 {
                return 0.0;
            }
            let within = sums[own] / (sizes[own] - 1) as f64;
            let other = (0..count)
                .filter(|&g| g != own)
                .map(|g| sums[g] / sizes[g] as f64)
                .fold(f64::INFINITY, f64::min);
            let largest = within.max(other);
            if largest > 0.0 {
                (other - within) / largest
            } else {
                0.0
            }
        })
        .collect()
}
