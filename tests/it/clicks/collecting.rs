//! `POST /api/v1/events`, over a socket.
use std::sync::Arc;

use offpeak::{
    functions::ROOMS,
    shared::{
        app::App,
        documents::clicks::event::parse,
        host::{
            limits::Limits,
            server::{bind, serve},
            table::Table,
        },
        operations::{
            Shop,
            clicks::{Clicks, batches, session_key, sessions::recall},
        },
        ports::{
            Ports,
            hub::{Hub, HubError},
        },
    },
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{World, view};
use crate::{cache_contract::redis::cache_at, catalogue::stand::Nowhere};

const SESSION: &str = "5f0c9a1e-77aa-4a1e";

struct Server {
    url: String,
    world: World,
    _serving: JoinSet<()>,
}

impl Server {
    async fn start(world: World) -> Server {
        let app = Arc::new(App::new(Shop::new(world.ports.clone()), Arc::new(Nowhere)));
        let listener = bind(0, std::time::Duration::ZERO).await.unwrap();
        let url = format!("http://{}/api/v1/events", listener.local_addr().unwrap());
        let table = Arc::new(Table::new(ROOMS, "api").unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            serve(listener, table, app, Limits::default()).await;
        });
        Server { url, world, _serving: serving }
    }

    async fn post_as(&self, agent: &str, body: String) -> (u16, Value) {
        let request = Client::new().post(&self.url).header("content-type", "application/json");
        let answer = request.header("user-agent", agent).body(body).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    async fn post(&self, body: &Value) -> (u16, Value) {
        self.post_as("Mozilla/5.0 (Linux; Android 14; CUBOT KINGKONG)", body.to_string()).await
    }

    fn sent(&self) -> Vec<Clicks> {
        self.world.hub.take().iter().map(|(_, _, text)| parse(text.as_bytes()).unwrap()).collect()
    }
}

fn batch(events: &Value) -> Value {
    json!({ "sessionId": SESSION, "consent": true, "events": events })
}

#[tokio::test]
async fn events_are_known_to_the_session_at_once_and_go_to_the_hub_under_its_key() {
    let server = Server::start(World::new()).await;
    let events = json!([
        { "type": "view", "sku": "MUG" },
        { "type": "search", "query": " enamel jug " },
        { "type": "add_to_cart", "sku": "TEA" },
        { "type": "remove_from_cart", "sku": "TEA" },
        { "type": "recommendation_shown", "surface": "next", "skus": ["POT", "CUP"] },
        { "type": "recommendation_clicked", "surface": "next", "sku": "POT" },
        { "type": "purchase", "sku": "MUG" },
    ]);
    assert_eq!(server.post(&batch(&events)).await, (202, json!({ "accepted": 7, "rejected": [] })));
    assert_eq!(recall(&server.world.ports, SESSION).await, ["MUG", "TEA", "MUG"]);
    let sent = server.world.hub.take();
    let (hub, key, text) = &sent[0];
    assert_eq!((sent.len(), hub.as_str()), (1, "clicks"));
    assert_eq!(*key, format!("{:016x}", session_key(SESSION)));
    assert!(!text.contains(SESSION), "who reads the hub cannot speak for the session");
    let clicks = parse(text.as_bytes()).unwrap();
    assert_eq!((clicks.session, clicks.consent, clicks.events.len()), (session_key(SESSION), true, 6));
    assert!(!text.contains("enamel jug"), "what was searched for is kept nowhere");
    assert!(clicks.events.iter().all(|it| it.at == server.world.now()));
}

#[tokio::test]
async fn without_consent_nothing_is_remembered_and_no_two_calls_belong_together() {
    let server = Server::start(World::new()).await;
    let events = json!([{ "type": "view", "sku": "MUG" }, { "type": "view", "sku": "TEA" }]);
    for body in [json!({ "events": events }), json!({ "sessionId": SESSION, "events": events })] {
        assert_eq!(server.post(&body).await.0, 202);
    }
    assert!(recall(&server.world.ports, SESSION).await.is_empty());
    let sent = server.sent();
    assert_ne!(sent[0].session, sent[1].session);
    assert!(sent.iter().all(|it| !it.consent && it.session != session_key(SESSION)));
}

#[tokio::test]
async fn who_takes_consent_back_is_forgotten() {
    let server = Server::start(World::new()).await;
    assert_eq!(server.post(&batch(&json!([{ "type": "view", "sku": "MUG" }]))).await.0, 202);
    assert_eq!(recall(&server.world.ports, SESSION).await, ["MUG"]);
    assert_eq!(server.post(&json!({ "sessionId": SESSION, "consent": false, "events": [] })).await.0, 202);
    assert!(recall(&server.world.ports, SESSION).await.is_empty());
}

#[tokio::test]
async fn who_cannot_be_forgotten_is_told_so_and_may_say_it_again() {
    let mut world = World::new();
    let known = Arc::clone(&world.ports.cache);
    // Nobody listens there.
    world.ports.cache = cache_at("redis://127.0.0.1:9");
    let away = Server::start(world).await;
    let body = json!({ "sessionId": SESSION, "consent": false, "events": [{ "type": "view", "sku": "MUG" }] });
    let (status, problem) = away.post(&body).await;
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")), "{problem}");
    assert!(away.sent().is_empty(), "nothing of it counts yet");

    let mut world = World::new();
    world.ports.cache = known;
    let server = Server::start(world).await;
    assert_eq!(server.post(&body).await.0, 202);
    assert_eq!(server.sent().len(), 1);
}

#[tokio::test]
async fn one_bad_event_is_named_and_stops_no_other() {
    let server = Server::start(World::new()).await;
    let events = json!([
        { "type": "view", "sku": "MUG" },
        { "type": "stare", "sku": "MUG" },
        { "type": "view" },
        { "type": "view", "sku": "a b" },
        { "type": "view", "sku": "MUG", "colour": "red" },
        { "type": "view", "sku": "MUG", "at": "yesterday" },
        { "type": "view", "sku": "MUG", "at": "2001-01-01T00:00:00Z" },
        { "type": "search", "query": "" },
        { "type": "search", "query": "mug", "sku": "MUG" },
        { "type": "recommendation_shown", "surface": "door", "skus": ["MUG"] },
        { "type": "recommendation_shown", "surface": "next", "skus": [] },
        { "type": "recommendation_clicked", "sku": "MUG" },
        7,
        { "type": "view", "sku": "TEA", "at": "2031-01-01T00:00:00Z" },
    ]);
    let (status, body) = server.post(&batch(&events)).await;
    assert_eq!((status, &body["accepted"]), (202, &json!(2)), "{body}");
    let rejected = body["rejected"].as_array().unwrap();
    let told: Vec<(u64, &str)> =
        rejected.iter().map(|it| (it["index"].as_u64().unwrap(), it["detail"].as_str().unwrap())).collect();
    assert_eq!(told.iter().map(|it| it.0).collect::<Vec<_>>(), (1..13).collect::<Vec<_>>());
    for (at, word) in [(0, "stare"), (1, "sku"), (3, "colour"), (5, "24 h"), (7, "sku"), (8, "surface"), (9, "skus")] {
        assert!(told[at].1.contains(word), "{:?}", told[at]);
    }
    let sent = server.sent().remove(0).events;
    assert_eq!((&sent[0].what, &sent[1].what), (&view("MUG"), &view("TEA")));
    assert_eq!(sent[1].at, server.world.now(), "nothing is of the future");
}

#[tokio::test]
async fn a_bad_batch_is_refused_whole_with_what_to_do() {
    let server = Server::start(World::new()).await;
    let one = json!([{ "type": "view", "sku": "MUG" }]);
    for (body, status, word) in [
        (json!({ "sessionId": "short", "consent": true, "events": one }), 422, "randomUUID"),
        (json!({ "sessionId": "5f0c9a1e 77aa 4a1e", "consent": true, "events": one }), 422, "randomUUID"),
        (json!({ "consent": true, "events": one }), 422, "sessionId"),
        (json!({ "sessionId": SESSION, "consent": true }), 400, "events"),
        (batch(&Value::from(vec![json!({ "type": "view", "sku": "MUG" }); 101])), 422, "100"),
        (json!({ "sessionId": SESSION, "consent": true, "events": one, "user": 1 }), 400, "user"),
    ] {
        let (found, problem) = server.post(&body).await;
        assert_eq!(found, status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    let large = batch(&json!([{ "type": "search", "query": "x".repeat(300_000) }]));
    assert_eq!(server.post(&large).await.0, 413);
    assert!(server.world.hub.take().is_empty());
    assert_eq!(server.post(&batch(&json!([]))).await, (202, json!({ "accepted": 0, "rejected": [] })));
    assert!(server.world.hub.take().is_empty());
}

#[tokio::test]
async fn a_robot_is_answered_and_counts_for_nothing() {
    let server = Server::start(World::new()).await;
    let body = batch(&json!([{ "type": "view", "sku": "MUG" }])).to_string();
    for agent in ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "facebookexternalhit/1.1"]
    {
        assert_eq!(server.post_as(agent, body.clone()).await, (202, json!({ "accepted": 0, "rejected": [] })));
    }
    assert!(server.world.hub.take().is_empty());
    assert!(recall(&server.world.ports, SESSION).await.is_empty());
}

/// A hub with too much to do.
struct BusyHub;

#[async_trait::async_trait]
impl Hub for BusyHub {
    async fn send(&self, _: &str, _: &str, _: &[String]) -> Result<(), HubError> {
        let wait = std::time::Duration::from_secs(7);
        Err(HubError::Unavailable { wait, source: "busy".into() })
    }
}

#[tokio::test]
async fn while_the_hub_is_away_the_session_knows_and_the_caller_is_told_when_to_come_again() {
    let world = World::new();
    let ports = Ports { hub: Arc::new(BusyHub), ..world.ports.clone() };
    let server = Server::start(World { ports, ..world }).await;
    let body = batch(&json!([{ "type": "view", "sku": "MUG" }]));
    let request = Client::new().post(&server.url).header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "7");
    assert_eq!(recall(&server.world.ports, SESSION).await, ["MUG"]);
}

/// A request of a storefront that is as large as they come.
fn largest() -> Value {
    let sku = |it: usize| format!("SKU-{it:060}");
    let shown = |event: usize| {
        let skus: Vec<String> = (0..35).map(|it| sku(event * 100 + it)).collect();
        json!({ "type": "recommendation_shown", "surface": "next", "skus": skus })
    };
    batch(&(0..100).map(shown).collect())
}

/// A batch of the hub as the host hands it over; sizes are its own.
fn handed_over(bodies: &[String]) -> String {
    let numbers: Vec<usize> = (0..bodies.len()).collect();
    let data = json!({ "events": serde_json::to_string(bodies).unwrap() });
    let metadata = json!({
        "SequenceNumberArray": serde_json::to_string(&numbers).unwrap(),
        "PartitionContext": { "PartitionId": "0" },
    });
    json!({ "Data": data, "Metadata": metadata }).to_string()
}

/// More would be answered 413 and handed over again for ever.
#[tokio::test]
async fn a_full_batch_of_the_largest_events_is_taken() {
    let server = Server::start(World::new()).await;
    let host: Value = serde_json::from_str(include_str!("../../../host.json")).unwrap();
    let most = host["extensions"]["eventHubs"]["maxEventBatchSize"].as_u64().unwrap();
    let body = largest();
    assert!((240_000..256 * 1024).contains(&body.to_string().len()), "{}", body.to_string().len());
    assert_eq!(server.post(&body).await, (202, json!({ "accepted": 100, "rejected": [] })));
    let mut sent: Vec<String> = server.world.hub.take().into_iter().map(|(_, _, text)| text).collect();
    sent.sort_by_key(String::len);
    let bodies = vec![sent.pop().unwrap(); usize::try_from(most).unwrap()];
    let call = Client::new().post(server.url.replace("/api/v1/events", "/ingest_clicks"));
    let call = call.header("content-type", "application/json").header("x-azure-functions-invocationid", "full");
    let answer = call.body(handed_over(&bodies)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    let kept = batches::of_day(&server.world.ports, server.world.ports.clock.now().date()).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(batches::read(&server.world.ports, &kept[0]).await.unwrap().len(), bodies.len());
}

#[tokio::test]
async fn a_session_keeps_its_newest_fifty() {
    let server = Server::start(World::new()).await;
    for page in 0..2 {
        let events: Vec<Value> =
            (0..40).map(|it| json!({ "type": "view", "sku": format!("S{}", page * 40 + it) })).collect();
        assert_eq!(server.post(&batch(&Value::from(events))).await.0, 202);
    }
    let seen = recall(&server.world.ports, SESSION).await;
    assert_eq!((seen.len(), seen[0].as_str(), seen[49].as_str()), (50, "S30", "S79"));
}
