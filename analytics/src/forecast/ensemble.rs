//! Combinations. The mean of a few different models beats nearly every single one in the M3 and M4 competitions; weights from a
//! backtest add a little to it when they are shrunk towards equal ones.

use serde::{Deserialize, Serialize};

use super::{Model, Projection};

/// Which models are fitted and combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// Damped ETS, Theta and dynamic Theta: a millisecond for ten years of months, some three with the backtest.
    #[default]
    Cheap,
    /// Those, ETS and ARIMA. Complex exponential smoothing and the decomposition, tried as well, made backtests inside the training
    /// parts of the M3 monthly series worse and of the quarterly ones hardly better. The medians were behind the means.
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
                Model::Arima,
            ],
        }
    }
}

/// How far the weights go from equal ones to those of the backtest. Chosen inside the training parts of the M3 series, as the power.
const TRUST: f64 = 0.5;
/// Power of a member's error in its weight.
const POWER: i32 = -2;

/// Weights that sum to one, from the members' absolute errors in a backtest if there was one.
pub(super) fn weights(members: usize, errors: Option<&[f64]>) -> Vec<f64> {
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

/// The weighted mean of the members' points, and of their deviations.
///
/// The deviations are averaged, not pooled as if independent: the members err together, since they see the same past.
pub(super) fn mean(members: &[Projection], weights: &[f64]) -> Projection {
    let steps = members[0].mean.len();
    let average = |of: fn(&Projection) -> &Vec<f64>| -> Vec<f64> {
        (0..steps)
            .map(|h| {
                let parts = members.iter().zip(weights);
                parts.map(|(member, weight)| weight * of(member)[h]).sum()
            })
            .collect()
    };
    let forms: Vec<&str> = members.iter().filter_map(|m| m.form.as_deref()).collect();
    let parameters = members.iter().flat_map(|m| m.parameters.iter().copied());
    Projection {
        mean: average(|m| &m.mean),
        deviation: average(|m| &m.deviation),
        parameters: parameters.collect(),
        form: (!forms.is_empty()).then(|| forms.join(" + ")),
    }
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
        let made = mean(&[flat(1.0), flat(2.0), flat(6.0)], &weights(3, None));
        assert!((made.mean[0] - 3.0).abs() < 1e-12 && (made.deviation[0] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_better_member_weighs_more_but_never_all() {
        let shares = weights(2, Some(&[1.0, 3.0]));
        assert!(shares[0] > 0.6 && shares[1] > 0.2);
        assert!((shares[0] + shares[1] - 1.0).abs() < 1e-12);
        assert_eq!(weights(2, Some(&[0.0, 3.0])), vec![0.5, 0.5]);
    }
}
