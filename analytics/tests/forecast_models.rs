//! Forecasts through the public interface: against another program's figures, and at the edges.

use std::cell::Cell;

use analytics::cancel::Cancelled;
use analytics::forecast::{
    ForecastError, Model, Note, Options, PrepareError, Recipe, backtest, backtest_cancellable,
    forecast, forecast_cancellable, forecast_with, mase, refresh::Tracker, scale, smape,
};
use analytics::rng;
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
fn a_wish_to_stop_is_heard_within_a_few_questions_wherever_it_comes() {
    let (_, series) = golden();
    for (recipe, model) in [
        (Recipe::Auto, None),
        (Recipe::Cheap, None),
        (Recipe::Cheap, Some(Model::Ces)),
        (Recipe::Cheap, Some(Model::Mstl)),
    ] {
        let options = Options {
            recipe,
            ..Options::new(12, 12)
        };
        let asked = Cell::new(0);
        let run = |patience: usize| {
            asked.set(0);
            let stop = || asked.replace(asked.get() + 1) >= patience;
            forecast_cancellable(&series, &options, model, &stop)
        };
        run(usize::MAX).expect("nobody stops it");
        let all = asked.get();
        // Every value of every likelihood is one question.
        assert!(all > 1_000, "{all}");
        for patience in (0..all).step_by(all / 40) {
            assert_eq!(run(patience), Err(ForecastError::Cancelled(Cancelled)));
            let late = asked.get() - patience;
            assert!(late < 20, "{recipe:?} {model:?}: {late} after {patience}");
        }
    }
    let options = Options::new(12, 12);
    let stopped = Some(ForecastError::Cancelled(Cancelled));
    let asked = Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) >= 500;
    assert_eq!(
        backtest_cancellable(&series, &options, &stop).err(),
        stopped
    );
    asked.set(0);
    assert_eq!(
        Tracker::fit_cancellable(&series, &options, &stop).err(),
        stopped
    );
    assert!(asked.get() < 520);
}

#[test]
fn a_model_that_is_not_the_one_asked_for_says_so() {
    let options = Options::new(4, 12);
    let note = |wanted| Note::Replaced { wanted };
    // Too short for it.
    let short = forecast_with(&[3.0, 4.0, 6.0], &options, Model::Ets).expect("a forecast");
    assert_eq!(short.model, Model::Naive);
    assert!(short.notes.contains(&note(Model::Ets)));
    // Long enough, but all it varies by is lost in rounding: exponential smoothing has no fit.
    let still: Vec<f64> = (0..40).map(|t| 1e6 + 1e-5 * f64::from(t % 3)).collect();
    let made = forecast_with(&still, &options, Model::Ets).expect("a forecast");
    assert_eq!((made.model, made.form), (Model::Naive, None));
    assert!(made.notes.contains(&note(Model::Ets)));
    let mixed = forecast_with(&still, &options, Model::Ensemble).expect("a forecast");
    assert_eq!(mixed.model, Model::Ensemble);
    assert!(mixed.notes.contains(&note(Model::DampedEts)));
    assert!(!mixed.notes.contains(&note(Model::Theta)));
    // What can be fitted needs no note.
    let (_, series) = golden();
    for model in Model::ALL {
        let made = forecast_with(&series, &options, model).expect("a forecast");
        assert_eq!(made.model, model);
        assert!(
            !made
                .notes
                .iter()
                .any(|n| matches!(n, Note::Replaced { .. }))
        );
    }
}

#[test]
fn no_scale_is_no_perfect_score() {
    // Every training part is constant, what comes after is not.
    let mut values = vec![5.0; 40];
    values.extend([6.0, 9.0, 7.0, 8.0]);
    let options = Options {
        folds: 1,
        ..Options::new(4, 1)
    };
    let report = backtest(&values, &options)
        .expect("known values")
        .expect("long enough");
    let naive = report.score(Model::Naive).expect("scored").accuracy;
    assert_eq!((naive.mase, naive.msis), (None, None));
    assert!(naive.smape > 10.0);
    // A constant series has nothing to test.
    assert_eq!(backtest(&[5.0; 40], &options), Ok(None));
}

#[test]
fn values_too_large_for_their_squares_are_refused_and_large_ones_keep_their_intervals() {
    let of_size =
        |size: f64| -> Vec<f64> { (0..40).map(|t| size * (1.0 + f64::from(t % 3))).collect() };
    for model in Model::ALL {
        assert_eq!(
            forecast_with(&of_size(5e307), &Options::new(6, 12), model),
            Err(ForecastError::Prepare(PrepareError::TooLarge))
        );
        let made = forecast_with(&of_size(3e99), &Options::new(6, 12), model).expect("a forecast");
        for s in made.steps {
            let ends = [s.low95, s.low80, s.mean, s.high80, s.high95];
            assert!(
                ends.iter().all(|v| v.is_finite()) && ends.is_sorted(),
                "{model:?} {s:?}"
            );
        }
    }
}

#[test]
fn what_is_reported_of_a_fold_rests_on_no_value_of_its_own() {
    // Six origins, three values apart, nine steps each. Changing the last value changes what the last origins are measured on; the first
    // of them ends before, and its interval may not know.
    let (_, series) = golden();
    let series = &series[..100];
    let options = Options {
        folds: 2,
        stride: 3,
        ..Options::new(9, 12)
    };
    // Two folds overlap, so that nothing is left to learn from: the widths are those believed before, as in a single fold's backtest.
    let both = backtest(series, &options)
        .expect("known values")
        .expect("long enough");
    let one = |end: usize| {
        let options = Options {
            folds: 1,
            ..options
        };
        backtest(&series[..end], &options)
            .expect("known values")
            .expect("long enough")
    };
    let (first, last) = (one(97), one(100));
    for model in [Model::Naive, Model::SeasonalNaive] {
        let score =
            |report: &analytics::forecast::Backtest| report.score(model).expect("scored").accuracy;
        let mean = 0.5 * (score(&first).coverage80 + score(&last).coverage80);
        assert!((score(&both).coverage80 - mean).abs() < 1e-12, "{model:?}");
        let mean =
            0.5 * (score(&first).msis.expect("it moves") + score(&last).msis.expect("it moves"));
        assert!(
            (score(&both).msis.expect("it moves") - mean).abs() < 1e-9 * mean,
            "{model:?}"
        );
    }
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
    let (mut worse, mut sum) = (0, 0.0);
    for seed in 0..200 {
        // A random walk: nothing beats naive here but by luck.
        let walk: Vec<f64> = rng::normals(&mut rng::stream(seed, &[]), 60)
            .iter()
            .scan(100.0, |level, step| {
                *level += 0.3 * step;
                Some(*level)
            })
            .collect();
        let ratio = |evidence: f64| {
            // Origins a whole horizon apart: what is reported is then exactly what the champion is chosen by.
            let options = Options {
                evidence,
                stride: 6,
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
        let usual = ratio(Options::new(6, 1).evidence);
        worse += usize::from(usual > 1.02);
        sum += usual;
    }
    // With the usual bar the combination stays: on a random walk it errs about as much as naive, and six folds hardly ever hold five
    // standard errors against it. So 86 of 200 are more than 2 % worse, though hardly worse on the mean of all; that is the price of
    // better forecasts where there is something to find.
    assert!(worse <= 90, "{worse} of 200");
    assert!(sum / 200.0 < 1.05, "{}", sum / 200.0);
}
