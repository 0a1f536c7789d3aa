//! A SKU that is known as sold out is refused before anything is written, for a second at most; processes tell each
//! other through a real Redis server, also that there is something again.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use offpeak::shared::{
    adapters::redis_cache::RedisCache,
    operations::{
        Shop,
        complete_checkout::CompleteError,
        stock::{self, Expected, sold_out::SOLD_OUT_FOR},
    },
    ports::{Ports, cache::Cache as _},
};
use offpeak_domain::{ids::CheckoutId, stock::Allocation};
use tokio::time::sleep;
use ulid::Ulid;

use super::{
    acts::{call, settle},
    effects::Effects,
    world::{Buyer, Planted, World},
};
use crate::cache_contract::{
    redis::{cache_at, connected},
    server::Redis,
    soon,
};

/// A process that shares the cache.
async fn process(world: &Arc<World>, effects: &Arc<Effects>, redis: &Redis) -> (Shop, Arc<RedisCache>) {
    let cache = connected(cache_at(&redis.url())).await;
    let ports = world.process(effects).ports;
    (Shop::new(Ports { cache: cache.clone(), ..ports }), cache)
}

async fn is_told(world: &World, cache: &RedisCache) -> bool {
    let key = format!("soldout/1:{}", world.sku('A'));
    cache.get(&[key]).await.unwrap()[0].is_some()
}

/// Whether the call was refused on hearsay; otherwise the status of its final answer.
async fn bought(shop: &Shop, buyer: &Buyer, key: &str) -> Result<u16, ()> {
    match call(shop, buyer, key, "approve").await {
        Ok(answer) => Ok(answer.status),
        Err(CompleteError::SoldOut { short }) => {
            assert!(short.iter().all(|it| it.available == 0 && it.requested > 0), "{short:?}");
            Err(())
        }
        Err(err) => panic!("{err:?}"),
    }
}

/// Five units, all of them gone, one buyer refused for it by one process, and the other one knows.
struct SoldOut {
    world: Arc<World>,
    redis: Redis,
    one: Shop,
    other: Shop,
    cache: Arc<RedisCache>,
    effects: Arc<Effects>,
}

async fn sold_out() -> SoldOut {
    let (world, redis) = (World::new(Planted::Nothing, 5, "5.00").await, Redis::start());
    let (one, _) = process(&world, &Effects::all_well(), &redis).await;
    let effects = Effects::all_well();
    let (other, cache) = process(&world, &effects, &redis).await;
    let quick = world.buyer(&one, [5, 0]).await;
    assert_eq!(bought(&one, &quick, "quick").await, Ok(200));
    assert!(!is_told(&world, &cache).await, "nobody was refused yet");
    SoldOut { world, redis, one, other, cache, effects }
}

/// One more is refused, and the others are told; again, should that lapse before it is heard.
async fn tell(world: &Arc<World>, shop: &Shop, cache: &RedisCache, key: &str) {
    for number in 0..20 {
        let late = world.buyer(shop, [1, 0]).await;
        let refused = bought(shop, &late, &format!("{key} {number}")).await;
        assert!(matches!(refused, Ok(409) | Err(())), "{refused:?}");
        for _ in 0..50 {
            if is_told(world, cache).await {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
    panic!("nobody is told")
}

impl SoldOut {
    async fn tell(&self, number: usize) {
        tell(&self.world, &self.one, &self.cache, &format!("late {number}")).await;
    }
}

#[tokio::test]
async fn a_crowd_after_the_last_unit_writes_nothing_and_is_heard_again_a_second_later() {
    let shop = sold_out().await;
    let buyer = shop.world.buyer(&shop.other, [2, 1]).await;
    // What is told may lapse before it is heard; then one is refused by the stock and tells it anew.
    let mut refused_on_hearsay = false;
    for number in 0..20 {
        shop.tell(number).await;
        let before = shop.effects.count();
        refused_on_hearsay = bought(&shop.other, &buyer, &format!("key {number}")).await.is_err();
        if refused_on_hearsay {
            assert_eq!(shop.effects.count(), before, "nothing was written or sent");
            break;
        }
    }
    assert!(refused_on_hearsay);
    let left: i64 = shop.redis.cli(&["pttl", &format!("soldout/1:{}", shop.world.sku('A'))]).parse().unwrap();
    assert!(left <= i64::try_from(SOLD_OUT_FOR.as_millis()).unwrap(), "{left} ms");
    soon(|| async { bought(&shop.other, &buyer, "again").await == Ok(409) }).await;
    settle(&shop.world, &shop.other, 1).await.unwrap();
}

#[tokio::test]
async fn what_staff_puts_on_the_shelf_is_sold_at_once() {
    let shop = sold_out().await;
    let buyer = shop.world.buyer(&shop.other, [2, 0]).await;
    shop.tell(0).await;
    stock::set_on_hand(&shop.one.ports, &shop.world.sku('A'), 9, Expected::Any, "stocktake").await.unwrap();
    assert!(!is_told(&shop.world, &shop.cache).await, "it still counts as sold out");
    assert_eq!(bought(&shop.other, &buyer, "key").await, Ok(200));
}

#[tokio::test]
async fn what_a_buyer_gives_back_is_sold_at_once() {
    let (world, redis) = (World::new(Planted::Nothing, 5, "5.00").await, Redis::start());
    let (one, cache) = process(&world, &Effects::all_well(), &redis).await;
    let (other, _) = process(&world, &Effects::all_well(), &redis).await;
    let (unsure, late) = (world.buyer(&one, [5, 0]).await, world.buyer(&other, [1, 0]).await);
    assert_eq!(call(&one, &unsure, "unsure", "challenge").await.unwrap().status, 202);
    tell(&world, &other, &cache, "late").await;
    world.provider.answer_challenges(false);
    assert_eq!(call(&one, &unsure, "unsure", "challenge").await.unwrap().status, 402);
    assert!(!is_told(&world, &cache).await, "it still counts as sold out");
    assert_eq!(bought(&other, &late, "once more").await, Ok(200));
}

#[tokio::test]
async fn keeping_what_one_holds_tells_nobody_that_it_is_sold_out() {
    let (world, redis) = (World::new(Planted::Nothing, 5, "5.00").await, Redis::start());
    let (one, cache) = process(&world, &Effects::all_well(), &redis).await;
    let (sku, checkout) = (world.sku('A'), CheckoutId::new(Ulid::from_parts(1_800_000_000_000, 1)));
    let until = one.ports.clock.now() + Duration::from_secs(600);
    for _ in 0..2 {
        stock::hold(&one.ports, &sku, checkout, 5, 1, until, &Allocation::default()).await.unwrap();
    }
    // What the process told before this is there, if it told anything.
    cache.set("later", Bytes::from_static(b"1"), SOLD_OUT_FOR).unwrap();
    soon(|| async { cache.get(&["later".to_owned()]).await.unwrap()[0].is_some() }).await;
    assert!(!is_told(&world, &cache).await);
}

#[tokio::test]
async fn without_redis_the_stock_itself_refuses() {
    let mut shop = sold_out().await;
    shop.tell(0).await;
    shop.redis.kill();
    let buyer = shop.world.buyer(&shop.other, [1, 0]).await;
    assert_eq!(bought(&shop.other, &buyer, "key").await, Ok(409));
}
