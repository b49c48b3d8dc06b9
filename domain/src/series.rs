//! How metric values cross crates: as columns, never as row objects.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    id::{BrandId, MetricId, ProjectId},
    metric::{MetricDefinition, MetricRole},
};

/// The value of each project, with the units sold there where they are known.
type Slices = Vec<(f64, Option<f64>)>;

/// A table of values as parallel columns of equal length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricTable {
    /// Project of each row.
    pub project: Vec<ProjectId>,
    /// Brand of each row.
    pub brand: Vec<BrandId>,
    /// Metric of each row.
    pub metric: Vec<MetricId>,
    /// First day of each row's period.
    pub period: Vec<NaiveDate>,
    /// The values.
    pub value: Vec<f64>,
}

impl MetricTable {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// Adds a row.
    pub fn push(
        &mut self,
        project: ProjectId,
        brand: BrandId,
        metric: MetricId,
        period: NaiveDate,
        value: f64,
    ) {
        self.project.push(project);
        self.brand.push(brand);
        self.metric.push(metric);
        self.period.push(period);
        self.value.push(value);
    }

    /// A metric by brand and period, the projects put together by [`MetricDefinition::across_projects`]. `units` is the
    /// metric that counts what is sold; its rows weight a price.
    pub fn over_projects(
        &self,
        metric: &MetricDefinition,
        units: Option<MetricId>,
    ) -> BTreeMap<BrandId, BTreeMap<NaiveDate, f64>> {
        let rows_of = |metric: MetricId| (0..self.len()).filter(move |r| self.metric[*r] == metric);
        let place = |r: usize| (self.brand[r], self.project[r], self.period[r]);
        let sold: BTreeMap<_, f64> = units
            .filter(|_| metric.role == MetricRole::Price)
            .into_iter()
            .flat_map(rows_of)
            .map(|r| (place(r), self.value[r]))
            .collect();
        let mut slices: BTreeMap<(BrandId, NaiveDate), Slices> = BTreeMap::new();
        for r in rows_of(metric.id) {
            slices
                .entry((self.brand[r], self.period[r]))
                .or_default()
                .push((self.value[r], sold.get(&place(r)).copied()));
        }
        let mut out: BTreeMap<BrandId, BTreeMap<NaiveDate, f64>> = BTreeMap::new();
        for ((brand, period), values) in slices {
            if let Some(value) = metric.across_projects(values) {
                out.entry(brand).or_default().insert(period, value);
            }
        }
        out
    }
}

/// One value of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// First day of the period.
    pub period: NaiveDate,
    /// The value.
    pub value: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        metric::{Direction, Granularity, MetricUnit, Section},
        quality::{Cleaning, QualityLimits},
    };

    #[test]
    fn a_price_is_averaged_over_the_units_sold_in_each_project_and_week() {
        let metric = |key: &str, role, unit| MetricDefinition {
            id: MetricId::derive(&["o", key]),
            version: 1,
            key: key.to_owned(),
            name: key.to_owned(),
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
        };
        let units = metric("units", MetricRole::Outcome, MetricUnit::Count);
        let price = metric("price", MetricRole::Price, MetricUnit::Currency);
        let brand = BrandId::derive(&["o", "a"]);
        let week = |n: u64| {
            NaiveDate::from_ymd_opt(2025, 1, 6).expect("a date") + chrono::Days::new(7 * n)
        };
        let mut table = MetricTable::default();
        for (project, sold, at) in [("north", 30.0, 4.0), ("south", 10.0, 8.0)] {
            let project = ProjectId::derive(&["o", project]);
            table.push(project, brand, units.id, week(0), sold);
            table.push(project, brand, price.id, week(0), at);
            table.push(project, brand, price.id, week(1), at);
        }
        let prices = table.over_projects(&price, Some(units.id));
        assert_eq!(
            (prices[&brand][&week(0)], prices[&brand][&week(1)]),
            (5.0, 6.0)
        );
        let sold = table.over_projects(&units, Some(units.id));
        assert_eq!(sold[&brand], BTreeMap::from([(week(0), 40.0)]));
    }
}
