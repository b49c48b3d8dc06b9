//! Values as ranks among the thresholds of a model, so that every question to a row is one comparison of small integers.

use super::model::{Comparison, Model, Node};

/// The code of a missing value; no rank reaches it.
pub(super) const MISSING: u16 = u16::MAX;

/// The largest number of distinct thresholds that one feature may have among the trees that are coded together.
const MOST_THRESHOLDS: usize = 65_000;

/// The distinct thresholds of some trees, per feature, in increasing order.
///
/// The code of a value is the number of thresholds that it has passed, so it goes left at the threshold of rank `k` exactly when
/// its code is at most `k`.
#[derive(Debug)]
pub(super) struct Coder {
    thresholds: Vec<Vec<f64>>,
}

/// Rows as codes, one column per feature of the model.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) columns: Vec<Vec<u16>>,
    pub(super) has_missing: Vec<bool>,
    pub(super) rows: usize,
}

impl Coder {
    /// The thresholds of the trees `from .. to` of a model; `None` when one feature has too many to be coded.
    pub(super) fn new(model: &Model, from: usize, to: usize) -> Option<Self> {
        let mut thresholds = vec![Vec::new(); model.features().len()];
        for tree in &model.trees()[from..to] {
            for node in tree.nodes() {
                if let Node::Split {
                    feature, threshold, ..
                } = *node
                {
                    thresholds[feature].push(threshold);
                }
            }
        }
        for column in &mut thresholds {
            column.sort_by(f64::total_cmp);
            // By equality, so that the two zeros are one threshold.
            column.dedup_by(|a, b| a == b);
            if column.len() > MOST_THRESHOLDS {
                return None;
            }
        }
        Some(Self { thresholds })
    }

    /// Number of codes of a feature, the missing value apart.
    pub(super) fn codes(&self, feature: usize) -> u16 {
        self.thresholds[feature].len() as u16 + 1
    }

    /// The rank of a threshold of these trees.
    pub(super) fn rank(&self, feature: usize, threshold: f64) -> u16 {
        self.thresholds[feature].partition_point(|&t| t < threshold) as u16
    }

    /// The rows `from .. to` of a column as codes, and whether some are missing.
    pub(super) fn encode_column(
        &self,
        model: &Model,
        feature: usize,
        column: &[f64],
    ) -> (Vec<u16>, bool) {
        let thresholds = &self.thresholds[feature];
        let mut has_missing = false;
        let strict = model.comparison() != Comparison::AtMost;
        let codes = column
            .iter()
            .map(|&value| {
                let value = model.seen(feature, value);
                if value.is_nan() {
                    has_missing = true;
                    MISSING
                } else if strict {
                    thresholds.partition_point(|&t| t <= value) as u16
                } else {
                    thresholds.partition_point(|&t| t < value) as u16
                }
            })
            .collect();
        (codes, has_missing)
    }
}

/// Cuts the trees of a model into ranges whose thresholds can be coded; `None` when a single tree has too many.
pub(super) fn coders(model: &Model) -> Option<Vec<(usize, usize, Coder)>> {
    let mut done = Vec::new();
    let mut waiting = vec![(0, model.trees().len())];
    while let Some((from, to)) = waiting.pop() {
        match Coder::new(model, from, to) {
            Some(coder) => done.push((from, to, coder)),
            None if to - from <= 1 => return None,
            None => {
                let middle = from + (to - from) / 2;
                waiting.push((middle, to));
                waiting.push((from, middle));
            }
        }
    }
    Some(done)
}
