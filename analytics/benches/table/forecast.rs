//! The forecasting recipes on the M3 monthly and quarterly series, single models beside statsforecast's, panels, hierarchies.
//!
//! The recipes, their weights and the calibration of their intervals know only the training part of each series.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use analytics::cancel::{Cancelled, never};
use analytics::forecast::{
    Model, Options, Recipe, Step, coverage, ets, forecast, forecast_with,
    panel::{Request, forecasts, run},
    reconcile::{Group, Hierarchy, Method, reconcile},
    refresh::Tracker,
    regress::{Driver, forecast_driven},
};
use analytics::rng;
use serde_json::Value;

use super::clock::Clock;
use super::figures::{apart, median, pairs, worst};
use super::m3::{self, Collection};
use super::models::{round, stored_scores};
use super::reference::{data, python};
use super::report::{Bar, Source, Table};

pub(crate) fn measure(table: &mut Table) {
    for name in ["m3_monthly", "m3_quarterly"] {
        match m3::collection(name) {
            Some(collection) => {
                let live = statsforecast(&collection);
                recipes(table, &collection, live.as_ref());
                singles(table, &collection, live.as_ref());
            }
            None => table.not_measured(
                &format!("recipes and models {name}"),
                Bar::Shown,
                "the M3 series are not at hand",
            ),
        }
    }
    panel(table);
    edges(table);
    hierarchy(table);
    drivers(table);
    refresh(table);
}

/// A collection's training parts with numbers for names.
fn training(collection: &Collection) -> Vec<(String, Vec<f64>)> {
    let numbered = collection.series.iter().enumerate();
    numbered
        .map(|(i, series)| (i.to_string(), series.train.clone()))
        .collect()
}

fn mean_only(points: Vec<f64>) -> m3::Forecast {
    m3::Forecast {
        low95: points.clone(),
        high95: points.clone(),
        mean: points,
    }
}

fn scored(steps: &[Step]) -> m3::Forecast {
    m3::Forecast {
        mean: steps.iter().map(|s| s.mean).collect(),
        low95: steps.iter().map(|s| s.low95).collect(),
        high95: steps.iter().map(|s| s.high95).collect(),
    }
}

/// Every so many series of a collection are given to statsforecast.
fn stride(collection: &Collection) -> usize {
    if collection.period == 12 { 20 } else { 10 }
}

/// Forecasts and times of statsforecast's models on a part of the collection.
fn statsforecast(collection: &Collection) -> Option<Value> {
    let path = data(&format!("data/forecasting/{}.csv", collection.name))?;
    let arguments = [collection.period, collection.horizon, stride(collection)];
    let [period, horizon, stride] = &arguments.map(|n| n.to_string());
    // The environment is that of the other models: it holds the same package.
    python(
        "models",
        "forecast.py",
        &[&path.to_string_lossy(), period, horizon, stride],
    )
}

