//! The demo: an organisation whose data comes from a simulated market, made through the same doors as anybody's.
//!
//! The market is written to a file and imported by a mapping; agents never see the market itself. Its truth lies in a
//! file apart (`demo/truth.json` in the data folder), which only the report at the end of `demo --once` reads.

mod clock;
mod market;
mod report;

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use domain::{
    Error,
    access::{AgentKind, Permission, Principal, Role},
    id::{OrgId, ScheduleId},
    organisation::{Organisation, User},
    schedule::{Overlap, Schedule},
};
use storage::NewUser;

pub(crate) use clock::DemoMarket;
pub(crate) use report::{Report, report};

use crate::{
    app::{self, Database},
    config::Config,
    exit::Failure,
};
use market::Market;
pub(crate) use market::Wanted;

/// Name of the demo's organisation.
const ORGANISATION: &str = "Demo portfolio";

/// Address of the demo's person. The name space is reserved for examples.
const EMAIL: &str = "demo@example.org";

/// The id of the demo's organisation.
pub(crate) fn organisation_id() -> OrgId {
    OrgId::derive(&[ORGANISATION])
}

/// Where the market's files lie.
fn folder(data: &Path) -> PathBuf {
    data.join("demo")
}

/// A demo that is ready to be run.
#[derive(Debug)]
pub(crate) struct Demo {
    /// The organisation.
    pub(crate) organisation: Organisation,
    /// The person.
    pub(crate) user: User,
    /// Whether it was made just now.
    pub(crate) is_new: bool,
}

/// Makes the demo of the `wanted` market in this database, or finds the one that is there.
///
/// # Errors
/// When the database or the folder cannot be written.
pub(crate) async fn prepare(
    database: &Database,
    config: &Config,
    wanted: Wanted,
) -> Result<Demo, Failure> {
    let folder = folder(&config.data_dir);
    let importer = app::importer(&database.storage, config)?;
    let system = database.system();
    let known = folder.clone();
    let is_new = tokio::task::spawn_blocking(move || match Market::reopen(&known)? {
        Some(_) => Ok(false),
        None => Market::create(&known, wanted).map(|_| true),
    })
    .await
    .map_err(|error| {
        Error::new(
            domain::ErrorKind::Internal,
            "demo.failed",
            format!("the market was not made: {error}"),
        )
    })
    .and_then(|result: Result<bool, Error>| result)?;
    app::make_organisation(&system, ORGANISATION, "EUR", None).await?;
    let market = DemoMarket::new(
        database.clone(),
        importer,
        folder.clone(),
        organisation_id(),
    );
    market.catch_up().await?;
    state_margins(database, &folder).await?;
    make_schedules(database).await?;
    let organisation = system
        .organisations()
        .get(organisation_id())
        .await?
        .ok_or_else(|| {
            Error::not_found("organisation.unknown", "the demo's organisation is gone")
        })?;
    let user = person(database, &organisation).await?;
    Ok(Demo {
        organisation,
        user,
        is_new,
    })
}

/// What a controller would tell: the share of sales that is left of each own brand.
async fn state_margins(database: &Database, folder: &Path) -> Result<(), Failure> {
    let org = organisation_id();
    let grant = Principal::system(org).grant(Permission::BrandWrite)?;
    let brands = database.storage.scope(&grant).brands().list().await?;
    if brands.iter().any(|brand| brand.margin.is_some()) {
        return Ok(());
    }
    let folder = folder.to_owned();
    let margins = tokio::task::spawn_blocking(move || {
        Market::reopen(&folder).map(|market| market.map(|m| m.margins()))
    })
    .await
    .map_err(|error| {
        Error::new(
            domain::ErrorKind::Internal,
            "demo.failed",
            format!("no margins: {error}"),
        )
    })??
    .unwrap_or_default();
    database
        .storage
        .unit(&grant, move |u| {
            let (brands, margins) = (brands.clone(), margins.clone());
            Box::pin(async move {
                for mut brand in brands {
                    brand.margin = margins.get(brand.name.as_str()).copied();
                    brand.category = "Household".to_owned();
                    u.brands().upsert(&brand).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(())
}

/// When each agent looks by itself.
const SCHEDULES: [(AgentKind, &str); 4] = [
    (AgentKind::Metrics, "0 * * * *"),
    (AgentKind::Forecasting, "0 5 * * *"),
    (AgentKind::Optimisation, "0 6 * * MON"),
    (AgentKind::Strategy, "0 7 * * MON"),
];

async fn make_schedules(database: &Database) -> Result<(), Failure> {
    let org = organisation_id();
    let grant = Principal::system(org).grant(Permission::ScheduleWrite)?;
    let now = database.storage.now().await?;
    let mut schedules = Vec::new();
    for (agent, cron) in SCHEDULES {
        let mut schedule = Schedule {
            id: ScheduleId::derive(&[&org.to_string(), agent.name()]),
            version: 1,
            agent,
            cron: cron.to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            overlap: Overlap::Skip,
            catch_up_seconds: 3600,
            paused: false,
            next_at: None,
            last_at: None,
        };
        schedule.next_at = runtime::schedules::next_fires(&schedule, now, 1)?
            .first()
            .copied();
        schedules.push(schedule);
    }
    database
        .storage
        .unit(&grant, move |u| {
            let schedules = schedules.clone();
            Box::pin(async move {
                for schedule in &schedules {
                    u.schedules().create(schedule).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(())
}

async fn person(database: &Database, organisation: &Organisation) -> Result<User, Failure> {
    let grant = Principal::system(organisation.id).grant(Permission::UserRead)?;
    if let Some(user) = database
        .storage
        .scope(&grant)
        .users()
        .by_email(EMAIL)
        .await?
    {
        return Ok(user);
    }
    let new = NewUser {
        email: EMAIL.to_owned(),
        name: "Demo owner".to_owned(),
        role: Role::OrgAdmin,
        password_hash: None,
    };
    app::add_user(database, organisation, new).await
}

/// A link that signs the demo's person in once.
///
/// # Errors
/// When the database cannot be reached.
pub(crate) async fn link(
    database: &Database,
    user: &User,
    origin: &str,
) -> Result<String, Failure> {
    app::sign_in_link(database, user, TimeDelta::hours(12), origin).await
}
