//! Marketing-mix models and geo experiments beside PyMC-Marketing, Meridian, GeoLift and NIST.

use std::{collections::BTreeMap, fs::File, time::Instant};

use analytics::{
    cancel::never,
    experiment::{Experiment, Region, synthetic_control},
    linear::{Cholesky, add_scaled, dot},
    mix::{
        self, Channel, Control, Fit, Holdout, Method, MixError, Prior, Request, Scaling, Season,
        Table as Data, Trend,
        regression::least_squares,
        transform::{Adstock, Saturation, carry, normalised, robyn_scale},
    },
};
use serde_json::Value;

use super::{
    figures::{least, median, pairs, worst, worst_named},
    reference,
    report::{Bar, Reference, Source, Table},
};

/// Threads for every fit: both cores of the machine the bars were written for.
const THREADS: usize = 2;

pub(crate) fn measure(table: &mut Table) {
    transforms(table);
    longley(table);
    geolift(table);
    pymc(table);
    conduct(table);
    meridian_national(table);
    meridian_geo(table);
    robyn(table);
}

/// The weekly file of PyMC-Marketing's example.
const EXAMPLE: &str = "analytics/testdata/mmm_example.csv";

fn example_data() -> Data {
    let file = File::open(reference::repository(EXAMPLE)).expect("it is part of the repository");
    Data::from_csv(file).expect("it is sound")
}

fn repository_json(path: &str) -> Value {
    let text =
        std::fs::read_to_string(reference::repository(path)).expect("it is part of the repository");
    serde_json::from_str(&text).expect("it is JSON")
}

fn csv(path: &str) -> Option<Data> {
    Data::from_csv(File::open(reference::data(path)?).ok()?).ok()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().map_or(&[] as &[Value], Vec::as_slice);
    list.iter().filter_map(Value::as_f64).collect()
}

/// Half a unit of the last digit printed is what separates two numbers that print alike.
fn transforms(table: &mut Table) {
    const NAME: &str = "transforms: worst difference to printed values, units of the last digit";
    let oracles = repository_json("analytics/testdata/oracles.json");
    let of = &oracles["transforms"];
    let steady = [100.0; 5];
    let scale = robyn_scale(5, 0.5);
    let mut differences = Vec::new();
    let mut compare = |name: &str, ours: Vec<f64>, printed: Vec<f64>, unit: f64| {
        if printed.len() != ours.len() || printed.is_empty() {
            differences.push((f64::NAN, name.to_owned()));
            return;
        }
        for (a, b) in ours.iter().zip(&printed) {
            // Rounding of the printed number itself is exact to a part in a thousand of its unit.
            let units = ((a - b).abs() / unit - 1e-3).clamp(0.0, f64::INFINITY);
            differences.push((units, name.to_owned()));
        }
    };
    let geometric = |a: f64, lags| Adstock::Geometric.weights(&[a], lags);
    let key = "robyn_R_adstock_geometric(rep(100,5),theta=0.5)";
    compare(
        key,
        carry(&steady, &geometric(0.5, 5)),
        numbers(&of[key]),
        1e-10,
    );
    for (family, kind) in [(Adstock::WeibullCdf, "cdf"), (Adstock::WeibullPdf, "pdf")] {
        let key = format!("robyn_R_adstock_weibull(rep(100,5),shape=0.5,scale=0.5,type={kind})");
        let weights = family.weights(&[0.5, scale], 5);
        let carried = carry(&steady, &weights);
        compare(&key, weights, numbers(&of[&key]["weights"]), 1e-10);
        compare(&key, carried, numbers(&of[&key]["x_decayed"]), 1e-10);
    }
    let key = "robyn_R_saturation_hill(c(100,150,170,190,200),alpha=3,gamma=0.5)";
    let hill = [100.0, 150.0, 170.0, 190.0, 200.0].map(|x| Saturation::Hill.at(x, &[3.0, 100.0]));
    compare(key, hill.to_vec(), numbers(&of[key]), 1e-10);
    let key = "meridian_unnormalised_binomial_W5_lag4..0";
    for alpha in ["0.25", "0.5", "0.6666666666666666"] {
        let mut weights = Adstock::Binomial.weights(&[alpha.parse().unwrap_or(f64::NAN)], 5);
        weights.reverse();
        compare(key, weights, numbers(&of[key][alpha]), 1e-10);
    }
    let key = "pymc_weights_lmax8";
    let pymc = &of[key];
    let name = |n: &str| format!("{key} {n}");
    for (n, ours) in [
        ("geometric a=.4 normalised", normalised(&geometric(0.4, 8))),
        ("binomial a=.5", Adstock::BinomialWide.weights(&[0.5], 8)),
        (
            "delayed a=.6 th=2",
            Adstock::Delayed.weights(&[0.6, 2.0], 8),
        ),
        (
            "weibull_pdf lam=2 k=1.5",
            Adstock::WeibullPdf.weights(&[1.5, 2.0], 8),
        ),
        (
            "weibull_cdf lam=2 k=1.5",
            Adstock::WeibullCdf.weights(&[1.5, 2.0], 8),
        ),
    ] {
        compare(&name(n), ours, numbers(&pymc[n]), 1e-10);
    }
    let at = |f: &dyn Fn(f64) -> f64| [0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0].map(f).to_vec();
    let key = "saturations_at_[0,.1,.25,.5,1,2,4]";
    for (n, ours) in [
        (
            "logistic lam=3",
            at(&|x| Saturation::Logistic.at(x, &[3.0])),
        ),
        (
            "tanh b=.5,c=.7",
            at(&|x| 0.5 * Saturation::Tanh.at(x, &[0.35])),
        ),
        (
            "michaelis_menten a=2 lam=.8",
            at(&|x| 2.0 * Saturation::MichaelisMenten.at(x, &[0.8])),
        ),
        (
            "hill s=1.5 k=.6",
            at(&|x| Saturation::Hill.at(x, &[1.5, 0.6])),
        ),
        (
            "meridian hill ec=.8 slope=1",
            at(&|x| Saturation::Hill.at(x, &[1.0, 0.8])),
        ),
    ] {
        compare(n, ours, numbers(&of[key][n]), 1e-10);
    }
    let count = differences.len();
    let (units, name) = worst_named(differences);
    table.row(
        NAME,
        units,
        None,
        Bar::AtMost(0.5),
        &format!("{count} values of Robyn (R), Meridian and PyMC-Marketing; worst: {name}"),
    );
}