fn recipes(table: &mut Table, collection: &Collection, live: Option<&Value>) {
    let name = collection.name;
    let monthly = name == "m3_monthly";
    let series = training(collection);
    for recipe in [Recipe::Auto, Recipe::Cheap] {
        let (title, owa, cpu) = match (recipe, monthly) {
            (Recipe::Auto, true) => ("auto", Bar::AtMost(0.802), Bar::AtMost(40.0)),
            (Recipe::Auto, false) => ("auto", Bar::AtMost(0.891), Bar::AtMost(40.0)),
            (Recipe::Cheap, true) => ("cheap", Bar::AtMost(0.809), Bar::AtMost(5.0)),
            (Recipe::Cheap, false) => ("cheap", Bar::Shown, Bar::AtMost(5.0)),
        };
        let stored = match (recipe, monthly) {
            (Recipe::Auto, true) => "SCUM median(CES,ETS,ARIMA,DOT)",
            (Recipe::Auto, false) => "ens_mean(CES,ETS,ARIMA,DOT)",
            (Recipe::Cheap, _) => "ens_mean(ETSdamped,Theta,DOT)",
        };
        let reference = |column: &str| {
            let rows = stored_scores(name);
            let row = rows.iter().find(|row| row[""] == stored)?;
            Some((row.get(column)?.parse().ok()?, Source::Stored))
        };
        let options = Options {
            recipe,
            ..Options::new(collection.horizon, collection.period)
        };
        let request = Request {
            series: &series,
            options,
            model: None,
            threads: 1,
        };
        let begun = Clock::now();
        let made = forecasts(&request, &never).expect("nobody cancels");
        let each = begun.milliseconds() / series.len() as f64;
        let steps: Vec<Vec<Step>> = made
            .into_iter()
            .map(|made| made.expect("M3 series have values").steps)
            .collect();
        let forecasts: Vec<m3::Forecast> = steps.iter().map(|steps| scored(steps)).collect();
        let score = m3::score(collection, &forecasts);
        let count = series.len() as f64;
        let covered80 = steps
            .iter()
            .zip(&collection.series)
            .map(|(steps, series)| coverage(&series.test, steps).0)
            .sum::<f64>()
            / count;
        let note = format!("sMAPE {:.3}, MASE {:.3}; {stored}", score.smape, score.mase);
        table.row(
            &format!("{title} {name}: OWA"),
            score.owa,
            reference("owa"),
            owa,
            &note,
        );
        if recipe == Recipe::Auto {
            let most = if monthly { 0.799 } else { 0.883 };
            table.row(
                &format!("{title} {name}: OWA, the further bar"),
                score.owa,
                None,
                Bar::AtMost(most),
                "",
            );
        }
        table.row(
            &format!("{title} {name}: share inside the 95 % intervals"),
            score.coverage95,
            reference("cov95"),
            Bar::Within(0.94, 0.97),
            "",
        );
        table.row(
            &format!("{title} {name}: share inside the 80 % intervals"),
            covered80,
            reference("cov80"),
            Bar::Shown,
            "",
        );
        let bar = if monthly {
            Bar::AtMost(6.4)
        } else {
            Bar::Shown
        };
        table.row(
            &format!("{title} {name}: MSIS 95 %"),
            score.msis95,
            reference("MSIS95"),
            bar,
            "",
        );
        table.row(
            &format!("{title} {name}: CPU ms per series, backtest and intervals included"),
            each,
            None,
            cpu,
            "one thread",
        );
        if recipe == Recipe::Cheap {
            let options = Options {
                folds: 0,
                ..options
            };
            let begun = Clock::now();
            for (_, values) in &series {
                std::hint::black_box(forecast(values, &options).expect("M3 series have values"));
            }
            let theirs: Option<f64> = live.and_then(|live| {
                ["damped_ets", "theta", "dynamic_theta"]
                    .iter()
                    .map(|model| live[model]["ms"].as_f64())
                    .sum()
            });
            table.row(
                &format!("{title} {name}: CPU ms per series without backtest"),
                begun.milliseconds() / count,
                theirs
                    .map(|ms| (ms, Source::Measured))
                    .or(monthly.then_some((41.0, Source::Stored))),
                Bar::AtMost(2.0),
                "one thread; reference: the same three models of statsforecast together, on a part of the series",
            );
        }
    }
}

