//! The store's settings as staff see and change them.
use http::Method;
use serde_json::{Value, json};

use super::till::{Cart, Till, minor, put_settings};
use crate::shop::client::{Answer, Client};

const GOODS: &str = "sku,title,price,onHand\nA,Bell,5.00,90\n";

async fn read(client: &Client) -> Answer {
    client
        .call(Method::GET, "/api/v1/manage/settings")
        .header("authorization", "Bearer staff;read_settings")
        .send()
        .await
}

#[tokio::test]
async fn staff_change_what_they_have_seen_and_nobody_else_does() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let before = read(&client).await.gave(200);
    let put = async |who: &str, etag: Option<&str>, body: &Value| {
        let mut call =
            client.call(Method::PUT, "/api/v1/manage/settings").header("authorization", &format!("Bearer {who}"));
        if let Some(etag) = etag {
            call = call.header("if-match", etag);
        }
        call.json(body).send().await
    };
    let name = json!({ "name": "Bells & more" });
    put("shopper", Some("*"), &name).await.refused(403, "forbidden");
    put("staff;read_settings", Some("*"), &name).await.refused(403, "forbidden");
    put("staff;write_settings", None, &name).await.refused(428, "precondition_required");
    let etag = before.header("etag").to_owned();
    let after = put("staff;write_settings", Some(&etag), &name).await.gave(200);
    put("staff;write_settings", Some(&etag), &json!({ "name": "Too late" })).await.refused(412, "etag_mismatch");
    let mut want = before.body.clone();
    want["name"] = json!("Bells & more");
    assert_eq!(after.body, want, "what is left out keeps its value");
    assert_eq!(read(&client).await.gave(200).body, want);
    // What is read may be sent back as it is.
    put("staff;write_settings", Some("*"), &want).await.gave(200);
}

#[tokio::test]
async fn every_fault_is_told_at_once_and_nothing_is_stored() {
    let till = Till::open(GOODS).await;
    let client = till.instance().await;
    let before = read(&client).await.gave(200).body;
    let pounds = |amount: &str| json!({ "amount": amount, "currency": "GBP" });
    let wrong = json!({
        "name": "",
        "currency": "EUR",
        "home": "UK",
        "taxes": [
            { "country": "XX", "rateMillionths": 1_000_001 },
            { "rateMillionths": 0 },
            { "rateMillionths": 5, "reason": "exempt" },
            { "rateMillionths": 0, "reason": "no_rule" },
        ],
        "shipping": [{
            "method": "By Air", "title": "x", "countries": ["GB", "gb"], "price": pounds("-1"),
            "freeFrom": { "amount": "1", "currency": "USD" },
            "pickup": { "location": "main", "address": {
                "name": "", "line1": "1", "city": "Leeds", "postalCode": "LS1", "country": "GB" } },
        }],
        "limits": { "perSku": 0, "perCart": 0, "skus": [{ "sku": "A", "min": 3, "max": 2 }, { "sku": "A", "min": 1, "max": 1000 }] },
        "guestLookupHours": 100_000,
        "rounding": "up",
        "payments": { "capture": "never" },
        "stock": { "allocation": "any", "shortfall": "none", "locations": [], "feed": { "zeroedPercent": 101 } },
        "taxProvider": { "url": "http://tax.example/" },
    });
    let refused = put_settings(&client, &wrong).await.refused(422, "validation_failed");
    let fields: Vec<_> =
        refused.body["errors"].as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap()).collect();
    for field in [
        "/currency",
        "/name",
        "/home",
        "/taxes/0/country",
        "/taxes/0/rateMillionths",
        "/taxes/1/reason",
        "/taxes/2/reason",
        "/taxes/3/reason",
        "/shipping/0/method",
        "/shipping/0/countries/1",
        "/shipping/0/price",
        "/shipping/0/freeFrom",
        "/shipping/0/pickup/address/name",
        "/limits/perSku",
        "/limits/perCart",
        "/limits/skus/0/min",
        "/limits/skus/1/sku",
        "/limits/skus/1/max",
        "/guestLookupHours",
        "/rounding",
        "/payments/capture",
        "/stock/locations",
        "/stock/allocation",
        "/stock/shortfall",
        "/stock/feed/zeroedPercent",
        "/taxProvider/url",
    ] {
        assert!(fields.contains(&field), "{field} is not among {fields:?}");
    }
    put_settings(&client, &json!({ "colour": "red" })).await.refused(400, "unknown_field");
    assert_eq!(read(&client).await.gave(200).body, before);
}

