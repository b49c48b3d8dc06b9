//! A brand's marketing-mix model: what each channel sold, with the card that says whether to believe it.

use analytics::{
    cancel::Cancel,
    mix::{self, Channel as MixChannel, Control, Method, MixError, Request, Season, Table, Trend},
};
use chrono::NaiveDate;
use domain::{
    brand::BrandRole,
    id::{BrandId, ChannelId, MetricId},
    metric::{Granularity, MetricDefinition, MetricRole, MetricUnit},
    provenance::Provenance,
};
use serde::Serialize;
use serde_json::json;

use super::{correlations::filled, drivers::on, provenance};
use crate::{Error, observe::Snapshot};

/// Fewest periods that a model is fitted to.
const LEAST_PERIODS: usize = 52;
/// Largest share of periods without a value; fewer are filled by straight lines.
const MOST_ABSENT: f64 = 0.05;
/// Column of the first days of the periods.
const PERIOD: &str = "period";
/// Column of what one unit of the outcome is worth.
const WORTH: &str = "worth";

/// How a model is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MixMethod {
    /// The posterior's mode and a normal around it: a second or so.
    Fast,
    /// The no-U-turn sampler: a minute or so, with R-hat and effective sample sizes.
    Sample,
}

/// A brand's marketing-mix model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mix {
    /// The brand.
    pub brand: BrandId,
    /// The outcome.
    pub metric: MetricId,
    /// How it was fitted.
    pub method: MixMethod,
    /// First period.
    pub from: NaiveDate,
    /// Last period.
    pub to: NaiveDate,
    /// Periods with a known outcome.
    pub periods: u32,
    /// Whether returns are money per money. Where no price is known they are units of the outcome per money.
    pub is_money: bool,
    /// What each channel sold.
    pub channels: Vec<MixChannelResult>,
    /// Outcome without media over all periods.
    pub baseline: MixInterval,
    /// Posterior of every parameter, on the scale of the model.
    pub parameters: Vec<MixParameter>,
    /// Forecast of the last periods by a fit that had not seen them.
    pub holdout: Option<MixHoldout>,
    /// Signs that a channel's effect is not its own.
    pub confounding: Vec<MixConfounding>,
    /// Whether the model can be used.
    pub health: MixHealth,
    /// Metrics that could not take part.
    pub left_out: Vec<MixLeftOut>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// A quantity with its 90 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MixInterval {
    /// Mean.
    pub mean: f64,
    /// 5 % quantile.
    pub low: f64,
    /// 95 % quantile.
    pub high: f64,
}

/// What a channel sold over the data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MixChannelResult {
    /// The channel.
    pub channel: ChannelId,
    /// Money spent.
    pub spend: f64,
    /// Outcome that would be missing had nothing been spent, in units of the outcome.
    pub contribution: MixInterval,
    /// The same as a share of the outcome.
    pub share: MixInterval,
    /// Return on spend: what the contribution is worth per money spent.
    pub roas: Option<MixInterval>,
    /// What one more unit of money returns, spread like the spend of the data.
    pub marginal_roas: Option<MixInterval>,
}

/// Posterior of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MixParameter {
    /// Name, with the key of the channel's or control's metric in brackets.
    pub name: String,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub sd: f64,
    /// 5 % quantile.
    pub low: f64,
    /// 95 % quantile.
    pub high: f64,
    /// R-hat; `None` for the fast fit, whose draws are independent.
    pub rhat: Option<f64>,
    /// Effective sample size of the middle; `None` for the fast fit.
    pub ess_bulk: Option<f64>,
    /// Effective sample size of the tails; `None` for the fast fit.
    pub ess_tail: Option<f64>,
}

/// How unseen periods were forecast, in units of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MixHoldout {
    /// Periods set aside.
    pub periods: u32,
    /// Root mean squared error.
    pub rmse: f64,
    /// The same of the value one year before; `None` where that is not known.
    pub rmse_naive: Option<f64>,
    /// Continuous ranked probability score.
    pub crps: f64,
    /// Share of periods inside the 80 % interval.
    pub coverage80: f64,
    /// Share of periods inside the 95 % interval.
    pub coverage95: f64,
}

/// What speaks against reading a channel's effect as causal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MixConfounding {
    /// The channel.
    pub channel: ChannelId,
    /// Variance inflation of its effect by everything else in the model; `None` where others explain it wholly.
    pub variance_inflation: Option<f64>,
    /// p-value of last period's outcome as a cause of this period's spend.
    pub reaction_p: Option<f64>,
    /// Partial R² that a hidden cause would need with both spend and outcome to undo the effect.
    pub robustness: Option<f64>,
    /// What to tell a reader; empty where nothing was found.
    pub warnings: Vec<String>,
}

