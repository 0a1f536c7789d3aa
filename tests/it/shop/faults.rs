//! Bad input over HTTP: each is a problem with a stable code that says what to do, and changes nothing.
use std::process::Command;

use http::Method;
use serde_json::{Value, json};

use super::{
    Options, Shop,
    buyer::{Buyer, address, count_stock, payments, skus, staff},
    client::Client,
};
use crate::given;

/// One shop for all of them: starting one costs more than being refused by it.
#[tokio::test]
async fn bad_input_is_refused_with_a_reason_and_loses_nothing() {
    let shop = Shop::start(&Options::default());
    let sku = skus(&shop.client, 1).await.pop().unwrap();
    bodies_that_cannot_be_read(&shop.client, &sku).await;
    quantities_that_are_none(&shop.client, &sku).await;
    carts_of_others(&shop.client, &sku).await;
    a_cart_that_has_expired(&shop, &sku).await;
    client_supplied_prices(&shop.client, &sku).await;
    checkouts_that_cannot_begin(&shop.client, &sku).await;
    completions_that_cannot_begin(&shop.client, &sku).await;
    writes_that_name_an_older_version(&shop.client, &sku).await;
    stock_that_is_not_yours(&shop.client, &sku).await;
    paths_and_methods(&shop.client).await;
    assert!(payments(&shop.client).await.is_empty());
    shop.stop("INT");
}

/// Without local mode every port must name its adapter: nothing falls back to a file or a sandbox.
#[test]
fn a_handler_without_settings_refuses_to_start_and_lists_what_is_missing() {
    let handler = given::path(given::STAGE).join("handler");
    let output = Command::new(handler).env_clear().env("FUNCTIONS_CUSTOMHANDLER_PORT", "0").output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in ["OFFPEAK_STORE", "OFFPEAK_BUS", "OFFPEAK_HUB", "OFFPEAK_PAYMENTS", "OFFPEAK_IDENTITY", "OFFPEAK_MAIL"]
    {
        assert!(text.contains(&format!("{name} is missing")), "{name}: {text}");
    }
}

