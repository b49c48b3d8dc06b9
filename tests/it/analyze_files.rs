//! `analyze` on plain files: known answers, the same answer on any number of threads, refusals that say where, and a manual that
//! holds what it shows.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::support::{digi, json, repository, said};

/// A file of `examples/analyze`.
fn example(path: &str) -> String {
    repository("examples/analyze")
        .join(path)
        .display()
        .to_string()
}

fn testdata(path: &str) -> String {
    repository("analytics/testdata")
        .join(path)
        .display()
        .to_string()
}

fn analyze(arguments: &[&str]) -> Command {
    let mut command = digi(&["analyze"]);
    command.args(arguments);
    command
}

fn ends(arguments: &[&str]) -> Output {
    analyze(arguments).output().expect("the binary starts")
}

/// Standard output of an analysis that must succeed.
fn text(arguments: &[&str]) -> String {
    let output = ends(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// Header and rows of CSV without quoted cells.
fn rows(csv: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let cells = |line: &str| {
        line.split(',')
            .map(|c| c.trim_matches('"').to_owned())
            .collect()
    };
    let mut lines = csv.lines().map(cells);
    (lines.next().expect("a header"), lines.collect())
}

fn number(text: &str) -> f64 {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is not a number"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn floats(value: &Value) -> Vec<f64> {
    let list = value.as_array().expect("a list");
    list.iter().map(|v| v.as_f64().expect("a number")).collect()
}

#[test]
fn values_are_added_up_by_group_and_period_and_what_is_left_out_is_counted() {
    let file = example("aggregate/daily.csv");
    let output = ends(&[
        "aggregate",
        &file,
        "--by",
        "brand,metric",
        "--per",
        "quarter",
    ]);
    let (header, found) = rows(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(
        header,
        [
            "brand", "metric", "period", "sum", "mean", "count", "min", "max"
        ]
    );
    let mut expected: std::collections::BTreeMap<(String, String), Vec<f64>> = Default::default();
    for row in rows(&read(&file)).1 {
        let group = expected
            .entry((row[1].clone(), row[2].clone()))
            .or_default();
        group.extend(row[3].parse::<f64>().ok());
    }
    assert_eq!(found.len(), expected.len());
    for row in &found {
        let values = &expected[&(row[0].clone(), row[1].clone())];
        assert_eq!(row[2], "2026-01-01");
        assert!((number(&row[3]) - values.iter().sum::<f64>()).abs() < 1e-9);
        assert_eq!(number(&row[5]), values.len() as f64);
    }
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(notes.contains("360 rows; 1 without a value"), "{notes}");
    let kind = ["aggregate", &file, "--by", "brand", "--value", "metric"];
    refused(
        &kind,
        5,
        "file.not_a_number",
        &["line 2", "column \"metric\"", "\"units\"", "1234.5"],
    );
    let absent = ["aggregate", "nowhere.parquet", "--by", "brand"];
    refused(&absent, 5, "file.unreadable", &["nowhere.parquet"]);
}

#[test]
fn a_bad_file_of_values_is_refused_with_what_to_do_and_a_stable_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = "2026-01-05,1,4\n".repeat(150);
    for (file, text, code, parts) in [
        (
            "none.csv",
            None,
            "file.unreadable",
            &["none.csv", "check the path"][..],
        ),
        ("empty.csv", Some(String::new()), "file.empty", &["rows"]),
        (
            "header.csv",
            Some("date,brand,value\n".to_owned()),
            "file.empty",
            &["rows"],
        ),
        (
            "missing.csv",
            Some("date,brand,amount\n2026-01-05,1,4\n".to_owned()),
            "file.column_missing",
            &["\"value\"", "there are date, brand, amount"],
        ),
        (
            "semicolon.csv",
            Some("date;brand;value\n2026-01-05;1;4\n".to_owned()),
            "file.column_missing",
            &["separated by commas"],
        ),
        (
            "twice.csv",
            Some("date,brand,value,value\n2026-01-05,1,4,4\n".to_owned()),
            "file.column_repeated",
            &["\"value\""],
        ),
        (
            "text.parquet",
            Some(format!("date,brand,value\n{plain}")),
            "file.malformed",
            &["not a Parquet file"],
        ),
        (
            "number.csv",
            Some(format!("date,brand,value\n{plain}2026-01-05,1,much\n")),
            "file.not_a_number",
            &["line 152", "column \"value\"", "\"much\""],
        ),
        (
            "infinite.csv",
            Some(format!("date,brand,value\n{plain}2026-01-05,1,inf\n")),
            "file.not_a_number",
            &["line 152", "\"inf\""],
        ),
        (
            "date.csv",
            Some(format!("date,brand,value\n{plain}31.01.2026,1,4\n")),
            "file.not_a_time",
            &["line 152", "column \"date\"", "\"31.01.2026\""],
        ),
        (
            "comma.csv",
            Some(format!("date,brand,value\n{plain}2026-01-05,1,4,5\n")),
            "file.malformed",
            &["line 152", "4 cells where the header has 3"],
        ),
    ] {
        let path = folder.path().join(file);
        if let Some(text) = text {
            std::fs::write(&path, text).expect("written");
        }
        let arguments = ["aggregate", &path.display().to_string(), "--by", "brand"];
        refused(&arguments, 5, code, parts);
        let message = String::from_utf8(ends(&arguments).stderr).expect("text");
        assert_eq!(message.lines().count(), 1, "{file}: {message}");
    }
    let own = folder.path().display().to_string();
    refused(
        &["aggregate", &own, "--by", "brand"],
        5,
        "file.unreadable",
        &["a folder"],
    );
    let packed = folder.path().join("rows.csv.gz");
    std::fs::write(&packed, b"\x1f\x8b\x08\x00\x00").expect("written");
    refused(
        &["aggregate", &packed.display().to_string(), "--by", "brand"],
        5,
        "file.malformed",
        &["gzip", "unpack it"],
    );
    let good = example("aggregate/daily.csv");
    for (by, why) in [("brand,brand", "named twice"), ("date", "column of dates")] {
        refused(
            &["aggregate", &good, "--by", by],
            5,
            "file.malformed",
            &[why, "--by"],
        );
    }
    let named = folder.path().join("period.csv");
    std::fs::write(&named, "date,period,value\n2026-01-05,1,4\n").expect("written");
    refused(
        &["aggregate", &named.display().to_string(), "--by", "period"],
        5,
        "file.malformed",
        &["\"period\"", "the result has a column of that name"],
    );
}

#[test]
fn forecasts_are_those_of_the_reference_and_carry_their_evidence() {
    let golden: Value =
        serde_json::from_str(&read(&testdata("airpassengers_golden.json"))).expect("JSON");
    let file = example("forecast/airpassengers.csv");
    let base = [
        "forecast",
        file.as_str(),
        "--horizon",
        "24",
        "--season",
        "12",
    ];
    let (header, found) = rows(&text(&[&base[..], &["--model", "dynamic_theta"]].concat()));
    assert_eq!(header.join(","), "unique_id,step,yhat,lo80,hi80,lo95,hi95");
    let reference = floats(&golden["DOT"]["mean"]);
    assert_eq!(found.len(), reference.len());
    for ((row, theirs), step) in found.iter().zip(&reference).zip(1..) {
        assert_eq!(
            (row[0].as_str(), row[1].as_str()),
            ("airpassengers", step.to_string().as_str())
        );
        let ours: Vec<f64> = row[2..].iter().map(|c| number(c)).collect();
        assert!(
            (ours[0] / theirs - 1.0).abs() < 0.02,
            "step {step}: {} against {theirs}",
            ours[0]
        );
        assert!(
            ours[3] < ours[1] && ours[1] < ours[0] && ours[0] < ours[2] && ours[2] < ours[4],
            "{ours:?}"
        );
    }
    // The two years that follow, which no model has seen.
    let actual = &floats(&golden["series"])[120..];
    let (_, found) = rows(&text(&base));
    let off = |value: &dyn Fn(usize) -> f64| {
        actual
            .iter()
            .enumerate()
            .map(|(t, y)| (y - value(t)).abs())
            .sum::<f64>()
    };
    let history = floats(&golden["series"]);
    let ours = off(&|t| number(&found[t][2]));
    let naive = off(&|t| history[108 + t % 12]);
    assert!(ours < naive, "{ours} against {naive} of seasonal naive");
    let inside = actual
        .iter()
        .zip(&found)
        .filter(|(y, row)| number(&row[5]) <= **y && **y <= number(&row[6]));
    assert!(inside.count() >= 22, "the 95 % intervals miss too often");
    let mut command = analyze(&base);
    command.args(["--output", "json"]);
    let document = json(command);
    assert_eq!(document[0]["unique_id"], "airpassengers");
    assert!(
        document[0]["backtest"]["folds"].as_u64() > Some(0),
        "{document}"
    );
    assert_eq!(
        document[0]["steps"][23]["mean"].as_f64(),
        Some(number(&found[23][2]))
    );
}

#[test]
fn a_series_is_cleaned_by_the_rules_asked_for_and_every_changed_value_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sales.csv");
    let usual = |t: u32| 100 + t * 7 % 13;
    let rows = (0..60).filter(|t| *t != 20 && *t != 21).map(|t| {
        let value = match t {
            30 => 900,
            56.. => usual(56),
            _ => usual(t),
        };
        format!("shop,{t},{value}\n")
    });
    let text: String = std::iter::once("unique_id,t,y\n".to_owned())
        .chain(rows)
        .collect();
    std::fs::write(&path, text).expect("written");
    let path = path.display().to_string();
    let plain = [
        "forecast",
        path.as_str(),
        "--horizon",
        "2",
        "--output",
        "json",
    ];
    assert_eq!(json(analyze(&plain))[0]["cleaned"], serde_json::json!([]));
    let rules = ["--gaps", "linear", "--outliers", "cap", "--stuck-tail", "4"];
    let cleaned = json(analyze(&[&plain[..], &rules].concat()));
    let touched = cleaned[0]["cleaned"].as_array().expect("changes");
    let by = |rule: &str| -> Vec<u64> {
        let made = touched.iter().filter(|one| one["rule"] == rule);
        made.map(|one| one["at"].as_u64().expect("a place"))
            .collect()
    };
    assert_eq!(by("stuck_tail"), [57, 58, 59]);
    assert_eq!(by("outlier_cap"), [30]);
    assert_eq!(by("gap_linear"), [20, 21]);
    assert_eq!(touched.len(), 6);
    assert_eq!(touched[3]["before"], 900.0);
    let output = ends(&[&plain[..4], &rules].concat());
    let told = String::from_utf8(output.stderr).expect("text");
    for part in [
        "values of a stuck end dropped: 3 (shop)",
        "outliers brought back to the limit: 1 (shop)",
        "missing values filled by straight lines: 2 (shop)",
    ] {
        assert!(told.contains(part), "{part:?} is missing: {told}");
    }
}

#[test]
fn every_model_of_the_list_forecasts() {
    let file = example("forecast/airpassengers.csv");
    for model in [
        "auto",
        "cheap",
        "naive",
        "seasonal_naive",
        "theta",
        "dynamic_theta",
        "damped_ets",
        "ets",
        "arima",
        "ces",
        "mstl",
        "ensemble",
    ] {
        let (_, found) = rows(&text(&[
            "forecast",
            &file,
            "--horizon",
            "3",
            "--season",
            "12",
            "--model",
            model,
        ]));
        assert_eq!(found.len(), 3, "{model}");
    }
    let two_seasons = ["--horizon", "3", "--model", "mstl", "--season", "12,30"];
    assert_eq!(
        rows(&text(
            &[&["forecast"], &two_seasons[..], &[file.as_str()]].concat()
        ))
        .1
        .len(),
        3
    );
    let output = ends(&["forecast", &file, "--horizon", "3", "--season", "12,x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("\"x\" is not a number of periods"),
        "{}",
        said(&output)
    );
    let output = ends(&["forecast", &file, "--horizon", "3", "--model", "prophet"]);
    assert_eq!(output.status.code(), Some(2));
    let message = said(&output);
    assert!(
        message.contains("'prophet'") && message.contains("damped_ets"),
        "{message}"
    );
}

#[test]
fn a_panel_is_the_same_on_any_number_of_threads_and_in_any_order_of_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let history = floats(
        &serde_json::from_str::<Value>(&read(&testdata("airpassengers_golden.json")))
            .expect("JSON")["series"],
    );
    let mut lines: Vec<String> = Vec::new();
    for series in 0..40 {
        for (t, y) in history[series..60 + series].iter().enumerate() {
            lines.push(format!("s{series},{t},{}", y * (1.0 + series as f64)));
        }
    }
    let write = |name: &str, lines: &[String]| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("unique_id,t,y\n{}\n", lines.join("\n"))).expect("written");
        path.display().to_string()
    };
    let file = write("a.csv", &lines);
    let run = |file: &str, threads: &str| {
        text(&[
            "forecast",
            file,
            "--horizon",
            "6",
            "--season",
            "12",
            "--model",
            "cheap",
            "--threads",
            threads,
        ])
    };
    let one = run(&file, "1");
    assert_eq!(one.lines().count(), 1 + 40 * 6);
    assert_eq!(one, run(&file, "2"));
    // Within a series rows may stand in any order.
    for series in lines.chunks_mut(60) {
        series.reverse();
    }
    assert_eq!(one, run(&write("b.csv", &lines), "2"));
}

