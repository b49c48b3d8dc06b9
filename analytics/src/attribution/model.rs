//! A model of summed decision trees, whoever fitted it.

use thiserror::Error;

use super::features::{Features, FeaturesError};

/// How a split compares a value with its threshold to send a row to the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `value < threshold`, the value rounded to 32-bit floating point first (XGBoost).
    BelowSingle,
    /// `value < threshold` (forust).
    Below,
    /// `value ≤ threshold` (LightGBM).
    AtMost,
}

/// A node of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    /// A question and where its answers lead.
    Split {
        /// Position of the feature in [`Model::features`].
        feature: usize,
        /// The threshold.
        threshold: f64,
        /// Whether a missing value goes left.
        missing_left: bool,
        /// Node for the rows that pass.
        left: usize,
        /// Node for the others.
        right: usize,
        /// Weight of the training rows that came here.
        cover: f64,
    },
    /// An answer.
    Leaf {
        /// What the leaf adds to the prediction.
        value: f64,
        /// Weight of the training rows that came here.
        cover: f64,
    },
}

impl Node {
    /// Weight of the training rows that came here.
    #[must_use]
    pub fn cover(&self) -> f64 {
        match *self {
            Self::Split { cover, .. } | Self::Leaf { cover, .. } => cover,
        }
    }
}

/// A tree; the first node is the root, and children stand after their parents.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
}

/// Why a model cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// A tree is not a tree.
    #[error("tree {tree}: {problem}")]
    Tree {
        /// Which tree, from 0.
        tree: usize,
        /// What is wrong.
        problem: String,
    },
    /// The text is not what the reader expects.
    #[error("the model cannot be read: {0}")]
    Format(String),
    /// The model uses something that is not supported.
    #[error("the model uses {0}, which is not supported")]
    Unsupported(String),
}

impl Tree {
    /// A tree from its nodes.
    ///
    /// # Errors
    /// A sentence on what is wrong: no nodes, a child that is out of range, that is not after its parent, or that has two
    /// parents; a feature out of range; a threshold, value or cover that is not a number; a negative cover.
    pub fn new(nodes: Vec<Node>, features: usize) -> Result<Self, String> {
        if nodes.is_empty() {
            return Err("it has no nodes".to_owned());
        }
        let mut parents = vec![0_usize; nodes.len()];
        for (at, node) in nodes.iter().enumerate() {
            if !(node.cover() >= 0.0 && node.cover().is_finite()) {
                return Err(format!("node {at} has cover {}", node.cover()));
            }
            match *node {
                Node::Split {
                    feature,
                    threshold,
                    left,
                    right,
                    ..
                } => {
                    if feature >= features {
                        return Err(format!(
                            "node {at} asks for feature {feature} of {features}"
                        ));
                    }
                    if threshold.is_nan() {
                        return Err(format!("the threshold of node {at} is not a number"));
                    }
                    for child in [left, right] {
                        if child >= nodes.len() {
                            return Err(format!("node {at} has child {child} of {}", nodes.len()));
                        }
                        if child <= at {
                            return Err(format!(
                                "node {at} has child {child}, which stands before it"
                            ));
                        }
                        parents[child] += 1;
                        if parents[child] > 1 {
                            return Err(format!("node {child} has two parents"));
                        }
                    }
                }
                Node::Leaf { value, .. } => {
                    if !value.is_finite() {
                        return Err(format!("the value of leaf {at} is not a number"));
                    }
                }
            }
        }
        Ok(Self { nodes })
    }

    /// The nodes, children after their parents.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// A model: `base` plus the sum of the trees' answers, on the scale on which the trees add (log odds, for a logistic model).
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    features: Vec<String>,
    by_position: bool,
    trees: Vec<Tree>,
    base: f64,
    comparison: Comparison,
    zero_is_missing: Vec<bool>,
}

