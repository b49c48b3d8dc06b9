//! Signed effects of one own brand's media on another own brand's sales.
//!
//! The driver of a pair is what the other brand's media earn on itself, by week, as far as the response fits know it;
//! its coefficient comes from the affected brand's joint regression, with that brand's own media, all other siblings
//! and all controls beside it. Nothing forces the sign.
//!
//! [`verdict`] says what is known of each pair and where the data cannot tell, [`cannibalisation`] what a brand's media are worth to
//! the whole portfolio, [`elasticity`] gives the matrix of elasticities of any outcomes on any drivers.

pub mod cannibalisation;
pub mod elasticity;
pub mod verdict;

use crate::estimate::Estimate;
use crate::linear::{dot, orthonormal, remove, whiten};
use crate::response::{BrandModel, ResponseParams};

/// Factor on standard errors for curves of another form than the fitted one.
///
/// Over the pairs without an effect of the simulated worlds 1001 to 1100, estimates in worlds with unfamiliar curves were spread
/// 1.06 times as wide as their standard errors said, and 0.98 times in the others.
const FORM: f64 = 1.05;

/// The effect of one ordered pair of own brands.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEffect {
    /// Position of the brand whose media drive the effect.
    pub driver: usize,
    /// Position of the brand whose sales may move.
    pub affected: usize,
    /// Extra margin of the affected brand, in currency, for +10 % of the driver's media over the observed path, tail
    /// included.
    pub effect: Estimate,
    /// Margin for the affected brand per unit of margin that the driver's media earn on the driver.
    pub strength: f64,
    /// Variance inflation of the driver given everything else in the regression; above ten the data cannot tell.
    pub variance_inflation: f64,
    /// Root mean square of what of the driver moves on its own, after everything else in the regression, as a share of the driver's
    /// root mean square; NaN for a driver of zeros.
    pub own_variation: f64,
    /// The same after the controls alone.
    pub variation: f64,
    /// Draws of `strength`, from the same bootstrap as the affected brand's curves.
    pub draws: Vec<f64>,
}

/// Estimates every ordered pair of the fitted brands.
#[must_use]
pub fn effects(models: &[BrandModel], params: &ResponseParams) -> Vec<CrossEffect> {
    let mut out = Vec::new();
    for model in models {
        let (design, fitted) = (&model.design, &model.fitted);
        let first = fitted.driver_position(design);
        let movements = movements(model);
        for (k, &driver) in model.driver_brands.iter().enumerate() {
            let (strength, error) = fitted.driver(design, k);
            let uplift = model.driver_uplift[k];
            let inflation = FORM * params.form_inflation;
            let effect = Estimate::new(
                strength * uplift,
                error * uplift.abs() * inflation,
                fitted.dof,
                0.0,
            );
            let widening = inflation * fitted.driver_widening(k);
            let draws = model
                .deviations
                .iter()
                .map(|d| strength + widening * d[first + k])
                .collect();
            out.push(CrossEffect {
                driver,
                affected: design.brand,
                effect,
                strength,
                variance_inflation: movements[k].inflation,
                own_variation: movements[k].own,
                variation: movements[k].after_controls,
                draws,
            });
        }
    }
    out
}

/// How a driver moves beside the rest of its regression.
struct Movement {
    /// Variance inflation, `1 / (1 − R²)`.
    inflation: f64,
    /// What moves on its own, as a share of the driver.
    own: f64,
    /// What moves after the controls, as a share of the driver.
    after_controls: f64,
}

/// Every driver of a model, in order.
fn movements(model: &BrandModel) -> Vec<Movement> {
    let (design, fitted) = (&model.design, &model.fitted);
    let first = fitted.driver_position(design);
    let behind = first + model.driver_brands.len();
    let columns = &fitted.jacobian;
    let constant = orthonormal(&[whiten(&vec![1.0; design.y.len()], fitted.rho)]);
    let controls = orthonormal(&columns[behind..]);
    let others: Vec<Vec<f64>> = columns[behind..]
        .iter()
        .chain(&columns[..first])
        .cloned()
        .collect();
    let others = orthonormal(&others);
    let without = |column: &[f64], basis: &[Vec<f64>]| {
        let mut rest = column.to_vec();
        remove(&mut rest, basis);
        rest
    };
    // Each driver after everything that is no driver; the drivers are then taken out of each other.
    let rests: Vec<Vec<f64>> = columns[first..behind]
        .iter()
        .map(|column| without(column, &others))
        .collect();
    // Whitening takes the same part from a level that does not move as from one that does; undo it on the level.
    let level = (1.0 - fitted.rho).powi(2).max(1e-12);
    columns[first..behind]
        .iter()
        .enumerate()
        .map(|(k, column)| {
            let all = dot(column, column);
            let share = |rest: &[f64]| (dot(rest, rest) / all * level).sqrt();
            let siblings: Vec<Vec<f64>> = rests
                .iter()
                .zip(&columns[first..behind])
                .enumerate()
                .filter(|(i, (rest, whole))| *i != k && dot(rest, rest) > 1e-18 * dot(whole, whole))
                .map(|(_, (rest, _))| rest.clone())
                .collect();
            let alone = without(&rests[k], &orthonormal(&siblings));
            let left = dot(&alone, &alone);
            let centred = without(column, &constant);
            Movement {
                inflation: if left > 0.0 {
                    dot(&centred, &centred) / left
                } else {
                    f64::INFINITY
                },
                own: share(&alone),
                after_controls: share(&without(column, &controls)),
            }
        })
        .collect()
}
