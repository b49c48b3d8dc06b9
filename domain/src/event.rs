//! Facts in the past tense, written to the outbox in the transaction of the change they tell of.
//! They carry ids only: a consumer looks at the database, never at the event, for what is true.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::{EventId, OrgId};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each variant reads as what happened")]
pub enum EventKind {
    OrganisationCreated,
    PortfolioChanged,
    MetricsIngested,
    DataCorrected,
    ScoresComputed,
    ForecastsComputed,
    FitComputed,
    CrossEffectsComputed,
    PlanChanged,
    ConstraintChanged,
    TargetChanged,
    RecommendationProposed,
    RecommendationChanged,
    RecommendationApproved,
    RecommendationRejected,
    RecommendationApplied,
    OutcomeMeasured,
    RunChanged,
    ScheduleChanged,
    AgentChanged,
    ClockAdvanced,
    UserChanged,
    SettingChanged,
}

impl EventKind {
    /// Stable name, `snake_case`.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => unreachable!("an event kind is a string"),
        }
    }
}

/// A fact that has not been stored yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// Events with the same key are delivered in order, such as the text id of the thing that changed.
    pub key: String,
    /// Ids for the consumer to look up; never the change itself.
    pub body: serde_json::Value,
}

/// A stored fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The id.
    pub id: EventId,
    /// The organisation.
    pub org: OrgId,
    /// Dense position in delivery order.
    pub position: i64,
    /// What happened.
    pub kind: EventKind,
    /// Ordering key.
    pub key: String,
    /// Ids.
    pub body: serde_json::Value,
    /// When it was committed, by the writer's clock.
    pub at: DateTime<Utc>,
}
