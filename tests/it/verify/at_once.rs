//! A small store is checked before the answer.
use offpeak::shared::ports::documents::Container;
use serde_json::{Value, json};

use super::{GOODS, QUIET_S, ROOM, ask, damage, findings, invariant, lose, order};
use crate::carts::till::{Cart, Till};

#[tokio::test]
async fn a_shop_in_order_is_found_in_order() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    for _ in 0..3 {
        order(&client).await;
    }
    Cart::at_checkout(&client, &[("A", 1)]).await;
    // What has just changed is not judged yet.
    let early = ask(&client, &json!({})).await.gave(200).body;
    assert_eq!((&early["ok"], &early["purchases"], &early["busy"]), (&json!(true), &json!(4), &json!(4)));
    assert_eq!((&invariant(&early, "I3")["checked"], &invariant(&early, "I1")["checked"]), (&json!(0), &json!(2)));
    till.clock.advance(QUIET_S);
    let late = ask(&client, &json!({})).await.gave(200).body;
    assert_eq!((&late["ok"], &late["purchases"], &late["busy"]), (&json!(true), &json!(4), &json!(0)), "{late}");
    let checked = |name: &str| invariant(&late, name)["checked"].as_u64().unwrap();
    assert_eq!(["I1", "I2", "I3", "I4", "I7"].map(checked), [2, 3, 4, 4, 4]);
    assert!(findings(&late).is_empty() && late["job"].is_null(), "{late}");
}

/// One kind of damage: where, what, the invariant, and a part of the finding.
async fn planted(invariant: &str, detail: &str, is_of_the_order: bool, plant: impl AsyncFn(&Till, &str)) {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    order(&client).await;
    let checkout = order(&client).await.id.replace("cart_", "chk_");
    order(&client).await;
    plant(&till, &checkout).await;
    let subject = if is_of_the_order { checkout.replace("chk_", "ord_") } else { "A".to_owned() };
    let is_it = |it: &(String, String, String)| it.0 == invariant && it.1 == subject && it.2.contains(detail);
    let early = findings(&ask(&client, &json!({})).await.gave(200).body);
    // Levels are judged as soon as they stand still; a purchase is left alone for two minutes.
    assert_eq!(early.iter().any(is_it), !is_of_the_order, "{early:?}");
    till.clock.advance(QUIET_S);
    let late = ask(&client, &json!({})).await.gave(200).body;
    let found = findings(&late);
    assert_eq!(late["ok"], false, "{detail}");
    assert!(found.iter().any(is_it), "{detail} of {subject}: {found:?}");
    let others: Vec<_> = found.iter().filter(|it| it.1.starts_with("ord_") && it.1 != subject).collect();
    assert!(others.is_empty() || !is_of_the_order, "{detail}: {others:?}");
}

#[tokio::test]
async fn planted_damage_of_stock_is_found_and_named() {
    let level = async |till: &Till, change: fn(&mut Value)| {
        damage(till, Container::Stock, "A", "level:main", |body| change(&mut body["locations"]["main"])).await;
    };
    planted("I1", "8990", false, async |till, _| level(till, |it| it["onHand"] = json!(8990)).await).await;
    planted("I1", "7", false, async |till, _| level(till, |it| it["allocated"] = json!(7)).await).await;
    planted("I1", "which is not there", false, async |till, id| lose(till, Container::Purchases, id, "order").await)
        .await;
}

#[tokio::test]
async fn planted_damage_of_an_order_is_found_and_named_once_it_is_quiet() {
    let order = async |till: &Till, id: &str, change: fn(&mut Value)| {
        damage(till, Container::Purchases, id, "order", change).await;
    };
    planted("I2", "the parts sum to", true, async |till, id| {
        order(till, id, |it| it["priced"]["total"] = json!("1")).await;
    })
    .await;
    planted("I3", "is captured", true, async |till, id| {
        order(till, id, |it| it["payment"]["captured"] = json!("1")).await;
    })
    .await;
    planted("I3", "the provider has", true, async |till, id| {
        lose(till, Container::Purchases, id, "payments").await;
    })
    .await;
    planted("I4", "the checkout is placed: true", true, async |till, id| {
        lose(till, Container::Purchases, id, "order").await;
    })
    .await;
    planted("I7", "0 events say", true, async |till, id| {
        lose(till, Container::Purchases, id, "outbox:order-placed").await;
    })
    .await;
    planted("I7", "missing", true, async |till, id| lose(till, Container::Purchases, id, "timeline:").await).await;
}

