//! `analyze scores|forecasts|promotions|synergies|plan`: one analysis on the stored data, printed. Scores (by the agents' own
//! computation), forecasts and promotions are computed here and now and stored nowhere; synergies and the plan are what the agents
//! compute, after a cycle of theirs.

use std::collections::{BTreeMap, BTreeSet};

use agents::plans::PlanQuestion;
use analytics::{
    forecast::{self, Model},
    promotion, series,
};
use chrono::NaiveDate;
use clap::Args;
use domain::{
    Error, ErrorKind,
    access::{Permission, Principal},
    brand::Brand,
    id::{BrandId, MetricId, ProjectId},
    metric::{Granularity, MetricDefinition, MetricRole},
    organisation::Organisation,
};
use serde_json::{Value, json};
use storage::ValueQuery;

use super::super::{Failure, Format, Outcome, Progress, Table, figure, say, show};
use crate::{
    app::{self, Database, Engine},
    config::Config,
};

/// Rows of a table where nobody says how many.
const ROWS: usize = 120;

/// The options of every analysis of stored data.
#[derive(Debug, Args)]
struct Asked {
    /// Organisation by name or id [default: the only one]
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Most rows to print, as a table or as JSON [default: 120 of a table, all of them as JSON]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Asked {
    fn rows(&self, format: Format) -> usize {
        self.limit.unwrap_or(match format {
            Format::Table => ROWS,
            Format::Json => usize::MAX,
        })
    }
}

/// The values that are looked at.
#[derive(Debug, Args)]
struct Slice {
    /// Only this project (a category, a market, a shop)
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Key of the outcome metric [default: the first one with that role]
    #[arg(long, value_name = "KEY")]
    metric: Option<String>,
    /// Fewest periods with a value other than zero that a series needs [default: 40]
    #[arg(long, value_name = "N")]
    min_periods: Option<usize>,
}

impl Slice {
    fn min_periods(&self) -> usize {
        self.min_periods.unwrap_or(40)
    }
}

/// `digi-cadence analyze scores`
#[derive(Debug, Args)]
pub(super) struct Scores {
    #[command(flatten)]
    asked: Asked,
    /// Only this project (a category, a market, a shop) [default: the whole portfolio]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
}

/// `digi-cadence analyze forecasts`
#[derive(Debug, Args)]
pub(super) struct Forecasts {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    slice: Slice,
    /// Periods ahead
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    horizon: u32,
}

/// `digi-cadence analyze promotions`
#[derive(Debug, Args)]
pub(super) struct Promotions {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    slice: Slice,
}

/// `digi-cadence analyze synergies`
#[derive(Debug, Args)]
#[command(after_help = "\
--project, --metric and --min-periods are for promotions, where no media spend is known: the effects of media are those that the
agents find over the whole portfolio.")]
pub(super) struct Synergies {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    slice: Slice,
}

/// `digi-cadence analyze plan`
#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    asked: Asked,
    /// Weeks that the plan is for
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    horizon: u32,
}

/// An analysis of stored data with its options.
#[derive(Debug)]
pub(super) enum What {
    Scores(Scores),
    Forecasts(Forecasts),
    Promotions(Promotions),
    Synergies(Synergies),
    Plan(Plan),
}

