//! `user`: people, their tokens and their links.

use std::io::{IsTerminal, Read};

use chrono::{Days, TimeDelta};
use clap::{Args, Subcommand, ValueEnum};
use domain::{
    Error,
    access::{Permission, Principal, Role},
    organisation::{Organisation, User},
};
use serde_json::json;
use storage::{NewToken, NewUser};

use super::{Failure, Format, Outcome, Table, say, show};
use crate::{
    app::{self, Database},
    config::{Config, Sources},
};

/// `digi-cadence user …`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a person; makes the organisation where it does not exist
    Add(Add),
    /// List everybody
    List {
        /// Organisation by name or id [default: all]
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Make a token with which a program acts for a person; it is shown once
    Token {
        /// Address of the person
        #[arg(long)]
        email: String,
        /// What the token is for
        #[arg(long, default_value = "command line")]
        label: String,
        /// Days until it ends [default: never]
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
        /// Organisation by name or id [default: the only one]
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Make a link that signs a person in once
    Link {
        /// Address of the person
        #[arg(long)]
        email: String,
        /// Minutes until it ends
        #[arg(long, default_value_t = 60, value_name = "MINUTES")]
        minutes: u32,
        /// Origin of the web app [default: http.public_url, else the address that `serve` listens on by the settings]
        #[arg(long, value_name = "URL")]
        origin: Option<String>,
        /// Organisation by name or id [default: the only one]
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// Address to sign in with
    #[arg(long)]
    email: String,
    /// Name shown beside decisions [default: the address]
    #[arg(long)]
    name: Option<String>,
    /// What the person may do
    #[arg(long, value_enum, default_value_t = RoleName::OrgAdmin)]
    role: RoleName,
    /// Organisation by name; made where it does not exist [default: the only one]
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// ISO 4217 currency of an organisation that this makes
    #[arg(long, value_name = "CODE", default_value = "EUR")]
    currency: String,
    /// Read the password from standard input (otherwise from DIGI_CADENCE_PASSWORD; without one the person signs in by link)
    #[arg(long)]
    password_stdin: bool,
}

/// Roles as they are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    /// Operates the installation
    SystemAdmin,
    /// Runs one organisation
    OrgAdmin,
    /// Decides on recommendations and plans across brands
    PortfolioManager,
    /// Decides on recommendations, edits brand data
    BrandManager,
    /// Imports data, runs agents and analyses
    Analyst,
    /// Reads
    Viewer,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::SystemAdmin => Self::SystemAdmin,
            RoleName::OrgAdmin => Self::OrgAdmin,
            RoleName::PortfolioManager => Self::PortfolioManager,
            RoleName::BrandManager => Self::BrandManager,
            RoleName::Analyst => Self::Analyst,
            RoleName::Viewer => Self::Viewer,
        }
    }
}

/// Runs the command.
pub(super) async fn run(config: Config, format: Format, arguments: Arguments) -> Outcome {
    let database = Database::open(&config).await?;
    match arguments.action {
        Action::Add(add_arguments) => add(&database, format, add_arguments).await,
        Action::List { organisation } => list(&database, format, organisation.as_deref()).await,
        Action::Token {
            email,
            label,
            days,
            organisation,
        } => {
            let user = find(&database, organisation.as_deref(), &email).await?;
            let (token, token_hash) = api::auth::new_token();
            let expires_at = match days {
                None => None,
                Some(days) => database
                    .storage
                    .now()
                    .await?
                    .checked_add_days(Days::new(u64::from(days))),
            };
            let new = NewToken {
                org: user.org,
                user: user.id,
                label,
                token_hash,
                expires_at,
            };
            database.system().sign_in().create_token(&new).await?;
            match format {
                Format::Table => say(&token),
                Format::Json => say(
                    &json!({ "token": token, "email": user.email, "expires_at": expires_at })
                        .to_string(),
                ),
            }
        }
        Action::Link {
            email,
            minutes,
            origin: named,
            organisation,
        } => {
            let user = find(&database, organisation.as_deref(), &email).await?;
            let link = app::sign_in_link(
                &database,
                &user,
                TimeDelta::minutes(i64::from(minutes)),
                &named.unwrap_or_else(|| origin(&config)),
            )
            .await?;
            match format {
                Format::Table => say(&link),
                Format::Json => say(
                    &json!({ "link": link, "email": user.email, "minutes": minutes }).to_string(),
                ),
            }
        }
    }
}

