//! Webhooks of the sandbox provider, through the dev host to the handler: a paid checkout completes without its
//! buyer, and only what is signed as it stands is believed.
use hmac::{Hmac, Mac as _};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;

use super::{
    Options, Shop,
    buyer::{Buyer, mails, payments, skus, wait_for_mails},
    client::{Answer, Client},
    wait_for,
};

const SECRET: &str = "the shop's and the provider's";
const PATH: &str = "/api/v1/payments/webhooks/sandbox";

fn shop() -> Shop {
    let settings = vec![("OFFPEAK_SANDBOX_WEBHOOK_SECRET".to_owned(), SECRET.to_owned())];
    Shop::start(&Options { settings, ..Options::default() })
}

/// Asks until the answer is as wanted; the provider tells in its own time.
async fn until(client: &Client, what: &str, token: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..400 {
        let body = client.call(Method::GET, what).header("x-cart-token", token).send().await.gave(200).body;
        if wanted(&body) {
            return body;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{what} never came to be as wanted")
}

/// P5 and row 73, over HTTP: each webhook comes three times and at once.
#[tokio::test]
async fn a_paid_checkout_completes_though_its_buyer_never_returns() {
    let shop = shop();
    let client = &shop.client;
    let mode = client.post("/dev/provider/webhooks", &json!({ "copies": 3, "delayMs": 0, "reversed": true })).await;
    assert_eq!(mode.gave(200).body["mode"]["copies"], 3);
    let sku = skus(client, 1).await.remove(0);
    let buyer = Buyer::at_checkout(client, &[(&sku, 1)]).await;
    let total = buyer.total().await;
    let asked = buyer.complete("first", &total, "sandbox_challenge").await.gave(202);
    assert_eq!(asked.at("/action/type"), "redirect");
    let page = asked.at("/action/url").strip_prefix(&shop.url).unwrap().to_owned();
    client.call(Method::POST, &page).text("application/x-www-form-urlencoded", "answer=approve").send().await.gave(200);
    // Nobody calls `complete` again.
    let checkout = until(client, &buyer.checkout_path(), &buyer.token, |it| it["state"] == "placed").await;
    let order = buyer.show(&buyer.order_path()).await.gave(200);
    assert_eq!(checkout["orderId"], order.body["id"]);
    assert_eq!((order.at("/paymentStatus"), &order.body["payment"]["captured"]), ("captured", &total));
    wait_for_mails(client, 1).await;
    until(client, "/dev/provider/webhooks", "", |it| it["waiting"] == 0).await;
    let again = buyer.complete("first", &total, "sandbox_challenge").await.gave(200);
    assert_eq!(again.body["id"], order.body["id"]);
    let held = payments(client).await;
    assert_eq!((held.len(), &held[0]["captured"]), (1, &total["amount"]));
    assert_eq!(mails(client).await.len(), 1);

    // What the buyer's bank does later shows on the order.
    let reference = held[0]["reference"].as_str().unwrap();
    let bank = format!("/dev/provider/payments/{reference}/bank");
    client.post(&bank, &json!({ "act": "dispute_opened" })).await.gave(200);
    until(client, &buyer.order_path(), &buyer.token, |it| it["paymentStatus"] == "disputed").await;
}

#[expect(clippy::disallowed_methods, reason = "the shop judges a signature by the real time")]
fn signed(body: &str, secret: &str, age_s: i64) -> String {
    let at = OffsetDateTime::now_utc().unix_timestamp() - age_s;
    let mut tag = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    tag.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={:x}", tag.finalize().into_bytes())
}

async fn tell(client: &Client, body: &str, signature: Option<&str>) -> Answer {
    let call = client.call(Method::POST, PATH).text("application/json", body.to_owned());
    match signature {
        Some(signature) => call.header("sandbox-signature", signature).send().await,
        None => call.send().await,
    }
}

#[tokio::test]
async fn a_webhook_is_believed_only_as_it_was_signed() {
    let shop = shop();
    let client = &shop.client;
    client.post("/dev/provider/webhooks", &json!({ "paused": true })).await.gave(200);
    let sku = skus(client, 1).await.remove(0);
    let buyer = Buyer::at_checkout(client, &[(&sku, 1)]).await;
    let total = buyer.total().await;
    buyer.complete("first", &total, "sandbox_approve").await.gave(200);
    let before = buyer.show(&buyer.order_path()).await.gave(200).body;
    let reference = payments(client).await[0]["reference"].as_str().unwrap().to_owned();
    let event = |reference: &str| {
        // Order, spaces and escapes of the bytes are the sender's: the signature is over them as they are.
        format!(
            "{{ \"reference\":\"{reference}\",\n \"checkoutId\":\"\\u0063hk\", \"id\":\"evt_é\",\"fact\":{{\"id\":\"authorised\",\
             \"kind\":\"authorised\",\"at\":\"2026-01-01T00:00:00Z\",\"amount\":{}}}}}",
            total
        )
    };
    let (ours, unknown) = (event(&reference), event("pay_01JZ0000000000000000000000_1"));
    for (body, signature, status, code) in [
        (&ours, None, 401, "unauthenticated"),
        (&ours, Some("t=1,v1=00".to_owned()), 401, "unauthenticated"),
        (&ours, Some(signed(&ours, "another", 0)), 401, "unauthenticated"),
        (&ours, Some(signed(&unknown, SECRET, 0)), 401, "unauthenticated"),
        (&ours, Some(signed(&ours, SECRET, 400)), 400, "invalid_parameter"),
        (&ours, Some(signed(&ours, SECRET, -400)), 400, "invalid_parameter"),
        (&unknown, Some(signed(&unknown, SECRET, 0)), 404, "not_found"),
        (&"{}".to_owned(), Some(signed("{}", SECRET, 0)), 400, "invalid_body"),
    ] {
        let answer = tell(client, body, signature.as_deref()).await.gave(status);
        assert_eq!(answer.at("/code"), code, "{signature:?}");
        assert!(!answer.at("/detail").is_empty());
    }
    for _ in 0..3 {
        let heard = tell(client, &ours, Some(&signed(&ours, SECRET, 0))).await.gave(200);
        assert_eq!(heard.at("/heard"), "known", "the order's own call was told the same");
    }
    client.call(Method::GET, PATH).send().await.gave(405);
    client.call(Method::POST, "/api/v1/payments/webhooks/stripe").json(&json!({})).send().await.gave(404);
    assert_eq!(buyer.show(&buyer.order_path()).await.gave(200).body, before);
    let held = payments(client).await;
    assert_eq!((held.len(), &held[0]["captured"], &held[0]["refunded"]), (1, &total["amount"], &json!("0")));

    // What it held back it tells when it is let, and all of it is heard.
    let waiting = client.get("/dev/provider/webhooks").await.gave(200).body["waiting"].as_i64().unwrap();
    assert!(waiting >= 2, "{waiting}");
    client.post("/dev/provider/webhooks", &json!({})).await.gave(200);
    until(client, "/dev/provider/webhooks", "", |it| it["waiting"] == 0).await;
    assert_eq!(buyer.show(&buyer.order_path()).await.gave(200).body, before);
    wait_for("the log", || shop.log().iter().any(|it| it.contains("webhook is not believed")).then_some(()));
    assert!(shop.log().iter().all(|it| !it.contains(SECRET)), "a secret is in the log");
}
