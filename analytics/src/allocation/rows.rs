//! The total and the rules of a problem as linear rows over its variables.

use super::{AllocationError, interior::Row, problem::Laid, rule::Rule};

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

/// What a rule names, in order and once each; an empty list means all.
fn listed(list: &[usize], count: usize) -> Vec<usize> {
    if list.is_empty() {
        return (0..count).collect();
    }
    let mut listed = list.to_vec();
    listed.sort_unstable();
    listed.dedup();
    listed
}

/// What a unit of each cell's own response adds to the outcome of these brands, where that is anything.
fn earned(laid: &Laid, brands: &[usize]) -> Vec<(usize, f64)> {
    let channels = laid.channels.len();
    let mut of = vec![0.0; laid.brands.len()];
    for &i in brands {
        of[i] += 1.0;
        for (of, effect) in of.iter_mut().zip(laid.effects_on(i)) {
            *of += effect;
        }
    }
    (0..laid.cells.len())
        .map(|j| (j, of[j / channels]))
        .filter(|(_, weight)| *weight != 0.0)
        .collect()
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
        // Cells are in order of their brand, then their channel.
        let members = || -> Vec<usize> {
            let columns = listed(channels, laid.channels.len());
            listed(brands, laid.brands.len())
                .into_iter()
                .flat_map(|b| columns.iter().map(move |c| b * laid.channels.len() + c))
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
                    outcome: earned(laid, &listed(brands, laid.brands.len())),
                    lower: *min,
                    upper: above,
                },
            },
        });
    }
    Ok(rows)
}