/// The origin that browsers use.
fn origin(config: &Config) -> String {
    config
        .http
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{}", config.http.listen))
}

async fn add(database: &Database, format: Format, arguments: Add) -> Outcome {
    let system = database.system();
    let found = app::organisation(&system, arguments.organisation.as_deref()).await?;
    let organisation = match (found, &arguments.organisation) {
        (Some(found), _) => found,
        (None, name) => {
            let name = name.as_deref().unwrap_or("My organisation");
            app::make_organisation(&system, name, &arguments.currency, None).await?
        }
    };
    let password_hash = match password(arguments.password_stdin)? {
        Some(password) => Some(api::auth::hash_password(&password)?),
        None => None,
    };
    let new = NewUser {
        name: arguments.name.unwrap_or_else(|| arguments.email.clone()),
        email: arguments.email,
        role: arguments.role.into(),
        password_hash,
    };
    let user = app::add_user(database, &organisation, new).await?;
    let mut table = Table::new(["user", "email", "name", "role", "organisation"]);
    table.row(cells(&user, &organisation));
    show(
        format,
        &table,
        &json!({ "user": user, "organisation": organisation }),
    )
}

fn password(from_stdin: bool) -> Result<Option<String>, Failure> {
    if !from_stdin {
        return Ok(Sources::password());
    }
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Error::invalid(
            "user.password",
            "the password is typed in the open on a terminal",
        )
        .advise("pipe it in, such as from a password manager, or set DIGI_CADENCE_PASSWORD")
        .into());
    }
    let mut text = String::new();
    stdin.read_to_string(&mut text).map_err(|error| {
        Error::invalid(
            "user.password",
            format!("the password could not be read: {error}"),
        )
    })?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()).filter(|text| !text.is_empty()))
}

async fn list(database: &Database, format: Format, name: Option<&str>) -> Outcome {
    let system = database.system();
    let organisations = match name {
        None => system.organisations().list().await?,
        Some(name) => vec![existing(
            app::organisation(&system, Some(name)).await?,
            Some(name),
        )?],
    };
    let mut table = Table::new(["user", "email", "name", "role", "organisation"]);
    let mut document = Vec::new();
    for organisation in &organisations {
        let grant = Principal::system(organisation.id).grant(Permission::UserRead)?;
        for user in database.storage.scope(&grant).users().list().await? {
            table.row(cells(&user, organisation));
            document.push(json!({ "user": user, "organisation": organisation.name }));
        }
    }
    show(format, &table, &document)
}

fn cells(user: &User, organisation: &Organisation) -> [String; 5] {
    let role = json!(user.role).as_str().unwrap_or_default().to_owned();
    [
        user.id.to_string(),
        user.email.clone(),
        user.name.clone(),
        role,
        organisation.name.clone(),
    ]
}

fn existing(found: Option<Organisation>, name: Option<&str>) -> Result<Organisation, Error> {
    found.ok_or_else(|| {
        Error::not_found(
            "organisation.unknown",
            format!("there is no organisation {}", name.unwrap_or_default()),
        )
        .advise("digi-cadence user add makes one")
    })
}

async fn find(database: &Database, name: Option<&str>, email: &str) -> Result<User, Failure> {
    let organisation = existing(app::organisation(&database.system(), name).await?, name)?;
    let grant = Principal::system(organisation.id).grant(Permission::UserRead)?;
    database
        .storage
        .scope(&grant)
        .users()
        .by_email(email)
        .await?
        .ok_or_else(|| {
            Error::not_found(
                "user.unknown",
                format!(
                    "there is nobody with the address {email} in {:?}",
                    organisation.name
                ),
            )
            .advise("digi-cadence user list shows everybody")
            .into()
        })
}
