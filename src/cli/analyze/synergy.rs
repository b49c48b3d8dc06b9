//! `analyze synergy`: what each brand's drivers do to each brand's outcome.

use std::{collections::HashMap, path::PathBuf};

use analytics::{
    estimate::Estimate,
    inference::benjamini_hochberg,
    synergy::{
        CrossEffect,
        cannibalisation::portfolio_effects,
        elasticity::{Elasticity, ElasticityError, ElasticityParams, elasticities},
        verdict::Unidentified,
    },
};
use clap::Args;
use domain::{Error, synergy::Verdict};
use serde_json::{Value, json};

use super::{
    Csv, Destination, Failure, Format, Outcome, cell,
    file::CsvFile,
    maybe, number,
    time::Times,
    work::{self, Watch},
};

const EXAMPLE: &str = "\
Columns of the file: brand, week, outcome; every other column is a driver (or a control, with --controls). week is a whole number
or a date. Weeks in which an outcome or a driver is absent or not positive are left out.

Example:
  digi-cadence analyze synergy examples/analyze/synergy/brands.csv

Result: one row per driver of a brand and affected brand: the percentage by which the outcome moves when the driver moves by one
percent, its error, 95 % interval, p, q (Benjamini–Hochberg over all effects of one brand on another that the data can tell),
verdict, and the reason where they cannot tell. A brand's own effect carries its cannibalisation index: the share of what the
driver earns its own brand that is taken from the others (outcomes are then taken to be in one unit, such as money).";

/// `digi-cadence analyze synergy`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The CSV file: brand, week, outcome and columns of drivers
    file: PathBuf,
    /// Columns that enter as they are and are not judged, such as a holiday or a price index
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    controls: Vec<String>,
    /// Columns to leave out
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Degree of the trend
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(..=10))]
    trend: u8,
    /// Waves a year of the season
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(..=100))]
    harmonics: u8,
    /// Periods of a year
    #[arg(long, value_name = "N", default_value_t = ElasticityParams::default().year, value_parser = number::periods)]
    year: f64,
    /// Largest q of an effect that counts as found
    #[arg(long, value_name = "SHARE", default_value_t = ElasticityParams::default().false_discovery_rate, value_parser = number::share)]
    false_discovery_rate: f64,
    #[command(flatten)]
    destination: Destination,
}

/// Series of a file by period; NaN where there is no value.
struct Panel {
    brands: Vec<String>,
    outcomes: Vec<Vec<f64>>,
    /// Drivers by name, each with a series per brand.
    drivers: Vec<(String, Vec<Vec<f64>>)>,
    controls: Vec<Vec<f64>>,
}

/// The effects of one driver.
struct Effects {
    driver: String,
    entries: Vec<Elasticity>,
    /// Cannibalisation index by brand, where its own effect is known.
    index: Vec<Option<f64>>,
}

/// Runs the command.
pub(super) fn run(format: Format, arguments: Arguments) -> Outcome {
    let destination = Destination {
        out: arguments.destination.out.clone(),
    };
    let (brands, found) = work::run("estimating", move |watch| {
        let panel = read(&arguments)?;
        let found = estimate(&panel, &arguments, watch)?;
        Ok((panel.brands, found))
    })?;
    if format == Format::Json {
        let effects: Vec<Value> = found
            .iter()
            .flat_map(|effects| {
                effects
                    .entries
                    .iter()
                    .map(|e| document(&brands, effects, e))
            })
            .collect();
        let portfolio: Vec<Value> = found
            .iter()
            .flat_map(|effects| {
                let known = brands.iter().zip(&effects.index);
                known.filter_map(|(brand, index)| {
                    index.map(|index| {
                        json!({ "brand": brand, "driver": effects.driver, "cannibalisation_index": index, "portfolio_factor": 1.0 - index })
                    })
                })
            })
            .collect();
        return destination.write_json(&json!({ "effects": effects, "portfolio": portfolio }));
    }
    let mut csv = Csv::new([
        "brand",
        "driver",
        "affected",
        "elasticity",
        "std_error",
        "lo95",
        "hi95",
        "p",
        "q",
        "own_variation",
        "variance_inflation",
        "verdict",
        "reason",
        "cannibalisation_index",
    ]);
    for effects in &found {
        for e in &effects.entries {
            let own = e.affected == e.driver;
            let candidate = !own && e.reason.is_none();
            let known = e.reason != Some(Unidentified::HardlyVaries);
            let (estimate, interval) = (&e.elasticity, e.elasticity.interval95);
            let number = |value: f64| if known { cell(value) } else { String::new() };
            csv.row([
                brands[e.driver].clone(),
                effects.driver.clone(),
                brands[e.affected].clone(),
                number(estimate.value),
                number(estimate.std_error),
                number(interval.0),
                number(interval.1),
                number(estimate.p_value),
                if candidate {
                    cell(e.q_value)
                } else {
                    String::new()
                },
                cell(e.own_variation),
                cell(e.variance_inflation),
                verdict(e).to_owned(),
                reason(e).unwrap_or_default().to_owned(),
                if own {
                    maybe(effects.index[e.driver])
                } else {
                    String::new()
                },
            ]);
        }
    }
    destination.write(&csv.text())
}

