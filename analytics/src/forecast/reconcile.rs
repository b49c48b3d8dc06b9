//! Forecasts of sums and of their parts that agree: brand → project → portfolio.
//!
//! Forecasts made one by one do not add up. Reconciliation changes all of them as little as possible, in the metric of how
//! reliable each is, until they do: `ỹ = ŷ − W Cᵀ (C W Cᵀ)⁻¹ C ŷ`, where `C y = 0` says that every aggregate is the sum of its
//! leaves. With `W` the covariance of the forecast errors this is the minimum-trace reconciliation of Wickramasuriya,
//! Athanasopoulos and Hyndman (2019) in the form that solves for the aggregates only.

use crate::cancel::{Cancel, Cancelled, never};
use crate::linear::{Cholesky, dot};

/// Leaves and the sums over some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    leaves: usize,
    /// The leaves of each aggregate, ascending.
    aggregates: Vec<Vec<usize>>,
}

/// Level and name of an aggregate; `None` is the sum of all.
pub type Group = Option<(usize, String)>;

/// Why forecasts cannot be reconciled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// There is no leaf, or an aggregate without one or with one that does not exist.
    #[error("an aggregate must be the sum of one or more of the leaves 0 to {last}", last = .leaves.saturating_sub(1))]
    Hierarchy {
        /// Number of leaves.
        leaves: usize,
    },
    /// Not one row of forecasts (or errors) per node, or rows of different lengths.
    #[error("there must be one row for each of the {nodes} nodes, all equally long")]
    Shape {
        /// Leaves and aggregates together.
        nodes: usize,
    },
    /// A forecast or an error is NaN or infinite.
    #[error("a forecast or an error is not a finite number")]
    NotFinite,
    /// Fewer than two errors per node.
    #[error("at least two errors of every node are needed to weigh the nodes by")]
    FewErrors,
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Hierarchy {
    /// A hierarchy from the leaves of each aggregate.
    ///
    /// # Errors
    /// [`ReconcileError::Hierarchy`].
    pub fn new(leaves: usize, aggregates: Vec<Vec<usize>>) -> Result<Self, ReconcileError> {
        let mut aggregates = aggregates;
        for members in &mut aggregates {
            members.sort_unstable();
            members.dedup();
            if members.last().is_none_or(|last| *last >= leaves) {
                return Err(ReconcileError::Hierarchy { leaves });
            }
        }
        if leaves == 0 {
            return Err(ReconcileError::Hierarchy { leaves });
        }
        Ok(Self { leaves, aggregates })
    }

    /// A hierarchy from the names of the groups each leaf belongs to, level by level, such as `["Alder", "launch"]` for brand and
    /// project. Every distinct name of a level is an aggregate (brand totals and project totals both exist), and so is the sum
    /// of all. Returns it with the groups in the order of the aggregates, the sum of all last.
    ///
    /// # Errors
    /// [`ReconcileError::Hierarchy`] without a leaf.
    pub fn grouped(leaves: &[Vec<String>]) -> Result<(Self, Vec<Group>), ReconcileError> {
        let mut groups = std::collections::BTreeMap::<(usize, &str), Vec<usize>>::new();
        for (leaf, names) in leaves.iter().enumerate() {
            for (level, name) in names.iter().enumerate() {
                groups.entry((level, name)).or_default().push(leaf);
            }
        }
        let mut names = Vec::with_capacity(groups.len() + 1);
        let mut aggregates = Vec::with_capacity(groups.len() + 1);
        for ((level, name), members) in groups {
            names.push(Some((level, name.to_owned())));
            aggregates.push(members);
        }
        names.push(None);
        aggregates.push((0..leaves.len()).collect());
        Ok((Self::new(leaves.len(), aggregates)?, names))
    }

    /// Number of leaves.
    pub fn leaves(&self) -> usize {
        self.leaves
    }

    /// Leaves and aggregates together. Rows of forecasts and errors hold the leaves first, then the aggregates in their order.
    pub fn nodes(&self) -> usize {
        self.leaves + self.aggregates.len()
    }
}

