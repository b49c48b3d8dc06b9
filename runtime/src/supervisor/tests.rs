//! Each promise of the supervisor, on tokio's paused clock.

mod children;
mod restarting;
mod seen;
mod stopping;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use tokio::{sync::mpsc, time::Instant};

use super::*;
use crate::{
    actor::{Behaviour, Context, Failure},
    shutdown::Root,
    testkit::{Probe, ProbeMsg, assert_nothing_left, entries, host, wait_for_node, wait_until},
    tree::{ExitClass, Status},
};

type Journal = mpsc::UnboundedReceiver<String>;

struct Three {
    root: Root,
    probes: Vec<BoundedRef<ProbeMsg>>,
    journal: Journal,
}

impl Three {
    /// Supervisor `root` over the probes a, b and c.
    async fn start(
        adjust: impl FnOnce(SupervisorSpec) -> SupervisorSpec,
        strategy: Strategy,
    ) -> Self {
        let (sender, journal) = mpsc::unbounded_channel();
        let mut spec =
            SupervisorSpec::new(strategy).backoff(Backoff::constant(Duration::from_millis(100)));
        let mut probes = Vec::new();
        for name in ["a", "b", "c"] {
            let sender = sender.clone();
            let (child, probe) =
                ChildSpec::actor(name, 4, move || Probe::new(name, sender.clone()));
            spec = spec.child(child);
            probes.push(probe);
        }
        let root = Root::start(host("three"), adjust(spec)).await.unwrap();
        let mut three = Self {
            root,
            probes,
            journal,
        };
        assert_eq!(three.entries(), ["a start", "b start", "c start"]);
        three
    }

    fn entries(&mut self) -> Vec<String> {
        entries(&mut self.journal)
    }

    async fn restarted(&self, name: &str, times: u32) {
        let path = format!("root/{name}");
        wait_for_node(self.root.tree(), &path, |node| {
            node.restarts == times && node.status == Status::Running
        })
        .await;
    }

    fn restarts(&self) -> Vec<u32> {
        ["a", "b", "c"]
            .iter()
            .map(|name| {
                self.root
                    .tree()
                    .node(&format!("root/{name}"))
                    .unwrap()
                    .restarts
            })
            .collect()
    }
}

fn unchanged(spec: SupervisorSpec) -> SupervisorSpec {
    spec
}