fn document(brands: &[String], effects: &Effects, e: &Elasticity) -> Value {
    json!({
        "brand": brands[e.driver], "driver": effects.driver, "affected": brands[e.affected],
        "elasticity": e.elasticity, "q": (e.affected != e.driver && e.reason.is_none()).then_some(e.q_value),
        "own_variation": e.own_variation, "variance_inflation": e.variance_inflation,
        "verdict": verdict(e), "reason": reason(e),
    })
}

/// The verdict in words; a brand's own effect has none besides whether it can be told.
fn verdict(e: &Elasticity) -> &'static str {
    match e.verdict {
        Verdict::NotIdentifiable => "cannot tell",
        _ if e.affected == e.driver => "own effect",
        Verdict::Halo => "halo",
        Verdict::Cannibalisation => "cannibalisation",
        Verdict::NoEvidence => "no evidence",
    }
}

fn reason(e: &Elasticity) -> Option<&'static str> {
    e.reason.map(|reason| match reason {
        Unidentified::HardlyVaries => "the driver hardly varies once everything else is taken out",
        Unidentified::MovesWithOthers => "the driver moves with others",
    })
}

fn estimate(panel: &Panel, arguments: &Arguments, watch: &Watch) -> Result<Vec<Effects>, Failure> {
    let params = ElasticityParams {
        trend: usize::from(arguments.trend),
        harmonics: usize::from(arguments.harmonics),
        year: arguments.year,
        false_discovery_rate: arguments.false_discovery_rate,
        ..ElasticityParams::default()
    };
    let path = &arguments.file;
    let mut found = Vec::with_capacity(panel.drivers.len());
    for (name, series) in &panel.drivers {
        // The other drivers of all brands stand beside it, in logarithms like it.
        let others = panel.drivers.iter().filter(|(other, _)| other != name);
        let logarithm = |v: &f64| if *v > 0.0 { v.ln() } else { f64::NAN };
        let others =
            others.flat_map(|(_, series)| series.iter().map(|s| s.iter().map(logarithm).collect()));
        let controls: Vec<Vec<f64>> = panel.controls.iter().cloned().chain(others).collect();
        let stop = || watch.stopped();
        let entries = elasticities(&panel.outcomes, series, &controls, &params, &stop).map_err(|error| {
            let refusal = Error::invalid("synergy.data_unusable", format!("{}: {error}", path.display()));
            match error {
                ElasticityError::TooShort { .. } => refusal.advise(
                    "logarithms need positive values: add a small amount to a driver that is often zero, leave out brands and drivers with --ignore, or lower --trend and --harmonics",
                ),
                _ => refusal,
            }
        })?;
        found.push(Effects {
            driver: name.clone(),
            index: indices(&entries, &panel.outcomes),
            entries,
        });
    }
    // One false-discovery family over all drivers.
    let candidate = |e: &&mut Elasticity| e.reason.is_none() && e.affected != e.driver;
    let mut family: Vec<&mut Elasticity> = found
        .iter_mut()
        .flat_map(|effects| &mut effects.entries)
        .filter(candidate)
        .collect();
    let p: Vec<f64> = family.iter().map(|e| e.elasticity.p_value).collect();
    for (entry, q) in family.iter_mut().zip(benjamini_hochberg(&p)) {
        entry.q_value = q;
        entry.verdict = if q > params.false_discovery_rate {
            Verdict::NoEvidence
        } else if entry.elasticity.value < 0.0 {
            Verdict::Cannibalisation
        } else {
            Verdict::Halo
        };
    }
    Ok(found)
}

