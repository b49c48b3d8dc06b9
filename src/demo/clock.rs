//! Moving the demo's domain clock: the market goes on under the plan of record, what happened is imported like any other
//! file, and the clock follows.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use agents::ingest::{Importer, brand_id, channel_id};
use chrono::{Days, NaiveDate, TimeDelta};
use domain::{
    Error, ErrorKind,
    access::{Permission, Principal},
    budget::Plan,
    event::{EventKind, NewEvent},
    id::OrgId,
};
use storage::Storage;

use super::market::Market;
use crate::{app::Database, exit::Failure};

/// Most weeks one step may take.
const MOST_WEEKS: u32 = 26;

/// The simulated market beside a demo's database.
#[derive(Clone, Debug)]
pub(crate) struct DemoMarket {
    database: Database,
    importer: Importer,
    folder: PathBuf,
    org: OrgId,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl DemoMarket {
    /// The market of organisation `org`, kept in `folder`.
    pub(crate) fn new(database: Database, importer: Importer, folder: PathBuf, org: OrgId) -> Self {
        Self {
            database,
            importer,
            folder,
            org,
            turn: Arc::default(),
        }
    }

    /// The market beside this database, when there is one.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) async fn beside(
        database: &Database,
        importer: &Importer,
        data: &Path,
    ) -> Result<Option<Self>, Failure> {
        let folder = super::folder(data);
        if !folder.join("market.json").is_file() {
            return Ok(None);
        }
        let org = super::organisation_id();
        let exists = database.system().organisations().get(org).await?.is_some();
        Ok(exists.then(|| Self::new(database.clone(), importer.clone(), folder, org)))
    }

    /// The organisation.
    pub(crate) fn org(&self) -> OrgId {
        self.org
    }

    /// The domain clock and the weeks simulated so far.
    ///
    /// # Errors
    /// When the database or the market's files cannot be read.
    pub(crate) async fn state(&self) -> Result<(NaiveDate, u32), Error> {
        let folder = self.folder.clone();
        let market = blocking(move || reopen(&folder)).await?;
        let as_of = self.as_of().await?.unwrap_or_else(|| market.last_day());
        Ok((as_of, market.weeks_simulated()))
    }

    /// Lets `weeks` weeks happen and returns the new day. Interrupted at any point, the next call first finishes what was
    /// begun.
    ///
    /// # Errors
    /// `demo.weeks`, `demo.horizon`, `demo.busy` while another process moves the same clock, and those of an import.
    pub(crate) async fn advance(&self, weeks: u32) -> Result<NaiveDate, Error> {
        if !(1..=MOST_WEEKS).contains(&weeks) {
            return Err(Error::invalid(
                "demo.weeks",
                format!("{weeks} is not a number of weeks from 1 to {MOST_WEEKS}"),
            ));
        }
        let _turn = self.turn.lock().await;
        let system = self.database.system();
        let (name, owner) = (
            format!("demo-clock:{}", self.org),
            format!("{}", std::process::id()),
        );
        let lease = system
            .leases()
            .acquire(&name, &owner, TimeDelta::minutes(5))
            .await
            .map_err(plain)?
            .ok_or_else(|| {
                Error::conflict("demo.busy", "another process moves the demo's clock")
                    .advise("try again in a moment")
            })?;
        let result = self.move_on(weeks).await;
        // An unreleased lease ends by itself; the result counts.
        let _released = system.leases().release(&name, lease.epoch).await;
        result
    }

    async fn move_on(&self, weeks: u32) -> Result<NaiveDate, Error> {
        self.catch_up().await?;
        let plan = self.plan_of_record().await?;
        let org = self.org;
        let folder = self.folder.clone();
        blocking(move || {
            let mut market = reopen(&folder)?;
            market.advance(weeks as usize, |monday, brand, channel| {
                spend(plan.as_ref()?, org, monday, brand, channel)
            })?;
            Ok(())
        })
        .await?;
        self.catch_up().await
    }

    /// Imports the weeks that have happened and are not in the database, and moves the clock to their end.
    pub(super) async fn catch_up(&self) -> Result<NaiveDate, Error> {
        let as_of = self.as_of().await?;
        let folder = self.folder.clone();
        let (file, mapping, last_day) = blocking(move || {
            let market = reopen(&folder)?;
            let last_day = market.last_day();
            if as_of == Some(last_day) {
                return Ok((None, String::new(), last_day));
            }
            let from = (0..market.world().weeks())
                .find(|week| as_of.is_none_or(|day| Market::monday(*week) > day))
                .unwrap_or_default();
            Ok((Some(market.export(from)?), market.mapping()?, last_day))
        })
        .await?;
        let Some(file) = file else {
            return Ok(last_day);
        };
        let principal = Principal::system(self.org);
        let saved = self
            .importer
            .save_mapping(&principal, &mapping)
            .await
            .map_err(plain)?;
        let report = self
            .importer
            .import_file(&principal, saved.id, None, &file, &|_| {})
            .await
            .map_err(plain)?;
        tracing::info!(values = report.batch.counts.inserted, until = %last_day, "the market's weeks were imported");
        self.set_clock(last_day).await?;
        Ok(last_day)
    }

