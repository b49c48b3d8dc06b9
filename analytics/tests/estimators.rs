//! Small known answers for the pieces the estimators are made of.

use analytics::cancel::never;
use analytics::competition;
use analytics::inference::{benjamini_hochberg, t_width, two_sided_p};
use analytics::linear::{Cholesky, gls, reml_autocorrelation};
use analytics::panel::{BrandInfo, MetricInfo, Panel, Slice, bridged};
use analytics::response::{Curve, Shrinkage};
use analytics::rng::{autoregression, normals, stream};
use chrono::{Days, NaiveDate};
use domain::metric::MetricRole;

#[test]
fn tail_probabilities_agree_with_published_tables() {
    assert!((two_sided_p(1.0, 1.0) - 0.5).abs() < 1e-10);
    assert!((two_sided_p(2.0, 10.0) - 0.073_388_03).abs() < 1e-7);
    assert!((t_width(0.95, 10.0) - 2.228_138_85).abs() < 1e-6);
    assert!((t_width(0.80, 30.0) - 1.310_415_03).abs() < 1e-6);
    assert_eq!(two_sided_p(f64::NAN, 5.0), 1.0);
}

#[test]
fn q_values_follow_benjamini_and_hochberg() {
    let q = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]);
    for (found, expected) in q.iter().zip([0.02, 0.04, 0.04, 0.02]) {
        assert!((found - expected).abs() < 1e-12, "{q:?}");
    }
}

#[test]
fn least_squares_recovers_a_line_and_drops_a_repeated_column() {
    let x: Vec<f64> = (0..20).map(f64::from).collect();
    let y: Vec<f64> = x.iter().map(|v| 3.0 + 2.0 * v).collect();
    let columns = vec![
        vec![1.0; 20],
        x.clone(),
        x.iter().map(|v| 2.0 * v).collect(),
    ];
    let fit = gls(&columns, &y, 0.0);
    assert!((fit.coefficients[0] - 3.0).abs() < 1e-8);
    assert!((fit.coefficients[1] - 2.0).abs() < 1e-8 && fit.coefficients[2] == 0.0);
    assert_eq!(Cholesky::of_gram(&columns, &[]).rank(), 2);
}

#[test]
fn autocorrelation_is_recovered_although_the_regression_spends_freedom() {
    let estimates: Vec<f64> = (0..40)
        .map(|seed| {
            let rng = &mut stream(seed, &[1]);
            let y = autoregression(rng, 0.5, 150);
            let mut columns = vec![vec![1.0; 150]];
            columns.extend((0..30).map(|_| normals(rng, 150)));
            reml_autocorrelation(&columns, &y)
        })
        .collect();
    let mean = estimates.iter().sum::<f64>() / 40.0;
    assert!((mean - 0.5).abs() < 0.06, "mean {mean}");
}

#[test]
fn constant_spend_carries_to_itself_and_a_straight_curve_returns_its_slope() {
    let curve = Curve {
        retention: 0.6,
        delay: 0.3,
        half: 1e9,
        coefficient: 2e9,
    };
    let margin = curve.margin(&[50.0; 30], 50.0);
    assert!(
        margin.iter().all(|m| (m - 100.0).abs() < 1e-3),
        "{margin:?}"
    );
    let spend: Vec<f64> = (0..60).map(|t| 40.0 + f64::from(t % 7) * 5.0).collect();
    assert!((curve.marginal_return(&spend, 50.0, 50.0) - 2.0).abs() < 1e-3);
    let saturating = Curve {
        half: 20.0,
        coefficient: 100.0,
        ..curve
    };
    assert!(
        saturating.uplift(&spend, 50.0, 50.0, 0.2)
            < 2.0 * saturating.uplift(&spend, 50.0, 50.0, 0.1)
    );
}

#[test]
fn lines_that_do_not_differ_are_shrunk_to_their_mean_and_others_are_not() {
    let rng = &mut stream(3, &[2]);
    let noise = normals(rng, 200);
    let same: Vec<(f64, f64)> = noise.iter().map(|z| (1.0 + 0.2 * z, 0.2)).collect();
    assert!(Shrinkage::estimate(&same).variance < 0.01);
    let apart: Vec<(f64, f64)> = noise
        .iter()
        .zip(normals(rng, 200))
        .map(|(z, e)| (1.0 + 0.5 * z + 0.2 * e, 0.2))
        .collect();
    let prior = Shrinkage::estimate(&apart);
    assert!((prior.variance.sqrt() - 0.5).abs() < 0.1, "{prior:?}");
    assert!(
        (prior.mean(2.0, 0.2) - 2.0).abs() < 0.25
            && (prior.mean(2.0, 5.0) - prior.centre).abs() < 0.05
    );
}

