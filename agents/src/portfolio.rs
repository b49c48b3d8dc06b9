//! The portfolio at a glance, and one brand on one time axis.

pub(crate) mod sales;

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use domain::{
    access::{AgentKind, Permission, Principal},
    brand::{Brand, BrandRole},
    forecast::Forecast,
    id::{BrandId, MetricId, RecommendationId},
    metric::{MetricDefinition, MetricRole},
    recommendation::{Kind, Recommendation, State},
    score::{Band, Score},
    series::Point,
    unit::Interval,
};
use serde::Serialize;
use storage::{Filter, Scope, Storage, ValueQuery};

use crate::{AgentStatus, Agents, Error, decisions::domain_date};
use sales::{BrandMoney, MoneyMetrics, money};

/// Weeks of the portfolio's history that are shown.
const WEEKS: u32 = 52;
/// Weeks of a brand's history on its tile.
const TILE_WEEKS: usize = 26;
/// Weeks that the totals are summed over, and compared with as many before.
const TOTAL_WEEKS: usize = 4;
/// Weeks of a forecast on a tile.
const TILE_FORECAST: usize = 13;
/// Weeks whose price values a forecast that counts units.
const PRICE_WEEKS: usize = 8;

/// The portfolio at a glance. Sales are in the organisation's currency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Portfolio {
    /// Name of the organisation.
    pub organisation: String,
    /// The domain date.
    pub as_of: NaiveDate,
    /// ISO 4217 currency of every amount.
    pub currency: String,
    /// Number of weeks in `sales`.
    pub weeks: u32,
    /// The last four weeks.
    pub totals: Totals,
    /// Sales of all own brands together, by week.
    pub sales: Vec<Point>,
    /// The brands, own ones first.
    pub brands: Vec<BrandTile>,
    /// Recommendations that wait for a decision.
    pub open_recommendations: u32,
    /// The agents.
    pub agents: Vec<AgentSummary>,
}

/// Sums over the last four weeks of the own brands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Totals {
    /// Sales.
    pub sales: f64,
    /// Sales of the four weeks before.
    pub sales_previous: f64,
    /// Media spend.
    pub spend: f64,
    /// Margin on sales less media and promotion cost; `None` when a brand's margin is not stated.
    pub profit: Option<f64>,
}

/// One brand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BrandTile {
    /// The brand.
    pub brand: Brand,
    /// Its newest score over the whole portfolio.
    pub score: Option<TileScore>,
    /// Sales by week.
    pub sales: Vec<Point>,
    /// Sales of the last four weeks over those of the four before, less 1.
    pub change: Option<f64>,
    /// Sales to come, by the forecast of record or else the newest one; units are valued at the price of the last weeks.
    pub forecast: Vec<TileForecast>,
    /// Recommendations about it that wait for a decision.
    pub open_recommendations: u32,
    /// First day of the last period with sales.
    pub data_until: Option<NaiveDate>,
}

/// A score with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TileScore {
    /// 0 to 100.
    pub value: f64,
    /// Its band.
    pub band: Band,
    /// Share of weight that had a value.
    pub coverage: f64,
    /// The score of the period before.
    pub previous: Option<f64>,
}

/// One week to come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TileForecast {
    /// First day of the week.
    pub period: NaiveDate,
    /// Expected sales.
    pub mean: f64,
    /// 80 % interval.
    pub interval80: Interval,
}

/// An agent and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AgentSummary {
    /// The agent.
    pub kind: AgentKind,
    /// Where it stands.
    pub status: AgentStatus,
}

/// One brand's metric with what was done about the brand, on one axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timeline {
    /// The brand.
    pub brand: Brand,
    /// The metric.
    pub metric: MetricDefinition,
    /// Its values, summed (or averaged) over projects.
    pub history: Vec<Point>,
    /// The forecast of record, or else the newest one.
    pub forecast: Option<Forecast>,
    /// Recommendations about the brand that were applied, or wait.
    pub actions: Vec<TimelineAction>,
    /// Values that contradict the rest of the data.
    pub outliers: Vec<Point>,
}

