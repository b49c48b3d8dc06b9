//! What one parse may use. The worker process sets them on itself before it reads the first byte.

use std::time::Duration;

use domain::Error;
use rlimit::Resource;
use serde::{Deserialize, Serialize};

/// Limits of one parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space of the worker, in bytes.
    pub memory_bytes: u64,
    /// CPU time of the worker.
    pub cpu: Duration,
    /// Time between its start and its end.
    pub wall: Duration,
    /// Rows of the file.
    pub max_rows: u64,
    /// Bytes of the file.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpu: Duration::from_secs(600),
            wall: Duration::from_secs(1800),
            max_rows: 20_000_000,
            max_bytes: 2 << 30,
        }
    }
}

impl Limits {
    /// What the parser itself holds.
    pub(super) fn of_parser(&self) -> analytics::ingest::Limits {
        analytics::ingest::Limits {
            max_bytes: self.max_bytes,
            max_rows: self.max_rows,
            ..analytics::ingest::Limits::default()
        }
    }

    /// Puts the calling process under these limits for good: memory, CPU time, no file written, no core dump.
    ///
    /// # Errors
    /// `ingest.limits` when the system refuses; the worker then parses nothing.
    pub(super) fn confine(&self) -> Result<(), Error> {
        let seconds = self.cpu.as_secs().max(1);
        let wanted = [
            (Resource::AS, self.memory_bytes, self.memory_bytes),
            (Resource::CPU, seconds, seconds + 1),
            (Resource::FSIZE, 0, 0),
            (Resource::CORE, 0, 0),
        ];
        for (resource, soft, hard) in wanted {
            // A stricter limit set from outside stays.
            let (_, outer) = resource.get().map_err(|error| refused(resource, &error))?;
            resource
                .set(soft.min(outer), hard.min(outer))
                .map_err(|error| refused(resource, &error))?;
        }
        Ok(())
    }
}

fn refused(resource: Resource, error: &std::io::Error) -> Error {
    Error::new(
        domain::ErrorKind::Unavailable,
        "ingest.limits",
        format!(
            "the system refused the limit {} of the parsing process: {error}",
            resource.as_name()
        ),
    )
}
