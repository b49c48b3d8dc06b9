//! One card that says whether a model can be used.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Confounding, Holdout, Parameter, contribution::ChannelResult};

/// Verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing to see.
    Pass,
    /// Someone should look before it is used.
    Review,
    /// It should not be used as it is.
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at: `rhat`, `ess`, `divergences`, `fit`, `residuals`, `baseline`, `roi[tv]`, `holdout`, `coverage`,
    /// `confounding[tv]`, `approximation`.
    pub name: String,
    /// Verdict.
    pub verdict: Verdict,
    /// The figure; NaN where there is none, which JSON writes as `null`.
    #[serde(deserialize_with = "figure")]
    pub value: f64,
    /// What it means, in a sentence.
    pub message: String,
}

fn figure<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// All checks and the worst verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// The worst verdict.
    pub verdict: Verdict,
    /// Share of the outcome's variance that the fitted mean explains.
    pub r_squared: f64,
    /// Sum of absolute residuals over sum of absolute outcomes.
    pub wmape: f64,
    /// Correlation of residuals with those of the period before.
    pub residual_autocorrelation: f64,
    /// Checks.
    pub checks: Vec<Check>,
}

/// What the card is made of.
pub(super) struct Facts<'a> {
    pub(super) outcome: &'a [f64],
    pub(super) fitted: &'a [f64],
    pub(super) known: &'a [f64],
    pub(super) periods: usize,
    pub(super) parameters: &'a [Parameter],
    pub(super) divergences: usize,
    pub(super) draws: usize,
    pub(super) markov: bool,
    pub(super) efficiency: Option<f64>,
    pub(super) negative_baseline: f64,
    pub(super) channels: &'a [ChannelResult],
    pub(super) holdout: Option<&'a Holdout>,
    pub(super) confounding: &'a [Confounding],
}

/// Verdict from two thresholds, the larger the worse.
fn grade(value: f64, review: f64, fail: f64) -> Verdict {
    // NaN is never a pass.
    if value <= review {
        Verdict::Pass
    } else if value <= fail {
        Verdict::Review
    } else {
        Verdict::Fail
    }
}

