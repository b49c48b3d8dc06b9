//! What moved a brand's outcome lately: the drivers that are known of all brands, learnt from together.

use std::collections::{BTreeMap, BTreeSet};

use analytics::{
    attribution::{
        TrainError,
        movement::{BrandRows, Movement, MovementError, movement},
    },
    cancel::Cancel,
};
use chrono::{Datelike, NaiveDate};
use domain::{
    brand::BrandRole,
    id::{BrandId, MetricId},
    metric::{Granularity, MetricDefinition, MetricRole},
    provenance::Provenance,
    unit::Interval,
};
use serde::Serialize;
use serde_json::json;

use super::provenance;
use crate::{Error, observe::Snapshot};

/// Fewest periods that are learnt from: a part to explain and a part before it; a fifth to judge by and one before it to stop by.
const LEAST_PERIODS: usize = 40;
/// Periods over which spend is averaged: what was spent lately still works.
const CARRY_OVER: usize = 4;
/// Most sentences.
const MOST_SENTENCES: usize = 6;

/// What moved a brand's outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drivers {
    /// The brand.
    pub brand: BrandId,
    /// The outcome.
    pub metric: MetricId,
    /// First period that is explained.
    pub from: NaiveDate,
    /// Last period.
    pub to: NaiveDate,
    /// First of the periods that it is compared with; the last is the one before `from`.
    pub before_from: NaiveDate,
    /// Mean of the outcome over the explained periods.
    pub recent: f64,
    /// Mean over the periods before.
    pub before: f64,
    /// The part of the change that the drivers' effects add up to, per period in the outcome's unit.
    pub explained: f64,
    /// The drivers, the largest first.
    pub drivers: Vec<DriverEffect>,
    /// A sentence per driver that moved anything, in percent of the brand's average.
    pub sentences: Vec<String>,
    /// Root mean squared error on periods that neither grew the models nor chose their size, in percent of a brand's average.
    pub holdout_error: f64,
    /// The same of guessing the average of the earlier periods.
    pub holdout_error_of_mean: f64,
    /// Whether the models beat that guess by more than chance does. Where they do not, the effects say nothing.
    pub is_better_than_mean: bool,
    /// Values that were learnt from.
    pub rows: u32,
    /// Values that were held out.
    pub holdout_rows: u32,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// What one driver did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriverEffect {
    /// What it is, for people.
    pub name: String,
    /// Its metric; `None` for the time of year and the trend.
    pub metric: Option<MetricId>,
    /// Whether it is what the rivals did.
    pub is_rivals: bool,
    /// How far it moved the outcome from the periods before, per period in the outcome's unit.
    pub effect: f64,
    /// Where the effect lies in the middle 80 % of fits to different draws of the data.
    pub interval80: Option<Interval>,
    /// Its share of all movement, 0 to 1.
    pub share: f64,
}

/// A driver's series by brand.
struct Source {
    name: String,
    metric: Option<MetricId>,
    is_rivals: bool,
    is_relative: bool,
    of: Vec<Vec<f64>>,
}

