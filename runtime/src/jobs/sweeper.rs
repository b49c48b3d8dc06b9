//! Finds jobs whose worker was lost. Any number of nodes may sweep: it is one conditional statement.

use std::fmt;

use serde_json::{Value, json};
use storage::System;

use crate::{
    actor::{Behaviour, Context, Failure},
    doorbell::{Doorbell, Sweep},
    supervisor::ChildSpec,
};

/// What the sweeper is told.
#[derive(Debug)]
pub enum SweeperMsg {
    /// Look now.
    Look,
}

/// The actor that finds jobs whose lease ran out.
pub struct LeaseSweeper {
    system: System,
    bell: Doorbell,
    sweep: Sweep,
    requeued: u64,
    dead: u64,
}

impl fmt::Debug for LeaseSweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseSweeper")
            .field("requeued", &self.requeued)
            .finish()
    }
}

/// Topic that nobody rings: the sweeper goes by time alone.
const NEVER_RUNG: &str = "leases";

impl LeaseSweeper {
    /// The sweeper as a child.
    pub fn child(name: &str, system: System, bell: Doorbell, sweep: Sweep) -> ChildSpec {
        let make = move || Self {
            system: system.clone(),
            bell: bell.clone(),
            sweep,
            requeued: 0,
            dead: 0,
        };
        ChildSpec::actor(name, 2, make).0
    }
}

impl Behaviour for LeaseSweeper {
    type Msg = SweeperMsg;
    const KIND: &'static str = "lease_sweeper";

    async fn start(&mut self, ctx: &Context<SweeperMsg>) -> Result<(), Failure> {
        ctx.look_when(self.bell.listen(NEVER_RUNG), self.sweep, || {
            SweeperMsg::Look
        });
        Ok(())
    }

    async fn handle(
        &mut self,
        ctx: &Context<SweeperMsg>,
        _look: SweeperMsg,
    ) -> Result<(), Failure> {
        match self.system.queue().sweep().await {
            Ok(swept) => {
                self.requeued += swept.requeued;
                self.dead += swept.dead;
                if swept.requeued > 0 {
                    tracing::warn!(
                        jobs = swept.requeued,
                        "the leases of lost workers ran out; their jobs wait again"
                    );
                    // Which queue they are in is not worth a query: workers look, and find nothing or something.
                    self.bell.ring_all_jobs();
                }
            }
            // The database is away: the next sweep tries again, and the monitor says so.
            Err(error) => ctx.cell().note_error(error),
        }
        Ok(())
    }

    fn observe(&self) -> Value {
        json!({ "requeued": self.requeued, "dead": self.dead })
    }
}
