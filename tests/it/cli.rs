//! The command line: help worth reading, documented endings, settings with their origin.

use crate::support::{digi, json, said};

fn ends(arguments: &[&str]) -> (Option<i32>, String) {
    let output = digi(arguments).output().expect("the binary starts");
    (output.status.code(), said(&output))
}

#[test]
fn help_lists_every_command_and_every_exit_code() {
    let (code, text) = ends(&["--help"]);
    assert_eq!(code, Some(0), "{text}");
    for command in [
        "demo", "serve", "migrate", "import", "analyze", "user", "openapi", "config", "doctor",
    ] {
        assert!(
            text.contains(&format!("\n  {command}")),
            "{command} is missing:\n{text}"
        );
    }
    assert!(
        !text.contains("ingest-worker"),
        "the worker is nothing people start:\n{text}"
    );
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 130] {
        assert!(
            text.contains(&format!("\n  {code:<5}")),
            "exit code {code} is missing:\n{text}"
        );
    }
}

#[test]
fn each_kind_of_ending_has_its_documented_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let database = format!("sqlite:{}", at("a.db"));
    std::fs::write(at("bad.toml"), "name = 1").expect("written");
    std::fs::write(at("a.csv"), "a,b\n1,2\n").expect("written");
    for (arguments, code) in [
        (vec!["frobnicate"], 2),
        (vec!["serve", "--no-such-flag"], 2),
        (vec!["--config", "/no/such/file.toml", "config", "check"], 3),
        (vec!["--database", "mysql://x", "config", "check"], 3),
        (
            vec![
                "--database",
                "sqlite:/no/such/folder/a.db",
                "migrate",
                "status",
            ],
            4,
        ),
        (
            vec![
                "--database",
                "postgres://nobody@127.0.0.1:1/none",
                "migrate",
                "status",
            ],
            4,
        ),
        (
            vec![
                "--database",
                &database,
                "import",
                &at("a.csv"),
                "--mapping",
                &at("bad.toml"),
            ],
            5,
        ),
        (
            vec![
                "--database",
                &database,
                "import",
                &at("a.csv"),
                "--mapping",
                &at("none.toml"),
            ],
            5,
        ),
        (
            vec![
                "--database",
                &database,
                "user",
                "token",
                "--email",
                "nobody@example.org",
            ],
            7,
        ),
        (vec!["--database", &database, "migrate", "status"], 0),
    ] {
        let (ended, text) = ends(&arguments);
        assert_eq!(ended, Some(code), "{arguments:?}: {text}");
    }
}

#[test]
fn config_show_tells_the_origin_of_every_setting_and_no_secret() {
    let mut command = digi(&[
        "--output",
        "json",
        "--database",
        "postgres://app:s3cret@db/x",
        "config",
        "show",
    ]);
    command.env("DIGI_CADENCE_HTTP_TIMEOUT_SECONDS", "7");
    let shown = json(command);
    let of = |key: &str| {
        shown
            .as_array()
            .expect("rows")
            .iter()
            .find(|row| row["setting"] == key)
            .expect(key)
            .clone()
    };
    assert_eq!(
        of("http.timeout_seconds")["from"],
        "environment DIGI_CADENCE_HTTP_TIMEOUT_SECONDS"
    );
    assert_eq!(of("storage.database")["from"], "flag --database");
    assert_eq!(of("log.format")["from"], "default");
    assert!(!shown.to_string().contains("s3cret"), "{shown}");
}

#[test]
fn doctor_finds_the_parsing_process_and_a_fresh_database_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite:{}", folder.path().join("a.db").display());
    let mut command = digi(&["--output", "json", "--database", &database, "doctor"]);
    command.env("DIGI_CADENCE_HTTP_LISTEN", "127.0.0.1:0");
    let checks = json(command);
    for check in checks.as_array().expect("checks") {
        assert_eq!(check["ok"], true, "{check}");
    }
}