#[test]
fn drivers_need_their_future_and_a_result_can_go_to_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("f.csv");
    let file = example("forecast/sales_and_spend.csv");
    let base = ["forecast", file.as_str(), "--season", "52"];
    let printed = text(
        &[
            &base[..],
            &["--horizon", "8", "--out", &out.display().to_string()],
        ]
        .concat(),
    );
    assert_eq!(printed, "");
    assert_eq!(rows(&read(&out.display().to_string())).1.len(), 8);
    let mut command = analyze(&base);
    command.args(["--horizon", "8", "--output", "json", "--threads", "2"]);
    let document = json(command);
    let drivers = &document[0]["drivers"];
    assert_eq!(drivers["effects"][0]["name"], "x1");
    assert!(
        drivers["effects"][0]["coefficient"].as_f64() > Some(0.0),
        "{drivers}"
    );
    assert!(
        drivers["error_with"].as_f64() < drivers["error_without"].as_f64(),
        "{drivers}"
    );
    refused(
        &[&base[..], &["--horizon", "9"]].concat(),
        5,
        "forecast.future_missing",
        &["8 rows"],
    );
    refused(
        &[&base[..], &["--horizon", "8", "--model", "ets"]].concat(),
        5,
        "forecast.drivers_unused",
        &["--ignore"],
    );
    let without = text(
        &[
            &base[..],
            &["--horizon", "9", "--model", "theta", "--ignore", "x1,x2"],
        ]
        .concat(),
    );
    assert_eq!(rows(&without).1.len(), 9);
}

