//! Projects: disjoint slices of brands' values, and which brands are in them.

use serde::{Deserialize, Serialize};

use crate::id::{BrandId, ProjectId};

/// A project: a market, a retail channel or a business unit. Values of one brand in two projects never overlap, so a
/// portfolio is the sum of its projects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// The id.
    pub id: ProjectId,
    /// The name.
    pub name: String,
}

/// A brand's place in a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    /// The project.
    pub project: ProjectId,
    /// The brand.
    pub brand: BrandId,
    /// Weight of the brand in this project's score, at least 0. It changes no total.
    pub weight: f64,
}
