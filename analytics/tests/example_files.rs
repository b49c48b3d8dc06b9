//! The files in `examples/data` through their mappings: what the walkthrough promises, counted.

use std::{collections::BTreeMap, fs::File, path::PathBuf};

use analytics::{
    cancel::never,
    ingest::{Item, Limits, Summary, parse, read_mapping},
};
use chrono::NaiveDate;

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
    // Absent weeks are zero sales: every series has all 52 weeks of every metric.
    assert_eq!(summary.filled, 4 * (1_113 * 52 - 11_754));
    assert_eq!(values.len(), 4 * 1_113 * 52);
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
