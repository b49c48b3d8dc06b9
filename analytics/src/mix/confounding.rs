//! Signs that a channel's effect is not its own.
//!
//! No statistic proves an effect causal. These three say where the data themselves give reason for doubt: spend that follows
//! sales, spend that other columns explain almost wholly, and an effect that a hidden cause no stronger than the strongest
//! control would undo (Cinelli and Hazlett 2020, JRSS B 82(1)).

use serde::{Deserialize, Serialize};

use super::{data::Prepared, density::Density, regression::regress};
use crate::{
    cancel::{Cancel, Cancelled},
    inference::two_sided_p,
};

/// What speaks against reading a channel's effect as causal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confounding {
    /// Channel.
    pub channel: String,
    /// Variance inflation of the channel's effect by all other columns: 1/(1 − R²).
    pub variance_inflation: f64,
    /// p-value of last period's outcome, freed of baseline, as a cause of this period's exposure.
    pub reaction_p: f64,
    /// Partial R² that a hidden cause would need with both exposure and outcome to bring the effect to zero.
    pub robustness: f64,
    /// The control whose own partial R² with both comes nearest to that, and the smaller of the two; `None` without controls.
    pub strongest_control: Option<(String, f64)>,
    /// What to tell a reader; empty where nothing was found.
    pub warnings: Vec<String>,
}

/// Looks at every channel with the curves of the density's last point.
///
/// # Errors
/// [`Cancelled`], asked at every column of every regression.
pub(super) fn inspect(
    prepared: &Prepared,
    density: &Density<'_>,
    cancel: &dyn Cancel,
) -> Result<Vec<Confounding>, Cancelled> {
    let design = &prepared.design;
    let (groups, n) = (design.groups, design.periods);
    let rows: Vec<usize> = (0..design.rows())
        .filter(|i| design.known[*i] > 0.0)
        .collect();
    let cut = |values: &[f64]| -> Vec<f64> { rows.iter().map(|i| values[*i]).collect() };
    // Groups keep their own level, or differences between them would look like causes.
    let mut names: Vec<String> = Vec::new();
    let mut base: Vec<Vec<f64>> = Vec::new();
    for column in &design.columns {
        base.push(cut(&column.values));
        names.push(column.name.clone());
    }
    for g in 1..groups {
        base.push(
            rows.iter()
                .map(|i| f64::from(u8::from(i / n == g)))
                .collect(),
        );
        names.push(String::new());
    }
    let y = cut(&design.outcome);
    let media: Vec<Vec<f64>> = density.states.iter().map(|s| cut(&s.saturated)).collect();
    let without_media = regress(&base, &y, cancel)?;
    (0..media.len())
        .map(|m| {
            let mut others = base.clone();
            others.extend((0..media.len()).filter(|k| *k != m).map(|k| media[k].clone()));
            let inflation = inflation(&others, &media[m], cancel)?;
            let mut all = others.clone();
            all.push(media[m].clone());
            let fit = regress(&all, &y, cancel)?;
            let f = fit.t(all.len() - 1).abs() / fit.dof.sqrt();
            let robustness = 0.5 * ((f.powi(4) + 4.0 * f * f).sqrt() - f * f);
            // Partial R² of each control with the exposure and, given the exposure, with the outcome.
            let exposure = regress(&others, &media[m], cancel)?;
            let partial = |t: f64, dof: f64| t * t / (t * t + dof);
            let strongest_control = (0..design.columns.len())
                .filter(|j| names[*j].starts_with("gamma_control"))
                .map(|j| {
                    let both = partial(exposure.t(j), exposure.dof)
                        .min(partial(fit.t(j), fit.dof));
                    (names[j].clone(), both)
                })
                .max_by(|a, b| a.1.total_cmp(&b.1));
            let reaction_p = reaction(prepared, m, &rows, &base, &without_media.residuals, cancel)?;
            let mut warnings = Vec::new();
            if reaction_p < 0.01 {
                warnings.push(
                    "exposure follows the outcome of the period before; the effect may be its cause's shadow: use an experiment"
                        .to_owned(),
                );
            }
            if inflation > 10.0 {
                warnings.push(
                    "other columns explain this channel almost wholly; its effect cannot be told from theirs".to_owned(),
                );
            }
            if let Some((name, both)) = &strongest_control
                && *both >= robustness
            {
                warnings.push(format!(
                    "a hidden cause no stronger than {name} would be enough to make the whole effect"
                ));
            } else if robustness < 0.05 {
                warnings.push(
                    "a hidden cause that explains five percent of exposure and outcome would be enough to make the whole effect"
                        .to_owned(),
                );
            }
            Ok(Confounding {
                channel: design.channels[m].name.clone(),
                variance_inflation: inflation,
                reaction_p,
                robustness,
                strongest_control,
                warnings,
            })
        })
        .collect()
}

fn inflation(others: &[Vec<f64>], x: &[f64], cancel: &dyn Cancel) -> Result<f64, Cancelled> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let total: f64 = x.iter().map(|v| (v - mean) * (v - mean)).sum();
    let left: f64 = regress(others, x, cancel)?
        .residuals
        .iter()
        .map(|r| r * r)
        .sum();
    Ok(total / left.max(1e-12 * total).max(f64::MIN_POSITIVE))
}

/// Regression of exposure on its own last value, the baseline, and last period's outcome freed of baseline.
fn reaction(
    prepared: &Prepared,
    m: usize,
    rows: &[usize],
    base: &[Vec<f64>],
    residuals: &[f64],
    cancel: &dyn Cancel,
) -> Result<f64, Cancelled> {
    let n = prepared.design.periods;
    let exposure = &prepared.design.channels[m].exposure;
    // Rows whose predecessor is known and belongs to the same group.
    let pairs: Vec<usize> = (1..rows.len())
        .filter(|k| rows[k - 1] + 1 == rows[*k] && !rows[*k].is_multiple_of(n))
        .collect();
    if pairs.len() < base.len() + 10 {
        return Ok(1.0);
    }
    let mut columns: Vec<Vec<f64>> = base
        .iter()
        .map(|c| pairs.iter().map(|k| c[*k]).collect())
        .collect();
    columns.push(pairs.iter().map(|k| exposure[rows[k - 1]]).collect());
    // What past exposure sold must not count as the outcome's own doing: the exposure before it stands beside it.
    columns.push(
        pairs
            .iter()
            .map(|k| {
                if !rows[k - 1].is_multiple_of(n) {
                    exposure[rows[k - 1] - 1]
                } else {
                    0.0
                }
            })
            .collect(),
    );
    columns.push(pairs.iter().map(|k| residuals[k - 1]).collect());
    let y: Vec<f64> = pairs.iter().map(|k| exposure[rows[*k]]).collect();
    let fit = regress(&columns, &y, cancel)?;
    Ok(two_sided_p(fit.t(columns.len() - 1), fit.dof))
}