/// Longley's data and certified values: NIST Statistical Reference Datasets, public domain.
fn longley(table: &mut Table) {
    let y = [
        60323.0, 61122.0, 60171.0, 61187.0, 63221.0, 63639.0, 64989.0, 63761.0, 66019.0, 67857.0,
        68169.0, 66513.0, 68655.0, 69564.0, 69331.0, 70551.0,
    ];
    let columns = [
        vec![1.0; 16],
        vec![
            83.0, 88.5, 88.2, 89.5, 96.2, 98.1, 99.0, 100.0, 101.2, 104.6, 108.4, 110.8, 112.6,
            114.2, 115.7, 116.9,
        ],
        vec![
            234289.0, 259426.0, 258054.0, 284599.0, 328975.0, 346999.0, 365385.0, 363112.0,
            397469.0, 419180.0, 442769.0, 444546.0, 482704.0, 502601.0, 518173.0, 554894.0,
        ],
        vec![
            2356.0, 2325.0, 3682.0, 3351.0, 2099.0, 1932.0, 1870.0, 3578.0, 2904.0, 2822.0, 2936.0,
            4681.0, 3813.0, 3931.0, 4806.0, 4007.0,
        ],
        vec![
            1590.0, 1456.0, 1616.0, 1650.0, 3099.0, 3594.0, 3547.0, 3350.0, 3048.0, 2857.0, 2798.0,
            2637.0, 2552.0, 2514.0, 2572.0, 2827.0,
        ],
        vec![
            107608.0, 108632.0, 109773.0, 110929.0, 112075.0, 113270.0, 115094.0, 116219.0,
            117388.0, 118734.0, 120445.0, 121950.0, 123366.0, 125368.0, 127852.0, 130081.0,
        ],
        (1947..=1962).map(f64::from).collect(),
    ];
    let certified = [
        -3482258.63459582,
        15.0618722713733,
        -0.358191792925910e-01,
        -2.02022980381683,
        -1.03322686717359,
        -0.511041056535807e-01,
        1829.15146461355,
    ];
    let fit = least_squares(&columns, &y);
    let digits = pairs(&fit.coefficients, &certified)
        .map(|(ours, c)| -((ours - c) / c).abs().clamp(1e-15, f64::INFINITY).log10());
    table.row(
        "Longley (NIST): fewest correct digits of the coefficients",
        least(digits),
        None,
        Bar::AtLeast(9.0),
        "certified values to 15 digits",
    );
}

