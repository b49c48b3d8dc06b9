//! Gradients against differences, known posteriors, contributions that add up, refusals.

use super::*;
use crate::{cancel::never, rng};

/// Two groups, gaps in the outcome, every family of curve: what the gradient has to get right.
fn rich_table(groups: usize, periods: usize) -> Table {
    let rows = groups * periods;
    let mut stream = rng::stream(3, &[1]);
    let mut column = |scale: f64| -> Vec<f64> {
        rng::normals(&mut stream, rows)
            .into_iter()
            .map(|v| scale * v.abs())
            .collect()
    };
    let mut table = Table::new(rows);
    for i in 0..7 {
        let mut x = column(3.0);
        x.iter_mut().step_by(5).for_each(|v| *v = 0.0);
        table = table.with(&format!("x{i}"), x);
    }
    let mut y = column(2.0);
    y.iter_mut().for_each(|v| *v += 10.0);
    y[4] = f64::NAN;
    let first = NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date");
    let days = (0..rows)
        .map(|i| (first + chrono::Days::new(7 * (i % periods) as u64)).to_string())
        .collect();
    let names = (0..rows).map(|i| format!("g{}", i / periods)).collect();
    table
        .with("y", y)
        .with("control", column(1.0))
        .with("value", column(2.0))
        .with_text("day", days)
        .with_text("geo", names)
}

fn rich_request(groups: bool) -> Request {
    let families = [
        (Adstock::Geometric, Saturation::Logistic, 4),
        (Adstock::Delayed, Saturation::Hill, 5),
        (Adstock::Binomial, Saturation::MichaelisMenten, 6),
        (Adstock::BinomialWide, Saturation::Tanh, 6),
        (Adstock::WeibullPdf, Saturation::Root, 6),
        (Adstock::WeibullCdf, Saturation::Logistic, 6),
        (Adstock::Geometric, Saturation::Hill, 24),
    ];
    let mut channels: Vec<Channel> = families
        .iter()
        .enumerate()
        .map(|(i, (adstock, saturation, lags))| Channel {
            adstock: *adstock,
            saturation: *saturation,
            lags: *lags,
            normalise: i % 3 != 2,
            ..Channel::of_spend(&format!("c{i}"), &format!("x{i}"))
        })
        .collect();
    channels[0].lift_tests.push(LiftTest {
        from: 1.0,
        to: 3.0,
        lift: 0.4,
        error: 0.2,
    });
    channels[1].roi = Some(Prior::LogNormal { mean: 0.2, sd: 0.9 });
    channels[3].coefficient = Prior::Normal { mean: 0.0, sd: 1.0 };
    channels[3].spread = Prior::Fixed { value: 0.0 };
    Request {
        outcome: "y".to_owned(),
        value: Some("value".to_owned()),
        date: Some("day".to_owned()),
        group: groups.then(|| "geo".to_owned()),
        size: None,
        scaling: if groups {
            Scaling::Standard
        } else {
            Scaling::Maximum
        },
        trend: if groups {
            Trend::Knots(4)
        } else {
            Trend::Linear
        },
        season: Some(Season { harmonics: 1 }),
        controls: vec![Control {
            column: "control".to_owned(),
            prior: None,
            varies: groups,
        }],
        channels,
        priors: Priors::default(),
        method: Method::default(),
        holdout: 0,
        seed: 5,
    }
}

