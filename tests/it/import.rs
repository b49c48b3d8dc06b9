//! The three shipped files by their mappings alone, and the importer's promises.

use crate::support::{Home, json, repository, said};
use serde_json::Value;

fn import(home: &Home, name: &str, mapping: &str) -> Value {
    let (file, mapping) = (
        repository(&format!("examples/data/{name}")),
        repository(&format!("examples/data/{mapping}")),
    );
    json(home.digi(&[
        "--output",
        "json",
        "import",
        &file.display().to_string(),
        "--mapping",
        &mapping.display().to_string(),
    ]))
}

fn number(report: &Value, path: &str) -> u64 {
    report
        .pointer(path)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("{path} in {report}"))
}

const MAPPING: &str = r#"
name = "shop"
granularity = "week"
restatement_weeks = 4
[date]
column = "week"
[brand]
column = "brand"
[project]
constant = "Shop"
[[metric]]
column = "sales"
key = "sales"
section = "marketplace"
role = "outcome"
unit = "currency"
"#;

fn run(home: &Home, csv: &str, mapping: &str) -> Value {
    let (file, mapping) = (home.write("a.csv", csv), home.write("a.toml", mapping));
    json(home.digi(&[
        "--output",
        "json",
        "import",
        &file.display().to_string(),
        "--mapping",
        &mapping.display().to_string(),
    ]))
}

