//! Contributions and interactions of many rows at a time.

use std::sync::{
    Mutex, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use thiserror::Error;

use super::{
    block::{self, BlockLeaf, DeepLeaf, MOST_BITS, Part},
    code::{self, Codes},
    deep::{DeepKernel, Distinct, MOST_PLAYERS},
    features::{Features, FeaturesError},
    model::Model,
    pattern::{self, PATTERNS, TILE},
    tree_table::{Kernel, TableOf},
};
use crate::cancel::{Cancel, Cancelled};

/// Parts into which the trees are cut, whatever the number of threads: the sums are always added in the same order.
const PARTS: usize = 16;

/// Numbers that one part holds at a time; more rows are explained in turns.
const MOST_HELD: usize = 1 << 19;

/// Rows whose wide patterns are made at a time.
const WIDE_TILE: usize = 64;

/// Up to so many rows, working out each row's patterns is cheaper than tables of all patterns.
const FEW_ROWS: usize = 24;

/// What a prediction is while some features are unknown.
#[derive(Debug, Clone, Copy)]
pub enum Reference<'a> {
    /// Both branches of a split on an unknown feature, weighted by the training rows that went each way.
    TreePaths,
    /// The mean over these rows, which put their values in.
    Background(&'a Features),
}

/// How to explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Number of threads; at least one is used. The result does not depend on it.
    pub threads: usize,
}

impl Default for ExplainOptions {
    fn default() -> Self {
        Self { threads: 1 }
    }
}

/// Why a model's predictions could not be explained.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExplainError {
    /// The rows or the background lack a feature.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// A background of no rows says nothing.
    #[error("the background has no rows to compare with")]
    EmptyBackground,
    /// The model does not say how many training rows its nodes saw, which tree paths need.
    #[error("tree {0} has a split that no training row reached; explain it against a background")]
    NoCover(usize),
    /// A tree asks too much.
    #[error(
        "a tree has more than 65 000 thresholds on one feature or more than 64 features on one path"
    )]
    TooLarge,
    /// The caller wanted to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// What each feature adds to each prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Contributions {
    /// Names of the features, in the order of the model.
    pub features: Vec<String>,
    /// The prediction when nothing is known: a row's contributions add up to its prediction less this.
    pub bias: f64,
    values: Vec<f64>,
    rows: usize,
}

impl Contributions {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The contributions to one row's prediction, one per feature.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f64] {
        assert!(row < self.rows, "there is no row {row}");
        &self.values[row * self.features.len()..(row + 1) * self.features.len()]
    }

    /// The prediction of a row: the bias and its contributions.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn prediction(&self, row: usize) -> f64 {
        self.bias + self.row(row).iter().sum::<f64>()
    }
}

/// What each feature adds to each prediction alone (the diagonal) and together with each other (half on either side).
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    /// Names of the features, in the order of the model.
    pub features: Vec<String>,
    /// The prediction when nothing is known.
    pub bias: f64,
    values: Vec<f64>,
    rows: usize,
}

impl Interactions {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The symmetric matrix of a row, row by row: its rows add up to the contributions of the features.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f64] {
        assert!(row < self.rows, "there is no row {row}");
        let size = self.features.len() * self.features.len();
        &self.values[row * size..(row + 1) * size]
    }
}

/// Splits the predictions of `rows` into one contribution per feature: exact Shapley values.
///
/// Path-dependent: Lundberg and others 2020, *From local explanations to global understanding*. Against a background, over all
/// of its rows, with tables of patterns: Nadel and Wettenstein 2026. The integrals: see the module's documentation.
///
/// # Errors
/// When a feature is absent, the background is empty, the model has no covers (tree paths), or the caller cancels.
pub fn explain(
    model: &Model,
    rows: &Features,
    reference: Reference<'_>,
    options: ExplainOptions,
    cancel: &(dyn Cancel + Sync),
) -> Result<Contributions, ExplainError> {
    let features = model.features().len();
    let work = Work::new(model, rows, reference, options, cancel)?;
    let mut values = vec![0.0; rows.rows() * features];
    let bias = work.run(Order::Main, features, |from, sums, length| {
        for (feature, column) in sums.chunks_exact(length).enumerate() {
            for (row, &value) in column.iter().enumerate() {
                values[(from + row) * features + feature] = value;
            }
        }
    })?;
    Ok(Contributions {
        features: model.features().to_vec(),
        bias,
        values,
        rows: rows.rows(),
    })
}

