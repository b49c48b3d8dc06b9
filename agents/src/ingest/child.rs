//! The parent's side of the worker process: start it, feed it, read its frames, and tell how it ended.

use std::{
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use domain::{Error, ErrorKind};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
    time::Instant,
};

use super::frame::{Frame, Request};

/// How the worker process is started. It is this same program with a hidden subcommand, so the parser's version can
/// never differ from ours.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// A worker at work.
#[derive(Debug)]
pub(super) struct Parse {
    child: Child,
    frames: Lines<BufReader<ChildStdout>>,
    feeder: JoinHandle<std::io::Result<()>>,
    complaints: JoinHandle<String>,
    deadline: Instant,
    wall: Duration,
    ended: bool,
}

impl Parse {
    /// Starts a worker on `input`. It inherits no environment, so it knows no secret of ours.
    ///
    /// # Errors
    /// `ingest.worker_start` when the process cannot be started.
    pub(super) fn start(
        program: &Program,
        request: &Request,
        input: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Self, Error> {
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Error::new(
                    ErrorKind::Unavailable,
                    "ingest.worker_start",
                    format!("cannot start the parsing process: {error}"),
                )
            })?;
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let mut head = serde_json::to_vec(request).expect("a request is plain data");
        head.push(b'\n');
        let feeder = tokio::spawn(async move {
            let mut input = input;
            stdin.write_all(&head).await?;
            tokio::io::copy(&mut input, &mut stdin).await?;
            stdin.shutdown().await
        });
        let complaints = tokio::spawn(async move {
            let mut text = Vec::new();
            // A broken pipe here only shortens the complaint.
            let _shortened = stderr.take(4096).read_to_end(&mut text).await;
            String::from_utf8_lossy(&text).trim().to_owned()
        });
        Ok(Self {
            child,
            frames: BufReader::with_capacity(1 << 16, stdout).lines(),
            feeder,
            complaints,
            deadline: Instant::now() + request.limits.wall,
            wall: request.limits.wall,
            ended: false,
        })
    }

    /// The next frame; `None` after the last one.
    ///
    /// # Errors
    /// What the worker refused, a limit it hit (`ingest.memory_limit`, `ingest.cpu_limit`, `ingest.wall_limit`), or
    /// `ingest.worker_killed` when somebody else ended it: that one can be retried.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, Error> {
        if self.ended {
            return Ok(None);
        }
        let Ok(line) = tokio::time::timeout_at(self.deadline, self.frames.next_line()).await else {
            // Killing a process that has just ended is no error worth telling.
            let _gone = self.child.start_kill();
            return Err(Error::new(
                ErrorKind::TooLarge,
                "ingest.wall_limit",
                format!("parsing took longer than {} s", self.wall.as_secs()),
            )
            .advise("split the file or raise ingest.wall_seconds"));
        };
        match line {
            Ok(Some(line)) => match serde_json::from_str(&line) {
                Ok(Frame::Failed {
                    kind,
                    code,
                    message,
                    advice,
                }) => {
                    self.ended = true;
                    Err(Error {
                        kind,
                        code: known(&code),
                        message,
                        advice,
                    })
                }
                Ok(frame) => {
                    self.ended = matches!(frame, Frame::End { .. });
                    if self.ended {
                        self.finish_feeding().await?;
                    }
                    Ok(Some(frame))
                }
                // A worker that is killed while it writes leaves half a line.
                Err(_) => Err(self.post_mortem().await),
            },
            Ok(None) | Err(_) => Err(self.post_mortem().await),
        }
    }

    /// A source that failed half-way must not pass for a short file.
    async fn finish_feeding(&mut self) -> Result<(), Error> {
        match (&mut self.feeder).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::new(
                ErrorKind::Unavailable,
                "ingest.source_failed",
                format!("the file could not be read to its end: {error}"),
            )),
            Err(_) => Err(killed(
                "the task that feeds the parsing process was stopped",
            )),
        }
    }

    async fn post_mortem(&mut self) -> Error {
        self.feeder.abort();
        let status = match tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await {
            Ok(Ok(status)) => status,
            _ => {
                let _gone = self.child.start_kill();
                return killed("the parsing process closed its output and did not end");
            }
        };
        let complaint =
            match tokio::time::timeout(Duration::from_secs(1), &mut self.complaints).await {
                Ok(Ok(text)) => text,
                _ => String::new(),
            };
        tracing::warn!(%status, complaint, "the parsing process ended early");
        cause_of(status)
    }
}

impl Drop for Parse {
    fn drop(&mut self) {
        self.feeder.abort();
        self.complaints.abort();
    }
}

#[cfg(unix)]
fn cause_of(status: ExitStatus) -> Error {
    use std::os::unix::process::ExitStatusExt;
    const SIGABRT: i32 = 6;
    const SIGSEGV: i32 = 11;
    const SIGXCPU: i32 = 24;
    match status.signal() {
        Some(SIGXCPU) => Error::new(
            ErrorKind::TooLarge,
            "ingest.cpu_limit",
            "parsing used up its CPU time",
        )
        .advise("split the file or raise ingest.cpu_seconds"),
        // Rust aborts when an allocation fails, which under the address-space limit is what a bad file ends in.
        Some(SIGABRT | SIGSEGV) => Error::new(
            ErrorKind::TooLarge,
            "ingest.memory_limit",
            "parsing needed more memory than it may have",
        )
        .advise("split the file or raise ingest.memory_mb"),
        _ => killed(&format!("the parsing process ended early ({status})")),
    }
}

#[cfg(not(unix))]
fn cause_of(status: ExitStatus) -> Error {
    killed(&format!("the parsing process ended early ({status})"))
}

fn killed(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "ingest.worker_killed", message)
        .advise("send the same file again; it goes on where it stopped")
}

/// Codes the parser and the worker use; anything else they said would be a defect of ours.
fn known(code: &str) -> &'static str {
    const CODES: [&str; 12] = [
        "ingest.limits",
        "ingest.request",
        "ingest.no_header",
        "ingest.columns_missing",
        "ingest.columns_repeated",
        "ingest.too_many_bytes",
        "ingest.too_many_rows",
        "ingest.too_many_keys",
        "ingest.record_too_long",
        "ingest.unreadable",
        "mapping.malformed",
        "mapping.invalid",
    ];
    CODES
        .into_iter()
        .find(|known| *known == code)
        .unwrap_or("ingest.refused")
}
