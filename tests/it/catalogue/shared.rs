//! Pages and lists that processes share through a real Redis server: read once in the store, never too old, and there
//! without Redis as well.
use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use offpeak::shared::{
    operations::{
        list_products::ListProducts,
        offers::{Catalogue, FRESH},
    },
    ports::cache::Cache,
    telemetry::{self, CACHE_OPENED, Scope, server_timing},
};
use tokio::task::JoinSet;

use super::stand::Stand;
use crate::cache_contract::{
    redis::{cache_at, cache_with, connected},
    server::Redis,
    soon,
};

const LIST: &str = "sku,product,title,variantTitle,price,category\n\
    tee-s,tee,Linen tee,Small,24.00,Clothes\n\
    tee-m,tee,,Medium,25.00,\n\
    jug,,Enamel jug,,18.50,Kitchen\n";

/// A shop with goods, and a Redis server.
async fn opened() -> (Stand, Redis) {
    let stand = Stand::new();
    stand.load(LIST).await;
    (stand, Redis::start())
}

/// A process that has just started and whose cache is connected.
async fn process(stand: &Stand, redis: &Redis, fresh: Duration) -> Catalogue {
    let cache = connected(cache_at(&redis.url())).await;
    Catalogue::keeping(offpeak::shared::ports::Ports { cache, ..stand.ports.clone() }, fresh)
}

fn kitchen() -> ListProducts {
    ListProducts { category: Some("kitchen".to_owned()), ..ListProducts::default() }
}

async fn page(catalogue: &Catalogue) -> String {
    let page = catalogue.product("linen-tee").await.unwrap().unwrap();
    String::from_utf8(page.json.to_vec()).unwrap()
}

async fn list(catalogue: &Catalogue) -> String {
    String::from_utf8(catalogue.list(&kitchen()).await.unwrap().to_vec()).unwrap()
}

/// How often the server was asked for a value.
fn asked(redis: &Redis) -> u64 {
    let stats = redis.cli(&["info", "commandstats"]);
    let calls = stats.split("cmdstat_get:calls=").nth(1).and_then(|it| it.split(',').next());
    calls.map_or(0, |it| it.parse().unwrap())
}

