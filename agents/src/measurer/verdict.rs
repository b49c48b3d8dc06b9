//! Verdicts that need no fit: pure functions of what happened.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use domain::{
    forecast::Forecast,
    outcome::OutcomeVerdict,
    provenance::{DataSlice, Provenance, SOFTWARE},
    recommendation::{Recommendation, State},
    unit::Interval,
};

/// Weeks whose mean counts as the metric's value at a date.
const TARGET_WEEKS: usize = 4;
/// Share of the way to a target below which it counts as missed.
const MISSED_BELOW: f64 = 0.5;
/// A forecast this much worse than repeating the last value counts as refuted; in between nothing can be told.
const TIE: f64 = 0.02;

/// What measuring found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) promised: f64,
    pub(super) realised: Option<f64>,
    pub(super) interval80: Option<Interval>,
    pub(super) verdict: OutcomeVerdict,
    pub(super) reason: String,
    pub(super) provenance: Provenance,
}

pub(super) fn by_method(method: &str) -> Provenance {
    Provenance {
        method: method.to_owned(),
        software: SOFTWARE.to_owned(),
        ..Provenance::default()
    }
}

/// A forecast's error in the window against repeating the last value it knew.
pub(super) fn forecast(
    forecast: &Forecast,
    actual: &BTreeMap<NaiveDate, f64>,
    from: NaiveDate,
    to: NaiveDate,
    promised: f64,
) -> Measured {
    let last_known = actual
        .range(..=forecast.origin)
        .next_back()
        .map(|(_, value)| *value);
    let pairs: Vec<(f64, f64)> = forecast
        .points
        .iter()
        .filter(|p| (from..=to).contains(&p.period))
        .filter_map(|p| actual.get(&p.period).map(|value| (p.mean, *value)))
        .collect();
    let provenance = Provenance {
        slice: DataSlice {
            from: Some(from),
            to: Some(to),
            rows: pairs.len() as u64,
            ..DataSlice::default()
        },
        ..by_method("outcome.forecast_error")
    };
    let (Some(last), false) = (last_known, pairs.is_empty()) else {
        return Measured {
            promised,
            realised: None,
            interval80: None,
            verdict: OutcomeVerdict::Inconclusive,
            reason: "nothing was observed in the window".to_owned(),
            provenance,
        };
    };
    let error: f64 = pairs.iter().map(|(mean, value)| (mean - value).abs()).sum();
    let naive: f64 = pairs.iter().map(|(_, value)| (last - value).abs()).sum();
    let gain = if naive > 0.0 {
        1.0 - error / naive
    } else {
        0.0
    };
    let verdict = if gain > 0.0 {
        OutcomeVerdict::Verified
    } else if gain < -TIE {
        OutcomeVerdict::Refuted
    } else {
        OutcomeVerdict::Inconclusive
    };
    Measured {
        promised,
        realised: Some(gain),
        interval80: None,
        verdict,
        reason: format!(
            "over {} weeks it missed by {:.0} % less than repeating the last value",
            pairs.len(),
            gain * 100.0
        ),
        provenance,
    }
}

/// A metric at the date of its target.
pub(super) fn target(
    values: &BTreeMap<NaiveDate, f64>,
    (from, to): (f64, f64),
    due: NaiveDate,
) -> Measured {
    let recent: Vec<f64> = values
        .range(..=due)
        .rev()
        .take(TARGET_WEEKS)
        .map(|(_, value)| *value)
        .collect();
    let is_recent = values
        .range(..=due)
        .next_back()
        .is_some_and(|(last, _)| *last + Days::new(14) >= due);
    let promised = to - from;
    let base = Measured {
        promised,
        realised: None,
        interval80: None,
        verdict: OutcomeVerdict::Inconclusive,
        reason: "the metric was not observed around its date".to_owned(),
        provenance: by_method("outcome.target"),
    };
    if recent.is_empty() || !is_recent || promised == 0.0 {
        return base;
    }
    let value = recent.iter().sum::<f64>() / recent.len() as f64;
    let share = (value - from) / promised;
    let verdict = if share >= 1.0 {
        OutcomeVerdict::Verified
    } else if share < MISSED_BELOW {
        OutcomeVerdict::Refuted
    } else {
        OutcomeVerdict::Inconclusive
    };
    let reason = format!(
        "it stood at {value:.2} on {due}: {:.0} % of the way from {from:.2} to {to:.2}",
        share * 100.0
    );
    Measured {
        realised: Some(value - from),
        verdict,
        reason,
        ..base
    }
}

