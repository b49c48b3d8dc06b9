//! Forecasts with their intervals and the backtest behind them.

use chrono::NaiveDate;
use domain::id::{BrandId, ForecastId, MetricId, ProjectId};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};

use crate::{
    App, Tag,
    auth::Caller,
    metrics::Granularity,
    mirror::{Id, Mirror, mirror, mirror_enum},
    problem::Answer,
    quantities::{Interval, Provenance},
};

mirror! {
    /// One future period.
    ForecastPoint of domain::forecast::ForecastPoint {
        /// First day of the period.
        period: NaiveDate,
        /// Point forecast.
        mean: f64,
        /// 80 % interval.
        interval80: Interval,
        /// 95 % interval.
        interval95: Interval,
    }
}

mirror! {
    /// How one model did in the rolling-origin backtest.
    ModelScore of domain::forecast::ModelScore {
        /// The model's name.
        model: String,
        /// Mean absolute error over that of the in-sample (seasonal) naive; below 1 beats it.
        mase: f64,
        /// Symmetric mean absolute percentage error, 0 to 200.
        smape: f64,
        /// Share of actuals inside the 80 % interval, 0 to 1.
        coverage80: f64,
        /// Share of actuals inside the 95 % interval, 0 to 1.
        coverage95: f64,
        /// Number of forecast errors it was measured on.
        errors: u32,
    }
}

mirror! {
    /// A forecast of one series.
    Forecast of domain::forecast::Forecast {
        /// The id.
        id: Id<ForecastId>,
        /// Brand.
        brand: Id<BrandId>,
        /// Project; absent for the sum of all.
        project: Option<Id<ProjectId>>,
        /// Metric.
        metric: Id<MetricId>,
        /// Last period that was known.
        origin: NaiveDate,
        /// Period length.
        granularity: Granularity,
        /// The model that made it.
        model: String,
        /// The future, in order.
        points: Vec<ForecastPoint>,
        /// All candidates' backtests, best first.
        backtest: Vec<ModelScore>,
        /// Whether alerts and targets follow this one.
        of_record: bool,
        /// Where it comes from.
        provenance: Provenance,
    }
}

mirror! {
    /// The forecast of a sum, or of a brand in a project.
    ForecastTotal of ::agents::analysis::ForecastTotal {
        /// Brand; absent for all of them.
        brand: Option<Id<BrandId>>,
        /// Project; absent for all of them.
        project: Option<Id<ProjectId>>,
        /// Brands in projects that it is the sum of.
        parts: u32,
        /// The future, in order.
        points: Vec<ForecastPoint>,
    }
}

mirror_enum! {
    /// Why a brand is in none of the totals.
    LeftOutReason of ::agents::analysis::LeftOutReason {
        /// Its newest values are missing in a project.
        Late,
        /// There are too few values for a forecast with an error.
        Short,
    }
}

mirror! {
    /// A brand that is in none of the totals.
    LeftOut of ::agents::analysis::LeftOut {
        /// The brand.
        brand: Id<BrandId>,
        /// The project in which its values do not suffice.
        project: Id<ProjectId>,
        /// Last period with a value there.
        until: NaiveDate,
        /// Why.
        reason: LeftOutReason,
    }
}

mirror! {
    /// Forecasts of a metric that add up: brand in project → brand → project → portfolio.
    ForecastTotals of ::agents::analysis::ForecastTotals {
        /// The metric.
        metric: Id<MetricId>,
        /// Last period that was known of everything in it.
        origin: NaiveDate,
        /// Period length.
        granularity: Granularity,
        /// The portfolio first, then projects, brands, and brands in projects. Parts make their totals to the last digit.
        totals: Vec<ForecastTotal>,
        /// Brands that are in none of the totals.
        left_out: Vec<LeftOut>,
        /// Where it comes from.
        provenance: Provenance,
    }
}

/// Forecasts.
pub(crate) struct ForecastApi(pub(crate) App);

#[OpenApi(tag = "Tag::Analytics")]
impl ForecastApi {
    /// List forecasts.
    ///
    /// The latest of each series, and those of record.
    #[oai(path = "/forecasts", method = "get", operation_id = "forecast_list")]
    async fn list(
        &self,
        caller: Caller,
        /// Only this brand.
        brand_id: Query<Option<Id<BrandId>>>,
        /// Only this metric.
        metric_id: Query<Option<Id<MetricId>>>,
        /// Only those that alerts and targets follow.
        of_record: Query<Option<bool>>,
    ) -> Answer<Json<Vec<Forecast>>> {
        let scope = self.0.state.storage.scope(caller.grant());
        let mut forecasts = match of_record.0 {
            Some(true) => scope.forecasts().all_of_record().await?,
            _ => scope.forecasts().latest().await?,
        };
        forecasts.retain(|forecast| {
            brand_id
                .0
                .as_ref()
                .is_none_or(|brand| forecast.brand == brand.0)
                && metric_id
                    .0
                    .as_ref()
                    .is_none_or(|metric| forecast.metric == metric.0)
                && (of_record.0 != Some(false) || !forecast.of_record)
        });
        Ok(Json(Mirror::of(forecasts)))
    }

    /// List the forecasts of parts and totals.
    ///
    /// Brand in project, brand, project and portfolio: whatever is added up makes the published total. One entry for each metric;
    /// none before the first cycle of the forecasting agent, and none for a metric that does not add up.
    #[oai(
        path = "/forecasts/totals",
        method = "get",
        operation_id = "forecast_totals"
    )]
    async fn totals(&self, caller: Caller) -> Answer<Json<Vec<ForecastTotals>>> {
        let totals = self
            .0
            .state
            .agents
            .analysis()
            .forecast_totals(&caller.principal)
            .await?;
        Ok(Json(Mirror::of(totals)))
    }

    /// Get a forecast.
    ///
    /// With the backtest of every candidate model.
    #[oai(
        path = "/forecasts/:forecast_id",
        method = "get",
        operation_id = "forecast_get"
    )]
    async fn get(
        &self,
        caller: Caller,
        forecast_id: Path<Id<ForecastId>>,
    ) -> Answer<Json<Forecast>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .storage
                .scope(caller.grant())
                .forecasts()
                .get(forecast_id.0.0)
                .await?,
        )))
    }
}
