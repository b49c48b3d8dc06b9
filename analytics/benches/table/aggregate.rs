//! Ten million rows of metric values summed up by brand, metric and month, beside polars' streaming engine in Python.
//!
//! Every run is a process of its own, so that its peak memory is its own. Ours is the example `aggregate_file`, which is built
//! here.

use std::{path::Path, process::Command};

use serde_json::Value;

use super::{
    figures::worst,
    reference,
    report::{Bar, Source, Table},
};

/// Pairs of runs, ours and the reference's in turn.
const RUNS: usize = 7;

pub(crate) fn measure(table: &mut Table) {
    let folder = reference::repository("target/bench/aggregate");
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let there = ["rows.csv", "rows.parquet"]
        .iter()
        .all(|name| folder.join(name).exists());
    if !there && reference::python("aggregate", "aggregate.py", &["make", text(&folder)]).is_none()
    {
        table.not_measured(
            "10 million rows by month",
            Bar::RatioAtMost(1.15),
            "the files are made with polars in Python, which cannot be run here",
        );
        return;
    }
    let Some(program) = build() else {
        table.not_measured(
            "10 million rows by month",
            Bar::RatioAtMost(1.15),
            "the example aggregate_file was not built",
        );
        return;
    };
    for (file, title, most_memory) in [("parquet", "Parquet", 300.0), ("csv", "CSV", 400.0)] {
        let path = folder.join(format!("rows.{file}"));
        let mut prints = Vec::new();
        for threads in ["1", "2"] {
            let mut ours = Vec::new();
            let mut theirs = Vec::new();
            for _ in 0..RUNS {
                ours.extend(run(&program, &path, threads));
                theirs.extend(reference::python(
                    "aggregate",
                    "aggregate.py",
                    &["run", text(&folder), file, threads],
                ));
            }
            let of = |runs: &[Value], key: &str| {
                let mut values: Vec<f64> =
                    runs.iter().filter_map(|run| run[key].as_f64()).collect();
                values.sort_by(f64::total_cmp);
                (!values.is_empty()).then(|| (values[values.len() / 2], values[values.len() - 1]))
            };
            let name = format!("{title}, 10 million rows by month, {threads} thread(s)");
            let (Some((wall, _)), Some((cpu, _)), Some((_, memory))) = (
                of(&ours, "wall_s"),
                of(&ours, "cpu_s"),
                of(&ours, "peak_rss_mb"),
            ) else {
                table.not_measured(&name, Bar::RatioAtMost(1.15), "aggregate_file failed");
                continue;
            };
            let reference_of =
                |key: &str| of(&theirs, key).map(|(median, _)| (median, Source::Measured));
            let agree = ours
                .iter()
                .chain(&theirs)
                .all(|run| run["groups"] == 330_000)
                && ours.iter().all(|our| {
                    theirs.iter().all(|their| {
                        let (a, b) = (our["total"].as_f64(), their["total"].as_f64());
                        a.zip(b).is_some_and(|(a, b)| ((a - b) / b).abs() < 1e-12)
                    })
                });
            let note = format!(
                "median of {RUNS} runs in turn, each a process of its own; {}",
                if agree {
                    "all agree on 330 000 groups and their total"
                } else {
                    "THE RESULTS DIFFER"
                }
            );
            let bar = if agree {
                Bar::RatioAtMost(1.15)
            } else {
                Bar::RatioAtMost(0.0)
            };
            table.row(
                &format!("{name}, seconds"),
                wall,
                reference_of("wall_s"),
                bar,
                &note,
            );
            table.row(
                &format!("{name}, processor seconds"),
                cpu,
                reference_of("cpu_s"),
                Bar::Shown,
                "all threads; ours adds up on a thread beside polars' own",
            );
            table.row(
                &format!("{name}, peak MB"),
                memory,
                of(&theirs, "peak_rss_mb").map(|(_, most)| (most, Source::Measured)),
                Bar::AtMost(most_memory),
                &format!("the most of {RUNS} runs"),
            );
            prints.extend(
                ours.iter()
                    .filter_map(|run| run["fingerprint"].as_str().map(str::to_owned)),
            );
        }
        prints.sort();
        prints.dedup();
        table.row(
            &format!("{title}, different results among all runs on 1 and 2 threads"),
            prints.len() as f64,
            None,
            Bar::Within(1.0, 1.0),
            "by all bits of all sums in order; 1 is none other",
        );
        let stopped: Vec<f64> = (0..5).filter_map(|_| stop(&program, &path)).collect();
        let name = format!("{title}, ms from asking to stop until it has stopped");
        if stopped.len() == 5 {
            table.row(
                &name,
                worst(stopped),
                None,
                Bar::AtMost(50.0),
                "asked after 150 ms, wall, the longest of 5",
            );
        } else {
            table.not_measured(
                &name,
                Bar::AtMost(50.0),
                "it was done before it was asked, or failed",
            );
        }
    }
}

/// Builds the example; the path of the program.
fn build() -> Option<std::path::PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo told this program about its package would look like a change to build scripts that watch it, and make it
    // build half of the dependencies anew.
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let output = command
        .current_dir(reference::repository(""))
        .args(["build", "--release", "--locked", "-p", "analytics"])
        .args([
            "--example",
            "aggregate_file",
            "--message-format",
            "json-render-diagnostics",
        ])
        .stderr(std::process::Stdio::inherit())
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| {
            (message["target"]["name"] == "aggregate_file")
                .then(|| message["executable"].as_str().map(Into::into))
                .flatten()
        })
}

fn run(program: &Path, path: &Path, threads: &str) -> Option<Value> {
    said(
        Command::new(program)
            .arg(path)
            .args(["date", "brand_id,metric", "value"])
            .env("POLARS_MAX_THREADS", threads),
    )
}

fn stop(program: &Path, path: &Path) -> Option<f64> {
    said(
        Command::new(program)
            .arg(path)
            .args(["date", "brand_id,metric", "value", "150"]),
    )?["stopped_ms"]
        .as_f64()
}

fn said(command: &mut Command) -> Option<Value> {
    let output = command.output().ok()?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    serde_json::from_slice(&output.stdout).ok()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}