/// How reliable each node's forecast is thought to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// The leaves are right; the aggregates are their sums.
    BottomUp,
    /// All nodes alike (ordinary least squares; Hyndman and others 2011).
    Ols,
    /// In proportion to the number of leaves.
    Structural,
    /// By the variance of each node's errors. The default: a few dozen errors per node are enough for it.
    #[default]
    Variance,
    /// By the covariance of the nodes' errors, shrunk towards its diagonal as far as it is uncertain (Schäfer and Strimmer 2005).
    /// Better than [`Self::Variance`] where there are several times more errors than nodes.
    MinTrace,
}

/// Forecasts that add up.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconciled {
    /// Rows by node, leaves first.
    pub values: Vec<Vec<f64>>,
    /// Share of the covariance that was shrunk away, 0 to 1; `None` for methods without covariance.
    pub shrinkage: Option<f64>,
}

/// Reconciles one row of forecasts per node.
///
/// `errors` are one-step errors of each node, all over the same periods; they may be empty for the methods that do not use them.
/// With `non_negative`, leaves that would fall below zero are set to zero before the sums are taken, as Di Fonzo and Girolimetto
/// (2023) found to be as good as the exact solution.
///
/// # Errors
/// [`ReconcileError`].
pub fn reconcile(
    hierarchy: &Hierarchy,
    forecasts: &[Vec<f64>],
    errors: &[Vec<f64>],
    method: Method,
    non_negative: bool,
) -> Result<Reconciled, ReconcileError> {
    reconcile_cancellable(hierarchy, forecasts, errors, method, non_negative, &never)
}

/// As [`reconcile`], until `cancel` says to stop; it is asked for every node and every step.
///
/// # Errors
/// As [`reconcile`]; [`ReconcileError::Cancelled`].
pub fn reconcile_cancellable(
    hierarchy: &Hierarchy,
    forecasts: &[Vec<f64>],
    errors: &[Vec<f64>],
    method: Method,
    non_negative: bool,
    cancel: &dyn Cancel,
) -> Result<Reconciled, ReconcileError> {
    let nodes = hierarchy.nodes();
    let steps = forecasts.first().map_or(0, Vec::len);
    check(forecasts, nodes, steps)?;
    let leaves = hierarchy.leaves;
    let count = hierarchy.aggregates.len();
    if matches!(method, Method::Variance | Method::MinTrace) {
        let periods = errors.first().map_or(0, Vec::len);
        check(errors, nodes, periods)?;
        if periods < 2 {
            return Err(ReconcileError::FewErrors);
        }
    }
    let mut shrinkage = None;
    let weights = match method {
        Method::BottomUp | Method::Ols => Weights::Diagonal(vec![1.0; nodes]),
        Method::Structural => {
            let sizes = hierarchy.aggregates.iter().map(|a| a.len() as f64);
            Weights::Diagonal(std::iter::repeat_n(1.0, leaves).chain(sizes).collect())
        }
        Method::Variance => Weights::Diagonal(variances(errors)),
        Method::MinTrace => {
            let (matrix, share) = shrunk_covariance(errors, cancel)?;
            shrinkage = Some(share);
            Weights::Full(matrix)
        }
    };
    let mut values = forecasts.to_vec();
    if method != Method::BottomUp && count > 0 {
        // W Cᵀ, one row per node: the covariance with each aggregate minus that with the sum of its leaves.
        let gap: Vec<Vec<f64>> = (0..nodes)
            .map(|node| {
                cancel.check()?;
                let aggregates = hierarchy.aggregates.iter().enumerate();
                let gaps = aggregates.map(|(k, members)| {
                    let parts: f64 = members.iter().map(|leaf| weights.at(node, *leaf)).sum();
                    weights.at(node, leaves + k) - parts
                });
                Ok(gaps.collect())
            })
            .collect::<Result<_, Cancelled>>()?;
        let mut middle = vec![0.0; count * count];
        for (k, members) in hierarchy.aggregates.iter().enumerate() {
            cancel.check()?;
            for j in 0..count {
                let parts: f64 = members.iter().map(|leaf| gap[*leaf][j]).sum();
                middle[k * count + j] = gap[leaves + k][j] - parts;
            }
        }
        let factor = Cholesky::new(&middle, count);
        for h in 0..steps {
            cancel.check()?;
            let excess: Vec<f64> = (0..count)
                .map(|k| {
                    let members = &hierarchy.aggregates[k];
                    let sum: f64 = members.iter().map(|leaf| forecasts[*leaf][h]).sum();
                    forecasts[leaves + k][h] - sum
                })
                .collect();
            let spread = factor.solve(&excess);
            for (row, gap) in values.iter_mut().zip(&gap) {
                row[h] -= dot(gap, &spread);
            }
        }
    }
    if non_negative {
        for value in values[..leaves].iter_mut().flatten() {
            *value = value.max(0.0);
        }
    }
    // The sums are taken once more from the leaves, so that they agree to the last digits whatever was solved above.
    let (parts, sums) = values.split_at_mut(leaves);
    for (sum, members) in sums.iter_mut().zip(&hierarchy.aggregates) {
        for (h, total) in sum.iter_mut().enumerate() {
            *total = members.iter().map(|leaf| parts[*leaf][h]).sum();
        }
    }
    Ok(Reconciled { values, shrinkage })
}