/// Runs an analysis.
pub(super) async fn run(config: Config, format: Format, what: What) -> Outcome {
    let database = Database::open(&config).await?;
    let asked = match &what {
        What::Scores(arguments) => &arguments.asked,
        What::Forecasts(arguments) => &arguments.asked,
        What::Promotions(arguments) => &arguments.asked,
        What::Synergies(arguments) => &arguments.asked,
        What::Plan(arguments) => &arguments.asked,
    };
    let rows = asked.rows(format);
    let organisation = app::organisation(&database.system(), asked.organisation.as_deref())
        .await?
        .ok_or_else(|| {
            Error::not_found("organisation.unknown", "there is no such organisation")
                .advise("import a file first")
        })?;
    match what {
        What::Scores(arguments) => {
            let project = arguments.project.as_deref();
            scores(&database, &organisation, project, format, rows).await
        }
        What::Forecasts(arguments) => {
            let slice = &arguments.slice;
            let loaded = load(&database, &organisation, slice).await?;
            let series = loaded.series(slice.min_periods());
            forecasts(&loaded, series, arguments.horizon, format, rows).await
        }
        What::Promotions(Promotions { slice, .. }) => {
            let loaded = load(&database, &organisation, &slice).await?;
            promotions(&loaded, &slice, format, rows)
        }
        What::Synergies(Synergies { slice, .. }) => {
            if !knows_spend(&database, &organisation).await? {
                let loaded = load(&database, &organisation, &slice).await?;
                return cross_promotions(&loaded, &slice, format, rows);
            }
            unused(&slice)?;
            let engine = Engine::start(&config, &database).await?;
            let result = synergies(&engine, &database, &organisation, format, rows).await;
            result.and(engine.stop(&config).await)
        }
        What::Plan(Plan { horizon, .. }) => {
            let engine = Engine::start(&config, &database).await?;
            let result = plan(&engine, &database, &organisation, horizon, format, rows).await;
            result.and(engine.stop(&config).await)
        }
    }
}

/// Refuses options that would change nothing: with media spend the agents look at the whole portfolio.
fn unused(slice: &Slice) -> Result<(), Error> {
    let given = [
        ("--project", slice.project.is_some()),
        ("--metric", slice.metric.is_some()),
        ("--min-periods", slice.min_periods.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Error::invalid(
            "analysis.option_unused",
            format!("{option} has no meaning here: media spend is known, and its effects are found over the whole portfolio"),
        )
        .advise(format!("leave {option} out"))),
        None => Ok(()),
    }
}

/// Whether any metric of the organisation is media spend.
async fn knows_spend(database: &Database, organisation: &Organisation) -> Result<bool, Failure> {
    let grant = Principal::system(organisation.id).grant(Permission::MetricRead)?;
    let metrics = database.storage.scope(&grant).metrics().list().await?;
    Ok(metrics.iter().any(|m| m.role == MetricRole::Spend))
}

/// The stored values, cleaned by the rules of their metrics, with the names of everything in them.
struct Loaded {
    brands: BTreeMap<BrandId, Brand>,
    metrics: BTreeMap<MetricId, MetricDefinition>,
    projects: BTreeMap<ProjectId, String>,
    table: domain::series::MetricTable,
    /// The metric to look at.
    outcome: MetricDefinition,
}

async fn load(
    database: &Database,
    organisation: &Organisation,
    slice: &Slice,
) -> Result<Loaded, Failure> {
    let scope = database
        .storage
        .scope(&Principal::system(organisation.id).grant(Permission::MetricRead)?);
    let metrics: BTreeMap<MetricId, MetricDefinition> = scope
        .metrics()
        .list()
        .await?
        .into_iter()
        .map(|m| (m.id, m))
        .collect();
    let projects: BTreeMap<ProjectId, String> = scope
        .projects()
        .list()
        .await?
        .into_iter()
        .map(|p| (p.id, p.name))
        .collect();
    let outcome = metrics
        .values()
        .find(|m| match &slice.metric {
            Some(key) => m.key == *key,
            None => m.role == MetricRole::Outcome,
        })
        .cloned()
        .ok_or_else(|| {
            let keys: Vec<&str> = metrics.values().map(|m| m.key.as_str()).collect();
            Error::not_found("metric.unknown", "there is no such metric")
                .advise(format!("there are {}", keys.join(", ")))
        })?;
    let mut query = ValueQuery::default();
    if let Some(name) = &slice.project {
        query.projects = Some(vec![named(&projects, name)?]);
    }
    let stored = scope.values().table(&query).await?;
    if stored.is_empty() {
        return Err(no_values().into());
    }
    let definitions: Vec<MetricDefinition> = metrics.values().cloned().collect();
    let table =
        tokio::task::spawn_blocking(move || agents::analysis::cleaned(stored, &definitions))
            .await
            .map_err(failed)?;
    let brands = scope
        .brands()
        .list()
        .await?
        .into_iter()
        .map(|b| (b.id, b))
        .collect();
    Ok(Loaded {
        brands,
        metrics,
        projects,
        table,
        outcome,
    })
}

