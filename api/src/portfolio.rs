//! The overview: the whole portfolio on one page.

use chrono::NaiveDate;
use poem_openapi::{OpenApi, payload::Json};

use crate::{
    App, Tag,
    actor::AgentKind,
    agents::AgentStatus,
    auth::Caller,
    brands::Brand,
    mirror::{Mirror, mirror},
    problem::Answer,
    quantities::{Interval, Point},
    scores::Band,
};

mirror! {
    /// Sums over the last 4 weeks.
    Totals of ::agents::portfolio::Totals {
        /// Sales of the own brands.
        sales: f64,
        /// Their sales in the 4 weeks before.
        sales_previous: f64,
        /// Media spend.
        spend: f64,
        /// Margin × sales − spend; absent when a margin is not known.
        profit: Option<f64>,
    }
}

mirror! {
    /// The score on a brand's tile.
    TileScore of ::agents::portfolio::TileScore {
        /// 0 to 100.
        value: f64,
        /// Its band.
        band: Band,
        /// Share of weight that had a value, 0 to 1.
        coverage: f64,
        /// The score of the period before.
        previous: Option<f64>,
    }
}

mirror! {
    /// One future week on a brand's tile.
    TileForecast of ::agents::portfolio::TileForecast {
        /// First day of the week.
        period: NaiveDate,
        /// Point forecast.
        mean: f64,
        /// 80 % interval.
        interval80: Interval,
    }
}

mirror! {
    /// One brand on the overview.
    BrandTile of ::agents::portfolio::BrandTile {
        /// The brand.
        brand: Brand,
        /// Its score; absent when nothing is scorable.
        score: Option<TileScore>,
        /// Sales of the last 26 weeks.
        sales: Vec<Point>,
        /// Share by which the last 4 weeks differ from the 4 before; absent without both.
        change: Option<f64>,
        /// The forecast of record, 13 weeks.
        forecast: Vec<TileForecast>,
        /// Recommendations that wait for a decision and touch it.
        open_recommendations: u32,
        /// Last week with sales.
        data_until: Option<NaiveDate>,
    }
}

mirror! {
    /// An agent in one word.
    AgentSummary of ::agents::portfolio::AgentSummary {
        /// The agent.
        kind: AgentKind,
        /// What it does now.
        status: AgentStatus,
    }
}

mirror! {
    /// The overview.
    Portfolio of ::agents::portfolio::Portfolio {
        /// Name of the organisation.
        organisation: String,
        /// Today, by the organisation's clock.
        as_of: NaiveDate,
        /// ISO 4217 currency of every sum.
        currency: String,
        /// Weeks of data there are.
        weeks: u32,
        /// Sums over the last 4 weeks.
        totals: Totals,
        /// Sales of the own brands together, last 52 weeks.
        sales: Vec<Point>,
        /// The own brands.
        brands: Vec<BrandTile>,
        /// Recommendations that wait for a decision.
        open_recommendations: u32,
        /// The four agents.
        agents: Vec<AgentSummary>,
    }
}

/// The overview.
pub(crate) struct PortfolioApi(pub(crate) App);

#[OpenApi(tag = "Tag::Portfolio")]
impl PortfolioApi {
    /// Get the overview.
    ///
    /// Totals, the own brands with score, sales and forecast, and what waits for a decision.
    #[oai(path = "/portfolio", method = "get", operation_id = "portfolio_get")]
    async fn get(&self, caller: Caller) -> Answer<Json<Portfolio>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .agents
                .portfolio()
                .overview(&caller.principal)
                .await?,
        )))
    }
}
