//! Topic `correlation`: all pairs, all lags, Granger tests and the graphical lasso on the panel with known links.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use analytics::cancel::never;
use analytics::correlation::known::{self, BRANDS, CAUSE, DAYS, EFFECT, METRICS};
use analytics::correlation::{
    CorrelationError, GrangerParams, GrangerTest, GraphicalLassoParams, SeriesBlock, SharedCancel,
    StabilityParams, clusters, granger, graphical_lasso, lagged, partial, pearson, shrunk,
    spearman, stability,
};

use serde_json::Value;

use super::figures::{median, pairs, worst};
use super::reference;
use super::report::{Bar, Reference, Source, Table};

/// Largest lag of the lagged correlations.
const LAGS: usize = 28;

pub(crate) fn measure(table: &mut Table) {
    let panel = known::panel();
    let all = SeriesBlock::new(DAYS, panel.clone()).expect("whole series");
    let metrics: Vec<SeriesBlock> = (0..METRICS)
        .map(|m| SeriesBlock::new(DAYS, known::metric(&panel, m)).expect("whole series"))
        .collect();
    let python = Python::run(&panel);
    products(table, &python, &all, &metrics);
    values(table, &all, &metrics);
    links(table, &python, &metrics);
    graphs(table, &python, &metrics[CAUSE]);
    threads(table, &all, &metrics);
    cancellation(table, &all, &metrics);
}

/// CPU seconds of this thread; wall seconds where the system does not say.
fn cpu() -> f64 {
    static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map_or_else(
            || BEGIN.get_or_init(Instant::now).elapsed().as_secs_f64(),
            |nanoseconds| 1e-9 * nanoseconds,
        )
}

/// What NumPy, SciPy, scikit-learn and statsmodels make of the panel.
struct Python(Option<Value>);

impl Python {
    fn run(panel: &[f64]) -> Self {
        let path = reference::repository("target/bench/known-panel.f64");
        let bytes: Vec<u8> = panel.iter().flat_map(|v| v.to_le_bytes()).collect();
        let written = std::fs::create_dir_all(path.parent().expect("it has a folder"))
            .and_then(|()| std::fs::write(&path, bytes));
        let run = || {
            written.ok()?;
            let sizes = [METRICS * BRANDS, DAYS, BRANDS, LAGS].map(|n| n.to_string());
            let tested = testdata("granger.csv");
            let mut arguments = vec![path.to_str()?];
            arguments.extend(sizes.iter().map(String::as_str));
            arguments.push(tested.to_str()?);
            reference::python("correlation", "correlation.py", &arguments)
        };
        Self(run())
    }

    /// A figure of this run.
    fn figure(&self, key: &str) -> Reference {
        let value = self.0.as_ref()?[key].as_f64()?;
        Some((value, Source::Measured))
    }

    /// A figure of this run, or an earlier one where it cannot be had.
    fn or_stored(&self, key: &str, stored: f64) -> Reference {
        self.figure(key).or(Some((stored, Source::Stored)))
    }
}

/// Median CPU seconds of several runs.
fn typical<T>(runs: usize, mut work: impl FnMut() -> T) -> f64 {
    median((0..runs).map(|_| {
        let begin = cpu();
        std::hint::black_box(work());
        cpu() - begin
    }))
}

fn products(table: &mut Table, python: &Python, all: &SeriesBlock, metrics: &[SeriesBlock]) {
    let ours = typical(7, || pearson(all, 1, &never).expect("correlations"));
    let ranked = typical(3, || spearman(all, 1, &never).expect("correlations"));
    let ours_lagged = typical(5, || {
        for block in metrics {
            std::hint::black_box(lagged(block, LAGS, 1, &never).expect("correlations"));
        }
    });
    let note = "CPU, one thread, medians; reference NumPy with OpenBLAS";
    table.row(
        "4,000 × 4,000 Pearson, 730 periods: seconds",
        ours,
        python.figure("pearson"),
        Bar::RatioAtMost(1.5),
        note,
    );
    table.row(
        "20 × (200 × 200 × 29 lags): seconds",
        ours_lagged,
        python.figure("lagged"),
        Bar::RatioAtMost(1.5),
        note,
    );
    table.row(
        "4,000 × 4,000 Spearman, 730 periods: seconds",
        ranked,
        python.or_stored("spearman", 0.541),
        Bar::RatioAtMost(1.5),
        "CPU, one thread, medians; reference: SciPy's ranks and NumPy's product",
    );
}