/// Theta, dynamic Theta and ETS, without backtest, beside statsforecast's.
fn singles(table: &mut Table, collection: &Collection, theirs: Option<&Value>) {
    let name = collection.name;
    let (period, horizon) = (collection.period, collection.horizon);
    let stride = stride(collection);
    let stored = stored_scores(name);
    for (model, stored_name) in [
        (Model::Theta, "Theta"),
        (Model::DynamicTheta, "DOT"),
        (Model::DampedEts, "AutoETSdamped"),
        (Model::Ets, "AutoETS"),
    ] {
        let options = Options {
            folds: 0,
            ..Options::new(horizon, period)
        };
        let run = |values: &[f64]| {
            let made = forecast_with(values, &options, model).expect("M3 series have values");
            made.steps.iter().map(|s| s.mean).collect::<Vec<f64>>()
        };
        let points: Vec<Vec<f64>> = collection.series.iter().map(|s| run(&s.train)).collect();
        let forecasts: Vec<m3::Forecast> = points.iter().cloned().map(mean_only).collect();
        let score = m3::score(collection, &forecasts);
        let their_owa = stored
            .iter()
            .find(|row| row[""] == stored_name)
            .and_then(|row| row["owa"].parse::<f64>().ok());
        let measured = theirs.map(|theirs| &theirs[model.name()]);
        let apart = measured
            .and_then(|measured| {
                serde_json::from_value::<Vec<Vec<f64>>>(measured["mean"].clone()).ok()
            })
            .map(|means| {
                let sample: Vec<&Vec<f64>> = points.iter().step_by(stride).collect();
                median(
                    pairs(&sample, &means)
                        .flat_map(|(ours, theirs)| pairs(ours, theirs))
                        // A forecast of zero has no relative distance.
                        .filter(|(_, theirs)| **theirs != 0.0)
                        .map(|(ours, theirs)| (ours - theirs).abs() / theirs.abs()),
                )
            });
        let title = model.name();
        // One of the two is asked for: the same forecasts, or better ones.
        let better = their_owa.is_some_and(|theirs| score.owa <= theirs);
        let bar = if better {
            Bar::Shown
        } else {
            Bar::AtMost(0.01)
        };
        match apart {
            Some(apart) => table.row(
                &format!("{title} {name}: median relative distance to the reference"),
                apart,
                None,
                bar,
                if better {
                    "at most 0.01 is asked for where the OWA is not lower"
                } else {
                    "the OWA is not lower, so the forecasts must be the same"
                },
            ),
            None => table.not_measured(
                &format!("{title} {name}: median relative distance to the reference"),
                bar,
                "statsforecast cannot be run here",
            ),
        }
        table.row(
            &format!("{title} {name}: OWA"),
            score.owa,
            their_owa.map(|owa| (owa, Source::Stored)),
            Bar::Shown,
            &format!("statsforecast {stored_name}"),
        );
        let sample: Vec<_> = collection.series.iter().step_by(stride).collect();
        let rounds = 5;
        let begun = Clock::now();
        for _ in 0..rounds {
            for series in &sample {
                std::hint::black_box(run(&series.train));
            }
        }
        let ours = begun.milliseconds() / (rounds * sample.len()) as f64;
        let their_time = measured.and_then(|measured| measured["ms"].as_f64());
        table.row(
            &format!("{title} {name}: CPU ms per series, every {stride}th"),
            ours,
            their_time.map(|time| (time, Source::Measured)),
            Bar::TimesFaster(10.0),
            "intervals included, one thread each",
        );
    }
}

/// A made-up panel: trends, seasons and noise, all positive.
fn world(series: usize, length: usize) -> Vec<(String, Vec<f64>)> {
    (0..series)
        .map(|i| {
            let mut random = rng::stream(11, &[i as u64]);
            let level = 1000.0 * (0.8 * rng::normal(&mut random)).exp();
            let slope = 0.002 * level * rng::normal(&mut random);
            let season: Vec<f64> = (0..12)
                .map(|_| 0.1 * level * rng::normal(&mut random))
                .collect();
            let mut walk = 0.0;
            let values = (0..length).map(|t| {
                walk = 0.9 * walk + 0.05 * level * rng::normal(&mut random);
                let value = level + slope * t as f64 + season[t % 12] + walk;
                value.max(0.02 * level)
            });
            (format!("series {i}"), values.collect())
        })
        .collect()
}

