//! Change of a rival's behaviour: when did a competitor start to push, and how hard?
//!
//! A rival's media pressure (in logarithms) is explained by trend and season; every start week and a range of lengths
//! is tried as a window of raised or lowered pressure. The p-value of a start week pays for the lengths tried; the
//! start weeks themselves are candidates of the finder's one false-discovery family.
//!
//! Beside it: [`voice`] (share of voice and of market), [`momentum`] (growth of late) and [`swot`] (strengths, weaknesses, opportunities and
//! threats by rule).

pub mod momentum;
pub mod swot;
pub mod voice;

use domain::metric::MetricRole;

use crate::cancel::{Cancel, Cancelled};
use crate::estimate::Estimate;
use crate::linear::{dot, gls, orthonormal, reml_autocorrelation, remove, whiten};
use crate::panel::{Panel, bridged};
use crate::response::design::{calendar, logarithms};

/// Lengths of a campaign that are tried, in weeks.
const LENGTHS: [usize; 9] = [5, 6, 8, 10, 12, 14, 17, 21, 26];
/// Weeks at either end in which a change cannot be told from noise.
const MARGIN: usize = 4;

/// A possible change of one rival's behaviour from one week on.
#[derive(Debug, Clone, PartialEq)]
pub struct RivalCandidate {
    /// Position of the competitor.
    pub rival: usize,
    /// Position of the metric.
    pub metric: usize,
    /// First week of the change, counted from the first week.
    pub start: usize,
    /// Length in weeks.
    pub weeks: usize,
    /// Change of the logarithm of the metric; the p-value pays for the lengths that were tried.
    pub effect: Estimate,
}

/// Tries every start week for every rival and exposure metric.
///
/// # Errors
/// [`Cancelled`] when the caller asked to stop.
pub fn candidates(panel: &Panel, cancel: &dyn Cancel) -> Result<Vec<RivalCandidate>, Cancelled> {
    let mut out = Vec::new();
    for metric in panel.with_role(MetricRole::Exposure) {
        for rival in panel.rivals() {
            if let Some(values) = panel.series(rival, metric).and_then(bridged) {
                let (y, controls) = (logarithms(&values), calendar(panel));
                out.extend(scan(&y, &controls, rival, metric, cancel)?);
            }
        }
    }
    Ok(out)
}

fn scan(
    y: &[f64],
    controls: &[Vec<f64>],
    rival: usize,
    metric: usize,
    cancel: &dyn Cancel,
) -> Result<Vec<RivalCandidate>, Cancelled> {
    let n = y.len();
    if n < 4 * MARGIN + controls.len() {
        return Ok(Vec::new());
    }
    cancel.check()?;
    // The first pass takes the change for autocorrelation; the second knows where the largest change is.
    let first = pass(y, controls, reml_autocorrelation(controls, y), cancel)?;
    let Some(best) = first.iter().max_by(|a, b| a.2.abs().total_cmp(&b.2.abs())) else {
        return Ok(Vec::new());
    };
    let mut with = controls.to_vec();
    with.push(window(n, best.0, best.1));
    let rho = reml_autocorrelation(&with, y);
    pass(y, controls, rho, cancel)?
        .into_iter()
        .map(|(start, weeks, _)| {
            cancel.check()?;
            let mut columns = controls.to_vec();
            columns.push(window(n, start, weeks));
            let fit = gls(&columns, y, rho);
            let last = columns.len() - 1;
            let mut effect =
                Estimate::new(fit.coefficients[last], fit.errors[last], fit.dof - 1.0, 0.0);
            effect.p_value = (effect.p_value * LENGTHS.len() as f64).min(1.0);
            Ok(RivalCandidate {
                rival,
                metric,
                start,
                weeks,
                effect,
            })
        })
        .collect()
}

/// For every start week the length with the largest statistic: start, length, t.
fn pass(
    y: &[f64],
    controls: &[Vec<f64>],
    rho: f64,
    cancel: &dyn Cancel,
) -> Result<Vec<(usize, usize, f64)>, Cancelled> {
    let n = y.len();
    let whitened: Vec<Vec<f64>> = controls.iter().map(|c| whiten(c, rho)).collect();
    let basis = orthonormal(&whitened);
    let mut residual = whiten(y, rho);
    remove(&mut residual, &basis);
    let total = dot(&residual, &residual);
    let dof = (n - basis.len() - 1) as f64;
    let mut best = Vec::new();
    for start in MARGIN..n - MARGIN {
        cancel.check()?;
        let of_start = LENGTHS
            .iter()
            .filter(|&&weeks| start + weeks <= n)
            .filter_map(|&weeks| {
                let mut z = whiten(&window(n, start, weeks), rho);
                remove(&mut z, &basis);
                let left = dot(&z, &z);
                let product = dot(&z, &residual);
                let rest = (total - product * product / left).max(1e-300);
                (left > 1e-9).then(|| (start, weeks, product / (left * rest / dof).sqrt()))
            })
            .max_by(|a, b| a.2.abs().total_cmp(&b.2.abs()));
        best.extend(of_start);
    }
    Ok(best)
}

fn window(n: usize, start: usize, weeks: usize) -> Vec<f64> {
    (0..n)
        .map(|t| f64::from(u8::from((start..start + weeks).contains(&t))))
        .collect()
}