#[tokio::test]
async fn shipping_goes_by_zone_and_is_free_from_enough() {
    let till = Till::open(GOODS).await;
    let pounds = |amount: &str| json!({ "amount": amount, "currency": "GBP" });
    till.settings(&json!({ "shipping": [
        { "method": "standard", "title": "Highlands", "countries": ["GB"], "postalPrefixes": ["IV", "KW"], "price": pounds("900") },
        { "method": "standard", "title": "Standard", "countries": ["GB"], "price": pounds("395"), "freeFrom": pounds("2000") },
        { "method": "standard", "title": "Hawaii", "countries": ["US"], "regions": ["HI"], "price": pounds("2500") },
    ] })).await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 1)]).await;
    cart.start(&client).await.gave(201);
    let to = async |country: &str, region: Option<&str>, code: &str| {
        let address = json!({
            "name": "Ada", "line1": "1", "city": "X", "region": region, "postalCode": code, "country": country
        });
        let call = client.call(Method::PUT, &cart.checkout()).header("x-cart-token", &cart.token);
        call.json(&json!({ "shippingAddress": address })).send().await
    };
    let price = |answer: Answer| minor(&answer.gave(200).body["totals"]["shipping"]);
    assert_eq!(price(to("GB", None, "LS1 1AA").await), 395);
    assert_eq!(price(to("GB", None, "iv2 7gd").await), 900);
    assert_eq!(price(to("US", Some("hi"), "96701").await), 2500);
    to("US", Some("NY"), "10001").await.refused(422, "validation_failed");
    to("GB", None, "LS1 1AA").await.gave(200);
    cart.put(&client, "/lines/A", &json!({ "quantity": 4 })).await.gave(200);
    assert_eq!(price(cart.get(&client, &cart.checkout()).await), 0);
}

/// Collecting: no address is asked for, tax is that of the place, and only its own stock is sold.
#[tokio::test]
async fn who_collects_gives_no_address_and_gets_what_is_there() {
    let till = Till::open(GOODS).await;
    let shop = json!({
        "name": "Bells of Leeds", "line1": "1 Mill Lane", "city": "Leeds", "postalCode": "LS1 1AA", "country": "GB"
    });
    let zero = json!({ "amount": "0", "currency": "GBP" });
    let collect = json!({ "method": "collect", "title": "Collect in Leeds", "price": zero,
        "pickup": { "location": "leeds", "address": shop } });
    let standard = json!({ "method": "standard", "title": "Standard", "price": zero });
    let client = till.instance().await;
    let refused =
        put_settings(&client, &json!({ "shipping": [standard, collect] })).await.refused(422, "validation_failed");
    assert_eq!(refused.at("/errors/0/field"), "/shipping/1/pickup/location");
    let stock = json!({ "allocation": "priority", "shortfall": "refund", "locations": [
        { "name": "main", "title": "Warehouse" }, { "name": "leeds", "title": "Leeds", "priority": 1, "pickup": true },
    ] });
    till.settings(&json!({ "shipping": [standard, collect], "stock": stock })).await;
    let client = till.instance().await;
    let cart = Cart::with(&client, &[("A", 1)]).await;
    let start = async |method: &str| {
        let body = json!({ "cartId": cart.id, "email": "ada@example.com", "shippingMethod": method });
        client.call(Method::POST, "/api/v1/checkouts").header("x-cart-token", &cart.token).json(&body).send().await
    };
    start("standard").await.refused(422, "validation_failed");
    let checkout = start("collect").await.gave(201);
    assert_eq!(checkout.body["shippingAddress"]["name"], "Bells of Leeds");
    // All there is lies in the warehouse.
    let total = checkout.body["totals"]["total"].clone();
    let short = cart.complete(&client, "one", &total, "approve").await.refused(409, "out_of_stock");
    assert_eq!(short.body["availability"], json!([{ "sku": "A", "requested": 1, "available": 0 }]));
    // Goods are not sent to the place of collection.
    let change = async |body: Value| {
        client.call(Method::PUT, &cart.checkout()).header("x-cart-token", &cart.token).json(&body).send().await
    };
    change(json!({ "shippingMethod": "standard" })).await.refused(422, "validation_failed");
    let home = json!({ "name": "Ada", "line1": "2", "city": "Leeds", "postalCode": "LS2", "country": "GB" });
    change(json!({ "shippingMethod": "standard", "shippingAddress": home })).await.gave(200);
    cart.complete(&client, "two", &total, "approve").await.gave(200);
}