/// The card of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MixHealth {
    /// The worst verdict of the checks.
    pub verdict: MixVerdict,
    /// Share of the outcome's variance that the model explains.
    pub r_squared: Option<f64>,
    /// Sum of absolute errors over sum of outcomes.
    pub wmape: Option<f64>,
    /// Correlation of errors with those of the period before.
    pub residual_autocorrelation: f64,
    /// Everything that was looked at.
    pub checks: Vec<MixCheck>,
}

/// One check of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MixCheck {
    /// What was looked at.
    pub name: String,
    /// Verdict.
    pub verdict: MixVerdict,
    /// The figure; `None` where it has none.
    pub value: Option<f64>,
    /// What it means, in a sentence.
    pub message: String,
}

/// Verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MixVerdict {
    /// Nothing to see.
    Pass,
    /// Someone should look before it is used.
    Review,
    /// It should not be used as it is.
    Fail,
}

/// A metric that could not take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MixLeftOut {
    /// The metric.
    pub metric: MetricId,
    /// Why.
    pub reason: MixLeftOutReason,
}

/// Why a metric could not take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MixLeftOutReason {
    /// Values are missing at an end, or too many in between. A period without a value is not taken for zero.
    Gaps,
    /// It never changes, or nothing was ever spent.
    Constant,
    /// It has values below zero.
    Negative,
}

/// Fits the model of one own brand over all its projects.
///
/// # Errors
/// `mix.too_little_data`; when the caller asked to stop.
pub(crate) fn mix(
    snapshot: &Snapshot,
    outcome: &MetricDefinition,
    brand: BrandId,
    method: MixMethod,
    seed: u64,
    cancel: &(dyn Cancel + Sync),
) -> Result<Mix, Error> {
    let is_own = snapshot
        .view
        .brand(brand)
        .is_some_and(|b| b.role == BrandRole::Primary);
    let sold = snapshot
        .series(outcome.id)
        .remove(&brand)
        .unwrap_or_default();
    let (Some((&from, _)), Some((&to, _)), true) =
        (sold.first_key_value(), sold.last_key_value(), is_own)
    else {
        return Err(too_little(
            "its sales are not known, or it is not one of your own brands",
        ));
    };
    let granularity = outcome.granularity;
    let calendar: Vec<NaiveDate> = (0..)
        .map(|n| granularity.add(from, n))
        .take_while(|period| *period <= to)
        .collect();
    if calendar.len() < LEAST_PERIODS {
        return Err(too_little("its sales are known in too few periods"));
    }
    let mut columns = Columns {
        snapshot,
        brand,
        calendar: &calendar,
        left_out: Vec::new(),
    };
    let metrics = snapshot
        .view
        .metrics
        .iter()
        .filter(|m| m.granularity == granularity);
    let mut table = Table::new(calendar.len())
        .with_text(PERIOD, calendar.iter().map(NaiveDate::to_string).collect())
        .with(&outcome.key, on(&calendar, &sold));
    let (mut channels, mut controls, mut places) = (Vec::new(), Vec::new(), Vec::new());
    let mut worth = None;
    for metric in metrics.filter(|m| m.id != outcome.id) {
        match (metric.role, metric.channel) {
            (MetricRole::Spend, Some(channel)) => {
                if let Some(values) = columns.take(metric) {
                    table = table.with(&metric.key, values);
                    channels.push(MixChannel::of_spend(&metric.key, &metric.key));
                    places.push((metric.key.clone(), channel));
                }
            }
            (MetricRole::Price | MetricRole::Promotion | MetricRole::Context, _) => {
                let Some(values) = columns.take(metric) else {
                    continue;
                };
                if metric.role == MetricRole::Price && worth.is_none() {
                    worth = Some(values.clone());
                }
                table = table.with(&metric.key, standardised(&values));
                controls.push(Control {
                    column: metric.key.clone(),
                    prior: None,
                    varies: false,
                });
            }
            _ => {}
        }
    }
    if channels.is_empty() {
        return Err(too_little(
            "no channel's spend is known over the same periods",
        ));
    }
    let counts = outcome.unit != MetricUnit::Currency;
    let is_money = !counts || worth.is_some();
    let mut request = Request {
        trend: Trend::Linear,
        season: season(granularity, calendar.len()),
        controls,
        holdout: holdout(granularity, calendar.len()),
        method: match method {
            MixMethod::Fast => Method::default(),
            MixMethod::Sample => Method::sample(),
        },
        seed,
        ..Request::new(&outcome.key, PERIOD, channels)
    };
    if let Some(worth) = worth.filter(|_| counts) {
        table = table.with(WORTH, worth);
        request.value = Some(WORTH.to_owned());
    }
    // One thread: the pool gave one permit.
    let fit = mix::fit(&request, &table, 1, cancel).map_err(|error| match error {
        MixError::TooShort { .. } | MixError::ConstantOutcome => too_little(&error.to_string()),
        other => Error::Analysis(other.to_string()),
    })?;
    let source = provenance(
        snapshot,
        "mix.posterior",
        json!({
            "brand": brand,
            "request": request,
            "draws": fit.draws,
        }),
        seed,
    );
    let place = |name: &str| {
        places
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, channel)| *channel)
    };
    Ok(Mix {
        brand,
        metric: outcome.id,
        method,
        from,
        to,
        periods: count(fit.rows),
        is_money,
        channels: fit
            .channels
            .iter()
            .filter_map(|c| {
                Some(MixChannelResult {
                    channel: place(&c.name)?,
                    spend: c.spend?,
                    contribution: interval(&c.contribution),
                    share: interval(&c.share),
                    roas: c.roas.as_ref().map(interval),
                    marginal_roas: c.marginal_roas.as_ref().map(interval),
                })
            })
            .collect(),
        baseline: interval(&fit.baseline),
        parameters: fit.parameters.iter().map(parameter).collect(),
        holdout: fit.holdout.as_ref().map(|h| MixHoldout {
            periods: count(h.periods),
            rmse: h.rmse,
            rmse_naive: h.rmse_naive,
            crps: h.crps,
            coverage80: h.coverage_80,
            coverage95: h.coverage_95,
        }),
        confounding: fit
            .confounding
            .iter()
            .filter_map(|c| {
                Some(MixConfounding {
                    channel: place(&c.channel)?,
                    variance_inflation: finite(c.variance_inflation),
                    reaction_p: finite(c.reaction_p),
                    robustness: finite(c.robustness),
                    warnings: c.warnings.clone(),
                })
            })
            .collect(),
        health: MixHealth {
            verdict: verdict(fit.health.verdict),
            r_squared: finite(fit.health.r_squared),
            wmape: finite(fit.health.wmape),
            residual_autocorrelation: fit.health.residual_autocorrelation,
            checks: fit
                .health
                .checks
                .iter()
                .map(|check| MixCheck {
                    name: check.name.clone(),
                    verdict: verdict(check.verdict),
                    value: finite(check.value),
                    message: check.message.clone(),
                })
                .collect(),
        },
        left_out: columns.left_out,
        provenance: source,
    })
}

