//! `analyze score`: the brands of a CSV file.

use std::{
    collections::{HashMap, HashSet},
    fmt::Display,
    path::{Path, PathBuf},
};

use analytics::score::{
    self, Absent, BrandScore, Method, MetricColumn, Options,
    robustness::{DrawParams, NoSwap, RankRange, Swap, ranks, smallest_swap},
    scalers::{ScalerError, Scalers},
};
use clap::{Args, ValueEnum};
use domain::{
    Error,
    metric::{Direction, Section},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Csv, Destination, Failure, Format, Outcome, cell,
    file::{self, CsvFile},
    maybe, work,
};

const EXAMPLE: &str = "\
Columns of the file: brand, and one per metric; empty cells are absent values. The definitions are TOML

  method = \"product\"              # product, product_floored, min_max, robust_z
  [[metrics]]
  key = \"ctr\"                     # its column
  direction = \"direct\"            # or indirect: lower is better
  weight = 20

or CSV with the columns key, direction, weight (and section).

Example:
  digi-cadence analyze score examples/analyze/score/brands.csv examples/analyze/score/metrics.toml

Result: one row per brand, best first: rank, score, band, coverage, base, one column per metric with its exact Shapley
contribution (base + contributions = score), the ranks that drawn weights lead to, and the smallest move of weight that makes the
brand level with the one before it. With --output json also values, benchmarks and points.";

/// `digi-cadence analyze score`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The CSV file: brand and a column per metric
    file: PathBuf,
    /// Definitions of the metrics (TOML or CSV)
    definitions: PathBuf,
    /// How a value becomes points [default: what the definitions say, else the product's rule]
    #[arg(long, value_enum)]
    method: Option<Rule>,
    /// Count absent values as 0 points instead of leaving them out
    #[arg(long)]
    absent_is_zero: bool,
    /// Leave a brand's own value out of the benchmark it is measured by
    #[arg(long)]
    leave_one_out: bool,
    /// Measure values by the scalers of this file, which `--freeze` wrote, instead of by the brands of today
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "absent_is_zero", "leave_one_out"])]
    frozen: Option<PathBuf>,
    /// Write what values are measured by (benchmarks, ranges) to this file, so that later scores can be compared with these
    #[arg(long, value_name = "FILE", conflicts_with = "leave_one_out")]
    freeze: Option<PathBuf>,
    /// Weightings drawn around the given one to see how firm the ranks are
    #[arg(long, value_name = "N", default_value_t = DrawParams::default().draws)]
    draws: usize,
    /// How closely drawn weights keep to the given ones; 0 draws every weighting alike
    #[arg(long, value_name = "N", default_value_t = 50.0, value_parser = concentration, allow_negative_numbers = true)]
    concentration: f64,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = DrawParams::default().seed)]
    seed: u64,
    #[command(flatten)]
    destination: Destination,
}

#[derive(Clone, Copy, Debug, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
enum Rule {
    /// 90 · value ÷ benchmark (the 75th percentile), 100 for the best
    Product,
    /// The same, floored to tens
    ProductFloored,
    /// 0 for the worst, 100 for the best, in proportion between
    MinMax,
    /// 100 · Φ((value − median) ÷ scaled median absolute deviation)
    RobustZ,
}

impl From<Rule> for Method {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Product => Self::Product,
            Rule::ProductFloored => Self::ProductFloored,
            Rule::MinMax => Self::MinMax,
            Rule::RobustZ => Self::RobustZ,
        }
    }
}

fn concentration(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err(format!("{text:?} is not a finite number from 0")),
    }
}

/// The definitions as a TOML file has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definitions {
    #[serde(default)]
    method: Option<Rule>,
    metrics: Vec<Metric>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    key: String,
    direction: Direction,
    weight: f64,
    #[serde(default = "marketplace")]
    section: Section,
}

fn marketplace() -> Section {
    Section::Marketplace
}

/// What is printed.
struct Scored {
    brands: Vec<String>,
    metrics: Vec<Metric>,
    method: Method,
    scores: Vec<BrandScore>,
    ranges: Vec<RankRange>,
    /// Brands by score, the best first, those without one last.
    order: Vec<usize>,
    /// By position in the order: what makes it level with the one before.
    swaps: Vec<Option<Result<Swap, NoSwap>>>,
    /// What was asked to be frozen.
    scalers: Option<Scalers>,
}

