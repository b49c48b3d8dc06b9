//! The files in `examples/data` through their mappings: what the walkthrough promises, counted.

use std::{collections::BTreeMap, fs::File, path::PathBuf};

use analytics::{
    cancel::never,
    forecast::{Options, backtest_table},
    ingest::{Item, Limits, Summary, parse, read_mapping},
    promotion::{self, Verdict, cross_promotion_effects, promotion_effects},
    series,
};
use chrono::NaiveDate;
use domain::metric::Granularity;

/// (project, brand, metric, period) and value bits, so that equality is exact.
type Values = BTreeMap<(String, String, String, NaiveDate), f64>;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/data")
        .join(name)
}

fn import(name: &str) -> (Summary, Values, Vec<String>) {
    let text =
        std::fs::read_to_string(path(&format!("{name}.mapping.toml"))).expect("a mapping file");
    let mapping = read_mapping(&text).expect("a sound mapping");
    let file = File::open(path(&format!("{name}.csv"))).expect("a data file");
    let mut values = Values::new();
    let mut rejects = Vec::new();
    let summary = parse(file, &mapping, &Limits::default(), &never, &mut |item| {
        match item {
            Item::Value(v) => {
                let key = (
                    v.project.to_owned(),
                    v.brand.to_owned(),
                    v.metric.to_owned(),
                    v.period,
                );
                assert_eq!(
                    values.insert(key.clone(), v.value),
                    None,
                    "{key:?} came twice"
                );
            }
            Item::Reject(reject) => {
                rejects.push(format!("{}:{}:{}", reject.line, reject.column, reject.code))
            }
        }
        Ok(())
    })
    .expect("the file is read to its end");
    (summary, values, rejects)
}

#[test]
fn complete_journey_has_the_counts_of_its_readme() {
    let (summary, values, rejects) = import("complete_journey_weekly");
    assert_eq!(rejects, Vec::<String>::new());
    assert_eq!(summary.rows, 11_888);
    assert_eq!(summary.dropped_rows, 72);
    assert_eq!(summary.keys, 11_754);
    assert_eq!(summary.merged_keys, 60);
    assert_eq!(summary.series, 1_113);
    assert_eq!(
        (summary.accepted, summary.merged, summary.dropped),
        (4 * 11_816, 4 * 62, 4 * 72)
    );
    // Absent weeks are zero sales: every series has all 52 weeks of units and sales. A discount that nobody got is absent.
    assert_eq!(summary.filled, 2 * (1_113 * 52 - 11_754));
    assert_eq!(values.len(), 2 * 1_113 * 52 + 2 * 11_754);
    assert_eq!(summary.items, values.len() as u64);
    assert_eq!(summary.unmapped, Vec::<String>::new());
    assert_eq!(summary.first, NaiveDate::from_ymd_opt(2017, 1, 2));
    assert_eq!(summary.last, NaiveDate::from_ymd_opt(2017, 12, 25));
}

#[test]
fn a_hundred_series_of_complete_journey_sold_in_forty_weeks_or_more() {
    let (_, values, _) = import("complete_journey_weekly");
    let mut weeks: BTreeMap<(String, String), u32> = BTreeMap::new();
    for ((project, brand, metric, _), value) in &values {
        if metric == "units" && *value > 0.0 {
            *weeks.entry((project.clone(), brand.clone())).or_default() += 1;
        }
    }
    // Three of the 1,113 series only have rows with zero units.
    assert_eq!(weeks.len(), 1_110);
    assert_eq!(weeks.values().filter(|w| **w >= 40).count(), 100);
}

#[test]
fn promotions_are_read_with_zeros_for_absent_weeks() {
    let (summary, values, rejects) = import("complete_journey_promotions");
    assert_eq!(rejects, Vec::<String>::new());
    assert_eq!(
        (summary.rows, summary.dropped_rows, summary.merged),
        (11_726, 189, 0)
    );
    assert_eq!(summary.keys, 11_726 - 189);
    assert_eq!(values.len() as u64, summary.accepted + summary.filled);
}

