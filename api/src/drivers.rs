//! What moved a brand's outcome.

use std::sync::Arc;

use chrono::NaiveDate;
use domain::id::{BrandId, MetricId};
use poem_openapi::{OpenApi, param::Query, payload::Json};

use crate::{
    App, Tag,
    auth::Caller,
    mirror::{Id, Mirror, mirror},
    problem::Answer,
    quantities::{Interval, Provenance},
};

mirror! {
    /// What one driver did.
    DriverEffect of ::agents::analysis::DriverEffect {
        /// What it is, for people.
        name: String,
        /// Its metric; absent for the time of year and the trend.
        metric: Option<Id<MetricId>>,
        /// Whether it is what the rivals did.
        is_rivals: bool,
        /// How far it moved the outcome from the periods before, per period in the outcome's unit.
        effect: f64,
        /// Where the effect lies in the middle 80 % of fits to different draws of the data.
        interval80: Option<Interval>,
        /// Its share of all movement, 0 to 1.
        share: f64,
    }
}

mirror! {
    /// What moved a brand's outcome: the exact split of what boosted trees over all own brands say.
    Drivers of ::agents::analysis::Drivers {
        /// The brand.
        brand: Id<BrandId>,
        /// The outcome.
        metric: Id<MetricId>,
        /// First period that is explained.
        from: NaiveDate,
        /// Last period.
        to: NaiveDate,
        /// First of the periods that it is compared with; the last is the one before `from`.
        before_from: NaiveDate,
        /// Mean of the outcome over the explained periods.
        recent: f64,
        /// Mean over the periods before.
        before: f64,
        /// The part of the change that the drivers' effects add up to, per period in the outcome's unit.
        explained: f64,
        /// The drivers, the largest first.
        drivers: Vec<DriverEffect>,
        /// A sentence per driver that moved anything, in percent of the brand's average.
        sentences: Vec<String>,
        /// Root mean squared error on periods that the model had not seen, in percent of a brand's average.
        holdout_error: f64,
        /// The same of guessing the average of the earlier periods.
        holdout_error_of_mean: f64,
        /// Whether the models beat that guess by more than chance does. Where they do not, the effects say nothing.
        is_better_than_mean: bool,
        /// Values that were learnt from.
        rows: u32,
        /// Values that were held out.
        holdout_rows: u32,
        /// Where it comes from.
        provenance: Provenance,
    }
}

/// Drivers.
pub(crate) struct DriverApi(pub(crate) App);

#[OpenApi(tag = "Tag::Analytics")]
impl DriverApi {
    /// Explain what moved a brand's outcome.
    ///
    /// The last weeks against the year before, driver by driver, with the model's error on weeks that it had not seen. Computed
    /// once for each state of the data.
    #[oai(path = "/drivers", method = "get", operation_id = "driver_list")]
    async fn list(
        &self,
        caller: Caller,
        /// The brand, one of your own.
        brand_id: Query<Id<BrandId>>,
    ) -> Answer<Json<Drivers>> {
        let found = self
            .0
            .state
            .agents
            .analysis()
            .drivers(&caller.principal, brand_id.0.0)
            .await?;
        Ok(Json(Mirror::of(Arc::unwrap_or_clone(found))))
    }
}
