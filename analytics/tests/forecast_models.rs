//! Forecasts through the public interface: against another program's figures, and at the edges.

use analytics::forecast::{
    Model, Note, Options, backtest, forecast, forecast_with, mase, scale, smape,
};
use serde_json::Value;

fn golden() -> (Value, Vec<f64>) {
    let fixture: Value =
        serde_json::from_str(include_str!("../testdata/airpassengers_golden.json")).expect("json");
    let series = numbers(&fixture["series"]);
    (fixture, series)
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|v| v.as_f64().expect("a number"))
        .collect()
}

fn points(values: &[f64], model: Model, horizon: usize, period: usize) -> Vec<f64> {
    let made = forecast_with(values, &Options::new(horizon, period), model).expect("a forecast");
    assert_eq!(made.model, model);
    made.steps.iter().map(|s| s.mean).collect()
}

/// Mean absolute percentage distance between two forecasts.
fn distance(ours: &[f64], theirs: &[f64]) -> f64 {
    ours.iter()
        .zip(theirs)
        .map(|(a, b)| (a - b).abs() / b.abs())
        .sum::<f64>()
        / ours.len() as f64
}

#[test]
fn dynamic_theta_agrees_with_another_implementation_on_air_passengers() {
    // Ours bounds θ by 50, theirs ends at 71.
    let (fixture, series) = golden();
    let ours = points(&series[..120], Model::DynamicTheta, 24, 12);
    assert!(
        distance(&ours, &numbers(&fixture["DOT"]["mean"])) < 0.03,
        "{ours:?}"
    );
}

#[test]
fn theta_and_damped_ets_stay_near_another_implementation_on_air_passengers() {
    // Our Theta works on logarithms, our ETS holds its states near a first guess, so over two years they differ by design.
    let (fixture, series) = golden();
    for (model, theirs) in [
        (Model::Theta, "Theta"),
        (Model::DampedEts, "AutoETS_damped"),
    ] {
        let ours = points(&series[..120], model, 24, 12);
        let apart = distance(&ours, &numbers(&fixture[theirs]["mean"]));
        assert!(apart < 0.12, "{model:?}: {apart}");
    }
}

#[test]
fn theta_errs_no_more_than_another_implementation_on_air_passengers() {
    let (fixture, series) = golden();
    let scale = scale(&series[..120], 12).expect("it moves");
    let ours = mase(
        &series[120..],
        &points(&series[..120], Model::Theta, 24, 12),
        scale,
    );
    let theirs = mase(&series[120..], &numbers(&fixture["Theta"]["mean"]), scale);
    assert!(ours < theirs, "{ours} against {theirs}");
}

#[test]
fn the_champion_of_air_passengers_beats_the_naive_forecasts_by_far() {
    let (_, series) = golden();
    let made = forecast(&series[..120], &Options::new(24, 12)).expect("a forecast");
    let ours: Vec<f64> = made.steps.iter().map(|s| s.mean).collect();
    let naive = points(&series[..120], Model::Naive, 24, 12);
    assert!(smape(&series[120..], &ours) < 0.5 * smape(&series[120..], &naive));
    let report = made.backtest.expect("ten years can be tested");
    assert_eq!(report.folds, 6);
    let champion = report.score(report.champion).expect("scored");
    assert!(
        champion.against_naive.expect("naive errs") < 0.6,
        "{champion:?}"
    );
    let inside = series[120..]
        .iter()
        .zip(&made.steps)
        .filter(|(a, s)| (s.low95..=s.high95).contains(a))
        .count();
    assert!(inside >= 20, "{inside} of 24");
}

#[test]
fn positive_series_never_get_negative_numbers() {
    let falling: Vec<f64> = (0..60)
        .map(|t| 200.0 * (-0.08 * f64::from(t)).exp() + f64::from(t % 3))
        .collect();
    for model in Model::ALL {
        let made = forecast_with(&falling, &Options::new(24, 12), model).expect("a forecast");
        for step in made.steps {
            assert!(
                step.low95 >= 0.0 && step.mean >= 0.0 && step.low95 <= step.low80,
                "{model:?} {step:?}"
            );
            assert!(
                step.low80 <= step.mean && step.mean <= step.high80 && step.high80 <= step.high95
            );
        }
    }
}

