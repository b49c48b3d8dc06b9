//! Standing constraints that every plan obeys, and targets.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    budget::Rule as DomainRule,
    event::{EventKind, NewEvent},
    id::{BrandId, ChannelId, ConstraintId, MetricId, RecommendationId, TargetId},
};
use poem_openapi::{Object, OpenApi, Union, param::Path, payload::Json};
use serde_json::json;
use storage::Unit;

use crate::{
    App, Tag,
    answer::{Created, Done},
    auth::Caller,
    mirror::{Amount, Id, Mirror, Reflect, mirror},
    permissions::BASE,
    problem::Answer,
};

/// Weekly spend of the matching lines together is at most this.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct SpendCap {
    /// Brand; any when left out.
    pub(crate) brand: Option<Id<BrandId>>,
    /// Channel; any when left out.
    pub(crate) channel: Option<Id<ChannelId>>,
    /// Amount per week.
    pub(crate) weekly: Amount,
}

/// Weekly spend of the matching lines together is at least this.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct SpendMinimum {
    /// Brand; any when left out.
    pub(crate) brand: Option<Id<BrandId>>,
    /// Channel; any when left out.
    pub(crate) channel: Option<Id<ChannelId>>,
    /// Amount per week.
    pub(crate) weekly: Amount,
}

/// A line that stays as it is.
#[derive(Clone, Debug, Object)]
pub(crate) struct ExcludedLine {
    /// Brand.
    pub(crate) brand: Id<BrandId>,
    /// Channel.
    pub(crate) channel: Id<ChannelId>,
}

/// The driver's media is not raised above this, because it takes sales from the affected brand.
#[derive(Clone, Debug, Object)]
pub(crate) struct CannibalisationCap {
    /// Brand whose media is capped.
    pub(crate) driver: Id<BrandId>,
    /// Brand that is protected.
    pub(crate) affected: Id<BrandId>,
    /// Amount per week over all of the driver's channels.
    pub(crate) weekly: Amount,
}

/// The two brands' media is moved together.
#[derive(Clone, Debug, Object)]
pub(crate) struct JointAction {
    /// Brand whose media lifts the other.
    pub(crate) driver: Id<BrandId>,
    /// Brand that is lifted.
    pub(crate) affected: Id<BrandId>,
    /// Least weekly spend of the driver over all channels.
    pub(crate) weekly: Amount,
}

/// A standing rule. Each kind has a type of its own, because the specification tells them apart by it.
#[derive(Clone, Debug, Union)]
#[oai(discriminator_name = "rule", one_of, rename_all = "snake_case")]
pub(crate) enum Rule {
    /// Weekly spend of the matching lines together is at most this.
    Cap(SpendCap),
    /// Weekly spend of the matching lines together is at least this.
    Minimum(SpendMinimum),
    /// The matching line stays as it is.
    Exclusion(ExcludedLine),
    /// The driver's media is not raised above this, because it takes sales from the affected brand.
    CannibalisationCap(CannibalisationCap),
    /// The two brands' media is moved together; the driver's stays at least at this.
    JointAction(JointAction),
}

impl Mirror for Rule {
    type Of = DomainRule;

    fn of(rule: DomainRule) -> Self {
        match rule {
            DomainRule::Cap {
                brand,
                channel,
                weekly,
            } => Self::Cap(SpendCap {
                brand: Mirror::of(brand),
                channel: Mirror::of(channel),
                weekly: Amount(weekly),
            }),
            DomainRule::Minimum {
                brand,
                channel,
                weekly,
            } => Self::Minimum(SpendMinimum {
                brand: Mirror::of(brand),
                channel: Mirror::of(channel),
                weekly: Amount(weekly),
            }),
            DomainRule::Exclusion { brand, channel } => Self::Exclusion(ExcludedLine {
                brand: Id(brand),
                channel: Id(channel),
            }),
            DomainRule::CannibalisationCap {
                driver,
                affected,
                weekly,
            } => Self::CannibalisationCap(CannibalisationCap {
                driver: Id(driver),
                affected: Id(affected),
                weekly: Amount(weekly),
            }),
            DomainRule::JointAction {
                driver,
                affected,
                weekly,
            } => Self::JointAction(JointAction {
                driver: Id(driver),
                affected: Id(affected),
                weekly: Amount(weekly),
            }),
        }
    }
}

