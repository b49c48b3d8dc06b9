//! The parser's rules, one by one, on small files.

use analytics::{
    cancel::never,
    ingest::{Item, Limits, Summary, parse, read_mapping},
};
use domain::{Error, ingest::Reject, mapping::Mapping};

const WIDE: &str = r#"
name = "test"
granularity = "week"
[date]
column = "week"
[brand]
column = "brand"
[project]
constant = "P"
[[metric]]
column = "sales"
key = "sales"
section = "marketplace"
role = "outcome"
unit = "currency"
"#;

fn mapping(changes: &[(&str, &str)]) -> Mapping {
    let text = changes.iter().fold(WIDE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    read_mapping(&text).expect("a sound mapping")
}

type Parsed = (Summary, Vec<(String, String, f64)>, Vec<Reject>);

fn run(file: &[u8], mapping: &Mapping, limits: &Limits) -> Result<Parsed, Error> {
    let (mut values, mut rejects) = (Vec::new(), Vec::new());
    let summary = parse(file, mapping, limits, &never, &mut |item| {
        match item {
            Item::Value(v) => values.push((v.brand.to_owned(), v.period.to_string(), v.value)),
            Item::Reject(reject) => rejects.push(reject),
        }
        Ok(())
    })?;
    Ok((summary, values, rejects))
}

fn sound(file: &str, mapping: &Mapping) -> Parsed {
    run(file.as_bytes(), mapping, &Limits::default()).expect("the file is read to its end")
}

fn row(brand: &str, period: &str, value: f64) -> (String, String, f64) {
    (brand.to_owned(), period.to_owned(), value)
}

#[test]
fn every_refused_row_keeps_its_line_column_reason_and_text() {
    let file = "week,brand,sales\n2017-01-02,a,1\n2017-01-03,a,2\n2017-01-09,,3\n2017-01-09,a,x1\n2017-01-16,a\nbad,a,4\n";
    let (summary, values, rejects) = sound(file, &mapping(&[]));
    let seen: Vec<(u64, &str, &str, &str)> = rejects
        .iter()
        .map(|r| (r.line, r.column.as_str(), r.code.as_str(), r.raw.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (3, "week", "date.not_period_start", "2017-01-03"),
            (4, "brand", "brand.missing", "2017-01-09 |  | 3"),
            (5, "sales", "value.not_a_number", "x1"),
            (6, "", "row.columns", "2017-01-16 | a"),
            (7, "week", "date.malformed", "bad"),
        ]
    );
    assert!(rejects.iter().all(|r| !r.message.is_empty()));
    assert_eq!(values, [row("a", "2017-01-02", 1.0)]);
    assert_eq!(
        (
            summary.rows,
            summary.accepted,
            summary.refused,
            summary.items
        ),
        (6, 1, 5, 6)
    );
}

#[test]
fn refused_text_is_cut_to_two_hundred_characters() {
    let file = format!("week,brand,sales\n2017-01-02,a,{}\n", "é".repeat(5000));
    let (_, _, rejects) = sound(&file, &mapping(&[]));
    assert_eq!(rejects[0].raw.chars().count(), 200);
}

#[test]
fn amounts_in_thousands_of_another_currency_become_the_organisations_by_the_rate_of_their_day() {
    let mapping = mapping(&[
        (
            "unit = \"currency\"",
            "unit = \"currency\"\ncurrency = \"USD\"\nscale = \"thousand\"",
        ),
        (
            "[date]",
            "[rates]\ninto = \"EUR\"\n[rates.of.USD]\n2017-01-06 = 0.9\n2017-01-16 = 0.8\n[date]",
        ),
    ]);
    let file = "week,brand,sales\n2017-01-02,a,1\n2017-01-09,a,2\n2017-01-16,a,4\n";
    let (_, values, rejects) = sound(file, &mapping);
    assert_eq!(
        values,
        [
            row("a", "2017-01-09", 1_800.0),
            row("a", "2017-01-16", 3_200.0)
        ]
    );
    assert_eq!(rejects.len(), 1);
    assert_eq!(
        (rejects[0].line, rejects[0].code.as_str()),
        (2, "currency.rate_missing")
    );
    assert!(
        rejects[0].message.contains("USD") && rejects[0].message.contains("2017-01-02"),
        "{}",
        rejects[0].message
    );
}

#[test]
fn repeated_keys_are_refused_summed_or_replaced_as_the_mapping_says() {
    let file = "week,brand,sales\n2017-01-02,a,1\n2017-01-02,a,2\n";
    let (summary, values, rejects) = sound(file, &mapping(&[]));
    assert_eq!(
        (values[0].2, rejects[0].code.as_str(), summary.refused),
        (1.0, "value.duplicate", 1)
    );
    let sum = mapping(&[("[[metric]]", "[values]\nduplicates = \"sum\"\n[[metric]]")]);
    let (summary, values, _) = sound(file, &sum);
    assert_eq!(
        (
            values.len(),
            values[0].2,
            summary.accepted,
            summary.merged,
            summary.merged_keys
        ),
        (1, 3.0, 2, 1, 1)
    );
    let last = mapping(&[("[[metric]]", "[values]\nduplicates = \"last\"\n[[metric]]")]);
    let (_, values, _) = sound(file, &last);
    assert_eq!(values.last().map(|v| v.2), Some(2.0));
}

#[test]
fn absent_weeks_become_zeros_for_money_and_stay_absent_for_prices() {
    let file = "week,brand,sales\n2017-01-02,a,1\n2017-01-16,a,3\n2017-01-09,b,5\n";
    let zero = [("[[metric]]", "[values]\nabsent = \"zero\"\n[[metric]]")];
    let (summary, values, _) = sound(file, &mapping(&zero));
    assert_eq!(
        values,
        [
            row("a", "2017-01-02", 1.0),
            row("a", "2017-01-09", 0.0),
            row("a", "2017-01-16", 3.0),
            row("b", "2017-01-02", 0.0),
            row("b", "2017-01-09", 5.0),
            row("b", "2017-01-16", 0.0),
        ]
    );
    assert_eq!(summary.filled, 3);
    let inside = mapping(&[(
        "[[metric]]",
        "[values]\nabsent = \"zero_inside\"\n[[metric]]",
    )]);
    assert_eq!(sound(file, &inside).0.filled, 1);
    let price = mapping(&[zero[0], ("role = \"outcome\"", "role = \"price\"")]);
    assert_eq!(sound(file, &price).0.filled, 0);
    assert_eq!(sound(file, &mapping(&[])).1.len(), 3);
}

#[test]
fn the_order_of_items_does_not_depend_on_chance_so_a_count_is_an_offset() {
    let mut file = String::from("week,brand,sales\n");
    for i in 0..500 {
        file.push_str(&format!("2017-01-02,b{},{}\n", (i * 7919) % 500, i));
    }
    let first = sound(&file, &mapping(&[])).1;
    assert_eq!(first, sound(&file, &mapping(&[])).1);
    assert!(first.windows(2).all(|w| w[0].0 < w[1].0));
}

#[test]
fn a_long_file_names_its_metrics_in_a_column() {
    let long = mapping(&[(
        "[[metric]]",
        "[long]\nmetric_column = \"what\"\nvalue_column = \"how_much\"\n[[metric]]",
    )]);
    let file = "week,brand,what,how_much\n2017-01-02,a,sales,4\n2017-01-02,a,mood,9\n";
    let (_, values, rejects) = sound(file, &long);
    assert_eq!(values, [row("a", "2017-01-02", 4.0)]);
    assert_eq!(
        (rejects[0].column.as_str(), rejects[0].code.as_str()),
        ("what", "metric.unknown")
    );
    let tolerant = mapping(&[(
        "[[metric]]",
        "[long]\nmetric_column = \"what\"\nvalue_column = \"how_much\"\ndrop_unknown = true\n[[metric]]",
    )]);
    let (summary, _, rejects) = sound(file, &tolerant);
    assert_eq!((rejects.len(), summary.dropped), (0, 1));
}

#[test]
fn filters_drop_rows_and_count_them() {
    let filtered = mapping(&[(
        "[[metric]]",
        "[[filter]]\ncolumn = \"brand\"\ndrop = [\"total\"]\n[[metric]]",
    )]);
    let (summary, values, _) = sound(
        "week,brand,sales\n2017-01-02,a,1\n2017-01-02,total,9\n",
        &filtered,
    );
    assert_eq!(
        (values.len(), summary.dropped_rows, summary.dropped),
        (1, 1, 1)
    );
}

#[test]
fn byte_order_marks_quotes_and_windows_line_ends_are_read() {
    let file = "\u{feff}\"week\",\"brand\",\"sales\"\r\n\"2017-01-02\",\"a, \"\"b\"\"\",1\r\n";
    let (_, values, _) = sound(file, &mapping(&[]));
    assert_eq!(values, [row("a, \"b\"", "2017-01-02", 1.0)]);
}

#[test]
fn text_that_is_not_utf8_refuses_its_row_only() {
    let mut file = b"week,brand,sales\n2017-01-02,".to_vec();
    file.extend([0xe9, 0xff]);
    file.extend(b",1\n2017-01-02,b,2\n");
    let (_, values, rejects) = run(&file, &mapping(&[]), &Limits::default()).expect("read on");
    assert_eq!(
        (values.len(), rejects[0].code.as_str(), rejects[0].line),
        (1, "row.not_utf8", 2)
    );
}

#[test]
fn a_file_without_the_columns_says_which_are_missing_and_which_it_has() {
    let error = run(b"week;brand;sales\n", &mapping(&[]), &Limits::default()).unwrap_err();
    assert_eq!(error.code, "ingest.columns_missing");
    assert!(
        error.message.contains("week;brand;sales"),
        "{}",
        error.message
    );
    assert!(error.advice.expect("advice").contains("file.delimiter"));
    assert_eq!(
        run(b"", &mapping(&[]), &Limits::default())
            .unwrap_err()
            .code,
        "ingest.no_header"
    );
    let twice = run(
        b"week,brand,sales,sales\n",
        &mapping(&[]),
        &Limits::default(),
    )
    .unwrap_err();
    assert_eq!(twice.code, "ingest.columns_repeated");
}

#[test]
fn a_quote_that_never_closes_ends_at_the_record_limit_and_not_in_memory() {
    struct Endless(u64);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let start = b"week,brand,sales\n2017-01-02,\"";
            if self.0 == 0 {
                buffer[..start.len()].copy_from_slice(start);
                self.0 = start.len() as u64;
                return Ok(start.len());
            }
            buffer.fill(b'x');
            self.0 += buffer.len() as u64;
            assert!(self.0 < 4 << 20, "it reads on and on");
            Ok(buffer.len())
        }
    }
    let error = parse(
        Endless(0),
        &mapping(&[]),
        &Limits::default(),
        &never,
        &mut |_| Ok(()),
    )
    .unwrap_err();
    assert_eq!(error.code, "ingest.record_too_long");
}

