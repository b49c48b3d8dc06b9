//! From a file and its mapping to a forecast, with nothing but the maths: no database, no server.
//!
//! ```text
//! cargo run --example forecast_a_file
//! ```

use std::{error::Error, fs::File};

use analytics::{
    cancel::never,
    forecast::{Options, forecast},
    ingest::{Item, Limits, parse, read_mapping},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mapping = read_mapping(include_str!("data/robyn_weekly.mapping.toml"))?;
    let file = File::open(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/data/robyn_weekly.csv"
    ))?;
    let mut revenue = Vec::new();
    let summary = parse(file, &mapping, &Limits::default(), &never, &mut |item| {
        if let Item::Value(value) = item
            && value.metric == "revenue"
        {
            revenue.push(value.value);
        }
        Ok(())
    })?;
    println!(
        "{} rows, {} values, {} refused",
        summary.rows, summary.accepted, summary.refused
    );

    let result = forecast(&revenue, &Options::new(13, 52))?;
    println!("champion: {}", result.model.name());
    if let Some(backtest) = &result.backtest {
        for score in &backtest.scores {
            println!(
                "  {:<16} MASE {:.3}",
                score.model.name(),
                score.accuracy.mase.unwrap_or(f64::NAN)
            );
        }
    }
    for (week, step) in result.steps.iter().enumerate() {
        println!(
            "week +{:<2} {:>12.0}   80 %: {:>12.0} … {:>12.0}",
            week + 1,
            step.mean,
            step.low80,
            step.high80
        );
    }
    Ok(())
}