/// One document that nobody can read hides nothing else.
#[tokio::test]
async fn what_cannot_be_read_is_a_finding_beside_the_others() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let [torn, short, _] = [order(&client).await, order(&client).await, order(&client).await];
    let id = |cart: &Cart, kind: &str| cart.id.replace("cart_", kind);
    let (torn_order, short_order) = (id(&torn, "ord_"), id(&short, "ord_"));
    damage(&till, Container::Purchases, &id(&torn, "chk_"), "order", |it| it["schema"] = json!("order/99")).await;
    damage(&till, Container::Purchases, &id(&short, "chk_"), "order", |it| it["priced"]["total"] = json!("1")).await;
    till.clock.advance(QUIET_S);
    let report = ask(&client, &json!({})).await.gave(200).body;
    let found = findings(&report);
    let is_there = |invariant: &str, subject: &str, detail: &str| {
        found.iter().any(|it| it.0 == invariant && it.1 == subject && it.2.contains(detail))
    };
    assert!(is_there("I2", &torn_order, "document order cannot be read: schema is"), "{found:?}");
    assert!(is_there("I2", &short_order, "the parts sum to"), "{found:?}");
    assert_eq!((&report["purchases"], &invariant(&report, "I2")["checked"]), (&json!(3), &json!(3)));
}

#[tokio::test]
async fn since_and_sample_choose_purchases() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    for _ in 0..3 {
        order(&client).await;
    }
    till.clock.advance(3_600);
    let between = till.now_text();
    till.clock.advance(3_600);
    for _ in 0..2 {
        order(&client).await;
    }
    till.clock.advance(QUIET_S);
    let since = ask(&client, &json!({ "since": between })).await.gave(200).body;
    assert_eq!((&since["purchases"], &invariant(&since, "I2")["checked"]), (&json!(2), &json!(2)), "{since}");
    assert_eq!(invariant(&since, "I1")["checked"], 2, "stock is checked whole");

    for _ in 0..40 {
        Cart::at_checkout(&client, &[("B", 1)]).await;
    }
    let sampled = ask(&client, &json!({ "sample": 3 })).await.gave(200).body["purchases"].as_u64().unwrap();
    assert!((1..45).contains(&sampled), "{sampled}");
    let again = ask(&till.instance().await, &json!({ "sample": 3 })).await.gave(200);
    assert_eq!(again.body["purchases"], sampled, "always the same ones");
    assert_eq!(ask(&client, &json!({ "sample": 1 })).await.gave(200).body["purchases"], 45);
}

#[tokio::test]
async fn what_is_no_question_is_refused_and_so_is_who_may_not_ask() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    for sample in [json!(0), json!(-1), json!(1.5), json!(1_000_001), json!(1e18), json!(u64::MAX)] {
        let refused = ask(&client, &json!({ "sample": sample })).await.refused(422, "validation_failed");
        assert_eq!(refused.at("/errors/0/field"), "sample");
    }
    for since in ["yesterday", "2026-01-01", ""] {
        let refused = ask(&client, &json!({ "since": since })).await.refused(422, "validation_failed");
        assert_eq!(refused.at("/errors/0/field"), "since");
    }
    ask(&client, &json!({ "sample": "2" })).await.refused(400, "invalid_body");
    ask(&client, &json!({ "limit": 2 })).await.refused(400, "unknown_field");
    ask(&client, &json!([])).await.refused(400, "invalid_body");

    let job = format!("{ROOM}/job_01JZ0000000000000000000000");
    for (method, path) in [(http::Method::POST, ROOM), (http::Method::GET, job.as_str())] {
        client.call(method.clone(), path).send().await.refused(401, "unauthenticated");
        for token in ["Bearer ada", "Bearer ada;write_stock;read_stock"] {
            let call = client.call(method.clone(), path).header("authorization", token);
            call.send().await.refused(403, "forbidden");
        }
    }
    // No body asks for everything.
    client.call(http::Method::POST, ROOM).header("authorization", "Bearer ada;owner").send().await.gave(200);
}