async fn shared(redis: &Redis, keys: usize) {
    soon(|| async { redis.cli(&["dbsize"]) == keys.to_string() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_who_miss_at_once_cost_one_read_and_one_question() {
    let (stand, redis) = opened().await;
    let catalogue = process(&stand, &redis, FRESH).await;
    let (reads, questions) = (stand.store.reads(), asked(&redis));
    let mut callers = JoinSet::new();
    for _ in 0..1_000 {
        let catalogue = catalogue.clone();
        callers.spawn(async move { page(&catalogue).await });
    }
    let pages = callers.join_all().await;
    assert!(pages.iter().all(|it| *it == pages[0]));
    assert_eq!(stand.store.reads() - reads, 4, "a lookup, a product and two stock levels");
    assert_eq!(asked(&redis) - questions, 1);
}

#[tokio::test]
async fn what_one_process_has_read_another_takes_in_one_round_trip() {
    let (stand, redis) = opened().await;
    let one = process(&stand, &redis, FRESH).await;
    let trips = async |catalogue: &Catalogue, trips: u32| {
        for work in [true, false] {
            telemetry::within(Scope::of("test", &HeaderMap::new()), async {
                let answer = if work { page(catalogue).await } else { list(catalogue).await };
                assert!(answer.contains("in_stock"), "{answer}");
                let timing = server_timing().unwrap().to_str().unwrap().to_owned();
                assert_eq!(timing.contains("cache"), trips > 0, "{timing}");
                assert!(trips == 0 || timing.ends_with("trips=1\""), "{timing}");
            })
            .await;
        }
    };
    trips(&one, 1).await;
    trips(&one, 0).await;
    shared(&redis, 2).await;

    let reads = stand.store.reads();
    let other = process(&stand, &redis, FRESH).await;
    trips(&other, 1).await;
    trips(&other, 0).await;
    assert_eq!(stand.store.reads(), reads, "the store was not asked");
    assert_eq!((page(&one).await, list(&one).await), (page(&other).await, list(&other).await));
    let etag = async |catalogue: &Catalogue| catalogue.product("linen-tee").await.unwrap().unwrap().etag.clone();
    assert_eq!(etag(&one).await, etag(&other).await);
}

#[tokio::test]
async fn only_what_exists_and_has_an_end_is_shared() {
    let (stand, redis) = opened().await;
    let catalogue = process(&stand, &redis, FRESH).await;
    assert!(catalogue.product("made-up").await.unwrap().is_none());
    for asked in [
        ListProducts { q: Some("jug".to_owned()), ..ListProducts::default() },
        ListProducts { category: Some("cellar".to_owned()), ..ListProducts::default() },
    ] {
        catalogue.list(&asked).await.unwrap();
    }
    let after = Some("nonsense".to_owned());
    assert!(catalogue.list(&ListProducts { after, ..ListProducts::default() }).await.is_err());
    list(&catalogue).await;
    shared(&redis, 1).await;
    assert_eq!(redis.cli(&["keys", "*"]), "list/1:kitchen:Title:20:");
    let left: u64 = redis.cli(&["pttl", "list/1:kitchen:Title:20:"]).parse().unwrap();
    assert!(left > 0 && Duration::from_millis(left) <= FRESH, "{left} ms");
}

#[tokio::test]
async fn a_changed_price_is_seen_by_every_process_when_the_old_one_is_over() {
    let (stand, redis) = opened().await;
    let fresh = Duration::from_millis(900);
    let (one, other) = (process(&stand, &redis, fresh).await, process(&stand, &redis, fresh).await);
    soon(|| async {
        assert!(list(&one).await.contains("1850"));
        redis.cli(&["dbsize"]) == "1"
    })
    .await;
    stand.load(&LIST.replace("18.50", "17.00")).await;
    // Taken over in the middle of its life, it does not begin another one.
    list(&other).await;
    for catalogue in [&one, &other] {
        soon(|| async { list(catalogue).await.contains("1700") }).await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_in_the_cache_is_read_in_the_store() {
    let (stand, redis) = opened().await;
    for rubbish in ["", "no line", "\n{}"] {
        redis.cli(&["set", "page/1:linen-tee", rubbish, "px", "60000"]);
        assert!(page(&process(&stand, &redis, FRESH).await).await.contains("Linen tee"), "{rubbish:?}");
    }
    redis.cli(&["del", "page/1:linen-tee"]);
    redis.cli(&["rpush", "page/1:linen-tee", "a list"]);
    assert!(page(&process(&stand, &redis, FRESH).await).await.contains("Linen tee"));
}

/// Every request is answered and right, whatever becomes of Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalogue_is_there_while_redis_is_killed_stopped_emptied_and_back() {
    let (stand, mut redis) = opened().await;
    let cache = connected(cache_with(&redis.url(), Duration::from_millis(300))).await;
    // Nothing is kept in the process: each request asks.
    let brief = Duration::from_millis(1);
    let ports = offpeak::shared::ports::Ports { cache: cache.clone() as Arc<dyn Cache>, ..stand.ports.clone() };
    let catalogue = Catalogue::keeping(ports, brief);
    let all_well = async || {
        for _ in 0..200 {
            assert!(page(&catalogue).await.contains("Linen tee"));
            tokio::time::sleep(brief).await;
        }
    };
    all_well().await;
    assert_eq!(redis.cli(&["flushall"]), "OK");
    all_well().await;
    assert_eq!(CACHE_OPENED.value(), 0);

    redis.signal("STOP");
    all_well().await;
    assert_eq!(CACHE_OPENED.value(), 1);
    redis.signal("CONT");
    connected(cache.clone()).await;
    all_well().await;

    redis.kill();
    all_well().await;
    assert_eq!(CACHE_OPENED.value(), 2);
    redis.start_again();
    connected(cache).await;
    let questions = asked(&redis);
    all_well().await;
    assert!(asked(&redis) > questions, "it is asked again");
}