/// A project by its name.
fn named(projects: &BTreeMap<ProjectId, String>, name: &str) -> Result<ProjectId, Error> {
    let found = projects.iter().find(|(_, known)| *known == name);
    found.map(|(id, _)| *id).ok_or_else(|| {
        let known: Vec<&str> = projects.values().map(String::as_str).collect();
        Error::not_found("project.unknown", format!("there is no project {name:?}"))
            .advise(format!("there are {}", known.join(", ")))
    })
}

fn no_values() -> Error {
    Error::not_found("values.none", "there are no values").advise("import a file first")
}

impl Loaded {
    fn brand(&self, id: BrandId) -> &str {
        self.brands.get(&id).map_or("", |b| b.name.as_str())
    }

    /// Series of the outcome, long enough, in the order of project and brand names; periods without a value are NaN.
    fn series(&self, min_periods: usize) -> Vec<(String, String, Vec<f64>)> {
        let mut known: BTreeMap<(ProjectId, BrandId), BTreeMap<NaiveDate, f64>> = BTreeMap::new();
        for row in 0..self.table.len() {
            if self.table.metric[row] == self.outcome.id {
                known
                    .entry((self.table.project[row], self.table.brand[row]))
                    .or_default()
                    .insert(self.table.period[row], self.table.value[row]);
            }
        }
        let mut series: Vec<(String, String, Vec<f64>)> = known
            .into_iter()
            .filter(|(_, values)| values.values().filter(|v| **v != 0.0).count() >= min_periods)
            .map(|((project, brand), values)| {
                let project = self.projects.get(&project).cloned().unwrap_or_default();
                (
                    project,
                    self.brand(brand).to_owned(),
                    dense(&values, self.outcome.granularity),
                )
            })
            .collect();
        series.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        series
    }
}

/// One value per period from the first to the last, NaN where there is none.
fn dense(values: &BTreeMap<NaiveDate, f64>, granularity: Granularity) -> Vec<f64> {
    let (Some(first), Some(last)) = (values.keys().next(), values.keys().next_back()) else {
        return Vec::new();
    };
    (0..)
        .map(|step| granularity.add(*first, step))
        .take_while(|period| period <= last)
        .map(|period| values.get(&period).copied().unwrap_or(f64::NAN))
        .collect()
}

async fn scores(
    database: &Database,
    organisation: &Organisation,
    project: Option<&str>,
    format: Format,
    rows: usize,
) -> Outcome {
    let principal = Principal::system(organisation.id);
    let names = brand_names(database, &principal).await?;
    let project = match project {
        None => None,
        Some(name) => {
            let grant = principal.grant(Permission::PortfolioRead)?;
            let projects = database.storage.scope(&grant).projects().list().await?;
            let projects = projects.into_iter().map(|p| (p.id, p.name)).collect();
            Some(named(&projects, name)?)
        }
    };
    let scored = agents::analysis::scores_now(&database.storage, &principal, project).await?;
    if scored.is_empty() {
        return Err(no_values().into());
    }
    let mut table = Table::new(["brand", "score", "band", "coverage"]);
    let mut document = Vec::new();
    for score in scored.iter().take(rows) {
        let brand = names.get(&score.brand).map_or("", String::as_str);
        table.row([
            brand.to_owned(),
            score.value.map_or_else(|| "–".to_owned(), |v| figure(v, 1)),
            json!(score.band).as_str().unwrap_or("–").to_owned(),
            format!("{:.0} %", 100.0 * score.coverage),
        ]);
        document.push(json!({
            "brand": brand, "period": score.period, "score": score.value, "band": score.band, "coverage": score.coverage,
        }));
    }
    show(format, &table, &document)
}

/// Why a series has no backtest, though its values can be used.
fn no_backtest(values: &[f64]) -> String {
    let mut known = values.iter().filter(|v| v.is_finite());
    let first = known.next();
    if known.all(|value| Some(value) == first) {
        "its values never change".to_owned()
    } else {
        format!("{} periods are too short for a backtest", values.len())
    }
}

