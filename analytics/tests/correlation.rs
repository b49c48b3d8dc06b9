//! Correlations, lags, Granger tests and the graphical lasso on the panel with known links, against NumPy, statsmodels and a
//! reference solver; and what they make of degenerate input.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use analytics::cancel::{Cancelled, never};
use analytics::correlation::known::{self, BRANDS, CAUSE, DAYS, EFFECT, METRICS};
use analytics::correlation::{
    CorrelationError, GrangerParams, GraphicalLassoParams, SeriesBlock, StabilityParams, cluster,
    clusters, granger, graphical_lasso, lagged, partial, pearson, prewhitened, shrunk, spearman,
    stability,
};

fn panel() -> &'static [f64] {
    static PANEL: OnceLock<Vec<f64>> = OnceLock::new();
    PANEL.get_or_init(known::panel)
}

fn metric(m: usize) -> SeriesBlock {
    SeriesBlock::new(DAYS, known::metric(panel(), m)).expect("whole series")
}

/// Rows of a file of expected values, by column name.
fn expected(name: &str) -> Vec<BTreeMap<String, String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/correlation")
        .join(name);
    csv::Reader::from_path(path)
        .expect("the file is there")
        .deserialize()
        .map(|row| row.expect("a row"))
        .collect()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().expect("a number")
}

fn position(row: &BTreeMap<String, String>, column: &str) -> usize {
    row[column].parse().expect("a position")
}

#[test]
fn the_panel_is_the_one_of_the_reference_generator() {
    let y = panel();
    let at = |b: usize, m: usize, t: usize| y[(b * METRICS + m) * DAYS + t];
    let first = [
        -1.186_409_799_518_398_6,
        -0.096_240_047_007_029_26,
        1.171_232_316_548_931_6,
        1.476_807_125_258_241,
        -0.439_472_435_130_134_56,
    ];
    for (t, value) in first.iter().enumerate() {
        assert!((at(0, 0, t) - value).abs() < 1e-14, "{t}");
    }
    assert!((at(199, 19, 729) - 2.648_379_335_914).abs() < 1e-11);
    assert!((at(100, 3, 365) - -6.567_813_944_413).abs() < 1e-11);
    let (sum, squares) = y.iter().fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
    assert!((sum - -1_063_223.490_036_952_f64).abs() < 1e-6);
    assert!((squares - 28_423_615.045_425_415_f64).abs() < 1e-5);
}

#[test]
fn every_pair_is_correlated_as_numpy_says_on_any_number_of_threads() {
    let block = SeriesBlock::new(DAYS, panel()[..1_000 * DAYS].to_vec()).expect("whole series");
    let one = pearson(&block, 1, &never).expect("correlations");
    let two = pearson(&block, 2, &never).expect("correlations");
    assert_eq!(one, two);
    let mut compared = 0;
    for row in expected("pearson.csv") {
        let (i, j) = (position(&row, "i"), position(&row, "j"));
        if i < 1_000 && j < 1_000 {
            let ours = one.get(i, j).expect("both vary");
            assert!((ours - number(&row, "pearson")).abs() < 1e-9, "{i} {j}");
            compared += 1;
        }
    }
    assert!(compared > 10);
    assert!((0..1_000).all(|i| one.get(i, i) == Some(1.0)));
}

#[test]
fn lagged_correlations_are_those_of_the_overlap_on_any_number_of_threads() {
    let mut by_metric: BTreeMap<usize, Vec<BTreeMap<String, String>>> = BTreeMap::new();
    for row in expected("lagged.csv") {
        by_metric
            .entry(position(&row, "metric"))
            .or_default()
            .push(row);
    }
    assert_eq!(by_metric.len(), METRICS);
    for (m, rows) in by_metric.into_iter().take(4) {
        let ours = lagged(&metric(m), 28, 1, &never).expect("correlations");
        for row in rows {
            let (lag, a, b) = (
                position(&row, "lag"),
                position(&row, "leader"),
                position(&row, "follower"),
            );
            let value = ours.get(lag, a, b).expect("both vary");
            assert!(
                (value - number(&row, "corr")).abs() < 1e-9,
                "{m} {lag} {a} {b}"
            );
        }
        assert_eq!(
            ours,
            lagged(&metric(m), 28, 2, &never).expect("correlations")
        );
    }
}

