//! Shapley values of stored XGBoost and LightGBM models beside these two programs, shap and WOODELF; training beside XGBoost.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use analytics::{
    attribution::{
        BoostingOptions, Comparison, Contributions, ExplainError, ExplainOptions, Features, Model,
        Node, Reference, TrainError, Tree, explain, interactions, lightgbm, train, xgboost,
    },
    cancel::never,
    rng,
};
use polars::prelude::{DataFrame, NamedFrom, Series};
use rand::Rng;

use super::{
    figures::{apart, median, pairs, worst},
    reference,
    report::{Bar, Source, Table},
};

const ONE: ExplainOptions = ExplainOptions { threads: 1 };
const ROWS: usize = 2000;
const PAIR_ROWS: usize = 200;

pub(crate) fn measure(table: &mut Table) {
    by_definition(table);
    for (name, title) in [
        ("california", "California housing"),
        ("marketing_panel", "marketing panel"),
    ] {
        data_set(table, name, title);
    }
}

fn data_set(table: &mut Table, name: &str, title: &str) {
    let Some(folder) = reference::data("bench/shap") else {
        table.not_measured(
            &format!("{title}: contributions"),
            Bar::AtMost(1e-4),
            "bench/shap is not below $DIGI_BENCH_DATA",
        );
        return;
    };
    let out = reference::repository("target/bench/attribution");
    std::fs::create_dir_all(&out).expect("the target folder can be written");
    let live = reference::python(
        "attribution",
        "attribution.py",
        &[path(&folder), name, path(&out)],
    );
    let figure = |key: &str| live.as_ref().and_then(|live| live[key].as_f64());
    let binary = |what: &str| {
        live.as_ref()
            .and_then(|_| binary(&out.join(format!("{name}_{what}.f64"))))
    };

    let data = Csv::read(&folder.join(format!("data/{name}.csv")));
    let features: Vec<String> = data.names[..data.names.len() - 2].to_vec();
    let training = data.features(&features, "train", usize::MAX);
    let rows = data.features(&features, "test", ROWS);
    let stored = |file: &str| Csv::read(&folder.join(format!("ref/{name}_{file}.csv")));
    let text = |file: &str| {
        std::fs::read_to_string(folder.join(format!("ref/{name}_{file}"))).expect("it is there")
    };

    // Tree paths, XGBoost.
    let model = xgboost::read(&text("xgb.json")).expect("XGBoost wrote it");
    let (cost, found) = timed(|| {
        explain(&model, &rows, Reference::TreePaths, ONE, &never).expect("it can be explained")
    });
    let expected = stored("xgb_shap").features(&features, "", ROWS);
    table.row(
        &format!("{title}: tree paths, largest difference to XGBoost"),
        largest(&found, |row, feature| expected.columns()[feature][row]),
        None,
        Bar::AtMost(1e-4),
        "2 000 rows, relative to max(1, |value|); XGBoost computes in 32 bits",
    );
    table.row(
        &format!("{title}: tree paths, ms per row, preparation included"),
        cost.processor,
        figure("xgboost_ms").map(|ms| (ms, Source::Measured)),
        Bar::AtMost(0.1),
        &format!("2 000 rows, 300 trees of depth 6, one thread, processor time, median of 7; wall {:.4}; reference XGBoost", cost.wall),
    );
    let predictions = model.predict(&rows).expect("the features are there");
    table.row(
        &format!("{title}: tree paths, largest gap between sum and prediction"),
        additivity(&found, &predictions),
        None,
        Bar::AtMost(1e-12),
        "relative to max(1, |prediction|)",
    );
    let two = explain(
        &model,
        &rows,
        Reference::TreePaths,
        ExplainOptions { threads: 2 },
        &never,
    )
    .expect("it can be explained");
    let background_of_training = Reference::Background(&training);
    let (cost, against) = timed(|| {
        explain(&model, &rows, background_of_training, ONE, &never).expect("it can be explained")
    });
    let against_two = explain(
        &model,
        &rows,
        background_of_training,
        ExplainOptions { threads: 2 },
        &never,
    )
    .expect("it can be explained");
    table.row(
        &format!("{title}: values that differ between one thread and two"),
        f64::from(u32::from(two != found) + u32::from(against_two != against)),
        None,
        Bar::AtMost(0.0),
        "tree paths and background, bit for bit",
    );

    // LightGBM.
    let light = lightgbm::read(&text("lgb.txt")).expect("LightGBM wrote it");
    let (light_cost, found_light) = timed(|| {
        explain(&light, &rows, Reference::TreePaths, ONE, &never).expect("it can be explained")
    });
    let expected = stored("lgb_shap").features(&features, "", ROWS);
    table.row(
        &format!("{title}: tree paths, largest difference to LightGBM's file"),
        largest(&found_light, |row, feature| {
            expected.columns()[feature][row]
        }),
        None,
        Bar::AtMost(1e-8),
        "2 000 rows, relative to max(1, |value|); the file has 9 digits",
    );
    let name_of_row = format!("{title}: tree paths, largest difference to LightGBM run now");
    match binary("lgb") {
        Some(values) => table.row(
            &name_of_row,
            largest(&found_light, |row, feature| {
                values[row * (features.len() + 1) + feature]
            }),
            None,
            Bar::AtMost(1e-9),
            "2 000 rows, relative to max(1, |value|)",
        ),
        None => table.not_measured(
            &name_of_row,
            Bar::AtMost(1e-9),
            "LightGBM cannot be run here",
        ),
    }
    table.row(
        &format!("{title}: tree paths of LightGBM's trees, ms per row"),
        light_cost.processor,
        figure("lightgbm_ms").map(|ms| (ms, Source::Measured)),
        Bar::AtMost(0.1),
        &format!(
            "300 trees of 31 leaves, one thread, processor time; wall {:.4}; reference LightGBM",
            light_cost.wall
        ),
    );

    // Background.
    let hundred = stored("background100").features(&features, "", usize::MAX);
    let expected = stored("xgb_shap_interventional200").features(&features, "", usize::MAX);
    let few = rows.slice(0, expected.rows());
    let found_hundred = explain(&model, &few, Reference::Background(&hundred), ONE, &never)
        .expect("it can be explained");
    table.row(
        &format!("{title}: background of 100 rows, largest difference to shap"),
        largest(&found_hundred, |row, feature| {
            expected.columns()[feature][row]
        }),
        None,
        Bar::AtMost(1e-5),
        "200 rows, relative to max(1, |value|); the file has 7 digits",
    );
    table.row(
        &format!("{title}: whole training background, ms per row, preparation included"),
        cost.processor,
        figure("woodelf_background_ms").map(|ms| (ms, Source::Measured)),
        Bar::AtMost(0.1),
        &format!(
            "2 000 rows against {} rows, one thread, processor time; wall {:.4}; reference WOODELF",
            training.rows(),
            cost.wall
        ),
    );
    table.row(
        &format!("{title}: whole training background, largest difference to the definition"),
        largest_to_pairs(&model, &rows, &training, &against, 2),
        None,
        Bar::AtMost(1e-5),
        "2 rows, each compared with every row of the background in turn",
    );
    if let Some(values) = binary("woodelf_background") {
        let mut gaps: Vec<f64> = (0..rows.rows())
            .map(|row| {
                let theirs = &values[row * features.len()..(row + 1) * features.len()];
                worst(pairs(against.row(row), theirs).map(|(ours, theirs)| apart(*theirs, *ours)))
            })
            .collect();
        // In this order NaN comes after every number.
        gaps.sort_by(f64::total_cmp);
        let above = gaps
            .iter()
            .filter(|gap| gap.is_nan() || **gap > 1e-5)
            .count();
        table.row(
            &format!("{title}: whole training background, difference to WOODELF, 99 % of rows"),
            gaps[gaps.len() * 99 / 100],
            None,
            Bar::AtMost(1e-5),
            &format!("{above} of {} rows differ by more: WOODELF compares features in 64 bits, XGBoost in 32", gaps.len()),
        );
    }
    table.row(
        &format!("{title}: whole training background, largest gap between sum and prediction"),
        additivity(&against, &predictions),
        None,
        Bar::AtMost(1e-12),
        "relative to max(1, |prediction|)",
    );

    // Interactions.
    let pair_rows = rows.slice(0, PAIR_ROWS);
    let (cost, matrices) = timed(|| {
        interactions(&model, &rows, Reference::TreePaths, ONE, &never).expect("it can be explained")
    });
    let count = features.len();
    let gap = worst((0..rows.rows()).flat_map(|row| {
        let sums: Vec<f64> = matrices
            .row(row)
            .chunks(count)
            .map(|of_feature| of_feature.iter().sum())
            .collect();
        pairs(&sums, found.row(row))
            .map(|(sum, value)| apart(*sum, *value))
            .collect::<Vec<f64>>()
    }));
    table.row(
        &format!(
            "{title}: interactions, largest gap between a row of the matrix and its contribution"
        ),
        gap,
        None,
        Bar::AtMost(1e-12),
        "relative to max(1, |value|)",
    );
    table.row(
        &format!("{title}: interactions, ms per row, preparation included"),
        cost.processor,
        figure("xgboost_pairs_ms").map(|ms| (ms, Source::Measured)),
        Bar::Shown,
        &format!(
            "2 000 rows (XGBoost: {PAIR_ROWS}), processor time; wall {:.4}",
            cost.wall
        ),
    );
    let name_of_row = format!("{title}: interactions, largest difference to XGBoost");
    match binary("xgb_pairs") {
        Some(values) => {
            let wide = count + 1;
            let mut gaps = Vec::new();
            for row in 0..pair_rows.rows() {
                for first in 0..count {
                    for second in 0..count {
                        let ours = matrices.row(row)[first * count + second];
                        let theirs = values[(row * wide + first) * wide + second];
                        gaps.push(apart(ours, theirs));
                    }
                }
            }
            table.row(
                &name_of_row,
                worst(gaps),
                None,
                Bar::Shown,
                "200 rows, relative to max(1, |value|); XGBoost subtracts 32-bit sums",
            );
        }
        None => table.not_measured(&name_of_row, Bar::Shown, "XGBoost cannot be run here"),
    }

    // One row, and stopping.
    let single = rows.slice(0, 1);
    let (cost, _) = timed(|| {
        explain(&model, &single, Reference::TreePaths, ONE, &never).expect("it can be explained")
    });
    table.row(
        &format!("{title}: tree paths of a single row, ms"),
        cost.processor,
        figure("xgboost_ms").map(|ms| (ms, Source::Measured)),
        Bar::Shown,
        &format!("one call for one row, processor time; wall {:.3}; reference XGBoost's per row of 2 000", cost.wall),
    );
    table.row(
        &format!("{title}: ms from asking to stop until it has stopped, explaining"),
        stopping(Duration::from_millis(15), |stop| {
            matches!(
                explain(&model, &rows, background_of_training, ONE, &|| {
                    stop.load(Ordering::Relaxed)
                }),
                Err(ExplainError::Cancelled(_))
            )
        }),
        None,
        Bar::AtMost(50.0),
        "whole training background, wall, the longest of 5",
    );

    // Training.
    let frame = data.frame(&features, "train");
    let options = BoostingOptions {
        holdout: 0.0,
        ..BoostingOptions::new("target", features.clone())
    };
    let before = processor();
    let fitted = train(&frame, &options, &never).expect("it can be learnt");
    let seconds = (processor() - before) / 1e9;
    let test = data.features(&features, "test", usize::MAX);
    let target = data.features(&["target".to_owned()], "test", usize::MAX);
    let predicted = fitted.model.predict(&test).expect("the features are there");
    let squares: f64 = pairs(&predicted, &target.columns()[0])
        .map(|(p, t)| (p - t) * (p - t))
        .sum();
    table.row(
        &format!("{title}: boosting, error on the test rows"),
        (squares / predicted.len() as f64).sqrt(),
        figure("xgboost_error").map(|error| (error, Source::Measured)),
        Bar::Shown,
        "root mean squared error, 300 trees of depth 6; reference XGBoost with the same settings",
    );
    table.row(
        &format!("{title}: boosting, seconds"),
        seconds,
        figure("xgboost_train_s").map(|s| (s, Source::Measured)),
        Bar::Shown,
        "one thread, processor time; reference XGBoost with the same settings",
    );
    table.row(
        &format!("{title}: ms from asking to stop until it has stopped, boosting"),
        stopping(Duration::from_millis(150), |stop| {
            matches!(
                train(&frame, &options, &|| stop.load(Ordering::Relaxed)),
                Err(TrainError::Cancelled(_))
            )
        }),
        None,
        Bar::AtMost(50.0),
        "wall, the longest of 5",
    );
}

