//! A Redis server that is away, killed, stopped or emptied: nobody waits long for it, and it is asked again by itself.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use offpeak::shared::{
    adapters::redis_cache::RedisCache,
    ports::cache::Cache as _,
    telemetry::{self, CACHE_CONNECTED, CACHE_OPENED, Scope, server_timing},
};

use super::{
    LONG, got,
    redis::{cache_at, cache_with, connected},
    server::Redis,
    soon,
};

/// How many round trips so many questions wait for, none of which is answered.
async fn trips_in_vain(cache: &RedisCache, questions: usize) -> usize {
    telemetry::within(Scope::of("test", &HeaderMap::new()), async {
        for _ in 0..questions {
            assert!(cache.get(&["k".to_owned()]).await.is_err());
        }
        let timing = server_timing().unwrap().to_str().unwrap().to_owned();
        timing.split("trips=").nth(1).map_or(0, |it| it.trim_end_matches('"').parse().unwrap())
    })
    .await
}

async fn works(cache: &Arc<RedisCache>) {
    connected(Arc::clone(cache)).await;
    cache.set("k", Bytes::from_static(b"v"), LONG).unwrap();
    soon(|| async {
        // What was noted while nobody answered may be lost.
        cache.set("k", Bytes::from_static(b"v"), LONG).unwrap();
        matches!(cache.get(&["k".to_owned()]).await.as_deref(), Ok([Some(_)]))
    })
    .await;
}

#[tokio::test]
async fn a_server_that_was_never_there_costs_no_wait() {
    let mut server = Redis::start();
    server.kill();
    let cache = cache_at(&server.url());
    assert_eq!(trips_in_vain(&cache, 1_000).await, 0);
    assert_eq!([cache.count("n", 2, LONG), cache.count("n", 2, LONG)], [2, 4], "it counts by itself");
    server.start_again();
    works(&cache).await;
}

#[tokio::test]
async fn a_killed_server_is_asked_no_more_until_it_is_back() {
    let mut server = Redis::start();
    let cache = connected(cache_at(&server.url())).await;
    works(&cache).await;
    assert_eq!((CACHE_OPENED.value(), CACHE_CONNECTED.value()), (0, 1));
    cache.count("n", 5, LONG);
    server.kill();
    assert!(trips_in_vain(&cache, 1_000).await <= 5);
    assert_eq!(CACHE_OPENED.value(), 1);
    assert_eq!(cache.count("n", 1, LONG), 6, "what was counted is not forgotten with the server");
    server.start_again();
    works(&cache).await;
    assert_eq!((CACHE_OPENED.value(), CACHE_CONNECTED.value()), (1, 2));
}

#[tokio::test]
async fn a_stopped_server_is_given_up_after_five_waits_at_most() {
    let server = Redis::start();
    let cache = connected(cache_with(&server.url(), Duration::from_millis(300))).await;
    works(&cache).await;
    server.signal("STOP");
    // It stays so for all of this: whatever is answered is answered without it. What the keeper sends counts too.
    let trips = trips_in_vain(&cache, 1_000).await;
    assert!((1..=5).contains(&trips), "{trips}");
    assert_eq!(CACHE_OPENED.value(), 1);
    assert!(cache.push("list", &[], 50, LONG, LONG).await.is_err());
    assert!(cache.delete(&["k".to_owned()]).await.is_err());
    server.signal("CONT");
    works(&cache).await;
    assert_eq!(CACHE_CONNECTED.value(), 2);
}

#[tokio::test]
async fn an_emptied_server_goes_on_empty() {
    let server = Redis::start();
    let cache = connected(cache_at(&server.url())).await;
    works(&cache).await;
    assert_eq!(server.cli(&["flushall"]), "OK");
    assert_eq!(got(cache.as_ref(), "k").await, None);
    works(&cache).await;
    assert_eq!(CACHE_OPENED.value(), 0);
}
