//! Metric definitions and values.

use chrono::{Datelike, Days, Months, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::{
    id::{BrandId, ChannelId, MetricId, ProjectId},
    quality::{Cleaning, QualityLimits},
};

/// The four sections of the product's brand score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Marketplaces and shops.
    Marketplace,
    /// Paid media.
    DigitalSpends,
    /// Search, site and app performance that is not paid for.
    OrganicPerformance,
    /// What people say.
    Socialwatch,
}

/// What a metric is to the analytics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricRole {
    /// What the portfolio is run for: sales.
    Outcome,
    /// Money put into a channel.
    Spend,
    /// What the money bought: impressions, clicks.
    Exposure,
    /// A price.
    Price,
    /// A promotion's depth or presence.
    Promotion,
    /// A sign of brand health.
    Health,
    /// Anything outside our control: weather, category demand.
    Context,
}

/// Whether more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Higher is better.
    Direct,
    /// Lower is better.
    Indirect,
}

/// Unit of a metric's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricUnit {
    /// Whole units of the organisation's currency.
    Currency,
    /// A count of things.
    Count,
    /// A share between 0 and 1.
    Ratio,
    /// 0 to 100.
    Percent,
    /// A number without unit.
    Index,
    /// Seconds.
    Seconds,
    /// A place in an order, 1 is first.
    Rank,
}

impl MetricRole {
    /// Whether values of several projects add up or must be averaged. Money and counts add up, except for a price: two shops
    /// that sell at 4 do not sell at 8.
    pub fn adds_up(self, unit: MetricUnit) -> bool {
        self != Self::Price && matches!(unit, MetricUnit::Currency | MetricUnit::Count)
    }
}

/// Length of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// One day.
    Day,
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
    /// A calendar quarter.
    Quarter,
}

impl Granularity {
    /// The first day of the period that holds `date`.
    pub fn start_of(self, date: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => date,
            Self::Week => date - Days::new(u64::from(date.weekday().num_days_from_monday())),
            Self::Month => date.with_day(1).expect("every month has a first day"),
            Self::Quarter => {
                let month = (date.month0() / 3) * 3 + 1;
                NaiveDate::from_ymd_opt(date.year(), month, 1)
                    .expect("every quarter has a first day")
            }
        }
    }

    /// The start of the period `n` after the one that starts at `start`.
    pub fn add(self, start: NaiveDate, n: u32) -> NaiveDate {
        match self {
            Self::Day => start + Days::new(u64::from(n)),
            Self::Week => start + Days::new(7 * u64::from(n)),
            Self::Month => start + Months::new(n),
            Self::Quarter => start + Months::new(3 * n),
        }
    }

    /// Periods of the season that a series of a few years shows. A week is the season that days show first; a year of days is more
    /// than most series have.
    pub fn season(self) -> usize {
        match self {
            Self::Day => 7,
            other => other.per_year(),
        }
    }

    /// Periods in a year.
    pub fn per_year(self) -> usize {
        match self {
            Self::Day => 365,
            Self::Week => 52,
            Self::Month => 12,
            Self::Quarter => 4,
        }
    }
}

/// One version of a metric's definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricDefinition {
    /// The id, the same for all versions.
    pub id: MetricId,
    /// Version, from 1; a change makes the next.
    pub version: u32,
    /// Short stable key, such as `spend_paid_search`; unique within the organisation.
    pub key: String,
    /// The name people read.
    pub name: String,
    /// Section of the score.
    pub section: Section,
    /// Where it is measured, such as `amazon` or `instagram`; empty when there is no such place.
    pub platform: String,
    /// What it is to the analytics.
    pub role: MetricRole,
    /// Unit of its values.
    pub unit: MetricUnit,
    /// Whether more is better.
    pub direction: Direction,
    /// Weight in the score, at least 0; 0 leaves it out.
    pub weight: f64,
    /// Length of its periods.
    pub granularity: Granularity,
    /// The channel, for spend and exposure.
    pub channel: Option<ChannelId>,
    /// How its series are cleaned before they are used; the stored values stay as they are.
    #[serde(default, skip_serializing_if = "Cleaning::is_default")]
    pub cleaning: Cleaning,
    /// Limits of the quality check that differ from the usual ones of its role.
    #[serde(default, skip_serializing_if = "QualityLimits::is_default")]
    pub quality: QualityLimits,
}