/// Small random trees, every subset of features: what the definition says, without any of the product's shortcuts.
fn by_definition(table: &mut Table) {
    let features = 6;
    let mut draws = rng::stream(5, &[]);
    let names: Vec<String> = (0..features).map(|at| format!("x{at}")).collect();
    let (mut values_gaps, mut pairs_gaps) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let trees = (0..4).map(|_| random_tree(&mut draws, features)).collect();
        let model = Model::new(
            names.clone(),
            false,
            trees,
            0.0,
            Comparison::Below,
            Vec::new(),
        )
        .expect("a base of 0 is finite");
        let columns = (0..features)
            .map(|_| rng::normals(&mut draws, 40))
            .collect();
        let rows = Features::new(names.clone(), columns).expect("the columns are of one length");
        let found =
            explain(&model, &rows, Reference::TreePaths, ONE, &never).expect("it can be explained");
        let matrices = interactions(&model, &rows, Reference::TreePaths, ONE, &never)
            .expect("it can be explained");
        for row in 0..10 {
            let worth: Vec<f64> = (0..1 << features)
                .map(|known| {
                    model
                        .trees()
                        .iter()
                        .map(|tree| worth(tree, 0, &rows, row, known))
                        .sum()
                })
                .collect();
            let weight =
                |size: usize, of: usize| factorial(size) * factorial(of - size - 1) / factorial(of);
            for (own, value) in found.row(row).iter().enumerate() {
                let mut exact = 0.0;
                for known in (0..1_usize << features).filter(|known| known >> own & 1 == 0) {
                    exact += weight(known.count_ones() as usize, features)
                        * (worth[known | 1 << own] - worth[known]);
                }
                values_gaps.push((value - exact).abs());
                for other in (0..features).filter(|other| *other != own) {
                    let (a, b) = (1 << own, 1 << other);
                    let mut exact = 0.0;
                    for known in (0..1_usize << features).filter(|known| known & (a | b) == 0) {
                        exact += 0.5
                            * weight(known.count_ones() as usize, features - 1)
                            * (worth[known | a | b] - worth[known | a] - worth[known | b]
                                + worth[known]);
                    }
                    pairs_gaps.push((matrices.row(row)[own * features + other] - exact).abs());
                }
            }
        }
    }
    table.row(
        "small trees: tree paths, largest difference to the definition",
        worst(values_gaps),
        None,
        Bar::AtMost(1e-12),
        "10 models of 4 trees, 6 features, 10 rows each, all 64 subsets",
    );
    table.row(
        "small trees: interactions, largest difference to the definition",
        worst(pairs_gaps),
        None,
        Bar::AtMost(1e-12),
        "10 models of 4 trees, 6 features, 10 rows each, all 64 subsets",
    );
}

