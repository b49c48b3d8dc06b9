//! Combinations. The mean or median of a few different models beats nearly every single one in the M3 and M4 competitions; weights
//! from a backtest add little to it and are therefore shrunk towards equal ones.

use serde::{Deserialize, Serialize};

use super::{Model, Projection};

/// Which models are fitted, and how they are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// Mean of damped ETS, Theta and dynamic Theta: about a thousandth of a second for a series of ten years of months.
    #[default]
    Cheap,
    /// The best known here: everything that adds something.
    Auto,
}

impl Recipe {
    /// The models that are combined.
    pub fn members(self) -> &'static [Model] {
        match self {
            Self::Cheap => &[Model::DampedEts, Model::Theta, Model::DynamicTheta],
            Self::Auto => &[
                Model::Ets,
                Model::DampedEts,
                Model::Theta,
                Model::DynamicTheta,
            ],
        }
    }
}

impl Recipe {
    fn combination(self) -> Combination {
        match self {
            Self::Cheap => Combination::Mean,
            Self::Auto => Combination::Mean,
        }
    }

    /// Combines the projections of the members.
    ///
    /// `errors` are the members' mean absolute errors in a backtest, if there was one.
    pub(super) fn combine(self, members: &[Projection], errors: Option<&[f64]>) -> Projection {
        let weights = weights(members.len(), errors);
        combine(members, &weights, self.combination())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Combination {
    Mean,
    Median,
}

/// How far the weights go from equal ones to those of the backtest.
const TRUST: f64 = 0.5;
/// Power of a member's error in its weight.
const POWER: i32 = -2;

/// Weights that sum to one.
fn weights(members: usize, errors: Option<&[f64]>) -> Vec<f64> {
    let equal = 1.0 / members as f64;
    let Some(errors) = errors else {
        return vec![equal; members];
    };
    let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
    if !least.is_finite() || least <= 0.0 {
        return vec![equal; members];
    }
    let raw: Vec<f64> = errors.iter().map(|e| (e / least).powi(POWER)).collect();
    let sum: f64 = raw.iter().sum();
    raw.iter()
        .map(|w| (1.0 - TRUST) * equal + TRUST * w / sum)
        .collect()
}

/// The deviations are averaged, not pooled as if independent: the members err together, since they see the same past.
fn combine(members: &[Projection], weights: &[f64], how: Combination) -> Projection {
    let steps = members[0].mean.len();
    let average = |of: fn(&Projection) -> &Vec<f64>, h: usize| -> f64 {
        let parts = members.iter().zip(weights);
        parts.map(|(m, w)| w * of(m)[h]).sum()
    };
    let mean = |h: usize| match how {
        Combination::Mean => average(|m| &m.mean, h),
        Combination::Median => weighted_median(members.iter().map(|m| m.mean[h]).zip(weights)),
    };
    let forms: Vec<&str> = members.iter().filter_map(|m| m.form.as_deref()).collect();
    Projection {
        mean: (0..steps).map(mean).collect(),
        deviation: (0..steps).map(|h| average(|m| &m.deviation, h)).collect(),
        parameters: members
            .iter()
            .flat_map(|m| m.parameters.iter().copied())
            .collect(),
        form: (!forms.is_empty()).then(|| forms.join(" + ")),
    }
}

/// The value at which half of the weight lies on either side; between two values their mean.
fn weighted_median<'a>(points: impl Iterator<Item = (f64, &'a f64)>) -> f64 {
    let mut points: Vec<(f64, f64)> = points.map(|(value, weight)| (value, *weight)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0.0;
    for (i, (value, weight)) in points.iter().enumerate() {
        below += weight;
        if (below - 0.5).abs() < 1e-9 && i + 1 < points.len() {
            return 0.5 * (value + points[i + 1].0);
        }
        if below > 0.5 {
            return *value;
        }
    }
    points.last().map_or(f64::NAN, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: f64) -> Projection {
        Projection {
            mean: vec![value],
            deviation: vec![1.0],
            parameters: Vec::new(),
            form: None,
        }
    }

    #[test]
    fn without_a_backtest_all_members_count_the_same() {
        let made = Recipe::Cheap.combine(&[flat(1.0), flat(2.0), flat(6.0)], None);
        assert!((made.mean[0] - 3.0).abs() < 1e-12 && (made.deviation[0] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_better_member_weighs_more_but_never_all() {
        let weights = weights(2, Some(&[1.0, 3.0]));
        assert!(weights[0] > 0.6 && weights[1] > 0.2);
        assert!((weights[0] + weights[1] - 1.0).abs() < 1e-12);
        assert_eq!(super::weights(2, Some(&[0.0, 3.0])), vec![0.5, 0.5]);
    }

    #[test]
    fn a_median_ignores_one_wild_member() {
        let members = [flat(1.0), flat(2.0), flat(900.0)];
        let made = combine(&members, &[1.0 / 3.0; 3], Combination::Median);
        assert_eq!(made.mean[0], 2.0);
        let even = [flat(1.0), flat(2.0), flat(4.0), flat(900.0)];
        assert_eq!(combine(&even, &[0.25; 4], Combination::Median).mean[0], 3.0);
    }
}
