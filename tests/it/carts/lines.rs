//! Lines of a cart: many in one call, many callers at once, versions that were seen.
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::till::{Cart, Dice, Till, lines};

const GOODS: &str = "sku,title,price\nA,Bell,5.00\nB,Kite,7.50\nC,Drum,1.00\nD,Flute,2.00\nE,Horn,3.00\n";

#[tokio::test]
async fn many_lines_are_set_in_one_call_or_not_at_all() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 1), ("B", 2)]).await;
    let etag = cart.show(&client).await.header("etag").to_owned();

    let mixed = json!({ "lines": [{ "sku": "A", "quantity": 5 }, { "sku": "NONE", "quantity": 1 }, { "sku": "B", "quantity": 0 }] });
    let refused = cart.put(&client, "/lines", &mixed).await.refused(422, "unknown_sku");
    assert_eq!(refused.at("/sku"), "NONE");
    assert_eq!(cart.show(&client).await.header("etag"), etag, "nothing was changed");

    let mut each = mixed.clone();
    each["mode"] = json!("per_line");
    let done = cart.put(&client, "/lines", &each).await.gave(200);
    assert_eq!(lines(&done.body), [("A".to_owned(), 5)]);
    let statuses: Vec<_> = done.body["results"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(statuses, ["set", "refused", "removed"]);
    assert_eq!(done.at("/results/1/code"), "unknown_sku");
    assert_eq!(cart.put(&client, "/lines", &each).await.gave(200).header("etag"), done.header("etag"), "a repeat");

    // What is not named stays.
    let more = json!({ "lines": [{ "sku": "C", "quantity": 3 }] });
    assert_eq!(lines(&cart.put(&client, "/lines", &more).await.gave(200).body).len(), 2);
}

#[tokio::test]
async fn lines_that_are_none_are_named() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 1)]).await;
    let refuse = async |lines: serde_json::Value, code: &str| {
        let answer = cart.put(&client, "/lines", &json!({ "lines": lines })).await.refused(422, "validation_failed");
        assert_eq!(answer.body["errors"][0]["code"].as_str().unwrap_or_default(), code, "{}", answer.text);
    };
    refuse(json!([{ "sku": "A", "quantity": -1 }]), "invalid_quantity").await;
    refuse(json!([{ "sku": "A", "quantity": 1.5 }]), "invalid_quantity").await;
    refuse(json!([{ "sku": "A", "quantity": 1e18 }]), "invalid_quantity").await;
    refuse(json!([{ "sku": "a b", "quantity": 1 }]), "invalid_sku").await;
    refuse(json!([{ "sku": "A", "quantity": 1 }, { "sku": "A", "quantity": 2 }]), "repeated_sku").await;
    refuse(json!([]), "").await;
    let many: Vec<_> = (0..101).map(|n| json!({ "sku": format!("S{n}"), "quantity": 1 })).collect();
    refuse(json!(many), "").await;
    cart.put(&client, "/lines", &json!({ "lines": [], "mode": "some" })).await.refused(400, "invalid_body");
    let long = json!({ "lines": [{ "sku": "x".repeat(40_000), "quantity": 1 }] });
    cart.put(&client, "/lines", &long).await.refused(413, "body_too_large");
    assert_eq!(lines(&cart.show(&client).await.body), [("A".to_owned(), 1)]);
}

#[tokio::test]
async fn a_version_that_is_gone_is_refused_and_one_that_is_not_asked_for_is_not() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 1)]).await;
    let stale = cart.show(&client).await.header("etag").to_owned();
    cart.put(&client, "/lines/B", &json!({ "quantity": 1 })).await.gave(200);
    let set = async |below: &str, body: serde_json::Value, etag: &str| {
        let call = client.call(Method::PUT, &format!("{}{below}", cart.path())).header("x-cart-token", &cart.token);
        call.header("if-match", etag).json(&body).send().await
    };
    set("/lines/A", json!({ "quantity": 9 }), &stale).await.refused(412, "etag_mismatch");
    set("/lines", json!({ "lines": [{ "sku": "A", "quantity": 9 }] }), &stale).await.refused(412, "etag_mismatch");
    let fresh = cart.show(&client).await.header("etag").to_owned();
    set("/lines", json!({ "lines": [{ "sku": "A", "quantity": 9 }] }), &fresh).await.gave(200);
    set("/lines/A", json!({ "quantity": 2 }), "*").await.gave(200);
}

/// A command on one SKU: when it began and ended, and what it left.
struct Done {
    began: u64,
    ended: u64,
    left: u64,
}

/// P15: whatever ten clients do at once, the cart is what some order of their commands makes of it. Commands on
/// different SKUs do not touch each other, so that is: each SKU is as its last command left it, and a command is
/// not the last if another began after it had ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p15_two_thousand_commands_of_ten_clients_lose_nothing() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let cart = Cart::new(&client).await;
    let ticks = Arc::new(AtomicU64::new(0));
    let history: Arc<Mutex<BTreeMap<String, Vec<Done>>>> = Arc::default();
    let mut clients = JoinSet::new();
    for seed in 0..10_u64 {
        let (client, cart, ticks, history) = (client.clone(), cart.clone(), Arc::clone(&ticks), Arc::clone(&history));
        clients.spawn(async move {
            let mut dice = Dice::new(seed);
            for _ in 0..200 {
                let count = if dice.throw(4) == 0 { 2 } else { 1 };
                let first = dice.throw(5);
                let set: Vec<(String, u64)> = (0..count)
                    .map(|n| {
                        (["A", "B", "C", "D", "E"][usize::try_from((first + n) % 5).unwrap()].to_owned(), dice.throw(6))
                    })
                    .collect();
                let began = ticks.fetch_add(1, Ordering::SeqCst);
                loop {
                    let answer = match &set[..] {
                        [(sku, 0)] => {
                            let path = format!("{}/lines/{sku}", cart.path());
                            client.call(Method::DELETE, &path).header("x-cart-token", &cart.token).send().await
                        }
                        [(sku, units)] => {
                            cart.put(&client, &format!("/lines/{sku}"), &json!({ "quantity": units })).await
                        }
                        _ => {
                            let lines: Vec<_> =
                                set.iter().map(|(sku, units)| json!({ "sku": sku, "quantity": units })).collect();
                            cart.put(&client, "/lines", &json!({ "lines": lines })).await
                        }
                    };
                    if answer.status == 409 {
                        continue;
                    }
                    let seen: BTreeMap<_, _> = lines(&answer.gave(200).body).into_iter().collect();
                    assert!(set.iter().all(|(sku, units)| seen.get(sku).copied().unwrap_or(0) == *units));
                    break;
                }
                let ended = ticks.fetch_add(1, Ordering::SeqCst);
                let mut history = history.lock().unwrap();
                for (sku, left) in set {
                    history.entry(sku).or_default().push(Done { began, ended, left });
                }
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    let left = lines(&cart.show(&client).await.body);
    let units: BTreeMap<_, _> = left.iter().cloned().collect();
    assert_eq!(left.len(), units.len(), "no SKU twice");
    let history = history.lock().unwrap();
    assert_eq!(history.values().map(Vec::len).sum::<usize>() / 2_000, 1, "commands ran");
    for (sku, commands) in history.iter() {
        let last = commands.iter().map(|it| it.began).max().unwrap();
        let possible: Vec<u64> = commands.iter().filter(|it| it.ended > last).map(|it| it.left).collect();
        assert!(possible.contains(&units.get(sku).copied().unwrap_or(0)), "{sku}: {units:?} is none of {possible:?}");
    }
}
