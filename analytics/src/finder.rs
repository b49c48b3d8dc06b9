//! One scan over everything that could be worth knowing, with one false-discovery family.
//!
//! Candidates are all ordered pairs of own brands, all budget lines, all health metrics of all own brands at all lags,
//! and all rivals at all start weeks. Their p-values form a single Benjamini–Hochberg family, so that looking at a
//! thousand places does not make findings out of luck.

use domain::synergy::Verdict;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cancel::{Cancel, Cancelled};
use crate::competition::{self, RivalCandidate};
use crate::estimate::Estimate;
use crate::indicator::{self, LeadCandidate};
use crate::inference::benjamini_hochberg;
use crate::panel::Panel;
use crate::response::{self, BrandModel, ResponseParams};
use crate::synergy;
use crate::synergy::verdict::{JudgedPair, VerdictParams, verdicts};

/// Parameters of a scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScanParams {
    /// Largest q-value of a finding.
    pub false_discovery_rate: f64,
    /// A line is saturated when its marginal return is found and below this.
    pub saturated_below: f64,
    /// A line is starved when its marginal return is found and above this.
    pub starved_above: f64,
    /// When a pair can be told, and when it counts as known among the pairs.
    pub pairs: VerdictParams,
    /// Parameters of the response fits.
    pub response: ResponseParams,
}

impl Default for ScanParams {
    fn default() -> Self {
        Self {
            false_discovery_rate: 0.05,
            saturated_below: 0.5,
            starved_above: 1.5,
            pairs: VerdictParams {
                false_discovery_rate: 0.05,
                ..VerdictParams::default()
            },
            response: ResponseParams::default(),
        }
    }
}

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A brand's media take sales from a sibling.
    Cannibalisation,
    /// A brand's media lift a sibling.
    Halo,
    /// More money on this line earns little.
    Saturated,
    /// More money on this line earns a lot.
    Starved,
    /// A rival changed its media pressure.
    RivalCampaign,
    /// A metric runs ahead of sales.
    LeadingIndicator,
}

/// What a finding is about. Keys are those of the panel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "subject", rename_all = "snake_case")]
pub enum Subject {
    /// An ordered pair of own brands.
    Pair {
        /// Brand whose media drive the effect.
        driver: String,
        /// Brand whose sales move.
        affected: String,
    },
    /// A budget line.
    Line {
        /// Brand.
        brand: String,
        /// Channel.
        channel: String,
    },
    /// A rival's change of behaviour.
    Rival {
        /// Competitor.
        rival: String,
        /// Metric in which it shows.
        metric: String,
        /// Position of the first week.
        start: usize,
        /// Monday of the first week.
        from: chrono::NaiveDate,
        /// Length in weeks.
        weeks: usize,
    },
    /// A metric ahead of sales.
    Lead {
        /// Brand.
        brand: String,
        /// Metric.
        metric: String,
        /// Weeks by which it runs ahead.
        lag: usize,
    },
}

/// One finding with everything needed to trace it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of thing was found.
    pub kind: FindingKind,
    /// What it is about.
    pub subject: Subject,
    /// The estimate. Pairs and leads: extra margin over the path in currency for +10 % of the driver; lines: marginal
    /// return; rivals: change of the logarithm of media pressure.
    pub effect: Estimate,
    /// Benjamini–Hochberg q-value over all candidates of the scan.
    pub q_value: f64,
    /// The method in words.
    pub method: String,
}

/// The result of a scan.
#[derive(Debug, Clone)]
pub struct Findings {
    /// What was found, strongest first.
    pub found: Vec<Finding>,
    /// Number of candidates in the family.
    pub candidates: usize,
    /// Every pair with what is known of it in the family of the pairs, found or not.
    pub pairs: Vec<JudgedPair>,
    /// q-value of every budget line, in the order of the models' lines.
    pub line_q: Vec<f64>,
    /// The fitted brands.
    pub models: Vec<BrandModel>,
    /// Rows of the panel that were read.
    pub rows: usize,
    /// First and last week.
    pub period: (chrono::NaiveDate, chrono::NaiveDate),
}

/// Why a scan gave no result.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ScanError {
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// No own brand has an outcome metric with enough weeks for its number of regressors.
    #[error("no own brand has an outcome metric with enough weeks to explain it")]
    TooLittleData,
}

enum Candidate {
    Pair(usize),
    Line(usize, usize),
    Lead(LeadCandidate),
    Rival(RivalCandidate),
}

