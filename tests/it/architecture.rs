//! The rules of docs/ARCHITECTURE.md that a compiler does not hold: which crate may know which, where heavy packages live,
//! and what may not be mentioned where.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::support::repository;

/// What each crate of ours may depend on in its shipped code.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("analytics", &["domain"]),
    ("migrations", &[]),
    ("storage", &["domain", "migrations"]),
    ("runtime", &["domain", "storage"]),
    ("agents", &["domain", "analytics", "storage", "runtime"]),
    ("api", &["domain", "storage", "runtime", "agents"]),
    (
        "digi-cadence",
        &[
            "domain",
            "analytics",
            "migrations",
            "storage",
            "runtime",
            "agents",
            "api",
        ],
    ),
];

/// The only crates that may name these packages.
const HOMES: &[(&str, &[&str])] = &[
    ("polars", &["analytics"]),
    ("argmin", &["analytics"]),
    ("sea-orm", &["storage"]),
    ("sea-orm-migration", &["migrations"]),
    ("chacha20poly1305", &["storage"]),
    ("fred", &["runtime"]),
    ("ractor", &["runtime", "agents"]),
    ("poem", &["api"]),
    ("poem-openapi", &["api"]),
    ("argon2", &["api"]),
    ("tracing-subscriber", &["digi-cadence"]),
    ("clap", &["digi-cadence"]),
];

/// Direct dependencies of every crate of the workspace, those for tests left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo is there");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let direct = package["dependencies"].as_array().expect("dependencies");
            let shipped = direct
                .iter()
                .filter(|d| d["kind"] != "dev")
                .map(|d| text(&d["name"]))
                .collect();
            (text(&package["name"]), shipped)
        })
        .collect()
}

#[test]
fn every_crate_knows_only_those_below_it() {
    let all = dependencies();
    let ours: BTreeSet<&str> = MAY_KNOW.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        all.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        ours,
        "a crate is missing from the table"
    );
    for (name, allowed) in MAY_KNOW {
        for known in all[*name].iter().filter(|d| ours.contains(d.as_str())) {
            assert!(
                allowed.contains(&known.as_str()),
                "{name} must not depend on {known}"
            );
        }
    }
}

#[test]
fn every_heavy_package_has_one_home() {
    let all = dependencies();
    for (package, homes) in HOMES {
        let users: Vec<&String> = all
            .iter()
            .filter(|(_, direct)| direct.contains(*package))
            .map(|(name, _)| name)
            .collect();
        assert!(
            !users.is_empty(),
            "nobody uses {package} any more: take it out of the table"
        );
        for user in users {
            assert!(
                homes.contains(&user.as_str()),
                "{package} lives in {homes:?}, and {user} uses it"
            );
        }
    }
}

/// Every Rust file below `folder`, with its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(path: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push((
                    path.display().to_string(),
                    std::fs::read_to_string(&path).expect("text"),
                ));
            }
        }
    }
    let mut found = Vec::new();
    walk(&repository(folder), &mut found);
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

#[test]
fn agents_storage_and_api_never_mention_the_simulated_market() {
    for folder in ["agents/src", "storage/src", "api/src", "runtime/src"] {
        for (path, text) in sources(folder) {
            assert!(
                !text.contains("analytics::market") && !text.contains("market::World"),
                "{path} mentions the market"
            );
        }
    }
}

#[test]
fn only_the_application_and_test_kits_open_the_system_door() {
    for folder in [
        "src",
        "agents/src",
        "api/src",
        "runtime/src",
        "analytics/src",
        "domain/src",
        "storage/src",
    ] {
        for (path, text) in sources(folder) {
            let may = path.contains("/src/app/") && folder == "src"
                || path.ends_with("storage/src/system.rs")
                || path.contains("testkit")
                || path.contains("/tests/")
                || path.ends_with("/tests.rs");
            let shipped = text.split("#[cfg(test)]").next().unwrap_or(&text);
            assert!(
                may || !shipped.contains("SystemGrant::for_app"),
                "{path} makes a system grant"
            );
        }
    }
}

#[test]
fn sql_stays_in_the_storage() {
    for folder in [
        "src",
        "agents/src",
        "api/src",
        "runtime/src",
        "analytics/src",
        "domain/src",
    ] {
        for (path, text) in sources(folder) {
            for word in ["SELECT ", "INSERT INTO ", "DELETE FROM ", "sqlx::"] {
                assert!(!text.contains(word), "{path} holds SQL: {word}");
            }
        }
    }
}