fn factorial(n: usize) -> f64 {
    (1..=n).map(|k| k as f64).product()
}

fn worth(tree: &Tree, at: usize, rows: &Features, row: usize, known: usize) -> f64 {
    match tree.nodes()[at] {
        Node::Leaf { value, .. } => value,
        Node::Split {
            feature,
            left,
            right,
            cover,
            ..
        } if known >> feature & 1 == 0 => [left, right]
            .iter()
            .map(|&child| {
                tree.nodes()[child].cover() / cover * worth(tree, child, rows, row, known)
            })
            .sum(),
        Node::Split {
            feature,
            threshold,
            left,
            right,
            ..
        } => {
            let child = if rows.columns()[feature][row] < threshold {
                left
            } else {
                right
            };
            worth(tree, child, rows, row, known)
        }
    }
}

/// A complete tree of depth 4 with random questions, answers and covers.
fn random_tree(draws: &mut rng::Stream, features: usize) -> Tree {
    let mut nodes: Vec<Node> = Vec::new();
    let mut covers = vec![100.0; 31];
    for at in 0..31 {
        let cover = covers[at];
        if at >= 15 {
            nodes.push(Node::Leaf {
                value: rng::normal(draws),
                cover,
            });
            continue;
        }
        let share: f64 = draws.random_range(0.1..0.9);
        covers[2 * at + 1] = cover * share;
        covers[2 * at + 2] = cover * (1.0 - share);
        nodes.push(Node::Split {
            feature: draws.random_range(0..features),
            threshold: rng::normal(draws),
            missing_left: true,
            left: 2 * at + 1,
            right: 2 * at + 2,
            cover,
        });
    }
    Tree::new(nodes, features).expect("it is a tree")
}