#[test]
fn the_semicolon_file_holds_the_same_values_as_the_file_it_was_made_from() {
    let (english, values, rejects) = import("robyn_weekly");
    assert_eq!(rejects, Vec::<String>::new());
    assert_eq!(
        (english.rows, english.accepted, english.empty),
        (208, 208 * 11, 0)
    );
    let (german, same, rejects) = import("robyn_semicolon");
    assert_eq!(rejects, Vec::<String>::new());
    assert_eq!(english, german);
    assert_eq!(values, same);
    let events = values
        .iter()
        .filter(|((_, _, metric, _), v)| metric == "event" && **v == 1.0)
        .count();
    assert_eq!(events, 2);
}

/// The values as the long table that the analytics read.
fn table(values: &Values) -> polars::prelude::DataFrame {
    let column = |of: fn(&(String, String, String, NaiveDate)) -> &String| {
        values.keys().map(|k| of(k).clone()).collect()
    };
    let periods: Vec<NaiveDate> = values.keys().map(|k| k.3).collect();
    series::frame(
        column(|k| &k.0),
        column(|k| &k.1),
        column(|k| &k.2),
        &periods,
        values.values().copied().collect(),
    )
    .expect("equal lengths")
}

#[test]
fn every_one_of_the_hundred_series_has_a_backtest_against_naive() {
    let (_, mut values, _) = import("complete_journey_weekly");
    values.retain(|key, _| key.2 == "units");
    let options = Options::new(8, 52);
    let rows =
        backtest_table(&table(&values), Granularity::Week, 40, &options, &never).expect("a table");
    assert_eq!(rows.len(), 100);
    let ratios: Vec<f64> = rows
        .iter()
        .map(|r| {
            r.champion()
                .expect("tested")
                .against_naive
                .expect("naive errs")
        })
        .collect();
    assert!(
        rows.iter()
            .all(|r| r.naive().is_some() && r.active >= 40 && r.periods == 52)
    );
    let mut sorted = ratios.clone();
    sorted.sort_by(f64::total_cmp);
    // Thin retail series: the models take a good part of naive's error away, and rarely add to it.
    assert!(sorted[50] < 0.85, "median {}", sorted[50]);
    assert!(
        ratios.iter().filter(|r| **r > 1.02).count() <= 10,
        "{sorted:?}"
    );
}

#[test]
fn promotion_effects_of_a_category_come_with_errors_and_verdicts() {
    let (_, mut values, _) = import("complete_journey_weekly");
    values.extend(import("complete_journey_promotions").1);
    let options = promotion::Options::weekly("units", &["display", "mailer"]);
    let effects = promotion_effects(&table(&values), "SOFT DRINKS", &options).expect("a table");
    let mut brands: Vec<&str> = effects.iter().map(|e| e.brand.as_str()).collect();
    brands.dedup();
    assert_eq!((brands.len(), effects.len()), (4, 8));
    assert!(
        effects
            .iter()
            .all(|e| e.low95 <= e.effect && e.effect <= e.high95 && (0.0..=1.0).contains(&e.q))
    );
    assert!(
        effects
            .iter()
            .any(|e| e.verdict == Verdict::Unclear || e.verdict == Verdict::Found)
    );
}

#[test]
fn cross_brand_effects_of_a_category_cover_every_ordered_pair_and_promotion() {
    let (_, mut values, _) = import("complete_journey_weekly");
    values.extend(import("complete_journey_promotions").1);
    let options = promotion::Options::weekly("units", &["display", "mailer"]);
    let effects =
        cross_promotion_effects(&table(&values), "SOFT DRINKS", &options).expect("a table");
    // Four brands sell in at least 40 weeks: twelve ordered pairs, two promotions each.
    assert_eq!(effects.len(), 24);
    assert!(effects.iter().all(|e| e.driver_brand != e.affected
        && e.low95 <= e.effect
        && e.effect <= e.high95
        && e.p <= e.q));
    let tested = effects
        .iter()
        .filter(|e| matches!(e.verdict, Verdict::Found | Verdict::Unclear));
    assert!(tested.count() >= 12, "{effects:#?}");
}
