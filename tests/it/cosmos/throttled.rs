//! 429: a partition that has used up its request units. What was turned away was not done, is tried again within the
//! request, and ends in 503 with `Retry-After` where that is not enough.
use futures_util::{StreamExt as _, future::join_all};
use offpeak::shared::ports::{
    chain,
    documents::{Container, Documents as _, StoreError},
};
use serde_json::Value;

use super::{arrive, at_the_till, books_are_in_order, create, emulator::Emulator, insist, sold};
use crate::shop::{
    Options, Shop,
    buyer::{Buyer, count_stock, payments, skus, stock},
    client::Answer,
};

const HOT_BUYERS: usize = 50;
const COLD_BUYERS: usize = 10;
const UNITS: usize = 25;
/// Request units a second for each SKU's stock: enough for who buys alone, too little for fifty who want the same. The
/// service gives a partition key 10,000. Source: Cosmos DB service quotas.
const BUDGET: u64 = 60;
/// Request units, in thousandths, that a hold may take of the stock's partition at this contention.
const PER_HOLD_MAX: u64 = 40_000;
/// Less than two small writes at the published price: then something was not charged.
const PER_HOLD_MIN: u64 = 10_000;

/// How often a batch is rolled back.
const TURNED: u64 = 3;
/// A wait, in milliseconds, that no call has time for.
const FOR_EVER_MS: u64 = 60_000;

/// Every buyer completes once, all together; answers with what.
async fn complete_once(buyers: &[Buyer], total: &Value) -> Vec<Answer> {
    join_all(buyers.iter().map(|it| it.complete("once", total, "sandbox_approve"))).await
}

/// A caller who is told to come back, and when.
fn is_told_to_wait(answer: &Answer) -> bool {
    answer.status == 503 && answer.header("retry-after").parse::<u32>().is_ok_and(|it| it >= 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_a_hot_partition_turns_nobody_else_away_and_loses_nothing() {
    let emulator = Emulator::start(&["North Europe"]);
    let shop = Shop::start(&Options { settings: emulator.settings(), ..Options::default() });
    let mut cold = skus(&shop.client, 1 + COLD_BUYERS).await;
    let hot = cold.remove(0);
    for sku in cold.iter().chain([&hot]) {
        count_stock(&shop.client, sku, i64::try_from(UNITS).unwrap()).await.gave(200);
    }
    let crowd = arrive(&shop, &hot, HOT_BUYERS).await;
    let others = join_all(cold.iter().map(|sku| at_the_till(&shop, sku, 0))).await;
    let total = crowd[0].total().await;
    let before = emulator.count("spent stock");
    emulator.order(&format!("budget stock {BUDGET}"));

    let alone = others.iter().map(async |it| it.complete("once", &it.total().await, "sandbox_approve").await);
    let (first, calm) = tokio::join!(complete_once(&crowd, &total), join_all(alone));
    assert!(emulator.count("turned") > 0, "no partition was hot");
    assert!(calm.iter().all(|it| it.status == 200), "{calm:?}");
    let known = |it: &Answer| it.status == 200 || is_told_to_wait(it) || it.body["code"] == "out_of_stock";
    let odd: Vec<_> = first.iter().filter(|it| !known(it)).collect();
    assert!(odd.is_empty(), "{odd:?}");

    let answers: Vec<_> = insist(&crowd, &total).collect().await;
    assert_eq!(answers.iter().filter(|it| it.status == 200).count(), UNITS);
    let spent = emulator.count("spent stock") - before;
    let per_hold = spent / u64::try_from(UNITS + COLD_BUYERS).unwrap();
    eprintln!("stock: {per_hold} thousandths of a request unit for each hold that succeeded");
    assert!((PER_HOLD_MIN..PER_HOLD_MAX).contains(&per_hold), "{per_hold}");
    emulator.order("budget stock 0");
    let level = stock(&shop.client, &hot).await;
    assert_eq!((level["allocated"].as_u64(), level["held"].as_u64()), (u64::try_from(UNITS).ok(), Some(0)));
    let books = payments(&shop.client).await;
    assert_eq!(books.iter().filter(|it| it["captured"] != "0").count(), UNITS + COLD_BUYERS);
    books_are_in_order(&shop).await;
    shop.stop("INT");
}

/// A batch that the service has taken and rolled back, because one operation met another (449) or found no units left
/// (429), was not done and is made again, as often as there is time for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_was_rolled_back_in_passing_is_made_again() {
    let emulator = Emulator::start(&["North Europe"]);
    let store = emulator.documents();
    let both = |name: &str| [create(&format!("{name}-1")), create(&format!("{name}-2"))].concat();
    let is_there = async |id: String| store.read(Container::Carts, "a", &id).await.unwrap().is_some();
    for status in [449, 429] {
        emulator.order(&format!("rollback {TURNED} {status} 1"));
        let etags = store.write(Container::Carts, "a", both(&format!("in-time-{status}"))).await.unwrap();
        assert_eq!((etags.len(), emulator.count("rollback left")), (2, 0));
        assert!(is_there(format!("in-time-{status}-1")).await && is_there(format!("in-time-{status}-2")).await);

        emulator.order(&format!("rollback {TURNED} {status} {FOR_EVER_MS}"));
        let error = store.write(Container::Carts, "a", both(&format!("too-late-{status}"))).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(chain(&error).contains(&format!("refused with {status}")), "{}", chain(&error));
        assert_eq!(emulator.count("rollback left"), TURNED - 1);
        assert!(!is_there(format!("too-late-{status}-1")).await && !is_there(format!("too-late-{status}-2")).await);
    }
}

/// Every partition turns everything away, for longer than any call waits: everyone is told so, nobody is lost, and
/// it is over by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_turns_everything_away_is_waited_out() {
    let emulator = Emulator::start(&["North Europe"]);
    let shop = Shop::start(&Options { settings: emulator.settings(), ..Options::default() });
    let sku = skus(&shop.client, 1).await.pop().unwrap();
    count_stock(&shop.client, &sku, 10).await.gave(200);
    let buyers = arrive(&shop, &sku, 20).await;
    let total = buyers[0].total().await;

    emulator.order("refuse 429 3200");
    let answers = complete_once(&buyers, &total).await;
    assert!(answers.iter().all(is_told_to_wait), "{answers:?}");
    emulator.order("serve");

    let answers: Vec<_> = insist(&buyers, &total).collect().await;
    assert_eq!(answers.iter().filter(|it| it.status == 200).count(), 10);
    sold(&shop, &sku, 10).await;
    shop.stop("INT");
}
