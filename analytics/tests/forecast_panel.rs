//! Panels of forecasts through the public interface.

use std::sync::atomic::{AtomicUsize, Ordering};

use analytics::cancel::never;
use analytics::forecast::panel::{PanelError, Request, forecasts, run};
use analytics::forecast::{Model, Note, Options, Recipe};

fn series(count: usize, length: usize) -> Vec<(String, Vec<f64>)> {
    (0..count)
        .map(|i| {
            let values = (0..length).map(|t| {
                let (i, t) = (i as f64, t as f64);
                let season = (std::f64::consts::TAU * t / 12.0 + i).sin();
                100.0 + i + 0.3 * t + 10.0 * season + 4.0 * ((i + 1.3) * t * t).sin()
            });
            (format!("s{i}"), values.collect())
        })
        .collect()
}

fn request(series: &[(String, Vec<f64>)], recipe: Recipe, threads: usize) -> Request<'_> {
    Request {
        series,
        options: Options {
            recipe,
            ..Options::new(6, 12)
        },
        model: None,
        threads,
    }
}

#[test]
fn rows_are_the_same_on_any_number_of_threads_and_in_the_given_order() {
    let series = series(50, 60);
    for recipe in [Recipe::Cheap, Recipe::Auto] {
        let one = run(&request(&series, recipe, 1), &never).expect("values are known");
        for threads in [2, 7] {
            let more = run(&request(&series, recipe, threads), &never).expect("values are known");
            assert_eq!(one, more);
        }
        assert_eq!(one.len(), 300);
        assert_eq!((one[6].unique_id.as_str(), one[6].step), ("s1", 1));
        let ordered = one
            .iter()
            .all(|r| r.lo95 <= r.lo80 && r.lo80 <= r.yhat && r.yhat <= r.hi80 && r.hi80 <= r.hi95);
        assert!(ordered);
    }
}

#[test]
fn a_wish_to_stop_is_heard_between_series() {
    let series = series(64, 60);
    let asked = AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) > 40;
    let made = run(&request(&series, Recipe::Cheap, 2), &stop);
    assert!(matches!(made, Err(PanelError::Cancelled(_))));
    // Every thread asks at most once more for each model of the series it is at.
    assert!(asked.into_inner() < 100);
}

#[test]
fn one_unknown_series_fails_alone_or_fails_the_rows_by_name() {
    let mut series = series(3, 60);
    series[1].1 = vec![f64::NAN; 20];
    let request = request(&series, Recipe::Cheap, 1);
    let made = forecasts(&request, &never).expect("nobody cancels");
    assert!(made[0].is_ok() && made[1].is_err() && made[2].is_ok());
    match run(&request, &never) {
        Err(PanelError::Series { series, .. }) => assert_eq!(series, "s1"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_panel_has_no_rows_and_a_zero_horizon_is_refused() {
    assert_eq!(run(&request(&[], Recipe::Auto, 4), &never), Ok(Vec::new()));
    let series = series(1, 30);
    let mut zero = request(&series, Recipe::Cheap, 1);
    zero.options.horizon = 0;
    assert!(run(&zero, &never).is_err());
}

#[test]
fn a_panel_teaches_its_widths_to_a_series_that_is_too_short_to_learn_its_own() {
    // All backtests of the panel err little, since the series hardly have noise; the short one has no backtest.
    let mut calm: Vec<(String, Vec<f64>)> = series(40, 60);
    for (i, (_, values)) in calm.iter_mut().enumerate() {
        for (t, value) in values.iter_mut().enumerate() {
            *value = 100.0 + i as f64 + t as f64 + 0.1 * ((i + 3) as f64 * (t * t) as f64).sin();
        }
    }
    let short = vec![3.0, 4.0, 3.5, 5.0, 4.0, 4.5, 5.5, 4.2, 5.1, 4.8];
    calm.push(("short".to_owned(), short));
    let alone = &calm[40..];
    let width = |series: &[(String, Vec<f64>)]| {
        let made = forecasts(&request(series, Recipe::Cheap, 1), &never).expect("nobody cancels");
        let last = made.into_iter().next_back().expect("one").expect("known");
        assert!(last.notes.contains(&Note::NoBacktest));
        last.width_factor
    };
    assert!((width(&calm) - width(alone)).abs() > 0.05);
}

#[test]
fn any_model_can_be_asked_for() {
    let series = series(2, 72);
    for model in Model::ALL {
        let made = forecasts(
            &Request {
                model: Some(model),
                ..request(&series, Recipe::Cheap, 1)
            },
            &never,
        )
        .expect("nobody cancels");
        for forecast in made {
            assert_eq!(forecast.expect("known values").model, model);
        }
    }
}

#[test]
fn a_week_and_a_month_of_days_are_both_carried_on_by_the_decomposition() {
    let days: Vec<f64> = (0..240)
        .map(|t| {
            let t = f64::from(t);
            let wave = |period: f64| (std::f64::consts::TAU * t / period).sin();
            200.0 + 20.0 * wave(7.0) + 30.0 * wave(30.0) + (t * t).sin()
        })
        .collect();
    let error = |further: [usize; 2]| {
        let options = Options {
            further,
            ..Options::new(30, 7)
        };
        let series = [("days".to_owned(), days[..210].to_vec())];
        let made = run(
            &Request {
                series: &series,
                options,
                model: Some(Model::Mstl),
                threads: 1,
            },
            &never,
        )
        .expect("known values");
        let off = made
            .iter()
            .zip(&days[210..])
            .map(|(r, a)| (r.yhat - a).abs());
        off.sum::<f64>() / 30.0
    };
    let (both, week) = (error([30, 0]), error([0, 0]));
    assert!(both < 3.0 && both < 0.3 * week, "{both} {week}");
}

#[test]
fn where_the_last_cycle_repeats_exactly_the_seasonal_naive_method_takes_over() {
    // Thirty jagged values over and over: no smooth season describes them.
    let cycle: Vec<f64> = (0..30).map(|t| f64::from(50 + (t * 17) % 31)).collect();
    let series = [("jagged".to_owned(), cycle.repeat(6))];
    for recipe in [Recipe::Cheap, Recipe::Auto] {
        let mut request = request(&series, recipe, 1);
        request.options.period = 30;
        let made = forecasts(&request, &never)
            .expect("nobody cancels")
            .remove(0);
        let made = made.expect("known values");
        assert_eq!(made.model, Model::SeasonalNaive);
        assert!(made.notes.contains(&Note::NaiveIsBest));
        assert!(made.steps.iter().zip(&cycle).all(|(s, v)| s.mean == *v));
    }
}
