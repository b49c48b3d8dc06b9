//! ARIMA models through their public interface.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::cancel::{Cancelled, never};
use crate::rng;

fn golden() -> (Value, Vec<f64>) {
    let fixture: Value =
        serde_json::from_str(include_str!("../../../testdata/airpassengers_models.json"))
            .expect("json");
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

/// Standard normal draws from a seed.
fn noise(n: usize, seed: u64) -> Vec<f64> {
    rng::normals(&mut rng::stream(seed, &[]), n)
}

#[test]
fn a_given_order_agrees_with_another_implementation_on_air_passengers() {
    let (fixture, series) = golden();
    let theirs = &fixture["AutoARIMA"];
    let order = Order::plain(1, 1, 0).seasonal(0, 1, 0, 12);
    let fitted = fit(&series, order, false, &[]).expect("a model");
    let near = |ours: f64, name: &str, tolerance: f64| {
        let theirs = theirs[name].as_f64().expect("a number");
        assert!((ours - theirs).abs() < tolerance, "{name}: {ours} {theirs}");
    };
    // Theirs gives the first values a wide prior instead of conditioning on them.
    near(fitted.log_likelihood, "log_likelihood", 5e-4);
    near(fitted.aicc.expect("enough values"), "aicc", 1e-3);
    near(fitted.variance, "variance", 1e-2);
    let steps = fitted.forecast(24);
    let number = |name: &str, h: usize| theirs[name][h].as_f64().expect("a number");
    for h in 0..24 {
        let (mean, sigma) = (steps.mean[h], steps.sigma[h]);
        assert!((mean - number("mean", h)).abs() < 0.02, "{h}: {mean}");
        let theirs = (number("hi-95", h) - number("lo-95", h)) / (2.0 * 1.959_964);
        assert!((sigma / theirs - 1.0).abs() < 2e-3, "{h}: {sigma} {theirs}");
    }
}

#[test]
fn the_search_is_no_worse_by_its_criterion_than_another_implementation() {
    let (fixture, series) = golden();
    let fitted = auto(&series, &[], &Search::new(12), &never).expect("a model");
    assert_eq!((fitted.order.d, fitted.order.seasonal_d), (1, 1));
    let theirs = fixture["AutoARIMA"]["aicc"].as_f64().expect("a number");
    assert!(
        fitted.aicc.expect("enough values") < theirs + 1e-3,
        "{fitted:?}"
    );
}

#[test]
fn coefficients_of_simulated_series_are_found() {
    let e = noise(3000, 7);
    let mut y = vec![0.0; 3000];
    for t in 5..3000 {
        y[t] = 10.0 * (1.0 - 0.7) + 0.7 * y[t - 1] + e[t] + 0.5 * e[t - 1]
            - 0.6 * e[t - 4]
            - 0.3 * e[t - 5];
    }
    let order = Order::plain(1, 0, 1).seasonal(0, 0, 1, 4);
    let fitted = fit(&y[500..], order, true, &[]).expect("a model");
    assert!((fitted.ar[0] - 0.7).abs() < 0.04, "{fitted:?}");
    assert!((fitted.ma[0] - 0.5).abs() < 0.05);
    assert!((fitted.seasonal_ma[0] + 0.6).abs() < 0.05);
    assert!((fitted.constant.expect("a mean") - 10.0).abs() < 0.3);
    assert!((fitted.variance - 1.0).abs() < 0.1);
}

#[test]
fn the_search_finds_an_autoregression_of_order_two() {
    let e = noise(600, 3);
    let mut y = vec![0.0; 600];
    for t in 2..600 {
        y[t] = 1.2 * y[t - 1] - 0.6 * y[t - 2] + e[t];
    }
    let fitted = auto(&y[100..], &[], &Search::new(1), &never).expect("a model");
    assert_eq!(fitted.order.d, 0);
    assert!(fitted.order.p >= 2, "{:?}", fitted.order);
    let plain = fit(&y[100..], Order::plain(2, 0, 0), true, &[]).expect("a model");
    assert!((plain.ar[0] - 1.2).abs() < 0.1 && (plain.ar[1] + 0.6).abs() < 0.1);
    assert!(fitted.aicc <= plain.aicc.map(|a| a + 1e-3));
}

#[test]
fn a_random_walk_with_drift_has_the_textbook_forecast() {
    let mut level = 5.0;
    let y: Vec<f64> = noise(80, 11)
        .iter()
        .map(|e| {
            level += 0.8 + e;
            level
        })
        .collect();
    let fitted = fit(&y, Order::plain(0, 1, 0), true, &[]).expect("a model");
    let drift = (y[79] - y[0]) / 79.0;
    let steps = fitted.forecast(5);
    assert!((fitted.constant.expect("a drift") - drift).abs() < 1e-9);
    let variance: f64 = y
        .windows(2)
        .map(|w| (w[1] - w[0] - drift).powi(2))
        .sum::<f64>()
        / 78.0;
    for h in 0..5 {
        let k = (h + 1) as f64;
        assert!((steps.mean[h] - y[79] - k * drift).abs() < 1e-8);
        // k steps of noise and the uncertain drift: σ² (k + k²/79).
        let sigma = (variance * (k + k * k / 79.0)).sqrt();
        assert!(
            (steps.sigma[h] - sigma).abs() < 1e-8,
            "{} {sigma}",
            steps.sigma[h]
        );
    }
}

#[test]
fn one_step_forecasts_are_what_a_model_of_the_past_says() {
    let y: Vec<f64> = noise(60, 5).iter().map(|e| 20.0 + e).collect();
    let fitted = fit(&y, Order::plain(1, 0, 1), true, &[]).expect("a model");
    assert_eq!(fitted.fitted.len(), 60);
    for ((f, e), y) in fitted.fitted.iter().zip(&fitted.residuals).zip(&y) {
        assert!((f + e - y).abs() < 1e-9);
    }
    // An AR(1): the fitted value is the mean plus φ times the last distance from it.
    let fitted = fit(&y, Order::plain(1, 0, 0), true, &[]).expect("a model");
    let mean = fitted.constant.expect("a mean");
    for t in 1..60 {
        let expected = mean + fitted.ar[0] * (y[t - 1] - mean);
        assert!((fitted.fitted[t] - expected).abs() < 1e-9);
    }
}

#[test]
fn a_regressor_explains_and_its_future_moves_the_forecast() {
    let e = noise(120, 9);
    let x: Vec<f64> = (0..120).map(|t| f64::from(u8::from(t % 9 < 2))).collect();
    let y: Vec<f64> = (0..120).map(|t| 50.0 + 8.0 * x[t] + e[t]).collect();
    let fitted = auto(&y, std::slice::from_ref(&x), &Search::new(1), &never).expect("a model");
    assert!((fitted.regression[0] - 8.0).abs() < 0.8, "{fitted:?}");
    let on = fitted.forecast_with(3, &[vec![1.0; 3]]).expect("steps");
    let off = fitted.forecast_with(3, &[vec![0.0; 3]]).expect("steps");
    assert!((on.mean[1] - off.mean[1] - fitted.regression[0]).abs() < 1e-9);
    assert_eq!(fitted.forecast(3), off);
    assert!(fitted.forecast_with(3, &[]).is_err());
    assert!(fitted.forecast_with(3, &[vec![1.0; 2]]).is_err());
    assert_eq!(
        fitted.forecast_with(1, &[vec![f64::NAN]]),
        Err(ArimaError::NotFinite)
    );
    assert_eq!(
        fit(&y, Order::plain(1, 0, 0), true, &[x.clone(), x]).unwrap_err(),
        ArimaError::Collinear
    );
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let search = Search::new(12);
    assert!(matches!(
        auto(&[], &[], &search, &never),
        Err(ArimaError::TooShort { have: 0, need: 4 })
    ));
    let gap = [1.0, f64::NAN, 2.0, 3.0, 4.0];
    assert_eq!(
        auto(&gap, &[], &search, &never).unwrap_err(),
        ArimaError::NotFinite
    );
    let short = vec![vec![1.0; 3]];
    assert!(matches!(
        auto(&[1.0, 2.0, 3.0, 4.0, 5.0], &short, &search, &never),
        Err(ArimaError::RegressorLength { have: 3, need: 5 })
    ));
    assert!(matches!(
        fit(
            &[1.0; 9],
            Order::plain(1, 0, 0).seasonal(1, 0, 0, 1),
            true,
            &[]
        ),
        Err(ArimaError::Order(_))
    ));
    assert!(matches!(
        fit(
            &[1.0; 9],
            Order::plain(0, 1, 0).seasonal(0, 1, 0, 12),
            true,
            &[]
        ),
        Err(ArimaError::TooShort { .. })
    ));
    assert_eq!(
        auto(&noise(50, 1), &[], &search, &|| true).unwrap_err(),
        ArimaError::Cancelled(Cancelled)
    );
}

#[test]
fn constants_and_lines_go_on() {
    let constant = auto(&[7.0; 40], &[], &Search::new(12), &never).expect("a model");
    let steps = constant.forecast(15);
    assert!(
        steps.mean.iter().all(|m| (m - 7.0).abs() < 1e-9),
        "{steps:?}"
    );
    assert!(steps.sigma.iter().all(|s| *s < 1e-9));
    let line: Vec<f64> = (0..40).map(|t| 3.0 + 2.0 * t as f64).collect();
    let steps = auto(&line, &[], &Search::new(12), &never)
        .expect("a model")
        .forecast(4);
    for (h, m) in steps.mean.iter().enumerate() {
        assert!((m - 83.0 - 2.0 * h as f64).abs() < 1e-6, "{steps:?}");
    }
    let zero = auto(&[0.0; 30], &[], &Search::new(4), &never).expect("a model");
    assert!(zero.forecast(5).mean.iter().all(|m| *m == 0.0));
}

#[test]
fn stored_models_forecast_the_same() {
    let (_, series) = golden();
    let fitted = auto(&series, &[], &Search::new(12), &never).expect("a model");
    let text = serde_json::to_string(&fitted).expect("json");
    let back: Fitted = serde_json::from_str(&text).expect("a model");
    for (a, b) in back.forecast(12).mean.iter().zip(fitted.forecast(12).mean) {
        assert!((a - b).abs() < 1e-9 * b);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_series_gives_finite_steps_or_an_error(
        values in proptest::collection::vec(
            prop_oneof![
                8 => -1e3..1e3f64,
                1 => Just(0.0),
                1 => -1e15..1e15f64,
                1 => Just(f64::NAN),
            ],
            0..70,
        ),
        clean in any::<bool>(),
        period in 0usize..14,
    ) {
        let values: Vec<f64> = values
            .into_iter()
            .map(|v| if clean && !v.is_finite() { 1.0 } else { v })
            .collect();
        if let Ok(fitted) = auto(&values, &[], &Search::new(period), &never) {
            let steps = fitted.forecast(20);
            prop_assert!(steps.mean.iter().all(|m| m.is_finite()), "{:?}", steps);
            prop_assert!(steps.sigma.iter().all(|s| s.is_finite() && *s >= 0.0), "{:?}", steps);
            prop_assert!(steps.sigma.windows(2).all(|w| w[1] >= w[0] * 0.999_999 || fitted.constant.is_some()));
        } else {
            prop_assert!(values.len() < 4 || values.iter().any(|v| !v.is_finite()));
        }
    }
}

#[test]
fn a_value_taken_in_moves_the_forecast_by_its_error() {
    let series: Vec<f64> = (0..96)
        .map(|t| {
            let t = f64::from(t);
            60.0 + 0.4 * t + 8.0 * (std::f64::consts::TAU * t / 12.0).sin() + 2.0 * (t * t).cos()
        })
        .collect();
    for (order, constant) in [
        (Order::plain(1, 1, 1), true),
        (Order::plain(2, 0, 1), true),
        (Order::plain(0, 1, 1).seasonal(0, 1, 1, 12), false),
        (Order::plain(1, 0, 0).seasonal(1, 1, 0, 12), false),
    ] {
        let fitted = fit(&series, order, constant, &[]).expect("a model");
        let ahead = fitted.forecast(14);
        // The expected value is no news.
        let mut calm = fitted.clone();
        calm.update(ahead.mean[0]);
        for (a, b) in calm.forecast(13).mean.iter().zip(&ahead.mean[1..]) {
            assert!((a - b).abs() < 1e-6, "{}: {a} {b}", order.name());
        }
        // An error moves what follows by the weights of the process.
        let mut moved = fitted.clone();
        moved.update(ahead.mean[0] + 1.0);
        let weights = fitted.tail.weights(14);
        for (h, (a, b)) in moved
            .forecast(13)
            .mean
            .iter()
            .zip(&ahead.mean[1..])
            .enumerate()
        {
            assert!(
                (a - b - weights[h + 1]).abs() < 1e-2,
                "{} {h}: {}",
                order.name(),
                a - b - weights[h + 1]
            );
        }
    }
}
