//! `import` in one process beside `serve` in another, on one SQLite file.

use serde_json::{Value, json};
use storage::testkit::TestDatabase;

use crate::support::{Client, Home, Server, json as output};

const MAPPING: &str = r#"
name = "shop"
granularity = "week"
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

#[tokio::test(flavor = "multi_thread")]
async fn an_import_beside_a_running_server_is_seen_by_it_and_disturbs_nothing() {
    let home = Home::new(TestDatabase::sqlite().await);
    let token = home.token("owner@example.org", "org-admin");
    let server = Server::start(&home).await;
    let client = Client::new(&server, &token);
    let monday = chrono::NaiveDate::from_ymd_opt(2023, 1, 2).expect("a Monday");
    let mut csv = String::from("week,brand,sales\n");
    for brand in 0..40 {
        for week in 0..104_u64 {
            csv.push_str(&format!(
                "{},Brand {brand},{}\n",
                monday + chrono::Days::new(7 * week),
                100 + week
            ));
        }
    }
    let (file, mapping) = (home.write("a.csv", &csv), home.write("a.toml", MAPPING));
    let mut command = home.digi(&[
        "--output",
        "json",
        "import",
        &file.display().to_string(),
        "--mapping",
        &mapping.display().to_string(),
    ]);
    command.env("DIGI_CADENCE_INGEST_UNIT_VALUES", "100");
    let importing = tokio::task::spawn_blocking(move || output(command));
    // The server writes to the same file all the while: every one of these is a transaction of its own.
    let mut written = 0;
    while !importing.is_finished() {
        let text = format!("{}# {written}\n", MAPPING.replace("\"shop\"", "\"other\""));
        client.post("/mappings", &json!({ "text": text })).await;
        written += 1;
    }
    let report = importing.await.expect("the import ends");
    assert_eq!(report["batch"]["counts"]["inserted"], 40 * 104);
    assert!(
        written >= 2,
        "the server wrote {written} times beside the import"
    );
    let brands = client.get("/brands?limit=200").await;
    assert_eq!(
        brands
            .as_array()
            .or(brands["data"].as_array())
            .map(Vec::len),
        Some(40)
    );
    let batches = client.get("/imports").await;
    let listed = batches["data"]
        .as_array()
        .expect("batches")
        .iter()
        .find(|b| b["id"] == report["batch"]["id"]);
    assert_eq!(
        listed.map(|b| b["state"].clone()),
        Some(Value::from("complete"))
    );
    assert!(server.terminate().success(), "the server stops in order");
}
