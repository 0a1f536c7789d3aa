//! A placed order over HTTP: part of it leaves and arrives, some comes back, money goes back; and one is cancelled.
use http::Method;
use serde_json::{Value, json};

use super::{
    Options, Shop,
    buyer::{Buyer, payments, skus, staff, stock},
    client::{Answer, Call},
};

/// One shop for all of them: starting one costs more than what happens in it.
#[tokio::test]
async fn an_order_is_sent_returned_refunded_or_cancelled() {
    let shop = Shop::start(&Options::default());
    let goods = skus(&shop.client, 2).await;
    let before = stock(&shop.client, &goods[0]).await["onHand"].as_i64().unwrap();
    let order = Placed::new(&shop, &[(&goods[0], 3), (&goods[1], 1)]).await;
    two_of_three_leave_and_arrive(&shop, &goods[0], &order).await;
    assert_eq!(stock(&shop.client, &goods[0]).await["onHand"], before - 2);
    both_come_back_and_one_is_damaged(&order).await;
    assert_eq!(stock(&shop.client, &goods[0]).await["onHand"], before - 1);
    what_is_left_goes_back(&shop, &goods[0], &order).await;
    a_buyer_gives_an_order_up(&shop, &goods).await;
    a_guest_opens_an_order_by_its_number(&shop, &goods).await;
    shop.stop("INT");
}

/// An order, as its buyer and as staff.
struct Placed {
    buyer: Buyer,
    id: String,
    token: String,
}

impl Placed {
    async fn new(shop: &Shop, goods: &[(&str, u32)]) -> Placed {
        let buyer = Buyer::at_checkout(&shop.client, goods).await;
        let total = buyer.total().await;
        let order = buyer.complete("buy", &total, "sandbox_approve").await.gave(200);
        Placed { id: order.at("/id").to_owned(), token: staff(&shop.client).await, buyer }
    }

    fn manage(&self, method: Method, path: &str) -> Call {
        let call = self.buyer.client.call(method, &format!("/api/v1/manage/orders/{}{path}", self.id));
        call.header("authorization", &format!("Bearer {}", self.token))
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.manage(Method::POST, path).header("idempotency-key", key).json(body).send().await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.manage(Method::PUT, path).header("if-match", "*").json(body).send().await
    }

    /// The provider's entry of this order.
    async fn payment(&self) -> Value {
        let reference = format!("pay_{}_1", &self.id["ord_".len()..]);
        let all = payments(&self.buyer.client).await;
        all.into_iter().find(|it| it["reference"] == reference.as_str()).unwrap()
    }
}

fn kinds(order: &Value) -> Vec<&str> {
    let entries = order["timeline"].as_array().unwrap();
    entries.iter().rev().map(|it| it["kind"].as_str().unwrap()).collect()
}

async fn two_of_three_leave_and_arrive(shop: &Shop, sku: &str, order: &Placed) {
    // In a parcel; the same key sends them once.
    let allocated = stock(&shop.client, sku).await["allocated"].as_i64().unwrap();
    let parcel = json!({ "carrier": "Royal Mail", "trackingNumber": "RM123" });
    let body = json!({ "lines": [{ "line": 1, "quantity": 2 }], "parcels": [parcel] });
    let sent = order.post("/fulfilments", "send", &body).await.gave(200);
    assert_eq!(sent.body["fulfilmentStatus"], "partial", "{}", sent.text);
    assert_eq!(
        sent.body["lines"][0]["units"],
        json!({
            "ordered": 3, "open": 1, "cancelled": 0, "shipped": 2, "returned": 0, "refunded": 0
        })
    );
    let again = order.post("/fulfilments", "send", &body).await.gave(200);
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &sent.text));
    let other = json!({ "lines": [{ "line": 1, "quantity": 1 }] });
    order.post("/fulfilments", "send", &other).await.refused(422, "idempotency_key_reused");
    let more = json!({ "lines": [{ "line": 1, "quantity": 2 }] });
    order.post("/fulfilments", "more", &more).await.refused(422, "validation_failed");
    assert_eq!(stock(&shop.client, sku).await["allocated"], allocated - 2);

    let fulfilment = sent.at("/changed").to_owned();
    let path = format!("/fulfilments/{fulfilment}");
    let delivered = json!({ "status": "delivered" });
    let call = order.manage(Method::PUT, &path).json(&delivered).send().await;
    call.refused(428, "precondition_required");
    order.put(&path, &delivered).await.gave(200);
    order.put(&path, &json!({ "status": "packed" })).await.refused(409, "order_state");
}

/// The buyer asks, staff approves and looks: one can be sold again. The money of both goes back.
async fn both_come_back_and_one_is_damaged(order: &Placed) {
    let asked = order.buyer.call(Method::POST, &format!("{}/returns", order.buyer.order_path()));
    let asked = asked.header("idempotency-key", "return");
    let asked = asked.json(&json!({ "lines": [{ "line": 1, "quantity": 2 }], "reason": "Too small" })).send().await;
    let path = format!("/returns/{}", asked.gave(200).at("/returns/0/id"));
    order.put(&path, &json!({ "status": "received" })).await.refused(409, "order_state");
    order.put(&path, &json!({ "status": "approved" })).await.gave(200);
    let received = json!({ "status": "received", "lines": [{ "line": 1, "received": 2 }] });
    order.put(&path, &received).await.gave(200);
    let looked = json!({ "line": 1, "received": 2, "restock": 1, "damaged": 1 });
    let inspected = json!({ "status": "inspected", "lines": [looked] });
    let done = order.put(&path, &inspected).await.gave(200);
    assert_eq!(
        (&done.body["returns"][0]["status"], &done.body["refunds"][0]["status"]),
        (&json!("refunded"), &json!("succeeded")),
        "{}",
        done.text
    );
}

