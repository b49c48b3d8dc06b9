//! Rules on groups of cells: caps and floors by brand, channel, week and agency, limits of change, resources, outcomes.

use serde::{Deserialize, Serialize};

use super::{
    AllocationError,
    interior::Row,
    problem::{Grid, Laid},
};

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

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The total.
    Total,
    /// A rule by its number.
    Rule(usize),
}

/// A rule as rows of the program, with its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) row: Row,
}

impl Rule {
    /// Whether its numbers make sense for a problem.
    pub(crate) fn check(&self, number: usize, laid: &Laid) -> Result<(), AllocationError> {
        let bad = |why: String| Err(AllocationError::Rule { number, why });
        let (brands, channels, weeks) = self.groups();
        for (list, count, noun) in [
            (brands, laid.brands.len(), "brand"),
            (channels, laid.channels.len(), "channel"),
            (weeks, laid.span, "week"),
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
                if !laid.has_current {
                    return bad("a limit of change needs current spend".to_owned());
                }
                &[*max_relative]
            }
            Self::Fixed { amount: None, .. } => {
                if !laid.has_current {
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
        if laid.span > 1 && matches!(self, Self::MinimumIfUsed { .. }) {
            return bad("least use is not defined for weekly decisions".to_owned());
        }
        Ok(())
    }

    /// Brands, channels and weeks that the rule names.
    fn groups(&self) -> (&[usize], &[usize], &[usize]) {
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

/// The total and the rules as rows over variables (`cell · weeks + week`).
pub(crate) fn rows(laid: &Laid, rules: &[Rule]) -> Result<Vec<Named>, AllocationError> {
    let span = laid.span;
    let everything: Vec<(usize, f64)> = (0..laid.cells.len() * span).map(|i| (i, 1.0)).collect();
    let mut rows = vec![Named {
        name: "total".to_owned(),
        origin: Origin::Total,
        row: Row {
            terms: everything,
            outcome: Vec::new(),
            lower: if laid.total.0 > 0.0 || laid.total.1 == laid.total.0 {
                laid.total.0
            } else {
                f64::NEG_INFINITY
            },
            upper: laid.total.1,
        },
    }];
    for (number, rule) in rules.iter().enumerate() {
        let (brands, channels, weeks) = rule.groups();
        let within = |list: &[usize], index: usize| list.is_empty() || list.contains(&index);
        let members = || -> Vec<usize> {
            (0..laid.cells.len())
                .filter(|&i| {
                    within(brands, laid.cells[i].brand) && within(channels, laid.cells[i].channel)
                })
                .collect()
        };
        let terms = || -> Vec<(usize, f64)> {
            members()
                .into_iter()
                .flat_map(|i| {
                    (0..span)
                        .filter(|t| within(weeks, *t))
                        .map(move |t| (i * span + t, 1.0))
                })
                .collect()
        };
        let brand = |b: &usize| laid.brands[*b].as_str();
        let channel = |c: &usize| laid.channels[*c].as_str();
        let group = || {
            let list = |names: Vec<&str>| match names.as_slice() {
                [first, _, .., last] if names.len() > 3 => {
                    format!("{first} … {last} ({} in all)", names.len())
                }
                _ => names.join(", "),
            };
            let mut parts = Vec::new();
            if !brands.is_empty() {
                parts.push(list(brands.iter().map(brand).collect()));
            }
            if !channels.is_empty() {
                parts.push(list(channels.iter().map(channel).collect()));
            }
            if !weeks.is_empty() {
                let weeks: Vec<String> = weeks.iter().map(usize::to_string).collect();
                parts.push(format!(
                    "weeks {}",
                    list(weeks.iter().map(String::as_str).collect())
                ));
            }
            if parts.is_empty() {
                "everything".to_owned()
            } else {
                parts.join("; ")
            }
        };
        let (below, above) = (f64::NEG_INFINITY, f64::INFINITY);
        let linear = |name: String, lower: f64, upper: f64| Named {
            name,
            origin: Origin::Rule(number),
            row: Row {
                terms: terms(),
                outcome: Vec::new(),
                lower,
                upper,
            },
        };
        let change = |name: String, share: f64| {
            let now: f64 = members()
                .iter()
                .map(|&i| laid.cells[i].current)
                .sum::<f64>()
                * span as f64;
            linear(name, now * (1.0 - share), now * (1.0 + share))
        };
        rows.push(match rule {
            Rule::ChannelCap { channel: c, max } => {
                linear(format!("cap of {}", channel(c)), below, *max)
            }
            Rule::ChannelFloor { channel: c, min } => {
                linear(format!("floor of {}", channel(c)), *min, above)
            }
            Rule::BrandCap { brand: b, max } => linear(format!("cap of {}", brand(b)), below, *max),
            Rule::BrandFloor { brand: b, min } => {
                linear(format!("floor of {}", brand(b)), *min, above)
            }
            Rule::WeekCap { week, max } => linear(format!("cap of week {week}"), below, *max),
            Rule::WeekFloor { week, min } => linear(format!("floor of week {week}"), *min, above),
            Rule::GroupCap { max, .. } => linear(format!("cap of {}", group()), below, *max),
            Rule::GroupFloor { min, .. } => linear(format!("floor of {}", group()), *min, above),
            Rule::BrandChange {
                brand: b,
                max_relative,
            } => change(format!("change of {}", brand(b)), *max_relative),
            Rule::ChannelChange {
                channel: c,
                max_relative,
            } => change(format!("change of {}", channel(c)), *max_relative),
            Rule::CellChange { .. } | Rule::Fixed { .. } | Rule::MinimumIfUsed { .. } => continue,
            Rule::ResourceCap { name, rate, max } => {
                let rates = rate.cells("rate", laid.brands.len(), laid.channels.len())?;
                Named {
                    name: format!("cap of {name}"),
                    origin: Origin::Rule(number),
                    row: Row {
                        terms: (0..laid.cells.len() * span)
                            .map(|i| (i, rates[i / span]))
                            .filter(|(_, rate)| *rate != 0.0)
                            .collect(),
                        outcome: Vec::new(),
                        lower: below,
                        upper: *max,
                    },
                }
            }
            Rule::OutcomeFloor { min, .. } => Named {
                name: format!("outcome of {}", group()),
                origin: Origin::Rule(number),
                row: Row {
                    terms: Vec::new(),
                    outcome: (0..laid.cells.len())
                        .map(|j| {
                            let from = laid.cells[j].brand;
                            let weight: f64 = (0..laid.brands.len())
                                .filter(|i| within(brands, *i))
                                .map(|i| f64::from(u8::from(i == from)) + laid.cross[i][from])
                                .sum();
                            (j, weight)
                        })
                        .filter(|(_, weight)| *weight != 0.0)
                        .collect(),
                    lower: *min,
                    upper: above,
                },
            },
        });
    }
    Ok(rows)
}
