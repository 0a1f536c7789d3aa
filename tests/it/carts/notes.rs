//! What staff write down about an order stays with them.
use http::Method;
use serde_json::{Value, json};

use super::till::{Cart, Till};
use crate::shop::client::{Answer, Client};

async fn note(client: &Client, order: &str, who: &str, key: &str, text: &str) -> Answer {
    let call = client.call(Method::POST, &format!("/api/v1/manage/orders/{order}/notes"));
    let call = call.header("authorization", &format!("Bearer {who}")).header("idempotency-key", key);
    call.json(&json!({ "text": text })).send().await
}

fn kinds(order: &Value) -> Vec<&str> {
    order["timeline"].as_array().unwrap().iter().rev().map(|it| it["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn staff_leave_a_note_that_the_buyer_never_sees() {
    let till = Till::open("sku,title,price,onHand\nA,Bell,5.00,90\n").await;
    let client = till.instance().await;
    let (cart, total) = Cart::at_checkout(&client, &[("A", 1)]).await;
    let order = cart.complete(&client, "buy", &total, "approve").await.gave(200).at("/id").to_owned();
    let staff = "staff;write_orders;read_orders";
    note(&client, &order, "staff;read_orders", "n", "x").await.refused(403, "forbidden");
    for text in ["", " ", "\u{7}", &"x".repeat(501)] {
        note(&client, &order, staff, "wrong", text).await.refused(422, "validation_failed");
    }
    let text = "Rang twice,\nnobody home.";
    let first = note(&client, &order, staff, "note", &format!(" {text} ")).await.gave(200);
    let again = note(&client, &order, staff, "note", &format!(" {text} ")).await.gave(200);
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &first.text));
    note(&client, &order, staff, "note", "another").await.refused(422, "idempotency_key_reused");

    let call = client.call(Method::GET, &format!("/api/v1/manage/orders/{order}"));
    let managed = call.header("authorization", &format!("Bearer {staff}")).send().await.gave(200);
    assert_eq!(kinds(&managed.body), ["order.placed", "order.noted"]);
    let entry = &managed.body["timeline"][0];
    assert_eq!((&entry["note"], &entry["actor"]["kind"]), (&json!(text), &json!("staff")));
    let shown = cart.get(&client, &format!("/api/v1/orders/{order}")).await.gave(200);
    assert_eq!(kinds(&shown.body), ["order.placed"]);
    assert!(!shown.text.contains("Rang twice"), "{}", shown.text);
}
