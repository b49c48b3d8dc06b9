//! `kill -9` at any moment of an import loses nothing acknowledged and doubles nothing.
//!
//! Two kinds in turn, each seeded: the *server*, while chunks are sent and while its job parses them; and the *worker*
//! process of an import from the command line. A moment is a point between the first and the last acknowledgement of an
//! undisturbed run. `KILLS` (10 unless set) is the number over both databases.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use domain::{
    access::{Permission, Principal},
    id::{BatchId, OrgId},
    ingest::{Batch, BatchState},
};
use reqwest::Method;
use serde_json::{Value, json};
use storage::ValueQuery;

use crate::support::{Client, Dice, Home, Server, children_of, kill_9, said};

/// Brands, weeks and the values in one unit of work (the parsing process hands over 500 at once): some twenty-five
/// acknowledgements per import.
const BRANDS: usize = 240;
const WEEKS: usize = 52;
const UNIT_VALUES: &str = "100";

/// Chunks a file is sent in.
const CHUNKS: usize = 12;

/// A start after a kill may take this long.
const RESTART: Duration = Duration::from_secs(5);

const MAPPING: &str = r#"
name = "shop"
granularity = "week"
[date]
column = "week"
[brand]
column = "brand"
[project]
constant = "Shop"
[values]
duplicates = "last"
[[metric]]
column = "sales"
key = "sales"
section = "marketplace"
role = "outcome"
unit = "currency"
"#;

/// A file of its own for each round, so that every round is a new import. Some rows are wrong.
fn file(round: u64) -> String {
    let monday = chrono::NaiveDate::from_ymd_opt(2023, 1, 2).expect("a Monday");
    let mut text = String::from("week,brand,sales\n");
    for brand in 0..BRANDS {
        for week in 0..WEEKS {
            let date = monday + chrono::Days::new(7 * week as u64);
            if (brand + week) % 97 == 0 {
                text.push_str(&format!("{date},Brand {brand},none {round}\n"));
            } else {
                text.push_str(&format!(
                    "{date},Brand {brand},{}.{round:02}\n",
                    brand * 100 + week
                ));
            }
        }
    }
    text
}

/// Values and refusals in such a file.
fn expected() -> (u64, u64) {
    let wrong = (0..BRANDS)
        .flat_map(|b| (0..WEEKS).map(move |w| (b + w) % 97 == 0))
        .filter(|w| *w)
        .count();
    ((BRANDS * WEEKS - wrong) as u64, wrong as u64)
}

/// What is stored, read past the program.
struct Stored<'a> {
    home: &'a Home,
    org: OrgId,
}

impl Stored<'_> {
    fn grant(&self) -> domain::access::Grant {
        Principal::system(self.org)
            .grant(Permission::MetricRead)
            .expect("the system may read")
    }

    async fn batch(&self, id: BatchId) -> Batch {
        self.home
            .database
            .scope(&self.grant())
            .ingest()
            .get(id)
            .await
            .expect("the ledger")
    }

    /// Values of one round, recognised by their decimals; every key once.
    async fn values(&self, round: u64) -> u64 {
        let table = self
            .home
            .database
            .scope(&self.grant())
            .values()
            .table(&ValueQuery::default())
            .await
            .expect("values");
        let keys: BTreeSet<_> = (0..table.len())
            .map(|i| (table.brand[i], table.metric[i], table.period[i]))
            .collect();
        assert_eq!(keys.len(), table.len(), "a value is there twice");
        let cents = |value: f64| ((value - value.trunc()) * 100.0).round() as u64;
        table
            .value
            .iter()
            .filter(|value| cents(**value) == round)
            .count() as u64
    }

    /// The import of `round` is whole: everything once, nothing more.
    async fn is_whole(&self, id: BatchId, round: u64) {
        let (values, wrong) = expected();
        let batch = self.batch(id).await;
        assert_eq!(batch.state, BatchState::Complete, "{batch:?}");
        assert_eq!(
            batch.counts.inserted + batch.counts.updated,
            values,
            "{batch:?}"
        );
        assert_eq!(
            (batch.counts.refused, batch.counts.unchanged),
            (wrong, 0),
            "{batch:?}"
        );
        assert_eq!(batch.offset, values + wrong, "{batch:?}");
        assert_eq!(self.values(round).await, values);
    }
}

/// One import from the command line whose worker is killed after acknowledgement number `kill_at`; `None` kills nothing.
/// Returns the number of acknowledgements and whether the kill came before the last one.
async fn command_line(
    home: &Home,
    org: OrgId,
    round: u64,
    kill_at: Option<(usize, Duration)>,
) -> (usize, bool) {
    let file = home.write(&format!("round-{round}.csv"), &file(round));
    let mapping = home.write("shop.toml", MAPPING);
    let mut command = home.digi(&[
        "--output",
        "json",
        "import",
        "--acknowledge",
        &file.display().to_string(),
        "--mapping",
        &mapping.display().to_string(),
    ]);
    command
        .env("DIGI_CADENCE_INGEST_UNIT_VALUES", UNIT_VALUES)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let parent = child.id();
    let stored = Stored { home, org };
    let (mut acknowledged, mut killed_at_offset, mut last_offset, mut batch) = (0, None, 0, None);
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let line = line.expect("text");
        // Behind the acknowledgements stands the report, over several lines.
        let Ok(said) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let Some(offset) = said["acknowledged"].as_u64() else {
            continue;
        };
        let id: BatchId = said["batch"]
            .as_str()
            .expect("an id")
            .parse()
            .expect("an id");
        batch = Some(id);
        acknowledged += 1;
        last_offset = offset;
        if let Some((at, wait)) = kill_at
            && acknowledged == at
        {
            std::thread::sleep(wait);
            let killed = children_of(parent)
                .into_iter()
                .filter(|id| kill_9(*id))
                .count();
            if killed > 0 {
                killed_at_offset = Some(offset);
            }
            // What was acknowledged is durable at this very moment.
            assert!(stored.batch(id).await.offset >= offset);
        }
    }
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", said(&output));
    stored
        .is_whole(batch.expect("an acknowledgement"), round)
        .await;
    (
        acknowledged,
        killed_at_offset.is_some_and(|offset| offset < last_offset),
    )
}

