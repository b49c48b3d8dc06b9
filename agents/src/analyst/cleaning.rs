//! The values as the analyses see them: cleaned by the rules that the organisation set for each metric, every touched value told.
//!
//! What is stored stays as it was delivered; a rule that is changed or taken away is as if it had never been.

use std::{collections::BTreeMap, sync::Arc};

use analytics::{
    cancel::{Cancel, Cancelled, never},
    quality::cleaning::{Rule, clean},
};
use chrono::NaiveDate;
use domain::{
    id::{BrandId, MetricId, ProjectId},
    metric::MetricDefinition,
    series::MetricTable,
};

use super::runs::{self, SeriesRows};

/// One value that a rule changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Touched {
    pub(crate) period: NaiveDate,
    /// As it is stored; `None` = absent.
    pub(crate) before: Option<f64>,
    /// As the analyses see it; `None` = absent.
    pub(crate) after: Option<f64>,
    pub(crate) rule: Rule,
}

/// A series by brand, metric and project.
type Key = (BrandId, MetricId, ProjectId);

/// Everything that rules changed, series by series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes(BTreeMap<Key, Vec<Touched>>);

impl Changes {
    /// What was changed in a series, in the order of its periods.
    pub(crate) fn of(&self, series: &SeriesRows) -> &[Touched] {
        let key = (series.brand, series.metric, series.project);
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Whether the value of a period is not the stored one.
    pub(crate) fn touches(&self, series: &SeriesRows, period: NaiveDate) -> bool {
        self.of(series).iter().any(|t| t.period == period)
    }
}

/// A table as the analyses see it.
#[derive(Clone, Debug)]
pub(crate) struct Cleaned {
    pub(crate) table: Arc<MetricTable>,
    pub(crate) changes: Arc<Changes>,
}

/// Whether any metric has a rule that could change something.
pub(crate) fn is_wanted(metrics: &[MetricDefinition]) -> bool {
    metrics.iter().any(|metric| !metric.cleaning.is_idle())
}

/// Applies the metrics' rules to a table in the order of the storage, which it keeps. Metrics without rules, and those that are
/// not defined, stay as they are.
///
/// # Errors
/// When the caller asked to stop.
pub(crate) fn apply(
    stored: &MetricTable,
    metrics: &[MetricDefinition],
    cancel: &dyn Cancel,
) -> Result<Cleaned, Cancelled> {
    let ruled: BTreeMap<MetricId, &MetricDefinition> = metrics
        .iter()
        .filter(|metric| !metric.cleaning.is_idle())
        .map(|metric| (metric.id, metric))
        .collect();
    let mut table = MetricTable::default();
    let mut changes = Changes::default();
    for series in runs::series(stored) {
        let SeriesRows {
            brand,
            metric,
            project,
            ref rows,
        } = series;
        let mut keep = |period, value| table.push(project, brand, metric, period, value);
        let Some(definition) = ruled.get(&metric) else {
            rows.clone()
                .for_each(|row| keep(stored.period[row], stored.value[row]));
            continue;
        };
        cancel.check()?;
        let granularity = definition.granularity;
        let (periods, values) = series.dense(stored, granularity, None);
        let done = clean(&values, granularity.season(), &definition.cleaning);
        let known = periods
            .iter()
            .zip(&done.values)
            .filter(|(_, v)| v.is_finite());
        known.for_each(|(period, value)| keep(*period, *value));
        let mut touched: BTreeMap<NaiveDate, Touched> = BTreeMap::new();
        for one in done.touched {
            let period = periods[one.at];
            let change = touched.entry(period).or_insert(Touched {
                period,
                before: one.before,
                after: one.after,
                rule: one.rule,
            });
            // A value that is touched twice goes from what is stored to what is used, by the last rule.
            (change.after, change.rule) = (one.after, one.rule);
        }
        if !touched.is_empty() {
            changes
                .0
                .insert((brand, metric, project), touched.into_values().collect());
        }
    }
    Ok(Cleaned {
        table: Arc::new(table),
        changes: Arc::new(changes),
    })
}

/// Values in the order of the storage as the agents see them: cleaned by the rules of their metrics.
#[must_use]
pub fn cleaned(stored: MetricTable, metrics: &[MetricDefinition]) -> MetricTable {
    if !is_wanted(metrics) {
        return stored;
    }
    let cleaned = apply(&stored, metrics, &never).expect("nobody asks to stop");
    Arc::unwrap_or_clone(cleaned.table)
}

/// What rules changed in a series, in words; `None` when nothing.
pub(crate) fn sentence(touched: &[Touched]) -> Option<String> {
    /// Values that are named one by one.
    const NAMED: usize = 3;
    let amount = |value: Option<f64>| {
        value.map_or_else(
            || "absent".to_owned(),
            |value| {
                format!("{value:.4}")
                    .trim_end_matches('0')
                    .trim_end_matches('.')
                    .to_owned()
            },
        )
    };
    let named: Vec<String> = touched
        .iter()
        .take(NAMED)
        .map(|one| {
            let why = match one.rule {
                Rule::StuckTail => "stuck end",
                Rule::OutlierCap => "outlier capped",
                Rule::OutlierExpected => "outlier replaced",
                Rule::GapLinear | Rule::GapSeasonal => "gap filled",
                Rule::GapZero => "absent means zero",
            };
            format!(
                "{} from {} to {} ({why})",
                one.period,
                amount(one.before),
                amount(one.after)
            )
        })
        .collect();
    let more = match touched.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let count = match touched.len() {
        0 => return None,
        1 => "one value".to_owned(),
        more => format!("{more} values"),
    };
    Some(format!(
        "has {count} changed by the metric's cleaning rules: {}{more}",
        named.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use domain::{
        metric::Granularity,
        quality::{Cleaning, GapRule, OutlierRule},
    };

    use super::*;
    use crate::view::tests_support::{a_view, brand, metric};

    fn monday(week: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date") + Days::new(7 * week)
    }

    fn north() -> ProjectId {
        ProjectId::derive(&["o", "north"])
    }

    /// Units and reviews of one brand over forty weeks; both lack week 10, and week 20 is far too high.
    fn table() -> MetricTable {
        let mut table = MetricTable::default();
        let mut keys = [metric("units_sold"), metric("reviews")];
        keys.sort();
        for key in keys {
            for week in (0..40).filter(|week| *week != 10) {
                let value = if week == 20 {
                    9_000.0
                } else {
                    100.0 + (week % 5) as f64
                };
                table.push(north(), brand("Alder"), key, monday(week), value);
            }
        }
        table
    }

    fn with_rules(rules: Cleaning) -> Vec<MetricDefinition> {
        let mut metrics = a_view().metrics;
        let units = metrics.iter_mut().find(|m| m.key == "units_sold");
        units.expect("defined").cleaning = rules;
        metrics
    }

    fn series(table: &MetricTable, key: &str) -> SeriesRows {
        let all = runs::series(table);
        all.into_iter()
            .find(|s| s.metric == metric(key))
            .expect("a series")
    }

    fn rules() -> Cleaning {
        Cleaning {
            gaps: GapRule::Linear,
            outliers: OutlierRule::Expected,
            ..Cleaning::default()
        }
    }

    #[test]
    fn only_the_metric_with_rules_is_changed_and_every_change_is_told() {
        let stored = table();
        let metrics = with_rules(rules());
        assert!(is_wanted(&metrics) && !is_wanted(&a_view().metrics));
        let cleaned = apply(&stored, &metrics, &never).expect("nobody asks to stop");
        let (units, reviews) = (
            series(&cleaned.table, "units_sold"),
            series(&cleaned.table, "reviews"),
        );
        assert_eq!((units.rows.len(), reviews.rows.len()), (40, 39));
        assert_eq!(cleaned.changes.of(&reviews), []);
        let touched = cleaned.changes.of(&units);
        let told: Vec<_> = touched
            .iter()
            .map(|t| (t.period, t.before, t.rule))
            .collect();
        assert_eq!(
            told,
            [
                (monday(10), None, Rule::GapLinear),
                (monday(20), Some(9_000.0), Rule::OutlierExpected)
            ]
        );
        let (_, values) = units.dense(&cleaned.table, Granularity::Week, None);
        assert_eq!(
            touched.iter().map(|t| t.after).collect::<Vec<_>>(),
            [Some(values[10]), Some(values[20])]
        );
        assert!(
            values.iter().all(|v| (100.0..=104.0).contains(v)),
            "{values:?}"
        );
        assert!(
            cleaned.changes.touches(&units, monday(20))
                && !cleaned.changes.touches(&units, monday(21))
        );
    }

    #[test]
    fn rules_that_find_nothing_to_do_leave_the_table_as_it_is() {
        let stored = table();
        let idle = apply(&stored, &a_view().metrics, &never).expect("nobody asks to stop");
        let few = Cleaning {
            stuck_tail: 6,
            ..Cleaning::default()
        };
        let unneeded = apply(&stored, &with_rules(few), &never).expect("nobody asks to stop");
        for cleaned in [idle, unneeded] {
            assert_eq!(*cleaned.table, stored);
            assert_eq!(*cleaned.changes, Changes::default());
        }
    }

    #[test]
    fn a_value_that_is_touched_twice_is_told_once_from_what_is_stored_to_what_is_used() {
        let mut stored = MetricTable::default();
        for week in 0..40 {
            // The end has stuck at a value that is far too high: it goes, and the one that is left is replaced.
            let value = if week < 30 {
                100.0 + (week % 5) as f64
            } else {
                9_000.0
            };
            stored.push(
                north(),
                brand("Alder"),
                metric("units_sold"),
                monday(week),
                value,
            );
        }
        let both = Cleaning {
            stuck_tail: 6,
            ..rules()
        };
        let cleaned = apply(&stored, &with_rules(both), &never).expect("nobody asks to stop");
        let touched = cleaned
            .changes
            .of(&series(&cleaned.table, "units_sold"))
            .to_vec();
        assert_eq!(touched.len(), 10);
        assert_eq!(
            (touched[0].period, touched[0].rule),
            (monday(30), Rule::OutlierExpected)
        );
        assert!(
            touched[1..]
                .iter()
                .all(|t| (t.rule, t.after) == (Rule::StuckTail, None))
        );
    }

    #[test]
    fn the_sentence_names_the_first_changes_and_counts_the_rest() {
        let one = Touched {
            period: monday(0),
            before: None,
            after: Some(12.5),
            rule: Rule::GapLinear,
        };
        assert_eq!(sentence(&[]), None);
        assert_eq!(
            sentence(&[one]).expect("one"),
            "has one value changed by the metric's cleaning rules: 2024-01-01 from absent to 12.5 (gap filled)"
        );
        let five = [one; 5];
        let told = sentence(&five).expect("five");
        assert!(
            told.starts_with("has 5 values") && told.ends_with("and 2 more"),
            "{told}"
        );
    }

    #[test]
    fn cleaning_stops_when_nobody_waits_for_it_any_more() {
        let stopped = apply(&table(), &with_rules(rules()), &|| true);
        assert_eq!(stopped.map(|c| c.table), Err(Cancelled));
    }
}