#[test]
fn analytics_cannot_await_log_or_read_a_clock() {
    for (path, text) in sources("analytics/src") {
        for word in [
            ".await",
            "async fn",
            "tracing::",
            "println!",
            "Utc::now",
            "SystemTime::now",
            "Instant::now",
            "rand::rng()",
        ] {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
}

#[test]
fn time_and_environment_each_have_one_home() {
    for folder in [
        "src",
        "agents/src",
        "api/src",
        "runtime/src",
        "storage/src",
        "domain/src",
    ] {
        for (path, text) in sources(folder) {
            let shipped = text.split("#[cfg(test)]").next().unwrap_or(&text);
            assert!(
                path.ends_with("domain/src/clock.rs") || !shipped.contains("Utc::now()"),
                "{path} reads the clock"
            );
            let may =
                path.contains("/src/config/") || path.contains("testkit") || path.contains("tests");
            assert!(
                may || !shipped.contains("env::var"),
                "{path} reads the environment"
            );
        }
    }
}

#[test]
fn modules_are_named_after_themselves() {
    for folder in [
        "src",
        "agents/src",
        "api/src",
        "runtime/src",
        "storage/src",
        "domain/src",
        "analytics/src",
        "migrations/src",
    ] {
        for (path, text) in sources(folder) {
            assert!(!path.ends_with("/mod.rs"), "{path} has no name of its own");
            assert!(
                text.starts_with("//!"),
                "{path} does not say what it is for"
            );
        }
    }
}

/// Sources and tests of a crate, by path.
fn crate_sources(name: &str) -> Vec<(String, String)> {
    let folders = ["src", "tests"].map(|folder| format!("{name}/{folder}"));
    let there = folders.iter().filter(|folder| repository(folder).is_dir());
    there.flat_map(|folder| sources(folder)).collect()
}

fn has_tests(text: &str) -> bool {
    ["#[test]", "#[tokio::test", "on_both!"]
        .iter()
        .any(|mark| text.contains(mark))
}

/// Whether tests stand in a file, in the folder of that name, or in the file `tests.rs` beside it.
fn is_tested(path: &Path) -> bool {
    let read = |path: &Path| std::fs::read_to_string(path).is_ok_and(|text| has_tests(&text));
    let below = |folder: &Path| {
        let folder = folder.display().to_string();
        sources(&folder).iter().any(|(_, text)| has_tests(text))
    };
    let stem = path.with_extension("");
    read(path) || read(&path.with_file_name("tests.rs")) || (stem.is_dir() && below(&stem))
}

#[test]
fn every_proof_in_the_table_of_features_exists() {
    let page = std::fs::read_to_string(repository("docs/features.md")).expect("the page");
    let mut checked = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let (id, proofs) = (
            cells[0],
            cells[cells.len() - 1].trim_end_matches('|').trim(),
        );
        for proof in proofs.split("; ") {
            let named: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
            let Some((first, rest)) = named.split_first() else {
                continue;
            };
            if proof.contains(" suite") || proof.contains(" test `") || proof.contains(" tests `") {
                let all = crate_sources(first);
                assert!(!rest.is_empty(), "{id}: {proof} names nothing");
                for name in rest {
                    let is_there = if proof.contains(" suite") {
                        let file = format!("/{name}.rs");
                        all.iter()
                            .any(|(path, _)| path.ends_with(&file) && is_tested(Path::new(path)))
                    } else {
                        let function = format!("fn {name}(");
                        all.iter().any(|(_, text)| text.contains(&function))
                    };
                    assert!(is_there, "{id}: {first} has no such tests: {name}");
                    checked += 1;
                }
            } else if first.contains('/') {
                let path = repository(first);
                assert!(path.exists(), "{id}: there is no {first}");
                let is_rust = path.is_dir() && first.contains("/src/") || first.ends_with(".rs");
                assert!(!is_rust || is_tested(&path), "{id}: {first} holds no tests");
                checked += 1;
            } else {
                let is_command = ["make ", "digi-cadence ", "analyze "];
                assert!(
                    is_command.iter().any(|word| first.starts_with(word)),
                    "{id}: what is {proof}?"
                );
            }
        }
    }
    assert!(checked > 50, "only {checked} proofs were found");
}