/// Where a run by REST stands when it is killed.
#[derive(Clone, Copy)]
enum Moment {
    /// After this many chunks.
    Chunk(usize),
    /// When the job has reached this share of the items.
    Share(f64),
}

/// One import by REST whose server is killed at `moment`, started again and sent everything again.
async fn by_rest(home: &Home, org: OrgId, token: &str, round: u64, moment: Option<Moment>) -> bool {
    let settings = [("DIGI_CADENCE_INGEST_UNIT_VALUES", UNIT_VALUES)];
    let stored = Stored { home, org };
    let mut server = Server::start_with(home, &settings).await;
    let mut client = Client::new(&server, token);
    let mapping = client.post("/mappings", &json!({ "text": MAPPING })).await;
    let opened = client
        .post(
            "/imports/open",
            &json!({ "mapping_id": mapping["id"], "source": "shop" }),
        )
        .await;
    let id: BatchId = opened["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("an id");
    let text = file(round);
    let size = text.len().div_ceil(CHUNKS);
    let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
    let (values, wrong) = expected();
    let put = |client: &Client, number: usize| {
        client
            .request(Method::PUT, &format!("/imports/{id}/chunks/{number}"))
            .header("content-type", "application/octet-stream")
            .body(chunks[number].to_vec())
    };
    let mut killed = false;
    let mut finished = false;
    let mut sent = 0;
    for number in 0..chunks.len() {
        let answer = put(&client, number).send().await.expect("it answers");
        assert!(
            answer.status().is_success(),
            "{}",
            answer.text().await.unwrap_or_default()
        );
        sent += 1;
        if matches!(moment, Some(Moment::Chunk(at)) if at == sent) {
            server.kill();
            killed = true;
            // Acknowledged chunks are there although nobody had time to close anything.
            let there = home
                .database
                .scope(&stored.grant())
                .uploads()
                .stored(id)
                .await
                .expect("the upload");
            assert!(there.chunks >= sent as u64, "{there:?} of {sent}");
            server = Server::start_with(home, &settings).await;
            assert!(
                server.ready_after <= RESTART,
                "ready after {:?}",
                server.ready_after
            );
            client = Client::new(&server, token);
            break;
        }
    }
    if killed {
        // A client that does not know what arrived sends everything again.
        for number in 0..chunks.len() {
            let answer = put(&client, number).send().await.expect("it answers");
            assert!(
                answer.status().is_success(),
                "{}",
                answer.text().await.unwrap_or_default()
            );
        }
    }
    let began = Instant::now();
    loop {
        if !finished {
            client
                .post(&format!("/imports/{id}/finish"), &json!({}))
                .await;
            finished = true;
        }
        let batch = stored.batch(id).await;
        if batch.state != BatchState::Open {
            break;
        }
        if let Some(Moment::Share(share)) = moment
            && !killed
            && batch.offset as f64 >= share * (values + wrong) as f64
        {
            server.kill();
            killed = true;
            let there = stored.batch(id).await.offset;
            assert!(there >= batch.offset, "{there} of {}", batch.offset);
            server = Server::start_with(home, &settings).await;
            assert!(
                server.ready_after <= RESTART,
                "ready after {:?}",
                server.ready_after
            );
            client = Client::new(&server, token);
            finished = false;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the import does not end: {batch:?}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stored.is_whole(id, round).await;
    assert!(server.terminate().success(), "the server stops in order");
    killed
}

storage::testkit::on_both! {
    async fn a_kill_at_any_moment_of_an_import_loses_nothing_and_doubles_nothing(database: TestDatabase) {
        let kills: usize = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10) / 2;
        let backend = database.backend().name();
        let home = Home::new(database);
        let token = home.token("importer@example.org", "org-admin");
        let org = OrgId::derive(&["My organisation"]);
        // The undisturbed runs: how many acknowledgements there are, and how far apart they come.
        let began = Instant::now();
        let (acknowledgements, _) = command_line(&home, org, 1, None).await;
        let gap = began.elapsed() / u32::try_from(acknowledgements).expect("few");
        assert!(acknowledgements >= 20, "only {acknowledgements} acknowledgements");
        let mut dice = Dice::new(20_261_121);
        let mut before_the_last = 0;
        for kill in 0..kills {
            let round = 2 + kill as u64 % 90;
            let at = dice.roll();
            let hit = if kill % 2 == 0 {
                let moment = if at < 0.5 {
                    Moment::Chunk(1 + (2.0 * at * CHUNKS as f64) as usize)
                } else {
                    Moment::Share(2.0 * (at - 0.5))
                };
                by_rest(&home, org, &token, round, Some(moment)).await
            } else {
                let number = 1 + (at * (acknowledgements - 1) as f64) as usize;
                command_line(&home, org, round, Some((number, gap.mul_f64(dice.roll())))).await.1
            };
            before_the_last += usize::from(hit);
        }
        println!("{backend}: {kills} kills, {before_the_last} before the last acknowledgement, 0 lost, 0 doubled");
        assert!(10 * before_the_last >= 8 * kills, "only {before_the_last} of {kills} kills came before the last acknowledgement");
    }
}
