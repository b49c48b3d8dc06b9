//! Against the definition on small trees, and against XGBoost, LightGBM and shap on stored models.

use polars::prelude::{DataFrame, IntoLazy, col, df, lit, when};
use rand::Rng;

use super::*;
use crate::{cancel::never, rng};

/// The prediction when only the features in `known` are known: by the definition, tree by tree.
fn value_of(model: &Model, row: &[f64], background: Option<&[Vec<f64>]>, known: usize) -> f64 {
    match background {
        None => {
            fn below(model: &Model, tree: &Tree, at: usize, row: &[f64], known: usize) -> f64 {
                match tree.nodes()[at] {
                    Node::Leaf { value, .. } => value,
                    Node::Split {
                        feature,
                        threshold,
                        missing_left,
                        left,
                        right,
                        cover,
                    } => {
                        if known >> feature & 1 == 1 {
                            let seen = model.seen(feature, row[feature]);
                            let goes_left = if seen.is_nan() {
                                missing_left
                            } else if model.comparison() == Comparison::AtMost {
                                seen <= threshold
                            } else {
                                seen < threshold
                            };
                            below(
                                model,
                                tree,
                                if goes_left { left } else { right },
                                row,
                                known,
                            )
                        } else {
                            [left, right]
                                .iter()
                                .map(|&child| {
                                    tree.nodes()[child].cover() / cover
                                        * below(model, tree, child, row, known)
                                })
                                .sum()
                        }
                    }
                }
            }
            model.base()
                + model
                    .trees()
                    .iter()
                    .map(|tree| below(model, tree, 0, row, known))
                    .sum::<f64>()
        }
        Some(background) => {
            background
                .iter()
                .map(|other| {
                    model.predict_one(|feature| {
                        let from = if known >> feature & 1 == 1 {
                            row
                        } else {
                            other
                        };
                        model.seen(feature, from[feature])
                    })
                })
                .sum::<f64>()
                / background.len() as f64
        }
    }
}

fn factorial(n: usize) -> f64 {
    (1..=n).map(|k| k as f64).product()
}

/// Shapley values by the definition.
fn by_definition(model: &Model, row: &[f64], background: Option<&[Vec<f64>]>) -> Vec<f64> {
    let n = model.features().len();
    let values: Vec<f64> = (0..1 << n)
        .map(|known| value_of(model, row, background, known))
        .collect();
    (0..n)
        .map(|own| {
            (0..1_usize << n)
                .filter(|known| known >> own & 1 == 0)
                .map(|known| {
                    let size = known.count_ones() as usize;
                    factorial(size) * factorial(n - size - 1) / factorial(n)
                        * (values[known | 1 << own] - values[known])
                })
                .sum()
        })
        .collect()
}

/// Interactions by the definition; the diagonal holds what is left of the Shapley values.
fn pairs_by_definition(model: &Model, row: &[f64], background: Option<&[Vec<f64>]>) -> Vec<f64> {
    let n = model.features().len();
    let values: Vec<f64> = (0..1 << n)
        .map(|known| value_of(model, row, background, known))
        .collect();
    let mut matrix = vec![0.0; n * n];
    for (own, value) in by_definition(model, row, background)
        .into_iter()
        .enumerate()
    {
        matrix[own * n + own] = value;
    }
    for first in 0..n {
        for second in 0..n {
            if first == second {
                continue;
            }
            let (a, b) = (1 << first, 1 << second);
            let effect: f64 = (0..1_usize << n)
                .filter(|known| known & (a | b) == 0)
                .map(|known| {
                    let size = known.count_ones() as usize;
                    factorial(size) * factorial(n - size - 2) / (2.0 * factorial(n - 1))
                        * (values[known | a | b] - values[known | a] - values[known | b]
                            + values[known])
                })
                .sum();
            matrix[first * n + second] = effect;
            matrix[first * n + first] -= effect;
        }
    }
    matrix
}

/// A random tree: up to `depth` questions on a path, thresholds on a coarse grid so that they repeat, uneven covers.
fn random_tree(draws: &mut rng::Stream, features: usize, depth: usize, stop: f64) -> Tree {
    let mut nodes = vec![Node::Leaf {
        value: 0.0,
        cover: 1000.0,
    }];
    let mut depths = vec![0];
    let mut at = 0;
    while at < nodes.len() {
        let cover = nodes[at].cover();
        if depths[at] < depth && (at == 0 || draws.random::<f64>() > stop) {
            let share = draws.random_range(0.0..1.0);
            let left = nodes.len();
            nodes[at] = Node::Split {
                feature: draws.random_range(0..features),
                threshold: f64::from(draws.random_range(-3..4_i32)),
                missing_left: draws.random(),
                left,
                right: left + 1,
                cover,
            };
            for part in [share, 1.0 - share] {
                nodes.push(Node::Leaf {
                    value: 0.0,
                    cover: cover * part,
                });
                depths.push(depths[at] + 1);
            }
        } else {
            nodes[at] = Node::Leaf {
                value: rng::normal(draws),
                cover,
            };
        }
        at += 1;
    }
    Tree::new(nodes, features).unwrap()
}