fn geolift(table: &mut Table) {
    let rows = [
        ("GeoLift example: lift in points", Bar::Within(5.2, 5.6)),
        (
            "GeoLift example: incremental outcome",
            Bar::Within(4573.7, 4760.3),
        ),
    ];
    let data = csv("data/geolift/GeoLift_Test.csv");
    let Some((places, outcomes)) = data
        .as_ref()
        .and_then(|d| Some((d.text("location").ok()?, d.numbers("Y").ok()?)))
    else {
        for (name, bar) in rows {
            table.not_measured(name, bar, "data/geolift is not at hand");
        }
        return;
    };
    let mut regions: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (place, y) in places.iter().zip(outcomes) {
        regions.entry(place).or_default().push(*y);
    }
    let (treated, donors): (Vec<Region>, Vec<Region>) = regions
        .into_iter()
        .map(|(name, outcome)| Region {
            name: name.to_owned(),
            outcome,
        })
        .partition(|r| ["chicago", "portland"].contains(&r.name.as_str()));
    let start = Instant::now();
    let found = synthetic_control(
        &Experiment {
            treated,
            donors,
            start: 90,
        },
        &never,
    );
    let seconds = start.elapsed().as_secs_f64();
    match found {
        Ok(lift) => {
            let note = format!(
                "90 % interval {:.0} … {:.0} per region and day, p {:.3}, {seconds:.2} s",
                lift.interval.0, lift.interval.1, lift.p_value
            );
            table.row(
                rows[0].0,
                100.0 * lift.lift,
                Some((5.4, Source::Stored)),
                rows[0].1,
                &note,
            );
            table.row(
                rows[1].0,
                lift.incremental,
                Some((4667.0, Source::Stored)),
                rows[1].1,
                "",
            );
        }
        Err(error) => {
            for (name, bar) in rows {
                table.not_measured(name, bar, &error.to_string());
            }
        }
    }
}

/// Smallest bulk ESS and largest R-hat of all parameters; NaN where a parameter has none.
fn worst_convergence(fit: &Fit) -> (f64, f64) {
    let all = || fit.parameters.iter().map(|p| p.convergence);
    (
        least(all().map(|c| c.map_or(f64::NAN, |c| c.ess_bulk))),
        worst(all().map(|c| c.map_or(f64::NAN, |c| c.rhat))),
    )
}

/// The model of PyMC-Marketing's example notebook with its default priors.
fn example() -> Request {
    let control = |name: &str| Control {
        column: name.to_owned(),
        prior: None,
        varies: false,
    };
    let channel = |name: &str| Channel {
        exposure: Some(name.to_owned()),
        spend: None,
        ..Channel::of_spend(name, name)
    };
    Request {
        season: Some(Season { harmonics: 2 }),
        controls: ["event_1", "event_2", "t"].map(control).to_vec(),
        ..Request::new("y", "date_week", ["x1", "x2"].map(channel).to_vec())
    }
}

