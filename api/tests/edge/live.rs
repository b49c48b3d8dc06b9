use domain::{
    access::{Permission as P, Role},
    event::{EventKind, NewEvent},
};
use futures::StreamExt;
use poem::test::TestResponse;
use serde_json::{Value, json};
use storage::testkit::on_both;

use crate::house::{self, House, bearer};

async fn publish(house: &House, keys: &'static [&'static str]) {
    let grant = house.db.grant(house.org, P::SettingWrite);
    let published = house
        .db
        .unit(&grant, move |u| {
            Box::pin(async move {
                for key in keys {
                    let body = json!({ "key": key });
                    u.events()
                        .publish(NewEvent {
                            kind: EventKind::SettingChanged,
                            key: (*key).to_owned(),
                            body,
                        })
                        .await?;
                }
                Ok(())
            })
        })
        .await;
    published.expect("events can be published");
    house
        .db
        .system_door()
        .outbox()
        .sequence(100)
        .await
        .expect("they get their positions");
    house.bell.ring(runtime::doorbell::EVENTS);
}

/// The next `count` events of a stream, as (id, type, key).
async fn read(response: TestResponse, count: usize) -> Vec<(i64, String, String)> {
    response.assert_status_is_ok();
    assert!(house::header(&response, "Content-Type").starts_with("text/event-stream"));
    let mut stream = Box::pin(response.0.into_body().into_bytes_stream());
    let mut text = String::new();
    while text.matches("\n\n").count() < count {
        let piece = stream
            .next()
            .await
            .expect("the stream goes on")
            .expect("bytes");
        text.push_str(std::str::from_utf8(&piece).expect("text"));
    }
    text.split("\n\n")
        .filter(|block| block.contains("data:"))
        .take(count)
        .map(|block| {
            let field = |name: &str| {
                let line = block
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap_or_default();
                line.trim_start_matches(':').trim().to_owned()
            };
            let data: Value = serde_json::from_str(&field("data")).expect("JSON");
            (
                field("id").parse().expect("a position"),
                field("event"),
                data["key"].as_str().expect("a key").to_owned(),
            )
        })
        .collect()
}

on_both! {
    async fn a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::Viewer).await;
        let start = house.db.scope(&house.db.grant(house.org, P::EventRead)).events().latest_position().await.expect("a position");
        publish(&house, &["one", "two", "three"]).await;
        let follow = |after: i64| bearer(house.client.get("/api/v1/events"), &token).header("Last-Event-ID", after.to_string()).send();
        let first = read(follow(start).await, 2).await;
        assert_eq!(first.iter().map(|event| event.2.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert!(first.iter().all(|event| event.1 == "setting_changed"), "{first:?}");
        publish(&house, &["four"]).await;
        let rest = read(follow(first[1].0).await, 2).await;
        assert_eq!(rest.iter().map(|event| event.2.as_str()).collect::<Vec<_>>(), ["three", "four"]);
        house.close().await;
    }

    async fn a_reader_sees_what_happens_while_it_listens_and_nothing_of_others(db: TestDatabase) {
        let house = House::open(db).await;
        let token = house.token(Role::Viewer).await;
        let stream = bearer(house.client.get("/api/v1/events"), &token).send().await;
        let other = house.db.org("other").await;
        let grant = house.db.grant(other, P::SettingWrite);
        let foreign = house.db.unit(&grant, |u| {
            Box::pin(async move {
                let event = NewEvent { kind: EventKind::SettingChanged, key: "foreign".into(), body: json!({}) };
                u.events().publish(event).await
            })
        });
        foreign.await.expect("another organisation's event");
        publish(&house, &["ours"]).await;
        assert_eq!(read(stream, 1).await[0].2, "ours");
        house.close().await;
    }

    async fn health_is_told_to_anybody(db: TestDatabase) {
        let house = House::open(db).await;
        assert_eq!(house::json(house.client.get("/health/live").send().await).await["live"], true);
        let ready = house.client.get("/health/ready").send().await;
        let status = ready.0.status().as_u16();
        let body: Value = serde_json::from_str(&ready.0.into_body().into_string().await.expect("text")).expect("JSON");
        assert_eq!(body["ready"], json!(status == 200), "{status} {body}");
        house.close().await;
    }
}