fn panel(table: &mut Table) {
    let series = world(10_000, 120);
    let request = Request {
        series: &series,
        options: Options::new(12, 12),
        model: None,
        threads: 2,
    };
    // Memory that other topics have needed does not count for this one's peak.
    let cleared = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let (begun, spent) = (Instant::now(), processor_seconds());
    let two = run(&request, &never).expect("values are known and nobody cancels");
    let wall = begun.elapsed().as_secs_f64();
    let title = "panel of 10,000 × 120, cheap, two threads";
    table.row(
        &format!("{title}: seconds"),
        wall,
        None,
        Bar::AtMost(25.0),
        "wall; backtest and calibrated intervals included",
    );
    let name = format!("{title}: processor seconds");
    match spent.zip(processor_seconds()) {
        Some((before, after)) => {
            table.row(&name, after - before, None, Bar::Shown, "both threads");
        }
        None => table.not_measured(&name, Bar::Shown, "this system does not tell"),
    }
    let input = (series.len() * 120 * 8) as f64 / 1e6;
    let most = round(3.0 * input + 200.0);
    match peak().filter(|_| cleared) {
        Some(peak) => table.row(
            "panel of 10,000 × 120, cheap: MB of memory at the peak",
            peak,
            None,
            Bar::AtMost(most),
            &format!("the whole process; the input has {input} MB"),
        ),
        None => table.not_measured(
            "panel of 10,000 × 120, cheap: MB of memory at the peak",
            Bar::AtMost(most),
            "this system does not tell",
        ),
    }
    let small = Request {
        series: &series[..500],
        options: Options {
            recipe: Recipe::Auto,
            ..request.options
        },
        ..request
    };
    let one = run(
        &Request {
            threads: 1,
            ..small
        },
        &never,
    )
    .expect("nobody cancels");
    let other = run(&small, &never).expect("nobody cancels");
    let cheap = run(
        &Request {
            threads: 1,
            ..request
        },
        &never,
    )
    .expect("nobody cancels");
    let differing = |a: &[_], b: &[_]| pairs(a, b).filter(|(a, b)| a != b).count();
    table.row(
        "rows that differ between one and two threads",
        (differing(&one, &other) + differing(&cheap, &two)) as f64,
        None,
        Bar::AtMost(0.0),
        "auto on 500 series, cheap on 10,000",
    );
    let stop = AtomicBool::new(false);
    let asked = || stop.load(Ordering::Relaxed);
    let delay = std::thread::scope(|scope| {
        let request = Request {
            series: &series,
            ..small
        };
        let asked = &asked;
        let work = scope.spawn(move || {
            let ended = run(&request, asked).err();
            (ended, Instant::now())
        });
        std::thread::sleep(Duration::from_millis(500));
        let since = Instant::now();
        stop.store(true, Ordering::Relaxed);
        let (ended, when) = work.join().expect("it does not panic");
        let stopped = ended == Some(Cancelled.into());
        stopped.then(|| 1e3 * when.duration_since(since).as_secs_f64())
    });
    match delay {
        Some(delay) => table.row(
            "from the wish to cancel to the end: ms",
            delay,
            None,
            Bar::AtMost(50.0),
            "auto, two threads",
        ),
        None => table.not_measured(
            "from the wish to cancel to the end: ms",
            Bar::AtMost(50.0),
            "it ended before",
        ),
    }
}

/// Time all threads of this process have spent on processors.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may hold blanks; user and system time are the 12th and 13th field after it, in hundredths.
    let mut fields = text.rsplit(')').next()?.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

/// Resident memory at its largest, in MB.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1e3)
}

/// Series that break careless code.
fn edges(table: &mut Table) {
    let cases: [Vec<f64>; 10] = [
        Vec::new(),
        vec![f64::NAN; 30],
        vec![5.0],
        vec![0.0; 40],
        vec![7.0; 40],
        vec![
            1.0,
            f64::NAN,
            3.0,
            f64::INFINITY,
            2.0,
            4.0,
            3.0,
            5.0,
            f64::NAN,
        ],
        (0..60).map(|t| f64::from(u8::from(t % 7 == 0))).collect(),
        (0..40).map(|t| 1e300 * (1.0 + f64::from(t % 3))).collect(),
        (0..40).map(|t| 1e308 * f64::from(1 - t % 2)).collect(),
        (0..40)
            .map(|t| if t == 39 { 1e9 } else { 1.0 + f64::from(t % 2) })
            .collect(),
    ];
    let mut unsound = 0;
    for values in &cases {
        let known = values.iter().any(|v| v.is_finite());
        let floor = values.iter().filter(|v| v.is_finite()).all(|v| *v >= 0.0);
        for model in Model::ALL.into_iter().map(Some).chain([None]) {
            for recipe in [Recipe::Cheap, Recipe::Auto] {
                let options = Options {
                    recipe,
                    ..Options::new(6, 12)
                };
                let made = match model {
                    Some(model) => forecast_with(values, &options, model),
                    None => forecast(values, &options),
                };
                let sound = match made {
                    Ok(made) => {
                        known
                            && made.steps.len() == 6
                            && made.steps.iter().all(|s| {
                                let fan = [s.low95, s.low80, s.mean, s.high80, s.high95];
                                fan.iter().all(|v| v.is_finite())
                                    && fan.is_sorted()
                                    && (!floor || s.low95 >= 0.0)
                            })
                    }
                    // Beyond a size the squares of the values are no longer numbers, and saying so is the answer.
                    Err(_) => !known || values.iter().any(|v| v.is_finite() && v.abs() > 1e100),
                };
                unsound += usize::from(!sound);
            }
        }
    }
    table.row(
        "unsound answers to degenerate series",
        unsound as f64,
        None,
        Bar::AtMost(0.0),
        "empty, unknown, one value, constant, zero, gaps, intermittent, huge, a last outlier; all models",
    );
}

