//! The loop closed through the whole product: the agents propose, a person approves, the market answers, the measurer
//! grades, and only then the simulator's truth says what it was worth.
//!
//! A few seeds run with every test run; `make bench` runs all of them and prints the tables.

use std::time::{Duration, Instant};

use agents::ingest::{brand_id, channel_id};
use analytics::market::{
    PlanRules, World,
    catalogue::{BRANDS, CHANNEL_COUNT, LINES},
};
use domain::id::OrgId;
use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Demo, Dice, digi, said};

/// Weeks of a plan, and how far the market is moved on.
const WEEKS: usize = 12;

/// Demos that run at once.
const AT_ONCE: usize = 2;

/// How long undo window, application, or measuring may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// What became of the top budget plan of one world, in currency.
struct Closed {
    seed: u64,
    /// What the agents promised; nothing without a plan.
    promised: f64,
    /// What the measurer found, when the plan was measured.
    realised: Option<f64>,
    /// The measurer's verdict.
    verdict: String,
    /// The noise-free gain, tail included; zero without a plan.
    truth: f64,
    /// The noise-free gain of the perfect plan under the same total and bounds.
    perfect: f64,
}

/// Approves the top budget plan of the world of `seed`, moves the clock, and lets the truth judge.
async fn close(seed: u64) -> Closed {
    let demo = Demo::start(&["--seed", &seed.to_string()]).await;
    let world = World::planted(seed);
    let list = get(&demo, "/recommendations?state=open&limit=200").await;
    let top = list["data"]
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["kind"] == "budget_plan")
        .max_by(|a, b| {
            let value = |row: &Value| row["effect"]["value"].as_f64().unwrap_or(0.0);
            value(a).total_cmp(&value(b))
        });
    let Some(top) = top else {
        let usual = world.baseline();
        let rules = PlanRules {
            weeks: WEEKS,
            lower: usual.iter().map(|v| 0.5 * v).collect(),
            upper: usual.iter().map(|v| 1.5 * v).collect(),
            baseline: usual,
        };
        return Closed {
            seed,
            promised: 0.0,
            realised: None,
            verdict: "no plan".to_owned(),
            truth: 0.0,
            perfect: world.perfect_plan(&rules).bound,
        };
    };
    let id = top["id"].as_str().expect("an id").to_owned();
    let path = format!("/recommendations/{id}");
    the_what_if_agrees(&demo, top).await;
    let (status, opened, tag) = demo
        .call(Method::POST, &format!("{path}/open"), None, Some(json!({})))
        .await;
    assert!(status.is_success(), "{opened}");
    let hash = json!({ "action_hash": opened["recommendation"]["action_hash"] });
    let approve = format!("{path}/approve");
    let (status, approved, _) = demo
        .call(Method::POST, &approve, tag.as_deref(), Some(hash))
        .await;
    assert!(status.is_success(), "{approved}");
    wait_for(&demo, &path, &["applied", "measuring"]).await;
    let weeks = json!({ "weeks": WEEKS });
    let (status, advanced, _) = demo
        .call(Method::POST, "/demo/advance", None, Some(weeks))
        .await;
    assert!(status.is_success(), "{advanced}");
    let detail = wait_for(&demo, &path, &["verified", "refuted", "inconclusive"]).await;
    let outcomes = get(&demo, "/outcomes?limit=200").await;
    let outcome = outcomes["data"]
        .as_array()
        .expect("rows")
        .iter()
        .find(|row| row["outcome"]["recommendation"] == id.as_str())
        .unwrap_or_else(|| panic!("{outcomes}"));
    let (rules, spend) = as_planned(&detail["recommendation"]["action"]);
    Closed {
        seed,
        promised: top["effect"]["value"].as_f64().expect("a promise"),
        realised: outcome["outcome"]["realised"].as_f64(),
        verdict: detail["recommendation"]["state"]
            .as_str()
            .expect("a state")
            .to_owned(),
        truth: world.plan_gain(&rules, &spend),
        perfect: world.perfect_plan(&rules).bound,
    }
}