fn panel_of(role: MetricRole, additive: bool, own: bool, parts: Vec<Vec<f64>>) -> Panel {
    let n = parts[0].len();
    let start = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap();
    let weeks = (0..n).map(|t| start + Days::new(7 * t as u64)).collect();
    let brand = BrandInfo {
        key: "a".into(),
        own,
        margin: 1.0,
    };
    let metric = MetricInfo {
        key: "m".into(),
        role,
        channel: None,
        higher_is_better: true,
        additive,
    };
    let slices = parts
        .into_iter()
        .enumerate()
        .map(|(p, values)| Slice {
            project: format!("p{p}"),
            brand: 0,
            metric: 0,
            values,
        })
        .collect();
    Panel::from_slices(weeks, vec![brand], vec![metric], slices)
}

#[test]
fn a_typing_error_and_a_gap_in_one_project_are_repaired_from_the_others() {
    let level = |share: f64| -> Vec<f64> {
        (0..40)
            .map(|t| share * (100.0 + f64::from(t % 5)))
            .collect()
    };
    let (mut a, b, mut c) = (level(1.0), level(2.0), level(3.0));
    a[10] *= 10.0;
    c[20] = f64::NAN;
    let panel = panel_of(MetricRole::Outcome, true, true, vec![a, b, c]);
    let series = panel.series(0, 0).unwrap();
    for (t, value) in series.iter().enumerate() {
        let expected = 6.0 * (100.0 + (t % 5) as f64);
        assert!(
            (value - expected).abs() < 0.01 * expected,
            "week {t}: {value} instead of {expected}"
        );
    }
    let quality = panel.quality();
    assert_eq!(
        (quality.absent, quality.outliers, quality.filled),
        (1, 1, 2)
    );
}

#[test]
fn what_no_project_knows_stays_absent_and_is_only_bridged_on_request() {
    let mut a = vec![1.0, 2.0, 3.0, 4.0, 5.0];
    a[2] = f64::NAN;
    let panel = panel_of(MetricRole::Outcome, true, true, vec![a]);
    let series = panel.series(0, 0).unwrap();
    assert!(series[2].is_nan());
    assert_eq!(bridged(series).unwrap()[2], 3.0);
    assert!(bridged(&[f64::NAN]).is_none());
}

#[test]
fn a_rivals_push_is_dated_and_plain_noise_is_not_a_push() {
    let strongest = |seed: u64, lift: f64| {
        let noise = autoregression(&mut stream(seed, &[5]), 0.3, 150);
        let values: Vec<f64> = noise
            .iter()
            .enumerate()
            .map(|(t, z)| (4.0 + 0.2 * z + if (80..92).contains(&t) { lift } else { 0.0 }).exp())
            .collect();
        let panel = panel_of(MetricRole::Exposure, true, false, vec![values]);
        let all = competition::candidates(&panel, &never).unwrap();
        all.into_iter()
            .min_by(|a, b| a.effect.p_value.total_cmp(&b.effect.p_value))
            .unwrap()
    };
    for seed in 0..5 {
        let push = strongest(seed, 0.8);
        assert!(
            push.start.abs_diff(80) <= 2 && push.effect.p_value < 1e-6,
            "{push:?}"
        );
        assert!(
            push.effect.value > 0.4 && push.effect.value < 1.2,
            "{push:?}"
        );
        assert!(strongest(seed, 0.0).effect.p_value > 1e-5);
    }
}

#[test]
fn the_search_for_a_rivals_push_asks_often_whether_to_stop() {
    let noise = autoregression(&mut stream(1, &[5]), 0.3, 150);
    let values: Vec<f64> = noise.iter().map(|z| (4.0 + 0.2 * z).exp()).collect();
    let panel = panel_of(MetricRole::Exposure, true, false, vec![values]);
    let asked = std::cell::Cell::new(0);
    let count = || {
        asked.set(asked.get() + 1);
        false
    };
    let found = competition::candidates(&panel, &count).unwrap().len();
    // Twice for every start week, and once for every fit.
    assert!(
        found > 100 && asked.get() > 3 * found,
        "{} for {found}",
        asked.get()
    );
    let last = asked.replace(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() >= last
    };
    assert!(competition::candidates(&panel, &stop).is_err());
}

#[test]
fn a_price_is_averaged_over_the_units_sold_and_plainly_where_they_are_not_known() {
    let start = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap();
    let brand = BrandInfo {
        key: "a".into(),
        own: true,
        margin: 1.0,
    };
    let metric = |key: &str, role, additive| MetricInfo {
        key: key.into(),
        role,
        channel: None,
        higher_is_better: true,
        additive,
    };
    let metrics = vec![
        metric("units", MetricRole::Outcome, true),
        metric("price", MetricRole::Price, false),
    ];
    let slice = |metric, project: &str, values: [f64; 2]| Slice {
        project: project.into(),
        brand: 0,
        metric,
        values: values.to_vec(),
    };
    let slices = vec![
        slice(0, "north", [30.0, f64::NAN]),
        slice(0, "south", [10.0, f64::NAN]),
        slice(1, "north", [4.0, 4.0]),
        slice(1, "south", [8.0, 8.0]),
    ];
    let weeks = vec![start, start + Days::new(7)];
    let panel = Panel::from_weighted_slices(weeks, vec![brand], metrics, slices, Some(0));
    assert_eq!(panel.series(0, 1), Some([5.0, 6.0].as_slice()));
}
