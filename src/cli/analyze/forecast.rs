//! `analyze forecast`: the series of a CSV file.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use analytics::{
    forecast::{
        Forecast, Model, Note, Options, Recipe, panel,
        regress::{Driven, Driver, forecast_driven_cancellable},
    },
    quality::cleaning::{Cleaning, GapRule, OutlierRule, Rule, Touched, clean},
};
use clap::{Args, ValueEnum, builder::PossibleValuesParser};
use domain::Error;
use serde_json::{Value, json};

use super::{
    Csv, Destination, Failure, Format, Outcome, Threads, cell,
    file::CsvFile,
    number,
    time::Times,
    work::{self, Watch},
};

const EXAMPLE: &str = "\
Columns of the file: unique_id, t, y. t is a whole number or a date; missing periods and empty y count as not known. Any
other column is a driver whose future is known: it goes on in rows with an empty y after each series' history, one per step.

Examples:
  digi-cadence analyze forecast examples/analyze/forecast/airpassengers.csv --horizon 12 --season 12
  digi-cadence analyze forecast sales.csv --horizon 8 --season 52 --outliers cap --gaps seasonal --stuck-tail 4

Result: unique_id,step,yhat,lo80,hi80,lo95,hi95, one row per series and step. With --output json also the model, its form and
parameters, the backtest, notes and the drivers' effects per series (null where the past cannot tell); without it the notes
go to standard error. docs/analyze.md shows how to check it against statsforecast.";

/// `digi-cadence analyze forecast`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The CSV file: unique_id, t, y and columns of drivers
    file: PathBuf,
    /// Steps ahead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    horizon: u16,
    /// Periods of one season, such as 12 for months or 52 for weeks; up to two further ones after commas (7,365), which only
    /// `mstl` sees
    #[arg(long, value_name = "N", default_value = "1", value_parser = seasons)]
    season: Seasons,
    /// What forecasts: `auto` and `cheap` combine their models where a backtest does not prefer one of them; `ensemble` always
    /// combines those of `auto`; the others are single models
    #[arg(long, value_name = "MODEL", default_value = "auto", value_parser = PossibleValuesParser::new(models()))]
    model: String,
    /// Columns to leave out
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    ignore: Vec<String>,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    destination: Destination,
    // Last, because its heading holds for all that follows.
    #[command(flatten)]
    rules: Rules,
}

