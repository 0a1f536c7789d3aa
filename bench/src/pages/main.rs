//! One product's page, asked for one time after the other: from the process's memory, from Redis, from the store, and
//! from the store where Redis is away.
//!
//! Prints one JSON object. What must stay true: every way answers the same bytes, and a process that asks Redis has
//! nothing in mind when it does.
#![expect(clippy::print_stdout, reason = "a program for people")]
use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use bench::{alone, counted::Counted};
use bytes::Bytes;
use offpeak::shared::{
    adapters::{
        memory_cache::NoCache,
        redis_cache::{Access, RedisCache},
        sqlite::SqliteDocuments,
        system::SystemClock,
    },
    operations::{
        import_catalogue::{ImportOptions, import_catalogue, rows::Format},
        offers::{Catalogue, FRESH},
    },
    ports::{
        Ports,
        cache::{Cache, PATIENCE},
    },
};
use offpeak_domain::money::Currency;
use serde_json::{Value, json};

const GOODS: &str = "sku,product,title,variantTitle,price,category\n\
    tee-s,tee,Linen tee,Small,24.00,Clothes\n\
    tee-m,tee,,Medium,25.00,\n";
const SLUG: &str = "linen-tee";
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(url), Some(Ok(times)), None) = (words.next(), words.next().map(|it| it.parse::<usize>()), words.next())
    else {
        return Err("usage: pages REDIS_URL TIMES".into());
    };
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(SystemClock);
    let store = Arc::new(Counted::new(SqliteDocuments::open(&folder.path().join("store.db"), clock.clone())?));
    let alone = alone::ports(store.clone(), Arc::new(NoCache), clock.clone())?;
    let options =
        ImportOptions { currency: Some(Currency::parse("GBP")?), on_hand: Some(9), ..ImportOptions::default() };
    Box::pin(import_catalogue(&alone, GOODS.as_bytes(), Format::Csv, &options)).await?;

    let access = |url: &str| Access { url: url.to_owned(), cluster: false, authority: None, identity: None };
    let redis = Arc::new(RedisCache::new(&access(&url), clock.clone(), PATIENCE)?);
    connected(redis.as_ref()).await?;
    let away = Arc::new(RedisCache::new(&access("redis://127.0.0.1:9"), clock, PATIENCE)?);
    let with = |cache: Arc<RedisCache>| Ports { cache, ..alone.clone() };

    let warm = Catalogue::new(alone.clone());
    let page = asked(&warm).await?;
    let memory = measured(times, &page, || warm.clone()).await?;
    let from_store = measured(times, &page, || Catalogue::new(alone.clone())).await?;
    let without = measured(times, &page, || Catalogue::new(with(away.clone()))).await?;
    keep(&with(redis.clone())).await?;
    store.forget();
    let from_redis = measured(times, &page, || Catalogue::new(with(redis.clone()))).await?;
    if store.counts() != (0, 0, 0) {
        return Err("Redis had not all of the answers".into());
    }
    println!("{}", json!({ "memory": memory, "redis": from_redis, "store": from_store, "storeWithoutRedis": without }));
    Ok(())
}

async fn connected(cache: &RedisCache) -> Result<(), Box<dyn Error>> {
    let until = Instant::now() + CONNECTED_WITHIN;
    while cache.get(&["any".to_owned()]).await.is_err() {
        if Instant::now() > until {
            return Err("Redis does not answer".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Reads the page once, so that Redis has it, and sees to it that it stays for the whole run.
async fn keep(ports: &Ports) -> Result<(), Box<dyn Error>> {
    let page = Catalogue::new(ports.clone()).product(SLUG).await?.ok_or("there is no such product")?;
    let value: Bytes = [page.etag.as_bytes(), b"\n", &page.json].concat().into();
    tokio::time::sleep(Duration::from_millis(50)).await;
    ports.cache.set(&format!("page/1:{SLUG}"), value, FRESH * 60)?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}

async fn asked(catalogue: &Catalogue) -> Result<Bytes, Box<dyn Error>> {
    Ok(catalogue.product(SLUG).await?.ok_or("there is no such product")?.json.clone())
}

/// Nanoseconds that half and 99 of 100 take no longer than.
async fn measured(times: usize, page: &Bytes, catalogue: impl Fn() -> Catalogue) -> Result<Value, Box<dyn Error>> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let catalogue = catalogue();
        let start = Instant::now();
        let answer = asked(&catalogue).await?;
        took.push(u64::try_from(start.elapsed().as_nanos())?);
        if answer != *page {
            return Err("the answers differ".into());
        }
    }
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(0);
    Ok(json!({ "p50Ns": at(50), "p99Ns": at(99) }))
}
