//! From what the finder returns to the terms of the domain.

use std::collections::BTreeMap;

use analytics::{
    finder::{FindingKind, Findings, Subject},
    panel::Panel,
};
use chrono::NaiveDate;
use domain::{
    Error,
    competition::{LeadingIndicator, RivalChange},
    id::{BrandId, ChannelId, CrossEffectId, MetricId},
    provenance::Provenance,
    response::ResponseCurve,
    synergy::CrossEffect,
    unit::Interval,
};

/// Weeks before a campaign that say what the rival did without it.
const BEFORE_WEEKS: usize = 26;

fn interval(ends: (f64, f64)) -> Interval {
    Interval {
        low: ends.0,
        high: ends.1,
    }
}

fn brand_at(panel: &Panel, place: usize) -> Result<BrandId, Error> {
    panel.brands()[place].key.parse()
}

/// Every pair with its verdict. The estimators work in margin; the effect is stated in the affected brand's sales, which is the
/// margin over the brand's margin share.
pub(crate) fn cross_effects(
    panel: &Panel,
    findings: &Findings,
    shares: &BTreeMap<BrandId, f64>,
    false_discovery: f64,
    origin: NaiveDate,
    provenance: &Provenance,
) -> Result<Vec<CrossEffect>, Error> {
    findings
        .pairs
        .iter()
        .map(|judged| {
            let pair = &judged.effect;
            let (driver, affected) = (
                brand_at(panel, pair.driver)?,
                brand_at(panel, pair.affected)?,
            );
            let share = shares.get(&affected).copied().unwrap_or(1.0);
            let sales = |ends: (f64, f64)| interval((ends.0 / share, ends.1 / share));
            Ok(CrossEffect {
                id: CrossEffectId::derive(&[
                    &driver.to_string(),
                    &affected.to_string(),
                    &provenance.slice.digest,
                ]),
                driver,
                affected,
                estimate: pair.effect.value / share,
                std_error: pair.effect.std_error / share,
                interval80: sales(pair.effect.interval80),
                interval95: sales(pair.effect.interval95),
                p_value: pair.effect.p_value,
                q_value: judged.q_value,
                verdict: judged.verdict_at(false_discovery),
                origin,
                provenance: provenance.clone(),
            })
        })
        .collect()
}

/// Every fitted line. `scale` is in sales: the fitted margin over the brand's margin share. `now` is what is spent on each line
/// now, the same amounts that every plan is compared with.
pub(crate) fn curves(
    findings: &Findings,
    shares: &BTreeMap<BrandId, f64>,
    now: &BTreeMap<(BrandId, ChannelId), f64>,
) -> Result<Vec<ResponseCurve>, Error> {
    let lines = findings.models.iter().flat_map(|model| &model.lines);
    lines
        .zip(&findings.line_q)
        .map(|(line, q_value)| {
            let brand: BrandId = line.brand.parse()?;
            let channel: ChannelId = line.channel.parse()?;
            let share = shares.get(&brand).copied().unwrap_or(1.0);
            let mut warnings = Vec::new();
            if line.std_error > 1.0 {
                warnings.push(format!("the marginal return is known only to ± {:.1}: spending hardly varied by itself", line.std_error));
            }
            if line.marginal_return <= 0.0 {
                warnings.push("the fitted return is not positive: read it as \"nothing measurable\"".to_owned());
            }
            Ok(ResponseCurve {
                brand,
                channel,
                carry_over: line.curve.retention,
                half: line.curve.half,
                shape: 1.0,
                scale: line.curve.coefficient / share,
                current_spend: now.get(&(brand, channel)).copied().unwrap_or(line.current),
                marginal_return: line.marginal_return,
                marginal_return80: interval(line.interval80),
                marginal_return95: interval(line.interval95),
                q_value: *q_value,
                warnings,
            })
        })
        .collect()
}

/// Rivals that pushed harder, in the metric's own unit.
pub(crate) fn rival_changes(panel: &Panel, findings: &Findings) -> Result<Vec<RivalChange>, Error> {
    let mut changes = Vec::new();
    for finding in findings
        .found
        .iter()
        .filter(|f| f.kind == FindingKind::RivalCampaign)
    {
        let Subject::Rival {
            rival,
            metric,
            start,
            from,
            ..
        } = &finding.subject
        else {
            continue;
        };
        let before = level_before(panel, rival, metric, *start);
        // The estimate is a change of the logarithm.
        let unit = |log: f64| before * (log.exp() - 1.0);
        let (low, high) = finding.effect.interval95;
        changes.push(RivalChange {
            rival: rival.parse()?,
            metric: metric.parse()?,
            start: *from,
            estimate: unit(finding.effect.value),
            interval95: Interval {
                low: unit(low),
                high: unit(high),
            },
            q_value: finding.q_value,
        });
    }
    Ok(changes)
}

fn level_before(panel: &Panel, brand: &str, metric: &str, start: usize) -> f64 {
    let place = |key: &str| {
        panel
            .brands()
            .iter()
            .position(|b| b.key == key)
            .zip(panel.metrics().iter().position(|m| m.key == metric))
    };
    let Some(series) = place(brand).and_then(|(b, m)| panel.series(b, m)) else {
        return f64::NAN;
    };
    let known: Vec<f64> = series[start.saturating_sub(BEFORE_WEEKS)..start]
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    known.iter().sum::<f64>() / known.len() as f64
}

/// Metrics that run ahead of sales, per unit of the metric.
pub(crate) fn indicators(
    panel: &Panel,
    findings: &Findings,
    outcome: MetricId,
    margins: &BTreeMap<BrandId, f64>,
) -> Result<Vec<LeadingIndicator>, Error> {
    let mut found = Vec::new();
    for finding in findings
        .found
        .iter()
        .filter(|f| f.kind == FindingKind::LeadingIndicator)
    {
        let Subject::Lead { brand, metric, lag } = &finding.subject else {
            continue;
        };
        let id: BrandId = brand.parse()?;
        let (Some(margin), Some(level)) = (margins.get(&id), mean_level(panel, brand, metric))
        else {
            continue;
        };
        // From margin over the whole path for +10 % of the metric to units of the outcome per unit of the metric.
        let scale = 1.0 / (0.1 * panel.weeks().len() as f64 * level * margin);
        let (low, high) = finding.effect.interval95;
        found.push(LeadingIndicator {
            brand: id,
            indicator: metric.parse()?,
            outcome,
            lag: u32::try_from(*lag).unwrap_or(u32::MAX),
            estimate: finding.effect.value * scale,
            interval95: Interval {
                low: (low * scale).min(high * scale),
                high: (low * scale).max(high * scale),
            },
            q_value: finding.q_value,
        });
    }
    Ok(found)
}

fn mean_level(panel: &Panel, brand: &str, metric: &str) -> Option<f64> {
    let b = panel.brands().iter().position(|x| x.key == brand)?;
    let m = panel.metrics().iter().position(|x| x.key == metric)?;
    let known: Vec<f64> = panel
        .series(b, m)?
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    (mean.is_finite() && mean != 0.0).then_some(mean)
}