/// Open units are cancelled and shipping is given back; then nothing is left.
async fn what_is_left_goes_back(shop: &Shop, sku: &str, order: &Placed) {
    order.post("/cancel", "rest", &json!({ "reason": "Out of print" })).await.gave(200);
    order.post("/refunds", "shipping", &json!({ "shipping": true })).await.gave(200);
    let one = json!({ "amount": { "amount": "1", "currency": "GBP" } });
    order.post("/refunds", "one", &one).await.refused(409, "order_state");
    let end = order.manage(Method::GET, "").send().await.gave(200);
    assert_eq!(
        (&end.body["paymentStatus"], &end.body["fulfilmentStatus"], &end.body["lifecycle"]),
        (&json!("refunded"), &json!("returned"), &json!("completed")),
        "{}",
        end.text
    );
    let payment = order.payment().await;
    assert_eq!(payment["refunded"], payment["captured"], "{payment}");
    assert_eq!(stock(&shop.client, sku).await["allocated"], 0);
    assert_eq!(
        kinds(&end.body)[..6],
        [
            "order.placed",
            "fulfilment.shipped",
            "fulfilment.delivered",
            "return.requested",
            "return.approved",
            "return.received",
        ]
    );
    assert_eq!(end.body["timeline"].as_array().unwrap().last().unwrap()["actor"]["kind"], "system");

    // The buyer sees what happened, and not who did it.
    let shown = order.buyer.show(&order.buyer.order_path()).await.gave(200);
    assert!(!shown.text.contains("storekeeper") && !shown.text.contains("Out of print"), "{}", shown.text);
    assert!(end.text.contains("storekeeper") && end.text.contains("Out of print"));
}

async fn a_buyer_gives_an_order_up(shop: &Shop, goods: &[String]) {
    let before = stock(&shop.client, &goods[1]).await;
    let order = Placed::new(shop, &[(&goods[1], 2)]).await;
    let path = format!("{}/cancel", order.buyer.order_path());
    let cancel = |key: &str| {
        order
            .buyer
            .call(Method::POST, &path)
            .header("idempotency-key", key)
            .json(&json!({ "reason": "Changed my mind" }))
    };

    // Not while something is packed; and what is packed can be taken apart.
    let packed = order.post("/fulfilments", "pack", &json!({ "status": "packed" })).await.gave(200);
    cancel("early").send().await.refused(409, "order_state");
    let fulfilment = format!("/fulfilments/{}", packed.at("/changed"));
    order.put(&fulfilment, &json!({ "status": "cancelled" })).await.gave(200);

    let stranger =
        order.buyer.client.call(Method::POST, &path).header("x-cart-token", "0").header("idempotency-key", "x");
    stranger.json(&json!({})).send().await.refused(404, "not_found");
    let first = cancel("late").send().await.gave(200);
    assert_eq!((&first.body["lifecycle"], &first.body["paymentStatus"]), (&json!("cancelled"), &json!("refunded")));
    let again = cancel("late").send().await.gave(200);
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &first.text));
    cancel("twice").send().await.refused(409, "order_state");
    let payment = order.payment().await;
    assert_eq!(payment["refunded"], payment["captured"], "{payment}");
    let after = stock(&shop.client, &goods[1]).await;
    assert_eq!((&after["onHand"], &after["allocated"]), (&before["onHand"], &before["allocated"]));
}

async fn a_guest_opens_an_order_by_its_number(shop: &Shop, goods: &[String]) {
    let order = Placed::new(shop, &[(&goods[0], 1)]).await;
    let number = order.buyer.show(&order.buyer.order_path()).await.gave(200).at("/number").to_owned();
    let look_up = |number: String, email: &'static str| {
        let client = shop.client.clone();
        async move { client.post("/api/v1/orders/lookup", &json!({ "number": number, "email": email })).await }
    };
    let spoken = number.to_lowercase().replace('-', " ");
    let found = look_up(spoken, "Ada@Example.com").await.gave(200);
    assert_eq!(found.at("/id"), order.id);

    // Whatever is wrong, the answer is the same.
    let refused = look_up(number.clone(), "eve@example.com").await.refused(404, "not_found");
    let detail = refused.at("/detail").to_owned();
    for (number, email) in [("00000-000000", "ada@example.com"), ("7", "ada@example.com"), ("00000-000001", "x")] {
        assert_eq!(look_up(number.to_owned(), email).await.refused(404, "not_found").at("/detail"), detail);
    }
    // Who tries too often is not let in with the right address either.
    for _ in 0..10 {
        look_up(number.clone(), "eve@example.com").await.refused(404, "not_found");
    }
    look_up(number, "ada@example.com").await.refused(404, "not_found");
}
