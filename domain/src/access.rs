//! Who may do what: six ranked roles, permissions, and the [`Grant`] that opens the storage.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    Error, ErrorKind,
    id::{OrgId, UserId},
};

/// The product's six roles, most powerful first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Operates the installation.
    SystemAdmin,
    /// Runs one organisation: users, settings, everything below.
    OrgAdmin,
    /// Decides on recommendations and plans across brands.
    PortfolioManager,
    /// Decides on recommendations, edits brand data.
    BrandManager,
    /// Imports data, runs agents and analyses, decides nothing.
    Analyst,
    /// Reads.
    Viewer,
}

/// One thing a principal may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each variant reads as what it allows")]
pub enum Permission {
    PortfolioRead,
    PortfolioWrite,
    BrandWrite,
    MetricRead,
    MetricWrite,
    IngestWrite,
    MappingWrite,
    ScoreRead,
    ForecastRead,
    SynergyRead,
    GapRead,
    PlanRead,
    PlanWrite,
    ConstraintWrite,
    RecommendationRead,
    RecommendationPropose,
    RecommendationDecide,
    AgentRead,
    AgentControl,
    RunRead,
    RunWrite,
    ScheduleRead,
    ScheduleWrite,
    EventRead,
    UserRead,
    UserWrite,
    SettingRead,
    SettingWrite,
    AuditRead,
    DemoAdvance,
}

use Permission as P;

impl Permission {
    /// Every permission, in order.
    pub const ALL: [Permission; 30] = [
        P::PortfolioRead,
        P::PortfolioWrite,
        P::BrandWrite,
        P::MetricRead,
        P::MetricWrite,
        P::IngestWrite,
        P::MappingWrite,
        P::ScoreRead,
        P::ForecastRead,
        P::SynergyRead,
        P::GapRead,
        P::PlanRead,
        P::PlanWrite,
        P::ConstraintWrite,
        P::RecommendationRead,
        P::RecommendationPropose,
        P::RecommendationDecide,
        P::AgentRead,
        P::AgentControl,
        P::RunRead,
        P::RunWrite,
        P::ScheduleRead,
        P::ScheduleWrite,
        P::EventRead,
        P::UserRead,
        P::UserWrite,
        P::SettingRead,
        P::SettingWrite,
        P::AuditRead,
        P::DemoAdvance,
    ];

    /// Whether this permission only reads.
    pub fn is_read(self) -> bool {
        matches!(
            self,
            P::PortfolioRead
                | P::MetricRead
                | P::ScoreRead
                | P::ForecastRead
                | P::SynergyRead
                | P::GapRead
                | P::PlanRead
                | P::RecommendationRead
                | P::AgentRead
                | P::RunRead
                | P::ScheduleRead
                | P::EventRead
                | P::UserRead
                | P::SettingRead
                | P::AuditRead
        )
    }

    /// The weakest role that holds this permission.
    fn least_role(self) -> Role {
        match self {
            P::SettingRead | P::UserRead | P::AuditRead => Role::PortfolioManager,
            P::UserWrite | P::SettingWrite => Role::OrgAdmin,
            P::PortfolioWrite | P::PlanWrite | P::ConstraintWrite | P::ScheduleWrite => {
                Role::PortfolioManager
            }
            P::BrandWrite | P::RecommendationDecide | P::DemoAdvance => Role::BrandManager,
            P::MetricWrite
            | P::IngestWrite
            | P::MappingWrite
            | P::AgentControl
            | P::RunWrite
            | P::RecommendationPropose => Role::Analyst,
            _ => Role::Viewer,
        }
    }
}

impl Role {
    /// The permissions of this role. A stronger role holds all of a weaker one's.
    pub fn permissions(self) -> BTreeSet<Permission> {
        Permission::ALL
            .into_iter()
            .filter(|p| self <= p.least_role())
            .collect()
    }
}

/// The agents and the arbitrator, as actors of the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// Portfolio optimisation: budgets across brands and channels.
    Optimisation,
    /// Multi-brand metrics: synergies, cannibalisation, data quality.
    Metrics,
    /// Forecasting.
    Forecasting,
    /// Strategy: gaps, positioning, initiatives.
    Strategy,
}