fn pymc(table: &mut Table) {
    let names = [
        "PyMC example: worst posterior mean, posterior sd from the reference",
        "PyMC example: worst posterior sd, relative difference",
        "PyMC example: 5/50/95 % of saturation_beta[x2], worst relative difference",
        "PyMC example: largest R-hat of 4 × 10,000",
    ];
    let bars = [
        Bar::AtMost(0.05),
        Bar::AtMost(0.05),
        Bar::AtMost(0.03),
        Bar::AtMost(1.01),
    ];
    let data = example_data();
    let stored = repository_json("analytics/testdata/mmm_posterior.json");
    let run = |chains, warmup, draws, seed| {
        let request = Request {
            method: Method::Sample {
                chains,
                warmup,
                draws,
                target_accept: 0.85,
            },
            seed,
            ..example()
        };
        let start = Instant::now();
        let fit = mix::fit(&request, &data, THREADS, &never).expect("the example is sound");
        let seconds = start.elapsed().as_secs_f64();
        (fit, seconds)
    };
    // Ours, at the lengths of the long and the short reference run.
    let long: Vec<(Fit, f64)> = (1..=5).map(|seed| run(4, 2000, 10_000, seed)).collect();
    let short: Vec<(Fit, f64)> = (1..=5).map(|seed| run(2, 1000, 1000, seed)).collect();
    let (fit, _) = &long[0];
    let (mut means, mut sds) = (Vec::new(), Vec::new());
    for (name, reference) in stored["parameters"].as_object().into_iter().flatten() {
        if name == "saturation_beta[x2]" {
            continue;
        }
        // A parameter that is not there is as far from the reference as can be.
        let of = |key: &str| reference[key].as_f64().unwrap_or(f64::NAN);
        let (mean, sd) = fit
            .parameter(name)
            .map_or((f64::NAN, f64::NAN), |ours| (ours.mean, ours.sd));
        means.push(((mean - of("mean")).abs() / of("sd"), name.clone()));
        sds.push(((sd / of("sd") - 1.0).abs(), name.clone()));
    }
    let count = means.len();
    for (i, differences) in [means, sds].into_iter().enumerate() {
        let (difference, name) = worst_named(differences);
        table.row(
            names[i],
            difference,
            None,
            bars[i],
            &format!("of {count} parameters; worst: {name}"),
        );
    }
    let quantiles = fit.parameter("saturation_beta[x2]").map_or(f64::NAN, |p| {
        worst(
            [(p.q05, 0.2067), (p.q50, 0.2484), (p.q95, 0.3978)]
                .map(|(ours, reference)| (ours / reference - 1.0).abs()),
        )
    });
    table.row(
        names[2],
        quantiles,
        None,
        bars[2],
        "heavy tail: compared by quantiles",
    );
    table.row(names[3], worst_convergence(fit).1, None, bars[3], "");
    let per_second =
        |runs: &[(Fit, f64)]| median(runs.iter().map(|(fit, s)| worst_convergence(fit).0 / s));
    let path = reference::repository(EXAMPLE).display().to_string();
    for (name, ours, arguments, stored, times) in [
        (
            "PyMC example: smallest ESS per second, 2 × (1,000 + 1,000)",
            per_second(&short),
            ["2", "1000", "1000", "0.9"],
            15.0,
            100.0,
        ),
        (
            "PyMC example: smallest ESS per second, 4 × (2,000 + 10,000)",
            per_second(&long),
            ["4", "2000", "10000", "0.95"],
            98.0,
            20.0,
        ),
    ] {
        let [chains, tune, draws, target] = arguments;
        let theirs: Reference =
            reference::python("mix", "mix.py", &[&path, chains, tune, draws, target, "1"])
                .and_then(|v| Some(v["ess"].as_f64()? / v["seconds"].as_f64()?))
                .map_or(Some((stored, Source::Stored)), |v| {
                    Some((v, Source::Measured))
                });
        table.row(
            name,
            ours,
            theirs,
            Bar::LiveRatioAtLeast(times),
            match theirs {
                Some((_, Source::Measured)) => {
                    "median of 5 seeds; reference: PyMC-Marketing with numpyro, one seed, end to end"
                }
                _ => {
                    "not measured: PyMC-Marketing cannot be run here, the stored figure is shown; median of 5 seeds"
                }
            },
        );
    }
    // What happened is known here: the data were simulated.
    let request = Request {
        seed: 1,
        ..example()
    };
    let start = Instant::now();
    let fast = mix::fit(&request, &data, THREADS, &never).expect("the example is sound");
    let seconds = start.elapsed().as_secs_f64();
    let error = worst(
        pairs(&fast.channels, &[274_848.3, 65_906.0])
            .map(|(c, truth)| (c.contribution.median / truth - 1.0).abs()),
    );
    table.row(
        "PyMC example: fast fit, seconds",
        seconds,
        None,
        Bar::Shown,
        "",
    );
    table.row(
        "PyMC example: fast fit, worst error of a channel's true contribution",
        error,
        None,
        Bar::Shown,
        "median contribution; truth 274,848 and 65,906",
    );
}

