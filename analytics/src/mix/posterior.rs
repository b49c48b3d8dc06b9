//! From draws of coordinates to parameters with names.

use serde::{Deserialize, Serialize};

use super::{
    density::{Density, Effect},
    diagnostics::{Convergence, convergence},
};
use crate::{
    cancel::{Cancel, Cancelled},
    inference::quantile,
};

/// Posterior of one parameter, on the scale of the design (see [`super::Scaling`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Name: `adstock_alpha[tv]`, `saturation_lam[tv]`, `saturation_beta[tv]`, `roi[tv]`, `gamma_control[price]`, `intercept`,
    /// `y_sigma`, …
    pub name: String,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
    /// 5 % quantile.
    pub q05: f64,
    /// Median.
    pub q50: f64,
    /// 95 % quantile.
    pub q95: f64,
    /// Convergence; `None` for the fast fit, whose draws are independent.
    pub convergence: Option<ConvergenceSummary>,
}

/// [`Convergence`] as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConvergenceSummary {
    /// R-hat.
    pub rhat: f64,
    /// Bulk effective sample size.
    pub ess_bulk: f64,
    /// Tail effective sample size.
    pub ess_tail: f64,
    /// Standard error of the mean.
    pub mcse_mean: f64,
}

impl From<Convergence> for ConvergenceSummary {
    fn from(c: Convergence) -> Self {
        Self {
            rhat: c.rhat,
            ess_bulk: c.ess_bulk,
            ess_tail: c.ess_tail,
            mcse_mean: c.mcse_mean,
        }
    }
}

/// Draws of coordinates: chains of the same length.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) dimension: usize,
    /// Positions of each chain, draw after draw.
    pub(super) chains: Vec<Vec<f64>>,
    pub(super) divergences: usize,
    /// Whether the draws are from a Markov chain.
    pub(super) markov: bool,
    /// Share of the draws of the normal that importance weights leave, where it is used.
    pub(super) efficiency: Option<f64>,
}

impl Sample {
    pub(super) fn len(&self) -> usize {
        self.chains
            .iter()
            .map(|c| c.len() / self.dimension.max(1))
            .sum()
    }

    /// At most `count` positions, evenly spread over all chains.
    pub(super) fn thinned(&self, count: usize) -> Vec<&[f64]> {
        let all: Vec<&[f64]> = self
            .chains
            .iter()
            .flat_map(|c| c.chunks_exact(self.dimension))
            .collect();
        let take = count.min(all.len());
        (0..take).map(|i| all[i * all.len() / take]).collect()
    }
}

/// Names of the parameters that [`values`] gives.
fn names(density: &Density<'_>, groups: &[String]) -> Vec<String> {
    let design = density.design;
    let mut names = vec!["y_sigma".to_owned()];
    for (j, column) in design.columns.iter().enumerate() {
        names.push(column.name.clone());
        if density.spreads(j) {
            names.push(format!("sd_{}", column.name));
            names.extend(groups.iter().map(|g| format!("{}|{g}", column.name)));
        }
    }
    for (m, channel) in design.channels.iter().enumerate() {
        let of = |what: &str| format!("{what}[{}]", channel.name);
        names.extend(
            channel
                .adstock
                .parameters()
                .iter()
                .map(|p| of(&format!("adstock_{p}"))),
        );
        names.extend(
            channel
                .saturation
                .parameters()
                .iter()
                .map(|p| of(&format!("saturation_{p}"))),
        );
        names.push(of("saturation_beta"));
        if matches!(channel.effect, Effect::Return(..)) {
            names.push(of("roi"));
        }
        if density.channel_spreads(m) {
            names.push(of("eta"));
            names.extend(groups.iter().map(|g| of(&format!("factor|{g}|"))));
        }
    }
    names
}

/// Values of the parameters at a position.
fn values(density: &mut Density<'_>, q: &[f64], out: &mut Vec<f64>) {
    let design = density.design;
    density.place(q);
    out.clear();
    out.push(density.sigma);
    for j in 0..design.columns.len() {
        out.push(density.coefficients[j]);
        if density.spreads(j) {
            out.push(density.deviations[j]);
            for g in 0..design.groups {
                out.push(density.coefficient(j, g));
            }
        }
    }
    for (m, channel) in design.channels.iter().enumerate() {
        let state = &density.states[m];
        out.extend(&state.adstock[..channel.adstock.parameters().len()]);
        out.extend(&state.saturation[..channel.saturation.parameters().len()]);
        out.push(state.beta);
        if matches!(channel.effect, Effect::Return(..)) {
            out.push(state.roi);
        }
        if density.channel_spreads(m) {
            out.push(state.eta);
            out.extend(&state.factors);
        }
    }
}

/// Names, and for each of them its draws chain by chain.
type Named = (Vec<String>, Vec<Vec<Vec<f64>>>);

/// Draws of every parameter: for each name, chain by chain.
pub(super) fn draws(
    density: &mut Density<'_>,
    groups: &[String],
    sample: &Sample,
    cancel: &dyn Cancel,
) -> Result<Named, Cancelled> {
    let names = names(density, groups);
    let mut columns: Vec<Vec<Vec<f64>>> =
        vec![Vec::with_capacity(sample.chains.len()); names.len()];
    let mut row = Vec::new();
    for chain in &sample.chains {
        let length = chain.len() / sample.dimension.max(1);
        for column in &mut columns {
            column.push(Vec::with_capacity(length));
        }
        for q in chain.chunks_exact(sample.dimension) {
            cancel.check()?;
            values(density, q, &mut row);
            for (column, v) in columns.iter_mut().zip(&row) {
                if let Some(last) = column.last_mut() {
                    last.push(*v);
                }
            }
        }
    }
    Ok((names, columns))
}

/// Summaries of the parameters; known ones are left out.
pub(super) fn summaries(
    names: &[String],
    columns: &[Vec<Vec<f64>>],
    markov: bool,
    cancel: &dyn Cancel,
) -> Result<Vec<Parameter>, Cancelled> {
    names
        .iter()
        .zip(columns)
        .filter_map(|(name, chains)| {
            if let Err(cancelled) = cancel.check() {
                return Some(Err(cancelled));
            }
            let mut all: Vec<f64> = chains.iter().flatten().copied().collect();
            let (mean, sd) = super::data::moments(&all);
            all.sort_by(f64::total_cmp);
            let constant = all.first() == all.last();
            let views: Vec<&[f64]> = chains.iter().map(Vec::as_slice).collect();
            (!constant).then(|| {
                let converged = if markov {
                    Some(convergence(&views, cancel)?.into())
                } else {
                    None
                };
                Ok(Parameter {
                    name: name.clone(),
                    mean,
                    sd,
                    q05: quantile(&all, 0.05),
                    q50: quantile(&all, 0.5),
                    q95: quantile(&all, 0.95),
                    convergence: converged,
                })
            })
        })
        .collect()
}
