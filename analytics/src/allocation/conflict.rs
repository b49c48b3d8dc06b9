//! Why no plan exists: a smallest set of rules and bounds that contradict each other, and the least change that resolves it.
//!
//! Rules are given elastic slack at a price of one per unit; the least total slack is the smallest relaxation (Brown and
//! Graves 1975). Its prices are a Farkas certificate: only rules and bounds that are priced there can be part of that
//! conflict. A deletion filter (Chinneck and Dravnieks 1991) then drops every member without which the rest is still
//! contradictory.

use serde::{Deserialize, Serialize};

use super::{
    interior::{self, Program, Response, Row},
    rows::{Named, Origin},
    separable::{Cells, Domain, Pieces, row_size},
};
use crate::cancel::{Cancel, Cancelled};

/// Most cell bounds the deletion filter goes through one by one.
pub(crate) const MOST_BOUNDS: usize = 80;

/// A member of a conflict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The rule or bound in words.
    pub what: String,
    /// Number of the rule in the problem's list, if it is one.
    pub number: Option<usize>,
    /// Its limit.
    pub limit: f64,
}

/// A limit that would have to move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relaxation {
    /// The rule in words.
    pub rule: String,
    /// Number of the rule in the problem's list; `None` for the total.
    pub number: Option<usize>,
    /// Limit now.
    pub from: f64,
    /// Limit that would do.
    pub to: f64,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Rules and bounds that cannot hold together.
    pub members: Vec<Member>,
    /// Whether dropping any one member makes the rest possible.
    pub minimal: bool,
    /// The smallest sum of changes that makes a plan possible; where rules on least use take part, the smallest change of a
    /// single limit.
    pub least_change: f64,
    /// One way to achieve it, by moving as few limits as were found to do.
    pub relaxation: Vec<Relaxation>,
    /// Single limits that would do on their own, smallest change first.
    pub alternatives: Vec<Relaxation>,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let members: Vec<&str> = self.members.iter().map(|m| m.what.as_str()).collect();
        write!(f, "these cannot hold together: {}", members.join("; "))?;
        for r in &self.relaxation {
            write!(
                f,
                "; it would do to move {} from {} to {}",
                r.rule, r.from, r.to
            )?;
        }
        Ok(())
    }
}

/// What is being tested: the response (for rows on outcomes), bounds and rows.
pub(crate) struct Test<'a, R> {
    pub(crate) response: &'a R,
    pub(crate) lower: &'a [f64],
    pub(crate) upper: &'a [f64],
    pub(crate) rows: &'a [Row],
    /// The first so many rows are rules; the others keep two appearances of a spend equal.
    pub(crate) rules: usize,
    /// Natural limits that are no one's rule.
    pub(crate) widest: (f64, f64),
    /// Variables start here, in the unit of the cell's spend.
    pub(crate) offset: &'a [f64],
    pub(crate) start: &'a [f64],
}

/// A response with slack variables at the end.
struct Elastic<'a, R> {
    inner: &'a R,
    starts: Vec<usize>,
    blocks: usize,
}

impl<R: Response> Response for Elastic<'_, R> {
    fn starts(&self) -> &[usize] {
        &self.starts
    }
    fn band(&self, block: usize) -> usize {
        if block < self.blocks {
            self.inner.band(block)
        } else {
            0
        }
    }
    fn evaluate(&self, block: usize, x: &[f64], slope: &mut [f64], bend: &mut [f64]) -> f64 {
        if block < self.blocks {
            self.inner.evaluate(block, x, slope, bend)
        } else {
            (slope[0], bend[0]) = (1.0, 0.0);
            x[0]
        }
    }
}

/// Least total slack.
struct Slack {
    /// Infinite where the method did not get to an answer.
    total: f64,
    /// Per row: how far its lower side and its upper side move.
    moves: Vec<(f64, f64)>,
    prices: Vec<f64>,
    /// Reduced value of each variable: negative at a lower bound that matters, positive at an upper one.
    reduced: Vec<f64>,
}