/// Stops while it searches, while it samples and while it reads the draws; the same bits on one thread and on two.
fn conduct(table: &mut Table) {
    let data = example_data();
    let request = Request {
        method: Method::Sample {
            chains: 4,
            warmup: 1000,
            draws: 2000,
            target_accept: 0.85,
        },
        seed: 1,
        ..example()
    };
    let started = Instant::now();
    let (alone, draws) =
        mix::fit_with_draws(&request, &data, 1, &never).expect("the example is sound");
    let whole = started.elapsed();
    let (together, same) =
        mix::fit_with_draws(&request, &data, 2, &never).expect("the example is sound");
    table.row(
        "PyMC example: posteriors that differ between one thread and two",
        f64::from(u8::from(alone != together || draws != same)),
        None,
        Bar::AtMost(0.0),
        "every draw and every summary, bit for bit",
    );
    let mut late = Vec::new();
    for twentieth in 1..20 {
        let until = whole * twentieth / 20;
        let started = Instant::now();
        let stop = || started.elapsed() > until;
        let result = mix::fit(&request, &data, 1, &stop);
        let elapsed = started.elapsed();
        match result {
            // It was done before it was asked: nothing can be said.
            Ok(_) if elapsed < until => {}
            // Done in spite of having been asked counts like stopped: the rest of the run is what it took.
            Ok(_) | Err(MixError::Cancelled(_)) => {
                late.push(elapsed.saturating_sub(until).as_secs_f64() * 1e3);
            }
            Err(_) => late.push(f64::NAN),
        }
    }
    let note = format!(
        "asked at {} moments of a run of 4 × (1,000 + 2,000), wall, the longest",
        late.len()
    );
    // Runs differ in length by a few moments at most; with fewer moments the row says too little.
    let longest = if late.len() >= 15 {
        worst(late)
    } else {
        f64::NAN
    };
    table.row(
        "PyMC example: ms from asking to stop until it has stopped",
        longest,
        None,
        Bar::AtMost(50.0),
        &note,
    );
}

/// Meridian's default media priors.
fn meridian_channel(i: usize) -> Channel {
    Channel {
        exposure: Some(format!("Channel{i}_impression")),
        lags: 9,
        saturation: Saturation::Hill,
        adstock_priors: vec![Prior::Uniform {
            low: 0.0,
            high: 1.0,
        }],
        saturation_priors: vec![
            Prior::Fixed { value: 1.0 },
            Prior::TruncatedNormal {
                mean: 0.8,
                sd: 0.8,
                low: 0.1,
                high: 10.0,
            },
        ],
        roi: Some(Prior::LogNormal { mean: 0.2, sd: 0.9 }),
        ..Channel::of_spend(&format!("Channel{i}"), &format!("Channel{i}_spend"))
    }
}

fn meridian(channels: usize, controls: &[&str], varies: bool) -> Request {
    let mut request = Request {
        value: Some("revenue_per_conversion".to_owned()),
        scaling: Scaling::Standard,
        trend: Trend::Knots(10),
        controls: controls
            .iter()
            .map(|c| Control {
                column: (*c).to_owned(),
                prior: None,
                varies,
            })
            .collect(),
        ..Request::new(
            "conversions",
            "time",
            (0..channels).map(meridian_channel).collect(),
        )
    };
    request.priors.control = Prior::Normal { mean: 0.0, sd: 5.0 };
    request.priors.noise = Prior::HalfNormal { sd: 5.0 };
    request
}

/// What Meridian 2.1.0 made of its national example: 2 chains of 1,000 draws, whose own Monte Carlo error of a mean is 0.02 to
/// 0.05 sd.
struct Meridian {
    source: Source,
    /// Wall seconds.
    fit: f64,
    /// Wall seconds.
    optimise: f64,
    /// Smallest bulk ESS.
    ess: f64,
    /// Mean and sd of each channel's return.
    returns: Vec<(f64, f64)>,
}

impl Meridian {
    fn measured() -> Option<Self> {
        let path = reference::data("data/meridian/national_all_channels.csv")?;
        let said = reference::python("meridian", "meridian_national.py", &[path.to_str()?])?;
        Some(Self {
            source: Source::Measured,
            fit: said["fit"].as_f64()?,
            optimise: said["optimise"].as_f64()?,
            ess: said["ess"].as_f64()?,
            returns: serde_json::from_value(said["returns"].clone()).ok()?,
        })
    }

    fn stored() -> Self {
        Self {
            source: Source::Stored,
            fit: 52.8,
            optimise: 23.3,
            ess: 402.0,
            returns: vec![
                (1.168, 0.813),
                (1.281, 0.964),
                (2.047, 1.795),
                (1.060, 0.582),
                (1.029, 0.655),
            ],
        }
    }
}

