//! How long our own code runs.

use std::time::Instant;

/// CPU time of this thread where the system tells it, wall time elsewhere.
pub(crate) struct Clock {
    cpu: Option<f64>,
    wall: Instant,
}

impl Clock {
    pub(crate) fn now() -> Self {
        Self {
            cpu: cpu(),
            wall: Instant::now(),
        }
    }

    /// CPU milliseconds of this thread since.
    pub(crate) fn milliseconds(&self) -> f64 {
        match (self.cpu, cpu()) {
            (Some(from), Some(to)) => to - from,
            _ => self.wall.elapsed().as_secs_f64() * 1e3,
        }
    }
}

/// Milliseconds this thread has run.
fn cpu() -> Option<f64> {
    // Giving up the processor brings the figure up to date.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds * 1e-6)
}
