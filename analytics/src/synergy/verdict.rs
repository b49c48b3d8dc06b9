//! What the data say of every ordered pair, with a false-discovery rate of the cross-effects' own, and where they cannot tell.

use domain::synergy::Verdict;

use super::CrossEffect;
use crate::inference::benjamini_hochberg;

/// When a pair counts as known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VerdictParams {
    /// Largest q-value of an effect, in the family of all pairs that can be told.
    pub false_discovery_rate: f64,
    /// Variance inflation above which the driver moves with something else.
    pub most_inflation: f64,
    /// Share of its size by which a driver has to move on its own, after everything else in the regression is taken out.
    pub least_variation: f64,
}

impl Default for VerdictParams {
    fn default() -> Self {
        Self {
            false_discovery_rate: 0.10,
            most_inflation: 10.0,
            least_variation: 0.02,
        }
    }
}

/// Why the data cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unidentified {
    /// The driver hardly varies beside trend, season and the other controls.
    HardlyVaries,
    /// The driver moves with other things in the regression.
    MovesWithOthers,
}

/// The verdict on one pair.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedPair {
    /// The effect, of unknown worth where the verdict is [`Verdict::NotIdentifiable`].
    pub effect: CrossEffect,
    /// Benjamini–Hochberg q-value in the family of all pairs that can be told; 1 for the others.
    pub q_value: f64,
    /// The conclusion.
    pub verdict: Verdict,
    /// Why the data cannot tell, where they cannot.
    pub reason: Option<Unidentified>,
}

/// Judges every pair as [`effects`](super::effects) estimated it, in the order given.
///
/// Whether a pair can be told is decided by the regressors alone, before its effect is looked at, so leaving the others out of
/// the family keeps its false-discovery rate.
#[must_use]
pub fn verdicts(effects: Vec<CrossEffect>, params: &VerdictParams) -> Vec<JudgedPair> {
    let mut judged: Vec<JudgedPair> = effects
        .into_iter()
        .map(|effect| JudgedPair {
            reason: unidentified(&effect, params),
            effect,
            q_value: 1.0,
            verdict: Verdict::NotIdentifiable,
        })
        .collect();
    let p: Vec<f64> = judged
        .iter()
        .filter(|pair| pair.reason.is_none())
        .map(|pair| pair.effect.effect.p_value)
        .collect();
    let identified = judged.iter_mut().filter(|pair| pair.reason.is_none());
    for (pair, q) in identified.zip(benjamini_hochberg(&p)) {
        pair.q_value = q;
        pair.verdict = pair.verdict_at(params.false_discovery_rate);
    }
    judged
}

impl JudgedPair {
    /// The conclusion at another false-discovery rate than the one it was judged at.
    #[must_use]
    pub fn verdict_at(&self, false_discovery_rate: f64) -> Verdict {
        if self.reason.is_some() {
            Verdict::NotIdentifiable
        } else if self.q_value > false_discovery_rate {
            Verdict::NoEvidence
        } else if self.effect.strength < 0.0 {
            Verdict::Cannibalisation
        } else {
            Verdict::Halo
        }
    }
}

fn unidentified(effect: &CrossEffect, params: &VerdictParams) -> Option<Unidentified> {
    let hardly = |variation: f64| variation.is_nan() || variation < params.least_variation;
    if hardly(effect.variation) {
        Some(Unidentified::HardlyVaries)
    } else if hardly(effect.own_variation) || effect.variance_inflation > params.most_inflation {
        Some(Unidentified::MovesWithOthers)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::never;
    use crate::market::{Row, World};
    use crate::panel::Panel;
    use crate::response::{ResponseParams, fit_all};
    use crate::series;
    use crate::synergy::effects;

    /// The pairs of a simulated world after `value` has replaced the values of its rows.
    fn judged(value: impl Fn(&[Row], &Row) -> f64) -> (Panel, Vec<JudgedPair>) {
        let world = World::planted(3);
        let (brands, metrics) = world.description();
        let rows = world.rows(0, world.weeks());
        let text = |f: &dyn Fn(&Row) -> &'static str| {
            rows.iter()
                .map(|r| f(r).to_owned())
                .collect::<Vec<String>>()
        };
        let periods: Vec<_> = rows.iter().map(|r| r.period).collect();
        let frame = series::frame(
            text(&|r| r.project),
            text(&|r| r.brand),
            text(&|r| r.metric),
            &periods,
            rows.iter().map(|r| value(&rows, r)).collect(),
        )
        .unwrap();
        let panel = Panel::from_frame(&frame, brands, metrics).unwrap();
        let params = ResponseParams::default();
        let models = fit_all(&panel, &params, 1, &never, &mut |_| {}).unwrap();
        let pairs = verdicts(effects(&models, &params), &VerdictParams::default());
        (panel, pairs)
    }

    fn is_spend(row: &Row) -> bool {
        row.metric.starts_with("spend")
    }

    #[test]
    fn what_is_planted_is_told_and_nothing_is_unidentifiable_in_an_ordinary_world() {
        let (panel, pairs) = judged(|_, row| row.value);
        let truth = World::planted(3).truth();
        let key = |b: usize| panel.brands()[b].key.as_str();
        for (planted, verdict) in [
            (truth.cannibal, Verdict::Cannibalisation),
            (truth.halo, Verdict::Halo),
        ] {
            let planted = planted.unwrap();
            let pair = pairs
                .iter()
                .find(|p| {
                    key(p.effect.driver) == planted.driver
                        && key(p.effect.affected) == planted.affected
                })
                .unwrap();
            assert_eq!(pair.verdict, verdict);
        }
        assert!(pairs.iter().all(|p| p.reason.is_none()));
    }

    #[test]
    fn two_brands_that_are_alike_move_with_each_other_and_one_that_does_not_move_hardly_varies() {
        let own: Vec<String> = {
            let (brands, _) = World::planted(3).description();
            brands
                .into_iter()
                .filter(|b| b.own)
                .map(|b| b.key)
                .collect()
        };
        let (twin, still) = (own[1].clone(), own[2].clone());
        let first = own[0].clone();
        let (panel, pairs) = judged(|rows, row| {
            if row.brand == twin {
                rows.iter()
                    .find(|r| {
                        r.brand == first
                            && (r.metric, r.project, r.period)
                                == (row.metric, row.project, row.period)
                    })
                    .map_or(f64::NAN, |r| r.value)
            } else if is_spend(row) && row.brand == still {
                1_000.0
            } else {
                row.value
            }
        });
        let reasons = |brand: &str| -> Vec<Option<Unidentified>> {
            pairs
                .iter()
                .filter(|p| {
                    let of = |b: usize| panel.brands()[b].key.as_str();
                    of(p.effect.driver) == brand
                        && ![&first, &twin, &still]
                            .map(String::as_str)
                            .contains(&of(p.effect.affected))
                })
                .map(|p| p.reason)
                .collect()
        };
        assert!(!reasons(&twin).is_empty());
        assert!(
            reasons(&twin)
                .iter()
                .all(|r| *r == Some(Unidentified::MovesWithOthers)),
            "{:?}",
            reasons(&twin)
        );
        assert!(
            reasons(&still)
                .iter()
                .all(|r| *r == Some(Unidentified::HardlyVaries))
        );
    }
}
