//! What the data say of every ordered pair, with a false-discovery rate of the cross-effects' own, and where they cannot tell.

use domain::synergy::Verdict;

use super::{CrossEffect, variance_inflation};
use crate::inference::benjamini_hochberg;
use crate::linear::{dot, orthonormal, remove};
use crate::response::BrandModel;

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
    /// The driver hardly varies.
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
    /// Root mean square of what of the driver moves on its own, as a share of the driver's root mean square.
    pub own_variation: f64,
    /// The conclusion.
    pub verdict: Verdict,
    /// Why the data cannot tell, where they cannot.
    pub reason: Option<Unidentified>,
}

/// Judges `effects` as [`effects`](super::effects) estimated them from the same `models`.
///
/// Whether a pair can be told is decided by the regressors alone, before its effect is looked at, so leaving the others out of
/// the family keeps its false-discovery rate.
#[must_use]
pub fn verdicts(
    models: &[BrandModel],
    effects: &[CrossEffect],
    params: &VerdictParams,
) -> Vec<JudgedPair> {
    let mut judged: Vec<JudgedPair> = effects
        .iter()
        .filter_map(|effect| {
            let model = models.iter().find(|m| m.brand() == effect.affected)?;
            let k = model
                .driver_brands
                .iter()
                .position(|&d| d == effect.driver)?;
            let position = model.fitted.driver_position(&model.design) + k;
            let own_variation = own_variation(model, position);
            let reason = if own_variation.is_nan() || own_variation < params.least_variation {
                Some(Unidentified::HardlyVaries)
            } else if variance_inflation(model, position) > params.most_inflation {
                Some(Unidentified::MovesWithOthers)
            } else {
                None
            };
            Some(JudgedPair {
                effect: effect.clone(),
                q_value: 1.0,
                own_variation,
                verdict: Verdict::NotIdentifiable,
                reason,
            })
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
        pair.verdict = if q > params.false_discovery_rate {
            Verdict::NoEvidence
        } else if pair.effect.strength < 0.0 {
            Verdict::Cannibalisation
        } else {
            Verdict::Halo
        };
    }
    judged
}

/// How much of a column of a regression is left when the others are taken out, relative to the column; NaN for a column of zeros.
fn own_variation(model: &BrandModel, position: usize) -> f64 {
    let jacobian = &model.fitted.jacobian;
    let others: Vec<Vec<f64>> = jacobian
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != position)
        .map(|(_, c)| c.clone())
        .collect();
    let mut rest = jacobian[position].clone();
    let all = dot(&rest, &rest);
    remove(&mut rest, &orthonormal(&others));
    // Whitening takes the same part from a level that does not move as from one that does; undo it on the level.
    let level = (1.0 - model.fitted.rho).powi(2).max(1e-12);
    (dot(&rest, &rest) / all * level).sqrt()
}
