//! Trees cut into blocks of leaves that share one table.

use super::{
    code::Coder,
    model::{Node, Tree},
};

/// The most bits of a table's index.
pub(super) const MOST_BITS: usize = 8;

/// A condition on the code of a feature: `low ≤ code < low + width`, or missing where missing values pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition {
    pub(super) feature: usize,
    pub(super) low: u16,
    pub(super) width: u16,
    pub(super) missing: bool,
}

/// A feature on the path to a leaf: a player of the leaf's game.
#[derive(Debug, Clone, Copy)]
pub(super) struct Player {
    pub(super) feature: usize,
    /// The share of the training rows that take this feature's turns of the path: the product of the covers' ratios.
    pub(super) share: f64,
}

/// A question below a block's top node on the path to a leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Bit of the block's pattern that holds the answer (1 = left).
    pub(super) bit: u8,
    /// Whether the path goes right.
    pub(super) right: bool,
    /// The player who answers.
    pub(super) player: u8,
}

/// A leaf of a block. Its first `shared` players are those of the path to the block, whose bits come first in the pattern.
#[derive(Debug)]
pub(super) struct BlockLeaf {
    pub(super) value: f64,
    pub(super) players: Vec<Player>,
    pub(super) shared: usize,
    pub(super) steps: Vec<Step>,
}

/// All leaves below a node. A row's pattern: which features of the path to the node agree with the path, then the row's answers
/// to all the questions below the node.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) conditions: Vec<Condition>,
    pub(super) leaves: Vec<BlockLeaf>,
}

/// One leaf whose path has too many features for a table.
#[derive(Debug)]
pub(super) struct DeepLeaf {
    pub(super) value: f64,
    pub(super) players: Vec<Player>,
    pub(super) conditions: Vec<Condition>,
}

/// A part of a tree.
#[derive(Debug)]
pub(super) enum Part {
    Block(Block),
    Deep(DeepLeaf),
}

/// A feature's turns on a path.
#[derive(Debug, Clone, Copy)]
struct Turn {
    feature: usize,
    low: u16,
    high: u16,
    missing: bool,
    share: f64,
}

impl Turn {
    fn condition(&self) -> Condition {
        Condition {
            feature: self.feature,
            low: self.low,
            width: self.high.saturating_sub(self.low),
            missing: self.missing,
        }
    }

    fn player(&self) -> Player {
        Player {
            feature: self.feature,
            share: self.share,
        }
    }
}

/// Cuts a tree into blocks of at most `bits` bits (no more than [`MOST_BITS`]) and leaves that are too deep for that.
pub(super) fn cut(tree: &Tree, coder: &Coder, bits: usize) -> Vec<Part> {
    let nodes = tree.nodes();
    // Questions at and below each node; children stand after their parents.
    let mut questions = vec![0_usize; nodes.len()];
    for at in (0..nodes.len()).rev() {
        if let Node::Split { left, right, .. } = nodes[at] {
            questions[at] = 1 + questions[left] + questions[right];
        }
    }
    let mut parts = Vec::new();
    let mut waiting = vec![(0_usize, Vec::<Turn>::new())];
    while let Some((at, path)) = waiting.pop() {
        if path.len() + questions[at] <= bits {
            parts.push(Part::Block(block(tree, coder, at, &path)));
            continue;
        }
        match nodes[at] {
            Node::Leaf { value, .. } => parts.push(Part::Deep(DeepLeaf {
                value,
                players: path.iter().map(Turn::player).collect(),
                conditions: path.iter().map(Turn::condition).collect(),
            })),
            Node::Split { left, right, .. } => {
                waiting.push((right, turned(tree, coder, at, &path, false)));
                waiting.push((left, turned(tree, coder, at, &path, true)));
            }
        }
    }
    parts
}

/// The share of a node's training rows that went to one of its children.
fn ratio(child: f64, parent: f64) -> f64 {
    if parent > 0.0 { child / parent } else { 0.0 }
}

/// A path with the turn at a split added.
fn turned(tree: &Tree, coder: &Coder, at: usize, path: &[Turn], go_left: bool) -> Vec<Turn> {
    let mut path = path.to_vec();
    let Node::Split {
        feature,
        threshold,
        missing_left,
        left,
        right,
        cover,
    } = tree.nodes()[at]
    else {
        return path;
    };
    let rank = coder.rank(feature, threshold);
    let child = if go_left { left } else { right };
    let share = ratio(tree.nodes()[child].cover(), cover);
    let own = match path.iter().position(|turn| turn.feature == feature) {
        Some(own) => own,
        None => {
            path.push(Turn {
                feature,
                low: 0,
                high: coder.codes(feature),
                missing: true,
                share: 1.0,
            });
            path.len() - 1
        }
    };
    let turn = &mut path[own];
    turn.share *= share;
    turn.missing &= missing_left == go_left;
    if go_left {
        turn.high = turn.high.min(rank + 1);
    } else {
        turn.low = turn.low.max(rank + 1);
    }
    path
}

fn block(tree: &Tree, coder: &Coder, top: usize, path: &[Turn]) -> Block {
    let mut conditions: Vec<Condition> = path.iter().map(Turn::condition).collect();
    let mut leaves = Vec::new();
    let players: Vec<Player> = path.iter().map(Turn::player).collect();
    let mut waiting = vec![(top, players, Vec::<Step>::new())];
    while let Some((at, players, steps)) = waiting.pop() {
        match tree.nodes()[at] {
            Node::Leaf { value, .. } => leaves.push(BlockLeaf {
                value,
                players,
                shared: path.len(),
                steps,
            }),
            Node::Split {
                feature,
                threshold,
                missing_left,
                left,
                right,
                cover,
            } => {
                let bit = conditions.len() as u8;
                conditions.push(Condition {
                    feature,
                    low: 0,
                    width: coder.rank(feature, threshold) + 1,
                    missing: missing_left,
                });
                for (child, goes_right) in [(right, true), (left, false)] {
                    let mut players = players.clone();
                    let mut steps = steps.clone();
                    let share = ratio(tree.nodes()[child].cover(), cover);
                    let own = match players.iter().position(|p| p.feature == feature) {
                        Some(own) => own,
                        None => {
                            players.push(Player {
                                feature,
                                share: 1.0,
                            });
                            players.len() - 1
                        }
                    };
                    players[own].share *= share;
                    steps.push(Step {
                        bit,
                        right: goes_right,
                        player: own as u8,
                    });
                    waiting.push((child, players, steps));
                }
            }
        }
    }
    Block { conditions, leaves }
}