pub(super) fn card(facts: &Facts<'_>) -> Health {
    let rows: Vec<usize> = (0..facts.outcome.len())
        .filter(|i| facts.known[*i] > 0.0)
        .collect();
    let count = rows.len() as f64;
    let mean = rows.iter().map(|i| facts.outcome[*i]).sum::<f64>() / count;
    let residual = |i: usize| facts.outcome[i] - facts.fitted[i];
    let squares: f64 = rows.iter().map(|i| residual(*i).powi(2)).sum();
    let total: f64 = rows
        .iter()
        .map(|i| (facts.outcome[*i] - mean).powi(2))
        .sum();
    let r_squared = 1.0 - squares / total;
    let wmape = rows.iter().map(|i| residual(*i).abs()).sum::<f64>()
        / rows.iter().map(|i| facts.outcome[*i].abs()).sum::<f64>();
    let lagged: f64 = rows
        .windows(2)
        .filter(|w| w[0] + 1 == w[1] && w[1] % facts.periods != 0)
        .map(|w| residual(w[0]) * residual(w[1]))
        .sum();
    let residual_autocorrelation = if squares > 0.0 { lagged / squares } else { 0.0 };
    let mut checks = Vec::new();
    let mut add = |name: String, verdict, value, message: &str| {
        checks.push(Check {
            name,
            verdict,
            value,
            message: message.to_owned(),
        });
    };
    if facts.markov {
        let of = |get: fn(&super::ConvergenceSummary) -> f64, worse: fn(f64, f64) -> f64| {
            facts
                .parameters
                .iter()
                .filter_map(|p| p.convergence.as_ref())
                .map(get)
                .reduce(|a: f64, b| {
                    // Whatever comes after it, one figure that is no number leaves none.
                    if a.is_nan() || b.is_nan() {
                        f64::NAN
                    } else {
                        worse(a, b)
                    }
                })
                // Without any figure there is no evidence, which is no pass.
                .unwrap_or(f64::NAN)
        };
        let rhat = of(|c| c.rhat, f64::max);
        add(
            "rhat".to_owned(),
            grade(rhat, 1.01, 1.05),
            rhat,
            "largest R-hat; above 1.01 chains have not agreed yet: draw more",
        );
        let bulk = of(|c| c.ess_bulk, f64::min);
        let tail = of(|c| c.ess_tail, f64::min);
        let ess = if bulk.is_nan() || tail.is_nan() {
            f64::NAN
        } else {
            bulk.min(tail)
        };
        add(
            "ess".to_owned(),
            grade(-ess, -400.0, -100.0),
            ess,
            "smallest effective sample size (bulk or tail); below 400 quantiles are rough: draw more",
        );
        let share = facts.divergences as f64 / facts.draws.max(1) as f64;
        add(
            "divergences".to_owned(),
            grade(share, 0.0, 0.01),
            share,
            "share of draws that left the region where the posterior can be followed; raise target_accept",
        );
    } else if let Some(efficiency) = facts.efficiency {
        add(
            "approximation".to_owned(),
            if efficiency >= 0.1 {
                Verdict::Pass
            } else {
                Verdict::Review
            },
            efficiency,
            "share of the normal approximation that the posterior supports; below 0.1 intervals are rough: use the sampler",
        );
    }
    add(
        "fit".to_owned(),
        grade(-r_squared, -0.5, 0.0),
        r_squared,
        "share of the variance explained; a model that explains less than half has not found what moves the outcome",
    );
    // Two standard errors of an autocorrelation of white noise, and a size that distorts intervals.
    let noise = 2.0 / count.sqrt();
    add(
        "residuals".to_owned(),
        grade(residual_autocorrelation.abs(), noise.max(0.2), 0.7),
        residual_autocorrelation,
        "autocorrelation of residuals; where it is high, something slow is missing and intervals are too narrow",
    );
    add(
        "baseline".to_owned(),
        grade(facts.negative_baseline, 0.2, 0.8),
        facts.negative_baseline,
        "probability that sales without media would be negative: media get too much credit",
    );
    for channel in facts.channels {
        if let Some(roas) = channel.roas {
            let plausible = (0.5..=20.0).contains(&roas.median);
            add(
                format!("roi[{}]", channel.name),
                if plausible {
                    Verdict::Pass
                } else {
                    Verdict::Review
                },
                roas.median,
                "median return per unit of money; below 0.5 or above 20 it is rarely true",
            );
        }
    }
    if let Some(holdout) = facts.holdout {
        let ratio = holdout
            .rmse_naive
            .map_or(f64::NAN, |naive| holdout.rmse / naive);
        add(
            "holdout".to_owned(),
            if ratio.is_nan() {
                Verdict::Review
            } else {
                grade(ratio, 1.0, 1.5)
            },
            ratio,
            if ratio.is_nan() {
                "error on unseen periods; there is no year before to compare it with: look at the error itself"
            } else {
                "error on unseen periods over that of repeating the year before"
            },
        );
        let gap = (holdout.coverage_80 - 0.8).abs();
        add(
            "coverage".to_owned(),
            grade(gap, 0.15, 0.4),
            holdout.coverage_80,
            "share of unseen periods inside the 80 % interval",
        );
    }
    for found in facts.confounding {
        let verdict = if found.warnings.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Review
        };
        let message = if found.warnings.is_empty() {
            "no sign of confounding in the data; only an experiment can rule it out".to_owned()
        } else {
            found.warnings.join("; ")
        };
        add(
            format!("confounding[{}]", found.channel),
            verdict,
            found.robustness,
            &message,
        );
    }
    Health {
        verdict: checks
            .iter()
            .map(|c| c.verdict)
            .max()
            .unwrap_or(Verdict::Pass),
        r_squared,
        wmape,
        residual_autocorrelation,
        checks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_markov_chain_without_evidence_of_its_convergence_fails() {
        let facts = Facts {
            outcome: &[1.0, 2.0, 3.0],
            fitted: &[1.0, 2.0, 3.0],
            known: &[1.0; 3],
            periods: 3,
            parameters: &[],
            divergences: 0,
            draws: 1,
            markov: true,
            efficiency: None,
            negative_baseline: 0.0,
            channels: &[],
            holdout: None,
            confounding: &[],
        };
        let card = card(&facts);
        for name in ["rhat", "ess"] {
            let check = card
                .checks
                .iter()
                .find(|c| c.name == name)
                .expect("checked");
            assert_eq!(check.verdict, Verdict::Fail, "{check:?}");
        }
    }
}