fn testdata(name: &str) -> PathBuf {
    reference::repository("analytics/testdata/correlation").join(name)
}

/// Rows of a file of expected values as numbers; text becomes NaN.
fn expected(name: &str) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(testdata(name))
        .expect("expected values are part of the repository");
    text.lines()
        .skip(1)
        .map(|line| {
            line.split(',')
                .map(|field| field.parse().unwrap_or(f64::NAN))
                .collect()
        })
        .collect()
}

fn values(table: &mut Table, all: &SeriesBlock, metrics: &[SeriesBlock]) {
    let plain = pearson(all, 2, &never).expect("correlations");
    let rows = expected("pearson.csv");
    let differences = rows.iter().map(|row| {
        let ours = plain.get(row[0] as usize, row[1] as usize);
        (ours.expect("both vary") - row[2]).abs()
    });
    table.row(
        "Pearson: largest difference from the expected values",
        worst(differences),
        None,
        Bar::AtMost(1e-9),
        &format!("{} values", rows.len()),
    );
    let by_metric: Vec<_> = metrics
        .iter()
        .map(|block| lagged(block, LAGS, 2, &never).expect("correlations"))
        .collect();
    let rows = expected("lagged.csv");
    let differences = rows.iter().map(|row| {
        let [metric, lag, leader, follower] = [0, 1, 2, 3].map(|k| row[k] as usize);
        let ours = by_metric[metric].get(lag, leader, follower);
        (ours.expect("both vary") - row[4]).abs()
    });
    table.row(
        "lagged: largest difference from the expected values",
        worst(differences),
        None,
        Bar::AtMost(1e-9),
        &format!("{} values", rows.len()),
    );
}

fn links(table: &mut Table, python: &Python, metrics: &[SeriesBlock]) {
    let test = |params: &GrangerParams| {
        let (causes, targets) = (&metrics[CAUSE], &metrics[EFFECT]);
        granger(causes, targets, &[], params, 1, &never).expect("tests")
    };
    let plain = GrangerParams {
        averages: false,
        ..GrangerParams::default()
    };
    let rows: Vec<Vec<f64>> = expected("granger.csv")
        .into_iter()
        .filter(|row| row[5] == 7.0)
        .collect();
    let tests = test(&plain);
    let statistics: Vec<f64> = rows
        .iter()
        .map(|row| {
            let pair = |t: &&GrangerTest| t.target == row[0] as usize && t.cause == row[2] as usize;
            tests.iter().find(pair).map_or(f64::NAN, |ours| ours.f)
        })
        .collect();
    let stored: Vec<f64> = rows.iter().map(|row| row[6]).collect();
    let live = python
        .0
        .as_ref()
        .and_then(|live| serde_json::from_value::<Vec<f64>>(live["granger_f"].clone()).ok());
    let note = format!("{} pairs, 7 lags", rows.len());
    for (name, theirs) in [
        ("statsmodels' file", Some(stored)),
        ("statsmodels run now", live),
    ] {
        let name = format!("Granger without averages: largest relative difference of F to {name}");
        match theirs {
            Some(theirs) => table.row(
                &name,
                worst(pairs(&statistics, &theirs).map(|(ours, f)| (ours / f - 1.0).abs())),
                None,
                Bar::AtMost(1e-9),
                &note,
            ),
            None => table.not_measured(&name, Bar::AtMost(1e-9), "statsmodels cannot be run here"),
        }
    }
    let params = GrangerParams::default();
    let tests = test(&params);
    let across: Vec<&GrangerTest> = tests.iter().filter(|t| t.cause != t.target).collect();
    let (planted, unrelated): (Vec<&GrangerTest>, Vec<&GrangerTest>) = across
        .iter()
        .partition(|t| known::link(t.target).is_some_and(|link| link.0 == t.cause));
    let share = |tests: &[&GrangerTest], level: f64| {
        tests.iter().filter(|t| t.p_value < level).count() as f64 / tests.len() as f64
    };
    let count = format!("{} pairs", unrelated.len());
    table.row(
        "Granger with averages: unrelated pairs at p < .05, share",
        share(&unrelated, 0.05),
        None,
        Bar::Within(0.04, 0.06),
        &count,
    );
    table.row(
        "Granger with averages: unrelated pairs at p < .01, share",
        share(&unrelated, 0.01),
        python.or_stored("granger_unrelated", 0.661),
        Bar::Within(0.005, 0.015),
        &format!("{count}; reference: statsmodels' test, which has no averages, on 59 of them"),
    );
    table.row(
        "Granger with averages: planted links at p < .01, share",
        share(&planted, 0.01),
        None,
        Bar::AtLeast(1.0),
        &format!("{} links", planted.len()),
    );
    let signs = planted.iter().filter(|t| {
        let strength = known::link(t.target).map_or(0.0, |link| link.1);
        t.lag == known::LAG && t.coefficient * strength > 0.0
    });
    table.row(
        "Granger with averages: planted links with their lag and sign, share",
        signs.count() as f64 / planted.len() as f64,
        None,
        Bar::AtLeast(1.0),
        "",
    );
    let seconds = typical(3, || test(&params));
    let note =
        "CPU, one thread, median of 3; reference: NumPy least squares, one pair without averages";
    table.row(
        "Granger with averages: ms per pair",
        1e3 * seconds / tests.len() as f64,
        python.or_stored("granger_lstsq_ms", 0.306),
        Bar::AtMost(0.1),
        &match python.figure("granger_statsmodels_ms") {
            Some((ms, _)) => format!("{note}; statsmodels {ms:.1} ms"),
            None => note.to_owned(),
        },
    );
}