enum Weights {
    Diagonal(Vec<f64>),
    /// Row by row.
    Full(Vec<Vec<f64>>),
}

impl Weights {
    fn at(&self, i: usize, j: usize) -> f64 {
        match self {
            Self::Diagonal(weights) if i == j => weights[i],
            Self::Diagonal(_) => 0.0,
            Self::Full(matrix) => matrix[i][j],
        }
    }
}

fn check(rows: &[Vec<f64>], nodes: usize, length: usize) -> Result<(), ReconcileError> {
    if rows.len() != nodes || rows.iter().any(|row| row.len() != length) {
        return Err(ReconcileError::Shape { nodes });
    }
    if rows.iter().flatten().any(|v| !v.is_finite()) {
        return Err(ReconcileError::NotFinite);
    }
    Ok(())
}

/// Mean squares; a node that never erred gets a millionth of the smallest positive one, since nothing is certain and its forecast is
/// nearly kept. All get 1 where none ever erred.
fn variances(errors: &[Vec<f64>]) -> Vec<f64> {
    let mut squares: Vec<f64> = errors
        .iter()
        .map(|row| dot(row, row) / row.len() as f64)
        .collect();
    let least = squares
        .iter()
        .copied()
        .filter(|v| *v > 0.0)
        .fold(f64::INFINITY, f64::min);
    let least = if least.is_finite() { least } else { 1.0 };
    for square in &mut squares {
        *square = square.max(1e-6 * least);
    }
    squares
}