/// Cannibalisation index by brand: what its driver takes from the others per unit that it earns its own brand, at mean outcomes.
/// Only where the own effect is above zero with 95 % certainty and every effect of the driver can be told.
fn indices(entries: &[Elasticity], outcomes: &[Vec<f64>]) -> Vec<Option<f64>> {
    let mean = |series: &Vec<f64>| {
        let known = series.iter().filter(|v| v.is_finite());
        let (n, sum) = known.fold((0.0, 0.0), |(n, sum), v| (n + 1.0, sum + v));
        sum / n
    };
    let level: Vec<f64> = outcomes.iter().map(mean).collect();
    (0..outcomes.len())
        .map(|brand| {
            let of_brand = || entries.iter().filter(move |e| e.driver == brand);
            let own = of_brand().find(|e| e.affected == brand)?;
            let earned = own.elasticity.value * level[brand];
            if own.reason.is_some() || own.elasticity.interval95.0 <= 0.0 {
                return None;
            }
            let effects: Vec<CrossEffect> = of_brand()
                .filter(|e| e.affected != brand)
                .map(|e| {
                    let unit = level[e.affected] / earned;
                    let (value, error) = (e.elasticity.value * unit, e.elasticity.std_error * unit);
                    CrossEffect {
                        driver: brand,
                        affected: e.affected,
                        effect: Estimate::new(value, error, e.elasticity.dof, 0.0),
                        strength: value,
                        variance_inflation: e.variance_inflation,
                        own_variation: e.own_variation,
                        // Of the logarithm, like everything here; what is left after the controls alone is not known.
                        variation: f64::NAN,
                        draws: Vec::new(),
                    }
                })
                .collect();
            let given: Vec<&CrossEffect> = effects.iter().collect();
            portfolio_effects(&[brand], &given)
                .first()
                .map(|p| p.index.value)
        })
        .collect()
}

fn read(arguments: &Arguments) -> Result<Panel, Error> {
    let file = CsvFile::read(&arguments.file)?;
    let (brand, week, outcome) = (
        file.column("brand")?,
        file.column("week")?,
        file.column("outcome")?,
    );
    let controls = arguments
        .controls
        .iter()
        .map(|name| file.column(name))
        .collect::<Result<Vec<_>, _>>()?;
    for (option, names) in [
        ("--controls", &arguments.controls),
        ("--ignore", &arguments.ignore),
    ] {
        for name in names {
            if [brand, week, outcome].contains(&file.column(name)?) {
                return Err(Error::invalid(
                    "synergy.data_unusable",
                    format!("{option} names {name:?}, which every row needs"),
                )
                .advise("name columns of drivers or controls there"));
            }
        }
    }
    if let Some(twice) = arguments
        .controls
        .iter()
        .find(|name| arguments.ignore.contains(name))
    {
        return Err(Error::invalid(
            "synergy.data_unusable",
            format!("--controls and --ignore both name {twice:?}"),
        )
        .advise("a column either enters as it is or is left out"));
    }
    let drivers: Vec<usize> = (0..file.header().len())
        .filter(|c| {
            ![brand, week, outcome].contains(c)
                && !controls.contains(c)
                && !arguments.ignore.contains(&file.header()[*c])
        })
        .collect();
    if drivers.is_empty() {
        return Err(Error::invalid(
            "synergy.data_unusable",
            format!("{}: there is no driver", file.name()),
        )
        .advise("one more column is needed than brand, week, outcome and those of --controls and --ignore"));
    }
    let (mut brands, mut rows): (Vec<String>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
    let mut known: HashMap<&str, usize> = HashMap::new();
    for row in 0..file.rows() {
        let name = file.filled(row, brand)?;
        let at = *known.entry(name).or_insert_with(|| {
            brands.push(name.to_owned());
            rows.push(Vec::new());
            rows.len() - 1
        });
        rows[at].push(row);
    }
    let all: Vec<usize> = (0..file.rows()).collect();
    let times = Times::read(&file, week, &[all])?;
    for (name, rows) in brands.iter().zip(&rows) {
        times.line_up(&file, week, rows, &format!("brand {name:?}"))?;
    }
    let positions = times.positions(&file)?;
    let length = positions.iter().max().map_or(0, |last| last + 1);
    let series = |column: usize| -> Result<Vec<Vec<f64>>, Error> {
        let values = file.numbers(column)?;
        let one = |rows: &Vec<usize>| {
            let mut series = vec![f64::NAN; length];
            for row in rows {
                series[positions[*row]] = values[*row];
            }
            series
        };
        Ok(rows.iter().map(one).collect())
    };
    let mut beside: Vec<Vec<f64>> = Vec::new();
    for column in controls {
        for one in series(column)? {
            // What is the same for every brand, such as a holiday, enters once.
            let same = |other: &Vec<f64>| {
                other
                    .iter()
                    .zip(&one)
                    .all(|(a, b)| a.to_bits() == b.to_bits())
            };
            if !beside.iter().any(same) {
                beside.push(one);
            }
        }
    }
    Ok(Panel {
        outcomes: series(outcome)?,
        drivers: drivers
            .into_iter()
            .map(|column| Ok((file.header()[column].clone(), series(column)?)))
            .collect::<Result<Vec<_>, Error>>()?,
        controls: beside,
        brands,
    })
}