/// Correlations of a metric freed from its first-order autocorrelation; also with the cross-section mean taken out.
fn innovations(block: &SeriesBlock, without_market: bool) -> (SeriesBlock, Vec<f64>) {
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
    let sample = pearson(&block, 1, &never)
        .expect("correlations")
        .square()
        .expect("all vary");
    (block, sample)
}

fn graphs(table: &mut Table, python: &Python, metric: &SeriesBlock) {
    let (block, raw) = innovations(metric, false);
    let (_, own) = innovations(metric, true);
    for (name, sample, penalty, objective, reference_gap, key) in [
        (
            "common factor kept, α .05",
            &raw,
            0.05,
            47.458_425_624_470_07,
            4.636e-4,
            "raw 0.05",
        ),
        (
            "common factor kept, α .1",
            &raw,
            0.1,
            68.461_753_679_767_21,
            4.23e-4,
            "raw 0.1",
        ),
        (
            "common factor kept, α .2",
            &raw,
            0.2,
            104.639_819_986_775_69,
            1.018e-4,
            "raw 0.2",
        ),
        (
            "common factor kept, α .4",
            &raw,
            0.4,
            161.132_120_183_801_3,
            8.9e-11,
            "raw 0.4",
        ),
        (
            "common factor taken out, α .05",
            &own,
            0.05,
            197.095_982_501_162_47,
            9.1e-8,
            "own 0.05",
        ),
        (
            "common factor taken out, α .1",
            &own,
            0.1,
            199.903_017_780_314_9,
            2.4e-11,
            "own 0.1",
        ),
    ] {
        let params = GraphicalLassoParams {
            penalty,
            tolerance: 1e-6,
            ..GraphicalLassoParams::default()
        };
        let solve = || graphical_lasso(sample, BRANDS, &params, &never).expect("a graph");
        let found = solve();
        table.row(
            &format!("graphical lasso, {name}: relative duality gap"),
            found.relative_gap(),
            None,
            Bar::AtMost(1e-4),
            &format!(
                "{} links, {} steps, objective {:.6} (stored reference {objective:.6} with a gap of {reference_gap:.1e})",
                found.links().len(),
                found.steps,
                found.objective
            ),
        );
        let live = python.0.as_ref().map(|live| &live["graphical_lasso"][key]);
        let theirs = live.and_then(|theirs| Some((theirs["seconds"].as_f64()?, Source::Measured)));
        let failed = live.and_then(|theirs| theirs["failed"].as_str());
        table.row(
            &format!("graphical lasso, {name}: seconds"),
            typical(3, solve),
            theirs,
            Bar::AtMost(0.3),
            &match (theirs, failed) {
                (Some(_), _) => {
                    "CPU, one thread, median of 3; reference scikit-learn, one run".to_owned()
                }
                (None, Some(failed)) => {
                    format!("CPU, one thread, median of 3; scikit-learn fails: {failed}")
                }
                (None, None) => {
                    "CPU, one thread, median of 3; scikit-learn cannot be run here".to_owned()
                }
            },
        );
    }
    let weight = shrunk(&block, 1, &never).expect("correlations").shrinkage;
    let seconds = typical(7, || shrunk(&block, 1, &never).expect("correlations"));
    table.row(
        "Ledoit–Wolf, 200 × 729: ms",
        1e3 * seconds,
        python.or_stored("ledoit_wolf_ms", 3.636),
        Bar::Shown,
        "CPU, medians; reference scikit-learn",
    );
    table.row(
        "Ledoit–Wolf, 200 × 729: shrinkage",
        weight,
        python.or_stored("ledoit_wolf_shrinkage", 0.004_722_371_092_066_942),
        Bar::Shown,
        "reference scikit-learn",
    );
}

