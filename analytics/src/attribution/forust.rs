//! Models of forust: fitted here, or saved as JSON.

use forust_ml::{GradientBooster, tree::Tree as ForustTree};

use super::model::{Comparison, Model, ModelError, Node, Tree};

/// Reads a model that forust saved as JSON. Its columns have no names, so they are taken by position.
///
/// # Errors
/// When the text is not such a model, missing values have branches of their own, the missing value is not `NaN`, or the base
/// score is not finite.
pub fn read(text: &str) -> Result<Model, ModelError> {
    let booster =
        GradientBooster::from_json(text).map_err(|error| ModelError::Format(error.to_string()))?;
    if !booster.missing.is_nan() {
        return Err(ModelError::Unsupported(format!(
            "{} as its missing value",
            booster.missing
        )));
    }
    let count = booster
        .prediction_iteration
        .unwrap_or(booster.trees.len())
        .min(booster.trees.len());
    let trees = &booster.trees[..count];
    let features = trees
        .iter()
        .flat_map(|tree| &tree.nodes)
        .filter(|node| !node.is_leaf)
        .map(|node| node.split_feature + 1)
        .max()
        .unwrap_or(0);
    let trees = trees
        .iter()
        .enumerate()
        .map(|(at, tree)| from_forust(at, tree, features, 1.0))
        .collect::<Result<_, _>>()?;
    Model::new(
        (0..features).map(|at| format!("f{at}")).collect(),
        true,
        trees,
        booster.base_score,
        Comparison::Below,
        Vec::new(),
    )
}

/// A tree of forust's as one of ours, its answers times `scale`.
pub(super) fn from_forust(
    at: usize,
    tree: &ForustTree,
    features: usize,
    scale: f64,
) -> Result<Tree, ModelError> {
    let broken = |problem: String| ModelError::Tree { tree: at, problem };
    let mut order = vec![0_usize];
    let mut nodes = Vec::new();
    while nodes.len() < order.len() {
        let own = order[nodes.len()];
        let Some(node) = tree.nodes.get(own) else {
            return Err(broken(format!("there is no node {own}")));
        };
        let cover = f64::from(node.hessian_sum);
        if node.is_leaf {
            nodes.push(Node::Leaf {
                value: scale * f64::from(node.weight_value),
                cover,
            });
            continue;
        }
        if node.has_missing_branch() {
            return Err(ModelError::Unsupported(
                "branches of their own for missing values".to_owned(),
            ));
        }
        if order.len() + 2 > tree.nodes.len() {
            return Err(broken("a node has two parents".to_owned()));
        }
        nodes.push(Node::Split {
            feature: node.split_feature,
            threshold: node.split_value,
            missing_left: node.missing_node == node.left_child,
            left: order.len(),
            right: order.len() + 1,
            cover,
        });
        order.extend([node.left_child, node.right_child]);
    }
    Tree::new(nodes, features).map_err(broken)
}