/// Feature, threshold, whether missing values go left, and whether the path does.
type Question = (usize, f32, bool, bool);

/// Compares with the mean over single background rows, each by the closed form for two rows: with `a` features of a path on which
/// only the row agrees and `b` on which only the other does, each of the first gets (a−1)! b!/(a+b)! of the leaf's value, and each
/// of the second −a! (b−1)!/(a+b)!.
fn largest_to_pairs(
    model: &Model,
    rows: &Features,
    background: &Features,
    found: &Contributions,
    count: usize,
) -> f64 {
    let rows_of = |table: &Features, row: usize| -> Vec<f32> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "XGBoost sees 32-bit values"
        )]
        table
            .columns()
            .iter()
            .map(|column| column[row] as f32)
            .collect()
    };
    // Per leaf, the questions on its path.
    let mut paths: Vec<(f64, Vec<Question>)> = Vec::new();
    for tree in model.trees() {
        let mut waiting = vec![(0, Vec::new())];
        while let Some((at, path)) = waiting.pop() {
            match tree.nodes()[at] {
                Node::Leaf { value, .. } => paths.push((value, path)),
                Node::Split {
                    feature,
                    threshold,
                    missing_left,
                    left,
                    right,
                    ..
                } => {
                    for (child, goes_left) in [(left, true), (right, false)] {
                        let mut path = path.clone();
                        #[expect(
                            clippy::cast_possible_truncation,
                            reason = "XGBoost's thresholds are 32-bit"
                        )]
                        path.push((feature, threshold as f32, missing_left, goes_left));
                        waiting.push((child, path));
                    }
                }
            }
        }
    }
    // Per leaf, which features disagree with its path.
    let against = |row: &[f32]| -> Vec<u32> {
        paths
            .iter()
            .map(|(_, path)| {
                path.iter()
                    .fold(0, |bits, &(feature, threshold, missing_left, goes_left)| {
                        let left = if row[feature].is_nan() {
                            missing_left
                        } else {
                            row[feature] < threshold
                        };
                        bits | (u32::from(left != goes_left) << feature)
                    })
            })
            .collect()
    };
    let features = model.features().len();
    let own: Vec<Vec<u32>> = (0..count).map(|row| against(&rows_of(rows, row))).collect();
    let mut sums = vec![vec![0.0; features]; count];
    for other in 0..background.rows() {
        let other = against(&rows_of(background, other));
        for (own, sums) in own.iter().zip(&mut sums) {
            for (((value, _), &ours), &theirs) in paths.iter().zip(own).zip(&other) {
                if ours & theirs != 0 {
                    continue;
                }
                // Only the row agrees where the other disagrees, and the other way round.
                let (a, b) = (theirs.count_ones() as usize, ours.count_ones() as usize);
                for (feature, sum) in sums.iter_mut().enumerate() {
                    if theirs >> feature & 1 == 1 {
                        *sum += value * factorial(a - 1) * factorial(b) / factorial(a + b);
                    } else if ours >> feature & 1 == 1 {
                        *sum -= value * factorial(a) * factorial(b - 1) / factorial(a + b);
                    }
                }
            }
        }
    }
    worst(sums.iter().enumerate().flat_map(|(row, sums)| {
        pairs(found.row(row), sums)
            .map(|(value, sum)| apart(*value, sum / background.rows() as f64))
    }))
}