impl<R: Response> Test<'_, R> {
    fn slack(
        &self,
        lower: &[f64],
        upper: &[f64],
        used: &[bool],
        elastic: &[bool],
        cancel: &dyn Cancel,
    ) -> Result<Slack, Cancelled> {
        let n = lower.len();
        let blocks = self.response.starts().len() - 1;
        let mut starts = self.response.starts().to_vec();
        let (mut low, mut high) = (lower.to_vec(), upper.to_vec());
        let mut start = self.start.to_vec();
        let mut weights = vec![0.0; blocks];
        let mut rows = Vec::new();
        let mut place = vec![(None, None); self.rows.len()];
        let mut kept = Vec::new();
        for (r, row) in self.rows.iter().enumerate() {
            if !used[r] {
                continue;
            }
            kept.push(r);
            let mut row = row.clone();
            // Further than this no slack is ever needed.
            let reach: f64 = row
                .terms
                .iter()
                .map(|&(i, a)| a.abs() * (high[i] - low[i]))
                .sum::<f64>()
                + row
                    .terms
                    .iter()
                    .map(|&(i, a)| (a * low[i]).abs())
                    .sum::<f64>()
                + row_size(&row) * 2.0
                + 1.0;
            let mut add = |sign: f64| {
                let variable = low.len();
                low.push(0.0);
                high.push(reach);
                start.push(0.5 * reach);
                weights.push(-1.0);
                starts.push(variable + 1);
                row.terms.push((variable, sign));
                variable
            };
            if elastic[r] {
                if row.lower.is_finite() {
                    place[r].0 = Some(add(1.0));
                }
                if row.upper.is_finite() {
                    place[r].1 = Some(add(-1.0));
                }
            }
            rows.push(row);
        }
        let elastic_response = Elastic {
            inner: self.response,
            starts,
            blocks,
        };
        let program = Program {
            response: &elastic_response,
            weights: &weights,
            lower: &low,
            upper: &high,
            rows: &rows,
        };
        let point = interior::maximise(&program, &start, cancel)?;
        let mut slack = Slack {
            total: 0.0,
            moves: vec![(0.0, 0.0); self.rows.len()],
            prices: vec![0.0; self.rows.len()],
            reduced: vec![0.0; n],
        };
        for (index, &r) in kept.iter().enumerate() {
            slack.prices[r] = point.prices[index];
            let at = |variable: Option<usize>| variable.map_or(0.0, |v| point.x[v]);
            slack.moves[r] = (at(place[r].0), at(place[r].1));
            slack.total += slack.moves[r].0 + slack.moves[r].1;
            for &(i, a) in &self.rows[r].terms {
                slack.reduced[i] -= point.prices[index] * a;
            }
        }
        if !point.converged {
            slack.total = f64::INFINITY;
        }
        Ok(slack)
    }

    /// Whether the used rows can all hold within these bounds, or it is not known that they cannot; then `doubt` is set.
    fn possible(
        &self,
        lower: &[f64],
        upper: &[f64],
        used: &[bool],
        doubt: &mut bool,
        cancel: &dyn Cancel,
    ) -> Result<bool, Cancelled> {
        let slack = self.slack(lower, upper, used, &self.elastic(), cancel)?;
        *doubt |= slack.total.is_infinite();
        Ok(slack.total <= self.tolerance() || slack.total.is_infinite())
    }

    /// Rows that may give way: all but those that only keep two appearances of a spend equal.
    fn elastic(&self) -> Vec<bool> {
        (0..self.rows.len()).map(|r| r < self.rules).collect()
    }

    /// Whether the rows are shown to contradict each other.
    fn contradictory(&self, cancel: &dyn Cancel) -> Result<bool, Cancelled> {
        let used = vec![true; self.rows.len()];
        let slack = self.slack(self.lower, self.upper, &used, &self.elastic(), cancel)?;
        Ok(slack.total.is_finite() && slack.total > self.tolerance())
    }

    fn tolerance(&self) -> f64 {
        1e-7 * self.rows.iter().map(row_size).fold(1e-9, f64::max)
    }

    /// Finds the conflict. `None` when the rules can hold after all, or where it is not known that they cannot.
    pub(crate) fn conflict(
        &self,
        named: &[Named],
        owner: &dyn Fn(usize) -> String,
        cancel: &dyn Cancel,
    ) -> Result<Option<Conflict>, Cancelled> {
        let m = self.rules;
        let mut used = vec![true; self.rows.len()];
        let all = self.elastic();
        let whole = self.slack(self.lower, self.upper, &used, &all, cancel)?;
        let tolerance = self.tolerance();
        if whole.total <= tolerance || whole.total.is_infinite() {
            return Ok(None);
        }
        // Only priced rules and bounds matter, if they are contradictory on their own.
        let mut doubt = false;
        let (mut lower, mut upper) = (self.lower.to_vec(), self.upper.to_vec());
        let priced: Vec<bool> = (0..self.rows.len())
            .map(|r| r >= m || whole.prices[r].abs() > 1e-5)
            .collect();
        if !self.possible(&lower, &upper, &priced, &mut doubt, cancel)? {
            used = priced;
        }
        for r in 0..m {
            if used[r] {
                used[r] = false;
                if self.possible(&lower, &upper, &used, &mut doubt, cancel)? {
                    used[r] = true;
                }
            }
        }
        // Bounds: all that have no price go at once, the others one by one.
        let last = self.slack(&lower, &upper, &used, &all, cancel)?;
        let natural = |i: usize| {
            (
                (self.widest.0 - self.offset[i]).min(self.lower[i]),
                (self.widest.1 - self.offset[i]).max(self.upper[i]),
            )
        };
        let mut candidates: Vec<(usize, bool)> = Vec::new();
        let (mut bare_lower, mut bare_upper) = (lower.clone(), upper.clone());
        for i in 0..lower.len() {
            let (low, high) = natural(i);
            if last.reduced[i] < -1e-5 && low < lower[i] {
                candidates.push((i, false));
            } else {
                bare_lower[i] = low;
            }
            if last.reduced[i] > 1e-5 && high > upper[i] {
                candidates.push((i, true));
            } else {
                bare_upper[i] = high;
            }
        }
        let mut minimal = true;
        if self.possible(&bare_lower, &bare_upper, &used, &mut doubt, cancel)? {
            // The unpriced bounds matter after all; keep them, unnamed ones included.
            minimal = false;
        } else {
            (lower, upper) = (bare_lower, bare_upper);
        }
        let mut members: Vec<Member> = Vec::new();
        if candidates.len() > MOST_BOUNDS {
            minimal = false;
            members.push(Member {
                what: format!("bounds of {} cells", candidates.len()),
                number: None,
                limit: candidates
                    .iter()
                    .map(|&(i, up)| self.offset[i] + if up { upper[i] } else { lower[i] })
                    .sum(),
            });
        } else {
            for (i, up) in candidates {
                let (low, high) = natural(i);
                let kept = if up { upper[i] } else { lower[i] };
                if up {
                    upper[i] = high;
                } else {
                    lower[i] = low;
                }
                if self.possible(&lower, &upper, &used, &mut doubt, cancel)? {
                    if up {
                        upper[i] = kept;
                    } else {
                        lower[i] = kept;
                    }
                    members.push(Member {
                        what: format!(
                            "{} bound of {}",
                            if up { "upper" } else { "lower" },
                            owner(i)
                        ),
                        number: None,
                        limit: self.offset[i] + kept,
                    });
                }
            }
        }
        let side = |row: &Row, price: f64| if price < 0.0 { row.lower } else { row.upper };
        let mut rules: Vec<Member> = (0..m)
            .filter(|&r| used[r])
            .map(|r| Member {
                what: named[r].name.clone(),
                number: number(&named[r]),
                limit: side(&named[r].row, whole.prices[r]),
            })
            .collect();
        rules.append(&mut members);

        let mut alternatives: Vec<(f64, Relaxation)> = Vec::new();
        for r in (0..m).filter(|&r| used[r]) {
            let mut elastic = vec![false; self.rows.len()];
            elastic[r] = true;
            let every = vec![true; self.rows.len()];
            let alone = self.slack(self.lower, self.upper, &every, &elastic, cancel)?;
            if alone.total.is_finite() && alone.total > tolerance {
                alternatives.push((alone.total, moved(&named[r], alone.moves[r])));
            }
        }
        // Equal amounts differ by rounding only; of those, the one that changes its own limit least comes first.
        let amount = |change: f64| (change / tolerance).round();
        let share = |r: &Relaxation| (r.to - r.from).abs() / r.from.abs().max(1e-300);
        alternatives.sort_by(|a, b| {
            amount(a.0)
                .total_cmp(&amount(b.0))
                .then(share(&a.1).total_cmp(&share(&b.1)))
        });
        let relaxation = match alternatives.first() {
            Some((change, single)) if *change <= whole.total * (1.0 + 1e-6) => vec![single.clone()],
            _ => (0..m)
                .filter(|&r| whole.moves[r].0 + whole.moves[r].1 > tolerance)
                .map(|r| moved(&named[r], whole.moves[r]))
                .collect(),
        };
        Ok(Some(Conflict {
            members: rules,
            minimal: minimal && !doubt,
            least_change: whole.total,
            relaxation,
            alternatives: alternatives.into_iter().map(|(_, a)| a).collect(),
        }))
    }
}

pub(crate) fn number(named: &Named) -> Option<usize> {
    match named.origin {
        Origin::Total => None,
        Origin::Rule(number) => Some(number),
    }
}

/// Whether the rows are shown to contradict each other on these domains, by a relaxation that never asks more of a cell than the
/// rows do.
pub(crate) fn contradicts(
    cells: &Cells,
    domains: &[Domain],
    cancel: &dyn Cancel,
) -> Result<bool, Cancelled> {
    let pieces = Pieces::feasible(cells, domains);
    let (lower, upper, rows) = pieces.parts();
    let offset = vec![0.0; lower.len()];
    let test = Test {
        response: &pieces,
        lower,
        upper,
        rows,
        rules: cells.rows.len(),
        widest: (0.0, 0.0),
        offset: &offset,
        start: &pieces.start,
    };
    test.contradictory(cancel)
}

fn moved(named: &Named, (down, up): (f64, f64)) -> Relaxation {
    let (from, to) = if down > up {
        (named.row.lower, named.row.lower - down)
    } else {
        (named.row.upper, named.row.upper + up)
    };
    Relaxation {
        rule: named.name.clone(),
        number: number(named),
        from,
        to,
    }
}
