//! `analyze scores|forecasts|promotions|synergies|plan`: one analysis on the stored data, printed. Scores, forecasts and promotions are computed here and now and
//! stored nowhere; synergies and the plan are what the agents compute, after a cycle of theirs.

use std::collections::{BTreeMap, BTreeSet};

use analytics::{
    forecast::{self, Model},
    promotion, score, series,
};
use chrono::{Days, NaiveDate};
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

/// The options of every analysis of stored data.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Organisation by name or id [default: the only one]
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Only this project (a category, a market, a shop)
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Key of the outcome metric [default: the first one with that role]
    #[arg(long, value_name = "KEY")]
    metric: Option<String>,
    /// Fewest periods with a value other than zero that a series needs
    #[arg(long, default_value_t = 40, value_name = "N")]
    min_periods: usize,
    /// Periods ahead for forecasts, weeks for the plan
    #[arg(long, default_value_t = 4, value_name = "N")]
    horizon: u32,
    /// Rows to print
    #[arg(long, default_value_t = 120, value_name = "N")]
    limit: usize,
}

/// An analysis of stored data.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Scores,
    Forecasts,
    Promotions,
    Synergies,
    Plan,
}

/// Runs an analysis.
pub(super) async fn run(
    config: Config,
    format: Format,
    what: What,
    arguments: Arguments,
) -> Outcome {
    let database = Database::open(&config).await?;
    let organisation = app::organisation(&database.system(), arguments.organisation.as_deref())
        .await?
        .ok_or_else(|| {
            Error::not_found("organisation.unknown", "there is no such organisation")
                .advise("import a file first")
        })?;
    match what {
        What::Scores => scores(
            &load(&database, &organisation, &arguments).await?,
            format,
            &arguments,
        ),
        What::Forecasts => {
            forecasts(
                load(&database, &organisation, &arguments).await?,
                format,
                &arguments,
            )
            .await
        }
        What::Promotions => promotions(
            &load(&database, &organisation, &arguments).await?,
            format,
            &arguments,
        ),
        What::Synergies if !knows_spend(&database, &organisation).await? => cross_promotions(
            &load(&database, &organisation, &arguments).await?,
            format,
            &arguments,
        ),
        What::Synergies | What::Plan => {
            thought(&config, &database, &organisation, format, what, &arguments).await
        }
    }
}

/// Whether any metric of the organisation is media spend.
async fn knows_spend(database: &Database, organisation: &Organisation) -> Result<bool, Failure> {
    let grant = Principal::system(organisation.id).grant(Permission::MetricRead)?;
    let metrics = database.storage.scope(&grant).metrics().list().await?;
    Ok(metrics.iter().any(|m| m.role == MetricRole::Spend))
}

/// The stored values with the names of everything in them.
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
    arguments: &Arguments,
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
        .find(|m| match &arguments.metric {
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
    if let Some(name) = &arguments.project {
        let id = projects
            .iter()
            .find(|(_, n)| *n == name)
            .map(|(id, _)| *id)
            .ok_or_else(|| {
                Error::not_found("project.unknown", format!("there is no project {name:?}")).advise(
                    format!(
                        "there are {}",
                        projects.values().cloned().collect::<Vec<_>>().join(", ")
                    ),
                )
            })?;
        query.projects = Some(vec![id]);
    }
    let table = scope.values().table(&query).await?;
    if table.is_empty() {
        return Err(Error::not_found("values.none", "there are no values")
            .advise("import a file first")
            .into());
    }
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

/// Length of the window a score looks at.
const SCORED_DAYS: u64 = 91;

fn scores(loaded: &Loaded, format: Format, arguments: &Arguments) -> Outcome {
    let last = loaded
        .table
        .period
        .iter()
        .max()
        .copied()
        .unwrap_or_default();
    let from = last - Days::new(SCORED_DAYS);
    let brands: BTreeSet<BrandId> = (0..loaded.table.len())
        .filter(|row| loaded.table.period[*row] > from)
        .map(|row| loaded.table.brand[row])
        .collect();
    let units = loaded.metrics.values().find(|m| m.counts_units());
    // Per period the projects' slices are put together, then the periods are averaged.
    let values = |metric: &MetricDefinition| -> Vec<f64> {
        let series = loaded.table.over_projects(metric, units.map(|m| m.id));
        let level = |brand| {
            let recent = series.get(brand).into_iter().flatten();
            let recent = recent.filter(|(period, _)| **period > from);
            let (n, sum) = recent.fold((0.0, 0.0), |(n, sum), (_, value)| (n + 1.0, sum + value));
            sum / n
        };
        brands.iter().map(level).collect()
    };
    let columns: Vec<score::MetricColumn> = loaded
        .metrics
        .values()
        .filter(|m| m.weight > 0.0)
        .map(|m| score::MetricColumn {
            direction: m.direction,
            section: m.section,
            weight: m.weight,
            values: values(m),
        })
        .collect();
    let mut scored: Vec<(&str, score::BrandScore)> = brands
        .iter()
        .map(|b| loaded.brand(*b))
        .zip(score::score(&columns, &score::Options::default()))
        .collect();
    scored.sort_by(|a, b| {
        b.1.value
            .unwrap_or(-1.0)
            .total_cmp(&a.1.value.unwrap_or(-1.0))
            .then_with(|| a.0.cmp(b.0))
    });
    let mut table = Table::new(["brand", "score", "band", "coverage"]);
    let mut document = Vec::new();
    for (brand, score) in scored.iter().take(arguments.limit) {
        table.row([
            (*brand).to_owned(),
            score.value.map_or_else(|| "–".to_owned(), |v| figure(v, 1)),
            json!(score.band).as_str().unwrap_or("–").to_owned(),
            format!("{:.0} %", 100.0 * score.coverage),
        ]);
        document.push(json!({ "brand": brand, "score": score.value, "band": score.band, "coverage": score.coverage }));
    }
    show(format, &table, &document)
}

async fn forecasts(loaded: Loaded, format: Format, arguments: &Arguments) -> Outcome {
    let series = loaded.series(arguments.min_periods);
    let season = loaded.outcome.granularity.per_year();
    let options = forecast::Options::new(arguments.horizon.max(1) as usize, season);
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
    ]);
    let mut document = Vec::new();
    let (mut better, mut ratios) = (0, Vec::new());
    for (index, (project, brand, values)) in series.into_iter().enumerate() {
        progress.to(index as u64, &brand);
        let length = values.len();
        let report = tokio::task::spawn_blocking(move || forecast::backtest(&values, &options))
            .await
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "analysis.failed", error.to_string())
            })?;
        let Ok(Some(report)) = report else {
            document.push(json!({ "project": project, "brand": brand, "periods": length, "champion": Value::Null }));
            continue;
        };
        let (Some(champion), naive) = (report.score(report.champion), report.score(Model::Naive))
        else {
            continue;
        };
        if let Some(ratio) = champion.against_naive {
            better += usize::from(ratio < 1.0);
            ratios.push(ratio);
        }
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| figure(v, 3));
        table.row([
            project.clone(),
            brand.clone(),
            length.to_string(),
            report.champion.name().to_owned(),
            number(Some(champion.accuracy.mase)),
            number(naive.map(|n| n.accuracy.mase)),
            number(champion.against_naive),
            format!("{:.0} %", 100.0 * champion.accuracy.coverage80),
        ]);
        document.push(json!({
            "project": project, "brand": brand, "periods": length, "champion": report.champion.name(),
            "mase": champion.accuracy.mase, "naive_mase": naive.map(|n| n.accuracy.mase),
            "against_naive": champion.against_naive, "coverage80": champion.accuracy.coverage80, "folds": report.folds,
        }));
    }
    progress.done();
    show(format, &table, &document)?;
    if format == Format::Table {
        let mean = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
        say(&format!(
            "\n{} series; better than naive in {better} of {}; mean error against naive {}",
            document.len(),
            ratios.len(),
            figure(mean, 3)
        ))?;
    }
    Ok(())
}

