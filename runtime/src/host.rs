//! What every actor of one runtime shares: its tree, clock, seed and where restarts are reported.

use std::{fmt, sync::Arc};

use domain::clock::Clock;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{supervisor::RestartRecord, tree::Tree};

/// Receives every end of an actor and what its supervisor decided, so that it can be stored.
///
/// Called from the supervisor's own loop: an implementation hands the record on and returns at once.
pub trait RestartSink: Send + Sync {
    /// Takes one record.
    fn record(&self, record: &RestartRecord);
}

/// A sink that keeps nothing beyond the supervisors' own bounded histories.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl RestartSink for NoSink {
    fn record(&self, _record: &RestartRecord) {}
}

/// What the actors of one runtime share. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    /// The live tree.
    pub tree: Tree,
    /// Time for what is shown; waiting is done on tokio's clock.
    pub clock: Arc<dyn Clock>,
    /// Seed of every jitter.
    pub seed: u64,
    /// Where restarts are reported.
    pub sink: Arc<dyn RestartSink>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("tree", &self.tree)
            .field("seed", &self.seed)
            .finish()
    }
}

impl Host {
    /// A host whose restarts are only kept in memory.
    pub fn new(runtime_id: &str, clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self {
            tree: Tree::new(runtime_id, Arc::clone(&clock)),
            clock,
            seed,
            sink: Arc::new(NoSink),
        }
    }

    /// Reports restarts to `sink` too.
    #[must_use]
    pub fn with_sink(mut self, sink: Arc<dyn RestartSink>) -> Self {
        self.sink = sink;
        self
    }

    /// A random stream for the actor at `path`: the same for the same seed and path, different between paths.
    pub fn rng(&self, path: &str) -> ChaCha8Rng {
        // FNV-1a: a fixed, documented hash, because the standard library's may change between releases.
        let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        ChaCha8Rng::seed_from_u64(self.seed ^ hash)
    }
}