/// The covariance of the errors with its correlations shrunk towards zero, and by how much.
fn shrunk_covariance(
    errors: &[Vec<f64>],
    cancel: &dyn Cancel,
) -> Result<(Vec<Vec<f64>>, f64), Cancelled> {
    let n = errors[0].len() as f64;
    let squares = variances(errors);
    let standard: Vec<Vec<f64>> = errors
        .iter()
        .zip(&squares)
        .map(|(row, square)| row.iter().map(|e| e / square.sqrt()).collect())
        .collect();
    let nodes = errors.len();
    let mut correlations = vec![vec![1.0; nodes]; nodes];
    let (mut uncertain, mut total) = (0.0, 0.0);
    for i in 0..nodes {
        cancel.check()?;
        for j in 0..i {
            let r = dot(&standard[i], &standard[j]) / n;
            let products = standard[i].iter().zip(&standard[j]);
            let scatter: f64 = products.map(|(a, b)| (a * b - r).powi(2)).sum();
            uncertain += scatter / (n * (n - 1.0));
            total += r * r;
            correlations[i][j] = r;
            correlations[j][i] = r;
        }
    }
    let share = if total > 0.0 {
        (uncertain / total).clamp(0.0, 1.0)
    } else {
        1.0
    };
    // Aggregates are sums of leaves: a covariance that is not shrunk at all can be singular.
    let keep = (1.0 - share).min(1.0 - 1e-6);
    for i in 0..nodes {
        for j in 0..nodes {
            let scale = (squares[i] * squares[j]).sqrt();
            correlations[i][j] *= scale * if i == j { 1.0 } else { keep };
        }
    }
    Ok((correlations, share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    const ALL: [Method; 5] = [
        Method::BottomUp,
        Method::Ols,
        Method::Structural,
        Method::Variance,
        Method::MinTrace,
    ];

    /// Three leaves, the sum of the first two, and the sum of all.
    fn small() -> Hierarchy {
        Hierarchy::new(3, vec![vec![0, 1], vec![0, 1, 2]]).expect("sound")
    }

    fn errors() -> Vec<Vec<f64>> {
        let wave = |k: f64, size: f64| (0..40).map(|t| size * (f64::from(t) * k).sin()).collect();
        vec![
            wave(1.0, 1.0),
            wave(1.7, 2.0),
            wave(2.3, 0.5),
            wave(0.7, 3.0),
            wave(0.4, 4.0),
        ]
    }

    fn base() -> Vec<Vec<f64>> {
        [10.0, 20.0, 5.0, 33.0, 34.0]
            .iter()
            .map(|v| vec![*v, v * 1.1])
            .collect()
    }

    #[test]
    fn sums_agree_for_every_method() {
        for method in ALL {
            let made = reconcile(&small(), &base(), &errors(), method, false).expect("sound");
            for h in 0..2 {
                let v = |node: usize| made.values[node][h];
                assert!((v(3) - v(0) - v(1)).abs() < 1e-9 * v(3).abs(), "{method:?}");
                assert!((v(4) - v(3) - v(2)).abs() < 1e-9 * v(4).abs(), "{method:?}");
            }
        }
    }

    #[test]
    fn forecasts_that_agree_already_stay_as_they_are() {
        let rows = vec![vec![1.0], vec![2.0], vec![4.0], vec![3.0], vec![7.0]];
        for method in ALL {
            let made = reconcile(&small(), &rows, &errors(), method, false).expect("sound");
            for (a, b) in made.values.iter().flatten().zip(rows.iter().flatten()) {
                assert!((a - b).abs() < 1e-9, "{method:?} {a} {b}");
            }
        }
    }

    #[test]
    fn ordinary_least_squares_is_the_projection_worked_out_by_hand() {
        // One sum of two leaves: an excess of 3 is spread as 1, 1 and -1.
        let pair = Hierarchy::new(2, vec![vec![0, 1]]).expect("sound");
        let rows = [vec![10.0], vec![20.0], vec![33.0]];
        let made = reconcile(&pair, &rows, &[], Method::Ols, false).expect("sound");
        for (value, expected) in made.values.iter().flatten().zip([11.0, 21.0, 32.0]) {
            assert!((value - expected).abs() < 1e-12);
        }
        // By structure the sum counts for two leaves and moves twice as much.
        let made = reconcile(&pair, &rows, &[], Method::Structural, false).expect("sound");
        assert!((made.values[2][0] - 31.5).abs() < 1e-12);
    }

    #[test]
    fn weighing_by_variance_equals_the_textbook_form() {
        // G = (Sᵀ W⁻¹ S)⁻¹ Sᵀ W⁻¹ with diagonal W.
        let made = reconcile(&small(), &base(), &errors(), Method::Variance, false).expect("sound");
        let w = variances(&errors());
        let s = [
            [1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, 0.0, 1.0],
            [1.0, 1.0, 0.0],
            [1.0, 1.0, 1.0],
        ];
        let mut normal = vec![0.0; 9];
        let mut right = vec![0.0; 3];
        for node in 0..5 {
            for i in 0..3 {
                right[i] += s[node][i] * base()[node][0] / w[node];
                for j in 0..3 {
                    normal[i * 3 + j] += s[node][i] * s[node][j] / w[node];
                }
            }
        }
        let leaves = Cholesky::new(&normal, 3).solve(&right);
        for (leaf, expected) in leaves.iter().enumerate() {
            assert!((made.values[leaf][0] - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn the_minimum_trace_with_the_full_covariance_equals_the_textbook_form() {
        // G = (Sᵀ W⁻¹ S)⁻¹ Sᵀ W⁻¹. W is worked out here from the definitions of Schäfer and Strimmer (2005): correlations r, shrunk by
        // λ = Σ var(r) / Σ r² with var(r) = Σ (x y − r)² / (n (n − 1)), and put back on the variances.
        let errors: Vec<Vec<f64>> = (0..5u64)
            .map(|node| {
                let shared = rng::normals(&mut rng::stream(5, &[9]), 40);
                let own = rng::normals(&mut rng::stream(5, &[node]), 40);
                let size = 1.0 + node as f64;
                let both = own.iter().zip(&shared);
                both.map(|(e, m)| size * (0.8 * e + 0.6 * m)).collect()
            })
            .collect();
        let n = 40.0;
        let variance = |i: usize| -> f64 { errors[i].iter().map(|e| e * e).sum::<f64>() / n };
        let products = |i: usize, j: usize| -> Vec<f64> {
            let scale = (variance(i) * variance(j)).sqrt();
            let pairs = errors[i].iter().zip(&errors[j]);
            pairs.map(|(a, b)| a * b / scale).collect()
        };
        let (mut above, mut below) = (0.0, 0.0);
        let mut w = vec![0.0; 25];
        for i in 0..5 {
            for j in 0..5 {
                let r = products(i, j).iter().sum::<f64>() / n;
                w[i * 5 + j] = r * (variance(i) * variance(j)).sqrt();
                if i != j {
                    let scatter: f64 = products(i, j).iter().map(|p| (p - r).powi(2)).sum();
                    above += scatter / (n * (n - 1.0));
                    below += r * r;
                }
            }
        }
        let lambda = above / below;
        for i in 0..5 {
            for j in 0..5 {
                w[i * 5 + j] *= if i == j { 1.0 } else { 1.0 - lambda };
            }
        }
        let made = reconcile(&small(), &base(), &errors, Method::MinTrace, false).expect("sound");
        assert!((made.shrinkage.expect("a covariance") - lambda).abs() < 1e-12);
        assert!(lambda > 0.01 && lambda < 0.9, "{lambda}");
        let s = [
            [1.0, 0.0, 0.0, 1.0, 1.0],
            [0.0, 1.0, 0.0, 1.0, 1.0],
            [0.0, 0.0, 1.0, 0.0, 1.0],
        ];
        // W⁻¹ S column by column, then the normal equations.
        let factor = Cholesky::new(&w, 5);
        let weighted: Vec<Vec<f64>> = s.iter().map(|column| factor.solve(column)).collect();
        let mut normal = vec![0.0; 9];
        for i in 0..3 {
            for j in 0..3 {
                normal[i * 3 + j] = dot(&s[i], &weighted[j]);
            }
        }
        let normal = Cholesky::new(&normal, 3);
        for h in 0..2 {
            let row: Vec<f64> = base().iter().map(|node| node[h]).collect();
            let right: Vec<f64> = weighted.iter().map(|column| dot(column, &row)).collect();
            let leaves = normal.solve(&right);
            for (node, values) in made.values.iter().enumerate() {
                let expected: f64 = (0..3).map(|leaf| s[leaf][node] * leaves[leaf]).sum();
                assert!((values[h] - expected).abs() < 1e-9, "{node}: {expected}");
            }
        }
        // The covariance matters: with the variances alone the answer is another one.
        let plain = reconcile(&small(), &base(), &errors, Method::Variance, false).expect("sound");
        assert!((plain.values[0][0] - made.values[0][0]).abs() > 1e-3);
    }

    #[test]
    fn a_node_that_never_erred_keeps_its_forecast() {
        let mut errors = errors();
        errors[4] = vec![0.0; 40];
        let made = reconcile(&small(), &base(), &errors, Method::Variance, false).expect("sound");
        assert!((made.values[4][0] - base()[4][0]).abs() < 1e-4, "{made:?}");
    }

    #[test]
    fn a_wish_to_stop_is_heard_at_the_next_node() {
        for patience in 0..8 {
            let asked = std::cell::Cell::new(0);
            let stop = || asked.replace(asked.get() + 1) >= patience;
            let (small, base, errors) = (small(), base(), errors());
            let made =
                reconcile_cancellable(&small, &base, &errors, Method::MinTrace, false, &stop);
            assert_eq!(made.unwrap_err(), ReconcileError::Cancelled(Cancelled));
            assert_eq!(asked.get(), patience + 1);
        }
    }

    #[test]
    fn negative_leaves_are_lifted_and_the_sums_follow() {
        let pair = Hierarchy::new(2, vec![vec![0, 1]]).expect("sound");
        let rows = [vec![1.0], vec![20.0], vec![3.0]];
        let made = reconcile(&pair, &rows, &[], Method::Ols, true).expect("sound");
        assert_eq!(made.values[0][0], 0.0);
        assert_eq!(made.values[2][0], made.values[1][0]);
    }

    #[test]
    fn groups_cross_and_the_sum_of_all_comes_last() {
        let leaf = |brand: &str, project: &str| vec![brand.to_owned(), project.to_owned()];
        let leaves = [
            leaf("Alder", "launch"),
            leaf("Alder", "base"),
            leaf("Birch", "base"),
        ];
        let (hierarchy, names) = Hierarchy::grouped(&leaves).expect("sound");
        assert_eq!(hierarchy.nodes(), 3 + 5);
        assert_eq!(names[0], Some((0, "Alder".to_owned())));
        assert_eq!(hierarchy.aggregates[0], vec![0, 1]);
        assert_eq!(names[2], Some((1, "base".to_owned())));
        assert_eq!(hierarchy.aggregates[2], vec![1, 2]);
        assert_eq!(
            (&names[4], &hierarchy.aggregates[4]),
            (&None, &vec![0, 1, 2])
        );
    }

    #[test]
    fn unsound_input_is_refused() {
        assert!(Hierarchy::new(0, Vec::new()).is_err());
        assert!(Hierarchy::new(2, vec![vec![2]]).is_err());
        assert!(Hierarchy::new(2, vec![Vec::new()]).is_err());
        let of = |rows: &[Vec<f64>], errors: &[Vec<f64>]| {
            reconcile(&small(), rows, errors, Method::MinTrace, false).unwrap_err()
        };
        assert_eq!(
            of(&base()[..4], &errors()),
            ReconcileError::Shape { nodes: 5 }
        );
        assert_eq!(of(&base(), &vec![vec![1.0]; 5]), ReconcileError::FewErrors);
        let mut holed = base();
        holed[0][0] = f64::NAN;
        assert_eq!(of(&holed, &errors()), ReconcileError::NotFinite);
        // Errors that are all zero say nothing, and nothing breaks.
        let made = reconcile(
            &small(),
            &base(),
            &vec![vec![0.0; 5]; 5],
            Method::MinTrace,
            false,
        );
        assert!(
            made.expect("sound")
                .values
                .iter()
                .flatten()
                .all(|v| v.is_finite())
        );
    }
}
