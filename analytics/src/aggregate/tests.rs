//! Files summed up in their order, both formats alike; what cannot be summed up is said.

use std::{io::Write, path::PathBuf};

use polars::prelude::ParquetWriter;

use super::*;
use crate::cancel::never;

/// A file of its own in the folder for temporary files, gone afterwards.
struct File(PathBuf);

impl File {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("aggregate-{}-{name}", std::process::id()));
        std::fs::File::create(&path)
            .unwrap()
            .write_all(content)
            .unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn monthly() -> Aggregation {
    Aggregation {
        date: "date".to_owned(),
        keys: vec!["brand".to_owned(), "metric".to_owned()],
        value: "value".to_owned(),
        granularity: Granularity::Month,
    }
}

const SMALL: &str = "date,other,brand,metric,value
2026-01-05,x,1,sales,10.5
2026-01-31,x,1,sales,-2
2026-02-01,x,1,sales,7
2026-01-07,x,2,sales,
2026-01-08,x,,sales,4
,x,2,sales,4
2026-01-09,x,2,a rather long name of a metric,3
2026-01-10,x,1,sales,0.5
";

fn rows_of(frame: &DataFrame) -> Vec<String> {
    (0..frame.height())
        .map(|at| {
            let cells = frame
                .columns()
                .iter()
                .map(|column| column.get(at).unwrap().to_string());
            cells.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

#[test]
fn groups_are_summed_up_in_the_order_of_the_file() {
    let file = File::new("small.csv", SMALL.as_bytes());
    let found = aggregate(&file.0, FileFormat::Csv, &monthly(), &never).unwrap();
    assert_eq!(
        (found.rows, found.without_value, found.without_group),
        (8, 1, 2)
    );
    assert_eq!(
        rows_of(&found.frame),
        [
            "1 \"sales\" 2026-01-01 9.0 3.0 3 -2.0 10.5",
            "1 \"sales\" 2026-02-01 7.0 7.0 1 7.0 7.0",
            "2 \"a rather long name of a metric\" 2026-01-01 3.0 3.0 1 3.0 3.0",
        ]
    );
    let weekly = Aggregation {
        granularity: Granularity::Week,
        keys: vec!["metric".to_owned()],
        ..monthly()
    };
    let found = aggregate(&file.0, FileFormat::Csv, &weekly, &never).unwrap();
    assert_eq!(
        rows_of(&found.frame)[0],
        "\"sales\" 2026-01-05 15.0 5.0 3 0.5 10.5"
    );
}

#[test]
fn parquet_and_csv_give_the_same_bits_and_both_agree_with_polars() {
    let rows = 50_000_usize;
    let mut draws = crate::rng::stream(4, &[]);
    let values = crate::rng::normals(&mut draws, rows);
    let days: Vec<i32> = (0..rows).map(|at| 20_000 + (at / 500) as i32).collect();
    let mut frame = DataFrame::new(
        rows,
        vec![
            Series::new("date".into(), days)
                .cast(&DataType::Date)
                .unwrap()
                .into_column(),
            Series::new(
                "brand".into(),
                (0..rows).map(|at| (at * 7 % 13) as i64).collect::<Vec<_>>(),
            )
            .into_column(),
            Series::new(
                "metric".into(),
                (0..rows)
                    .map(|at| format!("m{}", at % 5))
                    .collect::<Vec<_>>(),
            )
            .into_column(),
            Series::new("value".into(), values.clone()).into_column(),
        ],
    )
    .unwrap();
    let parquet = File::new("rows.parquet", b"");
    ParquetWriter::new(std::fs::File::create(&parquet.0).unwrap())
        .with_row_group_size(Some(7_000))
        .finish(&mut frame)
        .unwrap();
    let mut text = String::from("date,brand,metric,value\n");
    for (at, value) in values.iter().enumerate() {
        let date = NaiveDate::default() + chrono::TimeDelta::days(20_000 + (at / 500) as i64);
        text.push_str(&format!("{date},{},m{},{value}\n", at * 7 % 13, at % 5));
    }
    let csv = File::new("rows.csv", text.as_bytes());
    let one = aggregate(&parquet.0, FileFormat::Parquet, &monthly(), &never).unwrap();
    let two = aggregate(&csv.0, FileFormat::Csv, &monthly(), &never).unwrap();
    assert!(one.frame.equals(&two.frame));
    let theirs = polars::prelude::IntoLazy::lazy(frame)
        .group_by([
            col("brand"),
            col("metric"),
            col("date").dt().truncate(polars::prelude::lit("1mo")),
        ])
        .agg([col("value").sum()])
        .collect()
        .unwrap();
    assert_eq!(one.frame.height(), theirs.height());
    let counts = one
        .frame
        .column("count")
        .unwrap()
        .u64()
        .unwrap()
        .iter()
        .flatten()
        .sum::<u64>();
    assert_eq!(counts, rows as u64);
    let mut sums: Vec<f64> = theirs
        .column("value")
        .unwrap()
        .f64()
        .unwrap()
        .iter()
        .flatten()
        .collect();
    let mut ours: Vec<f64> = one
        .frame
        .column("sum")
        .unwrap()
        .f64()
        .unwrap()
        .iter()
        .flatten()
        .collect();
    sums.sort_by(f64::total_cmp);
    ours.sort_by(f64::total_cmp);
    for (ours, theirs) in ours.iter().zip(&sums) {
        assert!((ours - theirs).abs() < 1e-11, "{ours} {theirs}");
    }
}

#[test]
fn what_cannot_be_summed_up_is_said() {
    let file = File::new("bad.csv", SMALL.as_bytes());
    let with = |change: &dyn Fn(&mut Aggregation)| {
        let mut aggregation = monthly();
        change(&mut aggregation);
        aggregate(&file.0, FileFormat::Csv, &aggregation, &never).unwrap_err()
    };
    assert!(matches!(with(&|a| a.keys.clear()), AggregateError::NoKeys));
    assert!(matches!(
        with(&|a| a.value = "nothing".to_owned()),
        AggregateError::File(_)
    ));
    assert!(matches!(
        with(&|a| a.value = "other".to_owned()),
        AggregateError::Column { .. }
    ));
    assert!(matches!(
        with(&|a| a.date = "brand".to_owned()),
        AggregateError::Column { .. }
    ));
    assert!(matches!(
        with(&|a| a.keys = vec!["date".to_owned()]),
        AggregateError::Column { .. }
    ));
    let absent = std::env::temp_dir().join("there is no such file.csv");
    assert!(matches!(
        aggregate(&absent, FileFormat::Csv, &monthly(), &never),
        Err(AggregateError::File(_))
    ));
    let empty = File::new("empty.csv", b"");
    assert!(matches!(
        aggregate(&empty.0, FileFormat::Csv, &monthly(), &never),
        Err(AggregateError::File(_))
    ));
    let other = File::new("text.parquet", SMALL.as_bytes());
    assert!(matches!(
        aggregate(&other.0, FileFormat::Parquet, &monthly(), &never),
        Err(AggregateError::File(_))
    ));
    assert!(matches!(
        aggregate(&file.0, FileFormat::Csv, &monthly(), &|| true),
        Err(AggregateError::Cancelled(_))
    ));
}
