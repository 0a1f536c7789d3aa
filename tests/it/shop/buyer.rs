//! A shopper: fills a cart, goes to checkout, pays, and tries again as a browser would.
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::client::{Answer, Call, Client};

/// How often a buyer asks again before giving up; with the pauses below, some minutes.
const TRIES_MAX: u32 = 400;
const PAUSE: Duration = Duration::from_millis(250);

/// One cart and what becomes of it.
#[derive(Clone)]
pub(crate) struct Buyer {
    pub(crate) client: Client,
    pub(crate) cart: String,
    pub(crate) token: String,
}

pub(crate) fn address(country: &str) -> Value {
    json!({
        "name": "Ada Byron", "line1": "12 St James's Square", "city": "London",
        "postalCode": "SW1Y 4JH", "country": country
    })
}

impl Buyer {
    pub(crate) async fn new(client: &Client) -> Buyer {
        let cart = client.post("/api/v1/carts", &json!({})).await.gave(201);
        let (cart, token) = (cart.at("/id").to_owned(), cart.at("/token").to_owned());
        Buyer { client: client.clone(), cart, token }
    }

    /// With goods in the cart.
    pub(crate) async fn with(client: &Client, goods: &[(&str, u32)]) -> Buyer {
        let buyer = Buyer::new(client).await;
        for (sku, quantity) in goods {
            buyer.line(sku, &json!({ "quantity": quantity })).await.gave(200);
        }
        buyer
    }

    /// With goods in the cart and a checkout begun.
    pub(crate) async fn at_checkout(client: &Client, goods: &[(&str, u32)]) -> Buyer {
        let buyer = Buyer::with(client, goods).await;
        buyer.start("ada@example.com").await.gave(201);
        buyer
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        self.client.call(method, path).header("x-cart-token", &self.token)
    }

    pub(crate) fn cart_path(&self) -> String {
        format!("/api/v1/carts/{}", self.cart)
    }

    pub(crate) fn checkout_path(&self) -> String {
        format!("/api/v1/checkouts/chk_{}", &self.cart["cart_".len()..])
    }

    pub(crate) fn order_path(&self) -> String {
        format!("/api/v1/orders/ord_{}", &self.cart["cart_".len()..])
    }

    pub(crate) async fn line(&self, sku: &str, body: &Value) -> Answer {
        self.call(Method::PUT, &format!("{}/lines/{sku}", self.cart_path())).json(body).send().await
    }

    pub(crate) async fn show(&self, path: &str) -> Answer {
        self.call(Method::GET, path).send().await
    }

    pub(crate) fn start_body(&self, email: &str) -> Value {
        json!({ "cartId": self.cart, "email": email, "shippingAddress": address("GB"), "shippingMethod": "standard" })
    }

    pub(crate) async fn start(&self, email: &str) -> Answer {
        self.call(Method::POST, "/api/v1/checkouts").json(&self.start_body(email)).send().await
    }

    /// The total this buyer is shown.
    pub(crate) async fn total(&self) -> Value {
        self.show(&self.checkout_path()).await.gave(200).body["totals"]["total"].clone()
    }

    pub(crate) fn completing(&self, key: &str, total: &Value, method: &str) -> Call {
        let body = json!({ "expectedTotal": total, "payment": { "method": method } });
        self.call(Method::POST, &format!("{}/complete", self.checkout_path()))
            .header("idempotency-key", key)
            .json(&body)
    }

    pub(crate) async fn complete(&self, key: &str, total: &Value, method: &str) -> Answer {
        self.completing(key, total, method).send().await
    }

    /// Completes with one key until the answer is final, whatever happens to the shop meanwhile.
    pub(crate) async fn insist(&self, key: &str, total: &Value, method: &str) -> Answer {
        for _ in 0..TRIES_MAX {
            if let Ok(answer) = self.completing(key, total, method).attempt().await
                && is_final(&answer)
            {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("no final answer for {}", self.cart);
    }
}

fn is_final(answer: &Answer) -> bool {
    match answer.status {
        200 | 402 | 422 => true,
        409 => answer.body["code"] != "completion_in_progress",
        _ => false,
    }
}

/// A staff token from the dev host's issuer.
pub(crate) async fn staff(client: &Client) -> String {
    let body = json!({ "sub": "storekeeper", "roles": ["owner"] });
    client.post("/dev/token", &body).await.gave(200).at("/access_token").to_owned()
}

/// What a stocktake found.
pub(crate) async fn count_stock(client: &Client, sku: &str, on_hand: i64) -> Answer {
    client
        .call(Method::PUT, &format!("/api/v1/manage/stock/{sku}"))
        .header("authorization", &format!("Bearer {}", staff(client).await))
        .header("if-match", "*")
        .json(&json!({ "location": "main", "onHand": on_hand }))
        .send()
        .await
}

pub(crate) async fn stock(client: &Client, sku: &str) -> Value {
    let path = format!("/api/v1/manage/stock/{sku}");
    let call = client.call(Method::GET, &path).header("authorization", &format!("Bearer {}", staff(client).await));
    call.send().await.gave(200).body["levels"][0].clone()
}

/// The sandbox provider's ledger.
pub(crate) async fn payments(client: &Client) -> Vec<Value> {
    client.get("/dev/payments").await.gave(200).body["items"].as_array().unwrap().clone()
}

pub(crate) async fn mails(client: &Client) -> Vec<Value> {
    client.get("/dev/mail").await.gave(200).body["items"].as_array().unwrap().clone()
}

/// Waits until so many mails were delivered. What was left to the sweep need not wait for its next tick:
/// an operator may run it at any time.
pub(crate) async fn wait_for_mails(client: &Client, count: usize) -> Vec<Value> {
    for attempt in 1..TRIES_MAX {
        let mails = mails(client).await;
        if mails.len() >= count {
            return mails;
        }
        if attempt % 8 == 0 {
            client.post("/admin/functions/relay_outbox", &json!({ "input": "" })).await.gave(202);
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{} of {count} mails came", mails(client).await.len());
}

/// SKUs of the seed, with a price; any will do.
pub(crate) async fn skus(client: &Client, count: usize) -> Vec<String> {
    let list = client.get(&format!("/api/v1/products?limit={}", count.clamp(1, 100))).await.gave(200);
    let items = list.body["items"].as_array().unwrap().clone();
    let first = |item: &Value| item["variants"][0]["sku"].as_str().unwrap().to_owned();
    items.iter().map(first).take(count).collect()
}