#[test]
fn lag_zero_is_pearson() {
    let block = metric(7);
    let (plain, ours) = (
        pearson(&block, 1, &never).expect("correlations"),
        lagged(&block, 0, 1, &never).expect("correlations"),
    );
    for i in 0..BRANDS {
        for j in 0..BRANDS {
            assert!(
                (plain.get(i, j).expect("varies") - ours.get(0, i, j).expect("varies")).abs()
                    < 1e-12
            );
        }
    }
}

#[test]
fn ranks_with_ties_are_mid_ranks() {
    let block = SeriesBlock::from_series(&[
        vec![1.0, 2.0, 2.0, 10.0, 0.0, -0.0],
        vec![3.0, 5.0, 4.0, 100.0, 1.0, 1.0],
    ])
    .expect("equal lengths");
    // Ranks 3, 4.5, 4.5, 6, 1.5, 1.5 and 3, 5, 4, 6, 1.5, 1.5: Σd² = 0.5, with ties 33 / 34 … by hand 16.5 / √(16.5 · 17).
    let ours = spearman(&block, 1, &never)
        .expect("correlations")
        .get(0, 1)
        .expect("varies");
    let by_hand = 16.5 / (16.5f64 * 17.0).sqrt();
    assert!((ours - by_hand).abs() < 1e-12, "{ours} {by_hand}");
}

#[test]
fn prewhitening_takes_out_the_chance_correlation_of_slow_series() {
    // Independent autoregressions: the largest of many lagged correlations is far outside ±4/√n before, and inside after.
    let mut rng = analytics::rng::stream(5, &[1]);
    let series: Vec<Vec<f64>> = (0..12)
        .map(|_| analytics::rng::autoregression(&mut rng, 0.95, 400))
        .collect();
    let block = SeriesBlock::from_series(&series).expect("equal lengths");
    let largest = |block: &SeriesBlock| {
        let ours = lagged(block, 8, 1, &never).expect("correlations");
        (0..12)
            .flat_map(|i| (0..12).map(move |j| (i, j)))
            .filter(|(i, j)| i != j)
            .filter_map(|(i, j)| ours.strongest(i, j))
            .fold(0.0f64, |most, (_, r)| most.max(r.abs()))
    };
    let bound = 4.0 / 400f64.sqrt();
    assert!(largest(&block) > 1.5 * bound);
    let white = prewhitened(&block, 2).expect("long enough");
    assert_eq!(white.length(), 398);
    assert!(largest(&white) < bound);
}

#[test]
fn a_plain_granger_test_is_that_of_statsmodels() {
    let rows = expected("granger.csv");
    assert_eq!(rows.len(), 297);
    let (causes, targets) = (metric(CAUSE), metric(EFFECT));
    for lags in [1usize, 3, 7] {
        let params = GrangerParams {
            lags,
            averages: false,
        };
        let tests = granger(&causes, &targets, &[], &params, 1, &never).expect("tests");
        let mut compared = 0;
        for row in rows.iter().filter(|r| position(r, "lag") == lags) {
            if position(row, "target_metric") != EFFECT || position(row, "cause_metric") != CAUSE {
                continue;
            }
            let (cause, target) = (position(row, "cause_brand"), position(row, "target_brand"));
            let ours = tests
                .iter()
                .find(|t| t.cause == cause && t.target == target)
                .expect("tested");
            let (f, p) = (number(row, "ssr_F"), number(row, "ssr_F_p"));
            assert!(
                (ours.f - f).abs() < 1e-8 * f.max(1.0),
                "{cause} {target} {} {f}",
                ours.f
            );
            assert!(
                (ours.p_value - p).abs() < 1e-7 * p,
                "{cause} {target} {} {p}",
                ours.p_value
            );
            assert_eq!(ours.dof.1, number(row, "df_denom"));
            compared += 1;
        }
        assert!(compared >= 40, "{compared}");
    }
}