/// What the promotion analyses read: the table with names in it, the options, and the projects.
struct Promoted {
    frame: series::Frame,
    options: promotion::Options,
    projects: BTreeSet<String>,
}

impl Promoted {
    fn new(loaded: &Loaded, arguments: &Arguments) -> Result<Self, Failure> {
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
                min_active: arguments.min_periods,
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

fn promotions(loaded: &Loaded, format: Format, arguments: &Arguments) -> Outcome {
    let promoted = Promoted::new(loaded, arguments)?;
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
            if document.len() < arguments.limit {
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
            }
            let mut row = json!(effect);
            row["project"] = json!(project);
            document.push(row);
        }
    }
    show(format, &printed, &document)
}

/// Effects of one brand's promotions on another's sales, those told from chance first.
fn cross_promotions(loaded: &Loaded, format: Format, arguments: &Arguments) -> Outcome {
    let promoted = Promoted::new(loaded, arguments)?;
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
    for (project, effect) in &found {
        if document.len() < arguments.limit {
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
        }
        let mut row = json!(effect);
        row["project"] = json!(project);
        document.push(row);
    }
    show(format, &printed, &document)?;
    if found.is_empty() && format == Format::Table {
        say(&format!(
            "\nno pair to look at: it takes two brands of one project with sales in at least {} periods (--min-periods)",
            arguments.min_periods
        ))?;
    }
    Ok(())
}

/// What the agents know, after a cycle of theirs on the data as it is.
async fn thought(
    config: &Config,
    database: &Database,
    organisation: &Organisation,
    format: Format,
    what: What,
    arguments: &Arguments,
) -> Outcome {
    let engine = Engine::start(config, database).await?;
    let result = match what {
        What::Synergies => synergies(&engine, database, organisation, format, arguments).await,
        _ => plan(&engine, database, organisation, format, arguments).await,
    };
    let stopped = engine.stop(config).await;
    result.and(stopped)
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
    arguments: &Arguments,
) -> Outcome {
    let principal = Principal::system(organisation.id);
    engine.agents.run_all(&principal).await?;
    let names = brand_names(database, &principal).await?;
    let name = |id: &BrandId| names.get(id).cloned().unwrap_or_default();
    let mut found = engine.agents.analysis().synergies(&principal).await?;
    found
        .effects
        .sort_by(|a, b| a.q_value.total_cmp(&b.q_value));
    let mut table = Table::new([
        "driver",
        "affected",
        "effect of +10 % media",
        "95 % interval",
        "q",
        "verdict",
    ]);
    for effect in found.effects.iter().take(arguments.limit) {
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
    if found.effects.is_empty() && format == Format::Table {
        say("\nno pair to look at: it takes own brands with a stated margin and media spend")?;
    }
    Ok(())
}

async fn plan(
    engine: &Engine,
    database: &Database,
    organisation: &Organisation,
    format: Format,
    arguments: &Arguments,
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
    let plan = engine
        .agents
        .plans()
        .optimise(&principal, arguments.horizon, None)
        .await?;
    let mut table = Table::new([
        "brand",
        "channel",
        "now per week",
        "plan per week",
        "marginal return",
    ]);
    let number =
        |value: &dyn std::fmt::Display| figure(value.to_string().parse().unwrap_or(f64::NAN), 0);
    for line in plan.lines.iter().take(arguments.limit) {
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
