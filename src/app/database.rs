//! Opening the database for a command, and the parts that need nothing else.

use std::{path::PathBuf, sync::Arc};

use agents::ingest::{Importer, Program, Settings};
use chrono::NaiveDate;
use domain::{Error, clock::SystemClock, id::OrgId, organisation::Organisation};
use storage::{KeySource, Storage, System, SystemGrant};

use crate::{config::Config, exit::Failure};

/// An open database with its schema up to date.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// The storage.
    pub(crate) storage: Storage,
}

impl Database {
    /// Opens the database of `config`; brings the schema up to date unless that is switched off.
    ///
    /// # Errors
    /// When it cannot be reached, or its schema is not that of this program.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let this = Self::connect(config).await?;
        if config.storage.migrate {
            this.storage.migrate().await?;
        } else if let Some(missing) = this
            .storage
            .migration_status()
            .await?
            .into_iter()
            .find(|m| !m.applied)
        {
            return Err(Error::conflict(
                "migration.missing",
                format!("the schema lacks {}", missing.name),
            )
            .advise("run digi-cadence migrate up, or set storage.migrate = true")
            .into());
        }
        Ok(this)
    }

    /// Opens the database and leaves its schema alone.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(crate) async fn connect(config: &Config) -> Result<Self, Failure> {
        let key = match &config.storage.key {
            Some(text) => KeySource::Given(key_bytes(text)?),
            None if config.storage.database.starts_with("sqlite:") => KeySource::BesideDatabase,
            None => KeySource::File(config.data_dir.join("digi-cadence.key")),
        };
        let settings = storage::Config {
            url: config.storage.database.clone(),
            max_connections: config.storage.connections,
            key,
        };
        Ok(Self {
            storage: Storage::connect(&settings, Arc::new(SystemClock)).await?,
        })
    }

    /// The door across organisations.
    pub(crate) fn system(&self) -> System {
        system(&self.storage)
    }
}

fn key_bytes(text: &str) -> Result<[u8; 32], Error> {
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = std::str::from_utf8(pair)
            .ok()
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .ok_or_else(|| {
                Error::invalid("config.invalid", "storage.key is not 64 hexadecimal digits")
            })?;
    }
    Ok(key)
}

/// The door across organisations. Only this module makes the grant it takes.
pub(crate) fn system(storage: &Storage) -> System {
    storage.system(SystemGrant::for_app())
}

/// Imports files with this very program as the parsing process.
///
/// # Errors
/// When the system does not say where this program lies.
pub(crate) fn importer(storage: &Storage, config: &Config) -> Result<Importer, Error> {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("digi-cadence"));
    let settings = Settings {
        program: Program {
            path,
            arguments: vec!["ingest-worker".to_owned()],
        },
        limits: config.ingest,
        unit_values: config.unit_values,
    };
    Ok(Importer::new(storage.clone(), settings))
}

/// The organisation called `name` (or with that id); without a name the only one there is.
///
/// # Errors
/// `organisation.unknown`, `organisation.ambiguous`.
pub(crate) async fn organisation(
    system: &System,
    name: Option<&str>,
) -> Result<Option<Organisation>, Failure> {
    let mut all = system.organisations().list().await?;
    let Some(name) = name else {
        return match all.len() {
            0 => Ok(None),
            1 => Ok(all.pop()),
            _ => {
                let names: Vec<String> = all.into_iter().map(|o| o.name).collect();
                Err(Error::invalid(
                    "organisation.ambiguous",
                    format!("there are several organisations: {}", names.join(", ")),
                )
                .advise("name one with --organisation")
                .into())
            }
        };
    };
    let id = name.parse::<OrgId>().ok();
    Ok(all.into_iter().find(|o| o.name == name || Some(o.id) == id))
}

/// Makes the organisation called `name`. Its id comes from the name, so two commands that make it at once make one.
///
/// # Errors
/// `organisation.currency` for something that is no ISO 4217 code.
pub(crate) async fn make_organisation(
    system: &System,
    name: &str,
    currency: &str,
    as_of: Option<NaiveDate>,
) -> Result<Organisation, Failure> {
    if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(Error::invalid(
            "organisation.currency",
            format!("{currency:?} is not an ISO 4217 code such as EUR"),
        )
        .into());
    }
    let organisation = Organisation {
        id: OrgId::derive(&[name]),
        name: name.to_owned(),
        currency: currency.to_owned(),
        time_zone: "UTC".to_owned(),
        as_of,
    };
    system.organisations().create(&organisation).await?;
    Ok(organisation)
}
