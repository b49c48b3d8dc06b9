//! `make bench`: our figures beside those of the reference, one row each, in one table and in `target/bench.json`.
//!
//! `cargo bench -p analytics --bench table -- forecast budget` runs two topics; without a name all run. A row's reference is
//! *measured* when it was run beside ours just now, and *stored* when it comes from `$DIGI_BENCH_DATA/bench` (default
//! `../shared`). What cannot be measured here is printed as such and is never ok.

mod aggregate;
mod attribution;
mod budget;
mod clock;
mod correlation;
mod figures;
mod forecast;
mod m3;
mod mix;
mod models;
mod pareto;
mod reference;
mod report;
mod score;
mod synergy;

use report::Table;

/// A topic by name, and what measures it.
type Topic = (&'static str, fn(&mut Table));

const TOPICS: &[Topic] = &[
    ("aggregate", aggregate::measure),
    ("attribution", attribution::measure),
    ("budget", budget::measure),
    ("correlation", correlation::measure),
    ("forecast", forecast::measure),
    ("mix", mix::measure),
    ("models", models::measure),
    ("pareto", pareto::measure),
    ("score", score::measure),
    ("synergy", synergy::measure),
];

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| TOPICS.iter().all(|(topic, _)| topic != name))
    {
        let known: Vec<&str> = TOPICS.iter().map(|(topic, _)| *topic).collect();
        eprintln!(
            "there is no topic {unknown:?}; there are {}",
            known.join(", ")
        );
        std::process::exit(2);
    }
    figures::check();
    report::check();
    let mut table = Table::open();
    for (topic, measure) in TOPICS {
        if wanted.is_empty() || wanted.iter().any(|name| name == topic) {
            table.begin(topic);
            measure(&mut table);
        }
    }
    table.close();
}