#[test]
fn the_next_amount_earns_the_price_of_the_total_and_edits_are_kept_while_the_rest_is_planned_again()
{
    let told = json(analyze(&[
        "allocate",
        &example("allocate/groups_3x4.json"),
        "--next",
        "0.01",
        "--edits",
        &example("allocate/edits.json"),
    ]));
    let number = |value: &Value| value.as_f64().expect("a number");
    let plan = &told["plan"];
    let price = number(&plan["certificate"]["prices"][0]);
    let per_unit = number(&told["next"]["per_unit"]);
    assert!((per_unit / price - 1.0).abs() < 1e-4, "{per_unit} {price}");
    assert_eq!(
        told["edits"][0]["edit"],
        serde_json::json!({ "edit": "set", "brand": 0, "channel": 1, "spend": 12.0 })
    );
    let after = |edit: usize| &told["edits"][edit]["answer"];
    let spends = |answer: &Value, brand: usize| -> Vec<f64> {
        answer["spend"][brand]
            .as_array()
            .expect("spends")
            .iter()
            .map(number)
            .collect()
    };
    for edit in 0..3 {
        assert_eq!(after(edit)["status"], "planned");
        assert!(number(&after(edit)["certificate"]["relative_gap"]) <= 1e-6);
        assert!((spends(after(edit), 0)[1] - 12.0).abs() < 1e-9);
    }
    assert!(number(&after(0)["value"]) < number(&plan["value"]));
    assert_eq!(spends(after(2), 2), spends(after(0), 2));
    assert!((number(&after(2)["total"]) - 295.0).abs() < 1e-9);
    refused(
        &[
            "allocate",
            &example("allocate/groups_3x4.json"),
            "--edits",
            "/no/such/edits.json",
        ],
        5,
        "file.unreadable",
        &["edits.json"],
    );
}

#[test]
fn an_allocation_has_the_known_optimum_and_its_proof() {
    let oracle: Value = serde_json::from_str(&read(&testdata("oracles.json"))).expect("JSON");
    let oracle = &oracle["A4_brand_x_channel_groups"];
    let answer = json(analyze(&["allocate", &example("allocate/groups_3x4.json")]));
    let value = answer["value"].as_f64().expect("a number");
    let expected = oracle["value"].as_f64().expect("a number");
    assert!(
        (value / expected - 1.0).abs() < 1e-8,
        "{value} is not {expected}"
    );
    let price = answer["certificate"]["prices"][0]
        .as_f64()
        .expect("a number");
    let expected = oracle["shadow_prices"]["budget"]
        .as_f64()
        .expect("a number");
    assert!(
        (price / expected - 1.0).abs() < 1e-5,
        "{price} is not {expected}"
    );
    assert_eq!(
        (&answer["status"], &answer["cells"][0]["channel"]),
        (&"planned".into(), &"tv".into())
    );

    let large = json(analyze(&[
        "allocate",
        &example("allocate/groups_30x6.json"),
    ]));
    // Computed with SciPy's SLSQP; examples/analyze/allocate/check_allocation.py.
    let value = large["value"].as_f64().expect("a number");
    assert!(
        (value / GROUPS_30X6 - 1.0).abs() < 1e-7,
        "{value} is not {GROUPS_30X6}"
    );
    assert!(
        large["certificate"]["relative_gap"].as_f64() <= Some(1e-6),
        "{}",
        large["certificate"]
    );
    assert!(
        large["certificate"]["stationarity"].as_f64() <= Some(1e-8),
        "{}",
        large["certificate"]
    );
}

/// Optimum of `groups_30x6.json`.
const GROUPS_30X6: f64 = 22_049.722_729_261;

#[test]
fn a_front_of_plans_is_bounded_and_does_not_depend_on_threads() {
    let file = example("allocate/groups_3x4.json");
    let run = |threads: &str| {
        text(&[
            "allocate",
            &file,
            "--front",
            "12",
            "--evaluations",
            "400",
            "--seed",
            "5",
            "--threads",
            threads,
        ])
    };
    let one = run("1");
    assert_eq!(one, run("2"));
    let front: Value = serde_json::from_str(&one).expect("JSON");
    let plans = front["plans"].as_array().expect("plans");
    assert!(plans.len() >= 4, "{} plans", plans.len());
    for pair in plans.windows(2) {
        let of = |plan: &Value, key: &str| plan[key].as_f64().expect("a number");
        assert!(
            of(&pair[0], "total") < of(&pair[1], "total")
                && of(&pair[0], "value") < of(&pair[1], "value")
        );
        assert!(of(&pair[0], "gap") >= 0.0);
    }
}

