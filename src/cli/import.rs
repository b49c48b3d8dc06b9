//! `import`: a file into the database, by a mapping. It is the importer the server uses too.

use std::path::PathBuf;

use clap::Args;
use domain::{
    Error,
    access::{Permission, Principal},
    ingest::Batch,
    organisation::Organisation,
    page::{MAX_LIMIT, PageRequest},
};
use serde_json::json;

use super::{Exit, Failure, Format, Outcome, Progress, Table, figure, say};
use crate::{
    app::{self, Database},
    config::Config,
};

/// Name of the organisation that the first import into an empty database makes.
const FIRST_ORGANISATION: &str = "My organisation";

/// `digi-cadence import`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The CSV file
    file: PathBuf,
    /// The mapping file (TOML) that says what its columns mean; it is saved under its name
    #[arg(long, short, value_name = "FILE")]
    mapping: PathBuf,
    /// Organisation by name or id [default: the only one; on an empty database "My organisation" is made]
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// ISO 4217 currency of an organisation that this import makes
    #[arg(long, value_name = "CODE", default_value = "EUR")]
    currency: String,
    /// Source of the values; a value is identified by it too [default: the mapping's name]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Print a line for every offset that has become durable
    #[arg(long)]
    acknowledge: bool,
    /// Refused rows to show in the table; all of them are kept
    #[arg(long, default_value_t = 5, value_name = "N")]
    rejects: u32,
}

/// Runs the command.
pub(super) async fn run(config: Config, format: Format, arguments: Arguments) -> Outcome {
    let text = std::fs::read_to_string(&arguments.mapping).map_err(|error| {
        Failure::new(
            Exit::Input,
            format!(
                "cannot read the mapping {}: {error}",
                arguments.mapping.display()
            ),
        )
    })?;
    let database = Database::open(&config).await?;
    let importer = app::importer(&database.storage, &config)?;
    let organisation = find_or_make(&database, &arguments).await?;
    let principal = Principal::system(organisation.id);
    let saved = importer.save_mapping(&principal, &text).await?;
    let progress = Progress::new(0, "importing");
    let heard = |batch: &Batch| {
        progress.to(batch.offset, "items");
        if arguments.acknowledge {
            // A closed pipe must not stop an import; whoever wanted the lines is gone.
            let _unheard = say(
                &json!({ "batch": batch.id, "acknowledged": batch.offset, "state": batch.state })
                    .to_string(),
            );
        }
    };
    let result = importer
        .import_file(
            &principal,
            saved.id,
            arguments.source.clone(),
            &arguments.file,
            &heard,
        )
        .await;
    progress.done();
    let report = result?;
    let grant = principal.grant(Permission::MetricRead)?;
    let page = PageRequest {
        limit: arguments.rejects.clamp(1, MAX_LIMIT),
        after: None,
    };
    let rejects = database
        .storage
        .scope(&grant)
        .ingest()
        .rejects(report.batch.id, &page)
        .await?
        .rows;
    let shown = &rejects[..rejects.len().min(arguments.rejects as usize)];
    let (batch, summary) = (&report.batch, &report.summary);
    if format == Format::Json {
        return say(&serde_json::to_string_pretty(&json!({
            "batch": batch, "summary": summary, "changed": batch.counts.inserted + batch.counts.updated, "rejects": shown,
            "organisation": organisation.name,
        }))
        .expect("results are plain data"));
    }
    let n = |count: u64| figure(count as f64, 0);
    let counts = batch.counts;
    let mut table = Table::new(["import", "count", "meaning"]);
    for (name, count, meaning) in [
        ("rows", summary.rows, "lines with data"),
        (
            "rows left out",
            summary.dropped_rows,
            "because the mapping says so",
        ),
        ("keys", summary.keys, "different project, brand and period"),
        ("keys merged", summary.merged_keys, "made of several rows"),
        (
            "accepted",
            counts.accepted,
            "values that passed every check",
        ),
        ("merged", counts.merged, "of them added up into another one"),
        (
            "filled",
            counts.filled,
            "zeros for absent periods, as the mapping says",
        ),
        (
            "refused",
            counts.refused,
            "rows or cells, kept with their reason",
        ),
        ("inserted", counts.inserted, "new in the database"),
        ("updated", counts.updated, "changed in the database"),
        ("unchanged", counts.unchanged, "there already, the same"),
        (
            "outside window",
            counts.outside_window,
            "older than the restatement window, kept as they were",
        ),
    ] {
        table.row([name.to_owned(), n(count), meaning.to_owned()]);
    }
    say(table.to_string().trim_end())?;
    say(&format!(
        "{} changed in {:?} ({})",
        n(counts.inserted + counts.updated),
        organisation.name,
        batch.id
    ))?;
    if !shown.is_empty() {
        let mut table = Table::new(["line", "column", "reason", "what", "text"]);
        for reject in shown {
            table.row([
                reject.line.to_string(),
                reject.column.clone(),
                reject.code.clone(),
                reject.message.clone(),
                reject.raw.chars().take(40).collect(),
            ]);
        }
        say(&format!("\n{}", table.to_string().trim_end()))?;
    }
    if !summary.unmapped.is_empty() {
        say(&format!(
            "\ncolumns that the mapping neither uses nor ignores: {}",
            summary.unmapped.join(", ")
        ))?;
    }
    Ok(())
}

async fn find_or_make(database: &Database, arguments: &Arguments) -> Result<Organisation, Failure> {
    let system = database.system();
    if let Some(found) = app::organisation(&system, arguments.organisation.as_deref()).await? {
        return Ok(found);
    }
    let empty = system.organisations().list().await?.is_empty();
    if !empty {
        let name = arguments.organisation.clone().unwrap_or_default();
        return Err(Error::not_found(
            "organisation.unknown",
            format!("there is no organisation {name:?}"),
        )
        .advise("digi-cadence user list shows them")
        .into());
    }
    let name = arguments
        .organisation
        .clone()
        .unwrap_or_else(|| FIRST_ORGANISATION.to_owned());
    app::make_organisation(&system, &name, &arguments.currency, None).await
}
