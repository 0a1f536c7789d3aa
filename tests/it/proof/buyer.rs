//! A buyer, who only has a browser: a cart, a checkout, and the same request again when no answer came.
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::{
    machine::Process,
    rooms::{Answer, Request},
    world::World,
};

/// One cart at the till.
#[derive(Clone, Debug)]
pub(super) struct Buyer {
    /// What cart, checkout and order have in common.
    pub(super) ulid: String,
    pub(super) token: String,
    /// The total the buyer was shown.
    pub(super) total: Value,
}

fn address() -> Value {
    json!({ "name": "Ada Byron", "line1": "1 Mill Lane", "city": "Leeds", "postalCode": "LS1 1AA", "country": "GB" })
}

impl Buyer {
    /// With goods in the cart and a checkout begun, by a process to which nothing happens.
    pub(super) async fn at_checkout(world: &Arc<World>, goods: &[(&str, u32)]) -> Buyer {
        let process = world.calm();
        let cart = good(Request::new(Method::POST, "v1/carts").send(&process).await).json();
        let ulid = cart["id"].as_str().unwrap().trim_start_matches("cart_").to_owned();
        let mut buyer = Buyer { ulid, token: cart["token"].as_str().unwrap().to_owned(), total: Value::Null };
        for (sku, units) in goods {
            buyer.line(&process, sku, *units).await;
        }
        buyer.start(&process, "ada@example.org").await;
        buyer
    }

    pub(super) fn checkout(&self) -> String {
        format!("chk_{}", self.ulid)
    }

    pub(super) fn order(&self) -> String {
        format!("ord_{}", self.ulid)
    }

    fn request(&self, method: Method, path: String) -> Request {
        Request::new(method, path).header("x-cart-token", self.token.as_str())
    }

    /// Puts a code on the cart.
    pub(super) async fn code(&self, process: &Process, code: &str) {
        let path = format!("v1/carts/cart_{}/coupons/{code}", self.ulid);
        good(self.request(Method::PUT, path).send(process).await);
    }

    /// Sets the units of a SKU.
    pub(super) async fn line(&self, process: &Process, sku: &str, units: u32) {
        let path = format!("v1/carts/cart_{}/lines/{sku}", self.ulid);
        let request = self.request(Method::PUT, path).json(&json!({ "quantity": units }));
        good(request.send(process).await);
    }

    /// Begins the checkout, or looks at its total again.
    pub(super) async fn start(&mut self, process: &Process, email: &str) {
        let cart = format!("cart_{}", self.ulid);
        let body =
            json!({ "cartId": cart, "email": email, "shippingAddress": address(), "shippingMethod": "standard" });
        let request = self.request(Method::POST, "v1/checkouts".to_owned()).json(&body);
        self.total = good(request.send(process).await).json()["totals"]["total"].clone();
    }

    /// The order as its buyer sees it.
    pub(super) async fn see_order(&self, process: &Process) -> Answer {
        self.request(Method::GET, format!("v1/orders/{}", self.order())).send(process).await.unwrap()
    }

    /// One call to pay; `None` if the process ended first.
    pub(super) async fn complete(&self, process: &Process, key: &str, method: &str) -> Option<Answer> {
        let body = json!({ "expectedTotal": self.total, "payment": { "method": method } });
        let request = self.request(Method::POST, format!("v1/checkouts/{}/complete", self.checkout()));
        request.header("idempotency-key", key).json(&body).send(process).await
    }
}

/// An answer that must have come and must be a success.
pub(super) fn good(answer: Option<Answer>) -> Answer {
    let answer = answer.unwrap();
    assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.json());
    answer
}
