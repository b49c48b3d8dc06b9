//! From a snapshot to the table that the estimators read. Keys in it are the text ids, so that every result leads back.

use std::collections::BTreeMap;

use analytics::panel::{BrandInfo, MetricInfo, Panel, Slice};
use chrono::{Days, NaiveDate};
use domain::{
    brand::BrandRole,
    id::{BrandId, ChannelId, MetricId},
    metric::{Direction, Granularity, MetricUnit},
    series::MetricTable,
};

use super::{quality::Quality, runs};
use crate::{
    observe::Snapshot,
    portfolio::sales::{MoneyMetrics, money},
    view::View,
};

/// A panel with the margins it was built with.
#[derive(Clone, Debug)]
pub(crate) struct Weekly {
    pub(crate) panel: Panel,
    /// Margin of one unit of the outcome, in currency; brands without a stated margin are absent.
    pub(crate) margins: BTreeMap<BrandId, f64>,
}

/// Builds the weekly panel. An own brand without a stated margin takes part in the comparison with rivals but not in what is
/// counted in money: for the estimators it counts as a rival, because no margin is invented for it.
///
/// A brand's metric that must not be acted on is left out, in every project: a sum without one of its parts says something else.
pub(crate) fn weekly(snapshot: &Snapshot, quality: &Quality) -> Weekly {
    let view = &snapshot.view;
    let mut margins = margins(view, &snapshot.table);
    if let Some(price) = MoneyMetrics::among(&view.metrics).price {
        margins.retain(|brand, _| !quality.fails(*brand, price, None));
    }
    let metrics: Vec<_> = view
        .metrics
        .iter()
        .filter(|m| m.granularity == Granularity::Week)
        .collect();
    let place: BTreeMap<MetricId, usize> =
        metrics.iter().enumerate().map(|(i, m)| (m.id, i)).collect();
    let brand_place: BTreeMap<BrandId, usize> = view
        .brands
        .iter()
        .enumerate()
        .map(|(i, b)| (b.id, i))
        .collect();
    let weeks = calendar(&snapshot.table, &place);
    let table = &snapshot.table;
    let slices = weeks.first().map_or(Vec::new(), |first| {
        let trusted = runs::series(table)
            .into_iter()
            .filter(|s| !quality.fails(s.brand, s.metric, None));
        let placed = trusted.filter_map(|series| {
            let (&brand, &metric) = (brand_place.get(&series.brand)?, place.get(&series.metric)?);
            let values = series.weekly(table, *first, weeks.len());
            Some(Slice {
                project: series.project.to_string(),
                brand,
                metric,
                values,
            })
        });
        placed.collect()
    });
    let brands = view.brands.iter().map(|b| BrandInfo {
        key: b.id.to_string(),
        own: b.role == BrandRole::Primary && margins.contains_key(&b.id),
        margin: margins.get(&b.id).copied().unwrap_or(1.0),
    });
    let infos = metrics.iter().map(|m| MetricInfo {
        key: m.id.to_string(),
        role: m.role,
        channel: m.channel.map(|c: ChannelId| c.to_string()),
        higher_is_better: m.direction == Direction::Direct,
        additive: m.adds_up(),
    });
    let units = metrics.iter().position(|m| m.counts_units());
    Weekly {
        panel: Panel::from_weighted_slices(weeks, brands.collect(), infos.collect(), slices, units),
        margins,
    }
}

/// Every Monday from the first to the last week with a value.
fn calendar(table: &MetricTable, place: &BTreeMap<MetricId, usize>) -> Vec<NaiveDate> {
    let periods = || {
        (0..table.len())
            .filter(|row| place.contains_key(&table.metric[*row]))
            .map(|row| table.period[row])
    };
    let (Some(first), Some(last)) = (periods().min(), periods().max()) else {
        return Vec::new();
    };
    (0..=(last - first).num_days() / 7)
        .map(|week| first + Days::new(7 * week.unsigned_abs()))
        .collect()
}

/// Margin of one unit of the outcome: the stated share of sales value, times the mean price where the outcome is a count.
pub(super) fn margins(view: &View, table: &MetricTable) -> BTreeMap<BrandId, f64> {
    let metrics = MoneyMetrics::among(&view.metrics);
    let is_money = metrics
        .outcome
        .is_some_and(|(_, unit)| unit == MetricUnit::Currency);
    let sold = if is_money {
        BTreeMap::new()
    } else {
        money(table, &metrics)
    };
    view.brands
        .iter()
        .filter_map(|brand| {
            let share = brand.margin?;
            let price = if is_money {
                1.0
            } else {
                sold.get(&brand.id)?.price(usize::MAX)?
            };
            // A count without any price metric is counted at 1 by `money`; a share of that is no margin.
            (is_money || metrics.price.is_some()).then_some((brand.id, share * price))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use domain::id::ProjectId;

    use super::*;
    use crate::view::tests_support::{a_view, brand, metric};

    fn snapshot() -> Snapshot {
        let mut view = a_view();
        view.brands[1].margin = None;
        let price = domain::metric::MetricDefinition {
            id: metric("price"),
            key: "price".to_owned(),
            role: domain::metric::MetricRole::Price,
            unit: MetricUnit::Currency,
            ..view.metrics[0].clone()
        };
        view.metrics.push(price);
        let mut table = MetricTable::default();
        let monday = NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date");
        for (key, north, south) in [("units_sold", 10.0, 5.0), ("price", 4.0, 7.0)] {
            for (project, value) in [("north", north), ("south", south)] {
                for week in [0u64, 1, 3] {
                    table.push(
                        ProjectId::derive(&["o", project]),
                        brand("Alder"),
                        metric(key),
                        monday + Days::new(7 * week),
                        value,
                    );
                }
            }
        }
        Snapshot {
            view,
            table: std::sync::Arc::new(table),
            changes: std::sync::Arc::default(),
            weeks: 3,
        }
    }

    #[test]
    fn weeks_are_dense_and_slices_add_up() {
        let weekly = weekly(&snapshot(), &Quality::default());
        assert_eq!(weekly.panel.weeks().len(), 4);
        let series = weekly.panel.series(0, 0).expect("observed");
        assert_eq!((series[0], series[2].is_nan()), (15.0, true));
    }

    #[test]
    fn a_price_is_the_mean_over_the_units_sold_and_not_the_sum_over_projects() {
        let snapshot = snapshot();
        let price = snapshot.view.metrics.len() - 1;
        let series = weekly(&snapshot, &Quality::default()).panel;
        let series = series.series(0, price).expect("observed");
        assert_eq!(series[0], (10.0 * 4.0 + 5.0 * 7.0) / 15.0);
    }

    #[test]
    fn the_margin_of_a_unit_is_the_share_of_its_price_and_no_margin_is_invented() {
        let weekly = weekly(&snapshot(), &Quality::default());
        assert_eq!(weekly.margins.get(&brand("Alder")), Some(&(0.4 * 5.0)));
        assert!(
            !weekly.panel.brands()[1].own,
            "a brand without a margin is not counted in money"
        );
    }
}
