//! The numbers of supervision: who is restarted with whom, when, how often, and how long an end may take.

use std::{collections::VecDeque, time::Duration};

use rand::Rng;
use serde::Serialize;
use tokio::time::Instant;

/// Whether a child that ended gets another life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// Unless it ended normally. A killed child did not.
    Transient,
    /// Never.
    Temporary,
}

/// Whom the end of one child concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only itself.
    OneForOne,
    /// All children: the others are stopped in reverse order and all start again in order.
    OneForAll,
    /// Those started after it: they are stopped in reverse order and start again after it.
    RestForOne,
}

/// How many restarts within which time are too many.
#[derive(Clone, Copy, Debug)]
pub struct Intensity {
    /// Restarts tolerated within the window.
    pub max_restarts: u32,
    /// The window.
    pub window: Duration,
}

impl Default for Intensity {
    /// Ten restarts in a minute.
    fn default() -> Self {
        Self {
            max_restarts: 10,
            window: Duration::from_secs(60),
        }
    }
}

/// The restarts of the recent past.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Instant>);

impl Recent {
    /// Counts one restart and says whether that is still tolerated.
    pub(super) fn admit(&mut self, now: Instant, intensity: Intensity) -> bool {
        while self
            .0
            .front()
            .is_some_and(|first| now.duration_since(*first) > intensity.window)
        {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() <= intensity.max_restarts as usize
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// How long to wait before each next life of a child that keeps failing.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Delay after the first failure.
    pub first: Duration,
    /// Longest delay.
    pub longest: Duration,
    /// Growth from one failure to the next.
    pub factor: f64,
    /// Share of each delay that chance may take away, 0 to 1, so that many children do not return at once.
    pub jitter: f64,
    /// A life at least this long forgets the failures before it.
    pub forget_after: Duration,
}

impl Default for Backoff {
    /// 100 ms, doubling up to 30 s, up to a quarter off by chance, forgotten after a minute.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            factor: 2.0,
            jitter: 0.25,
            forget_after: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// The same delay each time, without chance.
    pub fn constant(delay: Duration) -> Self {
        Self {
            first: delay,
            longest: delay,
            factor: 1.0,
            jitter: 0.0,
            forget_after: Duration::from_secs(60),
        }
    }

    /// The delay before the life after the `failures`-th failure in a row (1 is the first).
    pub fn delay(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        // Past 64 doublings any delay is the longest; the bound keeps the power finite.
        let exponent = failures.saturating_sub(1).min(64);
        let grown = self.first.as_secs_f64() * self.factor.max(1.0).powi(exponent.cast_signed());
        let full = grown.min(self.longest.as_secs_f64());
        let off = self.jitter.clamp(0.0, 1.0) * rng.random::<f64>();
        Duration::from_secs_f64(full * (1.0 - off))
    }
}

/// How long an ordered end of a child may take. What is left after both parts is killed.
#[derive(Clone, Copy, Debug)]
pub struct StopBudget {
    /// Time to work off what its mailbox holds; zero throws that away.
    pub drain: Duration,
    /// Time to end the message under way and run its stop hook.
    pub stop: Duration,
}

impl Default for StopBudget {
    /// No draining, three seconds to stop.
    fn default() -> Self {
        Self {
            drain: Duration::ZERO,
            stop: Duration::from_secs(3),
        }
    }
}

/// How an ordered end came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopOutcome {
    /// It had ended already.
    AlreadyEnded,
    /// It worked off its mailbox.
    Drained,
    /// It stopped after the message under way.
    Stopped,
    /// It exceeded its budget and was killed.
    Killed,
    /// Not even a kill reached it (a handler that does not await): it was left behind.
    Abandoned,
}
