//! How an actor is written: a [`Behaviour`] with its state as fields, run on ractor under a supervisor.
//!
//! The supervisor makes a fresh behaviour for each life, so a restart never sees the state that failed. Handlers only
//! await: work of the processor's kind goes through [`Compute`](crate::compute::Compute). After each message the
//! behaviour's observable state is published, so no actor can forget to show itself.

use std::{
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::FutureExt;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use serde_json::Value;
use tokio::task::AbortHandle;

use crate::{
    Error,
    doorbell::{Listener, Sweep},
    host::Host,
    mailbox::{BoundedRef, Letter},
    supervisor::ChildContext,
    tree::StateCell,
};

/// Why a hook failed. The actor's life ends with it, and its supervisor decides what follows.
pub type Failure = ActorProcessingErr;

/// An actor: its state, and what it does with a message.
pub trait Behaviour: Send + 'static {
    /// What it is asked.
    type Msg: Send + 'static;

    /// What sort of actor it is, as shown in the tree.
    const KIND: &'static str;

    /// Runs before the first message. Its supervisor waits for it, so it must not ask its supervisor anything.
    ///
    /// # Errors
    /// The life did not begin; the supervisor's policy decides about another try.
    fn start(
        &mut self,
        ctx: &Context<Self::Msg>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// Handles one message. A panic counts as an error.
    ///
    /// # Errors
    /// Ends this life of the actor.
    fn handle(
        &mut self,
        ctx: &Context<Self::Msg>,
        message: Self::Msg,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Runs when the actor is stopped in order, within its stop budget; not after a kill or a failure.
    fn stop(&mut self, ctx: &Context<Self::Msg>) -> impl Future<Output = ()> + Send {
        let _ = ctx;
        async {}
    }

    /// What others may see of the state. Called after the start and after each message.
    fn observe(&self) -> Value;
}

/// Tasks that live no longer than the actor that began them.
#[derive(Default)]
struct Tasks(Mutex<Vec<AbortHandle>>);

impl Tasks {
    fn keep(&self, handle: AbortHandle) {
        let mut handles = self
            .0
            .lock()
            .expect("no thread panics while it holds the tasks");
        handles.retain(|handle| !handle.is_finished());
        handles.push(handle);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for handle in self
            .0
            .lock()
            .expect("no thread panics while it holds the tasks")
            .drain(..)
        {
            handle.abort();
        }
    }
}

/// What an actor is given to act with.
pub struct Context<M: Send + 'static> {
    me: BoundedRef<M>,
    cell: StateCell,
    host: Host,
    actor: ActorCell,
    tasks: Arc<Tasks>,
}

impl<M: Send + 'static> fmt::Debug for Context<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("path", &self.cell.path())
            .finish()
    }
}

impl<M: Send + 'static> Context<M> {
    /// The reference by which others reach this actor.
    pub fn me(&self) -> &BoundedRef<M> {
        &self.me
    }

    /// Its place in the tree.
    pub fn cell(&self) -> &StateCell {
        &self.cell
    }

    /// What the runtime shares.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Path in the tree.
    pub fn path(&self) -> &str {
        self.cell.path()
    }

    /// Stops the actor after the current message, as a normal end.
    pub fn finish(&self, reason: impl Into<String>) {
        // Prefixed, so that it can never read like the reason ractor gives for a kill.
        self.actor
            .stop(Some(format!("finished: {}", reason.into())));
    }

    /// Runs `work` beside the mailbox and sends what `then` makes of its end. The task dies with the actor; a panic
    /// arrives as `runtime.panicked`, so the actor never waits for an end that cannot come.
    pub fn pipe<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        then: impl FnOnce(Result<T, Error>) -> M + Send + 'static,
    ) {
        let me = self.me.clone();
        let what = self.path().to_owned();
        let task = tokio::spawn(async move {
            let outcome = AssertUnwindSafe(work).catch_unwind().await;
            let outcome = outcome.map_err(|panic| Error::Panicked {
                what,
                message: panic_message(panic.as_ref()),
            });
            // Only fails when the actor is gone, and then nobody waits.
            let _ = me.deliver_unmetered(then(outcome));
        });
        self.tasks.keep(task.abort_handle());
    }

    /// Sends `message` to this actor after `delay` on tokio's clock, unless it ends before.
    pub fn after(&self, delay: Duration, message: M) {
        let me = self.me.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = me.deliver_unmetered(message);
        });
        self.tasks.keep(task.abort_handle());
    }

    /// Sends `make()` to this actor each time the bell rings or a sweep is due. A wake-up that finds the mailbox full is
    /// dropped: it says *look*, and one that says so is waiting already.
    pub fn look_when(
        &self,
        mut bell: Listener,
        sweep: Sweep,
        make: impl Fn() -> M + Send + 'static,
    ) {
        let me = self.me.clone();
        let mut rng = self.host.rng(self.path());
        let task = tokio::spawn(async move {
            loop {
                bell.wait(sweep.draw(&mut rng)).await;
                if let Err(Error::NotRunning { .. }) = me.tell(make()) {
                    break;
                }
            }
        });
        self.tasks.keep(task.abort_handle());
    }

    /// Sends `make()` to this actor every `period`, skipping ticks that it was too busy for.
    pub fn every(&self, period: Duration, make: impl Fn() -> M + Send + 'static) {
        let me = self.me.clone();
        let task = tokio::spawn(async move {
            let mut interval = tokio::time::interval(period);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            interval.tick().await;
            loop {
                interval.tick().await;
                if let Err(Error::NotRunning { .. }) = me.tell(make()) {
                    break;
                }
            }
        });
        self.tasks.keep(task.abort_handle());
    }

    /// Runs `work` until it ends or the actor does.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.keep(tokio::spawn(work).abort_handle());
    }
}

