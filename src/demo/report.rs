//! What the agents found of what was planted. This is the only reader of the truth in the running program, and it only
//! compares: nothing of it reaches the agents, the database or the API.

use agents::{
    Agents,
    ingest::{brand_id, channel_id, metric_id},
};
use analytics::market::Truth;
use chrono::NaiveDate;
use domain::{
    Error,
    access::{Permission, Principal},
    recommendation::{Recommendation, State},
    unit::Interval,
};
use serde::Serialize;

use super::{
    folder,
    market::{Market, brand_name},
    organisation_id,
};
use crate::{app::Database, config::Config, exit::Failure};

/// Largest q-value of something that counts as found.
const FOUND_Q: f64 = 0.05;

/// What `demo --once` prints and writes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Seconds from the start of the process to the filled inbox.
    pub(crate) seconds: f64,
    /// Open recommendations, distinct by kind and subject.
    pub(crate) recommendations: usize,
    /// Agents that proposed at least one of them.
    pub(crate) agents: Vec<String>,
    /// Recommendations whose 80 % interval excludes zero.
    pub(crate) excluding_zero: usize,
    /// What was planted, and whether it was found.
    pub(crate) planted: Vec<Planted>,
    /// The open recommendations.
    pub(crate) inbox: Vec<Row>,
}

/// One open recommendation.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) agent: String,
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) title: String,
    pub(crate) effect: Option<f64>,
    pub(crate) unit: String,
    pub(crate) interval80: Option<Interval>,
    pub(crate) confidence: Option<f64>,
}

/// One planted fact.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Planted {
    /// Which kind of fact.
    pub(crate) fact: String,
    /// Where it was planted.
    pub(crate) subject: String,
    /// Right subject, right sign, and told from chance over all candidates.
    pub(crate) found: bool,
    /// What the analysis says of the right subject; `None` where it says nothing.
    pub(crate) estimate: Option<f64>,
    /// The simulator's noise-free answer.
    pub(crate) truth: Option<f64>,
    /// Unit of both.
    pub(crate) unit: &'static str,
    /// 95 % interval of the estimate.
    pub(crate) interval95: Option<Interval>,
    /// q-value over all candidates.
    pub(crate) q_value: Option<f64>,
}

/// Compares what is stored with the truth.
///
/// # Errors
/// When the database or the market's files cannot be read.
pub(crate) async fn report(
    database: &Database,
    agents: &Agents,
    config: &Config,
    seconds: f64,
) -> Result<Report, Failure> {
    let org = organisation_id();
    let principal = Principal::system(org);
    let grant = principal.grant(Permission::RecommendationRead)?;
    let scope = database.storage.scope(&grant);
    let open: Vec<Recommendation> = scope
        .recommendations()
        .all(&storage::Filter::open())
        .await?
        .into_iter()
        .filter(|r| r.state == State::Proposed)
        .collect();
    let distinct: std::collections::BTreeSet<_> = open
        .iter()
        .map(|r| (r.kind.name(), r.subject.clone()))
        .collect();
    let mut names: Vec<String> = open.iter().map(|r| r.agent.name().to_owned()).collect();
    names.sort();
    names.dedup();
    let folder = folder(&config.data_dir);
    let truth = tokio::task::spawn_blocking(move || {
        Ok::<_, Error>(Market::reopen(&folder)?.map(|market| market.world().truth()))
    })
    .await
    .map_err(|error| {
        Error::new(
            domain::ErrorKind::Internal,
            "demo.failed",
            format!("no truth: {error}"),
        )
    })??
    .ok_or_else(|| Error::not_found("demo.none", "the market's files are gone"))?;
    let analysis = agents.analysis();
    let found = Found {
        effects: analysis.synergies(&principal).await?.effects,
        curves: analysis
            .responses(&principal)
            .await?
            .map(|fit| fit.curves)
            .unwrap_or_default(),
        rivals: analysis.rivals(&principal).await?,
        indicators: analysis.indicators(&principal).await?,
        shares: scope
            .brands()
            .list()
            .await?
            .into_iter()
            .filter_map(|b| Some((b.id, b.margin?)))
            .collect(),
    };
    Ok(Report {
        seconds,
        recommendations: distinct.len(),
        agents: names,
        excluding_zero: open
            .iter()
            .filter(|r| {
                r.effect
                    .as_ref()
                    .is_some_and(|e| e.interval80.excludes_zero())
            })
            .count(),
        planted: found.compare(&truth),
        inbox: open.into_iter().map(row).collect(),
    })
}

fn row(recommendation: Recommendation) -> Row {
    Row {
        agent: recommendation.agent.name().to_owned(),
        kind: recommendation.kind.name().to_owned(),
        subject: recommendation.subject,
        title: recommendation.title,
        effect: recommendation.effect.as_ref().map(|e| e.value),
        unit: recommendation
            .effect
            .as_ref()
            .map(|e| e.unit.clone())
            .unwrap_or_default(),
        interval80: recommendation.effect.as_ref().map(|e| e.interval80),
        confidence: recommendation.confidence,
    }
}

