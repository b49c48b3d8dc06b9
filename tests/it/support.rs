//! The real binary as tests see it: commands, a server, a client.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use storage::testkit::TestDatabase;

/// Key of encrypted fields that the test databases are opened with.
const KEY: &str = "2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a";

/// A command of the binary without any of our variables in its environment.
pub(crate) fn digi(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_digi-cadence"));
    for (name, _) in std::env::vars() {
        if name.starts_with("DIGI_CADENCE_") || name == "DEMO_ONCE" {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .current_dir(std::env::temp_dir());
    command
}

/// Where a file of the repository lies.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Standard output and error for the message of a failed assertion.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Standard output of a command that must succeed, as JSON.
pub(crate) fn json(mut command: Command) -> Value {
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
}

/// A database of one test with the binary pointed at it.
pub(crate) struct Home {
    pub(crate) database: TestDatabase,
    pub(crate) folder: tempfile::TempDir,
}

impl Home {
    /// A home on `database`.
    pub(crate) fn new(database: TestDatabase) -> Self {
        Self {
            database,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// A command on this database.
    pub(crate) fn digi(&self, arguments: &[&str]) -> Command {
        let mut command = digi(arguments);
        command
            .env("DIGI_CADENCE_STORAGE_DATABASE", &self.database.config().url)
            .env("DIGI_CADENCE_STORAGE_KEY", KEY)
            .env("DIGI_CADENCE_DATA_DIR", self.folder.path())
            .env("DIGI_CADENCE_LOG_FILTER", "warn");
        command
    }

    /// Writes a file into the home's folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("the folder can be written");
        path
    }

    /// Adds a person with a role and returns a token that acts for them.
    pub(crate) fn token(&self, email: &str, role: &str) -> String {
        json(self.digi(&[
            "--output", "json", "user", "add", "--email", email, "--role", role,
        ]));
        let made = json(self.digi(&["--output", "json", "user", "token", "--email", email]));
        made["token"].as_str().expect("a token").to_owned()
    }
}

/// A running `serve`. It is killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it answers.
    pub(crate) origin: String,
    /// Time from the start of the process until it was ready.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts `serve` and waits until it is ready.
    pub(crate) async fn start(home: &Home) -> Self {
        Self::start_with(home, &[]).await
    }

    /// Starts `serve` with more settings.
    pub(crate) async fn start_with(home: &Home, settings: &[(&str, &str)]) -> Self {
        let began = Instant::now();
        let mut command = home.digi(&["serve", "--listen", "127.0.0.1:0"]);
        command
            .envs(settings.iter().copied())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        lines
            .read_line(&mut line)
            .expect("it says where it listens");
        let origin = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("it said {line:?}"))
            .to_owned();
        // Whatever else it prints must not fill the pipe.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        let client = reqwest::Client::new();
        loop {
            let answer = client.get(format!("{origin}/health/ready")).send().await;
            if answer.is_ok_and(|a| a.status().is_success()) {
                break;
            }
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "not ready after 30 s"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self {
            child,
            origin,
            ready_after: began.elapsed(),
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it was alive");
        self.child.wait().expect("it is gone");
    }

    /// SIGTERM, and waits for its end.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        let ok = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .expect("kill exists");
        assert!(ok.success());
        self.child.wait().expect("it ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A running demo with a token for its owner. Killed when dropped.
pub(crate) struct Demo {
    child: std::process::Child,
    origin: String,
    token: String,
    _folder: tempfile::TempDir,
}

impl Demo {
    /// Starts the demo with further arguments and waits until the inbox is filled.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        tokio::task::spawn_blocking(move || Self::start_now(&arguments))
            .await
            .expect("it starts")
    }

    fn start_now(arguments: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().display().to_string();
        let mut child = digi(&["demo", "--dir", &dir, "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("DIGI_CADENCE_LOG_FILTER", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let origin = lines
            .by_ref()
            .map(|line| line.expect("text"))
            .find_map(|line| {
                line.trim()
                    .split_once("/link#")
                    .map(|(origin, _)| origin.to_owned())
            })
            .expect("it prints a link");
        std::thread::spawn(move || lines.count());
        let database = format!("sqlite:{}", folder.path().join("demo.db").display());
        let made = json(digi(&[
            "--output",
            "json",
            "--database",
            &database,
            "user",
            "token",
            "--email",
            "demo@example.org",
        ]));
        let token = made["token"].as_str().expect("a token").to_owned();
        Self {
            child,
            origin,
            token,
            _folder: folder,
        }
    }

    /// Asks and returns status, body and version.
    pub(crate) async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        version: Option<&str>,
        body: Option<Value>,
    ) -> (reqwest::StatusCode, Value, Option<String>) {
        let mut request = reqwest::Client::new()
            .request(method, format!("{}/api/v1{path}", self.origin))
            .bearer_auth(&self.token);
        if let Some(version) = version {
            request = request.header("if-match", version);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("it answers");
        let status = answer.status();
        let tag = answer
            .headers()
            .get("etag")
            .and_then(|tag| tag.to_str().ok())
            .map(str::to_owned);
        let text = answer.text().await.expect("a body");
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
            tag,
        )
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A program that talks to a server with a token.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) origin: String,
    token: String,
}

impl Client {
    pub(crate) fn new(server: &Server, token: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            origin: server.origin.clone(),
            token: token.to_owned(),
        }
    }

    /// A request on a path below `/api/v1`.
    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}/api/v1{path}", self.origin))
            .bearer_auth(&self.token)
    }

    /// GET that must succeed.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self
            .request(reqwest::Method::GET, path)
            .send()
            .await
            .expect("it answers");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "GET {path}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// POST that must succeed.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self
            .request(reqwest::Method::POST, path)
            .json(body)
            .send()
            .await
            .expect("it answers");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "POST {path}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// Processes whose parent is `parent`.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else {
            continue;
        };
        // The name in brackets may hold spaces; the parent is the second field behind it.
        let parent_of = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if parent_of == Some(parent) {
            found.push(id);
        }
    }
    found
}

/// `kill -9`. Says whether there was such a process.
pub(crate) fn kill_9(id: u32) -> bool {
    Command::new("kill")
        .args(["-9", &id.to_string()])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Numbers between 0 and 1 from a seed (splitmix64): the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
