//! Brands, how they relate, and what happened to one over time.

use agents::ingest::brand_id;
use chrono::NaiveDate;
use domain::{
    Error,
    id::{BrandId, MetricId, RecommendationId},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};

use crate::{
    App, Tag,
    answer::Created,
    auth::Caller,
    etag::{self, Tagged},
    forecasts::Forecast,
    metrics::MetricDefinition,
    mirror::{Id, Mirror, Reflect, mirror, mirror_enum},
    permissions::BASE,
    problem::Answer,
    projects::changed,
    quantities::Point,
    recommendations::{RecommendationKind, RecommendationState},
};

mirror_enum! {
    /// Whose brand it is.
    BrandRole of domain::brand::BrandRole {
        /// One of our own.
        Primary,
        /// A rival.
        Competitor,
        /// A yardstick that is not a rival.
        Benchmark,
    }
}

mirror! {
    /// A brand.
    Brand of domain::brand::Brand {
        /// The id.
        id: Id<BrandId>,
        /// The name, unique within the organisation.
        name: String,
        /// Whose brand it is.
        role: BrandRole,
        /// Category it competes in; empty when unknown.
        category: String,
        /// Share of sales value that is left before media and promotion cost, 0 to 1; absent when nobody stated it.
        margin: Option<f64>,
        /// The brand above it in the hierarchy.
        parent: Option<Id<BrandId>>,
    }
}

mirror_enum! {
    /// How two brands relate.
    RelationshipKind of domain::brand::RelationshipKind {
        /// Two of our own that share buyers.
        Sibling,
        /// `to` competes with `from`.
        Rival,
        /// `to` is the yardstick of `from`.
        Benchmark,
    }
}

mirror! {
    /// A directed relationship between brands.
    Relationship both_ways domain::brand::Relationship {
        /// From this brand.
        from: Id<BrandId>,
        /// To this brand.
        to: Id<BrandId>,
        /// What it is.
        kind: RelationshipKind,
    }
}

/// A brand to be made.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct BrandCreate {
    /// The name, unique within the organisation.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: String,
    /// Whose brand it is.
    pub(crate) role: BrandRole,
    /// Category it competes in.
    #[oai(default, validator(max_length = 200))]
    pub(crate) category: String,
    /// Share of sales value that is left before media and promotion cost, 0 to 1.
    #[oai(validator(minimum(value = "0"), maximum(value = "1")))]
    pub(crate) margin: Option<f64>,
    /// The brand above it.
    pub(crate) parent: Option<Id<BrandId>>,
}

/// What changes about a brand; what is left out stays.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct BrandUpdate {
    /// The name.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: Option<String>,
    /// Whose brand it is.
    pub(crate) role: Option<BrandRole>,
    /// Category it competes in.
    #[oai(validator(max_length = 200))]
    pub(crate) category: Option<String>,
    /// Share of sales value that is left before media and promotion cost, 0 to 1.
    #[oai(validator(minimum(value = "0"), maximum(value = "1")))]
    pub(crate) margin: Option<f64>,
    /// The brand above it.
    pub(crate) parent: Option<Id<BrandId>>,
}

mirror! {
    /// Something that was done, on the time axis.
    TimelineAction of ::agents::portfolio::TimelineAction {
        /// The recommendation.
        recommendation_id: Id<RecommendationId>,
        /// Its kind.
        kind: RecommendationKind,
        /// Its title.
        title: String,
        /// When it takes or took effect.
        date: NaiveDate,
        /// Where it stands.
        state: RecommendationState,
    }
}

mirror! {
    /// History, forecast and actions of one brand on one axis.
    Timeline of ::agents::portfolio::Timeline {
        /// The brand.
        brand: Brand,
        /// The metric shown.
        metric: MetricDefinition,
        /// What was.
        history: Vec<Point>,
        /// What is expected; absent when there is no forecast of record.
        forecast: Option<Forecast>,
        /// What was done.
        actions: Vec<TimelineAction>,
        /// Values that do not fit the rest.
        outliers: Vec<Point>,
    }
}

fn name_taken() -> Error {
    Error::conflict("brand.name_taken", "there is a brand with this name")
        .advise("choose another name")
}

/// Brands.
pub(crate) struct BrandApi(pub(crate) App);