fn threads(table: &mut Table, all: &SeriesBlock, metrics: &[SeriesBlock]) {
    let params = GrangerParams::default();
    let few = few(all);
    let draws = StabilityParams {
        replications: 40,
        ..StabilityParams::default()
    };
    let same = [
        pearson(all, 1, &never) == pearson(all, 2, &never),
        spearman(all, 1, &never) == spearman(all, 2, &never),
        lagged(&metrics[0], LAGS, 1, &never) == lagged(&metrics[0], LAGS, 2, &never),
        granger(&metrics[CAUSE], &metrics[EFFECT], &[], &params, 1, &never)
            == granger(&metrics[CAUSE], &metrics[EFFECT], &[], &params, 2, &never),
        partial(&few, 1, &never) == partial(&few, 2, &never),
        stability(&few, &draws, 1, &never) == stability(&few, &draws, 2, &never),
    ];
    table.row(
        "same bits on one and on two threads: methods that differ",
        same.iter().filter(|same| !**same).count() as f64,
        None,
        Bar::AtMost(0.0),
        "Pearson, Spearman, lagged, Granger, partial, stability",
    );
}

/// The first hundred series.
fn few(all: &SeriesBlock) -> SeriesBlock {
    SeriesBlock::new(DAYS, all.values()[..100 * DAYS].to_vec()).expect("whole series")
}

fn cancellation(table: &mut Table, all: &SeriesBlock, metrics: &[SeriesBlock]) {
    type Work<'a> = &'a (dyn Fn(SharedCancel) -> Result<(), CorrelationError> + Sync);
    let (_, raw) = innovations(&metrics[CAUSE], false);
    let few = few(all);
    let draws = StabilityParams {
        replications: 4_000,
        ..StabilityParams::default()
    };
    let works: [(&str, u64, Work); 5] = [
        ("Pearson, 4,000 series", 100, &|c| {
            pearson(all, 1, c).map(drop)
        }),
        ("lagged, 4,000 series", 400, &|c| {
            lagged(all, 1, 1, c).map(drop)
        }),
        ("Granger, 200 brands", 100, &|c| {
            let params = GrangerParams::default();
            granger(&metrics[CAUSE], &metrics[EFFECT], &[], &params, 1, c).map(drop)
        }),
        ("graphical lasso, 200 series", 40, &|c| {
            let params = GraphicalLassoParams {
                tolerance: 1e-15,
                ..GraphicalLassoParams::default()
            };
            graphical_lasso(&raw, BRANDS, &params, c).map(drop)
        }),
        ("stability, 100 series", 60, &|c| {
            stability(&few, &draws, 1, c).map(drop)
        }),
    ];
    for (name, after, work) in works {
        let stop = AtomicBool::new(false);
        let check = || stop.load(Ordering::Relaxed);
        let late = std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let result = work(&check);
                (result, Instant::now())
            });
            std::thread::sleep(Duration::from_millis(after));
            let asked = Instant::now();
            stop.store(true, Ordering::Relaxed);
            let (result, ended) = worker.join().expect("no panic");
            let cancelled = matches!(result, Err(CorrelationError::Cancelled(_)));
            cancelled.then(|| 1e3 * (ended - asked).as_secs_f64())
        });
        let row = format!("cancelled {name}: ms until it stops");
        match late {
            Some(late) => table.row(&row, late, None, Bar::AtMost(50.0), "wall"),
            None => table.not_measured(&row, Bar::AtMost(50.0), "it was done before"),
        }
    }
    let groups = typical(3, || {
        let sample = pearson(&metrics[CAUSE], 1, &never).expect("correlations");
        let distances = analytics::correlation::cluster::distances(&sample).expect("all vary");
        clusters(&distances, BRANDS, 12).expect("groups")
    });
    table.row(
        "200 brands into groups: ms",
        1e3 * groups,
        None,
        Bar::AtMost(50.0),
        "CPU, median of 3; from the series",
    );
}