#[test]
fn a_problem_without_a_plan_ends_with_the_conflict_and_what_would_do() {
    let output = ends(&["allocate", &example("allocate/infeasible.json")]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["status"], "infeasible");
    let change = answer["least_change"].as_f64().expect("a number");
    assert!((change - 10.0).abs() < 1e-5, "{change}");
    let to = answer["relaxation"][0]["to"].as_f64().expect("a number");
    assert!((to - 160.0).abs() < 1e-5, "{to}");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("[plan.infeasible]"), "{message}");
}

/// Compares contributions with those of a reference: the largest difference over max(1, |φ|).
fn distance(ours: &str, reference: &str) -> f64 {
    let (names, found) = rows(ours);
    let (theirs, expected) = rows(reference);
    let features = theirs.len() - usize::from(theirs.contains(&"pred".to_owned())) - 1;
    assert_eq!(names[1..=features], theirs[..features]);
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(&expected);
    pairs
        .flat_map(|(a, b)| a[1..=features].iter().zip(&b[..features]))
        .map(|(a, b)| (number(a) - number(b)).abs() / number(b).abs().max(1.0))
        .fold(0.0, f64::max)
}

#[test]
fn contributions_are_those_of_xgboost_lightgbm_and_shap_and_add_up() {
    let (model, data) = (
        example("explain/model.json"),
        example("explain/patients.csv"),
    );
    let paths = text(&["explain", &model, &data]);
    let off = distance(&paths, &read(&testdata("shap/diabetes_xgb_shap.csv")));
    assert!(off < 1e-4, "{off} from XGBoost");
    for row in rows(&paths).1 {
        let numbers: Vec<f64> = row[1..].iter().map(|c| number(c)).collect();
        let (prediction, parts) = numbers.split_last().expect("a prediction");
        assert!((parts.iter().sum::<f64>() - prediction).abs() < 1e-9 * prediction.abs());
    }
    let background = example("explain/background.csv");
    let against = text(&["explain", &model, &data, "--background", &background]);
    let off = distance(
        &against,
        &read(&testdata("shap/diabetes_xgb_shap_interventional200.csv")),
    );
    assert!(off < 1e-4, "{off} from shap");
    let lightgbm = text(&["explain", &testdata("shap/diabetes_lgb.txt"), &data]);
    assert!(lightgbm.starts_with("row,age,sex,"), "names of the file");
    let off = distance(&lightgbm, &read(&testdata("shap/diabetes_lgb_shap.csv")));
    assert!(off < 1e-7, "{off} from LightGBM");
    assert_eq!(paths, text(&["explain", &model, &data, "--threads", "2"]));
    assert_eq!(paths, text(&["explain", &model, &data, "--threads", "1"]));
    // Rows of the matrix of interactions add up to the contributions.
    let (_, matrix) = rows(&text(&["explain", &model, &data, "--interactions"]));
    let (_, single) = rows(&paths);
    for (row, lines) in single.iter().zip(matrix.chunks(10)) {
        for (feature, line) in lines.iter().enumerate() {
            let sum: f64 = line[2..].iter().map(|c| number(c)).sum();
            assert!((sum - number(&row[1 + feature])).abs() < 1e-8, "{line:?}");
        }
    }
}

#[test]
fn trees_can_be_fitted_here_and_their_drivers_said_in_words() {
    let file = example("explain/train.csv");
    let run =
        |more: &[&str]| text(&[&["explain", "--train", "target", file.as_str()], more].concat());
    let (names, found) = rows(&run(&[]));
    assert_eq!((names.len(), found.len()), (13, 331));
    let said = run(&["--sentences", "--outcome", "disease progression"]);
    let first = said.lines().next().expect("a sentence");
    assert!(first.contains("disease progression"), "{first}");
    // Body mass and the blood value s5 are what this data set is known for.
    let leading: Vec<&str> = said.lines().take(2).collect();
    assert!(
        leading.iter().any(|l| l.contains("bmi")) && leading.iter().any(|l| l.contains("s5")),
        "{leading:?}"
    );
    assert_eq!(
        said,
        run(&[
            "--sentences",
            "--outcome",
            "disease progression",
            "--threads",
            "2"
        ])
    );
}

#[test]
fn planted_elasticities_are_found_and_what_cannot_be_told_says_why() {
    let (names, found) = rows(&text(&["synergy", &example("synergy/brands.csv")]));
    let at = |name: &str| names.iter().position(|n| n == name).expect(name);
    let of = |brand: &str, affected: &str, column: &str| -> String {
        let row = found
            .iter()
            .find(|r| r[at("brand")] == brand && r[at("affected")] == affected);
        row.unwrap_or_else(|| panic!("{brand} on {affected}"))[at(column)].clone()
    };
    assert_eq!(found.len(), 9);
    for (brand, affected, truth, verdict) in [
        ("Alba", "Alba", 0.20, "own effect"),
        ("Alba", "Brio", -0.15, "cannibalisation"),
        ("Brio", "Brio", 0.20, "own effect"),
        ("Brio", "Cima", 0.12, "halo"),
    ] {
        assert_eq!(
            of(brand, affected, "verdict"),
            verdict,
            "{brand} on {affected}"
        );
        let (low, high) = (
            number(&of(brand, affected, "lo95")),
            number(&of(brand, affected, "hi95")),
        );
        assert!(
            low < truth && truth < high,
            "{brand} on {affected}: {low} … {high}"
        );
    }
    for (brand, affected) in [("Alba", "Cima"), ("Brio", "Alba")] {
        assert_eq!(
            of(brand, affected, "verdict"),
            "no evidence",
            "{brand} on {affected}"
        );
    }
    for affected in ["Alba", "Brio", "Cima"] {
        assert_eq!(of("Cima", affected, "verdict"), "cannot tell");
        assert!(of("Cima", affected, "reason").contains("hardly varies"));
    }
    // What Alba's spend takes from Brio per unit it earns Alba: 0.15 ÷ 0.20, times the ratio of their mean outcomes.
    let index = number(&of("Alba", "Alba", "cannibalisation_index"));
    assert!((index - 0.5).abs() < 0.08, "{index}");
    assert_eq!(of("Cima", "Cima", "cannibalisation_index"), "");
    let mut command = analyze(&["synergy", &example("synergy/brands.csv")]);
    command.args(["--output", "json"]);
    let document = json(command);
    assert_eq!(
        document["portfolio"][0]["cannibalisation_index"].as_f64(),
        Some(index)
    );
}

