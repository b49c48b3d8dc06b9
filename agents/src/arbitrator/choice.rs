//! The best set of proposals that do not claim the same thing.

use std::collections::{BTreeMap, BTreeSet};

use domain::{id::RecommendationId, recommendation::Recommendation};

use super::{Decision, Refusal, claims};

/// Groups of rivals larger than this are chosen greedily; the exact search doubles with each member at worst.
const EXACT_UP_TO: usize = 22;

/// A proposal that passed the hard rules.
#[derive(Clone, Debug)]
pub(super) struct Rival {
    id: RecommendationId,
    /// Kind and subject: two proposals about the same thing exclude each other too.
    about: String,
    claims: BTreeSet<String>,
    /// Expected benefit times its probability in currency; one unit for kinds without a stated benefit, so that they are
    /// chosen whenever they stand in nobody's way.
    worth: f64,
}

impl Rival {
    pub(super) fn new(of: &Recommendation) -> Self {
        let worth = match (&of.effect, of.confidence) {
            (Some(effect), Some(confidence)) if effect.unit.len() == 3 => effect.value * confidence,
            _ => 1.0,
        };
        Self {
            id: of.id,
            about: format!("{}|{}", of.kind.name(), of.subject),
            claims: claims(&of.action),
            worth,
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        self.about == other.about || !self.claims.is_disjoint(&other.claims)
    }

    /// Total order used wherever worth ties: larger worth first, then the smaller id.
    fn before(&self, other: &Self) -> std::cmp::Ordering {
        other
            .worth
            .total_cmp(&self.worth)
            .then(self.id.cmp(&other.id))
    }
}

pub(super) fn choose(mut rivals: Vec<Rival>, decision: &mut Decision) {
    rivals.sort_by(Rival::before);
    let mut competing = Vec::new();
    for rival in rivals {
        if rival.worth > 0.0 {
            competing.push(rival);
        } else {
            let detail = format!("its expected benefit is {:.0}", rival.worth);
            decision.refused.insert(
                rival.id,
                Refusal {
                    reason: "below_threshold",
                    detail,
                    winner: None,
                },
            );
        }
    }
    for group in groups(&competing) {
        let members: Vec<&Rival> = group.iter().map(|index| &competing[*index]).collect();
        let best = if members.len() <= EXACT_UP_TO {
            exact(&members)
        } else {
            greedy(&members)
        };
        for (position, member) in members.iter().enumerate() {
            if best.contains(&position) {
                decision.chosen.insert(member.id);
                continue;
            }
            let winner = best
                .iter()
                .map(|index| members[*index])
                .find(|chosen| chosen.excludes(member));
            let reason = match winner {
                Some(winner) if winner.about == member.about => "duplicate",
                _ => "budget_line_taken",
            };
            let shared = winner
                .map(|w| w.claims.intersection(&member.claims).count())
                .unwrap_or_default();
            let detail = match winner {
                Some(winner) => format!(
                    "worth {:.0} against {:.0} of the one chosen; they have {shared} lines or rules in common",
                    member.worth, winner.worth
                ),
                None => "another set of proposals is worth more".to_owned(),
            };
            decision.refused.insert(
                member.id,
                Refusal {
                    reason,
                    detail,
                    winner: winner.map(|w| w.id),
                },
            );
        }
    }
}

/// Connected groups of rivals; proposals without a rival are groups of one.
fn groups(rivals: &[Rival]) -> Vec<Vec<usize>> {
    let mut label: Vec<usize> = (0..rivals.len()).collect();
    for i in 0..rivals.len() {
        for j in 0..i {
            if rivals[i].excludes(&rivals[j]) {
                let (from, to) = (label[i].max(label[j]), label[i].min(label[j]));
                label
                    .iter_mut()
                    .filter(|l| **l == from)
                    .for_each(|l| *l = to);
            }
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, group) in label.into_iter().enumerate() {
        members.entry(group).or_default().push(index);
    }
    members.into_values().collect()
}

/// Branch and bound over members in order of worth; the bound is the sum of what is left.
fn exact(members: &[&Rival]) -> BTreeSet<usize> {
    struct Search<'a> {
        members: &'a [&'a Rival],
        rest: Vec<f64>,
        best: (f64, Vec<usize>),
    }
    impl Search<'_> {
        fn visit(&mut self, at: usize, worth: f64, chosen: &mut Vec<usize>) {
            if worth > self.best.0 {
                self.best = (worth, chosen.clone());
            }
            if at == self.members.len() || worth + self.rest[at] <= self.best.0 {
                return;
            }
            if chosen
                .iter()
                .all(|index| !self.members[*index].excludes(self.members[at]))
            {
                chosen.push(at);
                self.visit(at + 1, worth + self.members[at].worth, chosen);
                chosen.pop();
            }
            self.visit(at + 1, worth, chosen);
        }
    }
    let mut rest = vec![0.0; members.len() + 1];
    for index in (0..members.len()).rev() {
        rest[index] = rest[index + 1] + members[index].worth;
    }
    let mut search = Search {
        members,
        rest,
        best: (0.0, Vec::new()),
    };
    search.visit(0, 0.0, &mut Vec::new());
    search.best.1.into_iter().collect()
}

/// Takes the worthiest that excludes none taken before.
fn greedy(members: &[&Rival]) -> BTreeSet<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    for (index, member) in members.iter().enumerate() {
        if chosen.iter().all(|taken| !members[*taken].excludes(member)) {
            chosen.push(index);
        }
    }
    chosen.into_iter().collect()
}
