//! `analyze explain`: the predictions of boosted trees, split into one contribution per feature.

use std::path::{Path, PathBuf};

use analytics::attribution::{
    BoostingOptions, Contributions, DriverOptions, ExplainError, ExplainOptions, Features,
    FeaturesError, Fitted, Interactions, Model, Reference, driver_sentences, explain, forust,
    interactions, lightgbm, train, xgboost,
};
use clap::Args;
use domain::Error;
use serde_json::json;

use super::{
    Csv, Destination, Failure, Format, Outcome, Threads, cell,
    file::{self, CsvFile},
    note,
    work::{self, Watch},
};

const EXAMPLE: &str = "\
Models: XGBoost saved as JSON (save_model(\"model.json\")), LightGBM saved as text (save_model(\"model.txt\")), forust saved as
JSON. The model's features are taken from the file by name, or by position where the model has no names; other columns are left
alone, and empty cells are missing values.

Examples:
  digi-cadence analyze explain examples/analyze/explain/model.json examples/analyze/explain/patients.csv
  digi-cadence analyze explain --train target --sentences examples/analyze/explain/train.csv

Result: row,<one column per feature>,bias,prediction: exact Shapley values, in the unit in which the trees add (log odds for a
logistic model); bias + contributions = prediction. docs/analyze.md shows how to check it against XGBoost and shap.";

/// `digi-cadence analyze explain`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE, override_usage = "digi-cadence analyze explain [OPTIONS] <MODEL> <FILE>\n       digi-cadence analyze explain [OPTIONS] --train <TARGET> <FILE>")]
pub(super) struct Arguments {
    /// The model and the CSV file of the rows to explain; with --train the CSV file alone
    #[arg(value_name = "MODEL> <FILE", required = true, num_args = 1..=2)]
    files: Vec<PathBuf>,
    /// Fit boosted trees to this column of the file, in the order of its rows, and explain those
    #[arg(long, value_name = "TARGET")]
    train: Option<String>,
    /// Columns to learn from [default: all but the target]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', requires = "train")]
    features: Vec<String>,
    /// Compare with the rows of this CSV file (interventional) instead of following the training rows through the trees
    #[arg(long, value_name = "FILE")]
    background: Option<PathBuf>,
    /// Split further into main effects (diagonal) and pairs: row and feature, then one column per feature
    #[arg(long, conflicts_with = "sentences")]
    interactions: bool,
    /// Say in a sentence what each driver did over all rows
    #[arg(long)]
    sentences: bool,
    /// What is predicted, as the sentences call it
    #[arg(long, value_name = "NAME", default_value = "the prediction")]
    outcome: String,
    /// Unit of what is predicted, as it follows a number
    #[arg(long, value_name = "UNIT", default_value = "")]
    unit: String,
    /// Seed of the fit
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    destination: Destination,
}

/// What was asked for.
enum Found {
    Contributions(Contributions),
    Interactions(Interactions),
    Sentences(Vec<String>),
}

/// Runs the command.
pub(super) fn run(format: Format, arguments: Arguments) -> Outcome {
    let destination = Destination {
        out: arguments.destination.out.clone(),
    };
    let (found, fitted) = work::run("explaining", move |watch| find(&arguments, watch))?;
    if let Some(fitted) = &fitted {
        let error =
            |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |v| format!("{v:.4}"));
        note(&format!(
            "fitted {} trees to {} rows; root mean squared error on the last {} rows, before they were learnt from: {} (of their predecessors' mean: {})",
            fitted.model.trees().len(),
            fitted.rows,
            fitted.holdout_rows,
            error(fitted.holdout_error),
            error(fitted.holdout_error_of_mean),
        ));
    }
    if format == Format::Json {
        let mut document = match &found {
            Found::Contributions(found) => json!({
                "features": found.features, "bias": found.bias,
                "contributions": (0..found.rows()).map(|r| found.row(r)).collect::<Vec<_>>(),
                "predictions": (0..found.rows()).map(|r| found.prediction(r)).collect::<Vec<_>>(),
            }),
            Found::Interactions(found) => json!({
                "features": found.features, "bias": found.bias,
                "interactions": (0..found.rows())
                    .map(|r| found.row(r).chunks(found.features.len()).collect::<Vec<_>>())
                    .collect::<Vec<_>>(),
            }),
            Found::Sentences(sentences) => json!({ "sentences": sentences }),
        };
        if let Some(fitted) = &fitted {
            document["fit"] = json!({
                "trees": fitted.model.trees().len(), "rows": fitted.rows, "holdout_rows": fitted.holdout_rows,
                "holdout_error": fitted.holdout_error, "holdout_error_of_mean": fitted.holdout_error_of_mean,
            });
        }
        return destination.write_json(&document);
    }
    destination.write(&match &found {
        Found::Sentences(sentences) => sentences.join("\n"),
        Found::Contributions(found) => {
            let features = found.features.iter().map(String::as_str);
            let mut csv = Csv::new(
                ["row"]
                    .into_iter()
                    .chain(features)
                    .chain(["bias", "prediction"]),
            );
            for row in 0..found.rows() {
                let numbers = found.row(row).iter().copied();
                let numbers = numbers.chain([found.bias, found.prediction(row)]);
                csv.row([(row + 1).to_string()].into_iter().chain(numbers.map(cell)));
            }
            csv.text()
        }
        Found::Interactions(found) => {
            let features = found.features.iter().map(String::as_str);
            let mut csv = Csv::new(["row", "feature"].into_iter().chain(features));
            for row in 0..found.rows() {
                let lines = found.row(row).chunks(found.features.len());
                for (feature, line) in found.features.iter().zip(lines) {
                    let numbers = line.iter().copied().map(cell);
                    csv.row(
                        [(row + 1).to_string(), feature.clone()]
                            .into_iter()
                            .chain(numbers),
                    );
                }
            }
            csv.text()
        }
    })
}

