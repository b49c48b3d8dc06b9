//! Rules on groups of cells: caps and floors by brand, channel, week and agency, limits of change, resources, outcomes.

use serde::{Deserialize, Serialize};

use super::{AllocationError, grid::Grid};

/// A rule of a problem. Brands, channels and weeks are numbered from 0; amounts are in the unit of the spend. What a rule
/// does not name, it sums over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// Spend of a channel is at most this.
    ChannelCap {
        /// Channel.
        channel: usize,
        /// Most.
        max: f64,
    },
    /// Spend of a channel is at least this.
    ChannelFloor {
        /// Channel.
        channel: usize,
        /// Least.
        min: f64,
    },
    /// Spend of a brand is at most this.
    BrandCap {
        /// Brand.
        brand: usize,
        /// Most.
        max: f64,
    },
    /// Spend of a brand is at least this.
    BrandFloor {
        /// Brand.
        brand: usize,
        /// Least.
        min: f64,
    },
    /// Spend of a week is at most this.
    WeekCap {
        /// Week.
        week: usize,
        /// Most.
        max: f64,
    },
    /// Spend of a week is at least this.
    WeekFloor {
        /// Week.
        week: usize,
        /// Least.
        min: f64,
    },
    /// Spend of a group (an agency, say) is at most this. An empty list means all.
    GroupCap {
        /// Brands.
        #[serde(default)]
        brands: Vec<usize>,
        /// Channels.
        #[serde(default)]
        channels: Vec<usize>,
        /// Weeks.
        #[serde(default)]
        weeks: Vec<usize>,
        /// Most.
        max: f64,
    },
    /// Spend of a group is at least this. An empty list means all.
    GroupFloor {
        /// Brands.
        #[serde(default)]
        brands: Vec<usize>,
        /// Channels.
        #[serde(default)]
        channels: Vec<usize>,
        /// Weeks.
        #[serde(default)]
        weeks: Vec<usize>,
        /// Least.
        min: f64,
    },
    /// Spend of a brand differs from its current spend by no more than this share.
    BrandChange {
        /// Brand.
        brand: usize,
        /// Share of current spend.
        max_relative: f64,
    },
    /// Spend of a channel differs from its current spend by no more than this share.
    ChannelChange {
        /// Channel.
        channel: usize,
        /// Share of current spend.
        max_relative: f64,
    },
    /// Spend of a cell differs from its current spend by no more than this share.
    CellChange {
        /// Brand.
        brand: usize,
        /// Channel.
        channel: usize,
        /// Share of current spend.
        max_relative: f64,
    },
    /// Spend of a cell is what it is, or this amount.
    Fixed {
        /// Brand.
        brand: usize,
        /// Channel.
        channel: usize,
        /// Amount; current spend where absent.
        #[serde(default)]
        amount: Option<f64>,
    },
    /// A cell spends its lower bound (usually nothing) or at least this.
    MinimumIfUsed {
        /// Brand.
        brand: usize,
        /// Channel.
        channel: usize,
        /// Least, if used.
        min: f64,
    },
    /// Use of something other than money: `Σ rate · spend` is at most this.
    ResourceCap {
        /// What is used, such as CO₂.
        name: String,
        /// Use per unit of spend.
        rate: Grid,
        /// Most.
        max: f64,
    },
    /// Outcome of these brands together, effects of other brands' media included, is at least this. An empty list means all.
    OutcomeFloor {
        /// Brands.
        #[serde(default)]
        brands: Vec<usize>,
        /// Least.
        min: f64,
    },
}

/// What there is in a problem that a rule may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) brands: usize,
    pub(crate) channels: usize,
    pub(crate) weeks: usize,
    /// Whether current spend is known.
    pub(crate) current: bool,
    /// Whether spends are decided by week, be it a single one.
    pub(crate) weekly: bool,
}

impl Rule {
    /// Whether its numbers make sense for a problem.
    pub(crate) fn check(&self, number: usize, extent: Extent) -> Result<(), AllocationError> {
        let bad = |why: String| Err(AllocationError::Rule { number, why });
        let (brands, channels, weeks) = self.groups();
        for (list, count, noun) in [
            (brands, extent.brands, "brand"),
            (channels, extent.channels, "channel"),
            (weeks, extent.weeks, "week"),
        ] {
            if let Some(index) = list.iter().find(|i| **i >= count) {
                return bad(format!("there is no {noun} {index}"));
            }
        }
        let amounts: &[f64] = match self {
            Self::ChannelCap { max, .. }
            | Self::BrandCap { max, .. }
            | Self::WeekCap { max, .. }
            | Self::GroupCap { max, .. }
            | Self::ResourceCap { max, .. } => &[*max],
            Self::ChannelFloor { min, .. }
            | Self::BrandFloor { min, .. }
            | Self::WeekFloor { min, .. }
            | Self::GroupFloor { min, .. }
            | Self::MinimumIfUsed { min, .. }
            | Self::OutcomeFloor { min, .. } => &[*min],
            Self::BrandChange { max_relative, .. }
            | Self::ChannelChange { max_relative, .. }
            | Self::CellChange { max_relative, .. } => {
                if !extent.current {
                    return bad("a limit of change needs current spend".to_owned());
                }
                &[*max_relative]
            }
            Self::Fixed { amount: None, .. } => {
                if !extent.current {
                    return bad("without an amount it needs current spend".to_owned());
                }
                &[]
            }
            Self::Fixed {
                amount: Some(amount),
                ..
            } => &[*amount],
        };
        if let Some(value) = amounts.iter().find(|v| !v.is_finite() || **v < 0.0) {
            return bad(format!("{value} is not an amount"));
        }
        if extent.weekly && matches!(self, Self::MinimumIfUsed { .. }) {
            return bad("least use is not defined for weekly decisions".to_owned());
        }
        Ok(())
    }

    /// Brands, channels and weeks that the rule names.
    pub(crate) fn groups(&self) -> (&[usize], &[usize], &[usize]) {
        use std::slice::from_ref;
        match self {
            Self::ChannelCap { channel, .. }
            | Self::ChannelFloor { channel, .. }
            | Self::ChannelChange { channel, .. } => (&[], from_ref(channel), &[]),
            Self::BrandCap { brand, .. }
            | Self::BrandFloor { brand, .. }
            | Self::BrandChange { brand, .. } => (from_ref(brand), &[], &[]),
            Self::WeekCap { week, .. } | Self::WeekFloor { week, .. } => (&[], &[], from_ref(week)),
            Self::GroupCap {
                brands,
                channels,
                weeks,
                ..
            }
            | Self::GroupFloor {
                brands,
                channels,
                weeks,
                ..
            } => (brands, channels, weeks),
            Self::CellChange { brand, channel, .. }
            | Self::Fixed { brand, channel, .. }
            | Self::MinimumIfUsed { brand, channel, .. } => {
                (from_ref(brand), from_ref(channel), &[])
            }
            Self::OutcomeFloor { brands, .. } => (brands, &[], &[]),
            Self::ResourceCap { .. } => (&[], &[], &[]),
        }
    }
}
