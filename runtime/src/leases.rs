//! Leases: one owner at a time by the database's clock, with a fencing epoch.
//!
//! A lease alone cannot keep a paused owner out; the epoch can. Whatever the owner writes names the epoch
//! (`unit.fence(name, epoch)`), and a unit of a former owner is refused.

use std::{fmt, sync::Arc, time::Duration};

use chrono::TimeDelta;
use storage::System;
use tokio::{sync::watch, task::AbortHandle};

use crate::Error;

/// A lease that is held and renewed in the background until it is dropped, released or lost.
pub struct HeldLease {
    name: Arc<str>,
    epoch: i64,
    system: System,
    lost: watch::Receiver<bool>,
    renewal: AbortHandle,
    is_given_back: bool,
}

impl fmt::Debug for HeldLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldLease")
            .field("name", &self.name)
            .field("epoch", &self.epoch)
            .finish()
    }
}

impl HeldLease {
    /// Acquires the lease called `name` for `owner`; `None` while somebody holds it.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn acquire(
        system: &System,
        name: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<Self>, Error> {
        let span = TimeDelta::from_std(ttl).unwrap_or(TimeDelta::seconds(30));
        let Some(lease) = system.leases().acquire(name, owner, span).await? else {
            return Ok(None);
        };
        let (tell_lost, lost) = watch::channel(false);
        let name: Arc<str> = name.into();
        let renewal = tokio::spawn(renew(
            system.clone(),
            Arc::clone(&name),
            lease.epoch,
            ttl,
            tell_lost,
        ))
        .abort_handle();
        Ok(Some(Self {
            name,
            epoch: lease.epoch,
            system: system.clone(),
            lost,
            renewal,
            is_given_back: false,
        }))
    }

    /// The fencing epoch.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is known to be lost. That it is not says little: only the epoch in a unit decides.
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Resolves when the lease is lost.
    pub async fn lost(&self) {
        if self.lost.clone().wait_for(|lost| *lost).await.is_err() {
            // The renewal ended without saying so, which it does only with this lease.
            std::future::pending::<()>().await;
        }
    }

    /// Gives it back, so that the next owner need not wait until it runs out.
    pub async fn release(mut self) {
        self.is_given_back = true;
        give_back(&self.system, &self.name, self.epoch).await;
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.renewal.abort();
        // An owner that was killed gives it back too; that is safe because its writes are fenced. After a crash of the
        // whole program it runs out.
        if !self.is_given_back
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (system, name, epoch) = (self.system.clone(), Arc::clone(&self.name), self.epoch);
            runtime.spawn(async move { give_back(&system, &name, epoch).await });
        }
    }
}

async fn give_back(system: &System, name: &str, epoch: i64) {
    if let Err(error) = system.leases().release(name, epoch).await {
        tracing::debug!(lease = name, %error, "a lease was not given back and will run out");
    }
}

async fn renew(
    system: System,
    name: Arc<str>,
    epoch: i64,
    ttl: Duration,
    tell_lost: watch::Sender<bool>,
) {
    let span = TimeDelta::from_std(ttl).unwrap_or(TimeDelta::seconds(30));
    let mut last_good = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(ttl / 3).await;
        match system.leases().renew(&name, epoch, span).await {
            Ok(true) => last_good = tokio::time::Instant::now(),
            Ok(false) => break,
            // The database is away: until the lease has run out nobody else can hold it.
            Err(_) if last_good.elapsed() < ttl => {}
            Err(_) => break,
        }
    }
    tracing::warn!(lease = %name, "a lease was lost");
    tell_lost.send_replace(true);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    storage::on_both! {
        async fn a_lease_has_one_owner_and_each_next_one_a_higher_epoch(db: TestDatabase) {
            let system = db.system_door();
            let first = HeldLease::acquire(&system, "arbiter", "one", TTL).await.unwrap().unwrap();
            assert!(HeldLease::acquire(&system, "arbiter", "two", TTL).await.unwrap().is_none());
            let other = HeldLease::acquire(&system, "another", "two", TTL).await.unwrap();
            assert!(other.is_some(), "leases of other names are free");
            let epoch = first.epoch();
            first.release().await;
            let second = HeldLease::acquire(&system, "arbiter", "two", TTL).await.unwrap().unwrap();
            assert!(second.epoch() > epoch);
        }

        async fn a_lease_that_ran_out_is_noticed_by_its_owner(db: TestDatabase) {
            let system = db.system_door();
            let short = Duration::from_millis(300);
            let first = HeldLease::acquire(&system, "arbiter", "one", short).await.unwrap().unwrap();
            db.shift_time(chrono::TimeDelta::seconds(60));
            tokio::time::timeout(crate::testkit::PATIENCE, first.lost()).await.expect("the owner is told");
            assert!(first.is_lost());
            assert!(HeldLease::acquire(&system, "arbiter", "two", TTL).await.unwrap().is_some());
        }
    }
}