async fn forecasts(
    loaded: &Loaded,
    series: Vec<(String, String, Vec<f64>)>,
    horizon: u32,
    format: Format,
    rows: usize,
) -> Outcome {
    let season = loaded.outcome.granularity.season();
    let options = forecast::Options::new(horizon as usize, season);
    let progress = Progress::new(series.len() as u64, "forecasting");
    let mut table = Table::new([
        "project",
        "brand",
        "periods",
        "champion",
        "MASE",
        "naive MASE",
        "against naive",
        "in 80 %",
        "why not",
    ]);
    let mut document = Vec::new();
    let (count, mut better, mut ratios) = (series.len(), 0, Vec::new());
    for (index, (project, brand, values)) in series.into_iter().enumerate() {
        progress.to(index as u64, &brand);
        let length = values.len();
        let backtest = move || match forecast::backtest(&values, &options) {
            Ok(Some(report)) => Ok(report),
            Ok(None) => Err(no_backtest(&values)),
            Err(error) => Err(error.to_string()),
        };
        let report = tokio::task::spawn_blocking(backtest)
            .await
            .map_err(failed)?;
        let measured = report.and_then(|report| match report.score(report.champion).copied() {
            Some(champion) => Ok((report, champion)),
            None => Err("no model could be measured".to_owned()),
        });
        let nothing = || "–".to_owned();
        let (row, told) = match measured {
            Err(reason) => (
                [
                    nothing(),
                    nothing(),
                    nothing(),
                    nothing(),
                    nothing(),
                    reason.clone(),
                ],
                json!({ "project": project, "brand": brand, "periods": length, "champion": Value::Null, "reason": reason }),
            ),
            Ok((report, champion)) => {
                let naive = report.score(Model::Naive).and_then(|n| n.accuracy.mase);
                if let Some(ratio) = champion.against_naive {
                    better += usize::from(ratio < 1.0);
                    ratios.push(ratio);
                }
                let number = |value: Option<f64>| value.map_or_else(nothing, |v| figure(v, 3));
                let row = [
                    report.champion.name().to_owned(),
                    number(champion.accuracy.mase),
                    number(naive),
                    number(champion.against_naive),
                    format!("{:.0} %", 100.0 * champion.accuracy.coverage80),
                    String::new(),
                ];
                let told = json!({
                    "project": project, "brand": brand, "periods": length, "champion": report.champion.name(),
                    "mase": champion.accuracy.mase, "naive_mase": naive, "against_naive": champion.against_naive,
                    "coverage80": champion.accuracy.coverage80, "folds": report.folds,
                });
                (row, told)
            }
        };
        if document.len() < rows {
            let [champion, mase, naive, ratio, covered, reason] = row;
            let periods = length.to_string();
            table.row([
                project, brand, periods, champion, mase, naive, ratio, covered, reason,
            ]);
            document.push(told);
        }
    }
    progress.done();
    show(format, &table, &document)?;
    if format == Format::Table {
        say(&format!("\n{}", summary(count, better, &ratios)))?;
    }
    Ok(())
}