/// What is done to a series before it is forecast; every value that was changed is told. Nothing is by default, and what is still
/// missing is then filled by straight lines.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Cleaning")]
struct Rules {
    /// What becomes of missing values between known ones
    #[arg(long, value_name = "RULE", value_enum, default_value_t = Gaps::None)]
    gaps: Gaps,
    /// Longest gap that is filled, in periods; `zero` fills any
    #[arg(long, value_name = "N", default_value_t = Cleaning::default().longest_gap)]
    longest_gap: u32,
    /// What becomes of values far from what trend and season let one expect
    #[arg(long, value_name = "RULE", value_enum, default_value_t = Outliers::None)]
    outliers: Outliers,
    /// Robust standard deviations from which a value is an outlier
    #[arg(long, value_name = "SD", default_value_t = Cleaning::default().outlier_limit, value_parser = number::positive)]
    outlier_limit: f64,
    /// A series that ends in at least this many equal values other than zero loses all of them but the first, as from a feed that
    /// has stuck; 0 leaves it
    #[arg(long, value_name = "N", default_value_t = Cleaning::default().stuck_tail)]
    stuck_tail: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Gaps {
    /// They stay missing
    None,
    /// A straight line
    Linear,
    /// A straight line with the season of the place
    Seasonal,
    /// Zero: the file leaves out what did not happen
    Zero,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Outliers {
    /// They stay
    None,
    /// They are brought back to the limit
    Cap,
    /// They are replaced by what was expected
    Expected,
}

impl Rules {
    fn cleaning(self) -> Cleaning {
        Cleaning {
            stuck_tail: self.stuck_tail,
            outliers: match self.outliers {
                Outliers::None => OutlierRule::None,
                Outliers::Cap => OutlierRule::Cap,
                Outliers::Expected => OutlierRule::Expected,
            },
            outlier_limit: self.outlier_limit,
            gaps: match self.gaps {
                Gaps::None => GapRule::None,
                Gaps::Linear => GapRule::Linear,
                Gaps::Seasonal => GapRule::Seasonal,
                Gaps::Zero => GapRule::Zero,
            },
            longest_gap: self.longest_gap,
        }
    }
}

fn models() -> Vec<&'static str> {
    let recipes = ["auto", "cheap"].into_iter();
    recipes.chain(Model::ALL.map(Model::name)).collect()
}

/// Periods of the first season and of two further ones, 0 where there are none.
type Seasons = [usize; 3];

fn seasons(text: &str) -> Result<Seasons, String> {
    let given = text
        .split(',')
        .map(|period| match period.trim().parse::<u16>() {
            Ok(period) if period > 0 => Ok(usize::from(period)),
            _ => Err(format!(
                "{period:?} is not a number of periods from 1 to 65535"
            )),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if given.len() > 3 {
        return Err("a series can have three seasons at most".to_owned());
    }
    let mut seasons = [0; 3];
    seasons[..given.len()].copy_from_slice(&given);
    Ok(seasons)
}

/// A series of the file.
struct Series {
    id: String,
    /// Known values and holes.
    history: Vec<f64>,
    /// Values that the rules changed.
    touched: Vec<Touched>,
    drivers: Vec<Driver>,
}

/// A series by name, and what its cleaning changed.
struct Name {
    id: String,
    touched: Vec<Touched>,
}

/// A series' forecast and, with drivers, what they did.
struct Made {
    forecast: Forecast,
    driven: Option<Driven>,
}

/// Runs the command.
pub(super) fn run(format: Format, arguments: Arguments) -> Outcome {
    let Arguments {
        file,
        horizon,
        season,
        model,
        ignore,
        rules,
        threads,
        destination,
    } = arguments;
    let (names, made) = work::run("forecasting", move |watch| {
        let horizon = usize::from(horizon);
        let mut series = read(&file, horizon, &ignore)?;
        watch.expect(series.len());
        let cleaning = rules.cleaning();
        for one in &mut series {
            let cleaned = clean(&one.history, season[0], &cleaning);
            (one.history, one.touched) = (cleaned.values, cleaned.touched);
        }
        let recipe = if model == "cheap" {
            Recipe::Cheap
        } else {
            Recipe::Auto
        };
        let options = Options {
            recipe,
            further: [season[1], season[2]],
            ..Options::new(horizon, season[0])
        };
        let wanted = Model::ALL.into_iter().find(|m| m.name() == model);
        let names: Vec<Name> = series
            .iter_mut()
            .map(|one| Name {
                id: one.id.clone(),
                touched: std::mem::take(&mut one.touched),
            })
            .collect();
        let made = if series.iter().all(|s| s.drivers.is_empty()) {
            plain(series, options, wanted, threads.count(), watch)?
        } else if wanted.is_some() {
            return Err(Error::invalid(
                "forecast.drivers_unused",
                format!(
                    "the model {model:?} cannot use the drivers of {}",
                    file.display()
                ),
            )
            .advise("take --model auto or cheap, or leave the columns out with --ignore")
            .into());
        } else {
            driven(&series, &options, threads.count(), watch)?
        };
        Ok((names, made))
    })?;
    if format == Format::Json {
        let document: Vec<Value> = names
            .iter()
            .zip(&made)
            .map(|(name, made)| document(name, made))
            .collect();
        return destination.write_json(&document);
    }
    for line in remarks(&names, &made) {
        eprintln!("{line}");
    }
    let mut csv = Csv::new(["unique_id", "step", "yhat", "lo80", "hi80", "lo95", "hi95"]);
    for (Name { id, .. }, made) in names.iter().zip(&made) {
        for (step, s) in (1..).zip(&made.forecast.steps) {
            let numbers = [s.mean, s.low80, s.high80, s.low95, s.high95].map(cell);
            csv.row([id.clone(), step.to_string()].into_iter().chain(numbers));
        }
    }
    destination.write(&csv.text())
}

/// What the reader should know, which a table of numbers has no room for: each remark once, with the series it holds for.
fn remarks(names: &[Name], made: &[Made]) -> Vec<String> {
    /// Series that are named; of more only the number is told.
    const NAMED: usize = 5;
    let mut series: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (Name { id, touched }, made) in names.iter().zip(made) {
        let cleaned = touched.chunk_by(|a, b| a.rule == b.rule).map(told);
        let effects = made.driven.iter().flat_map(|driven| &driven.effects);
        let unknown = effects
            .filter(|effect| effect.coefficient.is_none())
            .map(|effect| {
                format!(
                    "the effect of {:?} cannot be told: it never changed or only moved together with other drivers, a line or the season",
                    effect.name
                )
            });
        let noted = made.forecast.notes.iter().map(remark);
        for remark in cleaned.chain(noted).chain(unknown) {
            series.entry(remark).or_default().push(id);
        }
    }
    let line = |(remark, ids): (String, Vec<&str>)| {
        let more = match ids.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = &ids[..ids.len().min(NAMED)];
        format!("{remark} ({}{more})", named.join(", "))
    };
    series.into_iter().map(line).collect()
}

/// What one rule did to a series.
fn told(touched: &[Touched]) -> String {
    let what = match touched[0].rule {
        Rule::StuckTail => "values of a stuck end dropped",
        Rule::OutlierCap => "outliers brought back to the limit",
        Rule::OutlierExpected => "outliers replaced by what was expected",
        Rule::GapLinear => "missing values filled by straight lines",
        Rule::GapSeasonal => "missing values filled by line and season",
        Rule::GapZero => "missing values filled by zero",
    };
    format!("{what}: {}", touched.len())
}

fn remark(note: &Note) -> String {
    match note {
        Note::GapsFilled { values } => {
            format!("missing values inside the series were filled by straight lines: {values}")
        }
        Note::StaleEnd { values } => {
            format!("missing values at the end of the series were forecast over: {values}")
        }
        Note::Constant => "all values are equal: the intervals have no width".to_owned(),
        Note::NoBacktest => {
            "too short for a backtest: model and widths rest on the fit alone".to_owned()
        }
        Note::NoSeason => "too short for a season of this period".to_owned(),
        Note::NaiveIsBest => "no model beat the naive ones in the backtest".to_owned(),
        Note::Replaced { wanted } => format!(
            "the last value stands in for {}, for which the series is too short or which could not be fitted to it",
            wanted.name()
        ),
    }
}

fn document(name: &Name, made: &Made) -> Value {
    let mut document = json!(made.forecast);
    document["unique_id"] = json!(name.id);
    document["cleaned"] = json!(name.touched);
    if let Some(driven) = &made.driven {
        document["drivers"] = json!({
            "used": driven.used, "effects": driven.effects,
            "error_with": driven.error_with, "error_without": driven.error_without,
        });
    }
    document
}

fn unusable(id: &str, why: impl std::fmt::Display) -> Failure {
    Error::invalid("forecast.data_unusable", format!("series {id:?}: {why}")).into()
}

fn plain(
    series: Vec<Series>,
    options: Options,
    model: Option<Model>,
    threads: usize,
    watch: &Watch,
) -> Result<Vec<Made>, Failure> {
    let series: Vec<(String, Vec<f64>)> = series.into_iter().map(|s| (s.id, s.history)).collect();
    let request = panel::Request {
        series: &series,
        options,
        model,
        threads,
    };
    let forecasts = panel::watched_forecasts(&request, &|| watch.one_done(), &|| watch.stopped())
        .map_err(|error| unusable("", error))?;
    let pairs = series.iter().zip(forecasts);
    pairs
        .map(|((id, _), forecast)| {
            let forecast = forecast.map_err(|error| unusable(id, error))?;
            Ok(Made {
                forecast,
                driven: None,
            })
        })
        .collect()
}

/// Series with drivers one by one, shared among threads; each result goes to its own place.
fn driven(
    series: &[Series],
    options: &Options,
    threads: usize,
    watch: &Watch,
) -> Result<Vec<Made>, Failure> {
    let next = AtomicUsize::new(0);
    let places = Mutex::new(Vec::with_capacity(series.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(series.len()) {
            scope.spawn(|| {
                while !watch.stopped() {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = series.get(at) else { return };
                    let made =
                        forecast_driven_cancellable(&one.history, &one.drivers, options, &|| {
                            watch.stopped()
                        });
                    watch.one_done();
                    let mut places = places.lock().expect("no thread panics while it holds it");
                    places.push((at, made));
                }
            });
        }
    });
    let mut places = places.into_inner().expect("all threads ended well");
    places.sort_by_key(|(at, _)| *at);
    let made = places.into_iter().map(|(at, made)| {
        let driven = made.map_err(|error| unusable(&series[at].id, error))?;
        Ok(Made {
            forecast: driven.forecast.clone(),
            driven: Some(driven),
        })
    });
    made.collect()
}

fn read(path: &std::path::Path, horizon: usize, ignore: &[String]) -> Result<Vec<Series>, Error> {
    let file = CsvFile::read(path)?;
    let (id, t, y) = (
        file.column("unique_id")?,
        file.column("t")?,
        file.column("y")?,
    );
    for name in ignore {
        file.column(name)?;
    }
    let drivers: Vec<usize> = (0..file.header().len())
        .filter(|c| ![id, t, y].contains(c) && !ignore.contains(&file.header()[*c]))
        .collect();
    let (mut ids, mut rows): (Vec<String>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
    let mut known: HashMap<&str, usize> = HashMap::new();
    for row in 0..file.rows() {
        let name = file.filled(row, id)?;
        let at = *known.entry(name).or_insert_with(|| {
            ids.push(name.to_owned());
            rows.push(Vec::new());
            rows.len() - 1
        });
        rows[at].push(row);
    }
    let times = Times::read(&file, t, &rows)?;
    let values = file.numbers(y)?;
    let one = |(id, rows): (String, &Vec<usize>)| {
        let lined = times.line_up(&file, t, rows, &format!("series {id:?}"))?;
        let known = |place: &Option<usize>| place.is_some_and(|row| values[row].is_finite());
        let length = lined.iter().rposition(known).map_or(0, |last| last + 1);
        if length == 0 {
            return Err(file
                .missing(rows[0], y)
                .advise(format!("series {id:?} needs at least one known value")));
        }
        let first = lined.iter().position(known).unwrap_or(0);
        if !drivers.is_empty() && lined.len() - length < horizon {
            let names = drivers.iter().map(|column| file.header()[*column].as_str());
            return Err(Error::invalid(
                "forecast.future_missing",
                format!(
                    "{}: series {id:?} has {} rows with an empty y after its history, and {horizon} steps are asked for",
                    file.name(),
                    lined.len() - length
                ),
            )
            .advise(format!(
                "add rows with known or planned values of {}, or leave columns out with --ignore",
                names.collect::<Vec<_>>().join(", ")
            )));
        }
        let at = |column: usize, period: usize| {
            let Some(row) = lined[period] else {
                let before = lined[..period].iter().rev().flatten().next();
                return Err(Error::invalid(
                    "file.row_missing",
                    format!(
                        "{}: series {id:?} has no row for the period after that of line {}",
                        file.name(),
                        before.map_or(0, |row| file.line(*row))
                    ),
                )
                .advise("drivers have to be known in every period; y may be empty"));
            };
            file.number(row, column)?
                .ok_or_else(|| file.missing(row, column))
        };
        Ok(Series {
            touched: Vec::new(),
            history: lined[first..length]
                .iter()
                .map(|place| place.map_or(f64::NAN, |row| values[row]))
                .collect(),
            drivers: drivers
                .iter()
                .map(|column| {
                    let all = |periods: std::ops::Range<usize>| {
                        periods
                            .map(|period| at(*column, period))
                            .collect::<Result<Vec<_>, _>>()
                    };
                    Ok(Driver {
                        name: file.header()[*column].clone(),
                        past: all(first..length)?,
                        future: all(length..length + horizon)?,
                    })
                })
                .collect::<Result<Vec<_>, Error>>()?,
            id,
        })
    };
    ids.into_iter().zip(&rows).map(one).collect()
}

#[cfg(test)]
mod tests {
    use analytics::forecast::{forecast, forecast_with, regress::Effect};

    use super::*;

    #[test]
    fn every_remark_is_said_once_with_the_series_it_holds_for() {
        let options = Options::new(2, 1);
        let plain = |forecast| Made {
            forecast,
            driven: None,
        };
        let replaced = forecast_with(&[3.0, 4.0, 6.0], &options, Model::Ets).expect("known values");
        let constant = forecast(&[5.0; 30], &options).expect("known values");
        let cannot_tell = Made {
            driven: Some(Driven {
                forecast: constant.clone(),
                used: false,
                effects: vec![Effect {
                    name: "price".to_owned(),
                    coefficient: None,
                    error: None,
                }],
                error_with: None,
                error_without: None,
            }),
            forecast: constant.clone(),
        };
        let mut made = vec![plain(replaced), cannot_tell];
        made.extend((0..7).map(|_| plain(constant.clone())));
        let name = |i| Name {
            id: format!("s{i}"),
            touched: Vec::new(),
        };
        let names: Vec<Name> = (0..9).map(name).collect();
        let lines = remarks(&names, &made);
        let has = |parts: &[&str]| {
            let fits = |line: &&String| parts.iter().all(|part| line.contains(part));
            lines.iter().filter(fits).count() == 1
        };
        assert!(
            has(&["the last value stands in for ets", "(s0)"]),
            "{lines:?}"
        );
        assert!(
            has(&["all values are equal", "(s1, s2, s3, s4, s5 and 3 more)"]),
            "{lines:?}"
        );
        assert!(
            has(&["effect of \"price\" cannot be told", "(s1)"]),
            "{lines:?}"
        );
        let told = document(&names[1], &made[1]);
        assert!(told["drivers"]["effects"][0]["coefficient"].is_null());
        assert_eq!(told["notes"][0]["note"], "constant");
    }
}