fn too_little(why: &str) -> Error {
    let error = domain::Error::not_found(
        "mix.too_little_data",
        format!("no marketing-mix model can be fitted for this brand: {why}"),
    );
    error
        .advise("import a year of sales and of spend by channel or more; where nothing was spent, say so with a zero")
        .into()
}

/// Complete columns of one brand on the calendar.
struct Columns<'a> {
    snapshot: &'a Snapshot,
    brand: BrandId,
    calendar: &'a [NaiveDate],
    left_out: Vec<MixLeftOut>,
}

impl Columns<'_> {
    /// The values of a metric, or none with the reason noted. A metric without any value is no news.
    fn take(&mut self, metric: &MetricDefinition) -> Option<Vec<f64>> {
        let known = self.snapshot.series(metric.id).remove(&self.brand)?;
        let values = on(self.calendar, &known);
        let absent = values.iter().filter(|v| v.is_nan()).count() as f64;
        let ends = [values.first(), values.last()];
        let reason = if absent > MOST_ABSENT * values.len() as f64
            || ends.iter().any(|end| end.is_none_or(|v| v.is_nan()))
        {
            MixLeftOutReason::Gaps
        } else if values.iter().all(|v| v.is_nan() || *v == values[0]) {
            MixLeftOutReason::Constant
        } else if metric.role == MetricRole::Spend && values.iter().any(|v| *v < 0.0) {
            MixLeftOutReason::Negative
        } else {
            return Some(filled(values));
        };
        self.left_out.push(MixLeftOut {
            metric: metric.id,
            reason,
        });
        None
    }
}

/// Centred, with the standard deviation one, as the priors of controls expect.
fn standardised(values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    values.iter().map(|v| (v - mean) / spread).collect()
}

/// A season needs to be seen twice to be told from a trend.
fn season(granularity: Granularity, periods: usize) -> Option<Season> {
    (periods >= 2 * granularity.per_year()).then_some(Season { harmonics: 2 })
}

/// A quarter of a year, as long as a year and more is left to fit.
fn holdout(granularity: Granularity, periods: usize) -> usize {
    let quarter = (granularity.per_year() / 4).max(1);
    if periods >= granularity.per_year() + 2 * quarter {
        quarter
    } else {
        0
    }
}

fn interval(of: &mix::Interval) -> MixInterval {
    MixInterval {
        mean: of.mean,
        low: of.low,
        high: of.high,
    }
}