/// What a backtest of so many series comes to: errors as shares of those of the naive forecast, where those are known.
fn summary(series: usize, better: usize, ratios: &[f64]) -> String {
    if ratios.is_empty() {
        return format!("{series} series; none could be measured against naive");
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    format!(
        "{series} series; better than naive in {better} of {}; mean error against naive {}",
        ratios.len(),
        figure(mean, 3)
    )
}

/// What the promotion analyses read: the table with names in it, the options, and the projects.
struct Promoted {
    frame: series::Frame,
    options: promotion::Options,
    projects: BTreeSet<String>,
}

impl Promoted {
    fn new(loaded: &Loaded, slice: &Slice) -> Result<Self, Failure> {
        let drivers: Vec<&str> = loaded
            .metrics
            .values()
            .filter(|m| m.role == MetricRole::Promotion)
            .map(|m| m.key.as_str())
            .collect();
        if drivers.is_empty() {
            return Err(Error::not_found(
                "metric.unknown",
                "there is no metric with the role promotion",
            )
            .advise(
                "import displays, mailers or price cuts with `role = \"promotion\"` in the mapping",
            )
            .into());
        }
        let table = &loaded.table;
        let projects: Vec<String> = table
            .project
            .iter()
            .map(|id| loaded.projects.get(id).cloned().unwrap_or_default())
            .collect();
        let key = |id: &MetricId| loaded.metrics.get(id).map(|m| m.key.clone());
        Ok(Self {
            options: promotion::Options {
                min_active: slice.min_periods(),
                granularity: loaded.outcome.granularity,
                ..promotion::Options::weekly(&loaded.outcome.key, &drivers)
            },
            frame: series::frame(
                projects.clone(),
                table
                    .brand
                    .iter()
                    .map(|id| loaded.brand(*id).to_owned())
                    .collect(),
                table
                    .metric
                    .iter()
                    .map(|id| key(id).unwrap_or_default())
                    .collect(),
                &table.period,
                table.value.clone(),
            )
            .map_err(failed)?,
            projects: projects.into_iter().collect(),
        })
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "analysis.failed", error.to_string())
}

/// A share as a signed percentage.
fn percent(share: f64) -> String {
    format!("{:+.2} %", 100.0 * share)
}

/// A verdict in its stored spelling.
fn verdict(verdict: promotion::Verdict) -> String {
    json!(verdict)
        .as_str()
        .unwrap_or_default()
        .replace('_', " ")
}

fn promotions(loaded: &Loaded, slice: &Slice, format: Format, rows: usize) -> Outcome {
    let promoted = Promoted::new(loaded, slice)?;
    let mut printed = Table::new([
        "project",
        "brand",
        "promotion",
        "effect per unit",
        "95 % interval",
        "t",
        "q",
        "verdict",
    ]);
    let mut document = Vec::new();
    for project in &promoted.projects {
        let effects = promotion::promotion_effects(&promoted.frame, project, &promoted.options)
            .map_err(failed)?;
        for effect in effects {
            if document.len() == rows {
                break;
            }
            printed.row([
                project.clone(),
                effect.brand.clone(),
                effect.driver.clone(),
                percent(effect.effect),
                format!("{} … {}", percent(effect.low95), percent(effect.high95)),
                figure(effect.t, 2),
                format!("{:.3}", effect.q),
                verdict(effect.verdict),
            ]);
            let mut row = json!(effect);
            row["project"] = json!(project);
            document.push(row);
        }
    }
    show(format, &printed, &document)
}

/// Effects of one brand's promotions on another's sales, those told from chance first.
fn cross_promotions(loaded: &Loaded, slice: &Slice, format: Format, rows: usize) -> Outcome {
    let promoted = Promoted::new(loaded, slice)?;
    let mut found = Vec::new();
    for project in &promoted.projects {
        let effects =
            promotion::cross_promotion_effects(&promoted.frame, project, &promoted.options)
                .map_err(failed)?;
        found.extend(effects.into_iter().map(|effect| (project, effect)));
    }
    found.sort_by(|(_, a), (_, b)| a.q.total_cmp(&b.q).then(a.p.total_cmp(&b.p)));
    let mut printed = Table::new([
        "project",
        "driver",
        "promotion",
        "affected",
        "effect per unit",
        "95 % interval",
        "t",
        "q",
        "verdict",
    ]);
    let mut document = Vec::new();
    for (project, effect) in found.iter().take(rows) {
        printed.row([
            (*project).clone(),
            effect.driver_brand.clone(),
            effect.driver.clone(),
            effect.affected.clone(),
            percent(effect.effect),
            format!("{} … {}", percent(effect.low95), percent(effect.high95)),
            figure(effect.t, 2),
            format!("{:.3}", effect.q),
            verdict(effect.verdict),
        ]);
        let mut row = json!(effect);
        row["project"] = json!(project);
        document.push(row);
    }
    show(format, &printed, &document)?;
    if found.is_empty() && format == Format::Table {
        say(&format!(
            "\nno pair to look at: it takes two brands of one project with sales in at least {} periods (--min-periods)",
            slice.min_periods()
        ))?;
    }
    Ok(())
}

async fn brand_names(
    database: &Database,
    principal: &Principal,
) -> Result<BTreeMap<BrandId, String>, Failure> {
    let scope = database
        .storage
        .scope(&principal.grant(Permission::PortfolioRead)?);
    Ok(scope
        .brands()
        .list()
        .await?
        .into_iter()
        .map(|b| (b.id, b.name))
        .collect())
}

async fn synergies(
    engine: &Engine,
    database: &Database,
    organisation: &Organisation,
    format: Format,
    rows: usize,
) -> Outcome {
    let principal = Principal::system(organisation.id);
    engine.agents.run_all(&principal).await?;
    let names = brand_names(database, &principal).await?;
    let name = |id: &BrandId| names.get(id).cloned().unwrap_or_default();
    let mut found = engine.agents.analysis().synergies(&principal).await?;
    found
        .effects
        .sort_by(|a, b| a.q_value.total_cmp(&b.q_value));
    let nothing = found.effects.is_empty();
    found.effects.truncate(rows);
    let mut table = Table::new([
        "driver",
        "affected",
        "effect of +10 % media",
        "95 % interval",
        "q",
        "verdict",
    ]);
    for effect in &found.effects {
        table.row([
            name(&effect.driver),
            name(&effect.affected),
            figure(effect.estimate, 0),
            format!(
                "{} … {}",
                figure(effect.interval95.low, 0),
                figure(effect.interval95.high, 0)
            ),
            format!("{:.3}", effect.q_value),
            json!(effect.verdict)
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        ]);
    }
    show(format, &table, &found)?;
    if nothing && format == Format::Table {
        say("\nno pair to look at: it takes own brands with a stated margin and media spend")?;
    }
    Ok(())
}

async fn plan(
    engine: &Engine,
    database: &Database,
    organisation: &Organisation,
    horizon: u32,
    format: Format,
    rows: usize,
) -> Outcome {
    let principal = Principal::system(organisation.id);
    engine.agents.run_all(&principal).await?;
    let names = brand_names(database, &principal).await?;
    let scope = database
        .storage
        .scope(&principal.grant(Permission::PlanRead)?);
    let channels: BTreeMap<_, _> = scope
        .channels()
        .list()
        .await?
        .into_iter()
        .map(|c| (c.id, c.name))
        .collect();
    let question = PlanQuestion {
        weeks: horizon,
        ..PlanQuestion::default()
    };
    let mut plan = engine.agents.plans().optimise(&principal, question).await?;
    plan.lines.truncate(rows);
    let mut table = Table::new([
        "brand",
        "channel",
        "now per week",
        "plan per week",
        "marginal return",
    ]);
    let number =
        |value: &dyn std::fmt::Display| figure(value.to_string().parse().unwrap_or(f64::NAN), 0);
    for line in &plan.lines {
        table.row([
            names.get(&line.brand).cloned().unwrap_or_default(),
            channels.get(&line.channel).cloned().unwrap_or_default(),
            number(&line.current),
            number(&line.weekly),
            line.marginal_return
                .map_or_else(|| "–".to_owned(), |v| figure(v, 2)),
        ]);
    }
    show(format, &table, &plan)?;
    if let (Format::Table, Some(effect)) = (format, &plan.effect) {
        say(&format!(
            "\nprofit against carrying on: {} {} over {} weeks, 80 % interval {} … {}",
            figure(effect.value, 0),
            effect.unit,
            effect.horizon_weeks,
            figure(effect.interval80.low, 0),
            figure(effect.interval80.high, 0)
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtest_without_a_ratio_claims_no_mean() {
        assert_eq!(
            summary(3, 0, &[]),
            "3 series; none could be measured against naive"
        );
        assert_eq!(
            summary(3, 1, &[0.5, 1.5]),
            "3 series; better than naive in 1 of 2; mean error against naive 1.000"
        );
    }

    #[test]
    fn a_series_without_a_backtest_says_why() {
        assert_eq!(
            no_backtest(&[5.0, f64::NAN, 5.0]),
            "its values never change"
        );
        assert_eq!(
            no_backtest(&[5.0, 6.0]),
            "2 periods are too short for a backtest"
        );
    }

    #[test]
    fn options_that_would_change_nothing_are_refused_by_name() {
        let mut slice = Slice {
            project: None,
            metric: None,
            min_periods: None,
        };
        assert!(unused(&slice).is_ok());
        slice.min_periods = Some(40);
        let refused = unused(&slice).expect_err("it would change nothing");
        assert!(refused.to_string().contains("--min-periods"), "{refused}");
    }
}
