//! Models saved by LightGBM as text.
//!
//! The format is that of `Booster.save_model`, version 4 (LightGBM 3 and 4). Models with one output and numeric splits are read.

use std::collections::HashMap;

use super::model::{Comparison, Model, ModelError, Node, Tree};

/// Reads a model.
///
/// # Errors
/// When the text is not such a model, ends before its last tree does, or uses what is not supported: several outputs, averaged
/// forests, categorical splits, linear leaves, or a feature whose zeros are missing in one split only.
pub fn read(text: &str) -> Result<Model, ModelError> {
    let mut sections = Sections::new(text);
    let head = sections
        .next()
        .ok_or_else(|| ModelError::Format("it is empty".to_owned()))?;
    if !head.contains_key("tree") {
        return Err(ModelError::Format(
            "it does not begin with the line `tree`".to_owned(),
        ));
    }
    if number::<usize>(&head, "num_tree_per_iteration")? != 1 {
        return Err(ModelError::Unsupported("several outputs".to_owned()));
    }
    if head.contains_key("average_output") {
        return Err(ModelError::Unsupported("an averaged forest".to_owned()));
    }
    let names: Vec<String> = field(&head, "feature_names")?
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    if names.len() != number::<usize>(&head, "max_feature_idx")? + 1 {
        return Err(ModelError::Format(
            "the names of the features are not as many as the features".to_owned(),
        ));
    }
    let mut zero_is_missing: Vec<Option<bool>> = vec![None; names.len()];
    let mut trees = Vec::new();
    for section in sections.by_ref() {
        if !section.contains_key("Tree") {
            break;
        }
        trees.push(tree(trees.len(), &section, &mut zero_is_missing)?);
    }
    // A file that was cut between two trees looks like a smaller model.
    let listed = field(&head, "tree_sizes")?.split_whitespace().count();
    if trees.len() != listed {
        return Err(ModelError::Format(format!(
            "it holds {} trees, but `tree_sizes=` lists {listed}",
            trees.len()
        )));
    }
    if !sections.ended {
        return Err(ModelError::Format(
            "there is no line `end of trees`".to_owned(),
        ));
    }
    // LightGBM's own name for the columns of nameless data.
    let by_position = names
        .iter()
        .enumerate()
        .all(|(at, name)| *name == format!("Column_{at}"));
    Model::new(
        names,
        by_position,
        trees,
        0.0,
        Comparison::AtMost,
        zero_is_missing
            .into_iter()
            .map(|zero| zero == Some(true))
            .collect(),
    )
}

type Section<'a> = HashMap<&'a str, &'a str>;

/// Runs of `key=value` lines, parted by empty lines, up to the end of the trees.
struct Sections<'a> {
    lines: std::str::Lines<'a>,
    /// Whether the line `end of trees` was read; nothing follows it.
    ended: bool,
}

impl<'a> Sections<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            lines: text.lines(),
            ended: false,
        }
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut section = Section::new();
        if self.ended {
            return None;
        }
        for line in self.lines.by_ref() {
            let line = line.trim();
            if line == "end of trees" {
                self.ended = true;
                break;
            }
            if line.is_empty() {
                if section.is_empty() {
                    continue;
                }
                break;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            section.insert(key, value);
        }
        (!section.is_empty()).then_some(section)
    }
}

fn field<'a>(section: &Section<'a>, key: &str) -> Result<&'a str, ModelError> {
    section
        .get(key)
        .copied()
        .ok_or_else(|| ModelError::Format(format!("there is no line `{key}=`")))
}

fn number<T: std::str::FromStr>(section: &Section<'_>, key: &str) -> Result<T, ModelError> {
    field(section, key)?
        .trim()
        .parse()
        .map_err(|_| ModelError::Format(format!("`{key}=` is not followed by a number")))
}

