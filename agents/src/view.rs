//! The portfolio as an agent sees it in one cycle: what is known, as of which date, from which data.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use domain::{
    brand::{Brand, BrandRole, Channel},
    budget::Constraint,
    id::{BrandId, ChannelId, MetricId, ProjectId},
    metric::{MetricDefinition, MetricRole},
    organisation::Organisation,
    outcome::Target,
    project::Project,
    provenance::Provenance,
    recommendation::Evidence,
    unit::{Effect, Interval},
};

/// Ratio of the half-widths of an 80 % and a 95 % interval of a normal quantity (1.2816 / 1.9600).
const EIGHTY_OF_NINETY_FIVE: f64 = 0.653_86;

/// What is known about the portfolio, without the values themselves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    /// The organisation.
    pub organisation: Organisation,
    /// The domain date.
    pub as_of: NaiveDate,
    /// Digest of all values that everything below was computed from.
    pub digest: String,
    /// First day of the last period with data.
    pub data_until: Option<NaiveDate>,
    /// Brands, by name.
    pub brands: Vec<Brand>,
    /// Channels, by key.
    pub channels: Vec<Channel>,
    /// Latest metric definitions.
    pub metrics: Vec<MetricDefinition>,
    /// Projects.
    pub projects: Vec<Project>,
    /// Standing constraints in force.
    pub(crate) constraints: Vec<Constraint>,
    /// Targets in force.
    pub targets: Vec<Target>,
    /// Weekly spend by line as it is now: the plan of record, or the mean of the last weeks.
    pub current: BTreeMap<(BrandId, ChannelId), f64>,
}

/// An expected effect with its probability of being positive.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// The effect.
    pub effect: Effect,
    /// P(effect > 0).
    pub confidence: f64,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Answers "what if these lines were spent at these weekly amounts, everything else as now?" from the stored fit.
pub(crate) type WhatIf<'a> = dyn Fn(&[(BrandId, ChannelId, f64)]) -> Option<Estimate> + 'a;

impl View {
    /// Name of a brand.
    pub(crate) fn brand_name(&self, id: BrandId) -> String {
        self.brands
            .iter()
            .find(|b| b.id == id)
            .map_or_else(|| id.to_string(), |b| b.name.clone())
    }

    /// Name of a channel.
    pub(crate) fn channel_name(&self, id: ChannelId) -> String {
        self.channels
            .iter()
            .find(|c| c.id == id)
            .map_or_else(|| id.to_string(), |c| c.name.clone())
    }

    /// Key of a channel, for subjects.
    pub(crate) fn channel_key(&self, id: ChannelId) -> String {
        self.channels
            .iter()
            .find(|c| c.id == id)
            .map_or_else(|| id.to_string(), |c| c.key.clone())
    }

    /// Definition of a metric.
    pub(crate) fn metric(&self, id: MetricId) -> Option<&MetricDefinition> {
        self.metrics.iter().find(|m| m.id == id)
    }

    /// Name of a metric.
    pub(crate) fn metric_name(&self, id: MetricId) -> String {
        self.metric(id)
            .map_or_else(|| id.to_string(), |m| m.name.clone())
    }

    /// Name of a project.
    pub(crate) fn project_name(&self, id: ProjectId) -> String {
        self.projects
            .iter()
            .find(|p| p.id == id)
            .map_or_else(|| id.to_string(), |p| p.name.clone())
    }

    /// The brand.
    pub(crate) fn brand(&self, id: BrandId) -> Option<&Brand> {
        self.brands.iter().find(|b| b.id == id)
    }

    /// Whether it is one of our own.
    pub(crate) fn is_own(&self, id: BrandId) -> bool {
        self.brand(id).is_some_and(|b| b.role == BrandRole::Primary)
    }

    /// The outcome metric the portfolio is run for.
    pub(crate) fn outcome(&self) -> Option<&MetricDefinition> {
        self.metrics.iter().find(|m| m.role == MetricRole::Outcome)
    }

