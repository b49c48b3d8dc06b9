//! Metric values, as series.

use chrono::NaiveDate;
use domain::{
    id::{BrandId, MetricId, ProjectId},
    series::MetricTable,
};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};

use crate::{App, Tag, auth::Caller, mirror::Id, problem::Answer, quantities::Point};

/// One series.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Series {
    /// The brand.
    pub(crate) brand: Id<BrandId>,
    /// The metric.
    pub(crate) metric: Id<MetricId>,
    /// The project.
    pub(crate) project: Option<Id<ProjectId>>,
    /// The values, in order of time. A period without a value is not in the list.
    pub(crate) points: Vec<Point>,
}

/// Several series.
#[derive(Clone, Debug, Object)]
pub(crate) struct SeriesList {
    /// The series.
    pub(crate) series: Vec<Series>,
}

/// A table as one series for each project. Its rows come ordered by project within brand and metric, so neighbours
/// belong together.
fn by_project(table: MetricTable) -> Vec<Series> {
    let MetricTable {
        project,
        brand,
        metric,
        period,
        value,
    } = table;
    let mut series: Vec<Series> = Vec::new();
    for ((((project, brand), metric), period), value) in project
        .into_iter()
        .zip(brand)
        .zip(metric)
        .zip(period)
        .zip(value)
    {
        let point = Point { period, value };
        match series.last_mut() {
            Some(last)
                if last.project == Some(Id(project))
                    && last.brand.0 == brand
                    && last.metric.0 == metric =>
            {
                last.points.push(point);
            }
            _ => series.push(Series {
                brand: Id(brand),
                metric: Id(metric),
                project: Some(Id(project)),
                points: vec![point],
            }),
        }
    }
    series
}

/// Values.
pub(crate) struct ValueApi(pub(crate) App);

#[OpenApi(tag = "Tag::Metrics")]
impl ValueApi {
    /// Read metric values.
    ///
    /// One series per project; corrections are applied.
    #[oai(path = "/values", method = "get", operation_id = "value_list")]
    async fn list(
        &self,
        caller: Caller,
        /// The brand.
        brand_id: Query<Id<BrandId>>,
        /// The metric.
        metric_id: Query<Id<MetricId>>,
        /// Only this project.
        project_id: Query<Option<Id<ProjectId>>>,
        /// First day.
        from: Query<Option<NaiveDate>>,
        /// Last day.
        to: Query<Option<NaiveDate>>,
    ) -> Answer<Json<SeriesList>> {
        let query = storage::ValueQuery {
            brands: Some(vec![brand_id.0.0]),
            metrics: Some(vec![metric_id.0.0]),
            projects: project_id.0.map(|project| vec![project.0]),
            from: from.0,
            to: to.0,
            granularity: None,
        };
        let table = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .values()
            .table(&query)
            .await?;
        Ok(Json(SeriesList {
            series: by_project(table),
        }))
    }
}