#[test]
fn limits_on_bytes_rows_and_keys_are_errors_that_say_what_to_do() {
    let file = "week,brand,sales\n2017-01-02,a,1\n2017-01-02,b,1\n2017-01-02,c,1\n";
    for (limits, code) in [
        (
            Limits {
                max_bytes: 20,
                ..Limits::default()
            },
            "ingest.too_many_bytes",
        ),
        (
            Limits {
                max_rows: 2,
                ..Limits::default()
            },
            "ingest.too_many_rows",
        ),
        (
            Limits {
                max_keys: 2,
                ..Limits::default()
            },
            "ingest.too_many_keys",
        ),
    ] {
        let error = run(file.as_bytes(), &mapping(&[]), &limits).unwrap_err();
        assert_eq!(error.code, code);
        assert!(error.advice.is_some());
    }
}

#[test]
fn the_receiver_can_stop_the_parse() {
    let stop = || Error::invalid("test.stop", "enough");
    let error = parse(
        "week,brand,sales\nbad,a,1\nbad,a,1\n".as_bytes(),
        &mapping(&[]),
        &Limits::default(),
        &never,
        &mut |_| Err(stop()),
    )
    .unwrap_err();
    assert_eq!(error.code, "test.stop");
}

#[test]
fn a_mapping_that_cannot_be_read_says_where() {
    let error = read_mapping("name = \"x\"\ngranularity = \"fortnight\"\n").unwrap_err();
    assert_eq!(error.code, "mapping.malformed");
    assert!(error.message.contains("fortnight"), "{}", error.message);
    let error = read_mapping(&WIDE.replace(
        "column = \"week\"",
        "column = \"week\"\ntime_zone = \"Mars/North\"",
    ))
    .unwrap_err();
    assert_eq!(error.code, "mapping.invalid");
    assert!(error.message.contains("Mars/North"));
}

#[test]
fn columns_nobody_mentioned_are_reported() {
    let (summary, ..) = sound(
        "week,brand,sales,colour\n2017-01-02,a,1,red\n",
        &mapping(&[]),
    );
    assert_eq!(summary.unmapped, ["colour"]);
}