#[OpenApi(tag = "Tag::Portfolio")]
impl BrandApi {
    /// List the brands.
    ///
    /// Own brands, rivals and yardsticks.
    #[oai(path = "/brands", method = "get", operation_id = "brand_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<Vec<Brand>>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .storage
                .scope(caller.grant())
                .brands()
                .list()
                .await?,
        )))
    }

    /// Make a brand.
    ///
    /// An import makes the brands of its mapping by itself.
    #[oai(path = "/brands", method = "post", operation_id = "brand_create")]
    async fn create(&self, caller: Caller, body: Json<BrandCreate>) -> Answer<Created<Brand>> {
        let BrandCreate {
            name,
            role,
            category,
            margin,
            parent,
        } = body.0;
        let name = name.trim().to_owned();
        let brand = domain::brand::Brand {
            id: brand_id(caller.user.org, &name),
            name,
            role: role.back(),
            category,
            margin,
            parent: parent.back(),
        };
        let made = brand.clone();
        self.0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                let brand = brand.clone();
                Box::pin(async move {
                    if u.brands().by_name(&brand.name).await?.is_some() {
                        return Err(name_taken().into());
                    }
                    u.brands().upsert(&brand).await?;
                    changed(u, "brand.created", &brand.id.to_string()).await
                })
            })
            .await?;
        let location = format!("{BASE}/brands/{}", made.id);
        Ok(Created::Created(Json(Mirror::of(made)), location))
    }

    /// Get a brand.
    ///
    /// Its version is in `ETag`.
    #[oai(path = "/brands/:brand_id", method = "get", operation_id = "brand_get")]
    async fn get(&self, caller: Caller, brand_id: Path<Id<BrandId>>) -> Answer<Tagged<Brand>> {
        let brand = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .brands()
            .get(brand_id.0.0)
            .await?;
        let version = etag::digest(&brand);
        Ok(Tagged::of_content(Mirror::of(brand), &version))
    }

    /// Change a brand.
    ///
    /// Needs `If-Match`. What is left out stays as it is.
    #[oai(
        path = "/brands/:brand_id",
        method = "patch",
        operation_id = "brand_update"
    )]
    async fn update(
        &self,
        caller: Caller,
        brand_id: Path<Id<BrandId>>,
        /// The `ETag` of the version you looked at.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<BrandUpdate>,
    ) -> Answer<Tagged<Brand>> {
        let seen = etag::content(if_match.0.as_deref())?;
        let (id, change) = (brand_id.0.0, body.0);
        let brand = self
            .0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                let (seen, change) = (seen.clone(), change.clone());
                Box::pin(async move {
                    let known = u.brands().get(id).await?;
                    etag::must_be_seen(&seen, &etag::digest(&known))?;
                    let brand = domain::brand::Brand {
                        id,
                        name: change
                            .name
                            .map_or(known.name, |name| name.trim().to_owned()),
                        role: change.role.back().unwrap_or(known.role),
                        category: change.category.unwrap_or(known.category),
                        margin: change.margin.or(known.margin),
                        parent: change.parent.back().or(known.parent),
                    };
                    if u.brands()
                        .by_name(&brand.name)
                        .await?
                        .is_some_and(|other| other.id != id)
                    {
                        return Err(name_taken().into());
                    }
                    u.brands().upsert(&brand).await?;
                    changed(u, "brand.changed", &id.to_string()).await?;
                    Ok(brand)
                })
            })
            .await?;
        let version = etag::digest(&brand);
        Ok(Tagged::of_content(Mirror::of(brand), &version))
    }

    /// Get a brand's timeline.
    ///
    /// History, forecast and applied recommendations of one metric on the same axis; sales when none is named.
    #[oai(
        path = "/brands/:brand_id/timeline",
        method = "get",
        operation_id = "brand_timeline"
    )]
    async fn timeline(
        &self,
        caller: Caller,
        brand_id: Path<Id<BrandId>>,
        /// The metric.
        metric_id: Query<Option<Id<MetricId>>>,
    ) -> Answer<Json<Timeline>> {
        let metric = metric_id.0.back();
        let timeline = self
            .0
            .state
            .agents
            .portfolio()
            .timeline(&caller.principal, brand_id.0.0, metric)
            .await?;
        Ok(Json(Mirror::of(timeline)))
    }

    /// List how brands relate.
    ///
    /// Siblings, rivals and yardsticks.
    #[oai(
        path = "/relationships",
        method = "get",
        operation_id = "relationship_list"
    )]
    async fn relationships(&self, caller: Caller) -> Answer<Json<Vec<Relationship>>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .storage
                .scope(caller.grant())
                .brands()
                .relationships()
                .await?,
        )))
    }

    /// Relate two brands.
    ///
    /// The same relationship again changes nothing.
    #[oai(
        path = "/relationships",
        method = "post",
        operation_id = "relationship_create"
    )]
    async fn relate(
        &self,
        caller: Caller,
        body: Json<Relationship>,
    ) -> Answer<Created<Relationship>> {
        let relationship = body.0.clone().back();
        self.0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                Box::pin(async move {
                    u.brands().relate(relationship).await?;
                    changed(u, "brand.related", &relationship.from.to_string()).await
                })
            })
            .await?;
        Ok(Created::Created(body, format!("{BASE}/relationships")))
    }
}