/// Splits the predictions of `rows` into main effects and interactions of pairs: the Shapley interaction index of Grabisch and
/// Roubens 1999 as used by Lundberg and others 2020, a pair's effect being halved between its two entries.
///
/// # Errors
/// As [`explain()`].
pub fn interactions(
    model: &Model,
    rows: &Features,
    reference: Reference<'_>,
    options: ExplainOptions,
    cancel: &(dyn Cancel + Sync),
) -> Result<Interactions, ExplainError> {
    let features = model.features().len();
    let work = Work::new(model, rows, reference, options, cancel)?;
    let size = features * features;
    let mut values = vec![0.0; rows.rows() * size];
    let bias = work.run(Order::Main, features, |from, sums, length| {
        for (feature, column) in sums.chunks_exact(length).enumerate() {
            for (row, &value) in column.iter().enumerate() {
                values[(from + row) * size + feature * (features + 1)] = value;
            }
        }
    })?;
    let pairs = features * features.saturating_sub(1) / 2;
    work.run(Order::Pairs, pairs, |from, sums, length| {
        let mut columns = sums.chunks_exact(length);
        for first in 0..features {
            for second in first + 1..features {
                let column = columns.next().expect("a column per pair");
                for (row, &value) in column.iter().enumerate() {
                    let matrix = &mut values[(from + row) * size..(from + row + 1) * size];
                    matrix[first * features + second] = value;
                    matrix[second * features + first] = value;
                    matrix[first * (features + 1)] -= value;
                    matrix[second * (features + 1)] -= value;
                }
            }
        }
    })?;
    Ok(Interactions {
        features: model.features().to_vec(),
        bias,
        values,
        rows: rows.rows(),
    })
}

/// What is worked out of each leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// A value per player.
    Main,
    /// A value per pair of players.
    Pairs,
}

impl Order {
    /// Number of values of a leaf with this many players.
    fn count(self, players: usize) -> usize {
        match self {
            Self::Main => players,
            Self::Pairs => players * players.saturating_sub(1) / 2,
        }
    }

    /// Where the values of a leaf go: the feature, or the pair of features in the order (0, 1), (0, 2), …, (1, 2), ….
    fn channels(self, players: &[block::Player], features: usize, out: &mut Vec<usize>) {
        out.clear();
        match self {
            Self::Main => out.extend(players.iter().map(|p| p.feature)),
            Self::Pairs => {
                for (at, one) in players.iter().enumerate() {
                    for other in &players[at + 1..] {
                        let first = one.feature.min(other.feature);
                        let second = one.feature.max(other.feature);
                        out.push(first * (2 * features - first - 1) / 2 + (second - first - 1));
                    }
                }
            }
        }
    }
}

/// Trees whose thresholds are coded together, and the rows in that code.
struct Group {
    from: usize,
    to: usize,
    coder: code::Coder,
    background: Option<Codes>,
}

struct Work<'a> {
    model: &'a Model,
    columns: Vec<&'a [f64]>,
    rows: usize,
    groups: Vec<Group>,
    bits: usize,
    threads: usize,
    /// Made when the first leaf needs it.
    deep: OnceLock<DeepKernel>,
    cancel: &'a (dyn Cancel + Sync),
}

