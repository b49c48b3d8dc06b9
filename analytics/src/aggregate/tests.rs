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
            "\"1\" \"sales\" 2026-01-01 9.0 3.0 3 -2.0 10.5",
            "\"1\" \"sales\" 2026-02-01 7.0 7.0 1 7.0 7.0",
            "\"2\" \"a rather long name of a metric\" 2026-01-01 3.0 3.0 1 3.0 3.0",
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
    let mut one = aggregate(&parquet.0, FileFormat::Parquet, &monthly(), &never).unwrap();
    let two = aggregate(&csv.0, FileFormat::Csv, &monthly(), &never).unwrap();
    // Whole numbers stay what they are in Parquet; the keys of a CSV file are text.
    let brands = one.frame.column("brand").unwrap().cast(&DataType::String);
    one.frame.with_column(brands.unwrap()).unwrap();
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

/// What a CSV file of these rows is refused with.
fn refusal(name: &str, content: &[u8], aggregation: &Aggregation) -> String {
    let file = File::new(name, content);
    let error = aggregate(&file.0, FileFormat::Csv, aggregation, &never).unwrap_err();
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

/// A CSV file of 150 plain rows and then these.
fn after_plain_rows(rows: &str) -> String {
    let mut text = String::from("date,brand,metric,value\n");
    for at in 0..150 {
        text.push_str(&format!("2026-01-05,{},sales,1\n", at % 3));
    }
    text + rows
}

fn sums_of(name: &str, content: &str) -> (Vec<String>, Aggregated) {
    let file = File::new(name, content.as_bytes());
    let found = aggregate(&file.0, FileFormat::Csv, &monthly(), &never).unwrap();
    (rows_of(&found.frame), found)
}

#[test]
fn what_a_column_holds_is_not_guessed_from_its_first_rows() {
    let text = after_plain_rows("2026-01-05,0,sales,1.5\n2026-01-05,A7,sales,2\n");
    let (rows, _) = sums_of("late.csv", &text);
    assert_eq!(
        rows[0],
        "\"0\" \"sales\" 2026-01-01 51.5 1.009804 51 1.0 1.5"
    );
    assert_eq!(rows[3], "\"A7\" \"sales\" 2026-01-01 2.0 2.0 1 2.0 2.0");
    // A column of values that begins empty.
    let mut text = String::from("date,brand,metric,value\n");
    text.push_str(&"2026-01-05,1,sales,\n".repeat(150));
    text.push_str("2026-01-05,1,sales, 4.5 \n");
    let (rows, found) = sums_of("begins_empty.csv", &text);
    assert_eq!(rows, ["\"1\" \"sales\" 2026-01-01 4.5 4.5 1 4.5 4.5"]);
    assert_eq!((found.rows, found.without_value), (151, 150));
}

#[test]
fn keys_that_are_written_differently_are_different_keys() {
    let rows = "2026-01-05,42,sales,1\n2026-01-05,0042,sales,2\n2026-01-05,\"\",sales,4\n2026-01-05,NA,sales,8\n";
    let (rows, found) = sums_of("zeros.csv", &after_plain_rows(rows));
    let keys: Vec<&str> = rows
        .iter()
        .map(|row| row.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        keys,
        ["\"0\"", "\"1\"", "\"2\"", "\"42\"", "\"0042\"", "\"NA\""]
    );
    assert_eq!(found.without_group, 1);
}

#[test]
fn cells_that_say_that_nothing_is_known_are_counted() {
    let rows = "2026-01-05,1,sales,NA\n2026-01-05,1,sales,na\n2026-01-05,1,sales,NaN\n2026-01-05,1,sales,nan\n\
                2026-01-05,1,sales,\"\"\nNA,1,sales,4\n";
    let (_, found) = sums_of("unknown.csv", &after_plain_rows(rows));
    assert_eq!(
        (found.rows, found.without_value, found.without_group),
        (156, 5, 1)
    );
}

#[test]
fn a_cell_that_is_no_number_or_no_date_is_named_with_its_line() {
    for cell in ["2.5x", "1_000", "inf", "-Infinity", "1e999", "two words"] {
        let text = after_plain_rows(&format!("2026-01-06,1,sales,{cell}\n"));
        assert_eq!(
            refusal("number.csv", text.as_bytes(), &monthly()),
            format!("line 152, column \"value\": {cell:?} is not a number")
        );
    }
    for cell in ["31.01.2026", "2026-02-30", "Total"] {
        let text = after_plain_rows(&format!("{cell},1,sales,3\n"));
        assert_eq!(
            refusal("date.csv", text.as_bytes(), &monthly()),
            format!("line 152, column \"date\": {cell:?} is not a date like 2026-03-31")
        );
    }
}

#[test]
fn an_infinite_value_of_a_parquet_file_is_refused() {
    let texts = |text: &str| Series::new("metric".into(), [text; 2]).into_column();
    let columns = vec![
        texts("x").with_name("brand".into()),
        texts("sales"),
        Series::new("date".into(), [20_000_i32; 2])
            .cast(&DataType::Date)
            .unwrap()
            .into_column(),
        Series::new("value".into(), [1.0, f64::NEG_INFINITY]).into_column(),
    ];
    let mut frame = DataFrame::new(2, columns).unwrap();
    let file = File::new("infinite.parquet", b"");
    ParquetWriter::new(std::fs::File::create(&file.0).unwrap())
        .finish(&mut frame)
        .unwrap();
    let error = aggregate(&file.0, FileFormat::Parquet, &monthly(), &never).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"value\": \"-inf\" is not a number"
    );
    let other = Aggregation {
        value: "amount".to_owned(),
        ..monthly()
    };
    let error = aggregate(&file.0, FileFormat::Parquet, &other, &never).unwrap_err();
    assert!(matches!(error, AggregateError::NoColumn { .. }), "{error}");
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_refused_in_one_line() {
    for (content, expected) in [
        (&b""[..], "there are no rows"),
        (b"date,brand,metric,value\n", "there are no rows"),
        (
            b"date;brand;metric;value\n2026-01-05;1;sales;4\n",
            "there is no column \"brand\"",
        ),
        (
            b"date,brand,metric,amount\n2026-01-05,1,sales,4\n",
            "there is no column \"value\"",
        ),
        (
            b"date,brand,metric,value,value\n2026-01-05,1,sales,4,4\n",
            "there are two columns \"value\"",
        ),
        (
            b"\x1f\x8b\x08\x00abc",
            "it is packed by gzip; unpack it first",
        ),
        (
            b"PAR1abc",
            "it is a Parquet file; let its name end in .parquet",
        ),
        (
            b"date,brand,metric,value\n2026-01-05,1,sales,4\n2026-01-05,1,sales,4,5\n",
            "line 3: 5 cells where the header has 4",
        ),
        (
            b"date,brand,metric,value\n2026-01-05,\xff,sales,4\n",
            "line 2 is not UTF-8",
        ),
        (
            b"date,br\xff,metric,value\n2026-01-05,1,sales,4\n",
            "line 1 is not UTF-8",
        ),
    ] {
        assert_eq!(refusal("other.csv", content, &monthly()), expected);
    }
    let folder = aggregate(&std::env::temp_dir(), FileFormat::Csv, &monthly(), &never);
    assert_eq!(
        folder.unwrap_err().to_string(),
        "it cannot be read: it is a folder"
    );
    for (content, expected) in [
        (&b""[..], "there are no rows"),
        (b"date,", "it is not a Parquet file"),
    ] {
        let file = File::new("other.parquet", content);
        let error = aggregate(&file.0, FileFormat::Parquet, &monthly(), &never).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let cut = File::new("cut.parquet", b"PAR1 and no more");
    let error = aggregate(&cut.0, FileFormat::Parquet, &monthly(), &never).unwrap_err();
    assert!(matches!(&error, AggregateError::Malformed(_)), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

#[test]
fn a_file_with_a_byte_order_mark_and_windows_line_ends_is_read() {
    let text = format!("\u{feff}{}", SMALL.replace('\n', "\r\n"));
    let (rows, found) = sums_of("windows.csv", &text);
    assert_eq!((rows.len(), found.rows), (3, 8));
}

#[test]
fn columns_that_cannot_make_groups_are_refused() {
    for (keys, why) in [
        (
            "brand,brand",
            "\"brand\" cannot make groups: it is named twice",
        ),
        ("brand,period", "the result has a column of that name"),
        ("sum", "the result has a column of that name"),
        ("max", "the result has a column of that name"),
        ("date", "it is the column of dates"),
        ("value", "it is the column of values"),
    ] {
        let aggregation = Aggregation {
            keys: keys.split(',').map(str::to_owned).collect(),
            ..monthly()
        };
        let found = refusal("keys.csv", SMALL.as_bytes(), &aggregation);
        assert!(found.contains(why), "{found}");
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
        AggregateError::NoColumn { column, there } if column == "nothing" && there.len() == 5
    ));
    assert!(matches!(
        with(&|a| a.value = "other".to_owned()),
        AggregateError::NotANumber { line: Some(2), .. }
    ));
    assert!(matches!(
        with(&|a| {
            a.date = "other".to_owned();
            a.keys = vec!["metric".to_owned()];
        }),
        AggregateError::NotADate { line: Some(2), .. }
    ));
    let absent = std::env::temp_dir().join("there is no such file.csv");
    assert!(matches!(
        aggregate(&absent, FileFormat::Csv, &monthly(), &never),
        Err(AggregateError::Unreadable(_))
    ));
    let empty = File::new("empty.csv", b"");
    assert!(matches!(
        aggregate(&empty.0, FileFormat::Csv, &monthly(), &never),
        Err(AggregateError::Empty)
    ));
    let other = File::new("text.parquet", SMALL.as_bytes());
    assert!(matches!(
        aggregate(&other.0, FileFormat::Parquet, &monthly(), &never),
        Err(AggregateError::Malformed(_))
    ));
    assert!(matches!(
        aggregate(&file.0, FileFormat::Csv, &monthly(), &|| true),
        Err(AggregateError::Cancelled(_))
    ));
}

#[test]
fn a_file_is_found_under_any_name() {
    let file = File::new("ä b%20c?*#.csv", SMALL.as_bytes());
    let found = aggregate(&file.0, FileFormat::Csv, &monthly(), &never).unwrap();
    assert_eq!(found.rows, 8);
}

#[test]
fn a_file_is_found_by_way_of_the_folder_above() {
    let file = File::new("above.csv", SMALL.as_bytes());
    let folder = file.0.parent().unwrap();
    let around = folder
        .join("..")
        .join(folder.file_name().unwrap())
        .join(file.0.file_name().unwrap());
    let found = aggregate(&around, FileFormat::Csv, &monthly(), &never).unwrap();
    assert_eq!(found.rows, 8);
}

#[test]
fn no_line_is_taken_for_a_comment() {
    let lines = ["#", "//", "\u{0}", "\u{0}\u{0}", "%", ";", "--"]
        .map(|start| format!("{start},cost,2024-01-01,1\n"));
    let text = format!("brand,metric,date,value\n{}", lines.concat());
    let file = File::new("comments.csv", text.as_bytes());
    let found = aggregate(&file.0, FileFormat::Csv, &monthly(), &never).unwrap();
    assert_eq!((found.rows, found.frame.height()), (7, 7));
}