#[test]
fn fifty_three_weeks_allow_no_seasonal_naive() {
    let weeks: Vec<f64> = (0..53).map(|t| 100.0 + f64::from((t * 7) % 11)).collect();
    let report = backtest(&weeks, &Options::new(8, 52))
        .expect("known values")
        .expect("long enough");
    assert!(report.score(Model::SeasonalNaive).is_none());
    assert!(report.score(Model::Naive).is_some());
    let made = forecast(&weeks, &Options::new(8, 52)).expect("a forecast");
    assert!(made.notes.contains(&Note::NoSeason));
}

#[test]
fn a_constant_series_is_forecast_by_its_constant_with_no_width() {
    let made = forecast(&[5.0; 40], &Options::new(4, 12)).expect("a forecast");
    assert!(
        made.steps
            .iter()
            .all(|s| s.mean == 5.0 && s.low95 == 5.0 && s.high95 == 5.0)
    );
    assert!(made.notes.contains(&Note::Constant));
    assert!(
        forecast(&[0.0; 40], &Options::new(4, 12))
            .expect("a forecast")
            .steps
            .iter()
            .all(|s| s.mean == 0.0)
    );
}

#[test]
fn very_short_series_get_the_naive_forecast_and_wide_intervals() {
    let made = forecast(&[3.0, 4.0, 6.0], &Options::new(5, 12)).expect("a forecast");
    assert_eq!(made.model, Model::Naive);
    assert!(made.notes.contains(&Note::NoBacktest));
    assert!(made.steps[4].high95 > made.steps[0].high95);
    assert_eq!(
        forecast(&[7.0], &Options::new(2, 1))
            .expect("a forecast")
            .steps[1]
            .mean,
        7.0
    );
}

#[test]
fn gaps_are_filled_and_a_stale_end_is_forecast_over() {
    let mut values: Vec<f64> = (0..60).map(|t| 50.0 + f64::from(t)).collect();
    values[20] = f64::NAN;
    values[21] = f64::INFINITY;
    values.extend([f64::NAN, f64::NAN]);
    let made = forecast(&values, &Options::new(3, 1)).expect("a forecast");
    assert!(made.notes.contains(&Note::GapsFilled { values: 2 }));
    assert!(made.notes.contains(&Note::StaleEnd { values: 2 }));
    assert_eq!(made.steps.len(), 3);
    // Three steps after t = 61, on a line that goes on.
    assert!((made.steps[0].mean - 112.0).abs() < 2.5, "{:?}", made.steps);
}

#[test]
fn nothing_known_or_no_horizon_is_an_error() {
    assert!(forecast(&[f64::NAN; 5], &Options::new(3, 1)).is_err());
    assert!(forecast(&[1.0, 2.0], &Options::new(0, 1)).is_err());
}

#[test]
fn the_same_series_gives_the_same_forecast_bit_for_bit() {
    let (_, series) = golden();
    let twice = [(); 2].map(|()| forecast(&series, &Options::new(12, 12)).expect("a forecast"));
    assert_eq!(twice[0], twice[1]);
}

#[test]
fn money_in_millions_is_forecast_like_money_in_units() {
    let (_, series) = golden();
    let large: Vec<f64> = series.iter().map(|v| v * 1e7).collect();
    let (small, large) = (
        points(&series, Model::Ensemble, 12, 12),
        points(&large, Model::Ensemble, 12, 12),
    );
    for (s, l) in small.iter().zip(&large) {
        assert!((l / 1e7 - s).abs() < 0.005 * s, "{s} {l}");
    }
}

#[test]
fn without_a_bar_of_evidence_no_champion_is_two_percent_worse_than_naive() {
    let mut state = 1u64;
    let mut worse = 0;
    for _ in 0..60 {
        // A random walk from a linear congruential generator: nothing beats naive here but by luck.
        let walk: Vec<f64> = (0..60)
            .scan(100.0, |level, _| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *level += (state >> 40) as f64 / f64::from(1u32 << 24) - 0.5;
                Some(*level)
            })
            .collect();
        let ratio = |evidence: f64| {
            let options = Options {
                evidence,
                ..Options::new(6, 1)
            };
            let report = backtest(&walk, &options)
                .expect("known values")
                .expect("long enough");
            report
                .score(report.champion)
                .expect("scored")
                .against_naive
                .expect("naive errs")
        };
        assert!(ratio(0.0) <= 1.02 + 1e-9);
        worse += usize::from(ratio(Options::new(6, 1).evidence) > 1.02);
    }
    assert!(worse < 30, "{worse} of 60");
}