#[test]
fn a_fit_finds_the_simulated_contributions() {
    let (file, model) = (example("fit/mmm_example.csv"), example("fit/model.toml"));
    let fit = json(analyze(&["fit", &file, &model]));
    // What the simulation added (analytics/testdata/README.md).
    for (channel, truth) in [(0, 274_848.0), (1, 65_906.0)] {
        let found = &fit["channels"][channel]["contribution"];
        let (low, high) = (found["low"].as_f64(), found["high"].as_f64());
        assert!(low < Some(truth) && Some(truth) < high, "{truth}: {found}");
        assert!(fit["channels"][channel]["roas"]["low"].as_f64() > Some(0.0));
    }
    assert!(
        fit["health"]["checks"]
            .as_array()
            .is_some_and(|c| !c.is_empty()),
        "{}",
        fit["health"]
    );
    assert!(fit["parameters"][0]["convergence"].is_null());
}

#[test]
fn the_sampler_is_asked_for_on_the_command_line_and_does_not_depend_on_threads() {
    let (file, model) = (example("fit/mmm_example.csv"), example("fit/model.toml"));
    let run = |threads: &str| {
        text(&[
            "fit",
            &file,
            &model,
            "--sample",
            "--chains",
            "2",
            "--warmup",
            "60",
            "--draws",
            "20",
            "--seed",
            "9",
            "--threads",
            threads,
        ])
    };
    let one = run("1");
    assert_eq!(one, run("2"));
    let fit: Value = serde_json::from_str(&one).expect("JSON");
    assert_eq!(
        (fit["draws"].as_u64(), fit["request"]["seed"].as_u64()),
        (Some(40), Some(9))
    );
    assert!(fit["parameters"][0]["convergence"]["rhat"].is_number());
    refused(
        &["fit", &file, &model, "--chains", "2"],
        5,
        "mix.model_invalid",
        &["--sample"],
    );
}

#[test]
fn scores_are_the_published_ones_with_their_parts_and_their_firmness() {
    let fixture: Value = serde_json::from_str(&read(&testdata("score_rule.json"))).expect("JSON");
    let fixture = &fixture["score_rule"];
    let (file, metrics) = (example("score/brands.csv"), example("score/metrics.toml"));
    let csv = text(&["score", &file, &metrics]);
    let (names, found) = rows(&csv);
    let at = |name: &str| names.iter().position(|n| n == name).expect(name);
    let order: Vec<&str> = found.iter().map(|r| r[0].as_str()).collect();
    assert_eq!(order, ["B", "D", "A", "C"]);
    for (rank, row) in (1..).zip(&found) {
        let expected = fixture["score_unfloored"][&row[0]]
            .as_f64()
            .expect("a number");
        let score = number(&row[at("score")]);
        assert!((score - expected).abs() < 1e-5, "{}: {score}", row[0]);
        assert_eq!(number(&row[at("rank")]), f64::from(rank));
        let parts: f64 = fixture["weights"]
            .as_object()
            .expect("a map")
            .keys()
            .map(|key| number(&row[at(key)]))
            .sum();
        assert!((number(&row[at("base")]) + parts - score).abs() < 1e-9);
        let range = (
            number(&row[at("best_rank")]),
            number(&row[at("worst_rank")]),
        );
        assert!(
            range.0 <= f64::from(rank) && f64::from(rank) <= range.1,
            "{range:?}"
        );
    }
    // Moving the weight it says makes D level with B.
    let mut command = analyze(&["score", &file, &metrics]);
    command.args(["--output", "json"]);
    let document = json(command);
    let swap = &document["brands"][1]["swap_with_the_one_before"];
    let mut moved: std::collections::BTreeMap<String, f64> =
        serde_json::from_value(fixture["weights"].clone()).expect("weights");
    for shift in swap["shifts"].as_array().expect("shifts") {
        let weight = shift["weight"].as_f64().expect("a number");
        *moved
            .get_mut(shift["from"].as_str().expect("a name"))
            .expect("a metric") -= weight;
        *moved
            .get_mut(shift["to"].as_str().expect("a name"))
            .expect("a metric") += weight;
    }
    let direct: Vec<&str> = fixture["direct"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join("moved.csv");
    let lines: Vec<String> = moved
        .iter()
        .map(|(key, weight)| {
            format!(
                "{key},{},{weight}",
                if direct.contains(&key.as_str()) {
                    "direct"
                } else {
                    "indirect"
                }
            )
        })
        .collect();
    std::fs::write(
        &other,
        format!("key,direction,weight\n{}\n", lines.join("\n")),
    )
    .expect("written");
    let (names, found) = rows(&text(&["score", &file, &other.display().to_string()]));
    let score = names.iter().position(|n| n == "score").expect("score");
    let of = |brand: &str| number(&found.iter().find(|r| r[0] == brand).expect(brand)[score]);
    assert!(
        (of("B") - of("D")).abs() < 1e-9,
        "{} and {}",
        of("B"),
        of("D")
    );
    let floored = text(&["score", &file, &metrics, "--method", "product_floored"]);
    assert!(floored.contains("\nB,1,76,"), "{floored}");
}

#[test]
fn a_frozen_score_moves_only_with_the_brands_own_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (file, metrics) = (example("score/brands.csv"), example("score/metrics.toml"));
    let scores = |arguments: &[&str]| -> Vec<(String, String)> {
        let (names, found) = rows(&text(&[&["score"], arguments].concat()));
        let score = names.iter().position(|n| n == "score").expect("score");
        let mut scores: Vec<(String, String)> = found
            .iter()
            .map(|r| (r[0].clone(), r[score].clone()))
            .collect();
        scores.sort();
        scores
    };
    let before = scores(&[&file, &metrics, "--freeze", &at("scalers.json")]);
    // D's click-through rate doubles.
    let later = read(&file).replace("D,4.0,0.8,", "D,4.0,1.6,");
    assert_ne!(later, read(&file));
    std::fs::write(at("later.csv"), later).expect("written");
    let after = scores(&[&at("later.csv"), &metrics, "--frozen", &at("scalers.json")]);
    assert_eq!(before[..3], after[..3]);
    assert!(number(&after[3].1) > number(&before[3].1), "{after:?}");
    assert_ne!(scores(&[&at("later.csv"), &metrics])[..3], before[..3]);
    std::fs::write(at("other.csv"), "key,direction,weight\nctr,direct,1\n").expect("written");
    refused(
        &[
            "score",
            &file,
            &at("other.csv"),
            "--frozen",
            &at("scalers.json"),
        ],
        5,
        "score.scalers_unfit",
        &["5 metrics were frozen"],
    );
    // The same metrics in another order: two of one direction have changed places.
    let turned = read(&metrics)
        .replace("\"engagement_rate\"", "\"first\"")
        .replace("\"ctr\"", "\"engagement_rate\"")
        .replace("\"first\"", "\"ctr\"");
    std::fs::write(at("turned.toml"), turned).expect("written");
    refused(
        &[
            "score",
            &file,
            &at("turned.toml"),
            "--frozen",
            &at("scalers.json"),
        ],
        5,
        "score.scalers_unfit",
        &[
            "metric 1 was \"engagement_rate\" when it was frozen, and is \"ctr\"",
            "in that order",
        ],
    );
}