#[test]
fn with_averages_unrelated_brands_pass_at_their_nominal_rate_and_planted_links_all_pass() {
    let params = GrangerParams::default();
    let tests = granger(&metric(CAUSE), &metric(EFFECT), &[], &params, 2, &never).expect("tests");
    let planted = |cause: usize, target: usize| known::link(target).is_some_and(|l| l.0 == cause);
    let (mut unrelated, mut passed, mut found) = (0, 0, 0);
    for test in tests.iter().filter(|t| t.cause != t.target) {
        if planted(test.cause, test.target) {
            found += usize::from(test.p_value < 0.01);
            let strength = known::link(test.target).expect("planted").1;
            assert_eq!(test.lag, known::LAG, "{test:?}");
            assert_eq!(test.coefficient.signum(), strength.signum(), "{test:?}");
        } else {
            unrelated += 1;
            passed += usize::from(test.p_value < 0.05);
        }
    }
    assert_eq!((unrelated, found), (BRANDS * (BRANDS - 1) - 40, 40));
    let rate = passed as f64 / unrelated as f64;
    assert!((0.04..=0.06).contains(&rate), "{rate}");
    let one = granger(&metric(CAUSE), &metric(EFFECT), &[], &params, 1, &never).expect("tests");
    assert_eq!(one, tests);
    let links = analytics::correlation::granger::across_brands(&tests);
    let found = links.iter().filter(|(_, q)| *q <= 0.05).count();
    assert!(
        links[..40]
            .iter()
            .all(|(t, q)| planted(t.cause, t.target) && *q < 1e-6)
    );
    assert!(found <= 46, "{found}");
}

/// Correlations of metric 0 freed from its first-order autocorrelation; also with the cross-section mean taken out.
fn innovations(without_market: bool) -> Vec<f64> {
    let block = metric(CAUSE);
    let mut series: Vec<Vec<f64>> = block
        .iter()
        .map(|y| y.windows(2).map(|w| w[1] - 0.6 * w[0]).collect())
        .collect();
    if without_market {
        for t in 0..DAYS - 1 {
            let mean = series.iter().map(|s| s[t]).sum::<f64>() / BRANDS as f64;
            series.iter_mut().for_each(|s| s[t] -= mean);
        }
    }
    let block = SeriesBlock::from_series(&series).expect("equal lengths");
    pearson(&block, 1, &never)
        .expect("correlations")
        .square()
        .expect("all vary")
}

#[test]
fn the_graphical_lasso_solves_what_other_solvers_fail_on() {
    // Objectives of a reference solver with its duality gap.
    let market = innovations(false);
    let own = innovations(true);
    for (sample, penalty, objective, reference_gap) in [
        (&market, 0.05, 47.458_425_624_470_07, 4.7e-4),
        (&market, 0.1, 68.461_753_679_767_21, 4.3e-4),
        (&market, 0.4, 161.132_120_183_801_3, 1e-9),
        (&own, 0.05, 197.095_982_501_162_47, 1e-6),
        (&own, 0.1, 199.903_017_780_314_9, 1e-9),
    ] {
        let params = GraphicalLassoParams {
            penalty,
            ..GraphicalLassoParams::default()
        };
        let found = graphical_lasso(sample, BRANDS, &params, &never).expect("a graph");
        assert!(
            found.converged && found.relative_gap() <= 1e-6,
            "{penalty} {}",
            found.gap
        );
        let allowed = reference_gap + found.gap + 1e-9;
        assert!(
            (found.objective - objective).abs() <= allowed,
            "{penalty} {} {objective}",
            found.objective
        );
    }
}

