//! `analyze allocate`: the allocation problem of a JSON file.

use std::path::PathBuf;

use analytics::{
    allocation::{self, AllocationError, Answer, Problem},
    pareto::{
        self,
        plans::{self, PlanFrontError},
    },
};
use clap::Args;
use domain::Error;

use super::{Destination, Outcome, Threads, file, number, work};

const EXAMPLE: &str = "\
The problem: a JSON object with tables brand × channel (or one number for all) beta, a, k, current, lower, upper; the total B, a
number or {\"min\": …, \"max\": …}; rules such as {\"rule\": \"channel_cap\", \"channel\": 0, \"max\": 1957}. Response of a cell: hill,
beta·xᵃ/(kᵃ + xᵃ), unless family names another curve. weeks makes it a weekly plan with carry-over, scenarios one under
uncertain curves. docs/analyze.md lists every field.

Example:
  digi-cadence analyze allocate examples/analyze/allocate/groups_30x6.json

Result: JSON with the plan, its certificate (feasibility, stationarity, shadow prices, a bound on every other plan) and what each
cell earns. Where no plan obeys all rules: the smallest conflict and the smallest relaxation, and exit code 7.";

/// Exact plans that a front starts from.
const EXACT_PLANS: usize = 20;

/// `digi-cadence analyze allocate`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The JSON file
    file: PathBuf,
    /// Relative gap to the bound that is good enough where curves are S-shaped
    #[arg(long, value_name = "SHARE", default_value_t = allocation::Settings::default().gap, value_parser = number::not_negative)]
    gap: f64,
    /// Most relaxations to solve on the way there
    #[arg(long, value_name = "N", default_value_t = allocation::Settings::default().nodes)]
    nodes: usize,
    /// Instead of one plan a front of N plans between most response and least spend, each with its gap to the bound
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(4..))]
    front: Option<u16>,
    /// Plans that the search for a front tries
    #[arg(long, value_name = "N", default_value_t = pareto::Settings::default().evaluations)]
    evaluations: usize,
    /// Seed of the search for a front
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    destination: Destination,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Outcome {
    let Arguments {
        file,
        gap,
        nodes,
        front,
        evaluations,
        seed,
        threads,
        destination,
    } = arguments;
    if let Some(population) = front {
        let found = work::run("searching the front", move |watch| {
            let problem: Problem = file::json(&file)?;
            let settings = pareto::Settings {
                population: usize::from(population),
                evaluations,
                seed,
                threads: threads.count(),
                ..pareto::Settings::default()
            };
            let stop = || watch.stopped();
            plans::front(&problem, EXACT_PLANS, &[], &settings, &stop).map_err(|error| {
                match error {
                    PlanFrontError::Allocation(error) => refused(&file, &error),
                    PlanFrontError::Pareto(error) => {
                        Error::invalid("allocation.search_invalid", error.to_string())
                    }
                }
                .into()
            })
        })?;
        return destination.write_json(&found);
    }
    let answer = work::run("allocating", move |watch| {
        let problem: Problem = file::json(&file)?;
        let settings = allocation::Settings { gap, nodes };
        allocation::solve(&problem, &settings, &|| watch.stopped())
            .map_err(|error| refused(&file, &error).into())
    })?;
    destination.write_json(&answer)?;
    match answer {
        Answer::Planned(_) => Ok(()),
        Answer::Infeasible(conflict) => {
            Err(Error::conflict("plan.infeasible", conflict.to_string()).into())
        }
    }
}

fn refused(path: &std::path::Path, error: &AllocationError) -> Error {
    let code = match error {
        AllocationError::Unsolved(_) => "allocation.unsolved",
        _ => "allocation.problem_invalid",
    };
    Error::invalid(code, format!("{}: {error}", path.display()))
}
