//! A shop whose processes share a real Redis server, which fails in every way while people buy.
use super::{
    Options, Shop,
    buyer::{Buyer, count_stock, payments, skus},
    wait_for,
};
use crate::cache_contract::{server::Redis, soon};

const BUYERS: usize = 10;

/// Looks, fills a cart and pays; nothing of it may fail or wait for Redis.
async fn all_buy(shop: &Shop, sku: &str, when: &str) {
    for number in 0..BUYERS {
        shop.client.get("/api/v1/products?limit=5").await.gave(200);
        let buyer = Buyer::at_checkout(&shop.client, &[(sku, 1)]).await;
        let total = buyer.total().await;
        buyer.complete(&format!("{when} {number}"), &total, "sandbox_approve").await.gave(200);
    }
}

#[tokio::test]
async fn people_buy_while_redis_is_stopped_killed_emptied_and_back() {
    let mut redis = Redis::start();
    let settings = [
        ("OFFPEAK_CACHE", "redis"),
        ("OFFPEAK_REDIS_URL", &redis.url()),
        ("OFFPEAK_RATE_LIMITS", "read=100000,write=100000,guess=100000"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let shop = Shop::start(&Options { settings, ..Options::default() });
    // The command that loaded the goods was connected too.
    let said = |what: &str| shop.log().iter().any(|it| it.contains(" handler: ") && it.contains(what));
    let sku = skus(&shop.client, 1).await.remove(0);
    wait_for("a connection", || said("cache.connected=1").then_some(()));
    count_stock(&shop.client, &sku, 1_000).await.gave(200);
    all_buy(&shop, &sku, "well").await;
    // A list is kept for seconds, so it is asked for again.
    soon(|| async {
        shop.client.get("/api/v1/products?limit=5").await.gave(200);
        let keys = redis.cli(&["keys", "*"]);
        keys.contains("list/1:") && keys.contains("rate/1:write:")
    })
    .await;

    redis.signal("STOP");
    all_buy(&shop, &sku, "stopped").await;
    wait_for("the breaker", || said("cache.breaker.opened=1").then_some(()));
    redis.signal("CONT");
    wait_for("a connection", || said("cache.connected=2").then_some(()));
    all_buy(&shop, &sku, "on again").await;
    assert_eq!(redis.cli(&["flushall"]), "OK");
    all_buy(&shop, &sku, "emptied").await;

    redis.kill();
    all_buy(&shop, &sku, "killed").await;
    wait_for("the breaker", || said("cache.breaker.opened=2").then_some(()));
    redis.start_again();
    wait_for("a connection", || said("cache.connected=3").then_some(()));
    all_buy(&shop, &sku, "back").await;
    assert_eq!(payments(&shop.client).await.len(), 6 * BUYERS, "one payment an order");
}