fn find(arguments: &Arguments, watch: &Watch) -> Result<(Found, Option<Fitted>), Failure> {
    let (model, path, fitted) = match (&arguments.train, arguments.files.as_slice()) {
        (Some(target), [data]) => {
            let fitted = learn(data, target, arguments, watch)?;
            (fitted.model.clone(), data, Some(fitted))
        }
        (None, [model, data]) => (read_model(model)?, data, None),
        (Some(_), _) => {
            return Err(Error::invalid(
                "explain.files",
                "--train takes one file, the CSV file; there is no model to read",
            )
            .into());
        }
        (None, _) => {
            return Err(Error::invalid(
                "explain.files",
                "two files are needed: the model and the CSV file of the rows to explain",
            )
            .advise("with --train TARGET a model is fitted, and the CSV file is enough")
            .into());
        }
    };
    let rows = read_rows(path, &model)?;
    let background = match &arguments.background {
        Some(path) => Some(read_rows(path, &model)?),
        None => None,
    };
    let reference = background
        .as_ref()
        .map_or(Reference::TreePaths, Reference::Background);
    let options = ExplainOptions {
        threads: arguments.threads.count(),
    };
    let stop = || watch.stopped();
    let refused = |error: ExplainError| {
        Error::invalid("explain.impossible", format!("{}: {error}", path.display()))
    };
    let found = if arguments.interactions {
        let mut found = interactions(&model, &rows, reference, options, &stop).map_err(refused)?;
        found.features = rows.names().to_vec();
        Found::Interactions(found)
    } else {
        let mut found = explain(&model, &rows, reference, options, &stop).map_err(refused)?;
        // A model without names of its own gets those of the file.
        found.features = rows.names().to_vec();
        if arguments.sentences {
            let options = DriverOptions {
                outcome: arguments.outcome.clone(),
                unit: arguments.unit.clone(),
                row: "row".to_owned(),
                rows: Vec::new(),
                most: usize::MAX,
            };
            let said = driver_sentences(&rows, std::slice::from_ref(&found), &options);
            Found::Sentences(said.map_err(|error| refused(error.into()))?)
        } else {
            Found::Contributions(found)
        }
    };
    Ok((found, fitted))
}

fn read_model(path: &Path) -> Result<Model, Error> {
    let text = file::text(path)?;
    let read = if !text.trim_start().starts_with('{') {
        lightgbm::read(&text)
    } else if text.contains("\"learner\"") {
        xgboost::read(&text)
    } else {
        forust::read(&text)
    };
    read.map_err(|error| {
        Error::invalid("explain.model_unreadable", format!("{}: {error}", path.display())).advise(
            "models are XGBoost or forust saved as JSON, or LightGBM saved as text, with numeric splits and one output",
        )
    })
}

/// The model's columns of a file by name, or all of them by position where the model has no names of its own.
fn read_rows(path: &Path, model: &Model) -> Result<Features, Error> {
    let file = CsvFile::read(path)?;
    let has = |name: &String| file.header().contains(name);
    if model.features().iter().all(has) {
        return table(&file, model.features().to_vec());
    }
    // Whether columns may be taken by position is the model's to say; no rows are needed for that.
    let header = file.header().to_vec();
    let empty = vec![Vec::new(); header.len()];
    match Features::new(header.clone(), empty).and_then(|none| model.columns(&none).map(|_| ())) {
        Ok(()) => table(&file, header),
        Err(FeaturesError::Absent(_)) => table(&file, model.features().to_vec()),
        Err(error) => Err(Error::invalid(
            "explain.impossible",
            format!("{}: {error}", file.name()),
        )
        .advise("leave only the model's columns in the file, in its order")),
    }
}

fn table(file: &CsvFile, names: Vec<String>) -> Result<Features, Error> {
    let columns = names
        .iter()
        .map(|name| file.numbers(file.column(name)?))
        .collect::<Result<Vec<_>, _>>()?;
    Features::new(names, columns)
        .map_err(|error| Error::invalid("explain.impossible", format!("{}: {error}", file.name())))
}

fn learn(
    path: &Path,
    target: &str,
    arguments: &Arguments,
    watch: &Watch,
) -> Result<Fitted, Failure> {
    let file = CsvFile::read(path)?;
    file.column(target)?;
    let features: Vec<String> = if arguments.features.is_empty() {
        let others = file.header().iter().filter(|name| *name != target);
        others.cloned().collect()
    } else {
        arguments.features.clone()
    };
    let names = features.iter().cloned().chain([target.to_owned()]);
    let data = table(&file, names.collect())?;
    let options = BoostingOptions {
        seed: arguments.seed,
        ..BoostingOptions::new(target, features)
    };
    train(&data.to_frame(), &options, &|| watch.stopped()).map_err(|error| {
        Error::invalid(
            "explain.cannot_learn",
            format!("{}: {error}", path.display()),
        )
        .into()
    })
}