    async fn set_clock(&self, day: NaiveDate) -> Result<(), Error> {
        let grant = Principal::system(self.org).grant(Permission::DemoAdvance)?;
        let org = self.org.to_string();
        self.storage()
            .unit(&grant, move |u| {
                let org = org.clone();
                Box::pin(async move {
                    u.organisations().set_as_of(Some(day)).await?;
                    let body = serde_json::json!({ "as_of": day });
                    u.events()
                        .publish(NewEvent {
                            kind: EventKind::ClockAdvanced,
                            key: org.clone(),
                            body: body.clone(),
                        })
                        .await?;
                    u.audit().record("clock.advanced", &org, body).await
                })
            })
            .await
            .map_err(plain)
    }

    async fn as_of(&self) -> Result<Option<NaiveDate>, Error> {
        let grant = Principal::system(self.org).grant(Permission::PortfolioRead)?;
        let as_of = self
            .storage()
            .scope(&grant)
            .organisations()
            .get()
            .await
            .map_err(plain)?
            .as_of;
        // Until the first import there is no data for the clock to stand at the end of.
        let span = self
            .storage()
            .scope(&grant)
            .values()
            .span()
            .await
            .map_err(plain)?;
        Ok(span.and(as_of))
    }

    async fn plan_of_record(&self) -> Result<Option<Plan>, Error> {
        let grant = Principal::system(self.org).grant(Permission::PlanRead)?;
        self.storage()
            .scope(&grant)
            .plans()
            .of_record()
            .await
            .map_err(plain)
    }

    fn storage(&self) -> &Storage {
        &self.database.storage
    }
}

/// What the plan says a line spends in a week; `None` outside its weeks and for lines it does not name.
fn spend(plan: &Plan, org: OrgId, monday: NaiveDate, brand: &str, channel: &str) -> Option<f64> {
    let end = plan
        .start
        .checked_add_days(Days::new(7 * u64::from(plan.weeks)))?;
    if !(plan.start..end).contains(&monday) {
        return None;
    }
    let (brand, channel) = (brand_id(org, brand), channel_id(org, channel));
    let lines: HashMap<_, _> = plan
        .lines
        .iter()
        .map(|line| ((line.brand, line.channel), line.weekly))
        .collect();
    lines
        .get(&(brand, channel))
        .and_then(|weekly| weekly.to_string().parse().ok())
}

fn reopen(folder: &Path) -> Result<Market, Error> {
    Market::reopen(folder)?.ok_or_else(|| {
        Error::not_found(
            "demo.none",
            format!("there is no simulated market in {}", folder.display()),
        )
        .advise("digi-cadence demo makes one")
    })
}

/// Simulating takes the processor; it runs beside the threads that answer.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Error::new(
                ErrorKind::Internal,
                "demo.failed",
                format!("the simulation did not end: {error}"),
            ))
        })
}

/// An error of another layer with its kind, code and text.
fn plain(error: impl domain::Classify + std::fmt::Display) -> Error {
    Error::new(error.kind(), error.code(), error.to_string())
}

#[cfg(test)]
mod tests {
    use domain::{
        access::Actor,
        budget::{PlanLine, PlanStatus},
        id::PlanId,
        provenance::Provenance,
        unit::Money,
    };

    use super::*;

    #[test]
    fn a_plan_counts_in_its_own_weeks_only() {
        let org = super::super::organisation_id();
        let monday = NaiveDate::from_ymd_opt(2026, 11, 2).expect("a Monday");
        let line = |weekly: i64| PlanLine {
            brand: brand_id(org, "Alder"),
            channel: channel_id(org, "search"),
            weekly: weekly.into(),
            current: 0.into(),
            lower: 0.into(),
            upper: 0.into(),
            marginal_return: None,
        };
        let plan = Plan {
            id: PlanId::derive(&["p"]),
            version: 1,
            name: "p".into(),
            status: PlanStatus::OfRecord,
            start: monday,
            weeks: 2,
            total: Money {
                amount: 10.into(),
                currency: "EUR".into(),
            },
            lines: vec![line(5)],
            effect: None,
            confidence: None,
            certificate: None,
            recommendation: None,
            created_by: Actor::System,
            created_at: chrono::DateTime::UNIX_EPOCH,
            provenance: Provenance::default(),
        };
        let at = |weeks: u64| spend(&plan, org, monday + Days::new(7 * weeks), "Alder", "search");
        assert_eq!((at(0), at(1), at(2)), (Some(5.0), Some(5.0), None));
        assert_eq!(spend(&plan, org, monday, "Birch", "search"), None);
    }
}
