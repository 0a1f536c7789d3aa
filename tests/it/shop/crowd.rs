//! Many at once, with processes killed under them: nothing oversold, doubled or lost.
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    Options, Shop,
    buyer::{Buyer, count_stock, mails, payments, skus, stock, wait_for_mails},
    client::Answer,
};

const BUYERS: usize = 200;
const UNITS: i64 = 20;

/// Who dies while the buyers pay.
enum Victim {
    Nobody,
    /// Every handler there is; after the third time the dev host ends too, and the platform starts it again.
    Handlers,
    /// The dev host, and with it its handlers, the brokers and the payment provider.
    Devhost,
}

const KILLS: usize = 5;

#[tokio::test]
async fn two_hundred_buyers_for_twenty_units() {
    sell_out(&Options::default(), &Victim::Nobody).await;
}

#[tokio::test]
async fn two_hundred_buyers_while_the_handler_is_killed_five_times() {
    sell_out(&Options::default(), &Victim::Handlers).await;
}

#[tokio::test]
async fn two_hundred_buyers_while_the_dev_host_is_killed_five_times() {
    sell_out(&Options::default(), &Victim::Devhost).await;
}

#[tokio::test]
async fn two_hundred_buyers_as_flex_runs_it() {
    sell_out(&Options { flex: Some(2), ..Options::default() }, &Victim::Nobody).await;
}

#[tokio::test]
async fn two_hundred_buyers_as_flex_runs_it_while_handlers_are_killed() {
    sell_out(&Options { flex: Some(2), ..Options::default() }, &Victim::Handlers).await;
}

async fn sell_out(options: &Options, victim: &Victim) {
    let shop = Shop::start(options);
    let sku = skus(&shop.client, 1).await.pop().unwrap();
    count_stock(&shop.client, &sku, UNITS).await.gave(200);
    let mut arriving = JoinSet::new();
    for _ in 0..BUYERS {
        let (client, sku) = (shop.client.clone(), sku.clone());
        arriving.spawn(async move { Buyer::at_checkout(&client, &[(sku.as_str(), 1)]).await });
    }
    let buyers = arriving.join_all().await;
    let total = buyers[0].total().await;

    let mut paying = JoinSet::new();
    let done = Arc::new(AtomicUsize::new(0));
    for (number, buyer) in buyers.iter().cloned().enumerate() {
        let (total, done) = (total.clone(), Arc::clone(&done));
        paying.spawn(async move {
            let answer = buyer.insist(&format!("key-{number}"), &total, "sandbox_approve").await;
            done.fetch_add(1, Ordering::Relaxed);
            answer
        });
    }
    for _ in 0..KILLS {
        // Some are under way and some are not: a dead handler takes longer than this to be back.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let left = BUYERS - done.load(Ordering::Relaxed);
        assert!(left > 0 || matches!(victim, Victim::Nobody), "a kill after everyone was done shows nothing");
        match victim {
            Victim::Nobody => {}
            Victim::Handlers => drop(shop.kill_handlers()),
            Victim::Devhost => {
                shop.kill_devhost();
            }
        }
    }
    let answers = paying.join_all().await;
    verify(&shop, &sku, &answers, &total).await;
    shop.stop("INT");
}

async fn verify(shop: &Shop, sku: &str, answers: &[Answer], total: &Value) {
    let units = usize::try_from(UNITS).unwrap();
    let placed: Vec<_> = answers.iter().filter(|it| it.status == 200).collect();
    let refused = answers.iter().filter(|it| it.status == 409 && it.body["code"] == "out_of_stock").count();
    assert_eq!((placed.len(), refused), (units, BUYERS - units));
    let mut orders: Vec<_> = placed.iter().map(|it| it.at("/id")).collect();
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), units);

    let captured: Vec<_> = payments(&shop.client).await.into_iter().filter(|it| it["captured"] != "0").collect();
    assert_eq!(captured.len(), units);
    assert!(captured.iter().all(|it| it["captured"] == total["amount"]), "{captured:?}");
    let level = stock(&shop.client, sku).await;
    assert_eq!((level["allocated"].as_i64(), level["held"].as_i64()), (Some(UNITS), Some(0)), "{level}");
    wait_for_mails(&shop.client, units).await;
    assert_eq!(mails(&shop.client).await.len(), units);
}

#[tokio::test]
async fn fifty_at_once_make_one_checkout_and_one_order() {
    let shop = Shop::start(&Options::default());
    let sku = skus(&shop.client, 1).await.pop().unwrap();
    count_stock(&shop.client, &sku, 100).await.gave(200);
    let buyer = Buyer::with(&shop.client, &[(sku.as_str(), 1)]).await;

    let mut starting = JoinSet::new();
    for _ in 0..50 {
        let buyer = buyer.clone();
        starting.spawn(async move { buyer.start("ada@example.com").await });
    }
    let started = starting.join_all().await;
    assert_eq!(started.iter().filter(|it| it.status == 201).count(), 1);
    assert!(started.iter().all(|it| matches!(it.status, 200 | 201) && it.body["id"] == started[0].body["id"]));

    let total = buyer.total().await;
    let mut completing = JoinSet::new();
    for number in 0..50 {
        let (buyer, total) = (buyer.clone(), total.clone());
        completing.spawn(async move { buyer.insist(&format!("key-{number}"), &total, "sandbox_approve").await });
    }
    let completed = completing.join_all().await;
    assert!(completed.iter().all(|it| it.status == 200 && it.body["id"] == completed[0].body["id"]));
    assert_eq!(payments(&shop.client).await.len(), 1);
    assert_eq!(payments(&shop.client).await[0]["captured"], total["amount"]);
    assert_eq!(wait_for_mails(&shop.client, 1).await.len(), 1);
    assert_eq!(stock(&shop.client, &sku).await["allocated"], 1);
    shop.stop("INT");
}

/// P3: while the first call with a key runs, the others are told to ask again; then all get its bytes.
#[tokio::test]
async fn one_key_sent_by_many_at_once_is_one_attempt() {
    let shop = Shop::start(&Options::default());
    let sku = skus(&shop.client, 1).await.pop().unwrap();
    let buyer = Buyer::at_checkout(&shop.client, &[(sku.as_str(), 1)]).await;
    let total = buyer.total().await;
    let mut completing = JoinSet::new();
    for _ in 0..100 {
        let (buyer, total) = (buyer.clone(), total.clone());
        completing.spawn(async move { buyer.complete("one key", &total, "sandbox_approve").await });
    }
    let answers = completing.join_all().await;
    let (placed, busy): (Vec<_>, Vec<_>) = answers.into_iter().partition(|it| it.status == 200);
    for answer in busy {
        let answer = answer.refused(409, "completion_in_progress");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    }
    let order = buyer.insist("one key", &total, "sandbox_approve").await.gave(200);
    assert_eq!(order.header("idempotent-replayed"), "true");
    assert!(placed.iter().all(|it| it.text == order.text));
    assert_eq!(payments(&shop.client).await.len(), 1);
    shop.stop("INT");
}