fn meridian_national(table: &mut Table) {
    let names = [
        "Meridian national: fit and optimise, seconds",
        "Meridian national: smallest bulk ESS",
        "Meridian national: worst posterior mean of a return, Meridian's sd from it",
        "Meridian national: worst posterior sd of a return, relative difference",
        "Meridian national: largest R-hat",
    ];
    let bars = [
        Bar::TimesFaster(20.0),
        Bar::AtLeast(402.0),
        Bar::AtMost(0.15),
        Bar::AtMost(0.15),
        Bar::AtMost(1.01),
    ];
    let Some(data) = csv("data/meridian/national_all_channels.csv") else {
        for (name, bar) in names.iter().zip(bars) {
            table.not_measured(name, bar, "data/meridian is not at hand");
        }
        return;
    };
    let request = Request {
        method: Method::Sample {
            chains: 4,
            warmup: 600,
            draws: 1000,
            target_accept: 0.85,
        },
        seed: 1,
        ..meridian(
            5,
            &["competitor_sales_control", "sentiment_score_control"],
            false,
        )
    };
    let start = Instant::now();
    let fit = mix::fit(&request, &data, THREADS, &never).expect("the file is sound");
    let plan = mix::reallocate(&fit.channels, 0.7, 1.3).expect("there is spend");
    let seconds = start.elapsed().as_secs_f64();
    let gain: f64 = plan.iter().map(|s| s.value_to - s.value_from).sum();
    let (ess, rhat) = worst_convergence(&fit);
    let theirs = Meridian::measured().unwrap_or_else(Meridian::stored);
    table.row(
        names[0],
        seconds,
        Some((theirs.fit + theirs.optimise, theirs.source)),
        bars[0],
        &format!(
            "Meridian 2.1.0: {:.1} s + {:.1} s; same spend ±30 % gains {gain:.3e} in money",
            theirs.fit, theirs.optimise
        ),
    );
    table.row(
        names[1],
        ess,
        Some((theirs.ess, theirs.source)),
        bars[1],
        "all parameters",
    );
    let (mut means, mut sds) = (Vec::new(), Vec::new());
    for (i, (mean, sd)) in theirs.returns.iter().enumerate() {
        let ours = fit.parameter(&format!("roi[Channel{i}]"));
        let (m, s) = ours.map_or((f64::NAN, f64::NAN), |p| (p.mean, p.sd));
        means.push(((m - mean) / sd).abs());
        sds.push((s / sd - 1.0).abs());
    }
    assert_eq!(means.len(), 5, "a return per channel");
    table.row(names[2], worst(means), None, bars[2], "of five");
    table.row(
        names[3],
        worst(sds),
        None,
        bars[3],
        "of five; tails are heavy and Meridian kept 2,000 draws",
    );
    table.row(names[4], rhat, None, bars[4], "");
}

/// Fits, samples and forecasts one data set; `hidden` is the length of an origin's future.
struct Bench<'a> {
    name: &'a str,
    data: &'a Data,
    request: Request,
    group: Option<&'a str>,
    warmup: usize,
    draws: usize,
    origins: usize,
}