fn random_rows(draws: &mut rng::Stream, rows: usize, features: usize) -> Vec<Vec<f64>> {
    (0..rows)
        .map(|_| {
            (0..features)
                .map(|_| match draws.random_range(0..6) {
                    0 => f64::NAN,
                    // On the thresholds themselves.
                    1 | 2 => f64::from(draws.random_range(-3..4_i32)),
                    _ => 2.0 * rng::normal(draws),
                })
                .collect()
        })
        .collect()
}

fn table(rows: &[Vec<f64>], features: usize) -> Features {
    Features::new(
        (0..features).map(|at| format!("x{at}")).collect(),
        (0..features)
            .map(|at| rows.iter().map(|row| row[at]).collect())
            .collect(),
    )
    .unwrap()
}

fn random_model(
    draws: &mut rng::Stream,
    features: usize,
    depth: usize,
    comparison: Comparison,
) -> Model {
    let trees = (0..3)
        .map(|_| random_tree(draws, features, depth, 0.15))
        .collect();
    Model::new(
        (0..features).map(|at| format!("x{at}")).collect(),
        false,
        trees,
        0.5,
        comparison,
        (0..features)
            .map(|at| comparison == Comparison::AtMost && at == 0)
            .collect(),
    )
    .unwrap()
}

fn close(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!(
            (ours - theirs).abs() <= tolerance * theirs.abs().max(1.0),
            "{what}: {ours} instead of {theirs}"
        );
    }
}

const ONE: ExplainOptions = ExplainOptions { threads: 1 };

/// Shallow trees (tables), deep ones (patterns worked out one by one), few rows and many.
#[test]
fn contributions_and_interactions_follow_the_definition() {
    let comparisons = [
        Comparison::BelowSingle,
        Comparison::Below,
        Comparison::AtMost,
    ];
    let cases = [(1, 1), (2, 2), (3, 4), (5, 3), (5, 6), (7, 5), (9, 10)];
    for (case, &(features, depth)) in cases.iter().enumerate() {
        let mut draws = rng::stream(7, &[case as u64]);
        let model = random_model(&mut draws, features, depth, comparisons[case % 3]);
        let background = random_rows(&mut draws, 30, features);
        for rows in [4, 40] {
            let rows = random_rows(&mut draws, rows, features);
            let features_of = table(&rows, features);
            let background_of = table(&background, features);
            for reference in [Reference::TreePaths, Reference::Background(&background_of)] {
                let definition = match reference {
                    Reference::TreePaths => None,
                    Reference::Background(_) => Some(background.as_slice()),
                };
                let found = explain(&model, &features_of, reference, ONE, &never).unwrap();
                let pairs = interactions(&model, &features_of, reference, ONE, &never).unwrap();
                let predictions = model.predict(&features_of).unwrap();
                close(
                    &[found.bias],
                    &[value_of(&model, &rows[0], definition, 0)],
                    1e-13,
                    "bias",
                );
                for (at, row) in rows.iter().enumerate() {
                    let what = format!("case {case}, {definition:?}, row {at} {row:?}");
                    close(&[found.prediction(at)], &[predictions[at]], 1e-12, &what);
                    if at < 6 {
                        close(
                            found.row(at),
                            &by_definition(&model, row, definition),
                            1e-12,
                            &what,
                        );
                        let expected = pairs_by_definition(&model, row, definition);
                        close(pairs.row(at), &expected, 1e-12, &what);
                    }
                }
            }
        }
    }
}