/// Twelve leaves in four brands and three projects that share the market's and their brand's swings.
fn hierarchy(table: &mut Table) {
    let names: Vec<Vec<String>> = (0..12)
        .map(|leaf| {
            vec![
                format!("brand {}", leaf / 3),
                format!("project {}", leaf % 3),
            ]
        })
        .collect();
    let (hierarchy, groups) = Hierarchy::grouped(&names).expect("there are leaves");
    let members = |group: &Group| -> Vec<usize> {
        (0..12)
            .filter(|leaf| {
                group
                    .as_ref()
                    .is_none_or(|(level, name)| names[*leaf][*level] == *name)
            })
            .collect()
    };
    let (n, h) = (100, 8);
    let (mut disagree, mut base, mut after) = (Vec::new(), 0.0, [0.0; 2]);
    for replicate in 0..20 {
        let mut random = rng::stream(5, &[replicate]);
        let mut walks = vec![vec![0.0; n + h]; 12];
        let mut market = 0.0;
        let mut brands = [0.0; 4];
        for t in 0..n + h {
            market += rng::normal(&mut random);
            for brand in &mut brands {
                *brand = 0.8 * *brand + 2.0 * rng::normal(&mut random);
            }
            for (leaf, walk) in walks.iter_mut().enumerate() {
                walk[t] = 100.0 + market + brands[leaf / 3] + 5.0 * rng::normal(&mut random);
            }
        }
        let mut rows = walks.clone();
        for group in &groups {
            let members = members(group);
            rows.push(
                (0..n + h)
                    .map(|t| members.iter().map(|leaf| walks[*leaf][t]).sum())
                    .collect(),
            );
        }
        let mut forecasts: Vec<Vec<f64>> = Vec::new();
        let mut errors = Vec::new();
        for row in &rows {
            let made = forecast(
                &row[..n],
                &Options {
                    folds: 0,
                    ..Options::new(h, 1)
                },
            );
            forecasts.push(
                made.expect("known values")
                    .steps
                    .iter()
                    .map(|s| s.mean)
                    .collect(),
            );
            // One-step errors over the last forty known values, by a tracker fitted before them.
            let options = Options {
                folds: 0,
                ..Options::new(1, 1)
            };
            let mut tracker = Tracker::fit(&row[..n - 40], &options).expect("known values");
            let mut list = Vec::with_capacity(40);
            for value in &row[n - 40..n] {
                list.push(value - tracker.forecast(1)[0].mean);
                tracker.update(&[*value]);
            }
            errors.push(list);
        }
        for (node, row) in rows.iter().enumerate() {
            let errors = pairs(&forecasts[node], &row[n..]);
            base += errors.map(|(f, a)| (f - a).powi(2)).sum::<f64>();
        }
        for (total, method) in after.iter_mut().zip([Method::default(), Method::MinTrace]) {
            let made = reconcile(&hierarchy, &forecasts, &errors, method, true)
                .expect("finite rows of equal lengths");
            for (k, group) in groups.iter().enumerate() {
                let members = members(group);
                for step in 0..h {
                    let sum: f64 = members.iter().map(|leaf| made.values[*leaf][step]).sum();
                    let whole = made.values[12 + k][step];
                    disagree.push(apart(sum, whole));
                }
            }
            for (values, row) in pairs(&made.values, &rows) {
                let errors = pairs(values, &row[n..]);
                *total += errors.map(|(f, a)| (f - a).powi(2)).sum::<f64>();
            }
        }
    }
    table.row(
        "hierarchy: largest disagreement of sums, relative",
        worst(disagree),
        None,
        Bar::AtMost(1e-9),
        "brand × project → portfolio, 12 leaves and 8 sums, 20 made-up worlds",
    );
    table.row(
        "hierarchy: root mean square error after over before, by variances",
        f64::sqrt(after[0] / base),
        None,
        Bar::AtMost(1.0),
        "the default; the same worlds",
    );
    table.row(
        "hierarchy: root mean square error after over before, minimum trace",
        f64::sqrt(after[1] / base),
        None,
        Bar::Shown,
        "forty errors of twenty nodes are few for a covariance",
    );
}