/// Runs the command.
pub(super) fn run(format: Format, arguments: Arguments) -> Outcome {
    let destination = Destination {
        out: arguments.destination.out.clone(),
    };
    let frozen = Destination {
        out: arguments.freeze.clone(),
    };
    let scored = work::run("scoring", move |watch| {
        score(&arguments, &|| watch.stopped())
    })?;
    if let Some(scalers) = &scored.scalers {
        frozen.write_json(scalers)?;
    }
    if format == Format::Json {
        destination.write_json(&document(&scored))
    } else {
        destination.write(&csv(&scored))
    }
}

fn score(arguments: &Arguments, cancel: &dyn Fn() -> bool) -> Result<Scored, Failure> {
    let definitions = read_definitions(&arguments.definitions)?;
    let file = CsvFile::read(&arguments.file)?;
    let column = file.column("brand")?;
    let mut seen = HashMap::new();
    let mut brands = Vec::with_capacity(file.rows());
    for row in 0..file.rows() {
        let name = file.filled(row, column)?;
        if let Some(first) = seen.insert(name, row) {
            return Err(file.repeated(first, row, &format!("brand {name:?}")).into());
        }
        brands.push(name.to_owned());
    }
    let columns = definitions
        .metrics
        .iter()
        .map(|metric| {
            Ok(MetricColumn {
                key: metric.key.clone(),
                direction: metric.direction,
                section: metric.section,
                weight: metric.weight,
                values: file.numbers(file.column(&metric.key)?)?,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let mut method = arguments
        .method
        .or(definitions.method)
        .map_or(Method::Product, Method::from);
    let options = Options {
        method,
        absent: if arguments.absent_is_zero {
            Absent::Zero
        } else {
            Absent::Excluded
        },
        leave_one_out: arguments.leave_one_out,
    };
    let cancel = || cancel();
    let unusable = |error: &dyn Display| Error::invalid("score.data_unusable", error.to_string());
    let scores = match &arguments.frozen {
        None => score::score(&columns, &options, &cancel).map_err(|error| unusable(&error))?,
        Some(path) => {
            let scalers: Scalers = file::json(path)?;
            method = scalers.method;
            scalers
                .score(&columns, &cancel)
                .map_err(|error| match error {
                    ScalerError::Score(error) => unusable(&error),
                    error => Error::invalid(
                        "score.scalers_unfit",
                        format!("{}: {error}", path.display()),
                    )
                    .advise(
                        "the definitions must list the metrics that were frozen, in that order",
                    ),
                })?
        }
    };
    let scalers = arguments
        .freeze
        .as_ref()
        .map(|_| Scalers::freeze(&columns, &options, &cancel))
        .transpose()
        .map_err(|error| unusable(&error))?;
    let params = DrawParams {
        draws: arguments.draws,
        concentration: (arguments.concentration > 0.0).then_some(arguments.concentration),
        seed: arguments.seed,
    };
    let ranges = ranks(&columns, &scores, &params, &cancel).map_err(|error| unusable(&error))?;
    let mut order: Vec<usize> = (0..brands.len()).collect();
    let value = |brand: usize| scores[brand].value.unwrap_or(f64::NEG_INFINITY);
    order.sort_by(|a, b| value(*b).total_cmp(&value(*a)).then(a.cmp(b)));
    let swaps = (0..order.len())
        .map(|at| {
            let before = at.checked_sub(1)?;
            Some(smallest_swap(&columns, &scores, order[before], order[at]))
        })
        .collect();
    Ok(Scored {
        brands,
        metrics: definitions.metrics,
        method,
        scores,
        ranges,
        order,
        swaps,
        scalers,
    })
}

impl Scored {
    /// A swap in words: `0.85 from ctr to organic_rank`.
    fn shifts(&self, swap: &Swap) -> String {
        let shifts: Vec<String> = swap
            .shifts
            .iter()
            .map(|s| {
                let (from, to) = (&self.metrics[s.from].key, &self.metrics[s.to].key);
                format!("{} from {from} to {to}", s.weight)
            })
            .collect();
        shifts.join("; ")
    }
}

fn band(score: &BrandScore) -> String {
    json!(score.band).as_str().unwrap_or_default().to_owned()
}

fn csv(scored: &Scored) -> String {
    let keys = scored.metrics.iter().map(|metric| metric.key.as_str());
    let first = ["brand", "rank", "score", "band", "coverage", "base"];
    let last = [
        "best_rank",
        "worst_rank",
        "share_first",
        "weight_to_swap",
        "swap",
    ];
    let mut csv = Csv::new(first.into_iter().chain(keys).chain(last));
    let rank = |rank: Option<usize>| rank.map_or_else(String::new, |r| r.to_string());
    for (brand, swap) in scored.order.iter().zip(&scored.swaps) {
        let (score, range) = (&scored.scores[*brand], &scored.ranges[*brand]);
        let (share, said) = match swap {
            None => (String::new(), String::new()),
            Some(Ok(swap)) => (cell(swap.share), scored.shifts(swap)),
            Some(Err(why)) => (String::new(), why.to_string()),
        };
        let contributions = score.lines.iter().map(|line| maybe(line.contribution));
        csv.row(
            [
                scored.brands[*brand].clone(),
                rank(range.rank),
                maybe(score.value),
                band(score),
                cell(score.coverage),
                maybe(score.base),
            ]
            .into_iter()
            .chain(contributions)
            .chain([
                rank(range.best),
                rank(range.worst),
                cell(range.share(1)),
                share,
                said,
            ]),
        );
    }
    csv.text()
}

fn document(scored: &Scored) -> Value {
    let brands: Vec<Value> = scored
        .order
        .iter()
        .zip(&scored.swaps)
        .map(|(brand, swap)| {
            let (score, range) = (&scored.scores[*brand], &scored.ranges[*brand]);
            let shares = range.shares.iter().map(|(rank, share)| json!({ "rank": rank, "share": share }));
            let lines = scored.metrics.iter().zip(&score.lines).map(|(metric, line)| {
                let mut line = json!(line);
                line["metric"] = json!(metric.key);
                line
            });
            json!({
                "brand": scored.brands[*brand], "rank": range.rank, "score": score.value, "band": score.band,
                "coverage": score.coverage, "base": score.base, "sections": score.sections,
                "metrics": lines.collect::<Vec<_>>(),
                "ranks": { "best": range.best, "worst": range.worst, "shares": shares.collect::<Vec<_>>() },
                "swap_with_the_one_before": swap.as_ref().map(|swap| match swap {
                    Ok(swap) => json!({
                        "weight": swap.moved, "share": swap.share,
                        "shifts": swap.shifts.iter().map(|s| json!({
                            "from": scored.metrics[s.from].key, "to": scored.metrics[s.to].key, "weight": s.weight,
                        })).collect::<Vec<_>>(),
                    }),
                    Err(why) => json!({ "impossible": why.to_string() }),
                }),
            })
        })
        .collect();
    json!({ "method": scored.method.name(), "brands": brands })
}

fn read_definitions(path: &Path) -> Result<Definitions, Error> {
    let definitions = if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("csv"))
    {
        from_csv(path)?
    } else {
        file::toml(path)?
    };
    let invalid = |why: String| {
        Error::invalid(
            "score.definitions_invalid",
            format!("{}: {why}", path.display()),
        )
    };
    let mut keys = HashSet::new();
    for metric in &definitions.metrics {
        if !keys.insert(&metric.key) {
            return Err(invalid(format!("metric {:?} is defined twice", metric.key)));
        }
        if !(metric.weight.is_finite() && metric.weight >= 0.0) {
            return Err(invalid(format!(
                "metric {:?} has the weight {}; weights are numbers from 0",
                metric.key, metric.weight
            )));
        }
    }
    if !definitions.metrics.iter().any(|metric| metric.weight > 0.0) {
        return Err(invalid("no metric has a weight above 0".to_owned()));
    }
    Ok(definitions)
}

fn from_csv(path: &Path) -> Result<Definitions, Error> {
    let file = CsvFile::read(path)?;
    let (key, direction, weight) = (
        file.column("key")?,
        file.column("direction")?,
        file.column("weight")?,
    );
    let section = file.column("section").ok();
    let word = |row: usize, column: usize, expected: &str| {
        let text = file.text(row, column);
        Error::invalid(
            "score.definitions_invalid",
            format!(
                "{}: {text:?} is not one of {expected}",
                file.place(row, column)
            ),
        )
    };
    let metrics = (0..file.rows())
        .map(|row| {
            Ok(Metric {
                key: file.filled(row, key)?.to_owned(),
                direction: serde_json::from_value(json!(file.text(row, direction)))
                    .map_err(|_| word(row, direction, "direct, indirect"))?,
                weight: file
                    .number(row, weight)?
                    .ok_or_else(|| file.missing(row, weight))?,
                section: match section.filter(|column| !file.text(row, *column).is_empty()) {
                    None => marketplace(),
                    Some(column) => {
                        serde_json::from_value(json!(file.text(row, column))).map_err(|_| {
                            word(
                                row,
                                column,
                                "marketplace, digital_spends, organic_performance, socialwatch",
                            )
                        })?
                    }
                },
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(Definitions {
        method: None,
        metrics,
    })
}
