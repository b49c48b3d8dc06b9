//! Metric definitions and their versions.

use agents::ingest::metric_id;
use domain::id::{ChannelId, MetricId};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

use crate::{
    App, Tag,
    answer::Created,
    auth::Caller,
    mirror::{Id, Mirror, Reflect, mirror, mirror_enum},
    permissions::BASE,
    problem::Answer,
    projects::changed,
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

mirror_enum! {
    /// What becomes of absent values between known ones.
    GapRule of domain::quality::GapRule {
        /// They stay absent.
        None,
        /// A straight line between the neighbours.
        Linear,
        /// A straight line between the neighbours freed from their season, with the season of the place put back.
        Seasonal,
        /// Zero: the source leaves out what did not happen.
        Zero,
    }
}

mirror_enum! {
    /// What becomes of values far from what trend and season let one expect.
    OutlierRule of domain::quality::OutlierRule {
        /// They stay.
        None,
        /// They are brought back to the limit.
        Cap,
        /// They are replaced by what was expected.
        Expected,
    }
}

mirror! {
    /// Rules by which a metric's series are cleaned before they are used, in this order. The stored values stay as they are, and
    /// every series whose values were changed says so in its quality.
    Cleaning both_ways domain::quality::Cleaning {
        /// A series that ends in at least this many equal non-zero values loses all of them but the first: the feed has stuck. 0
        /// leaves it, otherwise at least 3.
        #[oai(default)]
        stuck_tail: u32,
        /// Outliers.
        #[oai(default = "leave_outliers")]
        outliers: OutlierRule,
        /// Robust standard deviations from which a value is an outlier, at least 3.
        #[oai(default = "usual_outlier_limit")]
        outlier_limit: f64,
        /// Gaps.
        #[oai(default = "leave_gaps")]
        gaps: GapRule,
        /// Longest gap that is filled, in periods; a longer one stays absent, unless absent means zero.
        #[oai(default = "usual_longest_gap")]
        longest_gap: u32,
    }
}

fn leave_outliers() -> OutlierRule {
    OutlierRule::None
}

fn leave_gaps() -> GapRule {
    GapRule::None
}

fn usual_outlier_limit() -> f64 {
    domain::quality::Cleaning::default().outlier_limit
}

fn usual_longest_gap() -> u32 {
    domain::quality::Cleaning::default().longest_gap
}

mirror! {
    /// Limits of the quality check; what is absent is as usual for the metric's role.
    QualityLimits both_ways domain::quality::QualityLimits {
        /// Fewest known values; below it a series must not be acted on.
        min_history: Option<u32>,
        /// Share of absent values inside a series above which it is reviewed; at three times that it must not be acted on.
        max_absent: Option<f64>,
        /// Periods since the last known value above which it is reviewed; at four times that it must not be acted on.
        max_age: Option<u32>,
        /// Robust standard deviations from which a value is an outlier; 0 switches the check off.
        outlier: Option<f64>,
        /// Share of outliers above which it is reviewed; at five times that it must not be acted on.
        max_outliers: Option<f64>,
        /// Equal non-zero values in a row that look stuck, at least 3; 0 switches the check off.
        stuck: Option<u32>,
        /// Standard deviations of the noise from which a change of level is told; 0 switches the check off.
        level_shift: Option<f64>,
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
        /// How its series are cleaned before they are used.
        cleaning: Cleaning,
        /// Limits of the quality check that differ from the usual ones of its role.
        quality: QualityLimits,
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
    /// How its series are cleaned before they are used; absent leaves them as they are. Not for spend.
    pub(crate) cleaning: Option<Cleaning>,
    /// Limits of the quality check that differ from the usual ones of its role.
    pub(crate) quality: Option<QualityLimits>,
}

/// Refuses rules and limits that cannot be meant; the first problem is told.
fn sound(
    cleaning: &domain::quality::Cleaning,
    quality: &domain::quality::QualityLimits,
    role: domain::metric::MetricRole,
) -> Result<(), domain::Error> {
    let problems = cleaning
        .problems(role == domain::metric::MetricRole::Spend)
        .into_iter();
    match problems.chain(quality.problems()).next() {
        None => Ok(()),
        Some(problem) => {
            let message = format!("{} {}", problem.field, problem.message);
            Err(domain::Error::invalid("metric.rules", message).advise(problem.advice))
        }
    }
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
            cleaning,
            quality,
        } = body.0;
        let cleaning = cleaning.back().unwrap_or_default();
        let quality = quality.back().unwrap_or_default();
        sound(&cleaning, &quality, role.back())?;
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
                    cleaning,
                    quality,
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
