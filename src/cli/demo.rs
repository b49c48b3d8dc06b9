//! `demo` and `demo advance`.

use std::{path::PathBuf, time::Instant};

use clap::{Args, Subcommand};
use domain::access::Principal;
use serde_json::json;

use super::{
    Common, Exit, Failure, Format, Outcome, Progress, Table, figure, in_runtime, say, show,
};
use crate::{
    app::{self, Database, Node},
    config::{Config, Overrides, Sources},
    demo::{self, DemoMarket, Report},
};

/// `digi-cadence demo`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Folder of the demo's database and files; what is there is used again
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        default_value = "digi-cadence-demo"
    )]
    dir: PathBuf,
    /// Address and port of HTTP [default: 127.0.0.1:8080, or a free port when that is taken]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Seed of the simulated market
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Simulate a market without anything to find: no brand moves another, and every marginal return is 1
    #[arg(long)]
    null_world: bool,
    /// Stop once the inbox is filled and print what was found (also DEMO_ONCE=1)
    #[arg(long)]
    once: bool,
    /// With --once: write what was found to this file too
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Let weeks happen: the market goes on under the plan of record, is imported, and the agents measure
    Advance {
        /// Number of weeks, 1 to 26
        #[arg(long, value_name = "N")]
        weeks: u32,
    },
}

/// Where the demo listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:8080";

/// Runs the command.
pub(super) fn run(common: &Common, arguments: Arguments) -> Outcome {
    let began = Instant::now();
    std::fs::create_dir_all(&arguments.dir).map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format!(
                "cannot make the folder {}: {error}",
                arguments.dir.display()
            ),
        )
    })?;
    let mut overrides: Overrides = vec![("data.dir", "--dir", arguments.dir.display().to_string())];
    if common.database.is_none() {
        overrides.push((
            "storage.database",
            "--dir",
            format!("sqlite:{}", arguments.dir.join("demo.db").display()),
        ));
    }
    if let Some(Action::Advance { weeks }) = arguments.action {
        let config = common.settings(overrides)?;
        return in_runtime(advance(config, common.output, weeks));
    }
    let once = arguments.once || Sources::demo_once();
    overrides.push((
        "http.listen",
        "--listen",
        listen(arguments.listen.as_deref(), once),
    ));
    let config = common.settings(overrides)?;
    let wanted = Wanted {
        market: demo::Wanted {
            seed: arguments.seed,
            is_null: arguments.null_world,
        },
        once,
        report: arguments.report,
        format: common.output,
        began,
    };
    in_runtime(serve(config, wanted))
}

/// A free port when nobody named one and the usual one is taken, or when nobody will visit.
fn listen(named: Option<&str>, once: bool) -> String {
    match named {
        Some(address) => address.to_owned(),
        None if once || std::net::TcpListener::bind(LISTEN).is_err() => "127.0.0.1:0".to_owned(),
        None => LISTEN.to_owned(),
    }
}

struct Wanted {
    market: demo::Wanted,
    once: bool,
    report: Option<PathBuf>,
    format: Format,
    began: Instant,
}

async fn serve(config: Config, wanted: Wanted) -> Outcome {
    let database = Database::open(&config).await?;
    let progress = Progress::new(0, "demo");
    progress.to(1, "the market is simulated and imported: step");
    let made = demo::prepare(&database, &config, wanted.market).await?;
    progress.to(2, "the agents look at it: step");
    let node = Node::start(&config, &database).await?;
    let principal = Principal::system(made.organisation.id);
    if made.is_new || wanted.once {
        for run in node.agents().run_all(&principal).await? {
            if let Some(error) = run.error {
                tracing::error!(agent = run.agent.name(), error, "a cycle failed");
            }
        }
    }
    progress.done();
    let seconds = wanted.began.elapsed().as_secs_f64();
    if wanted.once {
        let report = demo::report(&database, node.agents(), &config, seconds).await?;
        tell(&report, wanted.format)?;
        if let Some(path) = &wanted.report {
            let text = serde_json::to_string_pretty(&report).expect("a report is plain data");
            std::fs::write(path, text + "\n").map_err(|error| {
                Failure::new(
                    Exit::Unavailable,
                    format!("cannot write {}: {error}", path.display()),
                )
            })?;
        }
        return node.stop().await;
    }
    let origin = config
        .http
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{}", node.address));
    let link = demo::link(&database, &made.user, &origin).await?;
    say(&format!(
        "\nThe demo is ready after {seconds:.1} s. Open this link; it signs you in once:\n\n  {link}\n"
    ))?;
    say(
        "Ctrl-C stops it. `digi-cadence user link` makes another link, `digi-cadence demo advance --weeks 4` moves its clock.",
    )?;
    node.until_stopped().await
}

fn tell(report: &Report, format: Format) -> Outcome {
    if format == Format::Json {
        return say(&serde_json::to_string_pretty(report).expect("a report is plain data"));
    }
    let mut inbox = Table::new([
        "agent",
        "kind",
        "title",
        "effect",
        "80 % interval",
        "confidence",
    ]);
    for row in &report.inbox {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| figure(v, 0));
        inbox.row([
            row.agent.clone(),
            row.kind.clone(),
            row.title.clone(),
            row.effect.map_or_else(
                || "–".to_owned(),
                |e| format!("{} {}", figure(e, 0), row.unit),
            ),
            match row.interval80 {
                Some(i) => format!("{} … {}", number(Some(i.low)), number(Some(i.high))),
                None => "–".to_owned(),
            },
            row.confidence
                .map_or_else(|| "–".to_owned(), |c| format!("{:.0} %", 100.0 * c)),
        ]);
    }
    say(inbox.to_string().trim_end())?;
    let mut planted = Table::new([
        "planted fact",
        "where",
        "found",
        "estimate",
        "truth",
        "95 % interval",
        "q",
    ]);
    for fact in &report.planted {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| figure(v, 2));
        planted.row([
            fact.fact.clone(),
            fact.subject.clone(),
            if fact.found { "yes" } else { "no" }.to_owned(),
            number(fact.estimate),
            number(fact.truth),
            fact.interval95.map_or_else(
                || "–".to_owned(),
                |i| format!("{} … {}", figure(i.low, 2), figure(i.high, 2)),
            ),
            fact.q_value
                .map_or_else(|| "–".to_owned(), |q| format!("{q:.3}")),
        ]);
    }
    say(&format!("\n{}", planted.to_string().trim_end()))?;
    say(&format!(
        "\n{} recommendations by {} agents after {:.1} s; {} have an 80 % interval that excludes zero",
        report.recommendations,
        report.agents.len(),
        report.seconds,
        report.excluding_zero
    ))
}

async fn advance(config: Config, format: Format, weeks: u32) -> Outcome {
    let database = Database::open(&config).await?;
    let importer = app::importer(&database.storage, &config)?;
    let market = DemoMarket::beside(&database, &importer, &config.data_dir)
        .await?
        .ok_or_else(|| {
            Failure::new(
                Exit::Refused,
                format!(
                    "there is no demo in {} (digi-cadence demo makes one)",
                    config.data_dir.display()
                ),
            )
        })?;
    let day = market.advance(weeks).await?;
    let mut table = Table::new(["weeks", "the demo's clock stands at"]);
    table.row([weeks.to_string(), day.to_string()]);
    show(format, &table, &json!({ "weeks": weeks, "as_of": day }))
}