fn parameter(of: &mix::Parameter) -> MixParameter {
    let convergence = of.convergence.as_ref();
    MixParameter {
        name: of.name.clone(),
        mean: of.mean,
        sd: of.sd,
        low: of.q05,
        high: of.q95,
        rhat: convergence.and_then(|c| finite(c.rhat)),
        ess_bulk: convergence.and_then(|c| finite(c.ess_bulk)),
        ess_tail: convergence.and_then(|c| finite(c.ess_tail)),
    }
}

fn verdict(of: mix::Verdict) -> MixVerdict {
    match of {
        mix::Verdict::Pass => MixVerdict::Pass,
        mix::Verdict::Review => MixVerdict::Review,
        mix::Verdict::Fail => MixVerdict::Fail,
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use analytics::cancel::never;
    use chrono::Days;
    use domain::{Classify, id::ProjectId, series::MetricTable};

    use super::*;
    use crate::view::tests_support::{a_view, brand, channel, metric};

    /// Sales follow search spend with a saturating curve; video is never known in a fifth of the weeks.
    fn snapshot(weeks: u64) -> Snapshot {
        let mut table = MetricTable::default();
        let monday = NaiveDate::from_ymd_opt(2023, 1, 2).expect("a date");
        let project = ProjectId::derive(&["o", "north"]);
        for week in 0..weeks {
            let unrest = ((week * week * 31 + week * 17) % 23) as f64;
            let spend = 20.0 + ((week * week * 7919 + week * 104_729) % 180) as f64;
            let units = 900.0 + 600.0 * spend / (spend + 80.0) + unrest;
            let mut push = |key: &str, value| {
                table.push(
                    project,
                    brand("Alder"),
                    metric(key),
                    monday + Days::new(7 * week),
                    value,
                )
            };
            push("spend_search", spend);
            push("units_sold", units);
            if week % 5 != 0 {
                push("spend_video", 50.0 + unrest);
            }
        }
        Snapshot {
            view: a_view(),
            table: Arc::new(table),
            changes: Arc::default(),
            weeks,
        }
    }

    fn fitted(snapshot: &Snapshot, method: MixMethod) -> Result<Mix, Error> {
        mix(
            snapshot,
            &snapshot.view.metrics[0],
            brand("Alder"),
            method,
            7,
            &never,
        )
    }

    #[test]
    fn a_channel_gets_its_return_with_an_interval_and_the_model_its_card() {
        let made = fitted(&snapshot(110), MixMethod::Fast).expect("fitted");
        let [search] = made.channels.as_slice() else {
            panic!("{made:#?}")
        };
        let roas = search.roas.expect("spend is known");
        assert_eq!(search.channel, channel("search"));
        // What the curve adds over the data per money spent lies between 1.5 and 4 units.
        assert!(
            roas.low <= roas.mean && roas.mean <= roas.high && (1.0..6.0).contains(&roas.mean),
            "{roas:?}"
        );
        assert!(!made.is_money, "no price is known");
        assert_eq!(
            made.left_out,
            [MixLeftOut {
                metric: metric("spend_video"),
                reason: MixLeftOutReason::Gaps
            }]
        );
        let holdout = made.holdout.expect("two years");
        assert_eq!(holdout.periods, 13);
        assert!(
            holdout.rmse_naive.is_some_and(|naive| holdout.rmse < naive),
            "{holdout:?}"
        );
        assert!(made.health.r_squared.expect("it varies") > 0.9 && !made.health.checks.is_empty());
        assert!(made.parameters.iter().all(|p| p.rhat.is_none()));
    }

    #[test]
    fn the_sampler_says_whether_its_chains_agree_and_cancelling_ends_it() {
        let snapshot = snapshot(60);
        let made = fitted(&snapshot, MixMethod::Sample).expect("fitted");
        let beta = made
            .parameters
            .iter()
            .find(|p| p.name.starts_with("saturation_beta"))
            .expect("a channel");
        assert!(
            beta.rhat.expect("chains") < 1.05 && beta.ess_bulk.expect("chains") > 100.0,
            "{beta:?}"
        );
        assert!(made.health.checks.iter().any(|c| c.name == "rhat"));
        let stop = || true;
        let outcome = &snapshot.view.metrics[0];
        let stopped = mix(
            &snapshot,
            outcome,
            brand("Alder"),
            MixMethod::Sample,
            7,
            &stop,
        );
        assert_eq!(stopped.expect_err("cancelled").code(), "analysis.failed");
    }

    #[test]
    fn what_cannot_be_fitted_is_refused_with_a_code_and_a_way_out() {
        let refused = fitted(&snapshot(40), MixMethod::Fast).expect_err("forty weeks");
        assert_eq!(refused.code(), "mix.too_little_data");
        assert!(refused.advice().is_some());
        let mut idle = snapshot(110);
        idle.view.metrics.retain(|m| m.key != "spend_search");
        assert_eq!(
            fitted(&idle, MixMethod::Fast)
                .expect_err("no channel")
                .code(),
            "mix.too_little_data"
        );
    }
}
