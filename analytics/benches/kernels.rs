//! The inner loops one by one: `cargo bench -p analytics --bench kernels`. One thread each; `--bench table` compares whole
//! computations with their references.

use std::{hint::black_box, path::Path};

use analytics::{
    allocation::{Problem, Settings, solve},
    attribution::{ExplainOptions, Features, Reference, explain, xgboost},
    cancel::never,
    correlation::{
        GraphicalLassoParams, SeriesBlock, graphical_lasso,
        known::{self, BRANDS, DAYS},
        lagged, pearson, shrunk,
    },
    forecast::{
        self, Options,
        ets::{self, Pool},
    },
    mix::{Adstock, Saturation, transform::carry},
    pareto::hypervolume,
};
use divan::{Bencher, counter::ItemsCount};
use serde_json::Value;

fn main() {
    divan::main();
}

fn testdata(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name);
    std::fs::read_to_string(path).expect("it is part of the repository")
}

fn passengers() -> Vec<f64> {
    let file: Value = serde_json::from_str(&testdata("airpassengers_models.json")).expect("JSON");
    let values = file["series"].as_array().expect("a list");
    values.iter().filter_map(Value::as_f64).collect()
}

/// One metric of 200 brands over 730 days.
fn brands() -> SeriesBlock {
    SeriesBlock::new(DAYS, known::metric(&known::panel(), 0)).expect("whole series")
}

#[divan::bench]
fn pearson_200_series(bencher: Bencher) {
    let block = brands();
    let pairs = BRANDS * (BRANDS - 1) / 2;
    bencher
        .counter(ItemsCount::new(pairs))
        .bench(|| pearson(black_box(&block), 1, &never).expect("correlations"));
}

#[divan::bench(sample_count = 20)]
fn lagged_200_series_29_lags(bencher: Bencher) {
    let block = brands();
    bencher
        .counter(ItemsCount::new(BRANDS * BRANDS * 29))
        .bench(|| lagged(black_box(&block), 14, 1, &never).expect("correlations"));
}

#[divan::bench(sample_count = 10)]
fn graphical_lasso_200_series(bencher: Bencher) {
    let covariance = shrunk(&brands(), 1, &never)
        .expect("correlations")
        .correlations
        .square()
        .expect("all vary");
    let params = GraphicalLassoParams::default();
    bencher.bench(|| {
        graphical_lasso(black_box(&covariance), BRANDS, &params, &never).expect("a graph")
    });
}

#[divan::bench]
fn ets_of_120_months(bencher: Bencher) {
    let values = passengers();
    bencher.bench(|| ets::fit(black_box(&values), 12, Pool::All).expect("a model"));
}

#[divan::bench(sample_count = 20)]
fn auto_forecast_of_120_months_with_backtest(bencher: Bencher) {
    let values = passengers();
    let options = Options::new(12, 12);
    bencher.bench(|| forecast::forecast(black_box(&values), &options).expect("a forecast"));
}

#[divan::bench]
fn allocation_30_by_6_with_rules(bencher: Bencher) {
    let problem: Problem =
        serde_json::from_str(&testdata("opt/groups_30x6.json")).expect("a problem");
    let settings = Settings::default();
    bencher.bench(|| solve(black_box(&problem), &settings, &never).expect("a plan"));
}

#[divan::bench]
fn tree_paths_of_111_rows_100_trees(bencher: Bencher) {
    let model = xgboost::read(&testdata("shap/diabetes_xgb.json")).expect("a model");
    let rows = diabetes(model.features());
    let one = ExplainOptions { threads: 1 };
    bencher.counter(ItemsCount::new(rows.rows())).bench(|| {
        explain(&model, black_box(&rows), Reference::TreePaths, one, &never).expect("contributions")
    });
}

#[divan::bench]
fn carry_over_and_saturation_of_156_weeks(bencher: Bencher) {
    let spend: Vec<f64> = (0..156).map(|week| f64::from(week * 37 % 101)).collect();
    let weights = Adstock::Geometric.weights(&[0.6], 13);
    bencher.counter(ItemsCount::new(spend.len())).bench(|| {
        carry(black_box(&spend), &weights)
            .iter()
            .map(|x| Saturation::Hill.at(x / 100.0, &[1.5, 0.6]))
            .sum::<f64>()
    });
}

#[divan::bench]
fn hypervolume_of_100_plans(bencher: Bencher) {
    let front: Vec<Vec<f64>> = (0..100)
        .map(|i| f64::from(i) / 99.0)
        .map(|x| vec![x, 1.0 - x.sqrt()])
        .collect();
    bencher.bench(|| hypervolume(black_box(&front), &[1.1, 1.1]));
}

/// The test rows of the diabetes file in the columns of a model.
fn diabetes(features: &[String]) -> Features {
    let text = testdata("shap/diabetes.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<String> = reader
        .headers()
        .expect("a head")
        .iter()
        .map(str::to_owned)
        .collect();
    let rows: Vec<csv::StringRecord> = reader
        .records()
        .map(|row| row.expect("it is well formed"))
        .filter(|row| row.iter().next_back() == Some("test"))
        .collect();
    let columns = features
        .iter()
        .map(|feature| {
            let at = names
                .iter()
                .position(|name| name == feature)
                .expect("the column is there");
            rows.iter()
                .map(|row| row[at].parse().unwrap_or(f64::NAN))
                .collect()
        })
        .collect();
    Features::new(features.to_vec(), columns).expect("the columns are of one length")
}