storage::testkit::on_both! {
    async fn the_shipped_files_import_and_a_second_time_nothing_changes(database: TestDatabase) {
        let home = Home::new(database);
        for (file, mapping) in [
            ("complete_journey_weekly.csv", "complete_journey_weekly.mapping.toml"),
            ("robyn_weekly.csv", "robyn_weekly.mapping.toml"),
            ("robyn_semicolon.csv", "robyn_semicolon.mapping.toml"),
        ] {
            let first = import(&home, file, mapping);
            let counts = |name: &str| number(&first, &format!("/batch/counts/{name}"));
            assert!(counts("accepted") > 0 && counts("refused") == 0, "{first}");
            let distinct = counts("accepted") - counts("merged") + counts("filled");
            assert_eq!(counts("inserted"), distinct, "{first}");
            assert_eq!(number(&first, "/changed"), distinct);
            if file.starts_with("complete") {
                assert_eq!(number(&first, "/summary/rows"), 11_888);
                assert_eq!(number(&first, "/summary/dropped_rows"), 72);
                assert_eq!(number(&first, "/summary/keys"), 11_754);
                assert_eq!(number(&first, "/summary/merged_keys"), 60);
            }
            let second = import(&home, file, mapping);
            assert_eq!(number(&second, "/changed"), 0, "{second}");
            assert_eq!(number(&second, "/batch/counts/unchanged"), distinct);
            assert_ne!(first["batch"]["id"], second["batch"]["id"]);
        }
    }

    async fn refused_rows_are_kept_with_reason_and_line(database: TestDatabase) {
        let home = Home::new(database);
        let report = run(&home, "week,brand,sales\n2024-01-01,A,5\n2024-01-02,A,5\n2024-01-08,A,five\n2024-01-15,A\n", MAPPING);
        assert_eq!(number(&report, "/batch/counts/inserted"), 1);
        assert_eq!(number(&report, "/batch/counts/refused"), 3);
        let reasons: Vec<(u64, &str)> = report["rejects"]
            .as_array()
            .expect("rejects")
            .iter()
            .map(|r| (r["line"].as_u64().expect("a line"), r["code"].as_str().expect("a code")))
            .collect();
        assert_eq!(reasons, [(3, "date.not_period_start"), (4, "value.not_a_number"), (5, "row.columns")]);
    }

    async fn a_value_outside_the_restatement_window_is_final(database: TestDatabase) {
        let home = Home::new(database);
        run(&home, "week,brand,sales\n2024-01-01,A,5\n", MAPPING);
        let changed = run(&home, "week,brand,sales\n2024-01-01,A,6\n2024-01-08,A,7\n", MAPPING);
        assert_eq!(number(&changed, "/batch/counts/outside_window"), 1);
        assert_eq!(number(&changed, "/batch/counts/inserted"), 1, "new values are taken whatever their age");
        assert_eq!(number(&changed, "/batch/counts/updated"), 0);
        let open = MAPPING.replace("restatement_weeks = 4\n", "");
        let changed = run(&home, "week,brand,sales\n2024-01-01,A,6\n2024-01-08,A,7\n", &open);
        assert_eq!(number(&changed, "/batch/counts/updated"), 1);
    }

    async fn the_days_of_a_week_become_one_value_amounts_added_and_prices_averaged(database: TestDatabase) {
        let home = Home::new(database);
        let price = "[[metric]]\ncolumn = 'price'\nkey = 'price'\nsection = 'marketplace'\nrole = 'price'\nunit = 'currency'\n";
        let mapping = MAPPING.replace("column = \"week\"\n", "column = \"week\"\nalign = true\n");
        let mapping = format!("{mapping}{price}[values]\nduplicates = 'combine'\n");
        let days = "week,brand,sales,price\n2024-01-01,A,5,2\n2024-01-03,A,6,4\n2024-01-07,A,7,3\n2024-01-08,A,1,9\n";
        let report = run(&home, days, &mapping);
        assert_eq!((number(&report, "/summary/keys"), number(&report, "/summary/merged_keys")), (2, 1));
        // The same weeks, put together by hand, change nothing.
        let weeks = "week,brand,sales,price\n2024-01-01,A,18,3\n2024-01-08,A,1,9\n";
        let same = run(&home, weeks, &mapping);
        assert_eq!((number(&same, "/changed"), number(&same, "/batch/counts/unchanged")), (0, 4));
    }

    async fn a_metric_s_rule_changes_what_is_analysed_and_not_what_is_stored(database: TestDatabase) {
        let home = Home::new(database);
        let mut csv = String::from("week,brand,sales,raw\n");
        let monday = chrono::NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date");
        for week in 0..60 {
            // The feed stands still for the last eight weeks.
            let value = if week < 52 { 100 + week * 7 % 13 } else { 120 };
            csv.push_str(&format!("{},A,{value},{value}\n", monday + chrono::Days::new(7 * week)));
        }
        let raw = "[[metric]]\ncolumn = 'raw'\nkey = 'raw'\nsection = 'marketplace'\nrole = 'health'\nunit = 'count'\n";
        let mapping = format!("{MAPPING}[metric.cleaning]\nstuck_tail = 6\n{raw}");
        assert_eq!(number(&run(&home, &csv, &mapping), "/changed"), 120);
        let periods = |metric: &str| {
            let told = json(home.digi(&["--output", "json", "analyze", "forecasts", "--metric", metric]));
            number(&told, "/0/periods")
        };
        assert_eq!((periods("sales"), periods("raw")), (53, 60));
        assert_eq!(number(&run(&home, &csv, &mapping), "/changed"), 0, "the values are stored as they came");
        let wrong = mapping.replace("stuck_tail = 6", "stuck_tail = 2");
        let refused = home.digi(&["import", &home.write("a.csv", &csv).display().to_string(), "--mapping", &home.write("b.toml", &wrong).display().to_string()]).output().expect("it runs");
        assert!(said(&refused).contains("metric[0].cleaning.stuck_tail: is less than 3"), "{}", said(&refused));
    }

    async fn a_file_that_is_too_large_for_its_limits_is_refused_and_harms_nothing(database: TestDatabase) {
        let home = Home::new(database);
        let mut csv = String::from("week,brand,sales\n");
        for brand in 0..2000 {
            csv.push_str(&format!("2024-01-01,B{brand},1\n"));
        }
        let (file, mapping) = (home.write("a.csv", &csv), home.write("a.toml", MAPPING));
        let mut command = home.digi(&["import", &file.display().to_string(), "--mapping", &mapping.display().to_string()]);
        command.env("DIGI_CADENCE_INGEST_MAX_ROWS", "1000");
        let output = command.output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(5), "{}", said(&output));
        assert!(said(&output).contains("ingest.too_many_rows"), "{}", said(&output));
    }
}
