//! Reading one organisation's data.

use chrono::{DateTime, Utc};
use domain::{access::Grant, id::OrgId};
use sea_orm::Value;
use uuid::Uuid;

use crate::{
    Backend, Error, Storage,
    cipher::Cipher,
    connection::{Door, detached},
    executor::sealed::Run,
    row::Row,
    unit::{Unit, with_org},
};

/// A reader of one organisation's data. Every statement is a transaction of its own.
#[derive(Clone, Debug)]
pub struct Scope {
    storage: Storage,
    grant: Grant,
}

impl Storage {
    /// A reader for the organisation of `grant`.
    pub fn scope(&self, grant: &Grant) -> Scope {
        Scope {
            storage: self.clone(),
            grant: *grant,
        }
    }
}

impl Scope {
    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.grant.org()
    }

    /// A fresh id, ordered by time.
    pub fn fresh_id(&self) -> Uuid {
        self.storage.fresh_id()
    }
}

impl Run for Scope {
    fn org(&self) -> OrgId {
        self.grant.org()
    }

    fn backend(&self) -> Backend {
        self.storage.backend()
    }

    fn cipher(&self) -> &Cipher {
        self.storage.cipher()
    }

    fn fresh_id(&self) -> Uuid {
        self.storage.fresh_id()
    }

    async fn time(&self) -> Result<DateTime<Utc>, Error> {
        self.storage.now().await
    }

    async fn rows(&self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>, Error> {
        names_the_tenant(sql)?;
        let (storage, org, sql) = (self.storage.clone(), self.org(), sql.to_owned());
        detached(async move {
            let tx = storage.begin_read(Door::Organisation(org)).await?;
            let rows = tx.rows(&sql, with_org(org, params)).await?;
            tx.commit().await?;
            Ok(rows)
        })
        .await
    }
}

/// Refuses a statement that does not name the organisation: a forgotten tenant filter fails in the first test that runs it.
pub(crate) fn names_the_tenant(sql: &str) -> Result<(), Error> {
    let insert =
        sql.trim_start().starts_with("INSERT") && sql.contains("(org_id,") && sql.contains("$1");
    if insert || sql.contains("org_id = $1") {
        Ok(())
    } else {
        Err(Error::internal(format!(
            "a statement does not name its organisation: {sql}"
        )))
    }
}

/// The doors to the repositories, the same on a [`Scope`] and in a [`Unit`].
macro_rules! repositories {
    ($($(#[$doc:meta])* $method:ident -> $repository:ident;)*) => {
        impl Scope {
            $($(#[$doc])* pub fn $method(&self) -> crate::$repository<'_, Scope> { crate::$repository(self) })*
        }
        impl Unit {
            $($(#[$doc])* pub fn $method(&self) -> crate::$repository<'_, Unit> { crate::$repository(self) })*
        }
    };
}

repositories! {
    /// The organisation itself.
    organisations -> Organisations;
    /// People.
    users -> Users;
    /// Projects and their members.
    projects -> Projects;
    /// Brands and their relationships.
    brands -> Brands;
    /// Media channels.
    channels -> Channels;
    /// Metric definitions.
    metrics -> Metrics;
    /// Metric values.
    values -> Values;
    /// Corrections of ingested values.
    corrections -> Corrections;
    /// Targets on metrics.
    targets -> Targets;
    /// Saved mappings.
    mappings -> Mappings;
    /// Imports: batches, their offset and their rejects.
    ingest -> Ingest;
    /// Bytes of imports that come in chunks.
    uploads -> Uploads;
    /// Scores, scalers and benchmarks.
    scores -> Scores;
    /// Forecasts.
    forecasts -> Forecasts;
    /// Fitted response curves.
    fits -> Fits;
    /// Signed effects of one brand on another.
    synergies -> Synergies;
    /// Gaps, rivals' changes and leading indicators.
    findings -> Findings;
    /// Budget plans.
    plans -> Plans;
    /// Standing constraints.
    constraints -> Constraints;
    /// Recommendations.
    recommendations -> Recommendations;
    /// Measured outcomes.
    outcomes -> Outcomes;
    /// Durable jobs.
    jobs -> Jobs;
    /// Runs and their steps.
    runs -> Runs;
    /// Schedules.
    schedules -> Schedules;
    /// Events.
    events -> Events;
    /// Consumers' cursors.
    cursors -> Cursors;
    /// Remembered answers to requests with an idempotency key.
    idempotency -> Idempotency;
    /// Settings.
    settings -> Settings;
    /// The audit trail.
    audit -> Audit;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_without_its_organisation_is_refused() {
        assert!(names_the_tenant("SELECT * FROM brands WHERE id = $2").is_err());
        assert!(names_the_tenant("SELECT * FROM brands WHERE org_id = $1").is_ok());
        assert!(names_the_tenant("INSERT INTO brands (org_id, id) VALUES ($1, $2)").is_ok());
        assert!(names_the_tenant("INSERT INTO brands (id) VALUES ($1)").is_err());
    }
}