impl Model {
    /// A model of trees.
    ///
    /// `by_position` says that `features` are made-up names of columns in order (a model that was fitted to nameless data).
    /// `zero_is_missing` names, per feature, whether 0 counts as missing; empty means for none.
    ///
    /// # Errors
    /// When `base` is not finite: every prediction would be that.
    pub fn new(
        features: Vec<String>,
        by_position: bool,
        trees: Vec<Tree>,
        base: f64,
        comparison: Comparison,
        zero_is_missing: Vec<bool>,
    ) -> Result<Self, ModelError> {
        if !base.is_finite() {
            return Err(ModelError::Format(format!(
                "what a prediction is before any tree is added is {base}"
            )));
        }
        let zero_is_missing = if zero_is_missing.len() == features.len() {
            zero_is_missing
        } else {
            vec![false; features.len()]
        };
        Ok(Self {
            features,
            by_position,
            trees,
            base,
            comparison,
            zero_is_missing,
        })
    }

    /// Names of the features.
    #[must_use]
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// The trees.
    #[must_use]
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// What a prediction is before any tree is added.
    #[must_use]
    pub fn base(&self) -> f64 {
        self.base
    }

    /// How splits compare.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// The model's columns of a table: by name, or in order where the model has no names of its own.
    ///
    /// # Errors
    /// When a feature of the model is absent, or the model has no names and the table not as many columns as it has features.
    pub fn columns<'a>(&self, rows: &'a Features) -> Result<Vec<&'a [f64]>, FeaturesError> {
        if self.by_position && rows.names() != self.features {
            // With a column too many there is no telling which is which.
            if rows.columns().len() != self.features.len() {
                return Err(FeaturesError::Count {
                    found: rows.columns().len(),
                    expected: self.features.len(),
                });
            }
            return Ok(rows.columns().iter().map(Vec::as_slice).collect());
        }
        rows.pick(&self.features)
    }

    /// The value as the splits of a feature see it: rounded where the model rounds, `NaN` where it is missing.
    #[must_use]
    pub(super) fn seen(&self, feature: usize, value: f64) -> f64 {
        // LightGBM: a magnitude of up to 1e-35 is zero.
        if self.zero_is_missing[feature] && value.abs() <= f64::from(1e-35_f32) {
            return f64::NAN;
        }
        match self.comparison {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "XGBoost sees 32-bit values"
            )]
            Comparison::BelowSingle => f64::from(value as f32),
            Comparison::Below | Comparison::AtMost => value,
        }
    }

    /// Whether a seen value goes left at a split.
    #[must_use]
    fn goes_left(&self, seen: f64, threshold: f64, missing_left: bool) -> bool {
        if seen.is_nan() {
            return missing_left;
        }
        match self.comparison {
            Comparison::BelowSingle | Comparison::Below => seen < threshold,
            Comparison::AtMost => seen <= threshold,
        }
    }

    /// Predictions, one per row, on the scale on which the trees add.
    ///
    /// # Errors
    /// When a feature of the model is absent.
    pub fn predict(&self, rows: &Features) -> Result<Vec<f64>, FeaturesError> {
        let columns = self.columns(rows)?;
        Ok((0..rows.rows())
            .map(|row| self.predict_one(|feature| self.seen(feature, columns[feature][row])))
            .collect())
    }

    /// The prediction for one row of seen values.
    pub(super) fn predict_one(&self, seen: impl Fn(usize) -> f64) -> f64 {
        let mut sum = self.base;
        for tree in &self.trees {
            let mut at = 0;
            loop {
                match tree.nodes[at] {
                    Node::Leaf { value, .. } => {
                        sum += value;
                        break;
                    }
                    Node::Split {
                        feature,
                        threshold,
                        missing_left,
                        left,
                        right,
                        ..
                    } => {
                        at = if self.goes_left(seen(feature), threshold, missing_left) {
                            left
                        } else {
                            right
                        };
                    }
                }
            }
        }
        sum
    }

    /// The first `trees` trees.
    #[must_use]
    pub fn truncated(mut self, trees: usize) -> Self {
        self.trees.truncate(trees);
        self
    }
}