#[test]
fn scores_of_the_largest_numbers_are_scores_and_a_concentration_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("b.csv"), "brand,x,y\nA,1e308,3\nB,-1e308,2\nC,0,1\n").expect("written");
    let definitions = "key,direction,weight\nx,direct,1e308\ny,direct,1e308\n";
    std::fs::write(at("d.csv"), definitions).expect("written");
    let (names, found) = rows(&text(&[
        "score",
        &at("b.csv"),
        &at("d.csv"),
        "--method",
        "min_max",
    ]));
    let column = |name: &str| names.iter().position(|n| n == name).expect("a column");
    let shown: Vec<(&str, &str, f64)> = found
        .iter()
        .map(|r| {
            (
                r[0].as_str(),
                r[column("rank")].as_str(),
                number(&r[column("score")]),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [("A", "1", 100.0), ("B", "2", 25.0), ("C", "2", 25.0)]
    );
    for concentration in ["inf", "nan", "-5"] {
        let arguments = [
            "score",
            &at("b.csv"),
            &at("d.csv"),
            "--concentration",
            concentration,
        ];
        let output = ends(&arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(
            message.contains("is not a finite number from 0"),
            "{message}"
        );
    }
}

/// An analysis that must be refused with this exit code and stable code, its message holding `parts`.
fn refused(arguments: &[&str], exit: i32, code: &str, parts: &[&str]) {
    let output = ends(arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(exit),
        "{arguments:?}: {}",
        said(&output)
    );
    assert!(
        message.trim_end().ends_with(&format!("[{code}]")),
        "{arguments:?}: {message}"
    );
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing: {message}");
    }
    assert!(output.stdout.is_empty(), "{}", said(&output));
    assert!(
        read(&repository("docs/errors.md").display().to_string())
            .contains(&format!("### `{code}`\n")),
        "{code} is not in docs/errors.md"
    );
}

#[test]
fn bad_files_are_refused_with_line_column_and_a_stable_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let good = write("good.csv", b"unique_id,t,y\na,1,2\na,2,3\n");
    for (file, code, parts) in [
        ("none.csv", "file.unreadable", &["none.csv"][..]),
        ("bytes.csv", "file.unreadable", &["line 2 is not UTF-8"]),
        ("empty.csv", "file.empty", &["empty.csv"]),
        ("ragged.csv", "file.malformed", &["line 3", "2 cells"]),
        (
            "missing.csv",
            "file.column_missing",
            &["line 1", "\"y\"", "there are unique_id, t, value"],
        ),
        (
            "semicolon.csv",
            "file.column_missing",
            &["separated by commas"],
        ),
        ("twice.csv", "file.column_repeated", &["\"y\""]),
        (
            "text.csv",
            "file.not_a_number",
            &["line 4", "column \"y\"", "\"2,5\"", "1234.5"],
        ),
        ("infinite.csv", "file.not_a_number", &["line 2", "\"inf\""]),
        (
            "key.csv",
            "file.key_repeated",
            &["line 4", "line 2", "series \"a\""],
        ),
        (
            "time.csv",
            "file.not_a_time",
            &["line 3", "column \"t\"", "\"soon\""],
        ),
        (
            "uneven.csv",
            "file.uneven_times",
            &["series \"a\"", "3 rows"],
        ),
        (
            "nameless.csv",
            "file.cell_missing",
            &["line 3", "column \"unique_id\""],
        ),
        ("unknown.csv", "file.cell_missing", &["series \"a\""]),
    ] {
        let text: &[u8] = match file {
            "bytes.csv" => b"unique_id,t,y\n\xff,1,2\n",
            "empty.csv" => b"unique_id,t,y\n",
            "ragged.csv" => b"unique_id,t,y\na,1,2\na,2\n",
            "missing.csv" => b"unique_id,t,value\na,1,2\n",
            "semicolon.csv" => b"unique_id;t;y\na;1;2\n",
            "twice.csv" => b"unique_id,t,y,y\na,1,2,2\n",
            "text.csv" => b"unique_id,t,y\na,1,2\na,2,\na,3,\"2,5\"\n",
            "infinite.csv" => b"unique_id,t,y\na,1,inf\n",
            "key.csv" => b"unique_id,t,y\na,1,2\nb,1,2\na,1,3\n",
            "time.csv" => b"unique_id,t,y\na,2026-01-05,2\na,soon,3\n",
            "uneven.csv" => b"unique_id,t,y\na,1,2\na,2,3\na,4000,3\n",
            "nameless.csv" => b"unique_id,t,y\na,1,2\n,2,3\n",
            "unknown.csv" => b"unique_id,t,y\na,1,\na,2,NA\n",
            _ => b"",
        };
        let path = if text.is_empty() {
            folder.path().join(file).display().to_string()
        } else {
            write(file, text)
        };
        refused(&["forecast", &path, "--horizon", "2"], 5, code, parts);
    }
    refused(
        &[
            "forecast",
            &good,
            "--horizon",
            "2",
            "--out",
            "/no/such/folder/f.csv",
        ],
        5,
        "file.not_written",
        &["/no/such/folder/f.csv"],
    );
    let json = write("a.json", b"{\"beta\": [[1, 2],\n [3, x]]}");
    refused(
        &["allocate", &json],
        5,
        "file.malformed",
        &["a.json", "line 2 column 6"],
    );
    let json = write("b.json", b"{\"beta\": [[1, 2], [3]], \"k\": 1, \"B\": 10}");
    refused(
        &["allocate", &json],
        5,
        "allocation.problem_invalid",
        &["b.json", "beta"],
    );
    let json = write("d.json", b"{\"beta\": \"much\", \"k\": 1, \"B\": 10}");
    refused(
        &["allocate", &json],
        5,
        "file.malformed",
        &[
            "a number, a list with a number per channel",
            "line 1 column 15",
        ],
    );
    let json = write(
        "c.json",
        b"{\"beta\": 1, \"k\": 1, \"B\": 10, \"bugdet\": 3}",
    );
    refused(&["allocate", &json], 5, "file.malformed", &["bugdet"]);
    let gap = write(
        "gap.csv",
        b"unique_id,t,y,x\na,1,2,1\na,2,3,1\na,4,3,1\na,5,,2\n",
    );
    refused(
        &["forecast", &gap, "--horizon", "1"],
        5,
        "file.row_missing",
        &["gap.csv", "after that of line 3"],
    );
    let far = write(
        "far.csv",
        b"brand,week,outcome,x\na,1,2,3\na,2,3,4\nb,9007199254740992,3,4\n",
    );
    refused(
        &["synergy", &far],
        5,
        "file.uneven_times",
        &["far.csv", "3 rows"],
    );
    let huge = write(
        "huge.csv",
        b"unique_id,t,y\na,1,2\na,9223372036854775807,3\n",
    );
    refused(
        &["forecast", &huge, "--horizon", "1"],
        5,
        "file.not_a_time",
        &["line 3"],
    );
    let model = write("model.json", b"{\"learner\": {}}");
    refused(
        &["explain", &model, &example("explain/patients.csv")],
        5,
        "explain.model_unreadable",
        &["model.json"],
    );
    refused(
        &["explain", &example("explain/model.json"), &good],
        5,
        "file.column_missing",
        &["\"age\"", "good.csv"],
    );
    refused(&["explain", &good], 5, "explain.files", &["--train"]);
    refused(
        &["explain", "--train", "y", &good, &good],
        5,
        "explain.files",
        &["one file"],
    );
    refused(
        &["explain", "--train", "y", "--features", "t", &good],
        5,
        "explain.cannot_learn",
        &["2 rows"],
    );
    let brands = write(
        "brands.csv",
        b"brand,week,outcome,spend\na,1,2,3\na,2,3,4\na,2,3,4\n",
    );
    refused(
        &["synergy", &brands],
        5,
        "file.key_repeated",
        &["line 4", "line 3", "brand \"a\""],
    );
    let brands = write("short.csv", b"brand,week,outcome,spend\na,1,2,3\na,2,3,4\n");
    refused(
        &["synergy", &brands],
        5,
        "synergy.data_unusable",
        &["2 periods"],
    );
    let toml = write("m.toml", b"outcome = \"y\"\nchanels = []\n");
    let sales = example("fit/mmm_example.csv");
    refused(
        &["fit", &sales, &toml],
        5,
        "file.malformed",
        &["m.toml, line 2, column 1", "chanels"],
    );
    let toml = write(
        "n.toml",
        b"outcome = \"sales\"\n[[channels]]\nname = \"x1\"\nspend = \"x1\"\n",
    );
    refused(
        &["fit", &sales, &toml],
        5,
        "file.column_missing",
        &["\"sales\""],
    );
    let toml = write("o.toml", b"outcome = \"y\"\n[[channels]]\nname = \"x1\"\n");
    refused(
        &["fit", &sales, &toml],
        5,
        "mix.model_invalid",
        &["o.toml", "x1"],
    );
    let toml = write(
        "p.toml",
        b"outcome = \"y\"\n[[channels]]\nname = \"x1\"\nspend = \"event_1\"\nlags = 2\n",
    );
    let short = write("short_sales.csv", b"y,event_1\n1,2\n2,3\n");
    refused(&["fit", &short, &toml], 5, "mix.data_unusable", &["2 rows"]);
    let holes = write("holes.csv", b"y,event_1\n1,2\n,1\n2,NA\n");
    refused(
        &["fit", &holes, &toml],
        5,
        "file.cell_missing",
        &["holes.csv, line 4, column \"event_1\""],
    );
    let scores = example("score/brands.csv");
    let toml = write(
        "q.toml",
        b"[[metrics]]\nkey = \"ctr\"\ndirection = \"up\"\nweight = 1\n",
    );
    refused(
        &["score", &scores, &toml],
        5,
        "file.malformed",
        &["line 3, column 13", "up"],
    );
    let definitions = write("d.csv", b"key,direction,weight\nctr,up,1\n");
    refused(
        &["score", &scores, &definitions],
        5,
        "score.definitions_invalid",
        &[
            "line 2",
            "column \"direction\"",
            "\"up\"",
            "direct, indirect",
        ],
    );
    let definitions = write(
        "e.csv",
        b"key,direction,weight\nctr,direct,1\nctr,direct,1\n",
    );
    refused(
        &["score", &scores, &definitions],
        5,
        "score.definitions_invalid",
        &["twice"],
    );
    let twice = write("f.csv", b"brand,ctr\nA,1\nA,2\n");
    let definitions = write("g.csv", b"key,direction,weight\nctr,direct,1\n");
    refused(
        &["score", &twice, &definitions],
        5,
        "file.key_repeated",
        &["line 3", "line 2", "brand \"A\""],
    );
}

