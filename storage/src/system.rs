//! The one door across organisations: sign-in, sessions, queue, leases, outbox, cursors and schedules.

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use crate::{
    ActorRestarts, Error, Lag, Leases, Outbox, Queue, SignIn, Storage, SystemOrganisations,
    SystemSchedules,
    connection::{Door, Tx, detached},
};

/// Proof that the application itself asks. There is one constructor, and a test holds that only the application's start
/// calls it.
#[derive(Debug)]
pub struct SystemGrant(());

impl SystemGrant {
    /// The application's grant.
    pub fn for_app() -> Self {
        Self(())
    }
}

/// The system door.
#[derive(Clone, Debug)]
pub struct System {
    pub(crate) storage: Storage,
}

impl Storage {
    /// Opens the system door.
    pub fn system(&self, _: SystemGrant) -> System {
        System {
            storage: self.clone(),
        }
    }
}

impl System {
    /// Organisations.
    pub fn organisations(&self) -> SystemOrganisations<'_> {
        SystemOrganisations(self)
    }

    /// Sign-in, sessions, tokens and one-time links.
    pub fn sign_in(&self) -> SignIn<'_> {
        SignIn(self)
    }

    /// The job queue, across organisations.
    pub fn queue(&self) -> Queue<'_> {
        Queue(self)
    }

    /// Named leases with fencing epochs.
    pub fn leases(&self) -> Leases<'_> {
        Leases(self)
    }

    /// The event outbox.
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox(self)
    }

    /// Schedules that are due.
    pub fn schedules(&self) -> SystemSchedules<'_> {
        SystemSchedules(self)
    }

    /// The restart history of supervised actors.
    pub fn actor_restarts(&self) -> ActorRestarts<'_> {
        ActorRestarts(self)
    }

    /// Organisations in which a consumer group has not seen every event, with where it stands.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn lagging(&self, group: &str, limit: u32) -> Result<Vec<Lag>, Error> {
        crate::cursors::lagging(self, group, limit).await
    }

    /// Database time.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn now(&self) -> Result<DateTime<Utc>, Error> {
        self.storage.now().await
    }

    /// One transaction across organisations, in a task of its own, run again when another writer is in the way.
    pub(crate) async fn transaction<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, Result<T, Error>> + Send + Sync + 'static,
    {
        let storage = self.storage.clone();
        detached(async move {
            let mut attempt = 1;
            loop {
                let result = async {
                    let tx = storage.begin(Door::System).await?;
                    let result = work(&tx).await?;
                    tx.commit().await?;
                    Ok(result)
                }
                .await;
                match result {
                    Err(Error::Busy(_)) if attempt < 6 => {
                        tokio::time::sleep(std::time::Duration::from_millis(5 << attempt)).await;
                        attempt += 1;
                    }
                    result => return result,
                }
            }
        })
        .await
    }

    /// One reading transaction across organisations, in a task of its own.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<T, Error>> + Send + 'static,
    {
        let storage = self.storage.clone();
        detached(async move {
            let tx = storage.begin_read(Door::System).await?;
            let result = work(&tx).await?;
            tx.commit().await?;
            Ok(result)
        })
        .await
    }
}