impl Bench<'_> {
    const HIDDEN: usize = 12;

    fn measure(&self, table: &mut Table) {
        let name = |what: &str| format!("{}: {what}", self.name);
        let start = Instant::now();
        let fast = mix::fit(&self.request, self.data, THREADS, &never).expect("the file is sound");
        table.row(
            &name("fast fit, seconds"),
            start.elapsed().as_secs_f64(),
            None,
            Bar::AtMost(5.0),
            &format!("R² {:.3}", fast.health.r_squared),
        );
        let sampled = Request {
            method: Method::Sample {
                chains: 4,
                warmup: self.warmup,
                draws: self.draws,
                target_accept: 0.85,
            },
            ..self.request.clone()
        };
        let start = Instant::now();
        let fit = mix::fit(&sampled, self.data, THREADS, &never).expect("the file is sound");
        let (ess, rhat) = worst_convergence(&fit);
        table.row(
            &name("NUTS, seconds on two threads"),
            start.elapsed().as_secs_f64(),
            None,
            Bar::AtMost(60.0),
            &format!("4 × ({} + {})", self.warmup, self.draws),
        );
        table.row(
            &name("NUTS, largest R-hat"),
            rhat,
            None,
            Bar::AtMost(1.01),
            "all parameters",
        );
        table.row(
            &name("NUTS, smallest bulk ESS"),
            ess,
            None,
            Bar::AtLeast(400.0),
            "",
        );
        let (mut ours, mut coverage, mut naive, mut ridge) = (0.0, [0.0; 3], 0.0, 0.0);
        let mut days: Vec<&String> = self
            .data
            .text(self.request.date.as_deref().unwrap_or(""))
            .expect("dates")
            .iter()
            .collect();
        days.sort();
        days.dedup();
        for k in 0..self.origins {
            let end = days.len() - k * Self::HIDDEN;
            let last = days[end - 1];
            let all = self
                .data
                .text(self.request.date.as_deref().unwrap_or(""))
                .expect("dates");
            let seen = self.data.filter(|i| all[i] <= *last);
            let score: Holdout = mix::forecast(&self.request, &seen, Self::HIDDEN, THREADS, &never)
                .expect("the file is sound")
                .expect("outcomes are known");
            ours += score.rmse / self.origins as f64;
            naive += score.rmse_naive.expect("a year before is known") / self.origins as f64;
            for (sum, c) in
                coverage
                    .iter_mut()
                    .zip([score.coverage_50, score.coverage_80, score.coverage_95])
            {
                *sum += c / self.origins as f64;
            }
            ridge += self.without_media(&seen, days[end - Self::HIDDEN]) / self.origins as f64;
        }
        let note = format!("mean of {} origins of 12 weeks, fast fit", self.origins);
        table.row(
            &name("RMSE of forecasts, against ridge without media"),
            ours,
            Some((ridge, Source::Measured)),
            Bar::RatioAtMost(1.1),
            &note,
        );
        table.row(
            &name("RMSE of forecasts, against the year before"),
            ours,
            Some((naive, Source::Measured)),
            Bar::RatioAtMost(0.6),
            &note,
        );
        for (level, covered) in ["50", "80", "95"].iter().zip(coverage) {
            table.row(
                &name(&format!("share of outcomes inside the {level} % interval")),
                covered,
                None,
                Bar::Shown,
                &note,
            );
        }
    }

    /// RMSE of a ridge regression on the same baseline (constant or knots, trend, season, controls; per group where the model lets
    /// them differ), its penalty by leave-one-out error on what was seen.
    fn without_media(&self, data: &Data, first_hidden: &str) -> f64 {
        let days = data
            .text(self.request.date.as_deref().unwrap_or(""))
            .expect("dates");
        let rows = data.rows();
        let size = match &self.request.size {
            Some(name) => data.numbers(name).expect("sizes").to_vec(),
            None => vec![1.0; rows],
        };
        let y: Vec<f64> = data
            .numbers(&self.request.outcome)
            .expect("an outcome")
            .iter()
            .zip(&size)
            .map(|(y, s)| y / s)
            .collect();
        let mut calendar: Vec<&String> = days.iter().collect();
        calendar.sort();
        calendar.dedup();
        let period: Vec<usize> = days
            .iter()
            .map(|d| calendar.binary_search(&d).expect("in the calendar"))
            .collect();
        let n = calendar.len();
        let groups: Vec<usize> = self.group.map_or(vec![0; rows], |column| {
            let names = data.text(column).expect("groups");
            let mut distinct: Vec<&String> = names.iter().collect();
            distinct.sort();
            distinct.dedup();
            names
                .iter()
                .map(|g| distinct.binary_search(&g).expect("a group"))
                .collect()
        });
        let count = groups.iter().max().map_or(1, |m| m + 1);
        let mut columns: Vec<Vec<f64>> = Vec::new();
        match self.request.trend {
            Trend::Knots(k) => {
                for knot in 0..k {
                    let seen = n - Self::HIDDEN;
                    let place = |i: usize| ((seen - 1) as f64 * i as f64 / (k - 1) as f64).floor();
                    columns.push(
                        period
                            .iter()
                            .map(|t| {
                                let t = *t as f64;
                                let centre = place(knot);
                                let side = if t < centre {
                                    knot.checked_sub(1)
                                } else {
                                    Some(knot + 1)
                                };
                                match side.filter(|s| *s < k) {
                                    _ if t == centre => 1.0,
                                    Some(s) => (1.0
                                        - (t - centre).abs() / (place(s) - centre).abs())
                                    .max(0.0),
                                    // The last knot's value goes on.
                                    None => f64::from(u8::from(t > centre)),
                                }
                            })
                            .collect(),
                    );
                }
            }
            trend => {
                columns.push(vec![1.0; rows]);
                if trend == Trend::Linear {
                    columns.push(period.iter().map(|t| *t as f64 / n as f64).collect());
                }
            }
        }
        for k in 1..=self.request.season.map_or(0, |s| s.harmonics) {
            for phase in [0.0, 0.25] {
                columns.push(
                    days.iter()
                        .map(|d| {
                            let day = chrono::Datelike::ordinal(
                                &d.parse::<chrono::NaiveDate>().expect("a date"),
                            );
                            let angle = k as f64 * f64::from(day) / 365.25 + phase;
                            (2.0 * std::f64::consts::PI * angle).sin()
                        })
                        .collect(),
                );
            }
        }
        let own = |values: &[f64], g: usize| -> Vec<f64> {
            let pick = |(v, h): (&f64, &usize)| if *h == g { *v } else { 0.0 };
            values.iter().zip(&groups).map(pick).collect()
        };
        for g in 1..count {
            columns.push(own(&vec![1.0; rows], g));
        }
        for control in &self.request.controls {
            let values = data.numbers(&control.column).expect("a control");
            columns.push(values.to_vec());
            if control.varies {
                columns.extend((1..count).map(|g| own(values, g)));
            }
        }
        let seen: Vec<usize> = (0..rows)
            .filter(|i| days[*i].as_str() < first_hidden)
            .collect();
        let cut = |v: &[f64]| -> Vec<f64> { seen.iter().map(|i| v[*i]).collect() };
        // Columns of unit size, so that one penalty fits all.
        for column in &mut columns {
            let norm = dot(&cut(column), &cut(column)).sqrt().max(1e-300);
            column.iter_mut().for_each(|v| *v /= norm);
        }
        let z: Vec<Vec<f64>> = columns.iter().map(|c| cut(c)).collect();
        let target = cut(&y);
        let moments: Vec<f64> = z.iter().map(|c| dot(c, &target)).collect();
        let mut best = (f64::INFINITY, Vec::new());
        for power in -8..=0 {
            let penalty = vec![10f64.powi(power); z.len()];
            let gram = Cholesky::of_gram(&z, &penalty);
            let coefficients = gram.solve(&moments);
            let mut residual = target.clone();
            for (column, k) in z.iter().zip(&coefficients) {
                add_scaled(&mut residual, -k, column);
            }
            let error: f64 = (0..seen.len())
                .map(|i| {
                    let row: Vec<f64> = z.iter().map(|c| c[i]).collect();
                    (residual[i] / (1.0 - gram.quadratic(&row)).max(1e-6)).powi(2)
                })
                .sum();
            if error < best.0 {
                best = (error, coefficients);
            }
        }
        let hidden: Vec<usize> = (0..rows)
            .filter(|i| days[*i].as_str() >= first_hidden)
            .collect();
        let squares: f64 = hidden
            .iter()
            .map(|i| {
                let forecast: f64 = columns.iter().zip(&best.1).map(|(c, k)| c[*i] * k).sum();
                ((y[*i] - forecast) * size[*i]).powi(2)
            })
            .sum();
        (squares / hidden.len() as f64).sqrt()
    }
}

