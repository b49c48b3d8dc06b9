//! Keeps the restart history in the database, so that it outlives the program.
//!
//! Supervisors hand their records to a sink that never waits; this actor writes them. While the database is away records
//! are tried again with the next one, up to a bound; the supervisors' own histories hold the last ones anyway.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use serde_json::{Value, json};
use storage::System;

use crate::{
    actor::{Behaviour, Context, Failure},
    host::RestartSink,
    mailbox::BoundedRef,
    supervisor::{ChildSpec, RestartRecord},
    tree::ExitClass,
};

/// Records that may wait for the database.
const WAITING: usize = 256;

/// Time between two tries while the database is away.
const RETRY: Duration = Duration::from_secs(2);

/// What the keeper is told.
#[derive(Debug)]
pub enum KeeperMsg {
    /// Write this one.
    Record(Box<RestartRecord>),
    /// Try again what could not be written.
    Retry,
}

/// The actor that writes.
pub struct RestartKeeper {
    system: System,
    waiting: VecDeque<RestartRecord>,
    written: u64,
    dropped: u64,
}

impl fmt::Debug for RestartKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestartKeeper")
            .field("written", &self.written)
            .finish()
    }
}

struct ToKeeper(BoundedRef<KeeperMsg>);

impl RestartSink for ToKeeper {
    fn record(&self, record: &RestartRecord) {
        // A normal end is no restart worth keeping: runs and other short lives end that way all day.
        if record.exit.class == ExitClass::Normal {
            return;
        }
        if let Err(error) = self.0.tell(KeeperMsg::Record(Box::new(record.clone()))) {
            tracing::warn!(actor.path = %record.path, %error, "a restart was not kept");
        }
    }
}

impl RestartKeeper {
    /// The keeper as a child, and the sink to make the [`Host`](crate::host::Host) with.
    pub fn child(name: &str, system: System) -> (ChildSpec, Arc<dyn RestartSink>) {
        let (spec, keeper) = ChildSpec::actor(name, WAITING, move || Self {
            system: system.clone(),
            waiting: VecDeque::new(),
            written: 0,
            dropped: 0,
        });
        (spec, Arc::new(ToKeeper(keeper)))
    }

    async fn write(&mut self, ctx: &Context<KeeperMsg>) {
        while let Some(record) = self.waiting.front() {
            let exit = match record.exit.class {
                ExitClass::Normal => "normal",
                ExitClass::Failed => "failed",
                ExitClass::Killed => "killed",
                ExitClass::Stuck => "stuck",
            };
            let reason = record.exit.reason.as_deref().unwrap_or_default();
            if let Err(error) = self
                .system
                .actor_restarts()
                .record(&record.path, exit, reason)
                .await
            {
                ctx.cell().note_error(error);
                ctx.after(RETRY, KeeperMsg::Retry);
                return;
            }
            self.waiting.pop_front();
            self.written += 1;
        }
    }
}

impl Behaviour for RestartKeeper {
    type Msg = KeeperMsg;
    const KIND: &'static str = "restart_keeper";

    async fn handle(
        &mut self,
        ctx: &Context<KeeperMsg>,
        message: KeeperMsg,
    ) -> Result<(), Failure> {
        if let KeeperMsg::Record(record) = message {
            if self.waiting.len() == WAITING {
                self.waiting.pop_front();
                self.dropped += 1;
            }
            self.waiting.push_back(*record);
        }
        self.write(ctx).await;
        Ok(())
    }

    fn observe(&self) -> Value {
        json!({ "written": self.written, "waiting": self.waiting.len(), "dropped": self.dropped })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        shutdown::Root,
        supervisor::{Backoff, Strategy, SupervisorSpec},
        testkit::{Probe, ProbeMsg, host, wait_for_node},
    };

    storage::on_both! {
        async fn a_restart_is_found_in_the_database_with_its_cause(db: TestDatabase) {
            let (keeper, sink) = RestartKeeper::child("restarts", db.system_door());
            let (sender, _journal) = mpsc::unbounded_channel();
            let (probe, told) = ChildSpec::actor("probe", 4, move || Probe::new("probe", sender.clone()));
            let spec = SupervisorSpec::new(Strategy::OneForOne)
                .backoff(Backoff::constant(Duration::from_millis(1)))
                .child(keeper)
                .child(probe);
            let root = Root::start(host("kept").with_sink(sink), spec).await.unwrap();
            root.tree().kill("root/probe").unwrap();
            wait_for_node(root.tree(), "root/restarts", |node| node.observed["written"] == 1).await;
            wait_for_node(root.tree(), "root/probe", |node| node.restarts == 1).await;
            db.shift_time(chrono::TimeDelta::seconds(1));
            told.tell(ProbeMsg::Fail("out of luck".into())).unwrap();
            wait_for_node(root.tree(), "root/restarts", |node| node.observed["written"] == 2).await;
            wait_for_node(root.tree(), "root/probe", |node| node.restarts == 2).await;
            told.tell(ProbeMsg::Finish).unwrap();
            wait_for_node(root.tree(), "root/probe", |node| node.restarts == 3).await;
            let kept = db.system_door().actor_restarts().recent(Some("root/probe"), 10).await.unwrap();
            let exits: Vec<_> = kept.iter().map(|restart| (restart.exit.as_str(), restart.reason.as_str())).collect();
            assert_eq!(exits, [("failed", "out of luck"), ("killed", "killed")]);
        }
    }
}