/// What is stored.
struct Found {
    effects: Vec<domain::synergy::CrossEffect>,
    curves: Vec<domain::response::ResponseCurve>,
    rivals: Vec<domain::competition::RivalChange>,
    indicators: Vec<domain::competition::LeadingIndicator>,
    /// Share of sales that is left, by brand, as stated.
    shares: std::collections::BTreeMap<domain::id::BrandId, f64>,
}

impl Found {
    fn compare(&self, truth: &Truth) -> Vec<Planted> {
        let mut all = Vec::new();
        for (fact, cross) in [
            ("cannibalising pair", &truth.cannibal),
            ("halo pair", &truth.halo),
        ] {
            all.extend(cross.as_ref().map(|cross| self.cross(fact, cross)));
        }
        for (fact, line, saturated) in [
            ("saturated channel", &truth.saturated, true),
            ("starved channel", &truth.starved, false),
        ] {
            all.extend(line.as_ref().map(|line| self.line(fact, line, saturated)));
        }
        all.extend(
            truth
                .campaign
                .as_ref()
                .map(|campaign| self.campaign(campaign)),
        );
        all.extend(
            truth
                .indicator
                .as_ref()
                .map(|indicator| self.indicator(indicator)),
        );
        all
    }

    fn cross(&self, fact: &str, truth: &analytics::market::CrossTruth) -> Planted {
        let org = organisation_id();
        let (driver, affected) = (brand_name(&truth.driver), brand_name(&truth.affected));
        // The analysis speaks of sales, the simulator of margin; the stated margin share lies between them.
        let share = self.shares.get(&brand_id(org, affected)).copied();
        let size = truth.effect / share.unwrap_or(f64::NAN);
        let effect = self
            .effects
            .iter()
            .find(|e| e.driver == brand_id(org, driver) && e.affected == brand_id(org, affected));
        Planted {
            fact: fact.to_owned(),
            subject: format!("{driver} → {affected}"),
            found: effect
                .is_some_and(|e| e.q_value <= FOUND_Q && e.estimate.signum() == size.signum()),
            estimate: effect.map(|e| e.estimate),
            truth: Some(size),
            unit: "sales for +10 % of the driver's media",
            interval95: effect.map(|e| e.interval95),
            q_value: effect.map(|e| e.q_value),
        }
    }

    fn line(&self, fact: &str, truth: &analytics::market::LineTruth, saturated: bool) -> Planted {
        let org = organisation_id();
        let (brand, channel) = (brand_name(&truth.brand), truth.channel.as_str());
        let curve = self
            .curves
            .iter()
            .find(|c| c.brand == brand_id(org, brand) && c.channel == channel_id(org, channel));
        let right = |value: f64| if saturated { value < 0.5 } else { value > 1.5 };
        Planted {
            fact: fact.to_owned(),
            subject: format!("{brand} · {channel}"),
            found: curve.is_some_and(|c| c.q_value <= FOUND_Q && right(c.marginal_return)),
            estimate: curve.map(|c| c.marginal_return),
            truth: Some(truth.marginal_return),
            unit: "margin per extra unit of spend",
            interval95: curve.map(|c| c.marginal_return95),
            q_value: curve.map(|c| c.q_value),
        }
    }

    fn campaign(&self, truth: &analytics::market::CampaignTruth) -> Planted {
        let rival = brand_name(&truth.rival);
        let start = Market::monday(truth.start);
        let weeks_off = |date: NaiveDate| (date - start).num_days().abs() / 7;
        let change = self
            .rivals
            .iter()
            .filter(|c| c.rival == brand_id(organisation_id(), rival))
            .min_by_key(|c| weeks_off(c.start));
        Planted {
            fact: "rival's campaign".to_owned(),
            subject: format!("{rival} from {start}"),
            found: change.is_some_and(|c| {
                c.q_value <= FOUND_Q && c.estimate > 0.0 && weeks_off(c.start) <= 2
            }),
            estimate: change.map(|c| (c.start - Market::monday(0)).num_days() as f64 / 7.0),
            truth: Some(truth.start as f64),
            unit: "week of the start",
            interval95: None,
            q_value: change.map(|c| c.q_value),
        }
    }

    fn indicator(&self, truth: &analytics::market::IndicatorTruth) -> Planted {
        let org = organisation_id();
        let brand = brand_name(&truth.brand);
        let lag = truth.lag as f64;
        let indicator = self
            .indicators
            .iter()
            .filter(|i| {
                i.brand == brand_id(org, brand) && i.indicator == metric_id(org, &truth.metric)
            })
            .min_by(|a, b| a.q_value.total_cmp(&b.q_value));
        Planted {
            fact: "leading indicator".to_owned(),
            subject: format!("{brand} · {}", truth.metric),
            found: indicator.is_some_and(|i| {
                i.q_value <= FOUND_Q
                    && i.estimate.signum() == truth.effect.signum()
                    && (f64::from(i.lag) - lag).abs() <= 1.0
            }),
            estimate: indicator.map(|i| f64::from(i.lag)),
            truth: Some(lag),
            unit: "weeks of lead",
            interval95: None,
            q_value: indicator.map(|i| i.q_value),
        }
    }
}
