//! Forecasts. Every one is kept; one per series is of record.

use domain::{
    forecast::Forecast,
    id::{BrandId, ForecastId, MetricId, ProjectId},
};

use crate::{
    Error, Executor, Unit,
    row::{Row, json, name, params},
    scores::slice_key,
};

/// Forecasts of a scope or unit.
pub struct Forecasts<'a, E>(pub(crate) &'a E);

fn read(row: &Row) -> Result<Forecast, Error> {
    Ok(Forecast {
        of_record: row.get("of_record")?,
        ..row.json("body")?
    })
}

impl<E: Executor> Forecasts<'_, E> {
    /// One forecast.
    ///
    /// # Errors
    /// `forecast.unknown`.
    pub async fn get(&self, id: ForecastId) -> Result<Forecast, Error> {
        let row = self
            .0
            .row(
                "SELECT body, of_record FROM forecasts WHERE org_id = $1 AND id = $2",
                params![id.0],
            )
            .await?;
        row.as_ref().map(read).transpose()?.ok_or_else(|| {
            domain::Error::not_found("forecast.unknown", format!("there is no forecast {id}"))
                .into()
        })
    }

    /// The forecasts of one series (project `None`: of the sum of all), newest first.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn of_series(
        &self,
        brand: BrandId,
        metric: MetricId,
        project: Option<ProjectId>,
        limit: u32,
    ) -> Result<Vec<Forecast>, Error> {
        let sql = "SELECT body, of_record FROM forecasts WHERE org_id = $1 AND brand_id = $2 AND metric_id = $3 AND slice = $4 \
                   ORDER BY number DESC LIMIT $5";
        let params = params![brand.0, metric.0, slice_key(project), i64::from(limit)];
        self.0.rows(sql, params).await?.iter().map(read).collect()
    }

    /// The forecast of record of one series, if there is one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn of_record(
        &self,
        brand: BrandId,
        metric: MetricId,
        project: Option<ProjectId>,
    ) -> Result<Option<Forecast>, Error> {
        let sql = "SELECT body, of_record FROM forecasts WHERE org_id = $1 AND brand_id = $2 AND metric_id = $3 AND slice = $4 \
                   AND of_record";
        let row = self
            .0
            .row(sql, params![brand.0, metric.0, slice_key(project)])
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The forecast of record of every series, by brand and metric. Series of which none is of record are left out.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn all_of_record(&self) -> Result<Vec<Forecast>, Error> {
        let sql = "SELECT body, of_record FROM forecasts WHERE org_id = $1 AND of_record ORDER BY brand_id, metric_id, slice";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The newest forecast of every series, of record or not.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn latest(&self) -> Result<Vec<Forecast>, Error> {
        let sql = "SELECT f.body, f.of_record FROM forecasts f JOIN (SELECT brand_id, metric_id, slice, MAX(number) AS number \
                   FROM forecasts WHERE org_id = $1 GROUP BY brand_id, metric_id, slice) l ON l.brand_id = f.brand_id \
                   AND l.metric_id = f.metric_id AND l.slice = f.slice AND l.number = f.number WHERE f.org_id = $1 \
                   ORDER BY f.brand_id, f.metric_id, f.slice";
        self.0
            .rows(sql, params![])
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

impl Forecasts<'_, Unit> {
    /// Keeps a forecast; keeping it again changes nothing. When it is of record it takes the place of the one before.
    ///
    /// # Errors
    /// `storage.unknown_reference` when its brand or metric does not exist.
    pub async fn record(&self, forecast: &Forecast) -> Result<(), Error> {
        let slice = slice_key(forecast.project);
        self.0
            .serialise(&format!(
                "forecast|{}|{}|{slice}",
                forecast.brand, forecast.metric
            ))
            .await?;
        let sql = "INSERT INTO forecasts (org_id, id, brand_id, metric_id, slice, number, origin, granularity, of_record, body, \
                   created_at) SELECT $1, $2, $3, $4, $5, COALESCE(MAX(number), 0) + 1, $6, $7, $8, $9, $10 FROM forecasts \
                   WHERE org_id = $1 AND brand_id = $3 AND metric_id = $4 AND slice = $5 ON CONFLICT (org_id, id) DO NOTHING";
        let params = params![
            forecast.id.0,
            forecast.brand.0,
            forecast.metric.0,
            slice,
            forecast.origin,
            name(&forecast.granularity),
            false,
            json(forecast)?,
            self.0.now()
        ];
        let made = self.0.execute(sql, params).await?;
        if forecast.of_record && made == 1 {
            self.set_of_record(forecast.id).await?;
        }
        Ok(())
    }

    /// Makes a forecast the one of record of its series. Returns the one it replaces, if there is one: the inverse.
    ///
    /// # Errors
    /// `forecast.unknown`.
    pub async fn set_of_record(&self, id: ForecastId) -> Result<Option<ForecastId>, Error> {
        let forecast = self.get(id).await?;
        let slice = slice_key(forecast.project);
        self.0
            .serialise(&format!(
                "forecast|{}|{}|{slice}",
                forecast.brand, forecast.metric
            ))
            .await?;
        let before = self
            .of_record(forecast.brand, forecast.metric, forecast.project)
            .await?
            .map(|f| f.id);
        if before == Some(id) {
            return Ok(None);
        }
        let sql = "UPDATE forecasts SET of_record = $5 WHERE org_id = $1 AND brand_id = $2 AND metric_id = $3 AND slice = $4 \
                   AND of_record";
        self.0
            .execute(
                sql,
                params![forecast.brand.0, forecast.metric.0, slice, false],
            )
            .await?;
        self.0
            .execute(
                "UPDATE forecasts SET of_record = $3 WHERE org_id = $1 AND id = $2",
                params![id.0, true],
            )
            .await?;
        Ok(before)
    }

    /// Leaves a series without a forecast of record: the inverse of the first revision.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn clear_of_record(&self, id: ForecastId) -> Result<(), Error> {
        self.0
            .execute(
                "UPDATE forecasts SET of_record = $3 WHERE org_id = $1 AND id = $2",
                params![id.0, false],
            )
            .await?;
        Ok(())
    }
}
