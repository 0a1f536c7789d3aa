//! What a shopper does changes what is shown next, on whichever process it is asked for.
use std::{fs, path::PathBuf, sync::Arc};

use bytes::Bytes;
use offpeak::shared::{
    adapters::{
        http_client::HttpClient,
        object_storage::{Place, StoredObjects},
        system::RandomIds,
    },
    documents::clicks::stored::unpack,
    operations::{
        clicks::{Clicks, What},
        publications::publish,
        recommendations::MODEL,
    },
    ports::{Ports, objects::ObjectName},
};
use offpeak_domain::recommend::{Builder, Click, Params, Stage};
use serde_json::{Value, json};

use super::{
    Options, Shop,
    buyer::{Buyer, skus},
    wait_for,
};
use crate::{cache_contract::server::Redis, catalogue::stand::Stand};

const SESSION: &str = "7d1a5c02-41e7-4d7b-9f0e";
/// Answers in a row that must agree, so that no process is missed.
const ASKED: usize = 16;

fn settings(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Publishes a model of what these sessions did, as a refresh does; answers its version.
async fn teach(shop: &Shop, sessions: &[&[String]]) -> String {
    let mut builder = Builder::new(&Params::default());
    for (at, items) in (1_700_000_000..).zip(sessions.iter().cycle().take(sessions.len() * 5)) {
        builder.add(at, items.iter().map(|it| Click::view(it)));
    }
    let place = Place::Folder(shop.data().path().join("objects"));
    let objects = StoredObjects::new(place, HttpClient::default(), super::PATIENCE);
    let ports = Ports { objects: Arc::new(objects), ids: Arc::new(RandomIds), ..Stand::new().ports };
    let mut publishing = publish(&ports, &ObjectName::parse(MODEL).unwrap()).await.unwrap();
    publishing.write(Bytes::from(builder.finish(Stage::Whole))).await.unwrap();
    let published = publishing.finish().await.unwrap();
    published.object.as_str().rsplit('/').next().unwrap().to_owned()
}

async fn recommended(shop: &Shop, query: &str) -> Value {
    // Whoever could not be answered in time is told so, and asks again.
    let until = std::time::Instant::now() + super::PATIENCE;
    loop {
        let answer = shop.client.get(&format!("/api/v1/recommendations?{query}")).await;
        if answer.status != 503 || std::time::Instant::now() > until {
            return answer.gave(200).body;
        }
        tokio::time::sleep(super::LOOK).await;
    }
}

fn first(list: &Value) -> &str {
    list["items"][0]["sku"].as_str().unwrap_or_default()
}

/// Whether every process answers so.
async fn all_answer(shop: &Shop, query: &str, good: impl Fn(&Value) -> bool) -> bool {
    for _ in 0..ASKED {
        if !good(&recommended(shop, query).await) {
            return false;
        }
    }
    true
}

async fn until_all_answer(shop: &Shop, query: &str, good: impl Fn(&Value) -> bool) {
    let until = std::time::Instant::now() + super::PATIENCE;
    while !all_answer(shop, query, &good).await {
        assert!(std::time::Instant::now() < until, "in vain: {query}: {:#}", recommended(shop, query).await);
        tokio::time::sleep(super::LOOK).await;
    }
}

async fn click(shop: &Shop, session: &str, items: &[String]) {
    let events: Vec<Value> = items.iter().map(|sku| json!({ "type": "view", "sku": sku })).collect();
    let body = json!({ "sessionId": session, "consent": true, "events": events });
    let taken = shop.client.post("/api/v1/events", &body).await.gave(202);
    assert_eq!(taken.body["accepted"], items.len());
}

/// Times that clicks are sent: a request waits 20 ms for the cache, and a busy machine may take longer now and then.
const POSTS_MAX: usize = 20;

/// Whoever is asked next knows, without a pause. Answers how often the clicks were sent.
async fn click_until_all_answer(shop: &Shop, items: &[String], query: &str, good: impl Fn(&Value) -> bool) -> usize {
    for posts in 1..=POSTS_MAX {
        click(shop, SESSION, items).await;
        if all_answer(shop, query, &good).await {
            return posts;
        }
    }
    panic!("in vain: {query}: {:#}", recommended(shop, query).await)
}

#[tokio::test]
async fn three_clicks_change_the_next_answer_of_every_process_while_nothing_is_ingested() {
    let redis = Redis::start();
    let url = redis.url();
    let settings = settings(&[
        ("OFFPEAK_CACHE", "redis"),
        ("OFFPEAK_REDIS_URL", &url),
        ("AzureWebJobs.ingest_clicks.Disabled", "true"),
    ]);
    let shop = Shop::start(&Options { flex: Some(2), settings, ..Options::default() });
    assert!(shop.handlers().len() >= 2, "{:?}", shop.handlers());
    let goods = skus(&shop.client, 8).await;
    let (one, other) = (&goods[..4], &goods[4..]);
    let model = teach(&shop, &[one, other]).await;
    until_all_answer(&shop, "surface=trending", |it| it["modelVersion"] == model.as_str()).await;

    let query = format!("surface=next&sessionId={SESSION}&limit=3");
    let before = recommended(&shop, &query).await;
    let mut posts = click_until_all_answer(&shop, &one[..3], &query, |it| first(it) == one[3]).await;
    let after = recommended(&shop, &query).await;
    assert_eq!(after["items"][0]["reason"]["kind"], "seen_with");
    assert_ne!(before["items"], after["items"]);
    posts += click_until_all_answer(&shop, &other[..3], &query, |it| first(it) == other[3]).await;
    assert!(
        all_answer(&shop, "surface=next&sessionId=7d1a5c02-somebody-else&limit=3", |it| first(it) != other[3]).await
    );
    let waiting = shop.client.get("/dev/queues").await.gave(200).body;
    let clicks = waiting["items"].as_array().unwrap().iter().find(|it| it["name"] == "clicks").unwrap();
    assert_eq!(clicks["active"], posts, "nothing was ingested: {waiting}");
}

#[tokio::test]
async fn without_a_cache_what_the_shop_says_was_seen_does_the_same() {
    let settings = settings(&[("OFFPEAK_CACHE", "none")]);
    let shop = Shop::start(&Options { flex: Some(2), settings, ..Options::default() });
    let goods = skus(&shop.client, 8).await;
    let (one, other) = (&goods[..4], &goods[4..]);
    let model = teach(&shop, &[one, other]).await;
    until_all_answer(&shop, "surface=trending", |it| it["modelVersion"] == model.as_str()).await;
    click(&shop, SESSION, &one[..3]).await;
    for path in [one, other] {
        let query = format!("surface=next&sessionId={SESSION}&seen={}&limit=3", path[..3].join(","));
        assert!(all_answer(&shop, &query, |it| first(it) == path[3]).await);
    }
}

#[tokio::test]
async fn what_others_do_is_known_to_every_process_within_the_minute() {
    let shop = Shop::start(&Options { flex: Some(2), ..Options::default() });
    let goods = skus(&shop.client, 9).await;
    let query = format!("surface=next&seen={}&limit=1", goods[3]);
    assert_ne!(first(&recommended(&shop, &query).await), goods[8]);
    for shopper in 0..12 {
        click(&shop, &format!("another-shopper-{shopper:04}"), &[goods[3].clone(), goods[8].clone()]).await;
    }
    // PATIENCE is a minute.
    until_all_answer(&shop, &query, |it| first(it) == goods[8]).await;
    let why = recommended(&shop, &query).await["items"][0]["reason"].clone();
    assert_eq!(why, json!({ "kind": "seen_with", "of": goods[3] }));
}

/// Everything that is kept of what was clicked and bought; a file that is being written has another name a moment later.
fn kept(shop: &Shop) -> Vec<Clicks> {
    let files = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().map(|it| it.unwrap().path());
    let days = files(shop.data().path().join("objects/clicks/batches"));
    let written = days.flat_map(files).flat_map(files).filter_map(|it| fs::read(it).ok());
    written.filter_map(|it| unpack(&it).ok()).flatten().collect()
}

#[tokio::test]
async fn what_is_bought_is_learnt_from_the_order() {
    let shop = Shop::start(&Options::default());
    let goods = skus(&shop.client, 2).await;
    let buyer = Buyer::at_checkout(&shop.client, &[(&goods[0], 1), (&goods[1], 2)]).await;
    let total = buyer.total().await;
    buyer.complete("one", &total, "sandbox_approve").await.gave(200);
    let learnt = wait_for("the purchase", || kept(&shop).pop());
    let bought: Vec<What> = goods.iter().map(|sku| What::Ordered { sku: sku.clone() }).collect();
    assert_eq!(learnt.events.iter().map(|it| it.what.clone()).collect::<Vec<_>>(), bought);
    let text = format!("{learnt:?}");
    assert!(!text.contains("ada@example.com") && !text.contains("ord_"), "{text}");
}
