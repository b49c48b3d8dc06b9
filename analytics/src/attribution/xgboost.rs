//! Models saved by XGBoost as JSON.
//!
//! The format is that of `Booster.save_model("….json")`, documented in *Introduction to Model IO*; written against XGBoost 3.2 and
//! accepting what versions since 1.6 differ in. Trees with one output and numeric splits are read, of the boosters `gbtree` and
//! the objectives whose margin is known here.

use serde::Deserialize;

use super::model::{Comparison, Model, ModelError, Node, Tree};

#[derive(Deserialize)]
struct File {
    learner: Learner,
}

#[derive(Deserialize)]
struct Learner {
    #[serde(default)]
    feature_names: Vec<String>,
    gradient_booster: Booster,
    learner_model_param: LearnerParameters,
    objective: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Booster {
    name: String,
    model: Option<Forest>,
}

#[derive(Deserialize)]
struct Forest {
    #[serde(default)]
    tree_info: Vec<i64>,
    trees: Vec<RawTree>,
}

#[derive(Deserialize)]
struct LearnerParameters {
    base_score: String,
    num_feature: String,
}

#[derive(Deserialize)]
struct RawTree {
    left_children: Vec<i64>,
    right_children: Vec<i64>,
    split_indices: Vec<usize>,
    split_conditions: Vec<f32>,
    default_left: Vec<Flag>,
    sum_hessian: Vec<f32>,
    #[serde(default)]
    split_type: Vec<u8>,
}

/// Versions differ in whether they write 1 or true.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Number(u8),
    Truth(bool),
}

impl Flag {
    fn is_set(&self) -> bool {
        match *self {
            Self::Number(number) => number != 0,
            Self::Truth(truth) => truth,
        }
    }
}

/// Reads a model.
///
/// # Errors
/// When the text is not such a model or uses what is not supported: linear and dart boosters, several outputs, categorical
/// splits, other objectives; when a tree has no nodes; when the base score has no finite margin (a share of 1, a rate of 0).
pub fn read(text: &str) -> Result<Model, ModelError> {
    let file: File =
        serde_json::from_str(text).map_err(|error| ModelError::Format(error.to_string()))?;
    let learner = file.learner;
    if learner.gradient_booster.name != "gbtree" {
        let name = learner.gradient_booster.name;
        return Err(ModelError::Unsupported(format!("the booster {name:?}")));
    }
    let forest = learner
        .gradient_booster
        .model
        .ok_or_else(|| ModelError::Format("the booster has no model".to_owned()))?;
    if forest.tree_info.iter().any(|&output| output != 0) {
        return Err(ModelError::Unsupported("several outputs".to_owned()));
    }
    let features: usize = learner
        .learner_model_param
        .num_feature
        .parse()
        .map_err(|_| ModelError::Format("num_feature is not a number".to_owned()))?;
    let base = margin(
        &learner.objective.name,
        base_score(&learner.learner_model_param.base_score)?,
    )?;
    let by_position = learner.feature_names.is_empty();
    let names = if by_position {
        (0..features).map(|at| format!("f{at}")).collect()
    } else {
        learner.feature_names
    };
    if names.len() != features {
        return Err(ModelError::Format(format!(
            "{} names for {features} features",
            names.len()
        )));
    }
    let trees = forest
        .trees
        .into_iter()
        .enumerate()
        .map(|(at, raw)| tree(at, &raw, features))
        .collect::<Result<_, _>>()?;
    Model::new(
        names,
        by_position,
        trees,
        base,
        Comparison::BelowSingle,
        Vec::new(),
    )
}

/// Since version 3 a list of one number in text.
fn base_score(text: &str) -> Result<f64, ModelError> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    if inner.contains(',') {
        return Err(ModelError::Unsupported("several outputs".to_owned()));
    }
    // The number was written from a 32-bit one.
    inner
        .parse::<f32>()
        .map(f64::from)
        .map_err(|_| ModelError::Format(format!("the base score is {text:?}")))
}

/// The base score on the scale on which trees add.
fn margin(objective: &str, score: f64) -> Result<f64, ModelError> {
    match objective {
        "reg:squarederror"
        | "reg:absoluteerror"
        | "reg:pseudohubererror"
        | "reg:quantileerror"
        | "reg:squaredlogerror" => Ok(score),
        "reg:logistic" | "binary:logistic" => Ok((score / (1.0 - score)).ln()),
        "count:poisson" | "reg:gamma" | "reg:tweedie" => Ok(score.ln()),
        other => Err(ModelError::Unsupported(format!("the objective {other:?}"))),
    }
}

fn tree(at: usize, raw: &RawTree, features: usize) -> Result<Tree, ModelError> {
    let broken = |problem: String| ModelError::Tree { tree: at, problem };
    let count = raw.left_children.len();
    let lengths = [
        raw.right_children.len(),
        raw.split_indices.len(),
        raw.split_conditions.len(),
        raw.default_left.len(),
        raw.sum_hessian.len(),
    ];
    if lengths.iter().any(|&length| length != count) {
        return Err(broken("its columns differ in length".to_owned()));
    }
    if count == 0 {
        return Err(broken("it has no nodes".to_owned()));
    }
    if raw.split_type.iter().any(|&kind| kind != 0) {
        return Err(ModelError::Unsupported("categorical splits".to_owned()));
    }
    // Numbered from the root downwards, so that children stand after their parents even where pruning left gaps.
    let mut order = vec![0_usize];
    let mut nodes = Vec::new();
    while nodes.len() < order.len() {
        let own = order[nodes.len()];
        let cover = f64::from(raw.sum_hessian[own]);
        let (left, right) = (raw.left_children[own], raw.right_children[own]);
        if left < 0 {
            nodes.push(Node::Leaf {
                value: f64::from(raw.split_conditions[own]),
                cover,
            });
            continue;
        }
        let child = |child: i64| {
            usize::try_from(child)
                .ok()
                .filter(|&child| child < count)
                .ok_or_else(|| broken(format!("node {own} has child {child}")))
        };
        let (left, right) = (child(left)?, child(right)?);
        if order.len() + 2 > count {
            return Err(broken("a node has two parents".to_owned()));
        }
        nodes.push(Node::Split {
            feature: raw.split_indices[own],
            threshold: f64::from(raw.split_conditions[own]),
            missing_left: raw.default_left[own].is_set(),
            left: order.len(),
            right: order.len() + 1,
            cover,
        });
        order.extend([left, right]);
    }
    Tree::new(nodes, features).map_err(broken)
}