/// A recommendation on the time axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimelineAction {
    /// The recommendation.
    pub recommendation_id: RecommendationId,
    /// Its kind.
    pub kind: Kind,
    /// Its title.
    pub title: String,
    /// Domain date it was proposed; for a plan the start of its first week.
    pub date: NaiveDate,
    /// Where it stands.
    pub state: State,
}

/// Reads of the portfolio.
#[derive(Clone, Debug)]
pub struct Portfolios {
    storage: Storage,
    agents: Agents,
}

impl Portfolios {
    pub(crate) fn new(storage: Storage, agents: Agents) -> Self {
        Self { storage, agents }
    }

    /// The portfolio at a glance.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn overview(&self, principal: &Principal) -> Result<Portfolio, Error> {
        let grant = principal.grant(Permission::PortfolioRead)?;
        let scope = self.storage.scope(&grant);
        let organisation = scope.organisations().get().await?;
        let as_of = domain_date(scope.organisations(), self.storage.now().await?).await?;
        let brands = scope.brands().list().await?;
        let definitions = scope.metrics().list().await?;
        let metrics = MoneyMetrics::among(&definitions);
        let sold = self.money(&scope, &metrics).await?;
        let scores = scope.scores().latest(None).await?;
        let forecasts =
            crate::forecasting::query::current(&scope, metrics.outcome.map(|(id, _)| id)).await?;
        let open = scope.recommendations().all(&Filter::open()).await?;
        let mut tiles = Vec::with_capacity(brands.len());
        for brand in brands {
            let score = match scores.iter().find(|s| s.brand == brand.id) {
                Some(score) => tile_score(&scope, score).await?,
                None => None,
            };
            let is_about = |r: &&Recommendation| r.brands.contains(&brand.id);
            let nothing = BrandMoney::default();
            let money = sold.get(&brand.id).unwrap_or(&nothing);
            tiles.push(BrandTile {
                score,
                sales: money.last_sales(TILE_WEEKS),
                change: change(&money.sales),
                forecast: tile_forecast(forecasts.get(&brand.id), money),
                open_recommendations: count(open.iter().filter(is_about).count()),
                data_until: money.sales.keys().next_back().copied(),
                brand,
            });
        }
        tiles.sort_by_key(|tile| (tile.brand.role, tile.brand.name.clone()));
        let own: Vec<&Brand> = tiles
            .iter()
            .map(|t| &t.brand)
            .filter(|b| b.role == BrandRole::Primary)
            .collect();
        let sales = total_sales(&own, &sold);
        let agents = self.agents.list(principal).await?;
        Ok(Portfolio {
            organisation: organisation.name,
            as_of,
            currency: organisation.currency,
            weeks: count(sales.len()),
            totals: totals(&own, &sold, &sales),
            sales,
            open_recommendations: count(open.len()),
            agents: agents
                .iter()
                .map(|view| AgentSummary {
                    kind: view.kind,
                    status: view.status,
                })
                .collect(),
            brands: tiles,
        })
    }

    async fn money(
        &self,
        scope: &Scope,
        metrics: &MoneyMetrics,
    ) -> Result<BTreeMap<BrandId, BrandMoney>, Error> {
        let Some((_, last)) = scope.values().span().await? else {
            return Ok(BTreeMap::new());
        };
        let query = ValueQuery {
            metrics: Some(metrics.all()),
            from: Some(last - Days::new(7 * u64::from(WEEKS) - 1)),
            ..ValueQuery::default()
        };
        Ok(money(&scope.values().table(&query).await?, metrics))
    }

    /// One brand's metric (`None`: the outcome) with its forecast, and what was done about the brand.
    ///
    /// # Errors
    /// `brand.unknown`, `metric.unknown`.
    pub async fn timeline(
        &self,
        principal: &Principal,
        brand: BrandId,
        metric: Option<MetricId>,
    ) -> Result<Timeline, Error> {
        let grant = principal.grant(Permission::PortfolioRead)?;
        let scope = self.storage.scope(&grant);
        let brand = scope.brands().get(brand).await?;
        let metric = match metric {
            Some(id) => scope.metrics().get(id).await?,
            None => {
                let all = scope.metrics().list().await?;
                let outcome = all.into_iter().find(|m| m.role == MetricRole::Outcome);
                outcome.ok_or_else(|| {
                    domain::Error::not_found("metric.unknown", "no metric has the role outcome")
                })?
            }
        };
        let query = ValueQuery {
            brands: Some(vec![brand.id]),
            metrics: Some(vec![metric.id]),
            ..ValueQuery::default()
        };
        let table = scope.values().table(&query).await?;
        let mut by_period: BTreeMap<NaiveDate, (f64, f64)> = BTreeMap::new();
        for row in 0..table.len() {
            let slot = by_period.entry(table.period[row]).or_default();
            *slot = (slot.0 + table.value[row], slot.1 + 1.0);
        }
        let value = |(sum, n): (f64, f64)| {
            if metric.adds_up() { sum } else { sum / n }
        };
        let history: Vec<Point> = by_period
            .iter()
            .map(|(period, sum)| Point {
                period: *period,
                value: value(*sum),
            })
            .collect();
        let forecast = match scope
            .forecasts()
            .of_record(brand.id, metric.id, None)
            .await?
        {
            Some(record) => Some(record),
            None => scope
                .forecasts()
                .of_series(brand.id, metric.id, None, 1)
                .await?
                .into_iter()
                .next(),
        };
        let about = scope
            .recommendations()
            .all(&Filter {
                brand: Some(brand.id),
                ..Filter::default()
            })
            .await?;
        let is_shown = |r: &&Recommendation| {
            !matches!(
                r.state,
                State::Draft | State::Superseded | State::Withdrawn | State::Expired
            )
        };
        let suspects = crate::metrics::query::suspects(&scope).await?;
        let outliers = suspects
            .iter()
            .filter(|s| s.brand == brand.id && s.metric == metric.id)
            .filter_map(|s| history.iter().find(|p| p.period == s.period).copied())
            .collect();
        Ok(Timeline {
            actions: about.iter().filter(is_shown).map(action).collect(),
            brand,
            metric,
            history,
            forecast,
            outliers,
        })
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn action(of: &Recommendation) -> TimelineAction {
    let date = match &of.action {
        domain::recommendation::Action::BudgetPlan { start, .. } => *start,
        domain::recommendation::Action::DataFix { period, .. } => *period,
        _ => of.proposed_on,
    };
    TimelineAction {
        recommendation_id: of.id,
        kind: of.kind,
        title: of.title.clone(),
        date,
        state: of.state,
    }
}

async fn tile_score(scope: &Scope, score: &Score) -> Result<Option<TileScore>, Error> {
    let (Some(value), Some(band)) = (score.value, score.band) else {
        return Ok(None);
    };
    let history = scope.scores().history(score.brand, None, 2).await?;
    let previous = history
        .into_iter()
        .find(|s| s.period < score.period)
        .and_then(|s| s.value);
    Ok(Some(TileScore {
        value,
        band,
        coverage: score.coverage,
        previous,
    }))
}

fn tile_forecast(forecast: Option<&Forecast>, money: &BrandMoney) -> Vec<TileForecast> {
    let (Some(forecast), Some(price)) = (forecast, money.price(PRICE_WEEKS)) else {
        return Vec::new();
    };
    let last = money.sales.keys().next_back().copied();
    let to_come = forecast
        .points
        .iter()
        .filter(|p| last.is_none_or(|last| p.period > last));
    to_come
        .take(TILE_FORECAST)
        .map(|p| TileForecast {
            period: p.period,
            mean: p.mean * price,
            interval80: Interval {
                low: p.interval80.low * price,
                high: p.interval80.high * price,
            },
        })
        .collect()
}

/// Sum over the last [`TOTAL_WEEKS`] weeks before `skip` weeks.
fn recent(values: &BTreeMap<NaiveDate, f64>, skip: usize) -> Option<f64> {
    let window: Vec<f64> = values
        .values()
        .rev()
        .skip(skip)
        .take(TOTAL_WEEKS)
        .copied()
        .collect();
    (window.len() == TOTAL_WEEKS).then(|| window.iter().sum())
}

fn change(sales: &BTreeMap<NaiveDate, f64>) -> Option<f64> {
    let (now, before) = (recent(sales, 0)?, recent(sales, TOTAL_WEEKS)?);
    (before != 0.0).then(|| now / before - 1.0)
}

fn total_sales(own: &[&Brand], sold: &BTreeMap<BrandId, BrandMoney>) -> Vec<Point> {
    let mut by_week: BTreeMap<NaiveDate, f64> = BTreeMap::new();
    for money in own.iter().filter_map(|b| sold.get(&b.id)) {
        for (period, value) in &money.sales {
            *by_week.entry(*period).or_default() += value;
        }
    }
    let from = by_week.len().saturating_sub(WEEKS as usize);
    by_week
        .into_iter()
        .skip(from)
        .map(|(period, value)| Point { period, value })
        .collect()
}

fn totals(own: &[&Brand], sold: &BTreeMap<BrandId, BrandMoney>, sales: &[Point]) -> Totals {
    let window = |skip: usize| sales.iter().rev().skip(skip).take(TOTAL_WEEKS);
    let weeks: Vec<NaiveDate> = window(0).map(|p| p.period).collect();
    let sum = |of: &BTreeMap<NaiveDate, f64>| weeks.iter().filter_map(|w| of.get(w)).sum::<f64>();
    let money = || own.iter().filter_map(|b| Some((*b, sold.get(&b.id)?)));
    let spend: f64 = money().map(|(_, m)| sum(&m.spend)).sum();
    let promotion: f64 = money().map(|(_, m)| sum(&m.promotion)).sum();
    let margin: Option<f64> = money().map(|(b, m)| Some(b.margin? * sum(&m.sales))).sum();
    Totals {
        sales: window(0).map(|p| p.value).sum(),
        sales_previous: window(TOTAL_WEEKS).map(|p| p.value).sum(),
        spend,
        profit: margin.map(|margin| margin - spend - promotion),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests_support::a_view;

    fn weeks(values: &[f64]) -> BTreeMap<NaiveDate, f64> {
        let monday = NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date");
        (0..)
            .zip(values)
            .map(|(week, value)| (monday + Days::new(7 * week), *value))
            .collect()
    }

    #[test]
    fn the_change_compares_four_weeks_with_the_four_before() {
        assert_eq!(
            change(&weeks(&[
                9.0, 10.0, 10.0, 10.0, 10.0, 11.0, 11.0, 11.0, 11.0
            ])),
            Some(11.0 / 10.0 - 1.0)
        );
        assert_eq!(change(&weeks(&[1.0; 7])), None, "too short to compare");
    }

    #[test]
    fn profit_takes_media_and_promotion_off_and_is_not_stated_without_every_margin() {
        let mut view = a_view();
        let money = BrandMoney {
            sales: weeks(&[100.0; 8]),
            units: weeks(&[10.0; 8]),
            spend: weeks(&[10.0; 8]),
            promotion: weeks(&[2.0; 8]),
        };
        let sold = BTreeMap::from([(view.brands[0].id, money)]);
        let own = [&view.brands[0]];
        let sales = total_sales(&own, &sold);
        let sums = totals(&own, &sold, &sales);
        assert_eq!(
            (sums.sales, sums.spend, sums.profit),
            (400.0, 40.0, Some(0.4 * 400.0 - 40.0 - 8.0))
        );
        view.brands[0].margin = None;
        assert_eq!(totals(&[&view.brands[0]], &sold, &sales).profit, None);
    }
}