#[test]
fn the_graph_has_the_links_of_the_reference() {
    let params = GraphicalLassoParams {
        penalty: 0.1,
        tolerance: 1e-9,
        ..GraphicalLassoParams::default()
    };
    let found = graphical_lasso(&innovations(true), BRANDS, &params, &never).expect("a graph");
    let mut reference = vec![0.0; BRANDS * BRANDS];
    for row in expected("graphical_lasso.csv") {
        let (i, j) = (position(&row, "i"), position(&row, "j"));
        reference[i * BRANDS + j] = number(&row, "precision");
        reference[j * BRANDS + i] = number(&row, "precision");
    }
    // The reference stopped at a duality gap of 5e-6: this close its entries are to the solution, and no closer.
    for (at, (ours, theirs)) in found.precision.iter().zip(&reference).enumerate() {
        assert!((ours - theirs).abs() < 1e-3, "{at} {ours} {theirs}");
    }
    assert!(found.links().len().abs_diff(270) <= 2);
}

#[test]
fn a_cancelled_computation_stops_at_its_next_question() {
    let asked = AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) >= 2;
    let cancelled = Err(CorrelationError::Cancelled(Cancelled));
    let block = metric(0);
    assert_eq!(pearson(&block, 1, &|| true).map(|_| ()), cancelled);
    assert_eq!(lagged(&block, 28, 2, &stop).map(|_| ()), cancelled);
    asked.store(0, Ordering::Relaxed);
    let params = GrangerParams::default();
    assert_eq!(
        granger(&block, &block, &[], &params, 1, &stop).map(|_| ()),
        cancelled
    );
    assert!(asked.load(Ordering::Relaxed) <= 4);
    asked.store(0, Ordering::Relaxed);
    let params = GraphicalLassoParams::default();
    assert_eq!(
        graphical_lasso(&innovations(true), BRANDS, &params, &stop).map(|_| ()),
        cancelled
    );
    assert!(asked.load(Ordering::Relaxed) <= 4);
}

#[test]
fn a_constant_or_absent_series_has_no_correlation_and_harms_no_other() {
    let good = [1.0, 3.0, 2.0, 5.0, 4.0, 6.0];
    let block = SeriesBlock::from_series(&[
        good.to_vec(),
        vec![0.1; 6],
        good.iter().map(|v| 1e9 - v).collect(),
        vec![1.0, f64::NAN, 2.0, 3.0, 4.0, 5.0],
    ])
    .expect("equal lengths");
    for ours in [
        pearson(&block, 1, &never).expect("correlations"),
        spearman(&block, 2, &never).expect("correlations"),
    ] {
        assert_eq!(ours.unusable(), [1, 3]);
        assert!((ours.get(0, 2).expect("both vary") + 1.0).abs() < 1e-6);
        assert_eq!(
            (ours.get(1, 0), ours.get(1, 1), ours.get(2, 3)),
            (None, None, None)
        );
        assert_eq!(ours.square(), Err(CorrelationError::Unusable { series: 1 }));
    }
    let ours = lagged(&block, 2, 1, &never).expect("correlations");
    assert_eq!(
        (ours.get(1, 0, 1), ours.get(1, 3, 0), ours.strongest(1, 2)),
        (None, None, None)
    );
    assert!(
        (ours.get(1, 0, 2).expect("both vary") + ours.get(1, 0, 0).expect("varies")).abs() < 1e-6
    );
    assert_eq!(block.unusable(), Some(1));
    let white = prewhitened(&block, 1).expect("long enough");
    assert!(
        white.series(1).iter().all(|v| v.is_nan()) && white.series(0).iter().all(|v| v.is_finite())
    );
}