/// Explains the last periods of a brand.
///
/// # Errors
/// `driver.too_little_data`; when the caller asked to stop.
pub(crate) fn drivers(
    snapshot: &Snapshot,
    outcome: &MetricDefinition,
    brand: BrandId,
    seed: u64,
    cancel: &(dyn Cancel + Sync),
) -> Result<Drivers, Error> {
    let known = snapshot.series(outcome.id);
    let own: Vec<BrandId> = snapshot
        .view
        .brands
        .iter()
        .filter(|b| b.role == BrandRole::Primary && known.contains_key(&b.id))
        .map(|b| b.id)
        .collect();
    let place = own
        .iter()
        .position(|id| *id == brand)
        .ok_or_else(too_little)?;
    let first = own.iter().filter_map(|b| known[b].keys().next()).min();
    let last = known[&brand].keys().next_back();
    let (Some(&first), Some(&last)) = (first, last) else {
        return Err(too_little());
    };
    let granularity = outcome.granularity;
    let calendar: Vec<NaiveDate> = (0..)
        .map(|n| granularity.add(first, n))
        .take_while(|period| *period <= last)
        .collect();
    if calendar.len() < LEAST_PERIODS {
        return Err(too_little());
    }
    let sources = sources(snapshot, granularity, &own, &calendar);
    let (recent, before) = match granularity {
        Granularity::Day => (28, 364),
        Granularity::Week => (4, 52),
        Granularity::Month => (3, 12),
        Granularity::Quarter => (2, 4),
    };
    let brands = own.iter().enumerate().map(|(at, id)| BrandRows {
        outcome: on(&calendar, &known[id]),
        drivers: sources.iter().map(|source| source.of[at].clone()).collect(),
    });
    let question = Movement {
        names: sources.iter().map(|source| source.name.clone()).collect(),
        relative: sources.iter().map(|source| source.is_relative).collect(),
        brands: brands.collect(),
        brand: place,
        recent,
        before,
        outcome: outcome.name.clone(),
        period: period_name(granularity).to_owned(),
        most: MOST_SENTENCES,
        seed,
    };
    let made = movement(&question, cancel).map_err(|error| match error {
        MovementError::Unknown | MovementError::Train(TrainError::TooFew(_)) => too_little(),
        other => Error::Analysis(other.to_string()),
    })?;
    let unit = made.average / 100.0;
    let from = calendar.len() - recent;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let effects = made.drivers.iter().filter_map(|driver| {
        let source = sources.iter().find(|s| s.name == driver.feature)?;
        Some(DriverEffect {
            name: source.name.clone(),
            metric: source.metric,
            is_rivals: source.is_rivals,
            effect: driver.effect * unit,
            interval80: driver.interval.map(|(low, high)| Interval {
                low: low * unit,
                high: high * unit,
            }),
            share: driver.share,
        })
    });
    Ok(Drivers {
        brand,
        metric: outcome.id,
        from: calendar[from],
        to: last,
        before_from: calendar[from.saturating_sub(before)],
        recent: made.recent * unit,
        before: made.before * unit,
        explained: made.explained * unit,
        drivers: effects.collect(),
        sentences: made.sentences,
        holdout_error: made.holdout_error,
        holdout_error_of_mean: made.holdout_error_of_mean,
        is_better_than_mean: made.is_better_than_mean,
        rows: count(made.rows),
        holdout_rows: count(made.holdout_rows),
        provenance: provenance(
            snapshot,
            "attribution.movement",
            json!({
                "brand": brand,
                "periods": recent,
                "compared_with": before,
                "carry_over": CARRY_OVER,
                "brands": own.len(),
            }),
            seed,
        ),
    })
}

fn too_little() -> Error {
    let error = domain::Error::not_found(
        "driver.too_little_data",
        format!(
            "the outcome of this brand is known in fewer than {LEAST_PERIODS} periods, or not lately"
        ),
    );
    error
        .advise("import a year of values or more, and take one of your own brands")
        .into()
}

fn period_name(granularity: Granularity) -> &'static str {
    match granularity {
        Granularity::Day => "day",
        Granularity::Week => "week",
        Granularity::Month => "month",
        Granularity::Quarter => "quarter",
    }
}

/// Everything of which something is known for at least one of the brands, under distinct names.
fn sources(
    snapshot: &Snapshot,
    granularity: Granularity,
    own: &[BrandId],
    calendar: &[NaiveDate],
) -> Vec<Source> {
    let view = &snapshot.view;
    let paid: BTreeSet<_> = view
        .metrics
        .iter()
        .filter(|m| m.role == MetricRole::Spend)
        .filter_map(|m| m.channel)
        .collect();
    let is_driver = |m: &&MetricDefinition| match m.role {
        MetricRole::Spend | MetricRole::Price | MetricRole::Promotion | MetricRole::Context => true,
        // What a channel showed says the same as what was paid for it, where that is known.
        MetricRole::Exposure => m.channel.is_none_or(|channel| !paid.contains(&channel)),
        MetricRole::Outcome | MetricRole::Health => false,
    };
    let mut out = Vec::new();
    for metric in view.metrics.iter().filter(is_driver) {
        if metric.granularity != granularity {
            continue;
        }
        let series = snapshot.series(metric.id);
        let of_brand = |id: &BrandId| -> Vec<f64> {
            let values = series.get(id).map_or_else(
                || vec![f64::NAN; calendar.len()],
                |known| on(calendar, known),
            );
            match metric.role {
                MetricRole::Spend | MetricRole::Exposure => carried(&values),
                _ => values,
            }
        };
        out.push(Source {
            name: metric.name.clone(),
            metric: Some(metric.id),
            is_rivals: false,
            is_relative: true,
            of: own.iter().map(of_brand).collect(),
        });
        let rivals: Vec<Vec<f64>> = view
            .brands
            .iter()
            .filter(|b| b.role != BrandRole::Primary && series.contains_key(&b.id))
            .map(|b| of_brand(&b.id))
            .collect();
        if metric.role != MetricRole::Context && !rivals.is_empty() {
            out.push(Source {
                name: format!("rivals' {}", metric.name),
                metric: Some(metric.id),
                is_rivals: true,
                is_relative: true,
                of: vec![average(&rivals, calendar.len()); own.len()],
            });
        }
    }
    let time = |name: &str, values: Vec<f64>| Source {
        name: name.to_owned(),
        metric: None,
        is_rivals: false,
        is_relative: false,
        of: vec![values; own.len()],
    };
    let day = |period: &NaiveDate| f64::from(period.ordinal0());
    out.push(time("time of year", calendar.iter().map(day).collect()));
    out.push(time(
        "trend",
        (0..calendar.len()).map(|t| t as f64).collect(),
    ));
    let mut names = BTreeSet::new();
    out.retain(|source| {
        let is_known = source.of.iter().flatten().any(|v| v.is_finite());
        is_known && names.insert(source.name.clone())
    });
    out
}