    /// The outcome series of every own brand.
    pub(crate) fn own_outcomes(&self) -> impl Iterator<Item = (BrandId, MetricId)> + '_ {
        let own = self.brands.iter().filter(|b| b.role == BrandRole::Primary);
        own.filter_map(|brand| Some((brand.id, self.outcome()?.id)))
    }

    /// The spend metric of a channel.
    pub(crate) fn spend_metric(&self, channel: ChannelId) -> Option<&MetricDefinition> {
        self.metrics
            .iter()
            .find(|m| m.role == MetricRole::Spend && m.channel == Some(channel))
    }

    /// What a brand spends a week over all channels.
    pub(crate) fn brand_media(&self, brand: BrandId) -> f64 {
        self.lines_of(brand).map(|(_, weekly)| weekly).sum()
    }

    /// A brand's lines.
    pub(crate) fn lines_of(&self, brand: BrandId) -> impl Iterator<Item = (ChannelId, f64)> + '_ {
        self.current
            .iter()
            .filter(move |((b, _), _)| *b == brand)
            .map(|((_, channel), weekly)| (*channel, *weekly))
    }

    /// The Monday after the domain date.
    pub(crate) fn next_monday(&self) -> NaiveDate {
        crate::calendar::next_monday(self.as_of)
    }

    /// The domain date `weeks` from now.
    pub(crate) fn in_weeks(&self, weeks: u32) -> NaiveDate {
        self.as_of + Days::new(7 * u64::from(weeks))
    }

    /// Whole weeks between the end of the last period with data and the domain date; `None` without data.
    pub(crate) fn data_age_weeks(&self) -> Option<i64> {
        self.data_until
            .map(|until| ((self.as_of - until).num_days() / 7 - 1).max(0))
    }

    /// An amount of money for people: `EUR 12,300`.
    pub(crate) fn money(&self, amount: f64) -> String {
        format!("{} {}", self.organisation.currency, grouped(amount))
    }
}

/// A number rounded to three significant digits or whole units, with thousands separated.
pub(crate) fn grouped(amount: f64) -> String {
    let rounded = amount.round();
    let digits = format!("{:.0}", rounded.abs());
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if rounded < 0.0 {
        format!("-{out}")
    } else {
        out
    }
}

/// The 80 % interval that belongs to a 95 % interval of a roughly normal quantity.
pub(crate) fn eighty_of(interval95: Interval) -> Interval {
    let middle = f64::midpoint(interval95.low, interval95.high);
    let half = (interval95.high - interval95.low) / 2.0 * EIGHTY_OF_NINETY_FIVE;
    Interval {
        low: middle - half,
        high: middle + half,
    }
}