/// A path with more features than a table has bits, in both ways of working it out.
#[test]
fn a_chain_of_many_features_follows_the_definition() {
    let features = 13;
    let mut nodes = Vec::new();
    for at in 0..features {
        let cover = 2.0 * f64::from((features - at) as u32);
        nodes.push(Node::Split {
            feature: at,
            threshold: 0.0,
            missing_left: at % 2 == 0,
            left: 2 * at + 1,
            right: 2 * at + 2,
            cover,
        });
        nodes.push(Node::Leaf {
            value: at as f64,
            cover: 2.0,
        });
        if at + 1 == features {
            nodes.push(Node::Leaf {
                value: 40.0,
                cover: cover - 2.0,
            });
        }
    }
    let tree = Tree::new(nodes, features).unwrap();
    let names = (0..features).map(|at| format!("x{at}")).collect();
    let model = Model::new(names, false, vec![tree], 0.0, Comparison::Below, Vec::new()).unwrap();
    let mut draws = rng::stream(3, &[]);
    // Mostly to the right, so that the end of the chain is reached.
    let mut rows = random_rows(&mut draws, 30, features);
    for value in rows.iter_mut().flatten() {
        *value = value.abs();
    }
    rows[1][4] = -1.0;
    let background = random_rows(&mut draws, 20, features);
    let background_of = table(&background, features);
    for reference in [Reference::TreePaths, Reference::Background(&background_of)] {
        let definition = match reference {
            Reference::TreePaths => None,
            Reference::Background(_) => Some(background.as_slice()),
        };
        let features_of = table(&rows, features);
        let found = explain(&model, &features_of, reference, ONE, &never).unwrap();
        let pairs = interactions(&model, &features_of, reference, ONE, &never).unwrap();
        for (at, row) in rows.iter().enumerate().take(2) {
            close(
                found.row(at),
                &by_definition(&model, row, definition),
                1e-12,
                "chain",
            );
            let expected = pairs_by_definition(&model, row, definition);
            close(pairs.row(at), &expected, 1e-12, "chain, pairs");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let mut draws = rng::stream(11, &[]);
    let trees = (0..40)
        .map(|_| random_tree(&mut draws, 6, 6, 0.1))
        .collect();
    let names = (0..6).map(|at| format!("x{at}")).collect();
    let model = Model::new(
        names,
        false,
        trees,
        0.0,
        Comparison::BelowSingle,
        Vec::new(),
    )
    .unwrap();
    let rows = table(&random_rows(&mut draws, 300, 6), 6);
    let background = table(&random_rows(&mut draws, 200, 6), 6);
    for reference in [Reference::TreePaths, Reference::Background(&background)] {
        let one = explain(&model, &rows, reference, ONE, &never).unwrap();
        let one_pairs = interactions(&model, &rows, reference, ONE, &never).unwrap();
        for threads in [2, 5] {
            let options = ExplainOptions { threads };
            assert_eq!(
                explain(&model, &rows, reference, options, &never).unwrap(),
                one
            );
            assert_eq!(
                interactions(&model, &rows, reference, options, &never).unwrap(),
                one_pairs
            );
        }
    }
}

#[test]
fn rows_do_not_depend_on_each_other() {
    let mut draws = rng::stream(12, &[]);
    let model = random_model(&mut draws, 4, 5, Comparison::BelowSingle);
    // More than one tile, and more than one thread's turn of a tile.
    let rows = table(&random_rows(&mut draws, 2500, 4), 4);
    let all = explain(&model, &rows, Reference::TreePaths, ONE, &never).unwrap();
    for at in [0, 1023, 1024, 2499] {
        let one = explain(
            &model,
            &rows.slice(at, at + 1),
            Reference::TreePaths,
            ONE,
            &never,
        )
        .unwrap();
        close(one.row(0), all.row(at), 1e-13, "row");
    }
}

fn leaf_only(value: f64) -> Model {
    let tree = Tree::new(vec![Node::Leaf { value, cover: 0.0 }], 1).unwrap();
    Model::new(
        vec!["x0".to_owned()],
        false,
        vec![tree],
        1.0,
        Comparison::Below,
        Vec::new(),
    )
    .unwrap()
}

#[test]
fn degenerate_inputs_have_sound_answers() {
    let rows = table(&[vec![1.0], vec![f64::NAN]], 1);
    let none = table(&[], 1);
    for reference in [Reference::TreePaths, Reference::Background(&rows)] {
        let found = explain(&leaf_only(2.0), &rows, reference, ONE, &never).unwrap();
        assert_eq!(
            (found.bias, found.row(0), found.row(1)),
            (3.0, &[0.0][..], &[0.0][..])
        );
        let found = explain(&leaf_only(2.0), &none, reference, ONE, &never).unwrap();
        assert_eq!((found.bias, found.rows()), (3.0, 0));
    }
    let treeless = leaf_only(2.0).truncated(0);
    let found = explain(&treeless, &rows, Reference::TreePaths, ONE, &never).unwrap();
    assert_eq!((found.bias, found.row(1)), (1.0, &[0.0][..]));
    let empty = explain(
        &leaf_only(2.0),
        &rows,
        Reference::Background(&none),
        ONE,
        &never,
    );
    assert_eq!(empty, Err(ExplainError::EmptyBackground));

    let split = |cover| Node::Split {
        feature: 0,
        threshold: 0.5,
        missing_left: true,
        left: 1,
        right: 2,
        cover,
    };
    let leaf = |value| Node::Leaf { value, cover: 0.0 };
    let tree = Tree::new(vec![split(0.0), leaf(1.0), leaf(4.0)], 1).unwrap();
    let coverless = Model::new(
        vec!["x0".to_owned()],
        false,
        vec![tree],
        0.0,
        Comparison::Below,
        Vec::new(),
    )
    .unwrap();
    let refused = explain(&coverless, &rows, Reference::TreePaths, ONE, &never);
    assert_eq!(refused, Err(ExplainError::NoCover(0)));
    // Half of the background goes each way.
    let found = explain(&coverless, &rows, Reference::Background(&rows), ONE, &never).unwrap();
    close(&[found.bias], &[2.5], 1e-15, "bias");
    close(found.row(0), &[1.5], 1e-15, "right");
    close(found.row(1), &[-1.5], 1e-15, "missing, left");

    let other = Features::new(vec!["y".to_owned()], vec![vec![1.0]]).unwrap();
    let absent = explain(&coverless, &other, Reference::TreePaths, ONE, &never);
    assert!(
        matches!(absent, Err(ExplainError::Features(FeaturesError::Absent(name))) if name == "x0")
    );

    // Without names of its own the model takes the columns in order, if they are as many.
    let nameless = Model::new(
        vec!["Column_0".to_owned()],
        true,
        coverless.trees().to_vec(),
        0.0,
        Comparison::Below,
        Vec::new(),
    )
    .unwrap();
    assert_eq!(nameless.predict(&rows).unwrap(), [4.0, 1.0]);
    let wide = Features::new(vec!["a".to_owned(), "b".to_owned()], vec![vec![1.0]; 2]).unwrap();
    let miscounted = FeaturesError::Count {
        found: 2,
        expected: 1,
    };
    assert_eq!(nameless.predict(&wide), Err(miscounted));

    assert!(Tree::new(Vec::new(), 1).is_err());
    assert!(Tree::new(vec![split(1.0), leaf(1.0)], 1).is_err());
    assert!(Tree::new(vec![split(f64::NAN), leaf(1.0), leaf(1.0)], 1).is_err());
    assert!(Tree::new(vec![split(1.0), leaf(f64::NAN), leaf(1.0)], 1).is_err());
    assert!(Tree::new(vec![split(1.0), split(1.0), leaf(1.0)], 1).is_err());
    assert!(Tree::new(vec![split(1.0), leaf(1.0), leaf(1.0)], 0).is_err());
}

#[test]
fn cancelling_stops() {
    let mut draws = rng::stream(13, &[]);
    let model = random_model(&mut draws, 4, 5, Comparison::Below);
    let rows = table(&random_rows(&mut draws, 100, 4), 4);
    let cancelled = Err(ExplainError::Cancelled(crate::cancel::Cancelled));
    assert_eq!(
        explain(&model, &rows, Reference::TreePaths, ONE, &|| true),
        cancelled
    );
    // In the middle of the work.
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let third = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 6;
    assert_eq!(
        explain(&model, &rows, Reference::TreePaths, ONE, &third),
        cancelled
    );
}

/// A CSV file of numbers below `testdata/shap`, by columns; columns of text are left out.
fn stored(name: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let path = format!("{}/testdata/shap/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut reader = csv::Reader::from_path(path).unwrap();
    let names = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let rows = reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    (names, rows)
}

fn numbers(names: &[String], rows: &[Vec<String>], wanted: &[String]) -> Features {
    let columns = wanted
        .iter()
        .map(|name| {
            let at = names.iter().position(|own| own == name).unwrap();
            rows.iter()
                .map(|row| row[at].parse().unwrap_or(f64::NAN))
                .collect()
        })
        .collect();
    Features::new(wanted.to_vec(), columns).unwrap()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(format!(
        "{}/testdata/shap/{name}",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

/// The features of the diabetes data, in order, and its test rows.
fn diabetes(split: &str) -> (Vec<String>, Features) {
    let (names, rows) = stored("diabetes.csv");
    let features: Vec<String> = names[..10].to_vec();
    let at = names.iter().position(|name| name == "split").unwrap();
    let rows: Vec<Vec<String>> = rows.into_iter().filter(|row| row[at] == split).collect();
    let table = numbers(&names, &rows, &features);
    (features, table)
}

#[test]
fn stored_models_are_explained_as_by_their_makers() {
    let (features, rows) = diabetes("test");
    let cases = [
        (
            xgboost::read(&text("diabetes_xgb.json")).unwrap(),
            "diabetes_xgb_shap.csv",
            1e-4,
        ),
        (
            lightgbm::read(&text("diabetes_lgb.txt")).unwrap(),
            "diabetes_lgb_shap.csv",
            1e-8,
        ),
    ];
    for (model, file, tolerance) in cases {
        assert_eq!(model.trees().len(), 100);
        let (names, stored_rows) = stored(file);
        let expected = numbers(&names, &stored_rows, &features);
        let rest = numbers(
            &names,
            &stored_rows,
            &["bias".to_owned(), "pred".to_owned()],
        );
        let found = explain(&model, &rows, Reference::TreePaths, ONE, &never).unwrap();
        let predictions = model.predict(&rows).unwrap();
        assert_eq!(expected.rows(), 111);
        for at in 0..expected.rows() {
            let row: Vec<f64> = expected.columns().iter().map(|column| column[at]).collect();
            close(found.row(at), &row, tolerance, file);
            close(&[found.bias], &[rest.columns()[0][at]], tolerance, "bias");
            close(
                &[predictions[at]],
                &[rest.columns()[1][at]],
                tolerance,
                "prediction",
            );
        }
    }
}

#[test]
fn a_stored_model_is_explained_against_a_background_as_by_shap() {
    let (features, rows) = diabetes("test");
    let model = xgboost::read(&text("diabetes_xgb.json")).unwrap();
    let (names, stored_rows) = stored("diabetes_background100.csv");
    let background = numbers(&names, &stored_rows, &features);
    let (names, stored_rows) = stored("diabetes_xgb_shap_interventional200.csv");
    let expected = numbers(&names, &stored_rows, &features);
    let base = numbers(&names, &stored_rows, &["base".to_owned()]);
    let found = explain(
        &model,
        &rows,
        Reference::Background(&background),
        ONE,
        &never,
    )
    .unwrap();
    assert_eq!(expected.rows(), 111);
    for at in 0..expected.rows() {
        let row: Vec<f64> = expected.columns().iter().map(|column| column[at]).collect();
        close(found.row(at), &row, 1e-5, "contributions");
        close(&[found.bias], &[base.columns()[0][at]], 1e-5, "bias");
    }
}

/// Weeks of ten brands: sales follow price and a saturating response to spend; one column is noise, one is constant, one is
/// never there.
fn panel(weeks: usize) -> DataFrame {
    let mut draws = rng::stream(21, &[]);
    let mut columns: [Vec<f64>; 6] = Default::default();
    for week in 0..weeks {
        for _ in 0..10 {
            let price = draws.random_range(8.0..12.0);
            let spend: f64 = draws.random_range(0.0..100.0);
            let sales =
                200.0 - 12.0 * price + 60.0 * spend / (30.0 + spend) + rng::normal(&mut draws);
            let row = [
                week as f64,
                price,
                spend,
                rng::normal(&mut draws),
                3.0,
                sales,
            ];
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value);
            }
        }
    }
    let [week, price, spend, noise, constant, sales] = columns;
    df!(
        "week" => week,
        "price" => price,
        // Missing now and then.
        "spend" => spend.iter().enumerate().map(|(at, v)| (at % 17 != 0).then_some(*v)).collect::<Vec<_>>(),
        "noise" => noise,
        "constant" => constant,
        "absent" => vec![None::<f64>; 10 * weeks],
        "sales" => sales,
    )
    .unwrap()
}

fn options() -> BoostingOptions {
    let names = ["price", "spend", "noise", "constant", "absent"];
    BoostingOptions {
        order: Some("week".to_owned()),
        depth: 4,
        ..BoostingOptions::new("sales", names.map(str::to_owned).to_vec())
    }
}

#[test]
fn training_finds_what_drives_the_outcome() {
    let frame = panel(60);
    let fitted = train(&frame, &options(), &never).unwrap();
    assert_eq!((fitted.rows, fitted.holdout_rows), (600, 120));
    let (error, of_mean) = (
        fitted.holdout_error.unwrap(),
        fitted.holdout_error_of_mean.unwrap(),
    );
    assert!(error < 0.3 * of_mean, "{error} {of_mean}");
    let stopped = fitted.model.trees().len();
    assert!((5..300).contains(&stopped), "{stopped} trees");

    let rows = Features::from_frame(&frame, &options().features).unwrap();
    let found = explain(&fitted.model, &rows, Reference::TreePaths, ONE, &never).unwrap();
    let predictions = fitted.model.predict(&rows).unwrap();
    for (at, prediction) in predictions.iter().enumerate() {
        close(&[found.prediction(at)], &[*prediction], 1e-12, "prediction");
    }
    let says = DriverOptions {
        outcome: "sales".to_owned(),
        unit: "units".to_owned(),
        row: "row".into(),
        rows: Vec::new(),
        most: 2,
    };
    let found_drivers = drivers(&rows, std::slice::from_ref(&found), &says).unwrap();
    assert_eq!(
        (
            found_drivers[0].feature.as_str(),
            found_drivers[1].feature.as_str()
        ),
        ("price", "spend")
    );
    assert!(found_drivers[0].slope.unwrap() < -0.9);
    assert!(found_drivers[1].slope.unwrap() > 0.8);
    let share: f64 = found_drivers.iter().map(|driver| driver.share).sum();
    close(&[share], &[1.0], 1e-12, "shares");
    for never_asked in &found_drivers[3..] {
        assert_eq!((never_asked.size, never_asked.interval), (0.0, None));
    }
    let sentences = driver_sentences(&rows, &[found], &says).unwrap();
    assert_eq!(sentences.len(), 2);
    assert!(
        sentences[0].starts_with("price moved sales up and down by ")
            && sentences[0]
                .contains("; more price goes with less sales; how sure this is was not measured."),
        "{}",
        sentences[0]
    );
}

#[test]
fn training_repeats_itself_and_the_seed_draws_rows() {
    let frame = panel(30);
    let drawn = |seed| {
        let options = BoostingOptions {
            row_share: 0.7,
            trees: 20,
            seed,
            ..options()
        };
        train(&frame, &options, &never).unwrap()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn the_holdout_is_the_last_part_in_time_whatever_the_order_of_the_rows() {
    let frame = panel(30);
    let mut options = options();
    options.refit = false;
    options.trees = 15;
    let forward = train(&frame, &options, &never).unwrap();
    // The later part is spoiled, which a model of the earlier part cannot see.
    let spoiled = frame
        .clone()
        .lazy()
        .with_columns([when(col("week").gt_eq(lit(24.0)))
            .then(lit(0.0))
            .otherwise(col("sales"))
            .alias("sales")])
        .collect()
        .unwrap();
    options.patience = 15;
    let fitted = train(&spoiled, &options, &never).unwrap();
    assert!(fitted.holdout_error.unwrap() > 10.0 * forward.holdout_error.unwrap());
    options.trees = 0;
    let base = train(&spoiled, &options, &never).unwrap().model.base();
    let early = frame.slice(0, 240);
    assert_eq!(
        base,
        early
            .column("sales")
            .unwrap()
            .f64()
            .unwrap()
            .iter()
            .flatten()
            .sum::<f64>()
            / 240.0
    );
}

#[test]
fn training_refuses_what_it_cannot_learn_from() {
    let frame = panel(3);
    let with = |change: &dyn Fn(&mut BoostingOptions)| {
        let mut options = options();
        change(&mut options);
        train(&frame, &options, &never)
    };
    assert_eq!(with(&|o| o.features.clear()), Err(TrainError::NoFeatures));
    assert!(matches!(
        with(&|o| o.features.push("sales".to_owned())),
        Err(TrainError::Option(_))
    ));
    assert!(matches!(
        with(&|o| o.holdout = 1.0),
        Err(TrainError::Option(_))
    ));
    assert!(matches!(
        with(&|o| o.target = "nothing".to_owned()),
        Err(TrainError::Features(_))
    ));
    assert_eq!(
        with(&|o| {
            o.features.pop();
            o.target = "absent".to_owned();
        }),
        Err(TrainError::TooFew(0))
    );
    assert_eq!(
        with(&|o| o.order = Some("constant".to_owned())),
        Err(TrainError::FewTimes)
    );
    assert_eq!(
        with(&|o| o.order = Some("absent".to_owned())),
        Err(TrainError::NoTime(0))
    );
    assert_eq!(
        train(&frame, &options(), &|| true),
        Err(TrainError::Cancelled(crate::cancel::Cancelled))
    );
    let infinite = df!("x" => [1.0, f64::INFINITY], "y" => [1.0, 2.0]).unwrap();
    let refused = train(
        &infinite,
        &BoostingOptions::new("y", vec!["x".to_owned()]),
        &never,
    );
    assert_eq!(
        refused,
        Err(TrainError::Infinite {
            column: "x".to_owned(),
            row: 1
        })
    );
    // Nothing varies: the model is the mean.
    let constant =
        with(&|o| o.features = vec!["constant".to_owned(), "absent".to_owned()]).unwrap();
    assert!(constant.model.trees().is_empty());
    assert_eq!(constant.holdout_error, constant.holdout_error_of_mean);
}

/// What forust itself predicts and how it splits predictions, for a model that was saved and read.
#[test]
fn a_forust_model_is_read_and_explained_as_by_forust() {
    use forust_ml::{
        GradientBooster, Matrix, gradientbooster::ContributionsMethod, objective::ObjectiveType,
    };
    let (_, rows) = diabetes("train");
    let (names, stored_rows) = stored("diabetes.csv");
    let at = names.iter().position(|name| name == "split").unwrap();
    let train_rows: Vec<Vec<String>> = stored_rows
        .into_iter()
        .filter(|row| row[at] == "train")
        .collect();
    let target = numbers(&names, &train_rows, &["target".to_owned()]);
    let flat: Vec<f64> = rows.columns().concat();
    let data = Matrix::new(&flat, rows.rows(), 10);
    let mut booster = GradientBooster::default()
        .set_objective_type(ObjectiveType::SquaredLoss)
        .set_iterations(20)
        .set_parallel(false);
    booster.initialize_base_score = true;
    booster
        .fit_unweighted(&data, &target.columns()[0], None)
        .unwrap();
    let model = forust::read(&booster.json_dump().unwrap()).unwrap();
    let found = explain(&model, &rows, Reference::TreePaths, ONE, &never).unwrap();
    let theirs = booster.predict_contributions(&data, ContributionsMethod::Shapley, false);
    close(
        &model.predict(&rows).unwrap(),
        &booster.predict(&data, false),
        1e-12,
        "predictions",
    );
    for (at, theirs) in theirs.chunks_exact(11).enumerate() {
        // They compute the shares of a path in 32-bit numbers.
        close(found.row(at), &theirs[..10], 1e-3, "contributions");
    }
}

#[test]
fn readers_refuse_what_they_do_not_know() {
    let xgb = text("diabetes_xgb.json");
    let refused = |from: &str, to: &str| xgboost::read(&xgb.replacen(from, to, 1)).unwrap_err();
    assert!(matches!(
        refused("reg:squarederror", "rank:ndcg"),
        ModelError::Unsupported(_)
    ));
    assert!(matches!(
        refused("\"name\":\"gbtree\"", "\"name\":\"dart\""),
        ModelError::Unsupported(_)
    ));
    assert!(matches!(
        refused("\"split_type\":[0", "\"split_type\":[1"),
        ModelError::Unsupported(_)
    ));
    assert!(matches!(
        refused("\"left_children\":[1,", "\"left_children\":[99,"),
        ModelError::Tree { .. }
    ));
    assert!(matches!(
        refused("\"left_children\":[1,", "\"left_children\":[0,"),
        ModelError::Tree { .. }
    ));
    assert!(matches!(xgboost::read("{}"), Err(ModelError::Format(_))));
    let mut saved: serde_json::Value = serde_json::from_str(&xgb).unwrap();
    let root = &mut saved["learner"]["gradient_booster"]["model"]["trees"][3];
    for column in root.as_object_mut().unwrap().values_mut() {
        if let Some(column) = column.as_array_mut() {
            column.clear();
        }
    }
    assert_eq!(
        xgboost::read(&saved.to_string()),
        Err(ModelError::Tree {
            tree: 3,
            problem: "it has no nodes".to_owned()
        })
    );
    // A share of 1 and a rate of 0 lie infinitely far out on the scale on which trees add.
    for (objective, score) in [
        ("binary:logistic", "1"),
        ("binary:logistic", "0"),
        ("count:poisson", "0"),
        ("reg:gamma", "-1"),
        ("reg:squarederror", "inf"),
    ] {
        let mut saved: serde_json::Value = serde_json::from_str(&xgb).unwrap();
        saved["learner"]["objective"]["name"] = objective.into();
        saved["learner"]["learner_model_param"]["base_score"] = score.into();
        assert!(
            matches!(
                xgboost::read(&saved.to_string()),
                Err(ModelError::Format(_))
            ),
            "{objective} {score}"
        );
    }
    let lgb = text("diabetes_lgb.txt");
    let refused = |from: &str, to: &str| lightgbm::read(&lgb.replacen(from, to, 1)).unwrap_err();
    assert!(matches!(
        refused("num_tree_per_iteration=1", "num_tree_per_iteration=3"),
        ModelError::Unsupported(_)
    ));
    assert!(matches!(
        refused("num_cat=0", "num_cat=1"),
        ModelError::Unsupported(_)
    ));
    assert!(matches!(
        refused("is_linear=0", "is_linear=1"),
        ModelError::Unsupported(_)
    ));
    assert!(matches!(
        refused("decision_type=2", "decision_type=6"),
        ModelError::Unsupported(_)
    ));
    assert!(matches!(
        refused("left_child=2", "left_child=77"),
        ModelError::Tree { .. }
    ));
    assert!(matches!(
        refused("left_child=2", "left_child=0"),
        ModelError::Tree { .. }
    ));
    assert!(matches!(lightgbm::read(""), Err(ModelError::Format(_))));
    assert!(matches!(
        lightgbm::read(&lgb[..4000]),
        Err(ModelError::Format(_))
    ));
    // A file that was cut anywhere before its trees are over, between two of them too, is not a smaller model.
    let end = lgb.find("end of trees").unwrap();
    let between = ["Tree=1\n", "Tree=50\n", "end of trees"].map(|at| lgb.find(at).unwrap());
    for cut in between.into_iter().chain((0..end).step_by(997)) {
        assert!(
            matches!(lightgbm::read(&lgb[..cut]), Err(ModelError::Format(_))),
            "cut at {cut}"
        );
    }
    let fewer = lgb.replacen("\ntree_sizes=690 ", "\ntree_sizes=", 1);
    assert!(matches!(lightgbm::read(&fewer), Err(ModelError::Format(_))));
    assert!(matches!(forust::read("{}"), Err(ModelError::Format(_))));
}

#[test]
fn sentences_say_what_the_numbers_say() {
    let model = leaf_only(2.0);
    let rows = table(&[vec![1.0]], 1);
    let none = explain(&model, &rows, Reference::TreePaths, ONE, &never).unwrap();
    let mut says = DriverOptions {
        outcome: "sales".to_owned(),
        unit: "units".to_owned(),
        row: "row".into(),
        rows: Vec::new(),
        most: 3,
    };
    assert!(driver_sentences(&rows, &[none], &says).unwrap().is_empty());
    assert!(driver_sentences(&rows, &[], &says).unwrap().is_empty());

    let one_split = |right: f64| {
        let split = Node::Split {
            feature: 0,
            threshold: 0.0,
            missing_left: true,
            left: 1,
            right: 2,
            cover: 4.0,
        };
        let leaf = |value, cover| Node::Leaf { value, cover };
        let tree = Tree::new(vec![split, leaf(0.0, 3.0), leaf(right, 1.0)], 1).unwrap();
        Model::new(
            vec!["x0".to_owned()],
            false,
            vec![tree],
            0.0,
            Comparison::Below,
            Vec::new(),
        )
        .unwrap()
    };
    let rows = table(&[vec![1.0], vec![2.0], vec![-1.0]], 1);
    let fits: Vec<Contributions> = [1000.0, 900.0, 1100.0, 1000.0, 1220.0, 780.0]
        .iter()
        .map(|&right| explain(&one_split(right), &rows, Reference::TreePaths, ONE, &never).unwrap())
        .collect();
    says.rows = vec![0, 1];
    assert_eq!(
        driver_sentences(&rows, &fits, &says).unwrap(),
        [
            "x0 raised sales by 750 units on average over 2 rows, 100 % of all movement; 80 % of 6 fits say 630 to 870 units."
        ]
    );
    // The mean of the fits is told, not the first: here that is the lowest, outside of the interval.
    let scattered: Vec<Contributions> = [780.0, 1000.0, 1000.0, 1000.0, 1220.0]
        .iter()
        .map(|&right| explain(&one_split(right), &rows, Reference::TreePaths, ONE, &never).unwrap())
        .collect();
    assert_eq!(
        driver_sentences(&rows, &scattered, &says).unwrap(),
        [
            "x0 raised sales by 750 units on average over 2 rows, 100 % of all movement; 80 % of 5 fits say 651 to 849 units."
        ]
    );
    says.rows = vec![2];
    assert_eq!(
        driver_sentences(&rows, &scattered, &says).unwrap(),
        [
            "x0 lowered sales by 250 units in this row, 100 % of all movement; 80 % of 5 fits say 217 to 283 units."
        ]
    );
    assert_eq!(
        driver_sentences(&rows, &fits[..1], &says).unwrap(),
        [
            "x0 lowered sales by 250 units in this row, 100 % of all movement; how sure this is was not measured."
        ]
    );
}

/// What is reported over several fits is what the mean of the models says, and lies where most of the fits say.
#[test]
fn effects_over_fits_add_up_and_lie_in_their_intervals() {
    let mut draws = rng::stream(31, &[]);
    let rows = table(&random_rows(&mut draws, 12, 4), 4);
    let says = DriverOptions {
        outcome: "sales".to_owned(),
        unit: String::new(),
        row: "row".to_owned(),
        rows: Vec::new(),
        most: 4,
    };
    for _ in 0..50 {
        let fits: Vec<Contributions> = (0..5)
            .map(|_| {
                let model = random_model(&mut draws, 4, 3, Comparison::Below);
                explain(&model, &rows, Reference::TreePaths, ONE, &never).unwrap()
            })
            .collect();
        let found = drivers(&rows, &fits, &says).unwrap();
        for driver in &found {
            let (low, high) = driver.interval.unwrap();
            assert!(
                low - 1e-12 <= driver.effect && driver.effect <= high + 1e-12,
                "{driver:?}"
            );
        }
        let said: f64 = fits
            .iter()
            .map(|fit| {
                let predictions = (0..12).map(|row| fit.prediction(row)).sum::<f64>();
                predictions / 12.0 - fit.bias
            })
            .sum::<f64>()
            / 5.0;
        let added: f64 = found.iter().map(|driver| driver.effect).sum();
        close(&[added], &[said], 1e-12, "sum of effects");
    }
}

/// Leaf values are in the outcome's unit; questions, covers and their order have none.
#[test]
fn the_unit_of_the_outcome_does_not_change_the_trees() {
    let frame = panel(20);
    let of = |unit: f64| {
        let scaled = frame
            .clone()
            .lazy()
            .with_columns([col("sales") * lit(unit)])
            .collect()
            .unwrap();
        train(&scaled, &options(), &never).unwrap()
    };
    let plain = of(1.0);
    assert!(plain.model.trees().len() > 5);
    for unit in [1e30, 1e-30, 1e150, 1e-150] {
        let fitted = of(unit);
        assert_eq!(fitted.model.trees().len(), plain.model.trees().len());
        for (tree, expected) in fitted.model.trees().iter().zip(plain.model.trees()) {
            for (node, expected) in tree.nodes().iter().zip(expected.nodes()) {
                match (node, expected) {
                    (
                        Node::Leaf { value, .. },
                        Node::Leaf {
                            value: expected, ..
                        },
                    ) => close(&[value / unit], &[*expected], 1e-5, "leaf"),
                    _ => assert_eq!(node, expected),
                }
            }
        }
        let error = |fitted: &Fitted| fitted.holdout_error.unwrap();
        close(&[error(&fitted) / unit], &[error(&plain)], 1e-5, "error");
    }
}

/// The rows that choose the number of trees do not measure it: spoiling those after them leaves the model alone, and spoiling
/// those that choose does not.
#[test]
fn the_rows_that_judge_have_no_part_in_the_number_of_trees() {
    let frame = panel(50);
    let options = BoostingOptions {
        refit: false,
        ..options()
    };
    let spoiled = |from: f64, to: f64| {
        let outcome = when(col("week").gt_eq(lit(from)).and(col("week").lt(lit(to))))
            .then(lit(0.0))
            .otherwise(col("sales"))
            .alias("sales");
        let frame = frame.clone().lazy().with_columns([outcome]).collect();
        train(&frame.unwrap(), &options, &never).unwrap()
    };
    let sound = spoiled(0.0, 0.0);
    let (judging, choosing) = (spoiled(40.0, 50.0), spoiled(32.0, 40.0));
    assert_eq!(judging.model, sound.model);
    assert!(judging.holdout_error > sound.holdout_error);
    assert!(choosing.model.trees().len() < sound.model.trees().len());
    assert_eq!((sound.rows, sound.holdout_rows), (500, 100));
}
