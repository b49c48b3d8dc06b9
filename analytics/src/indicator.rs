//! Leading indicators: metrics whose movements run ahead of a brand's sales.
//!
//! Each candidate is a metric of the brand at a lag of one to eight weeks. It is tested inside the brand's joint
//! regression: metric and sales are freed from media, season, trend, price and everything else in it and whitened by
//! the sales' autocorrelation, so that a metric that merely follows sales, or shares their season, does not pass.

use domain::metric::MetricRole;

use crate::estimate::Estimate;
use crate::inference::mean;
use crate::linear::{dot, orthonormal, remove, whiten};
use crate::panel::{Panel, bridged};
use crate::response::BrandModel;

/// Longest lag that is tried, in weeks.
pub const MOST_LAG: usize = 8;

/// One metric at one lag.
#[derive(Debug, Clone, PartialEq)]
pub struct LeadCandidate {
    /// Position of the brand.
    pub brand: usize,
    /// Position of the metric.
    pub metric: usize,
    /// Weeks by which the metric runs ahead.
    pub lag: usize,
    /// Extra margin over the observed path and its tail, in currency, for +10 % of the metric.
    pub effect: Estimate,
}

/// Tests every health metric of a fitted brand at every lag.
#[must_use]
pub fn candidates(panel: &Panel, model: &BrandModel) -> Vec<LeadCandidate> {
    let (design, fitted) = (&model.design, &model.fitted);
    let n = design.y.len();
    let columns: Vec<Vec<f64>> = fitted.linear_columns(design).to_vec();
    let basis = orthonormal(&columns);
    // Residuals of the fit, orthogonal to its linear columns.
    let residual = &fitted.residuals;
    let total = dot(residual, residual);
    let dof = fitted.dof - 1.0;
    let mut out = Vec::new();
    let metrics = panel
        .metrics()
        .iter()
        .enumerate()
        .filter(|(_, m)| m.role == MetricRole::Health);
    for (m, _) in metrics {
        let Some(values) = panel.series(design.brand, m).and_then(bridged) else {
            continue;
        };
        let level = mean(&values);
        if level == 0.0 || n <= 4 * MOST_LAG {
            continue;
        }
        for lag in 1..=MOST_LAG {
            let shifted: Vec<f64> = (0..n)
                .map(|t| {
                    if t < lag {
                        0.0
                    } else {
                        values[t - lag] / level - 1.0
                    }
                })
                .collect();
            let mut z = whiten(&shifted, fitted.rho);
            let before = dot(&z, &z);
            remove(&mut z, &basis);
            let left = dot(&z, &z);
            if left <= 1e-8 * before {
                continue;
            }
            let slope = dot(&z, residual) / left;
            let variance = (total - slope * slope * left).max(0.0) / dof;
            let scale = 0.1 * n as f64;
            let effect = Estimate::new(
                slope * scale,
                (variance / left).sqrt() * scale.abs(),
                dof,
                0.0,
            );
            out.push(LeadCandidate {
                brand: design.brand,
                metric: m,
                lag,
                effect,
            });
        }
    }
    out
}