/// One number of evidence.
pub(crate) fn evidence(
    label: impl Into<String>,
    value: f64,
    unit: &str,
    interval95: Option<Interval>,
    note: impl Into<String>,
    provenance: &Provenance,
) -> Evidence {
    Evidence {
        label: label.into(),
        value: value.is_finite().then_some(value),
        unit: unit.to_owned(),
        interval95,
        note: note.into(),
        provenance: provenance.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_grouped_by_thousands() {
        assert_eq!(grouped(1_234_567.4), "1,234,567");
        assert_eq!(grouped(-999.6), "-1,000");
        assert_eq!(grouped(12.0), "12");
    }

    #[test]
    fn the_inner_interval_keeps_the_middle() {
        let inner = eighty_of(Interval {
            low: 0.0,
            high: 3.92,
        });
        assert!(
            (inner.low - (1.96 - 1.2816)).abs() < 1e-3
                && (inner.high - (1.96 + 1.2816)).abs() < 1e-3
        );
    }
}

#[cfg(test)]
pub(crate) mod tests_support {
    //! A small portfolio for the tests of the rules.

    use domain::{
        id::{OrgId, PlanId},
        metric::{Direction, Granularity, MetricUnit, Section},
        quality::{Cleaning, QualityLimits},
    };

    use super::*;

    pub(crate) const NAMES: [&str; 4] = ["Alder", "Birch", "Cedar", "Rival"];

    pub(crate) fn brand(name: &str) -> BrandId {
        BrandId::derive(&["o", name])
    }

    pub(crate) fn channel(key: &str) -> ChannelId {
        ChannelId::derive(&["o", key])
    }

    pub(crate) fn metric(key: &str) -> MetricId {
        MetricId::derive(&["o", key])
    }

    pub(crate) fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2025, 1, 12).expect("a date")
    }

    pub(crate) fn plan_id() -> PlanId {
        PlanId::derive(&["o", "plan"])
    }

    fn definition(key: &str, role: MetricRole, on: Option<&str>) -> MetricDefinition {
        MetricDefinition {
            id: metric(key),
            version: 1,
            key: key.to_owned(),
            name: key.replace('_', " "),
            section: Section::Marketplace,
            platform: String::new(),
            role,
            unit: MetricUnit::Count,
            direction: Direction::Direct,
            weight: 5.0,
            granularity: Granularity::Week,
            channel: on.map(channel),
            cleaning: Cleaning::default(),
            quality: QualityLimits::default(),
        }
    }

    /// Three own brands and a rival, two channels, every line at 100 a week.
    pub(crate) fn a_view() -> View {
        let own = &NAMES[..3];
        let brand_of = |name: &&str| Brand {
            id: brand(name),
            name: (*name).to_owned(),
            role: if own.contains(name) {
                BrandRole::Primary
            } else {
                BrandRole::Competitor
            },
            category: String::new(),
            margin: Some(0.4),
            parent: None,
        };
        View {
            organisation: Organisation {
                id: OrgId::derive(&["o"]),
                name: "o".to_owned(),
                currency: "EUR".to_owned(),
                time_zone: "UTC".to_owned(),
                as_of: Some(day()),
            },
            as_of: day(),
            digest: "d1".to_owned(),
            data_until: NaiveDate::from_ymd_opt(2025, 1, 6),
            brands: NAMES.iter().map(brand_of).collect(),
            channels: ["search", "video"]
                .map(|key| Channel {
                    id: channel(key),
                    key: key.to_owned(),
                    name: key.to_owned(),
                })
                .to_vec(),
            metrics: vec![
                definition("units_sold", MetricRole::Outcome, None),
                definition("branded_search", MetricRole::Health, None),
                definition("reviews", MetricRole::Health, None),
                definition("spend_search", MetricRole::Spend, Some("search")),
                definition("spend_video", MetricRole::Spend, Some("video")),
            ],
            projects: Vec::new(),
            constraints: Vec::new(),
            targets: Vec::new(),
            current: own
                .iter()
                .flat_map(|name| {
                    ["search", "video"].map(|key| ((brand(name), channel(key)), 100.0))
                })
                .collect(),
        }
    }

    /// An estimate of this value, certain to a tenth.
    pub(crate) fn estimate(value: f64) -> Estimate {
        Estimate {
            effect: Effect {
                value,
                interval80: Interval {
                    low: value - value.abs() * 0.1,
                    high: value + value.abs() * 0.1,
                },
                base: None,
                unit: "EUR".to_owned(),
                horizon_weeks: 12,
            },
            confidence: if value > 0.0 { 0.99 } else { 0.01 },
            provenance: Provenance::default(),
        }
    }

    /// A constraint in force.
    pub(crate) fn constraint(rule: domain::budget::Rule) -> Constraint {
        Constraint {
            id: domain::id::ConstraintId::derive(&["o", "c"]),
            rule,
            reason: String::new(),
            recommendation: None,
            active: true,
            created_at: chrono::DateTime::UNIX_EPOCH,
        }
    }
}
