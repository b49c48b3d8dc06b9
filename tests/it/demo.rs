//! The demo once through: from an empty folder to a filled inbox.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{digi, said};

#[test]
fn the_demo_fills_the_inbox_with_a_dozen_proposals_of_four_agents() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("demo.json");
    let output = digi(&[
        "demo",
        "--dir",
        &folder.path().join("demo").display().to_string(),
        "--report",
        &report.display().to_string(),
    ])
    .env("DEMO_ONCE", "1")
    .env("DIGI_CADENCE_LOG_FILTER", "warn")
    .output()
    .expect("the binary starts");
    assert!(output.status.success(), "{}", said(&output));
    let report: Value =
        serde_json::from_slice(&std::fs::read(&report).expect("the report")).expect("JSON");
    let inbox = report["inbox"].as_array().expect("an inbox");
    let distinct: BTreeSet<(String, String)> = inbox
        .iter()
        .map(|row| (row["kind"].to_string(), row["subject"].to_string()))
        .collect();
    assert!(
        distinct.len() >= 12,
        "{} distinct proposals: {report:#}",
        distinct.len()
    );
    assert_eq!(report["recommendations"], distinct.len());
    let agents: Vec<&str> = report["agents"]
        .as_array()
        .expect("agents")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        agents,
        ["forecasting", "metrics", "optimisation", "strategy"]
    );
    assert!(
        report["excluding_zero"].as_u64().is_some_and(|n| n >= 6),
        "{report:#}"
    );
    assert_eq!(report["planted"].as_array().map(Vec::len), Some(6));
    let seconds = report["seconds"].as_f64().expect("seconds");
    println!(
        "{} proposals after {seconds:.1} s: {}",
        distinct.len(),
        report["planted"]
    );
    // The budget of 30 s is for an idle machine; beside other tests it only must not hang.
    assert!(seconds < 180.0, "{seconds} s");
}
