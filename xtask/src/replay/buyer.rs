//! A buyer over HTTP, who asks again when the shop is not there: every step may be repeated, and the payment
//! carries a key.
use std::{thread, time::Duration};

use serde_json::{Value, json};
use ureq::{Agent, Body, http::Response};

use super::{
    invoices::Invoice,
    journal::{Begun, Journal},
    prices::Prices,
};
use crate::failure::Failure;

/// One request, from start to end.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Tries of one request, a second apart: longer than the platform needs to start the shop again.
const TRIES_MAX: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);
/// Pages of the product list.
const PAGES_MAX: usize = 10_000;

pub(super) struct Buyer {
    agent: Agent,
    url: String,
}

/// Status and body.
struct Answer {
    status: u16,
    body: Value,
}

impl Buyer {
    pub(super) fn new(url: &str) -> Buyer {
        let agent = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        Buyer { agent: agent.new_agent(), url: url.to_owned() }
    }

    /// Places the invoice as an order, or asks for the order that it became, and checks its sums; answers the
    /// subtotal in minor units.
    pub(super) fn place(&self, invoice: &Invoice, prices: &Prices, journal: &Journal) -> Result<i64, Failure> {
        let want = invoice.subtotal(prices).ok_or_else(|| Failure::new("no price for a line"))?;
        if let Some(begun) = journal.known(&invoice.number) {
            let answer = self.complete(begun)?;
            // A shop that begins anew on the same port does not know the checkout.
            if answer.status != 404 {
                return check(&answer.expect(200)?, want);
            }
        }
        let begun = self.begin(invoice)?;
        journal.note(&begun)?;
        check(&self.complete(&begun)?.expect(200)?, want)
    }

    /// A cart with the invoice's lines, and its checkout.
    fn begin(&self, invoice: &Invoice) -> Result<Begun, Failure> {
        let cart = self.ask("POST", "/api/v1/carts", &[], Some(&json!({})))?.expect(201)?;
        let (id, token) = (text(&cart, "/id")?, text(&cart, "/token")?);
        let headers = [("x-cart-token", token)];
        for (code, units) in &invoice.lines {
            let path = format!("/api/v1/carts/{id}/lines/{code}");
            self.ask("PUT", &path, &headers, Some(&json!({ "quantity": units })))?.expect(200)?;
        }
        let checkout = json!({
            "cartId": id,
            "email": format!("invoice-{}@example.com", invoice.number),
            "shippingAddress": {
                "name": "A. Buyer", "line1": "1 High Street", "city": "London", "postalCode": "N1 1AA", "country": "GB"
            },
            "shippingMethod": "standard",
        });
        let checkout = self.ask("POST", "/api/v1/checkouts", &headers, Some(&checkout))?.expect_any(&[200, 201])?;
        Ok(Begun {
            invoice: invoice.number.clone(),
            checkout: text(&checkout, "/id")?.to_owned(),
            token: token.to_owned(),
            total: checkout.pointer("/totals/total").cloned().unwrap_or_default(),
        })
    }

    fn complete(&self, begun: &Begun) -> Result<Answer, Failure> {
        let path = format!("/api/v1/checkouts/{}/complete", begun.checkout);
        let body = json!({ "expectedTotal": begun.total, "payment": { "method": "sandbox_approve" } });
        let key = format!("replay-{}", begun.invoice);
        self.ask("POST", &path, &[("x-cart-token", begun.token.as_str()), ("idempotency-key", &key)], Some(&body))
    }

    /// Asks until there is an answer that asking again would not change.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Result<Answer, Failure> {
        let mut tries = 1;
        loop {
            let answer = self.ask_once(method, path, headers, body);
            let again = match &answer {
                Ok(answer) => {
                    matches!(answer.status, 429 | 502 | 503 | 504) || answer.body["code"] == "completion_in_progress"
                }
                Err(_) => true,
            };
            if !again || tries == TRIES_MAX {
                return answer.map_err(|err| Failure::new(format!("{method} {path}: {err}")));
            }
            tries += 1;
            thread::sleep(PAUSE);
        }
    }

    fn ask_once(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json").body(body.to_string())?;
                self.agent.run(request)?
            }
            None => self.agent.run(request.body(())?)?,
        };
        read(response)
    }
}

fn read(mut response: Response<Body>) -> Result<Answer, ureq::Error> {
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string()?;
    Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
}

impl Answer {
    fn expect(self, status: u16) -> Result<Value, Failure> {
        self.expect_any(&[status])
    }

    fn expect_any(self, wanted: &[u16]) -> Result<Value, Failure> {
        if wanted.contains(&self.status) {
            Ok(self.body)
        } else {
            Err(Failure::new(format!("answered {}: {}", self.status, self.body)))
        }
    }
}

/// The order's subtotal, if it is what the files say and its total is the sum of its parts.
fn check(order: &Value, want: i64) -> Result<i64, Failure> {
    let amount = |name: &str| -> Result<i64, Failure> {
        let text = text(order, &format!("/totals/{name}/amount"))?;
        text.parse().map_err(|_| Failure::new(format!("totals.{name} is {text}")))
    };
    let (subtotal, shipping, tax, total) = (amount("subtotal")?, amount("shipping")?, amount("tax")?, amount("total")?);
    if subtotal != want {
        return Err(Failure::new(format!("the subtotal is {subtotal}, the files say {want}")));
    }
    if total != subtotal + shipping + tax {
        return Err(Failure::new(format!("{total} is not {subtotal} + {shipping} + {tax}")));
    }
    Ok(subtotal)
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, Failure> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.ok_or_else(|| Failure::new(format!("the answer has no {pointer}: {value}")))
}

/// What the running shop sells, page by page.
pub(super) fn prices(url: &str) -> Result<Prices, Failure> {
    let buyer = Buyer::new(url);
    let mut prices = Prices::new();
    let mut after = String::new();
    for _ in 0..PAGES_MAX {
        let page = buyer.ask("GET", &format!("/api/v1/products?limit=100&after={after}"), &[], None)?.expect(200)?;
        for variant in page["items"].as_array().into_iter().flatten().flat_map(|it| it["variants"].as_array()).flatten()
        {
            let amount = text(variant, "/price/amount")?;
            let price = amount.parse().map_err(|_| Failure::new(format!("a price is {amount}")))?;
            prices.insert(text(variant, "/sku")?.to_owned(), price);
        }
        match page["nextAfter"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return Ok(prices),
        }
    }
    Err(Failure::new(format!("the shop's list has more than {PAGES_MAX} pages")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(subtotal: &str, total: &str) -> Value {
        let money = |amount: &str| json!({ "amount": amount, "currency": "GBP" });
        json!({ "totals": {
            "subtotal": money(subtotal), "shipping": money("395"), "tax": money("0"), "total": money(total)
        }})
    }

    #[test]
    fn an_order_is_checked_to_the_penny() {
        assert_eq!(check(&order("1000", "1395"), 1000).unwrap(), 1000);
        assert!(check(&order("1001", "1396"), 1000).is_err());
        assert!(check(&order("1000", "1394"), 1000).is_err());
        assert!(check(&json!({}), 0).is_err());
    }
}
