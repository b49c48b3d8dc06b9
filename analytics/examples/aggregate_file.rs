//! Sums up a CSV or Parquet file of metric values by month and prints what came out, and what it cost, as JSON.
//!
//! `cargo run --release -p analytics --example aggregate_file -- rows.parquet date brand_id,metric value`
//!
//! With a fifth argument the work is stopped after so many milliseconds, and how long that took is printed.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use analytics::aggregate::{AggregateError, Aggregation, FileFormat, aggregate};
use domain::metric::Granularity;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, date, keys, value, rest @ ..] = arguments.as_slice() else {
        eprintln!("aggregate_file FILE DATE KEY,KEY VALUE [MILLISECONDS]");
        std::process::exit(2);
    };
    let path = PathBuf::from(path);
    let format = if path.extension().is_some_and(|ending| ending == "csv") {
        FileFormat::Csv
    } else {
        FileFormat::Parquet
    };
    let aggregation = Aggregation {
        date: date.clone(),
        keys: keys.split(',').map(str::to_owned).collect(),
        value: value.clone(),
        granularity: Granularity::Month,
    };
    let start = Instant::now();
    if let Some(after) = rest.first() {
        let after = Duration::from_millis(after.parse().expect("a number of milliseconds"));
        let stop = AtomicBool::new(false);
        let waited = std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let result = aggregate(&path, format, &aggregation, &|| {
                    stop.load(Ordering::Relaxed)
                });
                let is_stopped = matches!(result, Err(AggregateError::Cancelled(_)));
                (is_stopped, Instant::now())
            });
            std::thread::sleep(after);
            let asked = Instant::now();
            stop.store(true, Ordering::Relaxed);
            let (is_stopped, at) = work.join().expect("the work does not panic");
            is_stopped.then(|| at.duration_since(asked).as_secs_f64() * 1e3)
        });
        println!("{}", serde_json::json!({ "stopped_ms": waited }));
        return;
    }
    let found = match aggregate(&path, format, &aggregation, &|| false) {
        Ok(found) => found,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let wall = start.elapsed().as_secs_f64();
    let sums = found
        .frame
        .column("sum")
        .and_then(|c| c.f64().cloned())
        .expect("there are sums");
    // Of all bits of all sums, in order.
    let mut fingerprint = 0xcbf2_9ce4_8422_2325_u64;
    for sum in sums.iter().flatten() {
        fingerprint = (fingerprint ^ sum.to_bits()).wrapping_mul(0x0100_0000_01b3);
    }
    println!(
        "{}",
        serde_json::json!({
            "rows": found.rows,
            "groups": found.frame.height(),
            "total": sums.iter().flatten().sum::<f64>(),
            "fingerprint": format!("{fingerprint:016x}"),
            "wall_s": wall,
            "cpu_s": processor_seconds(),
            "peak_rss_mb": peak_megabytes(),
        })
    );
}

/// The most memory that this process had at once; nothing where the system does not say.
fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<f64>()
        .ok()
        .map(|kb| kb / 1024.0)
}

/// Processor time of all threads that this process has had, in ticks of a hundredth of a second.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
