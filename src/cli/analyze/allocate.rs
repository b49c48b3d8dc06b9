//! `analyze allocate`: the allocation problem of a JSON file.

use std::path::PathBuf;

use analytics::{
    allocation::{self, AllocationError, Answer, Edit, NextUnit, Problem, Session, next_unit},
    cancel::Cancel,
    pareto::{
        self,
        plans::{self, PlanFrontError},
    },
};
use clap::Args;
use domain::Error;
use serde::Serialize;

use super::{Destination, Outcome, Threads, file, number, work};

const EXAMPLE: &str = "\
The problem: a JSON object with tables brand × channel (or one number for all) beta, a, k, current, lower, upper; the total B, a
number or {\"min\": …, \"max\": …}; rules such as {\"rule\": \"channel_cap\", \"channel\": 0, \"max\": 1957}. Response of a cell: hill,
beta·xᵃ/(kᵃ + xᵃ), unless family names another curve. weeks makes it a weekly plan with carry-over, scenarios one under
uncertain curves. docs/analyze.md lists every field.

Examples:
  digi-cadence analyze allocate examples/analyze/allocate/groups_30x6.json
  digi-cadence analyze allocate examples/analyze/allocate/groups_3x4.json --next 1
  digi-cadence analyze allocate examples/analyze/allocate/groups_3x4.json --edits examples/analyze/allocate/edits.json

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
    /// Also tell where this amount of money on top of the total would go, and what it would earn
    #[arg(long, value_name = "AMOUNT", value_parser = number::positive, conflicts_with = "front")]
    next: Option<f64>,
    /// Also answer these edits one after another, everything that is not locked planned again: a JSON list
    #[arg(long, value_name = "FILE", conflicts_with = "front")]
    edits: Option<PathBuf>,
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

/// A plan with answers to questions about it.
#[derive(Serialize)]
struct Answered {
    plan: Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextUnit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edits: Option<Vec<Edited>>,
}

/// An edit, and the plan within it or why there is none.
#[derive(Serialize)]
struct Edited {
    edit: Edit,
    answer: Answer,
}

/// Runs the command.
pub(super) fn run(arguments: Arguments) -> Outcome {
    let Arguments {
        file,
        gap,
        nodes,
        next,
        edits,
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
    let is_asked = next.is_some() || edits.is_some();
    let answered = work::run("allocating", move |watch| {
        let problem: Problem = file::json(&file)?;
        let edits: Option<Vec<Edit>> = edits.as_deref().map(file::json).transpose()?;
        let settings = allocation::Settings { gap, nodes };
        answers(&problem, next, edits, &settings, &|| watch.stopped())
            .map_err(|error| refused(&file, &error).into())
    })?;
    if is_asked {
        destination.write_json(&answered)?;
    } else {
        destination.write_json(&answered.plan)?;
    }
    match answered.plan {
        Answer::Planned(_) => Ok(()),
        Answer::Infeasible(conflict) => {
            Err(Error::conflict("plan.infeasible", conflict.to_string()).into())
        }
    }
}

fn answers(
    problem: &Problem,
    next: Option<f64>,
    edits: Option<Vec<Edit>>,
    settings: &allocation::Settings,
    cancel: &dyn Cancel,
) -> Result<Answered, AllocationError> {
    let (plan, edits) = match edits {
        None => (allocation::solve(problem, settings, cancel)?, None),
        Some(edits) => {
            let (mut session, plan) = Session::open(problem, settings, cancel)?;
            let answer = |edit| {
                let answer = session.edit(&edit, cancel)?;
                Ok(Edited { edit, answer })
            };
            let edited: Result<_, AllocationError> = edits.into_iter().map(answer).collect();
            (plan, Some(edited?))
        }
    };
    let next = next
        .zip(plan.plan())
        .map(|(amount, plan)| next_unit(problem, plan, amount, settings, cancel))
        .transpose()?;
    Ok(Answered { plan, next, edits })
}

fn refused(path: &std::path::Path, error: &AllocationError) -> Error {
    let code = match error {
        AllocationError::Unsolved(_) => "allocation.unsolved",
        _ => "allocation.problem_invalid",
    };
    Error::invalid(code, format!("{}: {error}", path.display()))
}