#[test]
fn the_analyses_of_stored_data_keep_their_names_and_options() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite:{}", folder.path().join("a.db").display());
    let (project, slice) = (["--project", "p"], ["--metric", "m", "--min-periods", "3"]);
    let horizon = ["--horizon", "2"];
    let takes: [(&str, [&[&str]; 3]); 5] = [
        ("scores", [&project, &[], &[]]),
        ("forecasts", [&project, &slice, &horizon]),
        ("promotions", [&project, &slice, &[]]),
        ("synergies", [&project, &slice, &[]]),
        ("plan", [&[], &[], &horizon]),
    ];
    for (name, options) in takes {
        let common = [name, "--database", &database, "--limit", "1"];
        let output = ends(&[&common, options.concat().as_slice()].concat());
        // Nothing is stored there: it looked, and found no organisation.
        assert_eq!(output.status.code(), Some(7), "{name}: {}", said(&output));
        assert!(
            said(&output).contains("[organisation.unknown]"),
            "{name}: {}",
            said(&output)
        );
    }
}

#[test]
fn an_option_that_would_change_nothing_is_none_of_the_command() {
    for (name, option) in [
        ("scores", "--metric"),
        ("scores", "--horizon"),
        ("promotions", "--horizon"),
        ("plan", "--project"),
        ("plan", "--min-periods"),
    ] {
        let output = ends(&[name, option, "2"]);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{name} {option}: {}",
            said(&output)
        );
    }
}

