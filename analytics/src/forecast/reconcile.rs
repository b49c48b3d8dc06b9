//! Forecasts of sums and of their parts that agree: brand → project → portfolio.
//!
//! Forecasts made one by one do not add up. Reconciliation changes all of them as little as possible, in the metric of how
//! reliable each is, until they do: `ỹ = ŷ − W Cᵀ (C W Cᵀ)⁻¹ C ŷ`, where `C y = 0` says that every aggregate is the sum of its
//! leaves. With `W` the covariance of the forecast errors this is the minimum-trace reconciliation of Wickramasuriya,
//! Athanasopoulos and Hyndman (2019) in the form that solves for the aggregates only.

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
    /// Standard deviation of each node's error after reconciliation in units of the one before, by which interval widths are to be
    /// multiplied; 1 where the method knows no variances.
    pub deviation: Vec<f64>,
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
    let nodes = hierarchy.nodes();
    let steps = forecasts.first().map_or(0, Vec::len);
    check(forecasts, nodes, steps)?;
    let leaves = hierarchy.leaves;
    let count = hierarchy.aggregates.len();
    let uses_errors = matches!(method, Method::Variance | Method::MinTrace);
    if uses_errors {
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
            let (matrix, share) = shrunk_covariance(errors);
            shrinkage = Some(share);
            Weights::Full(matrix)
        }
    };
    let mut values = forecasts.to_vec();
    let mut deviation = vec![1.0; nodes];
    if method != Method::BottomUp && count > 0 {
        // W Cᵀ, one row per node: the covariance with each aggregate minus that with the sum of its leaves.
        let gap: Vec<Vec<f64>> = (0..nodes)
            .map(|node| {
                let aggregates = hierarchy.aggregates.iter().enumerate();
                aggregates
                    .map(|(k, members)| {
                        let parts: f64 = members.iter().map(|leaf| weights.at(node, *leaf)).sum();
                        weights.at(node, leaves + k) - parts
                    })
                    .collect()
            })
            .collect();
        let mut middle = vec![0.0; count * count];
        for (k, members) in hierarchy.aggregates.iter().enumerate() {
            for j in 0..count {
                let parts: f64 = members.iter().map(|leaf| gap[*leaf][j]).sum();
                middle[k * count + j] = gap[leaves + k][j] - parts;
            }
        }
        let factor = Cholesky::new(&middle, count);
        for h in 0..steps {
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
        if uses_errors {
            for (node, (ratio, gap)) in deviation.iter_mut().zip(&gap).enumerate() {
                let before = weights.at(node, node);
                let saved = factor.quadratic(gap);
                *ratio = (1.0 - saved / before).clamp(0.0, 1.0).sqrt();
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
    Ok(Reconciled {
        values,
        deviation,
        shrinkage,
    })
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

/// Mean squares; a node that never erred gets the smallest positive one, since nothing is certain.
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
fn shrunk_covariance(errors: &[Vec<f64>]) -> (Vec<Vec<f64>>, f64) {
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
    (correlations, share)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_minimum_trace_form_equals_the_textbook_one() {
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
    fn reconciliation_never_makes_a_node_less_certain() {
        for method in [Method::Variance, Method::MinTrace] {
            let made = reconcile(&small(), &base(), &errors(), method, false).expect("sound");
            assert!(made.deviation.iter().all(|d| (0.0..=1.0).contains(d)));
            assert!(made.deviation.iter().any(|d| *d < 0.999), "{made:?}");
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