impl Reflect for Rule {
    fn back(self) -> DomainRule {
        match self {
            Self::Cap(SpendCap {
                brand,
                channel,
                weekly,
            }) => DomainRule::Cap {
                brand: brand.back(),
                channel: channel.back(),
                weekly: weekly.0,
            },
            Self::Minimum(SpendMinimum {
                brand,
                channel,
                weekly,
            }) => DomainRule::Minimum {
                brand: brand.back(),
                channel: channel.back(),
                weekly: weekly.0,
            },
            Self::Exclusion(ExcludedLine { brand, channel }) => DomainRule::Exclusion {
                brand: brand.0,
                channel: channel.0,
            },
            Self::CannibalisationCap(CannibalisationCap {
                driver,
                affected,
                weekly,
            }) => DomainRule::CannibalisationCap {
                driver: driver.0,
                affected: affected.0,
                weekly: weekly.0,
            },
            Self::JointAction(JointAction {
                driver,
                affected,
                weekly,
            }) => DomainRule::JointAction {
                driver: driver.0,
                affected: affected.0,
                weekly: weekly.0,
            },
        }
    }
}

mirror! {
    /// A standing constraint: a rule in force since a date.
    Constraint of domain::budget::Constraint {
        /// The id.
        id: Id<ConstraintId>,
        /// The rule.
        rule: Rule,
        /// Why it is there.
        reason: String,
        /// The recommendation it came from.
        recommendation: Option<Id<RecommendationId>>,
        /// Whether plans obey it now.
        active: bool,
        /// When it was made.
        created_at: DateTime<Utc>,
    }
}
mirror! {
    /// A target on a metric.
    Target of domain::outcome::Target {
        /// The id.
        id: Id<TargetId>,
        /// Brand.
        brand: Id<BrandId>,
        /// Metric.
        metric: Id<MetricId>,
        /// Value when it was set.
        from: f64,
        /// Value to reach.
        to: f64,
        /// By this date.
        due: NaiveDate,
        /// Where it came from.
        recommendation: Option<Id<RecommendationId>>,
        /// Whether it is in force.
        active: bool,
    }
}

/// A constraint to be set.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ConstraintCreate {
    /// The rule.
    pub(crate) rule: Rule,
    /// Why it is there.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub(crate) reason: String,
}

/// Says in the trail and in the events that a constraint has changed.
async fn changed(u: &Unit, action: &str, id: ConstraintId) -> Result<(), storage::Error> {
    u.audit().record(action, &id.to_string(), json!({})).await?;
    let event = NewEvent {
        kind: EventKind::ConstraintChanged,
        key: id.to_string(),
        body: json!({ "id": id }),
    };
    u.events().publish(event).await?;
    Ok(())
}

/// Constraints and targets.
pub(crate) struct ConstraintApi(pub(crate) App);

#[OpenApi(tag = "Tag::Plans")]
impl ConstraintApi {
    /// List the standing constraints.
    ///
    /// Those that plans obey now.
    #[oai(
        path = "/constraints",
        method = "get",
        operation_id = "constraint_list"
    )]
    async fn list(&self, caller: Caller) -> Answer<Json<Vec<Constraint>>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .storage
                .scope(caller.grant())
                .constraints()
                .active()
                .await?,
        )))
    }

    /// Set a standing constraint.
    ///
    /// Every later plan obeys it.
    #[oai(
        path = "/constraints",
        method = "post",
        operation_id = "constraint_create"
    )]
    async fn create(
        &self,
        caller: Caller,
        body: Json<ConstraintCreate>,
    ) -> Answer<Created<Constraint>> {
        let ConstraintCreate { rule, reason } = body.0;
        let (rule, id) = (rule.back(), ConstraintId(self.0.state.storage.fresh_id()));
        let made = self
            .0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                let constraint = domain::budget::Constraint {
                    id,
                    rule: rule.clone(),
                    reason: reason.clone(),
                    recommendation: None,
                    active: true,
                    created_at: u.now(),
                };
                Box::pin(async move {
                    u.constraints().create(&constraint).await?;
                    changed(u, "constraint.set", id).await?;
                    Ok(constraint)
                })
            })
            .await?;
        Ok(Created::Created(
            Json(Mirror::of(made)),
            format!("{BASE}/constraints"),
        ))
    }

    /// Lift a standing constraint.
    ///
    /// Plans already of record stay as they are.
    #[oai(
        path = "/constraints/:constraint_id",
        method = "delete",
        operation_id = "constraint_delete"
    )]
    async fn delete(&self, caller: Caller, constraint_id: Path<Id<ConstraintId>>) -> Answer<Done> {
        let id = constraint_id.0.0;
        self.0
            .state
            .storage
            .unit(caller.grant(), move |u| {
                Box::pin(async move {
                    u.constraints().set_active(id, false).await?;
                    changed(u, "constraint.lifted", id).await
                })
            })
            .await?;
        Ok(Done::Done)
    }

    /// List the targets.
    ///
    /// Those in force.
    #[oai(path = "/targets", method = "get", operation_id = "target_list")]
    async fn targets(&self, caller: Caller) -> Answer<Json<Vec<Target>>> {
        let mut targets = self
            .0
            .state
            .storage
            .scope(caller.grant())
            .targets()
            .list()
            .await?;
        targets.retain(|target| target.active);
        Ok(Json(Mirror::of(targets)))
    }
}