impl<'a> Work<'a> {
    fn new(
        model: &'a Model,
        rows: &'a Features,
        reference: Reference<'a>,
        options: ExplainOptions,
        cancel: &'a (dyn Cancel + Sync),
    ) -> Result<Self, ExplainError> {
        let columns = model.columns(rows)?;
        let background = match reference {
            Reference::TreePaths => {
                for (at, tree) in model.trees().iter().enumerate() {
                    let empty = |node: &super::Node| {
                        matches!(node, super::Node::Split { .. }) && node.cover() <= 0.0
                    };
                    if tree.nodes().iter().any(empty) {
                        return Err(ExplainError::NoCover(at));
                    }
                }
                None
            }
            Reference::Background(background) => {
                if background.rows() == 0 {
                    return Err(ExplainError::EmptyBackground);
                }
                Some(model.columns(background)?)
            }
        };
        let threads = options.threads.max(1);
        let mut groups = Vec::new();
        for (from, to, coder) in code::coders(model).ok_or(ExplainError::TooLarge)? {
            let background = background
                .as_ref()
                .map(|columns| encode(model, &coder, columns, threads, cancel))
                .transpose()?;
            groups.push(Group {
                from,
                to,
                coder,
                background,
            });
        }
        let few = rows.rows() <= FEW_ROWS && background.is_none();
        Ok(Self {
            model,
            columns,
            rows: rows.rows(),
            groups,
            bits: if few { 0 } else { MOST_BITS },
            threads,
            deep: OnceLock::new(),
            cancel,
        })
    }

    /// Works through all rows in turns; `take` gets the first row of a turn, its sums (a column per channel) and its length.
    /// Returns the bias.
    fn run(
        &self,
        order: Order,
        channels: usize,
        mut take: impl FnMut(usize, &[f64], usize),
    ) -> Result<f64, ExplainError> {
        let turn = (MOST_HELD / channels.max(1)).clamp(64, 1 << 16);
        let mut from = 0;
        loop {
            let length = turn.min(self.rows - from);
            let mut sums = vec![0.0; channels * length];
            let mut bias = self.model.base();
            for group in &self.groups {
                let columns: Vec<&[f64]> = self
                    .columns
                    .iter()
                    .map(|column| &column[from..from + length])
                    .collect();
                let codes = encode(
                    self.model,
                    &group.coder,
                    &columns,
                    self.threads,
                    self.cancel,
                )?;
                let parts = PARTS.min(group.to - group.from);
                let results = in_parallel(parts, self.threads, |part| {
                    let cut = |part: usize| group.from + (group.to - group.from) * part / parts;
                    let mut worker = Worker::new(self, group, &codes, order, channels);
                    for tree in cut(part)..cut(part + 1) {
                        worker.tree(tree)?;
                    }
                    Ok::<_, ExplainError>((worker.sums, worker.bias))
                });
                for result in results {
                    let (part_sums, part_bias) = result?;
                    bias += part_bias;
                    for (sum, part) in sums.iter_mut().zip(&part_sums) {
                        *sum += part;
                    }
                }
            }
            if length > 0 {
                take(from, &sums, length);
            }
            from += length;
            if from >= self.rows {
                return Ok(bias);
            }
        }
    }
}

/// Rows as codes.
fn encode(
    model: &Model,
    coder: &code::Coder,
    columns: &[&[f64]],
    threads: usize,
    cancel: &(dyn Cancel + Sync),
) -> Result<Codes, Cancelled> {
    let coded = in_parallel(columns.len(), threads, |feature| {
        cancel.check()?;
        Ok(coder.encode_column(model, feature, columns[feature]))
    });
    let mut codes = Codes {
        columns: Vec::with_capacity(columns.len()),
        has_missing: Vec::with_capacity(columns.len()),
        rows: columns.first().map_or(0, |column| column.len()),
    };
    for column in coded {
        let (column, has_missing) = column?;
        codes.columns.push(column);
        codes.has_missing.push(has_missing);
    }
    Ok(codes)
}

