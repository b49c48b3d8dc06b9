//! Metric definitions and their versions.

use agents::ingest::metric_id;
use domain::id::{ChannelId, MetricId};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

use crate::{
    App, Tag,
    answer::Created,
    auth::Caller,
    mirror::{Id, Mirror, Reflect, mirror, mirror_enum},
    problem::Answer,
    projects::changed,
    spec::BASE,
};

mirror_enum! {
    /// The four sections of the product's brand score.
    Section of domain::metric::Section {
        /// Marketplaces and shops.
        Marketplace,
        /// Paid media.
        DigitalSpends,
        /// Search, site and app performance that is not paid for.
        OrganicPerformance,
        /// What people say.
        Socialwatch,
    }
}

mirror_enum! {
    /// What a metric is to the analytics.
    MetricRole of domain::metric::MetricRole {
        /// What the portfolio is run for: sales.
        Outcome,
        /// Money put into a channel.
        Spend,
        /// What the money bought: impressions, clicks.
        Exposure,
        /// A price.
        Price,
        /// A promotion's depth or presence.
        Promotion,
        /// A sign of brand health.
        Health,
        /// Anything outside our control: weather, category demand.
        Context,
    }
}

mirror_enum! {
    /// Whether more is better.
    Direction of domain::metric::Direction {
        /// Higher is better.
        Direct,
        /// Lower is better.
        Indirect,
    }
}

mirror_enum! {
    /// Unit of a metric's values.
    MetricUnit of domain::metric::MetricUnit {
        /// Whole units of the organisation's currency.
        Currency,
        /// A count of things.
        Count,
        /// A share between 0 and 1.
        Ratio,
        /// 0 to 100.
        Percent,
        /// A number without unit.
        Index,
        /// Seconds.
        Seconds,
        /// A place in an order, 1 is first.
        Rank,
    }
}

mirror_enum! {
    /// Length of a period.
    Granularity of domain::metric::Granularity {
        /// One day.
        Day,
        /// Monday to Sunday.
        Week,
        /// A calendar month.
        Month,
        /// A calendar quarter.
        Quarter,
    }
}

mirror! {
    /// One version of a metric's definition.
    MetricDefinition of domain::metric::MetricDefinition {
        /// The id, the same for all versions.
        id: Id<MetricId>,
        /// Version, from 1; a change makes the next.
        version: u32,
        /// Short stable key, such as `spend_paid_search`; unique within the organisation.
        key: String,
        /// The name people read.
        name: String,
        /// Section of the score.
        section: Section,
        /// Where it is measured, such as `amazon` or `instagram`; empty when there is no such place.
        platform: String,
        /// What it is to the analytics.
        role: MetricRole,
        /// Unit of its values.
        unit: MetricUnit,
        /// Whether more is better.
        direction: Direction,
        /// Weight in the score, at least 0; 0 leaves it out.
        weight: f64,
        /// Length of its periods.
        granularity: Granularity,
        /// The channel, for spend and exposure.
        channel: Option<Id<ChannelId>>,
    }
}

/// A definition to be made; an existing key gets its next version.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct MetricCreate {
    /// Short stable key, unique within the organisation.
    #[oai(validator(pattern = "^[a-z][a-z0-9_]{0,63}$"))]
    pub(crate) key: String,
    /// The name people read.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: String,
    /// Section of the score.
    pub(crate) section: Section,
    /// Where it is measured; empty when there is no such place.
    #[oai(default, validator(max_length = 100))]
    pub(crate) platform: String,
    /// What it is to the analytics.
    pub(crate) role: MetricRole,
    /// Unit of its values.
    pub(crate) unit: MetricUnit,
    /// Whether more is better.
    pub(crate) direction: Direction,
    /// Weight in the score, at least 0; 0 leaves it out.
    #[oai(validator(minimum(value = "0")))]
    pub(crate) weight: f64,
    /// Length of its periods.
    pub(crate) granularity: Granularity,
    /// The channel, for spend and exposure.
    pub(crate) channel: Option<Id<ChannelId>>,
}

/// Metric definitions.
pub(crate) struct MetricApi(pub(crate) App);

#[OpenApi(tag = "Tag::Metrics")]
impl MetricApi {
    /// List the metric definitions.
    ///
    /// The current version of each.
    #[oai(path = "/metrics", method = "get", operation_id = "metric_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<Vec<MetricDefinition>>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .storage
                .scope(caller.grant())
                .metrics()
                .list()
                .await?,
        )))
    }

    /// Define a metric.
    ///
    /// A key that exists gets its next version; results name the version they used.
    #[oai(path = "/metrics", method = "post", operation_id = "metric_create")]
    async fn create(
        &self,
        caller: Caller,
        body: Json<MetricCreate>,
    ) -> Answer<Created<MetricDefinition>> {
        let MetricCreate {
            key,
            name,
            section,
            platform,
            role,
            unit,
            direction,
            weight,
            granularity,
            channel,
        } = body.0;
        let org = caller.user.org;
        let made = self
            .0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                let mut definition = domain::metric::MetricDefinition {
                    id: metric_id(org, &key),
                    version: 1,
                    key: key.clone(),
                    name: name.clone(),
                    section: section.back(),
                    platform: platform.clone(),
                    role: role.back(),
                    unit: unit.back(),
                    direction: direction.back(),
                    weight,
                    granularity: granularity.back(),
                    channel: channel.back(),
                };
                Box::pin(async move {
                    if let Some(known) = u.metrics().by_key(&definition.key).await? {
                        definition.id = known.id;
                    }
                    definition.version = u.metrics().define(&definition).await?;
                    changed(u, "metric.defined", &definition.id.to_string()).await?;
                    Ok(definition)
                })
            })
            .await?;
        let location = format!("{BASE}/metrics/{}/versions", made.id);
        Ok(Created::Created(Json(Mirror::of(made)), location))
    }

    /// List the versions of a definition.
    ///
    /// Newest first.
    #[oai(
        path = "/metrics/:metric_id/versions",
        method = "get",
        operation_id = "metric_versions"
    )]
    async fn versions(
        &self,
        caller: Caller,
        metric_id: Path<Id<MetricId>>,
    ) -> Answer<Json<Vec<MetricDefinition>>> {
        let mut versions = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .metrics()
            .versions(metric_id.0.0)
            .await?;
        versions.reverse();
        Ok(Json(Mirror::of(versions)))
    }
}