/// Sales that follow a planned spend, and sales that do not.
fn drivers(table: &mut Table) {
    let (n, h) = (104, 8);
    let world = |effect: f64, seed: u64| {
        let mut random = rng::stream(21, &[seed]);
        let mut carried = 0.0;
        let spend: Vec<f64> = (0..n + h)
            .map(|_| 50.0 * rng::normal(&mut random).abs())
            .collect();
        let sales: Vec<f64> = spend
            .iter()
            .map(|x| {
                carried = 0.7 * carried + 15.0 * rng::normal(&mut random);
                500.0 + carried + effect * x
            })
            .collect();
        (sales, spend)
    };
    let (mut with, mut without, mut wrongly) = (0.0, 0.0, 0usize);
    for seed in 0..40 {
        for effect in [1.0, 0.0] {
            let (sales, spend) = world(effect, 2 * seed + u64::from(effect > 0.0));
            let driver = Driver {
                name: "spend".to_owned(),
                past: spend[..n].to_vec(),
                future: spend[n..].to_vec(),
            };
            let options = Options::new(h, 1);
            let made = forecast_driven(&sales[..n], &[driver], &options).expect("sound input");
            if effect == 0.0 {
                wrongly += usize::from(made.used);
                continue;
            }
            let plain = forecast(&sales[..n], &options).expect("sound input");
            for (step, actual) in sales[n..].iter().enumerate() {
                with += (actual - made.forecast.steps[step].mean).abs();
                without += (actual - plain.steps[step].mean).abs();
            }
        }
    }
    table.row(
        "drivers: error with over error without, planted effect",
        with / without,
        None,
        Bar::AtMost(0.8),
        "40 made-up worlds, spend of the future known",
    );
    table.row(
        "drivers: worlds without effect in which they were used",
        wrongly as f64,
        None,
        Bar::AtMost(2.0),
        "of 40",
    );
}

fn refresh(table: &mut Table) {
    let series = world(300, 140);
    let (mut distances, mut spent, mut fitting) = (Vec::new(), 0.0, 0.0);
    for (_, values) in &series {
        let (past, new) = values.split_at(128);
        let kept = ets::fit(past, 12, ets::Pool::All).expect("the values differ");
        let mut updated = kept.clone();
        updated.update(new);
        let whole = kept.filtered(values);
        distances.extend(
            pairs(&updated.forecast(12).0, &whole.forecast(12).0)
                .map(|(a, b)| (a - b).abs() / b.abs()),
        );
        let begun = Clock::now();
        let mut tracker = Tracker::fit(past, &Options::new(12, 12)).expect("known values");
        fitting += begun.milliseconds();
        let begun = Clock::now();
        tracker.update(new);
        spent += begun.milliseconds();
    }
    table.row(
        "refresh: largest relative distance to filtering everything again",
        worst(distances),
        None,
        Bar::AtMost(1e-9),
        "ETS, 300 series, 12 new values",
    );
    let count = series.len() as f64;
    table.row(
        "refresh: CPU ms per new value, cheap recipe",
        spent / count / 12.0,
        Some((fitting / count, Source::Measured)),
        Bar::TimesFaster(10.0),
        "the reference is a fit with its backtest",
    );
}