/// The text of a panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Runs a [`Behaviour`] as a ractor actor.
struct Shell<B>(std::marker::PhantomData<fn() -> B>);

struct Life<B: Behaviour> {
    behaviour: B,
    ctx: Context<B::Msg>,
}

impl<B: Behaviour> Actor for Shell<B> {
    type Msg = Letter<B::Msg>;
    type State = Life<B>;
    type Arguments = (B, BoundedRef<B::Msg>, ChildContext);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (mut behaviour, me, child): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        // Bound before the start, so that what the start sets going already finds its way back.
        me.bind(&child.path, myself.clone());
        let waiting = me.clone();
        child.cell.gauge(move || waiting.len());
        let ctx = Context {
            me,
            cell: child.cell,
            host: child.host,
            actor: myself.get_cell(),
            tasks: Arc::new(Tasks::default()),
        };
        behaviour.start(&ctx).await?;
        ctx.cell.publish(behaviour.observe());
        Ok(Life { behaviour, ctx })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        letter: Self::Msg,
        life: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let Letter { message, permit } = letter;
        life.ctx.cell.begin_message();
        let outcome = life.behaviour.handle(&life.ctx, message).await;
        // Given back before the state is shown: whoever sees the message counted also sees the room it left.
        drop(permit);
        life.ctx.cell.end_message(life.behaviour.observe());
        outcome
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Self::Msg>,
        life: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        life.behaviour.stop(&life.ctx).await;
        life.ctx.cell.publish(life.behaviour.observe());
        Ok(())
    }
}

/// Begins one life of a behaviour under the supervisor of `child`.
pub(crate) async fn spawn<B: Behaviour>(
    behaviour: B,
    me: BoundedRef<B::Msg>,
    child: ChildContext,
) -> Result<ActorCell, Error> {
    let path = child.path.clone();
    let supervisor = child.supervisor.clone();
    // No name: ractor's registry is one per process, our paths are one per runtime.
    let spawned = Shell::<B>::spawn_linked(
        None,
        Shell(std::marker::PhantomData),
        (behaviour, me, child),
        supervisor,
    )
    .await;
    match spawned {
        Ok((actor, _)) => Ok(actor.get_cell()),
        Err(error) => Err(Error::StartFailed {
            path,
            message: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        shutdown::Root,
        supervisor::{Backoff, ChildSpec, Strategy, SupervisorSpec},
        testkit::{host, wait_for_node},
    };

    #[derive(Default)]
    struct Busy {
        ticks: u32,
        outcomes: Vec<String>,
    }

    enum Msg {
        Tick,
        Work(&'static str),
        Ended(Result<&'static str, Error>),
    }

    impl Behaviour for Busy {
        type Msg = Msg;
        const KIND: &'static str = "busy";

        async fn start(&mut self, ctx: &Context<Msg>) -> Result<(), Failure> {
            ctx.every(Duration::from_secs(1), || Msg::Tick);
            Ok(())
        }

        async fn handle(&mut self, ctx: &Context<Msg>, message: Msg) -> Result<(), Failure> {
            match message {
                Msg::Tick => self.ticks += 1,
                Msg::Work(what) => ctx.pipe(
                    async move {
                        match what {
                            "panic" => panic!("told to"),
                            "forever" => std::future::pending().await,
                            _ => what,
                        }
                    },
                    Msg::Ended,
                ),
                Msg::Ended(Ok(what)) => self.outcomes.push(what.to_owned()),
                Msg::Ended(Err(error)) => self.outcomes.push(error.to_string()),
            }
            Ok(())
        }

        fn observe(&self) -> Value {
            json!({ "ticks": self.ticks, "outcomes": self.outcomes })
        }
    }

    async fn busy() -> (Root, BoundedRef<Msg>) {
        let (child, busy) = ChildSpec::actor("busy", 4, Busy::default);
        let spec = SupervisorSpec::new(Strategy::OneForOne)
            .backoff(Backoff::constant(Duration::from_millis(1)))
            .child(child);
        (Root::start(host("busy"), spec).await.unwrap(), busy)
    }

    #[tokio::test(start_paused = true)]
    async fn work_beside_the_mailbox_comes_back_as_a_message_even_when_it_panics() {
        let (root, busy) = busy().await;
        busy.tell(Msg::Work("forever")).unwrap();
        busy.tell(Msg::Work("panic")).unwrap();
        wait_for_node(root.tree(), "root/busy", |node| {
            node.observed["outcomes"] == json!(["root/busy panicked: told to"])
        })
        .await;
        busy.tell(Msg::Work("fine")).unwrap();
        wait_for_node(root.tree(), "root/busy", |node| {
            node.observed["outcomes"][1] == "fine"
        })
        .await;
        assert_eq!(root.tree().node("root/busy").unwrap().restarts, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn ticks_come_by_the_clock_and_stop_with_the_life_they_belong_to() {
        let (root, _busy) = busy().await;
        wait_for_node(root.tree(), "root/busy", |node| node.observed["ticks"] == 3).await;
        root.tree().kill("root/busy").unwrap();
        let begun = wait_for_node(root.tree(), "root/busy", |node| node.restarts == 1).await;
        assert_eq!(begun.observed["ticks"], 0);
        let at = tokio::time::Instant::now();
        wait_for_node(root.tree(), "root/busy", |node| node.observed["ticks"] == 2).await;
        assert_eq!(at.elapsed().as_secs(), 2, "one ticker, not two");
    }
}