/// Values on the calendar, absent ones as NaN.
pub(super) fn on(calendar: &[NaiveDate], known: &BTreeMap<NaiveDate, f64>) -> Vec<f64> {
    calendar
        .iter()
        .map(|period| known.get(period).copied().unwrap_or(f64::NAN))
        .collect()
}

/// Mean of each value and those shortly before it, as far as they are known.
fn carried(values: &[f64]) -> Vec<f64> {
    (0..values.len())
        .map(|t| {
            let window = &values[(t + 1).saturating_sub(CARRY_OVER)..=t];
            let known: Vec<f64> = window.iter().copied().filter(|v| v.is_finite()).collect();
            if known.is_empty() {
                f64::NAN
            } else {
                known.iter().sum::<f64>() / known.len() as f64
            }
        })
        .collect()
}

/// Mean over brands of what each does in percent of its own average.
fn average(rows: &[Vec<f64>], length: usize) -> Vec<f64> {
    let levels: Vec<f64> = rows
        .iter()
        .map(|row| {
            let known: Vec<f64> = row.iter().copied().filter(|v| v.is_finite()).collect();
            known.iter().sum::<f64>() / known.len() as f64
        })
        .collect();
    (0..length)
        .map(|t| {
            let now: Vec<f64> = rows
                .iter()
                .zip(&levels)
                .map(|(row, level)| 100.0 * row[t] / level)
                .filter(|v| v.is_finite())
                .collect();
            if now.is_empty() {
                f64::NAN
            } else {
                now.iter().sum::<f64>() / now.len() as f64
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use analytics::cancel::never;
    use chrono::Days;
    use domain::{id::ProjectId, series::MetricTable};

    use super::*;
    use crate::view::tests_support::{a_view, brand, metric};

    /// Sales of three brands follow what they spend on search; Alder doubles it in the last eight of `weeks` weeks.
    fn snapshot(weeks: u64) -> Snapshot {
        let mut table = MetricTable::default();
        let monday = NaiveDate::from_ymd_opt(2023, 1, 2).expect("a date");
        for (b, name) in ["Alder", "Birch", "Cedar"].into_iter().enumerate() {
            for week in 0..weeks {
                let step = (week / 8 * 7919 + b as u64 * 31) % 5;
                let doubled = name == "Alder" && week + 8 >= weeks;
                let spend = if doubled {
                    200.0
                } else {
                    60.0 + 20.0 * step as f64
                };
                let unrest = ((week * week * 31 + week * 17 + b as u64) % 11) as f64;
                for (key, value) in [
                    ("spend_search", spend),
                    ("units_sold", 500.0 + 3.0 * spend + unrest),
                ] {
                    let project = ProjectId::derive(&["o", "north"]);
                    table.push(
                        project,
                        brand(name),
                        metric(key),
                        monday + Days::new(7 * week),
                        value,
                    );
                }
            }
        }
        Snapshot {
            view: a_view(),
            table: Arc::new(table),
            changes: Arc::default(),
            weeks,
        }
    }

    #[test]
    fn the_channel_that_was_doubled_is_what_moved_sales() {
        let snapshot = snapshot(110);
        let made = drivers(
            &snapshot,
            &snapshot.view.metrics[0],
            brand("Alder"),
            7,
            &never,
        )
        .expect("explained");
        let first = &made.drivers[0];
        assert_eq!(first.metric, Some(metric("spend_search")), "{made:#?}");
        assert!(
            first.effect > 0.5 * (made.recent - made.before),
            "{made:#?}"
        );
        assert!(
            made.is_better_than_mean && !made.sentences.is_empty(),
            "{made:#?}"
        );
        let added: f64 = made.drivers.iter().map(|d| d.effect).sum();
        assert!((added - made.explained).abs() < 1e-9 * made.explained.abs());
    }

    #[test]
    fn a_short_history_or_a_rival_is_refused_with_a_code() {
        use domain::Classify;
        let short = snapshot(30);
        let refused = |s: &Snapshot, b: BrandId| {
            drivers(s, &s.view.metrics[0], b, 7, &never).expect_err("too little")
        };
        assert_eq!(
            refused(&short, brand("Alder")).code(),
            "driver.too_little_data"
        );
        assert_eq!(
            refused(&snapshot(110), brand("Rival")).code(),
            "driver.too_little_data"
        );
    }
}
