//! The mean of the smoothing models. Combinations of a few different models beat nearly every single one in the M3 and M4
//! competitions.

use super::{Model, Projection};

/// What is averaged.
pub(super) const MEMBERS: [Model; 3] = [Model::DampedTrend, Model::Theta, Model::DynamicTheta];

/// Step-wise mean of the members' points and of their deviations.
///
/// The deviations are averaged, not pooled as if independent: the members err together, since they see the same past.
pub(super) fn mean(members: &[Projection]) -> Projection {
    let count = members.len() as f64;
    let average = |of: fn(&Projection) -> &Vec<f64>| -> Vec<f64> {
        (0..members[0].mean.len())
            .map(|h| members.iter().map(|m| of(m)[h]).sum::<f64>() / count)
            .collect()
    };
    Projection {
        mean: average(|m| &m.mean),
        deviation: average(|m| &m.deviation),
        parameters: members
            .iter()
            .flat_map(|m| m.parameters.iter().copied())
            .collect(),
    }
}
