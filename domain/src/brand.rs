//! Brands and how they relate.

use serde::{Deserialize, Serialize};

use crate::id::{BrandId, ChannelId};

/// Whose brand it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrandRole {
    /// One of our own.
    Primary,
    /// A rival.
    Competitor,
    /// A yardstick that is not a rival.
    Benchmark,
}

/// A brand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brand {
    /// The id.
    pub id: BrandId,
    /// The name, unique within the organisation.
    pub name: String,
    /// Whose brand it is.
    pub role: BrandRole,
    /// Category it competes in; empty when unknown.
    pub category: String,
    /// Share of sales value that is left before media and promotion cost, 0 to 1; `None` when nobody stated it.
    pub margin: Option<f64>,
    /// The brand above it in the hierarchy.
    pub parent: Option<BrandId>,
}

/// How two brands relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationshipKind {
    /// Two of our own that share buyers.
    Sibling,
    /// `to` competes with `from`.
    Rival,
    /// `to` is the yardstick of `from`.
    Benchmark,
}

/// A directed relationship between brands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relationship {
    /// From this brand.
    pub from: BrandId,
    /// To this brand.
    pub to: BrandId,
    /// What it is.
    pub kind: RelationshipKind,
}

/// A media channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// The id.
    pub id: ChannelId,
    /// Short stable key, such as `paid_search`.
    pub key: String,
    /// The name people read.
    pub name: String,
}