fn largest(found: &Contributions, expected: impl Fn(usize, usize) -> f64) -> f64 {
    let expected = &expected;
    worst((0..found.rows()).flat_map(|row| {
        let values = found.row(row).iter().enumerate();
        values.map(move |(feature, value)| apart(*value, expected(row, feature)))
    }))
}

fn additivity(found: &Contributions, predictions: &[f64]) -> f64 {
    assert_eq!(found.rows(), predictions.len());
    let rows = predictions.iter().enumerate();
    worst(rows.map(|(row, prediction)| apart(found.prediction(row), *prediction)))
}

/// Milliseconds per row.
struct Cost {
    processor: f64,
    wall: f64,
}

/// What has rows.
trait Rows {
    fn count(&self) -> usize;
}

impl Rows for Contributions {
    fn count(&self) -> usize {
        self.rows()
    }
}

impl Rows for analytics::attribution::Interactions {
    fn count(&self) -> usize {
        self.rows()
    }
}

/// Medians of 7 runs, per row.
fn timed<T: Rows>(task: impl Fn() -> T) -> (Cost, T) {
    let mut processors = Vec::new();
    let mut walls = Vec::new();
    let mut last = None;
    for _ in 0..7 {
        let start = Instant::now();
        let before = processor();
        let result = task();
        let rows = result.count() as f64;
        processors.push((processor() - before) / 1e6 / rows);
        walls.push(start.elapsed().as_secs_f64() * 1e3 / rows);
        last = Some(result);
    }
    let cost = Cost {
        processor: median(processors),
        wall: median(walls),
    };
    (cost, last.expect("it ran"))
}