/// The results of `count` tasks in their order, worked on by up to `threads` threads.
fn in_parallel<T: Send>(count: usize, threads: usize, task: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if threads <= 1 || count <= 1 {
        return (0..count).map(task).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    let result = task(at);
                    done.lock()
                        .expect("no task panics while it holds this")
                        .push((at, result));
                }
            });
        }
    });
    let mut done = done
        .into_inner()
        .expect("no task panics while it holds this");
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Sums over some trees.
struct Worker<'a> {
    work: &'a Work<'a>,
    group: &'a Group,
    codes: &'a Codes,
    order: Order,
    kernel: Kernel,
    sums: Vec<f64>,
    bias: f64,
    tables: Vec<TableOf>,
    table_channels: Vec<usize>,
    leaf_tables: Vec<TableOf>,
    leaf_channels: Vec<usize>,
    leaf_patterns: [u8; PATTERNS],
}

impl<'a> Worker<'a> {
    fn new(
        work: &'a Work<'a>,
        group: &'a Group,
        codes: &'a Codes,
        order: Order,
        channels: usize,
    ) -> Self {
        Self {
            work,
            group,
            codes,
            order,
            kernel: Kernel::new(),
            sums: vec![0.0; channels * codes.rows],
            bias: 0.0,
            tables: Vec::new(),
            table_channels: Vec::new(),
            leaf_tables: vec![[0.0; PATTERNS]; order.count(MOST_BITS)],
            leaf_channels: Vec::new(),
            leaf_patterns: [0; PATTERNS],
        }
    }

    fn tree(&mut self, tree: usize) -> Result<(), ExplainError> {
        let tree = &self.work.model.trees()[tree];
        for part in block::cut(tree, &self.group.coder, self.work.bits) {
            self.work.cancel.check()?;
            match part {
                Part::Block(block) => self.block(&block),
                Part::Deep(leaf) => self.deep(&leaf)?,
            }
        }
        Ok(())
    }

    fn block(&mut self, block: &block::Block) {
        let bits = block.conditions.len();
        let seen = self.group.background.as_ref().map(|background| {
            let rows = background.rows as f64;
            let counts = pattern::histogram(background, &block.conditions);
            counts.map(|count| f64::from(count) / rows)
        });
        self.table_channels.clear();
        for leaf in &block.leaves {
            pattern::leaf_patterns(leaf, bits, &mut self.leaf_patterns);
            self.leaf(leaf, seen.as_ref().map(|seen| &seen[..1 << bits]));
            let features = self.work.columns.len();
            self.order
                .channels(&leaf.players, features, &mut self.leaf_channels);
            for (channel, values) in self.leaf_channels.iter().zip(&self.leaf_tables) {
                let known = self.table_channels.iter().position(|own| own == channel);
                let place = known.unwrap_or_else(|| {
                    self.table_channels.push(*channel);
                    let place = self.table_channels.len() - 1;
                    if self.tables.len() == place {
                        self.tables.push([0.0; PATTERNS]);
                    }
                    self.tables[place][..1 << bits].fill(0.0);
                    place
                });
                let table = &mut self.tables[place][..1 << bits];
                for (sum, &pattern) in table.iter_mut().zip(&self.leaf_patterns) {
                    *sum += values[usize::from(pattern)];
                }
            }
        }
        let mut tile = [0_u8; TILE];
        let rows = self.codes.rows;
        let mut from = 0;
        while from < rows && !self.table_channels.is_empty() {
            let length = TILE.min(rows - from);
            pattern::patterns(self.codes, &block.conditions, from, &mut tile[..length]);
            for (&channel, table) in self.table_channels.iter().zip(&self.tables) {
                let sums = &mut self.sums[channel * rows + from..channel * rows + from + length];
                for (sum, &pattern) in sums.iter_mut().zip(&tile) {
                    *sum += table[usize::from(pattern)];
                }
            }
            from += length;
        }
    }