fn numbers<T: std::str::FromStr>(
    section: &Section<'_>,
    key: &str,
    count: usize,
) -> Result<Vec<T>, ModelError> {
    let list: Vec<T> = field(section, key)?
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| ModelError::Format(format!("`{key}=` holds something other than numbers")))?;
    if list.len() == count {
        Ok(list)
    } else {
        Err(ModelError::Format(format!(
            "`{key}=` holds {} numbers instead of {count}",
            list.len()
        )))
    }
}

fn tree(
    at: usize,
    section: &Section<'_>,
    zero_is_missing: &mut [Option<bool>],
) -> Result<Tree, ModelError> {
    let broken = |problem: String| ModelError::Tree { tree: at, problem };
    if section.get("num_cat").is_some_and(|count| *count != "0") {
        return Err(ModelError::Unsupported("categorical splits".to_owned()));
    }
    if section.get("is_linear").is_some_and(|flag| *flag != "0") {
        return Err(ModelError::Unsupported("linear leaves".to_owned()));
    }
    let leaves: usize = number(section, "num_leaves")?;
    let values: Vec<f64> = numbers(section, "leaf_value", leaves)?;
    if leaves <= 1 {
        let value = *values
            .first()
            .ok_or_else(|| broken("it has no leaf".to_owned()))?;
        return Tree::new(
            vec![Node::Leaf { value, cover: 0.0 }],
            zero_is_missing.len(),
        )
        .map_err(broken);
    }
    let splits = leaves - 1;
    let features: Vec<usize> = numbers(section, "split_feature", splits)?;
    let thresholds: Vec<f64> = numbers(section, "threshold", splits)?;
    let kinds: Vec<u8> = numbers(section, "decision_type", splits)?;
    let left: Vec<i64> = numbers(section, "left_child", splits)?;
    let right: Vec<i64> = numbers(section, "right_child", splits)?;
    let leaf_counts: Vec<f64> = numbers(section, "leaf_count", leaves)?;
    let counts: Vec<f64> = numbers(section, "internal_count", splits)?;

    // A child ≥ 0 is a split; otherwise it is the leaf of the inverted number. Numbered anew from the root downwards.
    let mut order = vec![0_i64];
    let mut nodes = Vec::new();
    while nodes.len() < order.len() {
        let own = order[nodes.len()];
        if own < 0 {
            let leaf = usize::try_from(!own).unwrap_or(usize::MAX);
            let (Some(&value), Some(&cover)) = (values.get(leaf), leaf_counts.get(leaf)) else {
                return Err(broken(format!("there is no leaf {leaf}")));
            };
            nodes.push(Node::Leaf { value, cover });
            continue;
        }
        let own = usize::try_from(own).unwrap_or(usize::MAX);
        if own >= splits {
            return Err(broken(format!("there is no split {own}")));
        }
        if order.len() + 2 > leaves + splits {
            return Err(broken("a node has two parents".to_owned()));
        }
        let kind = kinds[own];
        if kind & 1 != 0 {
            return Err(ModelError::Unsupported("categorical splits".to_owned()));
        }
        let (feature, threshold) = (features[own], thresholds[own]);
        let default_left = kind & 2 != 0;
        let missing = kind >> 2 & 3;
        let zero = missing == 1;
        match zero_is_missing.get_mut(feature) {
            None => return Err(broken(format!("there is no feature {feature}"))),
            Some(known) => {
                if *known.get_or_insert(zero) != zero {
                    return Err(ModelError::Unsupported(format!(
                        "feature {feature} with its zeros missing in some splits only"
                    )));
                }
            }
        }
        nodes.push(Node::Split {
            feature,
            threshold,
            // Where the training data had none missing, LightGBM takes a missing value for 0.
            missing_left: if missing == 0 {
                0.0 <= threshold
            } else {
                default_left
            },
            left: order.len(),
            right: order.len() + 1,
            cover: counts[own],
        });
        order.extend([left[own], right[own]]);
    }
    Tree::new(nodes, zero_is_missing.len()).map_err(broken)
}