fn meridian_geo(table: &mut Table) {
    let Some(data) = csv("data/meridian/geo_media.csv") else {
        table.not_measured("Meridian geo", Bar::Shown, "data/meridian is not at hand");
        return;
    };
    let controls = [
        "competitor_activity_score_control",
        "sentiment_score_control",
    ];
    Bench {
        name: "Meridian geo",
        data: &data,
        request: Request {
            group: Some("geo".to_owned()),
            size: Some("population".to_owned()),
            seed: 1,
            ..meridian(4, &controls, true)
        },
        group: Some("geo"),
        warmup: 800,
        draws: 1600,
        origins: 3,
    }
    .measure(table);
}

fn robyn(table: &mut Table) {
    let Some(data) = csv("data/robyn/dt_simulated_weekly.csv") else {
        table.not_measured("Robyn weekly", Bar::Shown, "data/robyn is not at hand");
        return;
    };
    let channel = |name: &str, exposure: &str, spend: &str| Channel {
        exposure: Some(exposure.to_owned()),
        ..Channel::of_spend(name, spend)
    };
    let channels = vec![
        channel("tv", "tv_S", "tv_S"),
        channel("ooh", "ooh_S", "ooh_S"),
        channel("print", "print_S", "print_S"),
        channel("facebook", "facebook_I", "facebook_S"),
        channel("search", "search_clicks_P", "search_S"),
    ];
    Bench {
        name: "Robyn weekly",
        data: &data,
        request: Request {
            trend: Trend::Linear,
            season: Some(Season { harmonics: 2 }),
            controls: ["competitor_sales_B", "newsletter"]
                .map(|c| Control {
                    column: c.to_owned(),
                    prior: None,
                    varies: false,
                })
                .to_vec(),
            seed: 1,
            ..Request::new("revenue", "DATE", channels)
        },
        group: None,
        warmup: 800,
        draws: 1500,
        origins: 6,
    }
    .measure(table);
}