#[test]
fn gradients_are_those_of_differences() {
    for groups in [1, 3] {
        let table = rich_table(groups, 60);
        let prepared = Prepared::new(&table, &rich_request(groups > 1), 2).expect("sound");
        let mut density = Density::new(&prepared.design, &never).expect("not cancelled");
        let guess = projection::search(&density, 1, 1, &never).expect("not cancelled");
        for centred in [false, true] {
            if centred {
                let mut q = density.coordinates(&guess[0]);
                let variances = vec![0.3; q.len()];
                let mut before = vec![0.0; prepared.design.rows()];
                density.place(&q);
                density.mean_into(&mut before);
                density
                    .update_between(&mut q, &variances, &never)
                    .expect("not cancelled");
                let mut after = before.clone();
                density.place(&q);
                density.mean_into(&mut after);
                // Other coordinates, the same model.
                for (b, a) in before.iter().zip(&after) {
                    assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{b} {a}");
                }
            }
            let dimension = density.dimension();
            let mut stream = rng::stream(9, &[u64::from(centred)]);
            let q: Vec<f64> = rng::normals(&mut stream, dimension)
                .iter()
                .map(|v| 0.5 * v)
                .collect();
            let (mut gradient, mut scratch) = (vec![0.0; dimension], vec![0.0; dimension]);
            density.evaluate(&q, &mut gradient);
            for i in 0..dimension {
                let step = 1e-5;
                let mut moved = q.clone();
                moved[i] += step;
                let up = density.evaluate(&moved, &mut scratch);
                moved[i] -= 2.0 * step;
                let down = density.evaluate(&moved, &mut scratch);
                let numeric = (up - down) / (2.0 * step);
                assert!(
                    (numeric - gradient[i]).abs() < 2e-5 * (1.0 + numeric.abs()),
                    "{groups} groups, coordinate {i}: {numeric} {}",
                    gradient[i]
                );
            }
        }
    }
}

fn example() -> Table {
    let text = include_str!("../../testdata/mmm_example.csv");
    Table::from_csv(text.as_bytes()).expect("a table")
}

fn example_request(more: &str) -> Request {
    let text = format!(
        r#"
outcome = "y"
date = "date_week"
seed = 3
controls = [{{ column = "event_1" }}, {{ column = "event_2" }}, {{ column = "t" }}]
season = {{ harmonics = 2 }}
{more}
[[channels]]
name = "x1"
exposure = "x1"
[[channels]]
name = "x2"
spend = "x2"
"#
    );
    toml::from_str(&text).expect("a request")
}