#[test]
fn options_outside_their_range_are_refused_before_anything_is_read() {
    for arguments in [
        ["synergy", "--false-discovery-rate=7", "x"],
        ["synergy", "--false-discovery-rate=nan", "x"],
        ["synergy", "--year=0", "x"],
        ["synergy", "--year=nan", "x"],
        ["synergy", "--trend=18446744073709551615", "x"],
        ["allocate", "--gap=nan", "x"],
        ["allocate", "--gap=-1", "x"],
        ["fit", "--draws=1", "x"],
    ] {
        let output = ends(&arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            said(&output)
        );
    }
}

#[test]
fn drivers_that_are_not_there_and_columns_that_cannot_be_left_out_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("brands.csv").display().to_string();
    std::fs::write(&file, "brand,week,outcome,spend\na,1,2,3\na,2,3,4\n").expect("written");
    let code = "synergy.data_unusable";
    refused(
        &["synergy", &file, "--ignore", "spend"],
        5,
        code,
        &["there is no driver"],
    );
    refused(
        &["synergy", &file, "--controls", "outcome"],
        5,
        code,
        &["--controls", "outcome"],
    );
    refused(
        &["synergy", &file, "--ignore", "week"],
        5,
        code,
        &["--ignore", "week"],
    );
}

#[test]
fn missing_weeks_are_named_instead_of_being_closed_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gap.csv").display().to_string();
    let whole = read(&example("fit/mmm_example.csv"));
    let kept = whole
        .lines()
        .enumerate()
        .filter(|(at, _)| !(40..91).contains(at));
    let lines: Vec<&str> = kept.map(|(_, line)| line).collect();
    std::fs::write(&file, lines.join("\n")).expect("written");
    let day = |line: &str| line.split(',').next().expect("a date").to_owned();
    let (from, to) = (day(lines[39]), day(lines[40]));
    refused(
        &["fit", &file, &example("fit/model.toml")],
        5,
        "mix.data_unusable",
        &[&from, &to],
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_problem() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("marked.json").display().to_string();
    let problem = example("allocate/groups_30x6.json");
    std::fs::write(&file, format!("\u{feff}{}", read(&problem))).expect("written");
    assert_eq!(text(&["allocate", &file]), text(&["allocate", &problem]));
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer
    };
    let mut sound = analyze(&["allocate", &example("allocate/groups_30x6.json")]);
    let output = sound.stdout(closed()).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(output.stderr.is_empty(), "{}", said(&output));
    let mut wrong = analyze(&["allocate", "/no/such/file.json"]);
    let ended = wrong.stderr(closed()).status().expect("the binary starts");
    assert_eq!(
        ended.code(),
        Some(5),
        "the ending is told by its number alone"
    );
}

#[test]
fn an_interrupted_analysis_ends_at_once_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("fit.json");
    let mut child = analyze(&[
        "fit",
        &example("fit/mmm_example.csv"),
        &example("fit/model.toml"),
        "--sample",
        "--draws",
        "1000000",
        "--out",
        &out.display().to_string(),
    ])
    .stderr(std::process::Stdio::piped())
    .spawn()
    .expect("the binary starts");
    // The signal may come as soon as the process listens for it, which its mask of caught signals shows.
    let id = child.id();
    let listens = || {
        let status = read(&format!("/proc/{id}/status"));
        let mask = status
            .lines()
            .find_map(|l| l.strip_prefix("SigCgt:"))
            .expect("a mask")
            .trim();
        u64::from_str_radix(mask, 16).expect("hex") & 0b10 != 0
    };
    while !listens() {
        assert!(
            child.try_wait().expect("a child").is_none(),
            "it ended by itself"
        );
        std::thread::yield_now();
    }
    let sent = Command::new("kill")
        .args(["-INT", &id.to_string()])
        .status()
        .expect("kill exists");
    assert!(sent.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let mut message = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut message)
        .expect("text");
    assert_eq!(
        message,
        "digi-cadence: fitting was stopped (interrupt); nothing was written\n"
    );
    assert!(!out.exists());
}

/// Commands of the manual with the lines they are shown to print.
fn manual() -> Vec<(String, Vec<String>)> {
    let text = read(&repository("docs/analyze.md").display().to_string());
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match (open, line.strip_prefix("```")) {
            (false, Some(kind)) => {
                blocks.push((kind, Vec::new()));
                open = true;
            }
            (true, Some(_)) => open = false,
            (true, None) => blocks.last_mut().expect("open").1.push(line),
            (false, None) => {}
        }
    }
    let mut found = Vec::new();
    for pair in blocks.windows(2) {
        if let [("sh", command), ("text", shown)] = pair {
            let [command] = command.as_slice() else {
                panic!("one command per output: {command:?}")
            };
            found.push((
                (*command).to_owned(),
                shown.iter().map(|l| (*l).to_owned()).collect(),
            ));
        }
    }
    found
}

#[test]
fn the_manual_shows_what_the_commands_print() {
    let manual = manual();
    let mut commands: Vec<&str> = Vec::new();
    for (command, shown) in &manual {
        let mut words = command.split_whitespace();
        assert_eq!(
            (words.next(), words.next()),
            (Some("digi-cadence"), Some("analyze")),
            "{command}"
        );
        let words: Vec<&str> = words.collect();
        commands.push(words[0]);
        let output = analyze(&words)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .output()
            .expect("the binary starts");
        let printed = said(&output);
        let mut rest = printed.as_str();
        // `…` stands for what is left out: further digits, cells or lines.
        let pieces = shown.iter().flat_map(|line| line.split('…')).map(str::trim);
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            let at = rest
                .find(piece)
                .unwrap_or_else(|| panic!("{command} does not print {piece:?} there:\n{printed}"));
            rest = &rest[at + piece.len()..];
        }
    }
    for command in [
        "aggregate",
        "forecast",
        "allocate",
        "explain",
        "fit",
        "synergy",
        "score",
    ] {
        assert!(
            commands.contains(&command),
            "{command} has no worked example"
        );
    }
}
