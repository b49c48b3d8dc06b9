//! Sales in money, week by week, from whatever the outcome is measured in.
//!
//! An outcome in currency is taken as it is. A count is multiplied by the brand's price of the same project and week (its mean
//! price where that one is missing). Without any price the count itself is shown: no price is invented.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use domain::{
    id::{BrandId, MetricId, ProjectId},
    metric::{MetricDefinition, MetricRole, MetricUnit},
    series::{MetricTable, Point},
};

/// The metrics that sales, spend and profit are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MoneyMetrics {
    pub(crate) outcome: Option<(MetricId, MetricUnit)>,
    pub(crate) price: Option<MetricId>,
    pub(crate) spend: BTreeSet<MetricId>,
    /// Money that promotions cost.
    pub(crate) promotion: BTreeSet<MetricId>,
}

impl MoneyMetrics {
    pub(crate) fn among(metrics: &[MetricDefinition]) -> Self {
        let with = |role: MetricRole| metrics.iter().filter(move |m| m.role == role);
        Self {
            outcome: with(MetricRole::Outcome).next().map(|m| (m.id, m.unit)),
            price: with(MetricRole::Price)
                .find(|m| m.unit == MetricUnit::Currency)
                .map(|m| m.id),
            spend: with(MetricRole::Spend).map(|m| m.id).collect(),
            promotion: with(MetricRole::Promotion)
                .filter(|m| m.unit == MetricUnit::Currency)
                .map(|m| m.id)
                .collect(),
        }
    }

    pub(crate) fn all(&self) -> Vec<MetricId> {
        let outcome = self.outcome.map(|(id, _)| id);
        outcome
            .into_iter()
            .chain(self.price)
            .chain(self.spend.iter().copied())
            .chain(self.promotion.iter().copied())
            .collect()
    }
}

/// What a brand sold and cost, by week.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BrandMoney {
    pub(crate) sales: BTreeMap<NaiveDate, f64>,
    pub(crate) units: BTreeMap<NaiveDate, f64>,
    pub(crate) spend: BTreeMap<NaiveDate, f64>,
    pub(crate) promotion: BTreeMap<NaiveDate, f64>,
}

impl BrandMoney {
    /// Money per unit of the outcome over the last weeks; 1 when the outcome is money.
    pub(crate) fn price(&self, weeks: usize) -> Option<f64> {
        let sum = |of: &BTreeMap<NaiveDate, f64>| of.values().rev().take(weeks).sum::<f64>();
        let units = sum(&self.units);
        (units > 0.0).then(|| sum(&self.sales) / units)
    }

    /// The last `weeks` of sales, in order.
    pub(crate) fn last_sales(&self, weeks: usize) -> Vec<Point> {
        let from = self.sales.len().saturating_sub(weeks);
        self.sales
            .iter()
            .skip(from)
            .map(|(period, value)| Point {
                period: *period,
                value: *value,
            })
            .collect()
    }
}

/// Sums a table of [`MoneyMetrics`] over projects, by brand and week.
pub(crate) fn money(table: &MetricTable, metrics: &MoneyMetrics) -> BTreeMap<BrandId, BrandMoney> {
    let mut prices: BTreeMap<(BrandId, ProjectId, NaiveDate), f64> = BTreeMap::new();
    let mut of_brand: BTreeMap<BrandId, (f64, f64)> = BTreeMap::new();
    for row in 0..table.len() {
        if Some(table.metric[row]) == metrics.price {
            prices.insert(
                (table.brand[row], table.project[row], table.period[row]),
                table.value[row],
            );
            let mean = of_brand.entry(table.brand[row]).or_default();
            *mean = (mean.0 + table.value[row], mean.1 + 1.0);
        }
    }
    let price = |brand: BrandId, project: ProjectId, period: NaiveDate| {
        let mean = || {
            of_brand
                .get(&brand)
                .filter(|(_, n)| *n > 0.0)
                .map(|(sum, n)| sum / n)
        };
        prices
            .get(&(brand, project, period))
            .copied()
            .or_else(mean)
            .unwrap_or(1.0)
    };
    let mut out: BTreeMap<BrandId, BrandMoney> = BTreeMap::new();
    for row in 0..table.len() {
        let (brand, project, period, value) = (
            table.brand[row],
            table.project[row],
            table.period[row],
            table.value[row],
        );
        let metric = table.metric[row];
        let entry = out.entry(brand).or_default();
        if let Some((_, unit)) = metrics.outcome.filter(|(id, _)| *id == metric) {
            let worth = if unit == MetricUnit::Currency {
                value
            } else {
                value * price(brand, project, period)
            };
            *entry.sales.entry(period).or_default() += worth;
            *entry.units.entry(period).or_default() += value;
        } else if metrics.spend.contains(&metric) {
            *entry.spend.entry(period).or_default() += value;
        } else if metrics.promotion.contains(&metric) {
            *entry.promotion.entry(period).or_default() += value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T>(make: fn(&[&str]) -> T, name: &str) -> T {
        make(&["o", name])
    }

    #[test]
    fn units_are_valued_at_the_price_of_their_own_project_and_week() {
        let (brand, units, price) = (
            id(BrandId::derive, "a"),
            id(MetricId::derive, "units"),
            id(MetricId::derive, "price"),
        );
        let week = NaiveDate::from_ymd_opt(2025, 1, 6).expect("a date");
        let mut table = MetricTable::default();
        for (project, sold, at) in [("north", 10.0, 2.0), ("south", 5.0, 4.0)] {
            table.push(id(ProjectId::derive, project), brand, units, week, sold);
            table.push(id(ProjectId::derive, project), brand, price, week, at);
        }
        let metrics = MoneyMetrics {
            outcome: Some((units, MetricUnit::Count)),
            price: Some(price),
            ..MoneyMetrics::default()
        };
        let money = money(&table, &metrics);
        assert_eq!(money[&brand].sales[&week], 40.0);
        assert_eq!(money[&brand].price(4), Some(40.0 / 15.0));
    }

    #[test]
    fn an_outcome_in_currency_needs_no_price() {
        let (brand, sales) = (id(BrandId::derive, "a"), id(MetricId::derive, "sales"));
        let week = NaiveDate::from_ymd_opt(2025, 1, 6).expect("a date");
        let mut table = MetricTable::default();
        table.push(id(ProjectId::derive, "p"), brand, sales, week, 12.5);
        let metrics = MoneyMetrics {
            outcome: Some((sales, MetricUnit::Currency)),
            ..MoneyMetrics::default()
        };
        assert_eq!(money(&table, &metrics)[&brand].sales[&week], 12.5);
    }
}