#[test]
fn a_series_that_is_constant_in_part_has_no_correlation_there() {
    let block =
        SeriesBlock::from_series(&[vec![1.0, 1.0, 1.0, 1.0, 9.0], vec![2.0, 1.0, 4.0, 3.0, 5.0]])
            .expect("equal lengths");
    let ours = lagged(&block, 1, 1, &never).expect("correlations");
    assert!(ours.get(0, 0, 1).is_some() && ours.get(1, 1, 0).is_some());
    assert_eq!(ours.get(1, 0, 1), None);
}

#[test]
fn nothing_too_little_and_unequal_are_refused() {
    let none: [Vec<f64>; 0] = [];
    assert!(matches!(
        SeriesBlock::from_series(&none),
        Err(CorrelationError::TooFewSeries { .. })
    ));
    assert!(matches!(
        SeriesBlock::from_series(&[vec![]]),
        Err(CorrelationError::TooShort { .. })
    ));
    assert!(matches!(
        SeriesBlock::from_series(&[vec![1.0], vec![1.0, 2.0]]),
        Err(CorrelationError::Unequal { .. })
    ));
    assert!(matches!(
        SeriesBlock::new(3, vec![1.0; 4]),
        Err(CorrelationError::Unequal { .. })
    ));
    let empty = SeriesBlock::new(3, vec![]).expect("no series of three periods");
    assert_eq!(
        pearson(&empty, 2, &never).expect("nothing").lower(),
        [0.0; 0]
    );
    assert!(matches!(
        lagged(&empty, 1, 1, &never),
        Err(CorrelationError::TooFewSeries { .. })
    ));
    let short = SeriesBlock::new(1, vec![1.0, 2.0]).expect("two short series");
    assert!(matches!(
        pearson(&short, 1, &never),
        Err(CorrelationError::TooShort { .. })
    ));
    assert!(matches!(
        prewhitened(&short, 1),
        Err(CorrelationError::TooShort { .. })
    ));
    let params = GrangerParams::default();
    let one = SeriesBlock::new(DAYS, panel()[..DAYS].to_vec()).expect("one series");
    assert!(matches!(
        granger(&one, &one, &[], &params, 1, &never),
        Err(CorrelationError::TooFewSeries { .. })
    ));
    let short = SeriesBlock::new(30, panel()[..30 * 6].to_vec()).expect("six series");
    assert!(matches!(
        granger(&short, &short, &[], &params, 1, &never),
        Err(CorrelationError::TooShort { .. })
    ));
    let no_lags = GrangerParams {
        lags: 0,
        averages: false,
    };
    assert!(matches!(
        granger(&short, &short, &[], &no_lags, 1, &never),
        Err(CorrelationError::Parameter { .. })
    ));
    let params = GraphicalLassoParams::default();
    assert!(matches!(
        graphical_lasso(&[], 0, &params, &never),
        Err(CorrelationError::TooFewSeries { .. })
    ));
    assert!(matches!(
        graphical_lasso(&[1.0, f64::NAN, f64::NAN, 1.0], 2, &params, &never),
        Err(CorrelationError::Unusable { series: 0 })
    ));
    assert!(matches!(
        graphical_lasso(&[1.0, 0.0, 0.0, 0.0], 2, &params, &never),
        Err(CorrelationError::Unusable { series: 1 })
    ));
    let free = GraphicalLassoParams {
        penalty: 0.0,
        ..params
    };
    assert!(matches!(
        graphical_lasso(&[1.0], 1, &free, &never),
        Err(CorrelationError::Parameter { .. })
    ));
    let alone = graphical_lasso(&[4.0], 1, &params, &never).expect("one series");
    assert_eq!(
        (alone.precision, alone.gap, alone.converged),
        (vec![0.25], 0.0, true)
    );
}