impl AgentKind {
    /// All four.
    pub const ALL: [AgentKind; 4] = [
        Self::Optimisation,
        Self::Metrics,
        Self::Forecasting,
        Self::Strategy,
    ];

    /// The stable name, as in URLs and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Optimisation => "optimisation",
            Self::Metrics => "metrics",
            Self::Forecasting => "forecasting",
            Self::Strategy => "strategy",
        }
    }
}

impl std::str::FromStr for AgentKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| {
                Error::not_found(
                    "agent.unknown",
                    format!("there is no agent called {text:?}"),
                )
                .advise("the agents are optimisation, metrics, forecasting and strategy")
            })
    }
}

/// Who acts, as written to the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A person.
    User(UserId),
    /// One of the agents.
    Agent(AgentKind),
    /// The installation itself: schedules, the arbitrator, the command line.
    System,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "{id}"),
            Self::Agent(kind) => write!(f, "agent:{}", kind.name()),
            Self::System => f.write_str("system"),
        }
    }
}

/// Somebody who has been recognised, with the permissions held in one organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    org: OrgId,
    actor: Actor,
    permissions: BTreeSet<Permission>,
}

impl Principal {
    /// A person with a role.
    pub fn user(org: OrgId, user: UserId, role: Role) -> Self {
        Self {
            org,
            actor: Actor::User(user),
            permissions: role.permissions(),
        }
    }

    /// An agent: reads everything, proposes, and writes what it computed. It never decides.
    pub fn agent(org: OrgId, kind: AgentKind) -> Self {
        let mut permissions = Role::Analyst.permissions();
        permissions.insert(P::PlanWrite);
        permissions.remove(&P::AgentControl);
        Self {
            org,
            actor: Actor::Agent(kind),
            permissions,
        }
    }

    /// The installation acting within one organisation (imports from the command line, schedules, applying what
    /// a person approved).
    pub fn system(org: OrgId) -> Self {
        Self {
            org,
            actor: Actor::System,
            permissions: Permission::ALL.into_iter().collect(),
        }
    }

    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// Who it is.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// The permissions held.
    pub fn permissions(&self) -> &BTreeSet<Permission> {
        &self.permissions
    }

    /// A grant for `permission`.
    ///
    /// # Errors
    /// `access.forbidden` when the principal does not hold it.
    pub fn grant(&self, permission: Permission) -> Result<Grant, Error> {
        if !self.permissions.contains(&permission) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "access.forbidden",
                format!("this needs the permission {permission:?}"),
            )
            .advise("ask an administrator of your organisation for a role that holds it"));
        }
        Ok(Grant {
            org: self.org,
            actor: self.actor,
            permission,
        })
    }
}

/// Proof that one permission in one organisation was checked. Without it no repository can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    org: OrgId,
    actor: Actor,
    permission: Permission,
}

impl Grant {
    /// The organisation it is good for.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// Who holds it.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// The permission that was checked.
    pub fn permission(&self) -> Permission {
        self.permission
    }

    /// Whether the grant allows changing anything.
    pub fn may_write(&self) -> bool {
        !self.permission.is_read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_role_holds_everything_a_weaker_one_does() {
        let roles = [
            Role::SystemAdmin,
            Role::OrgAdmin,
            Role::PortfolioManager,
            Role::BrandManager,
            Role::Analyst,
            Role::Viewer,
        ];
        for pair in roles.windows(2) {
            assert!(
                pair[1].permissions().is_subset(&pair[0].permissions()),
                "{pair:?}"
            );
        }
        assert_eq!(Role::SystemAdmin.permissions().len(), Permission::ALL.len());
    }

    #[test]
    fn an_agent_proposes_but_never_decides() {
        let agent = Principal::agent(OrgId::derive(&["o"]), AgentKind::Strategy);
        assert!(agent.grant(P::RecommendationPropose).is_ok());
        assert_eq!(
            agent
                .grant(P::RecommendationDecide)
                .expect_err("agents do not decide")
                .code,
            "access.forbidden"
        );
    }

    #[test]
    fn a_viewer_holds_only_permissions_that_read() {
        assert!(
            Role::Viewer
                .permissions()
                .into_iter()
                .all(Permission::is_read)
        );
    }
}
