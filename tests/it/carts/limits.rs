//! How much of one thing may be bought at once, what stands between a cart and an order, and how long a cart is
//! kept. What the cart and the checkout show is what a completion refuses.
use serde_json::{Value, json};

use super::till::{Cart, Till};

const GOODS: &str = "sku,title,price,onHand\nA,Bell,5.00,90\nB,Kite,7.50,3\nC,Drum,1.00,0\n";

fn codes(answer: &Value) -> Vec<String> {
    let code = |it: &Value| {
        let sku = it["sku"].as_str().unwrap_or_default();
        format!("{}{}{sku}", it["code"].as_str().unwrap(), if sku.is_empty() { "" } else { " " })
    };
    answer["problems"].as_array().unwrap().iter().map(code).collect()
}

#[tokio::test]
async fn more_than_a_limit_is_refused_when_it_is_asked_for() {
    let till = Till::open(GOODS).await;
    let limits = json!({ "perSku": 20, "perCart": 30, "skus": [{ "sku": "A", "min": 2, "max": 6 }] });
    till.settings(&json!({ "limits": limits })).await;
    let client = till.instance().await;
    let cart = Cart::new(&client).await;
    let refused = cart.put(&client, "/lines/A", &json!({ "quantity": 7 })).await.refused(422, "validation_failed");
    assert_eq!(refused.at("/errors/0/code"), "above_maximum");
    cart.put(&client, "/lines/B", &json!({ "quantity": 20 })).await.gave(200);
    let both = json!({ "lines": [{ "sku": "A", "quantity": 6 }, { "sku": "C", "quantity": 5 }] });
    let refused = cart.put(&client, "/lines", &both).await.refused(422, "validation_failed");
    assert_eq!((refused.at("/errors/0/field"), refused.at("/errors/0/code")), ("/lines/1", "too_many_units"));
}

#[tokio::test]
async fn the_problems_that_are_shown_are_those_that_refuse() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 1), ("B", 5), ("C", 1)]).await;
    let shown = cart.show(&client).await.gave(200);
    assert_eq!(codes(&shown.body), ["insufficient_stock B", "out_of_stock C"]);
    assert_eq!(shown.body["problems"][0]["available"], 3);
    let checkout = cart.start(&client).await.gave(201);
    assert_eq!(codes(&checkout.body), codes(&shown.body));
    // The stock itself refuses those; the rest of the list refuses before anything is held.
    let total = checkout.body["totals"]["total"].clone();
    cart.complete(&client, "short", &total, "approve").await.refused(409, "out_of_stock");

    let (cart, total) = Cart::at_checkout(&client, &[("A", 3), ("B", 3)]).await;
    let limits = json!({ "perSku": 2, "perCart": 5, "skus": [{ "sku": "A", "min": 4, "max": 9 }] });
    till.settings(&json!({ "limits": limits, "shipping": [
        { "method": "standard", "title": "To France", "countries": ["FR"], "price": { "amount": "0", "currency": "GBP" } },
        { "method": "express", "title": "Fast", "price": { "amount": "900", "currency": "GBP" } },
    ] })).await;
    let client = till.instance().await;
    let want = ["below_minimum A", "above_maximum B", "too_many_units", "shipping_unavailable"];
    let checkout = cart.get(&client, &cart.checkout()).await.gave(200);
    assert_eq!(codes(&checkout.body), want);
    assert_eq!(checkout.at("/shippingOptions/0/method"), "express");
    assert_eq!(codes(&cart.show(&client).await.gave(200).body), want[..3]);
    let refused = cart.complete(&client, "list", &total, "approve").await.refused(422, "validation_failed");
    assert_eq!(codes(&refused.body), want);
    assert_eq!(refused.at("/shippingOptions/0/method"), "express");
    assert_eq!(refused.body["problems"], checkout.body["problems"]);
    assert_eq!(till.provider.books(), []);
}

#[tokio::test]
async fn a_product_that_is_archived_between_cart_and_checkout_is_named() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1), ("B", 1)]).await;
    till.archive("A").await;
    let refused = cart.complete(&client, "gone", &total, "approve").await.refused(422, "validation_failed");
    assert_eq!(codes(&refused.body), ["unavailable A"]);
    let client = till.instance().await;
    assert_eq!(codes(&cart.show(&client).await.gave(200).body), ["unavailable A"]);
    cart.put(&client, "/lines/A", &json!({ "quantity": 0 })).await.gave(200);
    let total = cart.get(&client, &cart.checkout()).await.gave(200).body["totals"]["total"].clone();
    cart.complete(&client, "rest", &total, "approve").await.gave(200);
}

#[tokio::test]
async fn a_cart_expires_by_what_it_is_and_never_while_money_is_attached() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let (empty, full) = (Cart::new(&client).await, Cart::with(&client, &[("A", 1)]).await);
    till.clock.advance(6 * 3600 - 60);
    empty.show(&client).await.gave(200);
    till.clock.advance(120);
    empty.show(&client).await.refused(404, "not_found");
    till.clock.advance(30 * 86_400 - 6 * 3600 - 120);
    full.show(&client).await.gave(200);
    till.clock.advance(120);
    full.show(&client).await.refused(404, "not_found");

    let (paying, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    paying.complete(&client, "bank", &total, "challenge").await.gave(202);
    till.clock.advance(60 * 86_400);
    assert_eq!(paying.show(&client).await.gave(200).at("/state"), "locked");
}