#[test]
fn a_granger_test_leaves_out_what_cannot_be_tested() {
    let mut values = panel()[..6 * METRICS * DAYS].to_vec();
    values[..DAYS].fill(3.0);
    let series: Vec<Vec<f64>> = (0..6)
        .map(|b| values[b * METRICS * DAYS..][..DAYS].to_vec())
        .collect();
    let block = SeriesBlock::from_series(&series).expect("equal lengths");
    let tests = granger(&block, &block, &[], &GrangerParams::default(), 1, &never).expect("tests");
    // Brand 0 does not vary, and a brand's own past is already in its regression.
    assert_eq!(tests.len(), 5 * 4);
    assert!(
        tests
            .iter()
            .all(|t| t.cause != 0 && t.target != 0 && t.cause != t.target)
    );
    assert!(
        tests
            .iter()
            .all(|t| t.f.is_finite() && (0.0..=1.0).contains(&t.p_value))
    );
}

#[test]
fn two_series_give_the_graph_in_closed_form() {
    // With two series the solution is known: the covariance is shrunk by the penalty.
    let params = GraphicalLassoParams {
        penalty: 0.2,
        tolerance: 1e-14,
        ..GraphicalLassoParams::default()
    };
    let found = graphical_lasso(&[1.0, -0.7, -0.7, 2.0], 2, &params, &never).expect("a graph");
    let determinant: f64 = 2.0 - 0.5 * 0.5;
    for (ours, by_hand) in found.precision.iter().zip([2.0, 0.5, 0.5, 1.0]) {
        assert!((ours - by_hand / determinant).abs() < 1e-6);
    }
    assert_eq!(found.links().len(), 1);
    assert!(found.links()[0].2 < 0.0);
    let apart = GraphicalLassoParams {
        penalty: 0.7,
        ..params
    };
    assert!(
        graphical_lasso(&[1.0, -0.7, -0.7, 2.0], 2, &apart, &never)
            .expect("a graph")
            .links()
            .is_empty()
    );
}

#[test]
fn shrinkage_and_partial_correlations_are_those_of_scikit_learn() {
    // ledoit_wolf of scikit-learn on standardised series; partial correlations from the inverse of its covariance.
    let block = metric(0);
    for threads in [1, 2] {
        let found = partial(&block, threads, &never).expect("partial correlations");
        assert!((found.shrinkage - 0.004_255_811_795_180_378).abs() < 1e-12);
        for (i, j, r) in [
            (0, 1, 0.025_105_744_467_350_54),
            (3, 7, 0.055_753_680_776_755_64),
            (20, 5, -0.032_356_522_311_374_47),
        ] {
            assert!((found.correlations.get(i, j).expect("all vary") - r).abs() < 1e-9);
            assert!((0.0..=1.0).contains(&found.p_value(i, j).expect("more periods than series")));
        }
        assert_eq!(
            (found.correlations.get(4, 4), found.p_value(4, 4)),
            (Some(1.0), None)
        );
    }
    let short: Vec<Vec<f64>> = block.iter().take(40).map(|s| s[..60].to_vec()).collect();
    let short = SeriesBlock::from_series(&short).expect("equal lengths");
    let found = shrunk(&short, 1, &never).expect("correlations");
    assert!((found.shrinkage - 0.056_017_604_245_561_54).abs() < 1e-12);
    let plain = pearson(&short, 1, &never)
        .expect("correlations")
        .get(7, 3)
        .expect("all vary");
    let ours = found.correlations.get(7, 3).expect("all vary");
    assert!((ours - (1.0 - found.shrinkage) * plain).abs() < 1e-12);
}

