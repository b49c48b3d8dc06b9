//! What the forecasting agent concludes: whether a new forecast should become the one of record.

use domain::{
    access::AgentKind,
    forecast::{Forecast, ModelScore},
    id::{BrandId, MetricId},
    recommendation::{Action, Kind},
};

use crate::{
    analyst::quality::POOR_DATA,
    parameters::Parameters,
    proposal::{Proposal, Verdicts},
    view::{View, evidence, grouped},
};

const AGENT: AgentKind = AgentKind::Forecasting;
/// Weeks after which a forecast that nobody decided on is out of date anyway.
const EXPIRES_AFTER: u32 = 4;
/// Models that need no fitting; a first forecast of record has to beat the better of them.
const NAIVE: [&str; 2] = ["naive", "seasonal_naive"];

/// A new forecast beside the one of record, where there is one.
#[derive(Clone, Copy)]
pub(crate) struct Challenge<'a> {
    /// The new one.
    pub challenger: &'a Forecast,
    /// The one of record.
    pub record: Option<&'a Forecast>,
}

/// Decides over all series at once: the revisions that gain most come first, up to the agent's limit.
pub(crate) fn decide(
    view: &View,
    challenges: &[Challenge<'_>],
    parameters: &Parameters,
) -> Verdicts {
    let mut verdicts = Verdicts::default();
    let least = parameters.get("min_improvement");
    let mut worthwhile = Vec::new();
    for challenge in challenges {
        let forecast = challenge.challenger;
        let subject = subject(view, forecast.brand, forecast.metric);
        match gain(challenge) {
            Gain::SameOrigin => verdicts.decline(
                AGENT,
                Kind::ForecastRevision,
                subject,
                "duplicate",
                "the forecast of record is from the same data with the same model".to_owned(),
            ),
            Gain::Untested => verdicts.decline(
                AGENT,
                Kind::ForecastRevision,
                subject,
                "weak_evidence",
                "the series is too short for a backtest".to_owned(),
            ),
            Gain::Over {
                share,
                against,
                champion,
                reference,
            } if share < least => verdicts.decline(
                AGENT,
                Kind::ForecastRevision,
                subject,
                "below_threshold",
                format!(
                    "{} has a MASE of {:.3} against {:.3} of {against}",
                    forecast.model, champion.mase, reference.mase
                ),
            ),
            Gain::Over {
                share,
                against,
                champion,
                reference,
            } => worthwhile.push((share, subject, *challenge, against, champion, reference)),
        }
    }
    worthwhile.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let most = parameters.count("max_revisions") as usize;
    for (index, (share, subject, challenge, against, champion, reference)) in
        worthwhile.into_iter().enumerate()
    {
        if index < most {
            verdicts.proposals.push(revision(
                view, subject, &challenge, share, &against, &champion, &reference,
            ));
        } else {
            let detail = format!(
                "its gain of {:.0} % comes after {most} larger ones",
                share * 100.0
            );
            verdicts.decline(
                AGENT,
                Kind::ForecastRevision,
                subject,
                "below_threshold",
                detail,
            );
        }
    }
    verdicts
}

/// Records that a series is not forecast because its data must not be acted on.
pub(crate) fn refuse(
    view: &View,
    brand: BrandId,
    metric: MetricId,
    reason: String,
    verdicts: &mut Verdicts,
) {
    let subject = subject(view, brand, metric);
    verdicts.decline(AGENT, Kind::ForecastRevision, subject, POOR_DATA, reason);
}

fn subject(view: &View, brand: BrandId, metric: MetricId) -> String {
    format!(
        "series:{}/{}",
        view.brand_name(brand),
        view.metric(metric)
            .map_or_else(|| metric.to_string(), |m| m.key.clone())
    )
}

enum Gain {
    /// The record says the same already.
    SameOrigin,
    /// No backtest, so nothing can be said.
    Untested,
    /// Share of backtest error saved against a named model.
    Over {
        share: f64,
        against: String,
        champion: ModelScore,
        reference: ModelScore,
    },
}

fn gain(challenge: &Challenge<'_>) -> Gain {
    let forecast = challenge.challenger;
    if challenge
        .record
        .is_some_and(|record| record.origin == forecast.origin && record.model == forecast.model)
    {
        return Gain::SameOrigin;
    }
    let score = |model: &str| forecast.backtest.iter().find(|s| s.model == model).cloned();
    let Some(champion) = score(&forecast.model) else {
        return Gain::Untested;
    };
    let (against, reference) = match challenge.record {
        // The model of record stays: its forecast is old by as many weeks as the data moved on. A forecast that old
        // is worth what its model's error was when it repeated the last value, so the naive model is the yardstick.
        Some(record) if record.model != forecast.model => {
            let Some(reference) = score(&record.model) else {
                return Gain::Untested;
            };
            (format!("the {} model of record", record.model), reference)
        }
        _ => {
            let naive = NAIVE
                .iter()
                .filter_map(|model| score(model))
                .min_by(|a, b| a.mase.total_cmp(&b.mase));
            let Some(naive) = naive else {
                return Gain::Untested;
            };
            (format!("the {} model", naive.model), naive)
        }
    };
    if !(champion.mase.is_finite() && reference.mase.is_finite() && reference.mase > 0.0) {
        return Gain::Untested;
    }
    Gain::Over {
        share: 1.0 - champion.mase / reference.mase,
        against,
        champion,
        reference,
    }
}

fn revision(
    view: &View,
    subject: String,
    challenge: &Challenge<'_>,
    share: f64,
    against: &str,
    champion: &ModelScore,
    reference: &ModelScore,
) -> Proposal {
    let forecast = challenge.challenger;
    let (brand, metric) = (
        view.brand_name(forecast.brand),
        view.metric_name(forecast.metric),
    );
    let horizon = forecast.points.len();
    let total: f64 = forecast.points.iter().map(|p| p.mean).sum();
    let of_record = match challenge.record {
        Some(record) => format!(
            "It replaces the forecast of {} by {}.",
            record.origin, record.model
        ),
        None => "There is no forecast of record for this series yet.".to_owned(),
    };
    let unit = view
        .metric(forecast.metric)
        .map_or("", |m| crate::metrics::rules::unit_name(m.unit));
    let provenance = &forecast.provenance;
    let mut numbers = vec![
        evidence(
            format!("backtest error of {}", forecast.model),
            champion.mase,
            "MASE",
            None,
            format!(
                "{} errors from rolling origins; below 1 beats repeating the past",
                champion.errors
            ),
            provenance,
        ),
        evidence(
            format!("backtest error of {against}"),
            reference.mase,
            "MASE",
            None,
            "same origins, same weeks",
            provenance,
        ),
        evidence(
            "weeks inside the 80 % interval",
            champion.coverage80,
            "share",
            None,
            "in the backtest; 0.8 is what the interval promises",
            provenance,
        ),
        evidence(
            format!("{metric} over the next {horizon} weeks"),
            total,
            unit,
            None,
            "sum of the point forecasts",
            provenance,
        ),
    ];
    if let Some(record) = challenge.record {
        let overlap: Vec<f64> = forecast
            .points
            .iter()
            .filter_map(|p| {
                record
                    .points
                    .iter()
                    .find(|r| r.period == p.period)
                    .map(|r| p.mean - r.mean)
            })
            .collect();
        if !overlap.is_empty() {
            numbers.push(evidence(
                "change against the forecast of record",
                overlap.iter().sum(),
                unit,
                None,
                format!("over the {} weeks that both cover", overlap.len()),
                provenance,
            ));
        }
    }
    Proposal {
        agent: AGENT,
        title: format!("New forecast of record for {metric} of {brand}"),
        summary: format!(
            "In a backtest {} misses by {:.0} % less than {against} and expects {} {unit} over the next {horizon} weeks. {of_record} \
             Approved, targets and alerts follow the new one.",
            forecast.model,
            share * 100.0,
            grouped(total)
        ),
        subject,
        brands: vec![forecast.brand],
        objective: "forecasts that plans can rely on".to_owned(),
        action: Action::ForecastRevision {
            forecast: forecast.id,
            brand: forecast.brand,
            metric: forecast.metric,
        },
        effect: None,
        confidence: None,
        evidence: numbers,
        expires_on: view.in_weeks(EXPIRES_AFTER),
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use domain::{id::ForecastId, metric::Granularity, provenance::Provenance};

    use super::*;
    use crate::view::tests_support::{a_view, brand, metric};

    fn score(model: &str, mase: f64) -> ModelScore {
        ModelScore {
            model: model.to_owned(),
            mase,
            smape: 10.0,
            coverage80: 0.8,
            coverage95: 0.95,
            errors: 78,
        }
    }

    fn forecast(name: &str, model: &str, week: u32, scores: Vec<ModelScore>) -> Forecast {
        Forecast {
            id: ForecastId::derive(&[name, model, &week.to_string()]),
            brand: brand(name),
            project: None,
            metric: metric("units_sold"),
            origin: Granularity::Week
                .add(NaiveDate::from_ymd_opt(2025, 1, 6).expect("a date"), week),
            granularity: Granularity::Week,
            model: model.to_owned(),
            points: Vec::new(),
            backtest: scores,
            of_record: false,
            provenance: Provenance::default(),
        }
    }

    fn decided(challenger: &Forecast, record: Option<&Forecast>) -> Verdicts {
        decide(
            &a_view(),
            &[Challenge { challenger, record }],
            &Parameters::defaults(AGENT),
        )
    }

    #[test]
    fn a_first_forecast_that_beats_the_naive_ones_is_proposed_without_an_invented_effect() {
        let new = forecast(
            "Alder",
            "theta",
            0,
            vec![
                score("theta", 0.8),
                score("naive", 1.1),
                score("seasonal_naive", 1.0),
            ],
        );
        let verdicts = decided(&new, None);
        assert_eq!(verdicts.proposals.len(), 1);
        assert_eq!(verdicts.proposals[0].effect, None);
        assert!(
            verdicts.proposals[0]
                .summary
                .contains("20 % less than the seasonal_naive model"),
            "{}",
            verdicts.proposals[0].summary
        );
    }

    #[test]
    fn a_champion_that_gains_too_little_is_recorded_and_not_proposed() {
        let new = forecast(
            "Alder",
            "theta",
            0,
            vec![score("theta", 0.99), score("naive", 1.0)],
        );
        let verdicts = decided(&new, None);
        assert!(verdicts.proposals.is_empty());
        assert_eq!(verdicts.considered[0].reason, "below_threshold");
    }

    #[test]
    fn the_same_model_on_the_same_data_is_no_revision() {
        let new = forecast(
            "Alder",
            "theta",
            0,
            vec![score("theta", 0.5), score("naive", 1.0)],
        );
        assert_eq!(decided(&new, Some(&new)).considered[0].reason, "duplicate");
    }

    #[test]
    fn a_better_model_is_measured_against_the_model_of_record() {
        let record = forecast("Alder", "damped_trend", 0, Vec::new());
        let new = forecast(
            "Alder",
            "theta",
            4,
            vec![
                score("theta", 0.8),
                score("damped_trend", 0.805),
                score("naive", 2.0),
            ],
        );
        assert_eq!(
            decided(&new, Some(&record)).considered[0].reason,
            "below_threshold"
        );
    }

    #[test]
    fn without_a_backtest_nothing_is_claimed() {
        let new = forecast("Alder", "naive", 0, Vec::new());
        assert_eq!(decided(&new, None).considered[0].reason, "weak_evidence");
    }

    #[test]
    fn the_largest_gains_come_first_and_the_rest_is_recorded() {
        let names = ["A", "B", "C", "D", "E", "F", "G", "H"];
        let new: Vec<Forecast> = names
            .iter()
            .enumerate()
            .map(|(i, name)| {
                forecast(
                    name,
                    "theta",
                    0,
                    vec![score("theta", 0.9 - 0.05 * i as f64), score("naive", 1.0)],
                )
            })
            .collect();
        let challenges: Vec<Challenge<'_>> = new
            .iter()
            .map(|challenger| Challenge {
                challenger,
                record: None,
            })
            .collect();
        let verdicts = decide(&a_view(), &challenges, &Parameters::defaults(AGENT));
        assert_eq!(verdicts.proposals.len(), 6);
        assert_eq!(verdicts.proposals[0].brands, vec![brand("H")]);
        assert_eq!(verdicts.considered.len(), 2);
    }
}
