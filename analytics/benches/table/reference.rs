//! Where references come from: data beside the repository, and Python programs in an environment of their own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A path in this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A file below `$DIGI_BENCH_DATA` (default `../shared` beside the repository); `None` where it is absent.
pub(crate) fn data(path: &str) -> Option<PathBuf> {
    let root =
        std::env::var_os("DIGI_BENCH_DATA").map_or_else(|| repository("../shared"), PathBuf::from);
    let path = root.join(path);
    path.exists().then_some(path)
}

/// Runs `benches/reference/<script>` with arguments in the Python environment of `topic`, which is made from
/// `benches/reference/<topic>.txt` (a requirements file) on first use and whenever that file has changed, and returns what it printed
/// as JSON. `None`, with the reason on standard error, where Python or a package cannot be had.
pub(crate) fn python(topic: &str, script: &str, arguments: &[&str]) -> Option<serde_json::Value> {
    let folder = repository("target/bench").join(format!("python-{topic}"));
    let binary = folder.join("bin/python");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/reference");
    let wanted = std::fs::read_to_string(source.join(format!("{topic}.txt"))).ok()?;
    let installed = std::fs::read_to_string(folder.join("installed"));
    if installed.map_or(true, |text| text != wanted) {
        eprintln!("making the Python environment of {topic} (once) …");
        let made = run(Command::new("python3").arg("-m").arg("venv").arg(&folder))
            && run(Command::new(&binary)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "-r",
                ])
                .arg(source.join(format!("{topic}.txt"))))
            && std::fs::write(folder.join("installed"), &wanted).is_ok();
        if !made {
            eprintln!("there is no Python environment for {topic}: stored figures are used");
            return None;
        }
    }
    let output = Command::new(&binary)
        .arg(source.join(script))
        .args(arguments)
        // These slow a current numpy down on some machines; the references shall run as fast as they can.
        .env_remove("OPENBLAS_CORETYPE")
        .env_remove("OPENBLAS_L2_SIZE")
        .output()
        .ok()?;
    if !output.status.success() {
        eprintln!(
            "{script} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text
        .lines()
        .rev()
        .find(|line| line.starts_with('{') || line.starts_with('['))?;
    serde_json::from_str(last)
        .inspect_err(|error| eprintln!("{script} printed no JSON: {error}"))
        .ok()
}

fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
