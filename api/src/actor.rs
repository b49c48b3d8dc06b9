//! Who did something.

use domain::access::Actor as DomainActor;
use poem_openapi::{Enum, Object};

use crate::mirror::{Mirror, mirror_enum};

mirror_enum! {
    /// The agents and the arbitrator, as actors of the audit trail.
    AgentKind of domain::access::AgentKind {
        /// Portfolio optimisation: budgets across brands and channels.
        Optimisation,
        /// Multi-brand metrics: synergies, cannibalisation, data quality.
        Metrics,
        /// Forecasting.
        Forecasting,
        /// Strategy: gaps, positioning, initiatives.
        Strategy,
    }
}

/// Kind of actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum ActorKind {
    /// A person.
    User,
    /// One of the agents.
    Agent,
    /// The installation itself: schedules, the arbitrator, the command line.
    System,
}

/// Who acted.
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Actor {
    /// Kind of actor.
    pub(crate) kind: ActorKind,
    /// Id of the person, or name of the agent; absent for the installation.
    pub(crate) id: Option<String>,
}

impl Mirror for Actor {
    type Of = DomainActor;

    fn of(actor: DomainActor) -> Self {
        match actor {
            DomainActor::User(id) => Self {
                kind: ActorKind::User,
                id: Some(id.to_string()),
            },
            DomainActor::Agent(agent) => Self {
                kind: ActorKind::Agent,
                id: Some(agent.name().into()),
            },
            DomainActor::System => Self {
                kind: ActorKind::System,
                id: None,
            },
        }
    }
}