#[test]
fn the_sampler_agrees_with_a_long_reference_run() {
    // PyMC-Marketing 0.19.2 (numpyro, 4 × 10,000 draws): mean and sd.
    let reference = [
        ("intercept", 0.34981, 0.01303),
        ("gamma_control[event_1]", 0.24603, 0.03065),
        ("gamma_control[t]", 0.000_613_55, 4.699e-05),
        ("gamma_fourier[sin_2]", -0.05736, 0.00331),
        ("gamma_fourier[cos_1]", 0.06303, 0.00322),
        ("adstock_alpha[x1]", 0.39745, 0.02937),
        ("adstock_alpha[x2]", 0.19251, 0.04020),
        ("saturation_lam[x1]", 4.08075, 0.36595),
        ("saturation_lam[x2]", 3.16860, 1.17761),
        ("saturation_beta[x1]", 0.36187, 0.01825),
        ("y_sigma", 0.03003, 0.00167),
    ];
    let request =
        example_request(r#"method = { kind = "sample", chains = 4, warmup = 500, draws = 1000 }"#);
    let fit = fit(&request, &example(), 2, &never).expect("sound");
    for (name, mean, sd) in reference {
        let p = fit.parameter(name).expect(name);
        let found = p.convergence.expect("a Markov chain");
        assert!(
            found.rhat < 1.01 && found.ess_bulk > 400.0,
            "{name} {found:?}"
        );
        // Four Monte Carlo errors of four hundred independent draws.
        assert!((p.mean - mean).abs() < 0.2 * sd, "{name} {} {mean}", p.mean);
        assert!((p.sd / sd - 1.0).abs() < 0.15, "{name} {} {sd}", p.sd);
    }
    // Simulated with contributions of 274,848 and 65,906.
    for (channel, truth) in fit.channels.iter().zip([274_848.3, 65_906.0]) {
        assert!(channel.contribution.low < truth && truth < channel.contribution.high);
        let periods: f64 = channel.by_period.iter().map(|p| p.mean).sum();
        assert!((periods / channel.contribution.mean - 1.0).abs() < 1e-9);
    }
    assert!(fit.channels[0].roas.is_none() && fit.channels[1].roas.is_some());
    let shares: f64 = fit.channels.iter().map(|c| c.contribution.mean).sum();
    let whole: f64 = fit.fitted.iter().sum();
    assert!(((shares + fit.baseline.mean) / whole - 1.0).abs() < 1e-9);
    assert!(fit.health.r_squared > 0.9);
}

#[test]
fn the_fast_fit_finds_the_truth_and_is_repeatable() {
    let request = example_request("holdout = 12");
    let table = example();
    let first = fit(&request, &table, 1, &never).expect("sound");
    for (name, truth, tolerance) in [
        ("adstock_alpha[x1]", 0.4, 0.06),
        ("adstock_alpha[x2]", 0.2, 0.08),
        ("saturation_lam[x1]", 4.0, 0.8),
    ] {
        let p = first.parameter(name).expect(name);
        assert!((p.q50 - truth).abs() < tolerance, "{name} {}", p.q50);
        assert!(p.convergence.is_none());
    }
    let holdout = first.holdout.as_ref().expect("twelve weeks were set aside");
    let naive = holdout.rmse_naive.expect("a year before is known");
    assert!(holdout.rmse < 0.7 * naive, "{holdout:?}");
    assert!(holdout.coverage_95 >= 0.75 && holdout.crps < holdout.rmse);
    assert_eq!(first, fit(&request, &table, 2, &never).expect("sound"));
    // As a file and back.
    let text = serde_json::to_string(&first).expect("plain data");
    assert_eq!(serde_json::from_str::<Fit>(&text).expect("the same"), first);
}

#[test]
fn the_number_of_threads_does_not_change_draws() {
    let request =
        example_request(r#"method = { kind = "sample", chains = 3, warmup = 100, draws = 50 }"#);
    let table = example();
    let run = |threads| {
        fit_with_draws(&request, &table, threads, &never)
            .expect("sound")
            .1
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn sampling_stops_when_asked() {
    let request = example_request(
        r#"method = { kind = "sample", chains = 2, warmup = 1000000, draws = 10 }"#,
    );
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let cancel = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 40;
    let stopped = fit(&request, &example(), 2, &cancel);
    assert_eq!(stopped, Err(MixError::Cancelled(crate::cancel::Cancelled)));
}

#[test]
fn a_lift_test_moves_the_curve_as_far_as_its_error_allows() {
    let table = example();
    let lift = |lift: f64, error: f64| {
        let mut request = example_request("");
        request.channels[0].lift_tests = vec![LiftTest {
            from: 0.0,
            to: 0.5,
            lift,
            error,
        }];
        let fit = fit(&request, &table, 1, &never).expect("sound");
        let at = |name: &str| fit.parameter(name).expect(name).q50;
        let unit = 8_312.407_544; // Largest outcome of the file.
        at("saturation_beta[x1]")
            * unit
            * Saturation::Logistic.at(0.5 / 0.996_658_129, &[at("saturation_lam[x1]")])
    };
    let without = lift(0.0, 1e9);
    let weak = lift(0.5 * without, 0.5 * without);
    let strong = lift(0.5 * without, 0.01 * without);
    assert!((weak / without - 1.0).abs() < 0.1, "{without} {weak}");
    assert!(
        (strong / (0.5 * without) - 1.0).abs() < 0.1,
        "{without} {strong}"
    );
}

#[test]
fn groups_share_curves_and_keep_their_own_level() {
    let (groups, periods) = (6, 90);
    let mut stream = rng::stream(8, &[2]);
    let (mut y, mut x, mut names, mut days) = (vec![], vec![], vec![], vec![]);
    let first = NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date");
    let mut truth = 0.0;
    for g in 0..groups {
        let size = 50.0 + 40.0 * f64::from(g);
        let spend: Vec<f64> = (0..periods)
            .map(|_| size * (rng::normal(&mut stream) + 0.3).max(0.0))
            .collect();
        let carried = carry_normalised(&spend, 0.5);
        for t in 0..periods {
            let sold = 0.6 * size * Saturation::Logistic.at(carried[t] / size, &[1.2]);
            truth += sold;
            y.push(size * (2.0 + 0.1 * f64::from(g % 3) + 0.08 * rng::normal(&mut stream)) + sold);
            x.push(spend[t]);
            names.push(format!("brand {g}"));
            days.push((first + chrono::Days::new(7 * t as u64)).to_string());
        }
    }
    let table = Table::new(y.len())
        .with("y", y)
        .with("x", x)
        .with_text("brand", names)
        .with_text("day", days);
    let request = Request {
        group: Some("brand".to_owned()),
        method: Method::Sample {
            chains: 2,
            warmup: 400,
            draws: 500,
            target_accept: 0.9,
        },
        ..Request::new("y", "day", vec![Channel::of_spend("media", "x")])
    };
    for method in [request.method, Method::default()] {
        let request = Request {
            method,
            ..request.clone()
        };
        let fit = fit(&request, &table, 2, &never).expect("sound");
        let sold = fit.channels[0].contribution;
        assert!((sold.mean / truth - 1.0).abs() < 0.15, "{sold:?} {truth}");
        let alpha = fit.parameter("adstock_alpha[media]").expect("a parameter");
        assert!((alpha.mean - 0.5).abs() < 0.1, "{}", alpha.mean);
        assert_eq!(fit.channels[0].by_group.len(), 6);
        let by_group: f64 = fit.channels[0].by_group.iter().map(|g| g.mean).sum();
        assert!((by_group / sold.mean - 1.0).abs() < 1e-9);
        assert!(fit.parameter("sd_intercept").is_none_or(|p| p.q50 < 0.3));
    }
}

fn carry_normalised(x: &[f64], alpha: f64) -> Vec<f64> {
    transform::carry(
        x,
        &transform::normalised(&Adstock::Geometric.weights(&[alpha], 8)),
    )
}

#[test]
fn spend_that_follows_sales_is_reported() {
    let n = 150;
    let build = |reacts: f64| {
        let mut stream = rng::stream(21, &[1]);
        let demand = rng::autoregression(&mut stream, 0.8, n);
        let noise = rng::normals(&mut stream, n);
        let (mut y, mut x) = (Vec::new(), Vec::new());
        for t in 0..n {
            let last = if t > 0 { demand[t - 1] } else { 0.0 };
            x.push((10.0 + 2.0 * noise[t] + reacts * last).max(0.0));
            y.push(100.0 + 5.0 * demand[t] + 0.5 * x[t]);
        }
        let first = NaiveDate::from_ymd_opt(2023, 1, 2).expect("a date");
        let days = (0..n)
            .map(|t| (first + chrono::Days::new(7 * t as u64)).to_string())
            .collect();
        let table = Table::new(n)
            .with("y", y)
            .with("x", x)
            .with_text("day", days);
        let request = Request::new("y", "day", vec![Channel::of_spend("media", "x")]);
        fit(&request, &table, 1, &never).expect("sound")
    };
    let reacting = build(3.0);
    let found = &reacting.confounding[0];
    assert!(
        found.reaction_p < 0.01 && !found.warnings.is_empty(),
        "{found:?}"
    );
    assert!(reacting.health.verdict >= Verdict::Review);
    let steady = build(0.0);
    assert!(steady.confounding[0].reaction_p > 0.01);
}

#[test]
fn what_cannot_be_fitted_is_named() {
    let table = example();
    let error = |change: &dyn Fn(&mut Request), table: &Table| {
        let mut request = example_request("");
        change(&mut request);
        fit(&request, table, 1, &never).expect_err("not sound")
    };
    let n = table.rows();
    assert_eq!(error(&|r| r.channels.clear(), &table), MixError::NoChannel);
    assert_eq!(
        error(&|r| r.outcome = "sales".to_owned(), &table),
        MixError::Column("sales".to_owned())
    );
    assert_eq!(
        error(&|_| {}, &table.clone().with("y", vec![5.0; n])),
        MixError::ConstantOutcome
    );
    assert_eq!(
        error(&|_| {}, &table.clone().with("x2", vec![0.0; n])),
        MixError::Unused("x2".to_owned())
    );
    assert_eq!(
        error(&|_| {}, &table.clone().with("x1", vec![-1.0; n])),
        MixError::Negative("x1".to_owned())
    );
    let mut gap = vec![1.0; n];
    gap[3] = f64::NAN;
    assert_eq!(
        error(&|_| {}, &table.clone().with("event_1", gap)),
        MixError::Missing("event_1".to_owned())
    );
    assert!(matches!(
        error(&|_| {}, &table.filter(|i| i < 8)),
        MixError::TooShort { .. }
    ));
    assert!(matches!(
        error(&|_| {}, &table.filter(|_| false)),
        MixError::TooShort { .. }
    ));
    assert!(matches!(
        error(&|_| {}, &table.clone().with("y", vec![f64::NAN; n])),
        MixError::TooShort { .. }
    ));
    assert_eq!(
        error(&|r| r.date = None, &table),
        MixError::SeasonNeedsDates
    );
    assert!(matches!(
        error(&|r| r.date = Some("y".to_owned()), &table),
        MixError::Date(_)
    ));
    assert_eq!(
        error(&|r| r.trend = Trend::Knots(0), &table),
        MixError::Knots(0)
    );
    assert!(matches!(
        error(&|r| r.priors.noise = Prior::HalfNormal { sd: -1.0 }, &table),
        MixError::Prior { .. }
    ));
    assert!(matches!(
        error(
            &|r| r.priors.noise = Prior::Normal { mean: 0.0, sd: 1.0 },
            &table
        ),
        MixError::Prior { .. }
    ));
    assert_eq!(
        error(
            &|r| r.channels[0].roi = Some(Prior::LogNormal { mean: 0.2, sd: 0.9 }),
            &table
        ),
        MixError::RoiWithoutSpend("x1".to_owned())
    );
    assert!(matches!(
        error(
            &|r| r.channels[0].adstock_priors = vec![Prior::Fixed { value: 0.1 }; 2],
            &table
        ),
        MixError::PriorCount { .. }
    ));
    let test = LiftTest {
        from: 1.0,
        to: 0.5,
        lift: 1.0,
        error: 1.0,
    };
    assert!(matches!(
        error(&|r| r.channels[0].lift_tests = vec![test], &table),
        MixError::LiftTest(_)
    ));
    assert!(toml::from_str::<Request>("outcome = 'y'\nchannels = []\nnonsense = 1").is_err());
    assert!(Table::from_csv("a,b\n1\n".as_bytes()).is_err());
}

/// A request on the groups of [`rich_table`] with one channel.
fn grouped() -> Request {
    Request {
        group: Some("geo".to_owned()),
        ..Request::new("y", "day", vec![Channel::of_spend("c0", "x0")])
    }
}

#[test]
fn a_spread_fixed_at_zero_means_that_groups_share_the_coefficient() {
    let table = rich_table(3, 60);
    let mut request = grouped();
    request.priors.spread = Prior::Fixed { value: 0.0 };
    for trend in [Trend::Constant, Trend::Knots(4)] {
        request.trend = trend;
        let fit = fit(&request, &table, 1, &never).expect("sound");
        assert!(fit.fitted.iter().all(|v| v.is_finite()), "{trend:?}");
        assert!(fit.baseline.mean.is_finite());
        let numbers = fit.parameters.iter().map(|p| p.mean + p.sd);
        assert!(numbers.into_iter().all(f64::is_finite));
        assert!(fit.parameter("sd_intercept").is_none());
    }
}

#[test]
fn a_prior_outside_of_what_its_parameter_may_be_is_named() {
    let table = example();
    let refused = |change: &dyn Fn(&mut Channel)| {
        let mut request = example_request("");
        change(&mut request.channels[0]);
        match fit(&request, &table, 1, &never) {
            Err(MixError::Prior { parameter, .. }) => parameter,
            other => panic!("{other:?}"),
        }
    };
    let normal = Prior::Normal { mean: 1.0, sd: 1.0 };
    let wide = Prior::Uniform {
        low: 0.0,
        high: 2.0,
    };
    assert_eq!(refused(&|c| c.spread = normal), "spread[x1]");
    assert_eq!(
        refused(&|c| c.adstock_priors = vec![wide]),
        "adstock_alpha[x1]"
    );
    assert_eq!(
        refused(&|c| c.adstock_priors = vec![Prior::HalfNormal { sd: 1.0 }]),
        "adstock_alpha[x1]"
    );
    assert_eq!(
        refused(&|c| c.saturation_priors = vec![normal]),
        "saturation_lam[x1]"
    );
    assert_eq!(
        refused(&|c| {
            c.saturation = Saturation::Hill;
            c.saturation_priors = vec![wide, Prior::Fixed { value: 0.0 }];
        }),
        "saturation_kappa[x1]"
    );
    assert_eq!(
        refused(&|c| {
            c.adstock = Adstock::WeibullPdf;
            c.adstock_priors = vec![normal, wide];
        }),
        "adstock_k[x1]"
    );
}

#[test]
fn a_model_of_fixed_values_has_nothing_to_fit() {
    let fixed = Prior::Fixed { value: 0.5 };
    let mut request = Request::new(
        "y",
        "date_week",
        vec![Channel {
            adstock_priors: vec![fixed],
            saturation_priors: vec![fixed],
            coefficient: fixed,
            ..Channel::of_spend("x1", "x1")
        }],
    );
    request.priors.intercept = fixed;
    request.priors.noise = fixed;
    for method in [Method::default(), Method::sample()] {
        request.method = method;
        let stopped = fit(&request, &example(), 1, &never);
        assert_eq!(stopped, Err(MixError::NothingToFit));
    }
}

#[test]
fn more_than_memory_holds_is_refused_before_it_is_asked_for() {
    let table = example();
    let huge = usize::MAX / 2;
    for method in [
        Method::Fast { draws: huge },
        Method::Sample {
            chains: huge,
            warmup: 10,
            draws: 10,
            target_accept: 0.8,
        },
        Method::Sample {
            chains: 1,
            warmup: huge,
            draws: 10,
            target_accept: 0.8,
        },
    ] {
        let request = Request {
            method,
            ..example_request("")
        };
        let refused = fit(&request, &table, 1, &never);
        assert!(matches!(refused, Err(MixError::TooManyDraws { .. })));
    }
    // More lags than periods are as many as there are periods.
    let mut request = example_request("");
    request.channels[0].lags = huge;
    assert!(fit(&request, &table.filter(|i| i < 60), 1, &never).is_ok());
    let refused = fit(&grouped(), &rich_table(10_000, 14), 1, &never);
    assert_eq!(
        refused,
        Err(MixError::TooManyGroups {
            groups: 10_000,
            rows: 140_000,
            columns: 2
        })
    );
}

#[test]
fn knots_seasons_and_groups_count_against_the_rows() {
    let short = |change: &dyn Fn(&mut Request), table: &Table| {
        let mut request = example_request("");
        change(&mut request);
        match fit(&request, table, 1, &never) {
            Err(MixError::TooShort { rows, needed }) => (rows, needed),
            other => panic!("{other:?}"),
        }
    };
    let table = example().filter(|i| i < 40);
    // Two channels of three, three controls, four waves, and four for the noise.
    assert_eq!(
        short(&|r| r.trend = Trend::Knots(40), &table),
        (40, 6 + 3 + 4 + 4 + 40)
    );
    let many = Some(Season {
        harmonics: usize::MAX,
    });
    assert_eq!(short(&|r| r.season = many, &table).0, 40);
    let refused = fit(&grouped(), &rich_table(12, 1), 1, &never);
    assert_eq!(
        refused,
        Err(MixError::TooShort {
            rows: 11,
            needed: 3 + 4 + 1 + 11
        })
    );
}

#[test]
fn a_year_that_is_not_known_leaves_the_holdout_to_be_looked_at() {
    let table = example();
    let n = table.rows();
    let run = |unknown: std::ops::Range<usize>| {
        let mut y = table.numbers("y").expect("the outcome").to_vec();
        y[unknown].fill(f64::NAN);
        let request = example_request("holdout = 4");
        fit(&request, &table.clone().with("y", y), 1, &never).expect("sound")
    };
    let verdict = |fit: &Fit| {
        let mut checks = fit.health.checks.iter();
        let check = checks.find(|c| c.name == "holdout").expect("a check");
        (check.verdict, check.value)
    };
    // One of the four weeks a year before is not known: the other three are what is compared with.
    let one = run(n - 56..n - 55);
    let naive = one.holdout.as_ref().expect("four weeks").rmse_naive;
    assert!(naive.is_some_and(|v| v.is_finite() && v > 0.0));
    assert!(verdict(&one).1.is_finite());
    let none = run(n - 56..n - 52);
    assert_eq!(none.holdout.as_ref().expect("four weeks").rmse_naive, None);
    let (found, value) = verdict(&none);
    assert!(found == Verdict::Review && value.is_nan());
    let text = serde_json::to_string(&none).expect("plain data");
    let back: Fit = serde_json::from_str(&text).expect("a fit");
    assert_eq!(back.holdout, none.holdout);
    assert!(verdict(&back).1.is_nan());
    assert_eq!(back.parameters, none.parameters);
}

#[test]
fn one_figure_that_is_no_number_is_not_covered_by_those_after_it() {
    let parameter = |rhat: f64, ess: f64| Parameter {
        name: String::new(),
        mean: 0.0,
        sd: 1.0,
        q05: 0.0,
        q50: 0.0,
        q95: 0.0,
        convergence: Some(ConvergenceSummary {
            rhat,
            ess_bulk: 4000.0,
            ess_tail: ess,
            mcse_mean: 0.0,
        }),
    };
    let card = health::card(&health::Facts {
        outcome: &[1.0, 2.0, 3.0],
        fitted: &[1.1, 2.0, 2.9],
        known: &[1.0; 3],
        periods: 3,
        parameters: &[parameter(f64::NAN, f64::NAN), parameter(1.0, 4000.0)],
        divergences: 0,
        draws: 4000,
        markov: true,
        efficiency: None,
        negative_baseline: 0.0,
        channels: &[],
        holdout: None,
        confounding: &[],
    });
    for name in ["rhat", "ess"] {
        let check = card.checks.iter().find(|c| c.name == name).expect(name);
        assert!(check.value.is_nan(), "{check:?}");
        assert_ne!(check.verdict, Verdict::Pass);
    }
}

#[test]
fn a_channels_share_is_of_the_rows_whose_outcome_is_known() {
    let table = example();
    let mut y = table.numbers("y").expect("the outcome").to_vec();
    y[20..60].fill(f64::NAN);
    let known: Vec<usize> = (0..y.len()).filter(|i| y[*i].is_finite()).collect();
    let outcome: f64 = known.iter().map(|i| y[*i]).sum();
    let fit = fit(&example_request(""), &table.with("y", y), 1, &never).expect("sound");
    for channel in &fit.channels {
        let sold: f64 = known.iter().map(|i| channel.by_period[*i].mean).sum();
        let share = sold / outcome;
        assert!((channel.share.mean / share - 1.0).abs() < 1e-9, "{share}");
    }
}

#[test]
fn a_fit_stops_wherever_it_is() {
    let (request, table) = (example_request(""), example());
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let until = |last: usize| {
        asked.store(0, std::sync::atomic::Ordering::Relaxed);
        fit(&request, &table, 1, &|| {
            asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= last
        })
    };
    assert!(until(usize::MAX).is_ok());
    let all = asked.load(std::sync::atomic::Ordering::Relaxed);
    for share in [1, 5, 9, 10] {
        let stopped = until((all - 1) * share / 10);
        assert_eq!(stopped, Err(MixError::Cancelled(crate::cancel::Cancelled)));
    }
}