#[test]
fn more_series_than_periods_still_have_partial_correlations_but_no_test() {
    let short: Vec<Vec<f64>> = metric(0)
        .iter()
        .take(40)
        .map(|s| s[..25].to_vec())
        .collect();
    let short = SeriesBlock::from_series(&short).expect("equal lengths");
    let found = partial(&short, 1, &never).expect("partial correlations");
    assert!(found.shrinkage > 0.0 && found.correlations.get(0, 39).is_some());
    assert_eq!(found.p_value(0, 39), None);
    let flat =
        SeriesBlock::from_series(&[vec![1.0; 4], vec![1.0, 2.0, 4.0, 3.0]]).expect("equal lengths");
    assert_eq!(
        partial(&flat, 1, &never),
        Err(CorrelationError::Unusable { series: 0 })
    );
    let none = SeriesBlock::new(4, vec![]).expect("no series");
    assert!(matches!(
        shrunk(&none, 1, &never),
        Err(CorrelationError::TooFewSeries { .. })
    ));
    let same = SeriesBlock::from_series(&[vec![1.0, 2.0, 3.0], vec![2.0, 4.0, 6.0]])
        .expect("equal lengths");
    // Two copies with so few periods: either shrunk enough to be told apart, or refused.
    match partial(&same, 1, &never) {
        Ok(found) => assert!(found.correlations.get(0, 1).expect("both vary").abs() <= 1.0),
        Err(error) => assert!(matches!(error, CorrelationError::Parameter { .. })),
    }
}

#[test]
fn stability_tells_a_link_from_chance_on_any_number_of_threads() {
    let mut rng = analytics::rng::stream(9, &[2]);
    let mut series: Vec<Vec<f64>> = (0..3)
        .map(|_| analytics::rng::autoregression(&mut rng, 0.5, 300))
        .collect();
    let linked: Vec<f64> = series[0]
        .iter()
        .zip(&series[1])
        .map(|(a, b)| -0.6 * a + b)
        .collect();
    series.push(linked);
    let block = SeriesBlock::from_series(&series).expect("equal lengths");
    let params = StabilityParams::default();
    let found = stability(&block, &params, 1, &never).expect("draws");
    assert_eq!(found, stability(&block, &params, 2, &never).expect("draws"));
    assert_eq!(found.block_length, 12);
    let (low, high) = found.interval(3, 0, 0.95).expect("both vary");
    assert!(low < found.estimate(0, 3).expect("both vary") && high < 0.0);
    assert_eq!(found.share(0, 3, 0.2), Some(1.0));
    let (low, high) = found.interval(0, 2, 0.95).expect("both vary");
    assert!(low < 0.0 && high > 0.0);
    assert!(found.share(0, 2, 0.2).expect("both vary") < 0.5);
    let other = StabilityParams { seed: 2, ..params };
    assert_ne!(found, stability(&block, &other, 1, &never).expect("draws"));
}

#[test]
fn the_spread_of_drawn_histories_is_that_of_the_estimate() {
    // Independent white series: a correlation's standard deviation is 1 / √n, and 80 % of the draws lie within ±1.28 of it.
    let mut rng = analytics::rng::stream(4, &[3]);
    let series: Vec<Vec<f64>> = (0..12)
        .map(|_| analytics::rng::normals(&mut rng, 400))
        .collect();
    let block = SeriesBlock::from_series(&series).expect("equal lengths");
    let params = StabilityParams {
        replications: 400,
        block_length: Some(1),
        seed: 3,
    };
    let found = stability(&block, &params, 2, &never).expect("draws");
    let widths: Vec<f64> = (0..12)
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .filter_map(|(i, j)| found.interval(i, j, 0.8))
        .map(|(low, high)| high - low)
        .collect();
    let mean = widths.iter().sum::<f64>() / widths.len() as f64;
    assert!((mean / (2.0 * 1.2816 / 20.0) - 1.0).abs() < 0.06, "{mean}");
}