/// Nanoseconds that this thread was on a processor; the wall clock where the system does not say.
fn processor() -> f64 {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok());
    said.unwrap_or_else(|| {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e9
    })
}

/// The longest of five times, in milliseconds, from a request to stop until `task` has stopped (and said so).
fn stopping(after: Duration, task: impl Fn(&AtomicBool) -> bool + Sync) -> f64 {
    worst((0..5).map(|_| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                let stopped = task(&stop);
                (stopped, Instant::now())
            });
            std::thread::sleep(after);
            let asked = Instant::now();
            stop.store(true, Ordering::Relaxed);
            let (stopped, at) = running.join().expect("the task does not panic");
            // A task that had finished before was not stopped.
            if stopped {
                at.duration_since(asked).as_secs_f64() * 1e3
            } else {
                f64::NAN
            }
        })
    }))
}

/// A file of numbers, with a column `split` at times.
struct Csv {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Csv {
    fn read(path: &Path) -> Self {
        let mut reader = csv::Reader::from_path(path).expect("it is there");
        let names = reader
            .headers()
            .expect("it has a head")
            .iter()
            .map(str::to_owned)
            .collect();
        let rows = reader
            .records()
            .map(|row| {
                row.expect("it is well formed")
                    .iter()
                    .map(str::to_owned)
                    .collect()
            })
            .collect();
        Self { names, rows }
    }

    fn column(&self, name: &str) -> usize {
        self.names
            .iter()
            .position(|own| own == name)
            .expect("the column is there")
    }

    /// Columns of the first `most` rows of a split; of all rows when it has no name.
    fn features(&self, wanted: &[String], split: &str, most: usize) -> Features {
        let at = (!split.is_empty()).then(|| self.column("split"));
        let rows: Vec<&Vec<String>> = self
            .rows
            .iter()
            .filter(|row| at.is_none_or(|at| row[at] == split))
            .take(most)
            .collect();
        let columns = wanted
            .iter()
            .map(|name| {
                let at = self.column(name);
                rows.iter()
                    .map(|row| row[at].parse().unwrap_or(f64::NAN))
                    .collect()
            })
            .collect();
        Features::new(wanted.to_vec(), columns).expect("the columns are of one length")
    }

    fn frame(&self, features: &[String], split: &str) -> DataFrame {
        let mut wanted = features.to_vec();
        wanted.push("target".to_owned());
        let table = self.features(&wanted, split, usize::MAX);
        let columns = wanted
            .iter()
            .zip(table.columns())
            .map(|(name, column)| Series::new(name.as_str().into(), column.as_slice()).into())
            .collect();
        DataFrame::new(table.rows(), columns).expect("the columns are of one length")
    }
}

fn binary(path: &Path) -> Option<Vec<f64>> {
    let bytes = std::fs::read(path).ok()?;
    let (numbers, _) = bytes.as_chunks::<8>();
    Some(
        numbers
            .iter()
            .map(|number| f64::from_le_bytes(*number))
            .collect(),
    )
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}