async fn bodies_that_cannot_be_read(client: &Client, sku: &str) {
    let buyer = Buyer::new(client).await;
    let path = format!("{}/lines/{sku}", buyer.cart_path());
    let put = |kind: &str, body: &str| buyer.call(Method::PUT, &path).text(kind, body).send();
    put("application/json", "{").await.refused(400, "malformed_json");
    put("application/json", "").await.refused(400, "malformed_json");
    put("application/json", "[]").await.refused(400, "invalid_body");
    put("application/json", "{}").await.refused(400, "invalid_body");
    put("application/json", r#"{"quantity":"2"}"#).await.refused(400, "invalid_body");
    put("application/json", r#"{"quantity":2,"gift":true}"#).await.refused(400, "unknown_field");
    put("text/plain", r#"{"quantity":2}"#).await.refused(415, "unsupported_media_type");
    let large = format!(r#"{{"quantity":2,"note":"{}"}}"#, "x".repeat(10 * 1024 * 1024));
    put("application/json", &large).await.refused(413, "body_too_large");
    assert_eq!(buyer.show(&buyer.cart_path()).await.gave(200).body["lines"], json!([]));
}

async fn quantities_that_are_none(client: &Client, sku: &str) {
    let buyer = Buyer::with(client, &[(sku, 2)]).await;
    for quantity in ["-1", "1.5", "1000", "1e18", "9223372036854775808", "4294967297"] {
        let body: Value = serde_json::from_str(&format!(r#"{{"quantity":{quantity}}}"#)).unwrap();
        buyer.line(sku, &body).await.refused(422, "validation_failed");
    }
    buyer.line(sku, &json!({ "quantity": null })).await.refused(400, "invalid_body");
    buyer.line("NO-SUCH-SKU", &json!({ "quantity": 1 })).await.refused(422, "unknown_sku");
    buyer.line(&"x".repeat(65), &json!({ "quantity": 1 })).await.refused(422, "validation_failed");
    assert_eq!(buyer.show(&buyer.cart_path()).await.gave(200).body["lines"][0]["quantity"], 2);
    let path = format!("{}/lines/{sku}", buyer.cart_path());
    for _ in 0..2 {
        assert_eq!(buyer.call(Method::DELETE, &path).send().await.gave(200).body["lines"], json!([]));
    }
}

async fn carts_of_others(client: &Client, sku: &str) {
    let mine = Buyer::with(client, &[(sku, 1)]).await;
    let mut other = Buyer::new(client).await;
    let absent = "/api/v1/carts/cart_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    other.cart = mine.cart.clone();
    let foreign = other.show(&mine.cart_path()).await.refused(404, "not_found");
    let missing = other.show(absent).await.refused(404, "not_found");
    assert_eq!(foreign.body["detail"], missing.body["detail"]);
    other.line(sku, &json!({ "quantity": 9 })).await.refused(404, "not_found");
    other.start("eve@example.com").await.refused(404, "not_found");
    client.get(&mine.cart_path()).await.refused(401, "unauthenticated");
    mine.start("ada@example.com").await.gave(201);
    other.show(&mine.checkout_path()).await.refused(404, "not_found");
    let total = mine.total().await;
    other.complete("eve", &total, "sandbox_approve").await.refused(404, "not_found");
    mine.show("/api/v1/carts/cart_nonsense").await.refused(404, "not_found");
    mine.show(&mine.order_path()).await.refused(404, "not_found");
    assert_eq!(mine.show(&mine.cart_path()).await.gave(200).body["lines"][0]["quantity"], 1);
}

/// Nobody waits thirty days here: the store's file is told that they are over.
async fn a_cart_that_has_expired(shop: &Shop, sku: &str) {
    let buyer = Buyer::at_checkout(&shop.client, &[(sku, 1)]).await;
    let total = buyer.total().await;
    let store = rusqlite::Connection::open(shop.data().path().join("store.db")).unwrap();
    assert_eq!(store.execute("UPDATE carts SET expires = 1 WHERE partition = ?", [&buyer.cart]).unwrap(), 1);
    buyer.show(&buyer.cart_path()).await.refused(404, "not_found");
    buyer.line(sku, &json!({ "quantity": 1 })).await.refused(404, "not_found");
    buyer.start("ada@example.com").await.refused(404, "not_found");
    buyer.complete("late", &total, "sandbox_approve").await.refused(404, "not_found");
}

async fn client_supplied_prices(client: &Client, sku: &str) {
    let buyer = Buyer::with(client, &[(sku, 1)]).await;
    for field in ["price", "unitPrice", "total", "discount", "currency", "tax"] {
        let mut line = json!({ "quantity": 1 });
        line[field] = json!({ "amount": "1", "currency": "GBP" });
        buyer.line(sku, &line).await.refused(400, "unknown_field");
        let mut start = buyer.start_body("ada@example.com");
        start[field] = json!({ "amount": "1", "currency": "GBP" });
        buyer.call(Method::POST, "/api/v1/checkouts").json(&start).send().await.refused(400, "unknown_field");
    }
    client.post("/api/v1/carts", &json!({ "currency": "JPY" })).await.refused(422, "validation_failed");
    client.post("/api/v1/carts", &json!({ "currency": "nonsense" })).await.refused(422, "validation_failed");
}

async fn checkouts_that_cannot_begin(client: &Client, sku: &str) {
    let empty = Buyer::new(client).await;
    empty.start("ada@example.com").await.refused(422, "cart_empty");
    let buyer = Buyer::with(client, &[(sku, 1)]).await;
    let begin = |change: fn(&mut Value)| {
        let mut body = buyer.start_body("ada@example.com");
        change(&mut body);
        buyer.call(Method::POST, "/api/v1/checkouts").json(&body).send()
    };
    begin(|it| it["email"] = json!("not an address")).await.refused(422, "validation_failed");
    begin(|it| it["email"] = json!("a@b.co\r\nBcc: all@example.com")).await.refused(422, "validation_failed");
    begin(|it| it["shippingAddress"] = address("XX")).await.refused(422, "validation_failed");
    begin(|it| it["shippingAddress"]["city"] = json!(" ")).await.refused(422, "validation_failed");
    begin(|it| it["shippingMethod"] = json!("teleport")).await.refused(422, "validation_failed");
    begin(|it| it["cartId"] = json!("cart_1")).await.refused(404, "not_found");
    begin(|it| drop(it.as_object_mut().unwrap().remove("email"))).await.refused(400, "invalid_body");
    buyer.show(&buyer.checkout_path()).await.refused(404, "not_found");
    // Standard delivery reaches every country.
    begin(|it| it["shippingAddress"] = address("JP")).await.gave(201);
}

async fn completions_that_cannot_begin(client: &Client, sku: &str) {
    let buyer = Buyer::at_checkout(client, &[(sku, 1)]).await;
    let total = buyer.total().await;
    let path = format!("{}/complete", buyer.checkout_path());
    let body = json!({ "expectedTotal": total, "payment": { "method": "sandbox_approve" } });
    buyer.call(Method::POST, &path).json(&body).send().await.refused(400, "idempotency_key_missing");
    buyer.complete(&"k".repeat(256), &total, "sandbox_approve").await.refused(400, "invalid_parameter");
    buyer.complete("k", &total, "credit").await.refused(422, "validation_failed");
    buyer
        .complete("k", &json!({ "amount": "1.5", "currency": "GBP" }), "sandbox_approve")
        .await
        .refused(422, "validation_failed");
    let more = json!({ "amount": "9223372036854775808", "currency": "GBP" });
    buyer.complete("k", &more, "sandbox_approve").await.refused(422, "validation_failed");
    buyer.complete("k", &json!(12), "sandbox_approve").await.refused(400, "invalid_body");
    let no_total = json!({ "payment": { "method": "sandbox_approve" } });
    let call = buyer.call(Method::POST, &path).header("idempotency-key", "k").json(&no_total);
    call.send().await.refused(400, "invalid_body");
    assert_eq!(buyer.show(&buyer.checkout_path()).await.gave(200).at("/state"), "open");
}

async fn writes_that_name_an_older_version(client: &Client, sku: &str) {
    let buyer = Buyer::with(client, &[(sku, 1)]).await;
    let old = buyer.show(&buyer.cart_path()).await.gave(200);
    buyer.line(sku, &json!({ "quantity": 2 })).await.gave(200);
    let path = format!("{}/lines/{sku}", buyer.cart_path());
    let set =
        |etag: String| buyer.call(Method::PUT, &path).header("if-match", &etag).json(&json!({ "quantity": 3 })).send();
    set(old.header("etag").to_owned()).await.refused(412, "etag_mismatch");
    set("W/\"weak\"".to_owned()).await.refused(400, "invalid_parameter");
    let now = buyer.show(&buyer.cart_path()).await.gave(200);
    set(now.header("etag").to_owned()).await.gave(200);
}

async fn stock_that_is_not_yours(client: &Client, sku: &str) {
    let path = format!("/api/v1/manage/stock/{sku}");
    let body = json!({ "location": "main", "onHand": 5 });
    let put = |token: &str| {
        client.call(Method::PUT, &path).header("authorization", &format!("Bearer {token}")).header("if-match", "*")
    };
    client.get(&path).await.refused(401, "unauthenticated");
    put("nonsense").json(&body).send().await.refused(401, "unauthenticated");
    let token = staff(client).await;
    let (head, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    put(&forged).json(&body).send().await.refused(401, "unauthenticated");
    let expired =
        client.post("/dev/token", &json!({ "sub": "s", "roles": ["owner"], "expiresIn": -3600 })).await.gave(200);
    put(expired.at("/access_token")).json(&body).send().await.refused(401, "unauthenticated");
    let reader = client.post("/dev/token", &json!({ "sub": "s", "scopes": ["read_stock"] })).await.gave(200);
    put(reader.at("/access_token")).json(&body).send().await.refused(403, "forbidden");
    let unguarded = client.call(Method::PUT, &path).header("authorization", &format!("Bearer {token}"));
    unguarded.json(&body).send().await.refused(428, "precondition_required");
    count_stock(client, sku, 5).await.gave(200);
    for on_hand in [json!(-1), json!(1.5), json!(1e18), json!(i64::MIN), json!(i64::MAX)] {
        let body = json!({ "location": "main", "onHand": on_hand });
        put(&token).json(&body).send().await.refused(422, "validation_failed");
    }
    let body = json!({ "location": "moon", "onHand": 5 });
    put(&token).json(&body).send().await.refused(422, "validation_failed");
    let seen = count_stock(client, sku, 5).await.gave(200);
    let guarded = client.call(Method::PUT, &path).header("authorization", &format!("Bearer {token}"));
    let guarded = guarded.header("if-match", seen.header("etag")).json(&json!({ "location": "main", "onHand": 6 }));
    guarded.send().await.gave(200);
    let stale = client.call(Method::PUT, &path).header("authorization", &format!("Bearer {token}"));
    let stale = stale.header("if-match", seen.header("etag")).json(&json!({ "location": "main", "onHand": 7 }));
    stale.send().await.refused(412, "etag_mismatch");
}

async fn paths_and_methods(client: &Client) {
    let refused = client.call(Method::PATCH, "/api/v1/carts").send().await.refused(405, "method_not_allowed");
    assert!(refused.header("allow").contains("POST"), "{}", refused.header("allow"));
    client.get("/api/v1/products/no-such-product").await.refused(404, "not_found");
    client.get("/api/v1/products?limit=0").await.refused(400, "invalid_parameter");
    client.get("/api/v1/products?colour=red").await.refused(400, "invalid_parameter");
    client.get("/api/health/asleep").await.refused(404, "not_found");
    // An unknown path is the host's own answer; the handler's is tested on its own port.
    assert_eq!(client.get("/api/v1/nothing").await.gave(404).text, "");
}
