//! `analyze fit`: a marketing-mix model of a weekly CSV file.

use std::path::{Path, PathBuf};

use analytics::mix::{self, Method, MixError, Request, Table};
use clap::Args;
use domain::Error;

use super::{
    Destination, Outcome, Threads,
    file::{self, CsvFile},
    work,
};

const EXAMPLE: &str = "\
The model is a TOML file that names the columns: outcome, date, [[channels]] with name, spend or exposure, adstock and saturation,
[[controls]], [season], [priors], [method]. docs/analyze.md lists every key.

Examples:
  digi-cadence analyze fit examples/analyze/fit/mmm_example.csv examples/analyze/fit/model.toml
  digi-cadence analyze fit examples/analyze/fit/mmm_example.csv examples/analyze/fit/model.toml --sample --chains 4 --draws 1000

Result: JSON with the posterior of every parameter (mean, sd, 5/50/95 % quantiles, R-hat and effective sample size), each
channel's contribution, return on spend and response curve with 90 % intervals, the forecast of a hold-out, signs of confounding,
and a health card. The scales, priors and parameter names are those of PyMC-Marketing, so posteriors can be compared number by
number.";

/// Fewest draws of a chain, or of the normal: below that there is neither a convergence nor an interval to speak of.
const LEAST_DRAWS: u32 = 4;

/// `digi-cadence analyze fit`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The CSV file, one row per period (and group)
    file: PathBuf,
    /// The model (TOML)
    config: PathBuf,
    /// The posterior's mode and a normal around it: seconds at most [default: what the model says, and this if nothing]
    #[arg(long, conflicts_with = "sample")]
    fast: bool,
    /// Sample the posterior with the no-U-turn sampler
    #[arg(long)]
    sample: bool,
    /// Draws that count: of each chain, or of the normal
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(i64::from(LEAST_DRAWS)..))]
    draws: Option<u32>,
    /// Draws of each chain before those that count
    #[arg(long, value_name = "N")]
    warmup: Option<u32>,
    /// Chains
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    chains: Option<u16>,
    /// Last periods to set aside and to forecast by a fit that has not seen them
    #[arg(long, value_name = "N")]
    holdout: Option<usize>,
    /// Seed of every random number
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    destination: Destination,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Outcome {
    let destination = Destination {
        out: arguments.destination.out.clone(),
    };
    let fit = work::run("fitting", move |watch| {
        let mut request: Request = file::toml(&arguments.config)?;
        adjust(&mut request, &arguments)?;
        let table = read(&arguments.file, &request)?;
        let threads = arguments.threads.count();
        mix::fit(&request, &table, threads, &|| watch.stopped())
            .map_err(|error| refused(&arguments, &error).into())
    })?;
    destination.write_json(&fit)
}

/// Lets the command line speak before the file.
fn adjust(request: &mut Request, arguments: &Arguments) -> Result<(), Error> {
    if arguments.fast {
        request.method = Method::default();
    }
    if arguments.sample && !matches!(request.method, Method::Sample { .. }) {
        request.method = Method::sample();
    }
    let wanted = |value: Option<u32>, own: &mut usize| {
        if let Some(value) = value {
            *own = value as usize;
        }
    };
    match &mut request.method {
        Method::Fast { draws } => {
            if arguments.chains.is_some() || arguments.warmup.is_some() {
                return Err(Error::invalid(
                    "mix.model_invalid",
                    "--chains and --warmup are for the sampler, and this is the fast fit",
                )
                .advise("add --sample"));
            }
            wanted(arguments.draws, draws);
        }
        Method::Sample {
            chains,
            warmup,
            draws,
            ..
        } => {
            wanted(arguments.chains.map(u32::from), chains);
            wanted(arguments.warmup, warmup);
            wanted(arguments.draws, draws);
        }
    }
    let (Method::Fast { draws } | Method::Sample { draws, .. }) = &request.method;
    if *draws < LEAST_DRAWS as usize {
        return Err(Error::invalid(
            "mix.model_invalid",
            format!("{}: {draws} draws tell nothing", arguments.config.display()),
        )
        .advise(format!(
            "at least {LEAST_DRAWS} are needed, and 1000 of each chain are usual"
        )));
    }
    request.holdout = arguments.holdout.unwrap_or(request.holdout);
    request.seed = arguments.seed.unwrap_or(request.seed);
    Ok(())
}

/// The columns that the model names.
fn read(path: &Path, request: &Request) -> Result<Table, Error> {
    let file = CsvFile::read(path)?;
    let mut table = Table::new(file.rows());
    let channels = request.channels.iter();
    let mut numbers: Vec<&String> = [
        Some(&request.outcome),
        request.value.as_ref(),
        request.size.as_ref(),
    ]
    .into_iter()
    .flatten()
    .chain(request.controls.iter().map(|control| &control.column))
    .chain(channels.flat_map(|c| c.exposure.iter().chain(&c.spend)))
    .collect();
    numbers.sort();
    numbers.dedup();
    for name in numbers {
        let column = file.column(name)?;
        let values = file.numbers(column)?;
        // Only the outcome may be unknown.
        let unknown = values.iter().position(|v| v.is_nan());
        if let Some(row) = unknown.filter(|_| *name != request.outcome) {
            return Err(file.missing(row, column));
        }
        table = table.with(name, values);
    }
    for name in [&request.date, &request.group].into_iter().flatten() {
        let column = file.column(name)?;
        let cells = (0..file.rows())
            .map(|row| file.filled(row, column).map(str::to_owned))
            .collect::<Result<Vec<_>, _>>()?;
        table = table.with_text(name, cells);
    }
    Ok(table)
}

fn refused(arguments: &Arguments, error: &MixError) -> Error {
    let about_model = matches!(
        error,
        MixError::NoChannel
            | MixError::NoExposure(_)
            | MixError::SeasonNeedsDates
            | MixError::Knots(_)
            | MixError::Prior { .. }
            | MixError::PriorCount { .. }
            | MixError::RoiWithoutSpend(_)
            | MixError::LiftTest(_)
            | MixError::LiftNeedsNormalised(_)
    );
    let (code, path) = if about_model {
        ("mix.model_invalid", &arguments.config)
    } else {
        ("mix.data_unusable", &arguments.file)
    };
    Error::invalid(code, format!("{}: {error}", path.display()))
}