impl MetricDefinition {
    /// Whether values of several projects add up or must be averaged; see [`MetricRole::adds_up`].
    pub fn adds_up(&self) -> bool {
        self.role.adds_up(self.unit)
    }

    /// Whether it counts what is sold, so that prices can be weighted by it.
    pub fn counts_units(&self) -> bool {
        self.role == MetricRole::Outcome && self.unit == MetricUnit::Count
    }

    /// One value for several projects: their sum where it adds up, otherwise their mean. A price is weighted by the units
    /// sold at it when they are known in every project; each value comes with those units. `None` without any value.
    pub fn across_projects(
        &self,
        values: impl IntoIterator<Item = (f64, Option<f64>)>,
    ) -> Option<f64> {
        let (mut n, mut sum) = (0.0, 0.0);
        let (mut units, mut worth) = (Some(0.0), 0.0);
        for (value, sold) in values {
            n += 1.0;
            sum += value;
            worth += value * sold.unwrap_or_default();
            units = units.zip(sold).map(|(units, sold)| units + sold);
        }
        if n == 0.0 {
            return None;
        }
        if self.adds_up() {
            return Some(sum);
        }
        match units.filter(|units| self.role == MetricRole::Price && *units > 0.0) {
            Some(units) => Some(worth / units),
            None => Some(sum / n),
        }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricValue {
    /// The project it belongs to.
    pub project: ProjectId,
    /// The brand.
    pub brand: BrandId,
    /// The metric.
    pub metric: MetricId,
    /// First day of the period.
    pub period: NaiveDate,
    /// Length of the period.
    pub granularity: Granularity,
    /// The value, finite.
    pub value: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(role: MetricRole, unit: MetricUnit) -> MetricDefinition {
        MetricDefinition {
            id: MetricId::derive(&["o", "m"]),
            version: 1,
            key: "m".to_owned(),
            name: "M".to_owned(),
            section: Section::Marketplace,
            platform: String::new(),
            role,
            unit,
            direction: Direction::Direct,
            weight: 1.0,
            granularity: Granularity::Week,
            channel: None,
            cleaning: Cleaning::default(),
            quality: QualityLimits::default(),
        }
    }

    #[test]
    fn money_and_counts_add_up_over_projects_and_everything_else_is_averaged() {
        let two = [(4.0, None), (6.0, None)];
        let one = |role, unit| metric(role, unit).across_projects(two);
        assert_eq!(one(MetricRole::Spend, MetricUnit::Currency), Some(10.0));
        assert_eq!(one(MetricRole::Outcome, MetricUnit::Count), Some(10.0));
        assert_eq!(one(MetricRole::Health, MetricUnit::Ratio), Some(5.0));
        assert_eq!(one(MetricRole::Price, MetricUnit::Currency), Some(5.0));
        assert_eq!(
            metric(MetricRole::Spend, MetricUnit::Currency).across_projects([]),
            None
        );
    }

    #[test]
    fn a_price_is_weighted_by_the_units_sold_at_it_when_all_are_known() {
        let price = metric(MetricRole::Price, MetricUnit::Currency);
        let at =
            |units: [Option<f64>; 2]| price.across_projects([(4.0, units[0]), (6.0, units[1])]);
        assert_eq!(at([Some(30.0), Some(10.0)]), Some(4.5));
        assert_eq!(at([Some(30.0), None]), Some(5.0), "one is unknown");
        assert_eq!(at([Some(0.0), Some(0.0)]), Some(5.0), "nothing was sold");
        let rating = metric(MetricRole::Health, MetricUnit::Index);
        assert_eq!(
            rating.across_projects([(4.0, Some(30.0)), (6.0, Some(10.0))]),
            Some(5.0),
            "only prices are weighted by units"
        );
    }

    #[test]
    fn weeks_start_on_monday_and_quarters_on_their_first_day() {
        let sunday = NaiveDate::from_ymd_opt(2017, 1, 1).expect("a date");
        assert_eq!(
            Granularity::Week.start_of(sunday),
            NaiveDate::from_ymd_opt(2016, 12, 26).expect("a date")
        );
        let june = NaiveDate::from_ymd_opt(2024, 6, 30).expect("a date");
        assert_eq!(
            Granularity::Quarter.start_of(june),
            NaiveDate::from_ymd_opt(2024, 4, 1).expect("a date")
        );
    }
}