/// An initiative by its steps; `None` while one of them is open or being measured.
pub(super) fn steps(steps: &[Recommendation]) -> Option<Measured> {
    let is_ended = |s: State| {
        !s.is_open()
            && !matches!(
                s,
                State::Draft
                    | State::Approved
                    | State::Applying
                    | State::Applied
                    | State::Measuring
            )
    };
    if !steps.iter().all(|step| is_ended(step.state)) {
        return None;
    }
    let count = |state: State| steps.iter().filter(|step| step.state == state).count();
    let (verified, refuted) = (count(State::Verified), count(State::Refuted));
    let verdict = if verified == steps.len() && !steps.is_empty() {
        OutcomeVerdict::Verified
    } else if refuted > verified {
        OutcomeVerdict::Refuted
    } else {
        OutcomeVerdict::Inconclusive
    };
    Some(Measured {
        promised: steps.len() as f64,
        realised: Some(verified as f64),
        interval80: None,
        verdict,
        reason: format!(
            "{verified} of {} steps came out as promised, {refuted} did not",
            steps.len()
        ),
        provenance: by_method("outcome.steps"),
    })
}

/// A data fix by whether the value still contradicts the rest.
pub(super) fn fix(is_suspect: bool) -> Measured {
    Measured {
        promised: 1.0,
        realised: Some(if is_suspect { 0.0 } else { 1.0 }),
        interval80: None,
        verdict: if is_suspect {
            OutcomeVerdict::Refuted
        } else {
            OutcomeVerdict::Verified
        },
        reason: if is_suspect {
            "the value still contradicts the rest of the data"
        } else {
            "the value no longer contradicts the rest of the data"
        }
        .to_owned(),
        provenance: by_method("outcome.quality"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weeks(values: &[f64]) -> (BTreeMap<NaiveDate, f64>, NaiveDate) {
        let monday = NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date");
        let weeks = (0..)
            .zip(values)
            .map(|(week, value)| (monday + Days::new(7 * week), *value))
            .collect();
        (weeks, monday + Days::new(7 * (values.len() as u64 - 1)))
    }

    #[test]
    fn a_target_is_graded_by_how_much_of_the_way_was_gone() {
        let grade = |last: f64| {
            let (values, due) = weeks(&[100.0, last, last, last, last]);
            target(&values, (100.0, 120.0), due).verdict
        };
        assert_eq!(grade(121.0), OutcomeVerdict::Verified);
        assert_eq!(grade(115.0), OutcomeVerdict::Inconclusive);
        assert_eq!(grade(101.0), OutcomeVerdict::Refuted);
    }

    #[test]
    fn a_target_below_todays_value_is_reached_from_above() {
        let (values, due) = weeks(&[70.0, 70.0, 70.0, 70.0]);
        let measured = target(&values, (100.0, 70.0), due);
        assert_eq!(
            (measured.verdict, measured.realised),
            (OutcomeVerdict::Verified, Some(-30.0))
        );
    }

    #[test]
    fn a_metric_that_stopped_being_observed_cannot_be_told() {
        let (values, last) = weeks(&[100.0, 130.0]);
        let measured = target(&values, (100.0, 120.0), last + Days::new(70));
        assert_eq!(
            (measured.verdict, measured.realised),
            (OutcomeVerdict::Inconclusive, None)
        );
    }
}