/// Scans a panel.
///
/// # Errors
/// [`ScanError::Cancelled`] when the caller asked to stop, [`ScanError::TooLittleData`] when no brand can be fitted.
pub fn scan(
    panel: &Panel,
    params: &ScanParams,
    seed: u64,
    cancel: &dyn Cancel,
    progress: &mut dyn FnMut(f64),
) -> Result<Findings, ScanError> {
    let models = response::fit_all(panel, &params.response, seed, cancel, &mut |share| {
        progress(0.7 * share)
    })?;
    let (Some(&first), Some(&last)) = (panel.weeks().first(), panel.weeks().last()) else {
        return Err(ScanError::TooLittleData);
    };
    if models.is_empty() {
        return Err(ScanError::TooLittleData);
    }
    let pairs = verdicts(synergy::effects(&models, &params.response), &params.pairs);
    cancel.check()?;
    progress(0.8);
    let mut candidates: Vec<(Candidate, Estimate)> = Vec::new();
    candidates.extend(
        pairs
            .iter()
            .enumerate()
            .filter(|(_, pair)| pair.reason.is_none())
            .map(|(i, pair)| (Candidate::Pair(i), pair.effect.effect)),
    );
    for (m, model) in models.iter().enumerate() {
        for (l, line) in model.lines.iter().enumerate() {
            let effect = Estimate::new(line.marginal_return, line.std_error, line.dof, 1.0);
            candidates.push((Candidate::Line(m, l), effect));
        }
    }
    for model in &models {
        cancel.check()?;
        let leads = indicator::candidates(panel, model);
        candidates.extend(
            leads
                .into_iter()
                .map(|lead| (Candidate::Lead(lead.clone()), lead.effect)),
        );
    }
    progress(0.9);
    let rivals = competition::candidates(panel, cancel)?;
    candidates.extend(
        rivals
            .into_iter()
            .map(|rival| (Candidate::Rival(rival.clone()), rival.effect)),
    );
    cancel.check()?;
    let p: Vec<f64> = candidates
        .iter()
        .map(|(_, effect)| effect.p_value)
        .collect();
    let q = benjamini_hochberg(&p);
    let mut found: Vec<Finding> = Vec::new();
    for ((candidate, effect), &q_value) in candidates.iter().zip(&q) {
        if q_value <= params.false_discovery_rate
            && let Some((kind, subject, method)) =
                describe(panel, params, &models, &pairs, candidate, effect)
        {
            found.push(Finding {
                kind,
                subject,
                effect: *effect,
                q_value,
                method,
            });
        }
    }
    found.sort_by(|a, b| {
        let strength = |f: &Finding| {
            let null = if matches!(f.kind, FindingKind::Saturated | FindingKind::Starved) {
                1.0
            } else {
                0.0
            };
            ((f.effect.value - null) / f.effect.std_error).abs()
        };
        strength(b).total_cmp(&strength(a))
    });
    let found = strongest_of_each(found);
    progress(1.0);
    Ok(Findings {
        found,
        candidates: candidates.len(),
        line_q: candidates
            .iter()
            .zip(&q)
            .filter(|((candidate, _), _)| matches!(candidate, Candidate::Line(..)))
            .map(|(_, q)| *q)
            .collect(),
        pairs,
        models,
        rows: panel.quality().rows,
        period: (first, last),
    })
}

fn describe(
    panel: &Panel,
    params: &ScanParams,
    models: &[BrandModel],
    pairs: &[JudgedPair],
    candidate: &Candidate,
    effect: &Estimate,
) -> Option<(FindingKind, Subject, String)> {
    let brand = |b: usize| panel.brands()[b].key.clone();
    let metric = |m: usize| panel.metrics()[m].key.clone();
    match candidate {
        Candidate::Pair(i) => {
            // Known in the family of all candidates and in that of the pairs, so that no finding differs from its pair's verdict.
            let kind = match pairs[*i].verdict {
                Verdict::Cannibalisation => FindingKind::Cannibalisation,
                Verdict::Halo => FindingKind::Halo,
                Verdict::NoEvidence | Verdict::NotIdentifiable => return None,
            };
            let pair = &pairs[*i].effect;
            let subject = Subject::Pair {
                driver: brand(pair.driver),
                affected: brand(pair.affected),
            };
            let method = "coefficient of the driver's media margin in the affected brand's joint regression, AR(1) errors";
            Some((kind, subject, method.to_owned()))
        }
        Candidate::Line(m, l) => {
            let line = &models[*m].lines[*l];
            let kind = if effect.value < params.saturated_below {
                FindingKind::Saturated
            } else if effect.value > params.starved_above {
                FindingKind::Starved
            } else {
                return None;
            };
            let subject = Subject::Line {
                brand: line.brand.clone(),
                channel: line.channel.clone(),
            };
            let method = "marginal return for +10 % over the observed path from the fitted response curve, against break-even 1";
            Some((kind, subject, method.to_owned()))
        }
        Candidate::Lead(lead) => {
            let subject = Subject::Lead {
                brand: brand(lead.brand),
                metric: metric(lead.metric),
                lag: lead.lag,
            };
            let method = "lagged metric in the brand's joint regression, whitened by the outcome's autocorrelation";
            Some((FindingKind::LeadingIndicator, subject, method.to_owned()))
        }
        Candidate::Rival(change) => {
            if effect.value <= 0.0 {
                return None;
            }
            let subject = Subject::Rival {
                rival: brand(change.rival),
                metric: metric(change.metric),
                start: change.start,
                from: panel.weeks()[change.start],
                weeks: change.weeks,
            };
            let method = "window in log media pressure with trend, season and AR(1) errors; p-value pays for the lengths tried";
            Some((FindingKind::RivalCampaign, subject, method.to_owned()))
        }
    }
}

/// Weeks between two windows of a rival's metric below which they are taken for one campaign. Where a campaign begins and ends is known
/// to a few weeks only: the weeks at its edges are explained almost as well by a window that is a little longer or shorter.
const ONE_CAMPAIGN: usize = 4;

/// Neighbouring weeks of one campaign and neighbouring lags of one metric are one finding: the strongest is kept.
fn strongest_of_each(sorted: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for finding in sorted {
        let repeated = kept.iter().any(|k| match (&k.subject, &finding.subject) {
            (
                Subject::Lead {
                    brand: a,
                    metric: m,
                    ..
                },
                Subject::Lead {
                    brand: b,
                    metric: n,
                    ..
                },
            ) => a == b && m == n,
            (
                Subject::Rival {
                    rival: a,
                    metric: m,
                    start: s,
                    weeks: w,
                    ..
                },
                Subject::Rival {
                    rival: b,
                    metric: n,
                    start: t,
                    weeks: v,
                    ..
                },
            ) => {
                let is_near = |a: usize, b: usize, weeks: usize| a < b + weeks + ONE_CAMPAIGN;
                a == b && m == n && is_near(*s, *t, *v) && is_near(*t, *s, *w)
            }
            _ => false,
        });
        if !repeated {
            kept.push(finding);
        }
    }
    kept
}