/// A person who enters the plan's lines in the what-if sees what was promised, at the same total.
async fn the_what_if_agrees(demo: &Demo, plan: &Value) {
    let action = &get(
        demo,
        &format!("/recommendations/{}", plan["id"].as_str().expect("an id")),
    )
    .await["recommendation"]["action"];
    let lines: Vec<Value> = action["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|l| json!({ "brand": l["brand"], "channel": l["channel"], "weekly": l["weekly"] }))
        .collect();
    let asked = json!({ "lines": lines, "weeks": WEEKS });
    let (status, answer, _) = demo
        .call(Method::POST, "/plans/what-if", None, Some(asked))
        .await;
    assert!(status.is_success(), "{answer}");
    let number = |value: &Value| value.as_f64().expect("a number");
    let (promised, seen) = (
        number(&plan["effect"]["value"]),
        number(&answer["effect"]["value"]),
    );
    assert!(
        (promised - seen).abs() <= 1e-3 * promised,
        "promised {promised}, what-if {seen}"
    );
    assert_eq!(action["total"], answer["total"], "at the same total");
    let now = &get(demo, "/plans/current").await["total"];
    let weekly = |total: &Value, weeks: f64| {
        let amount: f64 = total["amount"]
            .as_str()
            .expect("a decimal")
            .parse()
            .expect("a number");
        amount / weeks
    };
    let carried_on = get(demo, "/plans/current").await["weeks"]
        .as_f64()
        .expect("weeks");
    let off = weekly(&action["total"], WEEKS as f64) - weekly(now, carried_on);
    assert!(off.abs() < 1.0, "{off} a week off what is spent now");
}

async fn get(demo: &Demo, path: &str) -> Value {
    let (status, body, _) = demo.call(Method::GET, path, None, None).await;
    assert!(status.is_success(), "{path}: {status} {body}");
    body
}

/// Waits until the recommendation stands in one of these states.
async fn wait_for(demo: &Demo, path: &str, states: &[&str]) -> Value {
    let began = Instant::now();
    loop {
        let detail = get(demo, path).await;
        let state = detail["recommendation"]["state"]
            .as_str()
            .unwrap_or_default();
        if states.contains(&state) {
            return detail;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{states:?} expected: {detail:#}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The approved lines in the simulator's order: what would have been spent, the bounds, and what is spent.
fn as_planned(action: &Value) -> (PlanRules, Vec<f64>) {
    let org = OrgId::derive(&["Demo portfolio"]);
    let lines = action["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), LINES, "the plan names every line");
    let number = |line: &Value, field: &str| -> f64 {
        let text = line[field].as_str().expect("a decimal");
        text.parse().expect("a number")
    };
    let ordered: Vec<&Value> = (0..LINES)
        .map(|line| {
            let brand = brand_id(org, BRANDS[line / CHANNEL_COUNT].name).to_string();
            let channel = channel_id(org, World::line(line).1).to_string();
            lines
                .iter()
                .find(|l| l["brand"] == brand.as_str() && l["channel"] == channel.as_str())
                .unwrap_or_else(|| panic!("no line of {brand} {channel}"))
        })
        .collect();
    let column = |field: &str| {
        ordered
            .iter()
            .map(|l| number(l, field))
            .collect::<Vec<f64>>()
    };
    let rules = PlanRules {
        weeks: WEEKS,
        baseline: column("current"),
        lower: column("lower"),
        upper: column("upper"),
    };
    (rules, column("weekly"))
}

async fn close_all(seeds: std::ops::RangeInclusive<u64>) -> Vec<Closed> {
    let mut closed: Vec<Closed> = stream::iter(seeds)
        .map(close)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    closed.sort_by_key(|c| c.seed);
    closed
}

fn print(closed: &[Closed]) {
    let k = |v: f64| v / 1_000.0;
    println!("\nplans through the product: approved, 12 weeks later, thousands");
    println!(
        "{:>5}{:>11}{:>11}{:>9}{:>9}{:>8}  verdict",
        "seed", "promised", "realised", "truth", "perfect", "share"
    );
    for c in closed {
        println!(
            "{:>5}{:>11.0}{:>11.0}{:>9.0}{:>9.0}{:>8.2}  {}",
            c.seed,
            k(c.promised),
            c.realised.map_or(f64::NAN, k),
            k(c.truth),
            k(c.perfect),
            c.truth / c.perfect,
            c.verdict
        );
    }
    let mut dice = Dice::new(40);
    let mut shares: Vec<f64> = (0..2_000)
        .map(|_| {
            let rows: Vec<&Closed> = (0..closed.len())
                .map(|_| &closed[(dice.roll() * closed.len() as f64) as usize])
                .collect();
            share(rows.into_iter())
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    println!(
        "gain in {} of {}; sum of gains / sum of gaps {:.3}, bootstrap 95 % bound {:.3}",
        gains(closed),
        closed.len(),
        share(closed.iter()),
        shares[100]
    );
    println!(
        "promised / realised / truth: {:.0} / {:.0} / {:.0}",
        k(closed.iter().map(|c| c.promised).sum()),
        k(closed.iter().filter_map(|c| c.realised).sum()),
        k(closed.iter().map(|c| c.truth).sum())
    );
}

fn gains(closed: &[Closed]) -> usize {
    closed.iter().filter(|c| c.truth > 0.0).count()
}

fn share<'a>(closed: impl Iterator<Item = &'a Closed> + Clone) -> f64 {
    closed.clone().map(|c| c.truth).sum::<f64>() / closed.map(|c| c.perfect).sum::<f64>()
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_plans_of_four_worlds_earn_a_good_part_of_what_the_perfect_plan_earns() {
    let closed = close_all(1..=4).await;
    print(&closed);
    assert!(gains(&closed) >= 3);
    assert!(share(closed.iter()) >= 0.4);
    assert!(closed.iter().all(|c| c.realised.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "forty demos take about ten minutes; make bench runs them"]
async fn approved_plans_of_forty_worlds_earn_a_good_part_of_what_the_perfect_plan_earns() {
    let closed = close_all(1..=40).await;
    print(&closed);
    assert!(gains(&closed) >= 36);
    assert!(share(closed.iter()) >= 0.4);
}

/// Proposals in the inbox of the null world of `seed` whose 80 % interval excludes zero, by title.
async fn mistaken(seed: u64) -> Vec<String> {
    tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().expect("a folder");
        let report = folder.path().join("demo.json");
        let output = digi(&[
            "demo",
            "--null-world",
            "--once",
            "--seed",
            &seed.to_string(),
        ])
        .arg("--dir")
        .arg(folder.path().join("demo"))
        .arg("--report")
        .arg(&report)
        .env("DIGI_CADENCE_LOG_FILTER", "warn")
        .output()
        .expect("the binary starts");
        assert!(output.status.success(), "{}", said(&output));
        let report: Value =
            serde_json::from_slice(&std::fs::read(&report).expect("the report")).expect("JSON");
        assert_eq!(report["planted"], json!([]));
        let number = |row: &Value, side: &str| row["interval80"][side].as_f64();
        report["inbox"]
            .as_array()
            .expect("an inbox")
            .iter()
            .filter(|row| {
                number(row, "low").is_some_and(|low| low > 0.0)
                    || number(row, "high").is_some_and(|high| high < 0.0)
            })
            .map(|row| format!("{} {}", row["agent"], row["title"]))
            .collect()
    })
    .await
    .expect("it runs")
}

async fn mistaken_all(seeds: std::ops::RangeInclusive<u64>) -> f64 {
    let count = seeds.clone().count();
    let mut worlds: Vec<(u64, Vec<String>)> = stream::iter(seeds)
        .map(|seed| async move { (seed, mistaken(seed).await) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    worlds.sort();
    let total: usize = worlds.iter().map(|(_, titles)| titles.len()).sum();
    for (seed, titles) in worlds.iter().filter(|(_, titles)| !titles.is_empty()) {
        println!("null world {seed}: {}", titles.join(" · "));
    }
    let mean = total as f64 / count as f64;
    println!("proposals whose 80 % interval excludes zero, per null world: {mean:.2}");
    mean
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_find_next_to_nothing_in_three_worlds_without_anything_to_find() {
    let mean = mistaken_all(1..=3).await;
    assert!(mean <= 3.0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "forty demos take minutes; make bench runs them"]
async fn the_agents_find_next_to_nothing_in_forty_worlds_without_anything_to_find() {
    let mean = mistaken_all(1..=40).await;
    assert!(mean <= 3.0);
}