#[test]
fn stability_refuses_nonsense_and_knows_what_does_not_vary() {
    let block = SeriesBlock::from_series(&[vec![1.0; 9], (0..9).map(f64::from).collect()])
        .expect("equal lengths");
    let params = StabilityParams::default();
    let found = stability(&block, &params, 1, &never).expect("draws");
    assert_eq!(
        (
            found.estimate(0, 1),
            found.interval(0, 1, 0.8),
            found.share(1, 0, 0.1)
        ),
        (None, None, None)
    );
    for wrong in [
        StabilityParams {
            block_length: Some(0),
            ..params
        },
        StabilityParams {
            block_length: Some(10),
            ..params
        },
        StabilityParams {
            replications: 1,
            ..params
        },
    ] {
        assert!(matches!(
            stability(&block, &wrong, 1, &never),
            Err(CorrelationError::Parameter { .. })
        ));
    }
    assert_eq!(
        stability(&block, &params, 2, &|| true).map(|_| ()),
        Err(CorrelationError::Cancelled(Cancelled))
    );
}

#[test]
fn groups_are_those_of_scipy() {
    // Average linkage of SciPy on the distances of the first 6 metrics of the first 4 brands.
    let series: Vec<&[f64]> = (0..4)
        .flat_map(|b| (0..6).map(move |m| &panel()[(b * METRICS + m) * DAYS..][..DAYS]))
        .collect();
    let block = SeriesBlock::from_series(&series).expect("equal lengths");
    let distances =
        cluster::distances(&pearson(&block, 1, &never).expect("correlations")).expect("all vary");
    let found = clusters(&distances, 24, 8).expect("groups");
    let heights = [
        0.522_997_754_814,
        0.578_210_082_456,
        0.592_255_388_087,
        0.596_549_503_946,
        0.621_313_367_983,
        0.621_755_480_416,
        0.625_063_945_39,
        0.628_642_322_565,
        0.635_215_177_149,
        0.636_456_061_077,
        0.639_335_983_202,
        0.644_116_816_555,
        0.651_661_102_421,
        0.679_756_091_152,
        0.694_793_147_707,
        0.716_400_200_58,
        0.791_426_813_168,
        0.797_359_973_192,
        0.839_258_691_567,
        0.937_080_272_484,
        0.970_179_800_064,
        1.008_768_515_959,
        1.511_735_506_746,
    ];
    for (merger, height) in found.mergers.iter().zip(heights) {
        assert!((merger.distance - height).abs() < 1e-9);
    }
    assert_eq!(found.mergers.len(), 23);
    assert_eq!(found.count, 2);
    assert!((found.silhouette - 0.369_912_684_008_631_75).abs() < 1e-9);
    assert_eq!(found.groups.iter().filter(|g| **g == 1).count(), 1);
    assert_eq!(found.groups[3], 1);
}

#[test]
fn clear_groups_are_found_and_nonsense_is_refused() {
    // Three groups of three at distances 1 within and 5 between.
    let distances: Vec<f64> = (0..81)
        .map(|at| match (at / 9, at % 9) {
            (i, j) if i == j => 0.0,
            (i, j) if i % 3 == j % 3 => 1.0,
            _ => 5.0,
        })
        .collect();
    let found = clusters(&distances, 9, 6).expect("groups");
    assert_eq!(
        (found.count, found.groups),
        (3, vec![0, 1, 2, 0, 1, 2, 0, 1, 2])
    );
    assert!((found.silhouette - 0.8).abs() < 1e-12);
    assert!(matches!(
        clusters(&[0.0; 4], 2, 2),
        Err(CorrelationError::TooFewSeries { .. })
    ));
    assert!(matches!(
        clusters(&[0.0; 8], 3, 2),
        Err(CorrelationError::Unequal { .. })
    ));
    assert!(matches!(
        clusters(&[0.0; 9], 3, 1),
        Err(CorrelationError::Parameter { .. })
    ));
    assert!(matches!(
        clusters(&[f64::NAN; 9], 3, 2),
        Err(CorrelationError::Unusable { series: 0 })
    ));
    let alike = clusters(&[0.0; 16], 4, 3).expect("groups");
    assert_eq!((alike.count, alike.silhouette), (2, 0.0));
}