    /// Makes the tables of one leaf and adds to the bias.
    fn leaf(&mut self, leaf: &BlockLeaf, seen: Option<&[f64]>) {
        let players = leaf.players.len();
        match (seen, self.order) {
            (None, order) => {
                let shares: f64 = leaf.players.iter().map(|p| p.share).product();
                self.bias += leaf.value * shares;
                let out = &mut self.leaf_tables;
                match order {
                    Order::Main => self.kernel.tree_paths(leaf.value, &leaf.players, out),
                    Order::Pairs => self.kernel.tree_path_pairs(leaf.value, &leaf.players, out),
                }
            }
            (Some(seen), order) => {
                let mut weights = [0.0; PATTERNS];
                for (&share, &pattern) in seen.iter().zip(&self.leaf_patterns) {
                    weights[usize::from(pattern)] += leaf.value * share;
                }
                let weights = &weights[..1 << players];
                self.bias += weights[weights.len() - 1];
                let out = &mut self.leaf_tables;
                match order {
                    Order::Main => self.kernel.background(weights, players, out),
                    Order::Pairs => self.kernel.background_pairs(weights, players, out),
                }
            }
        }
    }

    fn deep(&mut self, leaf: &DeepLeaf) -> Result<(), ExplainError> {
        let players = leaf.players.len();
        if players > MOST_PLAYERS {
            return Err(ExplainError::TooLarge);
        }
        let background = self.group.background.as_ref().map(|background| {
            let mut distinct = Distinct::new(players);
            each_pattern(background, &leaf.conditions, |_, pattern| {
                distinct.add(pattern);
            });
            let rows = background.rows as f64;
            let shares = distinct.counts.iter().map(|&count| count as f64 / rows);
            distinct
                .patterns
                .iter()
                .copied()
                .zip(shares)
                .collect::<Vec<_>>()
        });
        self.bias += leaf.value
            * match &background {
                None => leaf.players.iter().map(|p| p.share).product::<f64>(),
                Some(background) => {
                    let all = u64::MAX >> (64 - players.max(1));
                    let reach = background.iter().find(|(pattern, _)| *pattern == all);
                    reach.map_or(0.0, |(_, share)| *share)
                }
            };
        let features = self.work.columns.len();
        self.order
            .channels(&leaf.players, features, &mut self.leaf_channels);
        let count = self.order.count(players);
        let deep = self.work.deep.get_or_init(DeepKernel::new);
        let rows = self.codes.rows;
        let mut distinct = Distinct::new(players);
        let mut values: Vec<f64> = Vec::new();
        each_pattern(self.codes, &leaf.conditions, |row, pattern| {
            let number = distinct.add(pattern) as usize;
            if values.len() == number * count {
                values.resize((number + 1) * count, 0.0);
                let out = &mut values[number * count..];
                match (&background, self.order) {
                    (None, Order::Main) => deep.tree_paths(leaf, pattern, out),
                    (None, Order::Pairs) => deep.tree_path_pairs(leaf, pattern, out),
                    (Some(seen), Order::Main) => deep.background(leaf, pattern, seen, out),
                    (Some(seen), Order::Pairs) => {
                        deep.background_pairs(leaf, pattern, seen, out);
                    }
                }
            }
            let own = &values[number * count..(number + 1) * count];
            for (&channel, &value) in self.leaf_channels.iter().zip(own) {
                self.sums[channel * rows + row] += value;
            }
        });
        Ok(())
    }
}

/// Calls with every row and its pattern.
fn each_pattern(codes: &Codes, conditions: &[block::Condition], mut with: impl FnMut(usize, u64)) {
    let mut tile = [0_u64; WIDE_TILE];
    let mut from = 0;
    while from < codes.rows {
        let length = WIDE_TILE.min(codes.rows - from);
        pattern::wide_patterns(codes, conditions, from, &mut tile[..length]);
        for (row, &pattern) in tile[..length].iter().enumerate() {
            with(from + row, pattern);
        }
        from += length;
    }
}
