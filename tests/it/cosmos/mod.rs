//! What Cosmos DB does and a file does not: it throttles, loses a region, answers from another one, and refuses whom
//! it does not know. The emulator is ordered to do it while a shop runs on it.
pub(crate) mod emulator;
mod refusals;
mod regions;
mod throttled;

use futures_util::{Stream, StreamExt as _, stream};
use offpeak::shared::ports::documents::Write;
use serde_json::{Value, json};

use crate::shop::{
    Shop,
    buyer::{Buyer, payments, stock},
    client::Answer,
    verifying::xtask_verify,
};

/// Buyers at a time.
const AT_ONCE: usize = 16;

fn create(id: &str) -> Vec<Write> {
    vec![Write::Create { id: id.to_owned(), body: json!({ "type": "test" }), ttl: None }]
}

/// So many buyers, each with one unit, at the till.
async fn arrive(shop: &Shop, sku: &str, count: usize) -> Vec<Buyer> {
    stream::iter(0..count).map(|n| at_the_till(shop, sku, n)).buffer_unordered(AT_ONCE).collect().await
}

/// Buyer number `n` of this SKU, who shares nothing else with any other one.
async fn at_the_till(shop: &Shop, sku: &str, n: usize) -> Buyer {
    let buyer = Buyer::with(&shop.client, &[(sku, 1)]).await;
    buyer.start(&format!("buyer-{n}@{}.example.com", sku.to_ascii_lowercase())).await.gave(201);
    buyer
}

/// Every buyer pays, and asks until there is a final answer.
fn insist<'a>(buyers: &'a [Buyer], total: &'a Value) -> impl Stream<Item = Answer> + 'a {
    stream::iter(buyers).map(|it| it.insist("once", total, "sandbox_approve")).buffer_unordered(AT_ONCE)
}

/// All invariants of the shop's books hold.
async fn books_are_in_order(shop: &Shop) {
    let url = shop.url.clone();
    let (told, is_ok) = tokio::task::spawn_blocking(move || xtask_verify(&url)).await.unwrap();
    assert!(is_ok, "{told}");
}

/// So many units were sold and paid for, none is held, and the books are in order.
async fn sold(shop: &Shop, sku: &str, orders: usize) {
    let level = stock(&shop.client, sku).await;
    let expected = (Some(i64::try_from(orders).unwrap()), Some(0));
    assert_eq!((level["allocated"].as_i64(), level["held"].as_i64()), expected, "{level}");
    let books: Vec<Value> = payments(&shop.client).await;
    assert_eq!(books.iter().filter(|it| it["captured"] != "0").count(), orders);
    books_are_in_order(shop).await;
}
