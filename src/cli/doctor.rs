//! `doctor`: tries everything the program needs and says what is wrong.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{Exit, Failure, Format, Outcome, Table, show};
use crate::{app::Database, config::Config};

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// One thing that was tried.
struct Tried {
    what: &'static str,
    result: Result<String, String>,
    took_ms: f64,
}

async fn attempt(what: &'static str, trial: impl Future<Output = Result<String, String>>) -> Tried {
    let began = Instant::now();
    let result = trial.await;
    Tried {
        what,
        result,
        took_ms: began.elapsed().as_secs_f64() * 1000.0,
    }
}

/// Runs the command.
pub(super) async fn run(config: Config, format: Format) -> Outcome {
    let all = [
        attempt("settings", async { Ok("valid".to_owned()) }).await,
        attempt("database", database(&config)).await,
        attempt("data folder", async { data_folder(&config) }).await,
        attempt("parsing process", worker()).await,
        attempt("redis", redis(&config)).await,
        attempt("port", port(&config)).await,
    ];
    let mut table = Table::new(["check", "verdict", "detail", "ms"]);
    let mut document = Vec::new();
    for tried in &all {
        let (verdict, detail) = match &tried.result {
            Ok(detail) => ("ok", detail.clone()),
            Err(detail) => ("WRONG", detail.clone()),
        };
        document.push(json!({ "check": tried.what, "ok": tried.result.is_ok(), "detail": detail, "ms": tried.took_ms }));
        table.row([
            tried.what.to_owned(),
            verdict.to_owned(),
            detail,
            format!("{:.1}", tried.took_ms),
        ]);
    }
    show(format, &table, &document)?;
    let wrong = all.iter().filter(|tried| tried.result.is_err()).count();
    if wrong == 0 {
        Ok(())
    } else {
        Err(Failure::new(
            Exit::Unavailable,
            format!("{wrong} of {} checks failed", all.len()),
        ))
    }
}

async fn database(config: &Config) -> Result<String, String> {
    let storage = Database::connect(config)
        .await
        .map_err(|error| error.message)?
        .storage;
    storage.ping().await.map_err(|error| error.to_string())?;
    let status = storage
        .migration_status()
        .await
        .map_err(|error| error.to_string())?;
    let missing = status.iter().filter(|m| !m.applied).count();
    let now = storage.now().await.map_err(|error| error.to_string())?;
    let backend = storage.backend().name();
    Ok(format!(
        "{backend}, {} migrations, {missing} to apply, its clock says {}",
        status.len(),
        now.format("%F %T UTC")
    ))
}

fn data_folder(config: &Config) -> Result<String, String> {
    let folder = &config.data_dir;
    let probe = folder.join(format!(".digi-cadence-doctor-{}", std::process::id()));
    std::fs::write(&probe, b"x")
        .and_then(|()| std::fs::remove_file(&probe))
        .map(|()| format!("{} can be written", folder.display()))
        .map_err(|error| format!("{} cannot be written: {error}", folder.display()))
}

/// The worker is started the way an import starts it, and given nothing to do.
async fn worker() -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = tokio::process::Command::new(program)
        .arg("ingest-worker")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(b"\n")
            .await
            .map_err(|error| format!("does not listen: {error}"))?;
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    match status.code() {
        // It was told nothing it understands, and says so.
        Some(1) => Ok("starts and answers".to_owned()),
        _ => Err(format!("ended with {status}")),
    }
}

async fn redis(config: &Config) -> Result<String, String> {
    match &config.redis {
        None => Ok("not used: one node".to_owned()),
        Some(url) => match runtime::doorbell::Doorbell::redis(url, "doctor") {
            Ok(bell) if bell.connected_within(PATIENCE).await => Ok("answers".to_owned()),
            Ok(_) => Err(format!("does not answer within {} s", PATIENCE.as_secs())),
            Err(error) => Err(error.to_string()),
        },
    }
}

async fn port(config: &Config) -> Result<String, String> {
    let listen = config.http.listen;
    match tokio::net::TcpListener::bind(listen).await {
        Ok(_) => Ok(format!("{listen} is free")),
        Err(error) => Err(format!("{listen} cannot be taken: {error}")),
    }
}
